//! What other objects refer to by name: sites, roles, makers, types, platforms.

use std::sync::Arc;

use super::super::name::slug;
use super::super::object::{Field, Kind, ObjectKey, Why};
use super::super::observation::{HostAttribute, Segment};
use super::super::rules::{Decision, Subject, Target};
use super::super::value::Value;
use super::{Desk, Fields, agent, planned};

impl Desk<'_> {
    pub(super) fn site(&mut self, name: &str, why: &Why) -> ObjectKey {
        let key = ObjectKey::new(Kind::Site, slug(name));
        if !self.has(&key) {
            let mut fields = Fields::default();
            fields.named(name, why);
            fields.start(Field::Status, Value::text("active"), why.clone());
            self.made(&mut fields, &key);
            self.put_on_demand(Kind::Site, &key, name, fields);
        }
        key
    }

    /// A location and the locations around it, outermost first, parts separated by ` / `.
    pub(super) fn location(
        &mut self,
        site: &ObjectKey,
        path: &str,
        why: &Why,
    ) -> Option<ObjectKey> {
        let site_name = site.as_str().split_once(':').map_or("", |(_, name)| name).to_owned();
        let mut parent: Option<ObjectKey> = None;
        let mut way = String::new();
        for part in path.split(" / ").map(str::trim).filter(|part| !part.is_empty()) {
            way = if way.is_empty() { slug(part) } else { format!("{way}/{}", slug(part)) };
            let key = ObjectKey::new(Kind::Location, format!("{site_name}/{way}"));
            if !self.has(&key) {
                let mut fields = Fields::default();
                fields.start(Field::Name, Value::text(part), why.clone());
                // Slugs of locations are unique in their site, so the way there is part of them.
                fields.start(Field::Slug, Value::text(slug(&way)), why.clone());
                fields.start(Field::Site, planned(Kind::Site, site), why.clone());
                fields.start(Field::Status, Value::text("active"), why.clone());
                if let Some(parent) = &parent {
                    fields.start(Field::Parent, planned(Kind::Location, parent), why.clone());
                }
                self.made(&mut fields, &key);
                self.put_on_demand(Kind::Location, &key, part, fields);
            }
            parent = Some(key);
        }
        parent
    }

    pub(super) fn tenant(&mut self, name: &str, why: &Why) -> ObjectKey {
        self.plain(Kind::Tenant, name, why)
    }

    pub(super) fn platform(&mut self, name: &str, why: &Why) -> ObjectKey {
        self.plain(Kind::Platform, name, why)
    }

    pub(super) fn manufacturer(&mut self, name: &str, why: &Why) -> ObjectKey {
        self.plain(Kind::Manufacturer, name, why)
    }

    pub(super) fn cluster_type(&mut self, name: &str, why: &Why) -> ObjectKey {
        self.plain(Kind::ClusterType, name, why)
    }

    /// An object that has a name and a slug, and nothing else that matters.
    fn plain(&mut self, kind: Kind, name: &str, why: &Why) -> ObjectKey {
        let key = ObjectKey::new(kind, slug(name));
        if !self.has(&key) {
            let mut fields = Fields::default();
            fields.named(name, why);
            self.made(&mut fields, &key);
            self.put_on_demand(kind, &key, name, fields);
        }
        key
    }

    pub(super) fn vrf(&mut self, name: &str, why: &Why) -> ObjectKey {
        let key = ObjectKey::new(Kind::Vrf, slug(name));
        if !self.has(&key) {
            let mut fields = Fields::default();
            fields.start(Field::Name, Value::text(name), why.clone());
            self.made(&mut fields, &key);
            self.put_on_demand(Kind::Vrf, &key, name, fields);
        }
        key
    }

    pub(super) fn role(&mut self, name: &str, why: &Why) -> ObjectKey {
        let key = ObjectKey::new(Kind::DeviceRole, slug(name));
        if !self.has(&key) {
            let mut fields = Fields::default();
            fields.named(name, why);
            fields.start(Field::Color, Value::text("9e9e9e"), agent("a colour that says nothing"));
            fields.start(
                Field::VmRole,
                Value::Bool(true),
                agent("roles serve devices and virtual machines"),
            );
            self.made(&mut fields, &key);
            self.put_on_demand(Kind::DeviceRole, &key, name, fields);
        }
        key
    }

    pub(super) fn device_type(
        &mut self,
        maker: &str,
        model: &str,
        part: Option<&str>,
        why: &Why,
    ) -> ObjectKey {
        let name = format!("{}/{}", slug(maker), slug(model));
        let key = ObjectKey::new(Kind::DeviceType, name);
        if !self.has(&key) {
            let maker_key = self.manufacturer(maker, why);
            let mut fields = Fields::default();
            fields.start(Field::Model, Value::text(model), why.clone());
            fields.start(Field::Slug, Value::text(slug(&format!("{maker} {model}"))), why.clone());
            fields.start(Field::Manufacturer, planned(Kind::Manufacturer, &maker_key), why.clone());
            if let Some(part) = part {
                fields.start(Field::PartNumber, Value::text(part), why.clone());
            }
            self.made(&mut fields, &key);
            self.put_on_demand(Kind::DeviceType, &key, format!("{maker} {model}"), fields);
        }
        key
    }

    /// Marks and the agent's own tag, for objects that belong to no host.
    pub(super) fn made(&mut self, fields: &mut Fields, key: &ObjectKey) {
        self.mark(fields, key, None);
        self.tags(fields, [], agent("its tag on what it makes"));
    }

    /// Every cluster that a source named.
    pub(super) fn clusters(&mut self) {
        for merged in &self.inventory.clusters {
            let cluster = &merged.cluster;
            let seen = merged.seen.first().copied().unwrap_or_default();
            let why = self.inventory.why(seen);
            let source = &self.inventory.observation(seen).source;
            let subject = Subject {
                kind: Some(Target::Cluster),
                sources: vec![source],
                name: Some(&cluster.name),
                cluster: Some(&cluster.name),
                ..Subject::default()
            };
            let decision = self.policy.rules.decide(&subject);
            let key = cluster_key(cluster.key.as_str());
            let mut fields = Fields::default();
            fields.set(Field::Name, Value::text(&cluster.name), why.clone());
            let kind = self.cluster_type(&cluster.kind, &why);
            fields.start(Field::Type, planned(Kind::ClusterType, &kind), why.clone());
            fields.start(Field::Status, Value::text("active"), why.clone());
            let (site, site_why, firm) = match (&decision.site, &cluster.site) {
                (None, None) => self
                    .site_of_members(cluster.key.as_str())
                    .unwrap_or_else(|| self.site_of(&decision, None)),
                (_, stated) => {
                    self.site_of(&decision, stated.as_ref().map(|site| (site, why.clone())))
                }
            };
            let site = self.site(&site, &site_why);
            fields.put(Field::Site, planned(Kind::Site, &site), site_why, firm);
            let source: Arc<str> = source.as_str().into();
            self.mark(&mut fields, &key, Some(&source));
            let tags: Vec<Arc<str>> = decision.tags.iter().map(|tag| tag.value.clone()).collect();
            self.tags(&mut fields, tags, agent("its tag, and those of rules"));
            self.put(Kind::Cluster, &key, &cluster.name, fields);
        }
    }

    /// The site at which a cluster's nodes stand already, where they agree: a node can
    /// only join a cluster of its own site.
    fn site_of_members(&self, cluster: &str) -> Option<(Arc<str>, Why, bool)> {
        let hosts = self.inventory.hosts.iter().enumerate();
        let mut sites = hosts
            .filter(|(_, host)| host.text(HostAttribute::Cluster) == Some(cluster))
            .filter_map(|(place, _)| {
                let (kind, id) =
                    self.matches.standing(place).filter(|(kind, _)| *kind == Kind::Device)?;
                let site = self.world.get(kind, id)?.referenced(Field::Site)?;
                Some(self.world.get(Kind::Site, site)?.name())
            });
        let first = sites.next()?;
        let agreed = sites.all(|site| site == first);
        agreed.then(|| (first.into(), agent("its nodes stand there"), false))
    }

    /// The site of something: by rule, by source, by default. The last is not firm.
    pub(super) fn site_of(
        &self,
        decision: &Decision<'_>,
        stated: Option<(&Arc<str>, Why)>,
    ) -> (Arc<str>, Why, bool) {
        if let Some(site) = &decision.site {
            return ((*site.value).clone(), Why::Rule(site.rule.clone()), true);
        }
        match stated {
            Some((site, why)) => (site.clone(), why, true),
            None => (self.policy.defaults.site.clone(), Why::Rule("defaults.site".into()), false),
        }
    }

    /// The VRF of an address or subnet, by rule or default.
    pub(super) fn vrf_of(&self, decision: &Decision<'_>) -> Option<(Arc<str>, Why)> {
        if let Some(vrf) = &decision.vrf {
            return Some(((*vrf.value).clone(), Why::Rule(vrf.rule.clone())));
        }
        let vrf = self.policy.defaults.vrf.clone()?;
        Some((vrf, Why::Rule("defaults.vrf".into())))
    }
}

/// The key of a cluster's object.
pub(super) fn cluster_key(native: &str) -> ObjectKey {
    ObjectKey::new(Kind::Cluster, native)
}

/// The part of a subject that every address or subnet has.
pub(super) fn network_subject<'a>(
    target: Target,
    net: ipnet::IpNet,
    segment: &'a Segment,
) -> Subject<'a> {
    Subject { kind: Some(target), nets: vec![net], segments: vec![segment], ..Subject::default() }
}
