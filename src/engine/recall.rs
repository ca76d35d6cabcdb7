//! What earlier runs heard from sources, and what of it is still believed.
//!
//! A source that fails must not change what is known: its last word stands in for
//! it. One that could not look everywhere keeps its last word about what it could
//! not look at. And what a source knows of a thing by one of several ways (a guest
//! agent) is believed for a grace after that way fell silent, so that values do not
//! flap.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::EngineError;
use crate::collect::{Harvest, wire};
use crate::domain::coverage::Covered;
use crate::domain::mac::MacAddr;
use crate::domain::name::SourceName;
use crate::domain::observation::{Authority, NativeKey, Observation, Part, Segment, Thing};
use crate::domain::settings::Policy;
use crate::store::{Kept, KeptObservation, Store, StoreError};

/// Everything that a source last said.
pub(super) fn all(
    store: Option<&Store>,
    source: &SourceName,
) -> Result<Vec<Observation>, EngineError> {
    let Some(kept) = store.map(|store| store.kept_observations(source)).transpose()?.flatten()
    else {
        return Ok(Vec::new());
    };
    Ok(kept.observations.iter().filter_map(|kept| read(source, &kept.text)).collect())
}

fn read(source: &SourceName, line: &str) -> Option<Observation> {
    let context = wire::Context {
        source: Some(source.clone()),
        segment: Segment::default(),
        at: Timestamp::UNIX_EPOCH,
        evidence: "earlier run".into(),
        place: "the store".into(),
    };
    wire::read(line.as_bytes(), &context).ok()?.observations.pop()
}

/// Hosts that a source found in its last run: addresses with their MAC addresses.
pub(super) fn known_hosts(store: &Store, source: &SourceName) -> BTreeMap<IpAddr, MacAddr> {
    let observations = all(Some(store), source).unwrap_or_else(|error| {
        warn!(%source, %error, "earlier observations cannot be read");
        Vec::new()
    });
    let wire = observations.iter().filter(|observation| observation.authority == Authority::Wire);
    wire.filter_map(|observation| match &observation.thing {
        Thing::Host(host) => Some(host),
        _ => None,
    })
    .flat_map(|host| &host.interfaces)
    .filter_map(|interface| Some((interface.mac?, &interface.addresses)))
    .flat_map(|(mac, addresses)| addresses.iter().map(move |address| (address.ip, mac)))
    .collect()
}

/// What is still believed of a source's earlier word beside its present one.
pub(super) fn carried(
    store: Option<&Store>,
    source: &SourceName,
    harvest: &Harvest,
    covered: &Covered,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Observation>, EngineError> {
    let before = all(store, source)?;
    if before.is_empty() {
        return Ok(before);
    }
    let present: BTreeSet<&NativeKey> = harvest.observations.iter().flat_map(keys).collect();
    let said: BTreeSet<(&NativeKey, Authority, &Arc<str>)> = harvest
        .observations
        .iter()
        .flat_map(|seen| keys(seen).map(move |key| (key, seen.authority, &seen.evidence)))
        .collect();
    let grace = SignedDuration::try_from(policy.absence.grace_time).unwrap_or(SignedDuration::MAX);
    let still = |seen: &Observation| {
        let own: Vec<&NativeKey> = keys(seen).collect();
        if own.is_empty() {
            return addresses(seen).next().is_some()
                && addresses(seen).all(|ip| !covered.covers_address(source, &seen.segment, ip));
        }
        if own.iter().any(|key| present.contains(key)) {
            let repeated =
                own.iter().any(|key| said.contains(&(key, seen.authority, &seen.evidence)));
            return !repeated && now.duration_since(seen.at) <= grace;
        }
        own.iter().all(|key| !covered.covers_key(source, key))
    };
    let before = before.into_iter().filter(still);
    Ok(before.filter_map(|seen| without_what_is_gone(seen, &harvest.observations)).collect())
}

/// An earlier word about a thing without the interfaces that its source, which lists them
/// whole, lists no more; nothing where none is left. A guest that was made anew under the
/// number of another is not what the other's agent told of.
fn without_what_is_gone(mut earlier: Observation, now: &[Observation]) -> Option<Observation> {
    let own: Vec<NativeKey> = keys(&earlier).cloned().collect();
    let Thing::Host(host) = &mut earlier.thing else { return Some(earlier) };
    let same = now.iter().filter(|seen| keys(seen).any(|key| own.contains(key)));
    let whole = same.filter_map(|seen| match &seen.thing {
        Thing::Host(host) if host.complete.contains(&Part::Interfaces) => Some(host),
        _ => None,
    });
    let mut listed = whole.map(|host| host.interfaces.iter().filter_map(|one| one.mac)).peekable();
    if listed.peek().is_none() {
        return Some(earlier);
    }
    let listed: BTreeSet<MacAddr> = listed.flatten().collect();
    let had = !host.interfaces.is_empty();
    host.interfaces.retain(|one| one.mac.is_none_or(|mac| listed.contains(&mac)));
    (!had || !host.interfaces.is_empty()).then_some(earlier)
}

fn keys(observation: &Observation) -> impl Iterator<Item = &NativeKey> {
    let (host, cluster) = match &observation.thing {
        Thing::Host(host) => (Some(host), None),
        Thing::Cluster(cluster) => (None, Some(&cluster.key)),
        _ => (None, None),
    };
    let of_host = host.into_iter().flat_map(|host| host.key.iter().chain(&host.aliases));
    of_host.chain(cluster)
}

fn addresses(observation: &Observation) -> impl Iterator<Item = IpAddr> {
    let host = match &observation.thing {
        Thing::Host(host) => Some(host),
        _ => None,
    };
    host.into_iter()
        .flat_map(|host| &host.interfaces)
        .flat_map(|i| &i.addresses)
        .map(|address| address.ip)
}

/// Keeps what sources said for the runs to come.
pub(super) fn keep(
    store: &Store,
    kept: &BTreeMap<SourceName, Vec<Observation>>,
    at: Timestamp,
) -> Result<(), StoreError> {
    for (source, observations) in kept {
        let texts = observations.iter().filter_map(|observation| {
            let thing = keys(observation).next().map_or_else(String::new, ToString::to_string);
            Some(KeptObservation { thing, at: observation.at, text: line(observation)? })
        });
        store.keep_observations(source, &Kept { at, observations: texts.collect() })?;
    }
    Ok(())
}

fn line(observation: &Observation) -> Option<String> {
    let harvest = Harvest { observations: vec![observation.clone()], ..Harvest::default() };
    let mut text = Vec::new();
    wire::write(&harvest, &mut text).ok()?;
    String::from_utf8(text).ok()
}
