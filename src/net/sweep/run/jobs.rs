//! What each engine is given to do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};

use super::Sweep;
use crate::net::frame::Station;
use crate::net::sweep::echo::EchoJob;
use crate::net::sweep::link::LinkJob;
use crate::net::sweep::plan::{Part, Way};
use crate::net::sweep::schedule::{Policy, Rate};
use crate::net::sweep::six::SixJob;
use crate::net::sweep::targets::Targets;

/// How long an answer may take beyond a router while nobody has answered yet.
const UNKNOWN_FAR: Duration = Duration::from_millis(500);

impl Sweep {
    /// The links to sweep: one job for each address of our own from which parts are asked.
    pub(super) fn links(&self) -> Vec<LinkJob> {
        let mut jobs: BTreeMap<Way, Targets> = BTreeMap::new();
        for part in &self.plan.parts {
            if matches!(part.way, Way::Link(..)) {
                let targets = jobs.entry(part.way).or_default();
                *targets = targets.with(&part.targets);
            }
        }
        jobs.into_iter().filter_map(|(way, targets)| self.link(way, targets)).collect()
    }

    fn link(&self, way: Way, targets: Targets) -> Option<LinkJob> {
        let Way::Link(index, IpAddr::V4(ip), prefix_len) = way else { return None };
        let interface = self.topology.interface(index)?;
        let known = self.request.known.iter().filter_map(|(ip, mac)| match ip {
            IpAddr::V4(ip) if targets.number(*ip).is_some() => Some((*ip, *mac)),
            _ => None,
        });
        Some(LinkJob {
            interface: index,
            name: interface.name.clone(),
            own: Station { mac: interface.mac?, ip },
            prefix_len,
            known: known.collect(),
            beside: self.beside.get(&index).cloned().unwrap_or_default(),
            targets,
        })
    }

    /// Addresses that are asked as the kernel sends.
    pub(super) fn echoes(&self) -> Vec<(EchoJob, Way)> {
        let mut jobs = Vec::new();
        for way in [Way::Routed, Way::Loopback] {
            let parts: Vec<&Part> = self.plan.parts.iter().filter(|part| part.way == way).collect();
            let Some(first) = parts.first() else { continue };
            let targets =
                parts.iter().fold(Targets::default(), |all, part| all.with(&part.targets));
            let linger = self.request.linger;
            let policy = match way {
                // The machine itself takes what it gives.
                Way::Loopback => Policy {
                    rate: Rate::Max,
                    linger: Duration::ZERO,
                    unknown: Duration::from_millis(50),
                },
                _ => Policy { rate: self.request.rate, linger, unknown: UNKNOWN_FAR },
            };
            let known = self.request.known.keys().filter_map(|ip| match ip {
                IpAddr::V4(ip) => Some(*ip),
                IpAddr::V6(_) => None,
            });
            let name = if parts.len() == 1 {
                first.net.to_string()
            } else {
                format!("{} and more", first.net)
            };
            jobs.push((EchoJob { name, known: known.collect(), targets, policy }, way));
        }
        jobs
    }

    /// Links on which to look for hosts of IPv6.
    pub(super) fn sixes(&self) -> Vec<SixJob> {
        let mut wanted = self.plan.six.clone();
        if self.request.ipv6 {
            for part in &self.plan.parts {
                if let Way::Link(index, ..) = part.way {
                    wanted.entry(index).or_default().push(Ipv6Net::default());
                }
            }
        }
        let job = |(index, nets): (u32, Vec<Ipv6Net>)| {
            let interface = self.topology.interface(index)?;
            let v6 = |ip: &IpAddr| match ip {
                IpAddr::V6(ip) => Some(*ip),
                IpAddr::V4(_) => None,
            };
            let own: Vec<Ipv6Net> = interface
                .addresses
                .iter()
                .filter_map(|net| match net {
                    IpNet::V6(net) => Some(*net),
                    IpNet::V4(_) => None,
                })
                .collect();
            let known = self
                .request
                .known
                .keys()
                .filter_map(v6)
                .filter(|ip| own.iter().any(|net| net.contains(ip)));
            let excluded = |ip: &Ipv6Addr| {
                self.request.exclude.iter().any(|net| net.contains(&IpAddr::V6(*ip)))
            };
            Some(SixJob {
                interface: index,
                name: interface.name.clone(),
                mac: interface.mac?,
                known: known.filter(|ip| !excluded(ip)).collect(),
                own,
                nets,
            })
        };
        wanted.into_iter().filter_map(job).filter(|job| !job.own.is_empty()).collect()
    }
}
