//! The binary as a person or a script meets it: exit codes, one-line errors, pipes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A home of its own, and nothing else of this machine's settings.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Home(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netbox-agent"));
        command.args(arguments).env_clear().env("HOME", self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> End {
        End::of(&self.command(arguments).output().unwrap())
    }
}

#[derive(Debug)]
struct End {
    code: Option<i32>,
    out: String,
    err: String,
}

impl End {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let end = End {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!end.err.contains("panicked") && !end.err.contains("backtrace"), "{end:?}");
        end
    }

    /// Nothing on standard output, and one line that says what to do.
    fn is_one_line(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!((self.out.as_str(), self.err.lines().count()), ("", 1), "{self:?}");
        assert!(self.err.starts_with("error: "), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part} is not in {}", self.err);
        }
    }
}

#[test]
fn help_and_the_version_are_results() {
    let home = Home::new();
    for arguments in [&["--help"][..], &["-V"], &["config", "--help"], &["help", "config", "init"]]
    {
        let end = home.run(arguments);
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(!end.out.is_empty());
    }
    assert!(home.run(&["--help"]).out.contains("Exit codes:"));
    assert!(home.run(&["config", "init", "--help"]).out.contains("Examples:"));
}

#[test]
fn a_wrong_command_line_is_usage() {
    let home = Home::new();
    assert_eq!(home.run(&[]).code, Some(2));
    home.run(&["confg", "check"]).is_one_line(2, &["confg", "config", "--help"]);
    home.run(&["config", "check", "--nonsense"]).is_one_line(2, &["--nonsense", "--help"]);
}

#[test]
fn a_configuration_that_is_missing_or_wrong_is_usage() {
    let home = Home::new();
    let missing = home.path("none.toml");
    home.run(&["--config", missing.to_str().unwrap(), "config", "check"])
        .is_one_line(2, &["none.toml", "config init"]);
    let wrong =
        home.put("a.toml", "[netbox]\nurll = \"https://netbox\"\ntoken = \"s3cret\"\n[lgo]\n");
    let end = home.run(&["--config", &wrong, "config", "check"]);
    assert_eq!((end.code, end.out.as_str()), (Some(2), ""));
    assert_eq!(end.err.matches("error: ").count(), 2, "{}", end.err);
    for part in
        ["a.toml:2:1: unknown key `urll`; did you mean `url`?", "^^^^", "did you mean `log`"]
    {
        assert!(end.err.contains(part), "{part} is not in {}", end.err);
    }
    assert!(!end.err.contains("s3cret"));
    let right = home.put("b.toml", "");
    let mut command = home.command(&["--config", &right, "config", "check"]);
    let end = End::of(&command.env("NETBOX_AGENT__LOG__LEVEL", "loud").output().unwrap());
    end.is_one_line(2, &["NETBOX_AGENT__LOG__LEVEL"]);
}

#[test]
fn a_secret_that_cannot_be_had_is_told_with_its_place() {
    let home = Home::new();
    let text = "[netbox]\nurl = \"https://netbox\"\ntoken_file = \"/nonexistent/token\"\n";
    let path = home.put("a.toml", text);
    let end = home.run(&["--config", &path, "config", "check"]);
    assert_eq!(end.code, Some(2));
    assert!(
        end.err.contains("a.toml:3:14: cannot read `token_file` /nonexistent/token"),
        "{}",
        end.err
    );
}

#[test]
fn a_starting_file_is_written_once_for_its_owner_and_is_right() {
    let home = Home::new();
    let path = home.path("new/netbox-agent.toml");
    let path = path.to_str().unwrap();
    let end = home.run(&["config", "init", "--path", path]);
    assert_eq!((end.code, end.out.as_str()), (Some(0), ""), "{end:?}");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&["config", "init", "--path", path]).is_one_line(2, &["--force"]);
    assert_eq!(home.run(&["-q", "config", "init", "--path", path, "--force"]).err, "");
    let end = home.run(&["--config", path, "config", "check"]);
    assert_eq!((end.code, end.err.as_str()), (Some(0), ""), "{end:?}");
    let end = home.run(&["config", "init", "--path", "/proc/nowhere/a.toml"]);
    end.is_one_line(1, &["cannot write /proc/nowhere/a.toml"]);
}

#[test]
fn schemas_are_json() {
    let home = Home::new();
    for arguments in [["config", "schema"], ["schema", "observation"]] {
        let end = home.run(&arguments);
        assert_eq!((end.code, end.err.as_str()), (Some(0), ""));
        let schema: serde_json::Value = serde_json::from_str(&end.out).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let home = Home::new();
    for arguments in [&["config", "schema"][..], &["completions", "bash"], &["--help"]] {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn warnings_go_to_standard_error_as_text_or_json() {
    let home = Home::new();
    let path = home.put("a.toml", "[netbox]\nurl = \"http://netbox.lan\"\ntoken = \"abc\"\n");
    let end = home.run(&["--config", &path, "config", "check"]);
    assert!(end.err.contains("WARN") && end.err.contains("unencrypted"), "{}", end.err);
    assert!(!end.err.contains('\u{1b}'), "no colours into a pipe");
    let end = home.run(&["--config", &path, "--log-format", "json", "config", "check"]);
    let line: serde_json::Value = serde_json::from_str(end.err.trim()).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(home.run(&["--config", &path, "-q", "config", "check"]).err, "");
    let quiet = home.put(
        "b.toml",
        "[log]\nlevel = \"error\"\n[netbox]\nurl = \"http://netbox.lan\"\ntoken = \"abc\"\n",
    );
    assert_eq!(home.run(&["--config", &quiet, "config", "check"]).err, "");
}
