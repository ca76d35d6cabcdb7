//! The public observation format: JSON Lines, in which any program can tell what
//! it saw, and in which a run's observations are saved and read again.
//!
//! Each line is one object with `"version": 1` and one of `host`, `cluster`,
//! `prefix`, `vlan`, `ip_range`, `coverage`, `diagnostic`. An attribute that is
//! absent is not known; one that is null is stated to be empty. Unknown keys are
//! refused: a misspelt one would otherwise be a fact that silently gets lost.
//! A line that is wrong is told and left out, and the rest is used.

mod object;
mod read;
mod schema;
mod write;

#[cfg(test)]
mod tests;

pub use read::{Context, read};
pub use schema::schema;
pub use write::write;

/// The version of the format.
pub const VERSION: u64 = 1;

/// The longest line in bytes.
pub const LONGEST_LINE: usize = 4 * 1024 * 1024;
