//! kill -9 in the middle of an apply, again and again, until a run gets through.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netbox_agent::domain::object::Kind;
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::store::{Local, SinkId, Store};

use crate::plans::{assert_whole, difference, network, sync};

const HOSTS: usize = 400;

/// Names the store that a child process works on, in place of one of its own.
const STORE: &str = "LOCAL_INVENTORY_TEST_STORE";

#[test]
fn a_run_brings_any_store_to_what_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        std::env::var_os(STORE).map_or_else(|| folder.path().join("store.db"), PathBuf::from);
    let store = Arc::new(Store::open(&path).unwrap());
    let wanted = network(HOSTS);
    let (_, outcomes) = sync(&store, &wanted);
    assert!(outcomes.iter().all(Outcome::is_applied), "{outcomes:?}");
    let world = Local::new(store).everything().unwrap();
    assert!(difference(&world, &wanted).is_empty());
}

/// Starts a run in a process of its own, kills it after a while, and tells whether it had got through.
fn run_and_kill(path: &Path, after: Duration) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::a_run_brings_any_store_to_what_is_wanted"])
        .env(STORE, path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + after;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "the run itself failed");
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL: nothing in the process gets to tidy up.
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

fn assert_consistent(path: &Path) -> usize {
    let Ok(store) = Store::open(path) else {
        panic!("the store does not open after a kill: {:?}", Store::open(path));
    };
    let database = rusqlite::Connection::open(path).unwrap();
    let verdict: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    drop(database);
    let store = Arc::new(store);
    let world = Local::new(Arc::clone(&store)).everything().unwrap();
    assert_whole(&world);
    // The record never runs ahead of the inventory.
    for ((kind, id), fields) in store.memory(&SinkId::local()).unwrap() {
        let object = world.get(kind, id).expect("what is remembered stands");
        for (field, last) in fields.iter() {
            assert_eq!(&last.wanted, object.field(*field), "{kind} {id} {field}");
        }
    }
    for (key, (kind, id)) in store.bindings(&SinkId::local()).unwrap().objects {
        let object = world.get(kind, id).expect("what is bound stands");
        assert_eq!(
            object.field(netbox_agent::domain::object::Field::AgentKey).as_text(),
            Some(key.as_str())
        );
    }
    world.len()
}

#[test]
fn a_run_that_is_killed_anywhere_is_finished_by_the_next_without_a_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut stood = Vec::new();
    for round in 0..60_u64 {
        // Growing delays meet the making of the file, each wave, and the gaps between.
        let finished = run_and_kill(&path, Duration::from_millis(5 + round * 9));
        if path.exists() {
            stood.push(assert_consistent(&path));
        }
        if finished {
            break;
        }
    }
    assert!(run_and_kill(&path, Duration::from_secs(60)), "a run with time enough gets through");
    let total = assert_consistent(&path);
    assert_eq!(total, 5 + HOSTS * 4);
    let world = Local::new(Arc::new(Store::read(&path).unwrap())).everything().unwrap();
    assert_eq!(world.of(Kind::IpAddress).count(), HOSTS);
    let part_way = stood.iter().filter(|count| (1..total).contains(count)).count();
    assert!(part_way >= 3, "too few kills met the middle of a run: {stood:?}");
}
