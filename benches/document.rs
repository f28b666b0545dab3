//! How long it takes to add 20 servers to a file like a busy `~/.claude.json`: `cargo bench --bench document`.
//!
//! The aim for 5 MB of strict JSON is 50 ms from bytes to verified bytes.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mcpkeel::base::Pointer;
use mcpkeel::document::{Document, Format, Op};
use serde_json::{Map, Value, json};

const ROUNDS: usize = 9;

fn main() {
    let mut rows = vec![["file", "size", "parse", "get", "edit", "all"].map(str::to_owned)];
    for megabytes in [1, 5, 10] {
        let text = claude(megabytes << 20);
        rows.push(row("strict JSON", Format::Json, "mcpServers", &text));
    }
    rows.push(row("JSONC", Format::Jsonc, "mcpServers", &claude(5 << 20)));
    rows.push(row("TOML", Format::Toml, "mcp_servers", &codex(100 << 10)));
    let table = rows.iter().map(|cells| {
        let cells = cells.iter().map(|cell| format!("{cell:>12}"));
        cells.collect::<String>()
    });
    let out = table.collect::<Vec<_>>().join("\n") + "\n";
    std::io::Write::write_all(&mut std::io::stdout(), out.as_bytes()).unwrap_or_default();
}

/// The best of several rounds: the machine is shared.
fn row(name: &str, format: Format, root: &str, text: &str) -> [String; 6] {
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let bytes = text.as_bytes().to_vec();
        let start = Instant::now();
        let document = Document::parse(format, bytes).expect("a sound file");
        let parsed = start.elapsed();
        black_box(document.get(&Pointer::of([root])).expect("a value"));
        let got = start.elapsed();
        black_box(document.edit(&additions(root)).expect("an edit"));
        let all = start.elapsed();
        for (best, taken) in best.iter_mut().zip([parsed, got - parsed, all - got, all]) {
            *best = taken.min(*best);
        }
    }
    let [parse, get, edit, all] = best.map(|time| format!("{:.1} ms", time.as_secs_f64() * 1e3));
    [name.to_owned(), format!("{} KB", text.len() >> 10), parse, get, edit, all]
}

fn additions(root: &str) -> Vec<Op> {
    (0..20)
        .map(|number| Op::Put {
            at: Pointer::of([root, &format!("server-{number}")]),
            value: json!({
                "command": "npx",
                "args": ["-y", format!("@scope/server-{number}")],
                "env": {"TOKEN": "${TOKEN}", "LEVEL": "debug"},
            }),
        })
        .collect()
}

/// Projects with histories, as the client keeps them.
fn claude(size: usize) -> String {
    let line =
        "fix the \"parser\" in src/main.rs\nthen run the tests — \u{1f600} and tell me \\ what changed ";
    let history: Vec<Value> = (0..50)
        .map(|n| json!({"display": format!("{n}: {}", line.repeat(3)), "pastedContents": {}}))
        .collect();
    let project =
        json!({"allowedTools": [], "history": history, "lastCost": 0.125, "mcpServers": {}, "ok": true});
    let count = size / serde_json::to_string_pretty(&project).expect("text").len() + 1;
    let projects: Map<String, Value> =
        (0..count).map(|n| (format!("/home/me/src/project-{n}"), project.clone())).collect();
    let root = json!({
        "numStartups": 412,
        "tipsHistory": {"a": 1, "b": 2},
        "projects": projects,
        "mcpServers": {"mine": {"command": "mine", "args": []}},
        "userID": "0123456789abcdef",
    });
    serde_json::to_string_pretty(&root).expect("text")
}

fn codex(size: usize) -> String {
    let mut text = String::from("model = \"x\"\n\n[mcp_servers.mine]\ncommand = \"mine\"\n");
    while text.len() < size {
        text += &format!("\n[projects.\"/home/me/src/{}\"] # seen\ntrust_level = \"trusted\"\n", text.len());
    }
    text
}
