//! A session with a cluster: which endpoint is asked, what an answer that is none
//! means, and when to stop asking. Decides nothing about what was read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tracing::debug;
use url::Url;

use super::answer::Row;
use crate::collect::{Assignment, CollectError};
use crate::domain::name::visible;
use crate::http::{Client, HttpError, Response, Silence, header, place};
use crate::secret::SecretString;

/// A node of the cluster that may be asked, and the client that reaches it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Where its API begins.
    pub url: Url,
    /// What reaches it.
    pub client: Client,
}

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Call {
    path: Vec<String>,
    query: Vec<(&'static str, &'static str)>,
    /// The node that has to answer, whichever is asked.
    node: Option<String>,
    /// Whether what answers may be slow for reasons of its own: a guest.
    patient: bool,
}

impl Call {
    /// Something that any node answers.
    pub(super) fn cluster(path: &str) -> Self {
        let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Call { path, query: Vec::new(), node: None, patient: false }
    }

    /// Something that one node has to answer.
    pub(super) fn node(node: &str, path: &str) -> Self {
        let mut call = Call::cluster(path);
        call.path.splice(0..0, ["nodes".to_owned(), node.to_owned()]);
        Call { node: Some(node.to_owned()), ..call }
    }

    /// Something that a guest has to answer.
    pub(super) fn inside(node: &str, path: &str) -> Self {
        Call { patient: true, ..Call::node(node, path) }
    }

    /// With a parameter.
    pub(super) fn with(mut self, key: &'static str, value: &'static str) -> Self {
        self.query.push((key, value));
        self
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.path.join("/"))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// What was asked for.
    pub data: Json,
    /// Whether it shows changes that are not in force yet.
    pub pending: bool,
}

impl Answer {
    /// The objects of a list. Something else is no answer: an empty list would say that
    /// there is nothing.
    pub(super) fn rows(self) -> Result<Vec<Row>, Miss> {
        match self.data {
            list @ Json::Array(_) => Ok(Row::all(list)),
            _ => Err(Miss::Failed("the answer is not a list".into())),
        }
    }

    /// An object; one that is empty says that nothing is set.
    pub(super) fn row(self) -> Result<Row, Miss> {
        Row::of(self.data).ok_or_else(|| Miss::Failed("the answer is not an object".into()))
    }
}

/// Why there is no answer, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Miss {
    /// The run ended, or the deadline passed: nothing more is asked.
    Ended(Arc<str>),
    /// The token was refused: nothing more is asked.
    Refused(Arc<str>),
    /// No endpoint can be reached any more: nothing more is asked.
    Unreachable(Arc<str>),
    /// The token may not see it.
    Forbidden(Arc<str>),
    /// The node that has to answer cannot be reached.
    Away(Arc<str>),
    /// This version does not know the question, or what it is about.
    Unknown(Arc<str>),
    /// It went wrong; this is what the server says.
    Failed(Arc<str>),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Miss::Ended(why)
        | Miss::Refused(why)
        | Miss::Unreachable(why)
        | Miss::Forbidden(why)
        | Miss::Away(why)
        | Miss::Unknown(why)
        | Miss::Failed(why)) = self;
        f.write_str(why)
    }
}

impl Miss {
    /// Whether nothing more is asked after it, so that it says nothing of what was asked.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self, Miss::Ended(_) | Miss::Refused(_) | Miss::Unreachable(_))
    }

    /// What it means for the whole source; `place` is where was asked.
    pub(super) fn fatal(&self, place: String) -> CollectError {
        let reason = self.to_string();
        match self {
            // It names all endpoints itself, each with what is wrong there.
            Miss::Unreachable(_) => {
                CollectError::Unreachable { place: "any endpoint".to_owned(), reason }
            }
            Miss::Refused(_) | Miss::Forbidden(_) => CollectError::Refused { place, reason },
            _ => CollectError::Failed(format!("cannot read {place}: {reason}")),
        }
    }
}

/// Nodes that let a call run into its time limit so often are not waited for again.
const PATIENCE: u32 = 3;

#[derive(Debug, Default)]
struct State {
    /// The endpoint that is asked first.
    current: usize,
    /// Why endpoints are not asked any more.
    dead: BTreeMap<usize, Arc<str>>,
    /// Why nodes are not asked any more.
    away: BTreeMap<String, Arc<str>>,
    /// How often a node let a call run into its time limit.
    late: BTreeMap<String, u32>,
    /// Why nothing is asked any more.
    end: Option<Miss>,
}

/// A session with a cluster.
#[derive(Debug)]
pub(super) struct Session<'a> {
    endpoints: &'a [Endpoint],
    token: &'a SecretString,
    assignment: &'a Assignment,
    state: Mutex<State>,
    sent: AtomicU64,
}

/// What became of asking one endpoint.
enum Tried {
    Done(Result<Answer, Miss>),
    /// This endpoint is of no use; another may be.
    Elsewhere(Arc<str>),
    /// This endpoint does not reach the node; another may.
    Away(Arc<str>),
}

impl<'a> Session<'a> {
    pub(super) fn new(
        endpoints: &'a [Endpoint],
        token: &'a SecretString,
        assignment: &'a Assignment,
    ) -> Self {
        let (state, sent) = (Mutex::default(), AtomicU64::new(0));
        Session { endpoints, token, assignment, state, sent }
    }

    /// How many requests were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Where is asked now.
    pub(super) fn place(&self) -> String {
        let endpoint = self.endpoints.get(self.state().current);
        endpoint.map(|endpoint| shown(&endpoint.url)).unwrap_or_default()
    }

    /// The endpoints that were given up, and why.
    pub(super) fn given_up(&self) -> Vec<(String, Arc<str>)> {
        let state = self.state();
        let of = |(index, why): (&usize, &Arc<str>)| {
            Some((shown(&self.endpoints.get(*index)?.url), why.clone()))
        };
        state.dead.iter().filter_map(of).collect()
    }

    /// Why nothing is asked any more, if so.
    pub(super) fn end(&self) -> Option<Miss> {
        self.state().end.clone()
    }

    /// Asks, at another endpoint where one is of no use.
    pub(super) async fn get(&self, call: &Call) -> Result<Answer, Miss> {
        let mut away = None;
        let mut tried = Vec::new();
        while let Some(index) = self.next(call, &tried)? {
            tried.push(index);
            match self.ask(index, call).await {
                Tried::Done(result) => return result,
                Tried::Away(why) => away = Some(why),
                Tried::Elsewhere(why) => self.give_up(index, why),
            }
        }
        let Some(why) = away else {
            // Whoever was tried is given up by now: the next look tells so.
            return Err(self
                .next(call, &tried)
                .err()
                .unwrap_or_else(|| Miss::Unreachable("no endpoint answers".into())));
        };
        if let Some(node) = &call.node {
            self.state().away.insert(node.clone(), why.clone());
        }
        Err(Miss::Away(why))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next endpoint to ask; none when all that live were.
    fn next(&self, call: &Call, tried: &[usize]) -> Result<Option<usize>, Miss> {
        let mut state = self.state();
        if let Some(end) = &state.end {
            return Err(end.clone());
        }
        if let Some(why) = call.node.as_ref().and_then(|node| state.away.get(node)) {
            return Err(Miss::Away(why.clone()));
        }
        let count = self.endpoints.len();
        if state.dead.len() >= count {
            let of = |(index, why): (&usize, &Arc<str>)| {
                self.endpoints
                    .get(*index)
                    .map(|endpoint| format!("{}: {why}", shown(&endpoint.url)))
            };
            let all: Vec<String> = state.dead.iter().filter_map(of).collect();
            let end = Miss::Unreachable(all.join("; ").into());
            state.end = Some(end.clone());
            return Err(end);
        }
        let first = state.current;
        let order = (0..count).map(|step| (first + step) % count);
        let mut live = order.filter(|index| !state.dead.contains_key(index));
        Ok(live.find(|index| !tried.contains(index)))
    }

    fn give_up(&self, index: usize, why: Arc<str>) {
        let mut state = self.state();
        debug!(endpoint = index, why = &*why, "endpoint is given up");
        state.dead.entry(index).or_insert(why);
        let count = self.endpoints.len();
        let next = (1..count).map(|step| (index + step) % count);
        if let Some(next) = next.into_iter().find(|next| !state.dead.contains_key(next))
            && state.current == index
        {
            state.current = next;
        }
    }

    fn finish(&self, end: Miss) -> Tried {
        self.state().end.get_or_insert(end.clone());
        Tried::Done(Err(end))
    }

    /// Asks one endpoint.
    async fn ask(&self, index: usize, call: &Call) -> Tried {
        let sent = tokio::select! {
            biased;
            () = self.assignment.cancel.cancelled() => {
                return self.finish(Miss::Ended("the run was ended".into()));
            }
            () = tokio::time::sleep_until(self.assignment.deadline) => {
                let why = "the deadline passed; give the source a longer `deadline`";
                return self.finish(Miss::Ended(why.into()));
            }
            sent = self.send(&self.endpoints[index], call) => sent,
        };
        let tried = match &sent {
            Ok(response) if response.status.is_success() => Tried::Done(read(response)),
            Ok(response) => self.refusal(response, call),
            Err(error) => self.fault(error, call),
        };
        match tried {
            // It may have stumbled over what was asked for alone: it is given up only when
            // it does not answer anything else either.
            Tried::Elsewhere(why) if call.node.is_some() && self.lives(index).await => {
                Tried::Done(Err(Miss::Failed(why)))
            }
            tried => tried,
        }
    }

    /// Whether an endpoint answers at all.
    async fn lives(&self, index: usize) -> bool {
        let call = Call::cluster("version");
        let asked = self.send(&self.endpoints[index], &call);
        let sent = tokio::time::timeout_at(self.assignment.deadline, asked).await;
        matches!(sent, Ok(Ok(response)) if response.status.is_success())
    }

    async fn send(&self, endpoint: &Endpoint, call: &Call) -> Result<Response, HttpError> {
        let mut url = endpoint.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(&call.path);
        }
        let request = endpoint
            .client
            .get(url)
            .secret_header(header::AUTHORIZATION, self.token)
            .query(call.query.iter().copied())
            .any_status();
        self.sent.fetch_add(1, Ordering::Relaxed);
        match request.clone().send().await {
            // The server closed a connection that was kept open just as it was used again.
            Err(error) if is_cut(&error) => {
                self.sent.fetch_add(1, Ordering::Relaxed);
                request.send().await
            }
            sent => sent,
        }
    }

    /// What an answer means that is no success.
    fn refusal(&self, response: &Response, call: &Call) -> Tried {
        let code = response.status.as_u16();
        let why: Arc<str> = reason(response).into();
        match code {
            // A further try would cost another three seconds and change nothing.
            401 => self.finish(Miss::Refused(
                format!("the token was not accepted ({why}); is it whole, not expired, and of this cluster?").into(),
            )),
            403 => Tried::Done(Err(Miss::Forbidden(why))),
            400 | 404 | 501 => Tried::Done(Err(Miss::Unknown(why))),
            // The endpoint asked the node and got no answer.
            595..=599 if call.node.is_some() && (code == 595 || !call.patient) => Tried::Away(why),
            502 | 503 | 595..=599 if !call.patient => Tried::Elsewhere(why),
            _ => Tried::Done(Err(Miss::Failed(why))),
        }
    }

    /// What it means that there is no answer.
    fn fault(&self, error: &HttpError, call: &Call) -> Tried {
        match error {
            HttpError::Unreachable { reason: Silence::TimedOut, delivered: true, .. } => {
                let why: Arc<str> = "no answer in time".into();
                let Some(node) = call.node.as_ref().filter(|_| !call.patient) else {
                    return match call.patient {
                        true => Tried::Done(Err(Miss::Failed(why))),
                        false => Tried::Elsewhere(why),
                    };
                };
                let mut state = self.state();
                let late = state.late.entry(node.clone()).or_default();
                *late += 1;
                if *late >= PATIENCE {
                    state.away.insert(node.clone(), why.clone());
                }
                Tried::Done(Err(Miss::Failed(why)))
            }
            HttpError::Unreachable { reason, .. } => Tried::Elsewhere(reason.to_string().into()),
            HttpError::Tls { reason, fingerprint, .. } => {
                let shown = fingerprint.map(|seen| format!(" (it showed the fingerprint {seen})"));
                Tried::Elsewhere(format!("{reason}{}", shown.unwrap_or_default()).into())
            }
            HttpError::Redirected { .. } => Tried::Elsewhere(error.to_string().into()),
            other => Tried::Done(Err(Miss::Failed(other.to_string().into()))),
        }
    }
}

fn is_cut(error: &HttpError) -> bool {
    matches!(error, HttpError::Unreachable { reason: Silence::Cut, .. })
}

/// An endpoint as it was written in the configuration.
fn shown(url: &Url) -> String {
    let place = place(url);
    place.strip_suffix("/api2/json").unwrap_or(&place).to_owned()
}

fn read(response: &Response) -> Result<Answer, Miss> {
    let body: Json = response
        .json()
        .map_err(|_| Miss::Failed("the answer is not JSON; is this Proxmox VE?".into()))?;
    match body {
        Json::Object(mut fields) if fields.contains_key("data") => Ok(Answer {
            pending: fields.get("changes").is_some_and(|changes| !changes.is_null()),
            data: fields.remove("data").unwrap_or_default(),
        }),
        _ => Err(Miss::Failed("the answer holds no `data`; is this Proxmox VE?".into())),
    }
}

/// What the server says of its refusal: in the body since 2025, in the status line ever.
fn reason(response: &Response) -> String {
    let body = response.json::<Json>().ok().and_then(Row::of).unwrap_or_default();
    let errors = body.row("errors").map(|errors| {
        let each =
            errors.fields().filter_map(|(key, _)| Some(format!("{key}: {}", errors.text(key)?)));
        each.collect::<Vec<_>>().join(", ")
    });
    let said = body
        .text("message")
        .or_else(|| response.reason.as_deref().map(str::to_owned))
        .or_else(|| response.status.canonical_reason().map(str::to_owned));
    let mut text = match said {
        Some(said) => visible(&said, 200),
        None => format!("status {}", response.status.as_u16()),
    };
    if let Some(errors) = errors.filter(|errors| !errors.is_empty()) {
        text = format!("{text}: {}", visible(&errors, 200));
    }
    text
}
