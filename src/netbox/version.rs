//! NetBox's version, and what each brought that matters here.

use std::fmt;
use std::str::FromStr;

/// A version of NetBox. What follows the numbers (`-beta1`, `-Docker-3.4.1`) does
/// not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

/// A text that is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version")]
pub struct NotAVersion(pub String);

impl Version {
    /// The oldest version that is spoken.
    pub const OLDEST: Version = Version::of(4, 0);
    /// The first version that is not known yet.
    pub const UNKNOWN: Version = Version::of(4, 8);

    /// The first release of a minor version.
    #[must_use]
    pub const fn of(major: u16, minor: u16) -> Self {
        Version { major, minor, patch: 0 }
    }

    /// Where the change log stands: it moved with 4.1.
    pub(super) fn change_log(self) -> &'static str {
        if self < Version::of(4, 1) { "extras/object-changes" } else { "core/object-changes" }
    }

    /// Where the list of object types stands: it moved with 4.4.
    pub(super) fn object_types(self) -> &'static str {
        if self < Version::of(4, 4) { "extras/object-types" } else { "core/object-types" }
    }

    /// Whether a write may say why it is done.
    pub(super) fn has_messages(self) -> bool {
        self >= Version::of(4, 4)
    }

    /// Whether a new interface takes the MAC address along that it names as primary.
    pub(super) fn assigns_primary_macs(self) -> bool {
        self >= Version { major: 4, minor: 4, patch: 2 }
    }

    /// Whether a request may ask for objects from an id on, without counting them.
    pub(super) fn has_cursor(self) -> bool {
        self >= Version::of(4, 6)
    }

    /// Whether a write may say which state of its objects it means.
    pub(super) fn has_preconditions(self) -> bool {
        self >= Version::of(4, 6)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let refuse = || NotAVersion(text.to_owned());
        let number = |part: &str| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse::<u16>().ok()
        };
        let mut parts = text.trim().trim_start_matches('v').splitn(3, '.');
        let major = parts.next().and_then(number).ok_or_else(refuse)?;
        let minor = parts.next().and_then(number).ok_or_else(refuse)?;
        let patch = parts.next().and_then(number).unwrap_or(0);
        Ok(Version { major, minor, patch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_numbers_does_not_count() {
        for (text, shown) in [
            ("4.0.11", "4.0.11"),
            ("4.7.0-beta1", "4.7.0"),
            ("4.4.10-Docker-3.4.1", "4.4.10"),
            ("v4.2", "4.2.0"),
        ] {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), shown);
        }
        assert!("four".parse::<Version>().is_err());
        assert!("4".parse::<Version>().is_err());
    }

    #[test]
    fn versions_are_ordered_by_number_and_not_by_letter() {
        let of = |text: &str| text.parse::<Version>().unwrap();
        assert!(of("4.10.0") > of("4.7.0"));
        assert!(of("4.4.10") > of("4.4.9"));
    }
}
