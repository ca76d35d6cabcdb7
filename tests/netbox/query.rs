//! The part of an address behind the question mark: parameters, pages, order.

use super::version::Version;
use std::collections::BTreeMap;

/// The parameters of a request, each with all its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// The values by name, in the order in which they were given.
    pub(crate) params: BTreeMap<String, Vec<String>>,
    /// The same without empty values, which filter nothing.
    pub(crate) filled: BTreeMap<String, Vec<String>>,
}

/// The most objects on a page.
const MAX_PAGE: usize = 1000;
/// How many objects are on a page of a request that says nothing of it.
const USUAL_PAGE: usize = 50;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many objects at most.
    pub(crate) limit: usize,
    /// How many to skip.
    pub(crate) offset: usize,
    /// The id to start at; then the list is in the order of ids (4.6).
    pub(crate) start: Option<u64>,
}

impl Query {
    /// Reads what stands behind the question mark.
    pub(crate) fn parse(text: &str) -> Query {
        let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            params.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        let mut filled = params.clone();
        for values in filled.values_mut() {
            values.retain(|value| !value.is_empty());
        }
        filled.retain(|_, values| !values.is_empty());
        Query { params, filled }
    }

    /// The last value of a parameter; none where it is empty.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.last().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The page that is asked for, or what is wrong with it.
    pub(crate) fn page(&self, version: Version) -> Result<Page, String> {
        let limit = match self.last("limit").and_then(|text| text.parse::<usize>().ok()) {
            None => USUAL_PAGE,
            Some(0) => MAX_PAGE,
            Some(limit) => limit.min(MAX_PAGE),
        };
        let offset = self.last("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut page = Page { limit, offset, start: None };
        if let (true, Some(start)) = (version >= Version::V4_6, self.params.get("start")) {
            let start = start.last().and_then(|text| text.parse().ok());
            let Some(start) = start else {
                return Err("Invalid 'start' parameter: must be a non-negative integer.".to_owned());
            };
            if self.params.contains_key("offset") {
                return Err("'start' and 'offset' are mutually exclusive.".to_owned());
            }
            if self.params.contains_key("ordering") {
                return Err(
                    "Ordering cannot be specified in conjunction with cursor-based pagination."
                        .to_owned(),
                );
            }
            page.start = Some(start);
        }
        Ok(page)
    }

    /// The address of another page of the same list.
    pub(crate) fn link(&self, base: &str, set: &[(&str, usize)], drop: &[&str]) -> String {
        let mut params = self.params.clone();
        for name in drop {
            params.remove(*name);
        }
        for (name, value) in set {
            params.insert((*name).to_owned(), vec![value.to_string()]);
        }
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (name, values) in &params {
            for value in values {
                text.append_pair(name, value);
            }
        }
        let text = text.finish();
        if text.is_empty() { base.to_owned() } else { format!("{base}?{text}") }
    }
}
