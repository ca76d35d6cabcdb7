//! The order of lists: numbers within names by value, as NetBox's collation has
//! it, and along references where a kind is ordered by what it belongs to.

use super::addresses::{Net, net_of};
use super::model::{Kind, Shape, Sort};
use super::store::Object;
use super::version::Version;
use super::view::View;
use serde_json::Value;
use std::cmp::Ordering;

/// A part of what an object is ordered by.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Least,
    Natural(Vec<Part>, String),
    Number(f64),
    Text(String),
    Net(Net),
    Most,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Digits(u128),
    Letters(String),
}

/// Puts objects of a kind into the order in which NetBox lists them, or into the one that is asked for.
pub(crate) fn sort(view: &View<'_>, kind: Kind, objects: &mut Vec<&Object>, asked: Option<&str>) {
    let wanted: Vec<(bool, Sort)> = asked
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter_map(|name| sort_of(view, kind, name))
        .collect();
    let mut keyed: Vec<(Vec<(bool, Key)>, &Object)> = objects
        .iter()
        .map(|object| {
            let keys = if wanted.is_empty() {
                keys(view, object).into_iter().map(|key| (false, key)).collect()
            } else {
                let each = wanted.iter().flat_map(|(down, sort)| {
                    key_of(view, object, *sort).into_iter().map(move |key| (*down, key))
                });
                each.collect()
            };
            (keys, *object)
        })
        .collect();
    keyed.sort_by(|(one, a), (other, b)| compare(one, other).then(a.id.cmp(&b.id)));
    *objects = keyed.into_iter().map(|(_, object)| object).collect();
}

fn sort_of(view: &View<'_>, kind: Kind, name: &str) -> Option<(bool, Sort)> {
    let (down, name) = match name.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, name),
    };
    if name == "id" {
        return Some((down, Sort::Id));
    }
    if name == "created" || name == "last_updated" {
        return Some((
            down,
            Sort::Plain(if name == "created" { "created" } else { "last_updated" }),
        ));
    }
    let field = kind.def().field(view.store.version, name)?;
    let sort = match field.shape {
        Shape::Text(_) | Shape::Slug => Sort::Natural(field.name),
        Shape::Address | Shape::Network => Sort::Net(field.name),
        Shape::One(..) => Sort::Via(field.name),
        _ => Sort::Plain(field.name),
    };
    Some((down, sort))
}

fn compare(one: &[(bool, Key)], other: &[(bool, Key)]) -> Ordering {
    for ((down, a), (_, b)) in one.iter().zip(other) {
        let order = rank(a, b);
        if order != Ordering::Equal {
            return if *down { order.reverse() } else { order };
        }
    }
    // Of two places in a tree the one above the other comes first.
    one.len().cmp(&other.len())
}

fn rank(one: &Key, other: &Key) -> Ordering {
    match (one, other) {
        (Key::Natural(a, a_text), Key::Natural(b, b_text)) => {
            a.cmp(b).then_with(|| a_text.cmp(b_text))
        }
        (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
        (Key::Text(a), Key::Text(b)) => a.cmp(b),
        (Key::Net(a), Key::Net(b)) => {
            (a.ip.is_ipv6(), a.number()).cmp(&(b.ip.is_ipv6(), b.number()))
        }
        (a, b) => place(a).cmp(&place(b)),
    }
}

fn place(key: &Key) -> u8 {
    match key {
        Key::Least => 0,
        Key::Most => 2,
        _ => 1,
    }
}

fn keys(view: &View<'_>, object: &Object) -> Vec<Key> {
    let def = object.kind.def();
    let steps = match def.order_since_4_7 {
        Some(order) if view.store.version >= Version::V4_7 => order,
        _ => def.order,
    };
    let each = steps.iter().flat_map(|sort| key_of(view, object, *sort));
    each.collect()
}

fn key_of(view: &View<'_>, object: &Object, sort: Sort) -> Vec<Key> {
    let plain = |value: &Value, null: Key| match value {
        Value::Null => null,
        Value::String(text) => Key::Text(text.clone()),
        Value::Bool(yes) => Key::Number(f64::from(u8::from(*yes))),
        other => other.as_f64().map_or(Key::Most, Key::Number),
    };
    vec![match sort {
        #[expect(clippy::cast_precision_loss, reason = "ids are far below 2^52")]
        Sort::Id => Key::Number(object.id as f64),
        Sort::Plain("created") => Key::Text(object.created.json()),
        Sort::Plain("last_updated") => Key::Text(object.updated.json()),
        Sort::Plain(field) => plain(object.value(field), Key::Most),
        Sort::NullsFirst(field) => plain(object.value(field), Key::Least),
        Sort::Natural(field) => match object.value(field).as_str() {
            Some(text) => Key::Natural(natural(text), text.to_owned()),
            None => Key::Most,
        },
        Sort::Port(field) => Key::Text(port(object.text(field))),
        Sort::Net(field) => net_of(object, field).map_or(Key::Most, Key::Net),
        Sort::Lowest(field) => {
            let lowest = object.list(field).iter().filter_map(Value::as_f64).reduce(f64::min);
            lowest.map_or(Key::Most, Key::Number)
        }
        Sort::Tree(field) => {
            let mut path =
                match object.id_of("parent").and_then(|id| view.store.get(object.kind, id)) {
                    Some(parent) => key_of(view, parent, sort),
                    None => Vec::new(),
                };
            path.extend(key_of(
                view,
                object,
                if field == "id" { Sort::Id } else { Sort::Natural(field) },
            ));
            return path;
        }
        Sort::Via(field) => {
            let shape = object.kind.def().field(view.store.version, field).map(|field| field.shape);
            let Some(Shape::One(kind, _)) = shape else {
                return vec![Key::Most];
            };
            return match object.id_of(field).and_then(|id| view.store.get(kind, id)) {
                Some(found) => keys(view, found),
                None => vec![Key::Most],
            };
        }
    }]
}

/// A name in parts: numbers by value, letters without case.
fn natural(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for letter in text.to_lowercase().chars() {
        match (parts.last_mut(), letter.to_digit(10)) {
            (Some(Part::Digits(number)), Some(digit)) => {
                *number = number.saturating_mul(10).saturating_add(u128::from(digit));
            }
            (_, Some(digit)) => parts.push(Part::Digits(u128::from(digit))),
            (Some(Part::Letters(letters)), None) => letters.push(letter),
            (_, None) => parts.push(Part::Letters(letter.to_string())),
        }
    }
    parts
}

/// What an interface's name is ordered by. Numbers before slashes come first, then the word
/// that the name begins with, then its number, what follows a colon, what follows a dot. A
/// number that is missing in front counts as the highest, one that is missing behind as the lowest.
fn port(name: &str) -> String {
    let word_end = name
        .find(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ':'))
        .unwrap_or(name.len());
    let (word, mut rest) = name.split_at(word_end);
    let mut key = String::new();
    for _ in 0..4 {
        match number(rest).filter(|(_, after)| after.starts_with('/')) {
            Some((digits, after)) => {
                key.push_str(&format!("{digits:0>4}"));
                rest = &after[1..];
            }
            None => key.push_str("9999"),
        }
    }
    key.push_str(word);
    for mark in ["", ":", "."] {
        let found = rest.strip_prefix(mark).and_then(number);
        match found {
            Some((digits, after)) => {
                key.push_str(&format!("{digits:0>6}"));
                rest = after;
            }
            None => key.push_str("......"),
        }
    }
    key.push_str(rest);
    key
}

/// The digits that a text begins with, and what follows them.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}
