//! Which of the registry's devices count, and which of its entries are one device.
//!
//! A device counts when it has a network of its own: a MAC address that names an
//! interface, or a configuration URL with a literal address. Services, apps and parts of
//! devices do not; devices on a radio, disabled ones and clients of a router do when
//! asked for. Since 2026.8 the registry keeps one entry per integration: entries that
//! share a MAC address are one device.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use url::{Host, Url};

use super::Include;
use super::answers::{ConfigEntry, Device, Entity};
use crate::domain::mac::MacAddr;

/// One entry of the registry with what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub id: &'a str,
    pub device: &'a Device,
    /// The MAC addresses that name an interface.
    pub macs: BTreeSet<MacAddr>,
    /// The literal address in its configuration URL.
    pub url: Option<IpAddr>,
    /// The integrations that it belongs to.
    pub domains: BTreeSet<&'a str>,
    pub entities: Vec<&'a Entity>,
}

/// A device: the entries of the registry that are one, the one that says most first.
#[derive(Debug, Clone)]
pub(super) struct Thing<'a> {
    pub entries: Vec<Entry<'a>>,
    pub standing: Standing,
    /// Whether other devices are reached through it.
    pub is_hub: bool,
}

/// Whether a device counts, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// It is on the network.
    Network,
    /// It speaks by radio to something else.
    Radio(Include),
    /// A router saw it; nothing else is known of it.
    Client,
    /// It is no device, or a part of one.
    None,
}

/// The devices, and the way from an entry's id to its device.
#[derive(Debug, Default)]
pub(super) struct Registry<'a> {
    pub things: Vec<Thing<'a>>,
    by_id: HashMap<&'a str, usize>,
}

/// Integrations whose devices are phones' apps or inventions.
const NO_DEVICES: [&str; 4] = ["mobile_app", "demo", "kitchen_sink", "hassio"];
/// Integrations that carry what others know better.
const CARRIERS: [&str; 6] = ["mqtt", "bluetooth", "upnp", "dlna_dmr", "homekit_controller", "cast"];

impl<'a> Registry<'a> {
    /// Sorts the entries into devices.
    pub(super) fn new(
        devices: &'a [Device],
        entities: &'a [Entity],
        config_entries: &'a [ConfigEntry],
        include: &BTreeSet<Include>,
    ) -> Self {
        let domains: HashMap<&str, &str> = config_entries
            .iter()
            .filter_map(|entry| Some((entry.entry_id.get()?, entry.domain.get()?)))
            .collect();
        let mut of_device: HashMap<&str, Vec<&Entity>> = HashMap::new();
        for entity in entities {
            if let Some(device) = entity.device_id.get() {
                of_device.entry(device).or_default().push(entity);
            }
        }
        let entries: Vec<Entry<'a>> = devices
            .iter()
            .filter(|device| device.entry_type.get() != Some("service"))
            .filter(|device| {
                include.contains(&Include::Disabled) || device.disabled_by.get().is_none()
            })
            .filter_map(|device| {
                let id = device.id.get()?;
                Some(entry(id, device, &domains, of_device.remove(id).unwrap_or_default()))
            })
            .filter(|entry| !is_none(entry))
            .collect();
        let mut registry = Registry { things: things(entries), by_id: HashMap::new() };
        for (place, thing) in registry.things.iter().enumerate() {
            registry.by_id.extend(thing.entries.iter().map(|entry| (entry.id, place)));
        }
        let hubs: BTreeSet<usize> =
            (0..registry.things.len()).filter_map(|place| registry.next_toward(place)).collect();
        for hub in hubs {
            registry.things[hub].is_hub = true;
        }
        registry
    }

    /// The devices through which one is reached, the nearest first.
    pub(super) fn way(&self, place: usize) -> Vec<usize> {
        let mut way = Vec::new();
        let mut here = place;
        while let Some(next) = self.next_toward(here) {
            // A circle ends where it began.
            if next == place || way.contains(&next) {
                break;
            }
            way.push(next);
            here = next;
        }
        way
    }

    fn next_toward(&self, place: usize) -> Option<usize> {
        let entries = &self.things[place].entries;
        entries
            .iter()
            .filter_map(|entry| self.by_id.get(entry.device.via_device_id.get()?).copied())
            .find(|next| *next != place)
    }
}

fn entry<'a>(
    id: &'a str,
    device: &'a Device,
    domains: &HashMap<&'a str, &'a str>,
    entities: Vec<&'a Entity>,
) -> Entry<'a> {
    let mut own: BTreeSet<&str> =
        device.identifiers.0.iter().map(|identifier| identifier.kind.as_str()).collect();
    let listed = device.config_entries.texts();
    let configured = listed.into_iter().chain(device.config_entry_id.get());
    own.extend(configured.filter_map(|entry| domains.get(entry).copied()));
    let macs = device.connections.0.iter().filter(|connection| connection.kind == "mac");
    Entry {
        id,
        device,
        macs: macs.filter_map(|mac| usable_mac(&mac.value)).collect(),
        url: device.configuration_url.get().and_then(literal_address),
        domains: own,
        entities,
    }
}

/// Whether an entry is a phone's app or an invention, and not a device that one of those
/// knows beside others.
fn is_none(entry: &Entry<'_>) -> bool {
    let (none, some): (Vec<&str>, Vec<&str>) =
        entry.domains.iter().partition(|domain| NO_DEVICES.contains(domain));
    !none.is_empty() && (some.is_empty() || entry.macs.is_empty())
}

/// A MAC address that names an interface. Registries hold empty ones and placeholders.
pub(super) fn usable_mac(text: &str) -> Option<MacAddr> {
    text.parse().ok().filter(|mac: &MacAddr| mac.names_an_interface())
}

/// An address that a host on a network can have.
pub(super) fn usable_address(text: &str) -> Option<IpAddr> {
    let ip = text.trim().parse::<IpAddr>().ok()?.to_canonical();
    let odd = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    (!ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !odd).then_some(ip)
}

/// The address in a URL of the web that names its host by one: no `.local` name, and no
/// `homeassistant://`, which leads to a page of Home Assistant itself.
fn literal_address(url: &str) -> Option<IpAddr> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    match url.host()? {
        Host::Ipv4(ip) => usable_address(&ip.to_string()),
        Host::Ipv6(ip) => usable_address(&ip.to_string()),
        Host::Domain(_) => None,
    }
}

/// Puts entries together that share hardware.
fn things(entries: Vec<Entry<'_>>) -> Vec<Thing<'_>> {
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut part_of: Vec<usize> = (0..entries.len()).collect();
    for (place, entry) in entries.iter().enumerate() {
        for mark in marks(entry) {
            let before = *first.entry(mark).or_insert(place);
            let (a, b) = (root(&part_of, before), root(&part_of, place));
            part_of[a.max(b)] = a.min(b);
        }
    }
    let mut things: BTreeMap<usize, Vec<Entry<'_>>> = BTreeMap::new();
    for (place, entry) in entries.into_iter().enumerate() {
        things.entry(root(&part_of, place)).or_default().push(entry);
    }
    things
        .into_values()
        .map(|mut entries| {
            entries.sort_by_key(|entry| {
                (is_client(entry), is_carried(entry), Reverse(entry.weight()), entry.id)
            });
            let standing = standing(&entries);
            Thing { entries, standing, is_hub: false }
        })
        .collect()
}

fn root(part_of: &[usize], mut place: usize) -> usize {
    while part_of[place] != place {
        place = part_of[place];
    }
    place
}

/// What two entries of one device have in common: a MAC address, or the address of a
/// radio where there is none.
fn marks(entry: &Entry<'_>) -> BTreeSet<String> {
    if !entry.macs.is_empty() {
        return entry.macs.iter().map(|mac| format!("mac {mac}")).collect();
    }
    let radio = |kind: &str| matches!(kind, "zigbee" | "bluetooth");
    let connections = entry.device.connections.0.iter();
    connections
        .filter(|connection| radio(&connection.kind) && !connection.value.is_empty())
        .map(|connection| format!("{} {}", connection.kind, connection.value.to_lowercase()))
        .collect()
}

/// Whether a general carrier brought the entry, and not the device's own integration.
fn is_carried(entry: &Entry<'_>) -> bool {
    !entry.domains.is_empty() && entry.domains.iter().all(|domain| CARRIERS.contains(domain))
}

impl Entry<'_> {
    /// How much it says.
    pub(super) fn weight(&self) -> usize {
        let device = self.device;
        [
            &device.name_by_user,
            &device.name,
            &device.manufacturer,
            &device.model,
            &device.model_id,
            &device.sw_version,
            &device.serial_number,
            &device.configuration_url,
            &device.area_id,
        ]
        .into_iter()
        .filter(|text| text.get().is_some())
        .count()
    }
}

fn standing(entries: &[Entry<'_>]) -> Standing {
    if entries.iter().any(|entry| !entry.macs.is_empty()) {
        let bare = entries.iter().all(is_client);
        return if bare { Standing::Client } else { Standing::Network };
    }
    if let Some(radio) = entries.iter().find_map(radio) {
        return Standing::Radio(radio);
    }
    match entries.iter().any(|entry| entry.url.is_some()) {
        true => Standing::Network,
        false => Standing::None,
    }
}

/// The radio that a device without a network speaks.
fn radio(entry: &Entry<'_>) -> Option<Include> {
    const ZIGBEE: [&str; 2] = ["zha", "deconz"];
    const ZWAVE: [&str; 3] = ["zwave_js", "zwave", "ozw"];
    let connections = &entry.device.connections.0;
    let speaks = |kind: &str| connections.iter().any(|connection| connection.kind == kind);
    let of = |domains: &[&str]| entry.domains.iter().any(|domain| domains.contains(domain));
    let bridged = entry.device.identifiers.0.iter().any(|identifier| {
        identifier.kind == "mqtt" && identifier.value.starts_with("zigbee2mqtt_")
    });
    if speaks("zigbee") || of(&ZIGBEE) || bridged {
        Some(Include::Zigbee)
    } else if of(&ZWAVE) {
        Some(Include::Zwave)
    } else if speaks("bluetooth") {
        Some(Include::Bluetooth)
    } else {
        None
    }
}

/// Whether all that is known of an entry comes from a router that saw it: trackers, with
/// switches and figures of the router beside them, and nothing of the device itself.
fn is_client(entry: &Entry<'_>) -> bool {
    let device = entry.device;
    let own = [
        &device.sw_version,
        &device.hw_version,
        &device.serial_number,
        &device.model_id,
        &device.configuration_url,
    ];
    let tracked = |model: &str| model.to_lowercase().contains("tracked device");
    if own.iter().any(|text| text.get().is_some())
        || device.model.get().is_some_and(|model| !tracked(model))
    {
        return false;
    }
    let is_tracker = |entity: &&&Entity| {
        entity.entity_id.get().is_some_and(|id| id.starts_with("device_tracker."))
    };
    let trackers: BTreeSet<&str> = entry
        .entities
        .iter()
        .filter(is_tracker)
        .filter_map(|entity| entity.platform.get())
        .collect();
    if trackers.is_empty() {
        // Without any entity and any word of a maker nothing tells it from a client.
        return entry.entities.is_empty()
            && device.identifiers.0.is_empty()
            && device.manufacturer.get().is_none();
    }
    entry.domains.iter().all(|domain| trackers.contains(domain))
        && entry.entities.iter().all(|entity| {
            is_tracker(&entity)
                || entity.entity_category.get().is_some()
                    && entity.platform.get().is_some_and(|platform| trackers.contains(platform))
        })
}
