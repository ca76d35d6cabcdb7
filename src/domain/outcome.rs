//! How each change of a plan ended.

use std::fmt;
use std::sync::Arc;

use super::object::Field;
use super::value::{SmallMap, Value};

/// The end of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was written.
    Applied {
        /// The object's id in the sink.
        id: u64,
        /// The fields as the sink answered them, where it did.
        settled: SmallMap<Field, Value>,
        /// The object's fingerprint after the last write, where the sink tells it:
        /// as long as it stands, nobody else touched the object.
        stamp: Option<Arc<str>>,
    },
    /// The sink refused it.
    Failed {
        /// The sink's reason.
        reason: String,
    },
    /// It was left out because something that it needs was not written.
    Skipped {
        /// What that was.
        because: String,
    },
    /// The run ended before it.
    NotReached,
}

impl Outcome {
    /// Whether the change was written.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Outcome::Applied { .. })
    }

    /// The word for it in histories and JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Outcome::Applied { .. } => "applied",
            Outcome::Failed { .. } => "failed",
            Outcome::Skipped { .. } => "skipped",
            Outcome::NotReached => "not_reached",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Applied { .. } => f.write_str("applied"),
            Outcome::Failed { reason } => write!(f, "failed: {reason}"),
            Outcome::Skipped { because } => write!(f, "skipped because {because}"),
            Outcome::NotReached => f.write_str("not reached"),
        }
    }
}
