//! One way to speak HTTP: TLS with authorities or a pinned certificate, time
//! limits, a rate and a number of requests at once that every request keeps to,
//! retries that cannot do anything twice, bounded answers, and errors without
//! secrets; and WebSockets by the same trust. Knows nothing of whom it talks to.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod client;
mod fault;
mod gate;
mod socket;
mod trust;

#[cfg(test)]
mod tests;

pub use client::{Client, Request, Response};
pub use fault::{HttpError, Silence, place};
pub use reqwest::Method;
pub use reqwest::header;
pub use socket::{Socket, SocketOptions};
pub use trust::{Fingerprint, NotAFingerprint, Trust, TrustProblem};

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom to trust over TLS.
    pub trust: Trust,
    /// How long one exchange may take, from the first byte sent to the last one read.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How many requests may begin in a second; none is as many as can.
    pub rate: Option<Rate>,
    /// How many requests may be under way at once.
    pub concurrency: NonZeroUsize,
    /// How often a request is tried again when that cannot do anything twice.
    pub retries: u32,
    /// The longest answer in bytes, uncompressed.
    pub max_body: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            trust: Trust::System,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            rate: None,
            concurrency: NonZeroUsize::new(8).unwrap_or(NonZeroUsize::MIN),
            retries: 3,
            max_body: 64 * 1024 * 1024,
        }
    }
}

/// Requests in a second: more than zero, at most ten thousand. May be a fraction.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// A number that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a rate: expected a number of requests in a second above 0 and up to 10000")]
pub struct NotARate;

impl Rate {
    /// A rate of so many in a second.
    ///
    /// # Errors
    /// When the number is not above 0, or above 10,000.
    pub fn per_second(number: f64) -> Result<Self, NotARate> {
        match number {
            number if number > 0.0 && number <= 10_000.0 => Ok(Rate(number)),
            _ => Err(NotARate),
        }
    }

    /// The time from one to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64((1.0 / self.0).min(86_400.0))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        text.trim().parse().map_err(|_| NotARate).and_then(Rate::per_second)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer)
            .and_then(|number| Rate::per_second(number).map_err(serde::de::Error::custom))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "description": "Requests in a second; may be a fraction.",
            "exclusiveMinimum": 0,
            "maximum": 10_000,
        })
    }
}
