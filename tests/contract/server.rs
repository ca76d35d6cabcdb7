//! The NetBox that the contract is held against, and what a test does with it:
//! requests with whatever they come to, objects that are gone when the test ends.

use crate::netbox::{Options, StandIn, TOKEN, Token, Version, authorization, named};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// The token that the stand-in takes for reading only.
const READ_ONLY: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// Tests take turns on a real NetBox, since some write the same rows of its database.
static TURN: Mutex<()> = Mutex::new(());

/// Numbers the names, so that no two are alike.
static NAMES: AtomicU32 = AtomicU32::new(0);

/// Holds a behaviour against the NetBox that the environment names, or else against the
/// stand-in in every version.
pub(crate) fn everywhere(test: impl Fn(&Server)) {
    let Some(real) = named() else {
        for version in Version::ALL {
            let mut options = Options::new(version);
            options.tokens.push(Token::v1(READ_ONLY, "reader").read_only());
            let standin = StandIn::with(options).unwrap();
            let server = Server::new(standin.url(), TOKEN.to_owned(), Some(READ_ONLY.to_owned()));
            test(&server);
        }
        return;
    };
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    test(&Server::new(real.url.clone(), real.token.clone(), real.read_only.clone()));
    drop(turn);
}

/// A release of NetBox: major, minor and patch number.
pub(crate) type Release = (u32, u32, u32);

/// A NetBox.
pub(crate) struct Server {
    /// What it says it is.
    pub(crate) release: Release,
    /// A token that may only read, where there is one.
    pub(crate) read_only: Option<String>,
    url: String,
    token: String,
    client: Client,
    runtime: Runtime,
    made: RefCell<Vec<(String, u64)>>,
    tidy: Cell<bool>,
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body; a text where it is no JSON.
    pub(crate) body: Value,
    asked: String,
}

impl Answer {
    /// The body of an answer of this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.body);
        self.body
    }

    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or(""))
    }
}

impl Server {
    /// A NetBox at an address.
    pub(crate) fn new(url: String, token: String, read_only: Option<String>) -> Self {
        // Whichever test comes first installs it; the others find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A connection that the server closes for idleness is no matter of these tests.
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut server = Server {
            release: (0, 0, 0),
            read_only,
            url,
            token,
            client,
            runtime,
            made: RefCell::default(),
            tidy: Cell::new(true),
        };
        let status = server.get("status").expect(200);
        server.release = release(status["netbox-version"].as_str().unwrap());
        server
    }

    /// Whether it is of a minor version of NetBox 4, or newer.
    pub(crate) fn since(&self, minor: u32) -> bool {
        self.release >= (4, minor, 0)
    }

    /// A name that no other object has.
    pub(crate) fn name(&self, stem: &str) -> String {
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        format!("contract-{:x}-{number:x}-{stem}", now.as_millis() & 0xffff_ffff)
    }

    /// Asks for something, with everything about the request given.
    #[track_caller]
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_send(method, path, body, headers).unwrap()
    }

    /// The same where no answer may come.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let method: Method = method.parse().unwrap();
        let (major, minor, patch) = self.release;
        let asked = format!("{major}.{minor}.{patch}: {method} {path} {}", body.unwrap_or(""));
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await?;
            let body = match text.as_str() {
                "" => Value::Null,
                _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            };
            Ok(Answer { status, headers, body, asked })
        })
    }

    /// Asks with the usual token, for JSON, with some headers besides.
    pub(crate) fn ask(
        &self,
        method: &str,
        place: &str,
        body: Option<&Value>,
        more: &[(&str, &str)],
    ) -> Answer {
        self.ask_at(method, &address(place), body, more)
    }

    /// The same at a path as it is.
    pub(crate) fn ask_at(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        more: &[(&str, &str)],
    ) -> Answer {
        let body = body.map(Value::to_string);
        let authorization = authorization(&self.token);
        let mut headers =
            vec![(AUTHORIZATION.as_str(), authorization.as_str()), ("Content-Type", JSON)];
        headers.extend(more);
        self.send(method, path, body.as_deref(), &headers)
    }

    /// Reads.
    pub(crate) fn get(&self, place: &str) -> Answer {
        self.ask("GET", place, None, &[])
    }

    /// Makes what the test itself deletes.
    pub(crate) fn post_unseen(&self, place: &str, body: &Value) -> Answer {
        self.ask("POST", place, Some(body), &[])
    }

    /// Makes, without minding what comes of it.
    pub(crate) fn post(&self, place: &str, body: &Value) -> Answer {
        let answer = self.post_unseen(place, body);
        if answer.status == 201 {
            let list = std::slice::from_ref(&answer.body);
            for object in answer.body.as_array().map_or(list, Vec::as_slice) {
                if let Some(id) = object["id"].as_u64() {
                    self.made.borrow_mut().push((plain(place).to_owned(), id));
                }
            }
        }
        answer
    }

    /// Changes.
    pub(crate) fn patch(&self, place: &str, body: &Value) -> Answer {
        self.ask("PATCH", place, Some(body), &[])
    }

    /// Deletes.
    pub(crate) fn delete(&self, place: &str, body: Option<&Value>) -> Answer {
        self.ask("DELETE", place, body, &[])
    }

    /// An object that is made, as the answer shows it.
    #[track_caller]
    pub(crate) fn make(&self, place: &str, body: Value) -> Value {
        self.post(place, &body).expect(201)
    }

    /// The id of an object that is made.
    #[track_caller]
    pub(crate) fn made(&self, place: &str, body: Value) -> u64 {
        id(&self.make(place, body))
    }

    /// An object as it stands.
    #[track_caller]
    pub(crate) fn object(&self, place: &str, id: u64) -> Value {
        self.get(&format!("{place}/{id}")).expect(200)
    }

    /// The ids that a list shows.
    #[track_caller]
    pub(crate) fn ids(&self, place: &str) -> Vec<u64> {
        let page = self.get(place).expect(200);
        page["results"].as_array().unwrap().iter().map(id).collect()
    }

    /// The place of the change log.
    pub(crate) fn changes(&self) -> &'static str {
        if self.since(1) { "core/object-changes" } else { "extras/object-changes" }
    }

    /// The entries of the change log about an object, oldest first.
    #[track_caller]
    pub(crate) fn changes_of(&self, label: &str, id: u64) -> Vec<Value> {
        let place = format!(
            "{}?changed_object_type={label}&changed_object_id={id}&limit=100",
            self.changes()
        );
        let page = self.get(&place).expect(200);
        let mut entries = page["results"].as_array().unwrap().clone();
        entries.sort_by_key(|entry| entry["id"].as_u64());
        entries
    }

    /// Deletes what the test made, the newest first; what needs something else goes in a later round.
    fn tidy_up(&self) -> Result<(), String> {
        let mut left: Vec<_> = self.made.take().into_iter().rev().collect();
        let mut why = String::new();
        for _ in 0..5 {
            why.clear();
            let mut still = Vec::new();
            for (place, id) in left {
                let answer = self.delete(&format!("{place}/{id}"), None);
                if !matches!(answer.status, 204 | 404) {
                    let _ = writeln!(why, "{place}/{id}: {} {}", answer.status, answer.body);
                    still.push((place, id));
                }
            }
            left = still;
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(why)
    }

    /// Leaves everything where it is when the test ends.
    pub(crate) fn forget(&self) {
        self.tidy.set(false);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let left = if self.tidy.get() { self.tidy_up() } else { Ok(()) };
        if let (Err(why), false) = (left, std::thread::panicking()) {
            panic!("cannot delete what the test made: {why}");
        }
    }
}

const JSON: &str = "application/json";

/// The id of an object.
#[track_caller]
pub(crate) fn id(object: &Value) -> u64 {
    object["id"].as_u64().unwrap()
}

/// The address of a place under `/api/`: the slash that NetBox insists on comes before a question mark.
fn address(place: &str) -> String {
    match place.split_once('?') {
        Some((place, query)) => format!("/api/{place}/?{query}"),
        None => format!("/api/{place}/"),
    }
}

fn plain(place: &str) -> &str {
    place.split('?').next().unwrap_or(place)
}

fn release(text: &str) -> Release {
    let numbers = text.split(['.', '-']).map(|part| part.parse::<u32>());
    let mut numbers = numbers.map_while(Result::ok);
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// What most tests stand on: a site, and what a device needs.
pub(crate) struct Ground {
    /// A site's id.
    pub(crate) site: u64,
    /// A device role's id.
    pub(crate) role: u64,
    /// A device type's id.
    pub(crate) device_type: u64,
}

impl Ground {
    /// Makes it.
    #[track_caller]
    pub(crate) fn of(server: &Server) -> Self {
        let name = server.name("ground");
        let manufacturer = server.made("dcim/manufacturers", json!({"name": name, "slug": name}));
        Ground {
            site: server.made("dcim/sites", json!({"name": name, "slug": name})),
            role: server.made("dcim/device-roles", json!({"name": name, "slug": name})),
            device_type: server.made(
                "dcim/device-types",
                json!({"manufacturer": manufacturer, "model": name, "slug": name}),
            ),
        }
    }

    /// A device as it is written, with some fields besides.
    pub(crate) fn device(&self, name: &str, more: &Value) -> Value {
        let mut device = json!({
            "name": name, "site": self.site, "role": self.role, "device_type": self.device_type,
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            device[field] = value.clone();
        }
        device
    }

    /// The id of a device that is made.
    #[track_caller]
    pub(crate) fn made(&self, server: &Server, stem: &str) -> u64 {
        server.made("dcim/devices", self.device(&server.name(stem), &Value::Null))
    }

    /// The ids of a device and an interface that are made.
    #[track_caller]
    pub(crate) fn port(&self, server: &Server, stem: &str) -> (u64, u64) {
        let device = self.made(server, stem);
        (device, port(server, device, "eth0"))
    }
}

/// The id of an interface that is made on a device.
#[track_caller]
pub(crate) fn port(server: &Server, device: u64, name: &str) -> u64 {
    let body = json!({"device": device, "name": name, "type": "1000base-t"});
    server.made("dcim/interfaces", body)
}

/// The id of a VRF that is made, in which addresses are unique.
#[track_caller]
pub(crate) fn vrf(server: &Server) -> u64 {
    server.made("ipam/vrfs", json!({"name": server.name("vrf"), "enforce_unique": true}))
}

/// Whether a text stands in a body somewhere.
pub(crate) fn says(body: &Value, text: &str) -> bool {
    match body {
        Value::String(told) => told.contains(text),
        Value::Array(items) => items.iter().any(|item| says(item, text)),
        Value::Object(entries) => entries.values().any(|value| says(value, text)),
        _ => false,
    }
}
