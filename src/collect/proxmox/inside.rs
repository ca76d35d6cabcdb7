//! What a guest tells of itself: the guest agent of a virtual machine, the interfaces
//! that the host sees in a container. Silence is not emptiness: a guest that does not
//! answer has unknown addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::answer::Row;
use super::property::Nic;
use super::session::{Call, Miss, Session};
use super::survey::{Guest, GuestRow};
use crate::domain::mac::MacAddr;
use crate::domain::observation::{Address, Interface};

/// What came of asking inside a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inside {
    /// Nobody asked: it does not run, or shall not be asked.
    NotAsked,
    /// It has no agent to ask.
    NoAgent,
    /// This version cannot tell.
    Unsupported,
    /// The token may not ask.
    Forbidden,
    /// It was asked and did not answer.
    Silent(Arc<str>),
    /// Nothing was asked any more.
    Ended,
    /// It answered.
    Told(Told),
}

/// What a guest told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Its interfaces that have a MAC address.
    pub stations: Vec<Station>,
    /// Whether each interface came with all its addresses.
    pub whole: bool,
    /// Its operating system.
    pub system: System,
}

/// What a guest tells of its operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum System {
    /// Its name and version.
    Named(String),
    /// Its agent cannot tell.
    Unsupported,
    /// It did not tell this time.
    Unknown,
}

/// An interface as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Station {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its addresses, with masks where they are told.
    pub addresses: Vec<(IpAddr, Option<u8>)>,
}

/// Asks the agent of a virtual machine.
pub(super) async fn ask_agent(session: &Session<'_>, row: &GuestRow) -> Inside {
    let call = |what: &str| Call::inside(&row.node, &format!("{}/agent/{what}", row.path()));
    let answer = match session.get(&call("network-get-interfaces")).await {
        Ok(answer) => answer,
        Err(miss) => return of_miss(&miss),
    };
    let answer = Row::of(answer.data).unwrap_or_default();
    if let Some(error) = agent_error(&answer) {
        return Inside::Silent(error.into());
    }
    let Some(rows) = answer.rows("result") else {
        return Inside::Silent("its answer holds no interfaces".into());
    };
    let system = match session.get(&call("get-osinfo")).await {
        Ok(answer) => system(&Row::of(answer.data).unwrap_or_default()),
        Err(Miss::Failed(why)) if is_unsupported(&why) => System::Unsupported,
        Err(Miss::Unknown(_)) => System::Unsupported,
        Err(_) => System::Unknown,
    };
    Inside::Told(Told { stations: rows.iter().filter_map(station).collect(), whole: true, system })
}

/// Asks the host what it sees inside a running container.
pub(super) async fn ask_container(session: &Session<'_>, row: &GuestRow) -> Inside {
    let call = Call::inside(&row.node, &format!("{}/interfaces", row.path()));
    let answer = match session.get(&call).await {
        Ok(answer) => answer,
        Err(Miss::Unknown(_)) => return Inside::Unsupported,
        Err(miss) => return of_miss(&miss),
    };
    let rows = Row::all(answer.data);
    if rows.is_empty() {
        return Inside::Silent("its host shows no interfaces of it".into());
    }
    // Older versions show one address of each family at most, whatever the container has.
    let whole = rows.iter().all(|row| row.rows("ip-addresses").is_some());
    let stations = rows.iter().filter_map(station).collect();
    Inside::Told(Told { stations, whole, system: System::Unknown })
}

fn of_miss(miss: &Miss) -> Inside {
    match miss {
        Miss::Forbidden(_) => Inside::Forbidden,
        miss if miss.is_end() => Inside::Ended,
        Miss::Failed(why) if why.contains("No QEMU guest agent configured") => Inside::NoAgent,
        // It was switched off between one question and the next.
        Miss::Failed(why) if why.contains("is not running") && why.starts_with("VM ") => {
            Inside::NotAsked
        }
        miss => Inside::Silent(miss.to_string().into()),
    }
}

/// The agent's own error, which comes in an answer that is a success.
fn agent_error(answer: &Row) -> Option<String> {
    let error = answer.row("result")?.row("error")?;
    Some(error.text("desc").unwrap_or_else(|| "the agent reports an error".to_owned()))
}

fn is_unsupported(why: &str) -> bool {
    ["has not been found", "not supported", "unsupported", "disabled"]
        .iter()
        .any(|word| why.to_ascii_lowercase().contains(word))
}

fn system(answer: &Row) -> System {
    if let Some(error) = agent_error(answer) {
        return if is_unsupported(&error) { System::Unsupported } else { System::Unknown };
    }
    let Some(row) = answer.row("result") else { return System::Unknown };
    let version = row.text("version-id").map(|version| {
        // What comes behind two numbers changes with every update.
        version.split('.').take(2).collect::<Vec<_>>().join(".")
    });
    match (row.text("id").as_deref(), row.text("name"), version) {
        (Some("mswindows"), name, _) => {
            row.text("pretty-name").or(name).map_or(System::Unknown, System::Named)
        }
        (_, Some(name), Some(version)) if !name.contains(&version) => {
            System::Named(format!("{name} {version}"))
        }
        (_, Some(name), _) => System::Named(name),
        (_, None, _) => row.text("pretty-name").map_or(System::Unknown, System::Named),
    }
}

/// An interface with a MAC address; agents and versions name things differently.
fn station(row: &Row) -> Option<Station> {
    let mac = row.text("hardware-address").or_else(|| row.text("hwaddr"))?;
    let mac: MacAddr = mac.parse().ok()?;
    let mut addresses = Vec::new();
    for address in row.rows("ip-addresses").unwrap_or_default() {
        let ip = address.text("ip-address");
        let length = address.int("prefix").and_then(|length| u8::try_from(length).ok());
        addresses.extend(ip.and_then(|ip| ip_of(&ip)).map(|ip| (ip, length)));
    }
    for key in ["inet", "inet6"] {
        let Some(text) = row.text(key) else { continue };
        let (ip, length) = text.split_once('/').unwrap_or((&text, ""));
        if let Some(ip) = ip_of(ip).filter(|ip| addresses.iter().all(|(known, _)| known != ip)) {
            addresses.push((ip, length.parse().ok()));
        }
    }
    addresses.retain(|(ip, _)| is_worth_telling(*ip));
    Some(Station { mac, addresses })
}

/// An address without its zone.
fn ip_of(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.split('%').next()?.trim().parse().ok()?;
    Some(ip.to_canonical())
}

fn is_worth_telling(ip: IpAddr) -> bool {
    let local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

/// The interfaces of a guest with the addresses that it told, each known by the MAC address
/// that the hypervisor gave it; everything else in the guest (Docker, veth, loopback) is its
/// own business. Gives, besides, whether each of them was found.
pub(super) fn interfaces(nics: &[Nic], told: &Told) -> (Vec<Interface>, bool) {
    let mut by_mac: BTreeMap<MacAddr, BTreeMap<IpAddr, Option<u8>>> = BTreeMap::new();
    for station in &told.stations {
        let known = by_mac.entry(station.mac).or_default();
        for (ip, length) in &station.addresses {
            let length_known = known.entry(*ip).or_default();
            *length_known = length_known.or(*length);
        }
    }
    let mut seen: BTreeSet<MacAddr> = BTreeSet::new();
    let mut whole = told.whole;
    let mut interfaces = Vec::new();
    for nic in nics {
        let Some(mac) = nic.mac.filter(|mac| seen.insert(*mac)) else { continue };
        let Some(found) = by_mac.get(&mac) else {
            whole = false;
            continue;
        };
        let addresses = found.iter().map(|(ip, length)| Address {
            prefix_len: *length,
            dynamic: is_handed_out(nic, *ip).then_some(true),
            ..Address::bare(*ip)
        });
        interfaces.push(Interface {
            mac: Some(mac),
            addresses: addresses.collect(),
            ..Interface::default()
        });
    }
    (interfaces, whole)
}

/// Whether an address comes from DHCP or autoconfiguration, as far as the configuration says.
fn is_handed_out(nic: &Nic, ip: IpAddr) -> bool {
    let written = nic.written().iter().any(|(net, _)| net.addr() == ip);
    !written && if ip.is_ipv4() { nic.v4.is_dynamic() } else { nic.v6.is_dynamic() }
}

/// What the word of a guest itself is called.
pub(super) const fn evidence(guest: Guest) -> &'static str {
    match guest {
        Guest::Qemu => "guest agent",
        Guest::Lxc => "lxc interfaces",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(rows: serde_json::Value) -> Told {
        let stations = Row::all(rows).iter().filter_map(station).collect();
        Told { stations, whole: true, system: System::Unknown }
    }

    fn nic(text: &str) -> Nic {
        Nic::of_machine(0, text, None)
    }

    fn shown(interfaces: &[Interface]) -> Vec<String> {
        let of = |one: &Interface| {
            let each = one.addresses.iter().map(|a| format!("{}/{:?}", a.ip, a.prefix_len));
            format!("{} {}", one.mac.unwrap(), each.collect::<Vec<_>>().join(" "))
        };
        interfaces.iter().map(of).collect()
    }

    #[test]
    fn a_guest_is_matched_by_mac_and_its_own_bridges_are_left_out() {
        let told = told(json!([
            { "name": "lo", "hardware-address": "00:00:00:00:00:00", "ip-addresses": [
                { "ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8 }] },
            { "name": "Ethernet 2", "hardware-address": "BC:24:11:AA:BB:CC", "ip-addresses": [
                { "ip-address": "192.0.2.7", "ip-address-type": "ipv4", "prefix": 24 },
                { "ip-address": "fe80::1%eth0", "ip-address-type": "ipv6", "prefix": 64 },
                { "ip-address": "2001:db8::7", "ip-address-type": "ipv6", "prefix": "64" }] },
            { "name": "eth0.20", "hardware-address": "bc:24:11:aa:bb:cc", "ip-addresses": [
                { "ip-address": "198.51.100.7", "ip-address-type": "ipv4", "prefix": 24 }] },
            { "name": "docker0", "hardware-address": "02:42:ac:11:00:01", "ip-addresses": [
                { "ip-address": "172.17.0.1", "ip-address-type": "ipv4", "prefix": 16 }] },
            { "name": "wg0", "ip-addresses": [{ "ip-address": "10.99.0.1", "prefix": 32 }] },
        ]));
        let (found, whole) = interfaces(&[nic("virtio=BC:24:11:AA:BB:CC,bridge=vmbr0")], &told);
        let expected =
            "bc:24:11:aa:bb:cc 192.0.2.7/Some(24) 198.51.100.7/Some(24) 2001:db8::7/Some(64)";
        assert_eq!((shown(&found), whole), (vec![expected.to_owned()], true));
    }

    #[test]
    fn what_does_not_show_an_interface_proves_nothing_of_it() {
        let told = told(json!([{ "name": "eth0", "hardware-address": "bc:24:11:00:00:01" }]));
        let nics =
            [nic("virtio=BC:24:11:00:00:01"), nic("virtio=BC:24:11:00:00:02"), nic("virtio")];
        let (found, whole) = interfaces(&nics, &told);
        assert_eq!((found.len(), whole), (1, false));
    }

    #[test]
    fn older_containers_show_one_address_of_each_family() {
        // The shape up to 8.3; later `ip-addresses` stands beside it.
        let told = told(json!([
            { "name": "eth0", "hwaddr": "bc:24:11:00:00:01", "inet": "192.0.2.7/24", "inet6": "fe80::1/64" },
        ]));
        let nic = Nic::of_container(0, "name=eth0,hwaddr=BC:24:11:00:00:01,ip=dhcp");
        let (found, _) = interfaces(&[nic], &told);
        assert_eq!(found[0].addresses.len(), 1);
        assert_eq!(found[0].addresses[0].dynamic, Some(true));
        assert_eq!(found[0].addresses[0].prefix_len, Some(24));
    }

    #[test]
    fn an_operating_system_is_named_without_what_every_update_changes() {
        let named = |json| match system(&Row::of(json!({ "result": json })).unwrap()) {
            System::Named(name) => name,
            other => format!("{other:?}"),
        };
        for (answer, expected) in [
            (
                json!({ "id": "debian", "name": "Debian GNU/Linux", "version-id": "12" }),
                "Debian GNU/Linux 12",
            ),
            (
                json!({ "id": "ubuntu", "name": "Ubuntu", "version-id": "22.04", "pretty-name": "Ubuntu 22.04.3 LTS" }),
                "Ubuntu 22.04",
            ),
            (
                json!({ "id": "alpine", "name": "Alpine Linux", "version-id": "3.18.4" }),
                "Alpine Linux 3.18",
            ),
            (json!({ "id": "arch", "name": "Arch Linux" }), "Arch Linux"),
            (
                json!({ "id": "mswindows", "name": "Microsoft Windows", "pretty-name": "Windows Server 2019 Standard", "version-id": "2019" }),
                "Windows Server 2019 Standard",
            ),
            (
                json!({ "error": { "class": "CommandNotFound", "desc": "The command guest-get-osinfo has not been found" } }),
                "Unsupported",
            ),
            (json!({}), "Unknown"),
        ] {
            assert_eq!(named(answer), expected);
        }
    }

    #[test]
    fn why_an_agent_is_silent_is_told_apart() {
        let of = |why: &str| of_miss(&Miss::Failed(why.into()));
        assert_eq!(of("No QEMU guest agent configured"), Inside::NoAgent);
        assert_eq!(of("VM 100 is not running"), Inside::NotAsked);
        assert!(matches!(of("QEMU guest agent is not running"), Inside::Silent(_)));
        assert_eq!(of_miss(&Miss::Forbidden("x".into())), Inside::Forbidden);
        assert_eq!(of_miss(&Miss::Ended("x".into())), Inside::Ended);
    }
}
