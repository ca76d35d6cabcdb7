//! `home_assistant`: the devices of a smart home, over Home Assistant's WebSocket.
//!
//! It reads the registries, never a position: where people are is nobody's business. A
//! token of an ordinary user is enough for the devices; what only administrators may ask
//! is reported as missing. What counts as a device is decided in [`registry`], what is
//! stated of it and by which authority in [`harvest`].

use std::collections::BTreeSet;
use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::debug;
use url::{Host, Url};

use super::{Assignment, BuildContext, CollectError, Collector, Harvest, Problem, SourceSettings};
use crate::domain::name::visible;
use crate::duration::Period;
use crate::http::{Fingerprint, SocketOptions, Trust, place};
use crate::secret::{Places, SecretString};

mod addresses;
mod answers;
mod clients;
mod gather;
mod harvest;
mod machine;
mod make;
mod places;
mod registry;
mod session;

#[cfg(test)]
mod tests;

use session::{Command, Session, Target};

/// Home Assistant, over its WebSocket with a long-lived access token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HomeAssistantSettings {
    /// Where it is, such as `http://homeassistant.local:8123`.
    url: String,
    /// A long-lived access token, from the profile page of a user. It need not be an administrator's.
    #[schemars(with = "Option<String>")]
    token: Option<SecretString>,
    /// A file that holds the token.
    token_file: Option<PathBuf>,
    /// A command that prints the token, run with `sh -c`.
    token_command: Option<String>,
    /// The authorities that signed its certificate, as a PEM file.
    ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the one certificate to accept.
    fingerprint: Option<Fingerprint>,
    /// Whether to verify certificates at all.
    #[serde(default = "yes")]
    verify_tls: bool,
    /// How long one answer may take.
    #[serde(default = "half_a_minute")]
    timeout: Period,
    /// How long to wait for a Home Assistant that restarts while it is asked.
    #[serde(default = "two_minutes")]
    restart_wait: Period,
    /// What to include besides the devices on the network.
    #[serde(default)]
    include: BTreeSet<Include>,
}

/// Devices that are left out unless they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// Devices on Zigbee, each with the hub that it is reached through.
    Zigbee,
    /// Devices on Z-Wave, likewise.
    Zwave,
    /// Devices on Bluetooth, likewise.
    Bluetooth,
    /// Devices that are disabled in Home Assistant.
    Disabled,
    /// Clients that a router saw and of which nothing else is known, such as phones.
    Trackers,
}

const fn yes() -> bool {
    true
}

const fn half_a_minute() -> Period {
    Period::seconds(30)
}

const fn two_minutes() -> Period {
    Period::seconds(120)
}

/// The longest answer in bytes: the states of some 100,000 entities.
const LONGEST: usize = 64 * 1024 * 1024;

impl SourceSettings for HomeAssistantSettings {
    const KIND: &'static str = "home_assistant";
    const SUMMARY: &'static str = "the devices of a smart home";
    const SAMPLE: &'static str = r#"
# Home Assistant: its devices with a MAC address or an address of their own.
# [[source]]
# kind = "home_assistant"
# name = "ha"
# url = "http://homeassistant.local:8123"
# A long-lived access token, made at the end of a user's profile page; or `token_file`,
# `token_command`, or the systemd credential `source.ha.token`. The user need not be an
# administrator; with one, Home Assistant's own machine and DHCP discoveries are seen too.
# token_file = "/etc/netbox-agent/ha.token"
# The authorities that signed its certificate, or the SHA-256 fingerprint of the one to
# accept; without verifying, whoever is on the way can read the token.
# ca_file = "/etc/netbox-agent/ca.pem"
# fingerprint = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55"
# verify_tls = true
# How long one answer may take, and how long to wait for one that restarts meanwhile.
# timeout = "30s"
# restart_wait = "2m"
# What to include besides: devices on "zigbee", "zwave" and "bluetooth" (each with the hub
# that it is reached through), "disabled" ones, and "trackers": clients that a router saw.
# include = ["zigbee"]
"#;

    fn build(self, context: &BuildContext<'_>) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let mut problems = Vec::new();
        let url = base(&self.url).map_err(|message| problems.push(Problem::new("url", message)));
        let trust = Trust::choose(self.ca_file.as_deref(), self.fingerprint, self.verify_tls)
            .map_err(|problem| problems.push(Problem::new(problem.key, problem.message)));
        let token = self.token(context).map_err(|problem| problems.push(problem));
        for (key, period) in [("timeout", self.timeout), ("restart_wait", self.restart_wait)] {
            if period.0.is_zero() && key == "timeout" {
                problems.push(Problem::new(key, "expected more than no time, such as \"30s\""));
            } else if period > Period::hours(1) {
                problems.push(Problem::new(key, "expected at most an hour, such as \"2m\""));
            }
        }
        match (url, trust, token) {
            (Ok(url), Ok(trust), Ok(token)) if problems.is_empty() => Ok(Box::new(HomeAssistant {
                target: Target {
                    socket: socket_url(&url),
                    token,
                    options: SocketOptions { trust, timeout: self.timeout.0, max_message: LONGEST },
                    restart_wait: self.restart_wait.0,
                },
                include: self.include,
            })),
            _ => Err(problems),
        }
    }
}

impl HomeAssistantSettings {
    fn token(&self, context: &BuildContext<'_>) -> Result<SecretString, Problem> {
        let places = Places {
            text: self.token.clone(),
            file: self.token_file.clone(),
            command: self.token_command.clone(),
        };
        let key = match (&places.file, &places.command) {
            (Some(_), _) => "token_file",
            (None, Some(_)) => "token_command",
            (None, None) => "token",
        };
        let credential = format!("source.{}.token", context.source);
        match places.resolve("token", context.credentials, &credential) {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(Problem::new(
                "token",
                format!(
                    "it needs a long-lived access token, from the profile page of a user: set `token_file`, `token`, `token_command` or the systemd credential {credential}"
                ),
            )),
            Err(error) => Err(Problem::new(key, error.to_string())),
        }
    }
}

/// Where Home Assistant is, of what a person wrote.
fn base(text: &str) -> Result<Url, String> {
    let shown = visible(text, 100);
    let url = Url::parse(text.trim()).ok().filter(|url| url.has_host()).ok_or_else(|| {
        format!("`{shown}` is not a URL: expected one such as http://homeassistant.local:8123")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected a URL that begins with http:// or https://, not `{shown}`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or a password; set `token` instead".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "expected a URL without anything behind ? or #, not `{}`",
            place(&url)
        ));
    }
    Ok(url)
}

/// Where the WebSocket is. Add-ons reach it by the Supervisor, at another path.
fn socket_url(base: &Url) -> Url {
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/');
    let tail = match path {
        done if done.ends_with("/websocket") => "",
        "/core" if base.host_str() == Some("supervisor") => "/websocket",
        _ => "/api/websocket",
    };
    url.set_path(&format!("{path}{tail}"));
    url
}

/// A Home Assistant that is ready to be asked.
#[derive(Debug)]
struct HomeAssistant {
    target: Target,
    include: BTreeSet<Include>,
}

#[async_trait]
impl Collector for HomeAssistant {
    async fn check(&self, assignment: &Assignment) -> Option<Result<String, CollectError>> {
        let mut session = Session::new(&self.target, assignment);
        let asked = session.ask(&Command::plain("get_config")).await;
        let version = session.config.as_ref().and_then(|config| config.version.get());
        let answers = format!("Home Assistant {} answers", version.unwrap_or_default());
        session.close().await;
        Some(asked.map(|_| answers).map_err(|end| end.into_error(&self.target)))
    }

    async fn collect(&self, assignment: &Assignment) -> Result<Harvest, CollectError> {
        let mut session = Session::new(&self.target, assignment);
        let told = gather::gather(&mut session).await;
        session.close().await;
        let told = told.map_err(|end| end.into_error(&self.target))?;
        if told.devices.is_none() {
            let why = told.gaps.iter().find(|gap| gap.what == gather::DEVICES);
            return Err(CollectError::Failed(format!(
                "cannot read {} of {}: {}",
                gather::DEVICES,
                place(&self.target.socket),
                why.map_or("it was not answered", |gap| gap.why.as_str())
            )));
        }
        let host_name = match self.target.socket.host() {
            Some(Host::Domain(name)) if !matches!(name, "localhost" | "supervisor") => Some(name),
            _ => None,
        };
        let wishes = harvest::Wishes {
            include: &self.include,
            host_name,
            port: self.target.socket.port_or_known_default(),
        };
        let harvest = harvest::harvest(&told, &wishes, assignment);
        debug!(
            source = %assignment.source,
            devices = told.devices.map_or(0, |devices| devices.len()),
            observations = harvest.observations.len(),
            "home assistant was read"
        );
        Ok(harvest)
    }
}
