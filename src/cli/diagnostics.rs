//! Problems as text, JSON and Markdown. What code scanning takes is in `findings`.
//!
//! Invariant: pure; the same problems in the same order in every format. Severity is said in words,
//! never by colour alone.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use crate::base::{Diagnostic, Place, Severity};

/// By file, line and column; heavier ones first at the same place.
pub(super) fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut all: Vec<&Diagnostic> = diagnostics.iter().collect();
    all.sort_by_key(|d| {
        let place = d.place.as_ref().map(|place| (place.file.as_str(), place.line, place.column));
        (place, std::cmp::Reverse(d.severity))
    });
    all
}

/// For a terminal or a log: every problem with its excerpt, then the [`summary`]. Nothing for none.
pub fn text(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in sorted(diagnostics) {
        out.push_str(renderer.render(&groups(diagnostic)).trim_end());
        out.push_str("\n\n");
    }
    if !diagnostics.is_empty() {
        out.push_str(&summary(diagnostics));
        out.push('\n');
    }
    out
}

fn groups(diagnostic: &Diagnostic) -> Vec<Group<'_>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group =
        shown(level.primary_title(&diagnostic.message).id(diagnostic.code), diagnostic.place.as_ref());
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint));
    }
    let related = diagnostic
        .related
        .iter()
        .map(|(label, place)| shown(Level::NOTE.secondary_title(label), Some(place)));
    std::iter::once(group).chain(related).collect()
}

fn shown<'d>(title: annotate_snippets::Title<'d>, place: Option<&'d Place>) -> Group<'d> {
    let Some(place) = place else { return Group::with_title(title) };
    if place.excerpt.is_empty() {
        let origin = Origin::path(&place.file);
        return title.element(match place.line {
            0 => origin,
            line => origin.line(line as usize).char_column(place.column.max(1) as usize),
        });
    }
    let from = byte_of(&place.excerpt, place.column.saturating_sub(1));
    let to = byte_of(&place.excerpt, (place.column.saturating_sub(1)).saturating_add(place.length.max(1)));
    title.element(
        Snippet::source(&place.excerpt)
            .path(&place.file)
            .line_start(place.line as usize)
            .annotation(AnnotationKind::Primary.span(from..to.max(from))),
    )
}

fn byte_of(text: &str, characters: u32) -> usize {
    text.char_indices().nth(characters as usize).map_or(text.len(), |(at, _)| at)
}

/// `2 errors, 1 warning in mcp.yaml`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let count = |severity, one: &str| {
        let count = diagnostics.iter().filter(|d| d.severity == severity).count();
        (count > 0).then(|| format!("{count} {one}{}", if count == 1 { "" } else { "s" }))
    };
    let counts: Vec<String> =
        [count(Severity::Error, "error"), count(Severity::Warning, "warning"), count(Severity::Note, "note")]
            .into_iter()
            .flatten()
            .collect();
    if counts.is_empty() {
        return "no problems".into();
    }
    let mut files: Vec<&str> =
        diagnostics.iter().filter_map(|d| d.place.as_ref()).map(|place| place.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    match files[..] {
        [] => counts.join(", "),
        [file] => format!("{} in {file}", counts.join(", ")),
        _ => format!("{} in {} files", counts.join(", "), files.len()),
    }
}

/// For programs.
pub fn json(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let related = |d: &Diagnostic| -> Vec<Value> {
        d.related.iter().map(|(label, place)| json!({ "message": label, "place": place })).collect()
    };
    let one = |d: &Diagnostic| {
        json!({
            "severity": d.severity,
            "code": d.code,
            "message": d.message,
            "place": d.place,
            "related": related(d),
            "hint": d.hint,
        })
    };
    let all: Vec<Value> = sorted(diagnostics).into_iter().map(one).collect();
    let document = json!({
        "format_version": 1,
        "valid": count(Severity::Error) == 0,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
        "diagnostics": all,
    });
    format!("{document:#}\n")
}

/// A Markdown list, for pull request comments.
pub fn markdown(diagnostics: &[Diagnostic]) -> String {
    let mut out = format!("**{}**\n", escaped(&summary(diagnostics)));
    if !diagnostics.is_empty() {
        out.push('\n');
    }
    for diagnostic in sorted(diagnostics) {
        let level = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let place = match &diagnostic.place {
            Some(place) if place.line > 0 => {
                format!(" {}", code(&format!("{}:{}:{}", place.file, place.line, place.column)))
            }
            Some(place) => format!(" {}", code(&place.file)),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "- **{level}**{place} {} ({})",
            escaped(&diagnostic.message),
            code(diagnostic.code)
        );
        for (label, place) in &diagnostic.related {
            let _ = writeln!(
                out,
                "  - {} {}",
                escaped(label),
                code(&format!("{}:{}:{}", place.file, place.line, place.column))
            );
        }
        if let Some(hint) = &diagnostic.hint {
            let _ = writeln!(out, "  - help: {}", escaped(hint));
        }
    }
    out
}

/// As inline code, whatever it holds.
pub(super) fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// Plain Markdown text: our sentences' own code spans stay, everything else is literal.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_code = false;
    // An odd backtick would open a span that swallows the rest.
    let balanced = text.matches('`').count().is_multiple_of(2);
    for c in text.chars() {
        match c {
            '`' if balanced => {
                is_code = !is_code;
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            '<' if !is_code => out.push_str("&lt;"),
            '&' if !is_code => out.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '\\' | '@' | '#' | '|' | '`' | '~' if !is_code => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
