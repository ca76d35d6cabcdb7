//! The shapes of values in NetBox's JSON, read and written. A value is always read
//! into the one form in which the domain compares it, so that what was written and
//! what stands are equal when nothing changed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value as Json, json};

use super::{Column, kind_of, sheet};
use crate::domain::mac::MacAddr;
use crate::domain::object::{Kind, ObjectRef};
use crate::domain::value::{Decimal, Value};

/// How a value stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Shape {
    /// A text.
    Text,
    /// A text that NetBox keeps in lower case.
    LowerCase,
    /// A choice: `{"value", "label"}` when read, the value alone when written.
    Choice,
    /// A choice that is null where the object has several values of which the domain
    /// knows no form: then the field is not read at all.
    Definite,
    /// True or false.
    Yes,
    /// A whole number.
    Number,
    /// A number with two places.
    Decimal,
    /// Megabytes that NetBox keeps in gigabytes of 1,000 (before 4.1).
    Gigabytes,
    /// A list of whole numbers.
    Numbers,
    /// A MAC address.
    Mac,
    /// An address with a mask, or a network.
    Network,
    /// A reference by id.
    One(Kind),
    /// References by id.
    Many(Kind),
    /// A pair of `…_type` and `…_id` that refers to one of these kinds.
    Generic(&'static [Kind]),
    /// A pair of `…_type` and `…_id` of which only sites are known here.
    Scope,
    /// A device or a virtual machine, each in a field of its own.
    EitherHost,
    /// The ends of a cable, as far as all of them are interfaces.
    Ends,
    /// What NetBox calls a kind, such as `dcim.device`.
    Model,
    /// What NetBox calls several kinds.
    Models,
    /// A text in a custom field.
    CustomText,
    /// A reference in a custom field.
    CustomOne(Kind),
}

/// How a field is emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Blank {
    Null,
    Empty,
    List,
}

/// A part of a request's body.
pub(in super::super) type Body = Map<String, Json>;

impl Shape {
    /// Whether it is a pair of a kind and an id.
    pub(in super::super) const fn is_generic(self) -> bool {
        matches!(self, Shape::Generic(_) | Shape::Scope)
    }

    /// The names in JSON that a field of this shape stands under.
    pub(in super::super) fn names(self, name: &str) -> Vec<String> {
        match self {
            Shape::Generic(_) | Shape::Scope => vec![format!("{name}_type"), format!("{name}_id")],
            Shape::EitherHost => vec!["device".to_owned(), "virtual_machine".to_owned()],
            Shape::CustomText | Shape::CustomOne(_) => vec!["custom_fields".to_owned()],
            _ => vec![name.to_owned()],
        }
    }
}

impl Column {
    /// The value in an object's JSON; none where what stands there has no form in the
    /// domain, so that it must be left alone.
    pub(in super::super) fn read(&self, row: &Body) -> Option<Value> {
        let name = self.name;
        let json = row.get(name).unwrap_or(&Json::Null);
        match self.shape {
            Shape::Generic(kinds) => generic(row, name, kinds),
            Shape::Scope => generic(row, name, &[Kind::Site]),
            Shape::EitherHost => {
                let host = |kind, name| row.get(name).and_then(id_of).map(|id| one(kind, id));
                let device = host(Kind::Device, "device");
                Some(device.or_else(|| host(Kind::VirtualMachine, "virtual_machine")))
                    .map(|host| host.unwrap_or(Value::Null))
            }
            Shape::CustomText | Shape::CustomOne(_) => {
                let value = row.get("custom_fields").and_then(|fields| fields.get(name));
                // A field that the kind does not have yet is as empty as one that it has.
                self.value(value.unwrap_or(&Json::Null))
            }
            _ => self.value(json),
        }
    }

    fn value(&self, json: &Json) -> Option<Value> {
        let text = |json: &Json| json.as_str().filter(|text| !text.is_empty()).map(Value::text);
        match (self.shape, json) {
            (Shape::Definite, Json::Null) | (Shape::Numbers, Json::Null) => None,
            (_, Json::Null) => Some(Value::Null),
            (_, Json::String(text)) if text.is_empty() => Some(Value::Null),
            (Shape::Text | Shape::CustomText, json) => text(json),
            (Shape::LowerCase, json) => json.as_str().map(|text| Value::text(text.to_lowercase())),
            (Shape::Choice | Shape::Definite, json) => {
                let value = json.get("value").unwrap_or(json);
                Some(text(value).unwrap_or(Value::Null))
            }
            (Shape::Yes, json) => json.as_bool().map(Value::Bool),
            (Shape::Number, json) => whole(json).map(Value::Int),
            (Shape::Gigabytes, json) => whole(json).map(|number| Value::Int(number * 1_000)),
            (Shape::Decimal, json) => decimal(json).map(Value::Decimal),
            (Shape::Numbers, Json::Array(all)) => {
                Some(Value::Ints(all.iter().filter_map(Json::as_i64).collect()))
            }
            (Shape::Mac, json) => {
                let text = json.as_str()?;
                let mac = text.parse::<MacAddr>().map(|mac| mac.to_string());
                Some(Value::text(mac.unwrap_or_else(|_| text.to_lowercase())))
            }
            (Shape::Network, json) => json.as_str().map(|text| Value::text(network(text))),
            (Shape::One(kind) | Shape::CustomOne(kind), json) => {
                id_of(json).map(|id| one(kind, id))
            }
            (Shape::Many(kind), Json::Array(all)) => {
                let refs = all.iter().filter_map(id_of).map(|id| ObjectRef::Live(kind, id));
                Some(some(refs.collect()))
            }
            (Shape::Ends, Json::Array(all)) => ends(all),
            (Shape::Model, json) => json.as_str().map(|model| Value::text(word_of(model))),
            (Shape::Models, Json::Array(all)) => {
                Some(Value::words(all.iter().filter_map(Json::as_str).map(word_of)))
            }
            _ => None,
        }
    }

    /// Puts a value into a request's body.
    pub(in super::super) fn write(&self, value: &Value, body: &mut Body) {
        let name = self.name;
        let blank = value.is_blank();
        match (self.shape, value) {
            (Shape::Generic(_) | Shape::Scope, Value::Ref(reference)) => {
                body.insert(format!("{name}_type"), sheet(reference.kind()).model.into());
                body.insert(format!("{name}_id"), json!(reference.live_id()));
            }
            (Shape::Generic(_) | Shape::Scope, _) => {
                body.insert(format!("{name}_type"), Json::Null);
                body.insert(format!("{name}_id"), Json::Null);
            }
            (Shape::EitherHost, _) => {
                for (kind, name) in
                    [(Kind::Device, "device"), (Kind::VirtualMachine, "virtual_machine")]
                {
                    let id = value.as_ref().filter(|host| host.kind() == kind);
                    body.insert(name.to_owned(), json!(id.and_then(ObjectRef::live_id)));
                }
            }
            (Shape::CustomText | Shape::CustomOne(_), value) => {
                let fields = body.entry("custom_fields").or_insert_with(|| json!({}));
                if let Json::Object(fields) = fields {
                    fields.insert(name.to_owned(), scalar(value));
                }
            }
            (_, _) if blank => {
                let empty = match self.blank {
                    Blank::Null => Json::Null,
                    Blank::Empty => "".into(),
                    Blank::List => json!([]),
                };
                body.insert(name.to_owned(), empty);
            }
            (Shape::Gigabytes, Value::Int(megabytes)) => {
                let gigabytes = (megabytes + 500) / 1_000;
                body.insert(name.to_owned(), gigabytes.max(1).into());
            }
            (Shape::Model, Value::Text(word)) => {
                body.insert(name.to_owned(), model_of(word).into());
            }
            (Shape::Models, Value::Words(words)) => {
                body.insert(name.to_owned(), words.iter().map(|word| model_of(word)).collect());
            }
            (Shape::Ends, Value::Refs(refs)) => {
                let end = |end: &ObjectRef| json!({"object_type": sheet(end.kind()).model, "object_id": end.live_id()});
                body.insert(name.to_owned(), refs.iter().map(end).collect());
            }
            (Shape::Text, Value::Text(text)) => {
                body.insert(name.to_owned(), self.clipped(text).into());
            }
            (_, value) => {
                body.insert(name.to_owned(), scalar(value));
            }
        }
    }

    /// A description says as much as fits. Whatever tells one object from another is
    /// never cut: then NetBox refuses it and says why.
    fn clipped<'t>(&self, text: &'t str) -> &'t str {
        const LONGEST: usize = 200;
        match (self.name, text.char_indices().nth(LONGEST)) {
            ("description", Some((end, _))) => text[..end].trim_end(),
            _ => text.trim(),
        }
    }
}

fn one(kind: Kind, id: u64) -> Value {
    Value::Ref(ObjectRef::Live(kind, id))
}

fn some(refs: BTreeSet<ObjectRef>) -> Value {
    Value::Refs(refs)
}

/// The id of a nested object, or of a reference that is an id itself.
fn id_of(json: &Json) -> Option<u64> {
    json.as_u64().or_else(|| json.get("id")?.as_u64())
}

fn generic(row: &Body, name: &str, kinds: &[Kind]) -> Option<Value> {
    let model = row.get(&format!("{name}_type")).and_then(Json::as_str);
    let id = row.get(&format!("{name}_id")).and_then(Json::as_u64);
    match (model, id) {
        (Some(model), Some(id)) => {
            kind_of(model).filter(|kind| kinds.contains(kind)).map(|kind| one(kind, id))
        }
        _ => Some(Value::Null),
    }
}

fn ends(all: &[Json]) -> Option<Value> {
    let end = |end: &Json| {
        let interface = end.get("object_type")?.as_str()? == sheet(Kind::Interface).model;
        let id = end.get("object_id")?.as_u64()?;
        interface.then_some(ObjectRef::Live(Kind::Interface, id))
    };
    all.iter().map(end).collect::<Option<BTreeSet<_>>>().map(some)
}

fn whole(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
}

fn decimal(json: &Json) -> Option<Decimal> {
    json.as_f64().and_then(Decimal::nearest).or_else(|| json.as_str()?.parse().ok())
}

/// An address or network as the domain writes it; what is none stays as it is.
fn network(text: &str) -> Arc<str> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().map_or_else(|_| text.into(), |ip| ip.to_string().into());
    };
    let known = address.parse::<IpAddr>().ok().zip(length.parse().ok());
    known
        .and_then(|(ip, length)| IpNet::new(ip, length).ok())
        .map_or_else(|| text.into(), |net| net.to_string().into())
}

/// The domain's word for what NetBox calls a kind. Kinds that the domain does not know
/// keep NetBox's word, so that they are not lost when the list is written again.
fn word_of(model: &str) -> &str {
    match kind_of(model) {
        Some(kind) => kind.as_str(),
        None => model,
    }
}

fn model_of(word: &str) -> &str {
    word.parse::<Kind>().map_or(word, |kind| sheet(kind).model)
}

fn scalar(value: &Value) -> Json {
    let id = |reference: &ObjectRef| json!(reference.live_id());
    match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => (*yes).into(),
        Value::Int(number) => (*number).into(),
        Value::Decimal(number) => json!(number.as_f64()),
        Value::Text(text) => (&**text).into(),
        Value::Words(words) => words.iter().map(|word| Json::from(&**word)).collect(),
        Value::Ints(numbers) => numbers.iter().copied().collect(),
        Value::Ref(reference) => id(reference),
        Value::Refs(refs) => refs.iter().map(id).collect(),
    }
}
