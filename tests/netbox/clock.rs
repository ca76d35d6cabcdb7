//! Time in the stand-in: it starts at a fixed moment and goes on with every look,
//! so that the same requests give the same answers.

use std::fmt;

/// A moment, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Stamp(pub(crate) i64);

impl Stamp {
    /// As NetBox answers it: `2026-01-01T00:00:00.000001Z`.
    pub(crate) fn json(self) -> String {
        format!("{self}Z")
    }

    /// As NetBox's ETags have it.
    pub(crate) fn etag(self) -> String {
        format!("W/\"{self}+00:00\"")
    }

    /// Reads what a filter is given: a date, or a date and a time.
    pub(crate) fn parse(text: &str) -> Option<Stamp> {
        let moment = if text.contains('T') || text.contains(' ') {
            let text = text.replacen(' ', "T", 1);
            text.parse::<jiff::Timestamp>()
                .or_else(|_| format!("{text}Z").parse::<jiff::Timestamp>())
        } else {
            format!("{text}T00:00:00Z").parse::<jiff::Timestamp>()
        };
        Some(Stamp(moment.ok()?.as_microsecond()))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%S%.6f"))
    }
}

/// A clock that goes on when it is looked at.
#[derive(Debug)]
pub(crate) struct Clock(pub(crate) i64);

impl Default for Clock {
    fn default() -> Self {
        // 2026-01-01T00:00:00Z
        Clock(1_767_225_600_000_000)
    }
}

impl Clock {
    /// The time, a little later than at the last look. Never on a full second,
    /// since NetBox then leaves out the microseconds.
    pub(crate) fn now(&mut self) -> Stamp {
        self.0 += 1009;
        if self.0 % 1_000_000 == 0 {
            self.0 += 1;
        }
        Stamp(self.0)
    }
}
