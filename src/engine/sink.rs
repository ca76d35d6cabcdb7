//! Where a run writes: NetBox, or the local inventory where none is configured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::EngineError;
use crate::config::Settings;
use crate::domain::memory::Recollection;
use crate::domain::object::Kind;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::scope::Scope;
use crate::domain::world::{Need, World};
use crate::journal::Journal;
use crate::netbox::NetBox;
use crate::progress::Progress;
use crate::store::{Local, SinkId, Store};

/// Where a run writes.
#[derive(Debug, Clone)]
pub enum Sink {
    /// The inventory in the store.
    Local(Local),
    /// A NetBox.
    NetBox(Box<NetBox>, SinkId),
}

impl Sink {
    /// The sink that is configured.
    ///
    /// # Errors
    /// When it cannot be reached or is not what it should be.
    pub async fn connect(settings: &Settings, store: &Arc<Store>) -> Result<Self, EngineError> {
        let Some(config) = &settings.netbox else { return Ok(Sink::local(store)) };
        let netbox = NetBox::connect(config, &settings.policy.instance).await?;
        Ok(Sink::NetBox(Box::new(netbox), Sink::id_of(settings)))
    }

    /// By what the store knows the sink that is configured, whether or not it can be reached.
    #[must_use]
    pub fn id_of(settings: &Settings) -> SinkId {
        settings.netbox.as_ref().map_or_else(SinkId::local, |config| SinkId::netbox(&config.url))
    }

    /// The local inventory of a store.
    #[must_use]
    pub fn local(store: &Arc<Store>) -> Self {
        Sink::Local(Local::new(Arc::clone(store)))
    }

    /// By what the store knows it.
    #[must_use]
    pub fn id(&self) -> SinkId {
        match self {
            Sink::Local(_) => SinkId::local(),
            Sink::NetBox(_, id) => id.clone(),
        }
    }

    /// What stands, of the kinds that are needed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn snapshot(&self, need: &Need) -> Result<World, EngineError> {
        match self {
            Sink::Local(local) => {
                let (local, need) = (local.clone(), need.clone());
                blocking(move || local.snapshot(&need)).await?.map_err(EngineError::from)
            }
            Sink::NetBox(netbox, _) => Ok(netbox.snapshot(need).await?),
        }
    }

    /// What stands of these kinds of parts, on the hosts that a scope names at least;
    /// `hosts` is what stands otherwise.
    pub(super) async fn parts(
        &self,
        kinds: BTreeSet<Kind>,
        scope: Scope,
        hosts: &World,
    ) -> Result<World, EngineError> {
        match self {
            Sink::Local(local) => {
                let local = local.clone();
                blocking(move || local.parts(kinds, scope)).await?.map_err(EngineError::from)
            }
            Sink::NetBox(netbox, _) => Ok(netbox.parts(&kinds, scope, hosts).await?),
        }
    }

    pub(super) async fn apply(
        &self,
        plan: Arc<Plan>,
        journal: Arc<dyn Journal>,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> Result<Vec<Outcome>, EngineError> {
        match self {
            Sink::Local(local) => {
                let local = local.clone();
                blocking(move || local.apply(&plan, &*journal, &*progress, &cancel)).await
            }
            Sink::NetBox(netbox, _) => {
                Ok(netbox.apply(&plan, &*journal, &*progress, &cancel).await)
            }
        }
    }

    /// What this agent last wrote into objects of which the store knows nothing, as far
    /// as the sink itself tells.
    pub(super) async fn recollect(
        &self,
        objects: &[(Kind, u64)],
    ) -> Result<BTreeMap<(Kind, u64), Recollection>, EngineError> {
        match self {
            // The inventory and what is remembered of it are one file: they are lost together.
            Sink::Local(_) => Ok(BTreeMap::new()),
            Sink::NetBox(netbox, _) => Ok(netbox.recollect(objects).await?),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        EngineError::Run(
            "the local inventory failed by a defect of the agent; please report it".to_owned(),
        )
    })
}
