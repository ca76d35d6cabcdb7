//! What people change in NetBox between two runs stays as they set it, and they are told
//! so: with the agent's store, and without it. Against the NetBox that `NETBOX_URL` and
//! `NETBOX_TOKEN` name, else against the stand-in in all its versions.
//!
//! The person uses the agent's own token: that is the hardest case.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "netbox/mod.rs"]
mod netbox;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use netbox::{StandIn, TOKEN, Version};
use netbox_agent::http::{Client, Method, Options, header};
use serde_json::{Value as Json, json};

/// A NetBox, and a person who works in it.
struct House {
    url: String,
    token: String,
    person: Client,
    runtime: tokio::runtime::Runtime,
    /// What makes its names differ from those of other tests on the same NetBox.
    salt: u32,
    home: tempfile::TempDir,
    _standin: Option<StandIn>,
}

/// Does the same on the NetBox that is named, or on every stand-in.
fn everywhere(test: impl Fn(&House)) {
    match (std::env::var("NETBOX_URL"), std::env::var("NETBOX_TOKEN")) {
        (Ok(url), Ok(token)) => {
            // What one makes of the tags that both have would change the other's sums.
            static TURN: Mutex<()> = Mutex::new(());
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            test(&House::new(url, token, None));
        }
        _ => Version::ALL.into_iter().for_each(|version| {
            let standin = StandIn::start(version);
            test(&House::new(standin.url(), TOKEN.to_owned(), Some(standin)));
        }),
    }
}

impl House {
    fn new(url: String, token: String, standin: Option<StandIn>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let house = House {
            url,
            token,
            person: Client::new(Options::default()).unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
            salt: u32::try_from(now.as_micros() % 0xff_ffff).unwrap(),
            home: tempfile::tempdir().unwrap(),
            _standin: standin,
        };
        let settings = format!(
            "[agent]\nname = {:?}\nstate_dir = {:?}\n[netbox]\nurl = {:?}\ntoken = {:?}\n\
             [defaults]\nvrf = {:?}\nsite = {:?}\n\
             [[source]]\nkind = \"exec\"\nname = \"lab\"\ncommand = [\"cat\", {:?}]\n",
            house.name("edits"),
            house.path("state"),
            house.url,
            house.token,
            house.name("vrf"),
            house.name("site"),
            house.path("seen"),
        );
        std::fs::write(house.path("agent.toml"), settings).unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        format!("{name}-{:06x}", self.salt)
    }

    /// Two virtual machines and two devices, with a description that tells which word it is.
    fn sees(&self, word: &str) {
        let [_, a, b, c] = self.salt.to_be_bytes();
        let cluster = format!("pve:{}", self.name("lab"));
        let mut lines = vec![json!({
            "version": 1, "source": "lab",
            "cluster": {"key": cluster, "name": self.name("lab"), "kind": "Proxmox VE"},
        })];
        for number in 1..=4 {
            let mut host = json!({
                "key": format!("{cluster}/{number}"),
                "form": if number < 3 { "virtual_machine" } else { "device" },
                "name": self.name(&format!("host{number}")),
                "description": format!("{word} word"),
                "status": "active",
                "tags": ["web", "blue"],
                "interfaces": [{
                    "name": "eth0",
                    "mac": format!("02:1d:{a:02x}:{b:02x}:{c:02x}:{number:02x}"),
                    "addresses": [format!("192.0.2.{number}/24")],
                }],
                "complete": ["interfaces"],
            });
            if number < 3 {
                host["cluster"] = cluster.as_str().into();
            }
            lines.push(json!({
                "version": 1, "source": "lab", "authority": "hypervisor",
                "evidence": "configuration", "host": host,
            }));
        }
        let lines: Vec<String> = lines.iter().map(Json::to_string).collect();
        std::fs::write(self.path("seen"), lines.join("\n")).unwrap();
    }

    /// What a run of the agent says as JSON.
    fn run(&self, arguments: &[&str]) -> Json {
        let told = Command::new(env!("CARGO_BIN_EXE_netbox-agent"))
            .arg("--config")
            .arg(self.path("agent.toml"))
            .args(arguments)
            .args(["--format", "json", "--quiet"])
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(0), "{arguments:?} against {}: {errors}", self.url);
        serde_json::from_slice(&told.stdout).unwrap()
    }

    fn ask(&self, method: Method, path: &str, body: Option<Json>) -> Json {
        let url = format!("{}/api/{path}", self.url.trim_end_matches('/')).parse().unwrap();
        let secret = match self.token.starts_with("nbt_") {
            true => format!("Bearer {}", self.token),
            false => format!("Token {}", self.token),
        };
        let request = self
            .person
            .request(method, url)
            .secret_header(header::AUTHORIZATION, &secret.as_str().into())
            .header(header::CONTENT_TYPE, "application/json");
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        self.runtime.block_on(request.send()).unwrap().json().unwrap()
    }

    fn find(&self, place: &str, name: &str) -> Json {
        let found = self.ask(Method::GET, &format!("{place}/?name={}", self.name(name)), None);
        assert_eq!(found["count"], 1, "{place} {name}");
        found["results"][0].clone()
    }

    fn change(&self, place: &str, id: &Json, change: Json) {
        self.ask(Method::PATCH, &format!("{place}/{id}/"), Some(change));
    }

    fn read(&self, place: &str, id: &Json) -> Json {
        self.ask(Method::GET, &format!("{place}/{id}/"), None)
    }
}

const MACHINES: &str = "virtualization/virtual-machines";
const DEVICES: &str = "dcim/devices";

fn tags(object: &Json) -> BTreeSet<&str> {
    object["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect()
}

fn conflicts(told: &Json) -> BTreeSet<(String, String)> {
    let text = |conflict: &Json, name: &str| conflict[name].as_str().unwrap().to_owned();
    let all = told["conflicts"].as_array().unwrap().iter();
    all.map(|conflict| (text(conflict, "kind"), text(conflict, "field"))).collect()
}

fn edits_stay(house: &House, lost: bool) {
    house.sees("first");
    let first = house.run(&["sync"]);
    assert_eq!(first["summary"]["applied"], first["summary"]["planned"], "{first}");
    let [renamed, tagged] = ["host1", "host2"].map(|name| house.find(MACHINES, name)["id"].clone());
    let [staged, left] = ["host3", "host4"].map(|name| house.find(DEVICES, name)["id"].clone());
    assert!(house.read(DEVICES, &left)["primary_ip4"].is_object());

    let (mine, name) = (house.name("mine"), house.name("by-hand"));
    house.ask(Method::POST, "extras/tags/", Some(json!({"name": mine, "slug": mine})));
    house.change(
        MACHINES,
        &renamed,
        json!({"name": name, "description": "a person's", "status": "planned"}),
    );
    let kept = [json!({"name": "blue"}), json!({"name": mine})];
    house.change(MACHINES, &tagged, json!({"tags": kept, "description": ""}));
    house.change(DEVICES, &staged, json!({"status": "staged"}));

    house.sees("second");
    if lost {
        std::fs::remove_dir_all(house.path("state")).unwrap();
    }
    let expected: BTreeSet<(String, String)> = [
        ("device", "status"),
        ("virtual_machine", "description"),
        ("virtual_machine", "name"),
        ("virtual_machine", "status"),
        ("virtual_machine", "tags"),
    ]
    .map(|(kind, field)| (kind.to_owned(), field.to_owned()))
    .into();
    let second = house.run(&["sync"]);
    assert_eq!(conflicts(&second), expected);
    assert_eq!(second["summary"]["applied"], second["summary"]["planned"], "{second}");

    let stands = house.read(MACHINES, &renamed);
    assert_eq!(stands["name"], name);
    assert_eq!(stands["description"], "a person's");
    assert_eq!(stands["status"]["value"], "planned");
    let stands = house.read(MACHINES, &tagged);
    assert_eq!(stands["description"], "");
    let stand = tags(&stands);
    assert!(stand.contains(mine.as_str()) && stand.contains("blue") && !stand.contains("web"));
    let stands = house.read(DEVICES, &staged);
    assert_eq!(stands["status"]["value"], "staged");
    // What nobody touched follows its source, store or no store.
    assert_eq!(stands["description"], "second word");
    assert_eq!(house.read(DEVICES, &left)["description"], "second word");

    let third = house.run(&["sync"]);
    assert_eq!(third["summary"]["planned"], 0, "{third}");
}

#[test]
fn what_a_person_changed_stays_and_is_told() {
    everywhere(|house| edits_stay(house, false));
}

#[test]
fn what_a_person_changed_stays_when_the_store_is_lost() {
    everywhere(|house| edits_stay(house, true));
}
