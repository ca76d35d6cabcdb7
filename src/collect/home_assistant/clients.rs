//! Who was seen on the network: what routers' trackers and DHCP tell of addresses.
//! Where a person's phone is, by coordinates or by zones, is none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::answers::{Lease, State, Text};
use super::registry::{usable_address, usable_mac};
use crate::domain::mac::MacAddr;
use crate::domain::name::is_generic;

/// How a client is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// A router's tracker.
    Tracker,
    /// Home Assistant heard it ask for an address.
    Dhcp,
}

impl Way {
    /// The way in a few words.
    pub(super) const fn evidence(self) -> &'static str {
        match self {
            Way::Tracker => "router tracker",
            Way::Dhcp => "DHCP discovery",
        }
    }
}

/// What is known of a client by one way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sighting {
    pub addresses: BTreeSet<IpAddr>,
    pub name: Option<String>,
}

/// Clients by MAC address and way.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients {
    pub seen: BTreeMap<(MacAddr, Way), Sighting>,
    holders: BTreeMap<IpAddr, BTreeSet<MacAddr>>,
}

impl Clients {
    pub(super) fn new(states: &[State], leases: &[Lease]) -> Self {
        let mut clients = Clients::default();
        for state in states {
            clients.track(state);
        }
        // What a router sees connected is so now; an address that was asked for long ago
        // may have gone to another since.
        let taken = clients.holders.clone();
        for lease in leases {
            let Some(mac) = lease.mac_address.get().and_then(usable_mac) else { continue };
            let ip = lease.ip_address.get().and_then(usable_address);
            let ip = ip.filter(|ip| taken.get(ip).is_none_or(|holders| holders.contains(&mac)));
            clients.see(mac, Way::Dhcp, ip, host_name(&lease.hostname));
        }
        clients
    }

    /// The addresses that one of these MAC addresses is seen at.
    pub(super) fn addresses(&self, macs: &BTreeSet<MacAddr>) -> BTreeSet<IpAddr> {
        let ways = |mac: &MacAddr| [Way::Tracker, Way::Dhcp].map(|way| self.seen.get(&(*mac, way)));
        let seen = macs.iter().flat_map(ways).flatten();
        seen.flat_map(|sighting| sighting.addresses.iter().copied()).collect()
    }

    /// Who is seen at an address.
    pub(super) fn holders(&self, ip: IpAddr) -> impl Iterator<Item = MacAddr> + '_ {
        self.holders.get(&ip).into_iter().flatten().copied()
    }

    fn track(&mut self, state: &State) {
        let told = &state.attributes;
        let is_tracker = state.entity_id.get().is_some_and(|id| id.starts_with("device_tracker."));
        if !is_tracker || told.source_type.get() != Some("router") {
            return;
        }
        let Some(mac) = told.mac.get().and_then(usable_mac) else { return };
        // One that is away had its address; somebody else may have it now.
        let ip = told.ip.get().filter(|_| state.state.get() == Some("home"));
        let name = host_name(&told.host_name).or_else(|| host_name(&told.hostname));
        self.see(mac, Way::Tracker, ip.and_then(usable_address), name);
    }

    fn see(&mut self, mac: MacAddr, way: Way, ip: Option<IpAddr>, name: Option<String>) {
        if let Some(ip) = ip {
            self.holders.entry(ip).or_default().insert(mac);
        }
        let sighting = self.seen.entry((mac, way)).or_default();
        sighting.addresses.extend(ip);
        // Of several names the first in order, so that the order of answers does not show.
        sighting.name = match (sighting.name.take(), name) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// A name that a device gave itself. Some routers give the address in its place.
fn host_name(text: &Text) -> Option<String> {
    let name = text.get()?;
    (!is_generic(name) && name.parse::<MacAddr>().is_err()).then(|| name.to_owned())
}
