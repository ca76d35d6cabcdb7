//! The JSON Schema of the whole file, every kind of source included.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value, json};

use super::file::{File, Shared};
use crate::collect::{KINDS, SourceKind};

/// The schema of the configuration file, for editors and for `config check` elsewhere.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = File::json_schema(&mut generator);
    let shared = Shared::json_schema(&mut generator);
    let kinds: Vec<Value> = KINDS
        .iter()
        .map(|kind| {
            let own = (kind.schema)(&mut generator);
            source(kind, &own, &shared).to_value()
        })
        .collect();
    let sources = json!({
        "description": "The sources.",
        "type": "array",
        "items": { "oneOf": kinds },
    });
    object(&mut root, "properties").insert("source".to_owned(), sources);
    let mut root = root.to_value();
    if let Some(root) = root.as_object_mut() {
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        root.insert("$schema".to_owned(), dialect.into());
        root.insert("$defs".to_owned(), generator.take_definitions(true).into());
    }
    root
}

/// The schema of one kind's table: the keys that all share and its own.
fn source(kind: &SourceKind, own: &Schema, shared: &Schema) -> Schema {
    let part = |schema: &Schema, key: &str| schema.get(key).cloned();
    let mut properties = Map::new();
    for schema in [shared, own] {
        if let Some(Value::Object(more)) = part(schema, "properties") {
            properties.extend(more);
        }
    }
    properties.insert("kind".to_owned(), json!({ "const": kind.name }));
    let mut required = vec![Value::from("kind")];
    if let Some(Value::Array(more)) = part(own, "required") {
        required.extend(more);
    }
    json_schema!({
        "title": kind.name,
        "description": kind.summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn object<'s>(schema: &'s mut Schema, key: &str) -> &'s mut Map<String, Value> {
    let place = schema.ensure_object().entry(key).or_insert_with(|| json!({}));
    if !place.is_object() {
        *place = json!({});
    }
    place.as_object_mut().expect("it was made one in the line above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_and_every_kind_of_source_is_described() {
        let schema = schema();
        let sections = schema["properties"].as_object().unwrap();
        for section in ["agent", "netbox", "rule", "ranking", "guard", "source"] {
            assert!(sections.contains_key(section), "{section}");
        }
        let kinds = schema["properties"]["source"]["items"]["oneOf"].as_array().unwrap();
        assert_eq!(kinds.len(), KINDS.len());
        for kind in kinds {
            assert_eq!(kind["additionalProperties"], Value::Bool(false), "{kind}");
        }
    }

    #[test]
    fn every_key_says_what_it_is_for() {
        fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
            let Some(properties) = schema["properties"].as_object() else { return };
            for (key, property) in properties {
                let path = format!("{path}.{key}");
                let told = |schema: &Value| schema.get("description").is_some();
                let known = told(property) || property.get("const").is_some();
                if !known && property.get("$ref").is_none() {
                    found.push(path.clone());
                }
                undescribed(property, &path, found);
            }
        }
        let schema = schema();
        let mut found = Vec::new();
        undescribed(&schema, "", &mut found);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            undescribed(definition, name, &mut found);
        }
        for kind in schema["properties"]["source"]["items"]["oneOf"].as_array().unwrap() {
            undescribed(kind, kind["title"].as_str().unwrap(), &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }
}
