//! `check`: whether the agent can do its work as it is configured, one line for each
//! thing that was looked at. Writes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use futures::future::join_all;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::session::STORE;
use crate::config::{Settings, Source};
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::name::visible;
use crate::engine;
use crate::netbox::{NetBox, Permission};
use crate::store::{Fault, Store};

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Ask NetBox and the sources as well: reachability, version, permissions, prerequisites
    #[arg(long)]
    online: bool,
    /// How to print what was found
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: CheckFormat,
}

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// One line for each thing.
    Table,
    /// For programs.
    Json,
}

/// Everything that was found.
#[derive(Debug, Default)]
struct Found {
    lines: Vec<Diagnostic>,
    permissions: Vec<Permission>,
    /// Whether nothing can be done at all.
    unusable: bool,
}

impl Found {
    fn unusable(&mut self, code: &'static str, about: &str, message: impl ToString) {
        self.lines.push(Diagnostic::error(code, about, visible(&message.to_string(), 2_000)));
        self.unusable = true;
    }

    fn exit(&self) -> Exit {
        match self.lines.iter().any(|line| line.severity == Severity::Error) {
            false => Exit::Done,
            true if self.unusable => Exit::Failed,
            true => Exit::Partial,
        }
    }
}

pub(super) async fn run(args: &CheckArgs, console: &Console) -> Result<Exit, Failure> {
    let mut found = Found::default();
    let settings = match console.settings() {
        Ok(settings) => settings,
        Err(Failure::Configuration(complaints)) if args.format == CheckFormat::Json => {
            let told = complaints.iter().map(|complaint| {
                Diagnostic::error("configuration", "configuration", complaint.to_string())
            });
            found.lines.extend(told);
            print(&found, args.format, console)?;
            return Ok(Exit::Usage);
        }
        Err(failure) => return Err(failure),
    };
    found.lines.push(configuration(&settings));
    store(&settings, &mut found);
    if args.online {
        netbox(&settings, &mut found).await;
        let cancel = console.cancel();
        let sources = settings.sources.iter().map(|asked| source(asked, &cancel));
        found.lines.extend(join_all(sources).await);
    }
    print(&found, args.format, console)?;
    Ok(found.exit())
}

fn configuration(settings: &Settings) -> Diagnostic {
    let place = settings.path.as_ref().map_or_else(
        || "no file; the defaults and the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let count = settings.sources.len();
    let sources = if count == 1 { "1 source".to_owned() } else { format!("{count} sources") };
    let sink = settings
        .netbox
        .as_ref()
        .map_or_else(|| "the local inventory".to_owned(), |netbox| crate::http::place(&netbox.url));
    let message = format!("{place}: {sources}, written to {sink}");
    if settings.sources.is_empty() {
        let message = format!("{message}; without a [[source]] there is nothing to find");
        return Diagnostic::warning("configuration", "configuration", message);
    }
    Diagnostic::note("configuration", "configuration", message)
}

fn store(settings: &Settings, found: &mut Found) {
    let path = settings.state_dir.join(STORE);
    match Store::read(&path) {
        Ok(_) => {
            found.lines.push(Diagnostic::note("store", "store", path.display().to_string()));
        }
        Err(error) if matches!(error.fault, Fault::Missing) => {
            let message = format!("{} is not there yet; the first sync makes it", path.display());
            found.lines.push(Diagnostic::note("store", "store", message));
        }
        Err(error) => found.unusable("store", "store", error),
    }
}

async fn netbox(settings: &Settings, found: &mut Found) {
    let Some(config) = &settings.netbox else {
        let message = "none is configured; what is found is kept in the local inventory";
        found.lines.push(Diagnostic::note("netbox", "netbox", message));
        return;
    };
    let policy = &settings.policy;
    let netbox = match NetBox::connect(config, &policy.instance).await {
        Ok(netbox) => netbox,
        Err(error) => return found.unusable("netbox", "netbox", error),
    };
    let place = crate::http::place(&config.url);
    let version = netbox.version();
    found.lines.push(if netbox.is_known() {
        Diagnostic::note("netbox", "netbox", format!("{place} answers; version {version}"))
    } else {
        let message = format!(
            "{place} is {version}, newer than any that was tested; it is used all the same"
        );
        Diagnostic::warning("netbox", "netbox", message)
    });
    match netbox.check(policy).await {
        Ok(lines) => found.lines.extend(lines),
        Err(error) => return found.unusable("netbox", "netbox", error),
    }
    found.permissions = netbox.least_permissions(policy);
}

/// The code of what was not looked at.
const UNASKED: &str = "unasked";

async fn source(source: &Source, cancel: &CancellationToken) -> Diagnostic {
    let about = format!("source {}", source.name);
    match engine::reach(source, cancel).await {
        None => {
            let message =
                format!("only collecting can tell; try `netbox-agent collect {}`", source.name);
            Diagnostic::note(UNASKED, about, message)
        }
        Some(Ok(what)) => Diagnostic::note("source", about, visible(&what, 300)),
        Some(Err(error)) => Diagnostic::error("source", about, visible(&error.to_string(), 2_000)),
    }
}

/// What was found, for programs.
#[derive(Serialize)]
struct CheckFile<'a> {
    version: u32,
    checks: Vec<Line<'a>>,
    /// What the token's user has to be allowed, by kind of object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    permissions: BTreeMap<&'a str, &'a [&'static str]>,
}

#[derive(Serialize)]
struct Line<'a> {
    state: &'static str,
    code: &'static str,
    about: &'a str,
    message: &'a str,
}

fn state(line: &Diagnostic) -> &'static str {
    match line.severity {
        Severity::Note if line.code == UNASKED => UNASKED,
        Severity::Note => "ok",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn print(found: &Found, format: CheckFormat, console: &Console) -> Result<(), Failure> {
    match format {
        CheckFormat::Table => console.print(text(found)),
        CheckFormat::Json => {
            let checks = found.lines.iter().map(|line| Line {
                state: state(line),
                code: line.code,
                about: &line.about,
                message: &line.message,
            });
            let permissions = found.permissions.iter();
            let file = CheckFile {
                version: 1,
                checks: checks.collect(),
                permissions: permissions
                    .map(|needed| (needed.model.as_str(), needed.actions.as_slice()))
                    .collect(),
            };
            let text = serde_json::to_string_pretty(&file)
                .map_err(|error| Failure::failed(format_args!("cannot write JSON: {error}")))?;
            console.print(format_args!("{text}\n"))
        }
    }
}

fn text(found: &Found) -> String {
    let mut text = String::new();
    for line in &found.lines {
        let state = state(line);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{state:<8} {}: {}", line.about, line.message);
    }
    if !found.permissions.is_empty() {
        text.push_str("\nThe least that the token's user has to be allowed in NetBox:\n");
        let mut models: BTreeMap<(&[&str], &str), Vec<&str>> = BTreeMap::new();
        for permission in &found.permissions {
            let (app, model) = permission.model.split_once('.').unwrap_or_default();
            models.entry((&permission.actions, app)).or_default().push(model);
        }
        for ((actions, app), models) in models {
            let _ = writeln!(text, "  {} in {app}: {}", actions.join(", "), models.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(model: &str, actions: &[&'static str]) -> Permission {
        Permission { model: model.into(), actions: actions.to_vec() }
    }

    #[test]
    fn each_thing_is_one_line_and_the_permissions_are_grouped() {
        let found = Found {
            lines: vec![
                Diagnostic::note("netbox", "netbox", "https://nb answers; version 4.6.8"),
                Diagnostic::warning("change_log", "change log", "the token may not read it"),
                Diagnostic::error("permission", "dcim/cables", "the token may not add these"),
            ],
            permissions: vec![
                permission("dcim.cable", &["view", "add", "change"]),
                permission("dcim.device", &["view", "add", "change"]),
                permission("core.objectchange", &["view"]),
            ],
            unusable: false,
        };
        assert_eq!(found.exit(), Exit::Partial);
        insta::assert_snapshot!(text(&found), @r"
        ok       netbox: https://nb answers; version 4.6.8
        warning  change log: the token may not read it
        error    dcim/cables: the token may not add these

        The least that the token's user has to be allowed in NetBox:
          view in core: objectchange
          view, add, change in dcim: cable, device
        ");
    }

    #[test]
    fn what_cannot_be_used_at_all_is_a_failure_and_warnings_are_none() {
        let mut found = Found::default();
        found.lines.push(Diagnostic::warning("source", "source lan", "slow"));
        assert_eq!(found.exit(), Exit::Done);
        found.unusable("netbox", "netbox", "cannot reach it");
        assert_eq!(found.exit(), Exit::Failed);
    }
}
