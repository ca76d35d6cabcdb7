//! The layers: defaults, below the file, below the environment.
//!
//! The file is read strictly first, mistake by mistake: what is wrong is noted
//! and taken out, until the rest is right, so that every mistake is told at
//! once. Then the environment is laid over what is left.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Config, ConfigError};
use serde::Deserialize;
use toml_edit::{Document, DocumentMut, Item, Table, TableLike};

use super::complaint::{Complaint, Complaints, Script, is_secret};
use super::environment::Environment;
use super::file::{File, Shared};
use super::path::{KeyPath, Step};
use crate::domain::makers;
use crate::suggest::{did_you_mean, nearest};

/// More mistakes than this in one file are not worth telling at once.
const MOST: usize = 200;

/// A document while it is read: its keys, what was wrong with them, who set them.
#[derive(Debug, Default)]
pub(super) struct Layers {
    script: Option<Script>,
    /// What is right in the file so far.
    table: Table,
    /// What was taken out because it was wrong: nobody needs to be told that it is missing.
    lost: Vec<KeyPath>,
    /// Variables by the path of the key that they set.
    pub(super) variables: BTreeMap<String, (String, String)>,
    complaints: Vec<Complaint>,
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Reads a file's text, which must be TOML.
    pub(super) fn read(
        file: Option<(&Path, String)>,
        environment: &Environment,
    ) -> Result<Self, Complaints> {
        let mut layers = Layers {
            variables: environment.settings(),
            complaints: environment.complaints().collect(),
            ..Layers::default()
        };
        if let Some((path, text)) = file {
            let mut script = Script::new(path, text);
            match Document::parse(script.text().to_owned()) {
                Ok(document) => {
                    layers.table = document.as_table().clone();
                    script.hide_secrets_of(&layers.table);
                }
                Err(error) => {
                    script.hide_secrets_by_line();
                    let span = error.span().unwrap_or_default();
                    return Err(Complaints(vec![script.at(span, error.message().trim())]));
                }
            }
            layers.script = Some(script);
        }
        Ok(layers)
    }

    /// The file, where there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.script.as_ref().map(Script::path)
    }

    /// The line of the file in which a key stands.
    pub(super) fn line(&self, path: &KeyPath) -> Option<usize> {
        let spans = path.find(&self.table)?;
        let script = self.script.as_ref()?;
        spans.key.or(spans.value).map(|span| script.line(span.start))
    }

    /// Whether a secret stands in the file itself.
    pub(super) fn holds_secrets(&self) -> bool {
        self.script.as_ref().is_some_and(Script::holds_secrets)
    }

    /// What is right in the file so far.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// All sections but the sources, with the environment laid over the file.
    pub(super) fn sections(&mut self) -> File {
        let mut table = self.table.clone();
        table.remove("source");
        self.name_makers();
        let mut variables = self.variables.clone();
        variables.retain(|path, _| path != "source" && !path.starts_with("source."));
        // One way to give a secret in the environment replaces every way in the file.
        for path in variables.keys() {
            for other in ways_of_secret(path) {
                KeyPath::default().join(&other).remove(&mut table);
            }
        }
        self.strictly(&mut table);
        self.overlaid(&table, variables)
    }

    /// Finds the makers that variables mean: their names have capitals and spaces, and
    /// those of variables have none.
    fn name_makers(&mut self) {
        let in_file: Vec<String> = (self.table.get(MAKERS).and_then(Item::as_table_like))
            .map(|makers| makers.iter().map(|(name, _)| name.to_owned()).collect())
            .unwrap_or_default();
        let meant: Vec<(String, String)> = self
            .variables
            .keys()
            .filter_map(|path| Some((path.clone(), maker_of(path)?.to_owned())))
            .collect();
        for (path, folded) in meant {
            let Some((variable, value)) = self.variables.remove(&path) else { continue };
            let named = in_file.iter().find(|name| plain(name) == plain(&folded));
            let known = || makers::known(&folded.replace('_', " ")).map(str::to_owned);
            if let Some(name) = named.cloned().or_else(known) {
                self.variables.insert(format!("{MAKERS}.{name}"), (variable, value));
                continue;
            }
            let names: Vec<String> = in_file.iter().map(|name| plain(name)).collect();
            let tip = did_you_mean(&folded, names.iter().map(String::as_str));
            let end = match tip.is_empty() {
                true => "; a new one goes into the file, where its name has capitals and spaces",
                false => &tip,
            };
            self.complain_of_variable(&variable, format!("no maker is called `{folded}`{end}"));
        }
    }

    /// Reads the file alone, until nothing in it is wrong.
    fn strictly(&mut self, table: &mut Table) {
        for _ in 0..MOST {
            let document = toml_edit::de::Deserializer::from(DocumentMut::from(table.clone()));
            let Err(error) = serde_path_to_error::deserialize::<_, File>(document) else {
                return;
            };
            let path = KeyPath::default().extend(error.path());
            self.complain_of_shape(&path, error.inner().message());
            if !(path.remove(table) && path.remove(&mut self.table)) {
                return;
            }
        }
    }

    /// Lays the environment over what is right in the file.
    fn overlaid(
        &mut self,
        table: &Table,
        mut variables: BTreeMap<String, (String, String)>,
    ) -> File {
        for _ in 0..MOST {
            match layered(table, &variables) {
                Ok(file) => return file,
                Err((path, message)) => {
                    let to_blame = |known: &String| {
                        let known = key_of(known);
                        known.holds(&path) || path.holds(&known)
                    };
                    let blamed: Vec<String> =
                        variables.keys().filter(|k| to_blame(k)).cloned().collect();
                    if blamed.is_empty() {
                        self.complaints.push(Complaint::anywhere(message));
                        return File::default();
                    }
                    for key in blamed {
                        if let Some((name, _)) = variables.remove(&key) {
                            let message = told(&path, &message);
                            self.complaints.push(Complaint::in_variable(&name, message));
                        }
                        self.lost.push(key_of(&key));
                    }
                }
            }
        }
        File::default()
    }

    /// A mistake in the shape of what stands at a path, as serde told it. It counts as
    /// lost from then on.
    pub(super) fn complain_of_shape(&mut self, path: &KeyPath, message: &str) {
        if message.starts_with("unknown field") {
            // It may be a misspelt name of a secret.
            let values = path.values(&self.table);
            self.script.iter_mut().for_each(|script| script.hide(&values));
            if let (Some(around), Some(meant)) = (path.parent(), meant(path, message)) {
                self.lost.push(around.key(&meant));
            }
        }
        self.complain(path, told(path, message));
        self.lost.push(path.clone());
    }

    /// A mistake in what stands at a path, or in what should stand there.
    pub(super) fn complain(&mut self, path: &KeyPath, message: impl Into<String>) {
        let message = message.into();
        if let Some((name, _)) = self.variables.get(&path.to_string()) {
            self.complaints.push(Complaint::in_variable(name, message));
            return;
        }
        let mut around = Some(path.clone());
        while let Some(path) = around {
            if let Some(spans) = path.find(&self.table)
                && let Some(script) = &self.script
                && let Some(span) = match message.starts_with("unknown key") {
                    true => spans.key.or(spans.value),
                    false => spans.value.or(spans.key),
                }
            {
                self.complaints.push(script.at(span, message));
                return;
            }
            around = path.parent();
        }
        self.complaints.push(Complaint::anywhere(format!("{path}: {message}")));
    }

    /// A key that must be given and is not; nothing where it was given and wrong.
    pub(super) fn miss(&mut self, path: &KeyPath, message: impl Into<String>) {
        if !self.lost.iter().any(|lost| lost.holds(path) || path.holds(lost)) {
            self.complain(path, message);
        }
    }

    /// A complaint about a variable as such.
    pub(super) fn complain_of_variable(&mut self, name: &str, message: impl Into<String>) {
        self.complaints.push(Complaint::in_variable(name, message));
    }

    /// Everything that was wrong, in the order of the file.
    pub(super) fn complaints(mut self) -> Result<Vec<String>, Complaints> {
        self.complaints.sort();
        self.complaints.dedup();
        match self.complaints.is_empty() {
            true => Ok(self.warnings),
            false => Err(Complaints(self.complaints)),
        }
    }
}

/// The other ways to give the same secret: for `netbox.token_file` these are
/// `netbox.token` and `netbox.token_command`.
pub(super) fn ways_of_secret(path: &str) -> Vec<String> {
    let plain = path.strip_suffix("_file").or_else(|| path.strip_suffix("_command"));
    let plain = plain.unwrap_or(path);
    let key = plain.rsplit('.').next().unwrap_or(plain);
    if !is_secret(key) {
        return Vec::new();
    }
    let ways = [plain.to_owned(), format!("{plain}_file"), format!("{plain}_command")];
    ways.into_iter().filter(|way| way != path).collect()
}

/// The table of makers, whose keys are names.
const MAKERS: &str = "manufacturers";

/// The maker whose names stand at the path of a variable.
fn maker_of(path: &str) -> Option<&str> {
    path.strip_prefix(MAKERS)?.strip_prefix('.')
}

/// The key at the path of a variable.
fn key_of(path: &str) -> KeyPath {
    match maker_of(path) {
        // A name may have dots.
        Some(maker) => KeyPath::root(MAKERS).key(maker),
        None => KeyPath::default().join(path),
    }
}

/// A name as it can stand in a variable's.
fn plain(name: &str) -> String {
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_").to_lowercase()
}

fn layered(
    table: &Table,
    variables: &BTreeMap<String, (String, String)>,
) -> Result<File, (KeyPath, String)> {
    let nowhere = |error: ConfigError| (KeyPath::default(), error.to_string());
    let mut table = table.clone();
    let mut named = Vec::new();
    for (path, (variable, value)) in variables {
        match maker_of(path) {
            Some(maker) if put_maker(&mut table, maker, value) => {}
            _ => named.push((variable.clone(), value.clone())),
        }
    }
    let document = toml_edit::de::Deserializer::from(DocumentMut::from(table));
    let file = BTreeMap::<String, config::Value>::deserialize(document)
        .map_err(|error| (KeyPath::default(), error.message().to_owned()))?;
    let mut builder = Config::builder();
    for (key, value) in file {
        builder = builder.set_default(key, value).map_err(nowhere)?;
    }
    let environment = config::Environment::with_prefix("NETBOX_AGENT")
        .prefix_separator("__")
        .separator("__")
        .source(Some(named.into_iter().collect()));
    let merged = builder.add_source(environment).build().map_err(nowhere)?;
    serde_path_to_error::deserialize(merged).map_err(|error| {
        let path = KeyPath::default().extend(error.path());
        (path, message_of(&error.into_inner()))
    })
}

fn put_maker(table: &mut Table, maker: &str, names: &str) -> bool {
    let makers = table.entry(MAKERS).or_insert_with(toml_edit::table);
    let put = |makers: &mut dyn TableLike| drop(makers.insert(maker, toml_edit::value(names)));
    makers.as_table_like_mut().map(put).is_some()
}

/// What went wrong, without the key that the crate puts behind it.
fn message_of(error: &ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => message_of(error),
        ConfigError::Type { unexpected, expected, .. } => {
            format!("invalid type: {unexpected}, expected {expected}")
        }
        other => other.to_string(),
    }
}

/// What serde says, in words for people, without what a secret is.
pub(super) fn told(path: &KeyPath, message: &str) -> String {
    if message.starts_with("unknown field") {
        let (unknown, known) = unknown_and_known(path, message);
        return match did_you_mean(unknown, known.iter().copied()) {
            none if none.is_empty() => {
                format!("unknown key `{unknown}`; known here are {}", known.join(", "))
            }
            tip => format!("unknown key `{unknown}`{tip}"),
        };
    }
    if message.starts_with("unknown variant") {
        let (unknown, known) = unknown_and_known(path, message);
        return match did_you_mean(unknown, known.iter().copied()) {
            none if none.is_empty() => {
                format!("unknown word `{unknown}`; use one of {}", known.join(", "))
            }
            tip => format!("unknown word `{unknown}`{tip}"),
        };
    }
    let shape =
        message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match shape.and_then(|shape| shape.rsplit_once(", expected ")) {
        None => message.to_owned(),
        Some((found, expected)) => {
            let secret = path.last_key().is_some_and(is_secret);
            let found = if secret { String::new() } else { format!(", found {}", thing(found)) };
            format!("expected {}{found}", thing(expected))
        }
    }
}

/// The word that serde does not know, and those that it does.
fn unknown_and_known<'m>(path: &KeyPath, message: &'m str) -> (&'m str, Vec<&'m str>) {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let mut known: Vec<&str> = quoted.collect();
    if !message.starts_with("unknown field") {
        return (unknown, known);
    }
    // Sources are read apart from the other sections, and what all of them share apart
    // from what a kind has.
    match &path.0[..] {
        [_] => known.push("source"),
        [Step::Key(root), _, _] if root == "source" => known.extend(Shared::KEYS),
        _ => {}
    }
    (unknown, known)
}

/// The key that a misspelt one was most likely meant to be.
fn meant(path: &KeyPath, message: &str) -> Option<String> {
    let (unknown, known) = unknown_and_known(path, message);
    nearest(unknown, known).map(str::to_owned)
}

/// Names of types as people call them.
fn thing(name: &str) -> String {
    let name = name.trim();
    match name {
        "a sequence" | "sequence" => "a list in square brackets".to_owned(),
        "map" | "a map" => "a table".to_owned(),
        "a string" | "string" | "path string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "f64" | "a float" => "a number".to_owned(),
        name if name.starts_with("struct ") => "a table".to_owned(),
        name if name.starts_with("a nonzero ") => "a whole number above 0".to_owned(),
        name if name.starts_with("an integer")
            || name.ends_with("bit integer")
            || matches!(name.as_bytes(), [b'u' | b'i', rest @ ..] if rest.iter().all(u8::is_ascii_digit))
            || name == "usize" =>
        {
            "a whole number".to_owned()
        }
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_to_give_a_secret_knows_the_others() {
        assert_eq!(ways_of_secret("netbox.token"), ["netbox.token_file", "netbox.token_command"]);
        assert_eq!(ways_of_secret("netbox.token_file"), ["netbox.token", "netbox.token_command"]);
        assert!(ways_of_secret("netbox.ca_file").is_empty());
        assert!(ways_of_secret("netbox.url").is_empty());
    }

    #[test]
    fn a_wrong_type_of_a_secret_is_told_without_it() {
        let path = KeyPath::default().join("netbox.token");
        let told = told(&path, "invalid type: integer `123456`, expected a string");
        assert_eq!(told, "expected a text in quotes");
    }
}
