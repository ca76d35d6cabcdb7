//! Services.

use super::{Verdict, refuse};
use crate::netbox::model::Kind;
use crate::netbox::python;
use crate::netbox::refusal::{Refusal, wrong};
use crate::netbox::store::{Object, Store};
use crate::netbox::version::Version;
use crate::netbox::view::Choose;
use serde_json::Value;
use std::borrow::Cow;

/// The one protocol of a service and its ports, where it has only one.
pub(crate) fn single_protocol(mappings: &[Value]) -> Option<(&str, Vec<i64>)> {
    let mut protocol = None;
    let mut ports = Vec::new();
    for mapping in mappings {
        let (word, port) = mapping.as_str()?.split_once('/')?;
        if *protocol.get_or_insert(word) != word {
            return None;
        }
        ports.push(port.parse().ok()?);
    }
    ports.sort_unstable();
    Some((protocol?, ports))
}

/// Since 4.7 a protocol with its ports is taken as mappings, which then count even where
/// the request restricts itself to fields that these are not among.
pub(super) fn translated<'a>(
    old: Option<&Object>,
    data: &'a Value,
    choose: &Choose,
) -> Result<Cow<'a, Value>, Refusal> {
    let Some(given) = data.as_object() else {
        return Ok(Cow::Borrowed(data));
    };
    let taken = |field: &str| given.get(field).filter(|_| choose.takes(Kind::Service, field));
    let told = |field: &str| taken(field).filter(|value| !value.is_null());
    let (protocol, ports) = (told("protocol"), told("ports"));
    if (protocol.is_none() && ports.is_none()) || taken("port_mappings").is_some() {
        let mut given = given.clone();
        given.retain(|field, _| field != "port_mappings" || choose.takes(Kind::Service, field));
        return Ok(Cow::Owned(Value::Object(given)));
    }
    let refuse = |field: &str, what: String| Err(Refusal::Invalid(wrong(field, what)));
    if ports.and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return refuse("ports", "At least one port mapping is required.".to_owned());
    }
    let standing = old.and_then(|old| single_protocol(old.list("port_mappings")));
    let protocol = protocol.map(python::plain).or_else(|| Some(standing.as_ref()?.0.to_owned()));
    let ports: Option<Vec<String>> = match ports {
        Some(ports) => ports.as_array().map(|ports| ports.iter().map(python::plain).collect()),
        None => standing.map(|(_, ports)| ports.iter().map(i64::to_string).collect()),
    };
    let (Some(protocol), Some(ports)) = (protocol, ports) else {
        return refuse("non_field_errors", "Both 'protocol' and 'ports' are required when writing via the deprecated legacy format; use port_mappings instead.".to_owned());
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return refuse("protocol", format!("{protocol} is not a valid choice."));
    }
    let mappings: Value = ports.iter().map(|port| format!("{protocol}/{port}")).collect();
    let mut given = given.clone();
    given.insert("port_mappings".to_owned(), mappings);
    Ok(Cow::Owned(Value::Object(given)))
}

pub(super) fn service(store: &Store, service: &mut Object) -> Verdict {
    if store.version < Version::V4_7 && service.text("protocol").is_empty() {
        return refuse("protocol", "This field cannot be blank.");
    }
    if store.version < Version::V4_4 {
        let has = |field: &str| !service.value(field).is_null();
        return match (has("device"), has("virtual_machine")) {
            (true, true) => refuse(
                "__all__",
                "A service cannot be associated with both a device and a virtual machine.",
            ),
            (false, false) => refuse(
                "__all__",
                "A service must be associated with either a device or a virtual machine.",
            ),
            _ => Ok(()),
        };
    }
    let parent = Kind::of_label(service.text("parent_object_type"));
    let id = service.id_of("parent_object_id").unwrap_or(0);
    if parent.is_none_or(|kind| store.get(kind, id).is_none()) {
        return refuse(
            "parent_object_id",
            format!("Related object not found using the provided value: {id}."),
        );
    }
    if store.version < Version::V4_7 {
        return Ok(());
    }
    match mappings(service.list("port_mappings")) {
        Ok(mappings) => {
            service.values.insert("port_mappings", mappings);
            Ok(())
        }
        Err(what) => refuse("port_mappings", what),
    }
}

/// Mappings in their usual form.
fn mappings(given: &[Value]) -> Result<Value, String> {
    let mut seen: Vec<String> = Vec::new();
    for mapping in given {
        let mapping = mapping.as_str().unwrap_or("");
        let Some((protocol, port)) = mapping.split_once('/') else {
            return Err(format!(
                "Invalid port mapping '{mapping}'. Expected format protocol/port (e.g. tcp/80)."
            ));
        };
        let word = protocol.to_lowercase();
        if !matches!(word.as_str(), "tcp" | "udp" | "sctp") {
            return Err(format!("Invalid protocol: {protocol}"));
        }
        let Ok(number) = port.parse::<i64>() else {
            return Err(format!("Invalid port number: {port}"));
        };
        if !(1..=65535).contains(&number) {
            return Err(format!("Port {number} is not within the permitted range (1-65535)."));
        }
        let usual = format!("{word}/{number}");
        if seen.contains(&usual) {
            return Err(format!("Duplicate port mapping: {mapping}"));
        }
        seen.push(usual);
    }
    if seen.is_empty() {
        return Err("At least one port mapping is required.".to_owned());
    }
    Ok(seen.into())
}
