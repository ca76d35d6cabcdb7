//! Devices: their names, and what they refer to.

use crate::server::{Ground, Server, everywhere, id, says};
use serde_json::{Value, json};

#[test]
fn a_device_name_is_unique_per_site_and_tenant_whatever_its_case() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("Host");
        let device = |name: &str, more: &Value| ground.device(name, more);
        server.make("dcim/devices", device(&name, &Value::Null));
        let twin = device(&name.to_uppercase(), &Value::Null);
        let body = server.post("dcim/devices", &twin).expect(400);
        assert!(says(&body["__all__"], "Device name must be unique per site"), "{body}");

        let slug = server.name("other");
        let other = server.made("dcim/sites", json!({"name": slug, "slug": slug}));
        server.make("dcim/devices", device(&name, &json!({"site": other})));
        let tenant = server.made("tenancy/tenants", json!({"name": slug, "slug": slug}));
        server.make("dcim/devices", device(&name, &json!({"tenant": tenant})));
        server.post("dcim/devices", &device(&name, &json!({"tenant": tenant}))).expect(400);
    });
}

#[test]
fn devices_without_a_name_are_as_many_as_one_likes() {
    everywhere(|server| {
        let ground = Ground::of(server);
        for _ in 0..2 {
            let mut device = ground.device("", &Value::Null);
            device["name"] = Value::Null;
            assert!(server.make("dcim/devices", device)["name"].is_null());
        }
        let ids = server.ids(&format!("dcim/devices?site_id={}", ground.site));
        assert_eq!(ids.len(), 2);
    });
}

#[test]
fn a_serial_number_is_not_unique_and_an_asset_tag_is() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let tag = server.name("tag");
        let device = |more: &Value| ground.device(&server.name("host"), more);
        server.make("dcim/devices", device(&json!({"serial": "S", "asset_tag": tag})));
        server.make("dcim/devices", device(&json!({"serial": "S"})));
        let body = server.post("dcim/devices", &device(&json!({"asset_tag": tag})));
        assert!(body.expect(400)["asset_tag"].is_array());
    });
}

#[test]
fn references_are_numbers_or_attributes_but_no_plain_words() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let slug = server.object("dcim/sites", ground.site)["slug"].clone();
        let device = |site: &Value| ground.device(&server.name("host"), &json!({"site": site}));
        for site in [json!({"slug": slug}), json!({"id": ground.site}), json!({"name": slug})] {
            let made = server.make("dcim/devices", device(&site));
            assert_eq!(id(&made["site"]), ground.site);
        }
        for wrong in
            [slug.clone(), json!({"slug": server.name("nowhere")}), 2_000_000_000_u64.into()]
        {
            let body = server.post("dcim/devices", &device(&wrong)).expect(400);
            assert!(!body["site"].is_null(), "{body}");
        }
    });
}

#[test]
fn a_device_type_slug_is_unique_only_for_its_manufacturer() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("other");
        let other = server.made("dcim/manufacturers", json!({"name": name, "slug": name}));
        let slug = server.object("dcim/device-types", ground.device_type)["slug"].clone();
        let twin = json!({"manufacturer": other, "model": slug, "slug": slug});
        server.make("dcim/device-types", twin.clone());
        server.post("dcim/device-types", &twin).expect(400);
        let device = ground.device(&name, &json!({"device_type": {"slug": slug}}));
        server.post("dcim/devices", &device).expect(400);
    });
}

#[test]
fn required_fields_are_told_one_by_one() {
    everywhere(|server| {
        let body = server.post("dcim/devices", &json!({"name": server.name("bare")})).expect(400);
        let told: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(told, ["device_type", "role", "site"]);
    });
}

#[test]
fn texts_that_are_too_long_are_refused() {
    everywhere(|server| {
        let ground = Ground::of(server);
        for (field, most) in [("serial", 50), ("description", 200)] {
            let device = |length: usize| {
                ground.device(&server.name("long"), &json!({field: "x".repeat(length)}))
            };
            server.make("dcim/devices", device(most));
            assert!(server.post("dcim/devices", &device(most + 1)).expect(400)[field].is_array());
        }
        let name = format!("{:x<64}", server.name("name"));
        server.make("dcim/devices", ground.device(&name, &Value::Null));
        let name = format!("{:x<65}", server.name("name"));
        server.post("dcim/devices", &ground.device(&name, &Value::Null)).expect(400);
    });
}

#[test]
fn spaces_around_a_text_are_cut_off() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("space");
        let device = ground.device(&format!("  {name} "), &json!({"serial": " S1 "}));
        let made = server.make("dcim/devices", device);
        assert_eq!(made["name"], name);
        assert_eq!(made["serial"], "S1");
    });
}

/// A cluster's place, in the words of the version.
pub(crate) fn scoped(server: &Server, site: u64) -> Value {
    if server.since(2) {
        json!({"scope_type": "dcim.site", "scope_id": site})
    } else {
        json!({"site": site})
    }
}

/// The id of a cluster that is made at a site.
pub(crate) fn cluster(server: &Server, site: Option<u64>) -> u64 {
    let name = server.name("cluster");
    let kind = server.made("virtualization/cluster-types", json!({"name": name, "slug": name}));
    let mut body = json!({"name": name, "type": kind});
    for (field, value) in
        site.map(|site| scoped(server, site)).iter().flat_map(|place| place.as_object().unwrap())
    {
        body[field] = value.clone();
    }
    server.made("virtualization/clusters", body)
}

#[test]
fn a_device_is_no_host_of_a_cluster_at_another_site() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("elsewhere");
        let elsewhere = server.made("dcim/sites", json!({"name": name, "slug": name}));
        let device = format!("dcim/devices/{}", ground.made(server, "node"));
        let (far, near) = (cluster(server, Some(elsewhere)), cluster(server, Some(ground.site)));
        let nowhere = cluster(server, None);
        let body = server.patch(&device, &json!({"cluster": far})).expect(400);
        assert!(
            says(&body["cluster"], "The assigned cluster belongs to a different site"),
            "{body}"
        );
        for cluster in [near, nowhere] {
            let body = server.patch(&device, &json!({"cluster": cluster})).expect(200);
            assert_eq!(id(&body["cluster"]), cluster);
        }
    });
}

#[test]
fn a_cluster_does_not_leave_the_site_of_its_devices() {
    everywhere(|server| {
        let ground = Ground::of(server);
        let name = server.name("elsewhere");
        let elsewhere = server.made("dcim/sites", json!({"name": name, "slug": name}));
        let cluster = cluster(server, Some(ground.site));
        let device = format!("dcim/devices/{}", ground.made(server, "node"));
        server.patch(&device, &json!({"cluster": cluster})).expect(200);
        let place = format!("virtualization/clusters/{cluster}");
        server.patch(&place, &scoped(server, elsewhere)).expect(400);
    });
}
