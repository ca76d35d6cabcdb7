//! Sheets of one kind, with the columns under which NetBox imports it: what it
//! refers to stands there by name, as it would be typed.
//!
//! The columns are those that every NetBox from 4.0 to 4.7 takes, save for kinds
//! whose import changed in between: MAC addresses and inventory items are for 4.2
//! and later, tags for 4.4 and later, services for 4.3 to 4.6. The agent's marks
//! are left out: what a person imports is a person's.

use std::collections::BTreeSet;

use super::model::{by_address, by_name};
use super::reader::Reader;
use crate::domain::name::visible;
use crate::domain::object::{Field, Kind, ObjectRef};
use crate::domain::value::Value;
use crate::domain::world::{Live, World};

/// NetBox takes no line longer than this.
const LIMIT: usize = 1000;

/// Objects of one kind as rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sheet {
    pub(super) headers: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// The columns of a kind, as they stand in the first line; none for a kind that
/// has no sheet. One with a `?` is left out where nothing stands in it: older
/// versions of NetBox do not take it.
pub(super) const fn columns(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Tag => "name slug color weight description",
        Kind::Manufacturer | Kind::ClusterType | Kind::Tenant | Kind::VlanGroup => {
            "name slug description tags"
        }
        Kind::DeviceRole => "name slug color vm_role description tags",
        Kind::Vrf => "name tenant description comments tags",
        Kind::Site => "name slug status tenant description comments tags",
        Kind::Location => "site parent name slug status tenant description tags",
        Kind::DeviceType => {
            "manufacturer model slug part_number u_height is_full_depth description comments tags"
        }
        Kind::Platform => "name slug manufacturer description tags",
        Kind::Cluster => "name type status tenant description comments tags",
        Kind::Vlan => "site group vid name tenant status description comments tags",
        Kind::Prefix => {
            "prefix ?vrf.name tenant ?vlan_group ?vlan status description comments tags"
        }
        Kind::IpRange => {
            "start_address end_address ?vrf.name tenant status description comments tags"
        }
        Kind::Device => {
            "name role tenant manufacturer device_type platform serial asset_tag status site \
             location cluster description comments tags"
        }
        Kind::VirtualMachine => {
            "name status role site cluster device tenant platform vcpus memory disk description \
             comments tags"
        }
        Kind::Interface => {
            "device name label parent bridge lag type speed enabled mtu description mode \
             ?vlan_group ?untagged_vlan ?tagged_vlans ?vrf.name tags"
        }
        Kind::VmInterface => {
            "virtual_machine name parent bridge enabled mtu description mode ?vlan_group \
             ?untagged_vlan ?tagged_vlans ?vrf.name tags"
        }
        Kind::VirtualDisk => "virtual_machine name size description tags",
        Kind::InventoryItem => {
            "device name label status manufacturer part_id serial asset_tag description tags"
        }
        Kind::MacAddress => {
            "mac_address device virtual_machine interface is_primary description comments tags"
        }
        Kind::IpAddress => {
            "address ?vrf.name tenant status role device virtual_machine interface is_primary \
             dns_name description comments tags"
        }
        Kind::Service => "parent_object_type parent name protocol ports description comments tags",
        Kind::CustomField | Kind::Cable => return None,
    })
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// A field, or the name of what it refers to.
    Of(Field),
    /// The maker of a device's type.
    Maker,
    /// The group of the VLANs that an object refers to, by which NetBox tells VLANs
    /// of one id apart.
    VlanGroup,
    /// A text with lines.
    Block(Field),
    /// The name in addresses.
    Slug,
    /// The slugs of the tags.
    Tags,
    /// The ids of the VLANs that a field refers to.
    Vids(Field),
    /// The host that an address is assigned to, where it is of this kind.
    Owner(Kind),
    /// The interface that an address is assigned to.
    Interface,
    /// Whether an address is a primary one.
    Primary,
    /// NetBox's word for what a service belongs to.
    ParentType,
    /// What the agent knows nothing of and the import wants: NetBox's own default.
    Fixed(&'static str),
}

impl Cell {
    /// What stands in a kind's column of this header: mostly the field of that name.
    fn under(kind: Kind, header: &str) -> Option<Self> {
        let is_address = matches!(kind, Kind::IpAddress | Kind::MacAddress);
        Some(match header {
            "slug" => Cell::Slug,
            "tags" => Cell::Tags,
            "comments" => Cell::Block(Field::Comments),
            // NetBox knows a VRF by its route distinguisher unless told otherwise.
            "vrf.name" => Cell::Of(Field::Vrf),
            "vlan" => Cell::Vids(Field::Vlan),
            "untagged_vlan" => Cell::Vids(Field::UntaggedVlan),
            "tagged_vlans" => Cell::Vids(Field::TaggedVlans),
            "vlan_group" => Cell::VlanGroup,
            "manufacturer" if kind == Kind::Device => Cell::Maker,
            "device" if is_address => Cell::Owner(Kind::Device),
            "virtual_machine" if is_address => Cell::Owner(Kind::VirtualMachine),
            "interface" => Cell::Interface,
            "is_primary" => Cell::Primary,
            "parent_object_type" => Cell::ParentType,
            "u_height" => Cell::Fixed("1"),
            "is_full_depth" => Cell::Fixed("true"),
            "weight" => Cell::Fixed("1000"),
            field => Cell::Of(field.parse().ok()?),
        })
    }
}

impl Sheet {
    /// The sheet of a kind; none for a kind that has no sheet. Rows come in the order
    /// in which they can be imported: what others hang on comes first.
    pub(super) fn of(world: &World, kind: Kind) -> Option<Self> {
        let columns: Vec<(&str, Cell)> = columns(kind)?
            .split_whitespace()
            .filter_map(|column| {
                let header = column.trim_start_matches('?');
                Some((column, Cell::under(kind, header)?))
            })
            .collect();
        let reader = Reader::new(world);
        let mut objects: Vec<&Live> = world.of(kind).collect();
        objects.sort_by_cached_key(|object| {
            let owner = reader.host(object).map(|host| by_name(Some(host.name())));
            let name = object.name();
            // NetBox 4.3 to 4.5 take a row that is not primary as the order to have no
            // primary address at all, so that those that are must come last.
            let primary = is_primary(reader, object);
            (reader.depth(object), primary, owner, by_address(name), by_name(Some(name)), object.id)
        });
        let rows: Vec<Vec<String>> = objects
            .iter()
            .map(|object| {
                let cells = columns.iter().map(|(header, cell)| {
                    let text = write(reader, object, *cell);
                    if text.is_empty() { default(kind, header).to_owned() } else { text }
                });
                cells.collect()
            })
            .collect();
        let is_used = |at: &usize| {
            !columns[*at].0.starts_with('?') || rows.iter().any(|row| !row[*at].is_empty())
        };
        let used: Vec<usize> = (0..columns.len()).filter(is_used).collect();
        let rows = rows.iter().map(|row| used.iter().map(|at| row[*at].clone()).collect());
        Some(Sheet {
            headers: used.iter().map(|at| columns[*at].0.trim_start_matches('?')).collect(),
            rows: rows.collect(),
        })
    }

    /// The sheet as comma-separated values.
    pub(super) fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let lines = std::iter::once(self.headers.iter().map(ToString::to_string).collect())
            .chain(self.rows.iter().map(|row| row.iter().map(|cell| harmless(cell)).collect()));
        for line in lines {
            let line: Vec<String> = line;
            writer.write_record(&line).expect("lines of one length into memory");
        }
        let bytes = writer.into_inner().expect("memory takes what is written to it");
        String::from_utf8(bytes).expect("written from texts alone")
    }
}

/// What NetBox itself would put where nothing stands, in columns that its import
/// wants filled or reads as "no" when they are empty.
fn default(kind: Kind, header: &str) -> &'static str {
    match (kind, header) {
        (_, "status") => "active",
        (Kind::Interface | Kind::VmInterface, "enabled") => "true",
        (Kind::Interface, "type") => "other",
        (Kind::Tag | Kind::DeviceRole, "color") => "9e9e9e",
        (Kind::DeviceRole, "vm_role") => "true",
        _ => "",
    }
}

/// A cell that no spreadsheet takes for a formula: a quotation mark before it makes
/// it a text. Numbers are left alone.
fn harmless(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula && cell.parse::<f64>().is_err() { format!("'{cell}") } else { cell.to_owned() }
}

/// What stands in a cell: one line, save for texts that have several.
fn write(reader: Reader<'_>, object: &Live, cell: Cell) -> String {
    let text = match cell {
        Cell::Of(field) => reader.text(object, field),
        Cell::Block(field) => {
            let block = reader.text(object, field).unwrap_or_default();
            return block.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        }
        Cell::Maker => reader
            .referred(object, Field::DeviceType)
            .and_then(|device_type| reader.text(device_type, Field::Manufacturer)),
        Cell::VlanGroup => vlan_group(reader, object),
        Cell::Slug => Some(reader.slug(object)),
        Cell::Tags => Some(reader.tag_slugs(object).join(",")),
        Cell::Vids(field) => Some(vids(reader, object, field)),
        Cell::Owner(kind) => reader
            .referred(object, Field::AssignedObject)
            .and_then(|interface| reader.host(interface))
            .filter(|host| host.kind == kind)
            .map(|host| host.name().to_owned()),
        Cell::Interface => reader
            .referred(object, Field::AssignedObject)
            .map(|interface| interface.name().to_owned()),
        Cell::Fixed(text) => Some(text.to_owned()),
        Cell::Primary => is_primary(reader, object).then(|| "true".to_owned()),
        Cell::ParentType => {
            reader.referred(object, Field::Parent).and_then(|parent| match parent.kind {
                Kind::Device => Some("dcim.device".to_owned()),
                Kind::VirtualMachine => Some("virtualization.virtualmachine".to_owned()),
                _ => None,
            })
        }
    };
    visible(&text.unwrap_or_default(), LIMIT)
}

/// The VLANs that a field refers to.
fn vlans<'w>(reader: Reader<'w>, object: &Live, field: Field) -> Vec<&'w Live> {
    let references = match object.field(field) {
        Value::Ref(one) => vec![one],
        Value::Refs(all) => all.iter().collect(),
        _ => Vec::new(),
    };
    let read = |reference: &ObjectRef| reader.world().get(reference.kind(), reference.live_id()?);
    references.into_iter().filter_map(read).collect()
}

fn vids(reader: Reader<'_>, object: &Live, field: Field) -> String {
    let vlans = vlans(reader, object, field);
    let mut vids: Vec<i64> =
        vlans.iter().filter_map(|vlan| vlan.field(Field::Vid).as_int()).collect();
    vids.sort_unstable();
    vids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The one group that all VLANs of an object are in; none where there are several.
fn vlan_group(reader: Reader<'_>, object: &Live) -> Option<String> {
    let groups: BTreeSet<Option<String>> = [Field::Vlan, Field::UntaggedVlan, Field::TaggedVlans]
        .into_iter()
        .flat_map(|field| vlans(reader, object, field))
        .map(|vlan| reader.text(vlan, Field::Group))
        .collect();
    groups.first().filter(|_| groups.len() == 1).cloned().flatten()
}

/// Whether an address is the primary one of its interface or of its host.
fn is_primary(reader: Reader<'_>, address: &Live) -> bool {
    let Some(interface) = reader.referred(address, Field::AssignedObject) else {
        return false;
    };
    let this = Value::Ref(ObjectRef::Live(address.kind, address.id));
    let host = reader.host(interface);
    *interface.field(Field::PrimaryMac) == this
        || host.is_some_and(|host| {
            [Field::PrimaryIp4, Field::PrimaryIp6].iter().any(|field| *host.field(*field) == this)
        })
}
