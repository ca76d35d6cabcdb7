//! `conflicts` and `reclaim`: what was kept because a person changed it, and how the
//! agent takes it back.

use std::fmt::Write;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::plan::{ConflictFile, Names, PlanFormat, json};
use super::session::{Access, records};
use crate::domain::object::{Field, Kind};
use crate::store::{OpenConflict, Reclaim};

/// The arguments of `conflicts`.
#[derive(Debug, Args)]
pub(super) struct ConflictsArgs {
    /// How to print them
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: PlanFormat,
}

/// The arguments of `reclaim`.
#[derive(Debug, Args)]
pub(super) struct ReclaimArgs {
    /// The object: `device/42` as `conflicts` shows it, or its name
    #[arg(value_name = "OBJECT")]
    object: String,
    /// The field; all of the object's fields when left out
    #[arg(value_name = "FIELD")]
    field: Option<String>,
}

#[derive(Serialize)]
struct Open {
    #[serde(flatten)]
    conflict: ConflictFile,
    first_seen: Timestamp,
}

pub(super) async fn list(args: &ConflictsArgs, console: &Console) -> Result<Exit, Failure> {
    let records = records(console, Access::Read)?;
    let open = records.store.conflicts(&records.sink).map_err(Failure::failed)?;
    if args.format == PlanFormat::Json {
        let all: Vec<Open> = open
            .iter()
            .map(|open| Open {
                conflict: ConflictFile::of(&open.conflict),
                first_seen: open.first_seen,
            })
            .collect();
        return console.print(format_args!("{}\n", json(&all)?)).map(|()| Exit::Done);
    }
    let told = open.iter().flat_map(|open| [&open.conflict.live, &open.conflict.want]);
    let world = records.referred(told).await;
    let names = Names { world: Some(&world), desired: None };
    let mut text = String::new();
    for OpenConflict { conflict, first_seen, .. } in &open {
        let _ = writeln!(
            text,
            "{}/{} {} {}\n    stands     {}\n    sources say {}   [{}]\n    since {}",
            conflict.kind,
            conflict.id,
            conflict.label,
            conflict.field,
            names.value(&conflict.live),
            names.value(&conflict.want),
            conflict.why,
            first_seen.strftime("%Y-%m-%d %H:%M")
        );
    }
    if open.is_empty() {
        text.push_str("No field is in conflict.\n");
    } else {
        text.push_str("\nEach is kept as it stands. `netbox-agent reclaim OBJECT [FIELD]` gives it back to the agent.\n");
    }
    console.print(text).map(|()| Exit::Done)
}

pub(super) async fn reclaim(args: &ReclaimArgs, console: &Console) -> Result<Exit, Failure> {
    let records = records(console, Access::Write)?;
    let (store, sink) = (&records.store, &records.sink);
    let open = store.conflicts(sink).map_err(Failure::failed)?;
    let field = match &args.field {
        None => None,
        Some(word) => Some(word.parse::<Field>().map_err(|_| {
            Failure::usage(format_args!(
                "there is no field `{word}`; `netbox-agent conflicts` shows those in conflict"
            ))
        })?),
    };
    let (kind, id) = find(&args.object, &open)?;
    let wish = Reclaim { kind, id, field };
    store.request_reclaim(sink, &wish, Timestamp::now()).map_err(Failure::failed)?;
    let what = field.map_or_else(|| "every field".to_owned(), |field| field.to_string());
    console.note(format_args!("the next sync takes {what} of {kind}/{id} back"));
    Ok(Exit::Done)
}

/// The object that a person names: `device/42`, `netbox:device/42`, or the name of one in conflict.
fn find(object: &str, open: &[OpenConflict]) -> Result<(Kind, u64), Failure> {
    let plain = object.strip_prefix("netbox:").unwrap_or(object);
    if let Some((kind, id)) = plain.split_once('/')
        && let (Ok(kind), Ok(id)) = (kind.parse::<Kind>(), id.parse::<u64>())
    {
        return Ok((kind, id));
    }
    let mut named: Vec<(Kind, u64)> = open
        .iter()
        .map(|open| &open.conflict)
        .filter(|conflict| *conflict.label == *object)
        .map(|conflict| (conflict.kind, conflict.id))
        .collect();
    named.dedup();
    match named[..] {
        [one] => Ok(one),
        [] => Err(Failure::usage(format_args!(
            "nothing called `{object}` is in conflict; name it as `netbox-agent conflicts` shows it, such as device/42"
        ))),
        _ => Err(Failure::usage(format_args!(
            "several objects are called `{object}`; name one as device/42"
        ))),
    }
}
