//! What the verbs that run the agent share: settings, store, sink, sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::console::Console;
use super::exit::Failure;
use crate::config::Settings;
use crate::domain::guard::Cap;
use crate::domain::object::{Kind, ObjectRef};
use crate::domain::value::Value;
use crate::domain::world::{Need, World};
use crate::engine::{self, Asked, Context, Sink};
use crate::store::{Fault, SinkId, Store, StoreError};

/// Where observations come from in place of the sources.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct FromArgs {
    /// Take the observations of these files (`collect --save`) instead of asking the sources
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) from: Vec<PathBuf>,
}

/// How much a verb does with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It looks: another process may write meanwhile.
    Read,
    /// It writes: no other process may.
    Write,
}

/// A verb's session with the agent.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) context: Context,
}

/// The store's file in the state directory.
pub(super) const STORE: &str = "netbox-agent.db";

/// Opens what a verb needs.
pub(super) async fn open(
    console: &Console,
    access: Access,
    allowed: &[Cap],
) -> Result<Session, Failure> {
    let Records { settings, store, .. } = records(console, access)?;
    let sink = Sink::connect(&settings, &store).await.map_err(|error| failure(&error))?;
    let context = Context {
        policy: settings.policy.clone(),
        store,
        sink,
        unasked: settings.disabled.clone(),
        allowed: allowed.iter().copied().collect::<BTreeSet<Cap>>(),
        replay: false,
    };
    Ok(Session { settings, context })
}

fn open_store(path: &Path, access: Access) -> Result<Store, StoreError> {
    match access {
        Access::Write => Store::open(path),
        // What looks must not leave anything behind: without a store there is nothing to see.
        Access::Read => match Store::read(path) {
            Err(error) if matches!(error.fault, Fault::Missing) => Store::in_memory(),
            other => other,
        },
    }
}

/// What earlier runs left behind, for verbs that need nothing else: they tell it when the
/// sink is away, too.
#[derive(Debug)]
pub(super) struct Records {
    settings: Settings,
    pub(super) store: Arc<Store>,
    /// The sink that is configured.
    pub(super) sink: SinkId,
}

/// Opens the store alone.
pub(super) fn records(console: &Console, access: Access) -> Result<Records, Failure> {
    let settings = console.settings()?;
    let path = settings.state_dir.join(STORE);
    let store = Arc::new(open_store(&path, access).map_err(Failure::failed)?);
    let sink = Sink::id_of(&settings);
    Ok(Records { settings, store, sink })
}

/// Names are not worth waiting longer for.
const PATIENCE: Duration = Duration::from_secs(5);

impl Records {
    /// What these values refer to, as [`referred`] has it, where the sink can be reached.
    pub(super) async fn referred<'a>(&self, values: impl Iterator<Item = &'a Value>) -> World {
        let read = async {
            let sink = Sink::connect(&self.settings, &self.store).await.ok()?;
            Some(referred(values, &sink).await)
        };
        tokio::time::timeout(PATIENCE, read).await.ok().flatten().unwrap_or_default()
    }
}

/// What these values refer to, as it stands, so that a person reads names. What cannot be
/// read is told by its number.
pub(super) async fn referred<'a>(values: impl Iterator<Item = &'a Value>, sink: &Sink) -> World {
    let kinds: BTreeSet<Kind> = values
        .flat_map(|value| match value {
            Value::Ref(reference) => vec![reference.kind()],
            Value::Refs(refs) => refs.iter().map(ObjectRef::kind).collect(),
            _ => Vec::new(),
        })
        .collect();
    if kinds.is_empty() {
        return World::default();
    }
    sink.snapshot(&Need { kinds }).await.unwrap_or_default()
}

/// A failure of the engine, as a person reads it.
pub(super) fn failure(error: &engine::EngineError) -> Failure {
    match error {
        // There is no such run, or it is not one for here: the command line is wrong.
        engine::EngineError::Run(_) => Failure::usage(error),
        _ => Failure::failed(error),
    }
}

impl Session {
    /// Asks the sources, or reads the files in their place.
    pub(super) async fn ask(
        &mut self,
        from: &FromArgs,
        console: &Console,
    ) -> Result<Vec<Asked>, Failure> {
        if !from.from.is_empty() {
            // Files stand for the sources that they name; all others are not asked.
            self.context.replay = true;
            let asked = engine::read_files(&from.from).map_err(|error| failure(&error))?;
            let named: BTreeSet<_> = asked.iter().map(|asked| asked.source.clone()).collect();
            let configured = self.settings.sources.iter().map(|source| source.name.clone());
            self.context.unasked.extend(configured.filter(|name| !named.contains(name)));
            return Ok(asked);
        }
        if self.settings.sources.is_empty() {
            return Err(Failure::usage(
                "no source is configured; add a [[source]] (`netbox-agent config init` writes a file to start from), \
                 or give observations with --from",
            ));
        }
        let store = Some(&*self.context.store);
        let asked =
            engine::gather(&self.settings, store, &console.progress(), &console.cancel()).await;
        if asked.iter().all(|asked| asked.result.is_err()) {
            let reasons: Vec<String> = asked
                .iter()
                .filter_map(|asked| {
                    Some(format!("{}: {}", asked.source, asked.result.as_ref().err()?))
                })
                .collect();
            return Err(Failure::failed(format_args!(
                "every source failed: {}",
                reasons.join("; ")
            )));
        }
        Ok(asked)
    }
}
