//! What Home Assistant answers, as far as it is of use here. Its registries change with
//! every release: each field may be missing, new ones are passed over, a value of an
//! unexpected kind is no value. Coordinates are not read at all.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A text, or anything that can be written as one; none for everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(Option<String>);

impl Text {
    /// The text without blanks around it; none where nothing is left.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;

        impl<'de> Visitor<'de> for AnyText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(AnyText)
    }
}

/// A list, or nothing where something else stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        Ok(List(items.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect()))
    }
}

/// A pair such as `["mac", "00:1b:21:3c:4d:5e"]`. More than two parts belong to the second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub kind: String,
    pub value: String,
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Vec::<Text>::deserialize(deserializer)?;
        let parts: Vec<&str> = parts.iter().map(|part| part.get().unwrap_or_default()).collect();
        match parts.split_first() {
            Some((kind, rest)) if !rest.is_empty() => {
                Ok(Pair { kind: (*kind).to_owned(), value: rest.join("/") })
            }
            _ => Err(serde::de::Error::custom("expected a pair")),
        }
    }
}

/// A device of the registry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Device {
    pub id: Text,
    pub name: Text,
    pub name_by_user: Text,
    pub manufacturer: Text,
    pub model: Text,
    pub model_id: Text,
    pub sw_version: Text,
    pub hw_version: Text,
    pub serial_number: Text,
    pub configuration_url: Text,
    pub connections: List<Pair>,
    pub identifiers: List<Pair>,
    pub via_device_id: Text,
    pub area_id: Text,
    pub labels: List<Text>,
    pub disabled_by: Text,
    pub entry_type: Text,
    /// The config entries it belongs to; newer versions name the one in another field too.
    pub config_entries: List<Text>,
    pub config_entry_id: Text,
}

/// An entity of the registry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entity {
    pub entity_id: Text,
    pub device_id: Text,
    pub platform: Text,
    pub entity_category: Text,
    pub disabled_by: Text,
}

/// An area.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Area {
    pub area_id: Text,
    pub name: Text,
    pub floor_id: Text,
}

/// A floor.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Floor {
    pub floor_id: Text,
    pub name: Text,
}

/// A label.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Label {
    pub label_id: Text,
    pub name: Text,
}

/// A config entry: one configured integration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfigEntry {
    pub entry_id: Text,
    pub domain: Text,
}

/// The state of an entity.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub entity_id: Text,
    pub state: Text,
    pub attributes: Attributes,
}

/// The attributes of a tracker, and what a sensor measures. Where somebody is stays where
/// it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub device_class: Text,
    pub source_type: Text,
    pub ip: Text,
    pub mac: Text,
    pub host_name: Text,
    pub hostname: Text,
}

/// What Home Assistant says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub version: Text,
    state: Text,
    recovery_mode: bool,
    components: List<Text>,
}

impl Config {
    /// Whether it has not started whole yet.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state.get(), Some(state) if state != "RUNNING")
    }

    /// Whether it gave up its integrations to start at all.
    pub(super) fn is_recovering(&self) -> bool {
        self.recovery_mode
    }

    /// Whether an integration is set up.
    pub(super) fn has(&self, component: &str) -> bool {
        self.components.0.iter().any(|known| known.get() == Some(component))
    }
}

/// The answer to `network`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network {
    pub adapters: List<Adapter>,
}

/// A network adapter of the machine, or the container, that Home Assistant runs in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Adapter {
    pub name: Text,
    pub ipv4: List<AdapterAddress>,
    pub ipv6: List<AdapterAddress>,
}

/// An address of an adapter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct AdapterAddress {
    pub address: Text,
    pub network_prefix: Text,
}

/// The Supervisor's answer to `/network/info`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct HostNetwork {
    pub interfaces: List<HostInterface>,
}

/// An interface of the machine, as the Supervisor sees it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct HostInterface {
    pub interface: Text,
    #[serde(rename = "type")]
    pub kind: Text,
    pub mac: Text,
    pub primary: bool,
    pub ipv4: Option<HostAddresses>,
    pub ipv6: Option<HostAddresses>,
    pub vlan: Option<HostVlan>,
}

/// The addresses of one family.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct HostAddresses {
    pub method: Text,
    pub address: List<Text>,
    pub gateway: Text,
}

/// The VLAN that an interface is for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct HostVlan {
    pub id: Text,
    pub parent: Text,
}

/// The Supervisor's answer to `/host/info`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct HostInfo {
    pub hostname: Text,
    pub operating_system: Text,
    pub chassis: Text,
    pub virtualization: Text,
}

/// An event of `dhcp/subscribe_discovery`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Leases {
    pub add: List<Lease>,
}

/// A client that was seen to ask for an address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lease {
    pub mac_address: Text,
    pub ip_address: Text,
    pub hostname: Text,
}

/// A list of which some entries may be unreadable.
#[derive(Debug)]
pub(super) struct Entries<T> {
    pub read: Vec<T>,
    pub unreadable: usize,
}

/// Reads a list entry by entry, so that one that is wrong costs no other.
pub(super) fn entries<T: DeserializeOwned>(raw: &RawValue) -> Result<Entries<T>, String> {
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| "its answer is no list".to_owned())?;
    let mut entries = Entries { read: Vec::with_capacity(items.len()), unreadable: 0 };
    for item in items {
        // A list would be read as an object without its keys.
        let object = Some(item.get()).filter(|text| text.starts_with('{'));
        match object.and_then(|text| serde_json::from_str(text).ok()) {
            Some(entry) => entries.read.push(entry),
            None => entries.unreadable += 1,
        }
    }
    Ok(entries)
}

impl List<Text> {
    /// The texts that are there.
    pub(super) fn texts(&self) -> BTreeSet<&str> {
        self.0.iter().filter_map(Text::get).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_kind_than_expected_is_no_value() {
        let device: Device = serde_json::from_str(
            r#"{"id":"a","name":null,"model":7,"sw_version":{"a":[1]},"manufacturer":["x"],
                "connections":[["mac","00:1b:21:00:00:01"],["mac"],"mac",null,["x",1,2]],
                "identifiers":{"no":"list"},"labels":[1,null,"b"],"new_field":[{}]}"#,
        )
        .unwrap();
        assert_eq!((device.id.get(), device.name.get()), (Some("a"), None));
        assert_eq!((device.model.get(), device.sw_version.get()), (Some("7"), None));
        let pairs: Vec<(&str, &str)> =
            device.connections.0.iter().map(|p| (p.kind.as_str(), p.value.as_str())).collect();
        assert_eq!(pairs, [("mac", "00:1b:21:00:00:01"), ("x", "1/2")]);
        assert!(device.identifiers.0.is_empty());
        assert_eq!(device.labels.texts(), ["1", "b"].into());
    }

    #[test]
    fn one_wrong_entry_costs_no_other() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"[{"id":"a"},"no",{"id":"b"},[1]]"#).unwrap();
        let read: Entries<Device> = entries(&raw).unwrap();
        assert_eq!((read.read.len(), read.unreadable), (2, 2));
        let raw: Box<RawValue> = serde_json::from_str("{}").unwrap();
        assert!(entries::<Device>(&raw).is_err());
    }
}
