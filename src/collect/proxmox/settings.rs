//! The settings of a `proxmox` source, checked all at once.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::session::Endpoint;
use super::{Proxmox, Topic};
use crate::collect::{BuildContext, Collector, Problem, SourceSettings};
use crate::domain::name::visible;
use crate::duration::Period;
use crate::http::{Client, Fingerprint, Options, Rate, Trust};
use crate::secret::{ExposeSecret, Places, SecretString};

/// A cluster of Proxmox VE, or one host of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxmoxSettings {
    /// Nodes of the cluster, such as `https://pve1.example.org:8006`. When one cannot be
    /// reached, the next one is asked. A name without scheme gets https and port 8006.
    #[serde(default)]
    endpoints: Vec<String>,
    /// The API token's id, such as `netbox@pve!agent`, where `token` is its secret alone.
    token_id: Option<String>,
    /// The API token: its secret, or whole, such as `netbox@pve!agent=…`.
    #[schemars(with = "Option<String>")]
    token: Option<SecretString>,
    /// A file that holds the token.
    token_file: Option<PathBuf>,
    /// A command that prints the token, run with `sh -c`.
    token_command: Option<String>,
    /// The authorities to trust in place of the machine's own, as a PEM file. A cluster's own
    /// is `/etc/pve/pve-root-ca.pem`.
    ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprints of the certificates to accept: one for all endpoints, or one
    /// for each in their order.
    #[serde(default)]
    fingerprint: Pins,
    /// Whether to verify certificates at all.
    #[serde(default = "yes")]
    verify_tls: bool,
    /// How long one request may take.
    #[serde(default = "thirty_seconds")]
    timeout: Period,
    /// How many requests may begin in a second. Default: as many as can.
    requests_per_second: Option<Rate>,
    /// How many requests are under way at once.
    #[serde(default = "eight")]
    #[schemars(range(min = 1, max = 64))]
    concurrency: usize,
    /// Whether templates are taken for guests too.
    #[serde(default)]
    include_templates: bool,
    /// What not to ask for, though it may be seen; privileges for it are not missed then.
    #[serde(default)]
    exclude: Vec<Topic>,
}

/// One fingerprint or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a SHA-256 fingerprint such as \"E3:B0:…\", or a list of them"
)]
enum Pins {
    One(Fingerprint),
    Each(Vec<Fingerprint>),
}

impl Default for Pins {
    fn default() -> Self {
        Pins::Each(Vec::new())
    }
}

const fn yes() -> bool {
    true
}

const fn thirty_seconds() -> Period {
    Period::seconds(30)
}

const fn eight() -> usize {
    8
}

/// A node that is to be reached is reached within this, or another one is asked.
const CONNECT: Duration = Duration::from_secs(5);

impl SourceSettings for ProxmoxSettings {
    const KIND: &'static str = "proxmox";
    const SUMMARY: &'static str = "a Proxmox VE cluster or host with its guests";
    const SAMPLE: &'static str = r#"
# A Proxmox VE cluster, or one host: nodes, virtual machines, containers. Several
# clusters are several sources.
# [[source]]
# kind = "proxmox"
# name = "homelab"
# Nodes to ask; the next one when one cannot be reached.
# endpoints = ["https://pve1.example.org:8006", "https://pve2.example.org:8006"]
# An API token with the role PVEAuditor on `/`; up to version 8 with a role of
# VM.Monitor on `/` besides, for what guest agents tell. `token` may be the token whole: "netbox@pve!agent=…".
# token_id = "netbox@pve!agent"
# token_file = "/etc/netbox-agent/homelab.token"
# The cluster's authority (/etc/pve/pve-root-ca.pem of a node), or the SHA-256
# fingerprints of the certificates to accept: one for all, or one for each endpoint.
# ca_file = "/etc/netbox-agent/homelab-ca.pem"
# fingerprint = ["E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55"]
# verify_tls = true
# How long one request may take, how many begin in a second, how many are under way.
# timeout = "30s"
# requests_per_second = 50
# concurrency = 8
# Whether templates are taken for guests too.
# include_templates = false
# What not to ask for: "guest-agent", "disks" and "storage" of nodes, "sdn", "pools".
# Privileges for it are not missed then.
# exclude = []
"#;

    fn build(self, context: &BuildContext<'_>) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let mut problems = Vec::new();
        let urls = urls(&self.endpoints, &mut problems);
        let trusts = self.trusts(urls.len(), &mut problems);
        let token = self.token(context, &mut problems);
        let concurrency = NonZeroUsize::new(self.concurrency).filter(|number| number.get() <= 64);
        if concurrency.is_none() {
            problems.push(Problem::new("concurrency", "expected a number from 1 to 64"));
        }
        if self.timeout.0.is_zero() {
            problems.push(Problem::new("timeout", "expected more than no time, such as \"30s\""));
        }
        let (Some((token_id, token)), Some(concurrency), true) =
            (token, concurrency, problems.is_empty())
        else {
            return Err(problems);
        };
        let options = Options {
            timeout: self.timeout.0,
            connect_timeout: self.timeout.0.min(CONNECT),
            rate: self.requests_per_second,
            concurrency,
            // A session knows better what another try is good for, and where.
            retries: 0,
            ..Options::default()
        };
        let endpoints = endpoints(urls, trusts, &options).map_err(|problem| vec![problem])?;
        Ok(Box::new(Proxmox {
            endpoints,
            token_id,
            token,
            concurrency: concurrency.get(),
            include_templates: self.include_templates,
            exclude: self.exclude.into_iter().collect(),
        }))
    }
}

impl ProxmoxSettings {
    /// Whom each endpoint is trusted by. One trust serves all where it may.
    fn trusts(&self, endpoints: usize, problems: &mut Vec<Problem>) -> Vec<Trust> {
        let pins: Vec<Option<Fingerprint>> = match &self.fingerprint {
            Pins::One(pin) => vec![Some(*pin)],
            Pins::Each(pins) if pins.is_empty() => vec![None],
            Pins::Each(pins) => pins.iter().copied().map(Some).collect(),
        };
        if pins.len() > 1 && pins.len() != endpoints {
            problems.push(Problem::new(
                "fingerprint",
                format!(
                    "there are {} fingerprints for {endpoints} endpoints; give one for all, or one for each in their order",
                    pins.len()
                ),
            ));
            return Vec::new();
        }
        let mut trusts = Vec::new();
        for pin in pins {
            match Trust::choose(self.ca_file.as_deref(), pin, self.verify_tls) {
                Ok(trust) => trusts.push(trust),
                Err(problem) => {
                    problems.push(Problem::new(problem.key, problem.message));
                    break;
                }
            }
        }
        trusts
    }

    /// The token's id, and the whole of what is sent.
    fn token(
        &self,
        context: &BuildContext<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<(String, SecretString)> {
        let places = Places {
            text: self.token.clone(),
            file: self.token_file.clone(),
            command: self.token_command.clone(),
        };
        let credential = format!("source.{}.token", context.source);
        let secret = match places.resolve("token", context.credentials, &credential) {
            Ok(Some(secret)) => secret,
            Ok(None) => {
                problems.push(Problem::new("token", "there is no token: set `token`, `token_file` or `token_command` to an API token of Proxmox VE"));
                return None;
            }
            Err(error) => {
                let key = match (&self.token_file, &self.token_command) {
                    (Some(_), None) => "token_file",
                    (None, Some(_)) => "token_command",
                    _ => "token",
                };
                problems.push(Problem::new(key, error.to_string()));
                return None;
            }
        };
        let text = secret.expose_secret().trim();
        let text = text.strip_prefix("PVEAPIToken=").unwrap_or(text);
        let (written, value) = match text.split_once('=') {
            Some((id, value)) => (Some(id), value),
            None => (None, text),
        };
        let id = match (written, self.token_id.as_deref().map(str::trim)) {
            (Some(one), Some(other)) if one != other => {
                problems.push(Problem::new(
                    "token_id",
                    "the token itself names another id; remove one of them",
                ));
                return None;
            }
            (Some(id), _) | (None, Some(id)) => id.to_owned(),
            (None, None) => {
                problems.push(Problem::new("token_id", "the token does not name its id; set `token_id` to it, such as \"netbox@pve!agent\""));
                return None;
            }
        };
        let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let whole = id.split_once('!').is_some_and(|(user, name)| {
            user.split_once('@').is_some_and(|(user, realm)| plain(user) && plain(realm))
                && plain(name)
        });
        if !whole {
            let key = if written.is_some() { "token" } else { "token_id" };
            problems.push(Problem::new(key, "this is not the id of an API token: expected USER@REALM!TOKENID, such as \"netbox@pve!agent\""));
            return None;
        }
        if !plain(value) {
            problems.push(Problem::new(
                "token",
                "this is not the secret of an API token; was it copied whole?",
            ));
            return None;
        }
        let header = SecretString::from(format!("PVEAPIToken={id}={value}"));
        Some((id, header))
    }
}

fn urls(texts: &[String], problems: &mut Vec<Problem>) -> Vec<Url> {
    if texts.is_empty() {
        problems.push(Problem::new(
            "endpoints",
            "no node is named: set `endpoints` to a list such as [\"https://pve1.example.org:8006\"]",
        ));
    }
    let mut urls = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match url(text) {
            Some(url) if urls.contains(&url) => problems.push(Problem::new(
                format!("endpoints[{index}]"),
                "this endpoint is in the list already",
            )),
            Some(url) => urls.push(url),
            None => problems.push(Problem::new(
                format!("endpoints[{index}]"),
                format!(
                    "`{}` is not the address of a node: expected a URL such as https://pve1.example.org:8006",
                    visible(text, 80)
                ),
            )),
        }
    }
    urls
}

/// Where the API of an endpoint begins.
fn url(text: &str) -> Option<Url> {
    let text = text.trim();
    let mut url: Url = if text.contains("://") {
        text.parse().ok()?
    } else {
        let mut url: Url = format!("https://{text}").parse().ok()?;
        // The port of https cannot be told from no port in what was parsed.
        if url.port().is_none() && !text.trim_end_matches('/').ends_with(":443") {
            url.set_port(Some(8006)).ok()?;
        }
        url
    };
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() || !plain {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/api2/json", path.strip_suffix("/api2/json").unwrap_or(path));
    url.set_path(&path);
    Some(url)
}

/// Endpoints with the clients that reach them. All of them share the rate and the number
/// of requests under way; those that trust alike share their connections too.
fn endpoints(
    urls: Vec<Url>,
    trusts: Vec<Trust>,
    options: &Options,
) -> Result<Vec<Endpoint>, Problem> {
    let mut clients: Vec<Client> = Vec::new();
    for trust in trusts {
        let client = match clients.first() {
            Some(first) => first.beside(trust),
            None => Client::new(Options { trust, ..options.clone() }),
        };
        clients.push(client.map_err(|error| Problem::new("", error.to_string()))?);
    }
    let plain = urls.iter().find(|url| url.scheme() == "http");
    if let Some(url) = plain {
        tracing::warn!(
            endpoint = %crate::http::place(url).trim_end_matches("/api2/json"),
            "this endpoint is not encrypted: whoever is on the way can read the token"
        );
    }
    let endpoints = urls.into_iter().zip(clients.iter().cycle());
    Ok(endpoints.map(|(url, client)| Endpoint { url, client: client.clone() }).collect())
}

#[cfg(test)]
mod tests {
    use toml_edit::Value;

    use super::*;
    use crate::collect::{KINDS, Refusal};

    fn build(table: &str) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let table: Value = format!("{{ {table} }}").parse().unwrap();
        let context = BuildContext { source: &"homelab".parse().unwrap(), credentials: None };
        let kind = KINDS.iter().find(|kind| kind.name == "proxmox").unwrap();
        (kind.build)(serde::de::IntoDeserializer::into_deserializer(table), &context).map_err(
            |refusal| match refusal {
                Refusal::Values(problems) => problems,
                Refusal::Shape(problem) => vec![problem],
            },
        )
    }

    fn keys(table: &str) -> Vec<String> {
        build(table).unwrap_err().into_iter().map(|problem| problem.key).collect()
    }

    const PIN: &str = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";

    #[test]
    fn a_token_is_taken_whole_or_in_two_parts() {
        for token in [
            "token = \"root@pam!agent=0f0e\"",
            "token = \"PVEAPIToken=root@pam!agent=0f0e\"",
            "token = \"0f0e\", token_id = \"root@pam!agent\"",
            "token_command = \"echo root@pam!agent=0f0e\"",
        ] {
            let built = build(&format!("endpoints = [\"pve1\"], {token}")).unwrap();
            let shown = format!("{built:?}");
            assert!(shown.contains("root@pam!agent") && !shown.contains("0f0e"), "{shown}");
        }
    }

    #[test]
    fn wrong_settings_are_told_all_at_once() {
        assert_eq!(keys(""), ["endpoints", "token"]);
        assert_eq!(
            keys(
                "endpoints = [\"ftp://pve1\", \"pve1\", \"https://pve1:8006/\", \"\"], token = \"0f0e\", concurrency = 0, timeout = \"0s\""
            ),
            ["endpoints[0]", "endpoints[2]", "endpoints[3]", "token_id", "concurrency", "timeout"]
        );
        let with = |more: &str| {
            keys(&format!("endpoints = [\"pve1\", \"pve2\"], token = \"a@pve!b=c\", {more}"))
        };
        assert_eq!(with("token_id = \"a@pve!z\""), ["token_id"]);
        assert_eq!(with("token_file = \"/x\""), ["token_file"]);
        assert_eq!(
            with(&format!("fingerprint = [\"{PIN}\", \"{PIN}\", \"{PIN}\"]")),
            ["fingerprint"]
        );
        assert_eq!(with(&format!("fingerprint = \"{PIN}\", verify_tls = false")), ["verify_tls"]);
        assert_eq!(with("fingerprint = \"E3\""), ["fingerprint"]);
        assert_eq!(with("exclude = [\"guests\"]"), ["exclude[0]"]);
        assert_eq!(with("ca_file = \"/no/such.pem\""), ["ca_file"]);
        assert_eq!(keys("endpoints = [\"pve1\"], token = \"agent=0f0e\""), ["token"]);
        assert_eq!(
            keys("endpoints = [\"pve1\"], token = \"a b\", token_id = \"a@b!c\""),
            ["token"]
        );
    }

    #[test]
    fn an_address_is_completed_but_never_changed() {
        let shown = |text: &str| url(text).map(|url| url.to_string());
        for (text, expected) in [
            ("pve1", "https://pve1:8006/api2/json"),
            ("pve1:443", "https://pve1/api2/json"),
            ("192.0.2.1", "https://192.0.2.1:8006/api2/json"),
            ("[2001:db8::1]", "https://[2001:db8::1]:8006/api2/json"),
            ("https://pve.example.org", "https://pve.example.org/api2/json"),
            ("https://proxy.example.org/pve/", "https://proxy.example.org/pve/api2/json"),
            ("http://127.0.0.1:8100/api2/json/", "http://127.0.0.1:8100/api2/json"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "https://", "https://a:b@pve1", "pve1?x=1", "ftp://pve1"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn fingerprints_are_one_or_one_for_each() {
        for pins in
            [format!("\"{PIN}\""), format!("[\"{PIN}\"]"), format!("[\"{PIN}\", \"{PIN}\"]")]
        {
            let table =
                format!("endpoints = [\"a\", \"b\"], token = \"a@pve!b=c\", fingerprint = {pins}");
            build(&table).unwrap();
        }
    }
}
