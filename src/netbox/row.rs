//! Objects as they stand in NetBox's answers and requests, to and from the domain's.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::table::{Body, Constant, Sheet};
use super::version::Version;
use crate::domain::object::{Field, ObjectRef};
use crate::domain::value::{SmallMap, Value};
use crate::domain::world::Live;

/// Fields with their values.
pub(super) type Fields = SmallMap<Field, Value>;

/// An object as NetBox answered it; none where it has no id. Fields that the answer
/// does not hold are left out.
pub(super) fn live(sheet: &Sheet, version: Version, row: &Body) -> Option<Live> {
    let id = row.get("id")?.as_u64()?;
    let fields = sheet
        .columns(version)
        .filter(|column| column.shape.names(column.name).iter().all(|name| row.contains_key(name)))
        .filter_map(|column| Some((column.field, column.read(row)?)))
        .collect();
    Some(Live { kind: sheet.kind, id, fields, stamp: stamp(row) })
}

/// When NetBox says that an object was last changed, in UTC: NetBox writes it in
/// whatever zone it is set to.
fn stamp(row: &Body) -> Option<Arc<str>> {
    let text = row.get("last_updated").and_then(Json::as_str)?;
    Some(text.parse::<Timestamp>().map_or_else(|_| text.into(), |time| utc(time).into()))
}

/// A time to the microsecond, which NetBox leaves out where there is none.
fn utc(time: Timestamp) -> String {
    let precision = if time.subsec_microsecond() == 0 { 0 } else { 6 };
    format!("{time:.precision$}")
}

/// The body of a new object. What is empty is left to NetBox.
pub(super) fn new_body(sheet: &Sheet, version: Version, fields: &Fields) -> Body {
    let mut body = Body::new();
    for (name, constant) in sheet.constants {
        let value = match constant {
            Constant::Yes => json!(true),
            Constant::Word(word) => json!(word),
            Constant::Number(number) => json!(number),
        };
        body.insert((*name).to_owned(), value);
    }
    for column in sheet.columns(version) {
        if let Some(value) = fields.get(&column.field).filter(|value| !value.is_blank()) {
            column.write(value, &mut body);
        }
    }
    body
}

/// The body that changes some fields of an object.
pub(super) fn change_body(sheet: &Sheet, version: Version, id: u64, fields: &Fields) -> Body {
    let mut body = Body::new();
    for column in sheet.columns(version) {
        if let Some(value) = fields.get(&column.field) {
            column.write(value, &mut body);
        }
    }
    body.insert("id".to_owned(), id.into());
    body
}

/// The first field that a kind does not have in this version.
pub(super) fn unknown_field(sheet: &Sheet, version: Version, fields: &Fields) -> Option<Field> {
    fields.iter().map(|(field, _)| *field).find(|field| sheet.column(version, *field).is_none())
}

/// The objects that a value refers to.
pub(super) fn references(value: &Value) -> Vec<&ObjectRef> {
    match value {
        Value::Ref(reference) => vec![reference],
        Value::Refs(all) => all.iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::object::Kind;
    use crate::netbox::table::sheet;

    #[test]
    fn a_new_custom_field_is_shown_only_where_it_holds_something_and_is_not_searched() {
        let body = new_body(sheet(Kind::CustomField), Version::of(4, 6), &Fields::default());
        assert_eq!(body["ui_visible"], "if-set");
        assert_eq!(body["filter_logic"], "exact");
        assert_eq!(body["search_weight"], 0);
    }

    #[test]
    fn a_stamp_is_the_same_whatever_zone_netbox_is_set_to() {
        let stamp = |text: &str| {
            let row = Body::from_iter([("last_updated".to_owned(), text.into())]);
            stamp(&row).unwrap().to_string()
        };
        assert_eq!(stamp("2026-11-21T03:37:43.457471Z"), "2026-11-21T03:37:43.457471Z");
        assert_eq!(stamp("2026-11-21T04:37:43.457400+01:00"), "2026-11-21T03:37:43.457400Z");
        assert_eq!(stamp("2026-11-21T03:37:43Z"), "2026-11-21T03:37:43Z");
    }
}
