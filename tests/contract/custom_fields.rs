//! Custom fields: they stand before they are used and cover the kind; what is
//! written is merged; unknown ones are refused or dropped.

use crate::server::{Ground, Server, everywhere, says};
use serde_json::{Value, json};

/// A custom field's name that no other has.
fn name(server: &Server, stem: &str) -> String {
    server.name(stem).replace('-', "_")
}

/// A custom field that is made for devices, by its name.
fn field(server: &Server, kind: &str, more: &Value) -> String {
    let name = name(server, kind);
    let mut body = json!({"name": name, "type": kind, "object_types": ["dcim.device"]});
    for (field, value) in more.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
    server.make("extras/custom-fields", body);
    name
}

#[test]
fn a_custom_field_belongs_to_the_kinds_that_it_names() {
    everywhere(|server| {
        let name = name(server, "bare");
        let body = json!({"name": name, "type": "text"});
        server.post("extras/custom-fields", &body).expect(400);
        let body = json!({"name": name, "type": "text", "object_types": ["dcim.nothing"]});
        server.post("extras/custom-fields", &body).expect(400);
        let body = json!({"name": "a-b", "type": "text", "object_types": ["dcim.device"]});
        assert!(server.post("extras/custom-fields", &body).expect(400)["name"].is_array());
    });
}

#[test]
fn a_change_of_custom_fields_leaves_the_others() {
    everywhere(|server| {
        let (one, other) =
            (field(server, "text", &Value::Null), field(server, "integer", &Value::Null));
        let ground = Ground::of(server);
        let more = json!({"custom_fields": {&one: "text", &other: 7}});
        let device = server.made("dcim/devices", ground.device(&server.name("host"), &more));
        let place = format!("dcim/devices/{device}");
        let told = server.patch(&place, &json!({"custom_fields": {&one: "new"}})).expect(200);
        assert_eq!(told["custom_fields"][&one], "new");
        assert_eq!(told["custom_fields"][&other], 7);
        let told = server.patch(&place, &json!({"custom_fields": {&other: null}})).expect(200);
        assert!(told["custom_fields"][&other].is_null());
        assert_eq!(told["custom_fields"][&one], "new");
    });
}

#[test]
fn unknown_custom_fields_are_refused_but_dropped_in_4_4() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let unknown = name(server, "unknown");
        let more = json!({"custom_fields": {&unknown: "x"}});
        let answer = server.post("dcim/devices", &ground.device(&server.name("host"), &more));
        if server.since(3) && !server.since(5) {
            assert!(answer.expect(201)["custom_fields"].get(&unknown).is_none());
        } else {
            assert!(says(&answer.expect(400), &unknown));
        }
    });
}

#[test]
fn a_custom_field_of_another_kind_is_an_unknown_one() {
    everywhere(|server| {
        let field = field(server, "text", &Value::Null);
        let slug = server.name("site");
        let body = json!({"name": slug, "slug": slug, "custom_fields": {&field: "x"}});
        let answer = server.post("dcim/sites", &body);
        if server.since(3) && !server.since(5) {
            assert!(answer.expect(201)["custom_fields"].get(&field).is_none());
        } else {
            answer.expect(400);
        }
    });
}

#[test]
fn the_value_of_a_custom_field_is_of_its_type() {
    everywhere(|server| {
        let device = Ground::of(server).made(server, "host");
        let place = format!("dcim/devices/{device}");
        for (kind, right, wrong) in [
            ("text", json!("x"), json!(5)),
            ("integer", json!(5), json!("5")),
            ("boolean", json!(true), json!("yes")),
            ("date", json!("2026-02-28"), json!("2026-02-30")),
            ("datetime", json!("2026-01-01T00:00:00Z"), json!("yesterday")),
            ("json", json!({"a": [1]}), Value::Null),
        ] {
            let field = field(server, kind, &Value::Null);
            let body = |value: &Value| json!({"custom_fields": {&field: value}});
            if !wrong.is_null() {
                let told = server.patch(&place, &body(&wrong)).expect(400);
                assert!(says(&told, &field), "{told}");
            }
            let told = server.patch(&place, &body(&right)).expect(200);
            assert_eq!(told["custom_fields"][&field], right);
        }
    });
}

#[test]
fn a_unique_custom_field_is_unique_for_its_kind_since_4_1() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let field = field(server, "text", &json!({"unique": true}));
        let device = |value: &Value| {
            let more = json!({"custom_fields": {&field: value}});
            ground.device(&server.name("host"), &more)
        };
        server.make("dcim/devices", device(&json!("one")));
        let again = server.post("dcim/devices", &device(&json!("one")));
        if server.since(1) {
            assert!(says(&again.expect(400), "must have a unique value"));
        } else {
            again.expect(201);
        }
        server.make("dcim/devices", device(&Value::Null));
        server.make("dcim/devices", device(&Value::Null));
    });
}

#[test]
fn objects_are_found_by_the_values_of_their_custom_fields() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let exact = field(server, "text", &json!({"filter_logic": "exact"}));
        let loose = field(server, "text", &json!({"filter_logic": "loose"}));
        let device = |value: &str| {
            let more = json!({"custom_fields": {&exact: value, &loose: value}});
            server.made("dcim/devices", ground.device(&server.name("host"), &more))
        };
        let (one, other) = (device("key-1"), device("key-12"));
        let found = |query: String| {
            let mut ids = server.ids(&format!("dcim/devices?{query}"));
            ids.sort_unstable();
            ids
        };
        assert_eq!(found(format!("cf_{exact}=key-1")), [one]);
        assert_eq!(found(format!("cf_{exact}=key-1&cf_{exact}=key-12")), [one, other]);
        assert_eq!(found(format!("cf_{exact}=key")), Vec::<u64>::new());
        assert_eq!(found(format!("cf_{loose}=KEY-1")), [one, other]);
    });
}

#[test]
fn a_deleted_custom_field_goes_from_its_objects() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let field = field(server, "text", &Value::Null);
        let more = json!({"custom_fields": {&field: "x"}});
        let device = server.made("dcim/devices", ground.device(&server.name("host"), &more));
        let place = format!("extras/custom-fields?name={field}");
        let [id] = server.ids(&place)[..] else {
            panic!("{field} stands once");
        };
        server.delete(&format!("extras/custom-fields/{id}"), None).expect(204);
        let told = server.object("dcim/devices", device);
        assert!(told["custom_fields"].get(&field).is_none());
    });
}
