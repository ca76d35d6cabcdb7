//! What a sweep saw, as observations: one statement for each way of knowing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::collect::{Assignment, Harvest};
use crate::domain::coverage::{Coverage, Scope};
use crate::domain::mac::{MacAddr, MacKind};
use crate::domain::observation::{
    Address, AddressRole, Authority, Host, HostAttribute, Interface, Observation, Prefix, Protocol,
    Service, Thing,
};
use crate::net::interface::Topology;
use crate::net::service;
use crate::net::sweep::{Answer, Method, NameSource, Report};

/// Everything that a report says.
pub(super) fn harvest(report: &Report, assignment: &Assignment, topology: &Topology) -> Harvest {
    let speaker = Speaker { assignment };
    let mut observations = Vec::new();
    for answer in report.answers.iter().filter(|answer| is_worth_telling(answer)) {
        observations.push(speaker.seen(answer));
        observations.extend(speaker.named(answer));
    }
    observations.extend(speaker.made(report));
    observations.extend(speaker.subnets(report, topology));
    Harvest {
        observations,
        coverage: coverage(report, assignment),
        diagnostics: report.diagnostics.clone(),
    }
}

/// An address that is valid on its link alone tells nothing that others could use.
fn is_worth_telling(answer: &Answer) -> bool {
    !matches!(answer.ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

struct Speaker<'a> {
    assignment: &'a Assignment,
}

impl Speaker<'_> {
    fn say(&self, authority: Authority, evidence: &str, thing: Thing) -> Observation {
        Observation {
            source: self.assignment.source.clone(),
            at: self.assignment.started,
            authority,
            evidence: evidence.into(),
            segment: self.assignment.segment.clone(),
            thing,
        }
    }

    fn host(&self, authority: Authority, evidence: &str, host: Host) -> Observation {
        self.say(authority, evidence, Thing::Host(Box::new(host)))
    }

    /// That it answered, with what is on the wire.
    fn seen(&self, answer: &Answer) -> Observation {
        let evidence = match answer.method {
            Method::Own => "own address",
            Method::Arp => "arp reply",
            Method::Ndp => "neighbor advertisement",
            Method::Neighbor => "kernel neighbor",
            Method::Icmp => "echo reply",
            Method::Tcp => "tcp reply",
        };
        let mut address = Address::bare(answer.ip);
        address.prefix_len = answer.prefix_len;
        let shared = answer.mac.and_then(shared_role);
        address.role = shared;
        // An address that several routers share, or that a proxy answers for, has no
        // interface that is known.
        let mac = answer
            .mac
            .filter(|mac| shared.is_none() && !answer.proxied && mac.kind() != MacKind::Void);
        let interface = Interface { mac, addresses: vec![address], ..Interface::default() };
        let host = Host {
            interfaces: vec![interface],
            services: services(&answer.open),
            ..Host::default()
        };
        self.host(Authority::Wire, evidence, host)
    }

    /// What a directory calls the address, and what the host calls itself.
    fn named(&self, answer: &Answer) -> Option<Observation> {
        let named = answer.name.as_ref()?;
        let evidence = match named.source {
            NameSource::Dns => "ptr",
            NameSource::Mdns => "mdns",
        };
        let mut host = Host::default();
        host.facts.text(HostAttribute::DnsName, named.name.as_str());
        let mut address = Address::bare(answer.ip);
        address.dns_name = Some(named.name.as_str().into());
        host.interfaces.push(Interface { addresses: vec![address], ..Interface::default() });
        Some(self.host(Authority::Directory, evidence, host))
    }

    /// Who made the interfaces, once for each.
    fn made(&self, report: &Report) -> Vec<Observation> {
        let vendors: BTreeMap<MacAddr, &str> = report
            .answers
            .iter()
            .filter_map(|answer| Some((answer.mac?, answer.vendor()?)))
            .collect();
        let state = |(mac, vendor): (MacAddr, &str)| {
            let mut host = Host::default();
            host.facts.text(HostAttribute::Manufacturer, vendor);
            host.interfaces.push(Interface { mac: Some(mac), ..Interface::default() });
            self.host(Authority::Derived, "oui", host)
        };
        vendors.into_iter().map(state).collect()
    }

    /// The subnets: as they lie at this machine's interfaces, else as they were named.
    fn subnets(&self, report: &Report, topology: &Topology) -> Vec<Observation> {
        let mut nets: BTreeMap<IpNet, &str> = BTreeMap::new();
        for swept in &report.swept {
            let connected = topology.connected().iter().find(|connected| {
                let there = topology
                    .interface(connected.interface)
                    .map(|interface| interface.name.as_str());
                swept.interface.as_deref() == there && connected.net.contains(&swept.net.addr())
            });
            match connected {
                Some(connected) => nets.insert(connected.net, "own interface"),
                None if swept.interface.is_none() && !swept.net.addr().is_loopback() => {
                    nets.insert(swept.net, "configuration")
                }
                None => None,
            };
        }
        let local =
            |net: &IpNet| matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local());
        let state = |(net, evidence): (IpNet, &str)| {
            let authority =
                if evidence == "configuration" { Authority::Configuration } else { Authority::Own };
            self.say(
                authority,
                evidence,
                Thing::Prefix(Prefix { net, vlan: None, description: None }),
            )
        };
        nets.into_iter().filter(|(net, _)| !local(net)).map(state).collect()
    }
}

/// The role of an address whose MAC address several routers share.
fn shared_role(mac: MacAddr) -> Option<AddressRole> {
    if mac.kind() != MacKind::VirtualRouter {
        return None;
    }
    Some(match mac.0 {
        [0x00, 0x07, 0xb4, ..] => AddressRole::Glbp,
        [0x00, 0x00, 0x0c, ..] | [0x00, 0x05, 0x73, ..] => AddressRole::Hsrp,
        // CARP uses the addresses of VRRP; on the wire they look the same.
        _ => AddressRole::Vrrp,
    })
}

/// What is usually offered on the open ports. Ports of one name are one service.
fn services(open: &[u16]) -> Vec<Service> {
    let mut by_name: BTreeMap<Arc<str>, BTreeSet<u16>> = BTreeMap::new();
    for port in open {
        let name = service::tcp(*port).map_or_else(|| format!("tcp-{port}").into(), Into::into);
        by_name.entry(name).or_default().insert(*port);
    }
    by_name
        .into_iter()
        .map(|(name, ports)| Service { name, protocol: Protocol::Tcp, ports, description: None })
        .collect()
}

/// Where everything was seen, and where not and why.
fn coverage(report: &Report, assignment: &Assignment) -> Vec<Coverage> {
    let claim = |net: IpNet, method: &str, gap: Option<Arc<str>>| Coverage {
        source: assignment.source.clone(),
        scope: Scope::Subnet { segment: assignment.segment.clone(), net },
        method: method.into(),
        gap,
    };
    let swept = report
        .swept
        .iter()
        .map(|swept| claim(swept.net, swept.method.as_str(), swept.gap.as_deref().map(Into::into)));
    let left_out = report
        .left_out
        .iter()
        .map(|(net, reason)| claim(*net, "none", Some(reason.as_str().into())));
    swept.chain(left_out).collect()
}
