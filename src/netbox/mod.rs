//! NetBox, as a sink: what stands there as a [`World`], and plans carried out.
//!
//! The only room that knows NetBox's API. It decides nothing about what should
//! stand: it reads, writes what a plan says, and tells how each change ended.
//!
//! # What it promises
//!
//! - What is read is in the one form in which the domain compares it: a field that
//!   nobody changed since it was written reads as it was written, in every version.
//! - Nothing is written twice: a request whose answer got lost is not sent again
//!   before it was read what became of it.
//! - What a person changed between the plan and its writing is left alone.
//! - One bad object fails alone, with NetBox's reason, and takes only those along
//!   that need it.

mod api;
mod apply;
mod check;
mod error;
mod lookup;
mod natural;
mod page;
mod parts;
mod recollect;
mod row;
mod snapshot;
mod table;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

pub use check::Permission;
pub use error::NetBoxError;
pub use version::{NotAVersion, Version};

use crate::domain::diagnostic::Diagnostic;
use crate::domain::memory::Recollection;
use crate::domain::name::InstanceName;
use crate::domain::object::Kind;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::scope::Scope;
use crate::domain::settings::Policy;
use crate::domain::world::{Need, World};
use crate::http;
use crate::journal::Journal;
use crate::progress::Progress;
use api::Api;
use apply::How;

/// A NetBox that answers and whose token is accepted.
#[derive(Debug, Clone)]
pub struct NetBox {
    api: Api,
    instance: InstanceName,
    batch: usize,
    lanes: usize,
    patience: Duration,
}

/// How to reach NetBox.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where it is; the path ends with `/`, and `api/` is not part of it.
    pub url: Url,
    /// The token.
    pub token: SecretString,
    /// How its client behaves.
    pub http: http::Options,
    /// How many objects are written with one request.
    pub batch_size: usize,
}

/// After so long without an answer that helps, a run gives up: long enough for NetBox to
/// be started again.
const PATIENCE: Duration = Duration::from_secs(90);

impl NetBox {
    /// Asks NetBox for its version.
    ///
    /// # Errors
    /// When it cannot be reached, is none, is too old, or does not accept the token.
    pub async fn connect(
        config: &Connection,
        instance: &InstanceName,
    ) -> Result<Self, NetBoxError> {
        let api = Api::connect(config).await?;
        let version = api.version;
        if version >= Version::UNKNOWN {
            warn!(%version, "this NetBox is newer than any that was tested; going on");
        } else {
            info!(%version, "connected to NetBox");
        }
        Ok(NetBox {
            api,
            instance: instance.clone(),
            batch: config.batch_size,
            lanes: config.http.concurrency.get(),
            patience: PATIENCE,
        })
    }

    /// Another limit of how long an apply goes on without an answer that helps.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// NetBox's version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.api.version
    }

    /// Whether its version is one that the agent was tested with.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.api.version < Version::UNKNOWN
    }

    /// How many requests were sent so far, every try counted.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.api.sent()
    }

    /// Whether it is ready for the agent, found out without writing anything. Notes say
    /// what is right.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn check(&self, policy: &Policy) -> Result<Vec<Diagnostic>, NetBoxError> {
        check::check(&self.api, policy).await
    }

    /// The least that the token's user has to be allowed.
    #[must_use]
    pub fn least_permissions(&self, policy: &Policy) -> Vec<Permission> {
        check::least(&self.api, policy)
    }

    /// Everything that stands of the kinds that are needed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn snapshot(&self, need: &Need) -> Result<World, NetBoxError> {
        snapshot::read(&self.api, need).await
    }

    /// What stands of kinds of parts, on the hosts that a scope names at least; `hosts` is
    /// what stands otherwise. Where most hosts are in the scope, all parts are read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn parts(
        &self,
        kinds: &BTreeSet<Kind>,
        scope: Scope,
        hosts: &World,
    ) -> Result<World, NetBoxError> {
        parts::read(&self.api, kinds, scope, hosts).await
    }

    /// What this agent last wrote into objects that carry its marks, as far as NetBox's
    /// change log still tells. Where the token may not read that, nothing is told.
    ///
    /// # Errors
    /// When it cannot be read for another reason.
    pub async fn recollect(
        &self,
        objects: &[(Kind, u64)],
    ) -> Result<BTreeMap<(Kind, u64), Recollection>, NetBoxError> {
        recollect::recollect(&self.api, self.instance.as_str(), objects).await
    }

    /// Carries a plan out, in the order of its waves. Gives one outcome for each change,
    /// in the order of the plan, and tells each to the journal.
    ///
    /// When `cancel` is set it ends after the requests under way; when NetBox stays away
    /// or the journal cannot be written, the first change that was not come to says why.
    pub async fn apply(
        &self,
        plan: &Plan,
        journal: &dyn Journal,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Vec<Outcome> {
        let how = How {
            instance: self.instance.to_string(),
            batch: self.batch,
            lanes: self.lanes,
            patience: self.patience,
        };
        apply::apply(&self.api, &how, plan, journal, progress, cancel).await
    }
}
