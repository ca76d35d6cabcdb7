//! The collector as a run builds it, and the whole agent with a home of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use netbox_agent::collect::home_assistant::HomeAssistantSettings;
use netbox_agent::collect::{
    Assignment, BuildContext, CollectError, Collector, Harvest, Problem, SourceSettings, wire,
};
use netbox_agent::progress::Silent;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::standin::{StandIn, TOKEN};

/// The collector that a table of settings makes.
pub(crate) fn collector(table: &str) -> Result<Box<dyn Collector>, Vec<Problem>> {
    let settings: HomeAssistantSettings = toml_edit::de::from_str(table).unwrap();
    let source = "ha".parse().unwrap();
    settings.build(&BuildContext { source: &source, credentials: None })
}

pub(crate) fn assignment() -> Assignment {
    Assignment {
        source: "ha".parse().unwrap(),
        segment: Default::default(),
        started: "2026-11-21T03:00:00Z".parse().unwrap(),
        deadline: tokio::time::Instant::now() + Duration::from_secs(60),
        cancel: CancellationToken::new(),
        progress: Arc::new(Silent),
        known: Arc::new(BTreeMap::new()),
    }
}

/// Asks a stand-in, with more settings.
pub(crate) async fn ask(standin: &StandIn, extra: &str) -> Result<Harvest, CollectError> {
    let table = format!("url = \"{}\"\ntoken = \"{TOKEN}\"\n{extra}", standin.url());
    collector(&table).unwrap().collect(&assignment()).await
}

/// What was harvested, as it would be saved.
pub(crate) fn lines(harvest: &Harvest) -> String {
    let mut text = Vec::new();
    wire::write(harvest, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// An agent whose only source is a Home Assistant.
pub(crate) struct Agent {
    home: tempfile::TempDir,
    name: String,
}

impl Agent {
    pub(crate) fn new(url: &str, token: &str, extra: &str) -> Self {
        Agent::tagged("test", url, token, extra)
    }

    /// One whose name and tag are these.
    pub(crate) fn tagged(name: &str, url: &str, token: &str, extra: &str) -> Self {
        let agent = Agent { home: tempfile::tempdir().unwrap(), name: name.to_owned() };
        agent.configure(url, token, extra);
        agent
    }

    /// Leads the agent elsewhere; what it remembers stays.
    pub(crate) fn configure(&self, url: &str, token: &str, extra: &str) {
        let text = format!(
            "[agent]\nname = \"{0}\"\ntag = \"{0}\"\nstate_dir = {1:?}\n[[source]]\nkind = \"home_assistant\"\nname = \"ha\"\nurl = \"{url}\"\ntoken = \"{token}\"\n{extra}",
            self.name,
            self.path("state"),
        );
        std::fs::write(self.path("agent.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs the agent, which must end so; gives what it printed.
    pub(crate) async fn run(&self, arguments: &[&str], code: i32) -> String {
        let (ended, out, err) = self.end(arguments).await;
        assert_eq!(ended, Some(code), "{arguments:?}\n{out}\n{err}");
        out
    }

    /// Everything that the agent tells, however it ends.
    pub(crate) async fn told(&self, arguments: &[&str]) -> String {
        let (_, out, err) = self.end(arguments).await;
        format!("{out}{err}")
    }

    async fn end(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbox-agent"));
        command.arg("--config").arg(self.path("agent.toml")).args(arguments);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null());
        // The stand-in lives in this process and must go on.
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!out.contains("panicked") && !err.contains("panicked"), "{err}");
        (output.status.code(), out, err)
    }

    /// Syncs; the second time nothing must be left to do.
    pub(crate) async fn settle(&self) {
        self.run(&["sync"], 0).await;
        self.run(&["plan", "--detailed-exit-code"], 0).await;
    }

    pub(crate) async fn inventory(&self) -> Json {
        let text = self.run(&["inventory", "--format", "json"], 0).await;
        serde_json::from_str(&text).unwrap()
    }

    /// One text of each host.
    pub(crate) async fn hosts(&self, key: &str) -> BTreeSet<String> {
        let inventory = self.inventory().await;
        let hosts = inventory["hosts"].as_array().unwrap();
        hosts.iter().map(|host| host[key].as_str().unwrap_or_default().to_owned()).collect()
    }
}
