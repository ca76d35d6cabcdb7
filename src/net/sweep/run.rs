//! One sweep from its request to its report: divides the work, sets the engines to it,
//! looks for names meanwhile, and puts together what they bring.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Found, Method, NameSource, Named, Report, Swept};
use super::connect;
use super::echo::{EchoJob, EchoReport};
use super::engine::{News, Shared, Stop};
use super::link::{LinkJob, LinkReport};
use super::nudge::{NudgeJob, NudgeReport};
use super::plan::{Part, Plan, Way};
use super::request::{Request, SweepError};
use super::schedule::{Policy, Rate};
use super::six::{SixJob, SixReport};
use super::targets::Targets;
use crate::domain::diagnostic::Diagnostic;
use crate::domain::mac::MacAddr;
use crate::net::frame::Station;
use crate::net::interface::{self, Topology};
use crate::net::names::{Finder, Naming};
use crate::progress::Progress;

/// How long an answer may take while nobody has answered yet.
const UNKNOWN: Duration = Duration::from_millis(100);
/// The same beyond a router.
const UNKNOWN_FAR: Duration = Duration::from_millis(500);
/// Why silence proves nothing where a proxy answers.
const PROXIED: &str = "a proxy answers for others, be they there or not";
/// Connections a second where nothing else is told.
const CONNECTIONS: u32 = 500;

/// Sweeps. What was found until it was cancelled, or until something failed, is in the
/// report all the same.
///
/// # Errors
/// When the request is refused, or nothing can be begun.
pub async fn run(
    request: Request,
    cancel: &CancellationToken,
    progress: Arc<dyn Progress>,
) -> Result<Report, SweepError> {
    request.check()?;
    let topology = Topology::read()?;
    let plan = Plan::of(&request.subnets, &request.exclude, &topology, is_direct);
    // Engines work in threads: they end when this future is dropped, too.
    let cancel = cancel.child_token();
    let _guard = cancel.clone().drop_guard();
    let (news, hear) = unbounded_channel();
    let shared = Shared {
        policy: Policy { rate: request.rate, linger: request.linger, unknown: UNKNOWN },
        ports: request.ports.clone(),
        ping: request.ping,
        deadline: request.deadline,
        cancel,
        progress,
        news,
    };
    let mut sweep = Sweep::new(request, plan, topology, shared);
    let finder = sweep.find_names();
    let listen = listen(hear, finder, sweep.request.stream.clone());
    let work = async {
        sweep.work().await;
        sweep.shut();
        sweep
    };
    let (sweep, finder) = tokio::join!(work, listen);
    Ok(sweep.conclude(finder).await)
}

/// Whether the kernel would send to an address without a router.
fn is_direct(ip: Ipv4Addr) -> bool {
    interface::path_to(ip.into()).is_ok_and(|path| path.gateway.is_none())
}

/// Passes on what the engines find.
async fn listen(
    mut hear: UnboundedReceiver<News>,
    finder: Option<Finder>,
    stream: Option<UnboundedSender<Found>>,
) -> Option<Finder> {
    while let Some(news) = hear.recv().await {
        match (news, &finder) {
            (News::Found(found), _) => {
                for found in found {
                    if let Some(finder) = &finder {
                        finder.add(found.ip);
                    }
                    if let Some(stream) = &stream {
                        let _ = stream.send(found);
                    }
                }
            }
            (News::Beside(ip), Some(finder)) => finder.alive(ip),
            (News::Beside(_), None) => {}
        }
    }
    finder
}

/// What one engine brings home.
enum Outcome {
    Link(LinkJob, io::Result<LinkReport>),
    Nudge(NudgeJob, NudgeReport),
    Echo(EchoJob, Way, io::Result<EchoReport>),
    Six(SixJob, io::Result<SixReport>),
}

struct Sweep {
    request: Request,
    plan: Plan,
    topology: Topology,
    shared: Option<Shared>,
    cancel: CancellationToken,
    /// Neighbours to ask for because resolvers are behind them.
    beside: BTreeMap<u32, BTreeSet<Ipv4Addr>>,
    /// Whether frames of our own may be sent.
    privileged: bool,
    report: Report,
}

impl Sweep {
    fn new(request: Request, plan: Plan, topology: Topology, shared: Shared) -> Self {
        let privileged = !request.unprivileged;
        Sweep {
            request,
            plan,
            topology,
            cancel: shared.cancel.clone(),
            shared: Some(shared),
            beside: BTreeMap::new(),
            privileged,
            report: Report::default(),
        }
    }

    fn shared(&self) -> Option<Shared> {
        self.shared.clone()
    }

    /// Nothing more will be found: whoever listens hears the end.
    fn shut(&mut self) {
        self.shared = None;
    }

    /// Begins to look for names, if any are wanted.
    fn find_names(&mut self) -> Option<Finder> {
        let names = self.request.names.as_ref()?;
        let links: BTreeMap<u32, Ipv4Addr> =
            self.links().into_iter().map(|job| (job.interface, job.own.ip)).collect();
        let mut unproven = BTreeMap::new();
        for resolver in names.directory.iter().flat_map(crate::net::names::Directory::addresses) {
            if let Some((interface, neighbor)) = self.on_the_way_to(resolver, &links) {
                self.beside.entry(interface).or_default().insert(neighbor);
                unproven.insert(resolver, IpAddr::V4(neighbor));
            }
        }
        let multicast = if names.multicast { links.into_values().collect() } else { Vec::new() };
        let naming = Naming { directory: names.directory.clone(), multicast };
        let finder = Finder::start(naming, unproven, self.cancel.clone());
        for ip in self.plan.own.keys() {
            finder.add_own(*ip);
        }
        Some(finder)
    }

    /// The neighbour by which a resolver is reached, where it is on a link that is swept.
    fn on_the_way_to(
        &self,
        resolver: SocketAddr,
        links: &BTreeMap<u32, Ipv4Addr>,
    ) -> Option<(u32, Ipv4Addr)> {
        let path = interface::path_to(resolver.ip()).ok()?;
        let neighbor = path.gateway.unwrap_or(resolver.ip());
        match neighbor {
            IpAddr::V4(neighbor)
                if self.privileged && !path.own && links.contains_key(&path.interface) =>
            {
                Some((path.interface, neighbor))
            }
            _ => None,
        }
    }

    /// The links to sweep: one job for each address of our own from which parts are asked.
    fn links(&self) -> Vec<LinkJob> {
        let mut jobs: BTreeMap<Way, Targets> = BTreeMap::new();
        for part in &self.plan.parts {
            if matches!(part.way, Way::Link(..)) {
                let targets = jobs.entry(part.way).or_default();
                *targets = targets.with(&part.targets);
            }
        }
        jobs.into_iter().filter_map(|(way, targets)| self.link(way, targets)).collect()
    }

    fn link(&self, way: Way, targets: Targets) -> Option<LinkJob> {
        let Way::Link(index, IpAddr::V4(ip), prefix_len) = way else { return None };
        let interface = self.topology.interface(index)?;
        let known = self.request.known.iter().filter_map(|(ip, mac)| match ip {
            IpAddr::V4(ip) if targets.number(*ip).is_some() => Some((*ip, *mac)),
            _ => None,
        });
        Some(LinkJob {
            interface: index,
            name: interface.name.clone(),
            own: Station { mac: interface.mac?, ip },
            prefix_len,
            known: known.collect(),
            beside: self.beside.get(&index).cloned().unwrap_or_default(),
            targets,
        })
    }

    /// Addresses that are asked as the kernel sends.
    fn echoes(&self) -> Vec<(EchoJob, Way)> {
        let mut jobs = Vec::new();
        for way in [Way::Routed, Way::Loopback] {
            let parts: Vec<&Part> = self.plan.parts.iter().filter(|part| part.way == way).collect();
            let Some(first) = parts.first() else { continue };
            let targets =
                parts.iter().fold(Targets::default(), |all, part| all.with(&part.targets));
            let linger = self.request.linger;
            let policy = match way {
                // The machine itself takes what it gives.
                Way::Loopback => Policy {
                    rate: Rate::Max,
                    linger: Duration::ZERO,
                    unknown: Duration::from_millis(50),
                },
                _ => Policy { rate: self.request.rate, linger, unknown: UNKNOWN_FAR },
            };
            let known = self.request.known.keys().filter_map(|ip| match ip {
                IpAddr::V4(ip) => Some(*ip),
                IpAddr::V6(_) => None,
            });
            let name = if parts.len() == 1 {
                first.net.to_string()
            } else {
                format!("{} and more", first.net)
            };
            jobs.push((EchoJob { name, known: known.collect(), targets, policy }, way));
        }
        jobs
    }

    /// Links on which to look for hosts of IPv6.
    fn sixes(&self) -> Vec<SixJob> {
        let mut wanted = self.plan.six.clone();
        if self.request.ipv6 {
            for part in &self.plan.parts {
                if let Way::Link(index, ..) = part.way {
                    wanted.entry(index).or_default().push(Ipv6Net::default());
                }
            }
        }
        let job = |(index, nets): (u32, Vec<Ipv6Net>)| {
            let interface = self.topology.interface(index)?;
            let v6 = |ip: &IpAddr| match ip {
                IpAddr::V6(ip) => Some(*ip),
                IpAddr::V4(_) => None,
            };
            let own: Vec<Ipv6Net> = interface
                .addresses
                .iter()
                .filter_map(|net| match net {
                    IpNet::V6(net) => Some(*net),
                    IpNet::V4(_) => None,
                })
                .collect();
            let known = self
                .request
                .known
                .keys()
                .filter_map(v6)
                .filter(|ip| own.iter().any(|net| net.contains(ip)));
            let excluded = |ip: &std::net::Ipv6Addr| {
                self.request.exclude.iter().any(|net| net.contains(&IpAddr::V6(*ip)))
            };
            Some(SixJob {
                interface: index,
                name: interface.name.clone(),
                mac: interface.mac?,
                known: known.filter(|ip| !excluded(ip)).collect(),
                own,
                nets,
            })
        };
        wanted.into_iter().filter_map(job).filter(|job| !job.own.is_empty()).collect()
    }

    /// Sets the engines to work and takes in what they bring.
    async fn work(&mut self) {
        self.tell_dead_links();
        let mut jobs = JoinSet::new();
        let links = self.links();
        let privileged = self.privileged;
        for (_, jobs_there) in by_interface(links) {
            self.begin(&mut jobs, move |shared| {
                jobs_there
                    .into_iter()
                    .map(|job| {
                        let report = if privileged {
                            job.run(&shared)
                        } else {
                            Err(io::ErrorKind::PermissionDenied.into())
                        };
                        Outcome::Link(job, report)
                    })
                    .collect()
            });
        }
        for (job, way) in self.echoes() {
            let denied = self.request.unprivileged && way == Way::Routed;
            self.begin(&mut jobs, move |shared| {
                let report = if denied && !may_ping() {
                    Err(io::ErrorKind::PermissionDenied.into())
                } else {
                    job.run(&shared)
                };
                vec![Outcome::Echo(job, way, report)]
            });
        }
        for job in self.sixes() {
            self.begin(&mut jobs, move |shared| {
                let report = if privileged {
                    job.run(&shared)
                } else {
                    Err(io::ErrorKind::PermissionDenied.into())
                };
                vec![Outcome::Six(job, report)]
            });
        }
        while let Some(outcomes) = jobs.join_next().await {
            match outcomes {
                Ok(outcomes) => {
                    for outcome in outcomes {
                        self.take(outcome, &mut jobs).await;
                    }
                }
                Err(error) => self.say(Diagnostic::error(
                    "sweep_failed",
                    "sweep",
                    format!("an engine of the sweep failed: {error}"),
                )),
            }
        }
        self.own_answers();
        self.try_ports().await;
    }

    fn begin(
        &self,
        jobs: &mut JoinSet<Vec<Outcome>>,
        work: impl FnOnce(Shared) -> Vec<Outcome> + Send + 'static,
    ) {
        if let Some(shared) = self.shared() {
            jobs.spawn_blocking(move || work(shared));
        }
    }

    fn tell_dead_links(&mut self) {
        for (net, name) in std::mem::take(&mut self.plan.dead) {
            let reason = format!("{name}, at which it lies, has no carrier");
            let message =
                format!("it cannot be swept: {reason}; plug it in, or sweep another subnet");
            self.say(Diagnostic::error("sweep_failed", net.to_string(), message));
            self.plan.left_out.push((net, reason));
        }
    }

    fn say(&mut self, diagnostic: Diagnostic) {
        self.report.diagnostics.push(diagnostic);
    }

    async fn take(&mut self, outcome: Outcome, jobs: &mut JoinSet<Vec<Outcome>>) {
        match outcome {
            Outcome::Link(job, Ok(report)) => self.take_link(&job, report),
            Outcome::Link(job, Err(error)) if is_denied(&error) => {
                self.privileged = false;
                self.lift(&job);
                let nudge = NudgeJob {
                    interface: job.interface,
                    name: job.name,
                    own: job.own.ip,
                    prefix_len: job.prefix_len,
                    targets: job.targets,
                };
                self.begin(jobs, move |shared| {
                    let report = nudge.run(&shared);
                    vec![Outcome::Nudge(nudge, report)]
                });
            }
            Outcome::Link(job, Err(error)) => {
                self.lift(&job);
                let stop = Stop::Failed(format!("{} cannot be swept: {error}", job.name));
                self.take_link(&job, LinkReport { stop: Some(stop), ..LinkReport::default() });
            }
            Outcome::Nudge(job, report) => self.take_nudge(&job, report),
            Outcome::Echo(job, way, Ok(report)) => self.take_echo(&job, way, report),
            Outcome::Echo(job, way, Err(error)) => self.connect_instead(job, way, error).await,
            Outcome::Six(job, Ok(report)) => self.take_six(&job, report, None),
            Outcome::Six(job, Err(error)) if is_denied(&error) => {
                let gap =
                    "without CAP_NET_RAW only the kernel's own neighbours are known".to_owned();
                match job.known_to_kernel() {
                    Ok(report) => self.take_six(&job, report, Some(gap)),
                    Err(error) => self.take_six(
                        &job,
                        SixReport {
                            stop: Some(Stop::Failed(error.to_string())),
                            ..SixReport::default()
                        },
                        None,
                    ),
                }
            }
            Outcome::Six(job, Err(error)) => {
                let stop = Stop::Failed(format!("{} cannot be looked at: {error}", job.name));
                self.take_six(&job, SixReport { stop: Some(stop), ..SixReport::default() }, None);
            }
        }
    }

    /// Resolvers behind a link that is not asked by ourselves need no proof.
    fn lift(&self, job: &LinkJob) {
        if let Some(shared) = &self.shared {
            for ip in &job.beside {
                let _ = shared.news.send(News::Beside((*ip).into()));
            }
        }
    }

    /// Notes why an engine stopped; a failure is told to a person.
    fn stopped(&mut self, about: &str, stop: Option<&Stop>) -> Option<String> {
        let stop = stop?;
        match stop {
            Stop::Failed(reason) => {
                let message = format!("{reason}; what was found until then is kept");
                self.say(Diagnostic::error("sweep_failed", about, message));
            }
            Stop::Deadline => {
                let message =
                    "the time for the sweep was over; allow it more, or sweep less".to_owned();
                self.say(Diagnostic::error("sweep_late", about, message));
            }
            Stop::Cancelled => {}
        }
        self.report.interrupted = true;
        Some(stop.gap())
    }

    fn take_link(&mut self, job: &LinkJob, report: LinkReport) {
        let stopped = self.stopped(&job.name, report.stop.as_ref());
        let proxied = (!report.proxies.is_empty()).then(|| PROXIED.to_owned());
        let lossy = (report.missing > 0.02).then(|| {
            format!(
                "the network loses so much that about {:.0} hosts may have been missed",
                report.missing.max(1.0)
            )
        });
        self.tell_proxies(&report.proxies, &report.answers);
        self.report.packets += report.packets;
        let gap = stopped.or(proxied).or(lossy);
        let complete = report.asked == u64::from(job.targets.len());
        self.swept(
            |part| matches!(part.way, Way::Link(index, ip, _) if index == job.interface && ip == IpAddr::V4(job.own.ip)),
            Method::Arp,
            Some(&job.name),
            &report.answers,
            gap,
            (!complete).then_some(report.asked),
        );
        self.report.answers.extend(report.answers);
    }

    fn tell_proxies(&mut self, proxies: &BTreeSet<MacAddr>, answers: &[Answer]) {
        for mac in proxies {
            let held = answers.iter().filter(|answer| answer.mac == Some(*mac)).count();
            let message = format!(
                "it answers ARP for {held} addresses of others: proxy ARP, or one host with very many addresses; the MAC addresses of these hosts are not known"
            );
            self.say(Diagnostic::warning("proxy_arp", mac.to_string(), message));
        }
        for answer in answers.iter().filter(|answer| !answer.rivals.is_empty()) {
            let macs: Vec<String> = answer.macs().map(|mac| mac.to_string()).collect();
            let message = format!(
                "{} claim this address; give all but one of them another",
                macs.join(" and ")
            );
            self.say(Diagnostic::warning("duplicate_address", answer.ip.to_string(), message));
        }
    }

    /// Notes how the parts of the plan were swept for which this holds.
    fn swept(
        &mut self,
        of: impl Fn(&Part) -> bool,
        method: Method,
        interface: Option<&str>,
        answers: &[Answer],
        gap: Option<String>,
        asked: Option<u64>,
    ) {
        let mut left = asked.unwrap_or(u64::MAX);
        let parts: Vec<(IpNet, Targets)> = self
            .plan
            .parts
            .iter()
            .filter(|part| of(part))
            .map(|part| (part.net, part.targets.clone()))
            .collect();
        for (net, targets) in parts {
            let answered = answers.iter().filter(
                |answer| matches!(answer.ip, IpAddr::V4(ip) if targets.number(ip).is_some()),
            );
            let asked = left.min(targets.len().into());
            left -= asked;
            self.report.swept.push(Swept {
                net,
                method,
                interface: interface.map(str::to_owned),
                asked,
                answered: answered.count() as u64,
                gap: gap.clone(),
            });
        }
    }

    fn take_nudge(&mut self, job: &NudgeJob, report: NudgeReport) {
        let by = if report.echo { "echo requests" } else { "empty datagrams" };
        let message = format!(
            "it is swept by way of the kernel's neighbours ({by}): slower, and blind to duplicate addresses and to most of IPv6; frames of our own need CAP_NET_RAW, so give it, or run as root"
        );
        self.say(Diagnostic::note("sweep_unprivileged", &job.name, message));
        self.tell_proxies(&report.proxies, &report.answers);
        let proxied = (!report.proxies.is_empty()).then(|| PROXIED.to_owned());
        let unsure = (report.unsure > 0).then(|| {
            format!(
                "the kernel knew {} addresses from before that did not show again",
                report.unsure
            )
        });
        let gap = self.stopped(&job.name, report.stop.as_ref()).or(proxied).or(unsure);
        self.report.packets += report.packets;
        let index = job.interface;
        self.swept(
            |part| {
                matches!(part.way, Way::Link(interface, ..) if interface == index)
                    && part.targets.get(0).is_some_and(|ip| job.targets.number(ip).is_some())
            },
            Method::Neighbor,
            Some(&job.name),
            &report.answers,
            gap,
            None,
        );
        self.report.answers.extend(report.answers);
    }

    fn take_echo(&mut self, job: &EchoJob, way: Way, report: EchoReport) {
        let stopped = self.stopped(&job.name, report.stop.as_ref());
        let refused = report.refused.map(|(count, reason)| {
            format!("the kernel did not send to {count} addresses: {reason}")
        });
        let far = (way == Way::Routed)
            .then(|| "hosts beyond a router may ignore echo requests".to_owned());
        self.report.packets += report.packets;
        self.swept(
            |part| part.way == way,
            Method::Icmp,
            None,
            &report.answers,
            stopped.or(refused).or(far),
            None,
        );
        self.report.answers.extend(report.answers);
    }

    /// No echo request may be sent: connections may always be tried, but prove little.
    async fn connect_instead(&mut self, job: EchoJob, way: Way, error: io::Error) {
        let Some(shared) = self.shared() else { return };
        let ports = if self.request.ports.is_empty() {
            connect::USUAL.to_vec()
        } else {
            self.request.ports.clone()
        };
        let message = format!(
            "it is swept by trying TCP connections, which proves no address unused: echo requests cannot be sent ({error}); allow them by CAP_NET_RAW or net.ipv4.ping_group_range"
        );
        self.say(Diagnostic::note("sweep_unprivileged", &job.name, message));
        let gap = if way == Way::Loopback { Duration::ZERO } else { self.gap() };
        let addresses = job.targets.iter().map(IpAddr::V4).collect();
        let (found, packets, stop) = connect::try_all(addresses, ports, &shared, gap).await;
        let answers = connect::answers(found, &self.request.ports);
        shared.tell(answers.iter().map(Answer::found).collect());
        let stopped = self.stopped(&job.name, stop.as_ref());
        self.report.packets += packets;
        let gap = stopped
            .unwrap_or_else(|| "a host need not accept or refuse a TCP connection".to_owned());
        self.swept(|part| part.way == way, Method::Tcp, None, &answers, Some(gap), None);
        self.report.answers.extend(answers);
    }

    /// The time between two connections.
    fn gap(&self) -> Duration {
        match self.request.rate {
            Rate::Adaptive => Duration::from_secs(1) / CONNECTIONS,
            Rate::AtMost(rate) => Duration::from_secs(1) / rate.max(1),
            Rate::Max => Duration::ZERO,
        }
    }

    fn take_six(&mut self, job: &SixJob, report: SixReport, gap: Option<String>) {
        let gap = self
            .stopped(&job.name, report.stop.as_ref())
            .or(gap)
            .unwrap_or_else(|| "hosts of IPv6 need not answer all nodes".to_owned());
        self.report.packets += report.packets;
        let excluded =
            |answer: &Answer| self.request.exclude.iter().any(|net| net.contains(&answer.ip));
        let answers: Vec<Answer> =
            report.answers.into_iter().filter(|answer| !excluded(answer)).collect();
        let nets: BTreeSet<Ipv6Net> =
            job.nets.iter().copied().filter(|net| net.prefix_len() > 0).collect();
        for net in nets {
            let answered =
                answers.iter().filter(|answer| IpNet::V6(net).contains(&answer.ip)).count() as u64;
            self.report.swept.push(Swept {
                net: net.into(),
                method: Method::Ndp,
                interface: Some(job.name.clone()),
                asked: 0,
                answered,
                gap: Some(gap.clone()),
            });
        }
        self.report.answers.extend(answers);
    }

    /// The machine's own addresses are hosts, too.
    fn own_answers(&mut self) {
        for (ip, index) in &self.plan.own {
            let Some(interface) = self.topology.interface(*index) else { continue };
            let net = interface.addresses.iter().find(|net| net.addr() == *ip);
            let asked = self.report.answers.iter().find(|answer| answer.ip == *ip);
            let own = Answer {
                method: Method::Own,
                mac: interface.mac,
                prefix_len: net.map(IpNet::prefix_len),
                ..asked.cloned().unwrap_or_else(|| Answer::of(*ip, Method::Own))
            };
            self.report.answers.retain(|answer| answer.ip != *ip);
            self.report.answers.push(own);
        }
    }

    /// Asks for ports by connections where no frames of our own did.
    async fn try_ports(&mut self) {
        let Some(shared) = self.shared().filter(|shared| !shared.ports.is_empty()) else { return };
        let asked = |method| matches!(method, Method::Arp | Method::Tcp);
        let open: BTreeSet<IpAddr> = self
            .report
            .answers
            .iter()
            .filter(|answer| !asked(answer.method) && !is_scoped(answer.ip))
            .map(|answer| answer.ip)
            .collect();
        let ports = self.request.ports.clone();
        let (found, packets, stop) =
            connect::try_all(open.into_iter().collect(), ports, &shared, self.gap()).await;
        self.report.packets += packets;
        self.stopped("ports", stop.as_ref());
        for answer in &mut self.report.answers {
            if let Some((_, open)) = found.get(&answer.ip) {
                answer.open.clone_from(open);
                answer.open.sort_unstable();
            }
        }
    }

    /// Puts the report together.
    async fn conclude(mut self, finder: Option<Finder>) -> Report {
        if let Some(finder) = finder {
            let patience = match &self.request.names {
                Some(names) if !self.report.interrupted => names.patience,
                _ => Duration::ZERO,
            };
            let names = finder.finish(patience).await;
            self.report.interrupted |= self.cancel.is_cancelled();
            for answer in &mut self.report.answers {
                let dns = names.dns.get(&answer.ip).map(|name| (name, NameSource::Dns));
                let mdns = names.mdns.get(&answer.ip).map(|name| (name, NameSource::Mdns));
                answer.name =
                    dns.or(mdns).map(|(name, source)| Named { name: name.clone(), source });
            }
            self.report.diagnostics.extend(names.diagnostics);
        }
        for (net, reason) in &self.plan.left_out {
            self.report.left_out.push((*net, reason.clone()));
        }
        let report = &mut self.report;
        report.left_out.sort();
        report.answers.sort_by_key(|answer| (answer.ip, answer.method));
        report.answers.dedup_by_key(|answer| answer.ip);
        report
            .swept
            .sort_by(|a, b| (a.net, a.method, &a.interface).cmp(&(b.net, b.method, &b.interface)));
        report.diagnostics.sort();
        report.diagnostics.dedup();
        self.report
    }
}

/// Whether echo requests may be sent without privileges.
fn may_ping() -> bool {
    use socket2::{Domain, Protocol, Socket, Type};
    Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok()
}

/// Whether an address means nothing without its interface.
fn is_scoped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// Jobs of one interface are done one after the other: they share its network.
fn by_interface(jobs: Vec<LinkJob>) -> BTreeMap<u32, Vec<LinkJob>> {
    let mut all: BTreeMap<u32, Vec<LinkJob>> = BTreeMap::new();
    for job in jobs {
        all.entry(job.interface).or_default().push(job);
    }
    all
}
