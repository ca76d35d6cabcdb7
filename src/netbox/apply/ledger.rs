//! Where each change stands while a plan is carried out: what was made under which id,
//! what is left to do, how it ended. Tells the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::row::Fields;
use super::item::{End, Item};
use super::order::{later, needs};
use crate::domain::desire::MARKS;
use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, Plan, Step, Wave};
use crate::domain::value::{SmallMap, Value};
use crate::journal::{Journal, JournalError};

pub(super) struct Ledger<'p> {
    plan: &'p Plan,
    journal: &'p dyn Journal,
    /// The place of the change that writes the object of a key.
    by_key: BTreeMap<(Kind, &'p ObjectKey), usize>,
    entries: Vec<Entry>,
    /// The last known fingerprint of objects that this run has written.
    stamps: BTreeMap<(Kind, u64), Option<Arc<str>>>,
    /// Why the record can no longer be kept, once it cannot.
    broken: Option<String>,
}

/// Where one change stands.
#[derive(Default)]
struct Entry {
    id: Option<u64>,
    /// How many steps it has, and how many of them have not ended.
    steps: usize,
    left: usize,
    begun: bool,
    adopted: bool,
    settled: Fields,
    stamp: Option<Arc<str>>,
    /// What had to be left out, and why.
    lacking: Vec<String>,
    end: Option<Outcome>,
}

/// Into so many parts an object is divided to tell how much of it is done.
const WHOLE: u64 = 60;

/// A step, ready to be written or not to be written at all.
pub(super) enum Ready<'p> {
    Item(Item<'p>),
    /// An object that this run made and that it cannot put where it belongs, and why: it
    /// is to be taken back.
    Stray(Item<'p>, String),
    Ended,
}

impl<'p> Ledger<'p> {
    pub(super) fn new(plan: &'p Plan, waves: &[Wave], journal: &'p dyn Journal) -> Self {
        let mut entries: Vec<Entry> =
            plan.changes.iter().map(|change| Entry { id: change.id, ..Entry::default() }).collect();
        for step in waves.iter().flat_map(|wave| &wave.steps) {
            entries[step.change].steps += 1;
            entries[step.change].left += 1;
        }
        let by_key = plan.changes.iter().enumerate();
        let by_key = by_key.map(|(place, change)| ((change.kind, &change.key), place)).collect();
        Ledger { plan, journal, by_key, entries, stamps: BTreeMap::new(), broken: None }
    }

    /// How many objects are done, each by the share of its steps that have ended: what
    /// waits for its last step alone would else be told all at once in the end.
    pub(super) fn done(&self) -> u64 {
        let share = |entry: &Entry| match entry.steps {
            0 => u64::from(entry.end.is_some()) * WHOLE,
            steps => (steps - entry.left) as u64 * WHOLE / steps as u64,
        };
        self.entries.iter().map(share).sum::<u64>() / WHOLE
    }

    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Resolves a step's references. What refers to something that was not made is left
    /// out where it waited for it, and takes the whole change along where it did not.
    pub(super) fn ready(&mut self, step: &Step, place: usize) -> Ready<'p> {
        let change = &self.plan.changes[step.change];
        if self.entries[step.change].end.is_some() {
            return Ready::Ended;
        }
        if let Some(because) = self.unfounded(step) {
            self.leave_out(step, because);
            return Ready::Ended;
        }
        let mut fields = Fields::default();
        let mut before = Fields::default();
        for field in &step.fields {
            let Some(of_field) = change.fields.get(field) else { continue };
            match self.resolved(*field, &of_field.after, change.kind) {
                Ok(value) => {
                    fields.insert(*field, value);
                    before.insert(*field, of_field.before.clone());
                }
                Err(because) if !field.waits(change.kind) => {
                    if let Some(item) = self.stray(step, place) {
                        return Ready::Stray(item, because);
                    }
                    self.leave_out(step, because);
                    return Ready::Ended;
                }
                Err(because) => {
                    self.entries[step.change].lacking.push(format!("its {field}: {because}"));
                }
            }
        }
        if fields.is_empty() && !step.fields.is_empty() && change.action != Action::Delete {
            self.step_ended(step.change);
            return Ready::Ended;
        }
        if change.action == Action::Delete {
            let stood = change.fields.iter();
            before = stood.map(|(field, of)| (*field, of.before.clone())).collect();
        }
        let id = self.entries[step.change].id;
        let own = |id: u64| self.stamps.get(&(change.kind, id)).cloned();
        let guard = match (change.id, id) {
            (Some(id), _) => own(id).unwrap_or_else(|| change.stamp.clone()),
            // What is put on something only now, somebody else may have put elsewhere.
            (None, Some(id)) if fields.iter().any(|(field, _)| !field.waits(change.kind)) => {
                own(id).flatten()
            }
            _ => None,
        };
        Ready::Item(Item { change, place, id, fields, before, guard })
    }

    /// A new object that stands, for it to be taken back unless somebody has put it
    /// where he wants it.
    fn stray(&self, step: &Step, place: usize) -> Option<Item<'p>> {
        let change = &self.plan.changes[step.change];
        let id = self.entries[step.change].id.filter(|_| change.action == Action::Create)?;
        let guard = self.stamps.get(&(change.kind, id)).cloned().flatten();
        let mut before = self.entries[step.change].settled.clone();
        before.insert(Field::AssignedObject, Value::Null);
        Some(Item { change, place, id: Some(id), fields: Fields::default(), before, guard })
    }

    /// Why that will not be made which a new object is to be put on later.
    fn unfounded(&self, step: &Step) -> Option<String> {
        later(&self.plan.changes[step.change], step).find_map(|reference| {
            let ObjectRef::Planned(kind, key) = reference else { return None };
            let maker = *self.by_key.get(&(*kind, key))?;
            match &self.entries[maker] {
                Entry { id: Some(_), .. } => None,
                Entry { end: Some(_), .. } => self.reference(reference).err(),
                _ => needs(&self.plan.changes[maker]).find_map(|need| self.reference(need).err()),
            }
        })
    }

    fn resolved(&self, field: Field, value: &Value, of: Kind) -> Result<Value, String> {
        if let Some(because) = self.missing_custom_field(field, of) {
            return Err(because);
        }
        Ok(match value {
            Value::Ref(reference) => Value::Ref(self.reference(reference)?),
            Value::Refs(all) => Value::Refs(
                all.iter().map(|one| self.reference(one)).collect::<Result<BTreeSet<_>, _>>()?,
            ),
            other => other.clone(),
        })
    }

    fn reference(&self, reference: &ObjectRef) -> Result<ObjectRef, String> {
        let ObjectRef::Planned(kind, key) = reference else { return Ok(reference.clone()) };
        let Some(&maker) = self.by_key.get(&(*kind, key)) else {
            return Err(format!("nothing makes {key}"));
        };
        match self.entries[maker].id {
            Some(id) => Ok(ObjectRef::Live(*kind, id)),
            None => {
                Err(format!("{} {} was not made", kind.label(), self.plan.changes[maker].label))
            }
        }
    }

    /// A mark needs its custom field, though nothing refers to it by key.
    fn missing_custom_field(&self, field: Field, of: Kind) -> Option<String> {
        let mark = MARKS.iter().find(|mark| mark.field == field)?;
        let key = ObjectKey::new(Kind::CustomField, mark.name);
        let &maker = self.by_key.get(&(Kind::CustomField, &key))?;
        let failed = self.entries[maker].end.as_ref().is_some_and(|end| !end.is_applied());
        let kinds = self.plan.changes[maker].fields.get(&Field::ObjectTypes);
        let covered = kinds.is_some_and(|kinds| match &kinds.before {
            Value::Words(words) => words.contains(of.as_str()),
            _ => false,
        });
        (failed && !covered).then(|| format!("the custom field {} was not made", mark.name))
    }

    /// A change of which a step cannot be written.
    fn leave_out(&mut self, step: &Step, because: String) {
        let entry = &mut self.entries[step.change];
        let end = if entry.begun {
            Outcome::Failed { reason: format!("written in part: {because}") }
        } else {
            Outcome::Skipped { because }
        };
        self.end(step.change, end);
    }

    /// A stray object was taken back, or could not be.
    pub(super) fn withdrawn(&mut self, step: &Step, end: &End, because: String) {
        if matches!(end, End::Written { .. }) {
            return self.end(step.change, Outcome::Skipped { because });
        }
        self.leave_out(step, because);
    }

    /// These steps are about to be sent.
    pub(super) fn intend(&mut self, steps: &[&Step]) {
        if self.broken.is_some() || steps.is_empty() {
            return;
        }
        let plan = self.plan;
        let intents: Vec<(&Change, &Step)> =
            steps.iter().map(|step| (&plan.changes[step.change], *step)).collect();
        let told = self.journal.intend(&intents);
        self.heard(told);
    }

    /// An object was made, whatever becomes of the rest of its change.
    pub(super) fn made(&mut self, step: &Step, id: u64) {
        let change = &self.plan.changes[step.change];
        if self.broken.is_none() {
            let told = self.journal.made(change.kind, &change.key, id);
            self.heard(told);
        }
        self.entries[step.change].id = Some(id);
    }

    /// An object has this fingerprint now, by the run's own doing.
    pub(super) fn stamped(&mut self, kind: Kind, id: u64, stamp: Option<Arc<str>>) {
        self.stamps.insert((kind, id), stamp);
    }

    /// Takes note of how a step ended.
    pub(super) fn ended(&mut self, step: &Step, end: End) {
        let change = &self.plan.changes[step.change];
        match end {
            End::Written { id, settled, stamp } => {
                let entry = &mut self.entries[step.change];
                entry.id = Some(id);
                entry.begun = true;
                for (field, value) in settled {
                    entry.settled.insert(field, value);
                }
                entry.stamp.clone_from(&stamp);
                self.stamps.insert((change.kind, id), stamp);
                self.step_ended(step.change);
            }
            End::Adopted { id } => {
                let entry = &mut self.entries[step.change];
                entry.id = Some(id);
                // What is left of the change is its maker's to write.
                entry.left = 0;
                entry.adopted = true;
                self.end(step.change, Outcome::Adopted { id });
            }
            End::Refused(reason) => self.end(step.change, Outcome::Failed { reason }),
            End::Skipped(because) => self.leave_out(step, because),
            End::Unreached => {}
        }
    }

    fn step_ended(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.left = entry.left.saturating_sub(1);
        if entry.left > 0 || entry.end.is_some() {
            return;
        }
        let Some(id) = entry.id else { return };
        let outcome = if entry.lacking.is_empty() {
            let settled = std::mem::take(&mut entry.settled);
            Outcome::Applied { id, settled, stamp: entry.stamp.take() }
        } else {
            Outcome::Failed { reason: format!("written without {}", entry.lacking.join(", ")) }
        };
        self.end(index, outcome);
    }

    fn end(&mut self, index: usize, outcome: Outcome) {
        if self.broken.is_none() {
            let told = self.journal.settle(index, &self.plan.changes[index], &outcome);
            self.heard(told);
        }
        let entry = &mut self.entries[index];
        entry.left = 0;
        entry.end = Some(outcome);
    }

    /// What the journal did not hear stays in doubt there, and the next run looks.
    fn heard(&mut self, told: Result<(), JournalError>) {
        if let Err(error) = told {
            self.broken.get_or_insert_with(|| error.to_string());
        }
    }

    /// The outcomes. `why` is why the run stopped, where it did: it stands with the first
    /// change that the run did not come to.
    pub(super) fn close(mut self, why: Option<String>) -> Vec<Outcome> {
        let mut why = self.broken.clone().or(why);
        for index in 0..self.entries.len() {
            if self.entries[index].end.is_some() {
                continue;
            }
            let entry = &mut self.entries[index];
            let outcome = match entry.id {
                Some(id) if entry.left == 0 => {
                    let settled = std::mem::take(&mut entry.settled);
                    Outcome::Applied { id, settled, stamp: entry.stamp.take() }
                }
                _ => match why.take() {
                    Some(reason) => Outcome::Failed { reason },
                    None => Outcome::NotReached,
                },
            };
            self.end(index, outcome);
        }
        self.entries.into_iter().filter_map(|entry| entry.end).collect()
    }
}

/// The values of some fields of an object that stands.
pub(super) fn settled(fields: &Fields, stands: &SmallMap<Field, Value>) -> Fields {
    fields.iter().filter_map(|(field, _)| Some((*field, stands.get(field)?.clone()))).collect()
}
