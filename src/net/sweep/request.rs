//! What a sweep is asked to do, and what it refuses.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::mpsc::UnboundedSender;

use super::answer::Found;
use super::schedule::Rate;
use crate::domain::mac::MacAddr;
use crate::domain::name::visible;
use crate::net::names::Directory;

/// The shortest prefix of a subnet that is swept without being allowed to.
pub const LARGEST: u8 = 16;
/// The shortest prefix of a subnet that is swept at all: there is no larger private one.
pub const HUGEST: u8 = 8;
/// How long to listen to each address at least: hosts that save power answer late.
pub const LINGER: Duration = Duration::from_millis(150);
/// The same where there shall be no waiting.
pub const HASTY_LINGER: Duration = Duration::from_millis(30);

/// A subnet as a person writes it; an address alone is a subnet of one.
///
/// # Errors
/// With what is wrong, and what to write instead.
pub fn read_net(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| net.trunc()).map_err(|_| {
        format!("`{}` is not a subnet: expected one such as 192.168.1.0/24", visible(text, 60))
    })
}

/// A port or a range of ports, such as `22` or `8000-8010`.
///
/// # Errors
/// With what is wrong, and what to write instead.
pub fn read_ports(text: &str) -> Result<Vec<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) if first > 0 && first <= last => Ok((first..=last).collect()),
        _ => Err(format!(
            "`{}` is not a port: expected one from 1 to 65535, or a range such as 8000-8010",
            visible(text, 60)
        )),
    }
}

/// A resolver's address, with or without a port.
///
/// # Errors
/// With what is wrong, and what to write instead.
pub fn read_resolver(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    address.map_err(|_| {
        format!(
            "`{}` is not a resolver's address: expected one such as 192.168.1.1",
            visible(text, 60)
        )
    })
}

/// What is asked beside the addresses themselves.
#[derive(Debug, Clone)]
pub struct Names {
    /// Whom to ask for PTR records; none: nobody.
    pub directory: Option<Directory>,
    /// Whether to ask the hosts themselves by multicast DNS.
    pub multicast: bool,
    /// How long to wait for names once everything else is done.
    pub patience: Duration,
}

/// A sweep to be done.
#[derive(Debug, Clone)]
pub struct Request {
    /// The subnets.
    pub subnets: Vec<IpNet>,
    /// Addresses that are never asked.
    pub exclude: Vec<IpNet>,
    /// TCP ports to ask of each host that answers.
    pub ports: Vec<u16>,
    /// How fast.
    pub rate: Rate,
    /// How long to listen to each address at least.
    pub linger: Duration,
    /// Whether hosts on the link are asked by ICMP echo too, which proves no more than ARP.
    pub ping: bool,
    /// Whether to look for hosts of IPv6 on the links of the subnets.
    pub ipv6: bool,
    /// Names to look for.
    pub names: Option<Names>,
    /// Hosts that answered in earlier runs: they are asked first, where they were.
    pub known: Arc<BTreeMap<IpAddr, MacAddr>>,
    /// Whether subnets larger than a /16 may be swept.
    pub large: bool,
    /// Until when to be done.
    pub deadline: Option<Instant>,
    /// Whether to do without the privileges that there may be.
    pub unprivileged: bool,
    /// Where to tell of hosts while the sweep goes on.
    pub stream: Option<UnboundedSender<Found>>,
}

impl Request {
    /// A gentle sweep of these subnets, for hosts and nothing else.
    #[must_use]
    pub fn of(subnets: Vec<IpNet>) -> Self {
        Request {
            subnets,
            exclude: Vec::new(),
            ports: Vec::new(),
            rate: Rate::Adaptive,
            linger: LINGER,
            ping: false,
            ipv6: false,
            names: None,
            known: Arc::default(),
            large: false,
            deadline: None,
            unprivileged: false,
            stream: None,
        }
    }

    /// Refuses what must not be swept.
    pub(super) fn check(&self) -> Result<(), SweepError> {
        if self.subnets.is_empty() {
            return Err(SweepError::Nothing);
        }
        for net in &self.subnets {
            let IpNet::V4(v4) = net else {
                if net.addr().is_multicast() {
                    return Err(SweepError::NotHosts(*net));
                }
                continue;
            };
            if v4.network().is_multicast()
                || v4.network().octets()[0] >= 240
                || v4.broadcast().octets()[0] == 0
            {
                return Err(SweepError::NotHosts(*net));
            }
            if v4.prefix_len() < HUGEST {
                return Err(SweepError::Huge(*net));
            }
            if v4.prefix_len() < LARGEST && !self.large {
                return Err(SweepError::TooLarge(*net));
            }
        }
        Ok(())
    }
}

/// Why nothing was swept at all.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// There is nothing to sweep.
    #[error("cannot sweep: no subnet is given; name one, such as 192.168.1.0/24")]
    Nothing,
    /// A subnet is larger than it may be.
    #[error("cannot sweep {0}: it is larger than a /16; sweep parts of it, or allow large subnets")]
    TooLarge(IpNet),
    /// A subnet is larger than any network is.
    #[error("cannot sweep {0}: it is larger than a /8, as no network is; sweep parts of it")]
    Huge(IpNet),
    /// There are no hosts in such a subnet.
    #[error("cannot sweep {0}: no host has such an address")]
    NotHosts(IpNet),
    /// The kernel does not tell of the machine's interfaces.
    #[error("cannot sweep: the kernel does not tell of its interfaces: {0}")]
    Kernel(#[from] io::Error),
}
