//! Custom fields: which an object has, what they take, and what becomes of those
//! that do not exist.

use super::clock::Stamp;
use super::model::Kind;
use super::python;
use super::references;
use super::store::{Object, Store};
use super::version::Version;
use super::view::View;
use serde_json::{Map, Value, json};

/// Reads the custom fields that a client wrote.
pub(crate) fn read(store: &Store, kind: Kind, given: &Value) -> Result<Map<String, Value>, Value> {
    let Some(given) = given.as_object() else {
        return Err(json!([
            "Invalid data format. Custom field data must be passed as a dictionary mapping field names to their values."
        ]));
    };
    let view = View { store, base: "" };
    let fields: Vec<&Object> = view.fields_for(kind).collect();
    if store.version >= Version::V4_6 {
        let unknown: Map<String, Value> = given
            .keys()
            .filter(|name| !fields.iter().any(|cf| cf.text("name") == name.as_str()))
            .map(|name| {
                let what = format!("Custom field '{name}' does not exist for this object type.");
                (name.clone(), what.into())
            })
            .collect();
        if !unknown.is_empty() {
            return Err(Value::Object(unknown));
        }
    }
    let mut read = given.clone();
    for cf in fields {
        let Some(value) = read.get_mut(cf.text("name")) else {
            continue;
        };
        let Some(related) = Kind::of_label(cf.text("related_object_type")) else {
            continue;
        };
        if !is_empty(value) {
            *value = related_ids(store, cf, related, value)?;
        }
    }
    Ok(read)
}

fn related_ids(store: &Store, cf: &Object, kind: Kind, given: &Value) -> Result<Value, Value> {
    let unknown = |why: String| json!([why]);
    let one = |given: &Value| references::resolve(store, kind, given).map(Value::from);
    match (cf.text("type"), given.as_array()) {
        ("multiobject", Some(items)) => {
            items.iter().map(one).collect::<Result<Vec<_>, _>>().map(Value::Array).map_err(unknown)
        }
        ("object", None) => one(given).map_err(unknown),
        _ => Err(json!([format!("Unknown related object(s): {}", python::plain(given))])),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty)
}

/// The custom fields of a new object that says nothing of them.
pub(crate) fn defaults(store: &Store, kind: Kind) -> Map<String, Value> {
    let view = View { store, base: "" };
    view.fields_for(kind)
        .map(|cf| (cf.text("name").to_owned(), cf.value("default").clone()))
        .collect()
}

/// Looks at an object's custom fields together; takes out what versions drop.
pub(crate) fn check(store: &Store, object: &mut Object) -> Result<(), String> {
    let view = View { store, base: "" };
    let fields: Vec<&Object> = view.fields_for(object.kind).collect();
    let known = |name: &str| fields.iter().find(|cf| cf.text("name") == name);
    if store.version >= Version::V4_4 {
        object.custom.retain(|name, _| known(name).is_some());
    }
    for (name, value) in &object.custom {
        let Some(cf) = known(name) else {
            return Err(format!("Unknown field name '{name}' in custom field data."));
        };
        if let Err(what) = takes(store.version, cf, value) {
            return Err(format!("Invalid value for custom field '{name}': {what}"));
        }
        if cf.yes("unique") && !is_empty(value) {
            let taken = store
                .of(object.kind)
                .any(|other| other.id != object.id && other.custom.get(name) == Some(value));
            if taken {
                return Err(format!("Custom field '{name}' must have a unique value."));
            }
        }
    }
    match fields
        .iter()
        .find(|cf| cf.yes("required") && !object.custom.contains_key(cf.text("name")))
    {
        Some(cf) => Err(format!("Missing required custom field '{}'.", cf.text("name"))),
        None => Ok(()),
    }
}

/// Puts the defaults in that an object lacks when it is saved.
pub(crate) fn settle(store: &Store, object: &mut Object) {
    for (name, default) in defaults(store, object.kind) {
        if !default.is_null() {
            object.custom.entry(name).or_insert(default);
        }
    }
}

/// Whether a custom field takes a value.
pub(crate) fn takes(version: Version, cf: &Object, value: &Value) -> Result<(), String> {
    if value.is_null() || value.as_str() == Some("") {
        return if cf.yes("required") {
            Err("Required field cannot be empty.".to_owned())
        } else {
            Ok(())
        };
    }
    let right = |yes: bool, what: &str| if yes { Ok(()) } else { Err(what.to_owned()) };
    match cf.text("type") {
        "integer" => whole(version, cf, value),
        "text" | "longtext" | "url" => right(value.is_string(), "Value must be a string."),
        "decimal" => {
            let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            right(number.is_some(), "Value must be a decimal.")
        }
        "boolean" => right(
            value.is_boolean() || matches!(value.as_i64(), Some(0 | 1)),
            "Value must be true or false.",
        ),
        "date" => right(
            value.as_str().is_some_and(|text| text.parse::<jiff::civil::Date>().is_ok()),
            "Date values must be in ISO 8601 format (YYYY-MM-DD).",
        ),
        "datetime" => right(
            value.as_str().and_then(Stamp::parse).is_some(),
            "Date and time values must be in ISO 8601 format (YYYY-MM-DD HH:MM:SS).",
        ),
        "object" if !value.is_u64() => {
            Err(format!("Value must be an object ID, not {}", python::type_of(value)))
        }
        "multiobject" if !value.is_array() => {
            Err(format!("Value must be a list of object IDs, not {}", python::type_of(value)))
        }
        _ => Ok(()),
    }
}

fn whole(version: Version, cf: &Object, value: &Value) -> Result<(), String> {
    let Some(number) = value.as_i64() else {
        return Err("Value must be an integer.".to_owned());
    };
    let bound = |field: &str| cf.value(field).as_i64();
    if let Some(least) = bound("validation_minimum").filter(|least| number < *least) {
        return Err(format!("Value must be at least {}", bound_text(version, least)));
    }
    match bound("validation_maximum").filter(|most| number > *most) {
        Some(most) => Err(format!("Value must not exceed {}", bound_text(version, most))),
        None => Ok(()),
    }
}

/// Since 4.4 the bounds are decimals.
fn bound_text(version: Version, bound: i64) -> String {
    if version < Version::V4_4 { bound.to_string() } else { format!("{bound}.0000") }
}
