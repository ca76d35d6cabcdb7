//! Names: what may stand in DNS, what a person may read, and slugs.
//! Text from a network is hostile until it has passed through here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A text that is not a name of the kind it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {why}")]
pub struct NotAName {
    what: &'static str,
    text: String,
    why: &'static str,
}

impl NotAName {
    fn new(what: &'static str, text: &str, why: &'static str) -> Self {
        NotAName { what, text: visible(text, 80), why }
    }
}

/// A DNS name in lower case without the trailing dot: labels of letters, digits,
/// hyphens and underscores, at most 63 octets each and 253 in all.
///
/// Underscores are not valid in a host name (RFC 952) but are common in leases
/// and PTR records, and NetBox takes them in `dns_name`; [`DnsName::host`]
/// makes a strict one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Arc<str>);

impl DnsName {
    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label: the host's own name.
    #[must_use]
    pub fn label(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }

    /// Whether the name has a domain.
    #[must_use]
    pub fn is_qualified(&self) -> bool {
        self.0.contains('.')
    }

    /// A strict host name made of any text, or nothing where no letter or digit
    /// is left: underscores and blanks become hyphens, everything else is dropped.
    #[must_use]
    pub fn host(text: &str) -> Option<Self> {
        let labels: Vec<String> = text
            .split('.')
            .map(|label| {
                let mapped: String = label
                    .chars()
                    .filter_map(|c| match c {
                        c if c.is_ascii_alphanumeric() => Some(c.to_ascii_lowercase()),
                        '-' | '_' | ' ' => Some('-'),
                        _ => None,
                    })
                    .take(63)
                    .collect();
                mapped.trim_matches('-').to_owned()
            })
            .filter(|label| !label.is_empty())
            .collect();
        labels.join(".").parse().ok()
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let refuse = |why| Err(NotAName::new("DNS name", text, why));
        let name = text.trim();
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return refuse("it is empty");
        }
        if name.len() > 253 {
            return refuse("it is longer than 253 octets");
        }
        for label in name.split('.') {
            if label.is_empty() {
                return refuse("it has an empty label");
            }
            if label.len() > 63 {
                return refuse("a label is longer than 63 octets");
            }
            if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return refuse("only letters, digits, hyphens and underscores may stand in it");
            }
            if label.starts_with('-') || label.ends_with('-') {
                return refuse("a label begins or ends with a hyphen");
            }
        }
        if name.parse::<std::net::IpAddr>().is_ok() {
            return refuse("it is an IP address");
        }
        Ok(DnsName(name.to_ascii_lowercase().into()))
    }
}

/// Declares a name of letters, digits, `-`, `_` and `.`, of at most 64 characters.
macro_rules! plain_name {
    ($(#[$meta:meta])* $name:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as it stands in the configuration.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                match refuse_plain(text) {
                    Some(why) => Err(NotAName::new($what, text, why)),
                    None => Ok($name(text.into())),
                }
            }
        }
    };
}

plain_name!(
    /// The name of one configured source: letters, digits, `-`, `_` and `.`, at most 64.
    SourceName,
    "source name"
);

plain_name!(
    /// The name of one agent: letters, digits, `-`, `_` and `.`, at most 64.
    InstanceName,
    "name for an agent"
);

/// Why a text is not a plain name.
fn refuse_plain(text: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match text {
        "" => Some("it is empty"),
        long if long.len() > 64 => Some("it is longer than 64 characters"),
        odd if !odd.chars().all(allowed) => {
            Some("only letters, digits, `-`, `_` and `.` may stand in it")
        }
        _ => None,
    }
}

/// One line of text that is safe to show and to store: control and format
/// characters become blanks, runs of blanks become one, ends are trimmed, and
/// what is longer than `limit` characters is cut.
#[must_use]
pub fn visible(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut blank = false;
    let mut length = 0;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || is_format(c) {
            blank = true;
            continue;
        }
        if blank && !out.is_empty() {
            if length + 2 > limit {
                break;
            }
            out.push(' ');
            length += 1;
        }
        if length + 1 > limit {
            break;
        }
        blank = false;
        out.push(c);
        length += 1;
    }
    out
}

/// Characters that change how others are shown: bidirectional overrides, zero-width
/// joiners and the like. A host could use them to look like another.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A slug as NetBox takes it: lower-case letters, digits, `-` and `_`, at most 100.
/// Never empty: a text without any usable character gives `unnamed`.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = match c {
            'ä' | 'Ä' | 'á' | 'à' | 'â' | 'å' | 'Å' => 'a',
            'ö' | 'Ö' | 'ó' | 'ò' | 'ô' | 'ø' | 'Ø' => 'o',
            'ü' | 'Ü' | 'ú' | 'ù' | 'û' => 'u',
            'é' | 'É' | 'è' | 'ê' | 'ë' => 'e',
            'ç' => 'c',
            'ñ' => 'n',
            other => other.to_ascii_lowercase(),
        };
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        if out.len() >= 100 {
            break;
        }
    }
    let trimmed = out.trim_matches('-');
    if trimmed.is_empty() { "unnamed".to_owned() } else { trimmed.to_owned() }
}

/// Whether a host name says nothing about which host it is, so that it must
/// never be used to find one.
#[must_use]
pub fn is_generic(name: &str) -> bool {
    const EXACT: [&str; 10] = [
        "localhost",
        "unknown",
        "none",
        "null",
        "host",
        "android",
        "iphone",
        "ipad",
        "espressif",
        "esp",
    ];
    const PREFIXES: [&str; 6] = ["android-", "dhcp-", "ip-", "host-", "unknown-", "esp_"];
    let lower = name.trim().to_ascii_lowercase();
    let label = lower.split('.').next().unwrap_or("");
    lower.is_empty()
        || EXACT.contains(&lower.as_str())
        || EXACT.contains(&label)
        || PREFIXES.iter().any(|prefix| label.starts_with(prefix))
        || lower.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_ptr_is_not_a_name() {
        for text in [
            "",
            ".",
            "a..b",
            "x\ny",
            "<script>",
            "a b",
            "-a",
            "a-",
            "10.0.0.1",
            "évil",
            &"a".repeat(64),
            "a;rm -rf",
        ] {
            assert!(text.parse::<DnsName>().is_err(), "{text}");
        }
        assert_eq!("NAS.Home.ARPA.".parse::<DnsName>().unwrap().as_str(), "nas.home.arpa");
    }

    #[test]
    fn a_guest_name_with_underscores_becomes_a_host_name() {
        assert_eq!(
            DnsName::host("prometheus_pve_exporter").unwrap().as_str(),
            "prometheus-pve-exporter"
        );
        assert_eq!(DnsName::host("_x_.Lan").unwrap().as_str(), "x.lan");
        assert!(DnsName::host("___").is_none());
    }

    #[test]
    fn control_characters_never_pass() {
        assert_eq!(visible("a\u{1b}[31mb\u{202e}c\n\nd ", 99), "a [31mb c d");
        assert_eq!(visible("abcdef", 3), "abc");
        assert_eq!(visible("ab cd", 3), "ab");
    }

    #[test]
    fn slugs_are_never_empty() {
        assert_eq!(slug("Proxmox VE 8.2"), "proxmox-ve-8-2");
        assert_eq!(slug("???"), "unnamed");
        assert_eq!(slug("Küche (EG)"), "kuche-eg");
    }
}
