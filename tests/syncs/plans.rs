//! Plans that are saved and applied later, and runs that are undone.

use serde_json::{Value as Json, json};

use crate::agent::{Agent, ended};
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::Place;

/// The hosts of a network with another description.
fn described(network: &Network, hosts: std::ops::Range<u32>, text: &str) -> String {
    let hosts: Vec<Json> = hosts
        .map(|number| {
            let mut host = network.host(number);
            host["description"] = json!(text);
            host
        })
        .collect();
    network.lines(&hosts)
}

#[test]
fn a_saved_plan_refuses_object_by_object_what_changed_since() {
    for version in [Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing(0..6));
        agent.sync(0);
        agent.says(&described(&network, 0..7, "planned"));
        let path = agent.path("plan.json");
        let path = path.to_str().unwrap();
        let written = place.written();
        agent.run(&["plan", "--out", path]).expect(0);
        agent.run(&["plan", "--detailed-exit-code"]).expect(5);
        assert_eq!(place.written(), written, "a plan writes nothing");
        // Meanwhile a person writes into one, into another field of another, and deletes a third.
        let device = |number: u32| place.device(&network.name(number));
        let at = |number: u32| format!("dcim/devices/{}/", device(number)["id"]);
        place.write("PATCH", &at(1), &json!({"description": "by hand"}));
        place.write("PATCH", &at(2), &json!({"comments": "by hand"}));
        let (status, _) = place.ask("DELETE", &at(3), None);
        assert_eq!(status, 204);

        let report = agent.sync_with(&["--plan", path], 3);
        let mut skipped: Vec<String> =
            ended(&report, "skipped").into_iter().map(|(_, label, _)| label).collect();
        skipped.dedup();
        assert_eq!(skipped, [1, 2, 3].map(|number| network.name(number)));
        let description = |number: u32| device(number)["description"].clone();
        assert_eq!(description(0), "planned");
        assert_eq!(description(1), "by hand");
        assert_eq!(description(2), "as the source has it");
        assert_eq!(description(6), "planned", "what was to be made is made");
        let again = agent.run(&["sync", "--plan", path, "--format", "json"]);
        assert_eq!(again.code, 1, "a plan is applied once: {}", again.out);
        // A run of its own catches up.
        agent.sync(0);
        assert_eq!(description(1), "by hand");
        assert_eq!(description(2), "planned");
        place.assert_once(&network.word, 7 * 6);
        agent.assert_settled();
        if place.is_real() {
            break;
        }
    }
}

#[test]
fn a_run_is_undone_but_for_what_a_person_changed_since() {
    for version in [Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing(0..5));
        agent.sync(0);
        let before = place.census(&network.word);
        agent.says(&described(&network, 0..8, "a mistake"));
        let run = agent.sync(0)["run"].to_string();
        let device = |number: u32| place.device(&network.name(number));
        let at = |number: u32| format!("dcim/devices/{}/", device(number)["id"]);
        place.write("PATCH", &at(1), &json!({"description": "by hand"}));
        place.write("PATCH", &at(6), &json!({"comments": "a person's now"}));

        let end = agent.run(&["rollback", &run]);
        assert!(end.code == 0 || end.code == 3, "{}{}", end.out, end.err);
        let description = |number: u32| device(number)["description"].clone();
        assert_eq!(description(0), "as the source has it");
        assert_eq!(description(1), "by hand");
        let census = place.census(&network.word);
        let named = |number: u32| format!("device {}", network.name(number));
        assert!(!census.contains_key(&named(5)) && !census.contains_key(&named(7)));
        assert!(census.contains_key(&named(6)), "a person wrote into it");
        for what in before.keys() {
            assert!(census.contains_key(what), "{what} is gone");
        }
        let history = agent.run(&["history"]).expect(0);
        assert!(history.out.contains(&format!("rollback {run}")), "{}", history.out);
        if place.is_real() {
            break;
        }
    }
}

#[test]
fn what_an_undoing_took_away_comes_back_whole_when_that_is_undone() {
    for version in [Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing(0..1));
        agent.sync(0);
        agent.says(&network.listing(0..4));
        let run = agent.sync(0)["run"].as_i64().unwrap();
        let before = place.census(&network.word);
        let undo = |run: i64| {
            let end = agent.run(&["rollback", &run.to_string()]);
            assert_eq!(end.code, 0, "{}{}", end.out, end.err);
        };
        undo(run);
        assert_ne!(place.census(&network.word), before);
        undo(run + 1);
        assert_eq!(place.census(&network.word), before);
        agent.sync(0);
        agent.assert_settled();
        if place.is_real() {
            break;
        }
    }
}
