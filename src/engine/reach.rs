//! Asks a source whether it is there and takes its credentials, and nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::collect::{Assignment, CollectError};
use crate::config::Source;
use crate::progress::Silent;

/// No source may take longer than this to say that it is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a source says of itself. None where only collecting can tell.
pub async fn reach(
    source: &Source,
    cancel: &CancellationToken,
) -> Option<Result<String, CollectError>> {
    let deadline = Instant::now() + PATIENCE.min(source.deadline);
    let assignment = Assignment {
        source: source.name.clone(),
        segment: source.segment.clone(),
        started: Timestamp::now(),
        deadline,
        cancel: cancel.clone(),
        progress: Arc::new(Silent),
        known: Arc::new(BTreeMap::new()),
    };
    let asked = tokio::time::timeout_at(deadline, source.collector.check(&assignment)).await;
    asked.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", PATIENCE.min(source.deadline).as_secs());
        Some(Err(CollectError::Failed(reason)))
    })
}
