//! Who holds which address: one holder a segment, the most believed claim.
//!
//! Two kinds of claims count less than their position: old ones, for the address may have
//! moved since, and those of what answers for others (a router's proxy ARP).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::super::inventory::Seen;
use super::super::mac::{MacAddr, MacKind};
use super::super::observation::{
    Address, Authority, HostAttribute, Interface, Observation, Segment,
};
use super::super::ranking::address_place;
use super::join::{Group, host_of};

/// Claims that are older than the newest one by more than this are about the past:
/// the address has moved since.
const PRESENT: SignedDuration = SignedDuration::from_mins(15);

/// Who may hold an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// When the newest claim was made.
    pub newest: Timestamp,
}

impl Title {
    /// Whether a claim is so much older than the newest one that the address has moved since.
    pub(super) fn is_past(&self, at: Timestamp) -> bool {
        self.newest.duration_since(at) > PRESENT
    }
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

/// The addresses of an interface by which others reach its host.
pub(super) fn outward(interface: &Interface) -> impl Iterator<Item = &Address> {
    let inward = is_inward(interface);
    interface.addresses.iter().filter(move |address| !inward && is_host_address(address.ip))
}

/// Whether an interface leads to nothing but containers and guests behind this very host.
/// Its addresses are the same on many hosts.
pub(super) fn is_inward(interface: &Interface) -> bool {
    const NAMES: [&str; 6] =
        ["docker0", "docker_gwbridge", "lxcbr0", "cni0", "cni-podman0", "hassio"];
    // What answers on the wire has no name here: it may well be a container with a leg of
    // its own in the network.
    let Some(name) = interface.name.as_deref() else { return false };
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let numbered = |word: &&str| name.strip_prefix(*word).is_some_and(digits);
    // Docker names the bridges of its networks by the first digits of their ids.
    let of_docker = name.strip_prefix("br-").is_some_and(|id| {
        let by_mac = interface.mac.is_some_and(|mac| mac.kind() == MacKind::Docker);
        by_mac || id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit())
    });
    NAMES.contains(&name) || ["virbr", "podman"].iter().any(numbered) || of_docker
}

/// Whether an address names a host at all.
pub(super) fn is_host_address(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[derive(Clone, Copy)]
struct Claimed {
    holder: Holder,
    authority: Authority,
    at: Timestamp,
    seen: Seen,
}

type Claims = HashMap<(Segment, IpAddr), Vec<Claimed>>;

/// Decides about every address that a group with identity, or a station, claims.
pub(super) fn own<'a>(
    observations: &[Observation],
    groups: impl Iterator<Item = (usize, &'a Group)>,
    is_solid: impl Fn(&Group) -> bool,
) -> Owned {
    let mut claims = Claims::new();
    let mut off: HashSet<Holder> = HashSet::new();
    for (index, group) in groups.filter(|(_, group)| !group.hint) {
        let solid = is_solid(group);
        if is_off(observations, group) {
            off.insert(Holder::Group(index));
        }
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
                for address in outward(interface).filter(|address| is_exclusive(address)) {
                    claims.entry((observation.segment.clone(), address.ip)).or_default().push(
                        Claimed {
                            holder,
                            authority: observation.authority,
                            at: observation.at,
                            seen,
                        },
                    );
                }
            }
        }
    }
    let proxies = proxies(&claims, &off);
    let titles = claims.into_iter().map(|(key, claims)| (key, decide(&claims, &proxies)));
    Owned { titles: titles.collect() }
}

/// Whether somebody says that the thing is switched off.
pub(super) fn is_off(observations: &[Observation], group: &Group) -> bool {
    group.seen.iter().filter_map(|&seen| host_of(&observations[seen as usize])).any(|host| {
        let status = host.facts.get(&HostAttribute::Status).and_then(|value| value.as_text());
        matches!(status, Some("offline" | "planned" | "decommissioning"))
    })
}

/// What answers at the addresses that hypervisors configure on several guests which run:
/// one that took an address is a thief, one that took two answers for others.
fn proxies(claims: &Claims, off: &HashSet<Holder>) -> HashSet<Holder> {
    let mut answers_for: HashMap<Holder, BTreeSet<Holder>> = HashMap::new();
    for claims in claims.values() {
        let configured = claims.iter().filter(|claim| {
            claim.authority == Authority::Hypervisor && !off.contains(&claim.holder)
        });
        for own in configured {
            let seen = claims.iter().filter(|claim| claim.authority == Authority::Wire);
            for other in seen.filter(|claim| claim.holder != own.holder) {
                answers_for.entry(other.holder).or_default().insert(own.holder);
            }
        }
    }
    answers_for.into_iter().filter(|(_, others)| others.len() > 1).map(|(who, _)| who).collect()
}

fn decide(claims: &[Claimed], proxies: &HashSet<Holder>) -> Title {
    let newest = claims.iter().map(|claim| claim.at).max().unwrap_or_default();
    let mut title = Title { holder: None, rivals: BTreeSet::new(), refused: Vec::new(), newest };
    let mut best: BTreeMap<Holder, (bool, bool, usize)> = BTreeMap::new();
    for claim in claims {
        let answers_for_others =
            claim.authority == Authority::Wire && proxies.contains(&claim.holder);
        let rank = (title.is_past(claim.at), answers_for_others, address_place(claim.authority));
        best.entry(claim.holder).and_modify(|known| *known = rank.min(*known)).or_insert(rank);
    }
    let top = best.values().min().copied();
    let first: BTreeSet<Holder> =
        best.iter().filter(|(_, rank)| Some(**rank) == top).map(|(holder, _)| *holder).collect();
    title.holder = (first.len() == 1).then(|| first.first().copied()).flatten();
    let lost = claims.iter().filter(|claim| Some(claim.holder) != title.holder);
    title.refused = lost.map(|claim| claim.seen).collect();
    title.refused.sort_unstable();
    title.refused.dedup();
    if title.holder.is_none() {
        title.rivals = first;
    }
    title
}
