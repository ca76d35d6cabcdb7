//! The first look at what a client writes: each field for itself, as NetBox's
//! serializers take it. What fields mean together is for `checks`.

use super::addresses::{self, Net};
use super::model::{Choice, Field, Generic, Kind, Shape};
use super::python;
use super::references;
use super::refusal::{Errors, Refusal, add, wrong};
use super::store::{Store, Values};
use super::version::Version;
use super::view::Choose;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What was written, field by field.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The fields that were given, as they are kept.
    pub(crate) values: Values,
    /// The interfaces at the ends of a cable, where they were given.
    pub(crate) ends: [Option<Vec<u64>>; 2],
    /// The MAC address of an interface (4.7).
    pub(crate) mac: Option<Option<String>>,
    /// The tags that it shall have.
    pub(crate) tags: Option<BTreeSet<u64>>,
    /// The tags that it shall have too.
    pub(crate) add_tags: Option<BTreeSet<u64>>,
    /// The tags that it shall no longer have.
    pub(crate) remove_tags: Option<BTreeSet<u64>>,
    /// The custom fields that were given.
    pub(crate) custom: Option<Map<String, Value>>,
    /// What the change log shall say.
    pub(crate) message: Option<String>,
}

/// How one field is wrong.
pub(crate) enum Fault {
    /// With a message.
    Wrong(String),
    /// With several.
    Several(Value),
    /// So that the whole request is refused.
    Whole(Refusal),
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Fault::Wrong(what)
    }
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        Fault::Wrong(what.to_owned())
    }
}

/// What is parsed against.
pub(crate) struct Reading<'a> {
    /// What stands.
    pub(crate) store: &'a Store,
    /// The kind that is written.
    pub(crate) kind: Kind,
    /// The object that is changed, if it stands.
    pub(crate) id: Option<u64>,
    /// Whether fields may be missing.
    pub(crate) partial: bool,
    /// The fields that the request restricts itself to.
    pub(crate) choose: &'a Choose,
}

impl Reading<'_> {
    /// Reads what a client wrote of one object.
    pub(crate) fn read(&self, data: &Value) -> Result<Parsed, Refusal> {
        if data.is_null() {
            return Err(Refusal::Invalid(wrong("non_field_errors", "No data provided")));
        }
        let Some(data) = data.as_object() else {
            let what =
                format!("Invalid data. Expected a dictionary, but got {}.", python::type_of(data));
            return Err(Refusal::Invalid(wrong("non_field_errors", what)));
        };
        let mut parsed = Parsed::default();
        let mut errors = Errors::new();
        let def = self.kind.def();
        for field in def.fields(self.store.version) {
            // Of port mappings it was seen to before (`checks::translated`).
            let mappings = matches!(field.shape, Shape::PortMappings);
            if !mappings && !self.choose.takes(self.kind, field.name) {
                continue;
            }
            if let Shape::Unkept(kept) = field.shape {
                unkept(field, kept, data.get(field.name))?;
            }
            if !field.writable() {
                continue;
            }
            match self.field(field, data.get(field.name), &mut parsed) {
                Ok(()) => {}
                Err(Fault::Wrong(what)) => add(&mut errors, field.name, what),
                Err(Fault::Several(what)) => {
                    errors.insert(field.name.to_owned(), what);
                }
                Err(Fault::Whole(refusal)) => return Err(refusal),
            }
        }
        if def.marked {
            self.marks(data, &mut parsed, &mut errors);
        }
        if errors.is_empty() {
            self.tag_changes(data, &mut parsed)?;
        }
        if self.store.version >= Version::V4_4 {
            parsed.message = data.get("changelog_message").map(super::bulk::said);
        }
        if errors.is_empty() { Ok(parsed) } else { Err(Refusal::Invalid(errors)) }
    }

    fn field(
        &self,
        field: &'static Field,
        given: Option<&Value>,
        parsed: &mut Parsed,
    ) -> Result<(), Fault> {
        let Some(given) = given else {
            if field.required && !self.partial {
                return Err("This field is required.".into());
            }
            return Ok(());
        };
        let value = match (given, field.shape) {
            (Value::Null, Shape::Choice(_)) if !field.null => {
                return Err("This field may not be blank.".into());
            }
            (Value::Null, _) if field.null => Value::Null,
            (Value::Null, _) => return Err("This field may not be null.".into()),
            (given, shape) => self.shape(field, shape, given)?,
        };
        let value = match value.as_str() {
            Some("") if field.name == "asset_tag" && self.store.version >= Version::V4_6 => {
                Value::Null
            }
            _ => value,
        };
        if field.unique && !value.is_null() {
            self.alone(field, &value)?;
        }
        match field.shape {
            Shape::Terminations(end) => {
                let ids = value.as_array().into_iter().flatten();
                parsed.ends[usize::from(end == "B")] =
                    Some(ids.filter_map(Value::as_u64).collect());
            }
            Shape::InterfaceMac => parsed.mac = Some(value.as_str().map(str::to_owned)),
            _ => {
                parsed.values.insert(field.name, value);
            }
        }
        Ok(())
    }

    /// Refuses a value that another object of the kind has.
    fn alone(&self, field: &'static Field, value: &Value) -> Result<(), Fault> {
        let taken = self
            .store
            .of(self.kind)
            .any(|other| Some(other.id) != self.id && other.value(field.name) == value);
        if !taken {
            return Ok(());
        }
        let label = match field.name {
            "rd" => "route distinguisher".to_owned(),
            name => name.replace('_', " "),
        };
        let noun = self.kind.def().noun;
        Err(format!("{noun} with this {label} already exists.").into())
    }

    fn shape(&self, field: &Field, shape: Shape, given: &Value) -> Result<Value, Fault> {
        match shape {
            Shape::Text(longest) => text(field, longest, given),
            Shape::Slug => slug(field, given),
            Shape::Color => color(field, given),
            Shape::Int(least, most) => int(given, least, most),
            Shape::Decimal(places, least) => decimal(given, places, least),
            Shape::Bool => yes_no(given),
            Shape::Choice(choices) => self.choice(field, choices, given),
            Shape::Word(choices) => self.word(choices, given),
            Shape::One(..)
                if self.kind == Kind::InventoryItem
                    && field.name == "parent"
                    && !given.is_u64() =>
            {
                let kind = python::type_of(given);
                Err(format!("Incorrect type. Expected pk value, received {kind}.").into())
            }
            Shape::One(kind, _) => {
                references::resolve(self.store, kind, given).map(Value::from).map_err(Fault::Wrong)
            }
            Shape::Many(kind) => self.many(kind, given),
            Shape::TypeName(generic) => type_name(generic, given),
            Shape::TypeId(_) => int(given, 0, i64::MAX),
            Shape::Address => self.address(given),
            Shape::Network => network(self.store.version, given),
            Shape::Mac | Shape::InterfaceMac => {
                given.as_str().and_then(addresses::mac).map(Value::from).ok_or_else(
                    || match shape {
                        Shape::Mac => Fault::from(
                            "Invalid MAC address format: ".to_owned() + &python::plain(given),
                        ),
                        _ => "Enter a valid MAC address (e.g. 00:11:22:33:44:55).".into(),
                    },
                )
            }
            Shape::Ports => ports(given),
            Shape::PortMappings => list_of(given, |item| {
                item.as_str().map(|_| item.clone()).ok_or_else(|| "Not a valid string.".into())
            }),
            Shape::VidRanges => vid_ranges(self.store.version, given),
            Shape::Terminations(_) => self.terminations(given),
            Shape::ObjectTypes => list_of(given, object_type),
            Shape::ObjectType => object_type(given),
            Shape::Json if field.name == "local_context_data" && !given.is_object() => {
                Err("JSON data must be in object form. Example: {\"foo\": 123}".into())
            }
            Shape::Json => Ok(given.clone()),
            Shape::Object(_)
            | Shape::Computed(_)
            | Shape::Count(..)
            | Shape::Hidden
            | Shape::Unkept(_) => Ok(Value::Null),
        }
    }

    fn choice(&self, field: &Field, choices: &[Choice], given: &Value) -> Result<Value, Fault> {
        if given.as_str() == Some("") {
            return if field.null {
                Ok(Value::Null)
            } else {
                Err("This field may not be blank.".into())
            };
        }
        if given.is_object() || given.is_array() {
            return Err("Value must be passed directly (e.g. \"foo\": 123); do not use a dictionary or list.".into());
        }
        self.word(choices, given).map_err(|fault| match fault {
            Fault::Wrong(_) => format!("{} is not a valid choice.", python::plain(given)).into(),
            other => other,
        })
    }

    fn word(&self, choices: &[Choice], given: &Value) -> Result<Value, Fault> {
        let known = |word: &&str| {
            choices.iter().any(|choice| choice.value == *word && self.store.version >= choice.since)
        };
        match given.as_str() {
            Some("") => Ok(Value::Null),
            Some(word) if known(&word) => Ok(given.clone()),
            _ => Err(format!("\"{}\" is not a valid choice.", python::plain(given)).into()),
        }
    }

    /// Several references, each by id.
    fn many(&self, kind: Kind, given: &Value) -> Result<Value, Fault> {
        let Some(items) = given.as_array() else {
            let what =
                format!("Expected a list of items but got type \"{}\".", python::type_of(given));
            return Err(what.into());
        };
        let mut ids = BTreeSet::new();
        for item in items {
            let number = item.as_u64().or_else(|| item.as_str()?.parse().ok());
            let Some(id) = number else {
                let what = format!(
                    "Incorrect type. Expected pk value, received {}.",
                    python::type_of(item)
                );
                return Err(what.into());
            };
            if self.store.get(kind, id).is_none() {
                return Err(format!("Invalid pk \"{id}\" - object does not exist.").into());
            }
            ids.insert(id);
        }
        Ok(ids.into_iter().collect())
    }

    fn address(&self, given: &Value) -> Result<Value, Fault> {
        if given.as_str() == Some("") {
            return Err("This field may not be blank.".into());
        }
        if !given.is_string() {
            let kind = python::type_of(given);
            return Err(format!("unexpected type <class '{kind}'> for addr arg").into());
        }
        match given.as_str().and_then(Net::parse) {
            Some(net) => Ok(net.to_string().into()),
            None if self.store.version < Version::V4_6 => Err(Fault::Whole(UNREADABLE)),
            None => Err(format!("Invalid IP address format: {}", python::plain(given)).into()),
        }
    }

    fn terminations(&self, given: &Value) -> Result<Value, Fault> {
        let Some(items) = given.as_array() else {
            let what =
                format!("Expected a list of items but got type \"{}\".", python::type_of(given));
            return Err(Fault::Several(serde_json::json!({"non_field_errors": [what]})));
        };
        let untold = |item: &Value| {
            let missing = |name: &str| item.get(name).is_none();
            let mut errors = Errors::new();
            for name in ["object_type", "object_id"] {
                if missing(name) {
                    add(&mut errors, name, "This field is required.");
                }
            }
            errors
        };
        if items.iter().any(|item| !untold(item).is_empty()) {
            let each = items.iter().map(|item| Value::Object(untold(item)));
            return Err(Fault::Several(each.collect()));
        }
        let mut ids = Vec::new();
        for item in items {
            let label = item.get("object_type").and_then(Value::as_str).unwrap_or("");
            if label != Kind::Interface.def().label {
                let what = format!("cables on `{label}`");
                return Err(Fault::Whole(Refusal::Unkept(what)));
            }
            let id = item.get("object_id").and_then(Value::as_u64).unwrap_or(0);
            if self.store.get(Kind::Interface, id).is_none() {
                return Err(Fault::Whole(Refusal::Crash {
                    error: "Interface matching query does not exist.".into(),
                    exception: "DoesNotExist",
                }));
            }
            ids.push(Value::from(id));
        }
        Ok(Value::Array(ids))
    }

    /// Tags and custom fields.
    fn marks(&self, data: &Map<String, Value>, parsed: &mut Parsed, errors: &mut Errors) {
        let tags = data.get("tags").filter(|_| self.choose.takes(self.kind, "tags"));
        match tags.map(|given| self.tags(given)) {
            None => {}
            Some(Ok(tags)) => parsed.tags = Some(tags),
            Some(Err(what)) => {
                errors.insert("tags".to_owned(), what);
            }
        }
        if !self.choose.takes(self.kind, "custom_fields") {
            return;
        }
        match data.get("custom_fields") {
            None => {}
            Some(Value::Null) => add(errors, "custom_fields", "This field may not be null."),
            Some(given) => match super::custom::read(self.store, self.kind, given) {
                Ok(custom) => parsed.custom = Some(custom),
                Err(what) => {
                    errors.insert("custom_fields".to_owned(), what);
                }
            },
        }
    }

    /// Tags to add and to take away, which NetBox reads last and whose errors it does not catch.
    fn tag_changes(&self, data: &Map<String, Value>, parsed: &mut Parsed) -> Result<(), Refusal> {
        let tags = |name: &str| match data.get(name).map(|given| self.tags(given)) {
            None => Ok(None),
            Some(Ok(tags)) => Ok(Some(tags)),
            Some(Err(Value::Object(what))) => Err(Refusal::Invalid(what)),
            Some(Err(what)) => {
                let error = python::repr(&what).into();
                Err(Refusal::Crash { error, exception: "ValidationError" })
            }
        };
        if self.kind.def().marked && self.store.version >= Version::V4_6 {
            parsed.add_tags = tags("add_tags")?;
            parsed.remove_tags = tags("remove_tags")?;
        }
        Ok(())
    }

    fn tags(&self, given: &Value) -> Result<BTreeSet<u64>, Value> {
        if given.is_null() {
            return Err(serde_json::json!(["This field may not be null."]));
        }
        let Some(items) = given.as_array() else {
            let what =
                format!("Expected a list of items but got type \"{}\".", python::type_of(given));
            return Err(serde_json::json!({"non_field_errors": [what]}));
        };
        let mut tags = BTreeSet::new();
        for item in items {
            match references::resolve(self.store, Kind::Tag, item) {
                Ok(id) => tags.insert(id),
                Err(what) => return Err(serde_json::json!([what])),
            };
        }
        Ok(tags)
    }
}

/// Before 4.6.6 the message for what is no address could not be made.
const UNREADABLE: Refusal =
    Refusal::Crash { error: Cow::Borrowed("'data'"), exception: "KeyError" };

/// Refuses to write what is not kept; takes what it is kept at.
fn unkept(field: &Field, kept: &str, given: Option<&Value>) -> Result<(), Refusal> {
    let kept: Value = serde_json::from_str(kept).unwrap_or(Value::Null);
    match given {
        Some(given) if *given != kept && !given.is_null() && given.as_str() != Some("") => {
            Err(Refusal::Unkept(format!("the field `{}`", field.name)))
        }
        _ => Ok(()),
    }
}

fn text(field: &Field, longest: usize, given: &Value) -> Result<Value, Fault> {
    let text = match given {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err("Not a valid string.".into()),
    };
    if text.is_empty() && field.required {
        return Err("This field may not be blank.".into());
    }
    if longest > 0 && text.chars().count() > longest {
        return Err(format!("Ensure this field has no more than {longest} characters.").into());
    }
    if field.name == "dns_name" && !text.is_empty() && !is_dns_name(&text) {
        return Err("Only alphanumeric characters, asterisks, hyphens, periods, and underscores are allowed in DNS names".into());
    }
    Ok(text.into())
}

fn is_dns_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let plain = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    text.split('.').enumerate().all(|(at, label)| plain(label) || (at == 0 && label == "*"))
}

fn slug(field: &Field, given: &Value) -> Result<Value, Fault> {
    let value = text(field, 100, given)?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if value.as_str().is_some_and(|slug| slug.chars().all(plain)) {
        Ok(value)
    } else {
        Err("Enter a valid \"slug\" consisting of letters, numbers, underscores or hyphens.".into())
    }
}

fn color(field: &Field, given: &Value) -> Result<Value, Fault> {
    let value = text(field, 6, given)?;
    let hex = |text: &str| {
        text.len() == 6 && text.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
    };
    match value.as_str() {
        Some(text) if text.is_empty() || hex(text) => Ok(value),
        _ => Err("Enter a valid hexadecimal RGB color code.".into()),
    }
}

fn int(given: &Value, least: i64, most: i64) -> Result<Value, Fault> {
    let number = match given {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "only whole numbers are taken")]
            (float.fract() == 0.0).then_some(float as i64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        None => Err("A valid integer is required.".into()),
        Some(number) if number > most => {
            Err(format!("Ensure this value is less than or equal to {most}.").into())
        }
        Some(number) if number < least => {
            Err(format!("Ensure this value is greater than or equal to {least}.").into())
        }
        Some(number) => Ok(number.into()),
    }
}

fn decimal(given: &Value, places: u32, least: f64) -> Result<Value, Fault> {
    let number = match given {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()),
        _ => None,
    };
    let Some(number) = number else {
        return Err("A valid number is required.".into());
    };
    let scaled = number * f64::from(10u32.pow(places));
    if (scaled - scaled.round()).abs() > 1e-6 {
        return Err(format!("Ensure that there are no more than {places} decimal places.").into());
    }
    if number < least {
        return Err(format!("Ensure this value is greater than or equal to {least}.").into());
    }
    Ok(number.into())
}

fn yes_no(given: &Value) -> Result<Value, Fault> {
    let word = match given {
        Value::Bool(yes) => return Ok((*yes).into()),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.to_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true.into()),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false.into()),
        _ => Err("Must be a valid boolean.".into()),
    }
}

fn type_name(generic: &Generic, given: &Value) -> Result<Value, Fault> {
    let invalid = "Invalid value. Specify a content type as '<app_label>.<model_name>'.";
    let Some(label) = given.as_str() else {
        return Err(invalid.into());
    };
    match Kind::of_label(label) {
        Some(kind) if generic.to.contains(&kind) => Ok(given.clone()),
        _ if label.matches('.').count() == 1 => {
            Err(format!("Invalid content type: {label}").into())
        }
        _ => Err(invalid.into()),
    }
}

fn object_type(given: &Value) -> Result<Value, Fault> {
    let label = python::plain(given);
    match Kind::of_label(&label) {
        Some(kind) if kind.def().marked => Ok(given.clone()),
        _ if label.matches('.').count() != 1 => {
            Err("Invalid value. Specify a content type as '<app_label>.<model_name>'.".into())
        }
        _ if UNKEPT_TYPES.contains(&label.as_str()) => {
            Err(Fault::Whole(Refusal::Unkept(format!("objects of the type `{label}`"))))
        }
        _ => Err(format!("Invalid content type: {label}").into()),
    }
}

/// Some of the types that NetBox has and the stand-in has not.
const UNKEPT_TYPES: &[&str] =
    &["dcim.rack", "dcim.region", "dcim.sitegroup", "dcim.module", "ipam.role", "ipam.aggregate"];

fn network(version: Version, given: &Value) -> Result<Value, Fault> {
    let Some(net) = given.as_str().and_then(Net::parse) else {
        if version < Version::V4_6 {
            return Err(Fault::Whole(UNREADABLE));
        }
        return Err(format!("Invalid IP prefix format: {}", python::plain(given)).into());
    };
    if net.network() == net {
        Ok(net.to_string().into())
    } else {
        Err(format!("{net} is not a valid prefix. Did you mean {}?", net.network()).into())
    }
}

fn list_of(given: &Value, each: impl Fn(&Value) -> Result<Value, Fault>) -> Result<Value, Fault> {
    let Some(items) = given.as_array() else {
        let what = format!("Expected a list of items but got type \"{}\".", python::type_of(given));
        return Err(what.into());
    };
    items.iter().map(each).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn ports(given: &Value) -> Result<Value, Fault> {
    let Some(items) = given.as_array() else {
        let what = format!("Expected a list of items but got type \"{}\".", python::type_of(given));
        return Err(what.into());
    };
    if items.is_empty() {
        return Err("This list may not be empty.".into());
    }
    let mut faults = Map::new();
    let mut ports = Vec::new();
    for (at, item) in items.iter().enumerate() {
        match int(item, 1, 65535) {
            Ok(port) => ports.push(port),
            Err(Fault::Wrong(what)) => {
                faults.insert(at.to_string(), serde_json::json!([what]));
            }
            Err(other) => return Err(other),
        }
    }
    if faults.is_empty() {
        Ok(Value::Array(ports))
    } else {
        Err(Fault::Several(Value::Object(faults)))
    }
}

fn vid_ranges(version: Version, given: &Value) -> Result<Value, Fault> {
    let Some(items) = given.as_array() else {
        let what = format!("Expected a list of items but got type \"{}\".", python::type_of(given));
        return Err(Fault::Several(serde_json::json!({"non_field_errors": [what]})));
    };
    let wrong = |item: &Value| match item.as_array().map(Vec::as_slice) {
        Some([lower, upper]) if lower.is_i64() && upper.is_i64() => None,
        Some([_, _]) => Some("Range boundaries must be defined as integers."),
        _ => Some("Ranges must be specified in the form (lower, upper)."),
    };
    if items.iter().all(|item| wrong(item).is_none()) {
        return Ok(given.clone());
    }
    if version >= Version::V4_7 {
        let each = items.iter().enumerate();
        let each =
            each.filter_map(|(at, item)| Some((at.to_string(), serde_json::json!([wrong(item)?]))));
        return Err(Fault::Several(Value::Object(each.collect())));
    }
    let each = items.iter().map(|item| serde_json::json!(wrong(item).as_slice()));
    Err(Fault::Several(each.collect()))
}
