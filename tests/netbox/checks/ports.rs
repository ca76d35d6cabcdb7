//! Interfaces and cables.

use super::hosts::{named, referred};
use super::{Verdict, refuse};
use crate::netbox::changes::{Action, Asker, log, record_of};
use crate::netbox::kinds::display;
use crate::netbox::model::{Choice, Kind, Shape};
use crate::netbox::parse::Parsed;
use crate::netbox::refusal::{Errors, Refusal, add};
use crate::netbox::store::{Object, Store};
use crate::netbox::version::Version;
use crate::netbox::view::View;
use crate::netbox::write::{initial, touch};
use serde_json::Value;

/// The types that no cable can end on.
const VIRTUAL: &[&str] = &["virtual", "bridge", "lag", "channel"];

/// The host of an interface.
fn host(port: &Object) -> (&'static str, Kind) {
    match port.kind {
        Kind::VmInterface => ("virtual_machine", Kind::VirtualMachine),
        _ => ("device", Kind::Device),
    }
}

/// What the serializer says of a mode and its VLANs, since 4.2, and of VLANs of other sites.
pub(super) fn together(
    store: &Store,
    kind: Kind,
    old: Option<&Object>,
    parsed: &Parsed,
) -> Verdict {
    let value = |field: &'static str| {
        parsed.values.get(field).or_else(|| old.map(|old| old.value(field))).unwrap_or(&Value::Null)
    };
    if kind == Kind::Interface && store.version >= Version::V4_2 {
        mode(&value)?;
    }
    let owner = if kind == Kind::VmInterface { "virtual_machine" } else { "device" };
    let host_kind = if kind == Kind::VmInterface { Kind::VirtualMachine } else { Kind::Device };
    let site = value(owner)
        .as_u64()
        .and_then(|id| store.get(host_kind, id))
        .map_or(Value::Null, |host| host.value("site").clone());
    for id in parsed.values.get("tagged_vlans").and_then(Value::as_array).into_iter().flatten() {
        let Some(vlan) = id.as_u64().and_then(|id| store.get(Kind::Vlan, id)) else {
            continue;
        };
        if !vlan.value("site").is_null() && *vlan.value("site") != site {
            let noun = owner.replace('_', " ");
            let vlan = display(store, vlan);
            return refuse(
                "tagged_vlans",
                format!(
                    "VLAN {vlan} must belong to the same site as the interface's parent {noun}, or it must be global."
                ),
            );
        }
    }
    Ok(())
}

fn mode<'a>(value: &impl Fn(&'static str) -> &'a Value) -> Verdict {
    let mode = value("mode").as_str().unwrap_or("");
    let tagged = value("tagged_vlans").as_array().is_some_and(|ids| !ids.is_empty());
    let mut errors = Errors::new();
    if mode != "q-in-q" && !value("qinq_svlan").is_null() {
        add(&mut errors, "qinq_svlan", "Interface mode does not support q-in-q service vlan");
    }
    if mode.is_empty() && !value("untagged_vlan").is_null() {
        add(&mut errors, "untagged_vlan", "Interface mode does not support untagged vlan");
    }
    if tagged && matches!(mode, "" | "tagged-all" | "access") {
        add(&mut errors, "tagged_vlans", "Interface mode does not support tagged vlans");
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The label of an interface's type.
fn type_label(store: &Store, word: &str) -> String {
    let field = Kind::Interface.def().field(store.version, "type");
    let choices: &[Choice] = match field.map(|field| field.shape) {
        Some(Shape::Choice(choices)) => choices,
        _ => &[],
    };
    let found = choices.iter().find(|choice| choice.value == word);
    found.map_or(String::new(), |choice| choice.label.to_owned())
}

/// A primary MAC address may not be another interface's.
fn primary_mac(store: &Store, port: &Object) -> Verdict {
    let Some(mac) = referred(store, port, "primary_mac_address", Kind::MacAddress) else {
        return Ok(());
    };
    let view = View { store, base: "" };
    let key = if store.version >= Version::V4_7 { "__all__" } else { "primary_mac_address" };
    let name = display(store, mac);
    match view.assigned(mac) {
        None if store.version >= Version::V4_7 && port.id != 0 => refuse(
            key,
            "Only a MAC address assigned to this interface can be its primary MAC address.",
        ),
        assigned if store.version < Version::V4_4 => match assigned {
            Some(own) if (own.kind, own.id) == (port.kind, port.id) => Ok(()),
            _ => refuse(key, format!("MAC address {name} is not assigned to this interface.")),
        },
        Some(other) if (other.kind, other.id) != (port.kind, port.id) => {
            let other = display(store, other);
            refuse(
                key,
                format!("MAC address {name} is assigned to a different interface ({other})."),
            )
        }
        _ => Ok(()),
    }
}

pub(super) fn interface(store: &Store, port: &Object) -> Verdict {
    primary_mac(store, port)?;
    let kind = port.text("type");
    let label = || type_label(store, kind);
    if VIRTUAL.contains(&kind) && !port.value("cable").is_null() {
        return refuse("type", format!("{} interfaces cannot have a cable attached.", label()));
    }
    if VIRTUAL.contains(&kind) && port.yes("mark_connected") {
        return refuse(
            "mark_connected",
            format!("{} interfaces cannot be marked as connected.", label()),
        );
    }
    let itself = |field: &str| port.id != 0 && port.id_of(field) == Some(port.id);
    let other_host = |field: &str| {
        referred(store, port, field, Kind::Interface)
            .filter(|other| other.value("device") != port.value("device"))
            .map(|other| (display(store, other), named(store, other, "device", Kind::Device)))
    };
    if itself("parent") {
        return refuse("parent", "An interface cannot be its own parent.");
    }
    if kind != "virtual" && !port.value("parent").is_null() {
        return refuse(
            "parent",
            if store.version >= Version::V4_7 {
                "Only virtual interfaces, or a channel subinterface with a channel ID assigned, may be assigned to a parent interface."
            } else {
                "Only virtual interfaces may be assigned to a parent interface."
            },
        );
    }
    if let Some((name, device)) = other_host("parent") {
        return refuse(
            "parent",
            format!(
                "The selected parent interface ({name}) belongs to a different device ({device})"
            ),
        );
    }
    if itself("bridge") {
        return refuse("bridge", "An interface cannot be bridged to itself.");
    }
    if let Some((name, device)) = other_host("bridge") {
        return refuse(
            "bridge",
            format!(
                "The selected bridge interface ({name}) belongs to a different device ({device})."
            ),
        );
    }
    if kind == "virtual" && !port.value("lag").is_null() {
        return refuse("lag", "Virtual interfaces cannot have a parent LAG interface.");
    }
    if itself("lag") {
        return refuse("lag", "A LAG interface cannot be its own parent.");
    }
    if let Some((name, device)) = other_host("lag") {
        return refuse(
            "lag",
            format!(
                "The selected LAG interface ({name}) belongs to a different device ({device})."
            ),
        );
    }
    untagged(store, port)
}

/// The VLAN of untagged frames must be of the host's site, or of none.
fn untagged(store: &Store, port: &Object) -> Verdict {
    let Some(vlan) = referred(store, port, "untagged_vlan", Kind::Vlan) else {
        return Ok(());
    };
    let (owner, kind) = host(port);
    let site = referred(store, port, owner, kind).map_or(&Value::Null, |host| host.value("site"));
    if vlan.value("site").is_null() || vlan.value("site") == site {
        return Ok(());
    }
    let (vlan, noun) = (display(store, vlan), owner.replace('_', " "));
    refuse(
        "untagged_vlan",
        format!(
            "The untagged VLAN ({vlan}) must belong to the same site as the interface's parent {noun}, or it must be global."
        ),
    )
}

pub(super) fn vm_interface(store: &Store, port: &Object) -> Verdict {
    primary_mac(store, port)?;
    for (field, own, other) in [
        ("parent", "An interface cannot be its own parent.", "parent"),
        ("bridge", "An interface cannot be bridged to itself.", "bridge"),
    ] {
        if port.id != 0 && port.id_of(field) == Some(port.id) {
            return refuse(field, own);
        }
        let Some(found) = referred(store, port, field, Kind::VmInterface) else {
            continue;
        };
        if found.value("virtual_machine") != port.value("virtual_machine") {
            let name = display(store, found);
            let machine = named(store, found, "virtual_machine", Kind::VirtualMachine);
            return refuse(
                field,
                format!(
                    "The selected {other} interface ({name}) belongs to a different virtual machine ({machine})."
                ),
            );
        }
    }
    untagged(store, port)
}

/// Without a mode there is no untagged VLAN, and only the mode "tagged" has tagged ones.
pub(super) fn settled(old: Option<&Object>, port: &mut Object, parsed: &Parsed) {
    if port.text("mode").is_empty() {
        port.values.insert("untagged_vlan", Value::Null);
    }
    // What is written of them comes after that.
    let written = parsed.values.contains_key("tagged_vlans");
    if old.is_some() && port.text("mode") != "tagged" && !written {
        port.values.insert("tagged_vlans", Value::Array(Vec::new()));
    }
}

/// A new interface takes the MAC address that was named as its primary, since 4.4.
pub(super) fn primary_taken(store: &mut Store, asker: &Asker, kind: Kind, id: u64) {
    let primary = store.get(kind, id).and_then(|port| port.id_of("primary_mac_address"));
    let mac = primary.and_then(|mac| store.get(Kind::MacAddress, mac)).cloned();
    if let Some(mut mac) = mac.filter(|_| store.version >= Version::V4_4) {
        mac.values.insert("assigned_object_type", kind.def().label.into());
        mac.values.insert("assigned_object_id", id.into());
        mac.updated = store.clock.now();
        store.put(mac.clone());
        // The log does not know what stood.
        log(store, asker, Action::Update, Value::Null, &mac, "");
    }
}

/// A MAC address that is written to an interface since 4.7 becomes an object of its own, and primary.
pub(super) fn mac_saved(store: &mut Store, asker: &Asker, kind: Kind, id: u64, parsed: &Parsed) {
    let (Some(written), Some(mut port)) = (&parsed.mac, store.get(kind, id).cloned()) else {
        return;
    };
    let primary = match written {
        None => Value::Null,
        Some(mac) => {
            let standing = store
                .referring(kind, id, Kind::MacAddress, "assigned_object_id")
                .into_iter()
                .find(|id| {
                    store
                        .get(Kind::MacAddress, *id)
                        .is_some_and(|object| object.text("mac_address") == mac)
                });
            standing.unwrap_or_else(|| new_mac(store, asker, &port, mac)).into()
        }
    };
    if *port.value("primary_mac_address") != primary {
        port.values.insert("primary_mac_address", primary);
        store.put(port);
    }
}

fn new_mac(store: &mut Store, asker: &Asker, port: &Object, mac: &str) -> u64 {
    let mut values = initial(store, Kind::MacAddress);
    values.insert("mac_address", mac.into());
    values.insert("assigned_object_type", port.kind.def().label.into());
    values.insert("assigned_object_id", port.id.into());
    make(store, asker, Kind::MacAddress, values)
}

/// Makes an object that the server itself makes.
fn make(store: &mut Store, asker: &Asker, kind: Kind, values: crate::netbox::store::Values) -> u64 {
    let id = store.take_id(kind);
    let (created, updated) = (store.clock.now(), store.clock.now());
    let object = Object {
        kind,
        id,
        values,
        tags: std::collections::BTreeSet::new(),
        custom: serde_json::Map::new(),
        created,
        updated,
    };
    store.put(object.clone());
    log(store, asker, Action::Create, Value::Null, &object, "");
    id
}

pub(super) fn cable(
    store: &Store,
    old: Option<&Object>,
    cable: &Object,
    parsed: &Parsed,
) -> Verdict {
    if !cable.value("length").is_null() && cable.text("length_unit").is_empty() {
        return refuse("__all__", "Must specify a unit when setting a cable length");
    }
    let empty = |end: &Option<Vec<u64>>| end.as_ref().is_none_or(Vec::is_empty);
    if old.is_none() && parsed.ends.iter().any(empty) {
        return refuse("__all__", "Must define A and B terminations when creating a new cable.");
    }
    let [a, b] = [0, 1].map(|at| parsed.ends[at].clone().unwrap_or_default());
    if a.iter().any(|id| b.contains(id)) {
        return refuse("__all__", "A and B terminations cannot connect to the same object.");
    }
    for id in a.iter().chain(&b) {
        end(store, cable, *id)?;
    }
    Ok(())
}

/// Whether a cable can end on an interface.
fn end(store: &Store, cable: &Object, id: u64) -> Verdict {
    let Some(port) = store.get(Kind::Interface, id) else {
        return Ok(());
    };
    if port.yes("mark_connected") && store.version >= Version::V4_4 {
        let device = named(store, port, "device", Kind::Device);
        let what = format!(
            "Cannot connect a cable to {device} > {} because it is marked as connected.",
            display(store, port)
        );
        return refuse("__all__", what);
    }
    if let Some(taken) = port.id_of("cable").filter(|taken| *taken != cable.id) {
        return refuse(
            "__all__",
            format!("Duplicate termination found for dcim.interface {id}: cable {taken}"),
        );
    }
    if VIRTUAL.contains(&port.text("type")) {
        let label = type_label(store, port.text("type"));
        return refuse("__all__", format!("Cables cannot be terminated to {label} interfaces"));
    }
    Ok(())
}

pub(super) fn cable_settled(cable: &mut Object) {
    if cable.value("length").is_null() {
        cable.values.insert("length_unit", Value::Null);
    }
}

/// Makes the ends of a cable what was written.
pub(super) fn ends_saved(
    store: &mut Store,
    asker: &Asker,
    cable: u64,
    parsed: &Parsed,
) -> Result<(), Refusal> {
    for (word, wanted) in ["A", "B"].into_iter().zip(&parsed.ends) {
        let Some(wanted) = wanted else { continue };
        let standing: Vec<Object> = store
            .referring(Kind::Cable, cable, Kind::CableTermination, "cable")
            .into_iter()
            .filter_map(|id| store.get(Kind::CableTermination, id).cloned())
            .filter(|end| end.text("cable_end") == word)
            .collect();
        for end in &standing {
            if end.id_of("termination_id").is_some_and(|id| !wanted.contains(&id)) {
                unplug(store, asker, end);
                let before = record_of(store, end);
                log(store, asker, Action::Delete, before, end, "");
                store.remove(Kind::CableTermination, end.id);
            }
        }
        for id in wanted {
            if !standing.iter().any(|end| end.id_of("termination_id") == Some(*id)) {
                plug(store, asker, cable, word, *id)?;
            }
        }
    }
    Ok(())
}

fn plug(
    store: &mut Store,
    asker: &Asker,
    cable: u64,
    word: &str,
    port: u64,
) -> Result<(), Refusal> {
    let taken = store.referring(Kind::Interface, port, Kind::CableTermination, "termination_id");
    if !taken.is_empty() {
        let number = Kind::Interface.type_id();
        return Err(Refusal::Clash {
            constraint: "dcim_cabletermination_unique_termination".to_owned(),
            detail: format!(
                "Key (termination_type_id, termination_id)=({number}, {port}) already exists."
            ),
        });
    }
    let mut values = initial(store, Kind::CableTermination);
    values.insert("cable", cable.into());
    values.insert("cable_end", word.into());
    values.insert("termination_type", Kind::Interface.type_id().into());
    values.insert("termination_id", port.into());
    make(store, asker, Kind::CableTermination, values);
    if let Some(mut port) = store.get(Kind::Interface, port).cloned() {
        port.values.insert("cable", cable.into());
        port.values.insert("cable_end", word.into());
        touch(store, asker, port);
    }
    Ok(())
}

/// The interface at an end, freed; none where it is gone.
fn freed(store: &Store, end: &Object) -> Option<Object> {
    let id = end.id_of("termination_id")?;
    let mut port = store.get(Kind::Interface, id)?.clone();
    port.values.insert("cable", Value::Null);
    port.values.insert("cable_end", "".into());
    Some(port)
}

fn unplug(store: &mut Store, asker: &Asker, end: &Object) {
    if let Some(port) = freed(store, end) {
        touch(store, asker, port);
    }
}

/// The interface at an end that goes is free again, without a word in the change log.
pub(super) fn end_gone(store: &mut Store, end: &Object) {
    if let Some(port) = freed(store, end) {
        store.put(port);
    }
}
