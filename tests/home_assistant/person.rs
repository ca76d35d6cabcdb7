//! A person before Home Assistant's pages, who arranges things.

use futures::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// An open page.
pub(crate) struct Person {
    socket: WebSocketStream<TcpStream>,
    last: u64,
}

impl Person {
    pub(crate) async fn new(url: &str, token: &str) -> Self {
        let mut person = Self::at_the_door(url, token).await;
        assert_eq!(person.hear().await["type"], "auth_ok");
        person
    }

    /// Tries a token that is refused, and waits until the other side has dealt with that.
    pub(crate) async fn refused(url: &str, token: &str) {
        let mut person = Self::at_the_door(url, token).await;
        assert_eq!(person.hear().await["type"], "auth_invalid");
        while let Some(Ok(_)) = person.socket.next().await {}
    }

    async fn at_the_door(url: &str, token: &str) -> Self {
        let place = url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(place).await.unwrap();
        let (socket, _) =
            client_async(format!("ws://{place}/api/websocket"), stream).await.unwrap();
        let mut person = Person { socket, last: 0 };
        assert_eq!(person.hear().await["type"], "auth_required");
        person.say(json!({ "type": "auth", "access_token": token })).await;
        person
    }

    /// Does something that must work, and gives what came of it.
    pub(crate) async fn ask(&mut self, command: &str, arguments: Json) -> Json {
        let done = self.attempt(command, arguments).await;
        done.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Does something that not every version can do.
    pub(crate) async fn attempt(
        &mut self,
        command: &str,
        mut arguments: Json,
    ) -> Result<Json, Json> {
        self.last += 1;
        arguments["id"] = self.last.into();
        arguments["type"] = command.into();
        self.say(arguments).await;
        loop {
            let mut answer = self.hear().await;
            if answer["id"] == self.last {
                return match answer["success"] == true {
                    true => Ok(answer["result"].take()),
                    false => Err(answer["error"].take()),
                };
            }
        }
    }

    /// The ids of all devices of this name, sorted.
    pub(crate) async fn devices(&mut self, name: &str) -> Vec<String> {
        let devices = self.ask("config/device_registry/list", json!({})).await;
        let devices = devices.as_array().unwrap().iter();
        let named = devices.filter(|device| device["name"] == name);
        let mut ids: Vec<String> =
            named.map(|device| device["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }

    /// Changes every device of this name.
    pub(crate) async fn arrange(&mut self, name: &str, change: &Json) {
        let ids = self.devices(name).await;
        assert!(!ids.is_empty(), "there is no {name}");
        for id in ids {
            let mut change = change.clone();
            change["device_id"] = id.into();
            self.ask("config/device_registry/update", change).await;
        }
    }

    async fn say(&mut self, message: Json) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Json {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(reason) => panic!("it hung up: {reason:?}"),
                _ => {}
            }
        }
    }
}
