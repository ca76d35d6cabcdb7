//! Lines for a hosts file: an address, and the names that it has. Nothing stands
//! there that is not a valid host name, no name that stands for this machine, and
//! none that several hosts claim. Beyond that a name is as true as the source
//! that said it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::model::{Address, Host, Inventory, routable};
use crate::domain::name::DnsName;

/// The names of one address: the longer ones first, as is the custom.
type Names = BTreeSet<(std::cmp::Reverse<usize>, String)>;

pub(super) fn text(inventory: &Inventory) -> String {
    let claims = claims(inventory);
    let mut lines: BTreeMap<IpAddr, Names> = BTreeMap::new();
    let mut disputed = String::new();
    for (name, hosts) in &claims {
        if hosts.len() > 1 {
            let all: BTreeSet<String> = hosts.values().flatten().map(ToString::to_string).collect();
            let all: Vec<String> = all.into_iter().collect();
            disputed.push_str(&format!(
                "# {name}: left out, several hosts have it: {}\n",
                all.join(", ")
            ));
            continue;
        }
        for ip in hosts.values().flatten() {
            let labels = name.matches('.').count();
            lines.entry(*ip).or_default().insert((std::cmp::Reverse(labels), name.clone()));
        }
    }
    let mut text = String::new();
    for (ip, names) in lines {
        let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
        text.push_str(&format!("{ip}\t{}\n", names.join(" ")));
    }
    text + &disputed
}

/// Which hosts claim which name, and for which of their addresses.
fn claims(inventory: &Inventory) -> BTreeMap<String, BTreeMap<usize, BTreeSet<IpAddr>>> {
    let mut claims: BTreeMap<String, BTreeMap<usize, BTreeSet<IpAddr>>> = BTreeMap::new();
    let mut claim = |name: &str, host: usize, ip: IpAddr| {
        if let Some(name) = host_name(name) {
            claims.entry(name).or_default().entry(host).or_default().insert(ip);
        }
    };
    for (place, host) in inventory.hosts.iter().enumerate() {
        // The host's own name is that of its primary addresses, else of its only one.
        for ip in named_addresses(host) {
            claim(host.name.as_deref().unwrap_or_default(), place, ip);
        }
        for address in host.interfaces.iter().flat_map(|interface| &interface.addresses) {
            dns_claim(address, place, &mut claim);
        }
    }
    let beyond = inventory.hosts.len();
    for (place, address) in inventory.unassigned_addresses.iter().enumerate() {
        dns_claim(address, beyond + place, &mut claim);
    }
    claims
}

fn dns_claim(address: &Address, host: usize, claim: &mut impl FnMut(&str, usize, IpAddr)) {
    if let (Some(name), Some(ip)) = (&address.dns_name, routable(&address.address)) {
        claim(name, host, ip);
    }
}

fn named_addresses(host: &Host) -> Vec<IpAddr> {
    let primary = host.primary_ip4.iter().chain(&host.primary_ip6);
    let primary: Vec<IpAddr> = primary.filter_map(|address| routable(address)).collect();
    if !primary.is_empty() {
        return primary;
    }
    let all: Vec<IpAddr> = host.addresses().into_iter().filter_map(routable).collect();
    if all.len() == 1 { all } else { Vec::new() }
}

/// A name that may stand in a hosts file: letters, digits and hyphens in each
/// label, and none that stands for this machine.
fn host_name(text: &str) -> Option<String> {
    let name: DnsName = text.parse().ok()?;
    let name = name.as_str();
    let first = name.split('.').next().unwrap_or_default();
    let last = name.rsplit('.').next().unwrap_or_default();
    let own = matches!(first, "localhost" | "broadcasthost" | "ip6-localhost" | "ip6-loopback")
        || last == "localhost"
        || first.starts_with("ip6-all");
    let number = last.chars().all(|c| c.is_ascii_digit());
    (!own && !number && !name.contains('_')).then(|| name.to_owned())
}
