//! One object to be written: what is sent, what must still stand, and how it ended.

use std::sync::Arc;

use super::super::row::Fields;
use crate::domain::object::Field;
use crate::domain::plan::Change;
use crate::domain::value::Value;

/// What is done to objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    Make,
    Change,
    Remove,
}

impl Deed {
    /// NetBox's word for the permission.
    pub(super) const fn action(self) -> &'static str {
        match self {
            Deed::Make => "add",
            Deed::Change => "change",
            Deed::Remove => "delete",
        }
    }
}

/// One object to be written.
#[derive(Debug, Clone)]
pub(super) struct Item<'p> {
    /// The change that it is a part of.
    pub change: &'p Change,
    /// Where its step stands in its wave, to find it again.
    pub place: usize,
    /// The object, where it stands.
    pub id: Option<u64>,
    /// The values to be written, with references to what stands.
    pub fields: Fields,
    /// The values that the plan was made against.
    pub before: Fields,
    /// The fingerprint that the object must still have. None where nobody else can have
    /// touched it yet.
    pub guard: Option<Arc<str>>,
}

impl Item<'_> {
    /// What every agent orders its writes by, whatever it calls its objects.
    pub(super) fn order(&self) -> (Option<u64>, String, String) {
        let text = |field| self.fields.get(&field).and_then(Value::as_text).map(str::to_lowercase);
        let natural = [
            Field::Name,
            Field::Model,
            Field::Address,
            Field::Prefix,
            Field::MacAddress,
            Field::StartAddress,
        ];
        let name = natural.into_iter().find_map(text).unwrap_or_default();
        (self.id, name, self.change.key.to_string())
    }
}

/// How the writing of one object ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It was written.
    Written {
        /// Its id.
        id: u64,
        /// What was written, as NetBox answered it.
        settled: Fields,
        /// Its fingerprint after that.
        stamp: Option<Arc<str>>,
    },
    /// It stands already, and somebody else made it.
    Adopted {
        /// Its id.
        id: u64,
    },
    /// NetBox does not take it.
    Refused(String),
    /// It was left alone for a reason that is no mistake.
    Skipped(String),
    /// It was not tried, or its end is not known.
    Unreached,
}
