//! The collector and the whole agent on a real Home Assistant, through what happens to
//! one in its life. Where none is installed this is skipped, and said so.

use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use netbox_agent::collect::{CollectError, Harvest};
use serde_json::{Value as Json, json};

use super::agent::{Agent, assignment, collector, lines};
use super::person::Person;
use super::server::{Installation, Server};
use super::wire::Wire;

/// Whatever happens, a test ends within this time.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a test on every Home Assistant that is installed.
async fn on_each<T: Future<Output = ()>>(test: impl Fn(Installation) -> T) {
    let all = Installation::all();
    if all.is_empty() {
        // What is printed is shown of tests that fail only; this is to be seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no Home Assistant is installed: .ci/run installs one into target/home-assistant, NETBOX_AGENT_TEST_HASS may name another"
        );
    }
    for installation in all {
        let name = format!("{installation:?}");
        let done = tokio::time::timeout(LIMIT, test(installation)).await;
        assert!(done.is_ok(), "not done after {LIMIT:?} on {name}");
    }
}

/// A house with a device of each kind that matters, and a router that tells of some again.
fn house() -> Json {
    let device = |id: &str, mut more: Json| {
        more["identifiers"] = json!([["lab", id]]);
        more
    };
    json!({
        "rooms": { "devices": [
            device("switch", json!({
                "connections": [["mac", "74:AC:B9:00:10:01"]], "manufacturer": "Ubiquiti Networks",
                "model": "USW-24-PoE", "name": "sw-rack", "sw_version": "6.6.65",
                "serial_number": "74ACB9001001", "configuration_url": "http://192.168.10.2",
            })),
            device("plug", json!({
                "connections": [["mac", "e8:68:e7:ea:63:33"], ["bluetooth", "E8:68:E7:EA:63:34"]],
                "manufacturer": "Shelly", "model": "Shelly Plus 1PM (SNSW-001P16EU)",
                "name": "shellyplus1pm-e868e7ea6333", "sw_version": "1.2.2",
                "configuration_url": "http://192.168.10.51:80",
                "entities": { "switch": 1, "sensor": 2 },
            })),
            device("strip", json!({
                "connections": [["mac", "a0:b7:65:12:34:56"]], "manufacturer": "WLED",
                "model": "DIY light", "name": "Shelf", "sw_version": "0.14.1",
                "entities": { "light": 1, "sensor": 1 },
            })),
            device("nameless", json!({
                "connections": [["mac", "b8:e9:37:12:34:56"]], "manufacturer": "Sonos",
                "model": "One", "configuration_url": "http://192.168.10.61:1400/review",
            })),
            device("bad", json!({ "connections": [["mac", "AABBCCDDEEFG"]], "name": "Bad MAC" })),
            device("empty", json!({ "connections": [["mac", ""]], "name": "Empty MAC" })),
            device("made-up", json!({
                "connections": [["mac", "00:00:00:00:00:00"]], "name": "Zero MAC",
                "configuration_url": "http://192.168.10.70/", "manufacturer": "Brother",
                "model": "HL-L2340DW", "serial_number": "E12345678901234",
            })),
            device("hub", json!({
                "connections": [["mac", "ec:b5:fa:9b:1c:5f"]], "name": "Bridge",
                "manufacturer": "Signify Netherlands B.V.", "model": "BSB002",
            })),
            device("lamp", json!({
                "connections": [["zigbee", "00:17:88:01:0b:22:f5:0e"]], "name": "Lamp",
                "via_device": ["lab", "hub"], "manufacturer": "Signify Netherlands B.V.",
                "model": "LCA001", "entities": { "light": 1 },
            })),
            device("forecast", json!({
                "entry_type": "service", "name": "Forecast", "manufacturer": "Met.no",
                "configuration_url": "https://192.168.10.99/",
            })),
        ]},
        // Since 2026.8 the same MAC stands on two devices of the registry.
        "router": {
            "devices": [device("client-of-router", json!({
                "connections": [["mac", "E8:68:E7:EA:63:33"]], "name": "shellyplus1pm-e868e7ea6333",
            }))],
            "trackers": [
                { "name": "plug", "mac": "e8:68:e7:ea:63:33", "ip": "192.168.10.51", "host": "shelly" },
                { "name": "shelf", "mac": "a0:b7:65:12:34:56", "ip": "192.168.10.52", "host": "wled" },
                { "name": "laptop", "mac": "3c:22:fb:01:02:03", "ip": "192.168.10.150", "host": "annas-mbp" },
                { "name": "away", "mac": "30:05:5c:01:02:03", "host": "gone", "home": false },
            ],
        },
    })
}

/// What a person looks at of each device, without Home Assistant's own machine, which
/// is the one that the tests run on.
fn told(inventory: &Json) -> Vec<String> {
    const KEYS: [&str; 9] = [
        "name",
        "role",
        "manufacturer",
        "model",
        "serial",
        "platform",
        "location",
        "primary_ip4",
        "status",
    ];
    let text = |host: &Json, key: &str| host[key].as_str().unwrap_or("-").to_owned();
    let hosts = inventory["hosts"].as_array().unwrap().iter();
    let devices = hosts.filter(|host| host["name"] != "Home Assistant");
    let mut lines: Vec<String> =
        devices.map(|host| KEYS.map(|key| text(host, key)).join(" | ")).collect();
    lines.sort();
    lines
}

fn ids(inventory: &Json) -> Vec<u64> {
    let hosts = inventory["hosts"].as_array().unwrap();
    let mut ids: Vec<u64> = hosts.iter().map(|host| host["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn host(inventory: &Json, name: &str) -> Json {
    let hosts = inventory["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
}

async fn collect(url: &str, token: &str, extra: &str) -> Result<Harvest, CollectError> {
    let table = format!("url = \"{url}\"\ntoken = \"{token}\"\n{extra}");
    collector(&table).unwrap().collect(&assignment()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_house_becomes_objects_and_a_person_changes_it() {
    on_each(|installation| async move {
        let server = Server::start(&installation, &house()).await;
        server.add("rooms").await;
        server.add("router").await;
        let agent = Agent::new(&server.url(), &server.token, "");
        agent.settle().await;
        let first = agent.inventory().await;
        insta::assert_debug_snapshot!("real_house", told(&first));

        furnish(&server).await;
        agent.settle().await;
        let second = agent.inventory().await;
        insta::assert_debug_snapshot!("real_house_arranged", told(&second));
        assert_eq!(ids(&first), ids(&second));

        label(&server, &agent).await;

        // An area, and then its floor, deleted: the devices stay, nothing comes twice.
        let mut owner = server.owner().await;
        owner.ask("config/area_registry/delete", json!({ "area_id": "scullery" })).await;
        agent.settle().await;
        owner.ask("config/floor_registry/delete", json!({ "floor_id": "basement" })).await;
        agent.settle().await;
        assert_eq!(ids(&first), ids(&agent.inventory().await));

        ordinary_user(&server).await;
        refused(&server).await;
    })
    .await;
}

/// Arranges the house: floors, areas, labels, a name.
async fn furnish(server: &Server) {
    let mut owner = server.owner().await;
    for (floor, area) in [("Basement", "Scullery"), ("Ground", "Rack")] {
        let made = owner.ask("config/floor_registry/create", json!({ "name": floor })).await;
        let on_floor = json!({ "name": area, "floor_id": made["floor_id"] });
        // 2024.3 keeps floors, but does not let areas be on them yet.
        if owner.attempt("config/area_registry/create", on_floor).await.is_err() {
            owner.ask("config/area_registry/create", json!({ "name": area })).await;
        }
    }
    let change = json!({ "area_id": "scullery", "name_by_user": "Coffee machine" });
    owner.arrange("shellyplus1pm-e868e7ea6333", &change).await;
    owner.arrange("sw-rack", &json!({ "area_id": "rack" })).await;
}

/// Labels the switch, where the version has labels for devices; they become tags.
async fn label(server: &Server, agent: &Agent) {
    let mut owner = server.owner().await;
    let label = owner.ask("config/label_registry/create", json!({ "name": "End of life" })).await;
    let switch = &owner.devices("sw-rack").await[0];
    let change = json!({ "device_id": switch, "labels": [label["label_id"]] });
    let can = owner.attempt("config/device_registry/update", change).await.is_ok();
    agent.settle().await;
    let switch = host(&agent.inventory().await, "sw-rack");
    let has = switch["tags"].as_array().unwrap().contains(&"End of life".into());
    assert_eq!(has, can, "{switch}");
}

/// An ordinary user's token tells of the same devices, and of what it may not ask.
async fn ordinary_user(server: &Server) {
    let token = server.ordinary_token().await;
    let devices = |harvest: &Harvest| -> Vec<String> {
        let text = lines(harvest);
        let devices = text.lines().filter(|line| line.contains("\"hass:ha/"));
        devices.map(str::to_owned).collect()
    };
    let all = collect(&server.url(), &server.token, "").await.unwrap();
    let main = collect(&server.url(), &token, "").await.unwrap();
    assert!(devices(&all).len() > 20);
    assert_eq!(devices(&all), devices(&main));
    let codes = |harvest: &Harvest| -> Vec<&str> {
        harvest.diagnostics.iter().map(|told| told.code).collect()
    };
    assert_eq!(codes(&all), [""; 0]);
    assert_eq!(codes(&main), ["needs_administrator"]);
    assert!(main.coverage.iter().all(|claim| claim.is_complete()));
}

/// A wrong token is tried once, since the second failure in a row is this machine's ban; and
/// a ban is told for what it is.
async fn refused(server: &Server) {
    let wire = Wire::new(server.port(), usize::MAX).await;
    let error = collect(&wire.url(), "wr0ng-s3cret", "").await.unwrap_err();
    assert!(matches!(error, CollectError::Refused { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(wire.connections(), 1);
    collect(&server.url(), &server.token, "").await.unwrap();

    for _ in 0..2 {
        Person::refused(&server.url(), "wr0ng-s3cret").await;
    }
    server.logs("Banned IP").await;
    let error = collect(&wire.url(), &server.token, "").await.unwrap_err();
    assert!(matches!(error, CollectError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("ip_bans.yaml"), "{error}");
    assert_eq!(wire.connections(), 2);
}

/// So many plugs, with so many entities in all.
fn estate(plugs: usize, entities: usize) -> Json {
    let plug = |number: usize| {
        let (a, b) = (number / 256, number % 256);
        json!({
            "identifiers": [["lab", format!("plug-{number}")]],
            "connections": [["mac", format!("e8:68:e7:00:{a:02x}:{b:02x}")]],
            "name": format!("Plug {number}"), "manufacturer": "Shelly", "model": "Plus 1PM",
            "configuration_url": format!("http://10.1.{a}.{b}/"),
            "entities": { "switch": 1, "sensor": entities / plugs - 1 },
        })
    };
    json!({ "estate": { "devices": (0..plugs).map(plug).collect::<Vec<_>>() } })
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_real_entities_survive_a_restart_in_the_middle() {
    on_each(|installation| async move {
        let mut server = Server::start(&installation, &estate(250, 5_000)).await;
        server.add("estate").await;
        let mut owner = server.owner().await;
        let entities = owner.ask("config/entity_registry/list", json!({})).await;
        let ours = entities.as_array().unwrap().iter().filter(|one| one["platform"] == "lab");
        assert_eq!(ours.count(), 5_000);
        let begun = Instant::now();
        let wire = Wire::new(server.port(), usize::MAX).await;
        let whole = collect(&wire.url(), &server.token, "").await.unwrap();
        let bytes = wire.passed();
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        assert!(whole.coverage.iter().all(|claim| claim.is_complete()));
        let plugs = lines(&whole).matches("\"role\":\"Smart switch\"").count();
        assert_eq!(plugs, 250);

        // In the middle of the list of devices, and of the states.
        for after in [30_000, bytes * 3 / 4] {
            let wire = Wire::new(server.port(), after).await;
            let (url, token) = (wire.url(), server.token.clone());
            let run = tokio::spawn(async move { collect(&url, &token, "").await });
            wire.held.notified().await;
            server.stop().await;
            server.launch();
            let harvest = run.await.unwrap().unwrap();
            assert!(lines(&harvest) == lines(&whole), "another harvest, cut after {after} bytes");
        }

        let agent = Agent::new(&server.url(), &server.token, "");
        agent.settle().await;
        assert_eq!(agent.hosts("name").await.len(), 251);
    })
    .await;
}
