//! What NetBox's change log says of a write: which agent, which run, and on what
//! evidence. The change log is read by it again when the agent lost its memory.

use crate::domain::object::Why;
use crate::domain::plan::{Action, Change};

/// NetBox keeps so many characters of a message.
const LONGEST: usize = 200;

/// The beginning of every message of a run.
#[derive(Debug, Clone)]
pub(super) struct Message {
    start: String,
}

/// How every message of an agent begins.
pub(in super::super) fn signature(instance: &str) -> String {
    format!("netbox-agent {instance}")
}

/// Whether a message is one of an agent.
pub(in super::super) fn is_signed(message: &str, instance: &str) -> bool {
    let rest = message.strip_prefix(&signature(instance));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':']))
}

impl Message {
    pub(super) fn new(instance: &str, run: Option<i64>) -> Self {
        let start = signature(instance);
        Message { start: run.map_or(start.clone(), |run| format!("{start} run {run}")) }
    }

    /// The message of one change.
    pub(super) fn about(&self, change: &Change) -> String {
        let mut reasons: Vec<String> = Vec::new();
        match change.action {
            Action::Retire | Action::Delete => {
                reasons.push(format!("{}: {}", change.action, change.reason));
            }
            _ => {
                // What sources say comes before what follows from settings.
                let said = |why: &&Why| matches!(why, Why::Source { .. });
                let all: Vec<&Why> = change.fields.iter().map(|(_, field)| &field.why).collect();
                let (sources, others): (Vec<&Why>, Vec<&Why>) = all.into_iter().partition(said);
                for why in sources.into_iter().chain(others) {
                    let text = why.to_string();
                    if !reasons.contains(&text) {
                        reasons.push(text);
                    }
                }
            }
        }
        let text = format!("{}: {}", self.start, reasons.join("; "));
        text.char_indices().nth(LONGEST).map_or(text.clone(), |(end, _)| text[..end].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::object::{Field, Kind, ObjectKey};
    use crate::domain::plan::FieldChange;
    use crate::domain::value::{SmallMap, Value};

    #[test]
    fn a_message_names_agent_run_source_and_evidence_and_fits() {
        let source = |evidence: &str| Why::Source {
            source: "lan".parse().unwrap(),
            evidence: evidence.into(),
        };
        let field = |why: Why| FieldChange { before: Value::Null, after: Value::Null, why };
        let change = Change {
            action: Action::Create,
            kind: Kind::Device,
            key: ObjectKey::new(Kind::Device, "x"),
            id: None,
            label: "x".into(),
            stamp: None,
            fields: SmallMap::from_iter([
                (Field::Name, field(source("mDNS"))),
                (Field::Status, field(Why::Agent("it was seen".into()))),
                (Field::Serial, field(source("ARP"))),
                (Field::Comments, field(source(&"long ".repeat(60)))),
            ]),
            unseat: Vec::new(),
            reason: "".into(),
        };
        let text = Message::new("lab", Some(42)).about(&change);
        assert!(text.starts_with("netbox-agent lab run 42: lan: mDNS; lan: "), "{text}");
        assert_eq!(text.chars().count(), LONGEST);
        assert!(is_signed(&text, "lab"));
        assert!(!is_signed(&text, "la") && !is_signed(&text, "lab2"));
    }
}
