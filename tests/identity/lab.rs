//! A NetBox of its own for each scenario, and the agent that works on it: the whole
//! engine on the local inventory, which keeps NetBox's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use netbox_agent::collect::Harvest;
use netbox_agent::domain::coverage::Coverage;
use netbox_agent::domain::guard::Cap;
use netbox_agent::domain::object::{Field, Kind, ObjectKey, ObjectRef, Why};
use netbox_agent::domain::observation::Observation;
use netbox_agent::domain::outcome::Outcome;
use netbox_agent::domain::plan::{Action, Change, FieldChange, Plan};
use netbox_agent::domain::settings::Policy;
use netbox_agent::domain::value::{SmallMap, Value};
use netbox_agent::domain::world::{Live, World};
use netbox_agent::engine::{self, Asked, Context, Draft, Sink};
use netbox_agent::progress::{Progress, Silent};
use netbox_agent::store::{Local, RunStart, SinkId, Store};
use tokio_util::sync::CancellationToken;

use crate::scenario::{Standing, is_address};

/// A host that stands: its kind and id.
pub(crate) type HostObject = (Kind, u64);

/// The agent, its store and its inventory.
pub(crate) struct Lab {
    context: Context,
    local: Local,
    runtime: tokio::runtime::Runtime,
}

impl Lab {
    pub(crate) fn new(policy: Policy) -> Self {
        Lab::on(&Arc::new(Store::in_memory().unwrap()), policy)
    }

    /// The same NetBox and memory under another configuration.
    pub(crate) fn under(&self, policy: Policy) -> Self {
        Lab::on(&self.context.store, policy)
    }

    fn on(store: &Arc<Store>, policy: Policy) -> Self {
        let context = Context {
            policy,
            sink: Sink::local(store),
            store: Arc::clone(store),
            unasked: Vec::new(),
            allowed: Cap::ALL.iter().copied().collect::<BTreeSet<Cap>>(),
            replay: true,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Lab { context, local: Local::new(Arc::clone(store)), runtime }
    }

    pub(crate) fn world(&self) -> World {
        self.local.everything().unwrap()
    }

    /// What the agent would do about what was seen.
    pub(crate) fn draft(&self, seen: &[Observation], coverage: &[Coverage]) -> Draft {
        let mut asked: BTreeMap<_, Harvest> = BTreeMap::new();
        for observation in seen {
            let harvest = asked.entry(observation.source.clone()).or_default();
            harvest.observations.push(observation.clone());
        }
        for claim in coverage {
            asked.entry(claim.source.clone()).or_default().coverage.push(claim.clone());
        }
        let asked = asked.into_iter().map(|(source, harvest)| Asked {
            source,
            took: Duration::ZERO,
            result: Ok(harvest),
        });
        self.runtime.block_on(engine::draft(asked.collect(), &self.context)).unwrap()
    }

    /// Carries a draft out. Gives what was made, and every change that did not land.
    pub(crate) fn apply(&self, draft: &Draft) -> (BTreeMap<ObjectKey, HostObject>, Vec<String>) {
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let cancel = CancellationToken::new();
        let report =
            self.runtime.block_on(engine::apply(draft, &self.context, &progress, &cancel)).unwrap();
        let mut made = BTreeMap::new();
        let mut failed = Vec::new();
        for (change, outcome) in draft.plan.changes.iter().zip(&report.outcomes) {
            match outcome {
                Outcome::Applied { id, .. } if change.action == Action::Create => {
                    made.insert(change.key.clone(), (change.kind, *id));
                }
                Outcome::Applied { .. } => {}
                other => failed.push(format!("{} {}: {other}", change.action, change.key)),
            }
        }
        (made, failed)
    }

    /// Loses everything that the agent remembers. What stands gets new ids, in the order
    /// of the old ones; gives them by the old ones.
    pub(crate) fn forget(&mut self) -> BTreeMap<HostObject, u64> {
        let world = self.world();
        let fresh = Lab::new(self.context.policy.clone());
        let key = |kind: Kind, id: u64| ObjectKey::new(kind, id);
        let moved = |reference: &ObjectRef| match reference {
            ObjectRef::Live(kind, id) => ObjectRef::Planned(*kind, key(*kind, *id)),
            planned => planned.clone(),
        };
        let changes = world.iter().map(|live| {
            let fields = live.fields.iter().filter(|(_, value)| !value.is_blank());
            let fields = fields.map(|(field, value)| {
                let value = match value {
                    Value::Ref(reference) => Value::Ref(moved(reference)),
                    Value::Refs(refs) => Value::Refs(refs.iter().map(moved).collect()),
                    other => other.clone(),
                };
                (*field, value)
            });
            create(live.kind, key(live.kind, live.id), fields)
        });
        let changes: Vec<Change> = changes.collect();
        let ids = fresh.put(&changes);
        let old = world.iter().map(|live| (live.kind, live.id));
        let new = old.map(|object| (object, ids[&key(object.0, object.1)])).collect();
        *self = fresh;
        new
    }

    /// Writes what others made, without the agent's knowledge.
    fn put(&self, changes: &[Change]) -> BTreeMap<ObjectKey, u64> {
        let start = RunStart {
            instance: "others".into(),
            sink: SinkId::netbox(&"https://elsewhere.example".parse().unwrap()),
            purpose: "stands".into(),
            version: "0".into(),
            dry_run: false,
            started: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        let recorder = self.context.store.begin(&start).unwrap();
        let plan = Plan { changes: changes.to_vec(), ..Plan::default() };
        let outcomes = self.local.apply(&plan, &recorder, &Silent, &CancellationToken::new());
        let ids = changes.iter().zip(outcomes).map(|(change, outcome)| match outcome {
            Outcome::Applied { id, .. } => (change.key.clone(), id),
            other => panic!("{}: {other}", change.key),
        });
        ids.collect()
    }

    /// Puts up what stands before the first run; gives it by label.
    pub(crate) fn stand(&self, standings: &[Standing]) -> BTreeMap<String, HostObject> {
        let mut stage = Stage::default();
        for standing in standings {
            stage.object(standing);
        }
        let ids = self.put(&stage.changes.into_values().collect::<Vec<_>>());
        let labels = standings.iter().map(|standing| {
            let kind: Kind = standing.kind.parse().unwrap();
            (standing.label.clone(), (kind, ids[&ObjectKey::new(kind, &standing.label)]))
        });
        labels.collect()
    }

    /// A person's change of one field.
    pub(crate) fn edit(&self, object: HostObject, field: &str, value: &str) {
        let field: Field = field.parse().unwrap();
        let fields = [(field, change_to(Value::text(value)))].into_iter().collect();
        let change = Change {
            action: Action::Update,
            id: Some(object.1),
            fields,
            ..create(object.0, ObjectKey::new(object.0, object.1), [])
        };
        self.put(&[change]);
    }
}

fn change_to(after: Value) -> FieldChange {
    FieldChange { before: Value::Null, after, why: Why::Agent("it stands".into()) }
}

fn create(kind: Kind, key: ObjectKey, fields: impl IntoIterator<Item = (Field, Value)>) -> Change {
    let fields: SmallMap<Field, FieldChange> =
        fields.into_iter().map(|(field, value)| (field, change_to(value))).collect();
    let label = key.as_str().into();
    Change {
        action: Action::Create,
        kind,
        key,
        id: None,
        label,
        stamp: None,
        fields,
        unseat: Vec::new(),
        reason: "".into(),
    }
}

/// What is put up together: each site, maker and cluster once.
#[derive(Default)]
struct Stage {
    changes: BTreeMap<ObjectKey, Change>,
}

impl Stage {
    fn put(&mut self, kind: Kind, name: &str, fields: Vec<(Field, Value)>) -> Value {
        let key = ObjectKey::new(kind, name);
        self.changes.entry(key.clone()).or_insert_with(|| create(kind, key.clone(), fields));
        Value::Ref(ObjectRef::Planned(kind, key))
    }

    /// Something that is known by its name alone.
    fn plain(&mut self, kind: Kind, name: &str) -> Value {
        let slug = netbox_agent::domain::name::slug(name);
        self.put(
            kind,
            name,
            vec![(Field::Name, Value::text(name)), (Field::Slug, Value::text(slug))],
        )
    }

    fn cluster(&mut self, name: &str) -> Value {
        let kind = self.plain(Kind::ClusterType, "Proxmox VE");
        self.put(Kind::Cluster, name, vec![(Field::Name, Value::text(name)), (Field::Type, kind)])
    }

    fn object(&mut self, standing: &Standing) {
        let kind: Kind = standing.kind.parse().unwrap();
        let mut fields: Vec<(Field, Value)> = Vec::new();
        fields.extend(standing.name.as_ref().map(|name| (Field::Name, Value::text(name))));
        if let Some(address) = &standing.address {
            fields.push((Field::Address, Value::text(address)));
            fields.push((Field::Status, Value::text("active")));
        }
        if let Some(serial) = &standing.serial {
            fields.push((Field::Serial, Value::text(serial)));
        }
        if matches!(kind, Kind::Device | Kind::VirtualMachine) {
            fields.extend(self.of_host(kind, standing));
        }
        fields.extend(marks(standing, standing.key.as_deref().unwrap_or_default()));
        self.put(kind, &standing.label, fields);
        for nic in &standing.nics {
            self.nic(kind, standing, nic);
        }
    }

    fn of_host(&mut self, kind: Kind, standing: &Standing) -> Vec<(Field, Value)> {
        let status = standing.status.as_deref().unwrap_or("active");
        let mut fields = vec![(Field::Status, Value::text(status))];
        if let Some(cluster) = &standing.cluster {
            let cluster = self.cluster(cluster);
            fields.push((Field::Cluster, cluster));
        }
        if kind == Kind::Device || standing.cluster.is_none() {
            let site = self.plain(Kind::Site, standing.site.as_deref().unwrap_or("Main"));
            fields.push((Field::Site, site));
        }
        if kind == Kind::Device {
            let maker = standing.maker.as_deref().unwrap_or("Unknown");
            let model = standing.model.as_deref().unwrap_or("Unknown");
            let slug = netbox_agent::domain::name::slug(&format!("{maker} {model}"));
            let made_by = self.plain(Kind::Manufacturer, maker);
            let fields_of_type = vec![
                (Field::Model, Value::text(model)),
                (Field::Slug, Value::text(&slug)),
                (Field::Manufacturer, made_by),
            ];
            let device_type = self.put(Kind::DeviceType, &slug, fields_of_type);
            let role = self.plain(Kind::DeviceRole, "Server");
            fields.extend([(Field::DeviceType, device_type), (Field::Role, role)]);
        }
        fields
    }

    fn nic(&mut self, kind: Kind, standing: &Standing, nic: &str) {
        let words: Vec<&str> = nic.split_whitespace().collect();
        let is_mac = |word: &&str| word.parse::<netbox_agent::domain::mac::MacAddr>().is_ok();
        let name = words.iter().find(|word| !is_mac(word) && !is_address(word));
        let name = name.copied().unwrap_or("eth0");
        let owner = if kind == Kind::Device { Field::Device } else { Field::VirtualMachine };
        let nic_kind = if kind == Kind::Device { Kind::Interface } else { Kind::VmInterface };
        let host = Value::Ref(ObjectRef::Planned(kind, ObjectKey::new(kind, &standing.label)));
        let label = format!("{}#{name}", standing.label);
        let of_host = standing.key.as_deref().unwrap_or_default();
        let part = format!("{of_host}#{name}");
        let mut fields = vec![
            (Field::Name, Value::text(name)),
            (owner, host),
            (Field::Enabled, Value::Bool(true)),
        ];
        if kind == Kind::Device {
            fields.push((Field::Type, Value::text("other")));
        }
        fields.extend(marks(standing, &part));
        let on = self.put(nic_kind, &label, fields);
        for word in words.iter().filter(|word| is_mac(word)) {
            let mut fields =
                vec![(Field::MacAddress, Value::text(word)), (Field::AssignedObject, on.clone())];
            fields.extend(marks(standing, &format!("{part}/{word}")));
            self.put(Kind::MacAddress, &format!("{label}/{word}"), fields);
        }
        for word in words.iter().filter(|word| is_address(word)) {
            let mut fields = vec![
                (Field::Address, Value::text(word)),
                (Field::Status, Value::text("active")),
                (Field::AssignedObject, on.clone()),
            ];
            fields.extend(marks(standing, word.split('/').next().unwrap_or(word)));
            self.put(Kind::IpAddress, word, fields);
        }
    }
}

/// The marks of what another agent made.
fn marks(standing: &Standing, key: &str) -> Vec<(Field, Value)> {
    if standing.by == "person" {
        return Vec::new();
    }
    let mut marks = vec![
        (Field::AgentInstance, Value::text(&standing.by)),
        (Field::AgentKey, Value::text(key)),
    ];
    marks.extend(standing.source.as_ref().map(|source| (Field::AgentSource, Value::text(source))));
    marks
}

/// The name of what a field refers to, or its value, as a person reads it.
pub(crate) fn shown(world: &World, live: &Live, field: Field) -> String {
    match live.field(field) {
        Value::Ref(ObjectRef::Live(kind, id)) => {
            world.get(*kind, *id).map(|other| other.name().to_owned()).unwrap_or_default()
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The interfaces of a host.
pub(crate) fn interfaces(world: &World, host: HostObject) -> Vec<&Live> {
    let (kind, field) = match host.0 {
        Kind::Device => (Kind::Interface, Field::Device),
        _ => (Kind::VmInterface, Field::VirtualMachine),
    };
    world.of(kind).filter(|nic| nic.referenced(field) == Some(host.1)).collect()
}

/// What of a kind stands on the interfaces of a host, by name.
pub(crate) fn on_interfaces(world: &World, host: HostObject, kind: Kind) -> Vec<String> {
    let nics: BTreeSet<ObjectRef> =
        interfaces(world, host).iter().map(|nic| ObjectRef::Live(nic.kind, nic.id)).collect();
    let on = |live: &&Live| {
        live.field(Field::AssignedObject).as_ref().is_some_and(|nic| nics.contains(nic))
    };
    let names = world.of(kind).filter(on).map(|live| live.name());
    let mut names: Vec<String> =
        names.map(|name| name.split('/').next().unwrap_or(name).to_owned()).collect();
    names.sort();
    names
}
