//! Joins observations by native and strong identifiers, and refuses to where
//! something contradicts it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::identity::{Grade, Identifier, Serial, Uuid};
use super::super::inventory::{Ambiguity, Seen, Verdict};
use super::super::mac::{MacAddr, MacKind};
use super::super::observation::{Authority, Host, HostAttribute, NativeKey, Observation, Thing};
use super::super::settings::Bind;
use super::super::value::SmallMap;
use super::ask::{self, ambiguity, called, listed, some_of, told_apart};
use super::bind::carries;
use super::ports::Ports;

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
pub(super) struct Atom {
    pub(super) seen: Vec<Seen>,
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
    let mut contested = Contested::default();
    let mut sets = DisjointSets::new(atoms.len());
    // Keys and numbers first: what they join may well have several MAC addresses by one name.
    let shared = || runs.iter().enumerate().filter(|(_, run)| run.atoms.len() > 1);
    let (by_mac, by_number): (Vec<_>, Vec<_>) =
        shared().partition(|(_, run)| matches!(run.identifier, Identifier::Mac(_)));
    let mut ports: Option<Ports<'_>> = None;
    for (index, run) in by_number.into_iter().chain(by_mac) {
        let claims = || run.atoms.iter().map(|&atom| &atoms[atom].claims);
        let because = contradiction(claims()).or_else(|| match run.identifier {
            Identifier::Mac(_) => ports
                .get_or_insert_with(|| Ports::find(observations, &atoms, &mut sets))
                .contradiction(&run.atoms),
            _ => None,
        });
        match because {
            Some(because) => {
                contested.runs.insert(index);
                if is_settled(run, &atoms, binds) {
                    contested.settled.insert(index);
                }
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
    let edges = Edges::new(&runs, &contested.runs, atoms.len());
    for members in components.into_values() {
        if let [alone] = members[..] {
            joined.groups.push(group(&[alone], &atoms, &edges, None));
            continue;
        }
        match contradiction(members.iter().map(|&atom| &atoms[atom].claims)) {
            None => joined.groups.push(group(&members, &atoms, &edges, None)),
            Some(because) => resolve(observations, &members, &because, &atoms, &edges, &mut joined),
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

/// Identifiers that contradicting things share.
#[derive(Debug, Default)]
struct Contested {
    /// Their runs.
    runs: BTreeSet<usize>,
    /// Those of which a person has said already that the things are different ones.
    settled: BTreeSet<usize>,
}

/// Whether a person's `split` rule names a side of everything that states an identifier.
fn is_settled(run: &Run, atoms: &[Atom], binds: &[Bind]) -> bool {
    (0..binds.len()).any(|number| {
        run.atoms.iter().all(|&atom| atoms[atom].claims.contains(&Namespace::Split(number)))
    })
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
    let mut namespaces: BTreeMap<&Namespace, Classes<'_>> = BTreeMap::new();
    for claim in claims {
        for (namespace, values) in claim.iter() {
            namespaces.entry(namespace).or_default().add(values);
        }
    }
    namespaces.into_iter().find_map(|(namespace, mut classes)| {
        let (a, b) = classes.first_two()?;
        Some(match namespace {
            Namespace::Scheme(_) => format!("{a} and {b} are different things"),
            Namespace::Maker(maker) => {
                format!("{maker} gave out the serial numbers {a} and {b}")
            }
            Namespace::Uuid => format!("the UUIDs {a} and {b} differ"),
            Namespace::Split(_) => format!("a bind rule keeps {a} and {b} apart"),
        })
    })
}

/// Values of one namespace; those that one thing claims together are of one class.
#[derive(Default)]
struct Classes<'a> {
    numbers: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
    sets: DisjointSets,
}

impl<'a> Classes<'a> {
    fn add(&mut self, values: &'a BTreeSet<Arc<str>>) {
        let mut first = None;
        for value in values {
            let number = *self.numbers.entry(value).or_insert_with(|| {
                self.names.push(value);
                self.sets.grow()
            });
            self.sets.union(*first.get_or_insert(number), number);
        }
    }

    /// The least value of each of the first two classes, where there are two.
    fn first_two(&mut self) -> Option<(&'a str, &'a str)> {
        let mut least: BTreeMap<usize, &'a str> = BTreeMap::new();
        for (number, name) in self.names.iter().enumerate() {
            let known = least.entry(self.sets.find(number)).or_insert(name);
            *known = (*known).min(name);
        }
        let mut names: Vec<&'a str> = least.into_values().collect();
        names.sort_unstable();
        match names[..] {
            [a, b, ..] => Some((a, b)),
            _ => None,
        }
    }
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

    /// The uncontested identifiers that any of these state, each once.
    fn runs_of(&self, members: &[usize]) -> BTreeSet<usize> {
        members.iter().flat_map(|&atom| self.of_atom[atom].iter().copied()).collect()
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
    observations: &[Observation],
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

    let Followed { torn, open } = follow(&loose, &mut label, &mut classes, edges);
    let mut names: Vec<Option<Identifier>> = Vec::new();
    for class in &mut classes {
        class.sort_unstable();
        let whole = group(class, atoms, edges, None);
        names.push(called(observations, &whole));
        joined.groups.push(whole);
    }
    for (&atom, between) in &torn {
        let held = group(&[atom], atoms, edges, Some(because.into()));
        let between: BTreeSet<Identifier> =
            between.iter().filter_map(|&class| names[class].clone()).collect();
        let own = told_apart(observations, &atoms[atom].seen, &between);
        joined.verdicts.push(Verdict::Vetoed { seen: held.seen.clone(), because: because.into() });
        joined.ambiguities.push(ambiguity(
            "torn_identity",
            &held.identifiers,
            format!(
                "what shows {} could be either of two things: {because}",
                listed(&held.identifiers)
            ),
            own.map_or_else(Vec::new, |own| either_of(&own, &between)),
        ));
        joined.groups.push(held);
    }
    for circle in circles(&open, edges) {
        joined.groups.push(group(&circle, atoms, edges, None));
    }
}

/// That a thing is one of several others, or none of them.
fn either_of(own: &Identifier, others: &BTreeSet<Identifier>) -> Vec<Bind> {
    let with = |other: &Identifier| BTreeSet::from([own.clone(), other.clone()]);
    let mut answers: Vec<Bind> = others.iter().map(|other| Bind::Join(with(other))).collect();
    let mut all = others.clone();
    all.insert(own.clone());
    answers.push(Bind::Split(all));
    answers
}

/// What became of what has no claim of its own, besides what joined a class.
struct Followed {
    /// What two classes could have, and which.
    torn: BTreeMap<usize, BTreeSet<usize>>,
    /// What no class reaches.
    open: Vec<usize>,
}

/// Gives each loose atom to the one class that reaches it in the fewest steps.
fn follow(
    loose: &[usize],
    label: &mut BTreeMap<usize, usize>,
    classes: &mut [Vec<usize>],
    edges: &Edges<'_>,
) -> Followed {
    let mut open: BTreeSet<usize> = loose.iter().copied().collect();
    let mut torn = BTreeMap::new();
    // The classes that state each identifier by now; each step looks only at identifiers
    // that the step before brought something new to.
    let mut stated: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let mut new: Vec<usize> = label.keys().copied().collect();
    while !new.is_empty() {
        let mut front: BTreeSet<usize> = BTreeSet::new();
        for atom in &new {
            for &run in &edges.of_atom[*atom] {
                stated.entry(run).or_default().insert(label[atom]);
                front.insert(run);
            }
        }
        let touched: BTreeSet<usize> = front
            .iter()
            .flat_map(|&run| edges.runs[run].atoms.iter().copied())
            .filter(|atom| open.contains(atom))
            .collect();
        new = Vec::new();
        for atom in touched {
            open.remove(&atom);
            let reached: BTreeSet<usize> = edges.of_atom[atom]
                .iter()
                .filter_map(|run| stated.get(run))
                .flatten()
                .copied()
                .collect();
            match reached.first() {
                Some(&class) if reached.len() == 1 => {
                    label.insert(atom, class);
                    classes[class].push(atom);
                    new.push(atom);
                }
                _ => {
                    torn.insert(atom, reached);
                }
            }
        }
    }
    Followed { torn, open: open.into_iter().collect() }
}

/// Groups of atoms that are connected among themselves.
fn circles(members: &[usize], edges: &Edges<'_>) -> Vec<Vec<usize>> {
    let place: HashMap<usize, usize> =
        members.iter().enumerate().map(|(place, &atom)| (atom, place)).collect();
    let mut sets = DisjointSets::new(members.len());
    for run in edges.runs_of(members) {
        let mut here = edges.runs[run].atoms.iter().filter_map(|atom| place.get(atom).copied());
        if let Some(first) = here.next() {
            here.for_each(|other| sets.union(first, other));
        }
    }
    let mut circles: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (here, &atom) in members.iter().enumerate() {
        circles.entry(sets.find(here)).or_default().push(atom);
    }
    circles.into_values().collect()
}

/// Tells of the contested identifiers, once for those that the same things share, and
/// holds what only states such ones: it is one of the things that share it, and nobody
/// can say which. What a person has settled is neither told nor held.
fn hold_contested(
    observations: &[Observation],
    runs: &[Run],
    contested: &Contested,
    atoms: &[Atom],
    joined: &mut Joined,
) {
    let mut shared: BTreeMap<&[usize], BTreeSet<Identifier>> = BTreeMap::new();
    for &index in contested.runs.difference(&contested.settled) {
        let run = &runs[index];
        shared.entry(&run.atoms).or_default().insert(run.identifier.clone());
    }
    for (sharing, identifiers) in shared {
        let called = |&atom: &usize| told_apart(observations, &atoms[atom].seen, &identifiers);
        let names: Vec<Option<Identifier>> = sharing.iter().map(called).collect();
        let parties: BTreeSet<Identifier> = names.iter().flatten().cloned().collect();
        let told_apart = parties.len() == names.len();
        let mut ambiguity = ambiguity(
            "shared_identifier",
            &identifiers,
            format!(
                "{} is stated by several different things: {}",
                listed(&identifiers),
                some_of(&parties)
            ),
            ask::sharing(&identifiers, &parties, told_apart),
        );
        ambiguity.parties.extend(parties.iter().map(ToString::to_string));
        joined.ambiguities.push(ambiguity);
    }
    let settled: BTreeSet<&Identifier> =
        contested.settled.iter().map(|&index| &runs[index].identifier).collect();
    for group in &mut joined.groups {
        let has_key = group.seen.iter().any(|&seen| {
            host_of(&observations[seen as usize]).is_some_and(|host| host.evident_key().is_some())
        });
        let open = group.contested.iter().any(|identifier| !settled.contains(identifier));
        if group.held.is_none() && open && !has_key {
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

/// Union-find with path halving; the smaller index represents its set.
#[derive(Debug, Default)]
pub(super) struct DisjointSets {
    parent: Vec<usize>,
}

impl DisjointSets {
    pub(super) fn new(length: usize) -> Self {
        DisjointSets { parent: (0..length).collect() }
    }

    /// Adds a set of one; gives its index.
    fn grow(&mut self) -> usize {
        self.parent.push(self.parent.len());
        self.parent.len() - 1
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
