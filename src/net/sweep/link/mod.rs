//! Asking a link by ARP, and what follows an answer, with frames of our own: nothing goes
//! through the kernel's neighbour table, which is one for the whole machine and small.

mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::answer::{Answer, Found, Method};
use super::engine::{Gauge, News, Shared, Stop};
use super::schedule::{self, Nanos, Rate, Schedule, Step, Summary};
use super::targets::Targets;
use crate::domain::mac::{MacAddr, MacKind};
use crate::net::frame::v4::{self, Says, Segment};
use crate::net::frame::{self, ArpQuestion, Heard, Station};
use crate::net::interface;
use crate::net::socket::{Check, Clock, Filter, Listen, Load, Wire, attach, drop_ordinary, wait};
use follow::{Due, Follow};

/// A link to sweep.
#[derive(Debug, Clone)]
pub(super) struct LinkJob {
    pub(super) interface: u32,
    pub(super) name: String,
    /// Who asks.
    pub(super) own: Station<Ipv4Addr>,
    pub(super) prefix_len: u8,
    pub(super) targets: Targets,
    /// Where hosts were that answered in earlier runs.
    pub(super) known: BTreeMap<Ipv4Addr, MacAddr>,
    /// Addresses to ask beside the sweep, such as a router that something depends on.
    pub(super) beside: BTreeSet<Ipv4Addr>,
}

/// How a link was swept.
#[derive(Debug, Default)]
pub(super) struct LinkReport {
    pub(super) answers: Vec<Answer>,
    pub(super) packets: u64,
    pub(super) asked: u64,
    /// Hosts that are expected to have been missed.
    pub(super) missing: f32,
    /// MAC addresses that answer for others.
    pub(super) proxies: BTreeSet<MacAddr>,
    pub(super) stop: Option<Stop>,
}

/// Addresses are asked in parts of so many, so that memory has a bound.
const PART: u32 = 1 << 16;
/// More targets than this, asked without a limit, are worth what a ring costs.
const MANY_TARGETS: u32 = 1 << 14;
/// A MAC address that answers for so many addresses is asked whether it answers for any.
const MANY: usize = 3;
/// One that answers for so many is taken for a proxy in any case.
pub(super) const TOO_MANY: usize = 16;
/// The time between news, in nanoseconds.
const NEWS: Nanos = 10_000_000;
/// An address of no network (RFC 5737): whoever answers for it answers for all.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

impl LinkJob {
    /// Sweeps the link. The report holds what was found even where it was stopped.
    ///
    /// # Errors
    /// When the link cannot be listened to, such as without `CAP_NET_RAW`.
    pub(super) fn run(&self, shared: &Shared) -> io::Result<LinkReport> {
        let mut door = Door::open(self, shared)?;
        let mut report = LinkReport::default();
        let mut gauge =
            Gauge::begin(shared, format!("sweep {}", self.name), self.targets.len().into());
        let parts = self.targets.chunks(PART);
        let nothing = [Targets::default()];
        // Without targets there may still be something to ask beside them.
        let parts = if parts.is_empty() { &nothing[..] } else { &parts };
        for part in parts {
            let sweep = Sweep::new(self, shared, &mut door, part);
            let summary = sweep.run(&mut gauge, &mut report);
            gauge.completed(part.len().into());
            report.packets += summary.sent;
            report.asked += u64::from(summary.asked);
            report.missing += summary.missing;
            if report.stop.is_some() {
                break;
            }
        }
        Ok(report)
    }
}

/// What stays open during the whole job.
struct Door {
    wire: Wire,
    /// Hears when the interface changes.
    watch: interface::Watch,
    /// Takes the port from which connections are wished for, and keeps the kernel from
    /// answering there: without it the kernel would reset what it knows nothing of, by way
    /// of its neighbour table.
    silence: Option<(Socket, u16)>,
    id: u16,
    secret: RandomState,
}

impl Door {
    fn open(job: &LinkJob, shared: &Shared) -> io::Result<Self> {
        let secret = RandomState::new();
        let id = secret.hash_one(job.own.ip) as u16 | 1;
        let silence = if shared.ports.is_empty() { None } else { Some(silent_port(job.own.ip)?) };
        let arp_alone = silence.is_none() && !shared.ping;
        let listen = if arp_alone { Listen::Arp } else { Listen::All };
        let filter = filter(job.own, id, silence.as_ref().map(|(_, port)| *port));
        let many = shared.policy.rate == Rate::Max && job.targets.len() > MANY_TARGETS;
        let open = if many { Wire::open_wide } else { Wire::open };
        let wire = open(job.interface, listen, &filter)?;
        let watch = interface::Watch::start(job.interface, job.own.ip.into())?;
        Ok(Door { wire, watch, silence, id, secret })
    }

    fn port(&self) -> u16 {
        self.silence.as_ref().map_or(0, |(_, port)| *port)
    }

    fn sequence(&self, to: Ipv4Addr, port: u16) -> u32 {
        self.secret.hash_one((to, port)) as u32
    }
}

/// A port of our own at which the kernel drops everything unseen.
fn silent_port(ip: Ipv4Addr) -> io::Result<(Socket, u16)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Some kernels let nobody but an administrator put a filter on a socket of TCP; what
    // then passes is answered by the kernel with a reset, as any wish for a connection is.
    if let Err(error) = attach(&socket, &Filter::nothing()) {
        tracing::debug!(%error, "a port is kept silent by the time to live alone");
        drop_ordinary(&socket)?;
    }
    socket.bind(&SocketAddr::from((ip, 0)).into())?;
    socket.listen(1)?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}

/// Answers to ARP, to echo requests with our number, and to connections wished for from
/// our port. Frames of a VLAN on top of the interface are not of this link.
fn filter(own: Station<Ipv4Addr>, id: u16, port: Option<u16>) -> Filter {
    let untagged = Check::is(Load::VlanTag, 0);
    let arp = [
        untagged,
        Check::is(Load::Half(12), 0x0806),
        Check::is(Load::Half(20), 2),
        Check::is(Load::Word(38), own.ip.into()),
    ];
    let ipv4_to_us =
        [untagged, Check::is(Load::Half(12), 0x0800), Check::is(Load::Word(30), own.ip.into())];
    let whole = Check::bits(Load::Half(20), 0x1fff, 0);
    let echo = [
        &ipv4_to_us[..],
        &[
            Check::is(Load::Byte(23), 1),
            whole,
            Check::is(Load::ByteAfterIpv4(14, 0), 0),
            Check::is(Load::HalfAfterIpv4(14, 4), id.into()),
        ],
    ]
    .concat();
    let tcp = [
        &ipv4_to_us[..],
        &[
            Check::is(Load::Byte(23), 6),
            whole,
            Check::is(Load::HalfAfterIpv4(14, 2), port.unwrap_or(0).into()),
        ],
    ]
    .concat();
    match port {
        Some(_) => Filter::any_of(&[&arp, &echo, &tcp]),
        None => Filter::any_of(&[&arp, &echo]),
    }
}

/// No host.
const NOBODY: u32 = u32::MAX;

/// The sweep of one part.
struct Sweep<'a> {
    job: &'a LinkJob,
    shared: &'a Shared,
    door: &'a mut Door,
    targets: &'a Targets,
    clock: Clock,
    schedule: Schedule,
    question: ArpQuestion,
    follow: Follow,
    hosts: Vec<Answer>,
    /// The host at each target.
    at: Vec<u32>,
    beside: Vec<Beside>,
    /// Packets beyond those that the schedule counts.
    extra: u64,
    news: Vec<Found>,
    /// When news were told last.
    told: Nanos,
    /// MAC addresses that answer for several addresses, and for how many.
    suspects: Vec<(MacAddr, usize)>,
    /// Those that answered for an address that nobody has.
    proxies: BTreeSet<MacAddr>,
}

/// An address that is asked for another reason.
struct Beside {
    ip: Ipv4Addr,
    times: u32,
    last: Nanos,
    next: Nanos,
}

/// When such an address is asked: at once, and later twice, in nanoseconds.
const BESIDE: [Nanos; 3] = [0, 15_000_000, 150_000_000];

impl<'a> Sweep<'a> {
    fn new(job: &'a LinkJob, shared: &'a Shared, door: &'a mut Door, targets: &'a Targets) -> Self {
        let mut schedule = Schedule::new(targets.len(), &shared.policy, u32::from(door.id));
        schedule.expect(job.known.keys().filter_map(|ip| targets.number(*ip)).collect());
        Sweep {
            job,
            shared,
            door,
            targets,
            clock: Clock::start(),
            schedule,
            question: ArpQuestion::from(job.own),
            follow: Follow::new(shared.ports.len() + usize::from(shared.ping)),
            hosts: Vec::new(),
            at: vec![NOBODY; targets.len() as usize],
            beside: job
                .beside
                .iter()
                .map(|ip| Beside { ip: *ip, times: 0, last: 0, next: 0 })
                .collect(),
            extra: 0,
            news: Vec::new(),
            told: 0,
            suspects: Vec::new(),
            proxies: BTreeSet::new(),
        }
    }

    fn now(&self) -> Nanos {
        Nanos::try_from(self.clock.now().as_nanos()).unwrap_or(Nanos::MAX)
    }

    fn run(mut self, gauge: &mut Gauge, report: &mut LinkReport) -> Summary {
        let stop = match self.ask_all(gauge) {
            Ok(None) => self.unmask().unwrap_or_else(|error| Some(self.failed(&error))),
            Ok(stop) => stop,
            Err(error) => Some(self.failed(&error)),
        };
        self.shared.tell(std::mem::take(&mut self.news));
        let mut summary = self.schedule.summary();
        summary.sent += self.extra;
        let answers = self.conclude(report);
        if report.answers.is_empty() {
            report.answers = answers;
        } else {
            report.answers.extend(answers);
        }
        report.stop = stop;
        summary
    }

    /// A sentence about a socket that fails.
    fn failed(&self, error: &io::Error) -> Stop {
        let name = &self.job.name;
        let reason = match error.raw_os_error() {
            Some(libc::ENETDOWN) => format!("{name} went down during the sweep"),
            Some(libc::ENXIO | libc::ENODEV) => format!("{name} vanished during the sweep"),
            _ => format!("{name} cannot be swept any further: {error}"),
        };
        Stop::Failed(reason)
    }

    /// Asks until the schedule and what follows are done.
    fn ask_all(&mut self, gauge: &mut Gauge) -> io::Result<Option<Stop>> {
        loop {
            if let Some(stop) = self.shared.stop() {
                return Ok(Some(stop));
            }
            let now = self.now();
            let until = self.fill(now);
            self.send()?;
            self.receive()?;
            gauge.reach(self.schedule.progress());
            match until {
                Until::Now => {}
                Until::Done => return Ok(None),
                Until::Time(time) => {
                    let left = Duration::from_nanos(time.saturating_sub(self.now()));
                    let sockets = [self.door.wire.as_fd(), self.door.watch.as_fd()];
                    let ready = wait(&sockets, self.shared.at_most(left))?;
                    if ready & 0b10 != 0
                        && let Some(reason) = self.door.watch.lost()?
                    {
                        return Ok(Some(Stop::Failed(reason)));
                    }
                    self.receive()?;
                }
            }
        }
    }

    /// Writes what may leave now, and tells when to come again.
    fn fill(&mut self, now: Nanos) -> Until {
        let patience = self.patience();
        let loss = self.schedule.loss();
        while !self.door.wire.is_full() {
            let due = self.follow.due(now, patience, loss);
            let urgent = self.follow.has_resets()
                || matches!(due, Due::Question(..))
                || self.beside_due(now);
            if urgent {
                if !self.schedule.grant(now) {
                    return Until::Time(self.schedule.next_grant());
                }
                self.follow_up(due, now);
                continue;
            }
            match self.schedule.next(now) {
                Step::AskKnown(target) => self.ask(target, true),
                Step::Ask(target, _) | Step::Canary(target) => self.ask(target, false),
                Step::Wait(time) => return Until::Time(self.soonest(time, due)),
                Step::Done => return self.nothing_left(now, due, patience),
            }
        }
        Until::Now
    }

    /// A port takes its host a moment longer than a reply to ARP.
    fn patience(&self) -> Nanos {
        let patience = self.schedule.patience() + Duration::from_millis(2);
        Nanos::try_from(patience.as_nanos()).unwrap_or(Nanos::MAX)
    }

    fn soonest(&self, time: Nanos, due: Due) -> Nanos {
        let beside = self.beside.iter().map(|beside| beside.next).min().unwrap_or(Nanos::MAX);
        let due = if let Due::NotBefore(due) = due { due } else { Nanos::MAX };
        time.min(beside).min(due)
    }

    fn nothing_left(&self, now: Nanos, due: Due, patience: Nanos) -> Until {
        if let Due::NotBefore(time) = due {
            return Until::Time(time);
        }
        match self.follow.end(patience) {
            Some(end) if now < end => Until::Time(end),
            _ => Until::Done,
        }
    }

    fn ask(&mut self, target: u32, known: bool) {
        let Some(ip) = self.targets.get(target) else { return };
        let at = if known { self.job.known.get(&ip).copied() } else { None };
        self.door.wire.push(self.question.ask(ip, at));
    }

    fn beside_due(&self, now: Nanos) -> bool {
        self.beside.iter().any(|beside| beside.next <= now)
    }

    /// Writes one frame of those that do not belong to the schedule.
    fn follow_up(&mut self, due: Due, now: Nanos) {
        self.extra += 1;
        if let Some(beside) = self.beside.iter_mut().find(|beside| beside.next <= now) {
            beside.times += 1;
            beside.last = now;
            beside.next = BESIDE.get(beside.times as usize).map_or(Nanos::MAX, |wait| now + wait);
            self.door.wire.push(self.question.ask(beside.ip, None));
        } else if let Some(frame) = self.follow.next_reset() {
            self.door.wire.push(&frame);
        } else if let Due::Question(host, which) = due {
            let times = self.follow.asked(now);
            let Some(to) = self.hosts.get(host as usize).and_then(station) else { return };
            match self.shared.ports.get(which) {
                Some(port) => {
                    let sequence = self.door.sequence(to.ip, *port);
                    let frame = v4::syn(self.job.own, self.door.port(), to, *port, sequence);
                    self.door.wire.push(&frame);
                }
                None => {
                    self.door.wire.push(&v4::echo(self.job.own, to, self.door.id, times.into()));
                }
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.door.wire.is_empty() {
            if self.door.wire.send()? == 0 {
                // The queue of the interface is full; it drains by itself.
                wait(&[], Duration::from_millis(1))?;
                if self.shared.stop().is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes in everything that has arrived.
    fn receive(&mut self) -> io::Result<()> {
        while self.door.wire.receive()? {
            let (offset, now) = (self.clock.offset(), self.now());
            while let Some((heard, at)) = self.door.wire.next(frame::read) {
                // The kernel's stamp, unless the day's clock has just been set.
                let at = at.map(|at| at.as_nanos() as i128 + offset);
                let at = at.and_then(|at| Nanos::try_from(at).ok()).map_or(now, |at| at.min(now));
                if let Some(heard) = heard {
                    self.hear(heard, at);
                }
            }
        }
        // Whoever listens is woken by each of these: not for every host by itself.
        let now = self.now();
        if !self.news.is_empty() && now >= self.told + NEWS {
            self.told = now;
            self.shared.tell(std::mem::take(&mut self.news));
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard, at: Nanos) {
        match heard {
            Heard::Arp { from, .. } => self.hear_arp(from, at),
            Heard::Echo { from, id, .. } if id == self.door.id => {
                if let std::net::IpAddr::V4(ip) = from.ip
                    && let Some(host) = self.host(ip)
                {
                    self.follow.settle(host, self.shared.ports.len());
                }
            }
            Heard::Segment(segment) => self.hear_segment(&segment),
            Heard::Echo { .. } | Heard::Neighbor { .. } => {}
        }
    }

    fn host(&self, ip: Ipv4Addr) -> Option<u32> {
        let target = self.targets.number(ip)?;
        self.at.get(target as usize).copied().filter(|host| *host != NOBODY)
    }

    fn hear_arp(&mut self, from: Station<Ipv4Addr>, at: Nanos) {
        if from.mac == self.job.own.mac {
            return;
        }
        let beside = self.beside.iter().position(|beside| beside.ip == from.ip);
        let beside = beside.map(|position| self.beside.swap_remove(position));
        if beside.is_some() {
            let _ = self.shared.news.send(News::Beside(from.ip.into()));
        }
        if from.ip == NOWHERE {
            self.proxies.insert(from.mac);
        }
        let Some(target) = self.targets.number(from.ip) else { return };
        match self.schedule.heard(target, None, at) {
            schedule::Answer::First(rtt) => {
                self.at[target as usize] = u32::try_from(self.hosts.len()).unwrap_or(NOBODY);
                // It may have been asked beside the sweep, before its turn.
                let trip =
                    beside.map(|beside| Duration::from_nanos(at.saturating_sub(beside.last)));
                let answer = Answer {
                    mac: Some(from.mac),
                    rtt: rtt.or(trip),
                    prefix_len: Some(self.job.prefix_len),
                    ..Answer::of(from.ip.into(), Method::Arp)
                };
                self.news.push(answer.found());
                self.hosts.push(answer);
                self.follow.host();
            }
            schedule::Answer::Again => {
                let host = self.at[target as usize];
                if let Some(answer) = self.hosts.get_mut(host as usize)
                    && answer.mac != Some(from.mac)
                    && !answer.rivals.contains(&from.mac)
                {
                    answer.rivals.push(from.mac);
                }
            }
        }
    }

    fn hear_segment(&mut self, segment: &Segment) {
        let port = segment.from_port;
        let sequence = self.door.sequence(segment.from.ip, port).wrapping_add(1);
        if segment.acknowledgement != sequence || segment.to_port != self.door.port() {
            return;
        }
        let Some(host) = self.host(segment.from.ip) else { return };
        let Some(which) = self.shared.ports.iter().position(|asked| *asked == port) else { return };
        let first = self.follow.settle(host, which);
        if segment.says == Says::Open {
            let to = segment.from;
            self.follow.reset(&v4::reset(self.job.own, self.door.port(), to, port, sequence));
            if first && let Some(answer) = self.hosts.get_mut(host as usize) {
                answer.open.push(port);
            }
        }
    }

    /// Asks those that answer for many addresses for one that nobody has.
    fn unmask(&mut self) -> io::Result<Option<Stop>> {
        self.suspects = self.holders();
        let suspects: Vec<MacAddr> = self.suspects.iter().map(|(mac, _)| *mac).collect();
        if suspects.is_empty() {
            return Ok(None);
        }
        for _ in 0..2 {
            for mac in &suspects {
                if self.door.wire.is_full() {
                    self.send()?;
                }
                self.door.wire.push(self.question.ask(NOWHERE, Some(*mac)));
                self.extra += 1;
            }
            self.send()?;
            let end = self.now() + self.patience();
            while self.now() < end {
                if let Some(stop) = self.shared.stop() {
                    return Ok(Some(stop));
                }
                let left = Duration::from_nanos(end.saturating_sub(self.now()));
                wait(&[self.door.wire.as_fd()], self.shared.at_most(left))?;
                self.receive()?;
                if suspects.iter().all(|mac| self.proxies.contains(mac)) {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// MAC addresses that answer for many addresses. Those that routers share are meant to.
    fn holders(&self) -> Vec<(MacAddr, usize)> {
        let mut macs: Vec<MacAddr> = self
            .hosts
            .iter()
            .flat_map(|host| host.mac.iter().chain(&host.rivals))
            .copied()
            .collect();
        macs.sort_unstable();
        let groups = macs.chunk_by(|a, b| a == b);
        groups
            .filter(|group| group.len() >= MANY && group[0].kind() != MacKind::VirtualRouter)
            .map(|group| (group[0], group.len()))
            .collect()
    }

    /// The answers in their final form.
    fn conclude(mut self, report: &mut LinkReport) -> Vec<Answer> {
        let many = self.suspects.iter().filter(|(_, held)| *held >= TOO_MANY).map(|(mac, _)| *mac);
        let proxies: BTreeSet<MacAddr> = many.chain(self.proxies.iter().copied()).collect();
        for answer in &mut self.hosts {
            answer.open.sort_unstable();
            // The owner of an address is believed before a proxy that answers for it, too.
            let is_proxy = |mac: &MacAddr| proxies.contains(mac);
            if answer.mac.as_ref().is_some_and(is_proxy)
                && let Some(owner) = answer.rivals.iter().position(|mac| !is_proxy(mac))
            {
                answer.mac = Some(answer.rivals.swap_remove(owner));
            }
            answer.rivals.retain(|mac| !is_proxy(mac));
            answer.rank();
            answer.proxied = answer.mac.as_ref().is_some_and(is_proxy);
        }
        report.proxies.extend(proxies);
        arrange(&mut self.hosts, &self.at);
        self.hosts
    }
}

/// Puts hosts in the order of their addresses. There may be very many: each moves but once,
/// where sorting would move it many times.
fn arrange(hosts: &mut [Answer], at: &[u32]) {
    let mut order: Vec<u32> = at.iter().copied().filter(|host| *host != NOBODY).collect();
    for place in 0..order.len() {
        let mut from = order[place];
        // Whoever stood in a place that is filled was moved to where its host came from.
        while (from as usize) < place {
            from = order[from as usize];
        }
        order[place] = from;
        hosts.swap(place, from as usize);
    }
}

/// When to come again.
enum Until {
    Now,
    Time(Nanos),
    Done,
}

fn station(answer: &Answer) -> Option<Station<Ipv4Addr>> {
    match (answer.ip, answer.mac) {
        (std::net::IpAddr::V4(ip), Some(mac)) => Some(Station { mac, ip }),
        _ => None,
    }
}
