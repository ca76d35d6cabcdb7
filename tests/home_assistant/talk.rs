//! The conversation when it does not go well: restarts, refusals, silence, nonsense.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use netbox_agent::collect::CollectError;
use netbox_agent::domain::coverage::Scope;
use netbox_agent::domain::diagnostic::Severity;
use netbox_agent::domain::observation::{NativeKey, Observation, Thing};
use serde_json::json;

use super::agent::{ask, assignment, collector, lines};
use super::standin::{NEW, OLD, Reply, Script, StandIn, TOKEN};

fn keys(observations: &[Observation]) -> BTreeSet<NativeKey> {
    let hosts = observations.iter().filter_map(|observation| match &observation.thing {
        Thing::Host(host) => Some(host),
        _ => None,
    });
    hosts.flat_map(|host| host.aliases.clone()).collect()
}

fn codes(harvest: &netbox_agent::collect::Harvest) -> Vec<(&str, Severity)> {
    harvest.diagnostics.iter().map(|told| (told.code, told.severity)).collect()
}

#[tokio::test]
async fn a_restart_at_any_point_loses_and_doubles_nothing() {
    for recorded in [OLD, NEW] {
        let undisturbed = StandIn::start(Script::of(recorded)).await;
        let whole = ask(&undisturbed, "").await.unwrap();
        let questions = undisturbed.seen.lock().unwrap().questions.len();
        assert!(questions > 8 && whole.coverage.iter().all(|claim| claim.is_complete()));
        for after in 0..questions {
            let away = Duration::from_millis(if after % 4 == 0 { 400 } else { 0 });
            let script = Script {
                restart_after: Some(after),
                away,
                starting: after % 2,
                ..Script::of(recorded)
            };
            let standin = StandIn::start(script).await;
            let harvest = ask(&standin, "").await.unwrap();
            assert_eq!(lines(&harvest), lines(&whole), "restarted after {after} questions");
            assert_eq!(standin.logins(), 2);
        }
    }
}

#[tokio::test]
async fn one_that_does_not_come_back_leaves_gaps_or_is_unreachable() {
    let gone = |after| Script {
        restart_after: Some(after),
        away: Duration::from_secs(600),
        ..Script::of(NEW)
    };
    // The devices were read, their entities were not: nothing is proven absent.
    let standin = StandIn::start(gone(2)).await;
    let harvest = ask(&standin, "restart_wait = \"600ms\"").await.unwrap();
    assert!(keys(&harvest.observations).len() > 8);
    assert!(harvest.coverage.iter().all(|claim| !claim.is_complete()), "{:?}", harvest.coverage);
    assert!(codes(&harvest).contains(&("part_missing", Severity::Warning)));

    // Before that there is nothing to bring home.
    let standin = StandIn::start(gone(1)).await;
    let error = ask(&standin, "restart_wait = \"600ms\"").await.unwrap_err();
    assert!(matches!(error, CollectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn one_that_is_still_starting_is_waited_for_and_told_of() {
    let starting = |times| Script { starting: times, ..Script::of(OLD) };
    let standin = StandIn::start(starting(2)).await;
    let harvest = ask(&standin, "").await.unwrap();
    assert_eq!(codes(&harvest), []);

    let standin = StandIn::start(starting(1_000)).await;
    let harvest = ask(&standin, "restart_wait = \"1s\"").await.unwrap();
    assert_eq!(codes(&harvest), [("part_missing", Severity::Warning)]);
    // The registry is whole from the start; who is connected is not known yet.
    let gaps: Vec<&Scope> = harvest
        .coverage
        .iter()
        .filter(|claim| !claim.is_complete())
        .map(|claim| &claim.scope)
        .collect();
    assert_eq!(gaps, [&Scope::Keys("hass:ha/client/".into())]);
}

#[tokio::test]
async fn a_refused_token_is_tried_once_and_shown_nowhere() {
    let standin = StandIn::start(Script::of(OLD)).await;
    let table = format!("url = \"{}\"\ntoken = \"wr0ng-s3cret\"", standin.url());
    let collector = collector(&table).unwrap();
    let error = collector.collect(&assignment()).await.unwrap_err();
    assert!(matches!(error, CollectError::Refused { .. }), "{error}");
    let told = format!("{error} {error:?} {collector:?}");
    assert!(told.contains("long-lived access token"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(standin.logins(), 1);
}

#[tokio::test]
async fn an_ordinary_users_token_is_enough_for_the_devices() {
    for recorded in [OLD, NEW] {
        let admin = StandIn::start(Script::of(recorded)).await;
        let user = StandIn::start(Script::of(recorded).for_a_user()).await;
        let (all, main) = (ask(&admin, "").await.unwrap(), ask(&user, "").await.unwrap());
        assert_eq!(keys(&main.observations), keys(&all.observations));
        assert_eq!(main.coverage, all.coverage);
        assert_eq!(codes(&main), [("needs_administrator", Severity::Note)]);
        assert_eq!(codes(&all), []);
    }
}

#[tokio::test]
async fn questions_that_a_version_does_not_know_are_passed_over() {
    let mut script = Script::of(OLD);
    for command in ["config/floor_registry/list", "config/label_registry/list", "network"] {
        script = script.with(command, Reply::Error("unknown_command"));
    }
    let standin = StandIn::start(script).await;
    let harvest = ask(&standin, "").await.unwrap();
    assert_eq!(codes(&harvest), []);
    assert!(harvest.coverage[0].is_complete());
}

#[tokio::test]
async fn what_nobody_asked_for_is_passed_over() {
    let quiet = StandIn::start(Script::of(NEW)).await;
    let noisy = StandIn::start(Script { noise: true, ..Script::of(NEW) }).await;
    let (quiet, noisy) = (ask(&quiet, "").await.unwrap(), ask(&noisy, "").await.unwrap());
    assert_eq!(lines(&noisy), lines(&quiet));
}

#[tokio::test]
async fn an_answer_of_no_use_costs_only_itself() {
    for reply in [
        Reply::Raw("no JSON".to_owned()),
        Reply::Raw("[{}".to_owned()),
        Reply::Result(json!({ "not": "a list" })),
        Reply::Result(json!(7)),
        Reply::Error("unknown_error"),
        Reply::Cut,
        Reply::Silence,
    ] {
        let script = Script::of(NEW).with("config/area_registry/list", reply.clone());
        let standin = StandIn::start(script).await;
        let harvest = ask(&standin, "timeout = \"300ms\"").await.unwrap();
        assert_eq!(codes(&harvest), [("part_missing", Severity::Warning)], "{reply:?}");
        assert!(harvest.coverage[0].is_complete(), "{reply:?}");
        assert!(keys(&harvest.observations).len() > 8, "{reply:?}");
        assert!(!lines(&harvest).contains("\"location\""), "{reply:?}");
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_costs_no_other_but_the_proof() {
    let script = Script::of(OLD).changed("config/device_registry/list", |devices| {
        devices.as_array_mut().unwrap().insert(3, json!("no device"));
    });
    let standin = StandIn::start(script).await;
    let whole = StandIn::start(Script::of(OLD)).await;
    let (harvest, whole) = (ask(&standin, "").await.unwrap(), ask(&whole, "").await.unwrap());
    assert_eq!(harvest.observations, whole.observations);
    assert!(!harvest.coverage[0].is_complete());
    assert_eq!(codes(&harvest), [("part_missing", Severity::Warning)]);
}

#[tokio::test]
async fn slow_answers_are_waited_for_within_the_time_limit() {
    let late = |after| Reply::Late(after, Box::new(Reply::Result(json!([]))));
    let slow = Script::of(NEW).with("get_states", late(Duration::from_millis(700)));
    let standin = StandIn::start(slow.clone()).await;
    assert_eq!(codes(&ask(&standin, "timeout = \"5s\"").await.unwrap()), []);

    let standin = StandIn::start(slow).await;
    let begun = Instant::now();
    let harvest = ask(&standin, "timeout = \"200ms\"").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(codes(&harvest), [("part_missing", Severity::Warning)]);
}

#[tokio::test]
async fn a_run_that_is_ended_or_out_of_time_keeps_what_was_told() {
    let standin = StandIn::start(Script::of(NEW).with("get_states", Reply::Silence)).await;
    let table = format!("url = \"{}\"\ntoken = \"{TOKEN}\"", standin.url());
    for by_deadline in [true, false] {
        let mut assignment = assignment();
        let cancel = assignment.cancel.clone();
        if by_deadline {
            assignment.deadline = tokio::time::Instant::now() + Duration::from_millis(500);
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                cancel.cancel();
            });
        }
        let begun = Instant::now();
        let harvest = collector(&table).unwrap().collect(&assignment).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(keys(&harvest.observations).len() > 8);
        assert!(codes(&harvest).contains(&("part_missing", Severity::Warning)));
    }
}

#[tokio::test]
async fn nobody_there_is_told_soon_and_something_else_is_told_for_what_it_is() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let begun = Instant::now();
    let table = format!("url = \"http://127.0.0.1:{port}\"\ntoken = \"{TOKEN}\"");
    let error = collector(&table).unwrap().collect(&assignment()).await.unwrap_err();
    assert!(matches!(error, CollectError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    let standin = StandIn::start(Script::of(OLD)).await;
    let table = format!("url = \"{}/elsewhere\"\ntoken = \"{TOKEN}\"", standin.url());
    let error = collector(&table).unwrap().collect(&assignment()).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test]
async fn where_people_are_is_told_nobody() {
    let everything = "include = [\"zigbee\", \"zwave\", \"bluetooth\", \"disabled\", \"trackers\"]";
    for recorded in [OLD, NEW] {
        assert!(recorded.contains("\"latitude\": 1.5") && recorded.contains("\"longitude\": 2.5"));
        let standin = StandIn::start(Script::of(recorded)).await;
        let text = lines(&ask(&standin, everything).await.unwrap()).to_lowercase();
        for word in ["latitude", "longitude", "1.5", "2.5", "paulus", "iphone", "gps"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

#[tokio::test]
async fn five_thousand_entities_are_read_in_a_moment() {
    let device = |number: usize| {
        let (a, b) = (number / 256, number % 256);
        json!({
            "id": format!("{number:032x}"), "name": format!("Plug {number}"),
            "manufacturer": "Shelly", "model": "Plus 1PM", "sw_version": "1.2.2",
            "identifiers": [["shelly", number.to_string()]], "entry_type": null,
            "connections": [["mac", format!("e8:68:e7:00:{a:02x}:{b:02x}")]],
            "configuration_url": format!("http://10.1.{a}.{b}/"), "area_id": "kitchen",
        })
    };
    let entity = |number: usize| {
        json!({
            "entity_id": format!("switch.plug_{number}"), "platform": "shelly",
            "device_id": format!("{:032x}", number % 1_000), "unique_id": number,
        })
    };
    let state = |number: usize| {
        json!({
            "entity_id": format!("switch.plug_{number}"), "state": "on",
            "attributes": { "friendly_name": "x".repeat(1_000), "options": vec!["a"; 50] },
        })
    };
    let list = |make: &dyn Fn(usize) -> serde_json::Value, count| {
        Reply::Result((0..count).map(make).collect::<Vec<_>>().into())
    };
    let script = Script::of(NEW)
        .with("config/device_registry/list", list(&device, 1_000))
        .with("config/entity_registry/list", list(&entity, 5_000))
        .with("get_states", list(&state, 5_000));
    let standin = StandIn::start(script).await;
    let begun = Instant::now();
    let harvest = ask(&standin, "").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let devices = keys(&harvest.observations);
    let devices = devices.iter().filter(|key| !key.as_str().contains("client")).count();
    assert_eq!(devices, 1_001, "a thousand plugs and Home Assistant itself");
    assert!(lines(&harvest).contains("\"role\":\"Smart switch\""));
}
