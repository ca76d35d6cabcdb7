//! Lists written in one request: all of it or nothing, and how the errors are told.

use crate::server::{Ground, Server, everywhere, id, says, vrf};
use serde_json::{Value, json};

/// The errors of the object at a place of a list, where the answer tells which one it was.
fn errors_at<'a>(server: &Server, body: &'a Value, at: usize) -> &'a Value {
    if server.since(7) {
        let errors = body["errors"].as_array().unwrap();
        let found = errors.iter().find(|error| error["index"] == at);
        &found.unwrap_or_else(|| panic!("no errors at {at}: {body}"))["errors"]
    } else {
        &body[at]
    }
}

#[test]
fn one_bad_object_keeps_a_whole_list_from_being_made() {
    everywhere(|server| {
        let (good, bad) = (server.name("good"), server.name("bad"));
        let list = json!([
            {"name": good, "slug": good},
            {"name": bad, "slug": "not a slug"},
        ]);
        server.post("dcim/sites", &list).expect(400);
        assert_eq!(server.ids(&format!("dcim/sites?name={good}")), Vec::<u64>::new());
    });
}

#[test]
fn the_errors_of_a_list_of_new_objects_stand_at_their_places() {
    everywhere(|server| {
        let name = server.name("site");
        let list = json!([
            {"name": name, "slug": name},
            {"name": server.name("bad"), "slug": "not a slug"},
            {"name": server.name("worse")},
        ]);
        let body = server.post("dcim/sites", &list).expect(400);
        assert!(errors_at(server, &body, 1)["slug"].is_array(), "{body}");
        assert!(errors_at(server, &body, 2)["slug"].is_array(), "{body}");
        if server.since(7) {
            assert_eq!(body["detail"], "2 of 3 objects could not be created.");
            assert_eq!(body["errors"].as_array().unwrap().len(), 2);
        } else {
            assert_eq!(body[0], json!({}));
        }
    });
}

#[test]
fn of_a_list_of_new_devices_only_the_first_error_is_told_before_4_7() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let list = json!([
            ground.device(&server.name("a"), &Value::Null),
            ground.device(&server.name("b"), &json!({"role": 2_000_000_000})),
            ground.device(&server.name("c"), &json!({"status": "no such status"})),
        ]);
        let body = server.post("dcim/devices", &list).expect(400);
        if server.since(7) {
            assert!(errors_at(server, &body, 1)["role"].is_array(), "{body}");
            assert!(errors_at(server, &body, 2)["status"].is_array(), "{body}");
        } else {
            assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["role"]);
        }
        assert!(server.ids(&format!("dcim/devices?site_id={}", ground.site)).is_empty());
    });
}

#[test]
fn a_list_of_changes_tells_only_the_first_error_before_4_7_and_changes_nothing() {
    everywhere(|server| {
        let ground = Ground::of(server);
        // Changes are made in the order of the names.
        let stem = server.name("order");
        let ids = ["a", "b", "c"].map(|end| {
            server.made("dcim/devices", ground.device(&format!("{stem}-{end}"), &Value::Null))
        });
        let list = json!([
            {"id": ids[0], "serial": "new"},
            {"id": ids[1], "status": "no such status"},
            {"id": ids[2], "role": 2_000_000_000},
        ]);
        let body = server.patch("dcim/devices", &list).expect(400);
        if server.since(7) {
            let wrong: Vec<_> = body["errors"].as_array().unwrap().iter().map(id).collect();
            assert_eq!(wrong, ids[1..]);
            assert_eq!(body["detail"], "2 of 3 objects could not be updated.");
        } else {
            assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["status"]);
        }
        assert_eq!(server.object("dcim/devices", ids[0])["serial"], "");
    });
}

#[test]
fn a_list_of_deletions_deletes_nothing_where_one_is_needed_by_others() {
    everywhere(|server| {
        let ground = Ground::of(server);
        ground.made(server, "needs-its-role");
        let name = server.name("free");
        let free = server.made("dcim/device-roles", json!({"name": name, "slug": name}));
        let list = json!([{"id": free}, {"id": ground.role}]);
        let body = server.delete("dcim/device-roles", Some(&list)).expect(409);
        if server.since(7) {
            assert_eq!(id(&body["errors"][0]), ground.role);
        } else {
            assert!(says(&body, "Unable to delete object. 1 dependent objects were found"));
        }
        server.object("dcim/device-roles", free);
    });
}

#[test]
fn unknown_ids_are_skipped_in_silence_before_4_7() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device = ground.made(server, "there");
        let nobody = 2_000_000_000;
        let list = json!([{"id": device, "serial": "S1"}, {"id": nobody, "serial": "S2"}]);
        let changed = server.patch("dcim/devices", &list);
        let gone = server.delete("dcim/devices", Some(&json!([{"id": device}, {"id": nobody}])));
        if server.since(7) {
            let body = changed.expect(400);
            assert_eq!(id(&body["errors"][0]), nobody);
            assert_eq!(id(&gone.expect(400)["errors"][0]), nobody);
            assert_eq!(server.object("dcim/devices", device)["serial"], "");
        } else {
            let body = changed.expect(200);
            assert_eq!(body.as_array().unwrap().len(), 1);
            assert_eq!(body[0]["serial"], "S1");
            gone.expect(204);
            assert_eq!(server.get(&format!("dcim/devices/{device}")).status, 404);
        }
    });
}

#[test]
fn of_a_repeated_id_the_last_entry_counts_before_4_7() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device = ground.made(server, "twice");
        let list = json!([{"id": device, "serial": "first"}, {"id": device, "serial": "last"}]);
        let answer = server.patch("dcim/devices", &list);
        if server.since(7) {
            assert_eq!(id(&answer.expect(400)["errors"][0]), device);
        } else {
            assert_eq!(answer.expect(200).as_array().unwrap().len(), 1);
            assert_eq!(server.object("dcim/devices", device)["serial"], "last");
        }
    });
}

#[test]
fn new_objects_are_answered_as_they_were_asked_changed_ones_in_their_kinds_order() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let stem = server.name("order");
        let names = ["c", "a", "b"].map(|end| format!("{stem}-{end}"));
        let list: Vec<_> = names.iter().map(|name| ground.device(name, &Value::Null)).collect();
        let made = server.post("dcim/devices", &json!(list)).expect(201);
        let told: Vec<_> = made.as_array().unwrap().iter().map(|each| &each["name"]).collect();
        assert_eq!(told, names.iter().collect::<Vec<_>>());

        let changes: Vec<_> =
            made.as_array().unwrap().iter().map(|each| json!({"id": id(each)})).collect();
        let changed = server.patch("dcim/devices", &json!(changes)).expect(200);
        let told: Vec<_> = changed.as_array().unwrap().iter().map(|each| &each["name"]).collect();
        assert_eq!(told, [&names[1], &names[2], &names[0]]);
    });
}

#[test]
fn the_same_address_twice_in_one_list_is_made_twice_before_4_7() {
    everywhere(|server| {
        let vrf = vrf(server);
        let twin = json!({"address": "10.20.30.1/24", "vrf": vrf});
        let answer = server.post("ipam/ip-addresses", &json!([twin, twin]));
        let stand = server.ids(&format!("ipam/ip-addresses?vrf_id={vrf}")).len();
        if server.since(7) {
            let body = answer.expect(400);
            assert!(errors_at(server, &body, 1)["address"].is_array(), "{body}");
            assert_eq!(stand, 0);
        } else {
            answer.expect(201);
            assert_eq!(stand, 2);
        }
    });
}

#[test]
fn the_same_name_twice_in_one_list_is_told_by_the_database_before_4_7() {
    everywhere(|server| {
        let name = server.name("twin");
        let twin = json!({"name": name, "slug": name});
        let answer = server.post("extras/tags", &json!([twin, twin]));
        if server.since(7) {
            let body = answer.expect(400);
            assert!(errors_at(server, &body, 1)["name"].is_array(), "{body}");
        } else {
            let body = answer.expect(500);
            assert_eq!(body["exception"], "IntegrityError");
            assert!(says(&body["error"], "duplicate key value violates unique constraint"));
            assert!(body["netbox_version"].is_string());
        }
        assert!(server.ids(&format!("extras/tags?name={name}")).is_empty());
    });
}

#[test]
fn the_same_device_twice_in_one_list_is_told_like_any_other_duplicate() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let twin = ground.device(&server.name("twin"), &Value::Null);
        let body = server.post("dcim/devices", &json!([twin, twin])).expect(400);
        assert!(says(&body, "Device name must be unique per site"), "{body}");
        assert!(server.ids(&format!("dcim/devices?site_id={}", ground.site)).is_empty());
    });
}

#[test]
fn an_empty_list_of_new_devices_is_an_error_of_the_server_before_4_7() {
    everywhere(|server| {
        let answer = server.post("dcim/devices", &json!([]));
        assert_eq!(answer.status, if server.since(7) { 201 } else { 500 });
        assert_eq!(server.post("dcim/sites", &json!([])).expect(201), json!([]));
        assert_eq!(server.patch("dcim/sites", &json!([])).expect(200), json!([]));
        server.delete("dcim/sites", Some(&json!([]))).expect(204);
    });
}

#[test]
fn a_list_of_changes_names_its_objects_by_number() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device = ground.made(server, "named");
        let body = server.patch("dcim/devices", &json!([{"serial": "S"}])).expect(400);
        assert!(says(&body, "This field is required."), "{body}");
        server.patch("dcim/devices", &json!({"id": device, "serial": "S"})).expect(400);
        let text = json!([{"id": device.to_string(), "serial": "S"}]);
        assert_eq!(
            server.patch("dcim/devices", &text).status,
            if server.since(7) { 200 } else { 400 }
        );
    });
}
