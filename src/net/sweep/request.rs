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

/// Whether hosts can have addresses in a subnet.
#[must_use]
pub fn holds_hosts(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().octets()[0], net.broadcast().octets()[0]);
            first < 224 && last > 0
        }
        IpNet::V6(net) => !net.network().is_multicast(),
    }
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
            if !holds_hosts(net) {
                return Err(SweepError::NotHosts(*net));
            }
            if net.addr().is_ipv4() && net.prefix_len() < HUGEST {
                return Err(SweepError::Huge(*net));
            }
            if net.addr().is_ipv4() && net.prefix_len() < LARGEST && !self.large {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_read_as_people_write_it() {
        for (text, net) in [
            ("192.168.1.0/24", "192.168.1.0/24"),
            (" 192.168.1.77/24 ", "192.168.1.0/24"),
            ("192.168.1.77", "192.168.1.77/32"),
            ("fd00::1/64", "fd00::/64"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(read_net(text).unwrap().to_string(), net);
        }
        for text in ["", "banana", "10.0.0.0/33", "10.0.0/24", "10.0.0.0/", "10.0.0.256", "1/1/1"] {
            assert!(read_net(text).unwrap_err().contains("is not a subnet"), "{text}");
        }
        let hostile = read_net("\u{1b}[2J\n").unwrap_err();
        assert!(!hostile.contains(['\u{1b}', '\n']), "{hostile:?}");
    }

    #[test]
    fn ports_are_numbers_and_ranges() {
        assert_eq!(read_ports("22").unwrap(), [22]);
        assert_eq!(read_ports("8000-8002").unwrap(), [8000, 8001, 8002]);
        assert_eq!(read_ports("65535").unwrap(), [65535]);
        for text in ["", "0", "65536", "9-8", "-1", "1-", "ssh", "1-2-3"] {
            assert!(read_ports(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_resolver_has_a_port_where_none_is_told() {
        assert_eq!(read_resolver("192.168.1.1").unwrap().to_string(), "192.168.1.1:53");
        assert_eq!(read_resolver("[fd00::1]:5353").unwrap().to_string(), "[fd00::1]:5353");
        assert_eq!(read_resolver("fd00::1").unwrap().to_string(), "[fd00::1]:53");
        assert!(read_resolver("dns.example").is_err());
    }

    #[test]
    fn what_is_too_large_or_no_network_of_hosts_is_refused() {
        let refusal = |net: &str, large: bool| {
            let request = Request { large, ..Request::of(vec![net.parse().unwrap()]) };
            request.check().err().map(|error| error.to_string())
        };
        assert_eq!(refusal("10.0.0.0/16", false), None);
        assert_eq!(refusal("10.0.0.0/8", true), None);
        assert_eq!(refusal("fd00::/8", false), None);
        for (net, large, part) in [
            ("10.0.0.0/15", false, "larger than a /16"),
            ("0.0.0.0/0", true, "larger than a /8"),
            ("128.0.0.0/1", true, "larger than a /8"),
            ("0.0.0.0/8", true, "no host"),
            ("239.1.0.0/16", false, "no host"),
            ("255.255.255.255/32", false, "no host"),
            ("ff02::/16", false, "no host"),
        ] {
            assert!(refusal(net, large).is_some_and(|told| told.contains(part)), "{net}");
        }
        assert!(matches!(Request::of(Vec::new()).check(), Err(SweepError::Nothing)));
    }
}
