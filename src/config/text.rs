//! Values of the domain as they stand in a file: texts that are read, and words
//! out of a list.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::domain::object::{Field, Kind};
use crate::domain::observation::{Authority, HostAttribute, InterfaceAttribute};
use crate::domain::rules::Target;
use crate::domain::settings::{Deletion, Limit, Owner, Share, Standing};
use crate::suggest::did_you_mean;

/// A value that is written as a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
        text.parse().map(Text).map_err(E::custom)
    }
}

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<T> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// One line of text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label(pub(super) std::sync::Arc<str>);

/// A text that is empty, or longer than NetBox keeps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one line of text with 1 to 100 characters")]
pub(super) struct NotALabel;

impl FromStr for Label {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, NotALabel> {
        let trimmed = text.trim();
        match crate::domain::name::visible(trimmed, 100) {
            clean if clean == trimmed && !clean.is_empty() => Ok(Label(clean.into())),
            _ => Err(NotALabel),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where something is on the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Web(pub(super) Url);

/// A text that is no such place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as https://netbox.example.org or http://127.0.0.1:8000")]
pub(super) struct NotWeb;

impl FromStr for Web {
    type Err = NotWeb;

    fn from_str(text: &str) -> Result<Self, NotWeb> {
        let url: Url = text.trim().parse().map_err(|_| NotWeb)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web.then_some(Web(url)).ok_or(NotWeb)
    }
}

impl fmt::Display for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A list. A text with commas is a list as well, because an environment variable
/// cannot be anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list in square brackets")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(List(list))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<List<T>, E> {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let parts =
                    parts.map(|part| T::deserialize(serde::de::value::StrDeserializer::new(part)));
                parts.collect::<Result<_, E>>().map(List)
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("List_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

/// An enum of the domain whose variants are words.
pub(super) trait Worded: Copy + 'static {
    /// What a person calls it.
    const WHAT: &'static str;

    fn all() -> &'static [Self];
    fn word(self) -> &'static str;
}

macro_rules! worded {
    ($($name:ident = $what:literal),+ $(,)?) => {
        $(impl Worded for $name {
            const WHAT: &'static str = $what;

            fn all() -> &'static [Self] {
                $name::ALL
            }

            fn word(self) -> &'static str {
                self.as_str()
            }
        })+
    };
}

worded!(
    Authority = "position",
    Deletion = "deletion policy",
    Field = "field",
    HostAttribute = "attribute of a host",
    InterfaceAttribute = "attribute of an interface",
    Kind = "kind of object",
    Owner = "ownership policy",
    Standing = "way to keep a host",
    Target = "kind of thing",
);

/// A word out of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word<T>(pub(super) T);

impl<T: Worded> FromStr for Word<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = || T::all().iter().map(|word| word.word());
        T::all().iter().find(|known| known.word() == text).copied().map(Word).ok_or_else(|| {
            let text = crate::domain::name::visible(text, 60);
            let tip = match did_you_mean(&text, words()) {
                none if none.is_empty() => {
                    format!("; use one of {}", words().collect::<Vec<_>>().join(", "))
                }
                tip => tip,
            };
            format!("unknown {} `{text}`{tip}", T::WHAT)
        })
    }
}

impl<'de, T: Worded> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::<Word<T>>::deserialize(deserializer).map(|text| text.0)
    }
}

impl<T: Worded> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<T: Worded> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::WHAT.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = T::all().iter().map(|word| word.word()).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

/// A limit as it stands in a file: `10`, `"20%"`, `{ count = 10, share = "20%" }`, `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitText(pub(super) Limit);

const LIMIT: &str =
    "a number, a share such as \"20%\", { count = 10, share = \"20%\" } or \"unlimited\"";

fn share(text: &str) -> Option<Share> {
    let percent: f64 = text.trim().strip_suffix('%')?.trim().parse().ok()?;
    (0.0..=100.0).contains(&percent).then(|| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 10,000"
        )]
        Share((percent * 100.0).round() as u32)
    })
}

impl<'de> Deserialize<'de> for LimitText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LimitVisitor;

        impl<'de> Visitor<'de> for LimitVisitor {
            type Value = LimitText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(LIMIT)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<LimitText, E> {
                let count = u64::try_from(number);
                let count = count.map_err(|_| E::custom("a limit cannot be below zero"))?;
                self.visit_u64(count)
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<LimitText, E> {
                Ok(LimitText(Limit { count: Some(count), share: None }))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LimitText, E> {
                if text == "unlimited" {
                    return Ok(LimitText(Limit::NONE));
                }
                if let Ok(count) = text.parse() {
                    return self.visit_u64(count);
                }
                match share(text) {
                    Some(share) => Ok(LimitText(Limit { count: None, share: Some(share) })),
                    None => Err(E::custom(format_args!("expected {LIMIT}"))),
                }
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<LimitText, A::Error> {
                let both = Both::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let part = both.share.as_deref().map(|text| {
                    share(text).ok_or_else(|| A::Error::custom("expected a share such as \"20%\""))
                });
                Ok(LimitText(Limit { count: both.count, share: part.transpose()? }))
            }
        }

        deserializer.deserialize_any(LimitVisitor)
    }
}

/// A limit with both bounds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Both {
    count: Option<u64>,
    share: Option<String>,
}

impl Serialize for LimitText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match (self.0.count, self.0.share) {
            (None, None) => serializer.serialize_str("unlimited"),
            (Some(count), None) => serializer.serialize_u64(count),
            (None, Some(share)) => serializer.collect_str(&share),
            (Some(count), Some(share)) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("count", &count)?;
                map.serialize_entry("share", &share.to_string())?;
                map.end()
            }
        }
    }
}

impl JsonSchema for LimitText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let share = json_schema!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$" });
        json_schema!({
            "description": format!("An upper bound: {LIMIT}. Of both, only what exceeds both is too much."),
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                share,
                { "const": "unlimited" },
                {
                    "type": "object",
                    "properties": {
                        "count": { "type": "integer", "minimum": 0 },
                        "share": share,
                    },
                    "additionalProperties": false,
                },
            ],
        })
    }
}
