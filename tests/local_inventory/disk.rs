//! A full disk and a read-only one: small file systems of our own, which only root can mount.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use netbox_agent::domain::outcome::Outcome;
use netbox_agent::store::{Fault, Local, Store};

use crate::plans::{assert_whole, difference, network, sync};

/// A file system in memory, for as long as the value lives.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// Mounts one, or says loudly why the test cannot run.
    fn mount(size: &str) -> Option<Self> {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0);
        let folder = tempfile::tempdir().unwrap();
        let mounted = is_root
            && run(Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
                .arg(folder.path()));
        if !mounted {
            eprintln!("SKIPPED: this test mounts a small tmpfs, which needs root; run it as root");
            return None;
        }
        Some(Disk { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make_read_only(&self) {
        let remounted =
            run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.folder.path()));
        assert!(remounted);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.folder.path()));
    }
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

fn fill(path: &Path) {
    let mut ballast = std::fs::File::create(path).unwrap();
    let block = [0_u8; 4096];
    while std::io::Write::write_all(&mut ballast, &block).is_ok() {}
}

#[test]
fn a_disk_that_fills_up_stops_the_run_and_the_next_one_goes_on() {
    let Some(disk) = Disk::mount("16m") else {
        return;
    };
    let wanted = network(150);
    let store = Arc::new(Store::open(&disk.path("store.db")).unwrap());
    let (_, first) = sync(&store, &network(1));
    assert!(first.iter().all(Outcome::is_applied));
    std::fs::write(disk.path("reserve"), vec![0; 300_000]).unwrap();
    fill(&disk.path("ballast"));
    std::fs::remove_file(disk.path("reserve")).unwrap();

    let (plan, outcomes) = sync(&store, &wanted);
    let failed: Vec<&Outcome> = outcomes.iter().filter(|end| end.word() == "failed").collect();
    assert!(!failed.is_empty() && outcomes.len() == plan.changes.len());
    for end in failed {
        assert!(end.to_string().contains("the disk is full"), "{end}");
    }
    assert!(outcomes.contains(&Outcome::NotReached));
    let world = Local::new(Arc::clone(&store)).everything().unwrap();
    assert_whole(&world);
    assert!(!difference(&world, &wanted).is_empty());

    drop(store);
    std::fs::remove_file(disk.path("ballast")).unwrap();
    let store = Arc::new(Store::open(&disk.path("store.db")).unwrap());
    let (_, outcomes) = sync(&store, &wanted);
    assert!(outcomes.iter().all(Outcome::is_applied), "{outcomes:?}");
    let world = Local::new(store).everything().unwrap();
    assert!(difference(&world, &wanted).is_empty());
}

#[test]
fn a_store_cannot_be_made_on_a_full_disk_and_nothing_of_it_is_left() {
    let Some(disk) = Disk::mount("64k") else {
        return;
    };
    fill(&disk.path("ballast"));
    let path = disk.path("store.db");
    let error = Store::open(&path).unwrap_err();
    assert_eq!(error.fault, Fault::Full);
    assert!(!path.exists());
    std::fs::remove_file(disk.path("ballast")).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_read_only_disk_can_be_read_and_not_written() {
    let Some(disk) = Disk::mount("4m") else {
        return;
    };
    let path = disk.path("a store?.db");
    let store = Arc::new(Store::open(&path).unwrap());
    sync(&store, &network(2));
    drop(store);
    disk.make_read_only();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error.fault, Fault::Denied { .. }), "{error}");
    let store = Store::read(&path).unwrap();
    assert_eq!(store.runs(None, 9).unwrap().len(), 1);
    assert_eq!(Local::new(Arc::new(store)).everything().unwrap().len(), 13);
    let error = Store::open(&disk.path("new/store.db")).unwrap_err();
    assert!(matches!(error.fault, Fault::Denied { .. }), "{error}");
}
