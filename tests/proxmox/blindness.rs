//! What the source cannot see: it is said, it ends in exit code 3, and nothing is retired
//! or blanked for it.

use std::time::Duration;

use netbox_agent::domain::object::{Field, Kind};

use crate::cluster::cluster;
use crate::homelab::homelab;
use crate::lab::{Lab, Run};
use crate::standin::{Pve, Release, Standin};

/// A lab with a settled cluster of three nodes and six guests: 100, 102 and 104 are virtual
/// machines on pve1, pve3 and pve2; 101, 103 and 105 containers on pve2, pve1 and pve3.
async fn settled(release: Release) -> (Lab, Standin) {
    let lab = Lab::new();
    let standin = Standin::open(cluster(&lab.salt, release, 3, 6), 1).await;
    let lab = lab.asks("pve", &standin, "");
    lab.settle(0).await;
    (lab, standin)
}

/// A run after something went out of sight: it ends with 3 and changes nothing. When all is
/// in sight again, the next run ends with 0 and changes nothing either.
async fn unseen(release: Release, hide: impl FnOnce(&Lab, &mut Pve)) -> Run {
    let (lab, standin) = settled(release).await;
    let before = standin.pve().clone();
    hide(&lab, &mut standin.pve());
    let blind = lab.sync(3).await;
    assert_eq!(blind.changes(), Vec::<String>::new(), "of what cannot be seen nothing changes");
    assert_eq!(lab.sync(3).await.changes(), Vec::<String>::new());
    *standin.pve() = before;
    let again = lab.sync(0).await;
    assert_eq!(again.changes(), Vec::<String>::new(), "nothing had changed");
    blind
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_offline_takes_nothing_with_it_but_its_own_status() {
    for release in [Release::V7_4, Release::V8_4, Release::V9_2] {
        let (lab, standin) = settled(release).await;
        standin.pve().nodes.get_mut(&lab.salt.name("pve2")).unwrap().online = false;
        let run = lab.sync(3).await;
        assert_eq!(run.changes(), ["update device pve2: status"]);
        assert_eq!(run.told("error"), ["node_offline pve:pve/node/pve2"]);
        let said = run.message("node_offline");
        assert!(said.contains("2 guests") && said.contains("stays as it is"), "{said}");
        assert_eq!(lab.sync(3).await.changes(), Vec::<String>::new());
        let made = lab.made().await;
        let guest = made.one(Kind::VirtualMachine, "ct101");
        assert_eq!(made.text(guest, Field::Status), "active", "unknown is not off");
        standin.pve().nodes.get_mut(&lab.salt.name("pve2")).unwrap().online = true;
        assert_eq!(lab.settle(0).await.changes(), ["update device pve2: status"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_595_though_the_cluster_lists_it_is_away() {
    let run = unseen(Release::V8_4, |lab, pve| {
        pve.unreachable.insert(lab.salt.name("pve3"));
    })
    .await;
    assert_eq!(run.told("error"), ["node_away pve:pve/node/pve3"]);
    assert!(run.message("node_away").contains("2 guests"), "{}", run.message("node_away"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_counts_as_gone() {
    let run = unseen(Release::V8_4, |lab, pve| {
        pve.quorate = false;
        for name in ["pve2", "pve3"] {
            pve.nodes.get_mut(&lab.salt.name(name)).unwrap().online = false;
        }
        pve.guests.remove(&103);
    })
    .await;
    assert!(run.told("error").contains(&"no_quorum pve".to_owned()), "{:?}", run.told("error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_vm_audit_hides_guests_and_says_so() {
    for release in [Release::V7_4, Release::V8_4, Release::V9_2] {
        let run = unseen(release, |_, pve| pve.token().revoke("VM.Audit")).await;
        assert_eq!(run.told("error"), ["missing_privilege pve: VM.Audit on /vms"]);
        let said = run.message("missing_privilege");
        assert!(said.contains("hides guests") && said.contains("pveum acl modify"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_a_permission_of_its_own_hides_is_not_gone() {
    let run = unseen(Release::V8_4, |_, pve| pve.token().grant("/vms/101", &[])).await;
    assert_eq!(run.told("error"), ["hidden_guests pve"]);
    assert!(run.message("hidden_guests").contains("101"), "{}", run.message("hidden_guests"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_see_a_few_guests_alone_proves_nothing_of_the_others() {
    let run = unseen(Release::V9_2, |_, pve| {
        pve.token().revoke("VM.Audit");
        pve.token().grant("/vms/100", &["VM.Audit", "VM.GuestAgent.Audit"]);
    })
    .await;
    assert_eq!(run.told("error"), ["missing_privilege pve: VM.Audit on /vms"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_privilege_that_is_missing_is_named_with_what_it_hides() {
    for (release, privilege, expected) in [
        (Release::V9_2, "Datastore.Audit", vec!["Datastore.Audit on /storage"]),
        (Release::V9_2, "Pool.Audit", vec!["Pool.Audit on /pool"]),
        (Release::V9_2, "SDN.Audit", vec!["SDN.Audit on /sdn/zones"]),
        (Release::V9_2, "Sys.Audit", vec!["Sys.Audit on /", "Sys.Audit on /nodes"]),
        (Release::V9_2, "VM.GuestAgent.Audit", vec!["VM.GuestAgent.Audit on /vms"]),
        (Release::V8_4, "VM.Monitor", vec!["VM.Monitor on /vms"]),
    ] {
        let run = unseen(release, |_, pve| pve.token().revoke(privilege)).await;
        let expected: Vec<String> =
            expected.iter().map(|what| format!("missing_privilege pve: {what}")).collect();
        assert_eq!(run.told("error"), expected, "{privilege}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_on_purpose_is_not_missed() {
    let lab = Lab::new();
    let mut pve = cluster(&lab.salt, Release::V9_2, 1, 2);
    for privilege in ["Datastore.Audit", "Pool.Audit", "VM.GuestAgent.Audit"] {
        pve.token().revoke(privilege);
    }
    let standin = Standin::open(pve, 1).await;
    let lab =
        lab.asks("pve", &standin, "exclude = [\"guest-agent\", \"storage\", \"pools\", \"disks\"]");
    let run = lab.settle(0).await;
    assert_eq!(run.told("error"), Vec::<String>::new());
    let asked = standin.requests();
    assert!(
        asked.iter().all(|path| !path.contains("/agent/") && !path.contains("/disks/")),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_falls_silent_leaves_addresses_as_they_are() {
    let run = unseen(Release::V8_4, |_, pve| {
        pve.guest(100).inside = Err("QEMU guest agent is not running".to_owned());
    })
    .await;
    assert_eq!(run.told("error"), ["agent_silent pve:pve/qemu/100"]);
    let said = run.message("agent_silent");
    assert!(
        said.contains("QEMU guest agent is not running") && said.contains("start the agent"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_answers_costs_itself_alone() {
    let lab = Lab::new();
    let standin = Standin::open(cluster(&lab.salt, Release::V8_4, 3, 6), 1).await;
    let lab = lab.asks("pve", &standin, "timeout = \"1s\"");
    lab.settle(0).await;
    standin.pve().slow.insert("/qemu/100/agent/".to_owned(), Duration::from_secs(5));
    let run = lab.sync(3).await;
    assert_eq!(run.changes(), Vec::<String>::new());
    assert_eq!(run.told("error"), ["agent_silent pve:pve/qemu/100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_which_its_node_has_not_told_yet_keeps_its_name_and_status() {
    let run = unseen(Release::V8_4, |_, pve| {
        for guest in pve.guests.values_mut() {
            guest.stats = false;
        }
    })
    .await;
    assert_eq!(run.told("error"), ["status_unknown pve"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_off_is_not_asked_and_keeps_its_addresses() {
    let lab = Lab::new();
    let standin = Standin::open(homelab(&lab.salt, Release::V9_2), 1).await;
    let lab = lab.asks("pve", &standin, "");
    lab.settle(0).await;
    standin.pve().guest(106).running = false;
    let _ = standin.requests();
    let changes = lab.settle(0).await.changes();
    assert_eq!(changes, ["update virtual_machine prometheus_pve_exporter: status"]);
    assert!(standin.requests().iter().all(|path| !path.ends_with("/lxc/106/interfaces")));
    let made = lab.made().await;
    let exporter = made.one(Kind::VirtualMachine, "prometheus_pve_exporter");
    assert_eq!(made.text(exporter, Field::PrimaryIp4), "192.168.0.61/24");
}

#[tokio::test(flavor = "multi_thread")]
async fn bridges_that_the_token_may_not_see_are_not_gone() {
    let (lab, standin) = settled(Release::V9_2).await;
    standin.pve().token().grant("/sdn/zones/localnetwork/vmbr0", &[]);
    let run = lab.sync(3).await;
    assert_eq!(run.changes(), Vec::<String>::new());
    let made = lab.made().await;
    let bridges = made.of(Kind::Interface).into_iter().filter(|one| one.name() == "vmbr0");
    assert_eq!(bridges.filter(|one| made.text(one, Field::Enabled) == "true").count(), 3);
    drop(run);
}
