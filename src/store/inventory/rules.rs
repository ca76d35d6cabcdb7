//! What may stand: the rules that a NetBox keeps and that a plan can break.
//!
//! What is only a matter of form (lengths, choices, fields that a kind does not
//! have) is left to whoever made the plan.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::json;

use super::shelf::{Fields, Link, Shelf, references};
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::Value;
use crate::domain::world::Live;

/// Why an object was not written.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It may not stand so.
    Rule(String),
    /// The store failed; nothing else can be written either.
    Store(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Refusal::Store(error)
    }
}

fn rule<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Rule(reason.into()))
}

/// Puts a new object in.
pub(super) fn create(shelf: Shelf<'_>, kind: Kind, fields: &Fields) -> Result<u64, Refusal> {
    for field in required(kind) {
        if fields.get(field).is_none_or(Value::is_blank) {
            return rule(format!("its {field} is missing"));
        }
    }
    judge(shelf, kind, None, fields, fields)?;
    let identity = identity(kind, fields);
    Ok(shelf.insert(kind, fields, identity.as_deref())?)
}

/// Changes some fields of an object that stands.
pub(super) fn update(shelf: Shelf<'_>, before: &Live, written: &Fields) -> Result<(), Refusal> {
    let (kind, id) = (before.kind, before.id);
    let mut after = before.fields.clone();
    for (field, value) in written.iter() {
        after.insert(*field, value.clone());
    }
    for field in required(kind) {
        if written.get(field).is_some_and(Value::is_blank) {
            return rule(format!("its {field} is missing"));
        }
    }
    if written.contains(&Field::AssignedObject) {
        moves(shelf, before, &after)?;
    }
    judge(shelf, kind, Some(id), &after, written)?;
    let identity = identity(kind, &after);
    shelf.put(kind, id, &after, identity.as_deref())?;
    Ok(())
}

/// Takes an object away, and with it what is a part of it. What merely refers to
/// it is emptied; what cannot be without it keeps it.
pub(super) fn delete(shelf: Shelf<'_>, kind: Kind, id: u64) -> Result<(), Refusal> {
    delete_within(shelf, kind, id, &mut BTreeSet::new())
}

fn delete_within(
    shelf: Shelf<'_>,
    kind: Kind,
    id: u64,
    going: &mut BTreeSet<(Kind, u64)>,
) -> Result<(), Refusal> {
    if !going.insert((kind, id)) {
        return Ok(());
    }
    for link in shelf.links_to(kind, id)? {
        if going.contains(&(link.kind, link.id)) {
            continue;
        }
        match on_delete(link) {
            OnDelete::Part => delete_within(shelf, link.kind, link.id, going)?,
            OnDelete::Clear => clear(shelf, link, kind, id, Shelf::put_quietly)?,
            OnDelete::Protect => {
                let name = shelf
                    .get(link.kind, link.id)?
                    .map(|live| live.name().to_owned())
                    .unwrap_or_default();
                let label = link.kind.label();
                return rule(format!("{label} {} ({name}) still refers to it", link.id));
            }
        }
    }
    shelf.remove(kind, id)?;
    Ok(())
}

/// Takes a reference out of a field of another object.
/// Written with a new stamp where the agent asks for it, quietly where it follows from a deletion.
pub(super) fn clear<'s>(
    shelf: Shelf<'s>,
    link: Link,
    kind: Kind,
    id: u64,
    put: impl FnOnce(Shelf<'s>, Kind, u64, &Fields, Option<&str>) -> rusqlite::Result<()>,
) -> Result<(), Refusal> {
    let Some(holder) = shelf.get(link.kind, link.id)? else {
        return Ok(());
    };
    let gone = ObjectRef::Live(kind, id);
    let left = match holder.field(link.field) {
        Value::Ref(reference) if *reference == gone => Value::Null,
        Value::Refs(all) => Value::Refs(all.iter().filter(|one| **one != gone).cloned().collect()),
        other => other.clone(),
    };
    let mut after = holder.fields;
    after.insert(link.field, left);
    let identity = identity(link.kind, &after);
    put(shelf, link.kind, link.id, &after, identity.as_deref())?;
    Ok(())
}

/// What becomes of an object when the one that its field refers to is deleted.
enum OnDelete {
    /// It is a part of the other and goes with it.
    Part,
    /// The field becomes empty.
    Clear,
    /// The other may not go.
    Protect,
}

fn on_delete(link: Link) -> OnDelete {
    let is_interface = matches!(link.kind, Kind::Interface | Kind::VmInterface);
    match link.field {
        Field::VirtualMachine
        | Field::AssignedObject
        | Field::ATerminations
        | Field::BTerminations => OnDelete::Part,
        Field::Device if link.kind != Kind::VirtualMachine => OnDelete::Part,
        Field::Parent if link.kind == Kind::Service => OnDelete::Part,
        Field::Parent if is_interface => OnDelete::Clear,
        Field::Cluster if link.kind == Kind::Device => OnDelete::Clear,
        Field::PrimaryIp4
        | Field::PrimaryIp6
        | Field::PrimaryMac
        | Field::Bridge
        | Field::Lag
        | Field::UntaggedVlan
        | Field::TaggedVlans
        | Field::Tags
        | Field::Platform
        | Field::Via => OnDelete::Clear,
        _ => OnDelete::Protect,
    }
}

/// The fields without which an object of a kind cannot be.
fn required(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::DeviceType => &[Field::Model],
        Kind::Vlan => &[Field::Vid],
        Kind::Prefix => &[Field::Prefix],
        Kind::IpRange => &[Field::StartAddress, Field::EndAddress],
        // NetBox takes devices without a name.
        Kind::Device => &[],
        Kind::Interface | Kind::InventoryItem => &[Field::Device, Field::Name],
        Kind::VmInterface | Kind::VirtualDisk => &[Field::VirtualMachine, Field::Name],
        Kind::MacAddress => &[Field::MacAddress],
        Kind::IpAddress => &[Field::Address],
        Kind::Cable => &[Field::ATerminations, Field::BTerminations],
        _ => &[Field::Name],
    }
}

/// What must be unique among the objects of a kind; none where nothing must.
fn identity(kind: Kind, fields: &Fields) -> Option<String> {
    let text = |field| fields.get(&field).and_then(Value::as_text);
    let other =
        |field: Field| fields.get(&field).and_then(Value::as_ref).and_then(ObjectRef::live_id);
    let parts = match kind {
        Kind::Tag
        | Kind::CustomField
        | Kind::Manufacturer
        | Kind::DeviceRole
        | Kind::ClusterType
        | Kind::Tenant
        | Kind::Platform
        | Kind::Site => json!([text(Field::Name)?]),
        Kind::Location => json!([text(Field::Name)?, other(Field::Site), other(Field::Parent)]),
        Kind::DeviceType => json!([text(Field::Model)?, other(Field::Manufacturer)]),
        Kind::Cluster | Kind::VlanGroup => json!([text(Field::Name)?, other(Field::Site)]),
        Kind::Vlan => {
            json!([fields.get(&Field::Vid).and_then(Value::as_int)?, other(Field::Group)?])
        }
        Kind::Prefix => json!([text(Field::Prefix)?, other(Field::Vrf)]),
        Kind::IpRange => {
            json!([text(Field::StartAddress)?, text(Field::EndAddress)?, other(Field::Vrf)])
        }
        Kind::Device => {
            json!([text(Field::Name)?.to_lowercase(), other(Field::Site), other(Field::Tenant)])
        }
        Kind::VirtualMachine => {
            json!([text(Field::Name)?.to_lowercase(), other(Field::Cluster), other(Field::Tenant)])
        }
        Kind::Interface => json!([text(Field::Name)?, other(Field::Device)]),
        Kind::VmInterface | Kind::VirtualDisk => {
            json!([text(Field::Name)?, other(Field::VirtualMachine)])
        }
        Kind::IpAddress if !text(Field::Role).is_some_and(is_shared_role) => {
            json!([host_of(text(Field::Address)?)?, other(Field::Vrf)])
        }
        Kind::IpAddress
        | Kind::Vrf
        | Kind::InventoryItem
        | Kind::MacAddress
        | Kind::Service
        | Kind::Cable => return None,
    };
    Some(parts.to_string())
}

/// Roles of addresses that several interfaces may have at once.
fn is_shared_role(role: &str) -> bool {
    matches!(role, "anycast" | "vip" | "vrrp" | "hsrp" | "glbp" | "carp")
}

fn network_of(address: &str) -> Option<IpNet> {
    address.parse().ok().or_else(|| address.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The address without the length of its prefix: 10.0.0.1/24 and 10.0.0.1/32 are one.
fn host_of(address: &str) -> Option<IpAddr> {
    network_of(address).map(|net| net.addr())
}

/// Whether an object may stand with these fields, of which some were written now.
fn judge(
    shelf: Shelf<'_>,
    kind: Kind,
    id: Option<u64>,
    fields: &Fields,
    written: &Fields,
) -> Result<(), Refusal> {
    for (field, value) in written.iter() {
        for reference in references(value) {
            let stands = match reference {
                ObjectRef::Live(kind, id) => shelf.get(*kind, *id)?.is_some(),
                ObjectRef::Planned(..) => false,
            };
            if !stands {
                return rule(format!("its {field} would be {reference}, which does not stand"));
            }
        }
    }
    if let Some(identity) = identity(kind, fields)
        && let Some(other) = shelf.find(kind, &identity)?
        && Some(other) != id
    {
        let label = kind.label();
        return rule(format!("{label} {other} is the same one already: {identity}"));
    }
    if kind == Kind::IpAddress {
        assignable(fields)?;
    }
    primaries(shelf, kind, id, written)
}

/// The address of a network or of its broadcast is nobody's.
fn assignable(fields: &Fields) -> Result<(), Refusal> {
    let text = fields.get(&Field::Address).and_then(Value::as_text);
    let text = text.unwrap_or_default();
    let Some(net) = network_of(text) else {
        return rule(format!("`{text}` is no address"));
    };
    let assigned = fields.get(&Field::AssignedObject).is_some_and(|value| !value.is_blank());
    let narrow = net.max_prefix_len() - net.prefix_len() < 2;
    if !assigned || narrow {
        return Ok(());
    }
    if net.addr() == net.network() {
        return rule(format!("{text} is a network, which no interface can have"));
    }
    if matches!(net, IpNet::V4(_)) && net.addr() == net.broadcast() {
        return rule(format!("{text} is a broadcast, which no interface can have"));
    }
    Ok(())
}

/// A primary address is one that the object has.
fn primaries(
    shelf: Shelf<'_>,
    kind: Kind,
    id: Option<u64>,
    written: &Fields,
) -> Result<(), Refusal> {
    for field in [Field::PrimaryIp4, Field::PrimaryIp6, Field::PrimaryMac] {
        let Some(Value::Ref(ObjectRef::Live(of, target))) = written.get(&field) else {
            continue;
        };
        let Some(address) = shelf.get(*of, *target)? else {
            continue;
        };
        let seat = assigned_to(shelf, &address)?;
        let owner = match field {
            Field::PrimaryMac => seat.map(|interface| (interface.kind, interface.id)),
            _ => seat.and_then(|interface| host(&interface)),
        };
        if id.is_none() || owner != id.map(|id| (kind, id)) {
            return rule(format!(
                "its {field} would be {}, which it does not have",
                address.name()
            ));
        }
        let version = host_of(address.name());
        let wrong = match field {
            Field::PrimaryIp4 => !version.is_some_and(|ip| ip.is_ipv4()),
            Field::PrimaryIp6 => !version.is_some_and(|ip| ip.is_ipv6()),
            _ => false,
        };
        if wrong {
            return rule(format!(
                "its {field} would be {}, which is of the other version",
                address.name()
            ));
        }
    }
    Ok(())
}

/// An address that is somebody's primary one stays with that one.
fn moves(shelf: Shelf<'_>, before: &Live, after: &Fields) -> Result<(), Refusal> {
    let moved = Live { fields: after.clone(), ..before.clone() };
    let seat = assigned_to(shelf, &moved)?;
    for link in shelf.links_to(before.kind, before.id)? {
        let owner = match link.field {
            Field::PrimaryIp4 | Field::PrimaryIp6 => seat.as_ref().and_then(host),
            Field::PrimaryMac => seat.as_ref().map(|interface| (interface.kind, interface.id)),
            _ => continue,
        };
        if owner != Some((link.kind, link.id)) {
            let (label, id) = (link.kind.label(), link.id);
            return rule(format!("it cannot move while it is the {} of {label} {id}", link.field));
        }
    }
    Ok(())
}

/// The interface that an address is assigned to.
fn assigned_to(shelf: Shelf<'_>, address: &Live) -> Result<Option<Live>, Refusal> {
    match address.field(Field::AssignedObject) {
        Value::Ref(ObjectRef::Live(kind, id)) => Ok(shelf.get(*kind, *id)?),
        _ => Ok(None),
    }
}

/// The device or virtual machine that an interface belongs to.
fn host(interface: &Live) -> Option<(Kind, u64)> {
    let device = interface.referenced(Field::Device);
    let machine = interface.referenced(Field::VirtualMachine);
    device.map(|id| (Kind::Device, id)).or_else(|| machine.map(|id| (Kind::VirtualMachine, id)))
}
