//! Problems for machines that show them at their lines: SARIF for code scanning, GitLab's code quality report.
//!
//! Invariant: pure. A path is relative to the root of the repository, or absolute where it is outside; a finding keeps its
//! fingerprint when lines are added above it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::diagnostics::sorted;
use crate::base::{Diagnostic, Fingerprint, Place, Severity};

/// How the paths in diagnostics become those of a report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paths<'a> {
    /// The manifest: the place of a problem that has none, since a report needs one.
    pub manifest: &'a str,
    /// What `~` stands for.
    pub home: &'a str,
    /// From the repository's root to the working directory; empty in the root.
    pub below: &'a str,
}

impl Paths<'_> {
    /// With forward slashes; relative to the repository's root where it lies in it.
    fn of(&self, file: &str) -> String {
        let file = file.replace('\\', "/");
        if let Some(rest) = file.strip_prefix("~/") {
            return format!("{}/{rest}", self.home.replace('\\', "/"));
        }
        if is_absolute(&file) || self.below.is_empty() {
            return file;
        }
        format!("{}/{file}", self.below.replace('\\', "/"))
    }
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || path.as_bytes().get(1) == Some(&b':')
}

/// SARIF 2.1.0, for code scanning.
pub fn sarif(diagnostics: &[Diagnostic], version: &str, paths: Paths<'_>) -> String {
    let sorted = sorted(diagnostics);
    let codes: BTreeMap<&str, ()> = sorted.iter().map(|d| (d.code, ())).collect();
    let index = |code: &str| codes.keys().position(|known| *known == code).unwrap_or(0);
    let rules: Vec<Value> = codes
        .keys()
        .map(|code| json!({ "id": code, "shortDescription": { "text": code.replace('-', " ") } }))
        .collect();
    let prints = fingerprints(&sorted, paths);
    let results: Vec<Value> = sorted
        .iter()
        .zip(prints)
        .map(|(d, print)| {
            let mut result = result(d, index(d.code), paths);
            result["partialFingerprints"] = json!({ "mcpkeelFinding/v1": print });
            result
        })
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "mcpkeel",
                "version": version,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

/// GitLab's code quality report.
pub fn gitlab(diagnostics: &[Diagnostic], paths: Paths<'_>) -> String {
    let sorted = sorted(diagnostics);
    let prints = fingerprints(&sorted, paths);
    let one = |(d, print): (&&Diagnostic, String)| {
        let (file, line) = match &d.place {
            Some(place) => (place.file.as_str(), place.line.max(1)),
            None => (paths.manifest, 1),
        };
        let severity = match d.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
            Severity::Note => "info",
        };
        json!({
            "description": said(d),
            "check_name": d.code,
            "fingerprint": print,
            "severity": severity,
            "location": { "path": paths.of(file), "lines": { "begin": line } },
        })
    };
    let all: Vec<Value> = sorted.iter().zip(prints).map(one).collect();
    format!("{:#}\n", Value::from(all))
}

/// What stays the same about each when the file around it changes; equal ones are counted.
fn fingerprints(sorted: &[&Diagnostic], paths: Paths<'_>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    sorted
        .iter()
        .map(|d| {
            let (file, line) = match &d.place {
                Some(place) => (paths.of(&place.file), place.excerpt.trim()),
                None => (String::new(), ""),
            };
            let what = [d.code, &d.message, &file, line].join("\0");
            let nth = seen.entry(what.clone()).or_default();
            *nth += 1;
            Fingerprint::of(format!("{what}\0{nth}").as_bytes()).to_string()
        })
        .collect()
}

/// The message, with what to do.
fn said(diagnostic: &Diagnostic) -> String {
    match &diagnostic.hint {
        Some(hint) if hint.ends_with(['.', '?']) => format!("{} Help: {hint}", diagnostic.message),
        Some(hint) => format!("{} Help: {hint}.", diagnostic.message),
        None => diagnostic.message.clone(),
    }
}

fn result(diagnostic: &Diagnostic, rule: usize, paths: Paths<'_>) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let manifest = Place::file(paths.manifest);
    let place = diagnostic.place.as_ref().unwrap_or(&manifest);
    let mut result = json!({
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": said(diagnostic) },
        "locations": [location(place, paths)],
    });
    if !diagnostic.related.is_empty() {
        let related = diagnostic.related.iter().enumerate().map(|(id, (label, place))| {
            let mut location = location(place, paths);
            location["id"] = (id + 1).into();
            location["message"] = json!({ "text": label });
            location
        });
        result["relatedLocations"] = related.collect();
    }
    result
}

fn location(place: &Place, paths: Paths<'_>) -> Value {
    let file = paths.of(&place.file);
    let artifact = match (is_absolute(&file), file.starts_with('/')) {
        (true, true) => json!({ "uri": format!("file://{}", uri(&file)) }),
        (true, false) => json!({ "uri": format!("file:///{}", uri(&file)) }),
        (false, _) => json!({ "uri": uri(&file), "uriBaseId": "%SRCROOT%" }),
    };
    let mut physical = json!({ "artifactLocation": artifact });
    if place.line > 0 {
        physical["region"] = json!({
            "startLine": place.line,
            "startColumn": place.column.max(1),
            "endColumn": place.column.max(1) + place.length,
        });
    }
    json!({ "physicalLocation": physical })
}

/// A path as a URI reference: what a URI cannot hold as percent codes.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' | b'+' | b'@' => {
                out.push(byte as char);
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}
