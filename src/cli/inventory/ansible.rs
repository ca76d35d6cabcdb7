//! An inventory for Ansible, in YAML: every host with the address by which it is
//! reached, in groups by role, site, platform, cluster, status, tag and kind.
//!
//! Ansible reads meaning into names and values: `[1:9]` in a host's name is a
//! range, `{{ … }}` in a value a template that it evaluates, `localhost` the
//! machine it runs on. None of that may come from a network: names are made of
//! harmless characters, and what looks like a template is marked `!unsafe`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::model::{Host, HostKind, Inventory};
use crate::domain::name::visible;

pub(super) fn text(inventory: &Inventory) -> String {
    let names = names(inventory);
    let mut hosts: BTreeMap<&str, &Host> = BTreeMap::new();
    let mut groups: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (host, name) in inventory.hosts.iter().zip(&names) {
        hosts.insert(name, host);
        for group in groups_of(host) {
            groups.entry(group).or_default().insert(name);
        }
    }
    let mut text = String::from("all:\n");
    if hosts.is_empty() {
        text.push_str("  hosts: {}\n");
        return text;
    }
    text.push_str("  hosts:\n");
    for (name, host) in hosts {
        write_host(&mut text, name, host);
    }
    text.push_str("  children:\n");
    for (group, members) in groups {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "    {group}:\n      hosts:");
        for member in members {
            let _ = writeln!(text, "        {}: {{}}", quoted(member));
        }
    }
    text
}

fn write_host(text: &mut String, name: &str, host: &Host) {
    let _ = writeln!(text, "    {}:", quoted(name));
    let mut line = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(text, "      {key}: {}", scalar(value));
        }
    };
    let kind = match host.kind {
        HostKind::Device => "device",
        HostKind::VirtualMachine => "virtual_machine",
    };
    let reached_at = host.reached_at().map(|ip| ip.to_string());
    line("ansible_host", reached_at.as_deref());
    line("netbox_kind", Some(kind));
    line("netbox_name", host.name.as_deref());
    line("netbox_status", host.status.as_deref());
    line("netbox_role", host.role.as_deref());
    line("netbox_site", host.site.as_deref());
    line("netbox_location", host.location.as_deref());
    line("netbox_tenant", host.tenant.as_deref());
    line("netbox_platform", host.platform.as_deref());
    line("netbox_cluster", host.cluster.as_deref());
    line("netbox_manufacturer", host.manufacturer.as_deref());
    line("netbox_model", host.model.as_deref());
    line("netbox_serial", host.serial.as_deref());
    line("netbox_mac", host.mac());
    if !host.tags.is_empty() {
        text.push_str("      netbox_tags:\n");
        for tag in &host.tags {
            let _ = writeln!(text, "        - {}", scalar(tag));
        }
    }
}

/// The groups that a host is in.
fn groups_of(host: &Host) -> BTreeSet<String> {
    let kind = match host.kind {
        HostKind::Device => "devices",
        HostKind::VirtualMachine => "virtual_machines",
    };
    let by = [
        ("role", &host.role),
        ("site", &host.site),
        ("platform", &host.platform),
        ("cluster", &host.cluster),
        ("status", &host.status),
    ];
    let named = by.into_iter().filter_map(|(by, name)| Some((by, name.as_deref()?)));
    let tags = host.tags.iter().map(|tag| ("tag", tag.as_str()));
    named
        .chain(tags)
        .map(|(by, name)| format!("{by}_{}", word(name)))
        .chain([kind.to_owned()])
        .collect()
}

/// A name for each host that only it has, in the order of the hosts. Those of one
/// name are told apart by what they are in the inventory.
fn names(inventory: &Inventory) -> Vec<String> {
    let wanted: Vec<String> = inventory.hosts.iter().map(host_name).collect();
    let mut claims: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &wanted {
        *claims.entry(name).or_default() += 1;
    }
    let name = |(host, wanted): (&Host, &String)| {
        if !wanted.is_empty() && claims.get(wanted.as_str()) == Some(&1) {
            return wanted.clone();
        }
        let kind = match host.kind {
            HostKind::Device => "device",
            HostKind::VirtualMachine => "vm",
        };
        let mut name = wanted.clone();
        loop {
            let hyphen = if name.is_empty() { "" } else { "-" };
            name = format!("{name}{hyphen}{kind}-{}", host.id);
            if !claims.contains_key(name.as_str()) {
                return name;
            }
        }
    };
    inventory.hosts.iter().zip(&wanted).map(name).collect()
}

/// The name a host would have were it alone; empty where it has none that Ansible
/// would take for a name.
fn host_name(host: &Host) -> String {
    let name: String = host
        .name
        .as_deref()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
        .collect();
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    // The names by which Ansible knows its own machine, and its own groups.
    let reserved = ["localhost", "127.0.0.1", "all", "ungrouped"];
    if reserved.contains(&name.to_ascii_lowercase().as_str()) { String::new() } else { name }
}

/// A name as a part of a group's name: letters, digits and `_`.
fn word(name: &str) -> String {
    crate::domain::name::slug(name).replace('-', "_")
}

/// A value that Ansible takes as it stands.
fn scalar(value: &str) -> String {
    let template = ["{{", "{%", "{#"].iter().any(|mark| value.contains(mark));
    let quoted = quoted(value);
    if template { format!("!unsafe {quoted}") } else { quoted }
}

/// A double-quoted YAML text. JSON's escapes are YAML's, and [`visible`] leaves no
/// character that YAML would want escaped beyond them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(visible(text, 1000)).to_string()
}
