//! NetBox's workers take connections, not requests: what is written comes on connections
//! of its own, so that no worker gets all of it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::lab::{Place, agent, apply_whole, everything, everywhere, unique};
use crate::plans::network;

/// The methods of the requests of each connection.
type Heard = Arc<Mutex<Vec<Vec<String>>>>;

/// Passes connections on to a server, and notes what is asked on each.
async fn relay(upstream: String, heard: Heard) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&upstream).await else { return };
            let number = {
                let mut heard = heard.lock().unwrap();
                heard.push(Vec::new());
                heard.len() - 1
            };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(pass(from_server, to_client, None));
            tokio::spawn(pass(from_client, to_server, Some((number, Arc::clone(&heard)))));
        }
    });
    url
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, heard: Option<(usize, Heard)>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some((number, heard)) = &heard {
            // The client waits for each answer, so that a request begins a piece.
            let words = ["GET", "POST", "PATCH", "DELETE"];
            let is_it = |word: &&&str| buffer[..count].starts_with(format!("{word} /").as_bytes());
            let method = words.iter().find(is_it).map(|word| (*word).to_owned());
            heard.lock().unwrap()[*number].extend(method);
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn each_request_that_writes_has_a_connection_of_its_own_and_reading_ones_share() {
    everywhere(async |place: Place| {
        let word = unique();
        let heard = Heard::default();
        let upstream = place.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let url = relay(upstream, Arc::clone(&heard)).await;
        let netbox = agent(&Place { url, token: place.token.clone() }, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 3, &world, &word)).await;
        let heard = heard.lock().unwrap();
        let count = |of: &dyn Fn(&&Vec<String>) -> bool| heard.iter().filter(of).count();
        let is_write = |method: &String| method != "GET";
        let writing = count(&|methods| methods.iter().any(is_write));
        let writes = heard.iter().flatten().filter(|method| is_write(method)).count();
        assert!(writes > 5);
        assert_eq!(writing, writes, "{heard:?}");
        let reads = heard.iter().flatten().count() - writes;
        let reading = count(&|methods| methods.iter().any(|method| !is_write(method)));
        assert!(reading < reads / 2, "{reading} connections for {reads} requests");
    })
    .await;
}
