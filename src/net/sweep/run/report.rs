//! Taking in what the engines bring, and putting it together.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};

use super::Sweep;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::mac::MacAddr;
use crate::net::names::Finder;
use crate::net::sweep::answer::{Answer, Method, NameSource, Named, Report, Swept};
use crate::net::sweep::connect;
use crate::net::sweep::echo::{EchoJob, EchoReport};
use crate::net::sweep::engine::Stop;
use crate::net::sweep::link::{LinkJob, LinkReport};
use crate::net::sweep::nudge::{NudgeJob, NudgeReport};
use crate::net::sweep::plan::{Part, Way};
use crate::net::sweep::request::LINGER;
use crate::net::sweep::schedule::Rate;
use crate::net::sweep::six::{SixJob, SixReport};
use crate::net::sweep::targets::Targets;

/// Why silence proves nothing where a proxy answers.
const PROXIED: &str = "a proxy answers for others, be they there or not";
/// Why silence proves nothing where nobody waited for it.
const HASTY: &str = "it waited too short for hosts that save power";
/// Connections a second where nothing else is told.
const CONNECTIONS: u32 = 500;

impl Sweep {
    /// Notes why an engine stopped; a failure is told to a person.
    pub(super) fn stopped(&mut self, about: &str, stop: Option<&Stop>) -> Option<String> {
        let stop = stop?;
        match stop {
            Stop::Failed(reason) => {
                let message = format!("{reason}; what was found until then is kept");
                self.say(Diagnostic::error("sweep_failed", about, message));
            }
            Stop::Deadline => {
                let message =
                    "the time for the sweep was over; allow it more, or sweep less".to_owned();
                self.say(Diagnostic::error("sweep_late", about, message));
            }
            Stop::Cancelled => {}
        }
        self.report.interrupted = true;
        Some(stop.gap())
    }

    pub(super) fn take_link(&mut self, job: &LinkJob, report: LinkReport) {
        let stopped = self.stopped(&job.name, report.stop.as_ref());
        let proxied = (!report.proxies.is_empty()).then(|| PROXIED.to_owned());
        let lossy = (report.missing > 0.02).then(|| {
            format!(
                "the network loses so much that about {:.0} hosts may have been missed",
                report.missing.max(1.0)
            )
        });
        self.tell_proxies(&report.proxies, &report.answers);
        self.report.packets += report.packets;
        let gap = stopped.or(proxied).or(lossy);
        let complete = report.asked == u64::from(job.targets.len());
        self.swept(
            |part| matches!(part.way, Way::Link(index, ip, _) if index == job.interface && ip == IpAddr::V4(job.own.ip)),
            Method::Arp,
            Some(&job.name),
            &report.answers,
            gap,
            (!complete).then_some(report.asked),
        );
        self.keep(report.answers);
    }

    fn tell_proxies(&mut self, proxies: &BTreeSet<MacAddr>, answers: &[Answer]) {
        for mac in proxies {
            let held = answers.iter().filter(|answer| answer.mac == Some(*mac)).count();
            let message = format!(
                "it answers ARP for {held} addresses of others: proxy ARP, or one host with very many addresses; the MAC addresses of these hosts are not known"
            );
            self.say(Diagnostic::warning("proxy_arp", mac.to_string(), message));
        }
        for answer in answers.iter().filter(|answer| !answer.rivals.is_empty()) {
            let macs: Vec<String> = answer.macs().map(|mac| mac.to_string()).collect();
            let message = format!(
                "{} claim this address; give all but one of them another",
                macs.join(" and ")
            );
            self.say(Diagnostic::warning("duplicate_address", answer.ip.to_string(), message));
        }
    }

    /// Notes how the parts of the plan were swept for which this holds.
    fn swept(
        &mut self,
        of: impl Fn(&Part) -> bool,
        method: Method,
        interface: Option<&str>,
        answers: &[Answer],
        gap: Option<String>,
        asked: Option<u64>,
    ) {
        let gap = gap.or_else(|| (self.request.linger < LINGER).then(|| HASTY.to_owned()));
        let mut left = asked.unwrap_or(u64::MAX);
        let parts: Vec<(IpNet, Targets)> = self
            .plan
            .parts
            .iter()
            .filter(|part| of(part))
            .map(|part| (part.net, part.targets.clone()))
            .collect();
        for (net, targets) in parts {
            let answered = answers.iter().filter(
                |answer| matches!(answer.ip, IpAddr::V4(ip) if targets.number(ip).is_some()),
            );
            let asked = left.min(targets.len().into());
            left -= asked;
            self.report.swept.push(Swept {
                net,
                method,
                interface: interface.map(str::to_owned),
                asked,
                answered: answered.count() as u64,
                gap: gap.clone(),
            });
        }
    }

    pub(super) fn take_nudge(&mut self, job: &NudgeJob, report: NudgeReport) {
        let by = if report.echo { "echo requests" } else { "empty datagrams" };
        let message = format!(
            "it is swept by way of the kernel's neighbours ({by}): slower, and blind to duplicate addresses and to most of IPv6; frames of our own need CAP_NET_RAW, so give it, or run as root"
        );
        self.say(Diagnostic::warning("sweep_unprivileged", &job.name, message));
        self.tell_proxies(&report.proxies, &report.answers);
        let proxied = (!report.proxies.is_empty()).then(|| PROXIED.to_owned());
        let unsure = (report.unsure > 0).then(|| {
            format!(
                "the kernel knew {} addresses from before that did not show again",
                report.unsure
            )
        });
        let gap = self.stopped(&job.name, report.stop.as_ref()).or(proxied).or(unsure);
        self.report.packets += report.packets;
        let index = job.interface;
        self.swept(
            |part| {
                matches!(part.way, Way::Link(interface, ..) if interface == index)
                    && part.targets.get(0).is_some_and(|ip| job.targets.number(ip).is_some())
            },
            Method::Neighbor,
            Some(&job.name),
            &report.answers,
            gap,
            None,
        );
        self.keep(report.answers);
    }

    pub(super) fn take_echo(&mut self, job: &EchoJob, way: Way, report: EchoReport) {
        let stopped = self.stopped(&job.name, report.stop.as_ref());
        let refused = report.refused.map(|(count, reason)| {
            format!("the kernel did not send to {count} addresses: {reason}")
        });
        let far = (way == Way::Routed)
            .then(|| "hosts beyond a router may ignore echo requests".to_owned());
        self.report.packets += report.packets;
        self.swept(
            |part| part.way == way,
            Method::Icmp,
            None,
            &report.answers,
            stopped.or(refused).or(far),
            None,
        );
        self.keep(report.answers);
    }

    /// No echo request may be sent: connections may always be tried, but prove little.
    pub(super) async fn connect_instead(&mut self, job: EchoJob, way: Way, error: io::Error) {
        let Some(shared) = self.shared() else { return };
        let ports = if self.request.ports.is_empty() {
            connect::USUAL.to_vec()
        } else {
            self.request.ports.clone()
        };
        let message = format!(
            "it is swept by trying TCP connections, which proves no address unused: echo requests cannot be sent ({error}); allow them by CAP_NET_RAW or net.ipv4.ping_group_range"
        );
        self.say(Diagnostic::warning("sweep_unprivileged", &job.name, message));
        let gap = if way == Way::Loopback { Duration::ZERO } else { self.gap() };
        let addresses = job.targets.iter().map(IpAddr::V4).collect();
        let (found, packets, stop) = connect::try_all(addresses, ports, &shared, gap).await;
        let answers = connect::answers(found, &self.request.ports);
        shared.tell(answers.iter().map(Answer::found).collect());
        let stopped = self.stopped(&job.name, stop.as_ref());
        self.report.packets += packets;
        let gap = stopped
            .unwrap_or_else(|| "a host need not accept or refuse a TCP connection".to_owned());
        self.swept(|part| part.way == way, Method::Tcp, None, &answers, Some(gap), None);
        self.keep(answers);
    }

    /// The time between two connections.
    fn gap(&self) -> Duration {
        match self.request.rate {
            Rate::Adaptive => Duration::from_secs(1) / CONNECTIONS,
            Rate::AtMost(rate) => Duration::from_secs(1) / rate.max(1),
            Rate::Max => Duration::ZERO,
        }
    }

    pub(super) fn take_six(&mut self, job: &SixJob, report: SixReport, gap: Option<String>) {
        let gap = self
            .stopped(&job.name, report.stop.as_ref())
            .or(gap)
            .unwrap_or_else(|| "hosts of IPv6 need not answer all nodes".to_owned());
        self.report.packets += report.packets;
        let excluded =
            |answer: &Answer| self.request.exclude.iter().any(|net| net.contains(&answer.ip));
        let answers: Vec<Answer> =
            report.answers.into_iter().filter(|answer| !excluded(answer)).collect();
        let nets: BTreeSet<Ipv6Net> =
            job.nets.iter().copied().filter(|net| net.prefix_len() > 0).collect();
        for net in nets {
            let answered =
                answers.iter().filter(|answer| IpNet::V6(net).contains(&answer.ip)).count() as u64;
            self.report.swept.push(Swept {
                net: net.into(),
                method: Method::Ndp,
                interface: Some(job.name.clone()),
                asked: 0,
                answered,
                gap: Some(gap.clone()),
            });
        }
        self.keep(answers);
    }

    /// The machine's own addresses are hosts, too.
    pub(super) fn own_answers(&mut self) {
        for (ip, index) in &self.plan.own {
            let Some(interface) = self.topology.interface(*index) else { continue };
            let net = interface.addresses.iter().find(|net| net.addr() == *ip);
            let asked = self.report.answers.iter().find(|answer| answer.ip == *ip);
            let own = Answer {
                method: Method::Own,
                mac: interface.mac,
                prefix_len: net.map(IpNet::prefix_len),
                ..asked.cloned().unwrap_or_else(|| Answer::of(*ip, Method::Own))
            };
            let answers = &mut self.report.answers;
            answers.retain(|answer| answer.ip != *ip);
            // Where it belongs among those that are in order already.
            let place = answers.partition_point(|answer| answer.ip < *ip);
            answers.insert(place, own);
        }
    }

    /// Asks for ports by connections where no frames of our own did.
    pub(super) async fn try_ports(&mut self) {
        let Some(shared) = self.shared().filter(|shared| !shared.ports.is_empty()) else { return };
        let asked = |method| matches!(method, Method::Arp | Method::Tcp);
        let open: BTreeSet<IpAddr> = self
            .report
            .answers
            .iter()
            .filter(|answer| !asked(answer.method) && !is_scoped(answer.ip))
            .map(|answer| answer.ip)
            .collect();
        let ports = self.request.ports.clone();
        let (found, packets, stop) =
            connect::try_all(open.into_iter().collect(), ports, &shared, self.gap()).await;
        self.report.packets += packets;
        self.stopped("ports", stop.as_ref());
        for answer in &mut self.report.answers {
            if let Some((_, open)) = found.get(&answer.ip) {
                answer.open.clone_from(open);
                answer.open.sort_unstable();
            }
        }
    }

    /// Puts the report together.
    pub(super) async fn conclude(mut self, finder: Option<Finder>) -> Report {
        if let Some(finder) = finder {
            let patience = match &self.request.names {
                Some(names) if !self.report.interrupted => names.patience,
                _ => Duration::ZERO,
            };
            let names = finder.finish(patience).await;
            self.report.interrupted |= self.cancel.is_cancelled();
            for answer in &mut self.report.answers {
                let dns = names.dns.get(&answer.ip).map(|name| (name, NameSource::Dns));
                let mdns = names.mdns.get(&answer.ip).map(|name| (name, NameSource::Mdns));
                answer.name =
                    dns.or(mdns).map(|(name, source)| Named { name: name.clone(), source });
            }
            self.report.diagnostics.extend(names.diagnostics);
        }
        for (net, reason) in &self.plan.left_out {
            self.report.left_out.push((*net, reason.clone()));
        }
        let report = &mut self.report;
        report.left_out.sort();
        report.answers.sort_unstable_by_key(|answer| (answer.ip, answer.method, answer.mac));
        report.answers.dedup_by_key(|answer| answer.ip);
        report
            .swept
            .sort_by(|a, b| (a.net, a.method, &a.interface).cmp(&(b.net, b.method, &b.interface)));
        report.diagnostics.sort();
        report.diagnostics.dedup();
        self.report
    }
}

/// Whether an address means nothing without its interface.
fn is_scoped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}
