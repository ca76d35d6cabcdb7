//! How fast to ask: a bucket of tokens spaces the packets, and its rate follows what the
//! network is believed to bear. Without a host that answers nothing is learnt, and the
//! rate stays where it began.

use super::Nanos;
use super::belief::Belief;

const SECOND: f64 = 1e9;
/// The most packets that leave at once at a limited rate.
const BURST: f64 = 32.0;
/// Packets a second before anything is known of a network.
const GENTLE: f64 = 500.0;
/// The highest rate that a network is given without being told, however well it bears it.
const CEILING: f64 = 10_000.0;
/// The same where no limit was told, and the network turned out to have one.
const HIGHEST: f64 = 30_000.0;
/// The rate below which a sweep is not worth the waiting.
const FLOOR: f64 = 250.0;
/// The share that may be lost by asking too fast, while the network is tried.
const TRYING: f32 = 0.3;
/// The same once it was seen to have an end, and how far to stay below that.
const TESTED: f32 = 0.02;
const MARGIN: f64 = 0.95;
/// A network that is believed to bear so many times the rate, while it is tried, has no end
/// that was seen: what was lost got lost for other reasons.
const FAR: f64 = 1.7;
/// Canaries to hear of before a rate is changed.
const HEAR: u32 = 3;

/// How fast a sweep may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rate {
    /// Gently, and faster as far as the network is seen to bear it.
    #[default]
    Adaptive,
    /// At most so many packets a second.
    AtMost(u32),
    /// As fast as the interface takes them, until that is seen to be too fast.
    Max,
}

/// The bucket and its rate.
#[derive(Debug, Clone)]
pub(in crate::net::sweep) struct Pace {
    /// None: no limit.
    rate: Option<f64>,
    ceiling: f64,
    tokens: f64,
    filled: Nanos,
    /// Canaries heard of at this rate.
    heard: u32,
    /// Whether some rate was seen to be too high.
    tested: bool,
}

impl Pace {
    pub(in crate::net::sweep) fn new(rate: Rate) -> Self {
        let (rate, ceiling) = match rate {
            Rate::Adaptive => (Some(GENTLE), CEILING),
            Rate::AtMost(rate) => (Some(f64::from(rate.max(1))), f64::from(rate.max(1))),
            Rate::Max => (None, HIGHEST),
        };
        let mut pace = Pace { rate, ceiling, tokens: 0.0, filled: 0, heard: 0, tested: false };
        pace.tokens = pace.burst();
        pace
    }

    fn burst(&self) -> f64 {
        self.rate.map_or(f64::INFINITY, |rate| rate.clamp(1.0, BURST))
    }

    /// Whether there is a limit.
    pub(super) fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// Whether a packet may leave now; takes its token.
    pub(in crate::net::sweep) fn grant(&mut self, now: Nanos) -> bool {
        let Some(rate) = self.rate else { return true };
        self.refill(rate, now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn refill(&mut self, rate: f64, now: Nanos) {
        let passed = now.saturating_sub(self.filled) as f64 / SECOND;
        self.tokens = (self.tokens + passed * rate).min(self.burst());
        self.filled = self.filled.max(now);
    }

    /// When the next packets may leave. At higher rates several go together, so that the
    /// waiting does not cost more than the sending.
    pub(in crate::net::sweep) fn next_grant(&self) -> Nanos {
        let Some(rate) = self.rate else { return 0 };
        let together = (rate * 0.001).clamp(1.0, BURST / 2.0);
        let missing = (together - self.tokens).max(0.0);
        self.filled + (missing / rate * SECOND).ceil() as Nanos + 1
    }

    /// How many other packets go between two canaries.
    pub(super) fn canary_gap(&self, known: u32) -> u32 {
        match self.rate {
            None if known < 300 => 12,
            None => 200,
            Some(rate) if rate >= self.ceiling => 24,
            Some(_) if self.tested => 10,
            Some(_) => 4,
        }
    }

    /// A canary is back or lost: another rate, if what is believed now asks for one.
    pub(super) fn follow(&mut self, belief: &Belief, now: Nanos) {
        let Some(rate) = self.rate else { return };
        self.test(rate, belief);
        self.heard += 1;
        if self.heard < HEAR {
            return;
        }
        let most = (rate * 2.0).min(self.ceiling) as f32;
        let bears = if self.tested {
            MARGIN * f64::from(belief.bears(most, TESTED))
        } else {
            f64::from(belief.bears(most, TRYING))
        };
        let bears = bears.max(FLOOR.min(self.ceiling)).min(self.ceiling);
        // Small changes are not worth forgetting what was heard at this rate.
        if bears < rate * 0.97 || bears > rate * 1.05 {
            self.refill(rate, now);
            self.rate = Some(bears);
            self.heard = 0;
        }
    }

    /// Whether some rate is too high, as far as is believed now: a few canaries that were
    /// lost by chance look like an end of what the network bears, until more are heard of.
    fn test(&mut self, rate: f64, belief: &Belief) {
        let bears = |most: f64| f64::from(belief.bears(most as f32, TRYING));
        if self.tested {
            self.tested = bears(rate * 2.0) < rate * FAR;
        } else {
            self.tested = bears(rate) < rate;
        }
    }

    /// The rate without limit was too high: from now on it has one, and begins gently.
    pub(super) fn limit(&mut self, now: Nanos) {
        self.rate = Some(GENTLE);
        self.filled = now;
        self.tokens = 0.0;
        self.heard = 0;
    }
}
