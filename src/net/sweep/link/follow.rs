//! What follows an answer on the link: TCP ports, and an echo where it is wanted.
//!
//! Every host has the same questions in the same order, so that a question is but a
//! number. Questions are asked in passes: the first as hosts come in, the next for those
//! that stay without an answer.

use std::collections::VecDeque;

use super::super::schedule::Nanos;

/// Times are kept in units of so many nanoseconds, so that a question takes eight bytes.
const UNIT: Nanos = 1 << 14;
/// A port that does not answer so often is filtered, on a network that loses much.
const MOST_PASSES: usize = 4;

#[derive(Debug, Clone, Copy, Default)]
struct Question {
    asked: u32,
    times: u8,
    settled: bool,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A question of a host, by the number of the host and of the question.
    Question(u32, usize),
    /// Nothing until then.
    NotBefore(Nanos),
    /// Nothing at all for now.
    Nothing,
}

/// All questions and how far each pass has come.
#[derive(Debug, Default)]
pub(super) struct Follow {
    /// How many questions each host is asked.
    each: usize,
    questions: Vec<Question>,
    passes: [usize; MOST_PASSES],
    /// The question that [`Follow::due`] has found, and in which pass.
    found: Option<(usize, usize)>,
    last: Nanos,
    /// Frames that take a wish for a connection back.
    resets: VecDeque<Vec<u8>>,
}

impl Follow {
    pub(super) fn new(each: usize) -> Self {
        Follow { each, ..Follow::default() }
    }

    /// The next host is asked its questions.
    pub(super) fn host(&mut self) {
        self.questions.resize(self.questions.len() + self.each, Question::default());
    }

    /// A frame that ought to leave soon.
    pub(super) fn reset(&mut self, frame: &[u8]) {
        self.resets.push_back(frame.to_vec());
    }

    /// The oldest of those.
    pub(super) fn next_reset(&mut self) -> Option<Vec<u8>> {
        self.resets.pop_front()
    }

    pub(super) fn has_resets(&self) -> bool {
        !self.resets.is_empty()
    }

    /// What is to be sent, when each question waits so long for its answer and questions
    /// get lost in this share.
    pub(super) fn due(&mut self, now: Nanos, patience: Nanos, loss: f32) -> Due {
        let passes = match loss {
            loss if loss < 0.015 => 2,
            loss if loss < 0.08 => 3,
            _ => MOST_PASSES,
        };
        let mut soonest = None;
        for pass in 0..passes {
            let end = if pass == 0 { self.questions.len() } else { self.passes[pass - 1] };
            while self.passes[pass] < end {
                let at = self.passes[pass];
                let question = self.questions[at];
                if question.settled || usize::from(question.times) != pass {
                    self.passes[pass] += 1;
                    continue;
                }
                let ready = Nanos::from(question.asked) * UNIT + patience;
                if pass == 0 || ready <= now {
                    self.found = Some((at, pass));
                    return Due::Question(
                        u32::try_from(at / self.each).unwrap_or(0),
                        at % self.each,
                    );
                }
                soonest = Some(soonest.map_or(ready, |soonest: Nanos| soonest.min(ready)));
                break;
            }
        }
        soonest.map_or(Due::Nothing, Due::NotBefore)
    }

    /// The question that was due is asked now; gives back how often it has been.
    pub(super) fn asked(&mut self, now: Nanos) -> u8 {
        let Some((at, pass)) = self.found.take() else { return 0 };
        self.passes[pass] = at + 1;
        self.last = now;
        let question = &mut self.questions[at];
        question.asked = u32::try_from(now / UNIT).unwrap_or(u32::MAX);
        question.times += 1;
        question.times
    }

    /// A question was answered; true for the first answer.
    pub(super) fn settle(&mut self, host: u32, which: usize) -> bool {
        match self.questions.get_mut(host as usize * self.each + which) {
            Some(question) if !question.settled => {
                question.settled = true;
                true
            }
            _ => false,
        }
    }

    /// Until when an answer may come, if any may.
    pub(super) fn end(&self, patience: Nanos) -> Option<Nanos> {
        let open = self.questions.iter().any(|question| !question.settled);
        open.then_some(self.last + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    #[test]
    fn every_question_is_asked_and_the_silent_ones_again() {
        let mut follow = Follow::new(2);
        follow.host();
        let mut asked = Vec::new();
        let mut now = 0;
        loop {
            match follow.due(now, 5 * MS, 0.001) {
                Due::Question(host, which) => {
                    asked.push((now / MS, host, which));
                    follow.asked(now);
                    if asked.len() == 1 {
                        follow.host();
                        assert!(follow.settle(0, 0));
                        assert!(!follow.settle(0, 0));
                    }
                }
                Due::NotBefore(time) => now = time,
                Due::Nothing => break,
            }
        }
        assert_eq!(
            asked,
            [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (5, 0, 1), (5, 1, 0), (5, 1, 1)]
        );
        assert_eq!(follow.end(5 * MS), Some(10 * MS));
    }

    #[test]
    fn a_lossy_network_is_asked_more_often() {
        for (loss, times) in [(0.001, 2), (0.05, 3), (0.3, 4)] {
            let mut follow = Follow::new(1);
            follow.host();
            let (mut now, mut count) = (0, 0);
            loop {
                match follow.due(now, MS, loss) {
                    Due::Question(..) => count = follow.asked(now),
                    Due::NotBefore(time) => now = time,
                    Due::Nothing => break,
                }
            }
            assert_eq!(count, times);
        }
    }
}
