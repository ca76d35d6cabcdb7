//! VLANs, prefixes, ranges, addresses.

use super::hosts::{named, referred};
use super::{Verdict, refuse};
use crate::netbox::addresses::{Net, net_of};
use crate::netbox::kinds::display;
use crate::netbox::model::Kind;
use crate::netbox::store::{Object, Store};
use crate::netbox::version::Version;
use crate::netbox::view::View;
use serde_json::Value;

/// A kind and an id that refer together must both be there, and the object too.
pub(super) fn pair(store: &Store, object: &Object, type_field: &str, id_field: &str) -> Verdict {
    let (kind, id) = (Kind::of_label(object.text(type_field)), object.id_of(id_field));
    match (kind, id) {
        (Some(_), None) => refuse(id_field, "This field cannot be null."),
        (None, Some(_)) => refuse(type_field, "This field cannot be null."),
        (Some(kind), Some(id)) if store.get(kind, id).is_none() => {
            refuse(id_field, format!("Related object not found using the provided value: {id}."))
        }
        _ => Ok(()),
    }
}

/// A scope must be whole.
pub(super) fn scope(store: &Store, object: &Object) -> Verdict {
    if object.value("scope_type").is_null() {
        return pair(store, object, "scope_type", "scope_id");
    }
    let noun = object.text("scope_type").rsplit('.').next().unwrap_or("");
    let what = format!("Please select a {noun}.");
    let missing = pair(store, object, "scope_type", "scope_id").is_err();
    if missing && store.version < Version::V4_4 {
        return refuse("scope", what);
    }
    if object.value("scope_id").is_null() {
        return refuse("__all__", what);
    }
    pair(store, object, "scope_type", "scope_id")
}

/// Keeps the site that a scope lies in.
pub(super) fn scope_settled(store: &Store, object: &mut Object) {
    if store.version < Version::V4_2 {
        return;
    }
    let id = object.id_of("scope_id");
    let site = match object.text("scope_type") {
        "dcim.site" => id,
        "dcim.location" => {
            id.and_then(|id| store.get(Kind::Location, id)).and_then(|place| place.id_of("site"))
        }
        _ => None,
    };
    object.values.insert("_site", site.map_or(Value::Null, Value::from));
}

pub(super) fn vlan_group(store: &Store, group: &Object) -> Verdict {
    let has = |field: &str| !group.value(field).is_null() && store.version < Version::V4_6;
    if has("scope_type") && group.value("scope_id").is_null() {
        return refuse("__all__", "Cannot set scope_type without scope_id.");
    }
    if has("scope_id") && group.value("scope_type").is_null() {
        return refuse("__all__", "Cannot set scope_id without scope_type.");
    }
    pair(store, group, "scope_type", "scope_id")?;
    if store.version < Version::V4_2 {
        return match (group.value("min_vid").as_i64(), group.value("max_vid").as_i64()) {
            (Some(least), Some(most)) if most < least => refuse(
                "max_vid",
                "Maximum child VID must be greater than or equal to minimum child VID",
            ),
            _ => Ok(()),
        };
    }
    let mut ranges: Vec<(i64, i64)> = group
        .list("vid_ranges")
        .iter()
        .map(|pair| (pair[0].as_i64().unwrap_or(0), pair[1].as_i64().unwrap_or(0)))
        .collect();
    for (lower, upper) in &ranges {
        if *lower < 1 {
            return refuse(
                "vid_ranges",
                format!("Starting VLAN ID in range ({lower}) cannot be less than 1"),
            );
        }
        if *upper > 4094 {
            return refuse(
                "vid_ranges",
                format!("Ending VLAN ID in range ({upper}) cannot exceed 4094"),
            );
        }
        if lower > upper {
            return refuse(
                "vid_ranges",
                format!(
                    "Ending VLAN ID in range must be greater than or equal to the starting VLAN ID ({lower}-{upper})"
                ),
            );
        }
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|two| two[0].1 >= two[1].0) {
        return refuse("vid_ranges", "Ranges cannot overlap.");
    }
    Ok(())
}

pub(super) fn vlan(store: &Store, vlan: &Object) -> Verdict {
    let Some(group) = referred(store, vlan, "group", Kind::VlanGroup) else {
        return Ok(());
    };
    let name = display(store, group);
    // In 4.0 a group without a site clashes with any site.
    let judged = store.version < Version::V4_2 || group.text("scope_type") == "dcim.site";
    if judged && !vlan.value("site").is_null() && group.value("scope_id") != vlan.value("site") {
        let scope = match group.value("scope_id") {
            Value::Null => "None".to_owned(),
            _ => named(store, group, "scope_id", Kind::Site),
        };
        let site = named(store, vlan, "site", Kind::Site);
        return refuse(
            "__all__",
            format!(
                "VLAN is assigned to group {name} (scope: {scope}); cannot also assign to site {site}."
            ),
        );
    }
    let vid = vlan.value("vid").as_i64().unwrap_or(0);
    if store.version < Version::V4_2 {
        let bound = |field: &str| group.value(field).as_i64().unwrap_or(0);
        let (least, most) = (bound("min_vid"), bound("max_vid"));
        return if (least..=most).contains(&vid) {
            Ok(())
        } else {
            refuse(
                "vid",
                format!("VID must be between {least} and {most} for VLANs in group {name}"),
            )
        };
    }
    let ranges = group.list("vid_ranges");
    let inside = |pair: &Value| {
        (pair[0].as_i64().unwrap_or(1)..=pair[1].as_i64().unwrap_or(0)).contains(&vid)
    };
    if ranges.iter().any(inside) {
        return Ok(());
    }
    let words = ranges.iter().map(|pair| match (&pair[0], &pair[1]) {
        (lower, upper) if lower == upper => lower.to_string(),
        (lower, upper) => format!("{lower}-{upper}"),
    });
    let words: Vec<String> = words.collect();
    refuse("vid", format!("VID must be in ranges {} for VLANs in group {name}", words.join(",")))
}

/// Whether addresses and prefixes of an object's VRF must be unique, and what the table is called.
fn table(store: &Store, object: &Object) -> (bool, String) {
    match referred(store, object, "vrf", Kind::Vrf) {
        None => (true, "global table".to_owned()),
        Some(vrf) => (vrf.yes("enforce_unique"), format!("VRF {}", display(store, vrf))),
    }
}

pub(super) fn prefix(store: &Store, prefix: &Object) -> Verdict {
    scope(store, prefix)?;
    let Some(net) = net_of(prefix, "prefix") else {
        return Ok(());
    };
    if net.len == 0 {
        return refuse("prefix", "Cannot create prefix with /0 mask.");
    }
    let (unique, table) = table(store, prefix);
    let twin = store.of(Kind::Prefix).find(|other| {
        other.id != prefix.id
            && other.value("vrf") == prefix.value("vrf")
            && other.value("prefix") == prefix.value("prefix")
    });
    match twin {
        Some(twin) if unique => {
            let twin = twin.text("prefix");
            refuse("prefix", format!("Duplicate prefix found in {table}: {twin}"))
        }
        _ => Ok(()),
    }
}

pub(super) fn range(store: &Store, range: &Object) -> Verdict {
    let (Some(first), Some(last)) = (net_of(range, "start_address"), net_of(range, "end_address"))
    else {
        return Ok(());
    };
    if first.ip.is_ipv4() != last.ip.is_ipv4() {
        return refuse("end_address", "Starting and ending IP address versions must match");
    }
    if first.len != last.len {
        return refuse("end_address", "Starting and ending IP address masks must match");
    }
    let newer = store.version >= Version::V4_6;
    if newer && last.number() < first.number() {
        return refuse(
            "end_address",
            format!(
                "Ending address must be greater than or equal to the starting address ({first})"
            ),
        );
    }
    if !newer && last.number() <= first.number() {
        return refuse(
            "end_address",
            format!("Ending address must be greater than the starting address ({first})"),
        );
    }
    let overlaps = |other: &&Object| {
        let ends = (net_of(other, "start_address"), net_of(other, "end_address"));
        let (Some(from), Some(to)) = ends else { return false };
        other.id != range.id
            && other.value("vrf") == range.value("vrf")
            && from.ip.is_ipv4() == first.ip.is_ipv4()
            && from.number() <= last.number()
            && to.number() >= first.number()
    };
    match store.of(Kind::IpRange).find(overlaps) {
        Some(other) => {
            let vrf = referred(store, range, "vrf", Kind::Vrf);
            let vrf = vrf.map_or_else(|| "None".to_owned(), |vrf| display(store, vrf));
            let other = display(store, other);
            refuse("__all__", format!("Defined addresses overlap with range {other} in VRF {vrf}"))
        }
        None => Ok(()),
    }
}

/// The roles that several objects may share an address in.
const SHARED_ROLES: &[&str] = &["anycast", "vip", "vrrp", "hsrp", "glbp", "carp"];

pub(super) fn address(store: &Store, old: Option<&Object>, address: &Object) -> Verdict {
    pair(store, address, "assigned_object_type", "assigned_object_id")?;
    let Some(net) = net_of(address, "address") else {
        return Ok(());
    };
    if net.len == 0 {
        return refuse("address", "Cannot create IP address with /0 mask.");
    }
    let view = View { store, base: "" };
    if view.assigned(address).is_some() {
        assignable(net)?;
    }
    unique(store, address, net)?;
    if store.version >= Version::V4_4 && old.is_none() {
        populated(store, address, net)?;
    }
    if let Some(old) = old {
        kept_primary(store, old, address, net)?;
    }
    if address.text("status") == "slaac" && net.ip.is_ipv4() {
        return refuse("status", "Only IPv6 addresses can be assigned SLAAC status");
    }
    Ok(())
}

/// The address of a network and its broadcast address do not go on an interface.
fn assignable(net: Net) -> Verdict {
    let (first, last) = net.bounds();
    let bits = if net.ip.is_ipv4() { 32 } else { 128 };
    let single = net.len >= bits - 1;
    if net.number() == first && !single {
        return refuse(
            "__all__",
            format!("{} is a network ID, which may not be assigned to an interface.", net.ip),
        );
    }
    if net.ip.is_ipv4() && net.number() == last && !single {
        return refuse(
            "__all__",
            format!(
                "{} is a broadcast address, which may not be assigned to an interface.",
                net.ip
            ),
        );
    }
    Ok(())
}

fn unique(store: &Store, address: &Object, net: Net) -> Verdict {
    let (unique, table) = table(store, address);
    if !unique {
        return Ok(());
    }
    let twins: Vec<&Object> = store
        .hosts(address.id_of("vrf"), (net.number(), net.ip.is_ipv6()))
        .into_iter()
        .filter(|id| *id != address.id)
        .filter_map(|id| store.get(Kind::IpAddress, id))
        .collect();
    let shared = |object: &Object| SHARED_ROLES.contains(&object.text("role"));
    let Some(first) = twins.first() else {
        return Ok(());
    };
    if shared(address) && twins.iter().all(|twin| shared(twin)) {
        return Ok(());
    }
    let first = first.text("address");
    refuse("address", format!("Duplicate IP address found in {table}: {first}"))
}

fn populated(store: &Store, address: &Object, net: Net) -> Verdict {
    let around = |range: &&Object| {
        let ends = (net_of(range, "start_address"), net_of(range, "end_address"));
        let (Some(from), Some(to)) = ends else { return false };
        range.yes("mark_populated")
            && range.value("vrf") == address.value("vrf")
            && from.ip.is_ipv4() == net.ip.is_ipv4()
            && (from.number()..=to.number()).contains(&net.number())
    };
    match store.of(Kind::IpRange).find(around) {
        Some(range) => {
            let range = display(store, range);
            refuse("address", format!("Cannot create IP address {net} inside range {range}."))
        }
        None => Ok(()),
    }
}

/// The host of the interface that an address is on.
fn parent<'a>(store: &'a Store, address: &Object) -> Option<&'a Object> {
    let view = View { store, base: "" };
    let (kind, id) = {
        let port = view.assigned(address)?;
        match port.kind {
            Kind::VmInterface => (Kind::VirtualMachine, port.id_of("virtual_machine")?),
            _ => (Kind::Device, port.id_of("device")?),
        }
    };
    store.get(kind, id)
}

/// A primary address does not leave its host.
fn kept_primary(store: &Store, old: &Object, new: &Object, net: Net) -> Verdict {
    let Some(before) = parent(store, old) else {
        return Ok(());
    };
    let same = parent(store, new).is_some_and(|now| (now.kind, now.id) == (before.kind, before.id));
    let field = if net.ip.is_ipv4() { "primary_ip4" } else { "primary_ip6" };
    if before.id_of(field) == Some(old.id) && !same {
        return refuse(
            "__all__",
            "Cannot reassign IP address while it is designated as the primary IP for the parent object",
        );
    }
    if store.version >= Version::V4_2 && before.id_of("oob_ip") == Some(old.id) && !same {
        return refuse(
            "__all__",
            "Cannot reassign IP address while it is designated as the OOB IP for the parent object",
        );
    }
    Ok(())
}

/// Names are kept in lower case.
pub(super) fn settled(address: &mut Object) {
    let name = address.text("dns_name").to_lowercase();
    address.values.insert("dns_name", name.into());
}

pub(super) fn mac(store: &Store, old: Option<&Object>, new: &Object) -> Verdict {
    pair(store, new, "assigned_object_type", "assigned_object_id")?;
    let view = View { store, base: "" };
    let Some(before) = old.and_then(|old| view.assigned(old)) else {
        return Ok(());
    };
    if before.id_of("primary_mac_address") != Some(new.id) {
        return Ok(());
    }
    match view.assigned(new) {
        None => refuse(
            "__all__",
            "Cannot unassign MAC Address while it is designated as the primary MAC for an object",
        ),
        Some(now) if (now.kind, now.id) != (before.kind, before.id) => refuse(
            "__all__",
            "Cannot reassign MAC Address while it is designated as the primary MAC for an object",
        ),
        Some(_) => Ok(()),
    }
}
