//! kill -9 in the middle of an apply, again and again; then one run that gets through.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use crate::agent::Agent;
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::{BESIDE, Place};
use crate::proxy::Proxy;

/// How many kills must meet a run that writes.
const KILLS: u32 = 10;

/// Each run finds so many hosts more than the one before.
const MORE: u32 = 12;

#[test]
fn a_run_killed_anywhere_is_finished_by_the_next_without_a_duplicate_or_a_conflict() {
    let place = Place::new();
    let network = Network::new();
    let proxy = BESIDE.block_on(Proxy::before(&place.url));
    let agent =
        Agent::new(&proxy.url(), &place.token, &network, "[guard]\nmax_moves = \"unlimited\"\n");
    let mut chance = Chance::new();
    // What stands differs from run to run, so that kills meet updates as well.
    let told = |round: u32| {
        let hosts: Vec<_> = (0..(round + 1) * MORE)
            .map(|number| {
                let mut host = network.host(number);
                host["description"] = json!(format!("round {}", round / 2));
                host
            })
            .collect();
        network.lines(&hosts)
    };
    let (mut killed, mut round) = (0, 0);
    while killed < KILLS {
        assert!(round < KILLS * 4, "too few kills met a run: {killed} of {round}");
        agent.says(&told(round));
        let before = proxy.writes();
        let mut run = agent.start(&["sync"]);
        let writes = before + chance.below(14) as usize;
        let until = Instant::now() + Duration::from_secs(120);
        while proxy.writes() < writes && !run.is_over() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(chance.below(250)));
        if run.kill() && proxy.writes() > before {
            killed += 1;
        }
        round += 1;
    }
    // A slow NetBox may still be at what the last ones asked for, and what comes of it then
    // comes between this run's plan and its writing: the one after it catches up.
    let end = agent.run(&["sync"]);
    assert!(end.code == 0 || end.code == 3, "{}{}", end.out, end.err);
    agent.sync(0);
    agent.assert_settled();
    let hosts = u64::from(round * MORE);
    let census = place.census(&network.word);
    let of = |kind: &str| census.keys().filter(|what| what.starts_with(kind)).count() as u64;
    assert_eq!(of("device "), hosts);
    assert_eq!(of("interface "), 2 * hosts);
    assert_eq!(of("ip "), 2 * hosts);
    assert_eq!(of("service "), hosts);
    if place.has_macs() {
        assert_eq!(of("mac "), 2 * hosts);
    }
    place.assert_once(&network.word, 1);
    // Nothing of its own is taken for a person's.
    let conflicts = agent.run(&["conflicts", "--format", "json"]).expect(0);
    assert_eq!(conflicts.out.trim(), "[]");
    let all: Vec<_> = (0..round * MORE)
        .map(|number| {
            let mut host = network.host(number);
            host["description"] = json!("after all kills");
            host
        })
        .collect();
    agent.says(&network.lines(&all));
    let report = agent.sync(0);
    assert_eq!(report["summary"]["applied"], hosts, "{}", report["summary"]);
    assert_eq!(report["summary"]["conflicts"], 0);
}

#[test]
fn what_a_killed_runs_last_request_made_twice_after_all_is_taken_back() {
    let place = Place::new();
    let network = Network::new();
    let agent = Agent::new(&place.url, &place.token, &network, "");
    agent.says(&network.listing(0..3));
    agent.sync(0);
    // NetBox takes each of these a second time.
    let device = place.device(&network.name(1))["id"].clone();
    // Before 4.3 a service names its device.
    let of_device = |row: &Json| {
        let on = [
            &row["assigned_object"]["device"]["id"],
            &row["parent_object_id"],
            &row["device"]["id"],
        ];
        on.contains(&&device)
    };
    for (path, names) in [
        ("dcim/mac-addresses", &["mac_address", "assigned_object_type", "assigned_object_id"][..]),
        (
            "ipam/services",
            &["parent_object_type", "parent_object_id", "name", "protocol", "ports", "description"],
        ),
    ] {
        for row in place.all(path, of_device) {
            let mut copy: serde_json::Map<String, Json> =
                names.iter().map(|name| ((*name).to_owned(), row[*name].clone())).collect();
            copy.retain(|_, value| !value.is_null());
            if let Some(device) = row["device"]["id"].as_u64() {
                copy.insert("device".to_owned(), device.into());
            }
            if let Some(protocol) = row["protocol"]["value"].as_str() {
                copy.insert("protocol".to_owned(), protocol.into());
            }
            let tags = row["tags"].as_array().unwrap().iter().map(|tag| tag["id"].clone());
            copy.insert("tags".to_owned(), tags.collect());
            copy.insert("custom_fields".to_owned(), row["custom_fields"].clone());
            place.write("POST", &format!("{path}/"), &copy.into());
        }
    }
    let twins = place.census(&network.word);
    assert_eq!(twins.values().filter(|count| **count == 2).count(), 3, "{twins:#?}");
    agent.sync(0);
    place.assert_once(&network.word, 3 * 6);
    agent.sync(0);
    agent.assert_settled();
}

#[test]
fn a_mac_address_that_a_killed_run_made_late_and_no_interface_took_along_is_taken_back() {
    for version in [Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing(0..3));
        agent.sync(0);
        let is_ours = |row: &Json| {
            let name = network.name(1);
            row["assigned_object"]["device"]["name"].as_str() == Some(&name)
        };
        for row in place.all("dcim/mac-addresses", is_ours) {
            let tags: Vec<Json> =
                row["tags"].as_array().unwrap().iter().map(|tag| tag["id"].clone()).collect();
            let free = json!({
                "mac_address": row["mac_address"], "tags": tags, "custom_fields": row["custom_fields"],
            });
            place.write("POST", "dcim/mac-addresses/", &free);
        }
        let twins = place.census(&network.word);
        assert_eq!(twins.values().filter(|count| **count == 2).count(), 2, "{twins:#?}");
        agent.sync(0);
        place.assert_once(&network.word, 3 * 6);
        agent.sync(0);
        agent.assert_settled();
        if place.is_real() {
            break;
        }
    }
}

/// Random numbers from a seed that is printed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or(now.as_nanos() as u64) | 1;
        eprintln!("SEED={seed}");
        Chance(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
