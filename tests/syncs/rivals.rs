//! Two agents with networks that overlap, at once into one NetBox.

use crate::agent::Agent;
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::Place;

#[test]
fn two_agents_at_once_make_nothing_twice_and_neither_fails() {
    for version in [Version::V4_0, Version::V4_2, Version::V4_4, Version::V4_6, Version::V4_7] {
        let place = Place::of(version);
        let network = Network::new();
        let agent = |name: &str| Agent::named(name, &place.url, &place.token, &network, "");
        let (one, other) = (agent("one"), agent("other"));
        one.says(&network.listing(0..60));
        other.says(&network.listing(20..80));
        let (first, second) =
            (one.start(&["sync", "--format", "json"]), other.start(&["sync", "--format", "json"]));
        let (first, second) = (first.wait(), second.wait());
        for end in [first, second] {
            end.expect(0);
        }
        place.assert_once(&network.word, 80 * 6);
        // Each may have left something to the other; then both are settled.
        one.sync(0);
        other.sync(0);
        one.assert_settled();
        other.assert_settled();
        place.assert_once(&network.word, 80 * 6);
        for agent in [&one, &other] {
            let conflicts = agent.run(&["conflicts", "--format", "json"]).expect(0);
            assert_eq!(conflicts.out.trim(), "[]");
        }
        if place.is_real() {
            break;
        }
    }
}
