//! Applies a plan and remembers what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Context, Draft, EngineError, recall};
use crate::domain::object::{Field, Kind, ObjectKey};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, FieldChange, Plan};
use crate::domain::world::{Need, World};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::store::{Bindings, OpenConflict, Reclaim, Retention, RunEnd, RunRecorder, RunStart};

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// The run's number in the history.
    pub run: i64,
    /// The end of each change, in the order of the plan.
    pub outcomes: Vec<Outcome>,
    /// Conflicts that a person was not told of before.
    pub conflicts: Vec<OpenConflict>,
}

impl Report {
    /// Whether every change was written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_applied)
    }
}

/// Applies a draft's plan.
///
/// # Errors
/// When the store fails before anything was written. What fails later is in the report.
pub async fn apply(
    draft: &Draft,
    context: &Context,
    progress: &Arc<dyn Progress>,
    cancel: &CancellationToken,
) -> Result<Report, EngineError> {
    let recorder = begin(context, "sync")?;
    recorder.sources(&draft.picture.sources)?;
    let outcomes = write(&draft.plan, context, &recorder, progress, cancel).await?;
    let made = made(&draft.plan, &outcomes);
    remember(draft, context, &made, &outcomes)?;
    let conflicts = context.store.update_conflicts(
        &context.sink.id(),
        &draft.plan.conflicts,
        |kind, id| draft.world.get(kind, id).is_some(),
        Timestamp::now(),
    )?;
    let report = Report { run: recorder.run(), outcomes, conflicts };
    let result = match result(&report.outcomes, cancel) {
        "done" if draft.picture.is_partial() => "partial",
        result => result,
    };
    finish(&recorder, &draft.plan, result)?;
    context.store.prune(&KEPT, Timestamp::now())?;
    Ok(report)
}

/// How much history is kept: enough to undo what was noticed late, without growing for ever.
const KEPT: Retention = Retention { days: Some(400), runs: Some(20_000) };

pub(super) fn begin(context: &Context, purpose: &str) -> Result<RunRecorder, EngineError> {
    let start = RunStart {
        instance: context.policy.instance.as_str().into(),
        sink: context.sink.id(),
        purpose: purpose.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        dry_run: false,
        started: Timestamp::now(),
    };
    Ok(context.store.begin(&start)?)
}

/// How a run ended, in one word, as far as its changes tell.
pub(super) fn result(outcomes: &[Outcome], cancel: &CancellationToken) -> &'static str {
    let is_untouched = |outcome: &Outcome| matches!(outcome, Outcome::NotReached);
    if outcomes.iter().all(Outcome::is_applied) {
        "done"
    } else if outcomes.iter().any(Outcome::is_applied) {
        "partial"
    } else if cancel.is_cancelled() && outcomes.iter().all(is_untouched) {
        "interrupted"
    } else {
        "failed"
    }
}

pub(super) fn finish(recorder: &RunRecorder, plan: &Plan, result: &str) -> Result<(), EngineError> {
    recorder.finish(&RunEnd {
        ended: Timestamp::now(),
        result: result.into(),
        planned: plan.changes.len() as u64,
        conflicts: plan.conflicts.len() as u64,
    })?;
    Ok(())
}

pub(super) async fn write(
    plan: &Plan,
    context: &Context,
    recorder: &RunRecorder,
    progress: &Arc<dyn Progress>,
    cancel: &CancellationToken,
) -> Result<Vec<Outcome>, EngineError> {
    if plan.changes.is_empty() {
        return Ok(Vec::new());
    }
    let journal: Arc<dyn Journal> = Arc::new(recorder.clone());
    let plan = Arc::new(plan.clone());
    context.sink.apply(plan, journal, progress.clone(), cancel.clone()).await
}

/// The ids of what a plan made.
fn made(plan: &Plan, outcomes: &[Outcome]) -> BTreeMap<ObjectKey, (Kind, u64)> {
    plan.changes
        .iter()
        .zip(outcomes)
        .filter(|(change, _)| change.action == Action::Create)
        .filter_map(|(change, outcome)| Some((change.key.clone(), (change.kind, outcome.id()?))))
        .collect()
}

/// Remembers which object stands for which host, who was seen, and what was said.
fn remember(
    draft: &Draft,
    context: &Context,
    made: &BTreeMap<ObjectKey, (Kind, u64)>,
    outcomes: &[Outcome],
) -> Result<(), EngineError> {
    let store = &context.store;
    let sink = context.sink.id();
    let mut bindings = Bindings::default();
    for (key, kind, id) in draft.resolved.standing() {
        bindings.objects.insert(key.clone(), (kind, id));
    }
    bindings.objects.extend(made.iter().map(|(key, object)| (key.clone(), *object)));
    for (key, object) in &draft.desired.objects {
        let Some(host) =
            object.host.filter(|_| matches!(object.kind, Kind::Device | Kind::VirtualMachine))
        else {
            continue;
        };
        if let Some(standing) = bindings.objects.get(key) {
            let keys = draft.picture.inventory.hosts[host].native_keys();
            bindings.natives.extend(keys.map(|native| (native.clone(), *standing)));
        }
    }
    // Only what is new is written: a run with nothing new leaves the store as it is.
    let known = store.bindings(&sink)?;
    bindings.objects.retain(|key, object| known.objects.get(key) != Some(object));
    bindings.natives.retain(|key, object| known.natives.get(key) != Some(object));
    if !bindings.objects.is_empty() || !bindings.natives.is_empty() {
        store.bind(&sink, &bindings)?;
    }
    let mut sightings = draft.sightings.clone();
    for (key, object) in made {
        sightings.extend(draft.newcomers.get(key).map(|sighting| (*object, sighting.clone())));
    }
    // What was not retired after all is tried again; what was deleted is forgotten.
    for (change, outcome) in draft.plan.changes.iter().zip(outcomes) {
        let Some(object) = change.id.map(|id| (change.kind, id)) else { continue };
        match (change.action, outcome.is_applied()) {
            (Action::Retire, false) => {
                if let Some(sighting) = sightings.get_mut(&object) {
                    sighting.retired = None;
                    sighting.misses = context.policy.absence.grace_runs;
                }
            }
            (Action::Delete, true) => {
                sightings.remove(&object);
            }
            _ => {}
        }
    }
    if sightings != draft.before {
        store.save_sightings(&sink, &sightings)?;
    }
    if !context.replay {
        recall::keep(store, &draft.picture.kept, Timestamp::now())?;
    }
    let wishes: Vec<Reclaim> = draft
        .memory
        .reclaimed
        .iter()
        .map(|(kind, id, field)| Reclaim { kind: *kind, id: *id, field: *field })
        .filter(|wish| is_fulfilled(draft, outcomes, wish))
        .collect();
    if !wishes.is_empty() {
        store.fulfil_reclaims(&sink, &wishes)?;
    }
    Ok(())
}

/// Whether nothing that a person gave back is left to be written.
fn is_fulfilled(draft: &Draft, outcomes: &[Outcome], wish: &Reclaim) -> bool {
    if draft.world.get(wish.kind, wish.id).is_none() {
        return draft.world.read.contains(&wish.kind);
    }
    draft.plan.changes.iter().zip(outcomes).all(|(change, outcome)| {
        let about = change.kind == wish.kind && change.id == Some(wish.id);
        !about || outcome.is_applied()
    })
}

/// Applies a saved plan. What changed since it was made is left out object by object,
/// and so is what stands already.
///
/// # Errors
/// When the sink cannot be read, or the store fails before anything was written.
pub async fn apply_plan(
    plan: &Plan,
    context: &Context,
    progress: &Arc<dyn Progress>,
    cancel: &CancellationToken,
) -> Result<(i64, Vec<Outcome>), EngineError> {
    let kinds = plan.changes.iter().map(|change| change.kind).collect();
    let world = context.sink.snapshot(&Need { kinds }).await?;
    let instance = context.policy.instance.as_str();
    let stale: Vec<Option<&str>> =
        plan.changes.iter().map(|change| staleness(change, &world, instance)).collect();
    let fresh: Vec<usize> =
        (0..plan.changes.len()).filter(|&place| stale[place].is_none()).collect();
    let rest = Plan {
        changes: fresh.iter().map(|&place| plan.changes[place].clone()).collect(),
        ..Plan::default()
    };
    let recorder = begin(context, "sync --plan")?;
    let written = write(&rest, context, &recorder, progress, cancel).await?;
    let mut outcomes: Vec<Outcome> = stale
        .iter()
        .map(|why| Outcome::Skipped { because: why.unwrap_or_default().to_owned() })
        .collect();
    for (place, outcome) in fresh.into_iter().zip(written) {
        outcomes[place] = outcome;
    }
    finish(&recorder, plan, result(&outcomes, cancel))?;
    Ok((recorder.run(), outcomes))
}

/// Why a change of a saved plan must not be made any more.
fn staleness(change: &Change, world: &World, instance: &str) -> Option<&'static str> {
    let Some(id) = change.id else {
        let name = change.key.as_str().split_once(':').map_or("", |(_, name)| name);
        let made = world.of(change.kind).any(|live| {
            live.field(Field::AgentInstance).as_text() == Some(instance)
                && live.field(Field::AgentKey).as_text() == Some(name)
        });
        return made.then_some("it was made since");
    };
    let Some(live) = world.get(change.kind, id) else { return Some("it is gone since") };
    let moved = |(field, planned): (&Field, &FieldChange)| live.field(*field) != &planned.before;
    match (&change.stamp, &live.stamp) {
        (Some(planned), Some(stands)) if planned == stands => None,
        (Some(_), Some(_)) => Some("it was changed since"),
        _ if change.fields.iter().any(moved) => Some("it was changed since"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_with_the_word_for_what_its_changes_came_to() {
        let applied = || Outcome::Adopted { id: 1 };
        let failed = || Outcome::Failed { reason: "no".into() };
        let open = CancellationToken::new();
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        for (outcomes, cancel, word) in [
            (vec![], &open, "done"),
            (vec![applied()], &cancelled, "done"),
            (vec![applied(), failed()], &open, "partial"),
            (vec![applied(), Outcome::NotReached], &cancelled, "partial"),
            (vec![failed(), Outcome::NotReached], &cancelled, "failed"),
            (vec![Outcome::NotReached], &open, "failed"),
            (vec![Outcome::NotReached], &cancelled, "interrupted"),
        ] {
            assert_eq!(result(&outcomes, cancel), word, "{outcomes:?}");
        }
    }
}
