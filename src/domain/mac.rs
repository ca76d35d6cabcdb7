//! MAC addresses (EUI-48) and what their bits and blocks tell about them.
//! Vendors are not looked up here: the OUI table belongs to `net`.

use std::fmt;
use std::str::FromStr;

/// An EUI-48, printed in lower case with colons (RFC 6991's canonical form).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

/// A text that is not a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address: expected six bytes such as 00:1b:21:3c:4d:5e")]
pub struct NotAMac(pub String);

/// What a MAC address can be, judged by itself alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MacKind {
    /// Assigned by its maker, from a block that IEEE registered.
    Universal,
    /// The locally administered bit is set: made up by software, perhaps anew each day.
    Local,
    /// Shared by several routers: VRRP, CARP, HSRP or GLBP.
    VirtualRouter,
    /// Docker's bridge addresses (`02:42:…`), equal on many hosts.
    Docker,
    /// All zero, broadcast, multicast, or a placeholder such as `00:11:22:33:44:55`.
    Void,
}

/// Values that firmware and examples ship with; they name nothing.
const PLACEHOLDERS: [[u8; 6]; 8] = [
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55],
    [0x11, 0x22, 0x33, 0x44, 0x55, 0x66],
    [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc],
    [0x01, 0x23, 0x45, 0x67, 0x89, 0xab],
    [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
    [0xde, 0xad, 0xbe, 0xef, 0x00, 0x00],
    [0x02, 0x00, 0x00, 0x00, 0x00, 0x00],
    [0x00, 0x00, 0x00, 0x00, 0x00, 0x01],
];

impl MacAddr {
    /// The multicast (group) bit, which broadcast sets too.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 0x01 != 0
    }

    /// The locally administered bit of the first octet.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// Judges the address by its bits and by the blocks that are known to be shared.
    #[must_use]
    pub fn kind(self) -> MacKind {
        if self.0 == [0; 6] || self.is_multicast() || PLACEHOLDERS.contains(&self.0) {
            return MacKind::Void;
        }
        match self.0 {
            // VRRP for IPv4 and IPv6 (RFC 9568), which CARP uses as well.
            [0x00, 0x00, 0x5e, 0x00, 0x01 | 0x02, _] => MacKind::VirtualRouter,
            // HSRP version 1, version 2, and for IPv6; GLBP.
            [0x00, 0x00, 0x0c, 0x07, 0xac, _] => MacKind::VirtualRouter,
            [0x00, 0x00, 0x0c, 0x9f, 0xf0..=0xff, _] => MacKind::VirtualRouter,
            [0x00, 0x05, 0x73, 0xa0, 0x00..=0x0f, _] => MacKind::VirtualRouter,
            [0x00, 0x07, 0xb4, 0x00, _, _] => MacKind::VirtualRouter,
            [0x02, 0x42, ..] => MacKind::Docker,
            _ if self.is_local() => MacKind::Local,
            _ => MacKind::Universal,
        }
    }

    /// Whether the address names an interface at all: neither void nor shared by design.
    #[must_use]
    pub fn names_an_interface(self) -> bool {
        matches!(self.kind(), MacKind::Universal | MacKind::Local)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        // Written by hand: a large network prints very many of them.
        let text: [u8; 17] = std::array::from_fn(|at| match (self.0[at / 3], at % 3) {
            (octet, 0) => HEX[usize::from(octet >> 4)],
            (octet, 1) => HEX[usize::from(octet & 0x0f)],
            _ => b':',
        });
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = NotAMac;

    /// Reads `aa:bb:cc:dd:ee:ff`, with hyphens, `aabb.ccdd.eeff`, or twelve bare digits.
    /// Octets with one digit (`0:1b:…`, as BSD and macOS print) are read as well.
    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let refuse = || NotAMac(text.chars().take(40).collect());
        let trimmed = text.trim();
        let parts: Vec<&str> = trimmed.split([':', '-', '.']).collect();
        let mut octets = [0u8; 6];
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        match parts.len() {
            6 if parts.iter().all(|part| matches!(part.len(), 1 | 2) && digits(part)) => {
                for (octet, part) in octets.iter_mut().zip(&parts) {
                    *octet = u8::from_str_radix(part, 16).map_err(|_| refuse())?;
                }
            }
            1 | 3 => {
                let bare = parts.concat();
                let even = parts.len() == 1 || parts.iter().all(|part| part.len() == 4);
                if bare.len() != 12 || !even || !digits(&bare) {
                    return Err(refuse());
                }
                for (index, octet) in octets.iter_mut().enumerate() {
                    *octet = u8::from_str_radix(&bare[2 * index..2 * index + 2], 16)
                        .map_err(|_| refuse())?;
                }
            }
            _ => return Err(refuse()),
        }
        Ok(MacAddr(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_notation_is_the_same_address() {
        for text in [
            "00:1B:21:3c:4d:5e",
            "00-1b-21-3C-4D-5E",
            "001b.213c.4d5e",
            "001b213c4d5e",
            "0:1b:21:3c:4d:5e",
        ] {
            assert_eq!(text.parse::<MacAddr>().unwrap().to_string(), "00:1b:21:3c:4d:5e", "{text}");
        }
    }

    #[test]
    fn what_is_not_a_mac_is_refused() {
        for text in [
            "",
            "00:1b:21:3c:4d",
            "00:1b:21:3c:4d:5e:6f",
            "zz:1b:21:3c:4d:5e",
            "001b.213c.4d5",
            "00:1b:21:3c:4d:+5",
            "é01b213c4d5",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }

    #[test]
    fn bits_and_blocks_decide_the_kind() {
        let kind = |text: &str| text.parse::<MacAddr>().unwrap().kind();
        assert_eq!(kind("00:1b:21:3c:4d:5e"), MacKind::Universal);
        assert_eq!(kind("bc:24:11:aa:bb:cc"), MacKind::Universal);
        assert_eq!(kind("52:54:00:12:34:56"), MacKind::Local);
        assert_eq!(kind("da:a1:19:00:00:01"), MacKind::Local);
        assert_eq!(kind("00:00:5e:00:01:0a"), MacKind::VirtualRouter);
        assert_eq!(kind("00:00:5e:00:53:0a"), MacKind::Universal);
        assert_eq!(kind("00:00:0c:9f:f0:01"), MacKind::VirtualRouter);
        assert_eq!(kind("02:42:ac:11:00:02"), MacKind::Docker);
        assert_eq!(kind("ff:ff:ff:ff:ff:ff"), MacKind::Void);
        assert_eq!(kind("33:33:00:00:00:01"), MacKind::Void);
        assert_eq!(kind("00:00:00:00:00:00"), MacKind::Void);
    }
}
