//! `sweep`: what answers in subnets, by ARP, echo and neighbours of IPv6.
//!
//! It knows hosts by the MAC addresses of their interfaces on the links at this machine,
//! and by nothing but their addresses beyond a router. What a name, a vendor or an open
//! port tells is stated apart, each with its own evidence. It decides nothing about what
//! is one device.

mod observe;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use tokio::time::Instant;

pub use settings::SweepSettings;

use super::{Assignment, CollectError, Collector, Harvest};
use crate::domain::diagnostic::Diagnostic;
use crate::net::interface::{self, Topology};
use crate::net::names::Directory;
use crate::net::sweep::schedule::Rate;
use crate::net::sweep::{self, Names, Request, SweepError};

/// How long to wait for names once everything else is known.
const NAMES: Duration = Duration::from_secs(5);
/// What is kept of the time that is given, to put together what was found.
const RESERVE: Duration = Duration::from_secs(3);

/// A sweep that was configured.
#[derive(Debug)]
struct Sweep {
    /// None: the subnets that lie directly at this machine.
    subnets: Option<Vec<IpNet>>,
    exclude: Vec<IpNet>,
    ports: Vec<u16>,
    rate: Rate,
    linger: Duration,
    ping: bool,
    ipv6: bool,
    dns: bool,
    mdns: bool,
    /// Resolvers in place of the system's; they remember what they have answered.
    resolvers: Option<Directory>,
    /// The shortest prefix of a subnet that is swept.
    max_prefix: u8,
}

#[async_trait]
impl Collector for Sweep {
    async fn collect(&self, assignment: &Assignment) -> Result<Harvest, CollectError> {
        let mut diagnostics = Vec::new();
        let topology = Topology::read()
            .map_err(|error| CollectError::Failed(SweepError::Kernel(error).to_string()))?;
        let subnets = match &self.subnets {
            Some(subnets) => subnets.clone(),
            None => self.local(&topology, &mut diagnostics),
        };
        if subnets.is_empty() {
            let reason =
                "cannot sweep: no subnet lies directly at this machine; name some in `subnets`";
            return Err(CollectError::Failed(reason.to_owned()));
        }
        let names = self.names(&mut diagnostics);
        let request = Request {
            exclude: self.exclude.clone(),
            ports: self.ports.clone(),
            rate: self.rate,
            linger: self.linger,
            ping: self.ping,
            ipv6: self.ipv6,
            names,
            known: Arc::clone(&assignment.known),
            // The settings have looked at each subnet already.
            large: true,
            deadline: Some(before(assignment.deadline).into_std()),
            ..Request::of(subnets)
        };
        let report = sweep::run(request, &assignment.cancel, Arc::clone(&assignment.progress))
            .await
            .map_err(|error| match error {
                SweepError::Kernel(_)
                | SweepError::Nothing
                | SweepError::TooLarge(_)
                | SweepError::Huge(_)
                | SweepError::NotHosts(_) => CollectError::Failed(error.to_string()),
            })?;
        let machine = interface::host_name();
        let mut harvest = observe::harvest(&report, assignment, &topology, machine.as_deref());
        harvest.diagnostics.extend(diagnostics);
        Ok(harvest)
    }
}

impl Sweep {
    /// The subnets at this machine's own links that are small enough.
    fn local(&self, topology: &Topology, diagnostics: &mut Vec<Diagnostic>) -> Vec<IpNet> {
        let (small, large): (BTreeSet<IpNet>, BTreeSet<IpNet>) = topology
            .local_networks()
            .into_iter()
            .partition(|net| net.prefix_len() >= self.max_prefix);
        for net in large {
            let message = format!(
                "it lies at this machine but is larger than a /{}; sweep parts of it in `subnets`, or allow it by `max_prefix`",
                self.max_prefix
            );
            diagnostics.push(Diagnostic::warning("subnet_too_large", net.to_string(), message));
        }
        small.into_iter().collect()
    }

    fn names(&self, diagnostics: &mut Vec<Diagnostic>) -> Option<Names> {
        let directory = match &self.resolvers {
            _ if !self.dns => None,
            Some(resolvers) => Some(resolvers.clone()),
            None => Directory::of_the_system()
                .map_err(|error| {
                    let message = format!(
                        "the system's resolvers are not known: {error}; name some in `resolvers`"
                    );
                    diagnostics.push(Diagnostic::warning("resolver_silent", "dns", message));
                })
                .ok(),
        };
        let wanted = directory.is_some() || self.mdns;
        wanted.then_some(Names { directory, multicast: self.mdns, patience: NAMES })
    }
}

/// A little before the time is over, so that what was found is still brought home.
fn before(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - RESERVE.min(left / 4)
}
