//! The one door that every request passes: so many at once, so many in a second.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant};

use super::Options;

/// The door.
#[derive(Debug)]
pub(super) struct Gate {
    at_once: Arc<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
    passed: AtomicU64,
    /// When the last request may begin that stands apart from others.
    last: Mutex<Option<Instant>>,
}

/// Long enough for a process to take up what came before.
const APART: Duration = Duration::from_millis(10);

impl Gate {
    pub(super) fn new(options: &Options) -> Self {
        let at_once = options.concurrency.get().min(Semaphore::MAX_PERMITS);
        let rate = options.rate.and_then(|rate| {
            // A burst may fill the lanes once; after that the rate alone counts.
            let burst = u32::try_from(at_once).unwrap_or(u32::MAX);
            let per_second = NonZeroU32::new((1.0 / rate.interval().as_secs_f64()).ceil() as u32);
            let burst = NonZeroU32::new(burst)?.min(per_second?);
            Quota::with_period(rate.interval())
                .map(|quota| RateLimiter::direct(quota.allow_burst(burst)))
        });
        Gate {
            at_once: Arc::new(Semaphore::new(at_once)),
            rate,
            passed: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }

    /// Waits until the last request that stood apart is a moment ago.
    pub(super) async fn stand_apart(&self) {
        let begin = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begin = last.map_or(now, |last| (last + APART).max(now));
            *last = Some(begin);
            begin
        };
        tokio::time::sleep_until(begin).await;
    }

    /// How many have passed.
    pub(super) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Waits for a turn. The place is held until the permit is dropped.
    pub(super) async fn pass(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed; a request without a place is still a request.
        let permit = Arc::clone(&self.at_once).acquire_owned().await.ok();
        if let Some(rate) = &self.rate {
            rate.until_ready().await;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
        permit
    }
}
