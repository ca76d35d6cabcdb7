//! A plan: every change that a run would make, as a value that can be printed,
//! saved, reviewed, guarded and applied later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use super::value::{SmallMap, Value};
use super::words::words;

words! {
    /// What a change does to its object.
    pub enum Action ("action") {
        /// Make it.
        Create = "create",
        /// Change some of its fields.
        Update = "update",
        /// Give an address or MAC address to another interface than the one it stands on.
        Move = "move",
        /// Say that it is no longer seen.
        Retire = "retire",
        /// Take it away.
        Delete = "delete",
    }
}

/// One field of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// What stands; null for a new object.
    pub before: Value,
    /// What shall stand.
    pub after: Value,
    /// Who says so.
    pub why: Why,
}

/// One object's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// The kind of object.
    pub kind: Kind,
    /// The agent's key of the object.
    pub key: ObjectKey,
    /// Its id, where it stands already.
    pub id: Option<u64>,
    /// What a person calls it.
    pub label: Arc<str>,
    /// The fingerprint of the object that the plan was made against.
    pub stamp: Option<Arc<str>>,
    /// The fields, before and after. A deletion has all that stood, with nothing after.
    pub fields: SmallMap<Field, FieldChange>,
    /// Fields of other objects that must be emptied first, because they hold this
    /// one as primary. They are put back when the change fails.
    pub unseat: Vec<Seat>,
    /// Why an object is retired or deleted; empty otherwise.
    pub reason: Arc<str>,
}

/// A field of an object that refers to another as its primary address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// The object that refers.
    pub holder: ObjectRef,
    /// What a person calls it.
    pub label: Arc<str>,
    /// The field.
    pub field: Field,
}

/// A field that a person changed, and that the agent would have liked otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The kind of object.
    pub kind: Kind,
    /// Its id.
    pub id: u64,
    /// The agent's key of it.
    pub key: ObjectKey,
    /// What a person calls it.
    pub label: Arc<str>,
    /// The field.
    pub field: Field,
    /// What stands there and is kept.
    pub live: Value,
    /// What the agent last wrote there, where it did.
    pub last: Option<Value>,
    /// What the sources say.
    pub want: Value,
    /// Who says so.
    pub why: Why,
}

/// Every change of a run, in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes, sorted by kind and label.
    pub changes: Vec<Change>,
    /// What was kept because a person changed it.
    pub conflicts: Vec<Conflict>,
    /// What a person should know.
    pub diagnostics: Vec<Diagnostic>,
}

impl Plan {
    /// Whether nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes of each action and kind there are.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Action, Kind), usize> {
        let mut counts = BTreeMap::new();
        for change in &self.changes {
            *counts.entry((change.action, change.kind)).or_insert(0) += 1;
        }
        counts
    }
}

/// A change or part of one, in the order in which a sink can take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The index of the change in the plan.
    pub change: usize,
    /// The fields to write in this step. Empty for a deletion.
    pub fields: Vec<Field>,
    /// Whether this step makes the object.
    pub creates: bool,
}

/// Steps of one kind that do not depend on each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// The kind of object.
    pub kind: Kind,
    /// What the steps do.
    pub action: Action,
    /// The steps, in a stable order.
    pub steps: Vec<Step>,
}

/// Puts a plan's changes into the order in which they can be written: objects
/// before what refers to them, waiting fields when everything exists, addresses
/// that move before those that take their place, deletions last and in reverse.
#[must_use]
pub fn waves(plan: &Plan) -> Vec<Wave> {
    let mut waves = Vec::new();
    let creates: BTreeSet<&ObjectKey> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Create)
        .map(|change| &change.key)
        .collect();
    let order = |indices: &mut Vec<usize>| {
        indices.sort_by(|a, b| {
            let (a, b) = (&plan.changes[*a], &plan.changes[*b]);
            a.id.cmp(&b.id).then_with(|| a.key.cmp(&b.key))
        });
    };

    for &kind in Kind::ALL {
        for action in [Action::Create, Action::Update, Action::Retire, Action::Move] {
            let mut indices: Vec<usize> = (0..plan.changes.len())
                .filter(|&index| {
                    plan.changes[index].kind == kind && plan.changes[index].action == action
                })
                .collect();
            order(&mut indices);
            for layer in layers(plan, kind, &indices, &creates) {
                let steps: Vec<Step> = layer
                    .into_iter()
                    .map(|change| Step {
                        change,
                        fields: fields_of(plan, change, |field| !field.waits(kind)),
                        creates: action == Action::Create,
                    })
                    .filter(|step| step.creates || !step.fields.is_empty())
                    .collect();
                if !steps.is_empty() {
                    waves.push(Wave { kind, action, steps });
                }
            }
        }
    }
    for &kind in Kind::ALL {
        let mut indices: Vec<usize> =
            (0..plan.changes.len()).filter(|&index| plan.changes[index].kind == kind).collect();
        order(&mut indices);
        let steps: Vec<Step> = indices
            .into_iter()
            .filter(|&change| plan.changes[change].action != Action::Delete)
            .map(|change| Step {
                change,
                fields: fields_of(plan, change, |field| field.waits(kind)),
                creates: false,
            })
            .filter(|step| !step.fields.is_empty())
            .collect();
        if !steps.is_empty() {
            waves.push(Wave { kind, action: Action::Update, steps });
        }
    }
    for &kind in Kind::ALL.iter().rev() {
        let mut indices: Vec<usize> = (0..plan.changes.len())
            .filter(|&index| {
                plan.changes[index].kind == kind && plan.changes[index].action == Action::Delete
            })
            .collect();
        order(&mut indices);
        if !indices.is_empty() {
            let steps = indices
                .into_iter()
                .map(|change| Step { change, fields: Vec::new(), creates: false })
                .collect();
            waves.push(Wave { kind, action: Action::Delete, steps });
        }
    }
    waves
}

fn fields_of(plan: &Plan, change: usize, take: impl Fn(Field) -> bool) -> Vec<Field> {
    plan.changes[change]
        .fields
        .iter()
        .map(|(field, _)| *field)
        .filter(|field| take(*field))
        .collect()
}

/// Splits changes of one kind into layers, so that an object comes after those of
/// its own kind that it refers to (a location after its parent).
fn layers(
    plan: &Plan,
    kind: Kind,
    indices: &[usize],
    creates: &BTreeSet<&ObjectKey>,
) -> Vec<Vec<usize>> {
    let mut done: BTreeSet<&ObjectKey> = BTreeSet::new();
    let mut left: Vec<usize> = indices.to_vec();
    let mut layers = Vec::new();
    while !left.is_empty() {
        let (ready, rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|&&index| {
            plan.changes[index].fields.iter().filter(|(field, _)| !field.waits(kind)).all(
                |(_, change)| match &change.after {
                    Value::Ref(ObjectRef::Planned(of, key))
                        if *of == kind && creates.contains(key) =>
                    {
                        done.contains(key) || *key == plan.changes[index].key
                    }
                    _ => true,
                },
            )
        });
        // A circle of references cannot be ordered: write what is left and let the sink judge.
        let (ready, rest) = if ready.is_empty() { (rest, Vec::new()) } else { (ready, rest) };
        done.extend(ready.iter().map(|&index| &plan.changes[index].key));
        layers.push(ready);
        left = rest;
    }
    layers
}
