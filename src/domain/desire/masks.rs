//! The length of an address's prefix: as a source states it, else that of the
//! longest subnet known to hold the address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::super::object::{Field, Kind};
use super::super::observation::Segment;
use super::Desk;

/// The subnets that are known, by segment, the longest first. Those that stand in the
/// sink's global table count for every segment.
#[derive(Debug, Default)]
pub(super) struct Masks {
    known: BTreeMap<Option<Segment>, Vec<IpNet>>,
}

impl Masks {
    pub(super) fn gather(desk: &Desk<'_>) -> Self {
        let mut known: BTreeMap<Option<Segment>, BTreeSet<IpNet>> = BTreeMap::new();
        for prefix in &desk.inventory.prefixes {
            known.entry(Some(prefix.segment.clone())).or_default().insert(prefix.net);
        }
        let interfaces = desk.inventory.hosts.iter().flat_map(|host| &host.interfaces);
        for address in interfaces.flat_map(|interface| &interface.addresses) {
            let net = address.prefix_len.and_then(|length| IpNet::new(address.ip, length).ok());
            if let Some(net) = net.filter(|net| net.prefix_len() < net.max_prefix_len()) {
                known.entry(Some(address.segment.clone())).or_default().insert(net.trunc());
            }
        }
        for live in desk.world.of(Kind::Prefix) {
            let net =
                live.field(Field::Prefix).as_text().and_then(|text| text.parse::<IpNet>().ok());
            known.entry(None).or_default().extend(net);
        }
        let sorted = |nets: BTreeSet<IpNet>| {
            let mut nets: Vec<IpNet> = nets.into_iter().collect();
            nets.sort_by_key(|net| std::cmp::Reverse(net.prefix_len()));
            nets
        };
        Masks { known: known.into_iter().map(|(segment, nets)| (segment, sorted(nets))).collect() }
    }

    /// The longest subnet that holds an address as one of its hosts.
    pub(super) fn longest(&self, segment: &Segment, ip: IpAddr) -> Option<IpNet> {
        [Some(segment.clone()), None]
            .iter()
            .filter_map(|key| self.known.get(key))
            .find_map(|nets| nets.iter().find(|net| is_host_of(**net, ip)).copied())
    }
}

/// Whether an address is one that a host of the subnet can have.
pub(super) fn is_host_of(net: IpNet, ip: IpAddr) -> bool {
    net.contains(&ip) && !is_edge(net, ip)
}

/// Whether an address is its subnet's own or its broadcast address.
pub(super) fn is_edge(net: IpNet, ip: IpAddr) -> bool {
    match net {
        IpNet::V4(net) => {
            net.prefix_len() < 31
                && (IpAddr::V4(net.network()) == ip || IpAddr::V4(net.broadcast()) == ip)
        }
        IpNet::V6(net) => net.prefix_len() < 127 && IpAddr::V6(net.network()) == ip,
    }
}

/// An address as it is written: with a mask that a source or a subnet gives (firm), or
/// that of one address alone (a guess).
pub(super) fn written(
    desk: &Desk<'_>,
    segment: &Segment,
    ip: IpAddr,
    stated: Option<u8>,
) -> (Arc<str>, bool) {
    let full = if ip.is_ipv4() { 32 } else { 128 };
    let stated = stated.filter(|length| *length <= full);
    let known = match stated {
        Some(length) if length < full => Some(length),
        _ => desk.masks.longest(segment, ip).map(|net| net.prefix_len()),
    };
    let length = known.or(stated).unwrap_or(full);
    (format!("{ip}/{length}").into(), known.or(stated).is_some())
}
