//! How fast observations become an inventory, and how much memory that takes, on one core.
//!
//! ```text
//! cargo bench --bench merge -- [OBSERVATIONS …]
//! ```
//!
//! The campus is that of the tests of identity: five observations of each device, with
//! copies, moved addresses, shared MAC addresses and placeholder serial numbers. It is
//! made before the clock runs; the memory counts it as well. Judged by the time that the
//! processor worked, so that a busy machine measures the same. 50,000, 100,000 and 200,000
//! observations unless others are asked for, so that the slope shows. Ends with an error
//! where 100,000 observations take two seconds or 400 MB.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and ends where it cannot go on"
)]

#[path = "../tests/identity/campus.rs"]
mod campus;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use netbox_agent::domain::merge::merge;
use netbox_agent::domain::observation::Observation;
use netbox_agent::domain::settings::Ranking;

/// What 100,000 observations may take.
const MOST_TIME: Duration = Duration::from_secs(2);
const MOST_MEMORY_MB: u64 = 400;

fn main() -> ExitCode {
    let asked: Vec<u32> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    match asked[..] {
        // One size in a process of its own: the peak of memory is that of the process.
        [one] => measure(one),
        [] => each(&[50_000, 100_000, 200_000]),
        _ => each(&asked),
    }
}

fn each(sizes: &[u32]) -> ExitCode {
    let own = std::env::current_exe().unwrap();
    let ended = sizes.iter().map(|size| {
        std::process::Command::new(&own).arg(size.to_string()).status().unwrap().success()
    });
    let all: Vec<bool> = ended.collect();
    if all.iter().all(|well| *well) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(observations: u32) -> ExitCode {
    let devices = observations / 5;
    let seen: Vec<Observation> =
        campus::campus(devices, 1).into_iter().map(|(_, observation)| observation).collect();
    let count = seen.len();
    let before = peak_memory_mb();
    let (start, spent) = (Instant::now(), processor_time());
    let inventory = merge(seen, &Ranking::default(), &[]);
    let (passed, took) = (start.elapsed(), processor_time() - spent);
    let peak = peak_memory_mb();
    println!(
        "{count} observations of {devices} devices: {:.2} s of one core ({:.2} s passed), {peak} MB \
         at most ({before} MB of them the observations), {:.1} µs an observation; {} hosts, {} \
         addresses alone, {} questions",
        took.as_secs_f64(),
        passed.as_secs_f64(),
        took.as_secs_f64() * 1e6 / f64::from(observations),
        inventory.hosts.len(),
        inventory.addresses.len(),
        inventory.ambiguities.len(),
    );
    let share = f64::from(observations) / 100_000.0;
    let slow = took > MOST_TIME.mul_f64(share.max(1.0));
    let large = observations <= 100_000 && peak > MOST_MEMORY_MB;
    if slow || large {
        println!("too much: {MOST_TIME:?} and {MOST_MEMORY_MB} MB were allowed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// How long the processor worked for this process, in steps of 10 ms.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process stands in brackets and may hold blanks.
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that this process ever had, in MB (10^6 bytes).
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024 / 1_000_000
}
