//! What earlier runs left behind, as the domain needs it: which object stands for
//! which key, what was last written, what a person asked to take back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::object::{Field, Kind, ObjectKey};
use super::value::{SmallMap, Value};
use super::world::Live;

/// What the agent last wrote into a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What it wanted.
    pub wanted: Value,
    /// What stood there afterwards: a sink may store a value in another form.
    pub settled: Value,
}

/// What the agent remembers of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recollection {
    /// The fields that it wrote.
    pub fields: SmallMap<Field, Written>,
    /// The object's fingerprint after the last write.
    pub stamp: Option<Arc<str>>,
    /// When it was retired, where it is.
    pub retired: bool,
}

/// Fields that a sink never fills by itself: what stands there, somebody wrote.
const PERSONAL: [Field; 7] = [
    Field::AssetTag,
    Field::Comments,
    Field::Description,
    Field::DnsName,
    Field::Location,
    Field::Serial,
    Field::Tenant,
];

/// The fields in which something stands that the agent, which wrote `own`, did not write.
pub fn foreign<'a>(live: &'a Live, own: &'a SmallMap<Field, Value>) -> impl Iterator<Item = Field> {
    let is_foreign = |field: Field, stands: &Value| match own.get(&field) {
        // The sink adds this one up from the guest's disks.
        Some(_) if field == Field::Disk => false,
        Some(own) => stands != own,
        None => PERSONAL.contains(&field),
    };
    let stands = live.fields.iter().filter(|(_, stands)| !stands.is_blank());
    stands.filter(move |(field, stands)| is_foreign(**field, stands)).map(|(field, _)| *field)
}

/// Everything that the agent remembers of one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Identifiers, as text, of hosts and the object each was last found in.
    pub identities: BTreeMap<Arc<str>, (Kind, u64)>,
    /// Objects by the agent's key of them.
    pub bindings: BTreeMap<ObjectKey, (Kind, u64)>,
    /// What is remembered of each object.
    pub objects: BTreeMap<(Kind, u64), Recollection>,
    /// Fields that a person gave back to the agent; `None` is the whole object.
    pub reclaimed: BTreeSet<(Kind, u64, Option<Field>)>,
}

impl Memory {
    /// What was last written into a field.
    #[must_use]
    pub fn written(&self, kind: Kind, id: u64, field: Field) -> Option<&Written> {
        self.objects.get(&(kind, id)).and_then(|object| object.fields.get(&field))
    }

    /// Whether a person gave a field back to the agent.
    #[must_use]
    pub fn is_reclaimed(&self, kind: Kind, id: u64, field: Field) -> bool {
        self.reclaimed.contains(&(kind, id, None))
            || self.reclaimed.contains(&(kind, id, Some(field)))
    }
}
