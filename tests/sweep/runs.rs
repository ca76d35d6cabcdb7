//! A sweep as a source: whole runs of the program into the local inventory.

use std::time::Duration;

use netbox_agent::domain::mac::MacAddr;
use serde_json::Value as Json;

use crate::home;
use crate::network::{Lab, Player, crowd, mac, wire};
use crate::program::{End, Program, can_become_nobody};

/// A configuration with one sweep, and `extra` keys for it.
fn configuration(program: &Program, extra: &str) -> String {
    let text = format!(
        "[agent]\nname = \"test\"\nstate_dir = {:?}\n[[source]]\nkind = \"sweep\"\nname = \"lan\"\nmdns = false\n{extra}\n",
        program.path("state")
    );
    program.put("agent.toml", &text)
}

fn run(program: &Program, lab: &Lab, arguments: &[&str]) -> End {
    let config = program.path("agent.toml");
    program.run(Some(lab), &[&["--config", config.to_str().unwrap()], arguments].concat())
}

/// A sync that must end so; gives its report.
fn sync(program: &Program, lab: &Lab) -> Json {
    let end = run(program, lab, &["sync", "--format", "json"]);
    assert_eq!(end.code, Some(0), "{}\n{}", end.out, end.err);
    end.json()
}

/// A second run has nothing to write, and says so.
fn is_settled(program: &Program, lab: &Lab) {
    let again = sync(program, lab);
    assert_eq!(again["summary"]["planned"], 0, "{again:#}");
    let plan = run(program, lab, &["plan", "--detailed-exit-code"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
}

fn inventory(program: &Program, lab: &Lab) -> Json {
    let end = run(program, lab, &["inventory", "--format", "json"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    end.json()
}

/// The one object of a list whose key has this value.
fn one<'a>(list: &'a Json, key: &str, value: &str) -> &'a Json {
    let list = list.as_array().unwrap();
    let mut fitting = list.iter().filter(|item| item[key] == value);
    let found = fitting.next().unwrap_or_else(|| panic!("no {key} is {value}: {list:#?}"));
    assert!(fitting.next().is_none(), "several have {key} = {value}: {list:#?}");
    found
}

/// The device whose interface has this MAC address.
fn owner(inventory: &Json, mac: [u8; 6]) -> &Json {
    let mac = MacAddr(mac).to_string();
    let hosts = inventory["hosts"].as_array().unwrap();
    let has = |host: &&Json| host.to_string().to_lowercase().contains(&mac);
    let owners: Vec<&Json> = hosts.iter().filter(has).collect();
    assert_eq!(owners.len(), 1, "{mac}: {owners:#?}");
    owners[0]
}

#[test]
fn hosts_become_devices_and_a_second_run_writes_nothing() {
    let mut network = home();
    network.resolver = Some(network.players[0].ip);
    for (number, player) in network.players.iter_mut().enumerate() {
        player.name = Some(wire::name(&[format!("host{number}").as_bytes(), b"lan"]));
        player.open = [22].into();
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let program = Program::new();
    let keys = format!("resolvers = [\"{}\"]\nports = [22]", players[0].ip);
    configuration(&program, &keys);
    let first = sync(&program, &lab);
    assert_eq!(first["summary"]["failed"], 0, "{first:#}");
    let inventory = inventory(&program, &lab);
    for (number, player) in players.iter().enumerate() {
        let device = owner(&inventory, player.mac);
        let name = format!("host{number}");
        assert_eq!(device["name"], name.as_str(), "{device:#}");
        assert_eq!(device["primary_ip4"], format!("{}/24", player.ip), "{device:#}");
        assert!(
            device["manufacturer"].as_str().is_some_and(|maker| maker != "Unknown"),
            "{device:#}"
        );
        assert!(device.to_string().contains("ssh"), "{device:#}");
    }
    assert_eq!(inventory["hosts"].as_array().unwrap().len(), 28);
    // The MAC address of the machine itself was made up by the kernel.
    one(&inventory["unassigned_addresses"], "address", "10.77.0.1/24");
    one(&inventory["prefixes"], "prefix", "10.77.0.0/24");
    is_settled(&program, &lab);
}

#[test]
fn hostile_names_break_nothing() {
    let mut network = home();
    network.resolver = Some(network.players[0].ip);
    let long = [b'a'; 63];
    let names: [&[&[u8]]; 12] = [
        &[b"evil\n\x1b[2Jname", b"lan"],
        &[b"<script>alert(1)</script>", b"lan"],
        &[&long, &long, &long, &long[..61]],
        &["grüße".as_bytes(), b"lan"],
        &["\u{202e}nal.tsoh".as_bytes()],
        &[b"\xff\xfe\x00", b"lan"],
        &[b"'; DROP TABLE dcim_device; --"],
        &[b"{{ 7 * 7 }}", b"lan"],
        &[b"=cmd|' /C calc'!A0"],
        &[b"a.b", b"lan"],
        &[b"10", b"0", b"0", b"1"],
        &[b"-", b"_", b"lan"],
    ];
    for (player, name) in network.players.iter_mut().zip(names) {
        player.name = Some(wire::name(name));
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let program = Program::new();
    configuration(&program, &format!("resolvers = [\"{}\"]", players[0].ip));
    let resolver = players[0].ip.to_string();
    let scan = ["scan", "--subnet", "10.77.0.0/24", "--resolver", &resolver];
    for format in ["table", "json", "csv"] {
        let end = program.run(Some(&lab), &[&scan[..], &["--format", format]].concat());
        assert_eq!(end.code, Some(0), "{end:?}");
        assert!(!end.out.contains("<script") && !end.out.contains("DROP"), "{end:?}");
    }
    sync(&program, &lab);
    let inventory = inventory(&program, &lab);
    for player in &players {
        owner(&inventory, player.mac);
    }
    for format in ["table", "csv", "ansible", "hosts", "markdown"] {
        let end = run(&program, &lab, &["inventory", "--format", format]);
        assert_eq!(end.code, Some(0), "{end:?}");
    }
    is_settled(&program, &lab);
}

#[test]
fn two_owners_of_an_address_do_not_take_it_from_each_other_in_turns() {
    let mut network = home();
    network.players.push(Player::new(network.players[3].ip, mac(900)));
    network.players[3].delay = Duration::from_micros(100);
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let program = Program::new();
    configuration(&program, "dns = false");
    let first = sync(&program, &lab);
    let told = first["diagnostics"].to_string();
    assert!(told.contains("duplicate_address"), "{told}");
    for _ in 0..2 {
        is_settled(&program, &lab);
    }
}

#[test]
fn a_proxy_makes_no_hosts() {
    let mut network = home();
    network.proxy = Some([0x00, 0x00, 0x0c, 1, 2, 3]);
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    let program = Program::new();
    configuration(&program, "dns = false");
    let first = sync(&program, &lab);
    assert!(first["diagnostics"].to_string().contains("proxy_arp"), "{first:#}");
    let inventory = inventory(&program, &lab);
    assert_eq!(inventory["hosts"].as_array().unwrap().len(), players.len());
    let sheet = run(&program, &lab, &["inventory", "--kind", "ip_address", "--format", "csv"]);
    assert_eq!(sheet.out.lines().count(), 1 + players.len() + 1, "{}", sheet.out);
    is_settled(&program, &lab);
}

#[test]
fn hosts_of_ipv6_get_their_addresses_beside_those_of_ipv4() {
    let mut network = home();
    for (number, player) in network.players.iter_mut().enumerate() {
        player.six = Some(format!("fd42:1ab::{:x}", 0x100 + number).parse().unwrap());
        player.ignores_echo = number % 3 == 0;
    }
    let players = network.players.clone();
    let Some(lab) = Lab::build(&["10.77.0.1/24", "fd42:1ab::ffff:1/64"], network) else { return };
    let program = Program::new();
    configuration(&program, "dns = false");
    sync(&program, &lab);
    let inventory = inventory(&program, &lab);
    for player in &players {
        let device = owner(&inventory, player.mac).to_string();
        let six = format!("{}/64", player.six.unwrap());
        assert!(device.contains(&six), "{six}: {device}");
        assert!(device.contains(&format!("{}/24", player.ip)), "{device}");
    }
    is_settled(&program, &lab);
}

/// A bridge that a container engine would make for its guests.
fn bridge(lab: &Lab) {
    for words in [
        "link add docker0 type bridge",
        "link add v-guest type veth peer name v-inside",
        "link set v-inside up",
        "link set v-guest master docker0 up",
        "addr add 172.17.0.1/24 dev docker0",
        "link set docker0 up",
    ] {
        lab.ip(&words.split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn a_new_configuration_sweeps_the_local_subnets_and_no_bridges_of_guests() {
    let network = home();
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    bridge(&lab);
    let program = Program::new();
    let path = program.path("agent.toml");
    let made = program.run(Some(&lab), &["config", "init", "--path", path.to_str().unwrap()]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    let last = "[[source]]\nkind = \"sweep\"\nname = \"lan\"\nsubnets = [\"10.77.0.0/24\"]\n";
    assert!(text.ends_with(last), "{}", &text[text.len() - 300..]);
    assert_eq!(run(&program, &lab, &["config", "check"]).code, Some(0));
    let collected = run(&program, &lab, &["collect"]);
    assert_eq!(collected.code, Some(0), "{collected:?}");
    assert!(collected.out.contains("10.77.0.2") && !collected.out.contains("172.17."));
}

#[test]
fn without_subnets_a_sweep_takes_the_local_ones_and_named_bridges_are_swept() {
    let Some(lab) = Lab::build(&["10.77.0.1/24"], home()) else { return };
    bridge(&lab);
    let program = Program::new();
    configuration(&program, "dns = false");
    let claims = |out: &str| {
        let lines = out.lines().filter(|line| line.contains("\"coverage\""));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let collected = run(&program, &lab, &["collect"]);
    let lines = claims(&collected.out);
    assert!(lines.len() == 1 && lines[0].contains("10.77.0.0/24"), "{lines:?}");
    configuration(&program, "dns = false\nsubnets = [\"172.17.0.0/28\"]");
    let collected = run(&program, &lab, &["collect"]);
    let lines = claims(&collected.out);
    let named = lines[0].contains("172.17.0.0/28") && lines[0].contains("arp");
    assert!(named, "{lines:?}");
}

#[test]
fn hosts_beyond_a_router_are_addresses_without_interfaces() {
    let mut network = home();
    let router = network.players[0].ip;
    let mut far = crowd([10, 88, 0, 0], 254, 10);
    for player in &mut far {
        player.behind = Some(router);
    }
    network.players.extend(far.clone());
    let Some(lab) = Lab::build(&["10.77.0.1/24"], network) else { return };
    lab.ip(&["route", "add", "10.88.0.0/24", "via", &router.to_string()]);
    let program = Program::new();
    configuration(&program, "dns = false\nsubnets = [\"10.88.0.0/24\"]");
    sync(&program, &lab);
    let inventory = inventory(&program, &lab);
    assert_eq!(inventory["hosts"], serde_json::json!([]));
    for player in &far {
        one(&inventory["unassigned_addresses"], "address", &format!("{}/24", player.ip));
    }
    is_settled(&program, &lab);
}

#[test]
fn the_first_look_at_the_loopback_ends_with_hosts_in_the_inventory() {
    let program = Program::new();
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/loopback.toml");
    let agent = |verb: &[&str]| {
        program.run(None, &[&["--config", sample.to_str().unwrap()], verb].concat())
    };
    // The state goes to the home of this program alone.
    let state = program.path("state");
    let within = |verb: &[&str]| {
        let mut command =
            program.command(None, &[&["--config", sample.to_str().unwrap()], verb].concat());
        command.env("NETBOX_AGENT__AGENT__STATE_DIR", &state);
        End::of(&command.output().unwrap())
    };
    assert_eq!(agent(&["config", "check"]).code, Some(0));
    let first = within(&["sync"]);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""), "{first:?}");
    let shown = within(&["inventory"]);
    let rows = shown.out.lines().filter(|line| line.contains("127.0.0.")).count();
    assert_eq!((shown.code, rows), (Some(0), 14), "{shown:?}");
    let again = within(&["sync", "--format", "json"]);
    assert_eq!(again.json()["summary"]["planned"], 0, "{again:?}");
}

#[test]
fn a_sync_without_privileges_says_what_it_cannot_see() {
    if !can_become_nobody() {
        return;
    }
    let Some(lab) = Lab::build(&["10.77.0.1/24"], home()) else { return };
    let program = Program::new();
    let config = configuration(&program, "subnets = [\"10.77.0.0/24\"]\ndns = false");
    let sync = ["--config", &config, "sync"];
    let end = End::of(&program.as_nobody(Some(&lab), &sync).output().unwrap());
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.err.contains("CAP_NET_RAW") && end.err.contains("blind to"), "{end:?}");
}
