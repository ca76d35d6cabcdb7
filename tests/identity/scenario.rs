//! Reads a labelled scenario: what sources say, what stands, and what is true.
//!
//! The format is told in `tests/corpus/README.md`. What is said is the public
//! observation format in a shorter hand; it is expanded and read as any file of
//! observations is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use netbox_agent::collect::{Harvest, wire};
use netbox_agent::config;
use netbox_agent::domain::coverage::Coverage;
use netbox_agent::domain::mac::MacAddr;
use netbox_agent::domain::observation::Observation;
use netbox_agent::domain::settings::Policy;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

/// When everything was seen that tells no other time.
const NOON: &str = "2026-01-15T12:00:00Z";

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// What it shows, in a sentence.
    pub shows: String,
    /// What a person configured, as the file has it.
    pub settings: String,
    /// What a person configured.
    pub policy: Policy,
    /// What stands before the first run.
    pub stands: Vec<Standing>,
    /// What is seen, run after run.
    pub runs: Vec<Run>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Whether the store was lost before it.
    pub forget: bool,
    /// What a person changed before it: the thing or label, the field, the value.
    pub edits: Vec<Edit>,
    /// What was seen.
    pub said: Vec<Said>,
    /// Where everything was seen.
    pub coverage: Vec<Coverage>,
    /// How each thing ends.
    pub ends: BTreeMap<String, Expected>,
    /// The codes of the questions that a person is asked, sorted.
    pub asks: Vec<String>,
    /// How many more runs with the same words it takes until nothing is left to change.
    pub settles: u32,
}

/// An observation, and the thing that it truly is of.
#[derive(Debug)]
pub(crate) struct Said {
    /// The thing; none for clusters, subnets and the like.
    pub of: Option<String>,
    /// How this observation ends where that is not how its thing does.
    pub ends: Option<String>,
    /// The observation.
    pub observation: Observation,
}

/// How a thing should end.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// `new device`, `new virtual machine`, `same`, `held`, `address`, `nothing`, or the
    /// label of what stands.
    pub is: String,
    /// The addresses that stand on it.
    pub has: Option<Vec<String>>,
    /// The MAC addresses that stand on it.
    pub macs: Option<Vec<String>>,
    /// The names of its interfaces.
    pub nics: Option<Vec<String>>,
    /// Fields of its object, as text.
    pub fields: BTreeMap<String, String>,
}

/// An object that stands before the first run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    /// What the scenario calls it.
    pub label: String,
    /// Its kind.
    pub kind: String,
    /// Who made it: `person`, or the name of another agent.
    #[serde(default = "person")]
    pub by: String,
    pub name: Option<String>,
    pub site: Option<String>,
    pub cluster: Option<String>,
    pub maker: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub status: Option<String>,
    /// The key by which another agent knows it.
    pub key: Option<String>,
    pub source: Option<String>,
    /// `name mac address …`, each part where it is known.
    #[serde(default)]
    pub nics: Vec<String>,
    /// An address, for an address that stands alone.
    pub address: Option<String>,
}

fn person() -> String {
    "person".to_owned()
}

/// A person's change of a field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub thing: String,
    pub field: String,
    pub value: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    shows: String,
    /// Where users of other programs complained of it.
    #[serde(default)]
    #[expect(dead_code, reason = "it is for those who read the file")]
    heard: Vec<String>,
    #[serde(default)]
    settings: String,
    #[serde(default)]
    stands: Vec<Standing>,
    run: Vec<RunTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunTable {
    #[serde(default)]
    forget: bool,
    #[serde(default)]
    edits: Vec<Edit>,
    #[serde(default)]
    cover: Vec<Map<String, Json>>,
    see: Vec<Map<String, Json>>,
    ends: BTreeMap<String, Json>,
    #[serde(default)]
    asks: Vec<String>,
    #[serde(default)]
    settles: u32,
}

/// The folder of the corpus.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Every scenario, by name.
pub(crate) fn all() -> Vec<Scenario> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Reads one file.
pub(crate) fn read(path: &Path) -> Scenario {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let file: File =
        toml_edit::de::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    Scenario {
        shows: file.shows,
        policy: policy(&file.settings),
        settings: file.settings,
        stands: file.stands,
        runs: file.run.into_iter().map(|table| run(&name, table)).collect(),
        name,
    }
}

/// The policy of a configuration, read as the agent reads it.
pub(crate) fn policy(settings: &str) -> Policy {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netbox-agent.toml");
    let text = format!("[agent]\nname = \"test\"\nstate_dir = {:?}\n{settings}", folder.path());
    std::fs::write(&path, text).unwrap();
    config::load(Some(&path)).unwrap_or_else(|complaints| panic!("{complaints}")).policy
}

fn run(scenario: &str, table: RunTable) -> Run {
    let said = table.see.into_iter().map(|line| said(scenario, line)).collect();
    let coverage = table
        .cover
        .into_iter()
        .flat_map(|mut claim| {
            let source = claim.remove("source").expect("coverage names its source");
            let line = json!({ "version": 1, "source": source, "coverage": claim });
            understood(scenario, &line).coverage
        })
        .collect();
    let mut asks = table.asks;
    asks.sort();
    let ends = table.ends.into_iter().map(|(thing, end)| (thing, expected(end))).collect();
    let RunTable { forget, edits, settles, .. } = table;
    Run { forget, edits, said, coverage, ends, asks, settles }
}

fn expected(end: Json) -> Expected {
    let mut table = match end {
        Json::String(is) => Map::from_iter([("is".to_owned(), Json::String(is))]),
        Json::Object(table) => table,
        other => panic!("{other} is no end"),
    };
    let is = table.remove("is").expect("an end says what it is");
    let mut list = |key: &str| -> Option<Vec<String>> {
        let texts = table.remove(key)?.as_array()?.iter().map(text).collect();
        Some(texts)
    };
    let (has, macs, nics) = (list("has"), list("macs"), list("nics"));
    let fields = table.into_iter().map(|(field, value)| (field, text(&value))).collect();
    Expected { is: text(&is), has, macs, nics, fields }
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// Expands one observation and reads it.
fn said(scenario: &str, mut line: Map<String, Json>) -> Said {
    let mut take = |key: &str| line.remove(key);
    let of = take("of").map(|of| text(&of));
    let ends = take("ends").map(|ends| text(&ends));
    let by = take("by").map(|by| text(&by)).expect("an observation says by whom");
    let (source, authority) = match by.split_once('/') {
        Some((source, authority)) => (source, authority),
        None => (by.as_str(), usual_authority(&by)),
    };
    let evidence =
        take("evidence").map_or_else(|| usual_evidence(authority).to_owned(), |e| text(&e));
    let mut expanded = json!({
        "version": 1, "source": source, "authority": authority, "evidence": evidence,
        "at": at(take("ago").map(|ago| text(&ago))),
    });
    if let Some(segment) = take("segment") {
        expanded["segment"] = segment;
    }
    if let Some(Json::Array(nics)) = take("nics") {
        let nics: Vec<Json> = nics.iter().map(|nic| interface(&text(nic))).collect();
        line.entry("interfaces").or_insert_with(|| json!([])).as_array_mut().unwrap().extend(nics);
    }
    match line.remove("thing") {
        Some(Json::Object(thing)) if line.is_empty() => {
            expanded.as_object_mut().unwrap().extend(thing);
        }
        Some(other) => panic!("{scenario}: {other} beside a host"),
        None => expanded["host"] = Json::Object(line),
    }
    let mut harvest = understood(scenario, &expanded);
    Said { of, ends, observation: harvest.observations.pop().unwrap() }
}

fn at(ago: Option<String>) -> String {
    let noon: Timestamp = NOON.parse().unwrap();
    let ago: jiff::SignedDuration =
        ago.map_or(jiff::SignedDuration::ZERO, |ago| ago.parse().unwrap());
    (noon - ago).to_string()
}

/// From which position the sources of the corpus know, by the first word of their names.
fn usual_authority(source: &str) -> &'static str {
    match source.split(['-', '1', '2', '3']).next().unwrap_or(source) {
        "lan" | "far" => "wire",
        "pve" => "hypervisor",
        "dhcp" => "lease",
        "ha" => "controller",
        "dns" => "directory",
        "oui" => "derived",
        _ => "self",
    }
}

fn usual_evidence(authority: &str) -> &'static str {
    match authority {
        "wire" => "arp reply",
        "hypervisor" => "guest configuration",
        "lease" => "lease",
        "controller" => "device registry",
        "directory" => "PTR record",
        "derived" => "vendor of the MAC address",
        "person" => "name given by hand",
        _ => "its own word",
    }
}

/// `eth0 bc:24:11:00:00:0a 192.0.2.7/24`: a name, a MAC address and addresses, each
/// where it is known.
fn interface(text: &str) -> Json {
    let mut interface = json!({ "addresses": [] });
    for part in text.split_whitespace() {
        if part.parse::<MacAddr>().is_ok() {
            interface["mac"] = part.into();
        } else if is_address(part) {
            interface["addresses"].as_array_mut().unwrap().push(part.into());
        } else {
            interface["name"] = part.into();
        }
    }
    interface
}

/// Whether a text is an address, with or without the length of its prefix.
pub(crate) fn is_address(text: &str) -> bool {
    text.split('/').next().is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok())
}

fn understood(scenario: &str, line: &Json) -> Harvest {
    let context = wire::Context {
        source: None,
        segment: Default::default(),
        at: NOON.parse().unwrap(),
        evidence: "corpus".into(),
        place: scenario.into(),
    };
    let harvest = wire::read(line.to_string().as_bytes(), &context).unwrap();
    assert!(harvest.diagnostics.is_empty(), "{scenario}: {:?} in {line}", harvest.diagnostics);
    harvest
}
