//! The story of one thing, from what was said to what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::find::Thing;
use crate::cli::plan::Names;
use crate::domain::identity::{Grade, Identifier, Serial, Uuid};
use crate::domain::inventory::{Inventory, LoneAddress, MergedHost, Seen, Verdict};
use crate::domain::object::{DesiredObject, Field, Kind};
use crate::domain::observation::{Authority, Host, HostAttribute, Observation};
use crate::domain::plan::Action;
use crate::engine::Draft;

/// Everything that is to be told of one thing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Story {
    /// What it is, in one line.
    title: String,
    /// Which object stands for it, or why none does.
    stands: String,
    /// What each source said.
    said: Vec<Saying>,
    /// Which evidence joined what.
    joined: Vec<Evidence>,
    /// What was vetoed, contested or not believed.
    refused: Vec<String>,
    /// Which value won each attribute.
    values: Vec<Won>,
    /// What became of it, field by field.
    objects: Vec<Became>,
    /// What a person should settle.
    questions: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Saying {
    source: String,
    authority: String,
    evidence: String,
    at: String,
    what: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Evidence {
    identifier: String,
    grade: String,
    by: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Won {
    attribute: String,
    value: String,
    by: String,
    others: Vec<String>,
    /// Which field it became, or why none.
    became: String,
}

#[derive(Debug, Clone, Serialize)]
struct Became {
    object: String,
    state: String,
    fields: Vec<FieldStory>,
}

#[derive(Debug, Clone, Serialize)]
struct FieldStory {
    field: String,
    wanted: String,
    by: String,
    state: String,
}

pub(super) fn tell(thing: &Thing, draft: &Draft) -> Story {
    match thing {
        Thing::Host(place) => of_host(*place, draft),
        Thing::Address(place) => of_address(&draft.picture.inventory.addresses[*place], draft),
        Thing::Object(kind, id) => of_object(*kind, *id, draft),
    }
}

fn of_host(place: usize, draft: &Draft) -> Story {
    let inventory = &draft.picture.inventory;
    let host = &inventory.hosts[place];
    let form = host.form.map_or("thing of unknown form", |form| match form {
        crate::domain::observation::Form::Device => "device",
        crate::domain::observation::Form::VirtualMachine => "virtual machine",
        crate::domain::observation::Form::Container => "container",
    });
    let name = host.text(HostAttribute::Name).or_else(|| host.text(HostAttribute::DnsName));
    let stands = match (draft.matches.hosts.get(&place), draft.matches.held.get(&place)) {
        (Some(((kind, id), by)), _) => {
            let live = draft.world.get(*kind, *id).map_or("", |live| live.name());
            format!("stands as {} {id} `{live}`, found by {by}", kind.label())
        }
        (None, Some(why)) => format!("nothing is made of it: {why}"),
        (None, None) => "nothing stands for it yet".to_owned(),
    };
    let seen: BTreeSet<Seen> = host.seen.iter().copied().collect();
    Story {
        title: format!("{} is a {form} ({})", name.unwrap_or("what has no name"), host.key),
        stands,
        said: host.seen.iter().map(|seen| saying(inventory.observation(*seen))).collect(),
        joined: joined(host, inventory),
        refused: refused(&seen, Some(host), inventory),
        values: values(place, host, draft),
        objects: objects(place, host, draft),
        questions: questions(
            draft,
            &host.key.0,
            host.identifiers.iter().map(ToString::to_string).collect(),
        ),
    }
}

fn of_address(lone: &LoneAddress, draft: &Draft) -> Story {
    let inventory = &draft.picture.inventory;
    let address = &lone.address;
    let why = match lone.mac {
        Some(mac) => format!(
            "it answered from {mac}, which software made up and which is no evidence of a device"
        ),
        None => "nothing tells which device has it".to_owned(),
    };
    let seen: BTreeSet<Seen> = address.seen.iter().copied().collect();
    let ip = address.ip.to_string();
    let of_its_own = format!("ip:{ip}");
    let is_of_its_own = |object: &DesiredObject| {
        let name = object.key.as_str().split_once(':').map_or("", |(_, name)| name);
        let host = name.split('#').next();
        matches!(object.kind, Kind::Device | Kind::Interface) && host == Some(&of_its_own)
    };
    let objects = draft.desired.objects.values().filter(|object| {
        let text = object.fields.get(&Field::Address).and_then(|want| want.value.as_text());
        let is_it = object.kind == Kind::IpAddress
            && text.and_then(|text| text.split('/').next()) == Some(ip.as_str());
        is_it || is_of_its_own(object)
    });
    let is_device = objects.clone().any(|object| object.kind == Kind::Device);
    Story {
        title: format!("{ip} is an address alone: {why}"),
        stands: match is_device {
            true => "a device of its own is made of it, as the configuration wants it".to_owned(),
            false => "no device is made of it".to_owned(),
        },
        said: address.seen.iter().map(|seen| saying(inventory.observation(*seen))).collect(),
        joined: Vec::new(),
        refused: refused(&seen, None, inventory),
        values: Vec::new(),
        objects: objects.map(|object| became(object, draft)).collect(),
        questions: questions(draft, &ip, BTreeSet::from([format!("ip:{ip}")])),
    }
}

fn of_object(kind: Kind, id: u64, draft: &Draft) -> Story {
    let name = draft.world.get(kind, id).map_or("", |live| live.name());
    let sighting =
        draft.sightings.get(&(kind, id)).filter(|sighting| !sighting.witnesses.is_empty());
    let stands = sighting.map_or_else(
        || "no source spoke of it in this run; it is left as it is".to_owned(),
        |sighting| {
            let witnesses: BTreeSet<String> =
                sighting.witnesses.keys().map(|(source, _)| source.to_string()).collect();
            format!(
                "last seen by {}; missed in {} runs that looked where it should be",
                witnesses.into_iter().collect::<Vec<_>>().join(", "),
                sighting.misses
            )
        },
    );
    Story {
        title: format!("{} {id} `{name}` stands", kind.label()),
        stands,
        said: Vec::new(),
        joined: Vec::new(),
        refused: Vec::new(),
        values: Vec::new(),
        objects: Vec::new(),
        questions: questions(draft, &format!("netbox:{kind}/{id}"), BTreeSet::new()),
    }
}

fn saying(observation: &Observation) -> Saying {
    let what = match &observation.thing {
        crate::domain::observation::Thing::Host(host) => stated(host),
        _ => Vec::new(),
    };
    Saying {
        source: observation.source.to_string(),
        authority: observation.authority.to_string(),
        evidence: observation.evidence.to_string(),
        at: observation.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        what,
    }
}

/// What a host is said to be, in short texts.
fn stated(host: &Host) -> Vec<String> {
    let mut what: Vec<String> =
        host.key.iter().chain(&host.aliases).map(|key| format!("key {key}")).collect();
    what.extend(host.facts.iter().map(|(attribute, value)| format!("{attribute} {value}")));
    for interface in &host.interfaces {
        let mut parts: Vec<String> = interface.name.iter().map(ToString::to_string).collect();
        parts.extend(interface.mac.map(|mac| mac.to_string()));
        parts.extend(interface.addresses.iter().map(|address| match address.prefix_len {
            Some(length) => format!("{}/{length}", address.ip),
            None => address.ip.to_string(),
        }));
        if !parts.is_empty() {
            what.push(format!("interface {}", parts.join(" ")));
        }
    }
    what.extend(host.services.iter().map(|service| {
        let ports: Vec<String> = service.ports.iter().map(ToString::to_string).collect();
        format!("service {} {}/{}", service.name, service.protocol, ports.join(","))
    }));
    what
}

/// Identifiers with the sources that state each; what two or more state is what joined them.
fn joined(host: &MergedHost, inventory: &Inventory) -> Vec<Evidence> {
    let mut by: BTreeMap<Identifier, BTreeSet<String>> = BTreeMap::new();
    let mut strengthened: BTreeSet<Identifier> = BTreeSet::new();
    for &seen in &host.seen {
        let observation = inventory.observation(seen);
        let Some(stated) = inventory.stated_host(seen) else { continue };
        for identifier in identifiers(stated) {
            if observation.authority == Authority::Hypervisor && identifier.grade() == Grade::Weak {
                strengthened.insert(identifier.clone());
            }
            let who = format!("{} ({})", observation.source, observation.evidence);
            by.entry(identifier).or_default().insert(who);
        }
    }
    let mut evidence: Vec<Evidence> = by
        .into_iter()
        .filter(|(identifier, _)| identifier.grade() != Grade::Excluded)
        .map(|(identifier, by)| Evidence {
            grade: match identifier.grade() {
                _ if host.identifiers.contains(&identifier)
                    && strengthened.contains(&identifier) =>
                {
                    "strong: a hypervisor's configuration states it".to_owned()
                }
                grade @ (Grade::Native | Grade::Strong)
                    if !host.identifiers.contains(&identifier) =>
                {
                    format!("{grade}, but it joins nothing here")
                }
                grade => grade.to_string(),
            },
            identifier: identifier.to_string(),
            by: by.into_iter().collect(),
        })
        .collect();
    let attached = inventory.verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Attached { seen, identifier, host: to } if *to == host.key => {
            let observation = inventory.observation(*seen);
            Some(Evidence {
                identifier: identifier.to_string(),
                grade: "weak: attached, for only this host has it".to_owned(),
                by: vec![format!("{} ({})", observation.source, observation.evidence)],
            })
        }
        _ => None,
    });
    evidence.extend(attached);
    evidence
}

fn identifiers(host: &Host) -> Vec<Identifier> {
    let text = |attribute| host.facts.get(&attribute).and_then(|value| value.as_text());
    let mut all: Vec<Identifier> =
        host.key.iter().chain(&host.aliases).cloned().map(Identifier::Native).collect();
    all.extend(text(HostAttribute::Uuid).and_then(Uuid::parse).map(Identifier::Uuid));
    if let (Some(maker), Some(number)) =
        (text(HostAttribute::Manufacturer), text(HostAttribute::Serial))
    {
        all.extend(Serial::new(maker, number).map(Identifier::Serial));
    }
    all.extend(host.interfaces.iter().filter_map(|interface| interface.mac).map(Identifier::Mac));
    all
}

/// Verdicts that concern any of these observations, and claims to a host's addresses that
/// were not believed.
fn refused(seen: &BTreeSet<Seen>, host: Option<&MergedHost>, inventory: &Inventory) -> Vec<String> {
    let sources = |places: &[Seen]| -> String {
        let names: BTreeSet<String> = places
            .iter()
            .map(|place| {
                let observation = inventory.observation(*place);
                format!("{} ({})", observation.source, observation.evidence)
            })
            .collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let concerns = |places: &[Seen]| places.iter().any(|place| seen.contains(place));
    inventory
        .verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Contested { identifier, seen, because } if concerns(seen) => Some(format!(
                "{identifier} joins nothing, for {because}; stated by {}",
                sources(seen)
            )),
            Verdict::Vetoed { seen, because } if concerns(seen) => {
                Some(format!("not joined, for {because}; stated by {}", sources(seen)))
            }
            Verdict::Address { ip, owner, seen, .. }
                if concerns(seen) || host.is_some_and(|host| owner.as_ref() == Some(&host.key)) =>
            {
                let owner = owner
                    .as_ref()
                    .map_or_else(|| "nobody, for claims are equal".to_owned(), ToString::to_string);
                Some(format!("{ip} was given to {owner}; not believed: {}", sources(seen)))
            }
            _ => None,
        })
        .collect()
}

fn values(place: usize, host: &MergedHost, draft: &Draft) -> Vec<Won> {
    let inventory = &draft.picture.inventory;
    let by = |seen: Seen| {
        let observation = inventory.observation(seen);
        format!("{}: {}", observation.source, observation.evidence)
    };
    let is_main = |object: &&DesiredObject| {
        object.host == Some(place) && matches!(object.kind, Kind::Device | Kind::VirtualMachine)
    };
    let main = draft.desired.objects.values().find(is_main);
    let attributes = host.facts.iter().map(|(attribute, fact)| Won {
        attribute: attribute.to_string(),
        value: fact.value().to_string(),
        by: by(fact.winner().seen),
        others: fact.claims()[1..]
            .iter()
            .map(|claim| format!("{} ({})", claim.value, by(claim.seen)))
            .collect(),
        became: field_for(*attribute, main),
    });
    let on = host
        .interfaces
        .iter()
        .flat_map(|interface| interface.addresses.iter().map(move |address| (interface, address)));
    let addresses = on.map(|(interface, address)| {
        let name = interface.name.as_deref().unwrap_or("an interface that nobody names");
        let mut sources = address.seen.iter().map(|seen| by(*seen));
        Won {
            attribute: "address".to_owned(),
            value: format!("{} on {name}", address.ip),
            by: sources.next().unwrap_or_default(),
            others: Vec::new(),
            became: match main {
                Some(_) => "an IP address on it".to_owned(),
                None => NOTHING_MADE.to_owned(),
            },
        }
    });
    attributes.chain(addresses).collect()
}

const NOTHING_MADE: &str = "nothing: no object is made of the host";

/// The field that an attribute becomes, or why none.
fn field_for(attribute: HostAttribute, main: Option<&DesiredObject>) -> String {
    let field = match attribute {
        HostAttribute::Name => Field::Name,
        HostAttribute::DnsName => return "a name, and its addresses' dns_name".to_owned(),
        HostAttribute::Uuid => {
            return "nothing: it identifies, and NetBox has no field for it".to_owned();
        }
        HostAttribute::Status => Field::Status,
        HostAttribute::Manufacturer | HostAttribute::Model | HostAttribute::PartNumber => {
            Field::DeviceType
        }
        HostAttribute::Serial => Field::Serial,
        HostAttribute::AssetTag => Field::AssetTag,
        HostAttribute::Platform => Field::Platform,
        HostAttribute::Role => Field::Role,
        HostAttribute::Description => Field::Description,
        HostAttribute::Comments => Field::Comments,
        HostAttribute::Site => Field::Site,
        HostAttribute::Location => Field::Location,
        HostAttribute::Tenant => Field::Tenant,
        HostAttribute::Vcpus => Field::Vcpus,
        HostAttribute::Memory => Field::Memory,
        HostAttribute::Disk => Field::Disk,
        HostAttribute::Cluster => Field::Cluster,
        HostAttribute::RunsOn => Field::Device,
        HostAttribute::Parent => Field::Via,
        HostAttribute::Tags => Field::Tags,
    };
    match main {
        None => NOTHING_MADE.to_owned(),
        Some(object) if object.fields.contains(&field) => field.to_string(),
        Some(object) => {
            let kind = object.kind.label();
            format!("nothing: {field} is not written of this {kind}")
        }
    }
}

fn objects(place: usize, host: &MergedHost, draft: &Draft) -> Vec<Became> {
    let suffix = format!("{}#", host.key);
    let belongs = |object: &&DesiredObject| {
        object.host == Some(place)
            || object
                .key
                .as_str()
                .split_once(':')
                .is_some_and(|(_, rest)| rest.starts_with(&suffix))
    };
    let mut found: Vec<&DesiredObject> = draft.desired.objects.values().filter(belongs).collect();
    let addresses: BTreeSet<String> = host
        .interfaces
        .iter()
        .flat_map(|interface| &interface.addresses)
        .map(|address| address.ip.to_string())
        .collect();
    found.extend(draft.desired.objects.values().filter(|object| {
        let text = object.fields.get(&Field::Address).and_then(|want| want.value.as_text());
        object.kind == Kind::IpAddress
            && text.and_then(|text| text.split('/').next()).is_some_and(|ip| addresses.contains(ip))
    }));
    found.sort_by_key(|object| (object.kind, object.key.clone()));
    found.into_iter().map(|object| became(object, draft)).collect()
}

fn became(object: &DesiredObject, draft: &Draft) -> Became {
    let names = Names { world: Some(&draft.world), desired: Some(&draft.desired) };
    let id = draft.resolved.id(&object.key);
    let live = id.and_then(|id| draft.world.get(object.kind, id));
    let change = draft
        .plan
        .changes
        .iter()
        .find(|change| change.key == object.key && change.kind == object.kind);
    let state = match (live, change.map(|change| change.action)) {
        (Some(live), None) => format!("stands as {} and is as it should be", live.id),
        (Some(live), Some(_)) => format!("stands as {} and will be changed", live.id),
        (None, Some(Action::Create)) => "will be made".to_owned(),
        (None, _) => "is not made".to_owned(),
    };
    let fields = object
        .fields
        .iter()
        .filter(|(field, _)| !field.is_mark())
        .map(|(field, want)| {
            let wanted = draft.resolved.value(&want.value);
            let stands = live.and_then(|live| live.fields.get(field));
            let planned = change.and_then(|change| change.fields.get(field));
            let conflict = draft.plan.conflicts.iter().find(|conflict| {
                conflict.kind == object.kind && Some(conflict.id) == id && conflict.field == *field
            });
            let state = match (planned, conflict, stands) {
                (Some(planned), _, _) if planned.before.is_blank() => "will be written".to_owned(),
                (Some(planned), _, _) => {
                    format!("will be written over `{}`", names.value(&planned.before))
                }
                (None, Some(conflict), _) => {
                    format!("kept as `{}`: a person set it", names.value(&conflict.live))
                }
                (None, None, Some(stands)) if *stands == wanted => "stands".to_owned(),
                (None, None, Some(stands)) if want.initial => {
                    format!("only a starting value; `{}` stands", names.value(stands))
                }
                (None, None, Some(stands)) => {
                    format!("`{}` stands and serves as well", names.value(stands))
                }
                (None, None, None) if live.is_some() => "this sink has no such field".to_owned(),
                (None, None, None) => "not written".to_owned(),
            };
            FieldStory {
                field: field.to_string(),
                wanted: names.value(&wanted),
                by: want.why.to_string(),
                state,
            }
        })
        .collect();
    Became { object: format!("{} {}", object.kind.label(), object.label), state, fields }
}

/// Open questions that concern a thing.
fn questions(draft: &Draft, key: &str, identifiers: BTreeSet<String>) -> Vec<String> {
    draft
        .ambiguities()
        .into_iter()
        .filter(|one| one.parties.iter().any(|party| party == key || identifiers.contains(party)))
        .map(|one| format!("{} {}: {}", one.id, one.code, one.question))
        .collect()
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.title, self.stands)?;
        section(f, "What sources said", &self.said, |f, saying| {
            writeln!(
                f,
                "  {} · {} · {} · {}",
                saying.source, saying.authority, saying.evidence, saying.at
            )?;
            saying.what.iter().try_for_each(|what| writeln!(f, "      {what}"))
        })?;
        section(f, "What joined them", &self.joined, |f, evidence| {
            writeln!(
                f,
                "  {} ({}) by {}",
                evidence.identifier,
                evidence.grade,
                evidence.by.join(", ")
            )
        })?;
        if !self.said.is_empty() {
            writeln!(f, "\nWhat was not taken")?;
            match self.refused[..] {
                [] => writeln!(f, "  nothing: no evidence speaks against another")?,
                _ => self.refused.iter().try_for_each(|line| writeln!(f, "  {line}"))?,
            }
        }
        section(f, "Which value won, and what it became", &self.values, |f, won| {
            writeln!(f, "  {:<14} {}   [{}] → {}", won.attribute, won.value, won.by, won.became)?;
            won.others.iter().try_for_each(|other| writeln!(f, "  {:<14} not {other}", ""))
        })?;
        section(f, "What became of it", &self.objects, |f, became| {
            writeln!(f, "  {} {}", became.object, became.state)?;
            became.fields.iter().try_for_each(|field| {
                writeln!(
                    f,
                    "      {:<20} {}   [{}] {}",
                    field.field, field.wanted, field.by, field.state
                )
            })
        })?;
        section(f, "What a person should settle", &self.questions, |f, line| {
            writeln!(f, "  {line}")
        })
    }
}

fn section<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: &[T],
    line: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    items.iter().try_for_each(|item| line(f, item))
}
