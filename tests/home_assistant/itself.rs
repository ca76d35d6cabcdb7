//! Home Assistant itself: one object with the machine, or the guest, that it runs on.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::agent::{Agent, ask};
use super::standin::{NEW, Reply, Script, StandIn, TOKEN};

/// The same with a Supervisor, as Home Assistant OS has one.
fn supervised(script: Script) -> Script {
    let interface = |name: &str, mac: &str, primary: bool, address: &str| {
        json!({
            "interface": name, "type": "ethernet", "enabled": true, "connected": true,
            "primary": primary, "mac": mac, "wifi": null, "vlan": null,
            "ipv4": { "method": "auto", "address": [address], "gateway": "192.168.10.1",
                "nameservers": ["192.168.10.1"], "ready": true },
            "ipv6": { "method": "auto", "address": ["fe80::be24:11ff:fe0a:b0c/64"],
                "gateway": null, "nameservers": [], "ready": true },
        })
    };
    let network = json!({
        "interfaces": [
            interface("enp0s18", "BC:24:11:0A:0B:0C", true, "192.168.10.5/24"),
            interface("docker0", "02:42:0A:00:00:01", false, "172.30.232.1/23"),
        ],
        "docker": { "interface": "hassio", "address": "172.30.32.0/23" }, "host_internet": true,
    });
    let host = json!({
        "hostname": "homeassistant", "operating_system": "Home Assistant OS 16.3",
        "chassis": "vm", "virtualization": "kvm", "cpe": null, "disk_free": 20.5,
    });
    script
        .changed("get_config", |config| {
            config["components"].as_array_mut().unwrap().push("hassio".into());
        })
        .with("supervisor/api/network/info", Reply::Result(network))
        .with("supervisor/api/host/info", Reply::Result(host))
}

/// A source that tells what a hypervisor would tell of its guest.
fn hypervisor(folder: &std::path::Path) -> String {
    let seen = [
        json!({ "version": 1, "authority": "hypervisor",
            "cluster": { "key": "pve:lab", "name": "lab", "kind": "Proxmox VE" } }),
        json!({ "version": 1, "authority": "hypervisor", "host": {
            "aliases": ["pve:lab/qemu/110"], "form": "virtual_machine", "cluster": "pve:lab",
            "name": "hass-vm", "status": "active", "vcpus": 2,
            "interfaces": [{ "name": "net0", "mac": "bc:24:11:0a:0b:0c" }],
        } }),
    ];
    let text: Vec<String> = seen.iter().map(Json::to_string).collect();
    let file = folder.join("hypervisor");
    std::fs::write(&file, text.join("\n")).unwrap();
    format!("[[source]]\nkind = \"exec\"\nname = \"pve\"\nshell = \"cat {}\"\n", file.display())
}

fn with_mac(inventory: &Json, mac: &str) -> Vec<Json> {
    let hosts = inventory["hosts"].as_array().unwrap().iter();
    let has = |host: &&Json| {
        host["interfaces"].as_array().unwrap().iter().any(|interface| interface["mac"] == mac)
    };
    hosts.filter(has).cloned().collect()
}

#[tokio::test]
async fn it_is_one_with_the_virtual_machine_that_it_runs_in() {
    let standin = StandIn::start(supervised(Script::of(NEW))).await;
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::new(&standin.url(), TOKEN, &hypervisor(folder.path()));
    agent.settle().await;
    let inventory = agent.inventory().await;
    let found = with_mac(&inventory, "bc:24:11:0a:0b:0c");
    let [vm] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((&vm["kind"], &vm["name"]), (&"virtual_machine".into(), &"hass-vm".into()));
    assert_eq!(vm["platform"], "Home Assistant OS");
    assert_eq!(vm["primary_ip4"], "192.168.10.5/24");
    assert!(with_mac(&inventory, "02:42:0a:00:00:01").is_empty(), "a bridge of its containers");
    assert!(!inventory.to_string().contains("172.30."), "{inventory:#}");
}

#[tokio::test]
async fn without_a_hypervisor_it_is_an_object_of_its_own() {
    let standin = StandIn::start(supervised(Script::of(NEW))).await;
    let agent = Agent::new(&standin.url(), TOKEN, "");
    agent.settle().await;
    let found = with_mac(&agent.inventory().await, "bc:24:11:0a:0b:0c");
    let [own] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(own["name"], "homeassistant");
    assert_eq!(own["platform"], "Home Assistant OS");
}

#[tokio::test]
async fn a_user_who_may_not_ask_the_supervisor_is_told_so_and_sees_the_rest() {
    let all = StandIn::start(supervised(Script::of(NEW))).await;
    let denied = supervised(Script::of(NEW))
        .with("supervisor/api/network/info", Reply::Error("unauthorized"))
        .with("supervisor/api/host/info", Reply::Error("unauthorized"))
        .for_a_user();
    let user = StandIn::start(denied).await;
    let (all, main) = (ask(&all, "").await.unwrap(), ask(&user, "").await.unwrap());
    assert_eq!(main.coverage, all.coverage);
    let told: BTreeSet<&str> = main.diagnostics.iter().map(|told| told.message.as_str()).collect();
    let [told] = &told.into_iter().collect::<Vec<_>>()[..] else { panic!("{main:?}") };
    assert!(told.contains("no administrator"), "{told}");
    assert!(told.contains("the interfaces of its own machine"), "{told}");
}
