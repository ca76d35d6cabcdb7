//! The contract: how NetBox behaves where this project relies on it, version by version.
//!
//! Every test runs against the NetBox that `NETBOX_URL` and `NETBOX_TOKEN` name, and
//! against the stand-in (`tests/netbox`) in all its versions where they are not set.
//! What differs between versions is asked of `/api/status/`, so one test tells it all.
//! A test only touches what it made, and deletes it in the end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../netbox/mod.rs"]
mod netbox;

mod addresses;
mod bulk;
mod changes;
mod custom_fields;
mod deletions;
mod devices;
mod entrance;
mod fields;
mod filters;
mod interfaces;
mod machines;
mod networks;
mod pages;
mod server;
mod standin;
mod tags;
