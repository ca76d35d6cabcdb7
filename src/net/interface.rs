//! The machine's interfaces, its addresses, and which subnets lie directly at them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use ipnet::{IpNet, Ipv4Net};
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::Netlink;
use crate::domain::mac::{MacAddr, MacKind};

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What one can do with it.
    pub kind: Kind,
    /// The kind of virtual link that it is, in the kernel's word, such as `bridge` or `veth`.
    pub link: Option<String>,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
    /// Whether it is switched on and has a carrier.
    pub up: bool,
    /// Its addresses with the lengths of their prefixes, in the kernel's order.
    pub addresses: Vec<IpNet>,
}

/// What one can do with an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ethernet frames go over it, and neighbours are asked for by ARP.
    Ethernet,
    /// The machine itself.
    Loopback,
    /// A tunnel or another link without neighbours to ask for.
    Other,
}

impl Interface {
    /// Whether it is a bridge that a container engine or a hypervisor made for its guests:
    /// what lies behind it is the machine's own, and its addresses are the same on many hosts.
    #[must_use]
    pub fn serves_guests(&self) -> bool {
        const NAMES: [&str; 17] = [
            "docker", "virbr", "lxcbr", "lxdbr", "incusbr", "podman", "cni", "cbr", "nerdctl",
            "flannel", "cali", "cilium", "kube-", "waydroid", "vboxnet", "vmnet", "mpqemubr",
        ];
        let custom =
            |rest: &str| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        NAMES.iter().any(|name| self.name.starts_with(name))
            || self.name.strip_prefix("br-").is_some_and(custom)
            || (self.link.as_deref() == Some("bridge")
                && self.mac.is_some_and(|mac| mac.kind() == MacKind::Docker))
    }

    /// Its first address of IPv6 that is valid on this link alone.
    #[must_use]
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().find_map(|net| match net.addr() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
            _ => None,
        })
    }
}

/// A subnet that lies directly at an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connected {
    /// The subnet.
    pub net: IpNet,
    /// Lower is preferred where several interfaces reach the same subnet.
    pub metric: u32,
    /// The interface.
    pub interface: u32,
    /// The machine's own address there, with which it asks.
    pub source: IpAddr,
}

/// How an address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// The interface by which packets leave.
    pub interface: u32,
    /// The router that takes them; none on the link itself.
    pub gateway: Option<IpAddr>,
    /// The machine's own address that they carry.
    pub source: Option<IpAddr>,
    /// Whether the address is the machine's own.
    pub own: bool,
}

/// The interfaces and what lies at them, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    interfaces: BTreeMap<u32, Interface>,
    connected: Vec<Connected>,
}

impl Topology {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn read() -> io::Result<Self> {
        let mut netlink = Netlink::open()?;
        let mut interfaces: BTreeMap<u32, Interface> = netlink
            .dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?
            .iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewLink(link) => Some((link.header.index, interface(link))),
                _ => None,
            })
            .collect();
        for message in netlink.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))? {
            if let RouteNetlinkMessage::NewAddress(message) = message
                && let Some(interface) = interfaces.get_mut(&message.header.index)
            {
                interface.addresses.extend(address(&message));
            }
        }
        let routes = netlink.dump(RouteNetlinkMessage::GetRoute(of_family(AddressFamily::Inet)))?;
        let connected = connected(&interfaces, &routes);
        Ok(Topology { interfaces, connected })
    }

    /// What a test says there is.
    #[cfg(test)]
    pub(crate) fn of(interfaces: Vec<Interface>) -> Self {
        let interfaces =
            interfaces.into_iter().map(|interface| (interface.index, interface)).collect();
        let connected = connected(&interfaces, &[]);
        Topology { interfaces, connected }
    }

    /// All interfaces, by index.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values()
    }

    /// One interface.
    #[must_use]
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        self.interfaces.get(&index)
    }

    /// The subnets that lie directly at an interface that is up, sorted; the preferred
    /// interface first where several reach the same one.
    #[must_use]
    pub fn connected(&self) -> &[Connected] {
        &self.connected
    }

    /// The narrowest connected subnet that an address lies in.
    #[must_use]
    pub fn connected_to(&self, ip: IpAddr) -> Option<&Connected> {
        self.connected.iter().filter(|connected| connected.net.contains(&ip)).max_by_key(
            |connected| (connected.net.prefix_len(), std::cmp::Reverse(connected.metric)),
        )
    }

    /// The subnets of IPv4 at Ethernet interfaces, without those of bridges that serve the
    /// machine's own guests: what a person means by "my network".
    #[must_use]
    pub fn local_networks(&self) -> BTreeSet<IpNet> {
        let is_local = |connected: &&Connected| {
            let interface = self.interface(connected.interface);
            connected.net.addr().is_ipv4()
                && interface.is_some_and(|interface| {
                    interface.kind == Kind::Ethernet && !interface.serves_guests()
                })
        };
        self.connected.iter().filter(is_local).map(|connected| connected.net).collect()
    }

    /// The interface that has this address.
    #[must_use]
    pub fn owner(&self, ip: IpAddr) -> Option<&Interface> {
        self.interfaces().find(|interface| interface.addresses.iter().any(|net| net.addr() == ip))
    }
}

/// Asks the kernel how it would reach an address, by all its rules.
///
/// # Errors
/// When there is no way, or the kernel does not tell.
pub fn path_to(ip: IpAddr) -> io::Result<Path> {
    let (family, length) = match ip {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    let mut question = of_family(family);
    question.header.destination_prefix_length = length;
    question.attributes.push(RouteAttribute::Destination(ip.into()));
    let answer = Netlink::open()?.get(RouteNetlinkMessage::GetRoute(question))?;
    let Some(RouteNetlinkMessage::NewRoute(route)) = answer else {
        return Err(io::ErrorKind::NetworkUnreachable.into());
    };
    let mut path = Path {
        interface: 0,
        gateway: None,
        source: None,
        own: route.header.kind == RouteType::Local,
    };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => path.interface = *index,
            RouteAttribute::Gateway(address) => path.gateway = plain(address),
            RouteAttribute::PrefSource(address) => path.source = plain(address),
            _ => {}
        }
    }
    Ok(path)
}

/// What this machine calls itself.
#[must_use]
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    // Names that say nothing: a machine that nobody named has one of these.
    let named = !name.is_empty() && name != "(none)" && !name.starts_with("localhost");
    named.then(|| name.to_owned())
}

/// Hears when an interface goes down or vanishes, or when an address leaves it.
#[derive(Debug)]
pub struct Watch {
    netlink: Netlink,
    interface: u32,
    ip: IpAddr,
}

/// `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV6_IFADDR` of linux/rtnetlink.h.
const CHANGES: [u32; 3] = [1, 5, 9];

impl Watch {
    /// Watches from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start(interface: u32, ip: IpAddr) -> io::Result<Self> {
        Ok(Watch { netlink: Netlink::listen(&CHANGES)?, interface, ip })
    }

    /// What happened to the interface or the address since the last call, if they cannot
    /// be used any more. Never waits.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn lost(&mut self) -> io::Result<Option<String>> {
        let (index, ip) = (self.interface, self.ip);
        let mut lost = None;
        let read = self.netlink.read(|payload| {
            let NetlinkPayload::InnerMessage(message) = payload else { return Ok(()) };
            match message {
                RouteNetlinkMessage::DelLink(link) if link.header.index == index => {
                    lost = Some("the interface vanished during the sweep".to_owned());
                }
                RouteNetlinkMessage::NewLink(link) if link.header.index == index => {
                    let interface = interface(&link);
                    if !interface.up && lost.is_none() {
                        lost = Some(format!("{} went down during the sweep", interface.name));
                    }
                }
                RouteNetlinkMessage::DelAddress(gone)
                    if gone.header.index == index
                        && lost.is_none()
                        && address(&gone).is_some_and(|gone| gone.addr() == ip) =>
                {
                    lost = Some(format!("the address {ip} left its interface during the sweep"));
                }
                _ => {}
            }
            Ok(())
        });
        match read {
            // More changes than there is room for: what matters shows in the end result.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                let topology = Topology::read()?;
                let there = topology.interface(index).is_some_and(|interface| {
                    interface.up && interface.addresses.iter().any(|net| net.addr() == ip)
                });
                Ok((!there)
                    .then(|| format!("the address {ip} left its interface during the sweep")))
            }
            read => read.map(|()| lost),
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

fn of_family(family: AddressFamily) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message
}

fn plain(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}

fn interface(link: &LinkMessage) -> Interface {
    let flags = link.header.flags;
    let kind = match link.header.link_layer_type {
        _ if flags.contains(LinkFlags::Loopback) => Kind::Loopback,
        LinkLayerType::Ether if !flags.intersects(LinkFlags::Noarp | LinkFlags::Pointopoint) => {
            Kind::Ethernet
        }
        _ => Kind::Other,
    };
    let mut interface = Interface {
        index: link.header.index,
        name: String::new(),
        kind,
        link: None,
        mac: None,
        up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        addresses: Vec::new(),
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Address(bytes) => {
                interface.mac = <[u8; 6]>::try_from(bytes.as_slice())
                    .ok()
                    .map(MacAddr)
                    .filter(|mac| mac.0 != [0; 6]);
            }
            LinkAttribute::LinkInfo(infos) => {
                interface.link = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind_word(kind)),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    interface
}

fn kind_word(kind: &InfoKind) -> String {
    kind.to_string()
}

/// The local address; on a link with a peer the other attribute is the peer's.
fn address(message: &AddressMessage) -> Option<IpNet> {
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => found = Some(*ip),
            AddressAttribute::Address(ip) => found = found.or(Some(*ip)),
            _ => {}
        }
    }
    IpNet::new(found?, message.header.prefix_len).ok()
}

/// Subnets of the addresses, and routes that name an interface without a router.
fn connected(
    interfaces: &BTreeMap<u32, Interface>,
    routes: &[RouteNetlinkMessage],
) -> Vec<Connected> {
    let routed: Vec<(Ipv4Net, u32, u32, Option<IpAddr>)> =
        routes.iter().filter_map(link_route).collect();
    let mut all = Vec::new();
    for interface in
        interfaces.values().filter(|interface| interface.up && interface.kind != Kind::Loopback)
    {
        for address in interface
            .addresses
            .iter()
            .filter(|address| address.prefix_len() < address.max_prefix_len())
        {
            let net = address.trunc();
            let metric = routed
                .iter()
                .filter(|(route, index, ..)| IpNet::V4(*route) == net && *index == interface.index)
                .map(|(_, _, metric, _)| *metric)
                .min();
            all.push(Connected {
                net,
                metric: metric.unwrap_or(u32::MAX),
                interface: interface.index,
                source: address.addr(),
            });
        }
    }
    for (net, index, metric, source) in routed {
        let Some(interface) = interfaces.get(&index).filter(|interface| interface.up) else {
            continue;
        };
        let known =
            |connected: &Connected| connected.net == IpNet::V4(net) && connected.interface == index;
        let own = interface.addresses.iter().map(IpNet::addr).find(IpAddr::is_ipv4);
        if interface.kind != Kind::Loopback
            && !all.iter().any(known)
            && let Some(source) = source.or(own)
        {
            all.push(Connected { net: IpNet::V4(net), metric, interface: index, source });
        }
    }
    all.sort_unstable();
    // Two addresses of one interface in one subnet: the kernel's first one speaks.
    all.dedup_by_key(|connected| (connected.net, connected.interface));
    all
}

/// A route of the main table to a subnet at an interface, without a router.
fn link_route(message: &RouteNetlinkMessage) -> Option<(Ipv4Net, u32, u32, Option<IpAddr>)> {
    let RouteNetlinkMessage::NewRoute(route) = message else { return None };
    let header = &route.header;
    if header.table != RouteHeader::RT_TABLE_MAIN
        || header.kind != RouteType::Unicast
        || header.scope != RouteScope::Link
    {
        return None;
    }
    let (mut to, mut interface, mut metric, mut source) = (Ipv4Addr::UNSPECIFIED, None, 0, None);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(ip)) => to = *ip,
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::PrefSource(address) => source = plain(address),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_) => {
                return None;
            }
            _ => {}
        }
    }
    let net = Ipv4Net::new(to, header.destination_prefix_length).ok()?;
    (net.prefix_len() > 0 && !to.is_multicast()).then_some((net, interface?, metric, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(name: &str, mac: [u8; 6]) -> Interface {
        Interface {
            index: 1,
            name: name.to_owned(),
            kind: Kind::Ethernet,
            link: Some("bridge".to_owned()),
            mac: Some(MacAddr(mac)),
            up: true,
            addresses: Vec::new(),
        }
    }

    #[test]
    fn bridges_of_container_engines_are_told_from_those_of_people() {
        let ordinary = [0x9e, 1, 2, 3, 4, 5];
        for name in ["docker0", "br-0123456789ab", "virbr0", "lxcbr0", "lxdbr0", "podman1", "cni0"]
        {
            assert!(bridge(name, ordinary).serves_guests(), "{name}");
        }
        for name in ["vmbr0", "br0", "br-lan", "bridge", "br-0123456789xy", "eth0", "bond0.20"] {
            assert!(!bridge(name, ordinary).serves_guests(), "{name}");
        }
        assert!(bridge("mybridge", [0x02, 0x42, 1, 2, 3, 4]).serves_guests());
    }

    #[test]
    fn the_loopback_is_there_and_its_subnet_is_not_a_link() {
        let topology = Topology::read().unwrap();
        let lo = topology.owner("127.0.0.1".parse().unwrap()).unwrap();
        assert_eq!((lo.name.as_str(), lo.kind), ("lo", Kind::Loopback));
        assert!(topology.connected_to("127.0.0.1".parse().unwrap()).is_none());
        assert!(path_to("127.0.0.1".parse().unwrap()).unwrap().own);
    }
}
