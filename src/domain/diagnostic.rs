//! What a person should know about: never an error that stops a run, always a
//! sentence, and a code by which it can be counted and found again.

use std::fmt;
use std::sync::Arc;

use super::words::words;

words! {
    /// How much a diagnostic matters.
    pub enum Severity ("severity") {
        /// Worth knowing; nothing has to be done.
        Note = "note",
        /// Something was left out or left as it is, and a person may want to mend why.
        Warning = "warning",
        /// A part of the run failed; its exit code says so.
        Error = "error",
    }
}

/// One sentence about one thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// A stable word for this kind of diagnostic, such as `shared_mac`.
    pub code: &'static str,
    /// What it is about: a source, an address, a key.
    pub about: Arc<str>,
    /// What happened, and what a person can do.
    pub message: String,
}

impl Diagnostic {
    /// A note.
    pub fn note(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Note,
            code,
            about: about.as_ref().into(),
            message: message.into(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::note(code, about, message) }
    }

    /// An error that did not stop the run.
    pub fn error(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Error, ..Diagnostic::note(code, about, message) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.about, self.message)
    }
}
