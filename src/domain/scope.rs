//! Which hosts that stand a run can touch. Interfaces and other parts are by far the
//! most of what a sink holds; only those of these hosts have to be known.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use super::diff::is_own;
use super::identity::{Identifier, name_key};
use super::inventory::Inventory;
use super::mac::MacAddr;
use super::matching::{HostObject, ip_of};
use super::object::{Field, Kind};
use super::observation::HostAttribute;
use super::settings::{Bind, Policy};
use super::world::{Live, World};

/// Kinds of parts, each with the kind of host that it is a part of.
pub const PARTS: [(Kind, Kind); 4] = [
    (Kind::Interface, Kind::Device),
    (Kind::InventoryItem, Kind::Device),
    (Kind::VmInterface, Kind::VirtualMachine),
    (Kind::VirtualDisk, Kind::VirtualMachine),
];

/// What of the parts that stand has to be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Devices and virtual machines whose parts are needed.
    pub hosts: BTreeSet<HostObject>,
    /// Interfaces that are needed together with their hosts' other parts.
    pub interfaces: BTreeSet<(Kind, u64)>,
    /// MAC addresses whose interfaces are needed likewise, where these are no objects
    /// of their own.
    pub macs: BTreeSet<MacAddr>,
}

impl Scope {
    /// Adds the hosts of those among these parts that are needed with all of their host's
    /// other parts. Gives the hosts that were not in it before.
    pub fn extend<'a>(
        &mut self,
        parts: impl IntoIterator<Item = &'a Live>,
    ) -> BTreeSet<HostObject> {
        let needed = parts.into_iter().filter(|part| {
            let mac = part.field(Field::MacAddress).as_text().and_then(|mac| mac.parse().ok());
            self.interfaces.contains(&(part.kind, part.id))
                || mac.is_some_and(|mac| self.macs.contains(&mac))
        });
        let new: BTreeSet<HostObject> =
            needed.filter_map(host_of).filter(|host| !self.hosts.contains(host)).collect();
        self.hosts.extend(&new);
        new
    }
}

/// The kind of host that a kind of object is a part of.
#[must_use]
pub fn host_kind_of(part: Kind) -> Option<Kind> {
    PARTS.iter().find(|(kind, _)| *kind == part).map(|(_, host)| *host)
}

/// The device or virtual machine that something is a part of.
#[must_use]
pub fn host_of(part: &Live) -> Option<HostObject> {
    let host = host_kind_of(part.kind)?;
    let field = if host == Kind::Device { Field::Device } else { Field::VirtualMachine };
    part.referenced(field).map(|id| (host, id))
}

/// Finds the hosts that a run can touch among what stands; `world` needs none of their
/// parts. `known` is what earlier runs wrote or found.
#[must_use]
pub fn scope(
    inventory: &Inventory,
    world: &World,
    known: &BTreeSet<(Kind, u64)>,
    policy: &Policy,
) -> Scope {
    let traits = Traits::of(inventory, policy);
    let is_own = |live: &Live| {
        known.contains(&(live.kind, live.id)) || is_own(live, policy.instance.as_str())
    };
    let hosts = world
        .of(Kind::Device)
        .chain(world.of(Kind::VirtualMachine))
        .filter(|live| is_own(live) || traits.may_be(live))
        .map(|live| (live.kind, live.id))
        .chain(bound(policy))
        .collect();
    let addresses = world.of(Kind::MacAddress).chain(world.of(Kind::IpAddress));
    let interfaces = addresses
        .filter(|live| is_own(live) || traits.may_be_on(live))
        .filter_map(|live| {
            let interface = live.field(Field::AssignedObject).as_ref()?;
            Some((interface.kind(), interface.live_id()?))
        })
        .chain(known.iter().copied())
        .filter(|(kind, _)| matches!(kind, Kind::Interface | Kind::VmInterface))
        .collect();
    Scope { hosts, interfaces, macs: traits.macs }
}

/// Objects that a person's rules name.
fn bound(policy: &Policy) -> impl Iterator<Item = HostObject> {
    let sides = policy.binds.iter().flat_map(|bind| match bind {
        Bind::Join(sides) | Bind::Split(sides) => Some(sides),
        _ => None,
    });
    sides.flatten().filter_map(|side| match side {
        Identifier::Object(kind, id) => Some((*kind, *id)),
        _ => None,
    })
}

/// Everything of the inventory by which something that stands can be found.
struct Traits {
    keys: HashSet<String>,
    serials: HashSet<String>,
    /// First labels of names, as they are compared.
    names: HashSet<String>,
    macs: BTreeSet<MacAddr>,
    addresses: HashSet<IpAddr>,
}

impl Traits {
    fn of(inventory: &Inventory, policy: &Policy) -> Self {
        let mut traits = Traits {
            keys: HashSet::new(),
            serials: HashSet::new(),
            names: HashSet::new(),
            macs: BTreeSet::new(),
            addresses: inventory.addresses.iter().map(|lone| lone.address.ip).collect(),
        };
        for host in &inventory.hosts {
            for identifier in &host.identifiers {
                traits.keys.insert(identifier.to_string());
                match identifier {
                    Identifier::Serial(serial) => {
                        traits.serials.insert(serial.number().to_owned());
                    }
                    Identifier::Mac(mac) => {
                        traits.macs.insert(*mac);
                    }
                    _ => {}
                }
            }
            traits.macs.extend(host.macs());
            let addresses = host.interfaces.iter().flat_map(|interface| &interface.addresses);
            traits.addresses.extend(addresses.map(|address| address.ip));
            let names = [HostAttribute::Name, HostAttribute::DnsName]
                .into_iter()
                .filter_map(|attribute| host.facts.get(&attribute))
                .flat_map(|fact| fact.claims())
                .filter_map(|claim| claim.value.as_text());
            for name in names {
                traits.name(name);
            }
        }
        let of_macs = traits.macs.iter().map(|mac| Identifier::Mac(*mac).to_string());
        traits.keys.extend(of_macs);
        // Whether or not a rule applies: few have rules, and too much known does no harm.
        for bind in &policy.binds {
            if let Bind::Alias(aliases) = bind {
                aliases.iter().for_each(|alias| traits.name(alias));
            }
        }
        traits
    }

    fn name(&mut self, name: &str) {
        self.names.insert(name_key(name).as_ref().to_owned());
    }

    /// Whether a device or virtual machine may stand for some host.
    fn may_be(&self, live: &Live) -> bool {
        let has = |field: Field, among: &HashSet<String>, form: &dyn Fn(&str) -> String| {
            live.field(field).as_text().is_some_and(|text| among.contains(&form(text)))
        };
        has(Field::AgentKey, &self.keys, &str::to_owned)
            || has(Field::Serial, &self.serials, &|text| text.trim().to_uppercase())
            // More match by their first label than match in the end; that does no harm.
            || has(Field::Name, &self.names, &|text| name_key(text).as_ref().to_owned())
    }

    /// Whether a MAC or IP address that stands is one of some host.
    fn may_be_on(&self, live: &Live) -> bool {
        match live.kind {
            Kind::MacAddress => {
                let mac = live.field(Field::MacAddress).as_text();
                mac.and_then(|mac| mac.parse().ok()).is_some_and(|mac| self.macs.contains(&mac))
            }
            _ => ip_of(live).is_some_and(|ip| self.addresses.contains(&ip)),
        }
    }
}

#[cfg(test)]
mod tests;
