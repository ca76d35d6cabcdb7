//! The one table of kinds: where each stands in NetBox's API, and how each of its
//! fields is called and shaped there, by version. What is not in it is neither
//! read nor written.

mod addressing;
mod catalog;
mod hosts;
mod shape;

use std::fmt::Write as _;

use super::version::Version;
use crate::domain::desire::MARKS;
use crate::domain::object::{Field, Kind};

pub(super) use shape::{Blank, Body, Shape};

/// A kind of object in NetBox's API.
#[derive(Debug)]
pub(super) struct Sheet {
    pub kind: Kind,
    /// Its place under `/api/`.
    pub endpoint: &'static str,
    /// What NetBox calls it in generic references and permissions.
    pub model: &'static str,
    /// The version that brought it.
    pub since: Version,
    columns: &'static [Column],
    /// What NetBox fetches at once when asked for it, and else object by object while it
    /// updates one: asking for it with an update makes that a quarter cheaper.
    prefetched: &'static [&'static str],
    /// What new objects get besides their fields.
    pub constants: &'static [(&'static str, Constant)],
}

/// A value that every new object of a kind gets.
#[derive(Debug, Clone, Copy)]
pub(super) enum Constant {
    Yes,
    Word(&'static str),
    /// A whole number.
    Number(u16),
}

/// A field of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub field: Field,
    /// Its name in JSON; of a pair of names, what they have in common.
    pub name: &'static str,
    pub shape: Shape,
    /// How it is emptied.
    pub blank: Blank,
    since: Version,
    until: Option<Version>,
}

impl Column {
    const fn new(field: Field, name: &'static str, shape: Shape, blank: Blank) -> Self {
        Column { field, name, shape, blank, since: Version::OLDEST, until: None }
    }

    /// A text that is emptied with an empty text.
    const fn text(field: Field, name: &'static str) -> Self {
        Column::new(field, name, Shape::Text, Blank::Empty)
    }

    /// A choice by its value, which cannot be emptied.
    const fn choice(field: Field, name: &'static str) -> Self {
        Column::new(field, name, Shape::Choice, Blank::Null)
    }

    const fn yes(field: Field, name: &'static str) -> Self {
        Column::new(field, name, Shape::Yes, Blank::Null)
    }

    const fn number(field: Field, name: &'static str) -> Self {
        Column::new(field, name, Shape::Number, Blank::Null)
    }

    const fn one(field: Field, name: &'static str, kind: Kind) -> Self {
        Column::new(field, name, Shape::One(kind), Blank::Null)
    }

    const fn many(field: Field, name: &'static str, kind: Kind) -> Self {
        Column::new(field, name, Shape::Many(kind), Blank::List)
    }

    const fn shaped(field: Field, name: &'static str, shape: Shape) -> Self {
        Column::new(field, name, shape, Blank::Null)
    }

    /// Emptied with `null` where others of its shape are emptied otherwise.
    const fn nullable(mut self) -> Self {
        self.blank = Blank::Null;
        self
    }

    const fn emptied_with_text(mut self) -> Self {
        self.blank = Blank::Empty;
        self
    }

    const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = Version::of(major, minor);
        self
    }

    const fn until(mut self, major: u16, minor: u16) -> Self {
        self.until = Some(Version::of(major, minor));
        self
    }

    fn lives(&self, version: Version) -> bool {
        version >= self.since && self.until.is_none_or(|until| version < until)
    }
}

const TAGS: Column = Column::many(Field::Tags, "tags", Kind::Tag);

const fn mark(place: usize) -> Column {
    let mark = &MARKS[place];
    let shape = match mark.refers_to {
        Some(kind) => Shape::CustomOne(kind),
        None => Shape::CustomText,
    };
    Column::new(mark.field, mark.name, shape, Blank::Null)
}

/// The tags and marks of every kind that carries them, and of devices besides.
const COMMON: [Column; 4] = [TAGS, mark(0), mark(1), mark(2)];
const OF_DEVICES: [Column; 1] = [mark(3)];

const _: () = assert!(MARKS.len() == 4, "every mark has its column");

impl Sheet {
    const fn new(
        kind: Kind,
        endpoint: &'static str,
        model: &'static str,
        columns: &'static [Column],
    ) -> Self {
        Sheet {
            kind,
            endpoint,
            model,
            since: Version::OLDEST,
            columns,
            prefetched: &[],
            constants: &[],
        }
    }

    const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = Version::of(major, minor);
        self
    }

    const fn prefetching(mut self, names: &'static [&'static str]) -> Self {
        self.prefetched = names;
        self
    }

    const fn with(mut self, constants: &'static [(&'static str, Constant)]) -> Self {
        self.constants = constants;
        self
    }

    /// The fields that a version has.
    pub(super) fn columns(&self, version: Version) -> impl Iterator<Item = &'static Column> {
        let common: &'static [Column] = if self.kind.is_marked() { &COMMON } else { &[] };
        let of_devices: &'static [Column] =
            if self.kind == Kind::Device { &OF_DEVICES } else { &[] };
        self.columns
            .iter()
            .chain(common)
            .chain(of_devices)
            .filter(move |column| column.lives(version))
    }

    pub(super) fn column(&self, version: Version, field: Field) -> Option<&'static Column> {
        self.columns(version).find(|column| column.field == field)
    }

    /// Whether a field refers to objects of several kinds, by a kind and an id.
    pub(super) fn has_generic(&self, version: Version) -> bool {
        self.columns(version).any(|column| column.shape.is_generic())
    }

    /// What to ask for with `fields=` to read everything.
    pub(super) fn reading(&self, version: Version) -> String {
        let all: Vec<Field> = self.columns(version).map(|column| column.field).collect();
        self.asking(version, &all)
    }

    /// What to ask for with `fields=` to read some fields, the id and the stamp.
    pub(super) fn asking(&self, version: Version, fields: &[Field]) -> String {
        let mut names = vec!["id".to_owned()];
        for column in self.columns(version).filter(|column| fields.contains(&column.field)) {
            for name in column.shape.names(column.name) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.push("last_updated".to_owned());
        names.join(",")
    }

    /// What to ask for with `fields=` when new objects are written with these names. It
    /// limits what NetBox takes as well as what it answers, so nothing may be missing.
    pub(super) fn making<'n>(&self, names: impl Iterator<Item = &'n str>) -> String {
        let mut all = String::from("id,last_updated");
        for name in names {
            let _ = write!(all, ",{name}");
        }
        all
    }

    /// What to ask for with `fields=` when an update writes these names.
    pub(super) fn updating<'n>(&self, names: impl Iterator<Item = &'n str>) -> String {
        self.making(names.chain(self.prefetched.iter().copied()))
    }
}

/// The sheet of a kind.
pub(super) fn sheet(kind: Kind) -> &'static Sheet {
    match kind {
        Kind::Tag => &catalog::TAG,
        Kind::CustomField => &catalog::CUSTOM_FIELD,
        Kind::Manufacturer => &catalog::MANUFACTURER,
        Kind::DeviceRole => &catalog::DEVICE_ROLE,
        Kind::ClusterType => &catalog::CLUSTER_TYPE,
        Kind::Tenant => &catalog::TENANT,
        Kind::Site => &catalog::SITE,
        Kind::Location => &catalog::LOCATION,
        Kind::DeviceType => &catalog::DEVICE_TYPE,
        Kind::Platform => &catalog::PLATFORM,
        Kind::Cluster => &catalog::CLUSTER,
        Kind::Vrf => &addressing::VRF,
        Kind::VlanGroup => &addressing::VLAN_GROUP,
        Kind::Vlan => &addressing::VLAN,
        Kind::Prefix => &addressing::PREFIX,
        Kind::IpRange => &addressing::IP_RANGE,
        Kind::MacAddress => &addressing::MAC_ADDRESS,
        Kind::IpAddress => &addressing::IP_ADDRESS,
        Kind::Service => &addressing::SERVICE,
        Kind::Device => &hosts::DEVICE,
        Kind::VirtualMachine => &hosts::VIRTUAL_MACHINE,
        Kind::Interface => &hosts::INTERFACE,
        Kind::VmInterface => &hosts::VM_INTERFACE,
        Kind::VirtualDisk => &hosts::VIRTUAL_DISK,
        Kind::InventoryItem => &hosts::INVENTORY_ITEM,
        Kind::Cable => &hosts::CABLE,
    }
}

/// The kind that NetBox calls so.
pub(super) fn kind_of(model: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| sheet(*kind).model == model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_its_own_sheet_place_and_model() {
        let mut places = BTreeSet::new();
        for kind in Kind::ALL {
            let sheet = sheet(*kind);
            assert_eq!(sheet.kind, *kind);
            assert!(places.insert(sheet.endpoint), "{}", sheet.endpoint);
            assert_eq!(kind_of(sheet.model), Some(*kind));
        }
    }

    #[test]
    fn no_version_has_a_field_twice() {
        for version in (0..=7).map(|minor| Version::of(4, minor)) {
            for kind in Kind::ALL {
                let mut seen = BTreeSet::new();
                for column in sheet(*kind).columns(version) {
                    assert!(seen.insert(column.field), "{kind} {} in {version}", column.field);
                }
            }
        }
    }

    #[test]
    fn every_field_that_waits_or_marks_has_a_column_where_the_kind_exists() {
        let now = Version::of(4, 7);
        for kind in Kind::ALL.iter().filter(|kind| kind.is_marked()) {
            for mark in MARKS.iter().filter(|mark| mark.refers_to.is_none()) {
                assert!(sheet(*kind).column(now, mark.field).is_some(), "{kind} {}", mark.name);
            }
        }
        for (kind, field) in [
            (Kind::Device, Field::Via),
            (Kind::Device, Field::PrimaryIp4),
            (Kind::VirtualMachine, Field::PrimaryIp6),
            (Kind::Interface, Field::PrimaryMac),
            (Kind::VmInterface, Field::PrimaryMac),
            (Kind::Interface, Field::Lag),
            (Kind::VmInterface, Field::Parent),
        ] {
            assert!(field.waits(kind), "{kind} {field}");
            assert!(sheet(kind).column(now, field).is_some(), "{kind} {field}");
        }
    }

    #[test]
    fn what_a_version_does_not_have_is_not_asked_for() {
        let asked = |kind, minor| sheet(kind).reading(Version::of(4, minor));
        insta::assert_snapshot!(asked(Kind::Prefix, 0), @"id,prefix,vrf,tenant,vlan,status,site,description,tags,custom_fields,last_updated");
        insta::assert_snapshot!(asked(Kind::Prefix, 2), @"id,prefix,vrf,tenant,vlan,status,scope_type,scope_id,description,tags,custom_fields,last_updated");
        insta::assert_snapshot!(asked(Kind::Service, 2), @"id,device,virtual_machine,name,protocol,ports,description,tags,custom_fields,last_updated");
        insta::assert_snapshot!(asked(Kind::Service, 3), @"id,parent_object_type,parent_object_id,name,protocol,ports,description,tags,custom_fields,last_updated");
        assert!(asked(Kind::Interface, 1).contains(",mac_address,"));
        assert!(asked(Kind::Interface, 2).contains(",primary_mac_address,"));
    }
}
