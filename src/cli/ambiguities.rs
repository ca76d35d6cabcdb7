//! `ambiguities`: the questions that only a person can settle.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::plan::{PlanFormat, json};
use super::session::{Access, FromArgs, failure, open};
use crate::domain::identity::Identifier;
use crate::domain::settings::Bind;
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
    /// Rules for the configuration, each of which settles it.
    answers: Vec<String>,
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
                answers: one.answers.iter().map(|rule| format!("[[bind]]\n{rule}")).collect(),
            })
            .collect();
        return console.print(format_args!("{}\n", json(&questions)?)).map(|()| Exit::Done);
    }
    let mut text = String::new();
    for one in &all {
        let _ = writeln!(text, "{} {}\n    {}", one.id, one.code, one.question);
        let first = match one.answers.len() {
            0 => "    no rule can settle it: it is so in the network\n",
            1 => "    if this is so, it settles it in the configuration:\n",
            _ => "    whichever of these is so settles it in the configuration:\n",
        };
        text.push_str(first);
        for rule in &one.answers {
            let _ = writeln!(text, "    # {}\n    [[bind]]\n    {rule}", meaning(rule));
        }
        text.push('\n');
    }
    if all.is_empty() {
        text.push_str("Nothing is ambiguous.\n");
    }
    console.print(text).map(|()| Exit::Done)
}

/// What a person says with a rule.
fn meaning(rule: &Bind) -> &'static str {
    let is_object = |side: &Identifier| matches!(side, Identifier::Object(..));
    match rule {
        Bind::Join(sides) if sides.iter().any(is_object) => "it is this object",
        Bind::Join(_) => "they are one thing",
        Bind::Split(sides) if sides.len() == 1 => "many things carry it: it is no evidence",
        Bind::Split(sides) if sides.iter().any(is_object) => "it is not this object",
        Bind::Split(_) => "they are different things",
        Bind::Alias(_) => "they are names of one thing",
    }
}
