//! `exec`: any command that prints observations, in any language.
//!
//! The command gets an environment of its own and nothing of the agent's; it has
//! a time limit and an output limit, and it ends with everything that it started.
//! What it printed is used even when it failed, but then proves nothing absent.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::wire::{self, Context};
use super::{Assignment, BuildContext, CollectError, Collector, Harvest, Problem, SourceSettings};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::name::visible;
use crate::duration::Period;
use crate::secret::{ExposeSecret, Places, SecretString};

/// A command that prints observations as JSON Lines; see `netbox-agent schema observation`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecSettings {
    /// The program and its arguments. No shell looks at them.
    command: Option<Vec<String>>,
    /// A line for `sh -c`, in place of `command`.
    shell: Option<String>,
    /// The folder in which the command runs.
    #[serde(default = "root")]
    directory: PathBuf,
    /// Variables of the command's environment. Besides them it has PATH, LANG and NETBOX_AGENT_SOURCE.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    env: BTreeMap<String, SecretString>,
    /// Variables whose values stand in files.
    #[serde(default)]
    env_file: BTreeMap<String, PathBuf>,
    /// Variables whose values are printed by commands, run with `sh -c`.
    #[serde(default)]
    env_command: BTreeMap<String, String>,
    /// How long the command may run.
    #[serde(default = "five_minutes")]
    timeout: Period,
    /// How much the command may print, in MB (10^6 bytes).
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 4096))]
    max_output_mb: u32,
}

fn root() -> PathBuf {
    "/".into()
}

const fn five_minutes() -> Period {
    Period::seconds(300)
}

const fn sixty_four() -> u32 {
    64
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl SourceSettings for ExecSettings {
    const KIND: &'static str = "exec";
    const SUMMARY: &'static str = "a command that prints observations, in any language";
    const SAMPLE: &'static str = r#"
# A command that prints observations, one JSON object a line; the format is printed by
# `netbox-agent schema observation`.
# [[source]]
# kind = "exec"
# name = "shelf"
# The program and its arguments; no shell looks at them. Or a line for a shell.
# command = ["/usr/local/bin/shelf-inventory", "--json"]
# shell = "curl -s https://shelf.example.org/all | to-observations"
# The folder in which it runs.
# directory = "/"
# Its environment: these variables, besides PATH, LANG and NETBOX_AGENT_SOURCE.
# env = { SHELF = "12" }
# env_file = { SHELF_TOKEN = "/etc/netbox-agent/shelf.token" }
# env_command = { SHELF_PIN = "op read op://lab/shelf/pin" }
# How long it may run, and how much it may print, in MB.
# timeout = "5m"
# max_output_mb = 64
"#;

    fn build(self, context: &BuildContext<'_>) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let mut problems = Vec::new();
        let argv = argv(self.command, self.shell, &mut problems);
        let env = environment(&self.env, &self.env_file, &self.env_command, context, &mut problems);
        if self.timeout.0.is_zero() {
            problems.push(Problem::new("timeout", "expected more than no time, such as \"5m\""));
        }
        if !(1..=4096).contains(&self.max_output_mb) {
            problems.push(Problem::new("max_output_mb", "expected a number from 1 to 4096"));
        }
        match argv {
            Some(argv) if problems.is_empty() => Ok(Box::new(Exec {
                argv,
                directory: self.directory,
                env,
                timeout: self.timeout.0,
                max_output: self.max_output_mb as usize * 1_000_000,
            })),
            _ => Err(problems),
        }
    }
}

fn argv(
    command: Option<Vec<String>>,
    shell: Option<String>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<String>> {
    let argv = match (command, shell) {
        (Some(argv), None) => argv,
        (None, Some(line)) => vec!["sh".to_owned(), "-c".to_owned(), line],
        (Some(_), Some(_)) => {
            problems.push(Problem::new(
                "shell",
                "`command` and `shell` are both given; keep one of them",
            ));
            return None;
        }
        (None, None) => {
            problems.push(Problem::new("command", "nothing to run: set `command` to a program and its arguments, such as [\"/usr/local/bin/inventory\"]"));
            return None;
        }
    };
    let program = argv.first().map(Path::new).filter(|program| !program.as_os_str().is_empty());
    match program {
        None => problems
            .push(Problem::new("command", "the list is empty; its first entry is the program")),
        Some(program) if program.is_absolute() && !program.exists() => {
            problems.push(Problem::new("command[0]", format!("there is no {}", program.display())));
        }
        Some(_) if argv.iter().any(|word| word.contains('\0')) => {
            problems.push(Problem::new("command", "an argument holds a NUL character"));
        }
        Some(_) => return Some(argv),
    }
    None
}

fn environment(
    texts: &BTreeMap<String, SecretString>,
    files: &BTreeMap<String, PathBuf>,
    commands: &BTreeMap<String, String>,
    context: &BuildContext<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, SecretString> {
    let mut env = BTreeMap::new();
    let names = texts.keys().chain(files.keys()).chain(commands.keys());
    for name in names {
        let places = Places {
            text: texts.get(name).cloned(),
            file: files.get(name).cloned(),
            command: commands.get(name).cloned(),
        };
        let key = match (&places.file, &places.command) {
            (Some(_), _) => format!("env_file.{name}"),
            (None, Some(_)) => format!("env_command.{name}"),
            (None, None) => format!("env.{name}"),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || !name.chars().all(plain)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            problems.push(Problem::new(key, "this is not the name of a variable"));
            continue;
        }
        // A variable may well be empty; a file or a command that gives nothing is a mistake.
        if places.file.is_none() && places.command.is_none() {
            env.extend(places.text.map(|text| (name.clone(), text)));
            continue;
        }
        match places.resolve(
            "env",
            context.credentials,
            &format!("source.{}.env.{name}", context.source),
        ) {
            Ok(value) => env.extend(value.map(|value| (name.clone(), value))),
            Err(error) => problems.push(Problem::new(key, error.to_string())),
        }
    }
    let nul = |(name, value): (&String, &SecretString)| {
        value.expose_secret().contains('\0').then(|| name.clone())
    };
    for name in env.iter().filter_map(nul).collect::<Vec<_>>() {
        problems.push(Problem::new(format!("env.{name}"), "its value holds a NUL character"));
    }
    env
}

/// A command that is ready to be run.
#[derive(Debug)]
struct Exec {
    argv: Vec<String>,
    directory: PathBuf,
    env: BTreeMap<String, SecretString>,
    timeout: Duration,
    max_output: usize,
}

/// How a command ended.
#[derive(Debug)]
enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was stopped, and why.
    Stopped(String),
}

#[async_trait]
impl Collector for Exec {
    async fn collect(&self, assignment: &Assignment) -> Result<Harvest, CollectError> {
        let mut child = self.start(assignment).map_err(|error| {
            let program = visible(&self.argv[0], 200);
            let place = self.directory.display();
            CollectError::Failed(format!("cannot start {program} in {place}: {error}"))
        })?;
        let group = Group::of(&child);
        let mut printed = Vec::new();
        let mut said = Vec::new();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let end = {
            let reading = async {
                tokio::join!(
                    keep_first(stdout, &mut printed, self.max_output),
                    keep_last(stderr, &mut said),
                )
            };
            self.watch(&mut child, reading, assignment).await
        };
        group.end(&mut child).await;
        self.harvest(&end, &printed, &said, assignment)
    }
}

impl Exec {
    fn start(&self, assignment: &Assignment) -> io::Result<Child> {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).current_dir(&self.directory).env_clear();
        command.env("PATH", PATH).env("LANG", "C.UTF-8");
        command.env("NETBOX_AGENT_SOURCE", assignment.source.as_str());
        for (name, value) in &self.env {
            command.env(name, value.expose_secret());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts can be ended with it.
        command.process_group(0).kill_on_drop(true).spawn()
    }

    /// Waits until the command has ended and its output has, or a limit is reached.
    async fn watch(
        &self,
        child: &mut Child,
        reading: impl Future<Output = (io::Result<bool>, io::Result<()>)>,
        assignment: &Assignment,
    ) -> End {
        let limit = (Instant::now() + self.timeout).min(assignment.deadline);
        let ended = async {
            tokio::pin!(reading);
            let exited = tokio::select! {
                biased;
                read = &mut reading => match read.0 {
                    Ok(true) => child.wait().await,
                    Ok(false) => return End::Stopped(format!("it printed more than {} MB", self.max_output / 1_000_000)),
                    Err(error) => return End::Stopped(format!("its output cannot be read: {error}")),
                },
                exited = child.wait() => {
                    // Something that it left behind may hold its output open.
                    let _ = timeout(GRACE, &mut reading).await;
                    exited
                }
            };
            match exited {
                Ok(status) => End::Exited(status),
                Err(error) => End::Stopped(format!("it cannot be waited for: {error}")),
            }
        };
        tokio::select! {
            end = ended => end,
            () = assignment.cancel.cancelled() => End::Stopped("the run was ended".to_owned()),
            () = tokio::time::sleep_until(limit) => {
                End::Stopped(format!("it took longer than {}", Period(self.timeout)))
            }
        }
    }

    /// What it printed, and what is to be said about it.
    fn harvest(
        &self,
        end: &End,
        printed: &[u8],
        said: &[u8],
        assignment: &Assignment,
    ) -> Result<Harvest, CollectError> {
        let whole = match end {
            End::Exited(_) => printed,
            // The last line may be half of one.
            End::Stopped(_) => {
                let lines = printed.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                &printed[..lines]
            }
        };
        let context = Context {
            source: Some(assignment.source.clone()),
            segment: assignment.segment.clone(),
            at: assignment.started,
            evidence: "command output".into(),
            place: assignment.source.as_str().into(),
        };
        let mut harvest = wire::read(whole, &context)
            .map_err(|error| CollectError::Failed(format!("cannot read the output: {error}")))?;
        let said = self.shown(said);
        let wrong = match end {
            End::Exited(status) if status.success() => None,
            End::Exited(status) => Some(format!("the command ended with {status}")),
            End::Stopped(why) => Some(format!("the command was stopped: {why}")),
        };
        let about = assignment.source.as_str();
        match wrong {
            None if said.is_empty() => {}
            None => {
                let message = format!("the command said: {said}");
                harvest.diagnostics.push(Diagnostic::note("command_said", about, message));
            }
            Some(wrong) => {
                let said = if said.is_empty() { said } else { format!(": {said}") };
                let message = format!("{wrong}{said}");
                if harvest == Harvest::default() {
                    return Err(CollectError::Failed(message));
                }
                let gap: Arc<str> = wrong.into();
                for claim in &mut harvest.coverage {
                    claim.gap.get_or_insert_with(|| Arc::clone(&gap));
                }
                harvest.diagnostics.push(Diagnostic::error("command_failed", about, message));
            }
        }
        Ok(harvest)
    }

    /// The end of what the command said on standard error, without its secrets.
    fn shown(&self, said: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(said).into_owned();
        for value in self.env.values().map(ExposeSecret::expose_secret).filter(|v| v.len() >= 4) {
            text = text.replace(value, "[redacted]");
        }
        let text = visible(&text, SAID);
        let length = text.chars().count();
        match length.checked_sub(EXCERPT).filter(|extra| *extra > 0) {
            None => text,
            Some(extra) => {
                format!("… {}", text.chars().skip(extra).collect::<String>().trim_start())
            }
        }
    }
}

/// How long a command has to end when it is told to, and its output to end after it.
const GRACE: Duration = Duration::from_secs(2);

/// How much of standard error is kept, and how much of that is shown.
const SAID: usize = 8 * 1024;
const EXCERPT: usize = 500;

/// Reads until the end or the limit. Gives whether the end came first.
async fn keep_first(
    stream: Option<impl AsyncRead + Unpin>,
    kept: &mut Vec<u8>,
    limit: usize,
) -> io::Result<bool> {
    let Some(mut stream) = stream else { return Ok(true) };
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(true);
        }
        kept.extend_from_slice(&chunk[..length.min(limit.saturating_sub(kept.len()))]);
        if kept.len() >= limit {
            return Ok(false);
        }
    }
}

/// Reads until the end and keeps the last of it.
async fn keep_last(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) -> io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = vec![0; 4 * 1024];
    loop {
        let length = stream.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > SAID {
            kept.drain(..kept.len() - SAID);
        }
    }
}

/// The command and everything that it started. Nothing of it outlives this value.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Asks what is left of the group to end, and ends it when it does not.
    async fn end(mut self, child: &mut Child) {
        let Some(group) = self.0.take() else { return };
        // None of it is left: there is nothing to end.
        if kill_process_group(group, Signal::TERM).is_err() {
            return;
        }
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            // One that has ended but was not waited for still counts as left.
            let _ = child.try_wait();
            if test_kill_process_group(group).is_err() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
}

impl Drop for Group {
    /// The run was dropped in the middle: no time is left to ask.
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio_util::sync::CancellationToken;
    use toml_edit::Value;

    use super::*;
    use crate::collect::{KINDS, Refusal};
    use crate::domain::observation::Segment;
    use crate::progress::Silent;

    const LINE: &str = r#"{"version":1,"source":"liar","host":{"name":"printer"}}"#;
    const CLAIM: &str = r#"{"version":1,"coverage":{"keys":"shelf:","method":"listing"}}"#;

    fn build(table: &str) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let table: Value = format!("{{ {table} }}").parse().unwrap();
        let context = BuildContext { source: &"shelf".parse().unwrap(), credentials: None };
        let kind = KINDS.iter().find(|kind| kind.name == "exec").unwrap();
        (kind.build)(serde::de::IntoDeserializer::into_deserializer(table), &context).map_err(
            |refusal| match refusal {
                Refusal::Values(problems) => problems,
                Refusal::Shape(problem) => vec![problem],
            },
        )
    }

    fn shell(script: &str, more: &str) -> Box<dyn Collector> {
        let script = Value::from(script);
        build(&format!("shell = {script}{more}")).unwrap()
    }

    fn assignment() -> Assignment {
        Assignment {
            source: "shelf".parse().unwrap(),
            segment: Segment::named("lab"),
            started: "2024-05-01T12:00:00Z".parse().unwrap(),
            deadline: Instant::now() + Duration::from_secs(60),
            cancel: CancellationToken::new(),
            progress: Arc::new(Silent),
            known: Arc::new(BTreeMap::new()),
        }
    }

    async fn run(script: &str, more: &str) -> Result<Harvest, CollectError> {
        shell(script, more).collect(&assignment()).await
    }

    fn codes(harvest: &Harvest) -> Vec<&str> {
        harvest.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
    }

    #[tokio::test]
    async fn what_a_command_prints_is_observed_under_the_sources_own_name() {
        let harvest = run(&format!("echo '{LINE}'; echo '{CLAIM}'"), "").await.unwrap();
        assert_eq!(harvest.observations[0].source.as_str(), "shelf");
        assert_eq!(harvest.observations[0].segment.as_str(), "lab");
        assert!(harvest.coverage[0].is_complete());
        assert!(harvest.diagnostics.is_empty(), "{:?}", harvest.diagnostics);
    }

    #[tokio::test]
    async fn arguments_are_not_looked_at_by_a_shell() {
        let line = LINE.replace("printer", "$HOME;*");
        let command = Value::from_iter(["printf", "%s", &line]);
        let collector = build(&format!("command = {command}")).unwrap();
        let harvest = collector.collect(&assignment()).await.unwrap();
        assert!(format!("{harvest:?}").contains("$HOME;*"));
    }

    #[tokio::test]
    async fn a_command_has_an_environment_of_its_own() {
        let harvest =
            run("env | sort >&2; pwd >&2", ", env = { A = \"plain text\", TOKEN = \"s3cret\" }")
                .await;
        let said = &harvest.unwrap().diagnostics[0].message;
        for part in
            ["A=[redacted]", "TOKEN=[redacted]", "LANG=C.UTF-8", "NETBOX_AGENT_SOURCE=shelf"]
        {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert!(
            !said.contains("s3cret") && !said.contains("CARGO") && !said.contains("HOME"),
            "{said}"
        );
        assert!(said.ends_with(" /"), "{said}");
    }

    #[tokio::test]
    async fn what_a_failing_command_printed_is_used_but_proves_nothing_absent() {
        let script = format!("echo '{LINE}'; echo '{CLAIM}'; echo 'shelf 7 is locked' >&2; exit 3");
        let harvest = run(&script, "").await.unwrap();
        assert_eq!(harvest.observations.len(), 1);
        assert!(!harvest.coverage[0].is_complete());
        let told = harvest.diagnostics[0].to_string();
        assert!(told.contains("exit status: 3: shelf 7 is locked"), "{told}");
    }

    #[tokio::test]
    async fn a_command_that_fails_with_nothing_is_an_error() {
        let error = run("echo 'no such shelf' >&2; exit 1", "").await.unwrap_err().to_string();
        assert!(error.contains("exit status: 1: no such shelf"), "{error}");
        let error =
            build("command = [\"no-such-program-anywhere\"]").unwrap().collect(&assignment()).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("cannot start no-such-program-anywhere"), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_ends_with_everything_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!(
            "echo '{LINE}'; echo '{CLAIM}'; printf '{{\"version'; (trap '' TERM; sleep 4; touch {}) & sleep 60",
            mark.display()
        );
        let begun = Instant::now();
        let harvest = run(&script, ", timeout = \"300ms\"").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(harvest.observations.len(), 1);
        assert!(!harvest.coverage[0].is_complete());
        assert_eq!(codes(&harvest), ["command_failed"], "half a line is not a bad line");
        sleep(Duration::from_secs(4)).await;
        assert!(!mark.exists(), "what it started went on");
    }

    #[tokio::test]
    async fn output_that_a_child_left_behind_holds_open_is_not_waited_for() {
        let begun = Instant::now();
        let harvest = run(&format!("echo '{LINE}'; sleep 60 & exit 0"), "").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(harvest.observations.len(), 1);
    }

    #[tokio::test]
    async fn endless_output_is_stopped() {
        let script = format!("yes '{LINE}'");
        let harvest = run(&script, ", max_output_mb = 1").await.unwrap();
        assert!(harvest.observations.len() > 1_000);
        let told = harvest.diagnostics[0].to_string();
        assert!(told.contains("more than 1 MB"), "{told}");
    }

    #[tokio::test]
    async fn a_run_that_is_ended_keeps_what_was_printed() {
        let assignment = assignment();
        let cancel = assignment.cancel.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            cancel.cancel();
        });
        let collector = shell(&format!("echo '{LINE}'; exec sleep 60"), "");
        let begun = Instant::now();
        let harvest = collector.collect(&assignment).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!((harvest.observations.len(), codes(&harvest)), (1, vec!["command_failed"]));
    }

    #[test]
    fn wrong_settings_are_told_all_at_once() {
        let keys = |table: &str| {
            let problems = build(table).unwrap_err();
            problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(""), ["command"]);
        assert_eq!(keys("command = [\"true\"], shell = \"true\""), ["shell"]);
        assert_eq!(keys("command = [\"/no/such/program\"]"), ["command[0]"]);
        assert_eq!(
            keys(
                "command = [], timeout = \"0s\", max_output_mb = 0, env = { \"1X\" = \"\" }, env_file = { T = \"/no/such/file\" }"
            ),
            ["command", "env.1X", "env_file.T", "timeout", "max_output_mb"]
        );
        assert_eq!(keys("comand = [\"true\"]"), ["comand"]);
    }
}
