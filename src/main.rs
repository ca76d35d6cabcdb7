//! The binary: parses, dispatches, and turns the end of it into an exit code.

use std::process::ExitCode;

use netbox_agent::cli;

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        Ok(exit) => exit.into(),
        Err(failure) => cli::report(&failure).into(),
    }
}
