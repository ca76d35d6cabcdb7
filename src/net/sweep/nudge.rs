//! Asking a link without any privilege: something is sent to each address by way of the
//! kernel, which must ask for the neighbour then, and the kernel's news of its neighbours
//! tell who answered. What answers at a higher layer (an echo, a closed port) counts too.
//!
//! The kernel's neighbour table is one for the whole machine, and small: no more than a
//! few addresses are asked at once, and the next ones when those have been given up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::answer::{Answer, Found, Method};
use super::echo::Pinger;
use super::engine::{Gauge, Shared, Stop};
use super::link::TOO_MANY;
use super::schedule::Pace;
use super::targets::Targets;
use crate::domain::mac::{MacAddr, MacKind};
use crate::net::interface;
use crate::net::neighbor::{self, Neighbor, Standing, Watch};
use crate::net::socket::{Inbox, Outbox, wait};

/// A link to sweep by way of the kernel.
#[derive(Debug, Clone)]
pub(super) struct NudgeJob {
    pub(super) interface: u32,
    pub(super) name: String,
    /// The machine's own address there.
    pub(super) own: Ipv4Addr,
    pub(super) prefix_len: u8,
    pub(super) targets: Targets,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct NudgeReport {
    pub(super) answers: Vec<Answer>,
    pub(super) packets: u64,
    /// Whether echo requests were sent, or else empty datagrams.
    pub(super) echo: bool,
    /// Addresses of which the kernel knew from before and that did not show again.
    pub(super) unsure: u64,
    /// MAC addresses that answer for so many others that they must be proxies.
    pub(super) proxies: BTreeSet<MacAddr>,
    pub(super) stop: Option<Stop>,
}

/// Addresses that are asked at once: half of what a kernel keeps without sweeping.
const AT_ONCE: u32 = 256;
/// The port that discards what it is sent; hardly anybody listens there.
const DISCARD: u16 = 9;
/// The kernel asks again after a second: what answers the second question is found.
const ENOUGH: Duration = Duration::from_millis(1250);
/// After three questions, a second apart, the kernel gives up, and there is room again.
const GIVEN_UP: Duration = Duration::from_millis(3300);
/// How long the kernel takes to ask a neighbour again that it knew from before.
const PROBED: Duration = Duration::from_millis(7500);
/// How often datagrams are looked after.
const LOOK: Duration = Duration::from_millis(5);

impl NudgeJob {
    /// Sweeps the link. The report holds what was found even where it was stopped.
    pub(super) fn run(&self, shared: &Shared) -> NudgeReport {
        let pinger = Pinger::open().ok();
        let mut report = NudgeReport { echo: pinger.is_some(), ..NudgeReport::default() };
        let mut gauge =
            Gauge::begin(shared, format!("sweep {}", self.name), self.targets.len().into());
        let parts = self.targets.chunks(AT_ONCE);
        let mut pace = Pace::new(shared.policy.rate);
        let begun = Instant::now();
        for (number, part) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            let mut batch = Batch {
                job: self,
                shared,
                pinger: pinger.as_ref(),
                states: BTreeMap::new(),
                waiting: part.iter().collect(),
                datagrams: Vec::new(),
                begun,
                last: begun,
            };
            let stop = batch.run(&mut pace, is_last, &mut report);
            report.stop = stop.unwrap_or_else(|error| {
                let reason = format!("{} cannot be swept any further: {error}", self.name);
                Some(Stop::Failed(reason))
            });
            gauge.completed(part.len().into());
            if report.stop.is_some() {
                break;
            }
        }
        report.unmask();
        report
    }
}

impl NudgeReport {
    /// Tells proxies by the number of addresses that they answer for: nothing can be asked
    /// of one alone.
    fn unmask(&mut self) {
        let mut held: BTreeMap<MacAddr, usize> = BTreeMap::new();
        for mac in self.answers.iter().filter_map(|answer| answer.mac) {
            *held.entry(mac).or_default() += 1;
        }
        held.retain(|mac, count| *count >= TOO_MANY && mac.kind() != MacKind::VirtualRouter);
        for answer in &mut self.answers {
            answer.proxied = answer.mac.is_some_and(|mac| held.contains_key(&mac));
        }
        self.proxies = held.into_keys().collect();
    }
}

/// What is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    Silent {
        /// The MAC address that the kernel knew from before, where it did.
        before: Option<MacAddr>,
        /// When it was asked.
        asked: Option<Instant>,
    },
    /// It answered.
    Here,
    /// The kernel has given up.
    Gone,
}

/// Addresses that are asked at once.
struct Batch<'a> {
    job: &'a NudgeJob,
    shared: &'a Shared,
    pinger: Option<&'a Pinger>,
    states: BTreeMap<Ipv4Addr, State>,
    /// Those that were not asked yet.
    waiting: VecDeque<Ipv4Addr>,
    /// Datagrams go by sockets of their own, so that each hears whether it was refused.
    datagrams: Vec<(Ipv4Addr, UdpSocket)>,
    /// When the sweep began: the time that its pace counts from.
    begun: Instant,
    /// When somebody was asked last.
    last: Instant,
}

impl Batch<'_> {
    fn run(
        &mut self,
        pace: &mut Pace,
        is_last: bool,
        report: &mut NudgeReport,
    ) -> io::Result<Option<Stop>> {
        let mut watch = Watch::start()?;
        let mut changes = interface::Watch::start(self.job.interface, self.job.own.into())?;
        self.remember(&neighbor::table()?);
        let mut inbox = Inbox::default();
        loop {
            if let Some(stop) = self.shared.stop() {
                return Ok(Some(stop));
            }
            if let Some(reason) = changes.lost()? {
                return Ok(Some(Stop::Failed(reason)));
            }
            report.packets += self.ask(pace)?;
            let mut found = self.news(&mut watch)?;
            found.extend(self.refusals());
            found.extend(self.echoes(&mut inbox));
            self.keep(found, report);
            if self.is_over(is_last) {
                break;
            }
            let sockets = [Some(watch.as_fd()), self.pinger.map(AsFd::as_fd)];
            let sockets: Vec<_> = sockets.into_iter().flatten().collect();
            wait(&sockets, LOOK)?;
        }
        let unsure = |state: &&State| matches!(state, State::Silent { before: Some(_), .. });
        report.unsure += self.states.values().filter(unsure).count() as u64;
        Ok(None)
    }

    /// Notes what the kernel knows already: such a neighbour is not asked for anew at once.
    fn remember(&mut self, table: &[Neighbor]) {
        let nothing = State::Silent { before: None, asked: None };
        self.states = self.waiting.iter().map(|ip| (*ip, nothing)).collect();
        for neighbor in table.iter().filter(|neighbor| neighbor.interface == self.job.interface) {
            if let IpAddr::V4(ip) = neighbor.ip
                && matches!(neighbor.standing, Standing::Present | Standing::Stale)
                && let Some(state) = self.states.get_mut(&ip)
            {
                *state = State::Silent { before: neighbor.mac, asked: None };
            }
        }
    }

    /// Sends something to the next addresses, as many as the pace allows; gives back how
    /// many those were.
    fn ask(&mut self, pace: &mut Pace) -> io::Result<u64> {
        let mut count = 0;
        while !self.waiting.is_empty()
            && pace.grant(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
        {
            let Some(ip) = self.waiting.pop_front() else { break };
            self.last = Instant::now();
            if let Some(State::Silent { asked, .. }) = self.states.get_mut(&ip) {
                *asked = Some(self.last);
            }
            self.nudge(ip)?;
            count += 1;
        }
        Ok(count)
    }

    /// What cannot be sent to an address is not answered either.
    fn nudge(&mut self, ip: Ipv4Addr) -> io::Result<()> {
        let Some(pinger) = self.pinger else {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.set_nonblocking(true)?;
            if socket.connect((ip, DISCARD)).and_then(|()| socket.send(&[])).is_ok() {
                self.datagrams.push((ip, socket));
            }
            return Ok(());
        };
        let mut outbox = Outbox::default();
        outbox.push(pinger.request(1).as_ref(), Some(SocketAddr::from((ip, 0))));
        while !outbox.is_empty() && self.shared.stop().is_none() {
            match outbox.send(pinger) {
                Ok(0) => {
                    wait(&[], Duration::from_millis(1))?;
                }
                Ok(_) => {}
                Err(_) => outbox.skip(),
            }
        }
        Ok(())
    }

    /// Who has answered the kernel.
    fn news(&mut self, watch: &mut Watch) -> io::Result<Vec<(Ipv4Addr, Option<MacAddr>)>> {
        let news = match watch.news() {
            Ok(news) => news,
            // Too much at once: the table knows.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => neighbor::table()?,
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for neighbor in news.iter().filter(|neighbor| neighbor.interface == self.job.interface) {
            let IpAddr::V4(ip) = neighbor.ip else { continue };
            match (self.states.get_mut(&ip), neighbor.standing) {
                (Some(State::Silent { .. }), Standing::Present) => found.push((ip, neighbor.mac)),
                (Some(state @ State::Silent { .. }), Standing::Silent) => *state = State::Gone,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Who has refused a datagram: it takes a host to do that.
    fn refusals(&self) -> Vec<(Ipv4Addr, Option<MacAddr>)> {
        let mut room = [0; 1];
        self.datagrams
            .iter()
            .filter(|(ip, _)| matches!(self.states.get(ip), Some(State::Silent { .. })))
            .filter(|(_, socket)| match socket.recv(&mut room) {
                Ok(_) => true,
                Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            })
            .map(|(ip, _)| (*ip, None))
            .collect()
    }

    fn echoes(&self, inbox: &mut Inbox) -> Vec<(Ipv4Addr, Option<MacAddr>)> {
        let mut found = Vec::new();
        let Some(pinger) = self.pinger else { return found };
        while inbox.receive(pinger).is_ok_and(|count| count > 0) {
            for message in inbox.messages() {
                if let Some(IpAddr::V4(ip)) = message.from.map(|from| from.ip())
                    && pinger.read(message.bytes).is_some()
                {
                    found.push((ip, None));
                }
            }
        }
        found
    }

    fn keep(&mut self, found: Vec<(Ipv4Addr, Option<MacAddr>)>, report: &mut NudgeReport) {
        let mut news: Vec<Found> = Vec::new();
        // A host that answers without having been asked for was known to the kernel.
        let mut table: Option<Vec<Neighbor>> = None;
        for (ip, mac) in found {
            let Some(State::Silent { before, asked }) = self.states.insert(ip, State::Here) else {
                continue;
            };
            let mac = mac.or(before).or_else(|| {
                let table = table.get_or_insert_with(|| neighbor::table().unwrap_or_default());
                table
                    .iter()
                    .find(|entry| {
                        entry.ip == IpAddr::V4(ip) && entry.interface == self.job.interface
                    })?
                    .mac
            });
            let answer = Answer {
                mac,
                // Within a second it is the first question that was answered.
                rtt: asked
                    .map(|asked| asked.elapsed())
                    .filter(|took| *took < Duration::from_millis(900)),
                prefix_len: Some(self.job.prefix_len),
                ..Answer::of(ip.into(), Method::Neighbor)
            };
            news.push(answer.found());
            report.answers.push(answer);
        }
        self.shared.tell(news);
    }

    /// Whether there is nothing to wait for any more.
    fn is_over(&self, is_last: bool) -> bool {
        if !self.waiting.is_empty() {
            return false;
        }
        let waited = self.last.elapsed();
        let mut silent = false;
        for state in self.states.values() {
            match state {
                State::Silent { before: Some(_), .. } if waited < PROBED => return false,
                State::Silent { .. } => silent = true,
                State::Here | State::Gone => {}
            }
        }
        !silent || waited >= if is_last { ENOUGH } else { GIVEN_UP }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(holders: &[(&str, usize)]) -> NudgeReport {
        let mut report = NudgeReport::default();
        for (mac, count) in holders {
            for _ in 0..*count {
                let last = u8::try_from(report.answers.len()).unwrap();
                let mut answer = Answer::of([192, 0, 2, last].into(), Method::Neighbor);
                answer.mac = mac.parse().ok();
                report.answers.push(answer);
            }
        }
        report.unmask();
        report
    }

    #[test]
    fn who_answers_for_very_many_is_a_proxy_unless_routers_share_the_address() {
        let report = report(&[
            ("00:00:0c:00:00:01", TOO_MANY),
            ("00:00:5e:00:01:01", TOO_MANY),
            ("00:1b:21:00:00:01", TOO_MANY - 1),
        ]);
        assert_eq!(report.proxies, ["00:00:0c:00:00:01".parse().unwrap()].into());
        let proxied = report.answers.iter().filter(|answer| answer.proxied).count();
        assert_eq!(proxied, TOO_MANY);
    }
}
