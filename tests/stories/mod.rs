//! What a user lives through, told by running the program in a home of its own.
//!
//! One file per topic; start at `table`, the three-way merge row by row.

mod contracts;
#[cfg(unix)]
mod delivery;
mod events;
mod gateway;
#[cfg(unix)]
mod leaks;
mod language;
#[cfg(unix)]
mod links;
mod onboarding;
mod ownership;
mod saved;
mod sharing;
mod switches;
mod table;
mod undo;

use serde_json::Value;

use crate::support::{Ran, Sandbox};

/// A home with this manifest in it.
pub fn home(manifest: &str) -> Sandbox {
    let home = Sandbox::new();
    home.write("mcp.yaml", manifest);
    home
}

/// A home with this manifest, applied.
#[track_caller]
pub fn applied(manifest: &str) -> Sandbox {
    let home = home(manifest);
    apply(&home).exits(0);
    home
}

/// Applies without asking.
pub fn apply(home: &Sandbox) -> Ran {
    home.run(&["apply", "--yes"])
}

/// A file of the home as JSON.
#[track_caller]
pub fn json_file(home: &Sandbox, path: &str) -> Value {
    let text = home.read(path);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
}

/// What a command prints with `--format json`.
#[track_caller]
pub fn json_of(home: &Sandbox, args: &[&str]) -> Value {
    let ran = home.run(&[args, &["--format", "json"]].concat());
    serde_json::from_str(&ran.out)
        .unwrap_or_else(|error| panic!("{args:?}: {error}\n{}\n{}", ran.out, ran.err))
}

/// Every step of the plan as `client server action`.
#[track_caller]
pub fn steps(home: &Sandbox, args: &[&str]) -> Vec<String> {
    let plan = json_of(home, &[&["plan"], args].concat());
    let files = plan["files"].as_array().expect("files").iter();
    let steps = files.flat_map(|file| file["steps"].as_array().expect("steps").clone());
    let word = |step: &Value, key: &str| step[key].as_str().expect("a word").to_owned();
    steps.map(|step| ["client", "server", "action"].map(|key| word(&step, key)).join(" ")).collect()
}

/// Names of the entries in a JSON file's container.
#[track_caller]
pub fn names(home: &Sandbox, path: &str, container: &str) -> Vec<String> {
    let file = json_file(home, path);
    file[container].as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
}

/// Fails with everything that was printed unless one of the streams holds the text.
#[track_caller]
pub fn says(ran: &Ran, text: &str) {
    assert!(ran.out.contains(text) || ran.err.contains(text), "no `{text}` in:\n{}\n{}", ran.out, ran.err);
}
