//! Custom fields: what they can be, and what their coming and going does to objects.

use super::{Verdict, refuse};
use crate::netbox::custom;
use crate::netbox::model::Kind;
use crate::netbox::parse::Parsed;
use crate::netbox::store::{Object, Store};

pub(super) fn together(old: Option<&Object>, parsed: &Parsed) -> Verdict {
    match (old, parsed.values.get("type")) {
        (Some(old), Some(new)) if old.value("type") != new => {
            refuse("type", "Changing the type of custom fields is not supported.")
        }
        _ => Ok(()),
    }
}

pub(super) fn custom_field(store: &Store, cf: &Object) -> Verdict {
    let name = cf.text("name");
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if !name.chars().all(plain) {
        return refuse("name", "Only alphanumeric characters and underscores are allowed.");
    }
    if name.contains("__") {
        return refuse("name", "Double underscores are not permitted in custom field names.");
    }
    if !cf.value("default").is_null()
        && let Err(what) = custom::takes(store.version, cf, cf.value("default"))
    {
        let value = crate::netbox::python::plain(cf.value("default"));
        return refuse("default", format!("Invalid default value \"{value}\": {what}"));
    }
    let kind = cf.text("type");
    if cf.yes("unique") && kind == "boolean" {
        return refuse("unique", "Uniqueness cannot be enforced for boolean fields");
    }
    if matches!(kind, "select" | "multiselect") {
        return refuse("choice_set", "Selection fields must specify a set of choices.");
    }
    let related = !cf.value("related_object_type").is_null();
    match (matches!(kind, "object" | "multiobject"), related) {
        (true, false) => refuse("related_object_type", "Object fields must define an object type."),
        (false, true) => {
            let field = Kind::CustomField.def().field(store.version, "type");
            let label = field.map_or(String::new(), |field| {
                let choices = match field.shape {
                    crate::netbox::model::Shape::Choice(choices) => choices,
                    _ => &[],
                };
                let found = choices.iter().find(|choice| choice.value == kind);
                found.map_or(String::new(), |choice| choice.label.to_owned())
            });
            refuse("type", format!("{label} fields may not define an object type."))
        }
        _ => Ok(()),
    }
}

/// The kinds that a custom field is for.
fn kinds_of(cf: &Object) -> Vec<Kind> {
    cf.list("object_types").iter().filter_map(|label| Kind::of_label(label.as_str()?)).collect()
}

/// Objects of the kinds that a field is newly for get its default; the others lose it.
pub(super) fn field_saved(store: &mut Store, id: u64, old: Option<&Object>) {
    let Some(cf) = store.get(Kind::CustomField, id).cloned() else {
        return;
    };
    let before = old.map(kinds_of).unwrap_or_default();
    let after = kinds_of(&cf);
    let name = cf.text("name").to_owned();
    for kind in after.iter().filter(|kind| !before.contains(kind)) {
        let default = cf.value("default").clone();
        rewrite(store, *kind, |object| {
            object.custom.entry(name.clone()).or_insert(default.clone());
        });
    }
    for kind in before.iter().filter(|kind| !after.contains(kind)) {
        rewrite(store, *kind, |object| {
            object.custom.remove(&name);
        });
    }
}

/// A field ends: objects lose its value.
pub(crate) fn field_gone(store: &mut Store, cf: &Object) {
    for kind in kinds_of(cf) {
        rewrite(store, kind, |object| {
            object.custom.remove(cf.text("name"));
        });
    }
}

fn rewrite(store: &mut Store, kind: Kind, how: impl Fn(&mut Object)) {
    let all: Vec<Object> = store.of(kind).cloned().collect();
    for mut object in all {
        how(&mut object);
        store.put(object);
    }
}
