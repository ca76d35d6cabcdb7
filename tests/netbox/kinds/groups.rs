//! What other objects are grouped by: makers, roles, cluster types, tenants,
//! VRFs, sites, locations, platforms.

use super::choices::SITE_STATUS;
use super::filters;
use super::{
    comments, computed, count, description, field, one, owned, owner, select, text, unkept, yes_no,
};
use crate::netbox::model::{Kind, KindDef, OnDelete, Preset, Shape, Sort, Unique};
use crate::netbox::version::Version;

const NAMED: &[&str] = &["id", "url", "display", "name", "slug", "description"];

pub(super) static MANUFACTURER: KindDef = KindDef {
    kind: Kind::Manufacturer,
    path: "dcim/manufacturers",
    label: "dcim.manufacturer",
    class: "Manufacturer",
    noun: "manufacturer",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required().unique(),
        field("slug", Shape::Slug).required().unique(),
        description(),
        owner(),
        comments().since(Version::V4_6),
        count("devicetype_count", Kind::DeviceType, "manufacturer"),
        unkept("moduletype_count", "0").since(Version::V4_6),
        count("inventoryitem_count", Kind::InventoryItem, "manufacturer"),
        count("platform_count", Kind::Platform, "manufacturer"),
    ],
    brief: NAMED,
    order: &[Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[],
    search: &["name", "slug", "description"],
    marked: true,
    sequential: false,
    filters: &[],
    unkept_filters: "",
};

const TOP_ROLE_NAME: &str = "A top-level device role with this name already exists.";
const TOP_ROLE_SLUG: &str = "A top-level device role with this slug already exists.";

pub(super) static DEVICE_ROLE: KindDef = KindDef {
    kind: Kind::DeviceRole,
    path: "dcim/device-roles",
    label: "dcim.devicerole",
    class: "DeviceRole",
    noun: "device role",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required().unique().until(Version::V4_4),
        field("slug", Shape::Slug).required().unique().until(Version::V4_4),
        text("name", 100).required().since(Version::V4_4),
        field("slug", Shape::Slug).required().since(Version::V4_4),
        field("color", Shape::Color).preset(Preset::Word("9e9e9e")),
        yes_no("vm_role", true),
        unkept("config_template", "null"),
        one("parent", Kind::DeviceRole, OnDelete::Cascade).since(Version::V4_4),
        description(),
        count("device_count", Kind::Device, "role"),
        count("virtualmachine_count", Kind::VirtualMachine, "role"),
        owner(),
        comments().since(Version::V4_4),
        computed("_depth", |view, role| view.depth(role).into()).since(Version::V4_4),
    ],
    brief: &[
        "id",
        "url",
        "display",
        "name",
        "slug",
        "description",
        "device_count",
        "virtualmachine_count",
        "_depth",
    ],
    order: &[Sort::Tree("name")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "dcim_devicerole_parent_name",
            &["parent", "name"],
            "Device role with this Parent and Name already exists.",
        )
        .since(Version::V4_4)
        .until(Version::V4_7),
        Unique::new("dcim_devicerole_name", &["name"], TOP_ROLE_NAME)
            .where_null(&["parent"])
            .since(Version::V4_4)
            .until(Version::V4_7),
        Unique::new(
            "dcim_devicerole_parent_slug",
            &["parent", "slug"],
            "Device role with this Parent and Slug already exists.",
        )
        .since(Version::V4_4)
        .until(Version::V4_7),
        Unique::new("dcim_devicerole_slug", &["slug"], TOP_ROLE_SLUG)
            .where_null(&["parent"])
            .since(Version::V4_4)
            .until(Version::V4_7),
        Unique::new(
            "dcim_devicerole_parent_name",
            &["parent", "name"],
            "A device role with this name already exists.",
        )
        .nulls_equal()
        .since(Version::V4_7),
        Unique::new(
            "dcim_devicerole_parent_slug",
            &["parent", "slug"],
            "A device role with this slug already exists.",
        )
        .nulls_equal()
        .since(Version::V4_7),
    ],
    search: &["name", "slug", "description"],
    marked: true,
    sequential: false,
    filters: filters::DEVICE_ROLE,
    unkept_filters: "ancestor ancestor_id config_template_id parent_id",
};

pub(super) static CLUSTER_TYPE: KindDef = KindDef {
    kind: Kind::ClusterType,
    path: "virtualization/cluster-types",
    label: "virtualization.clustertype",
    class: "ClusterType",
    noun: "cluster type",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required().unique(),
        field("slug", Shape::Slug).required().unique(),
        description(),
        owner(),
        comments().since(Version::V4_6),
        count("cluster_count", Kind::Cluster, "type"),
    ],
    brief: &["id", "url", "display", "name", "slug", "description", "cluster_count"],
    order: &[Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[],
    search: &["name", "slug", "description"],
    marked: true,
    sequential: false,
    filters: &[],
    unkept_filters: "",
};

pub(super) static TENANT: KindDef = KindDef {
    kind: Kind::Tenant,
    path: "tenancy/tenants",
    label: "tenancy.tenant",
    class: "Tenant",
    noun: "tenant",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required().unique().until(Version::V4_4),
        field("slug", Shape::Slug).required().unique().until(Version::V4_4),
        text("name", 100).required().since(Version::V4_4),
        field("slug", Shape::Slug).required().since(Version::V4_4),
        unkept("group", "null"),
        description(),
        owner(),
        comments(),
        unkept("circuit_count", "0"),
        count("device_count", Kind::Device, "tenant"),
        count("ipaddress_count", Kind::IpAddress, "tenant"),
        count("prefix_count", Kind::Prefix, "tenant"),
        unkept("rack_count", "0"),
        count("site_count", Kind::Site, "tenant"),
        count("virtualmachine_count", Kind::VirtualMachine, "tenant"),
        count("vlan_count", Kind::Vlan, "tenant"),
        count("vrf_count", Kind::Vrf, "tenant"),
        count("cluster_count", Kind::Cluster, "tenant"),
    ],
    brief: NAMED,
    order: &[Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "tenancy_tenant_unique_name",
            &["name"],
            "Constraint “tenancy_tenant_unique_name” is violated.",
        )
        .since(Version::V4_4)
        .until(Version::V4_7),
        Unique::new(
            "tenancy_tenant_unique_slug",
            &["slug"],
            "Constraint “tenancy_tenant_unique_slug” is violated.",
        )
        .since(Version::V4_4)
        .until(Version::V4_7),
        Unique::new(
            "tenancy_tenant_unique_name",
            &["name"],
            "Tenant name must be unique per group.",
        )
        .since(Version::V4_7),
        Unique::new(
            "tenancy_tenant_unique_slug",
            &["slug"],
            "Tenant slug must be unique per group.",
        )
        .since(Version::V4_7),
    ],
    search: &["name", "slug", "description", "comments"],
    marked: true,
    sequential: false,
    filters: &[],
    unkept_filters: "group group_id",
};

pub(super) static VRF: KindDef = KindDef {
    kind: Kind::Vrf,
    path: "ipam/vrfs",
    label: "ipam.vrf",
    class: "VRF",
    noun: "VRF",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required(),
        text("rd", 21).null().unique(),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        yes_no("enforce_unique", true),
        description(),
        owner(),
        comments(),
        unkept("import_targets", "[]"),
        unkept("export_targets", "[]"),
        count("ipaddress_count", Kind::IpAddress, "vrf"),
        count("prefix_count", Kind::Prefix, "vrf"),
    ],
    brief: &["id", "url", "display", "name", "rd", "description", "prefix_count"],
    order: &[Sort::Natural("name"), Sort::Plain("rd"), Sort::Id],
    order_since_4_7: None,
    unique: &[],
    search: &["name", "rd", "description"],
    marked: true,
    sequential: false,
    filters: filters::OF_TENANT,
    unkept_filters: "export_target export_target_id import_target import_target_id",
};

pub(super) static SITE: KindDef = KindDef {
    kind: Kind::Site,
    path: "dcim/sites",
    label: "dcim.site",
    class: "Site",
    noun: "site",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required().unique(),
        field("slug", Shape::Slug).required().unique(),
        select("status", SITE_STATUS, "active"),
        unkept("region", "null"),
        unkept("group", "null"),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        text("facility", 50),
        unkept("time_zone", "null"),
        description(),
        text("physical_address", 200),
        text("shipping_address", 200),
        unkept("latitude", "null"),
        unkept("longitude", "null"),
        owner(),
        comments(),
        unkept("asns", "[]"),
        unkept("circuit_count", "0"),
        count("device_count", Kind::Device, "site"),
        computed("prefix_count", |view, site| view.scoped(Kind::Prefix, site).into()),
        unkept("rack_count", "0"),
        count("virtualmachine_count", Kind::VirtualMachine, "site"),
        count("vlan_count", Kind::Vlan, "site"),
    ],
    brief: NAMED,
    order: &[Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[],
    search: &["name", "facility", "description", "comments"],
    marked: true,
    sequential: false,
    filters: filters::OF_TENANT,
    unkept_filters: "asn asn_id group group_id latitude longitude time_zone",
};

const PLACE_NAME: &str = "A location with this name already exists within the specified site.";
const PLACE_SLUG: &str = "A location with this slug already exists within the specified site.";

pub(super) static LOCATION: KindDef = KindDef {
    kind: Kind::Location,
    path: "dcim/locations",
    label: "dcim.location",
    class: "Location",
    noun: "location",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required(),
        field("slug", Shape::Slug).required(),
        owned("site", Kind::Site, OnDelete::Cascade),
        one("parent", Kind::Location, OnDelete::Cascade),
        select("status", SITE_STATUS, "active"),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        text("facility", 50),
        description(),
        unkept("rack_count", "0"),
        count("device_count", Kind::Device, "location"),
        computed("prefix_count", |view, place| view.scoped(Kind::Prefix, place).into())
            .since(Version::V4_2),
        owner(),
        comments().since(Version::V4_4),
        computed("_depth", |view, place| view.depth(place).into()),
    ],
    brief: &["id", "url", "display", "name", "slug", "description", "rack_count", "_depth"],
    order: &[Sort::Tree("name")],
    order_since_4_7: Some(&[Sort::Via("site"), Sort::Tree("name")]),
    unique: &[
        Unique::new(
            "dcim_location_parent_name",
            &["site", "parent", "name"],
            "Location with this Site, Parent and Name already exists.",
        )
        .until(Version::V4_7),
        Unique::new("dcim_location_name", &["site", "name"], PLACE_NAME)
            .where_null(&["parent"])
            .until(Version::V4_7),
        Unique::new(
            "dcim_location_parent_slug",
            &["site", "parent", "slug"],
            "Location with this Site, Parent and Slug already exists.",
        )
        .until(Version::V4_7),
        Unique::new("dcim_location_slug", &["site", "slug"], PLACE_SLUG)
            .where_null(&["parent"])
            .until(Version::V4_7),
        Unique::new("dcim_location_parent_name", &["site", "parent", "name"], PLACE_NAME)
            .nulls_equal()
            .since(Version::V4_7),
        Unique::new("dcim_location_parent_slug", &["site", "parent", "slug"], PLACE_SLUG)
            .nulls_equal()
            .since(Version::V4_7),
    ],
    search: &["name", "facility", "description"],
    marked: true,
    sequential: false,
    filters: filters::LOCATION,
    unkept_filters: "ancestor ancestor_id parent_id",
};

pub(super) static PLATFORM: KindDef = KindDef {
    kind: Kind::Platform,
    path: "dcim/platforms",
    label: "dcim.platform",
    class: "Platform",
    noun: "platform",
    since: Version::V4_0,
    fields: &[
        one("parent", Kind::Platform, OnDelete::Cascade).since(Version::V4_4),
        text("name", 100).required().unique().until(Version::V4_4),
        field("slug", Shape::Slug).required().unique().until(Version::V4_4),
        text("name", 100).required().since(Version::V4_4),
        field("slug", Shape::Slug).required().since(Version::V4_4),
        one("manufacturer", Kind::Manufacturer, OnDelete::Protect),
        unkept("config_template", "null"),
        description(),
        owner(),
        comments().since(Version::V4_4),
        count("device_count", Kind::Device, "platform"),
        count("virtualmachine_count", Kind::VirtualMachine, "platform"),
        computed("_depth", |view, platform| view.depth(platform).into()).since(Version::V4_4),
    ],
    brief: &[
        "id",
        "url",
        "display",
        "name",
        "slug",
        "description",
        "device_count",
        "virtualmachine_count",
        "_depth",
    ],
    order: &[Sort::Tree("name")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "dcim_platform_manufacturer_name",
            &["manufacturer", "name"],
            "Platform with this Manufacturer and Name already exists.",
        )
        .since(Version::V4_4)
        .until(Version::V4_7),
        Unique::new("dcim_platform_name", &["name"], "Platform name must be unique.")
            .where_null(&["manufacturer"])
            .since(Version::V4_4)
            .until(Version::V4_7),
        Unique::new(
            "dcim_platform_manufacturer_slug",
            &["manufacturer", "slug"],
            "Platform with this Manufacturer and Slug already exists.",
        )
        .since(Version::V4_4)
        .until(Version::V4_7),
        Unique::new("dcim_platform_slug", &["slug"], "Platform slug must be unique.")
            .where_null(&["manufacturer"])
            .since(Version::V4_4)
            .until(Version::V4_7),
        Unique::new(
            "dcim_platform_manufacturer_name",
            &["manufacturer", "name"],
            "Platform name must be unique.",
        )
        .nulls_equal()
        .since(Version::V4_7),
        Unique::new(
            "dcim_platform_manufacturer_slug",
            &["manufacturer", "slug"],
            "Platform slug must be unique.",
        )
        .nulls_equal()
        .since(Version::V4_7),
    ],
    search: &["name", "slug", "description"],
    marked: true,
    sequential: false,
    filters: filters::PLATFORM,
    unkept_filters: "\
        ancestor ancestor_id available_for_device_type config_template_id manufacturer \
        manufacturer_id parent_id",
};
