//! Lists, page by page: from an id on, in the order of ids, so that what is made or
//! deleted meanwhile neither hides a row nor shows it twice.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api::Api;
use super::error::NetBoxError;
use super::table::Body;

/// As many rows are asked for at once; a server that gives fewer is asked more often.
const ROWS: &str = "1000";

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    next: Option<&'a RawValue>,
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

/// Reads every row of a list that passes the filters, and gives each to `take`. Only
/// one page is held at a time. `fields` must hold `id`.
pub(super) async fn each(
    api: &Api,
    path: &str,
    filters: &[(&str, &str)],
    fields: &str,
    mut take: impl FnMut(Body),
) -> Result<u64, NetBoxError> {
    let broken = |reason: String| NetBoxError::Answer { what: path.to_owned(), reason };
    let mut after: u64 = 0;
    let mut rows: u64 = 0;
    loop {
        let from = if api.version.has_cursor() { after + 1 } else { after }.to_string();
        let mut query = vec![("limit", ROWS), ("fields", fields)];
        match api.version.has_cursor() {
            true => query.push(("start", &from)),
            false => query.extend([("ordering", "id"), ("id__gt", &*from)]),
        }
        query.extend(filters);
        let answer = api.fetch(path, &query).await?;
        let page: Page<'_> =
            serde_json::from_slice(&answer.body).map_err(|error| broken(error.to_string()))?;
        for row in &page.results {
            let row: Body =
                serde_json::from_str(row.get()).map_err(|error| broken(error.to_string()))?;
            let id = row.get("id").and_then(serde_json::Value::as_u64);
            let id = id.ok_or_else(|| broken("a row has no id".to_owned()))?;
            if id <= after {
                return Err(broken("its rows are not in the order of their ids".to_owned()));
            }
            after = id;
            rows += 1;
            take(row);
        }
        let more = page.next.is_some_and(|next| next.get() != "null");
        if !more || page.results.is_empty() {
            return Ok(rows);
        }
    }
}
