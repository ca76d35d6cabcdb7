//! What an answer to a write means: which objects are wrong, whether somebody else was
//! first, or whether nobody knows what was done.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::error::{detail, is_about_the_token};
use crate::domain::name::visible;
use crate::http::{HttpError, Silence};

/// What NetBox, or what stands before it, says to a request that wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// These objects of the list are wrong, by place; nothing was done.
    These(Vec<(usize, String)>),
    /// The objects of these ids are wrong; nothing was done.
    Ids(Vec<(u64, String)>),
    /// One of the list is wrong, nobody says which; nothing was done.
    One(String),
    /// Two writers were in each other's way; nothing was done.
    Race(String),
    /// The list is too long; nothing was done.
    TooLong,
    /// An object is not in the state that was meant; nothing was done.
    Moved,
    /// The token may not do this; nothing was done.
    Denied(String),
    /// NetBox fell over one of the list; most likely nothing was done.
    Crash(String),
    /// It may have been done or not. `slow` when time ran out.
    Doubt { reason: String, slow: bool },
    /// Nothing was done, and later it may be.
    Busy(String),
    /// It makes no sense to go on.
    Fatal(String),
}

impl Refusal {
    /// What an error means for a list of so many objects.
    pub(super) fn of(error: &HttpError, objects: usize) -> Self {
        match error {
            HttpError::Status { code, body, .. } => status(*code, body, objects, error),
            HttpError::Unreachable { reason, delivered, .. } => match (reason, delivered) {
                (Silence::NoSuchName(_), _) => Refusal::Fatal(error.to_string()),
                (_, false) => Refusal::Busy(error.to_string()),
                (reason, true) => {
                    Refusal::Doubt { reason: error.to_string(), slow: *reason == Silence::TimedOut }
                }
            },
            // The answer came and cannot be used: what was asked may well have been done.
            HttpError::TooLarge { .. } | HttpError::Malformed { .. } => {
                Refusal::Doubt { reason: error.to_string(), slow: false }
            }
            HttpError::Tls { .. } | HttpError::Redirected { .. } | HttpError::Request(_) => {
                Refusal::Fatal(error.to_string())
            }
        }
    }
}

fn status(code: u16, body: &[u8], objects: usize, error: &HttpError) -> Refusal {
    let said = detail(body);
    let doubt = |slow| Refusal::Doubt { reason: error.to_string(), slow };
    match code {
        400 => listed(body, objects).unwrap_or_else(|| Refusal::One(error.to_string())),
        401 | 403 => match said {
            Some(said) if is_about_the_token(&said) => {
                Refusal::Fatal(format!("NetBox does not accept the token any more: {said}"))
            }
            Some(said) => Refusal::Denied(said),
            None => Refusal::Fatal(error.to_string()),
        },
        409 => Refusal::One(said.unwrap_or_else(|| error.to_string())),
        412 => Refusal::Moved,
        413 => Refusal::TooLong,
        429 => Refusal::Busy(error.to_string()),
        500 => match exception(body) {
            Some((reason, true)) => Refusal::Race(reason),
            Some((reason, false)) => Refusal::Crash(reason),
            None => doubt(false),
        },
        504 => doubt(true),
        502 | 503 => doubt(false),
        _ => Refusal::One(error.to_string()),
    }
}

/// NetBox's own 500: what happened, and whether two writers were in each other's way.
fn exception(body: &[u8]) -> Option<(String, bool)> {
    #[derive(Deserialize)]
    struct Crash {
        error: String,
        exception: String,
    }
    let crash: Crash = serde_json::from_slice(body).ok()?;
    let race = crash.exception == "IntegrityError"
        || ["deadlock", "could not serialize", "lock timeout", "could not obtain lock"]
            .iter()
            .any(|sign| crash.error.contains(sign));
    Some((visible(&format!("{}: {}", crash.exception, crash.error), 300), race))
}

/// The three shapes in which NetBox tells what is wrong with a list.
fn listed(body: &[u8], objects: usize) -> Option<Refusal> {
    let body: Json = serde_json::from_slice(body).ok()?;
    match &body {
        // A list with nothing for what is right.
        Json::Array(all) if all.len() == objects && objects > 0 => {
            let wrong: Vec<(usize, String)> = all
                .iter()
                .enumerate()
                .filter(|(_, errors)| errors.as_object().is_none_or(|errors| !errors.is_empty()))
                .map(|(place, errors)| (place, sentence(errors)))
                .collect();
            (!wrong.is_empty()).then_some(Refusal::These(wrong))
        }
        Json::Object(errors) => structured(errors).or_else(|| Some(Refusal::One(sentence(&body)))),
        _ => None,
    }
}

/// Since 4.7: `{"detail", "errors": [{"index" or "id", "errors"}]}`.
fn structured(body: &Map<String, Json>) -> Option<Refusal> {
    let all = body.get("errors")?.as_array()?;
    let told = |name: &str| -> Option<Vec<(u64, String)>> {
        all.iter()
            .map(|error| {
                let reason = sentence(error.get("errors").unwrap_or(&Json::Null));
                Some((error.get(name)?.as_u64()?, reason))
            })
            .collect()
    };
    if all.is_empty() {
        return None;
    }
    if let Some(by_place) = told("index") {
        let by_place = by_place.into_iter();
        return Some(Refusal::These(
            by_place
                .filter_map(|(place, reason)| Some((usize::try_from(place).ok()?, reason)))
                .collect(),
        ));
    }
    told("id").map(Refusal::Ids)
}

/// NetBox's reasons for one object as one line: `name: Device name must be unique`.
fn sentence(errors: &Json) -> String {
    fn texts(errors: &Json, about: &str, out: &mut Vec<String>) {
        match errors {
            Json::String(text) if about.is_empty() => out.push(text.clone()),
            Json::String(text) => out.push(format!("{about}: {text}")),
            Json::Array(all) => all.iter().for_each(|error| texts(error, about, out)),
            Json::Object(all) => {
                for (name, error) in all {
                    let general =
                        matches!(name.as_str(), "__all__" | "detail" | "non_field_errors");
                    texts(error, if general { about } else { name }, out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    texts(errors, "", &mut out);
    match out.is_empty() {
        true => "NetBox refused it without a reason".to_owned(),
        false => visible(&out.join("; "), 400),
    }
}

/// Whether a reason says that such an object stands already.
pub(super) fn is_clash(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["unique", "already exists", "duplicate", "overlap"].iter().any(|sign| reason.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, body: &str, objects: usize) -> Refusal {
        let error = HttpError::Status {
            place: "http://netbox/api/x".into(),
            code,
            body: body.to_owned().into(),
        };
        Refusal::of(&error, objects)
    }

    // The bodies are NetBox's own, of 4.6.8 where nothing else is said.

    #[test]
    fn a_list_with_gaps_tells_which_objects_are_wrong() {
        let body = r#"[{},{"address":["Invalid IP address format: bogus"]},{}]"#;
        let wrong = vec![(1, "address: Invalid IP address format: bogus".to_owned())];
        assert_eq!(of(400, body, 3), Refusal::These(wrong));
    }

    #[test]
    fn an_error_without_a_place_is_of_one_of_the_list() {
        let body = r#"{"role":["Related object not found using the provided numeric ID: 999"]}"#;
        let reason = "role: Related object not found using the provided numeric ID: 999";
        assert_eq!(of(400, body, 4), Refusal::One(reason.into()));
        let body = r#"{"__all__":["Device name must be unique per site."]}"#;
        assert_eq!(of(400, body, 4), Refusal::One("Device name must be unique per site.".into()));
        let body =
            r#"{"detail":"Unable to delete object. 3 dependent objects were found: d0 (3)"}"#;
        let reason = "Unable to delete object. 3 dependent objects were found: d0 (3)";
        assert_eq!(of(409, body, 1), Refusal::One(reason.into()));
    }

    #[test]
    fn the_structured_errors_of_4_7_name_places_and_ids() {
        let body = r#"{"detail":"1 of 2 objects could not be created.","errors":[{"index":1,"errors":{"__all__":["Interface with this Device and Name already exists."]}}]}"#;
        let wrong = vec![(1, "Interface with this Device and Name already exists.".to_owned())];
        assert_eq!(of(400, body, 2), Refusal::These(wrong));
        let body = r#"{"detail":"1 of 2 objects could not be found.","errors":[{"id":99999,"errors":{"id":["Object with ID 99999 does not exist"]}}]}"#;
        let wrong = vec![(99_999, "id: Object with ID 99999 does not exist".to_owned())];
        assert_eq!(of(400, body, 2), Refusal::Ids(wrong));
    }

    #[test]
    fn two_writers_in_each_others_way_are_told_from_a_crash() {
        let clash = r#"{"error": "duplicate key value violates unique constraint \"dcim_interface_unique_device_name\"\nDETAIL:  Key (device_id, name)=(1, eth0) already exists.", "exception": "IntegrityError", "netbox_version": "4.6.8", "python_version": "3.12.1"}"#;
        assert!(matches!(of(500, clash, 2), Refusal::Race(_)));
        let deadlock = r#"{"error": "deadlock detected\nDETAIL:  Process 1 waits", "exception": "OperationalError", "netbox_version": "4.6.8", "python_version": "3.12.1"}"#;
        assert!(matches!(of(500, deadlock, 2), Refusal::Race(_)));
        let crash = r#"{"error": "'address'", "exception": "KeyError", "netbox_version": "4.4.10", "python_version": "3.12.1"}"#;
        assert_eq!(of(500, crash, 2), Refusal::Crash("KeyError: 'address'".into()));
        assert!(matches!(of(502, "<html>Bad Gateway</html>", 2), Refusal::Doubt { .. }));
    }

    #[test]
    fn a_lost_token_ends_the_run_and_a_missing_permission_does_not() {
        let denied = r#"{"detail":"You do not have permission to perform this action."}"#;
        assert!(matches!(of(403, denied, 2), Refusal::Denied(_)));
        assert!(matches!(of(403, r#"{"detail":"Invalid v1 token"}"#, 2), Refusal::Fatal(_)));
        assert!(matches!(of(403, "<html>blocked</html>", 2), Refusal::Fatal(_)));
    }

    #[test]
    fn nothing_sent_is_told_from_nothing_heard() {
        let unreachable = |reason, delivered| {
            let place = "http://netbox".to_owned();
            Refusal::of(&HttpError::Unreachable { place, reason, delivered }, 1)
        };
        assert!(matches!(unreachable(Silence::Refused, false), Refusal::Busy(_)));
        assert!(matches!(unreachable(Silence::Cut, true), Refusal::Doubt { slow: false, .. }));
        assert!(matches!(unreachable(Silence::TimedOut, true), Refusal::Doubt { slow: true, .. }));
        assert!(matches!(unreachable(Silence::NoSuchName("x".into()), false), Refusal::Fatal(_)));
    }
}
