//! What an apply tells as it goes, so that a killed process loses nothing.
//!
//! A sink calls [`Journal::intend`] before each request that writes and
//! [`Journal::settle`] for each change when it knows how it ended. After a kill,
//! what was intended and never settled is compared with what stands.

use std::collections::BTreeSet;

use crate::domain::object::{Kind, ObjectKey};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Change, Step};

/// The record of a run's writes could not be kept; nothing more must be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot record the run: {0}")]
pub struct JournalError(pub String);

/// Takes the record of a run's writes.
pub trait Journal: Send + Sync {
    /// The number of the run, where it has one.
    fn run(&self) -> Option<i64> {
        None
    }

    /// Objects of some kinds that a sink refused lately. It is likely to refuse them again,
    /// so that nothing else should be written on their account beforehand.
    fn refused(&self, _kinds: &[Kind]) -> BTreeSet<ObjectKey> {
        BTreeSet::new()
    }

    /// These steps are about to be sent. Durable when it returns.
    ///
    /// # Errors
    /// When the record cannot be kept; the caller then sends nothing.
    fn intend(&self, steps: &[(&Change, &Step)]) -> Result<(), JournalError>;

    /// An object was made: its id is known before the change as a whole has ended.
    ///
    /// # Errors
    /// When the record cannot be kept; the caller then sends nothing more.
    fn made(&self, kind: Kind, key: &ObjectKey, id: u64) -> Result<(), JournalError>;

    /// A change has ended. `index` is its place in the plan.
    ///
    /// # Errors
    /// When the record cannot be kept; the caller then sends nothing more.
    fn settle(&self, index: usize, change: &Change, outcome: &Outcome) -> Result<(), JournalError>;
}
