//! The lists that everything else is asked by: version, permissions, the cluster, its
//! nodes and its guests. What a list leaves out is judged elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::answer::Row;
use super::rights::Rights;
use super::session::{Answer, Call, Miss, Session};

/// What kind of guest it is, by Proxmox's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Guest {
    /// A virtual machine.
    Qemu,
    /// A container.
    Lxc,
}

impl Guest {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Guest::Qemu => "qemu",
            Guest::Lxc => "lxc",
        }
    }
}

/// Whether a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Running {
    /// It runs.
    Yes,
    /// It is switched off, or held before it runs.
    No,
    /// It runs no more because something broke.
    Broken,
    /// Nobody can tell: its node is away, or has not told yet.
    Unknown,
}

impl Running {
    fn of(word: Option<&str>) -> Self {
        match word {
            None | Some("unknown" | "") => Running::Unknown,
            Some("stopped" | "shutdown" | "prelaunch" | "paused" | "suspended") => Running::No,
            Some("internal-error" | "io-error" | "guest-panicked") => Running::Broken,
            Some(_) => Running::Yes,
        }
    }
}

/// A guest, as the cluster lists it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GuestRow {
    pub guest: Guest,
    pub vmid: u32,
    pub node: String,
    pub running: Running,
    pub template: bool,
    /// The whole row.
    pub row: Row,
}

impl GuestRow {
    fn of(row: Row) -> Option<Self> {
        let guest = match row.text("type").as_deref() {
            Some("qemu") => Guest::Qemu,
            Some("lxc") => Guest::Lxc,
            _ => return None,
        };
        let named = || row.text("id")?.rsplit('/').next()?.parse().ok();
        let vmid = row.int("vmid").or_else(named).and_then(|vmid| u32::try_from(vmid).ok())?;
        Some(GuestRow {
            guest,
            vmid,
            node: row.text("node")?,
            running: Running::of(row.text("status").as_deref()),
            template: row.is("template"),
            row,
        })
    }

    /// Its path in the API, below its node.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.guest.word(), self.vmid)
    }
}

/// Whether a node is part of the cluster right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is.
    Online,
    /// It is not.
    Offline,
    /// Nobody can tell.
    Unknown,
}

/// A node, as the cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeRow {
    pub presence: Presence,
    /// The address by which the cluster reaches it.
    pub ip: Option<IpAddr>,
}

/// A storage of one node, as the cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StorageRow {
    pub node: String,
    pub name: String,
    pub kind: Option<String>,
    pub shared: bool,
    pub content: BTreeSet<String>,
}

/// The cluster as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClusterRow {
    /// Its name; a standalone host is named after itself.
    pub name: String,
    /// Whether the nodes that answer are the majority, so that their word counts.
    pub quorate: bool,
}

/// All lists.
#[derive(Debug)]
pub(super) struct Survey {
    /// The version's first number.
    pub major: Option<u32>,
    pub rights: Result<Rights, Miss>,
    pub cluster: Result<ClusterRow, Miss>,
    pub nodes: BTreeMap<String, NodeRow>,
    pub guests: Vec<GuestRow>,
    /// How many guests are listed in a way that cannot be read.
    pub unread: usize,
    pub storages: BTreeSet<StorageRow>,
}

impl Survey {
    /// Asks for all lists.
    ///
    /// # Errors
    /// When there is no list of guests and nodes, so that nothing can be told.
    pub(super) async fn take(session: &Session<'_>) -> Result<Self, Miss> {
        // One question first: a token that is refused shall be so once.
        let version = session.get(&Call::cluster("version")).await?;
        let calls =
            ["access/permissions", "access/acl", "cluster/status", "cluster/resources", "nodes"];
        let calls = calls.map(Call::cluster);
        let answers = futures::future::join_all(calls.iter().map(|call| session.get(call))).await;
        let Ok([rights, entries, status, resources, nodes]) = <[_; 5]>::try_from(answers) else {
            return Err(Miss::Failed("a question got lost".into()));
        };
        let resources = resources?.rows()?;
        let status = status.and_then(Answer::rows);
        let nodes = nodes.and_then(Answer::rows).unwrap_or_default();
        let version = Row::of(version.data).unwrap_or_default().text("version").unwrap_or_default();
        let guests = guests(&resources);
        let listed = resources.iter().filter(|row| GuestRow::of((*row).clone()).is_some()).count();
        Ok(Survey {
            major: version.split(['.', '-']).next().and_then(|major| major.parse().ok()),
            rights: rights.map(|answer| {
                let mut rights = Rights::read(answer.data);
                let entries = entries.and_then(Answer::rows).unwrap_or_default();
                rights.know(entries.iter().filter_map(|row| row.text("path")));
                rights
            }),
            nodes: nodes_of(status.as_deref().unwrap_or_default(), &resources, &nodes),
            storages: resources.iter().filter_map(storage).collect(),
            unread: resources.iter().filter(|row| is_guest(row)).count() - listed,
            guests,
            cluster: status.and_then(|rows| {
                cluster(&rows).ok_or_else(|| Miss::Failed("it names nothing".into()))
            }),
        })
    }

    /// The guests alone, once more: some may have moved meanwhile.
    pub(super) async fn guests_again(session: &Session<'_>) -> Result<Vec<GuestRow>, Miss> {
        let call = Call::cluster("cluster/resources").with("type", "vm");
        session.get(&call).await?.rows().map(|rows| guests(&rows))
    }

    /// The guests of a node.
    pub(super) fn guests_of<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a GuestRow> {
        self.guests.iter().filter(move |guest| guest.node == node)
    }
}

fn is_guest(row: &Row) -> bool {
    matches!(row.text("type").as_deref(), Some("qemu" | "lxc"))
}

fn guests(rows: &[Row]) -> Vec<GuestRow> {
    let mut guests: Vec<GuestRow> = rows.iter().cloned().filter_map(GuestRow::of).collect();
    guests.sort_by_key(|guest| (guest.guest, guest.vmid));
    guests.dedup_by_key(|guest| (guest.guest, guest.vmid));
    guests
}

fn cluster(rows: &[Row]) -> Option<ClusterRow> {
    let is = |row: &&Row, kind| row.text("type").as_deref() == Some(kind);
    let row = rows.iter().find(|row| is(row, "cluster"));
    let nodes = || rows.iter().filter(|row| is(row, "node"));
    let own = || nodes().find(|row| row.is("local")).or_else(|| nodes().next());
    let name = row.and_then(|row| row.text("name")).or_else(|| own()?.text("name"));
    Some(ClusterRow {
        name: name?,
        // A standalone host has nobody to be outvoted by.
        quorate: row.is_none_or(|row| row.flag("quorate") != Some(false)),
    })
}

fn nodes_of(status: &[Row], resources: &[Row], nodes: &[Row]) -> BTreeMap<String, NodeRow> {
    let mut found: BTreeMap<String, NodeRow> = BTreeMap::new();
    let is_node = |row: &&Row| row.text("type").as_deref() == Some("node");
    for row in status.iter().filter(is_node) {
        let Some(name) = row.text("name") else { continue };
        let presence = match row.flag("online") {
            Some(true) => Presence::Online,
            Some(false) => Presence::Offline,
            None => Presence::Unknown,
        };
        let ip = row.text("ip").and_then(|ip| ip.parse().ok());
        found.insert(name, NodeRow { presence, ip });
    }
    for row in resources.iter().filter(is_node).chain(nodes) {
        let Some(name) = row.text("node") else { continue };
        let presence = match row.text("status").as_deref() {
            Some("online") => Presence::Online,
            Some("offline") => Presence::Offline,
            _ => Presence::Unknown,
        };
        let known = found.entry(name).or_insert(NodeRow { presence: Presence::Unknown, ip: None });
        if known.presence == Presence::Unknown {
            known.presence = presence;
        }
    }
    found
}

fn storage(row: &Row) -> Option<StorageRow> {
    (row.text("type").as_deref() == Some("storage")).then_some(())?;
    let content = row.text("content").unwrap_or_default();
    Some(StorageRow {
        node: row.text("node")?,
        name: row.text("storage")?,
        kind: row.text("plugintype"),
        shared: row.is("shared"),
        content: content
            .split(',')
            .map(|word| word.trim().to_owned())
            .filter(|w| !w.is_empty())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_guest_without_statistics_is_known_all_the_same() {
        let rows = Row::all(json!([
            { "id": "qemu/101", "vmid": 101, "node": "pve2", "type": "qemu", "status": "unknown" },
            { "id": "lxc/99", "vmid": "99", "node": "pve1", "type": "lxc", "status": "running", "template": "0" },
            { "id": "qemu/7", "node": "pve1", "type": "qemu", "status": "paused", "template": 1 },
            { "id": "storage/pve1/local", "type": "storage", "node": "pve1", "storage": "local" },
            { "id": "openvz/3", "vmid": 3, "node": "pve1", "type": "openvz" },
        ]));
        let guests = guests(&rows);
        let seen: Vec<_> = guests.iter().map(|g| (g.path(), g.running, g.template)).collect();
        assert_eq!(
            seen,
            [
                ("qemu/7".to_owned(), Running::No, true),
                ("qemu/101".to_owned(), Running::Unknown, false),
                ("lxc/99".to_owned(), Running::Yes, false),
            ]
        );
    }

    #[test]
    fn a_standalone_host_is_a_cluster_of_its_own_name() {
        let alone =
            json!([{ "type": "node", "name": "pve", "local": 1, "online": 1, "ip": "192.0.2.2" }]);
        let of = |json| cluster(&Row::all(json)).unwrap();
        assert_eq!(of(alone), ClusterRow { name: "pve".into(), quorate: true });
        let rows = json!([
            { "type": "node", "name": "pve1", "online": 1, "local": 1 },
            { "type": "cluster", "name": "homelab", "quorate": 0, "nodes": 3 },
        ]);
        assert_eq!(of(rows), ClusterRow { name: "homelab".into(), quorate: false });
    }

    #[test]
    fn the_status_of_the_cluster_is_believed_before_statistics() {
        let status =
            Row::all(json!([{ "type": "node", "name": "pve1", "online": 0, "ip": "192.0.2.2" }]));
        let resources = Row::all(json!([
            { "type": "node", "node": "pve1", "status": "online" },
            { "type": "node", "node": "pve2", "status": "unknown" },
        ]));
        let nodes = nodes_of(
            &status,
            &resources,
            &Row::all(json!([{ "node": "pve2", "status": "online" }])),
        );
        let seen: Vec<_> =
            nodes.iter().map(|(name, node)| (name.as_str(), node.presence)).collect();
        assert_eq!(seen, [("pve1", Presence::Offline), ("pve2", Presence::Online)]);
    }
}
