//! A plan, carried out wave by wave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::rules::{self, Refusal};
use super::shelf::{Fields, Link, Shelf, references};
use crate::domain::object::{Kind, ObjectKey, ObjectRef};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, Plan, Step, waves};
use crate::domain::value::{SmallMap, Value};
use crate::journal::{Journal, JournalError};
use crate::progress::Progress;
use crate::store::{Store, StoreError};

/// How many steps are one transaction: few enough that a cancelled run ends soon,
/// many enough that the disk is not synced for each.
const BATCH: usize = 100;

/// What progress is told under.
const TASK: &str = "writing objects";

pub(super) fn apply(
    store: &Store,
    plan: &Plan,
    journal: &dyn Journal,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Vec<Outcome> {
    let waves = waves(plan);
    let mut ledger = Ledger::new(plan, waves.iter().flat_map(|wave| &wave.steps));
    progress.begin(TASK, u64::try_from(plan.changes.len()).ok());
    let batches = waves.iter().flat_map(|wave| wave.steps.chunks(BATCH));
    for batch in batches {
        if cancel.is_cancelled() {
            break;
        }
        ledger.take(store, journal, batch);
        if let Some(reason) = &ledger.broken {
            warn!(%reason, "apply stopped");
            break;
        }
        progress.reach(TASK, ledger.ended());
    }
    let outcomes = ledger.close(journal);
    progress.end(TASK);
    outcomes
}

/// Where each change stands while the plan is carried out.
struct Ledger<'p> {
    plan: &'p Plan,
    /// The place of the change that makes an object.
    makers: BTreeMap<(Kind, &'p ObjectKey), usize>,
    /// The id of each change's object, where it stands.
    ids: Vec<Option<u64>>,
    /// How many steps of each change are left.
    left: Vec<usize>,
    /// Which changes have a step that was written.
    begun: Vec<bool>,
    ends: Vec<Option<Outcome>>,
    /// The objects that this plan has written, whose stamps are no longer those of the plan.
    touched: BTreeSet<(Kind, u64)>,
    /// Why the record can no longer be kept, once it cannot.
    broken: Option<String>,
}

impl<'p> Ledger<'p> {
    fn new<'s>(plan: &'p Plan, steps: impl Iterator<Item = &'s Step>) -> Self {
        let mut left = vec![0; plan.changes.len()];
        for step in steps {
            left[step.change] += 1;
        }
        let makers = plan
            .changes
            .iter()
            .enumerate()
            .filter(|(_, change)| change.action == Action::Create)
            .map(|(index, change)| ((change.kind, &change.key), index))
            .collect();
        Ledger {
            plan,
            makers,
            ids: plan.changes.iter().map(|change| change.id).collect(),
            left,
            begun: vec![false; plan.changes.len()],
            ends: vec![None; plan.changes.len()],
            touched: BTreeSet::new(),
            broken: None,
        }
    }

    fn ended(&self) -> u64 {
        self.ends.iter().filter(|end| end.is_some()).count() as u64
    }

    /// Carries out one batch of steps.
    fn take(&mut self, store: &Store, journal: &dyn Journal, batch: &[Step]) {
        let mut ready = Vec::new();
        for step in batch {
            if self.ends[step.change].is_some() {
                continue;
            }
            match self.missing(step) {
                Some(because) => {
                    let end = self.left_out(step, because);
                    self.end(journal, step.change, end);
                }
                None => ready.push(step),
            }
        }
        if self.broken.is_some() {
            return;
        }
        let changes = &self.plan.changes;
        let intents: Vec<(&Change, &Step)> =
            ready.iter().map(|step| (&changes[step.change], *step)).collect();
        let done = journal
            .intend(&intents)
            .map_err(|error| error.to_string())
            .and_then(|()| self.write(store, &ready).map_err(|error| error.to_string()));
        match done {
            Ok(results) => self.record(journal, &ready, results),
            Err(reason) => {
                // The batch was undone as a whole; its changes carry the reason.
                for step in ready {
                    let reason = reason.clone();
                    self.ends[step.change] = Some(Outcome::Failed { reason });
                }
                self.broken = Some(reason);
            }
        }
    }

    /// Writes a batch in one transaction, each step so that it stands or falls alone.
    fn write(&self, store: &Store, ready: &[&Step]) -> Result<Vec<Written>, StoreError> {
        let mut made = BTreeMap::new();
        let mut touched = self.touched.clone();
        store.writing_durably(|transaction| {
            let mut results = Vec::new();
            for step in ready {
                transaction.execute_batch("SAVEPOINT step")?;
                let work = Work {
                    ledger: self,
                    shelf: Shelf::new(transaction),
                    made: &made,
                    touched: &touched,
                };
                let result = match work.step(step) {
                    Ok(done) => {
                        if step.creates {
                            made.insert(step.change, done.id);
                        }
                        touched.extend(done.touched.iter().copied());
                        Ok(done)
                    }
                    Err(Refusal::Rule(reason)) => {
                        transaction.execute_batch("ROLLBACK TO step")?;
                        Err(reason)
                    }
                    Err(Refusal::Store(error)) => return Err(error),
                };
                transaction.execute_batch("RELEASE step")?;
                results.push(result);
            }
            Ok(results)
        })
    }

    /// Takes note of what a batch came to, and tells the journal.
    fn record(&mut self, journal: &dyn Journal, ready: &[&Step], results: Vec<Written>) {
        for (step, result) in ready.iter().zip(results) {
            let change = &self.plan.changes[step.change];
            let done = match result {
                Ok(done) => done,
                Err(reason) => {
                    self.end(journal, step.change, Outcome::Failed { reason });
                    continue;
                }
            };
            self.touched.extend(done.touched);
            self.ids[step.change] = Some(done.id);
            self.begun[step.change] = true;
            self.left[step.change] -= 1;
            if step.creates {
                self.tell(|| journal.made(change.kind, &change.key, done.id));
            }
            if self.left[step.change] == 0 {
                let (id, settled, stamp) = (done.id, done.settled, done.stamp);
                self.end(journal, step.change, Outcome::Applied { id, settled, stamp });
            }
        }
    }

    /// What a step refers to and that was to be made, but was not.
    fn missing(&self, step: &Step) -> Option<String> {
        let change = &self.plan.changes[step.change];
        let fields = step.fields.iter().filter_map(|field| change.fields.get(field));
        let mut planned = fields.flat_map(|field| references(&field.after)).filter_map(
            |reference| match reference {
                ObjectRef::Planned(kind, key) => Some((*kind, key)),
                ObjectRef::Live(..) => None,
            },
        );
        planned.find_map(|(kind, key)| {
            let Some(maker) = self.makers.get(&(kind, key)) else {
                return Some(format!("nothing makes {key}"));
            };
            let stands = self.ids[*maker].is_some();
            let label = &self.plan.changes[*maker].label;
            (!stands && self.ends[*maker].is_some())
                .then(|| format!("{} {label} was not made", kind.label()))
        })
    }

    /// How a change ends of which a step has to be left out.
    fn left_out(&self, step: &Step, because: String) -> Outcome {
        if !self.begun[step.change] {
            return Outcome::Skipped { because };
        }
        let fields: Vec<&str> = step.fields.iter().map(|field| field.as_str()).collect();
        let reason = format!("written without its {}: {because}", fields.join(", "));
        Outcome::Failed { reason }
    }

    fn end(&mut self, journal: &dyn Journal, index: usize, outcome: Outcome) {
        self.tell(|| journal.settle(index, &self.plan.changes[index], &outcome));
        self.ends[index] = Some(outcome);
    }

    /// Tells the journal, for as long as it listens. What it did not hear stays in
    /// doubt there, and the next run looks.
    fn tell(&mut self, tell: impl FnOnce() -> Result<(), JournalError>) {
        if self.broken.is_none()
            && let Err(error) = tell()
        {
            self.broken = Some(error.to_string());
        }
    }

    /// The outcomes; what has none yet was not reached, or had nothing to write.
    fn close(mut self, journal: &dyn Journal) -> Vec<Outcome> {
        let failed = |end: &Option<Outcome>| matches!(end, Some(Outcome::Failed { .. }));
        // Why the run stopped stands with the first change that it did not come to.
        let mut why = self.broken.clone().filter(|_| !self.ends.iter().any(failed));
        for index in 0..self.ends.len() {
            if self.ends[index].is_some() {
                continue;
            }
            let end = match self.ids[index] {
                Some(id) if self.left[index] == 0 => {
                    Outcome::Applied { id, settled: SmallMap::default(), stamp: None }
                }
                _ => match why.take() {
                    Some(reason) => Outcome::Failed { reason },
                    None => Outcome::NotReached,
                },
            };
            self.end(journal, index, end);
        }
        self.ends.into_iter().flatten().collect()
    }
}

/// What one step came to, or why it was refused.
type Written = Result<Done, String>;

/// A step that was written.
struct Done {
    id: u64,
    settled: Fields,
    stamp: Option<Arc<str>>,
    touched: Vec<(Kind, u64)>,
}

/// One step at work within a transaction.
struct Work<'w> {
    ledger: &'w Ledger<'w>,
    shelf: Shelf<'w>,
    /// What the same batch made before this step, by the change's place.
    made: &'w BTreeMap<usize, u64>,
    touched: &'w BTreeSet<(Kind, u64)>,
}

impl Work<'_> {
    fn step(&self, step: &Step) -> Result<Done, Refusal> {
        let change = &self.ledger.plan.changes[step.change];
        let mut fields = Fields::default();
        for field in &step.fields {
            if let Some(of_field) = change.fields.get(field) {
                fields.insert(*field, self.resolve(&of_field.after)?);
            }
        }
        if step.creates {
            let id = rules::create(self.shelf, change.kind, &fields)?;
            return self.done(change, id, vec![(change.kind, id)]);
        }
        let Some(id) = self.ledger.ids[step.change] else {
            return Err(Refusal::Rule("it has no id".to_owned()));
        };
        let stands = self.shelf.get(change.kind, id)?;
        if change.action == Action::Delete {
            // Gone already is as good as deleted: it went with what it was a part of.
            if let Some(live) = stands {
                self.unmoved(change, &live.stamp, id)?;
                rules::delete(self.shelf, change.kind, id)?;
            }
            return Ok(Done {
                id,
                settled: Fields::default(),
                stamp: None,
                touched: vec![(change.kind, id)],
            });
        }
        let Some(live) = stands else {
            let label = change.kind.label();
            return Err(Refusal::Rule(format!("{label} {id} does not stand any more")));
        };
        self.unmoved(change, &live.stamp, id)?;
        let mut touched = vec![(change.kind, id)];
        if !self.ledger.begun[step.change] {
            touched.extend(self.unseat(change, id)?);
        }
        rules::update(self.shelf, &live, &fields)?;
        self.done(change, id, touched)
    }

    /// Refuses to write over what somebody changed since the plan was made.
    fn unmoved(&self, change: &Change, stamp: &Option<Arc<str>>, id: u64) -> Result<(), Refusal> {
        let ours = self.touched.contains(&(change.kind, id));
        if ours || change.stamp.is_none() || change.stamp == *stamp {
            return Ok(());
        }
        let label = change.kind.label();
        Err(Refusal::Rule(format!("{label} {id} was changed since the plan was made; plan again")))
    }

    /// Empties the fields that hold the object as primary. When the step fails they
    /// come back with it.
    fn unseat(&self, change: &Change, id: u64) -> Result<Vec<(Kind, u64)>, Refusal> {
        let mut touched = Vec::new();
        for seat in &change.unseat {
            let ObjectRef::Live(kind, holder) = self.resolve_one(&seat.holder)? else {
                continue;
            };
            let link = Link { kind, id: holder, field: seat.field };
            rules::clear(self.shelf, link, change.kind, id, Shelf::put)?;
            touched.push((kind, holder));
        }
        Ok(touched)
    }

    fn done(&self, change: &Change, id: u64, touched: Vec<(Kind, u64)>) -> Result<Done, Refusal> {
        let stands = self.shelf.get(change.kind, id)?;
        let value = |field| {
            let found = stands.as_ref().map(|live| live.field(field).clone());
            found.unwrap_or(Value::Null)
        };
        let settled = change.fields.iter().map(|(field, _)| (*field, value(*field))).collect();
        let stamp = stands.and_then(|live| live.stamp);
        Ok(Done { id, settled, stamp, touched })
    }

    fn resolve(&self, value: &Value) -> Result<Value, Refusal> {
        Ok(match value {
            Value::Ref(reference) => Value::Ref(self.resolve_one(reference)?),
            Value::Refs(all) => {
                Value::Refs(all.iter().map(|one| self.resolve_one(one)).collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }

    fn resolve_one(&self, reference: &ObjectRef) -> Result<ObjectRef, Refusal> {
        let ObjectRef::Planned(kind, key) = reference else {
            return Ok(reference.clone());
        };
        let maker = self.ledger.makers.get(&(*kind, key));
        let id = maker.and_then(|maker| self.ledger.ids[*maker].or(self.made.get(maker).copied()));
        id.map(|id| ObjectRef::Live(*kind, id))
            .ok_or_else(|| Refusal::Rule(format!("{key} was not made")))
    }
}
