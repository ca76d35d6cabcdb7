//! A cluster of any size: nodes in one network, guests on them in turn, of both kinds.

use serde_json::json;

use crate::lab::Salt;
use crate::standin::{Guest, Kind, Pve, Release, Seen, Storage};

/// A cluster of so many nodes and guests. Every second guest is a virtual machine with an
/// agent; numbers begin at 100.
pub(crate) fn cluster(salt: &Salt, release: Release, nodes: u32, guests: u32) -> Pve {
    let mut pve = Pve::new(release, Some(&salt.name("homelab")));
    for number in 1..=nodes {
        pve.node(
            &salt.name(&format!("pve{number}")),
            &format!("10.0.0.{number}/16"),
            "10.0.255.254",
        );
    }
    pve.storages = vec![
        Storage { name: "local-zfs", kind: "zfspool", shared: false, content: "images,rootdir" },
        Storage { name: "ceph", kind: "rbd", shared: true, content: "images" },
    ];
    for number in 0..guests {
        let vmid = 100 + number;
        let node = salt.name(&format!("pve{}", number % nodes + 1));
        let guest =
            if number % 2 == 0 { machine(salt, &node, vmid) } else { container(salt, &node, vmid) };
        pve.guests.insert(vmid, guest);
    }
    pve
}

fn address(vmid: u32) -> String {
    format!("10.0.{}.{}", 1 + vmid / 250, 1 + vmid % 250)
}

/// A virtual machine on Debian whose agent tells its address.
pub(crate) fn machine(salt: &Salt, node: &str, vmid: u32) -> Guest {
    let mac = salt.mac(vmid);
    let config = json!({
        "name": salt.name(&format!("vm{vmid}")), "memory": 4096, "cores": 2, "sockets": 1, "cpu": "host",
        "ostype": "l26", "agent": "1", "boot": "order=scsi0;net0", "scsihw": "virtio-scsi-single",
        "scsi0": format!("ceph:vm-{vmid}-disk-0,iothread=1,size=32G"),
        "ide2": "none,media=cdrom", "efidisk0": format!("ceph:vm-{vmid}-disk-1,efitype=4m,size=528K"),
        "net0": format!("virtio={mac},bridge=vmbr0,firewall=1"),
        "smbios1": format!("uuid={}", uuid(salt, vmid)), "vmgenid": "9b2e1b60-0d0c-4e7a-9a6b-0f1e2d3c4b5a",
    });
    let seen = Seen {
        name: "ens18".to_owned(),
        mac: mac.to_lowercase(),
        addresses: vec![(address(vmid), 16), ("fe80::be24:11ff:fe00:1".to_owned(), 64)],
    };
    let system = json!({ "id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 12 (bookworm)", "version-id": "12", "kernel-release": "6.1.0-18-amd64" });
    Guest::new(Kind::Qemu, node, config).telling(vec![seen], Some(system))
}

fn uuid(salt: &Salt, vmid: u32) -> String {
    let bytes = salt.mac(vmid).replace(':', "").to_lowercase();
    format!("7c9e6679-7425-40de-944b-{bytes}")
}

/// A container with a fixed address.
pub(crate) fn container(salt: &Salt, node: &str, vmid: u32) -> Guest {
    let (mac, ip) = (salt.mac(vmid), address(vmid));
    let config = json!({
        "hostname": salt.name(&format!("ct{vmid}")), "memory": 512, "cores": 1, "ostype": "alpine",
        "rootfs": format!("local-zfs:subvol-{vmid}-disk-0,size=4G"),
        "net0": format!("name=eth0,bridge=vmbr0,hwaddr={mac},ip={ip}/16,gw=10.0.255.254,type=veth"),
    });
    let seen = Seen { name: "eth0".to_owned(), mac: mac.to_lowercase(), addresses: vec![(ip, 16)] };
    Guest::new(Kind::Lxc, node, config).telling(vec![seen], None)
}
