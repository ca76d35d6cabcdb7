//! Objects as NetBox's API answers them: whole, in short, or with chosen fields.

use super::addresses::net_of;
use super::kinds::{cable_side, display};
use super::model::{Choice, Field, Generic, Kind, Shape};
use super::order;
use super::store::{Object, Store};
use super::version::Version;
use serde_json::{Map, Value, json};

/// What answers are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The objects.
    pub(crate) store: &'a Store,
    /// The server's address, before every path in an answer.
    pub(crate) base: &'a str,
}

/// Which fields an answer has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Choose {
    /// All.
    #[default]
    All,
    /// These only.
    Only(Vec<String>),
    /// All but these.
    Omit(Vec<String>),
    /// Those of the short form.
    Brief,
    /// Those of the short form within another object, where not everything is counted.
    Nested,
}

impl Choose {
    /// Whether a field is chosen.
    pub(crate) fn takes(&self, kind: Kind, name: &str) -> bool {
        match self {
            Choose::All => true,
            Choose::Only(names) => names.iter().any(|chosen| chosen == name),
            Choose::Omit(names) => !names.iter().any(|omitted| omitted == name),
            Choose::Brief | Choose::Nested => kind.def().brief.contains(&name),
        }
    }
}

impl View<'_> {
    /// The address of an object.
    pub(crate) fn url(&self, kind: Kind, id: u64) -> String {
        format!("{}/api/{}/{id}/", self.base, kind.def().path)
    }

    /// An object with chosen fields.
    pub(crate) fn full(&self, object: &Object, choose: &Choose) -> Value {
        let def = object.kind.def();
        let version = self.store.version;
        let short = matches!(choose, Choose::Brief | Choose::Nested);
        let replaced = short && object.kind == Kind::Service && version >= Version::V4_7;
        let takes = |name: &str| {
            choose.takes(object.kind, name) && !(replaced && matches!(name, "protocol" | "ports"))
        };
        let mut out = Map::new();
        let mut put = |name: &str, value: &dyn Fn() -> Value| {
            if takes(name) {
                out.insert(name.to_owned(), value());
            }
        };
        put("id", &|| object.id.into());
        put("url", &|| self.url(object.kind, object.id).into());
        if version >= Version::V4_2 {
            put("display_url", &|| self.page(object.kind, object.id));
        }
        put("display", &|| display(self.store, object).into());
        for field in def.fields(version) {
            match field.shape {
                Shape::Hidden => {}
                Shape::Count(..) if *choose == Choose::Nested => match object.kind {
                    Kind::DeviceRole | Kind::Platform => put(field.name, &|| 0.into()),
                    Kind::DeviceType => put(field.name, &|| self.answer(object, field)),
                    _ => {}
                },
                _ => put(field.name, &|| self.answer(object, field)),
            }
        }
        if def.marked {
            put("tags", &|| self.tags(object));
            put("custom_fields", &|| self.custom_fields(object));
        }
        put("created", &|| object.created.json().into());
        put("last_updated", &|| object.updated.json().into());
        Value::Object(out)
    }

    /// An object in short, as others that refer to it answer it.
    pub(crate) fn brief(&self, kind: Kind, id: u64) -> Value {
        self.store.get(kind, id).map_or(Value::Null, |object| self.full(object, &Choose::Nested))
    }

    /// An object as those of its own kind that refer to it answer it.
    pub(crate) fn terse(&self, kind: Kind, id: u64) -> Value {
        let (Value::Object(mut out), Some(object)) =
            (self.brief(kind, id), self.store.get(kind, id))
        else {
            return Value::Null;
        };
        out.remove("description");
        if self.store.version >= Version::V4_2 {
            out.insert("display_url".to_owned(), self.page(kind, id));
        }
        let host = match kind {
            Kind::Interface => Some(("device", Kind::Device)),
            Kind::VmInterface => Some(("virtual_machine", Kind::VirtualMachine)),
            _ => None,
        };
        if let Some((field, host)) = host {
            let id = object.id_of(field).unwrap_or(0);
            out.insert(field.to_owned(), self.terse(host, id));
        }
        if let Some(cable) = object.id_of("cable") {
            out.insert("cable".to_owned(), cable.into());
        }
        if kind == Kind::IpAddress {
            let family = if object.text("address").contains(':') { 6 } else { 4 };
            out.insert("family".to_owned(), family.into());
        }
        Value::Object(out)
    }

    /// Where people see an object.
    fn page(&self, kind: Kind, id: u64) -> Value {
        self.url(kind, id).replacen("/api/", "/", 1).into()
    }

    /// An object's tags, by name.
    fn tags(&self, object: &Object) -> Value {
        let shown = ["id", "url", "display_url", "display", "name", "slug", "color"];
        let shown = Choose::Only(shown.map(str::to_owned).to_vec());
        let mut tags: Vec<&Object> =
            object.tags.iter().filter_map(|id| self.store.get(Kind::Tag, *id)).collect();
        if self.store.version != Version::V4_2 {
            tags.sort_by_key(|tag| tag.text("name"));
        }
        tags.into_iter().map(|tag| self.full(tag, &shown)).collect()
    }

    fn answer(&self, object: &Object, field: &Field) -> Value {
        let value = object.value(field.name);
        match field.shape {
            Shape::Choice(choices) => labelled(value, choices),
            Shape::One(kind, _) => self.reference(object, field.name, kind),
            Shape::Many(kind) => {
                let ids = object.list(field.name).iter().filter_map(Value::as_u64);
                ids.map(|id| self.brief(kind, id)).collect()
            }
            Shape::Object(generic) => self.generic(object, generic),
            Shape::Terminations(_) => cable_side(self, object, field),
            Shape::InterfaceMac => object
                .id_of("primary_mac_address")
                .and_then(|id| self.store.get(Kind::MacAddress, id))
                .map_or(Value::Null, |mac| mac.value("mac_address").clone()),
            Shape::Computed(how) => how(self, object),
            Shape::Count(kind, by) => {
                self.store.referring(object.kind, object.id, kind, by).len().into()
            }
            Shape::Unkept(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            Shape::Word(_) if value.as_str() == Some("") => Value::Null,
            _ => value.clone(),
        }
    }

    /// What an object refers to by a field. Primary addresses are told with a little more.
    fn reference(&self, object: &Object, field: &str, kind: Kind) -> Value {
        let Some(id) = object.id_of(field) else {
            return Value::Null;
        };
        match (object.kind, field) {
            (_, "primary_ip4" | "primary_ip6") if self.store.version >= Version::V4_6 => {
                self.primary(id)
            }
            (Kind::InventoryItem, "parent") => id.into(),
            (Kind::Interface | Kind::VmInterface, "parent" | "bridge" | "lag") => {
                self.terse(kind, id)
            }
            (Kind::IpAddress, "nat_inside") => self.terse(kind, id),
            _ => self.brief(kind, id),
        }
    }

    fn primary(&self, id: u64) -> Value {
        let names = [
            "id",
            "url",
            "display",
            "family",
            "address",
            "nat_inside",
            "nat_outside",
            "dns_name",
            "description",
        ];
        self.store.get(Kind::IpAddress, id).map_or(Value::Null, |address| {
            self.full(address, &Choose::Only(names.map(str::to_owned).to_vec()))
        })
    }

    /// The address by which a host is reached: IPv6 before IPv4, as NetBox prefers by default.
    pub(crate) fn primary_ip(&self, host: &Object) -> Value {
        let id = host.id_of("primary_ip6").or_else(|| host.id_of("primary_ip4"));
        match id {
            None => Value::Null,
            Some(id) if self.store.version < Version::V4_6 => self.brief(Kind::IpAddress, id),
            Some(id) => self.primary(id),
        }
    }

    fn generic(&self, object: &Object, generic: &Generic) -> Value {
        let kind = Kind::of_label(object.text(generic.type_field));
        let id = object.id_of(generic.id_field);
        kind.zip(id).map_or(Value::Null, |(kind, id)| self.brief(kind, id))
    }

    /// The interface that an address of either sort is assigned to.
    pub(crate) fn assigned(&self, address: &Object) -> Option<&Object> {
        let kind = Kind::of_label(address.text("assigned_object_type"))?;
        self.store.get(kind, address.id_of("assigned_object_id")?)
    }

    /// The ends of a cable.
    pub(crate) fn terminations(&self, cable: u64) -> impl Iterator<Item = &Object> {
        self.store
            .referring(Kind::Cable, cable, Kind::CableTermination, "cable")
            .into_iter()
            .filter_map(|id| self.store.get(Kind::CableTermination, id))
    }

    /// How many parents of its own kind an object has above it.
    pub(crate) fn depth(&self, object: &Object) -> usize {
        let mut depth = 0;
        let mut at = object;
        while let Some(parent) = at.id_of("parent").and_then(|id| self.store.get(object.kind, id)) {
            depth += 1;
            at = parent;
        }
        depth
    }

    /// How many objects of a kind lie in a site or location.
    pub(crate) fn scoped(&self, kind: Kind, place: &Object) -> usize {
        self.store
            .links(place.kind, place.id)
            .filter(|link| link.kind == kind && matches!(link.field, "scope_id" | "site"))
            .count()
    }

    /// How many prefixes of the same VRF lie around a prefix, and how many within it.
    pub(crate) fn prefixes_around(&self, prefix: &Object) -> (usize, usize) {
        let Some(own) = net_of(prefix, "prefix") else {
            return (0, 0);
        };
        let mut around = (0, 0);
        for other in self.store.of(Kind::Prefix) {
            if other.value("vrf") != prefix.value("vrf") {
                continue;
            }
            if let Some(net) = net_of(other, "prefix").filter(|net| *net != own) {
                around.0 += usize::from(net.covers(own));
                around.1 += usize::from(own.covers(net));
            }
        }
        around
    }

    /// The custom fields that objects of a kind have.
    pub(crate) fn fields_for(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        let label = Value::from(kind.def().label);
        self.store.of(Kind::CustomField).filter(move |cf| cf.list("object_types").contains(&label))
    }

    fn custom_fields(&self, object: &Object) -> Value {
        let mut fields: Vec<&Object> = self.fields_for(object.kind).collect();
        fields.sort_by_key(|cf| {
            (cf.text("group_name"), cf.value("weight").as_i64(), cf.text("name"))
        });
        let mut out = Map::new();
        for cf in fields {
            let value = object.custom.get(cf.text("name")).unwrap_or(&Value::Null);
            let related = Kind::of_label(cf.text("related_object_type"));
            let shown = match (cf.text("type"), related) {
                ("object", Some(kind)) => {
                    value.as_u64().map_or(Value::Null, |id| self.brief(kind, id))
                }
                ("multiobject", Some(kind)) => value.as_array().map_or(Value::Null, |ids| {
                    let ids = ids.iter().filter_map(Value::as_u64);
                    let mut found = ids.filter_map(|id| self.store.get(kind, id)).collect();
                    order::sort(self, kind, &mut found, None);
                    found.into_iter().map(|object| self.full(object, &Choose::Nested)).collect()
                }),
                ("datetime", _) => {
                    value.as_str().map_or(Value::Null, |text| text.replacen(' ', "T", 1).into())
                }
                _ => value.clone(),
            };
            out.insert(cf.text("name").to_owned(), shown);
        }
        Value::Object(out)
    }
}

fn labelled(value: &Value, choices: &[Choice]) -> Value {
    match value.as_str() {
        None | Some("") => Value::Null,
        Some(word) => {
            let found = choices.iter().find(|choice| choice.value == word);
            json!({"value": word, "label": found.map_or("", |choice| choice.label)})
        }
    }
}
