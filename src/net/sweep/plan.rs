//! Which addresses are asked in which way.
//!
//! The machine's own addresses are hosts and need no question. What lies directly at an
//! Ethernet interface is asked there. Everything else goes the way that the kernel would
//! send it: through routers, through tunnels, or to the machine itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::targets::Targets;
use crate::net::interface::{Connected, Interface, Kind, Topology};

/// Addresses that are asked in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The subnet that was to be swept, or as much of it as is asked in this way.
    pub(super) net: IpNet,
    /// Which way.
    pub(super) way: Way,
    /// The addresses of IPv4 to ask.
    pub(super) targets: Targets,
}

/// A way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// At this interface, with this address, in a subnet with this length of prefix.
    Link(u32, IpAddr, u8),
    /// As the kernel sends it: through a router or a tunnel.
    Routed,
    /// To the machine itself.
    Loopback,
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    /// Addresses of the machine itself among those to be swept, with their interfaces.
    pub(super) own: BTreeMap<IpAddr, u32>,
    /// Subnets of IPv6 to look for at these interfaces.
    pub(super) six: BTreeMap<u32, Vec<Ipv6Net>>,
    /// Parts of the subnets that are not asked at all, and why.
    pub(super) left_out: Vec<(IpNet, String)>,
    /// Subnets at interfaces that have no carrier.
    pub(super) dead: Vec<(IpNet, String)>,
}

/// Addresses that no host has.
fn never_hosts() -> Targets {
    let nets = [
        (Ipv4Addr::UNSPECIFIED, 8),
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        (Ipv4Addr::new(240, 0, 0, 0), 4),
    ];
    nets.into_iter()
        .filter_map(|(ip, length)| Ipv4Net::new(ip, length).ok())
        .fold(Targets::default(), |all, net| all.with(&Targets::all_of(net)))
}

impl Plan {
    /// Divides subnets by the ways in which they are asked. `is_direct` tells whether the
    /// kernel would send to an address without a router.
    pub(super) fn of(
        subnets: &[IpNet],
        exclude: &[IpNet],
        topology: &Topology,
        is_direct: impl Fn(Ipv4Addr) -> bool,
    ) -> Self {
        let mut plan = Plan::default();
        let excluded = exclude
            .iter()
            .filter_map(v4)
            .fold(Targets::default(), |all, net| all.with(&Targets::all_of(net)));
        let own = own_addresses(topology);
        let mut left = Targets::default();
        for net in distinct(subnets) {
            match net {
                IpNet::V4(net) => {
                    let hosts = Targets::hosts_of(net)
                        .without(&excluded)
                        .without(&never_hosts())
                        .without(&left);
                    left = left.with(&Targets::all_of(net));
                    plan.divide(net, hosts, topology, &own, &is_direct);
                }
                IpNet::V6(net) => plan.look_for(net, topology, &own, exclude),
            }
        }
        plan.leave_out(subnets, exclude);
        plan.leave_out_edges(subnets, &excluded, topology);
        plan
    }

    fn divide(
        &mut self,
        net: Ipv4Net,
        hosts: Targets,
        topology: &Topology,
        own: &BTreeMap<IpAddr, u32>,
        is_direct: &impl Fn(Ipv4Addr) -> bool,
    ) {
        let mut hosts = hosts;
        for (ip, interface) in own {
            if let IpAddr::V4(ip) = ip
                && hosts.number(*ip).is_some()
            {
                self.own.insert((*ip).into(), *interface);
                // The machine answers itself there, which shows how long that takes.
                if !ip.is_loopback() {
                    hosts = hosts.without(&Targets::all_of((*ip).into()));
                }
            }
        }
        let loopback = Targets::all_of(LOOPBACK);
        self.add(net, LOOPBACK, Way::Loopback, hosts.within(&loopback));
        hosts = hosts.without(&loopback);
        for (connected, subnet) in narrowest_first(topology) {
            let part = hosts.within(&Targets::all_of(subnet));
            if !part.get(0).is_some_and(is_direct) {
                continue;
            }
            hosts = hosts.without(&part);
            let way = Way::Link(connected.interface, connected.source, subnet.prefix_len());
            self.add(net, subnet, way, part.within(&Targets::hosts_of(subnet)));
        }
        hosts = self.without_dead_links(hosts, topology, is_direct);
        self.add(net, net, Way::Routed, hosts);
    }

    /// Takes away what lies at links without a carrier: the kernel would look for each of
    /// these neighbours in vain, and fill its table with them.
    fn without_dead_links(
        &mut self,
        mut hosts: Targets,
        topology: &Topology,
        is_direct: &impl Fn(Ipv4Addr) -> bool,
    ) -> Targets {
        for interface in topology
            .interfaces()
            .filter(|interface| !interface.up && interface.kind == Kind::Ethernet)
        {
            for subnet in interface.addresses.iter().filter_map(v4) {
                let part = hosts.within(&Targets::all_of(subnet));
                if part.get(0).is_some_and(is_direct) {
                    hosts = hosts.without(&part);
                    self.dead.push((subnet.trunc().into(), interface.name.clone()));
                }
            }
        }
        hosts
    }

    /// Adds the part of `net` that lies in `within`.
    fn add(&mut self, net: Ipv4Net, within: Ipv4Net, way: Way, targets: Targets) {
        let net = if net.prefix_len() >= within.prefix_len() { net } else { within };
        if !targets.is_empty() {
            self.parts.push(Part { net: net.into(), way, targets });
        }
    }

    /// A subnet of IPv6 is too large to be asked address by address: its hosts are looked
    /// for at the interfaces where it lies.
    fn look_for(
        &mut self,
        net: Ipv6Net,
        topology: &Topology,
        own: &BTreeMap<IpAddr, u32>,
        exclude: &[IpNet],
    ) {
        for (ip, interface) in own {
            if matches!(ip, IpAddr::V6(ip) if net.contains(ip))
                && !exclude.iter().any(|excluded| excluded.contains(ip))
            {
                self.own.insert(*ip, *interface);
            }
        }
        let link_local = net.addr().is_unicast_link_local();
        let lies_at = |interface: &&Interface| {
            let connected = interface.addresses.iter().any(|address| match address {
                IpNet::V6(address) => {
                    address.trunc().contains(&net) || net.contains(&address.trunc())
                }
                IpNet::V4(_) => false,
            });
            interface.up
                && interface.kind == Kind::Ethernet
                && (connected || link_local)
                && !(link_local && interface.serves_guests())
        };
        let mut anywhere = net.contains(&Ipv6Addr::LOCALHOST);
        for interface in topology.interfaces().filter(lies_at) {
            anywhere = true;
            self.six.entry(interface.index).or_default().push(net);
        }
        if !anywhere {
            self.left_out.push((net.into(), "it lies at no interface of this machine, and a subnet of IPv6 beyond a router is too large to be asked".to_owned()));
        }
    }

    /// What lies in a swept subnet and is not asked must not count as absent.
    fn leave_out(&mut self, subnets: &[IpNet], exclude: &[IpNet]) {
        for net in distinct(subnets) {
            for excluded in exclude {
                if net.contains(excluded) {
                    self.left_out.push((*excluded, "it is excluded".to_owned()));
                } else if excluded.contains(&net) {
                    self.left_out.push((net, "it is excluded".to_owned()));
                }
            }
        }
        self.left_out.sort();
        self.left_out.dedup();
    }
}

impl Plan {
    /// The first and the last address of what a person names are never asked; where the
    /// network there is wider than that, they may be hosts and must not count as absent.
    fn leave_out_edges(&mut self, subnets: &[IpNet], excluded: &Targets, topology: &Topology) {
        for net in distinct(subnets).iter().filter_map(v4).filter(|net| net.prefix_len() < 31) {
            for edge in [net.network(), net.broadcast()] {
                let there = topology.connected_to(edge.into()).and_then(|there| v4(&there.net));
                let may_be_host =
                    there.is_some_and(|there| Targets::hosts_of(there).number(edge).is_some());
                let told = excluded.number(edge).is_some()
                    || self.parts.iter().any(|part| part.targets.number(edge).is_some())
                    || self.own.contains_key(&edge.into());
                if may_be_host && !told {
                    let reason = "it is the first or the last address of what was named";
                    self.left_out.push((IpAddr::from(edge).into(), reason.to_owned()));
                }
            }
        }
        self.left_out.sort();
        self.left_out.dedup();
    }
}

const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

fn v4(net: &IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    }
}

/// Sorted, without repetitions, host bits cleared.
fn distinct(subnets: &[IpNet]) -> BTreeSet<IpNet> {
    subnets.iter().map(IpNet::trunc).collect()
}

fn own_addresses(topology: &Topology) -> BTreeMap<IpAddr, u32> {
    let mut own = BTreeMap::new();
    for interface in topology.interfaces().filter(|interface| interface.up) {
        for address in &interface.addresses {
            own.entry(address.addr()).or_insert(interface.index);
        }
    }
    own
}

/// The connected subnets of IPv4 at Ethernet interfaces; of equal ones the preferred first.
fn narrowest_first(topology: &Topology) -> Vec<(&Connected, Ipv4Net)> {
    let ethernet = |connected: &&Connected| {
        topology
            .interface(connected.interface)
            .is_some_and(|interface| interface.kind == Kind::Ethernet && interface.mac.is_some())
    };
    let mut subnets: Vec<_> = topology
        .connected()
        .iter()
        .filter(ethernet)
        .filter_map(|connected| Some((connected, v4(&connected.net)?)))
        .collect();
    subnets.sort_by_key(|(connected, subnet)| {
        (std::cmp::Reverse(subnet.prefix_len()), connected.metric)
    });
    subnets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, name: &str, addresses: &[&str]) -> Interface {
        Interface {
            index,
            name: name.to_owned(),
            kind: match name {
                "lo" => Kind::Loopback,
                "wg0" => Kind::Other,
                _ => Kind::Ethernet,
            },
            link: None,
            mac: format!("bc:24:11:00:00:0{index}").parse().ok(),
            up: true,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    fn machine() -> Topology {
        let unplugged = Interface { up: false, ..interface(5, "eth1", &["198.51.100.10/24"]) };
        Topology::of(vec![
            unplugged,
            interface(1, "lo", &["127.0.0.1/8"]),
            interface(2, "eth0", &["192.0.2.10/24", "2001:db8::10/64"]),
            interface(3, "docker0", &["172.17.0.1/16"]),
            interface(4, "wg0", &["10.9.0.2/24"]),
        ])
    }

    /// How subnets are divided, a line for each part.
    fn divided(subnets: &[&str], exclude: &[&str]) -> String {
        let read = |texts: &[&str]| -> Vec<IpNet> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let plan = Plan::of(&read(subnets), &read(exclude), &machine(), |_| true);
        let mut lines = Vec::new();
        for part in &plan.parts {
            let way = match part.way {
                Way::Link(index, source, length) => format!("link {index} as {source}/{length}"),
                Way::Routed => "routed".to_owned(),
                Way::Loopback => "loopback".to_owned(),
            };
            lines.push(format!("{} {way}: {} addresses", part.net, part.targets.len()));
        }
        lines.extend(plan.own.iter().map(|(ip, index)| format!("own {ip} at {index}")));
        lines.extend(plan.six.iter().map(|(index, nets)| format!("look for {nets:?} at {index}")));
        lines.extend(plan.dead.iter().map(|(net, name)| format!("dead {net} at {name}")));
        lines.extend(plan.left_out.iter().map(|(net, reason)| format!("not {net}: {reason}")));
        lines.join("\n")
    }

    #[test]
    fn a_subnet_at_a_link_is_asked_there_without_the_machine_itself() {
        assert_eq!(
            divided(&["192.0.2.0/24"], &[]),
            "192.0.2.0/24 link 2 as 192.0.2.10/24: 253 addresses\nown 192.0.2.10 at 2"
        );
    }

    #[test]
    fn a_part_of_a_subnet_keeps_clear_of_the_edges_of_the_whole() {
        assert_eq!(
            divided(&["192.0.2.128/25"], &[]),
            "192.0.2.128/25 link 2 as 192.0.2.10/24: 126 addresses\nnot 192.0.2.128/32: it is the first or the last address of what was named"
        );
        assert_eq!(
            divided(&["192.0.2.255/32", "192.0.2.0/32", "192.0.2.7/32"], &[]),
            "192.0.2.7/32 link 2 as 192.0.2.10/24: 1 addresses"
        );
    }

    #[test]
    fn a_wide_subnet_is_asked_at_links_and_beyond_them() {
        assert_eq!(
            divided(&["192.0.0.0/20"], &[]),
            "192.0.2.0/24 link 2 as 192.0.2.10/24: 253 addresses\n192.0.0.0/20 routed: 3838 addresses\nown 192.0.2.10 at 2"
        );
    }

    #[test]
    fn bridges_of_guests_are_asked_where_they_are_named() {
        assert!(
            divided(&["172.17.0.0/24"], &[]).starts_with("172.17.0.0/24 link 3 as 172.17.0.1/16")
        );
    }

    #[test]
    fn a_tunnel_has_no_neighbours_to_ask_by_name() {
        assert_eq!(
            divided(&["10.9.0.0/24"], &[]),
            "10.9.0.0/24 routed: 253 addresses\nown 10.9.0.2 at 4"
        );
    }

    #[test]
    fn nobody_is_asked_at_a_link_without_a_carrier() {
        assert_eq!(divided(&["198.51.100.0/25"], &[]), "dead 198.51.100.0/24 at eth1");
    }

    #[test]
    fn the_loopback_is_asked_whole() {
        assert_eq!(
            divided(&["127.0.0.0/29"], &[]),
            "127.0.0.0/29 loopback: 6 addresses\nown 127.0.0.1 at 1"
        );
    }

    #[test]
    fn what_is_excluded_is_asked_nowhere_and_is_not_absent() {
        assert_eq!(
            divided(&["192.0.2.0/24", "192.0.2.0/25"], &["192.0.2.64/26", "192.0.2.10/32"]),
            "192.0.2.0/24 link 2 as 192.0.2.10/24: 189 addresses\nnot 192.0.2.10/32: it is excluded\nnot 192.0.2.64/26: it is excluded"
        );
        assert_eq!(
            divided(&["192.0.2.0/24"], &["192.0.0.0/16"]),
            "not 192.0.2.0/24: it is excluded"
        );
    }

    #[test]
    fn hosts_of_ipv6_are_looked_for_where_their_subnet_lies() {
        assert_eq!(
            divided(&["2001:db8::/64"], &[]),
            "own 2001:db8::10 at 2\nlook for [2001:db8::/64] at 2"
        );
        assert!(divided(&["2001:db8:1::/64"], &[]).starts_with("not 2001:db8:1::/64: it lies at"));
        assert_eq!(divided(&["::1/128"], &[]), "");
    }
}
