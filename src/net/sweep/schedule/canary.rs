//! Known hosts that are asked again, so that the network tells how it bears the sweep.

use std::collections::VecDeque;

use super::Nanos;

/// More hosts than this take no turns; each is asked seldom enough as it is.
const MOST: usize = 64;

/// A canary that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at: Nanos,
    pub(super) epoch: u16,
}

#[derive(Debug, Clone, Copy)]
struct Bird {
    target: u32,
    out: Option<Sent>,
    /// The last one that counted as lost, which may still come.
    overdue: Option<Sent>,
}

/// A canary that came back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Back {
    /// In time.
    InTime(Sent),
    /// After it had counted as lost.
    Late(Sent),
}

/// The hosts that take turns.
#[derive(Debug, Clone, Default)]
pub(super) struct Canaries {
    birds: Vec<Bird>,
    next: usize,
    /// Those that are out, in the order of their leaving.
    out: VecDeque<usize>,
}

impl Canaries {
    /// A host that answers as most do may take turns.
    pub(super) fn enlist(&mut self, target: u32) {
        if self.birds.len() < MOST {
            self.birds.push(Bird { target, out: None, overdue: None });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.birds.is_empty()
    }

    /// The host whose turn it is and that is not out.
    pub(super) fn free(&mut self) -> Option<u32> {
        for _ in 0..self.birds.len() {
            self.next = (self.next + 1) % self.birds.len();
            if self.birds[self.next].out.is_none() {
                return Some(self.birds[self.next].target);
            }
        }
        None
    }

    /// That host is asked now.
    pub(super) fn send(&mut self, sent: Sent) {
        if let Some(bird) = self.birds.get_mut(self.next) {
            bird.out = Some(sent);
            self.out.push_back(self.next);
        }
    }

    /// A known host has answered: the canary that it was out as, if any. `can_be` tells
    /// whether an answer can come so soon after that one left.
    pub(super) fn back(&mut self, target: u32, can_be: impl Fn(Sent) -> bool) -> Option<Back> {
        let at = self.birds.iter().position(|bird| bird.target == target)?;
        let bird = &mut self.birds[at];
        match bird.out {
            Some(sent) if can_be(sent) => {
                bird.out = None;
                bird.overdue = None;
                self.out.retain(|index| *index != at);
                Some(Back::InTime(sent))
            }
            _ => bird.overdue.take().map(Back::Late),
        }
    }

    /// One that left so long ago that it counts as lost: its epoch.
    pub(super) fn missing(&mut self, now: Nanos, patience: Nanos) -> Option<u16> {
        let bird = self.birds.get_mut(*self.out.front()?)?;
        let sent = bird.out?;
        if now < sent.at + patience {
            return None;
        }
        self.out.pop_front();
        bird.out = None;
        bird.overdue = Some(sent);
        Some(sent.epoch)
    }

    /// When the next one counts as lost.
    pub(super) fn deadline(&self, patience: Nanos) -> Option<Nanos> {
        let bird = self.birds.get(*self.out.front()?)?;
        Some(bird.out?.at + patience)
    }
}
