//! Gives an address to another interface. NetBox keeps an address where it is while
//! it is somebody's primary one: so that place is emptied first, then the address
//! moves, and when it cannot, the place is filled again.

use std::collections::{BTreeMap, BTreeSet};

use tracing::warn;

use super::super::lookup;
use super::super::row::Fields;
use super::deliver::{Ended, Writer};
use super::item::{Deed, End, Item};
use super::look::Unread;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::Value;

/// A primary place that was emptied for a move, by the place of the step that moves.
#[derive(Debug, Clone)]
pub(super) struct Emptied {
    pub step: usize,
    pub kind: Kind,
    pub id: u64,
    pub stamp: Option<std::sync::Arc<str>>,
    field: Field,
}

/// What came of moving some objects.
pub(super) struct Moved<'p> {
    pub ended: Vec<Ended<'p>>,
    /// The objects whose places were emptied, with their new fingerprints.
    pub emptied: Vec<Emptied>,
}

impl Writer<'_> {
    /// Moves objects of one kind, each together with the place that it is primary in.
    pub(super) async fn relocate<'p>(&self, kind: Kind, items: Vec<Item<'p>>) -> Moved<'p> {
        let (items, mut ended, mut emptied) = self.unseat(items).await;
        let moved = self.carry_out(Deed::Change, kind, items).await;
        let stuck: BTreeMap<usize, &Item<'p>> = moved
            .iter()
            .filter(|(_, end)| !matches!(end, End::Written { .. }))
            .map(|(item, _)| (item.place, item))
            .collect();
        let lost = self.reseat(&stuck, &mut emptied).await;
        ended.extend(moved.into_iter().map(|(item, end)| {
            let end = match (lost.get(&item.place), end) {
                (Some(what), End::Refused(reason)) => {
                    End::Refused(format!("{reason}; and {what} could not be put back"))
                }
                (_, end) => end,
            };
            (item, end)
        }));
        Moved { ended, emptied }
    }

    /// Empties the primary places that hold these objects. What cannot let go keeps its object.
    async fn unseat<'p>(
        &self,
        items: Vec<Item<'p>>,
    ) -> (Vec<Item<'p>>, Vec<Ended<'p>>, Vec<Emptied>) {
        let mut seats: BTreeMap<Kind, Vec<Item<'p>>> = BTreeMap::new();
        for item in &items {
            for seat in &item.change.unseat {
                let (Some(holder), Some(id)) = (seat.holder.live_id(), item.id) else { continue };
                let here = Value::Ref(ObjectRef::Live(item.change.kind, id));
                seats.entry(seat.holder.kind()).or_default().push(Item {
                    change: item.change,
                    place: item.place,
                    id: Some(holder),
                    fields: Fields::from_iter([(seat.field, Value::Null)]),
                    before: Fields::from_iter([(seat.field, here)]),
                    guard: None,
                });
            }
        }
        let mut failed: BTreeMap<usize, End> = BTreeMap::new();
        let mut emptied = Vec::new();
        for (kind, seats) in seats {
            let held = self.still_held(kind, seats, &mut failed).await;
            for (seat, end) in self.carry_out(Deed::Change, kind, held).await {
                match end {
                    End::Written { id, stamp, .. } => emptied.extend(
                        seat.fields.iter().map(|(field, _)| (*field, stamp.clone())).map(
                            |(field, stamp)| Emptied { step: seat.place, kind, id, stamp, field },
                        ),
                    ),
                    End::Refused(reason) => {
                        let reason = format!(
                            "{} {} does not let go of it: {reason}",
                            kind.label(),
                            seat.id.unwrap_or_default()
                        );
                        failed.insert(seat.place, End::Refused(reason));
                    }
                    other => {
                        failed.insert(seat.place, other);
                    }
                }
            }
        }
        let (stuck, free): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| failed.contains_key(&item.place));
        let ended = stuck.into_iter().map(|item| {
            let end = failed.get(&item.place).cloned().unwrap_or(End::Unreached);
            (item, end)
        });
        (free, ended.collect(), emptied)
    }

    /// The places that still hold what is to be moved: what somebody put there since stays.
    async fn still_held<'p>(
        &self,
        kind: Kind,
        seats: Vec<Item<'p>>,
        failed: &mut BTreeMap<usize, End>,
    ) -> Vec<Item<'p>> {
        let ids: Vec<u64> = seats.iter().filter_map(|seat| seat.id).collect();
        let fields: BTreeSet<Field> =
            seats.iter().flat_map(|seat| seat.fields.iter()).map(|(field, _)| *field).collect();
        let fields: Vec<Field> = fields.into_iter().collect();
        let rows = match self.patiently(|| lookup::by_ids(self.api, kind, &ids, &fields)).await {
            Ok(rows) => rows,
            Err(unread) => {
                let end = match unread {
                    Unread::Over => End::Unreached,
                    Unread::Refused(reason) => End::Refused(reason),
                };
                failed.extend(seats.iter().map(|seat| (seat.place, end.clone())));
                return Vec::new();
            }
        };
        let holds = |seat: &Item<'_>| {
            let live = seat.id.and_then(|id| rows.get(&id));
            live.is_some_and(|live| {
                seat.before.iter().all(|(field, held)| live.fields.get(field) == Some(held))
            })
        };
        seats.into_iter().filter(holds).collect()
    }

    /// Puts objects that did not move back into their places. Gives what could not be.
    async fn reseat(
        &self,
        stuck: &BTreeMap<usize, &Item<'_>>,
        emptied: &mut [Emptied],
    ) -> BTreeMap<usize, String> {
        let mut lost = BTreeMap::new();
        let mut back: BTreeMap<Kind, Vec<(usize, Item<'_>)>> = BTreeMap::new();
        for (place, seat) in emptied.iter().enumerate() {
            let Some(item) = stuck.get(&seat.step) else { continue };
            let Some(id) = item.id else { continue };
            let held = Value::Ref(ObjectRef::Live(item.change.kind, id));
            let item = Item {
                change: item.change,
                place,
                id: Some(seat.id),
                fields: Fields::from_iter([(seat.field, held)]),
                before: Fields::default(),
                guard: None,
            };
            back.entry(seat.kind).or_default().push((seat.step, item));
        }
        for (kind, items) in back {
            let steps: BTreeMap<usize, usize> =
                items.iter().map(|(step, item)| (item.place, *step)).collect();
            let items = items.into_iter().map(|(_, item)| item).collect();
            for (item, end) in self.carry_out(Deed::Change, kind, items).await {
                let step = steps.get(&item.place).copied().unwrap_or_default();
                if let End::Written { stamp, .. } = end {
                    emptied[item.place].stamp = stamp;
                    continue;
                }
                let id = item.id.unwrap_or_default();
                let what = format!("its place as primary of {} {id}", kind.label());
                warn!(%kind, id, "a primary place could not be filled again");
                lost.insert(step, what);
            }
        }
        lost
    }
}
