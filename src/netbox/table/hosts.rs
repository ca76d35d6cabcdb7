//! Devices and virtual machines with what belongs to them.

use super::shape::Shape;
use super::{Column, Constant, Sheet};
use crate::domain::object::{Field, Kind};

const NAME: Column = Column::text(Field::Name, "name");
const DESCRIPTION: Column = Column::text(Field::Description, "description");
const COMMENTS: Column = Column::text(Field::Comments, "comments");
const STATUS: Column = Column::choice(Field::Status, "status");
const SITE: Column = Column::one(Field::Site, "site", Kind::Site);
const TENANT: Column = Column::one(Field::Tenant, "tenant", Kind::Tenant);
const ROLE: Column = Column::one(Field::Role, "role", Kind::DeviceRole);
const PLATFORM: Column = Column::one(Field::Platform, "platform", Kind::Platform);
const CLUSTER: Column = Column::one(Field::Cluster, "cluster", Kind::Cluster);
const DEVICE_OF: Column = Column::one(Field::Device, "device", Kind::Device);
const MACHINE_OF: Column =
    Column::one(Field::VirtualMachine, "virtual_machine", Kind::VirtualMachine);
const PRIMARY_4: Column = Column::one(Field::PrimaryIp4, "primary_ip4", Kind::IpAddress);
const PRIMARY_6: Column = Column::one(Field::PrimaryIp6, "primary_ip6", Kind::IpAddress);
const ENABLED: Column = Column::yes(Field::Enabled, "enabled");
const MTU: Column = Column::number(Field::Mtu, "mtu");
const MODE: Column = Column::choice(Field::Mode, "mode");
const UNTAGGED: Column = Column::one(Field::UntaggedVlan, "untagged_vlan", Kind::Vlan);
const TAGGED: Column = Column::many(Field::TaggedVlans, "tagged_vlans", Kind::Vlan);
const MAC: Column = Column::shaped(Field::MacAddress, "mac_address", Shape::Mac).until(4, 2);
const PRIMARY_MAC: Column =
    Column::one(Field::PrimaryMac, "primary_mac_address", Kind::MacAddress).since(4, 2);

pub(super) const DEVICE: Sheet = Sheet::new(
    Kind::Device,
    "dcim/devices",
    "dcim.device",
    &[
        NAME.nullable(),
        Column::one(Field::DeviceType, "device_type", Kind::DeviceType),
        ROLE,
        TENANT,
        PLATFORM,
        Column::text(Field::Serial, "serial"),
        Column::text(Field::AssetTag, "asset_tag").nullable(),
        SITE,
        Column::one(Field::Location, "location", Kind::Location),
        STATUS,
        PRIMARY_4,
        PRIMARY_6,
        CLUSTER,
        DESCRIPTION,
        COMMENTS,
    ],
)
.prefetching(&["tags"]);

pub(super) const VIRTUAL_MACHINE: Sheet = Sheet::new(
    Kind::VirtualMachine,
    "virtualization/virtual-machines",
    "virtualization.virtualmachine",
    &[
        NAME,
        STATUS,
        SITE,
        CLUSTER,
        DEVICE_OF,
        Column::text(Field::Serial, "serial").since(4, 1),
        ROLE,
        TENANT,
        PLATFORM,
        PRIMARY_4,
        PRIMARY_6,
        Column::shaped(Field::Vcpus, "vcpus", Shape::Decimal),
        Column::number(Field::Memory, "memory"),
        Column::shaped(Field::Disk, "disk", Shape::Gigabytes).until(4, 1),
        Column::number(Field::Disk, "disk").since(4, 1),
        DESCRIPTION,
        COMMENTS,
    ],
)
.prefetching(&["tags"]);

pub(super) const INTERFACE: Sheet = Sheet::new(
    Kind::Interface,
    "dcim/interfaces",
    "dcim.interface",
    &[
        DEVICE_OF,
        NAME,
        Column::choice(Field::Type, "type"),
        ENABLED,
        Column::one(Field::Parent, "parent", Kind::Interface),
        Column::one(Field::Bridge, "bridge", Kind::Interface),
        Column::one(Field::Lag, "lag", Kind::Interface),
        MTU,
        MAC,
        PRIMARY_MAC,
        Column::number(Field::Speed, "speed"),
        MODE,
        UNTAGGED,
        TAGGED,
        DESCRIPTION,
    ],
)
.prefetching(&["tags", "tagged_vlans", "vdcs", "wireless_lans"]);

pub(super) const VM_INTERFACE: Sheet = Sheet::new(
    Kind::VmInterface,
    "virtualization/interfaces",
    "virtualization.vminterface",
    &[
        MACHINE_OF,
        NAME,
        ENABLED,
        Column::one(Field::Parent, "parent", Kind::VmInterface),
        Column::one(Field::Bridge, "bridge", Kind::VmInterface),
        MTU,
        MAC,
        PRIMARY_MAC,
        MODE,
        UNTAGGED,
        TAGGED,
        DESCRIPTION,
    ],
)
.prefetching(&["tags", "tagged_vlans"]);

pub(super) const VIRTUAL_DISK: Sheet = Sheet::new(
    Kind::VirtualDisk,
    "virtualization/virtual-disks",
    "virtualization.virtualdisk",
    &[
        MACHINE_OF,
        NAME,
        Column::shaped(Field::Size, "size", Shape::Gigabytes).until(4, 1),
        Column::number(Field::Size, "size").since(4, 1),
        DESCRIPTION,
    ],
);

pub(super) const INVENTORY_ITEM: Sheet = Sheet::new(
    Kind::InventoryItem,
    "dcim/inventory-items",
    "dcim.inventoryitem",
    &[
        DEVICE_OF,
        NAME,
        Column::one(Field::Manufacturer, "manufacturer", Kind::Manufacturer),
        Column::text(Field::PartId, "part_id"),
        Column::text(Field::Serial, "serial"),
        Column::text(Field::AssetTag, "asset_tag").nullable(),
        DESCRIPTION,
    ],
)
.with(&[("discovered", Constant::Yes)]);

pub(super) const CABLE: Sheet = Sheet::new(
    Kind::Cable,
    "dcim/cables",
    "dcim.cable",
    &[
        Column::shaped(Field::ATerminations, "a_terminations", Shape::Ends),
        Column::shaped(Field::BTerminations, "b_terminations", Shape::Ends),
        STATUS,
        TENANT,
        DESCRIPTION,
    ],
);
