//! What is missing, for how long, and what becomes of it.
//!
//! An object is missed only in a run in which every witness that ever spoke for it
//! looked where it should be and proved to have seen everything there. After a grace
//! of such runs and of time its status says that it is gone. Deleting comes after a
//! second grace, only where a person allowed it, and only for what the agent made
//! and nobody else touched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::coverage::Covered;
use super::diff::{Resolved, is_own};
use super::inventory::{Inventory, Seen};
use super::memory::{Memory, foreign};
use super::name::SourceName;
use super::object::{Desired, Field, Kind, ObjectKey, Why};
use super::observation::{Authority, NativeKey, Part, Segment};
use super::plan::{Action, Change, FieldChange};
use super::settings::{Absence, Deletion};
use super::value::{SmallMap, Value};
use super::world::{Live, World};

/// By what a source knows a thing again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// By its own key.
    Key(NativeKey),
    /// By an address in a segment.
    Address(Segment, IpAddr),
}

/// What is remembered of one object's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Who saw it, by what, and when for the last time.
    pub witnesses: BTreeMap<(SourceName, Witness), Timestamp>,
    /// How many runs since it was last seen, or since it was retired, covered where it
    /// should be and did not see it.
    pub misses: u32,
    /// When the first of these runs was.
    pub first_missed: Option<Timestamp>,
    /// When it was retired.
    pub retired: Option<Timestamp>,
}

/// What is remembered of the presence of all objects.
pub type Sightings = BTreeMap<(Kind, u64), Sighting>;

/// What absence is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// What was seen.
    pub inventory: &'a Inventory,
    /// What should stand.
    pub desired: &'a Desired,
    /// Which objects stand for it.
    pub resolved: &'a Resolved,
    /// What stands.
    pub world: &'a World,
    /// What earlier runs wrote.
    pub memory: &'a Memory,
    /// Where this run saw everything.
    pub covered: &'a Covered,
    /// The name of this agent.
    pub instance: &'a str,
    /// The graces.
    pub rules: &'a Absence,
    /// The time of the run.
    pub now: Timestamp,
}

/// Hosts that a source saw in its last run and misses now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vanished {
    /// The source.
    pub source: SourceName,
    /// What it misses, by name.
    pub missing: Vec<Arc<str>>,
    /// How many it saw in its last run.
    pub of: u64,
}

/// What follows from what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Objects to retire or delete.
    pub changes: Vec<Change>,
    /// What to remember when the run is done.
    pub sightings: Sightings,
    /// What to remember, besides, of the objects that the plan makes.
    pub newcomers: BTreeMap<ObjectKey, Sighting>,
    /// What vanished all at once, by source.
    pub vanished: Vec<Vanished>,
}

/// Judges what is missing among the objects that this agent made.
#[must_use]
pub fn judge(ground: &Ground<'_>, before: &Sightings) -> Verdict {
    let present = Present::find(ground);
    let mut verdict =
        Verdict { vanished: vanished(ground, before, &present), ..Verdict::default() };
    for live in ground.world.iter().filter(|live| is_watched(live.kind)) {
        if !is_own(live, ground.instance) {
            continue;
        }
        let known = before.get(&(live.kind, live.id)).cloned().unwrap_or_default();
        let after = match present.witnesses.get(&(live.kind, live.id)) {
            Some(seen) => met(ground, &known, seen),
            None => missed(ground, &present, live, known, &mut verdict.changes),
        };
        verdict.sightings.insert((live.kind, live.id), after);
    }
    for (key, witnesses) in present.newcomers {
        verdict.newcomers.insert(key, Sighting { witnesses, ..Sighting::default() });
    }
    verdict
}

/// The kinds whose objects can go missing. Sites, roles, subnets and the like are a
/// person's to remove.
fn is_watched(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Device
            | Kind::VirtualMachine
            | Kind::Interface
            | Kind::VmInterface
            | Kind::VirtualDisk
            | Kind::InventoryItem
            | Kind::MacAddress
            | Kind::IpAddress
            | Kind::Service
    )
}

/// The part of a host that a kind of object is; `None` for hosts and addresses.
fn part_of(kind: Kind) -> Option<Part> {
    match kind {
        Kind::Interface | Kind::VmInterface | Kind::MacAddress => Some(Part::Interfaces),
        Kind::VirtualDisk => Some(Part::Disks),
        Kind::InventoryItem => Some(Part::Components),
        Kind::Service => Some(Part::Services),
        Kind::IpAddress => Some(Part::Addresses),
        _ => None,
    }
}

type Witnesses = BTreeMap<(SourceName, Witness), Timestamp>;

/// What this run saw of each object.
struct Present {
    witnesses: BTreeMap<(Kind, u64), Witnesses>,
    /// The same of objects that the plan makes.
    newcomers: BTreeMap<ObjectKey, Witnesses>,
    /// The parts that sources listed whole, by the key of the host.
    whole: BTreeSet<(SourceName, NativeKey, Part)>,
    /// Native keys of hosts that are there.
    keys: BTreeSet<NativeKey>,
}

impl Present {
    fn find(ground: &Ground<'_>) -> Self {
        let inventory = ground.inventory;
        let mut present = Present {
            witnesses: BTreeMap::new(),
            newcomers: BTreeMap::new(),
            whole: BTreeSet::new(),
            keys: BTreeSet::new(),
        };
        for host in &inventory.hosts {
            present.keys.extend(host.native_keys().cloned());
            for &seen in &host.seen {
                let source = &inventory.observation(seen).source;
                let Some(stated) = inventory.stated_host(seen) else { continue };
                for key in stated.key.iter().chain(&stated.aliases) {
                    let parts = stated.complete.iter();
                    present.whole.extend(parts.map(|part| (source.clone(), key.clone(), *part)));
                }
            }
        }
        let by_address = seen_by_address(inventory);
        for (key, object) in
            ground.desired.objects.iter().filter(|(_, object)| is_watched(object.kind))
        {
            let id = ground.resolved.id(key);
            if id.is_none() && !ground.resolved.is_made(key) {
                continue;
            }
            let seen = seen_of(ground, &by_address, object.kind, key, object.host);
            let own = address_of(
                object.fields.get(&Field::Address).and_then(|want| want.value.as_text()),
            );
            let witnesses = witnesses(inventory, &seen, own);
            match id {
                Some(id) => {
                    present.witnesses.entry((object.kind, id)).or_default().extend(witnesses)
                }
                None => drop(present.newcomers.insert(key.clone(), witnesses)),
            }
        }
        present
    }
}

/// The observations that speak of the object of a key.
fn seen_of(
    ground: &Ground<'_>,
    by_address: &HashMap<IpAddr, Vec<Seen>>,
    kind: Kind,
    key: &ObjectKey,
    host: Option<usize>,
) -> Vec<Seen> {
    let inventory = ground.inventory;
    if let Some(host) = host.and_then(|place| inventory.hosts.get(place)) {
        return match kind {
            Kind::Device | Kind::VirtualMachine => host.seen.clone(),
            _ => host
                .interfaces
                .iter()
                .find(|interface| {
                    key.as_str().ends_with(&format!("#{}", interface_label(interface)))
                })
                .map_or_else(|| host.seen.clone(), |interface| interface.seen.clone()),
        };
    }
    if kind == Kind::IpAddress {
        let ip = ground
            .desired
            .objects
            .get(key)
            .and_then(|object| address_of(object.fields.get(&Field::Address)?.value.as_text()));
        return ip.and_then(|ip| by_address.get(&ip)).cloned().unwrap_or_default();
    }
    // Parts that carry no place of their host name it in their key.
    let owner = key.as_str().split_once(':').map_or("", |(_, rest)| rest);
    let owner = owner.rsplit_once('#').map_or(owner, |(host, _)| host);
    inventory
        .hosts
        .binary_search_by(|host| (*host.key.0).cmp(owner))
        .map(|place| inventory.hosts[place].seen.clone())
        .unwrap_or_default()
}

fn interface_label(interface: &super::inventory::MergedInterface) -> String {
    match (&interface.name, interface.macs.first()) {
        (Some(name), _) => name.to_string(),
        (None, Some((mac, _))) => mac.to_string(),
        (None, None) => "unnamed".to_owned(),
    }
}

/// The observations that speak of each address.
fn seen_by_address(inventory: &Inventory) -> HashMap<IpAddr, Vec<Seen>> {
    let on_hosts = inventory.hosts.iter().flat_map(|host| &host.interfaces);
    let on_hosts = on_hosts.flat_map(|interface| &interface.addresses);
    let alone = inventory.addresses.iter().map(|lone| &lone.address);
    let mut seen: HashMap<IpAddr, Vec<Seen>> = HashMap::new();
    for address in on_hosts.chain(alone) {
        seen.entry(address.ip).or_default().extend(&address.seen);
    }
    seen
}

fn address_of(text: Option<&str>) -> Option<IpAddr> {
    text?.split('/').next()?.parse().ok()
}

/// Who speaks in these observations, and by what they would know the thing again. What
/// was looked up or worked out speaks for nothing's presence.
fn witnesses(inventory: &Inventory, seen: &[Seen], own: Option<IpAddr>) -> Witnesses {
    let mut witnesses = Witnesses::new();
    for &seen in seen {
        let observation = inventory.observation(seen);
        if matches!(observation.authority, Authority::Directory | Authority::Derived) {
            continue;
        }
        let Some(stated) = inventory.stated_host(seen) else { continue };
        let mut note = |witness| {
            let at =
                witnesses.entry((observation.source.clone(), witness)).or_insert(observation.at);
            *at = (*at).max(observation.at);
        };
        let keys: Vec<&NativeKey> = stated.key.iter().chain(&stated.aliases).collect();
        if !keys.is_empty() {
            keys.into_iter().for_each(|key| note(Witness::Key(key.clone())));
            continue;
        }
        for address in stated.interfaces.iter().flat_map(|interface| &interface.addresses) {
            if own.is_none_or(|own| own == address.ip) {
                note(Witness::Address(observation.segment.clone(), address.ip));
            }
        }
    }
    witnesses
}

/// A thing that was seen: its witnesses of this run, and the older ones that could not
/// look or that nobody asked.
fn met(ground: &Ground<'_>, known: &Sighting, seen: &Witnesses) -> Sighting {
    let mut witnesses: Witnesses = known
        .witnesses
        .iter()
        .filter(|((source, witness), _)| !looked(ground.covered, source, witness))
        .map(|(key, at)| (key.clone(), *at))
        .collect();
    witnesses.extend(seen.iter().map(|(key, at)| (key.clone(), *at)));
    Sighting { witnesses, ..Sighting::default() }
}

fn looked(covered: &Covered, source: &SourceName, witness: &Witness) -> bool {
    match witness {
        Witness::Key(key) => covered.covers_key(source, key),
        Witness::Address(segment, ip) => covered.covers_address(source, segment, *ip),
    }
}

/// A thing that was not seen.
fn missed(
    ground: &Ground<'_>,
    present: &Present,
    live: &Live,
    mut known: Sighting,
    changes: &mut Vec<Change>,
) -> Sighting {
    if is_repeated(ground, live) {
        let reason = "made twice: a run was killed while the sink was at it";
        changes.push(delete(live, reason.into()));
        return known;
    }
    if known.witnesses.is_empty() {
        known.witnesses = recollected(ground, live);
    }
    let looked = |((source, witness), _): (&(SourceName, Witness), &Timestamp)| {
        let whole = match (witness, part_of(live.kind)) {
            // A part of something that is there counts only where its list is whole.
            (Witness::Key(key), Some(part)) if present.keys.contains(key) => {
                present.whole.contains(&(source.clone(), key.clone(), part))
            }
            _ => true,
        };
        whole && looked(ground.covered, source, witness)
    };
    if known.witnesses.is_empty() || !known.witnesses.iter().all(looked) {
        return known;
    }
    known.misses = known.misses.saturating_add(1);
    let first = *known.first_missed.get_or_insert(ground.now);
    let rules = ground.rules;
    match known.retired {
        None if known.misses >= rules.grace_runs && passed(ground.now, first, rules.grace_time) => {
            let reason = reason(&known, first);
            match retire(ground, live, &reason) {
                Retirement::Change(change) => changes.push(*change),
                // A person gave it another status: it is theirs to keep.
                Retirement::Kept => return known,
                Retirement::Silent => {}
            }
            known.retired = Some(ground.now);
            known.misses = 0;
        }
        Some(retired)
            if known.misses >= rules.delete_grace_runs
                && passed(ground.now, retired, rules.delete_grace_time)
                && may_delete(ground, live) =>
        {
            changes.push(delete(live, reason(&known, first)));
        }
        _ => {}
    }
    known
}

/// Whether an object is the same in everything as another of the agent's that stands for
/// its key. Nobody can miss it, and nobody has touched it. A MAC address may have been
/// made for an interface that has taken the other one along.
fn is_repeated(ground: &Ground<'_>, live: &Live) -> bool {
    let Some(name) = live.field(Field::AgentKey).as_text() else { return false };
    let standing = ground.resolved.id(&ObjectKey::new(live.kind, name));
    let other = standing.filter(|id| *id != live.id);
    let is_free = live.kind == Kind::MacAddress && live.field(Field::AssignedObject).is_blank();
    let told = |live: &Live| -> Vec<(Field, Value)> {
        let fields = live.fields.iter().map(|(field, value)| (*field, value.clone()));
        fields.filter(|(field, _)| !is_free || *field != Field::AssignedObject).collect()
    };
    other
        .and_then(|id| ground.world.get(live.kind, id))
        .is_some_and(|other| told(other) == told(live))
}

fn passed(now: Timestamp, since: Timestamp, grace: std::time::Duration) -> bool {
    SignedDuration::try_from(grace).is_ok_and(|grace| now.duration_since(since) >= grace)
}

fn reason(known: &Sighting, first: Timestamp) -> Arc<str> {
    let sources: BTreeSet<&str> =
        known.witnesses.keys().map(|(source, _)| source.as_str()).collect();
    let sources: Vec<&str> = sources.into_iter().collect();
    format!("missed by {} since {}", sources.join(", "), first.strftime("%Y-%m-%d %H:%M")).into()
}

/// The witnesses of an object whose sightings were lost, by the marks that stand on it.
fn recollected(ground: &Ground<'_>, live: &Live) -> Witnesses {
    let mut witnesses = Witnesses::new();
    let source =
        live.field(Field::AgentSource).as_text().and_then(|name| name.parse::<SourceName>().ok());
    let Some(source) = source else { return witnesses };
    let key = live.field(Field::AgentKey).as_text().unwrap_or("");
    let host = key.split('#').next().unwrap_or(key);
    if let Some(native) =
        host.parse::<NativeKey>().ok().filter(|key| key.scheme() != "mac" && key.scheme() != "ip")
    {
        witnesses.insert((source, Witness::Key(native)), ground.now);
        return witnesses;
    }
    let own = address_of(live.field(Field::Address).as_text());
    for ip in own.into_iter().chain(addresses_of(ground.world, live)) {
        witnesses.insert((source.clone(), Witness::Address(Segment::default(), ip)), ground.now);
    }
    witnesses
}

/// The addresses that stand on a host's interfaces.
fn addresses_of(world: &World, host: &Live) -> Vec<IpAddr> {
    world
        .of(Kind::IpAddress)
        .filter(|live| {
            let on = live.field(Field::AssignedObject).as_ref();
            on.and_then(|on| super::matching::owner_of(world, on)) == Some((host.kind, host.id))
        })
        .filter_map(super::matching::ip_of)
        .collect()
}

enum Retirement {
    Change(Box<Change>),
    Kept,
    Silent,
}

fn retire(ground: &Ground<'_>, live: &Live, reason: &Arc<str>) -> Retirement {
    let Some((field, value)) = live.kind.retired() else { return Retirement::Silent };
    let before = live.field(field);
    if *before == value {
        return Retirement::Silent;
    }
    let written = ground.memory.written(live.kind, live.id, field);
    if written.is_some_and(|known| known.settled != *before) {
        return Retirement::Kept;
    }
    let why = Why::Agent(reason.clone());
    let fields =
        [(field, FieldChange { before: before.clone(), after: value, why })].into_iter().collect();
    Retirement::Change(Box::new(change(live, Action::Retire, fields, reason.clone())))
}

fn change(
    live: &Live,
    action: Action,
    fields: SmallMap<Field, FieldChange>,
    reason: Arc<str>,
) -> Change {
    let key = live.field(Field::AgentKey).as_text().unwrap_or("");
    Change {
        action,
        kind: live.kind,
        key: ObjectKey::new(live.kind, key),
        id: Some(live.id),
        label: live.name().into(),
        stamp: live.stamp.clone(),
        fields,
        unseat: Vec::new(),
        reason,
    }
}

/// The deletion of an object, with all that stands as its before-image.
fn delete(live: &Live, reason: Arc<str>) -> Change {
    let why = || Why::Agent(reason.clone());
    let fields = live
        .fields
        .iter()
        .filter(|(_, before)| !before.is_blank())
        .map(|(field, before)| {
            (*field, FieldChange { before: before.clone(), after: Value::Null, why: why() })
        })
        .collect();
    change(live, Action::Delete, fields, reason.clone())
}

/// Whether an object may be deleted: a person allowed it for its kind, the agent's last
/// write was the last of all, and everything that would go with it is the agent's too.
fn may_delete(ground: &Ground<'_>, live: &Live) -> bool {
    let allowed = match ground.rules.delete {
        Deletion::Never => false,
        Deletion::Parts => part_of(live.kind).is_some(),
        Deletion::All => true,
    };
    let untouched = |live: &Live| {
        let Some(known) = ground.memory.objects.get(&(live.kind, live.id)) else { return false };
        // The agent's last write may have come after a person's: what they wrote is looked for.
        let settled = known.fields.iter().map(|(field, own)| (*field, own.settled.clone()));
        let same = known.stamp.is_some() && known.stamp == live.stamp;
        same && is_own(live, ground.instance) && foreign(live, &settled.collect()).next().is_none()
    };
    allowed && untouched(live) && dependents(ground.world, live).all(untouched)
}

/// What the sink would delete together with an object.
fn dependents<'a>(world: &'a World, live: &'a Live) -> impl Iterator<Item = &'a Live> {
    world.iter().filter(move |other| {
        let fields = [Field::Device, Field::VirtualMachine, Field::Parent, Field::AssignedObject];
        let on = |field: &Field| other.field(*field).as_ref().cloned();
        let direct = |reference: &super::object::ObjectRef| {
            reference.kind() == live.kind && reference.live_id() == Some(live.id)
        };
        // A guest outlives the device it runs on.
        let refers =
            other.kind != Kind::VirtualMachine && fields.iter().filter_map(on).any(|r| direct(&r));
        let through = on(&Field::AssignedObject)
            .and_then(|interface| super::matching::owner_of(world, &interface))
            .is_some_and(|owner| owner == (live.kind, live.id));
        refers || through
    })
}

/// What each source saw in its last run and, though it looked, not in this one.
fn vanished(ground: &Ground<'_>, before: &Sightings, present: &Present) -> Vec<Vanished> {
    let mut sources: BTreeMap<&SourceName, Vanished> = BTreeMap::new();
    for ((kind, id), known) in before {
        let is_host = matches!(kind, Kind::Device | Kind::VirtualMachine | Kind::IpAddress);
        if !is_host || known.misses > 0 || known.retired.is_some() {
            continue;
        }
        let Some(live) = ground.world.get(*kind, *id) else { continue };
        if *kind == Kind::IpAddress && !live.field(Field::AssignedObject).is_blank() {
            // It goes with its host, which counts already.
            continue;
        }
        let seen = present.witnesses.get(&(*kind, *id));
        let witnessed: BTreeSet<&SourceName> =
            known.witnesses.keys().map(|(source, _)| source).collect();
        for source in witnessed {
            let of_source = || known.witnesses.keys().filter(|(own, _)| own == source);
            let still = seen.is_some_and(|seen| seen.keys().any(|(own, _)| own == source));
            let looked =
                of_source().all(|(source, witness)| looked(ground.covered, source, witness));
            let entry = sources.entry(source).or_insert_with(|| Vanished {
                source: source.clone(),
                missing: Vec::new(),
                of: 0,
            });
            entry.of += 1;
            if !still && looked {
                entry.missing.push(live.name().into());
            }
        }
    }
    sources.into_values().filter(|vanished| !vanished.missing.is_empty()).collect()
}

/// What stands for nothing that was seen, for whoever lists it.
#[must_use]
pub fn is_retired(live: &Live) -> bool {
    live.kind.retired().is_some_and(|(field, value)| *live.field(field) == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_counts_from_the_first_miss() {
        let now = Timestamp::from_second(100_000).unwrap();
        let first = Timestamp::from_second(10_000).unwrap();
        assert!(passed(now, first, std::time::Duration::from_secs(90_000)));
        assert!(!passed(now, first, std::time::Duration::from_secs(90_001)));
        assert_eq!(part_of(Kind::Device), None);
    }
}
