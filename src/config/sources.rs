//! `[[source]]` tables become sources: the keys that all share, then the kind's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::IntoDeserializer;
use toml_edit::{Array, Item, Table, Value};

use super::file::Shared;
use super::layers::{Layers, told, ways_of_secret};
use super::path::KeyPath;
use crate::collect::{BuildContext, Collector, KINDS, Refusal, SourceKind};
use crate::domain::name::SourceName;
use crate::domain::observation::{Authority, Segment};
use crate::suggest::did_you_mean;

/// A source that is ready to be asked.
#[derive(Clone)]
pub struct Source {
    /// Its name.
    pub name: SourceName,
    /// Its kind.
    pub kind: &'static str,
    /// The segment that its addresses are in, unless it knows better.
    pub segment: Segment,
    /// How long it may take.
    pub deadline: Duration,
    /// What asks it.
    pub collector: Arc<dyn Collector>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// The sources, and the names of all that are configured, asked or not.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) asked: Vec<Source>,
    pub(super) names: BTreeSet<SourceName>,
}

/// A table of one source on its way to become one.
struct Draft {
    path: KeyPath,
    table: Table,
    shared: Shared,
}

impl Sources {
    /// Reads all tables.
    pub(super) fn read(
        layers: &mut Layers,
        deadline: Duration,
        credentials: Option<&Path>,
    ) -> Self {
        let mut sources = Sources::default();
        let drafts = drafts(layers);
        let names: Vec<Option<Name>> =
            drafts.iter().map(|draft| name_of(draft, layers, &mut sources.names)).collect();
        let overrides = Overrides::of(layers, &sources.names);
        for (draft, name) in drafts.into_iter().zip(names) {
            let Some(Name { name, is_free }) = name else { continue };
            let variables = overrides.of.get(&name).cloned().unwrap_or_default();
            let wanted = Wanted { name, variables, deadline, credentials };
            // What cannot be called so is built all the same: it may hold more mistakes.
            sources.asked.extend(wanted.build(draft, layers).filter(|_| is_free));
        }
        for (variable, message) in overrides.strangers {
            layers.complain_of_variable(&variable, message);
        }
        sources
    }
}

/// The tables, each parted into the keys that all share and the kind's own.
fn drafts(layers: &mut Layers) -> Vec<Draft> {
    let root = KeyPath::root("source");
    let tables: Vec<Table> = match layers.table().get("source") {
        None => return Vec::new(),
        Some(Item::ArrayOfTables(tables)) => tables.iter().cloned().collect(),
        Some(Item::Value(Value::Array(array))) if array.iter().all(Value::is_inline_table) => array
            .iter()
            .filter_map(|value| Some(value.as_inline_table()?.clone().into_table()))
            .collect(),
        Some(_) => {
            layers.complain(&root, "a source begins with [[source]] in double brackets");
            return Vec::new();
        }
    };
    let draft = |(index, mut table): (usize, Table)| {
        let path = root.index(index);
        let shared = shared(&mut table, &path, layers);
        Draft { path, table, shared }
    };
    tables.into_iter().enumerate().map(draft).collect()
}

/// Takes the keys that all sources share out of a table.
fn shared(table: &mut Table, path: &KeyPath, layers: &mut Layers) -> Shared {
    let mut own = Table::new();
    for key in Shared::KEYS {
        if let Some((key, item)) = table.remove_entry(key) {
            own.insert_formatted(&key, item);
        }
    }
    for _ in Shared::KEYS {
        let value = Value::InlineTable(own.clone().into_inline_table());
        match serde_path_to_error::deserialize::<_, Shared>(value.into_deserializer()) {
            Ok(shared) => return shared,
            Err(error) => {
                let within = KeyPath::default().extend(error.path());
                layers.complain_of_shape(&path.extend(error.path()), error.inner().message());
                within.remove(&mut own);
            }
        }
    }
    Shared::default()
}

/// What a source is called.
struct Name {
    name: SourceName,
    /// Whether it may be called so.
    is_free: bool,
}

/// A source's name, where it says what it is.
fn name_of(draft: &Draft, layers: &mut Layers, taken: &mut BTreeSet<SourceName>) -> Option<Name> {
    let key = draft.path.key("name");
    let name = match (&draft.shared.name, &draft.shared.kind) {
        (Some(name), _) => name.0.clone(),
        // A kind that is no name is unknown: nothing else will come of it.
        (None, Some(kind)) => match kind.parse() {
            Ok(name) => name,
            Err(_) => return "unknown".parse().ok().map(|name| Name { name, is_free: false }),
        },
        (None, None) => {
            layers.miss(&draft.path.key("kind"), format!("this source has no `kind`; {}", kinds()));
            return None;
        }
    };
    let words = || Authority::ALL.iter().map(|authority| authority.as_str());
    if words().any(|word| word == name.as_str()) {
        layers.complain(
            &key,
            format!("a source cannot be called `{name}`: [ranking] uses this word"),
        );
        return Some(Name { name, is_free: false });
    }
    if taken.iter().any(|other| folded(other.as_str()) == folded(name.as_str())) {
        layers.complain(
            &key,
            format!("another source is called `{name}`; give this one a `name` of its own"),
        );
        return Some(Name { name, is_free: false });
    }
    taken.insert(name.clone());
    Some(Name { name, is_free: true })
}

/// A source's name as it can stand in a variable's.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

fn kinds() -> String {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    format!("the kinds are {}", names.join(", "))
}

/// Variables by the source whose keys they set.
#[derive(Default)]
struct Overrides {
    of: BTreeMap<SourceName, BTreeMap<String, (String, String)>>,
    strangers: Vec<(String, String)>,
}

impl Overrides {
    fn of(layers: &Layers, names: &BTreeSet<SourceName>) -> Self {
        let mut overrides = Overrides::default();
        for (path, (variable, value)) in &layers.variables {
            let Some(rest) = path.strip_prefix("source.") else {
                continue;
            };
            let (source, key) = rest.split_once('.').unwrap_or((rest, ""));
            match names.iter().find(|name| folded(name.as_str()) == source) {
                Some(name) if !key.is_empty() => {
                    let keys = overrides.of.entry(name.clone()).or_default();
                    keys.insert(key.to_owned(), (variable.clone(), value.clone()));
                }
                Some(_) => overrides
                    .strangers
                    .push((variable.clone(), "it names a source but none of its keys".to_owned())),
                None => {
                    let folded: Vec<String> =
                        names.iter().map(|name| folded(name.as_str())).collect();
                    let tip = did_you_mean(source, folded.iter().map(String::as_str));
                    let message = format!("no source is called `{source}`{tip}");
                    overrides.strangers.push((variable.clone(), message));
                }
            }
        }
        overrides
    }
}

/// What else a source is made of.
struct Wanted<'a> {
    name: SourceName,
    /// Variables by the key that they set.
    variables: BTreeMap<String, (String, String)>,
    deadline: Duration,
    credentials: Option<&'a Path>,
}

/// What a variable's text can mean: a text, a value in TOML, a list with commas. Only
/// the kind knows which, so they are tried in this order.
struct Reading<'a> {
    variable: &'a str,
    value: Value,
    /// The other meanings, the next one last.
    left: Vec<Value>,
    /// What was wrong with the first meaning.
    first: Option<String>,
}

impl<'a> Reading<'a> {
    fn new(variable: &'a str, text: &str) -> Self {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let list = Value::Array(parts.collect::<Array>());
        let left = [Some(list), text.trim().parse().ok()].into_iter().flatten().collect();
        Reading { variable, value: Value::from(text), left, first: None }
    }

    /// Goes on to the next meaning. Where none is left, gives the variable and what was
    /// wrong with the first one.
    fn next(&mut self, wrong: &str) -> Result<(), (String, String)> {
        let first = self.first.get_or_insert_with(|| wrong.to_owned());
        match self.left.pop() {
            Some(value) if !wrong.starts_with("unknown key") => {
                self.value = value;
                Ok(())
            }
            _ => Err((self.variable.to_owned(), first.clone())),
        }
    }
}

impl Wanted<'_> {
    fn build(mut self, mut draft: Draft, layers: &mut Layers) -> Option<Source> {
        self.take_shared(&mut draft.shared, layers);
        let kind = self.kind(&draft, layers)?;
        if !draft.shared.enabled {
            return None;
        }
        for key in self.variables.keys().flat_map(|key| ways_of_secret(key)) {
            KeyPath::default().join(&key).remove(&mut draft.table);
        }
        let collector = self.collector(kind, &draft, layers)?;
        Some(Source {
            kind: kind.name,
            segment: Segment::named(&draft.shared.segment),
            deadline: draft.shared.deadline.map_or(self.deadline, |period| period.0),
            collector: Arc::from(collector),
            name: self.name,
        })
    }

    /// Lays variables over the keys that all sources share.
    fn take_shared(&mut self, shared: &mut Shared, layers: &mut Layers) {
        for key in Shared::KEYS {
            let Some((variable, text)) = self.variables.remove(key) else {
                continue;
            };
            let wrong = match key {
                "enabled" => text
                    .parse()
                    .map(|yes| shared.enabled = yes)
                    .err()
                    .map(|_| "expected true or false".to_owned()),
                "segment" => {
                    shared.segment = text;
                    None
                }
                "deadline" => text
                    .parse()
                    .map(|period| shared.deadline = Some(period))
                    .err()
                    .map(|error| error.to_string()),
                _ => Some("this key can only be set in the file".to_owned()),
            };
            if let Some(message) = wrong {
                layers.complain_of_variable(&variable, message);
            }
        }
    }

    fn kind(&self, draft: &Draft, layers: &mut Layers) -> Option<&'static SourceKind> {
        let path = draft.path.key("kind");
        let Some(name) = &draft.shared.kind else {
            layers.miss(&path, format!("this source has no `kind`; {}", kinds()));
            return None;
        };
        let kind = KINDS.iter().find(|kind| kind.name == name);
        if kind.is_none() {
            let shown = crate::domain::name::visible(name, 60);
            let tip = match did_you_mean(name, KINDS.iter().map(|kind| kind.name)) {
                none if none.is_empty() => format!("; {}", kinds()),
                tip => tip,
            };
            layers.complain(&path, format!("unknown kind `{shown}`{tip}"));
        }
        kind
    }

    /// Builds the collector, mistake by mistake: what has the wrong shape is noted and
    /// taken out, so that the next one is seen as well.
    fn collector(
        &self,
        kind: &SourceKind,
        draft: &Draft,
        layers: &mut Layers,
    ) -> Option<Box<dyn Collector>> {
        let context = BuildContext { source: &self.name, credentials: self.credentials };
        let mut table = draft.table.clone();
        let mut texts: BTreeMap<&str, Reading> = self
            .variables
            .iter()
            .map(|(key, (variable, text))| (key.as_str(), Reading::new(variable, text)))
            .collect();
        let mut whole = true;
        for _ in 0..100 {
            let mut overlaid = table.clone();
            for (key, reading) in &texts {
                put(&mut overlaid, key, reading.value.clone());
            }
            let value = Value::InlineTable(overlaid.into_inline_table());
            let problem = match (kind.build)(value.into_deserializer(), &context) {
                Ok(collector) => return whole.then_some(collector),
                Err(Refusal::Values(problems)) => {
                    self.complain_of_values(&problems, draft, layers);
                    return None;
                }
                Err(Refusal::Shape(problem)) => problem,
            };
            let within = KeyPath::default().join(&problem.key);
            let blamed =
                texts.keys().copied().find(|key| KeyPath::default().join(key).holds(&within));
            if let Some(key) = blamed {
                let message = told(&draft.path.join(&problem.key), &problem.message);
                if let Some(Err(variable)) =
                    texts.get_mut(key).map(|reading| reading.next(&message))
                {
                    layers.complain_of_variable(&variable.0, variable.1);
                    texts.remove(key);
                    whole = false;
                }
                continue;
            }
            layers.complain_of_shape(&draft.path.join(&problem.key), &problem.message);
            whole = false;
            // A key that is missing cannot be taken out: the kind says nothing more.
            if !within.remove(&mut table) {
                return None;
            }
        }
        None
    }

    fn complain_of_values(
        &self,
        problems: &[crate::collect::Problem],
        draft: &Draft,
        layers: &mut Layers,
    ) {
        for problem in problems {
            match self.variables.get(&problem.key) {
                Some((variable, _)) => layers.complain_of_variable(variable, &problem.message),
                None => layers.miss(&draft.path.join(&problem.key), &problem.message),
            }
        }
    }
}

/// Puts a value at a dotted key, making tables on the way.
pub(super) fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key, Item::Value(value))),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Item::Table(Table::new()));
            if let Some(inline) = inner.as_inline_table().cloned() {
                *inner = Item::Table(inline.into_table());
            }
            if let Some(inner) = inner.as_table_mut() {
                put(inner, rest, value);
            }
        }
    }
}
