//! A plan in Markdown, as one comment on a pull request.
//!
//! Invariant: it is never longer than [`MOST`], and what is left out is said; no fence, table or fold is left open. The
//! table comes before the diffs, since it is what is read.

use super::diagnostics::{code, escaped};
use super::show;
use crate::plan::{FilePlan, Plan, Step, diff_text};
use crate::reconcile;
use crate::system::System;

/// GitHub takes 65,536 characters. The rest is for what a script writes around it. Counted as UTF-16, which is the most
/// that anybody counts but for bytes.
const MOST: usize = 60_000;
/// What the table, and what the remarks under it, may take.
const TABLE: usize = 30_000;
const REMARKS: usize = 12_000;
/// A diff is not begun for less.
const LEAST: usize = 400;

/// The line by which a script finds its earlier comment about the same manifest.
pub fn marker(manifest: &str) -> String {
    // Two hyphens would end the comment that it stands in.
    format!("<!-- mcpkeel plan: {} -->", manifest.replace("--", "-\u{2010}").replace(char::is_control, " "))
}

/// The plan.
pub fn plan(system: &dyn System, plan: &Plan, next: &str) -> String {
    let head = "### mcpkeel plan\n".to_owned();
    let closing = show::closing(plan, next);
    let mut parts = vec![head, table(plan), remarks(system, plan)];
    let files: Vec<&FilePlan> =
        plan.files.iter().filter(|file| file.writes() && !file.only_closes()).collect();
    let taken = parts.iter().chain([&closing]).map(|part| size(part) + 1).sum::<usize>();
    // A line says what is left out.
    let mut left = MOST.saturating_sub(taken + 200);
    let mut omitted = 0;
    for (index, file) in files.iter().enumerate() {
        // Short ones leave their share to those that follow.
        let share = left / (files.len() - index);
        match fold(&reconcile::tilde(system, &file.wishes.path), &diff_text(file), share) {
            Some(fold) => {
                left = left.saturating_sub(size(&fold) + 1);
                parts.push(fold);
            }
            None => omitted += 1,
        }
    }
    if omitted > 0 {
        parts.push(format!(
            "The diffs of {omitted} more files are left out here; `mcpkeel plan` shows them.\n"
        ));
    }
    parts.push(closing);
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// Every step that matters, a line each.
fn table(plan: &Plan) -> String {
    let row = |step: &Step| {
        let marks = format!("`{}{}`", step.since, step.will).replace(' ', "·");
        let cells = [&marks, &step.target, &step.server, step.action.word(), &step.why].map(cell);
        format!("| {} |\n", cells.join(" | "))
    };
    let rows = plan.steps().filter(|step| show::matters(step)).map(row);
    let (rows, omitted) = fitting(rows, TABLE);
    if rows.is_empty() && omitted == 0 {
        return String::new();
    }
    let more = if omitted > 0 { format!("\n… and {omitted} more.\n") } else { String::new() };
    format!("|  | client | server | what | why |\n| --- | --- | --- | --- | --- |\n{rows}{more}")
}

/// What will be started, and what stands in the way.
fn remarks(system: &dyn System, plan: &Plan) -> String {
    let starts =
        show::starts(plan).into_iter().map(|(who, what)| format!("{}: {}", escaped(&who), code(&what)));
    let obstacles = show::obstacles(system, plan);
    let obstacles = obstacles.iter().map(|line| line.lines().map(escaped).collect::<Vec<_>>().join("\n> "));
    let (remarks, omitted) = fitting(starts.chain(obstacles).map(|line| format!("> {line}\n\n")), REMARKS);
    let more = if omitted > 0 { format!("> … and {omitted} more.\n\n") } else { String::new() };
    format!("{remarks}{more}").trim_end_matches('\n').to_owned() + if remarks.is_empty() { "" } else { "\n" }
}

/// The diff of one file, folded, of at most this size; none if next to nothing of it would fit.
fn fold(name: &str, diff: &str, most: usize) -> Option<String> {
    let diff = diff.trim_end();
    // A fence longer than any run of backticks inside.
    let fence = "`".repeat(longest_run(diff).max(2) + 1);
    let name = name.replace('&', "&amp;").replace('<', "&lt;");
    let around = |lines: &str, note: &str| {
        format!(
            "<details><summary><code>{name}</code></summary>\n\n{fence}diff\n{lines}{fence}\n{note}\n</details>\n"
        )
    };
    let whole = around(&format!("{diff}\n"), "");
    if size(&whole) <= most {
        return Some(whole);
    }
    let note =
        |omitted: usize| format!("\n{omitted} more lines are left out here; `mcpkeel plan` shows them.\n");
    let room = most.checked_sub(size(&around("", &note(usize::MAX))))?;
    let (lines, omitted) = fitting(diff.lines().map(|line| format!("{line}\n")), room);
    (room >= LEAST && !lines.is_empty()).then(|| around(&lines, &note(omitted)))
}

/// As many pieces as fit, and how many do not.
fn fitting(pieces: impl Iterator<Item = String>, most: usize) -> (String, usize) {
    let (mut text, mut used, mut omitted) = (String::new(), 0, 0);
    for piece in pieces {
        used += size(&piece);
        // What follows one that is left out is left out as well.
        if used <= most { text.push_str(&piece) } else { omitted += 1 }
    }
    (text, omitted)
}

/// A cell of a table: a bar would end it even inside of code.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in escaped(text).chars() {
        if c == '|' && !out.ends_with('\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn size(text: &str) -> usize {
    text.encode_utf16().count()
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_cut_between_lines_and_its_fence_is_closed() {
        let diff: String = (0..500).map(|n| format!("+line {n} with ``` in it\n")).collect();
        let whole = fold("~/a", &diff, 100_000).expect("it fits");
        assert!(whole.ends_with("+line 499 with ``` in it\n````\n\n</details>\n"), "{whole}");
        for most in [600, 1000, 5000] {
            let cut = fold("~/a", &diff, most).expect("some of it fits");
            assert!(size(&cut) <= most, "{} of {most}", size(&cut));
            let (inside, after) =
                cut.split_once("````diff\n").expect("a fence").1.split_once("\n````\n").expect("its end");
            let kept = inside.lines().count();
            assert!(inside.lines().all(|line| line.ends_with("in it")), "{inside}");
            assert!(after.contains(&format!("{} more lines", 500 - kept)), "{after}");
        }
        assert_eq!(fold("~/a", &diff, 300), None);
        // One line that is too long by itself is no reason to begin.
        assert_eq!(fold("~/a", &format!("+{}", "x".repeat(9000)), 2000), None);
    }

    #[test]
    fn cells_and_markers_stay_closed() {
        assert_eq!(cell("a|b `c|d` \\"), r"a\|b `c\|d` \\");
        assert_eq!(marker("team/mcp.yaml"), "<!-- mcpkeel plan: team/mcp.yaml -->");
        assert!(!marker("a--b-->c").trim_end_matches("-->").contains("--b"), "{}", marker("a--b-->c"));
    }
}
