//! When each thing was last seen, by whom, and how often it was missed since.
//! What follows from that is judged in the domain; here it only outlives the run.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use serde_json::{Value as Json, json};

use super::codec::{Coded, coded, shared, word};
use super::{SinkId, Store, StoreError, time, time_or_none, time_to_sql};
use crate::domain::name::SourceName;
use crate::domain::object::ObjectKey;
use crate::domain::observation::{NativeKey, Segment};

/// What is remembered of one thing's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Who saw it, by what, and when for the last time.
    pub witnesses: BTreeMap<(SourceName, Witness), Timestamp>,
    /// How many runs in a row covered where it should be and did not see it.
    pub misses: u32,
    /// When the first of these runs was.
    pub first_missed: Option<Timestamp>,
    /// When it was retired.
    pub retired: Option<Timestamp>,
}

/// By what a source knows a thing again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// By its own key.
    Key(NativeKey),
    /// By an address in a network.
    Address(Segment, IpAddr),
}

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
    pub fn sightings(&self, sink: &SinkId) -> Result<BTreeMap<ObjectKey, Sighting>, StoreError> {
        self.reading(|connection| {
            let Some(sink) = sink.find(connection)? else {
                return Ok(BTreeMap::new());
            };
            let mut things: BTreeMap<ObjectKey, Sighting> = connection
                .prepare(
                    "SELECT thing, misses, first_missed, retired FROM sightings WHERE sink = ?1",
                )?
                .query_map([sink], |row| {
                    let sighting = Sighting {
                        witnesses: BTreeMap::new(),
                        misses: row.get(1)?,
                        first_missed: time_or_none(row, 2)?,
                        retired: time_or_none(row, 3)?,
                    };
                    Ok((ObjectKey(shared(row, 0)?), sighting))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut statement = connection
                .prepare("SELECT thing, source, place, last_seen FROM witnesses WHERE sink = ?1")?;
            let mut rows = statement.query([sink])?;
            while let Some(row) = rows.next()? {
                let thing = ObjectKey(shared(row, 0)?);
                let witness = (word(row, 1)?, coded(row, 2)?);
                let seen = time(row, 3)?;
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
    pub fn save_sightings(
        &self,
        sink: &SinkId,
        things: &BTreeMap<ObjectKey, Sighting>,
    ) -> Result<(), StoreError> {
        self.writing_durably(|transaction| {
            let sink = sink.number(transaction)?;
            transaction.execute("DELETE FROM witnesses WHERE sink = ?1", [sink])?;
            transaction.execute("DELETE FROM sightings WHERE sink = ?1", [sink])?;
            things
                .iter()
                .try_for_each(|(thing, sighting)| insert(transaction, sink, thing, sighting))
        })
    }
}

fn insert(
    transaction: &Transaction<'_>,
    sink: i64,
    thing: &ObjectKey,
    sighting: &Sighting,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO sightings (sink, thing, misses, first_missed, retired) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            sink,
            thing.as_str(),
            sighting.misses,
            sighting.first_missed.map(time_to_sql),
            sighting.retired.map(time_to_sql),
        ])?;
    for ((source, witness), seen) in &sighting.witnesses {
        transaction
            .prepare_cached(
                "INSERT INTO witnesses (sink, thing, source, place, last_seen) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                sink,
                thing.as_str(),
                source.as_str(),
                witness.to_text(),
                time_to_sql(*seen),
            ])?;
    }
    Ok(())
}
