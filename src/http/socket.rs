//! A WebSocket: both sides speak when they like. It trusts and fails like the
//! client does, and no message may be longer than allowed. What the messages say
//! is the caller's business.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::header::LOCATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::{Host, Url};

use super::Trust;
use super::fault::{HttpError, Silence, place, silence_of, speaks_no_tls, untrusted};
use crate::domain::name::visible;

/// How a WebSocket behaves.
#[derive(Debug, Clone)]
pub struct SocketOptions {
    /// Whom to trust over TLS.
    pub trust: Trust,
    /// How long it may take until the first message can be sent.
    pub timeout: Duration,
    /// The longest message in bytes.
    pub max_message: usize,
}

/// What carries the messages: TCP, or TLS over it.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// An open WebSocket.
pub struct Socket {
    messages: WebSocketStream<Box<dyn Wire>>,
    place: String,
    peer: IpAddr,
    limit: usize,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a WebSocket at an `http` or `https` address.
    ///
    /// # Errors
    /// When nothing answers in time, the certificate is not accepted, or the answer is
    /// not a WebSocket's.
    pub async fn open(url: &Url, options: &SocketOptions) -> Result<Self, HttpError> {
        match timeout(options.timeout, Self::shake_hands(url, options)).await {
            Ok(done) => done,
            Err(_) => Err(silent(&place(url), Silence::TimedOut, false)),
        }
    }

    async fn shake_hands(url: &Url, options: &SocketOptions) -> Result<Self, HttpError> {
        let spoken = place(url);
        let (wire, peer) = connect(url, &options.trust).await?;
        let mut target = url.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        target
            .set_scheme(scheme)
            .map_err(|()| HttpError::Request(format!("`{spoken}` is no http or https URL")))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(options.max_message))
            .max_frame_size(Some(options.max_message));
        match client_async_with_config(target.as_str(), wire, Some(config)).await {
            Ok((messages, _)) => Ok(Socket {
                messages,
                place: spoken,
                peer: peer.ip().to_canonical(),
                limit: options.max_message,
            }),
            Err(Error::Http(answer)) => Err(refusal(url, &answer)),
            Err(error) => Err(fault(error, &spoken, options.max_message)),
        }
    }

    /// The address of the other side.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Where it leads, as it may be shown.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: String) -> Result<(), HttpError> {
        let sent = self.messages.send(Message::text(text)).await;
        sent.map_err(|error| fault(error, &self.place, self.limit))
    }

    /// Waits for the next message. Nothing is lost when the wait is given up. What only
    /// keeps the connection alive is answered here.
    ///
    /// # Errors
    /// When the connection is gone, which a close in good order is as well, or when a
    /// message is too long or no text.
    pub async fn receive(&mut self) -> Result<Bytes, HttpError> {
        loop {
            match self.messages.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.into()),
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => {
                    return Err(silent(&self.place, Silence::Cut, true));
                }
                Some(Err(error)) => return Err(fault(error, &self.place, self.limit)),
            }
        }
    }

    /// Ends the connection in good order. Whether the other side hears it does not matter.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.messages.close(None)).await;
    }
}

/// Connects by TCP, and TLS where the URL asks for it.
async fn connect(url: &Url, trust: &Trust) -> Result<(Box<dyn Wire>, SocketAddr), HttpError> {
    let spoken = place(url);
    let lost = |error: io::Error| match untrusted(&error) {
        Some(known) => HttpError::Tls {
            place: place(url),
            reason: known.reason.clone(),
            fingerprint: Some(known.fingerprint),
        },
        None => silent(&spoken, silence(&error), false),
    };
    let no_address = || {
        let name = url.host_str().unwrap_or_default().to_owned();
        silent(&spoken, Silence::NoSuchName(name), false)
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(ip)) => vec![(ip, port).into()],
        Some(Host::Ipv6(ip)) => vec![(ip, port).into()],
        Some(Host::Domain(name)) => {
            tokio::net::lookup_host((name, port)).await.map_err(|_| no_address())?.collect()
        }
        None => Vec::new(),
    };
    if addresses.is_empty() {
        return Err(no_address());
    }
    let stream = TcpStream::connect(&addresses[..]).await.map_err(lost)?;
    let peer = stream.peer_addr().map_err(lost)?;
    if url.scheme() != "https" {
        return Ok((Box::new(stream), peer));
    }
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).map_err(|_| {
            HttpError::Request(format!(
                "`{}` is no name that a certificate can be for",
                visible(name, 80)
            ))
        })?,
        _ => ServerName::from(peer.ip()),
    };
    let tls = TlsConnector::from(Arc::new(trust.client_config()));
    let stream = tls.connect(name, stream).await.map_err(lost)?;
    Ok((Box::new(stream), peer))
}

fn silent(place: &str, reason: Silence, delivered: bool) -> HttpError {
    HttpError::Unreachable { place: place.to_owned(), reason, delivered }
}

fn silence(error: &io::Error) -> Silence {
    if speaks_no_tls(error) {
        return Silence::NoTls;
    }
    silence_of(error).unwrap_or_else(|| Silence::Other(visible(&error.to_string(), 200)))
}

/// An answer that is no WebSocket's.
fn refusal(url: &Url, answer: &Response) -> HttpError {
    let place = place(url);
    let to = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
    if let Some(to) = to.and_then(|to| url.join(to.to_str().ok()?).ok()) {
        return HttpError::Redirected { place, to: super::place(&to) };
    }
    let body = answer.body().clone().unwrap_or_default();
    HttpError::Status { place, code: answer.status().as_u16(), body: body.into() }
}

/// What an error of an open WebSocket means.
fn fault(error: Error, place: &str, limit: usize) -> HttpError {
    let place = place.to_owned();
    match error {
        Error::Io(error) => {
            HttpError::Unreachable { place, reason: silence(&error), delivered: true }
        }
        Error::ConnectionClosed | Error::AlreadyClosed => {
            HttpError::Unreachable { place, reason: Silence::Cut, delivered: true }
        }
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            HttpError::TooLarge { place, limit }
        }
        // A server that ends, or a proxy before one that has ended, hangs up.
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => HttpError::Unreachable { place, reason: Silence::Cut, delivered: true },
        other => HttpError::Malformed { place, reason: visible(&other.to_string(), 200) },
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;

    use super::super::Fingerprint;
    use super::super::tests::identity;
    use super::*;

    fn options(trust: Trust) -> SocketOptions {
        SocketOptions { trust, timeout: Duration::from_secs(5), max_message: 1_000 }
    }

    async fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Says what it hears, and a message of so many characters when it hears a number.
    async fn echo(wire: impl Wire + 'static) {
        let Ok(mut messages) = accept_async(wire).await else { return };
        while let Some(Ok(message)) = messages.next().await {
            let Message::Text(text) = message else { continue };
            let answer = match text.parse::<usize>() {
                Ok(length) => "x".repeat(length),
                Err(_) if text.as_str() == "goodbye" => return,
                Err(_) => text.as_str().to_owned(),
            };
            let _ = messages.send(Message::Ping(Bytes::new())).await;
            let _ = messages.send(Message::text(answer)).await;
        }
    }

    /// Answers the first request with these bytes.
    async fn answering(bytes: &'static str) -> Url {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        });
        format!("http://127.0.0.1:{port}/api/websocket").parse().unwrap()
    }

    #[tokio::test]
    async fn messages_go_both_ways_over_tls_with_a_pinned_certificate() {
        let identity = identity("localhost", true);
        let (listener, port) = listen().await;
        let acceptor = identity.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(wire) = acceptor.accept(stream).await {
                    tokio::spawn(echo(wire));
                }
            }
        });
        let url: Url = format!("https://localhost:{port}/").parse().unwrap();
        let mut socket = Socket::open(&url, &options(Trust::Pin(identity.pin))).await.unwrap();
        socket.send("hello".to_owned()).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), "hello");
        assert!(socket.peer().is_loopback());
        socket.close().await;

        let error =
            Socket::open(&url, &options(Trust::Pin(Fingerprint([7; 32])))).await.unwrap_err();
        let HttpError::Tls { fingerprint, .. } = &error else { panic!("{error}") };
        assert_eq!(*fingerprint, Some(identity.pin));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_and_an_end_are_told() {
        let (listener, port) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(stream));
            }
        });
        let url: Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
        let mut socket = Socket::open(&url, &options(Trust::System)).await.unwrap();
        socket.send("1000".to_owned()).await.unwrap();
        assert_eq!(socket.receive().await.unwrap().len(), 1_000);
        socket.send("1001".to_owned()).await.unwrap();
        let error = socket.receive().await.unwrap_err();
        assert!(matches!(error, HttpError::TooLarge { limit: 1_000, .. }), "{error}");

        let mut socket = Socket::open(&url, &options(Trust::System)).await.unwrap();
        socket.send("goodbye".to_owned()).await.unwrap();
        let error = socket.receive().await.unwrap_err();
        assert!(matches!(error, HttpError::Unreachable { reason: Silence::Cut, .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_websocket_is_told() {
        let open = async |url: Url| {
            let opened = Socket::open(&url, &options(Trust::System)).await;
            opened.unwrap_err().to_string().replace(&url.port().unwrap().to_string(), "PORT")
        };
        let told =
            open(answering("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").await).await;
        assert!(told.starts_with("http://127.0.0.1:PORT/api/websocket answered 404"));
        let moved = "HTTP/1.1 301 Moved\r\nlocation: https://ha.example/api/websocket\r\ncontent-length: 0\r\n\r\n";
        let told = open(answering(moved).await).await;
        assert!(told.contains("sends to https://ha.example/api/websocket"), "{told}");
        let told = open(answering("SSH-2.0-OpenSSH_9.2\r\n").await).await;
        assert!(told.starts_with("cannot read the answer of"), "{told}");
        let told = open(answering("").await).await;
        assert!(told.starts_with("cannot reach"), "one that hangs up may come back: {told}");
        let (listener, port) = listen().await;
        drop(listener);
        let told = open(format!("http://127.0.0.1:{port}/").parse().unwrap()).await;
        assert!(told.contains("refused"), "{told}");
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_not_waited_for_longer_than_allowed() {
        let (listener, port) = listen().await;
        let url: Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
        let short = SocketOptions { timeout: Duration::from_millis(200), ..options(Trust::System) };
        let error = Socket::open(&url, &short).await.unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::Unreachable { reason: Silence::TimedOut, delivered: false, .. }
            ),
            "{error}"
        );
        drop(listener);
    }
}
