//! Asking by ICMP echo as the kernel sends it: through routers and tunnels, and to the
//! machine itself. Not for hosts on a link, which would fill the kernel's neighbour table.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{Answer, Found, Method};
use super::engine::{Gauge, Shared, Stop};
use super::schedule::{self, Nanos, Policy, Schedule, Step};
use super::targets::Targets;
use crate::net::frame::v4;
use crate::net::socket::{Check, Clock, Filter, Inbox, Load, Outbox, attach, stamp_arrivals, wait};

/// Addresses to ask.
#[derive(Debug, Clone)]
pub(super) struct EchoJob {
    /// What a person calls it.
    pub(super) name: String,
    pub(super) targets: Targets,
    pub(super) known: BTreeSet<Ipv4Addr>,
    pub(super) policy: Policy,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct EchoReport {
    pub(super) answers: Vec<Answer>,
    pub(super) packets: u64,
    /// Addresses to which the kernel would not send, and why not, the last time.
    pub(super) refused: Option<(u64, String)>,
    pub(super) stop: Option<Stop>,
}

/// Addresses are asked in parts of so many, so that memory has a bound.
const PART: u32 = 1 << 16;
/// So many refusals in a row mean that there is no way there.
const HOPELESS: u64 = 64;

impl EchoJob {
    /// Asks them all. The report holds what was found even where it was stopped.
    ///
    /// # Errors
    /// When no socket for echo requests may be had.
    pub(super) fn run(&self, shared: &Shared) -> io::Result<EchoReport> {
        let pinger = Pinger::open()?;
        let mut report = EchoReport::default();
        let mut gauge =
            Gauge::begin(shared, format!("ping {}", self.name), self.targets.len().into());
        for part in &self.targets.chunks(PART) {
            let mut schedule = Schedule::new(part.len(), &self.policy, u32::from(pinger.id));
            schedule.expect(self.known.iter().filter_map(|ip| part.number(*ip)).collect());
            let mut round = Round {
                pinger: &pinger,
                shared,
                targets: part,
                schedule,
                report: &mut report,
                failures: 0,
            };
            let stop = round.run(&mut gauge).unwrap_or_else(|error| {
                Some(Stop::Failed(format!("echo requests cannot be sent any further: {error}")))
            });
            let sent = round.schedule.summary().sent;
            report.packets += sent;
            report.stop = stop;
            gauge.completed(part.len().into());
            if report.stop.is_some() {
                break;
            }
        }
        Ok(report)
    }
}

/// A socket for echo requests.
pub(super) struct Pinger {
    socket: Socket,
    /// Whether the kernel hands over whole packets.
    raw: bool,
    id: u16,
}

impl Pinger {
    /// A ping socket where the kernel lets us have one, else a raw one.
    ///
    /// # Errors
    /// `PermissionDenied` where neither may be had.
    pub(super) fn open() -> io::Result<Self> {
        let id = RandomState::new().hash_one(0) as u16 | 1;
        let (socket, raw) = match Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)) {
            Ok(socket) => (socket, false),
            Err(_) => {
                let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
                attach(&socket, &replies(id))?;
                (socket, true)
            }
        };
        socket.set_nonblocking(true)?;
        stamp_arrivals(&socket)?;
        // The kernel gives what it may.
        let _ = socket.set_recv_buffer_size(4 << 20);
        Ok(Pinger { socket, raw, id })
    }

    /// An echo request that carries this count.
    pub(super) fn request(&self, count: u16) -> impl AsRef<[u8]> + use<> {
        v4::echo_message(self.id, count)
    }

    /// The count that a reply carries. The kernel itself tells replies of a ping socket from
    /// those of others.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<u16> {
        if !self.raw {
            return v4::read_echo(bytes).map(|(_, count)| count);
        }
        let header = usize::from(bytes.first()? & 0x0f) * 4;
        let (id, count) = v4::read_echo(bytes.get(header..)?)?;
        (id == self.id).then_some(count)
    }
}

impl AsFd for Pinger {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Echo replies with this number.
fn replies(id: u16) -> Filter {
    Filter::any_of(&[&[
        Check::is(Load::ByteAfterIpv4(0, 0), 0),
        Check::is(Load::HalfAfterIpv4(0, 4), id.into()),
    ]])
}

/// What a person can do about an address that the kernel does not send to.
fn no_way(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "no route leads there; add one, switch its interface on, or sweep another subnet"
                .to_owned()
        }
        io::ErrorKind::NetworkDown => "the interface that leads there is down".to_owned(),
        io::ErrorKind::PermissionDenied => {
            format!("this machine does not let echo requests out: {error}; look at its firewall")
        }
        _ => format!("the kernel does not send there: {error}"),
    }
}

struct Round<'a> {
    pinger: &'a Pinger,
    shared: &'a Shared,
    targets: &'a Targets,
    schedule: Schedule,
    report: &'a mut EchoReport,
    /// Refusals in a row.
    failures: u64,
}

/// Canaries carry counts that no question has.
const CANARY: u16 = 0x8000;

impl Round<'_> {
    fn run(&mut self, gauge: &mut Gauge) -> io::Result<Option<Stop>> {
        let clock = Clock::start();
        let now = || Nanos::try_from(clock.now().as_nanos()).unwrap_or(Nanos::MAX);
        let (mut outbox, mut inbox) = (Outbox::default(), Inbox::default());
        loop {
            if let Some(stop) = self.shared.stop() {
                return Ok(Some(stop));
            }
            let mut until = None;
            while !outbox.is_full() {
                let (target, count) = match self.schedule.next(now()) {
                    Step::Ask(target, count) => (target, u16::from(count)),
                    Step::AskKnown(target) => (target, 0),
                    Step::Canary(target) => (target, CANARY),
                    Step::Wait(time) => {
                        until = Some(time);
                        break;
                    }
                    Step::Done if outbox.is_empty() => return Ok(None),
                    Step::Done => break,
                };
                let Some(ip) = self.targets.get(target) else { continue };
                outbox.push(self.pinger.request(count).as_ref(), Some(SocketAddr::from((ip, 0))));
            }
            if let Some(stop) = self.send(&mut outbox)? {
                return Ok(Some(stop));
            }
            self.receive(&mut inbox, &clock)?;
            gauge.reach(self.schedule.progress());
            if let Some(time) = until {
                let left = Duration::from_nanos(time.saturating_sub(now()));
                wait(&[self.pinger.as_fd()], self.shared.at_most(left))?;
                self.receive(&mut inbox, &clock)?;
            }
        }
    }

    /// Sends what waits. A destination that the kernel refuses is passed over.
    fn send(&mut self, outbox: &mut Outbox) -> io::Result<Option<Stop>> {
        while !outbox.is_empty() {
            match outbox.send(self.pinger) {
                Ok(0) => {
                    wait(&[], Duration::from_millis(1))?;
                    if let Some(stop) = self.shared.stop() {
                        return Ok(Some(stop));
                    }
                }
                Ok(_) => self.failures = 0,
                Err(error) => {
                    outbox.skip();
                    self.failures += 1;
                    let before = self.report.refused.as_ref().map_or(0, |(count, _)| *count);
                    self.report.refused = Some((before + 1, no_way(&error)));
                    if self.failures >= HOPELESS.min(self.targets.len().into()) {
                        return Ok(Some(Stop::Failed(no_way(&error))));
                    }
                }
            }
        }
        Ok(None)
    }

    fn receive(&mut self, inbox: &mut Inbox, clock: &Clock) -> io::Result<()> {
        let mut found: Vec<Found> = Vec::new();
        loop {
            match inbox.receive(self.pinger) {
                Ok(0) => break,
                Ok(_) => {}
                // Word of a router that a packet of ours did not arrive; nothing is lost by it.
                Err(error) if error.raw_os_error() != Some(libc::EBADF) => break,
                Err(error) => return Err(error),
            }
            let offset = clock.offset();
            let now = Nanos::try_from(clock.now().as_nanos()).unwrap_or(Nanos::MAX);
            for message in inbox.messages() {
                let at = message.at.map(|at| at.as_nanos() as i128 + offset);
                let at = at.and_then(|at| Nanos::try_from(at).ok()).map_or(now, |at| at.min(now));
                let (Some(count), Some(IpAddr::V4(ip))) =
                    (self.pinger.read(message.bytes), message.from.map(|from| from.ip()))
                else {
                    continue;
                };
                let Some(target) = self.targets.number(ip) else { continue };
                let asked = u8::try_from(count).ok().filter(|count| *count > 0);
                if let schedule::Answer::First(rtt) = self.schedule.heard(target, asked, at) {
                    let answer = Answer { rtt, ..Answer::of(ip.into(), Method::Icmp) };
                    found.push(answer.found());
                    self.report.answers.push(answer);
                }
            }
        }
        self.shared.tell(found);
        Ok(())
    }
}
