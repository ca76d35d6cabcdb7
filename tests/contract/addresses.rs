//! IP and MAC addresses: what is taken, what is unique, what a primary address
//! binds, and how an address moves.

use crate::server::{Ground, Server, everywhere, id, port, says, vrf};
use serde_json::{Value, json};

/// An address on an interface.
fn on(interface: u64, address: &str, vrf: u64) -> Value {
    json!({
        "address": address, "vrf": vrf,
        "assigned_object_type": "dcim.interface", "assigned_object_id": interface,
    })
}

fn assign(interface: u64) -> Value {
    json!({"assigned_object_type": "dcim.interface", "assigned_object_id": interface})
}

const NOBODY: &str =
    "Cannot reassign IP address while it is designated as the primary IP for the parent object";

#[test]
fn an_address_is_unique_in_its_vrf_whatever_its_mask() {
    everywhere(|server| {
        let vrf = vrf(server);
        server.make("ipam/ip-addresses", json!({"address": "10.9.0.1/24", "vrf": vrf}));
        let twin = json!({"address": "10.9.0.1/25", "vrf": vrf});
        let body = server.post("ipam/ip-addresses", &twin).expect(400);
        assert!(says(&body["address"], "Duplicate IP address found in"), "{body}");
    });
}

#[test]
fn an_address_may_stand_twice_where_its_vrf_or_its_role_says_so() {
    everywhere(|server| {
        let lax = json!({"name": server.name("lax"), "enforce_unique": false});
        let lax = server.made("ipam/vrfs", lax);
        let strict = vrf(server);
        for body in [
            json!({"address": "10.9.0.1/24", "vrf": lax}),
            json!({"address": "10.9.0.2/24", "vrf": strict, "role": "anycast"}),
        ] {
            server.make("ipam/ip-addresses", body.clone());
            server.make("ipam/ip-addresses", body);
        }
    });
}

#[test]
fn an_address_without_a_mask_is_a_host_and_letters_become_small() {
    everywhere(|server| {
        let vrf = vrf(server);
        for (given, kept) in [
            ("10.9.0.1", "10.9.0.1/32"),
            ("FE80::A/64", "fe80::a/64"),
            ("2001:DB8:0:0:0::1", "2001:db8::1/128"),
        ] {
            let made = server.make("ipam/ip-addresses", json!({"address": given, "vrf": vrf}));
            assert_eq!(made["address"], kept);
        }
    });
}

#[test]
fn what_is_no_address_is_refused_or_an_error_of_the_server_before_4_6_6() {
    everywhere(|server| {
        let answer = server.post("ipam/ip-addresses", &json!({"address": "10.9.0.300/24"}));
        if server.release >= (4, 6, 6) {
            assert!(answer.expect(400)["address"].is_array());
        } else {
            let body = answer.expect(500);
            assert_eq!(body["exception"], "KeyError");
        }
    });
}

#[test]
fn network_and_broadcast_addresses_do_not_go_on_an_interface() {
    everywhere(|server| {
        let (_, port) = Ground::of(server).port(server, "host");
        let vrf = vrf(server);
        for (address, told) in [
            ("10.9.0.0/24", "network ID"),
            ("10.9.0.255/24", "broadcast address"),
            ("2001:db8::/64", "network ID"),
        ] {
            let body = server.post("ipam/ip-addresses", &on(port, address, vrf)).expect(400);
            assert!(says(&body, told), "{body}");
        }
        for address in ["10.9.0.4/31", "10.9.0.8/32", "2001:db8::ffff:ffff:ffff:ffff/64"] {
            server.make("ipam/ip-addresses", on(port, address, vrf));
        }
    });
}

#[test]
fn an_address_goes_on_an_interface_that_stands() {
    everywhere(|server| {
        let vrf = vrf(server);
        let nowhere = on(2_000_000_000, "10.9.0.1/24", vrf);
        server.post("ipam/ip-addresses", &nowhere).expect(400);
        let half = json!({"address": "10.9.0.1/24", "vrf": vrf, "assigned_object_id": 1});
        server.post("ipam/ip-addresses", &half).expect(400);
    });
}

#[test]
fn dns_names_become_small_and_spaces_are_refused() {
    everywhere(|server| {
        let vrf = vrf(server);
        let named = |name: &str| json!({"address": "10.9.0.1/24", "vrf": vrf, "dns_name": name});
        let made = server.make("ipam/ip-addresses", named("A_b.Example.COM"));
        assert_eq!(made["dns_name"], "a_b.example.com");
        assert!(server.post("ipam/ip-addresses", &named("a b")).expect(400)["dns_name"].is_array());
    });
}

#[test]
fn a_primary_address_is_one_of_the_objects_own() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (one, eth) = ground.port(server, "one");
        let other = ground.made(server, "other");
        let vrf = vrf(server);
        let free = json!({"address": "10.9.0.1/24", "vrf": vrf});
        let free = server.made("ipam/ip-addresses", free);
        let device = format!("dcim/devices/{one}");
        let body = server.patch(&device, &json!({"primary_ip4": free})).expect(400);
        assert!(says(&body["primary_ip4"], "is not assigned to this device"), "{body}");

        server.patch(&format!("ipam/ip-addresses/{free}"), &assign(eth)).expect(200);
        let body = server.patch(&device, &json!({"primary_ip6": free})).expect(400);
        assert!(says(&body["primary_ip6"], "is not an IPv6 address"), "{body}");
        let body = server.patch(&device, &json!({"primary_ip4": free})).expect(200);
        assert_eq!(id(&body["primary_ip4"]), free);
        assert_eq!(id(&body["primary_ip"]), free);
        let theirs = format!("dcim/devices/{other}");
        server.patch(&theirs, &json!({"primary_ip4": free})).expect(400);
    });
}

#[test]
fn a_primary_address_moves_once_it_is_no_longer_primary() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (one, from) = ground.port(server, "one");
        let (other, to) = ground.port(server, "other");
        let address = server.made("ipam/ip-addresses", on(from, "10.9.0.1/24", vrf(server)));
        let place = format!("ipam/ip-addresses/{address}");
        let (one, other) = (format!("dcim/devices/{one}"), format!("dcim/devices/{other}"));
        server.patch(&one, &json!({"primary_ip4": address})).expect(200);

        assert!(says(&server.patch(&place, &assign(to)).expect(400), NOBODY));
        let off = json!({"assigned_object_type": null, "assigned_object_id": null});
        assert!(says(&server.patch(&place, &off).expect(400), NOBODY));

        server.patch(&one, &json!({"primary_ip4": null})).expect(200);
        server.patch(&place, &assign(to)).expect(200);
        let body = server.patch(&other, &json!({"primary_ip4": address})).expect(200);
        assert_eq!(id(&body["primary_ip4"]), address);
    });
}

#[test]
fn a_primary_address_moves_freely_within_its_device() {
    everywhere(|server| {
        let (device, from) = Ground::of(server).port(server, "host");
        let to = port(server, device, "eth1");
        let address = server.made("ipam/ip-addresses", on(from, "10.9.0.1/24", vrf(server)));
        server
            .patch(&format!("dcim/devices/{device}"), &json!({"primary_ip4": address}))
            .expect(200);
        let moved = server.patch(&format!("ipam/ip-addresses/{address}"), &assign(to)).expect(200);
        assert_eq!(moved["assigned_object_id"], to);
        assert_eq!(id(&server.object("dcim/devices", device)["primary_ip4"]), address);
    });
}

#[test]
fn primary_addresses_are_set_in_one_list_for_many_devices() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let vrf = vrf(server);
        let hosts: Vec<_> = (1..=3)
            .map(|number| {
                let (device, port) = ground.port(server, "host");
                let address = on(port, &format!("10.9.0.{number}/24"), vrf);
                json!({"id": device, "primary_ip4": server.made("ipam/ip-addresses", address)})
            })
            .collect();
        let set = server.patch("dcim/devices", &json!(hosts)).expect(200);
        for host in &hosts {
            let told = set.as_array().unwrap().iter().find(|each| id(each) == id(host)).unwrap();
            assert_eq!(told["primary_ip4"]["id"], host["primary_ip4"]);
        }
    });
}

fn mac(server: &Server, text: &str, interface: Option<u64>) -> u64 {
    let mut body = json!({"mac_address": text});
    if let Some(interface) = interface {
        body["assigned_object_type"] = "dcim.interface".into();
        body["assigned_object_id"] = interface.into();
    }
    server.made("dcim/mac-addresses", body)
}

#[test]
fn mac_addresses_are_objects_since_4_2_and_none_is_unique() {
    everywhere(|server| {
        if !server.since(2) {
            return assert_eq!(server.get("dcim/mac-addresses").status, 404);
        }
        let (_, port) = Ground::of(server).port(server, "host");
        for text in ["02:00:5e:00:53:01", "02-00-5E-00-53-01", "0200.5e00.5301"] {
            let made = mac(server, text, Some(port));
            let told = server.object("dcim/mac-addresses", made);
            assert_eq!(told["mac_address"], "02:00:5E:00:53:01");
        }
        let shown = server.ids(&format!("dcim/mac-addresses?interface_id={port}"));
        assert_eq!(shown.len(), 3);
        let body = server.post("dcim/mac-addresses", &json!({"mac_address": "zz"}));
        assert!(body.expect(400)["mac_address"].is_array());
    });
}

#[test]
fn a_primary_mac_address_shows_on_its_interface_and_does_not_move() {
    everywhere(|server| {
        if !server.since(2) {
            return;
        }
        let ground = Ground::of(server);
        let (_, from) = ground.port(server, "one");
        let (_, to) = ground.port(server, "other");
        let mac = mac(server, "02:00:5e:00:53:01", Some(from));
        let port = format!("dcim/interfaces/{from}");
        let shown = server.patch(&port, &json!({"primary_mac_address": mac})).expect(200);
        assert_eq!(shown["mac_address"], "02:00:5E:00:53:01");
        assert_eq!(id(&shown["primary_mac_address"]), mac);

        let place = format!("dcim/mac-addresses/{mac}");
        let body = server.patch(&place, &assign(to)).expect(400);
        assert!(says(
            &body,
            "Cannot reassign MAC Address while it is designated as the primary MAC"
        ));
        server.patch(&port, &json!({"primary_mac_address": null})).expect(200);
        server.patch(&place, &assign(to)).expect(200);
    });
}

/// 4.4.2 brought it; 4.7 refuses it for interfaces that stand.
#[test]
fn a_new_interface_takes_a_free_mac_address_as_its_primary_since_4_4() {
    everywhere(|server| {
        if !server.since(2) {
            return;
        }
        let ground = Ground::of(server);
        let device = ground.made(server, "taker");
        let free = mac(server, "02:00:5e:00:53:0a", None);
        let body = json!({
            "device": device, "name": "eth0", "type": "other", "primary_mac_address": free,
        });
        if !server.since(4) {
            let body = server.post("dcim/interfaces", &body).expect(400);
            assert!(says(&body, "is not assigned to this interface"), "{body}");
            return;
        }
        let made = server.make("dcim/interfaces", body);
        assert_eq!(id(&made["primary_mac_address"]), free);
        let told = server.object("dcim/mac-addresses", free);
        assert_eq!(told["assigned_object_type"], "dcim.interface");
        assert_eq!(told["assigned_object_id"], made["id"]);
        let log = format!(
            "core/object-changes?changed_object_type=dcim.macaddress&changed_object_id={free}"
        );
        assert_eq!(server.ids(&log).len(), 2, "it was made, and then assigned");
        let body = server.get(&format!("{log}&action=update")).expect(200);
        let told = &body["results"][0];
        assert_eq!(told["prechange_data"], json!({}), "nobody looked what stood");
        assert_eq!(told["postchange_data"]["assigned_object_id"], made["id"]);
        assert_eq!(told["message"], "");

        let other = json!({
            "device": device, "name": "eth1", "type": "other", "primary_mac_address": free,
        });
        let body = server.post("dcim/interfaces", &other).expect(400);
        assert!(says(&body, "is assigned to a different interface"), "{body}");
    });
}

#[test]
fn the_primary_mac_address_of_another_interface_is_refused() {
    everywhere(|server| {
        if !server.since(2) {
            return;
        }
        let ground = Ground::of(server);
        let (_, one) = ground.port(server, "one");
        let (_, other) = ground.port(server, "other");
        let mac = mac(server, "02:00:5e:00:53:01", Some(other));
        let port = format!("dcim/interfaces/{one}");
        server.patch(&port, &json!({"primary_mac_address": mac})).expect(400);
    });
}

#[test]
fn a_mac_address_is_written_on_the_interface_itself_in_4_0_and_since_4_7() {
    everywhere(|server| {
        let (_, port) = Ground::of(server).port(server, "host");
        let place = format!("dcim/interfaces/{port}");
        let body = json!({"mac_address": "02:00:5e:00:53:07"});
        server.patch(&place, &body).expect(200);
        let told = &server.object("dcim/interfaces", port)["mac_address"];
        if server.since(2) && !server.since(7) {
            assert!(told.is_null(), "the field is ignored: {told}");
        } else {
            assert_eq!(*told, "02:00:5E:00:53:07");
        }
    });
}
