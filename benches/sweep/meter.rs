//! Measures one whole process: time, processor, memory, packets, and what it found.
//!
//! The kernel tells how much memory a process took at most only to its parent, and only
//! the most of all children. So the bench starts itself once more for each run, as a
//! parent of one child; what that small parent takes itself is the least that shows.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::network::{Lab, SCANNER};

/// Nothing may take longer.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The word by which the bench knows that it is to be such a parent.
const WORD: &str = "--meter";

/// What came of one run.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    /// The most memory that it took, in kilobytes.
    pub(super) memory: u64,
    pub(super) packets: u64,
    /// The share of the hosts that it found.
    pub(super) found: f64,
    /// Addresses that it names without anybody being there.
    pub(super) invented: usize,
    /// Packets that the network did not get to see, for which the tool cannot be blamed.
    pub(super) unseen: u64,
    pub(super) ended_well: bool,
}

/// The command to measure, if that is what this process is for.
pub(super) fn asked_for() -> Option<Vec<String>> {
    let mut words = std::env::args().skip(1);
    (words.next()? == WORD).then(|| words.collect())
}

/// Runs the command and tells what it took, as numbers on the standard error.
pub(super) fn run(command: &[String]) {
    let begun = Instant::now();
    let mut child =
        Command::new(&command[0]).args(&command[1..]).stderr(Stdio::null()).spawn().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let (done, wait) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if wait
            .recv_timeout(TIMEOUT)
            .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
    });
    let status = child.wait().unwrap();
    let wall = begun.elapsed();
    drop(done);
    watchdog.join().unwrap();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    eprintln!("{} {cpu} {} {}", wall.as_micros(), usage.max_rss(), u8::from(status.success()));
}

/// Runs a command in the scanner's namespace.
pub(super) fn measure(lab: &Lab, command: &[String], alive: &[Ipv4Addr], by_tcp: bool) -> Measured {
    let output = tempfile::NamedTempFile::new().unwrap();
    let stdout = File::create(output.path()).unwrap();
    let seen = lab.stats().frames;
    let sent = lab.within(transmitted);
    let parent = lab.within(|| {
        on_the_first_processor();
        let mut parent = Command::new(std::env::current_exe().unwrap());
        parent.arg(WORD).args(command).stdin(Stdio::null()).stdout(stdout).output().unwrap()
    });
    let text = String::from_utf8_lossy(&parent.stderr).into_owned();
    let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    // What is on its way arrives.
    std::thread::sleep(Duration::from_millis(60));
    let sent = lab.within(transmitted) - sent;
    let seen = lab.stats().frames - seen;
    let told = addresses(&std::fs::read_to_string(output.path()).unwrap_or_default(), by_tcp);
    let found = alive.iter().filter(|ip| told.contains(ip)).count();
    let ours = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 255, 254)];
    Measured {
        wall: Duration::from_micros(numbers[0]),
        cpu: Duration::from_micros(numbers[1]),
        memory: numbers[2],
        packets: sent,
        found: found as f64 / alive.len().max(1) as f64,
        invented: told.iter().filter(|ip| !alive.contains(ip) && !ours.contains(ip)).count(),
        unseen: sent.saturating_sub(seen),
        ended_well: numbers[3] == 1,
    }
}

fn on_the_first_processor() {
    let mut set = rustix::thread::CpuSet::new();
    set.set(0);
    rustix::thread::sched_setaffinity(None, &set).unwrap();
}

/// Packets that left the scanner's interface so far.
fn transmitted() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(SCANNER)?.strip_prefix(':'));
    line.unwrap().split_whitespace().nth(9).unwrap().parse().unwrap()
}

/// The addresses that a tool names, each in a line or a JSON object of its own; those with
/// an open port alone, where a port was asked.
fn addresses(text: &str, by_tcp: bool) -> BTreeSet<Ipv4Addr> {
    if let Ok(report) = serde_json::from_str::<serde_json::Value>(text)
        && let Some(hosts) = report["hosts"].as_array()
    {
        let wanted = |host: &&serde_json::Value| {
            host["method"] != "own" && (!by_tcp || !host["ports"].as_array().unwrap().is_empty())
        };
        let ip = |host: &serde_json::Value| host["ip"].as_str()?.parse().ok();
        return hosts.iter().filter(wanted).filter_map(ip).collect();
    }
    text.lines().filter_map(address).collect()
}

/// The first address in a line that tells of a host.
fn address(line: &str) -> Option<Ipv4Addr> {
    let header = ["Interface:", "Starting", "Ending", "#"];
    if header.iter().any(|word| line.starts_with(word)) {
        return None;
    }
    line.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| word.parse().ok())
}
