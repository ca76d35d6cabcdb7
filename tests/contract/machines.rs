//! Virtual machines, their interfaces and disks, and services.

use crate::devices::cluster;
use crate::server::{Ground, Server, everywhere, id, says};
use serde_json::{Value, json};

const MACHINES: &str = "virtualization/virtual-machines";
const DISKS: &str = "virtualization/virtual-disks";

/// The id of a virtual machine that is made at a site.
fn machine(server: &Server, site: u64) -> u64 {
    server.made(MACHINES, json!({"name": server.name("vm"), "site": site}))
}

#[test]
fn a_virtual_machine_needs_a_place() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let nowhere = json!({"name": server.name("nowhere")});
        let body = server.post(MACHINES, &nowhere).expect(400);
        assert!(says(&body, "A virtual machine must be assigned to a site"), "{body}");
        for (field, value) in
            [("site", ground.site), ("cluster", cluster(server, Some(ground.site)))]
        {
            let made = server.make(MACHINES, json!({"name": server.name("vm"), field: value}));
            assert_eq!(id(&made[field]), value);
        }
    });
}

#[test]
fn a_virtual_machine_stands_on_a_device_without_a_cluster_since_4_6() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let answer = server.post(MACHINES, &json!({"name": server.name("vm"), "device": device}));
        if server.since(6) {
            let body = answer.expect(201);
            assert_eq!(id(&body["device"]), device);
        } else {
            answer.expect(400);
        }
    });
}

#[test]
fn a_virtual_machine_takes_the_site_of_its_cluster() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let cluster = cluster(server, Some(ground.site));
        let body = json!({"name": server.name("vm"), "cluster": cluster});
        assert_eq!(id(&server.make(MACHINES, body)["site"]), ground.site);
        let slug = server.name("elsewhere");
        let elsewhere = server.made("dcim/sites", json!({"name": slug, "slug": slug}));
        let body = json!({"name": server.name("vm"), "cluster": cluster, "site": elsewhere});
        server.post(MACHINES, &body).expect(400);
    });
}

#[test]
fn the_host_of_a_virtual_machine_is_a_device_of_its_cluster() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (device, cluster) = (ground.made(server, "host"), cluster(server, Some(ground.site)));
        let body = json!({"name": server.name("vm"), "cluster": cluster, "device": device});
        server.post(MACHINES, &body).expect(400);
        server.patch(&format!("dcim/devices/{device}"), &json!({"cluster": cluster})).expect(200);
        assert_eq!(id(&server.make(MACHINES, body)["device"]), device);
    });
}

#[test]
fn the_name_of_a_virtual_machine_is_unique_in_its_cluster_and_for_its_tenant() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("VM");
        let home = cluster(server, Some(ground.site));
        let body = |name: &str, cluster: u64| json!({"name": name, "cluster": cluster});
        server.make(MACHINES, body(&name, home));
        let twin = server.post(MACHINES, &body(&name.to_uppercase(), home)).expect(400);
        assert!(says(&twin, "Virtual machine name must be unique per cluster"), "{twin}");
        server.make(MACHINES, body(&name, cluster(server, Some(ground.site))));

        // Without a cluster names are not unique before 4.6.
        let body = json!({"name": name, "site": ground.site});
        server.make(MACHINES, body.clone());
        let again = server.post(MACHINES, &body).status;
        assert_eq!(again, 201, "machines at a site without a cluster");
    });
}

#[test]
fn the_disk_of_a_virtual_machine_is_the_sum_of_its_virtual_disks() {
    everywhere(|server| {
        let machine = machine(server, Ground::of(server).site);
        let place = format!("{MACHINES}/{machine}");
        let disk = |name: &str, size: u64| {
            let body = json!({"virtual_machine": machine, "name": name, "size": size});
            server.made(DISKS, body)
        };
        let size = || server.object(MACHINES, machine)["disk"].clone();
        server.patch(&place, &json!({"disk": 500})).expect(200);
        let (one, _) = (disk("sda", 10_000), disk("sdb", 5_000));
        assert_eq!(size(), 15_000);
        let body = server.patch(&place, &json!({"disk": 500})).expect(400);
        assert!(says(&body["disk"], "must match the aggregate size"), "{body}");
        server.patch(&format!("{DISKS}/{one}"), &json!({"size": 1})).expect(200);
        assert_eq!(size(), 5_001);
        server.delete(&format!("{DISKS}/{one}"), None).expect(204);
        assert_eq!(size(), 5_000);
    });
}

#[test]
fn the_names_of_a_machines_interfaces_and_disks_are_unique_on_it() {
    everywhere(|server| {
        let machine = machine(server, Ground::of(server).site);
        for (place, more) in [("virtualization/interfaces", json!({})), (DISKS, json!({"size": 1}))]
        {
            let mut body = json!({"virtual_machine": machine, "name": "one"});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            server.make(place, body.clone());
            server.post(place, &body).expect(400);
        }
    });
}

#[test]
fn what_a_machine_has_of_processors_and_memory_is_answered_as_numbers() {
    everywhere(|server| {
        let site = Ground::of(server).site;
        let body = json!({"name": server.name("vm"), "site": site, "vcpus": 1.5, "memory": 2048});
        let made = server.make(MACHINES, body);
        assert_eq!(made["vcpus"], 1.5);
        assert_eq!(made["memory"], 2048);
        let body = json!({"name": server.name("vm"), "site": site, "vcpus": 0});
        assert!(server.post(MACHINES, &body).expect(400)["vcpus"].is_array());
    });
}

/// The parent of a service, in the words of the version.
fn parent(server: &Server, device: u64) -> Value {
    if server.since(3) {
        json!({"parent_object_type": "dcim.device", "parent_object_id": device})
    } else {
        json!({"device": device})
    }
}

#[test]
fn a_service_belongs_to_a_device_or_machine_in_the_words_of_the_version() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let service = |more: &Value| {
            let mut body = json!({"name": "ssh", "protocol": "tcp", "ports": [22]});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            body
        };
        let right = service(&parent(server, device));
        let wrong = if server.since(3) {
            service(&json!({"device": device}))
        } else {
            service(&json!({"parent_object_type": "dcim.device", "parent_object_id": device}))
        };
        server.make("ipam/services", right.clone());
        server.post("ipam/services", &wrong).expect(400);
        // Nothing about a service is unique.
        server.make("ipam/services", right);
        assert_eq!(server.ids(&format!("ipam/services?device_id={device}")).len(), 2);
    });
}

#[test]
fn a_services_protocol_and_ports_are_written_with_no_more_than_their_fields_chosen() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let parents = parent(server, device);
        let names: Vec<&str> = parents.as_object().unwrap().keys().map(String::as_str).collect();
        let mut body = json!({"name": "web", "protocol": "tcp", "ports": [80, 443]});
        body.as_object_mut().unwrap().extend(parents.as_object().unwrap().clone());
        let place = format!("ipam/services?fields=id,name,{}", names.join(","));
        let made = server.post(&format!("{place},protocol,ports"), &json!([body])).expect(201);
        let service = id(&made[0]);
        let changed = json!([{"id": service, "ports": [81]}]);
        server.patch("ipam/services?fields=id,description", &changed).expect(200);
        assert_eq!(server.object("ipam/services", service)["ports"], json!([80, 443]));
        server.patch("ipam/services?fields=id,ports", &changed).expect(200);
        let stands = server.object("ipam/services", service);
        assert_eq!(stands["ports"], json!([81]));
        assert_eq!(stands["protocol"]["value"], "tcp");
        server.post(&place, &json!([body])).expect(400);
    });
}

#[test]
fn a_service_has_ports_that_can_be() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        for ports in [json!([]), json!([0]), json!([65_536]), json!(["ssh"])] {
            let mut body = parent(server, device);
            body["name"] = "odd".into();
            body["protocol"] = "tcp".into();
            body["ports"] = ports;
            server.post("ipam/services", &body).expect(400);
        }
    });
}
