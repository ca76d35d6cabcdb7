//! The local inventory as a sink, on real files: what it takes and refuses, what
//! a kill, a full disk and a read-only medium leave behind.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic, and must say it when it cannot run"
)]

mod disk;
mod kill;
mod pipeline;
mod plans;
mod references;
mod sink;
