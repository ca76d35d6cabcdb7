//! Requests and answers, apart from how they travel.

use super::version::Version;
use serde_json::Value;

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Its method.
    pub(crate) method: String,
    /// Its path.
    pub(crate) path: String,
    /// What stands behind the question mark.
    pub(crate) query: String,
    /// Whom the client says it talks to.
    pub(crate) host: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The `Content-Type` header.
    pub(crate) content_type: Option<String>,
    /// The `If-Match` header.
    pub(crate) if_match: Option<String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(Value),
    /// A page for people.
    Html(String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its headers beyond those that every answer has.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Its body.
    pub(crate) body: Body,
}

impl Answer {
    /// An answer in JSON.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Answer { status, headers: Vec::new(), body: Body::Json(body) }
    }

    /// An answer that only says what is wrong.
    pub(crate) fn detail(status: u16, what: impl Into<String>) -> Self {
        let mut body = serde_json::Map::new();
        body.insert("detail".to_owned(), Value::String(what.into()));
        Answer::json(status, Value::Object(body))
    }

    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Answer { status, headers: Vec::new(), body: Body::Empty }
    }

    /// A page for people.
    pub(crate) fn page(status: u16, title: &str, version: Version) -> Self {
        let release = version.full_release();
        let text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\" data-netbox-version=\"{release}\">\n  <head><title>{title} | NetBox</title></head>\n  <body><h1>{title}</h1></body>\n</html>\n"
        );
        Answer { status, headers: Vec::new(), body: Body::Html(text) }
    }

    /// The same answer with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
