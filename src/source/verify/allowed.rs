//! OpenSSH's file of allowed signers (`ssh-keygen(1)`, ALLOWED SIGNERS).
//!
//! Invariant: a line that is not understood is a mistake, never one that is passed over: it may be the one that
//! was to shut somebody out.

use std::time::UNIX_EPOCH;

use ssh_key::PublicKey;

use crate::base::Glob;
use crate::store::{from_rfc3339, rfc3339};

/// One line: a key and who may sign with it.
#[derive(Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// The key.
    pub key: PublicKey,
    principals: Vec<Pattern>,
    namespaces: Option<Vec<Pattern>>,
    /// From when, in seconds since 1970.
    pub valid_after: Option<i64>,
    /// Until when, exclusive.
    pub valid_before: Option<i64>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub message: String,
    pub hint: &'static str,
}

#[derive(Debug)]
struct Pattern {
    glob: Glob,
    excludes: bool,
}

impl Line {
    /// Whether this address may sign with the key.
    pub fn allows_principal(&self, email: &str) -> bool {
        matches(&self.principals, email)
    }

    /// Whether the key may sign such things.
    pub fn allows_namespace(&self, namespace: &str) -> bool {
        self.namespaces.as_ref().is_none_or(|patterns| matches(patterns, namespace))
    }
}

/// Reads the whole file.
///
/// # Errors
/// The first line that cannot be one.
pub fn parse(text: &str) -> Result<Vec<Line>, Mistake> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| parse_line(number, line)).collect()
}

fn parse_line(number: usize, line: &str) -> Result<Line, Mistake> {
    let wrong = |message: String| Mistake {
        line: number,
        message,
        hint: "a line reads `me@example.org [namespaces=\"git\"] ssh-ed25519 AAAA..`",
    };
    let mut words =
        words(line).ok_or_else(|| wrong("a quotation mark is not closed".to_owned()))?.into_iter();
    let principals = words.next().unwrap_or_default();
    let mut word = words.next().ok_or_else(|| wrong("there is no key".to_owned()))?;
    let (mut namespaces, mut valid_after, mut valid_before) = (None, None, None);
    if !is_key_type(&word) {
        for option in split(&word, ',') {
            let (name, value) = option.split_once('=').unwrap_or((&option, ""));
            let value = unquote(value);
            let time = || {
                timestamp(value).ok_or_else(|| {
                    wrong(format!("`{value}` is no time such as `20301231` or `203012312359Z`"))
                })
            };
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => namespaces = Some(patterns(value)),
                "valid-after" => valid_after = Some(time()?),
                "valid-before" => valid_before = Some(time()?),
                "cert-authority" => {
                    return Err(Mistake {
                        line: number,
                        message: "certificates (`cert-authority`) are not supported".to_owned(),
                        hint: "list the keys themselves",
                    });
                }
                _ => return Err(wrong(format!("there is no option `{name}`"))),
            }
        }
        word = words.next().ok_or_else(|| wrong("there is no key".to_owned()))?;
    }
    let body = words.next().ok_or_else(|| wrong("the key is cut off".to_owned()))?;
    let key = PublicKey::from_openssh(&format!("{word} {body}"))
        .map_err(|_| wrong(format!("what stands behind `{word}` is no public key")))?;
    let principals = patterns(unquote(&principals));
    Ok(Line { number, key, principals, namespaces, valid_after, valid_before })
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
}

/// Parts between spaces, those in quotation marks kept together; none when a quotation does not end.
fn words(line: &str) -> Option<Vec<String>> {
    let flat: String = line.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
    let is_closed = flat.matches('"').count().is_multiple_of(2);
    is_closed.then(|| split(&flat, ' ').into_iter().filter(|word| !word.is_empty()).collect())
}

fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        is_quoted ^= c == '"';
        match parts.last_mut() {
            Some(part) if c != at || is_quoted => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn patterns(list: &str) -> Vec<Pattern> {
    let pattern = |text: &str| match text.strip_prefix('!') {
        Some(text) => Pattern { glob: Glob::new(text), excludes: true },
        None => Pattern { glob: Glob::new(text), excludes: false },
    };
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).map(pattern).collect()
}

/// As `ssh_config(5)` has it: one that excludes wins over all that include.
fn matches(patterns: &[Pattern], text: &str) -> bool {
    let hits = |excludes: bool| {
        patterns.iter().any(|pattern| pattern.excludes == excludes && pattern.glob.matches(text))
    };
    !hits(true) && hits(false)
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS` with or without a `Z`, in seconds since 1970. Taken as UTC in
/// either case: the time zone of whoever wrote the file is not known here.
fn timestamp(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or("00");
    let seconds = if digits.len() == 14 { part(12, 14) } else { "00" };
    let (hour, minute) = if digits.len() > 8 { (part(8, 10), part(10, 12)) } else { ("00", "00") };
    let date = format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8));
    let text = format!("{date}T{hour}:{minute}:{seconds}Z");
    // The 31st of February is no day: it would come back as another.
    let time = from_rfc3339(&text).filter(|time| rfc3339(*time) == text)?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[track_caller]
    fn line(text: &str) -> Line {
        let text = text.replace("KEY", KEY);
        let mut lines = parse(&text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        assert_eq!(lines.len(), 1);
        lines.remove(0)
    }

    #[track_caller]
    fn mistake(text: &str) -> (usize, String) {
        let mistake = parse(&text.replace("KEY", KEY)).expect_err("a mistake");
        (mistake.line, mistake.message)
    }

    #[test]
    fn reads_principals_and_passes_over_comments() {
        let line = line("# who may\n\n  me@x.org,*@team.org,!bad@team.org KEY a comment here\n");
        assert_eq!(line.number, 3);
        for (email, allowed) in [
            ("me@x.org", true),
            ("you@team.org", true),
            ("bad@team.org", false),
            ("me@x.org.evil", false),
            ("ME@x.org", false),
            ("", false),
        ] {
            assert_eq!(line.allows_principal(email), allowed, "{email}");
        }
        assert!(line.allows_namespace("git"));
    }

    #[test]
    fn reads_options() {
        let line =
            line("me namespaces=\"file,git*\",valid-after=\"20250102\",VALID-BEFORE=203001020304Z KEY");
        assert!(line.allows_namespace("git") && !line.allows_namespace("email"));
        assert_eq!(line.valid_after, Some(1_735_776_000));
        assert_eq!(line.valid_before, Some(1_893_553_440));
        assert!(!super::tests::line("me namespaces=\"*,!git\" KEY").allows_namespace("git"));
        let quoted = super::tests::line("\"me@x.org, you@x.org\" KEY");
        assert!(quoted.allows_principal("you@x.org"));
    }

    #[test]
    fn reads_times() {
        assert_eq!(timestamp("19700101"), Some(0));
        assert_eq!(timestamp("19700101000102Z"), Some(62));
        for wrong in ["", "1970", "19700132", "19701301", "1970010125", "197001012500", "x9700101"] {
            assert_eq!(timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        assert_eq!(
            mistake("\nme cert-authority KEY"),
            (2, "certificates (`cert-authority`) are not supported".into())
        );
        assert_eq!(mistake("me"), (1, "there is no key".into()));
        assert_eq!(mistake("me ssh-ed25519"), (1, "the key is cut off".into()));
        assert_eq!(
            mistake("me ssh-ed25519 AAAA"),
            (1, "what stands behind `ssh-ed25519` is no public key".into())
        );
        assert_eq!(mistake("me touch-required KEY"), (1, "there is no option `touch-required`".into()));
        assert_eq!(mistake("me namespaces=\"git KEY"), (1, "a quotation mark is not closed".into()));
        assert!(mistake("me valid-before=\"soon\" KEY").1.starts_with("`soon` is no time"));
        assert_eq!(mistake("me KEY\nyou nonsense"), (2, "there is no option `nonsense`".into()));
    }
}
