//! The inventory as text: for people, for programs, and for tools that read their
//! hosts from a file. Values in, a text out; who prints it is the verb.
//!
//! What stands in an inventory was said by a network and may be hostile. Each
//! format makes it harmless in its own way: a table shows no control character, a
//! sheet no formula, an inventory for Ansible no template, a hosts file nothing
//! but host names.

mod ansible;
mod hosts;
mod json;
mod markdown;
mod model;
mod reader;
mod sheet;
mod table;
mod verb;

use clap::ValueEnum;

use sheet::Sheet;

pub(super) use verb::{InventoryArgs, run};

pub use model::{
    Address, Cluster, Component, Disk, Host, HostKind, Interface, Inventory, IpRange, Prefix,
    Service, Vlan,
};

use crate::domain::object::Kind;
use crate::domain::world::World;

/// The forms in which the inventory can be printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// JSON for programs, in a stable shape.
    Json,
    /// A sheet of one kind, with the columns of NetBox's import.
    Csv,
    /// An Ansible inventory in YAML, with groups by role, site, platform and more.
    Ansible,
    /// Lines for /etc/hosts.
    Hosts,
    /// A page in Markdown.
    Markdown,
}

/// A form that there is not for this kind of object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuited {
    /// The form shows hosts or everything.
    #[error("cannot show one kind in this format: leave out --kind, or use --format table or csv")]
    Whole,
    /// The kind has no sheet.
    #[error("cannot write the kind `{kind}` as a sheet: expected one of {}", known())]
    NoSheet {
        /// The kind.
        kind: Kind,
    },
}

fn known() -> String {
    let kinds = Kind::ALL.iter().filter(|kind| sheet::columns(**kind).is_some());
    kinds.map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

/// The inventory as text, which ends with a line end unless it is empty. Every kind
/// must have been read, also for a sheet of one: it names what it refers to.
///
/// `width` is the width of the terminal; without one no line is wrapped.
///
/// # Errors
/// When there is no such form of this kind.
pub fn render(
    world: &World,
    format: Format,
    kind: Option<Kind>,
    width: Option<u16>,
) -> Result<String, Unsuited> {
    match (format, kind) {
        (Format::Table, None) => Ok(table::hosts(&Inventory::of(world), width)),
        (Format::Table, Some(kind)) => {
            let sheet = Sheet::of(world, kind).ok_or(Unsuited::NoSheet { kind })?;
            Ok(table::sheet(&sheet, width))
        }
        (Format::Csv, kind) => {
            let kind = kind.unwrap_or(Kind::Device);
            let sheet = Sheet::of(world, kind).ok_or(Unsuited::NoSheet { kind })?;
            Ok(sheet.to_csv())
        }
        (_, Some(_)) => Err(Unsuited::Whole),
        (Format::Json, None) => Ok(json::text(&Inventory::of(world))),
        (Format::Ansible, None) => Ok(ansible::text(&Inventory::of(world))),
        (Format::Hosts, None) => Ok(hosts::text(&Inventory::of(world))),
        (Format::Markdown, None) => Ok(markdown::text(&Inventory::of(world))),
    }
}

#[cfg(test)]
mod tests;
