//! What a cluster costs: requests, counted, not seconds. A request takes as long as the
//! network and the server make it; how many there are and how many are under way at once
//! is the collector's own doing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::{cluster, container, machine};
use crate::direct::collect;
use crate::lab::Salt;
use crate::standin::{Pve, Release, Standin};

/// The requests for what there is besides guests.
const CLUSTER: usize = 6;
const NODE: usize = 4;
/// Virtual networks, of which there are none here.
const NETWORKS: usize = 1;

/// How many requests a cluster costs, and how many were under way at once.
async fn cost(pve: Pve) -> (usize, usize) {
    let standin = Standin::open(pve, 1).await;
    let harvest = collect(&standin, "").await.unwrap();
    assert!(harvest.diagnostics.iter().all(|told| told.code != "ended_early"), "{harvest:?}");
    (standin.requests().len(), standin.busiest())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_costs_one_two_or_three_requests() {
    let salt = Salt::default();
    let plain = || cluster(&salt, Release::V9_2, 1, 0);
    assert_eq!(cost(plain()).await.0, CLUSTER + NODE + NETWORKS);
    let node = salt.name("pve1");
    let with = |change: &dyn Fn(&mut Pve)| {
        let mut pve = plain();
        change(&mut pve);
        pve
    };
    let cases: [(&str, usize, Pve); 5] = [
        ("an agent", 3, with(&|pve| drop(pve.guests.insert(100, machine(&salt, &node, 100))))),
        (
            "a running container",
            2,
            with(&|pve| drop(pve.guests.insert(100, container(&salt, &node, 100)))),
        ),
        (
            "no agent",
            1,
            with(&|pve| {
                let mut guest = machine(&salt, &node, 100);
                guest.set("agent", "0");
                pve.guests.insert(100, guest);
            }),
        ),
        (
            "switched off",
            1,
            with(&|pve| {
                let mut guest = machine(&salt, &node, 100);
                guest.running = false;
                pve.guests.insert(100, guest);
            }),
        ),
        (
            "a template",
            0,
            with(&|pve| {
                let mut guest = machine(&salt, &node, 100);
                guest.running = false;
                guest.set("template", 1);
                pve.guests.insert(100, guest);
            }),
        ),
    ];
    for (what, requests, pve) in cases {
        assert_eq!(cost(pve).await.0, CLUSTER + NODE + NETWORKS + requests, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guests_cost_two_and_a_half_requests_each_and_eight_at_a_time() {
    let salt = Salt::default();
    let mut pve = cluster(&salt, Release::V9_2, 5, 1_000);
    pve.latency = Duration::from_millis(20);
    let (requests, at_once) = cost(pve).await;
    // Half are virtual machines with agents, half running containers.
    assert_eq!(requests, CLUSTER + 5 * NODE + NETWORKS + 500 * 3 + 500 * 2);
    assert_eq!(at_once, 8, "the lanes are full, and there are no more of them");
    let waited = Duration::from_millis(20) * u32::try_from(requests.div_ceil(at_once)).unwrap();
    assert!(waited < Duration::from_secs(10), "{waited:?} of latency alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_and_a_number_at_once_are_kept() {
    let salt = Salt::default();
    let mut pve = cluster(&salt, Release::V9_2, 3, 30);
    pve.latency = Duration::from_millis(5);
    let standin = Standin::open(pve, 1).await;
    let begun = std::time::Instant::now();
    collect(&standin, "concurrency = 2, requests_per_second = 50").await.unwrap();
    let requests = standin.requests().len();
    assert!(standin.busiest() <= 2, "{} at once", standin.busiest());
    let least = Duration::from_millis(20) * u32::try_from(requests - 2).unwrap();
    assert!(begun.elapsed() >= least, "{requests} requests in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_twice() {
    let standin = Standin::open(cluster(&Salt::default(), Release::V9_2, 3, 30), 2).await;
    collect(&standin, "").await.unwrap();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for path in standin.requests() {
        *times.entry(path).or_default() += 1;
    }
    times.retain(|_, count| *count > 1);
    assert_eq!(times, BTreeMap::new());
}
