//! A run among many hosts that others keep.

use serde_json::json;

use crate::agent::Agent;
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::{BESIDE, Place};
use crate::proxy::Proxy;

#[test]
fn among_many_hosts_of_others_a_run_finds_its_own_and_makes_nothing_twice() {
    for version in [Version::V4_0, Version::V4_2, Version::V4_6] {
        let place = Place::of(version);
        let network = Network::new();
        let others = Agent::named("others", &place.url, &place.token, &network, "");
        others.says(&network.listing(0..150));
        others.sync(0);

        let proxy = BESIDE.block_on(Proxy::before(&place.url));
        let agent = Agent::named("mine", &proxy.url(), &place.token, &network, "");
        // The same things by another's keys: one by its serial number, one by its MAC
        // addresses, one by its name; and one that is new.
        let mut by_serial = network.host(10);
        by_serial["interfaces"] = json!([]);
        by_serial["name"] = json!("another-name");
        let mut by_mac = network.host(11);
        by_mac.as_object_mut().unwrap().remove("serial");
        by_mac["name"] = json!("yet-another-name");
        let mut by_name = network.host(12);
        by_name.as_object_mut().unwrap().remove("serial");
        by_name["interfaces"] = json!([]);
        let fresh = network.host(900);
        let mut hosts = [by_serial, by_mac, by_name, fresh];
        for (number, host) in hosts.iter_mut().enumerate() {
            host["key"] = json!(format!("mine:{}/host/{number}", network.word));
        }
        agent.says(&network.lines(&hosts));
        let before = place.all("dcim/devices", |row| row["site"]["name"] == network.word.as_str());
        agent.sync(0);
        let after = place.all("dcim/devices", |row| row["site"]["name"] == network.word.as_str());
        assert_eq!((before.len(), after.len()), (150, 151), "only the new one is made");
        place.assert_once(&network.word, 151 * 6);

        let requests = proxy.total();
        agent.assert_settled();
        assert!(proxy.total() - requests <= 30, "{} requests", proxy.total() - requests);
        // The store is lost: what is its own is found all the same.
        agent.forget();
        agent.assert_settled();
        others.assert_settled();
        place.assert_once(&network.word, 151 * 6);
        if place.is_real() {
            break;
        }
    }
}
