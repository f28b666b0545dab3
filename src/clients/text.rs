//! Texts that may refer to environment variables.

/// A text in which some parts must be left to the client to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<Part>);

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Taken as it is.
    Literal(String),
    /// The value of an environment variable, as the client or the server finds it.
    Env(String),
    /// The value of a secret of the manifest, which only a launch may look up.
    Secret(String),
}

impl Text {
    /// A reference to one environment variable and nothing else.
    pub fn env(name: impl Into<String>) -> Self {
        Self(vec![Part::Env(name.into())])
    }

    /// The parts in order; no two literals stand side by side and none is empty.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Adds a part at the end.
    pub fn push(&mut self, part: Part) {
        match (self.0.last_mut(), part) {
            (_, Part::Literal(text)) if text.is_empty() => {}
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
            (_, part) => self.0.push(part),
        }
    }

    /// The text, if it refers to nothing.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The variable, if the text is one reference and nothing else.
    pub fn reference(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Env(name)] => Some(name),
            _ => None,
        }
    }

    /// What follows the literal `prefix`, if the text begins with it.
    pub fn after(&self, prefix: &str) -> Option<Text> {
        let (first, rest) = self.0.split_first()?;
        let Part::Literal(first) = first else { return None };
        Some([Part::Literal(first.strip_prefix(prefix)?.to_owned())].iter().chain(rest).cloned().collect())
    }

    /// The secrets it refers to, in order.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Secret(name) => Some(name.as_str()),
            Part::Literal(_) | Part::Env(_) => None,
        })
    }

    /// The variables it refers to, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Env(name) => Some(name.as_str()),
            Part::Literal(_) | Part::Secret(_) => None,
        })
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        [Part::Literal(text)].into_iter().collect()
    }
}

impl FromIterator<Part> for Text {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        let mut text = Self::default();
        parts.into_iter().for_each(|part| text.push(part));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_literals_and_drops_empty_ones() {
        let text: Text = [Part::Literal("a".into()), Part::Literal(String::new()), Part::Literal("b".into())]
            .into_iter()
            .collect();
        assert_eq!(text, Text::from("ab"));
        assert_eq!(Text::from("").literal(), Some(""));
    }

    #[test]
    fn takes_a_scheme_off_a_header() {
        let header: Text = [Part::Literal("Bearer ".into()), Part::Env("T".into())].into_iter().collect();
        assert_eq!(header.after("Bearer "), Some(Text::env("T")));
        assert_eq!(header.after("Basic "), None);
    }
}
