//! A network played to the schedule: capacity, delay, loss and sleep, without a wire.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use super::*;

const MS: Nanos = 1_000_000;

/// A network and its hosts.
#[derive(Debug, Clone)]
struct Network {
    targets: u32,
    alive: BTreeSet<u32>,
    trip: Nanos,
    jitter: Nanos,
    loss: f64,
    /// Packets a second, and how many above that it takes at once.
    capacity: Option<(f64, f64)>,
    /// The share of hosts that sleep, and how long they take to wake.
    sleepy: (f64, Nanos),
    /// What it costs to send one packet.
    cost: Nanos,
    /// The time at which everything goes silent.
    dies: Option<Nanos>,
    seed: u64,
}

/// What came of a sweep.
#[derive(Debug)]
struct Played {
    found: BTreeSet<u32>,
    took: Nanos,
    summary: Summary,
    /// When each packet left.
    departures: Vec<Nanos>,
}

impl Network {
    fn of(targets: u32, alive: u32, seed: u64) -> Self {
        let mut dice = Dice(seed | 1);
        let mut set = BTreeSet::new();
        while (set.len() as u32) < alive {
            set.insert((dice.unit() * f64::from(targets)) as u32);
        }
        Network {
            targets,
            alive: set,
            trip: MS,
            jitter: MS / 5,
            loss: 0.0,
            capacity: None,
            sleepy: (0.0, 0),
            cost: 1_500,
            dies: None,
            seed,
        }
    }

    fn play(&self, rate: Rate, linger: u64) -> Played {
        let policy = Policy {
            rate,
            linger: Duration::from_millis(linger),
            unknown: Duration::from_millis(100),
        };
        let mut schedule = Schedule::new(self.targets, &policy, 7);
        self.drive(&mut schedule)
    }

    fn drive(&self, schedule: &mut Schedule) -> Played {
        let mut dice = Dice(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut now: Nanos = 0;
        let (mut tokens, mut filled) = (self.capacity.map_or(0.0, |(_, burst)| burst), 0);
        let mut replies: BinaryHeap<Reverse<(Nanos, u32)>> = BinaryHeap::new();
        let mut played = Played {
            found: BTreeSet::new(),
            took: 0,
            summary: schedule.summary(),
            departures: Vec::new(),
        };
        loop {
            assert!(now < 3_600_000 * MS, "it does not end: {:?}", schedule.summary());
            while let Some(Reverse((at, target))) = replies.peek().copied()
                && at <= now
            {
                replies.pop();
                if matches!(schedule.heard(target, None, at), Answer::First(_)) {
                    assert!(played.found.insert(target));
                }
            }
            let target = match schedule.next(now) {
                Step::Done => break,
                Step::Wait(until) => {
                    assert!(until > now, "waiting for what is over");
                    let reply = replies.peek().map_or(Nanos::MAX, |Reverse((at, _))| *at);
                    now = until.min(reply);
                    continue;
                }
                Step::AskKnown(target) | Step::Ask(target, _) | Step::Canary(target) => target,
            };
            now += self.cost;
            played.departures.push(now);
            if let Some((rate, burst)) = self.capacity {
                tokens = (tokens + (now - filled) as f64 * 1e-9 * rate).min(burst);
                filled = now;
                if tokens < 1.0 {
                    continue;
                }
                tokens -= 1.0;
            }
            let gone = self.dies.is_some_and(|time| now > time);
            if gone || !self.alive.contains(&target) || dice.unit() < self.loss {
                continue;
            }
            let mut trip = self.trip + (dice.unit() * self.jitter as f64) as Nanos;
            if f64::from(target.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX) < self.sleepy.0 {
                trip += self.sleepy.1;
            }
            replies.push(Reverse((now + trip, target)));
        }
        played.took = now;
        played.summary = schedule.summary();
        played
    }
}

/// A small generator of chances, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Plays many networks and gives back how long the slowest sweep took, in milliseconds.
/// Hosts may be missed as seldom as a complete sweep claims.
fn play_all(networks: impl Iterator<Item = Network>, rate: Rate) -> Nanos {
    let (mut slowest, mut missed, mut expected) = (0, 0.0, 0.0);
    for network in networks {
        let played = network.play(rate, 150);
        let found = played.found.len();
        assert!(played.found.is_subset(&network.alive));
        assert!(played.summary.complete, "{:?}", played.summary);
        assert_eq!(played.summary.found as usize, found);
        missed += (network.alive.len() - found) as f64;
        expected += f64::from(ENOUGH);
        slowest = slowest.max(played.took);
    }
    assert!(missed <= 1.0 + 3.0 * expected, "{missed} hosts missed");
    slowest / MS
}

/// Twenty networks of a size.
fn twenty(targets: u32, alive: u32) -> impl Iterator<Item = Network> {
    (1..=20).map(move |seed| Network::of(targets, alive, seed))
}

fn bearing(
    capacity: f64,
    networks: impl Iterator<Item = Network>,
) -> impl Iterator<Item = Network> {
    networks.map(move |network| Network { capacity: Some((capacity, 64.0)), ..network })
}

fn losing(share: f64, networks: impl Iterator<Item = Network>) -> impl Iterator<Item = Network> {
    networks.map(move |network| Network { loss: share, ..network })
}

#[test]
fn a_quiet_network_is_seen_whole_in_two_rounds() {
    for network in twenty(254, 28) {
        for rate in [Rate::Max, Rate::Adaptive, Rate::AtMost(2_000)] {
            let played = network.play(rate, 150);
            assert_eq!(played.found, network.alive);
            assert!(played.summary.complete);
            assert_eq!(played.summary.rounds, 2, "{rate:?}");
        }
    }
    assert!(play_all(twenty(254, 28), Rate::Adaptive) < 300);
    assert!(play_all(twenty(1022, 100), Rate::Adaptive) < 450);
}

#[test]
fn a_network_without_hosts_is_asked_no_faster_than_it_began() {
    let played = Network::of(1022, 0, 1).play(Rate::Adaptive, 150);
    assert!(played.summary.complete && played.summary.rounds == 2);
    most_at_once(&played, MS, 33);
    most_at_once(&played, 1000 * MS, 500 + 32);
}

#[test]
fn the_rate_that_was_told_is_kept() {
    let played = Network::of(1022, 200, 1).play(Rate::AtMost(700), 150);
    most_at_once(&played, 1000 * MS, 700 + 32);
    most_at_once(&played, MS, 33);
    let played = Network::of(100, 10, 1).play(Rate::AtMost(5), 150);
    most_at_once(&played, 1000 * MS, 10);
}

#[test]
fn nobody_is_asked_faster_than_the_highest_rate_without_being_told() {
    let played = Network { cost: 1, ..Network::of(16_382, 3_000, 1) }.play(Rate::Adaptive, 150);
    most_at_once(&played, 100 * MS, 1_000 + 32);
}

/// No stretch of this length has more packets than that.
fn most_at_once(played: &Played, stretch: Nanos, most: usize) {
    let mut first = 0;
    for (last, at) in played.departures.iter().enumerate() {
        while played.departures[first] + stretch <= *at {
            first += 1;
        }
        assert!(last - first < most, "{} packets in {} ms", last - first + 1, stretch / MS);
    }
}

#[test]
fn what_the_network_can_bear_is_found_out_and_kept() {
    assert!(play_all(bearing(10_000.0, twenty(1022, 100)), Rate::Adaptive) < 500);
    assert!(play_all(bearing(2_000.0, twenty(1022, 100)), Rate::Adaptive) < 2_200);
    assert!(play_all(bearing(1_000.0, twenty(1022, 100)), Rate::Adaptive) < 3_500);
    assert!(play_all(bearing(500.0, twenty(254, 28)), Rate::Adaptive) < 3_000);
}

#[test]
fn without_a_limit_too_fast_is_noticed() {
    assert!(play_all(bearing(1_000.0, twenty(254, 28)), Rate::Max) < 2_500);
    assert!(play_all(bearing(10_000.0, twenty(1022, 100)), Rate::Max) < 2_000);
}

#[test]
fn a_network_that_takes_the_first_questions_alone_is_not_taken_for_one_that_takes_all() {
    let sixty = |hosts| (1..=60).map(move |seed| Network::of(254, hosts, seed));
    for (capacity, hosts) in [(10_000.0, 28), (5_000.0, 28), (2_000.0, 60)] {
        assert!(play_all(bearing(capacity, sixty(hosts)), Rate::Max) < 6_000);
    }
    // Few hosts tell little: what may be missing is at least told.
    let few = bearing(10_000.0, sixty(12)).map(|network| (network.play(Rate::Max, 30), network));
    for (played, network) in few {
        assert!(played.found == network.alive || !played.summary.complete, "{played:?}");
    }
}

#[test]
fn hosts_behind_a_lossy_link_are_asked_until_they_must_have_heard() {
    for share in [0.01, 0.05, 0.15] {
        play_all(losing(share, twenty(254, 28)), Rate::Max);
        play_all(losing(share, twenty(254, 28)), Rate::Adaptive);
    }
    assert!(play_all(losing(0.05, twenty(254, 28)), Rate::Max) < 200);
}

#[test]
fn what_is_lost_at_any_rate_does_not_slow_a_sweep_down() {
    // By chance a loss looks like an end of what the network bears for a while: seldom.
    for share in [0.01, 0.05, 0.15] {
        let play = |network: Network| network.play(Rate::Adaptive, 150).took / MS;
        let mut took: Vec<Nanos> = losing(share, twenty(1022, 100)).map(play).collect();
        took.sort_unstable();
        assert!(took[10] < 1_200, "{share}: {took:?}");
    }
    assert!(play_all(losing(0.05, twenty(4094, 1000).take(5)), Rate::Adaptive) < 4_000);
}

#[test]
fn a_network_with_an_end_that_loses_some_anyway_is_seen_whole_and_spared() {
    let networks = losing(0.05, bearing(1_000.0, twenty(1022, 100)));
    let played: Vec<Played> = networks.map(|network| network.play(Rate::Adaptive, 150)).collect();
    assert!(played.iter().all(|played| played.summary.complete));
    assert!(played.iter().map(|played| 100 - played.found.len()).sum::<usize>() <= 1);
    // More than the network bears is not asked for long.
    let (sent, took) = played.iter().fold((0, 0), |(sent, took), played| {
        (sent + played.departures.len() as u64, took + played.took / MS)
    });
    assert!(sent < took * 11 / 10, "{sent} packets in {took} ms");
}

#[test]
fn sleepers_are_waited_for() {
    let sleepers = twenty(254, 28).map(|network| Network { sleepy: (0.2, 120 * MS), ..network });
    assert!(play_all(sleepers, Rate::Adaptive) < 1_000);
}

#[test]
fn distant_networks_are_waited_for() {
    let distant =
        twenty(254, 28).map(|network| Network { trip: 80 * MS, jitter: 40 * MS, ..network });
    assert!(play_all(distant, Rate::Max) < 1_000);
}

#[test]
fn all_found_is_the_end_at_once() {
    let mut schedule = Schedule::new(254, &POLICY, 7);
    schedule.settle(3);
    let network = Network { alive: (0..254).collect(), ..Network::of(254, 0, 1) };
    let played = network.drive(&mut schedule);
    assert_eq!(played.found.len(), 253);
    assert!(!played.found.contains(&3));
    assert!(played.took < 10 * MS);
}

#[test]
fn hosts_that_are_known_are_asked_first_and_once() {
    let network = Network::of(254, 28, 5);
    let known: Vec<u32> = network.alive.iter().copied().collect();
    let mut schedule = Schedule::new(254, &POLICY, 7);
    schedule.expect(known.iter().copied().chain([9_999]).collect());
    for target in &known {
        assert_eq!(schedule.next(0), Step::AskKnown(*target));
    }
    for target in &known {
        assert!(matches!(schedule.heard(*target, None, MS), Answer::First(Some(_))));
    }
    let mut asked = BTreeSet::new();
    while let Step::Ask(target, count) = schedule.next(MS) {
        assert_eq!(count, 1);
        asked.insert(target);
    }
    assert!(asked.is_disjoint(&network.alive));
}

#[test]
fn a_host_that_moved_is_found_where_it_is() {
    // It does not answer where it was; the others do not, either.
    let network = Network::of(30, 0, 1);
    let mut schedule = Schedule::new(30, &POLICY, 7);
    schedule.expect(vec![4]);
    assert_eq!(schedule.next(0), Step::AskKnown(4));
    let played = network.drive(&mut schedule);
    // Each of thirty twice, and once where it was, which was before the counting.
    assert_eq!(played.departures.len(), 60);
}

const POLICY: Policy = Policy {
    rate: Rate::Max,
    linger: Duration::from_millis(150),
    unknown: Duration::from_millis(100),
};

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]

    #[test]
    fn every_sweep_ends_and_claims_no_more_than_it_knows(
        targets in 1_u32..600,
        share in 0.0..1.0_f64,
        seed in 1_u64..1_000_000,
        loss in 0.0..0.6_f64,
        trip in 1_u64..300,
        capacity in proptest::option::of((50.0..5_000.0_f64, 1.0..200.0_f64)),
        dies in proptest::option::of(0_u64..500),
        rate in proptest::sample::select(vec![Rate::Adaptive, Rate::AtMost(300), Rate::Max]),
    ) {
        let alive = (f64::from(targets) * share) as u32;
        let network = Network {
            loss,
            trip: trip * MS,
            capacity,
            dies: dies.map(|time| time * MS),
            ..Network::of(targets, alive, seed)
        };
        let played = network.play(rate, 150);
        proptest::prop_assert!(played.found.is_subset(&network.alive));
        proptest::prop_assert_eq!(played.summary.found as usize, played.found.len());
        proptest::prop_assert!(played.summary.rounds <= MOST_ROUNDS);
    }
}
