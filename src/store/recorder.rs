//! One run, recorded as it goes: the [`Journal`] that a sink tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Transaction, params};

use super::codec::{Coded, coded, id_to_sql};
use super::history::{insert_change, insert_run, insert_source, place_to_sql};
use super::memory::{forget, remember_change, resolve};
use super::{RunEnd, RunStart, SourceReport, Store, StoreError, binding, memory, time_to_sql};
use crate::domain::object::{Field, Kind, ObjectKey};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, FieldChange, Step};
use crate::domain::value::{SmallMap, Value};
use crate::journal::{Journal, JournalError};

/// So many runs back is lately.
const LATELY: i64 = 20;

/// Records one run. What a change wrote becomes the agent's memory of the object
/// in the same transaction that records the change's end.
#[derive(Debug, Clone)]
pub struct RunRecorder {
    store: Arc<Store>,
    run: i64,
    sink: i64,
}

impl Store {
    /// Begins to record a run.
    ///
    /// # Errors
    /// When the store cannot be written; the run must then not write anything either.
    pub fn begin(self: &Arc<Self>, start: &RunStart) -> Result<RunRecorder, StoreError> {
        let (run, sink) = self.writing_durably(|transaction| {
            Ok((insert_run(transaction, start)?, start.sink.number(transaction)?))
        })?;
        Ok(RunRecorder { store: Arc::clone(self), run, sink })
    }
}

impl RunRecorder {
    /// The run's number.
    #[must_use]
    pub const fn run(&self) -> i64 {
        self.run
    }

    /// Records how the sources fared.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn sources(&self, reports: &[SourceReport]) -> Result<(), StoreError> {
        self.store.writing(|transaction| {
            reports.iter().try_for_each(|report| insert_source(transaction, self.run, report))
        })
    }

    /// Records how the run ended.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn finish(&self, end: &RunEnd) -> Result<(), StoreError> {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.store.writing_durably(|transaction| {
            transaction.execute(
                "UPDATE runs SET ended = ?2, result = ?3, planned = ?4, conflicts = ?5 \
                 WHERE id = ?1",
                params![
                    self.run,
                    time_to_sql(end.ended),
                    end.result.as_ref(),
                    number(end.planned),
                    number(end.conflicts),
                ],
            )?;
            Ok(())
        })
    }

    fn record_made(
        &self,
        transaction: &Transaction<'_>,
        kind: Kind,
        key: &ObjectKey,
        id: u64,
    ) -> rusqlite::Result<()> {
        transaction
            .prepare_cached(
                "UPDATE changes SET object = ?4, made = 1 WHERE run = ?1 AND kind = ?2 AND key = ?3",
            )?
            .execute(params![self.run, kind.as_str(), key.as_str(), id_to_sql(id)?])?;
        binding::bind(transaction, self.sink, key, kind, id)?;
        // What the creating request carried stands now, whatever becomes of the rest of the change.
        // The cross join keeps SQLite from walking all that is in doubt for each object.
        let mut statement = transaction.prepare_cached(
            "SELECT intents.fields, changes.fields FROM changes CROSS JOIN intents \
             ON intents.run = changes.run AND intents.place = changes.place \
             WHERE changes.run = ?1 AND changes.kind = ?2 AND changes.key = ?3 \
             AND intents.creates = 1",
        )?;
        let mut rows = statement.query(params![self.run, kind.as_str(), key.as_str()])?;
        while let Some(row) = rows.next()? {
            let sent: Vec<Field> = coded(row, 0)?;
            let fields: SmallMap<Field, FieldChange> = coded(row, 1)?;
            for field in sent {
                if let Some(change) = fields.get(&field) {
                    let object = (kind, id);
                    remember_change(transaction, self.sink, self.run, object, field, change, None)?;
                }
            }
        }
        Ok(())
    }

    fn record_end(
        &self,
        transaction: &Transaction<'_>,
        index: usize,
        change: &Change,
        outcome: &Outcome,
    ) -> rusqlite::Result<()> {
        insert_change(transaction, self.run, index, change)?;
        let because = match outcome {
            Outcome::Failed { reason } => reason.as_str(),
            Outcome::Skipped { because } => because.as_str(),
            Outcome::Applied { .. } | Outcome::Adopted { .. } | Outcome::NotReached => "",
        };
        let (id, settled, stamp) = match outcome {
            Outcome::Applied { id, settled, stamp } => {
                (Some(id_to_sql(*id)?), settled.to_text(), stamp.as_deref())
            }
            Outcome::Adopted { id } => (Some(id_to_sql(*id)?), "{}".to_owned(), None),
            _ => (None, "{}".to_owned(), None),
        };
        let creates = change.action == Action::Create && matches!(outcome, Outcome::Applied { .. });
        let adopted = matches!(outcome, Outcome::Adopted { .. });
        transaction
            .prepare_cached(
                "UPDATE changes SET outcome = ?3, because = ?4, object = coalesce(?5, object), \
                 settled = ?6, made = (made OR ?7) AND NOT ?9, stamp_after = ?8 \
                 WHERE run = ?1 AND place = ?2",
            )?
            .execute(params![
                self.run,
                place_to_sql(index),
                outcome.word(),
                because,
                id,
                settled,
                creates,
                stamp,
                adopted,
            ])?;
        if let Outcome::Applied { id, settled, stamp } = outcome {
            memory::stamp(transaction, self.sink, (change.kind, *id), stamp.as_deref())?;
            self.record_applied(transaction, index, change, *id, settled)?;
        }
        if let Outcome::Adopted { id } = outcome {
            // Nothing in it was written, so nothing of it is remembered but what it stands for.
            self.forget_intents(transaction, index)?;
            binding::bind(transaction, self.sink, &change.key, change.kind, *id)?;
        }
        Ok(())
    }

    fn forget_intents(&self, transaction: &Transaction<'_>, index: usize) -> rusqlite::Result<()> {
        transaction
            .prepare_cached("DELETE FROM intents WHERE run = ?1 AND place = ?2")?
            .execute(params![self.run, place_to_sql(index)])?;
        Ok(())
    }

    /// An applied change is no longer in doubt. The intents of any other stay: of a
    /// request that failed half-way nobody knows what it left behind.
    fn record_applied(
        &self,
        transaction: &Transaction<'_>,
        index: usize,
        change: &Change,
        id: u64,
        settled: &SmallMap<Field, Value>,
    ) -> rusqlite::Result<()> {
        self.forget_intents(transaction, index)?;
        if change.action == Action::Delete {
            return forget(transaction, self.sink, change.kind, id);
        }
        binding::bind(transaction, self.sink, &change.key, change.kind, id)?;
        for (field, change_of_field) in change.fields.iter() {
            let settled = settled
                .get(field)
                .map(|value| resolve(transaction, self.sink, value))
                .transpose()?;
            let object = (change.kind, id);
            remember_change(
                transaction,
                self.sink,
                self.run,
                object,
                *field,
                change_of_field,
                settled.as_ref(),
            )?;
        }
        Ok(())
    }
}

impl Journal for RunRecorder {
    fn run(&self) -> Option<i64> {
        Some(self.run)
    }

    fn refused(&self, kinds: &[Kind]) -> BTreeSet<ObjectKey> {
        let refused = self.store.reading(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT changes.kind, changes.key FROM runs \
                 JOIN changes ON changes.run = runs.id AND changes.outcome = 'failed' \
                 WHERE runs.sink = ?1 AND runs.id < ?2 AND runs.id >= ?2 - ?3",
            )?;
            let mut rows = statement.query(params![self.sink, self.run, LATELY])?;
            let mut refused = BTreeSet::new();
            while let Some(row) = rows.next()? {
                let (kind, key): (String, String) = (row.get(0)?, row.get(1)?);
                if kinds.iter().any(|one| one.as_str() == kind) {
                    refused.insert(ObjectKey(key.into()));
                }
            }
            Ok(refused)
        });
        // It only spares writes that would be taken back.
        refused.unwrap_or_default()
    }

    fn intend(&self, steps: &[(&Change, &Step)]) -> Result<(), JournalError> {
        self.store
            .writing_durably(|transaction| {
                for (change, step) in steps {
                    insert_change(transaction, self.run, step.change, change)?;
                    transaction
                        .prepare_cached(
                            "INSERT INTO intents (run, place, fields, creates) \
                             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                        )?
                        .execute(params![
                            self.run,
                            place_to_sql(step.change),
                            step.fields.to_text(),
                            step.creates,
                        ])?;
                }
                Ok(())
            })
            .map_err(|error| JournalError(error.to_string()))
    }

    fn made(&self, kind: Kind, key: &ObjectKey, id: u64) -> Result<(), JournalError> {
        self.store
            .writing(|transaction| self.record_made(transaction, kind, key, id))
            .map_err(|error| JournalError(error.to_string()))
    }

    fn settle(&self, index: usize, change: &Change, outcome: &Outcome) -> Result<(), JournalError> {
        self.store
            .writing(|transaction| self.record_end(transaction, index, change, outcome))
            .map_err(|error| JournalError(error.to_string()))
    }
}
