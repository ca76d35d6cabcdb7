//! What comes of odd devices and of what a person does to the house.

use serde_json::{Value as Json, json};

use super::agent::Agent;
use super::standin::{NEW, OLD, Reply, Script, StandIn, TOKEN};

/// A house of these devices alone.
fn of_devices(devices: &Json) -> Script {
    Script::of(NEW)
        .with("config/device_registry/list", Reply::Result(devices.clone()))
        .with("config/entity_registry/list", Reply::Result(json!([])))
        .with("get_states", Reply::Result(json!([])))
        .with("dhcp/subscribe_discovery", Reply::Event(json!({ "add": [] })))
}

fn named<'i>(inventory: &'i Json, name: &str) -> &'i Json {
    let hosts = inventory["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn ids(inventory: &Json) -> Vec<u64> {
    let hosts = inventory["hosts"].as_array().unwrap();
    hosts.iter().map(|host| host["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_device_without_a_name_is_an_object_and_one_with_a_bad_mac_is_none() {
    let device = |id: &str, name: Json, mac: &str| {
        json!({
            "id": id, "name": name, "manufacturer": "Sonos", "model": "One",
            "connections": [["mac", mac]], "identifiers": [["sonos", id]],
        })
    };
    let standin = StandIn::start(of_devices(&json!([
        device("a", json!(null), "b8:e9:37:12:34:56"),
        device("b", json!("   "), "b8:e9:37:12:34:57"),
        device("c", json!("Bad"), "AABBCCDDEEFG"),
        device("d", json!("Empty"), ""),
        device("e", json!("Zero"), "00:00:00:00:00:00"),
        device("f", json!("Everyone"), "ff:ff:ff:ff:ff:ff"),
        device("g", json!("Group"), "01:00:5e:00:00:fb"),
        { "id": "j", "name": "Invented", "connections": [["mac", "b8:e9:37:12:34:59"]],
            "identifiers": [["demo", "j"]] },
        // Only connections and an id, as parts of devices have in newer versions.
        { "id": "h", "connections": [["mac", "b8:e9:37:12:34:58"]] },
        { "id": "i" },
        {},
    ])))
    .await;
    let agent = Agent::new(&standin.url(), TOKEN, "include = [\"trackers\"]\n");
    agent.settle().await;
    let inventory = agent.inventory().await;
    let hosts = inventory["hosts"].as_array().unwrap();
    let mut macs: Vec<&str> = hosts
        .iter()
        .filter(|host| host["manufacturer"] == "Sonos" || host["name"] != "Home Assistant")
        .flat_map(|host| host["interfaces"].as_array().unwrap())
        .filter_map(|interface| interface["mac"].as_str())
        .collect();
    macs.sort_unstable();
    assert_eq!(macs, ["b8:e9:37:12:34:56", "b8:e9:37:12:34:57", "b8:e9:37:12:34:58"]);
    assert!(hosts.iter().all(|host| !host["name"].as_str().unwrap().trim().is_empty()));
}

#[tokio::test]
async fn an_area_that_is_deleted_takes_no_device_with_it() {
    for recorded in [OLD, NEW] {
        let before = StandIn::start(Script::of(recorded)).await;
        let agent = Agent::new(&before.url(), TOKEN, "");
        agent.settle().await;
        let there = agent.inventory().await;
        assert_eq!(named(&there, "sw-rack")["location"], "Rack");

        // The devices may name it a while longer.
        let gone = Script::of(recorded).with("config/area_registry/list", Reply::Result(json!([])));
        let after = StandIn::start(gone).await;
        agent.configure(&after.url(), TOKEN, "");
        agent.settle().await;
        assert_eq!(ids(&agent.inventory().await), ids(&there));

        agent.configure(&before.url(), TOKEN, "");
        agent.settle().await;
        let again = agent.inventory().await;
        assert_eq!(ids(&again), ids(&there));
        assert_eq!(named(&again, "sw-rack")["location"], "Rack");
    }
}

#[tokio::test]
async fn makers_have_one_name_each_and_a_person_may_add_to_the_table() {
    let device = |number: usize, maker: &str| {
        json!({
            "id": format!("{number}"), "name": format!("device {number}"), "manufacturer": maker,
            "model": format!("M{number}"), "connections": [["mac", format!("74:ac:b9:00:10:0{number}")]],
        })
    };
    let standin = StandIn::start(of_devices(&json!([
        device(1, "Ubiquiti Networks"),
        device(2, "ubnt"),
        device(3, "Ubiquiti"),
        device(4, "Ubiquiti Inc."),
        device(5, "Meister Elektronik GmbH"),
    ])))
    .await;
    let table = "[manufacturers]\n\"Meister\" = [\"Meister Elektronik\"]\n";
    let agent = Agent::new(&standin.url(), TOKEN, table);
    agent.settle().await;
    let inventory = agent.inventory().await;
    for number in 1..=4 {
        let host = named(&inventory, &format!("device {number}"));
        assert_eq!(host["manufacturer"], "Ubiquiti", "{host}");
    }
    assert_eq!(named(&inventory, "device 5")["manufacturer"], "Meister");
}

#[tokio::test]
async fn the_role_comes_from_what_the_entities_do() {
    const ROLES: [(&str, &str); 10] = [
        ("light", "Light"),
        ("switch", "Smart switch"),
        ("camera", "Camera"),
        ("media_player", "Media player"),
        ("climate", "Climate"),
        ("vacuum", "Vacuum"),
        ("lock", "Lock"),
        ("cover", "Cover"),
        ("sensor", "Sensor"),
        ("button", "IoT"),
    ];
    let device = |(number, (domain, _)): (usize, &(&str, &str))| {
        json!({
            "id": format!("{number}"), "name": format!("a {domain}"), "manufacturer": "Maker",
            "model": "M", "connections": [["mac", format!("74:ac:b9:00:10:{number:02x}")]],
        })
    };
    // Every device has figures of its own beside what it is for.
    let entities = |(number, (domain, _)): (usize, &(&str, &str))| {
        [
            json!({ "entity_id": format!("{domain}.d{number}"), "device_id": format!("{number}"),
                "platform": "maker" }),
            json!({ "entity_id": format!("update.d{number}"), "device_id": format!("{number}"),
                "platform": "maker", "entity_category": "config" }),
            json!({ "entity_id": format!("light.led{number}"), "device_id": format!("{number}"),
                "platform": "maker", "entity_category": "config" }),
            json!({ "entity_id": format!("sensor.battery{number}"),
                "device_id": format!("{number}"), "platform": "maker" }),
            json!({ "entity_id": format!("sensor.d{number}_rssi"),
                "device_id": format!("{number}"), "platform": "maker" }),
        ]
    };
    let battery = |number: usize| {
        json!({ "entity_id": format!("sensor.battery{number}"), "state": "87",
            "attributes": { "device_class": "battery", "unit_of_measurement": "%" } })
    };
    let states: Vec<Json> = (0..ROLES.len()).map(battery).collect();
    let devices: Vec<Json> = ROLES.iter().enumerate().map(device).collect();
    let entities: Vec<Json> = ROLES.iter().enumerate().flat_map(entities).collect();
    let script = of_devices(&devices.into())
        .with("get_states", Reply::Result(states.into()))
        .with("config/entity_registry/list", Reply::Result(entities.into()));
    let standin = StandIn::start(script).await;
    let agent = Agent::new(&standin.url(), TOKEN, "");
    agent.settle().await;
    let inventory = agent.inventory().await;
    for (domain, role) in ROLES {
        assert_eq!(named(&inventory, &format!("a {domain}"))["role"], role);
    }
}

#[tokio::test]
async fn no_token_is_told_to_anyone() {
    let standin = StandIn::start(Script::of(NEW)).await;
    let agent = Agent::new(&standin.url(), TOKEN, "");
    for verb in [["sync", "-vvv"], ["collect", "-vvv"], ["config", "show"], ["inventory", "-vvv"]] {
        let told = agent.told(&verb).await;
        assert!(!told.is_empty() && !told.contains(TOKEN), "{verb:?}: {told}");
    }
    agent.configure(&standin.url(), "wr0ng-s3cret", "");
    let told = agent.told(&["sync", "-vvv"]).await;
    assert!(told.contains("refused") && !told.contains("s3cret"), "{told}");
}
