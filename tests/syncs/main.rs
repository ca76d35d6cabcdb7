//! Whole syncs of the real binary into a NetBox: the one that `NETBOX_URL` and
//! `NETBOX_TOKEN` name, or else the stand-in. What lands, what is left alone, and
//! what comes of it when somebody or something gets in between.
//!
//! | File | What it is for |
//! |---|---|
//! | `place` | the NetBox, and a person who works in it |
//! | `agent`, `hosts` | the agent, and what its sources say |
//! | `sums`, `kills`, `weather`, `rivals`, `people`, `absence`, `plans`, `pace`, `scope` | the tests |

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic and says what chance it was left to"
)]

mod absence;
mod agent;
mod hosts;
mod kills;
#[path = "../netbox/mod.rs"]
mod netbox;
mod pace;
mod people;
mod place;
mod plans;
#[path = "../netbox_sink/proxy.rs"]
mod proxy;
mod rivals;
mod scope;
mod sums;
mod weather;
