//! A sweep's report as text.
//!
//! The shape of the JSON is a promise: keys are added, never taken away or changed. What
//! is not known is null, lists may be empty. Names are host names and vendors a known
//! table; nothing else in it comes from the network as it is.

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::time::Duration;

use comfy_table::{Table, presets};
use ipnet::IpNet;
use serde::Serialize;

use crate::domain::diagnostic::Diagnostic;
use crate::domain::mac::MacAddr;
use crate::net::service;
use crate::net::sweep::{Answer, NameSource, Report, Swept};

/// The number of the shape; another one would be another promise.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    #[serde(serialize_with = "one_by_one")]
    hosts: &'a [Answer],
    subnets: Vec<SubnetOut<'a>>,
    left_out: Vec<LeftOut<'a>>,
    diagnostics: Vec<DiagnosticOut<'a>>,
    packets: u64,
    seconds: f64,
    interrupted: bool,
}

#[derive(Serialize)]
struct HostOut<'a> {
    ip: IpAddr,
    prefix_length: Option<u8>,
    #[serde(serialize_with = "shown")]
    mac: Option<MacAddr>,
    vendor: Option<&'a str>,
    method: &'static str,
    rtt_ms: Option<f64>,
    name: Option<&'a str>,
    name_from: Option<&'static str>,
    ports: Vec<PortOut>,
    other_macs: Vec<String>,
    proxied: bool,
}

#[derive(Serialize)]
struct PortOut {
    port: u16,
    protocol: &'static str,
    service: Option<&'static str>,
}

#[derive(Serialize)]
struct SubnetOut<'a> {
    subnet: IpNet,
    method: &'static str,
    interface: Option<&'a str>,
    asked: u64,
    answered: u64,
    complete: bool,
    gap: Option<&'a str>,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    subnet: IpNet,
    reason: &'a str,
}

#[derive(Serialize)]
struct DiagnosticOut<'a> {
    severity: &'static str,
    code: &'static str,
    about: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Answer> for HostOut<'a> {
    fn from(answer: &'a Answer) -> Self {
        HostOut {
            ip: answer.ip,
            prefix_length: answer.prefix_len,
            mac: answer.mac,
            vendor: answer.vendor(),
            method: answer.method.as_str(),
            rtt_ms: answer.rtt.map(milliseconds),
            name: answer.name.as_ref().map(|named| named.name.as_str()),
            name_from: answer.name.as_ref().map(|named| match named.source {
                NameSource::Dns => "dns",
                NameSource::Mdns => "mdns",
            }),
            ports: answer
                .open
                .iter()
                .map(|port| PortOut { port: *port, protocol: "tcp", service: service::tcp(*port) })
                .collect(),
            other_macs: answer.rivals.iter().map(ToString::to_string).collect(),
            proxied: answer.proxied,
        }
    }
}

impl<'a> From<&'a Swept> for SubnetOut<'a> {
    fn from(swept: &'a Swept) -> Self {
        SubnetOut {
            subnet: swept.net,
            method: swept.method.as_str(),
            interface: swept.interface.as_deref(),
            asked: swept.asked,
            answered: swept.answered,
            complete: swept.gap.is_none(),
            gap: swept.gap.as_deref(),
        }
    }
}

impl<'a> From<&'a Diagnostic> for DiagnosticOut<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        DiagnosticOut {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code,
            about: &diagnostic.about,
            message: &diagnostic.message,
        }
    }
}

/// Hosts take shape as they are written: a large network has very many.
fn one_by_one<S: serde::Serializer>(answers: &&[Answer], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(answers.iter().map(HostOut::from))
}

/// A MAC address as people write it.
fn shown<S: serde::Serializer>(mac: &Option<MacAddr>, out: S) -> Result<S::Ok, S::Error> {
    match mac {
        Some(mac) => out.collect_str(mac),
        None => out.serialize_none(),
    }
}

/// To a thousandth: finer than that is noise.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Bytes of JSON that are gathered before they are written.
const GATHERED: usize = 1 << 16;

/// One JSON object on one line.
pub(super) fn json(report: &Report, took: Duration, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        hosts: &report.answers,
        subnets: report.swept.iter().map(Into::into).collect(),
        left_out: report
            .left_out
            .iter()
            .map(|(subnet, reason)| LeftOut { subnet: *subnet, reason })
            .collect(),
        diagnostics: report.diagnostics.iter().map(Into::into).collect(),
        packets: report.packets,
        seconds: (took.as_secs_f64() * 1e3).round() / 1e3,
        interrupted: report.interrupted,
    };
    // Every quotation mark is a write of its own: those are gathered before they meet a
    // writer of an unknown kind.
    let mut out = BufWriter::with_capacity(GATHERED, out);
    serde_json::to_writer(&mut out, &document)?;
    writeln!(out)?;
    out.flush()
}

const COLUMNS: [&str; 8] =
    ["ip", "mac", "vendor", "rtt_ms", "name", "ports", "method", "prefix_length"];

/// One line a host.
pub(super) fn csv(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = csv::Writer::from_writer(out);
    sheet.write_record(COLUMNS)?;
    for answer in &report.answers {
        let host = HostOut::from(answer);
        sheet.write_record([
            &host.ip.to_string(),
            &host.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            host.vendor.unwrap_or_default(),
            &host.rtt_ms.map(|rtt| rtt.to_string()).unwrap_or_default(),
            host.name.unwrap_or_default(),
            &joined(&answer.open, " ", u16::to_string),
            host.method,
            &host.prefix_length.map(|length| length.to_string()).unwrap_or_default(),
        ])?;
    }
    sheet.flush()
}

/// A table, and what it is worth.
pub(super) fn table(report: &Report, took: Duration) -> String {
    let mut text = String::new();
    if !report.answers.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        table.set_header(["ADDRESS", "MAC", "VENDOR", "RTT", "NAME", "PORTS", "BY"]);
        for answer in &report.answers {
            table.add_row(row(answer));
        }
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    for swept in &report.swept {
        text.push_str(&sentence(swept));
    }
    for (net, reason) in &report.left_out {
        text.push_str(&format!("{net}: not asked: {reason}\n"));
    }
    let end = if report.interrupted { ", interrupted" } else { "" };
    text.push_str(&format!("{} packets in {:.2} s{end}\n", report.packets, took.as_secs_f64()));
    text
}

fn row(answer: &Answer) -> [String; 7] {
    let host = HostOut::from(answer);
    let mut mac = host.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if answer.proxied {
        mac.push_str(" (proxy)");
    }
    for other in &host.other_macs {
        mac.push_str(&format!(" {other}"));
    }
    let port = |port: &u16| match service::tcp(*port) {
        Some(name) => format!("{port}/{name}"),
        None => port.to_string(),
    };
    [
        host.ip.to_string(),
        mac,
        host.vendor.unwrap_or_default().to_owned(),
        host.rtt_ms.map(|rtt| format!("{rtt:.2} ms")).unwrap_or_default(),
        host.name.unwrap_or_default().to_owned(),
        joined(&answer.open, " ", port),
        host.method.to_owned(),
    ]
}

fn sentence(swept: &Swept) -> String {
    let at = swept.interface.as_ref().map(|name| format!(" at {name}")).unwrap_or_default();
    let asked = match swept.asked {
        0 => String::new(),
        asked => format!(" of {asked}"),
    };
    let worth = match &swept.gap {
        None => "what is silent is proven unused".to_owned(),
        Some(gap) => format!("what is silent is not proven unused: {gap}"),
    };
    format!("{} by {}{at}: {}{asked} answered; {worth}\n", swept.net, swept.method, swept.answered)
}

fn joined<T>(items: &[T], between: &str, show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::sweep::{Method, Named};

    fn report() -> Report {
        let mut nas = Answer::of("192.0.2.5".parse().unwrap(), Method::Arp);
        nas.mac = "bc:24:11:00:00:05".parse().ok();
        nas.prefix_len = Some(24);
        nas.rtt = Some(Duration::from_nanos(412_345));
        nas.name = Some(Named { name: "nas.lan".parse().unwrap(), source: NameSource::Dns });
        nas.open = vec![22, 8006, 12_345];
        let mut twice = Answer::of("192.0.2.9".parse().unwrap(), Method::Arp);
        twice.mac = "00:1b:21:00:00:09".parse().ok();
        twice.rivals = vec!["00:1b:21:00:00:0a".parse().unwrap()];
        let far = Answer::of("198.51.100.7".parse().unwrap(), Method::Icmp);
        Report {
            answers: vec![nas, twice, far],
            swept: vec![
                Swept {
                    net: "192.0.2.0/24".parse().unwrap(),
                    method: Method::Arp,
                    interface: Some("eth0".to_owned()),
                    asked: 253,
                    answered: 2,
                    gap: None,
                },
                Swept {
                    net: "198.51.100.0/29".parse().unwrap(),
                    method: Method::Icmp,
                    interface: None,
                    asked: 6,
                    answered: 1,
                    gap: Some("hosts beyond a router may ignore echo requests".to_owned()),
                },
            ],
            left_out: vec![("192.0.2.64/26".parse().unwrap(), "it is excluded".to_owned())],
            diagnostics: vec![Diagnostic::warning(
                "duplicate_address",
                "192.0.2.9",
                "two claim it",
            )],
            packets: 540,
            interrupted: false,
        }
    }

    const TOOK: Duration = Duration::from_millis(1234);

    #[test]
    fn a_person_reads_a_table() {
        insta::assert_snapshot!(table(&report(), TOOK));
    }

    #[test]
    fn a_program_reads_json() {
        let mut out = Vec::new();
        json(&report(), TOOK, &mut out).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        insta::assert_snapshot!(format!("{value:#}"));
    }

    #[test]
    fn a_sheet_has_a_line_for_each_host() {
        let mut out = Vec::new();
        csv(&report(), &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn nothing_found_is_still_told() {
        let silence = Report { answers: Vec::new(), ..report() };
        assert!(table(&silence, TOOK).starts_with("192.0.2.0/24 by arp"));
    }
}
