//! One node: what it is, what is inside it, and its network.

use std::collections::BTreeSet;

use super::answer::Row;
use super::network::{self, Around, Network};
use super::session::{Answer, Call, Miss, Session};
use super::survey::StorageRow;
use super::{Scene, Topic, notes};
use crate::domain::name::visible;
use crate::domain::observation::{Component, Host, HostAttribute, HostFacts, Part};

/// What a node answered.
#[derive(Debug)]
pub(super) struct Answers {
    pub status: Result<Row, Miss>,
    pub network: Result<(Vec<Row>, bool), Miss>,
    /// None where nobody asked.
    pub disks: Option<Result<Vec<Row>, Miss>>,
    pub config: Result<Row, Miss>,
}

impl Answers {
    /// Asks a node.
    pub(super) async fn of(session: &Session<'_>, scene: &Scene<'_>, node: &str) -> Self {
        let row =
            |path: &'static str| async move { session.get(&Call::node(node, path)).await?.row() };
        let network = async {
            let answer = session.get(&Call::node(node, "network")).await?;
            let pending = answer.pending;
            Ok((answer.rows()?, pending))
        };
        let disks = async {
            if scene.excludes(Topic::Disks) {
                return None;
            }
            // Asking each disk for its health takes long, and health is no inventory.
            let call = Call::node(node, "disks/list").with("skipsmart", "1");
            Some(session.get(&call).await.and_then(Answer::rows))
        };
        let (status, network, disks, config) =
            futures::join!(row("status"), network, disks, row("config"));
        Answers { status, network, disks, config }
    }

    /// Why something of it could not be read, by what it is.
    pub(super) fn misses(&self) -> impl Iterator<Item = (&'static str, &Miss)> {
        let disks = self.disks.as_ref().and_then(|disks| disks.as_ref().err());
        [
            ("status", self.status.as_ref().err()),
            ("network", self.network.as_ref().err()),
            ("disks/list", disks),
            ("config", self.config.as_ref().err()),
        ]
        .into_iter()
        .filter_map(|(what, miss)| Some((what, miss?)))
    }

    /// The node's interfaces.
    pub(super) fn interfaces(&self, around: Around<'_>) -> Option<Network> {
        self.network.as_ref().ok().map(|(rows, _)| network::read(rows, around))
    }

    /// Whether the network that is shown is not in force yet.
    pub(super) fn is_pending(&self) -> bool {
        self.network.as_ref().is_ok_and(|(_, pending)| *pending)
    }

    /// What runs on it and what is inside it. `storages` are those of this node, and
    /// whether they are all.
    pub(super) fn host(&self, storages: Option<(Vec<&StorageRow>, bool)>) -> Option<Host> {
        let mut host = Host::default();
        let mut told = false;
        if let Ok(status) = &self.status {
            running(&mut host.facts, status);
            host.components.extend(processors(status));
            host.components.extend(memory(status));
            told = true;
        }
        if let Ok(config) = &self.config {
            notes::comments(&mut host.facts, config.text("description").as_deref());
            told = true;
        }
        let mut whole = self.status.is_ok();
        match &self.disks {
            Some(Ok(rows)) => {
                let mut names = BTreeSet::new();
                let disks = rows.iter().filter_map(disk);
                host.components.extend(disks.filter(|disk| names.insert(disk.name.clone())));
                told = true;
            }
            _ => whole = false,
        }
        match storages {
            Some((rows, all)) => {
                host.components.extend(rows.into_iter().map(storage));
                whole &= all;
            }
            None => whole = false,
        }
        if whole {
            host.complete.insert(Part::Components);
        }
        (told || !host.components.is_empty()).then_some(host)
    }
}

/// The version that runs: as a platform what changes with upgrades, as a description the
/// whole of it.
fn running(facts: &mut HostFacts, status: &Row) {
    let version = status.text("pveversion");
    // `pve-manager/8.4.1/2a5fa54a8503f96d`
    let version = version.as_deref().and_then(|text| text.split('/').nth(1)).map(str::to_owned);
    let kernel =
        status.row("current-kernel").and_then(|kernel| kernel.text("release")).or_else(|| {
            // `Linux 5.15.158-2-pve #1 SMP PVE …`
            status.text("kversion")?.split_whitespace().nth(1).map(str::to_owned)
        });
    if let Some(version) = &version {
        let numbers: Vec<&str> = version.split(['.', '-']).take(2).collect();
        facts.text(HostAttribute::Platform, format!("Proxmox VE {}", numbers.join(".")));
    }
    let parts = [version.map(|v| format!("Proxmox VE {v}")), kernel.map(|k| format!("kernel {k}"))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    facts.text(HostAttribute::Description, parts.join(", "));
}

fn processors(status: &Row) -> Option<Component> {
    let cpu = status.row("cpuinfo")?;
    let model = cpu.text("model")?;
    let count = |number: Option<i64>, one: &str| {
        let number = number.filter(|number| *number > 0)?;
        Some(format!("{number} {one}{}", if number == 1 { "" } else { "s" }))
    };
    let counts = [
        count(cpu.int("sockets"), "socket"),
        count(cpu.int("cores"), "core"),
        count(cpu.int("cpus"), "thread"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    Some(Component {
        name: "CPU".into(),
        part_id: Some(visible(&model, 50).into()),
        description: Some(format!("{}: {}", visible(&model, 120), counts.join(", ")).into()),
        ..Component::default()
    })
}

/// Memory in whole GiB: what the kernel keeps for itself differs from boot to boot.
fn memory(status: &Row) -> Option<Component> {
    let total = status.row("memory")?.int("total").filter(|bytes| *bytes > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
    let gibibytes = (total as f64 / 30.0_f64.exp2()).ceil();
    Some(Component {
        name: "Memory".into(),
        description: Some(format!("{gibibytes} GiB").into()),
        ..Component::default()
    })
}

/// A disk, named by what stays the same when disks are found in another order at boot.
fn disk(row: &Row) -> Option<Component> {
    let said = |key: &str| {
        let text = row.text(key).map(|text| text.trim().to_owned())?;
        (!text.eq_ignore_ascii_case("unknown")).then_some(text)
    };
    let device = said("devpath");
    let serial = said("serial");
    let name = serial
        .clone()
        .or_else(|| said("wwn"))
        .or_else(|| device.as_deref().map(|path| path.trim_start_matches("/dev/").to_owned()))?;
    let size = row.int("size").filter(|size| *size > 0).map(drive_size);
    let kind = said("type").map(|kind| match kind.as_str() {
        "ssd" => "SSD".to_owned(),
        "hdd" => "HDD".to_owned(),
        "nvme" => "NVMe".to_owned(),
        other => other.to_owned(),
    });
    let described: Vec<String> = [size, kind].into_iter().flatten().collect();
    // ATA is how it is plugged in, not who made it.
    let vendor = said("vendor").filter(|vendor| !matches!(vendor.as_str(), "ATA" | "NVMe" | "USB"));
    Some(Component {
        name: visible(&format!("Disk {name}"), 64).into(),
        manufacturer: vendor.map(Into::into),
        part_id: said("model").map(|model| visible(&model.replace('_', " "), 50).into()),
        serial: serial.map(|serial| visible(&serial, 50).into()),
        description: (!described.is_empty()).then(|| described.join(" ").into()),
    })
}

/// A size as it is printed on a drive: powers of ten, three digits.
fn drive_size(bytes: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are kept of it")]
    let bytes = bytes as f64;
    let (number, unit) = match bytes {
        tb if tb >= 1.0e12 => (tb / 1.0e12, "TB"),
        gb if gb >= 1.0e9 => (gb / 1.0e9, "GB"),
        mb => (mb / 1.0e6, "MB"),
    };
    let places = if number >= 100.0 {
        0
    } else if number >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{number:.places$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    format!("{text} {unit}")
}

/// A storage: what keeps disks of guests. How full it is, and with it how large some kinds
/// of it are, changes all the time and is no inventory.
fn storage(row: &StorageRow) -> Component {
    let mut parts: Vec<String> = row.kind.iter().cloned().collect();
    if row.shared {
        parts.push("shared".to_owned());
    }
    let what = parts.join(", ");
    let content: Vec<&str> = row.content.iter().map(String::as_str).collect();
    let text = match (what.is_empty(), content.is_empty()) {
        (_, true) => what,
        (true, false) => format!("for {}", content.join(", ")),
        (false, false) => format!("{what}, for {}", content.join(", ")),
    };
    Component {
        name: visible(&format!("Storage {}", row.name), 64).into(),
        description: (!text.is_empty()).then(|| visible(&text, 200).into()),
        ..Component::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(json: serde_json::Value) -> Row {
        Row::of(json).unwrap()
    }

    fn answers(status: serde_json::Value, disks: serde_json::Value) -> Answers {
        Answers {
            status: Ok(row(status)),
            network: Err(Miss::Failed("not asked".into())),
            disks: Some(Ok(Row::all(disks))),
            config: Ok(row(json!({ "description": "Rack 1\n" }))),
        }
    }

    #[test]
    fn a_node_is_described_by_what_stays_the_same() {
        // Fields as in Proxmox VE 8.4.
        let answers = answers(
            json!({
                "pveversion": "pve-manager/8.4.1/2a5fa54a8503f96d",
                "current-kernel": { "release": "6.8.12-9-pve" },
                "cpuinfo": { "model": "AMD Ryzen 7 5700G", "sockets": 1, "cores": 8, "cpus": 16 },
                "memory": { "total": 67_315_716_096_i64, "used": 1, "free": 1 },
                "uptime": 12,
            }),
            json!([
                { "devpath": "/dev/sda", "serial": "S3Z8NB0K", "model": "Samsung_SSD_860", "vendor": "ATA     ",
                  "size": 1_000_204_886_016_i64, "type": "ssd", "health": "PASSED", "wearout": 97 },
                { "devpath": "/dev/nvme0n1", "serial": "unknown", "wwn": "unknown", "model": "QEMU",
                  "vendor": "Seagate", "size": 536_870_912, "type": "nvme" },
            ]),
        );
        let zfs = StorageRow {
            node: "pve1".into(),
            name: "local-zfs".into(),
            kind: Some("zfspool".into()),
            shared: false,
            content: ["images".to_owned(), "rootdir".to_owned()].into(),
        };
        let host = answers.host(Some((vec![&zfs], true))).unwrap();
        assert!(host.complete.contains(&Part::Components));
        insta::assert_debug_snapshot!((host.facts, host.components));
    }

    #[test]
    fn an_older_version_tells_its_kernel_elsewhere() {
        // Fields as in Proxmox VE 7.4.
        let answers = answers(
            json!({ "pveversion": "pve-manager/7.4-17/513c62be", "kversion": "Linux 5.15.158-2-pve #1 SMP PVE" }),
            json!([]),
        );
        let host = answers.host(None).unwrap();
        let text = |attribute| host.facts.get(&attribute).and_then(|value| value.as_text());
        assert_eq!(text(HostAttribute::Platform), Some("Proxmox VE 7.4"));
        let described = "Proxmox VE 7.4-17, kernel 5.15.158-2-pve";
        assert_eq!(text(HostAttribute::Description), Some(described));
        assert!(!host.complete.contains(&Part::Components), "the storages are not known");
    }

    #[test]
    fn sizes_are_those_that_are_printed_on_drives() {
        for (bytes, text) in [
            (1_000_204_886_016, "1 TB"),
            (1_920_383_410_176, "1.92 TB"),
            (18_000_207_937_536, "18 TB"),
            (500_107_862_016, "500 GB"),
            (32_017_047_552, "32 GB"),
            (536_870_912, "537 MB"),
        ] {
            assert_eq!(drive_size(bytes), text);
        }
    }
}
