//! The command line: one file per verb, and the only room that prints.
//!
//! A verb takes its arguments and the [`Console`], asks other rooms for values,
//! prints them, and ends with an [`Exit`] or a [`Failure`]. Errors are one line
//! for people; there is no backtrace, and no secret passes through here.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

mod ambiguities;
mod check;
mod collect;
mod completions;
mod config;
mod conflicts;
mod console;
mod exit;
mod explain;
mod history;
pub mod inventory;
mod logging;
mod plan;
mod progress;
mod scan;
mod schema;
mod session;
mod sync;
mod usage;

pub use console::Console;
pub use exit::{Exit, Failure};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "netbox-agent",
    version,
    about,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = EXIT_CODES
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  done in part: a source or some of the changes failed
  4  refused by the guard: sync, and sync --dry-run where sync would be
  5  changes pending (only where asked for)";

/// The options that every verb has.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// The configuration file [default: $NETBOX_AGENT_CONFIG, else
    /// /etc/netbox-agent/netbox-agent.toml, else
    /// $XDG_CONFIG_HOME/netbox-agent/netbox-agent.toml]
    #[arg(long, short, global = true, value_name = "PATH", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Log more to standard error: -v what is done, -vv how, -vvv everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet", help_heading = "Global options")]
    pub verbose: u8,
    /// Log errors alone and show no progress
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// How log lines are written
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Global options")]
    pub log_format: Option<LogFormat>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Global options"
    )]
    pub color: Colour,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the environment has `NO_COLOR`.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    fn wanted(self, terminal: bool) -> bool {
        match self {
            Colour::Auto => terminal && !crate::config::colours_unwanted(),
            Colour::Always => true,
            Colour::Never => false,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Sweep subnets and print what answers
    #[command(after_help = "\
Examples:
  netbox-agent scan --subnet 192.168.1.0/24
  netbox-agent scan --subnet 192.168.1.0/24 --ports 22,80,443 --format json
  netbox-agent scan --subnet 10.0.0.0/20 10.1.0.0/24 --rate 200 --exclude 10.0.0.13

The JSON is one object:
  version      1; keys are added to it, never taken away or changed
  hosts        ip, prefix_length, mac, vendor, method, rtt_ms, name, name_from,
               ports (port, protocol, service), other_macs, proxied
  subnets      subnet, method, interface, asked, answered, complete, gap
  left_out     subnet, reason
  diagnostics  severity, code, about, message
  packets, seconds, interrupted")]
    Scan(scan::ScanArgs),
    /// Ask the sources and print what they say
    #[command(after_help = "\
Examples:
  netbox-agent collect
  netbox-agent collect lan --save monday.jsonl")]
    Collect(collect::CollectArgs),
    /// Show what a sync would change, and change nothing
    #[command(after_help = "\
Examples:
  netbox-agent plan
  netbox-agent plan --out plan.json && netbox-agent sync --plan plan.json
  netbox-agent plan --from monday.jsonl --format json

What the guard would refuse is told, and is no failure: the exit code is 0, 3 when a
source failed, and with --detailed-exit-code 5 when there are changes.")]
    Plan(plan::PlanArgs),
    /// Ask the sources, and make NetBox (or the local inventory) true
    #[command(after_help = "\
Examples:
  netbox-agent sync --dry-run
  netbox-agent sync
  netbox-agent sync --allow retires

With --dry-run the exit code is the one that a sync would begin with: 4 when the guard
would refuse it, 3 when a source failed, else 0.")]
    Sync(sync::SyncArgs),
    /// Print what stands in the inventory, in many forms
    #[command(after_help = "\
Examples:
  netbox-agent inventory
  netbox-agent inventory --format ansible > hosts.yaml
  netbox-agent inventory --format csv --kind ip_address
  netbox-agent inventory --from monday.jsonl --format json")]
    Inventory(inventory::InventoryArgs),
    /// Explain a thing: who said what, what joined it, which value won, what became of it
    #[command(after_help = "\
Examples:
  netbox-agent explain 192.0.2.7
  netbox-agent explain bc:24:11:aa:bb:cc
  netbox-agent explain plex --from monday.jsonl")]
    Explain(explain::ExplainArgs),
    /// List the questions that only a person can settle
    Ambiguities(ambiguities::AmbiguitiesArgs),
    /// List the fields that were kept because a person changed them
    Conflicts(conflicts::ConflictsArgs),
    /// Give a field, or all fields of an object, back to the agent
    #[command(after_help = "\
Examples:
  netbox-agent reclaim device/42 name
  netbox-agent reclaim virtual_machine/7")]
    Reclaim(conflicts::ReclaimArgs),
    /// List runs, or show what one changed
    #[command(after_help = "\
Examples:
  netbox-agent history
  netbox-agent history 41 --format json")]
    History(history::HistoryArgs),
    /// Undo a run; what anybody changed since stays
    #[command(after_help = "\
Examples:
  netbox-agent rollback 41 --dry-run
  netbox-agent rollback 41")]
    Rollback(history::RollbackArgs),
    /// Check the configuration and the store; with --online NetBox and the sources too
    #[command(after_help = "\
Examples:
  netbox-agent check
  netbox-agent check --online
  netbox-agent check --online --format json

Nothing is written. The exit code is 0 when all is well (warnings do not count), 1 when
NetBox or the store cannot be used, 2 when the configuration is wrong, 3 when something
is missing for a part of the work.")]
    Check(check::CheckArgs),
    /// Write, check and show the configuration
    Config(config::ConfigArgs),
    /// Print the JSON Schema of a format that others may write
    Schema(schema::SchemaArgs),
    /// Print a script that completes the command line in a shell
    Completions(completions::CompletionsArgs),
}

/// Parses the arguments, does what they say, and tells how it ended.
///
/// # Errors
/// With what a person shall read, and the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, Failure> {
    speak_of_panics();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage::explain(&error),
    };
    let console = Console::new(arguments.global);
    logging::start(&console);
    // A defect must end in a line and an exit code like everything else. The hook has
    // printed the line.
    std::panic::catch_unwind(AssertUnwindSafe(|| dispatch(arguments.verb, &console)))
        .unwrap_or(Ok(Exit::Failed))
}

fn dispatch(verb: Verb, console: &Console) -> Result<Exit, Failure> {
    match verb {
        Verb::Scan(args) => wait(console, scan::run(&args, console)),
        Verb::Collect(args) => wait(console, collect::run(&args, console)),
        Verb::Inventory(args) => wait(console, inventory::run(&args, console)),
        Verb::Explain(args) => wait(console, explain::run(&args, console)),
        Verb::Ambiguities(args) => wait(console, ambiguities::run(&args, console)),
        Verb::Conflicts(args) => wait(console, conflicts::list(&args, console)),
        Verb::Reclaim(args) => wait(console, conflicts::reclaim(&args, console)),
        Verb::History(args) => wait(console, history::run(&args, console)),
        Verb::Rollback(args) => wait(console, history::rollback(&args, console)),
        Verb::Plan(args) => wait(console, plan::run(&args, console)),
        Verb::Sync(args) => wait(console, sync::run(&args, console)),
        Verb::Check(args) => wait(console, check::run(&args, console)),
        Verb::Config(args) => config::run(&args, console),
        Verb::Schema(args) => schema::run(&args, console),
        Verb::Completions(args) => completions::run(&args, &mut Arguments::command(), console),
    }
}

/// Runs a verb that waits: on the runtime, with the signals that end it.
fn wait(
    console: &Console,
    work: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?;
    let end = runtime.block_on(async {
        let watch = tokio::spawn(end_on_signals(console.cancel()));
        let end = work.await;
        watch.abort();
        end
    });
    // A thread that hangs in a system call must not keep the command from ending.
    runtime.shutdown_background();
    end
}

/// The first signal asks the verb to end and to print what it has; the second one
/// does not wait for that.
async fn end_on_signals(cancel: tokio_util::sync::CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for last in [false, true] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if last {
            std::process::exit(130);
        }
        cancel.cancel();
    }
}

/// Prints why a command ended, and gives its exit code.
#[must_use]
pub fn report(failure: &Failure) -> Exit {
    let tell = |message: &str| {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(std::io::stderr().lock(), "error: {message}");
    };
    match failure {
        Failure::Message { exit, message } => {
            // What servers say may end up in here: one line, and nothing that moves the cursor.
            tell(&crate::domain::name::visible(message, 2_000));
            *exit
        }
        Failure::Refused { message, list } => {
            tell(&crate::domain::name::visible(message, 2_000));
            let _ = write!(std::io::stderr().lock(), "{list}");
            Exit::Refused
        }
        Failure::Configuration(complaints) => {
            complaints.iter().for_each(|complaint| tell(&complaint.to_string()));
            Exit::Usage
        }
        Failure::BrokenPipe => Exit::Done,
    }
}

/// A panic is a defect. A person gets one line about it, and where it is.
///
/// The hook does not end the process: a run survives the defect of one source.
fn speak_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = panic.payload_as_str().unwrap_or("no reason given");
        let what = crate::domain::name::visible(what, 300);
        let _ = writeln!(
            std::io::stderr().lock(),
            "error: internal error{place}: {what}; this is a defect of netbox-agent, please report it"
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
