//! The network that tests play, as the kernel sees it: independent of the code under test.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod network;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use network::{Lab, Network, Player, crowd, wire};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(5);

/// Ten hosts with SSH on a link without delay.
fn ten() -> Network {
    let mut players = crowd([10, 77, 0, 0], 254, 10);
    for player in &mut players {
        player.open = [22].into();
    }
    Network { players, ..Network::default() }
}

/// How long a connection took, or how it failed.
fn connect(ip: IpAddr, port: u16) -> Result<Duration, ErrorKind> {
    let begun = Instant::now();
    TcpStream::connect_timeout(&SocketAddr::from((ip, port)), PATIENCE)
        .map(|_| begun.elapsed())
        .map_err(|error| error.kind())
}

/// Who answers an echo request of the kernel's own kind within a while.
fn echoes(to: SockAddr, wait: Duration) -> Vec<IpAddr> {
    let (domain, protocol, request): (_, _, [u8; 8]) = if to.is_ipv6() {
        (Domain::IPV6, Protocol::ICMPV6, [128, 0, 0, 0, 0, 0, 0, 1])
    } else {
        (Domain::IPV4, Protocol::ICMPV4, [8, 0, 0, 0, 0, 0, 0, 1])
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol)).unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send_to(&request, &to).unwrap();
    let socket = UdpSocket::from(socket);
    let mut room = [0; 64];
    std::iter::from_fn(|| socket.recv_from(&mut room).ok().map(|(_, from)| from.ip())).collect()
}

#[test]
fn hosts_answer_arp_echo_and_connections_to_the_kernel() {
    let network = ten();
    let host = network.players[3].clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.sysctl("net.ipv4.ping_group_range=0 2147483647");
    lab.within(|| {
        assert!(connect(host.ip.into(), 22).is_ok());
        assert_eq!(connect(host.ip.into(), 23), Err(ErrorKind::ConnectionRefused));
        let to = SockAddr::from(SocketAddr::from((host.ip, 0)));
        assert_eq!(echoes(to, Duration::from_millis(300)), [IpAddr::from(host.ip)]);
    });
    let output = lab.command("ip").args(["neigh", "show", &host.ip.to_string()]).output().unwrap();
    let mac = host.mac.map(|octet| format!("{octet:02x}")).join(":");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&mac), "{output:?}");
    let tally = lab.end();
    assert_eq!(tally.arp[&host.ip], 1);
    assert_eq!((tally.broadcasts, tally.echo, tally.syn), (1, 1, 2));
}

#[test]
fn hosts_of_ipv6_answer_for_themselves_and_together() {
    let mut network = ten();
    for (number, player) in network.players.iter_mut().enumerate() {
        player.six = Some(format!("fd42:1ab::{:x}", 0x10 + number).parse().unwrap());
    }
    let sixes: Vec<Ipv6Addr> = network.players.iter().filter_map(|player| player.six).collect();
    let Some(lab) = Lab::build(&["10.77.0.1/24", "fd42:1ab::ffff:1/64"], network.clone()) else {
        return;
    };
    lab.sysctl("net.ipv4.ping_group_range=0 2147483647");
    let all = lab.within(|| {
        let one = SockAddr::from(SocketAddr::from((sixes[4], 0)));
        assert_eq!(echoes(one, Duration::from_millis(300)), [IpAddr::from(sixes[4])]);
        let index = lab_index(&lab);
        let all = SocketAddrV6::new("ff02::1".parse().unwrap(), 0, 0, index);
        let mut all = echoes(SockAddr::from(all), Duration::from_millis(300));
        all.sort_unstable();
        all
    });
    // The machine itself is one of all nodes.
    for player in &network.players {
        assert!(all.contains(&wire::link_local(player.mac).into()), "{player:?} in {all:?}");
    }
    assert!(lab.end().solicitations >= 1);
}

fn lab_index(lab: &Lab) -> u32 {
    let output = lab.command("ip").args(["-o", "link", "show", network::SCANNER]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(':').next().unwrap().trim().parse().unwrap()
}

#[test]
fn answers_take_their_time_and_sleepers_wake_once() {
    let mut network = Network { delay: Duration::from_millis(20), ..ten() };
    network.players[1].delay = Duration::from_millis(60);
    network.players[2].sleeps = Duration::from_millis(250);
    let [usual, slow, sleeper] = [0, 1, 2].map(|number: usize| network.players[number].ip.into());
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.within(|| {
        // First the neighbour is asked for, and then the host.
        assert!(connect(usual, 22).unwrap() >= Duration::from_millis(40));
        assert!(connect(slow, 22).unwrap() >= Duration::from_millis(160));
        assert!(connect(sleeper, 22).unwrap() >= Duration::from_millis(290));
        assert!(connect(sleeper, 22).unwrap() < Duration::from_millis(240), "it is awake");
    });
}

#[test]
fn what_is_lost_and_what_is_too_much_is_counted() {
    let network = Network { capacity: Some((50.0, 20.0)), ..ten() };
    let players = network.players.clone();
    let Some(mut lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.within(|| {
        assert!(connect(players[0].ip.into(), 22).is_ok());
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..200 {
            let _ = socket.send_to(b"", (players[0].ip, 9));
        }
    });
    let wait = Instant::now();
    while lab.stats().udp < 200 && wait.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut lossy = ten();
    lossy.players[1].loss = 1.0;
    let before = lab.play(lossy);
    assert_eq!(before.udp, 200);
    assert!((100..200).contains(&before.dropped), "{before:?}");

    lab.ip(&["neigh", "flush", "all"]);
    let silent = lab.within(|| connect(players[1].ip.into(), 22));
    assert!(silent.is_err());
    let tally = lab.end();
    assert!(tally.lost >= 1 && tally.lost == u64::from(tally.arp[&players[1].ip]), "{tally:?}");
}

#[test]
fn hosts_behind_a_router_are_reached_through_it() {
    let mut network = ten();
    let router = network.players[0].clone();
    let mut far = Player::new([10, 88, 0, 5].into(), [2, 0, 0, 0, 0, 5]);
    far.behind = Some(router.ip);
    far.open = [443].into();
    network.players.push(far.clone());
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.ip(&["route", "add", "10.88.0.0/24", "via", &router.ip.to_string()]);
    assert!(lab.within(|| connect(far.ip.into(), 443)).is_ok());
    let tally = lab.end();
    assert!(!tally.arp.contains_key(&far.ip) && tally.arp.contains_key(&router.ip));
}

#[test]
fn labs_stand_side_by_side_and_leave_nothing_behind() {
    let Some(first) = Lab::build(&["10.77.0.1/24"], ten()) else { return };
    let name = first.name().to_owned();
    let host = crowd([10, 77, 0, 0], 254, 10)[0].ip.into();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let second = Lab::build(&["10.77.0.1/24"], ten()).unwrap();
        assert!(second.within(|| connect(host, 22)).is_ok());
        std::panic::resume_unwind(Box::new(second.name().to_owned()));
    }));
    let gone = panic.unwrap_err().downcast::<String>().unwrap();
    assert!(!stands(&gone), "{gone} was left behind by a test that failed");
    assert!(stands(&name) && first.within(|| connect(host, 22)).is_ok());
    drop(first);
    assert!(!stands(&name), "{name} was left behind");
}

/// Whether there is such a namespace.
fn stands(name: &str) -> bool {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == name)
}
