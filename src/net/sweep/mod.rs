//! The sweep: finds what answers in subnets, and says what it did not prove.
//!
//! On a link it asks by ARP (and finds the hosts of IPv6) with frames of its own; through
//! routers by ICMP echo. Where it may not, it does what anybody may: it has the kernel ask,
//! and at the last it tries connections. It says which of these it did, and where an
//! address that did not answer is not proven to be unused. It never invents a MAC address
//! beyond a router, and asks no faster than a network is seen to bear.

mod answer;
mod connect;
mod echo;
mod engine;
mod link;
mod nudge;
mod plan;
mod request;
mod run;
pub mod schedule;
mod six;
pub mod targets;

pub use answer::{Answer, Found, Method, NameSource, Named, Report, Swept};
pub use request::{
    HASTY_LINGER, HUGEST, LARGEST, LINGER, Names, Request, SweepError, holds_hosts, read_net,
    read_ports, read_resolver,
};
pub use run::run;
