//! How fast a real NetBox is filled: a first and a second sync of many hosts, beside a
//! plain client that writes one object with each request.
//!
//! ```text
//! NETBOX_URL=… NETBOX_TOKEN=… cargo bench --bench netbox_sync -- [HOSTS] [SAMPLE]
//! ```
//!
//! Takes a NetBox that may be filled: every host is a device with two interfaces, each
//! with a MAC address and an IP address, and its primaries. The plain client writes a
//! sample of as many hosts as it can in reasonable time. Where the environment names no
//! NetBox, the stand-in takes its place in a process of its own; its times say something
//! of the agent, and nothing of NetBox.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and ends where it cannot go on"
)]

#[path = "../tests/netbox/mod.rs"]
mod netbox;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use netbox::{StandIn, TOKEN, Version as StandInVersion};
use netbox_agent::collect::Harvest;
use netbox_agent::domain::observation::{
    Address, Authority, Host, HostAttribute, Interface, Observation, Prefix, Segment, Thing,
};
use netbox_agent::domain::settings::Policy;
use netbox_agent::engine::{Asked, Context, Sink, apply, draft};
use netbox_agent::http::{Client, Method, Options, header};
use netbox_agent::netbox::{Connection, NetBox};
use netbox_agent::progress::{Progress, Silent};
use netbox_agent::store::{SinkId, Store};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

/// The source that knows the hosts.
const SOURCE: &str = "bench";

/// As which argument this program becomes the stand-in.
const STANDIN: &str = "--serve-as-the-stand-in";

fn main() {
    if std::env::args().any(|argument| argument == STANDIN) {
        let standin = StandIn::start(StandInVersion::V4_6);
        println!("{}", standin.url());
        standin.wait();
        return;
    }
    let variable = |name: &str| std::env::var(name).ok();
    let named = variable("NETBOX_URL").zip(variable("NETBOX_TOKEN"));
    let standin = named.is_none().then(Served::start);
    let (url, token) = match (&named, &standin) {
        (Some((url, token)), _) => (url.clone(), token.clone()),
        (None, Some(served)) => (served.url.clone(), TOKEN.to_owned()),
        (None, None) => return,
    };
    if standin.is_some() {
        println!("NETBOX_URL and NETBOX_TOKEN name no NetBox: this is the STAND-IN, not NetBox");
    }
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let hosts: u32 = numbers.next().unwrap_or(1_000);
    let sample: u32 = numbers.next().unwrap_or(20);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(&url, &token, hosts, sample));
}

/// The stand-in in a process of its own, so that what it takes is not counted as the agent's.
struct Served {
    process: Child,
    url: String,
}

impl Served {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(STANDIN)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Served { process, url: url.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn run(url: &str, token: &str, hosts: u32, sample: u32) {
    let config = Connection {
        url: format!("{}/", url.trim_end_matches('/')).parse().unwrap(),
        token: token.into(),
        http: Options {
            timeout: Duration::from_secs(120),
            concurrency: 4.try_into().unwrap(),
            ..Options::default()
        },
        batch_size: 100,
    };
    let policy = Policy::of("bench".parse().unwrap());
    let netbox = NetBox::connect(&config, &policy.instance).await.unwrap();
    println!("NetBox {} at {url}", netbox.version());
    let home = tempfile::tempdir().unwrap();
    let context = Context {
        policy,
        store: Arc::new(Store::open(&home.path().join("store")).unwrap()),
        sink: Sink::NetBox(Box::new(netbox.clone()), SinkId::netbox(&config.url)),
        unasked: Vec::new(),
        allowed: BTreeSet::new(),
        replay: false,
    };
    let observations = observations(hosts);
    let first = sync(&netbox, &context, &observations).await;
    first.tell("first sync", hosts);
    let second = sync(&netbox, &context, &observations).await;
    second.tell("second sync", hosts);
    let tenth = changed(observations, hosts / 10);
    let third = sync(&netbox, &context, &tenth).await;
    third.tell(&format!("sync with {} of {hosts} changed", hosts / 10), hosts);
    println!("peak memory of this process: {} MB", peak_memory() / 1024);

    if sample > 0 {
        let plain = plain(&config, sample).await;
        let rate = f64::from(sample) / plain.as_secs_f64();
        println!(
            "plain client, one object a request: {sample} hosts in {:.1} s = {rate:.2} hosts/s; \
             {hosts} hosts would take {:.0} s (extrapolated)",
            plain.as_secs_f64(),
            f64::from(hosts) / rate
        );
        println!("the first sync was {:.1} times as fast", first.rate(hosts) / rate);
    }
}

/// What one sync took.
struct Taken {
    all: Duration,
    apply: Duration,
    requests: u64,
    changes: usize,
    cpu: Duration,
}

impl Taken {
    fn rate(&self, hosts: u32) -> f64 {
        f64::from(hosts) / self.all.as_secs_f64()
    }

    fn tell(&self, what: &str, hosts: u32) {
        println!(
            "{what}: {} changes in {:.1} s ({:.1} s of them writing) = {:.1} hosts/s, {} requests, \
             {:.1} s of processor time here = {:.1} % of a core",
            self.changes,
            self.all.as_secs_f64(),
            self.apply.as_secs_f64(),
            self.rate(hosts),
            self.requests,
            self.cpu.as_secs_f64(),
            100.0 * self.cpu.as_secs_f64() / self.all.as_secs_f64(),
        );
    }
}

/// One run of the agent after its sources were asked, with its store on disk.
async fn sync(netbox: &NetBox, context: &Context, observations: &[Observation]) -> Taken {
    let (begun, cpu, requests) = (Instant::now(), processor_time(), netbox.requests());
    let harvest = Harvest { observations: observations.to_vec(), ..Harvest::default() };
    let source = SOURCE.parse().unwrap();
    let asked = vec![Asked { source, took: Duration::ZERO, result: Ok(harvest) }];
    let draft = draft(asked, context).await.unwrap();
    let writing = Instant::now();
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    let report = apply(&draft, context, &silent, &CancellationToken::new()).await.unwrap();
    for (change, outcome) in draft.plan.changes.iter().zip(&report.outcomes) {
        if !outcome.is_applied() {
            eprintln!("{} {}: {outcome}", change.kind, change.label);
        }
    }
    Taken {
        all: begun.elapsed(),
        apply: writing.elapsed(),
        requests: netbox.requests() - requests,
        changes: draft.plan.changes.len(),
        cpu: processor_time().saturating_sub(cpu),
    }
}

/// Hosts of several makers, each with two interfaces in two networks.
fn observations(hosts: u32) -> Vec<Observation> {
    const MAKERS: [&str; 6] = ["Dell", "HPE", "Lenovo", "Supermicro", "Intel", "Raspberry Pi"];
    let observation = |thing| Observation {
        source: SOURCE.parse().unwrap(),
        at: Timestamp::UNIX_EPOCH,
        authority: Authority::Own,
        evidence: "its own word".into(),
        segment: Segment::default(),
        thing,
    };
    let mut all: Vec<Observation> = ["10.64.0.0/16", "10.65.0.0/16"]
        .into_iter()
        .map(|net| {
            let net = net.parse().unwrap();
            observation(Thing::Prefix(Prefix { net, vlan: None, description: None }))
        })
        .collect();
    for number in 0..hosts {
        let mut host = Host {
            key: Some(format!("bench:lab/host/{number}").parse().unwrap()),
            ..Host::default()
        };
        host.facts.text(HostAttribute::Name, format!("host{number:05}"));
        host.facts.text(HostAttribute::Manufacturer, MAKERS[number as usize % MAKERS.len()]);
        host.facts.text(HostAttribute::Model, "Server");
        for port in 0..2_u8 {
            let [_, high, low, last] = (number + 1).to_be_bytes();
            let mac = format!("00:1b:21:{:02x}:{low:02x}:{last:02x}", high * 2 + port);
            let ip = Ipv4Addr::new(10, 64 + port, low, last);
            let mut address = Address::with_prefix(ipnet::IpNet::new(ip.into(), 16).unwrap());
            address.gateway = port == 0;
            host.interfaces.push(Interface {
                name: Some(format!("eth{port}").into()),
                mac: Some(mac.parse().unwrap()),
                addresses: vec![address],
                ..Interface::default()
            });
        }
        all.push(observation(Thing::Host(Box::new(host))));
    }
    all
}

/// The same with another description of the first so many hosts.
fn changed(mut observations: Vec<Observation>, hosts: u32) -> Vec<Observation> {
    let hosts = hosts as usize;
    let all = observations.iter_mut().filter_map(|observation| match &mut observation.thing {
        Thing::Host(host) => Some(host),
        _ => None,
    });
    all.take(hosts)
        .for_each(|host| host.facts.text(HostAttribute::Description, "on another shelf"));
    observations
}

/// Writes hosts as most clients do: looks for each object, writes it alone, goes on.
async fn plain(config: &Connection, hosts: u32) -> Duration {
    use secrecy::ExposeSecret;
    let client = Client::new(config.http.clone()).unwrap();
    let token = config.token.expose_secret();
    let scheme = if token.starts_with("nbt_") { "Bearer" } else { "Token" };
    let authorization: secrecy::SecretString = format!("{scheme} {token}").into();
    let request = |method, path: &str| {
        let url = config.url.join("api/").unwrap().join(path).unwrap();
        client
            .request(method, url)
            .secret_header(header::AUTHORIZATION, &authorization)
            .header(header::CONTENT_TYPE, "application/json")
    };
    let get = async |path: String| -> Option<u64> {
        let answer: Json = request(Method::GET, &path).send().await.unwrap().json().unwrap();
        answer["results"][0]["id"].as_u64()
    };
    let post = async |path: &str, body: Json| -> u64 {
        let answer = request(Method::POST, path).json(&body).send().await.unwrap();
        answer.json::<Json>().unwrap()["id"].as_u64().unwrap()
    };
    let patch = async |path: String, body: Json| {
        request(Method::PATCH, &path).json(&body).send().await.unwrap();
    };
    let site = get("dcim/sites/?slug=main".to_owned()).await.unwrap();
    let role = get("dcim/device-roles/?limit=1".to_owned()).await.unwrap();
    let model = get("dcim/device-types/?limit=1".to_owned()).await.unwrap();
    let has_macs = request(Method::GET, "dcim/mac-addresses/?limit=1").send().await.is_ok();
    let run = Timestamp::now().as_second();
    let begun = Instant::now();
    for number in 0..hosts {
        let name = format!("plain-{run}-{number}");
        assert!(get(format!("dcim/devices/?name={name}")).await.is_none());
        let body = json!({"name": name, "site": site, "role": role, "device_type": model, "status": "active"});
        let device = post("dcim/devices/", body).await;
        let mut primary = None;
        for port in 0..2_u32 {
            get(format!("dcim/interfaces/?device_id={device}&name=eth{port}")).await;
            let body = json!({"device": device, "name": format!("eth{port}"), "type": "other"});
            let interface = post("dcim/interfaces/", body).await;
            let low = (run as u32).wrapping_mul(64).wrapping_add(number * 2 + port).to_be_bytes();
            let on =
                json!({"assigned_object_type": "dcim.interface", "assigned_object_id": interface});
            if has_macs {
                let mac =
                    format!("02:aa:{:02x}:{:02x}:{:02x}:{:02x}", low[0], low[1], low[2], low[3]);
                get(format!("dcim/mac-addresses/?mac_address={mac}")).await;
                let mut body = on.clone();
                body["mac_address"] = mac.into();
                let mac = post("dcim/mac-addresses/", body).await;
                patch(format!("dcim/interfaces/{interface}/"), json!({"primary_mac_address": mac}))
                    .await;
            }
            let address = format!(
                "2001:db8:{:x}:{:x}::1/64",
                u16::from_be_bytes([low[0], low[1]]),
                u16::from_be_bytes([low[2], low[3]])
            );
            get(format!("ipam/ip-addresses/?address={address}")).await;
            let mut body = on;
            body["address"] = address.into();
            primary = Some(post("ipam/ip-addresses/", body).await);
        }
        patch(format!("dcim/devices/{device}/"), json!({"primary_ip6": primary})).await;
    }
    begun.elapsed()
}

/// The processor time that this process has taken.
fn processor_time() -> Duration {
    // Linux counts it in hundredths of a second on every architecture.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok());
    Duration::from_millis((ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) * 10)
}

/// The most memory that this process has held at one time, in kB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
