//! "Did you mean": the word that a misspelt one was most likely meant to be.

/// The candidate nearest to a word, where one is near enough to be worth asking about.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::jaro_winkler(&folded, &candidate.to_lowercase());
            // Jaro-Winkler likes common beginnings; an edit or two anywhere is a slip as well.
            let edits = strsim::osa_distance(&folded, &candidate.to_lowercase());
            let slip = edits <= 1 + candidate.chars().count() / 5;
            (if slip { likeness.max(0.9) } else { likeness }, candidate)
        })
        .filter(|(likeness, _)| *likeness >= 0.85)
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` or nothing, to be put behind a complaint.
#[must_use]
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["url", "token", "token_file", "timeout", "batch_size"];
        for (word, meant) in [
            ("urll", Some("url")),
            ("tokn", Some("token")),
            ("tokenfile", Some("token_file")),
            ("Timeout", Some("timeout")),
            ("batchsize", Some("batch_size")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }
}
