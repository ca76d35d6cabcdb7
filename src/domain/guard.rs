//! The limit of what one run may change. Beyond it the whole plan is refused, and a
//! person has to allow it by name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::absence::Vanished;
use super::diff::is_own;
use super::plan::{Action, Plan};
use super::settings::{Guard, Limit};
use super::words::words;
use super::world::World;

words! {
    /// What is limited.
    pub enum Cap ("limit") {
        /// New objects.
        Creates = "creates",
        /// Objects whose status says that they are gone.
        Retires = "retires",
        /// Deletions.
        Deletes = "deletes",
        /// Addresses that go to another interface.
        Moves = "moves",
        /// Hosts that a source misses all at once.
        Vanished = "vanished",
    }
}

/// A limit that a plan exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which limit.
    pub cap: Cap,
    /// How many changes there would be.
    pub number: u64,
    /// Of how many.
    pub total: u64,
    /// How many are allowed.
    pub limit: Limit,
    /// What would change, by name.
    pub objects: Vec<Arc<str>>,
    /// The source, for what a source misses.
    pub source: Option<Arc<str>>,
}

/// The limits that a plan exceeds and that a person has not lifted for this run.
#[must_use]
pub fn guard(
    plan: &Plan,
    vanished: &[Vanished],
    world: &World,
    instance: &str,
    limits: &Guard,
    allowed: &BTreeSet<Cap>,
) -> Vec<Refusal> {
    let kept = world.iter().filter(|live| is_own(live, instance)).count() as u64;
    let caps = [
        (Cap::Creates, Action::Create, limits.max_creates),
        (Cap::Retires, Action::Retire, limits.max_retires),
        (Cap::Deletes, Action::Delete, limits.max_deletes),
        (Cap::Moves, Action::Move, limits.max_moves),
    ];
    let mut refusals = Vec::new();
    for (cap, action, limit) in caps {
        let changes = || plan.changes.iter().filter(|change| change.action == action);
        // A share counts against what the agent keeps of the kinds that would change.
        let kinds: BTreeSet<_> = changes().map(|change| change.kind).collect();
        let of_kinds = world
            .iter()
            .filter(|live| kinds.contains(&live.kind) && is_own(live, instance))
            .count() as u64;
        let total = if cap == Cap::Creates { kept } else { of_kinds };
        let objects: Vec<Arc<str>> = changes().map(|change| change.label.clone()).collect();
        refuse(
            &mut refusals,
            Refusal { cap, number: objects.len() as u64, total, limit, objects, source: None },
        );
    }
    for missing in vanished {
        refuse(
            &mut refusals,
            Refusal {
                cap: Cap::Vanished,
                number: missing.missing.len() as u64,
                total: missing.of,
                limit: limits.max_vanished,
                objects: missing.missing.clone(),
                source: Some(missing.source.as_str().into()),
            },
        );
    }
    refusals.retain(|refusal| !allowed.contains(&refusal.cap));
    refusals
}

fn refuse(refusals: &mut Vec<Refusal>, refusal: Refusal) {
    if !refusal.limit.allows(refusal.number, refusal.total) {
        refusals.push(refusal);
    }
}
