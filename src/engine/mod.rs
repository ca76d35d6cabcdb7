//! One run: asks the sources, merges, plans, guards, applies and remembers.
//!
//! Each step gives a value that the next takes, so that a verb may stop after any of
//! them: [`gather`] → [`Picture`] → [`Draft`] → [`Report`]. Nothing is written
//! before [`apply`], and what it wrote is known whatever ends it.

mod apply;
mod draft;
mod gather;
mod reach;
mod recall;
mod rollback;
mod sink;

use crate::collect::CollectError;
use crate::netbox::NetBoxError;
use crate::store::StoreError;

pub use apply::{Report, apply, apply_plan};
pub use draft::{Context, Draft, draft};
pub use gather::{Asked, Picture, gather, read_files};
pub use reach::reach;
pub use rollback::{Undo, undo};
pub use sink::Sink;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// NetBox could not be used.
    #[error(transparent)]
    NetBox(#[from] NetBoxError),
    /// A file of observations cannot be read.
    #[error("cannot read the observations {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// Every source failed, so that nothing is known.
    #[error("no source could be asked: {0}")]
    Blind(CollectError),
    /// A run of that number is not known, or has nothing to undo.
    #[error("{0}")]
    Run(String),
}
