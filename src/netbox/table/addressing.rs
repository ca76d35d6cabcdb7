//! Networks and addresses, and the services that stand on them.

use super::shape::Shape;
use super::{Blank, Column, Sheet};
use crate::domain::object::{Field, Kind};

const NAME: Column = Column::text(Field::Name, "name");
const DESCRIPTION: Column = Column::text(Field::Description, "description");
const STATUS: Column = Column::choice(Field::Status, "status");
const TENANT: Column = Column::one(Field::Tenant, "tenant", Kind::Tenant);
const VRF_OF: Column = Column::one(Field::Vrf, "vrf", Kind::Vrf);
const ASSIGNED: Column = Column::shaped(
    Field::AssignedObject,
    "assigned_object",
    Shape::Generic(&[Kind::Interface, Kind::VmInterface]),
);
const HOSTS: &[Kind] = &[Kind::Device, Kind::VirtualMachine];

pub(super) const VRF: Sheet =
    Sheet::new(Kind::Vrf, "ipam/vrfs", "ipam.vrf", &[NAME, TENANT, DESCRIPTION]);

pub(super) const VLAN_GROUP: Sheet = Sheet::new(
    Kind::VlanGroup,
    "ipam/vlan-groups",
    "ipam.vlangroup",
    &[NAME, Column::text(Field::Slug, "slug"), DESCRIPTION],
);

pub(super) const VLAN: Sheet = Sheet::new(
    Kind::Vlan,
    "ipam/vlans",
    "ipam.vlan",
    &[
        Column::number(Field::Vid, "vid"),
        NAME,
        Column::one(Field::Site, "site", Kind::Site),
        Column::one(Field::Group, "group", Kind::VlanGroup),
        TENANT,
        STATUS,
        DESCRIPTION,
    ],
);

pub(super) const PREFIX: Sheet = Sheet::new(
    Kind::Prefix,
    "ipam/prefixes",
    "ipam.prefix",
    &[
        Column::shaped(Field::Prefix, "prefix", Shape::Network),
        VRF_OF,
        TENANT,
        Column::one(Field::Vlan, "vlan", Kind::Vlan),
        STATUS,
        Column::one(Field::Site, "site", Kind::Site).until(4, 2),
        Column::shaped(Field::Site, "scope", Shape::Scope).since(4, 2),
        DESCRIPTION,
    ],
);

pub(super) const IP_RANGE: Sheet = Sheet::new(
    Kind::IpRange,
    "ipam/ip-ranges",
    "ipam.iprange",
    &[
        Column::shaped(Field::StartAddress, "start_address", Shape::Network),
        Column::shaped(Field::EndAddress, "end_address", Shape::Network),
        VRF_OF,
        TENANT,
        STATUS,
        DESCRIPTION,
    ],
);

pub(super) const MAC_ADDRESS: Sheet = Sheet::new(
    Kind::MacAddress,
    "dcim/mac-addresses",
    "dcim.macaddress",
    &[Column::shaped(Field::MacAddress, "mac_address", Shape::Mac), ASSIGNED, DESCRIPTION],
)
.since(4, 2);

pub(super) const IP_ADDRESS: Sheet = Sheet::new(
    Kind::IpAddress,
    "ipam/ip-addresses",
    "ipam.ipaddress",
    &[
        Column::shaped(Field::Address, "address", Shape::Network),
        VRF_OF,
        TENANT,
        STATUS,
        Column::choice(Field::Role, "role").emptied_with_text(),
        ASSIGNED,
        Column::new(Field::DnsName, "dns_name", Shape::LowerCase, Blank::Empty),
        DESCRIPTION,
    ],
);

pub(super) const SERVICE: Sheet = Sheet::new(
    Kind::Service,
    "ipam/services",
    "ipam.service",
    &[
        Column::shaped(Field::Parent, "", Shape::EitherHost).until(4, 3),
        Column::shaped(Field::Parent, "parent_object", Shape::Generic(HOSTS)).since(4, 3),
        NAME,
        Column::shaped(Field::Protocol, "protocol", Shape::Definite),
        Column::shaped(Field::Ports, "ports", Shape::Numbers),
        DESCRIPTION,
    ],
);
