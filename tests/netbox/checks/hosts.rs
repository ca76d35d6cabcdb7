//! Devices and what they are grouped by.

use super::{Verdict, addressing, refuse};
use crate::netbox::addresses::net_of;
use crate::netbox::kinds::display;
use crate::netbox::model::Kind;
use crate::netbox::store::{Object, Store};
use crate::netbox::version::Version;
use crate::netbox::view::View;
use serde_json::Value;

/// The object that a field refers to.
pub(super) fn referred<'a>(
    store: &'a Store,
    object: &Object,
    field: &str,
    kind: Kind,
) -> Option<&'a Object> {
    store.get(kind, object.id_of(field)?)
}

/// What a field refers to, as a message names it.
pub(super) fn named(store: &Store, object: &Object, field: &str, kind: Kind) -> String {
    referred(store, object, field, kind).map_or_else(String::new, |found| display(store, found))
}

/// An object cannot lie below itself.
pub(super) fn tree(store: &Store, object: &Object) -> Verdict {
    let mut above = object.id_of("parent");
    while let Some(id) = above {
        if object.id != 0 && id == object.id {
            let noun = object.kind.def().noun;
            let what = if store.version >= Version::V4_7 {
                "Cannot assign self or a descendant as parent.".to_owned()
            } else {
                format!("Cannot assign self or child {noun} as parent.")
            };
            return refuse("parent", what);
        }
        above = store.get(object.kind, id).and_then(|parent| parent.id_of("parent"));
    }
    Ok(())
}

pub(super) fn location(store: &Store, place: &Object) -> Verdict {
    tree(store, place)?;
    match referred(store, place, "parent", Kind::Location) {
        Some(parent) if parent.value("site") != place.value("site") => {
            let site = named(store, place, "site", Kind::Site);
            let parent = display(store, parent);
            refuse(
                "__all__",
                format!("Parent location ({parent}) must belong to the same site ({site})."),
            )
        }
        _ => Ok(()),
    }
}

pub(super) fn device(store: &Store, device: &Object) -> Verdict {
    let site = device.value("site");
    let site_name = || named(store, device, "site", Kind::Site);
    if let Some(place) = referred(store, device, "location", Kind::Location)
        && place.value("site") != site
    {
        let place = display(store, place);
        return refuse(
            "location",
            format!("Location {place} does not belong to site {}.", site_name()),
        );
    }
    primaries(store, device, "device")?;
    if let (Some(platform), Some(model)) = (
        referred(store, device, "platform", Kind::Platform),
        referred(store, device, "device_type", Kind::DeviceType),
    ) && let Some(maker) = platform.id_of("manufacturer")
        && model.id_of("manufacturer") != Some(maker)
    {
        let limited = named(store, platform, "manufacturer", Kind::Manufacturer);
        let has = named(store, model, "manufacturer", Kind::Manufacturer);
        return refuse(
            "platform",
            format!(
                "The assigned platform is limited to {limited} device types, but this device's type belongs to {has}."
            ),
        );
    }
    let Some(cluster) = referred(store, device, "cluster", Kind::Cluster) else {
        return Ok(());
    };
    let of_site = if store.version < Version::V4_2 { "site" } else { "_site" };
    if !cluster.value(of_site).is_null() && cluster.value(of_site) != site {
        let site = named(store, cluster, of_site, Kind::Site);
        return refuse(
            "cluster",
            format!("The assigned cluster belongs to a different site ({site})"),
        );
    }
    if cluster.text("scope_type") == "dcim.location"
        && cluster.value("scope_id") != device.value("location")
    {
        let place = named(store, cluster, "scope_id", Kind::Location);
        return refuse(
            "cluster",
            format!("The assigned cluster belongs to a different location ({place})"),
        );
    }
    Ok(())
}

/// Primary addresses must be of their family and stand on an interface of the host.
pub(super) fn primaries(store: &Store, host: &Object, noun: &str) -> Verdict {
    let view = View { store, base: "" };
    for (field, v6) in [("primary_ip4", Some(false)), ("primary_ip6", Some(true)), ("oob_ip", None)]
    {
        let Some(address) = referred(store, host, field, Kind::IpAddress) else {
            continue;
        };
        let is_v6 = net_of(address, "address").is_some_and(|net| net.ip.is_ipv6());
        let (text, family) = (address.text("address"), if v6 == Some(true) { 6 } else { 4 });
        if v6.is_some_and(|v6| v6 != is_v6) {
            let version = if is_v6 { 6 } else { 4 };
            return match host.kind {
                Kind::Device => refuse(field, format!("{text} is not an IPv{family} address.")),
                _ => refuse(
                    field,
                    format!("Must be an IPv{family} address. ({text} is an IPv{version} address.)"),
                ),
            };
        }
        let inside = referred(store, address, "nat_inside", Kind::IpAddress);
        let own = |address: &Object| {
            view.assigned(address).is_some_and(|port| match host.kind {
                // A new device has no id yet, and NetBox then takes the interfaces of all devices for its own.
                Kind::Device if host.id == 0 => port.kind == Kind::Interface,
                Kind::Device => port.id_of("device") == Some(host.id),
                _ => port.id_of("virtual_machine") == Some(host.id),
            })
        };
        if !own(address) && !inside.is_some_and(own) {
            return refuse(
                field,
                format!("The specified IP address ({text}) is not assigned to this {noun}."),
            );
        }
    }
    Ok(())
}

/// A new device has its type's platform where it names none.
pub(super) fn settled(store: &Store, old: Option<&Object>, device: &mut Object) {
    if old.is_none() && device.value("platform").is_null() {
        let model = referred(store, device, "device_type", Kind::DeviceType);
        let platform = model.map_or(Value::Null, |model| model.value("default_platform").clone());
        device.values.insert("platform", platform);
    }
}

pub(super) fn item(store: &Store, old: Option<&Object>, item: &Object) -> Verdict {
    if item.id != 0 && item.id_of("parent") == Some(item.id) {
        return refuse("parent", "Cannot assign self as parent.");
    }
    addressing::pair(store, item, "component_type", "component_id")?;
    if old.is_none() {
        return Ok(());
    }
    let parent = referred(store, item, "parent", Kind::InventoryItem);
    if parent.is_some_and(|parent| parent.value("device") != item.value("device")) {
        return refuse("parent", "Parent inventory item does not belong to the same device.");
    }
    let children = store.referring(item.kind, item.id, item.kind, "parent");
    let moved = |id: &u64| {
        store.get(item.kind, *id).is_some_and(|child| child.value("device") != item.value("device"))
    };
    if children.first().is_some_and(moved) {
        return refuse("__all__", "Cannot move an inventory item with dependent children");
    }
    Ok(())
}

/// What lies in a location goes with it to another site, without a word in the change log.
pub(super) fn place_moved(store: &mut Store, id: u64) {
    let Some(site) = store.get(Kind::Location, id).and_then(|place| place.id_of("site")) else {
        return;
    };
    let below = store.referring(Kind::Location, id, Kind::Location, "parent");
    let devices = store.referring(Kind::Location, id, Kind::Device, "location");
    let inside = below.iter().map(|id| (Kind::Location, *id));
    let inside: Vec<_> = inside.chain(devices.iter().map(|id| (Kind::Device, *id))).collect();
    for (kind, id) in inside {
        if let Some(mut object) = store.get(kind, id).cloned() {
            object.values.insert("site", site.into());
            store.put(object);
        }
    }
    for place in below {
        place_moved(store, place);
    }
}
