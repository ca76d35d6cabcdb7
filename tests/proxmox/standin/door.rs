//! The doors of the stand-in: each is a node that listens, with or without TLS, and that
//! can go away in the middle of a conversation.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use axum::Router;
use axum::serve::Listener;
use netbox_agent::http::Fingerprint;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A door, and what lives behind it: when it is shut, every connection is cut.
pub(super) struct Door {
    pub(super) url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens a door.
    pub(super) fn open(app: Router, certificate: Option<&Certificate>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let acceptor = certificate.map(|certificate| certificate.acceptor.clone());
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        // Connections live as long as the runtime that they were made in.
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let serve = async {
                    match acceptor {
                        Some(acceptor) => axum::serve(Tls { listener, acceptor }, app).await,
                        None => axum::serve(listener, app).await,
                    }
                };
                tokio::select! {
                    ended = serve => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let url = format!("{scheme}://{}", told.recv().unwrap());
        Door { url, stop: Some(stop), thread: Some(thread) }
    }

    /// Shuts it for good.
    pub(super) fn shut(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

/// A certificate for 127.0.0.1, as a node makes one for itself.
pub(crate) struct Certificate {
    /// The certificate as PEM.
    pub pem: String,
    /// Its fingerprint.
    pub pin: Fingerprint,
    acceptor: TlsAcceptor,
}

impl Certificate {
    /// One that is valid until the end of a year.
    pub(crate) fn until(year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let certificate = params.self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        Certificate {
            pem: certificate.pem(),
            pin: Fingerprint::of(certificate.der()),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, from) = self.listener.accept().await.unwrap();
            // Whoever does not trust the certificate hangs up here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
