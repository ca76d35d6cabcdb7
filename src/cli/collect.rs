//! `collect`: asks the sources and prints what they say, nothing more.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use comfy_table::Table;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::session::{Access, FromArgs, open};
use crate::collect::{Harvest, wire};
use crate::domain::diagnostic::Severity;
use crate::engine::Asked;

/// The arguments of `collect`.
#[derive(Debug, Args)]
pub(super) struct CollectArgs {
    /// Ask these sources alone
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    from: FromArgs,
    /// Save the observations as JSON Lines, for --from
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// How to print them [default: jsonl, or table with --save]
    #[arg(long, value_name = "FORMAT")]
    format: Option<CollectFormat>,
}

/// How observations are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CollectFormat {
    /// One JSON object a line; `schema observation` prints the schema.
    Jsonl,
    /// One line a source.
    Table,
}

pub(super) async fn run(args: &CollectArgs, console: &Console) -> Result<Exit, Failure> {
    let mut session = open(console, Access::Read, &[]).await?;
    if !args.sources.is_empty() {
        let names: Vec<String> =
            session.settings.sources.iter().map(|source| source.name.to_string()).collect();
        if let Some(stranger) = args.sources.iter().find(|name| !names.contains(name)) {
            return Err(Failure::usage(format_args!(
                "there is no source `{stranger}`; there are: {}",
                names.join(", ")
            )));
        }
        session
            .settings
            .sources
            .retain(|source| args.sources.iter().any(|name| name == source.name.as_str()));
    }
    let asked = session.ask(&args.from, console).await?;
    let mut all = Harvest::default();
    let mut partial = false;
    for asked in &asked {
        match &asked.result {
            Ok(harvest) => {
                all.observations.extend(harvest.observations.iter().cloned());
                all.coverage.extend(harvest.coverage.iter().cloned());
                all.diagnostics.extend(harvest.diagnostics.iter().cloned());
            }
            Err(error) => {
                partial = true;
                console.note(format_args!("error: {}: {error}", asked.source));
            }
        }
    }
    for told in all.diagnostics.iter().filter(|told| told.severity > Severity::Note) {
        partial |= told.severity == Severity::Error;
        console.note(told);
    }
    if let Some(path) = &args.save {
        let mut text = Vec::new();
        wire::write(&all, &mut text)?;
        std::fs::write(path, text).map_err(|error| {
            Failure::failed(format_args!(
                "cannot save the observations {}: {error}",
                path.display()
            ))
        })?;
        console.note(format_args!(
            "saved {} observations as {}",
            all.observations.len(),
            path.display()
        ));
    }
    let format = args.format.unwrap_or(match args.save {
        Some(_) => CollectFormat::Table,
        None => CollectFormat::Jsonl,
    });
    match format {
        CollectFormat::Jsonl => console.write(|out| wire::write(&all, out))?,
        CollectFormat::Table => console.print(format_args!("{}\n", table(&asked)))?,
    }
    Ok(if partial { Exit::Partial } else { Exit::Done })
}

fn table(asked: &[Asked]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).force_no_tty();
    table.set_header(["source", "observations", "covered", "gaps", "seconds", ""]);
    for asked in asked {
        let seconds = format!("{:.1}", asked.took.as_secs_f64());
        match &asked.result {
            Ok(harvest) => {
                let gaps = harvest.coverage.iter().filter(|claim| !claim.is_complete()).count();
                table.add_row([
                    asked.source.to_string(),
                    harvest.observations.len().to_string(),
                    (harvest.coverage.len() - gaps).to_string(),
                    gaps.to_string(),
                    seconds,
                    String::new(),
                ]);
            }
            Err(error) => {
                let none = || "-".to_owned();
                table.add_row([
                    asked.source.to_string(),
                    none(),
                    none(),
                    none(),
                    seconds,
                    error.to_string(),
                ]);
            }
        }
    }
    table
}
