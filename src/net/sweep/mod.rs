//! The sweep: finds what answers in subnets.

pub mod schedule;
pub mod targets;
