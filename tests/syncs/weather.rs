//! What stands between the agent and NetBox, and NetBox itself, fails in every way:
//! in the end everything stands, and nothing twice.

use std::time::Duration;

use crate::agent::Agent;
use crate::hosts::Network;
use crate::netbox::Version;
use crate::place::{BESIDE, Place};
use crate::proxy::{Mischief, Proxy, Rule};

/// Syncs through mischief until a run gets through, and holds the end against what it
/// should be. Gives how often the proxy struck.
fn converges(version: Version, rules: &[Rule]) -> u64 {
    let place = Place::of(version);
    let network = Network::new();
    let proxy = BESIDE.block_on(Proxy::before(&place.url));
    let agent = Agent::new(&proxy.url(), &place.token, &network, "");
    agent.says(&network.listing(0..60));
    proxy.rules(rules);
    let end = agent.run(&["sync"]);
    let struck = proxy.struck();
    assert!(struck > 3, "the proxy struck {struck} times");
    if end.code != 0 {
        // What could not be read at all ends a run before it writes; that is no harm.
        eprintln!("ended {} after {struck} strikes: {}{}", end.code, end.out, end.err);
        assert!(end.code == 1 || end.code == 3, "{}", end.err);
    }
    proxy.rules(&[]);
    if end.code != 0 {
        agent.sync(0);
    }
    place.assert_once(&network.word, 60 * 6);
    agent.assert_settled();
    let conflicts = agent.run(&["conflicts", "--format", "json"]).expect(0);
    assert_eq!(conflicts.out.trim(), "[]");
    struck
}

#[test]
fn a_proxy_that_answers_502_at_random_changes_nothing_of_the_result() {
    converges(Version::V4_6, &[Rule::any(Mischief::Answer(502), 5)]);
}

#[test]
fn a_proxy_that_limits_requests_changes_nothing_of_the_result() {
    converges(Version::V4_4, &[Rule::any(Mischief::Answer(429), 4)]);
}

#[test]
fn a_proxy_that_cuts_connections_after_netbox_committed_leads_to_nothing_twice() {
    for version in [Version::V4_2, Version::V4_6] {
        let rules = [
            Rule::writes(Mischief::CutAfterwards, 3),
            Rule::writes(Mischief::AnswerAfterwards(504), 5),
        ];
        converges(version, &rules);
    }
}

#[test]
fn all_of_it_at_once_leads_to_nothing_twice() {
    let rules = [
        Rule::any(Mischief::Answer(502), 9),
        Rule::any(Mischief::Answer(429), 9),
        Rule::writes(Mischief::CutAfterwards, 5),
        Rule::writes(Mischief::AnswerAfterwards(504), 7),
    ];
    converges(Version::V4_6, &rules);
}

#[test]
fn a_netbox_that_is_stopped_in_the_middle_and_started_again_is_waited_for() {
    let mut place = Place::new();
    let network = Network::new();
    let proxy = BESIDE.block_on(Proxy::before(&place.url));
    let agent = Agent::new(&proxy.url(), &place.token, &network, "");
    agent.says(&network.listing(0..80));
    let run = agent.start(&["sync"]);
    for _ in 0..60_000 {
        if proxy.writes() >= 14 {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(proxy.writes() >= 14, "nothing was written");
    // What was asked of it and not answered is not answered any more.
    proxy.away(true);
    if let Some(standin) = place.standin() {
        standin.stop();
    }
    std::thread::sleep(Duration::from_secs(5));
    if let Some(standin) = place.standin() {
        standin.start_again().unwrap();
    }
    proxy.away(false);
    run.wait().expect(0);
    place.assert_once(&network.word, 80 * 6);
    agent.assert_settled();
}
