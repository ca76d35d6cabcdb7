//! Plays a scenario and tells everything in which it did not end as it should.

use std::collections::{BTreeMap, BTreeSet};

use netbox_agent::domain::inventory::Inventory;
use netbox_agent::domain::object::{Kind, ObjectKey};
use netbox_agent::domain::observation::Observation;
use netbox_agent::domain::world::World;
use netbox_agent::engine::Draft;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::lab::{HostObject, Lab, interfaces, on_interfaces, shown};
use crate::scenario::{Expected, Run, Said, Scenario, policy};
use crate::score::Score;

/// What is tried in each run besides playing it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trial {
    /// In how many orders what was said is given to the agent besides its own.
    pub orders: u32,
    /// Whether each answer that a question offers is given.
    pub answers: bool,
}

/// What came of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    /// The pairs of all runs.
    pub score: Score,
    /// What is not as it should be.
    pub faults: Vec<String>,
}

/// How an observation ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// It is of this object.
    Object(HostObject),
    /// Nothing is made of it until a person decides.
    Held,
    /// Its address stands alone.
    Address,
    /// Nothing stands for it.
    Nothing,
}

/// The group of observations that one was put into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Host(usize),
    Address(usize),
    Alone(usize),
}

pub(crate) fn play(scenario: &Scenario, trial: Trial) -> Finding {
    let mut lab = Lab::new(scenario.policy.clone());
    let mut labels = lab.stand(&scenario.stands);
    let mut before: BTreeMap<String, HostObject> = BTreeMap::new();
    let mut finding = Finding::default();
    for (number, run) in scenario.runs.iter().enumerate() {
        if run.forget {
            let moved = lab.forget();
            for object in labels.values_mut().chain(before.values_mut()) {
                object.1 = moved[object];
            }
        }
        for edit in &run.edits {
            let object = labels.get(&edit.thing).or_else(|| before.get(&edit.thing));
            let object = object.unwrap_or_else(|| panic!("nothing is called {}", edit.thing));
            lab.edit(*object, &edit.field, &edit.value);
        }
        let mut stage =
            Stage { lab: &lab, run, labels: &labels, before: &before, faults: Vec::new() };
        let (score, after) = stage.play(trial, scenario);
        finding.score += score;
        let told = stage.faults.into_iter().map(|fault| format!("run {}: {fault}", number + 1));
        finding.faults.extend(told);
        before = after;
    }
    finding
}

struct Stage<'a> {
    lab: &'a Lab,
    run: &'a Run,
    labels: &'a BTreeMap<String, HostObject>,
    before: &'a BTreeMap<String, HostObject>,
    faults: Vec<String>,
}

impl Stage<'_> {
    fn fault(&mut self, text: impl Into<String>) {
        self.faults.push(text.into());
    }

    /// Plays one run; gives its score and the object of each thing.
    fn play(&mut self, trial: Trial, scenario: &Scenario) -> (Score, BTreeMap<String, HostObject>) {
        let run = self.run;
        let seen: Vec<Observation> = run.said.iter().map(|said| said.observation.clone()).collect();
        let stood = hosts(&self.lab.world());
        let draft = self.lab.draft(&seen, &run.coverage);
        self.shuffle(&seen, &draft, trial.orders);
        if trial.answers {
            self.answer(&seen, &draft, scenario);
        }
        let (made, failed) = self.lab.apply(&draft);
        failed.into_iter().for_each(|failure| self.fault(failure));
        let mut again = self.lab.draft(&seen, &run.coverage);
        for _ in 0..run.settles {
            let (_, failed) = self.lab.apply(&again);
            failed.into_iter().for_each(|failure| self.fault(failure));
            again = self.lab.draft(&seen, &run.coverage);
        }
        if !again.plan.changes.is_empty() {
            self.fault(format!("it does not settle: {:#?}", again.plan.changes));
        }
        let asks: Vec<String> = codes(&draft);
        if asks != run.asks {
            let told: Vec<String> = draft
                .ambiguities()
                .iter()
                .map(|one| format!("{}: {}", one.code, one.question))
                .collect();
            self.fault(format!("asks {asks:?}, not {:?}\n    {}", run.asks, told.join("\n    ")));
        }
        let world = self.lab.world();
        let after = self.ends(&draft, &made, &world);
        self.nothing_else(&stood, &hosts(&world), &after);
        (self.score(&draft.picture.inventory), after)
    }

    /// Any order of what was said gives the same bytes.
    fn shuffle(&mut self, seen: &[Observation], draft: &Draft, orders: u32) {
        let expected = dump(draft);
        let config = Config { cases: orders, failure_persistence: None, ..Config::default() };
        let any_order =
            (Just(seen.to_vec()).prop_shuffle(), Just(self.run.coverage.clone()).prop_shuffle());
        let told = TestRunner::new_with_rng(
            config,
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        )
        .run(&any_order, |(seen, coverage)| {
            prop_assert!(dump(&self.lab.draft(&seen, &coverage)) == expected, "another result");
            Ok(())
        });
        if let Err(error) = told {
            self.fault(format!("the order of what was said shows: {error}"));
        }
    }

    /// Each answer that a question offers settles it once it stands in the configuration.
    fn answer(&mut self, seen: &[Observation], draft: &Draft, scenario: &Scenario) {
        for question in draft.ambiguities() {
            if question.answers.is_empty() && question.code != "address_conflict" {
                self.fault(format!("{} offers no answer", question.question));
            }
            for rule in &question.answers {
                let settings = format!("{}\n[[bind]]\n{rule}\n", scenario.settings);
                let lab = self.lab.under(policy(&settings));
                let settled = lab.draft(seen, &self.run.coverage);
                let asked = settled.ambiguities();
                if asked.iter().any(|other| other.id == question.id) {
                    self.fault(format!("{rule} does not settle: {}", question.question));
                }
            }
        }
    }

    /// Compares how each thing ended with how it should; gives the object of each.
    fn ends(
        &mut self,
        draft: &Draft,
        made: &BTreeMap<ObjectKey, HostObject>,
        world: &World,
    ) -> BTreeMap<String, HostObject> {
        let mut objects: BTreeMap<String, HostObject> = BTreeMap::new();
        for said in &self.run.said {
            let Some(thing) = &said.of else { continue };
            let end = end(draft, made, world, &said.observation);
            let expected = self.run.ends.get(thing);
            let Some(is) = said.ends.as_ref().or(expected.map(|expected| &expected.is)) else {
                panic!("nothing says how {thing} ends");
            };
            if !self.is_right(thing, is, &end) {
                self.fault(format!(
                    "what {} says of {thing} ends as {}, not as {is}",
                    said.observation.source,
                    told(world, &end)
                ));
            }
            if let End::Object(object) = end {
                let first = *objects.entry(thing.clone()).or_insert(object);
                if first != object {
                    self.fault(format!("{thing} is two objects"));
                }
            }
        }
        for (thing, expected) in &self.run.ends {
            if !self.run.said.iter().any(|said| said.of.as_ref() == Some(thing)) {
                panic!("nobody speaks of {thing}");
            }
            if let Some(object) = objects.get(thing) {
                self.details(thing, *object, expected, world);
            }
        }
        let mut seen: BTreeMap<HostObject, &String> = BTreeMap::new();
        for (thing, object) in &objects {
            if let Some(other) = seen.insert(*object, thing) {
                self.faults.push(format!("{other} and {thing} are one object"));
            }
        }
        objects
    }

    fn is_right(&self, thing: &str, is: &str, end: &End) -> bool {
        let is_new = |kind: Kind| match end {
            End::Object(object) => {
                let known = self.labels.values().chain(self.before.values()).any(|o| o == object);
                object.0 == kind && !known
            }
            _ => false,
        };
        match is {
            "new device" => is_new(Kind::Device),
            "new virtual machine" => is_new(Kind::VirtualMachine),
            "held" => *end == End::Held,
            "address" => *end == End::Address,
            "nothing" => *end == End::Nothing,
            "same" => {
                let known = self.before.get(thing);
                *end == End::Object(*known.unwrap_or_else(|| panic!("{thing} was no object")))
            }
            label => {
                let known = self.labels.get(label);
                *end == End::Object(*known.unwrap_or_else(|| panic!("nothing is called {label}")))
            }
        }
    }

    fn details(&mut self, thing: &str, object: HostObject, expected: &Expected, world: &World) {
        let live = world.get(object.0, object.1).unwrap();
        for (field, value) in &expected.fields {
            let known = field.parse().unwrap_or_else(|error| panic!("{thing}: {error}"));
            let stands = shown(world, live, known);
            if stands != *value {
                self.fault(format!("{thing} has the {field} `{stands}`, not `{value}`"));
            }
        }
        let mut compare = |what: &str, wanted: &Option<Vec<String>>, mut stands: Vec<String>| {
            let Some(wanted) = wanted else { return };
            let mut wanted = wanted.clone();
            wanted.sort();
            stands.sort();
            if stands != wanted {
                self.faults.push(format!("{thing} has the {what} {stands:?}, not {wanted:?}"));
            }
        };
        compare("addresses", &expected.has, on_interfaces(world, object, Kind::IpAddress));
        compare("MAC addresses", &expected.macs, on_interfaces(world, object, Kind::MacAddress));
        let nics = interfaces(world, object).iter().map(|nic| nic.name().to_owned()).collect();
        compare("interfaces", &expected.nics, nics);
    }

    /// No object is made besides those of the things, and none goes away.
    fn nothing_else(
        &mut self,
        stood: &BTreeMap<HostObject, String>,
        stands: &BTreeMap<HostObject, String>,
        after: &BTreeMap<String, HostObject>,
    ) {
        let expected: BTreeSet<HostObject> = stood.keys().chain(after.values()).copied().collect();
        for (object, name) in stands {
            if !expected.contains(object) {
                self.fault(format!("{} `{name}` is of no thing", object.0.label()));
            }
        }
        for (object, name) in stood {
            if !stands.contains_key(object) {
                self.fault(format!("{} `{name}` went away", object.0.label()));
            }
        }
    }

    fn score(&self, inventory: &Inventory) -> Score {
        let said = self.run.said.iter().enumerate();
        let labelled = said.filter_map(|(number, Said { of, observation, .. })| {
            Some((of.clone()?, group(inventory, observation, number)))
        });
        Score::of(labelled)
    }
}

fn codes(draft: &Draft) -> Vec<String> {
    let mut codes: Vec<String> =
        draft.ambiguities().iter().map(|one| one.code.to_owned()).collect();
    codes.sort();
    codes
}

fn hosts(world: &World) -> BTreeMap<HostObject, String> {
    let all = world.of(Kind::Device).chain(world.of(Kind::VirtualMachine));
    all.map(|live| ((live.kind, live.id), live.name().to_owned())).collect()
}

fn told(world: &World, end: &End) -> String {
    match end {
        End::Object((kind, id)) => {
            let name = world.get(*kind, *id).map_or("", |live| live.name());
            format!("{} {id} `{name}`", kind.label())
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Everything that a run decides, as text.
pub(crate) fn dump(draft: &Draft) -> String {
    format!(
        "{:#?}\n{:#?}\n{:#?}\n{:#?}",
        draft.picture.inventory, draft.matches, draft.desired, draft.plan
    )
}

/// The place of an observation in the inventory.
fn place(inventory: &Inventory, observation: &Observation) -> u32 {
    let place =
        inventory.observations.binary_search(observation).expect("it was given to the merge");
    u32::try_from(place).unwrap()
}

fn group(inventory: &Inventory, observation: &Observation, number: usize) -> Group {
    let place = place(inventory, observation);
    if let Some(host) = inventory.hosts.iter().position(|host| host.seen.contains(&place)) {
        return Group::Host(host);
    }
    let lone = inventory.addresses.iter().position(|lone| lone.address.seen.contains(&place));
    lone.map_or(Group::Alone(number), Group::Address)
}

fn end(
    draft: &Draft,
    made: &BTreeMap<ObjectKey, HostObject>,
    world: &World,
    observation: &Observation,
) -> End {
    match group(&draft.picture.inventory, observation, 0) {
        Group::Host(place) => {
            let object = draft.desired.objects.values().find(|object| {
                object.host == Some(place)
                    && matches!(object.kind, Kind::Device | Kind::VirtualMachine)
            });
            let standing = object.and_then(|object| {
                let known = draft.resolved.id(&object.key).map(|id| (object.kind, id));
                known.or_else(|| made.get(&object.key).copied())
            });
            match standing {
                Some(object) => End::Object(object),
                None if draft.matches.held.contains_key(&place) => End::Held,
                None => End::Nothing,
            }
        }
        Group::Address(place) => {
            let ip = draft.picture.inventory.addresses[place].address.ip.to_string();
            let same = |name: &str| name.split('/').next() == Some(&ip);
            let stands = world.of(Kind::IpAddress).any(|live| same(live.name()));
            if stands { End::Address } else { End::Nothing }
        }
        Group::Alone(_) => End::Nothing,
    }
}
