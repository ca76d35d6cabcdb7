//! Carries a plan out: wave by wave, in requests of many objects, several at once.
//!
//! | File | What it is for |
//! |---|---|
//! | `order` | which waves wait for which, what may be written at the same time |
//! | `ledger` | where each change stands; tells the journal |
//! | `item` | one object to be written, and how that ended |
//! | `deliver`, `refusal` | one list of objects, whatever comes in between |
//! | `look` | reads before writing on |
//! | `moves`, `twins` | addresses that move, and what two agents made at once |
//! | `pace`, `breaker`, `message` | how much at once, when to stop, what the change log says |

mod breaker;
mod deliver;
mod item;
mod ledger;
mod look;
pub(super) mod message;
mod moves;
mod order;
mod pace;
mod refusal;
mod twins;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::breaker::Breaker;
use self::deliver::{Ended, Writer};
use self::item::{Deed, End, Item};
use self::ledger::{Ledger, Ready};
use self::message::Message;
use self::pace::Pace;
use self::twins::Made;
use super::api::Api;
use super::natural::may_have_twins;
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Plan, Step, Wave, waves};
use crate::journal::Journal;
use crate::progress::Progress;

/// What progress is told under.
const TASK: &str = "writing objects";

/// More requests at once make NetBox slower, not faster.
const MOST_LANES: usize = 4;

/// How a plan is carried out.
#[derive(Debug, Clone)]
pub(super) struct How {
    /// This agent's name.
    pub instance: String,
    /// At most so many objects go into one request.
    pub batch: usize,
    /// So many requests may be under way.
    pub lanes: usize,
    /// After so long without an answer that helps, nothing more is sent.
    pub patience: Duration,
}

/// Carries a plan out. Gives one outcome for each change, in the order of the plan.
pub(super) async fn apply(
    api: &Api,
    how: &How,
    plan: &Plan,
    journal: &dyn Journal,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Vec<Outcome> {
    let waves = waves(plan);
    let lanes = how.lanes.clamp(1, MOST_LANES);
    let run = Run {
        lanes,
        writer: Writer {
            api,
            instance: &how.instance,
            breaker: Breaker::new(how.patience),
            pace: Pace::new(how.batch),
            cancel,
            permits: Semaphore::new(lanes),
            message: Message::new(&how.instance, journal.run()),
            denials: Mutex::default(),
        },
        ledger: Mutex::new(Ledger::new(plan, &waves, journal)),
        progress,
    };
    progress.begin(TASK, Some(plan.changes.len() as u64));
    let order = order::dependencies(plan, &waves);
    let ended: Vec<CancellationToken> = waves.iter().map(|_| CancellationToken::new()).collect();
    let all = waves.iter().zip(&order).zip(&ended).map(|((wave, waits), end)| {
        let (run, ended) = (&run, &ended);
        async move {
            for early in waits {
                ended[*early].cancelled().await;
            }
            run.wave(wave).await;
            end.cancel();
        }
    });
    join_all(all).await;
    let why = run.writer.breaker.reason();
    run.report();
    let ledger = run.ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcomes = ledger.close(why);
    progress.end(TASK);
    outcomes
}

/// A plan at work.
struct Run<'r> {
    lanes: usize,
    writer: Writer<'r>,
    ledger: Mutex<Ledger<'r>>,
    progress: &'r dyn Progress,
}

impl<'r> Run<'r> {
    fn ledger(&self) -> MutexGuard<'_, Ledger<'r>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.writer.is_over() || self.ledger().broken().is_some()
    }

    /// Writes a wave over several lanes.
    async fn wave(&self, wave: &Wave) {
        if self.is_over() {
            return;
        }
        let deed = match wave.action {
            Action::Delete => Deed::Remove,
            Action::Create => Deed::Make,
            Action::Update | Action::Retire | Action::Move => Deed::Change,
        };
        let items: Vec<Item<'r>> = {
            let mut ledger = self.ledger();
            let steps = wave.steps.iter().enumerate();
            steps
                .filter_map(|(place, step)| match ledger.ready(step, place) {
                    Ready::Item(item) => Some(item),
                    Ready::Ended => None,
                })
                .collect()
        };
        self.report();
        let lanes = order::lanes(wave.kind, deed, items, self.lanes);
        join_all(lanes.into_iter().map(|lane| self.lane(wave, deed, lane))).await;
    }

    /// Writes one lane, request after request.
    async fn lane(&self, wave: &Wave, deed: Deed, mut items: Vec<Item<'r>>) {
        while !items.is_empty() && !self.is_over() {
            let size = self.writer.pace.size(wave.kind).min(items.len());
            let rest = items.split_off(size);
            let batch = std::mem::replace(&mut items, rest);
            let steps: Vec<&Step> = batch.iter().map(|item| &wave.steps[item.place]).collect();
            self.ledger().intend(&steps);
            if self.is_over() {
                break;
            }
            let ended = if wave.action == Action::Move {
                let moved = self.writer.relocate(wave.kind, batch).await;
                let mut ledger = self.ledger();
                for place in moved.emptied {
                    ledger.stamped(place.kind, place.id, place.stamp);
                }
                moved.ended
            } else {
                self.writer.carry_out(deed, wave.kind, batch).await
            };
            let made = self.record(wave, deed, ended);
            if !made.is_empty() {
                self.settle_made(wave, made).await;
            }
            self.report();
        }
    }

    /// Takes note of how objects ended; what may have twins is not settled yet.
    fn record(&self, wave: &Wave, deed: Deed, ended: Vec<Ended<'r>>) -> Vec<Made<'r>> {
        let mut ledger = self.ledger();
        let mut made = Vec::new();
        for (item, end) in ended {
            let step = &wave.steps[item.place];
            if let (Deed::Make, End::Written { id, stamp, .. }) = (deed, &end) {
                ledger.made(step, *id);
                if may_have_twins(wave.kind, &item.fields) {
                    made.push(Made { id: *id, stamp: stamp.clone(), item, end });
                    continue;
                }
            }
            ledger.ended(step, end);
        }
        made
    }

    /// Settles what was made, after its twins were looked for.
    async fn settle_made(&self, wave: &Wave, made: Vec<Made<'r>>) {
        let ends: BTreeMap<usize, End> =
            made.iter().map(|made| (made.item.place, made.end.clone())).collect();
        let replaced = self.writer.part_twins(wave.kind, made).await;
        let mut ledger = self.ledger();
        for (place, end) in ends {
            let end = match replaced.get(&place) {
                Some(End::Written { id, settled, stamp }) => {
                    ledger.made(&wave.steps[place], *id);
                    End::Written { id: *id, settled: settled.clone(), stamp: stamp.clone() }
                }
                Some(other) => other.clone(),
                None => end,
            };
            ledger.ended(&wave.steps[place], end);
        }
    }

    fn report(&self) {
        let done = self.ledger().done();
        self.progress.reach(TASK, done);
    }
}
