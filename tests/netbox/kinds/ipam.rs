//! VLANs, prefixes, ranges, addresses and services.

use super::choices::{ADDRESS_ROLE, ADDRESS_STATUS, PREFIX_STATUS, PROTOCOL, VLAN_STATUS};
use super::dcim::{ASSIGNED, family};
use super::filters;
use super::{
    comments, computed, count, description, field, generic, maybe, one, owner, select, text,
    unkept, yes_no,
};
use crate::netbox::model::{Field, Generic, Kind, KindDef, OnDelete, Preset, Shape, Sort, Unique};
use crate::netbox::store::Object;
use crate::netbox::version::Version;
use crate::netbox::view::View;
use serde_json::{Value, json};

/// Where prefixes and clusters can lie since 4.2.
pub(crate) static SCOPE: Generic = Generic {
    type_field: "scope_type",
    id_field: "scope_id",
    to: &[Kind::Site, Kind::Location],
    on_delete: OnDelete::Cascade,
};

/// The fields of a scope as prefixes and clusters have it.
pub(super) const fn scope_fields() -> [Field; 3] {
    let [kind, id, object] = generic("scope", &SCOPE);
    [kind.since(Version::V4_2), id.since(Version::V4_2), object.since(Version::V4_2)]
}

/// The site that a scope lies in. Kept by NetBox's database, never answered.
pub(super) const SCOPE_CACHE: Field = field("_site", Shape::Hidden).null().since(Version::V4_2);

/// Where VLAN groups can lie.
pub(super) static GROUP_SCOPE: Generic = Generic {
    type_field: "scope_type",
    id_field: "scope_id",
    to: &[Kind::Site, Kind::Location, Kind::Cluster],
    on_delete: OnDelete::Cascade,
};

const GROUP_SCOPE_FIELDS: [Field; 3] = generic("scope", &GROUP_SCOPE);
const PREFIX_SCOPE_FIELDS: [Field; 3] = scope_fields();

/// How many of a group's VLAN ids are taken, in percent.
fn utilization(view: &View<'_>, group: &Object) -> Value {
    let taken = view.store.referring(Kind::VlanGroup, group.id, Kind::Vlan, "group").len();
    #[expect(clippy::cast_precision_loss, reason = "there are 4094 VLAN ids")]
    let share = taken as f64 / 4094.0 * 100.0;
    let rounded = (share * 100.0).round() / 100.0;
    if rounded == 0.0 { "0.0".into() } else { rounded.to_string().into() }
}

pub(super) static VLAN_GROUP: KindDef = KindDef {
    kind: Kind::VlanGroup,
    path: "ipam/vlan-groups",
    label: "ipam.vlangroup",
    class: "VLANGroup",
    noun: "VLAN group",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required(),
        field("slug", Shape::Slug).required(),
        GROUP_SCOPE_FIELDS[0],
        GROUP_SCOPE_FIELDS[1],
        GROUP_SCOPE_FIELDS[2],
        field("min_vid", Shape::Int(1, 4094)).preset(Preset::Number(1)).until(Version::V4_2),
        field("max_vid", Shape::Int(1, 4094)).preset(Preset::Number(4094)).until(Version::V4_2),
        field("vid_ranges", Shape::VidRanges)
            .preset(Preset::Json("[[1, 4094]]"))
            .since(Version::V4_2),
        computed("total_vlan_ids", |_, group| {
            let range = |pair: &Value| Some(pair.get(1)?.as_i64()? - pair.get(0)?.as_i64()? + 1);
            group.list("vid_ranges").iter().filter_map(range).sum::<i64>().into()
        })
        .since(Version::V4_6),
        one("tenant", Kind::Tenant, OnDelete::Protect).since(Version::V4_4),
        description(),
        owner(),
        comments().since(Version::V4_6),
        count("vlan_count", Kind::Vlan, "group"),
        computed("utilization", utilization),
    ],
    brief: &["id", "url", "display", "name", "slug", "description", "vlan_count"],
    order: &[Sort::Natural("name"), Sort::Id],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "ipam_vlangroup_unique_scope_name",
            &["scope_type", "scope_id", "name"],
            "VLAN group with this Scope type, Scope id and Name already exists.",
        ),
        Unique::new(
            "ipam_vlangroup_unique_scope_slug",
            &["scope_type", "scope_id", "slug"],
            "VLAN group with this Scope type, Scope id and Slug already exists.",
        ),
    ],
    search: &["name", "slug", "description"],
    marked: true,
    sequential: false,
    filters: filters::VLAN_GROUP,
    unkept_filters: "\
        cluster cluster_group clustergroup contains_vid location rack rack_group scope_id \
        scope_type sitegroup total_vlan_ids",
};

pub(super) static VLAN: KindDef = KindDef {
    kind: Kind::Vlan,
    path: "ipam/vlans",
    label: "ipam.vlan",
    class: "VLAN",
    noun: "VLAN",
    since: Version::V4_0,
    fields: &[
        one("site", Kind::Site, OnDelete::Protect),
        one("group", Kind::VlanGroup, OnDelete::Protect),
        field("vid", Shape::Int(1, 4094)).required(),
        text("name", 64).required(),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        select("status", VLAN_STATUS, "active"),
        unkept("role", "null"),
        description(),
        unkept("qinq_role", "null").since(Version::V4_2),
        unkept("qinq_svlan", "null").since(Version::V4_2),
        owner(),
        comments(),
        unkept("l2vpn_termination", "null"),
        count("prefix_count", Kind::Prefix, "vlan"),
    ],
    brief: &["id", "url", "display", "vid", "name", "description"],
    order: &[Sort::Via("site"), Sort::Via("group"), Sort::Plain("vid"), Sort::Id],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "ipam_vlan_unique_group_vid",
            &["group", "vid"],
            "VLAN with this Group and VLAN ID already exists.",
        ),
        Unique::new(
            "ipam_vlan_unique_group_name",
            &["group", "name"],
            "VLAN with this Group and Name already exists.",
        ),
    ],
    search: &["vid", "name", "description"],
    marked: true,
    sequential: false,
    filters: filters::VLAN,
    unkept_filters: "\
        available_at_site available_at_site_group available_on_device \
        available_on_virtualmachine interface_id l2vpn l2vpn_id qinq_role qinq_svlan_id \
        qinq_svlan_vid role role_id vminterface_id",
};

pub(super) static PREFIX: KindDef = KindDef {
    kind: Kind::Prefix,
    path: "ipam/prefixes",
    label: "ipam.prefix",
    class: "Prefix",
    noun: "prefix",
    since: Version::V4_0,
    fields: &[
        computed("family", |_, prefix| family(prefix.text("prefix"))),
        field("prefix", Shape::Network).required(),
        one("site", Kind::Site, OnDelete::Protect).until(Version::V4_2),
        one("vrf", Kind::Vrf, OnDelete::Protect),
        PREFIX_SCOPE_FIELDS[0],
        PREFIX_SCOPE_FIELDS[1],
        PREFIX_SCOPE_FIELDS[2],
        SCOPE_CACHE,
        one("tenant", Kind::Tenant, OnDelete::Protect),
        one("vlan", Kind::Vlan, OnDelete::Protect),
        select("status", PREFIX_STATUS, "active"),
        unkept("role", "null"),
        yes_no("is_pool", false),
        yes_no("mark_utilized", false),
        description(),
        owner(),
        comments(),
        computed("children", |view, prefix| view.prefixes_around(prefix).1.into()),
        computed("_depth", |view, prefix| view.prefixes_around(prefix).0.into()),
    ],
    brief: &["id", "url", "display", "family", "prefix", "description", "_depth"],
    order: &[Sort::NullsFirst("vrf"), Sort::Net("prefix"), Sort::Id],
    order_since_4_7: None,
    unique: &[],
    search: &["prefix", "description"],
    marked: true,
    sequential: false,
    filters: filters::PREFIX,
    unkept_filters: "\
        children depth location location_id present_in_vrf present_in_vrf_id role role_id \
        scope_id scope_type vlan_group vlan_group_id vlan_id vlan_vid",
};

pub(super) static IP_RANGE: KindDef = KindDef {
    kind: Kind::IpRange,
    path: "ipam/ip-ranges",
    label: "ipam.iprange",
    class: "IPRange",
    noun: "IP range",
    since: Version::V4_0,
    fields: &[
        computed("family", |_, range| family(range.text("start_address"))),
        field("start_address", Shape::Address).required(),
        field("end_address", Shape::Address).required(),
        computed("size", |_, range| crate::netbox::addresses::range_size(range)),
        one("vrf", Kind::Vrf, OnDelete::Protect),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        select("status", VLAN_STATUS, "active"),
        unkept("role", "null"),
        description(),
        owner(),
        comments(),
        yes_no("mark_populated", false).since(Version::V4_4),
        yes_no("mark_utilized", false),
    ],
    brief: &["id", "url", "display", "family", "start_address", "end_address", "description"],
    order: &[Sort::NullsFirst("vrf"), Sort::Net("start_address"), Sort::Id],
    order_since_4_7: None,
    unique: &[],
    search: &["start_address", "end_address", "description"],
    marked: true,
    sequential: false,
    filters: filters::IP_RANGE,
    unkept_filters: "contains end_address role role_id size",
};

const ASSIGNED_FIELDS: [Field; 3] = generic("assigned_object", &ASSIGNED);

pub(super) static IP_ADDRESS: KindDef = KindDef {
    kind: Kind::IpAddress,
    path: "ipam/ip-addresses",
    label: "ipam.ipaddress",
    class: "IPAddress",
    noun: "IP address",
    since: Version::V4_0,
    fields: &[
        computed("family", |_, address| family(address.text("address"))),
        field("address", Shape::Address).required(),
        one("vrf", Kind::Vrf, OnDelete::Protect),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        select("status", ADDRESS_STATUS, "active"),
        maybe("role", ADDRESS_ROLE),
        ASSIGNED_FIELDS[0],
        ASSIGNED_FIELDS[1],
        ASSIGNED_FIELDS[2],
        one("nat_inside", Kind::IpAddress, OnDelete::SetNull),
        computed("nat_outside", |view, address| {
            view.store
                .referring(Kind::IpAddress, address.id, Kind::IpAddress, "nat_inside")
                .into_iter()
                .map(|id| view.terse(Kind::IpAddress, id))
                .collect()
        }),
        text("dns_name", 255),
        description(),
        owner(),
        comments(),
    ],
    brief: &["id", "url", "display", "family", "address", "description"],
    order: &[Sort::Net("address"), Sort::Id],
    order_since_4_7: None,
    unique: &[],
    search: &["address", "dns_name", "description"],
    marked: true,
    sequential: false,
    filters: filters::IP_ADDRESS,
    unkept_filters: "\
        assigned fhrpgroup_id interface nat_inside_id present_in_vrf present_in_vrf_id \
        service_id vminterface",
};

/// What a service can belong to since 4.3.
pub(super) static PARENT: Generic = Generic {
    type_field: "parent_object_type",
    id_field: "parent_object_id",
    to: &[Kind::Device, Kind::VirtualMachine],
    on_delete: OnDelete::Cascade,
};

const PARENT_FIELDS: [Field; 3] = generic("parent", &PARENT);

const fn mandatory(mut it: Field) -> Field {
    it.null = false;
    it.required().since(Version::V4_4)
}

pub(super) static SERVICE: KindDef = KindDef {
    kind: Kind::Service,
    path: "ipam/services",
    label: "ipam.service",
    class: "Service",
    noun: "service",
    since: Version::V4_0,
    fields: &[
        one("device", Kind::Device, OnDelete::Cascade).until(Version::V4_4),
        one("virtual_machine", Kind::VirtualMachine, OnDelete::Cascade).until(Version::V4_4),
        mandatory(PARENT_FIELDS[0]),
        mandatory(PARENT_FIELDS[1]),
        PARENT_FIELDS[2].since(Version::V4_4),
        text("name", 100).required(),
        field("port_mappings", Shape::PortMappings).since(Version::V4_7),
        select("protocol", PROTOCOL, "").until(Version::V4_7),
        field("ports", Shape::Ports).required().until(Version::V4_7),
        computed("protocol", |_, service| {
            let label = |word: &str| json!({"value": word, "label": word.to_uppercase()});
            crate::netbox::checks::single_protocol(service.list("port_mappings"))
                .map_or(Value::Null, |(word, _)| label(word))
        })
        .since(Version::V4_7),
        computed("ports", |_, service| {
            crate::netbox::checks::single_protocol(service.list("port_mappings"))
                .map_or(Value::Null, |(_, ports)| ports.into())
        })
        .since(Version::V4_7),
        field("ipaddresses", Shape::Many(Kind::IpAddress)),
        description(),
        owner(),
        comments(),
    ],
    brief: &["id", "url", "display", "name", "protocol", "ports", "port_mappings", "description"],
    order: &[Sort::Plain("protocol"), Sort::Lowest("ports"), Sort::Id],
    order_since_4_7: Some(&[Sort::Natural("name"), Sort::Id]),
    unique: &[],
    search: &["name", "description"],
    marked: true,
    sequential: false,
    filters: filters::SERVICE,
    unkept_filters: "\
        fhrpgroup fhrpgroup_id ip_address ip_address_id ipaddress ipaddress_id port \
        port_mappings",
};
