//! The change log: who changed what in which request, with the object as it was
//! before and after.

use super::clock::Stamp;
use super::kinds::display;
use super::model::{Kind, Shape};
use super::store::{Object, Store};
use super::version::Version;
use serde_json::{Map, Value};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It was made.
    Create,
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

impl Action {
    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    /// Its label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Action::Create => "Created",
            Action::Update => "Updated",
            Action::Delete => "Deleted",
        }
    }

    /// The action of a word.
    pub(crate) fn of(word: &str) -> Option<Action> {
        [Action::Create, Action::Update, Action::Delete]
            .into_iter()
            .find(|action| action.word() == word)
    }
}

/// An entry of the change log.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// When.
    pub(crate) time: Stamp,
    /// By whom.
    pub(crate) user: String,
    /// In which request.
    pub(crate) request: String,
    /// What happened.
    pub(crate) action: Action,
    /// To which kind of object.
    pub(crate) kind: Kind,
    /// To which object.
    pub(crate) id: u64,
    /// What the object was called.
    pub(crate) name: String,
    /// What the client said of it.
    pub(crate) message: String,
    /// The object before.
    pub(crate) before: Value,
    /// The object after.
    pub(crate) after: Value,
}

/// The ids of requests: made up, but like NetBox's to look at.
#[derive(Debug, Default)]
pub(crate) struct Requests(pub(crate) u64);

impl Requests {
    /// The id of the next request.
    pub(crate) fn next(&mut self) -> String {
        self.0 += 1;
        let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            mixed >> 32,
            (mixed >> 16) & 0xffff,
            mixed & 0xfff,
            (mixed >> 48) & 0xfff,
            self.0
        )
    }
}

/// An object as the change log keeps it: the database's values, kinds as numbers,
/// tags by name, the keys in the order of a PostgreSQL document.
pub(crate) fn record_of(store: &Store, object: &Object) -> Value {
    let def = object.kind.def();
    let mut record: Vec<(String, Value)> = Vec::new();
    for field in def.fields(store.version) {
        if field.name.starts_with('_') {
            continue;
        }
        let value = object.value(field.name);
        let kept = match field.shape {
            Shape::TypeName(_) | Shape::ObjectType => type_number(value),
            Shape::ObjectTypes => object.list(field.name).iter().map(type_number).collect(),
            Shape::VidRanges => vid_ranges(object.list(field.name)).into(),
            Shape::PortMappings => Value::String(value.to_string().replace(',', ", ")),
            Shape::Choice(_) if value.is_null() && store.version < Version::V4_2 => {
                blank_choice(field.name)
            }
            Shape::Decimal(places, _) => value
                .as_f64()
                .map_or(Value::Null, |number| format!("{number:.*}", places as usize).into()),
            Shape::Computed(_) if field.name == "size" => super::addresses::range_size(object),
            Shape::Terminations(end) => {
                if store.version < Version::V4_4 {
                    continue;
                }
                ends(store, object, end)
            }
            Shape::Count(..) if !counted(object.kind, field.name) => continue,
            Shape::Count(kind, by) => {
                store.referring(object.kind, object.id, kind, by).len().into()
            }
            Shape::Unkept(text) if raw(field.name) => {
                serde_json::from_str(text).unwrap_or(Value::Null)
            }
            _ if field.stored() => value.clone(),
            _ => continue,
        };
        record.push((field.name.to_owned(), kept));
    }
    if def.marked {
        let mut names: Vec<&str> = object
            .tags
            .iter()
            .filter_map(|id| store.get(Kind::Tag, *id))
            .map(|tag| tag.text("name"))
            .collect();
        names.sort_unstable();
        record.push(("tags".to_owned(), names.into()));
        record.push(("custom_fields".to_owned(), Value::Object(object.custom.clone())));
    }
    record.sort_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
    Value::Object(record.into_iter().collect::<Map<_, _>>())
}

/// Which of the numbers of an object NetBox keeps in its database.
fn counted(kind: Kind, field: &str) -> bool {
    matches!(kind, Kind::Device | Kind::VirtualMachine)
        && matches!(field, "interface_count" | "inventory_item_count" | "virtual_disk_count")
}

/// Which of the fields that are not kept stand in NetBox's database.
fn raw(field: &str) -> bool {
    !matches!(
        field,
        "config_context"
            | "parent_device"
            | "utilization"
            | "l2vpn_termination"
            | "count_fhrp_groups"
            | "circuit_count"
            | "rack_count"
            | "moduletype_count"
    )
}

/// Before 4.2 most choices that say nothing were empty texts.
fn blank_choice(field: &str) -> Value {
    match field {
        "duplex" => Value::Null,
        _ => "".into(),
    }
}

fn type_number(label: &Value) -> Value {
    label.as_str().and_then(Kind::of_label).map_or(Value::Null, |kind| kind.type_id().into())
}

/// Ranges as Django serializes them: JSON within JSON.
fn vid_ranges(ranges: &[Value]) -> String {
    let ranges: Vec<String> = ranges
        .iter()
        .map(|pair| {
            let (lower, upper) = (pair[0].as_i64().unwrap_or(0), pair[1].as_i64().unwrap_or(0) + 1);
            format!("{{\"bounds\": \"[)\", \"lower\": \"{lower}\", \"upper\": \"{upper}\"}}")
        })
        .collect();
    Value::from(ranges).to_string()
}

fn ends(store: &Store, cable: &Object, end: &str) -> Value {
    store
        .referring(Kind::Cable, cable.id, Kind::CableTermination, "cable")
        .into_iter()
        .filter(|id| {
            store
                .get(Kind::CableTermination, *id)
                .is_some_and(|termination| termination.text("cable_end") == end)
        })
        .collect()
}

/// What was or is of an object; an empty record where there is nothing.
fn told(record: Value) -> Value {
    if record.is_null() { Value::Object(Map::new()) } else { record }
}

/// Who asks, in which request.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// The user.
    pub(crate) user: String,
    /// The request.
    pub(crate) request: String,
}

/// Writes an entry, unless it would tell of no change: whether there is one.
pub(crate) fn log(
    store: &mut Store,
    asker: &Asker,
    action: Action,
    before: Value,
    object: &Object,
    message: &str,
) -> bool {
    let after = match action {
        Action::Delete => Value::Null,
        _ => record_of(store, object),
    };
    if action == Action::Update && before == after {
        return false;
    }
    let change = Change {
        time: store.clock.now(),
        user: asker.user.clone(),
        request: asker.request.clone(),
        action,
        kind: object.kind,
        id: object.id,
        name: display(store, object),
        message: message.to_owned(),
        before: told(before),
        after: told(after),
    };
    store.record(change);
    true
}
