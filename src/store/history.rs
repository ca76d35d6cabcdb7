//! Runs, what each was made of, and every change it recorded.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::codec::{Coded, coded, id_or_none, shared, word};
use super::sink::SinkId;
use super::{Store, StoreError, lock, time, time_or_none, time_to_sql};
use crate::domain::name::SourceName;
use crate::domain::object::{Field, ObjectKey};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Change;
use crate::domain::value::{SmallMap, Value};

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// The agent's instance.
    pub instance: Arc<str>,
    /// Where it writes.
    pub sink: SinkId,
    /// What it is for: `sync`, `rollback 41`.
    pub purpose: Arc<str>,
    /// The agent's version.
    pub version: Arc<str>,
    /// Whether it only looks.
    pub dry_run: bool,
    /// When it began.
    pub started: Timestamp,
}

/// What is known of a run when it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// When it ended.
    pub ended: Timestamp,
    /// How, in one word: `done`, `partial`, `failed`, `interrupted`.
    pub result: Arc<str>,
    /// How many changes its plan had.
    pub planned: u64,
    /// How many fields were kept because a person changed them.
    pub conflicts: u64,
}

/// How one source fared in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// The source.
    pub source: SourceName,
    /// How it ended, in one word: `complete`, `partial`, `failed`.
    pub status: Arc<str>,
    /// How many observations it brought.
    pub observations: u64,
    /// How many scopes it did not see whole.
    pub gaps: u64,
    /// How long it took, to the millisecond.
    pub took: Duration,
    /// What went wrong, where something did.
    pub message: Option<Arc<str>>,
}

/// How the changes of a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many the plan had.
    pub planned: u64,
    /// Written.
    pub applied: u64,
    /// Refused by the sink.
    pub failed: u64,
    /// Left out because something they need was not written.
    pub skipped: u64,
    /// Not come to.
    pub not_reached: u64,
    /// Sent, with the run killed before it knew more; settled by the next run.
    pub unknown: u64,
    /// Fields kept because a person changed them.
    pub conflicts: u64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number, by which a person names it.
    pub id: i64,
    /// What was known when it began.
    pub start: RunStart,
    /// When it ended; none while it runs and for one that was killed.
    pub ended: Option<Timestamp>,
    /// How it ended, in one word; `killed` for one that could not say so; none while it runs.
    pub result: Option<Arc<str>>,
    /// How its changes ended.
    pub counts: Counts,
    /// How its sources fared, sorted by name.
    pub sources: Vec<SourceReport>,
}

/// One change of a run, with the before-image that undoes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    /// Its place in the plan.
    pub place: usize,
    /// The change as it was planned.
    pub change: Change,
    /// The object's id in the sink, where it is known.
    pub id: Option<u64>,
    /// Whether the run made the object, even where the change as a whole failed later.
    pub made: bool,
    /// How it ended; none where the run was killed before it knew.
    pub outcome: Option<Outcome>,
    /// The fields as the sink answered them, or as a later run found them where
    /// this one was killed: some of them even where not all were written.
    pub settled: SmallMap<Field, Value>,
}

/// How a run ended that could not say how it ended.
const KILLED: &str = "killed";

const RUN_COLUMNS: &str = "runs.id, instance, sinks.name, purpose, version, dry_run, started, \
     ended, result, planned, conflicts FROM runs JOIN sinks ON sinks.id = runs.sink";

impl Store {
    /// The latest runs, newest first, of one sink or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn runs(&self, sink: Option<&SinkId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        let list = |connection: &Connection| {
            let mut statement = connection.prepare(&format!(
                "SELECT {RUN_COLUMNS} WHERE ?1 IS NULL OR sinks.name = ?1 \
                 ORDER BY runs.id DESC LIMIT ?2"
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found = statement.query_map(params![sink.map(SinkId::as_str), limit], run)?;
            found.map(|run| complete(connection, run?)).collect()
        };
        let mut runs: Vec<Run> = self.reading(list)?;
        self.tell_killed(&mut runs)?;
        Ok(runs)
    }

    /// The run of a number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn run(&self, id: i64) -> Result<Option<Run>, StoreError> {
        let mut found: Vec<Run> =
            self.reading(|connection| find(connection, id))?.into_iter().collect();
        self.tell_killed(&mut found)?;
        Ok(found.pop())
    }

    /// A run that has no result while nobody writes the store was killed; only a writer
    /// notes that down.
    fn tell_killed(&self, runs: &mut [Run]) -> Result<(), StoreError> {
        let is_open = |run: &Run| run.result.is_none();
        if self.is_writable() || !runs.iter().any(is_open) || !lock::is_free(&self.path) {
            return Ok(());
        }
        for run in runs.iter_mut().filter(|run| is_open(run)) {
            // It may have ended between the look at it and the look at the lock.
            if let Some(now) = self.reading(|connection| find(connection, run.id))? {
                *run = now;
            }
            run.result.get_or_insert_with(|| KILLED.into());
        }
        Ok(())
    }

    /// The changes of a run, in the order of its plan.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn run_changes(&self, id: i64) -> Result<Vec<RecordedChange>, StoreError> {
        self.reading(|connection| {
            connection
                .prepare(
                    "SELECT place, action, kind, key, label, stamp, fields, unseat, reason, \
                     object, made, outcome, because, settled, stamp_after \
                     FROM changes WHERE run = ?1 ORDER BY place",
                )?
                .query_map([id], recorded_change)?
                .collect()
        })
    }

    /// A run that has no result when the store is opened for writing was killed:
    /// only one process can have it open so.
    pub(super) fn close_killed_runs(&self) -> Result<(), StoreError> {
        let open: i64 = self.reading(|connection| {
            connection
                .query_row("SELECT count(*) FROM runs WHERE result IS NULL", [], |row| row.get(0))
        })?;
        if open == 0 {
            return Ok(());
        }
        self.writing(|transaction| {
            transaction.execute("UPDATE runs SET result = ?1 WHERE result IS NULL", [KILLED])?;
            Ok(())
        })
    }
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Run>> {
    connection
        .query_row(&format!("SELECT {RUN_COLUMNS} WHERE runs.id = ?1"), [id], run)
        .optional()?
        .map(|run| complete(connection, run))
        .transpose()
}

pub(super) fn insert_run(transaction: &Transaction<'_>, start: &RunStart) -> rusqlite::Result<i64> {
    transaction.execute(
        "INSERT INTO runs (instance, sink, purpose, version, dry_run, started) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            start.instance.as_ref(),
            start.sink.number(transaction)?,
            start.purpose.as_ref(),
            start.version.as_ref(),
            start.dry_run,
            time_to_sql(start.started),
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn insert_source(
    transaction: &Transaction<'_>,
    run: i64,
    report: &SourceReport,
) -> rusqlite::Result<()> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    transaction.execute(
        "INSERT OR REPLACE INTO run_sources \
         (run, source, status, observations, gaps, millis, message) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            run,
            report.source.as_str(),
            report.status.as_ref(),
            number(report.observations),
            number(report.gaps),
            i64::try_from(report.took.as_millis()).unwrap_or(i64::MAX),
            report.message.as_deref(),
        ],
    )?;
    Ok(())
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let result: Option<String> = row.get(8)?;
    Ok(Run {
        id: row.get(0)?,
        start: RunStart {
            instance: shared(row, 1)?,
            sink: SinkId::of_sql(row, 2)?,
            purpose: shared(row, 3)?,
            version: shared(row, 4)?,
            dry_run: row.get(5)?,
            started: time(row, 6)?,
        },
        ended: time_or_none(row, 7)?,
        result: result.map(Into::into),
        counts: Counts { planned: count(row, 9)?, conflicts: count(row, 10)?, ..Counts::default() },
        sources: Vec::new(),
    })
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    super::codec::id(row, column)
}

/// Adds what stands in other tables.
fn complete(connection: &Connection, mut run: Run) -> rusqlite::Result<Run> {
    let mut outcomes = connection
        .prepare_cached("SELECT outcome, count(*) FROM changes WHERE run = ?1 GROUP BY outcome")?;
    let mut rows = outcomes.query([run.id])?;
    while let Some(row) = rows.next()? {
        let number = count(row, 1)?;
        match row.get_ref(0)?.as_str_or_null()? {
            // What somebody else made meanwhile stands as it was to be, by another hand.
            Some("applied" | "adopted") => run.counts.applied += number,
            Some("failed") => run.counts.failed = number,
            Some("skipped") => run.counts.skipped = number,
            Some("not_reached") => run.counts.not_reached = number,
            _ => run.counts.unknown += number,
        }
    }
    run.sources = connection
        .prepare_cached(
            "SELECT source, status, observations, gaps, millis, message \
             FROM run_sources WHERE run = ?1 ORDER BY source",
        )?
        .query_map([run.id], |row| {
            Ok(SourceReport {
                source: word(row, 0)?,
                status: shared(row, 1)?,
                observations: count(row, 2)?,
                gaps: count(row, 3)?,
                took: Duration::from_millis(count(row, 4)?),
                message: row.get::<_, Option<String>>(5)?.map(Into::into),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(run)
}

fn recorded_change(row: &Row<'_>) -> rusqlite::Result<RecordedChange> {
    let id = id_or_none(row, 9)?;
    let made: bool = row.get(10)?;
    let change = change(row)?;
    let because: String = row.get(12)?;
    let settled: SmallMap<Field, Value> = coded(row, 13)?;
    let outcome = match row.get_ref(11)?.as_str_or_null()? {
        None => None,
        Some("applied") => Some(Outcome::Applied {
            id: id.unwrap_or_default(),
            settled: settled.clone(),
            stamp: row.get::<_, Option<String>>(14)?.map(Into::into),
        }),
        Some("adopted") => Some(Outcome::Adopted { id: id.unwrap_or_default() }),
        Some("failed") => Some(Outcome::Failed { reason: because }),
        Some("skipped") => Some(Outcome::Skipped { because }),
        Some(_) => Some(Outcome::NotReached),
    };
    Ok(RecordedChange { place: place(row, 0)?, id, made, change, outcome, settled })
}

/// The change in the first columns of a row: place, action, kind, key, label,
/// stamp, fields, unseat, reason, object, made.
pub(super) fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let made: bool = row.get(10)?;
    Ok(Change {
        action: word(row, 1)?,
        kind: word(row, 2)?,
        key: ObjectKey(shared(row, 3)?),
        // An object that the run made had no id when it was planned.
        id: id_or_none(row, 9)?.filter(|_| !made),
        label: shared(row, 4)?,
        stamp: row.get::<_, Option<String>>(5)?.map(Into::into),
        fields: coded(row, 6)?,
        unseat: coded(row, 7)?,
        reason: shared(row, 8)?,
    })
}

/// Reads a column that holds a place in a plan.
pub(super) fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<usize> {
    let number: i64 = row.get(column)?;
    usize::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A place in a plan as SQLite keeps it.
pub(super) fn place_to_sql(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// Writes a change down before anything is known of its end; one that was written
/// already stays as it is.
pub(super) fn insert_change(
    transaction: &Transaction<'_>,
    run: i64,
    place: usize,
    change: &Change,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO changes \
             (run, place, action, kind, key, object, label, stamp, fields, unseat, reason) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            run,
            place_to_sql(place),
            change.action.as_str(),
            change.kind.as_str(),
            change.key.as_str(),
            change.id.map(super::codec::id_to_sql).transpose()?,
            change.label.as_ref(),
            change.stamp.as_deref(),
            change.fields.to_text(),
            change.unseat.to_text(),
            change.reason.as_ref(),
        ])?;
    Ok(())
}
