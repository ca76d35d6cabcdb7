//! Who wins when sources disagree: an order of authorities per attribute, with
//! good defaults, that a person's [`Ranking`] may change.

use super::name::SourceName;
use super::observation::{Authority, HostAttribute, InterfaceAttribute};
use super::settings::{Ranking, Witness};

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

    /// The place of a claim about a host in the order of its attribute: smaller wins.
    #[must_use]
    pub fn of_host(
        &self,
        attribute: HostAttribute,
        authority: Authority,
        source: &SourceName,
    ) -> usize {
        let order = Ranking::default_order(attribute);
        place(self.host.get(&attribute), order, authority, source)
    }

    /// The place of a claim about an interface in the order of its attribute: smaller wins.
    #[must_use]
    pub fn of_interface(
        &self,
        attribute: InterfaceAttribute,
        authority: Authority,
        source: &SourceName,
    ) -> usize {
        place(self.interface.get(&attribute), &OF_ITS_HOST, authority, source)
    }
}

/// What a configured order does not name comes after it, in the default order.
fn place(
    configured: Option<&Vec<Witness>>,
    order: &[Authority],
    authority: Authority,
    source: &SourceName,
) -> usize {
    let configured = configured.map_or(&[][..], Vec::as_slice);
    let named = configured.iter().position(|witness| match witness {
        Witness::Position(position) => *position == authority,
        Witness::Source(name) => name == source,
    });
    let default = || order.iter().position(|named| *named == authority).unwrap_or(order.len());
    named.unwrap_or_else(|| configured.len() + default())
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
            ranking.of_host(HostAttribute::Name, authority, source)
        };
        assert!(place(&ranking, Hypervisor, &lab) < place(&ranking, Directory, &ha));
        ranking.host.insert(
            HostAttribute::Name,
            vec![Witness::Source(ha.clone()), Witness::Position(Directory)],
        );
        assert!(place(&ranking, Controller, &ha) < place(&ranking, Directory, &lab));
        assert!(place(&ranking, Directory, &lab) < place(&ranking, Person, &lab));
        assert!(place(&ranking, Person, &lab) < place(&ranking, Hypervisor, &lab));
    }
}
