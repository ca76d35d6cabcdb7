//! One object is made or changed: read, looked at as a whole, held against its
//! likes, saved with what follows from it, and told to the change log.

use super::changes::{Action, Asker, log, record_of};
use super::checks;
use super::clock::Stamp;
use super::custom;
use super::model::{Kind, Shape, Unique};
use super::parse::{Parsed, Reading};
use super::python;
use super::refusal::{Errors, Refusal, add, wrong};
use super::store::{Object, Store, Values, key, rules};
use super::version::Version;
use super::view::Choose;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How an object is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// Whether fields may be missing.
    pub(crate) partial: bool,
    /// The fields that the request restricts itself to.
    pub(crate) choose: &'a Choose,
}

/// An object that is ready to be saved.
#[derive(Debug)]
pub(crate) struct Draft {
    object: Object,
    old: Option<Object>,
    parsed: Parsed,
}

/// Reads and checks what a client wrote; nothing is changed yet.
pub(crate) fn draft(
    store: &Store,
    kind: Kind,
    old: Option<&Object>,
    data: &Value,
    manner: Manner<'_>,
) -> Result<Draft, Refusal> {
    let data = checks::translated(store, kind, old, data, manner.choose)?;
    let reading = Reading {
        store,
        kind,
        id: old.map(|old| old.id),
        partial: manner.partial,
        choose: manner.choose,
    };
    let parsed = reading.read(&data)?;
    tags_agree(store, &parsed, old.is_none())?;
    let mut object = compose(store, kind, old, &parsed);
    sets(store, &object)?;
    checks::together(store, kind, old, &parsed).map_err(Refusal::Invalid)?;
    let mut errors = empties(store, &object);
    let looked = custom::check(store, &mut object)
        .map_err(|what| wrong("__all__", what))
        .and_then(|()| checks::clean(store, old, &mut object, &parsed));
    merge(&mut errors, looked.err());
    let alike = twins(store, &object, &errors);
    merge(&mut errors, alike);
    if errors.is_empty() {
        Ok(Draft { object, old: old.cloned(), parsed })
    } else {
        Err(Refusal::Invalid(errors))
    }
}

fn merge(errors: &mut Errors, more: Option<Errors>) {
    for (field, what) in more.into_iter().flatten() {
        match (errors.get_mut(&field), what) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (_, what) => {
                errors.insert(field, what);
            }
        }
    }
}

fn tags_agree(store: &Store, parsed: &Parsed, new: bool) -> Result<(), Refusal> {
    let some = |tags: &Option<BTreeSet<u64>>| tags.as_ref().is_some_and(|tags| !tags.is_empty());
    let refuse = |field: &str, what: &str| Err(Refusal::Invalid(wrong(field, what)));
    if some(&parsed.tags) && (some(&parsed.add_tags) || some(&parsed.remove_tags)) {
        return refuse(
            "tags",
            "Cannot specify \"tags\" together with \"add_tags\" or \"remove_tags\".",
        );
    }
    if new && some(&parsed.remove_tags) {
        return refuse("remove_tags", "Cannot use \"remove_tags\" when creating a new object.");
    }
    if let (Some(add), Some(remove)) = (&parsed.add_tags, &parsed.remove_tags) {
        let names: Vec<&str> = add
            .intersection(remove)
            .filter_map(|id| store.get(Kind::Tag, *id))
            .map(|tag| tag.text("name"))
            .collect();
        if !names.is_empty() {
            let names = names.join(", ");
            return refuse(
                "remove_tags",
                &format!(
                    "Tags may not be present in both \"add_tags\" and \"remove_tags\": {names}"
                ),
            );
        }
    }
    Ok(())
}

/// The object as it would be.
fn compose(store: &Store, kind: Kind, old: Option<&Object>, parsed: &Parsed) -> Object {
    let mut object = match old {
        Some(old) => old.clone(),
        None => Object {
            kind,
            id: 0,
            values: initial(store, kind),
            tags: BTreeSet::new(),
            custom: Map::new(),
            created: Stamp::default(),
            updated: Stamp::default(),
        },
    };
    for (field, value) in &parsed.values {
        object.values.insert(field, value.clone());
    }
    match (&parsed.custom, old) {
        (Some(custom), _) => {
            object.custom.extend(custom.iter().map(|(name, value)| (name.clone(), value.clone())))
        }
        (None, None) => object.custom = custom::defaults(store, kind),
        (None, Some(_)) => {}
    }
    if let Some(tags) = &parsed.tags {
        object.tags = tags.clone();
    }
    if let Some(tags) = &parsed.add_tags {
        object.tags.extend(tags);
    }
    if let Some(tags) = &parsed.remove_tags {
        object.tags.retain(|tag| !tags.contains(tag));
    }
    object
}

/// The fields of a new object that says nothing of them.
pub(crate) fn initial(store: &Store, kind: Kind) -> Values {
    kind.def()
        .fields(store.version)
        .filter(|field| field.stored())
        .map(|field| (field.name, field.initial()))
        .collect()
}

/// What the model misses. It is only reached where a request restricts its own fields.
fn empties(store: &Store, object: &Object) -> Errors {
    let mut errors = Errors::new();
    for field in object.kind.def().fields(store.version) {
        if !field.required || !field.stored() {
            continue;
        }
        let value = object.value(field.name);
        if value.is_null() && matches!(field.shape, Shape::Address | Shape::Network) {
            add(&mut errors, field.name, "This field cannot be blank.");
        } else if value.is_null() {
            add(&mut errors, field.name, "This field cannot be null.");
        } else if value.as_str() == Some("") && !matches!(field.shape, Shape::One(..)) {
            add(&mut errors, field.name, "This field cannot be blank.");
        }
    }
    errors
}

/// What the object has in common with another that it must not.
fn twins(store: &Store, object: &Object, wrong: &Errors) -> Option<Errors> {
    let mut errors = Errors::new();
    for (at, rule) in rules(object.kind) {
        let judged = rule.lives(store.version)
            && !rule.message.is_empty()
            && !rule.fields.iter().any(|field| wrong.contains_key(*field));
        if judged && twin(store, object, at, &rule).is_some() {
            let field = match rule.fields {
                [one] if rule.constraint.ends_with("_id_key") => one,
                _ => "__all__",
            };
            add(&mut errors, field, rule.message);
        }
    }
    (!errors.is_empty()).then_some(errors)
}

/// In 4.0 the serializers themselves look at fields that are unique together, whatever
/// the database's constraint depends on.
fn sets(store: &Store, object: &Object) -> Result<(), Refusal> {
    let mut errors = Errors::new();
    if store.version > Version::V4_0 || object.kind == Kind::VlanGroup {
        return Ok(());
    }
    for (at, rule) in rules(object.kind) {
        let plain = Unique { where_null: &[], ..rule };
        let judged = rule.lives(store.version)
            && !rule.lower
            && !rule.message.is_empty()
            && rule.fields.len() > 1;
        let Some(wanted) = key(&plain, object).filter(|_| judged) else {
            continue;
        };
        let taken = match rule.where_null {
            [] => twin(store, object, at, &rule).is_some(),
            _ => store
                .of(object.kind)
                .any(|other| other.id != object.id && key(&plain, other).as_ref() == Some(&wanted)),
        };
        if taken {
            let fields = rule.fields.join(", ");
            add(
                &mut errors,
                "non_field_errors",
                format!("The fields {fields} must make a unique set."),
            );
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Invalid(errors)) }
}

fn twin(store: &Store, object: &Object, at: usize, rule: &Unique) -> Option<u64> {
    let key = key(rule, object)?;
    store.twins(object.kind, at, &key).into_iter().find(|id| *id != object.id)
}

/// Saves a draft: the id that it has from then on.
pub(crate) fn save(store: &mut Store, asker: &Asker, draft: Draft) -> Result<u64, Refusal> {
    let Draft { mut object, old, parsed } = draft;
    checks::settle(store, old.as_ref(), &mut object, &parsed);
    if store.version > Version::V4_0 {
        custom::settle(store, &mut object);
    }
    if old.is_none() {
        object.id = store.take_id(object.kind);
        object.created = store.clock.now();
    }
    object.updated = store.clock.now();
    clash(store, &object)?;
    let (kind, id) = (object.kind, object.id);
    let before = old.as_ref().map_or(Value::Null, |old| record_of(store, old));
    store.put(object);
    let message = parsed.message.clone().unwrap_or_default();
    let no_tags = BTreeSet::new();
    let telling = Telling {
        before: &before,
        stood: old.is_some(),
        tags: old.as_ref().map_or(&no_tags, |old| &old.tags),
        message: &message,
    };
    if kind == Kind::Cable && old.is_none() {
        // A new cable is told to the log twice: before it has its ends and after, as if
        // nothing had been there.
        tell(store, asker, kind, id, &telling)?;
        checks::saved(store, asker, kind, id, None, &parsed)?;
        let telling = Telling { stood: true, ..telling };
        tell(store, asker, kind, id, &telling)?;
        return Ok(id);
    }
    checks::saved(store, asker, kind, id, old.as_ref(), &parsed)?;
    tell(store, asker, kind, id, &telling)?;
    Ok(id)
}

/// What the change log is told of a saved object.
struct Telling<'a> {
    /// The object before; null for a new one.
    before: &'a Value,
    /// Whether it stood before.
    stood: bool,
    /// The tags that it had.
    tags: &'a BTreeSet<u64>,
    /// What the client says of it.
    message: &'a str,
}

fn tell(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    id: u64,
    telling: &Telling<'_>,
) -> Result<(), Refusal> {
    let Some(object) = store.get(kind, id).cloned() else {
        return Ok(());
    };
    let action = if telling.stood { Action::Update } else { Action::Create };
    let mut told = object;
    if store.version < Version::V4_4 && told.tags.is_empty() {
        // That the last tag went is not told.
        told.tags = telling.tags.clone();
    }
    let logged = log(store, asker, action, telling.before.clone(), &told, telling.message);
    if logged { fits(telling.message) } else { Ok(()) }
}

/// The change log takes no longer message.
pub(crate) fn fits(message: &str) -> Result<(), Refusal> {
    if message.chars().count() <= 200 {
        return Ok(());
    }
    Err(Refusal::Crash {
        error: "value too long for type character varying(200)".into(),
        exception: "DataError",
    })
}

/// Saves an object that the server itself changes, with an entry in the log.
pub(crate) fn touch(store: &mut Store, asker: &Asker, mut object: Object) {
    let before = store.get(object.kind, object.id).map_or(Value::Null, |old| record_of(store, old));
    object.updated = store.clock.now();
    store.put(object.clone());
    log(store, asker, Action::Update, before, &object, "");
}

/// What the database refuses: what must be unique and slipped through until here.
fn clash(store: &Store, object: &Object) -> Result<(), Refusal> {
    for (at, rule) in rules(object.kind) {
        if !rule.lives(store.version) || twin(store, object, at, &rule).is_none() {
            continue;
        }
        let table = object.kind.def().label.replace('.', "_");
        let constraint = if rule.constraint.is_empty() {
            format!("{table}_{}_key", rule.fields.join("_"))
        } else {
            rule.constraint.to_owned()
        };
        return Err(Refusal::Clash { constraint, detail: detail(store, object, &rule) });
    }
    Ok(())
}

fn detail(store: &Store, object: &Object, rule: &Unique) -> String {
    let def = object.kind.def();
    let columns = rule.fields.iter().enumerate().map(|(at, name)| {
        let refers = def
            .field(store.version, name)
            .is_some_and(|field| matches!(field.shape, Shape::One(..)));
        let refers = (refers && *name != "termination_id") || name.starts_with('_');
        match (refers, at == 0 && rule.lower) {
            (true, _) => format!("{name}_id"),
            (false, true) => format!("lower({name}::text)"),
            (false, false) => (*name).to_owned(),
        }
    });
    let columns: Vec<String> = columns.collect();
    let values = rule.fields.iter().enumerate().map(|(at, name)| {
        let text = python::plain(object.value(name));
        if at == 0 && rule.lower { text.to_lowercase() } else { text }
    });
    let values: Vec<String> = values.collect();
    format!("Key ({})=({}) already exists.", columns.join(", "), values.join(", "))
}
