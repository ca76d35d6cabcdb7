//! Tables whose keys are words of the domain: fields with their owners, attributes
//! with those whom to believe.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::{List, Word, Worded};
use crate::domain::object::{Field, Kind};
use crate::domain::observation::{HostAttribute, InterfaceAttribute};
use crate::domain::settings::Owner;

/// Owners by field, or by kind and field. The latter is written `"device.name"` or
/// `device.name`; TOML reads these differently, people do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(pub(super) BTreeMap<(Option<Kind>, Field), Owner>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of fields and their owners")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<String>()? {
                    map.next_value_seed(Entry { key, fields: &mut fields.0 })?;
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The value behind one key: an owner, or a table of a kind's fields.
struct Entry<'a> {
    key: String,
    fields: &'a mut BTreeMap<(Option<Kind>, Field), Owner>,
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"cooperative\", \"fill-only\" or \"agent\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let Word(owner) = text.parse::<Word<Owner>>().map_err(E::custom)?;
        let (kind, field) = match self.key.split_once('.') {
            None => (None, self.key.as_str()),
            Some((kind, field)) => {
                let Word(kind) = kind.parse::<Word<Kind>>().map_err(E::custom)?;
                (Some(kind), field)
            }
        };
        let Word(field) = field.parse::<Word<Field>>().map_err(E::custom)?;
        self.fields.insert((kind, field), owner);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Word(kind) = self.key.parse::<Word<Kind>>().map_err(A::Error::custom)?;
        while let Some(Word(field)) = map.next_key::<Word<Field>>()? {
            let Word(owner) = map.next_value::<Word<Owner>>()?;
            self.fields.insert((Some(kind), field), owner);
        }
        Ok(())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for ((kind, field), owner) in &self.0 {
            let key = kind.map_or_else(|| field.to_string(), |kind| format!("{kind}.{field}"));
            map.serialize_entry(&key, owner.as_str())?;
        }
        map.end()
    }
}

impl JsonSchema for Fields {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = |words: Vec<&str>| words.join("|");
        let fields = words(Field::all().iter().map(|field| field.word()).collect());
        let kinds = words(Kind::all().iter().map(|kind| kind.word()).collect());
        let owner = Word::<Owner>::json_schema(generator);
        let of_a_kind = json_schema!({
            "type": "object",
            "patternProperties": { format!("^({fields})$"): owner },
            "additionalProperties": false,
        });
        json_schema!({
            "type": "object",
            "patternProperties": {
                format!("^({kinds})\\.({fields})$"): owner,
                format!("^({kinds}|{fields})$"): { "anyOf": [owner, of_a_kind] },
            },
            "additionalProperties": false,
        })
    }
}

/// Whom to believe, by attribute: positions and names of sources, most trusted first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranking {
    /// Attributes of hosts.
    pub(super) host: BTreeMap<HostAttribute, List<String>>,
    /// Attributes of interfaces; the table `interface`.
    pub(super) interface: BTreeMap<InterfaceAttribute, List<String>>,
}

/// A key of the ranking.
enum Ranked {
    Interface,
    Host(HostAttribute),
}

impl<'de> Deserialize<'de> for Ranked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == "interface" {
            return Ok(Ranked::Interface);
        }
        let Word(attribute) = key.parse::<Word<HostAttribute>>().map_err(D::Error::custom)?;
        Ok(Ranked::Host(attribute))
    }
}

impl<'de> Deserialize<'de> for Ranking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RankingVisitor;

        impl<'de> Visitor<'de> for RankingVisitor {
            type Value = Ranking;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of attributes and whom to believe")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ranking, A::Error> {
                let mut ranking = Ranking::default();
                while let Some(key) = map.next_key::<Ranked>()? {
                    match key {
                        Ranked::Host(attribute) => {
                            ranking.host.insert(attribute, map.next_value()?);
                        }
                        Ranked::Interface => {
                            let table: BTreeMap<Word<InterfaceAttribute>, _> = map.next_value()?;
                            ranking
                                .interface
                                .extend(table.into_iter().map(|(key, list)| (key.0, list)));
                        }
                    }
                }
                Ok(ranking)
            }
        }

        deserializer.deserialize_map(RankingVisitor)
    }
}

impl Serialize for Ranking {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (attribute, list) in &self.host {
            map.serialize_entry(attribute.as_str(), list)?;
        }
        let interface: BTreeMap<&str, _> =
            self.interface.iter().map(|(attribute, list)| (attribute.as_str(), list)).collect();
        if !interface.is_empty() {
            map.serialize_entry("interface", &interface)?;
        }
        map.end()
    }
}

impl JsonSchema for Ranking {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ranking".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let list = json_schema!({
            "type": "array",
            "description": "Positions (person, self, hypervisor, …) and names of sources, most trusted first.",
            "items": { "type": "string" },
        });
        let table = |words: Vec<&'static str>| -> serde_json::Map<String, serde_json::Value> {
            words.into_iter().map(|word| (word.to_owned(), list.clone().to_value())).collect()
        };
        let interface = table(InterfaceAttribute::ALL.iter().map(|word| word.as_str()).collect());
        let mut host = table(HostAttribute::ALL.iter().map(|word| word.as_str()).collect());
        host.insert(
            "interface".to_owned(),
            serde_json::json!({
                "type": "object",
                "description": "The same for the attributes of interfaces.",
                "properties": interface,
                "additionalProperties": false,
            }),
        );
        json_schema!({ "type": "object", "properties": host, "additionalProperties": false })
    }
}
