//! What can be read but not written: the change log, object types, users, tokens.

use super::access::Token;
use super::changes::{Action, Change};
use super::clock::Stamp;
use super::kinds::KINDS;
use super::model::Kind;
use super::query::Query;
use super::refusal::{Refusal, wrong};
use super::version::Version;
use super::view::View;
use serde_json::{Value, json};

/// The tables that can only be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// The change log.
    Changes,
    /// The object types.
    Types,
    /// The users.
    Users,
    /// The tokens.
    Tokens,
}

impl Table {
    /// The table at a place under `/api/`.
    pub(crate) fn at(version: Version, place: &str) -> Option<Table> {
        let changes =
            if version < Version::V4_2 { "extras/object-changes" } else { "core/object-changes" };
        let types = match place {
            "extras/object-types" => version < Version::V4_6,
            "core/object-types" => version >= Version::V4_4,
            _ => false,
        };
        match place {
            _ if place == changes => Some(Table::Changes),
            _ if types => Some(Table::Types),
            "users/users" => Some(Table::Users),
            "users/tokens" => Some(Table::Tokens),
            _ => None,
        }
    }

    /// Its content type.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Table::Changes => "core.objectchange",
            Table::Types => "core.objecttype",
            Table::Users => "users.user",
            Table::Tokens => "users.token",
        }
    }

    /// The name of its class, told by 404s.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Table::Changes => "ObjectChange",
            Table::Types => "ObjectType",
            Table::Users => "User",
            Table::Tokens => "Token",
        }
    }
}

/// The rows of a table that a request's filters show, in order.
pub(crate) fn rows(
    view: &View<'_>,
    table: Table,
    tokens: &[Token],
    query: &Query,
) -> Result<Vec<Value>, Refusal> {
    match table {
        Table::Changes => changes(view, tokens, query),
        Table::Types => Ok(filtered(types(view), query, &["id", "app_label", "model"])),
        Table::Users => Ok(filtered(users(view, tokens), query, &["id", "username", "email"])),
        Table::Tokens => {
            let fields = ["id", "key", "write_enabled", "description", "user_id"];
            Ok(filtered(token_rows(view, tokens), query, &fields))
        }
    }
}

fn filtered(rows: Vec<Value>, query: &Query, fields: &[&str]) -> Vec<Value> {
    let shows = |row: &Value| {
        fields.iter().all(|field| {
            let Some(wanted) = query.params.get(*field) else {
                return true;
            };
            let has = match field.strip_suffix("_id") {
                Some(of) => &row[of]["id"],
                None => &row[*field],
            };
            let has = has.as_str().map_or_else(|| has.to_string(), str::to_owned);
            wanted.contains(&has)
        })
    };
    rows.into_iter().filter(shows).collect()
}

fn types(view: &View<'_>) -> Vec<Value> {
    let version = view.store.version;
    let place = if version < Version::V4_6 { "extras" } else { "core" };
    let each = KINDS.iter().filter(|def| version >= def.since).map(|def| {
        let (app, model) = def.label.split_once('.').unwrap_or_default();
        let id = def.kind.type_id();
        json!({
            "id": id,
            "url": format!("{}/api/{place}/object-types/{id}/", view.base),
            "display": format!("{} {} {}", app_name(app), if version < Version::V4_6 { "|" } else { ">" }, def.noun),
            "app_label": app,
            "model": model,
        })
    });
    each.collect()
}

/// An app as NetBox names it to people.
fn app_name(app: &str) -> &str {
    match app {
        "dcim" => "DCIM",
        "ipam" => "IPAM",
        "extras" => "Extras",
        "tenancy" => "Tenancy",
        _ => "Virtualization",
    }
}

/// The names of the users, each once.
fn names(tokens: &[Token]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for token in tokens {
        if !names.contains(&token.user.as_str()) {
            names.push(&token.user);
        }
    }
    names
}

/// The number of a user; users without a token come behind those with one.
fn user_id(tokens: &[Token], name: &str) -> usize {
    let names = names(tokens);
    let found = names.iter().position(|other| *other == name);
    found.unwrap_or(names.len()) + 1
}

fn user_brief(view: &View<'_>, tokens: &[Token], name: &str) -> Value {
    let id = user_id(tokens, name);
    json!({
        "id": id,
        "url": format!("{}/api/users/users/{id}/", view.base),
        "display": name,
        "username": name,
    })
}

/// A user as `/api/users/users/` and `/api/authentication-check/` answer it.
pub(crate) fn user(view: &View<'_>, tokens: &[Token], name: &str) -> Value {
    let mut user = user_brief(view, tokens, name);
    let more = json!({
        "first_name": "",
        "last_name": "",
        "email": "",
        "is_active": true,
        "date_joined": "2026-01-01T00:00:00.000001Z",
        "last_login": null,
        "groups": [],
        "permissions": [],
    });
    if let (Value::Object(user), Value::Object(more)) = (&mut user, more) {
        user.extend(more);
    }
    user
}

fn users(view: &View<'_>, tokens: &[Token]) -> Vec<Value> {
    let each = names(tokens).into_iter().map(|name| user(view, tokens, name));
    each.collect()
}

fn token_rows(view: &View<'_>, tokens: &[Token]) -> Vec<Value> {
    let newer = view.store.version >= Version::V4_6;
    let each = tokens
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, token)| newer || token.key.is_none())
        .map(|(at, token)| {
            let id = at + 1;
            let mut row = json!({
                "id": id,
                "url": format!("{}/api/users/tokens/{id}/", view.base),
                "user": user_brief(view, tokens, &token.user),
                "created": "2026-01-01T00:00:00.000001Z",
                "expires": null,
                "last_used": null,
                "write_enabled": token.write,
                "description": "",
                "allowed_ips": null,
            });
            let hidden = format!("{}{}", "*".repeat(34), tail(&token.secret));
            if !newer {
                let shown =
                    if view.store.version < Version::V4_4 { token.secret.clone() } else { hidden };
                row["display"] = shown.clone().into();
                if view.store.version < Version::V4_4 {
                    row["key"] = shown.into();
                }
                return row;
            }
            row["version"] = if token.key.is_some() { 2 } else { 1 }.into();
            row["key"] = token.key.clone().map_or(Value::Null, Value::from);
            row["display"] = token.key.clone().unwrap_or(hidden).into();
            row["enabled"] = true.into();
            row["token"] = Value::Null;
            row
        });
    each.collect()
}

/// The last six characters.
fn tail(text: &str) -> &str {
    let from = text.char_indices().rev().nth(5).map_or(0, |(at, _)| at);
    &text[from..]
}

fn changes(view: &View<'_>, tokens: &[Token], query: &Query) -> Result<Vec<Value>, Refusal> {
    let mut found = Vec::new();
    for (at, change) in view.store.changes.iter().enumerate() {
        if shows(view, tokens, at, change, query)? {
            found.push((at, change));
        }
    }
    match query.last("ordering") {
        Some("id" | "time") => {}
        _ => found.reverse(),
    }
    Ok(found.into_iter().map(|(at, change)| row(view, tokens, at, change)).collect())
}

fn shows(
    view: &View<'_>,
    tokens: &[Token],
    at: usize,
    change: &Change,
    query: &Query,
) -> Result<bool, Refusal> {
    for (name, values) in &query.params {
        if values.iter().all(String::is_empty) {
            continue;
        }
        let any = |has: &str| values.iter().any(|value| value == has);
        let number = |has: u64| {
            let bad = values.iter().any(|value| value.parse::<u64>().is_err());
            if bad {
                return Err(Refusal::Invalid(wrong(name, "Enter a whole number.")));
            }
            Ok(any(&has.to_string()))
        };
        let stamp = || {
            let text = values.last().map_or("", String::as_str);
            Stamp::parse(text)
                .ok_or_else(|| Refusal::Invalid(wrong(name, "Enter a valid date/time.")))
        };
        let shown = match name.as_str() {
            "id" => number(at as u64 + 1)?,
            "id__gte" => values
                .iter()
                .filter_map(|text| text.parse().ok())
                .any(|least: usize| at + 1 >= least),
            "id__gt" => values
                .iter()
                .filter_map(|text| text.parse().ok())
                .any(|least: usize| at + 1 > least),
            "request_id" => {
                let is_uuid = |text: &String| text.replace('-', "").len() == 32;
                if !values.iter().all(is_uuid) {
                    return Err(Refusal::Invalid(wrong(name, "Enter a valid UUID.")));
                }
                any(&change.request)
            }
            "changed_object_type" => any(change.kind.def().label),
            "changed_object_type_id" => number(change.kind.type_id())?,
            "changed_object_id" => number(change.id)?,
            "action" => {
                for value in values {
                    if Action::of(value).is_none() {
                        let what = format!(
                            "Select a valid choice. {value} is not one of the available choices."
                        );
                        return Err(Refusal::Invalid(wrong(name, what)));
                    }
                }
                any(change.action.word())
            }
            "user" => {
                let users = names(tokens);
                if let Some(value) = values.iter().find(|value| !users.contains(&value.as_str())) {
                    let what = format!(
                        "Select a valid choice. {value} is not one of the available choices."
                    );
                    return Err(Refusal::Invalid(wrong(name, what)));
                }
                any(&change.user)
            }
            "user_id" => number(user_id(tokens, &change.user) as u64)?,
            "user_name" => any(&change.user),
            "user_name__n" => !any(&change.user),
            "time_after" => change.time >= stamp()?,
            "time_before" => change.time <= stamp()?,
            "object_repr" => any(&change.name),
            "q" => searched(view, change, values),
            "limit" | "offset" | "start" | "ordering" | "fields" | "omit" | "brief" | "format" => {
                true
            }
            other if is_known(other) => {
                return Err(Refusal::Unkept(format!("the filter `{other}`")));
            }
            _ => true,
        };
        if !shown {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Filters of the change log that NetBox has and the stand-in has not.
fn is_known(name: &str) -> bool {
    let (base, _) = name.split_once("__").unwrap_or((name, ""));
    matches!(
        base,
        "id" | "user_name"
            | "object_repr"
            | "changed_object_id"
            | "changed_object_type"
            | "action"
            | "related_object_id"
            | "related_object_type"
    )
}

fn searched(view: &View<'_>, change: &Change, values: &[String]) -> bool {
    let wanted = values.last().map(|text| text.to_lowercase()).unwrap_or_default();
    let mut texts = vec![&change.user, &change.name];
    if view.store.version >= Version::V4_4 {
        texts.push(&change.message);
    }
    texts.iter().any(|text| text.to_lowercase().contains(&wanted))
}

fn row(view: &View<'_>, tokens: &[Token], at: usize, change: &Change) -> Value {
    let version = view.store.version;
    let (place, id) = (if version < Version::V4_2 { "extras" } else { "core" }, at + 1);
    let def = change.kind.def();
    let (app, _) = def.label.split_once('.').unwrap_or_default();
    let noun = match change.kind {
        Kind::Service if version >= Version::V4_4 => "application service",
        _ => def.noun,
    };
    let verb = change.action.label().to_lowercase();
    let mut row = json!({
        "id": id,
        "url": format!("{}/api/{place}/object-changes/{id}/", view.base),
        "display": format!("{} | {noun} {} {verb} by {}", app_name(app), change.name, change.user),
        "time": change.time.json(),
        "user": user_brief(view, tokens, &change.user),
        "user_name": change.user,
        "request_id": change.request,
        "action": {"value": change.action.word(), "label": change.action.label()},
        "changed_object_type": def.label,
        "changed_object_id": change.id,
        "changed_object": view.brief(change.kind, change.id),
        "prechange_data": change.before,
        "postchange_data": change.after,
    });
    if version >= Version::V4_2 {
        row["display_url"] = format!("{}/core/changelog/{id}/", view.base).into();
    }
    if version >= Version::V4_4 {
        row["message"] = change.message.clone().into();
    }
    if version >= Version::V4_6 {
        row["object_repr"] = change.name.clone().into();
    }
    row
}
