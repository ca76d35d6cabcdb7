//! The stand-in's objects on disk, so that a process that is killed comes back
//! with everything that it had answered for: one line for each request that wrote.

use super::changes::{Action, Change};
use super::clock::Stamp;
use super::model::Kind;
use super::store::{Object, Store};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

/// A file of what was written.
#[derive(Debug)]
pub(crate) struct Keep {
    file: File,
    changes: usize,
}

impl Keep {
    /// Opens a file, and puts what stands in it into the store.
    pub(crate) fn open(path: &Path, store: &mut Store) -> io::Result<Keep> {
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).lines() {
                // A line that was cut short is of a request that was not answered.
                if let Ok(line) = serde_json::from_str(&line?) {
                    replay(store, &line);
                }
            }
        }
        store.commit();
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Keep { file, changes: store.changes.len() })
    }

    /// Writes down what a request touched.
    pub(crate) fn write(
        &mut self,
        store: &Store,
        touched: &BTreeSet<(Kind, u64)>,
    ) -> io::Result<()> {
        if touched.is_empty() {
            return Ok(());
        }
        let rows: Vec<Value> = touched
            .iter()
            .map(|(kind, id)| json!([kind.def().label, id, store.get(*kind, *id).map(object_json)]))
            .collect();
        let changes: Vec<Value> = store.changes[self.changes..].iter().map(change_json).collect();
        self.changes = store.changes.len();
        let line = json!({
            "rows": rows,
            "changes": changes,
            "clock": store.clock.0,
            "requests": store.requests.0,
        });
        writeln!(self.file, "{line}")?;
        self.file.flush()
    }
}

fn object_json(object: &Object) -> Value {
    let values: Map<String, Value> =
        object.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    json!({
        "values": values,
        "tags": object.tags,
        "custom": object.custom,
        "created": object.created.0,
        "updated": object.updated.0,
    })
}

fn change_json(change: &Change) -> Value {
    json!([
        change.time.0,
        change.user,
        change.request,
        change.action.word(),
        change.kind.def().label,
        change.id,
        change.name,
        change.message,
        change.before,
        change.after,
    ])
}

fn replay(store: &mut Store, line: &Value) {
    for row in line["rows"].as_array().into_iter().flatten() {
        let (kind, id) = (Kind::of_label(row[0].as_str().unwrap_or("")), row[1].as_u64());
        let (Some(kind), Some(id)) = (kind, id) else { continue };
        match object_of(kind, id, &row[2]) {
            Some(object) => store.put(object),
            None => store.remove(kind, id),
        }
    }
    for change in line["changes"].as_array().into_iter().flatten() {
        if let Some(change) = change_of(change) {
            store.record(change);
        }
    }
    store.clock.0 = line["clock"].as_i64().unwrap_or(store.clock.0);
    store.requests.0 = line["requests"].as_u64().unwrap_or(store.requests.0);
}

fn object_of(kind: Kind, id: u64, json: &Value) -> Option<Object> {
    let given = json.get("values")?.as_object()?;
    let fields = kind.def().fields.iter();
    let values =
        fields.filter_map(|field| Some((field.name, given.get(field.name)?.clone()))).collect();
    let tags = json["tags"].as_array()?.iter().filter_map(Value::as_u64);
    Some(Object {
        kind,
        id,
        values,
        tags: tags.collect(),
        custom: json["custom"].as_object()?.clone(),
        created: Stamp(json["created"].as_i64()?),
        updated: Stamp(json["updated"].as_i64()?),
    })
}

fn change_of(json: &Value) -> Option<Change> {
    let text = |at: usize| Some(json.get(at)?.as_str()?.to_owned());
    Some(Change {
        time: Stamp(json.get(0)?.as_i64()?),
        user: text(1)?,
        request: text(2)?,
        action: Action::of(&text(3)?)?,
        kind: Kind::of_label(&text(4)?)?,
        id: json.get(5)?.as_u64()?,
        name: text(6)?,
        message: text(7)?,
        before: json.get(8)?.clone(),
        after: json.get(9)?.clone(),
    })
}
