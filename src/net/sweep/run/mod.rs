//! One sweep from its request to its report: divides the work, sets the engines to it,
//! looks for names meanwhile, and puts together what they bring.

mod jobs;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Found, Report};
use super::echo::{EchoJob, EchoReport};
use super::engine::{News, Shared, Stop};
use super::link::{LinkJob, LinkReport};
use super::nudge::{NudgeJob, NudgeReport};
use super::plan::{Plan, Way};
use super::request::{Request, SweepError};
use super::schedule::Policy;
use super::six::{SixJob, SixReport};
use crate::domain::diagnostic::Diagnostic;
use crate::net::interface::{self, Topology};
use crate::net::names::{Finder, Naming};
use crate::progress::Progress;

/// How long an answer may take while nobody has answered yet.
const UNKNOWN: Duration = Duration::from_millis(100);

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
                if let Some(finder) = &finder {
                    finder.add(found.iter().map(|found| found.ip));
                }
                for found in found {
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

    /// Takes in answers; the first ones, which may be very many, without a copy.
    fn keep(&mut self, answers: Vec<Answer>) {
        if self.report.answers.is_empty() {
            self.report.answers = answers;
        } else {
            self.report.answers.extend(answers);
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
}

/// Whether echo requests may be sent without privileges.
fn may_ping() -> bool {
    use socket2::{Domain, Protocol, Socket, Type};
    Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok()
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
