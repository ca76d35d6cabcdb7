//! How long answers take, and from that how long to wait for one.

use super::Nanos;

const MILLISECOND: Nanos = 1_000_000;
/// What takes longer is no measure: waiting for its like would take forever.
const LONGEST: Nanos = 1000 * MILLISECOND;

/// What the round trips so far tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trips {
    smoothed: Nanos,
    varies: Nanos,
    shortest: Nanos,
    longest: Nanos,
    count: u32,
    /// How long to wait while nothing is known.
    unknown: Nanos,
}

impl Trips {
    pub(super) fn new(unknown: Nanos) -> Self {
        Trips { smoothed: 0, varies: 0, shortest: Nanos::MAX, longest: 0, count: 0, unknown }
    }

    /// An answer that surely belongs to the question before it took this long.
    pub(super) fn took(&mut self, trip: Nanos) {
        let trip = trip.min(LONGEST);
        if self.count == 0 {
            self.smoothed = trip;
            self.varies = trip / 2;
        } else {
            let apart = self.smoothed.abs_diff(trip);
            self.varies = self.varies - self.varies / 4 + apart / 4;
            self.smoothed = self.smoothed - self.smoothed / 8 + trip / 8;
        }
        self.shortest = self.shortest.min(trip);
        self.longest = self.longest.max(trip);
        self.count = self.count.saturating_add(1);
    }

    /// How long to wait before a question counts as not answered.
    pub(super) fn patience(&self) -> Nanos {
        if self.count == 0 {
            return self.unknown;
        }
        let by_spread = self.smoothed + 4 * self.varies;
        by_spread.max(self.longest + self.longest / 4) + MILLISECOND
    }

    /// Whether an answer can come so soon after its question, judged by those that did.
    pub(super) fn can_be(&self, trip: Nanos) -> bool {
        self.count == 0 || trip >= self.shortest - self.shortest / 4
    }

    /// Whether this trip is like most others: such a host is fit to tell of the network.
    pub(super) fn is_usual(&self, trip: Nanos) -> bool {
        trip <= 4 * self.smoothed + MILLISECOND
    }

    pub(super) fn smoothed(&self) -> Option<Nanos> {
        (self.count > 0).then_some(self.smoothed)
    }
}
