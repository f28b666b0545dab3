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

/// The place of a fault and a part of its message.
#[track_caller]
pub(super) fn faults(outcome: Result<impl std::fmt::Debug, super::Fault>, place: (u32, u32), part: &str) {
    let fault = outcome.expect_err("a fault");
    assert!(fault.message.contains(part), "{fault:?}");
    assert_eq!((fault.line, fault.column), place, "{fault:?}");
}

#[test]
fn refuses_what_is_not_utf8() {
    faults(Document::parse(Format::Json, b"{\n \"\xc3\xa9\xff\"}".into()), (2, 4), "not valid UTF-8");
    faults(Document::parse(Format::Json, b"\xff\xfe{\0}\0".into()), (0, 0), "UTF-16");
}

#[test]
fn refuses_to_edit_yaml_with_lone_carriage_returns() {
    let put = || [Op::Put { at: Pointer::of(["b"]), value: serde_json::json!(1) }];
    for (text, place) in [("~\t\r\r # \r", (1, 3)), ("a: 1\nc: 2\rd: 3\n", (2, 5))] {
        let document = Document::parse(Format::Yaml, text.into()).expect("it can be read");
        faults(document.edit(&put()), place, "carriage return");
        assert_eq!(document.edit(&[]).expect("nothing to do").bytes, text.as_bytes());
    }
    let document = Document::parse(Format::Yaml, "a: 1\r\n".into()).expect("it can be read");
    assert!(document.edit(&put()).is_ok());
}

#[test]
fn finds_columns_in_characters_after_a_byte_order_mark() {
    for (format, text, place) in [
        (Format::Json, "\u{feff}{\"é\": {}, \"x\": 1}", (1, 11)),
        (Format::Jsonc, "// é\r\n{\"é\": 1, /* é */ \"x\": 1}", (2, 18)),
        (Format::Toml, "a = 'é'\n[x] # c\n", (2, 1)),
    ] {
        let document = Document::parse(format, text.into()).unwrap();
        assert_eq!(document.place(&at("/x")).unwrap_or_default(), place, "{text:?}");
        assert_eq!(document.bytes(), text.as_bytes());
    }
}

#[test]
fn a_blank_document_becomes_a_pretty_one() {
    let value = || json!({"command": "npx", "args": ["-y", "pkg"]});
    for (format, op, expected) in [
        (
            Format::Json,
            put("/mcpServers/x", value()),
            "{\n  \"mcpServers\": {\n    \"x\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"pkg\"]\n    }\n  }\n}\n",
        ),
        (
            Format::Toml,
            put("/mcp_servers/x", value()),
            "[mcp_servers.x]\ncommand = \"npx\"\nargs = [\"-y\", \"pkg\"]\n",
        ),
    ] {
        let Edited { bytes, seams } = Document::blank(format).edit(std::slice::from_ref(&op)).unwrap();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        let pruned = Document::parse(format, bytes).unwrap().edit(&prune(&[op], &seams)).unwrap();
        assert_eq!(pruned.bytes, b"");
        assert!(Document::blank(format).is_hollow());
    }
}

#[test]
fn knows_a_hollow_file() {
    for (format, text, is_hollow) in [
        (Format::Json, " \r\n", true),
        (Format::Json, "\u{feff}{ \n }\n", true),
        (Format::Json, "[]", true),
        (Format::Json, "{\"a\": {}}", false),
        (Format::Json, "0", false),
        (Format::Jsonc, "{ // mine\n}", false),
        (Format::Toml, "\n", true),
        (Format::Toml, "# mine\n", false),
        (Format::Toml, "[a]\n", false),
    ] {
        assert_eq!(Document::parse(format, text.into()).unwrap().is_hollow(), is_hollow, "{text:?}");
    }
}

#[test]
fn an_item_must_carry_its_name() {
    let op = put("/list/[name=x]", json!({"name": "y"}));
    faults(Document::blank(Format::Json).edit(&[op]), (0, 0), "does not carry that name");
    let op = put("/off/[=x]", json!("y"));
    faults(Document::blank(Format::Toml).edit(&[op]), (0, 0), "does not carry that name");
}

#[test]
fn all_changes_of_an_edit_see_the_ones_before() {
    for format in [Format::Json, Format::Jsonc, Format::Toml] {
        let ops = [
            put("/m/a/command", json!("a")),
            put("/m/b", json!({"command": "b", "env": {"X": "1"}})),
            put("/m/b/env/Y", json!("2")),
            put("/m/b/command", json!("c")),
            Op::Drop { at: at("/m/a/command") },
            put("/m/c", json!({})),
            Op::Drop { at: at("/m/c") },
            put("/list/[name=x]/command", json!("z")),
        ];
        let bytes = Document::blank(format).edit(&ops).unwrap().bytes;
        let value = Document::parse(format, bytes).unwrap().get(&Pointer::root()).unwrap().unwrap();
        assert_eq!(value["m"]["b"], json!({"command": "c", "env": {"X": "1", "Y": "2"}}));
        assert_eq!(value["list"], json!([{"name": "x", "command": "z"}]));
    }
}
