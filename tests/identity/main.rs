//! Identity against labelled truth: one thing, one object.
//!
//! The corpus in `tests/corpus` says what sources saw, what stood in NetBox and what is
//! true; here every scenario is played with the whole engine, and the report counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the report is what the test is for")]

mod judge;
mod lab;
mod scenario;
mod score;

use score::Score;

/// Of the pairs that are one thing, so many must be found.
const RECALL: f64 = 0.98;

#[test]
fn every_scenario_of_the_corpus_ends_as_a_person_would_have_it() {
    let only = std::env::var("CORPUS").unwrap_or_default();
    let scenarios = scenario::all();
    let mut total = Score::default();
    let mut faults = Vec::new();
    for scenario in scenarios.iter().filter(|one| one.name.contains(&only)) {
        let finding = judge::play(scenario);
        total += finding.score;
        let mark = if finding.faults.is_empty() { "ok" } else { "WRONG" };
        println!("{mark:<5} {:<44} {}", scenario.name, finding.score);
        if !finding.faults.is_empty() {
            println!("      {}", scenario.shows);
            finding.faults.iter().for_each(|fault| println!("      {fault}"));
        }
        faults
            .extend(finding.faults.into_iter().map(|fault| format!("{}: {fault}", scenario.name)));
    }
    println!("{} scenarios: {total}", scenarios.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(total.wrong, 0, "a wrong merge: {total}");
    assert!(total.recall() >= RECALL, "{total}");
    assert!(scenarios.len() >= 60, "the corpus has {} scenarios", scenarios.len());
}
