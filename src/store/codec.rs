//! Domain values as compact JSON texts, for columns of the store alone: what a
//! person or another program reads is made elsewhere and may look different.
//!
//! | Value | Text |
//! |---|---|
//! | null, yes or no, a whole number, a text | as in JSON |
//! | a decimal, in hundredths | `{"d":250}` |
//! | several texts, several numbers | `{"w":["a","b"]}`, `{"n":[1,2]}` |
//! | a reference, several | `{"r":["device",12]}`, `{"rs":[["device","device:pve:a"]]}` |

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::Type;
use serde_json::{Map, Value as Json, json};

use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use crate::domain::plan::{FieldChange, Seat};
use crate::domain::value::{Decimal, SmallMap, Value};

/// A text in the store that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot understand {what} in `{text}`")]
pub(super) struct Unreadable {
    what: &'static str,
    text: String,
}

impl Unreadable {
    fn new(what: &'static str, text: impl ToString) -> Self {
        let text: String = text.to_string().chars().take(80).collect();
        Unreadable { what, text }
    }
}

/// What can stand in a column as JSON.
pub(super) trait Coded: Sized {
    /// What it is called where it cannot be understood.
    const WHAT: &'static str;

    fn to_json(&self) -> Json;

    fn of_json(json: &Json) -> Option<Self>;

    fn to_text(&self) -> String {
        self.to_json().to_string()
    }

    fn of_text(text: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(text)
            .ok()
            .and_then(|json| Self::of_json(&json))
            .ok_or_else(|| Unreadable::new(Self::WHAT, text))
    }
}

/// Reads a column that holds JSON.
pub(super) fn coded<T: Coded>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    T::of_text(text).map_err(|error| unreadable(column, error))
}

/// Reads a column that holds JSON or nothing.
pub(super) fn coded_or_none<T: Coded>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    row.get_ref(column)?
        .as_str_or_null()?
        .map(|text| T::of_text(text).map_err(|error| unreadable(column, error)))
        .transpose()
}

/// Reads a column that holds a word or another text that parses.
pub(super) fn word<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|error: T::Err| unreadable(column, error))
}

/// Reads a column that holds a text.
pub(super) fn shared(row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
    Ok(row.get_ref(column)?.as_str()?.into())
}

/// The error for a column that holds what it should not.
pub(super) fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

impl Coded for ObjectRef {
    const WHAT: &'static str = "a reference";

    fn to_json(&self) -> Json {
        match self {
            ObjectRef::Live(kind, id) => json!([kind.as_str(), id]),
            ObjectRef::Planned(kind, key) => json!([kind.as_str(), key.as_str()]),
        }
    }

    fn of_json(json: &Json) -> Option<Self> {
        let [kind, target] = json.as_array()?.as_slice() else {
            return None;
        };
        let kind = kind.as_str()?.parse().ok()?;
        match target {
            Json::Number(id) => Some(ObjectRef::Live(kind, id.as_u64()?)),
            Json::String(key) => Some(ObjectRef::Planned(kind, ObjectKey(key.as_str().into()))),
            _ => None,
        }
    }
}

impl Coded for Value {
    const WHAT: &'static str = "a value";

    fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(yes) => json!(yes),
            Value::Int(number) => json!(number),
            Value::Decimal(number) => json!({ "d": number.0 }),
            Value::Text(text) => json!(text.as_ref()),
            Value::Words(words) => {
                json!({ "w": words.iter().map(AsRef::as_ref).collect::<Vec<&str>>() })
            }
            Value::Ints(numbers) => json!({ "n": numbers }),
            Value::Ref(reference) => json!({ "r": reference.to_json() }),
            Value::Refs(refs) => {
                json!({ "rs": refs.iter().map(Coded::to_json).collect::<Vec<_>>() })
            }
        }
    }

    fn of_json(json: &Json) -> Option<Self> {
        match json {
            Json::Null => Some(Value::Null),
            Json::Bool(yes) => Some(Value::Bool(*yes)),
            Json::Number(number) => number.as_i64().map(Value::Int),
            Json::String(text) => Some(Value::text(text)),
            Json::Array(_) => None,
            Json::Object(map) => {
                let (tag, inner) = map.iter().next().filter(|_| map.len() == 1)?;
                match tag.as_str() {
                    "d" => inner.as_i64().map(|number| Value::Decimal(Decimal(number))),
                    "w" => set(inner, |word| word.as_str().map(Into::into)).map(Value::Words),
                    "n" => set(inner, Json::as_i64).map(Value::Ints),
                    "r" => ObjectRef::of_json(inner).map(Value::Ref),
                    "rs" => set(inner, ObjectRef::of_json).map(Value::Refs),
                    _ => None,
                }
            }
        }
    }
}

fn set<T: Ord>(json: &Json, read: impl Fn(&Json) -> Option<T>) -> Option<BTreeSet<T>> {
    json.as_array()?.iter().map(read).collect()
}

impl Coded for Why {
    const WHAT: &'static str = "a reason";

    fn to_json(&self) -> Json {
        match self {
            Why::Source { source, evidence } => {
                json!({ "s": source.as_str(), "e": evidence.as_ref() })
            }
            Why::Rule(rule) => json!({ "c": rule.as_ref() }),
            Why::Agent(reason) => json!({ "a": reason.as_ref() }),
        }
    }

    fn of_json(json: &Json) -> Option<Self> {
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        if let (Some(source), Some(evidence)) = (text("s"), text("e")) {
            return Some(Why::Source { source: source.parse().ok()?, evidence: evidence.into() });
        }
        let rule = text("c").map(|rule| Why::Rule(rule.into()));
        rule.or_else(|| text("a").map(|reason| Why::Agent(reason.into())))
    }
}

impl Coded for FieldChange {
    const WHAT: &'static str = "a field's change";

    fn to_json(&self) -> Json {
        json!([self.before.to_json(), self.after.to_json(), self.why.to_json()])
    }

    fn of_json(json: &Json) -> Option<Self> {
        let [before, after, why] = json.as_array()?.as_slice() else {
            return None;
        };
        Some(FieldChange {
            before: Value::of_json(before)?,
            after: Value::of_json(after)?,
            why: Why::of_json(why)?,
        })
    }
}

impl Coded for Seat {
    const WHAT: &'static str = "a seat";

    fn to_json(&self) -> Json {
        json!([self.holder.to_json(), self.label.as_ref(), self.field.as_str()])
    }

    fn of_json(json: &Json) -> Option<Self> {
        let [holder, label, field] = json.as_array()?.as_slice() else {
            return None;
        };
        Some(Seat {
            holder: ObjectRef::of_json(holder)?,
            label: label.as_str()?.into(),
            field: field.as_str()?.parse().ok()?,
        })
    }
}

impl Coded for Field {
    const WHAT: &'static str = "a field";

    fn to_json(&self) -> Json {
        json!(self.as_str())
    }

    fn of_json(json: &Json) -> Option<Self> {
        json.as_str()?.parse().ok()
    }
}

impl<T: Coded> Coded for Vec<T> {
    const WHAT: &'static str = T::WHAT;

    fn to_json(&self) -> Json {
        Json::Array(self.iter().map(Coded::to_json).collect())
    }

    fn of_json(json: &Json) -> Option<Self> {
        json.as_array()?.iter().map(T::of_json).collect()
    }
}

impl<T: Coded> Coded for SmallMap<Field, T> {
    const WHAT: &'static str = T::WHAT;

    fn to_json(&self) -> Json {
        let entries =
            self.iter().map(|(field, value)| (field.as_str().to_owned(), value.to_json()));
        Json::Object(entries.collect::<Map<_, _>>())
    }

    fn of_json(json: &Json) -> Option<Self> {
        json.as_object()?
            .iter()
            .map(|(field, value)| Some((field.parse().ok()?, T::of_json(value)?)))
            .collect()
    }
}

/// An id as SQLite keeps it.
pub(super) fn id_to_sql(id: u64) -> rusqlite::Result<i64> {
    i64::try_from(id).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Reads a column that holds an id.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Reads a column that holds an id or nothing.
pub(super) fn id_or_none(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let number: Option<i64> = row.get(column)?;
    number
        .map(|number| {
            u64::try_from(number)
                .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
        })
        .transpose()
}

/// Reads a column of a kind and one of an id.
pub(super) fn object(
    row: &Row<'_>,
    kind: usize,
    id_column: usize,
) -> rusqlite::Result<(Kind, u64)> {
    Ok((word(row, kind)?, id(row, id_column)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind() -> impl Strategy<Value = Kind> {
        proptest::sample::select(Kind::ALL)
    }

    fn field() -> impl Strategy<Value = Field> {
        proptest::sample::select(Field::ALL)
    }

    fn reference() -> impl Strategy<Value = ObjectRef> {
        prop_oneof![
            (kind(), any::<u64>()).prop_map(|(kind, id)| ObjectRef::Live(kind, id)),
            (kind(), any::<String>())
                .prop_map(|(kind, key)| ObjectRef::Planned(kind, ObjectKey(key.into()))),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        use proptest::collection::btree_set;
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<i64>().prop_map(|number| Value::Decimal(Decimal(number))),
            any::<String>().prop_map(Value::text),
            btree_set(any::<String>(), 0..5).prop_map(Value::words),
            btree_set(any::<i64>(), 0..5).prop_map(Value::Ints),
            reference().prop_map(Value::Ref),
            btree_set(reference(), 0..5).prop_map(Value::Refs),
        ]
    }

    fn why() -> impl Strategy<Value = Why> {
        prop_oneof![
            ("[a-z0-9._-]{1,64}", any::<String>()).prop_map(|(source, evidence)| Why::Source {
                source: source.parse().unwrap(),
                evidence: evidence.into(),
            }),
            any::<String>().prop_map(|rule| Why::Rule(rule.into())),
            any::<String>().prop_map(|reason| Why::Agent(reason.into())),
        ]
    }

    fn change() -> impl Strategy<Value = FieldChange> {
        (value(), value(), why()).prop_map(|(before, after, why)| FieldChange {
            before,
            after,
            why,
        })
    }

    fn seat() -> impl Strategy<Value = Seat> {
        (reference(), any::<String>(), field()).prop_map(|(holder, label, field)| Seat {
            holder,
            label: label.into(),
            field,
        })
    }

    fn comes_back<T: Coded + PartialEq + std::fmt::Debug>(thing: &T) -> Result<(), TestCaseError> {
        let text = thing.to_text();
        prop_assert_eq!(&T::of_text(&text).unwrap(), thing);
        // What comes back is written the same way, so that texts can be compared.
        prop_assert_eq!(T::of_text(&text).unwrap().to_text(), text);
        Ok(())
    }

    proptest! {
        #[test]
        fn every_value_comes_back_as_it_was(value in value()) {
            comes_back(&value)?;
        }

        #[test]
        fn every_map_of_values_comes_back_as_it_was(
            entries in proptest::collection::vec((field(), value()), 0..8)
        ) {
            comes_back(&entries.into_iter().collect::<SmallMap<Field, Value>>())?;
        }

        #[test]
        fn every_change_comes_back_as_it_was(
            entries in proptest::collection::vec((field(), change()), 0..8),
            seats in proptest::collection::vec(seat(), 0..4),
        ) {
            comes_back(&entries.into_iter().collect::<SmallMap<Field, FieldChange>>())?;
            comes_back(&seats)?;
        }

        #[test]
        fn no_text_makes_the_codec_panic(text in any::<String>()) {
            let _ = Value::of_text(&text);
            let _ = SmallMap::<Field, FieldChange>::of_text(&text);
        }
    }

    #[test]
    fn texts_are_short() {
        for (value, text) in [
            (Value::text("web01"), r#""web01""#),
            (Value::Decimal(Decimal(250)), r#"{"d":250}"#),
            (Value::Ints([80, 443].into()), r#"{"n":[80,443]}"#),
            (Value::Ref(ObjectRef::Live(Kind::Device, 12)), r#"{"r":["device",12]}"#),
        ] {
            assert_eq!(value.to_text(), text);
        }
    }

    #[test]
    fn a_text_of_another_shape_is_refused() {
        for text in ["", "[1]", r#"{"x":1}"#, r#"{"r":["robot",1]}"#, "1.5", r#"{"d":1,"w":[]}"#] {
            assert!(Value::of_text(text).is_err(), "{text}");
        }
        assert!(SmallMap::<Field, Value>::of_text(r#"{"colour":1}"#).is_err());
    }
}
