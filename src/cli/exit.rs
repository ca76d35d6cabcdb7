//! How a command ends: the exit codes, and the one line that says why.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::config::Complaints;

/// The exit codes. Scripts depend on them: they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// Nothing or not enough was done.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was begun.
    Usage = 2,
    /// A part failed: a source, or some of the changes.
    Partial = 3,
    /// The guard refused the plan; nothing was written.
    Refused = 4,
    /// There are changes to be made, and the command was asked to tell so by its exit code.
    Pending = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ended before it was done.
#[derive(Debug)]
pub enum Failure {
    /// What a person reads after `error: `, and the exit code.
    Message {
        /// The exit code.
        exit: Exit,
        /// "cannot X: Y; do Z".
        message: String,
    },
    /// The guard refused: exit code 4.
    Refused {
        /// What a person reads after `error: `.
        message: String,
        /// What would change, one line each.
        list: String,
    },
    /// Everything that is wrong with the configuration.
    Configuration(Complaints),
    /// Whoever read the output went away. Nobody is left to be told.
    BrokenPipe,
}

impl Failure {
    /// Something could not be done: exit code 1.
    pub fn failed(message: impl fmt::Display) -> Self {
        Failure::Message { exit: Exit::Failed, message: message.to_string() }
    }

    /// The command line or the configuration is wrong: exit code 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Failure::Message { exit: Exit::Usage, message: message.to_string() }
    }
}

impl From<Complaints> for Failure {
    fn from(complaints: Complaints) -> Self {
        Failure::Configuration(complaints)
    }
}

impl From<anyhow::Error> for Failure {
    /// The whole chain of causes on one line: exit code 1.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<io::Error>() {
            Ok(error) => error.into(),
            Err(error) => Failure::failed(format_args!("{error:#}")),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_causes_is_one_line() {
        let error = anyhow::anyhow!("connection refused").context("cannot reach netbox");
        match Failure::from(error) {
            Failure::Message { exit, message } => {
                assert_eq!(exit, Exit::Failed);
                assert_eq!(message, "cannot reach netbox: connection refused");
            }
            other => panic!("not a message: {other:?}"),
        }
    }

    #[test]
    fn a_reader_that_went_away_is_not_an_error_to_tell() {
        let error = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::from(error), Failure::BrokenPipe));
    }
}
