//! The filters of lists beyond those that plain fields give, and those that NetBox
//! has and the stand-in has not.

use crate::netbox::addresses::{Net, net_of};
use crate::netbox::model::{By, Filter, Kind};
use crate::netbox::store::Object;
use crate::netbox::version::Version;
use crate::netbox::view::View;

type Way = &'static [&'static str];
type Asked = fn(&View<'_>, &Object, &[String]) -> bool;

const fn filter(name: &'static str, by: By) -> Filter {
    Filter { name, since: Version::V4_0, until: None, by }
}

/// By id; unknown ids are refused.
const fn id(name: &'static str, way: Way, kind: Kind) -> Filter {
    filter(name, By::Id(way, kind))
}

/// By an attribute of what is referred to; unknown values are refused.
const fn at(name: &'static str, way: Way, kind: Kind, attribute: &'static str) -> Filter {
    filter(name, By::Attribute(way, kind, attribute))
}

/// By a number; unknown ones find nothing.
const fn number(name: &'static str, way: Way) -> Filter {
    filter(name, By::Number(way))
}

const fn macs(name: &'static str, of: fn(&View<'_>, &Object) -> Vec<String>) -> Filter {
    filter(name, By::Macs(of))
}

/// By a text, whatever its case.
const fn loose(name: &'static str, way: Way) -> Filter {
    filter(name, By::Loose(way))
}

const fn ask(name: &'static str, asked: Asked) -> Filter {
    filter(name, By::Ask(asked))
}

/// By a function, where only numbers are taken.
const fn ask_number(name: &'static str, asked: Asked) -> Filter {
    filter(name, By::AskNumber(asked))
}

/// By a function that answers yes or no.
const fn whether(name: &'static str, asked: fn(&View<'_>, &Object) -> bool) -> Filter {
    filter(name, By::Whether(asked))
}

impl Filter {
    const fn since(mut self, version: Version) -> Self {
        self.since = version;
        self
    }

    const fn until(mut self, version: Version) -> Self {
        self.until = Some(version);
        self
    }
}

/// The MAC addresses of an interface.
fn macs_of_port(view: &View<'_>, port: &Object) -> Vec<String> {
    if view.store.version < Version::V4_2 {
        let own = port.value("mac_address").as_str();
        return own.into_iter().map(str::to_owned).collect();
    }
    view.store
        .referring(port.kind, port.id, Kind::MacAddress, "assigned_object_id")
        .into_iter()
        .filter_map(|id| view.store.get(Kind::MacAddress, id))
        .map(|object| object.text("mac_address").to_owned())
        .collect()
}

/// The MAC addresses of a host.
fn macs_of_host(view: &View<'_>, host: &Object) -> Vec<String> {
    let (kind, field) = match host.kind {
        Kind::VirtualMachine => (Kind::VmInterface, "virtual_machine"),
        _ => (Kind::Interface, "device"),
    };
    view.store
        .referring(host.kind, host.id, kind, field)
        .into_iter()
        .filter_map(|id| view.store.get(kind, id))
        .flat_map(|port| macs_of_port(view, port))
        .collect()
}

/// Whether an address of either sort is on an interface of the host that a test picks.
fn on_host(view: &View<'_>, address: &Object, kind: Kind, pick: impl Fn(&Object) -> bool) -> bool {
    let owner = if kind == Kind::Device { "device" } else { "virtual_machine" };
    view.assigned(address)
        .and_then(|port| port.id_of(owner))
        .and_then(|id| view.store.get(kind, id))
        .is_some_and(pick)
}

fn on_device_named(view: &View<'_>, address: &Object, given: &[String]) -> bool {
    on_host(view, address, Kind::Device, |host| given.iter().any(|name| name == host.text("name")))
}

fn on_device(view: &View<'_>, address: &Object, given: &[String]) -> bool {
    on_host(view, address, Kind::Device, |host| given.contains(&host.id.to_string()))
}

fn on_machine_named(view: &View<'_>, address: &Object, given: &[String]) -> bool {
    on_host(view, address, Kind::VirtualMachine, |host| {
        given.iter().any(|name| name == host.text("name"))
    })
}

fn on_machine(view: &View<'_>, address: &Object, given: &[String]) -> bool {
    on_host(view, address, Kind::VirtualMachine, |host| given.contains(&host.id.to_string()))
}

fn on_port(view: &View<'_>, address: &Object, kind: Kind, given: &[String]) -> bool {
    match view.assigned(address).filter(|port| port.kind == kind) {
        Some(port) => given.contains(&port.id.to_string()),
        None => given.iter().any(|id| id == "null"),
    }
}

/// Whether an address is one of some, with or without its mask.
fn is_address(_: &View<'_>, object: &Object, given: &[String]) -> bool {
    is_one_of(object, "address", given)
}

fn is_one_of(object: &Object, field: &str, given: &[String]) -> bool {
    let Some(own) = net_of(object, field) else {
        return false;
    };
    given.iter().any(|text| {
        Net::parse(text)
            .is_some_and(|net| net.ip == own.ip && (!text.contains('/') || net.len == own.len))
    })
}

fn within(object: &Object, field: &str, given: &[String], or_equal: bool) -> bool {
    let Some(own) = net_of(object, field) else {
        return false;
    };
    given
        .iter()
        .filter_map(|text| Net::parse(text))
        .any(|net| net.network().covers(own) && (or_equal || net.len < own.len))
}

/// Whether an address lies within one of some networks, whatever its own mask.
fn in_networks(object: &Object, field: &str, given: &[String]) -> bool {
    let Some(own) = net_of(object, field) else {
        return false;
    };
    let host = Net { len: if own.ip.is_ipv4() { 32 } else { 128 }, ..own };
    given.iter().filter_map(|text| Net::parse(text)).any(|net| net.covers(host))
}

/// Whether the last value is the object's address family; the filter takes only one.
fn family(object: &Object, field: &str, given: &[String]) -> bool {
    let own = net_of(object, field).map_or("", |net| if net.ip.is_ipv6() { "6" } else { "4" });
    given.last().is_some_and(|text| text == own)
}

/// Whether a kind and an id that stand together refer to an object of a kind.
fn scope(object: &Object, label: &str, given: &[String]) -> bool {
    object.text("scope_type") == label
        && object.id_of("scope_id").is_some_and(|id| given.contains(&id.to_string()))
}

/// Whether a cable ends on an interface that a test picks.
fn cable_at(view: &View<'_>, cable: &Object, pick: impl Fn(&Object) -> bool) -> bool {
    view.terminations(cable.id)
        .filter_map(|end| view.store.get(Kind::Interface, end.id_of("termination_id")?))
        .any(pick)
}

const SITE: [Filter; 2] =
    [id("site_id", &["site"], Kind::Site), at("site", &["site"], Kind::Site, "slug")];
const TENANT: [Filter; 2] =
    [id("tenant_id", &["tenant"], Kind::Tenant), at("tenant", &["tenant"], Kind::Tenant, "slug")];
const VRF: [Filter; 2] = [id("vrf_id", &["vrf"], Kind::Vrf), at("vrf", &["vrf"], Kind::Vrf, "rd")];

pub(super) const OF_TENANT: &[Filter] = &TENANT;

pub(super) const DEVICE_ROLE: &[Filter] =
    &[at("parent", &["parent"], Kind::DeviceRole, "slug").since(Version::V4_4)];

pub(super) const LOCATION: &[Filter] =
    &[SITE[0], SITE[1], TENANT[0], TENANT[1], at("parent", &["parent"], Kind::Location, "slug")];

pub(super) const PLATFORM: &[Filter] =
    &[at("parent", &["parent"], Kind::Platform, "slug").since(Version::V4_4)];

pub(super) const DEVICE_TYPE: &[Filter] = &[
    id("manufacturer_id", &["manufacturer"], Kind::Manufacturer),
    at("manufacturer", &["manufacturer"], Kind::Manufacturer, "slug"),
];

pub(super) const CLUSTER: &[Filter] = &[
    TENANT[0],
    TENANT[1],
    at("type", &["type"], Kind::ClusterType, "slug"),
    SITE[0].until(Version::V4_2),
    SITE[1].until(Version::V4_2),
    id("site_id", &["_site"], Kind::Site).since(Version::V4_2),
    at("site", &["_site"], Kind::Site, "slug").since(Version::V4_2),
];

pub(super) const VLAN_GROUP: &[Filter] = &[
    ask_number("site", |_, group, given| scope(group, "dcim.site", given)),
    TENANT[0].since(Version::V4_4),
    TENANT[1].since(Version::V4_4),
];

pub(super) const VLAN: &[Filter] = &[
    SITE[0],
    SITE[1],
    TENANT[0],
    TENANT[1],
    id("group_id", &["group"], Kind::VlanGroup),
    at("group", &["group"], Kind::VlanGroup, "slug"),
];

pub(super) const PREFIX: &[Filter] = &[
    TENANT[0],
    TENANT[1],
    VRF[0],
    VRF[1],
    SITE[0].until(Version::V4_2),
    SITE[1].until(Version::V4_2),
    id("site_id", &["_site"], Kind::Site).since(Version::V4_2),
    at("site", &["_site"], Kind::Site, "slug").since(Version::V4_2),
    ask("prefix", |_, prefix, given| {
        let wanted = given.iter().filter_map(|text| Net::parse(text));
        wanted.map(|net| net.to_string()).any(|net| net == prefix.text("prefix"))
    }),
    ask("within", |_, prefix, given| within(prefix, "prefix", given, false)),
    ask("within_include", |_, prefix, given| within(prefix, "prefix", given, true)),
    ask("contains", |_, prefix, given| {
        let own = net_of(prefix, "prefix");
        let wanted = given.iter().filter_map(|text| Net::parse(text));
        own.is_some_and(|own| wanted.into_iter().any(|net| own.covers(net)))
    }),
    ask_number("family", |_, prefix, given| family(prefix, "prefix", given)),
    ask_number("mask_length", |_, prefix, given| {
        net_of(prefix, "prefix").is_some_and(|net| given.contains(&net.len.to_string()))
    }),
];

pub(super) const IP_RANGE: &[Filter] = &[
    TENANT[0],
    TENANT[1],
    VRF[0],
    VRF[1],
    ask("parent", |_, range, given| {
        in_networks(range, "start_address", given) && in_networks(range, "end_address", given)
    }),
    ask_number("family", |_, range, given| family(range, "start_address", given)),
    ask("start_address", |_, range, given| is_one_of(range, "start_address", given)),
    ask("end_address", |_, range, given| is_one_of(range, "end_address", given)),
];

pub(super) const DEVICE: &[Filter] = &[
    loose("name", &["name"]),
    loose("serial", &["serial"]),
    SITE[0],
    SITE[1],
    TENANT[0],
    TENANT[1],
    at("model", &["device_type"], Kind::DeviceType, "slug"),
    id("role_id", &["role"], Kind::DeviceRole),
    at("role", &["role"], Kind::DeviceRole, "slug"),
    id("cluster_id", &["cluster"], Kind::Cluster),
    macs("mac_address", macs_of_host),
];

pub(super) const VIRTUAL_MACHINE: &[Filter] = &[
    loose("name", &["name"]),
    SITE[0],
    SITE[1],
    TENANT[0],
    TENANT[1],
    id("cluster_id", &["cluster"], Kind::Cluster),
    id("device_id", &["device"], Kind::Device),
    at("device", &["device"], Kind::Device, "name"),
    id("role_id", &["role"], Kind::DeviceRole),
    at("role", &["role"], Kind::DeviceRole, "slug"),
    macs("mac_address", macs_of_host),
];

pub(super) const INTERFACE: &[Filter] = &[
    id("device_id", &["device"], Kind::Device),
    at("device", &["device"], Kind::Device, "name"),
    id("site_id", &["device", "site"], Kind::Site),
    at("site", &["device", "site"], Kind::Site, "slug"),
    VRF[0],
    VRF[1],
    macs("mac_address", macs_of_port),
];

pub(super) const VM_INTERFACE: &[Filter] = &[
    id("virtual_machine_id", &["virtual_machine"], Kind::VirtualMachine),
    at("virtual_machine", &["virtual_machine"], Kind::VirtualMachine, "name"),
    id("cluster_id", &["virtual_machine", "cluster"], Kind::Cluster),
    VRF[0],
    VRF[1],
    macs("mac_address", macs_of_port),
];

pub(super) const VIRTUAL_DISK: &[Filter] = &[
    id("virtual_machine_id", &["virtual_machine"], Kind::VirtualMachine),
    at("virtual_machine", &["virtual_machine"], Kind::VirtualMachine, "name"),
];

pub(super) const INVENTORY_ITEM: &[Filter] = &[
    loose("serial", &["serial"]),
    id("device_id", &["device"], Kind::Device),
    at("device", &["device"], Kind::Device, "name"),
    id("site_id", &["device", "site"], Kind::Site),
    at("site", &["device", "site"], Kind::Site, "slug"),
];

const ASSIGNED: [Filter; 8] = [
    ask("device", on_device_named),
    ask_number("device_id", on_device),
    ask("virtual_machine", on_machine_named),
    ask_number("virtual_machine_id", on_machine),
    filter(
        "interface_id",
        By::AskId(Kind::Interface, |view, address, given| {
            on_port(view, address, Kind::Interface, given)
        }),
    ),
    filter(
        "vminterface_id",
        By::AskId(Kind::VmInterface, |view, address, given| {
            on_port(view, address, Kind::VmInterface, given)
        }),
    ),
    filter("assigned_object_type", By::TypeName("assigned_object_type")),
    number("assigned_object_id", &["assigned_object_id"]),
];

pub(super) const MAC_ADDRESS: &[Filter] = &[
    ASSIGNED[0],
    ASSIGNED[1],
    ASSIGNED[2],
    ASSIGNED[3],
    ASSIGNED[4],
    ASSIGNED[5],
    ASSIGNED[6],
    ASSIGNED[7],
    macs("mac_address", |_, object| vec![object.text("mac_address").to_owned()]),
];

pub(super) const IP_ADDRESS: &[Filter] = &[
    ASSIGNED[0],
    ASSIGNED[1],
    ASSIGNED[2],
    ASSIGNED[3],
    ASSIGNED[4],
    ASSIGNED[5],
    ASSIGNED[6],
    ASSIGNED[7],
    TENANT[0],
    TENANT[1],
    VRF[0],
    VRF[1],
    ask("address", is_address),
    ask("parent", |_, address, given| in_networks(address, "address", given)),
    ask_number("family", |_, address, given| family(address, "address", given)),
    ask_number("mask_length", |_, address, given| {
        net_of(address, "address").is_some_and(|net| given.contains(&net.len.to_string()))
    }),
    whether("assigned_to_interface", |_, address| !address.value("assigned_object_id").is_null()),
];

fn has_parent(service: &Object, label: &str, given: &[String]) -> bool {
    service.text("parent_object_type") == label
        && service.id_of("parent_object_id").is_some_and(|id| given.contains(&id.to_string()))
}

fn parent_named(view: &View<'_>, service: &Object, kind: Kind, given: &[String]) -> bool {
    service.text("parent_object_type") == kind.def().label
        && service
            .id_of("parent_object_id")
            .and_then(|id| view.store.get(kind, id))
            .is_some_and(|parent| given.iter().any(|name| name == parent.text("name")))
}

pub(super) const SERVICE: &[Filter] = &[
    id("device_id", &["device"], Kind::Device).until(Version::V4_4),
    at("device", &["device"], Kind::Device, "name").until(Version::V4_4),
    id("virtual_machine_id", &["virtual_machine"], Kind::VirtualMachine).until(Version::V4_4),
    at("virtual_machine", &["virtual_machine"], Kind::VirtualMachine, "name").until(Version::V4_4),
    ask_number("device_id", |_, service, given| has_parent(service, "dcim.device", given))
        .since(Version::V4_4),
    ask("device", |view, service, given| parent_named(view, service, Kind::Device, given))
        .since(Version::V4_4),
    ask_number("virtual_machine_id", |_, service, given| {
        has_parent(service, "virtualization.virtualmachine", given)
    })
    .since(Version::V4_4),
    ask("virtual_machine", |view, service, given| {
        parent_named(view, service, Kind::VirtualMachine, given)
    })
    .since(Version::V4_4),
    filter("parent_object_type", By::TypeName("parent_object_type")).since(Version::V4_4),
    number("parent_object_id", &["parent_object_id"]).since(Version::V4_4),
];

pub(super) const CABLE: &[Filter] = &[
    TENANT[0],
    TENANT[1],
    ask("device", |view, cable, given| {
        cable_at(view, cable, |port| {
            let device = port.id_of("device").and_then(|id| view.store.get(Kind::Device, id));
            device.is_some_and(|device| given.iter().any(|name| name == device.text("name")))
        })
    }),
    ask_number("device_id", |view, cable, given| {
        cable_at(view, cable, |port| given.contains(&port.value("device").to_string()))
    }),
    ask_number("site_id", |view, cable, given| {
        cable_at(view, cable, |port| {
            let device = port.id_of("device").and_then(|id| view.store.get(Kind::Device, id));
            device.is_some_and(|device| given.contains(&device.value("site").to_string()))
        })
    }),
    ask_number("interface_id", |view, cable, given| {
        cable_at(view, cable, |port| given.contains(&port.id.to_string()))
    }),
];

/// Filters that most kinds have and the stand-in has not.
pub(crate) const UNKEPT_ANYWHERE: &str = "\
    contact contact_group contact_role export owner owner_group owner_group_id owner_id \
    region region_id site_group site_group_id tenant_group tenant_group_id";

pub(super) const UNKEPT_OF_DEVICE: &str = "\
    airflow cluster_group cluster_group_id config_template_id console_port_count \
    console_ports console_server_port_count console_server_ports cooling_intake_count \
    cooling_method cooling_outflow_count device_bay_count device_bays device_type \
    device_type_id face front_port_count has_oob_ip has_primary_ip \
    has_virtual_device_context interface_count interfaces inventory_item_count is_full_depth \
    latitude local_context_data location location_id longitude manufacturer manufacturer_id \
    module_bay_count module_bays oob_ip_id parent_bay_id parent_device_id pass_through_ports \
    platform platform_id position power_outlet_count power_outlets power_port_count \
    power_ports primary_ip4 primary_ip4_id primary_ip6 primary_ip6_id rack_id \
    rear_port_count vc_position vc_priority virtual_chassis_id virtual_chassis_member";

pub(super) const UNKEPT_OF_MACHINE: &str = "\
    cluster cluster_group cluster_group_id cluster_type cluster_type_id config_template_id \
    has_primary_ip interface_count local_context_data platform platform_id primary_ip4 \
    primary_ip4_id primary_ip6 primary_ip6_id virtual_disk_count virtual_machine_type \
    virtual_machine_type_id";

pub(super) const UNKEPT_OF_INTERFACE: &str = "\
    bridge_id cable_connector cable_end cable_id cabled channel_id channels connected \
    device_role device_role_id device_status device_type device_type_id kind l2vpn l2vpn_id \
    lag_id location location_id module_id occupied parent_id poe_mode poe_type \
    primary_mac_address primary_mac_address_id rack rack_id rf_channel rf_channel_frequency \
    rf_channel_width rf_role tenant tenant_id tx_power vdc vdc_id vdc_identifier \
    virtual_chassis virtual_chassis_id virtual_chassis_member virtual_chassis_member_id \
    virtual_chassis_member_or_master virtual_chassis_member_or_master_id virtual_circuit_id \
    virtual_circuit_termination_id vlan vlan_id vlan_translation_policy \
    vlan_translation_policy_id wireless_lan_id wireless_link_id wwn";
