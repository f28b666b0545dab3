use serde_json::{Value, json};

use super::super::tests::{after, at, edited, faults, prune, put, traceless};
use crate::document::{Document, Format, Op, Seam};

fn parse(format: Format, text: &str) -> Result<Document, crate::document::Fault> {
    Document::parse(format, text.into())
}

fn get(text: &str, place: &str) -> Option<Value> {
    parse(Format::Jsonc, text).unwrap().get(&at(place)).unwrap()
}

#[test]
fn checks_the_whole_grammar() {
    for (text, place, part) in [
        ("{", (1, 2), "the file ends here"),
        ("{\"a\":1,}", (1, 7), "no comma before"),
        ("{\"a\" 1}", (1, 6), "expected `:`"),
        ("{\n  a: 1}", (2, 3), "key in double quotes"),
        ("{\"a\":1 \"b\":2}", (1, 8), "expected `,` or `}`"),
        ("[1 2]", (1, 4), "expected `,` or `]`"),
        ("[01]", (1, 3), "not a JSON value"),
        ("[1.]", (1, 4), "expected a digit"),
        ("[-]", (1, 3), "expected a digit"),
        ("[+1]", (1, 2), "expected a value"),
        ("[nul]", (1, 2), "expected a value"),
        ("[truex]", (1, 6), "not a JSON value"),
        ("\"\\x\"", (1, 2), "this escape"),
        ("\"\\u12g4\"", (1, 2), "this escape"),
        ("[\"a\nb\"]", (1, 2), "not closed on its line"),
        ("[\"a\tb\"]", (1, 4), "control character"),
        ("[\"a", (1, 2), "not closed"),
        ("{} {}", (1, 4), "after the end"),
        ("{}\0", (1, 3), "after the end"),
        ("[1] // c", (1, 5), "no comments"),
        ("\u{a0}{}", (1, 1), "expected a value"),
        ("[1,,2]", (1, 4), "expected a value"),
        ("{,}", (1, 2), "key in double quotes"),
        ("]", (1, 1), "expected a value"),
    ] {
        faults(parse(Format::Json, text), place, part);
    }
    for (text, place, part) in [
        ("[1, /* ", (1, 5), "not complete"),
        ("[1] /", (1, 5), "not complete"),
        ("[,]", (1, 2), "expected a value"),
        ("{'a': 1}", (1, 2), "key in double quotes"),
    ] {
        faults(parse(Format::Jsonc, text), place, part);
    }
    for text in
        ["", "\n", "0", "-0.5e+3", "[1E5,12345678901234567890123]", "\"\\ud800 \\/\"", "{\"a\":[{},[]]}"]
    {
        parse(Format::Json, text).unwrap();
    }
    for text in ["// c", "/**/", "[1, // c\n]", "{\"a\": 1 /* b */ , }", "{} // no newline"] {
        parse(Format::Jsonc, text).unwrap();
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    faults(parse(Format::Json, &nested(100_000)), (1, 513), "deeper than 512");
    let deep = format!("{{\"deep\": {}, \"m\": {{}}}}", nested(510));
    let op = || put("/m/x", json!({"command": "x"}));
    traceless(Format::Json, &deep, &[op()]);
    traceless(Format::Jsonc, &deep, &[op()]);
    assert!(get(&deep, "/deep").is_some());
}

#[test]
fn reads_values_as_javascript_would() {
    let text = r#"{"a\u0062": "\ud83d\ude00\n\/", "lone": "x\ud800y", "n": [1, -2.5, 1e2, 1e400], "b": [true, null]}"#;
    assert_eq!(get(text, "/ab"), Some(json!("\u{1f600}\n/")));
    assert_eq!(get(text, "/lone"), Some(json!("x\u{fffd}y")));
    assert_eq!(get(text, "/n"), Some(json!([1, -2.5, 100.0, "1e400"])));
    assert_eq!(get(text, "/b"), Some(json!([true, null])));
    assert_eq!(get(text, "/b/x"), None);
    assert_eq!(get("// nothing", ""), None);
    assert_eq!(parse(Format::Json, text).unwrap().keys(&at("")).unwrap(), ["ab", "lone", "n", "b"]);
}

#[test]
fn refuses_keys_that_are_given_twice_on_its_way() {
    let x = || put("/m/x", json!({}));
    for (text, place) in [
        ("{\"m\": {},\n \"m\": {}}", (2, 2)),
        ("{\"m\": {\"a\": 1,\n  \"\\u0061\": 2}}", (2, 3)),
        ("{\"z\": 1, \"m\": {}, \"z\": 2}", (1, 19)),
    ] {
        let document = parse(Format::Json, text).unwrap();
        faults(document.edit(&[x()]), place, "given twice");
        faults(document.edit(&[Op::Drop { at: at("/m/x") }]), place, "given twice");
        faults(document.get(&at("/m/x")), place, "given twice");
    }
    // Elsewhere they are the user's business.
    traceless(Format::Json, "{\"other\": {\"a\": 1, \"a\": 2}, \"m\": {}}", &[x()]);
    let twins = "{\"l\": [{\"name\": \"x\"},\n {\"name\": \"x\"}]}";
    faults(parse(Format::Json, twins).unwrap().get(&at("/l/[name=x]")), (2, 2), "given twice");
}

#[test]
fn puts_nothing_into_what_is_no_container() {
    for (text, place) in
        [("{\"m\": null}", (1, 7)), ("{\n\"m\": \"x\"}", (2, 6)), ("{\"m\": []}", (1, 7)), ("null", (1, 1))]
    {
        faults(parse(Format::Json, text).unwrap().edit(&[put("/m/x", json!(1))]), place, "is not a map");
        assert_eq!(after(Format::Json, text, &[Op::Drop { at: at("/m/x") }]), text);
    }
    let op = put("/m/[=x]", json!("x"));
    faults(parse(Format::Json, "{\"m\": {}}").unwrap().edit(&[op]), (1, 7), "is not a list");
}

#[test]
fn adds_in_the_files_own_style() {
    let entry = || json!({"command": "c", "args": ["-y", "p"], "env": {"A": "1"}});
    for (text, expected) in [
        // One line stays one line, with the same spacing.
        (
            r#"{"m":{"a":{"command":"b"}},"z":1}"#,
            r#"{"m":{"a":{"command":"b"},"x":{"command":"c","args":["-y","p"],"env":{"A":"1"}}},"z":1}"#,
        ),
        (
            r#"{ "m": { "a": 1 } }"#,
            r#"{ "m": { "a": 1, "x": { "command": "c", "args": ["-y", "p"], "env": { "A": "1" } } } }"#,
        ),
        (r#"{"m":{}}"#, r#"{"m":{"x":{"command":"c","args":["-y","p"],"env":{"A":"1"}}}}"#),
        // Tabs, and no blank after the colon.
        (
            "{\n\t\"m\":{\n\t\t\"a\":1\n\t}\n}",
            "{\n\t\"m\":{\n\t\t\"a\":1,\n\t\t\"x\":{\n\t\t\t\"command\":\"c\",\n\t\t\t\"args\":[\"-y\",\"p\"],\n\t\t\t\"env\":{\n\t\t\t\t\"A\":\"1\"\n\t\t\t}\n\t\t}\n\t}\n}",
        ),
        // Four blanks, CRLF, an empty container.
        (
            "{\r\n    \"m\": {}\r\n}\r\n",
            "{\r\n    \"m\": {\r\n        \"x\": {\r\n            \"command\": \"c\",\r\n            \"args\": [\"-y\", \"p\"],\r\n            \"env\": {\r\n                \"A\": \"1\"\r\n            }\r\n        }\r\n    }\r\n}\r\n",
        ),
    ] {
        assert_eq!(traceless(Format::Json, text, &[put("/m/x", entry())]), expected);
    }
}

#[test]
fn adds_around_comments_and_trailing_commas() {
    for (text, expected) in [
        (
            "{\n  \"m\": {\n    \"a\": 1 // one\n  }\n}",
            "{\n  \"m\": {\n    \"a\": 1, // one\n    \"x\": 2\n  }\n}",
        ),
        (
            "{\n  \"m\": {\n    \"a\": 1, // one\n  },\n}",
            "{\n  \"m\": {\n    \"a\": 1, // one\n    \"x\": 2,\n  },\n}",
        ),
        ("{\"m\": {\n  // \"b\": 2,\n}}", "{\"m\": {\n  // \"b\": 2,\n  \"x\": 2\n}}"),
        ("{\"m\": { /* c */ }}", "{\"m\": { /* c */ \"x\": 2}}"),
        ("{\"m\": {\"a\": 1 /* c */ , /* d */ }}", "{\"m\": {\"a\": 1 /* c */ , /* d */ \"x\": 2, }}"),
        ("// c\n", "// c\n{\n  \"m\": {\n    \"x\": 2\n  }\n}\n"),
        ("/* c */", "/* c */\n{\n  \"m\": {\n    \"x\": 2\n  }\n}\n"),
        ("{\"m\": {\"a\": 1 // \u{a0}\n}}", "{\"m\": {\"a\": 1, // \u{a0}\n  \"x\": 2\n}}"),
    ] {
        assert_eq!(traceless(Format::Jsonc, text, &[put("/m/x", json!(2))]), expected);
    }
}

#[test]
fn leaves_no_trace_in_any_file() {
    let ops = || {
        [
            put("/m/x", json!({"command": "x", "env": {}})),
            put("/m/y", json!({"url": "y"})),
            put("/p/q/[name=z]", json!({"name": "z"})),
            put("/off/[=x]", json!("x")),
        ]
    };
    for text in [
        "",
        " ",
        "\n\n",
        "{}",
        "{ }",
        "{\n}",
        "{\n\n  }\n",
        "\u{feff}",
        "\u{feff}{}",
        "{\"m\":{}}",
        "{\"m\": { } }\n",
        "{\"off\":[ ]}",
        "{\"off\":[\n\"a\"\n]}",
        "{\"p\":{\"q\":[{\"name\":\"y\"}]}}",
        "{\r\n\t\"a\": 1\r\n}",
        "{\"a\": \"\\udc00\\ud800\"}",
    ] {
        traceless(Format::Json, text, &ops());
        traceless(Format::Jsonc, text, &ops());
    }
    for text in [
        "// c",
        "/* c */ {} // d",
        "{/* c */}",
        "{ // c\n}",
        "{\"a\": 1,}",
        "{\"m\": {/**/},/**/}//",
        "// c\r{\"m\": { // d\r}}",
        "{\"off\": [\"a\", // c\n]}",
    ] {
        traceless(Format::Jsonc, text, &ops());
    }
}

#[test]
fn replaces_only_the_value() {
    for (text, op, expected) in [
        ("{\"a\" : 1 /* c */ }", put("/a", json!(2)), "{\"a\" : 2 /* c */ }"),
        ("{\"a\": 1.0e0}", put("/a", json!(1.0)), "{\"a\": 1.0e0}"),
        (
            "{\"a\": {\"c\" : \"\\u0041\" // d\n}}",
            put("/a", json!({"c": "A"})),
            "{\"a\": {\"c\" : \"\\u0041\" // d\n}}",
        ),
        ("{\"a\": [ 1,2 ]}", put("/a", json!([1, 3])), "{\"a\": [1, 3]}"),
        ("{\n  \"a\": [\n    1\n  ]\n}", put("/a", json!([1, 3])), "{\n  \"a\": [\n    1,\n    3\n  ]\n}"),
        ("{\n  \"a\": 1\n}", put("/a", json!({"b": []})), "{\n  \"a\": {\n    \"b\": []\n  }\n}"),
        ("[{\"name\": \"x\", \"v\": 1}]", put("/[name=x]/v", json!(2)), "[{\"name\": \"x\", \"v\": 2}]"),
        ("// c\n{} // d\n", put("", json!([])), "// c\n[] // d\n"),
    ] {
        assert_eq!(after(Format::Jsonc, text, &[op]), expected);
    }
}

#[test]
fn drops_an_entry_but_no_comment() {
    for (text, place, expected) in [
        ("{\"a\": 1, \"b\": 2, \"c\": 3}", "/b", "{\"a\": 1, \"c\": 3}"),
        ("{\"a\": 1, \"b\": 2}", "/a", "{ \"b\": 2}"),
        ("{\"a\": 1, \"b\": 2}", "/b", "{\"a\": 1}"),
        ("{\"a\": 1, \"b\": 2,}", "/b", "{\"a\": 1,}"),
        (
            "{\n  // about a\n  \"a\": 1, // one\n  \"b\": 2\n}",
            "/a",
            "{\n  // about a\n // one\n  \"b\": 2\n}",
        ),
        ("{\"a\": 1 // one\n, \"b\": 2}", "/b", "{\"a\": 1 // one\n}"),
        ("{ // c\n\"a\": 1}", "/a", "{ // c\n}"),
        (
            "{\n  \"a\": { // in\n    \"b\": /* mid */ 1\n  },\n  \"z\": 1\n}",
            "/a",
            "{\n  // in\n  /* mid */\n  \"z\": 1\n}",
        ),
        ("{\"a\": { // one\n /* two\n*/}}", "/a", "{ // one\n/* two\n*/}"),
        ("{\"off\": [\"x\", \"y\", \"x\"]}", "/off/[=x]", "{\"off\": [ \"y\"]}"),
        ("{\"l\": [{\"name\": \"x\"}, 1]}", "/l/[name=x]", "{\"l\": [ 1]}"),
        ("{\"a\": 1}", "/b/c", "{\"a\": 1}"),
        ("{}\n", "", "\n"),
    ] {
        assert_eq!(after(Format::Jsonc, text, &[Op::Drop { at: at(place) }]), expected, "{text:?}");
    }
}

#[test]
fn closes_only_what_is_still_empty() {
    let op = || put("/m/x", json!(1));
    let opened = edited(Format::Jsonc, "{ }", &[op()]);
    assert_eq!(
        opened.seams,
        [Seam { at: at(""), was: Some("{ }".into()) }, Seam { at: at("/m"), was: None }]
    );
    let text = String::from_utf8(opened.bytes).unwrap();
    for (found, expected) in [
        (text.replace("\"x\": 1", "\"x\": 1, \"theirs\": 2"), "{\n  \"m\": { \"theirs\": 2\n  }\n}"),
        (text.replace("\"x\": 1", "\"x\": 1 // mine"), "{\n  \"m\": { // mine\n  }\n}"),
        (text.replace("}\n}", "}\n  // mine\n}"), "{\n  // mine\n}"),
        (text.replace("\n}", "\n} // mine"), ""),
    ] {
        let pruned = after(Format::Jsonc, &found, &prune(&[op()], &opened.seams));
        assert!(pruned.contains("mine") == found.contains("mine"), "{found:?} became {pruned:?}");
        if found.contains("theirs") {
            assert_eq!(
                pruned.split_whitespace().collect::<String>(),
                expected.split_whitespace().collect::<String>()
            );
        }
    }
}

#[test]
fn lone_surrogates_and_odd_numbers_do_not_stop_an_edit() {
    let text =
        r#"{"history": ["\uD83D", "\\ud800", "\ud83d\ude00\udc00"], "n": 1e999, "m": {"e": "\ud83d\ude00"}}"#;
    for format in [Format::Json, Format::Jsonc] {
        let made = traceless(format, text, &[put("/m/x", json!("y"))]);
        assert!(made.contains(r#"["\uD83D", "\\ud800", "\ud83d\ude00\udc00"], "n": 1e999"#));
        assert_eq!(after(format, text, &[put("/m/e", json!("\u{1f600}"))]), text);
    }
}
