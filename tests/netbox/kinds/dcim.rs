//! Device types, devices, what is inside them, and MAC addresses.

use super::choices::{DEVICE_STATUS, ITEM_STATUS};
use super::filters;
use super::{
    comments, computed, count, description, field, generic, one, owned, owner, select, text,
    unkept, yes_no,
};
use crate::netbox::model::{Generic, Kind, KindDef, OnDelete, Preset, Shape, Sort, Unique};
use crate::netbox::version::Version;
use serde_json::{Value, json};

pub(super) static DEVICE_TYPE: KindDef = KindDef {
    kind: Kind::DeviceType,
    path: "dcim/device-types",
    label: "dcim.devicetype",
    class: "DeviceType",
    noun: "device type",
    since: Version::V4_0,
    fields: &[
        owned("manufacturer", Kind::Manufacturer, OnDelete::Protect),
        one("default_platform", Kind::Platform, OnDelete::SetNull),
        text("model", 100).required(),
        field("slug", Shape::Slug).required(),
        text("part_number", 50),
        field("u_height", Shape::Decimal(1, 0.0)).preset(Preset::Json("1.0")),
        yes_no("exclude_from_utilization", false),
        yes_no("is_full_depth", true),
        unkept("subdevice_role", "null"),
        unkept("airflow", "null"),
        unkept("weight", "null"),
        unkept("weight_unit", "null"),
        unkept("front_image", "null"),
        unkept("rear_image", "null"),
        description(),
        unkept("cooling_method", "null").since(Version::V4_7),
        unkept("end_of_life", "null").since(Version::V4_7),
        owner(),
        comments(),
        count("device_count", Kind::Device, "device_type"),
        unkept("console_port_template_count", "0"),
        unkept("console_server_port_template_count", "0"),
        unkept("power_port_template_count", "0"),
        unkept("power_outlet_template_count", "0"),
        unkept("interface_template_count", "0"),
        unkept("front_port_template_count", "0"),
        unkept("rear_port_template_count", "0"),
        unkept("device_bay_template_count", "0"),
        unkept("module_bay_template_count", "0"),
        unkept("inventory_item_template_count", "0"),
        unkept("cooling_intake_template_count", "0").since(Version::V4_7),
        unkept("cooling_outflow_template_count", "0").since(Version::V4_7),
    ],
    brief: &[
        "id",
        "url",
        "display",
        "manufacturer",
        "model",
        "slug",
        "description",
        "device_count",
    ],
    order: &[Sort::Via("manufacturer"), Sort::Natural("model")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "dcim_devicetype_unique_manufacturer_model",
            &["manufacturer", "model"],
            "Device type with this Manufacturer and Model already exists.",
        ),
        Unique::new(
            "dcim_devicetype_unique_manufacturer_slug",
            &["manufacturer", "slug"],
            "Device type with this Manufacturer and Slug already exists.",
        ),
    ],
    search: &["manufacturer", "model", "part_number", "description", "comments"],
    marked: true,
    sequential: false,
    filters: filters::DEVICE_TYPE,
    unkept_filters: "\
        airflow console_port_template_count console_ports console_server_port_template_count \
        console_server_ports cooling_intake_template_count cooling_method \
        cooling_outflow_template_count default_platform default_platform_id \
        device_bay_template_count device_bays device_count end_of_life \
        front_port_template_count has_front_image has_rear_image interface_template_count \
        interfaces inventory_item_template_count inventory_items module_bay_template_count \
        module_bays pass_through_ports power_outlet_template_count power_outlets \
        power_port_template_count power_ports rear_port_template_count subdevice_role weight \
        weight_unit",
};

pub(super) static DEVICE: KindDef = KindDef {
    kind: Kind::Device,
    path: "dcim/devices",
    label: "dcim.device",
    class: "Device",
    noun: "device",
    since: Version::V4_0,
    fields: &[
        text("name", 64).null(),
        owned("device_type", Kind::DeviceType, OnDelete::Protect),
        owned("role", Kind::DeviceRole, OnDelete::Protect),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        one("platform", Kind::Platform, OnDelete::SetNull),
        text("serial", 50),
        text("asset_tag", 50).null().unique(),
        owned("site", Kind::Site, OnDelete::Protect),
        one("location", Kind::Location, OnDelete::Protect),
        unkept("rack", "null"),
        unkept("position", "null"),
        unkept("face", "null"),
        unkept("latitude", "null"),
        unkept("longitude", "null"),
        unkept("parent_device", "null"),
        select("status", DEVICE_STATUS, "active"),
        unkept("airflow", "null"),
        unkept("cooling_method", "null").since(Version::V4_7),
        computed("primary_ip", |view, device| view.primary_ip(device)),
        one("primary_ip4", Kind::IpAddress, OnDelete::SetNull),
        one("primary_ip6", Kind::IpAddress, OnDelete::SetNull),
        one("oob_ip", Kind::IpAddress, OnDelete::SetNull),
        one("cluster", Kind::Cluster, OnDelete::SetNull),
        unkept("virtual_chassis", "null"),
        unkept("vc_position", "null"),
        unkept("vc_priority", "null"),
        description(),
        owner(),
        comments(),
        unkept("config_template", "null"),
        unkept("config_context", "{}"),
        field("local_context_data", Shape::Json).null(),
        unkept("console_port_count", "0"),
        unkept("console_server_port_count", "0"),
        unkept("power_port_count", "0"),
        unkept("power_outlet_count", "0"),
        count("interface_count", Kind::Interface, "device"),
        unkept("front_port_count", "0"),
        unkept("rear_port_count", "0"),
        unkept("device_bay_count", "0"),
        unkept("module_bay_count", "0"),
        count("inventory_item_count", Kind::InventoryItem, "device"),
        unkept("cooling_intake_count", "0").since(Version::V4_7),
        unkept("cooling_outflow_count", "0").since(Version::V4_7),
    ],
    brief: &["id", "url", "display", "name", "description"],
    order: &[Sort::Natural("name"), Sort::Id],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "dcim_device_unique_name_site_tenant",
            &["name", "site", "tenant"],
            "Constraint “dcim_device_unique_name_site_tenant” is violated.",
        )
        .lower()
        .until(Version::V4_7),
        Unique::new(
            "dcim_device_unique_name_site",
            &["name", "site"],
            "Device name must be unique per site.",
        )
        .lower()
        .where_null(&["tenant"])
        .until(Version::V4_7),
        Unique::new(
            "dcim_device_unique_name_site_tenant",
            &["name", "site", "tenant"],
            "Device name must be unique per site and tenant.",
        )
        .lower()
        .nulls_equal()
        .where_set(&["name"])
        .since(Version::V4_7),
        Unique::new(
            "dcim_device_primary_ip4_id_key",
            &["primary_ip4"],
            "Device with this Primary IPv4 already exists.",
        )
        .until(Version::V4_6),
        Unique::new("dcim_device_primary_ip4_id_key", &["primary_ip4"], "").since(Version::V4_6),
        Unique::new(
            "dcim_device_primary_ip6_id_key",
            &["primary_ip6"],
            "Device with this Primary IPv6 already exists.",
        )
        .until(Version::V4_6),
        Unique::new("dcim_device_primary_ip6_id_key", &["primary_ip6"], "").since(Version::V4_6),
        Unique::new(
            "dcim_device_oob_ip_id_key",
            &["oob_ip"],
            "Device with this Out-of-band IP already exists.",
        )
        .until(Version::V4_6),
        Unique::new("dcim_device_oob_ip_id_key", &["oob_ip"], "").since(Version::V4_6),
    ],
    search: &[
        "name",
        "serial",
        "asset_tag",
        "description",
        "comments",
        "primary_ip4",
        "primary_ip6",
    ],
    marked: true,
    sequential: true,
    filters: filters::DEVICE,
    unkept_filters: filters::UNKEPT_OF_DEVICE,
};

pub(super) static COMPONENT: Generic = Generic {
    type_field: "component_type",
    id_field: "component_id",
    to: &[Kind::Interface],
    on_delete: OnDelete::Nothing,
};

const COMPONENT_FIELDS: [crate::netbox::model::Field; 3] = generic("component", &COMPONENT);

pub(super) static INVENTORY_ITEM: KindDef = KindDef {
    kind: Kind::InventoryItem,
    path: "dcim/inventory-items",
    label: "dcim.inventoryitem",
    class: "InventoryItem",
    noun: "inventory item",
    since: Version::V4_0,
    fields: &[
        owned("device", Kind::Device, OnDelete::Cascade),
        one("parent", Kind::InventoryItem, OnDelete::Cascade),
        text("name", 64).required(),
        text("label", 64),
        select("status", ITEM_STATUS, "active").since(Version::V4_2),
        unkept("role", "null"),
        one("manufacturer", Kind::Manufacturer, OnDelete::Protect),
        text("part_id", 50),
        text("serial", 50),
        text("asset_tag", 50).null().unique(),
        yes_no("discovered", false),
        description(),
        COMPONENT_FIELDS[0],
        COMPONENT_FIELDS[1],
        COMPONENT_FIELDS[2],
        owner(),
        computed("_depth", |view, item| view.depth(item).into()),
    ],
    brief: &["id", "url", "display", "device", "name", "description", "_depth"],
    order: &[Sort::Tree("id")],
    order_since_4_7: Some(&[Sort::Natural("name"), Sort::Id]),
    unique: &[Unique::new(
        "dcim_inventoryitem_unique_device_parent_name",
        &["device", "parent", "name"],
        "Inventory item with this Device, Parent and Name already exists.",
    )],
    search: &["name", "part_id", "serial", "asset_tag", "description"],
    marked: true,
    sequential: false,
    filters: filters::INVENTORY_ITEM,
    unkept_filters: "\
        component_id component_type device_role device_role_id device_status device_type \
        device_type_id location location_id manufacturer manufacturer_id parent_id rack \
        rack_id role role_id tenant tenant_id virtual_chassis virtual_chassis_id",
};

/// Where an address of either sort can be assigned.
pub(super) static ASSIGNED: Generic = Generic {
    type_field: "assigned_object_type",
    id_field: "assigned_object_id",
    to: &[Kind::Interface, Kind::VmInterface],
    on_delete: OnDelete::Cascade,
};

const ASSIGNED_FIELDS: [crate::netbox::model::Field; 3] = generic("assigned_object", &ASSIGNED);

pub(super) static MAC_ADDRESS: KindDef = KindDef {
    kind: Kind::MacAddress,
    path: "dcim/mac-addresses",
    label: "dcim.macaddress",
    class: "MACAddress",
    noun: "MAC address",
    since: Version::V4_2,
    fields: &[
        field("mac_address", Shape::Mac).required(),
        ASSIGNED_FIELDS[0],
        ASSIGNED_FIELDS[1],
        ASSIGNED_FIELDS[2],
        computed("is_primary", |view, mac| {
            let primary = view.assigned(mac).and_then(|port| port.id_of("primary_mac_address"));
            Value::Bool(primary == Some(mac.id))
        })
        .since(Version::V4_7),
        description(),
        owner(),
        comments(),
    ],
    brief: &["id", "url", "display", "mac_address", "description"],
    order: &[Sort::Plain("mac_address"), Sort::Id],
    order_since_4_7: None,
    unique: &[],
    search: &["mac_address"],
    marked: true,
    sequential: false,
    filters: filters::MAC_ADDRESS,
    unkept_filters: "assigned interface primary vminterface",
};

/// The family of an address field, as NetBox answers it.
pub(super) fn family(of: &str) -> Value {
    if of.contains(':') {
        json!({"value": 6, "label": "IPv6"})
    } else {
        json!({"value": 4, "label": "IPv4"})
    }
}
