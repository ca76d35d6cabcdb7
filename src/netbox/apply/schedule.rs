//! What is written after what: the waves of a plan as NetBox takes them fastest. Hosts
//! are cut into cohorts, and the parts of one are made while the hosts of the next are,
//! so that requests of several kinds are under way at once. Primary addresses come when
//! all hosts and parts are made: a run that ends early leaves hosts without them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::version::Version;
use crate::domain::object::{Field, Kind, ObjectKey, ObjectRef};
use crate::domain::plan::{Action, Change, Plan, Step, Wave, waves};
use crate::domain::scope::host_kind_of;
use crate::domain::value::Value;

/// About so many hosts are written together.
const COHORT: usize = 250;

/// Waves, and what NetBox does of them by itself.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pub waves: Vec<Wave>,
    /// Waves whose steps NetBox has carried out where all went well: they are looked at
    /// before anything is sent.
    pub given: BTreeSet<usize>,
    /// By the change of a new interface, the step of the MAC address that NetBox carries
    /// out as it makes the interface.
    pub brought: BTreeMap<usize, Step>,
}

impl Schedule {
    /// `refused` are interfaces that are likely not to be made: no MAC address is made for
    /// them beforehand.
    pub(super) fn of(plan: &Plan, version: Version, refused: &BTreeSet<ObjectKey>) -> Self {
        let known = Known::of(plan);
        let mut pairs = BTreeMap::new();
        if version.assigns_primary_macs() {
            pairs = known.pairs();
            pairs.retain(|port, _| !refused.contains(&plan.changes[*port].key));
        }
        let (turns, brought) = macs_first(waves(plan), &pairs);
        let turns = known.cohorts(turns);
        let given = turns.iter().enumerate().filter(|(_, turn)| turn.given).map(|(at, _)| at);
        Schedule {
            given: given.collect(),
            brought,
            waves: turns.into_iter().map(|turn| turn.wave).collect(),
        }
    }
}

/// A wave, and whether NetBox has carried it out by itself.
struct Turn {
    wave: Wave,
    given: bool,
}

/// A plan's changes by their keys.
struct Known<'p> {
    plan: &'p Plan,
    by_key: BTreeMap<(Kind, &'p ObjectKey), usize>,
}

impl<'p> Known<'p> {
    fn of(plan: &'p Plan) -> Self {
        let changes = plan.changes.iter().enumerate();
        let by_key = changes.map(|(place, change)| ((change.kind, &change.key), place)).collect();
        Known { plan, by_key }
    }

    /// The change that makes what a reference leads to.
    fn maker(&self, reference: &ObjectRef) -> Option<usize> {
        let ObjectRef::Planned(kind, key) = reference else { return None };
        let maker = *self.by_key.get(&(*kind, key))?;
        (self.plan.changes[maker].action == Action::Create).then_some(maker)
    }

    /// New interfaces with the new MAC addresses that become their primary ones.
    fn pairs(&self) -> BTreeMap<usize, usize> {
        let pair = |(place, change): (usize, &Change)| {
            let is_new = change.action == Action::Create;
            let mac = self.maker(reference(change, Field::PrimaryMac)?).filter(|_| is_new)?;
            let on = self.maker(reference(&self.plan.changes[mac], Field::AssignedObject)?)?;
            (on == place).then_some((place, mac))
        };
        self.plan.changes.iter().enumerate().filter_map(pair).collect()
    }

    /// The device or virtual machine that a change belongs to, where the plan tells.
    fn host(&self, change: &'p Change) -> Option<ObjectRef> {
        if matches!(change.kind, Kind::Device | Kind::VirtualMachine) {
            let planned = ObjectRef::Planned(change.kind, change.key.clone());
            return Some(change.id.map_or(planned, |id| ObjectRef::Live(change.kind, id)));
        }
        if let Some(interface) = reference(change, Field::AssignedObject) {
            return self.host(&self.plan.changes[self.maker(interface)?]);
        }
        let owner = match host_kind_of(change.kind) {
            Some(Kind::VirtualMachine) => Field::VirtualMachine,
            Some(_) => Field::Device,
            None => Field::Parent,
        };
        let host = reference(change, owner)?;
        matches!(host.kind(), Kind::Device | Kind::VirtualMachine).then(|| host.clone())
    }

    /// Cuts waves so that each is of one cohort of hosts. What belongs to no host goes with
    /// the first one.
    fn cohorts(&self, turns: Vec<Turn>) -> Vec<Turn> {
        let mut ranks: BTreeMap<ObjectRef, usize> = BTreeMap::new();
        for step in turns.iter().flat_map(|turn| &turn.wave.steps) {
            let next = ranks.len();
            if let Some(host) = self.host(&self.plan.changes[step.change]) {
                ranks.entry(host).or_insert(next);
            }
        }
        let cohorts = (ranks.len() + COHORT / 2) / COHORT;
        if cohorts < 2 {
            return turns;
        }
        let cohort = |step: &Step| {
            let host = self.host(&self.plan.changes[step.change]);
            host.and_then(|host| ranks.get(&host)).map_or(0, |rank| rank * cohorts / ranks.len())
        };
        let cut = |turn: Turn| {
            let Turn { wave: Wave { kind, action, steps }, given } = turn;
            let is_cut = matches!(action, Action::Create | Action::Update);
            let mut parts: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
            for step in steps {
                parts.entry(if is_cut { cohort(&step) } else { 0 }).or_default().push(step);
            }
            let waves = parts.into_values().map(move |steps| Wave { kind, action, steps });
            waves.map(move |wave| Turn { wave, given })
        };
        turns.into_iter().flat_map(cut).collect()
    }
}

fn reference(change: &Change, field: Field) -> Option<&ObjectRef> {
    match &change.fields.get(&field)?.after {
        Value::Ref(reference) => Some(reference),
        _ => None,
    }
}

/// Turns the circle of an interface and its primary MAC address around: the address is
/// made first and on nothing, and NetBox assigns it when the interface is made. That
/// spares a change of every new interface.
fn macs_first(
    waves: Vec<Wave>,
    pairs: &BTreeMap<usize, usize>,
) -> (Vec<Turn>, BTreeMap<usize, Step>) {
    let ports: BTreeMap<usize, usize> = pairs.iter().map(|(port, mac)| (*mac, *port)).collect();
    let mut turns: Vec<Turn> = Vec::new();
    let mut brought = BTreeMap::new();
    for mut wave in waves {
        if matches!(wave.kind, Kind::Interface | Kind::VmInterface) {
            bring_along(&mut wave, pairs);
        }
        if wave.kind == Kind::MacAddress && wave.action == Action::Create {
            let (early, rest) =
                wave.steps.into_iter().partition(|step| ports.contains_key(&step.change));
            wave.steps = rest;
            brought.extend(assigned(&early).map(|step| (ports[&step.change], step)));
            let makes =
                |turn: &Turn| turn.wave.steps.iter().any(|step| brought.contains_key(&step.change));
            if let Some(first) = turns.iter().position(makes) {
                let steps = assigned(&early).collect();
                let after = Wave { kind: wave.kind, action: Action::Update, steps };
                turns.insert(
                    first,
                    Turn { wave: Wave { steps: free(early), ..wave.clone() }, given: false },
                );
                turns.push(Turn { wave: after, given: true });
            }
        }
        if !wave.steps.is_empty() {
            turns.push(Turn { wave, given: false });
        }
    }
    (turns, brought)
}

/// Lets new interfaces have their primary MAC address from the beginning.
fn bring_along(wave: &mut Wave, pairs: &BTreeMap<usize, usize>) {
    for step in wave.steps.iter_mut().filter(|step| pairs.contains_key(&step.change)) {
        step.fields.retain(|field| *field != Field::PrimaryMac);
        if step.creates {
            step.fields.push(Field::PrimaryMac);
        }
    }
    wave.steps.retain(|step| step.creates || !step.fields.is_empty());
}

/// The making of MAC addresses, on nothing yet.
fn free(steps: Vec<Step>) -> Vec<Step> {
    let free = |step: Step| Step {
        fields: step.fields.into_iter().filter(|field| *field != Field::AssignedObject).collect(),
        ..step
    };
    steps.into_iter().map(free).collect()
}

/// What stands of MAC addresses when their interfaces are made.
fn assigned(steps: &[Step]) -> impl Iterator<Item = Step> {
    steps.iter().map(|step| Step { creates: false, ..step.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::object::Why;
    use crate::domain::plan::FieldChange;

    const NEW: Version = Version { major: 4, minor: 4, patch: 2 };
    const OLD: Version = Version { major: 4, minor: 4, patch: 1 };

    fn change(action: Action, kind: Kind, name: &str, refers: &[(Field, Kind)]) -> Change {
        let field = |(field, to): &(Field, Kind)| {
            let after = Value::Ref(ObjectRef::Planned(*to, ObjectKey::new(*to, name)));
            (*field, FieldChange { before: Value::Null, after, why: Why::Agent("test".into()) })
        };
        Change {
            action,
            kind,
            key: ObjectKey::new(kind, name),
            id: None,
            label: name.into(),
            stamp: None,
            fields: refers.iter().map(field).collect(),
            unseat: Vec::new(),
            reason: "".into(),
        }
    }

    /// A device or a virtual machine with everything that it has.
    fn host(name: &str, host: Kind) -> [Change; 4] {
        let (port, owner) = match host {
            Kind::Device => (Kind::Interface, Field::Device),
            _ => (Kind::VmInterface, Field::VirtualMachine),
        };
        let make = |kind, refers: &[(Field, Kind)]| change(Action::Create, kind, name, refers);
        [
            make(host, &[(Field::PrimaryIp4, Kind::IpAddress)]),
            make(port, &[(owner, host), (Field::PrimaryMac, Kind::MacAddress)]),
            make(Kind::MacAddress, &[(Field::AssignedObject, port)]),
            make(Kind::IpAddress, &[(Field::AssignedObject, port)]),
        ]
    }

    fn plan(hosts: usize) -> Plan {
        let name = |number: usize| format!("host{number:04}");
        let kind = |number| if number % 2 == 0 { Kind::Device } else { Kind::VirtualMachine };
        let changes = (0..hosts).flat_map(|number| host(&name(number), kind(number)));
        Plan { changes: changes.collect(), ..Plan::default() }
    }

    /// What is done in which order, as words.
    fn told(plan: &Plan, version: Version) -> Vec<String> {
        let schedule = Schedule::of(plan, version, &BTreeSet::new());
        let told = schedule.waves.iter().enumerate().map(|(place, wave)| {
            let fields: BTreeSet<&Field> =
                wave.steps.iter().flat_map(|step| &step.fields).collect();
            let fields: Vec<&str> = fields.into_iter().map(|field| field.as_str()).collect();
            let by = if schedule.given.contains(&place) { " by NetBox" } else { "" };
            format!("{} {} {}{by}: {}", wave.action, wave.steps.len(), wave.kind, fields.join(" "))
        });
        told.collect()
    }

    #[test]
    fn a_mac_address_comes_before_its_interface_where_that_takes_it_along() {
        insta::assert_snapshot!(told(&plan(2), NEW).join("\n"), @r"
        create 1 device: 
        create 1 virtual_machine: 
        create 2 mac_address: 
        create 1 interface: device primary_mac_address
        create 1 vm_interface: virtual_machine primary_mac_address
        update 2 mac_address by NetBox: assigned_object
        create 2 ip_address: assigned_object
        update 1 device: primary_ip4
        update 1 virtual_machine: primary_ip4
        ");
        insta::assert_snapshot!(told(&plan(2), OLD).join("\n"), @r"
        create 1 device: 
        create 1 virtual_machine: 
        create 1 interface: device
        create 1 vm_interface: virtual_machine
        create 2 mac_address: assigned_object
        create 2 ip_address: assigned_object
        update 1 device: primary_ip4
        update 1 virtual_machine: primary_ip4
        update 1 interface: primary_mac_address
        update 1 vm_interface: primary_mac_address
        ");
    }

    #[test]
    fn what_an_interface_brings_is_told_with_it() {
        let plan = plan(2);
        let brought = Schedule::of(&plan, NEW, &BTreeSet::new()).brought;
        assert_eq!(brought.len(), 2);
        for (port, step) in brought {
            assert_eq!(plan.changes[port].label, plan.changes[step.change].label);
            assert_eq!((step.creates, step.fields), (false, vec![Field::AssignedObject]));
        }
        assert!(Schedule::of(&plan, OLD, &BTreeSet::new()).brought.is_empty());
    }

    #[test]
    fn only_a_mac_address_that_is_made_with_its_interface_is_brought_along() {
        let mut other = plan(1);
        // Its interface stands already.
        other.changes[1].action = Action::Update;
        assert!(Schedule::of(&other, NEW, &BTreeSet::new()).brought.is_empty());
        let mut other = plan(1);
        // The address stands already, perhaps elsewhere.
        other.changes[2].action = Action::Move;
        assert!(Schedule::of(&other, NEW, &BTreeSet::new()).brought.is_empty());
        let mut other = plan(2);
        // The address is the primary one of another interface than the one it is on.
        let wrong = other.changes[6].fields.clone();
        other.changes[2].fields = wrong;
        assert_eq!(Schedule::of(&other, NEW, &BTreeSet::new()).brought.len(), 1);
    }

    #[test]
    fn for_an_interface_that_was_refused_lately_nothing_is_made_beforehand() {
        let plan = plan(2);
        let refused = BTreeSet::from([plan.changes[1].key.clone()]);
        let brought = Schedule::of(&plan, NEW, &refused).brought;
        assert_eq!(brought.into_keys().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn many_hosts_are_written_in_cohorts_and_everything_once() {
        for version in [OLD, NEW] {
            let plan = plan(4 * COHORT);
            let schedule = Schedule::of(&plan, version, &BTreeSet::new());
            let mut written: Vec<(usize, Field)> = Vec::new();
            let mut made: Vec<usize> = Vec::new();
            for (place, wave) in schedule.waves.iter().enumerate() {
                let hosts: BTreeSet<&str> =
                    wave.steps.iter().map(|step| &*plan.changes[step.change].label).collect();
                assert!(hosts.len() <= COHORT, "{} {}", wave.kind, hosts.len());
                made.extend(wave.steps.iter().filter(|s| s.creates).map(|step| step.change));
                let sent = wave.steps.iter().filter(|_| !schedule.given.contains(&place));
                let sent = sent.flat_map(|step| step.fields.iter().map(|f| (step.change, *f)));
                written.extend(sent);
            }
            made.sort_unstable();
            assert_eq!(made, (0..plan.changes.len()).collect::<Vec<_>>());
            let twice = written.len() - written.iter().collect::<BTreeSet<_>>().len();
            assert_eq!(twice, 0);
        }
    }

    #[test]
    fn deletions_are_never_cut() {
        let gone =
            (0..4 * COHORT).map(|n| change(Action::Delete, Kind::Device, &format!("{n:04}"), &[]));
        let plan = Plan { changes: gone.collect(), ..Plan::default() };
        assert_eq!(Schedule::of(&plan, NEW, &BTreeSet::new()).waves.len(), 1);
    }
}
