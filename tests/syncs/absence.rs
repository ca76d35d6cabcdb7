//! What is missing: in a source that failed, in one that sees too little, and in one
//! that saw everything.

use serde_json::Value as Json;

use crate::agent::Agent;
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::Place;

/// A grace of two runs, and no guard against what vanishes.
const QUICK: &str = "[absence]\ngrace_runs = 2\ngrace_time = \"0s\"\n\
                     [guard]\nmax_vanished = \"unlimited\"\n";

fn status(place: &Place, network: &Network, number: u32) -> String {
    let device = place.device(&network.name(number));
    device["status"]["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_source_that_fails_or_lists_nothing_retires_nothing() {
    let place = Place::new();
    let network = Network::new();
    let agent = Agent::new(
        &place.url,
        &place.token,
        &network,
        "[absence]\ngrace_runs = 1\ngrace_time = \"0s\"\n",
    );
    agent.says(&network.listing(0..12));
    agent.sync(0);
    let written = place.written();
    agent.says_and_ends("", 7);
    for _ in 0..4 {
        agent.run(&["sync"]).expect(1);
    }
    // It says that it saw everything, and that there is nothing.
    agent.says(&network.listing([]));
    for _ in 0..4 {
        let end = agent.run(&["sync"]).expect(4);
        assert!(
            end.err.contains("12 of 12") && end.err.contains("--allow vanished"),
            "{}",
            end.err
        );
    }
    // It dies in the middle of its list.
    let half = network.listing(0..12);
    agent.says_and_ends(&half[..half.len() / 2], 1);
    for _ in 0..4 {
        let end = agent.run(&["sync"]);
        assert!(end.code == 1 || end.code == 3, "{}", end.err);
    }
    assert_eq!(place.written(), written, "something was written");
}

#[test]
fn a_sweep_that_suddenly_sees_a_tenth_is_refused_with_the_list_and_the_way_out() {
    let place = Place::new();
    let network = Network::new();
    let agent = Agent::new(&place.url, &place.token, &network, "");
    agent.says(&network.sweep(0..60));
    agent.sync(0);
    let written = place.written();
    agent.says(&network.sweep(0..6));
    let end = agent.run(&["sync"]).expect(4);
    assert!(
        end.err.contains("--allow vanished")
            && end.err.contains("54 of 60")
            && end.err.contains(&network.name(7)),
        "{}",
        end.err
    );
    let shown = agent.run(&["plan"]).expect(0);
    assert!(shown.err.contains("The guard would refuse this"), "{}", shown.err);
    assert_eq!(place.written(), written, "something was written");
    agent.run(&["sync", "--allow", "vanished"]).expect(0);
    assert_eq!(place.written(), written, "the grace has only begun");
}

#[test]
fn what_is_missing_is_first_retired_and_comes_back() {
    for version in [Version::V4_0, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, QUICK);
        agent.says(&network.listing(0..6));
        agent.sync(0);
        agent.says(&network.listing(0..5));
        agent.assert_settled();
        assert_eq!(status(&place, &network, 5), "active", "the grace is two runs");
        agent.sync(0);
        assert_eq!(status(&place, &network, 5), "offline");
        assert_eq!(status(&place, &network, 4), "active");
        let deprecated = place.all("ipam/ip-addresses", |row| {
            row["vrf"]["name"] == network.word.as_str() && row["status"]["value"] == "deprecated"
        });
        assert_eq!(deprecated.len(), 2, "its addresses go with it: {deprecated:?}");
        agent.assert_settled();
        agent.says(&network.listing(0..6));
        agent.sync(0);
        assert_eq!(status(&place, &network, 5), "active");
        agent.assert_settled();
        if place.is_real() {
            break;
        }
    }
}

#[test]
fn deleting_is_for_those_who_ask_and_for_what_nobody_else_touched() {
    let place = Place::new();
    let network = Network::new();
    let extra = "[absence]\ngrace_runs = 1\ngrace_time = \"0s\"\ndelete = \"all\"\n\
                 delete_grace_runs = 2\ndelete_grace_time = \"0s\"\n\
                 [guard]\nmax_vanished = \"unlimited\"\nmax_deletes = \"unlimited\"\n\
                 max_retires = \"unlimited\"\n";
    let agent = Agent::new(&place.url, &place.token, &network, extra);
    agent.says(&network.listing(0..6));
    agent.sync(0);
    let touched = place.device(&network.name(4));
    let path = format!("dcim/devices/{}/", touched["id"]);
    place.write("PATCH", &path, &serde_json::json!({"comments": "under warranty until May"}));
    agent.says(&network.listing(0..4));
    for _ in 0..6 {
        agent.sync(0);
    }
    let names: Vec<String> = place
        .all("dcim/devices", |row| row["site"]["name"] == network.word.as_str())
        .iter()
        .map(|row: &Json| row["name"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (0..5).map(|number| network.name(number)).collect();
    assert_eq!(names, expected, "the one that a person wrote into stays");
    assert_eq!(status(&place, &network, 4), "offline");
    agent.assert_settled();
}
