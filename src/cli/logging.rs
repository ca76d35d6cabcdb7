//! Log lines, on standard error.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::LogFormat;
use super::console::Console;

/// Starts logging as the global options say: warnings and errors, unless told otherwise.
pub(super) fn start(console: &Console) {
    let global = console.global();
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // The libraries' own lines could hold anything that passes through them; only
    // their warnings are of use to a person.
    let lines = Targets::new()
        .with_target("netbox_agent", level)
        .with_default(level.min(LevelFilter::WARN));
    let stderr = console.stderr();
    let writer = move || stderr.clone();
    let layer = match global.log_format.unwrap_or(LogFormat::Text) {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(console.stderr_colours())
            .with_target(level >= LevelFilter::DEBUG)
            .with_writer(writer)
            .boxed(),
    };
    // Only tests start it twice in one process; the first one stays.
    let _ = tracing_subscriber::registry().with(layer.with_filter(lines)).try_init();
}
