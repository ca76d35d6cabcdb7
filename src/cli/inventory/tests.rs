//! Every format over one network, and over one whose names are hostile.

use std::collections::BTreeSet;

use super::*;
use crate::domain::object::{Field, ObjectRef};
use crate::domain::value::{Decimal, Value};
use crate::domain::world::Live;

fn text(text: &str) -> Value {
    Value::text(text)
}

fn to(kind: Kind, id: u64) -> Value {
    Value::Ref(ObjectRef::Live(kind, id))
}

fn put(world: &mut World, kind: Kind, id: u64, fields: &[(Field, Value)]) {
    let fields = fields.iter().cloned().collect();
    world.insert(Live { kind, id, fields, stamp: None });
}

fn name(world: &mut World, kind: Kind, id: u64, called: &str) {
    put(world, kind, id, &[(Field::Name, text(called))]);
}

/// A device or virtual machine with one interface and addresses, the first of them primary.
fn host(world: &mut World, kind: Kind, id: u64, called: &str, addresses: &[&str]) {
    let (port, owner) = match kind {
        Kind::Device => (Kind::Interface, Field::Device),
        _ => (Kind::VmInterface, Field::VirtualMachine),
    };
    let mac_id = id + if kind == Kind::Device { 0 } else { 100 };
    let mac = format!("00:1B:21:00:00:{mac_id:02X}");
    put(
        world,
        Kind::MacAddress,
        mac_id,
        &[(Field::MacAddress, text(&mac)), (Field::AssignedObject, to(port, id))],
    );
    let mut fields = vec![(Field::Name, text("eth0")), (owner, to(kind, id))];
    fields.extend([
        (Field::Type, text("1000base-t")),
        (Field::Enabled, Value::Bool(true)),
        (Field::PrimaryMac, to(Kind::MacAddress, mac_id)),
    ]);
    put(world, port, id, &fields);
    let mut fields = vec![
        (Field::Name, text(called)),
        (Field::Status, text("active")),
        (Field::Site, to(Kind::Site, 1)),
        (Field::Role, to(Kind::DeviceRole, 1)),
    ];
    if kind == Kind::Device {
        fields.push((Field::DeviceType, to(Kind::DeviceType, 1)));
    }
    for (place, address) in addresses.iter().enumerate() {
        let ip = mac_id * 10 + place as u64;
        let entry = [
            (Field::Address, text(address)),
            (Field::AssignedObject, to(port, id)),
            (Field::Status, text("active")),
        ];
        put(world, Kind::IpAddress, ip, &entry);
        if place == 0 {
            let field = if address.contains(':') { Field::PrimaryIp6 } else { Field::PrimaryIp4 };
            fields.push((field, to(Kind::IpAddress, ip)));
        }
    }
    put(world, kind, id, &fields);
}

fn more(world: &mut World, kind: Kind, id: u64, fields: &[(Field, Value)]) {
    let mut object = world.get(kind, id).unwrap().clone();
    for (field, value) in fields {
        object.fields.insert(*field, value.clone());
    }
    world.insert(object);
}

fn network() -> World {
    let mut world = World::default();
    let w = &mut world;
    name(w, Kind::Tag, 1, "Netbox Agent");
    name(w, Kind::Manufacturer, 1, "Acme");
    name(w, Kind::DeviceRole, 1, "Server");
    name(w, Kind::Site, 1, "Home");
    name(w, Kind::Platform, 1, "Debian 12");
    name(w, Kind::Vrf, 1, "lab");
    put(
        w,
        Kind::DeviceType,
        1,
        &[(Field::Model, text("Box 9")), (Field::Manufacturer, to(Kind::Manufacturer, 1))],
    );
    put(
        w,
        Kind::Cluster,
        1,
        &[(Field::Name, text("homelab")), (Field::Type, to(Kind::ClusterType, 1))],
    );
    name(w, Kind::ClusterType, 1, "Proxmox VE");
    put(
        w,
        Kind::Vlan,
        1,
        &[
            (Field::Vid, Value::Int(20)),
            (Field::Name, text("iot")),
            (Field::Status, text("active")),
        ],
    );
    host(w, Kind::Device, 1, "pve1", &["10.0.0.2/24", "fd00::2/64"]);
    host(w, Kind::Device, 2, "Switch", &[]);
    host(w, Kind::VirtualMachine, 1, "web01", &["10.0.0.10/24"]);
    let tags = Value::Refs([ObjectRef::Live(Kind::Tag, 1)].into());
    more(
        w,
        Kind::Device,
        1,
        &[
            (Field::Platform, to(Kind::Platform, 1)),
            (Field::Serial, text("S/N 1")),
            (Field::Cluster, to(Kind::Cluster, 1)),
            (Field::Tags, tags),
            (Field::Comments, text("two\nlines")),
            (Field::AgentSource, text("pve")),
        ],
    );
    more(
        w,
        Kind::VirtualMachine,
        1,
        &[
            (Field::Cluster, to(Kind::Cluster, 1)),
            (Field::Device, to(Kind::Device, 1)),
            (Field::Vcpus, Value::Decimal(Decimal(250))),
            (Field::Memory, Value::Int(2048)),
        ],
    );
    more(w, Kind::IpAddress, 1010, &[(Field::DnsName, text("web01.home.example"))]);
    let mode = (Field::Mode, text("access"));
    more(w, Kind::Interface, 1, &[(Field::UntaggedVlan, to(Kind::Vlan, 1)), mode]);
    let bond = [
        (Field::Name, text("bond0")),
        (Field::Device, to(Kind::Device, 1)),
        (Field::Type, text("lag")),
    ];
    put(w, Kind::Interface, 9, &bond);
    more(w, Kind::Interface, 1, &[(Field::Lag, to(Kind::Interface, 9))]);
    put(
        w,
        Kind::Service,
        1,
        &[
            (Field::Name, text("http")),
            (Field::Parent, to(Kind::VirtualMachine, 1)),
            (Field::Protocol, text("tcp")),
            (Field::Ports, Value::Ints([80, 443].into())),
        ],
    );
    put(
        w,
        Kind::VirtualDisk,
        1,
        &[
            (Field::Name, text("scsi0")),
            (Field::VirtualMachine, to(Kind::VirtualMachine, 1)),
            (Field::Size, Value::Int(32_000)),
        ],
    );
    for (id, prefix) in [(1, "10.0.10.0/24"), (2, "10.0.0.0/24"), (3, "fd00::/64")] {
        let fields = [(Field::Prefix, text(prefix)), (Field::Status, text("active"))];
        put(w, Kind::Prefix, id, &fields);
    }
    more(w, Kind::Prefix, 1, &[(Field::Vlan, to(Kind::Vlan, 1)), (Field::Vrf, to(Kind::Vrf, 1))]);
    put(
        w,
        Kind::IpAddress,
        1,
        &[(Field::Address, text("10.0.0.99/24")), (Field::DnsName, text("printer.home.example"))],
    );
    put(
        w,
        Kind::IpRange,
        1,
        &[
            (Field::StartAddress, text("10.0.0.100/24")),
            (Field::EndAddress, text("10.0.0.199/24")),
            (Field::Status, text("active")),
        ],
    );
    world
}

/// Names and texts as a hostile network could say them.
fn hostile() -> World {
    let mut world = World::default();
    let w = &mut world;
    name(w, Kind::Site, 1, "x|y\n# Heading");
    name(w, Kind::DeviceRole, 1, "{{ lookup('pipe', 'id') }}");
    put(w, Kind::DeviceType, 1, &[(Field::Model, text("=cmd|'/C calc'!A0"))]);
    for (id, called) in [
        (1, "=HYPERLINK(\"http://evil.example\",\"x\")"),
        (2, "localhost"),
        (3, "web[1:9]\": {x: y}"),
        (4, "<script>alert(1)</script>"),
        (5, "\u{1b}[31mred\u{202e}\u{7}"),
        (6, "[click](https://evil.example) `x` @all www.evil.example"),
        (7, "nas"),
        (8, "nas"),
        (9, "10.0.0.1"),
        (10, "snake_case"),
        (11, "-rf"),
        (12, "a b\u{2028}c"),
    ] {
        host(w, Kind::Device, id, called, &[&format!("10.0.0.{id}/24")]);
    }
    host(w, Kind::Device, 13, "", &["fe80::1/64"]);
    host(w, Kind::Device, 14, "loop", &["127.0.0.1/8"]);
    more(w, Kind::IpAddress, 140, &[(Field::DnsName, text("github.com"))]);
    more(w, Kind::IpAddress, 10, &[(Field::DnsName, text("ok.example\n6.6.6.6 bank.example"))]);
    more(
        w,
        Kind::Device,
        3,
        &[(Field::Description, text("+1,\"quoted\"\r\n@SUM(1)")), (Field::Serial, text("-2+3"))],
    );
    world
}

fn rendered(world: &World, format: Format) -> String {
    render(world, format, None, None).unwrap()
}

#[test]
fn the_table_shows_each_host_on_a_line() {
    insta::assert_snapshot!(rendered(&network(), Format::Table));
    let narrow = render(&network(), Format::Table, None, Some(80)).unwrap();
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert_eq!(rendered(&World::default(), Format::Table), "");
}

#[test]
fn a_table_of_one_kind_shows_its_fields() {
    let table = render(&network(), Format::Table, Some(Kind::Prefix), None).unwrap();
    insta::assert_snapshot!(table, @r"
    PREFIX        VRF.NAME  VLAN  STATUS
    10.0.0.0/24   -         -     active
    10.0.10.0/24  lab       20    active
    fd00::/64     -         -     active
    ");
}

#[test]
fn the_json_has_everything() {
    insta::assert_snapshot!(rendered(&network(), Format::Json));
}

#[test]
fn the_json_keeps_the_shape_that_its_schema_promises() {
    let schema = schemars::schema_for!(Inventory);
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema).unwrap());
}

#[test]
fn sheets_have_the_columns_of_netboxs_import() {
    let sheets = [
        Kind::Device,
        Kind::VirtualMachine,
        Kind::Interface,
        Kind::IpAddress,
        Kind::MacAddress,
        Kind::Prefix,
        Kind::Service,
        Kind::DeviceType,
        Kind::Tag,
    ];
    let text: String = sheets
        .iter()
        .map(|kind| {
            let sheet = render(&network(), Format::Csv, Some(*kind), None).unwrap();
            format!("== {kind}\n{sheet}")
        })
        .collect();
    insta::assert_snapshot!(text);
    assert_eq!(
        rendered(&network(), Format::Csv),
        render(&network(), Format::Csv, Some(Kind::Device), None).unwrap()
    );
}

#[test]
fn every_column_of_every_sheet_is_known() {
    for kind in Kind::ALL {
        let Some(columns) = sheet::columns(*kind) else { continue };
        let all: BTreeSet<&str> =
            columns.split_whitespace().map(|header| header.trim_start_matches('?')).collect();
        let plain: Vec<&str> = columns.split_whitespace().filter(|c| !c.starts_with('?')).collect();
        assert_eq!(sheet::Sheet::of(&World::default(), *kind).unwrap().headers, plain, "{kind}");
        assert_eq!(all.len(), columns.split_whitespace().count(), "{kind}");
    }
    let error = render(&network(), Format::Csv, Some(Kind::Cable), None).unwrap_err();
    assert!(error.to_string().contains("expected one of tag, manufacturer"), "{error}");
    assert!(render(&network(), Format::Json, Some(Kind::Device), None).is_err());
}

#[test]
fn the_ansible_inventory_has_groups_and_addresses() {
    insta::assert_snapshot!(rendered(&network(), Format::Ansible));
    assert_eq!(rendered(&World::default(), Format::Ansible), "all:\n  hosts: {}\n");
}

#[test]
fn the_hosts_file_has_addresses_and_names() {
    insta::assert_snapshot!(rendered(&network(), Format::Hosts), @r"
    10.0.0.2	pve1
    10.0.0.10	web01.home.example web01
    10.0.0.99	printer.home.example
    ");
}

#[test]
fn the_markdown_page_has_a_table_for_each_kind() {
    insta::assert_snapshot!(rendered(&network(), Format::Markdown));
}

#[test]
fn hostile_names_are_harmless_in_a_table() {
    let table = rendered(&hostile(), Format::Table);
    insta::assert_snapshot!(table);
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn hostile_names_are_no_formula_in_a_sheet() {
    let sheet = rendered(&hostile(), Format::Csv);
    let mut reader = csv::Reader::from_reader(sheet.as_bytes());
    let mut rows = 0;
    for row in reader.records() {
        let row = row.unwrap();
        rows += 1;
        for cell in &row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            assert!(!cell.contains(|c: char| c.is_control()), "{cell}");
        }
    }
    assert_eq!(rows, 14);
}

#[test]
fn hostile_names_are_neither_template_nor_range_for_ansible() {
    insta::assert_snapshot!(rendered(&hostile(), Format::Ansible));
}

#[test]
fn hostile_names_are_left_out_of_a_hosts_file() {
    insta::assert_snapshot!(rendered(&hostile(), Format::Hosts), @"# nas: left out, several hosts have it: 10.0.0.7, 10.0.0.8");
}

#[test]
fn hostile_names_are_plain_text_on_a_markdown_page() {
    insta::assert_snapshot!(rendered(&hostile(), Format::Markdown));
}

#[test]
fn a_world_of_the_same_objects_gives_the_same_bytes() {
    let one = network();
    let mut other = World::default();
    let mut objects: Vec<&Live> = one.iter().collect();
    objects.reverse();
    for object in objects {
        other.insert(object.clone());
    }
    for format in Format::value_variants() {
        assert_eq!(rendered(&one, *format), rendered(&other, *format));
    }
}
