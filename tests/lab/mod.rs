//! A network of one's own: two namespaces joined by a pair of virtual interfaces. The
//! sweep runs in one; in the other a [`responder`] plays any number of hosts. Nothing
//! outside is reachable. Namespaces need root: without it a test says loudly that it was
//! skipped.

pub(crate) mod responder;
pub(crate) mod wire;

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use responder::{Network, Tally};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The interface of the sweep's side; the other one is its peer.
pub(crate) const SCANNER: &str = "v-scan";
const PLAYERS: &str = "v-net";
/// What the namespaces' names begin with.
const PREFIX: &str = "nba-";

/// The two namespaces and what runs in them.
pub(crate) struct Lab {
    scanner: String,
    players: String,
    stop: Arc<AtomicBool>,
    responder: Option<JoinHandle<Tally>>,
}

impl Lab {
    /// Builds the namespaces and lets the network play. `addresses` are the scanner's, with
    /// the lengths of their prefixes. None, and a loud word, where that is not allowed.
    pub(crate) fn build(addresses: &[&str], network: Network) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() || !ip(&["netns", "list"]) {
            skip("needs root and iproute2 to build network namespaces");
            return None;
        }
        sweep_up();
        let name =
            format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (scanner, players) = (format!("{name}-scan"), format!("{name}-net"));
        // From here on dropping it takes away whatever stands.
        let mut lab = Lab { scanner, players, stop: Arc::default(), responder: None };
        if !lab.namespaces(addresses) {
            skip("may not build network namespaces here");
            return None;
        }
        let (stop, namespace) = (Arc::clone(&lab.stop), lab.players.clone());
        let (ready, wait) = std::sync::mpsc::channel();
        lab.responder = Some(std::thread::spawn(move || {
            enter(&namespace);
            responder::play(PLAYERS, network, &stop, &ready)
        }));
        wait.recv().expect("the responder starts");
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
            && self.set(players, "net.ipv6.conf.all.disable_ipv6=1")
            && self.set(players, "net.ipv6.conf.default.disable_ipv6=1")
            && self.set(scanner, "net.ipv6.conf.all.accept_ra=0")
            && self.set(scanner, "net.ipv6.conf.all.accept_dad=0")
            && self.set(scanner, &format!("net.ipv6.conf.{SCANNER}.accept_dad=0"))
            && ip(&["-n", players, "link", "set", PLAYERS, "up"])
            && ip(&["-n", scanner, "link", "set", "lo", "up"])
            && ip(&["-n", scanner, "link", "set", SCANNER, "up"]);
        built
            && addresses.iter().all(|address| {
                let v6: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                ip(&[&["-n", scanner, "addr", "add", address, "dev", SCANNER], v6].concat())
            })
    }

    fn set(&self, namespace: &str, setting: &str) -> bool {
        succeeds(Command::new("ip").args(["netns", "exec", namespace, "sysctl", "-qw", setting]))
    }

    /// Runs `ip` in the scanner's namespace.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        assert!(ip(&[&["-n", &self.scanner], arguments].concat()), "ip {arguments:?} fails");
    }

    /// Sets a kernel parameter of the scanner's namespace.
    pub(crate) fn sysctl(&self, setting: &str) {
        assert!(self.set(&self.scanner, setting), "{setting} cannot be set");
    }

    /// Does something in the scanner's namespace, on a runtime of its own.
    pub(crate) fn inside<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&self.scanner);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime can be built").block_on(work())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Ends the play and gives back what the network saw.
    pub(crate) fn end(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let responder = self.responder.take().expect("it plays until it is ended");
        responder.join().expect("the responder ends well")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(responder) = self.responder.take() {
            let _ = responder.join();
        }
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
