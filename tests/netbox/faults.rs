//! What goes wrong on purpose: answers that a proxy gives, cut connections, delays,
//! a server that is too slow or takes too little at once. All by a seed.

use std::time::Duration;

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum On {
    /// Those that read and those that write.
    #[default]
    All,
    /// Those that read.
    Reads,
    /// Those that write.
    Writes,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// An answer comes from elsewhere and nothing is done: 429, 502, 503, 504.
    Answer {
        /// Its status.
        status: u16,
        /// What the `Retry-After` header says.
        retry_after: Option<u64>,
    },
    /// The database gives up and nothing is done: 500, as two writers that wait for each other get it.
    Deadlock,
    /// The connection is cut before anything is done.
    Cut,
    /// Everything is done, and then the connection is cut.
    CutAfterwards,
    /// Everything is done, and then an answer comes from elsewhere.
    AnswerAfterwards {
        /// Its status.
        status: u16,
    },
    /// The answer waits.
    Delay {
        /// For how long.
        milliseconds: u64,
    },
}

/// Something that goes wrong with some requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// What happens.
    pub(crate) what: What,
    /// To which requests.
    pub(crate) on: On,
    /// To how many of them, between 0 and 1.
    pub(crate) share: f64,
    /// How often at most.
    pub(crate) times: Option<u32>,
}

impl Fault {
    /// A fault of all requests.
    pub(crate) fn always(what: What) -> Self {
        Fault { what, on: On::All, share: 1.0, times: None }
    }

    /// The same only for some requests.
    pub(crate) fn on(mut self, on: On) -> Self {
        self.on = on;
        self
    }

    /// The same for a share of the requests.
    pub(crate) fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// The same so many times.
    pub(crate) fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// Everything that goes wrong.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Faults {
    /// Where chance begins.
    pub(crate) seed: u64,
    /// The faults; the first that strikes counts.
    pub(crate) list: Vec<Fault>,
    /// The longest body that is taken, in bytes; longer ones are answered 413.
    pub(crate) longest_body: Option<usize>,
    /// How long each request takes.
    pub(crate) latency_ms: u64,
    /// How long each written object takes besides.
    pub(crate) per_object_us: u64,
}

impl Faults {
    /// How long a request takes that writes so many objects.
    pub(crate) fn duration(&self, objects: usize) -> Duration {
        let objects = u64::try_from(objects).unwrap_or(u64::MAX);
        Duration::from_millis(self.latency_ms)
            + Duration::from_micros(self.per_object_us.saturating_mul(objects))
    }

    /// What strikes a request, by chance.
    pub(crate) fn strike(&mut self, write: bool) -> Option<What> {
        for at in 0..self.list.len() {
            let fault = &self.list[at];
            let meant = match fault.on {
                On::All => true,
                On::Reads => !write,
                On::Writes => write,
            };
            if !meant || fault.times == Some(0) {
                continue;
            }
            let share = fault.share;
            if share < 1.0 && self.chance() >= share {
                continue;
            }
            let fault = &mut self.list[at];
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            return Some(fault.what.clone());
        }
        None
    }

    /// A number between 0 and 1 that follows from the seed.
    fn chance(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are taken, as many as fit")]
        let unit = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }
}
