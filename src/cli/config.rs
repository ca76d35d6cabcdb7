//! `config`: write a starting file, check it, show what is in effect.

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::console::Console;
use super::exit::{Exit, Failure};
use crate::config;
use crate::net::interface::Topology;
use crate::net::sweep::LARGEST;

/// The arguments of `config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Write a commented file to start from, with this machine's networks filled in
    #[command(after_help = "\
Examples:
  netbox-agent config init
  netbox-agent config init --path ./netbox-agent.toml")]
    Init(InitArgs),
    /// Check the configuration and tell every mistake at once
    #[command(after_help = "\
Examples:
  netbox-agent config check
  netbox-agent --config ./netbox-agent.toml config check && systemctl restart netbox-agent")]
    Check,
    /// Print the JSON Schema of the configuration file
    #[command(after_help = "\
Examples:
  netbox-agent config schema > netbox-agent.schema.json")]
    Schema,
    /// Show the settings in effect and where each comes from, without secrets
    Show,
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Where to write it [default: /etc/netbox-agent/netbox-agent.toml for root, else
    /// $XDG_CONFIG_HOME/netbox-agent/netbox-agent.toml]
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Replace a file that stands there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ConfigArgs, console: &Console) -> Result<Exit, Failure> {
    match &args.verb {
        ConfigVerb::Init(args) => init(args, console),
        ConfigVerb::Check => check(console),
        ConfigVerb::Schema => {
            console.print(format_args!("{:#}\n", config::schema())).map(|()| Exit::Done)
        }
        ConfigVerb::Show => {
            let text = config::show(console.global().config.as_deref())?;
            console.print(text).map(|()| Exit::Done)
        }
    }
}

fn init(args: &InitArgs, console: &Console) -> Result<Exit, Failure> {
    let path = args.path.clone().or_else(|| console.global().config.clone());
    let path = path.unwrap_or_else(config::default_path);
    let subnets = local_subnets().unwrap_or_else(|error| {
        console.note(format_args!("warning: the kernel does not tell of its interfaces: {error}"));
        Vec::new()
    });
    let text = config::starting_file(&subnets);
    match config::write_new(&path, &text, args.force) {
        Ok(()) => {
            let list: Vec<String> = subnets.iter().map(ToString::to_string).collect();
            let found = if list.is_empty() { "no network" } else { &list.join(", ") };
            console.note(format_args!(
                "wrote {} with {found}; edit it, then run `netbox-agent config check`",
                path.display()
            ));
            Ok(Exit::Done)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::usage(format_args!(
                "cannot write {}: a file stands there already; choose another with --path, or replace it with --force",
                path.display()
            )))
        }
        Err(error) => {
            Err(Failure::failed(format_args!("cannot write {}: {error}", path.display())))
        }
    }
}

/// The IPv4 networks that lie directly at this machine, without what is too large to be
/// swept unasked.
fn local_subnets() -> io::Result<Vec<IpNet>> {
    let nets = Topology::read()?.local_networks();
    Ok(nets.into_iter().filter(|net| net.prefix_len() >= LARGEST).collect())
}

fn check(console: &Console) -> Result<Exit, Failure> {
    let settings = console.settings()?;
    let place = settings.path.as_ref().map_or_else(
        || "no configuration file; the defaults and the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let sink = settings
        .netbox
        .as_ref()
        .map_or_else(|| "the local inventory".to_owned(), |netbox| netbox.url.to_string());
    let sources: Vec<&str> = settings.sources.iter().map(|source| source.name.as_str()).collect();
    let sources = if sources.is_empty() { "none".to_owned() } else { sources.join(", ") };
    console.print(format_args!("{place}: right\n  sources: {sources}\n  written to: {sink}\n"))?;
    Ok(Exit::Done)
}
