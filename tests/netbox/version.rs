//! The NetBox versions that the stand-in can be. What differs between them is
//! asked for by comparing (`version >= Version::V4_2`), where it differs.

use std::fmt;
use std::str::FromStr;

/// A version of NetBox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Version {
    /// No MAC address objects, `site` on prefixes and clusters, the change log under `/api/extras/`.
    V4_0,
    /// MAC address objects, `scope` on prefixes and clusters.
    V4_2,
    /// `parent_object` on services, messages in the change log; unknown custom fields are dropped.
    V4_4,
    /// ETags, `start=`, `add_tags`, virtual machines on a device without a cluster, tokens of version 2.
    V4_6,
    /// Errors of a bulk request told object by object, MAC addresses writable on interfaces.
    V4_7,
}

impl Version {
    /// All of them, oldest first.
    pub(crate) const ALL: [Version; 5] =
        [Version::V4_0, Version::V4_2, Version::V4_4, Version::V4_6, Version::V4_7];

    /// The release that was measured, as `/api/status/` tells it.
    pub(crate) const fn release(self) -> &'static str {
        match self {
            Version::V4_0 => "4.0.11",
            Version::V4_2 => "4.2.9",
            Version::V4_4 => "4.4.10",
            Version::V4_6 => "4.6.8",
            Version::V4_7 => "4.7.0",
        }
    }

    /// The release with what follows its numbers; told by `/api/status/` since 4.3.
    pub(crate) const fn full_release(self) -> &'static str {
        match self {
            Version::V4_7 => "4.7.0-beta1",
            other => other.release(),
        }
    }

    /// Major and minor number, as the `API-Version` header tells them.
    pub(crate) const fn api(self) -> &'static str {
        match self {
            Version::V4_0 => "4.0",
            Version::V4_2 => "4.2",
            Version::V4_4 => "4.4",
            Version::V4_6 => "4.6",
            Version::V4_7 => "4.7",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.api())
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `4.6` or `4.6.8`: the newest of the versions here that is not newer.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.split('.').map(str::parse::<u32>);
        let (Some(Ok(4)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
            return Err(format!(
                "cannot stand in for NetBox `{text}`: name a version from 4.0 to 4.7"
            ));
        };
        Ok(match minor {
            0 | 1 => Version::V4_0,
            2 | 3 => Version::V4_2,
            4 | 5 => Version::V4_4,
            6 => Version::V4_6,
            _ => Version::V4_7,
        })
    }
}
