//! Whether NetBox is ready for the agent, found out without writing anything: what the
//! token may do with each kind of object, whether the tag and the custom fields stand,
//! and whether NetBox keeps addresses unique.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures::future::try_join_all;
use serde_json::Value as Json;

use super::api::Api;
use super::error::{NetBoxError, detail, is_about_the_token};
use super::table::sheet;
use super::{page, snapshot};
use crate::domain::desire::MARKS;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::name::slug;
use crate::domain::object::{Field, Kind};
use crate::domain::settings::{Deletion, Policy};
use crate::domain::value::Value;
use crate::domain::world::{Need, World};
use crate::http::{HttpError, Method};

/// The permissions that a token's user needs for one kind of object, in NetBox's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The kind, such as `dcim.device`.
    pub model: String,
    /// The actions: `view`, `add`, `change`, `delete`.
    pub actions: Vec<&'static str>,
}

/// The change log's model, since 4.1 and before.
fn log_model(api: &Api) -> &'static str {
    if api.version.change_log().starts_with("core") {
        "core.objectchange"
    } else {
        "extras.objectchange"
    }
}

/// The least that the token's user has to be allowed.
pub(super) fn least(api: &Api, policy: &Policy) -> Vec<Permission> {
    let kinds = snapshot::supported(api.version).into_iter().map(|kind| {
        let mut actions = vec!["view", "add", "change"];
        if deletes(kind, policy.absence.delete) {
            actions.push("delete");
        }
        Permission { model: sheet(kind).model.to_owned(), actions }
    });
    let log = Permission { model: log_model(api).to_owned(), actions: vec!["view"] };
    let mut all: Vec<Permission> = kinds.chain([log]).collect();
    all.sort();
    all
}

/// Whether objects of a kind may have to be deleted.
fn deletes(kind: Kind, policy: Deletion) -> bool {
    let is_part = matches!(
        kind,
        Kind::Interface
            | Kind::VmInterface
            | Kind::VirtualDisk
            | Kind::InventoryItem
            | Kind::MacAddress
            | Kind::IpAddress
            | Kind::Service
            | Kind::Cable
    );
    let is_host = matches!(kind, Kind::Device | Kind::VirtualMachine);
    match policy {
        Deletion::Never => false,
        Deletion::Parts => is_part,
        Deletion::All => is_part || is_host,
    }
}

/// What the token may do with a kind of object, as far as can be told without doing it.
#[derive(Debug, Clone, Copy)]
struct Rights {
    kind: Kind,
    view: bool,
    add: bool,
    change: bool,
}

impl Rights {
    fn missing(&self) -> Vec<&'static str> {
        [("view", self.view), ("add", self.add), ("change", self.change)]
            .into_iter()
            .filter(|(_, given)| !given)
            .map(|(action, _)| action)
            .collect()
    }
}

/// Looks at everything; notes say what is right.
pub(super) async fn check(api: &Api, policy: &Policy) -> Result<Vec<Diagnostic>, NetBoxError> {
    let mut found = vec![token(api).await?];
    let kinds = snapshot::supported(api.version);
    let rights = try_join_all(kinds.into_iter().map(|kind| rights(api, kind))).await?;
    found.extend(permissions(&rights));
    found.push(change_log(api).await?);
    let visible: BTreeSet<Kind> =
        rights.iter().filter(|rights| rights.view).map(|rights| rights.kind).collect();
    let needed = [Kind::Tag, Kind::CustomField, Kind::IpAddress];
    let need = Need { kinds: needed.into_iter().filter(|kind| visible.contains(kind)).collect() };
    let world = snapshot::read(api, &need).await?;
    found.extend(prerequisites(&world, policy));
    found.extend(twins(&world));
    if visible.contains(&Kind::Vrf) {
        found.extend(vrfs(api, policy).await?);
    }
    Ok(found)
}

async fn token(api: &Api) -> Result<Diagnostic, NetBoxError> {
    let user = match api.fetch("authentication-check", &[]).await {
        Ok(answer) => {
            let user: Json = answer.json()?;
            let name = user.get("username").and_then(Json::as_str);
            name.map(|name| format!(" of {}", crate::domain::name::visible(name, 60)))
        }
        // Before 4.5 nobody can be asked whose a token is.
        Err(HttpError::Status { code: 404, .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let user = user.unwrap_or_default();
    let message = format!("version {}{user}, accepted", api.token_version());
    Ok(Diagnostic::note("token", "token", message))
}

/// Whether a read is allowed; other errors stay errors.
fn is_allowed<T>(answer: Result<T, HttpError>) -> Result<bool, NetBoxError> {
    match answer {
        Ok(_) => Ok(true),
        Err(HttpError::Status { code: 403, place, body }) => match detail(&body) {
            Some(said) if is_about_the_token(&said) => Err(NetBoxError::Token { place, said }),
            _ => Ok(false),
        },
        Err(error) => Err(error.into()),
    }
}

async fn rights(api: &Api, kind: Kind) -> Result<Rights, NetBoxError> {
    let endpoint = sheet(kind).endpoint;
    let view = is_allowed(api.fetch(endpoint, &[("limit", "1"), ("fields", "id")]).await)?;
    // NetBox names there what this token may do: POST is adding, PUT is changing.
    let told: Json = api.describe(endpoint).await?;
    let may = |method: Method| told.pointer(&format!("/actions/{method}")).is_some();
    Ok(Rights { kind, view, add: may(Method::POST), change: may(Method::PUT) })
}

fn permissions(all: &[Rights]) -> Vec<Diagnostic> {
    let lacking: Vec<&Rights> = all.iter().filter(|rights| !rights.missing().is_empty()).collect();
    if lacking.is_empty() {
        let message =
            format!("the token may read, add and change all {} kinds of objects", all.len());
        return vec![Diagnostic::note("permission", "permissions", message)];
    }
    if all.iter().all(|rights| !rights.add && !rights.change) {
        let message = if all.iter().any(|rights| rights.view) {
            "the token may read and not write: tick `Write enabled` at the token, and give its \
             user the permissions listed below"
        } else {
            "the token may do nothing: give its user the permissions listed below"
        };
        return vec![Diagnostic::error("permission", "permissions", message)];
    }
    lacking
        .iter()
        .map(|rights| {
            let (app, model) = sheet(rights.kind).model.split_once('.').unwrap_or_default();
            let missing = rights.missing();
            let wanted: Vec<String> =
                missing.iter().map(|action| format!("{app}.{action}_{model}")).collect();
            let message = format!(
                "the token may not {} these; give its user {}",
                missing.join(" or "),
                wanted.join(" and ")
            );
            Diagnostic::error("permission", sheet(rights.kind).endpoint, message)
        })
        .collect()
}

async fn change_log(api: &Api) -> Result<Diagnostic, NetBoxError> {
    let path = api.version.change_log();
    let readable = is_allowed(api.fetch(path, &[("limit", "1"), ("fields", "id")]).await)?;
    Ok(if readable {
        let message = "readable; what was written can be learnt again when the store is lost";
        Diagnostic::note("change_log", "change log", message)
    } else {
        let (app, model) = log_model(api).split_once('.').unwrap_or_default();
        let message = format!(
            "the token may not read it, so that after a loss of the store every value counts as a \
             person's; give its user {app}.view_{model}"
        );
        Diagnostic::warning("change_log", "change log", message)
    })
}

/// The tag and the custom fields that the agent's marks stand in.
fn prerequisites(world: &World, policy: &Policy) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if world.read.contains(&Kind::Tag) {
        let own = slug(&policy.tag);
        let stands = world.of(Kind::Tag).any(|tag| {
            tag.field(Field::Slug).as_text() == Some(&own)
                || tag.field(Field::Name).as_text() == Some(&policy.tag)
        });
        let about = format!("tag {}", policy.tag);
        let message = if stands { "stands" } else { "missing; the first sync makes it" };
        found.push(Diagnostic::note("tag", about, message));
    }
    if world.read.contains(&Kind::CustomField) {
        found.extend(MARKS.iter().map(|mark| custom_field(world, mark)));
    }
    found
}

fn custom_field(world: &World, mark: &crate::domain::desire::Mark) -> Diagnostic {
    let about = format!("custom field {}", mark.name);
    let stands = world
        .of(Kind::CustomField)
        .find(|field| field.field(Field::Name).as_text() == Some(mark.name));
    let Some(stands) = stands else {
        let message = match mark.refers_to {
            Some(_) => "missing; the first sync that needs it makes it",
            None => "missing; the first sync makes it",
        };
        return Diagnostic::note("custom_field", about, message);
    };
    let wanted = if mark.refers_to.is_some() { "object" } else { "text" };
    let found = stands.field(Field::Type).as_text().unwrap_or("unknown");
    if found != wanted {
        let message = format!(
            "its type is {found}, and the agent needs one of type {wanted}: rename or delete the \
             one that stands"
        );
        return Diagnostic::error("custom_field", about, message);
    }
    let covered = match stands.field(Field::ObjectTypes) {
        Value::Words(words) => words.iter().filter_map(|word| word.parse::<Kind>().ok()).collect(),
        _ => BTreeSet::new(),
    };
    let wanted: BTreeSet<Kind> = match mark.refers_to {
        Some(_) => [Kind::Device].into(),
        None => world.supported.iter().copied().filter(|kind| kind.is_marked()).collect(),
    };
    let lacking = wanted.difference(&covered).count();
    let message = match lacking {
        0 => "stands".to_owned(),
        lacking => format!(
            "stands for {} of {} kinds of objects; the next sync adds the others",
            wanted.len() - lacking,
            wanted.len()
        ),
    };
    Diagnostic::note("custom_field", about, message)
}

/// Roles of addresses that may stand on several interfaces at once.
const SHARED: [&str; 6] = ["anycast", "vip", "vrrp", "hsrp", "glbp", "carp"];

/// Addresses that stand twice in the global table prove that NetBox lets them. That they
/// do not proves nothing: the setting itself cannot be read.
fn twins(world: &World) -> Option<Diagnostic> {
    if !world.read.contains(&Kind::IpAddress) {
        return None;
    }
    let mut counts: BTreeMap<IpAddr, u32> = BTreeMap::new();
    for live in world.of(Kind::IpAddress) {
        let shared = live.field(Field::Role).as_text().is_some_and(|role| SHARED.contains(&role));
        let text = live.field(Field::Address).as_text().unwrap_or_default();
        let ip = text.split('/').next().and_then(|ip| ip.parse().ok());
        if let Some(ip) = ip.filter(|_| !shared && live.field(Field::Vrf).is_blank()) {
            *counts.entry(ip).or_default() += 1;
        }
    }
    let twins: Vec<String> =
        counts.iter().filter(|(_, count)| **count > 1).map(|(ip, _)| ip.to_string()).collect();
    Some(match twins.first() {
        None => Diagnostic::note(
            "uniqueness",
            "addresses",
            "none stands more than once in the global table",
        ),
        Some(first) => Diagnostic::warning(
            "uniqueness",
            "addresses",
            format!(
                "{first}{} more than once in the global table: set ENFORCE_GLOBAL_UNIQUE in NetBox, \
                 and decide which shall stay",
                match twins.len() {
                    1 => " stands".to_owned(),
                    all => format!(" and {} others stand", all - 1),
                }
            ),
        ),
    })
}

/// The VRFs that the configuration names and that do not keep their addresses unique.
async fn vrfs(api: &Api, policy: &Policy) -> Result<Vec<Diagnostic>, NetBoxError> {
    let rules = policy.rules.0.iter().filter_map(|rule| rule.set.vrf.as_deref());
    let named: BTreeSet<&str> = policy.defaults.vrf.as_deref().into_iter().chain(rules).collect();
    let mut found = Vec::new();
    if named.is_empty() {
        return Ok(found);
    }
    page::each(api, sheet(Kind::Vrf).endpoint, &[], "id,name,enforce_unique", |row| {
        let name = row.get("name").and_then(Json::as_str).unwrap_or_default();
        let unique = row.get("enforce_unique").and_then(Json::as_bool);
        if named.contains(name) && unique == Some(false) {
            let message = "NetBox lets an address stand twice in it; tick `Enforce unique space`";
            found.push(Diagnostic::warning("uniqueness", format!("VRF {name}"), message));
        }
    })
    .await?;
    Ok(found)
}
