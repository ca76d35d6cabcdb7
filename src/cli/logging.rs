//! Log lines, on standard error.

use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::LogFormat;
use super::console::Console;
use crate::config::{Format, Level, Log};

type Filtered = Layered<reload::Layer<Targets, Registry>, Registry>;
type Writer = Box<dyn Layer<Filtered> + Send + Sync>;

/// What the configuration can change after logging has begun.
struct Handles {
    lines: Handle<Targets, Registry>,
    writer: Handle<Writer, Filtered>,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

/// Starts logging as the global options say: warnings and errors, unless told otherwise.
pub(super) fn start(console: &Console) {
    let log = Log::default();
    let (lines, lines_handle) = reload::Layer::new(lines(console, log));
    let (writer, writer_handle) = reload::Layer::new(writer(console, log));
    if tracing_subscriber::registry().with(lines).with(writer).try_init().is_ok() {
        // Only tests start it twice in one process; the first one stays.
        let _ = HANDLES.set(Handles { lines: lines_handle, writer: writer_handle });
    }
}

/// Follows the configuration where the global options say nothing.
pub(super) fn follow(console: &Console, log: Log) {
    if let Some(handles) = HANDLES.get() {
        // A layer that is gone takes no lines any more; there is nothing to change then.
        let _ = handles.lines.reload(lines(console, log));
        let _ = handles.writer.reload(writer(console, log));
    }
}

fn level(console: &Console, log: Log) -> LevelFilter {
    let global = console.global();
    match (global.quiet, global.verbose, log.level) {
        (true, ..) => LevelFilter::ERROR,
        (false, 1, _) => LevelFilter::INFO,
        (false, 2, _) => LevelFilter::DEBUG,
        (false, 3.., _) => LevelFilter::TRACE,
        (false, 0, Level::Off) => LevelFilter::OFF,
        (false, 0, Level::Error) => LevelFilter::ERROR,
        (false, 0, Level::Warn) => LevelFilter::WARN,
        (false, 0, Level::Info) => LevelFilter::INFO,
        (false, 0, Level::Debug) => LevelFilter::DEBUG,
        (false, 0, Level::Trace) => LevelFilter::TRACE,
    }
}

/// The lines that are written. The libraries' own could hold anything that passes
/// through them; only their warnings are of use to a person.
fn lines(console: &Console, log: Log) -> Targets {
    let level = level(console, log);
    let libraries = level.min(LevelFilter::WARN);
    Targets::new().with_target("netbox_agent", level).with_default(libraries)
}

fn writer(console: &Console, log: Log) -> Writer {
    let format = console.global().log_format.unwrap_or(match log.format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    });
    let stderr = console.stderr();
    let writer = move || stderr.clone();
    match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(console.stderr_colours())
            .with_target(level(console, log) >= LevelFilter::DEBUG)
            .with_writer(writer)
            .boxed(),
    }
}
