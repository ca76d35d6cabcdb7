//! The cluster behind the stand-in: plain values that tests change between two runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::TOKEN_ID;
use super::rights::Token;
use crate::fields::Schema;

/// The versions whose answers are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Release {
    V7_4,
    V8_4,
    V9_2,
}

/// What a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Qemu,
    Lxc,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Kind::Qemu => "qemu",
            Kind::Lxc => "lxc",
        }
    }
}

/// An interface as the guest itself sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub name: String,
    pub mac: String,
    /// Addresses with the lengths of their prefixes.
    pub addresses: Vec<(String, u8)>,
}

/// What a guest tells of itself.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    pub interfaces: Vec<Seen>,
    /// The answer of `get-osinfo`; none is an agent that does not know the question.
    pub system: Option<Json>,
}

/// A guest.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub kind: Kind,
    pub node: String,
    pub config: Map<String, Json>,
    pub running: bool,
    /// What it tells, or why it does not.
    pub inside: Result<Inside, String>,
    /// Whether its node has told of it since it was started.
    pub stats: bool,
    pub pool: Option<String>,
    pub ha: Option<String>,
}

impl Guest {
    /// A running guest with this configuration.
    pub(crate) fn new(kind: Kind, node: &str, config: Json) -> Self {
        let Json::Object(config) = config else { panic!("a configuration is an object") };
        Guest {
            kind,
            node: node.to_owned(),
            config,
            running: true,
            inside: Err("QEMU guest agent is not running".to_owned()),
            stats: true,
            pool: None,
            ha: None,
        }
    }

    /// It tells this of itself.
    pub(crate) fn telling(mut self, interfaces: Vec<Seen>, system: Option<Json>) -> Self {
        self.inside = Ok(Inside { interfaces, system });
        self
    }

    /// Changes a key of its configuration.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Json>) {
        self.config.insert(key.to_owned(), value.into());
    }

    /// What it is called.
    pub(crate) fn name(&self) -> Option<&str> {
        let key = if self.kind == Kind::Qemu { "name" } else { "hostname" };
        self.config.get(key).and_then(Json::as_str)
    }
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub online: bool,
    pub ip: String,
    /// The rows of `/nodes/{node}/network`.
    pub network: Vec<Json>,
    /// Changes of the network that are not applied.
    pub changes: Option<String>,
    pub disks: Vec<Json>,
    pub notes: Option<String>,
}

/// How an answer is broken.
#[derive(Debug, Clone)]
pub(crate) enum Broken {
    /// It is an error.
    Status(u16, String),
    /// It is not what it should be: the whole body.
    Body(String),
    /// It ends before it is whole.
    Cut,
}

/// How another version tells the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Numbers as texts.
    Texts,
    /// Texts of digits as numbers.
    Numbers,
    /// Flags as true and false.
    Flags,
    /// With fields that nobody knows yet.
    More,
}

/// Fields that say yes or no.
const FLAGS: [&str; 13] = [
    "active",
    "autostart",
    "bridge_vlan_aware",
    "enabled",
    "exists",
    "gpt",
    "local",
    "mounted",
    "online",
    "quorate",
    "shared",
    "template",
    "unprivileged",
];

impl Twist {
    /// Tells an answer so.
    pub(super) fn turn(self, json: &mut Json) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(|item| self.turn(item)),
            Json::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    match (self, value.as_i64()) {
                        (Twist::Flags, Some(number)) if FLAGS.contains(&key.as_str()) => {
                            *value = Json::Bool(number != 0);
                        }
                        _ => self.turn(value),
                    }
                }
                if self == Twist::More {
                    fields.insert("x-new".to_owned(), json!({ "a": [1, null, "b"] }));
                    fields.insert("x-none".to_owned(), Json::Null);
                    fields.insert("network2".to_owned(), json!(true));
                }
            }
            Json::Number(number) if self == Twist::Texts => *json = number.to_string().into(),
            Json::String(text) if self == Twist::Numbers => {
                if let Some(number) = text.parse::<i64>().ok().filter(|n| n.to_string() == *text) {
                    *json = number.into();
                }
            }
            _ => {}
        }
    }
}

/// A storage.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub name: &'static str,
    pub kind: &'static str,
    pub shared: bool,
    pub content: &'static str,
}

/// A cluster, or one host.
#[derive(Debug, Clone)]
pub(crate) struct Pve {
    pub release: Release,
    /// None is a standalone host.
    pub cluster: Option<String>,
    pub quorate: bool,
    pub nodes: BTreeMap<String, Node>,
    pub guests: BTreeMap<u32, Guest>,
    pub storages: Vec<Storage>,
    /// Rows of `/cluster/sdn/zones`, `/cluster/sdn/vnets` and, by vnet, of its subnets.
    pub zones: Vec<Json>,
    pub vnets: Vec<Json>,
    pub subnets: BTreeMap<String, Vec<Json>>,
    pub tokens: BTreeMap<String, Token>,
    /// How long every answer takes.
    pub latency: Duration,
    /// How long answers take whose path contains a text.
    pub slow: BTreeMap<String, Duration>,
    /// Nodes that no other reaches, though the cluster takes them for online.
    pub unreachable: BTreeSet<String>,
    /// Answers that are broken, by a text in their path.
    pub broken: BTreeMap<String, Broken>,
    /// How answers are told differently.
    pub twist: Option<Twist>,
    /// What answers are filled up with.
    pub filled: Option<Schema>,
    /// Guests that move to a node as soon as their configuration is asked for.
    pub fleeing: BTreeMap<u32, String>,
}

impl Pve {
    /// A cluster without nodes and guests, and with a token that may see everything.
    pub(crate) fn new(release: Release, cluster: Option<&str>) -> Self {
        let mut token = Token::auditor();
        if release < Release::V9_2 {
            // Not in the role: an administrator has to grant it besides.
            let (held, _) = token.acl.get_mut("/").unwrap();
            held.insert("VM.Monitor".to_owned());
        }
        Pve {
            release,
            cluster: cluster.map(str::to_owned),
            quorate: true,
            nodes: BTreeMap::new(),
            guests: BTreeMap::new(),
            storages: Vec::new(),
            zones: Vec::new(),
            vnets: Vec::new(),
            subnets: BTreeMap::new(),
            tokens: [(TOKEN_ID.to_owned(), token)].into(),
            latency: Duration::ZERO,
            slow: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            broken: BTreeMap::new(),
            twist: None,
            filled: None,
            fleeing: BTreeMap::new(),
        }
    }

    /// Adds a node with a bridge at an address, such as `192.0.2.11/24`, behind a gateway.
    pub(crate) fn node(&mut self, name: &str, cidr: &str, gateway: &str) -> &mut Node {
        let (ip, length) = cidr.split_once('/').unwrap();
        let network = vec![
            json!({ "iface": "eno1", "type": "eth", "exists": 1, "active": 1, "method": "manual",
                    "method6": "manual", "families": ["inet"], "priority": 3 }),
            json!({ "iface": "vmbr0", "type": "bridge", "active": 1, "autostart": 1,
                    "method": "static", "method6": "manual", "families": ["inet"], "priority": 4,
                    "address": ip, "netmask": length, "cidr": cidr, "gateway": gateway,
                    "bridge_ports": "eno1", "bridge_stp": "off", "bridge_fd": "0" }),
        ];
        let node = Node {
            online: true,
            ip: ip.to_owned(),
            network,
            changes: None,
            disks: vec![
                json!({ "devpath": "/dev/nvme0n1", "model": "Samsung SSD 980", "serial": format!("S64{name}"),
                                "vendor": "unknown", "size": 1_000_204_886_016_i64, "type": "nvme",
                                "gpt": 1, "mounted": 0, "osdid": -1, "health": "PASSED", "wearout": 3 }),
            ],
            notes: None,
        };
        self.nodes.entry(name.to_owned()).or_insert(node)
    }

    /// A guest, to be changed.
    pub(crate) fn guest(&mut self, vmid: u32) -> &mut Guest {
        self.guests.get_mut(&vmid).unwrap()
    }

    /// How the answer of a path is broken, if it is.
    pub(super) fn breakage(&self, path: &str) -> Option<Broken> {
        let fits = |part: &str| match part.strip_suffix('$') {
            Some(end) => path.ends_with(end),
            None => path.contains(part),
        };
        let found = self.broken.iter().find(|(part, _)| fits(part));
        found.map(|(_, broken)| broken.clone())
    }

    /// How long the answer of a path takes besides.
    pub(super) fn slowness(&self, path: &str) -> Duration {
        let found = self.slow.iter().find(|(part, _)| path.contains(part.as_str()));
        found.map(|(_, time)| *time).unwrap_or_default()
    }
}
