//! What stands in the sink: a snapshot, read once at the start of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::object::{Field, Kind};
use super::value::{SmallMap, Value};

/// One object that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its kind.
    pub kind: Kind,
    /// Its id in the sink.
    pub id: u64,
    /// Its fields. A field that is absent was not read; one that is null is empty.
    pub fields: SmallMap<Field, Value>,
    /// When the sink says it was last changed: the fingerprint by which a saved
    /// plan notices that the world moved.
    pub stamp: Option<Arc<str>>,
}

impl Live {
    /// A field's value; null where it was not read.
    #[must_use]
    pub fn field(&self, field: Field) -> &Value {
        self.fields.get(&field).unwrap_or(&Value::Null)
    }

    /// The id of the object that a field refers to.
    #[must_use]
    pub fn referenced(&self, field: Field) -> Option<u64> {
        self.field(field).as_ref().and_then(super::object::ObjectRef::live_id)
    }

    /// The name that a person knows it by, as far as its own fields tell.
    #[must_use]
    pub fn name(&self) -> &str {
        [
            Field::Name,
            Field::Model,
            Field::Address,
            Field::Prefix,
            Field::MacAddress,
            Field::StartAddress,
        ]
        .into_iter()
        .find_map(|field| self.field(field).as_text())
        .unwrap_or("")
    }
}

/// What a run has to know of the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// The kinds that it may touch or that tell what is one device.
    pub kinds: BTreeSet<Kind>,
}

/// All objects that a run can touch or must know of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    objects: BTreeMap<(Kind, u64), Live>,
    /// The kinds that were read: whole, or where they are parts of hosts, at least those of
    /// every host that the run can touch. What else is not in the world does not stand.
    pub read: BTreeSet<Kind>,
    /// The kinds that the sink has at all; NetBox before 4.2 has no MAC address objects.
    pub supported: BTreeSet<Kind>,
    /// The kinds whose objects can carry the agent's custom fields at this moment.
    pub marked: BTreeSet<Kind>,
}

impl World {
    /// Puts an object in; one of the same kind and id is replaced.
    pub fn insert(&mut self, live: Live) {
        self.objects.insert((live.kind, live.id), live);
    }

    /// Takes in what was read of further kinds.
    pub fn absorb(&mut self, more: World) {
        self.objects.extend(more.objects);
        self.read.extend(more.read);
        self.supported.extend(more.supported);
        self.marked.extend(more.marked);
    }

    /// Keeps only what passes a test.
    pub fn retain(&mut self, mut test: impl FnMut(&Live) -> bool) {
        self.objects.retain(|_, live| test(live));
    }

    /// The object of a kind and id.
    #[must_use]
    pub fn get(&self, kind: Kind, id: u64) -> Option<&Live> {
        self.objects.get(&(kind, id))
    }

    /// The objects of a kind, by id.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Live> {
        self.objects.range((kind, 0)..=(kind, u64::MAX)).map(|(_, live)| live)
    }

    /// All objects, by kind and id.
    pub fn iter(&self) -> impl Iterator<Item = &Live> {
        self.objects.values()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}
