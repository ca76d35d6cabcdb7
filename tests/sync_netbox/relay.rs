//! The way from the agent to a NetBox: it passes everything on, counts it, and knows
//! what was made. Told to, it stands behind a certificate that nobody signed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// What went through a relay.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ledger {
    /// Method, path and query of each request, in the order of the answers.
    pub(crate) asked: Vec<String>,
    /// Place under `/api/` and id of each object that was made, oldest first.
    pub(crate) made: Vec<(String, u64)>,
}

impl Ledger {
    /// The requests that write.
    pub(crate) fn writes(&self) -> Vec<&str> {
        let reads = |line: &&str| line.starts_with("GET ") || line.starts_with("OPTIONS ");
        self.asked.iter().map(String::as_str).filter(|line| !reads(line)).collect()
    }
}

/// A certificate that signs itself.
pub(crate) struct Certificate {
    /// As a file holds it.
    pub(crate) pem: String,
    der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Certificate {
    /// A certificate for 127.0.0.1.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        // As `openssl req -x509` makes it: marked as an authority.
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Certificate {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A relay that runs until it is dropped.
pub(crate) struct Relay {
    /// Its address, with the scheme.
    pub(crate) url: String,
    ledger: Arc<Mutex<Ledger>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Relay {
    /// A relay to a NetBox.
    pub(crate) fn to(target: &str, certificate: Option<&Certificate>) -> Self {
        // Whichever test comes first installs it; the others find it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (stop, stopped) = oneshot::channel();
        let way = Arc::new(Way {
            target: target.to_owned(),
            client: reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap(),
            ledger: Arc::clone(&ledger),
        });
        let acceptor = certificate.map(Certificate::acceptor);
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, way, acceptor) => {}
                    _ = stopped => {}
                }
            });
        });
        let scheme = if certificate.is_some() { "https" } else { "http" };
        Relay {
            url: format!("{scheme}://{address}"),
            ledger,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What went through it so far; it is forgotten then.
    pub(crate) fn take(&self) -> Ledger {
        std::mem::take(&mut *held(&self.ledger))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked about was said on its own thread.
            let _ = thread.join();
        }
    }
}

fn held(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Way {
    target: String,
    client: reqwest::Client,
    ledger: Arc<Mutex<Ledger>>,
}

async fn serve(listener: TcpListener, way: Arc<Way>, acceptor: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (way, acceptor) = (Arc::clone(&way), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => connection(stream, way).await,
                Some(acceptor) => {
                    // A client that does not trust the certificate goes away here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, way).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, way: Arc<Way>) {
    let service = service_fn(|request| way.pass(request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client may go away whenever it likes.
    let _ = connection.await;
}

/// Headers that belong to one connection, and what follows from the body.
const OF_THE_CONNECTION: [&str; 5] =
    ["host", "connection", "keep-alive", "transfer-encoding", "content-length"];

impl Way {
    async fn pass(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let method = parts.method.clone();
        let mut forward = self.client.request(parts.method, format!("{}{path}", self.target));
        for (name, value) in &parts.headers {
            if !OF_THE_CONNECTION.contains(&name.as_str()) {
                forward = forward.header(name, value);
            }
        }
        let answer = forward.body(body.collect().await?.to_bytes()).send().await?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if !OF_THE_CONNECTION.contains(&name.as_str()) {
                response = response.header(name, value);
            }
        }
        let status = answer.status();
        let body = answer.bytes().await?;
        let mut ledger = held(&self.ledger);
        if method == "POST" && status == 201 {
            ledger.made.extend(made(&path, &body));
        }
        ledger.asked.push(format!("{method} {path}"));
        drop(ledger);
        Ok(response.body(Full::new(body))?)
    }
}

/// The objects that an answer says were made.
fn made(path: &str, body: &[u8]) -> Vec<(String, u64)> {
    let place = path.split('?').next().unwrap_or(path);
    let place = place.trim_start_matches("/api/").trim_end_matches('/');
    let answer: Json = serde_json::from_slice(body).unwrap_or(Json::Null);
    let one = std::slice::from_ref(&answer);
    let objects = answer.as_array().map_or(one, Vec::as_slice);
    let ids = objects.iter().filter_map(|object| object["id"].as_u64());
    ids.map(|id| (place.to_owned(), id)).collect()
}
