//! Writes a list of objects of one kind, whatever comes in between: a bad one among
//! them, somebody else who was first, a server that crashes, answers that get lost.
//! Nothing is written twice: what is in doubt is read before it is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::super::api::Api;
use super::super::row::{change_body, live, new_body, unknown_field};
use super::super::table::{Body, sheet};
use super::breaker::{Breaker, backoff};
use super::item::{Deed, End, Item};
use super::ledger::settled;
use super::look::vanished;
use super::message::Message;
use super::pace::Pace;
use super::refusal::{Refusal, is_clash};
use crate::domain::object::Kind;
use crate::http::{HttpError, Method};

/// What writing goes by.
pub(super) struct Writer<'r> {
    pub api: &'r Api,
    pub instance: &'r str,
    pub breaker: Breaker,
    pub pace: Pace,
    pub cancel: &'r CancellationToken,
    /// So many requests may be under way.
    pub permits: Semaphore,
    pub message: Message,
    /// How often single objects of a kind were denied in a row.
    pub denials: Mutex<BTreeMap<(Kind, Deed), u32>>,
}

/// An object and how its writing ended.
pub(super) type Ended<'p> = (Item<'p>, End);

/// Objects that are sent together.
pub(super) struct Batch<'p> {
    items: Vec<Item<'p>>,
    tries: u32,
    /// Whether a request with these objects was sent that may have been carried out.
    doubtful: bool,
    /// Whether it was looked for what stands of them already.
    looked: bool,
}

impl<'p> Batch<'p> {
    fn new(items: Vec<Item<'p>>) -> Self {
        Batch { items, tries: 0, doubtful: false, looked: false }
    }

    /// The same with fewer objects.
    fn with(&self, items: Vec<Item<'p>>) -> Self {
        Batch { items, tries: self.tries, doubtful: self.doubtful, looked: self.looked }
    }

    fn halves(mut self) -> [Self; 2] {
        let rest = self.items.split_off(self.items.len() / 2);
        let rest = self.with(rest);
        [self, rest]
    }
}

/// What came of one request.
pub(super) struct Round<'p> {
    pub ended: Vec<Ended<'p>>,
    pub again: Vec<Batch<'p>>,
}

/// After so many races a batch is taken apart.
const RACES: u32 = 4;

/// After so many answers that got lost a batch is taken apart: one of its objects may be
/// what the server falls over.
const DOUBTS: u32 = 5;

/// After so many denials in a row no more objects of the kind are tried.
const DENIALS: u32 = 3;

impl Writer<'_> {
    /// Whether nothing more may be sent.
    pub(super) fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.breaker.is_open()
    }

    /// Writes objects of one kind; gives each with its end.
    pub(super) async fn carry_out<'p>(
        &self,
        deed: Deed,
        kind: Kind,
        items: Vec<Item<'p>>,
    ) -> Vec<Ended<'p>> {
        let (items, mut ended) = self.writable(kind, items);
        let mut open = Vec::new();
        let (guarded, free): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| deed != Deed::Make && item.guard.is_some());
        open.push(Batch::new(free));
        if self.api.version.has_preconditions() {
            open.push(Batch::new(guarded));
        } else {
            let (done, left) = self.recheck(deed, kind, guarded).await;
            ended.extend(done);
            open.push(Batch::new(left));
        }
        while let Some(batch) = open.pop() {
            if batch.items.is_empty() {
                continue;
            }
            if self.is_over() {
                ended.extend(batch.items.into_iter().map(|item| (item, End::Unreached)));
                continue;
            }
            let round = self.round(deed, kind, batch).await;
            ended.extend(round.ended);
            // The first part of what is left is sent first.
            open.extend(round.again.into_iter().rev());
        }
        ended
    }

    /// Sorts out what this version has no field for.
    fn writable<'p>(&self, kind: Kind, items: Vec<Item<'p>>) -> (Vec<Item<'p>>, Vec<Ended<'p>>) {
        let version = self.api.version;
        let unknown = |item: &Item<'_>| unknown_field(sheet(kind), version, &item.fields);
        let (good, bad): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| unknown(item).is_none());
        let refused = bad.into_iter().map(|item| {
            let field = unknown(&item).map_or("", |field| field.as_str());
            let reason = format!("NetBox {version} has no `{field}` in a {}", kind.label());
            (item, End::Refused(reason))
        });
        (good, refused.collect())
    }

    async fn round<'p>(&self, deed: Deed, kind: Kind, batch: Batch<'p>) -> Round<'p> {
        if let Some(reason) = self.is_denied(kind, deed) {
            return refused(batch.items, &reason);
        }
        let refusal = match self.send(deed, kind, &batch.items).await {
            Ok(rows) => {
                self.note_denial(kind, deed, false);
                return self.done(deed, kind, batch, rows).await;
            }
            Err(refusal) => refusal,
        };
        debug!(%kind, objects = batch.items.len(), ?refusal, "a write was refused");
        match refusal {
            Refusal::These(wrong) => self.some_wrong(kind, deed, batch, &wrong).await,
            Refusal::Ids(wrong) if wrong.iter().any(is_missing) => lost(deed, batch, &wrong),
            Refusal::Ids(wrong) => {
                let place = |id: u64| batch.items.iter().position(|item| item.id == Some(id));
                let wrong: Vec<(usize, String)> = wrong
                    .into_iter()
                    .filter_map(|(id, reason)| Some((place(id)?, reason)))
                    .collect();
                self.some_wrong(kind, deed, batch, &wrong).await
            }
            Refusal::One(reason) => self.one_wrong(kind, deed, batch, reason).await,
            Refusal::Crash(reason) => {
                let round = self.look_again(kind, deed, batch).await;
                take_apart(round, &reason)
            }
            Refusal::Race(reason) if batch.tries >= RACES => apart(batch, &reason),
            Refusal::Race(_) => {
                self.wait(batch.tries).await;
                self.look_again(kind, deed, batch).await
            }
            Refusal::TooLong => {
                self.pace.failed(kind, batch.items.len());
                apart(batch, "NetBox, or what stands before it, takes no request this long")
            }
            Refusal::Moved if batch.tries >= RACES => {
                let reason = "somebody keeps changing it; the next run looks again";
                ended(batch.items, &End::Skipped(reason.to_owned()))
            }
            Refusal::Moved => {
                let Batch { items, tries, doubtful, looked } = batch;
                let (ended, items) = self.recheck(deed, kind, items).await;
                let again = Batch { items, tries: tries + 1, doubtful, looked };
                Round { ended, again: vec![again] }
            }
            Refusal::Denied(reason) => {
                if batch.items.len() == 1 {
                    self.note_denial(kind, deed, true);
                }
                apart(batch, &denied(kind, deed, &reason))
            }
            Refusal::Doubt { reason, slow } => {
                warn!(%kind, objects = batch.items.len(), %reason, "reading again before writing on");
                if slow {
                    self.pace.failed(kind, batch.items.len());
                }
                self.breaker.bad(&reason);
                self.wait(batch.tries).await;
                let often = batch.tries >= DOUBTS;
                let mut round =
                    self.look_again(kind, deed, Batch { doubtful: true, ..batch }).await;
                if often {
                    return take_apart(round, &reason);
                }
                if slow {
                    round.again = round.again.into_iter().flat_map(Batch::halves).collect();
                }
                round
            }
            Refusal::Busy(reason) => {
                self.breaker.bad(&reason);
                self.wait(batch.tries).await;
                let tries = batch.tries + 1;
                Round { ended: Vec::new(), again: vec![Batch { tries, ..batch }] }
            }
            Refusal::Fatal(reason) => {
                self.breaker.open(&reason);
                Round { ended: Vec::new(), again: vec![batch] }
            }
        }
    }

    /// Sends one request, once.
    async fn send(&self, deed: Deed, kind: Kind, items: &[Item<'_>]) -> Result<Vec<Body>, Refusal> {
        let (body, fields) = self.body(deed, kind, items);
        let states = self.states(items);
        // The semaphore is never closed; a request without a permit is still a request.
        let _permit = self.permits.acquire().await.ok();
        let begun = Instant::now();
        let method = match deed {
            Deed::Make => Method::POST,
            Deed::Change => Method::PATCH,
            Deed::Remove => Method::DELETE,
        };
        let answer = self
            .api
            .write(method, sheet(kind).endpoint, fields.as_deref(), &body, states.as_deref())
            .await;
        let taken = begun.elapsed();
        let rows = answer.and_then(|answer| match deed {
            Deed::Remove => Ok(Vec::new()),
            Deed::Make | Deed::Change => answer.json::<Vec<Body>>(),
        });
        match rows {
            Ok(rows) => {
                self.breaker.good();
                self.pace.took(kind, items.len(), taken);
                Ok(rows)
            }
            Err(error) => {
                if matches!(error, HttpError::Status { code: 400..=499, .. }) {
                    self.breaker.good();
                }
                Err(Refusal::of(&error, items.len()))
            }
        }
    }

    fn body(&self, deed: Deed, kind: Kind, items: &[Item<'_>]) -> (Vec<Json>, Option<String>) {
        let (sheet, version) = (sheet(kind), self.api.version);
        let bodies = items.iter().map(|item| match (deed, item.id) {
            (Deed::Make, _) => new_body(sheet, version, &item.fields),
            (Deed::Change, Some(id)) => change_body(sheet, version, id, &item.fields),
            (_, id) => Body::from_iter([("id".to_owned(), id.into())]),
        });
        let mut bodies: Vec<Body> = bodies.collect();
        let mut names: Vec<&str> =
            bodies.iter().flat_map(|body| body.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        let written = names.iter().copied().filter(|name| *name != "id");
        let fields = match deed {
            Deed::Make => Some(sheet.making(written)),
            Deed::Change => Some(sheet.updating(written)),
            Deed::Remove => None,
        };
        if version.has_messages() {
            for (body, item) in bodies.iter_mut().zip(items) {
                let text = self.message.about(item.change);
                body.insert("changelog_message".to_owned(), text.into());
            }
        }
        (bodies.into_iter().map(Json::Object).collect(), fields)
    }

    /// The states that the objects must be in, for `If-Match`.
    fn states(&self, items: &[Item<'_>]) -> Option<String> {
        if !self.api.version.has_preconditions() {
            return None;
        }
        let states: Option<Vec<String>> =
            items.iter().map(|item| item.guard.as_deref().map(etag)).collect();
        states.map(|states| states.join(", "))
    }

    /// Takes a request that was carried out apart into its objects.
    async fn done<'p>(
        &self,
        deed: Deed,
        kind: Kind,
        batch: Batch<'p>,
        rows: Vec<Body>,
    ) -> Round<'p> {
        let written = |item: &Item<'p>, row: &Body| {
            let stands = live(sheet(kind), self.api.version, row)?;
            let settled = settled(&item.fields, &stands.fields);
            Some(End::Written { id: stands.id, settled, stamp: stands.stamp })
        };
        match deed {
            Deed::Make if rows.len() == batch.items.len() => {
                let ends: Option<Vec<End>> =
                    batch.items.iter().zip(&rows).map(|(item, row)| written(item, row)).collect();
                match ends {
                    Some(ends) => Round {
                        ended: batch.items.into_iter().zip(ends).collect(),
                        again: Vec::new(),
                    },
                    None => self.look_again(kind, deed, Batch { doubtful: true, ..batch }).await,
                }
            }
            // An answer that does not fit what was asked tells nothing.
            Deed::Make => {
                self.breaker.bad("its answer does not fit what was asked");
                self.wait(batch.tries).await;
                self.look_again(kind, deed, Batch { doubtful: true, ..batch }).await
            }
            Deed::Change => {
                let rows: BTreeMap<u64, &Body> =
                    rows.iter().filter_map(|row| Some((row.get("id")?.as_u64()?, row))).collect();
                let end = |item: &Item<'p>| {
                    let row = item.id.and_then(|id| rows.get(&id));
                    row.and_then(|row| written(item, row))
                        .unwrap_or_else(|| End::Refused(untouched(kind, deed)))
                };
                let ends: Vec<End> = batch.items.iter().map(end).collect();
                Round { ended: batch.items.into_iter().zip(ends).collect(), again: Vec::new() }
            }
            Deed::Remove => self.check_gone(kind, batch.items).await,
        }
    }

    /// Some of the objects are wrong, and it is known which.
    async fn some_wrong<'p>(
        &self,
        kind: Kind,
        deed: Deed,
        batch: Batch<'p>,
        wrong: &[(usize, String)],
    ) -> Round<'p> {
        let reasons: BTreeMap<usize, &String> =
            wrong.iter().map(|(place, reason)| (*place, reason)).collect();
        if reasons.is_empty() {
            return apart(batch, "NetBox refused it without a reason");
        }
        let mut good = Vec::new();
        let mut clashes = Vec::new();
        let mut ended = Vec::new();
        let (tries, doubtful, looked) = (batch.tries, batch.doubtful, batch.looked);
        for (place, item) in batch.items.into_iter().enumerate() {
            match reasons.get(&place) {
                None => good.push(item),
                Some(reason) if deed == Deed::Make && is_clash(reason) => {
                    clashes.push((item, (*reason).clone()));
                }
                Some(reason) => ended.push((item, End::Refused((*reason).clone()))),
            }
        }
        if !clashes.is_empty() {
            let (items, reasons): (Vec<_>, Vec<_>) = clashes.into_iter().unzip();
            ended.extend(self.settle_clashes(kind, items, &reasons, doubtful).await);
        }
        Round { ended, again: vec![Batch { items: good, tries, doubtful, looked }] }
    }

    /// One of the objects is wrong, and nobody says which.
    async fn one_wrong<'p>(
        &self,
        kind: Kind,
        deed: Deed,
        batch: Batch<'p>,
        reason: String,
    ) -> Round<'p> {
        if deed == Deed::Make && is_clash(&reason) && !batch.looked {
            let mut round = self.look_again(kind, deed, batch).await;
            for batch in &mut round.again {
                batch.looked = true;
            }
            return round;
        }
        apart(batch, &reason)
    }

    /// Waits before another try; a cancelled run does not wait.
    pub(super) async fn wait(&self, tries: u32) {
        tokio::select! {
            () = tokio::time::sleep(backoff(tries)) => {}
            () = self.cancel.cancelled() => {}
        }
    }

    fn is_denied(&self, kind: Kind, deed: Deed) -> Option<String> {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let often = denials.get(&(kind, deed)).is_some_and(|denials| *denials >= DENIALS);
        often.then(|| denied(kind, deed, "others of its kind were refused as well"))
    }

    fn note_denial(&self, kind: Kind, deed: Deed, denied: bool) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let count = denials.entry((kind, deed)).or_default();
        *count = if denied { *count + 1 } else { 0 };
    }

    /// Reads what stands of a batch; what does not is sent once more.
    async fn look_again<'p>(&self, kind: Kind, deed: Deed, batch: Batch<'p>) -> Round<'p> {
        let Batch { items, tries, doubtful, looked } = batch;
        let (ended, items) = self.look(deed, kind, items, doubtful).await;
        let again = Batch { items, tries: tries + 1, doubtful, looked };
        Round { ended, again: vec![again] }
    }
}

/// Sorts out the objects that NetBox does not find; the others are sent again.
fn lost<'p>(deed: Deed, batch: Batch<'p>, wrong: &[(u64, String)]) -> Round<'p> {
    let missing: BTreeSet<u64> =
        wrong.iter().filter(|one| is_missing(one)).map(|(id, _)| *id).collect();
    let Batch { items, tries, doubtful, looked } = batch;
    let is_gone = |item: &Item<'_>| item.id.is_some_and(|id| missing.contains(&id));
    let (gone, items): (Vec<_>, Vec<_>) = items.into_iter().partition(is_gone);
    let batch = Batch { items, tries, doubtful, looked };
    if gone.is_empty() {
        return apart(batch, "NetBox misses objects that were not sent");
    }
    let ended = gone.into_iter().map(|item| {
        let end = vanished(deed, &item);
        (item, end)
    });
    Round { ended: ended.collect(), again: vec![batch] }
}

/// Whether an error says that the object itself does not stand (any more).
fn is_missing((_, reason): &(u64, String)) -> bool {
    reason.starts_with("id: ") && reason.contains("does not exist")
}

/// The state of an object as NetBox tags it: its fingerprint, written as Python does.
fn etag(stamp: &str) -> String {
    let stamp =
        stamp.strip_suffix('Z').map_or_else(|| stamp.to_owned(), |utc| format!("{utc}+00:00"));
    format!("W/\"{stamp}\"")
}

pub(super) fn denied(kind: Kind, deed: Deed, said: &str) -> String {
    let permission = super::super::error::permission(deed.action(), kind);
    format!("the token may not do it: {said} It needs `{permission}`")
}

/// Why nothing was done to an object though NetBox reported no error.
pub(super) fn untouched(kind: Kind, deed: Deed) -> String {
    let permission = super::super::error::permission(deed.action(), kind);
    format!(
        "NetBox left it as it is: it does not stand any more, or `{permission}` does not cover it"
    )
}

fn ended<'p>(items: Vec<Item<'p>>, end: &End) -> Round<'p> {
    Round { ended: items.into_iter().map(|item| (item, end.clone())).collect(), again: Vec::new() }
}

fn refused<'p>(items: Vec<Item<'p>>, reason: &str) -> Round<'p> {
    ended(items, &End::Refused(reason.to_owned()))
}

/// Takes a batch apart, or gives its only object up.
fn apart<'p>(batch: Batch<'p>, reason: &str) -> Round<'p> {
    match batch.items.len() {
        0 | 1 => refused(batch.items, reason),
        _ => Round { ended: Vec::new(), again: batch.halves().into() },
    }
}

fn take_apart<'p>(round: Round<'p>, reason: &str) -> Round<'p> {
    let Round { mut ended, again } = round;
    let mut left = Vec::new();
    for batch in again {
        let split = apart(batch, reason);
        ended.extend(split.ended);
        left.extend(split.again);
    }
    Round { ended, again: left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_made_of_the_fingerprint_as_netbox_makes_it() {
        // Answered by 4.6.8 in `ETag` and `last_updated` for the same device.
        assert_eq!(etag("2026-11-21T03:37:43.457471Z"), r#"W/"2026-11-21T03:37:43.457471+00:00""#);
    }
}
