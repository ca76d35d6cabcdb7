//! The collector without the rest of the agent: what it brings home from a stand-in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use netbox_agent::collect::{Assignment, BuildContext, CollectError, Harvest, KINDS};
use netbox_agent::domain::observation::Segment;
use netbox_agent::progress::Silent;
use serde::de::IntoDeserializer;
use tokio_util::sync::CancellationToken;

use crate::standin::{SECRET, Standin, TOKEN_ID};

/// Collects from a stand-in; `keys` are further keys of the source.
pub(crate) async fn collect(standin: &Standin, keys: &str) -> Result<Harvest, CollectError> {
    let source = "pve".parse().unwrap();
    let table: toml_edit::Value = format!(
        "{{ endpoints = {:?}, token_id = {TOKEN_ID:?}, token = {SECRET:?}, {keys} }}",
        standin.urls()
    )
    .parse()
    .unwrap();
    let kind = KINDS.iter().find(|kind| kind.name == "proxmox").unwrap();
    let context = BuildContext { source: &source, credentials: None };
    let collector = (kind.build)(table.into_deserializer(), &context).unwrap();
    let assignment = Assignment {
        source: source.clone(),
        segment: Segment::default(),
        started: Timestamp::UNIX_EPOCH,
        deadline: tokio::time::Instant::now() + Duration::from_secs(120),
        cancel: CancellationToken::new(),
        progress: Arc::new(Silent),
        known: Arc::new(BTreeMap::new()),
    };
    collector.collect(&assignment).await
}
