//! Who made an interface, told by the block that its MAC address lies in.
//!
//! The table is IEEE's public registry (MA-L, MA-M, MA-S and the older IAB), made by
//! `packaging/vendor-blocks.py`. It is one text, sorted by block, and searched where it
//! lies in the binary: nothing is read or built at start, and only the pages that a
//! search touches take memory. A name here is a registration, not a proof: it says who
//! bought the block.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::domain::mac::{MacAddr, MacKind};

/// One line a block: six, seven or nine hexadecimal digits, a tab, the owner.
static BLOCKS: &str = include_str!("vendor/blocks.tsv");

/// Blocks with the locally administered bit that one program made its own by long habit.
const BY_HABIT: [([u8; 3], &str); 2] =
    [([0x52, 0x54, 0x00], "QEMU"), ([0x0a, 0x00, 0x27], "VirtualBox")];

/// The owner of the narrowest registered block that the address lies in. Addresses that
/// were made up (local, multicast, shared by routers) have none.
#[must_use]
pub fn of(mac: MacAddr) -> Option<&'static str> {
    match mac.kind() {
        MacKind::Universal => {
            let [a, b, c, ..] = mac.0;
            let large = LARGE.with_borrow_mut(|known| {
                if known.len() >= MOST_KNOWN {
                    known.clear();
                }
                *known.entry([a, b, c]).or_insert_with(|| large(&digits(mac)[..6]))
            });
            let narrower = || {
                let digits = digits(mac);
                [9, 7].into_iter().find_map(|length| owner(&digits[..length]))
            };
            if large.divided { narrower().or(large.owner) } else { large.owner }
        }
        MacKind::Local => {
            BY_HABIT.iter().find(|(block, _)| mac.0.starts_with(block)).map(|(_, owner)| *owner)
        }
        MacKind::VirtualRouter | MacKind::Docker | MacKind::Void => None,
    }
}

/// The first nine digits, upper case, as the registries write them.
fn digits(mac: MacAddr) -> [u8; 9] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    std::array::from_fn(|at| {
        let octet = mac.0[at / 2];
        HEX[usize::from(if at % 2 == 0 { octet >> 4 } else { octet & 0x0f })]
    })
}

/// A block of six digits.
#[derive(Debug, Clone, Copy)]
struct Large {
    owner: Option<&'static str>,
    /// Whether narrower blocks lie in it.
    divided: bool,
}

/// More blocks than this are not remembered.
const MOST_KNOWN: usize = 1024;

thread_local! {
    /// Blocks that were looked up: a large network has few makers and many hosts of each.
    static LARGE: RefCell<HashMap<[u8; 3], Large>> = RefCell::default();
}

/// The block of these six digits.
fn large(digits: &[u8]) -> Large {
    let here = from(digits);
    let mut lines = BLOCKS[here..].split('\n').take(2).map(|line| line.split_once('\t'));
    let mut next = || lines.next().flatten().filter(|(key, _)| key.as_bytes().starts_with(digits));
    match next() {
        Some((key, name)) if key.len() == digits.len() => {
            Large { owner: Some(name), divided: next().is_some() }
        }
        narrower => Large { owner: None, divided: narrower.is_some() },
    }
}

/// The owner of exactly this block.
fn owner(block: &[u8]) -> Option<&'static str> {
    let (key, name) = BLOCKS[from(block)..].split('\n').next()?.split_once('\t')?;
    (key.as_bytes() == block).then_some(name)
}

/// Where the first line begins whose block does not stand before this one.
fn from(block: &[u8]) -> usize {
    let text = BLOCKS.as_bytes();
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = text[..middle].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let length = text[start..].iter().position(|byte| *byte == b'\t').unwrap_or(0);
        if &text[start..start + length] < block {
            let line = text[start..].iter().position(|byte| *byte == b'\n');
            low = line.map_or(text.len(), |end| start + end + 1);
        } else {
            high = start;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vendor(mac: &str) -> Option<&'static str> {
        of(mac.parse().unwrap())
    }

    #[test]
    fn the_narrowest_block_names_the_vendor() {
        assert_eq!(vendor("bc:24:11:12:34:56"), Some("Proxmox Server Solutions GmbH"));
        assert_eq!(vendor("b8:27:eb:00:00:01"), Some("Raspberry Pi Foundation"));
        assert_eq!(vendor("00:1b:21:3c:4d:5e"), Some("Intel Corporate"));
        // A block of MA-M and one of MA-S, whose MA-L belongs to the authority itself.
        assert_eq!(vendor("c8:5c:e2:7a:bc:de"), Some("SYNERGY SYSTEMS AND SOLUTIONS"));
        assert_eq!(vendor("8c:1f:64:af:a0:01"), Some("DATA ELECTRONIC DEVICES, INC"));
        assert_eq!(vendor("00:50:c2:00:30:01"), Some("Microsoft"));
    }

    #[test]
    fn addresses_that_were_made_up_have_no_vendor() {
        for mac in
            ["da:a1:19:00:00:01", "00:00:5e:00:01:01", "02:42:ac:11:00:02", "ff:ff:ff:ff:ff:ff"]
        {
            assert_eq!(vendor(mac), None, "{mac}");
        }
        assert_eq!(vendor("52:54:00:12:34:56"), Some("QEMU"));
    }

    #[test]
    fn every_line_of_the_table_is_found_again() {
        let mut before = "";
        for line in BLOCKS.lines() {
            let (block, name) = line.split_once('\t').unwrap();
            assert!(before < block, "{before} stands before {block}");
            assert!(matches!(block.len(), 6 | 7 | 9), "{line}");
            assert!(!name.is_empty() && name == crate::domain::name::visible(name, 100), "{line}");
            assert_eq!(owner(block.as_bytes()), Some(name));
            before = block;
        }
        assert_eq!(owner(b"FFFFFFFFF"), None);
        assert_eq!(owner(b"000000000"), None);
        assert_eq!(owner(b"FFFFFF"), None);
    }
}
