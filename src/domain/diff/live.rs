//! What stands, by everything that comparing asks for.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::super::mac::MacAddr;
use super::super::matching::{HostObject, ip_of, owner_of};
use super::super::object::{Field, Kind, ObjectRef};
use super::super::plan::Seat;
use super::super::world::{Live, World};

/// Indices over a world.
pub(super) struct Standing<'a> {
    pub world: &'a World,
    /// Addresses by VRF and address.
    pub addresses: HashMap<(Option<u64>, IpAddr), Vec<&'a Live>>,
    /// MAC addresses by themselves.
    pub macs: HashMap<MacAddr, Vec<&'a Live>>,
    /// MAC addresses by the interface they stand on.
    pub macs_on: HashMap<ObjectRef, Vec<&'a Live>>,
    /// Addresses by the interface they stand on.
    pub addresses_on: HashMap<ObjectRef, Vec<&'a Live>>,
    /// Interfaces, disks, items and services by what they belong to.
    pub parts: BTreeMap<(Kind, HostObject), Vec<&'a Live>>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let mut standing = Standing {
            world,
            addresses: HashMap::new(),
            macs: HashMap::new(),
            macs_on: HashMap::new(),
            addresses_on: HashMap::new(),
            parts: BTreeMap::new(),
        };
        for live in world.iter() {
            match live.kind {
                Kind::IpAddress => {
                    if let Some(ip) = ip_of(live) {
                        standing
                            .addresses
                            .entry((live.referenced(Field::Vrf), ip))
                            .or_default()
                            .push(live);
                    }
                    if let Some(on) = live.field(Field::AssignedObject).as_ref() {
                        standing.addresses_on.entry(on.clone()).or_default().push(live);
                    }
                }
                Kind::MacAddress => {
                    if let Some(mac) = mac_of(live) {
                        standing.macs.entry(mac).or_default().push(live);
                    }
                    if let Some(on) = live.field(Field::AssignedObject).as_ref() {
                        standing.macs_on.entry(on.clone()).or_default().push(live);
                    }
                }
                _ => {
                    if let Some(host) = parent_of(live) {
                        standing.parts.entry((live.kind, host)).or_default().push(live);
                    }
                }
            }
        }
        standing
    }

    /// The host that an interface belongs to.
    pub(super) fn owner(&self, interface: &ObjectRef) -> Option<HostObject> {
        owner_of(self.world, interface)
    }

    /// Which of these fields of an object refer to another.
    pub(super) fn holders(
        &self,
        holder: &ObjectRef,
        fields: &[Field],
        to: &ObjectRef,
    ) -> Vec<Seat> {
        let Some(live) = holder.live_id().and_then(|id| self.world.get(holder.kind(), id)) else {
            return Vec::new();
        };
        fields
            .iter()
            .filter(|field| live.field(**field).as_ref() == Some(to))
            .map(|field| Seat {
                holder: holder.clone(),
                label: self.label(live).into(),
                field: *field,
            })
            .collect()
    }

    /// What a person calls an object: parts with the name of what they belong to.
    pub(super) fn label(&self, live: &Live) -> String {
        let host = parent_of(live).and_then(|(kind, id)| self.world.get(kind, id));
        match (host, live.kind) {
            (Some(host), _) => format!("{} {}", host.name(), live.name()),
            (None, Kind::MacAddress) => {
                let on = live.field(Field::AssignedObject).as_ref().and_then(|on| self.owner(on));
                match on.and_then(|(kind, id)| self.world.get(kind, id)) {
                    Some(host) => format!("{} ({})", live.name(), host.name()),
                    None => live.name().to_owned(),
                }
            }
            (None, Kind::Vlan) => {
                let vid = live.field(Field::Vid).as_int().unwrap_or_default();
                format!("VLAN {vid} {}", live.name())
            }
            (None, _) => live.name().to_owned(),
        }
    }
}

/// The host that a part belongs to.
pub(super) fn parent_of(live: &Live) -> Option<HostObject> {
    match live.kind {
        Kind::Interface | Kind::InventoryItem => {
            Some((Kind::Device, live.referenced(Field::Device)?))
        }
        Kind::VmInterface | Kind::VirtualDisk => {
            Some((Kind::VirtualMachine, live.referenced(Field::VirtualMachine)?))
        }
        Kind::Service => {
            let parent = live.field(Field::Parent).as_ref()?;
            Some((parent.kind(), parent.live_id()?))
        }
        _ => None,
    }
}

/// The MAC address of a MAC address object or of an interface that holds it as a field.
pub(super) fn mac_of(live: &Live) -> Option<MacAddr> {
    live.field(Field::MacAddress).as_text()?.parse().ok()
}
