//! Whole runs of the binary, one after the other, on what sources say and fail to
//! say: what is missing, what fails, what is too much, what is undone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

/// An agent with a home of its own and one source, which says what a file holds.
struct Agent {
    home: tempfile::TempDir,
}

struct End {
    code: i32,
    out: String,
    err: String,
}

impl Agent {
    fn new(extra: &str) -> Self {
        let agent = Agent { home: tempfile::tempdir().unwrap() };
        let text = format!(
            "[agent]\nname = \"test\"\nstate_dir = {:?}\n{extra}\n[[source]]\nkind = \"exec\"\nname = \"lan\"\nshell = \"cat {} && exit $(cat {})\"\n",
            agent.path("state"),
            agent.path("seen").display(),
            agent.path("code").display()
        );
        std::fs::write(agent.path("agent.toml"), text).unwrap();
        agent.says("", 0);
        agent
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What the source prints from now on, and how it ends.
    fn says(&self, lines: &str, code: i32) {
        std::fs::write(self.path("seen"), lines).unwrap();
        std::fs::write(self.path("code"), code.to_string()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> End {
        let output = Command::new(env!("CARGO_BIN_EXE_netbox-agent"))
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        End {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// A sync that must end so; gives its report.
    fn sync(&self, code: i32) -> Json {
        let end = self.run(&["sync", "--format", "json"]);
        assert_eq!(end.code, code, "{}\n{}", end.out, end.err);
        serde_json::from_str(&end.out).unwrap()
    }

    /// The status of each host, by name.
    fn hosts(&self) -> Vec<(String, String)> {
        let end = self.run(&["inventory", "--format", "json"]);
        assert_eq!(end.code, 0, "{}", end.err);
        let inventory: Json = serde_json::from_str(&end.out).unwrap();
        let mut hosts: Vec<(String, String)> = inventory["hosts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|host| {
                let text = |key: &str| host[key].as_str().unwrap_or("").to_owned();
                (text("name"), text("status"))
            })
            .collect();
        hosts.sort();
        hosts
    }
}

/// What a sweep would say of these hosts: each answers by ARP, and the subnet was seen whole.
fn sweep(hosts: std::ops::Range<u8>, whole: bool) -> String {
    let mut text = String::new();
    for host in hosts {
        let _ = writeln!(
            text,
            r#"{{"version":1,"authority":"wire","evidence":"arp reply","host":{{"name":"h{host:03}","interfaces":[{{"mac":"00:1b:21:00:00:{host:02x}","addresses":["192.0.2.{host}/24"]}}]}}}}"#
        );
    }
    let gap = if whole { "" } else { r#","gap":"the link went down""# };
    let _ = writeln!(
        text,
        r#"{{"version":1,"coverage":{{"subnet":"192.0.2.0/24","method":"arp"{gap}}}}}"#
    );
    text
}

const QUICK: &str =
    "[absence]\ngrace_runs = 2\ngrace_time = \"0s\"\n[guard]\nmax_vanished = \"unlimited\"\n";

#[test]
fn a_second_sync_changes_nothing() {
    let agent = Agent::new("");
    agent.says(&sweep(1..6, true), 0);
    let first = agent.sync(0);
    assert!(first["summary"]["applied"].as_u64().unwrap() > 20);
    let second = agent.sync(0);
    assert_eq!(second["summary"]["planned"], 0, "{second:#}");
    let plan = agent.run(&["plan", "--detailed-exit-code"]);
    assert_eq!(plan.code, 0, "{}", plan.out);
}

#[test]
fn a_source_that_fails_retires_nothing_and_changes_nothing() {
    let agent = Agent::new(QUICK);
    agent.says(&sweep(1..6, true), 0);
    agent.sync(0);
    let before = agent.hosts();
    agent.says("", 7);
    for _ in 0..4 {
        let end = agent.run(&["sync"]);
        assert_eq!(end.code, 1, "the only source failed: {}", end.err);
    }
    assert_eq!(agent.hosts(), before);
}

#[test]
fn a_source_that_could_not_look_retires_nothing() {
    let agent = Agent::new(QUICK);
    agent.says(&sweep(1..6, true), 0);
    agent.sync(0);
    agent.says(&sweep(1..3, false), 0);
    for _ in 0..4 {
        assert_eq!(agent.sync(0)["summary"]["planned"], 0);
    }
    assert!(agent.hosts().iter().all(|(_, status)| status == "active"));
}

#[test]
fn what_is_missing_is_retired_after_its_grace_and_comes_back() {
    let agent = Agent::new(QUICK);
    agent.says(&sweep(1..6, true), 0);
    agent.sync(0);
    agent.says(&sweep(1..5, true), 0);
    assert_eq!(agent.sync(0)["summary"]["planned"], 0, "the grace is two runs");
    agent.sync(0);
    let status = |name: &str| agent.hosts().into_iter().find(|(host, _)| host == name).unwrap().1;
    assert_eq!(status("h005"), "offline");
    assert_eq!(status("h004"), "active");
    assert_eq!(agent.sync(0)["summary"]["planned"], 0, "it is retired once");
    agent.says(&sweep(1..6, true), 0);
    agent.sync(0);
    assert_eq!(status("h005"), "active");
}

#[test]
fn a_sweep_that_suddenly_sees_a_tenth_is_refused() {
    let agent = Agent::new("");
    agent.says(&sweep(1..101, true), 0);
    agent.sync(0);
    let before = agent.hosts();
    agent.says(&sweep(1..11, true), 0);
    let end = agent.run(&["sync"]);
    assert_eq!(end.code, 4, "{}", end.err);
    assert!(
        end.err.contains("--allow vanished")
            && end.err.contains("90 of 100")
            && end.err.contains("h011"),
        "{}",
        end.err
    );
    let first = end.err.lines().next().unwrap();
    assert!(first.starts_with("error: the guard refused this; nothing was written: "), "{first}");
    assert!(first.ends_with("allow it with --allow vanished"), "{first}");
    assert_eq!(agent.hosts(), before);
    let would = agent.run(&["sync", "--dry-run"]);
    assert_eq!(would.code, 4, "{}", would.err);
    assert!(would.err.starts_with("error: the guard would refuse this: "), "{}", would.err);
    let shown = agent.run(&["plan"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert_eq!(shown.out, would.out, "both print the plan");
    assert!(shown.err.starts_with("The guard would refuse this: "), "{}", shown.err);
    let allowed = agent.run(&["sync", "--allow", "vanished"]);
    assert_eq!(allowed.code, 0, "{}", allowed.err);
    assert_eq!(agent.hosts(), before, "the grace has only begun");
}

#[test]
fn a_saved_plan_leaves_out_what_changed_since() {
    let agent = Agent::new("");
    agent.says(&sweep(1..4, true), 0);
    agent.sync(0);
    let renamed = sweep(1..4, true).replace("\"h002\"", "\"nas\"").replace("\"h003\"", "\"tv\"");
    agent.says(&renamed, 0);
    let plan = agent.path("plan.json");
    let plan = plan.to_str().unwrap();
    assert_eq!(agent.run(&["plan", "--out", plan]).code, 0);
    // Meanwhile one of the two is given another name than the plan knows of.
    agent.says(&sweep(1..4, true).replace("\"h002\"", "\"other\""), 0);
    agent.sync(0);
    let end = agent.run(&["sync", "--plan", plan]);
    assert_eq!(end.code, 3, "{}{}", end.out, end.err);
    let names: Vec<String> = agent.hosts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["h001", "other", "tv"]);
    let again = agent.run(&["sync", "--plan", plan]);
    assert_ne!(again.code, 0, "a plan is applied once: {}", again.out);
}

#[test]
fn a_run_can_be_undone() {
    let agent = Agent::new("");
    agent.says(&sweep(1..4, true), 0);
    agent.sync(0);
    let before = agent.hosts();
    agent.says(&sweep(1..7, true).replace("\"h001\"", "\"nas\""), 0);
    let run = agent.sync(0)["run"].as_i64().unwrap().to_string();
    let undone = agent.run(&["rollback", &run]);
    assert_eq!(undone.code, 0, "{}{}", undone.out, undone.err);
    assert_eq!(agent.hosts(), before);
    let history = agent.run(&["history", &run]);
    assert!(history.out.contains("h001 → nas"), "{}", history.out);
}

#[test]
fn an_address_that_becomes_a_device_of_its_own_is_explained_as_one() {
    let agent = Agent::new("[defaults]\nseen_without_mac = \"device\"\n");
    let line = r#"{"version":1,"authority":"wire","evidence":"echo reply","host":{"interfaces":[{"addresses":["192.0.2.7/24"]}]}}"#;
    agent.says(line, 0);
    agent.sync(0);
    let told = agent.run(&["explain", "192.0.2.7"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.out.contains("a device of its own is made of it"), "{}", told.out);
    assert!(told.out.contains("device 192.0.2.7 stands as"), "{}", told.out);
}

#[test]
fn what_an_undoing_took_away_comes_back_whole_when_that_is_undone() {
    let agent = Agent::new("");
    agent.says(&sweep(1..4, true), 0);
    agent.sync(0);
    let before = agent.hosts();
    assert_eq!(agent.run(&["rollback", "1"]).code, 0);
    assert!(agent.hosts().is_empty());
    let undone = agent.run(&["rollback", "2"]);
    assert_eq!(undone.code, 0, "{}{}", undone.out, undone.err);
    assert_eq!(agent.hosts(), before);
    assert_eq!(agent.sync(0)["summary"]["planned"], 0);
}

#[test]
fn where_nothing_is_to_be_undone_a_rollback_says_so_and_records_nothing() {
    let agent = Agent::new("");
    agent.says(&sweep(1..3, true), 0);
    agent.sync(0);
    let run = agent.sync(0)["run"].as_i64().unwrap();
    for arguments in [vec!["rollback", "2"], vec!["rollback", "2", "--dry-run"]] {
        let end = agent.run(&arguments);
        assert_eq!(end.code, 0, "{}", end.err);
        assert_eq!((&*end.out, &*end.err), ("Nothing to undo: run 2 changed nothing.\n", ""));
    }
    assert_eq!(agent.run(&["history", &(run + 1).to_string()]).code, 2, "it was recorded");
    for verb in ["history", "rollback"] {
        let end = agent.run(&[verb, "99"]);
        assert_eq!(end.code, 2, "{verb}: {}", end.err);
        assert!(end.err.contains("there is no run 99"), "{}", end.err);
    }
}

#[test]
fn who_only_looks_leaves_no_store_behind() {
    let agent = Agent::new("");
    for verbs in [&["history"][..], &["conflicts"], &["ambiguities"], &["plan"], &["check"]] {
        let end = agent.run(verbs);
        assert_eq!(end.code, 0, "{verbs:?}: {}", end.err);
        assert!(!agent.path("state").exists(), "{verbs:?} made a store");
    }
}

#[test]
fn a_source_that_fails_is_told_once() {
    let agent = Agent::new("[[source]]\nkind = \"exec\"\nname = \"broken\"\nshell = \"exit 7\"\n");
    agent.says(&sweep(1..3, true), 0);
    for verb in ["collect", "plan", "sync"] {
        let end = agent.run(&[verb]);
        assert_eq!(end.code, 3, "{verb}: {}", end.err);
        assert_eq!(end.err.matches("broken").count(), 1, "{verb}: {}", end.err);
        assert!(end.err.contains("error: broken: "), "{verb}: {}", end.err);
    }
}

#[test]
fn a_bad_line_is_told_and_the_rest_is_used() {
    let agent = Agent::new("");
    agent.says(&format!("{}not a line\n", sweep(1..4, true)), 0);
    let report = agent.sync(3);
    assert_eq!(agent.hosts().len(), 3);
    let told = report["diagnostics"].as_array().unwrap();
    assert!(
        told.iter().any(|told| told["message"].as_str().unwrap().contains("line 5")),
        "{told:?}"
    );
}

#[test]
fn observations_can_be_saved_and_replayed_byte_for_byte() {
    let agent = Agent::new("");
    agent.says(&sweep(1..4, true), 0);
    let saved = agent.path("saved.jsonl");
    let saved = saved.to_str().unwrap();
    assert_eq!(agent.run(&["collect", "--save", saved]).code, 0);
    let from = |verb: &str| {
        let end = agent.run(&[verb, "--from", saved, "--format", "json"]);
        assert_eq!(end.code, 0, "{}", end.err);
        let mut json: Json = serde_json::from_str(&end.out).unwrap();
        json.as_object_mut().unwrap().remove("made");
        json.to_string()
    };
    assert_eq!(from("plan"), from("plan"));
    assert_eq!(from("inventory"), from("inventory"));
    let explained = agent.run(&["explain", "192.0.2.2", "--from", saved]);
    assert!(explained.out.contains("mac:00:1b:21:00:00:02 (strong)"), "{}", explained.out);
}

#[test]
fn a_run_and_its_replay_print_and_make_the_same() {
    let agent = Agent::new("");
    let seen = sweep(1..9, true).replace(
        "\"version\":1,\"authority\"",
        "\"version\":1,\"at\":\"2026-01-15T12:00:00Z\",\"authority\"",
    );
    agent.says(&seen, 0);
    let saved = agent.path("saved.jsonl");
    let saved = saved.to_str().unwrap();
    assert_eq!(agent.run(&["collect", "--save", saved]).code, 0);
    let printed = |arguments: &[&str]| {
        let end = agent.run(arguments);
        assert_eq!(end.code, 0, "{arguments:?}: {}", end.err);
        // A plan tells when it was made.
        let lines = end.out.lines().filter(|line| !line.trim_start().starts_with("\"made\":"));
        lines.collect::<Vec<_>>().join("\n")
    };
    for verb in [
        &["plan", "--format", "json"][..],
        &["plan"],
        &["explain", "192.0.2.2"],
        &["explain", "h003", "--format", "json"],
        &["ambiguities"],
        &["collect"],
    ] {
        let replayed = [verb, &["--from", saved]].concat();
        assert_eq!(printed(verb), printed(&replayed), "{verb:?}");
    }
    // Another agent that hears the file alone makes the same inventory.
    let other = Agent::new("");
    assert_eq!(other.run(&["sync", "--from", saved]).code, 0);
    agent.sync(0);
    for format in ["json", "csv", "markdown"] {
        let inventory = |agent: &Agent| agent.run(&["inventory", "--format", format]).out;
        assert_eq!(inventory(&agent), inventory(&other), "{format}");
    }
    // Split over several files in another order it is the same still.
    let lines: Vec<String> =
        std::fs::read_to_string(saved).unwrap().lines().map(str::to_owned).collect();
    let (a, b) = (agent.path("a.jsonl"), agent.path("b.jsonl"));
    std::fs::write(&a, lines[4..].join("\n")).unwrap();
    std::fs::write(&b, lines[..4].join("\n")).unwrap();
    let parts = [a.to_str().unwrap(), b.to_str().unwrap()];
    assert_eq!(
        printed(&["inventory", "--format", "json", "--from", saved]),
        printed(&["inventory", "--format", "json", "--from", parts[0], "--from", parts[1]])
    );
}

#[test]
fn a_device_for_an_address_alone_has_it_as_primary_in_its_vrf() {
    let agent = Agent::new("[defaults]\nvrf = \"lab\"\nseen_without_mac = \"device\"");
    agent.says(
        "{\"version\":1,\"authority\":\"wire\",\"host\":{\"interfaces\":[{\"addresses\":[\"192.0.2.9/24\"]}]}}",
        0,
    );
    let first = agent.sync(0);
    assert_eq!(first["summary"]["applied"], first["summary"]["planned"], "{first:#}");
    let end = agent.run(&["inventory", "--format", "json"]);
    let inventory: Json = serde_json::from_str(&end.out).unwrap();
    let host = &inventory["hosts"][0];
    assert_eq!(host["primary_ip4"], "192.0.2.9/24", "{host:#}");
    assert_eq!(host["interfaces"][0]["addresses"][0]["vrf"], "lab", "{host:#}");
    assert_eq!(agent.sync(0)["summary"]["planned"], 0);
}

#[test]
fn parts_of_hosts_carry_the_tag_only_where_that_is_asked_for() {
    let lines = "{\"version\":1,\"authority\":\"wire\",\"host\":{\"name\":\"a\",\"interfaces\":[{\"mac\":\"00:1b:21:00:00:01\",\"addresses\":[\"192.0.2.9/24\"]}],\"services\":[{\"name\":\"ssh\",\"protocol\":\"tcp\",\"ports\":[22]}]}}\n{\"version\":1,\"prefix\":{\"net\":\"192.0.2.0/24\"}}";
    let tagged = |extra: &str| {
        let agent = Agent::new(extra);
        agent.says(lines, 0);
        let end = agent.run(&["plan", "--format", "json"]);
        let plan: Json = serde_json::from_str(&end.out).unwrap();
        let mut kinds: Vec<String> = (plan["changes"].as_array().unwrap().iter())
            .filter(|change| change["fields"].get("tags").is_some())
            .map(|change| change["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.sort();
        kinds.dedup();
        // What says whose it is stands on all of them.
        for change in plan["changes"].as_array().unwrap() {
            if change["kind"] == "interface" || change["kind"] == "ip_address" {
                assert!(change["fields"].get("agent_instance").is_some(), "{change:#}");
            }
        }
        assert_eq!(agent.sync(0)["summary"]["applied"], plan["changes"].as_array().unwrap().len());
        kinds.join(" ")
    };
    insta::assert_snapshot!(tagged(""), @"device device_role device_type manufacturer prefix site");
    insta::assert_snapshot!(tagged("tag_parts = true"), @"device device_role device_type interface ip_address mac_address manufacturer prefix service site");
}
