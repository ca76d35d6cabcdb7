//! `scan` as a person and a script meet it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use netbox_agent::domain::mac::MacAddr;
use serde_json::{Value as Json, json};

use crate::home;
use crate::network::{Lab, Network, crowd, wire};
use crate::program::{End, Program, can_become_nobody};

/// The hosts of a document besides the machine's own addresses.
fn hosts(document: &Json) -> Vec<&Json> {
    let hosts = document["hosts"].as_array().unwrap();
    hosts.iter().filter(|host| host["method"] != "own").collect()
}

#[test]
fn a_home_network_is_printed_for_programs() {
    let mut network = home();
    network.resolver = Some(network.players[0].ip);
    for (number, player) in network.players.iter_mut().enumerate() {
        player.name = Some(wire::name(&[format!("host{number}").as_bytes(), b"lan"]));
        player.open = if number % 2 == 0 { [22, 8006].into() } else { [80].into() };
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let resolver = players[0].ip.to_string();
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.0/24", "--resolver", &resolver];
    let more = ["--ports", "22,80,8000-8010", "--format", "json"];
    let end = program.run(Some(&lab), &[&scan[..], &more].concat());
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    assert_eq!(end.out.lines().count(), 1);
    let document = end.json();
    assert_eq!(document["version"], 1);
    assert_eq!(document["interrupted"], false);
    let found = hosts(&document);
    assert_eq!(found.len(), 28);
    for (number, (host, player)) in found.iter().zip(&players).enumerate() {
        assert_eq!(host["ip"], json!(player.ip));
        assert_eq!(host["mac"], json!(MacAddr(player.mac).to_string()));
        assert!(host["vendor"].is_string() && host["rtt_ms"].as_f64().unwrap() >= 1.0, "{host}");
        assert_eq!(host["name"], json!(format!("host{number}.lan")));
        assert_eq!((&host["name_from"], &host["method"]), (&json!("dns"), &json!("arp")));
        let ports: Vec<u64> = host["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port["port"].as_u64().unwrap())
            .collect();
        let expected: Vec<u64> = player.open.iter().map(|port| u64::from(*port)).collect();
        assert_eq!(ports, expected);
    }
    assert_eq!(found[1]["ports"][0], json!({"port": 80, "protocol": "tcp", "service": "http"}));
    let subnet = &document["subnets"][0];
    assert_eq!((&subnet["asked"], &subnet["answered"]), (&json!(253), &json!(28)));
    assert_eq!((&subnet["complete"], &subnet["interface"]), (&json!(true), &json!("v-scan")));
}

#[test]
fn tables_and_sheets_have_a_line_for_each_host() {
    let Some(lab) = Lab::build(&["10.77.0.1/24"], home()) else { return };
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.0/24", "--no-dns", "--rate", "max"];
    let table = program.run(Some(&lab), &scan);
    let rows = table.out.lines().filter(|line| line.trim().starts_with("10.77.0.")).count();
    // The machine's own address is one of them; the last line but one tells of the subnet.
    assert_eq!((table.code, rows), (Some(0), 28 + 1 + 1), "{table:?}");
    assert!(table.out.contains("not proven unused: it waited too short"), "{table:?}");
    let patient = program.run(Some(&lab), &scan[..4]);
    assert!(patient.out.contains("what is silent is proven unused"), "{patient:?}");
    let sheet = program.run(Some(&lab), &[&scan[..], &["--format", "csv"]].concat());
    let lines: Vec<&str> = sheet.out.lines().collect();
    assert_eq!(lines[0], "ip,mac,vendor,rtt_ms,name,ports,method,prefix_length");
    assert_eq!(lines.len(), 1 + 28 + 1);
    assert!(lines[2..].iter().all(|line| line.ends_with(",arp,24")), "{lines:?}");
}

#[test]
fn nothing_is_asked_but_what_was_named() {
    let network = home();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.128/25", "--exclude", "10.77.0.192/26"];
    let end = program.run(Some(&lab), &[&scan[..], &["--no-dns", "--format", "json"]].concat());
    assert_eq!(end.code, Some(0), "{end:?}");
    let document = end.json();
    let left_out = document["left_out"].to_string();
    assert!(
        left_out.contains("10.77.0.192/26") && left_out.contains("10.77.0.128/32"),
        "{left_out}"
    );
    let tally = lab.end();
    assert!(!tally.arp.is_empty());
    assert!(tally.arp.keys().all(|ip| (128..192).contains(&ip.octets()[3])), "{:?}", tally.arp);
    assert_eq!((tally.udp, tally.echo, tally.solicitations), (0, 0, 0));
}

#[test]
fn the_rate_that_was_told_is_kept_by_the_whole_program() {
    let Some(lab) = Lab::build(&["10.77.0.1/24"], Network::default()) else { return };
    let begun = Instant::now();
    let scan = ["scan", "--subnet", "10.77.0.0/25", "--no-dns", "--rate", "100"];
    let end = Program::new().run(Some(&lab), &scan);
    assert_eq!(end.code, Some(0), "{end:?}");
    // Two rounds over 125 addresses, less what may leave at once.
    assert!(begun.elapsed() > Duration::from_millis(2_000), "{:?}", begun.elapsed());
}

#[test]
fn without_any_privilege_all_are_found_and_it_is_said_how() {
    if !can_become_nobody() {
        return;
    }
    for may_ping in ["1 0", "0 2147483647"] {
        let network = home();
        let players = network.players.clone();
        let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
        lab.sysctl(&format!("net.ipv4.ping_group_range={may_ping}"));
        let program = Program::new();
        let scan = ["scan", "--subnet", "10.77.0.0/24", "--no-dns", "--format", "json"];
        let end = End::of(&program.as_nobody(Some(&lab), &scan).output().unwrap());
        assert_eq!(end.code, Some(0), "{end:?}");
        let document = end.json();
        let found = hosts(&document);
        assert_eq!(found.len(), 28, "{document}");
        assert!(found.iter().zip(&players).all(|(host, player)| {
            host["mac"] == json!(MacAddr(player.mac).to_string()) && host["method"] == "neighbor"
        }));
        assert_eq!(end.err.lines().count(), 1, "{end:?}");
        assert!(end.err.contains("CAP_NET_RAW") && end.err.contains("kernel"), "{end:?}");
        // Gently: at 500 a second and 32 at once, 253 addresses take a while.
        assert!(document["seconds"].as_f64().unwrap() > 0.4, "{document}");
        assert!(document["seconds"].as_f64().unwrap() < 2.5, "{document}");
    }
}

#[test]
fn one_capability_is_enough_for_all_of_it() {
    if !can_become_nobody() {
        return;
    }
    let mut network = home();
    for player in &mut network.players {
        player.open = [80].into();
        player.six = Some(std::net::Ipv6Addr::new(
            0xfd42,
            0x1ab,
            0,
            0,
            0,
            0,
            0,
            0x100 + u16::from(player.mac[5]),
        ));
    }
    let Some(lab) = Lab::build(&["10.77.0.1/24", "fd42:1ab::ffff:1/64"], network) else { return };
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.0/24,fd42:1ab::/64", "--no-dns", "--ports", "80"];
    let mut command =
        program.with_net_raw(Some(&lab), &[&scan[..], &["--format", "json"]].concat());
    let end = End::of(&command.output().unwrap());
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    let document = end.json();
    let by = |method: &str| {
        let hosts = hosts(&document).into_iter();
        hosts.filter(|host| host["method"] == method && host["ports"][0]["port"] == 80).count()
    };
    assert_eq!((by("arp"), hosts(&document).len()), (28, 28 + 28), "{document:#}");
    // None of that went by way of the kernel's neighbours of IPv4.
    let neighbors = lab.command("ip").args(["-4", "neighbor"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&neighbors.stdout), "");
}

#[test]
fn the_loopback_answers_root_and_everybody_else() {
    let program = Program::new();
    let scan = ["scan", "--subnet", "127.0.0.0/28", "--no-dns", "--format", "json"];
    let mut ends = vec![program.run(None, &scan)];
    if can_become_nobody() {
        ends.push(End::of(&program.as_nobody(None, &scan).output().unwrap()));
    }
    for end in ends {
        assert_eq!(end.code, Some(0), "{end:?}");
        let document = end.json();
        let hosts = document["hosts"].as_array().unwrap();
        let ips: Vec<&str> = hosts.iter().map(|host| host["ip"].as_str().unwrap()).collect();
        let all: Vec<String> = (1..15).map(|last| format!("127.0.0.{last}")).collect();
        assert_eq!(ips, all);
        let timed = |host: &Json| host["rtt_ms"].is_number() && host["mac"].is_null();
        assert!(hosts.iter().all(timed), "{document}");
    }
}

#[test]
fn what_cannot_be_swept_is_one_line_and_nothing_is_begun() {
    // In a network of its own: whatever were begun by mistake would reach nobody.
    let Some(lab) = Lab::empty(&["10.77.0.1/24"]) else { return };
    let program = Program::new();
    let refused: [(&[&str], &str); 9] = [
        (&["10.0.0.0/33"], "10.0.0.0/33"),
        (&["banana"], "banana"),
        (&[""], "subnet"),
        (&["10.0.0.0/8"], "--large"),
        (&["224.0.0.0/24"], "no host"),
        (&["0.0.0.0/0", "--large"], "larger than a /8"),
        (&["10.0.0.0/24", "--ports", "0"], "port"),
        (&["10.0.0.0/24", "--rate", "fast"], "max"),
        (&["10.0.0.0/24", "--resolver", "dns"], "resolver"),
    ];
    for (arguments, part) in refused {
        let end = program.run(Some(&lab), &[&["scan", "--subnet"], arguments].concat());
        end.is_one_line(2, &["error: ", part]);
    }
}

#[test]
fn a_subnet_that_no_route_leads_to_is_a_failure_that_says_so() {
    let Some(lab) = Lab::build(&["10.77.0.1/24"], home()) else { return };
    let program = Program::new();
    let begun = Instant::now();
    for subnet in ["198.51.100.0/24", "198.51.100.0/29", "198.51.100.7"] {
        let end =
            program.run(Some(&lab), &["scan", "--subnet", subnet, "--no-dns", "--format", "json"]);
        assert_eq!((end.code, end.err.lines().count()), (Some(1), 1), "{end:?}");
        assert!(end.err.contains("no route leads there"), "{end:?}");
        let document = end.json();
        assert_eq!(document["subnets"][0]["complete"], false);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_link_without_a_carrier_is_a_failure_and_costs_the_kernel_nothing() {
    let Some(lab) = Lab::empty(&["10.77.0.1/24"]) else { return };
    let other = lab.name().replace("-scan", "-net");
    let down = ["-n", other.as_str(), "link", "set", "v-net", "down"];
    assert!(std::process::Command::new("ip").args(down).status().unwrap().success());
    let program = Program::new();
    let end = program.run(Some(&lab), &["scan", "--subnet", "10.77.0.0/24", "--no-dns"]);
    assert_eq!((end.code, end.err.lines().count()), (Some(1), 1), "{end:?}");
    assert!(end.err.contains("v-scan, at which it lies, has no carrier"), "{end:?}");
    let neighbors = lab.command("ip").args(["-4", "neighbor"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&neighbors.stdout), "");
}

/// A slow scan of many hosts, and what is done to it on the way.
fn disturbed(disturb: impl FnOnce(&Lab, u32)) -> Option<(End, Duration)> {
    let network = Network { players: crowd([10, 77, 0, 0], 1022, 300), ..home() };
    let lab = Lab::build(&["10.77.0.1/22"], network)?;
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.0/22", "--no-dns", "--rate", "300"];
    let mut command = program.command(Some(&lab), &[&scan[..], &["--format", "json"]].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    disturb(&lab, child.id());
    let begun = Instant::now();
    let end = End::of(&child.wait_with_output().unwrap());
    let document = end.json();
    let count = hosts(&document).len();
    assert!((20..300).contains(&count), "{count} found: {}", end.err);
    assert_eq!(document["interrupted"], true);
    assert_eq!(document["subnets"][0]["complete"], false);
    assert_eq!(end.code, Some(3), "{}", end.err);
    Some((end, begun.elapsed()))
}

#[test]
fn an_interrupt_ends_it_at_once_with_what_was_found() {
    let interrupt = |_: &Lab, child: u32| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    };
    let Some((_, took)) = disturbed(interrupt) else { return };
    assert!(took < Duration::from_millis(800), "{took:?}");
}

#[test]
fn an_interface_that_goes_down_is_one_line_with_what_was_found() {
    let down = |lab: &Lab, _: u32| lab.ip(&["link", "set", "v-scan", "down"]);
    let Some((end, took)) = disturbed(down) else { return };
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(end.err.lines().count(), 1, "{end:?}");
    assert!(end.err.contains("v-scan went down during the sweep"), "{end:?}");
}

#[test]
fn an_unprivileged_sweep_notices_that_its_interface_goes_down() {
    if !can_become_nobody() {
        return;
    }
    let network = Network { players: crowd([10, 77, 0, 0], 1022, 300), ..home() };
    let Some(lab) = Lab::build(&["10.77.0.1/22"], network) else { return };
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.0/22", "--no-dns", "--format", "json"];
    let mut command = program.as_nobody(Some(&lab), &scan);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    lab.ip(&["link", "set", "v-scan", "down"]);
    let begun = Instant::now();
    let end = End::of(&child.wait_with_output().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(end.code, Some(3), "{}", end.err);
    assert!(end.err.contains("went down during the sweep"), "{}", end.err);
    assert_eq!(end.json()["subnets"][0]["complete"], false);
}

#[test]
fn a_flood_of_one_mac_address_is_a_proxy_without_privileges_too() {
    if !can_become_nobody() {
        return;
    }
    let network = Network { proxy: Some([0x00, 0x00, 0x0c, 1, 2, 3]), ..home() };
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let program = Program::new();
    let scan = ["scan", "--subnet", "10.77.0.0/24", "--no-dns", "--format", "json"];
    let end = End::of(&program.as_nobody(Some(&lab), &scan).output().unwrap());
    assert!(end.err.contains("proxy ARP"), "{}", end.err);
    let document = end.json();
    assert!(hosts(&document).iter().any(|host| host["proxied"] == true));
    assert_eq!(document["subnets"][0]["complete"], false);
}
