//! Sweeps of a network in namespaces: the engine by itself, and the program as a person
//! and a script meet it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod engine;
#[path = "../network/mod.rs"]
mod network;
mod program;
mod runs;
mod scan;

use std::time::Duration;

use network::{Network, crowd};

/// A /24 with 28 hosts that answer after a millisecond.
fn home() -> Network {
    Network {
        players: crowd([10, 77, 0, 0], 254, 28),
        delay: Duration::from_millis(1),
        jitter: Duration::from_micros(200),
        ..Network::default()
    }
}
