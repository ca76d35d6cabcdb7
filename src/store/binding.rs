//! Which object in a sink stands for which of the agent's keys, and for which key
//! of a source.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{id_to_sql, object, shared, word};
use super::{SinkId, Store, StoreError};
use crate::domain::object::{Kind, ObjectKey};
use crate::domain::observation::NativeKey;

/// What is bound in one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings {
    /// By the agent's own keys.
    pub objects: BTreeMap<ObjectKey, (Kind, u64)>,
    /// By the keys of sources.
    pub natives: BTreeMap<NativeKey, (Kind, u64)>,
}

impl Store {
    /// What is bound in a sink. That a bound object still stands is for the caller to see.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn bindings(&self, sink: &SinkId) -> Result<Bindings, StoreError> {
        self.reading(|connection| {
            let objects = connection
                .prepare(
                    "SELECT key, kind, object FROM bindings \
                     JOIN sinks ON sinks.id = bindings.sink WHERE sinks.name = ?1",
                )?
                .query_map([sink.as_str()], |row| {
                    Ok((ObjectKey(shared(row, 0)?), object(row, 1, 2)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let natives = connection
                .prepare(
                    "SELECT key, kind, object FROM native_bindings \
                     JOIN sinks ON sinks.id = native_bindings.sink WHERE sinks.name = ?1",
                )?
                .query_map([sink.as_str()], |row| Ok((word(row, 0)?, object(row, 1, 2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Bindings { objects, natives })
        })
    }

    /// Binds further keys to objects; a key that is bound already moves.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn bind(&self, sink: &SinkId, bindings: &Bindings) -> Result<(), StoreError> {
        self.writing(|transaction| {
            let sink = sink.number(transaction)?;
            for (key, (kind, id)) in &bindings.objects {
                bind(transaction, sink, key, *kind, *id)?;
            }
            for (key, (kind, id)) in &bindings.natives {
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO native_bindings (sink, key, kind, object) \
                         VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![sink, key.as_str(), kind.as_str(), id_to_sql(*id)?])?;
            }
            Ok(())
        })
    }
}

pub(super) fn bind(
    connection: &Connection,
    sink: i64,
    key: &ObjectKey,
    kind: Kind,
    id: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO bindings (sink, key, kind, object) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![sink, key.as_str(), kind.as_str(), id_to_sql(id)?])?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    sink: i64,
    key: &ObjectKey,
) -> rusqlite::Result<Option<(Kind, u64)>> {
    connection
        .prepare_cached("SELECT kind, object FROM bindings WHERE sink = ?1 AND key = ?2")?
        .query_row(params![sink, key.as_str()], |row| object(row, 0, 1))
        .optional()
}
