//! Answers made of the API's own schema: what each version says that its answers hold.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value as Json, json};

use crate::standin::Release;

/// The fields of each endpoint by version.
const FIELDS: &str = include_str!("fixtures/fields.txt");

/// Fields whose values decide which guests there are, so that they are left alone.
const KEPT: [&str; 3] = ["node", "template", "vmid"];

/// Texts that a field of type string may hold as far as its type goes.
const TEXTS: [&str; 18] = [
    "",
    " ",
    "x",
    "0",
    "1",
    "-1",
    "30",
    "none",
    "a=b,c",
    ",,=,=",
    "192.0.2.9",
    "fe80::1",
    "10.0.0.5/24",
    "BC:24:11:77:00:01",
    "gr\u{fc}n \u{1f680}",
    "line\nline\u{0}",
    "virtio=BC:24:11:77:00:02,bridge=vmbr0,tag=9999,trunks=1-",
    "local:vm-1-disk-0,size=1e309G",
];

/// A field of an answer.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: String,
    optional: bool,
}

/// What answers of one version hold, with values that come of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    endpoints: BTreeMap<String, Vec<Column>>,
    seed: u64,
}

impl Schema {
    /// The schema of a version.
    pub(crate) fn of(release: Release, seed: u64) -> Self {
        let version = match release {
            Release::V7_4 => "7.4:",
            Release::V8_4 => "8.4:",
            Release::V9_2 => "9.2:",
        };
        let mut endpoints: BTreeMap<String, Vec<Column>> = BTreeMap::new();
        let mut path = String::new();
        for line in FIELDS.lines() {
            if let Some(next) = line.strip_prefix("## ") {
                next.clone_into(&mut path);
            } else if let Some(field) = line.strip_prefix("    ") {
                endpoints.entry(path.clone()).or_default().extend(column(field, version));
            }
        }
        assert!(endpoints.len() > 20, "{endpoints:?}");
        Schema { endpoints, seed }
    }

    /// Fills an answer up: fields that it lacks come in, some that may be missing go.
    pub(super) fn fill(&self, path: &str, data: &mut Json) {
        let fits = |pattern: &str| {
            let (own, asked) = (pattern.trim_start_matches('/').split('/'), path.split('/'));
            own.clone().count() == asked.clone().count()
                && own.zip(asked).all(|(own, asked)| own.starts_with('{') || own == asked)
        };
        let Some((_, columns)) = self.endpoints.iter().find(|(pattern, _)| fits(pattern)) else {
            return;
        };
        let mut dice = Dice::of(&(self.seed, path));
        match data {
            Json::Array(rows) => rows.iter_mut().for_each(|row| fill(columns, row, &mut dice)),
            row => fill(columns, row, &mut dice),
        }
    }
}

/// `name 7.4:integer? 8.4:string<a|b> fmt=x 9.2:-`, or `name string` where all are alike.
fn column(line: &str, version: &str) -> Option<Column> {
    let mut words = line.split(' ');
    let name = words.next()?.replace("[n]", "1");
    let words: Vec<&str> = words.filter(|word| !word.starts_with("fmt=")).collect();
    let own = words.iter().find_map(|word| word.strip_prefix(version));
    let kind = own.or_else(|| words.first().copied().filter(|word| !word.contains(':')))?;
    let optional = kind.contains('?');
    (kind != "-" && !name.contains('.')).then(|| Column {
        name,
        kind: kind.replace('?', ""),
        optional,
    })
}

fn fill(columns: &[Column], row: &mut Json, dice: &mut Dice) {
    let Json::Object(fields) = row else { return };
    for column in columns.iter().filter(|column| !KEPT.contains(&column.name.as_str())) {
        let known = fields.contains_key(&column.name);
        match dice.roll(4) {
            0 if known && column.optional => drop(fields.remove(&column.name)),
            1..=3 if !known => drop(fields.insert(column.name.clone(), value(&column.kind, dice))),
            _ => {}
        }
    }
}

fn value(kind: &str, dice: &mut Dice) -> Json {
    if let Some((_, choices)) = kind.trim_end_matches('>').split_once('<') {
        let choices: Vec<&str> = choices.split('|').collect();
        return choices[dice.roll(choices.len())].into();
    }
    match kind {
        "integer" => [json!(0), json!(1), json!(-1), json!(30), json!(i64::MAX), json!("7")]
            [dice.roll(6)]
        .clone(),
        "number" => [json!(0), json!(0.5), json!(1e300), json!("0.25")][dice.roll(4)].clone(),
        "boolean" => {
            [json!(0), json!(1), json!("1"), json!(true), Json::Null][dice.roll(5)].clone()
        }
        "array" => json!([TEXTS[dice.roll(TEXTS.len())], 7, null]),
        "object" => Json::Object(Map::from_iter([("x".to_owned(), json!([]))])),
        _ => TEXTS[dice.roll(TEXTS.len())].into(),
    }
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn of(seed: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        Dice(hasher.finish() | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}
