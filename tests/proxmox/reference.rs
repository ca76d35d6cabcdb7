//! The homelab of thirty containers, as it stands after a sync.

use netbox_agent::domain::object::{Field, Kind};

use crate::homelab::{homelab, leases};
use crate::lab::{Lab, Made};
use crate::standin::{Release, Standin};

/// Checks that the homelab stands as it is.
fn stands(made: &Made) {
    assert_eq!(made.of(Kind::Cluster).len(), 1);
    let cluster = made.one(Kind::Cluster, "pve");
    assert_eq!(made.text(cluster, Field::Type), "Proxmox VE");
    assert_eq!(made.of(Kind::Device).len(), 1);
    let device = made.one(Kind::Device, "pve");
    assert_eq!(made.text(device, Field::Cluster), "pve");
    assert_eq!(made.text(device, Field::Role), "Hypervisor");
    assert_eq!(made.text(device, Field::PrimaryIp4), "192.168.0.2/24");

    let machines = made.of(Kind::VirtualMachine);
    assert_eq!(machines.len(), 30);
    for machine in &machines {
        assert_eq!(made.text(machine, Field::Cluster), "pve");
        assert_eq!(made.text(machine, Field::Device), "pve");
        assert_eq!(made.text(machine, Field::Memory), "1024");
        let primary = made.text(machine, Field::PrimaryIp4);
        assert!(
            primary.starts_with("192.168.0.") && primary.ends_with("/24"),
            "{}: {primary}",
            machine.name()
        );
        let status =
            if made.text(machine, Field::Name) == "immich_backup" { "offline" } else { "active" };
        assert_eq!(made.text(machine, Field::Status), status, "{}", machine.name());
    }
    assert_eq!(made.of(Kind::VmInterface).len(), 33);
    let macs = made.of(Kind::MacAddress).into_iter().filter(|mac| {
        mac.field(Field::AssignedObject).as_ref().is_some_and(|on| on.kind() == Kind::VmInterface)
    });
    assert_eq!(macs.count(), 33);
    assert_eq!(made.of(Kind::VirtualDisk).len(), 30);

    let mut prefixes: Vec<String> =
        made.of(Kind::Prefix).iter().map(|prefix| made.text(prefix, Field::Prefix)).collect();
    prefixes.sort();
    assert_eq!(prefixes, ["10.10.10.0/24", "192.168.0.0/24"]);
    // The host and 30 containers on the outer bridge, three of these on the inner one too.
    let addresses = made.of(Kind::IpAddress);
    assert_eq!(addresses.len(), 34);
    for address in &addresses {
        let text = made.text(address, Field::Address);
        assert!(text.ends_with("/24") && !text.starts_with("172."), "{text}");
    }

    let wireguard = made.one(Kind::VirtualMachine, "wireguard");
    let mut names: Vec<&str> = made
        .within(Kind::VmInterface, Field::VirtualMachine, wireguard)
        .iter()
        .map(|interface| interface.name())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["eth0", "eth1"]);
    let qbittorrent = made.one(Kind::VirtualMachine, "qbittorrent");
    assert_eq!(
        made.text(qbittorrent, Field::PrimaryIp4),
        "192.168.0.132/24",
        "though its route goes another way"
    );

    let exporter = made.one(Kind::VirtualMachine, "prometheus_pve_exporter");
    let primary = made.text(exporter, Field::PrimaryIp4);
    assert_eq!(primary, "192.168.0.61/24");
    let address = made.one(Kind::IpAddress, &primary);
    assert_eq!(made.text(address, Field::DnsName), "prometheus-pve-exporter");
    assert_eq!(made.text(address, Field::Status), "dhcp");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_homelab_stands_as_it_is_and_a_second_sync_writes_nothing() {
    for release in [Release::V8_4, Release::V9_2] {
        let lab = Lab::new();
        let standin = Standin::open(homelab(&lab.salt, release), 1).await;
        let lab = lab.asks("pve", &standin, "");
        let first = lab.sync(0).await;
        assert_eq!(first.told("error"), Vec::<String>::new());
        stands(&lab.made().await);
        let second = lab.sync(0).await;
        assert_eq!(second.changes(), Vec::<String>::new());
        let pending = lab.run(&["plan", "--detailed-exit-code"]).await;
        assert_eq!(pending.code, 0, "{}", pending.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_hypervisor_cannot_tell_an_address_a_lease_can() {
    // 7.4 does not see inside containers.
    let lab = Lab::new();
    let standin = Standin::open(homelab(&lab.salt, Release::V7_4), 1).await;
    let said = leases(&lab.salt);
    let lab = lab.asks("pve", &standin, "").hears("router", &said);
    let first = lab.settle(0).await;
    assert!(first.message("no_interfaces").contains("lxc/106"), "{:?}", first.told("note"));
    let made = lab.made().await;
    assert_eq!(made.of(Kind::VirtualMachine).len(), 30);
    assert_eq!(made.of(Kind::VmInterface).len(), 33);
    let exporter = made.one(Kind::VirtualMachine, "prometheus_pve_exporter");
    assert_eq!(made.text(exporter, Field::PrimaryIp4), "192.168.0.61/24");
}
