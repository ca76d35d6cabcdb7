//! What is written reads the same: every kind, every field, in whatever version.

use std::collections::{BTreeMap, BTreeSet};

use netbox_agent::domain::object::{Field, Kind, ObjectKey, ObjectRef};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Change};
use netbox_agent::domain::value::{Decimal, Value};
use netbox_agent::domain::world::World;
use netbox_agent::netbox::Version;

use crate::lab::{Place, agent, apply_whole, everything, everywhere, unique};
use crate::plans::{create, key, marked, on, plan, planned, prerequisites, text};

/// One object of each kind, with every field that the version has.
fn one_of_each(word: &str, version: Version, world: &World) -> Vec<Change> {
    let name = |what: &str| format!("{word}-{what}");
    let named = |what: &str| (Field::Name, text(&name(what)));
    let slug = |what: &str| (Field::Slug, text(&name(what)));
    let about = || (Field::Description, text("one of each"));
    let active = || (Field::Status, text("active"));
    let tagged = |names: &[&str]| {
        let tags = names.iter().map(|name| ObjectRef::Planned(Kind::Tag, key(Kind::Tag, name)));
        (Field::Tags, Value::Refs(tags.collect()))
    };
    let refers = |field: Field, kind: Kind, what: &str| (field, planned(kind, what));
    let tenant = || refers(Field::Tenant, Kind::Tenant, "tenant");
    let source = || (Field::AgentSource, text("lan"));
    let number: u32 = word.bytes().fold(7, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte));
    let net = |rest: &str| format!("10.{}.{}.{rest}", number % 250 + 1, number / 250 % 250);
    let mac = |last: u32| {
        let [a, b, c, _] = number.to_be_bytes();
        text(&format!("02:0a:{a:02x}:{b:02x}:{c:02x}:{last:02x}"))
    };

    let mut changes = prerequisites(world);
    changes.extend([
        create(
            Kind::Tag,
            "one",
            &[named("one"), slug("one"), about(), (Field::Color, text("ff5722"))],
        ),
        create(Kind::Tag, "two", &[named("two"), slug("two")]),
        create(
            Kind::Manufacturer,
            "maker",
            &[named("maker"), slug("maker"), about(), tagged(&["one"]), source()],
        ),
        create(
            Kind::DeviceRole,
            "role",
            &[
                named("role"),
                slug("role"),
                (Field::Color, text("4caf50")),
                (Field::VmRole, Value::Bool(true)),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::ClusterType,
            "type",
            &[named("type"), slug("type"), about(), tagged(&["one"])],
        ),
        create(
            Kind::Tenant,
            "tenant",
            &[named("tenant"), slug("tenant"), about(), tagged(&["one"])],
        ),
        create(Kind::Vrf, "vrf", &[named("vrf"), tenant(), about(), tagged(&["one"])]),
        create(
            Kind::Site,
            "site",
            &[
                named("site"),
                slug("site"),
                (Field::Status, text("planned")),
                tenant(),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Location,
            "house",
            &[
                named("house"),
                slug("house"),
                refers(Field::Site, Kind::Site, "site"),
                active(),
                tenant(),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Location,
            "room",
            &[
                named("room"),
                slug("room"),
                refers(Field::Site, Kind::Site, "site"),
                refers(Field::Parent, Kind::Location, "house"),
                active(),
            ],
        ),
        create(
            Kind::DeviceType,
            "model",
            &[
                (Field::Model, text(&name("model"))),
                slug("model"),
                refers(Field::Manufacturer, Kind::Manufacturer, "maker"),
                (Field::PartNumber, text("PN-1")),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Platform,
            "platform",
            &[
                named("platform"),
                slug("platform"),
                refers(Field::Manufacturer, Kind::Manufacturer, "maker"),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Cluster,
            "cluster",
            &[
                named("cluster"),
                refers(Field::Type, Kind::ClusterType, "type"),
                active(),
                tenant(),
                refers(Field::Site, Kind::Site, "site"),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::VlanGroup,
            "group",
            &[named("group"), slug("group"), about(), tagged(&["one"])],
        ),
        create(
            Kind::Vlan,
            "vlan",
            &[
                (Field::Vid, Value::Int(42)),
                named("vlan"),
                refers(Field::Group, Kind::VlanGroup, "group"),
                tenant(),
                active(),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Vlan,
            "other",
            &[
                (Field::Vid, Value::Int(43)),
                named("other"),
                refers(Field::Site, Kind::Site, "site"),
            ],
        ),
        create(
            Kind::Prefix,
            "prefix",
            &[
                (Field::Prefix, text(&net("0/24"))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
                tenant(),
                refers(Field::Vlan, Kind::Vlan, "vlan"),
                active(),
                refers(Field::Site, Kind::Site, "site"),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Prefix,
            "prefix6",
            &[
                (Field::Prefix, text(&format!("2001:db8:{:x}::/64", number % 0xffff))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
            ],
        ),
        create(
            Kind::IpRange,
            "range",
            &[
                (Field::StartAddress, text(&net("100/24"))),
                (Field::EndAddress, text(&net("120/24"))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
                tenant(),
                (Field::Status, text("reserved")),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Device,
            "gateway",
            &[
                named("gateway"),
                refers(Field::DeviceType, Kind::DeviceType, "model"),
                refers(Field::Role, Kind::DeviceRole, "role"),
                refers(Field::Site, Kind::Site, "site"),
                active(),
                refers(Field::Cluster, Kind::Cluster, "cluster"),
            ],
        ),
        create(
            Kind::Device,
            "device",
            &[
                named("Device"),
                refers(Field::DeviceType, Kind::DeviceType, "model"),
                refers(Field::Role, Kind::DeviceRole, "role"),
                refers(Field::Site, Kind::Site, "site"),
                refers(Field::Location, Kind::Location, "room"),
                refers(Field::Platform, Kind::Platform, "platform"),
                refers(Field::Cluster, Kind::Cluster, "cluster"),
                (Field::Status, text("staged")),
                (Field::Serial, text("SN 1")),
                (Field::AssetTag, text(&name("asset"))),
                (Field::Comments, text("line one\n\n* line two")),
                (Field::PrimaryIp4, planned(Kind::IpAddress, "four")),
                (Field::PrimaryIp6, planned(Kind::IpAddress, "six")),
                (Field::Via, planned(Kind::Device, "gateway")),
                tenant(),
                about(),
                tagged(&["one", "two"]),
                source(),
            ],
        ),
        create(
            Kind::VirtualMachine,
            "machine",
            &[
                named("machine"),
                active(),
                refers(Field::Cluster, Kind::Cluster, "cluster"),
                refers(Field::Site, Kind::Site, "site"),
                refers(Field::Device, Kind::Device, "gateway"),
                refers(Field::Role, Kind::DeviceRole, "role"),
                refers(Field::Platform, Kind::Platform, "platform"),
                (Field::Vcpus, Value::Decimal(Decimal(150))),
                (Field::Memory, Value::Int(2_048)),
                (Field::PrimaryIp4, planned(Kind::IpAddress, "vm")),
                (Field::Comments, text("about it")),
                tenant(),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::VirtualMachine,
            "diskless",
            &[
                named("diskless"),
                refers(Field::Cluster, Kind::Cluster, "cluster"),
                (Field::Disk, Value::Int(20_000)),
                (Field::Vcpus, Value::Decimal(Decimal::whole(2))),
            ],
        ),
        create(
            Kind::VirtualDisk,
            "disk",
            &[
                refers(Field::VirtualMachine, Kind::VirtualMachine, "machine"),
                named("sda"),
                (Field::Size, Value::Int(32_000)),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::InventoryItem,
            "item",
            &[
                refers(Field::Device, Kind::Device, "device"),
                named("item"),
                refers(Field::Manufacturer, Kind::Manufacturer, "maker"),
                (Field::PartId, text("P-1")),
                (Field::Serial, text("S-1")),
                (Field::AssetTag, text(&name("item"))),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Service,
            "service",
            &[
                refers(Field::Parent, Kind::Device, "device"),
                named("web"),
                (Field::Protocol, text("tcp")),
                (Field::Ports, Value::Ints([80, 443].into())),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::Service,
            "vm-service",
            &[
                refers(Field::Parent, Kind::VirtualMachine, "machine"),
                named("dns"),
                (Field::Protocol, text("udp")),
                (Field::Ports, Value::Ints([53].into())),
            ],
        ),
    ]);

    // Interfaces of devices: a bridge, a bond in it, a port in the bond, a VLAN on the bond.
    let port = |what: &str, kind: &str, also: Vec<(Field, Value)>| {
        let mut entries = vec![
            refers(Field::Device, Kind::Device, "device"),
            (Field::Name, text(what)),
            (Field::Type, text(kind)),
        ];
        entries.extend(also);
        create(Kind::Interface, what, &entries)
    };
    let vlans = |names: &[&str]| {
        let vlans = names.iter().map(|name| ObjectRef::Planned(Kind::Vlan, key(Kind::Vlan, name)));
        Value::Refs(vlans.collect())
    };
    let own_mac = |last: u32, what: &str| {
        if version >= Version::of(4, 2) {
            (Field::PrimaryMac, planned(Kind::MacAddress, what))
        } else {
            (Field::MacAddress, mac(last))
        }
    };
    changes.extend([
        port("br0", "bridge", vec![(Field::Enabled, Value::Bool(true))]),
        port("bond0", "lag", vec![refers(Field::Bridge, Kind::Interface, "br0")]),
        port(
            "eth0",
            "1000base-t",
            vec![
                refers(Field::Lag, Kind::Interface, "bond0"),
                (Field::Enabled, Value::Bool(false)),
                (Field::Mtu, Value::Int(9_000)),
                (Field::Speed, Value::Int(1_000_000)),
                (Field::Mode, text("tagged")),
                refers(Field::UntaggedVlan, Kind::Vlan, "other"),
                (Field::TaggedVlans, vlans(&["vlan", "other"])),
                own_mac(1, "mac"),
                about(),
                tagged(&["one"]),
            ],
        ),
        port("bond0.42", "virtual", vec![refers(Field::Parent, Kind::Interface, "bond0")]),
        port("eth1", "1000base-t", vec![]),
        create(
            Kind::Interface,
            "far",
            &[
                refers(Field::Device, Kind::Device, "gateway"),
                (Field::Name, text("eth0")),
                (Field::Type, text("1000base-t")),
            ],
        ),
        create(
            Kind::VmInterface,
            "ens18",
            &[
                refers(Field::VirtualMachine, Kind::VirtualMachine, "machine"),
                (Field::Name, text("ens18")),
                (Field::Enabled, Value::Bool(true)),
                (Field::Mtu, Value::Int(1_500)),
                (Field::Mode, text("access")),
                refers(Field::UntaggedVlan, Kind::Vlan, "other"),
                own_mac(2, "vm-mac"),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::VmInterface,
            "ens18.42",
            &[
                refers(Field::VirtualMachine, Kind::VirtualMachine, "machine"),
                (Field::Name, text("ens18.42")),
                refers(Field::Parent, Kind::VmInterface, "ens18"),
                refers(Field::Bridge, Kind::VmInterface, "ens18"),
            ],
        ),
        create(
            Kind::IpAddress,
            "four",
            &[
                (Field::Address, text(&net("1/24"))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
                tenant(),
                (Field::Status, text("dhcp")),
                refers(Field::AssignedObject, Kind::Interface, "br0"),
                (Field::DnsName, text(&format!("{word}.example.net"))),
                about(),
                tagged(&["one"]),
            ],
        ),
        create(
            Kind::IpAddress,
            "six",
            &[
                (Field::Address, text(&format!("2001:db8:{:x}::1/64", number % 0xffff))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
                refers(Field::AssignedObject, Kind::Interface, "br0"),
            ],
        ),
        create(
            Kind::IpAddress,
            "vm",
            &[
                (Field::Address, text(&net("2/24"))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
                refers(Field::AssignedObject, Kind::VmInterface, "ens18"),
            ],
        ),
        create(
            Kind::IpAddress,
            "virtual",
            &[
                (Field::Address, text(&net("3/32"))),
                refers(Field::Vrf, Kind::Vrf, "vrf"),
                (Field::Role, text("vip")),
            ],
        ),
        create(
            Kind::Cable,
            "cable",
            &[
                (Field::ATerminations, ends("eth1")),
                (Field::BTerminations, ends("far")),
                (Field::Status, text("connected")),
                tenant(),
                about(),
                tagged(&["one"]),
            ],
        ),
    ]);
    if version >= Version::of(4, 1) {
        let machine = changes.iter_mut().find(|change| change.label.as_ref() == "machine").unwrap();
        let serial = create(Kind::VirtualMachine, "x", &[(Field::Serial, text("VM-1"))]);
        machine.fields.insert(Field::Serial, serial.fields.get(&Field::Serial).unwrap().clone());
    }
    if version >= Version::of(4, 2) {
        changes.extend([
            create(
                Kind::MacAddress,
                "mac",
                &[
                    (Field::MacAddress, mac(1)),
                    refers(Field::AssignedObject, Kind::Interface, "eth0"),
                    about(),
                    tagged(&["one"]),
                ],
            ),
            create(
                Kind::MacAddress,
                "vm-mac",
                &[
                    (Field::MacAddress, mac(2)),
                    refers(Field::AssignedObject, Kind::VmInterface, "ens18"),
                ],
            ),
        ]);
    }
    marked(changes, word)
}

fn ends(name: &str) -> Value {
    Value::Refs([ObjectRef::Planned(Kind::Interface, key(Kind::Interface, name))].into())
}

/// A value with ids in place of keys.
fn resolved(value: &Value, ids: &BTreeMap<ObjectKey, u64>) -> Value {
    let of = |reference: &ObjectRef| match reference {
        ObjectRef::Planned(kind, key) => ObjectRef::Live(*kind, ids[key]),
        live => live.clone(),
    };
    match value {
        Value::Ref(reference) => Value::Ref(of(reference)),
        Value::Refs(all) => Value::Refs(all.iter().map(of).collect()),
        other => other.clone(),
    }
}

/// Fields that no object can be without.
fn cannot_be_empty(kind: Kind, field: Field) -> bool {
    let needed: &[Field] = match kind {
        Kind::DeviceType => &[Field::Model, Field::Manufacturer],
        Kind::Location => &[Field::Site],
        Kind::Device => &[Field::Site, Field::DeviceType, Field::Role, Field::Cluster],
        Kind::Cluster => &[Field::Type],
        Kind::CustomField => &[Field::ObjectTypes, Field::RelatedType],
        Kind::VirtualMachine => &[Field::Cluster, Field::Site, Field::Device],
        Kind::Interface | Kind::InventoryItem => &[Field::Device],
        Kind::VmInterface | Kind::VirtualDisk => &[Field::VirtualMachine, Field::Size],
        Kind::Service => &[Field::Parent, Field::Protocol, Field::Ports],
        Kind::Vlan => &[Field::Vid],
        Kind::Prefix => &[Field::Prefix],
        Kind::IpRange => &[Field::StartAddress, Field::EndAddress],
        Kind::IpAddress => &[Field::Address, Field::AssignedObject],
        Kind::MacAddress => &[Field::MacAddress, Field::AssignedObject],
        Kind::Cable => &[Field::ATerminations, Field::BTerminations],
        _ => &[],
    };
    let always = [
        Field::Name,
        Field::Slug,
        Field::Status,
        Field::Type,
        Field::Enabled,
        Field::Color,
        Field::VmRole,
    ];
    // A VLAN interface needs what it stands on, and a VLAN needs the mode.
    let together = [Field::Parent, Field::Mode];
    always.contains(&field) || together.contains(&field) || needed.contains(&field)
}

#[tokio::test]
async fn every_field_of_every_kind_reads_as_it_was_written_and_can_be_emptied() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let before = everything(&netbox).await;
        let changes = one_of_each(&word, netbox.version(), &before);
        let plan_of_all = plan(changes);
        let outcomes = apply_whole(&netbox, &plan_of_all).await;

        let ids: BTreeMap<ObjectKey, u64> = plan_of_all
            .changes
            .iter()
            .zip(&outcomes)
            .map(|(change, outcome)| (change.key.clone(), outcome.id().unwrap()))
            .collect();
        let world = everything(&netbox).await;
        assert_eq!(world.read, world.supported);
        let marked: BTreeSet<Kind> =
            world.supported.iter().copied().filter(|kind| kind.is_marked()).collect();
        assert_eq!(world.marked, marked);

        for (change, outcome) in plan_of_all.changes.iter().zip(&outcomes) {
            let Outcome::Applied { id, settled, stamp } = outcome else { unreachable!() };
            let stands = world.get(change.kind, *id).unwrap();
            // A cable touches the interfaces that it ends at.
            let cabled = ["eth1", "far"].contains(&change.label.as_ref());
            assert!(
                cabled || stands.stamp == *stamp,
                "{} {} was touched",
                change.kind,
                change.label
            );
            for (field, of) in change.fields.iter() {
                let wanted = resolved(&of.after, &ids);
                let what = format!("{} {} {field}", change.kind, change.label);
                assert_eq!(stands.fields.get(field), Some(&wanted), "{what}");
                assert_eq!(settled.get(field), Some(&wanted), "{what}, as answered");
            }
        }

        let mut emptied = Vec::new();
        for (change, outcome) in plan_of_all.changes.iter().zip(&outcomes) {
            let stands = world.get(change.kind, outcome.id().unwrap()).unwrap();
            let empty: Vec<(Field, Value)> = change
                .fields
                .iter()
                .filter(|(field, _)| !cannot_be_empty(change.kind, **field) && !field.is_mark())
                .map(|(field, _)| (*field, Value::Null))
                .collect();
            if !empty.is_empty() {
                emptied.push(on(Action::Update, stands, &empty));
            }
        }
        let emptied = plan(emptied);
        apply_whole(&netbox, &emptied).await;
        let world = everything(&netbox).await;
        for change in &emptied.changes {
            let stands = world.get(change.kind, change.id.unwrap()).unwrap();
            for (field, _) in change.fields.iter() {
                let value = stands.fields.get(field).unwrap();
                assert!(value.is_blank(), "{} {} {field}: {value}", change.kind, change.label);
            }
        }
    })
    .await;
}
