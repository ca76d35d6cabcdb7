//! Compares what should stand with what stands, and plans what is left to do.
//!
//! A change is planned only where it is the agent's to make; see [`judge`] for the
//! three-way rule. Nothing is planned that would change nothing, so that a world
//! which is as it should be gives an empty plan.

mod judge;
pub(crate) mod live;
mod names;
mod resolve;
mod sense;

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Diagnostic;
use super::inventory::Inventory;
use super::matching::Matches;
use super::memory::Memory;
use super::object::{Desired, DesiredObject, Field, Kind, ObjectKey, ObjectRef, Want};
use super::plan::{Action, Change, Conflict, FieldChange, Plan, Seat};
use super::settings::Ownership;
use super::value::{SmallMap, Value};
use super::world::{Live, World};

use judge::Verdict;
use live::Standing;

pub use resolve::Resolved;

/// What a comparison goes by.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// What was seen.
    pub inventory: &'a Inventory,
    /// Which objects stand for which hosts.
    pub matches: &'a Matches,
    /// What stands.
    pub world: &'a World,
    /// What earlier runs left behind.
    pub memory: &'a Memory,
    /// Who may change which field.
    pub ownership: &'a Ownership,
    /// The name of this agent.
    pub instance: &'a str,
    /// The tag of everything that the agent makes.
    pub tag: &'a str,
}

/// Plans what turns the world into what is desired. Gives, besides, which object
/// stands for each key, for what a run remembers and for what is missing.
#[must_use]
pub fn diff(desired: &Desired, about: &Comparison<'_>) -> (Plan, Resolved) {
    let standing = Standing::new(about.world);
    let mut resolved = resolve::resolve(desired, about, &standing);
    let mut plan = Plan::default();
    let renamed = names::unique(desired, about, &mut resolved, &mut plan.diagnostics);
    let sense = sense::Sense { desired, about, resolved: &resolved, renamed: &renamed };
    for object in desired.objects.values() {
        let wants = sense.wants(object);
        match resolved.id(&object.key).and_then(|id| about.world.get(object.kind, id)) {
            Some(live) => update(object, live, &wants, about, &resolved, &standing, &mut plan),
            None if resolved.is_made(&object.key) => {
                plan.changes.push(create(object, &wants, &resolved))
            }
            None => {}
        }
    }
    drop_what_nothing_needs(desired, &mut plan);
    plan.diagnostics.append(&mut resolved.diagnostics);
    sort(&mut plan);
    (plan, resolved)
}

/// Takes out what is only made for others when no other change refers to it.
fn drop_what_nothing_needs(desired: &Desired, plan: &mut Plan) {
    let on_demand = |change: &Change| {
        change.action == Action::Create
            && desired.objects.get(&change.key).is_some_and(|object| object.on_demand)
    };
    let mut needed: BTreeSet<ObjectKey> = BTreeSet::new();
    let mut open: Vec<&Change> = plan.changes.iter().filter(|change| !on_demand(change)).collect();
    let by_key: BTreeMap<&ObjectKey, &Change> =
        plan.changes.iter().map(|change| (&change.key, change)).collect();
    let fields = super::desire::MARKS;
    while let Some(change) = open.pop() {
        let referenced =
            change.fields.iter().flat_map(|(_, field)| planned_in(&field.after)).cloned();
        // A mark needs its custom field, though nothing refers to it by key.
        let marks = fields.iter().filter(|mark| change.fields.contains(&mark.field));
        let marks = marks.map(|mark| ObjectKey::new(Kind::CustomField, mark.name));
        for key in referenced.chain(marks) {
            if let Some(change) = by_key.get(&key)
                && needed.insert(key)
                && on_demand(change)
            {
                open.push(change);
            }
        }
    }
    let kept: Vec<bool> = plan
        .changes
        .iter()
        .map(|change| !on_demand(change) || needed.contains(&change.key))
        .collect();
    let mut kept = kept.into_iter();
    plan.changes.retain(|_| kept.next().unwrap_or(true));
}

/// The keys of what a value refers to and does not stand yet.
fn planned_in(value: &Value) -> Vec<&ObjectKey> {
    fn of(reference: &ObjectRef) -> Option<&ObjectKey> {
        match reference {
            ObjectRef::Planned(_, key) => Some(key),
            ObjectRef::Live(..) => None,
        }
    }
    match value {
        Value::Ref(reference) => of(reference).into_iter().collect(),
        Value::Refs(refs) => refs.iter().filter_map(of).collect(),
        _ => Vec::new(),
    }
}

/// The order in which a plan is shown.
pub fn sort(plan: &mut Plan) {
    plan.changes.sort_by(|a, b| {
        (a.kind, a.action, &a.label, &a.key).cmp(&(b.kind, b.action, &b.label, &b.key))
    });
    plan.conflicts
        .sort_by(|a, b| (a.kind, &a.label, a.id, a.field).cmp(&(b.kind, &b.label, b.id, b.field)));
    plan.diagnostics.sort();
}

fn create(object: &DesiredObject, wants: &SmallMap<Field, Want>, resolved: &Resolved) -> Change {
    let fields: SmallMap<Field, FieldChange> = wants
        .iter()
        .filter(|(_, want)| !want.value.is_blank())
        .map(|(field, want)| {
            let after = resolved.value(&want.value);
            (*field, FieldChange { before: Value::Null, after, why: want.why.clone() })
        })
        .collect();
    Change {
        action: Action::Create,
        kind: object.kind,
        key: object.key.clone(),
        id: None,
        label: object.label.clone(),
        stamp: None,
        fields,
        unseat: Vec::new(),
        reason: "".into(),
    }
}

fn update(
    object: &DesiredObject,
    live: &Live,
    wants: &SmallMap<Field, Want>,
    about: &Comparison<'_>,
    resolved: &Resolved,
    standing: &Standing<'_>,
    plan: &mut Plan,
) {
    let mut fields = SmallMap::default();
    let own = is_own(live, about.instance);
    // What the agent made carries its marks from the start; what others made never does.
    for (field, want) in wants.iter().filter(|(field, _)| !field.is_mark()) {
        // A field that the sink does not have was not read, and is not written.
        let Some(before) = live.fields.get(field) else { continue };
        let mut wanted = resolved.value(&want.value);
        if *field == Field::Tags && !own {
            wanted = without_own_tag(wanted, about);
        }
        let verdict = judge::judge(&judge::Case {
            live,
            field: *field,
            before,
            wanted: &wanted,
            initial: want.initial,
            about,
            standing,
        });
        match verdict {
            Verdict::Keep => {}
            Verdict::Write(after) => {
                fields.insert(
                    *field,
                    FieldChange { before: before.clone(), after, why: want.why.clone() },
                );
            }
            Verdict::Conflict(last) => plan.conflicts.push(Conflict {
                kind: live.kind,
                id: live.id,
                key: object.key.clone(),
                label: standing.label(live).into(),
                field: *field,
                live: before.clone(),
                last,
                want: wanted,
                why: want.why.clone(),
            }),
        }
    }
    if fields.is_empty() {
        return;
    }
    let unseat = seats(live, &fields, standing);
    let moves = fields.get(&Field::AssignedObject).is_some_and(|change| !change.before.is_blank());
    plan.changes.push(Change {
        action: if moves { Action::Move } else { Action::Update },
        kind: live.kind,
        key: object.key.clone(),
        id: Some(live.id),
        label: standing.label(live).into(),
        stamp: live.stamp.clone(),
        fields,
        unseat,
        reason: "".into(),
    });
}

/// The tags of an object that somebody else made: the agent's own is not for it.
fn without_own_tag(tags: Value, about: &Comparison<'_>) -> Value {
    let slug = super::name::slug(about.tag);
    let key = ObjectKey::new(Kind::Tag, &slug);
    let is_own = |reference: &ObjectRef| match reference {
        ObjectRef::Planned(_, planned) => *planned == key,
        ObjectRef::Live(kind, id) => about
            .world
            .get(*kind, *id)
            .is_some_and(|live| live.field(Field::Slug).as_text() == Some(slug.as_str())),
    };
    match tags {
        Value::Refs(refs) => Value::Refs(refs.into_iter().filter(|tag| !is_own(tag)).collect()),
        other => other,
    }
}

/// The fields that hold an address as primary and must let go of it before it moves.
fn seats(live: &Live, fields: &SmallMap<Field, FieldChange>, standing: &Standing<'_>) -> Vec<Seat> {
    let Some(change) = fields.get(&Field::AssignedObject) else { return Vec::new() };
    let Some(from) = change.before.as_ref() else { return Vec::new() };
    let here = ObjectRef::Live(live.kind, live.id);
    match live.kind {
        Kind::MacAddress => standing.holders(from, &[Field::PrimaryMac], &here),
        Kind::IpAddress => {
            let Some(owner) = standing.owner(from) else { return Vec::new() };
            let stays = change.after.as_ref().and_then(|to| standing.owner(to)) == Some(owner);
            let owner = ObjectRef::Live(owner.0, owner.1);
            let fields = [Field::PrimaryIp4, Field::PrimaryIp6];
            if stays { Vec::new() } else { standing.holders(&owner, &fields, &here) }
        }
        _ => Vec::new(),
    }
}

/// Whether this agent made an object: its name stands on it.
pub(crate) fn is_own(live: &Live, instance: &str) -> bool {
    live.field(Field::AgentInstance).as_text() == Some(instance)
}

/// A note that something was left as it is.
fn left(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Diagnostic {
    Diagnostic::warning(code, about, message)
}

#[cfg(test)]
mod tests;
