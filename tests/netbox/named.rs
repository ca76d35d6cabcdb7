//! The real NetBox that the environment names in the stand-in's place. One that no test
//! can use ends the whole run with one line, rather than each test with its own riddle.

use reqwest::{Client, Method};
use serde_json::Value;
use std::env;
use std::io::Write;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// A real NetBox.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// Its address, without a slash at the end.
    pub(crate) url: String,
    /// A token that may write everything.
    pub(crate) token: String,
    /// A token that may only read, where one is named.
    pub(crate) read_only: Option<String>,
}

/// The NetBox that `NETBOX_URL`, `NETBOX_TOKEN` and perhaps `NETBOX_READ_ONLY_TOKEN` name.
pub(crate) fn named() -> Option<&'static Named> {
    static NAMED: OnceLock<Option<Named>> = OnceLock::new();
    NAMED.get_or_init(|| looked_at().unwrap_or_else(|what| give_up(&what))).as_ref()
}

/// The header that a token is sent in.
pub(crate) fn authorization(token: &str) -> String {
    if token.starts_with("nbt_") { format!("Bearer {token}") } else { format!("Token {token}") }
}

fn looked_at() -> Result<Option<Named>, String> {
    let given = |name: &str| env::var(name).ok().map(|text| text.trim().to_owned());
    let Some(url) = given("NETBOX_URL") else {
        return Ok(None);
    };
    // Whoever set it did not mean the stand-in.
    if url.is_empty() {
        return Err("NETBOX_URL is set and empty; name a NetBox, or unset it".to_owned());
    }
    let token = given("NETBOX_TOKEN").filter(|token| !token.is_empty());
    let token = token.ok_or("NETBOX_URL is set and NETBOX_TOKEN is not; set both, or neither")?;
    let url = url.trim_end_matches('/').to_owned();
    let named = Named {
        url,
        token,
        read_only: given("NETBOX_READ_ONLY_TOKEN").filter(|token| !token.is_empty()),
    };
    let asked = named.clone();
    // A thread of its own: a test may have a runtime of its own already.
    let usable = thread::spawn(move || usable(&asked)).join();
    usable.map_err(|_| "the NetBox could not be asked".to_owned())??;
    Ok(Some(named))
}

/// Whether the token is accepted and may write, as far as NetBox tells without a write.
fn usable(named: &Named) -> Result<(), String> {
    let Named { url, token, .. } = named;
    let (status, body) = ask(named, Method::GET, "status").map_err(|error| {
        format!("cannot reach the NetBox that NETBOX_URL names, {url}: {error}")
    })?;
    match status {
        200 if body["netbox-version"].is_string() => {}
        401 | 403 => {
            let said = body["detail"].as_str().unwrap_or("it says nothing of why");
            return Err(format!("{url} does not accept the token in NETBOX_TOKEN: {said}"));
        }
        _ => return Err(format!("NETBOX_URL names no NetBox: {url}/api/status/ answers {status}")),
    }
    for place in ["dcim/devices", "ipam/ip-addresses", "extras/tags"] {
        let (_, body) = ask(named, Method::OPTIONS, place)
            .map_err(|error| format!("cannot ask {url} what the token may do: {error}"))?;
        if body["actions"]["POST"].is_null() {
            let end = token.chars().skip(token.chars().count().saturating_sub(4));
            return Err(format!(
                "the token in NETBOX_TOKEN (…{}) may not write {place} in {url}; name one that may write everything",
                end.collect::<String>()
            ));
        }
    }
    Ok(())
}

fn ask(named: &Named, method: Method, place: &str) -> Result<(u16, Value), String> {
    // Whoever comes first installs it; the others find it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let asked = async {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let request = client
            .request(method, format!("{}/api/{place}/", named.url))
            .header("Authorization", authorization(&named.token))
            .header("Content-Type", "application/json");
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    };
    runtime.block_on(asked).map_err(|error: reqwest::Error| {
        // The last cause is what a person can do something about.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string()
    })
}

/// Ends the process. What a test prints is kept from the reader unless it fails, and this
/// is no failure of one test: the line goes past all that.
fn give_up(what: &str) -> ! {
    // There is nobody to tell that nobody can be told.
    let _ = writeln!(std::io::stderr(), "error: {what}");
    std::process::exit(1);
}
