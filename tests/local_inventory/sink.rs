//! What the sink takes and what it refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use netbox_agent::domain::object::{Field, Kind, ObjectKey, ObjectRef};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Change, Seat, Step};
use netbox_agent::domain::value::Value;
use netbox_agent::domain::world::Need;
use netbox_agent::journal::{Journal, JournalError};
use netbox_agent::progress::Silent;
use netbox_agent::store::{Local, SinkId, Store};
use tokio_util::sync::CancellationToken;

use crate::plans::{
    Forgetful, apply, assert_whole, create, difference, live, network, on, plan, planned, start,
    sync, text,
};

fn open() -> (tempfile::TempDir, Arc<Store>, Local) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(&folder.path().join("store.db")).unwrap());
    let local = Local::new(Arc::clone(&store));
    (folder, store, local)
}

/// The inventory of a network of so many hosts. Ids are given in order, so that the
/// first host is device 1 with interface 1, MAC address 1 and IP address 1.
fn with_network(hosts: usize) -> (tempfile::TempDir, Arc<Store>, Local) {
    let (folder, store, local) = open();
    let outcomes = apply(&local, &plan(network(hosts)));
    assert!(outcomes.iter().all(Outcome::is_applied), "{outcomes:?}");
    (folder, store, local)
}

fn words(outcomes: &[Outcome]) -> Vec<&'static str> {
    outcomes.iter().map(Outcome::word).collect()
}

fn refused(local: &Local, change: Change, because: &str) {
    let outcomes = apply(local, &plan(vec![change]));
    let told = outcomes[0].to_string();
    assert!(told.starts_with("failed: ") && told.contains(because), "{told}");
}

#[test]
fn a_network_is_written_and_a_second_sync_plans_nothing() {
    let (_folder, store, local) = open();
    let wanted = network(30);
    let (first, outcomes) = sync(&store, &wanted);
    assert_eq!(first.changes.len(), wanted.len());
    assert!(outcomes.iter().all(Outcome::is_applied), "{outcomes:?}");
    let world = local.everything().unwrap();
    assert_whole(&world);
    assert_eq!(world.of(Kind::Device).count(), 30);
    let device = world.of(Kind::Device).next().unwrap();
    assert_eq!(device.field(Field::PrimaryIp4), &live(Kind::IpAddress, device.id));
    assert!(difference(&world, &wanted).is_empty());
    for ((kind, id), stamp) in store.stamps(&SinkId::local()).unwrap() {
        assert_eq!(world.get(kind, id).unwrap().stamp, Some(stamp));
    }
    // What is remembered is what stands.
    for ((kind, id), fields) in store.memory(&SinkId::local()).unwrap() {
        let object = world.get(kind, id).unwrap();
        for (field, last) in fields.iter() {
            assert_eq!(
                (&last.wanted, last.settled.as_ref()),
                (object.field(*field), Some(&last.wanted))
            );
        }
    }
}

#[test]
fn only_what_is_needed_is_read() {
    let (_folder, _store, local) = with_network(2);
    let kinds = [Kind::Device, Kind::Site].into();
    let world = local.snapshot(&Need { kinds }).unwrap();
    assert_eq!(world.len(), 3);
    assert!(world.read.contains(&Kind::Site) && !world.read.contains(&Kind::Interface));
    assert!(world.supported.contains(&Kind::Cable) && !world.marked.contains(&Kind::Tag));
    // The marks are fields of the objects themselves here.
    assert!(!world.supported.contains(&Kind::CustomField));
}

#[test]
fn one_bad_change_takes_only_its_dependents_along() {
    let (_folder, _store, local) = open();
    let mut wanted = network(3);
    let bad = wanted.iter().position(|change| &*change.label == "host0001").unwrap();
    let site = wanted[bad].fields.get(&Field::Site).unwrap().clone();
    let gone = live(Kind::Site, 99);
    wanted[bad]
        .fields
        .insert(Field::Site, netbox_agent::domain::plan::FieldChange { after: gone, ..site });
    let outcomes = apply(&local, &plan(wanted.clone()));
    let told: Vec<String> = wanted
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| !outcome.is_applied())
        .map(|(change, outcome)| format!("{}: {outcome}", change.key))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    device:host0001: failed: its site would be site 99, which does not stand
    interface:host0001#eth0: skipped because device host0001 was not made
    mac_address:host0001: skipped because interface host0001#eth0 was not made
    ip_address:host0001: skipped because interface host0001#eth0 was not made
    ");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_applied()).count(), 5 + 2 * 4);
    assert_whole(&local.everything().unwrap());
}

#[test]
fn an_object_whose_waiting_fields_cannot_be_set_stands_and_says_what_it_lacks() {
    let (_folder, _store, local) = open();
    let mut wanted = network(1);
    let at = wanted.iter().position(|change| change.kind == Kind::IpAddress).unwrap();
    wanted[at].fields.remove(&Field::Address);
    let outcomes = apply(&local, &plan(wanted));
    let told: Vec<String> =
        outcomes.iter().filter(|end| !end.is_applied()).map(Outcome::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    failed: written without its primary_ip4: IP address host0000 was not made
    failed: its address is missing
    ");
    assert_eq!(local.everything().unwrap().of(Kind::Device).count(), 1);
}

#[test]
fn what_must_be_unique_is_not_made_twice() {
    let (_folder, _store, local) = with_network(1);
    let same_name = [(Field::Name, text("HOST0000")), (Field::Site, live(Kind::Site, 1))];
    refused(&local, create(Kind::Device, "x", &same_name), "device 1 is the same one already");
    let same_ip = [(Field::Address, text("10.0.0.1/24"))];
    refused(&local, create(Kind::IpAddress, "x", &same_ip), "IP address 1 is the same one already");
    let outcomes = apply(
        &local,
        &plan(vec![
            create(
                Kind::IpAddress,
                "vip",
                &[(Field::Address, text("10.0.0.1/24")), (Field::Role, text("vip"))],
            ),
            create(Kind::Device, "elsewhere", &[(Field::Name, text("host0000"))]),
            create(Kind::Device, "nameless", &[(Field::Site, live(Kind::Site, 1))]),
            create(Kind::Device, "nameless too", &[(Field::Site, live(Kind::Site, 1))]),
        ]),
    );
    assert_eq!(words(&outcomes), ["applied"; 4]);
}

#[test]
fn a_primary_address_is_one_that_the_host_has() {
    let (_folder, _store, local) = with_network(2);
    let primary =
        |field, ip| on(Action::Update, Kind::Device, 1, &[(field, live(Kind::IpAddress, ip))]);
    refused(&local, primary(Field::PrimaryIp4, 2), "which it does not have");
    refused(&local, primary(Field::PrimaryIp6, 1), "which is of the other version");
    let mac =
        on(Action::Update, Kind::Interface, 1, &[(Field::PrimaryMac, live(Kind::MacAddress, 2))]);
    refused(&local, mac, "which it does not have");
    for (address, because) in [
        ("10.1.0.0/24", "is a network"),
        ("10.1.0.255/24", "is a broadcast"),
        ("fd00::/64", "is a network"),
        ("ten", "is no address"),
    ] {
        let fields =
            [(Field::Address, text(address)), (Field::AssignedObject, live(Kind::Interface, 1))];
        refused(&local, create(Kind::IpAddress, "x", &fields), because);
    }
    for address in ["10.1.0.0/31", "10.1.0.9", "fd00::1/128"] {
        let fields =
            [(Field::Address, text(address)), (Field::AssignedObject, live(Kind::Interface, 1))];
        let outcomes = apply(&local, &plan(vec![create(Kind::IpAddress, address, &fields)]));
        assert!(outcomes[0].is_applied(), "{outcomes:?}");
    }
}

fn seat() -> Seat {
    Seat {
        holder: ObjectRef::Live(Kind::Device, 1),
        label: "host0000".into(),
        field: Field::PrimaryIp4,
    }
}

#[test]
fn a_primary_address_moves_only_when_its_seat_is_emptied_and_gets_it_back_when_it_cannot() {
    let (_folder, _store, local) = with_network(2);
    let to = |interface| {
        on(
            Action::Move,
            Kind::IpAddress,
            1,
            &[(Field::AssignedObject, live(Kind::Interface, interface))],
        )
    };
    refused(&local, to(2), "it cannot move while it is the primary_ip4 of device 1");
    let unseated = |interface| Change { unseat: vec![seat()], ..to(interface) };
    refused(&local, unseated(77), "which does not stand");
    let primary = |device| {
        let world = local.everything().unwrap();
        world.get(Kind::Device, device).unwrap().field(Field::PrimaryIp4).clone()
    };
    assert_eq!(primary(1), live(Kind::IpAddress, 1), "put back");

    let outcomes = apply(&local, &plan(vec![unseated(2)]));
    assert!(outcomes[0].is_applied(), "{outcomes:?}");
    assert_eq!(primary(1), Value::Null);
    assert_eq!(primary(2), live(Kind::IpAddress, 2));
    // Between two interfaces of the same host it may move and stay primary.
    let second = create(
        Kind::Interface,
        "eth1",
        &[(Field::Name, text("eth1")), (Field::Device, live(Kind::Device, 2))],
    );
    apply(&local, &plan(vec![second]));
    let within =
        on(Action::Move, Kind::IpAddress, 2, &[(Field::AssignedObject, live(Kind::Interface, 3))]);
    assert!(apply(&local, &plan(vec![within]))[0].is_applied());
}

#[test]
fn a_plan_that_the_world_overtook_is_refused_object_by_object() {
    let (_folder, _store, local) = with_network(2);
    let before = local.everything().unwrap();
    let stamped = |id: u64, field, value: Value| Change {
        stamp: before.get(Kind::Device, id).unwrap().stamp.clone(),
        ..on(Action::Update, Kind::Device, id, &[(field, value)])
    };
    apply(&local, &plan(vec![on(Action::Update, Kind::Device, 1, &[(Field::Serial, text("1"))])]));
    let outcomes = apply(
        &local,
        &plan(vec![
            stamped(1, Field::Serial, text("2")),
            // Written twice by this plan: that is not the world's doing.
            Change {
                fields: crate::plans::fields(&[
                    (Field::Serial, text("3")),
                    (Field::PrimaryIp4, Value::Null),
                ]),
                ..stamped(2, Field::Serial, Value::Null)
            },
        ]),
    );
    assert_eq!(words(&outcomes), ["failed", "applied"]);
    assert!(outcomes[0].to_string().contains("plan again"), "{outcomes:?}");
    let after = local.everything().unwrap();
    assert_eq!(after.get(Kind::Device, 1).unwrap().field(Field::Serial), &text("1"));
    assert!(after.get(Kind::Device, 2).unwrap().field(Field::PrimaryIp4).is_blank());
}

#[test]
fn a_deletion_takes_the_parts_along_and_leaves_what_others_need() {
    let (_folder, _store, local) = with_network(2);
    refused(&local, on(Action::Delete, Kind::Site, 1, &[]), "still refers to it");
    let outcomes = apply(
        &local,
        &plan(vec![
            // A deletion carries all that stood, so that it can be undone.
            on(Action::Delete, Kind::Device, 1, &[(Field::Name, Value::Null)]),
            on(Action::Delete, Kind::IpAddress, 1, &[]),
            on(Action::Delete, Kind::Tag, 1, &[]),
            on(Action::Delete, Kind::IpAddress, 2, &[]),
        ]),
    );
    assert_eq!(words(&outcomes), ["applied"; 4]);
    let world = local.everything().unwrap();
    assert_whole(&world);
    let left: Vec<usize> =
        [Kind::Device, Kind::Interface, Kind::MacAddress, Kind::IpAddress, Kind::Tag]
            .map(|kind| world.of(kind).count())
            .into();
    assert_eq!(left, [1, 1, 1, 0, 0]);
    let device = world.get(Kind::Device, 2).unwrap();
    assert_eq!(device.field(Field::Tags), &Value::Refs([].into()));
    assert!(device.field(Field::PrimaryIp4).is_blank());
    let update = on(Action::Update, Kind::Device, 1, &[(Field::Serial, text("1"))]);
    refused(&local, update, "does not stand any more");
    // An id is never given again, so that nothing remembered of it is taken for another's.
    apply(&local, &plan(vec![on(Action::Delete, Kind::Device, 2, &[])]));
    let again = apply(&local, &plan(vec![create(Kind::Device, "new", &[])]));
    assert!(matches!(again[0], Outcome::Applied { id: 3, .. }), "{again:?}");
}

#[test]
fn a_reference_to_what_nothing_makes_is_skipped() {
    let (_folder, _store, local) = open();
    let device = create(Kind::Device, "a", &[(Field::Site, planned(Kind::Site, "nowhere"))]);
    let outcomes = apply(&local, &plan(vec![device]));
    assert_eq!(outcomes[0].to_string(), "skipped because nothing makes site:nowhere");
}

#[test]
fn a_cancelled_apply_reaches_nothing_more_and_says_so() {
    let (_folder, store, local) = open();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let recorder = store.begin(&start()).unwrap();
    let changes = plan(network(1));
    let outcomes = local.apply(&changes, &recorder, &Silent, &cancel);
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::NotReached));
    assert!(local.everything().unwrap().is_empty());
    let counts = store.run(recorder.run()).unwrap().unwrap().counts;
    assert_eq!(counts.not_reached, changes.changes.len() as u64);
}

/// A journal that has room for so many intents.
struct Narrow(AtomicUsize);

impl Journal for Narrow {
    fn intend(&self, steps: &[(&Change, &Step)]) -> Result<(), JournalError> {
        let full = |_| JournalError("the disk is full".into());
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .map_err(full)?;
        Forgetful.intend(steps)
    }

    fn made(&self, kind: Kind, key: &ObjectKey, id: u64) -> Result<(), JournalError> {
        Forgetful.made(kind, key, id)
    }

    fn settle(&self, index: usize, change: &Change, end: &Outcome) -> Result<(), JournalError> {
        Forgetful.settle(index, change, end)
    }
}

#[test]
fn nothing_is_written_that_cannot_be_recorded_first() {
    let (_folder, _store, local) = open();
    let journal = Narrow(AtomicUsize::new(2));
    let changes = plan(network(1));
    let outcomes = local.apply(&changes, &journal, &Silent, &CancellationToken::new());
    assert_eq!(local.everything().unwrap().len(), 2, "a batch for each intent");
    let failed = outcomes.iter().find(|end| end.word() == "failed").unwrap();
    assert_eq!(failed.to_string(), "failed: cannot record the run: the disk is full");
    assert_eq!(
        outcomes.iter().filter(|end| end.word() == "not_reached").count(),
        changes.changes.len() - 3
    );
}
