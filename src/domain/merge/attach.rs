//! Gives what has no identity of its own to the one thing that owns its weak
//! identifier, and holds back what may be a second sight of something known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::super::identity::{Identifier, maker_key, name_key};
use super::super::inventory::{Ambiguity, HostKey, Seen, Verdict};
use super::super::mac::{MacAddr, MacKind};
use super::super::observation::{Authority, HostAttribute, Observation, Segment};
use super::super::settings::Bind;
use super::join::{
    Claims, Group, Joined, Namespace, ambiguity, claims, contradiction, host_of, listed,
};
use super::own::{Holder, Owned, is_exclusive, is_host_address, own};

/// Groups with everything that attaches to them, and who holds which address.
pub(super) struct Attached {
    /// Groups that have an identity.
    pub hosts: Vec<Group>,
    /// Observations that have none and attach to nothing.
    pub lone: Vec<Seen>,
    /// Who holds which address: `Holder::Group` counts in `hosts`.
    pub owned: Owned,
    /// What was decided.
    pub verdicts: Vec<Verdict>,
    /// What a person must decide.
    pub ambiguities: Vec<Ambiguity>,
}

/// Whether a group is evidence of a thing by itself.
fn is_solid(group: &Group) -> bool {
    !group.hint && (!group.identifiers.is_empty() || !group.contested.is_empty())
}

pub(super) fn attach(observations: &[Observation], joined: Joined, binds: &[Bind]) -> Attached {
    let Joined { mut groups, mut verdicts, mut ambiguities } = joined;
    let by_mac = stations_by_mac(observations, &groups);
    give(observations, &mut groups, &by_mac, &mut verdicts);

    let owned = own(observations, groups.iter().enumerate(), is_solid);
    let mut given = echoes_by_address(observations, &groups, &owned);
    given.extend(second_sights(observations, &mut groups, &owned, binds, &mut ambiguities));
    give(observations, &mut groups, &given, &mut verdicts);

    // Indices have not moved: a group that was given away is merely empty now.
    let owned = own(observations, groups.iter().enumerate(), is_solid);
    hold_the_dispossessed(observations, &mut groups, &owned, &mut ambiguities);
    report_rivals(observations, &groups, &owned, &mut verdicts, &mut ambiguities);

    let mut place = HashMap::new();
    let mut hosts = Vec::new();
    let mut lone = Vec::new();
    for (index, group) in groups.into_iter().enumerate() {
        if is_solid(&group) && !group.seen.is_empty() {
            place.insert(index, hosts.len());
            hosts.push(group);
        } else if !group.hint {
            lone.extend(group.seen);
        }
    }
    let owned = renumber(owned, &place);
    Attached { hosts, lone, owned, verdicts, ambiguities }
}

/// A group that goes to another, and why.
struct Gift {
    from: usize,
    to: usize,
    identifier: Identifier,
}

fn give(
    observations: &[Observation],
    groups: &mut [Group],
    gifts: &[Gift],
    verdicts: &mut Vec<Verdict>,
) {
    let receivers: BTreeSet<usize> = gifts.iter().map(|gift| gift.to).collect();
    for gift in gifts {
        // What gives itself away cannot receive: chains would depend on the order.
        if receivers.contains(&gift.from) || groups[gift.from].seen.is_empty() {
            continue;
        }
        let given = std::mem::take(&mut groups[gift.from]);
        let host = host_key(&groups[gift.to], observations);
        verdicts.extend(given.seen.iter().map(|&seen| Verdict::Attached {
            seen,
            identifier: gift.identifier.clone(),
            host: host.clone(),
        }));
        let to = &mut groups[gift.to];
        to.seen.extend(given.seen);
        to.seen.sort_unstable();
        to.hint &= given.hint;
        to.identifiers.extend(given.identifiers);
    }
}

/// Something that answered from a locally administered MAC address goes to the one
/// thing in its segment that is known to have this address.
fn stations_by_mac(observations: &[Observation], groups: &[Group]) -> Vec<Gift> {
    let mut known: HashMap<(&Segment, MacAddr), BTreeSet<usize>> = HashMap::new();
    for (index, group) in
        groups.iter().enumerate().filter(|(_, group)| is_solid(group) && group.held.is_none())
    {
        for (segment, mac) in local_macs(observations, group) {
            known.entry((segment, mac)).or_default().insert(index);
        }
    }
    let mut gifts = Vec::new();
    for (index, group) in groups.iter().enumerate().filter(|(_, group)| !is_solid(group)) {
        let owners: BTreeSet<(usize, MacAddr)> = local_macs(observations, group)
            .filter_map(|key| known.get(&key).map(|owners| (key.1, owners)))
            .flat_map(|(mac, owners)| owners.iter().map(move |&owner| (owner, mac)))
            .collect();
        let distinct: BTreeSet<usize> = owners.iter().map(|(owner, _)| *owner).collect();
        if let (1, Some(&(to, mac))) = (distinct.len(), owners.first()) {
            gifts.push(Gift { from: index, to, identifier: Identifier::Mac(mac) });
        }
    }
    gifts
}

fn local_macs<'a>(
    observations: &'a [Observation],
    group: &'a Group,
) -> impl Iterator<Item = (&'a Segment, MacAddr)> + 'a {
    group.seen.iter().flat_map(|&seen| {
        let observation = &observations[seen as usize];
        host_of(observation)
            .into_iter()
            .flat_map(|host| host.interfaces.iter().filter_map(|interface| interface.mac))
            .filter(|mac| mac.kind() == MacKind::Local)
            .map(|mac| (&observation.segment, mac))
    })
}

fn addresses<'a>(
    observations: &'a [Observation],
    seen: &'a [Seen],
) -> impl Iterator<Item = (&'a Segment, IpAddr)> + 'a {
    seen.iter().flat_map(|&seen| {
        let observation = &observations[seen as usize];
        host_of(observation)
            .into_iter()
            .flat_map(|host| host.interfaces.iter().flat_map(|interface| &interface.addresses))
            .filter(|address| is_exclusive(address) && is_host_address(address.ip))
            .map(|address| (&observation.segment, address.ip))
    })
}

/// The one group that holds all of these addresses, with the first of them.
fn sole_holder(
    owned: &Owned,
    wanted: &BTreeSet<(&Segment, IpAddr)>,
) -> Option<(usize, Identifier)> {
    let mut holders = BTreeSet::new();
    for (segment, ip) in wanted {
        match owned.title(segment, *ip)?.holder? {
            Holder::Group(index) => holders.insert(index),
            Holder::Station(_) => return None,
        };
    }
    let first = wanted.first()?;
    let identifier = Identifier::Address(first.0.clone(), first.1);
    match holders.len() {
        1 => holders.first().map(|&index| (index, identifier)),
        _ => None,
    }
}

/// A statement about a bare address goes to the one thing that holds the address; so
/// does one whose strong identifier is contested, when one of the things that share
/// the identifier would hold the address.
fn echoes_by_address(observations: &[Observation], groups: &[Group], owned: &Owned) -> Vec<Gift> {
    let mut sharing: HashMap<&Identifier, Vec<usize>> = HashMap::new();
    for (index, group) in groups.iter().enumerate().filter(|(_, group)| group.held.is_none()) {
        for identifier in &group.contested {
            sharing.entry(identifier).or_default().push(index);
        }
    }
    let mut gifts = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let wanted: BTreeSet<_> = addresses(observations, &group.seen).collect();
        let holder = if group.held.is_some() {
            let partners: BTreeSet<usize> = group
                .contested
                .iter()
                .filter_map(|shared| sharing.get(shared))
                .flatten()
                .copied()
                .collect();
            let among = own(
                observations,
                partners.iter().map(|&partner| (partner, &groups[partner])),
                is_solid,
            );
            sole_holder(&among, &wanted)
        } else if is_solid(group) || has_mac(observations, group) {
            None
        } else {
            sole_holder(owned, &wanted).filter(|(to, _)| groups[*to].held.is_none())
        };
        gifts.extend(holder.map(|(to, identifier)| Gift { from: index, to, identifier }));
    }
    gifts
}

/// Whether a group answered from a MAC address that names an interface.
fn has_mac(observations: &[Observation], group: &Group) -> bool {
    group.seen.iter().filter_map(|&seen| host_of(&observations[seen as usize])).any(|host| {
        host.interfaces
            .iter()
            .any(|interface| interface.mac.is_some_and(MacAddr::names_an_interface))
    })
}

/// A thing of which no source knows the hardware, and whose every address something else
/// holds, may be a second sight of that thing. It attaches when the name or the maker
/// agrees as well, or when it says of itself that the addresses are its own; else it is
/// held for a person, for it would be a duplicate.
fn second_sights(
    observations: &[Observation],
    groups: &mut [Group],
    owned: &Owned,
    binds: &[Bind],
    ambiguities: &mut Vec<Ambiguity>,
) -> Vec<Gift> {
    let mut gifts = Vec::new();
    let mut by_hardware: Option<Owned> = None;
    for index in 0..groups.len() {
        let group = &groups[index];
        if !is_solid(group)
            || has_hardware(group)
            || group.held.is_some()
            || !group.contested.is_empty()
        {
            continue;
        }
        let wanted: BTreeSet<_> = addresses(observations, &group.seen).collect();
        let itself = speaks_of_itself(observations, group);
        let found = if itself {
            let solid = |group: &Group| is_solid(group) && has_hardware(group);
            let known = by_hardware
                .get_or_insert_with(|| own(observations, groups.iter().enumerate(), solid));
            holders(known, &wanted)
        } else {
            sole_holder(owned, &wanted).into_iter().collect()
        };
        let mut others = found.into_iter().filter(|(to, _)| *to != index);
        let Some((to, identifier)) = others.next() else { continue };
        let alone = others.next().is_none();
        if groups[to].held.is_some() || contradicts(observations, group, &groups[to], binds) {
            continue;
        }
        if alone
            && (itself || agrees(observations, group, &groups[to]))
            && !same_scheme(observations, group, &groups[to])
        {
            gifts.push(Gift { from: index, to, identifier });
            continue;
        }
        let mut parties = group.identifiers.clone();
        parties.extend(groups[to].identifiers.first().cloned());
        ambiguities.push(ambiguity(
            "second_sight",
            &parties,
            format!(
                "{} may be the same thing as {}: both claim {}",
                listed(&group.identifiers),
                host_key(&groups[to], observations),
                identifier
            ),
        ));
        let held: Arc<str> =
            format!("{identifier} is held by {}", host_key(&groups[to], observations)).into();
        groups[index].held = Some(held);
    }
    gifts
}

/// Whether a MAC address is evidence of a group.
fn has_hardware(group: &Group) -> bool {
    group.identifiers.iter().any(|identifier| matches!(identifier, Identifier::Mac(_)))
}

/// Whether every address of a group is its own word.
fn speaks_of_itself(observations: &[Observation], group: &Group) -> bool {
    group.seen.iter().map(|&seen| &observations[seen as usize]).all(|observation| {
        observation.authority == Authority::Own
            || host_of(observation).is_none_or(|host| {
                host.interfaces.iter().all(|interface| interface.addresses.is_empty())
            })
    })
}

/// Every group that holds one of these addresses, with the first that it holds.
fn holders(owned: &Owned, wanted: &BTreeSet<(&Segment, IpAddr)>) -> BTreeMap<usize, Identifier> {
    let mut holders = BTreeMap::new();
    for (segment, ip) in wanted {
        if let Some(Holder::Group(index)) = owned.title(segment, *ip).and_then(|title| title.holder)
        {
            let identifier = || Identifier::Address((*segment).clone(), *ip);
            holders.entry(index).or_insert_with(identifier);
        }
    }
    holders
}

/// Whether serial numbers, UUIDs or a person's rules say that two groups are different
/// things. Keys of one scheme are looked at apart: of two claims to one address, one is old.
fn contradicts(observations: &[Observation], a: &Group, b: &Group, binds: &[Bind]) -> bool {
    let claims = [a, b].map(|group| {
        let all = claims(observations, &group.seen, binds).into_iter();
        all.filter(|(namespace, _)| !matches!(namespace, Namespace::Scheme(_))).collect::<Claims>()
    });
    contradiction(claims.iter()).is_some()
}

fn texts<'a>(
    observations: &'a [Observation],
    group: &'a Group,
    attributes: &'a [HostAttribute],
) -> impl Iterator<Item = &'a str> + 'a {
    group.seen.iter().filter_map(|&seen| host_of(&observations[seen as usize])).flat_map(
        move |host| {
            attributes.iter().filter_map(move |attribute| {
                host.facts.get(attribute).and_then(|value| value.as_text())
            })
        },
    )
}

fn agrees(observations: &[Observation], a: &Group, b: &Group) -> bool {
    const NAMES: [HostAttribute; 2] = [HostAttribute::Name, HostAttribute::DnsName];
    // Hyphens aside: `Home Assistant` is called `homeassistant` elsewhere.
    let names = |group| -> BTreeSet<String> {
        texts(observations, group, &NAMES)
            .filter(|name| !super::super::name::is_generic(name))
            .map(|name| name_key(name).replace('-', ""))
            .filter(|name| !name.is_empty())
            .collect()
    };
    let makers = |group| -> BTreeSet<String> {
        texts(observations, group, &[HostAttribute::Manufacturer])
            .map(maker_key)
            .filter(|maker| !maker.is_empty())
            .collect()
    };
    !names(a).is_disjoint(&names(b)) || !makers(a).is_disjoint(&makers(b))
}

/// Whether both have an exclusive key of one scheme, so that they cannot be one thing.
fn same_scheme(observations: &[Observation], a: &Group, b: &Group) -> bool {
    let schemes = |group: &Group| -> BTreeSet<String> {
        group
            .seen
            .iter()
            .filter_map(|&seen| host_of(&observations[seen as usize]))
            .filter_map(|host| host.evident_key().map(|key| key.scheme().to_owned()))
            .collect()
    };
    !schemes(a).is_disjoint(&schemes(b))
}

/// What is known from the wire alone, and whose every address something else holds,
/// is held for a person: it is either a thief of addresses or another face of the holder.
fn hold_the_dispossessed(
    observations: &[Observation],
    groups: &mut [Group],
    owned: &Owned,
    ambiguities: &mut Vec<Ambiguity>,
) {
    use Authority::{Derived, Directory, Lease, Wire};
    for index in 0..groups.len() {
        let group = &groups[index];
        let faint = group.seen.iter().all(|&seen| {
            matches!(observations[seen as usize].authority, Wire | Lease | Directory | Derived)
        });
        if !is_solid(group) || group.held.is_some() || !faint {
            continue;
        }
        let wanted: BTreeSet<_> = addresses(observations, &group.seen).collect();
        let Some((holder, identifier)) =
            sole_holder(owned, &wanted).filter(|(holder, _)| *holder != index)
        else {
            continue;
        };
        let other = host_key(&groups[holder], observations);
        let mut parties = group.identifiers.clone();
        parties.extend(groups[holder].identifiers.first().cloned());
        ambiguities.push(ambiguity(
            "dispossessed",
            &parties,
            format!("{} answers at {identifier}, which {other} holds", listed(&group.identifiers)),
        ));
        groups[index].held = Some(format!("{identifier} is held by {other}").into());
    }
}

fn report_rivals(
    observations: &[Observation],
    groups: &[Group],
    owned: &Owned,
    verdicts: &mut Vec<Verdict>,
    ambiguities: &mut Vec<Ambiguity>,
) {
    let mut rivalries: BTreeMap<(Segment, IpAddr), BTreeSet<Identifier>> = BTreeMap::new();
    for ((segment, ip), title) in &owned.titles {
        if !title.refused.is_empty() {
            let owner = match title.holder {
                Some(Holder::Group(index)) => Some(host_key(&groups[index], observations)),
                _ => None,
            };
            verdicts.push(Verdict::Address {
                ip: *ip,
                segment: segment.clone(),
                owner,
                seen: title.refused.clone(),
            });
        }
        for rival in &title.rivals {
            let named = match rival {
                Holder::Group(index) => groups[*index].identifiers.first().cloned(),
                Holder::Station(mac) => Some(Identifier::Mac(*mac)),
            };
            rivalries.entry((segment.clone(), *ip)).or_default().extend(named);
        }
    }
    for ((segment, ip), rivals) in rivalries {
        let address = Identifier::Address(segment, ip);
        let mut question = ambiguity(
            "address_conflict",
            &[address.clone()].into(),
            format!("{address} is held by {} at once", listed(&rivals)),
        );
        question.parties.extend(rivals.iter().map(ToString::to_string));
        ambiguities.push(question);
    }
}

fn renumber(owned: Owned, place: &HashMap<usize, usize>) -> Owned {
    let moved = |holder: Holder| match holder {
        Holder::Group(index) => place.get(&index).copied().map(Holder::Group),
        station @ Holder::Station(_) => Some(station),
    };
    let titles = owned
        .titles
        .into_iter()
        .map(|(key, mut title)| {
            title.holder = title.holder.and_then(moved);
            title.rivals = title.rivals.into_iter().filter_map(moved).collect();
            (key, title)
        })
        .collect();
    Owned { titles }
}

/// The strongest identifier of a group: an exclusive key, else whatever sorts first.
pub(super) fn host_key(group: &Group, observations: &[Observation]) -> HostKey {
    let exclusive = group
        .seen
        .iter()
        .filter_map(|&seen| host_of(&observations[seen as usize]))
        .filter_map(|host| host.evident_key())
        .min();
    let key = exclusive.map(ToString::to_string).or_else(|| {
        group.identifiers.first().or_else(|| group.contested.first()).map(ToString::to_string)
    });
    HostKey(key.unwrap_or_default().into())
}
