//! A NetBox, an agent that writes into it through a relay, and what both say.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value as Json;

use crate::netbox::{Options, StandIn, TOKEN, Token, Version, authorization, named};
use crate::network::Network;
use crate::relay::{Certificate, Ledger, Relay};

/// The token that the stand-in takes for reading only.
const READ_ONLY: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// Tests take turns on a real NetBox: what one makes, another would find.
static TURN: Mutex<()> = Mutex::new(());

/// A NetBox.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) token: String,
    /// A token that may only read, where there is one.
    pub(crate) read_only: Option<String>,
    /// The stand-in, kept going.
    _standin: Option<StandIn>,
}

/// Runs a test with the NetBox that the environment names, or else with the stand-in in
/// every version.
pub(crate) fn everywhere(test: impl Fn(&Place)) {
    let Some(real) = named() else {
        for version in Version::ALL {
            test(&Place::standing_in(version));
        }
        return;
    };
    let turn: MutexGuard<'_, ()> = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    test(&Place {
        url: real.url.clone(),
        token: real.token.clone(),
        read_only: real.read_only.clone(),
        _standin: None,
    });
    drop(turn);
}

impl Place {
    fn standing_in(version: Version) -> Self {
        let mut options = Options::new(version);
        options.tokens.push(Token::v1(READ_ONLY, "reader").read_only());
        let standin = StandIn::with(options).unwrap();
        Place {
            url: standin.url(),
            token: TOKEN.to_owned(),
            read_only: Some(READ_ONLY.to_owned()),
            _standin: Some(standin),
        }
    }

    /// Asks for something beside the agent: status and body.
    pub(crate) fn ask(&self, method: &str, place: &str) -> (u16, Json) {
        // Whichever test comes first installs it; the others find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (place, query) = place.split_once('?').unwrap_or((place, ""));
        let client = reqwest::Client::builder().timeout(Duration::from_secs(120)).build().unwrap();
        let request = client
            .request(method.parse().unwrap(), format!("{}/api/{place}/?{query}", self.url))
            .header("Authorization", authorization(&self.token))
            .header("Content-Type", "application/json");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Json::String(text)))
        })
    }

    /// The one object of a list that a filter leaves.
    #[track_caller]
    pub(crate) fn the(&self, place: &str) -> Json {
        let (status, page) = self.ask("GET", place);
        assert_eq!(status, 200, "{place}: {page}");
        assert_eq!(page["results"].as_array().unwrap().len(), 1, "{place}: {page}");
        page["results"][0].clone()
    }

    /// Deletes what was made, newest first; what something else needs goes in a later round.
    pub(crate) fn delete(&self, mut made: Vec<(String, u64)>) {
        made.reverse();
        for _ in 0..5 {
            made.retain(|(place, id)| {
                !matches!(self.ask("DELETE", &format!("{place}/{id}")).0, 204 | 404)
            });
        }
        assert!(made.is_empty(), "cannot delete what the agent made: {made:?}");
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl End {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// The output of a program's format.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap()
    }

    /// The one line that a person reads where nothing could be done.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        assert_eq!(self.out, "", "{}", self.err);
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "one line: {}", self.err);
        assert!(lines[0].starts_with("error: "), "{}", lines[0]);
        lines[0]
    }
}

/// The agent with a home of its own.
pub(crate) struct Agent {
    pub(crate) network: Network,
    pub(crate) relay: Relay,
    home: tempfile::TempDir,
    token: String,
    made: Mutex<Vec<(String, u64)>>,
}

impl Agent {
    /// An agent of a place.
    pub(crate) fn of(place: &Place) -> Self {
        Agent::behind(place, None)
    }

    /// An agent that reaches a place by a relay behind a certificate.
    pub(crate) fn behind(place: &Place, certificate: Option<&Certificate>) -> Self {
        let agent = Agent {
            network: Network::new(),
            relay: Relay::to(&place.url, certificate),
            home: tempfile::tempdir().unwrap(),
            token: place.token.clone(),
            made: Mutex::default(),
        };
        std::fs::write(agent.path("seen.jsonl"), agent.network.lines()).unwrap();
        agent.configure("");
        agent
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes its configuration, with some keys of `[netbox]` besides.
    pub(crate) fn configure(&self, more: &str) {
        self.configure_for(&self.relay.url, &self.token, more);
    }

    /// The same with another address and token.
    pub(crate) fn configure_for(&self, url: &str, token: &str, more: &str) {
        let word = &self.network.word;
        let state = self.path("state");
        let text = format!(
            "[agent]\nname = \"agent-{word}\"\nstate_dir = {state:?}\n\
             [defaults]\nsite = \"{word}-site\"\nvrf = \"{word}-vrf\"\n\
             [netbox]\nurl = {url:?}\ntoken = {token:?}\nrequests_per_second = 200\n{more}\n"
        );
        let file = self.path("agent.toml");
        std::fs::write(&file, text).unwrap();
        // It holds a token: the agent warns where others can read it.
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs a verb on what the sources saw.
    pub(crate) fn run(&self, arguments: &[&str]) -> End {
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
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        End {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// What it asked since the last time.
    pub(crate) fn asked(&self) -> Ledger {
        let ledger = self.relay.take();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.extend(ledger.made.iter().cloned());
        ledger
    }

    /// Deletes everything that it made.
    pub(crate) fn tidy_up(&self, place: &Place) {
        self.asked();
        place.delete(std::mem::take(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}
