//! What NetBox calls an object: the `display` of its answers, the name in its
//! change log and in its refusals.

use crate::netbox::addresses;
use crate::netbox::model::Kind;
use crate::netbox::store::{Object, Store};
use crate::netbox::version::Version;

/// The name of an object.
pub(crate) fn display(store: &Store, object: &Object) -> String {
    let name = object.text("name");
    match object.kind {
        Kind::CustomField => match object.text("label") {
            "" => capitalized(&name.replace('_', " ")),
            label => label.to_owned(),
        },
        Kind::Vrf => match object.text("rd") {
            "" => name.to_owned(),
            rd => format!("{name} ({rd})"),
        },
        Kind::DeviceType => object.text("model").to_owned(),
        Kind::Device => device(store, object),
        Kind::Vlan => format!("{name} ({})", object.value("vid")),
        Kind::Prefix => object.text("prefix").to_owned(),
        Kind::IpRange => addresses::range_name(object),
        Kind::Interface if !object.text("label").is_empty() => {
            format!("{name} ({})", object.text("label"))
        }
        Kind::InventoryItem if !object.text("label").is_empty() => {
            format!("{name} ({})", object.text("label"))
        }
        Kind::MacAddress => object.text("mac_address").to_owned(),
        Kind::IpAddress => object.text("address").to_owned(),
        Kind::Service if store.version < Version::V4_7 => {
            let ports = object.list("ports").iter().filter_map(serde_json::Value::as_i64);
            let protocol = object.text("protocol").to_uppercase();
            format!("{name} ({protocol}/{})", port_list(ports.collect()))
        }
        Kind::Cable => match object.text("label") {
            "" => format!("#{}", object.id),
            label => label.to_owned(),
        },
        Kind::CableTermination => {
            let of = |kind: Kind, field: &str| {
                let found = object.id_of(field).and_then(|id| store.get(kind, id));
                found.map_or_else(String::new, |found| display(store, found))
            };
            let (cable, port) = (of(Kind::Cable, "cable"), of(Kind::Interface, "termination_id"));
            format!("Cable {cable} to {port}")
        }
        _ => name.to_owned(),
    }
}

fn device(store: &Store, device: &Object) -> String {
    let (name, tag) = (device.text("name"), device.text("asset_tag"));
    if !name.is_empty() {
        return if tag.is_empty() { name.to_owned() } else { format!("{name} ({tag})") };
    }
    let model = device.id_of("device_type").and_then(|id| store.get(Kind::DeviceType, id));
    let maker = model
        .and_then(|model| model.id_of("manufacturer"))
        .and_then(|id| store.get(Kind::Manufacturer, id));
    let what = format!(
        "{} {}",
        maker.map_or("", |maker| maker.text("name")),
        model.map_or("", |model| model.text("model"))
    );
    if tag.is_empty() { format!("{what} ({})", device.id) } else { format!("{what} ({tag})") }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

/// Ports in words: runs of them with a dash, separated by commas.
fn port_list(mut ports: Vec<i64>) -> String {
    ports.sort_unstable();
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for port in ports {
        match runs.last_mut() {
            Some((_, last)) if port <= *last + 1 => *last = port,
            _ => runs.push((port, port)),
        }
    }
    let words: Vec<String> = runs
        .into_iter()
        .map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            },
        )
        .collect();
    words.join(", ")
}
