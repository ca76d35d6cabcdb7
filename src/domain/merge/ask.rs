//! The questions that a merge leaves to a person, each with the rules that would settle it.

use std::collections::BTreeSet;

use super::super::identity::{Identifier, fingerprint, name_key};
use super::super::inventory::{Ambiguity, Seen};
use super::super::observation::{Host, HostAttribute, Observation};
use super::super::settings::Bind;
use super::join::{Group, host_of, stated};

/// A question with a name that depends on nothing but the identifiers concerned.
pub(super) fn ambiguity(
    code: &'static str,
    identifiers: &BTreeSet<Identifier>,
    question: String,
    answers: Vec<Bind>,
) -> Ambiguity {
    let parties: BTreeSet<String> = identifiers.iter().map(ToString::to_string).collect();
    let id = fingerprint(std::iter::once(code).chain(parties.iter().map(String::as_str)));
    Ambiguity { id, code, question, parties, answers }
}

/// That several things are one, or that they are not; nothing where they are not told apart.
pub(super) fn one_or_several(things: &BTreeSet<Identifier>) -> Vec<Bind> {
    match things.len() {
        0 | 1 => Vec::new(),
        _ => vec![Bind::Join(things.clone()), Bind::Split(things.clone())],
    }
}

/// The identifier by which a person would call a group: one that no other group has,
/// where there is one.
pub(super) fn called(observations: &[Observation], group: &Group) -> Option<Identifier> {
    let key = |host: &Host| host.evident_key().cloned().map(Identifier::Native);
    let hosts = group.seen.iter().filter_map(|&seen| host_of(&observations[seen as usize]));
    hosts
        .filter_map(key)
        .min()
        .or_else(|| group.identifiers.first().cloned())
        .or_else(|| told_apart(observations, &group.seen, &group.contested))
}

/// The first identifier of some observations that is none of the shared ones: a key, a
/// serial number, a MAC address, and where there is no better one an address or a name.
pub(super) fn told_apart(
    observations: &[Observation],
    seen: &[Seen],
    shared: &BTreeSet<Identifier>,
) -> Option<Identifier> {
    let all = || seen.iter().map(|&seen| &observations[seen as usize]);
    let hosts = || all().filter_map(host_of);
    let own = |identifier: &Identifier| !shared.contains(identifier);
    let interfaces = || hosts().flat_map(|host| &host.interfaces);
    let addresses = all().flat_map(|observation| {
        let host = host_of(observation).into_iter().flat_map(|host| &host.interfaces);
        host.flat_map(|interface| &interface.addresses)
            .map(|address| Identifier::Address(observation.segment.clone(), address.ip))
    });
    let macs =
        interfaces().filter_map(|interface| interface.mac).filter(|m| m.names_an_interface());
    let names = hosts().filter_map(|host| host.facts.get(&HostAttribute::Name)?.as_text());
    hosts()
        .flat_map(stated)
        .filter(own)
        .min()
        .or_else(|| macs.map(Identifier::Mac).filter(own).min())
        .or_else(|| addresses.min())
        .or_else(|| names.map(|name| Identifier::Name(name_key(name))).min())
}

pub(super) fn listed<'a>(identifiers: impl IntoIterator<Item = &'a Identifier>) -> String {
    let names: Vec<String> = identifiers.into_iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The first of many identifiers, and how many more there are.
pub(super) fn some_of(identifiers: &BTreeSet<Identifier>) -> String {
    let shown = listed(identifiers.iter().take(SHOWN));
    match identifiers.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        None => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// How many identifiers a person is shown at once.
const SHOWN: usize = 12;

/// What settles that several things state an identifier: that they are different, that
/// they are one, or that it names nothing.
pub(super) fn sharing(
    shared: &BTreeSet<Identifier>,
    sharers: &BTreeSet<Identifier>,
    told_apart: bool,
) -> Vec<Bind> {
    let mut answers = Vec::new();
    if told_apart && (2..=SHOWN).contains(&sharers.len()) {
        answers.push(Bind::Split(sharers.clone()));
        answers.push(Bind::Join(sharers.clone()));
    }
    if let (1, Some(only)) = (shared.len(), shared.first()) {
        answers.push(Bind::Split([only.clone()].into()));
    }
    answers
}
