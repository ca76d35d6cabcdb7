//! What is stated of what was told, on recorded answers and on invented ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::gather::Told;
use super::harvest::{Wishes, harvest};
use super::*;
use crate::collect::wire;
use crate::progress::Silent;

const OLD: &str = include_str!("../../../tests/home_assistant/recorded/2024.3.json");
const NEW: &str = include_str!("../../../tests/home_assistant/recorded/2026.11.json");

fn assignment() -> Assignment {
    Assignment {
        source: "ha".parse().unwrap(),
        segment: Default::default(),
        started: "2026-11-21T03:00:00Z".parse().unwrap(),
        deadline: tokio::time::Instant::now() + Duration::from_secs(60),
        cancel: CancellationToken::new(),
        progress: Arc::new(Silent),
        known: Arc::new(BTreeMap::new()),
    }
}

fn read<T: DeserializeOwned>(json: &Json) -> T {
    serde_json::from_value(json.clone()).unwrap()
}

/// What recorded answers tell.
fn told(recorded: &str) -> Told {
    let recorded: Json = serde_json::from_str(recorded).unwrap();
    let answers = &recorded["answers"];
    let leases: answers::Leases =
        read(recorded.pointer("/events/dhcp~1subscribe_discovery").unwrap_or(&json!({})));
    Told {
        peer: None,
        config: read(&answers["get_config"]),
        devices: Some(read(&answers["config/device_registry/list"])),
        entities: Some(read(&answers["config/entity_registry/list"])),
        config_entries: read(&answers["config_entries/get"]),
        areas: read(&answers["config/area_registry/list"]),
        floors: read(&answers["config/floor_registry/list"]),
        labels: read(&answers["config/label_registry/list"]),
        states: Some(read(&answers["get_states"])),
        network: Some(read(&answers["network"])),
        leases: leases.add.0,
        ..Told::default()
    }
}

fn harvested(told: &Told, include: &[Include]) -> Harvest {
    let include: BTreeSet<Include> = include.iter().copied().collect();
    let wishes = Wishes { include: &include, host_name: None, port: Some(8123) };
    harvest(told, &wishes, &assignment())
}

/// What was stated, as it would be saved, without what is the same in every line.
fn lines(harvest: &Harvest) -> String {
    let mut text = Vec::new();
    wire::write(harvest, &mut text).unwrap();
    String::from_utf8(text)
        .unwrap()
        .replace(r#""version":1,"source":"ha","#, "")
        .replace(r#""at":"2026-11-21T03:00:00Z","#, "")
}

#[test]
fn recorded_answers_become_these_observations() {
    insta::assert_snapshot!("2024.3", lines(&harvested(&told(OLD), &[])));
    insta::assert_snapshot!("2026.11", lines(&harvested(&told(NEW), &[])));
}
