//! When each thing was last seen, by whom, and how often it was missed since.
//! What follows from that is judged in the domain; here it only outlives the run.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use serde_json::{Value as Json, json};

use super::codec::{Coded, coded, id_to_sql, object, word};
use super::{SinkId, Store, StoreError, time, time_or_none, time_to_sql};
use crate::domain::absence::{Sighting, Sightings, Witness};
use crate::domain::object::Kind;
use crate::domain::observation::Segment;

impl Coded for Witness {
    const WHAT: &'static str = "a witness";

    fn to_json(&self) -> Json {
        match self {
            Witness::Key(key) => json!([key.as_str()]),
            Witness::Address(segment, ip) => json!([segment.as_str(), ip.to_string()]),
        }
    }

    fn of_json(json: &Json) -> Option<Self> {
        match json.as_array()?.as_slice() {
            [key] => key.as_str()?.parse().ok().map(Witness::Key),
            [segment, ip] => Some(Witness::Address(
                Segment::named(segment.as_str()?),
                ip.as_str()?.parse().ok()?,
            )),
            _ => None,
        }
    }
}

impl Store {
    /// All that is remembered of the things in a sink.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sightings(&self, sink: &SinkId) -> Result<Sightings, StoreError> {
        self.reading(|connection| {
            let Some(sink) = sink.find(connection)? else {
                return Ok(Sightings::new());
            };
            let mut things: Sightings = connection
                .prepare(
                    "SELECT kind, object, misses, first_missed, retired FROM sightings WHERE sink = ?1",
                )?
                .query_map([sink], |row| {
                    let sighting = Sighting {
                        witnesses: BTreeMap::new(),
                        misses: row.get(2)?,
                        first_missed: time_or_none(row, 3)?,
                        retired: time_or_none(row, 4)?,
                    };
                    Ok((object(row, 0, 1)?, sighting))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut statement = connection
                .prepare("SELECT kind, object, source, place, last_seen FROM witnesses WHERE sink = ?1")?;
            let mut rows = statement.query([sink])?;
            while let Some(row) = rows.next()? {
                let thing = object(row, 0, 1)?;
                let witness = (word(row, 2)?, coded(row, 3)?);
                let seen = time(row, 4)?;
                if let Some(sighting) = things.get_mut(&thing) {
                    sighting.witnesses.insert(witness, seen);
                }
            }
            Ok(things)
        })
    }

    /// Replaces all that is remembered of the things in a sink: all of it or nothing.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn save_sightings(&self, sink: &SinkId, things: &Sightings) -> Result<(), StoreError> {
        self.writing_durably(|transaction| {
            let sink = sink.number(transaction)?;
            transaction.execute("DELETE FROM witnesses WHERE sink = ?1", [sink])?;
            transaction.execute("DELETE FROM sightings WHERE sink = ?1", [sink])?;
            things
                .iter()
                .try_for_each(|(thing, sighting)| insert(transaction, sink, *thing, sighting))
        })
    }
}

fn insert(
    transaction: &Transaction<'_>,
    sink: i64,
    (kind, id): (Kind, u64),
    sighting: &Sighting,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO sightings (sink, kind, object, misses, first_missed, retired) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            sink,
            kind.as_str(),
            id_to_sql(id)?,
            sighting.misses,
            sighting.first_missed.map(time_to_sql),
            sighting.retired.map(time_to_sql),
        ])?;
    for ((source, witness), seen) in &sighting.witnesses {
        transaction
            .prepare_cached(
                "INSERT INTO witnesses (sink, kind, object, source, place, last_seen) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                sink,
                kind.as_str(),
                id_to_sql(id)?,
                source.as_str(),
                witness.to_text(),
                time_to_sql(*seen),
            ])?;
    }
    Ok(())
}
