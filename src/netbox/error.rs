//! Why NetBox could not be used, shaped by what a person does about it.

use super::version::Version;
use crate::domain::name::visible;
use crate::domain::object::Kind;
use crate::http::{HttpError, Silence};

/// Why NetBox could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetBoxError {
    /// There was no answer, or none that can be read.
    #[error(transparent)]
    Http(HttpError),
    /// The token is not accepted.
    #[error(
        "{place} does not accept the token: {said}; check `token`, or make one in NetBox under \
         Admin > API Tokens"
    )]
    Token {
        /// Where.
        place: String,
        /// What NetBox said.
        said: String,
    },
    /// The token may not do something.
    #[error(
        "cannot {deed} in NetBox: the token lacks the permission `{permission}`; \
         `netbox-agent check --online` lists what it needs"
    )]
    Permission {
        /// What was to be done, such as `read cables`.
        deed: String,
        /// The permission as NetBox calls it, such as `dcim.view_cable`.
        permission: String,
    },
    /// What answers is something else.
    #[error("{place} is not a NetBox: {reason}; check `url`")]
    Stranger {
        /// Where.
        place: String,
        /// Why it is none.
        reason: String,
    },
    /// This NetBox is too old.
    #[error("NetBox {0} is too old: 4.0 or newer is needed; upgrade it")]
    TooOld(Version),
    /// An answer is not what it should be.
    #[error("cannot read the {what} of NetBox: {reason}")]
    Answer {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<HttpError> for NetBoxError {
    fn from(error: HttpError) -> Self {
        NetBoxError::Http(error)
    }
}

impl NetBoxError {
    /// What an error means that came where only the token can be at fault.
    pub(super) fn of(error: HttpError, deed: &str, permission: &str) -> Self {
        let HttpError::Status { place, code, body } = &error else {
            return NetBoxError::Http(error);
        };
        let said = detail(body);
        match (*code, said) {
            (401 | 403, Some(said)) if is_about_the_token(&said) => {
                NetBoxError::Token { place: place.clone(), said }
            }
            (403, Some(_)) => {
                NetBoxError::Permission { deed: deed.to_owned(), permission: permission.to_owned() }
            }
            _ => NetBoxError::Http(error),
        }
    }

    /// Whether NetBox may be there again in a while.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            NetBoxError::Http(HttpError::Unreachable { reason, .. }) => {
                !matches!(reason, Silence::NoSuchName(_))
            }
            // 501 says that it will never be done.
            NetBoxError::Http(error) => {
                matches!(error.code(), Some(429 | 500 | 502..=599))
            }
            _ => false,
        }
    }
}

/// How an error calls the permission for a kind: `read cables` and `dcim.view_cable`.
pub(super) fn permission(action: &str, kind: Kind) -> String {
    let (app, model) = super::table::sheet(kind).model.split_once('.').unwrap_or_default();
    format!("{app}.{action}_{model}")
}

/// What NetBox says in the `detail` of an error.
pub(super) fn detail(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get("detail")?.as_str().map(|text| visible(text, 200))
}

/// NetBox refuses a wrong token and a missing permission alike with 403.
pub(super) fn is_about_the_token(said: &str) -> bool {
    let said = said.to_lowercase();
    ["token", "credentials", "inactive", "source ip"].iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(said: &str) -> NetBoxError {
        let error = HttpError::Status {
            place: "http://netbox/api/dcim/cables".into(),
            code: 403,
            body: format!(r#"{{"detail":"{said}"}}"#).into(),
        };
        NetBoxError::of(error, "read cables", &permission("view", Kind::Cable))
    }

    #[test]
    fn a_wrong_token_and_a_missing_permission_are_told_apart() {
        for said in [
            "Invalid token",
            "Invalid v1 token",
            "Authentication credentials were not provided.",
            "Token expired",
            "User inactive",
        ] {
            let error = refused(said);
            assert!(matches!(error, NetBoxError::Token { .. }), "{error}");
        }
        insta::assert_snapshot!(
            refused("You do not have permission to perform this action."),
            @"cannot read cables in NetBox: the token lacks the permission `dcim.view_cable`; `netbox-agent check --online` lists what it needs"
        );
    }
}
