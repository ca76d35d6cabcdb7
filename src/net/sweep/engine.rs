//! What the engines of a sweep share: when to stop, whom to tell.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::answer::Found;
use super::schedule::Policy;
use crate::progress::Progress;

/// Nobody waits longer than this before looking whether to stop.
const GLANCE: Duration = Duration::from_millis(20);

/// News from an engine while it works.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// These addresses answer.
    Found(Vec<Found>),
    /// This address answers, which was asked for another reason than the sweep.
    Beside(IpAddr),
}

/// What every engine is given.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) policy: Policy,
    /// TCP ports to ask of each host.
    pub(super) ports: Vec<u16>,
    /// Whether hosts on the link are asked by ICMP echo as well.
    pub(super) ping: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) cancel: CancellationToken,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) news: UnboundedSender<News>,
}

/// Why an engine stopped before it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// A person or the run asked for it.
    Cancelled,
    /// The time was over.
    Deadline,
    /// It could not go on.
    Failed(String),
}

impl Stop {
    /// Why the rest was not seen, for coverage.
    pub(super) fn gap(&self) -> String {
        match self {
            Stop::Cancelled => "the sweep was interrupted".to_owned(),
            Stop::Deadline => "the time for the sweep was over".to_owned(),
            Stop::Failed(reason) => reason.clone(),
        }
    }
}

impl Shared {
    /// Whether to stop now.
    pub(super) fn stop(&self) -> Option<Stop> {
        if self.cancel.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline).then_some(Stop::Deadline)
    }

    /// The part of a wait after which to look whether to stop.
    pub(super) fn at_most(&self, wait: Duration) -> Duration {
        wait.min(GLANCE)
    }

    /// Tells what was found; nobody may be listening.
    pub(super) fn tell(&self, found: Vec<Found>) {
        if !found.is_empty() {
            let _ = self.news.send(News::Found(found));
        }
    }
}

/// Shows how far a task has come, not more often than a person can see.
pub(super) struct Gauge {
    progress: Arc<dyn Progress>,
    task: String,
    before: u64,
    shown: Instant,
}

impl Gauge {
    pub(super) fn begin(shared: &Shared, task: String, total: u64) -> Self {
        shared.progress.begin(&task, Some(total));
        Gauge { progress: Arc::clone(&shared.progress), task, before: 0, shown: Instant::now() }
    }

    /// So many are done of what is under way, beside what was completed before.
    pub(super) fn reach(&mut self, done: u64) {
        if self.shown.elapsed() >= Duration::from_millis(50) {
            self.shown = Instant::now();
            self.progress.reach(&self.task, self.before + done);
        }
    }

    /// This many are done for good.
    pub(super) fn completed(&mut self, count: u64) {
        self.before += count;
        self.progress.reach(&self.task, self.before);
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.progress.end(&self.task);
    }
}
