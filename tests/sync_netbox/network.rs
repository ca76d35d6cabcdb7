//! What the sources saw: a small network with something of every kind that NetBox
//! keeps, named so that it meets nothing that stands there already.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

/// A network of one's own.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// The beginning of all its names.
    pub(crate) word: String,
    number: u32,
}

impl Network {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let number = u32::try_from(now & 0x00ff_ffff).unwrap();
        let number = number.wrapping_mul(16) + COUNT.fetch_add(1, Ordering::Relaxed);
        Network { word: format!("n{number:x}"), number }
    }

    fn name(&self, stem: &str) -> String {
        format!("{}-{stem}", self.word)
    }

    fn key(&self, path: &str) -> String {
        format!("lab:{}/{path}", self.word)
    }

    /// A MAC address out of a maker's block, or out of those for guests.
    fn mac(&self, guest: bool, last: u8) -> String {
        let [_, a, b, c] = self.number.to_be_bytes();
        let first = if guest { 0xbc } else { 0x00 };
        format!("{first:02x}:24:11:{:02x}:{b:02x}:{:02x}", a ^ c, last.wrapping_add(c << 4))
    }

    /// All of it, line by line.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        let things = [self.landscape(), self.machines(), self.guests()].concat();
        for thing in things {
            let mut line = json!({
                "version": 1, "source": "lab", "authority": "hypervisor",
                "evidence": "its own word", "segment": self.word,
            });
            line.as_object_mut().unwrap().extend(thing.as_object().unwrap().clone());
            let _ = writeln!(text, "{line}");
        }
        let whole = json!({"version": 1, "source": "lab",
            "coverage": {"keys": self.key(""), "method": "listing"}});
        let _ = writeln!(text, "{whole}");
        text
    }

    fn landscape(&self) -> Vec<Json> {
        vec![
            json!({"vlan": {"vid": 30, "name": self.name("iot"), "description": "Things"}}),
            json!({"prefix": {"net": "192.0.2.0/24", "description": "The house"}}),
            json!({"prefix": {"net": "198.51.100.0/25", "vlan": 30}}),
            json!({"prefix": {"net": "2001:db8:30::/64", "vlan": 30}}),
            json!({"ip_range": {"start": "192.0.2.200", "end": "192.0.2.249", "prefix_len": 24,
                "description": "DHCP"}}),
            json!({"cluster": {"key": self.key("cluster"), "name": self.name("cluster"),
                "kind": "Proxmox VE"}}),
        ]
    }

    fn machines(&self) -> Vec<Json> {
        let node = |number: u8| {
            let own = format!("192.0.2.{}/24", 10 + number);
            let six = format!("2001:db8:30::{:x}/64", 10 + number);
            json!({"host": {
                "key": self.key(&format!("node/{number}")), "form": "device",
                "name": self.name(&format!("node-{number}")), "status": "active",
                "manufacturer": self.name("Maker"), "model": "Node 12", "part_number": "N-12",
                "serial": self.name(&format!("serial-{number}")),
                "asset_tag": self.name(&format!("asset-{number}")),
                "platform": self.name("Hypervisor 9"), "role": self.name("hypervisor"),
                "description": "runs guests", "comments": "First line\n\nÄ second one",
                "location": "House / Rack", "tenant": self.name("tenant"),
                "cluster": self.key("cluster"), "tags": [self.name("rack")],
                "complete": ["interfaces", "addresses", "services", "components"],
                "interfaces": [
                    {"name": "eno1", "mac": self.mac(false, number * 2), "type": "1000base-t",
                        "enabled": true, "mtu": 1500, "speed_kbps": 1_000_000, "bridge": "vmbr0",
                        "neighbor": {"name": self.name("switch"), "port": format!("port{number}")}},
                    {"name": "vmbr0", "mac": self.mac(false, number * 2), "type": "bridge",
                        "addresses": [{"address": own, "gateway": true,
                            "dns_name": format!("node-{number}.example.org")}]},
                    {"name": "vmbr0.30", "type": "virtual", "parent": "vmbr0",
                        "mode": "access", "untagged_vlan": 30, "addresses": [six]},
                ],
                "services": [
                    {"name": "ssh", "protocol": "tcp", "ports": [22]},
                    {"name": "api", "protocol": "tcp", "ports": [8006, 443], "description": "HTTPS"},
                ],
                "components": [{"name": "nvme0", "manufacturer": self.name("Maker"),
                    "part_id": "P-1", "serial": self.name(&format!("disk-{number}"))}],
            }})
        };
        let port = |number: u8| {
            json!({"name": format!("port{number}"), "mac": self.mac(false, 8 + number),
                "type": "1000base-t", "lag": "trunk", "mode": "tagged", "tagged_vlans": [30]})
        };
        let switch = json!({"host": {
            "key": self.key("switch"), "form": "device", "name": self.name("switch"),
            "manufacturer": self.name("Maker"), "model": "Switch 8",
            "role": self.name("switch"), "complete": ["interfaces", "addresses"],
            "interfaces": [
                port(1), port(2), {"name": "trunk", "type": "lag"},
                {"name": "mgmt", "mac": self.mac(false, 8), "addresses": ["192.0.2.2/24"]},
            ],
        }});
        vec![node(1), node(2), switch]
    }

    fn guests(&self) -> Vec<Json> {
        let guest = |number: u8| {
            let form = if number == 3 { "container" } else { "virtual_machine" };
            json!({"host": {
                "key": self.key(&format!("guest/{number}")), "form": form,
                "name": self.name(&format!("guest-{number}")),
                "status": if number == 2 { "offline" } else { "active" },
                "cluster": self.key("cluster"), "runs_on": self.key("node/1"),
                "vcpus": f64::from(number) + 0.5, "memory_mb": 2048,
                "platform": self.name("Guest OS"),
                "complete": ["interfaces", "addresses", "disks", "services"],
                "disks": [
                    {"name": "scsi0", "size_mb": 20_000, "description": "local:vm"},
                    {"name": "scsi1", "size_mb": 4_000 + i64::from(number)},
                ],
                "interfaces": [{
                    "name": "net0", "mac": self.mac(true, number), "enabled": true,
                    "addresses": [
                        {"address": format!("192.0.2.{}/24", 100 + number), "gateway": true},
                        format!("2001:db8:30::{:x}/64", 0x100 + u16::from(number)),
                    ],
                }],
                "services": [{"name": "web", "protocol": "tcp", "ports": [80]}],
            }})
        };
        vec![guest(1), guest(2), guest(3)]
    }
}
