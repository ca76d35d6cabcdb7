//! Counts pairs: of two observations of one run, are they of one thing, and are they
//! taken to be?

use std::collections::BTreeMap;
use std::fmt;

/// Pairs of observations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Score {
    /// Of one thing, and taken so.
    pub right: u64,
    /// Of two things, and taken to be of one: a wrong merge.
    pub wrong: u64,
    /// Of one thing, and not taken so.
    pub missed: u64,
}

impl Score {
    /// The score of a partition against the true one: for each observation its true
    /// group and the group that it was given.
    pub(crate) fn of<T: Ord + Clone, G: Ord + Clone>(
        observations: impl IntoIterator<Item = (T, G)>,
    ) -> Self {
        let mut cells: BTreeMap<(T, G), u64> = BTreeMap::new();
        for pair in observations {
            *cells.entry(pair).or_default() += 1;
        }
        let mut things: BTreeMap<T, u64> = BTreeMap::new();
        let mut groups: BTreeMap<G, u64> = BTreeMap::new();
        for ((thing, group), count) in &cells {
            *things.entry(thing.clone()).or_default() += count;
            *groups.entry(group.clone()).or_default() += count;
        }
        let pairs = |count: &u64| count * count.saturating_sub(1) / 2;
        let right: u64 = cells.values().map(pairs).sum();
        let true_pairs: u64 = things.values().map(pairs).sum();
        let taken: u64 = groups.values().map(pairs).sum();
        Score { right, wrong: taken - right, missed: true_pairs - right }
    }

    /// Of the pairs that were taken to be one thing, how many are.
    pub(crate) fn precision(self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    /// Of the pairs that are one thing, how many were taken to be.
    pub(crate) fn recall(self) -> f64 {
        share(self.right, self.right + self.missed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "precision {:.4}, recall {:.4}", self.precision(), self.recall())?;
        write!(f, " ({} right, {} wrong, {} missed)", self.right, self.wrong, self.missed)
    }
}

#[test]
fn pairs_are_counted_as_a_person_would() {
    // a, a, b taken as one; a second a alone.
    let score = Score::of([("a", 1), ("a", 1), ("b", 1), ("a", 2)]);
    assert_eq!(score, Score { right: 1, wrong: 2, missed: 2 });
    assert_eq!(Score::of([("a", 1), ("b", 2)]).precision(), 1.0);
}
