//! Which objects of a kind a list shows. As in NetBox an unknown filter is no
//! filter at all, and unknown values are refused or find nothing, filter by filter.

use super::addresses::{Net, mac, net_of};
use super::clock::Stamp;
use super::kinds::UNKEPT_ANYWHERE;
use super::model::{By, Choice, Kind, Shape};
use super::python;
use super::query::Query;
use super::refusal::{Refusal, wrong};
use super::store::Object;
use super::version::Version;
use super::view::View;
use serde_json::Value;

/// The parameters that are no filters.
const NOT_FILTERS: &[&str] =
    &["limit", "offset", "start", "ordering", "fields", "omit", "brief", "format", "background"];

/// What follows the two underscores in a filter's name.
const LOOKUPS: &[&str] = &[
    "n", "ic", "nic", "iew", "niew", "isw", "nisw", "ie", "nie", "empty", "regex", "iregex", "lt",
    "lte", "gt", "gte", "any",
];

/// One parameter that filters.
struct Term<'a> {
    by: By,
    lookup: &'a str,
    values: &'a [String],
}

/// The objects of a kind that a request's filters show, by id.
pub(crate) fn select<'a>(
    view: &View<'a>,
    kind: Kind,
    query: &Query,
) -> Result<Vec<&'a Object>, Refusal> {
    blanks(view.store.version, kind, query)?;
    let mut terms = Vec::new();
    let mut others: Vec<Test<'_>> = Vec::new();
    for (name, values) in &query.filled {
        if NOT_FILTERS.contains(&name.as_str()) {
            continue;
        }
        let (base, lookup) = split(name);
        unkept(view.store.version, kind, base, lookup)?;
        if let Some(test) = common(view, kind, (name, base, lookup), values)? {
            others.push(test);
        } else if let Some(by) = known(view.store.version, kind, base) {
            check(view, name, by, lookup, values)?;
            if takes(by, lookup) {
                terms.push(Term { by, lookup, values });
            } else if matches!(by, By::Ask(_) | By::AskId(..) | By::AskNumber(_)) {
                return Err(Refusal::Unkept(format!("the filter `{name}`")));
            }
        }
    }
    Ok(view
        .store
        .of(kind)
        .filter(|object| {
            terms.iter().all(|term| shows(view, object, term))
                && others.iter().all(|test| test(object))
        })
        .collect())
}

/// A filter's name and what it does with the value.
fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once("__") {
        Some((base, lookup)) if LOOKUPS.contains(&lookup) => (base, lookup),
        _ => (name, ""),
    }
}

/// Refuses empty values of filters that take only what there is; others are no filters then.
fn blanks(version: Version, kind: Kind, query: &Query) -> Result<(), Refusal> {
    let blank = query.params.iter().filter(|(_, values)| values.iter().any(String::is_empty));
    for (name, _) in blank {
        let (base, _) = split(name);
        let marks = kind.def().marked && matches!(base, "tag" | "tag_id");
        let what = match known(version, kind, base) {
            Some(By::Id(..)) => "“” is not a valid value.",
            Some(By::Attribute(..) | By::Choice(..)) => {
                "Select a valid choice.  is not one of the available choices."
            }
            _ if marks => "Select a valid choice.  is not one of the available choices.",
            _ => continue,
        };
        return Err(Refusal::Invalid(wrong(name, what)));
    }
    Ok(())
}

fn unkept(version: Version, kind: Kind, base: &str, lookup: &str) -> Result<(), Refusal> {
    let def = kind.def();
    let other = def.filters.iter().any(|filter| filter.name == base);
    let field = def.field(version, base).filter(|_| !other);
    if field.is_some_and(|field| matches!(field.shape, Shape::Unkept(_))) {
        return Err(Refusal::Unkept(format!("the filter `{base}`")));
    }
    let among = |words: &str| words.split(' ').any(|word| word == base);
    if among(def.unkept_filters) || (among(UNKEPT_ANYWHERE) && !other) {
        return Err(Refusal::Unkept(format!("the filter `{base}`")));
    }
    if matches!(lookup, "regex" | "iregex" | "any") {
        return Err(Refusal::Unkept(format!("the lookup `{lookup}`")));
    }
    Ok(())
}

/// The filter of a name, whether a plain field or the table gives it.
fn known(version: Version, kind: Kind, base: &str) -> Option<By> {
    let def = kind.def();
    let named = def.filters.iter().find(|filter| filter.name == base && filter.lives(version));
    if let Some(filter) = named {
        return Some(filter.by);
    }
    let field = def.fields(version).find(|field| field.name == base)?;
    let way = std::slice::from_ref(&field.name);
    match field.shape {
        Shape::Text(0) => None,
        Shape::Text(_) | Shape::Slug | Shape::Color => Some(By::Text(way)),
        Shape::Int(..) | Shape::Decimal(..) => Some(By::Number(way)),
        Shape::Bool => Some(By::Bool(way)),
        Shape::Choice(choices) | Shape::Word(choices) => Some(By::Choice(way, choices, field.null)),
        _ => None,
    }
}

fn takes(by: By, lookup: &str) -> bool {
    let allowed: &[&str] = match by {
        By::Text(_) | By::Loose(_) | By::Choice(..) => {
            &["", "n", "ic", "nic", "iew", "niew", "isw", "nisw", "ie", "nie", "empty"]
        }
        By::Macs(_) => &["", "n", "ic", "nic", "iew", "niew", "isw", "nisw", "ie", "nie"],
        By::Number(_) => &["", "n", "lt", "lte", "gt", "gte", "empty"],
        By::Id(..) | By::Attribute(..) | By::TypeName(_) | By::Ask(_) | By::AskId(..) => &["", "n"],
        By::Bool(_) | By::AskNumber(_) | By::Whether(_) => &[""],
    };
    allowed.contains(&lookup)
}

/// Refuses values that a filter cannot take.
fn check(
    view: &View<'_>,
    name: &str,
    by: By,
    lookup: &str,
    values: &[String],
) -> Result<(), Refusal> {
    let refuse = |what: String| Err(Refusal::Invalid(wrong(name, what)));
    for value in values {
        let unavailable =
            format!("Select a valid choice. {value} is not one of the available choices.");
        match by {
            _ if lookup == "empty" => {}
            By::Number(_) | By::AskNumber(_) if value.parse::<f64>().is_err() => {
                return refuse("Enter a whole number.".to_owned());
            }
            By::Choice(_, _, false) if value == "null" => return refuse(unavailable),
            _ if value == "null" => {}
            By::Id(_, kind) | By::AskId(kind, _) => {
                let Ok(id) = value.parse::<u64>() else {
                    return refuse(format!("“{value}” is not a valid value."));
                };
                if view.store.get(kind, id).is_none() {
                    return refuse(unavailable);
                }
            }
            By::Attribute(_, kind, attribute) => {
                let has = |object: &Object| python::plain(object.value(attribute)) == *value;
                if !view.store.of(kind).any(has) {
                    return refuse(unavailable);
                }
            }
            By::Choice(_, choices, _) if !is_choice(choices, value) => {
                return refuse(unavailable);
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_choice(choices: &[Choice], value: &str) -> bool {
    choices.iter().any(|choice| choice.value == value)
}

fn shows(view: &View<'_>, object: &Object, term: &Term<'_>) -> bool {
    let negative = term.lookup.starts_with('n');
    let matched = match term.by {
        By::Text(way) | By::Choice(way, ..) => {
            let has = ends(view, object, way);
            return lookup_text(&has, term.lookup, term.values);
        }
        By::Loose(way) => {
            let lookup = match term.lookup {
                "" => "ie",
                "n" => "nie",
                other => other,
            };
            return lookup_text(&ends(view, object, way), lookup, term.values);
        }
        By::TypeName(field) => {
            let has = object.text(field);
            return term.values.iter().any(|value| value.eq_ignore_ascii_case(has));
        }
        By::Macs(of) => return lookup_macs(&of(view, object), term.lookup, term.values),
        By::Number(way) => {
            let has = ends(view, object, way);
            return lookup_number(&has, term.lookup, term.values);
        }
        By::Bool(way) => {
            return yes(term.values)
                .is_none_or(|wanted| ends(view, object, way) == Value::Bool(wanted));
        }
        By::Whether(asked) => {
            return yes(term.values).is_none_or(|wanted| asked(view, object) == wanted);
        }
        By::Id(way, _) => {
            let has = ends(view, object, way);
            term.values.iter().any(|value| *value == python::plain(&has).replace("None", "null"))
        }
        By::Attribute(way, kind, attribute) => {
            let has = ends(view, object, way);
            let found = has.as_u64().and_then(|id| view.store.get(kind, id));
            let has = found.map_or(&Value::Null, |found| found.value(attribute));
            let has = if has.is_null() { "null".to_owned() } else { python::plain(has) };
            term.values.contains(&has)
        }
        By::Ask(asked) | By::AskNumber(asked) | By::AskId(_, asked) => {
            asked(view, object, term.values)
        }
    };
    matched != negative
}

/// What stands at the end of a way.
fn ends(view: &View<'_>, object: &Object, way: &[&str]) -> Value {
    let Some((last, hops)) = way.split_last() else {
        return Value::Null;
    };
    let mut at = object;
    for hop in hops {
        let field = at.kind.def().field(view.store.version, hop);
        let Some(Shape::One(kind, _)) = field.map(|field| field.shape) else {
            return Value::Null;
        };
        match at.id_of(hop).and_then(|id| view.store.get(kind, id)) {
            Some(next) => at = next,
            None => return Value::Null,
        }
    }
    at.value(last).clone()
}

/// What a question is answered with; anything else, `1` too, is no filter.
fn yes(values: &[String]) -> Option<bool> {
    match values.last()?.as_str() {
        "true" | "True" | "2" => Some(true),
        "false" | "False" | "3" => Some(false),
        _ => None,
    }
}

fn lookup_text(has: &Value, lookup: &str, values: &[String]) -> bool {
    let blank = has.is_null() || has.as_str() == Some("");
    if lookup == "empty" {
        return yes(values).is_none_or(|wanted| wanted == blank);
    }
    if has.is_null() {
        let wanted = matches!(lookup, "" | "n") && values.iter().any(|value| value == "null");
        return wanted != lookup.starts_with('n');
    }
    let text = python::plain(has);
    let (lower, kind) = (text.to_lowercase(), lookup.trim_start_matches('n'));
    let one = |value: &String| {
        let small = value.to_lowercase();
        match kind {
            "ic" => lower.contains(&small),
            "iew" => lower.ends_with(&small),
            "isw" => lower.starts_with(&small),
            "ie" => lower == small,
            _ => text == *value,
        }
    };
    values.iter().any(one) != lookup.starts_with('n')
}

/// Compares MAC addresses. One value that is no MAC address lets a comparison find nothing.
fn lookup_macs(has: &[String], lookup: &str, values: &[String]) -> bool {
    let negative = lookup.starts_with('n');
    let kind = lookup.trim_start_matches('n');
    let none = values.iter().any(|value| value == "null") && has.is_empty();
    if kind.is_empty() {
        let wanted: Option<Vec<String>> =
            values.iter().filter(|value| *value != "null").map(|value| mac(value)).collect();
        return wanted.is_some_and(|wanted| {
            (none || has.iter().any(|mac| wanted.contains(mac))) != negative
        });
    }
    let text = |mac: &String| lookup_text(&mac.as_str().into(), kind, values);
    has.iter().any(text) != negative
}

fn lookup_number(has: &Value, lookup: &str, values: &[String]) -> bool {
    let number = has.as_f64();
    let one = |value: &String| {
        let Ok(wanted) = value.parse::<f64>() else {
            return false;
        };
        number.is_some_and(|number| match lookup {
            "lt" => number < wanted,
            "lte" => number <= wanted,
            "gt" => number > wanted,
            "gte" => number >= wanted,
            #[expect(clippy::float_cmp, reason = "both are read from the same digits")]
            _ => number == wanted,
        })
    };
    match lookup {
        "empty" => yes(values).is_none_or(|wanted| wanted == number.is_none()),
        "n" => !values.iter().any(one),
        _ => values.iter().any(one),
    }
}

type Test<'a> = Box<dyn Fn(&Object) -> bool + 'a>;

/// The filters that every kind has.
fn common<'a>(
    view: &'a View<'_>,
    kind: Kind,
    (name, base, lookup): (&'a str, &'a str, &'a str),
    values: &'a [String],
) -> Result<Option<Test<'a>>, Refusal> {
    Ok(match base {
        "id" => {
            if lookup != "empty" && values.iter().any(|value| value.parse::<u64>().is_err()) {
                return Err(Refusal::Invalid(wrong(name, "Enter a whole number.")));
            }
            Some(Box::new(move |object| lookup_number(&object.id.into(), lookup, values)))
        }
        "q" if lookup.is_empty() => Some(Box::new(move |object| searched(view, object, values))),
        "tag" if kind.def().marked => Some(tagged(view, name, lookup, values, "slug")?),
        "tag_id" if kind.def().marked && view.store.version >= Version::V4_4 => {
            Some(tagged(view, name, lookup, values, "id")?)
        }
        "created" | "last_updated" => Some(timed(base, lookup, values)?),
        "created_by_request" | "updated_by_request" | "modified_by_request" => {
            Some(requested(view, kind, base, values)?)
        }
        _ => match base.strip_prefix("cf_") {
            Some(name) if kind.def().marked => custom(view, kind, name, lookup, values)?,
            _ => None,
        },
    })
}

fn tagged<'a>(
    view: &'a View<'_>,
    name: &str,
    lookup: &'a str,
    values: &'a [String],
    by: &str,
) -> Result<Test<'a>, Refusal> {
    let mut tags = Vec::new();
    for value in values {
        if value == "null" {
            continue;
        }
        if by == "id" && value.parse::<u64>().is_err() {
            let what = format!("“{value}” is not a valid value.");
            return Err(Refusal::Invalid(wrong(name, what)));
        }
        let found = view.store.of(Kind::Tag).find(|tag| match by {
            "id" => tag.id.to_string() == *value,
            _ => tag.text("slug") == value,
        });
        let Some(tag) = found else {
            let what =
                format!("Select a valid choice. {value} is not one of the available choices.");
            return Err(Refusal::Invalid(wrong(name, what)));
        };
        tags.push(tag.id);
    }
    let untagged = values.iter().any(|value| value == "null");
    Ok(Box::new(move |object| {
        let has = |tag: &u64| object.tags.contains(tag);
        if untagged && !object.tags.is_empty() {
            return lookup == "n";
        }
        if lookup == "n" { !tags.iter().any(has) } else { tags.iter().all(has) }
    }))
}

fn timed<'a>(field: &'a str, lookup: &'a str, values: &[String]) -> Result<Test<'a>, Refusal> {
    let mut stamps = Vec::new();
    for value in values {
        let Some(stamp) = Stamp::parse(value) else {
            let name =
                if lookup.is_empty() { field.to_owned() } else { format!("{field}__{lookup}") };
            return Err(Refusal::Invalid(wrong(&name, "Enter a valid date/time.")));
        };
        stamps.push(stamp);
    }
    Ok(Box::new(move |object| {
        let has = if field == "created" { object.created } else { object.updated };
        let one = |wanted: &Stamp| match lookup {
            "lt" => has < *wanted,
            "lte" => has <= *wanted,
            "gt" => has > *wanted,
            "gte" => has >= *wanted,
            _ => has == *wanted,
        };
        stamps.iter().any(one) != (lookup == "n")
    }))
}

fn requested<'a>(
    view: &'a View<'_>,
    kind: Kind,
    name: &'a str,
    values: &'a [String],
) -> Result<Test<'a>, Refusal> {
    let is_uuid = |text: &String| {
        let plain = text.replace('-', "");
        plain.len() == 32 && plain.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    if !values.iter().all(is_uuid) {
        return Err(Refusal::Invalid(wrong(name, "Enter a valid UUID.")));
    }
    Ok(Box::new(move |object| {
        view.store.changes.iter().any(|change| {
            let action = match name {
                "created_by_request" => change.action.word() == "create",
                "updated_by_request" => change.action.word() == "update",
                _ => change.action.word() != "delete",
            };
            action
                && change.kind == kind
                && change.id == object.id
                && values.contains(&change.request)
        })
    }))
}

/// A custom field's filter; none where objects of the kind have no such field.
fn custom<'a>(
    view: &'a View<'_>,
    kind: Kind,
    name: &str,
    lookup: &'a str,
    values: &'a [String],
) -> Result<Option<Test<'a>>, Refusal> {
    let Some(cf) = view.fields_for(kind).find(|cf| cf.text("name") == name) else {
        return Ok(None);
    };
    let name = cf.text("name").to_owned();
    let logic = cf.text("filter_logic").to_owned();
    if logic == "disabled" {
        return Ok(None);
    }
    let (version, boolean) = (view.store.version, cf.text("type") == "boolean");
    let numeric = matches!(cf.text("type"), "integer" | "decimal" | "object" | "multiobject");
    let word = matches!(cf.text("type"), "text" | "longtext" | "url");
    let lookup = if lookup.is_empty() && logic == "loose" && word { "ic" } else { lookup };
    if numeric && lookup != "empty" && values.iter().any(|value| value.parse::<f64>().is_err()) {
        let name = format!("cf_{name}");
        return Err(Refusal::Invalid(wrong(&name, "Enter a whole number.")));
    }
    Ok(Some(Box::new(move |object| {
        let has = object.custom.get(&name).unwrap_or(&Value::Null);
        if boolean && lookup.is_empty() {
            let has = has == &Value::Bool(true) || has.as_i64() == Some(1);
            return yes(values).is_none_or(|wanted| wanted == has);
        }
        if numeric {
            return match has {
                Value::Array(items) => items.iter().any(|item| lookup_number(item, lookup, values)),
                has => lookup_number(has, lookup, values),
            };
        }
        if lookup == "empty" && version < Version::V4_4 && has.is_null() {
            return !yes(values).unwrap_or(false);
        }
        lookup_text(has, lookup, values)
    })))
}

/// Whether one of the fields that a kind is searched by contains all that is looked for.
fn searched(view: &View<'_>, object: &Object, values: &[String]) -> bool {
    let Some(wanted) = values.last().map(|text| text.trim().to_lowercase()) else {
        return true;
    };
    let as_mac = mac(&wanted).unwrap_or_default();
    let net = Net::parse(&wanted);
    object.kind.def().search.iter().any(|field| {
        let shape = object.kind.def().field(view.store.version, field).map(|field| field.shape);
        let text = match shape {
            Some(Shape::One(Kind::IpAddress, _)) => {
                let address =
                    object.id_of(field).and_then(|id| view.store.get(Kind::IpAddress, id));
                let own = address.and_then(|address| net_of(address, "address"));
                return own.is_some_and(|own| net.is_some_and(|net| net.ip == own.ip));
            }
            Some(Shape::Int(..)) => return python::plain(object.value(field)) == wanted,
            Some(Shape::Address) if object.kind == Kind::IpAddress => {
                return object.text(field).to_lowercase().starts_with(&wanted);
            }
            Some(Shape::Network)
                if net_of(object, field)
                    .is_some_and(|own| net.is_some_and(|net| own.covers(net))) =>
            {
                return true;
            }
            Some(Shape::One(kind, _)) => object
                .id_of(field)
                .and_then(|id| view.store.get(kind, id))
                .map_or_else(String::new, |found| super::kinds::display(view.store, found)),
            _ => python::plain(object.value(field)),
        };
        text.to_lowercase().contains(&wanted) || (!as_mac.is_empty() && text.contains(&as_mac))
    })
}
