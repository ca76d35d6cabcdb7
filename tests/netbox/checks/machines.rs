//! Clusters, virtual machines and their disks.

use super::addressing;
use super::hosts::{named, primaries, referred};
use super::{Verdict, refuse};
use crate::netbox::kinds::display;
use crate::netbox::model::Kind;
use crate::netbox::parse::Parsed;
use crate::netbox::store::{Object, Store};
use crate::netbox::version::Version;
use serde_json::Value;

/// The field that tells in which site a cluster is.
fn site_field(store: &Store) -> &'static str {
    if store.version < Version::V4_2 { "site" } else { "_site" }
}

pub(super) fn cluster(store: &Store, cluster: &Object) -> Verdict {
    addressing::scope(store, cluster)?;
    if cluster.id == 0 {
        return Ok(());
    }
    let hosts = store.referring(Kind::Cluster, cluster.id, Kind::Device, "cluster");
    let (place, field) =
        match (cluster.text("scope_type"), cluster.id_of("scope_id").or(cluster.id_of("site"))) {
            ("dcim.location", Some(id)) => (store.get(Kind::Location, id), "location"),
            (_, Some(id)) => (store.get(Kind::Site, id), "site"),
            _ => return Ok(()),
        };
    let Some(place) = place else { return Ok(()) };
    let elsewhere = hosts
        .iter()
        .filter_map(|id| store.get(Kind::Device, *id))
        .filter(|host| host.id_of(field) != Some(place.id))
        .count();
    if elsewhere == 0 {
        return Ok(());
    }
    let what = format!(
        "{elsewhere} devices are assigned as hosts for this cluster but are not in {field} {}",
        display(store, place)
    );
    refuse(if store.version < Version::V4_2 { "site" } else { "scope" }, what)
}

pub(super) fn machine(
    store: &Store,
    old: Option<&Object>,
    machine: &mut Object,
    parsed: &Parsed,
) -> Verdict {
    placed(store, machine)?;
    if old.is_some() {
        let disks = disk_sum(store, machine.id);
        match machine.value("disk").as_i64() {
            // A null that is written stays; one that stood is made good.
            None if disks > 0 && !parsed.values.contains_key("disk") => {
                machine.values.insert("disk", disks.into());
            }
            Some(size) if disks > 0 && size != disks => {
                return refuse(
                    "disk",
                    format!(
                        "The specified disk size ({size}) must match the aggregate size of assigned virtual disks ({disks})."
                    ),
                );
            }
            _ => {}
        }
    }
    primaries(store, machine, "VM")
}

fn placed(store: &Store, machine: &Object) -> Verdict {
    let has = |field: &str| !machine.value(field).is_null();
    let alone = store.version >= Version::V4_6;
    let stands = has("site") || has("cluster") || (alone && has("device"));
    if !stands {
        return if alone {
            refuse("__all__", "A virtual machine must be assigned to a site, cluster, or device.")
        } else {
            refuse("cluster", "A virtual machine must be assigned to a site and/or cluster.")
        };
    }
    let cluster = referred(store, machine, "cluster", Kind::Cluster);
    let device = referred(store, machine, "device", Kind::Device);
    let (cluster_name, device_name, site_name) = (
        || named(store, machine, "cluster", Kind::Cluster),
        || named(store, machine, "device", Kind::Device),
        || named(store, machine, "site", Kind::Site),
    );
    if let Some(site) = cluster.and_then(|cluster| cluster.id_of(site_field(store)))
        && has("site")
        && machine.id_of("site") != Some(site)
    {
        return refuse(
            "cluster",
            format!(
                "The selected cluster ({}) is not assigned to this site ({}).",
                cluster_name(),
                site_name()
            ),
        );
    }
    let Some(device) = device else { return Ok(()) };
    if alone && has("site") && device.value("site") != machine.value("site") {
        return refuse(
            "site",
            format!(
                "The selected device ({}) is not assigned to this site ({}).",
                device_name(),
                site_name()
            ),
        );
    }
    if cluster.is_none() {
        return match (alone, referred(store, device, "cluster", Kind::Cluster)) {
            (false, _) => refuse("device", "Must specify a cluster when assigning a host device."),
            (true, Some(cluster)) => {
                let cluster = display(store, cluster);
                refuse(
                    "cluster",
                    format!(
                        "Must specify the assigned device's cluster ({cluster}) when assigning host device {}.",
                        device_name()
                    ),
                )
            }
            (true, None) => Ok(()),
        };
    }
    if device.value("cluster") != machine.value("cluster") {
        return refuse(
            "device",
            format!(
                "The selected device ({}) is not assigned to this cluster ({}).",
                device_name(),
                cluster_name()
            ),
        );
    }
    Ok(())
}

/// A machine takes its site from its cluster or its host where it names none.
pub(super) fn settled(store: &Store, machine: &mut Object) {
    if !machine.value("site").is_null() {
        return;
    }
    let of_cluster = referred(store, machine, "cluster", Kind::Cluster)
        .and_then(|cluster| cluster.id_of(site_field(store)));
    let of_device = referred(store, machine, "device", Kind::Device)
        .filter(|_| store.version >= Version::V4_6)
        .and_then(|device| device.id_of("site"));
    if let Some(site) = of_cluster.or(of_device) {
        machine.values.insert("site", site.into());
    }
}

fn disk_sum(store: &Store, machine: u64) -> i64 {
    store
        .referring(Kind::VirtualMachine, machine, Kind::VirtualDisk, "virtual_machine")
        .into_iter()
        .filter_map(|id| store.get(Kind::VirtualDisk, id)?.value("size").as_i64())
        .sum()
}

/// A machine's disk is the sum of its virtual disks, without a word in the change log.
fn sum_up(store: &mut Store, machine: u64) {
    let Some(mut changed) = store.get(Kind::VirtualMachine, machine).cloned() else {
        return;
    };
    let disks =
        store.referring(Kind::VirtualMachine, machine, Kind::VirtualDisk, "virtual_machine");
    let sum = match disks.as_slice() {
        [] => Value::Null,
        _ => disk_sum(store, machine).into(),
    };
    changed.values.insert("disk", sum);
    store.put(changed);
}

pub(super) fn disk_changed(store: &mut Store, id: u64) {
    if let Some(machine) =
        store.get(Kind::VirtualDisk, id).and_then(|disk| disk.id_of("virtual_machine"))
    {
        sum_up(store, machine);
    }
}

pub(super) fn disk_gone(store: &mut Store, disk: &Object) {
    if let Some(machine) = disk.id_of("virtual_machine") {
        sum_up(store, machine);
    }
}

/// The machines of a cluster follow it to its site, without a word in the change log.
pub(super) fn site_follows(store: &mut Store, id: u64) {
    let field = site_field(store);
    let site = store.get(Kind::Cluster, id).and_then(|cluster| cluster.id_of(field));
    let Some(site) = site else { return };
    for machine in store.referring(Kind::Cluster, id, Kind::VirtualMachine, "cluster") {
        if let Some(mut machine) = store.get(Kind::VirtualMachine, machine).cloned() {
            machine.values.insert("site", site.into());
            store.put(machine);
        }
    }
}
