//! Whose the addresses in configuration URLs are. A URL is often another's: a camera's
//! leads to its recorder, a part's to the whole, an add-on's to Home Assistant itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::clients::Clients;
use super::registry::{Registry, Standing};
use crate::domain::mac::MacAddr;

/// The addresses that each device's URLs prove to be its own, by its place. Devices of
/// which nothing but another's address is known count no more.
pub(super) fn settle(
    registry: &mut Registry<'_>,
    clients: &Clients,
    own: &BTreeSet<IpAddr>,
) -> Vec<BTreeSet<IpAddr>> {
    let macs: Vec<BTreeSet<MacAddr>> = registry
        .things
        .iter()
        .map(|thing| thing.entries.iter().flat_map(|entry| entry.macs.iter().copied()).collect())
        .collect();
    let mut by_mac: HashMap<MacAddr, usize> = HashMap::new();
    for (place, macs) in macs.iter().enumerate() {
        by_mac.extend(macs.iter().map(|mac| (*mac, place)));
    }
    let mut claimed: BTreeMap<IpAddr, BTreeSet<usize>> = BTreeMap::new();
    for (place, thing) in registry.things.iter().enumerate() {
        if thing.standing == Standing::Network {
            for ip in thing.entries.iter().filter_map(|entry| entry.url) {
                claimed.entry(ip).or_default().insert(place);
            }
        }
    }
    let mut addresses = vec![BTreeSet::new(); registry.things.len()];
    for (ip, places) in claimed {
        if let Some(place) =
            holder(registry, &macs, &by_mac, clients, ip, &places).filter(|_| !own.contains(&ip))
        {
            addresses[place].insert(ip);
        }
    }
    for (place, thing) in registry.things.iter_mut().enumerate() {
        if macs[place].is_empty()
            && thing.standing == Standing::Network
            && addresses[place].is_empty()
        {
            thing.standing = Standing::None;
        }
        // One that is seen at an address now has that one; its URL may be of last year.
        if let [_] = macs[place].iter().collect::<Vec<_>>()[..] {
            let live = clients.addresses(&macs[place]);
            addresses[place].retain(|ip| {
                live.contains(ip) || live.iter().all(|seen| seen.is_ipv4() != ip.is_ipv4())
            });
        }
    }
    addresses
}

/// The one device among those whose URLs name an address that it can belong to.
fn holder(
    registry: &Registry<'_>,
    macs: &[BTreeSet<MacAddr>],
    by_mac: &HashMap<MacAddr, usize>,
    clients: &Clients,
    ip: IpAddr,
    places: &BTreeSet<usize>,
) -> Option<usize> {
    let seen: BTreeSet<Option<usize>> =
        clients.holders(ip).map(|mac| by_mac.get(&mac).copied()).collect();
    let known: BTreeSet<usize> = seen.iter().flatten().copied().collect();
    let with_macs: BTreeSet<usize> =
        places.iter().copied().filter(|&place| !macs[place].is_empty()).collect();
    if !known.is_empty() {
        return sole(&with_macs.intersection(&known).copied().collect(), registry);
    }
    // A stranger is seen there: it can be what has no MAC address, but not what has another.
    let candidates = match (seen.is_empty(), with_macs.is_empty()) {
        (true, false) => with_macs,
        (false, false) => return None,
        (_, true) => places.clone(),
    };
    sole(&candidates, registry).or_else(|| {
        let bare = candidates.iter().all(|&place| macs[place].is_empty());
        // Several entries of one printer: the one that says most stands for it.
        let most = |&place: &usize| {
            let entry = &registry.things[place].entries[0];
            (std::cmp::Reverse(entry.weight()), entry.id)
        };
        bare.then(|| candidates.into_iter().min_by_key(most)).flatten()
    })
}

/// The only one, or the one that all others are reached through.
fn sole(places: &BTreeSet<usize>, registry: &Registry<'_>) -> Option<usize> {
    let mut roots = places.iter().copied().filter(|&root| {
        places.iter().all(|&place| place == root || registry.way(place).contains(&root))
    });
    roots.next()
}
