//! Of many hosts only the parts of those are read that a run can touch.

use std::collections::BTreeSet;

use netbox_agent::domain::object::{Field, Kind, ObjectRef};
use netbox_agent::domain::scope::{PARTS, Scope, host_of};
use netbox_agent::domain::value::Value;
use netbox_agent::domain::world::{Live, World};

use crate::lab::{Place, agent, apply_whole, everything, everywhere, unique};
use crate::plans::{create, network, plan};

fn all_parts() -> BTreeSet<Kind> {
    PARTS.iter().map(|(part, _)| *part).collect()
}

/// The device of a network with a number.
fn device<'w>(world: &'w World, word: &str, number: u32) -> &'w Live {
    let name = format!("{word}-{number:04}");
    world.of(Kind::Device).find(|live| live.name() == name).unwrap()
}

fn interface_of<'w>(world: &'w World, device: &Live) -> &'w Live {
    let on_it = |live: &&Live| live.referenced(Field::Device) == Some(device.id);
    world.of(Kind::Interface).find(on_it).unwrap()
}

#[tokio::test]
async fn the_parts_of_a_few_hosts_are_read_by_whatever_leads_to_them() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 120, &world, &word)).await;
        let world = everything(&netbox).await;
        let end = |number: u32| {
            let interface = interface_of(&world, device(&world, &word, number)).id;
            Value::Refs([ObjectRef::Live(Kind::Interface, interface)].into())
        };
        let ends = [(Field::ATerminations, end(3)), (Field::BTerminations, end(4))];
        apply_whole(&netbox, &plan(vec![create(Kind::Cable, "cable", &ends)])).await;
        let world = everything(&netbox).await;
        let has_macs = world.supported.contains(&Kind::MacAddress);

        let by_id: Vec<&Live> = (3..6).map(|number| device(&world, &word, number)).collect();
        let by_interface = device(&world, &word, 77);
        let by_mac = device(&world, &word, 99);
        let mac = "00:1b:21:00:00:63".parse().unwrap();
        let gone = (Kind::Device, u64::from(u32::MAX));
        let scope = Scope {
            hosts: by_id.iter().map(|live| (live.kind, live.id)).chain([gone]).collect(),
            interfaces: [(Kind::Interface, interface_of(&world, by_interface).id)].into(),
            macs: [mac].into(),
        };
        let before = netbox.requests();
        let mut kinds = all_parts();
        kinds.insert(Kind::Cable);
        let parts = netbox.parts(&kinds, scope, &world).await.unwrap();
        assert!(netbox.requests() - before <= 10, "{}", netbox.requests() - before);

        // Of the few virtual machines that others keep, all may be read.
        let of_devices = || {
            let hosts = parts.iter().map(|part| (part, host_of(part)));
            hosts.filter_map(|(part, host)| Some((part, host.filter(|of| of.0 == Kind::Device)?.1)))
        };
        let read: BTreeSet<u64> = of_devices().map(|(_, id)| id).collect();
        let mut wanted: BTreeSet<u64> = by_id.iter().map(|live| live.id).collect();
        wanted.insert(by_interface.id);
        if !has_macs {
            // Where MAC addresses are objects, they lead to their interfaces.
            wanted.insert(by_mac.id);
        } else if read.contains(&by_mac.id) {
            panic!("a MAC address was asked for that is an object of its own");
        }
        assert_eq!(read, wanted);
        for (part, _) in of_devices() {
            assert_eq!(Some(part), world.get(part.kind, part.id));
        }
        assert_eq!(parts.of(Kind::Interface).count(), wanted.len());
        let later = everything(&netbox).await;
        for cable in world.of(Kind::Cable).filter(|cable| later.get(cable.kind, cable.id).is_some())
        {
            assert!(parts.get(cable.kind, cable.id).is_some(), "{}", cable.id);
        }
        for kind in kinds {
            assert!(parts.read.contains(&kind), "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn where_few_hosts_stand_all_parts_are_read_whoever_is_concerned() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 12, &world, &word)).await;
        let world = everything(&netbox).await;
        if world.of(Kind::Device).count() > 50 {
            return eprintln!("SKIPPED: this NetBox holds more than 50 devices of others");
        }
        let one = device(&world, &word, 3);
        let scope = Scope { hosts: [(one.kind, one.id)].into(), ..Scope::default() };
        let parts = netbox.parts(&all_parts(), scope, &world).await.unwrap();
        assert!(parts.of(Kind::Interface).count() >= 12);
        for kind in [Kind::Interface, Kind::InventoryItem] {
            assert_eq!(parts.of(kind).count(), world.of(kind).count(), "{kind}");
        }
    })
    .await;
}

#[tokio::test]
async fn where_most_hosts_are_concerned_all_parts_are_read_in_few_requests() {
    everywhere(async |place: Place| {
        let word = unique();
        let netbox = agent(&place, &word).await;
        let world = everything(&netbox).await;
        apply_whole(&netbox, &network(&word, 60, &world, &word)).await;
        let world = everything(&netbox).await;
        let hosts = [Kind::Device, Kind::VirtualMachine];
        let most = hosts.iter().flat_map(|kind| {
            let two_of_three = world.of(*kind).enumerate().filter(|(place, _)| place % 3 > 0);
            two_of_three.map(|(_, live)| (live.kind, live.id))
        });
        let scope = Scope { hosts: most.collect(), ..Scope::default() };
        let parts = netbox.parts(&all_parts(), scope, &world).await.unwrap();
        // Of its own all must be there; what others keep may change meanwhile.
        for number in 0..60 {
            let own = interface_of(&world, device(&world, &word, number));
            assert_eq!(parts.get(own.kind, own.id), Some(own));
        }
        // One page for a thousand interfaces, and none for the parts of hosts that are not there.
        let before = netbox.requests();
        let none = netbox.parts(&all_parts(), Scope::default(), &World::default()).await.unwrap();
        assert!(none.is_empty());
        assert_eq!(netbox.requests(), before);
    })
    .await;
}
