//! What hosts say of themselves in multicast DNS (RFC 6762).
//!
//! The questions go to the group, but from a port of our own: such a legacy question is
//! answered to the asker alone. Only the owner of an address is believed about it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use crate::domain::name::DnsName;

/// Where hosts listen.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);
/// Questions in one packet.
const AT_ONCE: usize = 20;
/// How long to gather addresses for a packet.
const GATHER: Duration = Duration::from_millis(20);
/// How long to listen after the last question.
const LISTEN: Duration = Duration::from_millis(400);
/// How often the silent are asked.
const ROUNDS: usize = 2;
/// More names are not taken from one network.
const MOST: usize = 65_536;

/// Asks for the names of addresses as they come in.
pub(super) async fn ask(
    interfaces: &[Ipv4Addr],
    mut addresses: UnboundedReceiver<Vec<IpAddr>>,
    end: impl Future<Output = ()>,
) -> BTreeMap<IpAddr, DnsName> {
    let mut names = BTreeMap::new();
    let sockets: Vec<UdpSocket> = interfaces.iter().filter_map(|ip| open(*ip).ok()).collect();
    let Some(listening) = (!sockets.is_empty()).then_some(&sockets) else { return names };
    let mut silent: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    let mut more = true;
    let mut next = Instant::now() + GATHER;
    let mut last = None;
    tokio::pin!(end);
    while names.len() < MOST {
        let due = silent.values().any(|rounds| *rounds < ROUNDS);
        let done = last.map_or_else(Instant::now, |last: Instant| last + LISTEN);
        if !more && !due && Instant::now() >= done {
            break;
        }
        tokio::select! {
            ips = addresses.recv(), if more => match ips {
                Some(ips) => silent.extend(ips.into_iter().filter_map(|ip| match ip {
                    IpAddr::V4(ip) => Some((ip, 0)),
                    IpAddr::V6(_) => None,
                })),
                None => more = false,
            },
            heard = hear(listening) => {
                for (ip, name) in heard {
                    silent.remove(&ip);
                    names.insert(IpAddr::V4(ip), name);
                }
            },
            () = sleep_until(next), if due => {
                let batch: Vec<Ipv4Addr> = pick(&mut silent);
                send(listening, &batch).await;
                last = Some(Instant::now());
                // A round of its own for those who were asked once already.
                let wait = if silent.values().any(|rounds| *rounds == 0) { GATHER } else { LISTEN / 2 };
                next = Instant::now() + wait;
            },
            () = sleep_until(done), if !due && !more => {}
            () = &mut end => break,
        }
    }
    names
}

/// Those who were asked least, and now once more.
fn pick(silent: &mut BTreeMap<Ipv4Addr, usize>) -> Vec<Ipv4Addr> {
    let least = silent.values().copied().min().unwrap_or(ROUNDS);
    let batch: Vec<Ipv4Addr> = silent
        .iter()
        .filter(|(_, rounds)| **rounds == least)
        .map(|(ip, _)| *ip)
        .take(AT_ONCE)
        .collect();
    for ip in &batch {
        silent.entry(*ip).and_modify(|rounds| *rounds += 1);
    }
    batch
}

/// A socket that speaks to the group at one interface.
fn open(ip: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_if_v4(&ip)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(false)?;
    socket.bind(&SocketAddr::from((ip, 0)).into())?;
    UdpSocket::from_std(socket.into())
}

async fn send(sockets: &[UdpSocket], batch: &[Ipv4Addr]) {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    for ip in batch {
        message.add_query(Query::query(Name::from(*ip), RecordType::PTR));
    }
    let Ok(bytes) = message.to_vec() else { return };
    for socket in sockets {
        if let Err(error) = socket.send_to(&bytes, GROUP).await {
            tracing::debug!(%error, "a multicast question was not sent");
        }
    }
}

/// The names in the next packet that comes to any of the sockets.
async fn hear(sockets: &[UdpSocket]) -> Vec<(Ipv4Addr, DnsName)> {
    let ready = sockets.iter().map(|socket| Box::pin(socket.readable()));
    let (_, at, _) = futures::future::select_all(ready).await;
    let mut room = vec![0; 9000];
    match sockets[at].try_recv_from(&mut room) {
        Ok((length, from)) => read(&room[..length], from.ip()),
        Err(_) => Vec::new(),
    }
}

/// The names that a packet tells of its own sender.
fn read(bytes: &[u8], from: IpAddr) -> Vec<(Ipv4Addr, DnsName)> {
    let IpAddr::V4(from) = from else { return Vec::new() };
    let Ok(message) = Message::from_vec(bytes) else { return Vec::new() };
    if message.metadata.message_type != MessageType::Response {
        return Vec::new();
    }
    let own = Name::from(from);
    let names: BTreeSet<DnsName> = message
        .answers
        .iter()
        .filter(|record| record.name == own)
        .filter_map(|record| match &record.data {
            RData::PTR(name) => name.to_utf8().parse().ok(),
            _ => None,
        })
        .collect();
    names.into_iter().next().map(|name| (from, name)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::PTR;

    use super::*;

    fn told(answers: &[([u8; 4], &str)], message_type: MessageType) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.message_type = message_type;
        for (ip, name) in answers {
            let data = RData::PTR(PTR(Name::from_utf8(name).unwrap()));
            message.add_answer(Record::from_rdata(Name::from(Ipv4Addr::from(*ip)), 60, data));
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn a_host_is_believed_about_itself_alone() {
        let bytes = told(
            &[([192, 0, 2, 5], "printer.local."), ([192, 0, 2, 6], "router.local.")],
            MessageType::Response,
        );
        let heard = |from: [u8; 4]| {
            let names = read(&bytes, IpAddr::from(from));
            names.into_iter().map(|(ip, name)| format!("{ip} {name}")).collect::<Vec<_>>()
        };
        assert_eq!(heard([192, 0, 2, 5]), ["192.0.2.5 printer.local"]);
        assert_eq!(heard([192, 0, 2, 7]), [""; 0]);
    }

    #[test]
    fn questions_and_noise_tell_no_names() {
        let from = IpAddr::from([192, 0, 2, 5]);
        let question = told(&[([192, 0, 2, 5], "printer.local.")], MessageType::Query);
        assert!(read(&question, from).is_empty());
        assert!(read(b"", from).is_empty());
        assert!(read(&[0xff; 600], from).is_empty());
        let good = told(&[([192, 0, 2, 5], "printer.local.")], MessageType::Response);
        for length in 0..good.len() {
            assert!(read(&good[..length], from).is_empty(), "cut at {length}");
        }
    }
}
