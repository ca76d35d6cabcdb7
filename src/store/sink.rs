//! Which sink an id belongs to.

use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use url::Url;

/// Where objects with ids of their own stand: one NetBox, or the local inventory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(Arc<str>);

impl SinkId {
    /// The inventory within the store itself.
    #[must_use]
    pub fn local() -> Self {
        SinkId("local".into())
    }

    /// The NetBox at an address. Credentials, query and fragment are left out of
    /// it, and so is a trailing slash.
    #[must_use]
    pub fn netbox(url: &Url) -> Self {
        let host = url.host_str().unwrap_or("");
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let path = url.path().trim_end_matches('/');
        SinkId(format!("netbox:{}://{host}{port}{path}", url.scheme()).into())
    }

    /// The name, such as `netbox:https://netbox.example.org`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl SinkId {
    pub(super) fn of_sql(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Self> {
        super::codec::shared(row, column).map(SinkId)
    }

    /// Its number in the store, where it has one.
    pub(super) fn find(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        connection
            .prepare_cached("SELECT id FROM sinks WHERE name = ?1")?
            .query_row([self.as_str()], |row| row.get(0))
            .optional()
    }

    /// Its number in the store, given first where it has none.
    pub(super) fn number(&self, connection: &Connection) -> rusqlite::Result<i64> {
        connection
            .prepare_cached("INSERT INTO sinks (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([self.as_str()])?;
        connection
            .prepare_cached("SELECT id FROM sinks WHERE name = ?1")?
            .query_row([self.as_str()], |row| row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_named_without_credentials() {
        for (url, name) in [
            (
                "https://agent:s3cret@nb.example:8443/netbox/?token=abc#x",
                "netbox:https://nb.example:8443/netbox",
            ),
            ("https://nb.example", "netbox:https://nb.example"),
            ("http://[::1]:8000/", "netbox:http://[::1]:8000"),
        ] {
            assert_eq!(SinkId::netbox(&url.parse().unwrap()).as_str(), name);
        }
    }
}
