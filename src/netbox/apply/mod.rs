//! Carries a plan out: wave by wave, in requests of many objects, several at once.
//!
//! | File | What it is for |
//! |---|---|
//! | `schedule` | the waves, cut into cohorts of hosts |
//! | `order` | which waves wait for which, what may be written at the same time |
//! | `ledger` | where each change stands; tells the journal |
//! | `item` | one object to be written, and how that ended |
//! | `deliver`, `refusal` | one list of objects, whatever comes in between |
//! | `look` | reads before writing on |
//! | `given` | what NetBox has done by itself |
//! | `moves`, `twins` | addresses that move, and what two agents made at once |
//! | `pace`, `breaker`, `message` | how much at once, when to stop, what the change log says |

mod breaker;
mod deliver;
mod given;
mod item;
mod ledger;
mod look;
pub(super) mod message;
mod moves;
mod order;
mod pace;
mod refusal;
mod schedule;
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
use self::schedule::Schedule;
use self::twins::Made;
use super::api::Api;
use super::natural::may_have_twins;
use crate::domain::object::Kind;
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Plan, Step, Wave};
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
    let refused = journal.refused(&[Kind::Interface, Kind::VmInterface]);
    let Schedule { waves, given, brought } = Schedule::of(plan, api.version, &refused);
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
        brought,
        progress,
    };
    progress.begin(TASK, Some(plan.changes.len() as u64));
    let order = order::dependencies(plan, &waves);
    let ended: Vec<CancellationToken> = waves.iter().map(|_| CancellationToken::new()).collect();
    let all = waves.iter().enumerate().map(|(place, wave)| {
        let (run, waits, ended, is_given) = (&run, &order[place], &ended, given.contains(&place));
        async move {
            for early in waits {
                ended[*early].cancelled().await;
            }
            run.wave(wave, is_given).await;
            ended[place].cancel();
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
    /// What NetBox does of other objects as it makes some, by the change of these.
    brought: BTreeMap<usize, Step>,
    progress: &'r dyn Progress,
}

impl<'r> Run<'r> {
    fn ledger(&self) -> MutexGuard<'_, Ledger<'r>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.writer.is_over() || self.ledger().broken().is_some()
    }

    /// Writes a wave over several lanes, or looks first where NetBox has done it by itself.
    async fn wave(&self, wave: &Wave, given: bool) {
        if self.is_over() {
            return;
        }
        let deed = match wave.action {
            Action::Delete => Deed::Remove,
            Action::Create => Deed::Make,
            Action::Update | Action::Retire | Action::Move => Deed::Change,
        };
        let (mut items, mut strays) = (Vec::new(), Vec::new());
        for (place, step) in wave.steps.iter().enumerate() {
            match self.ledger().ready(step, place) {
                Ready::Item(item) => items.push(item),
                Ready::Stray(item, because) => strays.push((item, because)),
                Ready::Ended => {}
            }
        }
        self.report();
        self.withdraw(wave, strays).await;
        let lanes = order::lanes(wave.kind, deed, items, self.lanes);
        let lanes = lanes.into_iter().map(|lane| self.lane(wave, deed, lane, given));
        join_all(lanes).await;
    }

    /// Writes one lane, request after request.
    async fn lane(&self, wave: &Wave, deed: Deed, mut items: Vec<Item<'r>>, given: bool) {
        while !items.is_empty() && !self.is_over() {
            let most = self.writer.pace.size(wave.kind).max(1);
            // All requests of a lane are of about the same length.
            let size = items.len().div_ceil(items.len().div_ceil(most));
            let rest = items.split_off(size);
            let batch = std::mem::replace(&mut items, rest);
            self.intend(wave, &batch);
            if self.is_over() {
                break;
            }
            let made = if wave.action == Action::Move {
                let moved = self.writer.relocate(wave.kind, batch).await;
                let mut ledger = self.ledger();
                for place in moved.emptied {
                    ledger.stamped(place.kind, place.id, place.stamp);
                }
                drop(ledger);
                self.record(wave, deed, moved.ended)
            } else if given {
                self.confirm(wave, batch).await
            } else {
                let ended = self.writer.carry_out(deed, wave.kind, batch).await;
                self.record(wave, deed, ended)
            };
            if !made.is_empty() {
                self.settle_made(wave, made).await;
            }
            self.report();
        }
    }

    /// Tells the journal what is about to be sent, and what NetBox will do with it.
    fn intend(&self, wave: &Wave, batch: &[Item<'r>]) {
        let steps = batch.iter().map(|item| &wave.steps[item.place]);
        let brought = steps.clone().filter(|step| step.creates);
        let brought = brought.filter_map(|step| self.brought.get(&step.change));
        let steps: Vec<&Step> = steps.chain(brought).collect();
        self.ledger().intend(&steps);
    }

    /// Takes back what cannot be put where it belongs.
    async fn withdraw(&self, wave: &Wave, strays: Vec<(Item<'r>, String)>) {
        if strays.is_empty() {
            return;
        }
        let because: BTreeMap<usize, String> =
            strays.iter().map(|(item, because)| (item.place, because.clone())).collect();
        let mut items: Vec<Item<'r>> = strays.into_iter().map(|(item, _)| item).collect();
        while !items.is_empty() {
            let size = self.writer.pace.size(wave.kind).clamp(1, items.len());
            let rest = items.split_off(size);
            let batch = std::mem::replace(&mut items, rest);
            for (item, end) in self.writer.carry_out(Deed::Remove, wave.kind, batch).await {
                let because = because.get(&item.place).cloned().unwrap_or_default();
                self.ledger().withdrawn(&wave.steps[item.place], &end, because);
            }
            self.report();
        }
    }

    /// Looks what NetBox has done by itself, and does the rest. Gives what was done late:
    /// it may have twins.
    async fn confirm(&self, wave: &Wave, batch: Vec<Item<'r>>) -> Vec<Made<'r>> {
        let (ended, left) = self.writer.given(wave.kind, batch).await;
        for (item, end) in ended {
            self.ledger().ended(&wave.steps[item.place], end);
        }
        let mut made = Vec::new();
        for (item, end) in self.writer.carry_out(Deed::Change, wave.kind, left).await {
            match &end {
                End::Written { id, stamp, .. } => {
                    made.push(Made { id: *id, stamp: stamp.clone(), item, end });
                }
                _ => self.ledger().ended(&wave.steps[item.place], end),
            }
        }
        made
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
