//! Durations as a person writes them: `30s`, `24h`, `1h 30m`, `7d`.
//!
//! A day is always 24 hours. Months and years are refused: they have no length.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration, read from and printed as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: expected a number with a unit, such as \"30s\", \"15m\", \"24h\" or \"7d\""
)]
pub struct NotAPeriod(String);

impl Period {
    /// A period of so many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Period(Duration::from_secs(seconds))
    }

    /// A period of so many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Period(Duration::from_secs(hours * 3600))
    }
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let refuse = || NotAPeriod(crate::domain::name::visible(text, 40));
        let span: Span = text.trim().parse().map_err(|_| refuse())?;
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())?;
        Duration::try_from(length).map(Period).map_err(|_| refuse())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if self.0.subsec_nanos() == 0 && seconds > 0 && seconds % 86_400 == 0 => {
                f.pad(&format!("{}d", seconds / 86_400))
            }
            _ => match SignedDuration::try_from(self.0) {
                Ok(length) => f.pad(&format!("{length:#}")),
                Err(_) => f.pad(&format!("{}s", self.0.as_secs())),
            },
        }
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\" or \"24h\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration: numbers with units (ms, s, m, h, d, w), such as \"30s\", \"1h 30m\" or \"7d\".",
            "examples": ["30s", "15m", "24h", "7d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds, printed) in [
            ("30s", 30, "30s"),
            ("15m", 900, "15m"),
            ("24h", 86_400, "1d"),
            ("7d", 604_800, "7d"),
            ("1 week", 604_800, "7d"),
            ("1h 30m", 5_400, "1h 30m"),
            ("PT90S", 90, "1m 30s"),
            ("0s", 0, "0s"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0, Duration::from_secs(seconds), "{text}");
            assert_eq!(period.to_string(), printed, "{text}");
        }
        assert_eq!("250ms".parse::<Period>().unwrap().0, Duration::from_millis(250));
    }

    #[test]
    fn what_has_no_length_is_refused() {
        for text in ["", "30", "-5s", "1 month", "2y", "soon", "99999999999999999h"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
