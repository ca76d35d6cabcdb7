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
    /// The object stands already: somebody else made it after the plan was made. Nothing
    /// of it was written; the next run looks at it.
    Adopted {
        /// The object's id in the sink.
        id: u64,
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
    /// Whether what the change is for stands: it was written, or somebody else did that.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Outcome::Applied { .. } | Outcome::Adopted { .. })
    }

    /// The id of the object that stands.
    #[must_use]
    pub const fn id(&self) -> Option<u64> {
        match self {
            Outcome::Applied { id, .. } | Outcome::Adopted { id } => Some(*id),
            _ => None,
        }
    }

    /// The word for it in histories and JSON.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Outcome::Applied { .. } => "applied",
            Outcome::Adopted { .. } => "adopted",
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
            Outcome::Adopted { .. } => f.write_str("stood already: somebody else made it"),
            Outcome::Failed { reason } => write!(f, "failed: {reason}"),
            Outcome::Skipped { because } => write!(f, "skipped because {because}"),
            Outcome::NotReached => f.write_str("not reached"),
        }
    }
}
