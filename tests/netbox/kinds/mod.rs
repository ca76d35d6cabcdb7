//! The table of kinds: for each kind its fields, its uniqueness, its order and
//! its filters, as NetBox 4.0.11, 4.2.9, 4.4.10, 4.6.8 and 4.7.0-beta1 have them.
//! Rules that a table cannot tell are in `checks`.

mod choices;
mod dcim;
mod display;
mod extras;
mod filters;
mod groups;
mod interface_types;
mod ipam;
mod ports;
mod virtualization;

pub(crate) use display::display;
pub(crate) use filters::UNKEPT_ANYWHERE;
pub(crate) use ports::cable_side;

use super::model::{Choice, Field, Generic, Kind, KindDef, OnDelete, Preset, Shape};
use super::store::Object;
use super::version::Version;
use super::view::View;
use serde_json::Value;

/// All kinds, in the order of [`Kind`].
pub(crate) static KINDS: [&KindDef; 27] = [
    &extras::TAG,
    &extras::CUSTOM_FIELD,
    &groups::MANUFACTURER,
    &groups::DEVICE_ROLE,
    &groups::CLUSTER_TYPE,
    &groups::TENANT,
    &groups::VRF,
    &groups::SITE,
    &groups::LOCATION,
    &dcim::DEVICE_TYPE,
    &groups::PLATFORM,
    &virtualization::CLUSTER,
    &ipam::VLAN_GROUP,
    &ipam::VLAN,
    &ipam::PREFIX,
    &ipam::IP_RANGE,
    &dcim::DEVICE,
    &virtualization::VIRTUAL_MACHINE,
    &ports::INTERFACE,
    &virtualization::VM_INTERFACE,
    &virtualization::VIRTUAL_DISK,
    &dcim::INVENTORY_ITEM,
    &dcim::MAC_ADDRESS,
    &ipam::IP_ADDRESS,
    &ipam::SERVICE,
    &ports::CABLE,
    &ports::CABLE_TERMINATION,
];

impl Kind {
    /// What the kind is.
    pub(crate) fn def(self) -> &'static KindDef {
        KINDS[self as usize]
    }

    /// The kind of a content type.
    pub(crate) fn of_label(label: &str) -> Option<Kind> {
        KINDS.iter().find(|def| def.label == label).map(|def| def.kind)
    }

    /// The number of its content type. NetBox's differ from installation to installation.
    pub(crate) fn type_id(self) -> u64 {
        self as u64 + 11
    }
}

/// The places under `/api/` that NetBox has and the stand-in has not: they are
/// answered 501, so that no test takes their absence for NetBox's.
pub(crate) const UNKEPT_PLACES: &str = "\
    circuits/ core/data-files core/data-sources core/jobs core/background- \
    dcim/cable-terminations dcim/connected-device dcim/console- dcim/device-bay \
    dcim/front-ports dcim/interface-templates dcim/inventory-item- dcim/mac-addresses/x \
    dcim/module dcim/power- dcim/rack dcim/rear-port dcim/regions dcim/site-groups \
    dcim/virtual-chassis dcim/virtual-device-contexts extras/bookmarks extras/config- \
    extras/custom-field-choice-sets extras/custom-links extras/event-rules \
    extras/export-templates extras/image-attachments extras/journal-entries \
    extras/saved-filters extras/scripts extras/tagged-objects extras/webhooks \
    ipam/aggregates ipam/asn ipam/fhrp-group ipam/rirs ipam/roles ipam/route-targets \
    ipam/service-templates ipam/vlan-translation plugins/ schema tenancy/contact \
    tenancy/tenant-groups users/groups users/owner users/permissions \
    virtualization/cluster-groups virtualization/virtual-machine-types vpn/ wireless/";

const fn field(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        since: Version::V4_0,
        until: None,
        required: false,
        null: false,
        unique: false,
        preset: Preset::Blank,
    }
}

const fn text(name: &'static str, longest: usize) -> Field {
    field(name, Shape::Text(longest))
}

const fn int(name: &'static str, least: i64, most: i64) -> Field {
    field(name, Shape::Int(least, most)).null()
}

const fn yes_no(name: &'static str, preset: bool) -> Field {
    let mut it = field(name, Shape::Bool);
    it.preset = if preset { Preset::Yes } else { Preset::No };
    it
}

const fn select(name: &'static str, choices: &'static [Choice], preset: &'static str) -> Field {
    let mut it = field(name, Shape::Choice(choices));
    it.preset = Preset::Word(preset);
    it
}

const fn maybe(name: &'static str, choices: &'static [Choice]) -> Field {
    field(name, Shape::Choice(choices)).null()
}

const fn one(name: &'static str, kind: Kind, on_delete: OnDelete) -> Field {
    field(name, Shape::One(kind, on_delete)).null()
}

const fn owned(name: &'static str, kind: Kind, on_delete: OnDelete) -> Field {
    field(name, Shape::One(kind, on_delete)).required()
}

const fn computed(name: &'static str, how: fn(&View<'_>, &Object) -> Value) -> Field {
    field(name, Shape::Computed(how))
}

const fn count(name: &'static str, kind: Kind, by: &'static str) -> Field {
    field(name, Shape::Count(kind, by))
}

const fn unkept(name: &'static str, json: &'static str) -> Field {
    field(name, Shape::Unkept(json))
}

const fn generic(name: &'static str, what: &'static Generic) -> [Field; 3] {
    [
        field(what.type_field, Shape::TypeName(what)).null(),
        field(what.id_field, Shape::TypeId(what)).null(),
        field(name, Shape::Object(what)),
    ]
}

const fn description() -> Field {
    text("description", 200)
}

const fn comments() -> Field {
    text("comments", 0)
}

const fn owner() -> Field {
    unkept("owner", "null").since(Version::V4_6)
}

impl Field {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn null(mut self) -> Self {
        self.null = true;
        self
    }

    const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    const fn since(mut self, version: Version) -> Self {
        self.since = version;
        self
    }

    const fn until(mut self, version: Version) -> Self {
        self.until = Some(version);
        self
    }

    const fn preset(mut self, preset: Preset) -> Self {
        self.preset = preset;
        self
    }
}
