//! Who wins when sources disagree: an order of authorities per attribute, with
//! good defaults, that the configuration may change.

use std::collections::BTreeMap;

use super::name::SourceName;
use super::observation::{Authority, HostAttribute};

/// One place in an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Every source that speaks from this position.
    Authority(Authority),
    /// One source, whatever its position.
    Source(SourceName),
}

/// The orders in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Orders that a person configured. What an order does not name comes after it,
    /// in the default order.
    pub orders: BTreeMap<HostAttribute, Vec<Rank>>,
}

use Authority::{
    Configuration, Controller, Derived, Directory, Hypervisor, Lease, Own, Person, Wire,
};

/// What the thing says of itself comes first after what a person says.
const OF_ITSELF: [Authority; 9] =
    [Person, Own, Hypervisor, Controller, Configuration, Lease, Directory, Wire, Derived];

/// What the hypervisor decides comes first: it makes it so.
const OF_ITS_HOST: [Authority; 9] =
    [Person, Hypervisor, Own, Controller, Configuration, Lease, Directory, Wire, Derived];

/// Whether it runs: the hypervisor knows, and what answers is on.
const OF_STATUS: [Authority; 9] =
    [Person, Hypervisor, Own, Wire, Controller, Configuration, Lease, Directory, Derived];

impl Ranking {
    /// The default order of an attribute.
    #[must_use]
    pub const fn default_order(attribute: HostAttribute) -> &'static [Authority; 9] {
        match attribute {
            HostAttribute::Status => &OF_STATUS,
            HostAttribute::Name
            | HostAttribute::Vcpus
            | HostAttribute::Memory
            | HostAttribute::Disk
            | HostAttribute::Cluster
            | HostAttribute::RunsOn
            | HostAttribute::Role => &OF_ITS_HOST,
            _ => &OF_ITSELF,
        }
    }

    /// The place of a claim in the order of an attribute: smaller wins.
    #[must_use]
    pub fn place(
        &self,
        attribute: HostAttribute,
        authority: Authority,
        source: &SourceName,
    ) -> usize {
        let order = self.orders.get(&attribute).map_or(&[][..], Vec::as_slice);
        let configured = order.iter().position(|rank| match rank {
            Rank::Authority(named) => *named == authority,
            Rank::Source(named) => named == source,
        });
        configured.unwrap_or_else(|| order.len() + Ranking::default_place(attribute, authority))
    }

    fn default_place(attribute: HostAttribute, authority: Authority) -> usize {
        let order = Ranking::default_order(attribute);
        order.iter().position(|named| *named == authority).unwrap_or(order.len())
    }
}

/// The order for everything that is not a host's attribute: interfaces, disks, prefixes.
#[must_use]
pub fn part_place(authority: Authority) -> usize {
    OF_ITS_HOST.iter().position(|named| *named == authority).unwrap_or(OF_ITS_HOST.len())
}

/// The order in which claims to hold an address are believed: the thing itself,
/// then what answered, then what was configured or handed out.
#[must_use]
pub fn address_place(authority: Authority) -> usize {
    const ORDER: [Authority; 9] =
        [Own, Wire, Hypervisor, Lease, Controller, Person, Configuration, Directory, Derived];
    ORDER.iter().position(|named| *named == authority).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_order_comes_before_the_default_one() {
        let lab: SourceName = "lab".parse().unwrap();
        let ha: SourceName = "ha".parse().unwrap();
        let mut ranking = Ranking::default();
        let place = |ranking: &Ranking, authority, source| {
            ranking.place(HostAttribute::Name, authority, source)
        };
        assert!(place(&ranking, Hypervisor, &lab) < place(&ranking, Directory, &ha));
        ranking.orders.insert(
            HostAttribute::Name,
            vec![Rank::Source(ha.clone()), Rank::Authority(Directory)],
        );
        assert!(place(&ranking, Controller, &ha) < place(&ranking, Directory, &lab));
        assert!(place(&ranking, Directory, &lab) < place(&ranking, Person, &lab));
        assert!(place(&ranking, Person, &lab) < place(&ranking, Hypervisor, &lab));
    }
}
