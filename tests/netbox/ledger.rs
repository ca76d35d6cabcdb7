//! What was asked of the stand-in: how often by which method, and each write.

use serde_json::Value;
use std::collections::BTreeMap;

/// A request that wrote, or tried to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    /// Its method.
    pub(crate) method: String,
    /// Its path with what follows the question mark.
    pub(crate) path: String,
    /// Its body.
    pub(crate) body: Value,
    /// The status it was answered with; none where the connection was cut.
    pub(crate) status: Option<u16>,
}

impl Write {
    /// How many objects it was about.
    pub(crate) fn objects(&self) -> usize {
        self.body.as_array().map_or(1, Vec::len)
    }
}

/// What was asked so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ledger {
    /// How many requests came by each method.
    pub(crate) methods: BTreeMap<String, usize>,
    /// The requests that read, in order: method and path with what follows the question mark.
    pub(crate) reads: Vec<String>,
    /// The requests that wrote, in order.
    pub(crate) writes: Vec<Write>,
    /// How many connections were opened.
    pub(crate) connections: usize,
}

impl Ledger {
    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.methods.values().sum()
    }

    /// How many objects were written, as far as requests succeeded.
    pub(crate) fn objects_written(&self) -> usize {
        let done =
            self.writes.iter().filter(|write| write.status.is_some_and(|status| status < 300));
        done.map(Write::objects).sum()
    }
}
