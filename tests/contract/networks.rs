//! Prefixes, ranges, VLANs and their groups: what is unique, and where they are.

use crate::server::{Ground, everywhere, id, says, vrf};
use serde_json::json;

#[test]
fn a_prefix_is_unique_in_its_vrf_and_has_no_host_bits() {
    everywhere(|server| {
        let vrf = vrf(server);
        let body = |prefix: &str| json!({"prefix": prefix, "vrf": vrf});
        let odd = server.post("ipam/prefixes", &body("10.9.0.5/24")).expect(400);
        assert!(says(&odd["prefix"], "Did you mean 10.9.0.0/24?"), "{odd}");
        server.make("ipam/prefixes", body("10.9.0.0/24"));
        let twin = server.post("ipam/prefixes", &body("10.9.0.0/24")).expect(400);
        assert!(twin["prefix"].is_array());
        server.make("ipam/prefixes", body("10.9.0.0/25"));
    });
}

#[test]
fn a_prefix_is_at_a_site_in_the_words_of_the_version_and_the_other_words_are_ignored() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let vrf = vrf(server);
        let old = json!({"prefix": "10.9.0.0/24", "vrf": vrf, "site": ground.site});
        let old = server.make("ipam/prefixes", old);
        let new = json!({
            "prefix": "10.9.1.0/24", "vrf": vrf,
            "scope_type": "dcim.site", "scope_id": ground.site,
        });
        let new = server.make("ipam/prefixes", new);
        if server.since(2) {
            assert!(old.get("site").is_none());
            assert!(old["scope_id"].is_null());
            assert_eq!(new["scope_id"], ground.site);
            assert_eq!(id(&new["scope"]), ground.site);
        } else {
            assert_eq!(id(&old["site"]), ground.site);
            assert!(new["site"].is_null());
        }
    });
}

#[test]
fn a_scope_is_named_by_kind_and_number_together() {
    everywhere(|server| {
        if !server.since(2) {
            return;
        }
        let vrf = vrf(server);
        for more in [
            json!({"scope_type": "dcim.site"}),
            json!({"scope_type": "dcim.site", "scope_id": 2_000_000_000}),
            json!({"scope_type": "dcim.device", "scope_id": 1}),
        ] {
            let mut body = json!({"prefix": "10.9.0.0/24", "vrf": vrf});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            server.post("ipam/prefixes", &body).expect(400);
        }
    });
}

#[test]
fn ranges_do_not_overlap_and_go_upwards() {
    everywhere(|server| {
        let vrf = vrf(server);
        let range = |start: &str, end: &str| json!({"start_address": start, "end_address": end, "vrf": vrf});
        let made = server.make("ipam/ip-ranges", range("10.9.0.10/24", "10.9.0.20/24"));
        assert_eq!(made["size"], 11);
        server.post("ipam/ip-ranges", &range("10.9.0.15/24", "10.9.0.30/24")).expect(400);
        server.post("ipam/ip-ranges", &range("10.9.0.50/24", "10.9.0.40/24")).expect(400);
    });
}

#[test]
fn vlan_numbers_and_names_are_unique_only_within_a_group() {
    everywhere(|server| {
        let name = server.name("vlans");
        let group = server.made("ipam/vlan-groups", json!({"name": name, "slug": name}));
        let vlan = |vid: u16, name: &str| json!({"vid": vid, "name": name, "group": group});
        server.make("ipam/vlans", vlan(10, "ten"));
        server.post("ipam/vlans", &vlan(10, "other")).expect(400);
        server.post("ipam/vlans", &vlan(11, "ten")).expect(400);
        let free = json!({"vid": 10, "name": server.name("ten")});
        server.make("ipam/vlans", free.clone());
        server.make("ipam/vlans", free);
        for vid in [0, 4095] {
            let body = json!({"vid": vid, "name": name});
            assert!(server.post("ipam/vlans", &body).expect(400)["vid"].is_array());
        }
    });
}

#[test]
fn a_vlan_stays_within_the_numbers_of_its_group() {
    everywhere(|server| {
        let name = server.name("narrow");
        let mut group = json!({"name": name, "slug": name});
        if server.since(1) {
            group["vid_ranges"] = json!([[10, 20]]);
        } else {
            group["min_vid"] = 10.into();
            group["max_vid"] = 20.into();
        }
        let group = server.made("ipam/vlan-groups", group);
        let vlan = |vid: u16| json!({"vid": vid, "name": server.name("vlan"), "group": group});
        server.post("ipam/vlans", &vlan(30)).expect(400);
        server.make("ipam/vlans", vlan(20));
    });
}

#[test]
fn names_and_slugs_of_what_has_them_are_unique() {
    everywhere(|server| {
        for place in [
            "dcim/sites",
            "dcim/manufacturers",
            "dcim/device-roles",
            "virtualization/cluster-types",
            "extras/tags",
        ] {
            let (name, other) = (server.name("one"), server.name("other"));
            server.make(place, json!({"name": name, "slug": name}));
            for twin in [json!({"name": name, "slug": other}), json!({"name": other, "slug": name})]
            {
                server.post(place, &twin).expect(400);
            }
        }
    });
}

#[test]
fn location_names_are_unique_within_their_site() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let slug = server.name("other");
        let other = server.made("dcim/sites", json!({"name": slug, "slug": slug}));
        let at = |site: u64| json!({"name": "Hall", "slug": "hall", "site": site});
        server.make("dcim/locations", at(ground.site));
        server.make("dcim/locations", at(other));
        server.post("dcim/locations", &at(ground.site)).expect(400);
    });
}
