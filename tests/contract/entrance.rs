//! Who is let in, what is said to those who are not, and what the server tells of itself.

use crate::netbox::authorization;
use crate::server::{everywhere, says};
use serde_json::json;

const MISSING: &str = "Authentication credentials were not provided.";
const FORBIDDEN: &str = "You do not have permission to perform this action.";

#[test]
fn the_server_tells_its_version_in_the_status_and_in_every_answer() {
    everywhere(|server| {
        let answer = server.get("status");
        assert_eq!(answer.status, 200);
        let version = answer.body["netbox-version"].as_str().unwrap();
        let api = answer.header("API-Version");
        assert!(version.starts_with(&format!("{api}.")), "{version} and {api}");
        assert_eq!(server.get("dcim/sites?limit=1").header("API-Version"), api);
    });
}

#[test]
fn every_request_has_an_id_of_its_own() {
    everywhere(|server| {
        let (one, other) = (server.get("status"), server.get("status"));
        assert_eq!(one.header("X-Request-ID").len(), 36);
        assert_ne!(one.header("X-Request-ID"), other.header("X-Request-ID"));
    });
}

#[test]
fn without_a_token_or_with_a_wrong_one_all_is_forbidden() {
    everywhere(|server| {
        for place in ["/api/status/", "/api/dcim/sites/?limit=1"] {
            let none = server.send("GET", place, None, &[]);
            assert_eq!(none.expect(403)["detail"], MISSING);
            let wrong = authorization(&"0f".repeat(20));
            let wrong = server.send("GET", place, None, &[("Authorization", &wrong)]);
            let body = wrong.expect(403);
            let told = if server.since(5) { "Invalid v1 token" } else { "Invalid token" };
            assert_eq!(body["detail"], told);
        }
    });
}

#[test]
fn tokens_of_version_two_are_known_since_4_5() {
    everywhere(|server| {
        let wrong = "Bearer nbt_nobodyskey01.0123456789abcdef0123456789abcdef01234567";
        let answer =
            server.send("GET", "/api/dcim/sites/?limit=1", None, &[("Authorization", wrong)]);
        let told = if server.since(5) { "Invalid v2 token" } else { MISSING };
        assert_eq!(answer.expect(403)["detail"], told);
    });
}

#[test]
fn a_token_for_reading_reads_and_is_refused_to_write_like_a_missing_permission() {
    everywhere(|server| {
        let Some(token) = &server.read_only else {
            return;
        };
        let token = authorization(token);
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let name = server.name("unwanted");
        let body = json!({"name": name, "slug": name}).to_string();
        server.send("GET", "/api/dcim/sites/?limit=1", None, &headers).expect(200);
        let refused = server.send("POST", "/api/dcim/sites/", Some(&body), &headers);
        assert_eq!(refused.expect(403)["detail"], FORBIDDEN);
    });
}

#[test]
fn options_tell_without_writing_whether_a_token_may_write() {
    everywhere(|server| {
        let may = server.ask("OPTIONS", "dcim/sites", None, &[]).expect(200);
        assert!(may["actions"]["POST"].is_object() && may["actions"]["PUT"].is_object(), "{may}");
        let Some(token) = &server.read_only else {
            return;
        };
        let token = authorization(token);
        let headers = [("Authorization", token.as_str())];
        let may_not = server.send("OPTIONS", "/api/dcim/sites/", None, &headers).expect(200);
        let may_not = &may_not["actions"];
        assert!(may_not["POST"].is_null() && may_not["PUT"].is_null(), "{may_not}");
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    everywhere(|server| {
        assert_eq!(server.get("dcim/nothing").status, 404);
        let body = server.get("dcim/sites/2000000000").expect(404);
        assert_eq!(body["detail"], "No Site matches the given query.");
        assert_eq!(server.patch("dcim/sites/2000000000", &json!({})).status, 404);
        assert_eq!(server.delete("dcim/sites/2000000000", None).status, 404);
        let macs = server.get("dcim/mac-addresses?limit=1").status;
        assert_eq!(macs, if server.since(2) { 200 } else { 404 });
    });
}

#[test]
fn a_path_without_its_last_slash_leads_elsewhere() {
    everywhere(|server| {
        let answer = server.ask_at("GET", "/api/dcim/sites?limit=1", None, &[]);
        assert_eq!(answer.status, 301);
        assert_eq!(answer.header("Location"), "/api/dcim/sites/?limit=1");
        let name = server.name("nowhere");
        let body = json!({"name": name, "slug": name});
        let answer = server.ask_at("POST", "/api/dcim/sites", Some(&body), &[]);
        assert_eq!(answer.status, if server.since(5) { 404 } else { 301 });
        assert!(server.ids(&format!("dcim/sites?name={name}")).is_empty());
    });
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    everywhere(|server| {
        let body = server.ask("POST", "dcim/sites", None, &[]);
        assert_eq!(body.status, 400);
        let broken = server.ask("POST", "dcim/sites", Some(&json!("text")), &[]);
        assert!(says(&broken.expect(400), "Expected a dictionary, but got str."));
    });
}

#[test]
fn a_request_line_of_4095_bytes_is_too_long() {
    everywhere(|server| {
        // "GET " before and " HTTP/1.1" behind count too.
        let path = |length: usize| {
            let start = "/api/dcim/sites/?limit=1&name=";
            format!("{start}{}", "x".repeat(length - "GET  HTTP/1.1".len() - start.len()))
        };
        assert_eq!(server.ask_at("GET", &path(4094), None, &[]).status, 200);
        assert_eq!(server.ask_at("GET", &path(4095), None, &[]).status, 400);
    });
}
