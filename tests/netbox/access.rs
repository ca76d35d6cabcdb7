//! Who may do what: tokens of both versions, read-only ones, permissions by object
//! type. NetBox answers all refusals with 403, never with 401.

use super::version::Version;
use std::collections::{BTreeMap, BTreeSet};

/// What a permission allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// To read.
    View,
    /// To make.
    Add,
    /// To change.
    Change,
    /// To delete.
    Delete,
}

/// What the user of a token may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permissions {
    /// Everything.
    All,
    /// What is listed, by content type (`dcim.device`).
    Only(BTreeMap<String, BTreeSet<Act>>),
    /// Everything, but only with objects that there are none of: permissions with
    /// constraints that fit nothing. Lists are empty then, without an error.
    Blind,
}

impl Permissions {
    /// Whether something may be done with objects of a content type.
    pub(crate) fn allow(&self, label: &str, act: Act) -> bool {
        match self {
            Permissions::All | Permissions::Blind => true,
            Permissions::Only(acts) => acts.get(label).is_some_and(|acts| acts.contains(&act)),
        }
    }
}

/// A token and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The key of a token of version 2; none for one of version 1.
    pub(crate) key: Option<String>,
    /// The secret.
    pub(crate) secret: String,
    /// The user's name.
    pub(crate) user: String,
    /// Whether it may be used to write.
    pub(crate) write: bool,
    /// What the user may do.
    pub(crate) permissions: Permissions,
}

impl Token {
    /// A token of version 1 with which a user may do everything.
    pub(crate) fn v1(secret: &str, user: &str) -> Self {
        Token {
            key: None,
            secret: secret.to_owned(),
            user: user.to_owned(),
            write: true,
            permissions: Permissions::All,
        }
    }

    /// A token of version 2 with which a user may do everything.
    pub(crate) fn v2(key: &str, secret: &str, user: &str) -> Self {
        Token { key: Some(key.to_owned()), ..Token::v1(secret, user) }
    }

    /// The same token for reading only.
    pub(crate) fn read_only(mut self) -> Self {
        self.write = false;
        self
    }

    /// The same token for a user who may do less.
    pub(crate) fn allowed(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }
}

const MISSING: &str = "Authentication credentials were not provided.";

/// The token that an `Authorization` header names, or what NetBox says of the header.
pub(crate) fn identify<'a>(
    version: Version,
    tokens: &'a [Token],
    header: Option<&str>,
) -> Result<&'a Token, &'static str> {
    let Some(header) = header else {
        return Err(MISSING);
    };
    let mut words = header.split_whitespace();
    let keyword = words.next().unwrap_or("").to_lowercase();
    let (credentials, more) = (words.next(), words.next().is_some());
    if version < Version::V4_6 {
        return older(tokens, &keyword, credentials, more);
    }
    if !matches!(keyword.as_str(), "token" | "bearer") {
        return Err(MISSING);
    }
    let Some(credentials) = credentials.filter(|_| !more) else {
        return Err(
            "Invalid authorization header: Must be in the form \"Bearer <key>.<token>\" or \"Token <token>\"",
        );
    };
    match credentials.strip_prefix("nbt_") {
        None => find(tokens, None, credentials).ok_or("Invalid v1 token"),
        Some(rest) => match rest.split_once('.') {
            Some((key, secret)) => find(tokens, Some(key), secret).ok_or("Invalid v2 token"),
            None => Err(
                "Invalid authorization header: Could not parse key from v2 token. Did you mean to use 'Token' instead of 'Bearer'?",
            ),
        },
    }
}

/// Before 4.5 there is only one sort of tokens, and one word before them.
fn older<'a>(
    tokens: &'a [Token],
    keyword: &str,
    credentials: Option<&str>,
    more: bool,
) -> Result<&'a Token, &'static str> {
    if keyword != "token" {
        return Err(MISSING);
    }
    match credentials {
        None => Err("Invalid token header. No credentials provided."),
        Some(_) if more => Err("Invalid token header. Token string should not contain spaces."),
        Some(credentials) => find(tokens, None, credentials).ok_or("Invalid token"),
    }
}

fn find<'a>(tokens: &'a [Token], key: Option<&str>, secret: &str) -> Option<&'a Token> {
    tokens.iter().find(|token| token.key.as_deref() == key && token.secret == secret)
}
