//! The client against real sockets on loopback: TLS, retries, limits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::secret::SecretString;
use std::sync::Arc;

/// What the server does with one request: these bytes, or none.
type Script = fn(usize, &str) -> String;

/// Answers requests one connection each by a script, and counts them.
struct Server {
    port: u16,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(script: Script, tls: Option<TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, counter) = (tls.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, script, &counter).await;
                            }
                        }
                        None => answer(stream, script, &counter).await,
                    }
                });
            }
        });
        Server { port, requests, task }
    }

    fn url(&self, scheme: &str, path: &str) -> url::Url {
        let host = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{scheme}://{host}:{}{path}", self.port).parse().unwrap()
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn answer(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    script: Script,
    counter: &AtomicUsize,
) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend_from_slice(&chunk[..length]),
        }
    }
    let number = counter.fetch_add(1, Ordering::SeqCst);
    let text = script(number, &String::from_utf8_lossy(&head));
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn status(line: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {line}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A server's certificate, what signed it, and what serves it.
pub(super) struct Identity {
    pub(super) authority: String,
    pub(super) leaf: String,
    pub(super) pin: Fingerprint,
    pub(super) acceptor: TlsAcceptor,
}

pub(super) fn identity(name: &str, self_signed: bool) -> Identity {
    identity_until(name, self_signed, 2095)
}

fn identity_until(name: &str, self_signed: bool, year: i32) -> Identity {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    let leaf = if self_signed {
        // As `openssl req -x509` makes it: marked as an authority.
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap()
    } else {
        params.signed_by(&key, &authority).unwrap()
    };
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], private)
    .unwrap();
    Identity {
        authority: authority.pem(),
        leaf: leaf.pem(),
        pin: Fingerprint::of(leaf.der()),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

fn client(trust: Trust) -> Client {
    Client::new(Options { trust, timeout: Duration::from_secs(5), ..Options::default() }).unwrap()
}

fn trusting(pem: &str) -> Trust {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    Trust::choose(Some(&path), None, true).unwrap()
}

async fn fetch(client: &Client, url: url::Url) -> Result<String, HttpError> {
    client.get(url).send().await.map(|response| response.text())
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_with_what_to_do() {
    let identity = identity("localhost", true);
    let server = Server::start(|_, _| ok("hello"), Some(identity.acceptor.clone())).await;
    let error =
        fetch(&client(Trust::System), server.url("https", "/api/?token=s3cret")).await.unwrap_err();
    let HttpError::Tls { fingerprint, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*fingerprint, Some(identity.pin));
    let text = error.to_string();
    for part in ["self-signed", "`ca_file`", "`fingerprint`", &identity.pin.to_string()] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(server.requests(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused_by_whomever_it_was_signed() {
    for self_signed in [true, false] {
        let identity = identity_until("localhost", self_signed, 2020);
        let server = Server::start(|_, _| ok("hello"), Some(identity.acceptor.clone())).await;
        let trust = trusting(if self_signed { &identity.leaf } else { &identity.authority });
        let error = fetch(&client(trust), server.url("https", "/")).await.unwrap_err().to_string();
        assert!(error.contains("has expired; renew it"), "{self_signed}: {error}");
        assert_eq!(server.requests(), 0, "nothing was sent");
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_accepted_and_no_other() {
    let identity = identity("elsewhere.example", true);
    let server = Server::start(|_, _| ok("hello"), Some(identity.acceptor.clone())).await;
    let url = server.url("https", "/");
    let right = fetch(&client(Trust::Pin(identity.pin)), url.clone()).await;
    assert_eq!(right.unwrap(), "hello");
    let wrong = fetch(&client(Trust::Pin(Fingerprint([7; 32]))), url).await;
    let text = wrong.unwrap_err().to_string();
    assert!(text.contains(&Fingerprint([7; 32]).to_string()), "{text}");
    assert!(text.contains(&identity.pin.to_string()), "{text}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_file_of_authorities_decides_for_the_names_they_signed() {
    let identity = identity("localhost", false);
    let server = Server::start(|_, _| ok("hello"), Some(identity.acceptor.clone())).await;
    let url = server.url("https", "/");
    let right = fetch(&client(trusting(&identity.authority)), url.clone()).await;
    assert_eq!(right.unwrap(), "hello");
    let stranger = self::identity("localhost", false).authority;
    assert!(matches!(
        fetch(&client(trusting(&stranger)), url.clone()).await,
        Err(HttpError::Tls { .. })
    ));
    let mut by_address = url;
    by_address.set_host(Some("127.0.0.1")).unwrap();
    let error = fetch(&client(trusting(&identity.authority)), by_address).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("not for `127.0.0.1`"), "{text}");
}

#[tokio::test]
async fn a_self_signed_certificate_may_be_its_own_authority() {
    let identity = identity("localhost", true);
    let server = Server::start(|_, _| ok("hello"), Some(identity.acceptor.clone())).await;
    let found = fetch(&client(trusting(&identity.leaf)), server.url("https", "/")).await;
    assert_eq!(found.unwrap(), "hello");
}

#[tokio::test]
async fn verification_can_be_switched_off_when_asked() {
    let identity = identity("elsewhere.example", true);
    let server = Server::start(|_, _| ok("hello"), Some(identity.acceptor.clone())).await;
    let found = fetch(&client(Trust::Anyone), server.url("https", "/")).await;
    assert_eq!(found.unwrap(), "hello");
}

#[tokio::test]
async fn too_many_requests_are_waited_for_as_long_as_the_server_asks() {
    let server = Server::start(
        |number, _| match number {
            0 => status("429 Too Many Requests", "retry-after: 1\r\n", ""),
            _ => ok("hello"),
        },
        None,
    )
    .await;
    let begun = Instant::now();
    let request = client(Trust::System).request(Method::POST, server.url("http", "/"));
    assert_eq!(request.send().await.unwrap().text(), "hello");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_server_that_asks_for_an_hour_is_not_waited_for() {
    let server =
        Server::start(|_, _| status("429 Too Many Requests", "retry-after: 3600\r\n", ""), None)
            .await;
    let error = fetch(&client(Trust::System), server.url("http", "/")).await;
    assert_eq!(error.unwrap_err().code(), Some(429));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn bad_gateways_and_cut_connections_are_tried_again_when_reading() {
    let server = Server::start(
        |number, _| match number {
            0 => status("502 Bad Gateway", "", ""),
            1 => String::new(),
            2 => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_owned(),
            _ => ok("hello"),
        },
        None,
    )
    .await;
    let found = fetch(&client(Trust::System), server.url("http", "/")).await;
    assert_eq!(found.unwrap(), "hello");
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn what_may_have_been_written_is_not_written_again() {
    for script in [(|_, _| String::new()) as Script, |_, _| status("502 Bad Gateway", "", "")] {
        let server = Server::start(script, None).await;
        let request = client(Trust::System).request(Method::POST, server.url("http", "/"));
        let error = request.json(&[1]).send().await.unwrap_err();
        assert_eq!(server.requests(), 1, "{error}");
        if let HttpError::Unreachable { delivered, .. } = error {
            assert!(delivered);
        }
    }
}

#[tokio::test]
async fn nothing_that_listens_is_told_as_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let error = fetch(&client(Trust::System), url).await.unwrap_err();
    assert!(
        matches!(&error, HttpError::Unreachable { reason: Silence::Refused, delivered: false, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_wrong_one_of_http_and_https_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = format!("https://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A hello of TLS is no line of HTTP: servers say so at once.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(status("400 Bad Request", "", "no").as_bytes()).await;
        }
    });
    let error = fetch(&client(Trust::System), plain.parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().ends_with(": it speaks no TLS; is it http://?"), "{error}");
    server.abort();
    let acceptor = identity("localhost", true).acceptor;
    let tls = Server::start(|_, _| ok("hello"), Some(acceptor)).await;
    let error = fetch(&client(Trust::System), tls.url("http", "/")).await.unwrap_err();
    assert!(error.to_string().ends_with("HTTP; is it https://?"), "{error}");
}

#[tokio::test]
async fn a_name_that_cannot_exist_is_told_as_such() {
    let url = format!("http://{}.example/", "a".repeat(64)).parse().unwrap();
    let error = fetch(&client(Trust::System), url).await.unwrap_err();
    assert!(
        matches!(&error, HttpError::Unreachable { reason: Silence::NoSuchName(_), .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = client(Trust::System);
    let request =
        client.request(Method::POST, url.parse().unwrap()).timeout(Duration::from_millis(100));
    let error = request.send().await.unwrap_err();
    assert!(
        matches!(error, HttpError::Unreachable { reason: Silence::TimedOut, delivered: true, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = Server::start(|_, _| ok(&"x".repeat(10_000)), None).await;
    let request = client(Trust::System).get(server.url("http", "/"));
    let error = request.max_body(1_000).send().await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { limit: 1_000, .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_server_when_reading() {
    let script: Script = |_, head| match head {
        head if head.starts_with("GET /a ") => {
            status("301 Moved Permanently", "location: /b\r\n", "")
        }
        head if head.starts_with("GET /c ") => {
            status("302 Found", "location: http://other.example/x?y=z\r\n", "")
        }
        head if head.starts_with("GET /loop ") => status("302 Found", "location: /loop\r\n", ""),
        head if head.starts_with("POST") => status("301 Moved Permanently", "location: /b\r\n", ""),
        _ => ok("here"),
    };
    let server = Server::start(script, None).await;
    let client = client(Trust::System);
    let found = fetch(&client, server.url("http", "/a")).await;
    assert_eq!(found.unwrap(), "here");
    for path in ["/c", "/loop"] {
        let error = fetch(&client, server.url("http", path)).await.unwrap_err();
        assert!(matches!(error, HttpError::Redirected { .. }), "{error:?}");
        assert!(!error.to_string().contains("y=z"), "{error}");
    }
    let post = client.request(Method::POST, server.url("http", "/p"));
    assert!(matches!(post.send().await, Err(HttpError::Redirected { .. })));
}

#[tokio::test]
async fn a_secret_that_the_server_echoes_is_not_shown() {
    let server = Server::start(
        |_, head| {
            let token = head.lines().find(|line| line.starts_with("authorization"));
            status("403 Forbidden", "", token.unwrap_or("no token"))
        },
        None,
    )
    .await;
    let token = SecretString::from("Token 0123456789abcdef");
    let request = client(Trust::System)
        .get(server.url("http", "/"))
        .secret_header(header::AUTHORIZATION, &token);
    assert!(!format!("{request:?}").contains("0123456789abcdef"));
    let error = request.send().await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("[redacted]") && !text.contains("0123456789abcdef"), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_no_success_tells_its_reason_where_it_is_asked_for() {
    let server = Server::start(
        |_, _| status("500 token 0123456789abcdef has no business here", "", "{\"data\":null}"),
        None,
    )
    .await;
    let token = SecretString::from("Token 0123456789abcdef");
    let request = client(Trust::System)
        .get(server.url("http", "/"))
        .secret_header(header::AUTHORIZATION, &token);
    assert_eq!(request.clone().send().await.unwrap_err().code(), Some(500));
    let answer = request.any_status().send().await.unwrap();
    assert_eq!(answer.status.as_u16(), 500);
    assert_eq!(answer.reason.as_deref(), Some("token [redacted] has no business here"));
    assert_eq!(answer.text(), "{\"data\":null}");
}

#[tokio::test]
async fn requests_keep_to_the_rate_and_to_the_number_at_once() {
    let server = Server::start(|_, _| ok("hello"), None).await;
    let client = Client::new(Options {
        rate: Some(Rate::per_second(20.0).unwrap()),
        concurrency: NonZeroUsize::new(2).unwrap(),
        ..Options::default()
    })
    .unwrap();
    let begun = Instant::now();
    let fetches = (0..8).map(|_| fetch(&client, server.url("http", "/")));
    for found in futures::future::join_all(fetches).await {
        assert_eq!(found.unwrap(), "hello");
    }
    // Two at once, then one each 50 ms.
    assert!(begun.elapsed() >= Duration::from_millis(290), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_is_used_again_while_it_is_fresh() {
    // One connection, two answers on it: a second connection would find nobody.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        drop(listener);
        for _ in 0..2 {
            let mut buffer = [0; 2048];
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0);
            let text = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    let client = client(Trust::System);
    assert_eq!(fetch(&client, url.clone()).await.unwrap(), "ok");
    assert_eq!(fetch(&client, url).await.unwrap(), "ok");
    task.await.unwrap();
}

#[tokio::test]
async fn requests_apart_have_connections_of_their_own_and_do_not_begin_at_once() {
    // Each connection takes one request and stays open, as if for more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        let (mut open, mut begun) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
            begun.push(Instant::now());
            let mut buffer = [0; 2048];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            let text = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(text.as_bytes()).await.unwrap();
            open.push(stream);
        }
        begun
    });
    let client = client(Trust::System);
    // One that is kept does not serve those that want their own.
    assert_eq!(fetch(&client, url.clone()).await.unwrap(), "ok");
    let fetched_apart = async |count: usize| {
        let apart = (0..count).map(|_| client.get(url.clone()).apart().send());
        let all = futures::future::join_all(apart);
        let patience = std::time::Duration::from_secs(20);
        for answer in tokio::time::timeout(patience, all).await.expect("a new connection each") {
            assert_eq!(answer.unwrap().body, "ok");
        }
    };
    // Nor is one of theirs kept for the next.
    fetched_apart(1).await;
    fetched_apart(3).await;
    let begun = task.await.unwrap();
    assert_eq!(client.sent(), 5, "none had to be sent again");
    let passed = begun[4].duration_since(begun[2]);
    assert!(passed >= std::time::Duration::from_millis(15), "{passed:?}");
}

#[test]
fn a_rate_is_a_number_above_zero() {
    assert_eq!(Rate::per_second(0.5).unwrap().interval(), Duration::from_secs(2));
    for number in [0.0, -1.0, f64::NAN, f64::INFINITY, 10_001.0] {
        assert!(Rate::per_second(number).is_err(), "{number}");
    }
    assert!("fast".parse::<Rate>().is_err());
}
