//! Where in a document a key stands: `rule[2].match.subnet[0]`.

use std::fmt;
use std::ops::Range;

use toml_edit::{Item, Key, Table, Value};

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root to a key or an element.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

impl KeyPath {
    /// A key of the root.
    pub(super) fn root(key: &str) -> Self {
        KeyPath(vec![Step::Key(key.to_owned())])
    }

    /// A key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// An element of this one.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        KeyPath(self.0.iter().cloned().chain([step]).collect())
    }

    /// Everything that a text such as `match.subnet[0]` names below this one.
    pub(super) fn join(&self, text: &str) -> Self {
        let mut path = self.clone();
        for part in text.split('.').filter(|part| !part.is_empty()) {
            let (key, indices) = part.split_once('[').unwrap_or((part, ""));
            if !key.is_empty() {
                path = path.key(key);
            }
            for index in indices.split(['[', ']']) {
                if let Ok(index) = index.parse() {
                    path = path.index(index);
                }
            }
        }
        path
    }

    /// Everything that another path names below this one.
    pub(super) fn extend(&self, path: &serde_path_to_error::Path) -> Self {
        let steps = path.iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
            serde_path_to_error::Segment::Map { key } => Some(Step::Key(key.clone())),
            _ => None,
        });
        KeyPath(self.0.iter().cloned().chain(steps).collect())
    }

    /// The place around this one.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, around) = self.0.split_last()?;
        Some(KeyPath(around.to_vec()))
    }

    /// The last key on the way.
    pub(super) fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// Whether the other path is this one or below it.
    pub(super) fn holds(&self, other: &KeyPath) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Takes what stands here out of a table. Gives whether something stood here.
    pub(super) fn remove(&self, table: &mut Table) -> bool {
        let Some((last, around)) = self.0.split_last() else {
            return false;
        };
        let mut at = Place::Table(table);
        for step in around {
            at = match at.down(step) {
                Some(next) => next,
                None => return false,
            };
        }
        at.remove(last)
    }
}

/// Where a key and its value stand in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans {
    /// The key; of an element, nothing.
    pub(super) key: Option<Range<usize>>,
    /// The value; of a table, its header.
    pub(super) value: Option<Range<usize>>,
}

impl KeyPath {
    /// Where in the text this stands, as far as it stands in a table that was read from it.
    pub(super) fn find(&self, table: &Table) -> Option<Spans> {
        let (key, node) = self.look_up(table)?;
        Some(Spans { key: key.and_then(Key::span), value: node.span() })
    }

    /// Where in the text the values are that stand here or below.
    pub(super) fn values(&self, table: &Table) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if let Some((_, node)) = self.look_up(table) {
            node.values(&mut found);
        }
        found
    }

    fn look_up<'a>(&self, table: &'a Table) -> Option<(Option<&'a Key>, Node<'a>)> {
        let start = (None, Node::Table(table));
        self.0.iter().try_fold(start, |(_, node), step| node.down(step))
    }
}

/// Something in a document.
#[derive(Clone, Copy)]
enum Node<'a> {
    Item(&'a Item),
    Table(&'a Table),
    Value(&'a Value),
}

impl<'a> Node<'a> {
    fn down(self, step: &Step) -> Option<(Option<&'a Key>, Node<'a>)> {
        match (self, step) {
            (Node::Item(Item::ArrayOfTables(tables)), Step::Index(index)) => {
                tables.get(*index).map(|table| (None, Node::Table(table)))
            }
            (Node::Item(Item::Value(value)), step) => Node::Value(value).down(step),
            (Node::Item(Item::Table(table)), step) => Node::Table(table).down(step),
            (Node::Table(table), Step::Key(name)) => {
                let (key, item) = table.get_key_value(name)?;
                Some((Some(key), Node::Item(item)))
            }
            (Node::Value(Value::Array(array)), Step::Index(index)) => {
                array.get(*index).map(|value| (None, Node::Value(value)))
            }
            (Node::Value(Value::InlineTable(table)), Step::Key(name)) => {
                let (key, item) = table.get_key_value(name)?;
                Some((Some(key), Node::Item(item)))
            }
            _ => None,
        }
    }

    fn span(self) -> Option<Range<usize>> {
        match self {
            Node::Item(item) => item.span(),
            Node::Table(table) => table.span(),
            Node::Value(value) => value.span(),
        }
    }

    fn values(self, found: &mut Vec<Range<usize>>) {
        match self {
            Node::Item(Item::Value(value)) | Node::Value(value) => found.extend(value.span()),
            Node::Item(Item::Table(table)) | Node::Table(table) => {
                table.iter().for_each(|(_, item)| Node::Item(item).values(found));
            }
            Node::Item(Item::ArrayOfTables(tables)) => {
                tables.iter().for_each(|table| Node::Table(table).values(found));
            }
            Node::Item(Item::None) => {}
        }
    }
}

/// Something that holds other things.
enum Place<'a> {
    Table(&'a mut dyn toml_edit::TableLike),
    Tables(&'a mut toml_edit::ArrayOfTables),
    Array(&'a mut toml_edit::Array),
}

impl<'a> Place<'a> {
    fn of_item(item: &'a mut Item) -> Option<Self> {
        match item {
            Item::Table(table) => Some(Place::Table(table)),
            Item::ArrayOfTables(tables) => Some(Place::Tables(tables)),
            Item::Value(value) => Place::of_value(value),
            Item::None => None,
        }
    }

    fn of_value(value: &'a mut Value) -> Option<Self> {
        match value {
            Value::InlineTable(table) => Some(Place::Table(table)),
            Value::Array(array) => Some(Place::Array(array)),
            _ => None,
        }
    }

    fn down(self, step: &Step) -> Option<Self> {
        match (self, step) {
            (Place::Table(table), Step::Key(key)) => Place::of_item(table.get_mut(key)?),
            (Place::Tables(tables), Step::Index(index)) => {
                tables.get_mut(*index).map(|table| Place::Table(table))
            }
            (Place::Array(array), Step::Index(index)) => Place::of_value(array.get_mut(*index)?),
            _ => None,
        }
    }

    fn remove(self, step: &Step) -> bool {
        match (self, step) {
            (Place::Table(table), Step::Key(key)) => table.remove(key).is_some(),
            (Place::Tables(tables), Step::Index(index)) if *index < tables.len() => {
                tables.remove(*index);
                true
            }
            (Place::Array(array), Step::Index(index)) if *index < array.len() => {
                array.remove(*index);
                true
            }
            _ => false,
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "{}{key}", if number == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_printed() {
        for text in ["netbox.url", "rule[2].match.subnet[0]", "a[0][1].b"] {
            assert_eq!(KeyPath::default().join(text).to_string(), text);
        }
    }

    #[test]
    fn what_a_path_names_is_found_in_the_text() {
        let text = "a = 1\n[b]\nc.d = [1, { e = 2 }]\n[[f]]\ng = 1\n[[f]]\ng = 22\n";
        let document = toml_edit::Document::parse(text).unwrap();
        let table = document.as_table().clone();
        let found = |path: &str| {
            let spans = KeyPath::default().join(path).find(&table).unwrap_or_default();
            let part = |span: Option<Range<usize>>| span.map_or("", |span| &text[span]);
            (part(spans.key), part(spans.value))
        };
        assert_eq!(found("a"), ("a", "1"));
        assert_eq!(found("b"), ("b", "[b]"));
        assert_eq!(found("b.c.d[1].e"), ("e", "2"));
        assert_eq!(found("f[1]"), ("", "[[f]]"));
        assert_eq!(found("f[1].g"), ("g", "22"));
        assert_eq!(found("f[2].g"), ("", ""));
    }

    #[test]
    fn what_a_path_names_can_be_taken_out() {
        let document = toml_edit::Document::parse(
            "a = 1\n[b]\nc.d = [1, { e = 2 }]\n[[f]]\ng = 1\n[[f]]\ng = 2\n",
        )
        .unwrap();
        let mut table = document.as_table().clone();
        for (path, was_there) in [
            ("b.c.d[1].e", true),
            ("b.c.d[0]", true),
            ("b.c.d[7]", false),
            ("f[0]", true),
            ("a.b", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(KeyPath::default().join(path).remove(&mut table), was_there, "{path}");
        }
        assert_eq!(table["b"]["c"]["d"].as_array().unwrap().len(), 1);
        assert_eq!(table["f"].as_array_of_tables().unwrap().len(), 1);
    }
}
