//! One cluster with something of everything, and what stands of it.

use std::fmt::Write;

use netbox_agent::domain::object::{Field, Kind};
use netbox_agent::domain::world::Live;
use serde_json::json;

use crate::cluster::{cluster, container, machine};
use crate::lab::{Lab, Made, Salt};
use crate::standin::{Pve, Release, Standin};

/// A node with a bond, VLANs, Open vSwitch and an altname; virtual networks; a virtual
/// machine and a container that use all that there is.
fn everything(salt: &Salt) -> Pve {
    let mut pve = cluster(salt, Release::V9_2, 1, 2);
    let name = salt.name("pve1");
    let node = pve.nodes.get_mut(&name).unwrap();
    node.notes = Some("Bought in 2024\n".to_owned());
    let port = |name: &str, kind: &str, priority: u32, more: serde_json::Value| {
        let mut row = json!({ "iface": name, "type": kind, "active": 1, "method": "manual",
            "method6": "manual", "families": ["inet"], "priority": priority });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    node.network = vec![
        port("eno1", "eth", 3, json!({ "exists": 1, "altnames": ["enp1s0", "enx001b213c4d5e"] })),
        port("eno2", "eth", 4, json!({ "exists": 1 })),
        port(
            "bond0",
            "bond",
            5,
            json!({ "slaves": "eno1 eno2", "bond_mode": "802.3ad", "mtu": "9000" }),
        ),
        port(
            "vmbr0",
            "bridge",
            6,
            json!({ "bridge_ports": "bond0", "bridge_vlan_aware": 1, "bridge_vids": "20 30",
            "address": "10.0.0.1", "cidr": "10.0.0.1/16", "gateway": "10.0.255.254", "method": "static",
            "cidr6": "2001:db8::1/64", "address6": "2001:db8::1", "comments": "Main\n" }),
        ),
        port(
            "vmbr0.20",
            "vlan",
            7,
            json!({ "vlan-id": "20", "vlan-raw-device": "vmbr0", "cidr": "10.20.0.1/24" }),
        ),
        port("ovs0", "OVSBridge", 8, json!({ "ovs_ports": "mgmt eno3" })),
        port(
            "mgmt",
            "OVSIntPort",
            9,
            json!({ "ovs_bridge": "ovs0", "ovs_tag": 50, "cidr": "10.50.0.1/24" }),
        ),
        port("eno3", "OVSPort", 10, json!({ "ovs_bridge": "ovs0", "exists": 1, "active": null })),
    ];
    pve.zones = vec![json!({ "zone": "lan", "type": "vlan", "bridge": "vmbr0" })];
    pve.vnets =
        vec![json!({ "vnet": "iot", "zone": "lan", "tag": 40, "alias": "Things", "type": "vnet" })];
    pve.subnets = [(
        "iot".to_owned(),
        vec![json!({ "subnet": "lan-10.40.0.0-24", "cidr": "10.40.0.0/24", "gateway": "10.40.0.1",
            "dhcp-range": [{ "start-address": "10.40.0.100", "end-address": "10.40.0.200" }] })],
    )]
    .into();

    let mut guest = machine(salt, &name, 100);
    for (key, value) in [
        ("description", "**Web** server\n\nports 80, 443"),
        ("scsi1", "local-zfs:vm-100-disk-2,size=1T,ssd=1"),
        ("ipconfig1", "ip=10.40.0.9/24,gw=10.40.0.1"),
        ("tpmstate0", "ceph:vm-100-disk-3,size=4M,version=v2.0"),
    ] {
        guest.set(key, value);
    }
    guest.set("tags", format!("{};{}", salt.name("prod"), salt.name("web")));
    guest.set("net1", format!("virtio={},bridge=iot,mtu=1400,link_down=1", salt.mac(700)));
    guest.set("net2", format!("e1000={},bridge=vmbr0,trunks=20;30", salt.mac(701)));
    guest.set("pending:cores", 16);
    guest.pool = Some(salt.name("customers"));
    guest.ha = Some("started".to_owned());
    pve.guests.insert(100, guest);
    let mut guest = container(salt, &name, 101);
    guest.set("mp0", "local-zfs:subvol-101-disk-1,mp=/srv,size=100G");
    guest.set("mp1", "/mnt/media,mp=/media");
    pve.guests.insert(101, guest);
    pve
}

/// An object with its fields, save those that every object has and numbers of objects.
fn shown(made: &Made, live: &Live, fields: &[Field]) -> String {
    let mut text = made.bare(&format!("{} {}", live.kind.label(), live.name()));
    for field in fields {
        let names = made.names(live, *field);
        let value = if names.is_empty() { made.text(live, *field) } else { names.join(", ") };
        if !matches!(value.as_str(), "" | "-") {
            write!(text, "\n    {field}: {value}").unwrap();
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_something_of_everything_stands_as_it_is() {
    let lab = Lab::new();
    let standin = Standin::open(everything(&lab.salt), 1).await;
    let lab = lab.asks("pve", &standin, "");
    let run = lab.settle(0).await;
    assert_eq!(run.told("error"), Vec::<String>::new());
    let made = lab.made().await;
    let kinds: [(Kind, &[Field]); 10] = [
        (Kind::Cluster, &[Field::Type]),
        (
            Kind::Device,
            &[
                Field::Cluster,
                Field::Role,
                Field::Platform,
                Field::Description,
                Field::Comments,
                Field::PrimaryIp4,
                Field::PrimaryIp6,
            ],
        ),
        (Kind::InventoryItem, &[Field::Description, Field::PartId]),
        (
            Kind::Interface,
            &[
                Field::Type,
                Field::Enabled,
                Field::Mtu,
                Field::Description,
                Field::Parent,
                Field::Bridge,
                Field::Lag,
                Field::Mode,
                Field::UntaggedVlan,
                Field::TaggedVlans,
                Field::PrimaryMac,
            ],
        ),
        (
            Kind::VirtualMachine,
            &[
                Field::Cluster,
                Field::Device,
                Field::Role,
                Field::Status,
                Field::Vcpus,
                Field::Memory,
                Field::Platform,
                Field::Tags,
                Field::Description,
                Field::Comments,
                Field::PrimaryIp4,
            ],
        ),
        (
            Kind::VmInterface,
            &[
                Field::VirtualMachine,
                Field::Enabled,
                Field::Mtu,
                Field::Description,
                Field::Mode,
                Field::UntaggedVlan,
                Field::TaggedVlans,
            ],
        ),
        (Kind::VirtualDisk, &[Field::VirtualMachine, Field::Size, Field::Description]),
        (Kind::IpAddress, &[Field::Status, Field::DnsName, Field::AssignedObject]),
        (Kind::Prefix, &[Field::Vlan, Field::Description]),
        (Kind::Vlan, &[Field::Vid, Field::Description]),
    ];
    let mut text = String::new();
    for (kind, fields) in kinds {
        let mut objects: Vec<String> =
            made.of(kind).into_iter().map(|live| shown(&made, live, fields)).collect();
        objects.sort();
        writeln!(text, "{}", objects.join("\n")).unwrap();
    }
    insta::assert_snapshot!(text);
    assert_eq!(made.of(Kind::IpRange).len(), 1);
}
