//! A line of the file as it may be shown.
//!
//! Invariant: what looks like a secret is replaced by as many dots as it has characters, so columns
//! still fit; when in doubt more is hidden.

use std::ops::Range;

use crate::base::mask;

use super::tree::{Id, Kind, Tree};
use super::values;

/// Longest line that is shown, in characters.
const WIDTH: usize = 240;

/// The line in this range of the text. Empty when the column of interest lies too far to the right.
pub fn of(text: &str, tree: &Tree, line: Range<usize>, column: usize) -> String {
    if column > WIDTH {
        return String::new();
    }
    // Nothing beyond the width is looked at: a line may have megabytes.
    let cut = text[line.clone()].char_indices().nth(WIDTH).map_or(line.end, |(at, _)| line.start + at);
    let shown = &text[line.start..cut];
    let mut hidden = vec![false; shown.len()];
    let mut hide = |range: Range<usize>| {
        let (from, to) = (range.start.max(line.start), range.end.min(cut));
        if from < to {
            hidden[from - line.start..to - line.start].fill(true);
        }
    };
    for id in tree.before(line.start).into_iter().chain(tree.starting_in(line.start..cut).take(WIDTH)) {
        if is_secret(tree, id) {
            hide(tree.span(id));
        }
    }
    // Comments are in no tree; what stands behind a `#` inside a text may be hidden as well.
    let unread = if tree.complete { shown.find('#') } else { Some(0) };
    if let Some(start) = unread {
        for range in by_look(&shown[start..]) {
            hide(line.start + start + range.start..line.start + start + range.end);
        }
    }
    for (at, word) in words(shown) {
        if mask::hide_tokens(word) != word || mask::looks_secret("", word) {
            hide(line.start + at..line.start + at + word.len());
        }
    }
    let mut out: String = shown.char_indices().map(|(at, c)| if hidden[at] { '•' } else { c }).collect();
    if cut < line.end {
        out.push('…');
    }
    out.trim_end().to_owned()
}

/// Whether a scalar is a secret by what it is called or what it looks like.
fn is_secret(tree: &Tree, id: Id) -> bool {
    let Kind::Scalar { text, .. } = tree.kind(id) else { return false };
    if text.len() > 64 * 1024 {
        return true;
    }
    let parent = tree.parent(id);
    let name = match tree.kind(parent) {
        Kind::Map(members) => {
            // Among very many members the name is not worth looking for.
            let member = members.iter().take(10_000).find(|(_, value)| *value == id);
            member.and_then(|(key, _)| tree.text(*key)).unwrap_or_default()
        }
        Kind::List(items) => {
            let at = items.iter().take(10_000).position(|item| *item == id).unwrap_or(0);
            let flag = at.checked_sub(1).and_then(|at| tree.text(items[at])).unwrap_or_default();
            flag_name(flag, text)
        }
        _ => "",
    };
    is_secret_text(name, text)
        || is_secret_query(text)
        || values::url(text).is_ok_and(|url| url.has_login)
        || is_in_secrets(tree, id)
}

/// Whether a text stands where the place of a secret was asked for: then it is the secret itself.
fn is_in_secrets(tree: &Tree, id: Id) -> bool {
    let (Some(root), section) = (tree.root, tree.parent(id)) else { return false };
    if section == root || tree.parent(section) != root {
        return false;
    }
    let Kind::Map(members) = tree.kind(section) else { return false };
    members.iter().take(10_000).any(|(_, value)| *value == id)
        && tree.find("/secrets").is_some_and(|(_, secrets)| secrets == section)
}

/// The name of an argument: the flag before it, unless it is a flag itself.
pub fn flag_name<'f>(flag: &'f str, text: &str) -> &'f str {
    let is_name = flag.starts_with('-') && !flag.contains('=') && !text.starts_with("--");
    if is_name { flag } else { "" }
}

/// Whether an address carries a secret behind its `?`.
pub fn is_secret_query(text: &str) -> bool {
    let query =
        text.split_once('?').filter(|(start, _)| start.contains("://")).map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let is_secret =
        |pair: &str| pair.split_once('=').is_some_and(|(key, value)| mask::looks_secret(key, value));
    query.split('&').any(is_secret)
}

/// Whether a text under this name is a secret, as a whole or behind a `--flag=`.
pub fn is_secret_text(name: &str, text: &str) -> bool {
    let assigned = text.split_once('=').filter(|(flag, _)| {
        flag.starts_with('-') || flag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });
    mask::looks_secret(name, text) || assigned.is_some_and(|(flag, value)| mask::looks_secret(flag, value))
}

/// In a text that could not be read: what follows a secret-sounding `name:` or `name=`, and every long
/// run of mixed characters.
fn by_look(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, sign) in line.char_indices().filter(|(_, c)| matches!(c, ':' | '=')) {
        let name = line[..at].trim_end_matches(['"', '\'', ' ']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = name.rsplit(|c| !is_part(c)).next().unwrap_or_default();
        let value = at + sign.len_utf8();
        let until = line[value..].find([',', '}', ']']).map_or(line.len(), |end| value + end);
        let text = line[value..until].trim().trim_matches(['"', '\'']);
        if mask::is_secret_name(name) && !mask::is_reference(text) {
            let written = line[value..until].trim_end();
            let from = value + written.len() - written.trim_start().len();
            found.push(from..value + written.len());
        }
    }
    for (at, word) in words(line) {
        let has = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
        if word.len() >= 20
            && has(char::is_ascii_digit)
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase)
        {
            found.push(at..at + word.len());
        }
    }
    found
}

/// Runs of characters that tokens and keys are made of, with their places.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/'));
    let offset = move |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    line.split(part).filter(|word| !word.is_empty()).map(move |word| (offset(word), word))
}
