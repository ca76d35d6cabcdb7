//! The sources: each is one file (or folder) here and one line in [`KINDS`].
//!
//! A collector reads; it never writes anywhere but into its [`Harvest`]. One
//! that fails never stops the others, and one that cannot see says so in its
//! coverage instead of leaving things out silently.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use toml_edit::de::ValueDeserializer;

use crate::domain::coverage::Coverage;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::mac::MacAddr;
use crate::domain::name::SourceName;
use crate::domain::observation::{Observation, Segment};
use crate::http::HttpError;
use crate::progress::Progress;

pub mod exec;
pub mod home_assistant;
pub mod proxmox;
pub mod sweep;
pub mod wire;

/// Every kind of source, in the order in which help shows them.
pub const KINDS: &[SourceKind] = &[
    SourceKind::of::<sweep::SweepSettings>(),
    SourceKind::of::<proxmox::ProxmoxSettings>(),
    SourceKind::of::<home_assistant::HomeAssistantSettings>(),
    SourceKind::of::<exec::ExecSettings>(),
];

/// What a source brought home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Harvest {
    /// What it saw.
    pub observations: Vec<Observation>,
    /// Where it saw everything, and where not and why.
    pub coverage: Vec<Coverage>,
    /// What a person should know.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a source brought nothing home. What it brought in part is a [`Harvest`]
/// with gaps in its coverage, not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// It could not be reached; trying again later may help.
    #[error("cannot reach {place}: {reason}")]
    Unreachable {
        /// What was to be reached.
        place: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// It refused the credentials or the privileges; trying again will not help.
    #[error("{place} refused: {reason}")]
    Refused {
        /// What refused.
        place: String,
        /// What it said, and what to do.
        reason: String,
    },
    /// Something else went wrong.
    #[error("{0}")]
    Failed(String),
}

impl From<HttpError> for CollectError {
    /// What a caller does about it: try later, mend the credentials, or read on.
    fn from(error: HttpError) -> Self {
        match &error {
            HttpError::Unreachable { place, reason, .. } => {
                CollectError::Unreachable { place: place.clone(), reason: reason.to_string() }
            }
            HttpError::Status { place, code: 401 | 403, .. } => {
                let said = error.to_string();
                let reason = said.strip_prefix(&format!("{place} ")).unwrap_or(&said).to_owned();
                CollectError::Refused { place: place.clone(), reason }
            }
            _ => CollectError::Failed(error.to_string()),
        }
    }
}

/// What a run gives to a collector.
#[derive(Clone)]
pub struct Assignment {
    /// The source's name in the configuration.
    pub source: SourceName,
    /// The segment that its addresses are in, unless the source knows better.
    pub segment: Segment,
    /// When the run began; the time of observations that carry none of their own.
    pub started: Timestamp,
    /// Until when to be done; what is not seen by then is a gap.
    pub deadline: tokio::time::Instant,
    /// Set when the run shall end at once; what was found until then is kept.
    pub cancel: CancellationToken,
    /// Where to report progress.
    pub progress: Arc<dyn Progress>,
    /// Hosts that answered in earlier runs, which may be asked first.
    pub known: Arc<BTreeMap<IpAddr, MacAddr>>,
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A source that was configured and validated, ready to be asked.
#[async_trait]
pub trait Collector: fmt::Debug + Send + Sync {
    /// Reads everything that the source can tell.
    ///
    /// # Errors
    /// Only when there is nothing to bring home.
    async fn collect(&self, assignment: &Assignment) -> Result<Harvest, CollectError>;

    /// Asks whether the source can be reached and takes its credentials, and nothing
    /// more; gives what it is, in a few words. None where only collecting can tell.
    ///
    /// # Errors
    /// When it cannot be reached, or refuses.
    async fn check(&self, _assignment: &Assignment) -> Option<Result<String, CollectError>> {
        None
    }
}

/// Something wrong in a source's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key within the source's table, such as `subnets[1]`; empty for the table as a whole.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem with a key.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { key: key.into(), message: message.into() }
    }
}

/// What settings may use while they become a collector.
#[derive(Debug, Clone)]
pub struct BuildContext<'a> {
    /// The source's name.
    pub source: &'a SourceName,
    /// systemd's folder of credentials, where there is one. A source's secret `token`
    /// is looked for as `source.<name>.token`.
    pub credentials: Option<&'a Path>,
}

/// A source's settings: the table `[[source]]` without the keys that all sources
/// share. The struct is the documentation: its doc comments become the schema.
pub trait SourceSettings: DeserializeOwned + JsonSchema + Send + 'static {
    /// The word in `kind = "…"`.
    const KIND: &'static str;
    /// One line for help.
    const SUMMARY: &'static str;
    /// A commented `[[source]]` table, every key with its default and unit.
    const SAMPLE: &'static str;

    /// Validates the settings and makes the collector.
    ///
    /// # Errors
    /// Every problem at once, not only the first.
    fn build(self, context: &BuildContext<'_>) -> Result<Box<dyn Collector>, Vec<Problem>>;
}

/// How a `[[source]]` table becomes a collector.
pub type Build = fn(ValueDeserializer, &BuildContext<'_>) -> Result<Box<dyn Collector>, Refusal>;

/// One line of the list of kinds.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// One line for help.
    pub summary: &'static str,
    /// A commented `[[source]]` table.
    pub sample: &'static str,
    /// The JSON Schema of its settings.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    /// Reads the settings and makes the collector. Errors in the shape of the
    /// table come one by one, problems in its values all at once.
    pub build: Build,
}

/// Why settings were refused.
#[derive(Debug)]
pub enum Refusal {
    /// The table does not have the right shape: one key, and serde's words.
    Shape(Problem),
    /// The shape is right, the values are not.
    Values(Vec<Problem>),
}

impl SourceKind {
    /// The line of a settings type.
    #[must_use]
    pub const fn of<S: SourceSettings>() -> Self {
        SourceKind {
            name: S::KIND,
            summary: S::SUMMARY,
            sample: S::SAMPLE,
            schema: <S as JsonSchema>::json_schema,
            build: |table, context| {
                let settings: S = serde_path_to_error::deserialize(table).map_err(|error| {
                    let key = error.path().to_string();
                    let key = if key == "." { String::new() } else { key };
                    Refusal::Shape(Problem::new(key, error.inner().message()))
                })?;
                settings.build(context).map_err(Refusal::Values)
            },
        }
    }
}

impl fmt::Debug for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Silence;

    #[test]
    fn a_failed_request_tells_what_can_be_done_about_it() {
        let place = || "https://pve:8006".to_owned();
        let status = |code| HttpError::Status { place: place(), code, body: "no".into() };
        let told = |error: HttpError| CollectError::from(error).to_string();
        assert_eq!(told(status(403)), "https://pve:8006 refused: answered 403: no");
        assert_eq!(told(status(500)), "https://pve:8006 answered 500: no");
        let silent =
            HttpError::Unreachable { place: place(), reason: Silence::Refused, delivered: false };
        assert!(matches!(CollectError::from(silent), CollectError::Unreachable { .. }));
    }
}
