//! What Proxmox VE answers, read without trust in its types: a number may come as a
//! text, a flag as `1`, `"1"` or `true`, a field may be missing or new.

use serde_json::{Map, Value as Json};

/// One object of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row(Map<String, Json>);

impl Row {
    /// The object, where it is one.
    pub(super) fn of(json: Json) -> Option<Self> {
        match json {
            Json::Object(fields) => Some(Row(fields)),
            _ => None,
        }
    }

    /// The objects of a list. What is not an object in it is left out.
    pub(super) fn all(json: Json) -> Vec<Self> {
        match json {
            Json::Array(items) => items.into_iter().filter_map(Row::of).collect(),
            _ => Vec::new(),
        }
    }

    /// A text that is not blank; numbers and flags as Proxmox would write them.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        text(self.0.get(key)?)
    }

    /// A whole number.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Json::Bool(yes) => Some(i64::from(*yes)),
            Json::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Json::String(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| whole(text.parse().ok()?))
            }
            _ => None,
        }
    }

    /// Yes or no; nothing where the field is missing or null.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Json::Bool(yes) => Some(*yes),
            Json::Number(number) => Some(number.as_f64() != Some(0.0)),
            Json::String(text) => Some(is_on(text)),
            _ => None,
        }
    }

    /// Whether a flag is set.
    pub(super) fn is(&self, key: &str) -> bool {
        self.flag(key) == Some(true)
    }

    /// Whether the field is there, be it empty.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| !value.is_null())
    }

    /// An object within.
    pub(super) fn row(&self, key: &str) -> Option<Row> {
        Row::of(self.0.get(key)?.clone())
    }

    /// The objects of a list within; nothing where there is no list.
    pub(super) fn rows(&self, key: &str) -> Option<Vec<Row>> {
        self.0.get(key).filter(|value| value.is_array()).cloned().map(Row::all)
    }

    /// The texts of a list within.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        match self.0.get(key) {
            Some(Json::Array(items)) => items.iter().filter_map(text).collect(),
            _ => Vec::new(),
        }
    }

    /// Fields such as `net0`, `net1`, …, in the order of their numbers.
    pub(super) fn numbered(&self, prefix: &str) -> Vec<(u32, String)> {
        let number = |key: &String| -> Option<u32> { key.strip_prefix(prefix)?.parse().ok() };
        let mut found: Vec<(u32, String)> =
            self.0.iter().filter_map(|(key, value)| Some((number(key)?, text(value)?))).collect();
        found.sort();
        found
    }

    /// The fields and their values.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

fn text(value: &Json) -> Option<String> {
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(yes) => i64::from(*yes).to_string(),
        _ => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

/// Whether a text says yes, as Proxmox's own parser reads it.
pub(super) fn is_on(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked on this line")]
fn whole(number: f64) -> Option<i64> {
    (number.is_finite() && number.abs() < 9.0e15).then_some(number.trunc() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_version_says_the_same_in_another_type() {
        let rows = Row::all(json!([
            { "memory": 2048, "active": 1, "vlan-id": "30", "exists": null },
            7,
            { "memory": "2048", "active": "1", "vlan-id": 30, "exists": true },
        ]));
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert_eq!((row.int("memory"), row.int("vlan-id")), (Some(2048), Some(30)));
            assert_eq!(row.text("memory").as_deref(), Some("2048"));
            assert!(row.is("active"));
            assert_eq!((row.int("none"), row.flag("none"), row.text("none")), (None, None, None));
        }
        assert_eq!((rows[0].flag("exists"), rows[1].flag("exists")), (None, Some(true)));
        assert!(!rows[0].has("exists"));
    }

    #[test]
    fn numbered_fields_come_in_the_order_of_their_numbers() {
        let row =
            Row::of(json!({ "net10": "k", "net2": "c", "net0": "a", "netx": "?", "nets": 1 }));
        let found: Vec<u32> = row.unwrap().numbered("net").into_iter().map(|(n, _)| n).collect();
        assert_eq!(found, [0, 2, 10]);
    }

    #[test]
    fn an_answer_of_another_shape_is_no_rows() {
        assert_eq!(Row::all(json!(null)), []);
        assert_eq!(Row::all(json!({ "data": [] })), []);
        assert_eq!(Row::of(json!({ "a": [] })).unwrap().rows("b"), None);
    }
}
