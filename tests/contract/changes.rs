//! The change log, ETags and what a change that changes nothing does.

use crate::server::{Ground, Server, everywhere};
use serde_json::{Value, json};

/// The id of a device that is made, and its place.
fn device(server: &Server) -> (u64, String) {
    let device = Ground::of(server).made(server, "host");
    (device, format!("dcim/devices/{device}"))
}

#[test]
fn the_change_log_tells_what_was_before_and_after() {
    everywhere(|server| {
        let (device, place) = device(server);
        let answer = server.patch(&place, &json!({"serial": "S1", "status": "offline"}));
        let request = answer.header("X-Request-ID").to_owned();
        answer.expect(200);
        let log = server.changes_of("dcim.device", device);
        let actions: Vec<_> = log.iter().map(|entry| &entry["action"]["value"]).collect();
        assert_eq!(actions, ["create", "update"]);
        assert_eq!(log[0]["prechange_data"], json!({}));
        let entry = &log[1];
        assert_eq!(entry["request_id"], request);
        assert_eq!(entry["prechange_data"]["serial"], "");
        assert_eq!(entry["postchange_data"]["serial"], "S1");
        assert_eq!(entry["prechange_data"]["status"], "active");
        assert_eq!(entry["postchange_data"]["status"], "offline");
        assert!(entry["user_name"].is_string());
        assert!(!entry["user"].is_null());
    });
}

#[test]
fn the_change_log_keeps_references_as_numbers_and_tags_as_names() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let tag = server.name("tag");
        server.make("extras/tags", json!({"name": tag, "slug": tag}));
        let more = json!({"tags": [{"slug": tag}]});
        let device = server.made("dcim/devices", ground.device(&server.name("host"), &more));
        let log = server.changes_of("dcim.device", device);
        let after = &log[log.len() - 1]["postchange_data"];
        assert_eq!(after["site"], ground.site);
        assert_eq!(after["tags"], json!([tag]));
        assert!(after["custom_fields"].is_object());
    });
}

#[test]
fn a_deletion_is_told_with_what_was_there() {
    everywhere(|server| {
        let (device, place) = device(server);
        server.delete(&place, None).expect(204);
        let log = server.changes_of("dcim.device", device);
        let last = log.last().unwrap();
        assert_eq!(last["action"]["value"], "delete");
        assert!(last["prechange_data"]["name"].is_string());
        assert_eq!(last["postchange_data"], json!({}));
    });
}

#[test]
fn a_change_that_changes_nothing_is_not_told_but_stamped() {
    everywhere(|server| {
        let (device, place) = device(server);
        let before = server.object("dcim/devices", device)["last_updated"].clone();
        let told = server.patch(&place, &json!({"status": "active"})).expect(200);
        assert_ne!(told["last_updated"], before);
        assert_eq!(server.changes_of("dcim.device", device).len(), 1);
    });
}

#[test]
fn a_message_goes_into_the_change_log_since_4_4() {
    everywhere(|server| {
        let (device, place) = device(server);
        let message = server.name("run-7");
        let body = json!([{"id": device, "serial": "S1", "changelog_message": message}]);
        server.patch("dcim/devices", &body).expect(200);
        let log = server.changes_of("dcim.device", device);
        let entry = log.last().unwrap();
        if !server.since(4) {
            return assert!(entry["message"].is_null());
        }
        assert_eq!(entry["message"], message);
        let found = server.ids(&format!("{}?q={message}", server.changes()));
        assert_eq!(found, [entry["id"].as_u64().unwrap()]);
        server.delete(&place, Some(&json!({"changelog_message": message}))).expect(204);
        let log = server.changes_of("dcim.device", device);
        assert_eq!(log.last().unwrap()["message"], message);
    });
}

#[test]
fn a_message_of_more_than_200_characters_is_an_error_of_the_server_since_4_4() {
    everywhere(|server| {
        let (device, place) = device(server);
        let body = |length: usize, serial: &str| json!({"serial": serial, "changelog_message": "x".repeat(length)});
        server.patch(&place, &body(200, "S1")).expect(200);
        let answer = server.patch(&place, &body(201, "S2"));
        assert_eq!(answer.status, if server.since(4) { 500 } else { 200 });
        let serial = &server.object("dcim/devices", device)["serial"];
        assert_eq!(serial, if server.since(4) { "S1" } else { "S2" });
    });
}

#[test]
fn an_etag_guards_a_change_since_4_6() {
    everywhere(|server| {
        let (device, place) = device(server);
        let answer = server.get(&place);
        let etag = answer.header("ETag").to_owned();
        if !server.since(6) {
            return assert_eq!(etag, "");
        }
        // It follows from what lists answer too.
        let stamp = answer.body["last_updated"].as_str().unwrap().replace('Z', "+00:00");
        assert_eq!(etag, format!("W/\"{stamp}\""));

        let change = |serial: &str, etag: &str| {
            let body = json!({"serial": serial});
            server.ask("PATCH", &place, Some(&body), &[("If-Match", etag)])
        };
        let changed = change("S1", &etag);
        let newer = changed.header("ETag").to_owned();
        changed.expect(200);
        let refused = change("S2", &etag);
        assert_eq!(refused.header("ETag"), newer);
        refused.expect(412);
        assert_eq!(server.object("dcim/devices", device)["serial"], "S1");
        change("S3", &newer).expect(200);
        let gone = server.ask("DELETE", &place, None, &[("If-Match", &etag)]);
        gone.expect(412);
    });
}

#[test]
fn a_list_of_etags_guards_a_list_of_changes_since_4_6() {
    everywhere(|server| {
        if !server.since(6) {
            return;
        }
        let ground = Ground::of(server);
        let devices = [ground.made(server, "one"), ground.made(server, "other")];
        let etags = || {
            let each = devices.map(|device| {
                server.get(&format!("dcim/devices/{device}")).header("ETag").to_owned()
            });
            each.join(", ")
        };
        let change = |serial: &str, etags: &str| {
            let body: Vec<Value> =
                devices.iter().map(|id| json!({"id": id, "serial": serial})).collect();
            server.ask("PATCH", "dcim/devices", Some(&json!(body)), &[("If-Match", etags)])
        };
        let known = etags();
        change("S1", &known).expect(200);
        change("S2", &known).expect(412);
        for device in devices {
            assert_eq!(server.object("dcim/devices", device)["serial"], "S1");
        }
    });
}

#[test]
fn the_change_log_is_asked_by_kind_object_action_and_time() {
    everywhere(|server| {
        let (device, place) = device(server);
        server.patch(&place, &json!({"serial": "S1"})).expect(200);
        let of = format!("changed_object_type=dcim.device&changed_object_id={device}");
        let ids = |query: &str| server.ids(&format!("{}?{of}&{query}", server.changes()));
        assert_eq!(ids("limit=9").len(), 2);
        assert_eq!(ids("action=create").len(), 1);
        assert_eq!(ids("time_after=2099-01-01T00:00:00Z"), Vec::<u64>::new());
        assert_eq!(ids("time_before=2099-01-01T00:00:00Z").len(), 2);
        let oldest_first = ids("ordering=id");
        let mut newest_first = ids("ordering=-id");
        newest_first.reverse();
        assert_eq!(oldest_first, newest_first);
    });
}
