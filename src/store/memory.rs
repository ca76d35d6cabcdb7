//! What the agent last wrote into each field: the third value in the three-way
//! comparison that keeps a person's edits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{Coded, coded, coded_or_none, id_to_sql, object, shared, word};
use super::{SinkId, Store, StoreError, binding};
use crate::domain::object::{Field, Kind, ObjectRef, Why};
use crate::domain::plan::FieldChange;
use crate::domain::value::{SmallMap, Value};

/// What the agent last wrote into one field.
///
/// Of a set that is owned element by element (tags) it is those elements that the
/// agent put there itself: a person's are not in it, and one that a person took
/// away is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The value as it was wanted; references are to objects that stand.
    pub wanted: Value,
    /// The value as the sink answered it, where it did: a sink may spell it otherwise.
    pub settled: Option<Value>,
    /// Who said so.
    pub why: Why,
    /// The run that wrote it; none where it was learnt from the sink's change log.
    pub run: Option<i64>,
}

/// What the agent last wrote, by object and field.
pub type Memory = BTreeMap<(Kind, u64), SmallMap<Field, Last>>;

/// What to remember of one field that no run of this store wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The kind of object.
    pub kind: Kind,
    /// Its id.
    pub id: u64,
    /// The field.
    pub field: Field,
    /// What was last written there.
    pub last: Last,
}

impl Store {
    /// Everything that the agent remembers to have written into a sink.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn memory(&self, sink: &SinkId) -> Result<Memory, StoreError> {
        self.reading(|connection| {
            let mut memory = Memory::new();
            let mut statement = connection.prepare(
                "SELECT kind, object, field, wanted, settled, why, run FROM memory \
                 JOIN sinks ON sinks.id = memory.sink WHERE sinks.name = ?1",
            )?;
            let mut rows = statement.query([sink.as_str()])?;
            while let Some(row) = rows.next()? {
                let last = Last {
                    wanted: coded(row, 3)?,
                    settled: coded_or_none(row, 4)?,
                    why: coded(row, 5)?,
                    run: row.get(6)?,
                };
                memory.entry(object(row, 0, 1)?).or_default().insert(word(row, 2)?, last);
            }
            Ok(memory)
        })
    }

    /// The fingerprint that each object had after the agent's last write into it.
    /// While it stands, nobody else has touched the object. Of an object that is
    /// not in it nothing is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stamps(&self, sink: &SinkId) -> Result<BTreeMap<(Kind, u64), Arc<str>>, StoreError> {
        self.reading(|connection| {
            connection
                .prepare(
                    "SELECT kind, object, stamp FROM stamps \
                     JOIN sinks ON sinks.id = stamps.sink WHERE sinks.name = ?1",
                )?
                .query_map([sink.as_str()], |row| Ok((object(row, 0, 1)?, shared(row, 2)?)))?
                .collect()
        })
    }

    /// Remembers what was learnt to have been written, such as from a change log.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn remember(&self, sink: &SinkId, remembered: &[Remembered]) -> Result<(), StoreError> {
        self.writing(|transaction| {
            let sink = sink.number(transaction)?;
            remembered.iter().try_for_each(|entry| {
                let object = (entry.kind, entry.id);
                insert(transaction, sink, object, entry.field, &entry.last)
            })
        })
    }

    /// Forgets all that is known of objects that no longer stand: what was written
    /// into them, their bindings, conflicts and reclaims.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget(&self, sink: &SinkId, objects: &[(Kind, u64)]) -> Result<(), StoreError> {
        self.writing(|transaction| {
            let sink = sink.number(transaction)?;
            objects.iter().try_for_each(|(kind, id)| forget(transaction, sink, *kind, *id))
        })
    }
}

/// Notes an object's fingerprint after a write, or that none is known.
pub(super) fn stamp(
    connection: &Connection,
    sink: i64,
    (kind, id): (Kind, u64),
    stamp: Option<&str>,
) -> rusqlite::Result<()> {
    let id = id_to_sql(id)?;
    match stamp {
        Some(stamp) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO stamps (sink, kind, object, stamp) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![sink, kind.as_str(), id, stamp])?,
        None => connection
            .prepare_cached("DELETE FROM stamps WHERE sink = ?1 AND kind = ?2 AND object = ?3")?
            .execute(params![sink, kind.as_str(), id])?,
    };
    Ok(())
}

pub(super) fn insert(
    connection: &Connection,
    sink: i64,
    (kind, id): (Kind, u64),
    field: Field,
    last: &Last,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO memory \
             (sink, kind, object, field, wanted, settled, why, run) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            sink,
            kind.as_str(),
            id_to_sql(id)?,
            field.as_str(),
            last.wanted.to_text(),
            last.settled.as_ref().map(Coded::to_text),
            last.why.to_text(),
            last.run,
        ])?;
    Ok(())
}

/// Remembers one field of a change that was written. An open conflict over the
/// field is over with that.
pub(super) fn remember_change(
    connection: &Connection,
    sink: i64,
    run: i64,
    object: (Kind, u64),
    field: Field,
    change: &FieldChange,
    settled: Option<&Value>,
) -> rusqlite::Result<()> {
    let (kind, id) = object;
    let mut wanted = resolve(connection, sink, &change.after)?;
    let mut settled = settled.cloned();
    if is_set(field) {
        let before = resolve(connection, sink, &change.before)?;
        let known = find(connection, sink, object, field)?;
        wanted = owned(&before, &wanted, known.as_ref());
        settled = settled.map(|_| wanted.clone());
    }
    let last = Last { wanted, settled, why: change.why.clone(), run: Some(run) };
    insert(connection, sink, object, field, &last)?;
    connection
        .prepare_cached(
            "DELETE FROM conflicts WHERE sink = ?1 AND kind = ?2 AND object = ?3 AND field = ?4",
        )?
        .execute(params![sink, kind.as_str(), id_to_sql(id)?, field.as_str()])?;
    Ok(())
}

fn find(
    connection: &Connection,
    sink: i64,
    (kind, id): (Kind, u64),
    field: Field,
) -> rusqlite::Result<Option<Value>> {
    connection
        .prepare_cached(
            "SELECT wanted FROM memory \
             WHERE sink = ?1 AND kind = ?2 AND object = ?3 AND field = ?4",
        )?
        .query_row(params![sink, kind.as_str(), id_to_sql(id)?, field.as_str()], |row| {
            coded(row, 0)
        })
        .optional()
}

pub(super) fn forget(
    connection: &Connection,
    sink: i64,
    kind: Kind,
    id: u64,
) -> rusqlite::Result<()> {
    for table in
        ["memory", "stamps", "bindings", "native_bindings", "conflicts", "reclaims", "sightings"]
    {
        connection
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE sink = ?1 AND kind = ?2 AND object = ?3"
            ))?
            .execute(params![sink, kind.as_str(), id_to_sql(id)?])?;
    }
    Ok(())
}

/// A value with its references to planned objects turned into references to those
/// that were made for them. One that nothing was made for stays as it is.
pub(super) fn resolve(
    connection: &Connection,
    sink: i64,
    value: &Value,
) -> rusqlite::Result<Value> {
    let live = |reference: &ObjectRef| -> rusqlite::Result<ObjectRef> {
        let ObjectRef::Planned(_, key) = reference else {
            return Ok(reference.clone());
        };
        let found = binding::find(connection, sink, key)?;
        Ok(found.map_or_else(|| reference.clone(), |(kind, id)| ObjectRef::Live(kind, id)))
    };
    Ok(match value {
        Value::Ref(reference) => Value::Ref(live(reference)?),
        Value::Refs(refs) => Value::Refs(refs.iter().map(live).collect::<Result<_, _>>()?),
        other => other.clone(),
    })
}

/// Whether a field is owned element by element.
fn is_set(field: Field) -> bool {
    matches!(field, Field::Tags | Field::ObjectTypes)
}

/// The elements of a set that the agent put there, after a change: those that it
/// adds now, and those of before that it does not take away itself. One that a
/// person took away stays in it, so that it is not put back.
fn owned(before: &Value, after: &Value, owned: Option<&Value>) -> Value {
    let (stood, stand) = (elements(before), elements(after));
    let mut ours = owned.map(elements).unwrap_or_default();
    ours.retain(|element| stand.contains(element) || !stood.contains(element));
    ours.extend(stand.difference(&stood).cloned());
    let models = [Some(after), Some(before), owned];
    let model = models.into_iter().flatten().find(|value| **value != Value::Null);
    model.map_or(Value::Null, |model| like(model, ours))
}

/// The elements of a set, each as a value.
fn elements(value: &Value) -> BTreeSet<Value> {
    match value {
        Value::Words(words) => words.iter().cloned().map(Value::Text).collect(),
        Value::Refs(refs) => refs.iter().cloned().map(Value::Ref).collect(),
        Value::Ints(numbers) => numbers.iter().copied().map(Value::Int).collect(),
        _ => BTreeSet::new(),
    }
}

/// A set of the same type as another.
fn like(model: &Value, elements: BTreeSet<Value>) -> Value {
    let elements = elements.into_iter();
    match model {
        Value::Refs(_) => {
            Value::Refs(elements.filter_map(|element| element.as_ref().cloned()).collect())
        }
        Value::Ints(_) => Value::Ints(elements.filter_map(|element| element.as_int()).collect()),
        Value::Words(_) => Value::words(elements.filter_map(|element| match element {
            Value::Text(text) => Some(text),
            _ => None,
        })),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_tags_are_not_remembered_as_the_agents() {
        let words = |words: &[&str]| Value::words(words);
        let before = words(&["prod", "agent", "old"]);
        let after = words(&["prod", "agent", "proxmox"]);
        // The agent put `agent`, `old` and `taken` there, a person `prod`; `taken` a
        // person took away.
        let known = words(&["agent", "old", "taken"]);
        assert_eq!(owned(&before, &after, Some(&known)), words(&["agent", "proxmox", "taken"]));
        assert_eq!(owned(&Value::Null, &words(&["agent"]), None), words(&["agent"]));
        assert_eq!(owned(&words(&["agent"]), &Value::Null, Some(&words(&["agent"]))), words(&[]));
    }
}
