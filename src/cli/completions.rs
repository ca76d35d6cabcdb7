//! `completions`: what a shell needs to complete the command line.

use clap::Args;
use clap_complete::{Shell, generate};

use super::console::Console;
use super::exit::{Exit, Failure};

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netbox-agent completions bash > /etc/bash_completion.d/netbox-agent
  netbox-agent completions fish > ~/.config/fish/completions/netbox-agent.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(
    args: &CompletionsArgs,
    command: &mut clap::Command,
    console: &Console,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(args.shell, command, "netbox-agent", &mut script);
    console.write(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}
