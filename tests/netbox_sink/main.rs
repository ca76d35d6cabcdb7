//! NetBox as a sink: what is written reads the same, one bad object fails alone, and
//! whatever goes wrong on the way, nothing is written twice. On the NetBox that
//! `NETBOX_URL` and `NETBOX_TOKEN` name, else on the stand-in in all its versions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connections;
mod harm;
mod lab;
#[path = "../netbox/mod.rs"]
mod netbox;
mod parts;
mod plans;
mod primaries;
mod proxy;
mod roundtrip;
