//! Interfaces and their primary MAC addresses, which refer to each other. Where NetBox
//! takes the address along as it makes the interface, nothing else is sent; and whatever
//! becomes of the interface, no address is left lying about.

use std::collections::BTreeSet;

use netbox_agent::domain::object::{Field, Kind, ObjectKey, ObjectRef};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Change, Plan, Step};
use netbox_agent::domain::value::Value;
use netbox_agent::domain::world::{Live, World};
use netbox_agent::journal::{Journal, JournalError};
use netbox_agent::netbox::{Connection, NetBox, Version};
use netbox_agent::progress::Silent;
use tokio_util::sync::CancellationToken;

use crate::lab::{
    Heard, Place, agent, apply, apply_whole, configuration, everything, everywhere, unique,
};
use crate::plans::{change, create, live, marked, network, plan, planned, text};
use crate::proxy::{Mischief, Proxy, Rule};

/// Whether a new interface takes its primary MAC address along.
fn takes_along(netbox: &NetBox) -> bool {
    netbox.version() >= Version { major: 4, minor: 4, patch: 2 }
}

fn macs_of<'w>(world: &'w World, instance: &str) -> Vec<&'w Live> {
    let own = |live: &&Live| live.field(Field::AgentInstance).as_text() == Some(instance);
    world.of(Kind::MacAddress).filter(own).collect()
}

/// Every MAC address of an agent is the primary one of the interface that it is on.
fn assert_in_place(world: &World, instance: &str, count: usize) {
    let macs = macs_of(world, instance);
    assert_eq!(macs.len(), count);
    for mac in macs {
        let Some(ObjectRef::Live(kind, id)) = mac.field(Field::AssignedObject).as_ref() else {
            panic!("{} is on nothing", mac.name());
        };
        let interface = world.get(*kind, *id).unwrap();
        assert_eq!(interface.referenced(Field::PrimaryMac), Some(mac.id));
    }
}

fn outcome<'o>(plan: &Plan, outcomes: &'o [Outcome], kind: Kind, end: &str) -> &'o Outcome {
    let is_it = |change: &Change| change.kind == kind && change.label.ends_with(end);
    &outcomes[plan.changes.iter().position(is_it).unwrap()]
}

/// A virtual machine with an interface and its MAC address.
fn guest(name: &str) -> Vec<Change> {
    vec![
        create(
            Kind::VirtualMachine,
            name,
            &[
                (Field::Name, text(name)),
                (Field::Status, text("active")),
                (Field::Site, planned(Kind::Site, "site")),
            ],
        ),
        create(
            Kind::VmInterface,
            name,
            &[
                (Field::Name, text("eth0")),
                (Field::VirtualMachine, planned(Kind::VirtualMachine, name)),
                (Field::PrimaryMac, planned(Kind::MacAddress, name)),
            ],
        ),
        create(
            Kind::MacAddress,
            name,
            &[
                (Field::MacAddress, text("02:00:5e:00:53:77")),
                (Field::AssignedObject, planned(Kind::VmInterface, name)),
            ],
        ),
    ]
}

#[tokio::test]
async fn a_new_interface_is_written_once_where_it_takes_its_mac_address_along() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let behind = Place { url: proxy.url(), token: place.token.clone() };
        let netbox = agent(&behind, &word).await;
        let world = everything(&netbox).await;
        if !world.supported.contains(&Kind::MacAddress) {
            return;
        }
        let mut changes = network(&word, 3, &world, &word).changes;
        changes.extend(marked(guest(&format!("{word}-guest")), &word));
        let all = plan(changes);
        let outcomes = apply_whole(&netbox, &all).await;
        let changed = proxy.count("PATCH /api/dcim/interfaces")
            + proxy.count("PATCH /api/virtualization/interfaces")
            + proxy.count("PATCH /api/dcim/mac-addresses");
        assert_eq!(changed > 0, !takes_along(&netbox), "{changed}");
        assert_in_place(&everything(&netbox).await, &word, 4);
        for end in ["0001", "guest"] {
            let mac = outcome(&all, &outcomes, Kind::MacAddress, end);
            let Outcome::Applied { settled, stamp, .. } = mac else { panic!("{mac}") };
            assert!(settled.get(&Field::AssignedObject).is_some() && stamp.is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn an_interface_that_is_refused_leaves_no_mac_address_behind() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        if !world.supported.contains(&Kind::MacAddress) {
            return;
        }
        let mut all = network(&word, 4, &world, &word);
        let is_bad =
            |change: &&mut Change| change.kind == Kind::Interface && change.label.ends_with("0002");
        let bad = all.changes.iter_mut().find(is_bad).unwrap();
        let mut kind = bad.fields.get(&Field::Type).unwrap().clone();
        kind.after = text("nonsense");
        bad.fields.insert(Field::Type, kind);
        let outcomes = apply(&netbox, &all).await;
        let of = |kind: Kind| outcome(&all, &outcomes, kind, "0002").to_string();
        assert!(of(Kind::Interface).contains("nonsense is not a valid choice"));
        let because = format!("skipped because interface {word}-0002 was not made");
        assert_eq!(of(Kind::MacAddress), because);
        assert_in_place(&everything(&netbox).await, &word, 3);
    })
    .await;
}

#[tokio::test]
async fn many_mac_addresses_are_taken_back_in_requests_that_are_no_longer_than_others() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let behind = Place { url: proxy.url(), token: place.token.clone() };
        let short = Connection { batch_size: 10, ..configuration(&behind) };
        let netbox = NetBox::connect(&short, &word.parse().unwrap()).await.unwrap();
        let world = everything(&netbox).await;
        if !takes_along(&netbox) {
            return;
        }
        let mut all = network(&word, 40, &world, &word);
        for change in all.changes.iter_mut().filter(|change| change.kind == Kind::Interface) {
            let mut kind = change.fields.get(&Field::Type).unwrap().clone();
            kind.after = text("nonsense");
            change.fields.insert(Field::Type, kind);
        }
        let outcomes = apply(&netbox, &all).await;
        let because = format!("skipped because interface {word}-0039 was not made");
        assert_eq!(outcome(&all, &outcomes, Kind::MacAddress, "0039").to_string(), because);
        assert!(macs_of(&everything(&netbox).await, &word).is_empty());
        assert_eq!(proxy.count("DELETE /api/dcim/mac-addresses"), 4);
    })
    .await;
}

#[tokio::test]
async fn who_comes_second_takes_the_first_ones_mac_addresses_and_his_own_back() {
    everywhere(async |place: Place| {
        let word = unique();
        let (one, other) = (format!("{word}-a"), format!("{word}-b"));
        let proxy = Proxy::before(&place.url).await;
        let behind = Place { url: proxy.url(), token: place.token.clone() };
        let (first, second) = (agent(&place, &one).await, agent(&behind, &other).await);
        let world = everything(&first).await;
        if !world.supported.contains(&Kind::MacAddress) {
            return;
        }
        let late = network(&word, 5, &world, &other);
        let early = network(&word, 5, &world, &one);
        let firsts = apply_whole(&first, &early).await;
        let seconds = apply(&second, &late).await;
        for ((change, mine), theirs) in late.changes.iter().zip(&seconds).zip(&firsts) {
            assert!(mine.is_applied(), "{} {}: {mine}", change.kind, change.label);
            assert_eq!(mine.id(), theirs.id(), "{} {}", change.kind, change.label);
        }
        let world = everything(&first).await;
        assert_in_place(&world, &one, 5);
        assert!(macs_of(&world, &other).is_empty());
        assert_eq!(proxy.count("PATCH /api/dcim/mac-addresses"), 0, "none beside another");
    })
    .await;
}

#[tokio::test]
async fn a_mac_address_goes_on_the_interface_that_somebody_else_made_without_one() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        if !world.supported.contains(&Kind::MacAddress) {
            return;
        }
        let all = network(&word, 2, &world, &word);
        // Somebody makes the same hosts, and knows nothing of MAC addresses.
        let bare = all.changes.iter().filter(|change| change.kind != Kind::MacAddress).cloned();
        let mut bare = plan(bare.collect());
        for change in &mut bare.changes {
            let fields = change.fields.iter().filter(|(field, _)| **field != Field::PrimaryMac);
            change.fields = fields.map(|(field, value)| (*field, value.clone())).collect();
        }
        let unmarked = |change: &mut Change| {
            let fields = change.fields.iter();
            let fields = fields.filter(|(field, _)| !field.is_mark());
            change.fields = fields.map(|(field, value)| (*field, value.clone())).collect();
        };
        bare.changes.iter_mut().for_each(unmarked);
        apply_whole(&netbox, &bare).await;
        let outcomes = apply(&netbox, &all).await;
        let interface = outcome(&all, &outcomes, Kind::Interface, "0001");
        assert!(matches!(interface, Outcome::Adopted { .. }), "{interface}");
        let mac = outcome(&all, &outcomes, Kind::MacAddress, "0001");
        assert!(matches!(mac, Outcome::Applied { .. }), "{mac}");
        let world = everything(&netbox).await;
        let macs = macs_of(&world, &word);
        assert_eq!(macs.len(), 2);
        let on: Vec<_> = macs.iter().map(|mac| mac.field(Field::AssignedObject)).collect();
        assert!(
            on.contains(&&Value::Ref(ObjectRef::Live(Kind::Interface, interface.id().unwrap())))
        );
    })
    .await;
}

/// What happens beside a run, just before steps are sent.
type Event<'t> = Box<dyn Fn(&Heard, &[(&Change, &Step)]) + Send + Sync + 't>;

/// A journal beside which something happens.
struct Beside<'t> {
    heard: Heard,
    event: Event<'t>,
    refused: BTreeSet<ObjectKey>,
}

impl<'t> Beside<'t> {
    fn of(event: impl Fn(&Heard, &[(&Change, &Step)]) + Send + Sync + 't) -> Self {
        Beside { heard: Heard::default(), event: Box::new(event), refused: BTreeSet::new() }
    }
}

impl Journal for Beside<'_> {
    fn refused(&self, _: &[Kind]) -> BTreeSet<ObjectKey> {
        self.refused.clone()
    }

    fn intend(&self, steps: &[(&Change, &Step)]) -> Result<(), JournalError> {
        (self.event)(&self.heard, steps);
        self.heard.intend(steps)
    }

    fn made(&self, kind: Kind, key: &ObjectKey, id: u64) -> Result<(), JournalError> {
        self.heard.made(kind, key, id)
    }

    fn settle(&self, index: usize, change: &Change, outcome: &Outcome) -> Result<(), JournalError> {
        self.heard.settle(index, change, outcome)
    }
}

fn makes(steps: &[(&Change, &Step)], kind: Kind, end: &str) -> bool {
    let is_it = |(change, step): &(&Change, &Step)| {
        change.kind == kind && step.creates && change.key.as_str().ends_with(end)
    };
    steps.iter().any(is_it)
}

/// What this run has made so far.
fn made(heard: &Heard, kind: Kind, end: &str) -> u64 {
    let made = heard.said().made.clone();
    made.iter().find(|made| made.0 == kind && made.1.as_str().ends_with(end)).unwrap().2
}

/// Somebody carries these changes out, in a thread of its own: a journal does not wait.
fn somebody(place: &Place, changes: Vec<Change>) {
    let place = place.clone();
    let act = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            apply_whole(&agent(&place, "somebody").await, &plan(changes)).await;
        });
    };
    std::thread::spawn(act).join().unwrap();
}

/// The change that puts a MAC address on an interface.
fn taking(mac: u64, interface: u64) -> Change {
    let to = [(Field::AssignedObject, live(Kind::Interface, interface))];
    Change { id: Some(mac), ..change(Action::Update, Kind::MacAddress, "taken", &to) }
}

#[tokio::test]
async fn before_an_interface_is_made_it_is_told_what_netbox_will_do_with_its_mac_address() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        if !takes_along(&netbox) {
            return;
        }
        let all = network(&word, 2, &everything(&netbox).await, &word);
        let cancel = CancellationToken::new();
        let journal = Beside::of(|_, steps| {
            if makes(steps, Kind::Interface, "") {
                cancel.cancel();
            }
        });
        let outcomes = netbox.apply(&all, &journal, &Silent, &cancel).await;
        let is_mac = |change: &Change| change.kind == Kind::MacAddress;
        let mac = all.changes.iter().position(is_mac).unwrap();
        let said = journal.heard.said();
        assert!(said.intended.contains(&(mac, true)), "it is about to be made");
        assert!(said.intended.contains(&(mac, false)), "it is about to be assigned");
        assert_eq!(outcomes[mac], Outcome::NotReached);
    })
    .await;
}

#[tokio::test]
async fn a_mac_address_that_somebody_has_taken_meanwhile_is_left_to_him() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        if !takes_along(&netbox) {
            return;
        }
        let ground = network(&unique(), 1, &everything(&netbox).await, "others");
        let standing = apply_whole(&netbox, &ground).await;
        let target = outcome(&ground, &standing, Kind::Interface, "0000").id().unwrap();
        let all = network(&word, 2, &everything(&netbox).await, &word);
        let journal = Beside::of(|heard, steps| {
            if makes(steps, Kind::Interface, "0001") {
                somebody(&place, vec![taking(made(heard, Kind::MacAddress, "0001"), target)]);
            }
        });
        let cancel = CancellationToken::new();
        let outcomes = netbox.apply(&all, &journal, &Silent, &cancel).await;
        let of = |kind: Kind| outcome(&all, &outcomes, kind, "0001").to_string();
        assert!(of(Kind::Interface).contains("is assigned to a different interface"));
        let left = of(Kind::MacAddress);
        assert!(left.starts_with("failed: written in part: interface"), "{left}");
        let world = everything(&netbox).await;
        let macs = macs_of(&world, &word);
        let on: Vec<_> = macs.iter().map(|mac| mac.referenced(Field::AssignedObject)).collect();
        assert!(on.len() == 2 && on.contains(&Some(target)), "{on:?}");
    })
    .await;
}

#[tokio::test]
async fn interfaces_of_one_mac_address_each_get_their_own_though_a_request_was_lost() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let behind = Place { url: proxy.url(), token: place.token.clone() };
        let one_by_one = Connection { batch_size: 1, ..configuration(&behind) };
        let netbox = NetBox::connect(&one_by_one, &word.parse().unwrap()).await.unwrap();
        let world = everything(&netbox).await;
        if !world.supported.contains(&Kind::MacAddress) {
            return;
        }
        let mut changes = network(&word, 1, &world, &word).changes;
        let (host, bridge) = (format!("{word}-0000"), format!("{word}-0000-br0"));
        let same = [
            create(
                Kind::Interface,
                &bridge,
                &[
                    (Field::Name, text("br0")),
                    (Field::Type, text("bridge")),
                    (Field::Device, planned(Kind::Device, &host)),
                    (Field::PrimaryMac, planned(Kind::MacAddress, &bridge)),
                ],
            ),
            create(
                Kind::MacAddress,
                &bridge,
                &[
                    (Field::MacAddress, text("00:1b:21:00:00:00")),
                    (Field::AssignedObject, planned(Kind::Interface, &bridge)),
                ],
            ),
        ];
        changes.extend(marked(same.to_vec(), &word));
        // Nothing else is sent while the MAC addresses are.
        changes.retain(|change| change.kind != Kind::Service);
        let all = plan(changes);
        let journal = Beside::of(|_, steps| {
            if makes(steps, Kind::MacAddress, "br0") {
                let mischief = Mischief::Answer(502);
                proxy.rules(&[Rule { mischief, methods: &["POST"], one_in: 1, times: 1 }]);
            }
        });
        let outcomes = netbox.apply(&all, &journal, &Silent, &CancellationToken::new()).await;
        assert_eq!(proxy.struck(), 1);
        for (change, outcome) in all.changes.iter().zip(&outcomes) {
            assert!(outcome.is_applied(), "{} {}: {outcome}", change.kind, change.label);
        }
        assert_in_place(&everything(&netbox).await, &word, 2);
    })
    .await;
}

#[tokio::test]
async fn for_an_interface_that_is_refused_again_and_again_nothing_is_written() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let behind = Place { url: proxy.url(), token: place.token.clone() };
        let netbox = agent(&behind, &word).await;
        if !takes_along(&netbox) {
            return;
        }
        let mut all = network(&word, 1, &everything(&netbox).await, &word);
        let interface =
            all.changes.iter_mut().find(|change| change.kind == Kind::Interface).unwrap();
        let mut kind = interface.fields.get(&Field::Type).unwrap().clone();
        kind.after = text("nonsense");
        interface.fields.insert(Field::Type, kind);
        let refused = [interface.key.clone()].into();
        let journal = Beside { refused, ..Beside::of(|_, _| {}) };
        netbox.apply(&all, &journal, &Silent, &CancellationToken::new()).await;
        assert_eq!(proxy.count("POST /api/dcim/mac-addresses"), 0);
        assert_eq!(proxy.count("DELETE"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_mac_address_that_somebody_has_put_elsewhere_is_not_taken_back_from_there() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        if !takes_along(&netbox) {
            return;
        }
        let ground = network(&unique(), 1, &everything(&netbox).await, "others");
        let standing = apply_whole(&netbox, &ground).await;
        let target = outcome(&ground, &standing, Kind::Interface, "0000").id().unwrap();
        let all = network(&word, 1, &everything(&netbox).await, &word);
        let journal = Beside::of(|heard, steps| {
            if makes(steps, Kind::Interface, "") {
                // He makes the interface himself, without a MAC address.
                let bare = [
                    (Field::Name, text("eth0")),
                    (Field::Type, text("other")),
                    (Field::Device, live(Kind::Device, made(heard, Kind::Device, "0000"))),
                ];
                let taken = taking(made(heard, Kind::MacAddress, "0000"), target);
                somebody(&place, vec![create(Kind::Interface, "bare", &bare), taken]);
            }
        });
        let outcomes = netbox.apply(&all, &journal, &Silent, &CancellationToken::new()).await;
        let left = outcome(&all, &outcomes, Kind::MacAddress, "0000").to_string();
        assert!(left.contains("its assigned_object was changed since the plan was made"), "{left}");
        let world = everything(&netbox).await;
        let macs = macs_of(&world, &word);
        assert_eq!(macs[0].referenced(Field::AssignedObject), Some(target));
    })
    .await;
}
