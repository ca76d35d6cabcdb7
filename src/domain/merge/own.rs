//! Who holds which address: one holder a segment, the most believed claim.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::super::inventory::Seen;
use super::super::mac::MacAddr;
use super::super::observation::{Address, Observation, Segment};
use super::super::ranking::address_place;
use super::join::{Group, host_of};

/// Claims that are older than the newest one by more than this are about the past:
/// the address has moved since.
const PRESENT: SignedDuration = SignedDuration::from_mins(15);

/// Who may hold an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A group with an identity.
    Group(usize),
    /// Something that answered from a MAC address which is no evidence of a device.
    Station(MacAddr),
}

/// The decision about one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Title {
    /// The holder; none where claims are equal.
    pub holder: Option<Holder>,
    /// Those whose claims are equal, where there is no holder.
    pub rivals: BTreeSet<Holder>,
    /// Every claim that was not believed.
    pub refused: Vec<Seen>,
}

/// The decisions about all addresses.
#[derive(Debug, Default)]
pub(super) struct Owned {
    pub titles: BTreeMap<(Segment, IpAddr), Title>,
}

impl Owned {
    pub(super) fn title(&self, segment: &Segment, ip: IpAddr) -> Option<&Title> {
        // The key is cheap to build: a segment is one reference count.
        self.titles.get(&(segment.clone(), ip))
    }
}

/// Whether an address can be held by one thing alone. Link-local ones are unique
/// only on their link, and some roles are shared by design.
pub(super) fn is_exclusive(address: &Address) -> bool {
    use super::super::observation::AddressRole::{Anycast, Carp, Glbp, Hsrp, Vip, Vrrp};
    let shared = matches!(address.role, Some(Anycast | Vip | Vrrp | Hsrp | Glbp | Carp));
    !shared && !is_link_local(address.ip)
}

pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Whether an address names a host at all.
pub(super) fn is_host_address(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

struct Claimed {
    holder: Holder,
    place: usize,
    at: Timestamp,
    seen: Seen,
}

/// Decides about every address that a group with identity, or a station, claims.
pub(super) fn own<'a>(
    observations: &[Observation],
    groups: impl Iterator<Item = (usize, &'a Group)>,
    is_solid: impl Fn(&Group) -> bool,
) -> Owned {
    let mut claims: HashMap<(Segment, IpAddr), Vec<Claimed>> = HashMap::new();
    for (index, group) in groups.filter(|(_, group)| !group.hint) {
        let solid = is_solid(group);
        for &seen in &group.seen {
            let observation = &observations[seen as usize];
            let Some(host) = host_of(observation) else {
                continue;
            };
            for interface in &host.interfaces {
                let holder = match interface.mac.filter(|mac| mac.names_an_interface()) {
                    _ if solid => Holder::Group(index),
                    Some(mac) => Holder::Station(mac),
                    None => continue,
                };
                for address in
                    interface.addresses.iter().filter(|a| is_exclusive(a) && is_host_address(a.ip))
                {
                    claims.entry((observation.segment.clone(), address.ip)).or_default().push(
                        Claimed {
                            holder,
                            place: address_place(observation.authority),
                            at: observation.at,
                            seen,
                        },
                    );
                }
            }
        }
    }
    Owned { titles: claims.into_iter().map(|(key, claims)| (key, decide(&claims))).collect() }
}

fn decide(claims: &[Claimed]) -> Title {
    let newest = claims.iter().map(|claim| claim.at).max();
    let is_past = |at: Timestamp| newest.is_some_and(|newest| newest.duration_since(at) > PRESENT);
    let mut best: BTreeMap<Holder, (bool, usize)> = BTreeMap::new();
    for claim in claims {
        let rank = (is_past(claim.at), claim.place);
        best.entry(claim.holder).and_modify(|known| *known = rank.min(*known)).or_insert(rank);
    }
    let top = best.values().min().copied();
    let first: BTreeSet<Holder> =
        best.iter().filter(|(_, rank)| Some(**rank) == top).map(|(holder, _)| *holder).collect();
    let holder = (first.len() == 1).then(|| first.first().copied()).flatten();
    let mut refused: Vec<Seen> = claims
        .iter()
        .filter(|claim| Some(claim.holder) != holder)
        .map(|claim| claim.seen)
        .collect();
    refused.sort_unstable();
    refused.dedup();
    Title { holder, rivals: if holder.is_some() { BTreeSet::new() } else { first }, refused }
}
