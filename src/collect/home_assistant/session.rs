//! The conversation: one question at a time over Home Assistant's WebSocket, through
//! restarts, within bounds. What the answers mean is not known here.
//!
//! A refused token is never tried twice: failed logins feed Home Assistant's ban list.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info};
use url::Url;

use super::answers::Config;
use crate::collect::{Assignment, CollectError};
use crate::domain::name::visible;
use crate::http::{HttpError, Silence, Socket, SocketOptions, place};
use crate::secret::{ExposeSecret, SecretString};

/// Whom to talk to, and how patiently.
#[derive(Debug)]
pub(super) struct Target {
    /// Where the WebSocket is.
    pub socket: Url,
    /// The long-lived access token.
    pub token: SecretString,
    /// Trust, the time limit of an answer, the longest message.
    pub options: SocketOptions,
    /// How long to wait, all in all, for one that restarts.
    pub restart_wait: Duration,
}

/// A question.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// The word in `type`.
    pub name: &'static str,
    /// Everything else in it.
    pub arguments: Map<String, Json>,
    /// Whether what is asked for comes in an event after the result.
    pub in_event: bool,
}

impl Command {
    pub(super) fn plain(name: &'static str) -> Self {
        Command { name, arguments: Map::new(), in_event: false }
    }
}

/// Why there is no answer to a question, though others may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// The token's user may not ask this.
    Unauthorized,
    /// This Home Assistant does not know the question.
    Unknown,
    /// It failed, or its answer was of no use.
    Failed(String),
}

/// Why the conversation is over.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// It refused the token or this machine.
    Refused(String),
    /// It does not answer any more.
    Lost(HttpError),
    /// The run was ended.
    Cancelled,
    /// The source's deadline has passed.
    OutOfTime,
}

impl End {
    /// Why, in words that fit after "because".
    pub(super) fn reason(&self) -> String {
        match self {
            End::Refused(reason) => format!("it refused: {reason}"),
            End::Lost(error) => error.to_string(),
            End::Cancelled => "the run was ended".to_owned(),
            End::OutOfTime => {
                "it was not done by its deadline; give the source a longer `deadline`".to_owned()
            }
        }
    }

    /// The same for a source that has nothing to bring home.
    pub(super) fn into_error(self, target: &Target) -> CollectError {
        let place = place(&target.socket);
        match self {
            End::Refused(reason) => CollectError::Refused { place, reason },
            End::Lost(error) => error.into(),
            End::OutOfTime => CollectError::Unreachable { place, reason: End::OutOfTime.reason() },
            End::Cancelled => {
                CollectError::Failed(format!("{place} had not answered when the run was ended"))
            }
        }
    }
}

/// How long a Home Assistant that was never reached is tried.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
/// The first wait before another try; each further one doubles, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often one that starts is asked whether it is done.
const STARTING: Duration = Duration::from_secs(1);
/// A question is asked so often at most; one that breaks every connection is given up.
const TRIES: usize = 3;
/// A session may lose so many connections.
const LOSSES: usize = 6;
/// How long an event is waited for once its subscription stands.
const EVENT: Duration = Duration::from_secs(3);

/// An open connection that has logged in.
#[derive(Debug)]
struct Line {
    socket: Socket,
    /// The id of the last question; the next one must be higher.
    last: u64,
}

/// The conversation of one run.
#[derive(Debug)]
pub(super) struct Session<'a> {
    target: &'a Target,
    assignment: &'a Assignment,
    line: Option<Line>,
    /// How much longer to wait for it to come back; none before it was ever reached.
    patience: Option<Duration>,
    losses: usize,
    /// What it says of itself, as of the last connection.
    pub config: Option<Config>,
    /// The address at which it was reached.
    pub peer: Option<IpAddr>,
}

impl<'a> Session<'a> {
    pub(super) fn new(target: &'a Target, assignment: &'a Assignment) -> Self {
        Session {
            target,
            assignment,
            line: None,
            patience: None,
            losses: 0,
            config: None,
            peer: None,
        }
    }

    /// Asks a question and waits for its answer; a lost connection is opened again.
    pub(super) async fn ask(
        &mut self,
        command: &Command,
    ) -> Result<Result<Box<RawValue>, Missing>, End> {
        let mut last = String::new();
        for _ in 0..TRIES {
            self.connect().await?;
            let Some(line) = self.line.as_mut() else { continue };
            let asked = exchange(line, command, self.target.options.timeout);
            let answered = within(self.assignment, asked).await;
            match answered {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    self.lose(&error)?;
                    last = error.to_string();
                    if matches!(error, HttpError::TooLarge { .. }) {
                        break;
                    }
                }
                Err(end) => {
                    // Half an answer may be on the way: this line is of no more use.
                    self.line = None;
                    return Err(end);
                }
            }
        }
        Ok(Err(Missing::Failed(last)))
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        if let Some(line) = self.line.take() {
            line.socket.close().await;
        }
    }

    /// Notes that the connection is gone.
    fn lose(&mut self, error: &HttpError) -> Result<(), End> {
        self.line = None;
        self.losses += 1;
        info!(source = %self.assignment.source, %error, "connection lost");
        if self.losses > LOSSES { Err(End::Lost(error.clone())) } else { Ok(()) }
    }

    /// Opens the connection where there is none, waiting for one that restarts.
    async fn connect(&mut self) -> Result<(), End> {
        let mut wait = FIRST_WAIT;
        let mut patience = self.patience.unwrap_or(FIRST_PATIENCE);
        while self.line.is_none() {
            let begun = Instant::now();
            let assignment = self.assignment;
            let error = match within(assignment, self.open(&mut patience)).await? {
                Ok(()) => break,
                Err(Door::Refused(reason)) => return Err(End::Refused(reason)),
                Err(Door::Shut(error)) => error,
            };
            if !may_pass(&error) || patience.is_zero() {
                return Err(End::Lost(error));
            }
            debug!(source = %assignment.source, %error, "not there yet");
            within(assignment, sleep(wait)).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
            patience = patience.saturating_sub(begun.elapsed());
        }
        // Once it was there it is worth waiting for.
        self.patience =
            Some(if self.patience.is_none() { self.target.restart_wait } else { patience });
        Ok(())
    }

    /// Connects, logs in, and waits until it has started.
    async fn open(&mut self, patience: &mut Duration) -> Result<(), Door> {
        let mut line = log_in(self.target).await?;
        self.peer = Some(line.socket.peer());
        let question = Command::plain("get_config");
        if self.patience.is_none() {
            *patience = self.target.restart_wait;
        }
        loop {
            let answer = exchange(&mut line, &question, self.target.options.timeout).await;
            self.config = match answer.map_err(Door::Shut)? {
                Ok(answer) => serde_json::from_str(answer.get()).ok(),
                Err(_) => None,
            };
            let starting = self.config.as_ref().is_some_and(Config::is_starting);
            if !starting || patience.is_zero() {
                break;
            }
            sleep(STARTING).await;
            *patience = patience.saturating_sub(STARTING);
        }
        self.line = Some(line);
        Ok(())
    }
}

/// Why a connection could not be opened.
enum Door {
    /// It refused the token, or this machine.
    Refused(String),
    /// Nothing answers, or not as it should.
    Shut(HttpError),
}

/// Whether trying again may help: nobody listens while Home Assistant restarts, and a
/// proxy before it says so.
fn may_pass(error: &HttpError) -> bool {
    match error {
        HttpError::Unreachable { reason, .. } => !matches!(reason, Silence::NoSuchName(_)),
        HttpError::Status { code, .. } => matches!(code, 500 | 502 | 503 | 504),
        _ => false,
    }
}

/// Waits for something, but not beyond the source's deadline or the end of the run.
async fn within<T>(assignment: &Assignment, work: impl Future<Output = T>) -> Result<T, End> {
    tokio::select! {
        biased;
        () = assignment.cancel.cancelled() => Err(End::Cancelled),
        () = sleep_until(assignment.deadline) => Err(End::OutOfTime),
        done = work => Ok(done),
    }
}

/// A message, as far as its kind needs to be known.
#[derive(Debug, Deserialize)]
struct Head<'m> {
    #[serde(rename = "type", default)]
    kind: String,
    id: Option<u64>,
    #[serde(default)]
    success: bool,
    #[serde(borrow)]
    result: Option<&'m RawValue>,
    #[serde(borrow)]
    event: Option<&'m RawValue>,
    error: Option<Denial>,
    message: Option<String>,
}

/// What it says when it does not answer a question.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Denial {
    code: Json,
    message: Json,
}

impl Denial {
    fn missing(&self) -> Missing {
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        match text(&self.code).as_str() {
            "unauthorized" => Missing::Unauthorized,
            "unknown_command" => Missing::Unknown,
            code => Missing::Failed(visible(&format!("{} ({code})", text(&self.message)), 200)),
        }
    }
}

fn heads<'m>(message: &'m Bytes, place: &str) -> Result<Vec<Head<'m>>, HttpError> {
    let malformed = |error: serde_json::Error| HttpError::Malformed {
        place: place.to_owned(),
        reason: format!("{error}; is it Home Assistant's WebSocket?"),
    };
    // Several messages may come as a list.
    if message.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(message).map_err(malformed);
    }
    serde_json::from_slice(message).map(|head| vec![head]).map_err(malformed)
}

/// Opens the WebSocket and logs in.
async fn log_in(target: &Target) -> Result<Line, Door> {
    let spoken = place(&target.socket);
    let opened = Socket::open(&target.socket, &target.options).await;
    let mut socket = opened.map_err(|error| match error.code() {
        Some(401 | 403) => Door::Refused(format!(
            "{error}; Home Assistant bans machines after failed logins: look into its ip_bans.yaml"
        )),
        _ => Door::Shut(error),
    })?;
    let asked = async {
        loop {
            let message = socket.receive().await.map_err(Door::Shut)?;
            for head in heads(&message, &spoken).map_err(Door::Shut)? {
                match head.kind.as_str() {
                    "auth_required" => {
                        let token = target.token.expose_secret();
                        let login = json!({ "type": "auth", "access_token": token });
                        socket.send(login.to_string()).await.map_err(Door::Shut)?;
                    }
                    "auth_ok" => return Ok(()),
                    "auth_invalid" => {
                        let said = head.message.unwrap_or_default();
                        let said = said.replace(target.token.expose_secret(), "[redacted]");
                        return Err(Door::Refused(format!(
                            "{}; make a long-lived access token in the profile of a user and set `token` to it",
                            visible(&said, 200)
                        )));
                    }
                    _ => {}
                }
            }
        }
    };
    match timeout(target.options.timeout, asked).await {
        Ok(done) => done?,
        Err(_) => return Err(Door::Shut(out_of_time(&spoken))),
    }
    Ok(Line { socket, last: 0 })
}

fn out_of_time(place: &str) -> HttpError {
    HttpError::Unreachable { place: place.to_owned(), reason: Silence::TimedOut, delivered: true }
}

/// Asks one question on an open line. Answers to others, which came too late, are left.
async fn exchange(
    line: &mut Line,
    command: &Command,
    limit: Duration,
) -> Result<Result<Box<RawValue>, Missing>, HttpError> {
    line.last += 1;
    let id = line.last;
    let mut question = command.arguments.clone();
    question.insert("id".to_owned(), id.into());
    question.insert("type".to_owned(), command.name.into());
    let asked = async {
        line.socket.send(Json::Object(question).to_string()).await?;
        await_answer(&mut line.socket, id, command.in_event).await
    };
    match timeout(limit, asked).await {
        Ok(done) => done,
        Err(_) => Err(out_of_time(line.socket.place())),
    }
}

async fn await_answer(
    socket: &mut Socket,
    id: u64,
    in_event: bool,
) -> Result<Result<Box<RawValue>, Missing>, HttpError> {
    let nothing = || Ok(Ok(RawValue::NULL.to_owned()));
    let mut subscribed: Option<Instant> = None;
    loop {
        let message = match subscribed {
            None => socket.receive().await?,
            Some(until) => match tokio::time::timeout_at(until, socket.receive()).await {
                Ok(message) => message?,
                Err(_) => return nothing(),
            },
        };
        let place = socket.place().to_owned();
        for head in heads(&message, &place)?.into_iter().filter(|head| head.id == Some(id)) {
            match (head.kind.as_str(), head.success) {
                ("result", true) if in_event => subscribed = Some(Instant::now() + EVENT),
                ("result", true) => {
                    return head.result.map_or_else(nothing, |result| Ok(Ok(result.to_owned())));
                }
                ("result", false) => return Ok(Err(head.error.unwrap_or_default().missing())),
                ("event", _) if in_event => {
                    return head.event.map_or_else(nothing, |event| Ok(Ok(event.to_owned())));
                }
                _ => {}
            }
        }
    }
}
