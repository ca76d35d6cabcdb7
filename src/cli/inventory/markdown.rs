//! A page in Markdown. What stands in a cell is text and nothing else: no markup,
//! no link, no HTML, no second cell.

use super::model::{Address, Cluster, Host, HostKind, Inventory, IpRange, Prefix, Vlan};
use crate::domain::name::visible;

/// How many characters of one value are shown.
const LIMIT: usize = 200;

pub(super) fn text(inventory: &Inventory) -> String {
    let mut text = String::from("# Inventory\n");
    for (title, kind) in
        [("Devices", HostKind::Device), ("Virtual machines", HostKind::VirtualMachine)]
    {
        let hosts = inventory.hosts.iter().filter(|host| host.kind == kind);
        let titles =
            ["Name", "Status", "Role", "Addresses", "MAC", "Type", "Platform", "Site", "Cluster"];
        section(&mut text, title, &titles, hosts.map(host).collect());
    }
    let titles = ["Name", "Type", "Site", "Status"];
    section(&mut text, "Clusters", &titles, inventory.clusters.iter().map(cluster).collect());
    let titles = ["Prefix", "VLAN", "Site", "VRF", "Status", "Description"];
    section(&mut text, "Prefixes", &titles, inventory.prefixes.iter().map(prefix).collect());
    let titles = ["VLAN", "Name", "Group", "Site", "Status", "Description"];
    section(&mut text, "VLANs", &titles, inventory.vlans.iter().map(vlan).collect());
    let titles = ["First", "Last", "VRF", "Status", "Description"];
    section(&mut text, "IP ranges", &titles, inventory.ip_ranges.iter().map(range).collect());
    let titles = ["Address", "DNS name", "VRF", "Status"];
    let loose = inventory.unassigned_addresses.iter().map(address).collect();
    section(&mut text, "Addresses of no interface", &titles, loose);
    text
}

fn text_of(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn number(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn host(host: &Host) -> Vec<String> {
    vec![
        text_of(&host.name),
        text_of(&host.status),
        text_of(&host.role),
        host.addresses().join(", "),
        host.mac().unwrap_or_default().to_owned(),
        host.make(),
        text_of(&host.platform),
        text_of(&host.site),
        text_of(&host.cluster),
    ]
}

fn cluster(cluster: &Cluster) -> Vec<String> {
    vec![
        cluster.name.clone(),
        text_of(&cluster.r#type),
        text_of(&cluster.site),
        text_of(&cluster.status),
    ]
}

fn prefix(prefix: &Prefix) -> Vec<String> {
    vec![
        prefix.prefix.clone(),
        number(prefix.vlan),
        text_of(&prefix.site),
        text_of(&prefix.vrf),
        text_of(&prefix.status),
        text_of(&prefix.description),
    ]
}

fn vlan(vlan: &Vlan) -> Vec<String> {
    vec![
        vlan.vid.to_string(),
        text_of(&vlan.name),
        text_of(&vlan.group),
        text_of(&vlan.site),
        text_of(&vlan.status),
        text_of(&vlan.description),
    ]
}

fn range(range: &IpRange) -> Vec<String> {
    vec![
        range.start.clone(),
        range.end.clone(),
        text_of(&range.vrf),
        text_of(&range.status),
        text_of(&range.description),
    ]
}

fn address(address: &Address) -> Vec<String> {
    vec![
        address.address.clone(),
        text_of(&address.dns_name),
        text_of(&address.vrf),
        text_of(&address.status),
    ]
}

/// A heading and a table; nothing where there are no rows.
fn section(text: &mut String, title: &str, titles: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&format!("\n## {title} ({})\n\n", rows.len()));
    text.push_str(&line(titles.iter().map(ToString::to_string).collect()));
    text.push_str(&line(vec!["---".to_owned(); titles.len()]));
    for row in rows {
        text.push_str(&line(row.iter().map(|cell| plain(cell)).collect()));
    }
}

/// A text that Markdown shows as it stands.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text, LIMIT).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '_' | '~' | '[' | ']' | '(' | ')' | '!' | '#' | '$' | '^' => {
                out.push('\\');
                out.push(c);
            }
            // Else a name could call somebody, and an address become a link.
            '@' => out.push_str("&#64;"),
            _ => out.push(c),
        }
    }
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}
