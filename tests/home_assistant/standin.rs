//! A stand-in for Home Assistant: it speaks the WebSocket's protocol as recorded, and
//! misbehaves on demand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Answers of Home Assistant 2024.3.3, with one registry entry a device.
pub(crate) const OLD: &str = include_str!("recorded/2024.3.json");
/// Answers of Home Assistant 2026.11.0, with one registry entry an integration.
pub(crate) const NEW: &str = include_str!("recorded/2026.11.json");
/// What only administrators may ask.
pub(crate) const FOR_ADMINISTRATORS: [&str; 3] =
    ["network", "dhcp/subscribe_discovery", "supervisor/api"];

pub(crate) const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.stand-in";

/// What is answered to one question.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A result.
    Result(Json),
    /// An empty result, and what was asked for in an event after it.
    Event(Json),
    /// An error with this code.
    Error(&'static str),
    /// These very characters.
    Raw(String),
    /// Nothing.
    Silence,
    /// The connection is cut.
    Cut,
    /// The answer after a while.
    Late(Duration, Box<Reply>),
}

/// How the stand-in behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) answers: BTreeMap<String, Reply>,
    /// After so many questions it restarts, once.
    pub(crate) restart_after: Option<usize>,
    /// How long nobody listens while it restarts.
    pub(crate) away: Duration,
    /// So often it says that it is still starting, after every start.
    pub(crate) starting: usize,
    /// Whether it sends what nobody asked for between its answers.
    pub(crate) noise: bool,
}

impl Script {
    /// Answers as they were recorded.
    pub(crate) fn of(recorded: &str) -> Self {
        let recorded: Json = serde_json::from_str(recorded).unwrap();
        let part = |key: &str| recorded[key].as_object().cloned().unwrap_or_default();
        let results = part("answers").into_iter().map(|(key, json)| (key, Reply::Result(json)));
        let events = part("events").into_iter().map(|(key, json)| (key, Reply::Event(json)));
        Script { answers: results.chain(events).collect(), ..Script::default() }
    }

    /// The same with another answer to one question.
    pub(crate) fn with(mut self, command: &str, reply: Reply) -> Self {
        self.answers.insert(command.to_owned(), reply);
        self
    }

    /// The same with a result changed.
    pub(crate) fn changed(mut self, command: &str, change: impl FnOnce(&mut Json)) -> Self {
        let Some(Reply::Result(json)) = self.answers.get_mut(command) else {
            panic!("{command} is not answered with a result")
        };
        change(json);
        self
    }

    /// The same to an ordinary user.
    pub(crate) fn for_a_user(self) -> Self {
        FOR_ADMINISTRATORS
            .into_iter()
            .fold(self, |script, command| script.with(command, Reply::Error("unauthorized")))
    }
}

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) logins: usize,
    pub(crate) questions: Vec<String>,
    restarted: bool,
}

/// A running stand-in. It ends with this value.
pub(crate) struct StandIn {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into());
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(serve(listener, address, Arc::new(script), Arc::clone(&seen)));
        StandIn { port: address.port(), seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn logins(&self) -> usize {
        self.seen.lock().unwrap().logins
    }
}

/// Listens at an address that was in use a moment ago.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(16).unwrap()
}

async fn serve(
    mut listener: TcpListener,
    address: SocketAddr,
    script: Arc<Script>,
    seen: Arc<Mutex<Seen>>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        // One at a time, as the collector asks: it sees a restart at once.
        if converse(stream, &script, &seen).await {
            drop(listener);
            sleep(script.away).await;
            listener = listen(address);
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

/// Talks until the other side goes. Gives whether it restarts now.
async fn converse(stream: TcpStream, script: &Script, seen: &Mutex<Seen>) -> bool {
    #[expect(clippy::result_large_err, reason = "the library wants it so")]
    let only_the_api = |request: &Request, response: Response| {
        if request.uri().path() == "/api/websocket" {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("404: Not Found".to_owned()));
        *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::NOT_FOUND;
        Err(refusal)
    };
    let Ok(mut socket) = accept_hdr_async(stream, only_the_api).await else { return false };
    send(&mut socket, json!({ "type": "auth_required", "ha_version": "2024.3.3" })).await;
    let Some(login) = hear(&mut socket).await else { return false };
    seen.lock().unwrap().logins += 1;
    if login["access_token"] != TOKEN {
        let no = json!({ "type": "auth_invalid", "message": "Invalid access token or password" });
        send(&mut socket, no).await;
        return false;
    }
    send(&mut socket, json!({ "type": "auth_ok", "ha_version": "2024.3.3" })).await;
    let (mut last, mut starting) = (0, script.starting);
    while let Some(question) = hear(&mut socket).await {
        let id = question["id"].as_u64().unwrap_or(0);
        let command = question["type"].as_str().unwrap_or_default().to_owned();
        let asked = {
            let mut seen = seen.lock().unwrap();
            seen.questions.push(command.clone());
            let restart = script.restart_after.is_some_and(|after| seen.questions.len() > after);
            if restart && !seen.restarted {
                seen.restarted = true;
                return true;
            }
            !std::mem::replace(&mut last, id).ge(&id)
        };
        // The Supervisor is asked many things by one command.
        let endpoint = question["endpoint"].as_str().unwrap_or_default();
        let known = script.answers.get(&format!("{command}{endpoint}")).cloned();
        let mut reply = known.unwrap_or(Reply::Error("unknown_command"));
        if !asked {
            reply = Reply::Error("id_reuse");
        } else if let (Reply::Result(config), "get_config") = (&mut reply, command.as_str())
            && starting > 0
        {
            starting -= 1;
            config["state"] = "STARTING".into();
        }
        if script.noise {
            noise(&mut socket, id).await;
        }
        if !answer(&mut socket, id, reply).await {
            return false;
        }
    }
    false
}

async fn hear(socket: &mut Socket) -> Option<Json> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => return serde_json::from_str(&text).ok(),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

async fn send(socket: &mut Socket, message: Json) {
    let _ = socket.send(Message::text(message.to_string())).await;
}

/// An answer that comes too late, an event of something else, two of them in a list.
async fn noise(socket: &mut Socket, id: u64) {
    send(socket, json!({ "id": id - 1, "type": "result", "success": true, "result": ["old"] }))
        .await;
    let event = json!({ "id": 9_999, "type": "event", "event": { "add": [] } });
    send(socket, event.clone()).await;
    send(socket, json!([event, { "type": "pong", "id": id }])).await;
    let _ = socket.send(Message::Ping("there?".into())).await;
}

/// Answers. Gives whether the conversation goes on.
async fn answer(socket: &mut Socket, id: u64, reply: Reply) -> bool {
    let result = |json| json!({ "id": id, "type": "result", "success": true, "result": json });
    let mut reply = reply;
    while let Reply::Late(after, then) = reply {
        sleep(after).await;
        reply = *then;
    }
    match reply {
        Reply::Result(json) => send(socket, result(json)).await,
        Reply::Event(json) => {
            send(socket, result(Json::Null)).await;
            send(socket, json!({ "id": id, "type": "event", "event": json })).await;
        }
        Reply::Error(code) => {
            let error = json!({ "code": code, "message": "No." });
            send(socket, json!({ "id": id, "type": "result", "success": false, "error": error }))
                .await;
        }
        Reply::Raw(text) => drop(socket.send(Message::text(text)).await),
        Reply::Silence | Reply::Late(..) => {}
        Reply::Cut => return false,
    }
    true
}
