//! What must hold for any bytes: no panic, and an edit that is not refused can be taken back without
//! a trace.

use mcpkeel::base::{Pointer, Step};
use mcpkeel::document::{Document, Edited, Fault, Format, Op, Seam};
use serde_json::{Value, json};

pub fn edits_leave_no_trace(format: Format, data: &[u8]) {
    let Ok(document) = Document::parse(format, data.to_vec()) else { return };
    assert_eq!(document.edit(&[]).expect("no change").bytes, data);
    let root = if format == Format::Toml { "mcp_servers" } else { "mcpServers" };
    let root = Pointer::of([root]);
    let named = |name: &str| Step::Item { key: "name".into(), is: name.into() };
    let server = json!({"name": "x", "command": "npx", "args": ["-y", "a\"b"], "env": {"A": "1"}});
    for (at, value) in [
        (root.key("new"), server.clone()),
        (root.then(named("x")), server.clone()),
        (Pointer::of(["a", "b", "c"]), json!("v")),
        (Pointer::of(["off"]).then(Step::Element("it".into())), json!("it")),
    ] {
        if !matches!(document.get(&at), Ok(None)) {
            continue;
        }
        let op = Op::Put { at: at.clone(), value: value.clone() };
        let Edited { bytes, seams } = match document.edit(&[op]) {
            Ok(edited) => edited,
            Err(fault) => {
                expected_refusal(&document, &fault);
                continue;
            }
        };
        let after = Document::parse(format, bytes.clone()).expect("an edit keeps the syntax");
        assert_eq!(after.get(&at), Ok(Some(value)));
        let pruned = after.edit(&prune(&at, &seams)).expect("what was added can be removed");
        assert_eq!(
            String::from_utf8_lossy(&pruned.bytes),
            String::from_utf8_lossy(data),
            "{at} by way of {:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    drop_everything(&document, &root);
}

/// Verification is a safety net: what it catches is a bug in the codec. (Nesting counts differently
/// for the second parsers, so only short files are judged.)
fn expected_refusal(document: &Document, fault: &Fault) {
    let is_judged = document.bytes().len() < 200 && document.format() != Format::Yaml;
    assert!(!(is_judged && fault.message.contains("edited safely")), "{fault:?}");
}

fn prune(at: &Pointer, seams: &[Seam]) -> Vec<Op> {
    let close = seams.iter().rev().map(|seam| Op::Close { seam: seam.clone() });
    std::iter::once(Op::Drop { at: at.clone() }).chain(close).collect()
}

/// What is there can be removed and replaced, or the edit is refused.
fn drop_everything(document: &Document, root: &Pointer) {
    for parent in [Pointer::root(), root.clone()] {
        let Ok(keys) = document.keys(&parent) else { continue };
        for key in keys.into_iter().take(8) {
            // A lone surrogate: not a name that anybody could ask for.
            if key.contains('\u{fffd}') {
                continue;
            }
            let at = parent.key(&key);
            let _ = document.place(&at);
            check(document, &Op::Drop { at: at.clone() }, &at, None);
            let value = json!({"command": "c"});
            check(document, &Op::Put { at: at.clone(), value: value.clone() }, &at, Some(value));
        }
    }
}

fn check(document: &Document, op: &Op, at: &Pointer, expected: Option<Value>) {
    let result: Result<Edited, Fault> = document.edit(std::slice::from_ref(op));
    let edited = match result {
        Ok(edited) => edited,
        Err(fault) => return expected_refusal(document, &fault),
    };
    let after = Document::parse(document.format(), edited.bytes).expect("an edit keeps the syntax");
    assert_eq!(after.get(at), Ok(expected));
}
