//! Which observations a person's `[[bind]]` rules are about.

use super::super::identity::{Identifier, name_key};
use super::super::observation::{Host, HostAttribute, Observation};

/// Whether an observation of a host carries an identifier, of whatever grade.
pub(super) fn carries(observation: &Observation, host: &Host, identifier: &Identifier) -> bool {
    match identifier {
        Identifier::Native(key) => host.key.as_ref() == Some(key) || host.aliases.contains(key),
        Identifier::Mac(mac) => host.interfaces.iter().any(|interface| interface.mac == Some(*mac)),
        Identifier::Address(segment, ip) => {
            observation.segment == *segment
                && host
                    .interfaces
                    .iter()
                    .flat_map(|interface| &interface.addresses)
                    .any(|a| a.ip == *ip)
        }
        Identifier::Name(name) => [HostAttribute::Name, HostAttribute::DnsName]
            .into_iter()
            .filter_map(|attribute| host.facts.get(&attribute).and_then(|value| value.as_text()))
            .any(|text| name_key(text) == *name),
        // Which observations an object of the sink stands for is decided when they are matched.
        Identifier::Object(..) => false,
        Identifier::Serial(_) | Identifier::Uuid(_) => {
            super::join::stated(host).any(|known| known == *identifier)
        }
    }
}
