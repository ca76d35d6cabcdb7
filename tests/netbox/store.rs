//! The objects: rows by kind and id, with an index of what refers to what and of
//! what must be unique, an undo list for transactions, and the change log.
//! It refuses nothing: what may be kept is decided by `write` and `checks`.

use super::changes::{Change, Requests};
use super::clock::{Clock, Stamp};
use super::model::{Kind, OnDelete, Shape, Unique};
use super::version::Version;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The values of an object's fields, as a database would have them: references
/// are ids, choices are words.
pub(crate) type Values = BTreeMap<&'static str, Value>;

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its id.
    pub(crate) id: u64,
    /// Its fields.
    pub(crate) values: Values,
    /// The ids of its tags.
    pub(crate) tags: BTreeSet<u64>,
    /// Its custom fields.
    pub(crate) custom: Map<String, Value>,
    /// When it was made.
    pub(crate) created: Stamp,
    /// When it was last saved.
    pub(crate) updated: Stamp,
}

impl Object {
    /// A field's value; null where there is none.
    pub(crate) fn value(&self, field: &str) -> &Value {
        self.values.get(field).unwrap_or(&Value::Null)
    }

    /// A field's text; empty where there is none.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.value(field).as_str().unwrap_or("")
    }

    /// The id in a field.
    pub(crate) fn id_of(&self, field: &str) -> Option<u64> {
        self.value(field).as_u64()
    }

    /// Whether a field says yes.
    pub(crate) fn yes(&self, field: &str) -> bool {
        self.value(field) == &Value::Bool(true)
    }

    /// The list in a field; empty where there is none.
    pub(crate) fn list(&self, field: &str) -> &[Value] {
        self.value(field).as_array().map_or(&[], Vec::as_slice)
    }
}

/// A reference from an object to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    /// The kind of the object that refers.
    pub(crate) kind: Kind,
    /// Its id.
    pub(crate) id: u64,
    /// The field that refers; the one of the id, where a kind stands beside it.
    pub(crate) field: &'static str,
    /// What happens to it when the other is deleted.
    pub(crate) on_delete: OnDelete,
}

/// A step that a transaction took, with what it takes to undo it.
#[derive(Debug)]
enum Step {
    Row(Kind, u64, Option<Arc<Object>>),
    Change,
}

/// A place in the undo list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint(usize);

/// What is kept.
#[derive(Debug)]
pub(crate) struct Store {
    /// The version that it stands in for.
    pub(crate) version: Version,
    /// The time.
    pub(crate) clock: Clock,
    /// The change log, oldest first.
    pub(crate) changes: Vec<Change>,
    /// The requests so far, for their ids.
    pub(crate) requests: Requests,
    rows: BTreeMap<Kind, BTreeMap<u64, Arc<Object>>>,
    next: BTreeMap<Kind, u64>,
    links: HashMap<(Kind, u64), BTreeSet<Link>>,
    keys: HashMap<(Kind, usize, String), BTreeSet<u64>>,
    hosts: HashMap<(Option<u64>, u128, bool), BTreeSet<u64>>,
    steps: Vec<Step>,
}

impl Store {
    /// An empty one.
    pub(crate) fn new(version: Version) -> Self {
        Store {
            version,
            clock: Clock::default(),
            changes: Vec::new(),
            requests: Requests::default(),
            rows: BTreeMap::new(),
            next: BTreeMap::new(),
            links: HashMap::new(),
            keys: HashMap::new(),
            hosts: HashMap::new(),
            steps: Vec::new(),
        }
    }

    /// An object.
    pub(crate) fn get(&self, kind: Kind, id: u64) -> Option<&Object> {
        self.rows.get(&kind)?.get(&id).map(AsRef::as_ref)
    }

    /// The objects of a kind, by id.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.rows.get(&kind).into_iter().flat_map(|rows| rows.values().map(AsRef::as_ref))
    }

    /// The next id of a kind. Like a database's sequence it is used up even when what took it is undone.
    pub(crate) fn take_id(&mut self, kind: Kind) -> u64 {
        let next = self.next.entry(kind).or_insert(1);
        let id = *next;
        *next += 1;
        id
    }

    /// Puts an object in; one of the same kind and id is replaced.
    pub(crate) fn put(&mut self, object: Object) {
        let (kind, id) = (object.kind, object.id);
        let next = self.next.entry(kind).or_insert(1);
        *next = (*next).max(id + 1);
        let rows = self.rows.entry(kind).or_default();
        let after = Arc::new(object);
        let before = rows.insert(id, Arc::clone(&after));
        if let Some(before) = &before {
            self.index(before, false);
        }
        self.index(&after, true);
        self.steps.push(Step::Row(kind, id, before));
    }

    /// Takes an object out.
    pub(crate) fn remove(&mut self, kind: Kind, id: u64) {
        if let Some(before) = self.rows.get_mut(&kind).and_then(|rows| rows.remove(&id)) {
            self.index(&before, false);
            self.steps.push(Step::Row(kind, id, Some(before)));
        }
    }

    /// Adds an entry to the change log.
    pub(crate) fn record(&mut self, change: Change) {
        self.changes.push(change);
        self.steps.push(Step::Change);
    }

    /// Where a transaction, or a part of one, begins.
    pub(crate) fn savepoint(&self) -> Savepoint {
        Savepoint(self.steps.len())
    }

    /// Undoes everything since a place.
    pub(crate) fn roll_back(&mut self, to: Savepoint) {
        while self.steps.len() > to.0 {
            match self.steps.pop() {
                Some(Step::Row(kind, id, before)) => self.restore(kind, id, before),
                Some(Step::Change) => {
                    self.changes.pop();
                }
                None => {}
            }
        }
    }

    /// Ends a transaction: forgets how to undo it.
    pub(crate) fn commit(&mut self) {
        self.steps.clear();
    }

    fn restore(&mut self, kind: Kind, id: u64, before: Option<Arc<Object>>) {
        let rows = self.rows.entry(kind).or_default();
        let now = match &before {
            Some(before) => rows.insert(id, Arc::clone(before)),
            None => rows.remove(&id),
        };
        if let Some(now) = now {
            self.index(&now, false);
        }
        if let Some(before) = before {
            self.index(&before, true);
        }
    }

    /// What refers to an object.
    pub(crate) fn links(&self, kind: Kind, id: u64) -> impl Iterator<Item = &Link> {
        self.links.get(&(kind, id)).into_iter().flatten()
    }

    /// The ids of the objects of a kind that refer to an object by a field.
    pub(crate) fn referring(&self, to: Kind, id: u64, from: Kind, field: &str) -> Vec<u64> {
        self.links(to, id)
            .filter(|link| link.kind == from && link.field == field)
            .map(|link| link.id)
            .collect()
    }

    /// How many objects bear a tag.
    pub(crate) fn tagged(&self, tag: u64) -> usize {
        let bears = |object: &&Arc<Object>| object.tags.contains(&tag);
        let rows = self.rows.values().flat_map(BTreeMap::values);
        rows.filter(bears).count()
    }

    /// The objects that bear a tag.
    pub(crate) fn bearing(&self, tag: u64) -> Vec<Object> {
        let rows = self.rows.values().flat_map(BTreeMap::values);
        rows.filter(|object| object.tags.contains(&tag))
            .map(|object| object.as_ref().clone())
            .collect()
    }

    /// The objects of a kind that have the same values in fields that must be unique together.
    pub(crate) fn twins(&self, kind: Kind, rule: usize, key: &str) -> Vec<u64> {
        self.keys
            .get(&(kind, rule, key.to_owned()))
            .map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    /// The IP addresses of a VRF that have a host address, by id.
    pub(crate) fn hosts(&self, vrf: Option<u64>, host: (u128, bool)) -> Vec<u64> {
        self.hosts
            .get(&(vrf, host.0, host.1))
            .map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    fn index(&mut self, object: &Object, add: bool) {
        let def = object.kind.def();
        for field in def.fields(self.version) {
            let here = |field: &'static str, on_delete| Link {
                kind: object.kind,
                id: object.id,
                field,
                on_delete,
            };
            match field.shape {
                Shape::One(to, on_delete) => {
                    if let Some(id) = object.id_of(field.name) {
                        turn(&mut self.links, (to, id), here(field.name, on_delete), add);
                    }
                }
                Shape::Many(to) => {
                    for id in object.list(field.name).iter().filter_map(Value::as_u64) {
                        let link = here(field.name, OnDelete::Nothing);
                        turn(&mut self.links, (to, id), link, add);
                    }
                }
                Shape::TypeId(generic) => {
                    let to = Kind::of_label(object.text(generic.type_field));
                    if let (Some(to), Some(id)) = (to, object.id_of(field.name)) {
                        let link = here(field.name, generic.on_delete);
                        turn(&mut self.links, (to, id), link, add);
                    }
                }
                _ => {}
            }
        }
        for (at, rule) in rules(object.kind) {
            if let Some(key) = key(&rule, object) {
                turn(&mut self.keys, (object.kind, at, key), object.id, add);
            }
        }
        if object.kind == Kind::IpAddress
            && let Some(net) = super::addresses::net_of(object, "address")
        {
            let host = (object.id_of("vrf"), net.number(), net.ip.is_ipv6());
            turn(&mut self.hosts, host, object.id, add);
        }
    }
}

fn turn<K: std::hash::Hash + Eq, V: Ord>(
    index: &mut HashMap<K, BTreeSet<V>>,
    key: K,
    value: V,
    add: bool,
) {
    let entry = index.entry(key).or_default();
    if add {
        entry.insert(value);
    } else {
        entry.remove(&value);
    }
}

/// What must be unique of a kind: the single fields first, then the fields together.
pub(crate) fn rules(kind: Kind) -> impl Iterator<Item = (usize, Unique)> {
    let def = kind.def();
    let single = def.fields.iter().filter(|field| field.unique).map(|field| {
        let mut rule = Unique::new("", std::slice::from_ref(&field.name), "");
        rule.since = field.since;
        rule.until = field.until;
        rule
    });
    single.chain(def.unique.iter().copied()).enumerate()
}

/// The values that a rule compares; none where the rule says nothing of an object.
pub(crate) fn key(rule: &Unique, object: &Object) -> Option<String> {
    let holds = rule.where_null.iter().all(|field| object.value(field).is_null())
        && rule.where_set.iter().all(|field| !object.value(field).is_null());
    if !holds {
        return None;
    }
    let mut key = String::new();
    for (at, field) in rule.fields.iter().enumerate() {
        let value = object.value(field);
        if value.is_null() && !rule.nulls_equal {
            return None;
        }
        match value.as_str() {
            Some(text) if at == 0 && rule.lower => key.push_str(&text.to_lowercase()),
            Some(text) => key.push_str(text),
            None => key.push_str(&value.to_string()),
        }
        key.push('\u{1f}');
    }
    Some(key)
}
