//! A stand-in for NetBox 4.0, 4.2, 4.4, 4.6 or 4.7: a server in memory that answers
//! its REST API as the real one does, as far as this project uses it, and fails as
//! it does. The contract suite (`tests/contract`) holds it against real NetBoxes.
//!
//! It is strict about what it does not know: a field, filter or place that NetBox
//! has and the stand-in has not is answered 501, never ignored or made up. What
//! NetBox itself ignores (unknown fields, unknown filters) it ignores too.
//!
//! | File | What it is for |
//! |---|---|
//! | `kinds`, `model` | the table of kinds: fields, uniqueness, order, filters |
//! | `checks` | the rules that a table cannot tell |
//! | `store`, `changes`, `clock` | objects, change log, time |
//! | `parse`, `references`, `custom`, `write`, `delete`, `bulk` | from a body to objects |
//! | `query`, `filter`, `order`, `view`, `records`, `describe` | from objects to a body |
//! | `access`, `refusal`, `api` | who may, what is refused, what leads where |
//! | `serve`, `faults`, `ledger` | the wire, what goes wrong on purpose, what was asked |
//! | `named` | the real NetBox that tests use instead where the environment names one |

#![expect(
    clippy::allow_attributes,
    reason = "every test uses its own part, so no part is unused everywhere"
)]
#![allow(dead_code, reason = "every test uses its own part of the stand-in")]

mod access;
mod addresses;
mod answer;
mod api;
mod bulk;
mod changes;
mod checks;
mod clock;
mod custom;
mod delete;
mod describe;
mod faults;
mod filter;
mod kinds;
mod ledger;
mod model;
mod named;
mod order;
mod parse;
mod python;
mod query;
mod records;
mod references;
mod refusal;
mod serve;
mod store;
mod version;
mod view;
mod write;

#[allow(unused_imports, reason = "every test uses its own part")]
pub(crate) use access::{Act, Permissions, Token};
#[allow(unused_imports, reason = "every test uses its own part")]
pub(crate) use faults::{Fault, Faults, On, What};
pub(crate) use ledger::Ledger;
#[allow(unused_imports, reason = "every test uses its own part")]
pub(crate) use named::{Named, authorization, named};
pub(crate) use version::Version;

use answer::{Body, Request};
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use store::Store;
use tokio::sync::oneshot;
use view::{Choose, View};

/// The token that a stand-in takes unless it is told of others.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// How a stand-in is started.
#[derive(Debug)]
pub(crate) struct Options {
    /// The version that it stands in for.
    pub(crate) version: Version,
    /// The port on 127.0.0.1; 0 for a free one.
    pub(crate) port: u16,
    /// The tokens that it takes.
    pub(crate) tokens: Vec<Token>,
    /// After how long it closes a connection that is not used; gunicorn does after two seconds.
    pub(crate) idle: Option<Duration>,
}

impl Options {
    /// A stand-in for a version, on a free port, with one token that may do everything.
    pub(crate) fn new(version: Version) -> Self {
        Options { version, port: 0, tokens: vec![Token::v1(TOKEN, "admin")], idle: None }
    }
}

/// What a running stand-in works on.
#[derive(Debug)]
pub(crate) struct State {
    store: Store,
    tokens: Vec<Token>,
    faults: Faults,
    ledger: Ledger,
}

/// What its connections share.
#[derive(Debug)]
pub(crate) struct Inner {
    state: Mutex<State>,
    idle: Option<Duration>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicked test left is still what was written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that serves, and how to end it.
#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// A stand-in that can be talked to, stopped and started again.
#[derive(Debug)]
pub(crate) struct StandIn {
    inner: Arc<Inner>,
    address: SocketAddr,
    running: Option<Running>,
}

impl StandIn {
    /// Starts a stand-in for a version.
    pub(crate) fn start(version: Version) -> Self {
        Self::with(Options::new(version)).expect("a stand-in can listen on loopback")
    }

    /// Starts a stand-in.
    pub(crate) fn with(options: Options) -> io::Result<Self> {
        let inner = Arc::new(Inner {
            state: Mutex::new(State {
                store: Store::new(options.version),
                tokens: options.tokens,
                faults: Faults::default(),
                ledger: Ledger::default(),
            }),
            idle: options.idle,
        });
        let mut standin = StandIn {
            inner,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)),
            running: None,
        };
        standin.start_again()?;
        Ok(standin)
    }

    /// Starts a stopped one again, at the same address, with everything that it had.
    pub(crate) fn start_again(&mut self) -> io::Result<()> {
        let listener = std::net::TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        self.address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inner = Arc::clone(&self.inner);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("netbox-standin".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                tokio::select! {
                    () = serve::serve(listener, inner) => {}
                    _ = stopped => {}
                }
            });
        })?;
        self.running = Some(Running { stop, thread });
        Ok(())
    }

    /// Stops it at once: what was not answered is not answered any more.
    pub(crate) fn stop(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    /// Waits until it ends, which it does only when its process is ended.
    pub(crate) fn wait(mut self) {
        if let Some(running) = self.running.take() {
            let _keeps_it_going = running.stop;
            let _ = running.thread.join();
        }
    }

    /// Its address, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets things go wrong from now on, in place of what went wrong before.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.inner.state().faults = faults;
    }

    /// What was asked of it so far.
    pub(crate) fn ledger(&self) -> Ledger {
        self.inner.state().ledger.clone()
    }

    /// Forgets what was asked of it so far.
    pub(crate) fn clear_ledger(&self) {
        self.inner.state().ledger = Ledger::default();
    }

    /// The objects at a place under `/api/`, such as `dcim/devices`, by id, without a request.
    pub(crate) fn objects(&self, place: &str) -> Vec<Value> {
        let state = self.inner.state();
        let base = self.url();
        let view = View { store: &state.store, base: &base };
        let kinds = kinds::KINDS.iter().filter(|def| def.path == place);
        kinds
            .flat_map(|def| state.store.of(def.kind))
            .map(|object| view.full(object, &Choose::All))
            .collect()
    }

    /// Does something as another user with all permissions, without a request that counts:
    /// the status and body of the answer. `path` is as in a request, such as `/api/dcim/sites/`.
    pub(crate) fn act_as(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut state = self.inner.state();
        let mut tokens = state.tokens.clone();
        tokens.push(Token::v1("acting", user));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            host: self.address.to_string(),
            authorization: Some("Token acting".to_owned()),
            content_type: Some("application/json".to_owned()),
            if_match: None,
            body: body.to_string().into_bytes(),
        };
        let usual = std::mem::replace(&mut state.tokens, tokens);
        let answer = state.handle(&request);
        state.tokens = usual;
        let body = match answer.body {
            Body::Json(body) => body,
            Body::Html(text) => Value::String(text),
            Body::Empty => Value::Null,
        };
        (answer.status, body)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop();
    }
}
