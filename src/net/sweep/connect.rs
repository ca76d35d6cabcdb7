//! TCP connections as any program makes them: for ports where no frame of our own may be
//! sent, and as the last way to find a host at all.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, Method};
use super::engine::{Shared, Stop};

/// Connections that are tried at once.
const AT_ONCE: usize = 128;
/// How long a port may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Ports that are tried to find a host, if none are asked for.
pub(super) const USUAL: [u16; 6] = [22, 80, 443, 445, 3389, 8080];

/// What a host makes of the wish for a connection.
enum Outcome {
    Open(Duration),
    Closed(Duration),
    Silent,
}

async fn connect(to: SocketAddr) -> Outcome {
    let begun = Instant::now();
    match timeout(PATIENCE, TcpStream::connect(to)).await {
        Ok(Ok(stream)) => {
            // Reset it: nothing was to be said.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            Outcome::Open(begun.elapsed())
        }
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Outcome::Closed(begun.elapsed())
            }
            _ => Outcome::Silent,
        },
        Err(_) => Outcome::Silent,
    }
}

/// Tries each port of each address, spaced as the rate wants it. Gives back the open ports
/// and the time of the first answer of each address that answered at all.
pub(super) async fn try_all(
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
    shared: &Shared,
    gap: Duration,
) -> (BTreeMap<IpAddr, (Duration, Vec<u16>)>, u64, Option<Stop>) {
    let mut found: BTreeMap<IpAddr, (Duration, Vec<u16>)> = BTreeMap::new();
    let tries = addresses.len() * ports.len();
    let mut next = 0;
    let mut open = FuturesUnordered::new();
    loop {
        if let Some(stop) = shared.stop() {
            return (found, next as u64, Some(stop));
        }
        while next < tries && open.len() < AT_ONCE {
            let to = SocketAddr::new(addresses[next / ports.len()], ports[next % ports.len()]);
            next += 1;
            open.push(async move { (to, connect(to).await) });
            if !gap.is_zero() {
                break;
            }
        }
        let more = next < tries;
        if !more && open.is_empty() {
            return (found, next as u64, None);
        }
        tokio::select! {
            Some((to, outcome)) = open.next() => match outcome {
                Outcome::Open(took) => found.entry(to.ip()).or_insert((took, Vec::new())).1.push(to.port()),
                Outcome::Closed(took) => {
                    found.entry(to.ip()).or_insert((took, Vec::new()));
                }
                Outcome::Silent => {}
            },
            () = sleep(gap), if more && !gap.is_zero() && open.len() < AT_ONCE => {}
            () = sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Answers of hosts that were found by nothing but their ports.
pub(super) fn answers(found: BTreeMap<IpAddr, (Duration, Vec<u16>)>, asked: &[u16]) -> Vec<Answer> {
    found
        .into_iter()
        .map(|(ip, (took, mut open))| {
            open.retain(|port| asked.contains(port));
            open.sort_unstable();
            Answer { rtt: Some(took), open, ..Answer::of(ip, Method::Tcp) }
        })
        .collect()
}
