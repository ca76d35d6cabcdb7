//! What stands nearest to the wire: link-layer sockets and packets, interfaces and
//! neighbours as the kernel knows them, vendors, names, and the sweep that uses them all.
//!
//! Nothing here judges what is one device; it tells what answered, how, and what was
//! not proven. It never asks a network or broadcast address, never sends through the
//! kernel's neighbour table what it can send itself, and keeps no state between runs.

pub mod frame;
pub mod interface;
pub mod names;
pub mod neighbor;
mod netlink;
pub mod service;
pub mod socket;
pub mod sweep;
pub mod vendor;
