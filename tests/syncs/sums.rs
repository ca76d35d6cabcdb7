//! Only what has to be written is written, and one bad object costs nobody else.

use serde_json::json;

use crate::agent::{Agent, ended};
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::{BESIDE, Place};
use crate::proxy::Proxy;

#[test]
fn a_second_sync_writes_nothing_and_asks_little_and_a_tenth_that_changed_is_all_that_is_written() {
    let place = Place::new();
    let network = Network::new();
    let proxy = BESIDE.block_on(Proxy::before(&place.url));
    let agent = Agent::new(&proxy.url(), &place.token, &network, "");
    let hosts = if place.is_real() { 200 } else { 1_000 };
    agent.says(&network.listing(0..hosts));
    let report = agent.sync(0);
    // Device, two interfaces, two MAC addresses, two addresses, a service.
    let least = u64::from(hosts) * if place.has_macs() { 8 } else { 6 };
    assert!(report["summary"]["applied"].as_u64().unwrap() >= least, "{}", report["summary"]);

    let (requests, written) = (proxy.total(), place.written());
    agent.assert_settled();
    assert_eq!(place.written(), written, "something was written");
    assert!(proxy.total() - requests <= 30, "{} requests", proxy.total() - requests);

    let tenth = hosts / 10;
    let changed: Vec<_> = (0..hosts)
        .map(|number| {
            let mut host = network.host(number);
            if number % 10 == 3 {
                host["description"] = json!("moved to another shelf");
            }
            host
        })
        .collect();
    agent.says(&network.lines(&changed));
    let report = agent.sync(0);
    assert_eq!(report["summary"]["applied"], tenth, "{}", report["summary"]);
    assert_eq!(place.written() - written, u64::from(tenth), "each is written once");
    agent.assert_settled();
}

#[test]
fn one_poisoned_object_in_a_hundred_is_reported_with_netboxs_reason_and_the_others_land() {
    for version in Version::ALL {
        let place = Place::of(version);
        let network = Network::new();
        let agent = Agent::new(&place.url, &place.token, &network, "");
        // What NetBox asks to be unique across all sites stands on a person's device already.
        agent.says(&network.listing([900]));
        agent.sync(0);
        let stands = place.device(&network.name(900));
        let tag = format!("{}-4711", network.word);
        let id = stands["id"].as_u64().unwrap();
        place.write("PATCH", &format!("dcim/devices/{id}/"), &json!({"asset_tag": tag}));
        let hosts: Vec<_> = (0..100)
            .chain([900])
            .map(|number| {
                let mut host = network.host(number);
                if number == 42 {
                    host["asset_tag"] = json!(tag);
                }
                host
            })
            .collect();
        agent.says(&network.lines(&hosts));
        let report = agent.sync(3);
        let failed = ended(&report, "failed");
        let [(kind, label, because)] = &failed[..] else { panic!("{failed:?}") };
        assert_eq!((kind.as_str(), label.as_str()), ("device", network.name(42).as_str()));
        assert!(because.to_lowercase().contains("asset tag already exists"), "{because}");
        // What stands on it waits for it, and says so.
        for (kind, label, because) in ended(&report, "skipped") {
            assert!(because.contains("was not made"), "{kind} {label}: {because}");
        }
        let here = place.all("dcim/devices", |row| row["site"]["name"] == network.word.as_str());
        assert_eq!(here.len(), 100, "99 and the one that stood");
        place.assert_once(&network.word, 99 * 4);
        // The next run tries again, and nothing else.
        let again = agent.sync(1);
        assert_eq!(again["summary"]["applied"], 0, "{}", again["summary"]);
        place.write("PATCH", &format!("dcim/devices/{id}/"), &json!({"asset_tag": null}));
        agent.sync(0);
        agent.assert_settled();
        if place.is_real() {
            break;
        }
    }
}
