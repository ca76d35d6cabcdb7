//! What stands, by everything that can lead to a device or virtual machine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::super::identity::{Identifier, Serial, is_placeholder_serial};
use super::super::inventory::MergedHost;
use super::super::mac::MacAddr;
use super::super::name::{DnsName, InstanceName};
use super::super::object::{Field, Kind, ObjectRef};
use super::super::value::Value;
use super::super::world::{Live, World};
use super::HostObject;

/// Devices and virtual machines that stand, and what leads to each.
pub(super) struct Index<'a> {
    world: &'a World,
    by_agent_key: HashMap<&'a str, BTreeSet<HostObject>>,
    by_serial: HashMap<String, BTreeSet<HostObject>>,
    by_name: HashMap<String, BTreeSet<HostObject>>,
    /// Objects whose names have a domain, by their first labels.
    by_label: HashMap<String, BTreeSet<HostObject>>,
    by_mac: HashMap<MacAddr, BTreeSet<HostObject>>,
    macs: BTreeMap<HostObject, BTreeSet<MacAddr>>,
    by_address: HashMap<IpAddr, BTreeSet<HostObject>>,
    addresses: BTreeMap<HostObject, BTreeSet<IpAddr>>,
}

/// A name as it is compared: in lower case, with blanks and underscores as hyphens, for
/// what DNS cannot hold is written so elsewhere.
pub(super) fn folded(name: &str) -> String {
    let same = |c| if c == '_' || c == ' ' { '-' } else { c };
    name.trim().chars().flat_map(char::to_lowercase).map(same).collect()
}

/// The device or virtual machine that an interface belongs to.
#[must_use]
pub(crate) fn owner_of(world: &World, interface: &ObjectRef) -> Option<HostObject> {
    let live = world.get(interface.kind(), interface.live_id()?)?;
    let (kind, field) = match live.kind {
        Kind::Interface => (Kind::Device, Field::Device),
        Kind::VmInterface => (Kind::VirtualMachine, Field::VirtualMachine),
        _ => return None,
    };
    live.referenced(field).map(|id| (kind, id))
}

/// The address of an IP address object, without its mask.
#[must_use]
pub(crate) fn ip_of(live: &Live) -> Option<IpAddr> {
    let text = live.field(Field::Address).as_text()?;
    text.split('/').next()?.parse().ok()
}

impl<'a> Index<'a> {
    /// Reads the world once.
    #[must_use]
    pub(super) fn new(world: &'a World) -> Self {
        let mut index = Index {
            world,
            by_agent_key: HashMap::new(),
            by_serial: HashMap::new(),
            by_name: HashMap::new(),
            by_label: HashMap::new(),
            by_mac: HashMap::new(),
            macs: BTreeMap::new(),
            by_address: HashMap::new(),
            addresses: BTreeMap::new(),
        };
        for live in world.of(Kind::Device).chain(world.of(Kind::VirtualMachine)) {
            let standing = (live.kind, live.id);
            if let Some(key) = live.field(Field::AgentKey).as_text() {
                index.by_agent_key.entry(key).or_default().insert(standing);
            }
            if let Some(serial) = live.field(Field::Serial).as_text().map(str::to_uppercase)
                && !is_placeholder_serial(&serial)
            {
                index.by_serial.entry(serial.trim().to_owned()).or_default().insert(standing);
            }
            if let Some(name) = live.field(Field::Name).as_text() {
                index.by_name.entry(folded(name)).or_default().insert(standing);
                if let Ok(name) = name.parse::<DnsName>()
                    && name.is_qualified()
                {
                    index.by_label.entry(folded(name.label())).or_default().insert(standing);
                }
            }
        }
        for live in world.of(Kind::MacAddress) {
            let assigned = live.field(Field::AssignedObject).as_ref();
            index.mac(assigned.and_then(|interface| owner_of(world, interface)), live);
        }
        for live in world.of(Kind::Interface).chain(world.of(Kind::VmInterface)) {
            index.mac(owner_of(world, &ObjectRef::Live(live.kind, live.id)), live);
        }
        for live in world.of(Kind::IpAddress) {
            let assigned = live.field(Field::AssignedObject).as_ref();
            if let (Some(standing), Some(ip)) =
                (assigned.and_then(|interface| owner_of(world, interface)), ip_of(live))
            {
                index.by_address.entry(ip).or_default().insert(standing);
                index.addresses.entry(standing).or_default().insert(ip);
            }
        }
        index
    }

    fn mac(&mut self, standing: Option<HostObject>, live: &Live) {
        let mac =
            live.field(Field::MacAddress).as_text().and_then(|text| text.parse::<MacAddr>().ok());
        if let (Some(standing), Some(mac)) = (standing, mac.filter(|mac| mac.names_an_interface()))
        {
            self.by_mac.entry(mac).or_default().insert(standing);
            self.macs.entry(standing).or_default().insert(mac);
        }
    }

    /// A device or virtual machine that stands.
    pub(super) fn standing(&self, kind: Kind, id: u64) -> Option<HostObject> {
        let is_host = matches!(kind, Kind::Device | Kind::VirtualMachine);
        (is_host && self.world.get(kind, id).is_some()).then_some((kind, id))
    }

    pub(super) fn live(&self, standing: HostObject) -> Option<&'a Live> {
        self.world.get(standing.0, standing.1)
    }

    pub(super) fn name(&self, standing: HostObject) -> &'a str {
        self.live(standing).map_or("", Live::name)
    }

    pub(super) fn agent_key(&self, standing: HostObject) -> Option<&'a str> {
        self.live(standing).and_then(|live| live.field(Field::AgentKey).as_text())
    }

    /// Whether an agent of this name made an object.
    pub(super) fn is_own(&self, standing: HostObject, instance: &InstanceName) -> bool {
        self.live(standing).is_some_and(|live| {
            live.field(Field::AgentInstance).as_text() == Some(instance.as_str())
        })
    }

    pub(super) fn by_agent_key(&self, key: &str) -> BTreeSet<HostObject> {
        self.by_agent_key.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn by_mac(&self, mac: MacAddr) -> BTreeSet<HostObject> {
        self.by_mac.get(&mac).cloned().unwrap_or_default()
    }

    /// Objects with this serial number whose maker is this one or is not known.
    pub(super) fn by_serial(&self, serial: &Serial) -> BTreeSet<HostObject> {
        let standings = self.by_serial.get(serial.number()).cloned().unwrap_or_default();
        standings
            .into_iter()
            .filter(|standing| {
                self.maker_of(*standing)
                    .is_none_or(|maker| maker.is_empty() || maker == serial.maker())
            })
            .collect()
    }

    /// The maker of a device by way of its type, as it is compared.
    pub(super) fn maker_of(&self, standing: HostObject) -> Option<String> {
        let kind = self.live(standing)?.referenced(Field::DeviceType)?;
        let maker = self.world.get(Kind::DeviceType, kind)?.referenced(Field::Manufacturer)?;
        let name = self.world.get(Kind::Manufacturer, maker)?.field(Field::Name).as_text()?;
        let key = super::super::makers::compared(name);
        Some(if key == "unknown" || key == "generic" { String::new() } else { key })
    }

    pub(super) fn by_name(&self, name: &str) -> BTreeSet<HostObject> {
        self.by_name.get(&folded(name)).cloned().unwrap_or_default()
    }

    /// Objects whose names are this one within some domain.
    pub(super) fn by_label(&self, label: &str) -> BTreeSet<HostObject> {
        self.by_label.get(&folded(label)).cloned().unwrap_or_default()
    }

    pub(super) fn by_address(&self, ip: IpAddr) -> BTreeSet<HostObject> {
        self.by_address.get(&ip).cloned().unwrap_or_default()
    }

    pub(super) fn addresses(&self, standing: HostObject) -> BTreeSet<IpAddr> {
        self.addresses.get(&standing).cloned().unwrap_or_default()
    }

    pub(super) fn macs(&self, standing: HostObject) -> BTreeSet<MacAddr> {
        self.macs.get(&standing).cloned().unwrap_or_default()
    }

    /// Whether both have a serial number of the same maker, and not the same one.
    pub(super) fn serial_differs(&self, host: &MergedHost, standing: HostObject) -> bool {
        let Some(live) = self.live(standing) else { return false };
        let Some(known) =
            live.field(Field::Serial).as_text().map(|text| text.trim().to_uppercase())
        else {
            return false;
        };
        if is_placeholder_serial(&known) {
            return false;
        }
        host.identifiers.iter().any(|identifier| match identifier {
            Identifier::Serial(serial) => {
                let same_maker = self
                    .maker_of(standing)
                    .is_none_or(|maker| maker.is_empty() || maker == serial.maker());
                same_maker && serial.number() != known
            }
            _ => false,
        })
    }

    /// Whether an object has anything that identifies it beyond its name and addresses.
    pub(super) fn is_anonymous(&self, standing: HostObject) -> bool {
        let Some(live) = self.live(standing) else { return false };
        let serial = live.field(Field::Serial).as_text().unwrap_or("");
        self.macs(standing).is_empty()
            && is_placeholder_serial(serial)
            && matches!(live.field(Field::AgentKey), Value::Null)
    }

    /// The name of the object that a field of another refers to.
    pub(super) fn referenced_name(&self, standing: HostObject, field: Field) -> Option<&'a str> {
        let reference = self.live(standing)?.field(field).as_ref()?.clone();
        self.world.get(reference.kind(), reference.live_id()?).map(Live::name)
    }
}
