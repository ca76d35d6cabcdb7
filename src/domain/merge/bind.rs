//! What a person decided about identity: `[[bind]]` rules.

use std::collections::BTreeSet;

use super::super::identity::{Identifier, name_key};
use super::super::observation::{Host, HostAttribute, Observation};

/// What a rule does with the things that its identifiers name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// They are one thing, whatever contradicts it.
    Join,
    /// They are different things; an identifier that stands alone in a rule is no evidence.
    Split,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// What to do.
    pub verb: Verb,
    /// The identifiers of the things. A name or an address counts here: a person chose it.
    pub identifiers: BTreeSet<Identifier>,
}

/// Whether an observation of a host carries an identifier, of whatever grade.
pub(super) fn carries(observation: &Observation, host: &Host, identifier: &Identifier) -> bool {
    match identifier {
        Identifier::Native(key) => host.key.as_ref() == Some(key) || host.aliases.contains(key),
        Identifier::Mac(mac) => host.interfaces.iter().any(|interface| interface.mac == Some(*mac)),
        Identifier::Address(segment, ip) => {
            observation.segment.as_str() == &**segment
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
        Identifier::Serial(_) | Identifier::Uuid(_) => {
            super::join::stated(host).any(|known| known == *identifier)
        }
    }
}
