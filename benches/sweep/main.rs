//! How fast a network is swept, and how completely, side by side with the known scanners.
//!
//! ```text
//! cargo bench --bench sweep                    # what the goals ask for
//! cargo bench --bench sweep -- --all           # the whole grid; takes an hour or so
//! cargo bench --bench sweep -- --only /24 --runs 9
//! ```
//!
//! Everything happens in two network namespaces that the bench builds (so it needs root):
//! the scanners in one, on one processor, and in the other, on another processor, the hosts
//! that the tests' own responder plays. Each run is a whole process, from its start to its
//! end; runs of all tools take turns, and the median counts. A tool that is not installed
//! is left out, and that is said. Prints Markdown.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and ends where it cannot go on"
)]

mod cases;
mod meter;
#[path = "../../tests/network/mod.rs"]
mod network;
mod table;
mod tools;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use cases::Case;
use meter::Measured;
use network::Lab;
use tools::Tool;

/// What a bench is asked for.
struct Arguments {
    all: bool,
    only: Option<String>,
    runs: usize,
    agent: PathBuf,
}

impl Arguments {
    fn read() -> Self {
        let mut words = std::env::args().skip(1);
        let mut arguments = Arguments {
            all: false,
            only: None,
            runs: 5,
            agent: env!("CARGO_BIN_EXE_netbox-agent").into(),
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--all" => arguments.all = true,
                "--only" => arguments.only = words.next(),
                "--runs" => arguments.runs = words.next().unwrap().parse().unwrap(),
                "--agent" => arguments.agent = words.next().unwrap().into(),
                // Cargo tells every bench that it is one.
                "--bench" => {}
                other => panic!("{other}: expected --all, --only WORD, --runs N or --agent PATH"),
            }
        }
        arguments
    }
}

fn main() {
    if let Some(command) = meter::asked_for() {
        return meter::run(&command);
    }
    let arguments = Arguments::read();
    let scratch = tempfile::tempdir().unwrap();
    let agent = public_copy(&arguments.agent, scratch.path());
    // What else the machine does shall not count.
    let _ = rustix::process::setpriority_process(None, -15);
    let Some(mut lab) = Lab::empty(&["10.77.0.1/16"]) else { return };
    lab.hush();
    // Some tools insist on a router.
    lab.ip(&["route", "add", "default", "via", "10.77.255.254"]);
    tools::say_what_is_absent();
    let cases = if arguments.all { cases::grid() } else { cases::goals() };
    let wanted = |case: &&Case| arguments.only.as_ref().is_none_or(|word| case.name.contains(word));
    let mut results = Vec::new();
    for case in cases.iter().filter(wanted) {
        results.push((case, measure(case, &mut lab, &arguments, &agent)));
        eprint!("{}", table::section(case, &results.last().unwrap().1));
    }
    println!("{}", table::whole(&results));
}

/// The agent where anybody may run it, for it is measured without privileges as well.
fn public_copy(agent: &Path, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let copy = folder.join("netbox-agent");
    std::fs::copy(agent, &copy).unwrap();
    copy
}

/// Runs each tool of a case so many times, by turns.
fn measure(
    case: &Case,
    lab: &mut Lab,
    arguments: &Arguments,
    agent: &Path,
) -> BTreeMap<Tool, Vec<Measured>> {
    let alive: Vec<Ipv4Addr> = case.network.players.iter().map(|player| player.ip).collect();
    let mut measured: BTreeMap<Tool, Vec<Measured>> = BTreeMap::new();
    for run in 0..arguments.runs {
        for tool in case.tools.iter().copied().filter(|tool| tool.is_there()) {
            // What takes a minute shows in one run what it is.
            let tedious = measured.get(&tool).is_some_and(|runs| runs[0].wall.as_secs() >= 20);
            if tedious {
                continue;
            }
            eprint!("\r\x1b[K{}: {} ({}/{})", case.name, tool.name(), run + 1, arguments.runs);
            lab.play(case.network.clone());
            lab.ip(&["neigh", "flush", "all"]);
            let command = tool.command(case, agent);
            let result = meter::measure(lab, &command, &alive, case.by_tcp);
            measured.entry(tool).or_default().push(result);
        }
    }
    eprint!("\r\x1b[K");
    measured
}
