//! NetBox as a sink, on a real NetBox where `NETBOX_URL` and `NETBOX_TOKEN` name one:
//! what is written reads the same, one bad object fails alone, and whatever goes wrong
//! on the way, nothing is written twice.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic and must say what it skips"
)]

mod harm;
mod lab;
mod plans;
mod proxy;
mod roundtrip;
