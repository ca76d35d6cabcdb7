//! What a person reads of identity: `explain` and `ambiguities` on scenarios of the
//! corpus, by the binary.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use netbox_agent::collect::{Harvest, wire};

use crate::scenario::{self, folder};

/// An agent with a home of its own that reads a scenario's first run from a file.
struct Reader {
    home: tempfile::TempDir,
}

impl Reader {
    fn of(scenario: &str) -> Self {
        let reader = Reader { home: tempfile::tempdir().unwrap() };
        let scenario = scenario::read(&folder().join(format!("{scenario}.toml")));
        let run = &scenario.runs[0];
        let harvest = Harvest {
            observations: run.said.iter().map(|said| said.observation.clone()).collect(),
            coverage: run.coverage.clone(),
            ..Harvest::default()
        };
        let mut lines = Vec::new();
        wire::write(&harvest, &mut lines).unwrap();
        std::fs::write(reader.path("seen.jsonl"), lines).unwrap();
        reader.configure(&scenario.settings);
        reader
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn configure(&self, settings: &str) {
        let state = self.path("state");
        let text = format!("[agent]\nname = \"test\"\nstate_dir = {state:?}\n{settings}\n");
        std::fs::write(self.path("agent.toml"), text).unwrap();
    }

    /// What a verb prints; it must end well.
    fn says(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_netbox-agent"))
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(arguments)
            .arg("--from")
            .arg(self.path("seen.jsonl"))
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_guest_whose_address_only_the_sweep_knows_is_explained() {
    let reader = Reader::of("homelab-1");
    insta::assert_snapshot!(reader.says(&["explain", "192.168.0.77"]));
    // By whatever a person calls it, it is the same story.
    let story = reader.says(&["explain", "192.168.0.77"]);
    for name in ["bc:24:11:00:00:06", "prometheus_pve_exporter", "pve:pve/lxc/106"] {
        assert_eq!(reader.says(&["explain", name]), story, "{name}");
    }
}

#[test]
fn a_guest_that_stands_is_explained_field_by_field() {
    let reader = Reader::of("homelab-1");
    reader.says(&["sync"]);
    insta::assert_snapshot!(reader.says(&["explain", "192.168.0.77"]));
}

#[test]
fn what_was_vetoed_and_why_is_explained() {
    insta::assert_snapshot!(Reader::of("clone-which-one-answers").says(&["explain", "web-copy"]));
}

#[test]
fn an_address_that_was_not_believed_is_explained() {
    insta::assert_snapshot!(
        Reader::of("address-of-a-stopped-guest").says(&["explain", "192.0.2.10"])
    );
}

#[test]
fn a_phone_is_explained_as_an_address_alone() {
    insta::assert_snapshot!(Reader::of("homelab-1").says(&["explain", "da:a1:19:44:10:01"]));
}

#[test]
fn questions_are_listed_with_the_rules_that_settle_them() {
    for scenario in ["clone-which-one-answers", "torn-between-two-guests", "address-of-two-macs"] {
        insta::assert_snapshot!(scenario, Reader::of(scenario).says(&["ambiguities"]));
    }
    let none = Reader::of("homelab-2").says(&["ambiguities"]);
    assert_eq!(none, "Nothing is ambiguous.\n");
}

#[test]
fn a_printed_rule_settles_its_question_once_it_is_pasted() {
    for scenario in ["clone-which-one-answers", "torn-between-two-guests"] {
        let reader = Reader::of(scenario);
        let printed = reader.says(&["ambiguities"]);
        let question = printed.split_whitespace().next().unwrap();
        let rules = printed.split("\n\n").next().unwrap().split("[[bind]]").skip(1);
        let mut tried = 0;
        for rule in rules {
            let line = rule.trim_start().lines().next().unwrap();
            reader.configure(&format!("[[bind]]\n{line}"));
            let left = reader.says(&["ambiguities"]);
            assert!(!left.contains(question), "{line} leaves {left}");
            tried += 1;
        }
        assert!(tried >= 2, "{printed}");
    }
}
