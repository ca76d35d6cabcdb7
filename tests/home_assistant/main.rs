//! The Home Assistant collector against a stand-in that answers as recorded, and
//! against a real Home Assistant where one is installed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod generations;
mod house;
mod itself;
mod netbox;
mod person;
mod real;
mod server;
mod standin;
mod talk;
mod wire;
