//! Tables for people, with plain columns that other tools can cut.

use comfy_table::{ContentArrangement, Table, presets};

use super::model::{Address, Host, HostKind, Inventory};
use super::sheet::Sheet;
use crate::domain::name::visible;

/// How many characters of one value are shown.
const LIMIT: usize = 60;

/// The hosts, and below them the addresses that belong to none. A column that nothing
/// stands in is left out.
pub(super) fn hosts(inventory: &Inventory, width: Option<u16>) -> String {
    let mut parts = Vec::new();
    if !inventory.hosts.is_empty() {
        parts.push(draw_hosts(inventory, width));
    }
    if !inventory.unassigned_addresses.is_empty() {
        let rows = inventory.unassigned_addresses.iter().map(loose).collect();
        parts.push(draw(&["ADDRESS OF NO HOST", "DNS NAME", "VRF", "STATUS"], rows, width));
    }
    parts.join("\n")
}

fn loose(address: &Address) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        address.address.clone(),
        text(&address.dns_name),
        text(&address.vrf),
        text(&address.status),
    ]
}

fn draw_hosts(inventory: &Inventory, width: Option<u16>) -> String {
    let rows: Vec<Vec<String>> = inventory.hosts.iter().map(row).collect();
    let titles = [
        "NAME", "KIND", "STATUS", "ROLE", "ADDRESS", "MAC", "TYPE", "PLATFORM", "SITE", "LOCATION",
        "CLUSTER",
    ];
    draw(&titles, rows, width)
}

fn row(host: &Host) -> Vec<String> {
    let addresses = host.addresses();
    let address = match addresses.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, others @ ..] => format!("{first} +{}", others.len()),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let kind = match host.kind {
        HostKind::Device => "device",
        HostKind::VirtualMachine => "vm",
    };
    vec![
        text(&host.name),
        kind.to_owned(),
        text(&host.status),
        text(&host.role),
        address,
        host.mac().unwrap_or_default().to_owned(),
        host.make(),
        text(&host.platform),
        text(&host.site),
        text(&host.location),
        text(&host.cluster),
    ]
}

/// The objects of one kind.
pub(super) fn sheet(sheet: &Sheet, width: Option<u16>) -> String {
    if sheet.rows.is_empty() {
        return String::new();
    }
    let titles: Vec<String> =
        sheet.headers.iter().map(|header| header.to_uppercase().replace('_', " ")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    draw(&titles, sheet.rows.clone(), width)
}

fn draw(titles: &[&str], mut rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    for cell in rows.iter_mut().flatten() {
        *cell = visible(cell, LIMIT);
    }
    let used: Vec<usize> = (0..titles.len())
        .filter(|column| rows.iter().any(|row| !row[*column].is_empty()))
        .collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(used.iter().map(|column| titles[*column]));
    for row in rows {
        table.add_row(used.iter().map(|column| match row[*column].as_str() {
            "" => "-",
            text => text,
        }));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()));
        text.push('\n');
    }
    text
}
