//! What things say of their own ports, where it tells two of them apart.

use std::collections::{BTreeMap, BTreeSet};

use super::super::mac::{MacAddr, MacKind};
use super::super::observation::{Authority, Observation};
use super::join::{Atom, DisjointSets, host_of};

/// What things say of their own ports: two that one source tells apart, and of which each
/// has another MAC address on a port of the same name, are two things, though they report
/// a third address in common. A dock goes from one to the other.
pub(super) struct Ports<'a> {
    /// By atom: the source and the port's name, with the MAC address on it.
    of_atom: Vec<Vec<((&'a str, &'a str), MacAddr)>>,
    /// The set of each atom by keys and numbers alone, so that no order shows.
    sets: Vec<usize>,
}

impl<'a> Ports<'a> {
    pub(super) fn find(
        observations: &'a [Observation],
        atoms: &[Atom],
        sets: &mut DisjointSets,
    ) -> Self {
        let of_atom = |atom: &Atom| {
            let own = atom.seen.iter().map(|&seen| &observations[seen as usize]);
            own.filter(|observation| observation.authority == Authority::Own)
                .flat_map(|observation| {
                    let host = host_of(observation).filter(|host| host.evident_key().is_none());
                    let ports = host.into_iter().flat_map(|host| &host.interfaces);
                    ports.filter_map(|port| {
                        let mac = port.mac.filter(|mac| mac.kind() == MacKind::Universal)?;
                        Some(((observation.source.as_str(), port.name.as_deref()?), mac))
                    })
                })
                .collect()
        };
        Ports {
            of_atom: atoms.iter().map(of_atom).collect(),
            sets: (0..atoms.len()).map(|atom| sets.find(atom)).collect(),
        }
    }

    /// Why these cannot be one thing, though they share a MAC address.
    pub(super) fn contradiction(&self, atoms: &[usize]) -> Option<String> {
        let mut known: BTreeMap<(&str, &str), BTreeMap<usize, BTreeSet<MacAddr>>> = BTreeMap::new();
        for &atom in atoms {
            for (port, mac) in &self.of_atom[atom] {
                known.entry(*port).or_default().entry(self.sets[atom]).or_default().insert(*mac);
            }
        }
        known.into_iter().find_map(|((source, port), things)| {
            let mut told: BTreeMap<MacAddr, usize> = BTreeMap::new();
            for mac in things.values().flatten() {
                *told.entry(*mac).or_default() += 1;
            }
            // Things that have a MAC address on this port which no other has.
            let mut apart = things.values().filter(|macs| macs.iter().all(|mac| told[mac] == 1));
            let (a, b) = (apart.next()?.first()?, apart.next()?.first()?);
            let (a, b) = (a.min(b), a.max(b));
            Some(format!("{source} knows one thing with {a} as its {port} and one with {b}"))
        })
    }
}
