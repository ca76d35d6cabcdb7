//! A way to a server that stops in the middle of a conversation, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Relays between a client and a server. It ends with this value.
pub(crate) struct Wire {
    port: u16,
    /// Told once the wire holds what the server says: now the server can go.
    pub(crate) held: Arc<Notify>,
    passed: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// A way to a port, which lets so many bytes of the server through, holds the
    /// rest until the server ends, and is an ordinary one from then on.
    pub(crate) async fn new(to: u16, after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(Notify::new());
        let passed = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let (told, count) = (Arc::clone(&held), Arc::clone(&passed));
        let opened = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                if let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await {
                    tokio::spawn(relay(
                        client,
                        server,
                        after,
                        Arc::clone(&count),
                        Arc::clone(&told),
                    ));
                }
            }
        });
        Wire { port, held, passed, connections, task }
    }

    /// How many bytes of the server came through until now.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// How often a client came.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn relay(
    client: TcpStream,
    server: TcpStream,
    limit: usize,
    passed: Arc<AtomicUsize>,
    held: Arc<Notify>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let questions =
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
        let before = passed.fetch_add(count, Ordering::SeqCst);
        let holds = (before..before + count).contains(&limit);
        let through = if holds { limit - before } else { count };
        if to_client.write_all(&bytes[..through]).await.is_err() {
            break;
        }
        if holds {
            held.notify_one();
            while let Ok(1..) = from_server.read(&mut bytes).await {}
            break;
        }
    }
    questions.abort();
}
