//! Clusters, subnets, VLANs and ranges: things whose natural key is all the
//! identity they need.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::super::inventory::{
    Inventory, MergedCluster, MergedPrefix, MergedRange, MergedVlan, Seen,
};
use super::super::observation::{NativeKey, Observation, Segment, Thing};
use super::super::ranking::part_place;

/// What is known of something, and who says so.
type Told<T> = Option<(T, Seen)>;

pub(super) fn gather(inventory: &mut Inventory) {
    let mut order: Vec<(Seen, &Observation)> = (0u32..).zip(&inventory.observations).collect();
    // The most believed first, so that the first word for a value is the one that holds.
    order.sort_by_key(|(seen, observation)| {
        (
            part_place(observation.authority),
            &observation.source,
            std::cmp::Reverse(observation.at),
            *seen,
        )
    });

    let mut clusters: BTreeMap<&NativeKey, MergedCluster> = BTreeMap::new();
    let mut prefixes: BTreeMap<(&Segment, IpNet), MergedPrefix> = BTreeMap::new();
    let mut vlans: BTreeMap<(&Segment, u16), MergedVlan> = BTreeMap::new();
    let mut ranges: BTreeMap<(&Segment, IpAddr, IpAddr), MergedRange> = BTreeMap::new();
    for &(seen, observation) in &order {
        let segment = &observation.segment;
        match &observation.thing {
            Thing::Host(_) => {}
            Thing::Cluster(cluster) => {
                let merged = clusters.entry(&cluster.key).or_insert_with(|| MergedCluster {
                    cluster: cluster.clone(),
                    seen: Vec::new(),
                });
                merged.cluster.site = merged.cluster.site.clone().or_else(|| cluster.site.clone());
                merged.seen.push(seen);
            }
            Thing::Prefix(prefix) => {
                let net = prefix.net.trunc();
                let merged = prefixes.entry((segment, net)).or_insert_with(|| MergedPrefix {
                    segment: segment.clone(),
                    net,
                    vlan: None,
                    description: None,
                    seen: Vec::new(),
                });
                told(&mut merged.vlan, prefix.vlan.as_ref(), seen);
                told(&mut merged.description, prefix.description.as_ref(), seen);
                merged.seen.push(seen);
            }
            Thing::Vlan(vlan) => {
                let merged = vlans.entry((segment, vlan.vid)).or_insert_with(|| MergedVlan {
                    segment: segment.clone(),
                    vid: vlan.vid,
                    name: None,
                    description: None,
                    seen: Vec::new(),
                });
                told(&mut merged.name, vlan.name.as_ref(), seen);
                told(&mut merged.description, vlan.description.as_ref(), seen);
                merged.seen.push(seen);
            }
            Thing::IpRange(range) => {
                let merged = ranges.entry((segment, range.start, range.end)).or_insert_with(|| {
                    MergedRange { segment: segment.clone(), range: range.clone(), seen: Vec::new() }
                });
                let description: &mut Option<Arc<str>> = &mut merged.range.description;
                *description = description.take().or_else(|| range.description.clone());
                merged.seen.push(seen);
            }
        }
    }
    inventory.clusters = clusters.into_values().collect();
    inventory.prefixes = prefixes.into_values().collect();
    inventory.vlans = vlans.into_values().collect();
    inventory.ranges = ranges.into_values().collect();
}

fn told<T: Clone>(known: &mut Told<T>, word: Option<&T>, seen: Seen) {
    if known.is_none() {
        *known = word.map(|word| (word.clone(), seen));
    }
}
