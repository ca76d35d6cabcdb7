//! Privileges that the token lacks: where, what that hides, and how to grant them. Says
//! nothing of what was answered, only of what could not be.

use std::collections::BTreeSet;

use super::session::Miss;
use super::survey::Survey;
use super::{Scene, Topic};

/// A privilege that the token lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lack {
    /// The privilege, in Proxmox VE's word.
    pub privilege: &'static str,
    /// Where it is missing: a path, or paths that are excepted from it.
    pub place: String,
    /// What cannot be seen for it.
    pub hides: String,
    /// What to do about it.
    pub advice: String,
}

impl Lack {
    /// What a person reads.
    pub(super) fn message(&self) -> String {
        let Lack { privilege, place, hides, advice } = self;
        format!("the token lacks {privilege} on {place}, which hides {hides}; {advice}")
    }
}

/// Everything that the token lacks. `closed` names the guests whose agents it may not ask.
pub(super) fn lacks(
    scene: &Scene<'_>,
    survey: &Survey,
    closed: Option<&str>,
    token_id: &str,
) -> Vec<Lack> {
    let audit = |place: &str| audit(place, token_id);
    let mut lacks = Vec::new();
    let mut lack = |privilege, place: Option<String>, hides: &str, advice: Option<String>| {
        let Some(place) = place else { return };
        let advice = advice.unwrap_or_else(|| audit(&place));
        lacks.push(Lack { privilege, place, hides: hides.to_owned(), advice });
    };
    // Guests that are hidden one by one are told of by their numbers.
    let guests = lacking(scene, "/vms", &["VM.Audit"]).filter(|place| place == "/vms");
    lack("VM.Audit", guests, "guests: none that is missing counts as gone", None);
    let nodes = lacking(scene, "/nodes", &["Sys.Audit"]);
    lack("Sys.Audit", nodes, "processors, memory, kernel and disks of nodes", None);
    let cluster = matches!(survey.cluster, Err(Miss::Forbidden(_))).then(|| "/".to_owned());
    lack(
        "Sys.Audit",
        cluster,
        "the cluster's name and quorum: new guests stand without their cluster and node, and nothing that is missing counts as gone",
        None,
    );
    if !scene.excludes(Topic::Sdn) {
        let networks = lacking(scene, "/sdn/zones", &["SDN.Audit", "SDN.Allocate"]);
        let networks = networks.filter(|_| !scene.vnets_whole || !scene.shows_bridges());
        let hides = match scene.shows_bridges() {
            true => "virtual networks and their VLANs",
            false => "bridges of nodes, virtual networks and their VLANs",
        };
        lack("SDN.Audit", networks, hides, None);
    }
    if !scene.excludes(Topic::Storage) {
        let storages = lacking(scene, "/storage", &["Datastore.Audit"]);
        lack("Datastore.Audit", storages, "storages of nodes", None);
    }
    if !scene.excludes(Topic::Pools) {
        let pools = lacking(scene, "/pool", &["Pool.Audit"]);
        lack("Pool.Audit", pools, "pools of guests, so that tags of guests stay as they are", None);
    }
    if let Some(closed) = closed {
        let hides = format!("what guest agents tell, such as addresses, of {closed}");
        let advice = agent_advice(scene, token_id);
        let privilege = scene.agent_privileges()[0];
        lack(privilege, Some("/vms".to_owned()), &hides, Some(advice));
    }
    lacks
}

/// Where the privileges are missing below a path: on the path itself, or on those below it
/// that are excepted.
fn lacking(scene: &Scene<'_>, path: &str, privileges: &[&str]) -> Option<String> {
    if !scene.rights.any_below(path, privileges) {
        return Some(path.to_owned());
    }
    let excepted = scene.rights.exceptions(path, privileges);
    some_of(excepted.iter().map(|name| format!("{path}/{name}")))
}

fn audit(place: &str, token_id: &str) -> String {
    // A role on the root does not reach where a path has permissions of its own.
    let path = if place.matches('/').count() > 1 { "<path>" } else { "/" };
    let on = if path == "/" { "`/`" } else { "each of these paths" };
    format!(
        "grant the role PVEAuditor on {on} to the token: pveum acl modify {path} --roles PVEAuditor --tokens '{token_id}' (and to its user, where the token has privileges of its own)"
    )
}

fn agent_advice(scene: &Scene<'_>, token_id: &str) -> String {
    // On the root beside the other role: on a path below it would stand in its place.
    let leave = "or leave it out with `exclude = [\"guest-agent\"]`";
    match scene.major {
        ..=8 => format!(
            "make a role of it and grant it: pveum role add GuestAgent --privs VM.Monitor && pveum acl modify / --roles GuestAgent --tokens '{token_id}' (and to its user, where the token has privileges of its own); {leave}"
        ),
        _ => format!("{}; {leave}", audit("/", token_id)),
    }
}

/// How many of a list are named before the rest is counted.
const NAMED: usize = 8;

/// A list as a person reads it, in order; nothing where there is nothing.
pub(super) fn some_of<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Option<String> {
    let items: BTreeSet<String> = items.into_iter().map(Into::into).collect();
    let named: Vec<&str> = items.iter().take(NAMED).map(String::as_str).collect();
    match items.len().saturating_sub(NAMED) {
        _ if items.is_empty() => None,
        0 => Some(named.join(", ")),
        rest => Some(format!("{} and {rest} more", named.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted() {
        let of = |count: usize| some_of((0..count).map(|n| format!("g{n}")));
        assert_eq!(of(0), None);
        assert_eq!(of(2).as_deref(), Some("g0, g1"));
        assert_eq!(of(10).as_deref(), Some("g0, g1, g2, g3, g4, g5, g6, g7 and 2 more"));
    }

    #[test]
    fn a_path_with_permissions_of_its_own_needs_a_grant_of_its_own() {
        assert!(audit("/storage", "a@pve!b").contains("modify / --roles"));
        assert!(audit("/storage/ceph, /storage/nfs", "a@pve!b").contains("each of these paths"));
    }
}
