//! What is wrong with a configuration: each mistake with its place, the line, a
//! caret, and what to write instead. Shows no secret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Item, Table, Value};

/// Everything that is wrong, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaints(pub(super) Vec<Complaint>);

impl Complaints {
    /// Each mistake as a person reads it; those in a file with the line and a caret.
    pub fn iter(&self) -> impl Iterator<Item = &Complaint> {
        self.0.iter()
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, complaint) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{complaint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaints {}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    at: At,
    message: String,
}

/// Where a mistake is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    File(Mark),
    Variable(String),
    Nowhere,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    path: PathBuf,
    line: usize,
    column: usize,
    text: String,
    width: usize,
}

impl Complaint {
    /// A mistake in an environment variable.
    pub(super) fn in_variable(name: &str, message: impl Into<String>) -> Self {
        Complaint { at: At::Variable(name.to_owned()), message: message.into() }
    }

    /// A mistake that has no place.
    pub(super) fn anywhere(message: impl Into<String>) -> Self {
        Complaint { at: At::Nowhere, message: message.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Nowhere => f.write_str(&self.message),
            At::Variable(name) => write!(f, "{name}: {}", self.message),
            At::File(mark) => {
                let number = mark.line.to_string();
                let margin = " ".repeat(number.len());
                writeln!(
                    f,
                    "{}:{}:{}: {}",
                    mark.path.display(),
                    mark.line,
                    mark.column,
                    self.message
                )?;
                writeln!(f, " {number} | {}", mark.text)?;
                // Tabs stay tabs, so that the caret stands below what it points at.
                let lead = mark.text.chars().take(mark.column - 1);
                let lead: String = lead.map(|c| if c == '\t' { c } else { ' ' }).collect();
                write!(f, " {margin} | {lead}{}", "^".repeat(mark.width))
            }
        }
    }
}

/// A file's text, to point into.
#[derive(Debug, Clone)]
pub(super) struct Script {
    path: PathBuf,
    text: String,
    /// Where secrets stand, which are not shown.
    hidden: Vec<Range<usize>>,
}

impl Script {
    pub(super) fn new(path: &Path, text: String) -> Self {
        Script { path: path.to_owned(), text, hidden: Vec::new() }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the line that a place is in.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text[..floor(&self.text, at)].matches('\n').count() + 1
    }

    /// Finds the secrets in the document, so that no complaint shows them.
    pub(super) fn hide_secrets_of(&mut self, table: &Table) {
        secrets_of_entries(table.iter(), false, &mut self.hidden);
    }

    pub(super) fn holds_secrets(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Where secrets are not known because the file is not TOML: everything behind the
    /// first `=` of a line that could name one.
    pub(super) fn hide_secrets_by_line(&mut self) {
        let mut begin = 0;
        for line in self.text.split_inclusive('\n') {
            if let Some((key, _)) = line.split_once('=')
                && could_name_a_secret(key)
            {
                let end = begin + line.trim_end().len();
                self.hidden.push(begin + key.len() + 1..end);
            }
            begin += line.len();
        }
    }

    /// Hides places as well.
    pub(super) fn hide(&mut self, spans: &[Range<usize>]) {
        self.hidden.extend_from_slice(spans);
    }

    /// A mistake at a place in the text.
    pub(super) fn at(&self, span: Range<usize>, message: impl Into<String>) -> Complaint {
        let start = floor(&self.text, span.start);
        let begin = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let until = floor(&self.text, span.end).clamp(start, end);
        let shown = |range: Range<usize>| self.shown(range);
        let lead = shown(begin..start);
        let pointed = shown(start..until);
        let text = format!("{lead}{pointed}{}", shown(until..end));
        Complaint {
            at: At::File(Mark {
                path: self.path.clone(),
                line: self.line(start),
                column: lead.chars().count() + 1,
                text: text.trim_end().to_owned(),
                width: pointed.chars().count().max(1),
            }),
            message: message.into(),
        }
    }

    /// A part of a line, with dots for what is hidden.
    fn shown(&self, range: Range<usize>) -> String {
        let mut out = String::new();
        let mut dots = false;
        for (offset, c) in self.text[range.clone()].char_indices() {
            let at = range.start + offset;
            let hidden = self.hidden.iter().any(|hidden| hidden.contains(&at));
            match (hidden, dots) {
                (true, true) => {}
                (true, false) => out.push('…'),
                (false, _) if c.is_control() && c != '\t' => out.push(' '),
                (false, _) => out.push(c),
            }
            dots = hidden;
        }
        out
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Whether what stands behind a key is to be kept from people's eyes.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if names_a_place(&key) {
        return false;
    }
    let words: Vec<&str> = key.split(['_', '-']).collect();
    let secret = |word: &&str| {
        matches!(
            *word,
            "token"
                | "password"
                | "passwd"
                | "secret"
                | "passphrase"
                | "community"
                | "key"
                | "apikey"
                | "credential"
                | "credentials"
                | "env"
        )
    };
    words.iter().any(secret)
}

/// Whether a key says where a secret is, and not what it is.
fn names_a_place(key: &str) -> bool {
    key.ends_with("_file") || key.ends_with("_command")
}

/// Whether a misspelt key could have been meant to name a secret.
fn could_name_a_secret(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    ["to", "pas", "sec", "key", "com", "cred", "env"].iter().any(|part| key.contains(part))
}

/// The places of all values in an item that is secret or holds secrets.
fn secrets(item: &Item, secret: bool, found: &mut Vec<Range<usize>>) {
    match item {
        Item::Value(value) => secrets_of_value(value, secret, found),
        Item::Table(table) => secrets_of_entries(table.iter(), secret, found),
        Item::ArrayOfTables(tables) => {
            tables.iter().for_each(|table| secrets_of_entries(table.iter(), secret, found));
        }
        Item::None => {}
    }
}

fn secrets_of_entries<'a>(
    entries: impl Iterator<Item = (&'a str, &'a Item)>,
    secret: bool,
    found: &mut Vec<Range<usize>>,
) {
    for (key, item) in entries.filter(|(key, _)| secret || !names_a_place(key)) {
        secrets(item, secret || is_secret(key), found);
    }
}

fn secrets_of_value(value: &Value, secret: bool, found: &mut Vec<Range<usize>>) {
    match value {
        Value::InlineTable(table) => {
            for (key, value) in table.iter().filter(|(key, _)| secret || !names_a_place(key)) {
                secrets_of_value(value, secret || is_secret(key), found);
            }
        }
        Value::Array(array) => {
            array.iter().for_each(|value| secrets_of_value(value, secret, found));
        }
        value if secret => found.extend(value.span()),
        // A user and a password may stand in an address.
        value => {
            let with_user = value.as_str().is_some_and(|text| text.contains('@'));
            found.extend(value.span().filter(|_| with_user));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_what_is_wrong() {
        let text = "[netbox]\n\turll = \"https://x\"\n";
        let script = Script::new(Path::new("a.toml"), text.to_owned());
        let start = text.find("urll").unwrap();
        let complaint = script.at(start..start + 4, "unknown key `urll`");
        assert_eq!(
            complaint.to_string(),
            "a.toml:2:2: unknown key `urll`\n 2 | \turll = \"https://x\"\n   | \t^^^^"
        );
    }

    #[test]
    fn a_line_with_a_secret_does_not_show_it() {
        let text = "a = { token = \"s3cret\", urll = \"x\" }\nurl = \"https://me:pw@nas\"";
        let document = toml_edit::Document::parse(text).unwrap();
        let mut script = Script::new(Path::new("a.toml"), text.to_owned());
        script.hide_secrets_of(document.as_table());
        let start = text.find("urll").unwrap();
        let shown = script.at(start..start + 4, "unknown key `urll`").to_string();
        assert_eq!(
            shown,
            "a.toml:1:18: unknown key `urll`\n 1 | a = { token = …, urll = \"x\" }\n   |                  ^^^^"
        );
        let start = text.find("https").unwrap() - 1;
        let shown = script.at(start..text.len(), "no").to_string();
        assert!(shown.contains("url = …") && !shown.contains("pw"), "{shown}");
    }

    #[test]
    fn a_file_that_is_not_toml_shows_no_secret_either() {
        let text = "[netbox]\ntoken = \"s3cret\nurl = 1";
        let mut script = Script::new(Path::new("a.toml"), text.to_owned());
        script.hide_secrets_by_line();
        let end = text.find("s3cret").unwrap() + 6;
        let shown = script.at(end..end + 1, "invalid basic string").to_string();
        assert!(!shown.contains("s3cret") && shown.contains("token =…"), "{shown}");
    }

    #[test]
    fn keys_of_secrets_are_known_by_their_words() {
        for key in ["token", "api_key", "auth_password", "env", "privacy-passphrase"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["token_file", "token_command", "keyboard", "tokens_per_day", "url"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
