//! Which fields the objects of a kind have. One that is empty is told as null, not
//! left out: what is left out of a snapshot was not read, and is never written.

use crate::domain::object::{Field, Kind};

/// The fields that every kind with marks has.
const MARKED: &[Field] =
    &[Field::Description, Field::Tags, Field::AgentKey, Field::AgentSource, Field::AgentInstance];

/// The fields of a kind.
pub(super) fn fields(kind: Kind) -> impl Iterator<Item = Field> {
    let common = if kind.is_marked() { MARKED } else { &[Field::Description] };
    common.iter().chain(particular(kind)).copied()
}

/// The fields that not every kind has.
const fn particular(kind: Kind) -> &'static [Field] {
    use Field as F;
    match kind {
        Kind::Tag => &[F::Name, F::Slug, F::Color],
        Kind::CustomField => {
            &[F::Name, F::Label, F::Type, F::ObjectTypes, F::GroupName, F::RelatedType]
        }
        Kind::Manufacturer | Kind::ClusterType => &[F::Name, F::Slug],
        Kind::DeviceRole => &[F::Name, F::Slug, F::Color, F::VmRole],
        Kind::Tenant => &[F::Name, F::Slug, F::Comments],
        Kind::Vrf => &[F::Name, F::Tenant, F::Comments],
        Kind::Site => &[F::Name, F::Slug, F::Status, F::Tenant, F::Comments],
        Kind::Location => &[F::Name, F::Slug, F::Site, F::Parent, F::Status, F::Tenant],
        Kind::DeviceType => &[F::Manufacturer, F::Model, F::Slug, F::PartNumber, F::Comments],
        Kind::Platform => &[F::Name, F::Slug, F::Manufacturer],
        Kind::Cluster => &[F::Name, F::Type, F::Status, F::Site, F::Tenant, F::Comments],
        Kind::VlanGroup => &[F::Name, F::Slug, F::Site],
        Kind::Vlan => &[F::Vid, F::Name, F::Site, F::Group, F::Status, F::Tenant, F::Comments],
        Kind::Prefix => &[F::Prefix, F::Vrf, F::Status, F::Site, F::Vlan, F::Tenant, F::Comments],
        Kind::IpRange => {
            &[F::StartAddress, F::EndAddress, F::Vrf, F::Status, F::Tenant, F::Comments]
        }
        Kind::Device => DEVICE,
        Kind::VirtualMachine => VIRTUAL_MACHINE,
        Kind::Interface => INTERFACE,
        Kind::VmInterface => VM_INTERFACE,
        Kind::VirtualDisk => &[F::VirtualMachine, F::Name, F::Size],
        Kind::InventoryItem => &[
            F::Device,
            F::Parent,
            F::Name,
            F::Label,
            F::Status,
            F::Manufacturer,
            F::PartId,
            F::Serial,
            F::AssetTag,
        ],
        Kind::MacAddress => &[F::MacAddress, F::AssignedObject, F::Comments],
        Kind::IpAddress => &[
            F::Address,
            F::Vrf,
            F::Status,
            F::Role,
            F::AssignedObject,
            F::DnsName,
            F::Tenant,
            F::Comments,
        ],
        Kind::Service => &[F::Parent, F::Name, F::Protocol, F::Ports, F::Comments],
        Kind::Cable => &[
            F::ATerminations,
            F::BTerminations,
            F::Status,
            F::Type,
            F::Label,
            F::Tenant,
            F::Comments,
        ],
    }
}

const DEVICE: &[Field] = &[
    Field::Name,
    Field::Status,
    Field::Site,
    Field::Location,
    Field::Tenant,
    Field::DeviceType,
    Field::Role,
    Field::Platform,
    Field::Serial,
    Field::AssetTag,
    Field::Cluster,
    Field::PrimaryIp4,
    Field::PrimaryIp6,
    Field::Via,
    Field::Comments,
];

const VIRTUAL_MACHINE: &[Field] = &[
    Field::Name,
    Field::Status,
    Field::Site,
    Field::Tenant,
    Field::Role,
    Field::Platform,
    Field::Serial,
    Field::Cluster,
    Field::Device,
    Field::Vcpus,
    Field::Memory,
    Field::Disk,
    Field::PrimaryIp4,
    Field::PrimaryIp6,
    Field::Comments,
];

const INTERFACE: &[Field] = &[
    Field::Device,
    Field::Name,
    Field::Label,
    Field::Type,
    Field::Enabled,
    Field::Mtu,
    Field::Speed,
    Field::Parent,
    Field::Bridge,
    Field::Lag,
    Field::Mode,
    Field::UntaggedVlan,
    Field::TaggedVlans,
    Field::Vrf,
    Field::PrimaryMac,
];

const VM_INTERFACE: &[Field] = &[
    Field::VirtualMachine,
    Field::Name,
    Field::Enabled,
    Field::Mtu,
    Field::Parent,
    Field::Bridge,
    Field::Mode,
    Field::UntaggedVlan,
    Field::TaggedVlans,
    Field::Vrf,
    Field::PrimaryMac,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_is_one_of_some_kind_and_none_is_named_twice() {
        let mut all = BTreeSet::new();
        for kind in Kind::ALL {
            let own: Vec<Field> = fields(*kind).collect();
            assert_eq!(own.iter().collect::<BTreeSet<_>>().len(), own.len(), "{kind}");
            all.extend(own);
        }
        let missing: Vec<&Field> = Field::ALL.iter().filter(|field| !all.contains(field)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
