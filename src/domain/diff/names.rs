//! Names that must be unique: devices in their site, virtual machines in their
//! cluster. What stands keeps its name; what comes second gets one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::diagnostic::Diagnostic;
use super::super::object::{Desired, DesiredObject, Field, Kind, ObjectKey, ObjectRef};
use super::super::value::Value;
use super::super::world::Live;
use super::resolve::Resolved;
use super::{Comparison, left};

/// Within what a name must be unique: the kind, and the site or cluster.
type Scope = (Kind, Option<ObjectRef>, Option<ObjectRef>);

/// Names to be used in place of the wanted ones.
pub(super) type Renamed = BTreeMap<ObjectKey, Arc<str>>;

pub(super) fn unique(
    desired: &Desired,
    about: &Comparison<'_>,
    resolved: &mut Resolved,
    diagnostics: &mut Vec<Diagnostic>,
) -> Renamed {
    let mut taken: BTreeMap<Scope, BTreeMap<String, Option<u64>>> = BTreeMap::new();
    for live in about.world.of(Kind::Device).chain(about.world.of(Kind::VirtualMachine)) {
        if let Some(name) = live.field(Field::Name).as_text() {
            taken.entry(scope_of(live)).or_default().insert(name.to_lowercase(), Some(live.id));
        }
    }
    let mut renamed = Renamed::new();
    let hosts = desired
        .objects
        .values()
        .filter(|object| matches!(object.kind, Kind::Device | Kind::VirtualMachine));
    // What stands comes first, so that a newcomer never takes the name of something known.
    let (standing, new): (Vec<&DesiredObject>, Vec<&DesiredObject>) =
        hosts.partition(|object| resolved.id(&object.key).is_some());
    for object in standing.into_iter().chain(new) {
        let id = resolved.id(&object.key);
        if id.is_none() && !resolved.is_made(&object.key) {
            continue;
        }
        let Some(name) = object.fields.get(&Field::Name).and_then(|want| want.value.as_text())
        else {
            continue;
        };
        let live = id.and_then(|id| about.world.get(object.kind, id));
        let scopes = scopes(object, live, about, resolved);
        let free = |name: &str| {
            scopes.iter().filter_map(|scope| taken.get(scope)).all(|names| {
                let holder = names.get(&name.to_lowercase());
                holder.is_none_or(|holder| holder.is_some() && *holder == id)
            })
        };
        let candidates = [
            name.to_owned(),
            with_suffix(name, &short_identity(object)),
            with_suffix(name, object.key.as_str()),
        ];
        let Some(chosen) = candidates.iter().find(|candidate| free(candidate)) else {
            diagnostics.push(left(
                "name_taken",
                name,
                "its name and every name made of it are taken; nothing is made of it",
            ));
            resolved.forgo(&object.key);
            continue;
        };
        // The name is held from now on, whether or not a person keeps another on the object.
        for scope in scopes {
            let names = taken.entry(scope).or_default();
            names.insert(chosen.to_lowercase(), id.or(Some(u64::MAX)));
        }
        if chosen != name {
            diagnostics.push(left(
                "name_taken",
                name,
                format!(
                    "another object has this name in the same place; it is written as `{chosen}`"
                ),
            ));
            renamed.insert(object.key.clone(), chosen.as_str().into());
        }
    }
    renamed
}

/// Where the name must be unique: where the object stands, and where it goes if the plan
/// moves it.
fn scopes(
    object: &DesiredObject,
    live: Option<&Live>,
    about: &Comparison<'_>,
    resolved: &Resolved,
) -> BTreeSet<Scope> {
    let Some(live) = live else { return [wanted_scope(object, resolved)].into() };
    let mut scopes = BTreeSet::from([scope_of(live)]);
    let is_agents = |field: Field| {
        let written = about.memory.written(live.kind, live.id, field);
        written.is_some_and(|known| known.settled == *live.field(field))
    };
    let within = if live.kind == Kind::VirtualMachine { Field::Cluster } else { Field::Site };
    if is_agents(within) && object.fields.contains(&within) {
        scopes.insert(wanted_scope(object, resolved));
    }
    scopes
}

fn scope_of(live: &Live) -> Scope {
    let reference = |field| live.field(field).as_ref().cloned();
    let within = match live.kind {
        Kind::VirtualMachine => reference(Field::Cluster).or_else(|| reference(Field::Site)),
        _ => reference(Field::Site),
    };
    (live.kind, within, reference(Field::Tenant))
}

fn wanted_scope(object: &DesiredObject, resolved: &Resolved) -> Scope {
    let reference =
        |field: Field| match object.fields.get(&field).map(|want| resolved.value(&want.value)) {
            Some(Value::Ref(reference)) => Some(reference),
            _ => None,
        };
    let within = match object.kind {
        Kind::VirtualMachine => reference(Field::Cluster).or_else(|| reference(Field::Site)),
        _ => reference(Field::Site),
    };
    (object.kind, within, reference(Field::Tenant))
}

/// A few characters of a host's own identity: a guest's number, the end of a MAC address.
fn short_identity(object: &DesiredObject) -> String {
    let key = object.key.as_str();
    let tail = key.rsplit('/').next().unwrap_or(key);
    match tail.rsplit_once("mac:") {
        Some((_, mac)) => mac.chars().filter(|c| *c != ':').skip(6).collect(),
        None => tail.chars().rev().take(12).collect::<String>().chars().rev().collect(),
    }
}

/// A name with a suffix in brackets, cut so that both fit into 64 characters.
fn with_suffix(name: &str, suffix: &str) -> String {
    let suffix: String = suffix.chars().take(40).collect();
    let room = 64 - suffix.chars().count() - 3;
    let head: String = name.chars().take(room).collect();
    format!("{} ({suffix})", head.trim_end())
}
