/// A pattern with `*` (any text) and `?` (any one character), matched against the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// Every text is a valid pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether `text` as a whole matches. Linear in practice, never exponential.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (&[char], Vec<char>) = (&self.0, text.chars().collect());
        let (mut p, mut t, mut star) = (0, 0, None);
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(c) if *c == '?' || *c == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((at, seen)) = star else { return false };
                    star = Some((at, seen + 1));
                    p = at + 1;
                    t = seen + 1;
                }
            }
        }
        pattern[p..].iter().all(|c| *c == '*')
    }

    /// Whether the pattern is a plain name that matches only itself.
    pub fn is_literal(&self) -> bool {
        !self.0.iter().any(|c| matches!(c, '*' | '?'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_texts() {
        for (pattern, text, hit) in [
            ("work-*", "work-laptop", true),
            ("work-*", "homework-1", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("*delete*", "repo_delete_all", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), hit, "{pattern} against {text}");
        }
    }
}
