//! Looking for the hosts of IPv6 on a link.
//!
//! A subnet of IPv6 cannot be asked address by address. All nodes are asked at once, from
//! each address of our own, for hosts answer with the address that suits it; those that do
//! not answer an echo must object to a packet that cannot be understood. What the kernel
//! and earlier runs know is asked for one by one. No MLD query is sent: an address lower
//! than the querier's would make it fall silent.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipnet::Ipv6Net;

use super::answer::{Answer, Method};
use super::engine::{Shared, Stop};
use super::schedule::Rate;
use crate::domain::mac::MacAddr;
use crate::net::frame::{self, Heard, Station, v6};
use crate::net::neighbor::{self, Standing};
use crate::net::socket::{Check, Clock, Filter, Inbox, LinkSocket, Listen, Load, Outbox, wait};

/// A link to look at.
#[derive(Debug, Clone)]
pub(super) struct SixJob {
    pub(super) interface: u32,
    pub(super) name: String,
    pub(super) mac: MacAddr,
    /// Our own addresses there with the lengths of their prefixes.
    pub(super) own: Vec<Ipv6Net>,
    /// Whose hosts are wanted.
    pub(super) nets: Vec<Ipv6Net>,
    /// Addresses that answered in earlier runs.
    pub(super) known: BTreeSet<Ipv6Addr>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct SixReport {
    pub(super) answers: Vec<Answer>,
    pub(super) packets: u64,
    pub(super) stop: Option<Stop>,
}

/// When all nodes are asked, and how long to listen after the last time.
const ROUNDS: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(60), Duration::from_millis(250)];
const LISTEN: Duration = Duration::from_millis(350);
/// The same where there shall be no waiting.
const HASTY: [Duration; 2] = [Duration::ZERO, Duration::from_millis(15)];
const HASTY_LISTEN: Duration = Duration::from_millis(30);
/// More addresses are not asked for one by one.
const MOST: usize = 4096;

impl SixJob {
    /// Looks for hosts. The report holds what was found even where it was stopped.
    ///
    /// # Errors
    /// When the link cannot be listened to, such as without `CAP_NET_RAW`.
    pub(super) fn run(&self, shared: &Shared) -> io::Result<SixReport> {
        let id = RandomState::new().hash_one(self.interface) as u16 | 1;
        let socket = LinkSocket::open(self.interface, Listen::All, &filter())?;
        let mut look = Look {
            job: self,
            id,
            found: BTreeMap::new(),
            begun: Instant::now(),
            clock: Clock::start(),
            asked: Vec::new(),
        };
        let mut outbox = Outbox::default();
        let mut report = SixReport::default();
        let (rounds, listen) = match shared.policy.rate {
            Rate::Max => (&HASTY[..], HASTY_LISTEN),
            Rate::Adaptive | Rate::AtMost(_) => (&ROUNDS[..], LISTEN),
        };
        for (round, at) in rounds.iter().enumerate() {
            report.stop = look.listen(&socket, *at, shared)?;
            if report.stop.is_some() {
                break;
            }
            look.ask(round, &mut outbox);
            look.solicit(&mut outbox);
            report.packets += outbox.len() as u64;
            look.asked.push(look.clock.now());
            if let Err(error) = send(&socket, &mut outbox) {
                report.stop = Some(Stop::Failed(format!("{} cannot be asked: {error}", self.name)));
                break;
            }
        }
        if report.stop.is_none() {
            let end = look.begun.elapsed() + listen;
            report.stop = look.listen(&socket, end, shared)?;
        }
        report.answers = look.found.into_values().collect();
        Ok(report)
    }

    /// What the kernel knows of the link, for those who may not ask.
    pub(super) fn known_to_kernel(&self) -> io::Result<SixReport> {
        let answers = neighbor::table()?.into_iter().filter_map(|entry| {
            let IpAddr::V6(ip) = entry.ip else { return None };
            let here = entry.interface == self.interface && entry.standing == Standing::Present;
            (here && self.wants(ip)).then(|| Answer {
                mac: entry.mac,
                prefix_len: self.prefix_of(ip),
                ..Answer::of(ip.into(), Method::Neighbor)
            })
        });
        Ok(SixReport { answers: answers.collect(), ..SixReport::default() })
    }

    fn wants(&self, ip: Ipv6Addr) -> bool {
        self.nets.iter().any(|net| net.contains(&ip))
            && !self.own.iter().any(|own| own.addr() == ip)
    }

    /// The length of the prefix of the subnet that the address lies in.
    fn prefix_of(&self, ip: Ipv6Addr) -> Option<u8> {
        self.own.iter().filter(|own| own.contains(&ip)).map(Ipv6Net::prefix_len).max()
    }
}

/// Replies to echo requests, advertisements of neighbours, and objections.
fn filter() -> Filter {
    let of_type = |kind| {
        [
            Check::is(Load::VlanTag, 0),
            Check::is(Load::Half(12), 0x86dd),
            Check::is(Load::Byte(20), 58),
            Check::is(Load::Byte(54), kind),
        ]
    };
    Filter::any_of(&[&of_type(129), &of_type(136), &of_type(4)])
}

struct Look<'a> {
    job: &'a SixJob,
    id: u16,
    found: BTreeMap<Ipv6Addr, Answer>,
    begun: Instant,
    clock: Clock,
    /// When each round was asked.
    asked: Vec<Duration>,
}

impl Look<'_> {
    /// Asks all nodes, from each of our addresses.
    fn ask(&self, round: usize, outbox: &mut Outbox) {
        let all = Station { mac: v6::multicast_mac(v6::ALL_NODES), ip: v6::ALL_NODES };
        let sequence = u16::try_from(round).unwrap_or(0);
        for own in &self.job.own {
            let own = Station { mac: self.job.mac, ip: own.addr() };
            outbox.push(&v6::echo(own, all, self.id, sequence), None);
            outbox.push(&v6::objectionable(own, all, self.id, sequence), None);
        }
    }

    /// Asks for those who are known from elsewhere and have not answered.
    fn solicit(&self, outbox: &mut Outbox) {
        let table = neighbor::table().unwrap_or_default();
        let heard_of = table.iter().filter(|entry| {
            entry.interface == self.job.interface && entry.standing != Standing::Silent
        });
        let heard_of = heard_of.filter_map(|entry| match entry.ip {
            IpAddr::V6(ip) => Some(ip),
            IpAddr::V4(_) => None,
        });
        let known: BTreeSet<Ipv6Addr> = self.job.known.iter().copied().chain(heard_of).collect();
        for ip in known
            .into_iter()
            .filter(|ip| self.job.wants(*ip) && !self.found.contains_key(ip))
            .take(MOST)
        {
            let same_scope =
                |own: &&Ipv6Net| own.addr().is_unicast_link_local() == ip.is_unicast_link_local();
            if let Some(own) = self.job.own.iter().find(same_scope).or(self.job.own.first()) {
                outbox.push(
                    &v6::solicitation(Station { mac: self.job.mac, ip: own.addr() }, ip),
                    None,
                );
            }
        }
    }

    /// Listens until so long after the beginning.
    fn listen(
        &mut self,
        socket: &LinkSocket,
        until: Duration,
        shared: &Shared,
    ) -> io::Result<Option<Stop>> {
        let mut inbox = Inbox::default();
        loop {
            let left = until.saturating_sub(self.begun.elapsed());
            if let Some(stop) = shared.stop() {
                return Ok(Some(stop));
            }
            let mut news = Vec::new();
            loop {
                match inbox.receive(socket) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        let reason =
                            format!("{} cannot be listened to any further: {error}", self.job.name);
                        return Ok(Some(Stop::Failed(reason)));
                    }
                }
                let offset = self.clock.offset();
                for message in inbox.messages() {
                    let at = message.at.map(|at| at.as_nanos() as i128 + offset);
                    let at = at.and_then(|at| u64::try_from(at).ok()).map(Duration::from_nanos);
                    if let Some(heard) = frame::read(message.bytes) {
                        news.extend(self.hear(heard, at));
                    }
                }
            }
            shared.tell(news);
            if left.is_zero() {
                return Ok(None);
            }
            wait(&[socket.as_fd()], shared.at_most(left))?;
        }
    }

    fn hear(&mut self, heard: Heard, at: Option<Duration>) -> Option<super::answer::Found> {
        let (from, round) = match heard {
            Heard::Echo { from, id, sequence } if id == self.id => (from, Some(sequence)),
            Heard::Neighbor { from } => (from, None),
            _ => return None,
        };
        let IpAddr::V6(ip) = from.ip else { return None };
        if !self.job.wants(ip) || from.mac == self.job.mac || self.found.contains_key(&ip) {
            return None;
        }
        let asked = round.and_then(|round| self.asked.get(usize::from(round)));
        let rtt = asked.zip(at).map(|(asked, at)| at.saturating_sub(*asked));
        let answer = Answer {
            mac: Some(from.mac),
            rtt,
            prefix_len: self.job.prefix_of(ip),
            ..Answer::of(ip.into(), Method::Ndp)
        };
        let found = answer.found();
        self.found.insert(ip, answer);
        Some(found)
    }
}

fn send(socket: &LinkSocket, outbox: &mut Outbox) -> io::Result<()> {
    while !outbox.is_empty() {
        if outbox.send(socket)? == 0 {
            wait(&[], Duration::from_millis(1))?;
        }
    }
    Ok(())
}
