//! One guest: what the cluster lists of it, what its configuration says, and what it
//! tells itself, each as an observation of its own.

use std::sync::Arc;

use super::answer::Row;
use super::inside::{self, Inside, System};
use super::network::vlans;
use super::property::{self, Nic, Properties};
use super::session::{Answer, Call, Miss, Session};
use super::survey::{Guest, GuestRow, Running};
use super::{Scene, Topic, notes};
use crate::domain::observation::{
    Address, Authority, Disk, Form, Host, HostAttribute, HostFacts, Interface, InterfaceAttribute,
    InterfaceFacts, Observation, Part, Prefix, Thing,
};
use crate::domain::value::Decimal;

/// What was learnt of one guest.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub row: GuestRow,
    pub config: Result<Row, Miss>,
    pub inside: Inside,
}

impl Reading {
    /// Asks for one guest: its configuration, and if it runs and has an agent, the guest
    /// itself. That is one request for a guest that is off or mute, two for a running
    /// container, three for a virtual machine with an agent.
    pub(super) async fn of(session: &Session<'_>, scene: &Scene<'_>, row: GuestRow) -> Self {
        let call = Call::node(&row.node, &format!("{}/config", row.path()));
        // What is in force, not what waits for the next start.
        let answer = match session.get(&call.clone().with("current", "1")).await {
            Err(Miss::Unknown(_)) => session.get(&call).await,
            answer => answer,
        };
        // Every configuration has a digest at least: an empty one is none, and would say
        // that the guest has neither disks nor interfaces.
        let config = answer.and_then(Answer::row).and_then(|row| {
            let says_something = row.fields().next().is_some();
            says_something.then_some(row).ok_or_else(|| Miss::Failed("it is empty".into()))
        });
        let inside = match &config {
            Ok(config) => Self::ask_inside(session, scene, &row, config).await,
            Err(_) => Inside::NotAsked,
        };
        Reading { row, config, inside }
    }

    async fn ask_inside(
        session: &Session<'_>,
        scene: &Scene<'_>,
        row: &GuestRow,
        config: &Row,
    ) -> Inside {
        if row.running != Running::Yes || is_template(row, config) {
            return Inside::NotAsked;
        }
        match row.guest {
            Guest::Lxc => inside::ask_container(session, row).await,
            Guest::Qemu if scene.excludes(Topic::GuestAgent) => Inside::NotAsked,
            Guest::Qemu if !has_agent(config) => Inside::NoAgent,
            Guest::Qemu if !scene.may_ask_agent(row.vmid) => Inside::Forbidden,
            Guest::Qemu => inside::ask_agent(session, row).await,
        }
    }

    /// Whether it is a template, which only the configuration tells for sure.
    pub(super) fn is_template(&self) -> bool {
        self.config.as_ref().map_or(self.row.template, |config| is_template(&self.row, config))
    }

    /// Everything that is known of the guest.
    pub(super) fn observations(&self, scene: &Scene<'_>) -> Vec<Observation> {
        let mut observations = vec![self.listed(scene)];
        if let Ok(config) = &self.config {
            let nics = nics(self.row.guest, config);
            let (evidence, host) = self.configured(scene, config, &nics);
            observations.push(scene.observe(Authority::Hypervisor, evidence, thing(host)));
            observations.extend(prefixes(&nics).map(|prefix| {
                scene.observe(Authority::Hypervisor, evidence, Thing::Prefix(prefix))
            }));
            observations.extend(self.told(scene, &nics));
        }
        observations
    }

    fn host(&self, scene: &Scene<'_>) -> Host {
        Host {
            key: Some(scene.guest(self.row.guest, self.row.vmid)),
            form: Some(match self.row.guest {
                Guest::Qemu => Form::VirtualMachine,
                Guest::Lxc => Form::Container,
            }),
            ..Host::default()
        }
    }

    /// What the list of the cluster tells: where it runs, and whether.
    fn listed(&self, scene: &Scene<'_>) -> Observation {
        let mut host = self.host(scene);
        let facts = &mut host.facts;
        if let Some(status) = status(self.row.running) {
            facts.text(HostAttribute::Status, status);
        }
        facts.text(HostAttribute::Cluster, scene.cluster.as_str());
        // A sink takes the node of a guest only together with the cluster of both.
        if scene.cluster_seen {
            facts.text(HostAttribute::RunsOn, scene.node(&self.row.node).as_str());
        }
        // Sizes stand in the list too, but as they are in force on the node right now: what
        // the configuration said of them stays until it can be read again.
        if self.config.is_err()
            && let Some(name) = self.row.row.text("name")
        {
            facts.text(HostAttribute::Name, name);
        }
        scene.observe(Authority::Hypervisor, "cluster resources", thing(host))
    }

    /// What its configuration says.
    fn configured(&self, scene: &Scene<'_>, config: &Row, nics: &[Nic]) -> (&'static str, Host) {
        let mut host = self.host(scene);
        let evidence = match self.row.guest {
            Guest::Qemu => {
                self.machine(scene, config, &mut host.facts);
                "qemu config"
            }
            Guest::Lxc => {
                self.container(config, &mut host.facts);
                "lxc config"
            }
        };
        notes::state(&mut host.facts, config.text("description").as_deref());
        if let Some(tags) = self.tags(scene, config) {
            host.facts.words(HostAttribute::Tags, tags);
        }
        host.interfaces = nics.iter().map(|nic| interface(nic, scene)).collect();
        host.complete.insert(Part::Interfaces);
        let (disks, whole) = disks(self.row.guest, config);
        host.disks = disks;
        if whole {
            host.complete.insert(Part::Disks);
        }
        (evidence, host)
    }

    fn name(&self, config: &Row, key: &str) -> String {
        let listed = || self.row.row.text("name");
        let fallback = || match self.row.guest {
            Guest::Qemu => format!("VM {}", self.row.vmid),
            Guest::Lxc => format!("CT{}", self.row.vmid),
        };
        config.text(key).or_else(listed).unwrap_or_else(fallback)
    }

    fn machine(&self, scene: &Scene<'_>, config: &Row, facts: &mut HostFacts) {
        facts.text(HostAttribute::Name, self.name(config, "name"));
        let number = |key| config.int(key).filter(|number| *number > 0);
        let processors = number("vcpus")
            .or_else(|| number("sockets").unwrap_or(1).checked_mul(number("cores").unwrap_or(1)));
        if let Some(processors) = processors {
            facts.decimal(HostAttribute::Vcpus, Decimal::whole(processors));
        }
        let memory = config.text("memory").and_then(|text| property::memory(&text));
        facts.int(HostAttribute::Memory, memory.unwrap_or(DEFAULT_MEMORY));
        let smbios = Properties::parse(&config.text("smbios1").unwrap_or_default(), "");
        if let Some(uuid) = smbios.get("uuid") {
            facts.text(HostAttribute::Uuid, uuid);
        }
        // An agent knows better, and when it is silent what it said last stays true: the
        // rough word of the configuration is for guests that have none to ask.
        let agent_tells = has_agent(config)
            && !scene.excludes(Topic::GuestAgent)
            && !is_template(&self.row, config)
            && match &self.inside {
                Inside::Told(told) => told.system != System::Unsupported,
                inside => *inside != Inside::NoAgent,
            };
        if !agent_tells {
            self.platform(config, facts);
        }
    }

    fn container(&self, config: &Row, facts: &mut HostFacts) {
        facts.text(HostAttribute::Name, self.name(config, "hostname"));
        // A container without a number of its own may use all processors of its host.
        let processors = config.int("cores").or_else(|| self.row.row.int("maxcpu"));
        if let Some(processors) = processors.filter(|number| *number > 0) {
            facts.decimal(HostAttribute::Vcpus, Decimal::whole(processors));
        }
        facts.int(HostAttribute::Memory, config.int("memory").unwrap_or(DEFAULT_MEMORY));
        self.platform(config, facts);
    }

    fn platform(&self, config: &Row, facts: &mut HostFacts) {
        let ostype = config.text("ostype");
        if let Some(platform) = ostype.and_then(|ostype| property::platform(ostype.trim())) {
            facts.text(HostAttribute::Platform, platform);
        }
    }

    /// Its own tags; its pool and whether it is highly available as tags besides, for there
    /// is no other field that people could filter by. They are known as a whole only: nothing
    /// where it may be in a pool that cannot be seen.
    fn tags(&self, scene: &Scene<'_>, config: &Row) -> Option<Vec<String>> {
        let pool = self.row.row.text("pool");
        if pool.is_none() && !scene.excludes(Topic::Pools) && !scene.shows_pools() {
            return None;
        }
        let written = config.text("tags").unwrap_or_default();
        let mut tags: Vec<String> = property::tags(&written).map(str::to_owned).collect();
        let row = &self.row.row;
        if let Some(pool) = pool.filter(|_| !scene.excludes(Topic::Pools)) {
            tags.push(format!("pool: {pool}"));
        }
        match row.text("hastate").as_deref() {
            None | Some("ignored") => {}
            Some("error") => tags.extend(["HA".to_owned(), "HA error".to_owned()]),
            Some(_) => tags.push("HA".to_owned()),
        }
        Some(tags)
    }

    /// What it tells itself.
    fn told(&self, scene: &Scene<'_>, nics: &[Nic]) -> Option<Observation> {
        let Inside::Told(told) = &self.inside else { return None };
        let mut host = self.host(scene);
        let (interfaces, whole) = inside::interfaces(nics, told);
        host.interfaces = interfaces;
        if whole {
            host.complete.insert(Part::Addresses);
        }
        if let System::Named(name) = &told.system {
            host.facts.text(HostAttribute::Platform, name);
        }
        Some(scene.observe(Authority::Own, inside::evidence(self.row.guest), thing(host)))
    }
}

/// What Proxmox VE gives a guest whose configuration names no memory, in MB.
const DEFAULT_MEMORY: i64 = 512;

fn thing(host: Host) -> Thing {
    Thing::Host(Box::new(host))
}

fn has_agent(config: &Row) -> bool {
    property::agent_is_on(config.text("agent").as_deref())
}

fn is_template(row: &GuestRow, config: &Row) -> bool {
    row.template || config.is("template")
}

const fn status(running: Running) -> Option<&'static str> {
    match running {
        Running::Yes => Some("active"),
        Running::No => Some("offline"),
        Running::Broken => Some("failed"),
        Running::Unknown => None,
    }
}

fn nics(guest: Guest, config: &Row) -> Vec<Nic> {
    let cloud_init = config.numbered("ipconfig");
    let told = |number: u32| {
        cloud_init.iter().find(|(own, _)| *own == number).map(|(_, text)| text.as_str())
    };
    let nic = |(number, text): (u32, String)| match guest {
        Guest::Qemu => Nic::of_machine(number, &text, told(number)),
        Guest::Lxc => Nic::of_container(number, &text),
    };
    config.numbered("net").into_iter().map(nic).collect()
}

fn interface(nic: &Nic, scene: &Scene<'_>) -> Interface {
    let mut facts = InterfaceFacts::default();
    facts.bool(InterfaceAttribute::Enabled, !nic.link_down);
    match nic.mtu {
        Some(mtu) => facts.int(InterfaceAttribute::Mtu, mtu),
        None => facts.none(InterfaceAttribute::Mtu),
    }
    let model = nic.model.as_deref().unwrap_or("NIC");
    match &nic.bridge {
        Some(bridge) => facts.text(InterfaceAttribute::Description, format!("{model} on {bridge}")),
        None => facts.text(InterfaceAttribute::Description, format!("{model}, not plugged in")),
    }
    // A virtual network may be a VLAN; where it cannot be seen, whether it is is not known.
    let virtual_vlan = nic.bridge.as_deref().map_or(Some(None), |bridge| scene.vlan_of(bridge));
    if let Some(own) = nic.tag.map(Some).or(virtual_vlan) {
        vlans(&mut facts, own, nic.trunks.as_ref(), None);
    }
    let address = |(net, gateway)| Address { gateway, ..Address::with_prefix(net) };
    Interface {
        name: Some(nic.name.as_str().into()),
        mac: nic.mac,
        facts,
        addresses: nic.written().into_iter().map(address).collect(),
        neighbor: None,
    }
}

/// The subnets that a guest's configuration states.
fn prefixes(nics: &[Nic]) -> impl Iterator<Item = Prefix> + '_ {
    nics.iter().flat_map(|nic| {
        let nets = nic.written().into_iter().map(|(net, _)| net);
        nets.filter(|net| net.prefix_len() < net.max_prefix_len()).map(|net| Prefix {
            net: net.trunc(),
            vlan: nic.tag,
            description: None,
        })
    })
}

/// The virtual disks, and whether these are all: bind mounts and CD-ROMs are none.
fn disks(guest: Guest, config: &Row) -> (Vec<Disk>, bool) {
    let mut found: Vec<(String, String)> = Vec::new();
    let buses: &[&str] = match guest {
        Guest::Qemu => &["scsi", "virtio", "sata", "ide"],
        Guest::Lxc => {
            found.extend(config.text("rootfs").map(|text| ("rootfs".to_owned(), text)));
            &["mp"]
        }
    };
    for bus in buses {
        let named = config.numbered(bus).into_iter();
        found.extend(named.map(|(number, text)| (format!("{bus}{number}"), text)));
    }
    let mut disks = Vec::new();
    let mut whole = true;
    for (name, text) in found {
        let properties = Properties::parse(&text, "volume");
        let volume = properties.get("volume").or_else(|| properties.get("file"));
        let is_cd = properties.get("media") == Some("cdrom");
        let is_bind = guest == Guest::Lxc && volume.is_some_and(|volume| volume.starts_with('/'));
        let Some(volume) = volume.filter(|volume| *volume != "none" && !is_cd && !is_bind) else {
            continue;
        };
        let Some(size_mb) = properties.get("size").and_then(property::mebibytes) else {
            whole = false;
            continue;
        };
        let at = properties.get("mp").map(|path| format!(" at {path}")).unwrap_or_default();
        let description: Arc<str> = format!("{volume}{at}").into();
        disks.push(Disk { name: name.into(), size_mb, description: Some(description) });
    }
    (disks, whole)
}
