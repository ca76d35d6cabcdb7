//! Reads what stands: every object of the kinds that a run needs, each kind in pages
//! of a thousand, several kinds at once.
//!
//! A page is turned into objects row by row and dropped, so that what is held at one
//! time is the world itself and one page for each kind that is being read. A world of
//! a thousand hosts with their parts takes about 10 MB.

use std::collections::BTreeSet;
use std::sync::Mutex;

use futures::future::{BoxFuture, FutureExt, try_join_all};

use super::api::Api;
use super::error::{NetBoxError, permission};
use super::table::{Sheet, sheet};
use super::version::Version;
use super::{page, row};
use crate::domain::desire::MARKS;
use crate::domain::object::{Field, Kind};
use crate::domain::scope::host_kind_of;
use crate::domain::value::Value;
use crate::domain::world::{Need, World};

/// Reads what stands of the kinds that are needed.
pub(super) async fn read(api: &Api, need: &Need) -> Result<World, NetBoxError> {
    let supported = supported(api.version);
    let wanted: BTreeSet<Kind> = need.kinds.intersection(&supported).copied().collect();
    let mut world = World::default();
    world.supported = supported;
    let world = Mutex::new(world);
    let reading = Reading { api, wanted: &wanted, world: &world };
    // A part cannot stand where nothing stands that it could belong to: then it is not asked for.
    let is_root = |kind: &Kind| owner(*kind).is_none_or(|own| !wanted.contains(&own));
    let mut roots: Vec<Kind> = wanted.iter().copied().filter(is_root).collect();
    // What has parts goes first: it takes longest.
    roots.sort_by_key(|kind| !Kind::ALL.iter().any(|part| owner(*part) == Some(*kind)));
    try_join_all(roots.into_iter().map(|kind| reading.with_parts(kind))).await?;
    let mut world = world.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    world.read = wanted;
    world.marked = marked(&world);
    Ok(world)
}

/// The kinds that a version has.
pub(super) fn supported(version: Version) -> BTreeSet<Kind> {
    Kind::ALL.iter().copied().filter(|kind| version >= sheet(*kind).since).collect()
}

/// The kind without any object of which none of this kind can be.
fn owner(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Cable => Some(Kind::Interface),
        part => host_kind_of(part),
    }
}

struct Reading<'a> {
    api: &'a Api,
    wanted: &'a BTreeSet<Kind>,
    world: &'a Mutex<World>,
}

impl<'a> Reading<'a> {
    fn with_parts(&self, kind: Kind) -> BoxFuture<'_, Result<(), NetBoxError>> {
        async move {
            if self.kind(kind).await? == 0 {
                return Ok(());
            }
            let parts = self.wanted.iter().filter(|part| owner(**part) == Some(kind));
            try_join_all(parts.map(|part| self.with_parts(*part))).await?;
            Ok(())
        }
        .boxed()
    }

    async fn kind(&self, kind: Kind) -> Result<u64, NetBoxError> {
        let sheet = sheet(kind);
        let version = self.api.version;
        let asking = sheet.reading(version);
        let read = page::each(self.api, sheet.endpoint, &[], &asking, |row| {
            if let Some(live) = row::live(sheet, version, &row) {
                let mut world =
                    self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                world.insert(live);
            }
        });
        read.await.map_err(|error| told(error, sheet))
    }
}

fn told(error: NetBoxError, sheet: &Sheet) -> NetBoxError {
    match error {
        NetBoxError::Http(error) => {
            let deed = format!("read {}", sheet.endpoint);
            NetBoxError::of(error, &deed, &permission("view", sheet.kind))
        }
        other => other,
    }
}

/// The kinds whose objects can carry the agent's marks: those that its custom fields
/// cover at this moment.
fn marked(world: &World) -> BTreeSet<Kind> {
    let covered = |name: &str| -> BTreeSet<Kind> {
        let field = world
            .of(Kind::CustomField)
            .find(|field| field.field(Field::Name).as_text() == Some(name));
        match field.map(|field| field.field(Field::ObjectTypes)) {
            Some(Value::Words(words)) => {
                words.iter().filter_map(|word| word.parse().ok()).collect()
            }
            _ => BTreeSet::new(),
        }
    };
    MARKS
        .iter()
        .filter(|mark| mark.refers_to.is_none())
        .map(|mark| covered(mark.name))
        .reduce(|all, more| all.intersection(&more).copied().collect())
        .unwrap_or_default()
}
