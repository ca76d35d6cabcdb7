//! `ambiguities`: the questions that only a person can settle.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::plan::{PlanFormat, json};
use super::session::{Access, FromArgs, failure, open};
use crate::engine;

/// The arguments of `ambiguities`.
#[derive(Debug, Args)]
pub(super) struct AmbiguitiesArgs {
    #[command(flatten)]
    from: FromArgs,
    /// How to print them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: PlanFormat,
}

#[derive(Serialize)]
struct Question<'a> {
    id: &'a str,
    code: &'a str,
    question: &'a str,
    parties: Vec<&'a str>,
}

pub(super) async fn run(args: &AmbiguitiesArgs, console: &Console) -> Result<Exit, Failure> {
    let mut session = open(console, Access::Read, &[]).await?;
    let asked = session.ask(&args.from, console).await?;
    let draft = engine::draft(asked, &session.context).await.map_err(|error| failure(&error))?;
    let all = draft.ambiguities();
    if args.format == PlanFormat::Json {
        let questions: Vec<Question<'_>> = all
            .iter()
            .map(|one| Question {
                id: &one.id,
                code: one.code,
                question: &one.question,
                parties: one.parties.iter().map(String::as_str).collect(),
            })
            .collect();
        return console.print(format_args!("{}\n", json(&questions)?)).map(|()| Exit::Done);
    }
    let mut text = String::new();
    for one in &all {
        let quoted: Vec<String> = one.parties.iter().map(|party| format!("{party:?}")).collect();
        let _ = writeln!(text, "{} {}\n    {}", one.id, one.code, one.question);
        let _ = writeln!(
            text,
            "    settle it in the configuration, with join if it is one thing, else split:"
        );
        let _ = writeln!(text, "    [[bind]]\n    join = [{}]\n", quoted.join(", "));
    }
    if all.is_empty() {
        text.push_str("Nothing is ambiguous.\n");
    }
    console.print(text).map(|()| Exit::Done)
}
