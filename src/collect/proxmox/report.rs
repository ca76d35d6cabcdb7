//! What a person should know, and where everything was seen: privileges that are
//! missing, nodes that are away, guests that do not answer. Each thing is told once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use super::Scene;
use super::guest::Reading;
use super::inside::{Inside, evidence};
use super::node::Answers;
use super::privilege::{lacks, some_of};
use super::sdn::Vnets;
use super::session::{Miss, Session};
use super::survey::{Guest, Running, Survey};
use crate::collect::{Assignment, Harvest};
use crate::domain::coverage::{Coverage, Scope};
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::name::SourceName;
use crate::domain::observation::{NativeKey, Observation};

/// What is told of a run of the source.
#[derive(Debug)]
pub(super) struct Report {
    source: SourceName,
    token_id: String,
    coverage: Vec<Coverage>,
    diagnostics: Vec<Diagnostic>,
    /// Guests of which something is told together, by what it is.
    unreached: BTreeSet<String>,
    forbidden: BTreeSet<String>,
    closed: BTreeSet<String>,
    untold: BTreeSet<String>,
    agentless: BTreeSet<String>,
    untellable: BTreeSet<String>,
}

impl Report {
    pub(super) fn new(assignment: &Assignment, token_id: &str) -> Self {
        Report {
            source: assignment.source.clone(),
            token_id: token_id.to_owned(),
            coverage: Vec::new(),
            diagnostics: Vec::new(),
            unreached: BTreeSet::new(),
            forbidden: BTreeSet::new(),
            closed: BTreeSet::new(),
            untold: BTreeSet::new(),
            agentless: BTreeSet::new(),
            untellable: BTreeSet::new(),
        }
    }

    /// The harvest, in order.
    pub(super) fn harvest(mut self, mut observations: Vec<Observation>) -> Harvest {
        observations.sort();
        observations.dedup();
        self.coverage.sort();
        self.coverage.dedup();
        self.diagnostics.sort();
        self.diagnostics.dedup();
        Harvest { observations, coverage: self.coverage, diagnostics: self.diagnostics }
    }

    fn tell(
        &mut self,
        severity: Severity,
        code: &'static str,
        about: impl Display,
        message: String,
    ) {
        let about: Arc<str> = about.to_string().into();
        self.diagnostics.push(Diagnostic { severity, code, about, message });
    }

    fn error(&mut self, code: &'static str, about: impl Display, message: String) {
        self.tell(Severity::Error, code, about, message);
    }

    /// Something of this scope may exist without having been seen.
    fn gap(&mut self, scope: impl Display, method: &str, why: impl Display) {
        self.claim(scope, method, Some(why.to_string()));
    }

    fn claim(&mut self, scope: impl Display, method: &str, gap: Option<String>) {
        self.coverage.push(Coverage {
            source: self.source.clone(),
            scope: Scope::Keys(scope.to_string().into()),
            method: method.into(),
            gap: gap.map(Into::into),
        });
    }

    /// The virtual networks, and whether what a server has of them was read.
    pub(super) fn sdn(&mut self, read: Result<Option<Vnets>, Miss>) -> (Vnets, bool) {
        match read {
            Ok(Some(vnets)) => (vnets, false),
            // A server that knows no virtual networks has none to hide.
            Ok(None) => (Vnets::new(), true),
            Err(miss) => {
                if !miss.is_end() && !matches!(miss, Miss::Forbidden(_)) {
                    let message = format!(
                        "cannot read the virtual networks: {miss}; VLANs of guests on them stay as they are"
                    );
                    self.error("sdn_unreadable", self.source.clone(), message);
                }
                (Vnets::new(), false)
            }
        }
    }

    /// What is to be said of a node.
    pub(super) fn node(
        &mut self,
        scene: &Scene<'_>,
        survey: &Survey,
        name: &str,
        answers: Option<&Answers>,
    ) {
        let key = scene.node(name);
        let Some(answers) = answers else {
            let guests = survey.guests_of(name).count();
            self.gap(&key, "node status", "the node is offline");
            self.error(
                "node_offline",
                key,
                format!(
                    "it is offline: what is known of it and of its {guests} guests stays as it is; if it is gone for good, take it out of the cluster (pvecm delnode)"
                ),
            );
            return;
        };
        let mut away = None;
        for (what, miss) in answers.misses().filter(|(_, miss)| !miss.is_end()) {
            match miss {
                // Told with the privilege that is missing.
                Miss::Forbidden(_) => {}
                Miss::Away(why) => away = Some(why.clone()),
                miss => {
                    self.gap(&key, "node status", format_args!("{what}: {miss}"));
                    self.error(
                        "node_unreadable",
                        &key,
                        format!("cannot read `{what}`: {miss}; what is known of it stays as it is"),
                    );
                }
            }
        }
        if let Some(why) = away {
            let guests = survey.guests_of(name).count();
            self.gap(&key, "node status", &why);
            self.error("node_away", &key, format!("it cannot be reached ({why}): what is known of it and of its {guests} guests stays as it is"));
        }
        if answers.is_pending() {
            let message = "its network configuration has changes that are not applied yet; what is shown is how it will be".to_owned();
            self.tell(Severity::Note, "network_pending", key, message);
        }
    }

    /// What is to be said of a guest.
    pub(super) fn guest(&mut self, scene: &Scene<'_>, reading: &Reading) {
        let row = &reading.row;
        let key = scene.guest(row.guest, row.vmid);
        if let Err(miss) = &reading.config {
            if reading.is_template() {
                return;
            }
            self.gap(&key, "guest config", miss);
            match miss {
                // Told of its node.
                Miss::Away(_) => {}
                Miss::Forbidden(_) => drop(self.forbidden.insert(key.to_string())),
                miss if miss.is_end() => drop(self.unreached.insert(key.to_string())),
                miss => self.error(
                    "guest_unreadable",
                    key,
                    format!(
                        "cannot read its configuration: {miss}; what is known of it stays as it is"
                    ),
                ),
            }
            return;
        }
        self.inside(&key, reading);
    }

    fn inside(&mut self, key: &NativeKey, reading: &Reading) {
        let row = &reading.row;
        // Of the guest itself all is known: the gap is about what is inside it alone.
        let within = format!("{key}/addresses");
        let evidence = evidence(row.guest);
        match &reading.inside {
            Inside::NotAsked if row.running == Running::Unknown => {
                self.gap(within, evidence, "whether it runs is not known");
                self.untold.insert(key.to_string());
            }
            Inside::NotAsked | Inside::Told(_) => {}
            Inside::NoAgent if row.running == Running::Yes => {
                self.agentless.insert(key.to_string());
            }
            Inside::NoAgent => {}
            Inside::Unsupported => drop(self.untellable.insert(key.to_string())),
            Inside::Forbidden => {
                self.gap(within, evidence, "the token may not ask");
                self.closed.insert(key.to_string());
            }
            Inside::Ended => {
                self.gap(within, evidence, "nobody asked before the end");
                self.unreached.insert(key.to_string());
            }
            Inside::Silent(why) => {
                self.gap(within, evidence, why);
                match row.guest {
                    Guest::Qemu => self.error("agent_silent", key, format!("its guest agent is switched on and does not answer ({why}): its addresses stay as they are; start the agent in the guest, or switch it off in its options")),
                    Guest::Lxc => self.error("container_silent", key, format!("it runs, but its addresses cannot be seen ({why}); they stay as they are")),
                }
            }
        }
    }

    /// What is to be said of the whole, when all else was said.
    pub(super) fn whole(&mut self, scene: &Scene<'_>, survey: &Survey, session: &Session<'_>) {
        self.listing(scene, survey);
        self.privileges(scene, survey);
        for (place, why) in session.given_up() {
            self.tell(
                Severity::Warning,
                "endpoint_failed",
                place,
                format!("another endpoint was asked in its place: {why}"),
            );
        }
        if let Some(end) = session.end() {
            let left = self.unreached.len();
            let message = format!(
                "the end came too early: {end}; {left} of {} guests were not asked for to the end, and stay as they are",
                survey.guests.len()
            );
            self.error("ended_early", self.source.clone(), message);
        }
        let source = self.source.clone();
        if let Some(text) = some_of(&self.untold) {
            let message = format!(
                "the cluster does not know whether these guests run: {text}; their status and addresses stay as they are; if it lasts, see that pvestatd runs on their nodes"
            );
            self.error("status_unknown", &source, message);
        }
        if let Some(text) = some_of(&self.agentless) {
            let message =
                format!("virtual machines without a guest agent tell no addresses: {text}");
            self.tell(Severity::Note, "no_agent", &source, message);
        }
        if let Some(text) = some_of(&self.untellable) {
            let message = format!(
                "this version of Proxmox VE does not tell the addresses that containers get by DHCP: {text}"
            );
            self.tell(Severity::Note, "no_interfaces", &source, message);
        }
    }

    /// Whether the lists of guests and nodes are whole.
    fn listing(&mut self, scene: &Scene<'_>, survey: &Survey) {
        let all = scene.key(format_args!("/"));
        let mut why = None;
        if let Err(miss) = &survey.rights {
            let message = format!(
                "cannot read the token's permissions ({miss}): nothing that is missing counts as gone"
            );
            self.error("permissions_unreadable", self.source.clone(), message);
            why = Some("the token's permissions cannot be read".to_owned());
        }
        match &survey.cluster {
            Ok(cluster) if !cluster.quorate => {
                let message = "the nodes that answer are not the majority of the cluster: what they say of guests may be old, and nothing that is missing counts as gone".to_owned();
                self.error("no_quorum", self.source.clone(), message);
                why = Some("the cluster has no quorum".to_owned());
            }
            Err(miss) => {
                // What is forbidden is told with the privilege that is missing.
                if !miss.is_end() && !matches!(miss, Miss::Forbidden(_)) {
                    let message = format!(
                        "cannot read the cluster's status: {miss}; new guests stand without their cluster until then, and nothing that is missing counts as gone"
                    );
                    self.error("cluster_unreadable", self.source.clone(), message);
                }
                why = why.or(Some("whether the cluster has a quorum cannot be seen".to_owned()));
            }
            Ok(_) => {}
        }
        if survey.unread > 0 {
            let message = format!(
                "cannot read {} rows of the list of guests: nothing that is missing counts as gone; please report it with the version of Proxmox VE",
                survey.unread
            );
            self.error("list_unreadable", self.source.clone(), message);
            why = why.or(Some("not every row of the list can be read".to_owned()));
        }
        self.claim(all, "listing", why);
    }

    /// Every privilege that is missing, what it hides, and how to grant it.
    fn privileges(&mut self, scene: &Scene<'_>, survey: &Survey) {
        if survey.rights.is_err() {
            return;
        }
        let closed = some_of(&self.closed);
        for lack in lacks(scene, survey, closed.as_deref(), &self.token_id) {
            let about = format!("{}: {} on {}", self.source, lack.privilege, lack.place);
            self.error("missing_privilege", about, lack.message());
        }
        let unproven = [
            ("/vms", "VM.Audit", "/qemu", "guests"),
            ("/vms", "VM.Audit", "/lxc", "guests"),
            ("/nodes", "Sys.Audit", "/node", "nodes"),
        ];
        for (path, privilege, keys, what) in unproven {
            if !scene.rights.any_below(path, &[privilege]) {
                let why = format!("the token lacks {privilege} on {path}: {what} may be hidden");
                self.gap(scene.key(format_args!("{keys}")), "listing", why);
            }
        }
        self.hidden_guests(scene, survey);
    }

    /// Guests that are excepted from what the token may see, and those that were listed
    /// but not shown.
    fn hidden_guests(&mut self, scene: &Scene<'_>, survey: &Survey) {
        let listed: BTreeSet<String> =
            survey.guests.iter().map(|guest| guest.vmid.to_string()).collect();
        let hidden = scene.rights.exceptions("/vms", &["VM.Audit"]);
        let hidden: BTreeSet<String> =
            hidden.into_iter().map(str::to_owned).filter(|vmid| !listed.contains(vmid)).collect();
        for vmid in hidden.iter().filter_map(|vmid| vmid.parse().ok()) {
            for guest in [Guest::Qemu, Guest::Lxc] {
                self.gap(scene.guest(guest, vmid), "listing", "the token lacks VM.Audit on it");
            }
        }
        let all = hidden.iter().chain(&self.forbidden);
        if let Some(text) = some_of(all).filter(|_| scene.rights.any_below("/vms", &["VM.Audit"])) {
            let message = format!(
                "permissions of their own hide these guests: {text}; they stay as they are; grant the role PVEAuditor on each of them, such as on /vms/100, to the token"
            );
            self.error("hidden_guests", self.source.clone(), message);
        }
    }
}
