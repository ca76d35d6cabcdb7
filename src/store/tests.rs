//! The store as a whole, on real files.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::domain::absence::{Sighting, Witness};
use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use crate::domain::observation::Segment;
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, Conflict, FieldChange, Step};
use crate::domain::value::{SmallMap, Value};
use crate::journal::Journal;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("state/agent/store.db")
}

fn open() -> (tempfile::TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&file(&folder)).unwrap();
    (folder, Arc::new(store))
}

fn why() -> Why {
    Why::Source { source: "lab".parse().unwrap(), evidence: "arp reply".into() }
}

fn start() -> RunStart {
    RunStart {
        instance: "home".into(),
        sink: SinkId::local(),
        purpose: "sync".into(),
        version: "0.1.0".into(),
        dry_run: false,
        started: at(0),
    }
}

fn change(action: Action, kind: Kind, name: &str, fields: &[(Field, Value, Value)]) -> Change {
    let of_field = |(field, before, after): &(Field, Value, Value)| {
        let change = FieldChange { before: before.clone(), after: after.clone(), why: why() };
        (*field, change)
    };
    Change {
        action,
        kind,
        key: ObjectKey::new(kind, name),
        id: (action != Action::Create).then_some(7),
        label: name.into(),
        stamp: None,
        fields: fields.iter().map(of_field).collect(),
        unseat: Vec::new(),
        reason: "".into(),
    }
}

fn step(change: usize, fields: &[Field], creates: bool) -> Step {
    Step { change, fields: fields.to_vec(), creates }
}

fn applied(id: u64) -> Outcome {
    Outcome::Applied { id, settled: SmallMap::default(), stamp: Some("3".into()) }
}

#[test]
fn a_new_store_is_for_its_owner_alone() {
    let (folder, store) = open();
    store.begin(&start()).unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path().join("state")), 0o700);
    assert_eq!(mode(folder.path().join("state/agent")), 0o700);
    for ending in ["", "-wal", "-shm", ".lock"] {
        assert_eq!(mode(beside(store.path(), ending)), 0o600, "{ending}");
    }
}

#[test]
fn a_second_writer_is_told_who_has_the_store_and_a_reader_is_not_kept() {
    let (_folder, store) = open();
    let error = Store::open(store.path()).unwrap_err();
    assert_eq!(error.fault, Fault::InUse { process: Some(std::process::id()) });
    assert!(!error.to_string().contains('\n'), "{error}");

    let recorder = store.begin(&start()).unwrap();
    let reader = Store::read(store.path()).unwrap();
    assert_eq!(reader.runs(None, 10).unwrap()[0].id, recorder.run());
    assert!(!reader.is_writable());
    let refused = reader.bind(&SinkId::local(), &Bindings::default()).unwrap_err();
    assert!(matches!(refused.fault, Fault::Denied { .. }), "{refused}");

    let path = store.path().to_path_buf();
    drop(recorder);
    drop(store);
    assert!(Store::open(&path).is_ok(), "the lock ends with its holder");
}

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    assert_eq!(Store::read(&path).unwrap_err().fault, Fault::Missing);

    std::fs::write(&path, b"This is no database, whatever its name may say.\n".repeat(30)).unwrap();
    let before = std::fs::read(&path).unwrap();
    for error in [Store::open(&path).unwrap_err(), Store::read(&path).unwrap_err()] {
        assert!(matches!(error.fault, Fault::Damaged { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE notes (text)").unwrap();
    drop(other);
    assert_eq!(Store::open(&path).unwrap_err().fault, Fault::Foreign);

    std::fs::remove_file(&path).unwrap();
    drop(Store::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error.fault, Fault::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_store_whose_pages_are_damaged_says_so_and_stops_the_run() {
    let (_folder, store) = open();
    let path = store.path().to_path_buf();
    let recorder = store.begin(&start()).unwrap();
    let device =
        change(Action::Create, Kind::Device, "a", &[(Field::Name, Value::Null, Value::text("a"))]);
    recorder.settle(0, &device, &applied(1)).unwrap();
    drop(recorder);
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let beyond_the_schema = bytes.len() / 2;
    bytes[beyond_the_schema..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();

    let faults: Vec<Fault> = match Store::open(&path) {
        Err(error) => vec![error.fault],
        Ok(store) => [store.run_changes(1).err(), store.memory(&SinkId::local()).err()]
            .into_iter()
            .flatten()
            .map(|error| error.fault)
            .collect(),
    };
    assert!(!faults.is_empty());
    for fault in faults {
        assert!(matches!(fault, Fault::Damaged { .. }), "{fault}");
    }
}

#[test]
fn a_full_store_refuses_the_intent_and_keeps_what_it_had() {
    let (_folder, store) = open();
    let recorder = store.begin(&start()).unwrap();
    let pages: i64 =
        store.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store
        .connection()
        .pragma_update_and_check(None, "max_page_count", pages + 4, |_| Ok(()))
        .unwrap();
    let long = Value::text("x".repeat(40_000));
    let device = change(Action::Create, Kind::Device, "a", &[(Field::Comments, Value::Null, long)]);
    let error = recorder.intend(&[(&device, &step(0, &[Field::Comments], true))]).unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert!(store.pending_intents(&SinkId::local()).unwrap().is_empty());
    assert!(store.run_changes(recorder.run()).unwrap().is_empty());
    assert!(store.run(recorder.run()).unwrap().is_some());
}

#[test]
fn what_was_applied_is_remembered_with_references_to_what_was_made() {
    let (_folder, store) = open();
    let recorder = store.begin(&start()).unwrap();
    let site = change(
        Action::Create,
        Kind::Site,
        "home",
        &[(Field::Name, Value::Null, Value::text("Home"))],
    );
    let planned = Value::Ref(ObjectRef::Planned(Kind::Site, site.key.clone()));
    let device = change(
        Action::Create,
        Kind::Device,
        "web01",
        &[(Field::Name, Value::Null, Value::text("Web01")), (Field::Site, Value::Null, planned)],
    );
    recorder.intend(&[(&site, &step(0, &[Field::Name], true))]).unwrap();
    recorder.made(Kind::Site, &site.key, 3).unwrap();
    recorder.settle(0, &site, &applied(3)).unwrap();
    recorder.intend(&[(&device, &step(1, &[Field::Name, Field::Site], true))]).unwrap();
    recorder.made(Kind::Device, &device.key, 12).unwrap();
    let answer = [(Field::Name, Value::text("web01"))].into_iter().collect();
    let outcome = Outcome::Applied { id: 12, settled: answer, stamp: Some("9".into()) };
    recorder.settle(1, &device, &outcome).unwrap();
    recorder
        .finish(&RunEnd { ended: at(9), result: "done".into(), planned: 2, conflicts: 0 })
        .unwrap();

    let memory = store.memory(&SinkId::local()).unwrap();
    let last = &memory[&(Kind::Device, 12)];
    assert_eq!(last.get(&Field::Site).unwrap().wanted, Value::Ref(ObjectRef::Live(Kind::Site, 3)));
    let name = last.get(&Field::Name).unwrap();
    assert_eq!((&name.wanted, &name.settled), (&Value::text("Web01"), &Some(Value::text("web01"))));
    assert_eq!((name.run, &name.why), (Some(recorder.run()), &why()));
    let stamps = store.stamps(&SinkId::local()).unwrap();
    assert_eq!(&*stamps[&(Kind::Device, 12)], "9");
    let bindings = store.bindings(&SinkId::local()).unwrap();
    assert_eq!(bindings.objects[&device.key], (Kind::Device, 12));
    assert!(store.pending_intents(&SinkId::local()).unwrap().is_empty());

    let run = store.run(recorder.run()).unwrap().unwrap();
    assert_eq!((run.counts.applied, run.counts.planned), (2, 2));
    assert_eq!((run.result.as_deref(), run.ended), (Some("done"), Some(at(9))));
    let changes = store.run_changes(run.id).unwrap();
    assert_eq!((&changes[1].change, changes[1].made), (&device, true));
    assert_eq!(changes[1].outcome, Some(outcome));
    let elsewhere = SinkId::netbox(&"https://nb.example".parse().unwrap());
    assert!(store.memory(&elsewhere).unwrap().is_empty());
}

#[test]
fn what_is_in_doubt_after_a_kill_is_told_and_can_be_taken_out_of_doubt() {
    let (_folder, store) = open();
    let path = store.path().to_path_buf();
    let recorder = store.begin(&start()).unwrap();
    let fields = [
        (Field::Name, Value::Null, Value::text("a")),
        (Field::PrimaryIp4, Value::Null, Value::Ref(ObjectRef::Live(Kind::IpAddress, 5))),
    ];
    let made = change(Action::Create, Kind::Device, "made", &fields);
    let lost = change(Action::Create, Kind::Device, "lost", &fields);
    let changed = change(
        Action::Update,
        Kind::Site,
        "s",
        &[(Field::Status, Value::Null, Value::text("active"))],
    );
    let gone = change(Action::Delete, Kind::IpAddress, "10.0.0.1", &[]);
    let steps = [
        step(0, &[Field::Name], true),
        step(1, &[Field::Name], true),
        step(2, &[Field::Status], false),
        step(3, &[], false),
    ];
    recorder
        .intend(&[
            (&made, &steps[0]),
            (&lost, &steps[1]),
            (&changed, &steps[2]),
            (&gone, &steps[3]),
        ])
        .unwrap();
    recorder.made(Kind::Device, &made.key, 12).unwrap();
    recorder.intend(&[(&made, &step(0, &[Field::PrimaryIp4], false))]).unwrap();
    let run = recorder.run();
    let reader = Store::read(&path).unwrap();
    assert_eq!(reader.run(run).unwrap().unwrap().result, None, "it runs");
    drop(recorder);
    drop(store);
    assert_eq!(reader.run(run).unwrap().unwrap().result.as_deref(), Some("killed"));
    assert_eq!(reader.runs(None, 1).unwrap()[0].result.as_deref(), Some("killed"));

    let store = Store::open(&path).unwrap();
    let sink = SinkId::local();
    assert_eq!(store.run(run).unwrap().unwrap().result.as_deref(), Some("killed"));
    assert_eq!(store.run(run).unwrap().unwrap().counts.unknown, 4);
    // What the answered request carried is known already.
    let memory = store.memory(&sink).unwrap();
    assert_eq!(memory[&(Kind::Device, 12)].len(), 1);

    let pending = store.pending_intents(&sink).unwrap();
    let ids: Vec<Option<u64>> = pending.iter().map(|intent| intent.id).collect();
    assert_eq!(ids, [Some(12), None, Some(7), Some(7)]);
    assert_eq!(pending[0].change, made);
    assert_eq!(pending[0].steps.len(), 2);
    assert!(pending[0].steps[0].creates && !pending[0].steps[1].creates);

    let stands = |id, fields: &[(Field, Value)]| Landed::Stands {
        id,
        fields: fields.iter().cloned().collect(),
    };
    let landed = [
        stands(12, &[(Field::Name, Value::text("a"))]),
        Landed::Nothing,
        stands(7, &[(Field::Status, Value::text("active"))]),
        Landed::Gone,
    ];
    let recovered: Vec<Recovered> = landed
        .into_iter()
        .enumerate()
        .map(|(place, landed)| Recovered { run, place, landed, decided: true })
        .collect();
    // As long as the sink may still be at it, what stands is known and the rest in doubt.
    let open = |place: usize| Recovered { decided: false, ..recovered[place].clone() };
    store.recover(&sink, &[open(0), open(2)]).unwrap();
    assert_eq!(store.pending_intents(&sink).unwrap().len(), 4);
    assert_eq!(store.run(run).unwrap().unwrap().counts.unknown, 4);
    assert!(store.memory(&sink).unwrap().contains_key(&(Kind::Site, 7)));
    store.recover(&sink, &recovered).unwrap();
    assert!(store.pending_intents(&sink).unwrap().is_empty());
    let ends: Vec<String> = store
        .run_changes(run)
        .unwrap()
        .iter()
        .map(|change| change.outcome.as_ref().unwrap().to_string())
        .collect();
    let part = "failed: the run was killed before it wrote primary_ip4";
    assert_eq!(ends, [part, "not reached", "applied", "applied"]);
    let first = &store.run_changes(run).unwrap()[0];
    assert!(first.made && first.id == Some(12) && first.settled.len() == 1);
    let memory = store.memory(&sink).unwrap();
    assert_eq!(
        memory[&(Kind::Site, 7)].get(&Field::Status).unwrap().settled,
        Some(Value::text("active"))
    );
    store.recover(&sink, &recovered).unwrap();
    assert_eq!(store.memory(&sink).unwrap(), memory, "a second time changes nothing");
}

#[test]
fn a_change_that_failed_half_way_stays_in_doubt() {
    let (_folder, store) = open();
    let recorder = store.begin(&start()).unwrap();
    let update = change(
        Action::Update,
        Kind::Device,
        "a",
        &[(Field::Status, Value::Null, Value::text("active"))],
    );
    recorder.intend(&[(&update, &step(0, &[Field::Status], false))]).unwrap();
    let reason = "502 Bad Gateway".to_owned();
    recorder.settle(0, &update, &Outcome::Failed { reason: reason.clone() }).unwrap();
    assert_eq!(store.pending_intents(&SinkId::local()).unwrap().len(), 1);
    assert!(store.memory(&SinkId::local()).unwrap().is_empty());
    let recorded = &store.run_changes(recorder.run()).unwrap()[0];
    assert_eq!(recorded.outcome, Some(Outcome::Failed { reason }));
}

#[test]
fn what_was_refused_is_known_for_a_while() {
    let (_folder, store) = open();
    let recorder = store.begin(&start()).unwrap();
    let failed = Outcome::Failed { reason: "no such type".to_owned() };
    let ends = [
        (Kind::Interface, "a", failed.clone()),
        (Kind::Device, "b", failed),
        (Kind::Interface, "c", applied(3)),
    ];
    for (place, (kind, name, end)) in ends.iter().enumerate() {
        let made =
            change(Action::Create, *kind, name, &[(Field::Name, Value::Null, Value::text(*name))]);
        recorder.settle(place, &made, end).unwrap();
    }
    let kinds = [Kind::Interface, Kind::VmInterface];
    assert!(recorder.refused(&kinds).is_empty(), "it is of runs before");
    let known = [ObjectKey::new(Kind::Interface, "a")].into();
    for run in 0..25 {
        let next = store.begin(&start()).unwrap();
        let expected = if run < 20 { &known } else { &std::collections::BTreeSet::new() };
        assert_eq!(&next.refused(&kinds), expected, "{run}");
    }
}

#[test]
fn a_deleted_object_is_forgotten() {
    let (_folder, store) = open();
    let sink = SinkId::local();
    let recorder = store.begin(&start()).unwrap();
    let update =
        change(Action::Update, Kind::Device, "a", &[(Field::Name, Value::Null, Value::text("a"))]);
    recorder.settle(0, &update, &applied(7)).unwrap();
    let natives = [("pve:lab/qemu/1".parse().unwrap(), (Kind::Device, 7))].into();
    let bindings = Bindings { natives, ..Bindings::default() };
    store.bind(&sink, &bindings).unwrap();
    assert_eq!(store.bindings(&sink).unwrap().natives, bindings.natives);
    store.save_sightings(&sink, &[((Kind::Device, 7), Sighting::default())].into()).unwrap();
    let delete = change(Action::Delete, Kind::Device, "a", &[]);
    recorder.settle(1, &delete, &applied(7)).unwrap();
    assert!(store.sightings(&sink).unwrap().is_empty());
    assert!(store.memory(&sink).unwrap().is_empty());
    assert_eq!(store.bindings(&sink).unwrap(), Bindings::default());
}

fn conflict(id: u64, live: &str, want: &str) -> Conflict {
    Conflict {
        kind: Kind::Device,
        id,
        key: ObjectKey::new(Kind::Device, id),
        label: "web01".into(),
        field: Field::Description,
        live: Value::text(live),
        last: Some(Value::text("old")),
        want: Value::text(want),
        why: why(),
    }
}

#[test]
fn a_conflict_is_told_once_until_a_person_edits_again() {
    let (_folder, store) = open();
    let sink = SinkId::local();
    let all = |_: Kind, _: u64| true;
    let update = |conflicts: &[Conflict], second| {
        store.update_conflicts(&sink, conflicts, all, at(second)).unwrap()
    };
    let news = update(&[conflict(1, "mine", "theirs"), conflict(2, "x", "y")], 1);
    assert_eq!(news.len(), 2);
    store.mark_reported(&sink, &news).unwrap();
    assert!(update(&[conflict(1, "mine", "changing"), conflict(2, "x", "y")], 2).is_empty());
    let news = update(&[conflict(1, "edited", "changing"), conflict(2, "x", "y")], 3);
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].conflict.id, news[0].first_seen), (1, at(1)));

    let only_first = |_: Kind, id: u64| id == 1;
    store.update_conflicts(&sink, &[], only_first, at(4)).unwrap();
    let left = store.conflicts(&sink).unwrap();
    assert_eq!(left.len(), 1, "what was not judged stays open");
    assert_eq!((left[0].conflict.id, left[0].reported), (2, true));

    let recorder = store.begin(&start()).unwrap();
    let fields = [(Field::Description, Value::text("x"), Value::text("y"))];
    let mut reclaimed = change(Action::Update, Kind::Device, "2", &fields);
    reclaimed.id = Some(2);
    recorder.settle(0, &reclaimed, &applied(2)).unwrap();
    assert!(store.conflicts(&sink).unwrap().is_empty(), "a field that was written is no conflict");
}

#[test]
fn a_reclaim_waits_for_the_run_that_fulfils_it() {
    let (_folder, store) = open();
    let sink = SinkId::local();
    let whole = Reclaim { kind: Kind::Device, id: 1, field: None };
    let field = Reclaim { field: Some(Field::Name), ..whole.clone() };
    for reclaim in [&field, &whole, &field] {
        store.request_reclaim(&sink, reclaim, at(0)).unwrap();
    }
    assert_eq!(store.reclaims(&sink).unwrap(), [whole.clone(), field.clone()]);
    store.fulfil_reclaims(&sink, &[whole]).unwrap();
    assert_eq!(store.reclaims(&sink).unwrap(), [field]);
}

#[test]
fn sightings_and_observations_come_back_as_they_were_given() {
    let (_folder, store) = open();
    let sink = SinkId::local();
    let sighting = Sighting {
        witnesses: [
            (("pve".parse().unwrap(), Witness::Key("pve:lab/qemu/1".parse().unwrap())), at(1)),
            (
                (
                    "sweep".parse().unwrap(),
                    Witness::Address(Segment::named("lab"), "fd00::1".parse().unwrap()),
                ),
                at(2),
            ),
        ]
        .into(),
        misses: 3,
        first_missed: Some(at(3)),
        retired: None,
    };
    let things = [((Kind::Device, 1), sighting), ((Kind::Device, 2), Sighting::default())].into();
    store.save_sightings(&sink, &things).unwrap();
    store.save_sightings(&sink, &things).unwrap();
    assert_eq!(store.sightings(&sink).unwrap(), things);

    let source = "sweep".parse().unwrap();
    assert_eq!(store.kept_observations(&source).unwrap(), None);
    let observation = |thing: &str, text: &str| KeptObservation {
        thing: thing.into(),
        at: at(1),
        text: text.into(),
    };
    for texts in [vec!["{}", "{\"a\":1}"], vec!["{}"], vec![]] {
        let kept = Kept {
            at: at(5),
            observations: texts.into_iter().map(|text| observation("x", text)).collect(),
        };
        store.keep_observations(&source, &kept).unwrap();
        assert_eq!(store.kept_observations(&source).unwrap(), Some(kept));
    }
    assert_eq!(store.kept_sources().unwrap(), [(source.clone(), at(5))]);
    store.drop_observations(&source).unwrap();
    assert_eq!(store.kept_observations(&source).unwrap(), None);
}

#[test]
fn pruning_keeps_memory_and_runs_that_are_in_doubt() {
    let (_folder, store) = open();
    let sink = SinkId::local();
    let mut runs = Vec::new();
    for day in 0..6 {
        let started = at(day * 86_400);
        let recorder = store.begin(&RunStart { started, ..start() }).unwrap();
        let update = change(
            Action::Update,
            Kind::Device,
            "a",
            &[(Field::Name, Value::Null, Value::text("a"))],
        );
        recorder.settle(0, &update, &applied(7)).unwrap();
        if day == 1 {
            recorder.intend(&[(&update, &step(1, &[Field::Name], false))]).unwrap();
        }
        let end = RunEnd { ended: started, result: "done".into(), planned: 1, conflicts: 0 };
        recorder.finish(&end).unwrap();
        runs.push(recorder.run());
    }
    let left = |store: &Store| -> Vec<i64> {
        let mut ids: Vec<i64> = store.runs(None, 99).unwrap().iter().map(|run| run.id).collect();
        ids.reverse();
        ids
    };
    let now = at(6 * 86_400);
    assert_eq!(store.prune(&Retention::default(), now).unwrap(), 0);
    let by_age = Retention { days: Some(4), runs: None };
    assert_eq!(store.prune(&by_age, now).unwrap(), 1);
    assert_eq!(left(&store), runs[1..]);
    let by_number = Retention { days: None, runs: Some(2) };
    assert_eq!(store.prune(&by_number, now).unwrap(), 2);
    assert_eq!(left(&store), [runs[1], runs[4], runs[5]]);
    assert!(store.run_changes(runs[2]).unwrap().is_empty());
    assert_eq!(store.memory(&sink).unwrap().len(), 1);
    let next = store.begin(&start()).unwrap();
    assert!(next.run() > runs[5], "a number is never given twice");
}

/// A file as the version before this one left it.
fn of_the_previous_version(path: &Path) -> Connection {
    let mut file = Connection::open(path).unwrap();
    file.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    schema::migrate(&mut file, 0, schema::latest() - 1).unwrap();
    file.execute_batch(
        "INSERT INTO sinks (id, name) VALUES (1, 'local');
         INSERT INTO runs (instance, sink, purpose, version, dry_run, started, result)
         VALUES ('home', 1, 'sync', '0.0.9', 0, 0, 'done');
         INSERT INTO memory (sink, kind, object, field, wanted, why, run)
         VALUES (1, 'device', 7, 'name', '\"a\"', '{\"c\":\"x\"}', 1);",
    )
    .unwrap();
    file
}

#[test]
fn a_store_of_the_previous_version_is_brought_up_to_date_with_all_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(of_the_previous_version(&path));
    let reader = Store::read(&path).unwrap();
    assert_eq!(reader.runs(None, 9).unwrap().len(), 1);
    let store = Arc::new(Store::open(&path).unwrap());
    let memory = store.memory(&SinkId::local()).unwrap();
    let name = memory[&(Kind::Device, 7)].get(&Field::Name).unwrap();
    assert_eq!(name.wanted, Value::text("a"));
    assert!(Local::new(store).everything().unwrap().is_empty());
}

#[test]
fn a_migration_that_fails_leaves_the_file_at_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let file = of_the_previous_version(&path);
    // The last table of the next step is in its way.
    file.execute_batch("CREATE TABLE links (x)").unwrap();
    drop(file);
    for _ in 0..2 {
        assert!(Store::open(&path).is_err());
    }
    let file = Connection::open(&path).unwrap();
    assert_eq!(schema::version(&file).unwrap(), Ok(schema::latest() - 1));
    assert!(file.execute_batch("SELECT * FROM counters").is_err());
    assert!(file.execute_batch("SELECT * FROM runs").is_ok());
}
