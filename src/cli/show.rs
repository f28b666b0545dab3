//! A plan in words: table, diffs, closing line; as text or JSON. As Markdown it is in `comment`.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::out::{Look, Out};
use super::table;
use crate::base::Fingerprint;
use crate::plan::{Action, Counts, FilePlan, Plan, Step, diff_text};
use crate::reconcile;
use crate::system::System;

/// Whether a step is worth a line when not everything is asked for.
pub fn matters(step: &Step) -> bool {
    !matches!(step.action, Action::Keep | Action::Foreign | Action::Nothing)
}

/// The table that is read in ten seconds.
pub fn summary(out: &Out, plan: &Plan) -> Vec<String> {
    let steps: Vec<&Step> = plan.steps().filter(|step| out.verbose || matters(step)).collect();
    if steps.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            vec![
                format!("{}{}", step.since, step.will),
                step.target.clone(),
                step.server.clone(),
                step.action.word().to_owned(),
                step.why.clone(),
            ]
        })
        .collect();
    let mut lines = table::table(&["", "CLIENT", "SERVER", "WHAT", "WHY"], &rows);
    for (line, step) in lines.iter_mut().skip(1).zip(&steps) {
        let look = match step.will {
            'A' => Look::Green,
            'D' | '!' => Look::Red,
            'M' => Look::Yellow,
            _ => Look::Dim,
        };
        *line = out.look(look, line);
    }
    lines[0] = out.look(Look::Bold, &lines[0]);
    lines
}

/// What `mcpkeel exec` or the gateway will start or open, for entries that change: who it is for, and the line itself.
pub fn starts(plan: &Plan) -> Vec<(String, String)> {
    let changing = plan.steps().filter(|step| step.action.writes() || step.action == Action::Record);
    let mut groups: IndexMap<(&str, &str, &str), Vec<&str>> = IndexMap::new();
    for step in changing {
        let exec = step.starts.as_deref().map(|starts| ("exec", step.server.as_str(), starts));
        let behind = step.behind.iter().map(|(server, starts)| ("gateway", server.as_str(), starts.as_str()));
        for group in exec.into_iter().chain(behind) {
            groups.entry(group).or_default().push(&step.target);
        }
    }
    groups
        .into_iter()
        .map(|((way, server, starts), targets)| {
            let is_address = starts.split(' ').next().is_some_and(|first| first.contains("://"));
            let verb = if is_address { "opens" } else { "starts" };
            (format!("{way}: `{server}` for {} {verb}", targets.join(", ")), starts.to_owned())
        })
        .collect()
}

/// The unified diff of one file in colour.
pub fn diff(out: &Out, file: &FilePlan) -> Vec<String> {
    diff_text(file)
        .lines()
        .map(|line| match line.as_bytes().first() {
            Some(b'+') if !line.starts_with("+++") => out.look(Look::Green, line),
            Some(b'-') if !line.starts_with("---") => out.look(Look::Red, line),
            Some(b'@') => out.look(Look::Dim, line),
            _ if line.starts_with("+++") || line.starts_with("---") => out.look(Look::Bold, line),
            _ => line.to_owned(),
        })
        .collect()
}

/// Files that cannot be touched, and prunings that need a word.
pub fn obstacles(system: &dyn System, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for file in &plan.files {
        if let Some(problem) = &file.refused {
            let name = reconcile::tilde(system, &file.wishes.path);
            let place = match &problem.place {
                Some(place) if place.line > 0 => format!("{name}:{}:{}", place.line, place.column),
                _ => name,
            };
            lines.push(format!("refused: {place}: {}", problem.message));
            if let Some(hint) = &problem.hint {
                lines.push(format!("  hint: {hint}"));
            }
        }
        if file.only_closes() {
            let name = reconcile::tilde(system, &file.wishes.path);
            lines.push(format!(
                "exposed: {name} holds the value of a secret and others can read it; apply makes it its owner's alone"
            ));
        }
        for guard in &file.guards {
            lines.push(format!(
                "guard: this takes {} of the {} entries that are ours from `{}`; `apply` asks first, or wants `--allow-prune`",
                guard.removes, guard.owned, guard.target
            ));
        }
        for step in &file.steps {
            if let Some(problem) = &step.problem
                && let Some(hint) = &problem.hint
            {
                lines.push(format!(
                    "blocked: `{}` for `{}`: {}\n  hint: {hint}",
                    step.server, step.target, problem.message
                ));
            }
        }
    }
    if plan.steps().any(|step| step.action == Action::Conflict) {
        lines.push("conflict: `mcpkeel diff` shows both sides; `apply --adopt` takes the manifest's, `mcpkeel adopt` takes the live one".to_owned());
    }
    lines
}

/// How many of what, in one sentence.
pub fn counts(counts: Counts) -> String {
    let parts = [
        (counts.create, "to create"),
        (counts.update, "to update"),
        (counts.repair, "to repair"),
        (counts.remove, "to remove"),
        (counts.record, "to adopt as ours"),
        (counts.drift, "drifted and left"),
        (counts.refused, "refused"),
        (counts.held, "held"),
        (counts.in_sync, "in sync"),
        (counts.foreign, "not ours"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if said.is_empty() {
        "nothing to do: the manifest gives no client a server".to_owned()
    } else {
        said.join(", ")
    }
}

/// The one closing line, with the next command.
pub fn closing(plan: &Plan, next: &str) -> String {
    let said = counts(plan.counts());
    let next = if next.is_empty() { String::new() } else { format!(" Next: {next}") };
    if plan.has_changes() {
        format!("Plan: {said}.{next}")
    } else if plan.is_in_sync() {
        let next = if plan.counts().record > 0 { next } else { String::new() };
        format!("In sync: {said}.{next}")
    } else {
        match plan.counts() == Counts::default() {
            true => "Nothing can be changed; the problems are listed above.".to_owned(),
            false => format!("Nothing can be changed: {said}."),
        }
    }
}

/// The plan for a program.
///
/// Fingerprints of files are keyed with the machine's key; without one there are none.
pub fn json(plan: &Plan, key: Option<&[u8; 32]>) -> Value {
    let sealed = |print: Option<Fingerprint>| print.zip(key).map(|(print, key)| print.sealed(key));
    let files: Vec<Value> = plan
        .files
        .iter()
        .map(|file| {
            json!({
                "path": file.wishes.path,
                "real": file.real,
                "before": sealed(file.before),
                "after": sealed(file.after()),
                "writes": file.writes(),
                "removes_file": file.removes_file,
                "refused": file.refused,
                "guards": file.guards,
                "steps": file.steps.iter().map(step_json).collect::<Vec<_>>(),
                "diff": diff_text(file),
            })
        })
        .collect();
    json!({
        "format_version": 1,
        "changes": plan.has_changes(),
        "in_sync": plan.is_in_sync(),
        "counts": plan.counts(),
        "files": files,
        "notes": plan.notes,
    })
}

fn step_json(step: &Step) -> Value {
    json!({
        "client": step.target,
        "client_id": step.client,
        "server": step.server,
        "action": step.action,
        "since": step.since.to_string(),
        "will": step.will.to_string(),
        "why": step.why,
        "leak": step.leak,
        "unapproved": step.unapproved,
        "starts": step.starts,
        "behind": step.behind,
        "problem": step.problem,
    })
}
