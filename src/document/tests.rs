use serde_json::{Value, json};

use super::{Document, Edited, Format, Op, Seam};
use crate::base::Pointer;

/// A pointer from its text.
pub(super) fn at(text: &str) -> Pointer {
    text.parse().unwrap()
}

pub(super) fn put(place: &str, value: Value) -> Op {
    Op::Put { at: at(place), value }
}

pub(super) fn edited(format: Format, text: &str, ops: &[Op]) -> Edited {
    let document = Document::parse(format, text.into()).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
    document.edit(ops).unwrap_or_else(|fault| panic!("{text:?} {ops:?}: {fault:?}"))
}

pub(super) fn after(format: Format, text: &str, ops: &[Op]) -> String {
    String::from_utf8(edited(format, text, ops).bytes).unwrap()
}

pub(super) fn prune(ops: &[Op], seams: &[Seam]) -> Vec<Op> {
    let drops = ops.iter().filter_map(|op| match op {
        Op::Put { at, .. } => Some(Op::Drop { at: at.clone() }),
        _ => None,
    });
    drops.chain(seams.iter().rev().map(|seam| Op::Close { seam: seam.clone() })).collect()
}

/// Puts, checks that pruning leaves no trace, and returns the text in between.
#[track_caller]
pub(super) fn traceless(format: Format, text: &str, ops: &[Op]) -> String {
    let Edited { bytes, seams } = edited(format, text, ops);
    let between = String::from_utf8(bytes).unwrap();
    assert_eq!(after(format, &between, &prune(ops, &seams)), text, "by way of {between:?}, {seams:?}");
    between
}

#[test]
fn look() {
    let x = || put("/mcpServers/x", json!({"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}));
    let y = || put("/mcpServers/y", json!({"url": "https://x"}));
    for text in [
        "", " \n", "{}", "{ }", "{\n}", "{\n\n}\n", "{\"a\":1}", "{\"mcpServers\":{}}", "{ \"mcpServers\": { \"a\": {} } }\n",
        "{\"mcpServers\":{\"a\":{\"command\":\"b\",\"args\":[]}},\"z\":1}",
        "{\n\t\"mcpServers\": {\n\t\t\"a\": {\n\t\t\t\"command\": \"z\"\n\t\t}\n\t},\n\t\"z\": 1\n}",
        "{\r\n    \"mcpServers\": {}\r\n}\r\n", "\u{feff}{\n    \"mcpServers\": {\n    }\n}",
    ] {
        eprintln!("--- {text:?}\n{}", traceless(Format::Json, text, &[x(), y()]));
    }
    for text in [
        "// hi\n", "/* c */ {} // d", "{ /* c */ }", "{ // c\n}", "{\n  \"a\": 1, // one\n  // \"b\": 2,\n}\n",
        "{\n  \"mcpServers\": {\n    // none yet\n  },\n  /* z */\n}\n",
        "{\"a\": 1 // one\n /* two */ , \"mcpServers\": { \"b\": 1 /* q */ , } }",
    ] {
        eprintln!("--- {text:?}\n{}", traceless(Format::Jsonc, text, &[x(), y()]));
    }
    let x = || put("/mcp_servers/x", json!({"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}));
    let y = || put("/mcp_servers/y", json!({"url": "https://x"}));
    for text in [
        "", "\n", "a = 1", "a = 1\n", "a = 1\n\n\n", "# c", "[a]\r\nb = 1\r\n", "mcp_servers = {}\n", "mcp_servers = { a = { command = \"x\" } } # c\nz=1",
        "[mcp_servers]\n[mcp_servers.a]\nb = 1 # c\n# d = 1\n\n# other\n[other]\nz = 1\n", "mcp_servers.a.command = \"q\"\nz = 1\n[b]\n",
        "[mcp_servers.a]\nx=1\n[other]\n[mcp_servers.a.env]\nB=\"1\"\n# about z\n[z]\n",
        "[mcp_servers]\na = { command = \"q\" }\n[b]\n",
    ] {
        eprintln!("--- {text:?}\n{}", traceless(Format::Toml, text, &[x(), y()]));
    }
    let x = || put("/mcp_servers/[name=x]", json!({"name": "x", "command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}}));
    let y = || put("/off/[=x]", json!("x"));
    for text in [
        "", "\n", "a = 1", "a = 1\n", "mcp_servers = []\noff = []\n", "mcp_servers = [\n  {name = \"a\"}, # c\n]\noff = [\n  \"a\"\n]",
        "[[mcp_servers]]\nname = \"a\"\n[mcp_servers.env]\nA = 1\n[[mcp_servers]]\nname = \"b\"\n[z]\noff = []\n",
    ] {
        eprintln!("--- {text:?}\n{}", traceless(Format::Toml, text, &[x(), y()]));
    }
}
