//! Each way on which what stands can be found leads into the scope, alone.

use super::super::identity::Serial;
use super::super::inventory::{
    Claim, Fact, HostKey, LoneAddress, MergedAddress, MergedHost, MergedInterface,
};
use super::super::object::ObjectRef;
use super::super::observation::Segment;
use super::super::value::{SmallMap, Value};
use super::*;

const IP: &str = "192.0.2.7";
const MAC: &str = "00:1b:21:00:00:07";

fn policy() -> Policy {
    Policy::of("test".parse().unwrap())
}

fn live(kind: Kind, id: u64, fields: &[(Field, Value)]) -> Live {
    Live { kind, id, fields: fields.iter().cloned().collect(), stamp: None }
}

fn device(id: u64, field: Field, text: &str) -> Live {
    live(Kind::Device, id, &[(field, Value::text(text))])
}

/// A MAC or IP address on an interface.
fn on_interface(kind: Kind, field: Field, text: &str) -> Live {
    let at = Value::Ref(ObjectRef::Live(Kind::Interface, 70));
    live(kind, 5, &[(field, Value::text(text)), (Field::AssignedObject, at)])
}

fn host() -> MergedHost {
    MergedHost {
        key: HostKey("lab:x/host/1".into()),
        segment: Segment::default(),
        identifiers: BTreeSet::new(),
        seen: Vec::new(),
        form: None,
        facts: SmallMap::default(),
        interfaces: Vec::new(),
        disks: Vec::new(),
        services: Vec::new(),
        components: Vec::new(),
        complete: BTreeSet::new(),
        held: None,
    }
}

fn named(attribute: HostAttribute, names: &[&str]) -> MergedHost {
    let claims = names.iter().map(|name| Claim { value: Value::text(*name), seen: 0 }).collect();
    let facts = [(attribute, Fact::new(claims).unwrap())].into_iter().collect();
    MergedHost { facts, ..host() }
}

fn identified(identifier: Identifier) -> MergedHost {
    MergedHost { identifiers: [identifier].into(), ..host() }
}

fn address() -> MergedAddress {
    MergedAddress {
        ip: IP.parse().unwrap(),
        segment: Segment::default(),
        prefix_len: None,
        dns_name: None,
        gateway: false,
        role: None,
        dynamic: None,
        seen: Vec::new(),
    }
}

fn wired(macs: &[&str], addresses: Vec<MergedAddress>) -> MergedHost {
    let interface = MergedInterface {
        name: None,
        other_names: BTreeSet::new(),
        macs: macs.iter().map(|mac| (mac.parse().unwrap(), 0)).collect(),
        facts: SmallMap::default(),
        addresses,
        neighbor: None,
        seen: Vec::new(),
        order: 0,
    };
    MergedHost { interfaces: vec![interface], ..host() }
}

fn of(hosts: impl IntoIterator<Item = MergedHost>) -> Inventory {
    Inventory { hosts: hosts.into_iter().collect(), ..Inventory::default() }
}

fn world(lives: impl IntoIterator<Item = Live>) -> World {
    let mut world = World::default();
    lives.into_iter().for_each(|live| world.insert(live));
    world
}

/// Whether a host leads to this device or virtual machine, which nothing else leads to.
fn leads(to: &Live, host: MergedHost, policy: &Policy) -> bool {
    let world = world([to.clone()]);
    let nothing = scope(&Inventory::default(), &world, &BTreeSet::new(), policy);
    assert!(nothing.hosts.is_empty(), "it is in every scope: {to:?}");
    scope(&of([host]), &world, &BTreeSet::new(), policy).hosts.contains(&(to.kind, to.id))
}

#[test]
fn what_is_the_agents_own_or_known_is_in_the_scope_whatever_is_seen() {
    let own = device(1, Field::AgentInstance, "test");
    let others = device(2, Field::AgentInstance, "other");
    let mac = live(
        Kind::MacAddress,
        8,
        &[
            (Field::AgentInstance, Value::text("test")),
            (Field::AssignedObject, Value::Ref(ObjectRef::Live(Kind::Interface, 71))),
        ],
    );
    let ip = on_interface(Kind::IpAddress, Field::Address, "192.0.2.9/24");
    let known = [
        (Kind::VirtualMachine, 3),
        (Kind::IpAddress, ip.id),
        (Kind::VmInterface, 72),
        (Kind::InventoryItem, 73),
    ];
    let vm = live(Kind::VirtualMachine, 3, &[]);
    let world = world([own, others, mac, ip, vm]);
    let found = scope(&Inventory::default(), &world, &known.into(), &policy());
    assert_eq!(found.hosts, [(Kind::Device, 1), (Kind::VirtualMachine, 3)].into());
    let interfaces = [(Kind::Interface, 70), (Kind::Interface, 71), (Kind::VmInterface, 72)];
    assert_eq!(found.interfaces, interfaces.into());
}

#[test]
fn a_key_leads_to_what_carries_it() {
    let native: Identifier = "pve:homelab/qemu/120".parse().unwrap();
    let keyed = device(1, Field::AgentKey, "pve:homelab/qemu/120");
    assert!(leads(&keyed, identified(native.clone()), &policy()));
    assert!(!leads(
        &device(1, Field::AgentKey, "pve:homelab/qemu/12"),
        identified(native),
        &policy()
    ));
    let by_mac = device(1, Field::AgentKey, &format!("mac:{MAC}"));
    assert!(leads(&by_mac, wired(&[MAC], Vec::new()), &policy()));
}

#[test]
fn a_serial_number_leads_to_what_has_it_however_it_is_spelt() {
    let serial = || identified(Identifier::Serial(Serial::new("Dell", "5kx9Q2").unwrap()));
    assert!(leads(&device(1, Field::Serial, " 5KX9q2"), serial(), &policy()));
    assert!(!leads(&device(1, Field::Serial, "5KX9Q3"), serial(), &policy()));
}

#[test]
fn a_name_leads_to_what_has_its_first_label() {
    for (stands, seen) in [
        ("nas", "nas"),
        ("NAS", "nas"),
        ("nas.example.net", "Nas"),
        ("nas", "nas.example.net"),
        ("living room_TV", "living-room-tv"),
    ] {
        for attribute in [HostAttribute::Name, HostAttribute::DnsName] {
            let host = named(attribute, &[seen]);
            assert!(leads(&device(1, Field::Name, stands), host, &policy()), "{stands} {seen}");
        }
    }
    let beaten = named(HostAttribute::Name, &["front", "nas"]);
    assert!(leads(&device(1, Field::Name, "nas"), beaten, &policy()));
    let other = named(HostAttribute::Name, &["nas2"]);
    assert!(!leads(&device(1, Field::Name, "nas"), other, &policy()));
}

#[test]
fn a_person_who_names_something_brings_it_into_the_scope() {
    let alias = Bind::Alias(["Old NAS".into(), "nas2".into()].into());
    let object = Identifier::Object(Kind::VirtualMachine, 9);
    let mac: Identifier = format!("mac:{MAC}").parse().unwrap();
    let world = world([
        device(1, Field::Name, "old-nas"),
        device(2, Field::Name, "another"),
        live(Kind::VirtualMachine, 9, &[]),
    ]);
    for (bind, hosts) in [
        (alias, vec![(Kind::Device, 1)]),
        (Bind::Join([object.clone(), mac.clone()].into()), vec![(Kind::VirtualMachine, 9)]),
        (Bind::Split([object, mac].into()), vec![(Kind::VirtualMachine, 9)]),
    ] {
        let policy = Policy { binds: vec![bind], ..policy() };
        let found = scope(&Inventory::default(), &world, &BTreeSet::new(), &policy);
        assert_eq!(found.hosts, hosts.into_iter().collect());
    }
}

#[test]
fn addresses_lead_to_the_interfaces_that_they_stand_on() {
    let lone = LoneAddress {
        address: address(),
        mac: None,
        facts: SmallMap::default(),
        services: Vec::new(),
    };
    let lone = Inventory { addresses: vec![lone], ..Inventory::default() };
    let mac = on_interface(Kind::MacAddress, Field::MacAddress, MAC);
    let ip = on_interface(Kind::IpAddress, Field::Address, "192.0.2.7/24");
    let identified = identified(format!("mac:{MAC}").parse().unwrap());
    for (inventory, stands, leads) in [
        (of([wired(&[MAC], Vec::new())]), &mac, true),
        (of([wired(&["00:1b:21:00:00:08", MAC], Vec::new())]), &mac, true),
        (of([identified]), &mac, true),
        (of([wired(&["00:1b:21:00:00:08"], Vec::new())]), &mac, false),
        (of([wired(&[], vec![address()])]), &ip, true),
        (lone, &ip, true),
        (of([wired(&[MAC], Vec::new())]), &ip, false),
    ] {
        let found = scope(&inventory, &world([stands.clone()]), &BTreeSet::new(), &policy());
        assert_eq!(found.interfaces.contains(&(Kind::Interface, 70)), leads, "{stands:?}");
        assert_eq!(found.interfaces.len(), usize::from(leads));
    }
}

#[test]
fn interfaces_that_are_needed_bring_their_hosts_once() {
    let interface = |id: u64, device: u64, mac: &str| {
        let on = Value::Ref(ObjectRef::Live(Kind::Device, device));
        let fields = [(Field::Device, on), (Field::MacAddress, Value::text(mac))];
        live(Kind::Interface, id, &fields)
    };
    let start = Scope {
        hosts: [(Kind::Device, 1)].into(),
        interfaces: [(Kind::Interface, 20)].into(),
        macs: [MAC.parse().unwrap()].into(),
    };
    let by_id = interface(20, 2, "00:1b:21:00:00:02");
    let by_mac = interface(30, 3, &MAC.to_uppercase());
    let of_known = interface(10, 1, MAC);
    let stranger = interface(40, 4, "00:1b:21:00:00:04");
    let in_vm = live(
        Kind::VmInterface,
        20,
        &[(Field::VirtualMachine, Value::Ref(ObjectRef::Live(Kind::VirtualMachine, 5)))],
    );
    let mut scope = start.clone();
    let new = scope.extend([&by_id, &by_mac, &of_known, &stranger, &in_vm]);
    assert_eq!(new, [(Kind::Device, 2), (Kind::Device, 3)].into());
    let hosts = [(Kind::Device, 1), (Kind::Device, 2), (Kind::Device, 3)];
    assert_eq!(scope, Scope { hosts: hosts.into(), ..start });
    assert!(scope.extend([&by_id, &by_mac]).is_empty(), "it has them");
}
