//! Who may write a field: the three-way rule.
//!
//! | stands (`live`) | | |
//! |---|---|---|
//! | is what is wanted | | nothing |
//! | is what the agent wrote last | another is wanted | write |
//! | is blank, and the agent never wrote it | | fill |
//! | is something else | | a person's: keep it, report a conflict |
//!
//! Sets (tags) are owned element by element. A starting value only ever fills.

use std::collections::BTreeSet;

use super::super::memory::Written;
use super::super::object::{Field, Kind};
use super::super::settings::Owner;
use super::super::value::Value;
use super::super::world::Live;
use super::live::Standing;
use super::{Comparison, is_own};

/// What is to be judged.
pub(super) struct Case<'a> {
    pub live: &'a Live,
    pub field: Field,
    pub before: &'a Value,
    pub wanted: &'a Value,
    pub initial: bool,
    pub about: &'a Comparison<'a>,
    pub standing: &'a Standing<'a>,
}

pub(super) enum Verdict {
    Keep,
    Write(Value),
    /// A person's value stands, and what the agent wrote there last.
    Conflict(Option<Value>),
}

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let Case { live, field, before, wanted, about, .. } = *case;
    if before == wanted {
        return Verdict::Keep;
    }
    let memory = about.memory;
    let written = memory.written(live.kind, live.id, field);
    if let Some(known) = written
        && known.settled == *before
        && known.wanted == *wanted
    {
        // The sink keeps the value in a form of its own.
        return Verdict::Keep;
    }
    let reclaimed = memory.is_reclaimed(live.kind, live.id, field);
    let policy = if reclaimed { Owner::Agent } else { about.ownership.of(live.kind, field) };
    if is_set(field) {
        return elements(case, written, policy);
    }
    let initial = case.initial && !is_return(case);
    let untouched = written.is_some_and(|known| known.settled == *before);
    match (before.is_blank(), written) {
        _ if wanted.is_blank() => empty(policy, untouched),
        (true, None) => Verdict::Write(wanted.clone()),
        (_, Some(known)) if initial && !untouched && tells_presence(case, policy) => {
            Verdict::Conflict(Some(known.settled.clone()))
        }
        _ if initial && !reclaimed => Verdict::Keep,
        _ if policy == Owner::Agent => Verdict::Write(wanted.clone()),
        _ if policy == Owner::FillOnly => Verdict::Keep,
        _ if untouched => Verdict::Write(wanted.clone()),
        _ if is_as_good(case) => Verdict::Keep,
        (_, last) => Verdict::Conflict(last.map(|known| known.settled.clone())),
    }
}

/// A source says that there is nothing: only what the agent wrote is emptied, and a
/// person's value is no conflict with nothing.
fn empty(policy: Owner, untouched: bool) -> Verdict {
    match policy {
        Owner::Agent => Verdict::Write(Value::Null),
        Owner::Cooperative if untouched => Verdict::Write(Value::Null),
        _ => Verdict::Keep,
    }
}

/// Whether the object was retired by the agent and is seen again, so that the status
/// which said so has to go.
fn is_return(case: &Case<'_>) -> bool {
    let retired = case.live.kind.retired();
    let remembered = case.about.memory.objects.get(&(case.live.kind, case.live.id));
    remembered.is_some_and(|known| known.retired)
        && retired.is_some_and(|(field, value)| field == case.field && value == *case.before)
}

/// Whether a starting value is one that the agent keeps true by itself: the status that
/// says whether a thing is there. A person who gave it another has a say of their own.
fn tells_presence(case: &Case<'_>, policy: Owner) -> bool {
    let retired = case.live.kind.retired();
    policy == Owner::Cooperative && retired.is_some_and(|(field, _)| field == case.field)
}

fn is_set(field: Field) -> bool {
    matches!(field, Field::Tags | Field::ObjectTypes)
}

/// Whether what stands serves as well: an address on another interface of the same
/// host, where the agent did not put it.
fn is_as_good(case: &Case<'_>) -> bool {
    if case.live.kind != Kind::IpAddress || case.field != Field::AssignedObject {
        return false;
    }
    let host = |value: &Value| value.as_ref().and_then(|interface| case.standing.owner(interface));
    let here = host(case.before);
    here.is_some() && here == host(case.wanted)
}

/// Elements are added unless a person took them away, and taken away only where the
/// agent added them. On an object that a person made, only an empty set is filled.
fn elements(case: &Case<'_>, written: Option<&Written>, policy: Owner) -> Verdict {
    let own = is_own(case.live, case.about.instance);
    let before = members(case.before);
    let wanted = members(case.wanted);
    let last = written.map(|known| members(&known.settled));
    if !own && last.is_none() && !before.is_empty() && policy != Owner::Agent {
        return Verdict::Keep;
    }
    let nothing = BTreeSet::new();
    let last = last.unwrap_or(nothing);
    let asked = written.map(|known| members(&known.wanted)).unwrap_or_default();
    let taken: BTreeSet<&Value> =
        if policy == Owner::Agent { BTreeSet::new() } else { last.difference(&before).collect() };
    let after: BTreeSet<Value> = before
        .iter()
        .filter(|element| {
            wanted.contains(*element) || !(asked.contains(*element) && last.contains(*element))
        })
        .chain(wanted.iter().filter(|element| !taken.contains(element)))
        .cloned()
        .collect();
    if policy == Owner::FillOnly && !before.is_empty() {
        return Verdict::Keep;
    }
    if after != before {
        return Verdict::Write(as_set(case.before, case.wanted, after));
    }
    // Everything else that is wanted a person took away.
    if wanted.is_subset(&before) {
        Verdict::Keep
    } else {
        Verdict::Conflict(written.map(|known| known.settled.clone()))
    }
}

/// The members of a set, each as a value of its own.
fn members(value: &Value) -> BTreeSet<Value> {
    match value {
        Value::Refs(refs) => refs.iter().cloned().map(Value::Ref).collect(),
        Value::Words(words) => words.iter().cloned().map(Value::Text).collect(),
        _ => BTreeSet::new(),
    }
}

fn as_set(before: &Value, wanted: &Value, members: BTreeSet<Value>) -> Value {
    if matches!(before, Value::Words(_)) || matches!(wanted, Value::Words(_)) {
        return Value::Words(
            members
                .into_iter()
                .filter_map(|member| match member {
                    Value::Text(text) => Some(text),
                    _ => None,
                })
                .collect(),
        );
    }
    Value::Refs(
        members
            .into_iter()
            .filter_map(|member| match member {
                Value::Ref(reference) => Some(reference),
                _ => None,
            })
            .collect(),
    )
}
