//! Leaves out what a sink would refuse because of what a person keeps elsewhere: a
//! location of another site, a node of another cluster. Half of a change that makes
//! sense is better than a whole one that fails every time.

use super::super::object::{Desired, DesiredObject, Field, Kind, ObjectRef, Want};
use super::super::value::{SmallMap, Value};
use super::Comparison;
use super::names::Renamed;
use super::resolve::Resolved;

/// What sense is judged by.
pub(super) struct Sense<'a> {
    pub desired: &'a Desired,
    pub about: &'a Comparison<'a>,
    pub resolved: &'a Resolved,
    pub renamed: &'a Renamed,
}

impl Sense<'_> {
    /// The wants of an object, with names as they are free and without what cannot be.
    pub(super) fn wants(&self, object: &DesiredObject) -> SmallMap<Field, Want> {
        let mut wants = object.fields.clone();
        if let Some(name) = self.renamed.get(&object.key)
            && let Some(want) = object.fields.get(&Field::Name)
        {
            wants.insert(Field::Name, Want { value: Value::Text(name.clone()), ..want.clone() });
        }
        drop_what_leads_nowhere(&mut wants, self.resolved);
        match object.kind {
            Kind::Device => {
                // A location must be of the device's site, and so must its cluster, where that has one.
                self.drop_unless(&mut wants, object, Field::Location, |location| {
                    self.effective(location, Field::Site) == self.effective(object, Field::Site)
                });
                self.drop_unless(&mut wants, object, Field::Cluster, |cluster| {
                    let site = self.effective(cluster, Field::Site);
                    site.is_none() || site == self.effective(object, Field::Site)
                });
                self.drop_lost_primaries(&mut wants, object);
            }
            Kind::VirtualMachine => {
                // A guest's node must be of its cluster, and its site its cluster's.
                self.drop_unless(&mut wants, object, Field::Device, |node| {
                    self.effective(node, Field::Cluster) == self.effective(object, Field::Cluster)
                });
                let cluster = self
                    .effective(object, Field::Cluster)
                    .and_then(|cluster| self.site_of(&cluster));
                let site = wants.get(&Field::Site).and_then(|want| self.reference(&want.value));
                if cluster.is_some() && cluster != site {
                    wants.remove(&Field::Site);
                }
                self.drop_lost_primaries(&mut wants, object);
            }
            _ => {}
        }
        wants
    }

    fn reference(&self, value: &Value) -> Option<ObjectRef> {
        self.resolved.value(value).as_ref().cloned()
    }

    /// The wanted object that a field of another refers to.
    fn target(&self, object: &DesiredObject, field: Field) -> Option<&DesiredObject> {
        match object.fields.get(&field).map(|want| &want.value) {
            Some(Value::Ref(ObjectRef::Planned(_, key))) => self.desired.objects.get(key),
            _ => None,
        }
    }

    fn drop_unless(
        &self,
        wants: &mut SmallMap<Field, Want>,
        object: &DesiredObject,
        field: Field,
        fits: impl Fn(&DesiredObject) -> bool,
    ) {
        if self.target(object, field).is_some_and(|target| !fits(target)) {
            wants.remove(&field);
        }
    }

    /// The site that a cluster will have.
    fn site_of(&self, cluster: &ObjectRef) -> Option<ObjectRef> {
        let wanted = self.desired.objects.values().find(|object| {
            object.kind == Kind::Cluster
                && match cluster {
                    ObjectRef::Planned(_, key) => object.key == *key,
                    ObjectRef::Live(_, id) => self.resolved.id(&object.key) == Some(*id),
                }
        });
        match (wanted, cluster) {
            (Some(object), _) => self.effective(object, Field::Site),
            (None, ObjectRef::Live(kind, id)) => {
                self.about.world.get(*kind, *id)?.field(Field::Site).as_ref().cloned()
            }
            (None, ObjectRef::Planned(..)) => None,
        }
    }

    /// A primary address must stand on the host: one that a person keeps elsewhere cannot be it.
    fn drop_lost_primaries(&self, wants: &mut SmallMap<Field, Want>, object: &DesiredObject) {
        let owner = |interface: ObjectRef| match &interface {
            ObjectRef::Live(..) => super::super::matching::owner_of(self.about.world, &interface)
                .map(|(kind, id)| ObjectRef::Live(kind, id)),
            ObjectRef::Planned(_, key) => {
                let wanted = self.desired.objects.get(key)?;
                let field = match wanted.kind {
                    Kind::VmInterface => Field::VirtualMachine,
                    _ => Field::Device,
                };
                self.reference(&wanted.fields.get(&field)?.value)
            }
        };
        let own = match self.resolved.id(&object.key) {
            Some(id) => ObjectRef::Live(object.kind, id),
            None => ObjectRef::Planned(object.kind, object.key.clone()),
        };
        for field in [Field::PrimaryIp4, Field::PrimaryIp6] {
            self.drop_unless(wants, object, field, |address| {
                self.effective(address, Field::AssignedObject).and_then(owner) == Some(own.clone())
            });
        }
    }

    /// What a field will hold after the run: what a person keeps there, else what is wanted.
    fn effective(&self, object: &DesiredObject, field: Field) -> Option<ObjectRef> {
        let want = object.fields.get(&field).filter(|want| match &want.value {
            Value::Ref(reference) => self.resolved.leads_somewhere(reference),
            _ => true,
        });
        let wanted = want.and_then(|want| self.resolved.value(&want.value).as_ref().cloned());
        let live =
            self.resolved.id(&object.key).and_then(|id| self.about.world.get(object.kind, id));
        let Some(live) = live else { return wanted };
        let Some(stands) = live.field(field).as_ref().cloned() else { return wanted };
        let written = self.about.memory.written(live.kind, live.id, field);
        let own = written.is_some_and(|known| known.settled == *live.field(field));
        match want {
            Some(want) if own && !want.initial => wanted,
            _ => Some(stands),
        }
    }
}

/// References to what neither stands nor will be made are not wanted after all.
fn drop_what_leads_nowhere(wants: &mut SmallMap<Field, Want>, resolved: &Resolved) {
    let lost: Vec<Field> = wants
        .iter()
        .filter(|(_, want)| matches!(&want.value, Value::Ref(reference) if !resolved.leads_somewhere(reference)))
        .map(|(field, _)| *field)
        .collect();
    for field in lost {
        wants.remove(&field);
    }
    let sets: Vec<(Field, Want)> = wants
        .iter()
        .filter_map(|(field, want)| match &want.value {
            Value::Refs(refs)
                if !refs.iter().all(|reference| resolved.leads_somewhere(reference)) =>
            {
                let kept = refs
                    .iter()
                    .filter(|reference| resolved.leads_somewhere(reference))
                    .cloned()
                    .collect();
                Some((*field, Want { value: Value::Refs(kept), ..want.clone() }))
            }
            _ => None,
        })
        .collect();
    for (field, want) in sets {
        wants.insert(field, want);
    }
}
