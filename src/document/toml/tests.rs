use serde_json::{Value, json};

use super::super::tests::{after, at, edited, faults, prune, put, traceless};
use crate::document::{Document, Format, Op};

fn parse(text: &str) -> Result<Document, crate::document::Fault> {
    Document::parse(Format::Toml, text.into())
}

fn entry() -> Value {
    json!({"command": "c", "args": ["-y", "p"], "env": {"A B": "\"1\"\n"}})
}

const BLOCK: &str =
    "[mcp_servers.x]\ncommand = \"c\"\nargs = [\"-y\", \"p\"]\nenv = { \"A B\" = \"\\\"1\\\"\\n\" }";
const INLINE: &str = "{ command = \"c\", args = [\"-y\", \"p\"], env = { \"A B\" = \"\\\"1\\\"\\n\" } }";

#[test]
fn names_the_place_of_a_syntax_error() {
    for (text, place, part) in [
        ("a = 1\nb = \n", (2, 5), ""),
        ("a = 1\na = 2\n", (2, 1), "duplicate"),
        ("[a]\n[a]\n", (2, 2), "duplicate"),
        ("a = \"\0\"", (1, 6), ""),
        ("é = 1", (1, 1), ""),
    ] {
        faults(parse(text), place, part);
    }
    assert!(parse(&format!("a = {}{}", "[".repeat(5000), "]".repeat(5000))).is_err());
}

#[test]
fn adds_an_entry_after_its_siblings() {
    let root = "[mcp_servers]\n";
    for (text, expected) in [
        ("".to_owned(), format!("{BLOCK}\n")),
        ("a = 1".to_owned(), format!("a = 1\n\n{BLOCK}")),
        ("a = 1\n".to_owned(), format!("a = 1\n\n{BLOCK}\n")),
        ("# c\n\n".to_owned(), format!("# c\n\n\n{BLOCK}\n")),
        (format!("{root}\n[z]\n"), format!("{root}\n{BLOCK}\n\n[z]\n")),
        // Behind the last part of a scattered sibling, and its own last comment.
        (
            "[mcp_servers.a]\nb = 1\n[z]\n[mcp_servers.a.env]\nB = \"1\"\n# C = 1\n\n# y\n[y]\n".to_owned(),
            format!(
                "[mcp_servers.a]\nb = 1\n[z]\n[mcp_servers.a.env]\nB = \"1\"\n# C = 1\n\n{BLOCK}\n\n# y\n[y]\n"
            ),
        ),
        // As its siblings are: inline, dotted, in an inline root.
        (
            format!("{root}a = {{ command = \"q\" }} # a\n[z]\n"),
            format!("{root}a = {{ command = \"q\" }} # a\nx = {INLINE}\n[z]\n"),
        ),
        (
            "mcp_servers.a.command = \"q\"\nz = 1\n".to_owned(),
            format!("mcp_servers.a.command = \"q\"\nmcp_servers.x = {INLINE}\nz = 1\n"),
        ),
        ("mcp_servers = { } # c\n".to_owned(), format!("mcp_servers = {{ x = {INLINE} }} # c\n")),
    ] {
        assert_eq!(traceless(Format::Toml, &text, &[put("/mcp_servers/x", entry())]), expected);
        let crlf = text.replace('\n', "\r\n");
        let made = traceless(Format::Toml, &crlf, &[put("/mcp_servers/x", entry())]);
        if crlf.contains('\r') {
            assert_eq!(made, expected.replace('\n', "\r\n"));
        }
    }
}

#[test]
fn adds_to_lists() {
    let op = || put("/mcp_servers/[name=x]", json!({"name": "x", "command": "c"}));
    let block = "[[mcp_servers]]\nname = \"x\"\ncommand = \"c\"";
    for (text, expected) in [
        ("", format!("{block}\n")),
        ("mcp_servers = []\n", "mcp_servers = [{ name = \"x\", command = \"c\" }]\n".to_owned()),
        (
            "mcp_servers = [\n  {name = \"a\"}, # c\n]\n",
            "mcp_servers = [\n  {name = \"a\"}, # c\n  { name = \"x\", command = \"c\" },\n]\n".to_owned(),
        ),
        (
            "[[mcp_servers]]\nname = 'a'\n[mcp_servers.env]\nA = '1'\n\n[z]\n",
            format!("[[mcp_servers]]\nname = 'a'\n[mcp_servers.env]\nA = '1'\n\n{block}\n\n[z]\n"),
        ),
    ] {
        assert_eq!(traceless(Format::Toml, text, &[op()]), expected);
    }
    for (text, expected) in [
        ("[z]\n", "off = [\"x\"]\n[z]\n"),
        ("# c\n\n# z\n[z]\n", "# c\noff = [\"x\"]\n\n# z\n[z]\n"),
        ("off = [ ]", "off = [\"x\"]"),
        ("off = ['a'] # c\n", "off = ['a', \"x\"] # c\n"),
        ("off = [\n\t'a'\n]\n", "off = [\n\t'a',\n\t\"x\"\n]\n"),
    ] {
        assert_eq!(traceless(Format::Toml, text, &[put("/off/[=x]", json!("x"))]), expected);
    }
    let made = traceless(Format::Toml, "a = 1\n", &[put("/t/off/[=x]", json!("x"))]);
    assert_eq!(made, "a = 1\n\n[t]\noff = [\"x\"]\n");
}

#[test]
fn puts_a_field_where_the_entry_is() {
    let env = |value: Value| put("/m/x/env", value);
    for (text, op, expected) in [
        (
            "[m.x]\ncommand = 'c' # c\n# args = []\n\n[m.x.tools.alpha]\non = true\n\n[z]\n",
            env(json!({"A": "1"})),
            "[m.x]\ncommand = 'c' # c\nenv = { A = \"1\" }\n# args = []\n\n[m.x.tools.alpha]\non = true\n\n[z]\n",
        ),
        ("[m.x]\n", env(json!({})), "[m.x]\nenv = {}\n"),
        ("[m.x]", env(json!({})), "[m.x]\nenv = {}"),
        ("  [m.x]\n  a = 1\n", env(json!({})), "  [m.x]\n  a = 1\n  env = {}\n"),
        ("m.x.a = 1\nz = 1\n", env(json!({"A": "1"})), "m.x.a = 1\nm.x.env = { A = \"1\" }\nz = 1\n"),
        ("m.x = { a = 1 } # c\n", env(json!({"A": "1"})), "m.x = { a = 1, env = { A = \"1\" } } # c\n"),
        ("[m]\nx = {a=1}\n", env(json!({"A": "1"})), "[m]\nx = {a=1,env={A=\"1\"}}\n"),
        ("[m.x.env]\nB = '2'\n", put("/m/x/env/A", json!("1")), "[m.x.env]\nB = '2'\nA = \"1\"\n"),
        ("[m.x]\nenv.B = '2'\n", put("/m/x/env/A", json!("1")), "[m.x]\nenv.B = '2'\nenv.A = \"1\"\n"),
        ("[m.x.env]\nB = '2'\n", put("/m/x/a", json!(1)), "[m.x.env]\nB = '2'\n\n[m.x]\na = 1\n"),
        ("[m.x]\na = '''\n[y]''' # c\n", put("/m/x/a", json!("1")), "[m.x]\na = \"1\" # c\n"),
        ("[m.x]\na = '1' # c\n", put("/m/x/a", json!("1")), "[m.x]\na = '1' # c\n"),
        (
            "[[m]]\nname='x'\n[[m]]\nname='y'\n",
            put("/m/[name=x]/env/A", json!("1")),
            "[[m]]\nname='x'\nenv = { A = \"1\" }\n[[m]]\nname='y'\n",
        ),
        // A whole map over a map, in whatever way it is written.
        ("[m.x]\na = 1\n[m.x.env]\nA = '1'\n[z]\n", put("/m/x", json!({"b": 2})), "[m.x]\nb = 2\n[z]\n"),
        (
            "[m.x]\na = 1\n[m.x.env]\nA = '1'\n[z]\n",
            put("/m/x/env", json!({})),
            "[m.x]\na = 1\n[m.x.env]\n[z]\n",
        ),
        ("m.x.a = 1\nm.x.b = 2\nz = 1\n", put("/m/x", json!({"b": 2})), "m.x = { b = 2 }\nz = 1\n"),
        (
            "[[m]]\nname='x'\n[[m]]\nname='y'",
            put("/m/[name=y]", json!({"name": "y", "a": 1})),
            "[[m]]\nname='x'\n[[m]]\nname = \"y\"\na = 1",
        ),
        ("[m.x]\na = 1\n", put("/m/x", json!({"a": 1})), "[m.x]\na = 1\n"),
        ("[m.x]\na = 1\n[z]\n", put("/m/x", json!("s")), "[z]\n\n[m]\nx = \"s\"\n"),
    ] {
        assert_eq!(after(Format::Toml, text, &[op]), expected, "{text:?}");
    }
}

#[test]
fn drops_an_entry_with_all_its_parts_but_no_comment() {
    for (text, place, expected) in [
        ("[m.x]\na = 1\n\n[z]\n\n[m.x.env]\nA = 1\n[m.x.tools.\"a b\"]\n", "/m/x", "\n[z]\n"),
        (
            "[m.x] # one\n# two\na = 1 # three\n\n# four\n[z]\n",
            "/m/x",
            "# one\n# two\n# three\n\n# four\n[z]\n",
        ),
        ("m.x.a = 1\nz = 1\nm.x.b = [ # c\n]\n", "/m/x", "z = 1\n# c\n"),
        ("[m.x]\na = 1 # c\n  b = 2\n", "/m/x/a", "[m.x]\n# c\n  b = 2\n"),
        ("[m.x]\na = 1", "/m/x/a", "[m.x]"),
        ("m = { x = { a = 1 }, y = 1 }\n", "/m/x", "m = { y = 1 }\n"),
        ("m = [{ name = 'x' }, { name = 'y' }]\n", "/m/[name=y]", "m = [{ name = 'x' }]\n"),
        ("[[m]]\nname = 'x'\n[m.env]\nA = 1\n[[m]]\nname = 'y'\n", "/m/[name=x]", "[[m]]\nname = 'y'\n"),
        ("off = ['x', 'y']\n", "/off/[=x]", "off = [ 'y']\n"),
        ("a = 1\n", "/a/b/c", "a = 1\n"),
        ("'a b'.\"c\" = 1\nd = 2\n", "/a b/c", "d = 2\n"),
        ("' a.\"b'\t. \"\\u0063\".'' = 1\nd = 2\n", "/ a.\"b/c/", "d = 2\n"),
        ("[ \"a.b\" . 'c' ]\nd = 2\n", "/a.b/c", ""),
    ] {
        assert_eq!(after(Format::Toml, text, &[Op::Drop { at: at(place) }]), expected, "{text:?}");
    }
}

#[test]
fn leaves_no_trace_among_later_entries() {
    let ops = [put("/m/x", entry()), put("/m/y", json!({"url": "u"}))];
    let opened = edited(Format::Toml, "a = 1\n", &ops);
    let text = String::from_utf8(opened.bytes).unwrap();
    let theirs = text.replace("[m.y]", "# mine\n[m.theirs]\nurl = 'x'\n\n[m.y]") + "\n[z]\n";
    let pruned = after(Format::Toml, &theirs, &prune(&ops, &opened.seams));
    assert_eq!(pruned, "a = 1\n\n# mine\n[m.theirs]\nurl = 'x'\n\n[z]\n");
}

#[test]
fn refuses_what_does_not_fit() {
    for (text, op, place, part) in [
        ("a = 1\nm = 'x'\n", put("/m/x", json!(1)), (2, 5), "`/m` is not a map"),
        ("[[m]]\nname = 'y'\n", put("/m/x", json!({})), (1, 1), "`/m` is not a map"),
        ("\n[m]\n", put("/m/[name=x]", json!({"name": "x"})), (2, 1), "`/m` is not a list"),
        ("[[m]]\nname = 'x'\n[[m]]\nname = 'x'\n", put("/m/[name=x]/a", json!(1)), (3, 1), "given twice"),
        ("m = [{name='x'},\n {name='x'}]\n", put("/m/[name=x]/a", json!(1)), (2, 2), "given twice"),
        ("m = { x.a = 1 }\n", put("/m/x", json!(1)), (1, 5), "dotted keys"),
        ("", put("/m/x", json!({"a": null})), (1, 1), "null"),
        ("", put("/m/x", json!({"a": u64::MAX})), (1, 1), "18446744073709551615"),
        ("", put("", json!({})), (1, 1), "whole TOML document"),
    ] {
        faults(parse(text).unwrap().edit(&[op]), place, part);
    }
    let twins = parse("[[m]]\nname='x'\n[[m]]\nname='x'\n").unwrap();
    faults(twins.get(&at("/m/[name=x]")), (1, 1), "given twice");
}

#[test]
fn reads_values_and_places() {
    let text =
        "d = 1979-05-27 07:32:00Z\nf = inf\nm = { x.'a b' = [1, 2.5, true] }\n[[l]]\nname = 'n'\n[l.t]\n";
    let document = parse(text).unwrap();
    for (place, value, spot) in [
        ("/d", json!("1979-05-27T07:32:00Z"), (1, 1)),
        ("/f", json!("inf"), (2, 1)),
        ("/m/x/a b", json!([1, 2.5, true]), (3, 7)),
        ("/l/[name=n]", json!({"name": "n", "t": {}}), (4, 1)),
        ("/l/[name=n]/t", json!({}), (6, 1)),
        ("/l", json!([{"name": "n", "t": {}}]), (4, 1)),
    ] {
        assert_eq!(document.get(&at(place)).unwrap(), Some(value));
        assert_eq!(document.place(&at(place)), Some(spot), "{place}");
    }
    assert_eq!(document.keys(&at("")).unwrap(), ["d", "f", "m", "l"]);
}
