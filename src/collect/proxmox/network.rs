//! A node's own network: its ports, bonds, bridges and VLANs, as its configuration has
//! them. The file that is shown may hold changes that are not in force yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::answer::Row;
use super::property::{Vids, is_vid};
use super::sdn::Vnets;
use crate::domain::mac::MacAddr;
use crate::domain::observation::{
    Address, Interface, InterfaceAttribute as Attribute, InterfaceFacts, Prefix,
};

/// What a node's network is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Network {
    /// Its interfaces, in the order of the file.
    pub interfaces: Vec<Interface>,
    /// The subnets that it has addresses in.
    pub prefixes: BTreeSet<Prefix>,
    /// Whether some address is handed out by others, so that it is not known from here.
    pub dynamic: bool,
}

/// What is known besides the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// The virtual networks on this node.
    pub vnets: &'a Vnets,
    /// The node's name.
    pub node: &'a str,
    /// The address by which the cluster reaches the node.
    pub ip: Option<IpAddr>,
    /// Whether every bridge is shown, so that what is not a port of any is none.
    pub whole: bool,
}

/// Reads a node's interfaces.
pub(super) fn read(rows: &[Row], around: Around<'_>) -> Network {
    let mut ports: Vec<Port> = rows.iter().filter_map(Port::of).collect();
    ports.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    let members = Members::of(&ports);
    let mut network =
        Network { dynamic: ports.iter().any(|port| port.dynamic), ..Network::default() };
    for port in &ports {
        network.interfaces.push(port.interface(&members, around));
        let nets = port.addresses.iter().map(|(net, _)| net);
        network.prefixes.extend(
            nets.filter(|net| net.prefix_len() < net.max_prefix_len()).map(|net| Prefix {
                net: net.trunc(),
                vlan: port.vid,
                description: None,
            }),
        );
    }
    place_handed_out(&mut network, &ports, around.ip);
    let known: BTreeSet<&str> = ports.iter().map(|port| port.name.as_str()).collect();
    let virtuals = around.vnets.iter().filter(|(name, _)| !known.contains(name.as_str()));
    for (name, vnet) in virtuals.filter(|(_, vnet)| vnet.is_on(around.node)) {
        let mut facts = InterfaceFacts::default();
        facts.text(Attribute::Type, "bridge");
        match &vnet.alias {
            Some(alias) => facts.text(Attribute::Description, alias),
            None => facts.none(Attribute::Description),
        }
        vlans(&mut facts, vnet.vlan, None, vnet.vlan_aware.then(|| Vids::parse("2-4094")).as_ref());
        let name = Some(name.as_str().into());
        network.interfaces.push(Interface { name, facts, ..Interface::default() });
    }
    network
}

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bridge,
    Bond,
    Vlan,
    Alias,
    Physical,
    /// Made by software, and none of the others.
    Soft,
    /// The file says no more than its name.
    Unknown,
}

impl Form {
    /// NetBox's type for it.
    const fn word(self) -> &'static str {
        match self {
            Form::Bridge => "bridge",
            Form::Bond => "lag",
            Form::Vlan | Form::Alias | Form::Soft => "virtual",
            Form::Physical | Form::Unknown => "other",
        }
    }
}

/// One interface of the file.
struct Port<'a> {
    row: &'a Row,
    name: String,
    form: Form,
    priority: i64,
    vid: Option<u16>,
    addresses: Vec<(IpNet, bool)>,
    dynamic: bool,
}

impl<'a> Port<'a> {
    fn of(row: &'a Row) -> Option<Self> {
        let name = row.text("iface")?.trim().to_owned();
        let kind = row.text("type").unwrap_or_default();
        let form = match kind.as_str() {
            "loopback" => return None,
            _ if name == "lo" => return None,
            "bridge" | "OVSBridge" | "vnet" => Form::Bridge,
            "bond" | "OVSBond" => Form::Bond,
            "vlan" => Form::Vlan,
            "alias" => Form::Alias,
            "eth" | "OVSPort" => Form::Physical,
            "OVSIntPort" | "fabric" | "vxlan" => Form::Soft,
            // Bridges and bonds with names of their own are of unknown type in the file.
            _ if row.has("bridge_ports") || row.has("ovs_ports") => Form::Bridge,
            _ if row.has("slaves") => Form::Bond,
            _ if row.has("vlan-raw-device") => Form::Vlan,
            _ if row.has("vxlan-id") => Form::Soft,
            _ => Form::Unknown,
        };
        let suffix = || name.rsplit_once('.').and_then(|(_, vid)| vid.parse::<i64>().ok());
        let vid = row.int("vlan-id").or_else(|| suffix().filter(|_| form == Form::Vlan));
        let vid = vid.or_else(|| row.int("ovs_tag")).or_else(|| row.int("bridge-access"));
        let by_others = |key| matches!(row.text(key).as_deref(), Some("dhcp" | "auto"));
        let v4 = net(row, "cidr", "address", "netmask").map(|net| (net, row.has("gateway")));
        let v6 = net(row, "cidr6", "address6", "netmask6").map(|net| (net, row.has("gateway6")));
        Some(Port {
            row,
            form,
            priority: row.int("priority").unwrap_or(i64::MAX),
            vid: vid.and_then(|vid| u16::try_from(vid).ok()).filter(is_vid),
            addresses: v4.into_iter().chain(v6).collect(),
            dynamic: by_others("method") || by_others("method6"),
            name,
        })
    }

    fn interface(&self, members: &Members, around: Around<'_>) -> Interface {
        let mut facts = InterfaceFacts::default();
        facts.text(Attribute::Type, self.form.word());
        facts.bool(Attribute::Enabled, self.row.is("active"));
        match self.row.int("mtu").filter(|mtu| *mtu > 0) {
            Some(mtu) => facts.int(Attribute::Mtu, mtu),
            None => facts.none(Attribute::Mtu),
        }
        match self.description() {
            Some(text) => facts.text(Attribute::Description, text),
            None => facts.none(Attribute::Description),
        }
        if let Some(parent) = self.parent() {
            facts.text(Attribute::Parent, parent);
        }
        let related = [
            (Attribute::Bridge, members.bridges.get(&self.name)),
            (Attribute::Lag, members.bonds.get(&self.name)),
        ];
        for (attribute, other) in related {
            match other {
                Some(other) => facts.text(attribute, other),
                None if around.whole => facts.none(attribute),
                None => {}
            }
        }
        let aware = self.form == Form::Bridge && self.row.is("bridge_vlan_aware");
        let passing = aware.then(|| {
            Vids::parse(&self.row.text("bridge_vids").unwrap_or_else(|| "2-4094".to_owned()))
        });
        vlans(&mut facts, self.vid, None, passing.as_ref());
        let address = |(net, gateway): &(IpNet, bool)| Address {
            gateway: *gateway,
            ..Address::with_prefix(*net)
        };
        Interface {
            name: Some(self.name.as_str().into()),
            mac: self.mac(),
            facts,
            addresses: self.addresses.iter().map(address).collect(),
            neighbor: None,
        }
    }

    /// The comments on it, and the names that it has besides.
    fn description(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        for key in ["comments", "comments6"] {
            let text = self.row.text(key).map(|text| text.trim().to_owned());
            parts.extend(text.filter(|text| !parts.contains(text)));
        }
        let names = self.row.texts("altnames");
        if !names.is_empty() {
            parts.push(format!("also {}", names.join(", ")));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// The interface that it is a part of.
    fn parent(&self) -> Option<String> {
        match self.form {
            Form::Vlan => self
                .row
                .text("vlan-raw-device")
                .or_else(|| self.name.rsplit_once('.').map(|(parent, _)| parent.to_owned())),
            Form::Alias => self.name.rsplit_once(':').map(|(parent, _)| parent.to_owned()),
            _ => None,
        }
    }

    /// No answer tells a port's MAC address, but a name that is made of it does.
    fn mac(&self) -> Option<MacAddr> {
        let present = self.row.is("exists") || self.row.is("active");
        let names = self.row.texts("altnames");
        let mut names = std::iter::once(&self.name).chain(&names);
        names
            .find_map(|name| {
                let digits = name.strip_prefix("enx").filter(|digits| digits.len() == 12)?;
                digits.parse::<MacAddr>().ok()
            })
            .filter(|mac| self.form == Form::Physical && present && mac.names_an_interface())
    }
}

/// Which bridge and which bond an interface is a port of.
struct Members {
    bridges: BTreeMap<String, String>,
    bonds: BTreeMap<String, String>,
}

impl Members {
    fn of(ports: &[Port<'_>]) -> Self {
        let mut members = Members { bridges: BTreeMap::new(), bonds: BTreeMap::new() };
        for port in ports {
            let listed = |key| {
                let text = port.row.text(key).unwrap_or_default();
                let names = text.split([' ', ',', ';']).map(str::trim).map(str::to_owned);
                names.filter(|name| !matches!(name.as_str(), "" | "none")).collect::<Vec<_>>()
            };
            let of_bridge = listed("bridge_ports").into_iter().chain(listed("ovs_ports"));
            members.bridges.extend(of_bridge.map(|name| (name, port.name.clone())));
            let of_bond = listed("slaves").into_iter().chain(listed("ovs_bonds"));
            members.bonds.extend(of_bond.map(|name| (name, port.name.clone())));
            if let Some(bridge) = port.row.text("ovs_bridge") {
                members.bridges.insert(port.name.clone(), bridge);
            }
        }
        members
    }
}

/// States the VLANs of an interface: its own, and those that pass it.
pub(super) fn vlans(
    facts: &mut InterfaceFacts,
    own: Option<u16>,
    trunks: Option<&Vids>,
    passing: Option<&Vids>,
) {
    match own {
        Some(vid) => facts.int(Attribute::UntaggedVlan, i64::from(vid)),
        None => facts.none(Attribute::UntaggedVlan),
    }
    let tagged = trunks.or(passing);
    let mode = match (tagged.map(|vids| vids.listed().is_some()), own) {
        (Some(true), _) => Some("tagged"),
        (Some(false), _) => Some("tagged-all"),
        (None, Some(_)) => Some("access"),
        (None, None) => None,
    };
    match mode {
        Some(mode) => facts.text(Attribute::Mode, mode),
        None => facts.none(Attribute::Mode),
    }
    let listed: Vec<i64> = tagged.and_then(Vids::listed).map(Iterator::collect).unwrap_or_default();
    facts.ints(Attribute::TaggedVlans, listed);
}

/// The address of the node that no interface of the file has stands on the one that gets
/// its address from others, where there is one.
fn place_handed_out(network: &mut Network, ports: &[Port<'_>], ip: Option<IpAddr>) {
    let Some(ip) = ip.map(|ip| ip.to_canonical()) else { return };
    let written = ports.iter().flat_map(|port| &port.addresses).any(|(net, _)| net.addr() == ip);
    let key = if ip.is_ipv4() { "method" } else { "method6" };
    let by_others =
        |port: &Port<'_>| matches!(port.row.text(key).as_deref(), Some("dhcp" | "auto"));
    let mut takers = (0..ports.len()).filter(|&place| by_others(&ports[place]));
    if let (false, Some(place), None) = (written, takers.next(), takers.next()) {
        let address = Address { gateway: true, dynamic: Some(true), ..Address::bare(ip) };
        network.interfaces[place].addresses.push(address);
    }
}

/// An address with its mask, from the one field that has both or from the two that have
/// one each.
fn net(row: &Row, cidr: &str, address: &str, mask: &str) -> Option<IpNet> {
    if let Some(net) = row.text(cidr).and_then(|text| text.trim().parse().ok()) {
        return Some(net);
    }
    let ip: IpAddr = row.text(address)?.trim().parse().ok()?;
    let mask = row.text(mask)?;
    let length = match mask.trim().parse::<u8>() {
        Ok(length) => length,
        Err(_) => ipnet::ip_mask_to_prefix(mask.trim().parse().ok()?).ok()?,
    };
    IpNet::new(ip, length).ok()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::json;

    use super::*;

    fn around(vnets: &Vnets) -> Around<'_> {
        Around { vnets, node: "pve1", ip: None, whole: true }
    }

    fn shown(network: &Network) -> String {
        let mut text = String::new();
        for interface in &network.interfaces {
            let name = interface.name.as_deref().unwrap_or_default();
            write!(text, "{name}").unwrap();
            if let Some(mac) = interface.mac {
                write!(text, " {mac}").unwrap();
            }
            for address in &interface.addresses {
                let length = address.prefix_len.map_or_else(String::new, |l| format!("/{l}"));
                let gateway = if address.gateway { " (gateway)" } else { "" };
                write!(text, " {}{length}{gateway}", address.ip).unwrap();
            }
            text.push('\n');
            for (attribute, value) in interface.facts.iter().filter(|(_, value)| !value.is_blank())
            {
                writeln!(text, "    {attribute}: {value}").unwrap();
            }
        }
        for prefix in &network.prefixes {
            writeln!(text, "{} VLAN {:?}", prefix.net, prefix.vlan).unwrap();
        }
        text
    }

    #[test]
    fn a_file_of_the_real_parser_becomes_interfaces() {
        // Learnt from the parser of Proxmox VE 8.4 (libpve-common-perl) on a file with a
        // bond, two bridges and two VLANs.
        let answer = include_str!("../../../tests/proxmox/fixtures/nodes_network.json");
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        let rows = Row::all(answer["data"].clone());
        insta::assert_snapshot!(shown(&read(&rows, around(&Vnets::new()))));
    }

    #[test]
    fn open_vswitch_and_odd_names_are_what_they_are() {
        let rows = Row::all(json!([
            { "iface": "lo", "type": "loopback" },
            { "iface": "vmbr0", "type": "OVSBridge", "ovs_ports": "bond0 mgmt", "active": 1, "priority": 3 },
            { "iface": "bond0", "type": "OVSBond", "ovs_bonds": "eno1 eno2", "ovs_bridge": "vmbr0", "priority": 4 },
            { "iface": "mgmt", "type": "OVSIntPort", "ovs_bridge": "vmbr0", "ovs_tag": "50",
              "address": "192.0.2.9", "netmask": "255.255.255.0", "gateway": "192.0.2.1", "priority": 5 },
            { "iface": "eno1", "type": "eth", "altnames": ["enp1s0", "enx001b213c4d5e"], "exists": 1, "active": "1", "priority": 6 },
            { "iface": "enx001b213c4d5f", "type": "eth", "exists": null, "priority": 7 },
            { "iface": "br-lan", "type": "unknown", "bridge_ports": "none", "bridge_vlan_aware": "1", "bridge_vids": "10 20-22", "mtu": "9000", "priority": 8 },
            { "iface": "eno1:1", "type": "alias", "cidr": "198.51.100.7/32", "priority": 9 },
            { "altnames": ["ghost"] },
        ]));
        insta::assert_snapshot!(shown(&read(&rows, around(&Vnets::new()))));
    }

    #[test]
    fn an_address_by_dhcp_is_the_one_the_cluster_knows() {
        let rows = Row::all(json!([
            { "iface": "eno1", "type": "eth" },
            { "iface": "vmbr0", "type": "bridge", "method": "dhcp", "bridge_ports": "eno1" },
        ]));
        let vnets = Vnets::new();
        let ip = Some("192.0.2.4".parse().unwrap());
        let network = read(&rows, Around { ip, ..around(&vnets) });
        let vmbr0 = network.interfaces.iter().find(|one| one.name.as_deref() == Some("vmbr0"));
        let address = &vmbr0.unwrap().addresses[0];
        assert_eq!((address.ip.to_string().as_str(), address.dynamic), ("192.0.2.4", Some(true)));
        assert!(network.dynamic);
    }

    #[test]
    fn hidden_bridges_are_no_proof_that_a_port_is_none_of_theirs() {
        let rows = Row::all(json!([{ "iface": "eno1", "type": "eth" }]));
        let vnets = Vnets::new();
        let bridge = |whole| {
            let network = read(&rows, Around { whole, ..around(&vnets) });
            network.interfaces[0].facts.get(&Attribute::Bridge).cloned()
        };
        assert_eq!(bridge(true), Some(crate::domain::value::Value::Null));
        assert_eq!(bridge(false), None);
    }
}
