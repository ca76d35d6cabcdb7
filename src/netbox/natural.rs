//! By what an object is known besides its id: how to ask NetBox for it, and whether
//! one that stands is the one that was to be made. Needed where a write ended in
//! doubt, where somebody else was first, and where NetBox lets twins be.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::row::Fields;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::Value;
use crate::domain::world::Live;

/// A question to a list: a filter with all values of which any may apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// The filter's name.
    pub filter: &'static str,
    /// The values, each once.
    pub values: BTreeSet<String>,
}

/// The questions whose answers hold every object that is the same as one of these.
pub(super) fn probes(kind: Kind, wanted: &[&Fields]) -> Vec<Probe> {
    let texts = |filter, field: Field| {
        let values = wanted.iter().filter_map(|fields| fields.get(&field)?.as_text());
        Probe { filter, values: values.map(str::to_owned).collect() }
    };
    let numbers = |filter, field: Field| {
        let values = wanted.iter().filter_map(|fields| fields.get(&field)?.as_int());
        Probe { filter, values: values.map(|number| number.to_string()).collect() }
    };
    let parents = |filter, field: Field, kind: Kind| {
        let refs = wanted.iter().filter_map(|fields| fields.get(&field)?.as_ref());
        let ids = refs.filter(|parent| parent.kind() == kind).filter_map(ObjectRef::live_id);
        Probe { filter, values: ids.map(|id| id.to_string()).collect() }
    };
    let bare = |filter, field: Field| {
        let values = wanted.iter().filter_map(|fields| host(fields.get(&field)?));
        Probe { filter, values: values.map(|ip| ip.to_string()).collect() }
    };
    let probes = match kind {
        Kind::CustomField | Kind::Vrf | Kind::Cluster => vec![texts("name", Field::Name)],
        Kind::DeviceType => vec![texts("slug", Field::Slug), texts("model", Field::Model)],
        Kind::Device | Kind::VirtualMachine => vec![texts("name__ie", Field::Name)],
        Kind::Interface | Kind::InventoryItem => {
            vec![parents("device_id", Field::Device, Kind::Device)]
        }
        Kind::VmInterface | Kind::VirtualDisk => {
            vec![parents("virtual_machine_id", Field::VirtualMachine, Kind::VirtualMachine)]
        }
        Kind::Service => vec![
            parents("device_id", Field::Parent, Kind::Device),
            parents("virtual_machine_id", Field::Parent, Kind::VirtualMachine),
        ],
        Kind::Vlan => vec![numbers("vid", Field::Vid)],
        Kind::Prefix => vec![texts("prefix", Field::Prefix)],
        Kind::IpRange => vec![bare("start_address", Field::StartAddress)],
        Kind::MacAddress => vec![texts("mac_address", Field::MacAddress)],
        Kind::IpAddress => vec![bare("address", Field::Address)],
        Kind::Cable => {
            let ends = wanted.iter().flat_map(|fields| ends(fields));
            let ids = ends.filter_map(|end| end.live_id().map(|id| id.to_string()));
            vec![Probe { filter: "interface_id", values: ids.collect() }]
        }
        _ => vec![texts("slug", Field::Slug), texts("name__ie", Field::Name)],
    };
    probes.into_iter().filter(|probe| !probe.values.is_empty()).collect()
}

/// Whether an object that stands is the one that was to be made with these fields.
pub(super) fn is_same(kind: Kind, wanted: &Fields, live: &Live) -> bool {
    let equal = |field: Field| value(wanted, field) == canonical(live.field(field));
    let alike = |field: Field| folded(wanted.get(&field)) == folded(live.fields.get(&field));
    let named = |field: Field| folded(wanted.get(&field)).is_some() && alike(field);
    let ip = |field: Field| {
        let wanted = wanted.get(&field).and_then(host);
        wanted.is_some() && wanted == host(live.field(field))
    };
    match kind {
        Kind::CustomField | Kind::Vrf => named(Field::Name),
        Kind::Cluster => named(Field::Name) && equal(Field::Site),
        Kind::Location => {
            equal(Field::Site) && equal(Field::Parent) && (named(Field::Slug) || named(Field::Name))
        }
        Kind::DeviceType => {
            equal(Field::Manufacturer) && (named(Field::Model) || named(Field::Slug))
        }
        Kind::Device => named(Field::Name) && equal(Field::Site) && equal(Field::Tenant),
        Kind::VirtualMachine => {
            let place = if value(wanted, Field::Cluster) == Value::Null {
                equal(Field::Cluster) && equal(Field::Site) && equal(Field::Device)
            } else {
                equal(Field::Cluster)
            };
            named(Field::Name) && place && equal(Field::Tenant)
        }
        Kind::Interface | Kind::InventoryItem => equal(Field::Device) && equal(Field::Name),
        Kind::VmInterface | Kind::VirtualDisk => equal(Field::VirtualMachine) && equal(Field::Name),
        Kind::Service => {
            equal(Field::Parent)
                && equal(Field::Name)
                && equal(Field::Protocol)
                && equal(Field::Ports)
        }
        Kind::Vlan => {
            let place = if value(wanted, Field::Group) == Value::Null {
                equal(Field::Group) && equal(Field::Site)
            } else {
                equal(Field::Group)
            };
            equal(Field::Vid) && place
        }
        Kind::Prefix => equal(Field::Prefix) && equal(Field::Vrf),
        Kind::IpRange => ip(Field::StartAddress) && ip(Field::EndAddress) && equal(Field::Vrf),
        Kind::MacAddress => equal(Field::MacAddress) && equal(Field::AssignedObject),
        Kind::IpAddress => ip(Field::Address) && equal(Field::Vrf),
        Kind::Cable => {
            let stands: BTreeSet<&ObjectRef> = ends(&live.fields).collect();
            let wanted: BTreeSet<&ObjectRef> = ends(wanted).collect();
            !wanted.is_empty() && wanted == stands
        }
        _ => named(Field::Slug) || named(Field::Name),
    }
}

/// Whether two objects are twins that should be one: the same, and in the same place.
/// Stricter than [`is_same`] where NetBox itself lets several be for good reasons.
pub(super) fn are_twins(kind: Kind, wanted: &Fields, live: &Live) -> bool {
    let placed = kind != Kind::IpAddress
        || value(wanted, Field::AssignedObject) == canonical(live.field(Field::AssignedObject));
    placed && is_same(kind, wanted, live)
}

/// Whether NetBox lets two of these stand, at least when both are made at once.
pub(super) fn may_have_twins(kind: Kind, fields: &Fields) -> bool {
    let blank = |field: Field| value(fields, field) == Value::Null;
    match kind {
        Kind::Vrf
        | Kind::VlanGroup
        | Kind::Cluster
        | Kind::Prefix
        | Kind::IpRange
        | Kind::InventoryItem
        | Kind::IpAddress
        | Kind::Service => true,
        // One that is on nothing is looked at again when it is put on something.
        Kind::MacAddress => !blank(Field::AssignedObject),
        Kind::Vlan => blank(Field::Group),
        Kind::VirtualMachine => blank(Field::Cluster),
        _ => false,
    }
}

fn value(fields: &Fields, field: Field) -> Value {
    fields.get(&field).map_or(Value::Null, canonical)
}

fn canonical(value: &Value) -> Value {
    if value.is_blank() { Value::Null } else { value.clone() }
}

fn folded(value: Option<&Value>) -> Option<String> {
    value?.as_text().map(str::to_lowercase)
}

/// An address without its mask.
fn host(value: &Value) -> Option<IpAddr> {
    value.as_text()?.split('/').next()?.parse().ok()
}

fn ends(fields: &Fields) -> impl Iterator<Item = &ObjectRef> {
    [Field::ATerminations, Field::BTerminations]
        .into_iter()
        .flat_map(|field| fields.get(&field).map(super::row::references).unwrap_or_default())
}
