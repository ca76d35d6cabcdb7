//! Fields that were kept because a person changed them, and those that a person
//! gave back to the agent.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::codec::{Coded, coded, coded_or_none, id_to_sql, object, shared, word};
use super::{SinkId, Store, StoreError, time, time_to_sql};
use crate::domain::object::{Field, Kind, ObjectKey};
use crate::domain::plan::Conflict;
use crate::domain::value::Value;

/// A conflict that stands open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenConflict {
    /// What is in conflict.
    pub conflict: Conflict,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Whether a person was told of it. Forgotten when somebody changes the field again.
    pub reported: bool,
}

/// A person's wish that the agent take a field back, or all fields of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reclaim {
    /// The kind of object.
    pub kind: Kind,
    /// Its id.
    pub id: u64,
    /// The field; none for all of them.
    pub field: Option<Field>,
}

impl Store {
    /// The conflicts that stand open in a sink, by kind, id and field.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn conflicts(&self, sink: &SinkId) -> Result<Vec<OpenConflict>, StoreError> {
        self.reading(|connection| {
            let mut found = connection
                .prepare(
                    "SELECT kind, object, field, key, label, live, last, want, why, first_seen, \
                     reported FROM conflicts JOIN sinks ON sinks.id = conflicts.sink \
                     WHERE sinks.name = ?1",
                )?
                .query_map([sink.as_str()], open_conflict)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            found.sort_by_key(|open| {
                let conflict = &open.conflict;
                (conflict.kind, conflict.id, conflict.field)
            });
            Ok(found)
        })
    }

    /// Brings the open conflicts up to date with those of a run. One that the run no
    /// longer has is resolved where the run judged the object, and stays where it
    /// did not look. Gives back those that a person was not told of yet.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn update_conflicts(
        &self,
        sink: &SinkId,
        current: &[Conflict],
        judged: impl Fn(Kind, u64) -> bool,
        at: Timestamp,
    ) -> Result<Vec<OpenConflict>, StoreError> {
        let known = self.conflicts(sink)?;
        self.writing(|transaction| {
            let number = sink.number(transaction)?;
            for open in &known {
                let old = &open.conflict;
                let same =
                    |new: &Conflict| (new.kind, new.id, new.field) == (old.kind, old.id, old.field);
                if judged(old.kind, old.id) && !current.iter().any(same) {
                    delete(transaction, number, old)?;
                }
            }
            current.iter().try_for_each(|conflict| upsert(transaction, number, conflict, at))
        })?;
        let mut open = self.conflicts(sink)?;
        open.retain(|open| !open.reported);
        Ok(open)
    }

    /// Notes that a person was told of these conflicts.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn mark_reported(
        &self,
        sink: &SinkId,
        reported: &[OpenConflict],
    ) -> Result<(), StoreError> {
        self.writing(|transaction| {
            let sink = sink.number(transaction)?;
            reported.iter().try_for_each(|open| {
                let conflict = &open.conflict;
                transaction
                    .prepare_cached(
                        "UPDATE conflicts SET reported = 1 \
                         WHERE sink = ?1 AND kind = ?2 AND object = ?3 AND field = ?4",
                    )?
                    .execute(params![
                        sink,
                        conflict.kind.as_str(),
                        id_to_sql(conflict.id)?,
                        conflict.field.as_str(),
                    ])
                    .map(|_| ())
            })
        })
    }

    /// Notes a person's wish; the next run fulfils it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn request_reclaim(
        &self,
        sink: &SinkId,
        reclaim: &Reclaim,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.writing_durably(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO reclaims (sink, kind, object, field, requested) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    sink.number(transaction)?,
                    reclaim.kind.as_str(),
                    id_to_sql(reclaim.id)?,
                    field_to_sql(reclaim.field),
                    time_to_sql(at),
                ],
            )?;
            Ok(())
        })
    }

    /// The wishes that no run has fulfilled yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn reclaims(&self, sink: &SinkId) -> Result<Vec<Reclaim>, StoreError> {
        self.reading(|connection| {
            let mut found = connection
                .prepare(
                    "SELECT kind, object, field FROM reclaims \
                     JOIN sinks ON sinks.id = reclaims.sink WHERE sinks.name = ?1",
                )?
                .query_map([sink.as_str()], |row| {
                    let (kind, id) = object(row, 0, 1)?;
                    let whole = row.get_ref(2)?.as_str()?.is_empty();
                    let field = if whole { None } else { Some(word(row, 2)?) };
                    Ok(Reclaim { kind, id, field })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            found.sort();
            Ok(found)
        })
    }

    /// Takes away wishes that a run has fulfilled.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn fulfil_reclaims(&self, sink: &SinkId, done: &[Reclaim]) -> Result<(), StoreError> {
        self.writing(|transaction| {
            let sink = sink.number(transaction)?;
            done.iter().try_for_each(|reclaim| {
                transaction
                    .prepare_cached(
                        "DELETE FROM reclaims \
                         WHERE sink = ?1 AND kind = ?2 AND object = ?3 AND field = ?4",
                    )?
                    .execute(params![
                        sink,
                        reclaim.kind.as_str(),
                        id_to_sql(reclaim.id)?,
                        field_to_sql(reclaim.field),
                    ])
                    .map(|_| ())
            })
        })
    }
}

fn field_to_sql(field: Option<Field>) -> &'static str {
    field.map_or("", Field::as_str)
}

fn open_conflict(row: &Row<'_>) -> rusqlite::Result<OpenConflict> {
    let (kind, id) = object(row, 0, 1)?;
    Ok(OpenConflict {
        conflict: Conflict {
            kind,
            id,
            field: word(row, 2)?,
            key: ObjectKey(shared(row, 3)?),
            label: shared(row, 4)?,
            live: coded(row, 5)?,
            last: coded_or_none(row, 6)?,
            want: coded(row, 7)?,
            why: coded(row, 8)?,
        },
        first_seen: time(row, 9)?,
        reported: row.get(10)?,
    })
}

fn delete(transaction: &Transaction<'_>, sink: i64, conflict: &Conflict) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM conflicts WHERE sink = ?1 AND kind = ?2 AND object = ?3 AND field = ?4",
        )?
        .execute(params![
            sink,
            conflict.kind.as_str(),
            id_to_sql(conflict.id)?,
            conflict.field.as_str(),
        ])?;
    Ok(())
}

fn upsert(
    transaction: &Transaction<'_>,
    sink: i64,
    conflict: &Conflict,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let before: Option<(Value, i64, bool)> =
        transaction
            .prepare_cached(
                "SELECT live, first_seen, reported FROM conflicts \
             WHERE sink = ?1 AND kind = ?2 AND object = ?3 AND field = ?4",
            )?
            .query_row(
                params![
                    sink,
                    conflict.kind.as_str(),
                    id_to_sql(conflict.id)?,
                    conflict.field.as_str(),
                ],
                |row| Ok((coded(row, 0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
    // What the sources say may change with each run; only a person's new value is news.
    let (first_seen, reported) = match before {
        Some((live, first_seen, reported)) => (first_seen, reported && live == conflict.live),
        None => (time_to_sql(at), false),
    };
    let why: Arc<str> = conflict.why.to_text().into();
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO conflicts \
             (sink, kind, object, field, key, label, live, last, want, why, first_seen, reported) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            sink,
            conflict.kind.as_str(),
            id_to_sql(conflict.id)?,
            conflict.field.as_str(),
            conflict.key.as_str(),
            conflict.label.as_ref(),
            conflict.live.to_text(),
            conflict.last.as_ref().map(Coded::to_text),
            conflict.want.to_text(),
            why,
            first_seen,
            reported,
        ])?;
    Ok(())
}
