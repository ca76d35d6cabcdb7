//! Joins observations by native and strong identifiers, and refuses to where
//! something contradicts it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::identity::{Grade, Identifier, Serial, Uuid, fingerprint};
use super::super::inventory::{Ambiguity, Seen, Verdict};
use super::super::mac::{MacAddr, MacKind};
use super::super::observation::{Authority, Host, HostAttribute, NativeKey, Observation, Thing};
use super::super::settings::Bind;
use super::super::value::SmallMap;
use super::bind::carries;

/// Observations that are about one thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    /// The observations, in order.
    pub seen: Vec<Seen>,
    /// Native and strong identifiers that are evidence, without contested ones.
    pub identifiers: BTreeSet<Identifier>,
    /// Why no object may be made of it.
    pub held: Option<Arc<str>>,
    /// The contested identifiers that it states.
    pub contested: BTreeSet<Identifier>,
    /// Whether it is made of hints alone.
    pub hint: bool,
}

/// The result of joining.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Every group, by its first observation.
    pub groups: Vec<Group>,
    /// What was refused.
    pub verdicts: Vec<Verdict>,
    /// What a person must decide.
    pub ambiguities: Vec<Ambiguity>,
}

/// What an atom claims that another may contradict: distinct values of one
/// namespace are distinct things.
pub(super) type Claims = SmallMap<Namespace, BTreeSet<Arc<str>>>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Namespace {
    /// Keys of a scheme.
    Scheme(String),
    /// Serial numbers of a maker.
    Maker(String),
    /// SMBIOS UUIDs.
    Uuid,
    /// The sides of a person's `split` rule.
    Split(usize),
}

/// Observations that one exclusive key, or a person, declares to be one thing.
#[derive(Debug, Default)]
struct Atom {
    seen: Vec<Seen>,
    claims: Claims,
    /// Whether it is made of hints alone.
    hint: bool,
}

pub(super) fn host_of(observation: &Observation) -> Option<&Host> {
    match &observation.thing {
        Thing::Host(host) => Some(host),
        _ => None,
    }
}

/// The strong and native identifiers that a host states in so many words, MAC
/// addresses aside.
pub(super) fn stated(host: &Host) -> impl Iterator<Item = Identifier> + '_ {
    let text = |attribute| host.facts.get(&attribute).and_then(|value| value.as_text());
    let serial = text(HostAttribute::Serial)
        .zip(text(HostAttribute::Manufacturer))
        .and_then(|(number, maker)| Serial::new(maker, number))
        .map(Identifier::Serial);
    let uuid = text(HostAttribute::Uuid).and_then(Uuid::parse).map(Identifier::Uuid);
    let keys = host.key.iter().chain(&host.aliases).filter(|_| !host.hint);
    keys.cloned().map(Identifier::Native).chain(uuid).chain(serial)
}

/// The MAC addresses that are strong evidence in this set of observations.
struct StrongMacs {
    stated: HashSet<MacAddr>,
}

impl StrongMacs {
    fn find(observations: &[Observation]) -> Self {
        let stated = observations
            .iter()
            .filter(|observation| observation.authority == Authority::Hypervisor)
            .filter_map(host_of)
            .flat_map(|host| host.interfaces.iter().filter_map(|interface| interface.mac))
            .filter(|mac| mac.kind() == MacKind::Local)
            .collect();
        StrongMacs { stated }
    }

    fn is_strong(&self, mac: MacAddr) -> bool {
        Identifier::Mac(mac).grade() == Grade::Strong || self.stated.contains(&mac)
    }
}

pub(super) fn join(observations: &[Observation], hosts: &[Seen], binds: &[Bind]) -> Joined {
    let macs = StrongMacs::find(observations);
    let ignored: HashSet<&Identifier> = binds
        .iter()
        .filter_map(|bind| match bind {
            Bind::Split(sides) if sides.len() == 1 => sides.first(),
            _ => None,
        })
        .collect();
    let mut atoms = atoms(observations, hosts, binds);
    for atom in &mut atoms {
        atom.claims = claims(observations, &atom.seen, binds);
        let mut hosts = atom.seen.iter().filter_map(|&seen| host_of(&observations[seen as usize]));
        atom.hint = hosts.all(|host| host.hint);
    }
    let runs = runs(observations, &atoms, &macs, &ignored);

    let mut joined = Joined::default();
    let mut contested: BTreeSet<usize> = BTreeSet::new();
    let mut sets = DisjointSets::new(atoms.len());
    for (index, run) in runs.iter().enumerate().filter(|(_, run)| run.atoms.len() > 1) {
        match contradiction(run.atoms.iter().map(|&atom| &atoms[atom].claims)) {
            Some(because) => {
                contested.insert(index);
                joined.verdicts.push(Verdict::Contested {
                    identifier: run.identifier.clone(),
                    seen: run.atoms.iter().flat_map(|&atom| atoms[atom].seen.clone()).collect(),
                    because: because.into(),
                });
            }
            None => run.atoms.windows(2).for_each(|pair| sets.union(pair[0], pair[1])),
        }
    }

    let mut components: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for atom in 0..atoms.len() {
        components.entry(sets.find(atom)).or_default().push(atom);
    }
    let edges = Edges::new(&runs, &contested, atoms.len());
    for members in components.into_values() {
        if let [alone] = members[..] {
            joined.groups.push(group(&[alone], &atoms, &edges, None));
            continue;
        }
        match contradiction(members.iter().map(|&atom| &atoms[atom].claims)) {
            None => joined.groups.push(group(&members, &atoms, &edges, None)),
            Some(because) => resolve(&members, &because, &atoms, &edges, &mut joined),
        }
    }
    hold_contested(observations, &runs, &contested, &atoms, &mut joined);
    joined.groups.sort_by(|a, b| a.seen.cmp(&b.seen));
    joined
}

/// Groups observations by exclusive key and by a person's `join` rules.
fn atoms(observations: &[Observation], hosts: &[Seen], binds: &[Bind]) -> Vec<Atom> {
    let mut sets = DisjointSets::new(hosts.len());
    let mut by_key: HashMap<&NativeKey, usize> = HashMap::new();
    for (place, &seen) in hosts.iter().enumerate() {
        let key = host_of(&observations[seen as usize]).and_then(Host::evident_key);
        if let Some(key) = key {
            let first = *by_key.entry(key).or_insert(place);
            sets.union(first, place);
        }
    }
    for bind in binds {
        let Bind::Join(names) = bind else { continue };
        let mut named = hosts.iter().enumerate().filter(|(_, seen)| {
            let observation = &observations[**seen as usize];
            host_of(observation)
                .is_some_and(|host| names.iter().any(|named| carries(observation, host, named)))
        });
        if let Some((first, _)) = named.next() {
            for (place, _) in named {
                sets.union(first, place);
            }
        }
    }
    let mut atoms: BTreeMap<usize, Atom> = BTreeMap::new();
    for (place, &seen) in hosts.iter().enumerate() {
        atoms.entry(sets.find(place)).or_default().seen.push(seen);
    }
    atoms.into_values().collect()
}

pub(super) fn claims(observations: &[Observation], seen: &[Seen], binds: &[Bind]) -> Claims {
    let mut claims = Claims::default();
    let mut add = |namespace, value: Arc<str>| {
        claims.entry(namespace, BTreeSet::new).insert(value);
    };
    for &place in seen {
        let observation = &observations[place as usize];
        let Some(host) = host_of(observation) else {
            continue;
        };
        if let Some(key) = host.evident_key() {
            add(Namespace::Scheme(key.scheme().to_owned()), key.as_str().into());
        }
        for identifier in stated(host) {
            match identifier {
                Identifier::Serial(serial) => {
                    add(Namespace::Maker(serial.maker().to_owned()), serial.number().into());
                }
                Identifier::Uuid(uuid) => add(Namespace::Uuid, uuid.to_string().into()),
                _ => {}
            }
        }
        for (number, bind) in binds.iter().enumerate() {
            if let Bind::Split(sides) = bind
                && sides.len() > 1
            {
                for side in sides.iter().filter(|side| carries(observation, host, side)) {
                    add(Namespace::Split(number), side.to_string().into());
                }
            }
        }
    }
    claims
}

/// An identifier and the atoms that state it.
struct Run {
    identifier: Identifier,
    atoms: Vec<usize>,
}

fn runs(
    observations: &[Observation],
    atoms: &[Atom],
    macs: &StrongMacs,
    ignored: &HashSet<&Identifier>,
) -> Vec<Run> {
    let mut pairs: Vec<(Identifier, usize)> = Vec::new();
    for (index, atom) in atoms.iter().enumerate() {
        for &seen in &atom.seen {
            let Some(host) = host_of(&observations[seen as usize]) else {
                continue;
            };
            let of_interfaces = host
                .interfaces
                .iter()
                .filter_map(|interface| interface.mac)
                .filter(|mac| macs.is_strong(*mac))
                .map(Identifier::Mac);
            pairs.extend(
                stated(host)
                    .chain(of_interfaces)
                    .filter(|identifier| !ignored.contains(identifier))
                    .map(|identifier| (identifier, index)),
            );
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
        .chunk_by(|a, b| a.0 == b.0)
        .map(|run| Run {
            identifier: run[0].0.clone(),
            atoms: run.iter().map(|(_, atom)| *atom).collect(),
        })
        .collect()
}

/// The first contradiction between several claims, in words.
pub(super) fn contradiction<'a>(claims: impl Iterator<Item = &'a Claims>) -> Option<String> {
    let mut classes: BTreeMap<&Namespace, Vec<BTreeSet<&Arc<str>>>> = BTreeMap::new();
    for claim in claims {
        for (namespace, values) in claim.iter() {
            let known = classes.entry(namespace).or_default();
            let mut merged: BTreeSet<&Arc<str>> = values.iter().collect();
            known.retain(|class| {
                let apart = class.is_disjoint(&merged);
                if !apart {
                    merged.extend(class.iter().copied());
                }
                apart
            });
            known.push(merged);
        }
    }
    classes.into_iter().find(|(_, values)| values.len() > 1).map(|(namespace, mut values)| {
        values.sort();
        let name = |class: &BTreeSet<&Arc<str>>| {
            class.iter().next().map_or("", |value| &***value).to_owned()
        };
        let (a, b) = (name(&values[0]), name(&values[1]));
        match namespace {
            Namespace::Scheme(_) => format!("{a} and {b} are different things"),
            Namespace::Maker(maker) => {
                format!("{maker} gave out the serial numbers {a} and {b}")
            }
            Namespace::Uuid => format!("the UUIDs {a} and {b} differ"),
            Namespace::Split(_) => format!("a bind rule keeps {a} and {b} apart"),
        }
    })
}

/// Which atoms share which uncontested identifiers.
struct Edges<'a> {
    runs: &'a [Run],
    of_atom: Vec<Vec<usize>>,
    contested_of_atom: Vec<Vec<usize>>,
}

impl<'a> Edges<'a> {
    fn new(runs: &'a [Run], contested: &BTreeSet<usize>, atoms: usize) -> Self {
        let mut of_atom = vec![Vec::new(); atoms];
        let mut contested_of_atom = vec![Vec::new(); atoms];
        for (index, run) in runs.iter().enumerate() {
            let list =
                if contested.contains(&index) { &mut contested_of_atom } else { &mut of_atom };
            for &atom in &run.atoms {
                list[atom].push(index);
            }
        }
        Edges { runs, of_atom, contested_of_atom }
    }

    fn neighbours(&self, atom: usize) -> impl Iterator<Item = usize> + '_ {
        self.of_atom[atom].iter().flat_map(|&run| self.runs[run].atoms.iter().copied())
    }
}

fn group(members: &[usize], atoms: &[Atom], edges: &Edges<'_>, held: Option<Arc<str>>) -> Group {
    let mut seen: Vec<Seen> =
        members.iter().flat_map(|&atom| atoms[atom].seen.iter().copied()).collect();
    seen.sort_unstable();
    let named = |lists: &Vec<Vec<usize>>| -> BTreeSet<Identifier> {
        members
            .iter()
            .flat_map(|&atom| lists[atom].iter().map(|&run| edges.runs[run].identifier.clone()))
            .collect()
    };
    Group {
        seen,
        identifiers: named(&edges.of_atom),
        held,
        contested: named(&edges.contested_of_atom),
        hint: members.iter().all(|&atom| atoms[atom].hint),
    }
}

/// Splits a component whose parts contradict each other, without guessing: anchors
/// (what claims something) join where no contradiction arises; what has no claim of
/// its own follows the one anchor that is nearest; what two anchors could have is
/// held for a person.
fn resolve(
    members: &[usize],
    because: &str,
    atoms: &[Atom],
    edges: &Edges<'_>,
    joined: &mut Joined,
) {
    let (anchors, loose): (Vec<usize>, Vec<usize>) =
        members.iter().partition(|&&atom| !atoms[atom].claims.is_empty());
    let mut label: BTreeMap<usize, usize> = BTreeMap::new();
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for circle in circles(&anchors, edges) {
        let conflict = contradiction(circle.iter().map(|&atom| &atoms[atom].claims));
        if let Some(because) = &conflict {
            joined.verdicts.push(Verdict::Vetoed {
                seen: circle.iter().flat_map(|&atom| atoms[atom].seen.clone()).collect(),
                because: because.as_str().into(),
            });
        }
        let parts: Vec<Vec<usize>> = if conflict.is_some() {
            circle.into_iter().map(|atom| vec![atom]).collect()
        } else {
            vec![circle]
        };
        for part in parts {
            label.extend(part.iter().map(|&atom| (atom, classes.len())));
            classes.push(part);
        }
    }

    let mut open: BTreeSet<usize> = loose.into_iter().collect();
    let mut torn: BTreeSet<usize> = BTreeSet::new();
    loop {
        let mut round: Vec<(usize, BTreeSet<usize>)> = Vec::new();
        for &atom in &open {
            let reached: BTreeSet<usize> =
                edges.neighbours(atom).filter_map(|other| label.get(&other).copied()).collect();
            if !reached.is_empty() {
                round.push((atom, reached));
            }
        }
        if round.is_empty() {
            break;
        }
        for (atom, reached) in round {
            open.remove(&atom);
            match reached.first() {
                Some(&class) if reached.len() == 1 => {
                    label.insert(atom, class);
                    classes[class].push(atom);
                }
                _ => {
                    torn.insert(atom);
                }
            }
        }
    }
    for class in &mut classes {
        class.sort_unstable();
        joined.groups.push(group(class, atoms, edges, None));
    }
    for &atom in &torn {
        let held = group(&[atom], atoms, edges, Some(because.into()));
        joined.verdicts.push(Verdict::Vetoed { seen: held.seen.clone(), because: because.into() });
        joined.ambiguities.push(ambiguity(
            "torn_identity",
            &held.identifiers,
            format!(
                "what shows {} could be either of two things: {because}",
                listed(&held.identifiers)
            ),
        ));
        joined.groups.push(held);
    }
    let open: Vec<usize> = open.into_iter().collect();
    for circle in circles(&open, edges) {
        joined.groups.push(group(&circle, atoms, edges, None));
    }
}

/// Groups of atoms that are connected among themselves.
fn circles(members: &[usize], edges: &Edges<'_>) -> Vec<Vec<usize>> {
    let place: HashMap<usize, usize> =
        members.iter().enumerate().map(|(place, &atom)| (atom, place)).collect();
    let mut sets = DisjointSets::new(members.len());
    for (here, &atom) in members.iter().enumerate() {
        for other in edges.neighbours(atom) {
            if let Some(&there) = place.get(&other) {
                sets.union(here, there);
            }
        }
    }
    let mut circles: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (here, &atom) in members.iter().enumerate() {
        circles.entry(sets.find(here)).or_default().push(atom);
    }
    circles.into_values().collect()
}

/// Tells of every contested identifier, and holds what only states such ones: it is
/// one of the things that share it, and nobody can say which.
fn hold_contested(
    observations: &[Observation],
    runs: &[Run],
    contested: &BTreeSet<usize>,
    atoms: &[Atom],
    joined: &mut Joined,
) {
    for &index in contested {
        let run = &runs[index];
        let parties: BTreeSet<String> =
            run.atoms.iter().map(|&atom| describe(observations, &atoms[atom])).collect();
        let mut ambiguity = ambiguity(
            "shared_identifier",
            &[run.identifier.clone()].into(),
            format!(
                "{} is stated by several different things: {}",
                run.identifier,
                parties.iter().cloned().collect::<Vec<_>>().join(", ")
            ),
        );
        ambiguity.parties.extend(parties);
        joined.ambiguities.push(ambiguity);
    }
    for group in &mut joined.groups {
        let has_key = group.seen.iter().any(|&seen| {
            host_of(&observations[seen as usize]).is_some_and(|host| host.evident_key().is_some())
        });
        if group.held.is_none() && !group.contested.is_empty() && !has_key {
            let others = group
                .identifiers
                .iter()
                .any(|identifier| !matches!(identifier, Identifier::Native(_)));
            if !others {
                group.held = Some(
                    format!("{} is stated by several different things", listed(&group.contested))
                        .into(),
                );
            }
        }
    }
}

fn describe(observations: &[Observation], atom: &Atom) -> String {
    atom.seen
        .iter()
        .filter_map(|&seen| host_of(&observations[seen as usize]))
        .find_map(|host| host.key.as_ref().or_else(|| host.aliases.first()))
        .map_or_else(
            || {
                let seen = atom.seen.first().copied().unwrap_or_default();
                format!("an observation of {}", observations[seen as usize].source)
            },
            ToString::to_string,
        )
}

pub(super) fn listed(identifiers: &BTreeSet<Identifier>) -> String {
    let names: Vec<String> = identifiers.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// A question with a name that depends on nothing but the identifiers concerned.
pub(super) fn ambiguity(
    code: &'static str,
    identifiers: &BTreeSet<Identifier>,
    question: String,
) -> Ambiguity {
    let parties: BTreeSet<String> = identifiers.iter().map(ToString::to_string).collect();
    let id = fingerprint(std::iter::once(code).chain(parties.iter().map(String::as_str)));
    Ambiguity { id, code, question, parties }
}

/// Union-find with path halving; the smaller index represents its set.
#[derive(Debug)]
pub(super) struct DisjointSets {
    parent: Vec<usize>,
}

impl DisjointSets {
    pub(super) fn new(length: usize) -> Self {
        DisjointSets { parent: (0..length).collect() }
    }

    pub(super) fn find(&mut self, mut item: usize) -> usize {
        while self.parent[item] != item {
            self.parent[item] = self.parent[self.parent[item]];
            item = self.parent[item];
        }
        item
    }

    pub(super) fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b);
    }
}
