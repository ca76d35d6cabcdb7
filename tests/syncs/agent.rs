//! The agent: the real binary, with a home of its own and a source that says what a
//! file holds.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::hosts::Network;

pub(crate) struct Agent {
    home: tempfile::TempDir,
    url: String,
    token: String,
    name: String,
    extra: String,
    word: String,
}

pub(crate) struct End {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl End {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

impl Agent {
    /// An agent that puts a network into the NetBox at an address. `extra` goes into its
    /// configuration: keys of `[netbox]` first, then sections.
    pub(crate) fn new(url: &str, token: &str, network: &Network, extra: &str) -> Self {
        Agent::named("one", url, token, network, extra)
    }

    pub(crate) fn named(
        name: &str,
        url: &str,
        token: &str,
        network: &Network,
        extra: &str,
    ) -> Self {
        let agent = Agent {
            home: tempfile::tempdir().unwrap(),
            url: url.to_owned(),
            token: token.to_owned(),
            name: format!("{name}-{}", network.word),
            extra: extra.to_owned(),
            word: network.word.clone(),
        };
        agent.configure();
        agent.says("");
        agent
    }

    /// Writes its configuration.
    fn configure(&self) {
        let text = format!(
            "[agent]\nname = {:?}\nstate_dir = {:?}\n\
             [[source]]\nkind = \"exec\"\nname = \"lan\"\n\
             shell = \"cat {} && exit $(cat {})\"\n\
             [defaults]\nsite = {:?}\nvrf = {:?}\n\
             [netbox]\nurl = {:?}\ntoken = {:?}\nrequests_per_second = 200\n{}\n",
            self.name,
            self.path("state"),
            self.path("seen").display(),
            self.path("code").display(),
            self.word,
            self.word,
            self.url,
            self.token,
            self.extra,
        );
        std::fs::write(self.path("agent.toml"), text).unwrap();
    }

    /// A file in its home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What the source prints from now on.
    pub(crate) fn says(&self, lines: &str) {
        self.says_and_ends(lines, 0);
    }

    /// What the source prints from now on, and how it ends.
    pub(crate) fn says_and_ends(&self, lines: &str, code: i32) {
        std::fs::write(self.path("seen"), lines).unwrap();
        std::fs::write(self.path("code"), code.to_string()).unwrap();
    }

    /// Forgets everything, as when a disk was lost.
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(self.path("state")).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbox-agent"));
        command
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> End {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        End {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Begins a run and does not wait for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running { child: self.command(arguments).spawn().unwrap() }
    }

    /// A sync that must end so; gives its report.
    #[track_caller]
    pub(crate) fn sync(&self, code: i32) -> Json {
        self.sync_with(&[], code)
    }

    #[track_caller]
    pub(crate) fn sync_with(&self, more: &[&str], code: i32) -> Json {
        let end = self.run(&[&["sync", "--format", "json"], more].concat()).expect(code);
        serde_json::from_str(&end.out).unwrap()
    }

    /// A sync that has nothing to do.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        let report = self.sync(0);
        assert_eq!(report["summary"]["planned"], 0, "{report:#}");
    }
}

/// A run under way.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// SIGKILL: nothing in the process gets to tidy up. Tells whether it ran until then.
    pub(crate) fn kill(mut self) -> bool {
        let ran = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        ran
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(mut self) -> End {
        let take = |pipe: &mut dyn Read| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        let mut err = self.child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).unwrap();
            text
        });
        let out = take(&mut self.child.stdout.take().unwrap());
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        End { code, out, err: errors.join().unwrap() }
    }
}

/// The changes of a report that ended so, each with its kind, label and reason.
pub(crate) fn ended(report: &Json, outcome: &str) -> Vec<(String, String, String)> {
    let text = |change: &Json, key: &str| change[key].as_str().unwrap_or("").to_owned();
    report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["outcome"] == outcome)
        .map(|change| (text(change, "kind"), text(change, "label"), text(change, "because")))
        .collect()
}
