//! Who is on the network, how it behaves, and what it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::wire::Mac;

/// A host of the play. Two of them with the same address claim it both.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) ip: Ipv4Addr,
    pub(crate) mac: Mac,
    /// Its global address of IPv6; it has a link-local one as well, then.
    pub(crate) six: Option<Ipv6Addr>,
    pub(crate) open: BTreeSet<u16>,
    /// How much longer than others it takes.
    pub(crate) delay: Duration,
    /// The share of questions that it leaves without an answer beside what the network loses.
    pub(crate) loss: f64,
    /// How long it takes to wake, when it has not been asked for a second.
    pub(crate) sleeps: Duration,
    pub(crate) ignores_echo: bool,
    /// Whether it does not say that nobody listens on a port.
    pub(crate) filters: bool,
    /// It is reached through the host with this address.
    pub(crate) behind: Option<Ipv4Addr>,
    /// Its name in DNS, as labels.
    pub(crate) name: Option<Vec<u8>>,
    /// Its own name in multicast DNS, as labels.
    pub(crate) own_name: Option<Vec<u8>>,
}

impl Player {
    pub(crate) fn new(ip: Ipv4Addr, mac: Mac) -> Self {
        Player {
            ip,
            mac,
            six: None,
            open: BTreeSet::new(),
            delay: Duration::ZERO,
            loss: 0.0,
            sleeps: Duration::ZERO,
            ignores_echo: false,
            filters: false,
            behind: None,
            name: None,
            own_name: None,
        }
    }
}

/// The blocks of vendors, by turns.
const BLOCKS: [[u8; 3]; 4] =
    [[0xbc, 0x24, 0x11], [0xb8, 0x27, 0xeb], [0x00, 0x1b, 0x21], [0x00, 0x11, 0x32]];

/// So many hosts with MAC addresses of known vendors, spread evenly over the `room`
/// addresses that follow a base; never the first two and the last one of them.
pub(crate) fn crowd(base: [u8; 4], room: u32, count: u32) -> Vec<Player> {
    let base = u32::from(Ipv4Addr::from(base));
    let at = |number: u32| {
        let spread = u64::from(number) * u64::from(room - 3) / u64::from(count);
        Ipv4Addr::from(base + 2 + u32::try_from(spread).expect("it is less than the room"))
    };
    (0..count).map(|number| Player::new(at(number), mac(number))).collect()
}

/// The MAC address of a player by its number.
pub(crate) fn mac(number: u32) -> Mac {
    let [_, a, b, c] = number.to_be_bytes();
    let [d, e, f] = BLOCKS[number as usize % BLOCKS.len()];
    [d, e, f, a, b, c]
}

/// The network of the play.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    pub(crate) players: Vec<Player>,
    /// Every answer takes so long, and up to so much more.
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    /// The share of questions that get no answer.
    pub(crate) loss: f64,
    /// Packets a second, and how many more at once; the rest is dropped.
    pub(crate) capacity: Option<(f64, f64)>,
    /// Whether only broadcasts count against the capacity.
    pub(crate) broadcasts_alone: bool,
    /// The host that knows names.
    pub(crate) resolver: Option<Ipv4Addr>,
    /// A host that answers ARP for every address of others.
    pub(crate) proxy: Option<Mac>,
    /// The processor that plays, so that the scanner has another one for itself.
    pub(crate) processor: Option<usize>,
}

/// What the network saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    /// How often each address was asked for by ARP, and how many of all were broadcast.
    pub(crate) arp: BTreeMap<Ipv4Addr, u32>,
    pub(crate) broadcasts: u64,
    /// Echo requests, of both families.
    pub(crate) echo: u64,
    /// Solicitations of neighbours.
    pub(crate) solicitations: u64,
    /// Wishes for a connection, and those that were taken back.
    pub(crate) syn: u64,
    pub(crate) reset: u64,
    pub(crate) udp: u64,
    /// What went beyond the capacity, and what got lost by chance.
    pub(crate) dropped: u64,
    pub(crate) lost: u64,
    /// Answers that were sent.
    pub(crate) answers: u64,
}
