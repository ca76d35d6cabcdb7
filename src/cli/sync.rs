//! `sync`: asks, plans, guards and applies.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::plan::{
    ChangeFile, ConflictFile, Names, PlanFormat, Told, ended, json, load, print, refused,
    refused_list, show_told, to_file, unhappy,
};
use super::session::{Access, FromArgs, Session, failure, open};
use crate::domain::guard::Cap;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::engine::{self, Draft, Report};

/// The arguments of `sync`.
#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Show what would change and change nothing, as `plan` does; the exit code tells what a
    /// sync would meet
    #[arg(long, conflicts_with = "plan")]
    dry_run: bool,
    /// Apply a plan saved with `plan --out`, where nothing that it touches has changed since
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    plan: Option<PathBuf>,
    /// Lift a limit of the guard for this run: creates, retires, deletes, moves or vanished
    #[arg(long, value_name = "LIMIT", value_parser = cap)]
    allow: Vec<Cap>,
    /// How to print the result
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: PlanFormat,
}

fn cap(text: &str) -> Result<Cap, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Cap::ALL.iter().map(|cap| cap.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

pub(super) async fn run(args: &SyncArgs, console: &Console) -> Result<Exit, Failure> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let mut session = open(console, access, &args.allow).await?;
    if let Some(path) = &args.plan {
        return apply_saved(path, &session, args.format, console).await;
    }
    let asked = session.ask(&args.from, console).await?;
    let draft = engine::draft(asked, &session.context).await.map_err(|error| failure(&error))?;
    show_told(console, &draft);
    if args.dry_run {
        let saved = to_file(&session, &draft);
        print(&draft, &saved, args.format, console)?;
    }
    if !draft.refusals.is_empty() {
        let how =
            if args.dry_run { "would refuse this" } else { "refused this; nothing was written" };
        let message = format!("the guard {how}: {}", refused(&draft.refusals));
        return Err(Failure::Refused { message, list: refused_list(&draft.refusals) });
    }
    if args.dry_run {
        return Ok(if draft.picture.is_partial() { Exit::Partial } else { Exit::Done });
    }
    if console.cancel().is_cancelled() {
        return Err(Failure::failed("ended before anything was written"));
    }
    let report = engine::apply(&draft, &session.context, &console.progress(), &console.cancel())
        .await
        .map_err(|error| failure(&error))?;
    tell(&draft, &report, &session, args.format, console)?;
    Ok(exit(&draft, &report))
}

fn exit(draft: &Draft, report: &Report) -> Exit {
    let failed_whole =
        !report.outcomes.is_empty() && report.outcomes.iter().all(|outcome| !outcome.is_applied());
    match (failed_whole, report.is_complete() && !draft.picture.is_partial()) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Done,
        (false, false) => Exit::Partial,
    }
}

/// How a sync ended, for programs.
#[derive(Serialize)]
struct ReportFile {
    version: u32,
    run: i64,
    sink: String,
    summary: Counts,
    changes: Vec<Ended>,
    conflicts: Vec<ConflictFile>,
    diagnostics: Vec<Told>,
}

#[derive(Serialize, Default)]
struct Counts {
    planned: usize,
    applied: usize,
    failed: usize,
    skipped: usize,
    not_reached: usize,
    conflicts: usize,
}

#[derive(Serialize)]
struct Ended {
    #[serde(flatten)]
    change: ChangeFile,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

fn ended_changes(plan: &Plan, outcomes: &[Outcome]) -> Vec<Ended> {
    plan.changes
        .iter()
        .zip(outcomes)
        .map(|(change, outcome)| Ended {
            change: ChangeFile::of(change),
            outcome: outcome.word(),
            object: outcome.id().or(change.id),
            because: match outcome {
                Outcome::Failed { reason } => Some(reason.clone()),
                Outcome::Skipped { because } => Some(because.clone()),
                _ => None,
            },
        })
        .collect()
}

fn tell(
    draft: &Draft,
    report: &Report,
    session: &Session,
    format: PlanFormat,
    console: &Console,
) -> Result<(), Failure> {
    let sink = session.context.sink.id();
    let store = &session.context.store;
    match format {
        PlanFormat::Json => {
            let told = draft.picture.diagnostics.iter().chain(&draft.plan.diagnostics);
            let file = ReportFile {
                version: 1,
                run: report.run,
                sink: sink.as_str().to_owned(),
                summary: counts(&draft.plan, &report.outcomes),
                changes: ended_changes(&draft.plan, &report.outcomes),
                conflicts: draft.plan.conflicts.iter().map(ConflictFile::of).collect(),
                diagnostics: told.map(Told::of).collect(),
            };
            console.print(format_args!("{}\n", json(&file)?))?;
        }
        PlanFormat::Table => {
            let mut text = unhappy(&draft.plan, &report.outcomes);
            text.push_str(&ended(&draft.plan, &report.outcomes));
            text.push('\n');
            console.print(text)?;
        }
    }
    // A conflict is told once; `conflicts` lists those that stand.
    let names = Names { world: Some(&draft.world), desired: Some(&draft.desired) };
    for open in &report.conflicts {
        let conflict = &open.conflict;
        console.note(format_args!(
            "kept {} of {} {}: it is `{}`, sources say `{}` ({}); take it back with `netbox-agent reclaim {}/{} {}`",
            conflict.field,
            conflict.kind.label(),
            conflict.label,
            names.value(&conflict.live),
            names.value(&conflict.want),
            conflict.why,
            conflict.kind,
            conflict.id,
            conflict.field
        ));
    }
    store.mark_reported(&sink, &report.conflicts).map_err(Failure::failed)
}

fn counts(plan: &Plan, outcomes: &[Outcome]) -> Counts {
    let count = |word: &str| outcomes.iter().filter(|outcome| outcome.word() == word).count();
    Counts {
        planned: plan.changes.len(),
        applied: count("applied"),
        failed: count("failed"),
        skipped: count("skipped"),
        not_reached: count("not_reached"),
        conflicts: plan.conflicts.len(),
    }
}

/// Applies a saved plan; what has changed since is refused, object by object.
async fn apply_saved(
    path: &Path,
    session: &Session,
    format: PlanFormat,
    console: &Console,
) -> Result<Exit, Failure> {
    let file = load(path)?;
    let context = &session.context;
    let (sink, instance) = (context.sink.id(), context.policy.instance.as_str());
    if file.sink != sink.as_str() || file.instance != instance {
        return Err(Failure::usage(format_args!(
            "cannot use the plan {}: it was made by {} for {}, and this is {instance} for {}",
            path.display(),
            file.instance,
            file.sink,
            sink.as_str()
        )));
    }
    let plan = file.plan().map_err(|error| {
        Failure::usage(format_args!("cannot use the plan {}: {error}", path.display()))
    })?;
    let (run, outcomes) =
        engine::apply_plan(&plan, context, &console.progress(), &console.cancel())
            .await
            .map_err(|error| failure(&error))?;
    match format {
        PlanFormat::Json => {
            let file = ReportFile {
                version: 1,
                run,
                sink: sink.as_str().to_owned(),
                summary: counts(&plan, &outcomes),
                changes: ended_changes(&plan, &outcomes),
                conflicts: Vec::new(),
                diagnostics: Vec::new(),
            };
            console.print(format_args!("{}\n", json(&file)?))?;
        }
        PlanFormat::Table => {
            console.print(format_args!(
                "{}{}\n",
                unhappy(&plan, &outcomes),
                ended(&plan, &outcomes)
            ))?;
        }
    }
    let applied = outcomes.iter().filter(|outcome| outcome.is_applied()).count();
    Ok(match applied {
        all if all == outcomes.len() => Exit::Done,
        0 => Exit::Failed,
        _ => Exit::Partial,
    })
}
