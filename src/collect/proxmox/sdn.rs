//! Software-defined networks: virtual networks that are bridges on the nodes, the VLANs
//! that stand behind them, and their subnets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures::StreamExt;
use ipnet::IpNet;

use super::answer::Row;
use super::property::is_vid;
use super::session::{Call, Miss, Session};
use crate::domain::observation::{IpRange, Prefix, Thing, Vlan};

/// A virtual network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vnet {
    /// What people call it besides its name.
    pub alias: Option<String>,
    /// The VLAN that it is, where its zone works with VLANs.
    pub vlan: Option<u16>,
    /// The nodes that it is on; none is all.
    pub nodes: Option<BTreeSet<String>>,
    /// Whether VLANs pass through it.
    pub vlan_aware: bool,
    /// Its subnets, with the ranges that DHCP hands out.
    pub subnets: BTreeMap<IpNet, Vec<(IpAddr, IpAddr)>>,
}

impl Vnet {
    /// Whether a node has it.
    pub(super) fn is_on(&self, node: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}

/// All virtual networks that may be seen, by name.
pub(super) type Vnets = BTreeMap<String, Vnet>;

/// Reads the virtual networks that are in force; nothing where a server knows none.
pub(super) async fn read(session: &Session<'_>, concurrency: usize) -> Result<Option<Vnets>, Miss> {
    let vnets = match list(session, "cluster/sdn/vnets").await {
        Err(Miss::Unknown(_)) => return Ok(None),
        vnets => vnets?,
    };
    if vnets.is_empty() {
        return Ok(Some(Vnets::new()));
    }
    let zones: BTreeMap<String, Row> = list(session, "cluster/sdn/zones")
        .await?
        .into_iter()
        .filter_map(|row| Some((row.text("zone")?, row)))
        .collect();
    let named = vnets.into_iter().filter_map(|row| Some((row.text("vnet")?, row)));
    let zones = &zones;
    let ask = |(name, row): (String, Row)| async move {
        let subnets = list(session, &format!("cluster/sdn/vnets/{name}/subnets")).await;
        let zone = row.text("zone").and_then(|zone| zones.get(&zone));
        let vnet = vnet(&row, zone, &subnets.unwrap_or_default());
        (name, vnet)
    };
    let asks: Vec<_> = named.map(ask).collect();
    Ok(Some(futures::stream::iter(asks).buffer_unordered(concurrency.max(1)).collect().await))
}

/// A list that is in force; of servers that do not know the difference, as it stands.
async fn list(session: &Session<'_>, path: &str) -> Result<Vec<Row>, Miss> {
    let answer = match session.get(&Call::cluster(path).with("running", "1")).await {
        Err(Miss::Unknown(_)) => session.get(&Call::cluster(path)).await,
        answer => answer,
    };
    answer?.rows()
}

fn vnet(row: &Row, zone: Option<&Row>, subnets: &[Row]) -> Vnet {
    // The tag is a VLAN in a VLAN zone only: elsewhere it is a VXLAN's id, or one of two
    // tags on each frame.
    let by_vlan = zone.and_then(|zone| zone.text("type")).as_deref() == Some("vlan");
    let tag = row.int("tag").and_then(|tag| u16::try_from(tag).ok()).filter(is_vid);
    let nodes = zone.and_then(|zone| zone.text("nodes")).map(|nodes| {
        nodes
            .split([',', ' '])
            .map(|node| node.trim().to_owned())
            .filter(|n| !n.is_empty())
            .collect()
    });
    Vnet {
        alias: row.text("alias"),
        vlan: tag.filter(|_| by_vlan),
        nodes,
        vlan_aware: row.is("vlanaware"),
        subnets: subnets.iter().filter_map(subnet).collect(),
    }
}

fn subnet(row: &Row) -> Option<(IpNet, Vec<(IpAddr, IpAddr)>)> {
    let written = row.text("cidr").or_else(|| {
        // The id is `zone-10.0.0.0-24`.
        let id = row.text("subnet")?;
        let (rest, length) = id.rsplit_once('-')?;
        Some(format!("{}/{length}", rest.rsplit_once('-')?.1))
    })?;
    let net: IpNet = written.parse().ok()?;
    let ranges = row.rows("dhcp-range").unwrap_or_default();
    let end = |range: &Row, key: &str| range.text(key)?.parse::<IpAddr>().ok();
    let ranges = ranges.iter().filter_map(|range| {
        let (start, end) = (end(range, "start-address")?, end(range, "end-address")?);
        (net.contains(&start) && net.contains(&end) && start <= end).then_some((start, end))
    });
    Some((net.trunc(), ranges.collect()))
}

/// What virtual networks are besides bridges of nodes: VLANs, subnets, DHCP ranges.
pub(super) fn things(vnets: &Vnets) -> Vec<Thing> {
    let mut things = Vec::new();
    for (name, vnet) in vnets {
        if let Some(vid) = vnet.vlan {
            things.push(Thing::Vlan(Vlan {
                vid,
                name: Some(name.as_str().into()),
                description: vnet.alias.as_deref().map(Into::into),
            }));
        }
        for (net, ranges) in &vnet.subnets {
            let what = vnet.alias.as_deref().unwrap_or(name);
            things.push(Thing::Prefix(Prefix {
                net: *net,
                vlan: vnet.vlan,
                description: Some(what.into()),
            }));
            things.extend(ranges.iter().map(|(start, end)| {
                Thing::IpRange(IpRange {
                    start: *start,
                    end: *end,
                    prefix_len: net.prefix_len(),
                    description: Some(format!("DHCP of {what}").into()),
                })
            }));
        }
    }
    things
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(json: serde_json::Value) -> Row {
        Row::of(json).unwrap()
    }

    #[test]
    fn a_tag_is_a_vlan_in_a_vlan_zone_alone() {
        let of = |kind: &str| {
            let zone = row(json!({ "zone": "z", "type": kind, "nodes": "pve1,pve2" }));
            vnet(&row(json!({ "vnet": "iot", "tag": "30", "zone": "z" })), Some(&zone), &[])
        };
        assert_eq!(of("vlan").vlan, Some(30));
        assert_eq!((of("vxlan").vlan, of("qinq").vlan, of("evpn").vlan), (None, None, None));
        assert!(of("vlan").is_on("pve2") && !of("vlan").is_on("pve3"));
    }

    #[test]
    fn subnets_become_prefixes_and_ranges() {
        let subnets = [
            row(
                json!({ "subnet": "z-10.0.30.0-24", "cidr": "10.0.30.0/24", "gateway": "10.0.30.1",
                "dhcp-range": [{ "start-address": "10.0.30.100", "end-address": "10.0.30.200" },
                               { "start-address": "10.9.9.1", "end-address": "10.9.9.2" }] }),
            ),
            row(json!({ "subnet": "z-2001:db8:30::-64" })),
        ];
        let zone = row(json!({ "zone": "z", "type": "vlan" }));
        let iot = vnet(
            &row(json!({ "vnet": "iot", "tag": 30, "alias": "Things" })),
            Some(&zone),
            &subnets,
        );
        let vnets: Vnets = [("iot".to_owned(), iot)].into();
        let shown: Vec<String> = things(&vnets).iter().map(|thing| format!("{thing:?}")).collect();
        assert_eq!(shown.len(), 4, "{shown:#?}");
        assert!(shown[0].contains("vid: 30") && shown[0].contains("iot"));
        assert!(
            shown
                .iter()
                .any(|thing| thing.contains("10.0.30.100") && thing.contains("prefix_len: 24"))
        );
        assert!(shown.iter().any(|thing| thing.contains("2001:db8:30::/64")));
    }
}
