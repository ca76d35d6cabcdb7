//! Reads some objects again: by their ids, or by what they are known by besides.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, FutureExt};

use super::api::{Api, LONGEST_QUERY};
use super::error::NetBoxError;
use super::natural::{is_same, probes};
use super::page;
use super::row::{self, Fields};
use super::table::sheet;
use crate::domain::object::{Field, Kind};
use crate::domain::world::Live;

/// The objects of these ids, as far as they stand, with these fields and their stamps.
pub(super) async fn by_ids(
    api: &Api,
    kind: Kind,
    ids: &[u64],
    fields: &[Field],
) -> Result<BTreeMap<u64, Live>, NetBoxError> {
    let sheet = sheet(kind);
    let asking = sheet.asking(api.version, fields);
    let values: Vec<String> = ids.iter().map(u64::to_string).collect();
    let mut found = BTreeMap::new();
    for part in parts("id", &values) {
        let filters: Vec<(&str, &str)> = part.iter().map(|id| ("id", id.as_str())).collect();
        page::each(api, sheet.endpoint, &filters, &asking, |row| {
            if let Some(live) = row::live(sheet, api.version, &row) {
                found.insert(live.id, live);
            }
        })
        .await?;
    }
    Ok(found)
}

/// For each of these wanted objects, those that stand and are the same, the oldest first.
pub(super) async fn same(
    api: &Api,
    kind: Kind,
    wanted: &[&Fields],
) -> Result<Vec<Vec<Live>>, NetBoxError> {
    let mut standing: BTreeMap<u64, Live> = BTreeMap::new();
    for probe in probes(kind, wanted) {
        let values: Vec<String> = probe.values.into_iter().collect();
        for part in parts(probe.filter, &values) {
            let rows = matching(api, kind, probe.filter, part).await?;
            standing.extend(rows.into_iter().map(|live| (live.id, live)));
        }
    }
    let of = |fields: &&Fields| {
        standing.values().filter(|live| is_same(kind, fields, live)).cloned().collect()
    };
    Ok(wanted.iter().map(of).collect())
}

/// Every object that a filter with these values lets through. NetBox refuses a question
/// for the parts of something that stands no more: then the others are asked for alone.
pub(super) fn matching<'a>(
    api: &'a Api,
    kind: Kind,
    filter: &'a str,
    values: &'a [String],
) -> BoxFuture<'a, Result<Vec<Live>, NetBoxError>> {
    async move {
        let filters: Vec<(&str, &str)> =
            values.iter().map(|value| (filter, value.as_str())).collect();
        let sheet = sheet(kind);
        let asking = sheet.reading(api.version);
        let mut found = Vec::new();
        let read = page::each(api, sheet.endpoint, &filters, &asking, |row| {
            found.extend(row::live(sheet, api.version, &row));
        });
        match read.await {
            Ok(_) => Ok(found),
            Err(NetBoxError::Http(error)) if error.code() == Some(400) => {
                if values.len() < 2 {
                    return Ok(Vec::new());
                }
                let (one, other) = values.split_at(values.len() / 2);
                let mut found = matching(api, kind, filter, one).await?;
                found.extend(matching(api, kind, filter, other).await?);
                Ok(found)
            }
            Err(error) => Err(error),
        }
    }
    .boxed()
}

/// Values in parts that fit into a request line each.
pub(super) fn parts<'v>(filter: &str, values: &'v [String]) -> Vec<&'v [String]> {
    let mut parts = Vec::new();
    let (mut start, mut length) = (0, 0);
    for (place, value) in values.iter().enumerate() {
        // A character may take three in a URL.
        let plain = value.chars().filter(char::is_ascii_alphanumeric).count();
        let more = filter.len() + 2 + plain + (value.len() - plain) * 3;
        if length + more > LONGEST_QUERY && place > start {
            parts.push(&values[start..place]);
            (start, length) = (place, 0);
        }
        length += more;
    }
    if start < values.len() {
        parts.push(&values[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_question_is_asked_in_parts_that_hold_everything_once() {
        let values: Vec<String> =
            (0..2_000).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        let parts = parts("address", &values);
        assert!(parts.len() > 1);
        assert_eq!(parts.concat(), values);
        for part in parts {
            let length: usize = part.iter().map(|value| value.len() + "address".len() + 2).sum();
            assert!(length <= LONGEST_QUERY);
        }
        assert!(super::parts("id", &[]).is_empty());
    }
}
