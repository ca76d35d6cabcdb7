//! The values that facts and fields hold, and a small sorted map for them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A decimal with two places, as NetBox keeps `vcpus`. Stored in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub i64);

/// A text that is not a decimal number with at most two places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a decimal number with at most two places")]
pub struct NotADecimal(pub String);

impl Decimal {
    /// A whole number.
    #[must_use]
    pub const fn whole(number: i64) -> Self {
        Decimal(number.saturating_mul(100))
    }

    /// The number nearest to a float, rounded to hundredths; none for what is not finite.
    #[must_use]
    pub fn nearest(number: f64) -> Option<Self> {
        let hundredths = (number * 100.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked on this line")]
        (hundredths.abs() < 9.0e15).then_some(Decimal(hundredths as i64))
    }

    /// The number as a float.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "two places of a small number are exact enough")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 100, self.0.unsigned_abs() % 100);
        match rest {
            0 => write!(f, "{sign}{whole}"),
            tenths if tenths % 10 == 0 => write!(f, "{sign}{whole}.{}", tenths / 10),
            hundredths => write!(f, "{sign}{whole}.{hundredths:02}"),
        }
    }
}

impl FromStr for Decimal {
    type Err = NotADecimal;

    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        text.trim()
            .parse::<f64>()
            .ok()
            .and_then(Decimal::nearest)
            .ok_or_else(|| NotADecimal(text.to_owned()))
    }
}

/// One value: of a fact that a source stated, or of a field in NetBox.
///
/// Equality is meant literally: two values are equal when writing the one over
/// the other would change nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Stated to be empty. Not the same as unknown, which is no value at all.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number, in the unit that its attribute or field names.
    Int(i64),
    /// A number with two places.
    Decimal(Decimal),
    /// A text; a choice is the text of its API value.
    Text(Arc<str>),
    /// Several texts without order.
    Words(BTreeSet<Arc<str>>),
    /// Several whole numbers without order, such as ports or VLAN ids.
    Ints(BTreeSet<i64>),
    /// A reference to another object.
    Ref(super::object::ObjectRef),
    /// Several references without order.
    Refs(BTreeSet<super::object::ObjectRef>),
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::Text(text.as_ref().into())
    }

    /// A set of texts.
    pub fn words<I, S>(words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        Value::Words(words.into_iter().map(|word| word.as_ref().into()).collect())
    }

    /// Whether there is nothing in it: null, an empty text, an empty set.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::Words(words) => words.is_empty(),
            Value::Ints(numbers) => numbers.is_empty(),
            Value::Refs(refs) => refs.is_empty(),
            Value::Bool(_) | Value::Int(_) | Value::Decimal(_) | Value::Ref(_) => false,
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, where it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The yes or no, where it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(yes) => Some(*yes),
            _ => None,
        }
    }

    /// The reference, where it is one.
    #[must_use]
    pub fn as_ref(&self) -> Option<&super::object::ObjectRef> {
        match self {
            Value::Ref(reference) => Some(reference),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// As a person reads it; `-` is nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn joined<T: fmt::Display>(
            f: &mut fmt::Formatter<'_>,
            items: impl Iterator<Item = T>,
        ) -> fmt::Result {
            for (index, item) in items.enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                write!(f, "{item}")?;
            }
            Ok(())
        }
        match self {
            blank if blank.is_blank() => f.write_str("-"),
            Value::Null => f.write_str("-"),
            Value::Bool(yes) => write!(f, "{yes}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Decimal(number) => write!(f, "{number}"),
            Value::Text(text) => f.write_str(text),
            Value::Words(words) => joined(f, words.iter()),
            Value::Ints(numbers) => joined(f, numbers.iter()),
            Value::Ref(reference) => write!(f, "{reference}"),
            Value::Refs(refs) => joined(f, refs.iter()),
        }
    }
}

/// A map of few entries kept as a sorted vector: a tenth of a `BTreeMap`'s memory
/// where there are a hundred thousand of them, and the same order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmallMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        SmallMap(Vec::new())
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// Sets a value and gives back the one it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.0.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.binary_search_by(|(k, _)| k.cmp(key)).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key, made first where there is none.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.0.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, make()));
                at
            }
        };
        &mut self.0[at].1
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.binary_search_by(|(k, _)| k.cmp(key)).ok().map(|at| self.0.remove(at).1)
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SmallMap::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        // A vector grows by doubling, and what it grew too much would stay for ever.
        map.0.shrink_to_fit();
        map
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_print_as_short_as_they_can() {
        for (hundredths, text) in
            [(200, "2"), (250, "2.5"), (125, "1.25"), (-50, "-0.5"), (5, "0.05")]
        {
            assert_eq!(Decimal(hundredths).to_string(), text);
            assert_eq!(text.parse::<Decimal>().unwrap(), Decimal(hundredths));
        }
        assert!("much".parse::<Decimal>().is_err());
        assert_eq!(Decimal::nearest(f64::NAN), None);
    }

    #[test]
    fn a_small_map_keeps_its_keys_in_order() {
        let mut map: SmallMap<u8, &str> = [(3, "c"), (1, "a"), (2, "b")].into_iter().collect();
        assert_eq!(map.insert(2, "B"), Some("b"));
        assert_eq!(map.remove(&1), Some("a"));
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&2, &"B"), (&3, &"c")]);
    }
}
