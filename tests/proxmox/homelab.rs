//! A homelab as people describe theirs: one host, thirty containers, two bridges. Three
//! containers stand on both, and the one that is the gateway of the inner network is a
//! VPN: what goes through it has its default route there.

use serde_json::json;

use crate::lab::Salt;
use crate::standin::{Guest, Kind, Pve, Release, Seen, Storage};

/// Containers: number, name, address on the outer bridge (0 is DHCP), address on the inner
/// one (0 is none).
const CONTAINERS: [(u32, &str, u8, u8); 30] = [
    (100, "swag", 3, 0),
    (101, "drive", 126, 0),
    (102, "fileserver", 5, 0),
    (103, "rustdeskserver", 140, 0),
    (104, "vaultwarden", 248, 0),
    (105, "immich", 15, 0),
    (106, "prometheus_pve_exporter", 0, 0),
    (107, "qbittorrent", 132, 2),
    (108, "prowlarr", 119, 3),
    (109, "alpine_prometheus", 0, 0),
    (110, "grafana", 243, 0),
    (111, "docker", 153, 0),
    (112, "sonarr", 203, 0),
    (113, "radarr", 165, 0),
    (114, "overseerr", 120, 0),
    (115, "flaresolverr", 138, 0),
    (116, "wireguard", 219, 1),
    (117, "immich_backup", 10, 0),
    (118, "autobrr", 107, 0),
    (119, "glance", 44, 0),
    (120, "plex", 207, 0),
    (121, "lidarr", 177, 0),
    (123, "uptimekuma", 181, 0),
    (124, "ntfy", 124, 0),
    (125, "odoo", 159, 0),
    (128, "paperless_ngx", 149, 0),
    (130, "loki", 200, 0),
    (131, "alertmanager", 201, 0),
    (132, "blackbox_exporter", 202, 0),
    (133, "promtail", 204, 0),
];

/// The addresses that DHCP gave.
const LEASES: [(u32, u8); 2] = [(106, 61), (109, 62)];

/// The host.
pub(crate) fn homelab(salt: &Salt, release: Release) -> Pve {
    let mut pve = Pve::new(release, None);
    let name = salt.name("pve");
    let node = pve.node(&name, "192.168.0.2/24", "192.168.0.1");
    node.network.push(json!({ "iface": "vmbr1", "type": "bridge", "active": 1, "autostart": 1,
        "method": "manual", "method6": "manual", "families": ["inet"], "priority": 5,
        "bridge_ports": "", "bridge_stp": "off", "bridge_fd": "0", "comments": "Behind the VPN\n" }));
    pve.storages = vec![
        Storage { name: "local", kind: "dir", shared: false, content: "iso,vztmpl,backup" },
        Storage { name: "local-lvm", kind: "lvmthin", shared: false, content: "rootdir,images" },
    ];
    for (vmid, hostname, outer, inner) in CONTAINERS {
        pve.guests.insert(vmid, container(salt, &name, vmid, hostname, outer, inner));
    }
    pve.guest(117).running = false;
    pve
}

fn container(salt: &Salt, node: &str, vmid: u32, hostname: &str, outer: u8, inner: u8) -> Guest {
    let mac = salt.mac(vmid);
    let ip = match outer {
        0 => "dhcp".to_owned(),
        // What leaves through the VPN has no gateway here.
        _ if inner > 1 => format!("192.168.0.{outer}/24"),
        _ => format!("192.168.0.{outer}/24,gw=192.168.0.1"),
    };
    let mut config = json!({
        "arch": "amd64", "cores": 2, "memory": 1024, "swap": 512, "ostype": "debian",
        "hostname": salt.name(hostname), "unprivileged": 1, "features": "nesting=1",
        "rootfs": format!("local-lvm:vm-{vmid}-disk-0,size=8G"),
        "net0": format!("name=eth0,bridge=vmbr0,hwaddr={mac},ip={ip},type=veth"),
    });
    let lease = LEASES.iter().find(|(known, _)| *known == vmid).map(|(_, last)| *last);
    let mut seen = vec![Seen {
        name: "eth0".to_owned(),
        mac: mac.to_lowercase(),
        addresses: vec![
            (format!("192.168.0.{}", lease.unwrap_or(outer)), 24),
            ("fe80::1".to_owned(), 64),
        ],
    }];
    if inner > 0 {
        let mac = salt.mac(1000 + vmid);
        let gateway = if inner > 1 { ",gw=10.10.10.1" } else { "" };
        config["net1"] = format!(
            "name=eth1,bridge=vmbr1,hwaddr={mac},ip=10.10.10.{inner}/24{gateway},type=veth"
        )
        .into();
        seen.push(Seen {
            name: "eth1".to_owned(),
            mac: mac.to_lowercase(),
            addresses: vec![(format!("10.10.10.{inner}"), 24)],
        });
    }
    if hostname == "docker" {
        seen.push(Seen {
            name: "docker0".to_owned(),
            mac: "02:42:9f:00:11:22".to_owned(),
            addresses: vec![("172.17.0.1".to_owned(), 16)],
        });
        seen.push(Seen {
            name: "veth12ab".to_owned(),
            mac: "fe:9a:00:11:22:33".to_owned(),
            addresses: vec![],
        });
    }
    Guest::new(Kind::Lxc, node, config).telling(seen, None)
}

/// What a router says of the addresses that it handed out.
pub(crate) fn leases(salt: &Salt) -> String {
    let line = |(vmid, last): (u32, u8)| {
        let host = json!({ "interfaces": [{ "mac": salt.mac(vmid), "addresses": [format!("192.168.0.{last}")] }] });
        format!(
            "{}\n",
            json!({ "version": 1, "authority": "lease", "evidence": "dhcp lease", "host": host })
        )
    };
    LEASES.into_iter().map(line).collect()
}
