//! The settings of a sweep, and what is wrong with them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::Sweep;
use crate::collect::{BuildContext, Collector, Problem, SourceSettings};
use crate::duration::Period;
use crate::net::names::Directory;
use crate::net::sweep::schedule::Rate;
use crate::net::sweep::{
    HUGEST, LARGEST, LINGER, holds_hosts, read_net, read_ports, read_resolver,
};

/// A sweep of subnets for what answers in them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepSettings {
    /// The subnets, such as "192.168.1.0/24". Without them: those that lie directly at this
    /// machine, but not the bridges of Docker, libvirt and LXC.
    subnets: Option<Vec<String>>,
    /// Addresses and subnets that are never asked.
    #[serde(default)]
    exclude: Vec<String>,
    /// TCP ports to ask of each host, such as 22 or "8000-8010".
    #[serde(default)]
    ports: Vec<Ports>,
    /// Packets a second, at most; "max" is no limit. Without it: 500 at first, and more as
    /// far as the network is seen to bear it.
    #[schemars(with = "Option<RateSetting>")]
    rate: Option<RateSetting>,
    /// How long to listen to each address at least: hosts that save power answer late.
    #[serde(default = "linger")]
    linger: Period,
    /// Whether hosts on the link are asked by ICMP echo, too.
    #[serde(default)]
    ping: bool,
    /// Whether to look for hosts of IPv6 on the links of the subnets.
    #[serde(default = "yes")]
    ipv6: bool,
    /// Whether to look for names in DNS.
    #[serde(default = "yes")]
    dns: bool,
    /// Whether to ask hosts for their own names by multicast DNS.
    #[serde(default = "yes")]
    mdns: bool,
    /// Resolvers to ask in place of the system's, such as "192.168.1.1" or "192.168.1.1:5353".
    #[serde(default)]
    resolvers: Vec<String>,
    /// The shortest prefix of a subnet that may be swept: a smaller number allows larger ones.
    #[serde(default = "largest")]
    #[schemars(range(min = 8, max = 32))]
    max_prefix: u8,
}

const fn yes() -> bool {
    true
}

const fn largest() -> u8 {
    LARGEST
}

const fn linger() -> Period {
    Period(LINGER)
}

/// Longer than this a sweep of silence would hardly end.
const LONGEST_LINGER: Period = Period::seconds(60);
/// More ports would be a scan of a host, not a sweep of a network.
const MOST_PORTS: usize = 1024;

/// Packets a second, or no limit.
#[derive(Debug, Clone, Copy)]
struct RateSetting(Rate);

impl JsonSchema for RateSetting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 1_000_000 }, { "const": "max" }] })
    }
}

impl<'de> Deserialize<'de> for RateSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = RateSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of packets a second, or \"max\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<RateSetting, E> {
                match u32::try_from(number) {
                    Ok(rate @ 1..=1_000_000) => Ok(RateSetting(Rate::AtMost(rate))),
                    _ => Err(E::custom("expected 1 to 1000000 packets a second, or \"max\"")),
                }
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<RateSetting, E> {
                match word {
                    "max" => Ok(RateSetting(Rate::Max)),
                    _ => Err(E::custom(format_args!(
                        "expected a number of packets a second, or \"max\", not \"{word}\""
                    ))),
                }
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// A port, or a range of ports.
#[derive(Debug, Clone)]
struct Ports(Vec<u16>);

impl JsonSchema for Ports {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" }] })
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port such as 22, or a range such as \"8000-8010\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ports, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ports, E> {
                read_ports(text).map(Ports).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl SourceSettings for SweepSettings {
    const KIND: &'static str = "sweep";
    const SUMMARY: &'static str =
        "what answers in subnets: by ARP, ICMP echo and neighbours of IPv6";
    const SAMPLE: &'static str = r#"
# What answers in subnets: by ARP on the links of this machine, by ICMP echo beyond a
# router. Needs CAP_NET_RAW for all of it; without, it is slower and proves less.
# [[source]]
# kind = "sweep"
# name = "lan"
# The subnets. Without them: those that lie directly at this machine, but not the bridges
# of Docker, libvirt and LXC.
# subnets = ["192.168.1.0/24", "192.168.20.0/24"]
# Addresses and subnets that are never asked.
# exclude = ["192.168.1.250", "192.168.20.128/26"]
# TCP ports to ask of each host that answers.
# ports = [22, 80, 443, "8000-8010"]
# Packets a second, at most; "max" is no limit. Without it: 500 at first, and more as far
# as the network is seen to bear it.
# rate = 500
# How long to listen to each address at least: hosts that save power answer late.
# linger = "150ms"
# Whether hosts on the link are asked by ICMP echo, too; it proves no more than ARP.
# ping = false
# Whether to look for hosts of IPv6 on the links of the subnets.
# ipv6 = true
# Whether to look for names in DNS, and to ask hosts for their own by multicast DNS.
# dns = true
# mdns = true
# Resolvers to ask in place of the system's.
# resolvers = ["192.168.1.1"]
# The shortest prefix of a subnet that may be swept: 12 would allow a /12.
# max_prefix = 16
"#;

    fn build(self, _: &BuildContext<'_>) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let mut problems = Vec::new();
        let subnets =
            self.subnets.as_ref().map(|texts| each("subnets", texts, read_net, &mut problems));
        let exclude = each("exclude", &self.exclude, read_net, &mut problems);
        let resolvers = each("resolvers", &self.resolvers, read_resolver, &mut problems);
        self.check(subnets.as_deref(), &mut problems);
        let subnets = subnets.map(|subnets| plain(&subnets));
        let exclude = plain(&exclude);
        let resolvers = directory(&resolvers, &mut problems);
        let mut ports: Vec<u16> =
            self.ports.iter().flat_map(|ports| ports.0.iter().copied()).collect();
        ports.sort_unstable();
        ports.dedup();
        if ports.len() > MOST_PORTS {
            problems.push(Problem::new(
                "ports",
                format!("{} ports are too many; name at most {MOST_PORTS}", ports.len()),
            ));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Box::new(Sweep {
            subnets,
            exclude,
            ports,
            rate: self.rate.map_or(Rate::Adaptive, |rate| rate.0),
            linger: self.linger.0,
            ping: self.ping,
            ipv6: self.ipv6,
            dns: self.dns,
            mdns: self.mdns,
            resolvers,
            max_prefix: self.max_prefix,
        }))
    }
}

impl SweepSettings {
    fn check(&self, subnets: Option<&[(usize, IpNet)]>, problems: &mut Vec<Problem>) {
        if self.subnets.as_ref().is_some_and(Vec::is_empty) {
            problems.push(Problem::new(
                "subnets",
                "it names none; leave it out to sweep those that lie directly at this machine",
            ));
        }
        let bounds = HUGEST..=32;
        for (index, net) in subnets.into_iter().flatten() {
            let key = format!("subnets[{index}]");
            if !holds_hosts(net) {
                problems.push(Problem::new(key, format!("no host has an address in {net}")));
            } else if net.addr().is_ipv4() && net.prefix_len() < HUGEST {
                let message = format!("{net} is larger than a /{HUGEST}, as no network is");
                problems.push(Problem::new(key, message));
            } else if net.addr().is_ipv4()
                && net.prefix_len() < self.max_prefix
                && bounds.contains(&self.max_prefix)
            {
                let message = format!(
                    "{net} is larger than a /{}; name parts of it, or allow it with max_prefix = {}",
                    self.max_prefix,
                    net.prefix_len()
                );
                problems.push(Problem::new(key, message));
            }
        }
        if !bounds.contains(&self.max_prefix) {
            let message = format!("expected a number from {HUGEST} to 32");
            problems.push(Problem::new("max_prefix", message));
        }
        if self.linger.0 > LONGEST_LINGER.0 {
            problems.push(Problem::new(
                "linger",
                format!("expected at most {LONGEST_LINGER}, such as \"150ms\""),
            ));
        }
    }
}

/// Reads each text of a list and keeps its place; what cannot be read is a problem of its
/// own.
fn each<T>(
    key: &str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
    problems: &mut Vec<Problem>,
) -> Vec<(usize, T)> {
    let mut values = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match read(text) {
            Ok(value) => values.push((index, value)),
            Err(message) => problems.push(Problem::new(format!("{key}[{index}]"), message)),
        }
    }
    values
}

fn plain<T: Copy>(values: &[(usize, T)]) -> Vec<T> {
    values.iter().map(|(_, value)| *value).collect()
}

fn directory(resolvers: &[(usize, SocketAddr)], problems: &mut Vec<Problem>) -> Option<Directory> {
    if resolvers.is_empty() {
        return None;
    }
    let unspecified = |address: &SocketAddr| matches!(address.ip(), ip if ip.is_unspecified() || ip == IpAddr::from([255; 4]));
    if let Some((index, _)) = resolvers.iter().find(|(_, address)| unspecified(address)) {
        problems.push(Problem::new(format!("resolvers[{index}]"), "nobody has this address"));
    }
    Directory::of(&plain(resolvers))
        .map_err(|error| problems.push(Problem::new("resolvers", error.to_string())))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn build(text: &str) -> Result<Box<dyn Collector>, Vec<Problem>> {
        let settings: SweepSettings = toml_edit::de::from_str(text).unwrap();
        let source = "lan".parse().unwrap();
        settings.build(&BuildContext { source: &source, credentials: None })
    }

    fn told(text: &str) -> Vec<String> {
        let problems = build(text).expect_err("it is wrong");
        problems
            .into_iter()
            .map(|problem| format!("{}: {}", problem.key, problem.message))
            .collect()
    }

    #[test]
    fn the_defaults_of_the_sample_are_the_defaults() {
        let shown = SweepSettings::SAMPLE;
        for line in [
            "linger = \"150ms\"",
            "ping = false",
            "ipv6 = true",
            "dns = true",
            "mdns = true",
            "max_prefix = 16",
        ] {
            assert!(shown.contains(&format!("# {line}\n")), "{line}");
        }
        let settings: SweepSettings = toml_edit::de::from_str("").unwrap();
        assert_eq!((settings.linger.0, settings.max_prefix), (Duration::from_millis(150), 16));
        assert!(!settings.ping && settings.ipv6 && settings.dns && settings.mdns);
        let lines = shown.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| {
            line.contains(" = ") && !line.starts_with("kind") && !line.starts_with("name")
        });
        assert!(build(&lines.collect::<Vec<_>>().join("\n")).is_ok());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        insta::assert_snapshot!(
            told(
                r#"
            subnets = ["192.168.1.0/33", "10.0.0.0/8", "224.0.0.0/24", "lan", "0.0.0.0/0"]
            exclude = ["192.168.1.300"]
            resolvers = ["dns", "0.0.0.0"]
            max_prefix = 12
            linger = "2h"
            "#
            )
            .join("\n")
        );
    }

    #[test]
    fn how_large_a_subnet_may_be_has_an_end() {
        assert_eq!(told("max_prefix = 7"), ["max_prefix: expected a number from 8 to 32"]);
        assert_eq!(told("max_prefix = 40").len(), 1);
        assert!(build("max_prefix = 8\nsubnets = [\"10.0.0.0/8\", \"fd00::/64\"]").is_ok());
    }

    #[test]
    fn rates_and_ports_come_in_two_forms() {
        let ports = |text: &str| {
            let settings: Result<SweepSettings, _> =
                toml_edit::de::from_str(&format!("ports = {text}"));
            settings.map(|settings| {
                settings.ports.iter().flat_map(|ports| ports.0.clone()).collect::<Vec<_>>()
            })
        };
        assert_eq!(ports(r#"[22, "80", "8000-8002"]"#).unwrap(), [22, 80, 8000, 8001, 8002]);
        for wrong in ["[0]", "[65536]", "[\"a\"]", "[\"9-8\"]", "[true]"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
        let rate = |text: &str| {
            toml_edit::de::from_str::<SweepSettings>(&format!("rate = {text}"))
                .map(|settings| settings.rate.unwrap().0)
        };
        assert_eq!(rate("500").unwrap(), Rate::AtMost(500));
        assert_eq!(rate("\"max\"").unwrap(), Rate::Max);
        for wrong in ["0", "-1", "\"fast\"", "1.5"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
