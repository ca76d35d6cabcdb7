//! What a device is: its model without what does not belong to a model's name, its
//! firmware's family, and its role.

use std::collections::BTreeSet;

use super::answers::{Entity, State};
use super::registry::{Entry, Thing};
use crate::domain::identity::maker_key;

/// A model's name and the maker's part number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub name: Option<String>,
    pub part: Option<String>,
}

/// Takes a model apart: `Shelly Plus 1PM (SNSW-001P16EU)` by Shelly is a `Plus 1PM` with
/// the part number `SNSW-001P16EU`. One type of device has many spellings otherwise.
pub(super) fn model(entry: &Entry<'_>) -> Model {
    let device = entry.device;
    let Some(whole) = device.model.get() else {
        return Model { name: device.model_id.get().map(str::to_owned), part: None };
    };
    let (name, part) = match parenthesised(whole) {
        Some((name, part)) => (name, Some(part)),
        None => (whole, None),
    };
    let name = device.manufacturer.get().map_or(name, |maker| without_maker(name, maker));
    let part = device.model_id.get().or(part).filter(|part| *part != name);
    Model { name: Some(name.to_owned()), part: part.map(str::to_owned) }
}

/// A name and the part number in brackets at its end.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let (name, part) = text.strip_suffix(')')?.rsplit_once('(')?;
    let (name, part) = (name.trim(), part.trim());
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "-_./+".contains(c);
    let is_number = part.len() >= 4
        && part.chars().all(plain)
        && part.chars().any(|c| c.is_ascii_digit())
        && part.chars().any(|c| c.is_ascii_uppercase());
    (is_number && !name.is_empty()).then_some((name, part))
}

/// A model's name without its maker's before it.
fn without_maker<'m>(name: &'m str, maker: &str) -> &'m str {
    let Some((first, rest)) = name.split_once(' ') else { return name };
    let same = !maker_key(maker).is_empty() && maker_key(first) == maker_key(maker);
    if same && !rest.trim().is_empty() { rest.trim() } else { name }
}

/// Integrations whose devices run a firmware that is known by a name of its own.
const FIRMWARE: &[(&str, &str)] = &[
    ("esphome", "ESPHome"),
    ("tasmota", "Tasmota"),
    ("shelly", "Shelly"),
    ("wled", "WLED"),
    ("synology_dsm", "Synology DSM"),
    ("qnap", "QNAP QTS"),
    ("unifi", "UniFi"),
    ("unifiprotect", "UniFi"),
    ("sonos", "Sonos"),
    ("hue", "Philips Hue"),
    ("fritz", "FRITZ!OS"),
    ("mikrotik", "RouterOS"),
    ("androidtv", "Android TV"),
    ("androidtv_remote", "Android TV"),
    ("apple_tv", "tvOS"),
    ("webostv", "webOS"),
    ("roku", "Roku OS"),
    ("octoprint", "OctoPrint"),
];

/// The family of a device's firmware. Its version is no part of a platform: NetBox would
/// have a platform for every update of every bulb.
pub(super) fn firmware(entry: &Entry<'_>, maker: Option<&str>) -> Option<String> {
    let version = entry.device.sw_version.get()?;
    let lower = version.to_lowercase();
    for name in ["tasmota", "esphome", "openwrt", "wled"] {
        let by_maker = entry.device.manufacturer.get().is_some_and(|m| m.to_lowercase() == name);
        if lower.contains(name) || by_maker {
            let known = FIRMWARE.iter().find(|(domain, _)| *domain == name);
            return Some(known.map_or("OpenWrt", |(_, family)| family).to_owned());
        }
    }
    let known = FIRMWARE.iter().find(|(domain, _)| entry.domains.contains(domain));
    if let Some((_, family)) = known {
        return Some((*family).to_owned());
    }
    // `DSM 7.2.1-69057`, `RouterOS 7.14`: the name stands before the number.
    let named = version.split_once(' ').map(|(name, _)| name).filter(|name| {
        const WORDS: [&str; 8] =
            ["version", "ver", "ver.", "firmware", "release", "build", "stable", "fw"];
        name.chars().count() >= 3
            && name.chars().all(|c| c.is_alphabetic() || "!-".contains(c))
            && !WORDS.contains(&name.to_lowercase().as_str())
    });
    named.map(str::to_owned).or_else(|| maker.map(|maker| format!("{maker} firmware")))
}

/// What a device of an integration is for, where its entities do not tell.
const BY_INTEGRATION: &[(&str, &[&str])] = &[
    ("Printer", &["brother", "ipp", "epson", "syncthru"]),
    ("3D printer", &["octoprint", "prusalink", "bambu_lab", "moonraker"]),
    ("Storage", &["synology_dsm", "qnap", "truenas", "freenas", "asustor"]),
    (
        "Network",
        &[
            "unifi",
            "tplink_omada",
            "tplink_router",
            "mikrotik",
            "fritz",
            "asuswrt",
            "netgear",
            "keenetic_ndms2",
            "ruckus_unleashed",
            "aruba",
            "huawei_lte",
            "opnsense",
            "qnap_qsw",
            "vodafone_station",
            "zyxel_nebula",
        ],
    ),
    ("UPS", &["nut", "apcupsd"]),
    (
        "Inverter",
        &[
            "fronius",
            "sma",
            "solaredge_local",
            "enphase_envoy",
            "huawei_solar",
            "kostal_plenticore",
        ],
    ),
    ("EV charger", &["wallbox", "easee", "goecharger", "keba", "openevse"]),
];

/// What a device is for, by the domain of its entities: the first that it has.
const BY_ENTITY: &[(&str, &str)] = &[
    ("camera", "Camera"),
    ("media_player", "Media player"),
    ("climate", "Climate"),
    ("water_heater", "Climate"),
    ("humidifier", "Climate"),
    ("vacuum", "Vacuum"),
    ("lawn_mower", "Lawn mower"),
    ("alarm_control_panel", "Alarm"),
    ("lock", "Lock"),
    ("valve", "Valve"),
    ("cover", "Cover"),
    ("fan", "Fan"),
    ("light", "Light"),
    // A plain "Switch" is one that networks are made of.
    ("switch", "Smart switch"),
    ("siren", "Siren"),
    ("remote", "Remote"),
    ("binary_sensor", "Sensor"),
    ("sensor", "Sensor"),
];

/// The sensors that tell of their own device and not of the house: how well it is heard,
/// how full its battery is, since when it runs. Integrations should mark them as
/// diagnostic, and many do not.
pub(super) fn figures(states: &[State]) -> BTreeSet<&str> {
    const OF_ITSELF: [&str; 8] = [
        "battery",
        "battery_charging",
        "connectivity",
        "problem",
        "signal_strength",
        "timestamp",
        "update",
        "uptime",
    ];
    let of_itself = |state: &&State| {
        state.attributes.device_class.get().is_some_and(|class| OF_ITSELF.contains(&class))
    };
    states.iter().filter(of_itself).filter_map(|state| state.entity_id.get()).collect()
}

/// What a device is for, and how that is known.
pub(super) fn role(thing: &Thing<'_>, figures: &BTreeSet<&str>) -> (&'static str, &'static str) {
    let has = |domain: &str| thing.entries.iter().any(|entry| entry.domains.contains(domain));
    let known = BY_INTEGRATION.iter().find(|(_, domains)| domains.iter().any(|domain| has(domain)));
    if let Some((role, _)) = known {
        return (role, "its integration");
    }
    let entities = || thing.entries.iter().flat_map(|entry| &entry.entities);
    let found = BY_ENTITY
        .iter()
        .find(|(domain, _)| entities().any(|entity| is_of(entity, domain, figures)));
    match found {
        // A hub reports of others; what it measures itself is beside the point.
        Some((_, "Sensor")) | None if thing.is_hub => ("Hub", "devices reached through it"),
        Some((_, role)) => (role, "its entities"),
        None => ("IoT", "it is a device of Home Assistant"),
    }
}

/// Whether an entity of a domain is what its device is for: not a setting, not a figure
/// about the device itself, not switched off.
fn is_of(entity: &Entity, domain: &str, figures: &BTreeSet<&str>) -> bool {
    // What is so named is a figure as well, where its state does not say what it is.
    const NAMED: [&str; 4] = ["_rssi", "_linkquality", "_lqi", "_uptime"];
    let Some((id, (of, _))) = entity.entity_id.get().and_then(|id| Some((id, id.split_once('.')?)))
    else {
        return false;
    };
    of == domain
        && entity.entity_category.get().is_none()
        && entity.disabled_by.get().is_none()
        && !figures.contains(id)
        && !(of == "sensor" && NAMED.iter().any(|name| id.ends_with(name)))
}
