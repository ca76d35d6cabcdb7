//! What other objects refer to by name.

use super::shape::Shape;
use super::{Blank, Column, Constant, Sheet};
use crate::domain::object::{Field, Kind};

const NAME: Column = Column::text(Field::Name, "name");
const SLUG: Column = Column::text(Field::Slug, "slug");
const COLOR: Column = Column::text(Field::Color, "color");
const DESCRIPTION: Column = Column::text(Field::Description, "description");
const STATUS: Column = Column::choice(Field::Status, "status");
const TENANT_OF: Column = Column::one(Field::Tenant, "tenant", Kind::Tenant);

pub(super) const TAG: Sheet =
    Sheet::new(Kind::Tag, "extras/tags", "extras.tag", &[NAME, SLUG, COLOR, DESCRIPTION]);

pub(super) const CUSTOM_FIELD: Sheet = Sheet::new(
    Kind::CustomField,
    "extras/custom-fields",
    "extras.customfield",
    &[
        NAME,
        Column::text(Field::Label, "label"),
        Column::text(Field::GroupName, "group_name"),
        DESCRIPTION,
        Column::choice(Field::Type, "type"),
        Column::shaped(Field::RelatedType, "related_object_type", Shape::Model),
        Column::new(Field::ObjectTypes, "object_types", Shape::Models, Blank::List),
    ],
)
// A person who did not ask for them sees the agent's fields only where they hold something,
// and does not find everything that an agent made by the agent's name.
.with(&[
    ("ui_visible", Constant::Word("if-set")),
    ("filter_logic", Constant::Word("exact")),
    ("search_weight", Constant::Number(0)),
]);

pub(super) const MANUFACTURER: Sheet = Sheet::new(
    Kind::Manufacturer,
    "dcim/manufacturers",
    "dcim.manufacturer",
    &[NAME, SLUG, DESCRIPTION],
);

pub(super) const DEVICE_ROLE: Sheet = Sheet::new(
    Kind::DeviceRole,
    "dcim/device-roles",
    "dcim.devicerole",
    &[NAME, SLUG, COLOR, Column::yes(Field::VmRole, "vm_role"), DESCRIPTION],
);

pub(super) const CLUSTER_TYPE: Sheet = Sheet::new(
    Kind::ClusterType,
    "virtualization/cluster-types",
    "virtualization.clustertype",
    &[NAME, SLUG, DESCRIPTION],
);

pub(super) const TENANT: Sheet =
    Sheet::new(Kind::Tenant, "tenancy/tenants", "tenancy.tenant", &[NAME, SLUG, DESCRIPTION]);

pub(super) const SITE: Sheet = Sheet::new(
    Kind::Site,
    "dcim/sites",
    "dcim.site",
    &[NAME, SLUG, STATUS, TENANT_OF, DESCRIPTION],
);

pub(super) const LOCATION: Sheet = Sheet::new(
    Kind::Location,
    "dcim/locations",
    "dcim.location",
    &[
        NAME,
        SLUG,
        Column::one(Field::Site, "site", Kind::Site),
        Column::one(Field::Parent, "parent", Kind::Location),
        STATUS,
        TENANT_OF,
        DESCRIPTION,
    ],
);

pub(super) const DEVICE_TYPE: Sheet = Sheet::new(
    Kind::DeviceType,
    "dcim/device-types",
    "dcim.devicetype",
    &[
        Column::one(Field::Manufacturer, "manufacturer", Kind::Manufacturer),
        Column::text(Field::Model, "model"),
        SLUG,
        Column::text(Field::PartNumber, "part_number"),
        DESCRIPTION,
    ],
);

pub(super) const PLATFORM: Sheet = Sheet::new(
    Kind::Platform,
    "dcim/platforms",
    "dcim.platform",
    &[
        NAME,
        SLUG,
        Column::one(Field::Manufacturer, "manufacturer", Kind::Manufacturer),
        DESCRIPTION,
    ],
);

pub(super) const CLUSTER: Sheet = Sheet::new(
    Kind::Cluster,
    "virtualization/clusters",
    "virtualization.cluster",
    &[
        NAME,
        Column::one(Field::Type, "type", Kind::ClusterType),
        STATUS,
        TENANT_OF,
        Column::one(Field::Site, "site", Kind::Site).until(4, 2),
        Column::shaped(Field::Site, "scope", Shape::Scope).since(4, 2),
        DESCRIPTION,
    ],
);
