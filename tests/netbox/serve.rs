//! The stand-in on the wire: connections, what is too long, what is cut, what waits.

use super::Inner;
use super::answer::{Answer, Body, Request};
use super::api;
use super::faults::What;
use super::ledger::Write;
use super::refusal::crash;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The longest request line, in bytes; gunicorn takes no longer one.
const LONGEST_LINE: usize = 4094;

/// Serves until the task ends.
pub(crate) async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    inner.state().ledger.connections += 1;
                    connections.spawn(connection(stream, Arc::clone(&inner)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// When a connection was last used, and whether it is now.
#[derive(Debug)]
struct Use {
    since: Instant,
    last: AtomicU64,
    now: AtomicUsize,
}

impl Use {
    fn touch(&self) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        if self.now.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(last)
    }
}

async fn connection(stream: TcpStream, inner: Arc<Inner>) {
    let used =
        Arc::new(Use { since: Instant::now(), last: AtomicU64::new(0), now: AtomicUsize::new(0) });
    let patience = inner.idle;
    let service = {
        let used = Arc::clone(&used);
        service_fn(move |request| {
            let (inner, used) = (Arc::clone(&inner), Arc::clone(&used));
            async move {
                used.now.fetch_add(1, Ordering::Relaxed);
                let answer = answered(request, &inner).await;
                used.touch();
                used.now.fetch_sub(1, Ordering::Relaxed);
                answer
            }
        })
    };
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let Some(patience) = patience else {
        // A client that goes away in the middle is no concern of the stand-in's.
        let _ = connection.await;
        return;
    };
    loop {
        let left = patience.saturating_sub(used.idle()).max(Duration::from_millis(5));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(left) => {
                if used.idle() >= patience {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                    return;
                }
            }
        }
    }
}

type Answered = Result<Response<Full<Bytes>>, io::Error>;

async fn answered(request: hyper::Request<Incoming>, inner: &Inner) -> Answered {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let line = method.len() + target.len() + " HTTP/1.1 ".len();
    if line > LONGEST_LINE {
        return Ok(too_long(line));
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = read(&parts.headers, &method, &target, body.to_vec());
    let (answer, waits) = struck(&request, &target, inner);
    tokio::time::sleep(waits).await;
    answer.map(|answer| respond(&method, answer))
}

fn read(headers: &HeaderMap, method: &str, target: &str, body: Vec<u8>) -> Request {
    let header = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        host: header("host").unwrap_or_default(),
        authorization: header("authorization"),
        content_type: header("content-type"),
        if_match: header("if-match"),
        body,
    }
}

/// A request with what goes wrong with it, and how long it takes.
fn struck(request: &Request, target: &str, inner: &Inner) -> (Result<Answer, io::Error>, Duration) {
    let mut state = inner.state();
    let write = !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let objects = body.as_array().map_or(1, Vec::len) * usize::from(write);
    let mut waits = state.faults.duration(objects);
    let too_big = state.faults.longest_body.is_some_and(|most| request.body.len() > most);
    let what = if too_big { None } else { state.faults.strike(write) };
    let cut = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
    let answer = match what {
        _ if too_big => Ok(proxy(413, None)),
        Some(What::Answer { status, retry_after }) => Ok(proxy(status, retry_after)),
        Some(What::Deadlock) => {
            let version = state.store.version;
            Ok(Answer::json(
                500,
                crash(
                    version,
                    "deadlock detected\nDETAIL:  Two processes waited for each other.",
                    "OperationalError",
                ),
            ))
        }
        Some(What::Cut) => cut(),
        Some(What::CutAfterwards) => {
            state.handle(request);
            cut()
        }
        Some(What::AnswerAfterwards { status }) => {
            state.handle(request);
            Ok(proxy(status, None))
        }
        Some(What::Delay { milliseconds }) => {
            waits += Duration::from_millis(milliseconds);
            Ok(state.handle(request))
        }
        None => Ok(state.handle(request)),
    };
    let ledger = &mut state.ledger;
    *ledger.methods.entry(request.method.clone()).or_default() += 1;
    if write {
        ledger.writes.push(Write {
            method: request.method.clone(),
            path: target.to_owned(),
            body,
            status: answer.as_ref().ok().map(|answer| answer.status),
        });
    } else {
        ledger.reads.push(format!("{} {target}", request.method));
    }
    (answer, waits)
}

impl super::State {
    /// NetBox's answer to a request.
    pub(crate) fn handle(&mut self, request: &Request) -> Answer {
        let answer = api::answer(&mut self.store, &self.tokens, request);
        self.store.commit();
        answer
    }
}

/// An answer of a proxy before NetBox.
fn proxy(status: u16, retry_after: Option<u64>) -> Answer {
    let title = StatusCode::from_u16(status)
        .map_or("Error", |status| status.canonical_reason().unwrap_or("Error"));
    let text = format!(
        "<html><head><title>{status} {title}</title></head><body><center><h1>{status} {title}</h1></center><hr><center>nginx</center></body></html>"
    );
    let answer = Answer { status, headers: Vec::new(), body: Body::Html(text) };
    match retry_after {
        Some(seconds) => answer.with("Retry-After", seconds.to_string()),
        None => answer,
    }
}

fn too_long(line: usize) -> Response<Full<Bytes>> {
    let line = line.min(8192);
    let text = format!(
        "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n  <body>\n    <h1><p>Bad Request</p></h1>\n    Request Line is too large ({line} &gt; {LONGEST_LINE})\n  </body>\n</html>\n"
    );
    let answer = Answer {
        status: 400,
        headers: vec![("Connection", "close".to_owned())],
        body: Body::Html(text),
    };
    respond("GET", answer)
}

fn respond(method: &str, answer: Answer) -> Response<Full<Bytes>> {
    let (kind, text) = match answer.body {
        Body::Empty => (None, String::new()),
        Body::Json(body) => (Some("application/json"), body.to_string()),
        Body::Html(text) => (Some("text/html; charset=utf-8"), text),
    };
    let text = if method == "HEAD" { String::new() } else { text };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = kind.map(|kind| ("Content-Type", kind.to_owned()));
    for (name, value) in answer.headers.into_iter().chain(kind) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
