//! The program in a network, and what it printed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::network::Lab;

/// The program with a home of its own and nothing else of this machine's settings.
pub(crate) struct Program {
    home: tempfile::TempDir,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Program { home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A command in a lab, or on this machine.
    pub(crate) fn command(&self, lab: Option<&Lab>, arguments: &[&str]) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_netbox-agent"));
        self.start(lab, &[binary.to_str().unwrap()], arguments)
    }

    /// The same as somebody with no privilege at all.
    pub(crate) fn as_nobody(&self, lab: Option<&Lab>, arguments: &[&str]) -> Command {
        let none = "--inh-caps=-all --ambient-caps=-all --bounding-set=-all";
        self.as_user(lab, none, arguments)
    }

    /// The same as somebody who may send frames and nothing else.
    pub(crate) fn with_net_raw(&self, lab: Option<&Lab>, arguments: &[&str]) -> Command {
        let one =
            "--inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw --bounding-set=-all,+net_raw";
        self.as_user(lab, one, arguments)
    }

    fn as_user(&self, lab: Option<&Lab>, capabilities: &str, arguments: &[&str]) -> Command {
        let binary = self.path("netbox-agent");
        if !binary.exists() {
            // Where the binary was built need not be open to others.
            let built = env!("CARGO_BIN_EXE_netbox-agent");
            std::fs::copy(built, &binary).unwrap();
            std::fs::set_permissions(self.home.path(), PermissionsExt::from_mode(0o777)).unwrap();
        }
        let user = "setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs";
        let mut words: Vec<&str> = user.split(' ').chain(capabilities.split(' ')).collect();
        words.push(binary.to_str().unwrap());
        self.start(lab, &words, arguments)
    }

    fn start(&self, lab: Option<&Lab>, words: &[&str], arguments: &[&str]) -> Command {
        let mut command = match lab {
            Some(lab) => lab.command(words[0]),
            None => Command::new(words[0]),
        };
        command.args(&words[1..]).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, lab: Option<&Lab>, arguments: &[&str]) -> End {
        End::of(&self.command(lab, arguments).output().unwrap())
    }
}

impl End {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let end = End {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!end.err.contains("panicked") && !end.err.contains("internal error"), "{end:?}");
        // A line of a hosts file has a tab between its columns.
        let plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
        assert!(end.out.chars().all(plain) && end.err.chars().all(plain), "{end:?}");
        end
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Nothing on standard output, and one line that says what to do.
    pub(crate) fn is_one_line(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part}: {self:?}");
        }
    }
}

/// Whether one may become nobody here; says loudly why not.
#[expect(clippy::print_stderr, reason = "a test that is skipped must not pass in silence")]
pub(crate) fn can_become_nobody() -> bool {
    let can = rustix::process::geteuid().is_root()
        && Command::new("setpriv").arg("--version").output().is_ok();
    if !can {
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("SKIPPED: {name} needs root and setpriv to become somebody without privileges");
    }
    can
}
