//! Observations become lines. The same harvest gives the same bytes.

use std::io::{self, Write};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::VERSION;
use crate::collect::Harvest;
use crate::domain::coverage::{Coverage, Scope};
use crate::domain::diagnostic::Diagnostic;
use crate::domain::observation::{
    Address, Cluster, Component, Disk, Host, HostFacts, Interface, InterfaceFacts, IpRange,
    Neighbor, Observation, Prefix, Service, Thing, Vlan,
};
use crate::domain::value::Value;

/// Writes a harvest as lines: observations, then coverage, then diagnostics, each sorted.
///
/// # Errors
/// When the output cannot be written.
pub fn write(harvest: &Harvest, out: &mut dyn Write) -> io::Result<()> {
    fn lines<T: Ord>(
        items: &[T],
        out: &mut dyn Write,
        line: impl Fn(&T, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut sorted: Vec<&T> = items.iter().collect();
        sorted.sort();
        sorted.dedup();
        sorted.into_iter().try_for_each(|item| {
            line(item, out)?;
            out.write_all(b"\n")
        })
    }
    lines(&harvest.observations, out, |item, out| Ok(serde_json::to_writer(out, &Line(item))?))?;
    lines(&harvest.coverage, out, |item, out| Ok(serde_json::to_writer(out, &Line(item))?))?;
    lines(&harvest.diagnostics, out, |item, out| Ok(serde_json::to_writer(out, &Line(item))?))
}

/// A line of its own.
struct Line<'a, T>(&'a T);

/// A part of a line.
struct Part<'a, T>(&'a T);

/// Several parts.
struct Parts<'a, T>(&'a [T]);

impl<'a, T> Serialize for Parts<'a, T>
where
    Part<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            list.serialize_element(&Part(item))?;
        }
        list.end()
    }
}

/// An object that leaves out what there is none of.
struct Object<M>(M);

impl<M: SerializeMap> Object<M> {
    fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(key, value)
    }

    fn maybe<T: Serialize>(&mut self, key: &str, value: Option<T>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(key, &value))
    }

    fn list<'a, T>(&mut self, key: &str, items: &'a [T]) -> Result<(), M::Error>
    where
        Parts<'a, T>: Serialize,
    {
        if items.is_empty() { Ok(()) } else { self.put(key, &Parts(items)) }
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}

fn object<S: Serializer>(serializer: S) -> Result<Object<S::SerializeMap>, S::Error> {
    serializer.serialize_map(None).map(Object)
}

impl Serialize for Line<'_, Observation> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Observation { source, at, authority, evidence, segment, thing } = self.0;
        let mut line = object(serializer)?;
        line.put("version", &VERSION)?;
        line.put("source", source.as_str())?;
        line.put("at", &at.to_string())?;
        line.put("authority", authority.as_str())?;
        line.put("evidence", &**evidence)?;
        if !segment.as_str().is_empty() {
            line.put("segment", segment.as_str())?;
        }
        match thing {
            Thing::Host(host) => line.put("host", &Part(&**host))?,
            Thing::Cluster(cluster) => line.put("cluster", &Part(cluster))?,
            Thing::Prefix(prefix) => line.put("prefix", &Part(prefix))?,
            Thing::Vlan(vlan) => line.put("vlan", &Part(vlan))?,
            Thing::IpRange(range) => line.put("ip_range", &Part(range))?,
        }
        line.end()
    }
}

impl Serialize for Line<'_, Coverage> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = object(serializer)?;
        line.put("version", &VERSION)?;
        line.put("source", self.0.source.as_str())?;
        line.put("coverage", &Part(self.0))?;
        line.end()
    }
}

impl Serialize for Part<'_, Coverage> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = object(serializer)?;
        match &self.0.scope {
            Scope::Subnet { segment, net } => {
                object.put("subnet", &net.to_string())?;
                if !segment.as_str().is_empty() {
                    object.put("segment", segment.as_str())?;
                }
            }
            Scope::Keys(prefix) => object.put("keys", &**prefix)?,
        }
        object.put("method", &*self.0.method)?;
        object.maybe("gap", self.0.gap.as_deref())?;
        object.end()
    }
}

impl Serialize for Line<'_, Diagnostic> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = object(serializer)?;
        line.put("version", &VERSION)?;
        line.put("diagnostic", &Part(self.0))?;
        line.end()
    }
}

impl Serialize for Part<'_, Diagnostic> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = object(serializer)?;
        object.put("severity", self.0.severity.as_str())?;
        object.put("code", self.0.code)?;
        object.put("about", &*self.0.about)?;
        object.put("message", &self.0.message)?;
        object.end()
    }
}

impl Serialize for Part<'_, Host> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Host {
            key,
            aliases,
            form,
            facts,
            interfaces,
            disks,
            services,
            components,
            complete,
            hint,
        } = self.0;
        let mut object = object(serializer)?;
        object.maybe("key", key.as_ref().map(|key| key.as_str()))?;
        let aliases: Vec<&str> = aliases.iter().map(|key| key.as_str()).collect();
        object.maybe("aliases", (!aliases.is_empty()).then_some(aliases))?;
        object.maybe("form", form.map(|form| form.as_str()))?;
        object.maybe("hint", hint.then_some(true))?;
        host_facts(&mut object, facts)?;
        object.list("interfaces", interfaces)?;
        object.list("disks", disks)?;
        object.list("services", services)?;
        object.list("components", components)?;
        let complete: Vec<&str> = complete.iter().map(|part| part.as_str()).collect();
        object.maybe("complete", (!complete.is_empty()).then_some(complete))?;
        object.end()
    }
}

fn host_facts<M: SerializeMap>(object: &mut Object<M>, facts: &HostFacts) -> Result<(), M::Error> {
    facts.iter().try_for_each(|(attribute, value)| object.put(attribute.as_str(), &Part(value)))
}

fn interface_facts<M: SerializeMap>(
    object: &mut Object<M>,
    facts: &InterfaceFacts,
) -> Result<(), M::Error> {
    facts.iter().try_for_each(|(attribute, value)| object.put(attribute.as_str(), &Part(value)))
}

impl Serialize for Part<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // No source states references: they are made of facts later.
            Value::Null | Value::Ref(_) | Value::Refs(_) => serializer.serialize_unit(),
            Value::Bool(yes) => serializer.serialize_bool(*yes),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Decimal(number) if number.0 % 100 == 0 => {
                serializer.serialize_i64(number.0 / 100)
            }
            Value::Decimal(number) => serializer.serialize_f64(number.as_f64()),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Words(words) => serializer.collect_seq(words.iter().map(|word| &**word)),
            Value::Ints(numbers) => serializer.collect_seq(numbers),
        }
    }
}

impl Serialize for Part<'_, Interface> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Interface { name, mac, facts, addresses, neighbor } = self.0;
        let mut object = object(serializer)?;
        object.maybe("name", name.as_deref())?;
        object.maybe("mac", mac.map(|mac| mac.to_string()))?;
        interface_facts(&mut object, facts)?;
        object.list("addresses", addresses)?;
        object.maybe("neighbor", neighbor.as_ref().map(Part))?;
        object.end()
    }
}

impl Serialize for Part<'_, Address> {
    /// An address of which nothing else is known is a text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Address { ip, prefix_len, dns_name, gateway, role, dynamic } = self.0;
        let text = match prefix_len {
            Some(length) => format!("{ip}/{length}"),
            None => ip.to_string(),
        };
        if dns_name.is_none() && !gateway && role.is_none() && dynamic.is_none() {
            return serializer.serialize_str(&text);
        }
        let mut object = object(serializer)?;
        object.put("address", &text)?;
        object.maybe("dns_name", dns_name.as_deref())?;
        object.maybe("gateway", gateway.then_some(true))?;
        object.maybe("role", role.map(|role| role.as_str()))?;
        object.maybe("dynamic", *dynamic)?;
        object.end()
    }
}

impl Serialize for Part<'_, Neighbor> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Neighbor { chassis, name, port } = self.0;
        let mut object = object(serializer)?;
        object.maybe("chassis", chassis.map(|mac| mac.to_string()))?;
        object.maybe("name", name.as_deref())?;
        object.put("port", &**port)?;
        object.end()
    }
}

impl Serialize for Part<'_, Disk> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Disk { name, size_mb, description } = self.0;
        let mut object = object(serializer)?;
        object.put("name", &**name)?;
        object.put("size_mb", size_mb)?;
        object.maybe("description", description.as_deref())?;
        object.end()
    }
}

impl Serialize for Part<'_, Service> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Service { name, protocol, ports, description } = self.0;
        let mut object = object(serializer)?;
        object.put("name", &**name)?;
        object.put("protocol", protocol.as_str())?;
        object.put("ports", ports)?;
        object.maybe("description", description.as_deref())?;
        object.end()
    }
}

impl Serialize for Part<'_, Component> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Component { name, manufacturer, part_id, serial, description } = self.0;
        let mut object = object(serializer)?;
        object.put("name", &**name)?;
        object.maybe("manufacturer", manufacturer.as_deref())?;
        object.maybe("part_id", part_id.as_deref())?;
        object.maybe("serial", serial.as_deref())?;
        object.maybe("description", description.as_deref())?;
        object.end()
    }
}

impl Serialize for Part<'_, Cluster> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Cluster { key, name, kind, site } = self.0;
        let mut object = object(serializer)?;
        object.put("key", key.as_str())?;
        object.put("name", &**name)?;
        object.put("kind", &**kind)?;
        object.maybe("site", site.as_deref())?;
        object.end()
    }
}

impl Serialize for Part<'_, Prefix> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Prefix { net, vlan, description } = self.0;
        let mut object = object(serializer)?;
        object.put("net", &net.to_string())?;
        object.maybe("vlan", *vlan)?;
        object.maybe("description", description.as_deref())?;
        object.end()
    }
}

impl Serialize for Part<'_, Vlan> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Vlan { vid, name, description } = self.0;
        let mut object = object(serializer)?;
        object.put("vid", vid)?;
        object.maybe("name", name.as_deref())?;
        object.maybe("description", description.as_deref())?;
        object.end()
    }
}

impl Serialize for Part<'_, IpRange> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let IpRange { start, end, prefix_len, description } = self.0;
        let mut object = object(serializer)?;
        object.put("start", &start.to_string())?;
        object.put("end", &end.to_string())?;
        object.put("prefix_len", prefix_len)?;
        object.maybe("description", description.as_deref())?;
        object.end()
    }
}
