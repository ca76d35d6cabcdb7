//! The rules that a table cannot tell: what fields mean together, what follows
//! from saving an object, what follows from its end. One file per corner of NetBox.

mod addressing;
mod hosts;
mod machines;
mod marks;
mod ports;
mod services;

use super::changes::Asker;
use super::model::Kind;
use super::parse::Parsed;
use super::refusal::{Errors, Refusal, wrong};
use super::store::{Object, Store};
use super::version::Version;
use super::view::Choose;
use serde_json::Value;
use std::borrow::Cow;

/// What a rule says.
type Verdict = Result<(), Errors>;

/// Refuses with a message for a field, `__all__` for the object as a whole.
fn refuse(field: &str, what: impl Into<String>) -> Verdict {
    Err(wrong(field, what))
}

/// Puts what a client wrote into the form that the fields have, where a version takes another too.
pub(crate) fn translated<'a>(
    store: &Store,
    kind: Kind,
    old: Option<&Object>,
    data: &'a Value,
    choose: &Choose,
) -> Result<Cow<'a, Value>, Refusal> {
    match kind {
        Kind::Service if store.version >= Version::V4_7 => services::translated(old, data, choose),
        _ => Ok(Cow::Borrowed(data)),
    }
}

/// What a serializer says of the fields together.
pub(crate) fn together(
    store: &Store,
    kind: Kind,
    old: Option<&Object>,
    parsed: &Parsed,
) -> Verdict {
    match kind {
        Kind::Interface | Kind::VmInterface => ports::together(store, kind, old, parsed),
        Kind::CustomField => marks::together(old, parsed),
        _ => Ok(()),
    }
}

/// What the model says of the object.
pub(crate) fn clean(
    store: &Store,
    old: Option<&Object>,
    new: &mut Object,
    parsed: &Parsed,
) -> Verdict {
    match new.kind {
        Kind::CustomField => marks::custom_field(store, new),
        Kind::DeviceRole | Kind::Platform => hosts::tree(store, new),
        Kind::Location => hosts::location(store, new),
        Kind::Device => hosts::device(store, new),
        Kind::InventoryItem => hosts::item(store, old, new),
        Kind::Cluster => machines::cluster(store, new),
        Kind::VirtualMachine => machines::machine(store, old, new, parsed),
        Kind::Interface => ports::interface(store, new),
        Kind::VmInterface => ports::vm_interface(store, new),
        Kind::Cable => ports::cable(store, old, new, parsed),
        Kind::VlanGroup => addressing::vlan_group(store, new),
        Kind::Vlan => addressing::vlan(store, new),
        Kind::Prefix => addressing::prefix(store, new),
        Kind::IpRange => addressing::range(store, new),
        Kind::IpAddress => addressing::address(store, old, new),
        Kind::MacAddress => addressing::mac(store, old, new),
        Kind::Service => services::service(store, new),
        _ => Ok(()),
    }
}

/// What saving changes in the object itself.
pub(crate) fn settle(store: &Store, old: Option<&Object>, new: &mut Object, parsed: &Parsed) {
    match new.kind {
        Kind::Cluster | Kind::Prefix => addressing::scope_settled(store, new),
        Kind::Device => hosts::settled(store, old, new),
        Kind::VirtualMachine => machines::settled(store, new),
        Kind::Interface | Kind::VmInterface => ports::settled(old, new, parsed),
        Kind::IpAddress => addressing::settled(new),
        Kind::Cable => ports::cable_settled(new),
        _ => {}
    }
}

/// What saving an object changes elsewhere.
pub(crate) fn saved(
    store: &mut Store,
    asker: &Asker,
    kind: Kind,
    id: u64,
    old: Option<&Object>,
    parsed: &Parsed,
) -> Result<(), Refusal> {
    match kind {
        Kind::VirtualDisk => machines::disk_changed(store, id),
        Kind::Cable => ports::ends_saved(store, asker, id, parsed)?,
        Kind::Interface | Kind::VmInterface => {
            ports::mac_saved(store, asker, kind, id, parsed);
            if old.is_none() {
                ports::primary_taken(store, asker, kind, id);
            }
        }
        Kind::CustomField => marks::field_saved(store, id, old),
        Kind::Cluster => machines::site_follows(store, id),
        Kind::Location if old.is_some() => hosts::place_moved(store, id),
        _ => {}
    }
    Ok(())
}

/// What the end of an object changes elsewhere.
pub(crate) fn gone(store: &mut Store, object: &Object) {
    match object.kind {
        Kind::VirtualDisk => machines::disk_gone(store, object),
        Kind::CableTermination => ports::end_gone(store, object),
        _ => {}
    }
}

pub(crate) use marks::field_gone;
pub(crate) use services::single_protocol;
