//! Lists of objects, written at once: all of them or none. How the errors of some
//! are told differs from version to version and from kind to kind.

use super::changes::Asker;
use super::delete::delete;
use super::model::Kind;
use super::order;
use super::python;
use super::refusal::{Errors, Refusal, wrong};
use super::store::{Object, Store};
use super::version::Version;
use super::view::{Choose, View};
use super::write::{Manner, draft, save};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a list came to, where it did not come to objects.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Value,
    /// The ETag of an object that is not what the client knows.
    pub(crate) etag: Option<String>,
}

impl Failed {
    fn new(status: u16, body: Value) -> Self {
        Failed { status, body, etag: None }
    }

    fn because(store: &Store, refusal: &Refusal) -> Self {
        Failed {
            etag: refusal.etag(),
            ..Failed::new(refusal.status(), refusal.body(store.version))
        }
    }
}

/// The ETags that a client insists on; empty for none.
pub(crate) type Expected = [String];

/// Whether an object is still what the client knows.
pub(crate) fn fresh(store: &Store, object: &Object, expected: &Expected) -> Result<(), Refusal> {
    let old = store.version < Version::V4_6 || expected.is_empty();
    if old || expected.contains(&object.updated.etag()) {
        Ok(())
    } else {
        Err(Refusal::Stale(object.updated))
    }
}

/// Makes objects: their ids in the order of the list.
pub(crate) fn create(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    list: &[Value],
    choose: &Choose,
) -> Result<Vec<u64>, Failed> {
    let manner = Manner { partial: false, choose };
    if store.version >= Version::V4_7 {
        return create_each(store, asker, kind, list, manner);
    }
    if kind.def().sequential {
        if list.is_empty() {
            let refusal = Refusal::Crash {
                error: "cannot access local variable 'serializer' where it is not associated with a value".into(),
                exception: "UnboundLocalError",
            };
            return Err(Failed::because(store, &refusal));
        }
        let mut ids = Vec::new();
        for data in list {
            let id =
                draft(store, kind, None, data, manner).and_then(|draft| save(store, asker, draft));
            ids.push(id.map_err(|refusal| Failed::because(store, &refusal))?);
        }
        return Ok(ids);
    }
    create_together(store, asker, kind, list, manner)
}

/// Before 4.7: all are looked at before the first is saved, so none sees another.
fn create_together(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    list: &[Value],
    manner: Manner<'_>,
) -> Result<Vec<u64>, Failed> {
    let mut drafts = Vec::new();
    let mut errors = Vec::new();
    for data in list {
        match draft(store, kind, None, data, manner) {
            Ok(draft) => {
                drafts.push(draft);
                errors.push(json!({}));
            }
            Err(Refusal::Invalid(wrong)) => errors.push(Value::Object(wrong)),
            Err(refusal) => return Err(Failed::because(store, &refusal)),
        }
    }
    if drafts.len() < list.len() {
        return Err(Failed::new(400, Value::Array(errors)));
    }
    let mut ids = Vec::new();
    for draft in drafts {
        let id = save(store, asker, draft).map_err(|refusal| Failed::because(store, &refusal))?;
        ids.push(id);
    }
    Ok(ids)
}

/// Since 4.7: each is looked at and saved in turn; all errors are told.
fn create_each(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    list: &[Value],
    manner: Manner<'_>,
) -> Result<Vec<u64>, Failed> {
    let mut ids = Vec::new();
    let mut errors = Vec::new();
    for (index, data) in list.iter().enumerate() {
        let point = store.savepoint();
        match draft(store, kind, None, data, manner).and_then(|draft| save(store, asker, draft)) {
            Ok(id) => ids.push(id),
            Err(refusal) => {
                store.roll_back(point);
                let errors_of = told(store, refusal)?;
                errors.push(json!({"index": index, "errors": errors_of}));
            }
        }
    }
    summed(errors, list.len(), "objects could not be created.", 400).map_or(Ok(ids), Err)
}

/// The errors of one object in a list of 4.7; what is none of an object's own ends the request.
fn told(store: &Store, refusal: Refusal) -> Result<Errors, Failed> {
    match refusal {
        Refusal::Invalid(errors) => Ok(errors),
        other => Err(Failed::because(store, &other)),
    }
}

fn summed(errors: Vec<Value>, total: usize, what: &str, status: u16) -> Option<Failed> {
    if errors.is_empty() {
        return None;
    }
    let detail = format!("{} of {total} {what}", errors.len());
    Some(Failed::new(status, json!({"detail": detail, "errors": errors})))
}

/// What each object of a list of changes or deletions is named by.
struct Named {
    ids: Vec<u64>,
    data: BTreeMap<u64, Value>,
}

/// Reads the ids of a list; a repeated one stands for its last entry before 4.7.
fn named(store: &Store, kind: Kind, body: &Value) -> Result<Named, Failed> {
    let newer = store.version >= Version::V4_7;
    let Some(list) = body.as_array() else {
        let what = python::type_of(body);
        let nothing = body.as_object().is_some_and(serde_json::Map::is_empty) || body.is_null();
        let body = if newer && nothing {
            json!({"detail": "Expected a list of objects, but no data was submitted."})
        } else if newer {
            json!({"detail": format!("Expected a list of objects, but got {what}.")})
        } else {
            json!({"non_field_errors": [format!("Expected a list of items but got type \"{what}\".")]})
        };
        return Err(Failed::new(400, body));
    };
    let mut errors = Vec::new();
    let mut found = Named { ids: Vec::new(), data: BTreeMap::new() };
    for entry in list {
        match id_of(entry) {
            Ok(id) => {
                found.ids.push(id);
                let mut data = entry.clone();
                if let Value::Object(fields) = &mut data {
                    let given = fields.remove("id");
                    // Before 4.7 the data of an id that came as a text are lost on the way.
                    if !newer && given.is_some_and(|id| id.is_string()) {
                        data = Value::Null;
                    }
                }
                found.data.insert(id, data);
                errors.push(None);
            }
            Err(wrong) => errors.push(Some(wrong)),
        }
    }
    if errors.iter().any(Option::is_some) {
        return Err(unnamed(errors, newer));
    }
    if newer {
        twice(&found.ids)?;
        missing(store, kind, &found.ids)?;
    }
    Ok(found)
}

fn id_of(entry: &Value) -> Result<u64, Errors> {
    let Some(fields) = entry.as_object() else {
        let what = python::type_of(entry);
        let what = format!("Invalid data. Expected a dictionary, but got {what}.");
        return Err(wrong("non_field_errors", what));
    };
    match fields.get("id") {
        None => Err(wrong("id", "This field is required.")),
        Some(Value::Null) => Err(wrong("id", "This field may not be null.")),
        Some(id) => id
            .as_u64()
            .or_else(|| id.as_str()?.parse().ok())
            .ok_or_else(|| wrong("id", "A valid integer is required.")),
    }
}

fn unnamed(errors: Vec<Option<Errors>>, newer: bool) -> Failed {
    let total = errors.len();
    if newer {
        let wrong: Vec<Value> = errors
            .into_iter()
            .enumerate()
            .filter_map(|(index, errors)| Some(json!({"index": index, "errors": errors?})))
            .collect();
        let detail = format!("{} of {total} objects failed validation.", wrong.len());
        return Failed::new(400, json!({"detail": detail, "errors": wrong}));
    }
    let each = errors.into_iter().map(|errors| Value::Object(errors.unwrap_or_default()));
    Failed::new(400, each.collect())
}

fn twice(ids: &[u64]) -> Result<(), Failed> {
    let mut seen = Vec::new();
    let mut errors = Vec::new();
    for id in ids {
        let count = ids.iter().filter(|other| *other == id).count();
        if count > 1 && !seen.contains(id) {
            seen.push(*id);
            let what =
                format!("Each object may be specified only once; ID {id} is listed {count} times");
            errors.push(json!({"id": id, "errors": {"id": [what]}}));
        }
    }
    summed(errors, ids.len(), "objects are listed more than once.", 400).map_or(Ok(()), Err)
}

fn missing(store: &Store, kind: Kind, ids: &[u64]) -> Result<(), Failed> {
    let gone = ids.iter().filter(|id| store.get(kind, **id).is_none());
    let errors = gone.map(|id| {
        let what = format!("Object with ID {id} does not exist");
        json!({"id": id, "errors": {"id": [what]}})
    });
    summed(errors.collect(), ids.len(), "objects could not be found.", 400).map_or(Ok(()), Err)
}

/// The standing objects of a list, in the order in which NetBox lists them.
fn standing(store: &Store, kind: Kind, ids: &[u64]) -> Vec<u64> {
    let view = View { store, base: "" };
    let mut wanted: Vec<u64> = ids.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut objects: Vec<&Object> = wanted.iter().filter_map(|id| store.get(kind, *id)).collect();
    order::sort(&view, kind, &mut objects, None);
    objects.into_iter().map(|object| object.id).collect()
}

/// Changes objects: their ids in the order in which NetBox lists them.
pub(crate) fn update(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    body: &Value,
    manner: Manner<'_>,
    expected: &Expected,
) -> Result<Vec<u64>, Failed> {
    let named = named(store, kind, body)?;
    let ids = standing(store, kind, &named.ids);
    let mut errors = Vec::new();
    for id in &ids {
        let point = store.savepoint();
        let done = change(store, asker, kind, *id, &named.data[id], manner, expected);
        let Err(refusal) = done else { continue };
        if store.version < Version::V4_7 {
            return Err(Failed::because(store, &refusal));
        }
        store.roll_back(point);
        let errors_of = told(store, refusal)?;
        errors.push(json!({"id": id, "errors": errors_of}));
    }
    if let Some(failed) = summed(errors, ids.len(), "objects could not be updated.", 400) {
        return Err(failed);
    }
    Ok(standing(store, kind, &ids))
}

/// Changes one object.
pub(crate) fn change(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    id: u64,
    data: &Value,
    manner: Manner<'_>,
    expected: &Expected,
) -> Result<u64, Refusal> {
    let old = store.get(kind, id).cloned().ok_or(Refusal::Missing(kind))?;
    let draft = draft(store, kind, Some(&old), data, manner)?;
    fresh(store, &old, expected)?;
    save(store, asker, draft)
}

/// Deletes objects.
pub(crate) fn destroy(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    body: &Value,
    expected: &Expected,
) -> Result<(), Failed> {
    let named = named(store, kind, body)?;
    let mut ids = standing(store, kind, &named.ids);
    if matches!(kind, Kind::Interface | Kind::VmInterface) {
        // Interfaces go before those that they belong to.
        ids.sort_by_key(|id| {
            store.get(kind, *id).is_some_and(|port| port.value("parent").is_null())
        });
    }
    let mut errors = Vec::new();
    let mut status = 400;
    for id in &ids {
        let message = message_of(store, &named.data[id]);
        let point = store.savepoint();
        let Some(object) = store.get(kind, *id).cloned() else {
            continue;
        };
        let done = fresh(store, &object, expected)
            .and_then(|()| delete(store, asker, kind, *id, &message));
        let Err(refusal) = done else { continue };
        let Refusal::Needed(by) = &refusal else {
            return Err(Failed::because(store, &refusal));
        };
        if store.version < Version::V4_7 {
            return Err(Failed::because(store, &refusal));
        }
        store.roll_back(point);
        let what = format!("Unable to delete: {} dependent object(s) prevent deletion.", by.len());
        errors.push(json!({"id": id, "errors": {"__all__": [what]}}));
        status = 409;
    }
    summed(errors, ids.len(), "objects could not be deleted.", status).map_or(Ok(()), Err)
}

/// What the change log shall say of a deletion.
pub(crate) fn message_of(store: &Store, data: &Value) -> String {
    match data.get("changelog_message") {
        Some(message) if store.version >= Version::V4_4 => said(message),
        _ => String::new(),
    }
}

/// What a client says of a change; nothing is nothing.
pub(crate) fn said(message: &Value) -> String {
    if message.is_null() { String::new() } else { python::plain(message) }
}
