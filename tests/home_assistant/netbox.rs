//! The recorded answers in a NetBox: the one that `NETBOX_URL` and `NETBOX_TOKEN` name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use reqwest::header::AUTHORIZATION;
use serde_json::Value as Json;

use super::agent::Agent;
use super::standin::{NEW, OLD, Script, StandIn, TOKEN};

/// A NetBox that others may use as well.
struct NetBox {
    url: String,
    token: String,
    http: reqwest::Client,
}

impl NetBox {
    fn named() -> Option<Self> {
        let (Ok(url), Ok(token)) = (std::env::var("NETBOX_URL"), std::env::var("NETBOX_TOKEN"))
        else {
            let _ =
                writeln!(std::io::stderr(), "SKIPPED: NETBOX_URL and NETBOX_TOKEN name no NetBox");
            return None;
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Some(NetBox { url: url.trim_end_matches('/').to_owned(), token, http })
    }

    async fn get(&self, path: &str) -> Json {
        let scheme = if self.token.starts_with("nbt_") { "Bearer" } else { "Token" };
        let request = self.http.get(format!("{}/api/{path}", self.url));
        let request = request.header(AUTHORIZATION, format!("{scheme} {}", self.token));
        let text = request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The devices that an agent of this name wrote: what they are, by their ids.
    async fn devices(&self, agent: &str) -> BTreeMap<u64, Vec<String>> {
        let found = self.get(&format!("dcim/devices/?limit=500&tag={agent}")).await;
        let text = |device: &Json, path: &str| {
            device.pointer(path).and_then(Json::as_str).unwrap_or("-").to_owned()
        };
        let what = |device: &Json| {
            let paths = [
                "/device_type/manufacturer/name",
                "/device_type/model",
                "/serial",
                "/platform/name",
                "/location/name",
                "/role/name",
                "/primary_ip4/address",
            ];
            paths.iter().map(|path| text(device, path)).collect()
        };
        let devices = found["results"].as_array().unwrap().iter();
        devices.map(|device| (device["id"].as_u64().unwrap(), what(device))).collect()
    }

    /// How many changes it ever noted; each write that changes something is one.
    async fn changes(&self) -> u64 {
        let place = match self.get("status/").await["netbox-version"].as_str() {
            Some(version) if version.starts_with("4.0.") => "extras/object-changes/?limit=1",
            _ => "core/object-changes/?limit=1",
        };
        self.get(place).await["count"].as_u64().unwrap()
    }

    /// Syncs, and again, of which the second time must write nothing.
    async fn settle(&self, agent: &Agent) {
        agent.run(&["sync"], 0).await;
        let before = self.changes().await;
        let again: Json =
            serde_json::from_str(&agent.run(&["sync", "--format", "json"], 0).await).unwrap();
        assert_eq!(again["summary"]["planned"], 0, "{again:#}");
        assert_eq!(self.changes().await, before, "a second sync writes nothing");
    }
}

#[tokio::test]
async fn both_generations_end_in_the_same_devices_of_a_netbox() {
    let Some(netbox) = NetBox::named() else { return };
    let (old, new) = (StandIn::start(Script::of(OLD)).await, StandIn::start(Script::of(NEW)).await);
    // Always the same: what an earlier run left is found again.
    let tag = "house";
    let more = |extra: &str| {
        let (url, token) = (&netbox.url, &netbox.token);
        format!("{extra}\n[netbox]\nurl = \"{url}/\"\ntoken = \"{token}\"\n")
    };
    let agent = Agent::tagged(tag, &old.url(), TOKEN, &more(""));
    netbox.settle(&agent).await;
    let before = netbox.devices(tag).await;
    assert!(before.len() >= 8, "{before:#?}");

    // Another generation, with other ids: the same devices, the same in all that counts.
    agent.configure(&new.url(), TOKEN, &more(""));
    netbox.settle(&agent).await;
    assert_eq!(netbox.devices(tag).await, before);

    // Whoever has lost all memory finds them again.
    let other = Agent::tagged(tag, &new.url(), TOKEN, &more(""));
    netbox.settle(&other).await;
    assert_eq!(netbox.devices(tag).await, before);
    let serials: BTreeSet<&str> = before.values().map(|what| what[2].as_str()).collect();
    assert!(serials.contains("74ACB9001001"), "{before:#?}");
}
