//! How long a manifest of 500 servers takes to read and to check: `cargo bench --bench manifest`.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

use std::time::{Duration, Instant};

use mcpkeel::manifest;

const ROUNDS: usize = 9;

fn main() {
    let text = manifest_of(500);
    println!("500 servers, {} KB, best of {ROUNDS}:", text.len() / 1024);
    let parse = || [manifest::parse("mcp.yaml", text.clone().into_bytes())];
    let files = parse();
    show("parse", best(|| drop(parse())));
    show("check", best(|| drop(manifest::check(&files, &["cursor"]))));
    let fully = || drop(manifest::validate_fully("mcp.yaml", text.clone().into_bytes()));
    show("with the schema", best(fully));
}

fn manifest_of(servers: usize) -> String {
    let mut text = String::from("version: 1\nservers:\n");
    for n in 0..servers {
        text += &format!(
            "  server-{n}:\n    description: Number {n}\n    command: npx\n    args: [-y, \"@scope/server-{n}@1.2.3\", --port, {n}]\n    env:\n      TOKEN: ${{secret:token}}\n      LEVEL: info\n    tools: {{ deny: [delete_*] }}\n"
        );
    }
    text + "secrets: { token: { env: X } }\nclients: { cursor: { servers: [\"*\"] } }\n"
}

fn best(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(once).min().unwrap_or_default()
}

fn show(what: &str, time: Duration) {
    println!("  {what:<16} {:>8.2} ms", time.as_secs_f64() * 1e3);
}
