//! Plays hosts on one interface: answers ARP, echo, TCP, DNS and what IPv6 asks of
//! neighbours, each host with its own MAC address, delay, loss and habits.
//!
//! It must not blunt what is measured with it: what arrives waits in a large buffer, many
//! frames go in and out with one system call, and nothing is looked up in a list.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netbox_agent::net::socket::{Filter, Inbox, LinkSocket, Listen, Outbox, wait};

use super::players::{Network, Player, Tally};
use super::wire::{self, Mac, half, word};

/// Room for all questions to a /16 at once.
const BUFFER: usize = 128 << 20;
/// Nobody waits longer before looking whether to stop.
const GLANCE: Duration = Duration::from_millis(20);

/// A play that is under way.
pub(super) struct Responder {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Counts>>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Plays in a thread, in which `enter` is done first.
    pub(super) fn start(
        interface: &'static str,
        network: Network,
        enter: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (stop, tally) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Counts>>::default());
        let (ready, wait) = channel();
        let thread = std::thread::spawn({
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            move || {
                enter();
                play(interface, network, &stop, &tally, &ready);
            }
        });
        wait.recv().expect("the responder starts");
        Responder { stop, tally, thread: Some(thread) }
    }

    pub(super) fn stats(&self) -> Tally {
        lock(&self.tally).tally()
    }

    /// Ends the play and gives back what it saw.
    pub(super) fn end(mut self) -> Tally {
        self.halt().expect("the responder ends well");
        self.stats()
    }

    fn halt(&mut self) -> std::thread::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tally as it is kept while many packets come in.
#[derive(Debug, Default)]
struct Counts {
    arp: HashMap<Ipv4Addr, u32>,
    rest: Tally,
}

impl Counts {
    fn tally(&self) -> Tally {
        let arp = self.arp.iter().map(|(ip, count)| (*ip, *count)).collect();
        Tally { arp, ..self.rest.clone() }
    }
}

/// Plays until it is told to stop.
fn play(
    interface: &str,
    network: Network,
    stop: &AtomicBool,
    tally: &Mutex<Counts>,
    ready: &Sender<()>,
) {
    if let Some(processor) = network.processor {
        let mut set = rustix::thread::CpuSet::new();
        set.set(processor);
        rustix::thread::sched_setaffinity(None, &set).expect("there is such a processor");
    }
    let index = index_of(interface).expect("the interface is there");
    let socket =
        LinkSocket::open(index, Listen::All, &Filter::any_of(&[&[]])).expect("root may listen");
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER)
        .expect("root may have a large buffer");
    let mut play = Play::new(network);
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    ready.send(()).expect("somebody waits");
    while !stop.load(Ordering::Relaxed) {
        while inbox.receive(&socket).unwrap_or(0) > 0 {
            let now = Instant::now();
            let mut counts = lock(tally);
            for message in inbox.messages() {
                play.hear(message.bytes, now, &mut counts);
            }
            play.speak(&mut outbox, &mut counts);
            drop(counts);
            send(&mut outbox, &socket);
        }
        play.speak(&mut outbox, &mut lock(tally));
        send(&mut outbox, &socket);
        let idle =
            play.next().map_or(GLANCE, |time| time.saturating_duration_since(Instant::now()));
        let _ = wait(&[socket.as_fd()], idle.min(GLANCE));
    }
}

/// The index of an interface of this namespace, of which /sys need not show anything.
fn index_of(interface: &str) -> Option<u32> {
    let mut command = std::process::Command::new("ip");
    let output = command.args(["-o", "link", "show", interface]).output().ok()?;
    String::from_utf8_lossy(&output.stdout).split(':').next()?.trim().parse().ok()
}

/// What cannot leave, such as when the interface went down, is lost.
fn send(outbox: &mut Outbox, socket: &LinkSocket) {
    while !outbox.is_empty() {
        match outbox.send(socket) {
            Ok(0) => {
                let _ = wait(&[], Duration::from_micros(200));
            }
            Ok(_) => {}
            Err(_) => outbox.skip(),
        }
    }
}

struct Play {
    network: Network,
    /// The players of each address, who stand side by side.
    at: HashMap<Ipv4Addr, Range<usize>>,
    six: HashMap<Ipv6Addr, usize>,
    /// Frames that leave later, in order.
    later: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    /// Since when each player is awake, or will be, and when it was asked last.
    awake: Vec<Option<(Instant, Instant)>>,
    allowance: f64,
    counted: Instant,
    count: u64,
    dice: u64,
}

impl Play {
    fn new(mut network: Network) -> Self {
        network.players.sort_by_key(|player| player.ip);
        let mut at: HashMap<Ipv4Addr, Range<usize>> = HashMap::new();
        let mut six = HashMap::new();
        for (number, player) in network.players.iter().enumerate() {
            at.entry(player.ip).or_insert(number..number).end = number + 1;
            if let Some(ip) = player.six {
                six.insert(ip, number);
                six.insert(wire::link_local(player.mac), number);
            }
        }
        Play {
            at,
            six,
            later: BinaryHeap::new(),
            awake: vec![None; network.players.len()],
            allowance: network.capacity.map_or(0.0, |(_, burst)| burst),
            counted: Instant::now(),
            count: 0,
            dice: 0x9e37_79b9_7f4a_7c15,
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
    fn passes(&mut self, broadcast: bool, now: Instant, counts: &mut Counts) -> bool {
        let Some((rate, burst)) = self.network.capacity else { return true };
        if self.network.broadcasts_alone && !broadcast {
            return true;
        }
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.allowance = (self.allowance + passed * rate).min(burst);
        if self.allowance < 1.0 {
            counts.rest.dropped += 1;
            return false;
        }
        self.allowance -= 1.0;
        true
    }

    /// A player answers, in its own time, or the answer gets lost.
    fn answer(&mut self, player: usize, frame: Vec<u8>, now: Instant, counts: &mut Counts) {
        let Player { loss, delay, .. } = self.network.players[player];
        if self.happens(self.network.loss) || self.happens(loss) {
            counts.rest.lost += 1;
            return;
        }
        let jitter = if self.network.jitter.is_zero() { 0.0 } else { self.chance() };
        let delay = self.network.delay + self.network.jitter.mul_f64(jitter) + delay;
        let time = self.wakes(player, now) + delay;
        self.count += 1;
        self.later.push(Reverse((time, self.count, frame)));
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.chance() < share
    }

    /// When a player hears what reaches it now. Whoever has not been asked for a second has
    /// fallen asleep again.
    fn wakes(&mut self, player: usize, now: Instant) -> Instant {
        let sleeps = self.network.players[player].sleeps;
        if sleeps.is_zero() {
            return now;
        }
        let since = match self.awake[player] {
            Some((since, last)) if now < last + Duration::from_secs(1) => since,
            _ => now + sleeps,
        };
        self.awake[player] = Some((since, now));
        since.max(now)
    }

    /// When the next frame leaves.
    fn next(&self) -> Option<Instant> {
        self.later.peek().map(|Reverse((time, ..))| *time)
    }

    /// Hands over what leaves now.
    fn speak(&mut self, outbox: &mut Outbox, counts: &mut Counts) {
        let now = Instant::now();
        while self.next().is_some_and(|time| time <= now) {
            if let Some(Reverse((.., frame))) = self.later.pop() {
                outbox.push(&frame, None);
                counts.rest.answers += 1;
            }
        }
    }

    fn hear(&mut self, frame: &[u8], now: Instant, counts: &mut Counts) {
        counts.rest.frames += 1;
        if frame.len() < 42 {
            return;
        }
        let broadcast = frame[0] & 1 != 0;
        let mut from = [0; 6];
        from.copy_from_slice(&frame[6..12]);
        match half(frame, 12) {
            0x0806 if half(frame, 20) == 1 => {
                let asked = Ipv4Addr::from(word(frame, 38));
                *counts.arp.entry(asked).or_default() += 1;
                counts.rest.broadcasts += u64::from(broadcast);
                if self.passes(broadcast, now, counts) {
                    self.hear_arp(frame, from, asked, now, counts);
                }
            }
            0x0800 => {
                count_ipv4(&frame[14..], counts);
                if self.passes(broadcast, now, counts) {
                    self.hear_ipv4(&frame[14..], from, now, counts);
                }
            }
            0x86dd if frame.len() >= 62 => {
                let (next, kind) = (frame[20], frame[54]);
                counts.rest.echo += u64::from((next, kind) == (58, 128));
                counts.rest.solicitations += u64::from((next, kind) == (58, 135));
                if self.passes(broadcast, now, counts) {
                    self.hear_ipv6(&frame[14..], from, now, counts);
                }
            }
            _ => {}
        }
    }

    fn hear_arp(
        &mut self,
        frame: &[u8],
        from: Mac,
        asked: Ipv4Addr,
        now: Instant,
        counts: &mut Counts,
    ) {
        let asker = Ipv4Addr::from(word(frame, 28));
        let everybody = frame[0] & 1 != 0;
        for player in self.at.get(&asked).cloned().unwrap_or_default() {
            let Player { mac, behind, .. } = self.network.players[player];
            if behind.is_none() && (everybody || frame[..6] == mac) {
                self.answer(player, wire::arp_reply(mac, asked, from, asker), now, counts);
            }
        }
        if let Some(mac) = self.network.proxy
            && asked != asker
            && (everybody || frame[..6] == mac)
        {
            self.answer(0, wire::arp_reply(mac, asked, from, asker), now, counts);
        }
    }

    fn hear_ipv4(&mut self, packet: &[u8], from: Mac, now: Instant, counts: &mut Counts) {
        let header = usize::from(packet[0] & 15) * 4;
        let length = usize::from(half(packet, 2)).min(packet.len());
        if length < header + 8 {
            return;
        }
        let (asker, asked) = (Ipv4Addr::from(word(packet, 12)), Ipv4Addr::from(word(packet, 16)));
        let payload = &packet[header..length];
        if asked == Ipv4Addr::new(224, 0, 0, 251) {
            return self.hear_multicast_dns(payload, asker, from, now, counts);
        }
        let Some(player) = self.first_at(asked) else { return };
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
            self.answer(player, frame, now, counts);
        }
    }

    fn first_at(&self, ip: Ipv4Addr) -> Option<usize> {
        self.at.get(&ip).map(|players| players.start)
    }

    /// Who puts a player's packets on the link.
    fn speaker(&self, player: usize) -> Mac {
        let player = &self.network.players[player];
        let router = player.behind.and_then(|router| self.first_at(router));
        router.map_or(player.mac, |router| self.network.players[router].mac)
    }

    fn hear_tcp(&self, player: usize, segment: &[u8], asker: Ipv4Addr) -> Option<Vec<u8>> {
        let (from, to, sequence, flags) =
            (half(segment, 0), half(segment, 2), word(segment, 4), segment[13]);
        let player = &self.network.players[player];
        if flags & 0x06 != 0x02 {
            return None;
        }
        let flags = match (player.open.contains(&to), player.filters) {
            (true, _) => 0x12,
            (false, false) => 0x14,
            (false, true) => return None,
        };
        Some(wire::tcp(player.ip, to, asker, from, [7, sequence.wrapping_add(1)], flags))
    }

    fn resolve(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (IpAddr::V4(ip), _) = wire::reverse_question(query, 12)? else { return None };
        let name =
            self.first_at(ip).and_then(|player| self.network.players[player].name.as_deref());
        Some(wire::dns_answer(query, ip, name))
    }

    /// Each host answers for itself, to the port that asked.
    fn hear_multicast_dns(
        &mut self,
        datagram: &[u8],
        asker: Ipv4Addr,
        from: Mac,
        now: Instant,
        counts: &mut Counts,
    ) {
        let query = &datagram[8..];
        let mut at = 12;
        while let Some((IpAddr::V4(ip), end)) = wire::reverse_question(query, at) {
            if let Some(player) = self.first_at(ip)
                && let Some(name) = self.network.players[player].own_name.clone()
            {
                let answer = wire::dns_answer(query, ip, Some(&name));
                let datagram = wire::udp(5353, half(datagram, 0), &answer);
                let mac = self.network.players[player].mac;
                let frame = wire::ipv4(mac, ip, from, asker, 17, &datagram);
                self.answer(player, frame, now, counts);
            }
            at = end;
        }
    }

    fn hear_ipv6(&mut self, packet: &[u8], from: Mac, now: Instant, counts: &mut Counts) {
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
                    let frame = wire::ipv6(mac, target, from, asker, answer);
                    self.answer(player, frame, now, counts);
                }
            }
            (58, 128) => {
                let mut answer = message.to_vec();
                answer[0] = 129;
                self.answer_six([asked, asker], from, now, counts, |player| {
                    (!player.ignores_echo).then(|| answer.clone())
                });
            }
            // Options for the destination, the first of which nobody knows.
            (60, 58) if message[2] & 0xc0 == 0x80 => {
                let answer = wire::objection(&packet[..end]);
                self.answer_six([asked, asker], from, now, counts, |_| Some(answer.clone()));
            }
            _ => {}
        }
    }

    /// Those who are asked answer, with the address that suits the asker's.
    fn answer_six(
        &mut self,
        [asked, asker]: [Ipv6Addr; 2],
        from: Mac,
        now: Instant,
        counts: &mut Counts,
        answer: impl Fn(&Player) -> Option<Vec<u8>>,
    ) {
        let asked_are = match self.six.get(&asked) {
            _ if asked.is_multicast() => 0..self.network.players.len(),
            Some(player) => *player..*player + 1,
            None => 0..0,
        };
        for number in asked_are {
            let player = &self.network.players[number];
            let Some(six) = player.six else { continue };
            let own =
                if asker.is_unicast_link_local() { wire::link_local(player.mac) } else { six };
            if let Some(answer) = answer(player)
                && (asked.is_multicast() || asked == own)
            {
                let frame = wire::ipv6(player.mac, own, from, asker, answer);
                self.answer(number, frame, now, counts);
            }
        }
    }
}

fn count_ipv4(packet: &[u8], counts: &mut Counts) {
    let payload = packet.get(usize::from(packet[0] & 15) * 4..).unwrap_or_default();
    let first = payload.first().copied().unwrap_or_default();
    let flags = payload.get(13).copied().unwrap_or_default();
    let rest = &mut counts.rest;
    match packet[9] {
        1 => rest.echo += u64::from(first == 8),
        6 if flags & 0x04 != 0 => rest.reset += 1,
        6 => rest.syn += u64::from(flags & 0x02 != 0),
        17 => rest.udp += 1,
        _ => {}
    }
}
