//! A NetBox to test against, and an agent that writes into it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netbox_agent::domain::object::{Kind, ObjectKey};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Change, Plan, Step};
use netbox_agent::domain::world::{Need, World};
use netbox_agent::http::Options;
use netbox_agent::journal::{Journal, JournalError};
use netbox_agent::netbox::{Connection, NetBox};
use netbox_agent::progress::Progress;
use tokio_util::sync::CancellationToken;

use crate::netbox::{StandIn, TOKEN, Version};

/// Where a NetBox is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub url: String,
    pub token: String,
}

/// The NetBox that the environment names.
fn named() -> Option<Place> {
    let url = std::env::var("NETBOX_URL").ok()?;
    let token = std::env::var("NETBOX_TOKEN").ok()?;
    Some(Place { url, token })
}

/// Does the same on the NetBox that the environment names, or on every stand-in.
pub(crate) async fn everywhere(test: impl AsyncFn(Place)) {
    if let Some(place) = named() {
        return test(place).await;
    }
    for version in Version::ALL {
        let standin = StandIn::start(version);
        test(Place { url: standin.url(), token: TOKEN.to_owned() }).await;
    }
}

/// How to reach it.
pub(crate) fn configuration(place: &Place) -> Connection {
    Connection {
        url: format!("{}/", place.url.trim_end_matches('/')).parse().unwrap(),
        token: place.token.as_str().into(),
        http: Options { timeout: Duration::from_secs(60), ..Options::default() },
        batch_size: 100,
    }
}

/// An agent of a name of its own, connected.
pub(crate) async fn agent(place: &Place, instance: &str) -> NetBox {
    NetBox::connect(&configuration(place), &instance.parse().unwrap()).await.unwrap()
}

/// Everything that stands.
pub(crate) async fn everything(netbox: &NetBox) -> World {
    netbox.snapshot(&Need { kinds: Kind::ALL.iter().copied().collect() }).await.unwrap()
}

/// A journal that remembers what it was told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub said: Mutex<Said>,
}

/// What a journal was told.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub intended: Vec<(usize, bool)>,
    pub made: Vec<(Kind, ObjectKey, u64)>,
    pub settled: Vec<(usize, Outcome)>,
}

impl Heard {
    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap()
    }
}

impl Journal for Heard {
    fn run(&self) -> Option<i64> {
        Some(7)
    }

    fn intend(&self, steps: &[(&Change, &Step)]) -> Result<(), JournalError> {
        let steps = steps.iter().map(|(_, step)| (step.change, step.creates));
        self.said().intended.extend(steps);
        Ok(())
    }

    fn made(&self, kind: Kind, key: &ObjectKey, id: u64) -> Result<(), JournalError> {
        self.said().made.push((kind, key.clone(), id));
        Ok(())
    }

    fn settle(&self, index: usize, _: &Change, outcome: &Outcome) -> Result<(), JournalError> {
        self.said().settled.push((index, outcome.clone()));
        Ok(())
    }
}

/// How far an apply said that it was, after how many objects there were to be.
#[derive(Default)]
struct Watched(Mutex<(Option<u64>, Vec<u64>)>);

impl Progress for Watched {
    fn begin(&self, _: &str, total: Option<u64>) {
        self.0.lock().unwrap().0 = total;
    }

    fn reach(&self, _: &str, done: u64) {
        self.0.lock().unwrap().1.push(done);
    }

    fn end(&self, _: &str) {}
}

/// Applies a plan; every change must have an end, and the journal must have heard it.
pub(crate) async fn apply(netbox: &NetBox, plan: &Plan) -> Vec<Outcome> {
    let journal = Heard::default();
    let cancel = CancellationToken::new();
    let watched = Watched::default();
    let outcomes = netbox.apply(plan, &journal, &watched, &cancel).await;
    let (total, reached) = watched.0.into_inner().unwrap();
    assert_eq!(total, Some(plan.changes.len() as u64), "progress counts objects");
    assert!(reached.is_sorted(), "{reached:?}");
    if outcomes.iter().all(Outcome::is_applied) {
        assert_eq!(reached.last().copied(), total, "{reached:?}");
    }
    assert_eq!(outcomes.len(), plan.changes.len());
    let said = journal.said();
    let mut settled: Vec<usize> = said.settled.iter().map(|(index, _)| *index).collect();
    settled.sort_unstable();
    assert_eq!(settled, (0..outcomes.len()).collect::<Vec<_>>(), "each change is settled once");
    for (index, outcome) in &said.settled {
        assert_eq!(outcome, &outcomes[*index]);
        if outcome.is_applied() {
            assert!(said.intended.iter().any(|(change, _)| change == index));
        }
    }
    drop(said);
    outcomes
}

/// Applies a plan of which everything must be written.
pub(crate) async fn apply_whole(netbox: &NetBox, plan: &Plan) -> Vec<Outcome> {
    let outcomes = apply(netbox, plan).await;
    for (change, outcome) in plan.changes.iter().zip(&outcomes) {
        // The custom fields are every agent's: another test may have been first.
        let shared = change.kind == Kind::CustomField;
        assert!(
            matches!(outcome, Outcome::Applied { .. })
                || shared && matches!(outcome, Outcome::Adopted { .. }),
            "{} {}: {outcome}",
            change.kind,
            change.label
        );
    }
    outcomes
}

/// A word that no other test and no earlier run has used.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t{:x}{count:x}", now.as_micros() % 0xff_ffff_ffff)
}
