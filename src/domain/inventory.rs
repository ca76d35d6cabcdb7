//! What is there, with every value's provenance: the result of a merge.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::diagnostic::Diagnostic;
use super::identity::Identifier;
use super::mac::MacAddr;
use super::object::Why;
use super::observation::{
    AddressRole, Authority, Form, Host, HostAttribute, InterfaceAttribute, NativeKey, Neighbor,
    Observation, Part, Protocol, Segment, Thing,
};
use super::settings::Bind;
use super::value::{SmallMap, Value};

/// The place of an observation in [`Inventory::observations`].
pub type Seen = u32;

/// One source's word for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The value.
    pub value: Value,
    /// The observation that states it.
    pub seen: Seen,
}

/// A value with everything that was said of it: the claim that won first, the
/// others after it in the order in which they would win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    claims: Vec<Claim>,
}

impl Fact {
    /// A fact of its claims, best first; none without claims.
    #[must_use]
    pub fn new(claims: Vec<Claim>) -> Option<Self> {
        (!claims.is_empty()).then_some(Fact { claims })
    }

    /// The claim that won.
    #[must_use]
    pub fn winner(&self) -> &Claim {
        &self.claims[0]
    }

    /// The value that won.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.claims[0].value
    }

    /// All claims, best first.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }
}

/// The stable name of a host within the inventory: its strongest identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey(pub Arc<str>);

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One device, virtual machine or container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedHost {
    /// Its strongest identifier.
    pub key: HostKey,
    /// The segment of the first observation of it.
    pub segment: Segment,
    /// The identifiers that are evidence of it: native and strong ones.
    pub identifiers: BTreeSet<Identifier>,
    /// The observations that make it up, in order.
    pub seen: Vec<Seen>,
    /// What it is, where a source can tell.
    pub form: Option<Form>,
    /// Its attributes.
    pub facts: SmallMap<HostAttribute, Fact>,
    /// Its interfaces, by name, those without one by MAC address.
    pub interfaces: Vec<MergedInterface>,
    /// Its virtual disks.
    pub disks: Vec<MergedDisk>,
    /// What it offers.
    pub services: Vec<MergedService>,
    /// Hardware inside it.
    pub components: Vec<MergedComponent>,
    /// The parts that a source listed whole.
    pub complete: BTreeSet<Part>,
    /// Why no object may be made of it, where a person has to decide first.
    pub held: Option<Arc<str>>,
}

impl MergedHost {
    /// The text of an attribute.
    #[must_use]
    pub fn text(&self, attribute: HostAttribute) -> Option<&str> {
        self.facts.get(&attribute).and_then(|fact| fact.value().as_text())
    }

    /// Whether it is a virtual machine or container.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        matches!(self.form, Some(Form::VirtualMachine | Form::Container))
    }

    /// Every native key of it.
    pub fn native_keys(&self) -> impl Iterator<Item = &NativeKey> {
        self.identifiers.iter().filter_map(|identifier| match identifier {
            Identifier::Native(key) => Some(key),
            _ => None,
        })
    }

    /// Every MAC address of its interfaces.
    pub fn macs(&self) -> impl Iterator<Item = MacAddr> {
        self.interfaces.iter().flat_map(|interface| interface.macs.iter().map(|(mac, _)| *mac))
    }
}

/// One interface of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedInterface {
    /// Its name, where a source gave one.
    pub name: Option<Arc<str>>,
    /// Other names that sources have for it.
    pub other_names: BTreeSet<Arc<str>>,
    /// Its MAC addresses with who states them, the believed one first.
    pub macs: Vec<(MacAddr, Seen)>,
    /// Its attributes.
    pub facts: SmallMap<InterfaceAttribute, Fact>,
    /// Its addresses, sorted.
    pub addresses: Vec<MergedAddress>,
    /// What is at the other end of its cable.
    pub neighbor: Option<(Neighbor, Seen)>,
    /// The observations that speak of it.
    pub seen: Vec<Seen>,
    /// Its place in the source's own list, by which the first is found.
    pub order: usize,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedAddress {
    /// The address.
    pub ip: IpAddr,
    /// The segment it is unique in.
    pub segment: Segment,
    /// The length of its network's prefix, where a source knows it.
    pub prefix_len: Option<u8>,
    /// Its name in DNS.
    pub dns_name: Option<(Arc<str>, Seen)>,
    /// Whether the default route leaves through its interface.
    pub gateway: bool,
    /// Its role.
    pub role: Option<AddressRole>,
    /// Whether it was handed out rather than configured.
    pub dynamic: Option<bool>,
    /// The observations that speak of it, the most believed first.
    pub seen: Vec<Seen>,
}

/// An address that belongs to no host of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoneAddress {
    /// The address and what is said of it.
    pub address: MergedAddress,
    /// The MAC address that it answered from, where that is no evidence of a device.
    pub mac: Option<MacAddr>,
    /// What sources call whatever answers there.
    pub facts: SmallMap<HostAttribute, Fact>,
    /// Services that were seen there.
    pub services: Vec<MergedService>,
}

/// A virtual disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedDisk {
    /// Its name.
    pub name: Arc<str>,
    /// Its size in MB.
    pub size_mb: i64,
    /// One line about it.
    pub description: Option<Arc<str>>,
    /// Who states it.
    pub seen: Seen,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedService {
    /// Its name.
    pub name: Arc<str>,
    /// The transport.
    pub protocol: Protocol,
    /// The ports.
    pub ports: BTreeSet<u16>,
    /// One line about it.
    pub description: Option<Arc<str>>,
    /// Who states it.
    pub seen: Seen,
}

/// Hardware inside a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedComponent {
    /// What is known of it.
    pub component: super::observation::Component,
    /// Who states it.
    pub seen: Seen,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedCluster {
    /// What is known of it.
    pub cluster: super::observation::Cluster,
    /// Who states it.
    pub seen: Vec<Seen>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPrefix {
    /// The segment it is unique in.
    pub segment: Segment,
    /// The network.
    pub net: IpNet,
    /// The VLAN it is carried in.
    pub vlan: Option<(u16, Seen)>,
    /// One line about it.
    pub description: Option<(Arc<str>, Seen)>,
    /// Who states it.
    pub seen: Vec<Seen>,
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedVlan {
    /// The segment it is unique in.
    pub segment: Segment,
    /// Its id.
    pub vid: u16,
    /// Its name.
    pub name: Option<(Arc<str>, Seen)>,
    /// One line about it.
    pub description: Option<(Arc<str>, Seen)>,
    /// Who states it.
    pub seen: Vec<Seen>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedRange {
    /// The segment it is unique in.
    pub segment: Segment,
    /// What is known of it.
    pub range: super::observation::IpRange,
    /// Who states it.
    pub seen: Vec<Seen>,
}

/// Why two statements were not taken to be about one thing, or why one was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// An identifier that several different things state; it is no evidence.
    Contested {
        /// The identifier.
        identifier: Identifier,
        /// The observations that state it.
        seen: Vec<Seen>,
        /// The contradiction between them.
        because: Arc<str>,
    },
    /// Identifiers that would have joined things which contradict each other.
    Vetoed {
        /// The observation that stands between them.
        seen: Vec<Seen>,
        /// The contradiction.
        because: Arc<str>,
    },
    /// A statement without identity of its own that was given to the one thing that
    /// owns its weak identifier.
    Attached {
        /// The observation.
        seen: Seen,
        /// The weak identifier.
        identifier: Identifier,
        /// The host.
        host: HostKey,
    },
    /// A claim to an address that was not believed.
    Address {
        /// The address.
        ip: IpAddr,
        /// The segment.
        segment: Segment,
        /// The host that it was given to; none where nobody could be believed.
        owner: Option<HostKey>,
        /// The observations whose claim was not believed.
        seen: Vec<Seen>,
    },
}

/// Something that a person must decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ambiguity {
    /// A short name that stays the same as long as the question does.
    pub id: String,
    /// What kind of question it is.
    pub code: &'static str,
    /// What is to be decided.
    pub question: String,
    /// The identifiers or keys that are concerned.
    pub parties: BTreeSet<String>,
    /// Rules, each of which settles it; the likelier ones first.
    pub answers: Vec<Bind>,
}

/// Everything that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The observations it was made of, in canonical order.
    pub observations: Vec<Observation>,
    /// The hosts, by key.
    pub hosts: Vec<MergedHost>,
    /// Addresses of no host, by segment and address.
    pub addresses: Vec<LoneAddress>,
    /// Clusters, by key.
    pub clusters: Vec<MergedCluster>,
    /// Subnets.
    pub prefixes: Vec<MergedPrefix>,
    /// VLANs.
    pub vlans: Vec<MergedVlan>,
    /// Ranges of addresses.
    pub ranges: Vec<MergedRange>,
    /// What was not joined and why, and what was attached.
    pub verdicts: Vec<Verdict>,
    /// What a person must decide.
    pub ambiguities: Vec<Ambiguity>,
    /// What a person should know.
    pub diagnostics: Vec<Diagnostic>,
}

impl Inventory {
    /// The observation at a place.
    #[must_use]
    pub fn observation(&self, seen: Seen) -> &Observation {
        &self.observations[seen as usize]
    }

    /// The host that an observation states, where it is about one.
    #[must_use]
    pub fn stated_host(&self, seen: Seen) -> Option<&Host> {
        match &self.observation(seen).thing {
            Thing::Host(host) => Some(host),
            _ => None,
        }
    }

    /// Who says what an observation states.
    #[must_use]
    pub fn why(&self, seen: Seen) -> Why {
        let observation = self.observation(seen);
        Why::Source { source: observation.source.clone(), evidence: observation.evidence.clone() }
    }

    /// The position from which an observation speaks.
    #[must_use]
    pub fn authority(&self, seen: Seen) -> Authority {
        self.observation(seen).authority
    }

    /// The host of a native key.
    #[must_use]
    pub fn host_of_key(&self, key: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.native_keys().any(|known| known.as_str() == key))
    }
}
