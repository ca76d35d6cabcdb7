//! What a person should know about: never an error that stops a run, always a
//! sentence, and a code by which it can be counted and found again.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::words::words;

words! {
    /// How much a diagnostic matters.
    pub enum Severity ("severity") {
        /// Worth knowing; nothing has to be done.
        Note = "note",
        /// Something was left out or left as it is, and a person may want to mend why.
        Warning = "warning",
        /// A part of the run failed; its exit code says so.
        Error = "error",
    }
}

/// One sentence about one thing. They are told in the order of what they are about, with
/// numbers in it by their size: line 2 comes before line 10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// A stable word for this kind of diagnostic, such as `shared_mac`.
    pub code: &'static str,
    /// What it is about: a source, an address, a key.
    pub about: Arc<str>,
    /// What happened, and what a person can do.
    pub message: String,
}

impl Diagnostic {
    /// A note.
    pub fn note(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Note,
            code,
            about: about.as_ref().into(),
            message: message.into(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::note(code, about, message) }
    }

    /// An error that did not stop the run.
    pub fn error(code: &'static str, about: impl AsRef<str>, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Error, ..Diagnostic::note(code, about, message) }
    }
}

impl Ord for Diagnostic {
    fn cmp(&self, other: &Self) -> Ordering {
        let words = |told: &Self| (told.severity, told.code);
        words(self)
            .cmp(&words(other))
            .then_with(|| by_numbers(&self.about, &other.about))
            .then_with(|| by_numbers(&self.message, &other.message))
    }
}

impl PartialOrd for Diagnostic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares texts, the numbers in them by their size.
fn by_numbers(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    while let ([x, ..], [y, ..]) = (a, b) {
        if !(x.is_ascii_digit() && y.is_ascii_digit()) {
            match x.cmp(y) {
                Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
                unequal => return unequal,
            }
            continue;
        }
        let (m, n);
        ((m, a), (n, b)) = (number(a), number(b));
        // Without zeros in front, the longer number is the larger one.
        match m.len().cmp(&n.len()).then_with(|| m.cmp(n)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    a.len().cmp(&b.len()).then_with(|| one.cmp(other))
}

/// The digits of the number that a text begins with, without zeros in front; and the rest.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    let digits = text[zeros..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    text[zeros..].split_at(digits)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.about, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_ordered_by_the_size_of_its_numbers() {
        let told = |about: &str| Diagnostic::note("a", about, "x");
        let sorted = [
            "",
            "192.0.2.9",
            "192.0.2.10",
            "a",
            "a:0",
            "a:00",
            "a:01",
            "a:1",
            "a:1b",
            "a:2",
            "a:02x",
            "a:10",
            "a:11",
            "a:99999999999999999999",
            "a:100000000000000000000",
            "b",
        ];
        let mut all: Vec<Diagnostic> = sorted.iter().rev().map(|about| told(about)).collect();
        all.sort();
        let abouts: Vec<&str> = all.iter().map(|told| &*told.about).collect();
        assert_eq!(abouts, sorted);
        for (place, one) in all.iter().enumerate() {
            for (other_place, other) in all.iter().enumerate() {
                assert_eq!(one.cmp(other), place.cmp(&other_place), "{one} {other}");
            }
        }
        assert!(Diagnostic::warning("a", "1", "x") > told("2"));
        assert!(Diagnostic::note("a", "1", "line 2") < Diagnostic::note("a", "1", "line 10"));
    }
}
