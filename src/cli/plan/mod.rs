//! `plan`: what a sync would change, without changing anything.

mod file;
mod text;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::session::{Access, FromArgs, Session, failure, open};
use crate::engine::{self, Draft};

pub(super) use file::{ChangeFile, ConflictFile, PlanFile, Told};
pub(super) use text::{Names, ended, plan as render, refused, refused_list, unhappy};

/// The arguments of `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    from: FromArgs,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: PlanFormat,
    /// Save the plan for `sync --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with 5 when there are changes, 0 when there are none
    #[arg(long)]
    detailed_exit_code: bool,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    /// For people: object, field, before → after, who says so.
    Table,
    /// For programs.
    Json,
}

pub(super) async fn run(args: &PlanArgs, console: &Console) -> Result<Exit, Failure> {
    let mut session = open(console, Access::Read, &[]).await?;
    let asked = session.ask(&args.from, console).await?;
    let draft = engine::draft(asked, &session.context).await.map_err(|error| failure(&error))?;
    show_told(console, &draft);
    let saved = to_file(&session, &draft);
    if let Some(path) = &args.out {
        save(&saved, path)?;
        console.note(format_args!("saved the plan as {}", path.display()));
    }
    print(&draft, &saved, args.format, console)?;
    if !draft.refusals.is_empty() {
        let list = refused_list(&draft.refusals);
        console.note(format_args!(
            "The guard would refuse this: {}\n{}",
            refused(&draft.refusals),
            list.trim_end()
        ));
    }
    Ok(if args.detailed_exit_code && !draft.plan.is_empty() {
        Exit::Pending
    } else if draft.picture.is_partial() {
        Exit::Partial
    } else {
        Exit::Done
    })
}

pub(super) fn to_file(session: &Session, draft: &Draft) -> PlanFile {
    let context = &session.context;
    PlanFile::new(
        &draft.plan,
        context.sink.id().as_str(),
        context.policy.instance.as_str(),
        Timestamp::now(),
    )
}

pub(super) fn print(
    draft: &Draft,
    saved: &PlanFile,
    format: PlanFormat,
    console: &Console,
) -> Result<(), Failure> {
    match format {
        PlanFormat::Json => console.print(format_args!("{}\n", json(saved)?)),
        PlanFormat::Table => {
            let names = Names { world: Some(&draft.world), desired: Some(&draft.desired) };
            console.print(render(&draft.plan, names))
        }
    }
}

/// What the sources and the merge tell, on standard error.
pub(super) fn show_told(console: &Console, draft: &Draft) {
    for told in &draft.picture.diagnostics {
        if told.severity > crate::domain::diagnostic::Severity::Note {
            console.note(told);
        }
    }
    let open = draft.ambiguities().len();
    if open > 0 {
        console.note(format_args!(
            "{open} questions need a person: `netbox-agent ambiguities` lists them"
        ));
    }
}

/// A value as JSON for a person's eyes and a program's.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::failed(format_args!("cannot write JSON: {error}")))
}

fn save(plan: &PlanFile, path: &Path) -> Result<(), Failure> {
    let text = json(plan)? + "\n";
    std::fs::write(path, text).map_err(|error| {
        Failure::failed(format_args!("cannot save the plan {}: {error}", path.display()))
    })
}

/// Reads a saved plan.
pub(super) fn load(path: &Path) -> Result<PlanFile, Failure> {
    let refuse = |reason: String| {
        Failure::usage(format_args!("cannot use the plan {}: {reason}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| refuse(format!("it is not a saved plan: {error}")))
}
