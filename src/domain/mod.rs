//! The pure heart: values in, values and diagnostics out.
//!
//! Nothing here reads a clock, a file, the environment or a network, and
//! nothing here can fail: what cannot be decided is left as it is and said in
//! a [`diagnostic::Diagnostic`]. Time is passed in. JSON belongs to the edges.

pub mod absence;
pub mod coverage;
pub mod desire;
pub mod diagnostic;
pub mod diff;
pub mod guard;
pub mod identity;
pub mod inventory;
pub mod mac;
pub mod makers;
pub mod matching;
pub mod memory;
pub mod merge;
pub mod name;
pub mod object;
pub mod observation;
pub mod outcome;
pub mod pattern;
pub mod plan;
pub mod ranking;
pub mod rules;
pub mod scope;
pub mod settings;
pub mod value;
pub(crate) mod words;
pub mod world;

pub use words::UnknownWord;
