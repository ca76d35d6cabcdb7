//! What this agent last wrote, learnt from NetBox's change log, for when its store was
//! lost. It is told cautiously: a value counts as the agent's own only where the log
//! says so. In doubt it is a person's, and stays.
//!
//! Since 4.4 every write of the agent is signed in the log, but for what NetBox does by
//! itself as it carries one out. Before, a new object with
//! the agent's marks is known to be its own work, and so is what the same user filled
//! first of what can only be filled later (primary addresses and the like). Any other
//! change of those days may be a person's who shares the agent's token.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use serde_json::Value as Json;
use tracing::{debug, warn};

use super::api::Api;
use super::apply::message::is_signed;
use super::error::NetBoxError;
use super::lookup::parts;
use super::page;
use super::table::{Body, Sheet, kind_of, sheet};
use crate::domain::memory::{Recollection, Written};
use crate::domain::object::{Field, Kind};
use crate::domain::value::{SmallMap, Value};

/// What was last written into these objects, of which all carry the agent's marks.
pub(super) async fn recollect(
    api: &Api,
    instance: &str,
    objects: &[(Kind, u64)],
) -> Result<BTreeMap<(Kind, u64), Recollection>, NetBoxError> {
    let mut ids: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for (kind, id) in objects {
        ids.entry(*kind).or_default().push(id.to_string());
    }
    let words = Words::read(api, ids.keys().copied()).await?;
    let told = try_join_all(ids.iter().map(|(kind, ids)| {
        let reader = Reader { api, instance, sheet: sheet(*kind), words: &words };
        async move { reader.read(ids).await.map(|tales| (*kind, tales)) }
    }));
    let told = match told.await {
        Ok(told) => told,
        Err(NetBoxError::Http(error)) if error.code() == Some(403) => {
            warn!(
                objects = objects.len(),
                "the token may not read the change log (core.view_objectchange): \
                 what was written earlier stays as it is"
            );
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(error),
    };
    let mut all: BTreeMap<(Kind, u64), Recollection> = BTreeMap::new();
    for (kind, mut tales) in told {
        for (_, id) in objects.iter().filter(|(own, _)| *own == kind) {
            let tale = tales.remove(id).unwrap_or_default();
            all.insert((kind, *id), tale.recollection(instance));
        }
    }
    debug!(objects = all.len(), "learnt from the change log what was written");
    Ok(all)
}

/// What the log calls by other words than NetBox's answers do.
#[derive(Debug, Default)]
struct Words {
    /// Tags by name, which the log has in place of their ids.
    tags: BTreeMap<String, u64>,
    /// NetBox's words for kinds by their numbers in its database.
    models: BTreeMap<u64, String>,
}

impl Words {
    async fn read(api: &Api, mut kinds: impl Iterator<Item = Kind>) -> Result<Self, NetBoxError> {
        let mut words = Words::default();
        page::each(api, sheet(Kind::Tag).endpoint, &[], "id,name", |row| {
            let name = row.get("name").and_then(Json::as_str);
            if let (Some(name), Some(id)) = (name, row.get("id").and_then(Json::as_u64)) {
                words.tags.insert(name.to_owned(), id);
            }
        })
        .await?;
        if kinds.any(|kind| sheet(kind).has_generic(api.version)) {
            words.models = models(api).await?;
        }
        Ok(words)
    }

    /// An object as the log keeps it, in the words of NetBox's answers.
    fn row(&self, mut record: Body) -> Body {
        if let Some(Json::Array(tags)) = record.get_mut("tags") {
            let id = |name: &Json| Some(Json::from(*self.tags.get(name.as_str()?)?));
            *tags = tags.iter().filter_map(id).collect();
        }
        for (name, value) in record.iter_mut().filter(|(name, _)| name.ends_with("_type")) {
            let model = value.as_u64().and_then(|number| self.models.get(&number));
            // A reference to a device type ends so as well, and is no word.
            if let Some(model) = model.filter(|_| name != "device_type") {
                *value = model.as_str().into();
            }
        }
        if let Some((protocol, ports)) = record.get("port_mappings").and_then(mapped) {
            record.insert("protocol".to_owned(), protocol.into());
            record.insert("ports".to_owned(), ports.into());
        }
        record
    }
}

/// The protocol and the ports of a service as 4.7 keeps them: a list within a text, such as
/// `["tcp/80", "tcp/443"]`. None where there are several protocols.
fn mapped(mappings: &Json) -> Option<(String, Vec<u64>)> {
    let all: Vec<String> = match mappings {
        Json::String(text) => serde_json::from_str(text).ok()?,
        list => serde_json::from_value(list.clone()).ok()?,
    };
    let pairs: Option<Vec<(&str, u64)>> = all
        .iter()
        .map(|mapping| {
            mapping.split_once('/').and_then(|(one, port)| Some((one, port.parse().ok()?)))
        })
        .collect();
    let pairs = pairs?;
    let protocol = pairs.first()?.0;
    let one = pairs.iter().all(|(other, _)| *other == protocol);
    one.then(|| (protocol.to_owned(), pairs.iter().map(|(_, port)| *port).collect()))
}

/// The kinds by their numbers. The list is short, and knows neither order nor start.
async fn models(api: &Api) -> Result<BTreeMap<u64, String>, NetBoxError> {
    let path = api.version.object_types();
    let broken =
        |reason: &str| NetBoxError::Answer { what: path.to_owned(), reason: reason.into() };
    let answer: Json = api.fetch(path, &[("limit", "1000")]).await?.json()?;
    let rows = answer.get("results").and_then(Json::as_array);
    let rows = rows.ok_or_else(|| broken("it is not a list"))?;
    let model = |row: &Json| {
        let text = |name: &str| row.get(name).and_then(Json::as_str);
        let model = format!("{}.{}", text("app_label")?, text("model")?);
        kind_of(&model).and_then(|_| Some((row.get("id")?.as_u64()?, model)))
    };
    Ok(rows.iter().filter_map(model).collect())
}

/// What is read of an entry.
const FIELDS: &str = "id,action,user_name,changed_object_id,prechange_data,postchange_data";

struct Reader<'a> {
    api: &'a Api,
    instance: &'a str,
    sheet: &'static Sheet,
    words: &'a Words,
}

impl Reader<'_> {
    /// What the log tells of objects of one kind. It is read from its beginning on, and
    /// of each entry only what the agent wrote is kept.
    async fn read(&self, ids: &[String]) -> Result<BTreeMap<u64, Tale>, NetBoxError> {
        let version = self.api.version;
        let fields =
            if version.has_messages() { format!("{FIELDS},message") } else { FIELDS.to_owned() };
        let mut tales: BTreeMap<u64, Tale> = BTreeMap::new();
        for part in parts("changed_object_id", ids) {
            let mut filters = vec![("changed_object_type", self.sheet.model)];
            filters.extend(part.iter().map(|id| ("changed_object_id", id.as_str())));
            page::each(self.api, version.change_log(), &filters, &fields, |mut row| {
                let id = row.get("changed_object_id").and_then(Json::as_u64);
                if let (Some(id), Some(entry)) = (id, self.entry(&mut row)) {
                    tales.entry(id).or_default().hear(self.sheet.kind, &entry, self.instance);
                }
            })
            .await?;
        }
        Ok(tales)
    }

    fn entry(&self, row: &mut Body) -> Option<Entry> {
        let mut record = |name: &str| match row.remove(name) {
            Some(Json::Object(record)) => self.fields(record),
            _ => SmallMap::default(),
        };
        let (before, after) = (record("prechange_data"), record("postchange_data"));
        let text = |name: &str| row.get(name).and_then(Json::as_str).unwrap_or("").to_owned();
        let action = row.get("action")?;
        let action = action.get("value").unwrap_or(action).as_str()?;
        Some(Entry {
            is_new: action == "create",
            user: text("user_name"),
            message: text("message"),
            before,
            after,
        })
    }

    fn fields(&self, record: Body) -> SmallMap<Field, Value> {
        let row = self.words.row(record);
        let known = |name: &String| row.contains_key(name);
        self.sheet
            .columns(self.api.version)
            .filter(|column| column.shape.names(column.name).iter().all(known))
            .filter_map(|column| Some((column.field, column.read(&row)?)))
            .collect()
    }
}

/// An entry of the log.
#[derive(Debug, Default)]
struct Entry {
    is_new: bool,
    user: String,
    message: String,
    before: SmallMap<Field, Value>,
    after: SmallMap<Field, Value>,
}

/// Whether NetBox writes a field by itself as the agent makes another object: a new
/// interface takes its primary MAC address along. Nobody signs that.
fn is_brought(kind: Kind, field: Field) -> bool {
    (kind, field) == (Kind::MacAddress, Field::AssignedObject)
}

/// What the log tells of one object, as far as it was heard.
#[derive(Debug, Default)]
struct Tale {
    /// What the agent last wrote.
    written: SmallMap<Field, Value>,
    /// Who made the object for the agent.
    maker: Option<String>,
    /// Whether that was signed, and so everything else is that the agent writes.
    signs: bool,
    /// Whether the agent's last word on its status was that it is gone.
    retired: bool,
}

impl Tale {
    fn hear(&mut self, kind: Kind, entry: &Entry, instance: &str) {
        let signed = is_signed(&entry.message, instance);
        if entry.is_new {
            let marked = entry.after.get(&Field::AgentInstance).and_then(Value::as_text);
            let unsigned = entry.message.is_empty() && marked == Some(instance);
            if signed || unsigned {
                self.maker = Some(entry.user.clone());
                self.signs = signed;
                for (field, value) in entry.after.iter().filter(|(_, value)| !value.is_blank()) {
                    self.written.insert(*field, value.clone());
                }
            }
            return;
        }
        let same_user = entry.message.is_empty() && self.maker.as_ref() == Some(&entry.user);
        // What NetBox saves by itself it does not compare with what stood.
        let blank = Value::Null;
        let unknown =
            |field| (entry.before.is_empty() && is_brought(kind, field)).then_some(&blank);
        let changed = entry.after.iter().filter_map(|(field, after)| {
            let before = entry.before.get(field).or_else(|| unknown(*field))?;
            (before != after).then_some((*field, before, after))
        });
        for (field, before, after) in changed {
            let fills = before.is_blank() && !self.written.contains(&field);
            let own = if self.signs { is_brought(kind, field) } else { field.waits(kind) };
            if signed || (same_user && fills && own) {
                self.write(field, before, after);
                if let Some((status, gone)) = kind.retired()
                    && field == status
                {
                    self.retired = *after == gone;
                }
            }
        }
    }

    fn write(&mut self, field: Field, before: &Value, after: &Value) {
        let (Field::Tags, Value::Refs(stood), Value::Refs(stand)) = (field, before, after) else {
            self.written.insert(field, after.clone());
            return;
        };
        let known = match self.written.get(&field) {
            Some(Value::Refs(known)) => known.clone(),
            _ => BTreeSet::new(),
        };
        // What the agent put there itself, with what a person took away of it.
        let kept = known.iter().filter(|tag| stand.contains(*tag) || !stood.contains(*tag));
        let own = kept.chain(stand.difference(stood)).cloned().collect();
        self.written.insert(field, Value::Refs(own));
    }

    fn recollection(self, instance: &str) -> Recollection {
        let mut written = self.written;
        // The mark tells itself who wrote it. With it the object counts as remembered, and
        // the log is not asked again for what it does not tell.
        written.insert(Field::AgentInstance, Value::text(instance));
        let fields = written
            .into_iter()
            .map(|(field, value)| (field, Written { wanted: value.clone(), settled: value }));
        Recollection { fields: fields.collect(), stamp: None, retired: self.retired }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::object::ObjectRef;

    const SIGNED: &str = "netbox-agent lab run 3: lan: ARP";

    fn entry(user: &str, message: &str, fields: &[(Field, &str, &str)]) -> Entry {
        let side = |after: bool| {
            let value = |text: &str| match text {
                "" => Value::Null,
                text => Value::text(text),
            };
            let pick = |(field, old, new): &(Field, &str, &str)| {
                (*field, value(if after { new } else { old }))
            };
            fields.iter().map(pick).collect()
        };
        Entry {
            is_new: false,
            user: user.into(),
            message: message.into(),
            before: side(false),
            after: side(true),
        }
    }

    fn made(user: &str, message: &str, fields: &[(Field, &str, &str)]) -> Entry {
        Entry { is_new: true, ..entry(user, message, fields) }
    }

    fn told(entries: &[Entry]) -> Tale {
        let mut tale = Tale::default();
        for entry in entries {
            tale.hear(Kind::Device, entry, "lab");
        }
        tale
    }

    fn written(tale: &Tale, field: Field) -> Option<&str> {
        tale.written.get(&field).and_then(Value::as_text)
    }

    #[test]
    fn only_what_the_agent_signed_is_its_own() {
        let tale = told(&[
            made("bot", SIGNED, &[(Field::Name, "", "web"), (Field::Serial, "", "")]),
            entry("bot", "", &[(Field::Name, "web", "by hand"), (Field::Serial, "", "S1")]),
            entry("bot", "netbox-agent lab2 run 1: x", &[(Field::Name, "by hand", "other")]),
            entry("bot", SIGNED, &[(Field::Name, "other", "other"), (Field::Status, "", "active")]),
        ]);
        assert_eq!(written(&tale, Field::Name), Some("web"));
        assert_eq!(written(&tale, Field::Serial), None);
        assert_eq!(written(&tale, Field::Status), Some("active"));
    }

    #[test]
    fn before_messages_a_new_object_with_its_marks_is_its_own_and_what_it_had_to_fill_later() {
        let mark = (Field::AgentInstance, "", "lab");
        let tale = told(&[
            made("bot", "", &[mark, (Field::Name, "", "web"), (Field::PrimaryIp4, "", "")]),
            entry("bot", "", &[(Field::PrimaryIp4, "", "1")]),
            entry("bot", "", &[(Field::PrimaryIp4, "1", "")]),
            // Refilled: by now it may be a person who does it.
            entry("bot", "", &[(Field::PrimaryIp4, "", "2"), (Field::Name, "web", "by hand")]),
            entry("ann", "", &[(Field::PrimaryIp6, "", "3")]),
        ]);
        assert_eq!(written(&tale, Field::Name), Some("web"));
        assert_eq!(written(&tale, Field::PrimaryIp4), Some("1"));
        assert_eq!(written(&tale, Field::PrimaryIp6), None);
        let theirs = made("ann", "", &[(Field::Name, "", "web")]);
        assert!(told(&[theirs]).written.is_empty());
    }

    #[test]
    fn a_mac_address_that_a_new_interface_took_along_is_where_the_agent_put_it() {
        let on = |user: &str, message: &str, before: &str, after: &str| {
            let told = entry(user, message, &[(Field::AssignedObject, before, after)]);
            // As NetBox 4.6.8 has it where it assigned the address by itself.
            let before = if before.is_empty() { SmallMap::default() } else { told.before };
            Entry { before, ..told }
        };
        let heard = |entries: &[Entry]| {
            let mut tale = Tale::default();
            let new = made("bot", SIGNED, &[(Field::MacAddress, "", "02:00:5e:00:53:01")]);
            for entry in [new].iter().chain(entries) {
                tale.hear(Kind::MacAddress, entry, "lab");
            }
            written(&tale, Field::AssignedObject).map(str::to_owned)
        };
        assert_eq!(heard(&[on("bot", "", "", "1")]).as_deref(), Some("1"));
        assert_eq!(heard(&[on("ann", "", "", "1")]), None);
        let moved = [on("bot", "", "", "1"), on("ann", "", "1", ""), on("bot", "", "", "2")];
        assert_eq!(heard(&moved).as_deref(), Some("1"));
    }

    #[test]
    fn tags_are_told_one_by_one() {
        let tag = |id| ObjectRef::Live(Kind::Tag, id);
        let tags = |ids: &[u64]| Value::Refs(ids.iter().map(|id| tag(*id)).collect());
        let change = |message: &str, before: &[u64], after: &[u64], is_new| Entry {
            is_new,
            user: "bot".into(),
            message: message.into(),
            before: [(Field::Tags, tags(before))].into_iter().collect(),
            after: [(Field::Tags, tags(after))].into_iter().collect(),
        };
        let tale = told(&[
            change(SIGNED, &[], &[1, 2, 3], true),
            // A person takes one away and adds another; the agent swaps one of its own.
            change("", &[1, 2, 3], &[1, 2, 9], false),
            change(SIGNED, &[1, 2, 9], &[1, 4, 9], false),
        ]);
        assert_eq!(tale.written.get(&Field::Tags), Some(&tags(&[1, 3, 4])));
    }

    #[test]
    fn what_the_agent_retired_is_known_as_retired_until_it_says_otherwise() {
        let status = |message: &str, before: &str, after: &str| {
            entry("bot", message, &[(Field::Status, before, after)])
        };
        let gone = status(SIGNED, "active", "offline");
        let theirs = status("", "active", "offline");
        let renamed = entry("bot", SIGNED, &[(Field::Name, "a", "b")]);
        assert!(told(&[gone, renamed]).retired);
        assert!(!told(&[theirs]).retired);
        let gone = status(SIGNED, "active", "offline");
        assert!(!told(&[gone, status(SIGNED, "offline", "active")]).retired);
    }

    #[test]
    fn a_record_of_the_log_is_read_in_the_words_of_answers() {
        let words = Words {
            tags: [("blue".to_owned(), 4)].into(),
            models: [(22, "dcim.interface".to_owned())].into(),
        };
        let record = serde_json::json!({
            "tags": ["blue", "gone"], "assigned_object_type": 22, "assigned_object_id": 22,
            "device_type": 22, "port_mappings": "[\"tcp/80\", \"tcp/443\"]",
        });
        let Json::Object(record) = record else { unreachable!() };
        let told = Json::Object(words.row(record));
        insta::assert_snapshot!(told, @r#"{"assigned_object_id":22,"assigned_object_type":"dcim.interface","device_type":22,"port_mappings":"[\"tcp/80\", \"tcp/443\"]","ports":[80,443],"protocol":"tcp","tags":[4]}"#);
    }
}
