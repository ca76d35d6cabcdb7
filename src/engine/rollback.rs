//! Undoes a run from its before-images. What anybody changed since stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::apply::{begin, finish, result, write};
use super::{Context, EngineError};
use crate::domain::memory::foreign;
use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, Conflict, FieldChange, Plan};
use crate::domain::value::{SmallMap, Value};
use crate::domain::world::{Live, Need, World};
use crate::progress::Progress;
use crate::store::{Last, RecordedChange, Run};

/// The undoing of a run, ready to be shown or applied.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The run that is undone.
    pub run: Run,
    /// What has to be done, and what stays because somebody changed it since.
    pub plan: Plan,
}

/// Plans the undoing of a run.
///
/// # Errors
/// When there is no such run, or it wrote elsewhere, or the sink cannot be read.
pub async fn undo(run: i64, context: &Context) -> Result<Undo, EngineError> {
    let store = &context.store;
    let unknown =
        || EngineError::Run(format!("there is no run {run}; `netbox-agent history` lists them"));
    let known = store.run(run)?.ok_or_else(unknown)?;
    if known.start.sink != context.sink.id() {
        return Err(EngineError::Run(format!(
            "run {run} wrote into {}, which is not what is configured now",
            known.start.sink.as_str()
        )));
    }
    let changes = store.run_changes(run)?;
    let kinds: BTreeSet<Kind> = changes
        .iter()
        .map(|recorded| recorded.change.kind)
        // What stands on or in something tells whether that may be taken away.
        .chain([Kind::Interface, Kind::VmInterface, Kind::IpAddress, Kind::MacAddress])
        .collect();
    let world = context.sink.snapshot(&Need { kinds }).await?;
    let why = Why::Agent(format!("undoes run {run}").into());
    let mut plan = Plan::default();
    let memory = store.memory(&context.sink.id())?;
    for recorded in changes.iter().rev() {
        reverse(recorded, &world, &memory, &why, &mut plan);
    }
    keep_what_is_used(&world, &mut plan);
    relink(&changes, &mut plan);
    Ok(Undo { run: known, plan })
}

/// What the agent wrote last into each object.
type Lasts = BTreeMap<(Kind, u64), SmallMap<Field, Last>>;

fn reverse(recorded: &RecordedChange, world: &World, memory: &Lasts, why: &Why, plan: &mut Plan) {
    let change = &recorded.change;
    let live = recorded.id.and_then(|id| world.get(change.kind, id));
    match (change.action, live) {
        (Action::Create, Some(live)) if recorded.made => unmake(recorded, live, memory, why, plan),
        (Action::Update | Action::Move | Action::Retire, Some(live)) => {
            restore(recorded, live, why, plan)
        }
        (Action::Delete, None) if matches!(recorded.outcome, Some(Outcome::Applied { .. })) => {
            plan.changes.push(remake(change, why));
        }
        _ => {}
    }
}

/// An object that the run made goes, unless somebody changed a field of it since.
fn unmake(recorded: &RecordedChange, live: &Live, memory: &Lasts, why: &Why, plan: &mut Plan) {
    // What a later run added is the agent's as well.
    let later = memory.get(&(live.kind, live.id)).into_iter().flat_map(SmallMap::iter);
    let later = later.filter(|(field, _)| !recorded.settled.contains(field));
    let own: SmallMap<Field, Value> = later
        .map(|(field, last)| (*field, last.settled.as_ref().unwrap_or(&last.wanted).clone()))
        .chain(recorded.settled.iter().map(|(field, settled)| (*field, settled.clone())))
        .collect();
    let emptied = recorded.settled.iter().filter(|(field, settled)| {
        !settled.is_blank() && live.fields.get(field).is_some_and(Value::is_blank)
    });
    let touched: BTreeSet<Field> =
        foreign(live, &own).chain(emptied.map(|(field, _)| *field)).collect();
    if !touched.is_empty() {
        for field in touched {
            let settled = recorded.settled.get(&field).unwrap_or(&Value::Null);
            plan.conflicts.push(conflict(recorded, live, field, settled, &Value::Null, why));
        }
        return;
    }
    let fields = live
        .fields
        .iter()
        .filter(|(_, before)| !before.is_blank())
        .map(|(field, before)| {
            (*field, FieldChange { before: before.clone(), after: Value::Null, why: why.clone() })
        })
        .collect();
    plan.changes.push(Change {
        action: Action::Delete,
        id: Some(live.id),
        stamp: live.stamp.clone(),
        fields,
        unseat: Vec::new(),
        reason: why.to_string().into(),
        ..recorded.change.clone()
    });
}

/// Fields go back to what they were where they still hold what the run wrote.
fn restore(recorded: &RecordedChange, live: &Live, why: &Why, plan: &mut Plan) {
    let mut fields = SmallMap::default();
    for (field, settled) in recorded.settled.iter() {
        let (Some(written), Some(stands)) =
            (recorded.change.fields.get(field), live.fields.get(field))
        else {
            continue;
        };
        if *stands == written.before {
            continue;
        }
        if stands == settled {
            let after = written.before.clone();
            fields.insert(*field, FieldChange { before: stands.clone(), after, why: why.clone() });
        } else {
            plan.conflicts.push(conflict(recorded, live, *field, settled, &written.before, why));
        }
    }
    if !fields.is_empty() {
        let action =
            if fields.contains(&Field::AssignedObject) { Action::Move } else { Action::Update };
        plan.changes.push(Change {
            action,
            id: Some(live.id),
            stamp: live.stamp.clone(),
            fields,
            unseat: Vec::new(),
            reason: why.to_string().into(),
            ..recorded.change.clone()
        });
    }
}

/// An object that the run deleted is made again, with all that stood; under a new id.
fn remake(change: &Change, why: &Why) -> Change {
    let fields = change
        .fields
        .iter()
        .map(|(field, gone)| {
            let after = gone.before.clone();
            (*field, FieldChange { before: Value::Null, after, why: why.clone() })
        })
        .collect();
    Change {
        action: Action::Create,
        id: None,
        stamp: None,
        fields,
        unseat: Vec::new(),
        reason: why.to_string().into(),
        ..change.clone()
    }
}

/// What refers to an object that is made again refers to the new one: the old id is gone.
fn relink(recorded: &[RecordedChange], plan: &mut Plan) {
    let remade: BTreeSet<(Kind, ObjectKey)> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Create)
        .map(|change| (change.kind, change.key.clone()))
        .collect();
    let keys: BTreeMap<(Kind, u64), &ObjectKey> = recorded
        .iter()
        .filter(|recorded| recorded.change.action == Action::Delete)
        .filter(|recorded| remade.contains(&(recorded.change.kind, recorded.change.key.clone())))
        .filter_map(|recorded| Some(((recorded.change.kind, recorded.id?), &recorded.change.key)))
        .collect();
    let anew = |reference: &ObjectRef| {
        let id = reference.live_id();
        let key = id.and_then(|id| keys.get(&(reference.kind(), id)));
        key.map_or_else(
            || reference.clone(),
            |key| ObjectRef::Planned(reference.kind(), (*key).clone()),
        )
    };
    for change in &mut plan.changes {
        let fields = std::mem::take(&mut change.fields).into_iter();
        let relinked = fields.map(|(field, of_field)| {
            let after = match &of_field.after {
                Value::Ref(reference) => Value::Ref(anew(reference)),
                Value::Refs(all) => Value::Refs(all.iter().map(anew).collect()),
                other => other.clone(),
            };
            (field, FieldChange { after, ..of_field })
        });
        change.fields = relinked.collect();
    }
}

fn conflict(
    recorded: &RecordedChange,
    live: &Live,
    field: Field,
    settled: &Value,
    want: &Value,
    why: &Why,
) -> Conflict {
    Conflict {
        kind: live.kind,
        id: live.id,
        key: recorded.change.key.clone(),
        label: recorded.change.label.clone(),
        field,
        live: live.field(field).clone(),
        last: Some(settled.clone()),
        want: want.clone(),
        why: why.clone(),
    }
}

/// What something else refers to stays, when that something stays: deleting a device
/// would take a person's interface with it.
fn keep_what_is_used(world: &World, plan: &mut Plan) {
    loop {
        let going: BTreeSet<(Kind, u64)> = plan
            .changes
            .iter()
            .filter(|change| change.action == Action::Delete)
            .filter_map(|change| Some((change.kind, change.id?)))
            .collect();
        let undone: BTreeSet<(Kind, u64)> = plan
            .changes
            .iter()
            .filter(|change| change.action != Action::Delete)
            .filter_map(|change| Some((change.kind, change.id?)))
            .collect();
        let stays = |live: &&Live| {
            let object = (live.kind, live.id);
            !going.contains(&object) && !undone.contains(&object)
        };
        let kept: BTreeSet<(Kind, u64)> = world
            .iter()
            .filter(stays)
            .flat_map(references)
            .filter(|object| going.contains(object))
            .collect();
        if kept.is_empty() {
            return;
        }
        plan.changes.retain(|change| {
            change.action != Action::Delete
                || change.id.is_none_or(|id| !kept.contains(&(change.kind, id)))
        });
    }
}

/// What an object refers to.
fn references(live: &Live) -> Vec<(Kind, u64)> {
    let of = |reference: &ObjectRef| reference.live_id().map(|id| (reference.kind(), id));
    live.fields
        .iter()
        .flat_map(|(_, value)| match value {
            Value::Ref(reference) => of(reference).into_iter().collect::<Vec<_>>(),
            Value::Refs(refs) => refs.iter().filter_map(of).collect(),
            _ => Vec::new(),
        })
        .collect()
}

impl Undo {
    /// Applies the undoing.
    ///
    /// # Errors
    /// When the store fails before anything was written.
    pub async fn apply(
        &self,
        context: &Context,
        progress: &Arc<dyn Progress>,
        cancel: &CancellationToken,
    ) -> Result<(i64, Vec<Outcome>), EngineError> {
        let recorder = begin(context, &format!("rollback {}", self.run.id))?;
        let outcomes = write(&self.plan, context, &recorder, progress, cancel).await?;
        finish(&recorder, &self.plan, result(&outcomes, cancel))?;
        Ok((recorder.run(), outcomes))
    }
}
