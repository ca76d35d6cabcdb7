//! What was about to be sent when a run was killed, or when the sink's answer did
//! not tell what it had done: to be compared with what stands, once, by the next run.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::codec::{Coded, coded, id_to_sql};
use super::history::{change, place, place_to_sql};
use super::memory::{forget, remember_change};
use super::{SinkId, Store, StoreError, binding, memory};
use crate::domain::object::Field;
use crate::domain::plan::Change;
use crate::domain::value::{SmallMap, Value};

/// A change whose end is in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingIntent {
    /// The run that intended it.
    pub run: i64,
    /// Its place in that run's plan.
    pub place: usize,
    /// The change as it was planned, with every value that was to be written.
    pub change: Change,
    /// The object's id, where it is known: it stood before, or its making was answered.
    pub id: Option<u64>,
    /// The steps that were sent, or were about to be.
    pub steps: Vec<PendingStep>,
}

/// One step whose end is in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingStep {
    /// The fields that it was to write. Empty for a deletion.
    pub fields: Vec<Field>,
    /// Whether it was to make the object.
    pub creates: bool,
}

/// What was found to have become of a pending intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The run that intended it.
    pub run: i64,
    /// Its place in that run's plan.
    pub place: usize,
    /// What became of it.
    pub landed: Landed,
    /// Whether nothing more can come of it. Where the sink may still be at it, it stays
    /// in doubt.
    pub decided: bool,
}

/// What became of a pending intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// Nothing of it stands.
    Nothing,
    /// The object stands, and these of its fields hold what was intended; the
    /// values are as the sink tells them.
    Stands {
        /// Its id.
        id: u64,
        /// The fields that were written.
        fields: SmallMap<Field, Value>,
    },
    /// The object is gone, as was intended.
    Gone,
}

impl Store {
    /// The changes into a sink whose end is in doubt, in the order in which they were intended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn pending_intents(&self, sink: &SinkId) -> Result<Vec<PendingIntent>, StoreError> {
        self.reading(|connection| {
            let mut statement = connection.prepare(
                "SELECT changes.place, action, kind, key, label, stamp, changes.fields, unseat, \
                 reason, object, made, changes.run, intents.fields, intents.creates \
                 FROM intents \
                 JOIN changes ON changes.run = intents.run AND changes.place = intents.place \
                 JOIN runs ON runs.id = changes.run JOIN sinks ON sinks.id = runs.sink \
                 WHERE sinks.name = ?1",
            )?;
            let mut pending: BTreeMap<(i64, usize), PendingIntent> = BTreeMap::new();
            let mut rows = statement.query([sink.as_str()])?;
            while let Some(row) = rows.next()? {
                let intent = pending_intent(row)?;
                let step = PendingStep { fields: coded(row, 12)?, creates: row.get(13)? };
                pending.entry((intent.run, intent.place)).or_insert(intent).steps.push(step);
            }
            let mut pending: Vec<PendingIntent> = pending.into_values().collect();
            for intent in &mut pending {
                // What makes the object comes first.
                intent.steps.sort_by_key(|step| (!step.creates, step.fields.clone()));
            }
            Ok(pending)
        })
    }

    /// Takes changes out of doubt: what stands of them becomes the agent's memory
    /// as if the run had lived to settle it, and the history says how they ended.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn recover(&self, sink: &SinkId, recovered: &[Recovered]) -> Result<(), StoreError> {
        self.writing_durably(|transaction| {
            let sink = sink.number(transaction)?;
            recovered.iter().try_for_each(|entry| recover(transaction, sink, entry))
        })
    }
}

fn pending_intent(row: &Row<'_>) -> rusqlite::Result<PendingIntent> {
    Ok(PendingIntent {
        run: row.get(11)?,
        place: place(row, 0)?,
        change: change(row)?,
        id: super::codec::id_or_none(row, 9)?,
        steps: Vec::new(),
    })
}

fn recover(transaction: &Transaction<'_>, sink: i64, entry: &Recovered) -> rusqlite::Result<()> {
    let intended: Option<(Change, Option<u64>)> = transaction
        .prepare_cached(
            "SELECT place, action, kind, key, label, stamp, fields, unseat, reason, object, made \
             FROM changes WHERE run = ?1 AND place = ?2",
        )?
        .query_row(params![entry.run, place_to_sql(entry.place)], |row| {
            Ok((change(row)?, super::codec::id_or_none(row, 9)?))
        })
        .optional()?;
    let Some((change, known)) = intended else {
        return Ok(());
    };
    let mut because = String::new();
    let (outcome, id) = match &entry.landed {
        Landed::Nothing => ("not_reached", None),
        Landed::Gone => {
            if let Some(id) = known {
                forget(transaction, sink, change.kind, id)?;
            }
            ("applied", known)
        }
        Landed::Stands { id, fields } => {
            binding::bind(transaction, sink, &change.key, change.kind, *id)?;
            // Who wrote last is not known any more.
            memory::stamp(transaction, sink, (change.kind, *id), None)?;
            for (field, value) in fields.iter() {
                if let Some(of_field) = change.fields.get(field) {
                    let object = (change.kind, *id);
                    remember_change(
                        transaction,
                        sink,
                        entry.run,
                        object,
                        *field,
                        of_field,
                        Some(value),
                    )?;
                }
            }
            let (outcome, reason) = end(&change, fields);
            because = reason;
            (outcome, Some(*id))
        }
    };
    let outcome = entry.decided.then_some(outcome);
    let made = change.id.is_none() && id.is_some();
    let settled = match &entry.landed {
        Landed::Stands { fields, .. } => fields.to_text(),
        Landed::Nothing | Landed::Gone => "{}".to_owned(),
    };
    transaction
        .prepare_cached(
            "UPDATE changes SET because = iif(outcome IS NULL, ?7, because), \
             outcome = coalesce(outcome, ?3), object = coalesce(?4, object), \
             made = made OR ?5, settled = ?6 WHERE run = ?1 AND place = ?2",
        )?
        .execute(params![
            entry.run,
            place_to_sql(entry.place),
            outcome,
            id.map(id_to_sql).transpose()?,
            made,
            settled,
            if entry.decided { because.as_str() } else { "" },
        ])?;
    if !entry.decided {
        return Ok(());
    }
    transaction
        .prepare_cached("DELETE FROM intents WHERE run = ?1 AND place = ?2")?
        .execute(params![entry.run, place_to_sql(entry.place)])?;
    Ok(())
}

/// How a change ended of which the object and these fields were found, and why where
/// that is not as it was intended.
fn end(change: &Change, found: &SmallMap<Field, Value>) -> (&'static str, String) {
    let lacking = change.fields.iter().filter(|(field, _)| !found.contains(field));
    let lacking: Vec<&str> = lacking.map(|(field, _)| field.as_str()).collect();
    if lacking.is_empty() {
        return ("applied", String::new());
    }
    // An object that stood before and holds nothing of what was intended.
    if change.id.is_some() && found.is_empty() {
        return ("not_reached", String::new());
    }
    ("failed", format!("the run was killed before it wrote {}", lacking.join(", ")))
}
