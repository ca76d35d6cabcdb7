//! What the texts are made of: hosts with all that belongs to them, and networks.
//!
//! The shape of these types is the shape of the JSON, and a promise: fields are
//! added, never renamed or taken away, as long as `version` stays. A field that is
//! not known is `null`, a list without elements is `[]`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::reader::Reader;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::Value;
use crate::domain::world::{Live, World};

/// Everything that stands in the inventory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Inventory {
    /// The version of this shape.
    pub version: u32,
    /// Devices and virtual machines, by name.
    pub hosts: Vec<Host>,
    /// Clusters of hypervisors, by name.
    pub clusters: Vec<Cluster>,
    /// Subnets, in the order of their addresses.
    pub prefixes: Vec<Prefix>,
    /// VLANs, by id.
    pub vlans: Vec<Vlan>,
    /// Ranges of addresses, in the order of their addresses.
    pub ip_ranges: Vec<IpRange>,
    /// Addresses that belong to no interface, in their order.
    pub unassigned_addresses: Vec<Address>,
}

/// Whether a host can be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// It can.
    Device,
    /// It is a virtual machine or a container.
    VirtualMachine,
}

/// A device, virtual machine or container.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Host {
    /// Whether it is a device.
    pub kind: HostKind,
    /// Its id among its kind.
    pub id: u64,
    /// Its name.
    pub name: Option<String>,
    /// `active`, `offline`, …
    pub status: Option<String>,
    /// What it is for.
    pub role: Option<String>,
    /// Its site.
    pub site: Option<String>,
    /// Its place within the site.
    pub location: Option<String>,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its asset tag.
    pub asset_tag: Option<String>,
    /// What runs on it.
    pub platform: Option<String>,
    /// The cluster it belongs to.
    pub cluster: Option<String>,
    /// The device that runs it.
    pub runs_on: Option<String>,
    /// Virtual processors.
    pub vcpus: Option<f64>,
    /// Memory in MB.
    pub memory_mb: Option<i64>,
    /// Disk space in MB.
    pub disk_mb: Option<i64>,
    /// The address by which it is reached over IPv4, with the length of its prefix.
    pub primary_ip4: Option<String>,
    /// The address by which it is reached over IPv6, with the length of its prefix.
    pub primary_ip6: Option<String>,
    /// One line about it.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The source that the agent knows it from; none for what the agent does not keep.
    pub source: Option<String>,
    /// The agent's own key of it, which stays when its name or address changes.
    pub key: Option<String>,
    /// Its interfaces, by name.
    pub interfaces: Vec<Interface>,
    /// Its virtual disks, by name.
    pub disks: Vec<Disk>,
    /// Hardware inside it, by name.
    pub components: Vec<Component>,
    /// What it offers, by name.
    pub services: Vec<Service>,
}

/// An interface of a host.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its type, where it is a device's.
    pub r#type: Option<String>,
    /// Whether it is switched on.
    pub enabled: Option<bool>,
    /// Its MAC address.
    pub mac: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<i64>,
    /// Speed in kbit/s.
    pub speed_kbps: Option<i64>,
    /// One line about it.
    pub description: Option<String>,
    /// The VLAN of untagged frames.
    pub untagged_vlan: Option<i64>,
    /// The VLANs of tagged frames.
    pub tagged_vlans: Vec<i64>,
    /// Its addresses, in their order.
    pub addresses: Vec<Address>,
}

/// An IP address.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Address {
    /// The address with the length of its prefix.
    pub address: String,
    /// `active`, `deprecated`, …
    pub status: Option<String>,
    /// Its role, where it has a particular one.
    pub role: Option<String>,
    /// Its name in DNS.
    pub dns_name: Option<String>,
    /// The VRF it is in.
    pub vrf: Option<String>,
}

/// A virtual disk.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Its size in MB.
    pub size_mb: Option<i64>,
    /// One line about it.
    pub description: Option<String>,
}

/// Hardware inside a host.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its part number or model.
    pub part_id: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
}

/// What a host offers on its ports.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: Option<String>,
    /// Its ports.
    pub ports: Vec<i64>,
}

/// A cluster of hypervisors.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub r#type: Option<String>,
    /// Its site.
    pub site: Option<String>,
    /// Its status.
    pub status: Option<String>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Prefix {
    /// The subnet.
    pub prefix: String,
    /// Its status.
    pub status: Option<String>,
    /// Its VLAN.
    pub vlan: Option<i64>,
    /// Its site.
    pub site: Option<String>,
    /// The VRF it is in.
    pub vrf: Option<String>,
    /// One line about it.
    pub description: Option<String>,
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Vlan {
    /// Its id.
    pub vid: i64,
    /// Its name.
    pub name: Option<String>,
    /// Its status.
    pub status: Option<String>,
    /// Its site.
    pub site: Option<String>,
    /// The group within which its id is unique.
    pub group: Option<String>,
    /// One line about it.
    pub description: Option<String>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct IpRange {
    /// Its first address.
    pub start: String,
    /// Its last address.
    pub end: String,
    /// Its status.
    pub status: Option<String>,
    /// The VRF it is in.
    pub vrf: Option<String>,
    /// One line about it.
    pub description: Option<String>,
}

impl Inventory {
    /// The inventory of a world in which every kind was read.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let parts = Parts::of(world);
        let mut hosts: Vec<Host> = world
            .of(Kind::Device)
            .chain(world.of(Kind::VirtualMachine))
            .map(|object| parts.host(object))
            .collect();
        hosts.sort_by_key(|host| (by_name(host.name.as_deref()), host.kind, host.id));
        let mut inventory = Inventory {
            version: 1,
            hosts,
            clusters: world.of(Kind::Cluster).map(|object| parts.cluster(object)).collect(),
            prefixes: world.of(Kind::Prefix).map(|object| parts.prefix(object)).collect(),
            vlans: world.of(Kind::Vlan).map(|object| parts.vlan(object)).collect(),
            ip_ranges: world.of(Kind::IpRange).map(|object| parts.ip_range(object)).collect(),
            unassigned_addresses: parts.loose.iter().map(|object| parts.address(object)).collect(),
        };
        inventory.clusters.sort_by_key(|cluster| by_name(Some(&cluster.name)));
        inventory.prefixes.sort_by_key(|prefix| (by_address(&prefix.prefix), prefix.vrf.clone()));
        inventory.vlans.sort_by_key(|vlan| (vlan.vid, vlan.group.clone(), vlan.name.clone()));
        inventory.ip_ranges.sort_by_key(|range| (by_address(&range.start), range.vrf.clone()));
        sort_addresses(&mut inventory.unassigned_addresses);
        inventory
    }
}

/// Names in an order that a person expects: not by case; what has none comes last.
pub(super) fn by_name(name: Option<&str>) -> (bool, String, String) {
    let name = name.unwrap_or_default();
    (name.is_empty(), name.to_lowercase(), name.to_owned())
}

/// Addresses and subnets in the order of their numbers, IPv4 first.
pub(super) fn by_address(text: &str) -> (Option<IpAddr>, u8, String) {
    let net = text.parse::<ipnet::IpNet>();
    let net = net.ok().or_else(|| text.parse().ok().map(|ip: IpAddr| ip.into()));
    (net.map(|net| net.addr()), net.map_or(0, |net| net.prefix_len()), text.to_owned())
}

fn sort_addresses(addresses: &mut [Address]) {
    addresses.sort_by_key(|address| (by_address(&address.address), address.vrf.clone()));
}

/// The objects of a world by what they are a part of.
struct Parts<'w> {
    reader: Reader<'w>,
    of_host: BTreeMap<(Kind, u64), Vec<&'w Live>>,
    of_interface: BTreeMap<(Kind, u64), Vec<&'w Live>>,
    /// The addresses that belong to no interface.
    loose: Vec<&'w Live>,
}

impl<'w> Parts<'w> {
    fn of(world: &'w World) -> Self {
        let reader = Reader::new(world);
        let mut parts = Parts {
            reader,
            of_host: BTreeMap::new(),
            of_interface: BTreeMap::new(),
            loose: Vec::new(),
        };
        for object in world.iter() {
            match object.kind {
                Kind::Interface
                | Kind::VmInterface
                | Kind::VirtualDisk
                | Kind::InventoryItem
                | Kind::Service => {
                    if let Some(host) = reader.host(object) {
                        parts.of_host.entry((host.kind, host.id)).or_default().push(object);
                    }
                }
                Kind::IpAddress | Kind::MacAddress => {
                    match reader.referred(object, Field::AssignedObject) {
                        Some(interface) => parts
                            .of_interface
                            .entry((interface.kind, interface.id))
                            .or_default()
                            .push(object),
                        None if object.kind == Kind::IpAddress => parts.loose.push(object),
                        None => {}
                    }
                }
                _ => {}
            }
        }
        parts
    }

    fn host(&self, object: &'w Live) -> Host {
        let text = |field| self.reader.text(object, field);
        let device_type = self.reader.referred(object, Field::DeviceType);
        let of_type =
            |field| device_type.and_then(|device_type| self.reader.text(device_type, field));
        let is_device = object.kind == Kind::Device;
        Host {
            kind: if is_device { HostKind::Device } else { HostKind::VirtualMachine },
            id: object.id,
            name: text(Field::Name),
            status: text(Field::Status),
            role: text(Field::Role),
            site: text(Field::Site),
            location: text(Field::Location),
            tenant: text(Field::Tenant),
            manufacturer: of_type(Field::Manufacturer),
            model: of_type(Field::Model),
            serial: text(Field::Serial),
            asset_tag: text(Field::AssetTag),
            platform: text(Field::Platform),
            cluster: text(Field::Cluster),
            runs_on: text(Field::Device),
            vcpus: match object.field(Field::Vcpus) {
                Value::Decimal(number) => Some(number.as_f64()),
                other => other
                    .as_int()
                    .map(|number| crate::domain::value::Decimal::whole(number).as_f64()),
            },
            memory_mb: object.field(Field::Memory).as_int(),
            disk_mb: object.field(Field::Disk).as_int(),
            primary_ip4: text(Field::PrimaryIp4),
            primary_ip6: text(Field::PrimaryIp6),
            description: text(Field::Description),
            tags: self.reader.list(object.field(Field::Tags)),
            source: text(Field::AgentSource),
            key: text(Field::AgentKey),
            interfaces: self
                .parts(object, &[Kind::Interface, Kind::VmInterface], |part| self.interface(part)),
            disks: self.parts(object, &[Kind::VirtualDisk], |part| Disk {
                name: part.name().to_owned(),
                size_mb: part.field(Field::Size).as_int(),
                description: self.reader.text(part, Field::Description),
            }),
            components: self.parts(object, &[Kind::InventoryItem], |part| Component {
                name: part.name().to_owned(),
                manufacturer: self.reader.text(part, Field::Manufacturer),
                part_id: self.reader.text(part, Field::PartId),
                serial: self.reader.text(part, Field::Serial),
            }),
            services: self.parts(object, &[Kind::Service], |part| Service {
                name: part.name().to_owned(),
                protocol: self.reader.text(part, Field::Protocol),
                ports: numbers(part.field(Field::Ports)),
            }),
        }
    }

    /// The parts of a host of some kinds, by name.
    fn parts<T>(&self, host: &Live, kinds: &[Kind], make: impl Fn(&'w Live) -> T) -> Vec<T> {
        let all = self.of_host.get(&(host.kind, host.id)).into_iter().flatten();
        let mut parts: Vec<&'w Live> =
            all.copied().filter(|part| kinds.contains(&part.kind)).collect();
        parts.sort_by_key(|part| (by_name(Some(part.name())), part.id));
        parts.into_iter().map(make).collect()
    }

    fn interface(&self, object: &'w Live) -> Interface {
        let carried = self.of_interface.get(&(object.kind, object.id)).into_iter().flatten();
        let carried: Vec<&&Live> = carried.collect();
        let mut addresses: Vec<Address> = carried
            .iter()
            .filter(|part| part.kind == Kind::IpAddress)
            .map(|part| self.address(part))
            .collect();
        sort_addresses(&mut addresses);
        let mut macs = carried.iter().filter(|part| part.kind == Kind::MacAddress);
        // Its primary one; else one of its own field, before NetBox had objects for them;
        // else the only one it has.
        let only = |mac: &&Live| mac.name().to_owned();
        let mac = self
            .reader
            .text(object, Field::PrimaryMac)
            .or_else(|| self.reader.text(object, Field::MacAddress))
            .or_else(|| macs.next().filter(|_| macs.next().is_none()).map(|mac| only(mac)));
        Interface {
            name: object.name().to_owned(),
            r#type: self.reader.text(object, Field::Type),
            enabled: object.field(Field::Enabled).as_bool(),
            mac: mac.map(|mac| mac.to_lowercase()),
            mtu: object.field(Field::Mtu).as_int(),
            speed_kbps: object.field(Field::Speed).as_int(),
            description: self.reader.text(object, Field::Description),
            untagged_vlan: self.vid(object, Field::UntaggedVlan),
            tagged_vlans: self.vids(object.field(Field::TaggedVlans)),
            addresses,
        }
    }

    fn vid(&self, object: &Live, field: Field) -> Option<i64> {
        let vlan = self.reader.referred(object, field);
        vlan.and_then(|vlan| vlan.field(Field::Vid).as_int())
    }

    fn vids(&self, value: &Value) -> Vec<i64> {
        let Value::Refs(vlans) = value else {
            return numbers(value);
        };
        let vid = |vlan: &ObjectRef| {
            let vlan = self.reader.world().get(vlan.kind(), vlan.live_id()?)?;
            vlan.field(Field::Vid).as_int()
        };
        let mut vids: Vec<i64> = vlans.iter().filter_map(vid).collect();
        vids.sort_unstable();
        vids
    }

    fn address(&self, object: &Live) -> Address {
        Address {
            address: object.name().to_owned(),
            status: self.reader.text(object, Field::Status),
            role: self.reader.text(object, Field::Role),
            dns_name: self.reader.text(object, Field::DnsName),
            vrf: self.reader.text(object, Field::Vrf),
        }
    }

    fn cluster(&self, object: &Live) -> Cluster {
        Cluster {
            name: object.name().to_owned(),
            r#type: self.reader.text(object, Field::Type),
            site: self.reader.text(object, Field::Site),
            status: self.reader.text(object, Field::Status),
        }
    }

    fn prefix(&self, object: &Live) -> Prefix {
        Prefix {
            prefix: object.name().to_owned(),
            status: self.reader.text(object, Field::Status),
            vlan: self.vid(object, Field::Vlan),
            site: self.reader.text(object, Field::Site),
            vrf: self.reader.text(object, Field::Vrf),
            description: self.reader.text(object, Field::Description),
        }
    }

    fn vlan(&self, object: &Live) -> Vlan {
        Vlan {
            vid: object.field(Field::Vid).as_int().unwrap_or_default(),
            name: self.reader.text(object, Field::Name),
            status: self.reader.text(object, Field::Status),
            site: self.reader.text(object, Field::Site),
            group: self.reader.text(object, Field::Group),
            description: self.reader.text(object, Field::Description),
        }
    }

    fn ip_range(&self, object: &Live) -> IpRange {
        IpRange {
            start: self.reader.text(object, Field::StartAddress).unwrap_or_default(),
            end: self.reader.text(object, Field::EndAddress).unwrap_or_default(),
            status: self.reader.text(object, Field::Status),
            vrf: self.reader.text(object, Field::Vrf),
            description: self.reader.text(object, Field::Description),
        }
    }
}

fn numbers(value: &Value) -> Vec<i64> {
    match value {
        Value::Ints(numbers) => numbers.iter().copied().collect(),
        _ => Vec::new(),
    }
}

/// An address, without the length of its prefix, that names one host for everybody:
/// not a machine's own, not one that means something else on each link.
pub(super) fn routable(address: &str) -> Option<IpAddr> {
    let ip: IpAddr = address.split('/').next()?.parse().ok()?;
    let local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    (!local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

impl Host {
    /// The address by which it is reached from elsewhere: IPv4 before IPv6.
    pub(super) fn reached_at(&self) -> Option<IpAddr> {
        self.primary_ip4.iter().chain(&self.primary_ip6).find_map(|address| routable(address))
    }

    /// Its addresses, each once: the primary ones first.
    pub(super) fn addresses(&self) -> Vec<&str> {
        let primary = self.primary_ip4.iter().chain(&self.primary_ip6);
        let all = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        let mut found: Vec<&str> = Vec::new();
        for address in primary.map(String::as_str).chain(all.map(|one| one.address.as_str())) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
        found
    }

    /// Its MAC address: of the interface that has the primary address, else of the first that has one.
    pub(super) fn mac(&self) -> Option<&str> {
        let has = |interface: &&Interface, address: &Option<String>| {
            address.is_some()
                && interface.addresses.iter().any(|one| Some(&one.address) == address.as_ref())
        };
        let primary = [&self.primary_ip4, &self.primary_ip6]
            .into_iter()
            .find_map(|address| self.interfaces.iter().find(|one| has(one, address)));
        primary
            .and_then(|interface| interface.mac.as_deref())
            .or_else(|| self.interfaces.iter().find_map(|interface| interface.mac.as_deref()))
    }

    /// What it is: its maker and model, else nothing.
    pub(super) fn make(&self) -> String {
        let parts = self.manufacturer.iter().chain(&self.model);
        parts.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}
