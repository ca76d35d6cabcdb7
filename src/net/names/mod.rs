//! Names of addresses: PTR records of the resolvers, and what hosts say of themselves in
//! multicast DNS.
//!
//! A name from the network is hostile until it is a [`DnsName`]. Questions are few at
//! once, bounded in time, and never asked of a resolver that has not shown a sign of life:
//! one that is dead costs a sweep a moment, not a timeout for each host.

mod dns;
mod mdns;

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use dns::Directory;

use crate::domain::diagnostic::Diagnostic;
use crate::domain::name::DnsName;

/// How to look for names.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// Whom to ask for PTR records; none: nobody.
    pub directory: Option<Directory>,
    /// The interfaces' own addresses at which to ask hosts for their names by multicast DNS.
    pub multicast: Vec<Ipv4Addr>,
}

/// Names by where they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// From PTR records.
    pub dns: BTreeMap<IpAddr, DnsName>,
    /// From the hosts themselves.
    pub mdns: BTreeMap<IpAddr, DnsName>,
    /// What a person should know.
    pub diagnostics: Vec<Diagnostic>,
}

/// What a finder is told.
enum Told {
    Addresses(Vec<IpAddr>),
    Own(IpAddr),
    Alive(IpAddr),
}

/// Looks for the names of addresses as they come in.
#[derive(Debug)]
pub struct Finder {
    told: UnboundedSender<Told>,
    closing: oneshot::Sender<Duration>,
    task: JoinHandle<Names>,
}

impl Finder {
    /// Begins. `unproven` are neighbours on the way to a resolver: until one of them is said
    /// to be alive, resolvers behind it are not asked, for the kernel would have to look for
    /// it in vain. Cancelling ends all waiting; what was found stays.
    #[must_use]
    pub fn start(
        naming: Naming,
        unproven: BTreeMap<SocketAddr, IpAddr>,
        cancel: CancellationToken,
    ) -> Self {
        let (told, hear) = unbounded_channel();
        let (closing, closed) = oneshot::channel();
        Finder {
            told,
            closing,
            task: tokio::spawn(find(naming, unproven, hear, over(closed, cancel))),
        }
    }

    /// These addresses want names. Those of the loopback mean another machine to whoever
    /// would be asked, so nobody is.
    pub fn add(&self, ips: impl IntoIterator<Item = IpAddr>) {
        let ips: Vec<IpAddr> = ips.into_iter().filter(|ip| !ip.is_loopback()).collect();
        if !ips.is_empty() {
            let _ = self.told.send(Told::Addresses(ips));
        }
    }

    /// This address of the machine itself wants a name. The machine does not ask itself by
    /// multicast.
    pub fn add_own(&self, ip: IpAddr) {
        if ip.is_loopback() {
            return;
        }
        let _ = self.told.send(Told::Own(ip));
    }

    /// This neighbour answers.
    pub fn alive(&self, ip: IpAddr) {
        let _ = self.told.send(Told::Alive(ip));
    }

    /// No more addresses come. Waits for the names that are still on their way, but no
    /// longer than this.
    pub async fn finish(self, patience: Duration) -> Names {
        drop(self.told);
        // The task may have ended by itself.
        let _ = self.closing.send(patience);
        self.task.await.unwrap_or_default()
    }
}

/// When there is nothing to wait for any more: so long after the last address, or at once
/// when it is cancelled.
async fn over(closed: oneshot::Receiver<Duration>, cancel: CancellationToken) {
    let patience = async { sleep(closed.await.unwrap_or_default()).await };
    tokio::select! {
        () = patience => {}
        () = cancel.cancelled() => {}
    }
}

async fn find(
    naming: Naming,
    unproven: BTreeMap<SocketAddr, IpAddr>,
    mut hear: UnboundedReceiver<Told>,
    end: impl Future<Output = ()>,
) -> Names {
    let (ask_dns, dns_addresses) = unbounded_channel();
    let (ask_mdns, mdns_addresses) = unbounded_channel();
    let (say_alive, alive) = unbounded_channel();
    let end = futures::FutureExt::shared(end);
    let directory = naming.directory.clone();
    let dns = async {
        match &directory {
            Some(directory) => directory.resolve(dns_addresses, alive, unproven, end.clone()).await,
            None => (BTreeMap::new(), Vec::new()),
        }
    };
    let mdns = mdns::ask(&naming.multicast, mdns_addresses, end.clone());
    // What nobody will ask for does not wait in line.
    let (by_dns, by_mdns) = (naming.directory.is_some(), !naming.multicast.is_empty());
    let distribute = async {
        let mut seen = HashSet::new();
        while let Some(told) = hear.recv().await {
            match told {
                Told::Addresses(mut ips) => {
                    ips.retain(|ip| seen.insert(*ip));
                    if ips.is_empty() {
                        continue;
                    }
                    if by_mdns {
                        let _ = ask_mdns.send(ips.clone());
                    }
                    if by_dns {
                        let _ = ask_dns.send(ips);
                    }
                }
                Told::Own(ip) => {
                    if by_dns && seen.insert(ip) {
                        let _ = ask_dns.send(vec![ip]);
                    }
                }
                Told::Alive(ip) => {
                    let _ = say_alive.send(ip);
                }
            }
        }
        drop((ask_dns, ask_mdns, say_alive));
    };
    let ((dns, diagnostics), mdns, ()) = tokio::join!(dns, mdns, distribute);
    Names { dns, mdns, diagnostics }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::UdpSocket;

    use super::*;

    /// A resolver that says of so many addresses that they have no name, and then nothing.
    async fn resolver(mut answers: usize) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut room = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut room).await {
                if answers > 0 {
                    answers -= 1;
                    room[2] |= 0x80;
                    room[3] = 0x83;
                    socket.send_to(&room[..length], from).await.unwrap();
                }
            }
        });
        address
    }

    async fn finder(answers: usize, cancel: &CancellationToken) -> Finder {
        let directory = Some(Directory::of(&[resolver(answers).await]).unwrap());
        let naming = Naming { directory, multicast: Vec::new() };
        let finder = Finder::start(naming, BTreeMap::new(), cancel.clone());
        finder.add((1..6).map(|last| IpAddr::from([192, 0, 2, last])));
        finder
    }

    #[tokio::test]
    async fn a_person_who_ends_it_does_not_wait_for_names() {
        let cancel = CancellationToken::new();
        let finder = finder(1, &cancel).await;
        let begun = Instant::now();
        let stop = async {
            sleep(Duration::from_millis(200)).await;
            cancel.cancel();
        };
        let (names, ()) = tokio::join!(finder.finish(Duration::from_secs(30)), stop);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(names.dns, BTreeMap::new());
        assert_eq!(names.diagnostics[0].code, "names_late");
    }

    #[tokio::test]
    async fn nobody_is_asked_for_names_of_the_loopback() {
        let directory = Some(Directory::of(&[resolver(0).await]).unwrap());
        let naming = Naming { directory, multicast: Vec::new() };
        let finder = Finder::start(naming, BTreeMap::new(), CancellationToken::new());
        finder.add([IpAddr::from([127, 0, 0, 2])]);
        finder.add_own(IpAddr::from([127, 0, 0, 1]));
        let names = finder.finish(Duration::from_secs(30)).await;
        assert_eq!(names.diagnostics, [], "a resolver that was asked and is silent is told of");
    }

    #[tokio::test]
    async fn a_resolver_that_never_answers_costs_a_moment() {
        let begun = Instant::now();
        let finder = finder(0, &CancellationToken::new()).await;
        let names = finder.finish(Duration::from_secs(30)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(names.diagnostics[0].code, "resolver_silent");
    }
}
