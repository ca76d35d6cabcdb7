//! A person works in NetBox between runs: nothing of it is lost, and it is told once.

use serde_json::{Value as Json, json};

use crate::agent::Agent;
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::{BESIDE, Place};
use crate::proxy::Proxy;

/// What a person does to the first four devices of a network.
fn edit(place: &Place, network: &Network) -> [Json; 4] {
    let device = |number: u32| place.device(&network.name(number));
    let devices = [device(0), device(1), device(2), device(3)];
    let path = |device: &Json| format!("dcim/devices/{}/", device["id"]);
    let tag =
        json!({"name": format!("{} mine", network.word), "slug": format!("{}-mine", network.word)});
    let tag = place.write("POST", "extras/tags/", &tag)["id"].clone();
    let mut tags: Vec<Json> =
        devices[3]["tags"].as_array().unwrap().iter().map(|tag| tag["id"].clone()).collect();
    assert!(!tags.is_empty(), "the agent's own tag");
    tags.push(tag);
    let name = format!("{}-by-hand", network.word);
    place.write("PATCH", &path(&devices[0]), &json!({"name": name}));
    place.write("PATCH", &path(&devices[1]), &json!({"description": "the one in the cellar"}));
    place.write("PATCH", &path(&devices[2]), &json!({"status": "staged"}));
    place.write("PATCH", &path(&devices[3]), &json!({"tags": tags}));
    devices
}

/// What of a person's edits stands.
fn assert_kept(place: &Place, network: &Network, devices: &[Json; 4]) {
    let now = |at: usize| {
        let (status, device) =
            place.ask("GET", &format!("dcim/devices/{}/", devices[at]["id"]), None);
        assert_eq!(status, 200);
        device
    };
    assert_eq!(now(0)["name"], format!("{}-by-hand", network.word));
    assert_eq!(now(1)["description"], "the one in the cellar");
    assert_eq!(now(2)["status"]["value"], "staged");
    let tags: Vec<String> = now(3)["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert!(tags.contains(&format!("{} mine", network.word)));
}

#[test]
fn what_a_person_edits_is_kept_told_once_listed_and_taken_back_on_demand() {
    for version in [Version::V4_0, Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing(0..5));
        agent.sync(0);
        let devices = edit(&place, &network);

        let told = agent.run(&["sync"]).expect(0);
        for field in ["name", "description", "status"] {
            let kept = format!("kept {field} of device {}", network.word);
            assert!(told.err.contains(&kept), "{field}: {}", told.err);
        }
        assert!(!told.err.contains("kept tags"), "tags are owned one by one: {}", told.err);
        let again = agent.run(&["sync"]).expect(0);
        assert!(!again.err.contains("kept "), "it is told once: {}", again.err);
        assert_kept(&place, &network, &devices);

        // The source has something new about the very fields, and about others.
        let hosts: Vec<Json> = (0..5)
            .map(|number| {
                let mut host = network.host(number);
                host["description"] = json!("news from the source");
                host["name"] = json!(format!("{}x", network.name(number)));
                host
            })
            .collect();
        agent.says(&network.lines(&hosts));
        agent.sync(0);
        assert_kept(&place, &network, &devices);
        let fresh = place.ask("GET", &format!("dcim/devices/{}/", devices[0]["id"]), None).1;
        assert_eq!(fresh["description"], "news from the source");

        let listed = agent.run(&["conflicts", "--format", "json"]).expect(0);
        let listed: Json = serde_json::from_str(&listed.out).unwrap();
        let fields: Vec<(u64, &str)> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|open| (open["id"].as_u64().unwrap(), open["field"].as_str().unwrap()))
            .collect();
        let id = |at: usize| devices[at]["id"].as_u64().unwrap();
        let mut expected = vec![(id(0), "name"), (id(1), "description"), (id(2), "status")];
        expected.sort_unstable();
        let mut fields = fields;
        fields.sort_unstable();
        assert_eq!(fields, expected);

        agent.run(&["reclaim", &format!("device/{}", id(0)), "name"]).expect(0);
        agent.run(&["reclaim", &format!("device/{}", id(1))]).expect(0);
        agent.sync(0);
        let name = place.ask("GET", &format!("dcim/devices/{}/", id(0)), None).1["name"].clone();
        assert_eq!(name, format!("{}x", network.name(0)));
        let one = place.ask("GET", &format!("dcim/devices/{}/", id(1)), None).1;
        assert_eq!(one["description"], "news from the source");
        let two = place.ask("GET", &format!("dcim/devices/{}/", id(2)), None).1;
        assert_eq!(two["status"]["value"], "staged", "it was not asked for");
        agent.assert_settled();
        place.assert_once(&network.word, 5 * 6);
        if place.is_real() {
            break;
        }
    }
}

#[test]
fn what_is_referred_to_is_told_by_its_name() {
    let place = Place::new();
    let network = Network::new();
    let agent = Agent::new(&place.url, &place.token, &network, "");
    agent.says(&network.listing(0..1));
    agent.sync(0);
    let word = &network.word;
    let tag = json!({"name": format!("{word} mine"), "slug": format!("{word}-mine")});
    let tag = place.write("POST", "extras/tags/", &tag)["id"].clone();
    let device = place.device(&network.name(0));
    let agents = device["tags"][0]["name"].as_str().unwrap();
    place.write("PATCH", &format!("dcim/devices/{}/", device["id"]), &json!({"tags": [tag]}));
    agent.sync(0);
    let listed = agent.run(&["conflicts"]).expect(0);
    assert!(listed.out.contains(&format!("stands     {word} mine\n")), "{}", listed.out);
    assert!(listed.out.contains(&format!("sources say {agents}   [")), "{}", listed.out);
}

#[test]
fn what_a_person_edits_is_kept_by_an_agent_that_lost_its_memory() {
    for version in [Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing(0..5));
        agent.sync(0);
        let devices = edit(&place, &network);
        agent.forget();
        agent.sync(0);
        assert_kept(&place, &network, &devices);
        let hosts: Vec<Json> = (0..5)
            .map(|number| {
                let mut host = network.host(number);
                host["description"] = json!("news from the source");
                host
            })
            .collect();
        agent.says(&network.lines(&hosts));
        agent.sync(0);
        assert_kept(&place, &network, &devices);
        place.assert_once(&network.word, 5 * 6);
        // What it wrote itself is still its own to change.
        let fresh = place.ask("GET", &format!("dcim/devices/{}/", devices[0]["id"]), None).1;
        assert_eq!(fresh["description"], "news from the source");
        if place.is_real() {
            break;
        }
    }
}

#[test]
fn where_it_put_a_mac_address_itself_it_may_move_it_though_its_memory_was_lost() {
    for version in [Version::V4_2, Version::V4_4, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        agent.says(&network.listing([0]));
        agent.sync(0);
        let mut host = network.host(0);
        let mac = host["interfaces"][1]["mac"].take();
        host["interfaces"][1].as_object_mut().unwrap().remove("mac");
        let ports = host["interfaces"].as_array_mut().unwrap();
        ports.push(json!({"name": "eth2", "mac": mac}));
        let macs = || {
            let path = format!("dcim/mac-addresses/?mac_address={}", mac.as_str().unwrap());
            place.ask("GET", &path, None).1["results"].as_array().unwrap().clone()
        };
        let stood = macs();
        agent.forget();
        agent.sync(0);
        agent.says(&network.lines(&[host]));
        agent.sync(0);
        let stands = macs();
        assert_eq!(stands.len(), 1, "{stands:?}");
        assert_eq!(stands[0]["id"], stood[0]["id"]);
        assert_eq!(stood[0]["assigned_object"]["name"], "eth1");
        assert_eq!(stands[0]["assigned_object"]["name"], "eth2");
        agent.assert_settled();
        if place.is_real() {
            break;
        }
    }
}

#[test]
fn an_object_that_a_person_made_is_only_filled() {
    let place = Place::new();
    let network = Network::new();
    let agent = Agent::new(&place.url, &place.token, &network, "");
    agent.says(&network.listing([0]));
    agent.sync(0);
    let first = place.device(&network.name(0));
    let made = place.write(
        "POST",
        "dcim/devices/",
        &json!({
            "name": network.name(1), "site": first["site"]["id"], "status": "planned",
            "role": first["role"]["id"], "device_type": first["device_type"]["id"],
            "comments": "bought in May",
        }),
    );
    agent.says(&network.listing([0, 1]));
    agent.sync(0);
    let filled = place.device(&network.name(1));
    assert_eq!(filled["id"], made["id"], "no second one beside a person's");
    assert_eq!(filled["status"]["value"], "planned");
    assert_eq!(filled["comments"], "bought in May");
    assert_eq!(filled["description"], "as the source has it");
    assert_eq!(filled["serial"], format!("{}S1", network.word));
    agent.assert_settled();
    place.assert_once(&network.word, 2 * 6);
}

#[test]
fn what_earlier_runs_left_behind_is_told_while_netbox_is_away() {
    let place = Place::new();
    let network = Network::new();
    let proxy = BESIDE.block_on(Proxy::before(&place.url));
    let agent = Agent::new(&proxy.url(), &place.token, &network, "");
    agent.says(&network.listing(0..2));
    agent.sync(0);
    let id = place.device(&network.name(0))["id"].as_u64().unwrap();
    place.write("PATCH", &format!("dcim/devices/{id}/"), &json!({"description": "mine"}));
    agent.sync(0);
    proxy.away(true);
    let history = agent.run(&["history"]).expect(0).out;
    assert_eq!(history.lines().count(), 3, "a heading and two runs: {history}");
    let run = agent.run(&["history", "1"]).expect(0).out;
    assert!(run.contains(&network.name(1)), "{run}");
    let conflicts = agent.run(&["conflicts"]).expect(0).out;
    assert!(
        conflicts.contains("mine") && conflicts.contains("as the source has it"),
        "{conflicts}"
    );
    agent.run(&["reclaim", &format!("device/{id}"), "description"]).expect(0);
    proxy.away(false);
    agent.sync(0);
    assert_eq!(place.device(&network.name(0))["description"], "as the source has it");
}
