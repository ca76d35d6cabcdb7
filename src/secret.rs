//! The one way in which a secret enters: as text, from a file, from a command,
//! or as a systemd credential. It leaves only through
//! [`secrecy::ExposeSecret`], at the place that sends it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

pub use secrecy::{ExposeSecret, SecretString};

/// Why a secret could not be had. The message never holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// More than one place was named.
    #[error(
        "`{key}` is given in more than one way; keep one of `{key}`, `{key}_file` and `{key}_command`"
    )]
    Ambiguous {
        /// The configuration key.
        key: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read `{key}_file` {path}: {reason}")]
    File {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The command failed.
    #[error("cannot get `{key}` from `{key}_command`: {reason}")]
    Command {
        /// The configuration key.
        key: &'static str,
        /// What happened; never what the command printed.
        reason: String,
    },
    /// What was read is empty.
    #[error("`{key}` is empty in {place}")]
    Empty {
        /// The configuration key.
        key: &'static str,
        /// Where it was read.
        place: String,
    },
}

/// The places from which one secret may come. Lives in a source's settings as
/// the three keys `token`, `token_file` and `token_command`.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The secret itself.
    pub text: Option<SecretString>,
    /// A file that holds it; one trailing line end is dropped.
    pub file: Option<PathBuf>,
    /// A command whose standard output it is, run by `sh -c`, such as `op read op://vault/netbox/token`.
    pub command: Option<String>,
}

/// How long a secret's command may run.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

impl Places {
    /// Reads the secret from the one place that is named, else from the systemd
    /// credential of the given name, else gives none.
    ///
    /// # Errors
    /// When more than one place is named, or when the named one gives nothing.
    pub fn resolve(
        &self,
        key: &'static str,
        credentials: Option<&Path>,
        credential: &str,
    ) -> Result<Option<SecretString>, SecretError> {
        let named = usize::from(self.text.is_some())
            + usize::from(self.file.is_some())
            + usize::from(self.command.is_some());
        if named > 1 {
            return Err(SecretError::Ambiguous { key });
        }
        if let Some(text) = &self.text {
            return not_empty(key, text.expose_secret(), || format!("`{key}`")).map(Some);
        }
        if let Some(path) = &self.file {
            return from_file(key, path).map(Some);
        }
        if let Some(command) = &self.command {
            return from_command(key, command).map(Some);
        }
        let path = credentials.map(|folder| folder.join(credential)).filter(|path| path.exists());
        path.map(|path| from_file(key, &path)).transpose()
    }
}

fn not_empty(
    key: &'static str,
    text: &str,
    place: impl Fn() -> String,
) -> Result<SecretString, SecretError> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretError::Empty { key, place: place() });
    }
    Ok(SecretString::from(text))
}

fn from_file(key: &'static str, path: &Path) -> Result<SecretString, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|error| SecretError::File {
        key,
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    not_empty(key, &text, || path.display().to_string())
}

fn from_command(key: &'static str, command: &str) -> Result<SecretString, SecretError> {
    let refuse = |reason: String| SecretError::Command { key, reason };
    let mut child = std::process::Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| refuse(format!("cannot start sh: {error}")))?;
    let mut stdout = child.stdout.take().ok_or_else(|| refuse("it has no output".to_owned()))?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let result = std::io::Read::read_to_string(
            &mut std::io::Read::take(&mut stdout, 64 * 1024),
            &mut text,
        );
        let _ = sender.send(result.map(|_| text));
    });
    let until = Instant::now() + COMMAND_LIMIT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(refuse(format!("it ran longer than {} s", COMMAND_LIMIT.as_secs())));
            }
            Err(error) => return Err(refuse(error.to_string())),
        }
    };
    if !status.success() {
        return Err(refuse(format!("it ended with {status}")));
    }
    let text = receiver
        .recv_timeout(Duration::from_secs(5))
        .map_err(|_| refuse("its output did not end".to_owned()))?
        .map_err(|error| refuse(format!("its output cannot be read: {error}")))?;
    not_empty(key, &text, || format!("the output of `{key}_command`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gives_its_output_without_the_line_end() {
        let places = Places { command: Some("printf 's3cret\\n'".into()), ..Places::default() };
        let secret = places.resolve("token", None, "x").unwrap().unwrap();
        assert_eq!(secret.expose_secret(), "s3cret");
    }

    #[test]
    fn a_failing_command_says_so_and_shows_nothing_of_its_output() {
        let places = Places { command: Some("echo leaked; exit 3".into()), ..Places::default() };
        let error = places.resolve("token", None, "x").unwrap_err().to_string();
        assert!(
            error.contains("token_command") && error.contains('3') && !error.contains("leaked"),
            "{error}"
        );
    }

    #[test]
    fn two_places_are_one_too_many() {
        let places =
            Places { text: Some("a".into()), file: Some("/b".into()), ..Places::default() };
        assert_eq!(
            places.resolve("token", None, "x").unwrap_err(),
            SecretError::Ambiguous { key: "token" }
        );
    }

    #[test]
    fn a_systemd_credential_is_the_last_resort() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("netbox.token"), "abc").unwrap();
        let found =
            Places::default().resolve("token", Some(folder.path()), "netbox.token").unwrap();
        assert_eq!(found.unwrap().expose_secret(), "abc");
        assert!(
            Places::default().resolve("token", Some(folder.path()), "other").unwrap().is_none()
        );
    }
}
