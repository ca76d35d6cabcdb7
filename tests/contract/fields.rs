//! What is read and written of an object: `fields=`, unknown fields, choices, partial changes.

use crate::server::{Ground, everywhere, id};
use serde_json::{Value, json};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn only_the_fields_that_are_asked_for_are_answered() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let place = format!("dcim/devices?id={device}&fields=id,name,no_such_field");
        let page = server.get(&place).expect(200);
        assert_eq!(keys(&page["results"][0]), ["id", "name"]);
        let one = server.get(&format!("dcim/devices/{device}?fields=serial")).expect(200);
        assert_eq!(keys(&one), ["serial"]);
    });
}

#[test]
fn fields_of_a_change_say_what_may_be_written_too() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let body = json!([{"id": device, "serial": "S1", "asset_tag": null}]);
        let told = server.patch("dcim/devices?fields=id,name", &body).expect(200);
        assert_eq!(keys(&told[0]), ["id", "name"]);
        assert_eq!(server.object("dcim/devices", device)["serial"], "");
        server.patch("dcim/devices?fields=id,serial", &body).expect(200);
        assert_eq!(server.object("dcim/devices", device)["serial"], "S1");
    });
}

#[test]
fn new_objects_need_all_their_written_fields_listed() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device = ground.device(&server.name("host"), &json!({"serial": "S1"}));
        // What must be there and is not listed is missing in the database.
        let answer = server.post("dcim/devices?fields=id,name", &json!([device]));
        assert!(answer.status >= 400, "{}", answer.body);
        let made = server
            .post("dcim/devices?fields=id,name,site,role,device_type", &json!([device]))
            .expect(201);
        let told = server.object("dcim/devices", id(&made[0]));
        assert_eq!(told["serial"], "");
    });
}

#[test]
fn unknown_fields_are_ignored() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let more = json!({"no_such_field": 1, "interface_count": 7});
        let made = server.make("dcim/devices", ground.device(&server.name("host"), &more));
        assert!(made.get("no_such_field").is_none());
    });
}

#[test]
fn a_choice_is_one_of_its_words_as_they_are_written() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device =
            |status: Value| ground.device(&server.name("host"), &json!({"status": status}));
        for wrong in [json!("Active"), json!("no such status"), json!(""), json!(null)] {
            let body = server.post("dcim/devices", &device(wrong)).expect(400);
            assert!(body["status"].is_array(), "{body}");
        }
        let made = server.make("dcim/devices", device(json!("offline")));
        assert_eq!(made["status"], json!({"value": "offline", "label": "Offline"}));
    });
}

#[test]
fn a_partial_change_leaves_the_rest_as_it_is() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("host");
        let more = json!({"serial": "S1", "status": "staged", "comments": "by hand"});
        let device = server.made("dcim/devices", ground.device(&name, &more));
        let place = format!("dcim/devices/{device}");
        let told = server.patch(&place, &json!({"serial": "S2"})).expect(200);
        assert_eq!(told["serial"], "S2");
        assert_eq!(told["status"]["value"], "staged");
        assert_eq!(told["comments"], "by hand");
        let told = server.patch(&place, &json!({"serial": ""})).expect(200);
        assert_eq!(told["serial"], "");
    });
}

#[test]
fn what_is_null_in_a_change_is_emptied() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let slug = server.name("linux");
        let platform = server.made("dcim/platforms", json!({"name": slug, "slug": slug}));
        let more = json!({"platform": platform});
        let device = server.made("dcim/devices", ground.device(&server.name("host"), &more));
        let place = format!("dcim/devices/{device}");
        let told = server.patch(&place, &json!({"platform": null})).expect(200);
        assert!(told["platform"].is_null());
        assert!(server.patch(&place, &json!({"site": null})).expect(400)["site"].is_array());
    });
}

#[test]
fn an_object_is_answered_in_short_where_another_refers_to_it() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device = server.object("dcim/devices", ground.made(server, "host"));
        let site = server.object("dcim/sites", ground.site);
        for field in ["id", "url", "display", "name", "slug"] {
            assert_eq!(device["site"][field], site[field]);
        }
        assert!(device["site"].get("status").is_none());
        assert!(device["url"].as_str().unwrap().ends_with(&format!("/{}/", id(&device))));
    });
}
