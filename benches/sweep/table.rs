//! What came of it, as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::cases::{Case, Goal, Quantity};
use super::meter::Measured;
use super::tools::Tool;

type Results = BTreeMap<Tool, Vec<Measured>>;

/// A tool that finds less than this does not count as one to be compared with.
const COMPLETE: f64 = 0.999;

/// The middle of several runs.
fn median<T: PartialOrd + Copy>(runs: &[Measured], of: impl Fn(&Measured) -> T) -> T {
    let mut values: Vec<T> = runs.iter().map(of).collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

fn mean_found(runs: &[Measured]) -> f64 {
    runs.iter().map(|run| run.found).sum::<f64>() / runs.len() as f64
}

fn is_complete(runs: &[Measured]) -> bool {
    mean_found(runs) >= COMPLETE
}

/// How much the agent took against the best complete tool of these.
fn ratio(results: &Results, peers: &[Tool], of: impl Fn(&Measured) -> f64) -> Option<(f64, Tool)> {
    let (_, ours) = results.iter().find(|(tool, _)| tool.is_ours())?;
    let complete = results.iter().filter(|(tool, runs)| peers.contains(tool) && is_complete(runs));
    let best = complete
        .map(|(tool, runs)| (median(runs, &of), *tool))
        .min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((median(ours, &of) / best.0, best.1))
}

/// One line for each tool.
pub(super) fn section(case: &Case, results: &Results) -> String {
    let mut text = String::new();
    for (tool, runs) in results {
        let others: Vec<Tool> = results.keys().copied().filter(|tool| !tool.is_ours()).collect();
        let against = match ratio(results, &others, |run| run.wall.as_secs_f64()) {
            Some((ratio, best)) if tool.is_ours() => {
                let least =
                    case.least().map(|least| format!("; two rounds take {}", seconds(least)));
                format!("{ratio:.2} of {}{}", best.name(), least.unwrap_or_default())
            }
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} | {} | {}{} | {against} |",
            case.name,
            tool.name(),
            seconds(median(runs, |run| run.wall)),
            seconds(median(runs, |run| run.cpu)),
            median(runs, |run| run.memory) as f64 / 1024.0,
            median(runs, |run| run.packets),
            share(mean_found(runs)),
            remarks(*tool, runs),
        );
    }
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// In percent, never rounded up to all.
fn share(found: f64) -> String {
    if found >= 1.0 { "100 %".to_owned() } else { format!("{:.2} %", (found * 1e4).floor() / 1e2) }
}

fn remarks(tool: Tool, runs: &[Measured]) -> String {
    let invented: usize = runs.iter().map(|run| run.invented).sum();
    let unseen: u64 = runs.iter().map(|run| run.unseen).sum();
    // Others end with an error when an address is silent.
    let failed = runs.iter().filter(|run| tool.is_ours() && !run.ended_well).count();
    let mut text = String::new();
    for (count, what) in [
        (invented as u64, "named that are not there"),
        (unseen, "packets the lab missed"),
        (failed as u64, "runs failed"),
    ] {
        if count > 0 {
            let _ = write!(text, "; {count} {what}");
        }
    }
    text
}

/// Whether a goal is met, and by what.
fn verdict(case: &Case, goal: &Goal, results: &Results) -> String {
    let ours = results.iter().find(|(tool, _)| tool.is_ours()).map(|(_, runs)| runs);
    let all_found = ours.is_some_and(|runs| runs.iter().all(|run| run.found >= 1.0));
    let (what, value, against) = match goal.of {
        Quantity::Wall => ("time", ratio(results, &goal.peers, |run| run.wall.as_secs_f64()), ""),
        Quantity::Cpu => {
            ("processor", ratio(results, &goal.peers, |run| run.cpu.as_secs_f64()), "")
        }
        Quantity::Memory => {
            let most = ours.map(|runs| median(runs, |run| run.memory) as f64 / 1024.0);
            ("memory", most.map(|most| (most, Tool::Agent)), " MB")
        }
        Quantity::Seconds => {
            let most = ours.map(|runs| median(runs, |run| run.wall).as_secs_f64());
            ("time", most.map(|most| (most, Tool::Agent)), " s")
        }
    };
    let (measured, holds) = match value {
        None => ("no complete peer".to_owned(), "–"),
        Some((value, best)) => {
            let best = if best.is_ours() { String::new() } else { format!(" of {}", best.name()) };
            let holds = if value <= goal.at_most && all_found { "yes" } else { "**no**" };
            (format!("{value:.2}{against}{best}"), holds)
        }
    };
    let found = ours.map_or_else(|| "–".to_owned(), |runs| share(mean_found(runs)));
    format!(
        "| {}: {what} | ≤ {}{against} | {measured} | {found} | {holds} |\n",
        case.name, goal.at_most
    )
}

/// All tables.
pub(super) fn whole(results: &[(&Case, Results)]) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "Linux {}, {processors} processors; {}.\n\n",
        kernel.trim(),
        Tool::versions().join(", ")
    );
    text.push_str("| Network | Tool | Wall s | CPU s | Peak MB | Packets | Found | Ratio |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---|---|\n");
    for (case, results) in results {
        text.push_str(&section(case, results));
    }
    text.push_str("\n| Goal | | Measured | Found | Met |\n|---|---|---|---|---|\n");
    for (case, results) in results {
        for goal in &case.goals {
            text.push_str(&verdict(case, goal, results));
        }
    }
    text
}
