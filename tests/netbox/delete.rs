//! An object is deleted, with everything that goes with it, unless something
//! needs it.

use super::changes::{Action, Asker, log, record_of};
use super::checks;
use super::kinds::display;
use super::model::{Kind, OnDelete};
use super::refusal::Refusal;
use super::store::{Object, Store};
use super::version::Version;
use super::write::{fits, touch};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a deletion takes with it.
#[derive(Debug, Default)]
struct Doomed {
    objects: Vec<(Kind, u64)>,
    seen: BTreeSet<(Kind, u64)>,
    protected: BTreeSet<(Kind, u64)>,
    restricted: BTreeSet<(Kind, u64)>,
}

/// Deletes an object.
pub(crate) fn delete(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    id: u64,
    message: &str,
) -> Result<(), Refusal> {
    fits(message)?;
    let first = (kind, id);
    let mut doomed = Doomed::default();
    gather(store, kind, id, &mut doomed);
    let restricted: BTreeSet<(Kind, u64)> =
        doomed.restricted.difference(&doomed.seen).copied().collect();
    let needed = if doomed.protected.is_empty() { &restricted } else { &doomed.protected };
    if !needed.is_empty() {
        let names = needed
            .iter()
            .filter_map(|(kind, id)| store.get(*kind, *id))
            .map(|object| format!("{} ({})", display(store, object), object.id));
        return Err(Refusal::Needed(names.collect()));
    }
    let mut told = doomed.objects.clone();
    if store.version >= Version::V4_4 && kind == Kind::Interface {
        told.reverse();
    }
    for (kind, id) in told {
        let Some(object) = store.get(kind, id).cloned() else {
            continue;
        };
        let message = if (kind, id) == first { message } else { "" };
        let tell = |store: &mut Store| {
            let before = record_of(store, &object);
            log(store, asker, Action::Delete, before, &object, message);
        };
        // In 4.0 what others lose is told before what goes.
        if store.version < Version::V4_2 {
            release(store, asker, &object, &doomed.seen);
            tell(store);
        } else {
            tell(store);
            release(store, asker, &object, &doomed.seen);
        }
    }
    for (kind, id) in doomed.objects.into_iter().rev() {
        let Some(object) = store.get(kind, id).cloned() else {
            continue;
        };
        store.remove(kind, id);
        checks::gone(store, &object);
    }
    Ok(())
}

fn gather(store: &Store, kind: Kind, id: u64, doomed: &mut Doomed) {
    if !doomed.seen.insert((kind, id)) {
        return;
    }
    doomed.objects.push((kind, id));
    for link in store.links(kind, id) {
        match link.on_delete {
            OnDelete::Cascade => gather(store, link.kind, link.id, doomed),
            OnDelete::Protect => {
                doomed.protected.insert((link.kind, link.id));
            }
            OnDelete::Restrict => {
                doomed.restricted.insert((link.kind, link.id));
            }
            OnDelete::SetNull | OnDelete::Nothing => {}
        }
    }
}

/// Takes an object that is about to go out of the fields of those that stay.
fn release(store: &mut Store, asker: &Asker, object: &Object, going: &BTreeSet<(Kind, u64)>) {
    let links: Vec<_> = store.links(object.kind, object.id).copied().collect();
    for link in links {
        if going.contains(&(link.kind, link.id)) {
            continue;
        }
        let Some(mut other) = store.get(link.kind, link.id).cloned() else {
            continue;
        };
        match other.value(link.field) {
            Value::Array(ids) => {
                let left = ids.iter().filter(|other| other.as_u64() != Some(object.id));
                let left: Value = left.cloned().collect();
                other.values.insert(link.field, left);
            }
            _ if link.on_delete == OnDelete::SetNull => {
                other.values.insert(link.field, Value::Null);
            }
            _ => continue,
        }
        touch(store, asker, other);
    }
    if object.kind == Kind::Tag {
        for mut other in store.bearing(object.id) {
            let before = record_of(store, &other);
            other.tags.remove(&object.id);
            store.put(other.clone());
            log(store, asker, Action::Update, before, &other, "");
        }
    }
    if object.kind == Kind::CustomField {
        checks::field_gone(store, object);
    }
}
