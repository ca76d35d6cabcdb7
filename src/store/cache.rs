//! What each source last brought home, kept so that a run in which the source
//! fails still knows it. The texts are the caller's; nothing here reads them.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::history::place_to_sql;
use super::{Store, StoreError, time, time_to_sql};
use crate::domain::name::SourceName;

/// The observations of one source, as they were last kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When they were kept.
    pub at: Timestamp,
    /// The observations, in the order in which they were given.
    pub observations: Vec<KeptObservation>,
}

/// One observation as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptObservation {
    /// The thing that it is about. Several observations may be about one thing.
    pub thing: String,
    /// When it was made.
    pub at: Timestamp,
    /// The observation, in whatever form the caller writes it.
    pub text: String,
}

impl Store {
    /// Keeps a source's observations in place of those kept before: all or none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_observations(&self, source: &SourceName, kept: &Kept) -> Result<(), StoreError> {
        self.writing(|transaction| {
            transaction.execute("DELETE FROM harvests WHERE source = ?1", [source.as_str()])?;
            transaction.execute(
                "INSERT INTO harvests (source, kept) VALUES (?1, ?2)",
                params![source.as_str(), time_to_sql(kept.at)],
            )?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO observations (source, place, thing, at, text) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (place, observation) in kept.observations.iter().enumerate() {
                statement.execute(params![
                    source.as_str(),
                    place_to_sql(place),
                    observation.thing,
                    time_to_sql(observation.at),
                    observation.text,
                ])?;
            }
            Ok(())
        })
    }

    /// The observations that were last kept of a source; none where none ever were.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_observations(&self, source: &SourceName) -> Result<Option<Kept>, StoreError> {
        self.reading(|connection| {
            let at = connection
                .query_row(
                    "SELECT kept FROM harvests WHERE source = ?1",
                    [source.as_str()],
                    |row| time(row, 0),
                )
                .optional()?;
            let Some(at) = at else {
                return Ok(None);
            };
            let observations = connection
                .prepare(
                    "SELECT thing, at, text FROM observations WHERE source = ?1 ORDER BY place",
                )?
                .query_map([source.as_str()], |row| {
                    Ok(KeptObservation { thing: row.get(0)?, at: time(row, 1)?, text: row.get(2)? })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Some(Kept { at, observations }))
        })
    }

    /// The sources of which observations are kept, with the time of each, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_sources(&self) -> Result<Vec<(SourceName, Timestamp)>, StoreError> {
        self.reading(|connection| {
            connection
                .prepare("SELECT source, kept FROM harvests ORDER BY source")?
                .query_map([], |row| Ok((super::codec::word(row, 0)?, time(row, 1)?)))?
                .collect()
        })
    }

    /// Drops what is kept of a source that is no longer configured.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn drop_observations(&self, source: &SourceName) -> Result<(), StoreError> {
        self.writing(|transaction| {
            transaction.execute("DELETE FROM harvests WHERE source = ?1", [source.as_str()])?;
            Ok(())
        })
    }
}
