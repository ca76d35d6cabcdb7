//! Notes that people keep on guests and nodes: Markdown, often with HTML in it.

use crate::domain::name::visible;
use crate::domain::observation::{HostAttribute, HostFacts};

/// States notes: their first line of text is the description; the whole of them are the
/// comments where they say more than that. Where there are none, that is stated too.
pub(super) fn state(facts: &mut HostFacts, notes: Option<&str>) {
    let line = notes.and_then(first_line);
    match &line {
        Some(line) => facts.text(HostAttribute::Description, line),
        None => facts.none(HostAttribute::Description),
    }
    comments(facts, notes.filter(|notes| line.as_deref() != Some(notes.trim())));
}

/// States notes as comments alone.
pub(super) fn comments(facts: &mut HostFacts, notes: Option<&str>) {
    match notes.map(str::trim).filter(|notes| !notes.is_empty()) {
        Some(notes) => facts.text(HostAttribute::Comments, notes),
        None => facts.none(HostAttribute::Comments),
    }
}

/// The first line that says something, without its markup.
fn first_line(notes: &str) -> Option<String> {
    // Emphasis and code, wherever in a line they stand.
    let bare = without_tags(notes).replace("**", "").replace('`', "");
    let lines = bare.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with("![") && !line.starts_with("[![")
    });
    lines
        .map(|line| {
            let line =
                line.trim_start_matches(|c: char| c.is_whitespace() || "#*>-_=`|".contains(c));
            visible(line.trim_end_matches(|c: char| c.is_whitespace() || "*_`".contains(c)), 200)
        })
        .find(|line| line.chars().any(char::is_alphanumeric))
}

/// A text without what stands between `<` and `>`, where that is a tag or a comment.
fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let opens =
            rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        let close = if rest.starts_with("<!--") { "-->" } else { ">" };
        match rest.find(close).filter(|_| opens) {
            Some(end) => rest = &rest[end + close.len()..],
            None => {
                out.push('<');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_something_describes() {
        for (notes, expected) in [
            ("Web server", Some("Web server")),
            ("\n\n# Web server\n\nports 80 and 443", Some("Web server")),
            ("<div align='center'>\n  <h2>Plex LXC</h2>\n</div>", Some("Plex LXC")),
            ("<!-- made by\n a script -->\n[![logo](x.png)](y)\n- **Pi-hole**", Some("Pi-hole")),
            ("load < 3 and > 1", Some("load < 3 and > 1")),
            ("The **web** server on `vmbr0`", Some("The web server on vmbr0")),
            ("---\n\n", None),
            ("", None),
        ] {
            assert_eq!(first_line(notes).as_deref(), expected, "{notes}");
        }
    }

    #[test]
    fn notes_of_one_line_are_not_said_twice() {
        let stated = |notes| {
            let mut facts = HostFacts::default();
            state(&mut facts, notes);
            let blank = |attribute| facts.get(&attribute).unwrap().is_blank();
            (blank(HostAttribute::Description), blank(HostAttribute::Comments))
        };
        assert_eq!(stated(Some("One line\n")), (false, true));
        assert_eq!(stated(Some("Two\nlines")), (false, false));
        assert_eq!(stated(None), (true, true), "that there are none is stated");
    }
}
