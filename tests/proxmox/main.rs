//! Proxmox VE from end to end: a stand-in, the binary, and what stands afterwards in the
//! local inventory, or in the NetBox that `NETBOX_URL` and `NETBOX_TOKEN` name.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blindness;
mod changes;
mod cluster;
mod direct;
mod doors;
mod everything;
mod fields;
mod homelab;
mod lab;
mod numbers;
mod reference;
mod shapes;
mod standin;
