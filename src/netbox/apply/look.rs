//! Reads before writing on: what stands of objects whose request got lost or clashed,
//! and what became of objects since the plan was made.

use std::collections::{BTreeMap, BTreeSet};

use tracing::debug;

use super::super::error::NetBoxError;
use super::super::lookup;
use super::super::row::Fields;
use super::deliver::{Ended, Round, Writer, untouched};
use super::item::{Deed, End, Item};
use super::ledger::settled;
use crate::domain::object::{Field, Kind};
use crate::domain::value::Value;
use crate::domain::world::Live;

impl Writer<'_> {
    /// Which of these objects stand as they were to be written, and which are still to
    /// be sent. `doubtful` when a request with them may have been carried out.
    pub(super) async fn look<'p>(
        &self,
        deed: Deed,
        kind: Kind,
        items: Vec<Item<'p>>,
        doubtful: bool,
    ) -> (Vec<Ended<'p>>, Vec<Item<'p>>) {
        let judged = match deed {
            Deed::Make => {
                let wanted: Vec<&Fields> = items.iter().map(|item| &item.fields).collect();
                let read = self.patiently(|| lookup::same(self.api, kind, &wanted)).await;
                read.map(|standing| {
                    let pairs = items.iter().zip(&standing);
                    pairs.map(|(item, standing)| self.made(item, standing, doubtful)).collect()
                })
            }
            Deed::Change | Deed::Remove => self
                .rows(kind, &items)
                .await
                .map(|rows| items.iter().map(|item| as_wanted(deed, kind, item, &rows)).collect()),
        };
        let judged: Vec<Option<End>> = match judged {
            Ok(judged) => judged,
            Err(Unread::Over) => vec![None; items.len()],
            Err(Unread::Refused(reason)) => {
                let reason = format!("nobody knows whether it was written: {reason}");
                vec![Some(End::Refused(reason)); items.len()]
            }
        };
        split(items, judged)
    }

    /// What to make of the objects that stand in the place of one that was to be made.
    fn made(&self, item: &Item<'_>, standing: &[Live], doubtful: bool) -> Option<End> {
        let kind = item.change.kind;
        let key = item.fields.get(&Field::AgentKey);
        let is_own = |live: &&Live| {
            live.field(Field::AgentInstance).as_text() == Some(self.instance)
                && live.fields.get(&Field::AgentKey) == key
        };
        let own = standing.iter().find(is_own);
        // Of MAC addresses that are on nothing yet the same may be meant for another interface.
        let is_free = kind == Kind::MacAddress && !item.fields.contains(&Field::AssignedObject);
        if own.is_none() && is_free {
            return None;
        }
        let sent = own.or_else(|| standing.first().filter(|_| doubtful && !kind.is_marked()));
        if let Some(live) = sent {
            let settled = settled(&item.fields, &live.fields);
            return Some(End::Written { id: live.id, settled, stamp: live.stamp.clone() });
        }
        let other = standing.first()?;
        debug!(%kind, id = other.id, object = %item.change.label, "somebody else was first");
        Some(match is_another(item, other) {
            true => End::Refused(format!(
                "{} {} has its name and another serial number",
                kind.label(),
                other.id
            )),
            false => End::Adopted { id: other.id },
        })
    }

    /// Objects that NetBox refused because such ones stand already.
    pub(super) async fn settle_clashes<'p>(
        &self,
        kind: Kind,
        items: Vec<Item<'p>>,
        reasons: &[String],
        doubtful: bool,
    ) -> Vec<Ended<'p>> {
        let reasons: BTreeMap<usize, &String> =
            items.iter().map(|item| item.place).zip(reasons).collect();
        let (mut ended, left) = self.look(Deed::Make, kind, items.clone(), doubtful).await;
        let over = self.is_over();
        ended.extend(left.into_iter().map(|item| {
            let reason = reasons.get(&item.place).map(|reason| (*reason).clone());
            let end = if over { End::Unreached } else { End::Refused(reason.unwrap_or_default()) };
            (item, end)
        }));
        ended
    }

    /// Compares objects with what the plan was made against. What somebody changed since
    /// is left alone; what was merely touched is written all the same.
    pub(super) async fn recheck<'p>(
        &self,
        deed: Deed,
        kind: Kind,
        mut items: Vec<Item<'p>>,
    ) -> (Vec<Ended<'p>>, Vec<Item<'p>>) {
        if items.is_empty() {
            return (Vec::new(), items);
        }
        let rows = match self.rows(kind, &items).await {
            Ok(rows) => rows,
            Err(Unread::Over) => return split(items, vec![]),
            Err(Unread::Refused(reason)) => {
                let end = Some(End::Refused(reason));
                let ends = vec![end; items.len()];
                return split(items, ends);
            }
        };
        let judged: Vec<Option<End>> =
            items.iter().map(|item| since_planned(deed, item, &rows)).collect();
        for item in &mut items {
            let live = item.id.and_then(|id| rows.get(&id));
            item.guard = live.and_then(|live| live.stamp.clone());
        }
        split(items, judged)
    }

    /// Sorts out what a deletion left standing.
    pub(super) async fn check_gone<'p>(&self, kind: Kind, items: Vec<Item<'p>>) -> Round<'p> {
        let (mut ended, left) = self.look(Deed::Remove, kind, items, true).await;
        let over = self.is_over();
        ended.extend(left.into_iter().map(|item| {
            let end =
                if over { End::Unreached } else { End::Refused(untouched(kind, Deed::Remove)) };
            (item, end)
        }));
        Round { ended, again: Vec::new() }
    }

    /// The objects as they stand, with the fields that are written or compared.
    async fn rows(&self, kind: Kind, items: &[Item<'_>]) -> Result<BTreeMap<u64, Live>, Unread> {
        let ids: Vec<u64> = items.iter().filter_map(|item| item.id).collect();
        let fields: BTreeSet<Field> = items
            .iter()
            .flat_map(|item| item.fields.iter().chain(item.before.iter()))
            .map(|(field, _)| *field)
            .collect();
        let fields: Vec<Field> = fields.into_iter().collect();
        self.patiently(|| lookup::by_ids(self.api, kind, &ids, &fields)).await
    }

    /// Reads again and again until there is an answer or the run is over.
    pub(super) async fn patiently<T, F>(&self, read: impl Fn() -> F) -> Result<T, Unread>
    where
        F: Future<Output = Result<T, NetBoxError>>,
    {
        let mut tries = 0;
        loop {
            match read().await {
                Ok(value) => return Ok(value),
                Err(error) if !error.is_passing() => {
                    return Err(Unread::Refused(error.to_string()));
                }
                Err(error) => self.breaker.bad(&error.to_string()),
            }
            if self.is_over() {
                return Err(Unread::Over);
            }
            self.wait(tries).await;
            tries += 1;
        }
    }
}

/// Why something was not read.
pub(super) enum Unread {
    /// The run is over.
    Over,
    /// It cannot be read at all.
    Refused(String),
}

/// Whether what stands under a name is another thing than the one to be made.
fn is_another(item: &Item<'_>, live: &Live) -> bool {
    let text = |value: Option<&Value>| {
        let text = value.and_then(Value::as_text).map(|text| text.trim().to_uppercase());
        text.filter(|text| !text.is_empty())
    };
    let wanted = text(item.fields.get(&Field::Serial));
    let stands = text(live.fields.get(&Field::Serial));
    wanted.is_some() && stands.is_some() && wanted != stands
}

/// How an object ended that stands as it was to be written; none where it does not yet.
fn as_wanted(deed: Deed, kind: Kind, item: &Item<'_>, rows: &BTreeMap<u64, Live>) -> Option<End> {
    let Some(live) = item.id.and_then(|id| rows.get(&id)) else {
        return Some(match deed {
            Deed::Remove => gone(item),
            _ => End::Refused(untouched(kind, deed)),
        });
    };
    let same = deed == Deed::Change && holds(live, &item.fields);
    same.then(|| End::Written {
        id: live.id,
        settled: settled(&item.fields, &live.fields),
        stamp: live.stamp.clone(),
    })
}

fn gone(item: &Item<'_>) -> End {
    End::Written { id: item.id.unwrap_or_default(), settled: Fields::default(), stamp: None }
}

/// How an object ended that does not stand any more.
pub(super) fn vanished(deed: Deed, item: &Item<'_>) -> End {
    match deed {
        Deed::Remove => gone(item),
        _ => End::Skipped("it was deleted since the plan was made".to_owned()),
    }
}

fn holds(live: &Live, fields: &Fields) -> bool {
    fields.iter().all(|(field, value)| is_equal(live.fields.get(field), value))
}

fn is_equal(stands: Option<&Value>, value: &Value) -> bool {
    stands.is_some_and(|stands| stands == value || (stands.is_blank() && value.is_blank()))
}

/// What to make of an object that stands, against what the plan knew. None: write it.
fn since_planned(deed: Deed, item: &Item<'_>, rows: &BTreeMap<u64, Live>) -> Option<End> {
    let Some(live) = item.id.and_then(|id| rows.get(&id)) else {
        return Some(vanished(deed, item));
    };
    if item.guard.is_none() || item.guard == live.stamp {
        return None;
    }
    if deed == Deed::Change && holds(live, &item.fields) {
        return Some(End::Written {
            id: live.id,
            settled: settled(&item.fields, &live.fields),
            stamp: live.stamp.clone(),
        });
    }
    let moved = item.before.iter().find(|(field, before)| {
        let stands = live.fields.get(field);
        let as_wanted = deed == Deed::Change
            && item.fields.get(field).is_some_and(|wanted| is_equal(stands, wanted));
        // NetBox itself empties these when what they refer to is deleted.
        let emptied =
            deed == Deed::Remove && empties(**field) && stands.is_some_and(Value::is_blank);
        !is_equal(stands, before) && !as_wanted && !emptied
    });
    moved.map(|(field, _)| {
        End::Skipped(format!(
            "its {field} was changed since the plan was made; the next run looks again"
        ))
    })
}

fn empties(field: Field) -> bool {
    matches!(
        field,
        Field::PrimaryIp4
            | Field::PrimaryIp6
            | Field::PrimaryMac
            | Field::Parent
            | Field::Bridge
            | Field::Lag
            | Field::Disk
    )
}

/// Parts objects into those that have an end and those that have none.
fn split<'p>(items: Vec<Item<'p>>, ends: Vec<Option<End>>) -> (Vec<Ended<'p>>, Vec<Item<'p>>) {
    let mut ends = ends.into_iter();
    let mut ended = Vec::new();
    let mut left = Vec::new();
    for item in items {
        match ends.next().flatten() {
            Some(end) => ended.push((item, end)),
            None => left.push(item),
        }
    }
    (ended, left)
}
