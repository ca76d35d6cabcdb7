//! What is answered to which question.

use serde_json::{Map, Value as Json, json};

use super::Refusal;
use super::rights::Token;
use super::world::{Guest, Inside, Kind, Node, Pve, Release};

type Answer = Result<Json, Refusal>;

impl Pve {
    /// Answers one request.
    pub(super) fn answer(&mut self, header: Option<&str>, path: &str, query: &str) -> Answer {
        let token = match self.token_of(header) {
            Some(token) => token?.clone(),
            None => return Err(Refusal::new(401, "No ticket")),
        };
        let path = path.strip_prefix("/api2/json/").unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        let mut answer = self.route(&token, &parts, query)?;
        if let Some(schema) = &self.filled {
            schema.fill(path, &mut answer["data"]);
        }
        if let Some(twist) = self.twist {
            twist.turn(&mut answer["data"]);
        }
        Ok(answer)
    }

    fn route(&mut self, token: &Token, parts: &[&str], query: &str) -> Answer {
        let data = match parts {
            ["version"] => self.version(),
            ["access", "permissions"] => self.permissions(token),
            ["access", "acl"] => self.entries(token),
            ["cluster", "status"] => {
                self.need(token, "/", &["Sys.Audit"])?;
                self.status()
            }
            ["cluster", "resources"] => self.resources(token, query),
            ["cluster", "sdn", rest @ ..] => return self.sdn(token, rest, query),
            ["nodes"] => Json::Array(
                self.nodes.iter().map(|(name, node)| self.node_row(name, node)).collect(),
            ),
            ["nodes", name, rest @ ..] => return self.at_node(token, name, rest, query),
            _ => return Err(not_implemented(parts)),
        };
        Ok(json!({ "data": data }))
    }

    fn version(&self) -> Json {
        match self.release {
            Release::V7_4 => json!({ "version": "7.4-17", "release": "7.4", "repoid": "513c62be" }),
            Release::V8_4 => json!({ "version": "8.4.1", "release": "8.4", "repoid": "2a5fa54a" }),
            Release::V9_2 => json!({ "version": "9.2.4", "release": "9.2", "repoid": "17e3a2c9" }),
        }
    }

    /// A standalone host has no row of type `cluster`.
    fn status(&self) -> Json {
        let first = self.nodes.keys().next();
        let mut rows: Vec<Json> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(number, (name, node))| {
                json!({ "type": "node", "id": format!("node/{name}"), "name": name, "nodeid": number + 1,
                        "online": u8::from(node.online), "local": u8::from(Some(name) == first), "ip": node.ip, "level": "" })
            })
            .collect();
        if let Some(name) = &self.cluster {
            rows.insert(
                0,
                json!({ "type": "cluster", "id": "cluster", "name": name, "version": 5,
                                   "nodes": self.nodes.len(), "quorate": u8::from(self.quorate) }),
            );
        }
        Json::Array(rows)
    }

    fn node_row(&self, name: &str, node: &Node) -> Json {
        let status = if node.online { "online" } else { "offline" };
        json!({ "node": name, "id": format!("node/{name}"), "type": "node", "status": status, "level": "" })
    }

    /// Rows that the token may not see are left out without a word.
    fn resources(&self, token: &Token, query: &str) -> Json {
        let mut rows = Vec::new();
        for (vmid, guest) in &self.guests {
            if self.may(token, &format!("/vms/{vmid}"), &["VM.Audit"]) {
                rows.push(self.guest_row(token, *vmid, guest));
            }
        }
        if query.contains("type=vm") {
            return Json::Array(rows);
        }
        for (name, node) in &self.nodes {
            rows.push(self.node_row(name, node));
            for storage in &self.storages {
                if self.may(token, &format!("/storage/{}", storage.name), &["Datastore.Audit"]) {
                    rows.push(
                        json!({ "type": "storage", "id": format!("storage/{name}/{}", storage.name),
                        "storage": storage.name, "node": name, "plugintype": storage.kind,
                        "shared": u8::from(storage.shared), "content": storage.content,
                        "status": "available", "disk": 1_234_567, "maxdisk": 98_765_432 }),
                    );
                }
            }
        }
        Json::Array(rows)
    }

    /// A guest of which its node has told nothing comes without name and statistics.
    fn guest_row(&self, token: &Token, vmid: u32, guest: &Guest) -> Json {
        let kind = guest.kind.word();
        let mut row = json!({ "id": format!("{kind}/{vmid}"), "vmid": vmid, "node": guest.node, "type": kind, "status": "unknown" });
        let away = self.nodes.get(&guest.node).is_none_or(|node| !node.online);
        if guest.stats && !away {
            let default = match guest.kind {
                Kind::Qemu => format!("VM {vmid}"),
                Kind::Lxc => format!("CT{vmid}"),
            };
            row["name"] = guest.name().map_or(default, str::to_owned).into();
            row["status"] = if guest.running { "running" } else { "stopped" }.into();
            row["template"] = guest.config.get("template").cloned().unwrap_or_else(|| 0.into());
            row["maxcpu"] = 4.into();
            row["maxmem"] = (2_048_i64 << 20).into();
            row["cpu"] = 0.02.into();
            row["uptime"] = 77.into();
        }
        if let Some(pool) = guest
            .pool
            .as_ref()
            .filter(|pool| self.may(token, &format!("/pool/{pool}"), &["Pool.Audit"]))
        {
            row["pool"] = pool.as_str().into();
        }
        if let Some(state) = &guest.ha {
            row["hastate"] = state.as_str().into();
        }
        // Since 8, from the configurations that every node holds.
        if self.release >= Release::V8_4
            && let Some(tags) = guest.config.get("tags")
        {
            row["tags"] = tags.clone();
        }
        row
    }

    fn sdn(&self, token: &Token, parts: &[&str], query: &str) -> Answer {
        if self.release == Release::V7_4 && query.contains("running") && self.vnets.is_empty() {
            // Without the package that brings virtual networks.
            return Err(not_implemented(&["cluster", "sdn"]));
        }
        let may = |zone: &str, vnet: &str| {
            self.may(token, &format!("/sdn/zones/{zone}/{vnet}"), &["SDN.Audit", "SDN.Allocate"])
        };
        let text = |row: &Json, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows: Vec<Json> = match parts {
            ["zones"] => {
                self.zones.iter().filter(|row| may(&text(row, "zone"), "")).cloned().collect()
            }
            ["vnets"] => self
                .vnets
                .iter()
                .filter(|row| may(&text(row, "zone"), &text(row, "vnet")))
                .cloned()
                .collect(),
            ["vnets", vnet, "subnets"] => self.subnets.get(*vnet).cloned().unwrap_or_default(),
            _ => return Err(not_implemented(parts)),
        };
        Ok(json!({ "data": rows }))
    }

    fn at_node(&mut self, token: &Token, name: &str, parts: &[&str], query: &str) -> Answer {
        let Some(node) = self.nodes.get(name) else {
            return Err(Refusal::new(
                500,
                format!(
                    "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or service not known"
                ),
            ));
        };
        if !node.online || self.unreachable.contains(name) {
            return Err(Refusal::new(595, "No route to host"));
        }
        let data = match parts {
            ["status"] => {
                self.need(token, &format!("/nodes/{name}"), &["Sys.Audit"])?;
                self.node_status()
            }
            ["network"] => {
                let mut answer = json!({ "data": self.network(token, node) });
                if let Some(changes) = &node.changes {
                    answer["changes"] = changes.as_str().into();
                }
                return Ok(answer);
            }
            ["disks", "list"] => {
                self.need(token, &format!("/nodes/{name}"), &["Sys.Audit"])?;
                Json::Array(node.disks.clone())
            }
            ["config"] => {
                self.need(token, "/", &["Sys.Audit"])?;
                let mut config = json!({ "digest": "d0" });
                if let Some(notes) = &node.notes {
                    config["description"] = notes.as_str().into();
                }
                config
            }
            [kind @ ("qemu" | "lxc"), vmid, rest @ ..] => {
                let number = vmid
                    .parse()
                    .map_err(|_| Refusal::new(400, "Parameter verification failed."))?;
                self.at_guest(token, name, kind, number, rest, query)?
            }
            _ => return Err(not_implemented(parts)),
        };
        Ok(json!({ "data": data }))
    }

    /// Fields by version from the API's schema; no board, no serial number.
    fn node_status(&self) -> Json {
        let mut status = json!({
            "cpuinfo": { "model": "AMD Ryzen 7 5700G with Radeon Graphics", "sockets": 1, "cores": 8, "cpus": 16, "mhz": "3800.000" },
            "memory": { "total": 67_315_716_096_i64, "used": 23_000_000_000_i64, "free": 44_315_716_096_i64 },
            "loadavg": ["0.10", "0.20", "0.15"], "uptime": 123_456, "cpu": 0.03,
        });
        let (version, kernel) = match self.release {
            Release::V7_4 => ("pve-manager/7.4-17/513c62be", "5.15.158-2-pve"),
            Release::V8_4 => ("pve-manager/8.4.1/2a5fa54a8503f96d", "6.8.12-9-pve"),
            Release::V9_2 => ("pve-manager/9.2.4/17e3a2c9d51e", "6.17.2-1-pve"),
        };
        status["pveversion"] = version.into();
        status["kversion"] = format!("Linux {kernel} #1 SMP PREEMPT_DYNAMIC PMX").into();
        if self.release >= Release::V8_4 {
            status["current-kernel"] =
                json!({ "sysname": "Linux", "release": kernel, "machine": "x86_64" });
        }
        status
    }

    /// Since 8, bridges that the token may not audit are left out without a word.
    fn network(&self, token: &Token, node: &Node) -> Vec<Json> {
        let shown = |row: &&Json| {
            let bridge = matches!(row["type"].as_str(), Some("bridge" | "OVSBridge"));
            let path =
                format!("/sdn/zones/localnetwork/{}", row["iface"].as_str().unwrap_or_default());
            self.release < Release::V8_4
                || !bridge
                || self.may(token, &path, &["SDN.Audit", "SDN.Use"])
        };
        node.network.iter().filter(shown).cloned().collect()
    }

    fn at_guest(
        &mut self,
        token: &Token,
        node: &str,
        kind: &str,
        vmid: u32,
        parts: &[&str],
        query: &str,
    ) -> Answer {
        let path = format!("/vms/{vmid}");
        let folder = if kind == "qemu" { "qemu-server" } else { "lxc" };
        let gone = || {
            Refusal::new(
                500,
                format!("Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist"),
            )
        };
        match parts {
            ["agent", ..] if self.release >= Release::V9_2 => {
                self.need(token, &path, &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"])?;
            }
            ["agent", ..] => self.need(token, &path, &["VM.Monitor"])?,
            _ => self.need(token, &path, &["VM.Audit"])?,
        }
        if let Some(to) = self.fleeing.remove(&vmid) {
            self.guest(vmid).node = to;
        }
        let guest =
            self.guests.get(&vmid).filter(|guest| guest.node == node && guest.kind.word() == kind);
        let guest = guest.ok_or_else(gone)?;
        match parts {
            ["config"] => Ok(config(guest, self.release, query)),
            ["interfaces"] if guest.kind == Kind::Lxc && self.release >= Release::V8_4 => {
                Ok(lxc_interfaces(guest))
            }
            ["agent", command] if guest.kind == Kind::Qemu => agent(vmid, guest, command),
            _ => Err(not_implemented(parts)),
        }
    }
}

fn not_implemented(parts: &[&str]) -> Refusal {
    Refusal::new(501, format!("Method 'GET /{}' not implemented", parts.join("/")))
}

/// `memory` of a virtual machine is a number in 7 and a text since 8.
fn config(guest: &Guest, release: Release, query: &str) -> Json {
    let mut config: Map<String, Json> = guest.config.clone();
    if guest.kind == Kind::Qemu
        && let Some(memory) = config.get("memory").and_then(Json::as_i64)
        && release >= Release::V8_4
    {
        config.insert("memory".to_owned(), memory.to_string().into());
    }
    // What waits for the next start is shown unless the values in force are asked for.
    let pending: Vec<String> =
        config.keys().filter(|key| key.starts_with("pending:")).cloned().collect();
    for key in pending {
        let value = config.remove(&key).unwrap();
        if !query.contains("current=1") {
            config.insert(key.trim_start_matches("pending:").to_owned(), value);
        }
    }
    config.insert("digest".to_owned(), "9f1c".into());
    config.into()
}

/// Both shapes stand beside each other since 8.
fn lxc_interfaces(guest: &Guest) -> Json {
    let (true, Ok(inside)) = (guest.running, &guest.inside) else { return Json::Null };
    let loopback = json!({ "name": "lo", "hwaddr": "00:00:00:00:00:00", "inet": "127.0.0.1/8", "inet6": "::1/128",
        "hardware-address": "00:00:00:00:00:00", "ip-addresses": [
            { "ip-address": "127.0.0.1", "ip-address-type": "inet", "prefix": "8" }] });
    let rows = inside.interfaces.iter().map(|seen| {
        let mut row = json!({ "name": seen.name, "hwaddr": seen.mac, "hardware-address": seen.mac });
        let mut each = Vec::new();
        for (ip, length) in &seen.addresses {
            let family = if ip.contains(':') { "inet6" } else { "inet" };
            row[family] = format!("{ip}/{length}").into();
            each.push(json!({ "ip-address": ip, "ip-address-type": family, "prefix": length.to_string() }));
        }
        row["ip-addresses"] = each.into();
        row
    });
    std::iter::once(loopback).chain(rows).collect()
}

/// What goes wrong with an agent is a 500, and its reason tells what.
fn agent(vmid: u32, guest: &Guest, command: &str) -> Answer {
    let enabled = guest.config.get("agent").is_some_and(|agent| {
        let text = agent.as_str().map_or_else(|| agent.to_string(), str::to_owned);
        text.starts_with('1') || text.contains("enabled=1")
    });
    if !enabled {
        return Err(Refusal::new(500, "No QEMU guest agent configured"));
    }
    if !guest.running {
        return Err(Refusal::new(500, format!("VM {vmid} is not running")));
    }
    let inside = guest.inside.as_ref().map_err(|why| Refusal::new(500, why.clone()))?;
    match (command, &inside.system) {
        ("network-get-interfaces", _) => Ok(json!({ "result": agent_interfaces(inside) })),
        ("get-osinfo", Some(system)) => Ok(json!({ "result": system })),
        ("get-osinfo", None) => Ok(json!({ "result": { "error": { "class": "CommandNotFound",
            "desc": "The command guest-get-osinfo has not been found" } } })),
        _ => Err(not_implemented(&["agent", command])),
    }
}

fn agent_interfaces(inside: &Inside) -> Vec<Json> {
    let loopback = json!({ "name": "lo", "hardware-address": "00:00:00:00:00:00", "ip-addresses": [
        { "ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8 },
        { "ip-address": "::1", "ip-address-type": "ipv6", "prefix": 128 }] });
    let rows = inside.interfaces.iter().map(|seen| {
        let each: Vec<Json> = seen
            .addresses
            .iter()
            .map(|(ip, length)| {
                let family = if ip.contains(':') { "ipv6" } else { "ipv4" };
                json!({ "ip-address": ip, "ip-address-type": family, "prefix": length })
            })
            .collect();
        let mut row =
            json!({ "name": seen.name, "ip-addresses": each, "statistics": { "rx-bytes": 1 } });
        if !seen.mac.is_empty() {
            row["hardware-address"] = seen.mac.as_str().into();
        }
        row
    });
    std::iter::once(loopback).chain(rows).collect()
}
