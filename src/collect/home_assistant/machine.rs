//! Home Assistant itself: the machine, or the container, that it runs on.
//!
//! Hardware addresses say which machine that is: the Supervisor lists them, and a
//! link-local IPv6 address may hold one (RFC 4291, appendix A). Where there are none,
//! its addresses may, and where even those are secret, the address at which it answered,
//! if that is not likely a proxy's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::answers::{Adapter, HostAddresses, HostInterface};
use super::gather::Told;
use super::registry::{usable_address, usable_mac};
use crate::domain::mac::{MacAddr, MacKind};
use crate::domain::observation::{Address, Form, Interface, InterfaceAttribute};

/// The port that Home Assistant listens at; proxies listen elsewhere.
const PORT: u16 = 8123;

/// What is known of the machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    pub interfaces: Vec<Interface>,
    /// How the interfaces are known.
    pub evidence: &'static str,
    /// Whether it says so of itself and there is no doubt that it is so here.
    pub certain: bool,
    /// Every address that leads to it, of whatever kind.
    pub addresses: BTreeSet<IpAddr>,
    pub form: Option<Form>,
    /// Whether it answered at one of its own addresses.
    pub reached: bool,
}

/// Names of interfaces that a machine keeps to itself: bridges of containers, tunnels.
const INNER: [&str; 14] = [
    "lo",
    "docker",
    "br-",
    "veth",
    "hassio",
    "virbr",
    "vnet",
    "cni",
    "flannel",
    "tun",
    "tap",
    "wg",
    "tailscale",
    "zt",
];

impl Machine {
    /// Puts together what was told. `port` is that of its URL.
    pub(super) fn new(told: &Told, port: Option<u16>) -> Self {
        let peer = told.peer.filter(|peer| usable_address(&peer.to_string()).is_some());
        let mut machine =
            Machine { form: form(told), evidence: "its Supervisor", ..Machine::default() };
        machine.addresses.extend(peer);
        if let Some(network) = &told.host_network {
            let outer = network.interfaces.0.iter().filter(|i| is_outer(i.interface.get()));
            machine.interfaces = outer.filter_map(from_supervisor).collect();
            machine.evidence = "its Supervisor";
            machine.certain = true;
        } else if let Some(network) = &told.network {
            let adapters = &network.adapters.0;
            machine.addresses.extend(adapters.iter().flat_map(listed));
            let outer = adapters.iter().filter(|adapter| is_outer(adapter.name.get()));
            machine.interfaces = outer.filter_map(from_adapter).collect();
            machine.evidence = "its network adapters";
        }
        let stated = machine.stated();
        machine.reached = peer.is_some_and(|peer| stated.contains(&peer));
        machine.certain |= machine.reached;
        machine.addresses.extend(stated);
        if machine.interfaces.is_empty()
            && let Some(peer) = peer.filter(|_| port == Some(PORT))
        {
            let addresses = vec![Address::bare(peer)];
            machine.interfaces = vec![Interface { addresses, ..Interface::default() }];
            machine.evidence = "the address of its URL";
            machine.reached = true;
        }
        machine
    }

    fn stated(&self) -> BTreeSet<IpAddr> {
        let addresses = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        addresses.map(|address| address.ip).collect()
    }

    /// Whether it is known to be no machine of its own.
    pub(super) fn is_virtual(&self) -> bool {
        // Blocks of Proxmox VE, QEMU, VMware, Hyper-V, VirtualBox and Xen.
        const MADE_UP: [[u8; 3]; 7] = [
            [0xbc, 0x24, 0x11],
            [0x52, 0x54, 0x00],
            [0x00, 0x50, 0x56],
            [0x00, 0x0c, 0x29],
            [0x00, 0x15, 0x5d],
            [0x08, 0x00, 0x27],
            [0x00, 0x16, 0x3e],
        ];
        matches!(self.form, Some(Form::VirtualMachine | Form::Container))
            || self
                .interfaces
                .iter()
                .filter_map(|interface| interface.mac)
                .any(|mac| MADE_UP.contains(&[mac.0[0], mac.0[1], mac.0[2]]))
    }
}

fn is_outer(name: Option<&str>) -> bool {
    name.is_some_and(|name| !INNER.iter().any(|inner| name.starts_with(inner)))
}

fn form(told: &Told) -> Option<Form> {
    let host = told.host.as_ref()?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_lowercase();
    let (chassis, hypervisor) = (text(host.chassis.get()), text(host.virtualization.get()));
    match (chassis.as_str(), hypervisor.as_str()) {
        ("container", _) | (_, "lxc" | "lxc-libvirt" | "docker" | "podman" | "systemd-nspawn") => {
            Some(Form::Container)
        }
        ("vm", _) => Some(Form::VirtualMachine),
        ("", "") => None,
        (_, "" | "none") => Some(Form::Device),
        _ => Some(Form::VirtualMachine),
    }
}

fn from_supervisor(told: &HostInterface) -> Option<Interface> {
    let mut interface = Interface {
        name: told.interface.get().map(Arc::from),
        mac: told.mac.get().and_then(usable_mac),
        ..Interface::default()
    };
    if let Some(vlan) = &told.vlan {
        interface.facts.text(InterfaceAttribute::Type, "virtual");
        interface.facts.text(InterfaceAttribute::Parent, vlan.parent.get().unwrap_or_default());
    }
    for family in [&told.ipv4, &told.ipv6].into_iter().flatten() {
        interface.addresses.extend(of_family(family, told.primary));
    }
    (interface.mac.is_some() || !interface.addresses.is_empty()).then_some(interface)
}

fn of_family(told: &HostAddresses, primary: bool) -> impl Iterator<Item = Address> + '_ {
    let dynamic = match told.method.get() {
        Some("auto" | "dhcp") => Some(true),
        Some("static" | "manual") => Some(false),
        _ => None,
    };
    let gateway = primary && told.gateway.get().is_some();
    let nets = told.address.0.iter().filter_map(|text| text.get()?.parse::<IpNet>().ok());
    nets.filter(|net| lasts(net.addr())).map(move |net| Address {
        dynamic,
        gateway,
        ..Address::with_prefix(net)
    })
}

/// Every address of an adapter.
fn listed(adapter: &Adapter) -> impl Iterator<Item = IpAddr> + '_ {
    let all = adapter.ipv4.0.iter().chain(&adapter.ipv6.0);
    all.filter_map(|told| usable_address(told.address.get()?))
}

fn from_adapter(adapter: &Adapter) -> Option<Interface> {
    let link_local = adapter.ipv6.0.iter().filter_map(|told| told.address.get()?.parse().ok());
    let hardware: Option<MacAddr> = link_local.filter_map(hidden_mac).next();
    // The network of a container's bridge is the container's host's own affair.
    if hardware.is_some_and(|mac| mac.kind() == MacKind::Docker) {
        return None;
    }
    let all = adapter.ipv4.0.iter().chain(&adapter.ipv6.0);
    let addresses: Vec<Address> = all
        .filter_map(|told| {
            let ip = usable_address(told.address.get()?).filter(|ip| lasts(*ip))?;
            let length: u8 = told.network_prefix.get()?.parse().ok()?;
            IpNet::new(ip, length).ok().map(Address::with_prefix)
        })
        .collect();
    let mac = hardware.filter(|mac| mac.names_an_interface());
    let told = mac.is_some() || !addresses.is_empty();
    let name = adapter.name.get().map(Arc::from);
    told.then(|| Interface { name, mac, addresses, ..Interface::default() })
}

/// The hardware address in a link-local address that was made of it.
fn hidden_mac(ip: Ipv6Addr) -> Option<MacAddr> {
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = ip.octets() else { return None };
    ip.is_unicast_link_local().then_some(MacAddr([a ^ 0x02, b, c, d, e, f]))
}

/// Whether an address is one to note. Of IPv6 addresses that a machine makes up, many are
/// for a day (RFC 8981); those made of hardware addresses and those that a person chose last.
fn lasts(ip: IpAddr) -> bool {
    let IpAddr::V6(ip) = ip else { return usable_address(&ip.to_string()).is_some() };
    let octets = ip.octets();
    let chosen = octets[8..12] == [0; 4];
    let of_hardware = octets[11..13] == [0xff, 0xfe];
    usable_address(&ip.to_string()).is_some() && (chosen || of_hardware)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_may_hold_the_hardware_address() {
        let mac = |text: &str| hidden_mac(text.parse().unwrap()).map(|mac| mac.to_string());
        assert_eq!(mac("fe80::be24:11ff:fe0a:b0c").as_deref(), Some("bc:24:11:0a:0b:0c"));
        assert_eq!(mac("fe80::fc:ff:fe00:1").as_deref(), Some("02:fc:00:00:00:01"));
        assert_eq!(mac("fe80::1"), None);
        assert_eq!(mac("fe80::8d2a:91b0:77c3:5f01"), None, "made up");
        assert_eq!(mac("fd00::be24:11ff:fe0a:b0c"), None, "not of its link");
    }

    #[test]
    fn addresses_for_a_day_are_not_noted() {
        let lasts = |text: &str| lasts(text.parse().unwrap());
        assert!(lasts("192.0.2.2") && lasts("fd00::2") && lasts("2001:db8::be24:11ff:fe0a:b0c"));
        assert!(
            !lasts("2001:db8::8d2a:91b0:77c3:5f01") && !lasts("fe80::1") && !lasts("127.0.0.1")
        );
    }
}
