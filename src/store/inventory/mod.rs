//! The local inventory: a sink like NetBox, in the store itself, for those who
//! have none. It reads a plan as NetBox would and refuses what NetBox would
//! refuse, so that a plan that works here works there.
//!
//! It decides nothing about what should stand. A batch of changes is one
//! transaction, and each change in it stands or falls alone: a kill leaves whole
//! batches, a failure takes only its dependents along.

mod apply;
mod kinds;
mod rules;
mod shelf;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Store, StoreError};
use crate::domain::object::Kind;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::scope::{Scope, host_of};
use crate::domain::world::{Need, World};
use crate::journal::Journal;
use crate::progress::Progress;

/// The inventory within a store, as a sink.
#[derive(Debug, Clone)]
pub struct Local {
    store: Arc<Store>,
}

impl Local {
    /// The inventory of a store. One that is open for reading can be read.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Local { store }
    }

    /// All objects of the kinds that are needed. Every kind is supported but custom
    /// fields: what they would hold is part of each object here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn snapshot(&self, need: &Need) -> Result<World, StoreError> {
        let mut world = World::default();
        world.read.clone_from(&need.kinds);
        world.supported.extend(Kind::ALL.iter().filter(|kind| **kind != Kind::CustomField));
        let marked = Kind::ALL.iter().filter(|kind| kind.is_marked());
        world.marked.extend(marked);
        self.store.reading(|connection| {
            for kind in &need.kinds {
                shelf::each(connection, *kind, |live| world.insert(live))?;
            }
            Ok(())
        })?;
        Ok(world)
    }

    /// The parts of these kinds, as far as they are in a scope.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn parts(&self, kinds: BTreeSet<Kind>, mut scope: Scope) -> Result<World, StoreError> {
        let mut world = self.snapshot(&Need { kinds })?;
        scope.extend(world.iter());
        world.retain(|live| host_of(live).is_none_or(|host| scope.hosts.contains(&host)));
        Ok(world)
    }

    /// All objects of all kinds.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn everything(&self) -> Result<World, StoreError> {
        let kinds = Kind::ALL.iter().copied().collect();
        self.snapshot(&Need { kinds })
    }

    /// Carries out a plan, in the order of its waves. Gives one outcome for each
    /// change, in the order of the plan, and tells each to the journal.
    ///
    /// Blocks while it works. When `cancel` is set it ends after the batch at hand;
    /// when the store or the journal cannot be written it ends at once, and the
    /// changes at hand carry the reason.
    #[must_use]
    pub fn apply(
        &self,
        plan: &Plan,
        journal: &dyn Journal,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Vec<Outcome> {
        apply::apply(&self.store, plan, journal, progress, cancel)
    }
}
