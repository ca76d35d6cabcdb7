//! A stand-in for Proxmox VE: a server on loopback that answers as one does, with
//! tokens, permissions that filter silently, nodes that are away, guests that are mute.
//!
//! What it answers was learnt from: the API's own schema of 7.4, 8.4 and 9.2 (fields and
//! their types by version); the answer of the real parser of `/etc/network/interfaces`
//! (`fixtures/nodes_network.json`); the real parser of `net0` strings; the behaviour of
//! servers that people describe (a refused token costs three seconds, an unreachable
//! node is a 595, the reason of an error stands in the status line and only since 2025 in
//! the body, a list leaves out silently what the token may not see). Where an answer
//! follows one of these in particular, its place says so.

mod answers;
mod door;
mod rights;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use serde_json::{Value as Json, json};

use door::Door;

pub(crate) use door::Certificate;
pub(crate) use world::{Broken, Guest, Kind, Pve, Release, Seen, Storage, Twist};

/// The token that the stand-in knows from the start.
pub(crate) const TOKEN_ID: &str = "netbox@pve!agent";
pub(crate) const SECRET: &str = "6f0f2f0a-3c1e-4b7a-9d55-0123456789ab";

/// An answer that is none: the status, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: u16,
    pub reason: String,
    pub errors: Option<Json>,
}

impl Refusal {
    pub(crate) fn new(status: u16, reason: impl Into<String>) -> Self {
        Refusal { status, reason: reason.into(), errors: None }
    }
}

/// A cluster that listens.
pub(crate) struct Standin {
    shared: Arc<Shared>,
    doors: Vec<Door>,
}

struct Shared {
    pve: Mutex<Pve>,
    log: Mutex<Vec<String>>,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

impl Standin {
    /// Opens as many doors to one cluster as are asked for.
    pub(crate) async fn open(pve: Pve, doors: usize) -> Self {
        Standin::behind(pve, &vec![None; doors])
    }

    /// Opens a door for each of these certificates; none is a door without TLS.
    pub(crate) fn behind(pve: Pve, certificates: &[Option<&Certificate>]) -> Self {
        let shared = Arc::new(Shared {
            pve: Mutex::new(pve),
            log: Mutex::default(),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
        });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let doors = certificates.iter().map(|one| Door::open(app.clone(), *one)).collect();
        Standin { shared, doors }
    }

    /// Where its doors are.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.doors.iter().map(|door| door.url.clone()).collect()
    }

    /// Shuts one door for good; what went through it is cut.
    pub(crate) fn shut(&mut self, door: usize) {
        self.doors[door].shut();
    }

    /// The cluster, to be changed.
    pub(crate) fn pve(&self) -> MutexGuard<'_, Pve> {
        self.shared.pve.lock().unwrap()
    }

    /// The requests since the last look.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }

    /// How many requests were under way at once, at most.
    pub(crate) fn busiest(&self) -> usize {
        self.shared.busiest.load(Ordering::SeqCst)
    }
}

/// Counts a request as long as it is under way.
struct Busy<'a>(&'a Shared);

impl<'a> Busy<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let now = shared.busy.fetch_add(1, Ordering::SeqCst) + 1;
        shared.busiest.fetch_max(now, Ordering::SeqCst);
        Busy(shared)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let _busy = Busy::begin(&shared);
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    shared.log.lock().unwrap().push(path.trim_start_matches("/api2/json").to_owned());
    let latency = shared.pve.lock().unwrap().latency;
    tokio::time::sleep(latency).await;
    let token = request.headers().get(header::AUTHORIZATION).cloned();
    let known = {
        let pve = shared.pve.lock().unwrap();
        pve.token_of(token.as_ref().and_then(|value| value.to_str().ok()))
            .map(|token| token.is_ok())
    };
    // A refused token is answered late, so that guessing takes its time.
    if known != Some(true) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let slow = shared.pve.lock().unwrap().slowness(&path);
    tokio::time::sleep(slow).await;
    let mut pve = shared.pve.lock().unwrap();
    let token = token.as_ref().and_then(|value| value.to_str().ok());
    match pve.breakage(&path) {
        Some(Broken::Body(body)) => Response::new(Body::from(body)),
        Some(Broken::Cut) => {
            let end = std::io::Error::other("cut");
            let parts = [Ok(Bytes::from_static(b"{\"data\":")), Err(end)];
            Response::new(Body::from_stream(futures::stream::iter(parts)))
        }
        Some(Broken::Status(status, why)) => write(Err(Refusal::new(status, why)), pve.release),
        None => write(pve.answer(token, &path, &query), pve.release),
    }
}

fn write(found: Result<Json, Refusal>, release: Release) -> Response<Body> {
    let (status, reason, body) = match found {
        Ok(body) => (200, None, body),
        Err(refusal) => {
            // The reason came into the body in January 2025.
            let mut body = json!({ "data": null });
            if release >= Release::V8_4 {
                body["message"] = format!("{}\n", refusal.reason).into();
            }
            if let Some(errors) = refusal.errors {
                body["errors"] = errors;
            }
            (refusal.status, Some(refusal.reason), body)
        }
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let json = HeaderValue::from_static("application/json;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Some(reason) = reason {
        response.extensions_mut().insert(ReasonPhrase::try_from(reason.into_bytes()).unwrap());
    }
    response
}
