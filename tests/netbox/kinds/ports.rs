//! Interfaces of devices and the cables between them.

use super::choices::{CABLE_STATUS, CABLE_TYPE, DUPLEX, LENGTH_UNIT, MODE};
use super::filters;
use super::interface_types::INTERFACE_TYPE;
use super::{
    comments, computed, description, field, int, maybe, one, owned, owner, select, text, unkept,
    yes_no,
};
use crate::netbox::model::{Field, Kind, KindDef, OnDelete, Shape, Sort, Unique};
use crate::netbox::store::Object;
use crate::netbox::version::Version;
use crate::netbox::view::View;
use serde_json::{Value, json};

/// The MAC address of an interface's primary MAC object.
pub(super) fn mac_of(view: &View<'_>, port: &Object) -> Value {
    port.id_of("primary_mac_address")
        .and_then(|id| view.store.get(Kind::MacAddress, id))
        .map_or(Value::Null, |mac| mac.value("mac_address").clone())
}

/// The MAC objects of an interface.
pub(super) fn macs_of(view: &View<'_>, port: &Object) -> Value {
    view.store
        .referring(port.kind, port.id, Kind::MacAddress, "assigned_object_id")
        .into_iter()
        .map(|id| view.brief(Kind::MacAddress, id))
        .collect()
}

/// How many addresses an interface has.
pub(super) fn addresses_of(view: &View<'_>, port: &Object) -> Value {
    view.store.referring(port.kind, port.id, Kind::IpAddress, "assigned_object_id").len().into()
}

/// The interfaces at the other end of an interface's cable.
fn peers(view: &View<'_>, port: &Object) -> Vec<u64> {
    let Some(cable) = port.id_of("cable") else {
        return Vec::new();
    };
    let end = port.text("cable_end");
    view.terminations(cable)
        .filter(|termination| termination.text("cable_end") != end)
        .filter_map(|termination| termination.id_of("termination_id"))
        .collect()
}

fn peer_list(view: &View<'_>, port: &Object) -> Value {
    peers(view, port).into_iter().map(|id| view.brief(Kind::Interface, id)).collect()
}

pub(super) static INTERFACE: KindDef = KindDef {
    kind: Kind::Interface,
    path: "dcim/interfaces",
    label: "dcim.interface",
    class: "Interface",
    noun: "interface",
    since: Version::V4_0,
    fields: &[
        owned("device", Kind::Device, OnDelete::Cascade),
        unkept("vdcs", "[]"),
        unkept("module", "null"),
        text("name", 64).required(),
        text("label", 64),
        select("type", INTERFACE_TYPE, "").required(),
        yes_no("enabled", true),
        one("parent", Kind::Interface, OnDelete::Restrict),
        one("bridge", Kind::Interface, OnDelete::SetNull),
        computed("bridge_interfaces", |view, port| {
            view.store
                .referring(Kind::Interface, port.id, Kind::Interface, "bridge")
                .into_iter()
                .map(|id| view.terse(Kind::Interface, id))
                .collect()
        })
        .since(Version::V4_4),
        one("lag", Kind::Interface, OnDelete::SetNull),
        int("mtu", 1, 65536),
        field("mac_address", Shape::Mac).null().until(Version::V4_2),
        computed("mac_address", mac_of).since(Version::V4_2).until(Version::V4_7),
        field("mac_address", Shape::InterfaceMac).null().since(Version::V4_7),
        one("primary_mac_address", Kind::MacAddress, OnDelete::SetNull).since(Version::V4_2),
        computed("mac_addresses", macs_of).since(Version::V4_2),
        int("speed", 0, 2_147_483_647).until(Version::V4_6),
        int("speed", 0, i64::MAX).since(Version::V4_6),
        maybe("duplex", DUPLEX),
        unkept("wwn", "null"),
        yes_no("mgmt_only", false),
        description(),
        maybe("mode", MODE),
        unkept("rf_role", "null"),
        unkept("rf_channel", "null"),
        unkept("poe_mode", "null"),
        unkept("poe_type", "null"),
        unkept("rf_channel_frequency", "null"),
        unkept("rf_channel_width", "null"),
        unkept("tx_power", "null"),
        unkept("channels", "null").since(Version::V4_7),
        unkept("channel_id", "null").since(Version::V4_7),
        one("untagged_vlan", Kind::Vlan, OnDelete::SetNull),
        field("tagged_vlans", Shape::Many(Kind::Vlan)),
        one("qinq_svlan", Kind::Vlan, OnDelete::SetNull).since(Version::V4_2),
        unkept("vlan_translation_policy", "null").since(Version::V4_2),
        yes_no("mark_connected", false),
        computed("cable", |view, port| {
            port.id_of("cable").map_or(Value::Null, |id| view.brief(Kind::Cable, id))
        }),
        computed("cable_end", |_, port| match port.text("cable_end") {
            "" => Value::Null,
            end => end.into(),
        }),
        unkept("wireless_link", "null"),
        computed("link_peers", peer_list),
        computed("link_peers_type", |view, port| {
            if peers(view, port).is_empty() { Value::Null } else { "dcim.interface".into() }
        }),
        unkept("wireless_lans", "[]"),
        one("vrf", Kind::Vrf, OnDelete::SetNull),
        unkept("l2vpn_termination", "null"),
        computed("connected_endpoints", |view, port| match peer_list(view, port) {
            Value::Array(list) if list.is_empty() => Value::Null,
            list => list,
        }),
        computed("connected_endpoints_type", |view, port| {
            if peers(view, port).is_empty() { Value::Null } else { "dcim.interface".into() }
        }),
        computed("connected_endpoints_reachable", |view, port| {
            match (peers(view, port).is_empty(), view.store.version >= Version::V4_6) {
                (true, false) => Value::Null,
                (none, _) => Value::Bool(!none),
            }
        }),
        owner(),
        computed("count_ipaddresses", addresses_of),
        unkept("count_fhrp_groups", "0"),
        computed("_occupied", |_, port| {
            Value::Bool(port.id_of("cable").is_some() || port.yes("mark_connected"))
        }),
        field("cable", Shape::Hidden).null(),
        field("cable_end", Shape::Hidden),
    ],
    brief: &["id", "url", "display", "device", "name", "description", "cable", "_occupied"],
    order: &[Sort::Via("device"), Sort::Port("name")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "dcim_interface_unique_device_name",
            &["device", "name"],
            "Interface with this Device and Name already exists.",
        ),
        Unique::new(
            "dcim_interface_primary_mac_address_id_key",
            &["primary_mac_address"],
            "Interface with this Primary MAC address already exists.",
        )
        .since(Version::V4_2)
        .until(Version::V4_6),
        Unique::new("dcim_interface_primary_mac_address_id_key", &["primary_mac_address"], "")
            .since(Version::V4_6),
    ],
    search: &["name", "label", "description"],
    marked: true,
    sequential: false,
    filters: filters::INTERFACE,
    unkept_filters: filters::UNKEPT_OF_INTERFACE,
};

fn side(view: &View<'_>, cable: &Object, end: &str) -> Value {
    view.terminations(cable.id)
        .filter(|termination| termination.text("cable_end") == end)
        .filter_map(|termination| termination.id_of("termination_id"))
        .map(|id| {
            json!({
                "object_type": "dcim.interface",
                "object_id": id,
                "object": view.brief(Kind::Interface, id),
            })
        })
        .collect()
}

/// The interfaces at an end of a cable, as they are answered.
pub(crate) fn cable_side(view: &View<'_>, cable: &Object, field: &Field) -> Value {
    side(view, cable, if field.name == "a_terminations" { "A" } else { "B" })
}

pub(super) static CABLE: KindDef = KindDef {
    kind: Kind::Cable,
    path: "dcim/cables",
    label: "dcim.cable",
    class: "Cable",
    noun: "cable",
    since: Version::V4_0,
    fields: &[
        field("type", Shape::Word(CABLE_TYPE)).null(),
        field("a_terminations", Shape::Terminations("A")),
        field("b_terminations", Shape::Terminations("B")),
        select("status", CABLE_STATUS, "connected"),
        unkept("profile", "null").since(Version::V4_6),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        unkept("bundle", "null").since(Version::V4_6),
        text("label", 100),
        field("color", Shape::Color),
        field("length", Shape::Decimal(2, f64::MIN)).null(),
        maybe("length_unit", LENGTH_UNIT),
        description(),
        owner(),
        comments(),
    ],
    brief: &["id", "url", "display", "label", "description"],
    order: &[Sort::Id],
    order_since_4_7: None,
    unique: &[],
    search: &["label"],
    marked: true,
    sequential: false,
    filters: filters::CABLE,
    unkept_filters: "\
        bundle bundle_id circuittermination_id consoleport_id consoleserverport_id \
        frontport_id location location_id powerfeed_id poweroutlet_id powerport_id profile \
        rack rack_id rearport_id site termination_a_id termination_a_type termination_b_id \
        termination_b_type unterminated",
};

/// An end of a cable. Written only through its cable.
pub(super) static CABLE_TERMINATION: KindDef = KindDef {
    kind: Kind::CableTermination,
    path: "",
    label: "dcim.cabletermination",
    class: "CableTermination",
    noun: "cable termination",
    since: Version::V4_0,
    fields: &[
        owned("cable", Kind::Cable, OnDelete::Cascade),
        text("cable_end", 1),
        field("termination_type", Shape::Hidden),
        owned("termination_id", Kind::Interface, OnDelete::Cascade),
    ],
    brief: &["id", "url", "display"],
    order: &[Sort::Plain("cable"), Sort::Plain("cable_end"), Sort::Id],
    order_since_4_7: None,
    unique: &[Unique::new(
        "dcim_cabletermination_unique_termination",
        &["termination_type", "termination_id"],
        "",
    )],
    search: &[],
    marked: false,
    sequential: false,
    filters: &[],
    unkept_filters: "",
};
