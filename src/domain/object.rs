//! The objects that a sink keeps, as kinds with fields: NetBox's model in
//! NetBox's words, but none of its JSON. One table says for each kind what it
//! is called, in which order it is written, and which of its fields wait.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::name::SourceName;
use super::value::{SmallMap, Value};
use super::words::words;

words! {
    /// The kinds of objects, in the order in which they are created: nothing
    /// refers to a kind below it except through a field that waits (see [`Field::waits`]).
    pub enum Kind ("object kind") {
        /// A label.
        Tag = "tag",
        /// A custom field.
        CustomField = "custom_field",
        /// A maker.
        Manufacturer = "manufacturer",
        /// What devices and virtual machines are for.
        DeviceRole = "device_role",
        /// A kind of cluster.
        ClusterType = "cluster_type",
        /// A tenant.
        Tenant = "tenant",
        /// A routing table with addresses of its own.
        Vrf = "vrf",
        /// A site.
        Site = "site",
        /// A place within a site.
        Location = "location",
        /// A model of a maker.
        DeviceType = "device_type",
        /// An operating system or firmware.
        Platform = "platform",
        /// A cluster of hypervisors.
        Cluster = "cluster",
        /// A group within which VLAN ids are unique.
        VlanGroup = "vlan_group",
        /// A VLAN.
        Vlan = "vlan",
        /// A subnet.
        Prefix = "prefix",
        /// A range of addresses.
        IpRange = "ip_range",
        /// A machine that can be touched.
        Device = "device",
        /// A virtual machine or a container.
        VirtualMachine = "virtual_machine",
        /// An interface of a device.
        Interface = "interface",
        /// An interface of a virtual machine.
        VmInterface = "vm_interface",
        /// A virtual machine's disk.
        VirtualDisk = "virtual_disk",
        /// Hardware inside a device.
        InventoryItem = "inventory_item",
        /// A MAC address.
        MacAddress = "mac_address",
        /// An IP address.
        IpAddress = "ip_address",
        /// What a device or virtual machine offers on a port.
        Service = "service",
        /// A cable between two interfaces.
        Cable = "cable",
    }
}

impl Kind {
    /// As a person reads it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Kind::CustomField => "custom field",
            Kind::DeviceRole => "role",
            Kind::ClusterType => "cluster type",
            Kind::Vrf => "VRF",
            Kind::DeviceType => "device type",
            Kind::VlanGroup => "VLAN group",
            Kind::Vlan => "VLAN",
            Kind::IpRange => "IP range",
            Kind::VirtualMachine => "virtual machine",
            Kind::VmInterface => "VM interface",
            Kind::VirtualDisk => "virtual disk",
            Kind::InventoryItem => "inventory item",
            Kind::MacAddress => "MAC address",
            Kind::IpAddress => "IP address",
            other => other.as_str(),
        }
    }

    /// Whether objects of the kind carry tags and custom fields.
    #[must_use]
    pub const fn is_marked(self) -> bool {
        !matches!(self, Kind::Tag | Kind::CustomField)
    }

    /// The status that says "no longer seen", and the field it stands in.
    /// `None` for kinds that cannot be retired without deleting them.
    #[must_use]
    pub fn retired(self) -> Option<(Field, Value)> {
        match self {
            Kind::Device | Kind::VirtualMachine => Some((Field::Status, Value::text("offline"))),
            Kind::IpAddress | Kind::Prefix | Kind::Vlan | Kind::IpRange => {
                Some((Field::Status, Value::text("deprecated")))
            }
            Kind::Interface | Kind::VmInterface => Some((Field::Enabled, Value::Bool(false))),
            _ => None,
        }
    }
}

words! {
    /// The fields of all kinds. A field of one name means the same in every kind
    /// that has it, save that `role` and `type` are references in some and choices in others.
    pub enum Field ("field") {
        /// The name.
        Name = "name",
        /// The name in addresses; made of the name.
        Slug = "slug",
        /// The label shown in place of a custom field's name.
        Label = "label",
        /// A colour as six hexadecimal digits.
        Color = "color",
        /// The model of a device type.
        Model = "model",
        /// A maker's part number.
        PartNumber = "part_number",
        /// A maker.
        Manufacturer = "manufacturer",
        /// The type of an interface, a cluster or a custom field.
        Type = "type",
        /// The kinds of objects that a custom field is for.
        ObjectTypes = "object_types",
        /// The group in which a custom field is shown.
        GroupName = "group_name",
        /// The kind that a custom field refers to.
        RelatedType = "related_object_type",
        /// Whether a role serves virtual machines too.
        VmRole = "vm_role",
        /// The status.
        Status = "status",
        /// The site.
        Site = "site",
        /// The location within the site.
        Location = "location",
        /// The tenant.
        Tenant = "tenant",
        /// The device type.
        DeviceType = "device_type",
        /// The role.
        Role = "role",
        /// The platform.
        Platform = "platform",
        /// The maker's serial number.
        Serial = "serial",
        /// The asset tag.
        AssetTag = "asset_tag",
        /// The cluster.
        Cluster = "cluster",
        /// The group of a VLAN.
        Group = "group",
        /// The device that something belongs to or runs on.
        Device = "device",
        /// The virtual machine that something belongs to.
        VirtualMachine = "virtual_machine",
        /// The device or virtual machine that a service belongs to, or an object's parent of its own kind.
        Parent = "parent",
        /// The interface that an address belongs to.
        AssignedObject = "assigned_object",
        /// Virtual processors.
        Vcpus = "vcpus",
        /// Memory in MB.
        Memory = "memory",
        /// Disk space in MB.
        Disk = "disk",
        /// The size of a virtual disk in MB.
        Size = "size",
        /// Whether an interface is on.
        Enabled = "enabled",
        /// MTU in bytes.
        Mtu = "mtu",
        /// Speed in kbit/s.
        Speed = "speed",
        /// The bridge that an interface is a port of.
        Bridge = "bridge",
        /// The LAG that an interface is a member of.
        Lag = "lag",
        /// The 802.1Q mode.
        Mode = "mode",
        /// The VLAN of untagged frames.
        UntaggedVlan = "untagged_vlan",
        /// The VLANs of tagged frames.
        TaggedVlans = "tagged_vlans",
        /// The MAC address itself.
        MacAddress = "mac_address",
        /// The MAC address that an interface uses.
        PrimaryMac = "primary_mac_address",
        /// An IP address with the length of its prefix.
        Address = "address",
        /// The name in DNS.
        DnsName = "dns_name",
        /// The VRF.
        Vrf = "vrf",
        /// A subnet.
        Prefix = "prefix",
        /// The VLAN of a subnet.
        Vlan = "vlan",
        /// A VLAN's id.
        Vid = "vid",
        /// The first address of a range.
        StartAddress = "start_address",
        /// The last address of a range.
        EndAddress = "end_address",
        /// The transport protocol.
        Protocol = "protocol",
        /// The ports of a service.
        Ports = "ports",
        /// A part number of an inventory item.
        PartId = "part_id",
        /// One end of a cable.
        ATerminations = "a_terminations",
        /// The other end of a cable.
        BTerminations = "b_terminations",
        /// The address by which a host is reached over IPv4.
        PrimaryIp4 = "primary_ip4",
        /// The address by which a host is reached over IPv6.
        PrimaryIp6 = "primary_ip6",
        /// The device through which this one is reached; a custom field.
        Via = "via",
        /// One line about it.
        Description = "description",
        /// Longer notes.
        Comments = "comments",
        /// The tags, each owned on its own.
        Tags = "tags",
        /// The agent's key of the object; a custom field.
        AgentKey = "agent_key",
        /// The source that the agent knows the object from; a custom field.
        AgentSource = "agent_source",
        /// The agent that made the object; a custom field.
        AgentInstance = "agent_instance",
    }
}

impl Field {
    /// Whether the field can only be set when an object that comes later (or its
    /// own kind's others) exists, so that it is written in a second step.
    #[must_use]
    pub fn waits(self, kind: Kind) -> bool {
        match self {
            Field::PrimaryIp4 | Field::PrimaryIp6 | Field::PrimaryMac | Field::Via => true,
            Field::Lag | Field::Bridge => true,
            Field::Parent => matches!(kind, Kind::Interface | Kind::VmInterface),
            _ => false,
        }
    }

    /// Whether the field is the agent's own book-keeping, which no person edits by
    /// intent and no conflict is reported for.
    #[must_use]
    pub const fn is_mark(self) -> bool {
        matches!(self, Field::AgentKey | Field::AgentSource | Field::AgentInstance)
    }
}

/// The agent's own stable key of an object that it wants or made, such as
/// `device:pve:homelab/node/pve1` or `interface:pve:homelab/lxc/100#eth0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(pub Arc<str>);

impl ObjectKey {
    /// A key of a kind and of what names the object within it.
    #[must_use]
    pub fn new(kind: Kind, name: impl fmt::Display) -> Self {
        ObjectKey(format!("{kind}:{name}").into())
    }

    /// The whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A reference to an object: one that stands in the sink, or one that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectRef {
    /// An object that stands, by its id.
    Live(Kind, u64),
    /// An object that a plan makes.
    Planned(Kind, ObjectKey),
}

impl ObjectRef {
    /// The kind of object it refers to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            ObjectRef::Live(kind, _) | ObjectRef::Planned(kind, _) => *kind,
        }
    }

    /// The id, where the object stands.
    #[must_use]
    pub const fn live_id(&self) -> Option<u64> {
        match self {
            ObjectRef::Live(_, id) => Some(*id),
            ObjectRef::Planned(..) => None,
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectRef::Live(kind, id) => write!(f, "{} {id}", kind.label()),
            ObjectRef::Planned(_, key) => write!(f, "{key}"),
        }
    }
}

/// Which source a value comes from, and how that source knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// A source stated it.
    Source {
        /// The source.
        source: SourceName,
        /// How it knows.
        evidence: Arc<str>,
    },
    /// A rule or default of the configuration says so.
    Rule(Arc<str>),
    /// It follows from the agent's own way of working.
    Agent(Arc<str>),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Source { source, evidence } => write!(f, "{source}: {evidence}"),
            Why::Rule(rule) => write!(f, "configuration: {rule}"),
            Why::Agent(reason) => write!(f, "agent: {reason}"),
        }
    }
}

/// A value that a field should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The value.
    pub value: Value,
    /// Whether it is only a starting value: written where nothing stands, never over anything.
    pub initial: bool,
    /// Who says so.
    pub why: Why,
}

/// An object that should stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredObject {
    /// Its kind.
    pub kind: Kind,
    /// The agent's key of it.
    pub key: ObjectKey,
    /// What a person calls it: `web01`, `web01 eth0`, `10.0.0.1/24`.
    pub label: Arc<str>,
    /// Its fields.
    pub fields: SmallMap<Field, Want>,
    /// The host in the inventory that it stands for or belongs to.
    pub host: Option<usize>,
    /// Whether it may be created. Where not, only an object that stands already is kept true.
    pub create: bool,
    /// Whether it is only made when something else that is written refers to it.
    pub on_demand: bool,
}

/// Everything that should stand, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// The objects.
    pub objects: BTreeMap<ObjectKey, DesiredObject>,
}
