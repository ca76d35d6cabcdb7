//! Identity against labelled truth: one thing, one object.
//!
//! The corpus in `tests/corpus` says what sources saw, what stood in NetBox and what is
//! true; here every scenario is played with the whole engine, and the report counts. It
//! is printed by
//!
//! ```text
//! cargo test --test identity -- --nocapture report
//! ```
//!
//! and of some scenarios alone with `CORPUS=` and a part of their names before it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod campus;
mod judge;
mod lab;
mod scenario;
mod score;
mod told;

use std::collections::HashMap;

use netbox_agent::domain::inventory::Inventory;
use netbox_agent::domain::merge::merge;
use netbox_agent::domain::observation::Observation;
use netbox_agent::domain::settings::Ranking;
use proptest::prelude::*;

use campus::Labelled;
use judge::Trial;
use score::Score;

/// Of the pairs that are one thing, so many must be found.
const RECALL: f64 = 0.98;

/// In how many orders each run of each scenario is tried.
const ORDERS: u32 = 12;

#[test]
fn the_report_on_the_corpus_has_no_wrong_merge_and_little_missed() {
    let only = std::env::var("CORPUS").unwrap_or_default();
    let scenarios = scenario::all();
    let mut total = Score::default();
    let mut runs = 0;
    let mut faults = Vec::new();
    println!(
        "\n      {:<44} {:>4} {:>6} {:>6} {:>6}",
        "scenario", "runs", "right", "wrong", "missed"
    );
    for scenario in scenarios.iter().filter(|one| one.name.contains(&only)) {
        let finding = judge::play(scenario, Trial::default());
        total += finding.score;
        runs += scenario.runs.len();
        let mark = if finding.faults.is_empty() { "ok" } else { "WRONG" };
        let Score { right, wrong, missed } = finding.score;
        println!(
            "{mark:<5} {:<44} {:>4} {right:>6} {wrong:>6} {missed:>6}",
            scenario.name,
            scenario.runs.len()
        );
        if !finding.faults.is_empty() {
            println!("      {}", scenario.shows);
            finding.faults.iter().for_each(|fault| println!("      {fault}"));
        }
        let named = finding.faults.into_iter().map(|fault| format!("{}: {fault}", scenario.name));
        faults.extend(named);
    }
    println!("\n{} scenarios, {runs} runs, pairs of observations: {total}", scenarios.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(total.wrong, 0, "a wrong merge: {total}");
    assert!(total.recall() >= RECALL, "{total}");
    assert!(scenarios.len() >= 60, "the corpus has {} scenarios", scenarios.len());
}

#[test]
fn shuffling_the_observations_of_any_scenario_changes_not_one_byte() {
    for scenario in scenario::all() {
        let trial = Trial { orders: ORDERS, ..Trial::default() };
        let faults = judge::play(&scenario, trial).faults;
        assert!(faults.is_empty(), "{}: {faults:#?}", scenario.name);
    }
}

#[test]
fn each_answer_that_a_question_of_the_corpus_offers_settles_it() {
    for scenario in scenario::all() {
        let trial = Trial { answers: true, ..Trial::default() };
        let faults = judge::play(&scenario, trial).faults;
        assert!(faults.is_empty(), "{}: {faults:#?}", scenario.name);
    }
}

#[test]
fn a_campus_of_twenty_thousand_devices_has_no_wrong_merge() {
    let said = campus::campus(20_000, 1);
    let inventory = merged(said.iter().map(|(_, observation)| observation.clone()).collect());
    let score = score(&said, &inventory);
    println!("{} observations of 20000 devices: {score}", said.len());
    assert_eq!(score.wrong, 0, "a wrong merge: {score}");
    assert!(score.recall() >= RECALL, "{score}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_small_campus_in_any_order_has_no_wrong_merge(
        (said, shuffled) in any::<u64>().prop_flat_map(|seed| {
            let said = campus::campus(200, seed);
            (Just(said.clone()), Just(said).prop_shuffle())
        }),
    ) {
        let bare = |said: &[Labelled]| -> Vec<Observation> {
            said.iter().map(|(_, observation)| observation.clone()).collect()
        };
        let inventory = merged(bare(&said));
        prop_assert!(inventory == merged(bare(&shuffled)), "the order shows");
        let score = score(&said, &inventory);
        prop_assert_eq!(score.wrong, 0, "a wrong merge: {}", score);
    }
}

fn merged(seen: Vec<Observation>) -> Inventory {
    merge(seen, &Ranking::default(), &[])
}

/// How an inventory groups what was said, against the truth.
fn score(said: &[Labelled], inventory: &Inventory) -> Score {
    let mut home: HashMap<u32, usize> = HashMap::new();
    for (place, host) in inventory.hosts.iter().enumerate() {
        home.extend(host.seen.iter().map(|seen| (*seen, place)));
    }
    let hosts = inventory.hosts.len();
    for (place, lone) in inventory.addresses.iter().enumerate() {
        home.extend(lone.address.seen.iter().map(|seen| (*seen, hosts + place)));
    }
    let mut alone = hosts + inventory.addresses.len();
    Score::of(said.iter().map(|(device, observation)| {
        let place = inventory.observations.binary_search(observation).unwrap();
        let group = home.get(&u32::try_from(place).unwrap()).copied().unwrap_or_else(|| {
            alone += 1;
            alone
        });
        (*device, group)
    }))
}
