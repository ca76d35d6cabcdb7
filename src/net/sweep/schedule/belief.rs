//! What the network can bear, as far as the canaries tell.
//!
//! A network is imagined as something that lets so many packets pass a second, takes some
//! more at once, and loses a share of the rest for reasons of its own, such as radio. For
//! some thousand such networks it is worked out how likely each would have answered as the
//! real one did. A lost canary alone says little: the network may be slow or may just lose
//! packets. Asked faster and slower, it tells the one from the other.

use super::Nanos;

/// Packets a second that a network may bear, some hundredths apart.
const CAPACITIES: usize = 112;
const LOWEST_CAPACITY: f32 = 60.0;
const CAPACITY_STEP: f32 = 1.06;
/// Packets a second that almost any network bears, and how likely one is not to.
const USUALLY_BORNE: f32 = 550.0;
const WEAK: f32 = 0.05;
/// Packets that a network may take at once beyond its capacity, and how likely that is.
const BURSTS: [(f32, f32); 3] = [(12.0, 0.25), (64.0, 0.5), (250.0, 0.25)];
/// The share that it may lose at any rate, and how likely that is.
const LOSSES: [(f32, f32); 5] =
    [(0.0005, 0.4), (0.01, 0.2), (0.04, 0.2), (0.12, 0.15), (0.3, 0.05)];
/// The weight of what was seen shrinks by this with each canary: networks change.
const FORGET: f32 = 0.998;
/// Nothing that is seen is less likely than this, and what passes is so far the mean of
/// all bursts: no network is quite as imagined.
const LEAST: f32 = 0.02;
const MEAN: f32 = 0.15;

/// One number for each burst.
type Each = [f32; BURSTS.len()];
/// One number for each burst and loss.
type Both = [[f32; LOSSES.len()]; BURSTS.len()];
/// The share of packets that passes in each imagined network.
pub(super) type Passing = Box<[Each]>;

const FULL: Each = [BURSTS[0].0, BURSTS[1].0, BURSTS[2].0];

/// Imagined networks and how well they explain what was seen. Each list has an entry for
/// each capacity.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    /// How much each network may still take at once.
    allowances: Vec<Each>,
    updated: Nanos,
    /// The logarithm of each one's likelihood.
    fits: Vec<Both>,
    /// How likely each is; they add up to one.
    weights: Vec<Both>,
}

fn capacity(at: usize) -> f32 {
    LOWEST_CAPACITY * CAPACITY_STEP.powi(i32::try_from(at).unwrap_or(0))
}

/// Networks of one capacity are given `packets` over `seconds`: the share that passes.
fn take(capacity: f32, allowances: &mut Each, packets: f32, seconds: f32) -> Each {
    let mut passing = [0.0; BURSTS.len()];
    let mut mean = 0.0;
    for (at, (burst, likely)) in BURSTS.iter().enumerate() {
        let room = allowances[at] + capacity * seconds;
        passing[at] = if room >= packets { 1.0 } else { room / packets };
        mean += likely * passing[at];
        allowances[at] = (room - packets).clamp(0.0, *burst);
    }
    passing.map(|share| share * (1.0 - MEAN) + mean * MEAN)
}

impl Belief {
    /// What is believed before anything was seen; the time of the first packet.
    pub(super) fn new(now: Nanos) -> Self {
        let prior = |at: usize| {
            let likely = if capacity(at) < USUALLY_BORNE { WEAK } else { 1.0 };
            BURSTS.map(|(_, burst)| LOSSES.map(|(_, loss)| (likely * burst * loss).ln()))
        };
        let mut belief = Belief {
            allowances: vec![FULL; CAPACITIES],
            updated: now,
            fits: (0..CAPACITIES).map(prior).collect(),
            weights: Vec::new(),
        };
        belief.weigh();
        belief
    }

    /// So many packets were sent until now since the last call: the share that passes now.
    pub(super) fn sent(&mut self, packets: u32, now: Nanos) -> Passing {
        let seconds = now.saturating_sub(self.updated) as f32 * 1e-9;
        self.updated = now;
        let networks = self.allowances.iter_mut().enumerate();
        networks
            .map(|(at, allowances)| take(capacity(at), allowances, packets as f32, seconds))
            .collect()
    }

    /// A canary that left when this share passed came back, or did not.
    pub(super) fn learn(&mut self, passing: &[Each], came_back: bool) {
        let explains = |share: f32, loss: f32| {
            let chance = share * (1.0 - loss);
            if came_back { chance } else { 1.0 - chance }.max(LEAST).ln()
        };
        // Most networks let everything pass most of the time.
        let when_all_pass = LOSSES.map(|(loss, _)| explains(1.0, loss));
        for (fits, passing) in self.fits.iter_mut().zip(passing) {
            for (fits, share) in fits.iter_mut().zip(passing) {
                for (at, fit) in fits.iter_mut().enumerate() {
                    let now = if *share < 1.0 {
                        explains(*share, LOSSES[at].0)
                    } else {
                        when_all_pass[at]
                    };
                    *fit = *fit * FORGET + now;
                }
            }
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let best = self
            .fits
            .as_flattened()
            .as_flattened()
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        self.weights.clear();
        self.weights.extend(
            self.fits.iter().map(|fits| fits.map(|fits| fits.map(|fit| (fit - best).exp()))),
        );
        let weights = self.weights.as_flattened_mut().as_flattened_mut();
        let all: f32 = weights.iter().sum();
        for weight in weights {
            *weight /= all;
        }
    }

    /// The highest rate up to `most` that in the long run would lose no more than this
    /// share by being too high.
    pub(super) fn bears(&self, most: f32, excess: f32) -> f32 {
        // A rate loses what is over the capacities below it: Σ weight × (1 - capacity / rate).
        let (mut likely, mut passing, mut best) = (0.0, 0.0, LOWEST_CAPACITY);
        for (at, weights) in self.weights.iter().enumerate() {
            let rate = capacity(at);
            if likely - passing / rate > excess {
                // Between the last capacity and this one it is just the share.
                return best.max(passing / (likely - excess)).min(most);
            }
            best = rate;
            let weight: f32 = weights.as_flattened().iter().sum();
            likely += weight;
            passing += weight * rate;
        }
        most
    }

    /// The share that passed in each of these stretches of packets and seconds.
    pub(super) fn replay(&self, stretches: impl Iterator<Item = (u32, f32)>) -> Vec<f32> {
        let networks = self.weights.iter().enumerate().map(|(at, weights)| {
            let likely: Each = weights.map(|weights| weights.iter().sum());
            (capacity(at), FULL, likely)
        });
        let mut networks: Vec<_> =
            networks.filter(|(.., likely)| likely.iter().sum::<f32>() > 1e-4).collect();
        let all: f32 = networks.iter().flat_map(|(.., likely)| likely).sum();
        let passing = |(packets, seconds): (u32, f32)| {
            let mut sum = 0.0;
            for (capacity, allowances, likely) in &mut networks {
                let passing = take(*capacity, allowances, packets as f32, seconds);
                sum +=
                    passing.iter().zip(likely).map(|(share, likely)| share * *likely).sum::<f32>();
            }
            (sum / all).min(1.0)
        };
        stretches.map(passing).collect()
    }

    /// The share that is lost at any rate.
    pub(super) fn lost_anyway(&self) -> f32 {
        let weights = self.weights.as_flattened().iter();
        weights
            .flat_map(|weights| weights.iter().zip(LOSSES))
            .map(|(weight, (loss, _))| weight * loss)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: f32 = 1e9;

    /// What is believed after `count` canaries, one of five packets, at a rate.
    fn after(belief: &mut Belief, count: u32, rate: f32, mut comes_back: impl FnMut(u32) -> bool) {
        for number in 0..count {
            let now = belief.updated + (5.0 / rate * SECOND) as Nanos;
            let passing = belief.sent(5, now);
            belief.learn(&passing, comes_back(number));
        }
    }

    #[test]
    fn a_network_that_bears_a_rate_is_trusted_with_more() {
        let mut belief = Belief::new(0);
        let before = belief.bears(40_000.0, 0.1);
        after(&mut belief, 200, 1_000.0, |_| true);
        assert!(belief.bears(40_000.0, 0.1) > before);
        assert!(belief.bears(40_000.0, 0.02) > 1_000.0);
        assert!(belief.lost_anyway() < 0.01);
    }

    #[test]
    fn a_network_that_drops_the_rest_is_told_by_its_capacity() {
        let mut belief = Belief::new(0);
        after(&mut belief, 60, 500.0, |_| true);
        // Of 2,000 packets a second one in two comes through.
        after(&mut belief, 60, 2_000.0, |number| number < 20 || number % 2 == 0);
        let bears = belief.bears(40_000.0, 0.02);
        assert!((700.0..1_300.0).contains(&bears), "{bears}");
    }

    #[test]
    fn a_network_that_loses_some_at_any_rate_is_not_taken_for_a_slow_one() {
        let mut belief = Belief::new(0);
        after(&mut belief, 100, 500.0, |number| number % 20 != 7);
        after(&mut belief, 100, 4_000.0, |number| number % 20 != 7);
        assert!(belief.bears(40_000.0, 0.02) > 3_000.0, "{}", belief.bears(40_000.0, 0.02));
    }

    #[test]
    fn what_left_too_fast_is_known_to_be_lost_afterwards() {
        let mut belief = Belief::new(0);
        after(&mut belief, 60, 500.0, |_| true);
        after(&mut belief, 60, 2_000.0, |number| number < 20 || number % 2 == 0);
        let passed = belief.replay([(500, 1.0), (2_000, 1.0)].into_iter());
        assert!(passed[0] > 0.97 && passed[1] < 0.7, "{passed:?}");
    }
}
