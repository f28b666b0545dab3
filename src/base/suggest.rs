/// The candidate that was probably meant by `word`, if one is close enough to be worth asking.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // Comparing takes time and memory as the product of both lengths; a word may be a megabyte of somebody else's.
    let may_be_close = |candidate: &&str| {
        let other = candidate.chars().count();
        length.min(other) * 10 >= length.max(other) * 6
    };
    candidates
        .into_iter()
        .filter(may_be_close)
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
        assert_eq!(closest(&"x".repeat(1 << 20), ["a_tool_with_a_longer_name"; 500]), None);
    }
}
