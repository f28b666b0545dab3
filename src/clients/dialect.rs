//! The variable syntax of one client: writing references in it, finding them in what it wrote.
//!
//! Invariant: what [`Dialect::write`] returns means to the client exactly what the [`Text`] says;
//! where that cannot be, it says why instead.

use super::spec::Variables;
use super::text::{Part, Text};

/// A kind of text in an entry; clients expand variables in some of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Command,
    Args,
    Env,
    Cwd,
    Url,
    Headers,
}

impl Field {
    pub(super) const WORDS: [&str; 6] = ["command", "args", "env", "cwd", "url", "headers"];

    pub(super) fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// Why a text cannot be written for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It refers to this variable, and the client expands none there.
    NoVariable(String),
    /// It refers to this secret, and no client knows where it is kept.
    Secret(String),
    /// The client would replace a part of it.
    Expands,
    /// The client replaces it if a variable of this name is set.
    MayExpand,
}

/// [`Variables`] with its forms taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialect {
    write: Option<Form>,
    forms: Vec<Form>,
    fields: Vec<String>,
    escapes: Vec<(String, String)>,
    escape_fields: Vec<String>,
    bare: Vec<String>,
}

/// One form, as the text around the name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    before: String,
    name: Name,
    after: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// The name of an environment variable.
    Variable,
    /// A word of the client's own.
    Word,
    /// None: the text itself starts an expansion.
    None,
}

/// Variables that are set wherever a client runs.
const ALWAYS_SET: &[&str] = &[
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "LANG",
    "TERM",
    "TMPDIR",
    "TEMP",
    "TMP",
    "USERNAME",
    "USERPROFILE",
    "APPDATA",
];

impl Dialect {
    pub(super) fn new(variables: &Variables) -> Self {
        Self {
            write: variables.env.as_deref().map(Form::new),
            forms: variables.expands.iter().map(|form| Form::new(form)).collect(),
            fields: variables.fields.clone(),
            // The longest beginning first: `{file:` before `{`.
            escapes: variables.escape.clone().into_iter().rev().collect(),
            escape_fields: variables.escape_fields.clone(),
            bare: variables.bare.clone(),
        }
    }

    fn expands_in(&self, field: Field) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|word| word == field.word())
    }

    /// The text as the client must find it.
    pub(super) fn write(&self, text: &Text, field: Field) -> Result<String, Refusal> {
        let expands = self.expands_in(field);
        let mut out = String::new();
        for part in text.parts() {
            match (part, &self.write) {
                (Part::Literal(text), _) if expands => {
                    out.push_str(&self.escaped(text, field).ok_or(Refusal::Expands)?);
                }
                (Part::Literal(text), _) => out.push_str(text),
                (Part::Env(name), Some(form)) if expands => {
                    out.extend([form.before.as_str(), name, form.after.as_str()]);
                }
                (Part::Env(name), _) => return Err(Refusal::NoVariable(name.clone())),
                (Part::Secret(name), _) => return Err(Refusal::Secret(name.clone())),
            }
        }
        match text.literal() {
            Some(word) if self.bare.iter().any(|bare| bare == field.word()) && is_shouted(word) => {
                Err(if ALWAYS_SET.contains(&word) { Refusal::Expands } else { Refusal::MayExpand })
            }
            // Parts that meet can make what none of them is (`$` before `${NAME}`).
            _ if self.read(&out, field).0 != *text => Err(Refusal::Expands),
            _ => Ok(out),
        }
    }

    /// A literal as it must be written to come out unchanged; none where that cannot be said.
    fn escaped(&self, text: &str, field: Field) -> Option<String> {
        let can = self.escape_fields.is_empty() || self.escape_fields.iter().any(|word| word == field.word());
        let mut out = String::new();
        let mut rest = text;
        while let Some((at, ..)) = self.first(rest) {
            let found = &rest[at..];
            let (from, to) = self.escapes.iter().find(|(from, _)| can && found.starts_with(from.as_str()))?;
            out.push_str(&rest[..at]);
            out.push_str(to);
            rest = &found[from.len()..];
        }
        out.push_str(rest);
        Some(out)
    }

    /// The text as the client understands it, and whether it holds expansions that a [`Text`] cannot
    /// express (defaults, words of the client's own); those stay literal.
    pub(super) fn read(&self, text: &str, field: Field) -> (Text, bool) {
        let mut parts = Text::default();
        let mut foreign = false;
        let mut rest = text;
        while let Some((at, length, form)) = self.first(rest).filter(|_| self.expands_in(field)) {
            if let Some((start, from, to)) = self.escape_before(rest, at + length) {
                parts.push(Part::Literal(format!("{}{from}", &rest[..start])));
                rest = &rest[start + to.len()..];
                continue;
            }
            let found = &rest[at..at + length];
            parts.push(Part::Literal(rest[..at].to_owned()));
            if form.name == Name::Variable && form.is_closed() {
                let name = &found[form.before.len()..found.len() - form.after.len()];
                parts.push(Part::Env(name.to_owned()));
            } else {
                foreign = true;
                parts.push(Part::Literal(found.to_owned()));
            }
            rest = &rest[at + length..];
        }
        parts.push(Part::Literal(rest.to_owned()));
        (parts, foreign)
    }

    /// The first escape that begins before `end`: where, what it stands for, how it is written.
    fn escape_before(&self, text: &str, end: usize) -> Option<(usize, &str, &str)> {
        let found =
            self.escapes.iter().filter_map(|(from, to)| Some((text.find(to.as_str())?, &**from, &**to)));
        found.filter(|(start, ..)| *start < end).min_by_key(|(start, ..)| *start)
    }

    /// The leftmost expansion: where, how long, which form. A closed form of a variable goes first.
    fn first<'d>(&'d self, text: &str) -> Option<(usize, usize, &'d Form)> {
        let starts = text.char_indices().map(|(at, _)| at);
        starts.into_iter().find_map(|at| {
            self.forms
                .iter()
                .filter_map(|form| Some((at, form.length(&text[at..])?, form)))
                .min_by_key(|(_, _, form)| (form.name != Name::Variable, !form.is_closed()))
        })
    }
}

impl Form {
    fn new(form: &str) -> Self {
        for (word, name) in [("NAME", Name::Variable), ("WORD", Name::Word)] {
            if let Some((before, after)) = form.split_once(word) {
                return Self { before: before.to_owned(), name, after: after.to_owned() };
            }
        }
        Self { before: form.to_owned(), name: Name::None, after: String::new() }
    }

    /// How much of the beginning of `text` has this form, if it begins with it.
    fn length(&self, text: &str) -> Option<usize> {
        let rest = text.strip_prefix(self.before.as_str())?;
        let name = match self.name {
            Name::None => 0,
            Name::Variable if rest.starts_with(|c: char| c.is_ascii_digit()) => return None,
            Name::Variable => run(rest, |c| c.is_ascii_alphanumeric() || c == '_')?,
            Name::Word => run(rest, |c| !c.is_whitespace() && !matches!(c, '{' | '}'))?,
        };
        rest[name..].starts_with(self.after.as_str()).then(|| self.before.len() + name + self.after.len())
    }

    /// Whether nothing of the expansion follows it (`${NAME:-` leaves a default open).
    fn is_closed(&self) -> bool {
        self.after.is_empty() || self.after.ends_with('}')
    }
}

/// The length of the longest beginning of such characters, if there is one.
fn run(text: &str, is: impl Fn(char) -> bool) -> Option<usize> {
    Some(text.find(|c| !is(c)).unwrap_or(text.len())).filter(|length| *length > 0)
}

/// Whether it is written like the name of a variable, in capitals.
fn is_shouted(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(env: Option<&str>, expands: &[&str]) -> Dialect {
        Dialect::new(&Variables {
            env: env.map(str::to_owned),
            expands: expands.iter().map(|form| (*form).to_owned()).collect(),
            ..Variables::default()
        })
    }

    fn text(parts: &[Result<&str, &str>]) -> Text {
        let part = |part: &Result<&str, &str>| match part {
            Ok(literal) => Part::Literal((*literal).to_owned()),
            Err(name) => Part::Env((*name).to_owned()),
        };
        parts.iter().map(part).collect()
    }

    #[test]
    fn reads_what_it_writes_and_leaves_the_rest_literal() {
        let gemini = dialect(Some("${NAME}"), &["$NAME", "${NAME}", "${NAME:-"]);
        let vscode = dialect(Some("${env:NAME}"), &["${env:NAME}", "${WORD}"]);
        let opencode = dialect(Some("{env:NAME}"), &["{env:NAME}", "{file:WORD}"]);
        let goose = dialect(None, &[]);
        for (dialect, written, parts, foreign) in [
            (&gemini, "Bearer ${T}", vec![Ok("Bearer "), Err("T")], false),
            (&gemini, "$A/$B", vec![Err("A"), Ok("/"), Err("B")], false),
            (&gemini, "${A:-x}", vec![Ok("${A:-x}")], true),
            (&gemini, "cost: 5$ or $5", vec![Ok("cost: 5$ or $5")], false),
            (&vscode, "${workspaceFolder}/${env:A}", vec![Ok("${workspaceFolder}/"), Err("A")], true),
            (&opencode, "{env:A}{file:x}", vec![Err("A"), Ok("{file:x}")], true),
            (&goose, "${A}", vec![Ok("${A}")], false),
        ] {
            assert_eq!(dialect.read(written, Field::Args), (text(&parts), foreign), "{written}");
        }
    }

    #[test]
    fn refuses_what_would_come_out_different() {
        let claude = dialect(Some("${NAME}"), &["${NAME}", "${NAME:-"]);
        let none = Dialect::default();
        for (dialect, parts, outcome) in [
            (&claude, vec![Ok("a"), Err("B")], Ok("a${B}".to_owned())),
            (&claude, vec![Ok("$HOME")], Ok("$HOME".to_owned())),
            (&claude, vec![Ok("${HOME}")], Err(Refusal::Expands)),
            (&claude, vec![Ok("${HOME:-x}")], Err(Refusal::Expands)),
            (&none, vec![Ok("${HOME}")], Ok("${HOME}".to_owned())),
            (&none, vec![Err("B")], Err(Refusal::NoVariable("B".to_owned()))),
        ] {
            assert_eq!(dialect.write(&text(&parts), Field::Env), outcome, "{parts:?}");
        }
    }

    fn escaping(env: &str, expands: &[&str], escape: &[(&str, &str)]) -> Dialect {
        Dialect::new(&Variables {
            env: Some(env.to_owned()),
            expands: expands.iter().map(|form| (*form).to_owned()).collect(),
            escape: escape.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
            ..Variables::default()
        })
    }

    /// What programs do that replace `${NAME}` and `${NAME:-DEFAULT}` in one pass, and `$NAME` too if
    /// `bare`. Every variable but those of mcpkeel is set to `VALUE`.
    fn one_pass(text: &str, bare: bool) -> String {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let value = |name: &str| (!name.starts_with("MCPKEEL_")).then(|| "VALUE".to_owned());
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, default) = match braced {
                Some((inner, _)) => inner.split_once(":-").unwrap_or((inner, "")),
                None => ("", ""),
            };
            if let (Some((_, left)), true) = (braced, is_name(name)) {
                out.push_str(&value(name).unwrap_or_else(|| default.to_owned()));
                rest = left;
                continue;
            }
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            if bare && is_name(&after[..end]) {
                out.push_str(&value(&after[..end]).unwrap_or_default());
                rest = &after[end..];
                continue;
            }
            out.push('$');
            rest = after;
        }
        out + rest
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(2000)
        })]

        #[test]
        fn literals_arrive_unchanged(text in "[a-cA-C_${}:. -]{0,16}") {
            let unset = [("$", "${MCPKEEL_UNSET:-$}")];
            for (dialect, bare) in [
                (escaping("${NAME}", &["${NAME}", "${NAME:-"], &unset), false),
                (escaping("${NAME}", &["$NAME", "${NAME}", "${NAME:-"], &unset), true),
            ] {
                let written = dialect.write(&text.as_str().into(), Field::Args);
                let written = written.expect("every literal can be written");
                proptest::prop_assert_eq!(one_pass(&written, bare), text.clone(), "written as {}", written);
            }
        }

        #[test]
        fn literals_arrive_unchanged_where_braces_expand(text in "[{}:env A-B]{0,8}(\\{env:[AB]\\})?[{}:env]{0,5}") {
            let dialect = escaping("{env:NAME}", &["{env:NAME}", "{env:", "{file:WORD}"], &[("{env:", "{en{env:MCPKEEL_UNSET}v:")]);
            let written = dialect.write(&text.as_str().into(), Field::Args).expect("every such literal can be written");
            let mut arrived = String::new();
            let mut rest = written.as_str();
            // One pass over `{env:ANYTHING}`, as opencode does it.
            while let Some(at) = rest.find("{env:") {
                let Some(end) = rest[at..].find('}').filter(|end| *end > 5) else { break };
                let name = &rest[at + 5..at + end];
                arrived.push_str(&rest[..at]);
                arrived.push_str(if name.starts_with("MCPKEEL_") { "" } else { "VALUE" });
                rest = &rest[at + end + 1..];
            }
            arrived.push_str(rest);
            proptest::prop_assert_eq!(arrived, text.clone(), "written as {}", written);
        }
    }

    #[test]
    fn refuses_parts_that_mean_something_together() {
        let grok = dialect(Some("${NAME}"), &["$NAME", "${NAME}", "${NAME:-", "$$"]);
        assert_eq!(grok.write(&text(&[Ok("a$"), Err("B")]), Field::Env), Err(Refusal::Expands));
    }

    #[test]
    fn keeps_to_the_fields_that_the_client_expands() {
        let droid = Dialect::new(&Variables {
            env: Some("${NAME}".to_owned()),
            fields: vec!["env".to_owned()],
            expands: vec!["${NAME}".to_owned()],
            bare: vec!["env".to_owned()],
            ..Variables::default()
        });
        assert_eq!(droid.write(&"${A}".into(), Field::Args), Ok("${A}".to_owned()));
        assert_eq!(droid.write(&Text::env("A"), Field::Args), Err(Refusal::NoVariable("A".to_owned())));
        assert_eq!(droid.write(&"HOME".into(), Field::Env), Err(Refusal::Expands));
        assert_eq!(droid.write(&"DEBUG".into(), Field::Env), Err(Refusal::MayExpand));
        assert_eq!(droid.write(&"debug".into(), Field::Env), Ok("debug".to_owned()));
    }
}
