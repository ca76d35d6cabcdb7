//! The agent's binary and a NetBox of each version, from the first sync to an empty
//! plan, and what a person reads when the NetBox cannot be used.
//!
//! The NetBox is the one that `NETBOX_URL` and `NETBOX_TOKEN` name, or else the
//! stand-in in all its versions. Either is reached through a relay that counts what
//! the agent asks and knows what it made, which is deleted in the end.
//!
//! | File | What it is for |
//! |---|---|
//! | `relay` | the way to the NetBox, plain or behind a certificate, and its ledger |
//! | `place` | the NetBox, the agent and what it reads |
//! | `network` | what the sources saw |
//! | `whole`, `refused` | the tests |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../netbox/mod.rs"]
mod netbox;
mod network;
mod place;
mod refused;
mod relay;
mod whole;
