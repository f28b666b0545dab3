/// The candidate that was probably meant by `word`, if one is close enough to be worth asking.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_typo_and_leaves_strangers_alone() {
        assert_eq!(closest("comand", ["args", "command", "env"]), Some("command"));
        assert_eq!(closest("zzz", ["args", "command", "env"]), None);
    }
}
