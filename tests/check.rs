//! What `check` tells of a configuration, a NetBox, a token and the sources: one line for
//! each thing, exit codes for scripts, and nothing is written.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "netbox/mod.rs"]
mod netbox;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use netbox::{Act, Options, Permissions, StandIn, TOKEN, Token, Version};
use serde_json::{Value as Json, json};

/// An agent with a home of its own.
struct Agent {
    home: tempfile::TempDir,
}

struct End {
    code: i32,
    out: String,
    err: String,
}

impl Agent {
    fn new(settings: &str) -> Self {
        let agent = Agent { home: tempfile::tempdir().unwrap() };
        let text = format!(
            "[agent]\nname = \"test\"\nstate_dir = {:?}\n{settings}\n\
             [[source]]\nkind = \"exec\"\nname = \"lab\"\ncommand = [\"cat\", {:?}]\n",
            agent.path("state"),
            agent.path("seen"),
        );
        std::fs::write(agent.path("agent.toml"), text).unwrap();
        std::fs::write(agent.path("seen"), "").unwrap();
        agent
    }

    /// An agent that writes into a NetBox.
    fn of(url: &str, token: &str) -> Self {
        Agent::new(&format!("[netbox]\nurl = {url:?}\ntoken = {token:?}\n"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> End {
        let told = Command::new(env!("CARGO_BIN_EXE_netbox-agent"))
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(arguments)
            .arg("--quiet")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        End {
            code: told.status.code().unwrap(),
            out: String::from_utf8(told.stdout).unwrap(),
            err: String::from_utf8(told.stderr).unwrap(),
        }
    }

    fn check(&self) -> End {
        self.run(&["check", "--online"])
    }

    /// The lines of one state, without the agent's home.
    fn lines(&self, state: &str) -> Vec<String> {
        let home = self.home.path().to_str().unwrap();
        let told = self.check();
        let lines = told.out.lines().filter_map(|line| line.strip_prefix(state));
        lines.map(|line| line.trim().replace(home, "HOME")).collect()
    }
}

fn limited(permissions: Permissions) -> (StandIn, String) {
    let secret = "ab".repeat(20);
    let mut options = Options::new(Version::V4_6);
    options.tokens.push(Token::v1(&secret, "limited").allowed(permissions));
    (StandIn::with(options).unwrap(), secret)
}

#[test]
fn a_netbox_that_is_ready_is_all_right_and_nothing_is_written() {
    for version in Version::ALL {
        let standin = StandIn::start(version);
        let agent = Agent::of(&standin.url(), TOKEN);
        let end = agent.check();
        assert_eq!(end.code, 0, "{}{}", end.out, end.err);
        assert!(!end.out.contains("warning") && !end.out.contains("error"), "{}", end.out);
        assert!(end.out.contains("tag netbox-agent: missing; the first sync makes it"));
        assert!(standin.ledger().writes.is_empty());
        assert!(!agent.path("state").exists());
    }
}

#[test]
fn what_the_first_sync_made_is_seen_to_stand() {
    let standin = StandIn::start(Version::V4_4);
    let agent = Agent::of(&standin.url(), TOKEN);
    let host = json!({"version": 1, "source": "lab", "host": {
        "name": "one", "interfaces": [{"name": "eth0", "mac": "00:1b:21:00:00:01"}],
    }});
    std::fs::write(agent.path("seen"), host.to_string()).unwrap();
    assert_eq!(agent.run(&["sync"]).code, 0);
    let told = agent.lines("ok").join("\n").replace(&standin.url(), "NETBOX");
    insta::assert_snapshot!(told, @r"
    configuration: HOME/agent.toml: 1 source, written to NETBOX
    store: HOME/state/netbox-agent.db
    netbox: NETBOX answers; version 4.4.10
    token: version 1, accepted
    permissions: the token may read, add and change all 26 kinds of objects
    change log: readable; what was written can be learnt again when the store is lost
    tag netbox-agent: stands
    custom field netbox_agent_key: stands
    custom field netbox_agent_source: stands
    custom field netbox_agent_instance: stands
    custom field netbox_agent_via: missing; the first sync that needs it makes it
    addresses: none stands more than once in the global table
    ");
}

#[test]
fn a_token_that_may_only_read_is_one_line_and_what_it_needs_is_listed() {
    let secret = "cd".repeat(20);
    let mut options = Options::new(Version::V4_6);
    options.tokens.push(Token::v1(&secret, "reader").read_only());
    let standin = StandIn::with(options).unwrap();
    let agent = Agent::of(&standin.url(), &secret);
    let end = agent.check();
    assert_eq!(end.code, 3, "{}{}", end.out, end.err);
    insta::assert_snapshot!(agent.lines("error").join("\n"), @"permissions: the token may read and not write: tick `Write enabled` at the token, and give its user the permissions listed below");
    let (_, listed) = end.out.split_once("\n\n").unwrap();
    insta::assert_snapshot!(listed, @r"
    The least that the token's user has to be allowed in NetBox:
      view in core: objectchange
      view, add, change in dcim: cable, device, devicerole, devicetype, interface, inventoryitem, location, macaddress, manufacturer, platform, site
      view, add, change in extras: customfield, tag
      view, add, change in ipam: ipaddress, iprange, prefix, service, vlan, vlangroup, vrf
      view, add, change in tenancy: tenant
      view, add, change in virtualization: cluster, clustertype, virtualdisk, virtualmachine, vminterface
    ");
}

#[test]
fn a_permission_that_is_missing_is_named() {
    let all = [Act::View, Act::Add, Act::Change];
    let standin = StandIn::start(Version::V4_6);
    let told = Agent::of(&standin.url(), TOKEN).run(&["check", "--online", "--format", "json"]);
    let told: Json = serde_json::from_str(&told.out).unwrap();
    let needed = told["permissions"].as_object().unwrap();
    let mut acts: BTreeMap<String, BTreeSet<Act>> =
        needed.keys().map(|model| (model.clone(), BTreeSet::from(all))).collect();
    acts.remove("core.objectchange");
    acts.insert("dcim.cable".to_owned(), BTreeSet::from([Act::View]));
    acts.insert("ipam.vlan".to_owned(), BTreeSet::new());
    let (standin, secret) = limited(Permissions::Only(acts));
    let agent = Agent::of(&standin.url(), &secret);
    let end = agent.check();
    assert_eq!(end.code, 3, "{}{}", end.out, end.err);
    insta::assert_snapshot!(agent.lines("error").join("\n"), @r"
    ipam/vlans: the token may not view or add or change these; give its user ipam.view_vlan and ipam.add_vlan and ipam.change_vlan
    dcim/cables: the token may not add or change these; give its user dcim.add_cable and dcim.change_cable
    ");
    insta::assert_snapshot!(agent.lines("warning").join("\n"), @"change log: the token may not read it, so that after a loss of the store every value counts as a person's; give its user core.view_objectchange");
    assert!(standin.ledger().writes.is_empty());
}

#[test]
fn a_netbox_that_cannot_be_used_is_one_line_that_says_what_to_do() {
    let standin = StandIn::start(Version::V4_6);
    let of = |url: &str, token: &str| {
        let agent = Agent::of(url, token);
        let end = agent.check();
        assert_eq!(end.code, 1, "{}{}", end.out, end.err);
        let lines = agent.lines("error");
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].replace(&standin.url(), "NETBOX")
    };
    insta::assert_snapshot!(of(&standin.url(), &"0".repeat(40)), @r"netbox: NETBOX/api/status does not accept the token: Invalid v1 token; check `token`, or make one in NetBox under Admin > API Tokens");
    insta::assert_snapshot!(of("http://127.0.0.1:9", TOKEN), @r"netbox: cannot reach http://127.0.0.1:9/api/status: the connection was refused; is it running, and is the port right?");
    insta::assert_snapshot!(of(&format!("{}/elsewhere", standin.url()), TOKEN), @r"netbox: NETBOX/elsewhere/api/status is not a NetBox: it answers 404 there; check `url`");
}

#[test]
fn addresses_that_stand_twice_and_fields_of_a_wrong_type_are_told() {
    let standin = StandIn::start(Version::V4_6);
    let make = |path: &str, body: Json| {
        let (status, told) = standin.act_as("ann", "POST", path, &body);
        assert_eq!(status, 201, "{told}");
    };
    // Two in one list are not compared with each other.
    let twin = json!({"address": "192.0.2.7/24"});
    make("/api/ipam/ip-addresses/", json!([twin, twin]));
    make(
        "/api/extras/custom-fields/",
        json!({"name": "netbox_agent_key", "type": "integer", "object_types": ["dcim.device"]}),
    );
    let agent = Agent::of(&standin.url(), TOKEN);
    let mut told = agent.lines("error");
    told.extend(agent.lines("warning"));
    insta::assert_snapshot!(told.join("\n"), @r"
    custom field netbox_agent_key: its type is integer, and the agent needs one of type text: rename or delete the one that stands
    addresses: 192.0.2.7 stands more than once in the global table: set ENFORCE_GLOBAL_UNIQUE in NetBox, and decide which shall stay
    ");
    assert_eq!(agent.check().code, 3);
}

#[test]
fn without_online_nothing_is_asked() {
    let standin = StandIn::start(Version::V4_6);
    let agent = Agent::of(&standin.url(), TOKEN);
    let end = agent.run(&["check"]);
    assert_eq!(end.code, 0, "{}{}", end.out, end.err);
    assert_eq!(standin.ledger().requests(), 0);
    assert_eq!(end.out.lines().count(), 2);
}

#[test]
fn a_wrong_configuration_is_told_to_people_and_programs() {
    let agent = Agent::new("[netbox]\nurl = \"http://netbox.example\"\n");
    let end = agent.run(&["check"]);
    assert_eq!(end.code, 2);
    assert!(end.err.contains("[netbox] has no token: set `token_file`"), "{}", end.err);
    let end = agent.run(&["check", "--format", "json"]);
    assert_eq!(end.code, 2);
    let told: Json = serde_json::from_str(&end.out).unwrap();
    assert_eq!(told["checks"][0]["state"], "error");
}
