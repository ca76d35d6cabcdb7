//! Objects with the names of what they refer to in place of ids.

use crate::domain::name::slug;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::Value;
use crate::domain::world::{Live, World};

/// Reads objects of one world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'w> {
    world: &'w World,
}

impl<'w> Reader<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Reader { world }
    }

    pub(super) fn world(self) -> &'w World {
        self.world
    }

    /// The object that a field refers to.
    pub(super) fn referred(self, object: &Live, field: Field) -> Option<&'w Live> {
        match object.field(field) {
            Value::Ref(ObjectRef::Live(kind, id)) => self.world.get(*kind, *id),
            _ => None,
        }
    }

    /// A field as text: of a reference the name of what it refers to. None for
    /// what is empty, and for a reference to what was not read.
    pub(super) fn text(self, object: &Live, field: Field) -> Option<String> {
        let value = object.field(field);
        match value {
            blank if blank.is_blank() => None,
            Value::Ref(reference) => self.name(reference),
            Value::Words(_) | Value::Ints(_) | Value::Refs(_) => Some(self.list(value).join(",")),
            other => Some(other.to_string()),
        }
    }

    /// A set as texts, sorted.
    pub(super) fn list(self, value: &Value) -> Vec<String> {
        let mut list: Vec<String> = match value {
            Value::Words(words) => words.iter().map(ToString::to_string).collect(),
            // Numbers are in their order already, which is not that of their texts.
            Value::Ints(numbers) => return numbers.iter().map(ToString::to_string).collect(),
            Value::Refs(all) => all.iter().filter_map(|one| self.name(one)).collect(),
            _ => Vec::new(),
        };
        list.sort();
        list
    }

    fn name(self, reference: &ObjectRef) -> Option<String> {
        let object = self.world.get(reference.kind(), reference.live_id()?)?;
        let name = object.name();
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// The name in addresses: as it stands, else as it would be made of the name.
    pub(super) fn slug(self, object: &Live) -> String {
        match object.field(Field::Slug).as_text() {
            Some(stands) if !stands.is_empty() => stands.to_owned(),
            _ => slug(object.name()),
        }
    }

    /// The slugs of an object's tags, sorted.
    pub(super) fn tag_slugs(self, object: &Live) -> Vec<String> {
        let mut slugs: Vec<String> = match object.field(Field::Tags) {
            Value::Refs(tags) => tags
                .iter()
                .filter_map(|tag| self.world.get(Kind::Tag, tag.live_id()?))
                .map(|tag| self.slug(tag))
                .collect(),
            Value::Words(tags) => tags.iter().map(|tag| slug(tag)).collect(),
            _ => Vec::new(),
        };
        slugs.sort();
        slugs
    }

    /// The device or virtual machine that an object is a part of.
    pub(super) fn host(self, object: &Live) -> Option<&'w Live> {
        [Field::Device, Field::VirtualMachine, Field::Parent]
            .into_iter()
            .filter_map(|field| self.referred(object, field))
            .find(|host| matches!(host.kind, Kind::Device | Kind::VirtualMachine))
    }

    /// How many objects of its own kind an object hangs on, one after the other.
    /// A ring of them ends the count.
    pub(super) fn depth(self, object: &Live) -> usize {
        let above = |object: &Live| {
            [Field::Parent, Field::Lag, Field::Bridge]
                .into_iter()
                .filter_map(|field| self.referred(object, field))
                .filter(|other| other.kind == object.kind && other.id != object.id)
                .collect::<Vec<_>>()
        };
        let mut depth = 0;
        let mut level = above(object);
        while !level.is_empty() && depth < 16 {
            depth += 1;
            level = level.into_iter().flat_map(above).collect();
        }
        depth
    }
}
