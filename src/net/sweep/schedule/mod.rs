//! Whom to ask next, and when it is enough: the pure heart of a sweep.
//!
//! Targets are numbers, time is passed in, and nothing here sends or receives, so that
//! a network can be played to it in a test. Its rules:
//!
//! 1. Hosts that answered in an earlier run are asked first, each by itself.
//! 2. Then everybody in rounds, in an order that spreads over the whole set; only the
//!    silent are asked again, when an answer to their last question can no longer come.
//! 3. Every question to a silent address has a chance of having been lost, which the
//!    [`loss`] book knows for the time at which it was asked. What is multiplied over an
//!    address's questions is the chance that it is a host all the same. The sweep ends
//!    when fewer than a hundredth of a host is expected to be missing, after two rounds
//!    at least, and after listening to each address for a while (hosts sleep).
//! 4. The [`pace`] follows the canaries: known hosts that are asked now and then.

mod belief;
mod canary;
mod loss;
mod order;
mod pace;
#[cfg(test)]
mod simulation;
mod trips;

use std::time::Duration;

use canary::{Back, Canaries, Sent};
use loss::Losses;
use order::{GOLDEN, Order};
pub(super) use pace::Pace;
pub use pace::Rate;
use trips::Trips;

/// Nanoseconds since the sweep began.
pub(super) type Nanos = u64;

/// The number of hosts expected to be missing at which a sweep is complete.
const ENOUGH: f32 = 0.01;
/// Rounds that are asked in any case while somebody is silent.
const FEWEST_ROUNDS: u8 = 2;
/// Rounds after which a network counts as too lossy to be seen whole.
const MOST_ROUNDS: u8 = 10;
/// How long queues may take to drain that a sweep without a limit has filled.
const DRAIN: Nanos = 25_000_000;
/// The most packets between two canaries of a network with few hosts, without a limit.
const FARTHEST: u32 = 64;
/// The longest wait between two questions to one address, however often it was asked.
const LONGEST_WAIT: Nanos = 1_000_000_000;

/// How a sweep is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How fast.
    pub rate: Rate,
    /// How long to listen to each address at least: hosts that save power answer late.
    pub linger: Duration,
    /// How long an answer may take while no host has answered yet.
    pub unknown: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask this target, which answered in an earlier run, where it was then.
    AskKnown(u32),
    /// Ask this target; the count begins at 1.
    Ask(u32, u8),
    /// Ask this host again, in the same way as those that are not known.
    Canary(u32),
    /// Nothing until then, unless an answer comes.
    Wait(Nanos),
    /// The sweep is complete, or nothing more can be done.
    Done,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A host that was not known before; how long its answer took, where that is known.
    First(Option<Duration>),
    /// A host that had answered before.
    Again,
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many addresses were asked at least once, or answered without.
    pub asked: u32,
    /// How many answered.
    pub found: u32,
    /// How many questions were asked, canaries among them.
    pub sent: u64,
    /// How many rounds there were.
    pub rounds: u8,
    /// How many hosts are expected to have been missed.
    pub missing: f32,
    /// The share of questions that got lost.
    pub loss: f32,
    /// Whether everything was done that was to be done.
    pub complete: bool,
    /// The usual round trip.
    pub trip: Option<Duration>,
}

/// What is known of one target. Sixteen bytes: a /16 has 65,536 of them.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// When it was asked last.
    last: Nanos,
    /// Microseconds between that and the time before.
    gap: u32,
    /// The epoch of the last question.
    epoch: u16,
    /// How often it was asked.
    asked: u8,
    /// The chance that all questions but the last got lost, as quarters of a power of ½;
    /// [`FOUND`] for a host that answered.
    thin: u8,
}

const FOUND: u8 = u8::MAX;

impl Slot {
    fn is_found(&self) -> bool {
        self.thin == FOUND
    }

    /// Whether it is silent and was passed over in a round.
    fn was_asked_too_seldom(&self) -> bool {
        !self.is_found() && self.asked < FEWEST_ROUNDS
    }

    /// The chance that every question got lost.
    fn unheard(&self, losses: &Losses) -> f32 {
        if self.asked == 0 {
            1.0
        } else if losses.is_uniform() {
            // What got lost in the first round shows in the second: only now is it known.
            losses.overall().powi(i32::from(self.asked))
        } else {
            (-f32::from(self.thin) / 4.0).exp2() * losses.of(self.epoch)
        }
    }
}

/// The state of a sweep.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// In the order in which targets are asked: a round walks through them from one to the
    /// next, and never waits for memory that lies elsewhere.
    slots: Vec<Slot>,
    order: Order,
    known: Vec<u32>,
    round: u8,
    cursor: u32,
    /// In later rounds, addresses whose chance is below this are left in peace.
    worth: f32,
    found: u32,
    asked: u32,
    sent: u64,
    since_canary: u32,
    last_sent: Nanos,
    /// When an address was asked for the first time, last.
    last_first: Nanos,
    /// When a host was found, last.
    last_found: Nanos,
    /// When a target answered, last.
    last_heard: Nanos,
    linger: Nanos,
    missing: f32,
    done: bool,
    trips: Trips,
    losses: Losses,
    pace: Pace,
    canaries: Canaries,
}

impl Schedule {
    /// A sweep over so many targets. The seed turns the order in which they are asked.
    #[must_use]
    pub fn new(targets: u32, policy: &Policy, seed: u32) -> Self {
        let pace = Pace::new(policy.rate);
        Schedule {
            slots: vec![Slot::default(); targets as usize],
            order: Order::new(targets, seed),
            known: Vec::new(),
            round: 1,
            cursor: 0,
            worth: 0.0,
            found: 0,
            asked: 0,
            sent: 0,
            since_canary: 0,
            last_sent: 0,
            last_first: 0,
            last_found: 0,
            last_heard: 0,
            linger: nanos(policy.linger),
            missing: 0.0,
            done: false,
            trips: Trips::new(nanos(policy.unknown)),
            losses: Losses::new(pace.is_limited()),
            pace,
            canaries: Canaries::default(),
        }
    }

    /// These targets answered in an earlier run: they are asked first.
    pub fn expect(&mut self, mut targets: Vec<u32>) {
        targets.retain(|target| (*target as usize) < self.slots.len());
        targets.reverse();
        self.known = targets;
    }

    /// This target needs no question: it is the machine's own address.
    pub fn settle(&mut self, target: u32) {
        if let Some(place) = self.order.place(target)
            && !self.slots[place].is_found()
        {
            self.slots[place].thin = FOUND;
            self.found += 1;
        }
    }

    /// Whether one more packet may leave now, of those that follow an answer.
    pub fn grant(&mut self, now: Nanos) -> bool {
        let granted = self.pace.grant(now);
        if granted {
            self.losses.sent();
        }
        granted
    }

    /// When the next packet may leave.
    #[must_use]
    pub fn next_grant(&self) -> Nanos {
        self.pace.next_grant()
    }

    /// How long to wait for an answer at this time.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_nanos(self.trips.patience())
    }

    /// The share of questions to hosts that get lost.
    #[must_use]
    pub fn loss(&self) -> f32 {
        self.losses.overall()
    }

    /// Addresses that were asked at least once, for showing progress.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.asked.into()
    }

    /// What to do next. Whoever calls this does what it says.
    pub fn next(&mut self, now: Nanos) -> Step {
        if self.done {
            return Step::Done;
        }
        self.mourn(now);
        let (place, is_known) = match self.pick(now) {
            Pick::Known(place) => (place, true),
            Pick::Silent(place) => (place, false),
            Pick::NotBefore(time) => return Step::Wait(self.or_sooner(time)),
            Pick::Nothing => {
                self.done = true;
                return Step::Done;
            }
        };
        if !self.pace.grant(now) {
            return Step::Wait(self.or_sooner(self.pace.next_grant()));
        }
        self.sent += 1;
        self.last_sent = now;
        let canary = self.canary(now);
        self.losses.sent();
        if let Some(target) = canary {
            return Step::Canary(target);
        }
        self.since_canary += 1;
        let target = self.order.target(place);
        if is_known {
            self.known.pop();
            // Not one of the questions that are counted: the host may have moved.
            self.slots[place].last = now.max(1);
            Step::AskKnown(target)
        } else {
            self.cursor += 1;
            Step::Ask(target, self.mark(place, now))
        }
    }

    /// A target answered. `asked` is the question's count where the answer carries it.
    pub fn heard(&mut self, target: u32, asked: Option<u8>, now: Nanos) -> Answer {
        let Some(place) = self.order.place(target) else { return Answer::Again };
        let slot = self.slots[place];
        self.last_heard = self.last_heard.max(now);
        if slot.is_found() {
            self.canary_back(target, now);
            return Answer::Again;
        }
        self.found += 1;
        self.last_found = now;
        // Asked where it was known to be, or beside the sweep: accounted for all the same.
        self.asked += u32::from(slot.asked == 0);
        self.slots[place].thin = FOUND;
        let trip = self.attribute(slot, asked, now);
        let usual = trip.is_none_or(|trip| self.trips.is_usual(trip));
        if trip.is_some() && usual {
            self.canaries.enlist(target);
        }
        Answer::First(trip.map(Duration::from_nanos))
    }

    /// How the sweep stands.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            asked: self.asked,
            found: self.found,
            sent: self.sent,
            rounds: self.round,
            missing: if self.done { self.missing } else { self.expected_missing() },
            loss: self.loss(),
            complete: self.done && self.missing <= ENOUGH,
            trip: self.trips.smoothed().map(Duration::from_nanos),
        }
    }

    /// Notes that the target of a place is asked now; gives back how often it has been.
    fn mark(&mut self, place: usize, now: Nanos) -> u8 {
        let epoch = self.losses.current();
        let slot = &mut self.slots[place];
        if slot.asked == 0 {
            self.asked += 1;
            self.last_first = now;
        } else {
            if !self.losses.is_uniform() {
                self.losses.keep_up();
                let powers = -self.losses.of(slot.epoch).log2() * 4.0;
                slot.thin = slot.thin.saturating_add(powers.clamp(0.0, 100.0) as u8).min(FOUND - 1);
            }
            slot.gap = u32::try_from(now.saturating_sub(slot.last) / 1000).unwrap_or(u32::MAX);
        }
        slot.asked = slot.asked.saturating_add(1);
        slot.last = now;
        slot.epoch = epoch;
        slot.asked
    }

    /// Which question the first answer of a host belongs to, and what that tells of the
    /// others; gives back how long the answer took.
    fn attribute(&mut self, slot: Slot, asked: Option<u8>, now: Nanos) -> Option<Nanos> {
        if slot.last == 0 {
            return None;
        }
        let since_last = now.saturating_sub(slot.last);
        let since_before = since_last + Nanos::from(slot.gap) * 1000;
        let to_the_last = match asked {
            Some(count) => count == slot.asked,
            None => self.trips.can_be(since_last),
        };
        if slot.asked <= 1 {
            self.losses.answered(slot.epoch);
            self.trips.took(since_last);
            return Some(since_last);
        }
        let before = self.losses.at(slot.last.saturating_sub(Nanos::from(slot.gap) * 1000));
        if !to_the_last {
            // It was on its way while the last question left.
            self.losses.answered(before);
            self.trips.took(since_before);
            return Some(since_before);
        }
        // With several questions out, an answer without a count may belong to any of them.
        // If it came in good time, it is the last one's, and how long it took tells nothing
        // new; if not, it took long at any rate, and nothing is known to be lost.
        let in_time = since_last <= self.trips.patience();
        if asked.is_some() || in_time {
            self.losses.answered(slot.epoch);
            self.losses.lost(before);
        }
        if asked.is_some() || !in_time {
            self.trips.took(since_last);
        }
        Some(since_last)
    }

    /// A known host has answered: what that tells, if it was out as a canary.
    fn canary_back(&mut self, target: u32, now: Nanos) {
        let can_be = |sent: Sent| self.trips.can_be(now.saturating_sub(sent.at));
        match self.canaries.back(target, now, can_be) {
            Some(Back::InTime(sent)) => {
                self.trips.took(now.saturating_sub(sent.at));
                self.learn(sent.epoch, true, now);
            }
            Some(Back::Late(sent)) => {
                self.losses.came_late(sent.epoch);
                self.trips.took(now.saturating_sub(sent.at));
            }
            None => {}
        }
    }

    /// Counts canaries that did not come back.
    fn mourn(&mut self, now: Nanos) {
        let patience = self.trips.patience();
        while let Some(epoch) = self.canaries.missing(now, patience) {
            self.learn(epoch, false, now);
        }
    }

    fn learn(&mut self, epoch: u16, came_back: bool, now: Nanos) {
        self.losses.canary(epoch, came_back);
        if let Some(belief) = self.losses.belief() {
            self.pace.follow(belief, now);
        }
    }

    /// The canary whose turn it is, if it is a canary's turn.
    fn canary(&mut self, now: Nanos) -> Option<u32> {
        if self.canaries.is_empty() || self.since_canary < self.canary_gap() {
            return None;
        }
        let target = self.canaries.free()?;
        let epoch = self.losses.begin(now);
        self.canaries.send(Sent { at: now, epoch });
        self.since_canary = 0;
        Some(target)
    }

    /// How many other packets go between two canaries. Without a limit a whole round may be
    /// under way before the first is back: the few that there are must not all go with its
    /// beginning.
    fn canary_gap(&self) -> u32 {
        let gap = self.pace.canary_gap(self.losses.known());
        if self.pace.is_limited() {
            return gap;
        }
        let silent = self.slots.len() as u32 - self.found;
        let spread = silent / (self.canaries.len() + 1);
        gap.max(spread.min(FARTHEST))
    }

    fn or_sooner(&self, time: Nanos) -> Nanos {
        self.canaries.deadline(self.trips.patience()).map_or(time, |deadline| deadline.min(time))
    }

    /// The next target that wants a question.
    fn pick(&mut self, now: Nanos) -> Pick {
        while let Some(target) = self.known.last() {
            match self.order.place(*target) {
                Some(place) if !self.slots[place].is_found() => return Pick::Known(place),
                _ => self.known.pop(),
            };
        }
        loop {
            let turn = self.turn();
            while let Some(place) = self.order.at(self.cursor, turn) {
                let slot = &self.slots[place];
                let in_peace = self.worth > 0.0
                    && slot.asked >= FEWEST_ROUNDS
                    && slot.unheard(&self.losses) < self.worth;
                if slot.is_found() || in_peace {
                    self.cursor += 1;
                    continue;
                }
                if slot.asked == 0 {
                    if self.round == 1 && slot.last > 0 && now < slot.last + self.trips.patience() {
                        // Asked where it was; its turn comes in the next round.
                        self.cursor += 1;
                        continue;
                    }
                    return Pick::Silent(place);
                }
                let ready = slot.last + self.wait_after(slot.asked);
                return if ready <= now { Pick::Silent(place) } else { Pick::NotBefore(ready) };
            }
            if let Some(pick) = self.end_of_round(now) {
                return pick;
            }
        }
    }

    /// How far the order is turned in this round. What is asked without a limit may find
    /// room on the network for the first questions of a round alone: others stand first in
    /// the next one, and those that answer then tell what got lost.
    fn turn(&self) -> u32 {
        if self.pace.is_limited() {
            return 0;
        }
        let share = (f64::from(self.round.saturating_sub(1)) * GOLDEN).fract();
        (f64::from(self.order.count) * share) as u32
    }

    /// How long a target is left in peace after its questions so far.
    fn wait_after(&self, asked: u8) -> Nanos {
        let doublings = u32::from(asked.saturating_sub(2)).min(8);
        let patience = self.trips.patience();
        patience.saturating_mul(1 << doublings).min(LONGEST_WAIT.max(patience))
    }

    /// Everybody was asked in this round: another one, or waiting, or the end.
    fn end_of_round(&mut self, now: Nanos) -> Option<Pick> {
        let silent = self.slots.len() as u32 - self.found;
        if silent == 0 {
            // Another owner of an address that has answered would answer about now.
            let end = self.last_found + self.trips.smoothed().unwrap_or(0);
            self.missing = 0.0;
            return Some(if now >= end { Pick::Nothing } else { Pick::NotBefore(end) });
        }
        if let Some(drained) = self.slow_down(now) {
            return Some(Pick::NotBefore(drained));
        }
        if self.round < FEWEST_ROUNDS {
            return self.next_round(0.0);
        }
        if self.round == FEWEST_ROUNDS && self.slots.iter().any(Slot::was_asked_too_seldom) {
            return self.next_round(f32::INFINITY);
        }
        // What is still on its way may spare a round.
        let settled = self.last_sent + self.trips.patience();
        if now < settled {
            return Some(Pick::NotBefore(settled));
        }
        self.losses.work_out();
        self.missing = self.expected_missing();
        if self.missing > ENOUGH && self.round < MOST_ROUNDS {
            let worth = self.worth_asking();
            return self.next_round(worth);
        }
        let end = (self.last_sent + self.trips.patience()).max(self.last_first + self.linger);
        if now < end {
            return Some(Pick::NotBefore(end));
        }
        Some(Pick::Nothing)
    }

    fn next_round(&mut self, worth: f32) -> Option<Pick> {
        self.round += 1;
        self.cursor = 0;
        self.worth = worth;
        None
    }

    /// A sweep without a limit that loses much has been too fast. What is only late is not
    /// lost: gives back until when to wait for queues to drain, before that is decided.
    fn slow_down(&mut self, now: Nanos) -> Option<Nanos> {
        let too_fast = !self.pace.is_limited()
            && (self.losses.known() >= 20 || self.losses.lost_so_far() >= 4)
            && self.losses.overall() > 0.26
            && now > 0;
        if !too_fast {
            return None;
        }
        let draining = self.last_heard.min(self.last_sent + LONGEST_WAIT);
        let drained = self.last_sent.max(draining) + DRAIN;
        if now < drained {
            return Some(drained);
        }
        self.pace.limit(now);
        self.losses.limit(now);
        None
    }

    /// How many times likelier than not a silent address is a host, before it was asked.
    fn odds(&self) -> f32 {
        let silent = (self.slots.len() as u32 - self.found).max(1);
        (self.found as f32).max(0.5) / silent as f32
    }

    /// The chance from which on an address is worth another question: those below it add
    /// up to so little that they can all be left in peace.
    fn worth_asking(&self) -> f32 {
        if self.losses.is_uniform() {
            // Everybody silent is as likely a host as the others.
            return 0.0;
        }
        // Chances by quarters of powers of ½, the likeliest first.
        let mut sums = [0.0_f32; 256];
        for slot in self.slots.iter().filter(|slot| !slot.is_found()) {
            let chance = slot.unheard(&self.losses);
            sums[(-chance.log2() * 4.0).clamp(0.0, 255.0) as usize] += chance * self.odds();
        }
        let mut left = ENOUGH / 2.0;
        for (power, sum) in sums.iter().enumerate().rev() {
            left -= sum;
            if left < 0.0 {
                return (-(power as f32 + 1.0) / 4.0).exp2();
            }
        }
        0.0
    }

    fn expected_missing(&self) -> f32 {
        if self.losses.known() == 0 {
            // Nobody has answered: what got lost is not known, and neither is anybody there.
            return 0.0;
        }
        let odds = self.odds();
        let chances = self.slots.iter().filter(|slot| !slot.is_found());
        chances.map(|slot| (odds * slot.unheard(&self.losses)).min(1.0)).sum()
    }
}

/// What [`Schedule::pick`] found, by places in the order.
enum Pick {
    Known(usize),
    Silent(usize),
    NotBefore(Nanos),
    Nothing,
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
