//! Plans to apply: the prerequisites, small networks of hosts, single changes.

use netbox_agent::domain::desire::MARKS;
use netbox_agent::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use netbox_agent::domain::plan::{Action, Change, FieldChange, Plan};
use netbox_agent::domain::value::{SmallMap, Value};
use netbox_agent::domain::world::{Live, World};

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

pub(crate) fn change(action: Action, kind: Kind, name: &str, entries: &[(Field, Value)]) -> Change {
    let fields: SmallMap<Field, FieldChange> = entries
        .iter()
        .map(|(field, after)| {
            let why = Why::Rule("test".into());
            (*field, FieldChange { before: Value::Null, after: after.clone(), why })
        })
        .collect();
    Change {
        action,
        kind,
        key: key(kind, name),
        id: None,
        label: name.into(),
        stamp: None,
        fields,
        unseat: Vec::new(),
        reason: "".into(),
    }
}

pub(crate) fn create(kind: Kind, name: &str, entries: &[(Field, Value)]) -> Change {
    change(Action::Create, kind, name, entries)
}

/// A change of an object as it stands.
pub(crate) fn on(action: Action, stands: &Live, entries: &[(Field, Value)]) -> Change {
    let mut change = change(action, stands.kind, &stands.id.to_string(), entries);
    change.id = Some(stands.id);
    change.stamp.clone_from(&stands.stamp);
    change.fields = change
        .fields
        .iter()
        .map(|(field, of)| {
            (*field, FieldChange { before: stands.field(*field).clone(), ..of.clone() })
        })
        .collect();
    change
}

pub(crate) fn plan(changes: Vec<Change>) -> Plan {
    Plan { changes, ..Plan::default() }
}

/// Puts the agent's marks on everything that a plan makes.
pub(crate) fn marked(mut changes: Vec<Change>, instance: &str) -> Vec<Change> {
    let made = |change: &&mut Change| change.action == Action::Create && change.kind.is_marked();
    for change in changes.iter_mut().filter(made) {
        let name = change.key.as_str().split_once(':').unwrap().1.to_owned();
        let marks = [(Field::AgentKey, name.as_str()), (Field::AgentInstance, instance)];
        for (field, mark) in marks {
            let why = Why::Agent("its mark".into());
            change
                .fields
                .insert(field, FieldChange { before: Value::Null, after: text(mark), why });
        }
    }
    changes
}

/// The custom fields that the agent's marks need, as far as they do not stand yet.
pub(crate) fn prerequisites(world: &World) -> Vec<Change> {
    MARKS
        .iter()
        .filter_map(|mark| {
            let kinds: Vec<&str> = match mark.refers_to {
                Some(kind) => vec![kind.as_str()],
                None => Kind::ALL
                    .iter()
                    .filter(|kind| kind.is_marked() && world.supported.contains(*kind))
                    .map(|kind| kind.as_str())
                    .collect(),
            };
            let stands = world
                .of(Kind::CustomField)
                .any(|live| live.field(Field::Name).as_text() == Some(mark.name));
            let mut entries = vec![
                (Field::Name, text(mark.name)),
                (Field::Label, text(mark.label)),
                (Field::Description, text(mark.description)),
                (Field::GroupName, text("netbox-agent")),
                (Field::Type, text(if mark.refers_to.is_some() { "object" } else { "text" })),
                (Field::ObjectTypes, Value::words(kinds)),
            ];
            if let Some(kind) = mark.refers_to {
                entries.push((Field::RelatedType, text(kind.as_str())));
            }
            (!stands).then(|| create(Kind::CustomField, mark.name, &entries))
        })
        .collect()
}

/// What a network of hosts refers to: one of each, named after `word`.
pub(crate) fn ground(word: &str) -> Vec<Change> {
    let name = |what: &str| (Field::Name, text(&format!("{word}-{what}")));
    let slug = |what: &str| (Field::Slug, text(&format!("{word}-{what}")));
    vec![
        create(Kind::Tag, "agent", &[name("agent"), slug("agent")]),
        create(Kind::Manufacturer, "maker", &[name("maker"), slug("maker")]),
        create(
            Kind::DeviceRole,
            "role",
            &[name("role"), slug("role"), (Field::Color, text("9e9e9e"))],
        ),
        create(Kind::Site, "site", &[name("site"), slug("site"), (Field::Status, text("active"))]),
        create(Kind::Vrf, "vrf", &[name("vrf")]),
        create(
            Kind::DeviceType,
            "model",
            &[
                (Field::Model, text(&format!("{word}-model"))),
                slug("model"),
                (Field::Manufacturer, planned(Kind::Manufacturer, "maker")),
            ],
        ),
    ]
}

/// A device with an interface, a MAC address and an IP address, each the primary one.
pub(crate) fn host(word: &str, number: usize, has_macs: bool) -> Vec<Change> {
    let name = format!("{word}-{number:04}");
    let tags = Value::Refs([ObjectRef::Planned(Kind::Tag, key(Kind::Tag, "agent"))].into());
    let mac = format!("00:1b:21:00:{:02x}:{:02x}", number / 256, number % 256);
    let ip = format!("10.9.{}.{}/16", number / 250, number % 250 + 1);
    let primary_mac = match has_macs {
        true => (Field::PrimaryMac, planned(Kind::MacAddress, &name)),
        false => (Field::MacAddress, text(&mac)),
    };
    let mut changes = vec![
        create(
            Kind::Device,
            &name,
            &[
                (Field::Name, text(&name)),
                (Field::Status, text("active")),
                (Field::Site, planned(Kind::Site, "site")),
                (Field::Role, planned(Kind::DeviceRole, "role")),
                (Field::DeviceType, planned(Kind::DeviceType, "model")),
                (Field::Tags, tags),
                (Field::PrimaryIp4, planned(Kind::IpAddress, &name)),
            ],
        ),
        create(
            Kind::Interface,
            &name,
            &[
                (Field::Name, text("eth0")),
                (Field::Type, text("other")),
                (Field::Device, planned(Kind::Device, &name)),
                primary_mac,
            ],
        ),
        create(
            Kind::IpAddress,
            &name,
            &[
                (Field::Address, text(&ip)),
                (Field::Status, text("active")),
                (Field::Vrf, planned(Kind::Vrf, "vrf")),
                (Field::AssignedObject, planned(Kind::Interface, &name)),
            ],
        ),
        create(
            Kind::Service,
            &name,
            &[
                (Field::Name, text("ssh")),
                (Field::Protocol, text("tcp")),
                (Field::Ports, Value::Ints([22].into())),
                (Field::Parent, planned(Kind::Device, &name)),
            ],
        ),
    ];
    if has_macs {
        changes.push(create(
            Kind::MacAddress,
            &name,
            &[
                (Field::MacAddress, text(&mac)),
                (Field::AssignedObject, planned(Kind::Interface, &name)),
            ],
        ));
    }
    changes
}

/// A network of hosts with everything that it refers to, marked as an agent's own.
pub(crate) fn network(word: &str, hosts: usize, world: &World, instance: &str) -> Plan {
    let has_macs = world.supported.contains(&Kind::MacAddress);
    let mut changes = prerequisites(world);
    changes.extend(ground(word));
    changes.extend((0..hosts).flat_map(|number| host(word, number, has_macs)));
    plan(marked(changes, instance))
}
