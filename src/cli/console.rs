//! What the verbs share: where to print, how to show progress, when to stop.
//!
//! Results go to standard output and nothing else does. Everything that is said
//! about the work (logs, notes, progress) goes to standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Global;
use super::exit::Failure;
use super::logging;
use super::progress::Bars;
use crate::config::{self, Settings};
use crate::progress::{Progress, Silent};

/// The person's side of one command.
#[derive(Debug)]
pub struct Console {
    global: Global,
    bars: Option<Arc<Bars>>,
    cancel: CancellationToken,
}

impl Console {
    /// A console as the global options want it.
    pub(super) fn new(global: Global) -> Self {
        let watched = io::stderr().is_terminal() && !global.quiet;
        Console {
            global,
            bars: watched.then(|| Arc::new(Bars::default())),
            cancel: CancellationToken::new(),
        }
    }

    /// The options that every verb has.
    #[must_use]
    pub fn global(&self) -> &Global {
        &self.global
    }

    /// The configuration, as the global options name it. What is worth knowing of it is
    /// told once, here.
    ///
    /// # Errors
    /// Everything that is wrong with it: exit code 2.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let settings = config::load(self.global.config.as_deref())?;
        logging::follow(self, settings.log);
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        Ok(settings)
    }

    /// Set when the person (or the service manager) wants the command to end. What
    /// was found until then is still printed.
    #[must_use]
    pub fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Where to report progress: bars on a terminal, nothing when piped.
    #[must_use]
    pub fn progress(&self) -> Arc<dyn Progress> {
        match &self.bars {
            Some(bars) => Arc::clone(bars) as Arc<dyn Progress>,
            None => Arc::new(Silent),
        }
    }

    /// Whether standard output is a terminal that takes colours.
    #[must_use]
    pub fn colours(&self) -> bool {
        self.global.color.wanted(io::stdout().is_terminal())
    }

    /// Whether standard error is a terminal that takes colours.
    pub(super) fn stderr_colours(&self) -> bool {
        self.global.color.wanted(io::stderr().is_terminal())
    }

    /// Writes a command's result to standard output, all of it at once.
    ///
    /// # Errors
    /// When the output cannot be written; a reader that went away ends the command quietly.
    pub fn print(&self, text: impl fmt::Display) -> Result<(), Failure> {
        self.write(|out| write!(out, "{text}"))
    }

    /// Writes a command's result to standard output piece by piece.
    ///
    /// # Errors
    /// When the output cannot be written; a reader that went away ends the command quietly.
    pub fn write(
        &self,
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let written = body(&mut out).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::failed(format_args!("cannot write the output: {error}")),
        })
    }

    /// Says something about the work on standard error, unless the person asked for quiet.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.global.quiet {
            // Nobody can be told that nobody can be told.
            let _ = writeln!(self.stderr(), "{text}");
        }
    }

    /// Standard error, kept apart from the progress bars that stand on it.
    pub(super) fn stderr(&self) -> Stderr {
        Stderr(self.bars.clone())
    }
}

/// Standard error; bars step aside while it is written to.
#[derive(Debug, Clone)]
pub(super) struct Stderr(Option<Arc<Bars>>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(bytes);
        match &self.0 {
            Some(bars) => bars.aside(write),
            None => write(),
        }?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
