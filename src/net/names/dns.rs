//! PTR records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, Query};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use crate::domain::diagnostic::Diagnostic;
use crate::domain::name::DnsName;

/// Questions to one resolver that may be open at once.
const AT_ONCE: usize = 16;
/// How long one question may take, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;
/// When a resolver is asked for a sign of life.
const SIGNS: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_millis(600)];
/// More resolvers than this are not asked.
const MOST_RESOLVERS: usize = 3;
/// After so many questions in a row without an answer a resolver is left alone.
const TOO_MANY: u32 = 32;

/// The resolvers to ask, and what they have answered lately.
#[derive(Clone)]
pub struct Directory {
    resolvers: Vec<Resolver>,
}

#[derive(Clone)]
struct Resolver {
    address: SocketAddr,
    cached: Arc<TokioResolver>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.resolvers.iter().map(|resolver| resolver.address)).finish()
    }
}

impl Directory {
    /// These resolvers, in this order.
    ///
    /// # Errors
    /// When a resolver cannot be set up.
    pub fn of(resolvers: &[SocketAddr]) -> io::Result<Self> {
        let resolvers = resolvers.iter().take(MOST_RESOLVERS).map(|address| Resolver::of(*address));
        Ok(Directory { resolvers: resolvers.collect::<io::Result<_>>()? })
    }

    /// The resolvers that the system is configured to ask.
    ///
    /// # Errors
    /// When its configuration cannot be read.
    pub fn of_the_system() -> io::Result<Self> {
        let (config, _) =
            hickory_resolver::system_conf::read_system_conf().map_err(io::Error::other)?;
        let addresses: Vec<SocketAddr> = config
            .name_servers()
            .iter()
            .map(|server| {
                let port = server.connections.first().map_or(53, |connection| connection.port);
                SocketAddr::new(server.ip, port)
            })
            .collect();
        Directory::of(&addresses)
    }

    /// The addresses of the resolvers.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.resolvers.iter().map(|resolver| resolver.address)
    }

    /// Asks the first resolver that lives for the names of addresses as they come in.
    pub(super) async fn resolve(
        &self,
        mut addresses: UnboundedReceiver<Vec<IpAddr>>,
        mut alive: UnboundedReceiver<IpAddr>,
        unproven: BTreeMap<SocketAddr, IpAddr>,
        end: impl Future<Output = ()> + Clone,
    ) -> (BTreeMap<IpAddr, DnsName>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let Some(first) = addresses.recv().await else { return (BTreeMap::new(), diagnostics) };
        let Some(sample) = first.first().copied() else { return (BTreeMap::new(), diagnostics) };
        let mut proven = BTreeSet::new();
        for resolver in &self.resolvers {
            if let Some(neighbor) = unproven.get(&resolver.address)
                && !is_proven(*neighbor, &mut proven, &mut alive).await
            {
                diagnostics.push(silent(
                    resolver.address,
                    &format!("{neighbor}, by which it is reached, does not answer"),
                ));
                continue;
            }
            let sign = tokio::select! {
                sign = sign_of_life(resolver.address, sample) => sign,
                () = end.clone() => Err("it does not answer".to_owned()),
            };
            match sign {
                Ok(()) => {
                    let (names, left) = resolver.ask(first, addresses, end).await;
                    if left > 0 {
                        let message = format!(
                            "{left} names were not answered in time; their hosts have none"
                        );
                        diagnostics.push(Diagnostic::warning(
                            "names_late",
                            resolver.address.to_string(),
                            message,
                        ));
                    }
                    return (names, diagnostics);
                }
                Err(reason) => diagnostics.push(silent(resolver.address, &reason)),
            }
        }
        (BTreeMap::new(), diagnostics)
    }
}

fn silent(resolver: SocketAddr, reason: &str) -> Diagnostic {
    let message = format!("the resolver cannot be asked for names: {reason}");
    Diagnostic::warning("resolver_silent", resolver.to_string(), message)
}

/// Whether a neighbour is said to be alive before there is nobody left to say so.
async fn is_proven(
    neighbor: IpAddr,
    proven: &mut BTreeSet<IpAddr>,
    alive: &mut UnboundedReceiver<IpAddr>,
) -> bool {
    while !proven.contains(&neighbor) {
        match alive.recv().await {
            Some(ip) => proven.insert(ip),
            None => return false,
        };
    }
    true
}

/// Whether a resolver answers anything at all to a question for a name.
async fn sign_of_life(resolver: SocketAddr, ip: IpAddr) -> Result<(), String> {
    let here: IpAddr = if resolver.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((here, 0)).await.map_err(|error| error.to_string())?;
    socket.connect(resolver).await.map_err(|error| error.to_string())?;
    let question = question(ip).map_err(|error| error.to_string())?;
    let ask = async {
        let mut before = Duration::ZERO;
        for sign in SIGNS {
            sleep(sign - before).await;
            before = sign;
            if let Err(error) = socket.send(&question).await {
                return error;
            }
        }
        sleep(TIMEOUT - before).await;
        io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
    };
    let hear = async {
        let mut room = [0; 512];
        match socket.recv(&mut room).await {
            Ok(length) if room[..length].starts_with(&question[..2]) => Ok(()),
            Ok(_) => Err("it answers what was not asked".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Err("nobody listens there".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    };
    tokio::select! {
        heard = hear => heard,
        error = ask => Err(error.to_string()),
    }
}

/// A question for the name of an address.
fn question(ip: IpAddr) -> Result<Vec<u8>, hickory_resolver::proto::ProtoError> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from(ip), RecordType::PTR));
    message.metadata.recursion_desired = true;
    message.to_vec()
}

impl Resolver {
    fn of(address: SocketAddr) -> io::Result<Self> {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let mut options = ResolverOpts::default();
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
        options.use_hosts_file = ResolveHosts::Never;
        options.max_active_requests = 2 * AT_ONCE;
        // A /16 may have as many hosts with names; each entry is small.
        options.cache_size = 4096;
        // Names that do not change from run to run need not be asked for each time.
        options.negative_max_ttl = Some(Duration::from_secs(300));
        let config = ResolverConfig::from_name_servers(vec![server]);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(io::Error::other)?;
        Ok(Resolver { address, cached: Arc::new(resolver) })
    }

    /// Asks for the names of addresses until there are no more or patience is over; gives
    /// back the names, and how many questions stayed open.
    async fn ask(
        &self,
        first: Vec<IpAddr>,
        mut addresses: UnboundedReceiver<Vec<IpAddr>>,
        end: impl Future<Output = ()>,
    ) -> (BTreeMap<IpAddr, DnsName>, usize) {
        let mut names = BTreeMap::new();
        let mut waiting = VecDeque::from(first);
        let mut open = FuturesUnordered::new();
        let (mut more, mut unanswered) = (true, 0);
        tokio::pin!(end);
        loop {
            while open.len() < AT_ONCE
                && let Some(ip) = waiting.pop_front()
            {
                let resolver = Arc::clone(&self.cached);
                open.push(async move { (ip, name_of(&resolver, ip).await) });
            }
            if !more && open.is_empty() {
                return (names, 0);
            }
            tokio::select! {
                next = addresses.recv(), if more => match next {
                    Some(ips) => waiting.extend(ips),
                    None => more = false,
                },
                Some((ip, answer)) = open.next(), if !open.is_empty() => match answer {
                    Ok(name) => {
                        unanswered = 0;
                        names.extend(name.map(|name| (ip, name)));
                    }
                    Err(error) => {
                        tracing::debug!(%ip, resolver = %self.address, %error, "a name was not answered");
                        unanswered += 1;
                        if unanswered >= TOO_MANY {
                            return (names, 1 + open.len() + waiting.len());
                        }
                    }
                },
                () = &mut end => return (names, open.len() + waiting.len()),
            }
        }
    }
}

/// The first name, in order, that can be one. An answer that there is none is an answer.
async fn name_of(resolver: &TokioResolver, ip: IpAddr) -> Result<Option<DnsName>, NetError> {
    let limit = TIMEOUT * u32::try_from(ATTEMPTS).unwrap_or(1) + Duration::from_millis(500);
    let lookup = match timeout(limit, resolver.reverse_lookup(ip)).await {
        Ok(Ok(lookup)) => lookup,
        Ok(Err(error)) if error.is_no_records_found() => return Ok(None),
        // It answers, though with a failure of its own.
        Ok(Err(NetError::Dns(_))) => return Ok(None),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Err(NetError::Timeout),
    };
    let names = lookup.answers().iter().filter_map(|record| match &record.data {
        RData::PTR(name) => name.to_utf8().parse::<DnsName>().ok(),
        _ => None,
    });
    Ok(names.min())
}
