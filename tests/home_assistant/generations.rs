//! What the recorded answers of both generations become in the local inventory.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::agent::Agent;
use super::standin::{NEW, OLD, Script, StandIn, TOKEN};

/// What a host is, whatever it is called: its MAC addresses and its first address.
fn what_is(host: &Json) -> String {
    let interfaces = host["interfaces"].as_array().unwrap();
    let macs: BTreeSet<&str> = interfaces.iter().filter_map(|one| one["mac"].as_str()).collect();
    let ip = host["primary_ip4"].as_str().unwrap_or("no address");
    format!("{} at {ip}", macs.into_iter().collect::<Vec<_>>().join(" "))
}

/// Of every host: what it is, and what stands of it.
fn by_hardware(inventory: &Json) -> BTreeMap<String, Vec<String>> {
    const KEYS: [&str; 7] =
        ["kind", "role", "manufacturer", "model", "serial", "platform", "location"];
    let hosts = inventory["hosts"].as_array().unwrap();
    let text = |host: &Json, key: &str| host[key].as_str().unwrap_or("-").to_owned();
    hosts
        .iter()
        .map(|host| (what_is(host), KEYS.iter().map(|key| text(host, key)).collect()))
        .collect()
}

fn names(inventory: &Json) -> BTreeMap<String, String> {
    let hosts = inventory["hosts"].as_array().unwrap().iter();
    hosts.map(|host| (what_is(host), host["name"].as_str().unwrap().to_owned())).collect()
}

async fn settled(recorded: &str, extra: &str) -> (Agent, StandIn) {
    let standin = StandIn::start(Script::of(recorded)).await;
    let agent = Agent::new(&standin.url(), TOKEN, extra);
    agent.settle().await;
    (agent, standin)
}

#[tokio::test]
async fn the_devices_of_both_generations_end_in_the_same_objects() {
    let (old, _first) = settled(OLD, "").await;
    let (new, second) = settled(NEW, "").await;
    let before = old.inventory().await;
    let there = by_hardware(&before);
    insta::assert_debug_snapshot!("objects", there);
    assert_eq!(there, by_hardware(&new.inventory().await));

    // A router's tracker renamed the bridge in the newer one; nothing else has another name.
    let (mut own, mut other) = (names(&before), names(&new.inventory().await));
    let bridge = own.keys().find(|key| key.starts_with("ec:b5:fa:9b:1c:5f")).unwrap().clone();
    assert_eq!(own.remove(&bridge).as_deref(), Some("Hue Bridge"));
    assert_eq!(other.remove(&bridge).as_deref(), Some("Philips-hue"));
    assert_eq!(own, other);

    // An update in place, with new ids for every device, makes and loses nothing.
    old.configure(&second.url(), TOKEN, "");
    old.settle().await;
    let after = old.inventory().await;
    assert_eq!(there, by_hardware(&after));
    let ids = |inventory: &Json| -> BTreeSet<u64> {
        inventory["hosts"].as_array().unwrap().iter().map(|h| h["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(&before), ids(&after));
}

#[tokio::test]
async fn what_is_asked_for_besides_is_the_same_in_both_generations_too() {
    let all = "include = [\"zigbee\", \"zwave\", \"bluetooth\", \"disabled\", \"trackers\"]\n";
    let mut seen = Vec::new();
    for recorded in [OLD, NEW] {
        let (agent, _standin) = settled(recorded, all).await;
        let mut hosts = agent.hosts("name").await;
        hosts.remove("Hue Bridge");
        hosts.remove("Philips-hue");
        seen.push(hosts);
    }
    assert_eq!(seen[0], seen[1]);
    for name in ["Lamp Sofa", "Motion hall", "Multisensor 6", "ATC 001122", "Bath climate"] {
        assert!(seen[0].contains(name), "{name}: {:?}", seen[0]);
    }
    assert!(seen[0].contains("annas-mbp") && seen[0].contains("BRN30055C010203"));
    assert!(seen[0].iter().all(|name| name != "Empty mac" && name != "Unnormalised"));
}

#[tokio::test]
async fn a_person_finds_location_role_tags_and_the_hub_in_the_objects() {
    let script = Script::of(NEW)
        .changed("config/area_registry/list", |areas| {
            for area in areas.as_array_mut().unwrap() {
                area["floor_id"] = "ground".into();
            }
        })
        .with(
            "config/label_registry/list",
            super::standin::Reply::Result(serde_json::json!([
                { "label_id": "eol", "name": "End of life" }
            ])),
        )
        .changed("config/device_registry/list", |devices| {
            let devices = devices.as_array_mut().unwrap();
            let switch = devices.iter_mut().find(|device| device["name"] == "sw-rack").unwrap();
            switch["labels"] = serde_json::json!(["eol", "gone"]);
        });
    let standin = StandIn::start(script).await;
    let agent = Agent::new(&standin.url(), TOKEN, "include = [\"zigbee\"]\n");
    agent.settle().await;
    let inventory = agent.inventory().await;
    let host = |name: &str| {
        let hosts = inventory["hosts"].as_array().unwrap();
        hosts.iter().find(|host| host["name"] == name).unwrap().clone()
    };
    let switch = host("sw-rack");
    assert_eq!((&switch["location"], &switch["role"]), (&"Rack".into(), &"Network".into()));
    assert_eq!(switch["manufacturer"], "Ubiquiti");
    assert!(switch["tags"].as_array().unwrap().contains(&"End of life".into()), "{switch}");
    assert!(!switch["tags"].as_array().unwrap().contains(&"gone".into()), "{switch}");
    assert_eq!(host("Garage door controller")["platform"], "ESPHome");
    assert_eq!(host("Home Assistant")["role"], "Home automation");
    let plan = agent.run(&["explain", "Lamp Sofa"], 0).await;
    assert!(plan.contains("Philips-hue"), "the lamp is reached through the bridge:\n{plan}");
    let plan = agent.run(&["explain", "sw-rack"], 0).await;
    assert!(plan.contains("Ground / Rack"), "{plan}");
}
