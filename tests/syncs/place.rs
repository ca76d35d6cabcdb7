//! The NetBox that syncs are tested with, and a person who works in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value as Json;
use tokio::runtime::Runtime;

use crate::netbox::{StandIn, TOKEN, Version};

/// What runs beside a test: its proxies, and the requests of its person.
pub(crate) static BESIDE: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// Tests take turns on a real NetBox: what one does to it would change how another runs.
static TURN: Mutex<()> = Mutex::new(());

/// A NetBox and who may write into it.
pub(crate) struct Place {
    pub url: String,
    pub token: String,
    standin: Option<StandIn>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Place {
    /// The NetBox that the environment names, or else a stand-in for a version.
    pub(crate) fn of(version: Version) -> Self {
        let Ok(url) = std::env::var("NETBOX_URL") else {
            let standin = StandIn::start(version);
            let (url, token) = (standin.url(), TOKEN.to_owned());
            return Place { url, token, standin: Some(standin), _turn: None };
        };
        let token =
            std::env::var("NETBOX_TOKEN").expect("NETBOX_URL needs a NETBOX_TOKEN beside it");
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Place { url: url.trim_end_matches('/').to_owned(), token, standin: None, _turn: Some(turn) }
    }

    /// The same for the newest version that was tested.
    pub(crate) fn new() -> Self {
        Place::of(Version::V4_6)
    }

    /// Whether it is a real NetBox, which takes its time.
    pub(crate) fn is_real(&self) -> bool {
        self.standin.is_none()
    }

    /// Whether it has MAC addresses as objects of their own.
    pub(crate) fn has_macs(&self) -> bool {
        self.ask("GET", "dcim/mac-addresses/?limit=1", None).0 == 200
    }

    /// The stand-in, where it is one.
    pub(crate) fn standin(&mut self) -> Option<&mut StandIn> {
        self.standin.as_mut()
    }

    /// Asks for something as a person does: the status and the body of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
        // Whichever test comes first installs it; the others find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(120))
            .build()
            .unwrap();
        let method: Method = method.parse().unwrap();
        let scheme = if self.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let mut request = client
            .request(method, format!("{}/api/{path}", self.url))
            .header(AUTHORIZATION, format!("{scheme} {}", self.token))
            .header(CONTENT_TYPE, "application/json");
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        BESIDE.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Json::String(text)))
        })
    }

    /// Writes as a person does; it must go well.
    pub(crate) fn write(&self, method: &str, path: &str, body: &Json) -> Json {
        let (status, answer) = self.ask(method, path, Some(body));
        assert!((200..300).contains(&status), "{method} {path} {body}: {status} {answer}");
        answer
    }

    /// Every object of a place that a test takes for its own.
    pub(crate) fn all(&self, path: &str, own: impl Fn(&Json) -> bool) -> Vec<Json> {
        let mut found = Vec::new();
        let mut offset = 0;
        loop {
            let (status, page) =
                self.ask("GET", &format!("{path}/?limit=1000&offset={offset}"), None);
            if status == 404 {
                return found;
            }
            assert_eq!(status, 200, "{path}: {page}");
            let rows = page["results"].as_array().unwrap();
            offset += rows.len();
            found.extend(rows.iter().filter(|row| own(row)).cloned());
            if rows.is_empty() || page["next"].is_null() {
                return found;
            }
        }
    }

    /// The number of entries of the change log: what was written at all.
    pub(crate) fn written(&self) -> u64 {
        let old = self.ask("GET", "core/object-changes/?limit=1", None);
        let (_, page) = match old {
            (200, _) => old,
            _ => self.ask("GET", "extras/object-changes/?limit=1", None),
        };
        page["count"].as_u64().unwrap()
    }

    /// How often each thing stands that belongs to a network named by a word, by what it
    /// is known by besides its id. A 2 is a duplicate.
    pub(crate) fn census(&self, word: &str) -> BTreeMap<String, usize> {
        let mut census = BTreeMap::new();
        let mut count = |what: String| *census.entry(what).or_insert(0) += 1;
        let text = |row: &Json, at: &str| row.pointer(at).map(plain).unwrap_or_default();
        let here = |row: &Json| text(row, "/site/name") == word;
        let devices = self.all("dcim/devices", here);
        let ids: Vec<u64> = devices.iter().filter_map(|device| device["id"].as_u64()).collect();
        let on_own = |row: &Json, at: &str| {
            row.pointer(at).and_then(Json::as_u64).is_some_and(|id| ids.contains(&id))
        };
        for device in &devices {
            count(format!("device {}", text(device, "/name").to_lowercase()));
        }
        for port in self.all("dcim/interfaces", |row| on_own(row, "/device/id")) {
            count(format!("interface {} {}", text(&port, "/device/name"), text(&port, "/name")));
        }
        let on = "/assigned_object/device/id";
        let macs = self
            .all("dcim/mac-addresses", |row| on_own(row, on) || row["assigned_object"].is_null());
        // One that is on nothing counts where it is the same as one on a device.
        let of_own: BTreeSet<String> = macs
            .iter()
            .filter(|mac| on_own(mac, on))
            .map(|mac| text(mac, "/mac_address"))
            .collect();
        for mac in macs.iter().map(|mac| text(mac, "/mac_address")) {
            if of_own.contains(&mac) {
                count(format!("mac {mac}"));
            }
        }
        for ip in self.all("ipam/ip-addresses", |row| text(row, "/vrf/name") == word) {
            let address = text(&ip, "/address");
            count(format!("ip {}", address.split('/').next().unwrap_or("")));
        }
        for prefix in self.all("ipam/prefixes", |row| text(row, "/vrf/name") == word) {
            count(format!("prefix {}", text(&prefix, "/prefix")));
        }
        let parent = |row: &Json| on_own(row, "/device/id") || on_own(row, "/parent_object_id");
        for service in self.all("ipam/services", parent) {
            let host = text(&service, "/device/name") + &text(&service, "/parent/name");
            count(format!("service {host} {}", text(&service, "/name")));
        }
        for path in ["dcim/sites", "dcim/manufacturers", "ipam/vrfs", "extras/tags"] {
            for row in self.all(path, |row| text(row, "/name").starts_with(word)) {
                count(format!("{path} {}", text(&row, "/name")));
            }
        }
        for path in ["dcim/device-types", "dcim/device-roles", "extras/custom-fields"] {
            for row in self.all(path, |_| true) {
                let maker = text(&row, "/manufacturer/name");
                count(format!("{path} {maker} {}{}", text(&row, "/model"), text(&row, "/name")));
            }
        }
        census
    }

    /// Asserts that everything stands once, and so many things at least.
    #[track_caller]
    pub(crate) fn assert_once(&self, word: &str, at_least: usize) {
        let census = self.census(word);
        let twins: Vec<_> = census.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twins.is_empty(), "these stand more than once: {twins:#?}");
        assert!(census.len() >= at_least, "{} of {at_least}: {census:#?}", census.len());
    }

    /// The one device of a name in a network.
    #[track_caller]
    pub(crate) fn device(&self, name: &str) -> Json {
        let mut found = self.all("dcim/devices", |row| row["name"] == name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found.remove(0)
    }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
