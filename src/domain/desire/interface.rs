//! Interfaces with their MAC addresses, VLANs and IP addresses.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::super::inventory::{MergedAddress, MergedHost, MergedInterface};
use super::super::mac::MacAddr;
use super::super::name::DnsName;
use super::super::object::{Field, Kind, ObjectKey, Why};
use super::super::observation::{AddressRole, HostAttribute, InterfaceAttribute};
use super::super::value::Value;
use super::host::{Home, subject};
use super::{Desk, Fields, address_key, agent, in_vrf, masks, planned};

/// A primary address: the field, the address, whether the choice is firm, and why.
type Primary = (Field, ObjectKey, bool, Why);

/// An address that could be a host's primary one.
struct Candidate {
    key: ObjectKey,
    ip: IpAddr,
    /// Whether evidence says that the host is reached there.
    main: bool,
    gateway: bool,
    order: usize,
    dynamic: bool,
    why: Why,
}

/// The name that an interface is written with, and whether a source gave it.
pub(super) fn interface_name(interface: &MergedInterface) -> (Arc<str>, bool) {
    match (&interface.name, interface.macs.first()) {
        (Some(name), _) => (name.chars().take(64).collect::<String>().into(), true),
        (None, Some((mac, _))) => (mac.to_string().into(), false),
        (None, None) => ("unnamed".into(), false),
    }
}

pub(super) fn interface_key(kind: Kind, host: &MergedHost, name: &str) -> ObjectKey {
    let kind = if kind == Kind::VirtualMachine { Kind::VmInterface } else { Kind::Interface };
    ObjectKey::new(kind, format_args!("{}#{name}", host.key))
}

impl Desk<'_> {
    /// Writes a host's interfaces; gives its primary addresses.
    pub(super) fn interfaces(&mut self, place: usize, home: &Home) -> Vec<Primary> {
        let inventory = self.inventory;
        let host = &inventory.hosts[place];
        let mut candidates = Vec::new();
        let reach = Reach::of(self, host);
        for interface in &host.interfaces {
            let (name, named) = interface_name(interface);
            let key = interface_key(home.kind, host, &name);
            let mut fields = Fields::default();
            let why = self.seen_by(interface);
            let owner = if home.kind == Kind::VirtualMachine {
                Field::VirtualMachine
            } else {
                Field::Device
            };
            fields.set(owner, planned(home.kind, &home.key), why.clone());
            fields.put(Field::Name, Value::text(&name), why.clone(), named);
            self.interface_facts(host, home, interface, &mut fields);
            self.mac(interface, &key, &home.name, &mut fields, host);
            self.part(host, &key, &mut fields);
            for address in &interface.addresses {
                candidates.extend(self.address(host, home, &reach, &key, interface, address));
            }
            let kind =
                if home.kind == Kind::VirtualMachine { Kind::VmInterface } else { Kind::Interface };
            self.put_for(kind, &key, format!("{} {name}", home.name), fields, Some(place), true);
        }
        let mut primaries = primaries(candidates);
        for (field, address, firm, _) in &mut primaries {
            *firm |= self.is_superseded(place, *field, address);
        }
        primaries
    }

    /// Whether the primary address that stands is seen on the host no more, while another
    /// of its network is: the host got a new one.
    fn is_superseded(&self, place: usize, field: Field, by: &ObjectKey) -> bool {
        let net = |text: Option<&str>| text.and_then(|text| text.parse::<IpNet>().ok());
        let standing = self.matches.standing(place).and_then(|(kind, id)| {
            let address = self.world.get(kind, id)?.referenced(field)?;
            net(self.world.get(Kind::IpAddress, address)?.field(Field::Address).as_text())
        });
        let wanted = self.desired.objects.get(by).and_then(|object| {
            net(object.fields.get(&Field::Address).and_then(|want| want.value.as_text()))
        });
        let (Some(standing), Some(wanted)) = (standing, wanted) else { return false };
        let own = self.inventory.hosts[place].interfaces.iter();
        let seen = own.flat_map(|own| &own.addresses).any(|own| own.ip == standing.addr());
        // A mask of one address is what stands where nobody knows the network.
        let bare = standing.prefix_len() == standing.max_prefix_len();
        !seen && (bare || standing.contains(&wanted.addr()))
    }

    fn seen_by(&self, interface: &MergedInterface) -> Why {
        interface
            .seen
            .first()
            .map_or_else(|| agent("it was seen"), |seen| self.inventory.why(*seen))
    }

    fn interface_facts(
        &mut self,
        host: &MergedHost,
        home: &Home,
        interface: &MergedInterface,
        fields: &mut Fields,
    ) {
        let is_device = home.kind == Kind::Device;
        let plain = [
            (InterfaceAttribute::Mtu, Field::Mtu),
            (InterfaceAttribute::Description, Field::Description),
            (InterfaceAttribute::Enabled, Field::Enabled),
            (InterfaceAttribute::Mode, Field::Mode),
        ];
        for (attribute, field) in plain {
            if let Some(fact) = interface.facts.get(&attribute) {
                fields.set(field, fact.value().clone(), self.why(fact.winner()));
            }
        }
        if !interface.facts.contains(&InterfaceAttribute::Enabled) {
            fields.start(Field::Enabled, Value::Bool(true), agent("it was seen"));
        }
        if is_device {
            match interface.facts.get(&InterfaceAttribute::Type) {
                Some(fact) => {
                    fields.set(Field::Type, fact.value().clone(), self.why(fact.winner()))
                }
                None => {
                    fields.start(Field::Type, Value::text("other"), agent("nobody tells its type"))
                }
            }
            if let Some(fact) = interface.facts.get(&InterfaceAttribute::Speed) {
                fields.set(Field::Speed, fact.value().clone(), self.why(fact.winner()));
            }
        }
        if !interface.facts.contains(&InterfaceAttribute::Description)
            && !interface.other_names.is_empty()
        {
            let names: Vec<&str> = interface.other_names.iter().map(|name| &**name).collect();
            fields.start(
                Field::Description,
                Value::text(names.join(", ")),
                self.seen_by(interface),
            );
        }
        let related = [
            (InterfaceAttribute::Parent, Field::Parent),
            (InterfaceAttribute::Bridge, Field::Bridge),
            (InterfaceAttribute::Lag, Field::Lag),
        ];
        for (attribute, field) in related {
            let Some(fact) = interface.facts.get(&attribute) else { continue };
            if field == Field::Lag && !is_device {
                continue;
            }
            let other = fact.value().as_text().filter(|name| {
                host.interfaces.iter().any(|other| other.name.as_deref() == Some(*name))
            });
            let why = self.why(fact.winner());
            if let Some(other) = other {
                let key = interface_key(home.kind, host, other);
                let kind = if is_device { Kind::Interface } else { Kind::VmInterface };
                fields.set(field, planned(kind, &key), why);
            } else if *fact.value() == Value::Null {
                fields.set(field, Value::Null, why);
            }
        }
        self.vlans_of(home, interface, fields);
    }

    fn vlans_of(&mut self, home: &Home, interface: &MergedInterface, fields: &mut Fields) {
        if let Some(fact) = interface.facts.get(&InterfaceAttribute::UntaggedVlan) {
            let why = self.why(fact.winner());
            match fact
                .value()
                .as_int()
                .and_then(|vid| u16::try_from(vid).ok())
                .filter(|vid| is_vid(*vid))
            {
                Some(vid) => {
                    let key = self.vlan_at(&home.site, vid, &why);
                    fields.set(Field::UntaggedVlan, planned(Kind::Vlan, &key), why);
                }
                None => fields.set(Field::UntaggedVlan, Value::Null, why),
            }
        }
        if let Some(fact) = interface.facts.get(&InterfaceAttribute::TaggedVlans) {
            let why = self.why(fact.winner());
            let vids: Vec<u16> = match fact.value() {
                Value::Ints(vids) => vids
                    .iter()
                    .filter_map(|vid| u16::try_from(*vid).ok())
                    .filter(|vid| is_vid(*vid))
                    .collect(),
                _ => Vec::new(),
            };
            let mut refs = std::collections::BTreeSet::new();
            for vid in vids {
                let key = self.vlan_at(&home.site, vid, &why);
                refs.extend(planned(Kind::Vlan, &key).as_ref().cloned());
            }
            fields.set(Field::TaggedVlans, Value::Refs(refs), why);
        }
    }

    /// The MAC address of an interface: an object of its own where the sink has such a
    /// thing, else a field.
    fn mac(
        &mut self,
        interface: &MergedInterface,
        key: &ObjectKey,
        home: &str,
        fields: &mut Fields,
        host: &MergedHost,
    ) {
        let Some(&(mac, seen)) = interface.macs.first() else { return };
        let why = self.inventory.why(seen);
        if !self.world.supported.contains(&Kind::MacAddress) {
            fields.set(Field::MacAddress, Value::text(mac.to_string()), why);
            return;
        }
        let kind = if key.as_str().starts_with(Kind::VmInterface.as_str()) {
            Kind::VmInterface
        } else {
            Kind::Interface
        };
        let mac_key = mac_key(key, mac);
        let mut own = Fields::default();
        own.set(Field::MacAddress, Value::text(mac.to_string()), why.clone());
        own.set(Field::AssignedObject, planned(kind, key), why.clone());
        self.part(host, &mac_key, &mut own);
        self.put_for(Kind::MacAddress, &mac_key, format!("{mac} ({home})"), own, None, true);
        fields.set(Field::PrimaryMac, planned(Kind::MacAddress, &mac_key), why);
    }

    /// Writes an address of an interface; gives it as a candidate for the primary one.
    fn address(
        &mut self,
        host: &MergedHost,
        home: &Home,
        reach: &Reach,
        interface: &ObjectKey,
        on: &MergedInterface,
        address: &MergedAddress,
    ) -> Option<Candidate> {
        if !is_worth_writing(address.ip) || address.ip.is_loopback() {
            return None;
        }
        let policy = self.policy;
        let mut subject = subject(self.inventory, host);
        subject.nets = vec![IpNet::from(address.ip)];
        subject.segments = vec![&address.segment];
        let decision = policy.rules.decide(&subject);
        let vrf = self.vrf_of(&decision);
        let key = address_key(vrf.as_ref().map(|(name, _)| name), address.ip);
        let seen = address.seen.first().copied().unwrap_or_default();
        let why = self.inventory.why(seen);

        let mut fields = Fields::default();
        self.address_facts(address, vrf, &mut fields, &why);
        let (text, _) = masks::written(self, &address.segment, address.ip, address.prefix_len);
        let edge = text.parse::<IpNet>().is_ok_and(|net| masks::is_edge(net, address.ip));
        let kind =
            if home.kind == Kind::VirtualMachine { Kind::VmInterface } else { Kind::Interface };
        if !edge {
            // An interface that nobody named is as good as any other of its host.
            fields.put(
                Field::AssignedObject,
                planned(kind, interface),
                why.clone(),
                on.name.is_some() || !on.macs.is_empty(),
            );
        }
        if let Some((name, name_why)) = self.dns_name(host, home, reach, address) {
            fields.set(Field::DnsName, Value::text(name), name_why);
        }
        self.part(host, &key, &mut fields);
        self.put_for(Kind::IpAddress, &key, &*text, fields, None, true);
        let ordinary = matches!(address.role, None | Some(AddressRole::Loopback));
        (ordinary && !edge).then(|| Candidate {
            key,
            ip: address.ip,
            main: reach.is_main(address),
            gateway: address.gateway,
            order: if on.name.is_some() { on.order } else { usize::MAX },
            dynamic: address.dynamic == Some(true),
            why,
        })
    }

    /// What an address has whether or not it stands on an interface.
    pub(super) fn address_facts(
        &mut self,
        address: &MergedAddress,
        vrf: Option<(Arc<str>, Why)>,
        fields: &mut Fields,
        why: &Why,
    ) {
        let (text, known) = masks::written(self, &address.segment, address.ip, address.prefix_len);
        fields.put(Field::Address, Value::text(text), why.clone(), known);
        let status = match (address.dynamic, address.ip) {
            (Some(true), IpAddr::V4(_)) => "dhcp",
            (Some(true), IpAddr::V6(_)) => "slaac",
            _ => "active",
        };
        fields.start(Field::Status, Value::text(status), why.clone());
        if let Some(role) = address.role {
            fields.set(Field::Role, Value::text(role.as_str()), why.clone());
        }
        if let Some((vrf, rule)) = vrf {
            let key = self.vrf(&vrf, &rule);
            fields.set(Field::Vrf, planned(Kind::Vrf, &key), rule);
        }
    }

    /// The name of an address in DNS: the one that DNS or a source gives to this very
    /// address, else the host's own, made valid.
    fn dns_name(
        &self,
        host: &MergedHost,
        home: &Home,
        reach: &Reach,
        address: &MergedAddress,
    ) -> Option<(String, Why)> {
        if let Some((name, seen)) = &address.dns_name {
            return Some((name.parse::<DnsName>().ok()?.to_string(), self.inventory.why(*seen)));
        }
        let fact = host
            .facts
            .get(&HostAttribute::DnsName)
            .or_else(|| host.facts.get(&HostAttribute::Name))?;
        let text = fact.value().as_text()?;
        // A display name such as "Living room" is no host's name, and one name says
        // nothing about which of several addresses it is of.
        if !home.named || !reach.is_sole(address) || text.contains(' ') {
            return None;
        }
        Some((DnsName::host(text)?.to_string(), self.why(fact.winner())))
    }
}

/// The key of an interface's MAC address.
fn mac_key(interface: &ObjectKey, mac: MacAddr) -> ObjectKey {
    let name = interface.as_str().split_once(':').map_or("", |(_, name)| name);
    ObjectKey::new(Kind::MacAddress, format_args!("{name}/{mac}"))
}

/// The key of a VLAN at a site.
pub(super) fn vlan_key(site: &str, vid: u16) -> ObjectKey {
    ObjectKey::new(Kind::Vlan, in_vrf(Some(&site.into()), vid))
}

pub(super) fn is_vid(vid: u16) -> bool {
    (1..=4094).contains(&vid)
}

/// Whether an address says anything beyond its own link.
pub(super) fn is_worth_writing(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified() && !ip.is_multicast(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified() && !ip.is_multicast(),
    }
}

/// By which of its addresses a host is reached.
#[derive(Debug, Default)]
struct Reach {
    /// Of each family, all addresses.
    all: [usize; 2],
    /// Of each family, those where evidence says so.
    main: [Vec<IpAddr>; 2],
}

impl Reach {
    /// A guest is reached in the network in which the host that runs it has its default
    /// route: a second leg into a network of its own may well have the guest's default
    /// route, when that is a VPN's. Anything else is reached where its default route is.
    fn of(desk: &Desk<'_>, host: &MergedHost) -> Self {
        let runs_on =
            host.facts.get(&HostAttribute::RunsOn).and_then(|fact| fact.value().as_text());
        let node = runs_on.and_then(|key| desk.inventory.host_of_key(key));
        let node = node.map(|place| &desk.inventory.hosts[place]);
        let near = |address: &MergedAddress| {
            let of_node = node.into_iter().flat_map(|node| &node.interfaces);
            of_node.flat_map(|interface| &interface.addresses).any(|other| {
                let net = other.prefix_len.and_then(|length| IpNet::new(other.ip, length).ok());
                other.gateway
                    && other.segment == address.segment
                    && net.is_some_and(|net| net.contains(&address.ip))
            })
        };
        let mut reach = Reach::default();
        for v6 in [false, true] {
            let own = || {
                let all = host.interfaces.iter().flat_map(|interface| &interface.addresses);
                all.filter(move |address| address.ip.is_ipv6() == v6)
            };
            let ips = |test: &dyn Fn(&MergedAddress) -> bool| -> Vec<IpAddr> {
                own().filter(|address| test(address)).map(|address| address.ip).collect()
            };
            let mut main = ips(&near);
            if main.is_empty() {
                main = ips(&|address| address.gateway);
            } else if main.len() > 1
                && main.iter().any(|ip| own().any(|a| a.ip == *ip && a.gateway))
            {
                main.retain(|ip| own().any(|address| address.ip == *ip && address.gateway));
            }
            reach.all[usize::from(v6)] = own().count();
            reach.main[usize::from(v6)] = main;
        }
        reach
    }

    fn is_main(&self, address: &MergedAddress) -> bool {
        self.main[usize::from(address.ip.is_ipv6())].contains(&address.ip)
    }

    /// Whether what is said of the host is said of this address and of no other.
    fn is_sole(&self, address: &MergedAddress) -> bool {
        self.all[usize::from(address.ip.is_ipv6())] == 1 || self.is_main(address)
    }
}

/// The address of each family by which the host is reached: the one where evidence says
/// so (a firm choice), else the first interface's lowest.
fn primaries(mut candidates: Vec<Candidate>) -> Vec<Primary> {
    candidates.sort_by_key(|candidate| {
        let local = match candidate.ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => ip.is_unique_local(),
        };
        (
            Reverse(candidate.main),
            Reverse(candidate.gateway),
            local,
            candidate.ip.is_ipv6() && candidate.dynamic,
            candidate.order,
            candidate.ip,
        )
    });
    let of_family = |v4: bool| candidates.iter().find(|candidate| candidate.ip.is_ipv4() == v4);
    [(true, Field::PrimaryIp4), (false, Field::PrimaryIp6)]
        .into_iter()
        .filter_map(|(v4, field)| {
            let chosen = of_family(v4)?;
            Some((field, chosen.key.clone(), chosen.main, chosen.why.clone()))
        })
        .collect()
}
