//! Why a request failed, shaped by what a caller does about it. No message holds
//! a secret: neither a URL's user and query, nor what a server echoed of a token.

use std::error::Error;
use std::fmt;
use std::io;

use bytes::Bytes;
use rustls::InvalidMessage;
use url::Url;

use super::trust::{Fingerprint, Untrusted};
use crate::domain::name::visible;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// There was no answer. Trying again later may help.
    #[error("cannot reach {place}: {reason}")]
    Unreachable {
        /// Where the request went, without user and query.
        place: String,
        /// What happened.
        reason: Silence,
        /// Whether the request may have arrived all the same: what it was to write may
        /// have been written.
        delivered: bool,
    },
    /// The server's certificate was not accepted. Trying again will not help.
    #[error("cannot trust {place}: {reason}{}", seen(fingerprint.as_ref()))]
    Tls {
        /// Where the request went, without user and query.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
        /// The certificate that was shown.
        fingerprint: Option<Fingerprint>,
    },
    /// The server answered with an error.
    #[error("{place} answered {code}{}", excerpt(body))]
    Status {
        /// Where the request went, without user and query.
        place: String,
        /// The HTTP status.
        code: u16,
        /// The answer's body.
        body: Bytes,
    },
    /// The server sends the client elsewhere, where credentials must not follow.
    #[error("{place} sends to {to}, which is not followed; set the URL to where it shall go")]
    Redirected {
        /// Where the request went, without user and query.
        place: String,
        /// Where it is sent, without user and query.
        to: String,
    },
    /// The answer is longer than allowed.
    #[error("the answer of {place} is longer than {limit} bytes")]
    TooLarge {
        /// Where the request went, without user and query.
        place: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer is not what it should be.
    #[error("cannot read the answer of {place}: {reason}")]
    Malformed {
        /// Where the request went, without user and query.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request itself cannot be made.
    #[error("cannot make the request: {0}")]
    Request(String),
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// The name has no address.
    NoSuchName(String),
    /// Nothing listens there.
    Refused,
    /// No route leads there.
    NoRoute,
    /// It took too long.
    TimedOut,
    /// The connection ended before the answer did.
    Cut,
    /// It was asked by TLS and answers without.
    NoTls,
    /// It was asked without TLS and does not answer in HTTP.
    NoHttp,
    /// Something else.
    Other(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::NoSuchName(name) => write!(f, "the name `{name}` has no address; check it"),
            Silence::Refused => {
                f.write_str("the connection was refused; is it running, and is the port right?")
            }
            Silence::NoRoute => {
                f.write_str("there is no route to it; check the address and the network")
            }
            Silence::TimedOut => f.write_str(
                "no answer in time; is the address right, or a longer `timeout` needed?",
            ),
            Silence::Cut => f.write_str("the connection was cut before the answer ended"),
            Silence::NoTls => f.write_str("it speaks no TLS; is it http://?"),
            Silence::NoHttp => f.write_str("it does not answer in HTTP; is it https://?"),
            Silence::Other(what) => f.write_str(what),
        }
    }
}

impl HttpError {
    /// The status, where the server answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            HttpError::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What a failed exchange means.
    pub(super) fn of(error: &reqwest::Error, url: &Url, secrets: &[String]) -> Self {
        let place = place(url);
        if let Some(untrusted) = untrusted(error) {
            return HttpError::Tls {
                place,
                reason: untrusted.reason.clone(),
                fingerprint: Some(untrusted.fingerprint),
            };
        }
        if error.is_builder() {
            return HttpError::Request(redact(&chain(error), secrets));
        }
        let reason = match silence(error, url) {
            Silence::Other(what) if error.is_decode() => {
                let reason = redact(&what, secrets);
                return HttpError::Malformed { place, reason };
            }
            Silence::Other(what) => Silence::Other(redact(&what, secrets)),
            known => known,
        };
        HttpError::Unreachable { place, reason, delivered: !error.is_connect() }
    }
}

fn silence(error: &reqwest::Error, url: &Url) -> Silence {
    if error.is_timeout() {
        return Silence::TimedOut;
    }
    if error.is_dns() {
        return Silence::NoSuchName(url.host_str().unwrap_or_default().to_owned());
    }
    if speaks_no_tls(error) {
        return Silence::NoTls;
    }
    let is_no_http = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<hyper::Error>().filter(|error| error.is_parse()).map(drop)
    };
    if url.scheme() == "http" && within(error, &is_no_http).is_some() {
        return Silence::NoHttp;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(known) = error.downcast_ref::<io::Error>().and_then(silence_of) {
            return known;
        }
        cause = error.source();
    }
    match chain(error) {
        cut if cut.contains("connection closed before message completed") => Silence::Cut,
        cut if cut.contains("end of file before message length reached") => Silence::Cut,
        other => Silence::Other(other),
    }
}

/// What an error of the system means, where it is one that has a name here.
pub(super) fn silence_of(error: &io::Error) -> Option<Silence> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => Silence::Refused,
        io::ErrorKind::TimedOut => Silence::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Silence::NoRoute,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Silence::Cut,
        _ => return None,
    })
}

/// The judgement of our own verifier, wherever it is wrapped.
pub(super) fn untrusted<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Untrusted> {
    within(error, &|error| match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => {
            other.0.downcast_ref::<Untrusted>()
        }
        _ => error.downcast_ref::<Untrusted>(),
    })
}

/// Whether the other side answered the first words of TLS in something else.
pub(super) fn speaks_no_tls(error: &(dyn Error + 'static)) -> bool {
    let is_plain = |error: &(dyn Error + 'static)| match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Some(()),
        _ => None,
    };
    within(error, &is_plain).is_some()
}

/// What the outermost error says to which something can be said.
fn within<'e, T>(
    error: &'e (dyn Error + 'static),
    pick: &impl Fn(&'e (dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    // An `io::Error` is not the source of what it wraps: it stands in its place.
    let wrapped = || error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    pick(error)
        .or_else(|| wrapped().and_then(|inner| within(inner as &(dyn Error + 'static), pick)))
        .or_else(|| error.source().and_then(|inner| within(inner, pick)))
}

/// The innermost causes of an error, without the URL that reqwest puts first.
fn chain(error: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        cause = error.source();
    }
    match causes.as_slice() {
        [] => "the exchange failed".to_owned(),
        causes => visible(&causes.join(": "), 300),
    }
}

/// A URL as it may be shown: scheme, host, port and path.
#[must_use]
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let path = url.path().trim_end_matches('/');
    visible(&format!("{}://{host}{port}{path}", url.scheme()), 300)
}

/// A text without the secrets that were sent.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[redacted]"))
}

fn excerpt(body: &[u8]) -> String {
    match visible(&String::from_utf8_lossy(&body[..body.len().min(2_000)]), 200) {
        empty if empty.is_empty() => String::new(),
        text => format!(": {text}"),
    }
}

fn seen(fingerprint: Option<&Fingerprint>) -> String {
    fingerprint.map_or_else(String::new, |seen| format!(" (it showed the fingerprint {seen})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_never_shows_user_or_query() {
        let url: Url = "https://me:hunter2@nas.example:8443/api/?token=s3cret#x".parse().unwrap();
        assert_eq!(place(&url), "https://nas.example:8443/api");
    }

    #[test]
    fn an_answer_is_shown_in_part_and_without_control_characters() {
        let error = HttpError::Status {
            place: "http://nas".into(),
            code: 500,
            body: Bytes::from(format!("\u{1b}[31mbad\n{}", "x".repeat(5_000))),
        };
        let text = error.to_string();
        assert!(text.starts_with("http://nas answered 500: [31mbad xxx"), "{text}");
        assert!(text.len() < 260, "{}", text.len());
    }
}
