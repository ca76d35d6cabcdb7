//! Lines become observations. A line that is wrong is told with its number and
//! left out; the rest is used, but proves nothing absent any more.

use std::collections::BTreeSet;
use std::io::{self, BufRead};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value as Json;

use super::object::{Object, Wrong, choose, wrong};
use super::{LONGEST_LINE, VERSION};
use crate::collect::Harvest;
use crate::domain::coverage::{Coverage, Scope};
use crate::domain::diagnostic::{Diagnostic, Severity};
use crate::domain::name::{SourceName, visible};
use crate::domain::observation::{
    Address, AttributeType, Authority, Cluster, Component, Disk, Form, Host, HostAttribute,
    Interface, InterfaceAttribute, IpRange, NativeKey, Neighbor, Observation, Part, Prefix,
    Protocol, Segment, Service, Thing, Vlan,
};
use crate::domain::value::{Decimal, SmallMap, Value};

/// What lines leave open.
#[derive(Debug, Clone)]
pub struct Context {
    /// The source that speaks, whatever the lines say; none where they must say it themselves.
    pub source: Option<SourceName>,
    /// The segment of observations that name none.
    pub segment: Segment,
    /// The time of observations that carry none.
    pub at: Timestamp,
    /// How the source knows, where a line does not say.
    pub evidence: Arc<str>,
    /// What a person calls the input: a file, a source.
    pub place: Arc<str>,
}

/// More bad lines than this are counted, not told one by one.
const TOLD: usize = 50;

/// Reads lines until the input ends.
///
/// # Errors
/// When the input cannot be read. Wrong lines are no error: they are diagnostics.
pub fn read(mut input: impl BufRead, context: &Context) -> io::Result<Harvest> {
    let mut harvest = Harvest::default();
    let mut bad = Bad::default();
    let mut number = 0_u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        let whole = read_line(&mut input, &mut line)?;
        if line.is_empty() && whole {
            break;
        }
        number += 1;
        let read = match whole {
            true => understand(&line, context, &mut harvest),
            false => Err(wrong("", format_args!("it is longer than {LONGEST_LINE} bytes"))),
        };
        if let Err(Wrong(message)) = read {
            bad.push(number, message);
        }
    }
    tell(&bad, context, &mut harvest);
    Ok(harvest)
}

/// Reads up to and with the next line end. Gives whether the line was short enough; of
/// one that was not, the rest is skipped.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut whole = true;
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(whole);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |at| at + 1);
        if line.len() + used > LONGEST_LINE {
            whole = false;
        }
        if whole {
            line.extend_from_slice(&chunk[..used]);
        }
        input.consume(used);
        if end.is_some() {
            return Ok(whole);
        }
    }
}

/// The lines that could not be read: the first of them, and how many more there were. A
/// command that prints nonsense for hours takes no more room than one that does so once.
#[derive(Default)]
struct Bad {
    first: Vec<(u64, String)>,
    more: u64,
}

impl Bad {
    fn push(&mut self, number: u64, message: String) {
        if self.first.len() < TOLD {
            self.first.push((number, message));
        } else {
            self.more += 1;
        }
    }
}

/// Tells the bad lines, and takes back every claim to have seen something whole: what was
/// in a line that could not be read is not gone.
fn tell(bad: &Bad, context: &Context, harvest: &mut Harvest) {
    let Some((first, _)) = bad.first.first() else { return };
    for (number, message) in &bad.first {
        let about = format!("{}:{number}", context.place);
        let message = format!("cannot read line {number}: {message}");
        harvest.diagnostics.push(Diagnostic::error("bad_line", about, message));
    }
    if bad.more > 0 {
        let message = format!("{} more lines cannot be read", bad.more);
        harvest.diagnostics.push(Diagnostic::error("bad_line", &context.place, message));
    }
    let gap: Arc<str> = format!("line {first} could not be read").into();
    for claim in &mut harvest.coverage {
        claim.gap.get_or_insert_with(|| Arc::clone(&gap));
    }
}

fn understand(line: &[u8], context: &Context, harvest: &mut Harvest) -> Result<(), Wrong> {
    let text = std::str::from_utf8(line).map_err(|_| wrong("", "it is not UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(());
    }
    let json: Json = serde_json::from_str(text)
        .map_err(|error| wrong("", format_args!("it is not JSON at column {}", error.column())))?;
    let mut line = Object::new(json, "")?;
    match line.whole("version")? {
        Some(VERSION) => {}
        Some(other) => {
            return Err(wrong(
                "version",
                format_args!("{other} is not known; this is version {VERSION}"),
            ));
        }
        None => {
            return Err(wrong("", format_args!("it has no `version`; this is version {VERSION}")));
        }
    }
    let stated: Option<SourceName> = line.parsed("source")?;
    let source = || {
        let source = context.source.clone().or_else(|| stated.clone());
        source.ok_or_else(|| wrong("", "it has no `source`"))
    };
    if let Some(coverage) = line.object("coverage")? {
        harvest.coverage.push(self::coverage(coverage, source()?, context)?);
        return line.end();
    }
    if let Some(diagnostic) = line.object("diagnostic")? {
        harvest.diagnostics.push(self::diagnostic(diagnostic)?);
        return line.end();
    }
    harvest.observations.push(observation(line, source()?, context)?);
    Ok(())
}

fn observation(
    mut line: Object,
    source: SourceName,
    context: &Context,
) -> Result<Observation, Wrong> {
    let at = line.parsed("at")?.unwrap_or(context.at);
    let authority = line.word("authority", Authority::ALL)?.unwrap_or(Authority::Configuration);
    let evidence = line.text("evidence", 100)?.unwrap_or_else(|| Arc::clone(&context.evidence));
    let segment = segment(&mut line, context)?;
    let mut things = Vec::new();
    if let Some(host) = line.object("host")? {
        things.push(Thing::Host(Box::new(self::host(host)?)));
    }
    if let Some(cluster) = line.object("cluster")? {
        things.push(Thing::Cluster(self::cluster(cluster)?));
    }
    if let Some(prefix) = line.object("prefix")? {
        things.push(Thing::Prefix(self::prefix(prefix)?));
    }
    if let Some(vlan) = line.object("vlan")? {
        things.push(Thing::Vlan(self::vlan(vlan)?));
    }
    if let Some(range) = line.object("ip_range")? {
        things.push(Thing::IpRange(self::ip_range(range)?));
    }
    line.end()?;
    match <[Thing; 1]>::try_from(things) {
        Ok([thing]) => Ok(Observation { source, at, authority, evidence, segment, thing }),
        Err(_) => Err(wrong(
            "",
            "it needs exactly one of `host`, `cluster`, `prefix`, `vlan`, `ip_range`, `coverage`, `diagnostic`",
        )),
    }
}

fn segment(object: &mut Object, context: &Context) -> Result<Segment, Wrong> {
    let name = object.text("segment", 64)?;
    Ok(name.map_or_else(|| context.segment.clone(), |name| Segment::named(&name)))
}

fn coverage(mut object: Object, source: SourceName, context: &Context) -> Result<Coverage, Wrong> {
    let net: Option<IpNet> = object.parsed("subnet")?;
    let keys = object.text("keys", 255)?;
    let segment = segment(&mut object, context)?;
    let scope = match (net, keys) {
        (Some(net), None) => Scope::Subnet { segment, net: net.trunc() },
        (None, Some(keys)) => Scope::Keys(keys),
        _ => return Err(object.wrong("it needs exactly one of `subnet` and `keys`")),
    };
    let method = object.text("method", 64)?.unwrap_or_else(|| Arc::clone(&context.evidence));
    let gap = object.text("gap", 500)?;
    object.end()?;
    Ok(Coverage { source, scope, method, gap })
}

fn diagnostic(mut object: Object) -> Result<Diagnostic, Wrong> {
    let severity = object.need("severity", |o, key| o.word(key, Severity::ALL))?;
    let code = object.text("code", 64)?.map_or("reported", |code| interned(&code));
    let about = object.text("about", 255)?.unwrap_or_default();
    let message = object.need("message", |o, key| o.text(key, 2_000))?.to_string();
    object.end()?;
    Ok(Diagnostic { severity, code, about, message })
}

/// A diagnostic's code as the domain keeps it. Codes are few; a source that makes up new
/// ones without end gets one for all of them.
fn interned(code: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(code) {
        return known;
    }
    if known.len() >= 1_000 || !code.chars().all(plain) {
        return "reported";
    }
    let code: &'static str = Box::leak(code.to_owned().into_boxed_str());
    known.insert(code);
    code
}

fn host(mut object: Object) -> Result<Host, Wrong> {
    let mut host = Host {
        key: object.parsed("key")?,
        aliases: object.texts("aliases")?.into_iter().collect(),
        form: object.word("form", Form::ALL)?,
        hint: object.bool("hint")?.unwrap_or_default(),
        ..Host::default()
    };
    for &attribute in HostAttribute::ALL {
        let choices = host_choices(attribute);
        let stated = fact(&mut object, attribute.as_str(), attribute.value_type(), choices)?;
        state(&mut host.facts, attribute, stated);
    }
    host.interfaces = object.objects("interfaces", interface)?;
    host.disks = object.objects("disks", disk)?;
    host.services = object.objects("services", service)?;
    host.components = object.objects("components", component)?;
    host.complete = object.words("complete", Part::ALL)?.into_iter().collect();
    object.end()?;
    Ok(host)
}

fn interface(object: &mut Object) -> Result<Interface, Wrong> {
    let mut interface = Interface {
        name: object.text("name", 64)?,
        mac: object.parsed("mac")?,
        ..Interface::default()
    };
    for &attribute in InterfaceAttribute::ALL {
        let choices = interface_choices(attribute);
        let stated = fact(object, attribute.as_str(), attribute.value_type(), choices)?;
        state(&mut interface.facts, attribute, stated);
    }
    interface.addresses = object.values("addresses", address)?;
    interface.neighbor = match object.object("neighbor")? {
        None => None,
        Some(mut neighbor) => {
            let chassis = neighbor.parsed("chassis")?;
            let name = neighbor.text("name", 255)?;
            let port = neighbor.need("port", |o, key| o.text(key, 255))?;
            neighbor.end()?;
            Some(Neighbor { chassis, name, port })
        }
    };
    Ok(interface)
}

fn state<K: Ord>(facts: &mut SmallMap<K, Value>, attribute: K, value: Option<Value>) {
    if let Some(value) = value {
        facts.insert(attribute, value);
    }
}

/// The words that an attribute of a host may have.
pub(super) fn host_choices(attribute: HostAttribute) -> &'static [&'static str] {
    match attribute {
        HostAttribute::Status => {
            &["active", "offline", "planned", "staged", "failed", "inventory", "decommissioning"]
        }
        _ => &[],
    }
}

/// The words that an attribute of an interface may have.
pub(super) fn interface_choices(attribute: InterfaceAttribute) -> &'static [&'static str] {
    match attribute {
        InterfaceAttribute::Mode => &["access", "tagged", "tagged-all"],
        _ => &[],
    }
}

/// What is stated of one attribute: null is a statement, an empty text is none.
fn fact(
    object: &mut Object,
    key: &'static str,
    kind: AttributeType,
    choices: &[&str],
) -> Result<Option<Value>, Wrong> {
    if object.is_null(key) {
        return Ok(Some(Value::Null));
    }
    Ok(match kind {
        AttributeType::Text(limit) => {
            let text = object.text(key, limit)?;
            if let Some(text) = text.as_deref().filter(|_| !choices.is_empty()) {
                choose(text, choices).map_err(|message| object.wrong_at(key, message))?;
            }
            text.map(Value::Text)
        }
        AttributeType::Block => object.block(key)?.map(Value::Text),
        AttributeType::Int => object.number(key)?.map(Value::Int),
        AttributeType::Decimal => object
            .float(key)?
            .map(|number| {
                let decimal = Decimal::nearest(number).filter(|decimal| decimal.0 >= 0);
                decimal.ok_or_else(|| object.wrong_at(key, "it is below zero or too large"))
            })
            .transpose()?
            .map(Value::Decimal),
        AttributeType::Bool => object.bool(key)?.map(Value::Bool),
        AttributeType::Words => {
            let listed = object.is_list(key);
            let words = object.values(key, |value, path| match value {
                Json::String(text) => Ok(visible(&text, 100)),
                _ => Err(wrong(path, "expected a text")),
            })?;
            listed.then(|| Value::words(words.into_iter().filter(|word| !word.is_empty())))
        }
        AttributeType::Ints => {
            let listed = object.is_list(key);
            let numbers = object.values(key, |value, path| {
                let number = value.as_i64().filter(|number| *number >= 0);
                number.ok_or_else(|| wrong(path, "expected a whole number, zero or more"))
            })?;
            listed.then(|| Value::Ints(numbers.into_iter().collect()))
        }
    })
}

/// `"10.0.0.5"`, `"10.0.0.5/24"`, or an object with more.
fn address(value: Json, path: &str) -> Result<Address, Wrong> {
    if let Json::String(text) = &value {
        return bare(text).ok_or_else(|| not_an_address(path, text));
    }
    let mut object = Object::new(value, path)?;
    let text = object.need("address", |o, key| o.text(key, 64))?;
    let mut address = bare(&text).ok_or_else(|| not_an_address(path, &text))?;
    address.dns_name = object.text("dns_name", 255)?;
    address.gateway = object.bool("gateway")?.unwrap_or(false);
    address.role = object.word("role", crate::domain::observation::AddressRole::ALL)?;
    address.dynamic = object.bool("dynamic")?;
    object.end()?;
    Ok(address)
}

fn bare(text: &str) -> Option<Address> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Some(Address::bare(ip)),
        Err(_) => text.parse::<IpNet>().ok().map(Address::with_prefix),
    }
}

fn not_an_address(path: &str, text: &str) -> Wrong {
    let text = visible(text, 60);
    wrong(path, format_args!("`{text}` is not an address such as 192.0.2.7 or 192.0.2.7/24"))
}

fn disk(object: &mut Object) -> Result<Disk, Wrong> {
    Ok(Disk {
        name: object.need("name", |o, key| o.text(key, 64))?,
        size_mb: object.need("size_mb", Object::number)?,
        description: object.text("description", 200)?,
    })
}

fn service(object: &mut Object) -> Result<Service, Wrong> {
    let ports = object.values("ports", |value, path| {
        let port =
            value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        port.ok_or_else(|| wrong(path, "expected a port from 1 to 65535"))
    })?;
    if ports.is_empty() {
        return Err(object.wrong("it needs `ports`"));
    }
    Ok(Service {
        name: object.need("name", |o, key| o.text(key, 100))?,
        protocol: object.need("protocol", |o, key| o.word(key, Protocol::ALL))?,
        ports: ports.into_iter().collect(),
        description: object.text("description", 200)?,
    })
}

fn component(object: &mut Object) -> Result<Component, Wrong> {
    Ok(Component {
        name: object.need("name", |o, key| o.text(key, 64))?,
        manufacturer: object.text("manufacturer", 100)?,
        part_id: object.text("part_id", 50)?,
        serial: object.text("serial", 50)?,
        description: object.text("description", 200)?,
    })
}

fn cluster(mut object: Object) -> Result<Cluster, Wrong> {
    let cluster = Cluster {
        key: object.need("key", |o, key| o.parsed::<NativeKey>(key))?,
        name: object.need("name", |o, key| o.text(key, 100))?,
        kind: object.need("kind", |o, key| o.text(key, 100))?,
        site: object.text("site", 100)?,
    };
    object.end()?;
    Ok(cluster)
}

fn prefix(mut object: Object) -> Result<Prefix, Wrong> {
    let prefix = Prefix {
        net: object.need("net", |o, key| o.parsed::<IpNet>(key))?.trunc(),
        vlan: vid(&mut object, "vlan")?,
        description: object.text("description", 200)?,
    };
    object.end()?;
    Ok(prefix)
}

fn vlan(mut object: Object) -> Result<Vlan, Wrong> {
    let vlan = Vlan {
        vid: object.need("vid", vid)?,
        name: object.text("name", 64)?,
        description: object.text("description", 200)?,
    };
    object.end()?;
    Ok(vlan)
}

fn vid(object: &mut Object, key: &'static str) -> Result<Option<u16>, Wrong> {
    let Some(number) = object.number(key)? else {
        return Ok(None);
    };
    let vid = u16::try_from(number).ok().filter(|vid| (1..=4094).contains(vid));
    vid.map(Some).ok_or_else(|| object.wrong_at(key, "expected a VLAN id from 1 to 4094"))
}

fn ip_range(mut object: Object) -> Result<IpRange, Wrong> {
    let start: IpAddr = object.need("start", Object::parsed)?;
    let end: IpAddr = object.need("end", Object::parsed)?;
    let length = object.need("prefix_len", Object::number)?;
    let most = if start.is_ipv4() { 32 } else { 128 };
    let prefix_len = u8::try_from(length).ok().filter(|length| *length <= most);
    let prefix_len = prefix_len.ok_or_else(|| object.wrong_at("prefix_len", "it is too long"))?;
    if start.is_ipv4() != end.is_ipv4() || start > end {
        return Err(object.wrong("`start` must come before `end`, in one family"));
    }
    let description = object.text("description", 200)?;
    object.end()?;
    Ok(IpRange { start, end, prefix_len, description })
}
