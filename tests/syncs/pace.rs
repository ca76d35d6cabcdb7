//! The limits of what NetBox is asked hold for every request, whatever it is for.

use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::hosts::Network;
use crate::place::{BESIDE, Place};
use crate::proxy::Proxy;

#[test]
fn no_path_asks_more_often_or_more_at_once_than_is_allowed() {
    let place = Place::new();
    let network = Network::new();
    let proxy = BESIDE.block_on(Proxy::before(&place.url));
    let (rate, at_once) = (12_u32, 2_usize);
    // The later of two equal keys would be an error, so this agent has a table of its own.
    let agent = Agent::new(&proxy.url(), &place.token, &network, "");
    let path = agent.path("agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let limits = format!("requests_per_second = {rate}\nconcurrency = {at_once}");
    std::fs::write(&path, text.replace("requests_per_second = 200", &limits)).unwrap();

    agent.says(&network.listing(0..60));
    let begun = Instant::now();
    agent.sync(0);
    agent.assert_settled();
    let run = agent.run(&["history", "--format", "json"]).expect(0);
    assert!(!run.out.is_empty());
    agent.run(&["rollback", "1"]);
    let times = proxy.times();
    assert!(times.len() > 30, "{} requests in {:?}", times.len(), begun.elapsed());
    assert!(proxy.most_at_once() <= at_once, "{} at once", proxy.most_at_once());
    // A burst may fill the places once; processes follow each other, and each has its own.
    let most = rate as usize + at_once * 2 + 2;
    for (first, from) in times.iter().enumerate() {
        let within = times[first..].iter().take_while(|at| **at - *from < Duration::from_secs(1));
        let count = within.count();
        assert!(count <= most, "{count} requests within a second");
    }
}
