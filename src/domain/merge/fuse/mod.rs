//! Makes one host of many statements: every value with all its claims, every
//! interface once, every address on the interface that it belongs to.

mod interfaces;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::super::inventory::{
    Claim, Fact, Inventory, LoneAddress, MergedAddress, MergedComponent, MergedDisk, MergedHost,
    MergedService, Seen,
};
use super::super::mac::MacAddr;
use super::super::observation::{
    Address, Form, Host, HostAttribute, Observation, Protocol, Segment, Service,
};
use super::super::ranking::{address_place, part_place};
use super::super::settings::Ranking;
use super::super::value::{SmallMap, Value};
use super::attach::{Attached, host_key};
use super::join::{Group, host_of};
use super::own::{Holder, Owned, is_exclusive, is_host_address, outward};

pub(super) fn fuse(inventory: &mut Inventory, attached: Attached, ranking: &Ranking) {
    let Attached { hosts, lone, owned, verdicts, ambiguities } = attached;
    inventory.verdicts.extend(verdicts);
    inventory.ambiguities.extend(ambiguities);
    let mut merged: Vec<MergedHost> = hosts
        .into_iter()
        .enumerate()
        .map(|(index, group)| host(&inventory.observations, index, group, &owned, ranking))
        .collect();
    merged.sort_by(|a, b| a.key.cmp(&b.key));
    inventory.hosts = merged;
    inventory.addresses = lone_addresses(&inventory.observations, &lone, &owned, ranking);
}

fn host(
    observations: &[Observation],
    index: usize,
    group: Group,
    owned: &Owned,
    ranking: &Ranking,
) -> MergedHost {
    let stated: Vec<(Seen, &Observation, &Host)> = stated(observations, &group.seen);
    let holds = |segment: &Segment, address: &Address| {
        is_host_address(address.ip)
            && (!is_exclusive(address)
                || owned
                    .title(segment, address.ip)
                    .is_none_or(|title| title.holder == Some(Holder::Group(index))))
    };
    MergedHost {
        key: host_key(&group, observations),
        segment: stated
            .first()
            .map(|(_, observation, _)| observation.segment.clone())
            .unwrap_or_default(),
        form: form(&stated),
        facts: facts(&stated, ranking),
        interfaces: interfaces::interfaces(&stated, holds, ranking),
        disks: disks(&stated),
        services: services(&stated),
        components: components(&stated),
        complete: stated.iter().flat_map(|(_, _, host)| host.complete.iter().copied()).collect(),
        identifiers: group.identifiers,
        held: group.held,
        seen: group.seen,
    }
}

fn stated<'a>(
    observations: &'a [Observation],
    seen: &[Seen],
) -> Vec<(Seen, &'a Observation, &'a Host)> {
    seen.iter()
        .filter_map(|&seen| {
            let observation = &observations[seen as usize];
            host_of(observation).map(|host| (seen, observation, host))
        })
        .collect()
}

/// The form that the most believed source states.
fn form(stated: &[(Seen, &Observation, &Host)]) -> Option<Form> {
    stated
        .iter()
        .filter_map(|(_, observation, host)| {
            host.form.map(|form| (part_place(observation.authority), form))
        })
        .min()
        .map(|(_, form)| form)
}

fn facts(
    stated: &[(Seen, &Observation, &Host)],
    ranking: &Ranking,
) -> SmallMap<HostAttribute, Fact> {
    let mut claims: BTreeMap<HostAttribute, Vec<(Seen, &Observation, &Value)>> = BTreeMap::new();
    for &(seen, observation, host) in stated {
        for (attribute, value) in host.facts.iter() {
            claims.entry(*attribute).or_default().push((seen, observation, value));
        }
    }
    claims
        .into_iter()
        .filter_map(|(attribute, mut claims)| {
            claims.sort_by_key(|(_, observation, value)| {
                // Within one attribute: what is stated before what is stated to be empty, the
                // better position, one source after the other, the newest word of each.
                let place = ranking.of_host(attribute, observation.authority, &observation.source);
                (
                    **value == Value::Null,
                    place,
                    &observation.source,
                    Reverse(observation.at),
                    *value,
                )
            });
            if attribute == HostAttribute::Tags {
                return Fact::new(union(&claims)).map(|fact| (attribute, fact));
            }
            Fact::new(distinct(&claims)).map(|fact| (attribute, fact))
        })
        .collect()
}

/// Claims without repetitions of the same word by the same source.
fn distinct(claims: &[(Seen, &Observation, &Value)]) -> Vec<Claim> {
    let mut known: BTreeSet<(&str, &Value)> = BTreeSet::new();
    claims
        .iter()
        .filter(|(_, observation, value)| known.insert((observation.source.as_str(), *value)))
        .map(|&(seen, _, value)| Claim { value: value.clone(), seen })
        .collect()
}

/// Tags add up: the first claim is all of them together, the others say who gave which.
fn union(claims: &[(Seen, &Observation, &Value)]) -> Vec<Claim> {
    let mut claims = distinct(claims);
    let all: BTreeSet<Arc<str>> = claims
        .iter()
        .filter_map(|claim| match &claim.value {
            Value::Words(words) => Some(words.iter().cloned()),
            _ => None,
        })
        .flatten()
        .collect();
    if claims.len() > 1 {
        let seen = claims[0].seen;
        claims.insert(0, Claim { value: Value::Words(all), seen });
    }
    claims
}

fn disks(stated: &[(Seen, &Observation, &Host)]) -> Vec<MergedDisk> {
    let mut best: BTreeMap<Arc<str>, (usize, MergedDisk)> = BTreeMap::new();
    for (seen, observation, host) in stated {
        let place = part_place(observation.authority);
        for disk in &host.disks {
            let merged = MergedDisk {
                name: disk.name.clone(),
                size_mb: disk.size_mb,
                description: disk.description.clone(),
                seen: *seen,
            };
            keep_better(&mut best, disk.name.clone(), place, merged);
        }
    }
    best.into_values().map(|(_, disk)| disk).collect()
}

fn components(stated: &[(Seen, &Observation, &Host)]) -> Vec<MergedComponent> {
    let mut best: BTreeMap<Arc<str>, (usize, MergedComponent)> = BTreeMap::new();
    for (seen, observation, host) in stated {
        let place = part_place(observation.authority);
        for component in &host.components {
            let merged = MergedComponent { component: component.clone(), seen: *seen };
            keep_better(&mut best, component.name.clone(), place, merged);
        }
    }
    best.into_values().map(|(_, component)| component).collect()
}

fn keep_better<K: Ord, T>(best: &mut BTreeMap<K, (usize, T)>, key: K, place: usize, item: T) {
    if best.get(&key).is_none_or(|(known, _)| place < *known) {
        best.insert(key, (place, item));
    }
}

/// A port belongs to the service of the most believed source, so that what one calls
/// `http` and another `nginx` does not stand twice.
fn services(stated: &[(Seen, &Observation, &Host)]) -> Vec<MergedService> {
    type Offer<'a> = (Seen, &'a Service);
    let mut ports: BTreeMap<(Protocol, u16), (usize, Offer<'_>)> = BTreeMap::new();
    for (seen, observation, host) in stated {
        let place = address_place(observation.authority);
        for service in &host.services {
            for &port in &service.ports {
                keep_better(&mut ports, (service.protocol, port), place, (*seen, service));
            }
        }
    }
    let mut merged: BTreeMap<(Protocol, Arc<str>), MergedService> = BTreeMap::new();
    for ((protocol, port), (_, (seen, service))) in ports {
        let known =
            merged.entry((protocol, service.name.clone())).or_insert_with(|| MergedService {
                name: service.name.clone(),
                protocol,
                ports: BTreeSet::new(),
                description: service.description.clone(),
                seen,
            });
        known.ports.insert(port);
    }
    merged.into_values().collect()
}

/// One source's statement about an address.
type AddressClaim<'a> = (Seen, &'a Observation, &'a Address);

/// One address of several claims to it, given in any order.
fn address(ip: IpAddr, segment: &Segment, mut claims: Vec<AddressClaim<'_>>) -> MergedAddress {
    claims.sort_by_key(|(seen, observation, _)| {
        (address_place(observation.authority), &observation.source, Reverse(observation.at), *seen)
    });
    let full = if ip.is_ipv4() { 32 } else { 128 };
    // A mask of one address is what sources say that know no mask: any real one is better.
    let lengths = || claims.iter().filter_map(|(_, _, address)| address.prefix_len);
    let prefix_len = lengths().find(|length| *length < full).or_else(|| lengths().next());
    MergedAddress {
        ip,
        segment: segment.clone(),
        prefix_len,
        dns_name: claims
            .iter()
            .find_map(|(seen, _, address)| Some((address.dns_name.clone()?, *seen))),
        gateway: claims.iter().any(|(_, _, address)| address.gateway),
        role: claims.iter().find_map(|(_, _, address)| address.role),
        dynamic: claims.iter().find_map(|(_, _, address)| address.dynamic),
        seen: claims.iter().map(|(seen, _, _)| *seen).collect(),
    }
}

fn lone_addresses(
    observations: &[Observation],
    lone: &[Seen],
    owned: &Owned,
    ranking: &Ranking,
) -> Vec<LoneAddress> {
    type Claims<'a> = Vec<(Seen, &'a Observation, &'a Host, &'a Address, Option<MacAddr>)>;
    let mut claims: BTreeMap<(&Segment, IpAddr), Claims<'_>> = BTreeMap::new();
    for (seen, observation, host) in stated(observations, lone) {
        for interface in &host.interfaces {
            for address in outward(interface) {
                let title = owned.title(&observation.segment, address.ip).map(|title| title.holder);
                let station = interface.mac.filter(|mac| mac.names_an_interface());
                let free = match title {
                    None => true,
                    Some(Some(Holder::Station(mac))) => station.is_none_or(|own| own == mac),
                    Some(_) => !is_exclusive(address),
                };
                if free {
                    claims.entry((&observation.segment, address.ip)).or_default().push((
                        seen,
                        observation,
                        host,
                        address,
                        station,
                    ));
                }
            }
        }
    }
    claims
        .into_iter()
        .map(|((segment, ip), claims)| {
            let hosts: Vec<_> = claims
                .iter()
                .map(|(seen, observation, host, ..)| (*seen, *observation, *host))
                .collect();
            let about = claims
                .iter()
                .map(|(seen, observation, _, address, _)| (*seen, *observation, *address));
            LoneAddress {
                address: address(ip, segment, about.collect()),
                mac: claims.iter().find_map(|(.., mac)| *mac),
                facts: facts(&hosts, ranking),
                services: services(&hosts),
            }
        })
        .collect()
}
