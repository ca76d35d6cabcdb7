//! A plan as a person reads it: object, field, before → after, and who says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::domain::diagnostic::Severity;
use crate::domain::guard::{Cap, Refusal};
use crate::domain::name::visible;
use crate::domain::object::{Desired, Field, ObjectRef};
use crate::domain::outcome::Outcome;
use crate::domain::plan::{Action, Change, Plan};
use crate::domain::value::Value;
use crate::domain::world::World;

/// Names for references, so that a person sees `Main` and not `site 3`.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Names<'a> {
    pub(in crate::cli) world: Option<&'a World>,
    pub(in crate::cli) desired: Option<&'a Desired>,
}

impl Names<'_> {
    fn reference(&self, reference: &ObjectRef) -> String {
        let name = match reference {
            ObjectRef::Live(kind, id) => self
                .world
                .and_then(|world| world.get(*kind, *id))
                .map(|live| live.name().to_owned()),
            ObjectRef::Planned(_, key) => {
                let object = self.desired.and_then(|desired| desired.objects.get(key));
                object.map(|object| object.label.to_string())
            }
        };
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| reference.to_string())
    }

    pub(in crate::cli) fn value(&self, value: &Value) -> String {
        match value {
            Value::Ref(reference) => self.reference(reference),
            Value::Refs(refs) if !refs.is_empty() => {
                let mut names: Vec<String> =
                    refs.iter().map(|reference| self.reference(reference)).collect();
                names.sort();
                names.join(", ")
            }
            Value::Text(text) => visible(text, 120),
            other => other.to_string(),
        }
    }
}

/// How an action is marked at the beginning of a line.
fn mark(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Move => '>',
        Action::Retire => '!',
        Action::Delete => '-',
    }
}

/// The whole plan.
pub(in crate::cli) fn plan(plan: &Plan, names: Names<'_>) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        one(&mut text, change, names);
    }
    if !plan.conflicts.is_empty() {
        text.push_str("\nKept, because a person changed it:\n");
        for conflict in &plan.conflicts {
            let _ = writeln!(
                text,
                "  {} {}: {} is `{}`, sources say `{}` ({})",
                conflict.kind.label(),
                conflict.label,
                conflict.field,
                names.value(&conflict.live),
                names.value(&conflict.want),
                conflict.why
            );
        }
    }
    let told: Vec<_> =
        plan.diagnostics.iter().filter(|told| told.severity > Severity::Note).collect();
    if !told.is_empty() {
        text.push('\n');
        for told in told {
            let _ = writeln!(text, "{told}");
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{}", summary(plan));
    text
}

fn one(text: &mut String, change: &Change, names: Names<'_>) {
    let _ = write!(text, "{} {} {}", mark(change.action), change.kind.label(), change.label);
    if !change.reason.is_empty() {
        let _ = write!(text, "  ({})", change.reason);
    }
    text.push('\n');
    if change.action == Action::Delete {
        return;
    }
    for seat in &change.unseat {
        let _ = writeln!(text, "    first leaves {} of {}", seat.field, seat.label);
    }
    let shown = |field: Field, after: &Value| {
        let lone_tag =
            matches!(after, Value::Refs(tags) if field == Field::Tags && tags.len() == 1);
        change.action != Action::Create || !(is_bookkeeping(field) || lone_tag)
    };
    for (field, value) in change.fields.iter().filter(|(field, value)| shown(**field, &value.after))
    {
        let after = names.value(&value.after);
        let value_text = match change.action {
            Action::Create => after,
            _ => format!("{} → {after}", names.value(&value.before)),
        };
        let _ = writeln!(text, "    {field:<20} {value_text}   [{}]", value.why);
    }
}

/// Fields of a new object that say nothing a person would review.
fn is_bookkeeping(field: Field) -> bool {
    field.is_mark() || matches!(field, Field::Slug | Field::Color | Field::VmRole)
}

/// One line that counts a plan.
pub(in crate::cli) fn summary(plan: &Plan) -> String {
    let mut counts: BTreeMap<Action, usize> = BTreeMap::new();
    for change in &plan.changes {
        *counts.entry(change.action).or_insert(0) += 1;
    }
    let count = |action| counts.get(&action).copied().unwrap_or(0);
    if plan.is_empty() {
        return match plan.conflicts.len() {
            0 => "Nothing to do: what was seen stands already.".to_owned(),
            kept => format!("Nothing to do; {kept} fields kept as a person set them."),
        };
    }
    format!(
        "Plan: {} to create, {} to update, {} to move, {} to retire, {} to delete; {} fields kept as a person set them.",
        count(Action::Create),
        count(Action::Update),
        count(Action::Move),
        count(Action::Retire),
        count(Action::Delete),
        plan.conflicts.len()
    )
}

/// One line that counts how a plan ended.
pub(in crate::cli) fn ended(plan: &Plan, outcomes: &[Outcome]) -> String {
    let count = |word: &str| outcomes.iter().filter(|outcome| outcome.word() == word).count();
    let of = plan.changes.len();
    if of == 0 {
        return summary(plan);
    }
    let adopted = match count("adopted") {
        0 => String::new(),
        adopted => format!(" {adopted} made by somebody else meanwhile,"),
    };
    format!(
        "Applied {} of {of} changes;{adopted} {} failed, {} skipped, {} not reached.",
        count("applied"),
        count("failed"),
        count("skipped"),
        count("not_reached")
    )
}

/// What did not end well, one line each. What an end left unreached is counted in the
/// summary: a person needs no list of it.
pub(in crate::cli) fn unhappy(plan: &Plan, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (change, outcome) in plan.changes.iter().zip(outcomes) {
        if !outcome.is_applied() && !matches!(outcome, Outcome::NotReached) {
            let _ = writeln!(
                text,
                "{} {} {}: {outcome}",
                mark(change.action),
                change.kind.label(),
                change.label
            );
        }
    }
    text
}

/// On one line: what is too much, and what would allow it.
pub(in crate::cli) fn refused(refusals: &[Refusal]) -> String {
    let what: Vec<String> = refusals.iter().map(too_much).collect();
    let caps: BTreeSet<Cap> = refusals.iter().map(|refusal| refusal.cap).collect();
    let allow: Vec<String> = caps.iter().map(|cap| format!("--allow {cap}")).collect();
    format!("{}; allow it with {}", what.join("; "), allow.join(" "))
}

fn too_much(refusal: &Refusal) -> String {
    let Refusal { cap, number, total, limit, .. } = refusal;
    match &refusal.source {
        Some(source) => format!(
            "{source} misses {number} of {total} hosts that it saw in its last run, where {limit} may be missing"
        ),
        // A share is one of what stands; of a number alone, or of nothing, nobody needs to know.
        None if limit.share.is_some() && *total > 0 => {
            format!("{number} {cap} among {total} objects, where {limit} are allowed")
        }
        None => format!("{number} {cap}, where {limit} are allowed"),
    }
}

/// What the guard refuses to change, one line each.
pub(in crate::cli) fn refused_list(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for refusal in refusals {
        let _ = match &refusal.source {
            Some(source) => writeln!(text, "{} from {source}:", refusal.cap),
            None => writeln!(text, "{}:", refusal.cap),
        };
        for object in refusal.objects.iter().take(SHOWN) {
            let _ = writeln!(text, "  {}", visible(object, 120));
        }
        if refusal.objects.len() > SHOWN {
            let _ = writeln!(text, "  … and {} more", refusal.objects.len() - SHOWN);
        }
    }
    text
}

/// So many of what is refused are named.
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use crate::domain::object::{Kind, ObjectKey};
    use crate::domain::settings::{Limit, Share};

    use super::*;

    #[test]
    fn what_was_not_reached_is_counted_and_not_listed() {
        let change = |name: &str| Change {
            action: Action::Create,
            kind: Kind::Tag,
            key: ObjectKey::new(Kind::Tag, name),
            id: None,
            label: name.into(),
            stamp: None,
            fields: Default::default(),
            unseat: Vec::new(),
            reason: "".into(),
        };
        let changes = ["bad", "late", "later"].map(change).to_vec();
        let plan = Plan { changes, ..Plan::default() };
        let failed = Outcome::Failed { reason: "no".into() };
        let outcomes = [failed, Outcome::NotReached, Outcome::NotReached];
        let told = unhappy(&plan, &outcomes);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("bad") && ended(&plan, &outcomes).contains("2 not reached"));
    }

    fn refusal(cap: Cap, number: usize, total: u64, limit: Limit) -> Refusal {
        let objects = (0..number).map(|place| format!("h{place:02}").into()).collect();
        Refusal { cap, number: number as u64, total, limit, objects, source: None }
    }

    #[test]
    fn a_refusal_says_what_is_too_much_and_what_allows_it() {
        let few = Limit { count: Some(10), share: None };
        let share = Limit { count: Some(10), share: Some(Share(2_000)) };
        let both = [refusal(Cap::Creates, 25, 0, few), refusal(Cap::Retires, 12, 40, share)];
        assert_eq!(
            refused(&both),
            "25 creates, where 10 are allowed; 12 retires among 40 objects, where 10 or 20% are \
             allowed; allow it with --allow creates --allow retires"
        );
        let missing =
            Refusal { source: Some("lan".into()), ..refusal(Cap::Vanished, 9, 12, share) };
        assert_eq!(
            refused(std::slice::from_ref(&missing)),
            "lan misses 9 of 12 hosts that it saw in its last run, where 10 or 20% may be \
             missing; allow it with --allow vanished"
        );
        let list = refused_list(&[both[0].clone(), missing]);
        assert!(list.starts_with("creates:\n  h00\n"), "{list}");
        assert!(list.contains("  h19\n  … and 5 more\nvanished from lan:\n  h00\n"), "{list}");
    }
}
