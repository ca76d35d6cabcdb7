//! File, environment and secrets become [`Settings`]: validated once, here, and
//! right from then on. The only room that reads the environment.
//!
//! Everything that is wrong is told at once, each mistake with its place in the
//! file or the name of the variable, and no secret is ever part of it.

use std::path::{Path, PathBuf};

use crate::domain::name::SourceName;
use crate::domain::settings::Policy;
use crate::netbox::Connection;

mod complaint;
mod convert;
mod environment;
mod file;
mod layers;
mod path;
mod sample;
mod schema;
mod show;
mod sources;
mod tables;
mod text;

#[cfg(test)]
mod tests;

pub use complaint::{Complaint, Complaints};
pub use file::{Format, Level};
pub use sample::{SAMPLE, default_path, starting_file, write_new};
pub use schema::schema;
pub use show::show;
pub use sources::Source;

use environment::Environment;
use layers::Layers;

/// Everything that a person configured, ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that was read, where there is one.
    pub path: Option<PathBuf>,
    /// Where the agent keeps what it must remember.
    pub state_dir: PathBuf,
    /// How many sources are asked at once.
    pub concurrency: usize,
    /// NetBox; without it, the sink is the local inventory.
    pub netbox: Option<Connection>,
    /// What steers a run.
    pub policy: Policy,
    /// The sources that are asked.
    pub sources: Vec<Source>,
    /// Sources that are configured but switched off.
    pub disabled: Vec<SourceName>,
    /// Logging.
    pub log: Log,
    /// What a person should know of the configuration, though nothing is wrong with it.
    pub warnings: Vec<String>,
}

/// Logging to standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    /// How much is logged.
    pub level: Level,
    /// How lines are written.
    pub format: Format,
}

/// Reads the configuration: the given file, else the one that the environment names,
/// else the first that stands at the usual places, else none at all.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(explicit: Option<&Path>) -> Result<Settings, Complaints> {
    load_in(explicit, &Environment::read())
}

fn load_in(explicit: Option<&Path>, environment: &Environment) -> Result<Settings, Complaints> {
    let file = locate(explicit, environment)?;
    let open = file.as_ref().is_some_and(|(path, _)| is_open_to_all(path));
    let mut layers = Layers::read(
        file.as_ref().map(|(path, text)| (path.as_path(), text.clone())),
        environment,
    )?;
    if open && layers.holds_secrets() {
        layers.warnings.push(format!(
            "{} holds secrets and everyone on this machine can read it; make it yours alone: chmod 600",
            layers.path().unwrap_or(Path::new("the file")).display()
        ));
    }
    let settings = convert::settings(&mut layers, environment);
    let path = layers.path().map(Path::to_owned);
    let warnings = layers.complaints()?;
    let settings = settings.expect("what cannot be converted was complained of");
    Ok(Settings { path, warnings, ..settings })
}

/// Whether the environment asks for no colours (<https://no-color.org>).
#[must_use]
pub fn colours_unwanted() -> bool {
    Environment::read().colours_unwanted()
}

/// Finds and reads the file.
fn locate(
    explicit: Option<&Path>,
    environment: &Environment,
) -> Result<Option<(PathBuf, String)>, Complaints> {
    let refuse = |complaint| Complaints(vec![complaint]);
    if let Some(path) = explicit {
        let text = read(path).map_err(|error| refuse(Complaint::anywhere(cannot(path, &error))))?;
        return Ok(Some((path.to_owned(), text)));
    }
    if let Some(path) = environment.file() {
        let text = read(&path).map_err(|error| {
            refuse(Complaint::in_variable("NETBOX_AGENT_CONFIG", cannot(&path, &error)))
        })?;
        return Ok(Some((path, text)));
    }
    for path in environment.places() {
        match read(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(refuse(Complaint::anywhere(cannot(&path, &error)))),
        }
    }
    Ok(None)
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    let tip = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "; write one with `netbox-agent config init`, or name another with --config"
        }
        std::io::ErrorKind::PermissionDenied => {
            "; run this as the file's owner or as root, or name another with --config"
        }
        _ => "",
    };
    format!("cannot read the configuration {}: {error}{tip}", path.display())
}

/// No configuration is longer than this.
const LONGEST: u64 = 4 * 1024 * 1024;

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LONGEST {
        true => Err(std::io::Error::other("it is longer than 4 MiB")),
        false => Ok(text),
    }
}

fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}
