//! Identifiers and how much each is worth as evidence that two statements are
//! about one thing.
//!
//! Strong and native identifiers join. Weak ones never join on their own; they
//! may attach what has no identity to the one thing that owns them. Excluded
//! ones are no evidence at all. See [`crate::domain::merge`] for the rules.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use super::mac::{MacAddr, MacKind};
use super::name::visible;
use super::object::Kind;
use super::observation::{NativeKey, Segment};

/// How much an identifier is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// A source's own key.
    Native,
    /// Names one thing in the world.
    Strong,
    /// Names one thing here and now, perhaps.
    Weak,
    /// Names nothing.
    Excluded,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::Native => "native",
            Grade::Strong => "strong",
            Grade::Weak => "weak",
            Grade::Excluded => "excluded",
        })
    }
}

/// One identifier. Written `mac:00:1b:21:3c:4d:5e`, `serial:dell/7XK2`,
/// `uuid:4c4c4544-…`, `ip:192.0.2.7` (`ip:lab/192.0.2.7` in the segment `lab`), `name:nas`,
/// `netbox:device/42` for an object that stands, or a native key as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// A source's own key.
    Native(NativeKey),
    /// An SMBIOS UUID, in the one of its two byte orders that sorts first.
    Uuid(Uuid),
    /// A serial number with its maker.
    Serial(Serial),
    /// A MAC address.
    Mac(MacAddr),
    /// An address in a segment.
    Address(Segment, IpAddr),
    /// A name.
    Name(Arc<str>),
    /// An object that stands in the sink. Only a person says so.
    Object(Kind, u64),
}

impl Identifier {
    /// Its grade, judged by itself alone. A locally administered MAC address that a
    /// hypervisor's configuration states is strong all the same; the merge knows.
    #[must_use]
    pub fn grade(&self) -> Grade {
        match self {
            Identifier::Native(_) => Grade::Native,
            Identifier::Uuid(_) | Identifier::Serial(_) => Grade::Strong,
            Identifier::Mac(mac) => match mac.kind() {
                MacKind::Universal => Grade::Strong,
                MacKind::Local => Grade::Weak,
                MacKind::VirtualRouter | MacKind::Docker | MacKind::Void => Grade::Excluded,
            },
            Identifier::Address(..) | Identifier::Name(_) => Grade::Weak,
            Identifier::Object(..) => Grade::Excluded,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Native(key) => write!(f, "{key}"),
            Identifier::Uuid(uuid) => write!(f, "uuid:{uuid}"),
            Identifier::Serial(serial) => write!(f, "serial:{serial}"),
            Identifier::Mac(mac) => write!(f, "mac:{mac}"),
            Identifier::Address(segment, ip) if segment.as_str().is_empty() => write!(f, "ip:{ip}"),
            Identifier::Address(segment, ip) => write!(f, "ip:{}/{ip}", segment.as_str()),
            Identifier::Name(name) => write!(f, "name:{name}"),
            Identifier::Object(kind, id) => write!(f, "netbox:{kind}/{id}"),
        }
    }
}

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an identifier: {why}")]
pub struct NotAnIdentifier {
    text: String,
    why: String,
}

impl FromStr for Identifier {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
        let refuse = |why: String| NotAnIdentifier { text: visible(text, 80), why };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| {
            refuse(
                "expected mac:…, serial:maker/number, uuid:…, ip:…, name:…, netbox:kind/id or a source's key"
                    .to_owned(),
            )
        })?;
        match scheme {
            "mac" => rest.parse().map(Identifier::Mac).map_err(|error| refuse(format!("{error}"))),
            "uuid" => Uuid::parse(rest).map(Identifier::Uuid).ok_or_else(|| {
                refuse("it is not a UUID, or a placeholder that many machines share".to_owned())
            }),
            "serial" => {
                let (maker, number) = rest
                    .split_once('/')
                    .ok_or_else(|| refuse("expected serial:maker/number".to_owned()))?;
                Serial::new(maker, number).map(Identifier::Serial).ok_or_else(|| {
                    refuse("it is a placeholder that many machines share".to_owned())
                })
            }
            "ip" => {
                let (segment, ip) = rest.rsplit_once('/').unwrap_or(("", rest));
                let ip: IpAddr =
                    ip.parse().map_err(|_| refuse(format!("`{ip}` is not an IP address")))?;
                Ok(Identifier::Address(Segment::named(segment), ip.to_canonical()))
            }
            "netbox" => {
                let object = rest.split_once('/').and_then(|(kind, id)| {
                    Some(Identifier::Object(kind.parse().ok()?, id.parse().ok()?))
                });
                object.ok_or_else(|| {
                    refuse("expected netbox:kind/id, such as netbox:device/42".to_owned())
                })
            }
            "name" => Ok(Identifier::Name(name_key(rest))),
            _ => text.parse().map(Identifier::Native).map_err(|error| refuse(format!("{error}"))),
        }
    }
}

/// A name as it is compared: its first label in lower case, with blanks and
/// underscores as hyphens.
#[must_use]
pub fn name_key(name: &str) -> Arc<str> {
    let label = name.trim().split('.').next().unwrap_or("");
    label
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '_' || c == ' ' { '-' } else { c })
        .collect::<String>()
        .into()
}

/// A serial number with its maker, both as they are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial {
    maker: Arc<str>,
    number: Arc<str>,
}

impl Serial {
    /// A serial number that names one thing; `None` for placeholders and for what is too short to.
    #[must_use]
    pub fn new(maker: &str, number: &str) -> Option<Self> {
        let maker = super::makers::compared(maker);
        let number = number.trim().to_uppercase();
        (!maker.is_empty() && !is_placeholder_serial(&number))
            .then(|| Serial { maker: maker.into(), number: number.into() })
    }

    /// The maker, as it is compared.
    #[must_use]
    pub fn maker(&self) -> &str {
        &self.maker
    }

    /// The number, as it is compared.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.maker, self.number)
    }
}

/// A maker's name as it is compared: lower case, without legal forms and punctuation.
/// Empty for makers that firmware left unset.
#[must_use]
pub fn maker_key(maker: &str) -> String {
    const LEGAL: [&str; 22] = [
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "co",
        "company",
        "ltd",
        "limited",
        "llc",
        "gmbh",
        "ag",
        "sa",
        "bv",
        "technologies",
        "technology",
        "electronics",
        "computer",
        "computers",
        "systems",
        "international",
        "group",
        "networks",
    ];
    let lower = maker.to_lowercase();
    if is_placeholder_text(&lower) {
        return String::new();
    }
    let mut words: Vec<String> = Vec::new();
    let mut spelt = false;
    for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let letter = word.chars().count() == 1;
        // `B.V.` is one word.
        match words.last_mut().filter(|_| letter && spelt) {
            Some(last) => last.push_str(word),
            None => words.push(word.to_owned()),
        }
        spelt = letter;
    }
    let is_legal = |word: &&String| LEGAL.contains(&word.as_str());
    let kept = words.iter().rev().skip_while(is_legal).count().max(1);
    words.truncate(kept);
    words.join(" ")
}

/// Texts that firmware ships where a maker should have written something.
fn is_placeholder_text(lower: &str) -> bool {
    const EXACT: [&str; 32] = [
        "",
        "0",
        "none",
        "null",
        "n/a",
        "na",
        "unknown",
        "default",
        "default string",
        "not specified",
        "not available",
        "not applicable",
        "not present",
        "not supported",
        "none provided",
        "unspecified",
        "undefined",
        "empty",
        "blank",
        "oem",
        "o.e.m.",
        "system manufacturer",
        "system product name",
        "system serial number",
        "system version",
        "chassis serial number",
        "base board serial number",
        "serial number",
        "serial",
        "invalid",
        "test",
        "asset-1234567890",
    ];
    const PARTS: [&str; 7] = [
        "to be filled",
        "o.e.m",
        "default string",
        "serial number",
        "not specified",
        "filled by",
        "sernum",
    ];
    let text = lower.trim();
    EXACT.contains(&text) || PARTS.iter().any(|part| text.contains(part))
}

/// Whether a serial number (in upper case) is one that many machines share.
#[must_use]
pub fn is_placeholder_serial(number: &str) -> bool {
    let upper = number.trim().to_uppercase();
    let digits: Vec<char> = upper.chars().filter(|c| c.is_alphanumeric()).collect();
    if digits.len() < 4 || is_placeholder_text(&upper.to_lowercase()) {
        return true;
    }
    // MB-1234567890, BSN12345678901234567: a word and then what was typed to fill a field.
    let counted = || {
        let rest = upper.trim_start_matches(|c: char| !c.is_ascii_digit());
        rest.len() >= 8 && rest.len() < upper.len() && is_placeholder_serial(rest)
    };
    let uniform = digits.iter().all(|c| c == &digits[0])
        || digits.iter().all(|c| matches!(c, 'X' | '0' | '-' | '.'));
    // 123456789, 0123456789, 987654321, ABCDEF…: typed to fill a field.
    let step = |by: i64| {
        digits.windows(2).all(|pair| {
            let (a, b) = (i64::from(u32::from(pair[0])), i64::from(u32::from(pair[1])));
            b - a == by
                || (pair[0] == '9' && pair[1] == '0' && by == 1)
                || (pair[0] == '0' && pair[1] == '9' && by == -1)
        })
    };
    uniform || step(1) || step(-1) || counted()
}

/// An SMBIOS UUID. Firmware and tools disagree on the byte order of its first three
/// fields, so both orders are the same identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Reads a UUID; `None` for what is none and for placeholders that many machines share.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex: Vec<u8> =
            text.trim().bytes().filter(|b| !matches!(b, b'-' | b'{' | b'}')).collect();
        if hex.len() != 32 {
            return None;
        }
        let mut bytes = [0u8; 16];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let mut swapped = bytes;
        swapped[0..4].reverse();
        swapped[4..6].reverse();
        swapped[6..8].reverse();
        let uuid = Uuid(bytes.min(swapped));
        (!uuid.is_placeholder()).then_some(uuid)
    }

    fn is_placeholder(self) -> bool {
        const KNOWN: [[u8; 16]; 5] = [
            // 03000200-0400-0500-0006-000700080009 and its other byte order.
            [
                0x00, 0x02, 0x00, 0x03, 0x00, 0x04, 0x00, 0x05, 0x00, 0x06, 0x00, 0x07, 0x00, 0x08,
                0x00, 0x09,
            ],
            [
                0x03, 0x00, 0x02, 0x00, 0x04, 0x00, 0x05, 0x00, 0x00, 0x06, 0x00, 0x07, 0x00, 0x08,
                0x00, 0x09,
            ],
            [
                0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78, 0x90, 0xab, 0xcd, 0xde, 0xef, 0xaa,
                0xbb, 0xcc,
            ],
            // 00112233-4455-6677-8899-aabbccddeeff.
            [
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff,
            ],
            // 4c4c4544-0000-2010-8020-80c04f202020: Dell's, made of a blank service tag.
            [
                0x44, 0x45, 0x4c, 0x4c, 0x00, 0x00, 0x10, 0x20, 0x80, 0x20, 0x80, 0xc0, 0x4f, 0x20,
                0x20, 0x20,
            ],
        ];
        let bytes = self.0;
        // Few different bytes are typed to fill a field.
        let few = bytes.iter().collect::<std::collections::BTreeSet<_>>().len() <= 2;
        // 12345678-1234-5678-90ab-cddeefaabbcc and 12345678-1234-1234-1234-123456789abc in either order.
        let counted = bytes.starts_with(&[0x12, 0x34, 0x56, 0x78])
            || bytes.starts_with(&[0x78, 0x56, 0x34, 0x12]);
        few || counted || KNOWN.contains(&bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A short stable name for a set of texts: the same set, the same name, on any machine.
#[must_use]
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    // FNV-1a, 64 bits: stable across versions of the standard library, which its own hasher is not.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholder_serials_name_nothing() {
        for serial in [
            "",
            "0",
            "None",
            "To be filled by O.E.M.",
            "System Serial Number",
            "Default string",
            "Not Specified",
            "00000000",
            "XXXXXXXX",
            "123456789",
            "0123456789",
            "N/A",
            "empty",
            "1234",
            "AAAA",
            "Chassis Serial Number",
            "MB-1234567890",
            "BSN12345678901234567",
            "Not Supported",
        ] {
            assert!(Serial::new("Dell Inc.", serial).is_none(), "{serial}");
        }
        for serial in [
            "7XK2JQ2",
            "CZ1234ABCD",
            "PF0123987",
            "VMware-42 1a",
            "S4EWNX0R",
            "1234567890A",
            "PF0ABCDE",
        ] {
            assert!(Serial::new("Dell Inc.", serial).is_some(), "{serial}");
        }
        assert!(Serial::new("To be filled by O.E.M.", "7XK2JQ2").is_none());
    }

    #[test]
    fn makers_compare_without_their_legal_forms() {
        assert_eq!(Serial::new("Dell Inc.", "7xk2jq2"), Serial::new("DELL", "7XK2JQ2"));
        assert_eq!(Serial::new("Hewlett-Packard", "CZJ1234"), Serial::new("HP", "CZJ1234 "));
        assert_eq!(maker_key("Super Micro Computer, Inc."), "super micro");
        assert_eq!(maker_key("Systems"), "systems");
        assert_eq!(maker_key("Signify Netherlands B.V."), "signify netherlands");
        assert_eq!(maker_key("D-Link"), "d link");
        assert_ne!(maker_key("HP"), maker_key("HPE"));
    }

    #[test]
    fn both_byte_orders_of_a_uuid_are_one() {
        let a = Uuid::parse("4c4c4544-0058-4b10-8032-c7c04f4a5132").unwrap();
        let b = Uuid::parse("44454c4c-5800-104b-8032-c7c04f4a5132").unwrap();
        assert_eq!(a, b);
        for text in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "00020003-0004-0005-0006-000700080009",
            "12345678-1234-5678-90ab-cddeefaabbcc",
            "00112233-4455-6677-8899-aabbccddeeff",
            "4C4C4544-0000-2010-8020-80C04F202020",
            "no",
        ] {
            assert!(Uuid::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn identifiers_read_back_as_they_print() {
        for text in [
            "mac:00:1b:21:3c:4d:5e",
            "serial:dell/7XK2JQ2",
            "ip:192.0.2.7",
            "ip:lab/192.0.2.7",
            "ip:2001:db8::1",
            "name:nas",
            "netbox:virtual_machine/42",
            "pve:homelab/qemu/120",
        ] {
            assert_eq!(text.parse::<Identifier>().unwrap().to_string(), text);
        }
        assert!("nothing".parse::<Identifier>().is_err());
        assert!("serial:dell/0".parse::<Identifier>().is_err());
    }

    #[test]
    fn grades_follow_the_kind_of_mac() {
        let grade = |text: &str| text.parse::<Identifier>().unwrap().grade();
        assert_eq!(grade("mac:00:1b:21:3c:4d:5e"), Grade::Strong);
        assert_eq!(grade("mac:da:a1:19:12:34:56"), Grade::Weak);
        assert_eq!(grade("mac:00:00:5e:00:01:01"), Grade::Excluded);
        assert_eq!(grade("mac:02:42:ac:11:00:02"), Grade::Excluded);
        assert_eq!(grade("ip:192.0.2.7"), Grade::Weak);
        assert_eq!(grade("pve:homelab/qemu/120"), Grade::Native);
    }
}
