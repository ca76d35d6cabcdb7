//! `scan`: sweeps subnets that a person names, and prints what answers. Writes nothing
//! anywhere, and needs no configuration.

mod render;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::console::Console;
use super::exit::{Exit, Failure};
use crate::domain::diagnostic::Severity;
use crate::net::names::Directory;
use crate::net::sweep::schedule::Rate;
use crate::net::sweep::{
    self, HASTY_LINGER, LINGER, Names, Report, Request, SweepError, read_net, read_ports,
    read_resolver,
};

/// How long to wait for names once everything else is known; less where there shall be no
/// waiting.
const NAMES: Duration = Duration::from_secs(3);
const HASTY_NAMES: Duration = Duration::from_secs(1);

/// The arguments of `scan`.
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// The subnets, such as 192.168.1.0/24
    #[arg(long, value_name = "CIDR", required = true, num_args = 1.., value_delimiter = ',', value_parser = read_net)]
    subnet: Vec<IpNet>,
    /// TCP ports to ask of each host, such as 22,80,8000-8010
    #[arg(long, value_name = "PORTS", value_delimiter = ',', value_parser = ports)]
    ports: Vec<Ports>,
    /// How to print what answers
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: ScanFormat,
    /// Packets a second at most, or max for no limit [default: 500 at first, and more as
    /// far as the network is seen to bear it]
    #[arg(long, value_name = "N|max", value_parser = rate)]
    rate: Option<Rate>,
    /// Addresses and subnets that are never asked
    #[arg(long, value_name = "CIDR|IP", num_args = 1.., value_delimiter = ',', value_parser = read_net)]
    exclude: Vec<IpNet>,
    /// Ask hosts on the link by ICMP echo, too
    #[arg(long)]
    ping: bool,
    /// Look for hosts of IPv6 on the links of the subnets, too
    #[arg(long)]
    ipv6: bool,
    /// Do not look for names
    #[arg(long, conflicts_with_all = ["resolver", "mdns"])]
    no_dns: bool,
    /// Ask hosts for their own names by multicast DNS, too
    #[arg(long)]
    mdns: bool,
    /// A resolver to ask for names in place of the system's
    #[arg(long, value_name = "IP", value_parser = read_resolver)]
    resolver: Vec<SocketAddr>,
    /// How long it may take at most, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// Allow subnets that are larger than a /16
    #[arg(long)]
    large: bool,
}

/// How what answers is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ScanFormat {
    /// A table for people.
    Table,
    /// One JSON object for programs, in a stable shape.
    Json,
    /// One line a host, with the names of the columns in the first.
    Csv,
}

/// Ports of one part of the list.
#[derive(Debug, Clone)]
struct Ports(Vec<u16>);

fn ports(text: &str) -> Result<Ports, String> {
    read_ports(text).map(Ports)
}

fn rate(text: &str) -> Result<Rate, String> {
    match text.parse() {
        Ok(rate @ 1..=1_000_000) => Ok(Rate::AtMost(rate)),
        _ if text == "max" => Ok(Rate::Max),
        _ => Err("expected 1 to 1000000 packets a second, or max".to_owned()),
    }
}

pub(super) async fn run(args: &ScanArgs, console: &Console) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let request = request(args, console)?;
    let report = sweep::run(request, &console.cancel(), console.progress()).await.map_err(|error| match error {
        SweepError::TooLarge(net) => Failure::usage(format_args!(
            "cannot sweep {net}: it is larger than a /16; sweep parts of it, or allow it with --large"
        )),
        SweepError::Nothing | SweepError::Huge(_) | SweepError::NotHosts(_) => {
            Failure::usage(error)
        }
        SweepError::Kernel(_) => Failure::failed(error),
    })?;
    for diagnostic in &report.diagnostics {
        console.note(diagnostic);
    }
    let took = begun.elapsed();
    match args.format {
        ScanFormat::Table => console.print(render::table(&report, took))?,
        ScanFormat::Json => console.write(|out| render::json(&report, took, out))?,
        ScanFormat::Csv => console.write(|out| render::csv(&report, out))?,
    }
    Ok(exit(&report))
}

fn request(args: &ScanArgs, console: &Console) -> Result<Request, Failure> {
    let rate = args.rate.unwrap_or_default();
    let hasty = rate == Rate::Max;
    let mut ports: Vec<u16> = args.ports.iter().flat_map(|ports| ports.0.iter().copied()).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(Request {
        exclude: args.exclude.clone(),
        ports,
        rate,
        linger: if hasty { HASTY_LINGER } else { LINGER },
        ping: args.ping,
        ipv6: args.ipv6,
        names: names(args, hasty, console)?,
        large: args.large,
        deadline: args.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds.into())),
        ..Request::of(args.subnet.clone())
    })
}

fn names(args: &ScanArgs, hasty: bool, console: &Console) -> Result<Option<Names>, Failure> {
    if args.no_dns {
        return Ok(None);
    }
    let patience = if hasty { HASTY_NAMES } else { NAMES };
    let directory = if args.resolver.is_empty() {
        Directory::of_the_system()
            .map_err(|error| console.note(format_args!("warning: the system's resolvers are not known: {error}; name one with --resolver")))
            .ok()
    } else {
        let failed = |error| Failure::failed(format_args!("cannot ask the resolver: {error}"));
        Some(Directory::of(&args.resolver).map_err(failed)?)
    };
    Ok(Some(Names { directory, multicast: args.mdns, patience }))
}

/// Whether it was done whole. Nothing at all, and a reason, is a failure.
fn exit(report: &Report) -> Exit {
    let failed = report.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    match (failed || report.interrupted, report.answers.is_empty()) {
        (false, _) => Exit::Done,
        (true, true) if failed => Exit::Failed,
        (true, _) => Exit::Partial,
    }
}
