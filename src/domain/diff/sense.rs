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
        // A location must be of the device's site, a node of the guest's cluster.
        let pair = match object.kind {
            Kind::Device => Some((Field::Location, Field::Site)),
            Kind::VirtualMachine => Some((Field::Device, Field::Cluster)),
            _ => None,
        };
        if let Some((field, within)) = pair
            && let Some(Value::Ref(ObjectRef::Planned(_, key))) =
                object.fields.get(&field).map(|want| &want.value)
            && let Some(other) = self.desired.objects.get(key)
            && self.effective(other, within) != self.effective(object, within)
        {
            wants.remove(&field);
        }
        wants
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
