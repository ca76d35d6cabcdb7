//! Devices and virtual machines with what belongs to them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::super::inventory::{Claim, Fact, Inventory, MergedHost};
use super::super::makers;
use super::super::name::DnsName;
use super::super::object::{Field, Kind, ObjectKey, Why};
use super::super::observation::{Authority, Form, HostAttribute};
use super::super::rules::{Decision, Subject, Target};
use super::super::settings::Standing;
use super::super::value::{Decimal, Value};
use super::catalog::cluster_key;
use super::{Desk, Fields, agent, planned};

/// What a host becomes.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// A device or a virtual machine.
    pub kind: Kind,
    /// The key of its object.
    pub key: ObjectKey,
    /// What it is called.
    pub name: Arc<str>,
    /// Whether a source, and not a makeshift, gives the name.
    pub named: bool,
    /// Whether an object may be made of it.
    pub create: bool,
    /// Whether it is left out altogether.
    pub ignored: bool,
    /// Its site.
    pub site: Arc<str>,
}

pub(super) fn homes(desk: &Desk<'_>) -> BTreeMap<usize, Home> {
    (0..desk.inventory.hosts.len()).map(|place| (place, home(desk, place))).collect()
}

fn home(desk: &Desk<'_>, place: usize) -> Home {
    let host = &desk.inventory.hosts[place];
    let standing = desk.matches.standing(place);
    let kind = match standing {
        Some((kind, _)) => kind,
        None if host.is_virtual() => Kind::VirtualMachine,
        None => Kind::Device,
    };
    let subject = subject(desk.inventory, host);
    let decision = desk.policy.rules.decide(&subject);
    // What is known by its hardware address alone stands by policy; what a source has a
    // key for stands anyway, unless a rule says otherwise.
    let faint = host.native_keys().next().is_none();
    let keep = decision.keep.map(|keep| keep.value);
    let wanted = if faint {
        keep.unwrap_or(desk.policy.defaults.seen_with_mac)
    } else {
        keep.unwrap_or(Standing::Device)
    };
    let held = host.held.is_some() || desk.matches.held.contains_key(&place);
    let (name, named) = name(desk, host);
    let stated =
        host.facts.get(&HostAttribute::Site).and_then(|fact| fact.value().as_text().map(Arc::from));
    let (site, _, _) = desk.site_of(&decision, stated.as_ref().map(|site| (site, agent("stated"))));
    Home {
        kind,
        key: ObjectKey::new(kind, &host.key),
        name,
        named,
        create: wanted == Standing::Device && !held,
        ignored: wanted == Standing::Nothing
            && (standing.is_none() || keep == Some(Standing::Nothing)),
        site,
    }
}

/// The name by which a person knows the host, else a makeshift that stays the same.
fn name(desk: &Desk<'_>, host: &MergedHost) -> (Arc<str>, bool) {
    let known = [HostAttribute::Name, HostAttribute::DnsName]
        .into_iter()
        .filter_map(|attribute| host.facts.get(&attribute))
        .find_map(|fact| {
            let name = fact.value().as_text().filter(|name| name.parse::<IpAddr>().is_err())?;
            // What a person or a hypervisor calls it is its name, dots and all; what DNS or
            // a lease calls it is a host in a domain.
            let given = matches!(
                desk.inventory.authority(fact.winner().seen),
                Authority::Person | Authority::Hypervisor
            );
            Some(match name.parse::<DnsName>() {
                Ok(dns) if dns.is_qualified() && !given => dns.label().into(),
                _ => Arc::<str>::from(name),
            })
        });
    if let Some(name) = known {
        return (name, true);
    }
    let mac = host.macs().min().map(|mac| mac.to_string());
    (mac.unwrap_or_else(|| host.key.to_string().chars().take(64).collect()).into(), false)
}

/// What rules are asked about a host.
pub(in crate::domain) fn subject<'a>(
    inventory: &'a Inventory,
    host: &'a MergedHost,
) -> Subject<'a> {
    let mut sources: Vec<_> =
        host.seen.iter().map(|seen| &inventory.observation(*seen).source).collect();
    sources.sort();
    sources.dedup();
    let mut segments: Vec<_> =
        host.seen.iter().map(|seen| &inventory.observation(*seen).segment).collect();
    segments.sort();
    segments.dedup();
    let texts = |attribute| {
        let fact = host.facts.get(&attribute);
        fact.into_iter().flat_map(Fact::claims).filter_map(|claim: &Claim| claim.value.as_text())
    };
    let cluster = host
        .text(HostAttribute::Cluster)
        .and_then(|key| inventory.clusters.iter().find(|known| known.cluster.key.as_str() == key));
    let tags = match host.facts.get(&HostAttribute::Tags).map(Fact::value) {
        Some(Value::Words(words)) => words.iter().map(|word| &**word).collect(),
        _ => Vec::new(),
    };
    Subject {
        kind: Some(match host.form {
            Some(Form::VirtualMachine) => Target::VirtualMachine,
            Some(Form::Container) => Target::Container,
            _ => Target::Device,
        }),
        sources,
        nets: host
            .interfaces
            .iter()
            .flat_map(|interface| &interface.addresses)
            .map(|address| IpNet::from(address.ip))
            .collect(),
        segments,
        name: host.text(HostAttribute::Name).or_else(|| host.text(HostAttribute::DnsName)),
        macs: host.macs().collect(),
        vendors: texts(HostAttribute::Manufacturer).collect(),
        cluster: cluster.map(|known| &*known.cluster.name),
        location: host.text(HostAttribute::Location),
        tags,
    }
}

impl Desk<'_> {
    /// Writes one host and everything that belongs to it.
    pub(super) fn host(&mut self, place: usize) {
        let Some(home) = self.homes.get(&place).cloned() else { return };
        if home.ignored {
            return;
        }
        let inventory = self.inventory;
        let policy = self.policy;
        let host = &inventory.hosts[place];
        let subject = subject(self.inventory, host);
        let decision = policy.rules.decide(&subject);

        let mut fields = Fields::default();
        if home.named {
            let why = self.why_of(host, &[HostAttribute::Name, HostAttribute::DnsName]);
            fields.set(Field::Name, Value::text(&home.name), why);
        } else {
            fields.start(Field::Name, Value::text(&home.name), agent("nobody names it"));
        }
        self.common(host, &decision, &mut fields);
        match home.kind {
            Kind::VirtualMachine => self.virtual_machine(host, &home, &decision, &mut fields),
            _ => self.device(host, &home, &decision, &mut fields),
        }
        let source = self.first_source(host);
        self.mark(&mut fields, &home.key, source.as_ref());
        let (tags, why) = self.words(host, &decision);
        self.tags(&mut fields, tags, why);

        let primaries = self.interfaces(place, &home);
        for (field, address, firm, why) in primaries {
            fields.put(field, planned(Kind::IpAddress, &address), why, firm);
        }
        self.services(place, &home);
        self.put_for(home.kind, &home.key, &home.name, fields, Some(place), home.create);
    }

    /// The source of the most believed observation of a host.
    fn first_source(&self, host: &MergedHost) -> Option<Arc<str>> {
        let place = |seen: &u32| {
            let observation = self.inventory.observation(*seen);
            let keyed =
                self.inventory.stated_host(*seen).is_some_and(|stated| stated.key.is_some());
            (
                !keyed,
                super::super::ranking::part_place(observation.authority),
                observation.source.clone(),
            )
        };
        let (_, _, source) = host.seen.iter().map(place).min()?;
        Some(source.as_str().into())
    }

    fn why_of(&self, host: &MergedHost, attributes: &[HostAttribute]) -> Why {
        let fact = attributes.iter().find_map(|attribute| host.facts.get(attribute));
        fact.map_or_else(|| agent("it was seen"), |fact| self.why(fact.winner()))
    }

    /// A text attribute as a firm value of a field.
    fn fact(&self, host: &MergedHost, attribute: HostAttribute, field: Field, fields: &mut Fields) {
        if let Some(fact) = host.facts.get(&attribute) {
            fields.set(field, fact.value().clone(), self.why(fact.winner()));
        }
    }

    /// What devices and virtual machines have in common.
    fn common(&mut self, host: &MergedHost, decision: &Decision<'_>, fields: &mut Fields) {
        self.fact(host, HostAttribute::Description, Field::Description, fields);
        self.fact(host, HostAttribute::Comments, Field::Comments, fields);
        self.fact(host, HostAttribute::Status, Field::Status, fields);
        if !host.facts.contains(&HostAttribute::Status) {
            fields.start(Field::Status, Value::text("active"), agent("it was seen"));
        }
        let defaults = &self.policy.defaults;
        let (role, why, firm) = match (&decision.role, host.facts.get(&HostAttribute::Role)) {
            (Some(rule), _) => ((*rule.value).clone(), Why::Rule(rule.rule.clone()), true),
            (None, Some(fact)) => {
                (fact.value().as_text().unwrap_or_default().into(), self.why(fact.winner()), true)
            }
            (None, None) => match host.form {
                Some(Form::VirtualMachine) => {
                    (defaults.vm_role.clone(), Why::Rule("defaults.vm_role".into()), false)
                }
                Some(Form::Container) => (
                    defaults.container_role.clone(),
                    Why::Rule("defaults.container_role".into()),
                    false,
                ),
                _ => (defaults.role.clone(), Why::Rule("defaults.role".into()), false),
            },
        };
        if !role.is_empty() {
            let key = self.role(&role, &why);
            let value = planned(Kind::DeviceRole, &key);
            fields.put(Field::Role, value, why, firm);
        }
        if let Some(fact) = host.facts.get(&HostAttribute::Platform)
            && let Some(name) = fact.value().as_text()
        {
            let why = self.why(fact.winner());
            let key = self.platform(name, &why);
            fields.set(Field::Platform, planned(Kind::Platform, &key), why);
        }
        let tenant =
            match (&decision.tenant, host.facts.get(&HostAttribute::Tenant), &defaults.tenant) {
                (Some(rule), _, _) => {
                    Some(((*rule.value).clone(), Why::Rule(rule.rule.clone()), true))
                }
                (None, Some(fact), _) => {
                    fact.value().as_text().map(|name| (name.into(), self.why(fact.winner()), true))
                }
                (None, None, Some(name)) => {
                    Some((name.clone(), Why::Rule("defaults.tenant".into()), false))
                }
                _ => None,
            };
        if let Some((name, why, firm)) = tenant {
            let key = self.tenant(&name, &why);
            let value = planned(Kind::Tenant, &key);
            fields.put(Field::Tenant, value, why, firm);
        }
    }

    fn words(&self, host: &MergedHost, decision: &Decision<'_>) -> (Vec<Arc<str>>, Why) {
        let mut tags: Vec<Arc<str>> = decision.tags.iter().map(|tag| tag.value.clone()).collect();
        let mut why = agent("its tag, and those of rules");
        if let Some(fact) = host.facts.get(&HostAttribute::Tags) {
            if let Value::Words(words) = fact.value() {
                tags.extend(words.iter().cloned());
            }
            why = self.why(fact.winner());
        }
        (tags, why)
    }

    fn device(
        &mut self,
        host: &MergedHost,
        home: &Home,
        decision: &Decision<'_>,
        fields: &mut Fields,
    ) {
        self.fact(host, HostAttribute::Serial, Field::Serial, fields);
        self.fact(host, HostAttribute::AssetTag, Field::AssetTag, fields);
        self.placed(host, decision, fields);
        self.device_type_of(host, fields);
        if let Some(fact) = host.facts.get(&HostAttribute::Cluster)
            && let Some(native) = fact.value().as_text()
            && self.has(&cluster_key(native))
        {
            fields.set(
                Field::Cluster,
                planned(Kind::Cluster, &cluster_key(native)),
                self.why(fact.winner()),
            );
        }
        if let Some(fact) = host.facts.get(&HostAttribute::Parent)
            && let Some(parent) = self
                .home_of_key(fact.value().as_text())
                .filter(|parent| parent.kind == Kind::Device)
        {
            fields.set(Field::Via, planned(Kind::Device, &parent.key), self.why(fact.winner()));
        }
        self.inventory_items(host, home);
    }

    /// The site, by rule, by source or by default.
    fn placed_site(
        &mut self,
        host: &MergedHost,
        decision: &Decision<'_>,
        fields: &mut Fields,
    ) -> ObjectKey {
        let stated = host.facts.get(&HostAttribute::Site).and_then(|fact| {
            Some((Arc::<str>::from(fact.value().as_text()?), self.why(fact.winner())))
        });
        let (name, why, firm) =
            self.site_of(decision, stated.as_ref().map(|(site, why)| (site, why.clone())));
        let key = self.site(&name, &why);
        let value = planned(Kind::Site, &key);
        fields.put(Field::Site, value, why, firm);
        key
    }

    /// The site and the location within it.
    fn placed(&mut self, host: &MergedHost, decision: &Decision<'_>, fields: &mut Fields) {
        let site = self.placed_site(host, decision, fields);
        let location = match (&decision.location, host.facts.get(&HostAttribute::Location)) {
            (Some(rule), _) => Some(((*rule.value).clone(), Why::Rule(rule.rule.clone()), true)),
            (None, Some(fact)) => {
                fact.value().as_text().map(|path| (path.into(), self.why(fact.winner()), true))
            }
            (None, None) => self
                .policy
                .defaults
                .location
                .clone()
                .map(|path| (path, Why::Rule("defaults.location".into()), false)),
        };
        if let Some((path, why, firm)) = location
            && let Some(key) = self.location(&site, &path, &why)
        {
            let value = planned(Kind::Location, &key);
            fields.put(Field::Location, value, why, firm);
        }
    }

    /// The type of a device: firm where the model is known, else a starting value.
    fn device_type_of(&mut self, host: &MergedHost, fields: &mut Fields) {
        let maker = host.facts.get(&HostAttribute::Manufacturer).and_then(|fact| {
            Some((
                makers::canonical(&self.policy.manufacturers, fact.value().as_text()?),
                self.why(fact.winner()),
            ))
        });
        let model = host.facts.get(&HostAttribute::Model).and_then(|fact| {
            Some((Arc::<str>::from(fact.value().as_text()?), self.why(fact.winner())))
        });
        let firm = model.is_some();
        let defaults = &self.policy.defaults;
        let (model, why) = model
            .or_else(|| maker.clone().map(|(_, why)| (defaults.model.clone(), why)))
            .unwrap_or_else(|| (defaults.model.clone(), Why::Rule("defaults.model".into())));
        let maker = maker.map_or_else(|| defaults.manufacturer.clone(), |(maker, _)| maker);
        let part = host.text(HostAttribute::PartNumber).map(str::to_owned);
        let key = self.device_type(&maker, &model, part.as_deref(), &why);
        let value = planned(Kind::DeviceType, &key);
        fields.put(Field::DeviceType, value, why, firm);
    }

    fn virtual_machine(
        &mut self,
        host: &MergedHost,
        home: &Home,
        decision: &Decision<'_>,
        fields: &mut Fields,
    ) {
        let cluster = host.facts.get(&HostAttribute::Cluster).and_then(|fact| {
            let key = cluster_key(fact.value().as_text()?);
            self.has(&key).then(|| (key, self.why(fact.winner())))
        });
        match cluster {
            Some((key, why)) => fields.set(Field::Cluster, planned(Kind::Cluster, &key), why),
            // A guest of no cluster has to stand at a site.
            None => {
                self.placed_site(host, decision, fields);
            }
        }
        if decision.site.is_some() {
            self.placed_site(host, decision, fields);
        }
        if let Some(fact) = host.facts.get(&HostAttribute::RunsOn)
            && let Some(node) =
                self.home_of_key(fact.value().as_text()).filter(|node| node.kind == Kind::Device)
        {
            fields.set(Field::Device, planned(Kind::Device, &node.key), self.why(fact.winner()));
        }
        if let Some(fact) = host.facts.get(&HostAttribute::Vcpus) {
            let value = match fact.value() {
                Value::Int(number) => Value::Decimal(Decimal::whole(*number)),
                other => other.clone(),
            };
            fields.set(Field::Vcpus, value, self.why(fact.winner()));
        }
        self.fact(host, HostAttribute::Memory, Field::Memory, fields);
        if host.disks.is_empty() {
            self.fact(host, HostAttribute::Disk, Field::Disk, fields);
        }
        for disk in &host.disks {
            let key = ObjectKey::new(Kind::VirtualDisk, format_args!("{}#{}", host.key, disk.name));
            let why = self.inventory.why(disk.seen);
            let mut part = Fields::default();
            part.set(Field::VirtualMachine, planned(Kind::VirtualMachine, &home.key), why.clone());
            part.set(Field::Name, Value::text(&disk.name), why.clone());
            part.set(Field::Size, Value::Int(disk.size_mb), why.clone());
            if let Some(text) = &disk.description {
                part.set(Field::Description, Value::text(text), why);
            }
            self.part(host, &key, &mut part);
            let label = format!("{} {}", home.name, disk.name);
            self.put_for(Kind::VirtualDisk, &key, label, part, None, true);
        }
    }

    fn inventory_items(&mut self, host: &MergedHost, home: &Home) {
        for merged in &host.components {
            let component = &merged.component;
            let key = ObjectKey::new(
                Kind::InventoryItem,
                format_args!("{}#{}", host.key, component.name),
            );
            let why = self.inventory.why(merged.seen);
            let mut part = Fields::default();
            part.set(Field::Device, planned(Kind::Device, &home.key), why.clone());
            part.set(Field::Name, Value::text(&component.name), why.clone());
            if let Some(maker) = &component.manufacturer {
                let maker = makers::canonical(&self.policy.manufacturers, maker);
                let maker = self.manufacturer(&maker, &why);
                part.set(Field::Manufacturer, planned(Kind::Manufacturer, &maker), why.clone());
            }
            let texts = [
                (Field::PartId, &component.part_id),
                (Field::Serial, &component.serial),
                (Field::Description, &component.description),
            ];
            for (field, text) in texts {
                if let Some(text) = text {
                    part.set(field, Value::text(text), why.clone());
                }
            }
            self.part(host, &key, &mut part);
            let label = format!("{} {}", home.name, component.name);
            self.put_for(Kind::InventoryItem, &key, label, part, None, true);
        }
    }

    fn services(&mut self, place: usize, home: &Home) {
        let inventory = self.inventory;
        let host = &inventory.hosts[place];
        for service in &host.services {
            let name = format!("{}#{}/{}", host.key, service.protocol, service.name);
            let key = ObjectKey::new(Kind::Service, name);
            let why = inventory.why(service.seen);
            let mut part = Fields::default();
            part.set(Field::Parent, planned(home.kind, &home.key), why.clone());
            part.set(Field::Name, Value::text(&service.name), why.clone());
            part.set(Field::Protocol, Value::text(service.protocol.as_str()), why.clone());
            part.set(
                Field::Ports,
                Value::Ints(service.ports.iter().map(|port| i64::from(*port)).collect()),
                why.clone(),
            );
            if let Some(text) = &service.description {
                part.set(Field::Description, Value::text(text), why);
            }
            self.part(host, &key, &mut part);
            let label = format!("{} {}/{}", home.name, service.protocol, service.name);
            self.put_for(Kind::Service, &key, label, part, None, true);
        }
    }

    /// Marks of a part of a host, and the tag where parts shall carry it.
    pub(super) fn part(&mut self, host: &MergedHost, key: &ObjectKey, fields: &mut Fields) {
        let source = self.first_source(host);
        self.mark(fields, key, source.as_ref());
        self.tag_part(fields);
    }

    /// The home of the host with a native key.
    pub(super) fn home_of_key(&self, key: Option<&str>) -> Option<&Home> {
        self.homes.get(&self.inventory.host_of_key(key?)?)
    }
}
