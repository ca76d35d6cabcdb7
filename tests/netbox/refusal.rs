//! Why a request is refused, and how each version of NetBox says so.

use super::clock::Stamp;
use super::model::Kind;
use super::version::Version;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Errors by field.
pub(crate) type Errors = Map<String, Value>;

/// One error of a field.
pub(crate) fn wrong(field: &str, what: impl Into<String>) -> Errors {
    let mut errors = Errors::new();
    add(&mut errors, field, what);
    errors
}

/// Adds an error to a field.
pub(crate) fn add(errors: &mut Errors, field: &str, what: impl Into<String>) {
    let entry = errors.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = entry {
        list.push(what.into().into());
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// 400: fields are wrong.
    Invalid(Errors),
    /// 500: the database found two objects that must not be alike.
    Clash {
        /// The constraint.
        constraint: String,
        /// Its columns and the values that stand already.
        detail: String,
    },
    /// 500: the server stumbled over the input.
    Crash {
        /// What it says.
        error: Cow<'static, str>,
        /// The exception.
        exception: &'static str,
    },
    /// 409: other objects need this one.
    Needed(Vec<String>),
    /// 404: there is no such object.
    Missing(Kind),
    /// 412: the object has changed; it was last saved then.
    Stale(Stamp),
    /// 403: not permitted.
    Forbidden,
    /// 501: NetBox can do this and the stand-in cannot.
    Unkept(String),
}

impl Refusal {
    /// The status it is answered with.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Refusal::Invalid(_) => 400,
            Refusal::Clash { .. } | Refusal::Crash { .. } => 500,
            Refusal::Needed(_) => 409,
            Refusal::Missing(_) => 404,
            Refusal::Stale(_) => 412,
            Refusal::Forbidden => 403,
            Refusal::Unkept(_) => 501,
        }
    }

    /// What the object's ETag is now, where that is told.
    pub(crate) fn etag(&self) -> Option<String> {
        match self {
            Refusal::Stale(saved) => Some(saved.etag()),
            _ => None,
        }
    }

    /// The body it is answered with.
    pub(crate) fn body(&self, version: Version) -> Value {
        match self {
            Refusal::Invalid(errors) => Value::Object(errors.clone()),
            Refusal::Clash { constraint, detail } => crash(
                version,
                &format!(
                    "duplicate key value violates unique constraint \"{constraint}\"\nDETAIL:  {detail}"
                ),
                "IntegrityError",
            ),
            Refusal::Crash { error, exception } => crash(version, error, exception),
            Refusal::Needed(by) => {
                let count = by.len();
                let names = by.join(", ");
                let what = format!(
                    "Unable to delete object. {count} dependent objects were found: {names}"
                );
                json!({"detail": what})
            }
            Refusal::Missing(kind) => {
                json!({"detail": format!("No {} matches the given query.", kind.def().class)})
            }
            Refusal::Stale(_) => json!({"detail": "Precondition failed."}),
            Refusal::Forbidden => {
                json!({"detail": "You do not have permission to perform this action."})
            }
            Refusal::Unkept(what) => {
                json!({"detail": format!("The stand-in does not keep {what}; NetBox does.")})
            }
        }
    }
}

/// The body of a 500.
pub(crate) fn crash(version: Version, error: &str, exception: &str) -> Value {
    json!({
        "error": error,
        "exception": exception,
        "netbox_version": version.full_release(),
        "python_version": "3.12.1",
    })
}
