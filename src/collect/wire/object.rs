//! A JSON object that is taken apart key by key: what is wrong is told with its
//! path, and what is left over at the end is a key that nobody knows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::domain::name::visible;
use crate::suggest::did_you_mean;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

/// Something is wrong at a path; the empty path is the line itself.
pub(super) fn wrong(path: &str, message: impl fmt::Display) -> Wrong {
    match path {
        "" => Wrong(message.to_string()),
        path => Wrong(format!("{path}: {message}")),
    }
}

/// One of several words, or what is wrong with it.
pub(super) fn choose<'a>(word: &str, words: &[&'a str]) -> Result<&'a str, String> {
    words.iter().find(|known| **known == word).copied().ok_or_else(|| {
        let tip = match did_you_mean(word, words.iter().copied()) {
            none if none.is_empty() => format!("; use one of {}", words.join(", ")),
            tip => tip,
        };
        format!("unknown word `{}`{tip}", visible(word, 60))
    })
}

/// The object.
#[derive(Debug)]
pub(super) struct Object {
    map: Map<String, Json>,
    path: String,
    asked: Vec<&'static str>,
}

impl Object {
    pub(super) fn new(json: Json, path: &str) -> Result<Self, Wrong> {
        match json {
            Json::Object(map) => Ok(Object { map, path: path.to_owned(), asked: Vec::new() }),
            _ => Err(wrong(path, "expected an object in curly braces")),
        }
    }

    /// Something is wrong with the object as a whole.
    pub(super) fn wrong(&self, message: impl fmt::Display) -> Wrong {
        wrong(&self.path, message)
    }

    /// Something is wrong with one of its values.
    pub(super) fn wrong_at(&self, key: &str, message: impl fmt::Display) -> Wrong {
        wrong(&self.path_of(key), message)
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// Takes a value out. Null is nothing; attributes, for which it is something, ask
    /// [`Object::is_null`] first.
    fn take(&mut self, key: &'static str) -> Option<Json> {
        self.asked.push(key);
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn is_null(&mut self, key: &'static str) -> bool {
        match self.map.get(key) {
            Some(Json::Null) => {
                self.take(key);
                true
            }
            _ => false,
        }
    }

    pub(super) fn is_list(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(Json::is_array)
    }

    /// A value that must be there.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        take: impl FnOnce(&mut Self, &'static str) -> Result<Option<T>, Wrong>,
    ) -> Result<T, Wrong> {
        take(self, key)?.ok_or_else(|| self.wrong(format_args!("it needs `{key}`")))
    }

    fn string(&mut self, key: &'static str) -> Result<Option<String>, Wrong> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_at(key, "expected a text")),
        }
    }

    /// One line of text, cleaned and cut; an empty one is none.
    pub(super) fn text(
        &mut self,
        key: &'static str,
        limit: usize,
    ) -> Result<Option<Arc<str>>, Wrong> {
        let text = self.string(key)?.map(|text| visible(&text, limit));
        Ok(text.filter(|text| !text.is_empty()).map(Arc::from))
    }

    /// A text that may have several lines; an empty one is none.
    pub(super) fn block(&mut self, key: &'static str) -> Result<Option<Arc<str>>, Wrong> {
        let clean = |text: String| {
            let kept = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control());
            kept.take(10_000).collect::<String>().trim().to_owned()
        };
        let text = self.string(key)?.map(clean);
        Ok(text.filter(|text| !text.is_empty()).map(Arc::from))
    }

    /// A text that something is made of.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
    ) -> Result<Option<T>, Wrong> {
        let Some(text) = self.string(key)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let read = text.parse().map(Some);
        read.map_err(|error: T::Err| {
            let shown = visible(&text, 60);
            match error.to_string() {
                told if told.contains(&shown) => self.wrong_at(key, told),
                told => self.wrong_at(key, format_args!("`{shown}`: {told}")),
            }
        })
    }

    /// A word out of a list.
    pub(super) fn word<T: Copy + fmt::Display>(
        &mut self,
        key: &'static str,
        words: &[T],
    ) -> Result<Option<T>, Wrong> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        self.one_of(key, &text, words).map(Some)
    }

    fn one_of<T: Copy + fmt::Display>(
        &self,
        key: &str,
        text: &str,
        words: &[T],
    ) -> Result<T, Wrong> {
        let names: Vec<String> = words.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let chosen = choose(text, &names).map_err(|message| self.wrong_at(key, message))?;
        let at = names.iter().position(|name| *name == chosen);
        at.map(|at| words[at]).ok_or_else(|| self.wrong_at(key, "unknown word"))
    }

    /// Words out of a list.
    pub(super) fn words<T: Copy + fmt::Display>(
        &mut self,
        key: &'static str,
        words: &[T],
    ) -> Result<Vec<T>, Wrong> {
        let texts = self.values(key, |value, path| match value {
            Json::String(text) => Ok(text),
            _ => Err(wrong(path, "expected a text")),
        })?;
        texts.iter().map(|text| self.one_of(key, text, words)).collect()
    }

    /// A whole number, zero or more.
    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<i64>, Wrong> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let number = value.as_i64().filter(|number| *number >= 0);
        number.map(Some).ok_or_else(|| self.wrong_at(key, "expected a whole number, zero or more"))
    }

    /// A whole number, zero or more, as it stands.
    pub(super) fn whole(&mut self, key: &'static str) -> Result<Option<u64>, Wrong> {
        Ok(self.number(key)?.and_then(|number| u64::try_from(number).ok()))
    }

    pub(super) fn float(&mut self, key: &'static str) -> Result<Option<f64>, Wrong> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        value.as_f64().map(Some).ok_or_else(|| self.wrong_at(key, "expected a number"))
    }

    pub(super) fn bool(&mut self, key: &'static str) -> Result<Option<bool>, Wrong> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        value.as_bool().map(Some).ok_or_else(|| self.wrong_at(key, "expected true or false"))
    }

    /// The values of a list; none where there is no list.
    pub(super) fn values<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Json, &str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let path = self.path_of(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Json::Array(items)) => {
                let read = |(index, item)| read(item, &format!("{path}[{index}]"));
                items.into_iter().enumerate().map(read).collect()
            }
            Some(_) => Err(wrong(&path, "expected a list in square brackets")),
        }
    }

    /// A list of texts that something is made of.
    pub(super) fn texts<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
    ) -> Result<Vec<T>, Wrong> {
        self.values(key, |value, path| match value {
            Json::String(text) => text.parse().map_err(|error: T::Err| wrong(path, error)),
            _ => Err(wrong(path, "expected a text")),
        })
    }

    /// A list of objects, each taken apart whole.
    pub(super) fn objects<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Object) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        self.values(key, |value, path| {
            let mut object = Object::new(value, path)?;
            let item = read(&mut object)?;
            object.end()?;
            Ok(item)
        })
    }

    /// An object within this one.
    pub(super) fn object(&mut self, key: &'static str) -> Result<Option<Object>, Wrong> {
        let path = self.path_of(key);
        self.take(key).map(|value| Object::new(value, &path)).transpose()
    }

    /// Nothing more is expected: what is left is unknown.
    pub(super) fn end(self) -> Result<(), Wrong> {
        let Some(unknown) = self.map.keys().next() else {
            return Ok(());
        };
        let tip = did_you_mean(unknown, self.asked.iter().copied());
        Err(self.wrong(format_args!("unknown key `{}`{tip}", visible(unknown, 60))))
    }
}
