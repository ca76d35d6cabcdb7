//! `proxmox`: Proxmox VE, versions 7.4 to 9: clusters, nodes, virtual machines, containers.
//!
//! The collector reads and translates; it decides nothing about identity. Each way of
//! knowing is an observation of its own, so that one that falls silent takes nothing
//! with it: the cluster's list, a guest's configuration, what the guest tells itself.
//! What it could not see it says, as a gap in its coverage and as a diagnostic.
//!
//! # Keys
//!
//! `pve:<source>/qemu/<vmid>`, `pve:<source>/lxc/<vmid>`, `pve:<source>/node/<name>`, and
//! the cluster itself `pve:<source>`. A guest that moves to another node keeps its key;
//! one that moves to another cluster has a new one, and is known again by what it carries
//! along: MAC addresses and SMBIOS UUID.
//!
//! # Requests
//!
//! Six for the cluster, two for its virtual networks and one for each of these, four a
//! node. A guest that is off, or has no agent, costs one; a running container two; a
//! virtual machine with an agent three. A thousand guests are some 2,500 requests.
//!
//! # Units
//!
//! Memory and disks are counted in MiB, and written as NetBox's MB: 1 GiB is 1024.

mod answer;
mod guest;
mod inside;
mod network;
mod node;
mod notes;
mod privilege;
mod property;
mod report;
mod rights;
mod sdn;
mod session;
mod settings;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::info;

use super::{Assignment, CollectError, Collector, Harvest};
use crate::domain::observation::{
    Authority, Cluster, Form, Host, HostAttribute, NativeKey, Observation, Part, Thing,
};
use crate::secret::SecretString;

use answer::Row;
use guest::Reading;
use network::Around;
use report::Report;
use rights::Rights;
use sdn::Vnets;
use session::{Call, Endpoint, Miss, Session};
use survey::{Guest, GuestRow, NodeRow, Presence, Survey};

pub use settings::ProxmoxSettings;

/// Something that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// What guest agents of virtual machines tell.
    GuestAgent,
    /// Disks of nodes.
    Disks,
    /// Storages of nodes.
    Storage,
    /// Virtual networks.
    Sdn,
    /// Pools of guests.
    Pools,
}

/// A cluster that is ready to be asked.
#[derive(Debug)]
struct Proxmox {
    endpoints: Vec<Endpoint>,
    token_id: String,
    token: SecretString,
    concurrency: usize,
    include_templates: bool,
    exclude: BTreeSet<Topic>,
}

/// What is known of the whole while its parts are translated.
#[derive(Debug)]
struct Scene<'a> {
    assignment: &'a Assignment,
    exclude: &'a BTreeSet<Topic>,
    rights: Rights,
    /// The version's first number; what is newer than this agent is like the newest.
    major: u32,
    /// The cluster's key.
    cluster: NativeKey,
    /// Whether the cluster may be seen; what is in it can be placed then.
    cluster_seen: bool,
    /// The virtual networks that may be seen.
    vnets: Vnets,
    /// Whether these are all that there are.
    vnets_whole: bool,
}

impl Scene<'_> {
    fn key(&self, path: fmt::Arguments<'_>) -> NativeKey {
        NativeKey::new("pve", format_args!("{}{path}", self.assignment.source))
    }

    fn guest(&self, guest: Guest, vmid: u32) -> NativeKey {
        self.key(format_args!("/{}/{vmid}", guest.word()))
    }

    fn node(&self, name: &str) -> NativeKey {
        self.key(format_args!("/node/{name}"))
    }

    fn observe(&self, authority: Authority, evidence: &str, thing: Thing) -> Observation {
        Observation {
            source: self.assignment.source.clone(),
            at: self.assignment.started,
            authority,
            evidence: evidence.into(),
            segment: self.assignment.segment.clone(),
            thing,
        }
    }

    fn excludes(&self, topic: Topic) -> bool {
        self.exclude.contains(&topic)
    }

    /// The privileges of which one allows to ask guest agents.
    fn agent_privileges(&self) -> &'static [&'static str] {
        match self.major {
            ..=8 => &["VM.Monitor"],
            _ => &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"],
        }
    }

    fn may_ask_agent(&self, vmid: u32) -> bool {
        self.rights.any_on(&format!("/vms/{vmid}"), self.agent_privileges())
    }

    /// Whether the bridges of nodes are all shown. Before 8 nobody hid them.
    fn shows_bridges(&self) -> bool {
        self.major < 8
            || self.rights.everywhere_below("/sdn/zones/localnetwork", &["SDN.Audit", "SDN.Use"])
    }

    /// Whether every pool is shown, so that a guest without one is in none.
    fn shows_pools(&self) -> bool {
        self.rights.everywhere_below("/pool", &["Pool.Audit"])
    }

    /// The VLAN that a bridge is, none where it is an ordinary one; unknown where it may be
    /// a virtual network that cannot be seen.
    fn vlan_of(&self, bridge: &str) -> Option<Option<u16>> {
        match self.vnets.get(bridge) {
            Some(vnet) => Some(vnet.vlan),
            None => (self.vnets_whole || bridge.starts_with("vmbr")).then_some(None),
        }
    }
}

#[async_trait]
impl Collector for Proxmox {
    async fn check(&self, assignment: &Assignment) -> Option<Result<String, CollectError>> {
        let session = Session::new(&self.endpoints, &self.token, assignment);
        let version = session.get(&Call::cluster("version")).await;
        Some(version.map_err(|miss| miss.fatal(session.place())).map(|answer| {
            let row = Row::of(answer.data).unwrap_or_default();
            format!("Proxmox VE {} answers", row.text("version").unwrap_or_default())
        }))
    }

    async fn collect(&self, assignment: &Assignment) -> Result<Harvest, CollectError> {
        let session = Session::new(&self.endpoints, &self.token, assignment);
        let survey = Survey::take(&session).await.map_err(|miss| miss.fatal(session.place()))?;
        let mut report = Report::new(assignment, &self.token_id);
        let scene = self.scene(&session, assignment, &survey, &mut report).await;

        let mut observations = whole(&scene, &survey);
        let asked = Progress::begin(assignment, &survey);
        let (nodes, readings) = futures::join!(
            self.nodes(&session, &scene, &survey),
            self.guests(&session, &scene, &survey.guests, &survey, &asked),
        );
        let readings = self.follow(&session, &scene, &survey, readings, &asked).await;
        for (name, answers) in &nodes {
            observations.extend(node(&scene, &survey, name, answers.as_ref(), &mut report));
        }
        for reading in &readings {
            report.guest(&scene, reading);
            if self.include_templates || !reading.is_template() {
                observations.extend(reading.observations(&scene));
            }
        }
        report.whole(&scene, &survey, &session);
        info!(
            source = %assignment.source,
            requests = session.sent(),
            guests = readings.len(),
            "Proxmox VE was asked"
        );
        Ok(report.harvest(observations))
    }
}

impl Proxmox {
    async fn scene<'a>(
        &'a self,
        session: &Session<'_>,
        assignment: &'a Assignment,
        survey: &Survey,
        report: &mut Report,
    ) -> Scene<'a> {
        let (vnets, none_exist) = match self.exclude.contains(&Topic::Sdn) {
            true => (Vnets::new(), false),
            false => report.sdn(sdn::read(session, self.concurrency).await),
        };
        let rights = survey.rights.clone().unwrap_or_default();
        Scene {
            assignment,
            exclude: &self.exclude,
            vnets_whole: none_exist
                || rights.everywhere_below("/sdn/zones", &["SDN.Audit", "SDN.Allocate"]),
            rights,
            major: survey.major.unwrap_or(u32::MAX),
            cluster: NativeKey::new("pve", format_args!("{}", assignment.source)),
            cluster_seen: survey.cluster.is_ok(),
            vnets,
        }
    }

    /// Asks all nodes that are there. Those that are not have no answers.
    async fn nodes<'s>(
        &self,
        session: &Session<'_>,
        scene: &Scene<'_>,
        survey: &'s Survey,
    ) -> BTreeMap<&'s String, Option<node::Answers>> {
        let ask = |(name, row): (&'s String, &'s NodeRow)| async move {
            match row.presence {
                Presence::Offline => (name, None),
                _ => (name, Some(node::Answers::of(session, scene, name).await)),
            }
        };
        let asks: Vec<_> = survey.nodes.iter().map(ask).collect();
        futures::stream::iter(asks).buffer_unordered(self.concurrency).collect().await
    }

    /// Asks for all of these guests that can be asked for.
    async fn guests(
        &self,
        session: &Session<'_>,
        scene: &Scene<'_>,
        rows: &[GuestRow],
        survey: &Survey,
        asked: &Progress<'_>,
    ) -> Vec<Reading> {
        let ask = |row: GuestRow| async move {
            let away = survey.nodes.get(&row.node).is_some_and(|n| n.presence == Presence::Offline);
            let skipped = row.template && !self.include_templates;
            let reading = if away {
                let config = Err(Miss::Away("its node is offline".into()));
                Reading { row, config, inside: inside::Inside::NotAsked }
            } else if skipped {
                let config = Err(Miss::Unknown("it is a template".into()));
                Reading { row, config, inside: inside::Inside::NotAsked }
            } else {
                Reading::of(session, scene, row).await
            };
            asked.one_more();
            reading
        };
        let asks: Vec<_> = rows.iter().cloned().map(ask).collect();
        futures::stream::iter(asks).buffer_unordered(self.concurrency).collect().await
    }

    /// Guests move and go while they are asked for: those that were not found where they
    /// were listed are looked for once more.
    async fn follow(
        &self,
        session: &Session<'_>,
        scene: &Scene<'_>,
        survey: &Survey,
        mut readings: Vec<Reading>,
        asked: &Progress<'_>,
    ) -> Vec<Reading> {
        let is_lost = |reading: &Reading| {
            matches!(reading.config, Err(Miss::Failed(_) | Miss::Unknown(_)))
                && (self.include_templates || !reading.is_template())
        };
        if readings.iter().any(is_lost)
            && let Ok(rows) = Survey::guests_again(session).await
        {
            let now: BTreeMap<(Guest, u32), GuestRow> =
                rows.into_iter().map(|row| ((row.guest, row.vmid), row)).collect();
            let (lost, found): (Vec<Reading>, Vec<Reading>) =
                readings.into_iter().partition(is_lost);
            let mut moved = Vec::new();
            readings = found;
            for reading in lost {
                match now.get(&(reading.row.guest, reading.row.vmid)) {
                    Some(row) if row.node != reading.row.node => moved.push(row.clone()),
                    Some(_) => readings.push(reading),
                    // It was deleted meanwhile.
                    None => {}
                }
            }
            readings.extend(self.guests(session, scene, &moved, survey, asked).await);
        }
        readings.sort_by_key(|reading| (reading.row.guest, reading.row.vmid));
        readings
    }
}

/// The cluster, and what belongs to no node or guest of it.
fn whole(scene: &Scene<'_>, survey: &Survey) -> Vec<Observation> {
    let mut observations = Vec::new();
    if let Ok(row) = &survey.cluster {
        let cluster = Cluster {
            key: scene.cluster.clone(),
            name: row.name.as_str().into(),
            kind: "Proxmox VE".into(),
            site: None,
        };
        observations.push(scene.observe(
            Authority::Hypervisor,
            "cluster status",
            Thing::Cluster(cluster),
        ));
    }
    let things = sdn::things(&scene.vnets).into_iter();
    observations.extend(things.map(|thing| scene.observe(Authority::Hypervisor, "sdn", thing)));
    observations
}

/// Everything that is known of a node.
fn node(
    scene: &Scene<'_>,
    survey: &Survey,
    name: &str,
    answers: Option<&node::Answers>,
    report: &mut Report,
) -> Vec<Observation> {
    let fresh =
        || Host { key: Some(scene.node(name)), form: Some(Form::Device), ..Host::default() };
    let observe = |evidence: &str, host: Host| {
        scene.observe(Authority::Hypervisor, evidence, Thing::Host(Box::new(host)))
    };
    let row = survey.nodes.get(name);
    let mut host = fresh();
    host.facts.text(HostAttribute::Name, name);
    host.facts.text(HostAttribute::Role, "Hypervisor");
    host.facts.text(HostAttribute::Cluster, scene.cluster.as_str());
    let quorate = survey.cluster.as_ref().map_or(true, |cluster| cluster.quorate);
    match row.map(|row| row.presence) {
        Some(Presence::Online) => host.facts.text(HostAttribute::Status, "active"),
        // A minority takes all others for offline.
        Some(Presence::Offline) if quorate => host.facts.text(HostAttribute::Status, "offline"),
        _ => {}
    }
    let mut observations = vec![observe("cluster status", host)];
    report.node(scene, survey, name, answers);
    let Some(answers) = answers else { return observations };

    let storages = (!scene.excludes(Topic::Storage)).then(|| {
        let own = survey.storages.iter().filter(|storage| storage.node == name).collect();
        (own, scene.rights.everywhere_below("/storage", &["Datastore.Audit"]))
    });
    if let Some(told) = answers.host(storages) {
        observations.push(observe(
            "node status",
            Host {
                facts: told.facts,
                components: told.components,
                complete: told.complete,
                ..fresh()
            },
        ));
    }
    let around = Around {
        vnets: &scene.vnets,
        node: name,
        ip: row.and_then(|row| row.ip),
        whole: scene.shows_bridges(),
    };
    if let Some(network) = answers.interfaces(around) {
        let mut host = Host { interfaces: network.interfaces, ..fresh() };
        // A file that is not in force proves nothing gone.
        if around.whole && scene.vnets_whole && !answers.is_pending() {
            host.complete.insert(Part::Interfaces);
            if !network.dynamic {
                host.complete.insert(Part::Addresses);
            }
        }
        observations.push(observe("node network", host));
        observations.extend(network.prefixes.into_iter().map(|prefix| {
            scene.observe(Authority::Hypervisor, "node network", Thing::Prefix(prefix))
        }));
    }
    observations
}

/// How many guests were asked for, told to whoever shows it.
struct Progress<'a> {
    assignment: &'a Assignment,
    done: AtomicU64,
}

impl<'a> Progress<'a> {
    fn begin(assignment: &'a Assignment, survey: &Survey) -> Self {
        let total = u64::try_from(survey.guests.len()).ok();
        assignment.progress.begin(assignment.source.as_str(), total);
        Progress { assignment, done: AtomicU64::new(0) }
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.assignment.progress.reach(self.assignment.source.as_str(), done);
    }
}
