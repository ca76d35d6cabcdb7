//! Sweeps from the request to the report.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netbox_agent::domain::diagnostic::Severity;
use netbox_agent::domain::mac::MacAddr;
use netbox_agent::net::names::Directory;
use netbox_agent::net::neighbor::{self, Standing};
use netbox_agent::net::sweep::schedule::Rate;
use netbox_agent::net::sweep::{self, Method, NameSource, Names, Report, Request};
use netbox_agent::progress::Silent;
use tokio_util::sync::CancellationToken;

use crate::home;
use crate::network::{Lab, Network, Player, crowd, mac, wire};

fn request(subnet: &str) -> Request {
    Request::of(vec![subnet.parse().expect("a subnet")])
}

fn sweep(lab: &Lab, request: Request) -> Report {
    lab.inside(async || {
        sweep::run(request, &CancellationToken::new(), Arc::new(Silent)).await.expect("a report")
    })
}

fn by_ip(report: &Report) -> BTreeMap<IpAddr, &sweep::Answer> {
    report.answers.iter().map(|answer| (answer.ip, answer)).collect()
}

/// The addresses that answered besides the machine's own.
fn found(report: &Report) -> BTreeSet<IpAddr> {
    report
        .answers
        .iter()
        .filter(|answer| answer.method != Method::Own)
        .map(|answer| answer.ip)
        .collect()
}

fn addresses(players: &[Player]) -> BTreeSet<IpAddr> {
    players.iter().map(|player| player.ip.into()).collect()
}

#[test]
fn a_home_network_is_found_with_macs_vendors_times_names_and_ports() {
    let mut network = home();
    network.resolver = Some(network.players[0].ip);
    for (number, player) in network.players.iter_mut().enumerate() {
        player.name = match number {
            1 => Some(wire::name(&[b"evil\n<b>", b"lan"])),
            2 => None,
            3 => Some(wire::name(&[b"10", b"0", b"0", b"1"])),
            _ => Some(wire::name(&[format!("Host{number}").as_bytes(), b"lan"])),
        };
        player.open = if number % 2 == 0 { [22, 8006].into() } else { [80].into() };
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let resolver = (players[0].ip, 53).into();
    let mut request = request("10.77.0.0/24");
    request.ports = vec![22, 80, 8006, 9999];
    request.ping = true;
    request.names = Some(Names {
        directory: Some(Directory::of(&[resolver]).unwrap()),
        multicast: false,
        patience: Duration::from_secs(5),
    });
    let report = sweep(&lab, request);

    assert_eq!(found(&report), addresses(&players));
    let answers = by_ip(&report);
    for (number, player) in players.iter().enumerate() {
        let answer = answers[&IpAddr::V4(player.ip)];
        assert_eq!(answer.mac, Some(MacAddr(player.mac)));
        assert_eq!((answer.method, answer.prefix_len), (Method::Arp, Some(24)));
        let rtt = answer.rtt.unwrap();
        assert!(rtt >= Duration::from_millis(1) && rtt < Duration::from_millis(200), "{rtt:?}");
        assert_eq!(answer.open, player.open.iter().copied().collect::<Vec<_>>());
        let name = answer.name.as_ref().map(|named| (named.name.as_str().to_owned(), named.source));
        match number {
            1..=3 => assert_eq!(name, None),
            _ => assert_eq!(name, Some((format!("host{number}.lan"), NameSource::Dns))),
        }
    }
    assert_eq!(answers[&IpAddr::V4(players[0].ip)].vendor(), Some("Proxmox Server Solutions GmbH"));
    let own = answers[&"10.77.0.1".parse::<IpAddr>().unwrap()];
    assert_eq!(own.method, Method::Own);
    assert!(own.mac.is_some());
    assert_eq!(report.swept.len(), 1);
    assert_eq!(
        (report.swept[0].asked, report.swept[0].answered, &report.swept[0].gap),
        (253, 28, &None)
    );
    assert_eq!(report.diagnostics, []);

    // What was opened was closed again, and nobody's first or last address was asked.
    let tally = lab.end();
    assert!(tally.reset >= 42, "{tally:?}");
    for ip in ["10.77.0.0", "10.77.0.255", "10.77.0.1"] {
        assert!(!tally.arp.contains_key(&ip.parse::<Ipv4Addr>().unwrap()), "{ip} was asked");
    }
}

#[test]
fn hosts_behind_a_lossy_network_are_all_found() {
    for rate in [Rate::Max, Rate::Adaptive] {
        let network = Network { loss: 0.1, ..home() };
        let players = network.players.clone();
        let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
        let report = sweep(&lab, Request { rate, ..request("10.77.0.0/24") });
        assert_eq!(found(&report), addresses(&players), "{rate:?}");
    }
}

#[test]
fn hosts_that_sleep_are_waited_for() {
    let mut network = home();
    for player in network.players.iter_mut().step_by(5) {
        player.sleeps = Duration::from_millis(120);
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    assert_eq!(found(&sweep(&lab, request("10.77.0.0/24"))), addresses(&players));
}

#[test]
fn a_network_that_bears_little_is_still_seen_whole() {
    let network = Network {
        capacity: Some((2_000.0, 64.0)),
        players: crowd([10, 77, 0, 0], 1022, 100),
        ..home()
    };
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/22"], network) else { return };
    let begun = Instant::now();
    let report = sweep(&lab, request("10.77.0.0/22"));
    assert_eq!(found(&report), addresses(&players));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn a_silent_network_leaves_the_kernels_neighbours_as_they_were() {
    let mut network = home();
    for player in &mut network.players {
        player.open = [22].into();
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/16"], network) else { return };
    // A resolver behind a router that is not there.
    lab.ip(&["route", "add", "default", "via", "10.77.255.254"]);
    let names = Names {
        directory: Some(Directory::of(&["198.51.100.53:53".parse().unwrap()]).unwrap()),
        multicast: true,
        patience: Duration::from_secs(2),
    };
    let count = |lab: &Lab| {
        lab.inside(async || {
            // Groups and the like have fixed entries.
            let table = neighbor::table().unwrap();
            table
                .iter()
                .filter(|entry| entry.ip.is_ipv4() && entry.standing != Standing::Fixed)
                .count()
        })
    };
    let before = count(&lab);
    let begun = Instant::now();
    let silent =
        Request { ports: vec![22, 80], names: Some(names.clone()), ..request("10.77.4.0/22") };
    let report = sweep(&lab, silent);
    assert_eq!(found(&report), BTreeSet::new());
    assert_eq!(report.swept[0].gap, None);
    assert_eq!(count(&lab), before);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    // Nor do hosts that answer, with ports that are open, fill it.
    let report =
        sweep(&lab, Request { ports: vec![22, 80], names: Some(names), ..request("10.77.0.0/24") });
    assert_eq!(found(&report), addresses(&players));
    assert!(
        report
            .answers
            .iter()
            .filter(|answer| answer.method == Method::Arp)
            .all(|answer| answer.open == [22])
    );
    assert!(
        report.diagnostics.iter().any(|diagnostic| diagnostic.code == "resolver_silent"),
        "{:?}",
        report.diagnostics
    );
    assert_eq!(count(&lab), before);
}

/// Does something to the network while a slow sweep is under way.
fn disturb(what: &[&str]) -> Option<Report> {
    let lab = Lab::build(
        &["10.77.0.1/22"],
        Network { players: crowd([10, 77, 0, 0], 1022, 300), ..home() },
    )?;
    let begun = Instant::now();
    let report = std::thread::scope(|scope| {
        let slow = Request { rate: Rate::AtMost(400), ..request("10.77.0.0/22") };
        let sweeping = scope.spawn(|| sweep(&lab, slow));
        std::thread::sleep(Duration::from_millis(700));
        lab.ip(what);
        sweeping.join().expect("the sweep ends")
    });
    assert!(begun.elapsed() < Duration::from_secs(2), "it hangs: {:?}", begun.elapsed());
    let count = found(&report).len();
    assert!((30..300).contains(&count), "{count} found");
    assert!(report.interrupted);
    assert!(report.swept[0].gap.is_some(), "{:?}", report.swept);
    Some(report)
}

fn failure(report: &Report) -> &str {
    let failures: Vec<_> =
        report.diagnostics.iter().filter(|diagnostic| diagnostic.code == "sweep_failed").collect();
    assert_eq!(failures.len(), 1, "{:?}", report.diagnostics);
    &failures[0].message
}

#[test]
fn an_interface_that_goes_down_ends_the_sweep_with_what_was_found() {
    let Some(report) = disturb(&["link", "set", "v-scan", "down"]) else { return };
    assert_eq!(
        failure(&report),
        "v-scan went down during the sweep; what was found until then is kept"
    );
}

#[test]
fn a_wide_sweep_without_a_limit_ends_when_its_interface_goes_down() {
    let network = Network { players: crowd([10, 77, 0, 0], 65_000, 300), ..home() };
    let Some(lab) = Lab::build(&["10.77.0.1/16"], network) else { return };
    let linger = Duration::from_secs(20);
    let wide = Request { rate: Rate::Max, linger, ..request("10.77.0.0/16") };
    let begun = Instant::now();
    let report = std::thread::scope(|scope| {
        let sweeping = scope.spawn(|| sweep(&lab, wide));
        std::thread::sleep(Duration::from_millis(1500));
        lab.ip(&["link", "set", "v-scan", "down"]);
        sweeping.join().expect("the sweep ends")
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "it hangs: {:?}", begun.elapsed());
    assert!(report.interrupted && !found(&report).is_empty());
    assert!(failure(&report).contains("v-scan went down"), "{}", failure(&report));
}

#[test]
fn an_interface_that_vanishes_ends_the_sweep_with_what_was_found() {
    let Some(report) = disturb(&["link", "del", "v-scan"]) else { return };
    assert!(failure(&report).contains("during the sweep"), "{}", failure(&report));
}

#[test]
fn a_subnet_that_vanishes_ends_the_sweep_with_what_was_found() {
    let Some(report) = disturb(&["addr", "del", "10.77.0.1/22", "dev", "v-scan"]) else { return };
    assert_eq!(
        failure(&report),
        "the address 10.77.0.1 left its interface during the sweep; what was found until then is kept"
    );
}

#[test]
fn a_sweep_that_is_cancelled_ends_at_once_with_what_was_found() {
    let network = Network { players: crowd([10, 77, 0, 0], 1022, 300), ..home() };
    let Some(lab) = Lab::build(&["10.77.0.1/22"], network) else { return };
    let (report, took) = lab.inside(async || {
        let cancel = CancellationToken::new();
        let slow = Request { rate: Rate::AtMost(400), ..request("10.77.0.0/22") };
        let sweep = sweep::run(slow, &cancel, Arc::new(Silent));
        let stop = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            cancel.cancel();
            Instant::now()
        };
        let (report, stopped) = tokio::join!(sweep, stop);
        (report.unwrap(), stopped.elapsed())
    });
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert!(report.interrupted && found(&report).len() > 20);
    assert_eq!(report.swept[0].gap.as_deref(), Some("the sweep was interrupted"));
    assert!(report.swept[0].asked < 1021);
}

#[test]
fn without_privileges_all_are_found_by_way_of_the_kernel() {
    for may_ping in ["1 0", "0 2147483647"] {
        let mut network = home();
        for player in network.players.iter_mut().step_by(4) {
            player.ignores_echo = true;
            player.filters = true;
        }
        let players = network.players.clone();
        let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
        lab.sysctl(&format!("net.ipv4.ping_group_range={may_ping}"));
        let begun = Instant::now();
        let report = sweep(&lab, Request { unprivileged: true, ..request("10.77.0.0/24") });
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(found(&report), addresses(&players));
        for player in &players {
            assert_eq!(by_ip(&report)[&IpAddr::V4(player.ip)].mac, Some(MacAddr(player.mac)));
        }
        assert_eq!(report.swept[0].method, Method::Neighbor);
        assert_warned(&report);
    }
}

/// Whoever sweeps without privileges is told what that costs, on the terminal too.
fn assert_warned(report: &Report) {
    let told = report.diagnostics.iter().find(|told| told.code == "sweep_unprivileged");
    assert_eq!(told.map(|told| told.severity), Some(Severity::Warning), "{:?}", report.diagnostics);
}

#[test]
fn two_owners_of_an_address_are_told() {
    let mut network = home();
    network.players.push(Player::new(network.players[3].ip, mac(900)));
    let twice = network.players[3].clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let report = sweep(&lab, request("10.77.0.0/24"));
    let answer = by_ip(&report)[&IpAddr::V4(twice.ip)];
    let macs: BTreeSet<MacAddr> = answer.mac.iter().chain(&answer.rivals).copied().collect();
    assert_eq!(macs, [MacAddr(twice.mac), MacAddr(mac(900))].into());
    let told: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.code == "duplicate_address")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(*told[0].about, *twice.ip.to_string());
}

#[test]
fn a_proxy_is_not_taken_for_the_hosts_it_answers_for() {
    let proxy = [0x00, 0x00, 0x0c, 1, 2, 3];
    let mut network = home();
    network.proxy = Some(proxy);
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let report = sweep(&lab, request("10.77.0.0/24"));
    assert_eq!(found(&report).len(), 253);
    for answer in report.answers.iter().filter(|answer| answer.method == Method::Arp) {
        let player = players.iter().find(|player| IpAddr::V4(player.ip) == answer.ip);
        match player {
            Some(player) => {
                assert_eq!((answer.mac, answer.proxied), (Some(MacAddr(player.mac)), false));
            }
            None => assert_eq!((answer.mac, answer.proxied), (Some(MacAddr(proxy)), true)),
        }
    }
    let told: Vec<_> = report.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(told, ["proxy_arp"]);
    assert!(report.swept[0].gap.as_deref().is_some_and(|gap| gap.contains("proxy")));
}

#[test]
fn a_proxy_for_few_is_recognised_by_answering_for_nobody() {
    let mut network = home();
    let router = [0x00, 0x00, 0x0c, 9, 9, 9];
    for last in [201, 202, 203] {
        network.players.push(Player::new(Ipv4Addr::new(10, 77, 0, last), router));
    }
    let ordinary = [0x00, 0x1b, 0x21, 9, 9, 9];
    for last in [211, 212, 213, 214] {
        network.players.push(Player::new(Ipv4Addr::new(10, 77, 0, last), ordinary));
    }
    network.players.push(Player::new(Ipv4Addr::new(192, 0, 2, 1), router));
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let report = sweep(&lab, request("10.77.0.0/24"));
    let answers = by_ip(&report);
    let proxied = |last| answers[&IpAddr::from([10, 77, 0, last])].proxied;
    assert!(proxied(201) && proxied(203));
    assert!(!proxied(211) && !proxied(214), "a host may have several addresses");
}

#[test]
fn a_subnet_beyond_a_router_is_asked_by_echo_and_has_no_macs() {
    let mut network = home();
    let router = network.players[0].ip;
    let mut far = crowd([10, 88, 0, 0], 254, 20);
    for (number, player) in far.iter_mut().enumerate() {
        player.behind = Some(router);
        player.open = [443].into();
        player.ignores_echo = number == 5;
    }
    network.players.extend(far.clone());
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.ip(&["route", "add", "10.88.0.0/24", "via", &router.to_string()]);
    let report = sweep(&lab, Request { ports: vec![443], ..request("10.88.0.0/24") });
    let expected: BTreeSet<IpAddr> =
        addresses(&far).into_iter().filter(|ip| *ip != IpAddr::V4(far[5].ip)).collect();
    assert_eq!(found(&report), expected);
    for answer in &report.answers {
        assert_eq!((answer.mac, answer.prefix_len, answer.method), (None, None, Method::Icmp));
        assert!(answer.rtt.is_some());
        assert_eq!(answer.open, [443]);
    }
    assert_eq!(
        report.swept[0].gap.as_deref(),
        Some("hosts beyond a router may ignore echo requests")
    );

    // Without any privilege connections are what is left, and it is said what they prove.
    let poor = Request {
        unprivileged: true,
        rate: Rate::Max,
        ports: vec![443],
        ..request("10.88.0.0/24")
    };
    let report = sweep(&lab, poor);
    assert_eq!(found(&report), addresses(&far));
    assert_eq!(report.swept[0].method, Method::Tcp);
    assert!(report.swept[0].gap.is_some());
    assert_warned(&report);
}

#[test]
fn hosts_of_ipv6_are_found_on_the_link() {
    let mut network = home();
    for (number, player) in network.players.iter_mut().enumerate() {
        player.six = Some(format!("fd42:1ab::{:x}", 0x100 + number).parse().unwrap());
        player.ignores_echo = number % 3 == 0;
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24", "fd42:1ab::ffff:1/64"], network) else { return };
    let report = sweep(&lab, request("fd42:1ab::/64"));
    let expected: BTreeSet<IpAddr> =
        players.iter().filter_map(|player| player.six).map(IpAddr::V6).collect();
    assert_eq!(found(&report), expected);
    for player in &players {
        let answer = by_ip(&report)[&IpAddr::V6(player.six.unwrap())];
        assert_eq!((answer.mac, answer.prefix_len), (Some(MacAddr(player.mac)), Some(64)));
    }
    assert!(report.swept[0].gap.is_some());

    // Beside a sweep of IPv4 the link-local addresses show as well.
    let report = sweep(&lab, Request { ipv6: true, ..request("10.77.0.0/24") });
    let local: BTreeSet<IpAddr> =
        players.iter().map(|player| wire::link_local(player.mac).into()).collect();
    assert!(found(&report).is_superset(&local));
    assert!(found(&report).is_superset(&addresses(&players)));
}

#[test]
fn hosts_tell_their_own_names_by_multicast() {
    let mut network = home();
    for (number, player) in network.players.iter_mut().enumerate().step_by(2) {
        player.own_name = Some(wire::name(&[format!("printer-{number}").as_bytes(), b"local"]));
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.ip(&["route", "add", "224.0.0.0/4", "dev", "v-scan"]);
    let names = Names { directory: None, multicast: true, patience: Duration::from_secs(3) };
    let report = sweep(&lab, Request { names: Some(names), ..request("10.77.0.0/24") });
    for (number, player) in players.iter().enumerate() {
        let name = by_ip(&report)[&IpAddr::V4(player.ip)].name.clone();
        let expected =
            (number % 2 == 0).then(|| (format!("printer-{number}.local"), NameSource::Mdns));
        assert_eq!(name.map(|named| (named.name.to_string(), named.source)), expected);
    }
}

#[test]
fn known_hosts_are_asked_alone_and_excluded_ones_never() {
    let network = home();
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    // All but the first are known; the second one has another interface now.
    let mut known: BTreeMap<IpAddr, MacAddr> =
        players.iter().skip(1).map(|player| (player.ip.into(), MacAddr(player.mac))).collect();
    known.insert(players[1].ip.into(), MacAddr([2, 2, 2, 2, 2, 2]));
    let excluded = players[27].ip;
    let asked = Request {
        known: Arc::new(known),
        exclude: vec!["10.77.0.128/26".parse().unwrap(), IpAddr::V4(excluded).into()],
        ..request("10.77.0.0/24")
    };
    let report = sweep(&lab, asked);
    let in_peace = |ip: Ipv4Addr| ip == excluded || (128..192).contains(&ip.octets()[3]);
    let expected: Vec<Player> =
        players.iter().filter(|player| !in_peace(player.ip)).cloned().collect();
    assert_eq!(found(&report), addresses(&expected));
    let left_out: Vec<String> = report.left_out.iter().map(|(net, _)| net.to_string()).collect();
    assert_eq!(left_out, ["10.77.0.128/26".to_owned(), format!("{excluded}/32")]);
    let tally = lab.end();
    assert!(tally.arp.keys().all(|ip| !in_peace(*ip)), "{:?}", tally.arp);
    assert!(tally.arp[&players[1].ip] >= 2);
}

#[test]
fn a_large_network_is_found_whole_without_a_limit() {
    let mut network = Network { players: crowd([10, 77, 0, 0], 65_000, 3_000), ..home() };
    for player in network.players.iter_mut().step_by(2) {
        player.open = [443].into();
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/16"], network) else { return };
    let wide = Request {
        rate: Rate::Max,
        linger: sweep::HASTY_LINGER,
        ports: vec![443],
        ..request("10.77.0.0/16")
    };
    let report = sweep(&lab, wide);
    assert_eq!(found(&report), addresses(&players));
    let answers = by_ip(&report);
    for player in &players {
        let answer = answers[&IpAddr::V4(player.ip)];
        assert_eq!(answer.mac, Some(MacAddr(player.mac)));
        assert!(answer.open.iter().eq(&player.open), "{:?} of {:?}", answer.open, player.open);
    }
    let gap = report.swept[0].gap.as_deref();
    assert_eq!(gap, Some("it waited too short for hosts that save power"), "and nothing worse");
}

#[test]
fn the_machine_itself_is_swept_on_its_loopback() {
    let Some(lab) = Lab::build(&["10.77.0.1/24"], Network::default()) else { return };
    for unprivileged in [false, true] {
        let report = sweep(&lab, Request { unprivileged, ..request("127.0.0.0/29") });
        let found: Vec<String> =
            report.answers.iter().map(|answer| answer.ip.to_string()).collect();
        let all: Vec<String> = (1..7).map(|last| format!("127.0.0.{last}")).collect();
        assert_eq!(found, all);
        assert_eq!(report.answers[0].method, Method::Own);
    }
}

#[test]
fn what_must_not_be_swept_is_refused() {
    let refused = |subnet: &str, large: bool| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = Request { large, ..request(subnet) };
        let cancel = CancellationToken::new();
        runtime.block_on(sweep::run(request, &cancel, Arc::new(Silent))).unwrap_err().to_string()
    };
    assert_eq!(
        refused("10.0.0.0/8", false),
        "cannot sweep 10.0.0.0/8: it is larger than a /16; sweep parts of it, or allow large subnets"
    );
    assert_eq!(
        refused("224.0.0.0/24", false),
        "cannot sweep 224.0.0.0/24: no host has such an address"
    );
    assert_eq!(
        refused("240.0.0.0/4", true),
        "cannot sweep 240.0.0.0/4: no host has such an address"
    );
    assert_eq!(refused("ff02::/64", false), "cannot sweep ff02::/64: no host has such an address");
}
