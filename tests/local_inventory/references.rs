//! Whatever is asked of it, the inventory never refers to what does not stand.

use std::sync::Arc;

use netbox_agent::domain::object::{Field, Kind, ObjectRef};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Change, Plan};
use netbox_agent::domain::value::Value;
use netbox_agent::store::{Local, Store};
use proptest::prelude::*;

use crate::plans::{apply, assert_whole, create, live, on, plan, planned, text};

const KINDS: [Kind; 5] = [Kind::Site, Kind::Device, Kind::Interface, Kind::IpAddress, Kind::Tag];

/// Any reference: to what may stand, and to what a plan may make.
fn reference(kind: Kind) -> impl Strategy<Value = Value> {
    prop_oneof![
        (1..5_u64).prop_map(move |id| live(kind, id)),
        (1..5_u64).prop_map(move |name| planned(kind, &name.to_string())),
        Just(Value::Null),
    ]
}

fn entries(kind: Kind) -> BoxedStrategy<Vec<(Field, Value)>> {
    let name = (0..4_u8).prop_map(|name| (Field::Name, text(&format!("n{name}"))));
    match kind {
        Kind::Device => (name, reference(Kind::Site), reference(Kind::IpAddress), 1..4_u64)
            .prop_map(|(name, site, ip, tag)| {
                let tags = Value::Refs([ObjectRef::Live(Kind::Tag, tag)].into());
                vec![name, (Field::Site, site), (Field::PrimaryIp4, ip), (Field::Tags, tags)]
            })
            .boxed(),
        Kind::Interface => (name, reference(Kind::Device), reference(Kind::Interface))
            .prop_map(|(name, device, parent)| {
                vec![name, (Field::Device, device), (Field::Parent, parent)]
            })
            .boxed(),
        Kind::IpAddress => (1..6_u8, reference(Kind::Interface))
            .prop_map(|(host, interface)| {
                let address = text(&format!("10.0.0.{host}/24"));
                vec![(Field::Address, address), (Field::AssignedObject, interface)]
            })
            .boxed(),
        _ => name.prop_map(|name| vec![name]).boxed(),
    }
}

fn change() -> impl Strategy<Value = Change> {
    let parts = proptest::sample::select(KINDS.to_vec())
        .prop_flat_map(|kind| (Just(kind), entries(kind), 1..5_u64, 0..4_u8));
    parts.prop_map(|(kind, entries, id, action)| match action {
        0 | 1 => create(kind, &id.to_string(), &entries),
        2 => on(Action::Update, kind, id, &entries),
        _ => on(Action::Delete, kind, id, &[]),
    })
}

/// A plan names each object once.
fn plans() -> impl Strategy<Value = Plan> {
    proptest::collection::vec(change(), 1..12).prop_map(|mut changes| {
        changes.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
        changes.dedup_by(|a, b| a.key == b.key);
        plan(changes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plans_leave_every_reference_whole(plans in proptest::collection::vec(plans(), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let local = Local::new(Arc::new(store));
        for plan in plans {
            let outcomes = apply(&local, &plan);
            prop_assert_eq!(outcomes.len(), plan.changes.len());
            let world = local.everything().unwrap();
            assert_whole(&world);
            let deletes = plan.changes.iter().any(|change| change.action == Action::Delete);
            let objects: Vec<(Kind, u64)> = plan
                .changes
                .iter()
                .zip(&outcomes)
                .filter_map(|(change, outcome)| match outcome {
                    Outcome::Applied { id, .. } => Some((change.kind, *id)),
                    _ => None,
                })
                .collect();
            for (change, outcome) in plan.changes.iter().zip(&outcomes) {
                let Outcome::Applied { id, settled, .. } = outcome else {
                    continue;
                };
                let live = world.get(change.kind, *id);
                if change.action == Action::Delete {
                    prop_assert!(live.is_none());
                    continue;
                }
                // What the sink says it wrote stands, unless the same plan wrote over it.
                let once = objects.iter().filter(|object| **object == (change.kind, *id)).count() == 1;
                if once && !deletes {
                    for (field, value) in settled.iter() {
                        prop_assert_eq!(live.unwrap().field(*field), value);
                    }
                }
            }
        }
    }
}
