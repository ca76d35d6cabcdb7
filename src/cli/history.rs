//! `history` and `rollback`: what runs changed, and how one is undone.

use std::fmt::Write;

use clap::Args;
use comfy_table::Table;
use jiff::Timestamp;
use serde::Serialize;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::plan::{ChangeFile, Names, PlanFormat, ended, json, render, unhappy};
use super::session::{Access, failure, open, records, referred};
use crate::domain::outcome::Outcome;
use crate::domain::world::World;
use crate::engine;
use crate::store::{RecordedChange, Run};

/// The arguments of `history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Show this run with every change
    #[arg(value_name = "RUN")]
    run: Option<i64>,
    /// How many runs to list
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: PlanFormat,
}

/// The arguments of `rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The run to undo, by its number in `history`
    #[arg(value_name = "RUN")]
    run: i64,
    /// Show what would be undone and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct RunFile {
    run: i64,
    purpose: String,
    sink: String,
    instance: String,
    version: String,
    started: Timestamp,
    ended: Option<Timestamp>,
    result: Option<String>,
    planned: u64,
    applied: u64,
    failed: u64,
    skipped: u64,
    not_reached: u64,
    conflicts: u64,
    sources: Vec<SourceFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<Done>>,
}

#[derive(Serialize)]
struct SourceFile {
    source: String,
    status: String,
    observations: u64,
    gaps: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    change: ChangeFile,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

fn file(run: &Run, changes: Option<&[RecordedChange]>) -> RunFile {
    let sources = run.sources.iter().map(|report| SourceFile {
        source: report.source.to_string(),
        status: report.status.to_string(),
        observations: report.observations,
        gaps: report.gaps,
        seconds: report.took.as_secs_f64(),
        message: report.message.as_deref().map(str::to_owned),
    });
    RunFile {
        run: run.id,
        purpose: run.start.purpose.to_string(),
        sink: run.start.sink.as_str().to_owned(),
        instance: run.start.instance.to_string(),
        version: run.start.version.to_string(),
        started: run.start.started,
        ended: run.ended,
        result: run.result.as_deref().map(str::to_owned),
        planned: run.counts.planned,
        applied: run.counts.applied,
        failed: run.counts.failed,
        skipped: run.counts.skipped,
        not_reached: run.counts.not_reached,
        conflicts: run.counts.conflicts,
        sources: sources.collect(),
        changes: changes.map(|changes| changes.iter().map(done).collect()),
    }
}

fn done(recorded: &RecordedChange) -> Done {
    Done {
        change: ChangeFile::of(&recorded.change),
        outcome: recorded.outcome.as_ref().map_or("unknown", Outcome::word),
        object: recorded.id,
        because: match &recorded.outcome {
            Some(Outcome::Failed { reason }) => Some(reason.clone()),
            Some(Outcome::Skipped { because }) => Some(because.clone()),
            _ => None,
        },
    }
}

pub(super) async fn run(args: &HistoryArgs, console: &Console) -> Result<Exit, Failure> {
    let records = records(console, Access::Read)?;
    let store = &records.store;
    let Some(number) = args.run else {
        let runs = store.runs(Some(&records.sink), args.limit).map_err(Failure::failed)?;
        return match args.format {
            PlanFormat::Json => {
                let files: Vec<RunFile> = runs.iter().map(|run| file(run, None)).collect();
                console.print(format_args!("{}\n", json(&files)?))
            }
            PlanFormat::Table if runs.is_empty() => console.print("No run was recorded yet.\n"),
            PlanFormat::Table => console.print(format_args!("{}\n", table(&runs))),
        }
        .map(|()| Exit::Done);
    };
    let unknown = || {
        Failure::usage(format_args!("there is no run {number}; `netbox-agent history` lists them"))
    };
    let run = store.run(number).map_err(Failure::failed)?.ok_or_else(unknown)?;
    let changes = store.run_changes(number).map_err(Failure::failed)?;
    match args.format {
        PlanFormat::Json => console.print(format_args!("{}\n", json(&file(&run, Some(&changes)))?)),
        PlanFormat::Table => {
            let fields = changes.iter().flat_map(|recorded| recorded.change.fields.iter());
            let told = fields.flat_map(|(_, value)| [&value.before, &value.after]);
            let world = match run.start.sink == records.sink {
                true => records.referred(told).await,
                false => World::default(),
            };
            let names = Names { world: Some(&world), desired: None };
            console.print(detail(&run, &changes, names))
        }
    }
    .map(|()| Exit::Done)
}

fn table(runs: &[Run]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).force_no_tty();
    table.set_header([
        "run",
        "started",
        "what",
        "result",
        "applied",
        "failed",
        "skipped",
        "conflicts",
    ]);
    for run in runs {
        table.add_row([
            run.id.to_string(),
            run.start.started.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            run.start.purpose.to_string(),
            run.result.as_deref().unwrap_or("running").to_owned(),
            run.counts.applied.to_string(),
            run.counts.failed.to_string(),
            (run.counts.skipped + run.counts.not_reached).to_string(),
            run.counts.conflicts.to_string(),
        ]);
    }
    table
}

fn detail(run: &Run, changes: &[RecordedChange], names: Names<'_>) -> String {
    let mut text = String::new();
    let result = run.result.as_deref().unwrap_or("running");
    let _ = writeln!(
        text,
        "run {} ({}) into {}: {result}",
        run.id,
        run.start.purpose,
        run.start.sink.as_str()
    );
    let _ = writeln!(text, "started {}", run.start.started.strftime("%Y-%m-%d %H:%M:%S UTC"));
    for report in &run.sources {
        let _ = write!(
            text,
            "source {}: {}, {} observations",
            report.source, report.status, report.observations
        );
        let _ = match &report.message {
            Some(message) => writeln!(text, ": {message}"),
            None => writeln!(text),
        };
    }
    text.push('\n');
    for recorded in changes {
        let change = &recorded.change;
        let end =
            recorded.outcome.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let _ = writeln!(text, "{} {} {}: {end}", change.action, change.kind.label(), change.label);
        for (field, value) in change.fields.iter() {
            let before = names.value(&value.before);
            let _ = writeln!(
                text,
                "    {field:<20} {before} → {}   [{}]",
                names.value(&value.after),
                value.why
            );
        }
    }
    text
}

pub(super) async fn rollback(args: &RollbackArgs, console: &Console) -> Result<Exit, Failure> {
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let session = open(console, access, &[]).await?;
    let undo = engine::undo(args.run, &session.context).await.map_err(|error| failure(&error))?;
    if undo.run.counts.applied == 0 && undo.plan.is_empty() && undo.plan.conflicts.is_empty() {
        let none = format!("Nothing to undo: run {} changed nothing.\n", args.run);
        return console.print(none).map(|()| Exit::Done);
    }
    if args.dry_run {
        let fields = undo.plan.changes.iter().flat_map(|change| change.fields.iter());
        let told = fields.flat_map(|(_, value)| [&value.before, &value.after]);
        let world = referred(told, &session.context.sink).await;
        let names = Names { world: Some(&world), desired: None };
        return console.print(render(&undo.plan, names)).map(|()| Exit::Done);
    }
    for conflict in &undo.plan.conflicts {
        console.note(format_args!(
            "kept {} of {} {}: somebody changed it since run {}",
            conflict.field,
            conflict.kind.label(),
            conflict.label,
            args.run
        ));
    }
    if undo.plan.is_empty() {
        let none = format!("Nothing is left to undo of run {}.\n", args.run);
        return console.print(none).map(|()| Exit::Done);
    }
    let (run, outcomes) = undo
        .apply(&session.context, &console.progress(), &console.cancel())
        .await
        .map_err(|error| failure(&error))?;
    let plan = &undo.plan;
    console.print(format_args!("{}{}\n", unhappy(plan, &outcomes), ended(plan, &outcomes)))?;
    console.note(format_args!(
        "recorded as run {run}; the next sync makes the same changes again unless what led to them changes first"
    ));
    Ok(if outcomes.iter().all(Outcome::is_applied) { Exit::Done } else { Exit::Partial })
}
