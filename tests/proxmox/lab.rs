//! An agent with a home of its own, the binary itself, that asks stand-ins and writes into
//! the local inventory; or into the NetBox that `NETBOX_URL` and `NETBOX_TOKEN` name. There
//! other things may stand: each lab has names, addresses and a routing table of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netbox_agent::config;
use netbox_agent::domain::object::{Field, Kind, ObjectRef};
use netbox_agent::domain::world::{Live, Need, World};
use netbox_agent::engine::Sink;
use netbox_agent::http::{Client, Options, header};
use netbox_agent::secret::SecretString;
use netbox_agent::store::Store;
use serde_json::Value as Json;

use crate::standin::{SECRET, Standin, TOKEN_ID};

/// What makes the names of one lab differ from those of all others, where they have to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Salt(Option<u32>);

impl Salt {
    /// A name of this lab.
    pub(crate) fn name(&self, name: &str) -> String {
        self.0.map_or_else(|| name.to_owned(), |salt| format!("{name}{}", Salt::end(salt)))
    }

    fn end(salt: u32) -> String {
        format!("-z{salt:08x}")
    }

    /// A text of this lab as it would be in any.
    pub(crate) fn bare(&self, text: &str) -> String {
        self.0.map_or_else(|| text.to_owned(), |salt| text.replace(&Salt::end(salt), ""))
    }

    /// A MAC address of this lab.
    pub(crate) fn mac(&self, number: u32) -> String {
        let [_, a, b, c] = number.to_be_bytes();
        match self.0 {
            None => format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}"),
            Some(salt) => {
                let [_, x, y, z] = salt.to_be_bytes();
                // Locally administered, as Proxmox made them up before it had a block.
                format!("{:02X}:{y:02X}:{z:02X}:{a:02X}:{b:02X}:{c:02X}", x & 0xF0 | 0x0A)
            }
        }
    }
}

/// Where a NetBox is, if one is named.
fn netbox() -> Option<(String, String)> {
    Some((std::env::var("NETBOX_URL").ok()?, std::env::var("NETBOX_TOKEN").ok()?))
}

/// How many entries NetBox's change log has, where there is a NetBox.
async fn logged() -> Option<u64> {
    let (url, token) = netbox()?;
    let url = format!("{}/api/core/object-changes/?limit=1", url.trim_end_matches('/'));
    let token = SecretString::from(format!("Token {token}"));
    let options = Options { timeout: Duration::from_secs(600), ..Options::default() };
    let client = Client::new(options).unwrap();
    let request = client.get(url.parse().unwrap());
    let answer = request.secret_header(header::AUTHORIZATION, &token).send().await.unwrap();
    Some(answer.json::<Json>().unwrap()["count"].as_u64().unwrap())
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct End {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// An agent and where it lives.
pub(crate) struct Lab {
    home: tempfile::TempDir,
    pub salt: Salt,
    sources: Vec<String>,
    settings: String,
}

impl Lab {
    /// An agent without sources.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let salt = netbox().map(|_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let now = u32::try_from(now.as_millis() % u128::from(u32::MAX)).unwrap();
            now.wrapping_mul(2_654_435_761).wrapping_add(COUNT.fetch_add(1, Ordering::SeqCst))
        });
        Lab {
            home: tempfile::tempdir().unwrap(),
            salt: Salt(salt),
            sources: Vec::new(),
            // Whatever is missing is gone at once: what must not go has to prove it.
            settings: "[absence]\ngrace_runs = 1\ngrace_time = \"0s\"\n".to_owned(),
        }
    }

    /// With these settings in place of its own.
    pub(crate) fn instead(mut self, settings: &str) -> Self {
        self.settings = settings.to_owned();
        self
    }

    /// Adds a source that asks a stand-in; `more` are further keys of it.
    pub(crate) fn asks(self, name: &str, standin: &Standin, more: &str) -> Self {
        let token = format!("token_id = \"{TOKEN_ID}\"\ntoken = \"{SECRET}\"\n{more}");
        self.asks_with(name, standin, &token)
    }

    /// Adds a source that asks a stand-in, with all keys but its name and endpoints.
    pub(crate) fn asks_with(mut self, name: &str, standin: &Standin, keys: &str) -> Self {
        let name = self.salt.name(name);
        self.sources.push(format!(
            "[[source]]\nkind = \"proxmox\"\nname = \"{name}\"\nendpoints = {:?}\n{keys}\n",
            standin.urls()
        ));
        self
    }

    /// Writes a file into the agent's home, which the agent itself did not write.
    pub(crate) fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Checks that nothing of what the agent keeps holds the token.
    pub(crate) fn holds_no_secret(&self) {
        let state = self.path("state");
        let mut looked = 0;
        for entry in std::fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
            assert!(!found, "the token stands in {}", path.display());
            looked += 1;
        }
        assert!(looked > 0, "there is nothing in {}", state.display());
    }

    /// Adds a source that says what a file holds.
    pub(crate) fn hears(mut self, name: &str, lines: &str) -> Self {
        std::fs::write(self.path(name), lines).unwrap();
        let path = self.path(name);
        self.sources.push(format!(
            "[[source]]\nkind = \"exec\"\nname = \"{}\"\ncommand = [\"cat\", {path:?}]\n",
            self.salt.name(name)
        ));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The agent's name.
    pub(crate) fn agent(&self) -> String {
        self.salt.name("lab")
    }

    fn configuration(&self) -> PathBuf {
        let mut text =
            format!("[agent]\nname = {:?}\nstate_dir = {:?}\n", self.agent(), self.path("state"));
        if let Some((url, token)) = netbox() {
            text.push_str(&format!(
                "[netbox]\nurl = {url:?}\ntoken = {token:?}\ntimeout = \"10m\"\n"
            ));
            text.push_str(&format!(
                "[defaults]\nsite = {:?}\nvrf = {:?}\n",
                self.salt.name("Main"),
                self.salt.name("lab")
            ));
        }
        text.push_str(&self.settings);
        text.push_str(&self.sources.concat());
        let path = self.path("agent.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs the binary.
    pub(crate) async fn run(&self, arguments: &[&str]) -> End {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_netbox-agent"))
            .arg("--config")
            .arg(self.configuration())
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let end = End {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!end.err.contains("panicked") && !end.err.contains("internal error"), "{end:?}");
        assert!(!end.err.contains(SECRET) && !end.out.contains(SECRET), "the token is shown");
        end
    }

    /// A sync that must end so.
    pub(crate) async fn sync(&self, code: i32) -> Run {
        let before = logged().await;
        let end = self.run(&["sync", "--format", "json", "--allow", "vanished"]).await;
        assert_eq!(end.code, code, "{}\n{}", end.out, end.err);
        let report: Json = serde_json::from_str(&end.out).unwrap();
        for change in report["changes"].as_array().unwrap() {
            assert_eq!(change["outcome"], "applied", "{change:#}");
        }
        // NetBox itself says that every change was one write, and that there was no other.
        let creates = report["changes"].as_array().unwrap().iter();
        if creates.clone().all(|change| change["action"] != "create")
            && let (Some(before), Some(after)) = (before, logged().await)
        {
            assert_eq!(after - before, creates.count() as u64, "{}", end.out);
        }
        Run { report, salt: self.salt.clone(), err: end.err }
    }

    /// A sync after which nothing is left to do.
    pub(crate) async fn settle(&self, code: i32) -> Run {
        let first = self.sync(code).await;
        assert_eq!(self.sync(code).await.changes(), Vec::<String>::new(), "not settled");
        first
    }

    /// Everything that the agent made.
    pub(crate) async fn made(&self) -> Made {
        let settings = config::load(Some(&self.configuration())).unwrap();
        let store = Arc::new(Store::read(&self.path("state").join("netbox-agent.db")).unwrap());
        let sink = Sink::connect(&settings, &store).await.unwrap();
        let need = Need { kinds: Kind::ALL.iter().copied().collect() };
        Made {
            world: sink.snapshot(&need).await.unwrap(),
            agent: self.agent(),
            salt: self.salt.clone(),
        }
    }
}

/// What a sync did.
pub(crate) struct Run {
    report: Json,
    salt: Salt,
    err: String,
}

impl Run {
    /// Every change as a line: what was done to which object, and to which fields of one
    /// that stood already.
    pub(crate) fn changes(&self) -> Vec<String> {
        let line = |change: &Json| {
            let text = |key: &str| change[key].as_str().unwrap().to_owned();
            let fields: Vec<&String> = change["fields"].as_object().unwrap().keys().collect();
            let line = format!("{} {} {}", text("action"), text("kind"), text("label"));
            let line = self.salt.bare(&line);
            match change["action"].as_str() {
                Some("create") => line,
                _ => format!(
                    "{line}: {}",
                    fields.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(" ")
                ),
            }
        };
        let mut lines: Vec<String> =
            self.report["changes"].as_array().unwrap().iter().map(line).collect();
        lines.sort();
        lines
    }

    /// The codes of what was told at least so loudly, each with what it is about.
    pub(crate) fn told(&self, severity: &str) -> Vec<String> {
        let told = self.report["diagnostics"].as_array().unwrap().iter();
        let mut told: Vec<String> = told
            .filter(|one| one["severity"] == severity)
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap().to_owned();
                self.salt.bare(&format!("{} {}", text("code"), text("about")))
            })
            .collect();
        told.sort();
        told
    }

    /// What was told of one code.
    pub(crate) fn message(&self, code: &str) -> String {
        let told = self.report["diagnostics"].as_array().unwrap().iter();
        let found: Vec<&str> = told
            .filter(|one| one["code"] == code)
            .map(|one| one["message"].as_str().unwrap())
            .collect();
        assert_eq!(found.len(), 1, "{code}: {found:#?}\n{}", self.err);
        self.salt.bare(found[0])
    }
}

/// What stands of what the agent made.
pub(crate) struct Made {
    world: World,
    agent: String,
    salt: Salt,
}

impl Made {
    /// A text of the lab as it would be in any.
    pub(crate) fn bare(&self, text: &str) -> String {
        self.salt.bare(text)
    }

    /// The objects of a kind.
    pub(crate) fn of(&self, kind: Kind) -> Vec<&Live> {
        let own = |live: &&Live| live.field(Field::AgentInstance).as_text() == Some(&self.agent);
        self.world.of(kind).filter(own).collect()
    }

    /// The one object of a kind with a name.
    pub(crate) fn one(&self, kind: Kind, name: &str) -> &Live {
        let found: Vec<&Live> =
            self.of(kind).into_iter().filter(|live| self.salt.bare(live.name()) == name).collect();
        let names: Vec<&str> = self.of(kind).iter().map(|live| live.name()).collect();
        assert_eq!(found.len(), 1, "{kind} {name} among {names:?}");
        found[0]
    }

    /// The objects of a kind that belong to another by a field.
    pub(crate) fn within(&self, kind: Kind, field: Field, owner: &Live) -> Vec<&Live> {
        let here = ObjectRef::Live(owner.kind, owner.id);
        self.of(kind).into_iter().filter(|live| live.field(field).as_ref() == Some(&here)).collect()
    }

    /// A field as a text; of a reference, the name of what it refers to.
    pub(crate) fn text(&self, live: &Live, field: Field) -> String {
        match live.field(field).as_ref() {
            Some(ObjectRef::Live(kind, id)) => {
                self.salt.bare(self.world.get(*kind, *id).unwrap().name())
            }
            _ => self.salt.bare(&live.field(field).to_string()),
        }
    }

    /// The names of what a field refers to, sorted.
    pub(crate) fn names(&self, live: &Live, field: Field) -> Vec<String> {
        let netbox_agent::domain::value::Value::Refs(refs) = live.field(field) else {
            return Vec::new();
        };
        let name = |reference: &ObjectRef| {
            let id = reference.live_id().unwrap();
            self.salt.bare(self.world.get(reference.kind(), id).unwrap().name())
        };
        let mut names: Vec<String> = refs.iter().map(name).collect();
        names.sort();
        names
    }
}
