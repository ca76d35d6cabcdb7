//! Mapping rules: where a thing belongs, by what is known of it.
//!
//! A rule holds when all of its conditions hold; a condition that lists several
//! values holds when one of them does. For each thing that rules can set, the
//! first rule that holds and sets it decides; tags of all rules that hold add up.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

use super::mac::MacAddr;
use super::name::SourceName;
use super::observation::Segment;
use super::pattern::Pattern;
use super::settings::Standing;
use super::words::words;

words! {
    /// What a rule can be about.
    pub enum Target ("kind of thing") {
        /// A machine that can be touched.
        Device = "device",
        /// A virtual machine.
        VirtualMachine = "virtual_machine",
        /// A container.
        Container = "container",
        /// A cluster of hypervisors.
        Cluster = "cluster",
        /// A subnet.
        Prefix = "prefix",
        /// A VLAN.
        Vlan = "vlan",
        /// A range of addresses.
        IpRange = "ip_range",
        /// An address that belongs to no host.
        Address = "address",
    }
}

/// The first octets of MAC addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MacPrefix {
    octets: [u8; 6],
    length: usize,
}

/// A text that is not the beginning of a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the beginning of a MAC address: expected one to six octets such as bc:24:11")]
pub struct NotAMacPrefix(String);

impl MacPrefix {
    /// Whether an address begins so.
    #[must_use]
    pub fn begins(&self, mac: MacAddr) -> bool {
        mac.0[..self.length] == self.octets[..self.length]
    }
}

impl FromStr for MacPrefix {
    type Err = NotAMacPrefix;

    fn from_str(text: &str) -> Result<Self, NotAMacPrefix> {
        let refuse = || NotAMacPrefix(super::name::visible(text, 40));
        let parts: Vec<&str> = text.trim().split([':', '-']).collect();
        let mut octets = [0; 6];
        if parts.len() > octets.len() {
            return Err(refuse());
        }
        for (octet, part) in octets.iter_mut().zip(&parts) {
            if part.len() != 2 || !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(refuse());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| refuse())?;
        }
        Ok(MacPrefix { octets, length: parts.len() })
    }
}

impl fmt::Display for MacPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.octets[..self.length].iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

/// What must be so for a rule to hold. An empty list asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// What the thing is.
    pub kinds: BTreeSet<Target>,
    /// The sources that know of it.
    pub sources: BTreeSet<SourceName>,
    /// The networks in which one of its addresses lies, or that hold the prefix itself.
    pub subnets: Vec<IpNet>,
    /// The segments it was seen in.
    pub segments: BTreeSet<Segment>,
    /// Its name.
    pub names: Vec<Pattern>,
    /// One of its MAC addresses.
    pub macs: Vec<MacPrefix>,
    /// Its maker, or the vendor of one of its MAC addresses.
    pub vendors: Vec<Pattern>,
    /// The cluster it belongs to.
    pub clusters: Vec<Pattern>,
    /// The location that a source gives, such as an area of a smart home.
    pub locations: Vec<Pattern>,
    /// One of the tags that a source gives.
    pub tags: Vec<Pattern>,
}

/// What a rule sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The site.
    pub site: Option<Arc<str>>,
    /// The location within the site, outermost first, parts separated by ` / `.
    pub location: Option<Arc<str>>,
    /// The tenant.
    pub tenant: Option<Arc<str>>,
    /// The VRF of its addresses and prefixes.
    pub vrf: Option<Arc<str>>,
    /// The role.
    pub role: Option<Arc<str>>,
    /// What is made of a host that was merely seen on the network.
    pub keep: Option<Standing>,
    /// Tags besides the agent's own.
    pub tags: BTreeSet<Arc<str>>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What a person calls it.
    pub name: Arc<str>,
    /// What must be so.
    pub when: Conditions,
    /// What follows.
    pub set: Placement,
}

/// All rules, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

/// What is known of a thing that rules are asked about.
#[derive(Debug, Clone, Default)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: Option<Target>,
    /// The sources that know of it.
    pub sources: Vec<&'a SourceName>,
    /// Its addresses as networks of one address, or the prefix itself.
    pub nets: Vec<IpNet>,
    /// The segments it was seen in.
    pub segments: Vec<&'a Segment>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its MAC addresses.
    pub macs: Vec<MacAddr>,
    /// Its maker and the vendors of its MAC addresses.
    pub vendors: Vec<&'a str>,
    /// The name of the cluster it belongs to.
    pub cluster: Option<&'a str>,
    /// The location that a source gives.
    pub location: Option<&'a str>,
    /// The tags that sources give.
    pub tags: Vec<&'a str>,
}

/// What the rules say of a thing, each with the name of the rule that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The site.
    pub site: Option<Decided<'a, &'a Arc<str>>>,
    /// The location within the site.
    pub location: Option<Decided<'a, &'a Arc<str>>>,
    /// The tenant.
    pub tenant: Option<Decided<'a, &'a Arc<str>>>,
    /// The VRF.
    pub vrf: Option<Decided<'a, &'a Arc<str>>>,
    /// The role.
    pub role: Option<Decided<'a, &'a Arc<str>>>,
    /// What is made of a host that was merely seen.
    pub keep: Option<Decided<'a, Standing>>,
    /// The tags, each with the first rule that gives it.
    pub tags: Vec<Decided<'a, &'a Arc<str>>>,
}

/// A value and the rule that set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided<'a, T> {
    /// The value.
    pub value: T,
    /// The rule's name.
    pub rule: &'a Arc<str>,
}

impl Rules {
    /// What the rules say of a thing.
    #[must_use]
    pub fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        let mut decision = Decision::default();
        for rule in self.0.iter().filter(|rule| rule.when.hold(subject)) {
            let set = &rule.set;
            let by = &rule.name;
            decide(&mut decision.site, set.site.as_ref(), by);
            decide(&mut decision.location, set.location.as_ref(), by);
            decide(&mut decision.tenant, set.tenant.as_ref(), by);
            decide(&mut decision.vrf, set.vrf.as_ref(), by);
            decide(&mut decision.role, set.role.as_ref(), by);
            decide(&mut decision.keep, set.keep, by);
            for tag in &set.tags {
                if decision.tags.iter().all(|other| other.value != tag) {
                    decision.tags.push(Decided { value: tag, rule: by });
                }
            }
        }
        decision
    }
}

fn decide<'a, T>(place: &mut Option<Decided<'a, T>>, value: Option<T>, rule: &'a Arc<str>) {
    if place.is_none() {
        *place = value.map(|value| Decided { value, rule });
    }
}

impl Conditions {
    /// Whether all conditions hold for a thing.
    #[must_use]
    pub fn hold(&self, subject: &Subject<'_>) -> bool {
        asks_nothing_or(&self.kinds, |kinds| subject.kind.is_some_and(|kind| kinds.contains(&kind)))
            && asks_nothing_or(&self.sources, |sources| {
                subject.sources.iter().any(|name| sources.contains(*name))
            })
            && asks_nothing_or(&self.segments, |segments| {
                subject.segments.iter().any(|name| segments.contains(*name))
            })
            && (self.subnets.is_empty() || within(&self.subnets, &subject.nets))
            && (self.macs.is_empty()
                || any(&self.macs, &subject.macs, |prefix, mac| prefix.begins(*mac)))
            && fit(&self.names, subject.name.as_slice())
            && fit(&self.vendors, &subject.vendors)
            && fit(&self.clusters, subject.cluster.as_slice())
            && fit(&self.locations, subject.location.as_slice())
            && fit(&self.tags, &subject.tags)
    }

    /// Whether nothing is asked, so that the rule holds for everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Conditions::default()
    }
}

fn asks_nothing_or<T>(asked: &BTreeSet<T>, holds: impl FnOnce(&BTreeSet<T>) -> bool) -> bool {
    asked.is_empty() || holds(asked)
}

fn any<A, B>(asked: &[A], known: &[B], holds: impl Fn(&A, &B) -> bool) -> bool {
    asked.iter().any(|a| known.iter().any(|b| holds(a, b)))
}

fn within(asked: &[IpNet], known: &[IpNet]) -> bool {
    any(asked, known, |outer, inner| outer.contains(inner))
}

fn fit(asked: &[Pattern], known: &[&str]) -> bool {
    asked.is_empty() || any(asked, known, |pattern, text| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, when: Conditions, site: &str, tag: &str) -> Rule {
        Rule {
            name: name.into(),
            when,
            set: Placement {
                site: (!site.is_empty()).then(|| site.into()),
                tags: [tag.into()].into(),
                ..Placement::default()
            },
        }
    }

    #[test]
    fn the_first_rule_that_sets_something_decides_and_tags_add_up() {
        let cameras = Conditions {
            names: vec!["cam-*".parse().unwrap()],
            subnets: vec!["10.0.30.0/24".parse().unwrap()],
            ..Conditions::default()
        };
        let rules = Rules(vec![
            rule("tag all", Conditions::default(), "", "seen"),
            rule("cameras", cameras, "Garden", "camera"),
            rule("rest", Conditions::default(), "House", "seen"),
        ]);
        let mut subject = Subject {
            name: Some("CAM-3"),
            nets: vec!["10.0.30.7/32".parse().unwrap()],
            ..Subject::default()
        };
        let decision = rules.decide(&subject);
        let site = decision.site.unwrap();
        assert_eq!((&**site.value, &**site.rule), ("Garden", "cameras"));
        let tags: Vec<&str> = decision.tags.iter().map(|tag| &**tag.value).collect();
        assert_eq!(tags, ["seen", "camera"]);

        subject.nets = vec!["10.0.31.7/32".parse().unwrap()];
        let site = rules.decide(&subject).site.unwrap();
        assert_eq!(&**site.value, "House");
    }

    #[test]
    fn what_is_not_known_fulfils_no_condition() {
        let asks = |set: &dyn Fn(&mut Conditions)| {
            let mut conditions = Conditions::default();
            set(&mut conditions);
            conditions
        };
        let nothing_known = Subject::default();
        for conditions in [
            asks(&|c| c.kinds = [Target::Device].into()),
            asks(&|c| c.sources = ["lab".parse().unwrap()].into()),
            asks(&|c| c.segments = [Segment::named("lab")].into()),
            asks(&|c| c.subnets = vec!["::/0".parse().unwrap()]),
            asks(&|c| c.names = vec!["*".parse().unwrap()]),
            asks(&|c| c.macs = vec!["bc:24:11".parse().unwrap()]),
            asks(&|c| c.vendors = vec!["*".parse().unwrap()]),
            asks(&|c| c.clusters = vec!["*".parse().unwrap()]),
            asks(&|c| c.locations = vec!["*".parse().unwrap()]),
            asks(&|c| c.tags = vec!["*".parse().unwrap()]),
        ] {
            assert!(!conditions.hold(&nothing_known), "{conditions:?}");
        }
        assert!(Conditions::default().hold(&nothing_known));
    }

    #[test]
    fn the_beginning_of_a_mac_address_is_whole_octets() {
        let prefix: MacPrefix = "BC:24:11".parse().unwrap();
        assert_eq!(prefix.to_string(), "bc:24:11");
        assert!(prefix.begins("bc:24:11:00:00:01".parse().unwrap()));
        assert!(!prefix.begins("bc:24:12:00:00:01".parse().unwrap()));
        for text in ["", "b", "bc:2", "bc:24:11:00:00:01:02", "bc:+4"] {
            assert!(text.parse::<MacPrefix>().is_err(), "{text}");
        }
    }
}
