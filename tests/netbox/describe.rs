//! What `OPTIONS` answers: what can be written, as far as the token allows it.

use super::access::{Act, Token};
use super::answer::Answer;
use super::model::{Field, Kind, Shape};
use super::version::Version;
use serde_json::{Map, Value, json};

/// The answer to `OPTIONS` for a list or, with `one`, for an object.
pub(crate) fn options(version: Version, kind: Kind, token: &Token, one: bool) -> Answer {
    let def = kind.def();
    let mut actions = Map::new();
    let may = |act: Act| token.write && token.permissions.allow(def.label, act);
    if !one && may(Act::Add) {
        actions.insert("POST".to_owned(), fields(version, kind));
    }
    if may(Act::Change) {
        actions.insert("PUT".to_owned(), fields(version, kind));
    }
    let mut words = def.noun.split(' ').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map_or_else(String::new, |first| first.to_uppercase().collect());
        first + letters.as_str()
    });
    let name = words.by_ref().collect::<Vec<_>>().join(" ");
    let mut body = json!({
        "name": if one { name } else { format!("{name} List") },
        "description": "",
        "renders": ["application/json", "text/html"],
        "parses": ["application/json", "multipart/form-data"],
    });
    if !actions.is_empty() {
        body["actions"] = Value::Object(actions);
    }
    Answer::json(200, body).with("Allow", allowed(one))
}

/// The methods that a list or an object takes.
pub(crate) fn allowed(one: bool) -> &'static str {
    if one {
        "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
    } else {
        "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
    }
}

fn fields(version: Version, kind: Kind) -> Value {
    let mut out = Map::new();
    for field in kind.def().fields(version) {
        if !matches!(field.shape, Shape::Hidden) {
            out.insert(field.name.to_owned(), describe(version, field));
        }
    }
    if kind.def().marked {
        for name in ["tags", "custom_fields"] {
            let what =
                json!({"type": "field", "required": false, "read_only": false, "label": name});
            out.insert(name.to_owned(), what);
        }
    }
    Value::Object(out)
}

fn describe(version: Version, field: &Field) -> Value {
    let sort = match field.shape {
        Shape::Text(_) | Shape::Color | Shape::Address | Shape::Network => "string",
        Shape::Slug => "slug",
        Shape::Int(..) | Shape::TypeId(_) | Shape::Count(..) => "integer",
        Shape::Decimal(..) => "decimal",
        Shape::Bool => "boolean",
        Shape::One(..) => "nested object",
        _ => "field",
    };
    let mut words = field.name.replace('_', " ");
    if let Some(first) = words.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    let mut out = json!({
        "type": sort,
        "required": field.required,
        "read_only": !field.writable(),
        "label": words,
    });
    match field.shape {
        Shape::Text(longest) if longest > 0 => out["max_length"] = longest.into(),
        Shape::Int(least, most) => {
            out["min_value"] = least.into();
            out["max_value"] = most.into();
        }
        Shape::Choice(choices) | Shape::Word(choices) => {
            let known = choices.iter().filter(|choice| version >= choice.since);
            out["choices"] = known
                .map(|choice| json!({"value": choice.value, "display_name": choice.label}))
                .collect();
        }
        _ => {}
    }
    out
}
