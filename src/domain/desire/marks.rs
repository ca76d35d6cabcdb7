//! The agent's marks on what it makes: a tag, and custom fields that say which
//! agent made the object, of what, and from which source it first knew it.

use std::sync::Arc;

use super::super::name::slug;
use super::super::object::{Field, Kind, ObjectKey, Why};
use super::super::value::Value;
use super::{Desk, Fields, agent, planned};

/// A custom field of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The field of the domain that it holds.
    pub field: Field,
    /// Its name in the sink.
    pub name: &'static str,
    /// Its label.
    pub label: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Its type: `text`, or `object` with the kind that it refers to.
    pub refers_to: Option<Kind>,
}

/// The custom fields, in the order in which they are made.
pub const MARKS: &[Mark] = &[
    Mark {
        field: Field::AgentKey,
        name: "netbox_agent_key",
        label: "Agent key",
        description: "What netbox-agent knows this object by",
        refers_to: None,
    },
    Mark {
        field: Field::AgentSource,
        name: "netbox_agent_source",
        label: "Agent source",
        description: "The source from which netbox-agent first knew this object",
        refers_to: None,
    },
    Mark {
        field: Field::AgentInstance,
        name: "netbox_agent_instance",
        label: "Agent instance",
        description: "The netbox-agent that made this object",
        refers_to: None,
    },
    Mark {
        field: Field::Via,
        name: "netbox_agent_via",
        label: "Reached via",
        description: "The device through which this one is reached",
        refers_to: Some(Kind::Device),
    },
];

impl Desk<'_> {
    /// The marks of an object that the agent would make.
    pub(super) fn mark(&self, fields: &mut Fields, key: &ObjectKey, source: Option<&Arc<str>>) {
        let why = || agent("its mark on what it makes");
        let name = key.as_str().split_once(':').map_or("", |(_, name)| name);
        fields.start(Field::AgentKey, Value::text(name), why());
        fields.start(Field::AgentInstance, Value::text(self.policy.instance.as_str()), why());
        if let Some(source) = source {
            fields.start(Field::AgentSource, Value::text(source), why());
        }
    }

    /// The tags of an object: the agent's own, those of the configuration, those of sources.
    pub(super) fn tags(
        &mut self,
        fields: &mut Fields,
        words: impl IntoIterator<Item = Arc<str>>,
        why: Why,
    ) {
        let own = self.policy.tag.clone();
        let defaults = self.policy.defaults.tags.iter().cloned();
        let mut slugs = std::collections::BTreeSet::new();
        let all: Vec<Arc<str>> = [own].into_iter().chain(defaults).chain(words).collect();
        for word in all {
            let key = self.tag(&word);
            if let Value::Ref(reference) = planned(Kind::Tag, &key) {
                slugs.insert(reference);
            }
        }
        fields.set(Field::Tags, Value::Refs(slugs), why);
    }

    /// The tag of a part of a host, where parts shall carry it.
    pub(super) fn tag_part(&mut self, fields: &mut Fields) {
        if self.policy.tag_parts {
            self.tags(fields, [], agent("its tag on what it makes"));
        }
    }

    /// A tag by its name.
    fn tag(&mut self, name: &str) -> ObjectKey {
        let key = ObjectKey::new(Kind::Tag, slug(name));
        let mut fields = Fields::default();
        fields.named(name, &agent("a tag that objects carry"));
        self.put_on_demand(Kind::Tag, &key, name, fields);
        key
    }

    /// The custom fields that the objects wanted so far need, where the sink has such a thing.
    pub(super) fn prerequisites(&mut self) {
        if !self.world.supported.contains(&Kind::CustomField) {
            return;
        }
        for mark in MARKS {
            let kinds: Vec<&str> = if mark.refers_to.is_some() {
                vec![Kind::Device.as_str()]
            } else {
                let supported = &self.world.supported;
                let marked = |kind: &&Kind| kind.is_marked() && supported.contains(*kind);
                Kind::ALL.iter().filter(marked).map(|kind| kind.as_str()).collect()
            };
            let used =
                self.desired.objects.values().any(|object| object.fields.contains(&mark.field));
            if !used {
                continue;
            }
            let key = ObjectKey::new(Kind::CustomField, mark.name);
            let why = agent("a custom field that it keeps its marks in");
            let mut fields = Fields::default();
            fields.start(Field::Name, Value::text(mark.name), why.clone());
            fields.start(Field::Label, Value::text(mark.label), why.clone());
            fields.start(Field::Description, Value::text(mark.description), why.clone());
            fields.start(Field::GroupName, Value::text("netbox-agent"), why.clone());
            let kind = if mark.refers_to.is_some() { "object" } else { "text" };
            fields.start(Field::Type, Value::text(kind), why.clone());
            if let Some(kind) = mark.refers_to {
                fields.start(Field::RelatedType, Value::text(kind.as_str()), why.clone());
            }
            fields.set(Field::ObjectTypes, Value::words(kinds), why);
            self.put_on_demand(Kind::CustomField, &key, mark.name, fields);
        }
    }
}
