//! Finds what a person asks about, by whatever they call it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::domain::identity::{Identifier, name_key};
use crate::domain::inventory::MergedHost;
use crate::domain::mac::MacAddr;
use crate::domain::matching::{HostObject, owner_of};
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::observation::HostAttribute;
use crate::domain::world::Live;
use crate::engine::Draft;

/// What can be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    /// A host, by its place in the inventory.
    Host(usize),
    /// An address of no host, by its place in the inventory.
    Address(usize),
    /// An object that stands and that no source spoke of.
    Object(Kind, u64),
}

/// Everything that answers to a text.
pub(super) fn find(text: &str, draft: &Draft) -> Vec<Thing> {
    let text = text.trim();
    let bare = text.split('/').next().unwrap_or(text);
    let inventory = &draft.picture.inventory;
    let mut found: Vec<Thing> = Vec::new();
    if let Ok(ip) = bare.parse::<IpAddr>() {
        let ip = ip.to_canonical();
        found.extend(hosts(draft, |host| has_address(host, ip)).map(Thing::Host));
        let lone = inventory.addresses.iter().enumerate().filter(|(_, lone)| lone.address.ip == ip);
        found.extend(lone.map(|(place, _)| Thing::Address(place)));
        // A claim that was not believed is worth explaining too.
        if found.is_empty() {
            found.extend(hosts(draft, |host| states_address(draft, host, ip)).map(Thing::Host));
        }
        if found.is_empty() {
            found.extend(standing(draft, Kind::IpAddress, |name| {
                name.split('/').next().and_then(|known| known.parse::<IpAddr>().ok()) == Some(ip)
            }));
        }
        return found;
    }
    if let Ok(mac) = text.parse::<MacAddr>() {
        found.extend(hosts(draft, |host| host.macs().any(|own| own == mac)).map(Thing::Host));
        let lone = inventory.addresses.iter().enumerate().filter(|(_, lone)| lone.mac == Some(mac));
        found.extend(lone.map(|(place, _)| Thing::Address(place)));
        if found.is_empty() {
            found
                .extend(with_mac(draft, mac).into_iter().map(|(kind, id)| Thing::Object(kind, id)));
        }
        return found;
    }
    if let Ok(identifier) = text.parse::<Identifier>() {
        found.extend(hosts(draft, |host| host.identifiers.contains(&identifier)).map(Thing::Host));
        if let Identifier::Object(kind, id) = &identifier {
            found.extend(
                draft
                    .matches
                    .hosts
                    .iter()
                    .filter(|(_, (at, _))| *at == (*kind, *id))
                    .map(|(host, _)| Thing::Host(*host)),
            );
            if found.is_empty() && draft.world.get(*kind, *id).is_some() {
                found.push(Thing::Object(*kind, *id));
            }
        }
        if !found.is_empty() {
            return found;
        }
    }
    let wanted = name_key(text);
    found.extend(hosts(draft, |host| is_called(host, text, &wanted)).map(Thing::Host));
    if found.is_empty() {
        for kind in [Kind::Device, Kind::VirtualMachine] {
            found.extend(standing(draft, kind, |name| name.eq_ignore_ascii_case(text)));
        }
    }
    if found.is_empty() {
        let serial = |live: &&Live| {
            let known = live.field(Field::Serial).as_text();
            known.is_some_and(|known| known.trim().eq_ignore_ascii_case(text))
        };
        let bearing = draft.world.of(Kind::Device).filter(serial);
        found.extend(bearing.map(|live| Thing::Object(live.kind, live.id)));
    }
    found
}

/// The devices and virtual machines that stand with a MAC address on one of their interfaces.
fn with_mac(draft: &Draft, mac: MacAddr) -> BTreeSet<HostObject> {
    let is_it = |live: &&Live| {
        let known = live.field(Field::MacAddress).as_text();
        known.and_then(|text| text.parse::<MacAddr>().ok()) == Some(mac)
    };
    let world = &draft.world;
    let objects = world.of(Kind::MacAddress).filter(is_it);
    let on = objects.filter_map(|live| live.field(Field::AssignedObject).as_ref().cloned());
    let own = world.of(Kind::Interface).chain(world.of(Kind::VmInterface)).filter(is_it);
    let own = own.map(|live| ObjectRef::Live(live.kind, live.id));
    on.chain(own).filter_map(|interface| owner_of(world, &interface)).collect()
}

fn hosts<'a>(
    draft: &'a Draft,
    test: impl Fn(&MergedHost) -> bool + 'a,
) -> impl Iterator<Item = usize> + 'a {
    let hosts = draft.picture.inventory.hosts.iter().enumerate();
    hosts.filter(move |(_, host)| test(host)).map(|(place, _)| place)
}

fn has_address(host: &MergedHost, ip: IpAddr) -> bool {
    host.interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
        .any(|address| address.ip == ip)
}

fn states_address(draft: &Draft, host: &MergedHost, ip: IpAddr) -> bool {
    let inventory = &draft.picture.inventory;
    host.seen.iter().filter_map(|seen| inventory.stated_host(*seen)).any(|stated| {
        stated
            .interfaces
            .iter()
            .flat_map(|interface| &interface.addresses)
            .any(|address| address.ip == ip)
    })
}

fn is_called(host: &MergedHost, text: &str, wanted: &str) -> bool {
    let claims = |attribute| host.facts.get(&attribute).into_iter().flat_map(|fact| fact.claims());
    let named =
        [HostAttribute::Name, HostAttribute::DnsName].into_iter().flat_map(claims).any(|claim| {
            claim
                .value
                .as_text()
                .is_some_and(|name| name.eq_ignore_ascii_case(text) || *name_key(name) == *wanted)
        });
    let serial = claims(HostAttribute::Serial)
        .any(|claim| claim.value.as_text().is_some_and(|serial| serial.eq_ignore_ascii_case(text)));
    named || serial || *host.key.0 == *text
}

fn standing<'a>(
    draft: &'a Draft,
    kind: Kind,
    test: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = Thing> + 'a {
    draft
        .world
        .of(kind)
        .filter(move |live| test(live.name()))
        .map(move |live| Thing::Object(kind, live.id))
}
