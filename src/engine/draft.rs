//! From what was seen to a plan that may be printed, saved or applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::debug;

use super::gather::{Asked, Picture, picture};
use super::{EngineError, Sink};
use crate::domain::absence::{self, Sighting, Sightings, Vanished};
use crate::domain::desire::desire;
use crate::domain::diff::{Comparison, Resolved, diff, sort};
use crate::domain::guard::{Cap, Refusal, guard};
use crate::domain::inventory::{Ambiguity, Inventory};
use crate::domain::matching::{Matches, match_hosts};
use crate::domain::memory::{Memory, Recollection, Written};
use crate::domain::name::SourceName;
use crate::domain::object::{Desired, Field, Kind, ObjectKey};
use crate::domain::plan::Plan;
use crate::domain::scope::{host_kind_of, scope};
use crate::domain::settings::Policy;
use crate::domain::value::SmallMap;
use crate::domain::world::{Need, World};
use crate::store::{Landed, PendingIntent, Recovered, Run, Store};

/// What drafting and applying go by.
#[derive(Debug, Clone)]
pub struct Context {
    /// What a person decided.
    pub policy: Policy,
    /// What earlier runs left behind.
    pub store: Arc<Store>,
    /// Where to write.
    pub sink: Sink,
    /// Sources that are configured and were not asked.
    pub unasked: Vec<SourceName>,
    /// Limits that a person lifted for this run.
    pub allowed: BTreeSet<Cap>,
    /// Whether the observations come from files: then they are all there is, and what
    /// earlier runs heard neither joins them nor is replaced by them.
    pub replay: bool,
}

/// A plan and everything that led to it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What was seen.
    pub picture: Picture,
    /// What stood.
    pub world: World,
    /// Which objects stand for which hosts.
    pub matches: Matches,
    /// What should stand.
    pub desired: Desired,
    /// Which objects stand for what should.
    pub resolved: Resolved,
    /// What is left to do.
    pub plan: Plan,
    /// The limits that the plan exceeds.
    pub refusals: Vec<Refusal>,
    /// What earlier runs wrote.
    pub memory: Memory,
    /// What was remembered of presence and absence.
    pub before: Sightings,
    /// What to remember of it when the run is done.
    pub sightings: Sightings,
    /// What to remember of the presence of what the plan makes.
    pub newcomers: BTreeMap<ObjectKey, Sighting>,
    /// What vanished all at once.
    pub vanished: Vec<Vanished>,
}

impl Draft {
    /// Every question that a person should settle.
    #[must_use]
    pub fn ambiguities(&self) -> Vec<Ambiguity> {
        let mut all = self.picture.inventory.ambiguities.clone();
        all.extend(self.matches.ambiguities.iter().cloned());
        all.sort();
        all.dedup_by(|a, b| a.id == b.id);
        all
    }
}

/// Drafts a plan from what was asked.
///
/// # Errors
/// When the store or the sink cannot be read.
pub async fn draft(asked: Vec<Asked>, context: &Context) -> Result<Draft, EngineError> {
    let policy = &context.policy;
    let now = Timestamp::now();
    let recall = (!context.replay).then_some(&*context.store);
    let picture = picture(asked, &context.unasked, recall, policy)?;
    let before = context.store.sightings(&context.sink.id())?;
    let kinds = kinds(&picture.inventory, policy, &before);
    let mut world = world(context, &kinds, &picture.inventory, &before).await?;
    if is_in_doubt(context, &world)? {
        debug!("a run was killed; waiting for what may still be under way of it");
        tokio::time::sleep(UNDER_WAY).await;
        world = self::world(context, &kinds, &picture.inventory, &before).await?;
    }
    let memory = memory(context, &world, &before).await?;
    let known = with_retired(before.clone(), &memory, now);

    let matches = match_hosts(&picture.inventory, &world, &memory, &picture.covered, policy);
    let (mut desired, mut told) = desire(&picture.inventory, &matches, &world, policy);
    // What is wanted may refer to kinds that nobody expected: they have to be known first.
    let more: BTreeSet<Kind> = desired
        .objects
        .values()
        .map(|object| object.kind)
        .filter(|kind| !world.read.contains(kind))
        .collect();
    if !more.is_empty() {
        world.absorb(context.sink.snapshot(&Need { kinds: more }).await?);
        (desired, told) = desire(&picture.inventory, &matches, &world, policy);
    }
    let about = Comparison {
        inventory: &picture.inventory,
        matches: &matches,
        world: &world,
        memory: &memory,
        ownership: &policy.ownership,
        instance: policy.instance.as_str(),
        tag: &policy.tag,
    };
    let (mut plan, resolved) = diff(&desired, &about);
    let missing = absence::judge(
        &absence::Ground {
            inventory: &picture.inventory,
            desired: &desired,
            resolved: &resolved,
            world: &world,
            memory: &memory,
            covered: &picture.covered,
            instance: policy.instance.as_str(),
            rules: &policy.absence,
            now,
        },
        &known,
    );
    plan.changes.extend(missing.changes);
    plan.diagnostics.extend(told);
    sort(&mut plan);
    let refusals = guard(
        &plan,
        &missing.vanished,
        &world,
        policy.instance.as_str(),
        &policy.guard,
        &context.allowed,
    );
    Ok(Draft {
        picture,
        world,
        matches,
        desired,
        resolved,
        plan,
        refusals,
        memory,
        before,
        sightings: missing.sightings,
        newcomers: missing.newcomers,
        vanished: missing.vanished,
    })
}

/// What stands of these kinds; of parts, only those of hosts that the run can touch.
async fn world(
    context: &Context,
    kinds: &BTreeSet<Kind>,
    inventory: &Inventory,
    before: &Sightings,
) -> Result<World, EngineError> {
    let is_part = |kind: &Kind| host_kind_of(*kind).is_some() || *kind == Kind::Cable;
    let (parts, whole) = kinds.iter().copied().partition(is_part);
    let mut world = context.sink.snapshot(&Need { kinds: whole }).await?;
    let (store, sink) = (&context.store, context.sink.id());
    let bindings = store.bindings(&sink)?;
    let pending = store.pending_intents(&sink)?;
    let known = (before.keys().copied())
        .chain(bindings.objects.into_values())
        .chain(bindings.natives.into_values())
        .chain(pending.iter().filter_map(|intent| Some((intent.change.kind, intent.id?))))
        .collect();
    let scope = scope(inventory, &world, &known, &context.policy);
    world.absorb(context.sink.parts(parts, scope, &world).await?);
    Ok(world)
}

/// The kinds that a run may touch: what every run can, what was seen, and what the
/// agent keeps already.
fn kinds(inventory: &Inventory, policy: &Policy, before: &Sightings) -> BTreeSet<Kind> {
    use Kind::{
        Cable, Cluster, ClusterType, CustomField, Device, DeviceRole, DeviceType, Interface,
        InventoryItem, IpAddress, IpRange, Location, MacAddress, Manufacturer, Platform, Prefix,
        Service, Site, Tag, Tenant, VirtualDisk, VirtualMachine, Vlan, VlanGroup, VmInterface, Vrf,
    };
    let mut kinds: BTreeSet<Kind> = [
        Tag,
        CustomField,
        Manufacturer,
        DeviceRole,
        Site,
        DeviceType,
        Device,
        VirtualMachine,
        Interface,
        VmInterface,
        MacAddress,
        IpAddress,
        Prefix,
    ]
    .into();
    kinds.extend(before.keys().map(|(kind, _)| *kind));
    let hosts = &inventory.hosts;
    let mut also = |condition: bool, more: &[Kind]| {
        if condition {
            kinds.extend(more);
        }
    };
    also(
        !inventory.clusters.is_empty() || hosts.iter().any(|host| host.is_virtual()),
        &[Cluster, ClusterType],
    );
    also(hosts.iter().any(|host| !host.disks.is_empty()), &[VirtualDisk]);
    also(hosts.iter().any(|host| !host.services.is_empty()), &[Service]);
    also(hosts.iter().any(|host| !host.components.is_empty()), &[InventoryItem]);
    also(hosts.iter().flat_map(|host| &host.interfaces).any(|i| i.neighbor.is_some()), &[Cable]);
    also(
        !inventory.vlans.is_empty()
            || inventory.prefixes.iter().any(|prefix| prefix.vlan.is_some()),
        &[Vlan],
    );
    also(!inventory.ranges.is_empty(), &[IpRange]);
    let defaults = &policy.defaults;
    let rules = || policy.rules.0.iter().map(|rule| &rule.set);
    also(defaults.vrf.is_some() || rules().any(|set| set.vrf.is_some()), &[Vrf]);
    also(defaults.tenant.is_some() || rules().any(|set| set.tenant.is_some()), &[Tenant]);
    also(defaults.location.is_some() || rules().any(|set| set.location.is_some()), &[Location]);
    also(defaults.vlan_group.is_some(), &[VlanGroup]);
    use crate::domain::observation::HostAttribute as Attribute;
    let states = |attribute: Attribute| hosts.iter().any(|host| host.facts.contains(&attribute));
    also(states(Attribute::Platform), &[Platform]);
    also(states(Attribute::Location), &[Location]);
    also(states(Attribute::Tenant), &[Tenant]);
    kinds
}

/// What earlier runs left behind, with what a killed one left in doubt, and rebuilt
/// from the sink where the store knows nothing.
async fn memory(
    context: &Context,
    world: &World,
    sightings: &Sightings,
) -> Result<Memory, EngineError> {
    let store = &context.store;
    let sink = context.sink.id();
    recover(context, world)?;
    let bindings = store.bindings(&sink)?;
    let mut memory = Memory {
        identities: bindings
            .natives
            .iter()
            .map(|(key, object)| (key.as_str().into(), *object))
            .collect(),
        bindings: bindings.objects,
        objects: remembered(store, context)?,
        reclaimed: store
            .reclaims(&sink)?
            .iter()
            .map(|wish| (wish.kind, wish.id, wish.field))
            .collect(),
    };
    for (object, sighting) in sightings {
        if sighting.retired.is_some() {
            memory.objects.entry(*object).or_default().retired = true;
        }
    }
    let instance = context.policy.instance.as_str();
    let unknown: Vec<(Kind, u64)> = world
        .iter()
        .filter(|live| live.field(Field::AgentInstance).as_text() == Some(instance))
        .map(|live| (live.kind, live.id))
        .filter(|object| memory.objects.get(object).is_none_or(|known| known.fields.is_empty()))
        .collect();
    if !unknown.is_empty() {
        let rebuilt = context.sink.recollect(&unknown).await?;
        if store.is_writable() {
            store.remember(&sink, &as_remembered(&rebuilt))?;
        }
        for (object, recollection) in rebuilt {
            memory.objects.insert(object, recollection);
        }
    }
    Ok(memory)
}

/// The sightings, with those of objects of which the sink had to tell that they were retired.
fn with_retired(mut sightings: Sightings, memory: &Memory, now: Timestamp) -> Sightings {
    for (object, _) in memory.objects.iter().filter(|(_, known)| known.retired) {
        sightings.entry(*object).or_default().retired.get_or_insert(now);
    }
    sightings
}

fn remembered(
    store: &Store,
    context: &Context,
) -> Result<BTreeMap<(Kind, u64), Recollection>, EngineError> {
    let sink = context.sink.id();
    let stamps = store.stamps(&sink)?;
    let mut objects: BTreeMap<(Kind, u64), Recollection> = BTreeMap::new();
    for (object, fields) in store.memory(&sink)? {
        let fields: SmallMap<Field, Written> = fields
            .into_iter()
            .map(|(field, last)| {
                let settled = last.settled.unwrap_or_else(|| last.wanted.clone());
                (field, Written { wanted: last.wanted, settled })
            })
            .collect();
        objects.insert(
            object,
            Recollection { fields, stamp: stamps.get(&object).cloned(), retired: false },
        );
    }
    Ok(objects)
}

fn as_remembered(rebuilt: &BTreeMap<(Kind, u64), Recollection>) -> Vec<crate::store::Remembered> {
    let why = || crate::domain::object::Why::Agent("learnt from the change log".into());
    rebuilt
        .iter()
        .flat_map(|((kind, id), recollection)| {
            recollection.fields.iter().map(move |(field, written)| crate::store::Remembered {
                kind: *kind,
                id: *id,
                field: *field,
                last: crate::store::Last {
                    wanted: written.wanted.clone(),
                    settled: Some(written.settled.clone()),
                    why: why(),
                    run: None,
                },
            })
        })
        .collect()
}

/// So long the sink is given to end what a killed run had asked of it.
const UNDER_WAY: Duration = Duration::from_secs(5);

/// After so long nothing more comes of what a killed run had asked of the sink.
const LATEST: SignedDuration = SignedDuration::from_hours(1);

/// Whether the last run was killed and something that it asked for does not stand (yet).
fn is_in_doubt(context: &Context, world: &World) -> Result<bool, EngineError> {
    let (store, sink) = (&context.store, context.sink.id());
    if !store.is_writable() || matches!(context.sink, Sink::Local(_)) {
        return Ok(false);
    }
    let last = store.runs(Some(&sink), 1)?.pop();
    let Some(killed) = last.filter(|run| run.ended.is_none()) else { return Ok(false) };
    let pending = store.pending_intents(&sink)?;
    let mut own = pending.iter().filter(|intent| intent.run == killed.id);
    Ok(own.any(|intent| !is_whole(intent, &landed(intent, world, context))))
}

/// Compares what a killed run was about to write with what stands. What does not stand
/// may still come, when a slow sink is at it: until that cannot be any more it stays in
/// doubt, so that it is known for the agent's own when it comes.
fn recover(context: &Context, world: &World) -> Result<(), EngineError> {
    let store = &context.store;
    let sink = context.sink.id();
    if !store.is_writable() {
        return Ok(());
    }
    let now = Timestamp::now();
    let pending = store.pending_intents(&sink)?;
    let mut late: BTreeMap<i64, bool> = BTreeMap::new();
    let mut recovered = Vec::new();
    // What was not read cannot be compared; it stays in doubt for a run that reads it.
    for intent in pending.iter().filter(|intent| world.read.contains(&intent.change.kind)) {
        let may_come = match late.get(&intent.run) {
            Some(known) => *known,
            None => {
                let killed = store.run(intent.run)?.filter(|run| run.ended.is_none());
                let recent = |run: Run| now.duration_since(run.start.started) < LATEST;
                let may_come =
                    matches!(context.sink, Sink::NetBox(..)) && killed.is_some_and(recent);
                *late.entry(intent.run).or_insert(may_come)
            }
        };
        let landed = landed(intent, world, context);
        let decided = !may_come || is_whole(intent, &landed);
        let found =
            matches!(&landed, Landed::Stands { fields, .. } if fields.iter().next().is_some());
        if decided || found {
            recovered.push(Recovered { run: intent.run, place: intent.place, landed, decided });
        }
    }
    if !recovered.is_empty() {
        store.recover(&sink, &recovered)?;
    }
    Ok(())
}

/// Whether everything stands that was intended.
fn is_whole(intent: &PendingIntent, landed: &Landed) -> bool {
    match landed {
        Landed::Nothing => false,
        Landed::Gone => true,
        Landed::Stands { fields, .. } => {
            let mut intended = intent.steps.iter().flat_map(|step| &step.fields);
            intended.all(|field| fields.contains(field))
        }
    }
}

fn landed(intent: &PendingIntent, world: &World, context: &Context) -> Landed {
    let change = &intent.change;
    let by_mark = || {
        let name = change.key.as_str().split_once(':').map_or("", |(_, name)| name);
        let own = |live: &&crate::domain::world::Live| {
            live.field(Field::AgentInstance).as_text() == Some(context.policy.instance.as_str())
                && live.field(Field::AgentKey).as_text() == Some(name)
        };
        world.of(change.kind).find(own)
    };
    let live = match intent.id {
        Some(id) => world.get(change.kind, id),
        None => by_mark(),
    };
    match (live, change.action) {
        (None, crate::domain::plan::Action::Delete) => Landed::Gone,
        (None, _) => Landed::Nothing,
        (Some(live), _) => {
            let intended = intent.steps.iter().flat_map(|step| &step.fields);
            let fields = intended
                .filter_map(|field| {
                    let after = &change.fields.get(field)?.after;
                    let stands = live.fields.get(field)?;
                    same(after, stands).then(|| (*field, stands.clone()))
                })
                .collect();
            Landed::Stands { id: live.id, fields }
        }
    }
}

/// Whether what stands is what was intended. A reference to what the same plan made
/// cannot be compared by id any more: that something stands there is enough.
fn same(after: &crate::domain::value::Value, stands: &crate::domain::value::Value) -> bool {
    use crate::domain::object::ObjectRef;
    use crate::domain::value::Value;
    match (after, stands) {
        (Value::Ref(ObjectRef::Planned(kind, _)), Value::Ref(stands)) => *kind == stands.kind(),
        (Value::Refs(after), Value::Refs(stands)) => {
            let known = |reference: &ObjectRef| {
                matches!(reference, ObjectRef::Planned(..)) || stands.contains(reference)
            };
            after.len() == stands.len() && after.iter().all(known)
        }
        _ => after == stands,
    }
}
