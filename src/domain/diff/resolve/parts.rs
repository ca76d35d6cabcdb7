//! Parts of hosts: interfaces, MAC addresses, disks, items and services, each
//! looked for among the parts of its own host alone.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::mac::MacAddr;
use super::super::super::matching::HostObject;
use super::super::super::object::{DesiredObject, Field, Kind, ObjectRef};
use super::super::super::value::Value;
use super::super::super::world::Live;
use super::super::is_own;
use super::super::live::mac_of;
use super::{Hit, Search, hit};

/// The ways of finding an interface among those of its host, the surest first.
#[derive(Clone, Copy)]
enum By {
    Name,
    Mac,
    Address,
    Chance,
}

impl<'a> Search<'a> {
    /// The host that a wanted part belongs to, where it stands.
    fn host(&self, object: &DesiredObject) -> Option<HostObject> {
        let field = match object.kind {
            Kind::Interface | Kind::InventoryItem => Field::Device,
            Kind::VmInterface | Kind::VirtualDisk => Field::VirtualMachine,
            _ => Field::Parent,
        };
        let reference = self.wanted_ref(object, field)?;
        Some((reference.kind(), reference.live_id()?))
    }

    fn free_parts(&self, kind: Kind, host: HostObject) -> impl Iterator<Item = &'a Live> + '_ {
        let parts = self.standing.parts.get(&(kind, host)).map_or(&[][..], Vec::as_slice);
        parts.iter().copied().filter(move |live| !self.taken.contains(&(kind, live.id)))
    }

    pub(super) fn named_part(&self, object: &DesiredObject) -> Hit {
        let Some(host) = self.host(object) else { return Hit::None };
        let same = |field: Field| {
            let wanted = self.wanted_text(object, field);
            let found: Vec<u64> = self
                .free_parts(object.kind, host)
                .filter(|live| wanted.is_some() && live.field(field).as_text() == wanted)
                .map(|live| live.id)
                .collect();
            found
        };
        let by_name = same(Field::Name);
        if by_name.is_empty() && object.kind == Kind::InventoryItem {
            hit(&same(Field::Serial))
        } else {
            hit(&by_name)
        }
    }

    /// By protocol and name, else by protocol and a port that no other service has.
    pub(super) fn service(&self, object: &DesiredObject) -> Hit {
        let Some(host) = self.host(object) else { return Hit::None };
        let protocol = self.wanted_text(object, Field::Protocol);
        let name = self.wanted_text(object, Field::Name);
        let ports = |value: Option<&Value>| match value {
            Some(Value::Ints(ports)) => ports.clone(),
            _ => BTreeSet::new(),
        };
        let wanted = ports(object.fields.get(&Field::Ports).map(|want| &want.value));
        let same: Vec<&Live> = self
            .free_parts(Kind::Service, host)
            .filter(|live| live.field(Field::Protocol).as_text() == protocol)
            .collect();
        let by_name: Vec<u64> = same
            .iter()
            .filter(|live| live.field(Field::Name).as_text() == name)
            .map(|live| live.id)
            .collect();
        if !by_name.is_empty() {
            return self.own_or(object, &by_name);
        }
        let by_port: Vec<u64> = same
            .iter()
            .filter(|live| !ports(Some(live.field(Field::Ports))).is_disjoint(&wanted))
            .map(|live| live.id)
            .collect();
        hit(&by_port)
    }

    /// Interfaces of each host: by binding, then by name, then by MAC address, then by an
    /// address that stands on them.
    pub(super) fn interfaces(&mut self, kind: Kind, objects: &[&DesiredObject]) {
        let mut open: Vec<&DesiredObject> = Vec::new();
        for object in objects {
            match self.bound(object) {
                Some(id) => self.found(object, id),
                None => open.push(object),
            }
        }
        for by in [By::Name, By::Mac, By::Address, By::Chance] {
            let mut left = Vec::new();
            for object in open {
                let found = self.host(object).and_then(|host| match by {
                    By::Name => self.interface_by_name(kind, object, host),
                    By::Mac => self.interface_by_mac(kind, object, host),
                    By::Address => self.interface_by_address(kind, object, host),
                    By::Chance => self.interface_by_chance(kind, object, host),
                });
                match found {
                    Some(id) => self.found(object, id),
                    None => left.push(object),
                }
            }
            open = left;
        }
        for object in open {
            self.missing(object);
        }
    }

    fn interface_by_name(
        &self,
        kind: Kind,
        object: &DesiredObject,
        host: HostObject,
    ) -> Option<u64> {
        let name = self.wanted_text(object, Field::Name)?;
        self.free_parts(kind, host)
            .find(|live| live.field(Field::Name).as_text() == Some(name))
            .map(|live| live.id)
    }

    fn interface_by_mac(
        &self,
        kind: Kind,
        object: &DesiredObject,
        host: HostObject,
    ) -> Option<u64> {
        let mac = wanted_mac(object)?;
        let mut found =
            self.free_parts(kind, host).filter(|live| self.macs_of(live).contains(&mac));
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only.id),
            _ => None,
        }
    }

    fn macs_of(&self, interface: &Live) -> BTreeSet<MacAddr> {
        let here = ObjectRef::Live(interface.kind, interface.id);
        let objects = self.standing.macs_on.get(&here).map_or(&[][..], Vec::as_slice);
        objects.iter().filter_map(|live| mac_of(live)).chain(mac_of(interface)).collect()
    }

    /// For an interface that no source names: the one that holds an address of the host
    /// which is wanted on it, else the only one there is.
    fn interface_by_address(
        &self,
        kind: Kind,
        object: &DesiredObject,
        host: HostObject,
    ) -> Option<u64> {
        if object.fields.get(&Field::Name).is_some_and(|want| !want.initial) {
            return None;
        }
        let none = BTreeSet::new();
        let addresses = self.addresses_wanted_on.get(&object.key).unwrap_or(&none);
        let holds = |live: &Live| {
            let here = ObjectRef::Live(kind, live.id);
            let on = self.standing.addresses_on.get(&here).map_or(&[][..], Vec::as_slice);
            on.iter().any(|address| {
                let ip =
                    address.field(Field::Address).as_text().and_then(|text| text.split('/').next());
                ip.is_some_and(|ip| addresses.contains(ip))
            })
        };
        let free: Vec<&Live> = self.free_parts(kind, host).collect();
        // An interface that is known by another MAC address is another one.
        let anonymous =
            |live: &&Live| wanted_mac(object).is_none() || self.macs_of(live).is_empty();
        let holding: Vec<&Live> =
            free.iter().copied().filter(|live| holds(live)).filter(anonymous).collect();
        match (&holding[..], &free[..]) {
            ([only], _) => Some(only.id),
            ([], [only]) if anonymous(only) => Some(only.id),
            _ => None,
        }
    }

    /// For an interface that is known by a MAC address which software made up: the one of
    /// such an address that nobody speaks of any more. A phone makes up another one every
    /// so often, and does not grow an interface each time.
    fn interface_by_chance(
        &self,
        kind: Kind,
        object: &DesiredObject,
        host: HostObject,
    ) -> Option<u64> {
        let nameless = object.fields.get(&Field::Name).is_some_and(|want| want.initial);
        if !nameless || !wanted_mac(object)?.is_local() {
            return None;
        }
        let by_chance = |live: &&Live| {
            let named = live.field(Field::Name).as_text();
            let makeshift = named.is_some_and(|name| name.parse::<MacAddr>().is_ok());
            makeshift
                && is_own(live, self.about.instance)
                && self.macs_of(live).iter().all(|mac| mac.is_local())
        };
        let mut found = self.free_parts(kind, host).filter(by_chance);
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only.id),
            _ => None,
        }
    }

    /// MAC addresses: the object on the interface, else one that stands on nothing, else
    /// one that the agent made and that has left its interface.
    pub(super) fn mac_addresses(&mut self, objects: &[&DesiredObject]) {
        let wanted_on: BTreeMap<ObjectRef, BTreeSet<MacAddr>> = objects
            .iter()
            .filter_map(|object| {
                let mac = wanted_mac(object)?;
                Some((self.wanted_ref(object, Field::AssignedObject)?, mac))
            })
            .fold(BTreeMap::new(), |mut all, (interface, mac)| {
                all.entry(interface).or_insert_with(BTreeSet::new).insert(mac);
                all
            });
        let mut open: Vec<&DesiredObject> = Vec::new();
        for object in objects {
            match self.mac_in_place(object) {
                Some(id) => self.found(object, id),
                None => open.push(object),
            }
        }
        for object in open {
            match self.mac_elsewhere(object, &wanted_on) {
                Some(id) => self.found(object, id),
                None => self.missing(object),
            }
        }
    }

    fn mac_in_place(&self, object: &DesiredObject) -> Option<u64> {
        let mac = wanted_mac(object)?;
        let interface = self.wanted_ref(object, Field::AssignedObject)?;
        let on = self.standing.macs_on.get(&interface)?;
        on.iter().find(|live| mac_of(live) == Some(mac) && self.is_free(live)).map(|live| live.id)
    }

    fn mac_elsewhere(
        &self,
        object: &DesiredObject,
        wanted_on: &BTreeMap<ObjectRef, BTreeSet<MacAddr>>,
    ) -> Option<u64> {
        let mac = wanted_mac(object)?;
        let same = self.standing.macs.get(&mac).map_or(&[][..], Vec::as_slice);
        let unused =
            |live: &&&Live| live.field(Field::AssignedObject).is_blank() && self.is_free(live);
        if let Some(live) = same.iter().find(|live| unused(live)) {
            return Some(live.id);
        }
        let own = |live: &Live| is_own(live, self.about.instance) && self.is_free(live);
        // The hardware moved: its address object goes with it, unless its old place still has it.
        let deserted = |live: &Live| {
            let place = live.field(Field::AssignedObject).as_ref();
            place.is_none_or(|place| wanted_on.get(place).is_none_or(|macs| !macs.contains(&mac)))
        };
        if let Some(live) = same.iter().find(|live| own(live) && deserted(live)) {
            return Some(live.id);
        }
        // The interface has another address now: its object is changed in place.
        let interface = self.wanted_ref(object, Field::AssignedObject)?;
        let on = self.standing.macs_on.get(&interface)?;
        let stale = |live: &Live| {
            let known = mac_of(live);
            wanted_on
                .get(&interface)
                .is_none_or(|macs| known.is_none_or(|known| !macs.contains(&known)))
        };
        let mut replaceable = on.iter().filter(|live| own(live) && stale(live));
        match (replaceable.next(), replaceable.next()) {
            (Some(only), None) => Some(only.id),
            _ => None,
        }
    }

    fn is_free(&self, live: &Live) -> bool {
        !self.taken.contains(&(live.kind, live.id))
    }
}

/// The MAC address that a wanted object is, or that a wanted interface has.
fn wanted_mac(object: &DesiredObject) -> Option<MacAddr> {
    let direct = object.fields.get(&Field::MacAddress).and_then(|want| want.value.as_text());
    if let Some(text) = direct {
        return text.parse().ok();
    }
    // The key of a MAC address ends in the address.
    match object.fields.get(&Field::PrimaryMac).map(|want| &want.value) {
        Some(Value::Ref(ObjectRef::Planned(_, key))) => {
            key.as_str().rsplit_once('/')?.1.parse().ok()
        }
        _ => None,
    }
}
