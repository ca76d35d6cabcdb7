//! Plans to apply: a small network of hosts, and single changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use netbox_agent::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Change, FieldChange, Plan};
use netbox_agent::domain::value::{SmallMap, Value};
use netbox_agent::domain::world::{Live, World};
use netbox_agent::progress::Silent;
use netbox_agent::store::{
    Landed, Local, PendingIntent, Recovered, RunEnd, RunStart, SinkId, Store,
};
use tokio_util::sync::CancellationToken;

pub(crate) fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, name)
}

pub(crate) fn text(text: &str) -> Value {
    Value::text(text)
}

pub(crate) fn planned(kind: Kind, name: &str) -> Value {
    Value::Ref(ObjectRef::Planned(kind, key(kind, name)))
}

pub(crate) fn live(kind: Kind, id: u64) -> Value {
    Value::Ref(ObjectRef::Live(kind, id))
}

pub(crate) fn fields(entries: &[(Field, Value)]) -> SmallMap<Field, FieldChange> {
    let entries = entries.iter().map(|(field, after)| {
        let change = FieldChange {
            before: Value::Null,
            after: after.clone(),
            why: Why::Rule("test".into()),
        };
        (*field, change)
    });
    entries.collect()
}

pub(crate) fn change(action: Action, kind: Kind, name: &str, entries: &[(Field, Value)]) -> Change {
    Change {
        action,
        kind,
        key: key(kind, name),
        id: None,
        label: name.into(),
        stamp: None,
        fields: fields(entries),
        unseat: Vec::new(),
        reason: "".into(),
    }
}

pub(crate) fn create(kind: Kind, name: &str, entries: &[(Field, Value)]) -> Change {
    change(Action::Create, kind, name, entries)
}

pub(crate) fn on(action: Action, kind: Kind, id: u64, entries: &[(Field, Value)]) -> Change {
    Change { id: Some(id), ..change(action, kind, &id.to_string(), entries) }
}

pub(crate) fn plan(changes: Vec<Change>) -> Plan {
    Plan { changes, ..Plan::default() }
}

/// Everything that a small network needs: for each host a device with an
/// interface, a MAC address and an IP address, each the primary one.
pub(crate) fn network(hosts: usize) -> Vec<Change> {
    let mut wanted = vec![
        create(Kind::Tag, "agent", &[(Field::Name, text("agent"))]),
        create(Kind::Manufacturer, "acme", &[(Field::Name, text("Acme"))]),
        create(Kind::DeviceRole, "server", &[(Field::Name, text("Server"))]),
        create(Kind::Site, "home", &[(Field::Name, text("Home"))]),
        create(
            Kind::DeviceType,
            "box",
            &[
                (Field::Model, text("Box")),
                (Field::Manufacturer, planned(Kind::Manufacturer, "acme")),
            ],
        ),
    ];
    for host in 0..hosts {
        wanted.extend(one_host(host));
    }
    for change in &mut wanted {
        let mark = FieldChange {
            before: Value::Null,
            after: text(change.key.as_str()),
            why: Why::Agent("mark".into()),
        };
        change.fields.insert(Field::AgentKey, mark);
    }
    wanted
}

fn one_host(number: usize) -> [Change; 4] {
    let (name, port) = (format!("host{number:04}"), format!("host{number:04}#eth0"));
    let tags = [ObjectRef::Planned(Kind::Tag, key(Kind::Tag, "agent"))];
    let ip = format!("10.0.{}.{}/16", number / 250, number % 250 + 1);
    let mac = format!("00:1b:21:00:{:02x}:{:02x}", number / 256, number % 256);
    [
        create(
            Kind::Device,
            &name,
            &[
                (Field::Name, text(&name)),
                (Field::Site, planned(Kind::Site, "home")),
                (Field::Role, planned(Kind::DeviceRole, "server")),
                (Field::DeviceType, planned(Kind::DeviceType, "box")),
                (Field::Tags, Value::Refs(tags.into())),
                (Field::PrimaryIp4, planned(Kind::IpAddress, &name)),
            ],
        ),
        create(
            Kind::Interface,
            &port,
            &[
                (Field::Name, text("eth0")),
                (Field::Device, planned(Kind::Device, &name)),
                (Field::PrimaryMac, planned(Kind::MacAddress, &name)),
            ],
        ),
        create(
            Kind::MacAddress,
            &name,
            &[
                (Field::MacAddress, text(&mac)),
                (Field::AssignedObject, planned(Kind::Interface, &port)),
            ],
        ),
        create(
            Kind::IpAddress,
            &name,
            &[
                (Field::Address, text(&ip)),
                (Field::AssignedObject, planned(Kind::Interface, &port)),
            ],
        ),
    ]
}

fn by_key(world: &World) -> BTreeMap<ObjectKey, &Live> {
    let marked = world.iter().filter_map(|live| {
        let key = live.field(Field::AgentKey).as_text()?;
        Some((ObjectKey(key.into()), live))
    });
    marked.collect()
}

/// References to what stands already, by the objects' marks.
fn settle_refs(value: &Value, stand: &BTreeMap<ObjectKey, &Live>) -> Value {
    let one = |reference: &ObjectRef| match reference {
        ObjectRef::Planned(kind, key) => {
            stand.get(key).map_or_else(|| reference.clone(), |live| ObjectRef::Live(*kind, live.id))
        }
        ObjectRef::Live(..) => reference.clone(),
    };
    match value {
        Value::Ref(reference) => Value::Ref(one(reference)),
        Value::Refs(all) => Value::Refs(all.iter().map(one).collect()),
        other => other.clone(),
    }
}

/// What of the wanted objects is not as it should be.
pub(crate) fn difference(world: &World, wanted: &[Change]) -> Plan {
    let stand = by_key(world);
    let mut changes = Vec::new();
    for wish in wanted {
        let mut change = wish.clone();
        let entries = wish.fields.iter().map(|(field, of_field)| {
            let after = settle_refs(&of_field.after, &stand);
            (*field, FieldChange { after, ..of_field.clone() })
        });
        change.fields = entries.collect();
        if let Some(live) = stand.get(&wish.key) {
            change.action = Action::Update;
            change.id = Some(live.id);
            change.stamp.clone_from(&live.stamp);
            let differs = change
                .fields
                .into_iter()
                .filter(|(field, of_field)| of_field.after != *live.field(*field));
            change.fields = differs.collect();
        }
        if change.action == Action::Create || !change.fields.is_empty() {
            changes.push(change);
        }
    }
    plan(changes)
}

/// What became of a change that was in doubt, by what stands.
pub(crate) fn landed(world: &World, intent: &PendingIntent) -> Recovered {
    let stand = by_key(world);
    let found = match intent.id {
        Some(id) => world.get(intent.change.kind, id),
        None => stand.get(&intent.change.key).copied(),
    };
    let landed = found.map_or(Landed::Nothing, |live| {
        let sent = intent.steps.iter().flat_map(|step| &step.fields);
        let as_sent = sent.filter_map(|field| {
            let after = settle_refs(&intent.change.fields.get(field)?.after, &stand);
            (after == *live.field(*field)).then_some((*field, after))
        });
        Landed::Stands { id: live.id, fields: as_sent.collect() }
    });
    Recovered { run: intent.run, place: intent.place, landed, decided: true }
}

pub(crate) fn start() -> RunStart {
    RunStart {
        instance: "test".into(),
        sink: SinkId::local(),
        purpose: "sync".into(),
        version: "0".into(),
        dry_run: false,
        started: Timestamp::UNIX_EPOCH,
    }
}

/// One whole run: what was in doubt is settled, then what differs is written.
pub(crate) fn sync(store: &Arc<Store>, wanted: &[Change]) -> (Plan, Vec<Outcome>) {
    let local = Local::new(Arc::clone(store));
    let world = local.everything().unwrap();
    let pending = store.pending_intents(&SinkId::local()).unwrap();
    let recovered: Vec<Recovered> = pending.iter().map(|intent| landed(&world, intent)).collect();
    store.recover(&SinkId::local(), &recovered).unwrap();
    let plan = difference(&world, wanted);
    let recorder = store.begin(&start()).unwrap();
    let outcomes = local.apply(&plan, &recorder, &Silent, &CancellationToken::new());
    let end = RunEnd {
        ended: Timestamp::UNIX_EPOCH,
        result: "done".into(),
        planned: plan.changes.len() as u64,
        conflicts: 0,
    };
    // On a full disk there is no room for the end either.
    let _ = recorder.finish(&end);
    (plan, outcomes)
}

/// Applies a plan with no record of it.
pub(crate) fn apply(local: &Local, plan: &Plan) -> Vec<Outcome> {
    local.apply(plan, &Forgetful, &Silent, &CancellationToken::new())
}

/// A journal that keeps nothing.
pub(crate) struct Forgetful;

impl netbox_agent::journal::Journal for Forgetful {
    fn intend(
        &self,
        _: &[(&Change, &netbox_agent::domain::plan::Step)],
    ) -> Result<(), netbox_agent::journal::JournalError> {
        Ok(())
    }

    fn made(
        &self,
        _: Kind,
        _: &ObjectKey,
        _: u64,
    ) -> Result<(), netbox_agent::journal::JournalError> {
        Ok(())
    }

    fn settle(
        &self,
        _: usize,
        _: &Change,
        _: &Outcome,
    ) -> Result<(), netbox_agent::journal::JournalError> {
        Ok(())
    }
}

/// Checks that nothing in a world refers to what does not stand.
pub(crate) fn assert_whole(world: &World) {
    for object in world.iter() {
        for (field, value) in object.fields.iter() {
            let references: Vec<&ObjectRef> = match value {
                Value::Ref(reference) => vec![reference],
                Value::Refs(all) => all.iter().collect(),
                _ => Vec::new(),
            };
            for reference in references {
                let id = reference.live_id().expect("only what stands is referred to");
                assert!(
                    world.get(reference.kind(), id).is_some(),
                    "{} {} has a {field} that does not stand: {reference}",
                    object.kind,
                    object.id
                );
            }
        }
    }
}
