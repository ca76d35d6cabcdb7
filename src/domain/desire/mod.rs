//! Turns the inventory into the objects that should stand.
//!
//! What a source stated becomes a firm value; what only a default says becomes an
//! initial one, which is written where nothing stands and never over anything.
//! What is not known is not wanted: an absent fact never empties a field.

mod catalog;
mod host;
mod interface;
mod limits;
mod marks;
mod masks;
mod network;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::inventory::{Claim, Inventory};
use super::matching::Matches;
use super::object::{Desired, DesiredObject, Field, Kind, ObjectKey, ObjectRef, Want, Why};
use super::settings::Policy;
use super::value::{SmallMap, Value};
use super::world::World;

pub(super) use host::subject;

pub use marks::{MARKS, Mark};

/// The objects that should stand, given what was seen and what already stands.
#[must_use]
pub fn desire(
    inventory: &Inventory,
    matches: &Matches,
    world: &World,
    policy: &Policy,
) -> (Desired, Vec<Diagnostic>) {
    let mut desk = Desk {
        inventory,
        matches,
        world,
        policy,
        masks: masks::Masks::default(),
        homes: BTreeMap::new(),
        desired: Desired::default(),
        diagnostics: Vec::new(),
    };
    desk.masks = masks::Masks::gather(&desk);
    desk.clusters();
    desk.networks();
    // Hosts are known to each other before any of them is written: a guest refers to its node.
    desk.homes = host::homes(&desk);
    for place in 0..inventory.hosts.len() {
        desk.host(place);
    }
    desk.cables();
    desk.lone_addresses();
    desk.prerequisites();
    (desk.desired, desk.diagnostics)
}

/// What is needed to write one object after the other.
struct Desk<'a> {
    inventory: &'a Inventory,
    matches: &'a Matches,
    world: &'a World,
    policy: &'a Policy,
    masks: masks::Masks,
    /// By place in the inventory: the object that a host becomes.
    homes: BTreeMap<usize, host::Home>,
    desired: Desired,
    diagnostics: Vec<Diagnostic>,
}

/// The fields of an object while it is being written.
#[derive(Debug, Default)]
struct Fields(SmallMap<Field, Want>);

impl Fields {
    /// A firm value.
    fn set(&mut self, field: Field, value: Value, why: Why) {
        self.0.insert(field, Want { value, initial: false, why });
    }

    /// A starting value.
    fn start(&mut self, field: Field, value: Value, why: Why) {
        self.0.insert(field, Want { value, initial: true, why });
    }

    /// A firm value or a starting one.
    fn put(&mut self, field: Field, value: Value, why: Why, firm: bool) {
        self.0.insert(field, Want { value, initial: !firm, why });
    }

    /// The name of an object that is known by it, and the slug made of it.
    fn named(&mut self, name: &str, why: &Why) {
        self.start(Field::Name, Value::text(name), why.clone());
        self.start(Field::Slug, Value::text(super::name::slug(name)), why.clone());
    }
}

/// A reference to an object that should stand.
fn planned(kind: Kind, key: &ObjectKey) -> Value {
    Value::Ref(ObjectRef::Planned(kind, key.clone()))
}

impl Desk<'_> {
    /// Puts an object in, unless one of its key is there already.
    fn put(&mut self, kind: Kind, key: &ObjectKey, label: impl AsRef<str>, fields: Fields) {
        self.put_for(kind, key, label, fields, None, true);
    }

    /// Puts an object in that is only made when something refers to it.
    fn put_on_demand(
        &mut self,
        kind: Kind,
        key: &ObjectKey,
        label: impl AsRef<str>,
        fields: Fields,
    ) {
        self.put(kind, key, label, fields);
        if let Some(object) = self.desired.objects.get_mut(key) {
            object.on_demand = true;
        }
    }

    fn put_for(
        &mut self,
        kind: Kind,
        key: &ObjectKey,
        label: impl AsRef<str>,
        fields: Fields,
        host: Option<usize>,
        create: bool,
    ) {
        self.desired.objects.entry(key.clone()).or_insert_with(|| DesiredObject {
            kind,
            key: key.clone(),
            label: label.as_ref().into(),
            fields: fields
                .0
                .into_iter()
                .filter_map(|(field, want)| {
                    let value = limits::fitted(kind, field, want.value)?;
                    Some((field, Want { value, ..want }))
                })
                .collect(),
            host,
            create,
            on_demand: false,
        });
    }

    fn has(&self, key: &ObjectKey) -> bool {
        self.desired.objects.contains_key(key)
    }

    fn why(&self, claim: &Claim) -> Why {
        self.inventory.why(claim.seen)
    }
}

/// The agent's reason for a value that no source and no rule gives.
fn agent(reason: &str) -> Why {
    Why::Agent(reason.into())
}

/// The part of a key that names an address in a VRF.
fn in_vrf(vrf: Option<&Arc<str>>, what: impl fmt::Display) -> String {
    match vrf {
        Some(vrf) => format!("{}/{what}", super::name::slug(vrf)),
        None => what.to_string(),
    }
}

/// The key of an address.
fn address_key(vrf: Option<&Arc<str>>, ip: IpAddr) -> ObjectKey {
    ObjectKey::new(Kind::IpAddress, in_vrf(vrf, ip))
}
