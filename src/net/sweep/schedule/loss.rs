//! How many questions got lost, and when.
//!
//! Time is cut into epochs: a new one begins with each canary. A host that answered its
//! second question tells that the first one was lost, in the epoch in which it was asked;
//! a known host that is asked again (a canary) tells the same at once. What an epoch and
//! its neighbours saw counts most; what they cannot know of themselves, the belief of what
//! the network bears tells.

use super::Nanos;
use super::belief::{Belief, Passing};

/// What is known of one epoch.
#[derive(Debug, Clone)]
struct Epoch {
    start: Nanos,
    /// Packets that left in it.
    sent: u32,
    answered: u16,
    lost: u16,
    /// What passed when its canary left; until that is back or lost.
    passing: Option<Passing>,
}

/// All epochs so far.
#[derive(Debug, Clone)]
pub(super) struct Losses {
    epochs: Vec<Epoch>,
    answered: u32,
    lost: u32,
    /// None where the rate has no limit: then there is but one epoch.
    belief: Option<Belief>,
    /// The share that got lost in each epoch, as worked out when so much was known.
    shares: Vec<f32>,
    worked_out: u32,
}

/// More epochs than this are not told apart.
const MOST_EPOCHS: usize = 60_000;
/// How many epochs before and after one count as its neighbours.
const NEIGHBORS: usize = 2;
/// How much the belief counts against what the neighbours saw, in questions.
const WEIGHT_OF_BELIEF: f32 = 4.0;
/// What is assumed of a network of which nothing is known yet.
const UNKNOWN: f32 = 0.05;

impl Losses {
    pub(super) fn new(limited: bool) -> Self {
        let mut losses = Losses {
            epochs: Vec::new(),
            answered: 0,
            lost: 0,
            belief: limited.then(|| Belief::new(0)),
            shares: Vec::new(),
            worked_out: 0,
        };
        losses.push(0, None);
        losses
    }

    fn push(&mut self, start: Nanos, passing: Option<Passing>) {
        self.epochs.push(Epoch { start, sent: 0, answered: 0, lost: 0, passing });
    }

    /// The rate has a limit from now on.
    pub(super) fn limit(&mut self, now: Nanos) {
        self.belief = Some(Belief::new(now));
        self.push(now, None);
    }

    /// A packet leaves.
    pub(super) fn sent(&mut self) {
        if let Some(epoch) = self.epochs.last_mut() {
            epoch.sent += 1;
        }
    }

    /// A canary leaves: the epoch that it begins.
    pub(super) fn begin(&mut self, now: Nanos) -> u16 {
        if let Some(belief) = &mut self.belief
            && self.epochs.len() < MOST_EPOCHS
        {
            let passing = belief.sent(self.epochs.last().map_or(0, |epoch| epoch.sent), now);
            self.push(now, Some(passing));
        }
        self.current()
    }

    /// The number of the epoch that is under way.
    pub(super) fn current(&self) -> u16 {
        u16::try_from(self.epochs.len() - 1).unwrap_or(u16::MAX)
    }

    /// The number of the epoch in which this time was.
    pub(super) fn at(&self, time: Nanos) -> u16 {
        let after = self.epochs.partition_point(|epoch| epoch.start <= time);
        u16::try_from(after.saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// A question of this epoch was answered.
    pub(super) fn answered(&mut self, epoch: u16) {
        self.answered += 1;
        if let Some(epoch) = self.epochs.get_mut(usize::from(epoch)) {
            epoch.answered = epoch.answered.saturating_add(1);
        }
    }

    /// A question of this epoch got lost.
    pub(super) fn lost(&mut self, epoch: u16) {
        self.lost += 1;
        if let Some(epoch) = self.epochs.get_mut(usize::from(epoch)) {
            epoch.lost = epoch.lost.saturating_add(1);
        }
    }

    /// The canary of this epoch came back, or did not in time.
    pub(super) fn canary(&mut self, epoch: u16, came_back: bool) {
        if came_back {
            self.answered(epoch);
        } else {
            self.lost(epoch);
        }
        let passing =
            self.epochs.get_mut(usize::from(epoch)).and_then(|epoch| epoch.passing.take());
        if let (Some(belief), Some(passing)) = (&mut self.belief, passing) {
            belief.learn(&passing, came_back);
        }
    }

    /// What was taken for lost has come after all.
    pub(super) fn came_late(&mut self, epoch: u16) {
        self.lost = self.lost.saturating_sub(1);
        if let Some(epoch) = self.epochs.get_mut(usize::from(epoch)) {
            epoch.lost = epoch.lost.saturating_sub(1);
        }
        self.answered(epoch);
    }

    /// Whether all questions are taken to have been lost alike, as while the rate has no
    /// limit.
    pub(super) fn is_uniform(&self) -> bool {
        self.belief.is_none()
    }

    /// What the network can bear; none while the rate has no limit.
    pub(super) fn belief(&self) -> Option<&Belief> {
        self.belief.as_ref()
    }

    /// How many questions to hosts are accounted for.
    pub(super) fn known(&self) -> u32 {
        self.answered + self.lost
    }

    /// How many questions to hosts are known to be lost.
    pub(super) fn lost_so_far(&self) -> u32 {
        self.lost
    }

    /// The share of all questions to hosts that got lost, as far as is known; never
    /// nothing, for what was not seen may still be.
    pub(super) fn overall(&self) -> f32 {
        if self.known() == 0 {
            return UNKNOWN;
        }
        (self.lost as f32 + 0.5) / (self.known() as f32 + 1.0)
    }

    /// The same for one epoch, as worked out last.
    pub(super) fn of(&self, epoch: u16) -> f32 {
        self.shares.get(usize::from(epoch)).copied().unwrap_or_else(|| self.overall())
    }

    /// Works out the share of each epoch, unless little has become known since.
    pub(super) fn keep_up(&mut self) {
        if self.known() > self.worked_out + self.worked_out / 16 {
            self.work_out();
        }
    }

    /// Works out the share of each epoch.
    pub(super) fn work_out(&mut self) {
        self.worked_out = self.known();
        let epochs = &self.epochs;
        let Some(belief) = self.belief.as_ref().filter(|_| epochs.len() > 1) else {
            self.shares = vec![self.overall(); epochs.len()];
            return;
        };
        let ends = epochs[1..].iter().map(|epoch| epoch.start).chain([Nanos::MAX]);
        let stretches = epochs.iter().zip(ends).map(|(epoch, end)| {
            (epoch.sent, end.saturating_sub(epoch.start).min(1_000_000_000) as f32 * 1e-9)
        });
        let passing = belief.replay(stretches);
        // What got lost where the network had no reason to be overloaded is lost anyway.
        let (mut answered, mut lost) = (0, 0);
        for (epoch, passing) in epochs.iter().zip(&passing) {
            if *passing > 0.97 {
                answered += u32::from(epoch.answered);
                lost += u32::from(epoch.lost);
            }
        }
        let anyway =
            belief.lost_anyway().max((lost as f32 + 0.5) / ((answered + lost) as f32 + 1.0));
        self.shares = passing.into_iter().map(|passing| 1.0 - passing * (1.0 - anyway)).collect();
        for at in 0..epochs.len() {
            let near = &epochs[at.saturating_sub(NEIGHBORS)..epochs.len().min(at + NEIGHBORS + 1)];
            let lost: f32 = near.iter().map(|epoch| f32::from(epoch.lost)).sum();
            if lost > 0.0 {
                let answered: f32 = near.iter().map(|epoch| f32::from(epoch.answered)).sum();
                self.shares[at] = (lost + WEIGHT_OF_BELIEF * self.shares[at])
                    / (lost + answered + WEIGHT_OF_BELIEF);
            }
        }
    }
}
