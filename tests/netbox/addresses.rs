//! Addresses and networks as NetBox reads and writes them: an address keeps its
//! host bits beside the length of its prefix.

use super::store::Object;
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Net {
    /// The address.
    pub(crate) ip: IpAddr,
    /// The length of its prefix.
    pub(crate) len: u8,
}

impl Net {
    /// Reads an address with or without the length of a prefix.
    pub(crate) fn parse(text: &str) -> Option<Net> {
        let (ip, len) = match text.split_once('/') {
            Some((ip, len)) => (ip, Some(len)),
            None => (text, None),
        };
        let ip: IpAddr = ip.trim().parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let len = match len {
            None => most,
            Some(len) => match len.parse::<u8>() {
                Ok(len) => len,
                Err(_) => mask_len(len)?,
            },
        };
        (len <= most).then_some(Net { ip, len })
    }

    /// The address as a number.
    pub(crate) fn number(self) -> u128 {
        match self.ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        }
    }

    /// How many bits follow the prefix.
    fn host_bits(self) -> u32 {
        let most = if self.ip.is_ipv4() { 32 } else { 128 };
        most - u32::from(self.len)
    }

    fn host_mask(self) -> u128 {
        1u128.checked_shl(self.host_bits()).map_or(u128::MAX, |bits| bits - 1)
    }

    /// The first and the last number of its network.
    pub(crate) fn bounds(self) -> (u128, u128) {
        let mask = self.host_mask();
        (self.number() & !mask, self.number() | mask)
    }

    /// The network that it lies in.
    pub(crate) fn network(self) -> Net {
        Net { ip: self.with_number(self.bounds().0), len: self.len }
    }

    fn with_number(self, number: u128) -> IpAddr {
        match self.ip {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "numbers of IPv4 addresses have 32 bits"
            )]
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }

    /// Whether another lies within its network.
    pub(crate) fn covers(self, other: Net) -> bool {
        let (first, last) = self.bounds();
        self.ip.is_ipv4() == other.ip.is_ipv4()
            && self.len <= other.len
            && (first..=last).contains(&other.number())
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

impl Ord for Net {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |net: &Net| (net.ip.is_ipv6(), net.number(), net.len);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Net {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The length of a prefix written as a mask, `255.255.255.0`.
fn mask_len(text: &str) -> Option<u8> {
    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
    let len = mask.leading_ones();
    (mask.count_ones() == len).then(|| u8::try_from(len).ok())?
}

/// The address in a field of an object.
pub(crate) fn net_of(object: &Object, field: &str) -> Option<Net> {
    Net::parse(object.text(field))
}

/// How many addresses a range has.
pub(crate) fn range_size(range: &Object) -> Value {
    let (Some(first), Some(last)) = (net_of(range, "start_address"), net_of(range, "end_address"))
    else {
        return Value::Null;
    };
    u64::try_from(last.number().saturating_sub(first.number()).saturating_add(1))
        .map_or(Value::Null, Value::from)
}

/// A range in short: what both ends share stands once.
pub(crate) fn range_name(range: &Object) -> String {
    let (Some(first), Some(last)) = (net_of(range, "start_address"), net_of(range, "end_address"))
    else {
        return String::new();
    };
    let (from, to) = (first.ip.to_string(), last.ip.to_string());
    if from == to {
        return format!("{from}-{to}/{}", first.len);
    }
    let mark = if first.ip.is_ipv6() { ":" } else { "." };
    let (left, right): (Vec<&str>, Vec<&str>) =
        (from.split(mark).collect(), to.split(mark).collect());
    let shared: Vec<&str> =
        left.iter().zip(&right).filter(|(one, other)| one == other).map(|(one, _)| *one).collect();
    let rest = |all: &[&str]| all.get(shared.len()..).unwrap_or_default().join(mark);
    let base = shared.join(mark);
    format!("{base}{mark}{}-{}/{}", rest(&left), rest(&right), first.len)
}

/// A MAC address as NetBox writes it; none for what is none.
pub(crate) fn mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|letter| !matches!(letter, ':' | '-' | '.')).collect();
    // Without marks the first digit may be missing; then it is a zero.
    let bare = digits.len() == 11 && digits.len() == text.len();
    let digits = if bare { format!("0{digits}") } else { digits };
    if digits.len() != 12 || !digits.chars().all(|letter| letter.is_ascii_hexdigit()) {
        return None;
    }
    let upper = digits.to_ascii_uppercase();
    let pairs: Vec<&str> = (0..6).map(|at| &upper[at * 2..at * 2 + 2]).collect();
    Some(pairs.join(":"))
}
