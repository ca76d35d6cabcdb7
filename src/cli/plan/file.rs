//! A plan as JSON: what `plan --format json` prints, `plan --out` saves and
//! `sync --plan` reads back. Stable: fields are added, never changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use crate::domain::plan::{Change, Conflict, FieldChange, Plan, Seat};
use crate::domain::value::{Decimal, Value};

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// A plan with what it was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct PlanFile {
    /// 1.
    pub(in crate::cli) version: u32,
    /// The sink it was made for.
    pub(in crate::cli) sink: String,
    /// The agent that made it.
    pub(in crate::cli) instance: String,
    /// When it was made.
    pub(in crate::cli) made: Timestamp,
    /// The changes.
    pub(in crate::cli) changes: Vec<ChangeFile>,
    /// What was kept because a person changed it.
    pub(in crate::cli) conflicts: Vec<ConflictFile>,
    /// What a person should know.
    pub(in crate::cli) diagnostics: Vec<Told>,
}

/// One object's change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct ChangeFile {
    action: String,
    kind: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    id: Option<u64>,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    stamp: Option<String>,
    fields: BTreeMap<String, FieldFile>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    unseat: Vec<SeatFile>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FieldFile {
    before: ValueFile,
    after: ValueFile,
    why: WhyFile,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SeatFile {
    holder: RefFile,
    label: String,
    field: String,
}

/// A field that a person changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct ConflictFile {
    kind: String,
    id: u64,
    key: String,
    label: String,
    field: String,
    live: ValueFile,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last: Option<ValueFile>,
    want: ValueFile,
    why: WhyFile,
}

/// A diagnostic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::cli) struct Told {
    pub(in crate::cli) severity: String,
    pub(in crate::cli) code: String,
    pub(in crate::cli) about: String,
    pub(in crate::cli) message: String,
}

/// A value: plain where JSON has it, else an object that says what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::cli) enum ValueFile {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Decimal { decimal: String },
    Words { words: Vec<String> },
    Numbers { numbers: Vec<i64> },
    Refs { refs: Vec<RefFile> },
    Ref(RefFile),
}

/// A reference: to what stands by id, to what the plan makes by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::cli) enum RefFile {
    Live { kind: String, id: u64 },
    New { kind: String, key: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::cli) enum WhyFile {
    Source { source: String, evidence: String },
    Rule { rule: String },
    Agent { agent: String },
}

/// A saved plan that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::cli) struct Unusable(String);

fn unusable(what: &str, text: &str) -> Unusable {
    Unusable(format!("unknown {what} `{}`", crate::domain::name::visible(text, 60)))
}

impl PlanFile {
    pub(in crate::cli) fn new(plan: &Plan, sink: &str, instance: &str, made: Timestamp) -> Self {
        PlanFile {
            version: VERSION,
            sink: sink.to_owned(),
            instance: instance.to_owned(),
            made,
            changes: plan.changes.iter().map(ChangeFile::of).collect(),
            conflicts: plan.conflicts.iter().map(ConflictFile::of).collect(),
            diagnostics: plan.diagnostics.iter().map(Told::of).collect(),
        }
    }

    /// The plan. Conflicts and diagnostics are for people; they are not read back.
    pub(in crate::cli) fn plan(&self) -> Result<Plan, Unusable> {
        if self.version != VERSION {
            return Err(Unusable(format!(
                "it has version {}, this agent reads version {VERSION}; make it anew",
                self.version
            )));
        }
        let changes = self.changes.iter().map(ChangeFile::read).collect::<Result<_, _>>()?;
        Ok(Plan { changes, ..Plan::default() })
    }
}

impl Told {
    pub(in crate::cli) fn of(told: &crate::domain::diagnostic::Diagnostic) -> Self {
        Told {
            severity: told.severity.as_str().to_owned(),
            code: told.code.to_owned(),
            about: told.about.to_string(),
            message: told.message.clone(),
        }
    }
}

impl ChangeFile {
    pub(in crate::cli) fn of(change: &Change) -> Self {
        let fields = change.fields.iter().map(|(field, change)| {
            let file = FieldFile {
                before: ValueFile::of(&change.before),
                after: ValueFile::of(&change.after),
                why: WhyFile::of(&change.why),
            };
            (field.as_str().to_owned(), file)
        });
        ChangeFile {
            action: change.action.as_str().to_owned(),
            kind: change.kind.as_str().to_owned(),
            key: change.key.to_string(),
            id: change.id,
            label: change.label.to_string(),
            stamp: change.stamp.as_deref().map(str::to_owned),
            fields: fields.collect(),
            unseat: change.unseat.iter().map(SeatFile::of).collect(),
            reason: change.reason.to_string(),
        }
    }

    fn read(&self) -> Result<Change, Unusable> {
        let fields = self.fields.iter().map(|(field, file)| {
            let change = FieldChange {
                before: file.before.read()?,
                after: file.after.read()?,
                why: file.why.read()?,
            };
            Ok((parse::<Field>("field", field)?, change))
        });
        Ok(Change {
            action: parse("action", &self.action)?,
            kind: parse("object kind", &self.kind)?,
            key: ObjectKey(self.key.as_str().into()),
            id: self.id,
            label: self.label.as_str().into(),
            stamp: self.stamp.as_deref().map(Arc::from),
            fields: fields.collect::<Result<_, Unusable>>()?,
            unseat: self.unseat.iter().map(SeatFile::read).collect::<Result<_, _>>()?,
            reason: self.reason.as_str().into(),
        })
    }
}

fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Unusable> {
    text.parse().map_err(|_| unusable(what, text))
}

impl SeatFile {
    fn of(seat: &Seat) -> Self {
        SeatFile {
            holder: RefFile::of(&seat.holder),
            label: seat.label.to_string(),
            field: seat.field.as_str().to_owned(),
        }
    }

    fn read(&self) -> Result<Seat, Unusable> {
        Ok(Seat {
            holder: self.holder.read()?,
            label: self.label.as_str().into(),
            field: parse("field", &self.field)?,
        })
    }
}

impl ConflictFile {
    pub(in crate::cli) fn of(conflict: &Conflict) -> Self {
        ConflictFile {
            kind: conflict.kind.as_str().to_owned(),
            id: conflict.id,
            key: conflict.key.to_string(),
            label: conflict.label.to_string(),
            field: conflict.field.as_str().to_owned(),
            live: ValueFile::of(&conflict.live),
            last: conflict.last.as_ref().map(ValueFile::of),
            want: ValueFile::of(&conflict.want),
            why: WhyFile::of(&conflict.why),
        }
    }
}

impl ValueFile {
    pub(in crate::cli) fn of(value: &Value) -> Self {
        match value {
            Value::Null => ValueFile::Null,
            Value::Bool(yes) => ValueFile::Bool(*yes),
            Value::Int(number) => ValueFile::Int(*number),
            Value::Decimal(number) => ValueFile::Decimal { decimal: number.to_string() },
            Value::Text(text) => ValueFile::Text(text.to_string()),
            Value::Words(words) => {
                ValueFile::Words { words: words.iter().map(ToString::to_string).collect() }
            }
            Value::Ints(numbers) => {
                ValueFile::Numbers { numbers: numbers.iter().copied().collect() }
            }
            Value::Ref(reference) => ValueFile::Ref(RefFile::of(reference)),
            Value::Refs(refs) => ValueFile::Refs { refs: refs.iter().map(RefFile::of).collect() },
        }
    }

    fn read(&self) -> Result<Value, Unusable> {
        Ok(match self {
            ValueFile::Null => Value::Null,
            ValueFile::Bool(yes) => Value::Bool(*yes),
            ValueFile::Int(number) => Value::Int(*number),
            ValueFile::Text(text) => Value::text(text),
            ValueFile::Decimal { decimal } => Value::Decimal(parse::<Decimal>("number", decimal)?),
            ValueFile::Words { words } => Value::words(words),
            ValueFile::Numbers { numbers } => Value::Ints(numbers.iter().copied().collect()),
            ValueFile::Refs { refs } => {
                Value::Refs(refs.iter().map(RefFile::read).collect::<Result<_, _>>()?)
            }
            ValueFile::Ref(reference) => Value::Ref(reference.read()?),
        })
    }
}

impl RefFile {
    fn of(reference: &ObjectRef) -> Self {
        match reference {
            ObjectRef::Live(kind, id) => RefFile::Live { kind: kind.as_str().to_owned(), id: *id },
            ObjectRef::Planned(kind, key) => {
                RefFile::New { kind: kind.as_str().to_owned(), key: key.to_string() }
            }
        }
    }

    fn read(&self) -> Result<ObjectRef, Unusable> {
        Ok(match self {
            RefFile::Live { kind, id } => ObjectRef::Live(parse::<Kind>("object kind", kind)?, *id),
            RefFile::New { kind, key } => {
                ObjectRef::Planned(parse("object kind", kind)?, ObjectKey(key.as_str().into()))
            }
        })
    }
}

impl WhyFile {
    pub(in crate::cli) fn of(why: &Why) -> Self {
        match why {
            Why::Source { source, evidence } => {
                WhyFile::Source { source: source.to_string(), evidence: evidence.to_string() }
            }
            Why::Rule(rule) => WhyFile::Rule { rule: rule.to_string() },
            Why::Agent(reason) => WhyFile::Agent { agent: reason.to_string() },
        }
    }

    fn read(&self) -> Result<Why, Unusable> {
        Ok(match self {
            WhyFile::Source { source, evidence } => {
                Why::Source { source: parse("source", source)?, evidence: evidence.as_str().into() }
            }
            WhyFile::Rule { rule } => Why::Rule(rule.as_str().into()),
            WhyFile::Agent { agent } => Why::Agent(agent.as_str().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Action;

    #[test]
    fn a_plan_reads_back_as_it_was_saved() {
        let why = Why::Source { source: "lab".parse().unwrap(), evidence: "listing".into() };
        let field = |after: Value| FieldChange { before: Value::Null, after, why: why.clone() };
        let change = Change {
            action: Action::Create,
            kind: Kind::Device,
            key: ObjectKey::new(Kind::Device, "pve:lab/node/a"),
            id: None,
            label: "a".into(),
            stamp: Some("2026-01-01T00:00:00Z".into()),
            fields: [
                (Field::Name, field(Value::text("a"))),
                (Field::Vcpus, field(Value::Decimal(Decimal(250)))),
                (Field::Ports, field(Value::Ints([22, 80].into()))),
                (Field::ObjectTypes, field(Value::words(["device"]))),
                (Field::Site, field(Value::Ref(ObjectRef::Live(Kind::Site, 3)))),
                (
                    Field::Tags,
                    field(Value::Refs(
                        [ObjectRef::Planned(Kind::Tag, ObjectKey::new(Kind::Tag, "x"))].into(),
                    )),
                ),
                (Field::Enabled, field(Value::Bool(true))),
            ]
            .into_iter()
            .collect(),
            unseat: vec![Seat {
                holder: ObjectRef::Live(Kind::Device, 9),
                label: "b".into(),
                field: Field::PrimaryIp4,
            }],
            reason: "".into(),
        };
        let plan = Plan { changes: vec![change], ..Plan::default() };
        let file = PlanFile::new(&plan, "local", "me", Timestamp::UNIX_EPOCH);
        let text = serde_json::to_string(&file).unwrap();
        let read: PlanFile = serde_json::from_str(&text).unwrap();
        assert_eq!(read.plan().unwrap(), plan);
    }

    #[test]
    fn a_plan_of_another_version_is_refused() {
        let mut file = PlanFile::new(&Plan::default(), "local", "me", Timestamp::UNIX_EPOCH);
        file.version = 9;
        assert!(file.plan().unwrap_err().to_string().contains("version 9"));
    }
}
