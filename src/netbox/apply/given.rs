//! What NetBox has done by itself: a new interface takes the MAC address along that was
//! made for it. It is looked at and not taken for granted: somebody else may have made
//! the interface in the meantime, with a MAC address of his own.

use super::super::lookup;
use super::super::row::Fields;
use super::deliver::{Ended, Writer};
use super::item::{End, Item};
use super::ledger::settled;
use super::look::Unread;
use super::twins::Made;
use crate::domain::object::Kind;
use crate::domain::world::Live;

/// An object, how it stands, and what stands beside it.
type Found<'p> = (Made<'p>, Vec<Live>);

impl Writer<'_> {
    /// Which of these objects stand as they were to be, and which are still to be changed.
    pub(super) async fn given<'p>(
        &self,
        kind: Kind,
        items: Vec<Item<'p>>,
    ) -> (Vec<Ended<'p>>, Vec<Item<'p>>) {
        let wanted: Vec<&Fields> = items.iter().map(|item| &item.fields).collect();
        let standing = match self.patiently(|| lookup::same(self.api, kind, &wanted)).await {
            Ok(standing) => standing,
            Err(Unread::Over) => return (unreached(items), Vec::new()),
            // Whoever may not read may still write.
            Err(Unread::Refused(_)) => return (Vec::new(), items),
        };
        let (mut given, mut late, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (item, standing) in items.into_iter().zip(standing) {
            let own = standing.iter().find(|live| Some(live.id) == item.id);
            match (own.map(|own| written(&item, own)), standing.first().cloned()) {
                (Some(end), _) => given.push((made(item, end), standing)),
                (None, Some(other)) => late.push((item, other)),
                (None, None) => left.push(item),
            }
        }
        let mut ended = self.settle_given(kind, given).await;
        for (item, end) in self.yield_to(kind, late).await {
            match end {
                Some(end) => ended.push((item, end)),
                None => left.push(item),
            }
        }
        (ended, left)
    }

    async fn settle_given<'p>(&self, kind: Kind, given: Vec<Found<'p>>) -> Vec<Ended<'p>> {
        let made: Vec<Made<'p>> = given.iter().map(|(made, _)| made.clone()).collect();
        let mut replaced = self.part(kind, given).await;
        let end = |made: Made<'p>| {
            let end = replaced.remove(&made.item.place).unwrap_or(made.end);
            (made.item, end)
        };
        made.into_iter().map(end).collect()
    }

    /// Takes back what somebody else has put in its place already. None where it could
    /// not be taken back.
    async fn yield_to<'p>(
        &self,
        kind: Kind,
        late: Vec<(Item<'p>, Live)>,
    ) -> Vec<(Item<'p>, Option<End>)> {
        let pairs =
            late.iter().map(|(item, other)| (made(item.clone(), End::Unreached), other.clone()));
        let mut replaced = self.give_way(kind, pairs.collect()).await;
        let end = |(item, _): (Item<'p>, Live)| {
            let end = replaced.remove(&item.place);
            (item, end)
        };
        late.into_iter().map(end).collect()
    }
}

fn made(item: Item<'_>, end: End) -> Made<'_> {
    let stamp = match &end {
        End::Written { stamp, .. } => stamp.clone(),
        _ => item.guard.clone(),
    };
    Made { id: item.id.unwrap_or_default(), stamp, item, end }
}

fn written(item: &Item<'_>, live: &Live) -> End {
    let settled = settled(&item.fields, &live.fields);
    End::Written { id: live.id, settled, stamp: live.stamp.clone() }
}

fn unreached(items: Vec<Item<'_>>) -> Vec<Ended<'_>> {
    items.into_iter().map(|item| (item, End::Unreached)).collect()
}
