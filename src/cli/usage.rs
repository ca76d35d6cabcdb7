//! A wrong command line, told in one line.

use clap::error::ErrorKind;

use super::exit::{Exit, Failure};

/// Prints help and the version where they were asked for; makes anything else one line.
pub(super) fn explain(error: &clap::Error) -> Result<Exit, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print()?;
            Ok(Exit::Done)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.print()?;
            Ok(Exit::Usage)
        }
        _ => Err(Failure::usage(one_line(&error.render().to_string()))),
    }
}

/// What clap says over several lines, without the usage, and with the way to help.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    let parts = text
        .lines()
        .map(str::trim)
        .take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"))
        .filter(|part| !part.is_empty());
    for part in parts {
        let part = part.strip_prefix("error: ").unwrap_or(part);
        let (between, part) = match part.strip_prefix("tip: ") {
            Some(tip) => ("; ", tip),
            None if line.is_empty() => ("", part),
            None if line.ends_with(':') => (" ", part),
            None => (", ", part),
        };
        line.push_str(between);
        line.push_str(part);
    }
    line.push_str("; see `--help`");
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Arguments;
    use super::*;

    fn told(arguments: &[&str]) -> String {
        let error = Arguments::try_parse_from([&["netbox-agent"], arguments].concat()).unwrap_err();
        match explain(&error) {
            Err(Failure::Message { exit, message }) => {
                assert_eq!(exit, Exit::Usage);
                message
            }
            other => panic!("not an error: {other:?}"),
        }
    }

    #[test]
    fn a_wrong_command_line_is_one_line_that_says_what_to_do() {
        insta::assert_snapshot!(
            [
                &["completoins"][..],
                &["completions"],
                &["completions", "bsh"],
                &["completions", "bash", "--colr", "never"],
                &["completions", "bash", "--color", "sometimes"],
                &["-q", "-v", "completions", "bash"],
            ]
            .map(told)
            .join("\n")
        );
    }
}
