//! Lists page by page: how many, from where, in which order.

use crate::server::{Server, everywhere, id};
use serde_json::{Value, json};

/// Sites that are made, all of whose names begin with the answered text.
fn sites(server: &Server, count: usize) -> (String, Vec<u64>) {
    let stem = server.name("page");
    let list: Vec<Value> = (0..count)
        .map(|number| {
            let name = format!("{stem}-{number:04}");
            json!({"name": name, "slug": name})
        })
        .collect();
    let made = server.make("dcim/sites?fields=id,name,slug", json!(list));
    (stem, made.as_array().unwrap().iter().map(id).collect())
}

fn shown(page: &Value) -> Vec<u64> {
    page["results"].as_array().unwrap().iter().map(id).collect()
}

/// What a link leads to, as a place.
fn place(link: &Value) -> String {
    let path = link.as_str().unwrap().split_once("/api/").unwrap().1;
    path.replacen("/?", "?", 1)
}

#[test]
fn a_list_is_answered_in_pages_with_links() {
    everywhere(|server| {
        let (stem, ids) = sites(server, 5);
        let first = format!("dcim/sites?name__isw={stem}&limit=2&fields=id");
        let first = server.get(&first).expect(200);
        assert_eq!(first["count"], 5);
        assert_eq!(shown(&first), ids[..2]);
        assert!(first["previous"].is_null());
        let second = server.get(&place(&first["next"])).expect(200);
        assert_eq!(shown(&second), ids[2..4]);
        let third = server.get(&place(&second["next"])).expect(200);
        assert_eq!(shown(&third), ids[4..]);
        assert!(third["next"].is_null());
        let again = server.get(&place(&second["previous"])).expect(200);
        assert_eq!(shown(&again), ids[..2]);
    });
}

#[test]
fn a_list_goes_on_by_id_since_4_6() {
    everywhere(|server| {
        let (stem, ids) = sites(server, 3);
        let from = ids[1];
        let place_of = format!("dcim/sites?name__isw={stem}&start={from}&limit=1&fields=id");
        let page = server.get(&place_of).expect(200);
        if !server.since(6) {
            // The parameter is ignored.
            return assert_eq!(shown(&page), ids[..1]);
        }
        assert_eq!(shown(&page), ids[1..2]);
        assert!(page["count"].is_null());
        let next = server.get(&place(&page["next"])).expect(200);
        assert_eq!(shown(&next), ids[2..]);
        // A full page has a next one, even where nothing is left.
        let next = server.get(&place(&next["next"])).expect(200);
        assert_eq!(shown(&next), Vec::<u64>::new());
        assert!(next["next"].is_null());
        server.get(&format!("{place_of}&offset=1")).expect(400);
        server.get(&format!("{place_of}&ordering=name")).expect(400);
    });
}

#[test]
fn a_page_has_at_most_a_thousand_objects() {
    everywhere(|server| {
        let name = server.name("many");
        let group = server.made("ipam/vlan-groups", json!({"name": name, "slug": name}));
        let vlan = |vid: usize| json!({"vid": vid, "name": vid.to_string(), "group": group});
        let vlans: Vec<Value> = (1..=1001).map(vlan).collect();
        let mut ids = Vec::new();
        for some in vlans.chunks(200) {
            let made = server.post_unseen("ipam/vlans?fields=id,vid,name,group", &json!(some));
            let made = made.expect(201);
            ids.extend(made.as_array().unwrap().iter().map(|vlan| json!({"id": id(vlan)})));
        }
        for limit in ["0", "5000"] {
            let place = format!("ipam/vlans?group_id={group}&limit={limit}&fields=id");
            let page = server.get(&place).expect(200);
            assert_eq!(page["count"], 1001);
            assert_eq!(page["results"].as_array().unwrap().len(), 1000);
            assert!(page["next"].is_string());
        }
        for some in ids.chunks(100) {
            server.delete("ipam/vlans", Some(&json!(some))).expect(204);
        }
    });
}

#[test]
fn a_list_has_fifty_objects_where_no_number_is_given() {
    everywhere(|server| {
        let (stem, _) = sites(server, 51);
        let page = server.get(&format!("dcim/sites?name__isw={stem}&fields=id")).expect(200);
        assert_eq!(page["results"].as_array().unwrap().len(), 50);
    });
}

#[test]
fn a_list_is_in_the_order_that_is_asked_for() {
    everywhere(|server| {
        let (stem, ids) = sites(server, 3);
        let backwards: Vec<_> = ids.iter().rev().copied().collect();
        for order in ["-name", "-id", "-slug"] {
            let place = format!("dcim/sites?name__isw={stem}&ordering={order}");
            assert_eq!(server.ids(&place), backwards);
        }
    });
}
