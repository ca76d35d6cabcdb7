//! What a person decides: where new things belong, who owns a field, when
//! something counts as gone, how much one run may change, whom to believe.
//!
//! Plain values. They are read from a file elsewhere and are right from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::identity::Identifier;
use super::name::{InstanceName, SourceName};
use super::object::{Field, Kind};
use super::observation::{Authority, HostAttribute, InterfaceAttribute};
use super::rules::Rules;
use super::words::words;

/// Everything that steers what a run makes of what it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// This agent's name; it stands in every object that the agent makes.
    pub instance: InstanceName,
    /// The tag that every object of the agent carries, but for parts of hosts.
    pub tag: Arc<str>,
    /// Whether parts of hosts carry the tag too. What says that the agent made them stands
    /// in their custom fields at any rate, and a tag costs NetBox as much as the object.
    pub tag_parts: bool,
    /// Values for new objects where nothing else says so.
    pub defaults: Defaults,
    /// Where things belong, by what is known of them.
    pub rules: Rules,
    /// Makers' names and what else they are called, besides those that the agent knows itself.
    pub manufacturers: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Who owns a field.
    pub ownership: Ownership,
    /// When something counts as gone, and what becomes of it.
    pub absence: Absence,
    /// How much one run may change.
    pub guard: Guard,
    /// Whom to believe when sources disagree, where it differs from the agent's own order.
    pub ranking: Ranking,
    /// What a person has decided about identity.
    pub binds: Vec<Bind>,
}

impl Policy {
    /// The agent's own policy: what holds where a person decides nothing.
    #[must_use]
    pub fn of(instance: InstanceName) -> Self {
        Policy {
            instance,
            tag: "netbox-agent".into(),
            tag_parts: false,
            defaults: Defaults::default(),
            rules: Rules::default(),
            manufacturers: BTreeMap::new(),
            ownership: Ownership::default(),
            absence: Absence::default(),
            guard: Guard::default(),
            ranking: Ranking::default(),
            binds: Vec::new(),
        }
    }
}

/// Values for new objects. They fill what no source and no rule says, and never replace anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The site.
    pub site: Arc<str>,
    /// The location within the site, outermost first, parts separated by ` / `.
    pub location: Option<Arc<str>>,
    /// The tenant.
    pub tenant: Option<Arc<str>>,
    /// The VRF of addresses and prefixes; none is the global table.
    pub vrf: Option<Arc<str>>,
    /// The role of a device.
    pub role: Arc<str>,
    /// The role of a virtual machine.
    pub vm_role: Arc<str>,
    /// The role of a container.
    pub container_role: Arc<str>,
    /// The maker of a device of which none is known.
    pub manufacturer: Arc<str>,
    /// The model of a device of which none is known.
    pub model: Arc<str>,
    /// Tags besides the agent's own.
    pub tags: BTreeSet<Arc<str>>,
    /// What becomes of a host that merely answered and whose MAC address is known.
    pub seen_with_mac: Standing,
    /// The group that new VLANs are put into; none is their site.
    pub vlan_group: Option<Arc<str>>,
    /// What becomes of a host that merely answered from beyond a router, or from a
    /// MAC address that software made up, such as a phone's random one.
    pub seen_without_mac: Standing,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults {
            site: "Main".into(),
            location: None,
            tenant: None,
            vrf: None,
            role: "Unknown".into(),
            vm_role: "VM".into(),
            container_role: "Container".into(),
            manufacturer: "Unknown".into(),
            model: "Unknown".into(),
            tags: BTreeSet::new(),
            seen_with_mac: Standing::Device,
            vlan_group: None,
            seen_without_mac: Standing::Address,
        }
    }
}

words! {
    /// What is made of a host that was merely seen on the network and belongs to nothing known.
    pub enum Standing ("way to keep a host") {
        /// A device with an interface and its addresses.
        Device = "device",
        /// Its addresses alone.
        Address = "address",
        /// Nothing.
        Nothing = "nothing",
    }
}

words! {
    /// Who may write a field.
    pub enum Owner ("ownership policy") {
        /// Agent and person share it: the agent writes what is blank or still holds what
        /// it wrote last, and keeps what a person changed.
        Cooperative = "cooperative",
        /// The agent fills the field once and leaves it alone from then on.
        FillOnly = "fill-only",
        /// The agent's: what a person writes there is replaced.
        Agent = "agent",
    }
}

/// Who owns which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The policy of fields that are not named.
    pub policy: Owner,
    /// The policy of one field: of one kind, or of every kind that has it.
    pub fields: BTreeMap<(Option<Kind>, Field), Owner>,
}

impl Default for Ownership {
    fn default() -> Self {
        Ownership { policy: Owner::Cooperative, fields: BTreeMap::new() }
    }
}

impl Ownership {
    /// Who owns a field: the most specific policy counts.
    #[must_use]
    pub fn of(&self, kind: Kind, field: Field) -> Owner {
        self.fields
            .get(&(Some(kind), field))
            .or_else(|| self.fields.get(&(None, field)))
            .copied()
            .unwrap_or(self.policy)
    }
}

words! {
    /// What may be deleted once it was gone for the second grace.
    pub enum Deletion ("deletion policy") {
        /// Nothing: what is gone stays, with the status that says so.
        Never = "never",
        /// What belongs to a host (addresses, interfaces, disks, services), but not hosts.
        Parts = "parts",
        /// Everything that the agent made and that nobody else touched.
        All = "all",
    }
}

/// When something counts as gone, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// So many runs that covered its place must have missed it …
    pub grace_runs: u32,
    /// … and so long ago must it have been seen, before its status says that it is gone.
    pub grace_time: Duration,
    /// What may be deleted after the second grace.
    pub delete: Deletion,
    /// So many more covering runs …
    pub delete_grace_runs: u32,
    /// … and so much more time before it is deleted.
    pub delete_grace_time: Duration,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Default for Absence {
    fn default() -> Self {
        Absence {
            grace_runs: 3,
            grace_time: HOUR.saturating_mul(24),
            delete: Deletion::Never,
            delete_grace_runs: 10,
            delete_grace_time: HOUR.saturating_mul(24 * 30),
        }
    }
}

/// How much one run may change. A plan beyond any of these is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// New objects.
    pub max_creates: Limit,
    /// Objects whose status is set to say that they are gone.
    pub max_retires: Limit,
    /// Deletions.
    pub max_deletes: Limit,
    /// Addresses and MAC addresses that go to another interface.
    pub max_moves: Limit,
    /// Hosts that a source saw in its last run and misses now in what it covered.
    pub max_vanished: Limit,
}

impl Default for Guard {
    fn default() -> Self {
        let limit =
            |count, percent: u32| Limit { count: Some(count), share: Some(Share(percent * 100)) };
        Guard {
            max_creates: Limit { count: Some(50_000), share: None },
            max_retires: limit(10, 20),
            max_deletes: limit(10, 10),
            max_moves: limit(20, 20),
            max_vanished: limit(5, 50),
        }
    }
}

/// A part of a whole, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(pub u32);

/// An upper bound: a number, a share of the objects that the agent knows of, or
/// both; where both are given, only what exceeds both is too much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// The number.
    pub count: Option<u64>,
    /// The share.
    pub share: Option<Share>,
}

impl Limit {
    /// No bound.
    pub const NONE: Limit = Limit { count: None, share: None };

    /// How many of so many are allowed; none is any number.
    #[must_use]
    pub fn allowance(self, total: u64) -> Option<u64> {
        let part =
            self.share.map(|Share(hundredths)| u128::from(total) * u128::from(hundredths) / 10_000);
        let part = part.map(|part| u64::try_from(part).unwrap_or(u64::MAX));
        match (self.count, part) {
            (Some(count), Some(part)) => Some(count.max(part)),
            (one, other) => one.or(other),
        }
    }

    /// Whether so many of so many are allowed.
    #[must_use]
    pub fn allows(self, number: u64, total: u64) -> bool {
        self.allowance(total).is_none_or(|most| number <= most)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", super::value::Decimal(i64::from(self.0)))
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.count, self.share) {
            (Some(count), Some(share)) => write!(f, "{count} or {share}"),
            (Some(count), None) => write!(f, "{count}"),
            (None, Some(share)) => write!(f, "{share}"),
            (None, None) => f.write_str("unlimited"),
        }
    }
}

/// Whom to believe, most trusted first. Only attributes that are named differ from
/// the agent's own order; positions that a list leaves out come after those it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Attributes of hosts.
    pub host: BTreeMap<HostAttribute, Vec<Witness>>,
    /// Attributes of interfaces.
    pub interface: BTreeMap<InterfaceAttribute, Vec<Witness>>,
}

/// One who states facts: a position, or one configured source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// Every source that knows from this position.
    Position(Authority),
    /// One source, whatever its position.
    Source(SourceName),
}

/// A person's decision about identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bind {
    /// Whatever carries any of these is one thing.
    Join(BTreeSet<Identifier>),
    /// What carries one of these is never one thing with what carries another. One alone
    /// is no evidence of anything: many things carry it.
    Split(BTreeSet<Identifier>),
    /// These names, in lower case, are names of one thing: where one stands and another
    /// is seen, they match. On their own they join nothing.
    Alias(BTreeSet<Arc<str>>),
}

impl std::fmt::Display for Bind {
    /// As the configuration has it below `[[bind]]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, entries): (&str, Vec<String>) = match self {
            Bind::Join(all) => ("join", all.iter().map(ToString::to_string).collect()),
            Bind::Split(all) => ("split", all.iter().map(ToString::to_string).collect()),
            Bind::Alias(all) => ("alias", all.iter().map(ToString::to_string).collect()),
        };
        write!(f, "{word} = {entries:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_with_both_bounds_refuses_only_what_exceeds_both() {
        let limit = Limit { count: Some(10), share: Some(Share(2_000)) };
        assert!(limit.allows(10, 12), "few of few");
        assert!(!limit.allows(11, 12));
        assert!(limit.allows(200, 1_000), "a small part of many");
        assert!(!limit.allows(201, 1_000));
        assert!(Limit::NONE.allows(u64::MAX, 0));
        assert!(!Limit { count: Some(0), share: None }.allows(1, 1_000));
        assert_eq!(limit.to_string(), "10 or 20%");
    }

    #[test]
    fn the_most_specific_policy_owns_a_field() {
        let ownership = Ownership {
            policy: Owner::Cooperative,
            fields: [
                ((None, Field::Name), Owner::FillOnly),
                ((Some(Kind::VirtualMachine), Field::Name), Owner::Agent),
            ]
            .into(),
        };
        assert_eq!(ownership.of(Kind::Device, Field::Status), Owner::Cooperative);
        assert_eq!(ownership.of(Kind::Device, Field::Name), Owner::FillOnly);
        assert_eq!(ownership.of(Kind::VirtualMachine, Field::Name), Owner::Agent);
    }
}
