//! Tests that hold for every row. Samples are in `samples`, places in `places`, refusals in `refusals`.

mod places;
mod refusals;
mod rows;
mod samples;
mod understood;

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::*;
use crate::base::Step;

/// Where a client's servers would stand, whatever the system.
fn place(client: &Client) -> Place {
    client.at(PathBuf::from("/file"))
}

fn client(id: &str) -> &'static Client {
    catalog::find(id).unwrap_or_else(|| panic!("no client {id}"))
}

fn stdio() -> Wanted {
    let args = ["-y", "@modelcontextprotocol/server-filesystem", "/tmp"];
    let launch = Launch::Stdio {
        command: "npx".into(),
        args: args.into_iter().map(Text::from).collect(),
        env: vec![("LOG".to_owned(), "1".into())],
        cwd: None,
    };
    wanted("files", launch)
}

fn remote() -> Wanted {
    let headers = vec![("Authorization".to_owned(), "Bearer abc".into())];
    wanted("docs", Launch::Http { url: "https://mcp.example.com/mcp".into(), headers })
}

fn wanted(name: &str, launch: Launch) -> Wanted {
    Wanted {
        name: name.to_owned(),
        description: None,
        launch,
        enabled: true,
        tools: Filter::default(),
        extra: IndexMap::new(),
    }
}

/// Codes of the problems, in order.
fn codes(rendered: &Rendered) -> Vec<&'static str> {
    rendered.problems.iter().map(|problem| problem.code).collect()
}

/// The file after the rendering was written into an empty one.
fn written(rendered: &Rendered) -> Value {
    let mut document = json!({});
    set(&mut document, &rendered.entry.0, rendered.value());
    rendered.sides.iter().for_each(|side| set(&mut document, &side.at.0, side.value.clone()));
    document
}

fn set(spot: &mut Value, steps: &[Step], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *spot = value;
        return;
    };
    match step {
        Step::Key(key) => {
            if !spot.is_object() {
                *spot = json!({});
            }
            set(spot.as_object_mut().unwrap().entry(key).or_insert(Value::Null), rest, value);
        }
        Step::Item { .. } | Step::Element(_) => {
            if !spot.is_array() {
                *spot = json!([]);
            }
            assert!(rest.is_empty(), "an item is written whole");
            spot.as_array_mut().unwrap().push(value);
        }
    }
}
