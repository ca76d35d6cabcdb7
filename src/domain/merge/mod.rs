//! Works out what is one thing: a pure function of the *set* of observations.
//!
//! # Rules
//!
//! 1. Observations of one native key are one thing.
//! 2. Strong identifiers (a further native key, an SMBIOS UUID, a serial number
//!    with its maker, a universal MAC address, a local one that a hypervisor's
//!    configuration states) join what states them.
//! 3. A contradiction vetoes: two keys of one scheme, two serial numbers of one
//!    maker, two UUIDs, two MAC addresses on a port of one name by the words of things
//!    that one source tells apart. An identifier that contradicting things share is
//!    *contested* and joins nothing.
//! 4. What could be joined to two things that contradict each other is joined to
//!    neither, and a person is told.
//! 5. Weak identifiers never join. What has no identity of its own attaches to
//!    the one thing that owns its address or local MAC address, else it remains
//!    an address alone. What no source knows the hardware of attaches to the one
//!    thing that holds its addresses when something else agrees as well, or when it
//!    states the addresses of itself.
//! 6. A hint adds to what others say and is dropped where nobody else says anything.
//! 7. An address belongs to one thing in its segment: the most believed claim
//!    wins, a tie is nobody's and a person is told. What answers for several guests has
//!    none of their addresses, and bridges to containers are each host's own.
//!
//! The input is sorted first, so the order in which sources answered cannot
//! show in the result. Time and memory grow nearly linearly.

mod ask;
mod attach;
mod bind;
mod fuse;
mod join;
mod networks;
mod own;
mod ports;

use super::inventory::{Inventory, Seen};
use super::observation::{Observation, Thing};
use super::settings::{Bind, Ranking};

/// Merges observations into an inventory, by a person's ranking of sources and
/// decisions about identity.
#[must_use]
pub fn merge(mut observations: Vec<Observation>, ranking: &Ranking, binds: &[Bind]) -> Inventory {
    observations.sort_unstable();
    observations.dedup();
    let mut inventory = Inventory { observations, ..Inventory::default() };

    let hosts: Vec<Seen> = (0u32..)
        .zip(&inventory.observations)
        .filter(|(_, observation)| matches!(observation.thing, Thing::Host(_)))
        .map(|(seen, _)| seen)
        .collect();
    let joined = join::join(&inventory.observations, &hosts, binds);
    let attached = attach::attach(&inventory.observations, joined, binds);
    fuse::fuse(&mut inventory, attached, ranking);
    networks::gather(&mut inventory);

    inventory.verdicts.sort();
    inventory.ambiguities.sort();
    inventory.ambiguities.dedup_by(|a, b| a.id == b.id);
    inventory.diagnostics.sort();
    inventory
}

#[cfg(test)]
mod tests;
