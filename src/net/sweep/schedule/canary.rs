//! Known hosts that are asked again, so that the network tells how it bears the sweep.

use std::collections::VecDeque;

use super::Nanos;

/// More hosts than this take no turns; each is asked seldom enough as it is.
const MOST: usize = 64;
/// No more late ones of one host are waited for.
const MOST_OVERDUE: usize = 64;
/// What comes later than this is the answer to something else.
const LATE: Nanos = 1_000_000_000;

/// A canary that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at: Nanos,
    pub(super) epoch: u16,
}

#[derive(Debug, Clone)]
struct Bird {
    target: u32,
    out: Option<Sent>,
    /// Those that counted as lost and may still come, the oldest first.
    overdue: VecDeque<Sent>,
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
            self.birds.push(Bird { target, out: None, overdue: VecDeque::new() });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.birds.is_empty()
    }

    pub(super) fn len(&self) -> u32 {
        self.birds.len() as u32
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
    /// whether an answer can come so soon after that one left, judged by others.
    pub(super) fn back(
        &mut self,
        target: u32,
        now: Nanos,
        can_be: impl Fn(Sent) -> bool,
    ) -> Option<Back> {
        let at = self.birds.iter().position(|bird| bird.target == target)?;
        let bird = &mut self.birds[at];
        bird.overdue.retain(|overdue| now < overdue.at + LATE);
        if !bird.out.is_some_and(&can_be)
            && let Some(overdue) = bird.overdue.pop_front()
        {
            return Some(Back::Late(overdue));
        }
        let sent = bird.out.take()?;
        self.out.retain(|index| *index != at);
        Some(Back::InTime(sent))
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
        if bird.overdue.len() >= MOST_OVERDUE {
            bird.overdue.pop_front();
        }
        bird.overdue.push_back(sent);
        Some(sent.epoch)
    }

    /// When the next one counts as lost.
    pub(super) fn deadline(&self, patience: Nanos) -> Option<Nanos> {
        let bird = self.birds.get(*self.out.front()?)?;
        Some(bird.out?.at + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    fn sent(at: Nanos) -> Sent {
        Sent { at, epoch: 7 }
    }

    #[test]
    fn hosts_take_turns_and_are_not_asked_twice_at_once() {
        let mut canaries = Canaries::default();
        for target in [3, 5] {
            canaries.enlist(target);
        }
        let first = canaries.free().unwrap();
        canaries.send(sent(0));
        let second = canaries.free().unwrap();
        canaries.send(sent(0));
        assert_ne!(first, second);
        assert_eq!(canaries.free(), None);
        assert!(matches!(canaries.back(first, MS, |_| true), Some(Back::InTime(_))));
        assert_eq!(canaries.free(), Some(first));
    }

    #[test]
    fn a_lost_one_may_come_late_but_not_much_later() {
        let mut canaries = Canaries::default();
        canaries.enlist(3);
        for (back, late) in [(80 * MS, true), (2000 * MS, false)] {
            canaries.free().unwrap();
            canaries.send(sent(0));
            assert_eq!(canaries.missing(9 * MS, 10 * MS), None);
            assert_eq!(canaries.missing(10 * MS, 10 * MS), Some(7));
            let answer = canaries.back(3, back, |_| true);
            assert_eq!(matches!(answer, Some(Back::Late(_))), late, "{answer:?}");
        }
    }

    #[test]
    fn an_answer_that_is_too_quick_belongs_to_the_one_before() {
        let mut canaries = Canaries::default();
        canaries.enlist(3);
        canaries.free().unwrap();
        canaries.send(sent(0));
        canaries.missing(20 * MS, 10 * MS).unwrap();
        canaries.free().unwrap();
        canaries.send(sent(20 * MS));
        let quick = |sent: Sent| sent.at < 20 * MS;
        assert!(matches!(canaries.back(3, 20 * MS, quick), Some(Back::Late(_))));
        assert!(matches!(canaries.back(3, 21 * MS, quick), Some(Back::InTime(_))));
    }
}
