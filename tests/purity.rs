//! The walls between the rooms: the domain is pure, imports run one way, only the
//! command line prints, only the configuration reads the environment.
//!
//! A scan of the sources as text, with comments, strings and tests left out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The rooms from the top down. A room imports from those below it, never from its own
/// floor or above.
const FLOORS: [&[&str]; 8] = [
    &["main"],
    &["cli"],
    &["serve"],
    &["engine"],
    &["config"],
    &["collect", "netbox", "store"],
    &["net", "http"],
    &["secret", "progress", "journal", "duration", "suggest"],
];

/// The ground, on which all stand.
const DOMAIN: &str = "domain";

/// What the domain must not name: runtimes, clocks, files, the environment, sockets, wires.
const IMPURE: [&str; 22] = [
    "tokio",
    "async",
    "await",
    "std::fs",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "std::os",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "reqwest",
    "serde",
    "serde_json",
    "rusqlite",
    "tracing",
    "unsafe",
];

/// A source file without comments, strings and tests.
struct Source {
    /// The path below `src`.
    path: PathBuf,
    code: String,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Source {
        let text = std::fs::read_to_string(path).unwrap();
        Source { path: path.strip_prefix(root).unwrap().to_owned(), code: code_of(&text) }
    }

    /// The room it belongs to; the library's front page belongs to none.
    fn room(&self) -> String {
        let first = self.path.components().next().unwrap().as_os_str();
        first.to_str().unwrap().trim_end_matches(".rs").to_owned()
    }

    /// How many modules it is below the crate.
    fn depth(&self) -> usize {
        let below = self.path.components().count();
        if self.path.ends_with("mod.rs") { below - 1 } else { below }
    }

    /// Lines with a mistake, as a person finds them.
    fn complain(&self, what: &str, found: &mut Vec<String>) {
        found.push(format!("src/{}: {what}", self.path.display()));
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.insert(path);
            }
        }
    }
    let tests = |path: &&PathBuf| {
        let parts: Vec<_> = path.strip_prefix(&root).unwrap().iter().collect();
        !parts.iter().any(|part| *part == "tests" || *part == "tests.rs")
    };
    files.iter().filter(tests).map(|path| Source::read(&root, path)).collect()
}

/// Rust without comments and without what stands in strings, up to the first test module.
fn code_of(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let tests = rest.strip_prefix("#[cfg(test)]\nmod ").and_then(|rest| rest.lines().next());
        if tests.is_some_and(|line| !line.ends_with(';')) {
            break;
        }
        let (kept, skipped) = token(rest, c);
        out.push_str(kept);
        rest = &rest[skipped..];
    }
    out
}

/// What is kept of the next token, and how long the token is.
fn token(rest: &str, c: char) -> (&str, usize) {
    let line = || rest.find('\n').unwrap_or(rest.len());
    let raw_string = || {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        let opens = rest[1 + hashes..].starts_with('"');
        let close = format!("\"{}", "#".repeat(hashes));
        let body = 2 + hashes;
        opens.then(|| rest[body..].find(&close).map_or(rest.len(), |at| body + at + close.len()))
    };
    match c {
        '/' if rest.starts_with("//") => ("", line()),
        '/' if rest.starts_with("/*") => ("", rest.find("*/").map_or(rest.len(), |at| at + 2)),
        '"' => ("\"\"", string_end(rest)),
        'r' if raw_string().is_some() => ("\"\"", raw_string().unwrap()),
        '\'' if rest.starts_with("'\"'") => ("' '", 3),
        '\'' if rest.starts_with("'\\\"'") => ("' '", 4),
        c if c.is_alphanumeric() || c == '_' => {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (&rest[..end], end)
        }
        c => (&rest[..c.len_utf8()], c.len_utf8()),
    }
}

/// Where the string that begins here ends.
fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Whether a word or a path stands in the code, not merely as a part of a longer word.
fn names(code: &str, word: &str) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(of_word);
        let after = code[at + word.len()..].chars().next().is_some_and(of_word);
        !before && !after
    })
}

/// The rooms that the code imports from.
fn imports(code: &str, this_crate: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for (at, _) in code.match_indices(&format!("{this_crate}::")) {
        let rest = &code[at + this_crate.len() + 2..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && c.is_alphabetic() => {
                    rooms.insert(word(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

fn floor(room: &str) -> Option<usize> {
    match room {
        DOMAIN => Some(FLOORS.len()),
        room => FLOORS.iter().position(|rooms| rooms.contains(&room)),
    }
}

#[test]
fn the_domain_is_pure() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room() == DOMAIN) {
        for word in IMPURE.iter().filter(|word| names(&source.code, word)) {
            source.complain(&format!("names `{word}`"), &mut found);
        }
        for room in imports(&source.code, "crate").iter().filter(|room| *room != DOMAIN) {
            source.complain(&format!("imports from `{room}`"), &mut found);
        }
        let out_of_it = "super::".repeat(source.depth());
        if source.code.contains(&out_of_it) {
            source.complain("leaves the room by `super`", &mut found);
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn imports_run_one_way() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "lib") {
        let room = source.room();
        let Some(own) = floor(&room) else {
            source.complain("is in no room that this test knows; give it a floor", &mut found);
            continue;
        };
        let library = if room == "main" { "netbox_agent" } else { "crate" };
        for other in imports(&source.code, library).iter().filter(|other| **other != room) {
            if floor(other).is_none_or(|other| other <= own) {
                source.complain(&format!("imports from `{other}`"), &mut found);
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_command_line_prints() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "cli") {
        for word in ["println", "eprintln", "print", "eprint", "dbg"] {
            let called = format!("{word}!");
            if names(&source.code, word) && source.code.contains(&called) {
                source.complain(&format!("calls `{called}`"), &mut found);
            }
        }
        for word in ["stdout()", "stderr()"] {
            if source.code.contains(&format!("io::{word}")) {
                source.complain(&format!("writes to `{word}`"), &mut found);
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room() != "config") {
        for word in ["env::var", "env::vars", "env::var_os", "env::vars_os"] {
            if names(&source.code, word) {
                source.complain(&format!("calls `{word}`"), &mut found);
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_scan_sees_what_it_is_to_see() {
    let code = code_of(
        r##"//! tokio in a comment
        use crate::domain::{mac, name};
        use crate::{http::Client, net::{socket, frame}, store};
        const A: &str = "std::fs \" tokio"; /* reqwest */
        const B: &str = r#"serde " rusqlite"#;
        const C: char = '"'; fn f() { let x = std::time::Instant::now(); tokios(); }
        #[cfg(test)]
mod tests { use crate::cli; }"##,
    );
    assert_eq!(
        imports(&code, "crate"),
        ["domain", "http", "net", "store"].map(String::from).into()
    );
    let seen: Vec<_> = IMPURE.iter().filter(|word| names(&code, word)).collect();
    assert_eq!(seen, [&"Instant"], "{code}");
    assert!(floor("cli") < floor("config") && floor("config") < floor(DOMAIN));
    assert!(sources().len() > 30, "the sources are found");
}
