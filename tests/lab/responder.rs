//! Plays hosts on one interface: answers ARP, echo, TCP, DNS and what IPv6 asks of
//! neighbours, each host with its own MAC address, delay, loss and habits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use netbox_agent::net::socket::{Filter, Inbox, LinkSocket, Listen, Outbox, wait};

use super::wire::{self, Mac, half, word};

/// A host of the play.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) ip: Ipv4Addr,
    pub(crate) mac: Mac,
    /// Its global address of IPv6; it has a link-local one as well, then.
    pub(crate) six: Option<Ipv6Addr>,
    pub(crate) open: BTreeSet<u16>,
    /// How long it takes to wake.
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
            sleeps: Duration::ZERO,
            ignores_echo: false,
            filters: false,
            behind: None,
            name: None,
            own_name: None,
        }
    }
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
}

/// What the network saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    /// How often each address was asked for by ARP, and by broadcast.
    pub(crate) arp: BTreeMap<Ipv4Addr, u32>,
    pub(crate) broadcasts: u64,
    pub(crate) dropped: u64,
    /// How often each address was asked for a connection, and had it taken back.
    pub(crate) syn: u64,
    pub(crate) reset: u64,
}

/// Plays until it is told to stop.
pub(crate) fn play(
    interface: &str,
    network: Network,
    stop: &AtomicBool,
    ready: &Sender<()>,
) -> Tally {
    let index = std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex"));
    let index =
        index.ok().and_then(|text| text.trim().parse().ok()).or_else(|| index_of(interface));
    let index = index.expect("the interface is there");
    let socket =
        LinkSocket::open(index, Listen::All, &Filter::any_of(&[&[]])).expect("root may listen");
    let mut play = Play::new(network);
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    ready.send(()).expect("somebody waits");
    while !stop.load(Ordering::Relaxed) {
        while inbox.receive(&socket).unwrap_or(0) > 0 {
            let now = Instant::now();
            for message in inbox.messages() {
                play.hear(message.bytes, now);
            }
            play.speak(&mut outbox);
            let _ = outbox.send(&socket);
        }
        play.speak(&mut outbox);
        if outbox.send(&socket).is_err() {
            outbox.skip();
        }
        let idle = play.later.peek().map_or(Duration::from_millis(20), |Reverse((time, ..))| {
            time.saturating_duration_since(Instant::now())
        });
        let _ = wait(&[socket.as_fd()], idle.min(Duration::from_millis(20)));
    }
    play.tally
}

/// The index of an interface where /sys shows another namespace.
fn index_of(interface: &str) -> Option<u32> {
    let output =
        std::process::Command::new("ip").args(["-o", "link", "show", interface]).output().ok()?;
    String::from_utf8_lossy(&output.stdout).split(':').next()?.trim().parse().ok()
}

struct Play {
    network: Network,
    at: HashMap<Ipv4Addr, Vec<usize>>,
    six: HashMap<Ipv6Addr, usize>,
    names: HashMap<Ipv4Addr, Vec<u8>>,
    /// Frames that leave later, in order.
    later: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    awake: HashMap<usize, Instant>,
    allowance: f64,
    counted: Instant,
    count: u64,
    dice: u64,
    tally: Tally,
}

impl Play {
    fn new(network: Network) -> Self {
        let mut at: HashMap<Ipv4Addr, Vec<usize>> = HashMap::new();
        let mut six = HashMap::new();
        let mut names = HashMap::new();
        for (number, player) in network.players.iter().enumerate() {
            at.entry(player.ip).or_default().push(number);
            if let Some(ip) = player.six {
                six.insert(ip, number);
                six.insert(wire::link_local(player.mac), number);
            }
            if let Some(name) = &player.name {
                names.insert(player.ip, name.clone());
            }
        }
        Play {
            at,
            six,
            names,
            later: BinaryHeap::new(),
            awake: HashMap::new(),
            allowance: network.capacity.map_or(0.0, |(_, burst)| burst),
            counted: Instant::now(),
            count: 0,
            dice: 0x9e37_79b9_7f4a_7c15,
            tally: Tally::default(),
            network,
        }
    }

    /// A chance between nothing and one.
    fn chance(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether the network has room for one more packet.
    fn passes(&mut self, broadcast: bool, now: Instant) -> bool {
        let Some((rate, burst)) = self.network.capacity else { return true };
        if self.network.broadcasts_alone && !broadcast {
            return true;
        }
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.allowance = (self.allowance + passed * rate).min(burst);
        if self.allowance < 1.0 {
            self.tally.dropped += 1;
            return false;
        }
        self.allowance -= 1.0;
        true
    }

    /// A player answers, in its own time, or the answer gets lost.
    fn answer(&mut self, player: usize, frame: Vec<u8>, now: Instant) {
        if self.network.loss > 0.0 && self.chance() < self.network.loss {
            return;
        }
        let mut delay = self.network.delay + self.network.jitter.mul_f64(self.chance());
        let sleeps = self.network.players[player].sleeps;
        if !sleeps.is_zero() && self.awake.get(&player).is_none_or(|until| now > *until) {
            delay += sleeps;
            self.awake.insert(player, now + Duration::from_secs(1) + sleeps);
        } else if let Some(until) = self.awake.get(&player) {
            // Nobody answers before having woken.
            delay = delay.max(until.saturating_duration_since(now + Duration::from_secs(1)));
        }
        self.count += 1;
        self.later.push(Reverse((now + delay, self.count, frame)));
    }

    /// Hands over what leaves now.
    fn speak(&mut self, outbox: &mut Outbox) {
        let now = Instant::now();
        while let Some(Reverse((time, ..))) = self.later.peek()
            && *time <= now
        {
            if let Some(Reverse((.., frame))) = self.later.pop() {
                outbox.push(&frame, None);
            }
        }
    }

    fn hear(&mut self, frame: &[u8], now: Instant) {
        self.tally.frames += 1;
        if frame.len() < 42 {
            return;
        }
        let broadcast = frame[0] & 1 != 0;
        let mut from = [0; 6];
        from.copy_from_slice(&frame[6..12]);
        match half(frame, 12) {
            0x0806 if half(frame, 20) == 1 => {
                let asked = Ipv4Addr::from(word(frame, 38));
                *self.tally.arp.entry(asked).or_default() += 1;
                self.tally.broadcasts += u64::from(broadcast);
                if self.passes(broadcast, now) {
                    self.hear_arp(frame, from, asked, now);
                }
            }
            0x0800 if self.passes(broadcast, now) => self.hear_ipv4(&frame[14..], from, now),
            0x86dd if frame.len() >= 62 && self.passes(broadcast, now) => {
                self.hear_ipv6(&frame[14..], from, now)
            }
            _ => {}
        }
    }

    fn hear_arp(&mut self, frame: &[u8], from: Mac, asked: Ipv4Addr, now: Instant) {
        let asker = Ipv4Addr::from(word(frame, 28));
        for player in self.at.get(&asked).cloned().unwrap_or_default() {
            let Player { mac, behind, .. } = self.network.players[player];
            if behind.is_none() && (frame[0] & 1 != 0 || frame[..6] == mac) {
                self.answer(player, wire::arp_reply(mac, asked, from, asker), now);
            }
        }
        if let Some(mac) = self.network.proxy
            && asked != asker
            && (frame[0] & 1 != 0 || frame[..6] == mac)
        {
            self.answer(0, wire::arp_reply(mac, asked, from, asker), now);
        }
    }

    fn hear_ipv4(&mut self, packet: &[u8], from: Mac, now: Instant) {
        let header = usize::from(packet[0] & 15) * 4;
        let length = usize::from(half(packet, 2)).min(packet.len());
        if length < header + 8 {
            return;
        }
        let (asker, asked) = (Ipv4Addr::from(word(packet, 12)), Ipv4Addr::from(word(packet, 16)));
        let payload = &packet[header..length];
        if asked == Ipv4Addr::new(224, 0, 0, 251) {
            return self.hear_multicast_dns(payload, asker, from, now);
        }
        let Some(player) = self.at.get(&asked).and_then(|players| players.first()).copied() else {
            return;
        };
        let answer = match packet[9] {
            1 if payload[0] == 8 && !self.network.players[player].ignores_echo => {
                Some((1, wire::echo_reply(payload)))
            }
            6 if payload.len() >= 20 => {
                self.hear_tcp(player, payload, asker).map(|segment| (6, segment))
            }
            17 if half(payload, 2) == 53 && self.network.resolver == Some(asked) => self
                .resolve(&payload[8..])
                .map(|answer| (17, wire::udp(53, half(payload, 0), &answer))),
            17 if !self.network.players[player].filters => {
                Some((1, wire::unreachable(&packet[..length])))
            }
            _ => None,
        };
        if let Some((protocol, payload)) = answer {
            let frame = wire::ipv4(self.speaker(player), asked, from, asker, protocol, &payload);
            self.answer(player, frame, now);
        }
    }

    /// Who puts a player's packets on the link.
    fn speaker(&self, player: usize) -> Mac {
        let player = &self.network.players[player];
        let router = player.behind.and_then(|router| self.at.get(&router)?.first().copied());
        router.map_or(player.mac, |router| self.network.players[router].mac)
    }

    fn hear_tcp(&mut self, player: usize, segment: &[u8], asker: Ipv4Addr) -> Option<Vec<u8>> {
        let (from, to, sequence, flags) =
            (half(segment, 0), half(segment, 2), word(segment, 4), segment[13]);
        let player = &self.network.players[player];
        if flags & 4 != 0 {
            self.tally.reset += 1;
            return None;
        }
        if flags & 2 == 0 {
            return None;
        }
        self.tally.syn += 1;
        let flags = match (player.open.contains(&to), player.filters) {
            (true, _) => 0x12,
            (false, false) => 0x14,
            (false, true) => return None,
        };
        Some(wire::tcp(player.ip, to, asker, from, [7, sequence.wrapping_add(1)], flags))
    }

    fn resolve(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (IpAddr::V4(ip), _) = wire::reverse_question(query, 12)? else { return None };
        Some(wire::dns_answer(query, ip, self.names.get(&ip).map(Vec::as_slice)))
    }

    /// Each host answers for itself, to the port that asked.
    fn hear_multicast_dns(&mut self, datagram: &[u8], asker: Ipv4Addr, from: Mac, now: Instant) {
        let query = &datagram[8..];
        let mut at = 12;
        while let Some((IpAddr::V4(ip), end)) = wire::reverse_question(query, at) {
            let player = self.at.get(&ip).and_then(|players| players.first()).copied();
            if let Some(player) = player
                && let Some(name) = self.network.players[player].own_name.clone()
            {
                let answer = wire::dns_answer(query, ip, Some(&name));
                let datagram = wire::udp(5353, half(datagram, 0), &answer);
                let mac = self.network.players[player].mac;
                self.answer(player, wire::ipv4(mac, ip, from, asker, 17, &datagram), now);
            }
            at = end;
        }
    }

    fn hear_ipv6(&mut self, packet: &[u8], from: Mac, now: Instant) {
        let mut addresses = [Ipv6Addr::UNSPECIFIED; 2];
        for (address, at) in addresses.iter_mut().zip([8, 24]) {
            let mut octets = [0; 16];
            octets.copy_from_slice(&packet[at..at + 16]);
            *address = octets.into();
        }
        let [asker, asked] = addresses;
        let end = (40 + usize::from(half(packet, 4))).min(packet.len());
        let message = &packet[40..end];
        match (packet[6], message[0]) {
            (58, 135) if message.len() >= 24 => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&message[8..24]);
                let target = Ipv6Addr::from(octets);
                if let Some(player) = self.six.get(&target).copied() {
                    let mac = self.network.players[player].mac;
                    let answer = wire::advertisement(target, mac);
                    self.answer(player, wire::ipv6(mac, target, from, asker, answer), now);
                }
            }
            (58, 128) => {
                let mut answer = message.to_vec();
                answer[0] = 129;
                self.answer_six(asked, asker, from, now, |player| {
                    (!player.ignores_echo).then(|| answer.clone())
                });
            }
            // Options for the destination, the first of which nobody knows.
            (60, 58) if message[2] & 0xc0 == 0x80 => {
                let answer = wire::objection(&packet[..end]);
                self.answer_six(asked, asker, from, now, |_| Some(answer.clone()));
            }
            _ => {}
        }
    }

    /// Those who are asked answer, with the address that suits the asker's.
    fn answer_six(
        &mut self,
        asked: Ipv6Addr,
        asker: Ipv6Addr,
        from: Mac,
        now: Instant,
        answer: impl Fn(&Player) -> Option<Vec<u8>>,
    ) {
        for number in 0..self.network.players.len() {
            let player = &self.network.players[number];
            let Some(six) = player.six else { continue };
            let own =
                if asker.is_unicast_link_local() { wire::link_local(player.mac) } else { six };
            if let Some(answer) = answer(player)
                && (asked.is_multicast() || asked == own)
            {
                let frame = wire::ipv6(player.mac, own, from, asker, answer);
                self.answer(number, frame, now);
            }
        }
    }
}
