//! netbox-agent finds what is on a network and in its hypervisors, storage and
//! smart home, works out what is one device, and keeps NetBox true without ever
//! overwriting a person's work.
//!
//! # One way for the data
//!
//! ```text
//! collectors ─▶ observations ─▶ inventory ─▶ desired state ─▶ plan ─▶ outcomes
//!  collect/        domain        merge         desire         diff,    netbox/
//!                                                             guard    or store/
//! ```
//!
//! A run is level-triggered: it reads the world again each time, and a run with
//! nothing new writes nothing. Every arrow is a value that a person can print:
//! `collect` shows observations, `inventory` the devices, `plan` the changes.
//!
//! # The rooms
//!
//! | Room | What it is for | What it never does |
//! |---|---|---|
//! | [`cli`] | one file per verb | let another room print |
//! | [`engine`] | one run: concurrency, deadlines, order, cancellation | know a wire format |
//! | [`config`] | file, environment and secrets become `Settings` | let another room read the environment |
//! | [`collect`] | one file or folder per source | write anywhere |
//! | [`net`] | packets, neighbours, vendors, names | judge what is one device |
//! | [`netbox`] | NetBox's API: a snapshot in, changes out | decide what to change |
//! | [`store`] | runs, bindings, last values, the local inventory | talk to a network |
//! | [`http`] | one client: TLS, pins, rates, retries, redaction | know whom it talks to |
//! | [`domain`] | observation, identity, merge, desire, diff, guard | read a clock, a file, a network |
//!
//! Imports run one way: `cli → engine → config → {collect, netbox, store} →
//! {net, http} → domain`; `secret`, `progress`, `journal`, `duration` and `suggest` are
//! leaves that any but the domain may use. A test keeps it so.
//!
//! # Invariants
//!
//! 1. **No duplicate.** Only strong evidence joins, a contradiction vetoes, and
//!    what cannot be decided is told to a person instead of guessed.
//! 2. **No edit lost.** A field is written only where it is blank or still holds
//!    what the agent wrote last.
//! 3. **"Cannot see" is not "gone".** Absence counts only in a scope that a
//!    source proved to have seen whole.
//! 4. **Nothing new, nothing written.** A second run makes zero write requests.
//! 5. **Every value can be explained**: which source said it, how it knew, and
//!    what others said.
//! 6. **Same input, same bytes.** Merging is a function of the set of
//!    observations; output is sorted.

pub mod cli;
pub mod collect;
pub mod config;
pub mod domain;
pub mod duration;
pub mod engine;
pub mod http;
pub mod journal;
pub mod net;
pub mod netbox;
pub mod progress;
pub mod secret;
pub mod store;
pub mod suggest;
