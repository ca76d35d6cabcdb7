//! Objects in and out of their tables. Nothing here judges what may stand.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::kinds;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::{SmallMap, Value};
use crate::domain::world::Live;
use crate::store::codec::{Coded, coded, id, id_to_sql, object, word};

/// The fields of an object.
pub(super) type Fields = SmallMap<Field, Value>;

/// The objects, within one transaction.
#[derive(Clone, Copy)]
pub(super) struct Shelf<'c> {
    connection: &'c Connection,
}

/// A field of an object that refers to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) kind: Kind,
    pub(super) id: u64,
    pub(super) field: Field,
}

impl<'c> Shelf<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Shelf { connection }
    }

    pub(super) fn get(self, kind: Kind, id: u64) -> rusqlite::Result<Option<Live>> {
        self.connection
            .prepare_cached(
                "SELECT kind, id, fields, stamp FROM inventory WHERE kind = ?1 AND id = ?2",
            )?
            .query_row(params![kind.as_str(), id_to_sql(id)?], live)
            .optional()
    }

    /// Puts a new object in and gives it an id, which no object ever had or will have again.
    pub(super) fn insert(
        self,
        kind: Kind,
        fields: &Fields,
        identity: Option<&str>,
    ) -> rusqlite::Result<u64> {
        let number = self.next(kind.as_str())?;
        self.connection
            .prepare_cached(
                "INSERT INTO inventory (kind, id, fields, identity, stamp) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                kind.as_str(),
                number,
                stored(fields),
                identity,
                self.next("change")?,
            ])?;
        let id = number.unsigned_abs();
        self.link(kind, id, fields)?;
        Ok(id)
    }

    /// Replaces an object's fields.
    pub(super) fn put(
        self,
        kind: Kind,
        id: u64,
        fields: &Fields,
        identity: Option<&str>,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE inventory SET fields = ?3, identity = ?4, stamp = ?5 \
                 WHERE kind = ?1 AND id = ?2",
            )?
            .execute(params![
                kind.as_str(),
                id_to_sql(id)?,
                stored(fields),
                identity,
                self.next("change")?,
            ])?;
        self.unlink(kind, id)?;
        self.link(kind, id, fields)
    }

    /// Replaces an object's fields without a new stamp: what the inventory clears by itself
    /// is nobody's edit, and a plan made before it still holds.
    pub(super) fn put_quietly(
        self,
        kind: Kind,
        id: u64,
        fields: &Fields,
        identity: Option<&str>,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE inventory SET fields = ?3, identity = ?4 WHERE kind = ?1 AND id = ?2",
            )?
            .execute(params![kind.as_str(), id_to_sql(id)?, stored(fields), identity])?;
        self.unlink(kind, id)?;
        self.link(kind, id, fields)
    }

    /// Takes an object out. What refers to it must have been dealt with.
    pub(super) fn remove(self, kind: Kind, id: u64) -> rusqlite::Result<()> {
        self.unlink(kind, id)?;
        self.next("change")?;
        self.connection
            .prepare_cached("DELETE FROM inventory WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind.as_str(), id_to_sql(id)?])?;
        Ok(())
    }

    /// The fields that refer to an object, sorted.
    pub(super) fn links_to(self, kind: Kind, id: u64) -> rusqlite::Result<Vec<Link>> {
        let mut links = self
            .connection
            .prepare_cached("SELECT kind, id, field FROM links WHERE to_kind = ?1 AND to_id = ?2")?
            .query_map(params![kind.as_str(), id_to_sql(id)?], |row| {
                let (kind, id) = object(row, 0, 1)?;
                let field = word(row, 2)?;
                Ok(Link { kind, id, field })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        links.sort();
        Ok(links)
    }

    /// The object of an identity.
    pub(super) fn find(self, kind: Kind, identity: &str) -> rusqlite::Result<Option<u64>> {
        self.connection
            .prepare_cached("SELECT id FROM inventory WHERE kind = ?1 AND identity = ?2")?
            .query_row(params![kind.as_str(), identity], |row| id(row, 0))
            .optional()
    }

    fn link(self, kind: Kind, id: u64, fields: &Fields) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO links (kind, id, field, to_kind, to_id) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (field, value) in fields.iter() {
            for (to_kind, to_id) in references(value).filter_map(live_target) {
                statement.execute(params![
                    kind.as_str(),
                    id_to_sql(id)?,
                    field.as_str(),
                    to_kind.as_str(),
                    id_to_sql(to_id)?,
                ])?;
            }
        }
        Ok(())
    }

    fn unlink(self, kind: Kind, id: u64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM links WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind.as_str(), id_to_sql(id)?])?;
        Ok(())
    }

    /// The next number of a counter.
    fn next(self, counter: &str) -> rusqlite::Result<i64> {
        self.connection
            .prepare_cached(
                "INSERT INTO counters (name, last) VALUES (?1, 1) \
                 ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last",
            )?
            .query_row([counter], |row| row.get(0))
    }
}

/// Every object of a kind.
pub(super) fn each(
    connection: &Connection,
    kind: Kind,
    mut take: impl FnMut(Live),
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT kind, id, fields, stamp FROM inventory WHERE kind = ?1")?;
    let mut rows = statement.query([kind.as_str()])?;
    while let Some(row) = rows.next()? {
        take(live(row)?);
    }
    Ok(())
}

/// The fields as they are stored: without those that are empty.
fn stored(fields: &Fields) -> String {
    let filled = fields.iter().filter(|(_, value)| **value != Value::Null);
    filled.map(|(field, value)| (*field, value.clone())).collect::<Fields>().to_text()
}

fn live(row: &Row<'_>) -> rusqlite::Result<Live> {
    let (kind, id) = object(row, 0, 1)?;
    let stamp: i64 = row.get(3)?;
    let stored: Fields = coded(row, 2)?;
    // What is empty is not stored, but it was read.
    let empty = kinds::fields(kind).filter(|field| !stored.contains(field));
    let fields = empty.map(|field| (field, Value::Null)).collect::<Vec<_>>();
    let fields = fields.into_iter().chain(stored).collect();
    Ok(Live { kind, id, fields, stamp: Some(stamp.to_string().into()) })
}

/// The references in a value.
pub(super) fn references(value: &Value) -> impl Iterator<Item = &ObjectRef> {
    let (one, several) = match value {
        Value::Ref(reference) => (Some(reference), None),
        Value::Refs(references) => (None, Some(references)),
        _ => (None, None),
    };
    one.into_iter().chain(several.into_iter().flatten())
}

fn live_target(reference: &ObjectRef) -> Option<(Kind, u64)> {
    reference.live_id().map(|id| (reference.kind(), id))
}
