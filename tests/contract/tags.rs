//! Tags: they stand before they are used, and a change replaces them all.

use crate::server::{Ground, Server, everywhere, id, says};
use serde_json::{Value, json};

/// The ids of tags that are made, and their slugs.
fn tags<const N: usize>(server: &Server) -> ([u64; N], [String; N]) {
    let slugs = [(); N].map(|()| server.name("tag"));
    let ids = slugs.each_ref().map(|slug| {
        server.made("extras/tags", json!({"name": slug, "slug": slug, "color": "00ff00"}))
    });
    (ids, slugs)
}

fn ids(object: &Value) -> Vec<u64> {
    let mut ids: Vec<u64> = object["tags"].as_array().unwrap().iter().map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_tag_must_stand_before_an_object_has_it() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let device = |tag: Value| ground.device(&server.name("host"), &json!({"tags": [tag]}));
        let nobody = server.name("nobody");
        for wrong in [json!({"slug": nobody}), json!(2_000_000_000), json!(nobody)] {
            let body = server.post("dcim/devices", &device(wrong)).expect(400);
            assert!(!body["tags"].is_null(), "{body}");
        }
        let ([tag], [slug]) = tags(server);
        for right in [json!({"slug": slug}), json!({"name": slug}), json!(tag)] {
            assert_eq!(ids(&server.make("dcim/devices", device(right))), [tag]);
        }
    });
}

#[test]
fn the_tags_of_a_change_replace_all_that_were_there() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let ([one, other], _) = tags(server);
        let body = ground.device(&server.name("host"), &json!({"tags": [one]}));
        let place = format!("dcim/devices/{}", server.made("dcim/devices", body));
        let tags = |tags: Value| ids(&server.patch(&place, &json!({"tags": tags})).expect(200));
        assert_eq!(tags(json!([other])), [other]);
        assert_eq!(tags(json!([one, other])), [one, other]);
        assert_eq!(ids(&server.patch(&place, &json!({"serial": "S"})).expect(200)), [one, other]);
        assert_eq!(tags(json!([])), Vec::<u64>::new());
    });
}

#[test]
fn tags_are_added_and_taken_away_one_by_one_since_4_6() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let ([one, other, third], _) = tags(server);
        let body = ground.device(&server.name("host"), &json!({"tags": [one, other]}));
        let device = server.made("dcim/devices", body);
        let place = format!("dcim/devices/{device}");
        let change = json!({"add_tags": [third], "remove_tags": [one]});
        let told = server.patch(&place, &change).expect(200);
        if !server.since(6) {
            // The fields are ignored.
            return assert_eq!(ids(&told), [one, other]);
        }
        assert_eq!(ids(&told), [other, third]);
        let list = json!([{"id": device, "add_tags": [one]}]);
        let told = server.patch("dcim/devices", &list).expect(200);
        assert_eq!(ids(&told[0]), [one, other, third]);
        let both = json!({"tags": [one], "add_tags": [other]});
        server.patch(&place, &both).expect(400);
        let clash = json!({"add_tags": [one], "remove_tags": [one]});
        server.patch(&place, &clash).expect(400);
    });
}

#[test]
fn a_deleted_tag_goes_from_its_objects() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let ([tag], _) = tags(server);
        let body = ground.device(&server.name("host"), &json!({"tags": [tag]}));
        let device = server.made("dcim/devices", body);
        server.delete(&format!("extras/tags/{tag}"), None).expect(204);
        assert_eq!(ids(&server.object("dcim/devices", device)), Vec::<u64>::new());
    });
}

#[test]
fn the_colour_of_a_tag_is_six_small_digits() {
    everywhere(|server| {
        let name = server.name("tag");
        for color in ["green", "ABCDEF"] {
            let body = json!({"name": name, "slug": name, "color": color});
            let body = server.post("extras/tags", &body).expect(400);
            assert!(says(&body["color"], "RGB color"), "{body}");
        }
    });
}
