//! Versions 7.4 to 9: the same cluster, told in other types, with less and with more, is
//! the same cluster; and a guest that makes no sense costs itself alone.

use std::collections::BTreeSet;

use netbox_agent::collect::Harvest;
use netbox_agent::domain::diagnostic::Severity;
use netbox_agent::domain::observation::Thing;
use proptest::prelude::*;

use crate::cluster::cluster;
use crate::direct::collect;
use crate::fields::Schema;
use crate::homelab::homelab;
use crate::lab::Salt;
use crate::standin::{Broken, Pve, Release, Standin, Twist};

const RELEASES: [Release; 3] = [Release::V7_4, Release::V8_4, Release::V9_2];

async fn told(pve: Pve) -> Harvest {
    let standin = Standin::open(pve, 1).await;
    collect(&standin, "").await.unwrap()
}

/// The keys of the guests of which a harvest holds a configuration.
fn configured(harvest: &Harvest) -> BTreeSet<String> {
    let observations = harvest.observations.iter();
    let configured = observations.filter(|one| one.evidence.ends_with(" config"));
    configured
        .filter_map(|one| match &one.thing {
            Thing::Host(host) => host.key.as_ref().map(ToString::to_string),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_may_be_a_text_and_a_flag_a_number_in_any_answer() {
    for release in RELEASES {
        for pve in [cluster(&Salt::default(), release, 2, 6), homelab(&Salt::default(), release)] {
            let plain = told(pve.clone()).await;
            assert!(plain.diagnostics.iter().all(|one| one.severity != Severity::Error));
            for twist in [Twist::Texts, Twist::Numbers, Twist::Flags, Twist::More] {
                let mut pve = pve.clone();
                pve.twist = Some(twist);
                assert_eq!(told(pve).await, plain, "{release:?} {twist:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_makes_no_sense_costs_itself_alone() {
    let bodies = [
        "",
        "null",
        "[]",
        "7",
        "{",
        "<html>502</html>",
        "{\"data\":null}",
        "{\"data\":[]}",
        "{\"data\":7}",
        "{\"data\":\"x\"}",
        "{\"data\":{}}",
        "{\"data\":{\"net0\":7,\"scsi0\":null,\"memory\":[],\"name\":{},\"tags\":0,\"cores\":\"x\",\"agent\":{}}}",
    ];
    let broken = bodies.iter().map(|body| Broken::Body((*body).to_owned()));
    let broken = broken.chain([
        Broken::Status(500, "got no worker upid - start worker failed".to_owned()),
        Broken::Status(400, "Parameter verification failed.".to_owned()),
        Broken::Status(404, String::new()),
        Broken::Status(596, "Connection timed out".to_owned()),
        Broken::Status(503, "Service Unavailable".to_owned()),
        Broken::Cut,
    ]);
    let all = configured(&told(cluster(&Salt::default(), Release::V8_4, 2, 8)).await);
    assert_eq!(all.len(), 8);
    for broken in broken {
        for path in
            ["/qemu/102/config", "/lxc/101/config", "/qemu/102/agent/", "/lxc/101/interfaces"]
        {
            let mut pve = cluster(&Salt::default(), Release::V8_4, 2, 8);
            pve.broken.insert(path.to_owned(), broken.clone());
            let harvest = told(pve).await;
            let others: BTreeSet<String> = all
                .iter()
                .filter(|key| !path.contains(key.trim_start_matches("pve:pve")))
                .cloned()
                .collect();
            let found = configured(&harvest);
            // A 596 is the word of a node that does not answer any more.
            if !matches!(broken, Broken::Status(596, _))
                || path.contains("agent")
                || path.contains("interfaces")
            {
                assert!(found.is_superset(&others), "{broken:?} at {path}: {found:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_part_of_the_cluster_may_make_no_sense() {
    let places = [
        "/version",
        "/access/permissions",
        "/access/acl",
        "/cluster/status",
        "/nodes",
        "/network",
        "/disks/list",
        "/nodes/pve1/status",
        "/nodes/pve1/config",
        "/cluster/sdn/vnets",
    ];
    for place in places {
        for body in [
            "{\"data\":null}",
            "{\"data\":[]}",
            "{\"data\":{}}",
            "{\"data\":7}",
            "{\"data\":[null,7,\"x\",[],{}]}",
        ] {
            let mut pve = cluster(&Salt::default(), Release::V9_2, 1, 4);
            // Ends as the path does, so that it is one answer that makes no sense.
            pve.broken.insert(format!("{place}$"), Broken::Body(body.to_owned()));
            let harvest = told(pve).await;
            let found = configured(&harvest).len();
            assert_eq!(found, 4, "{place} {body}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Answers made of the API's own schema of each version: every field of its recorded
    /// type, those that may be missing there or not.
    #[test]
    fn any_answer_of_the_recorded_types_is_read(seed in any::<u64>(), release in 0..3_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let harvest = runtime.block_on(async {
            let mut pve = cluster(&Salt::default(), RELEASES[release], 2, 6);
            pve.filled = Some(Schema::of(RELEASES[release], seed));
            told(pve).await
        });
        let hosts = harvest.observations.iter().filter(|one| matches!(one.thing, Thing::Host(_)));
        prop_assert!(hosts.count() >= 8, "two nodes and six guests");
        prop_assert_eq!(configured(&harvest).len(), 6, "{:?}", harvest.diagnostics);
    }
}
