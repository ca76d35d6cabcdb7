//! The whole way into the local inventory: what was seen, what should stand, what is
//! planned, written and remembered. What was written once is not planned again.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use netbox_agent::domain::coverage::Covered;
use netbox_agent::domain::desire::desire;
use netbox_agent::domain::diff::{Comparison, diff};
use netbox_agent::domain::matching::match_hosts;
use netbox_agent::domain::memory::{Memory, Recollection, Written};
use netbox_agent::domain::merge::merge;
use netbox_agent::domain::object::{Field, Kind, ObjectRef};
use netbox_agent::domain::observation::{
    Address, Authority, Cluster, Component, Disk, Form, Host, HostAttribute, Interface,
    InterfaceAttribute, Observation, Part, Prefix, Protocol, Segment, Service, Thing, Vlan,
};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Plan};
use netbox_agent::domain::settings::Policy;
use netbox_agent::domain::value::Value;
use netbox_agent::domain::world::Live;
use netbox_agent::progress::Silent;
use netbox_agent::store::{Local, SinkId, Store};
use tokio_util::sync::CancellationToken;

use crate::plans::{apply, assert_whole, create, on, plan, start, text};

struct House {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    local: Local,
    policy: Policy,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("store.db")).unwrap());
        let local = Local::new(Arc::clone(&store));
        House { _folder: folder, store, local, policy: Policy::of("test".parse().unwrap()) }
    }

    fn plan(&self, seen: &[Observation]) -> Plan {
        let world = self.local.everything().unwrap();
        let memory = self.recall();
        let inventory = merge(seen.to_vec(), &self.policy.ranking, &self.policy.binds);
        let covered = Covered::new(Vec::new());
        let matches = match_hosts(&inventory, &world, &memory, &covered, &self.policy);
        let (desired, _) = desire(&inventory, &matches, &world, &self.policy);
        let about = Comparison {
            inventory: &inventory,
            matches: &matches,
            world: &world,
            memory: &memory,
            ownership: &self.policy.ownership,
            instance: self.policy.instance.as_str(),
            tag: &self.policy.tag,
        };
        diff(&desired, &about).0
    }

    /// What the store remembers, as the domain needs it.
    fn recall(&self) -> Memory {
        let sink = SinkId::local();
        let objects = self.store.memory(&sink).unwrap().into_iter().map(|(object, fields)| {
            let written = fields.into_iter().map(|(field, last)| {
                let settled = last.settled.unwrap_or_else(|| last.wanted.clone());
                (field, Written { wanted: last.wanted, settled })
            });
            (object, Recollection { fields: written.collect(), ..Recollection::default() })
        });
        let bindings = self.store.bindings(&sink).unwrap().objects;
        Memory { bindings, objects: objects.collect(), ..Memory::default() }
    }

    /// Plans and writes; the second plan must be empty.
    fn sync(&self, seen: &[Observation]) -> Plan {
        let plan = self.plan(seen);
        let recorder = self.store.begin(&start()).unwrap();
        let outcomes = self.local.apply(&plan, &recorder, &Silent, &CancellationToken::new());
        let refused: Vec<String> = plan
            .changes
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| !outcome.is_applied())
            .map(|(change, outcome)| format!("{} {}: {outcome}", change.action, change.key))
            .collect();
        assert!(refused.is_empty(), "{refused:#?}");
        assert_whole(&self.local.everything().unwrap());
        let again = self.plan(seen);
        assert!(again.changes.is_empty(), "not settled: {:#?}", again.changes);
        plan
    }

    fn one(&self, kind: Kind, name: &str) -> Live {
        let world = self.local.everything().unwrap();
        let mut found = world.of(kind).filter(|object| object.name() == name);
        let one = found.next().unwrap_or_else(|| panic!("no {kind} {name}")).clone();
        assert!(found.next().is_none(), "{kind} {name} stands twice");
        one
    }

    /// What a person writes is nobody's change in the record.
    fn edit(&self, object: &Live, field: Field, value: Value) {
        let change = on(Action::Update, object.kind, object.id, &[(field, value)]);
        let outcomes = apply(&self.local, &plan(vec![change]));
        assert!(outcomes[0].is_applied(), "{outcomes:?}");
    }

    fn tags(&self, object: &Live) -> BTreeSet<String> {
        let world = self.local.everything().unwrap();
        let Value::Refs(tags) =
            world.get(object.kind, object.id).unwrap().field(Field::Tags).clone()
        else {
            panic!("no tags")
        };
        let name = |tag: &ObjectRef| world.get(Kind::Tag, tag.live_id()?).map(Live::name);
        tags.iter().filter_map(name).map(str::to_owned).collect()
    }
}

fn observation(source: &str, authority: Authority, thing: Thing) -> Observation {
    Observation {
        source: source.parse().unwrap(),
        at: Timestamp::from_second(1_000_000).unwrap(),
        authority,
        evidence: "test".into(),
        segment: Segment::default(),
        thing,
    }
}

fn host(source: &str, authority: Authority, fill: impl FnOnce(&mut Host)) -> Observation {
    let mut host = Host::default();
    fill(&mut host);
    observation(source, authority, Thing::Host(Box::new(host)))
}

fn interface(name: Option<&str>, mac: Option<&str>, addresses: &[&str]) -> Interface {
    let address = |text: &&str| match text.parse::<ipnet::IpNet>() {
        Ok(net) => Address::with_prefix(net),
        Err(_) => Address::bare(text.parse::<IpAddr>().unwrap()),
    };
    Interface {
        name: name.map(Into::into),
        mac: mac.map(|mac| mac.parse().unwrap()),
        addresses: addresses.iter().map(address).collect(),
        ..Interface::default()
    }
}

fn node() -> Observation {
    host("lab", Authority::Hypervisor, |host| {
        host.key = Some("pve:lab/node/pve1".parse().unwrap());
        host.form = Some(Form::Device);
        host.facts.text(HostAttribute::Name, "pve1");
        host.facts.text(HostAttribute::Cluster, "pve:lab");
        host.facts.text(HostAttribute::Role, "hypervisor");
        host.facts.text(HostAttribute::Serial, "7XK2JQ2");
        host.facts.text(HostAttribute::Manufacturer, "Dell");
        host.facts.text(HostAttribute::Model, "R740");
        host.facts.text(HostAttribute::Platform, "Proxmox VE 8.2");
        let mut port = interface(Some("eno1"), Some("00:1b:21:00:00:01"), &[]);
        port.facts.text(InterfaceAttribute::Lag, "bond0");
        port.facts.int(InterfaceAttribute::Mtu, 9000);
        let mut bond = interface(Some("bond0"), Some("00:1b:21:00:00:01"), &[]);
        bond.facts.text(InterfaceAttribute::Type, "lag");
        bond.facts.text(InterfaceAttribute::Bridge, "vmbr0");
        let mut bridge = interface(Some("vmbr0"), None, &["192.0.2.2/24", "2001:db8::2/64"]);
        bridge.facts.text(InterfaceAttribute::Type, "bridge");
        let mut vlan = interface(Some("vmbr0.20"), None, &["198.51.100.2/24"]);
        vlan.facts.text(InterfaceAttribute::Type, "virtual");
        vlan.facts.text(InterfaceAttribute::Parent, "vmbr0");
        vlan.facts.text(InterfaceAttribute::Mode, "access");
        vlan.facts.int(InterfaceAttribute::UntaggedVlan, 20);
        host.interfaces.extend([port, bond, bridge, vlan]);
        host.components.push(Component {
            name: "sda".into(),
            manufacturer: Some("Samsung".into()),
            serial: Some("S4EV".into()),
            ..Component::default()
        });
        host.complete.extend([Part::Interfaces, Part::Addresses, Part::Components]);
    })
}

fn guest(id: u32, name: &str, tags: &[&str], memory: i64) -> Observation {
    host("lab", Authority::Hypervisor, |host| {
        host.key = Some(format!("pve:lab/qemu/{id}").parse().unwrap());
        host.form = Some(Form::VirtualMachine);
        host.facts.text(HostAttribute::Name, name);
        host.facts.text(HostAttribute::Cluster, "pve:lab");
        host.facts.text(HostAttribute::RunsOn, "pve:lab/node/pve1");
        host.facts.text(HostAttribute::Status, "active");
        host.facts.int(HostAttribute::Memory, memory);
        host.facts.words(HostAttribute::Tags, tags);
        let mac = format!("bc:24:11:00:00:{id:02x}");
        let address = format!("192.0.2.{id}/24");
        host.interfaces.push(interface(Some("net0"), Some(&mac), &[&address]));
        host.disks.push(Disk { name: "scsi0".into(), size_mb: 32_768, description: None });
        host.services.push(Service {
            name: "https".into(),
            protocol: Protocol::Tcp,
            ports: [443].into(),
            description: None,
        });
        host.complete.extend([Part::Interfaces, Part::Disks]);
    })
}

fn network() -> Vec<Observation> {
    let cluster = Cluster {
        key: "pve:lab".parse().unwrap(),
        name: "lab".into(),
        kind: "Proxmox VE".into(),
        site: None,
    };
    let prefix = |net: &str, vlan| Prefix { net: net.parse().unwrap(), vlan, description: None };
    let vlan = Vlan { vid: 20, name: Some("iot".into()), description: None };
    let swept = interface(None, Some("00:1b:21:00:00:99"), &["192.0.2.99"]);
    vec![
        observation("lab", Authority::Hypervisor, Thing::Cluster(cluster)),
        observation("lan", Authority::Wire, Thing::Prefix(prefix("192.0.2.0/24", None))),
        observation("lan", Authority::Wire, Thing::Prefix(prefix("198.51.100.0/24", Some(20)))),
        observation("lab", Authority::Configuration, Thing::Vlan(vlan)),
        node(),
        guest(10, "web01", &["prod"], 2048),
        guest(11, "db01", &["prod", "backup"], 4096),
        host("lan", Authority::Wire, |host| host.interfaces.push(swept)),
        host("lan", Authority::Wire, |host| {
            host.interfaces.push(interface(None, None, &["192.0.2.200"]));
        }),
    ]
}

#[test]
fn a_whole_network_settles_in_one_run() {
    let house = House::new();
    let plan = house.sync(&network());
    let made: BTreeSet<Kind> = plan.changes.iter().map(|change| change.kind).collect();
    for kind in [
        Kind::Cluster,
        Kind::Device,
        Kind::VirtualMachine,
        Kind::Interface,
        Kind::VmInterface,
        Kind::MacAddress,
        Kind::IpAddress,
        Kind::Prefix,
        Kind::Vlan,
        Kind::VirtualDisk,
        Kind::InventoryItem,
        Kind::Service,
    ] {
        assert!(made.contains(&kind), "no {kind} was made");
    }
    let node = house.one(Kind::Device, "pve1");
    assert!(node.field(Field::PrimaryIp4).as_ref().is_some());
    let bond = house.one(Kind::Interface, "bond0");
    assert_eq!(house.one(Kind::Interface, "eno1").referenced(Field::Lag), Some(bond.id));
    let vlan = house.one(Kind::Interface, "vmbr0.20");
    assert!(
        vlan.referenced(Field::UntaggedVlan).is_some() && vlan.referenced(Field::Parent).is_some()
    );
}

#[test]
fn what_changes_is_written_and_nothing_else() {
    let house = House::new();
    let mut seen = network();
    house.sync(&seen);
    seen[5] = guest(10, "web01", &["prod"], 8192);
    let plan = house.sync(&seen);
    let changed: Vec<(Kind, Vec<Field>)> = plan
        .changes
        .iter()
        .map(|change| (change.kind, change.fields.iter().map(|(field, _)| *field).collect()))
        .collect();
    assert_eq!(changed, [(Kind::VirtualMachine, vec![Field::Memory])]);
}

#[test]
fn an_address_that_goes_to_another_machine_moves_there() {
    let house = House::new();
    let mut seen = network();
    house.sync(&seen);
    // web01 is gone, and its address stands on db01, beside its own.
    seen.remove(5);
    if let Thing::Host(host) = &mut seen[5].thing {
        host.interfaces[0].addresses.push(Address::with_prefix("192.0.2.10/24".parse().unwrap()));
    }
    let plan = house.sync(&seen);
    assert!(plan.changes.iter().any(|change| change.action == Action::Move), "{plan:?}");
    let address = house.one(Kind::IpAddress, "192.0.2.10/24");
    let world = house.local.everything().unwrap();
    let port = address.referenced(Field::AssignedObject).unwrap();
    let port = world.get(Kind::VmInterface, port).unwrap();
    let db = house.one(Kind::VirtualMachine, "db01");
    assert_eq!(port.referenced(Field::VirtualMachine), Some(db.id));
    assert!(house.one(Kind::VirtualMachine, "web01").field(Field::PrimaryIp4).is_blank());
}

#[test]
fn a_persons_edit_is_kept_and_is_a_conflict() {
    let house = House::new();
    let mut seen = network();
    house.sync(&seen);
    house.edit(&house.one(Kind::VirtualMachine, "web01"), Field::Memory, Value::Int(1));
    seen[5] = guest(10, "web01", &["prod"], 8192);
    let plan = house.sync(&seen);
    assert!(plan.is_empty() && plan.conflicts.len() == 1, "{plan:?}");
    assert_eq!(plan.conflicts[0].last, Some(Value::Int(2048)));
}

#[test]
fn a_persons_tags_stay_and_those_that_a_person_took_away_stay_away() {
    let house = House::new();
    let mut seen = network();
    house.sync(&seen);
    let guest_of = || house.one(Kind::VirtualMachine, "db01");
    let mine =
        apply(&house.local, &plan(vec![create(Kind::Tag, "mine", &[(Field::Name, text("mine"))])]));
    let Outcome::Applied { id: mine, .. } = mine[0] else { panic!("{mine:?}") };
    let backup = house.one(Kind::Tag, "backup").id;
    let Value::Refs(mut tags) = guest_of().field(Field::Tags).clone() else { panic!("no tags") };
    tags.insert(ObjectRef::Live(Kind::Tag, mine));
    assert!(tags.remove(&ObjectRef::Live(Kind::Tag, backup)));
    house.edit(&guest_of(), Field::Tags, Value::Refs(tags));
    // Sources bring and drop tags of their own, again and again.
    for (tags, standing) in [
        (&["prod", "backup"][..], &["mine", "netbox-agent", "prod"][..]),
        (&["prod", "backup", "new"], &["mine", "netbox-agent", "new", "prod"]),
        (&["backup", "new"], &["mine", "netbox-agent", "new"]),
        (&["backup", "mine"], &["mine", "netbox-agent"]),
        (&["backup"], &["mine", "netbox-agent"]),
    ] {
        seen[6] = guest(11, "db01", tags, 4096);
        house.sync(&seen);
        let standing: BTreeSet<String> = standing.iter().map(ToString::to_string).collect();
        assert_eq!(house.tags(&guest_of()), standing, "after {tags:?}");
    }
}
