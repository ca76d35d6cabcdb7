//! What lists are filtered by, and what becomes of filters that are wrong.

use crate::server::{Ground, Server, everywhere, id, port, vrf};
use serde_json::{Value, json};

fn sorted(mut ids: Vec<u64>) -> Vec<u64> {
    ids.sort_unstable();
    ids
}

/// The ids that a list shows, in order of id.
#[track_caller]
fn found(server: &Server, place: &str) -> Vec<u64> {
    sorted(server.ids(place))
}

#[test]
fn a_filter_takes_several_values_and_any_of_them_counts() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let stem = server.name("Host");
        let names = ["a", "b", "c"].map(|end| format!("{stem}-{end}"));
        let ids: Vec<u64> = names
            .iter()
            .map(|name| {
                let more = json!({"serial": format!("{name}-serial")});
                server.made("dcim/devices", ground.device(name, &more))
            })
            .collect();
        let [a, b, _] = &names;
        let devices = |query: String| found(server, &format!("dcim/devices?{query}"));
        assert_eq!(devices(format!("name={a}&name={b}")), ids[..2]);
        // The names of devices are compared without case by any filter, those of sites are not.
        assert_eq!(devices(format!("name={}", a.to_uppercase())), ids[..1]);
        let (a, b) = (a.to_uppercase(), b.to_lowercase());
        assert_eq!(devices(format!("name__ie={a}&name__ie={b}")), ids[..2]);
        assert_eq!(devices(format!("name__isw={}", stem.to_lowercase())), ids);
        assert_eq!(devices(format!("serial={}-serial", names[2])), ids[2..]);
        assert_eq!(devices(format!("id={}&id={}", ids[0], ids[2])), [ids[0], ids[2]]);
        assert_eq!(devices(format!("name__ic={stem}&id__gt={}", ids[0])), ids[1..]);
        assert_eq!(devices(format!("site_id={}", ground.site)), ids);
        assert_eq!(devices(format!("q={stem}")), ids);
    });
}

#[test]
fn an_unknown_filter_is_no_filter() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let ids = vec![ground.made(server, "one"), ground.made(server, "other")];
        for query in ["no_such_filter=1", "name__no_such_lookup=x", "cf_no_such_field=x"] {
            let place = format!("dcim/devices?site_id={}&{query}", ground.site);
            assert_eq!(found(server, &place), ids, "{query}");
        }
    });
}

#[test]
fn unknown_words_and_numbers_of_a_filter_are_refused() {
    everywhere(|server| {
        for (query, field) in [
            ("site=no-such-site", "site"),
            ("role=no-such-role", "role"),
            ("status=no-such-status", "status"),
            ("tag=no-such-tag", "tag"),
            ("site_id=2000000000", "site_id"),
            ("site_id=word", "site_id"),
            ("id=word", "id"),
            ("role_id=2000000000", "role_id"),
        ] {
            let body = server.get(&format!("dcim/devices?{query}")).expect(400);
            assert!(body[field].is_array(), "{query}: {body}");
        }
    });
}

#[test]
fn what_no_object_has_finds_nothing_where_the_filter_is_no_reference() {
    everywhere(|server| {
        for place in [
            "dcim/devices?name=no-such-device",
            "dcim/devices?id=2000000000",
            "dcim/devices?serial=no-such-serial",
            "dcim/interfaces?device=no-such-device",
            "ipam/ip-addresses?address=203.0.113.255/31",
            "ipam/ip-addresses?device_id=2000000000",
            "ipam/ip-addresses?assigned_object_id=2000000000",
            "dcim/interfaces?mac_address=no-mac-address",
        ] {
            let answer = server.get(place);
            let empty = answer.status == 200 && answer.body["results"] == json!([]);
            // Which of the two it is differs from filter to filter, but never the whole table.
            assert!(empty || answer.status == 400, "{place}: {} {}", answer.status, answer.body);
        }
    });
}

#[test]
fn interfaces_are_found_by_their_device_and_mac_address() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (one, eth) = ground.port(server, "one");
        let (other, _) = ground.port(server, "other");
        let second = port(server, other, "eth1");
        let found = |query: &str| found(server, &format!("dcim/interfaces?{query}"));
        assert_eq!(found(&format!("device_id={one}")), [eth]);
        assert_eq!(found(&format!("device_id={one}&device_id={other}")).len(), 3);
        assert_eq!(found(&format!("device_id={other}&name=eth1")), [second]);

        let mac = "02:00:5E:C0:FF:EE";
        if server.since(2) {
            let body = json!({
                "mac_address": mac,
                "assigned_object_type": "dcim.interface", "assigned_object_id": second,
            });
            let made = server.made("dcim/mac-addresses", body);
            for text in [mac, "02-00-5e-c0-ff-ee"] {
                let place = format!("dcim/mac-addresses?mac_address={text}&interface_id={second}");
                assert_eq!(server.ids(&place), [made]);
            }
        } else {
            let place = format!("dcim/interfaces/{second}");
            server.patch(&place, &json!({"mac_address": mac})).expect(200);
        }
        let query = format!("device_id={one}&device_id={other}&mac_address={}", mac.to_lowercase());
        assert_eq!(found(&query), [second]);
        let devices =
            server.ids(&format!("dcim/devices?mac_address={mac}&site_id={}", ground.site));
        assert_eq!(devices, [other]);
    });
}

#[test]
fn addresses_are_found_by_themselves_their_network_and_where_they_are() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (device, port) = ground.port(server, "host");
        let vrf = vrf(server);
        let on = json!({
            "address": "10.9.0.1/24", "vrf": vrf,
            "assigned_object_type": "dcim.interface", "assigned_object_id": port,
        });
        let on = server.made("ipam/ip-addresses", on);
        let body = json!({"address": "10.9.1.1/24", "vrf": vrf, "dns_name": "a.example"});
        let free = server.made("ipam/ip-addresses", body);
        let found = |query: &str| found(server, &format!("ipam/ip-addresses?vrf_id={vrf}&{query}"));
        assert_eq!(found("limit=9"), sorted(vec![on, free]));
        assert_eq!(found("address=10.9.0.1"), [on]);
        assert_eq!(found("address=10.9.0.1/24"), [on]);
        assert_eq!(found("address=10.9.0.1/25"), Vec::<u64>::new());
        assert_eq!(found("address=10.9.0.1&address=10.9.1.1"), sorted(vec![on, free]));
        assert_eq!(found("parent=10.9.0.0/24"), [on]);
        assert_eq!(found("parent=10.9.0.0/16"), sorted(vec![on, free]));
        assert_eq!(found(&format!("device_id={device}")), [on]);
        assert_eq!(found(&format!("interface_id={port}")), [on]);
        assert_eq!(found("dns_name=a.example"), [free]);
        assert_eq!(found("assigned_to_interface=true"), [on]);
        assert_eq!(found(&format!("assigned_object_id={port}&id={on}")), [on]);
        assert_eq!(found("family=6"), Vec::<u64>::new());
    });
}

#[test]
fn prefixes_are_found_by_themselves_and_by_what_they_hold() {
    everywhere(|server| {
        let vrf = vrf(server);
        let prefix = |text: &str| server.made("ipam/prefixes", json!({"prefix": text, "vrf": vrf}));
        let (wide, narrow) = (prefix("10.9.0.0/16"), prefix("10.9.1.0/24"));
        let found = |query: &str| found(server, &format!("ipam/prefixes?vrf_id={vrf}&{query}"));
        assert_eq!(found("prefix=10.9.1.0/24"), [narrow]);
        assert_eq!(found("contains=10.9.1.7"), sorted(vec![wide, narrow]));
        assert_eq!(found("contains=10.9.2.0/24"), [wide]);
        assert_eq!(found("within=10.9.0.0/16"), [narrow]);
        assert_eq!(found("within_include=10.9.0.0/16"), sorted(vec![wide, narrow]));
        assert_eq!(found("mask_length=24"), [narrow]);
    });
}

#[test]
fn ranges_are_found_by_their_first_address() {
    everywhere(|server| {
        let vrf = vrf(server);
        let body = json!({
            "start_address": "10.9.0.10/24", "end_address": "10.9.0.20/24", "vrf": vrf,
        });
        let range = server.made("ipam/ip-ranges", body);
        let found = |query: &str| found(server, &format!("ipam/ip-ranges?vrf_id={vrf}&{query}"));
        assert_eq!(found("start_address=10.9.0.10"), [range]);
        assert_eq!(found("start_address=10.9.0.11&start_address=10.9.0.10/24"), [range]);
        assert_eq!(found("start_address=10.9.0.10/25"), Vec::<u64>::new());
    });
}

#[test]
fn vlans_are_found_by_number_group_and_site() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("group");
        let group = server.made("ipam/vlan-groups", json!({"name": name, "slug": name}));
        let grouped = json!({"vid": 10, "name": name, "group": group});
        let grouped = server.made("ipam/vlans", grouped);
        let sited = json!({"vid": 10, "name": name, "site": ground.site});
        let sited = server.made("ipam/vlans", sited);
        let found = |query: String| found(server, &format!("ipam/vlans?{query}"));
        assert_eq!(found(format!("vid=10&name={name}")), sorted(vec![grouped, sited]));
        assert_eq!(found(format!("vid=10&group_id={group}")), [grouped]);
        assert_eq!(found(format!("site_id={}", ground.site)), [sited]);
        assert_eq!(found(format!("name={name}&group_id=null")), [sited]);
    });
}

#[test]
fn machines_and_what_is_theirs_are_found() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let cluster = crate::devices::cluster(server, Some(ground.site));
        let name = server.name("vm");
        let body = json!({"name": name, "cluster": cluster});
        let machine = server.made("virtualization/virtual-machines", body);
        let child = |place: &str, more: Value| {
            let mut body = json!({"virtual_machine": machine, "name": "one"});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            server.made(place, body)
        };
        let port = child("virtualization/interfaces", json!({}));
        let disk = child("virtualization/virtual-disks", json!({"size": 1}));
        for (place, one) in [
            (format!("virtualization/virtual-machines?cluster_id={cluster}"), machine),
            (format!("virtualization/virtual-machines?name__ie={}", name.to_uppercase()), machine),
            (format!("virtualization/virtual-machines?site_id={}", ground.site), machine),
            (format!("virtualization/interfaces?virtual_machine_id={machine}"), port),
            (format!("virtualization/virtual-disks?virtual_machine_id={machine}"), disk),
        ] {
            assert_eq!(server.ids(&place), [one], "{place}");
        }
    });
}

#[test]
fn a_tag_filter_wants_all_the_tags_that_it_names() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let names = [server.name("one"), server.name("other")];
        let tags: Vec<u64> = names
            .iter()
            .map(|name| server.made("extras/tags", json!({"name": name, "slug": name})))
            .collect();
        let device = |tags: &[u64]| {
            let more = json!({"tags": tags});
            server.made("dcim/devices", ground.device(&server.name("host"), &more))
        };
        let (one, both) = (device(&tags[..1]), device(&tags));
        let [a, b] = &names;
        assert_eq!(found(server, &format!("dcim/devices?tag={a}")), sorted(vec![one, both]));
        assert_eq!(found(server, &format!("dcim/devices?tag={a}&tag={b}")), [both]);
    });
}

#[test]
fn objects_are_found_by_the_request_that_changed_them() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let (one, other) = (ground.made(server, "one"), ground.made(server, "other"));
        let body = json!([{"id": one, "serial": "S1"}, {"id": other, "serial": "S2"}]);
        let answer = server.patch("dcim/devices", &body);
        let request = answer.header("X-Request-ID").to_owned();
        answer.expect(200);
        let place = format!("dcim/devices?updated_by_request={request}");
        assert_eq!(found(server, &place), [one, other]);
        let place = format!("dcim/devices?created_by_request={request}");
        assert_eq!(found(server, &place), Vec::<u64>::new());
        let page = server.get(&format!("{}?request_id={request}", server.changes())).expect(200);
        assert_eq!(page["count"], 2);
        assert!(page["results"].as_array().unwrap().iter().all(|entry| id(entry) > 0));
    });
}
