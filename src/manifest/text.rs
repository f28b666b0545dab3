//! References inside texts: `Bearer ${secret:x}`.
//!
//! Invariant: every `${` is a reference that is known here, or a mistake; `$${` is the literal `${`.
//! Any other `$` is a literal.

use std::fmt;
use std::ops::Range;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands, escapes resolved.
    Literal(String),
    /// `${secret:NAME}`.
    Secret(String),
    /// `${env:NAME}`.
    Env(String),
    /// `${var:NAME}`.
    Var(String),
    /// `${home}` and the like.
    Builtin(Builtin),
}

/// What every manifest can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// The user's home directory.
    Home,
    /// The directory of the manifest.
    ManifestDir,
    /// The machine's name.
    Host,
    /// `linux`, `macos` or `windows`.
    Os,
    /// The user's name.
    User,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Home, Self::ManifestDir, Self::Host, Self::Os, Self::User];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::ManifestDir => "manifest_dir",
            Self::Host => "host",
            Self::Os => "os",
            Self::User => "user",
        }
    }
}

/// A `${` that is no reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub kind: MistakeKind,
}

/// What is wrong with a `${`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MistakeKind {
    /// The `}` is missing.
    Unclosed,
    /// No reference is written like this; the text between the braces.
    Unknown(String),
    /// The name behind `secret:`, `env:` or `var:` is empty or cannot be one.
    BadName(String),
}

/// A text as its parts; neighbouring literals are one part, an empty text is no part.
pub fn parse(text: &str) -> Result<Vec<Part>, Vec<Mistake>> {
    let mut parts = Vec::new();
    let mut mistakes = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[at..start].ends_with('$') {
            literal.push_str(&text[at..start - 1]);
            literal.push_str("${");
            at = start + 2;
            continue;
        }
        literal.push_str(&text[at..start]);
        let Some(length) = text[start + 2..].find('}') else {
            mistakes.push(Mistake { span: start..text.len(), kind: MistakeKind::Unclosed });
            at = text.len();
            break;
        };
        let inner = &text[start + 2..start + 2 + length];
        at = start + 2 + length + 1;
        match reference(inner) {
            Ok(part) => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(part);
            }
            Err(kind) => mistakes.push(Mistake { span: start..at, kind }),
        }
    }
    literal.push_str(&text[at..]);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    if mistakes.is_empty() { Ok(parts) } else { Err(mistakes) }
}

fn reference(inner: &str) -> Result<Part, MistakeKind> {
    if let Some(builtin) = Builtin::ALL.into_iter().find(|builtin| builtin.name() == inner) {
        return Ok(Part::Builtin(builtin));
    }
    let unknown = || MistakeKind::Unknown(inner.to_owned());
    let (kind, name) = inner.split_once(':').ok_or_else(unknown)?;
    let make = match kind {
        "secret" => Part::Secret,
        "env" => Part::Env,
        "var" => Part::Var,
        _ => return Err(unknown()),
    };
    let is_name = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'(' | b')'));
    if is_name { Ok(make(name.to_owned())) } else { Err(MistakeKind::BadName(inner.to_owned())) }
}

/// Writes a literal so that it reads back as itself.
pub fn escape(literal: &str) -> String {
    literal.replace("${", "$${")
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(&escape(text)),
            Self::Secret(name) => write!(f, "${{secret:{name}}}"),
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::Var(name) => write!(f, "${{var:{name}}}"),
            Self::Builtin(builtin) => write!(f, "${{{}}}", builtin.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_references_and_literals() {
        let literal = |text: &str| Part::Literal(text.into());
        for (text, parts) in [
            ("", vec![]),
            ("plain $HOME $", vec![literal("plain $HOME $")]),
            ("Bearer ${secret:x}", vec![literal("Bearer "), Part::Secret("x".into())]),
            ("${home}/src", vec![Part::Builtin(Builtin::Home), literal("/src")]),
            ("${env:A}${var:b-c}", vec![Part::Env("A".into()), Part::Var("b-c".into())]),
            ("$${secret:x}", vec![literal("${secret:x}")]),
            ("a$${b}$${c", vec![literal("a${b}${c")]),
        ] {
            assert_eq!(parse(text), Ok(parts), "{text}");
        }
    }

    #[test]
    fn names_every_mistake() {
        let kinds = |text: &str| -> Vec<_> {
            parse(text).unwrap_err().into_iter().map(|m| (m.span, m.kind)).collect()
        };
        assert_eq!(
            kinds("a ${TOKEN} ${secret:} ${home"),
            [
                (2..10, MistakeKind::Unknown("TOKEN".into())),
                (11..21, MistakeKind::BadName("secret:".into())),
                (22..28, MistakeKind::Unclosed),
            ]
        );
    }

    proptest! {
        #[test]
        fn an_escaped_literal_reads_back(text in "[ab${}:]{0,12}") {
            let read = parse(&escape(&text)).expect("no reference is left");
            let whole: String = read.iter().map(|part| match part {
                Part::Literal(text) => text.clone(),
                _ => unreachable!("only literals"),
            }).collect();
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn parts_read_back_as_written(text in "[a${}:enzvr]{0,16}") {
            if let Ok(parts) = parse(&text) {
                let written: String = parts.iter().map(ToString::to_string).collect();
                prop_assert_eq!(parse(&written), Ok(parts));
            }
        }
    }
}
