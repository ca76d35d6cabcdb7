//! What only the stand-in can do: fail on purpose, count, be stopped.

use crate::netbox::{
    Act, Fault, Faults, On, Options, Permissions, StandIn, TOKEN, Token, Version, What,
    authorization,
};
use crate::server::{Server, id};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn start(version: Version) -> (StandIn, Server) {
    let standin = StandIn::start(version);
    let server = Server::new(standin.url(), TOKEN.to_owned(), None);
    // It ends with all that it has.
    server.forget();
    standin.clear_ledger();
    (standin, server)
}

fn site(name: &str) -> Value {
    json!({"name": name, "slug": name})
}

fn faults(list: Vec<Fault>) -> Faults {
    Faults { list, ..Faults::default() }
}

/// A request whose connection may be cut.
fn try_post(server: &Server, body: &Value) -> Result<u16, String> {
    let token = authorization(TOKEN);
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
    let answer = server.try_send("POST", "/api/dcim/sites/", Some(&body.to_string()), &headers);
    answer.map(|answer| answer.status).map_err(|error| error.to_string())
}

#[test]
fn answers_of_a_proxy_come_as_often_as_they_are_ordered_and_nothing_is_done() {
    let (standin, server) = start(Version::V4_6);
    let busy = What::Answer { status: 429, retry_after: Some(7) };
    standin.set_faults(faults(vec![Fault::always(busy).on(On::Writes).times(2)]));
    for _ in 0..2 {
        let answer = server.post("dcim/sites", &site("one"));
        assert_eq!(answer.header("Retry-After"), "7");
        assert_eq!(answer.status, 429);
        server.get("dcim/sites").expect(200);
    }
    assert!(standin.objects("dcim/sites").is_empty());
    server.post("dcim/sites", &site("one")).expect(201);
}

#[test]
fn a_connection_is_cut_before_or_after_the_work_is_done() {
    let (standin, server) = start(Version::V4_6);
    standin.set_faults(faults(vec![
        Fault::always(What::Cut).times(1),
        Fault::always(What::CutAfterwards).times(1),
        Fault::always(What::AnswerAfterwards { status: 504 }).times(1),
    ]));
    assert!(try_post(&server, &site("before")).is_err());
    assert!(try_post(&server, &site("after")).is_err());
    assert_eq!(try_post(&server, &site("told-late")), Ok(504));
    let stand: Vec<_> = standin.objects("dcim/sites");
    let names: Vec<_> = stand.iter().map(|site| site["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["after", "told-late"]);
    let statuses: Vec<_> = standin.ledger().writes.iter().map(|write| write.status).collect();
    assert_eq!(statuses, [None, None, Some(504)]);
}

#[test]
fn chance_strikes_the_same_requests_for_the_same_seed() {
    let struck = |seed: u64| -> Vec<bool> {
        let (standin, server) = start(Version::V4_4);
        let bad = What::Answer { status: 502, retry_after: None };
        let list = vec![Fault::always(bad).share(0.3)];
        standin.set_faults(Faults { seed, list, ..Faults::default() });
        (0..40).map(|_| server.get("dcim/sites").status == 502).collect()
    };
    let one = struck(1);
    assert_eq!(one, struck(1));
    assert_ne!(one, struck(2));
    let count = one.iter().filter(|struck| **struck).count();
    assert!((4..=20).contains(&count), "{count} of 40 at 30 %");
}

#[test]
fn a_deadlock_is_an_error_of_the_server_and_nothing_is_done() {
    let (standin, server) = start(Version::V4_6);
    standin.set_faults(faults(vec![Fault::always(What::Deadlock).on(On::Writes).times(1)]));
    let body = server.post("dcim/sites", &site("one")).expect(500);
    assert!(body["error"].as_str().unwrap().starts_with("deadlock detected"));
    assert!(standin.objects("dcim/sites").is_empty());
}

#[test]
fn bodies_that_are_too_long_are_refused() {
    let (standin, server) = start(Version::V4_6);
    standin.set_faults(Faults { longest_body: Some(100), ..Faults::default() });
    server.post("dcim/sites", &site("short")).expect(201);
    assert_eq!(server.post("dcim/sites", &site(&"long".repeat(20))).status, 413);
}

#[test]
fn requests_and_objects_take_the_time_that_is_ordered() {
    let (standin, server) = start(Version::V4_6);
    standin.set_faults(Faults { latency_ms: 60, per_object_us: 20_000, ..Faults::default() });
    let took = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let read = took(&|| drop(server.get("dcim/sites").expect(200)));
    assert!(read >= Duration::from_millis(60), "{read:?}");
    let list = json!([site("a"), site("b"), site("c")]);
    let write = took(&|| drop(server.post("dcim/sites", &list).expect(201)));
    assert!(write >= Duration::from_millis(120), "{write:?}");
}

#[test]
fn what_is_asked_is_counted_and_writes_are_kept() {
    let (standin, server) = start(Version::V4_6);
    let list = json!([site("a"), site("b")]);
    let made = server.post("dcim/sites?fields=id,name,slug", &list).expect(201);
    server.get("dcim/sites?limit=1").expect(200);
    server.delete(&format!("dcim/sites/{}", id(&made[0])), None).expect(204);
    let ledger = standin.ledger();
    let methods: Vec<_> =
        ledger.methods.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(methods, [("DELETE", 1), ("GET", 1), ("POST", 1)]);
    assert_eq!(ledger.requests(), 3);
    assert_eq!(ledger.reads, ["GET /api/dcim/sites/?limit=1"]);
    assert_eq!(ledger.writes[0].path, "/api/dcim/sites/?fields=id,name,slug");
    assert_eq!(ledger.writes[0].body, list);
    assert_eq!(ledger.objects_written(), 3);
    standin.clear_ledger();
    assert_eq!(standin.ledger().requests(), 0);
}

#[test]
fn stopped_and_started_again_it_has_everything_it_had() {
    let (mut standin, server) = start(Version::V4_6);
    let one = id(&server.post("dcim/sites", &site("one")).expect(201));
    standin.stop();
    assert!(try_post(&server, &site("nobody-there")).is_err());
    standin.start_again().unwrap();
    assert_eq!(server.object("dcim/sites", one)["name"], "one");
    server.post("dcim/sites", &site("other")).expect(201);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let idle = Some(Duration::from_millis(100));
    let standin = StandIn::with(Options { idle, ..Options::new(Version::V4_6) }).unwrap();
    let mut stream = TcpStream::connect(standin.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /api/status/ HTTP/1.1\r\nHost: standin\r\n\r\n").unwrap();
    let mut told = Vec::new();
    // The end of the connection ends the reading.
    stream.read_to_end(&mut told).unwrap();
    assert!(told.starts_with(b"HTTP/1.1 403"));
}

#[test]
fn what_the_stand_in_does_not_keep_it_says_so() {
    let (_standin, server) = start(Version::V4_6);
    let made = id(&server.post("dcim/sites", &site("one")).expect(201));
    let place = format!("dcim/sites/{made}");
    assert_eq!(server.patch(&place, &json!({"latitude": 5})).status, 501);
    assert_eq!(server.get("dcim/sites?region=north").status, 501);
    assert_eq!(server.get("dcim/racks").status, 501);
}

#[test]
fn another_person_writes_without_a_request_that_counts() {
    let (standin, server) = start(Version::V4_6);
    let (status, made) = standin.act_as("alice", "POST", "/api/dcim/sites/", &site("one"));
    assert_eq!(status, 201);
    assert_eq!(standin.ledger().requests(), 0);
    let log = server.changes_of("dcim.site", id(&made));
    assert_eq!(log[0]["user_name"], "alice");
}

/// A stand-in with a user who may do what is listed.
fn limited(version: Version, permissions: Permissions) -> (StandIn, Server) {
    let secret = "ab".repeat(20);
    let mut options = Options::new(version);
    options.tokens.push(Token::v1(&secret, "limited").allowed(permissions));
    let standin = StandIn::with(options).unwrap();
    let server = Server::new(standin.url(), secret, None);
    server.forget();
    (standin, server)
}

#[test]
fn a_missing_permission_is_told_like_a_token_for_reading() {
    for version in Version::ALL {
        let mut acts = BTreeMap::new();
        acts.insert("dcim.site".to_owned(), BTreeSet::from([Act::View]));
        let (_standin, server) = limited(version, Permissions::Only(acts));
        server.get("dcim/sites").expect(200);
        let told = "You do not have permission to perform this action.";
        assert_eq!(server.post("dcim/sites", &site("one")).expect(403)["detail"], told);
        assert_eq!(server.get("dcim/devices").expect(403)["detail"], told);
        let may = server.ask("OPTIONS", "dcim/sites", None, &[]).expect(200);
        assert!(may["actions"]["POST"].is_null());
    }
}

#[test]
fn a_user_whose_permissions_fit_no_object_sees_empty_lists() {
    let (standin, server) = limited(Version::V4_6, Permissions::Blind);
    let (_, made) = standin.act_as("alice", "POST", "/api/dcim/sites/", &site("one"));
    let page = server.get("dcim/sites").expect(200);
    assert_eq!(page["count"], 0);
    assert_eq!(page["results"], json!([]));
    assert_eq!(server.get(&format!("dcim/sites/{}", id(&made))).status, 404);
    assert_eq!(server.post("dcim/sites", &site("other")).status, 403);
}

#[test]
fn the_same_requests_are_answered_the_same() {
    for version in Version::ALL {
        let told = || {
            let (standin, server) = start(version);
            server.post("dcim/sites", &json!([site("a"), site("b")])).expect(201);
            let page = server.get("dcim/sites").expect(200);
            page.to_string().replace(&standin.url(), "http://standin")
        };
        assert_eq!(told(), told());
    }
}
