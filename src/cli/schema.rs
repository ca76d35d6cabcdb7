//! `schema`: the formats that others may write and read.

use clap::{Args, Subcommand};

use super::console::Console;
use super::exit::{Exit, Failure};
use crate::collect::wire;

/// The arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netbox-agent schema observation > observation.schema.json")]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    of: Of,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Of {
    /// One line of observations, as `exec` sources print and `collect --save` writes them
    Observation,
}

pub(super) fn run(args: &SchemaArgs, console: &Console) -> Result<Exit, Failure> {
    let schema = match args.of {
        Of::Observation => wire::schema(),
    };
    console.print(format_args!("{schema:#}\n"))?;
    Ok(Exit::Done)
}
