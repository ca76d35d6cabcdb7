//! The configuration file's shape: what may stand where, and the defaults. The
//! doc comments are what the JSON Schema says of each key.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

use super::tables::{Fields, Ranking};
use super::text::{Label, LimitText, List, Text, Web, Word};
use crate::domain::identity::Identifier;
use crate::domain::name::{InstanceName, SourceName};
use crate::domain::pattern::Pattern;
use crate::domain::rules::{MacPrefix, Target};
use crate::domain::settings::{self, Deletion, Owner, Standing};
use crate::duration::Period;
use crate::http::{Fingerprint, Rate};

/// The configuration of netbox-agent.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "netbox-agent.toml")]
pub(super) struct File {
    /// The agent itself.
    pub(super) agent: Agent,
    /// NetBox. Without this table, the agent keeps a local inventory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) netbox: Option<NetBox>,
    /// Values for new objects, where neither a source nor a rule says otherwise.
    pub(super) defaults: Defaults,
    /// Where things belong. The first rule that holds and sets something decides it; tags add up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rule: Vec<Rule>,
    /// Makers' names and what else they are called.
    pub(super) manufacturers: BTreeMap<String, List<Text<Label>>>,
    /// Who owns a field.
    pub(super) ownership: Ownership,
    /// When something counts as gone, and what becomes of it.
    pub(super) absence: Absence,
    /// How much one run may change.
    pub(super) guard: Guard,
    /// Whom to believe when sources disagree, most trusted first.
    pub(super) ranking: Ranking,
    /// What a person has decided about identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) bind: Vec<Bind>,
    /// Logging to standard error.
    pub(super) log: Log,
}

/// The agent itself.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Agent {
    /// This agent's name: letters, digits, `-`, `_` and `.`. It stands in every object that the agent makes. Default: the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Text<InstanceName>>,
    /// The tag that every object of the agent carries, but for parts of hosts.
    pub(super) tag: Text<Label>,
    /// Whether parts of hosts carry the tag too: interfaces, their MAC and IP addresses, disks, services. A first sync takes a quarter longer then.
    pub(super) tag_parts: bool,
    /// Where the agent keeps what it must remember. Default: systemd's state directory, else /var/lib/netbox-agent for root, else ~/.local/state/netbox-agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state_dir: Option<PathBuf>,
    /// How many sources are asked at once.
    pub(super) concurrency: NonZeroUsize,
    /// How long a source may take.
    pub(super) deadline: Period,
}

impl Default for Agent {
    fn default() -> Self {
        Agent {
            name: None,
            tag: Text(Label("netbox-agent".into())),
            tag_parts: false,
            state_dir: None,
            concurrency: at_least_one(8),
            deadline: Period::seconds(15 * 60),
        }
    }
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

/// NetBox.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NetBox {
    /// Where NetBox is; with the path where it is not at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(super) url: Option<Text<Web>>,
    /// An API token that may write. Better in a file, a command or a systemd credential.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "redacted")]
    #[schemars(with = "Option<String>")]
    pub(super) token: Option<SecretString>,
    /// A file that holds the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_file: Option<PathBuf>,
    /// A command that prints the token, run with `sh -c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_command: Option<String>,
    /// A PEM file with the authorities that signed NetBox's certificate. Default: the machine's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the one certificate to accept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<Fingerprint>,
    /// Whether to verify certificates at all.
    pub(super) verify_tls: bool,
    /// How long NetBox may take to answer one request.
    pub(super) timeout: Period,
    /// How many requests may begin in a second.
    pub(super) requests_per_second: Rate,
    /// How many requests are under way at once.
    pub(super) concurrency: NonZeroUsize,
    /// How many objects are written with one request.
    pub(super) batch_size: NonZeroUsize,
}

impl Default for NetBox {
    fn default() -> Self {
        NetBox {
            url: None,
            token: None,
            token_file: None,
            token_command: None,
            ca_file: None,
            fingerprint: None,
            verify_tls: true,
            timeout: Period::seconds(60),
            requests_per_second: Rate::per_second(20.0).expect("20 lies between 0 and 10,000"),
            concurrency: at_least_one(4),
            batch_size: at_least_one(100),
        }
    }
}

fn redacted<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_str("[redacted]"),
        None => serializer.serialize_none(),
    }
}

/// Values for new objects.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Defaults {
    /// The site.
    pub(super) site: Text<Label>,
    /// The location within the site, outermost first, parts separated by ` / `.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<Text<Label>>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Text<Label>>,
    /// The VRF of addresses and prefixes. Default: the global table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vrf: Option<Text<Label>>,
    /// The group that new VLANs are put into. Default: none, they belong to their site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vlan_group: Option<Text<Label>>,
    /// The role of a device.
    pub(super) role: Text<Label>,
    /// The role of a virtual machine.
    pub(super) vm_role: Text<Label>,
    /// The role of a container.
    pub(super) container_role: Text<Label>,
    /// The maker of a device of which none is known.
    pub(super) manufacturer: Text<Label>,
    /// The model of a device of which none is known.
    pub(super) model: Text<Label>,
    /// Tags besides the agent's own.
    pub(super) tags: List<Text<Label>>,
    /// What is made of a host that merely answered and has a MAC address of a maker.
    pub(super) seen_with_mac: Word<Standing>,
    /// What is made of a host that merely answered from beyond a router, or whose MAC address software made up.
    pub(super) seen_without_mac: Word<Standing>,
}

impl Default for Defaults {
    fn default() -> Self {
        let default = settings::Defaults::default();
        let text = |label| Text(Label(label));
        Defaults {
            site: text(default.site),
            location: default.location.map(text),
            tenant: default.tenant.map(text),
            vrf: default.vrf.map(text),
            vlan_group: default.vlan_group.map(text),
            role: text(default.role),
            vm_role: text(default.vm_role),
            container_role: text(default.container_role),
            manufacturer: text(default.manufacturer),
            model: text(default.model),
            tags: List(default.tags.into_iter().map(text).collect()),
            seen_with_mac: Word(default.seen_with_mac),
            seen_without_mac: Word(default.seen_without_mac),
        }
    }
}

/// One rule.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    /// What `explain` calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Text<Label>>,
    /// What must be so. All conditions must hold; of a list, one entry. Without any, the rule holds always.
    #[serde(rename = "match")]
    pub(super) conditions: Conditions,
    /// What follows.
    pub(super) set: Placement,
}

/// What must be so for a rule to hold.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Conditions {
    /// What it is.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) kind: List<Word<Target>>,
    /// Names of sources that know of it.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) source: List<Text<SourceName>>,
    /// Networks in which one of its addresses lies.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) subnet: List<Text<Subnet>>,
    /// Segments in which it was seen.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) segment: List<String>,
    /// Patterns for its name.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) name: List<Text<Pattern>>,
    /// Beginnings of one of its MAC addresses.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) mac: List<Text<MacPrefix>>,
    /// Patterns for its maker or the vendor of its MAC address.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) vendor: List<Text<Pattern>>,
    /// Patterns for its cluster.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) cluster: List<Text<Pattern>>,
    /// Patterns for the location that a source gives.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) location: List<Text<Pattern>>,
    /// Patterns for one of the tags that a source gives.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) tag: List<Text<Pattern>>,
}

fn is_empty<T>(list: &List<T>) -> bool {
    list.0.is_empty()
}

/// A network; host bits are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet(pub(super) IpNet);

impl std::str::FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.trim().parse::<IpNet>().map(|net| Subnet(net.trunc())).map_err(|_| {
            let text = crate::domain::name::visible(text, 60);
            format!("`{text}` is not a network: expected one such as 192.168.1.0/24")
        })
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a rule sets.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Placement {
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) site: Option<Text<Label>>,
    /// The location within the site, outermost first, parts separated by ` / `.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<Text<Label>>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Text<Label>>,
    /// The VRF of its addresses and prefixes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vrf: Option<Text<Label>>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Text<Label>>,
    /// What is made of it where it merely answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep: Option<Word<Standing>>,
    /// Tags besides the agent's own.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) tags: List<Text<Label>>,
}

/// Who owns a field.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ownership {
    /// The policy of fields that are not named below.
    pub(super) policy: Word<Owner>,
    /// Policies by field, such as `description`, or by kind and field, such as `device.name`.
    pub(super) fields: Fields,
}

impl Default for Ownership {
    fn default() -> Self {
        let default = settings::Ownership::default();
        Ownership { policy: Word(default.policy), fields: Fields::default() }
    }
}

/// When something counts as gone, and what becomes of it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Absence {
    /// So many runs that saw everything where it was must have missed it.
    pub(super) grace_runs: NonZeroU32,
    /// So long ago must it have been seen.
    pub(super) grace_time: Period,
    /// What may be deleted after a second grace; only what the agent made and nobody else touched.
    pub(super) delete: Word<Deletion>,
    /// So many more runs must have missed it before it is deleted.
    pub(super) delete_grace_runs: NonZeroU32,
    /// So much more time must have passed before it is deleted.
    pub(super) delete_grace_time: Period,
}

impl Default for Absence {
    fn default() -> Self {
        let default = settings::Absence::default();
        let runs = |runs| NonZeroU32::new(runs).unwrap_or(NonZeroU32::MIN);
        Absence {
            grace_runs: runs(default.grace_runs),
            grace_time: Period(default.grace_time),
            delete: Word(default.delete),
            delete_grace_runs: runs(default.delete_grace_runs),
            delete_grace_time: Period(default.delete_grace_time),
        }
    }
}

/// How much one run may change. A plan beyond any of these is refused as a whole.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Guard {
    /// New objects.
    pub(super) max_creates: LimitText,
    /// Objects whose status is set to say that they are gone.
    pub(super) max_retires: LimitText,
    /// Deletions.
    pub(super) max_deletes: LimitText,
    /// Addresses and MAC addresses that go to another interface.
    pub(super) max_moves: LimitText,
    /// Hosts that a source saw in its last run and misses now in what it covered.
    pub(super) max_vanished: LimitText,
}

impl Default for Guard {
    fn default() -> Self {
        let default = settings::Guard::default();
        Guard {
            max_creates: LimitText(default.max_creates),
            max_retires: LimitText(default.max_retires),
            max_deletes: LimitText(default.max_deletes),
            max_moves: LimitText(default.max_moves),
            max_vanished: LimitText(default.max_vanished),
        }
    }
}

/// What a person has decided about identity: exactly one of these.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Bind {
    /// Whatever carries any of these identifiers is one thing.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) join: List<Text<Identifier>>,
    /// What carries different ones of these identifiers is different things. One alone is
    /// no evidence of anything: many things carry it.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) split: List<Text<Identifier>>,
    /// Names of one thing: where one stands and another is seen, they match.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) alias: List<Text<Label>>,
}

/// Logging to standard error.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// How much is logged.
    pub(super) level: Level,
    /// How lines are written.
    pub(super) format: Format,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What a person may want to mend.
    #[default]
    Warn,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
    /// Everything.
    Trace,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// The keys that all sources have.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shared {
    /// What kind of source it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// Its name: letters, digits, `-`, `_` and `.`. Default: the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Text<SourceName>>,
    /// Whether it is asked at all.
    pub(super) enabled: bool,
    /// The segment that its addresses are in. Networks with equal addresses that never meet need different ones.
    pub(super) segment: String,
    /// How long it may take. Default: `deadline` of `[agent]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<Period>,
}

impl Default for Shared {
    fn default() -> Self {
        Shared { kind: None, name: None, enabled: true, segment: String::new(), deadline: None }
    }
}

impl Shared {
    /// The keys.
    pub(super) const KEYS: [&str; 5] = ["kind", "name", "enabled", "segment", "deadline"];
}
