//! Interfaces of devices: names, LAGs, bridges, parents, VLANs, cables.

use crate::server::{Ground, Server, everywhere, id, port, says};
use serde_json::{Value, json};

/// An interface of a type, as it is written.
fn of_type(device: u64, name: &str, kind: &str) -> Value {
    json!({"device": device, "name": name, "type": kind})
}

#[test]
fn an_interface_name_is_unique_on_its_device_letter_by_letter() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        port(server, device, "eth0");
        port(server, device, "ETH0");
        let twin = of_type(device, "eth0", "virtual");
        let body = server.post("dcim/interfaces", &twin).expect(400);
        let told = if server.since(2) {
            "Interface with this Device and Name already exists."
        } else {
            "The fields device, name must make a unique set."
        };
        assert!(says(&body, told), "{body}");
    });
}

#[test]
fn an_unknown_type_or_mode_is_refused() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let body = server.post("dcim/interfaces", &of_type(device, "eth0", "no such type"));
        assert!(body.expect(400)["type"].is_array());
        let mut odd = of_type(device, "eth0", "virtual");
        odd["mode"] = "trunk".into();
        assert!(server.post("dcim/interfaces", &odd).expect(400)["mode"].is_array());
    });
}

#[test]
fn a_lag_a_bridge_and_a_parent_are_interfaces_of_the_same_device() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (one, other) = (ground.made(server, "one"), ground.made(server, "other"));
        let lag = server.made("dcim/interfaces", of_type(one, "bond0", "lag"));
        let bridge = server.made("dcim/interfaces", of_type(one, "br0", "bridge"));
        for (field, kind, target) in [
            ("lag", "1000base-t", lag),
            ("bridge", "1000base-t", bridge),
            ("parent", "virtual", lag),
        ] {
            let body = |device: u64| {
                let mut body = of_type(device, field, kind);
                body[field] = target.into();
                body
            };
            let answer = server.post("dcim/interfaces", &body(other));
            assert!(answer.expect(400)[field].is_array());
            let made = server.make("dcim/interfaces", body(one));
            assert_eq!(id(&made[field]), target);
        }
    });
}

#[test]
fn a_virtual_interface_has_no_lag_and_only_a_virtual_one_has_a_parent() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let lag = server.made("dcim/interfaces", of_type(device, "bond0", "lag"));
        for (field, kind) in [("lag", "virtual"), ("parent", "1000base-t")] {
            let mut body = of_type(device, "eth0", kind);
            body[field] = lag.into();
            server.post("dcim/interfaces", &body).expect(400);
        }
    });
}

/// A VLAN at a site, or at none.
fn vlan(server: &Server, vid: u16, site: Option<u64>) -> u64 {
    let body = json!({"vid": vid, "name": server.name("vlan"), "site": site});
    server.made("ipam/vlans", body)
}

#[test]
fn vlans_of_an_interface_are_of_its_site_or_none_and_need_a_mode_since_4_2() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (_, port) = ground.port(server, "host");
        let place = format!("dcim/interfaces/{port}");
        let slug = server.name("elsewhere");
        let elsewhere = server.made("dcim/sites", json!({"name": slug, "slug": slug}));
        let (near, far, free) = (
            vlan(server, 10, Some(ground.site)),
            vlan(server, 11, Some(elsewhere)),
            vlan(server, 12, None),
        );
        let bare = server.patch(&place, &json!({"tagged_vlans": [near]}));
        assert_eq!(bare.status, if server.since(2) { 400 } else { 200 });
        let body = json!({"mode": "tagged", "untagged_vlan": free, "tagged_vlans": [near]});
        let body = server.patch(&place, &body).expect(200);
        assert_eq!(id(&body["untagged_vlan"]), free);
        assert_eq!(id(&body["tagged_vlans"][0]), near);
        server.patch(&place, &json!({"untagged_vlan": far})).expect(400);
        server.patch(&place, &json!({"tagged_vlans": [far]})).expect(400);
        server.patch(&place, &json!({"tagged_vlans": [2_000_000_000]})).expect(400);
        let body = server.patch(&place, &json!({"tagged_vlans": []})).expect(200);
        assert_eq!(body["tagged_vlans"], json!([]));
    });
}

#[test]
fn a_cable_takes_both_of_its_ends() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (_, one) = ground.port(server, "one");
        let (device, other) = ground.port(server, "other");
        let third = port(server, device, "eth1");
        let end = |port: u64| json!([{"object_type": "dcim.interface", "object_id": port}]);
        let cable = |a: u64, b: u64| json!({"a_terminations": end(a), "b_terminations": end(b)});
        let made = server.made("dcim/cables", cable(one, other));
        let told = server.object("dcim/interfaces", one);
        assert_eq!(id(&told["cable"]), made);
        assert_eq!(id(&told["connected_endpoints"][0]), other);
        server.post("dcim/cables", &cable(one, third)).expect(400);

        let bond = server.made("dcim/interfaces", of_type(device, "bond0", "virtual"));
        server.post("dcim/cables", &cable(bond, third)).expect(400);
        server.delete(&format!("dcim/cables/{made}"), None).expect(204);
        assert!(server.object("dcim/interfaces", one)["cable"].is_null());
    });
}

#[test]
fn numbers_of_an_interface_stay_within_their_bounds() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        for (field, good, bad) in [("mtu", 9000, 70000), ("speed", 1_000_000, -1)] {
            let body = |value: i64| {
                let mut body = of_type(device, field, "1000base-t");
                body[field] = value.into();
                body
            };
            assert!(server.post("dcim/interfaces", &body(bad)).expect(400)[field].is_array());
            assert_eq!(server.make("dcim/interfaces", body(good))[field], good);
        }
    });
}

#[test]
fn inventory_items_of_a_device_need_no_unique_name_unless_they_have_a_parent() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let item = |parent: Option<u64>| json!({"device": device, "name": "CPU", "parent": parent});
        let top = server.made("dcim/inventory-items", item(None));
        server.make("dcim/inventory-items", item(None));
        server.make("dcim/inventory-items", item(Some(top)));
        server.post("dcim/inventory-items", &item(Some(top))).expect(400);
    });
}
