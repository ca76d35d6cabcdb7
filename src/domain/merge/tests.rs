//! Merging is a function of the set of observations; what joins, what is vetoed, what is told.

use super::*;
use crate::domain::inventory::{LoneAddress, MergedHost};
use crate::domain::name::SourceName;
use crate::domain::observation::{
    Address, Authority, Form, Host, HostAttribute, Interface, NativeKey, Segment,
};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;

/// Builds observations tersely: `seen("lan", Wire).mac("…").ip("…")`.
struct Sight(Observation);

fn seen(source: &str, authority: Authority) -> Sight {
    Sight(Observation {
        source: source.parse::<SourceName>().unwrap(),
        at: Timestamp::from_second(1_000_000).unwrap(),
        authority,
        evidence: "test".into(),
        segment: Segment::default(),
        thing: Thing::Host(Box::default()),
    })
}

impl Sight {
    fn host(&mut self) -> &mut Host {
        match &mut self.0.thing {
            Thing::Host(host) => host,
            _ => unreachable!(),
        }
    }

    fn key(mut self, key: &str) -> Self {
        self.host().key = Some(key.parse::<NativeKey>().unwrap());
        self
    }

    fn alias(mut self, key: &str) -> Self {
        self.host().aliases.insert(key.parse().unwrap());
        self
    }

    fn interface(mut self, name: Option<&str>, mac: Option<&str>, addresses: &[&str]) -> Self {
        self.host().interfaces.push(Interface {
            name: name.map(Into::into),
            mac: mac.map(|mac| mac.parse().unwrap()),
            addresses: addresses.iter().map(|text| address(text)).collect(),
            ..Interface::default()
        });
        self
    }

    fn wire(self, mac: &str, ip: &str) -> Self {
        self.interface(None, Some(mac), &[ip])
    }

    fn echo(self, ip: &str) -> Self {
        self.interface(None, None, &[ip])
    }

    fn fact(mut self, attribute: HostAttribute, text: &str) -> Self {
        self.host().facts.text(attribute, text);
        self
    }

    fn hint(mut self) -> Self {
        self.host().hint = true;
        self
    }

    fn ago(mut self, minutes: i64) -> Self {
        self.0.at -= SignedDuration::from_mins(minutes);
        self
    }
}

fn address(text: &str) -> Address {
    match text.parse::<ipnet::IpNet>() {
        Ok(net) => Address::with_prefix(net),
        Err(_) => Address::bare(text.parse::<IpAddr>().unwrap()),
    }
}

fn merged(sights: Vec<Sight>) -> Inventory {
    let observations: Vec<Observation> = sights.into_iter().map(|sight| sight.0).collect();
    let mut reversed = observations.clone();
    reversed.reverse();
    let inventory = merge(observations, &Ranking::default(), &[]);
    assert_eq!(inventory, merge(reversed, &Ranking::default(), &[]), "the order shows");
    inventory
}

fn keys(inventory: &Inventory) -> Vec<&str> {
    inventory.hosts.iter().map(|host| &*host.key.0).collect()
}

fn ips(host: &MergedHost) -> Vec<String> {
    host.interfaces.iter().flat_map(|i| &i.addresses).map(|a| a.ip.to_string()).collect()
}

fn lone(inventory: &Inventory) -> Vec<String> {
    inventory.addresses.iter().map(|LoneAddress { address, .. }| address.ip.to_string()).collect()
}

use Authority::{Controller, Derived, Directory, Hypervisor, Lease, Own, Wire};

#[test]
fn one_mac_is_one_host() {
    let inventory = merged(vec![
        seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.5"),
        seen("dhcp", Lease).wire("00:1b:21:00:00:01", "192.0.2.5").fact(HostAttribute::Name, "nas"),
        seen("lan", Derived)
            .interface(None, Some("00:1b:21:00:00:01"), &[])
            .fact(HostAttribute::Manufacturer, "Intel"),
    ]);
    assert_eq!(keys(&inventory), ["mac:00:1b:21:00:00:01"]);
    assert_eq!(inventory.hosts[0].text(HostAttribute::Name), Some("nas"));
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.5"]);
    assert_eq!(inventory.hosts[0].interfaces.len(), 1);
}

#[test]
fn a_hypervisor_makes_a_local_mac_strong() {
    let guest = || {
        seen("pve", Hypervisor).key("pve:lab/lxc/100").interface(
            Some("eth0"),
            Some("52:54:00:00:00:01"),
            &[],
        )
    };
    let inventory =
        merged(vec![guest(), seen("lan", Wire).wire("52:54:00:00:00:01", "192.0.2.7/24")]);
    assert_eq!(keys(&inventory), ["pve:lab/lxc/100"]);
    assert_eq!(inventory.hosts[0].interfaces[0].name.as_deref(), Some("eth0"));
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.7"]);
}

#[test]
fn a_random_mac_alone_is_an_address_alone() {
    let inventory = merged(vec![seen("lan", Wire).wire("da:a1:19:00:00:01", "192.0.2.9")]);
    assert!(inventory.hosts.is_empty());
    assert_eq!(lone(&inventory), ["192.0.2.9"]);
    assert!(inventory.addresses[0].mac.is_some());
}

#[test]
fn clones_with_one_mac_stay_two_and_a_person_is_told() {
    let guest = |id: &str, ip: &str| {
        seen("pve", Hypervisor).key(id).interface(Some("net0"), Some("bc:24:11:00:00:01"), &[ip])
    };
    let inventory = merged(vec![
        guest("pve:lab/qemu/100", "192.0.2.1/24"),
        guest("pve:lab/qemu/101", "192.0.2.2/24"),
        seen("lan", Wire).wire("bc:24:11:00:00:01", "192.0.2.2"),
        seen("ha", Controller).alias("ha:x").interface(None, Some("bc:24:11:00:00:01"), &[]),
    ]);
    let made: Vec<&str> = inventory
        .hosts
        .iter()
        .filter(|host| host.held.is_none())
        .map(|host| &*host.key.0)
        .collect();
    assert_eq!(made, ["pve:lab/qemu/100", "pve:lab/qemu/101"]);
    assert!(inventory.ambiguities.iter().any(|a| a.code == "shared_identifier"));
    // The sweep's sight went to the clone that holds the address.
    let second = inventory.hosts.iter().find(|host| &*host.key.0 == "pve:lab/qemu/101").unwrap();
    assert_eq!(second.seen.len(), 2);
}

#[test]
fn placeholder_serials_join_nothing() {
    let box_of = |mac: &str| {
        seen("snmp", Own)
            .interface(Some("eth0"), Some(mac), &[])
            .fact(HostAttribute::Manufacturer, "Supermicro")
            .fact(HostAttribute::Serial, "To be filled by O.E.M.")
    };
    let inventory = merged(vec![box_of("00:25:90:00:00:01"), box_of("00:25:90:00:00:02")]);
    assert_eq!(inventory.hosts.len(), 2);
}

#[test]
fn different_serials_veto_a_shared_mac() {
    let laptop = |serial: &str, own: &str| {
        seen("mdm", Own)
            .fact(HostAttribute::Manufacturer, "Dell")
            .fact(HostAttribute::Serial, serial)
            .interface(Some("wlan0"), Some(own), &[])
            .interface(Some("dock0"), Some("00:50:b6:00:00:01"), &[])
    };
    let inventory = merged(vec![
        laptop("7XK2JQ2", "00:1b:21:00:00:01"),
        laptop("9ABCDE1", "00:1b:21:00:00:02"),
        seen("lan", Wire).wire("00:50:b6:00:00:01", "192.0.2.4"),
    ]);
    let made = inventory.hosts.iter().filter(|host| host.held.is_none()).count();
    assert_eq!((made, inventory.hosts.len()), (2, 3));
}

#[test]
fn what_joins_two_contradicting_things_joins_neither() {
    let inventory = merged(vec![
        seen("pve", Hypervisor).key("pve:lab/qemu/1").interface(
            Some("net0"),
            Some("bc:24:11:00:00:01"),
            &[],
        ),
        seen("pve", Hypervisor).key("pve:lab/qemu/2").interface(
            Some("net0"),
            Some("bc:24:11:00:00:02"),
            &[],
        ),
        seen("odd", Controller)
            .alias("odd:1")
            .interface(None, Some("bc:24:11:00:00:01"), &[])
            .interface(None, Some("bc:24:11:00:00:02"), &[]),
    ]);
    assert_eq!(keys(&inventory), ["odd:1", "pve:lab/qemu/1", "pve:lab/qemu/2"]);
    assert!(inventory.hosts[0].held.is_some());
    assert!(inventory.ambiguities.iter().any(|a| a.code == "torn_identity"));
}

#[test]
fn an_echo_enriches_the_owner_of_its_address() {
    let inventory = merged(vec![
        seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.5"),
        seen("dns", Directory).echo("192.0.2.5").fact(HostAttribute::DnsName, "nas.example.net"),
        seen("far", Wire).echo("198.51.100.7"),
    ]);
    assert_eq!(keys(&inventory), ["mac:00:1b:21:00:00:01"]);
    assert_eq!(inventory.hosts[0].text(HostAttribute::DnsName), Some("nas.example.net"));
    assert_eq!(lone(&inventory), ["198.51.100.7"]);
}

#[test]
fn a_moved_address_follows_the_newest_sight() {
    let inventory = merged(vec![
        seen("dhcp", Lease).wire("00:1b:21:00:00:01", "192.0.2.5").ago(600),
        seen("lan", Wire).wire("00:1b:21:00:00:02", "192.0.2.5"),
        seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.6"),
    ]);
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.6"]);
    assert_eq!(ips(&inventory.hosts[1]), ["192.0.2.5"]);
}

#[test]
fn two_macs_at_one_address_are_told_and_neither_gets_it() {
    let inventory = merged(vec![
        seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.5"),
        seen("lan", Wire).wire("00:1b:21:00:00:02", "192.0.2.5"),
    ]);
    assert_eq!(inventory.hosts.len(), 2);
    assert!(inventory.hosts.iter().all(|host| ips(host).is_empty()));
    assert_eq!(inventory.ambiguities[0].code, "address_conflict");
}

#[test]
fn a_stale_registry_address_does_not_drag_a_phone_into_a_plug() {
    let inventory = merged(vec![
        seen("ha", Controller).alias("ha:plug").fact(HostAttribute::Name, "Plug").interface(
            None,
            Some("00:1b:21:00:00:01"),
            &["192.0.2.5"],
        ),
        seen("lan", Wire).wire("da:a1:19:00:00:01", "192.0.2.5"),
    ]);
    assert_eq!(keys(&inventory), ["ha:plug"]);
    assert_eq!(inventory.hosts[0].seen.len(), 1);
    assert_eq!(lone(&inventory), ["192.0.2.5"]);
}

#[test]
fn an_address_only_registry_entry_is_held_unless_something_else_agrees() {
    let entry = || seen("ha", Controller).alias("ha:1").echo("192.0.2.5");
    let host = || {
        seen("lan", Wire)
            .wire("00:1b:21:00:00:01", "192.0.2.5")
            .fact(HostAttribute::DnsName, "octopi.lan")
    };
    let inventory = merged(vec![entry(), host()]);
    assert_eq!(inventory.hosts.len(), 2);
    assert!(inventory.hosts.iter().any(|host| host.held.is_some()));
    let inventory = merged(vec![entry().fact(HostAttribute::Name, "OctoPi"), host()]);
    assert_eq!(inventory.hosts.len(), 1);
}

#[test]
fn two_registry_entries_of_one_mac_are_one_device() {
    let inventory = merged(vec![
        seen("ha", Controller).alias("ha:1").interface(None, Some("00:1b:21:00:00:01"), &[]),
        seen("ha", Controller).alias("ha:2").interface(None, Some("00:1b:21:00:00:01"), &[]),
    ]);
    assert_eq!(keys(&inventory), ["ha:1"]);
}

#[test]
fn the_same_mac_in_a_bond_is_one_host_with_each_interface_once() {
    let node = || {
        let mac = Some("00:1b:21:00:00:01");
        seen("pve", Hypervisor)
            .key("pve:lab/node/a")
            .interface(Some("eno1"), mac, &[])
            .interface(Some("bond0"), mac, &[])
            .interface(Some("vmbr0"), mac, &["192.0.2.10/24"])
    };
    let inventory = merged(vec![
        node(),
        seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.10"),
        seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.11"),
    ]);
    let host = &inventory.hosts[0];
    assert_eq!(host.interfaces.len(), 3);
    let bridge = host.interfaces.iter().find(|i| i.name.as_deref() == Some("vmbr0")).unwrap();
    assert_eq!(bridge.addresses.len(), 2);
}

#[test]
fn the_guests_own_name_of_an_interface_does_not_make_a_second_one() {
    let inventory = merged(vec![
        seen("pve", Hypervisor).key("pve:lab/qemu/1").interface(
            Some("net0"),
            Some("bc:24:11:00:00:01"),
            &[],
        ),
        seen("pve", Own).key("pve:lab/qemu/1").interface(
            Some("ens18"),
            Some("bc:24:11:00:00:01"),
            &["192.0.2.3/24"],
        ),
    ]);
    let host = &inventory.hosts[0];
    assert_eq!(host.interfaces.len(), 1);
    assert_eq!(host.interfaces[0].name.as_deref(), Some("net0"));
    assert!(host.interfaces[0].other_names.contains("ens18"));
}

#[test]
fn a_bind_rule_settles_what_evidence_cannot() {
    let sights = || {
        vec![
            seen("ha", Controller).alias("ha:1").echo("192.0.2.5").0,
            seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.5").0,
        ]
    };
    let named = |identifiers: &[&str]| identifiers.iter().map(|i| i.parse().unwrap()).collect();
    let with = |sights, bind| merge(sights, &Ranking::default(), &[bind]);
    let joined = with(sights(), Bind::Join(named(&["ha:1", "mac:00:1b:21:00:00:01"])));
    assert_eq!(joined.hosts.len(), 1);
    let mut twins = sights();
    twins[0] =
        seen("ha", Controller).alias("ha:1").interface(None, Some("00:1b:21:00:00:01"), &[]).0;
    let split = with(twins, Bind::Split(named(&["ha:1", "ip:192.0.2.5"])));
    assert_eq!(split.hosts.len(), 2);
}

#[test]
fn a_container_is_known_by_its_form() {
    let mut guest = seen("pve", Hypervisor).key("pve:lab/lxc/1");
    guest.host().form = Some(Form::Container);
    assert!(merged(vec![guest]).hosts[0].is_virtual());
}

#[test]
fn what_says_an_address_of_itself_is_what_answers_there() {
    let itself =
        || seen("ha", Own).alias("ha:self").interface(Some("eth0"), None, &["192.0.2.5/24"]);
    let guest = |ip: &str| {
        let key = format!("pve:lab/qemu/{}", ip.rsplit('.').next().unwrap());
        seen("pve", Hypervisor).key(&key).interface(Some("net0"), Some("bc:24:11:00:00:01"), &[])
    };
    let wire = || seen("lan", Wire).wire("bc:24:11:00:00:01", "192.0.2.5");
    let inventory = merged(vec![itself(), guest("192.0.2.5"), wire()]);
    assert_eq!(keys(&inventory), ["pve:lab/qemu/5"]);
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.5"]);
    assert!(inventory.ambiguities.is_empty(), "{:?}", inventory.ambiguities);

    // A second address that nobody else knows of is no contradiction.
    let more = itself().interface(Some("wg0"), None, &["198.51.100.1/24"]);
    assert_eq!(merged(vec![more, guest("192.0.2.5"), wire()]).hosts.len(), 1);

    // Two holders are: nobody can say which of them it is.
    let torn = itself().interface(Some("eth1"), None, &["192.0.2.6/24"]);
    let other = seen("lan", Wire).wire("00:1b:21:00:00:02", "192.0.2.6");
    let inventory = merged(vec![torn, guest("192.0.2.5"), wire(), other]);
    assert_eq!(inventory.hosts.len(), 3);
    assert!(inventory.ambiguities.iter().any(|a| a.code == "second_sight"));

    // Alone it stands for itself.
    assert_eq!(ips(&merged(vec![itself()]).hosts[0]), ["192.0.2.5"]);
}

#[test]
fn a_serial_number_without_hardware_is_a_second_sight_as_well() {
    let entry = |serial: &str| {
        seen("ha", Controller)
            .alias("ha:printer")
            .echo("192.0.2.70")
            .fact(HostAttribute::Manufacturer, "Brother")
            .fact(HostAttribute::Serial, serial)
    };
    let wire = |maker: &str| {
        seen("lan", Wire)
            .wire("30:05:5c:00:00:01", "192.0.2.70")
            .fact(HostAttribute::Manufacturer, maker)
    };
    let inventory = merged(vec![entry("E12345X7"), wire("Canon")]);
    assert_eq!(inventory.hosts.len(), 2, "the makers differ");
    for maker in ["Brother", "Brother industries, LTD."] {
        let inventory = merged(vec![entry("E12345X7"), wire(maker)]);
        assert_eq!(keys(&inventory), ["ha:printer"], "{maker}");
    }

    // Another serial number of the same maker is another thing: nothing is held for it.
    let other = wire("Brother").fact(HostAttribute::Serial, "E99999X1");
    let inventory = merged(vec![entry("E12345X7"), other]);
    assert_eq!(inventory.hosts.len(), 2);
    assert!(inventory.hosts.iter().all(|host| host.held.is_none()));
}

#[test]
fn names_agree_without_their_hyphens() {
    let itself = seen("ha", Derived).alias("ha:self").fact(HostAttribute::Name, "Home Assistant");
    let address = seen("ha", Authority::Configuration).alias("ha:self").echo("192.0.2.5");
    let guest = seen("pve", Hypervisor)
        .key("pve:lab/qemu/1")
        .fact(HostAttribute::Name, "homeassistant")
        .interface(Some("net0"), Some("bc:24:11:00:00:01"), &["192.0.2.5/24"]);
    assert_eq!(keys(&merged(vec![itself, address, guest])), ["pve:lab/qemu/1"]);
}

#[test]
fn a_hint_adds_to_what_others_say_and_makes_nothing_alone() {
    let hint = |mac: &str| {
        seen("ha", Lease)
            .alias("ha:client")
            .wire(mac, "192.0.2.7")
            .fact(HostAttribute::Name, "web")
            .hint()
    };
    let (universal, local) = ("bc:24:11:00:00:01", "da:a1:19:00:00:01");
    for mac in [universal, local] {
        let inventory = merged(vec![hint(mac)]);
        assert!(inventory.hosts.is_empty() && inventory.addresses.is_empty(), "{mac}");

        let guest =
            seen("pve", Hypervisor).key("pve:lab/lxc/1").interface(Some("eth0"), Some(mac), &[]);
        let inventory = merged(vec![hint(mac), guest]);
        assert_eq!(keys(&inventory), ["pve:lab/lxc/1"]);
        assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.7"]);
        assert_eq!(inventory.hosts[0].text(HostAttribute::Name), Some("web"));
    }
    // Its key is no evidence: what was merely seen stays so.
    let inventory = merged(vec![hint(universal), seen("lan", Wire).wire(universal, "192.0.2.7")]);
    assert_eq!(keys(&inventory), ["mac:bc:24:11:00:00:01"]);
    assert!(inventory.hosts[0].native_keys().next().is_none());
    // Alone it takes no address from anybody.
    let phone = seen("lan", Wire).wire(local, "192.0.2.7");
    let entry = seen("ha", Authority::Configuration).alias("ha:1").echo("192.0.2.8");
    let stale = seen("ha", Lease).wire("00:1b:21:00:00:09", "192.0.2.8").hint();
    let inventory = merged(vec![hint("00:1b:21:00:00:08"), phone, entry, stale]);
    assert_eq!(lone(&inventory), ["192.0.2.7"]);
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.8"]);
}

#[test]
fn an_address_is_on_one_interface() {
    let node = seen("pve", Hypervisor).key("pve:lab/node/a").fact(HostAttribute::Name, "a");
    let node = node.interface(Some("vmbr0"), None, &["192.0.2.10/24"]);
    let own = seen("ssh", Own).fact(HostAttribute::Name, "a").alias("ssh:a");
    let own = own.interface(Some("br0"), Some("00:1b:21:00:00:01"), &["192.0.2.10/24"]);
    let joined = Bind::Join(["pve:lab/node/a", "ssh:a"].map(|key| key.parse().unwrap()).into());
    let sights = vec![node.0, own.0];
    let inventory = merge(sights, &Ranking::default(), &[joined]);
    let interfaces = &inventory.hosts[0].interfaces;
    assert_eq!(interfaces.len(), 1, "{interfaces:?}");
    assert_eq!(interfaces[0].name.as_deref(), Some("vmbr0"));
    assert_eq!((interfaces[0].macs.len(), interfaces[0].addresses.len()), (1, 1));
}

fn node(status: &str) -> Sight {
    let mut node = seen("pve", Hypervisor)
        .key("pve:lab/node/a")
        .fact(HostAttribute::Name, "a")
        .fact(HostAttribute::Status, status)
        .interface(Some("vmbr0"), None, &["192.0.2.2/24"])
        .interface(Some("eno2"), None, &["10.0.0.2/24"]);
    node.host().form = Some(Form::Device);
    node
}

#[test]
fn what_answers_at_a_running_nodes_own_address_is_the_node() {
    let wire = || seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.2");
    let pointer = || {
        seen("dns", Directory).echo("192.0.2.2").fact(HostAttribute::DnsName, "proxmox.example.net")
    };
    let inventory = merged(vec![node("active"), wire(), pointer()]);
    assert_eq!(keys(&inventory), ["pve:lab/node/a"]);
    assert!(inventory.ambiguities.is_empty(), "{:?}", inventory.ambiguities);
    assert_eq!(inventory.hosts[0].seen.len(), 3);

    // It is off, so that what answers is something else; nobody is asked.
    let inventory = merged(vec![node("offline"), wire()]);
    assert_eq!(keys(&inventory), ["mac:00:1b:21:00:00:01", "pve:lab/node/a"]);
    assert_eq!(
        (ips(&inventory.hosts[0]), ips(&inventory.hosts[1])),
        (vec!["192.0.2.2".to_owned()], vec!["10.0.0.2".to_owned()])
    );
    assert!(inventory.ambiguities.is_empty(), "{:?}", inventory.ambiguities);

    // What answers has a name of its own or another address: it may be a thief.
    let named = wire().fact(HostAttribute::Name, "laptop");
    let more = seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.99");
    for other in [vec![node("active"), named], vec![node("active"), wire(), more]] {
        let inventory = merged(other);
        assert_eq!(inventory.hosts.len(), 2);
        assert_eq!(inventory.ambiguities[0].code, "second_sight");
    }
}

#[test]
fn what_answers_for_several_guests_has_none_of_their_addresses() {
    let guest = |number: u8| {
        let (key, ip) = (format!("pve:lab/lxc/{number}"), format!("192.0.2.{number}/24"));
        let mac = format!("bc:24:11:00:00:{number:02}");
        seen("pve", Hypervisor).key(&key).interface(Some("eth0"), Some(&mac), &[&ip])
    };
    let router = |ip: &str| seen("lan", Wire).wire("00:1b:21:00:00:01", ip);
    let inventory = merged(vec![
        router("192.0.2.1"),
        router("192.0.2.20"),
        router("192.0.2.21"),
        guest(20),
        guest(21),
    ]);
    let held: Vec<Vec<String>> = inventory.hosts.iter().map(ips).collect();
    assert_eq!(held, [["192.0.2.1"], ["192.0.2.20"], ["192.0.2.21"]]);

    // One address is a thief's.
    let inventory = merged(vec![router("192.0.2.20"), guest(20)]);
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.20"]);
    assert!(ips(&inventory.hosts[1]).is_empty());
}

#[test]
fn bridges_to_containers_are_each_hosts_own() {
    let host = |mac: &str, ip: &str| {
        seen("agents", Own)
            .interface(Some("eth0"), Some(mac), &[ip])
            .interface(Some("docker0"), Some("02:42:ac:11:00:01"), &["172.17.0.1/16"])
            .interface(Some("br-0123456789ab"), Some("ce:11:00:00:00:01"), &["172.18.0.1/16"])
            .interface(Some("virbr0"), Some("52:54:00:aa:00:01"), &["192.168.122.1/24"])
    };
    let inventory = merged(vec![
        host("00:1b:21:00:00:01", "192.0.2.21/24"),
        host("00:1b:21:00:00:02", "192.0.2.22/24"),
    ]);
    assert_eq!(ips(&inventory.hosts[0]), ["192.0.2.21"]);
    assert_eq!(ips(&inventory.hosts[1]), ["192.0.2.22"]);
    assert!(inventory.ambiguities.is_empty(), "{:?}", inventory.ambiguities);
    // On the wire a container may have a leg of its own.
    let inventory = merged(vec![seen("lan", Wire).wire("02:42:c0:00:02:07", "192.0.2.7")]);
    assert_eq!(lone(&inventory), ["192.0.2.7"]);
}

#[test]
fn things_that_share_several_identifiers_are_one_question() {
    let guest = |key: &str| {
        seen("pve", Hypervisor)
            .key(key)
            .fact(HostAttribute::Uuid, "4c4c4544-0058-4b10-8032-c7c04f4a5132")
            .interface(Some("net0"), Some("bc:24:11:00:00:01"), &[])
    };
    let inventory = merged(vec![guest("pve:a/qemu/1"), guest("pve:b/qemu/1")]);
    assert_eq!(inventory.hosts.len(), 2);
    let [question] = &inventory.ambiguities[..] else { panic!("{:?}", inventory.ambiguities) };
    assert_eq!(question.code, "shared_identifier");
    assert_eq!(question.parties.len(), 4, "{:?}", question.parties);
}

#[test]
fn what_a_person_keeps_apart_is_neither_asked_nor_held() {
    let entry = |key: &str| {
        seen("ha", Controller).alias(key).interface(None, Some("00:1b:21:00:00:01"), &[])
    };
    let split = Bind::Split(["ha:1", "ha:2"].map(|key| key.parse().unwrap()).into());
    let both = || vec![entry("ha:1").0, entry("ha:2").0];
    let inventory = merge(both(), &Ranking::default(), std::slice::from_ref(&split));
    assert_eq!(inventory.hosts.len(), 2);
    assert!(inventory.hosts.iter().all(|host| host.held.is_none()));
    assert!(inventory.ambiguities.is_empty(), "{:?}", inventory.ambiguities);

    // A third that shows the address could be either; of that the person said nothing.
    let mut three = both();
    three.push(seen("lan", Wire).wire("00:1b:21:00:00:01", "192.0.2.5").0);
    let inventory = merge(three, &Ranking::default(), &[split]);
    assert_eq!(inventory.hosts.len(), 3);
    assert_eq!(inventory.ambiguities.len(), 1);
}

#[test]
fn an_old_claim_of_what_is_away_is_nothing_to_ask_about() {
    let away = || seen("dhcp", Lease).wire("00:1b:21:00:00:01", "192.0.2.5");
    let here = || seen("lan", Wire).wire("00:1b:21:00:00:02", "192.0.2.5");
    let inventory = merged(vec![away().ago(600), here()]);
    assert!(inventory.ambiguities.is_empty() && inventory.hosts.iter().all(|h| h.held.is_none()));
    let inventory = merged(vec![away(), here()]);
    assert_eq!(inventory.ambiguities[0].code, "dispossessed");
}

#[test]
fn a_verdict_names_the_host_that_there_is_in_the_end() {
    // The name that DNS gives the address brings the registry's entry to what answers, and
    // with it a name that sorts before.
    let inventory = merged(vec![
        seen("ha", Controller).alias("ha:1").echo("192.0.2.30").fact(HostAttribute::Name, "OctoPi"),
        seen("lan", Wire).wire("b8:27:eb:00:00:01", "192.0.2.30"),
        seen("dns", Directory)
            .echo("192.0.2.30")
            .fact(HostAttribute::DnsName, "octopi.example.net"),
    ]);
    assert_eq!(keys(&inventory), ["ha:1"]);
    let attached: Vec<&str> = inventory
        .verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            crate::domain::inventory::Verdict::Attached { host, .. } => Some(&*host.0),
            _ => None,
        })
        .collect();
    assert_eq!(attached, ["ha:1", "ha:1"]);
}

/// A router that does proxy ARP answers at every address; that must not cost the square.
#[test]
fn a_router_that_answers_for_a_whole_subnet_is_merged_as_fast_as_anything() {
    let answer = |number: u32| {
        let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string();
        seen("lan", Wire).wire("00:1b:21:00:00:01", &ip).0
    };
    let router = |key: &str| {
        let mac = Some("00:1b:21:00:00:01");
        seen("snmp", Own)
            .key(key)
            .interface(Some("bond0"), mac, &["10.0.0.1/16"])
            .interface(Some("vlan7"), mac, &["10.1.0.1/16"])
            .0
    };
    let start = std::time::Instant::now();
    let mut all: Vec<Observation> = (2..20_000).map(answer).collect();
    all.push(router("snmp:a"));
    let inventory = merge(all.clone(), &Ranking::default(), &[]);
    assert_eq!((inventory.hosts.len(), ips(&inventory.hosts[0]).len()), (1, 20_000));
    // A second one that shares its address makes every answer either's.
    all.push(router("snmp:b"));
    let inventory = merge(all, &Ranking::default(), &[]);
    assert_eq!(inventory.ambiguities.len(), 3, "the address, and two that both hold");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn one_dock_makes_no_laptop_of_two_even_without_serial_numbers() {
    let laptop = |own: &str, serial: &str| {
        seen("agents", Own)
            .fact(HostAttribute::Manufacturer, "Dell")
            .fact(HostAttribute::Serial, serial)
            .interface(Some("wlan0"), Some(own), &[])
            .interface(Some("dock0"), Some("00:50:b6:00:00:01"), &[])
    };
    let (a, b) = ("00:1b:21:00:00:01", "00:1b:21:00:00:02");
    let inventory = merged(vec![laptop(a, "Default string"), laptop(b, "Default string")]);
    assert_eq!(keys(&inventory), ["mac:00:1b:21:00:00:01", "mac:00:1b:21:00:00:02"]);
    assert_eq!(inventory.ambiguities[0].code, "shared_identifier");
    // One machine whose card was exchanged between two words of it stays one.
    let inventory = merged(vec![laptop(a, "7XK2JQ2").ago(1_500), laptop(b, "7XK2JQ2")]);
    assert_eq!(inventory.hosts.len(), 1);
    assert!(inventory.ambiguities.is_empty(), "{:?}", inventory.ambiguities);
}
