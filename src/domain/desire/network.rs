//! Subnets, VLANs, ranges, cables, and addresses that belong to no host.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::super::inventory::{Inventory, LoneAddress, MergedRange};
use super::super::name::DnsName;
use super::super::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use super::super::observation::{HostAttribute, InterfaceAttribute, Neighbor};
use super::super::rules::Target;
use super::super::settings::Standing;
use super::super::value::Value;
use super::catalog::network_subject;
use super::interface::{interface_key, interface_name, is_vid, is_worth_writing, vlan_key};
use super::{Desk, Fields, address_key, agent, in_vrf, masks, planned};

impl Desk<'_> {
    /// Subnets, VLANs and ranges.
    pub(super) fn networks(&mut self) {
        self.vlans();
        self.prefixes();
        let inventory = self.inventory;
        for range in &inventory.ranges {
            self.range(range);
        }
    }

    fn vlans(&mut self) {
        let policy = self.policy;
        let inventory = self.inventory;
        for vlan in inventory.vlans.iter().filter(|vlan| is_vid(vlan.vid)) {
            let seen = vlan.seen.first().copied().unwrap_or_default();
            let why = inventory.why(seen);
            let mut subject =
                network_subject(Target::Vlan, IpNet::from(IpAddr::from([0; 4])), &vlan.segment);
            subject.nets.clear();
            subject.sources = vec![&inventory.observation(seen).source];
            subject.name = vlan.name.as_ref().map(|(name, _)| &**name);
            let decision = policy.rules.decide(&subject);
            let (site, _, _) = self.site_of(&decision, None);
            let mut fields = self.vlan(&site, vlan.vid, &why);
            if let Some((name, seen)) = &vlan.name {
                fields.set(Field::Name, Value::text(name), inventory.why(*seen));
            }
            if let Some((text, seen)) = &vlan.description {
                fields.set(Field::Description, Value::text(text), inventory.why(*seen));
            }
            let key = vlan_key(&site, vlan.vid);
            let label = format!("VLAN {}", vlan.vid);
            self.put(Kind::Vlan, &key, label, fields);
        }
    }

    /// A VLAN of which only the id is known, at the site of what uses it.
    pub(super) fn vlan_at(&mut self, site: &str, vid: u16, why: &Why) -> ObjectKey {
        let key = vlan_key(site, vid);
        if !self.has(&key) {
            let fields = self.vlan(site, vid, why);
            self.put_on_demand(Kind::Vlan, &key, format!("VLAN {vid}"), fields);
        }
        key
    }

    fn vlan(&mut self, site: &str, vid: u16, why: &Why) -> Fields {
        let mut fields = Fields::default();
        fields.set(Field::Vid, Value::Int(i64::from(vid)), why.clone());
        fields.start(Field::Name, Value::text(format!("VLAN {vid}")), agent("nobody names it"));
        fields.start(Field::Status, Value::text("active"), why.clone());
        let rule = Why::Rule("where what uses it stands".into());
        match self.policy.defaults.vlan_group.clone() {
            Some(group) => {
                let key = self.vlan_group(&group);
                fields.start(
                    Field::Group,
                    planned(Kind::VlanGroup, &key),
                    Why::Rule("defaults.vlan_group".into()),
                );
            }
            None => {
                let site = self.site(site, &rule);
                fields.start(Field::Site, planned(Kind::Site, &site), rule);
            }
        }
        self.made(&mut fields, &vlan_key(site, vid));
        fields
    }

    fn vlan_group(&mut self, name: &str) -> ObjectKey {
        let key = ObjectKey::new(Kind::VlanGroup, super::super::name::slug(name));
        if !self.has(&key) {
            let mut fields = Fields::default();
            fields.named(name, &Why::Rule("defaults.vlan_group".into()));
            self.made(&mut fields, &key);
            self.put_on_demand(Kind::VlanGroup, &key, name, fields);
        }
        key
    }

    fn prefixes(&mut self) {
        let policy = self.policy;
        let inventory = self.inventory;
        for prefix in &inventory.prefixes {
            let whole = prefix.net.prefix_len() < prefix.net.max_prefix_len()
                && prefix.net.prefix_len() > 0;
            if !whole || !is_worth_writing(prefix.net.addr()) || prefix.net.addr().is_loopback() {
                continue;
            }
            let seen = prefix.seen.first().copied().unwrap_or_default();
            let why = inventory.why(seen);
            let mut subject = network_subject(Target::Prefix, prefix.net, &prefix.segment);
            subject.sources =
                prefix.seen.iter().map(|seen| &inventory.observation(*seen).source).collect();
            let decision = policy.rules.decide(&subject);
            let vrf = self.vrf_of(&decision);
            let key = ObjectKey::new(
                Kind::Prefix,
                in_vrf(vrf.as_ref().map(|(name, _)| name), prefix.net),
            );
            let (site, site_why, firm) = self.site_of(&decision, None);
            let site_key = self.site(&site, &site_why);

            let mut fields = Fields::default();
            fields.set(Field::Prefix, Value::text(prefix.net.to_string()), why.clone());
            fields.start(Field::Status, Value::text("active"), why.clone());
            fields.put(Field::Site, planned(Kind::Site, &site_key), site_why, firm);
            if let Some((vrf, rule)) = vrf {
                let vrf = self.vrf(&vrf, &rule);
                fields.set(Field::Vrf, planned(Kind::Vrf, &vrf), rule);
            }
            if let Some((vid, seen)) = prefix.vlan.filter(|(vid, _)| is_vid(*vid)) {
                let why = inventory.why(seen);
                let vlan = self.vlan_at(&site, vid, &why);
                fields.set(Field::Vlan, planned(Kind::Vlan, &vlan), why);
            }
            if let Some((text, seen)) = &prefix.description {
                fields.set(Field::Description, Value::text(text), inventory.why(*seen));
            }
            self.tenant_by_rule(
                decision.tenant.map(|tenant| (tenant.value, tenant.rule)),
                &mut fields,
            );
            let source: Arc<str> = inventory.observation(seen).source.as_str().into();
            self.mark(&mut fields, &key, Some(&source));
            self.tags(
                &mut fields,
                decision.tags.iter().map(|tag| tag.value.clone()).collect::<Vec<_>>(),
                agent("its tag, and those of rules"),
            );
            self.put(Kind::Prefix, &key, prefix.net.to_string(), fields);
        }
    }

    fn tenant_by_rule(&mut self, tenant: Option<(&Arc<str>, &Arc<str>)>, fields: &mut Fields) {
        let chosen = match tenant {
            Some((name, rule)) => Some((name.clone(), Why::Rule(rule.clone()), true)),
            None => {
                let name = self.policy.defaults.tenant.clone();
                name.map(|name| (name, Why::Rule("defaults.tenant".into()), false))
            }
        };
        if let Some((name, why, firm)) = chosen {
            let key = self.tenant(&name, &why);
            fields.put(Field::Tenant, planned(Kind::Tenant, &key), why, firm);
        }
    }

    fn range(&mut self, merged: &MergedRange) {
        let policy = self.policy;
        let range = &merged.range;
        let seen = merged.seen.first().copied().unwrap_or_default();
        let why = self.inventory.why(seen);
        let subject = network_subject(Target::IpRange, IpNet::from(range.start), &merged.segment);
        let decision = policy.rules.decide(&subject);
        let vrf = self.vrf_of(&decision);
        let name = format!("{}-{}", range.start, range.end);
        let key = ObjectKey::new(Kind::IpRange, in_vrf(vrf.as_ref().map(|(name, _)| name), &name));
        let mut fields = Fields::default();
        let masked = |ip: IpAddr| Value::text(format!("{ip}/{}", range.prefix_len));
        fields.set(Field::StartAddress, masked(range.start), why.clone());
        fields.set(Field::EndAddress, masked(range.end), why.clone());
        fields.start(Field::Status, Value::text("active"), why.clone());
        if let Some((vrf, rule)) = vrf {
            let vrf = self.vrf(&vrf, &rule);
            fields.set(Field::Vrf, planned(Kind::Vrf, &vrf), rule);
        }
        if let Some(text) = &range.description {
            fields.set(Field::Description, Value::text(text), why);
        }
        let source: Arc<str> = self.inventory.observation(seen).source.as_str().into();
        self.mark(&mut fields, &key, Some(&source));
        self.tags(&mut fields, [], agent("its tag on what it makes"));
        self.put(Kind::IpRange, &key, name, fields);
    }

    /// Addresses that answered and belong to no host.
    pub(super) fn lone_addresses(&mut self) {
        let inventory = self.inventory;
        for lone in &inventory.addresses {
            self.lone_address(inventory, lone);
        }
    }

    fn lone_address(&mut self, inventory: &Inventory, lone: &LoneAddress) {
        let policy = self.policy;
        let address = &lone.address;
        if !is_worth_writing(address.ip) {
            return;
        }
        let text = |attribute| lone.facts.get(&attribute).and_then(|fact| fact.value().as_text());
        let mut subject =
            network_subject(Target::Address, IpNet::from(address.ip), &address.segment);
        subject.sources =
            address.seen.iter().map(|seen| &inventory.observation(*seen).source).collect();
        subject.name = text(HostAttribute::Name).or_else(|| text(HostAttribute::DnsName));
        subject.macs = lone.mac.into_iter().collect();
        subject.vendors = text(HostAttribute::Manufacturer).into_iter().collect();
        let decision = policy.rules.decide(&subject);
        let keep = decision.keep.map_or(policy.defaults.seen_without_mac, |keep| keep.value);
        if keep == Standing::Nothing {
            return;
        }
        let seen = address.seen.first().copied().unwrap_or_default();
        let why = inventory.why(seen);
        let source: Arc<str> = inventory.observation(seen).source.as_str().into();
        let vrf = self.vrf_of(&decision);
        let key = address_key(vrf.as_ref().map(|(name, _)| name), address.ip);
        if self.has(&key) {
            return;
        }
        let mut fields = Fields::default();
        self.address_facts(address, vrf, &mut fields, &why);
        let stated =
            address.dns_name.as_ref().map(|(name, seen)| (name.clone(), inventory.why(*seen)));
        let named = lone
            .facts
            .get(&HostAttribute::DnsName)
            .or_else(|| lone.facts.get(&HostAttribute::Name));
        let name = stated.or_else(|| {
            let fact = named?;
            Some((Arc::from(fact.value().as_text()?), self.why(fact.winner())))
        });
        if let Some((name, why)) = &name
            && let Ok(name) = name.parse::<DnsName>()
        {
            fields.set(Field::DnsName, Value::text(name.as_str()), why.clone());
        }
        if keep == Standing::Device {
            let name = name.as_ref().map(|(name, _)| &**name);
            let interface = self.stand_in(lone, &key, name, &why, &source);
            fields.set(Field::AssignedObject, planned(Kind::Interface, &interface), why.clone());
        }
        self.mark(&mut fields, &key, Some(&source));
        self.tags(
            &mut fields,
            decision.tags.iter().map(|tag| tag.value.clone()).collect::<Vec<_>>(),
            agent("its tag, and those of rules"),
        );
        let (label, _) = masks::written(self, &address.segment, address.ip, address.prefix_len);
        self.put(Kind::IpAddress, &key, &*label, fields);
    }

    /// A device for an address that has none, where a person wants it so: it is known by
    /// the address alone.
    fn stand_in(
        &mut self,
        lone: &LoneAddress,
        address: &ObjectKey,
        name: Option<&str>,
        why: &Why,
        source: &Arc<str>,
    ) -> ObjectKey {
        let ip = lone.address.ip;
        let key = ObjectKey::new(Kind::Device, format_args!("ip:{ip}"));
        let name = name
            .and_then(|name| name.split('.').next())
            .map_or_else(|| ip.to_string(), str::to_owned);
        let defaults = self.policy.defaults.clone();
        let mut fields = Fields::default();
        fields.start(Field::Name, Value::text(&name), why.clone());
        fields.start(Field::Status, Value::text("active"), why.clone());
        let rule = |rule: &str| Why::Rule(rule.into());
        let role = self.role(&defaults.role, &rule("defaults.role"));
        fields.start(Field::Role, planned(Kind::DeviceRole, &role), rule("defaults.role"));
        let site = self.site(&defaults.site, &rule("defaults.site"));
        fields.start(Field::Site, planned(Kind::Site, &site), rule("defaults.site"));
        let kind = self.device_type(
            &defaults.manufacturer,
            &defaults.model,
            None,
            &rule("defaults.model"),
        );
        fields.start(Field::DeviceType, planned(Kind::DeviceType, &kind), rule("defaults.model"));
        let primary = if ip.is_ipv4() { Field::PrimaryIp4 } else { Field::PrimaryIp6 };
        fields.start(primary, planned(Kind::IpAddress, address), why.clone());
        self.mark(&mut fields, &key, Some(source));
        self.tags(&mut fields, [], agent("its tag on what it makes"));
        self.put(Kind::Device, &key, &name, fields);

        let interface = ObjectKey::new(Kind::Interface, format_args!("ip:{ip}#unnamed"));
        let mut fields = Fields::default();
        fields.set(Field::Device, planned(Kind::Device, &key), why.clone());
        fields.start(Field::Name, Value::text("unnamed"), why.clone());
        fields.start(Field::Type, Value::text("other"), why.clone());
        self.mark(&mut fields, &interface, Some(source));
        self.tag_part(&mut fields);
        self.put(Kind::Interface, &interface, format!("{name} unnamed"), fields);
        interface
    }

    /// Cables between interfaces that see each other.
    pub(super) fn cables(&mut self) {
        let inventory = self.inventory;
        for (place, host) in inventory.hosts.iter().enumerate() {
            for interface in &host.interfaces {
                let Some((neighbor, seen)) = &interface.neighbor else { continue };
                let near = self.end(place, interface_name(interface).0.as_ref());
                let far = self.far_end(neighbor);
                let (Some(near), Some(far)) = (near, far) else { continue };
                if near == far || !self.can_be_cabled(place, interface.name.as_deref()) {
                    continue;
                }
                let (a, b) = if near < far { (near, far) } else { (far, near) };
                let key = ObjectKey::new(Kind::Cable, format_args!("{a} - {b}"));
                let why = inventory.why(*seen);
                let mut fields = Fields::default();
                let end = |key: &ObjectKey| {
                    Value::Refs(BTreeSet::from([ObjectRef::Planned(Kind::Interface, key.clone())]))
                };
                fields.set(Field::ATerminations, end(&a), why.clone());
                fields.set(Field::BTerminations, end(&b), why.clone());
                fields.start(Field::Status, Value::text("connected"), why);
                self.made(&mut fields, &key);
                self.put(Kind::Cable, &key, format!("{a} - {b}"), fields);
            }
        }
    }

    /// The key of a device's interface, where the host becomes a device.
    fn end(&self, place: usize, interface: &str) -> Option<ObjectKey> {
        let home =
            self.homes.get(&place).filter(|home| home.kind == Kind::Device && !home.ignored)?;
        Some(interface_key(home.kind, &self.inventory.hosts[place], interface))
    }

    /// The one interface that a neighbour's report is about.
    fn far_end(&self, neighbor: &Neighbor) -> Option<ObjectKey> {
        let hosts = &self.inventory.hosts;
        let by_chassis = |mac| {
            (0..hosts.len())
                .filter(|&place| hosts[place].macs().any(|own| own == mac))
                .collect::<Vec<_>>()
        };
        let by_name = |name: &str| {
            (0..hosts.len())
                .filter(|&place| {
                    self.homes.get(&place).is_some_and(|home| home.name.eq_ignore_ascii_case(name))
                })
                .collect::<Vec<_>>()
        };
        let candidates = match (neighbor.chassis, &neighbor.name) {
            (Some(mac), _) if !by_chassis(mac).is_empty() => by_chassis(mac),
            (_, Some(name)) => by_name(name.split('.').next().unwrap_or(name)),
            _ => Vec::new(),
        };
        let [place] = candidates[..] else { return None };
        let known = hosts[place]
            .interfaces
            .iter()
            .any(|interface| interface.name.as_deref() == Some(&*neighbor.port));
        known.then(|| self.end(place, &neighbor.port)).flatten()
    }

    /// Whether an interface is a port that a cable can end at.
    fn can_be_cabled(&self, place: usize, name: Option<&str>) -> bool {
        let host = &self.inventory.hosts[place];
        let interface = host.interfaces.iter().find(|interface| interface.name.as_deref() == name);
        let kind = interface.and_then(|interface| interface.facts.get(&InterfaceAttribute::Type));
        !matches!(kind.and_then(|fact| fact.value().as_text()), Some("virtual" | "bridge" | "lag"))
    }
}
