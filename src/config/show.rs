//! The settings in effect, as a file that says where each value comes from.
//! Secrets are left out.

use std::collections::BTreeSet;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::complaint::{Complaints, is_secret};
use super::environment::Environment;
use super::layers::{Layers, ways_of_secret};
use super::path::KeyPath;
use super::{locate, sources};

/// The settings in effect: every key with its value, and whether that comes from the
/// file, from a variable, or is the default.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn show(explicit: Option<&std::path::Path>) -> Result<String, Complaints> {
    show_in(explicit, &Environment::read())
}

pub(super) fn show_in(
    explicit: Option<&std::path::Path>,
    environment: &Environment,
) -> Result<String, Complaints> {
    // What cannot be used is not shown as if it could.
    super::load_in(explicit, environment)?;
    let file = locate(explicit, environment)?;
    let read = file.as_ref().map(|(path, text)| (path.as_path(), text.clone()));
    let mut layers = Layers::read(read, environment)?;
    let sections = layers.sections();
    let mut document = toml_edit::ser::to_document(&sections).unwrap_or_default();
    let origins = Origins { layers: &layers, name: |path| path.to_string() };
    unfold(document.as_table_mut());
    origins.tell_table(document.as_table_mut(), &KeyPath::default());
    let mut text = match layers.path() {
        Some(path) => format!("# {}\n\n", path.display()),
        None => "# There is no configuration file; these are the defaults.\n\n".to_owned(),
    };
    text.push_str(&document.to_string());
    text.push_str(&sources_of(&layers));
    Ok(text)
}

/// Tables that were written in one line become tables of their own.
fn unfold(table: &mut Table) {
    for (_, item) in table.iter_mut() {
        if item
            .as_inline_table()
            .is_some_and(|inner| inner.len() != 2 || !inner.contains_key("count"))
        {
            let made = std::mem::take(item).into_table();
            *item = made.map_or_else(|item| item, Item::Table);
        }
        let all_tables = |array: &toml_edit::Array| {
            !array.is_empty() && array.iter().all(Value::is_inline_table)
        };
        if item.as_array().is_some_and(all_tables) {
            let made = std::mem::take(item).into_array_of_tables();
            *item = made.map_or_else(|item| item, Item::ArrayOfTables);
        }
        match item {
            Item::Table(inner) => unfold(inner),
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(unfold),
            _ => {}
        }
    }
}

/// Knows where values come from.
struct Origins<'a, N: Fn(&KeyPath) -> String> {
    layers: &'a Layers,
    /// The path by which variables know a key.
    name: N,
}

impl<N: Fn(&KeyPath) -> String> Origins<'_, N> {
    fn tell_table(&self, table: &mut Table, path: &KeyPath) {
        for (key, item) in table.iter_mut() {
            let path = path.key(key.get());
            match item {
                Item::Table(inner) => self.tell_table(inner, &path),
                Item::ArrayOfTables(tables) => {
                    for (index, inner) in tables.iter_mut().enumerate() {
                        self.tell_table(inner, &path.index(index));
                    }
                }
                Item::Value(value) => self.tell(value, &path),
                Item::None => {}
            }
        }
    }

    fn tell(&self, value: &mut Value, path: &KeyPath) {
        let variable = self.layers.variables.get(&(self.name)(path));
        let origin = match (variable, self.layers.line(path)) {
            (Some((variable, _)), _) => variable.clone(),
            (None, Some(line)) => format!("line {line}"),
            (None, None) => "default".to_owned(),
        };
        value.decor_mut().set_suffix(format!("  # {origin}"));
    }
}

/// The sources as they stand in the file and the environment. Their defaults are their own.
fn sources_of(layers: &Layers) -> String {
    let Some(Item::ArrayOfTables(mut tables)) = layers.table().get("source").cloned() else {
        return String::new();
    };
    for (index, table) in tables.iter_mut().enumerate() {
        let path = KeyPath::root("source").index(index);
        let name = table.get("name").or_else(|| table.get("kind")).and_then(Item::as_str);
        let variables = format!("source.{}.", sources::folded(name.unwrap_or_default()));
        let set = layers.variables.iter().filter_map(|(path, (_, text))| {
            path.strip_prefix(&variables).map(|key| (key.to_owned(), text))
        });
        for (key, text) in set {
            for other in ways_of_secret(&key) {
                KeyPath::default().join(&other).remove(table);
            }
            sources::put(table, &key, Value::from(text));
        }
        redact(table);
        let below = format!("{path}.");
        let name = |key: &KeyPath| key.to_string().replacen(&below, &variables, 1);
        Origins { layers, name }.tell_table(table, &path);
        table.decor_mut().set_prefix("\n");
    }
    let mut document = DocumentMut::new();
    document.insert("source", Item::ArrayOfTables(tables));
    document.to_string()
}

/// Takes secrets out of a source's table: what is called like one, and users in addresses.
fn redact(table: &mut Table) {
    let keys: BTreeSet<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for key in keys {
        let Some(item) = table.get_mut(&key) else { continue };
        match item {
            Item::Table(inner) if !is_secret(&key) => redact(inner),
            Item::Value(value) if !is_secret(&key) => redact_address(value),
            item => *item = toml_edit::value("[redacted]"),
        }
    }
}

fn redact_address(value: &mut Value) {
    match value {
        Value::Array(array) => array.iter_mut().for_each(redact_address),
        Value::InlineTable(inner) => {
            for (key, value) in inner.iter_mut() {
                if is_secret(key.get()) {
                    *value = "[redacted]".into();
                } else {
                    redact_address(value);
                }
            }
        }
        Value::String(text) => {
            let url = url::Url::parse(text.value()).ok();
            if url.is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
                *value = "[redacted]".into();
            }
        }
        _ => {}
    }
}
