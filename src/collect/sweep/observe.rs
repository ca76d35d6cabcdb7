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
use crate::net::vendor;

/// Everything that a report says. `machine` is what the machine itself is called.
pub(super) fn harvest(
    report: &Report,
    assignment: &Assignment,
    topology: &Topology,
    machine: Option<&str>,
) -> Harvest {
    let speaker = Speaker { assignment };
    let mut observations = Vec::new();
    let mut own = Vec::new();
    for answer in report.answers.iter().filter(|answer| is_worth_telling(answer)) {
        if is_of_the_machine(answer) {
            own.push(answer);
        } else {
            observations.extend(speaker.seen(answer));
        }
        observations.extend(speaker.named(answer));
    }
    observations.extend(speaker.own(&own, topology, machine));
    observations.extend(speaker.made(report));
    observations.extend(speaker.subnets(report, topology));
    Harvest {
        observations,
        coverage: coverage(report, assignment),
        diagnostics: report.diagnostics.clone(),
    }
}

/// An address that is valid on its link alone tells nothing that others could use, and one
/// that a proxy alone answers for may be nobody's.
fn is_worth_telling(answer: &Answer) -> bool {
    let local = matches!(answer.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    !local && (!answer.proxied || !answer.open.is_empty())
}

/// Whether it is the machine that sweeps, at an address by which others reach it. What
/// answers on the loopback is one machine as well, but is told address by address: nobody
/// sweeps it but to see how that works.
fn is_of_the_machine(answer: &Answer) -> bool {
    answer.method == Method::Own && !answer.ip.is_loopback()
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

    /// That it answered, with what is on the wire. Where several claim the address, each
    /// of them is stated: who is right is not for a sweep to say.
    fn seen(&self, answer: &Answer) -> Vec<Observation> {
        let evidence = match answer.method {
            Method::Own => "own address",
            Method::Arp => "arp reply",
            Method::Ndp => "neighbor advertisement",
            Method::Neighbor => "kernel neighbor",
            Method::Icmp => "echo reply",
            Method::Tcp => "tcp reply",
        };
        let shared = answer.mac.and_then(shared_role);
        let address = Address { role: shared, ..address(answer) };
        // An address that several routers share, or that a proxy answers for, has no
        // interface that is known.
        let is_known = |mac: &MacAddr| {
            !answer.proxied && mac.kind() != MacKind::VirtualRouter && mac.kind() != MacKind::Void
        };
        let macs: Vec<MacAddr> = answer.macs().filter(is_known).collect();
        let state = |mac: Option<MacAddr>| {
            let interface =
                Interface { mac, addresses: vec![address.clone()], ..Interface::default() };
            let services = services(&answer.open);
            let host = Host { interfaces: vec![interface], services, ..Host::default() };
            self.host(Authority::Wire, evidence, host)
        };
        match macs.is_empty() {
            true => vec![state(None)],
            false => macs.into_iter().map(|mac| state(Some(mac))).collect(),
        }
    }

    /// The machine that sweeps: what it calls itself, and its interfaces in the subnets.
    fn own(
        &self,
        answers: &[&Answer],
        topology: &Topology,
        machine: Option<&str>,
    ) -> Option<Observation> {
        let mut interfaces: BTreeMap<u32, Interface> = BTreeMap::new();
        let mut open = BTreeSet::new();
        for answer in answers {
            let Some(owner) = topology.owner(answer.ip) else { continue };
            let interface = interfaces.entry(owner.index).or_insert_with(|| Interface {
                name: Some(owner.name.as_str().into()),
                mac: answer.mac.filter(|mac| mac.kind() != MacKind::Void),
                ..Interface::default()
            });
            interface.addresses.push(address(answer));
            open.extend(answer.open.iter().copied());
        }
        if interfaces.is_empty() {
            return None;
        }
        let mut host = Host {
            interfaces: interfaces.into_values().collect(),
            services: services(&open.into_iter().collect::<Vec<_>>()),
            ..Host::default()
        };
        if let Some(name) = machine {
            host.facts.text(HostAttribute::Name, name);
        }
        Some(self.host(Authority::Own, "own interfaces", host))
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
            .filter(|answer| !answer.proxied)
            .flat_map(Answer::macs)
            .filter_map(|mac| Some((mac, vendor::of(mac)?)))
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

/// The address with the length of its prefix, where that is known.
fn address(answer: &Answer) -> Address {
    Address { prefix_len: answer.prefix_len, ..Address::bare(answer.ip) }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::collect::wire;
    use crate::domain::diagnostic::Diagnostic;
    use crate::domain::observation::Segment;
    use crate::net::interface::{self, Kind};
    use crate::net::sweep::{Named, Swept};
    use crate::progress::Silent;

    fn assignment() -> Assignment {
        Assignment {
            source: "lan".parse().unwrap(),
            segment: Segment::default(),
            started: "2026-01-02T03:04:05Z".parse().unwrap(),
            deadline: tokio::time::Instant::now() + Duration::from_secs(60),
            cancel: tokio_util::sync::CancellationToken::new(),
            progress: Arc::new(Silent),
            known: Arc::default(),
        }
    }

    fn topology() -> Topology {
        Topology::of(vec![interface::Interface {
            index: 2,
            name: "eth0".to_owned(),
            kind: Kind::Ethernet,
            link: None,
            mac: "bc:24:11:00:00:01".parse().ok(),
            up: true,
            addresses: vec!["192.0.2.10/24".parse().unwrap(), "2001:db8::10/64".parse().unwrap()],
        }])
    }

    fn answer(ip: &str, method: Method, mac: Option<&str>) -> Answer {
        let ip: IpAddr = ip.parse().unwrap();
        let mut answer = Answer::of(ip, method);
        answer.mac = mac.map(|mac| mac.parse().unwrap());
        answer.prefix_len = answer.mac.map(|_| if ip.is_ipv4() { 24 } else { 64 });
        answer
    }

    fn swept(net: &str, method: Method, interface: Option<&str>, gap: Option<&str>) -> Swept {
        Swept {
            net: net.parse().unwrap(),
            method,
            interface: interface.map(str::to_owned),
            asked: 254,
            answered: 1,
            gap: gap.map(str::to_owned),
        }
    }

    /// What a report says, a line for each statement.
    fn told(report: &Report) -> String {
        let harvest = harvest(report, &assignment(), &topology(), Some("probe"));
        let mut lines = Vec::new();
        wire::write(&harvest, &mut lines).unwrap();
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn each_way_of_knowing_is_a_statement_of_its_own() {
        let mut nas = answer("192.0.2.5", Method::Arp, Some("00:11:32:00:00:05"));
        nas.name = Some(Named { name: "nas.lan".parse().unwrap(), source: NameSource::Dns });
        nas.open = vec![22, 443, 12_345];
        let report = Report {
            answers: vec![nas, answer("198.51.100.7", Method::Icmp, None)],
            swept: vec![
                swept("192.0.2.0/25", Method::Arp, Some("eth0"), None),
                swept("198.51.100.0/24", Method::Icmp, None, Some("hosts may ignore echo")),
            ],
            left_out: vec![("192.0.2.64/26".parse().unwrap(), "it is excluded".to_owned())],
            diagnostics: vec![Diagnostic::note("sweep_unprivileged", "eth0", "slow")],
            ..Report::default()
        };
        insta::assert_snapshot!(told(&report));
        let harvest = harvest(&report, &assignment(), &topology(), None);
        assert_eq!(harvest.diagnostics, report.diagnostics);
    }

    #[test]
    fn the_machine_itself_is_one_host_however_many_addresses_it_has() {
        let mac = Some("bc:24:11:00:00:01");
        let report = Report {
            answers: vec![
                answer("192.0.2.10", Method::Own, mac),
                answer("2001:db8::10", Method::Own, mac),
            ],
            ..Report::default()
        };
        insta::assert_snapshot!(told(&report));
    }

    #[test]
    fn what_answers_on_the_loopback_is_told_address_by_address() {
        let report = Report {
            answers: vec![
                answer("127.0.0.1", Method::Own, None),
                answer("127.0.0.2", Method::Icmp, None),
            ],
            swept: vec![swept("127.0.0.0/29", Method::Icmp, None, None)],
            ..Report::default()
        };
        insta::assert_snapshot!(told(&report));
    }

    #[test]
    fn two_owners_of_an_address_are_both_told() {
        let mut twice = answer("192.0.2.9", Method::Arp, Some("00:1b:21:00:00:09"));
        twice.rivals = vec!["00:11:32:00:00:0a".parse().unwrap()];
        let report = Report { answers: vec![twice], ..Report::default() };
        insta::assert_snapshot!(told(&report));
    }

    #[test]
    fn a_proxy_gives_its_mac_address_to_nobody() {
        let mut proxied = answer("192.0.2.7", Method::Arp, Some("00:00:0c:00:00:01"));
        proxied.proxied = true;
        let nobody = Answer { ip: "192.0.2.6".parse().unwrap(), ..proxied.clone() };
        proxied.open = vec![22];
        let shared = answer("192.0.2.1", Method::Arp, Some("00:00:5e:00:01:07"));
        let broken = answer("192.0.2.8", Method::Arp, Some("00:00:00:00:00:00"));
        let report = Report { answers: vec![shared, nobody, proxied, broken], ..Report::default() };
        insta::assert_snapshot!(told(&report));
    }

    #[test]
    fn addresses_that_are_valid_on_one_link_alone_are_not_told() {
        let local = answer("fe80::1", Method::Ndp, Some("00:11:32:00:00:05"));
        let report = Report { answers: vec![local], ..Report::default() };
        let lines = told(&report);
        assert!(!lines.contains("fe80"), "{lines}");
    }
}
