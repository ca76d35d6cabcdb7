//! What may be written at the same time. Waves wait only for those that they build
//! on, and a wave is split over lanes in such a way that no two requests under way
//! lock the same rows of NetBox's database.

use std::collections::{BTreeMap, BTreeSet};

use super::super::row::references;
use super::item::{Deed, Item};
use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef};
use crate::domain::plan::{Action, Change, Plan, Step, Wave};
use crate::domain::scope::host_kind_of;

/// For each wave those before it that must have ended.
pub(super) fn dependencies(plan: &Plan, waves: &[Wave]) -> Vec<BTreeSet<usize>> {
    let writes = Writes::of(plan, waves);
    let holders: Vec<BTreeSet<&ObjectRef>> = waves.iter().map(|wave| holders(plan, wave)).collect();
    (0..waves.len())
        .map(|late| {
            let built_on = writes.built_on(plan, &waves[late]);
            (0..late)
                .filter(|&early| {
                    is_ordered(&waves[early], &waves[late])
                        || built_on.contains(&early)
                        || !holders[early].is_disjoint(&holders[late])
                        || writes_one(plan, &waves[late], &holders[early])
                        || writes_one(plan, &waves[early], &holders[late])
                })
                .collect()
        })
        .collect()
}

/// Whether two waves keep their order whatever is in them.
fn is_ordered(early: &Wave, late: &Wave) -> bool {
    let founds = |wave: &Wave| wave.kind < Kind::Device;
    let deletes = |wave: &Wave| wave.action == Action::Delete;
    early.kind == late.kind
        || founds(early)
        || founds(late)
        || deletes(early)
        || deletes(late)
        // Making a part counts it on its host, and so locks the host's row.
        || host_kind_of(early.kind) == Some(late.kind)
        || is_cabling(early.kind, late.kind)
}

/// Whether one plugs cables into what the other changes. NetBox notes a cable in its
/// interfaces' rows and saves an interface as a whole: at the same time, a change that
/// read the row before the cable came would take it out again, and nobody would be told.
fn is_cabling(one: Kind, other: Kind) -> bool {
    matches!((one, other), (Kind::Cable, Kind::Interface) | (Kind::Interface, Kind::Cable))
}

/// Which waves write which objects.
struct Writes<'p> {
    by_key: BTreeMap<(Kind, &'p ObjectKey), BTreeSet<usize>>,
    by_id: BTreeMap<(Kind, u64), BTreeSet<usize>>,
    /// The changes of the plan by their keys.
    changes: BTreeMap<(Kind, &'p ObjectKey), &'p Change>,
}

impl<'p> Writes<'p> {
    fn of(plan: &'p Plan, waves: &[Wave]) -> Self {
        let changes = plan.changes.iter().map(|change| ((change.kind, &change.key), change));
        let mut writes =
            Writes { by_key: BTreeMap::new(), by_id: BTreeMap::new(), changes: changes.collect() };
        for (place, wave) in waves.iter().enumerate() {
            for step in &wave.steps {
                let change = &plan.changes[step.change];
                writes.by_key.entry((change.kind, &change.key)).or_default().insert(place);
                if let Some(id) = change.id {
                    writes.by_id.entry((change.kind, id)).or_default().insert(place);
                }
            }
        }
        writes
    }

    fn writing(&self, reference: &ObjectRef) -> BTreeSet<usize> {
        let found = match reference {
            ObjectRef::Live(kind, id) => self.by_id.get(&(*kind, *id)),
            ObjectRef::Planned(kind, key) => self.by_key.get(&(*kind, key)),
        };
        found.cloned().unwrap_or_default()
    }

    /// The waves that write what a wave refers to.
    fn built_on(&self, plan: &Plan, wave: &Wave) -> BTreeSet<usize> {
        wave.steps
            .iter()
            .flat_map(|step| {
                let change = &plan.changes[step.change];
                step.fields.iter().filter_map(|field| change.fields.get(field))
            })
            .flat_map(|change| references(&change.after))
            .chain(wave.steps.iter().flat_map(|step| self.beneath(plan, step)))
            .flat_map(|reference| self.writing(reference))
            .collect()
    }

    /// What must stand for that to be made which a new object is put on later.
    fn beneath(&self, plan: &'p Plan, step: &Step) -> Vec<&'p ObjectRef> {
        let change = &plan.changes[step.change];
        later(change, step)
            .filter_map(|reference| match reference {
                ObjectRef::Planned(kind, key) => self.changes.get(&(*kind, key)),
                ObjectRef::Live(..) => None,
            })
            .flat_map(|seat| needs(seat))
            .collect()
    }
}

/// Whose seats a wave empties.
fn holders<'p>(plan: &'p Plan, wave: &Wave) -> BTreeSet<&'p ObjectRef> {
    let changes = wave.steps.iter().map(|step| &plan.changes[step.change]);
    changes.flat_map(|change| &change.unseat).map(|seat| &seat.holder).collect()
}

/// Whether a wave writes one of these.
fn writes_one(plan: &Plan, wave: &Wave, holders: &BTreeSet<&ObjectRef>) -> bool {
    !holders.is_empty()
        && wave.steps.iter().any(|step| {
            let change = &plan.changes[step.change];
            let live = change.id.map(|id| ObjectRef::Live(change.kind, id));
            live.is_some_and(|live| holders.contains(&live))
        })
}

/// What a new object refers to, though not from the beginning.
pub(super) fn later<'p>(change: &'p Change, step: &Step) -> impl Iterator<Item = &'p ObjectRef> {
    let fields = if step.creates { Some(&step.fields) } else { None };
    needs_but(change, move |field| fields.is_none_or(|sent| sent.contains(&field)))
}

/// What a change refers to that must stand before.
pub(super) fn needs(change: &Change) -> impl Iterator<Item = &ObjectRef> {
    needs_but(change, |_| false)
}

fn needs_but(change: &Change, but: impl Fn(Field) -> bool) -> impl Iterator<Item = &ObjectRef> {
    let fields = change.fields.iter();
    let first = fields.filter(move |(field, _)| !field.waits(change.kind) && !but(**field));
    first.flat_map(|(_, of_field)| references(&of_field.after))
}

/// Splits what is to be written over lanes. What locks the same row goes into one lane,
/// and within a lane everything is in an order that every agent keeps.
pub(super) fn lanes<'p>(
    kind: Kind,
    deed: Deed,
    items: Vec<Item<'p>>,
    lanes: usize,
) -> Vec<Vec<Item<'p>>> {
    let mut groups: BTreeMap<u64, Vec<Item<'p>>> = BTreeMap::new();
    for item in items {
        groups.entry(group(kind, deed, &item)).or_default().push(item);
    }
    let mut groups: Vec<(u64, Vec<Item<'p>>)> = groups.into_iter().collect();
    let lanes = lanes.clamp(1, groups.len().max(1));
    // The longest first, each to the lane that has least to do.
    groups.sort_by_key(|(group, items)| (std::cmp::Reverse(items.len()), *group));
    let mut split: Vec<Vec<(u64, Vec<Item<'p>>)>> = (0..lanes).map(|_| Vec::new()).collect();
    for group in groups {
        let least = split.iter_mut().min_by_key(|lane| {
            lane.iter().map(|(_, items): &(u64, Vec<Item<'_>>)| items.len()).sum::<usize>()
        });
        if let Some(lane) = least {
            lane.push(group);
        }
    }
    split
        .into_iter()
        .map(|mut lane| {
            lane.sort_by_key(|(group, _)| *group);
            lane.into_iter()
                .flat_map(|(_, mut items)| {
                    items.sort_by_key(Item::order);
                    items
                })
                .collect()
        })
        .collect()
}

/// What an item has in common with those that must not be written beside it.
fn group(kind: Kind, deed: Deed, item: &Item<'_>) -> u64 {
    // So many updates go together that lanes stay few and long.
    const TOGETHER: u64 = 25;
    let of = |field: Field| {
        item.fields.get(&field).and_then(|value| value.as_ref()).and_then(ObjectRef::live_id)
    };
    let group = match (deed, kind) {
        // A new device is counted on its type, a part on its host.
        (Deed::Make, Kind::Device) => of(Field::DeviceType),
        (Deed::Make, Kind::Interface) => of(Field::Device),
        (Deed::Make, Kind::VmInterface | Kind::VirtualDisk) => of(Field::VirtualMachine),
        (Deed::Make, Kind::Service) => of(Field::Parent),
        // One that is on nothing yet locks nothing.
        (Deed::Make, Kind::MacAddress) => {
            Some(of(Field::AssignedObject).unwrap_or(item.place as u64) / TOGETHER)
        }
        (
            Deed::Change,
            Kind::Device
            | Kind::VirtualMachine
            | Kind::Interface
            | Kind::VmInterface
            | Kind::MacAddress
            | Kind::Service,
        ) => item.id.map(|id| id / TOGETHER),
        // Whatever locks more than its own row: one writer.
        _ => None,
    };
    group.map_or(0, |group| group + 1)
}

#[cfg(test)]
mod tests {
    use super::super::super::version::Version;
    use super::super::schedule::Schedule;
    use super::*;
    use crate::domain::object::Why;
    use crate::domain::plan::{FieldChange, Seat, waves};
    use crate::domain::value::{SmallMap, Value};

    fn change(action: Action, kind: Kind, name: &str, id: Option<u64>) -> Change {
        Change {
            action,
            kind,
            key: ObjectKey::new(kind, name),
            id,
            label: name.into(),
            stamp: None,
            fields: SmallMap::default(),
            unseat: Vec::new(),
            reason: "".into(),
        }
    }

    fn with(mut change: Change, field: Field, after: Value) -> Change {
        let why = Why::Agent("test".into());
        change.fields.insert(field, FieldChange { before: Value::Null, after, why });
        change
    }

    fn to(kind: Kind, name: &str) -> Value {
        Value::Ref(ObjectRef::Planned(kind, ObjectKey::new(kind, name)))
    }

    fn host() -> Plan {
        let device = with(
            change(Action::Create, Kind::Device, "a", None),
            Field::PrimaryIp4,
            to(Kind::IpAddress, "a"),
        );
        let interface = with(
            with(
                change(Action::Create, Kind::Interface, "a", None),
                Field::Device,
                to(Kind::Device, "a"),
            ),
            Field::PrimaryMac,
            to(Kind::MacAddress, "a"),
        );
        let on = || to(Kind::Interface, "a");
        let mac = change(Action::Create, Kind::MacAddress, "a", None);
        let ip = change(Action::Create, Kind::IpAddress, "a", None);
        let changes = vec![
            device,
            interface,
            with(mac, Field::AssignedObject, on()),
            with(ip, Field::AssignedObject, on()),
        ];
        Plan { changes, ..Plan::default() }
    }

    /// Pairs of waves of which the second waits for the first, as kind and place.
    fn waiting(plan: &Plan) -> (Vec<Wave>, BTreeSet<(usize, usize)>) {
        let waves = waves(plan);
        let pairs = dependencies(plan, &waves)
            .into_iter()
            .enumerate()
            .flat_map(|(late, early)| early.into_iter().map(move |early| (early, late)))
            .collect();
        (waves, pairs)
    }

    #[test]
    fn no_interface_is_changed_while_a_cable_is_plugged_into_it() {
        let bridged = with(
            change(Action::Create, Kind::Interface, "a", None),
            Field::Bridge,
            to(Kind::Interface, "b"),
        );
        let bridge = change(Action::Create, Kind::Interface, "b", None);
        let ends = Value::Refs([ObjectRef::Planned(Kind::Interface, bridged.key.clone())].into());
        let cable = change(Action::Create, Kind::Cable, "c", None);
        let changes = vec![bridged, bridge, with(cable, Field::ATerminations, ends)];
        let (waves, pairs) = waiting(&Plan { changes, ..Plan::default() });
        let of =
            |kind: Kind| (0..waves.len()).filter(|at| waves[*at].kind == kind).collect::<Vec<_>>();
        for cable in of(Kind::Cable) {
            for interface in of(Kind::Interface) {
                let pair = (cable.min(interface), cable.max(interface));
                assert!(pairs.contains(&pair), "{pair:?} of {pairs:?}");
            }
        }
    }

    #[test]
    fn macs_and_addresses_go_side_by_side_and_primaries_wait_for_their_own() {
        let (waves, waits) = waiting(&host());
        let place = |kind, creates| {
            let of = |wave: &Wave| wave.kind == kind && wave.steps[0].creates == creates;
            waves.iter().position(of).unwrap()
        };
        let (device, interface) = (place(Kind::Device, true), place(Kind::Interface, true));
        let (mac, ip) = (place(Kind::MacAddress, true), place(Kind::IpAddress, true));
        let (primary_mac, primary_ip) = (place(Kind::Interface, false), place(Kind::Device, false));
        assert!(waits.contains(&(device, interface)));
        assert!(waits.contains(&(interface, mac)) && waits.contains(&(interface, ip)));
        assert!(!waits.contains(&(mac, ip)) && !waits.contains(&(ip, mac)));
        assert!(waits.contains(&(mac, primary_mac)) && !waits.contains(&(ip, primary_mac)));
        assert!(waits.contains(&(ip, primary_ip)) && !waits.contains(&(mac, primary_ip)));
    }

    #[test]
    fn a_mac_address_is_made_after_the_host_and_before_the_interface_that_takes_it_along() {
        let plan = host();
        let waves = Schedule::of(&plan, Version::of(4, 6), &BTreeSet::new()).waves;
        let waits = dependencies(&plan, &waves);
        let place = |kind, action| {
            let of = |wave: &Wave| wave.kind == kind && wave.action == action;
            waves.iter().position(of).unwrap()
        };
        let device = place(Kind::Device, Action::Create);
        let interface = place(Kind::Interface, Action::Create);
        let free = place(Kind::MacAddress, Action::Create);
        let given = place(Kind::MacAddress, Action::Update);
        let ip = place(Kind::IpAddress, Action::Create);
        assert!(waits[free].contains(&device));
        assert!(waits[interface].contains(&free));
        assert!(waits[given].contains(&interface) && waits[ip].contains(&interface));
        assert!(!waits[ip].contains(&given));
    }

    #[test]
    fn what_empties_a_seat_and_what_fills_it_are_never_written_at_once() {
        let holder = ObjectRef::Live(Kind::VirtualMachine, 7);
        let mut moved = with(
            change(Action::Move, Kind::IpAddress, "x", Some(1)),
            Field::AssignedObject,
            Value::Ref(ObjectRef::Live(Kind::Interface, 5)),
        );
        moved.unseat = vec![Seat { holder, label: "x".into(), field: Field::PrimaryIp4 }];
        let filled = with(
            change(Action::Update, Kind::VirtualMachine, "y", Some(7)),
            Field::PrimaryIp4,
            Value::Ref(ObjectRef::Live(Kind::IpAddress, 2)),
        );
        let plan = Plan { changes: vec![moved, filled], ..Plan::default() };
        let (waves, waits) = waiting(&plan);
        assert_eq!(waves.len(), 2);
        assert!(waits.contains(&(0, 1)));
    }

    #[test]
    fn deletions_come_last_and_alone() {
        let mut plan = host();
        plan.changes.push(change(Action::Delete, Kind::Service, "old", Some(3)));
        plan.changes.push(change(Action::Delete, Kind::Device, "old", Some(4)));
        let (waves, waits) = waiting(&plan);
        let last = waves.len() - 1;
        assert!((0..last).all(|early| waits.contains(&(early, last))));
    }
}
