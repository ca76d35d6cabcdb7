//! Deletions: what goes along, what is emptied, and what stands in the way.

use crate::devices::cluster;
use crate::server::{Ground, everywhere, port, says, vrf};
use serde_json::json;

#[test]
fn what_others_need_is_not_deleted() {
    everywhere(|server| {
        let ground = Ground::of(server);
        ground.made(server, "host");
        for place in [
            format!("dcim/sites/{}", ground.site),
            format!("dcim/device-roles/{}", ground.role),
            format!("dcim/device-types/{}", ground.device_type),
        ] {
            let body = server.delete(&place, None).expect(409);
            assert!(says(&body["detail"], "Unable to delete object. 1 dependent"), "{body}");
        }
    });
}

#[test]
fn a_device_takes_its_interfaces_and_addresses_along() {
    everywhere(|server| {
        let (device, port) = Ground::of(server).port(server, "host");
        let on = json!({"assigned_object_type": "dcim.interface", "assigned_object_id": port});
        let mut address = on.clone();
        address["address"] = "10.9.0.1/24".into();
        address["vrf"] = vrf(server).into();
        let mut gone = vec![
            format!("dcim/interfaces/{port}"),
            format!("ipam/ip-addresses/{}", server.made("ipam/ip-addresses", address)),
        ];
        if server.since(2) {
            let mut mac = on;
            mac["mac_address"] = "02:00:5e:00:53:01".into();
            gone.push(format!("dcim/mac-addresses/{}", server.made("dcim/mac-addresses", mac)));
        }
        server.delete(&format!("dcim/devices/{device}"), None).expect(204);
        for place in gone {
            assert_eq!(server.get(&place).status, 404, "{place}");
        }
    });
}

#[test]
fn an_interface_takes_its_addresses_along_and_the_primary_is_emptied() {
    everywhere(|server| {
        let (device, port) = Ground::of(server).port(server, "host");
        let address = server.made(
            "ipam/ip-addresses",
            json!({
                "address": "10.9.0.1/24", "vrf": vrf(server),
                "assigned_object_type": "dcim.interface", "assigned_object_id": port,
            }),
        );
        let place = format!("dcim/devices/{device}");
        server.patch(&place, &json!({"primary_ip4": address})).expect(200);
        server.delete(&format!("dcim/interfaces/{port}"), None).expect(204);
        assert_eq!(server.get(&format!("ipam/ip-addresses/{address}")).status, 404);
        assert!(server.object("dcim/devices", device)["primary_ip4"].is_null());
    });
}

#[test]
fn a_deleted_primary_address_leaves_its_device_without_one() {
    everywhere(|server| {
        let (device, port) = Ground::of(server).port(server, "host");
        let address = server.made(
            "ipam/ip-addresses",
            json!({
                "address": "10.9.0.1/24", "vrf": vrf(server),
                "assigned_object_type": "dcim.interface", "assigned_object_id": port,
            }),
        );
        let place = format!("dcim/devices/{device}");
        server.patch(&place, &json!({"primary_ip4": address})).expect(200);
        server.delete(&format!("ipam/ip-addresses/{address}"), None).expect(204);
        assert!(server.object("dcim/devices", device)["primary_ip4"].is_null());
    });
}

#[test]
fn an_interface_with_children_goes_only_together_with_them() {
    everywhere(|server| {
        let (device, parent) = Ground::of(server).port(server, "host");
        let child =
            json!({"device": device, "name": "eth0.5", "type": "virtual", "parent": parent});
        let child = server.made("dcim/interfaces", child);
        server.delete(&format!("dcim/interfaces/{parent}"), None).expect(409);
        let both = json!([{"id": parent}, {"id": child}]);
        server.delete("dcim/interfaces", Some(&both)).expect(204);
    });
}

#[test]
fn members_of_a_lag_and_a_bridge_stay_without_them() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let of_type = |name: &str, kind: &str| {
            server.made("dcim/interfaces", json!({"device": device, "name": name, "type": kind}))
        };
        let (lag, bridge) = (of_type("bond0", "lag"), of_type("br0", "bridge"));
        let member = port(server, device, "eth0");
        let place = format!("dcim/interfaces/{member}");
        server.patch(&place, &json!({"lag": lag, "bridge": bridge})).expect(200);
        for gone in [lag, bridge] {
            server.delete(&format!("dcim/interfaces/{gone}"), None).expect(204);
        }
        let told = server.object("dcim/interfaces", member);
        assert!(told["lag"].is_null());
        assert!(told["bridge"].is_null());
    });
}

#[test]
fn a_cluster_with_machines_stays_and_one_with_devices_goes() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (full, hosts) =
            (cluster(server, Some(ground.site)), cluster(server, Some(ground.site)));
        let body = json!({"name": server.name("vm"), "cluster": full});
        let machine = server.made("virtualization/virtual-machines", body);
        let device = ground.made(server, "node");
        let place = format!("dcim/devices/{device}");
        server.patch(&place, &json!({"cluster": hosts})).expect(200);
        server.delete(&format!("virtualization/clusters/{full}"), None).expect(409);
        server.delete(&format!("virtualization/clusters/{hosts}"), None).expect(204);
        assert!(server.object("dcim/devices", device)["cluster"].is_null());

        let child = json!({"virtual_machine": machine, "name": "eth0"});
        let child = server.made("virtualization/interfaces", child);
        server.delete(&format!("virtualization/virtual-machines/{machine}"), None).expect(204);
        assert_eq!(server.get(&format!("virtualization/interfaces/{child}")).status, 404);
    });
}

#[test]
fn a_cable_goes_with_the_interface_at_its_end() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (_, one) = ground.port(server, "one");
        let (_, other) = ground.port(server, "other");
        let end = |port: u64| json!([{"object_type": "dcim.interface", "object_id": port}]);
        let cable = json!({"a_terminations": end(one), "b_terminations": end(other)});
        let cable = server.made("dcim/cables", cable);
        server.delete(&format!("dcim/interfaces/{one}"), None).expect(204);
        let told = server.object("dcim/interfaces", other);
        // The cable stays with one end until it is deleted itself.
        let left = server.get(&format!("dcim/cables/{cable}"));
        assert_eq!(told["cable"].is_null(), left.status == 404);
    });
}
