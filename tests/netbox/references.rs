//! How a client may name another object: by its id, or by attributes that only
//! that object has.

use super::addresses::{self, Net};
use super::model::{Field, Kind, Shape};
use super::python;
use super::store::{Object, Store};
use serde_json::{Map, Value};

/// The id of the object that a value names, or what NetBox says when it names none.
pub(crate) fn resolve(store: &Store, kind: Kind, given: &Value) -> Result<u64, String> {
    if let Some(attributes) = given.as_object() {
        return by_attributes(store, kind, attributes);
    }
    let number = match given {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(yes) => Some(u64::from(*yes)),
        _ => None,
    };
    let Some(id) = number else {
        return Err(format!(
            "Related objects must be referenced by numeric ID or by dictionary of attributes. Received an unrecognized value: {}",
            python::plain(given)
        ));
    };
    match store.get(kind, id) {
        Some(_) => Ok(id),
        None => Err(format!("Related object not found using the provided numeric ID: {id}")),
    }
}

/// A number without its fraction, as Python casts it.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only numbers from 0 on that fit are cast"
    )]
    (0.0..9.0e15).contains(&number).then_some(number as u64)
}

fn by_attributes(
    store: &Store,
    kind: Kind,
    attributes: &Map<String, Value>,
) -> Result<u64, String> {
    if let Some(name) = unknown(store, kind, attributes) {
        let mut known: Vec<&str> =
            kind.def().fields(store.version).map(|field| field.name).collect();
        known.extend(["created", "id", "last_updated", "tags"]);
        known.sort_unstable();
        return Err(format!(
            "Cannot resolve keyword '{name}' into field. Choices are: {}",
            known.join(", ")
        ));
    }
    let mut found = store.of(kind).filter(|object| matches(store, object, attributes));
    let told = || {
        let mut flat = Map::new();
        flatten("", attributes, &mut flat);
        python::repr(&Value::Object(flat))
    };
    match (found.next(), found.next()) {
        (Some(object), None) => Ok(object.id),
        (None, _) => {
            Err(format!("Related object not found using the provided attributes: {}", told()))
        }
        (Some(_), Some(_)) => {
            Err(format!("Multiple objects match the provided attributes: {}", told()))
        }
    }
}

/// The first attribute that the kind does not have.
fn unknown(store: &Store, kind: Kind, attributes: &Map<String, Value>) -> Option<String> {
    attributes.iter().find_map(|(name, value)| {
        if name == "id" {
            return None;
        }
        let Some(field) = kind.def().field(store.version, name) else {
            return Some(name.clone());
        };
        match (field.shape, value) {
            (Shape::One(to, _), Value::Object(nested)) => unknown(store, to, nested),
            _ => None,
        }
    })
}

fn matches(store: &Store, object: &Object, attributes: &Map<String, Value>) -> bool {
    attributes.iter().all(|(name, wanted)| {
        if name == "id" {
            return number(wanted) == Some(object.id);
        }
        let Some(field) = object.kind.def().field(store.version, name) else {
            return false;
        };
        same(store, object, field, wanted)
    })
}

fn same(store: &Store, object: &Object, field: &Field, wanted: &Value) -> bool {
    let has = object.value(field.name);
    match (field.shape, wanted) {
        (_, Value::Null) => has.is_null(),
        (Shape::One(to, _), Value::Object(nested)) => has
            .as_u64()
            .and_then(|id| store.get(to, id))
            .is_some_and(|other| matches(store, other, nested)),
        (Shape::One(..), wanted) => number(wanted) == has.as_u64(),
        (Shape::Mac, Value::String(text)) => addresses::mac(text).as_deref() == has.as_str(),
        (Shape::Address | Shape::Network, Value::String(text)) => {
            Net::parse(text).is_some_and(|net| has.as_str() == Some(&net.to_string()))
        }
        (_, wanted) => python::plain(has) == python::plain(wanted),
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn flatten(prefix: &str, attributes: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (name, value) in attributes {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}__{name}") };
        match value {
            Value::Object(nested) => flatten(&name, nested, out),
            _ => {
                out.insert(name, value.clone());
            }
        }
    }
}
