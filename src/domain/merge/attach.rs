//! Gives what has no identity of its own to the one thing that owns its weak
//! identifier, and holds back what may be a second sight of something known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::identity::{Identifier, name_key};
use super::super::inventory::{Ambiguity, HostKey, Seen, Verdict};
use super::super::mac::{MacAddr, MacKind};
use super::super::makers;
use super::super::observation::{Authority, Form, HostAttribute, Observation, Segment};
use super::super::settings::Bind;
use super::ask::{ambiguity, called, listed, one_or_several};
use super::join::{Claims, Group, Joined, Namespace, claims, contradiction, host_of};
use super::own::{Holder, Owned, is_exclusive, is_off, outward, own};

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
    let mut given: Vec<(Seen, Identifier)> = Vec::new();
    let by_mac = stations_by_mac(observations, &groups);
    give(&mut groups, by_mac, &mut given);

    // Echoes first: the name that one brings may be what tells of a second sight.
    let owned = own(observations, groups.iter().enumerate(), is_solid);
    let echoes = echoes_by_address(observations, &groups, &owned);
    give(&mut groups, echoes, &mut given);
    let sights = second_sights(observations, &mut groups, &owned, binds, &mut ambiguities);
    give(&mut groups, sights, &mut given);

    // Indices have not moved: a group that was given away is merely empty now.
    let owned = own(observations, groups.iter().enumerate(), is_solid);
    hold_the_dispossessed(observations, &mut groups, &owned, binds, &mut ambiguities);
    report_rivals(observations, &groups, &owned, &mut verdicts, &mut ambiguities);
    verdicts.extend(told(observations, &groups, given));

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

/// Gives groups to others; notes every observation that went, and by what.
fn give(groups: &mut [Group], gifts: Vec<Gift>, given: &mut Vec<(Seen, Identifier)>) {
    let receivers: BTreeSet<usize> = gifts.iter().map(|gift| gift.to).collect();
    for gift in gifts {
        // What gives itself away cannot receive: chains would depend on the order.
        if receivers.contains(&gift.from) || groups[gift.from].seen.is_empty() {
            continue;
        }
        let gone = std::mem::take(&mut groups[gift.from]);
        given.extend(gone.seen.iter().map(|&seen| (seen, gift.identifier.clone())));
        let to = &mut groups[gift.to];
        to.seen.extend(gone.seen);
        to.hint &= gone.hint;
        to.identifiers.extend(gone.identifiers);
    }
    receivers.into_iter().for_each(|to| groups[to].seen.sort_unstable());
}

/// What was given to whom, by the names that the receivers have in the end.
fn told(
    observations: &[Observation],
    groups: &[Group],
    given: Vec<(Seen, Identifier)>,
) -> Vec<Verdict> {
    let by: HashMap<Seen, Vec<Identifier>> =
        given.into_iter().fold(HashMap::new(), |mut by, (seen, identifier)| {
            by.entry(seen).or_insert_with(Vec::new).push(identifier);
            by
        });
    let mut told = Vec::new();
    for group in groups {
        let mut attached =
            group.seen.iter().filter_map(|seen| Some((*seen, by.get(seen)?))).peekable();
        if attached.peek().is_none() {
            continue;
        }
        let host = host_key(group, observations);
        for (seen, identifiers) in attached {
            told.extend(identifiers.iter().map(|identifier| Verdict::Attached {
                seen,
                identifier: identifier.clone(),
                host: host.clone(),
            }));
        }
    }
    told
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
            .flat_map(|host| host.interfaces.iter().flat_map(outward))
            .filter(|address| is_exclusive(address))
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
/// the identifier would hold the address and no other of them bears its name.
fn echoes_by_address(observations: &[Observation], groups: &[Group], owned: &Owned) -> Vec<Gift> {
    let mut sharing: HashMap<&Identifier, Vec<usize>> = HashMap::new();
    for (index, group) in groups.iter().enumerate().filter(|(_, group)| group.held.is_none()) {
        for identifier in &group.contested {
            sharing.entry(identifier).or_default().push(index);
        }
    }
    // Many may share one identifier, and many more may state it.
    let mut among: HashMap<&BTreeSet<Identifier>, Among> = HashMap::new();
    let mut gifts = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let wanted: BTreeSet<_> = addresses(observations, &group.seen).collect();
        let holder = if group.held.is_some() {
            let shared = |identifier| sharing.get(identifier).into_iter().flatten().copied();
            let partners = || group.contested.iter().flat_map(shared).collect();
            let among = among
                .entry(&group.contested)
                .or_insert_with(|| Among::new(observations, groups, partners()));
            among.holder(observations, group, &wanted)
        } else if is_solid(group) || has_mac(observations, group) {
            None
        } else {
            sole_holder(owned, &wanted).filter(|(to, _)| groups[*to].held.is_none())
        };
        gifts.extend(holder.map(|(to, identifier)| Gift { from: index, to, identifier }));
    }
    gifts
}

/// Things that share an identifier which is no evidence for that.
struct Among {
    owned: Owned,
    /// Which of them bear a name.
    bearers: HashMap<String, BTreeSet<usize>>,
}

impl Among {
    fn new(observations: &[Observation], groups: &[Group], partners: BTreeSet<usize>) -> Self {
        let owned =
            own(observations, partners.iter().map(|&index| (index, &groups[index])), is_solid);
        let mut bearers: HashMap<String, BTreeSet<usize>> = HashMap::new();
        for &index in &partners {
            for name in names(observations, &groups[index]) {
                bearers.entry(name).or_default().insert(index);
            }
        }
        Among { owned, bearers }
    }

    /// The one of them that holds the addresses of a statement now, unless the statement is
    /// old or its name is that of another of them: then the address has moved since.
    fn holder(
        &self,
        observations: &[Observation],
        group: &Group,
        wanted: &BTreeSet<(&Segment, IpAddr)>,
    ) -> Option<(usize, Identifier)> {
        let (to, identifier) = sole_holder(&self.owned, wanted)?;
        let is_old = |at: Timestamp| {
            let mut titles =
                wanted.iter().filter_map(|(segment, ip)| self.owned.title(segment, *ip));
            titles.any(|title| title.is_past(at))
        };
        if group.seen.iter().any(|&seen| is_old(observations[seen as usize].at)) {
            return None;
        }
        let named: BTreeSet<usize> = names(observations, group)
            .iter()
            .filter_map(|name| self.bearers.get(name))
            .flatten()
            .copied()
            .collect();
        (named.is_empty() || named.contains(&to)).then_some((to, identifier))
    }
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
/// agrees as well, when it says of itself that the addresses are its own, or when it is a
/// machine that runs and configures them and nothing else is known of what answers; else
/// it is held for a person, for it would be a duplicate.
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
            // What is off does not answer: what does is something else.
            || is_off(observations, group)
        {
            continue;
        }
        let wanted: BTreeSet<_> = addresses(observations, &group.seen).collect();
        let itself = speaks_of_itself(observations, group);
        let configured = is_configured(observations, group);
        let found = if itself || configured {
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
        let other = &groups[to];
        if other.held.is_some() || contradicts(observations, group, other, binds) {
            continue;
        }
        let answers = || configured && is_nothing_else(observations, other, &wanted);
        if alone
            && (itself || agrees(observations, group, other) || answers())
            && !same_scheme(observations, group, other)
        {
            gifts.push(Gift { from: index, to, identifier });
            continue;
        }
        let mut parties = group.identifiers.clone();
        parties.extend(other.identifiers.first().cloned());
        let both = [group, other].into_iter().filter_map(|group| called(observations, group));
        ambiguities.push(ambiguity(
            "second_sight",
            &parties,
            format!(
                "{} may be the same thing as {}: both claim {}",
                listed(&group.identifiers),
                host_key(other, observations),
                identifier
            ),
            one_or_several(&both.collect()),
        ));
        let held: Arc<str> =
            format!("{identifier} is held by {}", host_key(other, observations)).into();
        groups[index].held = Some(held);
    }
    gifts
}

/// Whether a group is a machine of which the hypervisor that it is says that it runs and
/// which addresses it gives itself.
fn is_configured(observations: &[Observation], group: &Group) -> bool {
    let mut running = false;
    for observation in group.seen.iter().map(|&seen| &observations[seen as usize]) {
        let Some(host) = host_of(observation) else { continue };
        let status = host.facts.get(&HostAttribute::Status).and_then(|value| value.as_text());
        running |= observation.authority == Authority::Hypervisor
            && host.form == Some(Form::Device)
            && status == Some("active");
        let speaks = host.interfaces.iter().any(|interface| !interface.addresses.is_empty());
        if speaks && !matches!(observation.authority, Authority::Hypervisor | Authority::Own) {
            return false;
        }
    }
    running
}

/// Whether nothing is known of a group but that it answers at these addresses: it is of
/// the wire alone, has no other address, and no name but what DNS gives the address.
fn is_nothing_else(
    observations: &[Observation],
    group: &Group,
    wanted: &BTreeSet<(&Segment, IpAddr)>,
) -> bool {
    let faint = is_faint(observations, group);
    let no_more = addresses(observations, &group.seen).all(|address| wanted.contains(&address));
    let unnamed = group.seen.iter().map(|&seen| &observations[seen as usize]).all(|observation| {
        observation.authority == Authority::Directory
            || host_of(observation).is_none_or(|host| !host.facts.contains(&HostAttribute::Name))
    });
    faint && no_more && unnamed
}

/// Whether what is known of a group was only seen on the wire or looked up.
fn is_faint(observations: &[Observation], group: &Group) -> bool {
    use Authority::{Derived, Directory, Lease, Wire};
    group.seen.iter().all(|&seen| {
        matches!(observations[seen as usize].authority, Wire | Lease | Directory | Derived)
    })
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

/// The names that sources have for a group, as they are compared. Hyphens aside: `Home
/// Assistant` is called `homeassistant` elsewhere.
fn names(observations: &[Observation], group: &Group) -> BTreeSet<String> {
    texts(observations, group, &[HostAttribute::Name, HostAttribute::DnsName])
        .filter(|name| !super::super::name::is_generic(name))
        .map(|name| name_key(name).replace('-', ""))
        .filter(|name| !name.is_empty())
        .collect()
}

fn agrees(observations: &[Observation], a: &Group, b: &Group) -> bool {
    let makers = |group| -> BTreeSet<String> {
        texts(observations, group, &[HostAttribute::Manufacturer])
            .map(makers::compared)
            .filter(|maker| !maker.is_empty())
            .collect()
    };
    !names(observations, a).is_disjoint(&names(observations, b))
        || !makers(a).is_disjoint(&makers(b))
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
    binds: &[Bind],
    ambiguities: &mut Vec<Ambiguity>,
) {
    for index in 0..groups.len() {
        let group = &groups[index];
        if !is_solid(group) || group.held.is_some() || !is_faint(observations, group) {
            continue;
        }
        let wanted: BTreeSet<_> = addresses(observations, &group.seen).collect();
        let Some((holder, identifier)) =
            sole_holder(owned, &wanted).filter(|(holder, _)| *holder != index)
        else {
            continue;
        };
        // Where it had the address before the other, the address has merely moved.
        let present =
            wanted.iter().filter_map(|(segment, ip)| owned.title(segment, *ip)).any(|title| {
                let own = |seen: &&Seen| group.seen.binary_search(seen).is_ok();
                let mut lost = title.refused.iter().filter(own);
                lost.any(|seen| !title.is_past(observations[*seen as usize].at))
            });
        if !present {
            continue;
        }
        if contradicts(observations, group, &groups[holder], binds) {
            continue;
        }
        let other = host_key(&groups[holder], observations);
        let both = [group, &groups[holder]];
        let both = both.into_iter().filter_map(|group| called(observations, group)).collect();
        let mut parties = group.identifiers.clone();
        parties.extend(groups[holder].identifiers.first().cloned());
        ambiguities.push(ambiguity(
            "dispossessed",
            &parties,
            format!("{} answers at {identifier}, which {other} holds", listed(&group.identifiers)),
            one_or_several(&both),
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
    let mut rivalries: BTreeMap<(Segment, IpAddr), Rivals> = BTreeMap::new();
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
            let rivals = rivalries.entry((segment.clone(), *ip)).or_default();
            match rival {
                Holder::Group(index) => {
                    rivals.named.extend(groups[*index].identifiers.first().cloned());
                    rivals.things.extend(called(observations, &groups[*index]));
                }
                Holder::Station(mac) => {
                    rivals.named.insert(Identifier::Mac(*mac));
                    rivals.stations = true;
                }
            }
        }
    }
    for ((segment, ip), rivals) in rivalries {
        let address = Identifier::Address(segment, ip);
        // That they are different things settles nothing: the network is in conflict.
        let one =
            (rivals.things.len() > 1 && !rivals.stations).then_some(Bind::Join(rivals.things));
        let mut question = ambiguity(
            "address_conflict",
            &[address.clone()].into(),
            format!("{address} is held by {} at once", listed(&rivals.named)),
            one.into_iter().collect(),
        );
        question.parties.extend(rivals.named.iter().map(ToString::to_string));
        ambiguities.push(question);
    }
}

/// Those who hold one address at once.
#[derive(Default)]
struct Rivals {
    named: BTreeSet<Identifier>,
    things: BTreeSet<Identifier>,
    /// Whether some of them are no things that anybody knows.
    stations: bool,
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
