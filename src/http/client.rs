//! The client: a request passes the gate, is tried again where that is safe, and
//! ends as an answer or an [`HttpError`].

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::ext::ReasonPhrase;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use super::fault::{HttpError, Silence, place, redact};
use super::gate::Gate;
use super::{Options, Trust};
use crate::domain::name::visible;
use crate::secret::{ExposeSecret, SecretString};

/// A client for one server. Cheap to clone; all clones share the gate and the connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    /// The same, but every request gets a connection of its own.
    apart: reqwest::Client,
    gate: Arc<Gate>,
    options: Arc<Options>,
}

/// gunicorn closes a connection that was idle for 2 s; one that is about to be closed
/// must not be used again.
const IDLE: Duration = Duration::from_millis(1_500);

/// A server that asks for more patience than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The first wait before another try; each further one doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);

const REDIRECTS: usize = 5;

impl Client {
    /// A client as the options want it.
    ///
    /// # Errors
    /// When the TLS settings cannot be used.
    pub fn new(options: Options) -> Result<Self, HttpError> {
        if matches!(options.trust, Trust::Anyone) {
            tracing::warn!(
                "certificates are not verified: whoever is on the way can read and change everything"
            );
        }
        let tls = options.trust.client_config();
        let keeping = |connections: usize| {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("netbox-agent/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .connect_timeout(options.connect_timeout)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(connections)
                .build()
                .map_err(|error| HttpError::Request(error.to_string()))
        };
        let (inner, apart) = (keeping(options.concurrency.get())?, keeping(0)?);
        Ok(Client { inner, apart, gate: Arc::new(Gate::new(&options)), options: Arc::new(options) })
    }

    /// A client that trusts others, for another door of the same service: both together
    /// keep to one rate and one number of requests under way.
    ///
    /// # Errors
    /// When the TLS settings cannot be used.
    pub fn beside(&self, trust: Trust) -> Result<Self, HttpError> {
        let client = Client::new(Options { trust, ..(*self.options).clone() })?;
        Ok(Client { gate: Arc::clone(&self.gate), ..client })
    }

    /// How many requests this client and its clones have sent, every try counted.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.gate.passed()
    }

    /// A request that reads.
    pub fn get(&self, url: Url) -> Request {
        self.request(Method::GET, url)
    }

    /// A request of any method.
    pub fn request(&self, method: Method, url: Url) -> Request {
        Request {
            client: self.clone(),
            repeatable: matches!(method, Method::GET | Method::HEAD | Method::OPTIONS),
            apart: false,
            method,
            url,
            headers: HeaderMap::new(),
            secrets: Vec::new(),
            body: None,
            timeout: None,
            max_body: None,
            any_status: false,
            refused: None,
        }
    }
}

/// A request that has not been sent yet.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    secrets: Vec<Hidden>,
    body: Option<Bytes>,
    repeatable: bool,
    apart: bool,
    timeout: Option<Duration>,
    max_body: Option<usize>,
    any_status: bool,
    refused: Option<String>,
}

/// What must not be shown, kept to be found in what a server answers.
#[derive(Clone)]
struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => drop(self.headers.insert(name, value)),
            Err(_) => self.refused = Some(format!("the header `{name}` cannot hold this value")),
        }
        self
    }

    /// Adds a header with a secret in it, such as `Token …`. It is shown nowhere.
    pub fn secret_header(mut self, name: HeaderName, value: &SecretString) -> Self {
        match HeaderValue::from_str(value.expose_secret()) {
            Ok(mut header) => {
                header.set_sensitive(true);
                self.headers.insert(name, header);
                self.hide(value.expose_secret());
            }
            Err(_) => {
                self.refused = Some(format!(
                    "the secret for the header `{name}` holds characters that no header can; was it copied whole?"
                ));
            }
        }
        self
    }

    /// A secret is known by its parts as well: a server may echo the key of `Token key`.
    fn hide(&mut self, secret: &str) {
        let parts = secret.split([' ', '=', '!', ':', '.']).filter(|part| part.len() >= 8);
        self.secrets.extend(parts.map(|part| Hidden(part.to_owned())));
        self.secrets.push(Hidden(secret.to_owned()));
        self.secrets.sort_by_key(|hidden| std::cmp::Reverse(hidden.0.len()));
    }

    /// Adds parameters to the query.
    pub fn query<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut query = self.url.query_pairs_mut();
        for (key, value) in parameters {
            query.append_pair(key.as_ref(), value.as_ref());
        }
        drop(query);
        self
    }

    /// Sets the body to a value in JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => {
                self.headers.insert(
                    reqwest::header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                self.body = Some(body.into());
            }
            Err(error) => {
                self.refused = Some(format!("the body cannot be written as JSON: {error}"))
            }
        }
        self
    }

    /// Says that sending it twice does no more than sending it once, so that it may be
    /// tried again even when it may have arrived.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Gives the request a connection of its own, opened a moment after the last of its
    /// like: a server of several processes then takes it with one that is free. Over
    /// connections that are kept, heavy requests may all end in one process.
    pub fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// Another time limit than the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Another limit of the answer's length in bytes than the client's.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Takes an answer that is not a success as an answer too: for servers that say in
    /// its status, its reason or its body what the caller has to know.
    pub fn any_status(mut self) -> Self {
        self.any_status = true;
        self
    }

    /// Sends the request, waits for its turn, tries again where that is safe.
    ///
    /// # Errors
    /// When there is no answer, or one that is not a success and was not asked for.
    pub async fn send(mut self) -> Result<Response, HttpError> {
        if let Some(reason) = self.refused.take() {
            return Err(HttpError::Request(reason));
        }
        // Trying again must not make a dead server cost a multiple of the time limit.
        let patience = self.limit().saturating_mul(2).max(LONGEST_WAIT);
        let until = Instant::now() + patience;
        let mut redirects = 0;
        let mut tries = 0;
        loop {
            let outcome = self.try_once().await;
            match self.verdict(outcome, tries) {
                Verdict::Done(result) => return result,
                Verdict::Follow(to) => {
                    redirects += 1;
                    if redirects > REDIRECTS || !self.may_follow(&to) {
                        return Err(HttpError::Redirected {
                            place: place(&self.url),
                            to: place(&to),
                        });
                    }
                    self.url = to;
                }
                Verdict::Again(wait, error) => {
                    if Instant::now() + wait > until {
                        return Err(error);
                    }
                    tries += 1;
                    debug!(%error, wait_ms = wait.as_millis(), tries, "trying again");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn limit(&self) -> Duration {
        self.timeout.unwrap_or(self.client.options.timeout)
    }

    /// Sends the request once and reads the answer whole.
    async fn try_once(&self) -> Result<Response, HttpError> {
        let _place = self.client.gate.pass().await;
        let client = if self.apart {
            self.client.gate.stand_apart().await;
            &self.client.apart
        } else {
            &self.client.inner
        };
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .headers(self.headers.clone())
            .timeout(self.limit());
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let mut answer = request.send().await.map_err(|error| self.fault(&error))?;
        let most = self.max_body.unwrap_or(self.client.options.max_body);
        let too_large = || HttpError::TooLarge { place: place(&self.url), limit: most };
        if answer.content_length().is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.fault(&error))? {
            if body.len() + chunk.len() > most {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let reason = answer.extensions().get::<ReasonPhrase>().map(|reason| {
            let text = String::from_utf8_lossy(reason.as_bytes());
            visible(&redact(&text, &self.secrets()), 300).into()
        });
        Ok(Response {
            place: place(&self.url),
            status: answer.status(),
            reason,
            headers: std::mem::take(answer.headers_mut()),
            body: body.freeze(),
        })
    }

    fn fault(&self, error: &reqwest::Error) -> HttpError {
        HttpError::of(error, &self.url, &self.secrets())
    }

    fn secrets(&self) -> Vec<String> {
        self.secrets.iter().map(|hidden| hidden.0.clone()).collect()
    }

    /// What to do about the outcome of one try.
    fn verdict(&self, outcome: Result<Response, HttpError>, tries: u32) -> Verdict {
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                return match &error {
                    HttpError::Unreachable { reason, delivered, .. }
                        if !matches!(reason, Silence::NoSuchName(_))
                            && (self.repeatable || !delivered)
                            && tries < self.client.options.retries =>
                    {
                        Verdict::Again(backoff(tries), error)
                    }
                    _ => Verdict::Done(Err(error)),
                };
            }
        };
        if response.status.is_success() {
            return Verdict::Done(Ok(response));
        }
        if let Some(to) = self.elsewhere(&response) {
            return Verdict::Follow(to);
        }
        let again = match response.status {
            // Nothing was done yet, whatever was asked for.
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => self.repeatable,
            _ => false,
        };
        let wait = retry_after(&response.headers).unwrap_or_else(|| backoff(tries));
        if again && tries < self.client.options.retries && wait <= LONGEST_WAIT {
            return Verdict::Again(wait, self.refusal(response));
        }
        let response = self.without_secrets(response);
        Verdict::Done(if self.any_status { Ok(response) } else { Err(self.refusal(response)) })
    }

    /// An answer that is not a success.
    fn refusal(&self, response: Response) -> HttpError {
        let Response { place, status, body, .. } = self.without_secrets(response);
        HttpError::Status { place, code: status.as_u16(), body }
    }

    /// An answer without what the server echoed of secrets.
    fn without_secrets(&self, mut response: Response) -> Response {
        let secrets = self.secrets();
        if let Ok(text) = std::str::from_utf8(&response.body)
            && secrets.iter().any(|secret| text.contains(secret.as_str()))
        {
            response.body = redact(text, &secrets).into();
        }
        response
    }

    /// Where the server sends the client. Only reading may go elsewhere: a client that
    /// follows with what it writes turns a POST into a GET, or writes twice.
    fn elsewhere(&self, response: &Response) -> Option<Url> {
        let moved = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let to = response.headers.get(LOCATION).filter(|_| moved)?;
        self.url.join(to.to_str().ok()?).ok()
    }

    /// Credentials stay with the server they are for, and never lose their encryption.
    fn may_follow(&self, to: &Url) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
            && to.scheme() == self.url.scheme()
            && to.host_str() == self.url.host_str()
            && to.port_or_known_default() == self.url.port_or_known_default()
    }
}

/// What to do about the outcome of one try.
enum Verdict {
    Done(Result<Response, HttpError>),
    Follow(Url),
    Again(Duration, HttpError),
}

/// The wait before another try: doubling, and different for each client, so that
/// they do not come back all at once.
fn backoff(tries: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << tries.min(6));
    let jitter = governor::Jitter::new(most / 2, most / 2);
    jitter + Duration::ZERO
}

/// How long the server asks to wait, in seconds or until a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = date.duration_since(Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// A successful answer, read whole; or any, where any was asked for.
#[derive(Debug, Clone)]
pub struct Response {
    /// Where it came from, without user and query.
    pub place: String,
    /// The status; always a success, unless any answer was asked for.
    pub status: StatusCode,
    /// What the server wrote behind the status, where it is not what usually stands there.
    pub reason: Option<Arc<str>>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not JSON, or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| HttpError::Malformed {
            place: self.place.clone(),
            reason: error.to_string(),
        })
    }

    /// The body as text. What is not UTF-8 in it is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
