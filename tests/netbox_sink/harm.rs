//! Whatever goes wrong on the way: everything lands once, and what cannot land says why.

use std::collections::BTreeMap;
use std::time::Duration;

use netbox_agent::domain::object::{Field, Kind, ObjectRef};
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::Action;
use netbox_agent::domain::value::Value;
use netbox_agent::domain::world::{Live, World};
use netbox_agent::netbox::NetBox;
use netbox_agent::progress::Silent;
use tokio_util::sync::CancellationToken;

use crate::lab::{Heard, Place, agent, apply, apply_whole, everything, everywhere, unique};
use crate::plans::{create, live, network, on, plan, planned, text};
use crate::proxy::{Mischief, Proxy, Rule};

/// How often each thing of a test stands, by what it is known by. Twins make a number of 2.
fn counted(world: &World, word: &str) -> BTreeMap<String, usize> {
    let site = world.of(Kind::Site).find(|live| live.name() == format!("{word}-site"));
    let site = site.map(|site| site.id);
    let device = |reference: &Value| match reference.as_ref() {
        Some(ObjectRef::Live(Kind::Device, id)) => world.get(Kind::Device, *id),
        Some(ObjectRef::Live(Kind::Interface, id)) => world
            .get(Kind::Interface, *id)
            .and_then(|interface| world.get(Kind::Device, interface.referenced(Field::Device)?)),
        _ => None,
    };
    let mut counts = BTreeMap::new();
    for live in world.iter() {
        let on = [Field::Device, Field::Parent, Field::AssignedObject]
            .into_iter()
            .find_map(|field| device(live.field(field)));
        let own = live.kind == Kind::Device && live.referenced(Field::Site) == site;
        let named = live.name().starts_with(word);
        let belongs = on.is_some_and(|device| device.referenced(Field::Site) == site);
        if own || named || (belongs && site.is_some()) {
            let place = on.map_or("", Live::name);
            *counts.entry(format!("{} {place} {}", live.kind, live.name())).or_insert(0) += 1;
        }
    }
    counts
}

fn assert_once(world: &World, word: &str, at_least: usize) {
    let counts = counted(world, word);
    let twins: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twins.is_empty(), "these stand more than once: {twins:?}");
    assert!(counts.len() >= at_least, "{} of {at_least}: {counts:#?}", counts.len());
}

async fn through(proxy: &Proxy, place: &Place, instance: &str) -> NetBox {
    agent(&Place { url: proxy.url(), token: place.token.clone() }, instance).await
}

#[tokio::test]
async fn one_poisoned_object_in_a_hundred_fails_alone_and_costs_few_requests() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let netbox = through(&proxy, &place, &word).await;
        let world = everything(&netbox).await;
        let mut poisoned = network(&word, 100, &world, &word);
        let bad = poisoned
            .changes
            .iter()
            .position(|change| change.kind == Kind::Device && change.label.ends_with("0042"))
            .unwrap();
        let mut status = poisoned.changes[bad].fields.get(&Field::Status).unwrap().clone();
        status.after = text("nonsense");
        poisoned.changes[bad].fields.insert(Field::Status, status);
        let outcomes = apply(&netbox, &poisoned).await;
        for (change, outcome) in poisoned.changes.iter().zip(&outcomes) {
            let own = change.label.ends_with("0042");
            match outcome {
                Outcome::Applied { .. } => assert!(!own, "{} {}", change.kind, change.label),
                Outcome::Failed { reason } => {
                    assert!(
                        own && change.kind == Kind::Device,
                        "{} {}: {reason}",
                        change.kind,
                        change.label
                    );
                    assert!(reason.contains("nonsense is not a valid choice"), "{reason}");
                }
                Outcome::Skipped { because } => {
                    assert!(own, "{} {}: {because}", change.kind, change.label);
                    assert!(because.contains("was not made"), "{because}");
                }
                other => panic!("{} {}: {other}", change.kind, change.label),
            }
        }
        let writes = proxy.count("POST") + proxy.count("PATCH");
        assert!(writes <= 50, "{writes} requests that write");
        assert_eq!(proxy.count("DELETE"), 0, "nothing is made that must be taken back");
        let world = everything(&netbox).await;
        let devices = world.of(Kind::Device).filter(|live| live.name().starts_with(&word)).count();
        assert_eq!(devices, 99);
        assert_once(&world, &word, 99 * 4);
    })
    .await;
}

#[tokio::test]
async fn answers_that_get_lost_or_refused_on_the_way_change_nothing_of_the_result() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let netbox = through(&proxy, &place, &word).await;
        let world = everything(&netbox).await;
        proxy.rules(&[
            Rule::any(Mischief::Answer(502), 7),
            Rule::any(Mischief::Answer(429), 9),
            Rule::writes(Mischief::CutAfterwards, 4),
            Rule::writes(Mischief::AnswerAfterwards(504), 6),
        ]);
        let network = network(&word, 60, &world, &word);
        apply_whole(&netbox, &network).await;
        assert!(proxy.struck() > 5, "the proxy struck {} times", proxy.struck());
        proxy.rules(&[]);
        assert_once(&everything(&netbox).await, &word, 60 * 4);
    })
    .await;
}

#[tokio::test]
async fn a_netbox_that_is_started_again_in_the_middle_is_waited_for() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let netbox = through(&proxy, &place, &word).await;
        let world = everything(&netbox).await;
        let network = network(&word, 40, &world, &word);
        let interruption = async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            proxy.away(true);
            tokio::time::sleep(Duration::from_secs(4)).await;
            proxy.away(false);
        };
        tokio::join!(apply_whole(&netbox, &network), interruption);
        assert_once(&everything(&netbox).await, &word, 40 * 4);
    })
    .await;
}

#[tokio::test]
async fn a_netbox_that_stays_away_ends_the_run_with_one_reason() {
    everywhere(async |place: Place| {
        let word = unique();
        let proxy = Proxy::before(&place.url).await;
        let netbox = through(&proxy, &place, &word).await.with_patience(Duration::from_secs(2));
        let world = everything(&netbox).await;
        let network = network(&word, 3, &world, &word);
        proxy.away(true);
        let outcomes = apply(&netbox, &network).await;
        let failed: Vec<&Outcome> =
            outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed { .. })).collect();
        let [Outcome::Failed { reason }] = failed[..] else { panic!("{failed:?}") };
        assert!(reason.starts_with("NetBox has not answered for "), "{reason}");
        assert!(outcomes.iter().filter(|outcome| **outcome == Outcome::NotReached).count() > 10);
    })
    .await;
}

#[tokio::test]
async fn a_run_that_is_cancelled_ends_between_requests_and_the_next_one_goes_on() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        let network = network(&word, 60, &world, &word);
        let cancel = CancellationToken::new();
        let journal = Heard::default();
        let later = async {
            while journal.said().made.len() < 20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            cancel.cancel();
        };
        let (outcomes, ()) =
            tokio::join!(netbox.apply(&network, &journal, &Silent, &cancel), later);
        assert!(outcomes.contains(&Outcome::NotReached));
        assert!(!outcomes.iter().any(|outcome| matches!(outcome, Outcome::Failed { .. })));
        // What the journal heard of is what stands.
        let world = everything(&netbox).await;
        for (kind, key, id) in &journal.said().made {
            assert!(world.get(*kind, *id).is_some(), "{key}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_somebody_changed_since_the_plan_was_made_is_left_alone() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 3, &world, &word)).await;
        let world = everything(&netbox).await;
        let device = |number: usize| {
            let name = format!("{word}-{number:04}");
            world.of(Kind::Device).find(|live| live.name() == name).unwrap()
        };
        // The plan is made; then a person works in NetBox.
        let planned = plan(vec![
            on(Action::Update, device(0), &[(Field::Serial, text("A"))]),
            on(Action::Update, device(1), &[(Field::Serial, text("B"))]),
            on(Action::Update, device(2), &[(Field::Serial, text("C"))]),
        ]);
        let person = agent(&place, "person").await;
        apply_whole(
            &person,
            &plan(vec![
                on(Action::Update, device(0), &[(Field::Serial, text("by hand"))]),
                on(Action::Update, device(1), &[(Field::Description, text("by hand"))]),
            ]),
        )
        .await;
        let outcomes = apply(&netbox, &planned).await;
        let Outcome::Skipped { because } = &outcomes[0] else { panic!("{}", outcomes[0]) };
        assert!(because.starts_with("its serial was changed since the plan was made"), "{because}");
        assert!(matches!(outcomes[1], Outcome::Applied { .. }), "{}", outcomes[1]);
        assert!(matches!(outcomes[2], Outcome::Applied { .. }), "{}", outcomes[2]);
        let after = everything(&netbox).await;
        let serial = |number: usize| {
            let stands = after.get(Kind::Device, device(number).id).unwrap();
            stands.field(Field::Serial).as_text().map(str::to_owned)
        };
        assert_eq!([serial(0), serial(1), serial(2)].map(Option::unwrap), ["by hand", "B", "C"]);
        let description = after.get(Kind::Device, device(1).id).unwrap().field(Field::Description);
        assert_eq!(description, &text("by hand"));
    })
    .await;
}

#[tokio::test]
async fn only_what_nobody_touched_is_deleted() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 3, &world, &word)).await;
        let world = everything(&netbox).await;
        let device = |number: usize| {
            let name = format!("{word}-{number:04}");
            world.of(Kind::Device).find(|live| live.name() == name).unwrap()
        };
        let gone = |stands: &Live| {
            let fields: Vec<(Field, Value)> =
                stands.fields.iter().map(|(field, _)| (*field, Value::Null)).collect();
            on(Action::Delete, stands, &fields)
        };
        let planned = plan(vec![gone(device(0)), gone(device(1)), gone(device(2))]);
        let person = agent(&place, "person").await;
        let touched = on(Action::Update, device(1), &[(Field::Comments, text("keep it"))]);
        apply_whole(&person, &plan(vec![touched])).await;
        apply_whole(&person, &plan(vec![gone(device(2))])).await;
        let outcomes = apply(&netbox, &planned).await;
        assert!(matches!(outcomes[0], Outcome::Applied { .. }), "{}", outcomes[0]);
        assert!(
            matches!(&outcomes[1], Outcome::Skipped { because } if because.contains("comments")),
            "{}",
            outcomes[1]
        );
        assert!(matches!(outcomes[2], Outcome::Applied { .. }), "gone already: {}", outcomes[2]);
        let after = everything(&netbox).await;
        let left: Vec<&str> =
            after.of(Kind::Device).map(Live::name).filter(|name| name.starts_with(&word)).collect();
        assert_eq!(left, [format!("{word}-0001")]);
    })
    .await;
}

#[tokio::test]
async fn an_address_moves_with_its_place_as_primary_and_comes_back_when_it_cannot() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 3, &world, &word)).await;
        let world = everything(&netbox).await;
        let find = |kind: Kind, number: usize| {
            let name = format!("{word}-{number:04}");
            let device = world.of(Kind::Device).find(|live| live.name() == name).unwrap();
            match kind {
                Kind::Device => device,
                Kind::Interface => world
                    .of(Kind::Interface)
                    .find(|live| live.referenced(Field::Device) == Some(device.id))
                    .unwrap(),
                _ => {
                    let primary = device.referenced(Field::PrimaryIp4).unwrap();
                    world.get(Kind::IpAddress, primary).unwrap()
                }
            }
        };
        let moved = |from: usize, to: u64| {
            let holder = find(Kind::Device, from);
            let mut change = on(
                Action::Move,
                find(Kind::IpAddress, from),
                &[(Field::AssignedObject, live(Kind::Interface, to))],
            );
            change.unseat = vec![netbox_agent::domain::plan::Seat {
                holder: ObjectRef::Live(Kind::Device, holder.id),
                label: holder.name().into(),
                field: Field::PrimaryIp4,
            }];
            change
        };
        let target = find(Kind::Interface, 2).id;
        let nowhere = 4_000_000;
        let addresses = [find(Kind::IpAddress, 0).id, find(Kind::IpAddress, 1).id];
        let devices = [find(Kind::Device, 0).id, find(Kind::Device, 1).id];
        let outcomes = apply(&netbox, &plan(vec![moved(0, target), moved(1, nowhere)])).await;
        assert!(matches!(outcomes[0], Outcome::Applied { .. }), "{}", outcomes[0]);
        assert!(matches!(outcomes[1], Outcome::Failed { .. }), "{}", outcomes[1]);
        let after = everything(&netbox).await;
        let on =
            |id: u64| after.get(Kind::IpAddress, id).unwrap().referenced(Field::AssignedObject);
        let primary = |id: u64| after.get(Kind::Device, id).unwrap().referenced(Field::PrimaryIp4);
        assert_eq!(on(addresses[0]), Some(target));
        assert_eq!(primary(devices[0]), None);
        assert_ne!(on(addresses[1]), Some(nowhere));
        assert_eq!(primary(devices[1]), Some(addresses[1]), "the place is filled again");
    })
    .await;
}

#[tokio::test]
async fn two_agents_at_once_leave_no_twins_and_neither_fails() {
    everywhere(async |place: Place| {
        let word = unique();
        let (one, other) = (format!("{word}-a"), format!("{word}-b"));
        let (first, second) = (agent(&place, &one).await, agent(&place, &other).await);
        let world = everything(&first).await;
        let (plan_one, plan_other) =
            (network(&word, 40, &world, &one), network(&word, 40, &world, &other));
        let (ends, others) = tokio::join!(apply(&first, &plan_one), apply(&second, &plan_other));
        for (change, outcome) in
            plan_one.changes.iter().zip(&ends).chain(plan_other.changes.iter().zip(&others))
        {
            assert!(outcome.is_applied(), "{} {}: {outcome}", change.kind, change.label);
        }
        let world = everything(&first).await;
        assert_once(&world, &word, 40 * 4);
        for ((change, mine), theirs) in plan_one.changes.iter().zip(&ends).zip(&others) {
            let stands = |end: &Outcome| world.get(change.kind, end.id().unwrap()).is_some();
            let what = format!("{} {}: {mine:?} {theirs:?}", change.kind, change.label);
            assert!(stands(mine) && stands(theirs), "{what}");
            assert_eq!(mine.id(), theirs.id(), "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_needs_something_that_failed_is_left_out_and_says_so() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        let mut all = network(&word, 2, &world, &word);
        // The address of the second host is none, so its device can have no primary one.
        for change in &mut all.changes {
            if change.kind == Kind::IpAddress && change.label.ends_with("0001") {
                let mut address = change.fields.get(&Field::Address).unwrap().clone();
                address.after = text("10.9.300.1/16");
                change.fields.insert(Field::Address, address);
            }
        }
        all.changes.push(create(
            Kind::Service,
            "orphan",
            &[
                (Field::Name, text("x")),
                (Field::Protocol, text("tcp")),
                (Field::Ports, Value::Ints([1].into())),
                (Field::Parent, planned(Kind::Device, "nobody")),
            ],
        ));
        let outcomes = apply(&netbox, &all).await;
        let of = |kind: Kind, end: &str| {
            let place = all
                .changes
                .iter()
                .position(|change| change.kind == kind && change.label.ends_with(end))
                .unwrap();
            outcomes[place].to_string()
        };
        assert_eq!(of(Kind::Device, "0000"), "applied");
        assert!(
            of(Kind::IpAddress, "0001").starts_with("failed: "),
            "{}",
            of(Kind::IpAddress, "0001")
        );
        let device = of(Kind::Device, "0001");
        assert!(
            device.starts_with("failed: written without its primary_ip4: IP address"),
            "{device}"
        );
        assert_eq!(of(Kind::Service, "orphan"), "skipped because nothing makes device:nobody");
    })
    .await;
}
