//! Finds the object that already stands for a host.
//!
//! In order: what a person bound, what the store remembers, the agent's key on the
//! object, strong identifiers that lead to one object only, then the name where
//! nothing contradicts it. An object stands for one host, and a host for one
//! object. Where evidence leads to two, or where a host could be what stands but
//! nothing proves it, nothing is made and a person is told.

mod index;
mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::coverage::Covered;
use super::identity::{Grade, Identifier};
use super::inventory::{Ambiguity, Inventory, MergedHost};
use super::memory::Memory;
use super::object::{Field, Kind};
use super::observation::{Authority, Host, NativeKey};
use super::settings::{Bind, Policy};
use super::world::World;

use index::Index;
pub(crate) use index::{ip_of, owner_of};

/// An object that can stand for a host: a device or a virtual machine.
pub type HostObject = (Kind, u64);

/// By what a host was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchedBy {
    /// A person's `[[bind]]` rule.
    Bind,
    /// The store remembers this identifier.
    Memory(Arc<str>),
    /// The agent's key stands on the object.
    AgentKey(Arc<str>),
    /// A strong identifier.
    Identifier(Identifier),
    /// The name.
    Name(Arc<str>),
    /// The address, and something else that agrees.
    Address(Arc<str>),
}

impl fmt::Display for MatchedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatchedBy::Bind => f.write_str("a bind rule"),
            MatchedBy::Memory(identifier) => write!(f, "what earlier runs know of {identifier}"),
            MatchedBy::AgentKey(key) => write!(f, "the agent's key {key} on it"),
            MatchedBy::Identifier(identifier) => write!(f, "{identifier}"),
            MatchedBy::Name(name) => write!(f, "the name {name}"),
            MatchedBy::Address(address) => {
                write!(f, "the address {address} and what agrees with it")
            }
        }
    }
}

/// What stands for each host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// By place in the inventory: the object, and by what it was found.
    pub hosts: BTreeMap<usize, (HostObject, MatchedBy)>,
    /// Hosts of which no object may be made, and why.
    pub held: BTreeMap<usize, Arc<str>>,
    /// What a person must decide.
    pub ambiguities: Vec<Ambiguity>,
}

impl Matches {
    /// The object that stands for a host.
    #[must_use]
    pub fn standing(&self, host: usize) -> Option<HostObject> {
        self.hosts.get(&host).map(|(standing, _)| *standing)
    }
}

/// Everything that matching goes by.
pub(super) struct Ground<'a> {
    pub inventory: &'a Inventory,
    index: Index<'a>,
    pub covered: &'a Covered,
    pub policy: &'a Policy,
    /// Every identifier that some host of the inventory has.
    pub present: BTreeSet<String>,
}

/// Matches every host of the inventory with what stands.
#[must_use]
pub fn match_hosts(
    inventory: &Inventory,
    world: &World,
    memory: &Memory,
    covered: &Covered,
    policy: &Policy,
) -> Matches {
    let present = inventory
        .hosts
        .iter()
        .flat_map(|host| {
            let macs = host.macs().map(|mac| Identifier::Mac(mac).to_string());
            host.identifiers.iter().map(ToString::to_string).chain(macs)
        })
        .collect();
    let ground = Ground { inventory, index: Index::new(world), covered, policy, present };
    let mut matches = Matches::default();
    for (place, host) in inventory.hosts.iter().enumerate() {
        if let Some(held) = &host.held {
            matches.held.insert(place, held.clone());
        }
    }
    settle(&ground, &mut matches, |host| by_bind(&ground, host));
    settle(&ground, &mut matches, |host| by_memory(&ground, memory, host));
    settle(&ground, &mut matches, |host| by_agent_key(&ground, host));
    let taken = claimed(&matches);
    settle(&ground, &mut matches, |host| by_identifier(&ground, &taken, host));
    hold_other_faces(&ground, &mut matches);
    name::by_name(&ground, &mut matches);
    name::by_address(&ground, &mut matches);
    matches.ambiguities.sort();
    matches.ambiguities.dedup_by(|a, b| a.id == b.id);
    matches
}

pub(super) fn claimed(matches: &Matches) -> BTreeSet<HostObject> {
    matches.hosts.values().map(|(standing, _)| *standing).collect()
}

/// What one step of matching says of a host.
pub(super) enum Found {
    Nothing,
    One(HostObject, MatchedBy),
    /// Evidence that leads to several objects.
    Several(BTreeSet<HostObject>, MatchedBy),
    /// It could be what stands, but nothing proves it.
    Doubt(HostObject, &'static str, String),
}

/// Takes one step for every host that is not matched yet. Two hosts that one step
/// leads to the same object get neither.
pub(super) fn settle(
    ground: &Ground<'_>,
    matches: &mut Matches,
    step: impl Fn(&MergedHost) -> Found,
) {
    let taken = claimed(matches);
    let mut candidates: BTreeMap<HostObject, Vec<(usize, MatchedBy)>> = BTreeMap::new();
    for (place, host) in ground.inventory.hosts.iter().enumerate() {
        if matches.hosts.contains_key(&place) {
            continue;
        }
        let found = match step(host) {
            Found::One(at, _) | Found::Doubt(at, ..) if is_kept_apart(ground, host, at) => {
                Found::Nothing
            }
            Found::Several(mut standings, by) => {
                standings.retain(|standing| !is_kept_apart(ground, host, *standing));
                Found::Several(standings, by)
            }
            found => found,
        };
        match found {
            Found::Nothing => {}
            Found::One(standing, by) if !taken.contains(&standing) => {
                candidates.entry(standing).or_default().push((place, by));
            }
            Found::One(..) => {}
            Found::Several(standings, by) => {
                let free: BTreeSet<HostObject> = standings.difference(&taken).copied().collect();
                if let (Some(&only), 1) = (free.first(), free.len()) {
                    candidates.entry(only).or_default().push((place, by));
                } else if free.len() > 1 {
                    doubt(
                        ground,
                        matches,
                        place,
                        "several_objects",
                        &free,
                        format!("{by} leads to"),
                    );
                }
            }
            Found::Doubt(standing, code, why) if !taken.contains(&standing) => {
                doubt(ground, matches, place, code, &[standing].into(), why);
            }
            Found::Doubt(..) => {}
        }
    }
    for (standing, mut hosts) in candidates {
        // A host that may not become an object yields to one that may.
        if hosts.len() > 1 {
            hosts.retain(|(place, _)| ground.inventory.hosts[*place].held.is_none());
        }
        // What carries the hardware address that is on the object is it, whoever has the
        // number by now that it was known by: a guest that moved, and another in its place.
        let carries = |place: usize| {
            let mut own = ground.inventory.hosts[place].identifiers.iter();
            own.any(|identifier| match identifier {
                Identifier::Mac(mac) => ground.index.by_mac(*mac).contains(&standing),
                _ => false,
            })
        };
        if hosts.len() > 1 && hosts.iter().filter(|(place, _)| carries(*place)).count() == 1 {
            hosts.retain(|(place, _)| carries(*place));
        }
        if hosts.len() == 1 {
            if let Some((place, by)) = hosts.pop() {
                matches.held.remove(&place);
                matches.hosts.insert(place, (standing, by));
            }
            continue;
        }
        for (place, by) in hosts {
            let why = format!("{by} leads it and another to");
            doubt(ground, matches, place, "one_object_for_several", &[standing].into(), why);
        }
    }
}

/// Holds a host for a person.
pub(super) fn doubt(
    ground: &Ground<'_>,
    matches: &mut Matches,
    place: usize,
    code: &'static str,
    standings: &BTreeSet<HostObject>,
    why: String,
) {
    let host = &ground.inventory.hosts[place];
    let own: Option<Identifier> = host.key.0.parse().ok();
    let answers = own.map_or_else(Vec::new, |own| {
        let objects = || standings.iter().map(|&(kind, id)| Identifier::Object(kind, id));
        let one = objects().map(|object| Bind::Join([object, own.clone()].into()));
        // One rule for each: of two objects a person may know that both are something else.
        let other = objects().map(|object| Bind::Split([object, own.clone()].into()));
        one.chain(other).collect()
    });
    ask(ground, matches, place, code, standings, (why, answers));
}

fn ask(
    ground: &Ground<'_>,
    matches: &mut Matches,
    place: usize,
    code: &'static str,
    standings: &BTreeSet<HostObject>,
    (why, answers): (String, Vec<Bind>),
) {
    let host = &ground.inventory.hosts[place];
    let objects: Vec<String> = standings
        .iter()
        .map(|&(kind, id)| {
            format!("{} {} (netbox:{kind}/{id})", kind.label(), ground.index.name((kind, id)))
        })
        .collect();
    let parties: BTreeSet<String> = standings
        .iter()
        .map(|(kind, id)| format!("netbox:{kind}/{id}"))
        .chain([host.key.to_string()])
        .collect();
    let id = super::identity::fingerprint(
        std::iter::once(code).chain(parties.iter().map(String::as_str)),
    );
    let question = format!("{} may be what stands: {why} {}", host.key, objects.join(" and "));
    matches.held.insert(place, question.as_str().into());
    matches.ambiguities.push(Ambiguity { id, code, question, parties, answers });
}

/// Whether a person said that a host is not what stands.
fn is_kept_apart(ground: &Ground<'_>, host: &MergedHost, standing: HostObject) -> bool {
    ground.policy.binds.iter().any(|bind| match bind {
        Bind::Split(sides) => {
            sides.contains(&Identifier::Object(standing.0, standing.1))
                && sides.iter().any(|side| is_of(ground, host, side))
        }
        _ => false,
    })
}

/// A person's rule that names both the host and an object.
fn by_bind(ground: &Ground<'_>, host: &MergedHost) -> Found {
    for bind in &ground.policy.binds {
        let Bind::Join(names) = bind else { continue };
        let object = names.iter().find_map(|name| match name {
            Identifier::Object(kind, id) => ground.index.standing(*kind, *id),
            _ => None,
        });
        if let Some(standing) = object
            && names.iter().any(|name| is_of(ground, host, name))
        {
            return Found::One(standing, MatchedBy::Bind);
        }
    }
    Found::Nothing
}

/// Whether an identifier, of whatever grade, is one of the host.
fn is_of(ground: &Ground<'_>, host: &MergedHost, identifier: &Identifier) -> bool {
    match identifier {
        Identifier::Mac(mac) => host.macs().any(|own| own == *mac),
        Identifier::Address(segment, ip) => {
            let mut addresses = host.interfaces.iter().flat_map(|interface| &interface.addresses);
            addresses.any(|address| address.ip == *ip && address.segment == *segment)
        }
        Identifier::Name(name) => {
            name::names_of(ground, host).iter().any(|own| super::identity::name_key(own) == *name)
        }
        other => host.identifiers.contains(other),
    }
}

/// What an earlier run found. A native key says more than anything else, and an
/// exclusive one more than one that several things may share.
fn by_memory(ground: &Ground<'_>, memory: &Memory, host: &MergedHost) -> Found {
    let mut found: Vec<(bool, HostObject, Arc<str>)> = host
        .native_keys()
        .filter_map(|key| {
            let (text, object) = memory.identities.get_key_value(key.as_str())?;
            let standing = ground.index.standing(object.0, object.1)?;
            Some((**text != *host.key.0, standing, text.clone()))
        })
        .collect();
    found.sort();
    match found.first() {
        Some((_, standing, by)) => Found::One(*standing, MatchedBy::Memory(by.clone())),
        None => Found::Nothing,
    }
}

fn by_agent_key(ground: &Ground<'_>, host: &MergedHost) -> Found {
    let macs = host.macs().map(Identifier::Mac);
    let mut found: BTreeSet<HostObject> = BTreeSet::new();
    let mut by = None;
    for identifier in host.identifiers.iter().cloned().chain(macs) {
        let text = identifier.to_string();
        let standings = ground.index.by_agent_key(&text);
        if !standings.is_empty()
            && (identifier.grade() == Grade::Native || is_strong_here(host, &identifier))
        {
            found.extend(standings);
            by.get_or_insert_with(|| MatchedBy::AgentKey(text.into()));
        }
    }
    several(found, by)
}

fn is_strong_here(host: &MergedHost, identifier: &Identifier) -> bool {
    host.identifiers.contains(identifier)
}

fn several(found: BTreeSet<HostObject>, by: Option<MatchedBy>) -> Found {
    match (found.len(), found.first().copied(), by) {
        (1, Some(only), Some(by)) => Found::One(only, by),
        (_, Some(_), Some(by)) => Found::Several(found, by),
        _ => Found::Nothing,
    }
}

/// Serial numbers and MAC addresses that lead to objects which no better evidence
/// gave to another host.
fn by_identifier(ground: &Ground<'_>, claimed: &BTreeSet<HostObject>, host: &MergedHost) -> Found {
    let mut found: BTreeSet<HostObject> = BTreeSet::new();
    let mut by = None;
    for identifier in &host.identifiers {
        let standings: BTreeSet<HostObject> = match identifier {
            Identifier::Serial(serial) => ground.index.by_serial(serial),
            Identifier::Mac(mac) => ground.index.by_mac(*mac),
            _ => continue,
        };
        for standing in standings.difference(claimed) {
            if contradiction(ground, host, *standing, true).is_none() {
                found.insert(*standing);
                by.get_or_insert_with(|| MatchedBy::Identifier(identifier.clone()));
            }
        }
    }
    if found.is_empty() {
        return undecided_clone(ground, claimed, host);
    }
    if found.len() > 1 {
        // A person entered one MAC address at two things: the name tells which it is.
        let named = name::bearing_a_name_of(ground, host, &found);
        if named.len() == 1 {
            found = named;
        }
    }
    several(found, by)
}

/// A host whose only strong link leads to an object that another key of the same
/// scheme may still hold, though nobody could look: making a second object now would
/// be a duplicate if the thing has merely moved.
fn undecided_clone(
    ground: &Ground<'_>,
    claimed: &BTreeSet<HostObject>,
    host: &MergedHost,
) -> Found {
    for identifier in &host.identifiers {
        let Identifier::Mac(mac) = identifier else { continue };
        for standing in ground.index.by_mac(*mac).difference(claimed) {
            if let Some(Contradiction::Unseen(other)) = contradiction(ground, host, *standing, true)
            {
                let why = format!(
                    "{identifier} is on it, but it was {other}, which could not be looked for:"
                );
                return Found::Doubt(*standing, "unseen_holder", why);
            }
        }
    }
    Found::Nothing
}

/// What was merely seen on the wire, with a MAC address of an object that stands for
/// something better known: most likely it is that very thing, of which a source could
/// tell less this time. Making an object of it would be a duplicate.
fn hold_other_faces(ground: &Ground<'_>, matches: &mut Matches) {
    use Authority::{Derived, Directory, Lease, Wire};
    let claimed = claimed(matches);
    for (place, host) in ground.inventory.hosts.iter().enumerate() {
        let faint = host.seen.iter().all(|&seen| {
            matches!(ground.inventory.authority(seen), Wire | Lease | Directory | Derived)
        });
        if !faint || host.held.is_some() || matches.hosts.contains_key(&place) {
            continue;
        }
        let mut standings = BTreeSet::new();
        for mac in host.macs() {
            standings.extend(ground.index.by_mac(mac).intersection(&claimed).copied());
        }
        standings.retain(|standing| !is_kept_apart(ground, host, *standing));
        if !standings.is_empty() {
            let why = "its MAC address is on what another host is known to be,".to_owned();
            let known = matches.hosts.iter().filter(|(_, (at, _))| standings.contains(at));
            let known = known.filter_map(|(place, _)| {
                ground.inventory.hosts[*place].key.0.parse::<Identifier>().ok()
            });
            let mut answers = Vec::new();
            if let Ok(own) = host.key.0.parse::<Identifier>() {
                answers.extend(known.map(|known| Bind::Join([known, own.clone()].into())));
                let objects = standings.iter().map(|&(kind, id)| Identifier::Object(kind, id));
                answers.extend(objects.map(|object| Bind::Split([object, own.clone()].into())));
            }
            ask(ground, matches, place, "other_face", &standings, (why, answers));
        }
    }
}

/// Why an object cannot stand for a host.
pub(super) enum Contradiction {
    /// It is something else that is present, or was something that cannot be this.
    Other,
    /// It was something else, and nobody could look whether that is still there.
    Unseen(String),
}

/// What contradicts a match; `linked` where a strong identifier leads there already.
pub(super) fn contradiction(
    ground: &Ground<'_>,
    host: &MergedHost,
    standing: HostObject,
    linked: bool,
) -> Option<Contradiction> {
    if ground.index.serial_differs(host, standing) {
        return Some(Contradiction::Other);
    }
    if let Some(key) = ground.index.agent_key(standing) {
        let own = host.identifiers.iter().any(|identifier| identifier.to_string() == key);
        if !own {
            if ground.present.contains(key) {
                return Some(Contradiction::Other);
            }
            let exclusive = key
                .parse::<NativeKey>()
                .ok()
                .filter(|known| has_exclusive_key(ground, host, known.scheme()));
            let gone = |known: &NativeKey| {
                ground.covered.anyone_covers_key(known) || is_abandoned(ground, standing)
            };
            match exclusive {
                Some(known) if !gone(&known) => return Some(Contradiction::Unseen(key.to_owned())),
                None if !linked && !is_gone(ground, key, standing) => {
                    return Some(Contradiction::Unseen(key.to_owned()));
                }
                _ => {}
            }
        }
    }
    None
}

/// Whether a source has a key of this scheme for the host that is of no other thing.
fn has_exclusive_key(ground: &Ground<'_>, host: &MergedHost, scheme: &str) -> bool {
    let stated = host.seen.iter().filter_map(|&seen| ground.inventory.stated_host(seen));
    stated.filter_map(Host::evident_key).any(|key| key.scheme() == scheme)
}

/// Whether this agent made an object of a source that its configuration has no more, so
/// that nobody will ever look for it there again: a source that was renamed, for one.
fn is_abandoned(ground: &Ground<'_>, standing: HostObject) -> bool {
    let Some(live) = ground.index.live(standing) else { return false };
    let own = live.field(Field::AgentInstance).as_text() == Some(ground.policy.instance.as_str());
    let source = live.field(Field::AgentSource).as_text();
    own && source.is_some_and(|source| !ground.covered.mentions(source))
}

/// Whether what an object was made of is proven to be there no more.
fn is_gone(ground: &Ground<'_>, key: &str, standing: HostObject) -> bool {
    if ground.present.contains(key) {
        return false;
    }
    match key.parse::<Identifier>() {
        Ok(Identifier::Native(native)) => ground.covered.anyone_covers_key(&native),
        _ => is_unreachable(ground, standing),
    }
}

/// Whether every address that an object has was looked at in vain.
pub(super) fn is_unreachable(ground: &Ground<'_>, standing: HostObject) -> bool {
    let addresses = ground.index.addresses(standing);
    let segment = super::observation::Segment::default();
    !addresses.is_empty()
        && addresses.iter().all(|ip| ground.covered.anyone_covers_address(&segment, *ip))
}

#[cfg(test)]
mod tests;
