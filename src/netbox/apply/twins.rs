//! Takes back what two writers made at once where NetBox lets both stand: MAC
//! addresses, services, prefixes and others of which it does not ask that they be
//! unique, or asks only before it writes.
//!
//! Every agent does the same, so that one of two twins is left whoever comes first:
//! the older one stays, and its maker's rival takes its own back. Where the rival of
//! the older one has ended already, the older one's maker gives way after a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::super::lookup;
use super::super::natural::are_twins;
use super::super::row::Fields;
use super::deliver::Writer;
use super::item::{Deed, End, Item};
use crate::domain::object::{Field, Kind};
use crate::domain::world::Live;

/// An object that this run made.
#[derive(Debug, Clone)]
pub(super) struct Made<'p> {
    pub item: Item<'p>,
    pub id: u64,
    pub stamp: Option<Arc<str>>,
    /// How its writing ended, for as long as it has no twin.
    pub end: End,
}

/// How often the maker of an older twin looks whether its rival has taken the other back,
/// and how long it waits between: a rival looks as soon as its request has ended.
const PATIENCE: u32 = 5;

const PAUSE: Duration = Duration::from_secs(1);

impl Writer<'_> {
    /// Looks for twins of what one request made. Gives, by the place of its step, what
    /// each one that was taken back is replaced by.
    pub(super) async fn part_twins(&self, kind: Kind, made: Vec<Made<'_>>) -> BTreeMap<usize, End> {
        if made.is_empty() || self.is_over() {
            return BTreeMap::new();
        }
        let wanted: Vec<&Fields> = made.iter().map(|made| &made.item.fields).collect();
        let standing = self.patiently(|| lookup::same(self.api, kind, &wanted)).await;
        let Ok(standing) = standing else { return BTreeMap::new() };
        self.part(kind, made.into_iter().zip(standing).collect()).await
    }

    /// The same, with what stands as it was read.
    pub(super) async fn part(
        &self,
        kind: Kind,
        made: Vec<(Made<'_>, Vec<Live>)>,
    ) -> BTreeMap<usize, End> {
        let mut replaced = BTreeMap::new();
        let mut waiting: Vec<(Made<'_>, Live)> = Vec::new();
        let mut yielding: Vec<(Made<'_>, Live)> = Vec::new();
        for (made, standing) in made {
            match self.rival(kind, &made, &standing) {
                Some((rival, true)) => yielding.push((made, rival)),
                Some((rival, false)) => waiting.push((made, rival)),
                None => {}
            }
        }
        // At once: a rival that made the older ones waits for it, as this one does below.
        replaced.extend(self.give_way(kind, yielding).await);
        for round in 1..=PATIENCE {
            if waiting.is_empty() || self.is_over() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE * round) => {}
                () = self.cancel.cancelled() => {}
            }
            waiting = self.remaining(kind, waiting).await;
        }
        replaced.extend(self.give_way(kind, waiting).await);
        replaced
    }

    /// A twin of what was made, and whether it is to be preferred to it.
    fn rival(&self, kind: Kind, made: &Made<'_>, standing: &[Live]) -> Option<(Live, bool)> {
        let is_twin = |live: &&Live| live.id != made.id && are_twins(kind, &made.item.fields, live);
        let oldest = standing.iter().filter(is_twin).min_by_key(|live| live.id)?;
        let maker = oldest.field(Field::AgentInstance).as_text();
        let is_rivals = maker.is_some_and(|maker| maker != self.instance);
        Some((oldest.clone(), oldest.id < made.id || !is_rivals))
    }

    /// Those whose rivals' twins still stand.
    async fn remaining<'p>(
        &self,
        kind: Kind,
        waiting: Vec<(Made<'p>, Live)>,
    ) -> Vec<(Made<'p>, Live)> {
        let ids: Vec<u64> = waiting.iter().map(|(_, rival)| rival.id).collect();
        match self.patiently(|| lookup::by_ids(self.api, kind, &ids, &[])).await {
            Ok(standing) => {
                waiting.into_iter().filter(|(_, rival)| standing.contains_key(&rival.id)).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// Takes the agent's own twins back. One whose rival went at the same moment is made again.
    pub(super) async fn give_way(
        &self,
        kind: Kind,
        pairs: Vec<(Made<'_>, Live)>,
    ) -> BTreeMap<usize, End> {
        if pairs.is_empty() {
            return BTreeMap::new();
        }
        info!(%kind, objects = pairs.len(), "taking back what somebody else made at the same time");
        let items = pairs.iter().map(|(made, _)| Item {
            id: Some(made.id),
            fields: Fields::default(),
            before: Fields::default(),
            guard: made.stamp.clone(),
            ..made.item.clone()
        });
        let removed = self.carry_out(Deed::Remove, kind, items.collect()).await;
        let gone: Vec<usize> = removed
            .into_iter()
            .filter(|(_, end)| matches!(end, End::Written { .. }))
            .map(|(item, _)| item.place)
            .collect();
        let ids: Vec<u64> = pairs.iter().map(|(_, rival)| rival.id).collect();
        let standing = self.patiently(|| lookup::by_ids(self.api, kind, &ids, &[])).await.ok();
        let mut replaced = BTreeMap::new();
        let mut lost = Vec::new();
        for (made, rival) in pairs.into_iter().filter(|(made, _)| gone.contains(&made.item.place)) {
            match &standing {
                Some(standing) if !standing.contains_key(&rival.id) => lost.push(made.item),
                _ => {
                    replaced.insert(made.item.place, End::Adopted { id: rival.id });
                }
            }
        }
        for (item, end) in self.carry_out(Deed::Make, kind, lost).await {
            replaced.insert(item.place, end);
        }
        replaced
    }
}
