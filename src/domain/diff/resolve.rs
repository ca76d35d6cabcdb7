//! Finds the object that stands for each wanted one, kind by kind, so that what
//! something belongs to is known before it.
//!
//! A host's object was found by matching. What a person may rename is found by the
//! store's binding or the agent's mark first; what is its own name (an address, a
//! subnet, a cable) by that alone.

mod parts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::super::diagnostic::Diagnostic;
use super::super::object::{Desired, DesiredObject, Field, Kind, ObjectKey, ObjectRef};
use super::super::value::Value;
use super::super::world::Live;
use super::live::Standing;
use super::{Comparison, is_own, left};

/// Which object stands for each key, and which keys will be made.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    ids: BTreeMap<ObjectKey, (Kind, u64)>,
    made: BTreeSet<ObjectKey>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Resolved {
    /// The id of the object that stands for a key.
    #[must_use]
    pub fn id(&self, key: &ObjectKey) -> Option<u64> {
        self.ids.get(key).map(|(_, id)| *id)
    }

    /// Whether the plan makes the object of a key.
    #[must_use]
    pub fn is_made(&self, key: &ObjectKey) -> bool {
        self.made.contains(key)
    }

    /// Every key for which something stands.
    pub fn standing(&self) -> impl Iterator<Item = (&ObjectKey, Kind, u64)> {
        self.ids.iter().map(|(key, (kind, id))| (key, *kind, *id))
    }

    /// A value with references to what stands in place of keys.
    #[must_use]
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::Ref(reference) => Value::Ref(self.reference(reference)),
            Value::Refs(refs) => {
                Value::Refs(refs.iter().map(|reference| self.reference(reference)).collect())
            }
            other => other.clone(),
        }
    }

    fn reference(&self, reference: &ObjectRef) -> ObjectRef {
        match reference {
            ObjectRef::Planned(_, key) => match self.ids.get(key) {
                Some((kind, id)) => ObjectRef::Live(*kind, *id),
                None => reference.clone(),
            },
            ObjectRef::Live(..) => reference.clone(),
        }
    }

    /// Whether a reference leads to something that stands or will be made.
    #[must_use]
    pub fn leads_somewhere(&self, reference: &ObjectRef) -> bool {
        match reference {
            ObjectRef::Planned(_, key) => self.ids.contains_key(key) || self.made.contains(key),
            ObjectRef::Live(..) => true,
        }
    }

    /// Takes back that an object will be made.
    pub(super) fn forgo(&mut self, key: &ObjectKey) {
        self.made.remove(key);
    }
}

pub(super) fn resolve(
    desired: &Desired,
    about: &Comparison<'_>,
    standing: &Standing<'_>,
) -> Resolved {
    let mut by_kind: BTreeMap<Kind, Vec<&DesiredObject>> = BTreeMap::new();
    for object in desired.objects.values() {
        by_kind.entry(object.kind).or_default().push(object);
    }
    let mut search = Search {
        about,
        standing,
        resolved: Resolved::default(),
        marks: marks(about),
        addresses_wanted_on: addresses_wanted_on(desired),
        taken: BTreeSet::new(),
    };
    for kind in Kind::ALL {
        let Some(objects) = by_kind.get(kind) else { continue };
        search.kind(*kind, objects);
    }
    search.resolved
}

/// Objects of this agent by kind and by the key that stands on them.
fn marks<'a>(about: &Comparison<'a>) -> HashMap<(Kind, &'a str), Vec<&'a Live>> {
    let mut marks: HashMap<(Kind, &str), Vec<&Live>> = HashMap::new();
    for live in about.world.iter().filter(|live| is_own(live, about.instance)) {
        if let Some(key) = live.field(Field::AgentKey).as_text() {
            marks.entry((live.kind, key)).or_default().push(live);
        }
    }
    marks
}

fn addresses_wanted_on(desired: &Desired) -> HashMap<ObjectKey, BTreeSet<String>> {
    let mut wanted: HashMap<ObjectKey, BTreeSet<String>> = HashMap::new();
    for object in desired.objects.values().filter(|object| object.kind == Kind::IpAddress) {
        let text = object.fields.get(&Field::Address).and_then(|want| want.value.as_text());
        let on = object.fields.get(&Field::AssignedObject).and_then(|want| want.value.as_ref());
        if let (Some(text), Some(ObjectRef::Planned(_, key))) = (text, on) {
            let bare = text.split('/').next().unwrap_or(text);
            wanted.entry(key.clone()).or_default().insert(bare.to_owned());
        }
    }
    wanted
}

struct Search<'a> {
    about: &'a Comparison<'a>,
    standing: &'a Standing<'a>,
    resolved: Resolved,
    marks: HashMap<(Kind, &'a str), Vec<&'a Live>>,
    /// The addresses, without masks, that are wanted on each interface.
    addresses_wanted_on: HashMap<ObjectKey, BTreeSet<String>>,
    /// Objects that stand for a key already.
    taken: BTreeSet<(Kind, u64)>,
}

/// What a search for one object found.
enum Hit {
    None,
    One(u64),
    /// Several that could be meant: nothing is touched and nothing is made.
    Several(usize),
}

impl Search<'_> {
    fn kind(&mut self, kind: Kind, objects: &[&DesiredObject]) {
        match kind {
            Kind::Interface | Kind::VmInterface => self.interfaces(kind, objects),
            Kind::MacAddress => self.mac_addresses(objects),
            _ => {
                // Bindings first for all, so that no name takes what another key is bound to.
                let mut open = Vec::new();
                for object in objects {
                    match self.bound(object) {
                        Some(id) => self.found(object, id),
                        None => open.push(*object),
                    }
                }
                for object in open {
                    match self.natural(object) {
                        Hit::One(id) => self.found(object, id),
                        Hit::None => self.missing(object),
                        Hit::Several(count) => self.ambiguous(object, count),
                    }
                }
            }
        }
    }

    fn found(&mut self, object: &DesiredObject, id: u64) {
        self.taken.insert((object.kind, id));
        self.resolved.ids.insert(object.key.clone(), (object.kind, id));
    }

    /// Marks an object as one to be made, where it may be and everything that it needs
    /// stands or will be made.
    fn missing(&mut self, object: &DesiredObject) {
        let unread = !self.about.world.read.contains(&object.kind);
        if object.create && !unread && self.has_what_it_needs(object) {
            self.resolved.made.insert(object.key.clone());
        }
    }

    fn has_what_it_needs(&self, object: &DesiredObject) -> bool {
        let leads = |field: &Field| match object.fields.get(field).map(|want| &want.value) {
            Some(Value::Ref(reference)) => self.resolved.leads_somewhere(reference),
            Some(Value::Refs(refs)) => {
                !refs.is_empty() && refs.iter().all(|r| self.resolved.leads_somewhere(r))
            }
            _ => false,
        };
        let needed: &[Field] = match object.kind {
            Kind::DeviceType => &[Field::Manufacturer],
            Kind::Cluster => &[Field::Type],
            Kind::Location => &[Field::Site],
            Kind::Device => &[Field::Site, Field::Role, Field::DeviceType],
            Kind::VirtualMachine => {
                return leads(&Field::Cluster) || leads(&Field::Site) || leads(&Field::Device);
            }
            Kind::Interface | Kind::InventoryItem => &[Field::Device],
            Kind::VmInterface | Kind::VirtualDisk => &[Field::VirtualMachine],
            Kind::MacAddress => &[Field::AssignedObject],
            Kind::Service => &[Field::Parent],
            Kind::Cable => &[Field::ATerminations, Field::BTerminations],
            _ => &[],
        };
        needed.iter().all(leads)
    }

    fn ambiguous(&mut self, object: &DesiredObject, count: usize) {
        let message = format!(
            "{count} objects of kind {} could be meant; none is changed and none is made. Remove the surplus ones",
            object.kind.label()
        );
        self.resolved.diagnostics.push(left("several_objects", &object.label, message));
    }

    /// The object that the store or the agent's own mark ties to a key. Not asked for
    /// kinds that are their own name, for a person may have made another thing of it.
    fn bound(&self, object: &DesiredObject) -> Option<u64> {
        if let Some(host) = object.host
            && matches!(object.kind, Kind::Device | Kind::VirtualMachine)
        {
            return self.about.matches.standing(host).map(|(_, id)| id);
        }
        if is_its_own_name(object.kind) {
            return None;
        }
        let remembered = self.about.memory.bindings.get(&object.key).filter(|(kind, id)| {
            *kind == object.kind
                && self.about.world.get(*kind, *id).is_some_and(|live| self.is_kin(object, live))
        });
        let id = remembered.map(|(_, id)| *id).or_else(|| {
            let name = object.key.as_str().split_once(':').map_or("", |(_, name)| name);
            let marked = self.marks.get(&(object.kind, name))?;
            let mut kin = marked.iter().filter(|live| self.is_kin(object, live));
            kin.next().map(|live| live.id)
        })?;
        (!self.taken.contains(&(object.kind, id))).then_some(id)
    }

    /// Whether an object belongs to the same thing as the wanted one does.
    fn is_kin(&self, object: &DesiredObject, live: &Live) -> bool {
        let owner = match object.kind {
            Kind::Interface | Kind::InventoryItem => Field::Device,
            Kind::VmInterface | Kind::VirtualDisk => Field::VirtualMachine,
            Kind::Location => Field::Site,
            _ => return true,
        };
        self.wanted_ref(object, owner)
            .is_some_and(|wanted| live.field(owner).as_ref() == Some(&wanted))
    }

    /// The object that a wanted field refers to, where it stands.
    fn wanted_ref(&self, object: &DesiredObject, field: Field) -> Option<ObjectRef> {
        let reference = object.fields.get(&field)?.value.as_ref()?;
        let resolved = self.resolved.reference(reference);
        resolved.live_id().is_some().then_some(resolved)
    }

    fn wanted_text<'b>(&self, object: &'b DesiredObject, field: Field) -> Option<&'b str> {
        object.fields.get(&field)?.value.as_text()
    }

    /// Free objects of a kind that pass a test.
    fn free(&self, kind: Kind, test: impl Fn(&Live) -> bool) -> Vec<u64> {
        let standing = self.about.world.of(kind);
        standing
            .filter(|live| !self.taken.contains(&(kind, live.id)) && test(live))
            .map(|live| live.id)
            .collect()
    }

    fn natural(&self, object: &DesiredObject) -> Hit {
        match object.kind {
            Kind::Device | Kind::VirtualMachine => Hit::None,
            Kind::IpAddress => self.ip_address(object),
            Kind::Prefix => self.in_vrf(object, Field::Prefix),
            Kind::IpRange => self.ip_range(object),
            Kind::Vlan => self.vlan(object),
            Kind::DeviceType => self.device_type(object),
            Kind::Location => {
                let Some(site) = self.wanted_ref(object, Field::Site) else { return Hit::None };
                self.named(object, |live| live.field(Field::Site).as_ref() == Some(&site))
            }
            Kind::VirtualDisk | Kind::InventoryItem => self.named_part(object),
            Kind::Service => self.service(object),
            Kind::Cable => self.cable(object),
            Kind::Cluster | Kind::Vrf => self.by_name(object, |_| true),
            _ => self.named(object, |_| true),
        }
    }

    /// Of several objects the one that carries the agent's mark for this very thing.
    fn own_or(&self, object: &DesiredObject, ids: &[u64]) -> Hit {
        let name = object.key.as_str().split_once(':').map_or("", |(_, name)| name);
        let marked = self.marks.get(&(object.kind, name)).into_iter().flatten();
        let own = marked.map(|live| live.id).find(|id| ids.contains(id));
        match own {
            Some(own) if ids.len() > 1 => Hit::One(own),
            _ => hit(ids),
        }
    }

    /// By slug, else by name without regard to case.
    fn named(&self, object: &DesiredObject, also: impl Fn(&Live) -> bool) -> Hit {
        if let Some(slug) = self.wanted_text(object, Field::Slug) {
            let found = self.free(object.kind, |live| {
                live.field(Field::Slug).as_text() == Some(slug) && also(live)
            });
            if let [id] = found[..] {
                return Hit::One(id);
            }
        }
        self.by_name(object, also)
    }

    fn by_name(&self, object: &DesiredObject, also: impl Fn(&Live) -> bool) -> Hit {
        let Some(name) = self.wanted_text(object, Field::Name) else { return Hit::None };
        let equal = |live: &Live| {
            live.field(Field::Name)
                .as_text()
                .is_some_and(|known| known.to_lowercase() == name.to_lowercase())
        };
        hit(&self.free(object.kind, |live| equal(live) && also(live)))
    }

    fn device_type(&self, object: &DesiredObject) -> Hit {
        let Some(maker) = self.wanted_ref(object, Field::Manufacturer) else { return Hit::None };
        let model = self.wanted_text(object, Field::Model).unwrap_or_default().to_lowercase();
        let slug = self.wanted_text(object, Field::Slug);
        let of_maker = |live: &Live| live.field(Field::Manufacturer).as_ref() == Some(&maker);
        let by_model = self.free(Kind::DeviceType, |live| {
            of_maker(live)
                && live
                    .field(Field::Model)
                    .as_text()
                    .is_some_and(|known| known.to_lowercase() == model)
        });
        match by_model[..] {
            [] => hit(&self.free(Kind::DeviceType, |live| {
                of_maker(live) && live.field(Field::Slug).as_text() == slug
            })),
            _ => hit(&by_model),
        }
    }

    fn vrf(&self, object: &DesiredObject) -> Option<Option<u64>> {
        match object.fields.get(&Field::Vrf) {
            None => Some(None),
            Some(_) => self.wanted_ref(object, Field::Vrf).map(|vrf| vrf.live_id()),
        }
    }

    fn in_vrf(&self, object: &DesiredObject, field: Field) -> Hit {
        let Some(vrf) = self.vrf(object) else { return Hit::None };
        let text = self.wanted_text(object, field);
        hit(&self.free(object.kind, |live| {
            live.field(field).as_text() == text && live.referenced(Field::Vrf) == vrf
        }))
    }

    fn ip_range(&self, object: &DesiredObject) -> Hit {
        let Some(vrf) = self.vrf(object) else { return Hit::None };
        let bare = |text: Option<&str>| {
            text.and_then(|text| text.split('/').next()?.parse::<IpAddr>().ok())
        };
        let ends = |get: &dyn Fn(Field) -> Option<IpAddr>| {
            (get(Field::StartAddress), get(Field::EndAddress))
        };
        let wanted = ends(&|field| bare(self.wanted_text(object, field)));
        hit(&self.free(object.kind, |live| {
            ends(&|field| bare(live.field(field).as_text())) == wanted
                && live.referenced(Field::Vrf) == vrf
        }))
    }

    /// By id at the same site, in a group, or at no site; the nearest of these first.
    fn vlan(&self, object: &DesiredObject) -> Hit {
        let Some(vid) = object.fields.get(&Field::Vid).map(|want| &want.value) else {
            return Hit::None;
        };
        let of_vid = self.free(Kind::Vlan, |live| live.field(Field::Vid) == vid);
        let near = |test: &dyn Fn(&Live) -> bool| -> Vec<u64> {
            let live = |id: &u64| self.about.world.get(Kind::Vlan, *id).is_some_and(test);
            of_vid.iter().copied().filter(|id| live(id)).collect()
        };
        if object.fields.contains(&Field::Group) {
            let group = self.wanted_ref(object, Field::Group);
            return match group {
                Some(group) => {
                    hit(&near(&|live| live.field(Field::Group).as_ref() == Some(&group)))
                }
                None => Hit::None,
            };
        }
        let site = self.wanted_ref(object, Field::Site);
        let same_site =
            near(&|live| site.is_some() && live.field(Field::Site).as_ref() == site.as_ref());
        let global = near(&|live| live.field(Field::Site).is_blank());
        match (same_site.len(), global.len()) {
            (0, _) => hit(&global),
            _ => hit(&same_site),
        }
    }

    fn ip_address(&self, object: &DesiredObject) -> Hit {
        let Some(vrf) = self.vrf(object) else { return Hit::None };
        let wanted = self
            .wanted_text(object, Field::Address)
            .and_then(|text| text.split('/').next()?.parse().ok());
        let Some(ip) = wanted else { return Hit::None };
        let known = self.standing.addresses.get(&(vrf, ip)).map_or(&[][..], Vec::as_slice);
        let free: Vec<&Live> = known
            .iter()
            .copied()
            .filter(|live| !self.taken.contains(&(live.kind, live.id)))
            .collect();
        if free.len() > 1 {
            // The same address several times: the one that stands where it is wanted, else the agent's own.
            let interface = self.wanted_ref(object, Field::AssignedObject);
            let here: Vec<u64> = free
                .iter()
                .filter(|live| {
                    interface.is_some()
                        && live.field(Field::AssignedObject).as_ref() == interface.as_ref()
                })
                .map(|live| live.id)
                .collect();
            let own: Vec<u64> = free
                .iter()
                .filter(|live| is_own(live, self.about.instance))
                .map(|live| live.id)
                .collect();
            if here.len() == 1 {
                return hit(&here);
            }
            if own.len() == 1 {
                return hit(&own);
            }
        }
        hit(&free.iter().map(|live| live.id).collect::<Vec<_>>())
    }

    fn cable(&self, object: &DesiredObject) -> Hit {
        let end = |field| -> Option<BTreeSet<ObjectRef>> {
            match self.resolved.value(&object.fields.get(&field)?.value) {
                Value::Refs(refs) => Some(refs),
                _ => None,
            }
        };
        let (Some(a), Some(b)) = (end(Field::ATerminations), end(Field::BTerminations)) else {
            return Hit::None;
        };
        let ends = |live: &Live| -> BTreeSet<ObjectRef> {
            [Field::ATerminations, Field::BTerminations]
                .into_iter()
                .filter_map(|field| match live.field(field) {
                    Value::Refs(refs) => Some(refs.iter().cloned()),
                    _ => None,
                })
                .flatten()
                .collect()
        };
        let wanted: BTreeSet<ObjectRef> = a.union(&b).cloned().collect();
        let same = self.free(Kind::Cable, |live| ends(live) == wanted);
        if !same.is_empty() {
            return hit(&same);
        }
        // A port that has another cable is a person's to recable.
        let touching = self.free(Kind::Cable, |live| !ends(live).is_disjoint(&wanted));
        if touching.is_empty() { Hit::None } else { Hit::Several(touching.len()) }
    }
}

/// Kinds whose objects are known by what they are, not by what they are called.
fn is_its_own_name(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::IpAddress
            | Kind::MacAddress
            | Kind::Prefix
            | Kind::IpRange
            | Kind::Service
            | Kind::Cable
    )
}

fn hit(ids: &[u64]) -> Hit {
    match ids {
        [] => Hit::None,
        [id] => Hit::One(*id),
        several => Hit::Several(several.len()),
    }
}
