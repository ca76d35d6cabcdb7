//! What one source says of one thing at one time.
//!
//! Facts are attributes with typed values. An attribute that is absent is not
//! known; one that is [`Value::Null`] is stated to be empty. A source that
//! learnt its facts in several ways (a configuration, a guest agent) states
//! them in several observations of the same key, each with its own evidence.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use super::mac::MacAddr;
use super::name::{SourceName, visible};
use super::value::{Decimal, SmallMap, Value};
use super::words::words;

/// One statement about one thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// The configured source that speaks.
    pub source: SourceName,
    /// When it was seen to be so.
    pub at: Timestamp,
    /// From which position the source knows.
    pub authority: Authority,
    /// How the source came to know, in a few words: `arp reply`, `guest agent`.
    pub evidence: Arc<str>,
    /// The network in which the addresses are unique.
    pub segment: Segment,
    /// The thing and its facts.
    pub thing: Thing,
}

/// What an observation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A device, virtual machine, container, or something that merely answered.
    Host(Box<Host>),
    /// A cluster of hypervisors.
    Cluster(Cluster),
    /// A subnet.
    Prefix(Prefix),
    /// A VLAN.
    Vlan(Vlan),
    /// A range of addresses, such as a DHCP pool.
    IpRange(IpRange),
}

words! {
    /// From which position a source knows what it states. Which position wins
    /// is a ranking per attribute; see [`crate::domain::ranking`].
    pub enum Authority ("authority") {
        /// A person said so by hand: a name given in a smart home, a file kept by an administrator.
        Person = "person",
        /// The thing says it of itself: its own API, an agent that runs inside.
        Own = "self",
        /// The hypervisor that runs it, from its configuration.
        Hypervisor = "hypervisor",
        /// A controller or hub that manages it.
        Controller = "controller",
        /// A file of configuration that a program wrote.
        Configuration = "configuration",
        /// A DHCP server's lease.
        Lease = "lease",
        /// DNS or mDNS.
        Directory = "directory",
        /// It was seen on the wire: a reply to a probe.
        Wire = "wire",
        /// Worked out of something else, such as a vendor from a MAC address.
        Derived = "derived",
    }
}

/// The network in which an address names one thing. The empty name is the default one.
/// Two segments may hold the same addresses without meeting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment(Arc<str>);

impl Default for Segment {
    fn default() -> Self {
        Segment("".into())
    }
}

impl Segment {
    /// A segment by its name; blanks and control characters are folded.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Segment(visible(name, 64).into())
    }

    /// The name; empty for the default segment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A source's own key of a thing: `scheme:scope/path`, such as `pve:homelab/qemu/120`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NativeKey(Arc<str>);

/// A text that is not a native key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key: expected scheme:scope/path, such as pve:homelab/qemu/120")]
pub struct NotAKey(pub String);

impl NativeKey {
    /// A key of its parts. What a parser would refuse in the path is replaced by `_`.
    #[must_use]
    pub fn new(scheme: &'static str, path: fmt::Arguments<'_>) -> Self {
        let path = visible(&path.to_string(), 200).replace(' ', "_");
        NativeKey(format!("{scheme}:{path}").into())
    }

    /// The kind of key: distinct keys of one scheme are distinct things.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or("")
    }

    /// The whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NativeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for NativeKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let refuse = || NotAKey(visible(text, 80));
        let (scheme, path) = text.split_once(':').ok_or_else(refuse)?;
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        let plain = !path.is_empty() && path.chars().all(|c| !c.is_whitespace() && !c.is_control());
        if scheme.is_empty() || !scheme.chars().all(word) || !plain || text.chars().count() > 255 {
            return Err(refuse());
        }
        Ok(NativeKey(text.into()))
    }
}

words! {
    /// Whether a host is a machine of its own or runs inside one.
    pub enum Form ("form") {
        /// A machine that can be touched.
        Device = "device",
        /// A virtual machine.
        VirtualMachine = "virtual_machine",
        /// A system container; NetBox keeps it as a virtual machine.
        Container = "container",
    }
}

words! {
    /// The parts of a host that a source may have listed whole, so that what is
    /// not in the list is gone.
    pub enum Part ("part") {
        /// Interfaces and their MAC addresses.
        Interfaces = "interfaces",
        /// Addresses on the interfaces.
        Addresses = "addresses",
        /// Virtual disks.
        Disks = "disks",
        /// Services.
        Services = "services",
        /// Hardware components.
        Components = "components",
    }
}

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// One line of text of at most so many characters.
    Text(usize),
    /// A text that may have several lines.
    Block,
    /// A whole number, zero or more.
    Int,
    /// A number with two places.
    Decimal,
    /// Yes or no.
    Bool,
    /// Several texts.
    Words,
    /// Several whole numbers.
    Ints,
}

/// Declares a list of attributes: the word of each, its type, and what it means.
macro_rules! attributes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident ($what:literal) {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal : $ty:expr, )+
        }
    ) => {
        words! {
            $(#[$meta])*
            pub enum $name ($what) {
                $( $(#[doc = $doc])+ $variant = $word, )+
            }
        }

        impl $name {
            /// The type of its values.
            #[must_use]
            pub const fn value_type(self) -> AttributeType {
                match self { $( $name::$variant => $ty, )+ }
            }

            /// What it means and its unit.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $( $name::$variant => concat!($( $doc ),+), )+ }
            }
        }
    };
}

attributes! {
    /// What may be known of a host.
    pub enum HostAttribute ("host attribute") {
        /// What this source calls it.
        Name = "name": AttributeType::Text(64),
        /// Its name in DNS.
        DnsName = "dns_name": AttributeType::Text(253),
        /// `active`, `offline`, `planned`, `staged`, `failed`, `inventory` or `decommissioning`.
        Status = "status": AttributeType::Text(50),
        /// Who made it.
        Manufacturer = "manufacturer": AttributeType::Text(100),
        /// The model, as its maker calls it.
        Model = "model": AttributeType::Text(100),
        /// The maker's serial number.
        Serial = "serial": AttributeType::Text(50),
        /// The maker's part number.
        PartNumber = "part_number": AttributeType::Text(50),
        /// The SMBIOS system UUID.
        Uuid = "uuid": AttributeType::Text(36),
        /// The asset tag that a person gave it.
        AssetTag = "asset_tag": AttributeType::Text(50),
        /// The operating system or firmware that runs on it.
        Platform = "platform": AttributeType::Text(100),
        /// What it is for: `hypervisor`, `switch`, `camera`.
        Role = "role": AttributeType::Text(100),
        /// One line about it.
        Description = "description": AttributeType::Text(200),
        /// Longer notes.
        Comments = "comments": AttributeType::Block,
        /// The site it stands at.
        Site = "site": AttributeType::Text(100),
        /// The location within the site, outermost first, parts separated by ` / `.
        Location = "location": AttributeType::Text(200),
        /// The tenant it belongs to.
        Tenant = "tenant": AttributeType::Text(100),
        /// Virtual processors.
        Vcpus = "vcpus": AttributeType::Decimal,
        /// Memory in MB (10^6 or 2^20 bytes as the source counts it; NetBox keeps the number).
        Memory = "memory_mb": AttributeType::Int,
        /// Disk space in MB, for guests whose disks are not known one by one.
        Disk = "disk_mb": AttributeType::Int,
        /// The key of the cluster it belongs to.
        Cluster = "cluster": AttributeType::Text(255),
        /// The key of the host that runs it.
        RunsOn = "runs_on": AttributeType::Text(255),
        /// The key of the host through which it is reached, such as a hub.
        Parent = "parent": AttributeType::Text(255),
        /// Labels.
        Tags = "tags": AttributeType::Words,
    }
}

attributes! {
    /// What may be known of an interface besides its name and MAC address.
    pub enum InterfaceAttribute ("interface attribute") {
        /// NetBox's type: `virtual`, `bridge`, `lag`, `1000base-t`, `other`, …
        Type = "type": AttributeType::Text(50),
        /// Whether it is switched on.
        Enabled = "enabled": AttributeType::Bool,
        /// MTU in bytes.
        Mtu = "mtu": AttributeType::Int,
        /// Speed in kbit/s.
        Speed = "speed_kbps": AttributeType::Int,
        /// One line about it.
        Description = "description": AttributeType::Text(200),
        /// The name of the interface that this one is a sub-interface of.
        Parent = "parent": AttributeType::Text(64),
        /// The name of the bridge that it is a port of.
        Bridge = "bridge": AttributeType::Text(64),
        /// The name of the LAG that it is a member of.
        Lag = "lag": AttributeType::Text(64),
        /// The 802.1Q mode: `access`, `tagged` or `tagged-all`.
        Mode = "mode": AttributeType::Text(50),
        /// The VLAN of untagged frames.
        UntaggedVlan = "untagged_vlan": AttributeType::Int,
        /// The VLANs of tagged frames.
        TaggedVlans = "tagged_vlans": AttributeType::Ints,
    }
}

/// Attributes of a host that were stated.
pub type HostFacts = SmallMap<HostAttribute, Value>;
/// Attributes of an interface that were stated.
pub type InterfaceFacts = SmallMap<InterfaceAttribute, Value>;

/// Text cut and cleaned as its attribute's type demands; `None` for what is empty then.
fn clean(text: &str, kind: AttributeType) -> Option<Value> {
    let text = match kind {
        AttributeType::Text(limit) => visible(text, limit),
        _ => text
            .chars()
            .filter(|c| *c == '\n' || *c == '\t' || !c.is_control())
            .take(10_000)
            .collect::<String>()
            .trim()
            .to_owned(),
    };
    (!text.is_empty()).then(|| Value::text(text))
}

/// Ways of stating facts that make a wrong type impossible by mistake.
macro_rules! setters {
    ($attribute:ty) => {
        /// States a text; an empty one states nothing.
        pub fn text(&mut self, attribute: $attribute, text: impl AsRef<str>) {
            if let Some(value) = clean(text.as_ref(), attribute.value_type()) {
                self.insert(attribute, value);
            }
        }

        /// States a whole number; a negative one states nothing.
        pub fn int(&mut self, attribute: $attribute, number: i64) {
            if number >= 0 {
                self.insert(attribute, Value::Int(number));
            }
        }

        /// States that there is none.
        pub fn none(&mut self, attribute: $attribute) {
            self.insert(attribute, Value::Null);
        }
    };
}

impl SmallMap<HostAttribute, Value> {
    setters!(HostAttribute);

    /// States a number with two places.
    pub fn decimal(&mut self, attribute: HostAttribute, number: Decimal) {
        self.insert(attribute, Value::Decimal(number));
    }

    /// States several words; each is cleaned, empty ones are dropped.
    pub fn words<I, S>(&mut self, attribute: HostAttribute, words: I)
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let words = words
            .into_iter()
            .map(|word| visible(word.as_ref(), 100))
            .filter(|word| !word.is_empty());
        self.insert(attribute, Value::words(words));
    }
}

impl SmallMap<InterfaceAttribute, Value> {
    setters!(InterfaceAttribute);

    /// States yes or no.
    pub fn bool(&mut self, attribute: InterfaceAttribute, yes: bool) {
        self.insert(attribute, Value::Bool(yes));
    }

    /// States several whole numbers.
    pub fn ints(&mut self, attribute: InterfaceAttribute, numbers: impl IntoIterator<Item = i64>) {
        self.insert(attribute, Value::Ints(numbers.into_iter().collect()));
    }
}

/// A host as one source sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// The source's own key. Different keys of one scheme are different things.
    pub key: Option<NativeKey>,
    /// Further keys of it. They join, but two of one scheme may name the same thing.
    pub aliases: BTreeSet<NativeKey>,
    /// What it is, where the source can tell.
    pub form: Option<Form>,
    /// Its attributes.
    pub facts: HostFacts,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Its virtual disks.
    pub disks: Vec<Disk>,
    /// What it offers to others.
    pub services: Vec<Service>,
    /// Hardware inside it.
    pub components: Vec<Component>,
    /// Which of these lists are whole.
    pub complete: BTreeSet<Part>,
    /// Whether it only adds to what others say of the same thing: nothing is made of it
    /// alone, and its keys are no evidence.
    pub hint: bool,
}

impl Host {
    /// The source's own key, where it is evidence.
    #[must_use]
    pub fn evident_key(&self) -> Option<&NativeKey> {
        self.key.as_ref().filter(|_| !self.hint)
    }
}

/// An interface of a host. Without a name it is known by its MAC address alone;
/// without both it merely carries addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// The name, such as `eth0` or `net0`.
    pub name: Option<Arc<str>>,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
    /// Its attributes.
    pub facts: InterfaceFacts,
    /// The addresses on it.
    pub addresses: Vec<Address>,
    /// What is at the other end of its cable.
    pub neighbor: Option<Neighbor>,
}

/// An address on an interface, or one that answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The address itself, never with a zone.
    pub ip: IpAddr,
    /// The length of its network's prefix, where it is known.
    pub prefix_len: Option<u8>,
    /// Its name in DNS.
    pub dns_name: Option<Arc<str>>,
    /// Whether the default route leaves through its interface.
    pub gateway: bool,
    /// Its role, where it is not an ordinary one.
    pub role: Option<AddressRole>,
    /// Whether it was handed out by DHCP or autoconfiguration, where that is known.
    pub dynamic: Option<bool>,
}

impl Address {
    /// An address of which nothing else is known. A mapped IPv4 address becomes the IPv4 address.
    #[must_use]
    pub fn bare(ip: IpAddr) -> Self {
        Address {
            ip: ip.to_canonical(),
            prefix_len: None,
            dns_name: None,
            gateway: false,
            role: None,
            dynamic: None,
        }
    }

    /// An address with the length of its prefix.
    #[must_use]
    pub fn with_prefix(net: IpNet) -> Self {
        Address { prefix_len: Some(net.prefix_len()), ..Address::bare(net.addr()) }
    }
}

words! {
    /// Roles of addresses, by NetBox's names.
    pub enum AddressRole ("address role") {
        /// On a loopback interface.
        Loopback = "loopback",
        /// A second address of its interface.
        Secondary = "secondary",
        /// The same on several hosts on purpose.
        Anycast = "anycast",
        /// A virtual address.
        Vip = "vip",
        /// Held by VRRP.
        Vrrp = "vrrp",
        /// Held by HSRP.
        Hsrp = "hsrp",
        /// Held by GLBP.
        Glbp = "glbp",
        /// Held by CARP.
        Carp = "carp",
    }
}

/// What a host reports of the other end of a cable (LLDP).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbor {
    /// The neighbour's chassis id, where it is a MAC address.
    pub chassis: Option<MacAddr>,
    /// The neighbour's system name.
    pub name: Option<Arc<str>>,
    /// The name of the neighbour's port.
    pub port: Arc<str>,
}

/// A virtual disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disk {
    /// The name within the guest's configuration, such as `scsi0`.
    pub name: Arc<str>,
    /// Its size in MB.
    pub size_mb: i64,
    /// Where it is stored, or another line about it.
    pub description: Option<Arc<str>>,
}

words! {
    /// Transport protocols of a service, by NetBox's names.
    pub enum Protocol ("protocol") {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// SCTP.
        Sctp = "sctp",
    }
}

/// Something that a host offers on a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The name, such as `ssh`.
    pub name: Arc<str>,
    /// The transport.
    pub protocol: Protocol,
    /// The ports.
    pub ports: BTreeSet<u16>,
    /// One line about it.
    pub description: Option<Arc<str>>,
}

/// Hardware inside a host: a disk, a controller.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The name, unique within the host, such as `sda`.
    pub name: Arc<str>,
    /// Its maker.
    pub manufacturer: Option<Arc<str>>,
    /// The maker's part number or model.
    pub part_id: Option<Arc<str>>,
    /// Its serial number.
    pub serial: Option<Arc<str>>,
    /// One line about it.
    pub description: Option<Arc<str>>,
}

/// A cluster of hypervisors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cluster {
    /// The source's own key.
    pub key: NativeKey,
    /// Its name.
    pub name: Arc<str>,
    /// What kind of cluster it is, such as `Proxmox VE`.
    pub kind: Arc<str>,
    /// The site it stands at.
    pub site: Option<Arc<str>>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The network; its host bits are zero.
    pub net: IpNet,
    /// The VLAN it is carried in.
    pub vlan: Option<u16>,
    /// One line about it.
    pub description: Option<Arc<str>>,
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vlan {
    /// 1 to 4094.
    pub vid: u16,
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// One line about it.
    pub description: Option<Arc<str>>,
}

/// A range of addresses within one network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IpRange {
    /// The first address.
    pub start: IpAddr,
    /// The last address.
    pub end: IpAddr,
    /// The length of the network's prefix.
    pub prefix_len: u8,
    /// One line about it.
    pub description: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_scheme_and_a_path() {
        let key: NativeKey = "pve:homelab/qemu/120".parse().unwrap();
        assert_eq!(key.scheme(), "pve");
        for text in ["", "pve", "pve:", ":x", "PVE:x", "pve:a b", "pve:a\nb"] {
            assert!(text.parse::<NativeKey>().is_err(), "{text}");
        }
        assert_eq!(
            NativeKey::new("pve", format_args!("my lab/qemu/1")).as_str(),
            "pve:my_lab/qemu/1"
        );
    }

    #[test]
    fn facts_are_cleaned_where_they_are_stated() {
        let mut facts = HostFacts::default();
        facts.text(HostAttribute::Name, "nas\u{7}\n01 ");
        facts.text(HostAttribute::Model, "  ");
        facts.int(HostAttribute::Memory, -1);
        assert_eq!(facts.get(&HostAttribute::Name), Some(&Value::text("nas 01")));
        assert_eq!(facts.len(), 1);
    }
}
