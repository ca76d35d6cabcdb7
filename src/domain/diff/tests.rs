//! The whole way from observations to a plan, against a sink that does what a plan
//! says: what is applied once is never planned again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::domain::coverage::{Coverage, Covered, Scope};
use crate::domain::desire::desire;
use crate::domain::diff::{Comparison, diff};
use crate::domain::matching::match_hosts;
use crate::domain::memory::{Memory, Written};
use crate::domain::merge::merge;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::observation::{
    Address, Authority, Cluster, Disk, Form, Host, HostAttribute, Interface, InterfaceAttribute,
    Observation, Part, Prefix, Segment, Thing,
};
use crate::domain::plan::{Action, Change, Plan, waves};
use crate::domain::settings::Policy;
use crate::domain::value::{SmallMap, Value};
use crate::domain::world::{Live, World};

/// A sink with a memory, and the agent that writes into it.
struct Lab {
    world: World,
    memory: Memory,
    policy: Policy,
    covered: Vec<Coverage>,
    next: u64,
}

/// Which fields a kind has here; what is not listed is not read.
fn fields_of(kind: Kind) -> Vec<Field> {
    let mut fields = vec![Field::Tags, Field::AgentKey, Field::AgentSource, Field::AgentInstance];
    fields.extend(match kind {
        Kind::Tag => vec![Field::Name, Field::Slug],
        Kind::CustomField => vec![Field::Name, Field::Type, Field::ObjectTypes, Field::Label],
        Kind::Device => vec![
            Field::Name,
            Field::Status,
            Field::Site,
            Field::Location,
            Field::Tenant,
            Field::DeviceType,
            Field::Role,
            Field::Platform,
            Field::Serial,
            Field::Cluster,
            Field::PrimaryIp4,
            Field::PrimaryIp6,
            Field::Description,
            Field::Comments,
            Field::Via,
            Field::AssetTag,
        ],
        Kind::VirtualMachine => vec![
            Field::Name,
            Field::Status,
            Field::Site,
            Field::Tenant,
            Field::Role,
            Field::Platform,
            Field::Cluster,
            Field::Device,
            Field::Vcpus,
            Field::Memory,
            Field::Disk,
            Field::PrimaryIp4,
            Field::PrimaryIp6,
            Field::Description,
            Field::Comments,
        ],
        Kind::Interface | Kind::VmInterface => vec![
            Field::Device,
            Field::VirtualMachine,
            Field::Name,
            Field::Type,
            Field::Enabled,
            Field::Mtu,
            Field::Parent,
            Field::Bridge,
            Field::Lag,
            Field::Mode,
            Field::UntaggedVlan,
            Field::TaggedVlans,
            Field::PrimaryMac,
            Field::Description,
            Field::Speed,
        ],
        _ => Field::ALL.to_vec(),
    });
    fields
}

impl Lab {
    fn new() -> Self {
        let mut world = World::default();
        world.read.extend(Kind::ALL);
        world.supported.extend(Kind::ALL);
        world.marked.extend(Kind::ALL);
        Lab {
            world,
            memory: Memory::default(),
            policy: Policy::of("test".parse().unwrap()),
            covered: Vec::new(),
            next: 1,
        }
    }

    fn plan(&self, observations: &[Observation]) -> (Plan, BTreeMap<String, (Kind, u64)>) {
        let inventory = merge(observations.to_vec(), &self.policy.ranking, &self.policy.binds);
        let covered = Covered::new(self.covered.clone());
        let matches = match_hosts(&inventory, &self.world, &self.memory, &covered, &self.policy);
        let (desired, _) = desire(&inventory, &matches, &self.world, &self.policy);
        let about = Comparison {
            inventory: &inventory,
            matches: &matches,
            world: &self.world,
            memory: &self.memory,
            ownership: &self.policy.ownership,
            instance: self.policy.instance.as_str(),
            tag: &self.policy.tag,
        };
        let (plan, resolved) = diff(&desired, &about);
        let keys =
            resolved.standing().map(|(key, kind, id)| (key.to_string(), (kind, id))).collect();
        (plan, keys)
    }

    /// Plans and applies; the second plan must be empty.
    fn run(&mut self, observations: &[Observation]) -> Plan {
        let (plan, _) = self.plan(observations);
        self.apply(&plan);
        let (again, _) = self.plan(observations);
        assert!(again.changes.is_empty(), "not settled: {:#?}", again.changes);
        plan
    }

    fn apply(&mut self, plan: &Plan) {
        let mut made = BTreeMap::new();
        for wave in waves(plan) {
            for step in wave.steps {
                let change = &plan.changes[step.change];
                let id =
                    change.id.or_else(|| made.get(&change.key).copied()).unwrap_or_else(|| {
                        self.next += 1;
                        self.next
                    });
                made.insert(change.key.clone(), id);
                self.write(change, id, &step.fields, &made);
            }
        }
    }

    fn write(
        &mut self,
        change: &Change,
        id: u64,
        fields: &[Field],
        made: &BTreeMap<crate::domain::object::ObjectKey, u64>,
    ) {
        for seat in &change.unseat {
            let mut holder =
                self.world.get(seat.holder.kind(), seat.holder.live_id().unwrap()).unwrap().clone();
            holder.fields.insert(seat.field, Value::Null);
            self.world.insert(holder);
        }
        let mut live = self.world.get(change.kind, id).cloned().unwrap_or_else(|| Live {
            kind: change.kind,
            id,
            fields: fields_of(change.kind).into_iter().map(|field| (field, Value::Null)).collect(),
            stamp: None,
        });
        let solid = |reference: &ObjectRef| match reference {
            ObjectRef::Planned(kind, key) => {
                ObjectRef::Live(*kind, *made.get(key).expect("a step before it made it"))
            }
            live => live.clone(),
        };
        for field in fields {
            let after = match &change.fields.get(field).unwrap().after {
                Value::Ref(reference) => Value::Ref(solid(reference)),
                Value::Refs(refs) => Value::Refs(refs.iter().map(solid).collect()),
                other => other.clone(),
            };
            let known = self.memory.objects.entry((change.kind, id)).or_default();
            known.fields.insert(*field, Written { wanted: after.clone(), settled: after.clone() });
            live.fields.insert(*field, after);
        }
        self.world.insert(live);
    }

    fn person(&mut self, kind: Kind, fields: &[(Field, Value)]) -> u64 {
        self.next += 1;
        let mut all: SmallMap<Field, Value> =
            fields_of(kind).into_iter().map(|field| (field, Value::Null)).collect();
        for (field, value) in fields {
            all.insert(*field, value.clone());
        }
        self.world.insert(Live { kind, id: self.next, fields: all, stamp: None });
        self.next
    }

    fn edit(&mut self, kind: Kind, id: u64, field: Field, value: Value) {
        let mut live = self.world.get(kind, id).unwrap().clone();
        live.fields.insert(field, value);
        self.world.insert(live);
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        let mut names: Vec<String> =
            self.world.of(kind).map(|live| live.name().to_owned()).collect();
        names.sort();
        names
    }

    fn one(&self, kind: Kind, name: &str) -> &Live {
        let mut found = self.world.of(kind).filter(|live| live.name() == name);
        let one =
            found.next().unwrap_or_else(|| panic!("no {kind} {name}: {:?}", self.names(kind)));
        assert!(found.next().is_none(), "{kind} {name} stands twice");
        one
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

fn wire(mac: &str, ip: &str) -> Observation {
    host("lan", Authority::Wire, |host| host.interfaces.push(interface(None, Some(mac), &[ip])))
}

fn cluster() -> Observation {
    let cluster = Cluster {
        key: "pve:lab".parse().unwrap(),
        name: "lab".into(),
        kind: "Proxmox VE".into(),
        site: None,
    };
    observation("lab", Authority::Hypervisor, Thing::Cluster(cluster))
}

fn guest(id: &str, name: &str, mac: &str, addresses: &[&str]) -> Observation {
    host("lab", Authority::Hypervisor, |host| {
        host.key = Some(id.parse().unwrap());
        host.form = Some(Form::Container);
        host.facts.text(HostAttribute::Name, name);
        host.facts.text(HostAttribute::Cluster, "pve:lab");
        host.facts.text(HostAttribute::Status, "active");
        host.facts.int(HostAttribute::Memory, 512);
        host.interfaces.push(interface(Some("eth0"), Some(mac), addresses));
        host.disks.push(Disk { name: "rootfs".into(), size_mb: 8192, description: None });
        host.complete.extend([Part::Interfaces, Part::Disks]);
    })
}

fn prefix(net: &str) -> Observation {
    let prefix = Prefix { net: net.parse().unwrap(), vlan: None, description: None };
    observation("lan", Authority::Wire, Thing::Prefix(prefix))
}

const MAC_A: &str = "bc:24:11:00:00:0a";
const MAC_B: &str = "bc:24:11:00:00:0b";

#[test]
fn a_swept_host_becomes_a_device_with_everything_that_belongs_to_it() {
    let mut lab = Lab::new();
    lab.run(&[wire("00:1b:21:00:00:01", "192.0.2.5"), prefix("192.0.2.0/24")]);
    let device = lab.one(Kind::Device, "00:1b:21:00:00:01");
    assert!(device.field(Field::PrimaryIp4).as_ref().is_some());
    lab.one(Kind::IpAddress, "192.0.2.5/24");
    lab.one(Kind::MacAddress, "00:1b:21:00:00:01");
    lab.one(Kind::Prefix, "192.0.2.0/24");
    lab.one(Kind::Site, "Main");
}

#[test]
fn a_guest_stands_in_its_cluster_with_its_sources_fused() {
    let mut lab = Lab::new();
    lab.run(&[
        cluster(),
        guest("pve:lab/lxc/100", "plex", MAC_A, &[]),
        wire(MAC_A, "192.0.2.7"),
        prefix("192.0.2.0/24"),
    ]);
    let guest = lab.one(Kind::VirtualMachine, "plex");
    assert!(guest.referenced(Field::Cluster).is_some());
    assert!(guest.field(Field::PrimaryIp4).as_ref().is_some());
    assert_eq!(lab.names(Kind::Device).len(), 0);
    assert_eq!(lab.names(Kind::VmInterface), ["eth0"]);
    assert_eq!(
        lab.one(Kind::IpAddress, "192.0.2.7/24").field(Field::DnsName),
        &Value::text("plex")
    );
}

#[test]
fn a_rename_is_one_field_of_one_object() {
    let mut lab = Lab::new();
    lab.run(&[cluster(), guest("pve:lab/lxc/100", "old", MAC_A, &["192.0.2.7/24"])]);
    let plan = lab.run(&[cluster(), guest("pve:lab/lxc/100", "new", MAC_A, &["192.0.2.7/24"])]);
    let changed: Vec<_> = plan.changes.iter().map(|change| (change.kind, change.action)).collect();
    assert_eq!(
        changed,
        [(Kind::VirtualMachine, Action::Update), (Kind::IpAddress, Action::Update)]
    );
    assert_eq!(lab.names(Kind::VirtualMachine), ["new"]);
}

#[test]
fn a_persons_edits_survive_and_are_conflicts() {
    let mut lab = Lab::new();
    let seen = [cluster(), guest("pve:lab/lxc/100", "plex", MAC_A, &["192.0.2.7/24"])];
    lab.run(&seen);
    let id = lab.one(Kind::VirtualMachine, "plex").id;
    lab.edit(Kind::VirtualMachine, id, Field::Name, Value::text("Plex Media"));
    lab.edit(Kind::VirtualMachine, id, Field::Memory, Value::Null);
    let (plan, _) = lab.plan(&seen);
    assert!(plan.changes.is_empty(), "{:?}", plan.changes);
    let fields: Vec<Field> = plan.conflicts.iter().map(|conflict| conflict.field).collect();
    assert_eq!(fields, [Field::Name, Field::Memory]);
}

#[test]
fn tags_are_owned_one_by_one() {
    let mut lab = Lab::new();
    let tagged = |tags: &[&str]| {
        let mut seen = guest("pve:lab/lxc/100", "plex", MAC_A, &[]);
        if let Thing::Host(host) = &mut seen.thing {
            host.facts.words(HostAttribute::Tags, tags);
        }
        [cluster(), seen]
    };
    lab.run(&tagged(&["media", "prod"]));
    let mine = lab.person(
        Kind::Tag,
        &[(Field::Name, Value::text("mine")), (Field::Slug, Value::text("mine"))],
    );
    let guest = lab.one(Kind::VirtualMachine, "plex");
    let (id, before) = (guest.id, guest.field(Field::Tags).clone());
    let Value::Refs(mut refs) = before else { panic!("no tags") };
    let media = lab.one(Kind::Tag, "media").id;
    refs.insert(ObjectRef::Live(Kind::Tag, mine));
    refs.remove(&ObjectRef::Live(Kind::Tag, media));
    lab.edit(Kind::VirtualMachine, id, Field::Tags, Value::Refs(refs));
    // A person added one and took one away; the source drops another and brings a new one.
    let (plan, _) = lab.plan(&tagged(&["media", "new"]));
    lab.apply(&plan);
    let Value::Refs(after) = lab.one(Kind::VirtualMachine, "plex").field(Field::Tags).clone()
    else {
        panic!("no tags")
    };
    let names: Vec<&str> = after
        .iter()
        .map(|tag| lab.world.get(Kind::Tag, tag.live_id().unwrap()).unwrap().name())
        .collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    assert_eq!(names, ["mine", "netbox-agent", "new"]);
}

#[test]
fn what_a_person_made_is_only_filled() {
    let mut lab = Lab::new();
    let site = lab.person(
        Kind::Site,
        &[(Field::Name, Value::text("Main")), (Field::Slug, Value::text("main"))],
    );
    let id = lab.person(
        Kind::Device,
        &[
            (Field::Name, Value::text("nas")),
            (Field::Status, Value::text("planned")),
            (Field::Site, Value::Ref(ObjectRef::Live(Kind::Site, site))),
        ],
    );
    let seen = [host("snmp", Authority::Own, |host| {
        host.facts.text(HostAttribute::Name, "nas");
        host.facts.text(HostAttribute::Serial, "7XK2JQ2");
        host.facts.text(HostAttribute::Manufacturer, "Dell");
        host.facts.text(HostAttribute::Status, "active");
        host.interfaces.push(interface(Some("eth0"), Some("00:1b:21:00:00:01"), &["192.0.2.5/24"]));
    })];
    lab.run(&seen);
    assert_eq!(lab.names(Kind::Device), ["nas"]);
    let device = lab.world.get(Kind::Device, id).unwrap();
    assert_eq!(device.field(Field::Serial), &Value::text("7XK2JQ2"));
    assert_eq!(device.field(Field::Status), &Value::text("planned"));
    lab.one(Kind::Interface, "eth0");
}

#[test]
fn a_reused_address_moves_off_the_guest_that_held_it_as_primary() {
    let mut lab = Lab::new();
    lab.run(&[
        cluster(),
        guest("pve:lab/lxc/100", "old", MAC_A, &["192.0.2.7/24"]),
        guest("pve:lab/lxc/101", "new", MAC_B, &[]),
    ]);
    let plan = lab.run(&[
        cluster(),
        guest("pve:lab/lxc/100", "old", MAC_A, &[]),
        guest("pve:lab/lxc/101", "new", MAC_B, &["192.0.2.7/24"]),
    ]);
    let moved = plan.changes.iter().find(|change| change.action == Action::Move).unwrap();
    assert_eq!(moved.unseat.len(), 1);
    assert_eq!(lab.names(Kind::IpAddress).len(), 1);
    assert!(lab.one(Kind::VirtualMachine, "new").referenced(Field::PrimaryIp4).is_some());
    assert!(lab.one(Kind::VirtualMachine, "old").referenced(Field::PrimaryIp4).is_none());
}

#[test]
fn a_nic_swap_changes_the_mac_in_place() {
    let mut lab = Lab::new();
    lab.run(&[cluster(), guest("pve:lab/lxc/100", "plex", MAC_A, &["192.0.2.7/24"])]);
    lab.run(&[cluster(), guest("pve:lab/lxc/100", "plex", MAC_B, &["192.0.2.7/24"])]);
    assert_eq!(lab.names(Kind::MacAddress), [MAC_B]);
    assert_eq!(lab.names(Kind::VmInterface), ["eth0"]);
}

#[test]
fn a_guest_that_is_made_again_under_its_name_keeps_its_object() {
    let mut lab = Lab::new();
    lab.run(&[cluster(), guest("pve:lab/lxc/100", "plex", MAC_A, &[])]);
    let id = lab.one(Kind::VirtualMachine, "plex").id;
    let again = [cluster(), guest("pve:lab/lxc/200", "plex", MAC_B, &[])];
    // Until the listing is proven whole, the old one may still be there.
    let (plan, _) = lab.plan(&again);
    assert!(
        plan.changes.iter().all(|change| change.kind != Kind::VirtualMachine),
        "{:?}",
        plan.changes
    );
    lab.covered = vec![Coverage {
        source: "lab".parse().unwrap(),
        scope: Scope::Keys("pve:lab/".into()),
        method: "listing".into(),
        gap: None,
    }];
    lab.run(&again);
    assert_eq!(lab.one(Kind::VirtualMachine, "plex").id, id);
}

#[test]
fn two_guests_of_one_name_both_stand() {
    let mut lab = Lab::new();
    lab.run(&[
        cluster(),
        guest("pve:lab/lxc/100", "web", MAC_A, &[]),
        guest("pve:lab/lxc/101", "web", MAC_B, &[]),
    ]);
    assert_eq!(lab.names(Kind::VirtualMachine), ["web", "web (101)"]);
}

#[test]
fn an_object_with_nothing_but_an_address_is_left_to_a_person() {
    let mut lab = Lab::new();
    let device = lab.person(Kind::Device, &[(Field::Name, Value::text("Printer"))]);
    let interface_id = lab.person(
        Kind::Interface,
        &[
            (Field::Name, Value::text("lan")),
            (Field::Device, Value::Ref(ObjectRef::Live(Kind::Device, device))),
        ],
    );
    lab.person(
        Kind::IpAddress,
        &[
            (Field::Address, Value::text("192.0.2.50/24")),
            (Field::Status, Value::text("active")),
            (Field::AssignedObject, Value::Ref(ObjectRef::Live(Kind::Interface, interface_id))),
        ],
    );
    let (plan, _) = lab.plan(&[wire("00:1b:21:00:00:01", "192.0.2.50")]);
    assert!(plan.changes.is_empty(), "{:?}", plan.changes);
}

#[test]
fn losing_the_store_makes_no_duplicate() {
    let mut lab = Lab::new();
    let seen = [
        cluster(),
        guest("pve:lab/lxc/100", "plex", MAC_A, &["192.0.2.7/24"]),
        wire("00:1b:21:00:00:01", "192.0.2.5"),
        prefix("192.0.2.0/24"),
    ];
    lab.run(&seen);
    lab.memory = Memory::default();
    let (plan, _) = lab.plan(&seen);
    assert!(plan.changes.is_empty(), "{:#?}", plan.changes);
}

#[test]
fn a_vlan_of_a_guest_is_made_once_and_used() {
    let mut lab = Lab::new();
    let mut seen = guest("pve:lab/lxc/100", "plex", MAC_A, &[]);
    if let Thing::Host(host) = &mut seen.thing {
        host.interfaces[0].facts.int(InterfaceAttribute::UntaggedVlan, 20);
        host.interfaces[0].facts.text(InterfaceAttribute::Mode, "access");
    }
    lab.run(&[cluster(), seen]);
    let vlan = lab.one(Kind::Vlan, "VLAN 20").id;
    assert_eq!(lab.one(Kind::VmInterface, "eth0").referenced(Field::UntaggedVlan), Some(vlan));
}

#[test]
fn a_cluster_stands_where_its_nodes_stand_already() {
    let mut lab = Lab::new();
    let home = lab.person(
        Kind::Site,
        &[(Field::Name, Value::text("Home")), (Field::Slug, Value::text("home"))],
    );
    let at_home = Value::Ref(ObjectRef::Live(Kind::Site, home));
    lab.person(Kind::Device, &[(Field::Name, Value::text("pve1")), (Field::Site, at_home.clone())]);
    let node = host("lab", Authority::Hypervisor, |host| {
        host.key = Some("pve:lab/node/pve1".parse().unwrap());
        host.form = Some(Form::Device);
        host.facts.text(HostAttribute::Name, "pve1");
        host.facts.text(HostAttribute::Cluster, "pve:lab");
    });
    lab.run(&[cluster(), node]);
    assert_eq!(lab.one(Kind::Cluster, "lab").field(Field::Site), &at_home);
    assert!(lab.one(Kind::Device, "pve1").referenced(Field::Cluster).is_some());
}

#[test]
fn an_address_that_a_person_keeps_elsewhere_is_no_primary() {
    let mut lab = Lab::new();
    let other = lab.person(Kind::Device, &[(Field::Name, Value::text("vip"))]);
    let port = lab.person(
        Kind::Interface,
        &[
            (Field::Name, Value::text("lo")),
            (Field::Device, Value::Ref(ObjectRef::Live(Kind::Device, other))),
            (Field::MacAddress, Value::text("00:1b:21:00:00:99")),
        ],
    );
    lab.person(
        Kind::IpAddress,
        &[
            (Field::Address, Value::text("192.0.2.7/24")),
            (Field::Status, Value::text("active")),
            (Field::AssignedObject, Value::Ref(ObjectRef::Live(Kind::Interface, port))),
        ],
    );
    let plan = lab.run(&[cluster(), guest("pve:lab/lxc/100", "plex", MAC_A, &["192.0.2.7/24"])]);
    assert!(plan.conflicts.iter().any(|conflict| conflict.field == Field::AssignedObject));
    assert!(lab.one(Kind::VirtualMachine, "plex").referenced(Field::PrimaryIp4).is_none());
}

#[test]
fn a_guest_is_reached_where_its_node_is() {
    let mut lab = Lab::new();
    let node = host("lab", Authority::Hypervisor, |host| {
        host.key = Some("pve:lab/node/pve1".parse().unwrap());
        host.form = Some(Form::Device);
        host.facts.text(HostAttribute::Name, "pve1");
        host.facts.text(HostAttribute::Cluster, "pve:lab");
        let mut bridge = interface(Some("vmbr0"), None, &["192.0.2.1/24"]);
        bridge.addresses[0].gateway = true;
        host.interfaces.push(bridge);
    });
    // Its default route leaves through the second leg, into a VPN.
    let legs = |inner: &str| {
        let mut seen = guest("pve:lab/lxc/100", "torrents", MAC_A, &["192.0.2.7/24"]);
        let Thing::Host(host) = &mut seen.thing else { unreachable!() };
        host.facts.text(HostAttribute::RunsOn, "pve:lab/node/pve1");
        let mut leg = interface(Some("eth1"), Some(MAC_B), &[inner]);
        leg.addresses[0].gateway = true;
        host.interfaces.push(leg);
        seen
    };
    lab.run(&[cluster(), node.clone(), legs("198.51.100.2/24")]);
    let primary = |lab: &Lab, vm: &str| {
        let id = lab.one(Kind::VirtualMachine, vm).referenced(Field::PrimaryIp4).unwrap();
        lab.world.get(Kind::IpAddress, id).unwrap().name().to_owned()
    };
    assert_eq!(primary(&lab, "torrents"), "192.0.2.7/24");
    let named = lab.one(Kind::IpAddress, "192.0.2.7/24");
    assert_eq!(named.field(Field::DnsName), &Value::text("torrents"));
    // Both legs in the node's network: then the default route decides.
    lab.run(&[cluster(), node, legs("192.0.2.8/24")]);
    assert_eq!(primary(&lab, "torrents"), "192.0.2.8/24");
}
