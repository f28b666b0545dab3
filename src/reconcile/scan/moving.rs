//! How literal secrets get out of the manifest and clients' files into a store.
//!
//! Invariant: works it out and writes nothing. A text of the manifest changes in its secret part
//! alone; an independent reading confirms it. What cannot be moved stays as it is, and is said.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::text::Held;
use super::{Owner, Scan, awaited};
use crate::base::{Diagnostic, Place, Pointer, Secret};
use crate::clients::catalog;
use crate::document::{Document, Format};
use crate::manifest::{self, tree};
use crate::reconcile::import::{ImportError, take_over};
use crate::reconcile::load::Loaded;
use crate::reconcile::phrase::{self, Kept, Secrets, Stash};
use crate::reconcile::{ManifestEdit, shown};
use crate::system::System;

/// What has to be done for a move.
pub struct Moving {
    /// Values to be stored, before anything else happens.
    pub kept: Vec<Kept>,
    /// The manifests' new texts.
    pub edits: Vec<ManifestEdit>,
    /// What becomes of what, a line each.
    pub lines: Vec<String>,
    /// What stays where it is, and why.
    pub left: Vec<String>,
}

/// The choices of a move.
#[derive(Clone, Copy)]
pub struct Move<'a> {
    /// Where the values go.
    pub into: Stash,
    /// Only this client's servers.
    pub only: Option<&'a str>,
}

/// Works out how everything that can be moved gets into a store: literals of the manifest where they
/// stand, and servers of clients' own files that the manifest does not have.
///
/// # Errors
/// When a manifest cannot be edited in place.
pub fn moving(
    system: &dyn System,
    loaded: &Loaded,
    scan: &Scan,
    choice: Move<'_>,
) -> Result<Moving, ImportError> {
    let units = &loaded.units;
    let mut secrets = Secrets::beside(units).going(choice.into);
    let mut texts: Vec<String> = units.iter().map(|unit| unit.file.text.clone()).collect();
    for (index, text) in texts.iter_mut().enumerate() {
        *text = without_literals(&units[index].file.name, text, &parts(scan, index), &mut secrets)?;
    }
    let mut left = settle(system, loaded, scan, &mut secrets);
    let name = shown(system, &loaded.path);
    let main = texts.first().cloned().unwrap_or_default();
    // The key of a client's block is no client that could be looked at as a whole.
    let only = choice.only.filter(|only| catalog::find(only).is_some());
    let takes = choice.only.is_none() || only.is_some();
    let wanted = |found: &crate::clients::Found| {
        if !takes {
            return false;
        }
        let plain = phrase::server(&found.name, &found.launch, &mut Secrets::plain());
        phrase::holds_secret("", &Value::Object(plain))
    };
    let imported = take_over(system, &name, main, units, only, secrets, wanted)?;
    if let Some(main) = texts.first_mut() {
        *main = imported.text;
    }
    let mut edits = Vec::new();
    for (unit, after) in units.iter().zip(texts) {
        if after == unit.file.text {
            continue;
        }
        let wrong = manifest::parse(&unit.file.name, after.clone().into_bytes()).diagnostics;
        if let Some(problem) = wrong.into_iter().find(Diagnostic::is_error) {
            return Err(ImportError::Manifest(problem));
        }
        let before = Some(unit.file.text.clone().into_bytes());
        edits.push(ManifestEdit { path: unit.path.clone(), before, after: after.into_bytes() });
    }
    left.extend(imported.conflicts);
    left.extend(imported.skipped);
    Ok(Moving { kept: imported.kept, edits, lines: imported.secrets, left })
}

/// Gives secrets of the manifest that have no value yet those that stand in clients' files. Returns what
/// stays where it is.
fn settle(system: &dyn System, loaded: &Loaded, scan: &Scan, secrets: &mut Secrets) -> Vec<String> {
    let mut left = Vec::new();
    for finding in scan.findings.iter().filter(|finding| matches!(finding.owner, Owner::Clients(_))) {
        let Some(server) = finding.spot.server.as_deref() else { continue };
        let Some(name) = awaited(system, loaded, server, &finding.spot) else { continue };
        if !secrets.settle(name, server, finding.spot.value.expose()) {
            left.push(format!(
                "{}: `{server}` has another value for `{name}` than a file before it",
                super::super::tilde(system, &finding.path)
            ));
        }
    }
    left
}

/// A part of a manifest's text that is a secret.
struct Part<'s> {
    server: &'s str,
    held: &'s Held,
    value: &'s Secret<String>,
}

fn parts(scan: &Scan, index: usize) -> Vec<Part<'_>> {
    let of_it = scan.findings.iter().filter(|finding| finding.owner == Owner::Manifest(index));
    of_it
        .filter_map(|finding| {
            let held = finding.spot.held.as_ref()?;
            Some(Part {
                server: finding.spot.server.as_deref().unwrap_or_default(),
                held,
                value: &finding.spot.value,
            })
        })
        .collect()
}

/// The manifest's text with references in the place of secrets.
fn without_literals(
    name: &str,
    text: &str,
    parts: &[Part<'_>],
    secrets: &mut Secrets,
) -> Result<String, ImportError> {
    let mut by_text: BTreeMap<&str, Vec<&Part<'_>>> = BTreeMap::new();
    for part in parts {
        by_text.entry(part.held.at.as_str()).or_default().push(part);
    }
    let (tree, _) = tree::read(text);
    let stuck = |span: Option<Range<usize>>| {
        let line = span.map_or(0, |span| text[..span.start].matches('\n').count() as u32 + 1);
        let message = "a secret cannot be taken out of this text without changing others";
        let place = Place { line, column: u32::from(line > 0), ..Place::file(name) };
        let hint = "store it with `mcpkeel secret set`, and write ${secret:NAME} here yourself";
        ImportError::Manifest(Diagnostic::error("cannot-edit", message).at(place).hint(hint))
    };
    let mut splices: BTreeMap<usize, Splice> = BTreeMap::new();
    for (at, mut parts) in by_text {
        parts.sort_by_key(|part| part.held.range.start);
        // An alias is changed where its anchor is.
        let span = tree.find(at).map(|(_, id)| tree.span(tree.resolved(id))).ok_or_else(|| stuck(None))?;
        let splice = splices.entry(span.start).or_insert_with(|| {
            let mut splice = Splice { span, after: String::new(), changes: Vec::new(), at: Vec::new() };
            let whole = parts[0].held.text.expose();
            let mut done = 0;
            for part in &parts {
                // In a manifest `$${` is written for `${`; the store takes the value itself.
                let value = Secret::new(part.value.expose().replace("$${", "${"));
                let name = secrets.named(part.server, &part.held.name, value.expose());
                let reference = format!("${{secret:{name}}}");
                splice.after.push_str(&whole[done..part.held.range.start]);
                splice.after.push_str(&reference);
                splice.changes.push((part.value, reference));
                done = part.held.range.end;
            }
            splice.after.push_str(&whole[done..]);
            splice
        });
        splice.at.push(at);
    }
    let mut edited = text.to_owned();
    // From the end, so that places further up stay where they are.
    for splice in splices.into_values().rev() {
        let goal = splice.goal(&edited).ok_or_else(|| stuck(None))?;
        let texts = splice.texts(&edited).into_iter().map(|new| {
            let mut text = edited.clone();
            text.replace_range(splice.span.clone(), &new);
            text
        });
        let right = texts.into_iter().find(|text| says(text).as_ref() == Some(&goal));
        edited = right.ok_or_else(|| stuck(Some(splice.span.clone())))?;
    }
    Ok(edited)
}

/// A change to one scalar of the manifest.
struct Splice<'s> {
    span: Range<usize>,
    /// What it says afterwards.
    after: String,
    /// Secrets, and what takes their places, in order.
    changes: Vec<(&'s Secret<String>, String)>,
    /// Where the manifest says it.
    at: Vec<&'s str>,
}

impl Splice<'_> {
    /// What the whole manifest must say afterwards.
    fn goal(&self, text: &str) -> Option<Value> {
        let mut value = says(text)?;
        for at in &self.at {
            *value.pointer_mut(at)? = Value::from(self.after.as_str());
        }
        Some(value)
    }

    /// Ways to write it: with nothing but the secrets replaced, where they stand there as they are;
    /// else in quotes.
    fn texts(&self, text: &str) -> Vec<String> {
        let raw = &text[self.span.clone()];
        let (mut new, mut rest, mut is_written) = (String::new(), raw, true);
        for (value, reference) in &self.changes {
            let Some((before, behind)) = rest.split_once(value.expose().as_str()) else {
                is_written = false;
                break;
            };
            new.push_str(before);
            new.push_str(reference);
            rest = behind;
        }
        let behind = &raw[raw.trim_end().len()..];
        let quoted = Value::from(self.after.as_str()).to_string() + behind;
        match is_written {
            true => vec![new + rest, quoted],
            false => vec![quoted],
        }
    }
}

fn says(text: &str) -> Option<Value> {
    Document::parse(Format::Yaml, text.as_bytes().to_vec()).ok()?.get(&Pointer::root()).ok()?
}
