//! `explain`: what sources said of a thing, what joined it, what was refused and why,
//! which value won each field, and what became of it in NetBox.

mod find;
mod story;

use clap::Args;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::plan::{PlanFormat, json};
use super::session::{Access, FromArgs, failure, open};
use crate::engine;

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// An address, a MAC address, a name, a serial number or a source's key
    #[arg(value_name = "THING")]
    thing: String,
    #[command(flatten)]
    from: FromArgs,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: PlanFormat,
}

pub(super) async fn run(args: &ExplainArgs, console: &Console) -> Result<Exit, Failure> {
    let mut session = open(console, Access::Read, &[]).await?;
    let asked = session.ask(&args.from, console).await?;
    let draft = engine::draft(asked, &session.context).await.map_err(|error| failure(&error))?;
    let found = find::find(&args.thing, &draft);
    if found.is_empty() {
        return Err(Failure::failed(format_args!(
            "nothing is known of `{}`: no source spoke of it and nothing that stands has it; \
             give an address, a MAC address, a name, a serial number or a source's key",
            crate::domain::name::visible(&args.thing, 80)
        )));
    }
    let stories: Vec<story::Story> = found.iter().map(|thing| story::tell(thing, &draft)).collect();
    match args.format {
        PlanFormat::Json => console.print(format_args!("{}\n", json(&stories)?)),
        PlanFormat::Table => {
            let texts: Vec<String> = stories.iter().map(ToString::to_string).collect();
            console.print(texts.join("\n"))
        }
    }
    .map(|()| Exit::Done)
}
