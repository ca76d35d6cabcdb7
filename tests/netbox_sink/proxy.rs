//! What may stand between the agent and NetBox: a proxy that refuses, gets slow, loses
//! answers after NetBox has done what was asked, or is away for a while.

#![allow(dead_code, reason = "every suite uses its own part of the proxy")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Answers this status itself; NetBox hears nothing of the request.
    Answer(u16),
    /// Lets NetBox do it and cuts the connection before the answer.
    CutAfterwards,
    /// Lets NetBox do it and answers this status in its place.
    AnswerAfterwards(u16),
}

/// Which requests it strikes, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub mischief: Mischief,
    /// The methods that are struck.
    pub methods: &'static [&'static str],
    /// One in so many.
    pub one_in: u64,
    /// How often at most.
    pub times: u64,
}

/// A proxy that runs as long as it is held.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    rules: Mutex<Vec<Rule>>,
    chance: AtomicU64,
    struck: AtomicU64,
    away: AtomicBool,
    /// The methods and paths of all requests, and when they came.
    requests: Mutex<Vec<(Instant, String)>>,
    /// How many requests are under way, and how many were at most.
    under_way: Mutex<(usize, usize)>,
}

const WRITES: &[&str] = &["POST", "PATCH", "DELETE"];

impl Rule {
    /// Strikes one in so many requests that write.
    pub(crate) fn writes(mischief: Mischief, one_in: u64) -> Self {
        Rule { mischief, methods: WRITES, one_in, times: u64::MAX }
    }

    /// Strikes one in so many requests of any kind.
    pub(crate) fn any(mischief: Mischief, one_in: u64) -> Self {
        Rule { mischief, methods: &["GET", "POST", "PATCH", "DELETE"], one_in, times: u64::MAX }
    }
}

impl Proxy {
    /// Starts a proxy before a NetBox.
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            upstream: url.trim_end_matches('/').strip_prefix("http://").unwrap().to_owned(),
            rules: Mutex::default(),
            chance: AtomicU64::new(0x5eed),
            struck: AtomicU64::new(0),
            away: AtomicBool::new(false),
            requests: Mutex::default(),
            under_way: Mutex::default(),
        });
        let address = listener.local_addr().unwrap();
        let inner = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&inner)));
            }
        });
        Proxy { address, shared, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn rules(&self, rules: &[Rule]) {
        *self.shared.rules.lock().unwrap() = rules.to_vec();
    }

    /// Whether it cuts every connection, as if nothing were there.
    pub(crate) fn away(&self, away: bool) {
        self.shared.away.store(away, Ordering::SeqCst);
    }

    /// How often it has struck.
    pub(crate) fn struck(&self) -> u64 {
        self.shared.struck.load(Ordering::SeqCst)
    }

    /// How many requests have come by a method.
    pub(crate) fn count(&self, method: &str) -> usize {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|(_, line)| line.starts_with(method)).count()
    }

    /// How many requests have come.
    pub(crate) fn total(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// How many requests have come that write.
    pub(crate) fn writes(&self) -> usize {
        WRITES.iter().map(|method| self.count(method)).sum()
    }

    /// When each request came.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.shared.requests.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// How many requests were under way at one time, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.under_way.lock().unwrap().1
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a request for as long as it is held.
struct UnderWay<'s>(&'s Shared);

impl<'s> UnderWay<'s> {
    fn new(shared: &'s Shared) -> Self {
        let mut count = shared.under_way.lock().unwrap();
        count.0 += 1;
        count.1 = count.1.max(count.0);
        UnderWay(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap().0 -= 1;
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    // One request a connection: what the agent does about idle ones is tested elsewhere.
    if let Some(request) = read_request(&mut client, &mut buffer).await {
        if shared.away.load(Ordering::SeqCst) {
            return;
        }
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or("").to_owned();
        let method = line.split(' ').next().unwrap_or("").to_owned();
        shared.requests.lock().unwrap().push((Instant::now(), line));
        let _under_way = UnderWay::new(&shared);
        let mischief = strike(&shared, &method);
        if let Some(Mischief::Answer(status)) = mischief {
            let _ = client.write_all(&own_answer(status)).await;
            return;
        }
        let Some(answer) = forward(&shared.upstream, &request).await else { return };
        let answer = match mischief {
            Some(Mischief::CutAfterwards) => return,
            Some(Mischief::AnswerAfterwards(status)) => own_answer(status),
            _ => answer,
        };
        let _ = client.write_all(&answer).await;
    }
}

fn own_answer(status: u16) -> Vec<u8> {
    let body = "<html>not NetBox</html>";
    let wait = if status == 429 { "Retry-After: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} Mischief\r\nContent-Type: text/html\r\n{wait}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A number that follows from the one before (xorshift).
fn next(shared: &Shared) -> u64 {
    let step = |mut n: u64| {
        n ^= n << 13;
        n ^= n >> 7;
        n ^= n << 17;
        Some(n)
    };
    let seed = shared.chance.fetch_update(Ordering::SeqCst, Ordering::SeqCst, step).unwrap();
    step(seed).unwrap()
}

fn strike(shared: &Shared, method: &str) -> Option<Mischief> {
    let mut rules = shared.rules.lock().unwrap();
    for rule in rules.iter_mut() {
        let meant = rule.times > 0 && rule.methods.contains(&method);
        if meant && next(shared).is_multiple_of(rule.one_in) {
            rule.times -= 1;
            shared.struck.fetch_add(1, Ordering::SeqCst);
            return Some(rule.mischief);
        }
    }
    None
}

/// Reads one request, head and body.
async fn read_request(client: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length = head.lines().find_map(|line| {
                line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                return Some(buffer.drain(..whole).collect());
            }
        }
        if client.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Sends a request on and reads the whole answer.
async fn forward(upstream: &str, request: &[u8]) -> Option<Vec<u8>> {
    let end = find(request, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&request[..end]);
    let mut lines: Vec<String> = head
        .lines()
        .filter(|line| !line.to_lowercase().starts_with("connection:"))
        .map(str::to_owned)
        .collect();
    lines.push("Connection: close".to_owned());
    let mut server = TcpStream::connect(upstream).await.ok()?;
    server.write_all(lines.join("\r\n").as_bytes()).await.ok()?;
    server.write_all(&request[end..]).await.ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}
