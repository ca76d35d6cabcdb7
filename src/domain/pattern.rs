//! Patterns for names: `*` stands for any text, `?` for one character; case does
//! not matter.

use std::fmt;
use std::str::FromStr;

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Box<str>);

/// An empty pattern, which nothing would match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an empty pattern matches nothing; write `*` for anything")]
pub struct EmptyPattern;

impl FromStr for Pattern {
    type Err = EmptyPattern;

    fn from_str(text: &str) -> Result<Self, EmptyPattern> {
        match text.trim() {
            "" => Err(EmptyPattern),
            text => Ok(Pattern(text.to_lowercase().into())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Pattern {
    /// Whether the whole text matches. Takes time in proportion to the product of both
    /// lengths at worst, whatever the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut at, mut read) = (0, 0);
        // Where to go on when a guess at the length of the last `*` turns out wrong.
        let mut star: Option<(usize, usize)> = None;
        while read < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(&c) if c == '?' || c == text[read] => {
                    at += 1;
                    read += 1;
                }
                _ => match &mut star {
                    Some((begin, taken)) => {
                        *taken += 1;
                        at = *begin + 1;
                        read = *taken;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|&c| c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (pattern, text, expected) in [
            ("cam-*", "cam-01", true),
            ("cam-*", "Cam-", true),
            ("cam-*", "webcam-01", false),
            ("*.lab.example", "a.b.lab.example", true),
            ("node?", "node1", true),
            ("node?", "node12", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab ab a", false),
            ("*", "", true),
            ("küche*", "KÜCHE oben", true),
        ] {
            let matches = pattern.parse::<Pattern>().unwrap().matches(text);
            assert_eq!(matches, expected, "{pattern} on {text}");
        }
        assert!("  ".parse::<Pattern>().is_err());
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let pattern: Pattern = "*a".repeat(40).parse().unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(4_000))));
    }
}
