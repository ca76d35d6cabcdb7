//! Ends a run against a NetBox that stays away: after a time without any answer that
//! helps, nothing more is sent.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts the time since something last went well.
#[derive(Debug)]
pub(super) struct Breaker {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing_since: Option<Instant>,
    open: Option<String>,
}

impl Breaker {
    pub(super) fn new(patience: Duration) -> Self {
        Breaker { patience, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// NetBox answered, be it with a refusal.
    pub(super) fn good(&self) {
        self.state().failing_since = None;
    }

    /// NetBox did not answer, or something else did in its place.
    pub(super) fn bad(&self, reason: &str) {
        let mut state = self.state();
        let since = *state.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.patience && state.open.is_none() {
            let seconds = since.elapsed().as_secs();
            state.open = Some(format!("NetBox has not answered for {seconds} s: {reason}"));
        }
    }

    /// Ends it at once.
    pub(super) fn open(&self, reason: &str) {
        self.state().open.get_or_insert_with(|| reason.to_owned());
    }

    /// Why nothing more is sent, once that is so.
    pub(super) fn reason(&self) -> Option<String> {
        self.state().open.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().open.is_some()
    }
}

/// The wait before another try: doubling up to 8 s, and different for each writer.
pub(super) fn backoff(tries: u32) -> Duration {
    let most = Duration::from_millis(250).saturating_mul(1 << tries.min(5));
    governor::Jitter::new(most / 2, most / 2) + Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_a_time_without_a_good_answer_and_not_before() {
        let breaker = Breaker::new(Duration::from_secs(60));
        breaker.bad("refused");
        tokio::time::advance(Duration::from_secs(59)).await;
        breaker.bad("refused");
        assert!(!breaker.is_open());
        breaker.good();
        tokio::time::advance(Duration::from_secs(59)).await;
        breaker.bad("refused");
        assert!(!breaker.is_open(), "what went well counts");
        tokio::time::advance(Duration::from_secs(61)).await;
        breaker.bad("refused");
        assert_eq!(breaker.reason().unwrap(), "NetBox has not answered for 61 s: refused");
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        assert!(backoff(0) <= Duration::from_millis(250));
        assert!(backoff(3) >= Duration::from_millis(1_000));
        assert!(backoff(60) <= Duration::from_secs(8));
    }
}
