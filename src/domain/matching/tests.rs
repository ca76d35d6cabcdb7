//! What stands is found by evidence of the same grades that join what is seen.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::domain::coverage::Coverage;
use crate::domain::merge::merge;
use crate::domain::object::ObjectRef;
use crate::domain::observation::{
    Address, Authority, Host, HostAttribute, Interface, Observation, Segment, Thing,
};
use crate::domain::value::{SmallMap, Value};
use crate::domain::world::Live;

/// Devices that stand, and hosts that answer.
struct Stage {
    world: World,
    policy: Policy,
    seen: Vec<Observation>,
}

impl Stage {
    fn new() -> Self {
        let policy = Policy::of("test".parse().unwrap());
        Stage { world: World::default(), policy, seen: Vec::new() }
    }

    fn object(&mut self, kind: Kind, id: u64, fields: &[(Field, Value)]) {
        let fields: SmallMap<Field, Value> = fields.iter().cloned().collect();
        self.world.insert(Live { kind, id, fields, stamp: None });
    }

    /// A device of a site, with a MAC address on its one interface where it has one.
    fn device(mut self, id: u64, name: &str, site: &str, mac: Option<&str>) -> Self {
        let place = if site == "Main" { 1 } else { 2 };
        self.object(Kind::Site, place, &[(Field::Name, Value::text(site))]);
        let at = Value::Ref(ObjectRef::Live(Kind::Site, place));
        self.object(Kind::Device, id, &[(Field::Name, Value::text(name)), (Field::Site, at)]);
        if let Some(mac) = mac {
            let on = Value::Ref(ObjectRef::Live(Kind::Device, id));
            let fields = [(Field::Device, on), (Field::MacAddress, Value::text(mac))];
            self.object(Kind::Interface, id, &fields);
        }
        self
    }

    fn host(mut self, name: &str, mac: &str, site: Option<&str>, authority: Authority) -> Self {
        let mut host = Host::default();
        host.facts.text(HostAttribute::Name, name);
        host.facts.text(HostAttribute::Site, site.unwrap_or(""));
        host.interfaces.push(Interface {
            mac: Some(mac.parse().unwrap()),
            addresses: vec![Address::bare("192.0.2.7".parse().unwrap())],
            ..Interface::default()
        });
        self.seen.push(Observation {
            source: "lab".parse().unwrap(),
            at: Timestamp::from_second(1_000_000).unwrap(),
            authority,
            evidence: "test".into(),
            segment: Segment::named(mac),
            thing: Thing::Host(Box::new(host)),
        });
        self
    }

    fn matched(&self) -> Matches {
        let inventory = merge(self.seen.clone(), &self.policy.ranking, &self.policy.binds);
        let covered = Covered::new(Vec::<Coverage>::new());
        match_hosts(&inventory, &self.world, &Memory::default(), &covered, &self.policy)
    }

    /// The ids of what stands for each host, in the order of their MAC addresses.
    fn ids(&self) -> Vec<Option<u64>> {
        let matched = self.matched();
        (0..self.seen.len()).map(|place| matched.standing(place).map(|(_, id)| id)).collect()
    }

    fn codes(&self) -> Vec<&'static str> {
        self.matched().ambiguities.iter().map(|one| one.code).collect()
    }
}

const A: &str = "00:1b:21:00:00:01";
const B: &str = "00:1b:21:00:00:02";

#[test]
fn a_name_counts_within_the_site_where_the_host_is_known_to_stand() {
    let both = || Stage::new().device(1, "sw", "Main", None).device(2, "sw", "Branch", None);
    let host = |stage: Stage, site| stage.host("sw", A, site, Authority::Own);
    assert_eq!(host(both(), Some("Branch")).ids(), [Some(2)]);
    assert_eq!(host(both(), None).ids(), [Some(1)], "the default site is the nearest");
    let one = Stage::new().device(1, "sw", "Main", None);
    assert_eq!(host(one, Some("Branch")).ids(), [None], "that is another switch");
}

#[test]
fn names_match_across_what_dns_cannot_hold_and_not_across_domains() {
    for (stands, seen, matches) in [
        ("paperless_ngx", "Paperless-NGX", true),
        ("Living room TV", "living-room-tv", true),
        ("nas.example.net", "nas", true),
        ("nas", "nas.example.net", true),
        ("www.a.example", "www.b.example", false),
        ("localhost", "localhost", false),
    ] {
        let stage = Stage::new().device(1, stands, "Main", None);
        let found = stage.host(seen, A, None, Authority::Own).ids();
        assert_eq!(found, [matches.then_some(1)], "{stands} and {seen}");
    }
    let twins = Stage::new().device(1, "a_b", "Main", None).device(2, "a-b", "Main", None);
    assert_eq!(twins.host("a-b", A, None, Authority::Own).ids(), [Some(2)]);
}

#[test]
fn one_object_for_two_hosts_of_its_name_is_neithers() {
    let stage = Stage::new().device(1, "pi", "Main", None);
    let stage = stage.host("pi", A, None, Authority::Lease).host("pi", B, None, Authority::Lease);
    assert_eq!(stage.ids(), [None, None]);
    assert_eq!(stage.codes(), ["one_object_for_several"; 2]);
}

#[test]
fn of_two_objects_with_a_hosts_mac_address_the_name_tells() {
    let stage = || Stage::new().device(1, "dock", "Main", Some(A)).device(2, "pc", "Main", Some(A));
    assert_eq!(stage().host("pc", A, None, Authority::Lease).ids(), [Some(2)]);
    let nameless = stage().host("other", A, None, Authority::Lease);
    assert_eq!((nameless.ids(), nameless.codes()), (vec![None], vec!["several_objects"]));
}

#[test]
fn a_person_may_say_that_a_host_is_not_what_stands() {
    let mut stage = Stage::new().device(1, "pi", "Main", Some(A));
    stage = stage.host("pi", A, None, Authority::Lease);
    assert_eq!(stage.ids(), [Some(1)]);
    let sides = ["netbox:device/1", "mac:00:1b:21:00:00:01"];
    stage.policy.binds.push(Bind::Split(sides.map(|side| side.parse().unwrap()).into()));
    assert_eq!((stage.ids(), stage.codes()), (vec![None], vec![]));
}

#[test]
fn what_only_answers_with_a_mac_address_of_something_better_known_is_held() {
    // The registry's entry is the object by a bind rule, as it would be by memory.
    let mut stage = Stage::new().device(1, "node", "Main", Some(A));
    stage = stage.host("node", B, None, Authority::Own).host("", A, None, Authority::Wire);
    let sides = ["netbox:device/1", "mac:00:1b:21:00:00:02"];
    stage.policy.binds.push(Bind::Join(sides.map(|side| side.parse().unwrap()).into()));
    let matched = stage.matched();
    assert_eq!(stage.ids(), [None, Some(1)]);
    assert_eq!(stage.codes(), ["other_face"]);
    let held: Vec<&Arc<str>> = matched.held.values().collect();
    assert!(held[0].contains("another host is known to be"), "{held:?}");
}
