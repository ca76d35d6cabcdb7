//! Asks all sources at once, each with its own deadline, and puts together what
//! they bring with what is remembered of those that could not look.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{EngineError, recall};
use crate::collect::{Assignment, CollectError, Harvest, wire};
use crate::config::{Settings, Source};
use crate::domain::coverage::{Coverage, Covered, Scope};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::inventory::Inventory;
use crate::domain::mac::MacAddr;
use crate::domain::merge::merge;
use crate::domain::name::SourceName;
use crate::domain::observation::{Observation, Segment};
use crate::domain::settings::Policy;
use crate::progress::Progress;
use crate::store::{SourceReport, Store};

/// A source that does not end by its deadline is given this long to bring what it has.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How one source fared.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The source.
    pub source: SourceName,
    /// How long it took.
    pub took: Duration,
    /// What it brought, or why it brought nothing.
    pub result: Result<Harvest, CollectError>,
}

/// Everything that is known after asking: what was seen, merged, and where it was seen whole.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// What is there.
    pub inventory: Inventory,
    /// Where everything was seen.
    pub covered: Covered,
    /// What sources and the merge tell a person.
    pub diagnostics: Vec<Diagnostic>,
    /// How each source fared.
    pub sources: Vec<SourceReport>,
    /// What to remember of each source that was asked: its own word and what is still
    /// believed of what it said earlier.
    pub kept: BTreeMap<SourceName, Vec<Observation>>,
}

impl Picture {
    /// Whether a source failed or told of an error, so that the run is partial at best.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        use crate::domain::diagnostic::Severity;
        let failed = self.sources.iter().any(|report| &*report.status == "failed");
        failed || self.diagnostics.iter().any(|told| told.severity == Severity::Error)
    }
}

/// Asks the sources; none of them can stop another.
pub async fn gather(
    settings: &Settings,
    store: Option<&Store>,
    progress: &Arc<dyn Progress>,
    cancel: &CancellationToken,
) -> Vec<Asked> {
    let started = Timestamp::now();
    let places = Arc::new(Semaphore::new(settings.concurrency.max(1)));
    let mut tasks = JoinSet::new();
    let mut names = BTreeMap::new();
    for source in &settings.sources {
        let known = store.map(|store| recall::known_hosts(store, &source.name)).unwrap_or_default();
        let task =
            ask(source.clone(), places.clone(), started, known, progress.clone(), cancel.clone());
        names.insert(tasks.spawn(task).id(), source.name.clone());
    }
    let mut asked = Vec::new();
    while let Some(end) = tasks.join_next_with_id().await {
        match end {
            Ok((_, done)) => asked.push(done),
            Err(error) => {
                let reason = "it ended by a defect of the agent; please report it".to_owned();
                let source = names.get(&error.id()).cloned();
                asked.extend(source.map(|source| Asked {
                    source,
                    took: Duration::ZERO,
                    result: Err(CollectError::Failed(reason.clone())),
                }));
            }
        }
    }
    asked.sort_by(|a, b| a.source.cmp(&b.source));
    asked
}

async fn ask(
    source: Source,
    places: Arc<Semaphore>,
    started: Timestamp,
    known: BTreeMap<IpAddr, MacAddr>,
    progress: Arc<dyn Progress>,
    cancel: CancellationToken,
) -> Asked {
    let _place = places.acquire().await;
    let begun = Instant::now();
    let deadline = begun + source.deadline;
    let assignment = Assignment {
        source: source.name.clone(),
        segment: source.segment.clone(),
        started,
        deadline,
        cancel,
        progress: progress.clone(),
        known: Arc::new(known),
    };
    debug!(source = %source.name, kind = source.kind, "source is asked");
    progress.begin(source.name.as_str(), None);
    let result =
        match tokio::time::timeout_at(deadline + LAST_WORDS, source.collector.collect(&assignment))
            .await
        {
            Ok(result) => result,
            Err(_) => Err(CollectError::Failed(format!(
                "it took longer than its deadline of {} s; give it a longer `deadline`",
                source.deadline.as_secs()
            ))),
        };
    progress.end(source.name.as_str());
    match &result {
        Ok(harvest) => {
            info!(source = %source.name, observations = harvest.observations.len(), "source answered");
        }
        // Whoever asked tells a person; a warning here would be the same thing twice.
        Err(error) => info!(source = %source.name, %error, "source failed"),
    }
    Asked { source: source.name, took: begun.elapsed(), result }
}

/// Reads files of observations in place of asking. What their lines say is all there is.
///
/// # Errors
/// When a file cannot be opened or read. Wrong lines are diagnostics.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<Asked>, EngineError> {
    let mut asked: BTreeMap<SourceName, Asked> = BTreeMap::new();
    for path in paths {
        let refuse = |error: std::io::Error| EngineError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let file = File::open(path).map_err(refuse)?;
        let context = wire::Context {
            source: None,
            segment: Segment::default(),
            at: Timestamp::now(),
            evidence: "observation file".into(),
            place: path.display().to_string().into(),
        };
        let harvest = wire::read(BufReader::new(file), &context).map_err(refuse)?;
        for (source, part) in by_source(harvest, path) {
            let entry = asked.entry(source.clone()).or_insert_with(|| Asked {
                source,
                took: Duration::ZERO,
                result: Ok(Harvest::default()),
            });
            if let Ok(known) = &mut entry.result {
                known.observations.extend(part.observations);
                known.coverage.extend(part.coverage);
                known.diagnostics.extend(part.diagnostics);
            }
        }
    }
    Ok(asked.into_values().collect())
}

/// One harvest of several sources, apart. Diagnostics name no source: they go to the first.
fn by_source(harvest: Harvest, path: &std::path::Path) -> BTreeMap<SourceName, Harvest> {
    let mut parts: BTreeMap<SourceName, Harvest> = BTreeMap::new();
    for observation in harvest.observations {
        parts.entry(observation.source.clone()).or_default().observations.push(observation);
    }
    for coverage in harvest.coverage {
        parts.entry(coverage.source.clone()).or_default().coverage.push(coverage);
    }
    if !harvest.diagnostics.is_empty() {
        let name: String = path
            .file_stem()
            .map(|stem| stem.to_string_lossy())
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(64)
            .collect();
        let name = name.parse().or_else(|_| "file".parse());
        let first = parts.keys().next().cloned().or_else(|| name.ok());
        if let Some(first) = first {
            parts.entry(first).or_default().diagnostics.extend(harvest.diagnostics);
        }
    }
    parts
}

/// Puts together what was asked, what is remembered, and merges it.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn picture(
    asked: Vec<Asked>,
    unasked: &[SourceName],
    store: Option<&Store>,
    policy: &Policy,
) -> Result<Picture, EngineError> {
    let now = Timestamp::now();
    let mut claims: Vec<Coverage> = Vec::new();
    let mut observations: Vec<Observation> = Vec::new();
    let mut picture = Picture::default();
    for Asked { source, took, result } in asked {
        let mut harvest = match result {
            Ok(harvest) => harvest,
            Err(error) => {
                picture.sources.push(report(&source, "failed", 0, 1, took, Some(&error)));
                picture.diagnostics.push(Diagnostic::error(
                    "source_failed",
                    source.as_str(),
                    error.to_string(),
                ));
                claims.push(unseen(&source, "the source failed"));
                let remembered = recall::all(store, &source)?;
                observations.extend(remembered);
                continue;
            }
        };
        if harvest.coverage.is_empty() {
            claims.push(unseen(&source, "the source proves nothing absent"));
        }
        let gaps = harvest.coverage.iter().filter(|claim| !claim.is_complete()).count();
        let status = if gaps == 0 { "complete" } else { "partial" };
        picture.sources.push(report(&source, status, harvest.observations.len(), gaps, took, None));
        claims.extend(harvest.coverage.iter().cloned());
        let carried = recall::carried(
            store,
            &source,
            &harvest,
            &Covered::new(harvest.coverage.clone()),
            policy,
            now,
        )?;
        harvest.observations.extend(carried);
        picture.kept.insert(source, harvest.observations.clone());
        observations.extend(harvest.observations);
        picture.diagnostics.extend(harvest.diagnostics);
    }
    claims.extend(unasked.iter().map(|source| unseen(source, "the source was not asked")));
    picture.inventory = merge(observations, &policy.ranking, &policy.binds);
    picture.covered = Covered::new(claims);
    picture.diagnostics.append(&mut picture.inventory.diagnostics.clone());
    picture.diagnostics.sort();
    picture.sources.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(picture)
}

fn unseen(source: &SourceName, why: &str) -> Coverage {
    Coverage {
        source: source.clone(),
        scope: Scope::Keys("".into()),
        method: "none".into(),
        gap: Some(why.into()),
    }
}

fn report(
    source: &SourceName,
    status: &str,
    observations: usize,
    gaps: usize,
    took: Duration,
    error: Option<&CollectError>,
) -> SourceReport {
    SourceReport {
        source: source.clone(),
        status: status.into(),
        observations: observations as u64,
        gaps: gaps as u64,
        took,
        message: error.map(|error| error.to_string().into()),
    }
}
