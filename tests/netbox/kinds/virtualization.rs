//! Clusters, virtual machines, their interfaces and disks.

use super::choices::{CLUSTER_STATUS, MODE, START_ON_BOOT, VM_STATUS};
use super::filters;
use super::ipam::{SCOPE_CACHE, scope_fields};
use super::ports::{addresses_of, mac_of, macs_of};
use super::{
    comments, computed, count, description, field, int, one, owned, owner, select, text, unkept,
    yes_no,
};
use crate::netbox::model::{Field, Kind, KindDef, OnDelete, Shape, Sort, Unique};
use crate::netbox::version::Version;
use serde_json::Value;

const SCOPE: [Field; 3] = scope_fields();

/// What the machines of a cluster have of a resource, together.
fn allocated(
    view: &crate::netbox::view::View<'_>,
    cluster: &crate::netbox::store::Object,
    of: &str,
) -> Value {
    let mut any = false;
    let sum: f64 = view
        .store
        .referring(Kind::Cluster, cluster.id, Kind::VirtualMachine, "cluster")
        .into_iter()
        .filter_map(|id| view.store.get(Kind::VirtualMachine, id)?.value(of).as_f64())
        .inspect(|_| any = true)
        .sum();
    if !any {
        Value::Null
    } else if of == "vcpus" {
        sum.into()
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "a sum of whole numbers")]
        Value::from(sum as i64)
    }
}

pub(super) static CLUSTER: KindDef = KindDef {
    kind: Kind::Cluster,
    path: "virtualization/clusters",
    label: "virtualization.cluster",
    class: "Cluster",
    noun: "cluster",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required(),
        owned("type", Kind::ClusterType, OnDelete::Protect),
        unkept("group", "null"),
        select("status", CLUSTER_STATUS, "active"),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        one("site", Kind::Site, OnDelete::Protect).until(Version::V4_2),
        SCOPE[0],
        SCOPE[1],
        SCOPE[2],
        SCOPE_CACHE,
        description(),
        owner(),
        comments(),
        count("device_count", Kind::Device, "cluster"),
        count("virtualmachine_count", Kind::VirtualMachine, "cluster"),
        computed("allocated_vcpus", |view, cluster| allocated(view, cluster, "vcpus"))
            .since(Version::V4_2),
        computed("allocated_memory", |view, cluster| allocated(view, cluster, "memory"))
            .since(Version::V4_2),
        computed("allocated_disk", |view, cluster| allocated(view, cluster, "disk"))
            .since(Version::V4_2),
    ],
    brief: &["id", "url", "display", "name", "description", "virtualmachine_count"],
    order: &[Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "virtualization_cluster_unique_site_name",
            &["site", "name"],
            "Cluster with this Site and Name already exists.",
        )
        .until(Version::V4_2),
        Unique::new(
            "virtualization_cluster_unique__site_name",
            &["_site", "name"],
            "Cluster with this  site and Name already exists.",
        )
        .since(Version::V4_2),
    ],
    search: &["name", "description", "comments"],
    marked: true,
    sequential: false,
    filters: filters::CLUSTER,
    unkept_filters: "group group_id location location_id scope_id scope_type type_id",
};

pub(super) static VIRTUAL_MACHINE: KindDef = KindDef {
    kind: Kind::VirtualMachine,
    path: "virtualization/virtual-machines",
    label: "virtualization.virtualmachine",
    class: "VirtualMachine",
    noun: "virtual machine",
    since: Version::V4_0,
    fields: &[
        text("name", 64).required(),
        unkept("virtual_machine_type", "null").since(Version::V4_6),
        select("status", VM_STATUS, "active"),
        select("start_on_boot", START_ON_BOOT, "off").since(Version::V4_6),
        one("site", Kind::Site, OnDelete::Protect),
        one("cluster", Kind::Cluster, OnDelete::Protect),
        one("device", Kind::Device, OnDelete::Protect),
        text("serial", 50).since(Version::V4_2),
        one("role", Kind::DeviceRole, OnDelete::Protect),
        one("tenant", Kind::Tenant, OnDelete::Protect),
        one("platform", Kind::Platform, OnDelete::SetNull),
        computed("primary_ip", |view, machine| view.primary_ip(machine)),
        one("primary_ip4", Kind::IpAddress, OnDelete::SetNull),
        one("primary_ip6", Kind::IpAddress, OnDelete::SetNull),
        field("vcpus", Shape::Decimal(2, 0.01)).null(),
        int("memory", 0, 2_147_483_647),
        int("disk", 0, 2_147_483_647),
        description(),
        owner(),
        comments(),
        unkept("config_template", "null"),
        field("local_context_data", Shape::Json).null(),
        unkept("config_context", "{}"),
        count("interface_count", Kind::VmInterface, "virtual_machine"),
        count("virtual_disk_count", Kind::VirtualDisk, "virtual_machine"),
    ],
    brief: &["id", "url", "display", "name", "description"],
    order: &[Sort::Natural("name"), Sort::Id],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "virtualization_virtualmachine_unique_name_cluster_tenant",
            &["name", "cluster", "tenant"],
            "Constraint “virtualization_virtualmachine_unique_name_cluster_tenant” is violated.",
        )
        .lower()
        .until(Version::V4_6),
        Unique::new(
            "virtualization_virtualmachine_unique_name_cluster_tenant",
            &["name", "cluster", "tenant"],
            "Virtual machine name must be unique per cluster and tenant.",
        )
        .lower()
        .since(Version::V4_6)
        .until(Version::V4_7),
        Unique::new(
            "virtualization_virtualmachine_unique_name_cluster",
            &["name", "cluster"],
            "Virtual machine name must be unique per cluster.",
        )
        .lower()
        .where_null(&["tenant"])
        .until(Version::V4_7),
        Unique::new(
            "virtualization_virtualmachine_unique_name_device_tenant",
            &["name", "device", "tenant"],
            "Virtual machine name must be unique per device and tenant.",
        )
        .lower()
        .where_null(&["cluster"])
        .where_set(&["device"])
        .since(Version::V4_6)
        .until(Version::V4_7),
        Unique::new(
            "virtualization_virtualmachine_unique_name_device",
            &["name", "device"],
            "Virtual machine name must be unique per device.",
        )
        .lower()
        .where_null(&["cluster", "tenant"])
        .where_set(&["device"])
        .since(Version::V4_6)
        .until(Version::V4_7),
        Unique::new(
            "virtualization_virtualmachine_unique_name_cluster_tenant",
            &["name", "cluster", "tenant"],
            "Virtual machine name must be unique per cluster and tenant.",
        )
        .lower()
        .nulls_equal()
        .where_set(&["cluster"])
        .since(Version::V4_7),
        Unique::new(
            "virtualization_virtualmachine_unique_name_device_tenant",
            &["name", "device", "tenant"],
            "Virtual machine name must be unique per device and tenant.",
        )
        .lower()
        .nulls_equal()
        .where_null(&["cluster"])
        .where_set(&["device"])
        .since(Version::V4_7),
        Unique::new(
            "virtualization_virtualmachine_primary_ip4_id_key",
            &["primary_ip4"],
            "Virtual machine with this Primary IPv4 already exists.",
        )
        .until(Version::V4_6),
        Unique::new("virtualization_virtualmachine_primary_ip4_id_key", &["primary_ip4"], "")
            .since(Version::V4_6),
        Unique::new(
            "virtualization_virtualmachine_primary_ip6_id_key",
            &["primary_ip6"],
            "Virtual machine with this Primary IPv6 already exists.",
        )
        .until(Version::V4_6),
        Unique::new("virtualization_virtualmachine_primary_ip6_id_key", &["primary_ip6"], "")
            .since(Version::V4_6),
    ],
    search: &["name", "description", "comments", "serial", "primary_ip4", "primary_ip6"],
    marked: true,
    sequential: false,
    filters: filters::VIRTUAL_MACHINE,
    unkept_filters: filters::UNKEPT_OF_MACHINE,
};

pub(super) static VM_INTERFACE: KindDef = KindDef {
    kind: Kind::VmInterface,
    path: "virtualization/interfaces",
    label: "virtualization.vminterface",
    class: "VMInterface",
    noun: "interface",
    since: Version::V4_0,
    fields: &[
        owned("virtual_machine", Kind::VirtualMachine, OnDelete::Cascade),
        text("name", 64).required(),
        yes_no("enabled", true),
        one("parent", Kind::VmInterface, OnDelete::Restrict),
        one("bridge", Kind::VmInterface, OnDelete::SetNull),
        int("mtu", 1, 65536),
        field("mac_address", Shape::Mac).null().until(Version::V4_2),
        computed("mac_address", mac_of).since(Version::V4_2).until(Version::V4_7),
        field("mac_address", Shape::InterfaceMac).null().since(Version::V4_7),
        one("primary_mac_address", Kind::MacAddress, OnDelete::SetNull).since(Version::V4_2),
        computed("mac_addresses", macs_of).since(Version::V4_2),
        description(),
        super::maybe("mode", MODE),
        one("untagged_vlan", Kind::Vlan, OnDelete::SetNull),
        field("tagged_vlans", Shape::Many(Kind::Vlan)),
        one("qinq_svlan", Kind::Vlan, OnDelete::SetNull).since(Version::V4_2),
        unkept("vlan_translation_policy", "null").since(Version::V4_2),
        one("vrf", Kind::Vrf, OnDelete::SetNull),
        unkept("l2vpn_termination", "null"),
        owner(),
        computed("count_ipaddresses", addresses_of),
        unkept("count_fhrp_groups", "0"),
    ],
    brief: &["id", "url", "display", "virtual_machine", "name", "description"],
    order: &[Sort::Via("virtual_machine"), Sort::Port("name")],
    order_since_4_7: None,
    unique: &[
        Unique::new(
            "virtualization_vminterface_unique_virtual_machine_name",
            &["virtual_machine", "name"],
            "Interface with this Virtual machine and Name already exists.",
        ),
        Unique::new(
            "virtualization_vminterface_primary_mac_address_id_key",
            &["primary_mac_address"],
            "Interface with this Primary MAC address already exists.",
        )
        .since(Version::V4_2)
        .until(Version::V4_6),
        Unique::new(
            "virtualization_vminterface_primary_mac_address_id_key",
            &["primary_mac_address"],
            "",
        )
        .since(Version::V4_6),
    ],
    search: &["name", "description"],
    marked: true,
    sequential: false,
    filters: filters::VM_INTERFACE,
    unkept_filters: "\
        bridge_id cluster l2vpn l2vpn_id parent_id primary_mac_address \
        primary_mac_address_id vlan vlan_id vlan_translation_policy \
        vlan_translation_policy_id",
};

pub(super) static VIRTUAL_DISK: KindDef = KindDef {
    kind: Kind::VirtualDisk,
    path: "virtualization/virtual-disks",
    label: "virtualization.virtualdisk",
    class: "VirtualDisk",
    noun: "virtual disk",
    since: Version::V4_0,
    fields: &[
        owned("virtual_machine", Kind::VirtualMachine, OnDelete::Cascade),
        text("name", 64).required(),
        description(),
        field("size", Shape::Int(0, 2_147_483_647)).required(),
        owner(),
    ],
    brief: &["id", "url", "display", "virtual_machine", "name", "description", "size"],
    order: &[Sort::Via("virtual_machine"), Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[Unique::new(
        "virtualization_virtualdisk_unique_virtual_machine_name",
        &["virtual_machine", "name"],
        "Virtual disk with this Virtual machine and Name already exists.",
    )],
    search: &["name", "description"],
    marked: true,
    sequential: false,
    filters: filters::VIRTUAL_DISK,
    unkept_filters: "",
};
