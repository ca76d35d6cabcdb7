//! A network of one's own: two namespaces joined by a pair of virtual interfaces. A sweep
//! runs in one; in the other a [`responder`] plays any number of hosts. Nothing outside is
//! reachable. Namespaces need root: without it a test says loudly that it was skipped.
//!
//! ```text
//! mod network;    // from a bench or a folder of tests: #[path = "../network/mod.rs"]
//!
//! let Some(lab) = Lab::build(&["10.77.0.1/24"], Network { players, ..Network::default() })
//! else { return };
//! lab.command("netbox-agent").args(["scan", "--subnet", "10.77.0.0/24"]).output();
//! lab.stats().frames;
//! ```
//!
//! Every lab has names of its own, so that tests run side by side; it is taken away when it
//! is dropped, and what a killed run has left behind when the next one begins.

#![allow(dead_code, unused_imports, reason = "every test uses its own part of the network")]

mod players;
mod responder;
pub(crate) mod wire;

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) use players::{Network, Player, Tally, crowd, mac};
use responder::Responder;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The interface of the sweep's side; the other one is its peer.
pub(crate) const SCANNER: &str = "v-scan";
const PLAYERS: &str = "v-net";
/// What the namespaces' names begin with.
const PREFIX: &str = "nba-";

/// Whether networks can be built here; says loudly why not.
pub(crate) fn available() -> bool {
    let can = rustix::process::geteuid().is_root() && ip(&["netns", "list"]);
    if !can {
        skip("needs root and iproute2 to build network namespaces");
    }
    can
}

/// The two namespaces and what runs in them.
pub(crate) struct Lab {
    scanner: String,
    players: String,
    responder: Option<Responder>,
}

impl Lab {
    /// Builds the namespaces and lets the network play. `addresses` are the scanner's, with
    /// the lengths of their prefixes. None, and a loud word, where that is not allowed.
    pub(crate) fn build(addresses: &[&str], network: Network) -> Option<Self> {
        let mut lab = Lab::empty(addresses)?;
        lab.play(network);
        Some(lab)
    }

    /// Builds the namespaces, with nobody in the second one yet.
    pub(crate) fn empty(addresses: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !available() {
            return None;
        }
        sweep_up();
        let name =
            format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (scanner, players) = (format!("{name}-scan"), format!("{name}-net"));
        // From here on dropping it takes away whatever stands.
        let lab = Lab { scanner, players, responder: None };
        if !lab.namespaces(addresses) {
            skip("may not build network namespaces here");
            return None;
        }
        Some(lab)
    }

    fn namespaces(&self, addresses: &[&str]) -> bool {
        let (scanner, players) = (self.scanner.as_str(), self.players.as_str());
        let built = ip(&["netns", "add", scanner])
            && ip(&["netns", "add", players])
            && ip(&[
                "link", "add", SCANNER, "netns", scanner, "type", "veth", "peer", "name", PLAYERS,
                "netns", players,
            ])
            && set(players, "net.ipv6.conf.all.disable_ipv6=1")
            && set(players, "net.ipv6.conf.default.disable_ipv6=1")
            && set(scanner, "net.ipv6.conf.all.accept_ra=0")
            && set(scanner, "net.ipv6.conf.all.accept_dad=0")
            && set(scanner, &format!("net.ipv6.conf.{SCANNER}.accept_dad=0"))
            && ip(&["-n", players, "link", "set", PLAYERS, "up"])
            && ip(&["-n", scanner, "link", "set", "lo", "up"])
            && ip(&["-n", scanner, "link", "set", SCANNER, "up"]);
        built
            && addresses.iter().all(|address| {
                let v6: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                ip(&[&["-n", scanner, "addr", "add", address, "dev", SCANNER], v6].concat())
            })
    }

    /// Lets another network play from now on; gives back what the one before saw.
    pub(crate) fn play(&mut self, network: Network) -> Tally {
        let before = self.responder.take().map(Responder::end).unwrap_or_default();
        let namespace = self.players.clone();
        let responder = Responder::start(PLAYERS, network, move || enter(&namespace));
        self.responder = Some(responder);
        before
    }

    /// What the network has seen so far.
    pub(crate) fn stats(&self) -> Tally {
        self.responder.as_ref().map(Responder::stats).unwrap_or_default()
    }

    /// Ends the play and gives back what the network saw.
    pub(crate) fn end(mut self) -> Tally {
        self.responder.take().map(Responder::end).unwrap_or_default()
    }

    /// The name of the scanner's namespace.
    pub(crate) fn name(&self) -> &str {
        &self.scanner
    }

    /// A program that will run in the scanner's namespace.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.scanner]).arg(program);
        command
    }

    /// Runs `ip` in the scanner's namespace.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        assert!(ip(&[&["-n", &self.scanner], arguments].concat()), "ip {arguments:?} fails");
    }

    /// Keeps the players' own kernel from looking at what is asked of its players: that
    /// would be counted as the scanner's work, which it is on no other network.
    pub(crate) fn hush(&self) {
        let hushed = ["-n", &self.players, "link", "set", PLAYERS, "arp", "off"];
        assert!(ip(&hushed), "ip {hushed:?} fails");
    }

    /// Sets a kernel parameter of the scanner's namespace.
    pub(crate) fn sysctl(&self, setting: &str) {
        assert!(set(&self.scanner, setting), "{setting} cannot be set");
    }

    /// Does something in the scanner's namespace; processes that it starts are there, too.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&self.scanner);
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Does something in the scanner's namespace, on a runtime of its own.
    pub(crate) fn inside<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.within(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be built").block_on(work())
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.responder.take());
        for namespace in [&self.scanner, &self.players] {
            ip(&["netns", "del", namespace]);
        }
    }
}

/// Moves this thread into a namespace.
fn enter(namespace: &str) {
    let file = File::open(format!("/run/netns/{namespace}")).expect("the namespace is there");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("it can be entered");
}

/// Takes away what runs that were killed have left behind.
fn sweep_up() {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let text = listed
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    for name in text.lines().filter_map(|line| line.split_whitespace().next()) {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let alive = |process: &str| std::path::Path::new("/proc").join(process).exists();
        if process.is_some_and(|process| process.parse::<u32>().is_ok() && !alive(process)) {
            ip(&["netns", "del", name]);
        }
    }
}

fn set(namespace: &str, setting: &str) -> bool {
    succeeds(Command::new("ip").args(["netns", "exec", namespace, "sysctl", "-qw", setting]))
}

fn ip(arguments: &[&str]) -> bool {
    succeeds(Command::new("ip").args(arguments))
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[expect(clippy::print_stderr, reason = "a test that is skipped must not pass in silence")]
fn skip(reason: &str) {
    eprintln!("SKIPPED: {} {reason}", std::thread::current().name().unwrap_or("a test"));
}
