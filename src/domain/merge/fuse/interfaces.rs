//! Interfaces of one host, each once, however many sources speak of it.
//!
//! A name is an interface. Two names that come from different sources, or from
//! different positions of one, are one interface when a MAC address says so that
//! stands on one interface only with each of them.
//! An address is on one interface as well. What has no name finds its interface by MAC
//! address or by address.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::super::super::inventory::{Claim, Fact, MergedInterface, Seen};
use super::super::super::mac::MacAddr;
use super::super::super::name::SourceName;
use super::super::super::observation::{
    Address, Authority, Host, Interface, InterfaceAttribute, Neighbor, Observation, Segment,
};
use super::super::super::ranking::part_place;
use super::super::super::settings::Ranking;
use super::super::super::value::{SmallMap, Value};
use super::super::join::DisjointSets;
use super::super::own::outward;
use super::{AddressClaim, address};

/// One source's statement about one interface.
#[derive(Clone, Copy)]
struct Piece<'a> {
    seen: Seen,
    observation: &'a Observation,
    interface: &'a Interface,
    order: usize,
}

/// The statements about one interface, with what is asked of them again and again: a
/// router may answer at a whole subnet's addresses.
#[derive(Default)]
struct Slot<'a> {
    pieces: Vec<Piece<'a>>,
    /// Addresses that are given here besides those of the pieces.
    guests: Vec<(Piece<'a>, &'a Address)>,
    macs: BTreeSet<MacAddr>,
    ips: HashSet<IpAddr>,
    /// The networks of its addresses, each with one of them and whether there are more.
    nets: BTreeMap<IpNet, (IpAddr, bool)>,
}

impl<'a> Slot<'a> {
    fn take(&mut self, piece: Piece<'a>) {
        self.macs.extend(usable(piece.interface.mac));
        for address in addresses_of(piece) {
            self.know(address);
        }
        self.pieces.push(piece);
    }

    fn host(&mut self, piece: Piece<'a>, address: &'a Address) {
        self.know(address);
        self.guests.push((piece, address));
    }

    fn take_all(&mut self, other: Slot<'a>) {
        other.pieces.into_iter().for_each(|piece| self.take(piece));
        other.guests.into_iter().for_each(|(piece, address)| self.host(piece, address));
    }

    fn know(&mut self, address: &Address) {
        self.ips.insert(address.ip);
        let net = address.prefix_len.and_then(|length| IpNet::new(address.ip, length).ok());
        if let Some(net) = net {
            let known = self.nets.entry(net.trunc()).or_insert((address.ip, false));
            known.1 |= known.0 != address.ip;
        }
    }

    fn addresses(&self) -> impl Iterator<Item = (Piece<'a>, &'a Address)> + '_ {
        let own = self.pieces.iter().flat_map(|piece| addresses_of(*piece).map(|a| (*piece, a)));
        own.chain(self.guests.iter().copied())
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        self.ips.contains(&ip)
    }

    fn has_network(&self, ip: IpAddr) -> bool {
        self.nets.iter().any(|(net, (first, more))| net.contains(&ip) && (*more || *first != ip))
    }

    /// The likeliest carrier of addresses comes first: a bridge, then a LAG, then the rest.
    fn carries(&self) -> usize {
        let kind = |word: &str| {
            self.pieces.iter().any(|piece| {
                piece.interface.facts.get(&InterfaceAttribute::Type).and_then(Value::as_text)
                    == Some(word)
            })
        };
        if kind("bridge") {
            0
        } else if kind("lag") {
            1
        } else {
            2
        }
    }
}

/// The addresses by which others reach the host through an interface.
fn addresses_of(piece: Piece<'_>) -> impl Iterator<Item = &Address> {
    outward(piece.interface)
}

fn usable(mac: Option<MacAddr>) -> Option<MacAddr> {
    mac.filter(|mac| mac.names_an_interface())
}

pub(super) fn interfaces(
    stated: &[(Seen, &Observation, &Host)],
    holds: impl Fn(&Segment, &Address) -> bool,
    ranking: &Ranking,
) -> Vec<MergedInterface> {
    let pieces: Vec<Piece<'_>> = stated
        .iter()
        .flat_map(|(seen, observation, host)| {
            host.interfaces.iter().enumerate().map(|(order, interface)| Piece {
                seen: *seen,
                observation,
                interface,
                order,
            })
        })
        .collect();
    let (named, nameless): (Vec<Piece<'_>>, Vec<Piece<'_>>) =
        pieces.into_iter().partition(|piece| piece.interface.name.is_some());
    let mut slots = one_slot_per_mac(by_name(named));
    let (with_mac, bare): (Vec<Piece<'_>>, Vec<Piece<'_>>) =
        nameless.into_iter().partition(|piece| usable(piece.interface.mac).is_some());
    place_by_mac(&mut slots, with_mac);
    one_slot_per_address(&mut slots);
    place_by_address(&mut slots, bare);
    let mut merged: Vec<MergedInterface> =
        slots.iter().filter_map(|slot| merge(slot, &holds, ranking)).collect();
    merged.sort_by(|a, b| {
        let first = |interface: &MergedInterface| interface.macs.first().map(|(mac, _)| *mac);
        (a.name.is_none(), &a.name, first(a)).cmp(&(b.name.is_none(), &b.name, first(b)))
    });
    merged
}

fn by_name(named: Vec<Piece<'_>>) -> Vec<Slot<'_>> {
    let mut slots: BTreeMap<&str, Slot<'_>> = BTreeMap::new();
    for piece in named {
        let name = piece.interface.name.as_deref().unwrap_or_default();
        slots.entry(name).or_default().take(piece);
    }
    slots.into_values().collect()
}

/// Joins slots that different sources name differently, by a MAC address that stands
/// once with each of them.
fn one_slot_per_mac(slots: Vec<Slot<'_>>) -> Vec<Slot<'_>> {
    let mut by_mac: BTreeMap<MacAddr, Vec<usize>> = BTreeMap::new();
    for (index, slot) in slots.iter().enumerate() {
        for mac in &slot.macs {
            by_mac.entry(*mac).or_default().push(index);
        }
    }
    let mut sets = DisjointSets::new(slots.len());
    for (mac, indices) in by_mac {
        let mut voices: BTreeMap<(&SourceName, Authority), BTreeSet<usize>> = BTreeMap::new();
        for &index in &indices {
            for piece in &slots[index].pieces {
                if piece.interface.mac == Some(mac) {
                    let voice = (&piece.observation.source, piece.observation.authority);
                    voices.entry(voice).or_default().insert(index);
                }
            }
        }
        if voices.values().all(|places| places.len() == 1) {
            indices.windows(2).for_each(|pair| sets.union(pair[0], pair[1]));
        }
    }
    let mut joined: BTreeMap<usize, Slot<'_>> = BTreeMap::new();
    for (index, slot) in slots.into_iter().enumerate() {
        joined.entry(sets.find(index)).or_default().take_all(slot);
    }
    joined.into_values().collect()
}

fn place_by_mac<'a>(slots: &mut Vec<Slot<'a>>, pieces: Vec<Piece<'a>>) {
    let mut homes: BTreeMap<MacAddr, Vec<usize>> = BTreeMap::new();
    for (index, slot) in slots.iter().enumerate() {
        for mac in &slot.macs {
            homes.entry(*mac).or_default().push(index);
        }
    }
    for piece in pieces {
        let Some(mac) = usable(piece.interface.mac) else {
            continue;
        };
        let candidates = homes.entry(mac).or_insert_with(|| {
            slots.push(Slot::default());
            vec![slots.len() - 1]
        });
        let chosen = match candidates[..] {
            [only] => only,
            _ => {
                // Several interfaces share the address (a bridge, its bond, the bond's members):
                // each network address finds its own, the statement itself goes to the likeliest.
                let likeliest =
                    candidates.iter().copied().min_by_key(|&index| (slots[index].carries(), index));
                for address in addresses_of(piece) {
                    let at = |test: &dyn Fn(&Slot<'a>) -> bool| {
                        candidates.iter().copied().find(|&index| test(&slots[index]))
                    };
                    let home = at(&|slot| slot.has_address(address.ip))
                        .or_else(|| at(&|slot| slot.has_network(address.ip)))
                        .or(likeliest);
                    if let Some(home) = home {
                        slots[home].host(piece, address);
                    }
                }
                continue;
            }
        };
        slots[chosen].take(piece);
    }
}

/// Joins a slot of which nobody knows the MAC address with the one slot that others say
/// has its address: a host has an address on one interface only.
fn one_slot_per_address(slots: &mut Vec<Slot<'_>>) {
    let voices = |slot: &Slot<'_>| -> BTreeSet<(SourceName, Authority)> {
        let all = slot.pieces.iter().map(|piece| piece.observation);
        all.map(|observation| (observation.source.clone(), observation.authority)).collect()
    };
    for index in (0..slots.len()).rev() {
        let slot = &slots[index];
        if !slot.macs.is_empty() {
            continue;
        }
        let holds =
            |at: &usize| *at != index && slot.ips.iter().any(|ip| slots[*at].has_address(*ip));
        let homes: Vec<usize> = (0..slots.len()).filter(holds).collect();
        let home = homes.first().copied().filter(|_| homes.len() == 1);
        if let Some(home) = home.filter(|&home| voices(&slots[home]).is_disjoint(&voices(slot))) {
            let gone = std::mem::take(&mut slots[index]);
            slots[home].take_all(gone);
        }
    }
    slots.retain(|slot| !slot.pieces.is_empty() || !slot.guests.is_empty());
}

fn place_by_address<'a>(slots: &mut Vec<Slot<'a>>, pieces: Vec<Piece<'a>>) {
    let known = slots.len();
    let mut nowhere: Option<usize> = None;
    for piece in pieces {
        for address in addresses_of(piece) {
            let at =
                |test: &dyn Fn(&Slot<'a>) -> bool| (0..known).find(|&index| test(&slots[index]));
            let home = at(&|slot| slot.has_address(address.ip))
                .or_else(|| at(&|slot| slot.has_network(address.ip)))
                .or((known == 1).then_some(0))
                .or(nowhere);
            let home = home.unwrap_or_else(|| {
                slots.push(Slot::default());
                nowhere = Some(slots.len() - 1);
                slots.len() - 1
            });
            slots[home].host(piece, address);
        }
    }
}

fn merge(
    slot: &Slot<'_>,
    holds: &impl Fn(&Segment, &Address) -> bool,
    ranking: &Ranking,
) -> Option<MergedInterface> {
    let mut pieces: Vec<&Piece<'_>> = slot.pieces.iter().collect();
    pieces.sort_by_key(|piece| rank(piece));
    let mut addresses: BTreeMap<(IpAddr, &Segment), Vec<AddressClaim<'_>>> = BTreeMap::new();
    for (piece, address) in slot.addresses() {
        let segment = &piece.observation.segment;
        if holds(segment, address) {
            addresses.entry((address.ip, segment)).or_default().push((
                piece.seen,
                piece.observation,
                address,
            ));
        }
    }
    let name = pieces.iter().find_map(|piece| piece.interface.name.clone());
    let mut macs: Vec<(MacAddr, Seen)> = Vec::new();
    for piece in &pieces {
        if let Some(mac) =
            usable(piece.interface.mac).filter(|mac| macs.iter().all(|(known, _)| known != mac))
        {
            macs.push((mac, piece.seen));
        }
    }
    if name.is_none() && macs.is_empty() && addresses.is_empty() {
        return None;
    }
    let mut seen: Vec<Seen> = pieces.iter().map(|piece| piece.seen).collect();
    seen.extend(slot.guests.iter().map(|(piece, _)| piece.seen));
    seen.sort_unstable();
    seen.dedup();
    let names = pieces.iter().filter_map(|piece| piece.interface.name.clone());
    let other_names: BTreeSet<Arc<str>> =
        names.filter(|other| Some(other) != name.as_ref()).collect();
    Some(MergedInterface {
        other_names,
        macs,
        facts: facts(&pieces, ranking),
        addresses: addresses
            .into_iter()
            .map(|((ip, segment), claims)| address(ip, segment, claims))
            .collect(),
        neighbor: neighbor(&pieces),
        seen,
        order: pieces.first().map_or(usize::MAX, |piece| piece.order),
        name,
    })
}

type PieceRank<'a> = (usize, &'a SourceName, Reverse<jiff::Timestamp>, Seen, usize);

/// The order in which statements about an interface are believed.
fn rank<'a>(piece: &Piece<'a>) -> PieceRank<'a> {
    let observation = piece.observation;
    (
        part_place(observation.authority),
        &observation.source,
        Reverse(observation.at),
        piece.seen,
        piece.order,
    )
}

fn facts(pieces: &[&Piece<'_>], ranking: &Ranking) -> SmallMap<InterfaceAttribute, Fact> {
    let mut claims: BTreeMap<InterfaceAttribute, Vec<(&Piece<'_>, &Value)>> = BTreeMap::new();
    for &piece in pieces {
        for (attribute, value) in piece.interface.facts.iter() {
            claims.entry(*attribute).or_default().push((piece, value));
        }
    }
    claims
        .into_iter()
        .filter_map(|(attribute, mut claims)| {
            // The pieces come in the order in which they are believed; a stable sort keeps
            // it among equals.
            claims.sort_by_key(|(piece, value)| {
                let Observation { authority, source, .. } = piece.observation;
                (**value == Value::Null, ranking.of_interface(attribute, *authority, source))
            });
            let mut known: BTreeSet<&Value> = BTreeSet::new();
            let distinct: Vec<Claim> = claims
                .into_iter()
                .filter(|(_, value)| known.insert(value))
                .map(|(piece, value)| Claim { value: value.clone(), seen: piece.seen })
                .collect();
            Fact::new(distinct).map(|fact| (attribute, fact))
        })
        .collect()
}

fn neighbor(pieces: &[&Piece<'_>]) -> Option<(Neighbor, Seen)> {
    pieces
        .iter()
        .find_map(|piece| piece.interface.neighbor.clone().map(|neighbor| (neighbor, piece.seen)))
}
