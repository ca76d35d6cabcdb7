//! What a sweep brings home.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::domain::diagnostic::Diagnostic;
use crate::domain::mac::MacAddr;
use crate::domain::name::DnsName;
use crate::net::vendor;

/// How something was asked, or came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The machine's own address.
    Own,
    /// A reply to an ARP request.
    Arp,
    /// A reply of a neighbour of IPv6, to all nodes or to a solicitation.
    Ndp,
    /// The kernel asked for the neighbour, because it was to send something there.
    Neighbor,
    /// A reply to an ICMP echo request.
    Icmp,
    /// A TCP connection that was accepted or refused.
    Tcp,
}

impl Method {
    /// The word for it in output and coverage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Own => "own",
            Method::Arp => "arp",
            Method::Ndp => "ndp",
            Method::Neighbor => "neighbor",
            Method::Icmp => "icmp",
            Method::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameSource {
    /// A PTR record in DNS.
    Dns,
    /// The host's own answer to a multicast DNS question.
    Mdns,
}

/// A name and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The name.
    pub name: DnsName,
    /// Where it comes from.
    pub source: NameSource,
}

/// An address that has just answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The address.
    pub ip: IpAddr,
    /// The MAC address, on the link itself alone.
    pub mac: Option<MacAddr>,
    /// How long the answer took.
    pub rtt: Option<Duration>,
    /// How it became known.
    pub method: Method,
}

/// One address that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The address.
    pub ip: IpAddr,
    /// How it became known.
    pub method: Method,
    /// The MAC address that answers for it, on the link itself alone.
    pub mac: Option<MacAddr>,
    /// Further MAC addresses that answer for it.
    pub rivals: Vec<MacAddr>,
    /// Whether the MAC address is that of a proxy, which answers for others.
    pub proxied: bool,
    /// The length of the prefix of the connected subnet that it lies in.
    pub prefix_len: Option<u8>,
    /// How long the answer took.
    pub rtt: Option<Duration>,
    /// Its name.
    pub name: Option<Named>,
    /// The TCP ports at which it accepts connections, of those that were asked; sorted.
    pub open: Vec<u16>,
}

impl Answer {
    /// An answer of which nothing else is known.
    #[must_use]
    pub fn of(ip: IpAddr, method: Method) -> Self {
        Answer {
            ip,
            method,
            mac: None,
            rivals: Vec::new(),
            proxied: false,
            prefix_len: None,
            rtt: None,
            name: None,
            open: Vec::new(),
        }
    }

    /// Of several MAC addresses the lowest stands first: which of them answered first is
    /// chance, and would be another one in the next sweep.
    pub(super) fn rank(&mut self) {
        if self.rivals.is_empty() {
            return;
        }
        self.rivals.extend(self.mac);
        self.rivals.sort_unstable();
        self.rivals.dedup();
        self.mac = (!self.rivals.is_empty()).then(|| self.rivals.remove(0));
    }

    /// Every MAC address that answers for it.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> {
        self.mac.into_iter().chain(self.rivals.iter().copied())
    }

    /// What is told of it while the sweep goes on.
    #[must_use]
    pub fn found(&self) -> Found {
        Found { ip: self.ip, mac: self.mac, rtt: self.rtt, method: self.method }
    }

    /// Who made its interface, as far as the MAC address tells.
    #[must_use]
    pub fn vendor(&self) -> Option<&'static str> {
        if self.proxied { None } else { self.mac.and_then(vendor::of) }
    }
}

/// How a subnet was swept.
#[derive(Debug, Clone, PartialEq)]
pub struct Swept {
    /// The subnet, or the part of one that was asked in this way.
    pub net: IpNet,
    /// How.
    pub method: Method,
    /// The interface, where the subnet lies directly at one.
    pub interface: Option<String>,
    /// How many addresses were asked.
    pub asked: u64,
    /// How many answered.
    pub answered: u64,
    /// Why an address that did not answer is not proven to be unused; none where it is.
    pub gap: Option<String>,
}

/// What a sweep brings home. Everything is sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The addresses that answered.
    pub answers: Vec<Answer>,
    /// How the subnets were swept.
    pub swept: Vec<Swept>,
    /// Parts of the subnets that were not asked at all, and why.
    pub left_out: Vec<(IpNet, String)>,
    /// What a person should know.
    pub diagnostics: Vec<Diagnostic>,
    /// How many packets were sent to find out.
    pub packets: u64,
    /// Whether it was ended before it was done.
    pub interrupted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_of_two_owners_answered_first_does_not_show() {
        let macs: [MacAddr; 2] =
            ["00:1b:21:00:00:09".parse().unwrap(), "00:11:32:00:00:0a".parse().unwrap()];
        let told = |first: usize| {
            let mut answer = Answer::of([192, 0, 2, 9].into(), Method::Arp);
            answer.mac = Some(macs[first]);
            answer.rivals = vec![macs[1 - first]];
            answer.rank();
            answer
        };
        assert_eq!(told(0), told(1));
        assert_eq!((told(0).mac, told(0).rivals), (Some(macs[1]), vec![macs[0]]));
    }

    #[test]
    fn a_proxy_does_not_tell_who_made_what_is_behind_it() {
        let mut answer = Answer::of([192, 0, 2, 9].into(), Method::Arp);
        answer.mac = "00:11:32:00:00:0a".parse().ok();
        assert!(answer.vendor().is_some());
        answer.proxied = true;
        assert_eq!(answer.vendor(), None);
    }
}
