//! A cluster that changes between two runs: what follows is written in place, and nothing
//! besides it.

use netbox_agent::domain::object::{Field, Kind};

use crate::cluster::{cluster, container, machine};
use crate::lab::Lab;
use crate::standin::{Pve, Release, Standin};

/// A lab with a settled cluster of two nodes, two virtual machines (100, 102) and two
/// containers (101, 103).
async fn settled() -> (Lab, Standin) {
    let lab = Lab::new();
    let standin = Standin::open(cluster(&lab.salt, Release::V8_4, 2, 4), 1).await;
    let lab = lab.asks("pve", &standin, "");
    lab.settle(0).await;
    (lab, standin)
}

/// What a change of the cluster leads to, after which nothing is left to do.
async fn follows(change: impl FnOnce(&Lab, &mut Pve)) -> (Lab, Vec<String>) {
    let (lab, standin) = settled().await;
    change(&lab, &mut standin.pve());
    let changes = lab.settle(0).await.changes();
    (lab, changes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_migrates_is_written_with_its_new_node_alone() {
    let (lab, changes) = follows(|lab, pve| pve.guest(100).node = lab.salt.name("pve2")).await;
    assert_eq!(changes, ["update virtual_machine vm100: device"]);
    let made = lab.made().await;
    let guest = made.one(Kind::VirtualMachine, "vm100");
    assert_eq!(made.text(guest, Field::Device), "pve2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_renamed_keeps_its_object() {
    let (lab, changes) = follows(|lab, pve| {
        pve.guest(100).set("name", lab.salt.name("web"));
        pve.guest(101).set("hostname", lab.salt.name("mail_relay"));
    })
    .await;
    assert_eq!(
        changes,
        [
            "update ip_address 10.0.1.101/16: dns_name",
            "update ip_address 10.0.1.102/16: dns_name",
            "update virtual_machine ct101: name",
            "update virtual_machine vm100: name",
        ]
    );
    let made = lab.made().await;
    assert_eq!(made.of(Kind::VirtualMachine).len(), 4);
    let address = made.one(Kind::IpAddress, "10.0.1.102/16");
    assert_eq!(made.text(address, Field::DnsName), "mail-relay", "a valid name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_grows_is_written_with_its_size_alone() {
    let (lab, changes) = follows(|_, pve| {
        pve.guest(100).set("scsi0", "ceph:vm-100-disk-0,iothread=1,size=48G");
        pve.guest(101).set("rootfs", "local-zfs:subvol-101-disk-0,size=6G");
    })
    .await;
    assert_eq!(
        changes,
        ["update virtual_disk ct101 rootfs: size", "update virtual_disk vm100 scsi0: size"]
    );
    let made = lab.made().await;
    let guest = made.one(Kind::VirtualMachine, "vm100");
    let disks = made.within(Kind::VirtualDisk, Field::VirtualMachine, guest);
    assert_eq!(disks.len(), 1, "firmware's disk and CD-ROM are none");
    assert_eq!(made.text(disks[0], Field::Size), "49152");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nic_that_is_added_stands_beside_the_other() {
    let (lab, changes) = follows(|lab, pve| {
        let mac = lab.salt.mac(9_000);
        pve.guest(100).set("net1", format!("virtio={mac},bridge=vmbr0,tag=30"));
    })
    .await;
    let mac = format!("create mac_address {} (vm100)", lab.salt.mac(9_000).to_lowercase());
    assert_eq!(changes, [&mac, "create vlan VLAN 30", "create vm_interface vm100 net1"]);
    let made = lab.made().await;
    let guest = made.one(Kind::VirtualMachine, "vm100");
    let nics = made.within(Kind::VmInterface, Field::VirtualMachine, guest);
    assert_eq!(nics.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vlan_that_changes_is_written_on_the_interface_alone() {
    let (lab, standin) = settled().await;
    let tagged =
        |tag: u16| format!("virtio={},bridge=vmbr0,firewall=1,tag={tag}", lab.salt.mac(100));
    standin.pve().guest(100).set("net0", tagged(20));
    assert_eq!(
        lab.settle(0).await.changes(),
        ["create vlan VLAN 20", "update vm_interface vm100 net0: mode untagged_vlan"]
    );
    standin.pve().guest(100).set("net0", tagged(30));
    assert_eq!(
        lab.settle(0).await.changes(),
        ["create vlan VLAN 30", "update vm_interface vm100 net0: untagged_vlan"]
    );
    let made = lab.made().await;
    let guest = made.one(Kind::VirtualMachine, "vm100");
    let nic = made.within(Kind::VmInterface, Field::VirtualMachine, guest)[0];
    assert_eq!(made.text(nic, Field::UntaggedVlan), "VLAN 30");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_changes_on_a_guest_is_written_field_by_field() {
    let (_, changes) = follows(|lab, pve| {
        pve.guest(100).set("cores", 4);
        pve.guest(100).set("description", "Web server\n");
        pve.guest(101).set("memory", 1024);
        pve.guest(101).set("tags", format!("{};{}", lab.salt.name("prod"), lab.salt.name("web")));
        pve.guest(103).running = false;
    })
    .await;
    assert_eq!(
        changes,
        [
            "create tag prod",
            "create tag web",
            "update virtual_machine ct101: memory tags",
            "update virtual_machine ct103: status",
            "update virtual_machine vm100: description vcpus",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_guest_under_a_number_that_was_free_is_written_over_the_one_before() {
    // With the ordinary grace, in which what an agent said is believed for a while: not
    // when it was another guest's agent.
    for grace in ["", "[absence]\ngrace_runs = 3\ngrace_time = \"7d\"\n"] {
        let lab = Lab::new();
        let standin = Standin::open(cluster(&lab.salt, Release::V8_4, 2, 4), 1).await;
        let mut lab = lab.asks("pve", &standin, "");
        if !grace.is_empty() {
            lab = lab.instead(grace);
        }
        lab.settle(0).await;
        let before = lab.made().await.one(Kind::VirtualMachine, "vm100").id;
        {
            let mut pve = standin.pve();
            let mut guest = machine(&lab.salt, &lab.salt.name("pve1"), 777);
            guest.set("name", lab.salt.name("another"));
            guest.set("agent", "0");
            pve.guests.insert(100, guest);
        }
        lab.settle(0).await;
        let made = lab.made().await;
        let guest = made.one(Kind::VirtualMachine, "another");
        assert_eq!(guest.id, before, "it is written in place");
        assert_eq!(made.of(Kind::VirtualMachine).len(), 4);
        let nics = made.within(Kind::VmInterface, Field::VirtualMachine, guest);
        let names: Vec<&str> = nics.iter().map(|nic| nic.name()).collect();
        assert_eq!(names, ["net0"], "{grace}");
        assert_eq!(made.text(nics[0], Field::PrimaryMac).to_uppercase(), lab.salt.mac(777));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_moves_to_another_cluster_takes_its_object_along() {
    for vmid in [100, 555] {
        let lab = Lab::new();
        let home = Standin::open(cluster(&lab.salt, Release::V8_4, 1, 4), 1).await;
        let mut pve = cluster(&lab.salt, Release::V9_2, 0, 0);
        pve.cluster = Some(lab.salt.name("office"));
        pve.node(&lab.salt.name("desk1"), "10.9.0.1/16", "10.9.255.254");
        let office = Standin::open(pve, 1).await;
        let lab = lab.asks("home", &home, "").asks("office", &office, "");
        lab.settle(0).await;
        let before = lab.made().await.one(Kind::VirtualMachine, "vm100").id;
        {
            let mut guest = home.pve().guests.remove(&100).unwrap();
            guest.node = lab.salt.name("desk1");
            office.pve().guests.insert(vmid, guest);
        }
        assert_eq!(
            lab.settle(0).await.changes(),
            ["update virtual_machine vm100: cluster device"],
            "as {vmid}"
        );
        let made = lab.made().await;
        let guest = made.one(Kind::VirtualMachine, "vm100");
        assert_eq!(guest.id, before);
        assert_eq!(made.text(guest, Field::Cluster), "office");
        assert_eq!(made.of(Kind::VirtualMachine).len(), 4);
        // Its old number is free for another, which is nothing but new.
        let newcomer = machine(&lab.salt, &lab.salt.name("pve1"), 600);
        home.pve().guests.insert(100, newcomer);
        lab.settle(0).await;
        let made = lab.made().await;
        assert_eq!(made.of(Kind::VirtualMachine).len(), 5, "as {vmid}");
        assert_eq!(made.one(Kind::VirtualMachine, "vm100").id, before);
        assert_eq!(made.text(made.one(Kind::VirtualMachine, "vm600"), Field::Cluster), "homelab");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_moves_while_it_is_asked_for_is_found_where_it_went() {
    let (lab, standin) = settled().await;
    let there = lab.salt.name("pve2");
    standin.pve().fleeing.insert(100, there);
    let run = lab.sync(0).await;
    assert_eq!(run.changes(), ["update virtual_machine vm100: device"]);
    assert_eq!(run.told("error"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_is_gone_is_retired_and_stands_again_when_it_is_back() {
    let (lab, standin) = settled().await;
    let guest = standin.pve().guests.remove(&101).unwrap();
    let changes = lab.settle(0).await.changes();
    assert_eq!(
        changes,
        [
            "retire ip_address 10.0.1.102/16: status",
            "retire virtual_machine ct101: status",
            "retire vm_interface eth0: enabled",
        ]
    );
    standin.pve().guests.insert(101, guest);
    lab.settle(0).await;
    let made = lab.made().await;
    assert_eq!(made.text(made.one(Kind::VirtualMachine, "ct101"), Field::Status), "active");
    assert_eq!(made.of(Kind::VirtualMachine).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_the_cluster_is_retired() {
    let (lab, standin) = settled().await;
    {
        let mut pve = standin.pve();
        let (gone, stays) = (lab.salt.name("pve2"), lab.salt.name("pve1"));
        pve.nodes.remove(&gone);
        pve.guests.values_mut().for_each(|guest| guest.node.clone_from(&stays));
    }
    let changes = lab.settle(0).await.changes();
    assert!(changes.contains(&"retire device pve2: status".to_owned()), "{changes:#?}");
    assert!(changes.contains(&"update virtual_machine ct101: device".to_owned()), "{changes:#?}");
    let made = lab.made().await;
    assert_eq!(made.text(made.one(Kind::Device, "pve1"), Field::Status), "active");
    assert_eq!(made.text(made.one(Kind::Device, "pve2"), Field::Status), "offline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_no_guest_unless_it_is_asked_for() {
    for (more, guests) in [("", 2), ("include_templates = true", 3)] {
        let lab = Lab::new();
        let mut pve = cluster(&lab.salt, Release::V9_2, 1, 2);
        let mut template = container(&lab.salt, &lab.salt.name("pve1"), 900);
        template.set("template", 1);
        template.running = false;
        pve.guests.insert(900, template);
        let standin = Standin::open(pve, 1).await;
        let lab = lab.asks("pve", &standin, more);
        lab.settle(0).await;
        assert_eq!(lab.made().await.of(Kind::VirtualMachine).len(), guests);
    }
}
