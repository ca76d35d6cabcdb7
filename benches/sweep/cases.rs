//! What is measured: networks, how to ask them, and who asks.

use std::time::Duration;

use super::network::{Network, crowd};
use super::tools::Tool;

/// How the agent is told to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// `--rate max`.
    Max,
    /// As it does by itself.
    Default,
    /// `--rate 500`.
    Polite,
}

/// A bound on the ratio between the agent and the best tool of its peers.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    pub(super) of: Quantity,
    pub(super) at_most: f64,
    pub(super) peers: Vec<Tool>,
}

/// What a goal bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// The ratio of times.
    Wall,
    /// The ratio of times on the processor.
    Cpu,
    /// Megabytes.
    Memory,
    /// Seconds.
    Seconds,
}

/// One network and its scanners.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) subnet: String,
    pub(super) network: Network,
    pub(super) how: How,
    pub(super) tools: Vec<Tool>,
    /// Whether hosts are counted by an open port.
    pub(super) by_tcp: bool,
    /// Packets a second that may leave, or that the network bears, and how many at once
    /// beyond that.
    pub(super) limit: Option<(f64, f64)>,
    pub(super) goals: Vec<Goal>,
}

/// The port that is asked for.
pub(super) const PORT: u16 = 80;

/// Scanners told to be fast.
const FAST: [Tool; 5] =
    [Tool::ArpScanFast, Tool::NmapFast, Tool::FpingFast, Tool::MasscanFast, Tool::Zmap];
/// Scanners as they come.
const DEFAULTS: [Tool; 3] = [Tool::ArpScan, Tool::Nmap, Tool::Fping];

/// A /24 with 28 hosts, and so on, that answer after a millisecond.
fn quiet(length: u32, alive: u32) -> Network {
    let mut players = crowd([10, 77, 0, 0], 1 << (32 - length), alive);
    for player in &mut players {
        player.open = [PORT].into();
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Network {
        players,
        delay: Duration::from_millis(1),
        jitter: Duration::from_micros(200),
        processor: (processors > 1).then_some(1),
        ..Network::default()
    }
}

impl Case {
    fn new(name: &str, (length, alive): (u32, u32), how: How, peers: &[Tool]) -> Self {
        Case {
            name: format!("/{length}, {alive} alive{name}"),
            subnet: format!("10.77.0.0/{length}"),
            network: quiet(length, alive),
            how,
            tools: [&[Tool::Agent], peers].concat(),
            by_tcp: false,
            limit: None,
            goals: Vec::new(),
        }
    }

    /// The agent takes at most this share of the time of the best of these peers.
    fn goal(mut self, of: Quantity, at_most: f64, peers: &[Tool]) -> Self {
        self.goals.push(Goal { of, at_most, peers: peers.to_vec() });
        self
    }

    fn losing(mut self, percent: u32) -> Self {
        self.network.loss = f64::from(percent) / 100.0;
        self
    }

    fn after(mut self, milliseconds: u64) -> Self {
        self.network.delay = Duration::from_millis(milliseconds);
        self.network.jitter = self.network.delay / 5;
        self
    }

    fn bearing(mut self, packets: u32) -> Self {
        self.limit = Some((packets.into(), 64.0));
        self.network.capacity = self.limit;
        self
    }

    /// The least time that two questions to each silent address and one to each host take
    /// where there is a limit: no sweep that asks everybody silent again can be faster.
    pub(super) fn least(&self) -> Option<Duration> {
        let (rate, at_once) = self.limit?;
        let length: u32 = self.subnet.split_once('/')?.1.parse().ok()?;
        let addresses = f64::from(1_u32 << (32 - length)) - 2.0;
        let questions = 2.0 * addresses - self.network.players.len() as f64;
        Duration::try_from_secs_f64((questions - at_once) / rate).ok()
    }

    fn sleepy(mut self) -> Self {
        for player in self.network.players.iter_mut().step_by(5) {
            player.sleeps = Duration::from_millis(120);
        }
        self
    }
}

/// What the goals are about.
pub(super) fn goals() -> Vec<Case> {
    use Quantity::{Cpu, Memory, Seconds, Wall};
    let careful = [Tool::ArpScanThrice, Tool::NmapFast];
    let mut cases = vec![
        Case::new("", (24, 28), How::Max, &FAST).goal(Wall, 0.40, &FAST),
        Case::new("", (20, 1_000), How::Max, &FAST).goal(Wall, 0.40, &FAST),
        Case::new("", (16, 20_000), How::Max, &FAST)
            .goal(Wall, 0.50, &FAST)
            .goal(Cpu, 0.50, &FAST)
            .goal(Memory, 20.0, &FAST),
    ];
    for (milliseconds, at_most) in [(1, 0.8), (20, 1.0)] {
        for size in [(24, 28), (22, 400)] {
            let name = format!(", 5 % loss, {milliseconds} ms");
            let case = Case::new(&name, size, How::Max, &careful).losing(5).after(milliseconds);
            cases.push(case.goal(Wall, at_most, &[Tool::ArpScanThrice]));
        }
    }
    for (capacity, alive, at_most) in
        [(10_000, 100, 0.15), (2_000, 100, 0.5), (1_000, 100, 0.5), (1_000, 400, 0.5)]
    {
        let name = format!(", bears {capacity} pps, defaults");
        let case = Case::new(&name, (22, alive), How::Default, &[Tool::ArpScan, Tool::Nmap]);
        cases.push(case.bearing(capacity).goal(Wall, at_most, &DEFAULTS));
    }
    // The goal is for a network full of hosts. Where most addresses are silent, two rounds
    // of questions alone take longer than it allows.
    let polite = |alive| {
        let peers = [Tool::ArpScan, Tool::Nmap];
        let case = Case::new(", 500 pps, peers as they come", (24, alive), How::Polite, &peers);
        Case { limit: Some((500.0, 32.0)), ..case }
    };
    let full = polite(253);
    cases.push(full.goal(Wall, 0.45, &[Tool::Nmap]).goal(Wall, 0.30, &[Tool::ArpScan]));
    cases.push(polite(28));
    let ports = [Tool::ZmapPort, Tool::NmapPort, Tool::MasscanPort];
    let port = Case::new(", one TCP port", (20, 1_000), How::Max, &ports);
    cases.push(Case { by_tcp: true, ..port }.goal(Wall, 0.05, &[Tool::ZmapPort]));
    let sleepy = Case::new(
        ", one in five sleeps 120 ms, defaults",
        (24, 28),
        How::Default,
        &[Tool::ArpScan, Tool::Nmap],
    );
    cases.push(sleepy.sleepy().goal(Wall, 1.0, &DEFAULTS));
    let mut poor = Case::new(", without any capability", (24, 28), How::Default, &[]);
    poor.tools = vec![Tool::AgentUnprivileged];
    cases.push(poor.goal(Seconds, 2.0, &[]));
    cases
}

/// Every size with every loss, delay and capacity.
pub(super) fn grid() -> Vec<Case> {
    let sizes = [(24, 28), (22, 100), (20, 1_000), (16, 20_000)];
    let mut cases = goals();
    for size in sizes {
        for loss in [0, 1, 5] {
            for delay in [0, 1, 20] {
                let name = format!(", {loss} % loss, {delay} ms, grid");
                let tools = [&FAST[..], &[Tool::ArpScanThrice]].concat();
                cases.push(Case::new(&name, size, How::Max, &tools).losing(loss).after(delay));
            }
        }
    }
    for size in [(24, 28), (22, 100), (20, 1_000)] {
        for capacity in [500, 1_000, 2_000, 5_000, 10_000] {
            let name = format!(", bears {capacity} pps, defaults, grid");
            cases.push(Case::new(&name, size, How::Default, &DEFAULTS).bearing(capacity));
        }
        let name = ", one in five sleeps 120 ms, grid";
        cases.push(Case::new(name, size, How::Default, &DEFAULTS).sleepy());
    }
    cases
}
