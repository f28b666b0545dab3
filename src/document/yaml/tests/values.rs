use super::*;
use crate::document::yaml::scalar;

#[test]
fn reads_what_yaml_means() {
    let text = "s: text\nn: ~\ne:\ni: 12\nh: 0x1F\no: 0o17\nf: 1.5\nx: 1e3\nb: True\nq: \"12\"\nk: yes\nz: 1_000\n\
                t: !!str 5\nl: |\n  a\n  b\nd: 2026-11-21\nbig: 12345678901234567890123\ninf: .inf\nneg: -7\n";
    let value = json!({
        "s": "text", "n": null, "e": null, "i": 12, "h": 31, "o": 15, "f": 1.5, "x": 1000.0, "b": true, "q": "12",
        "k": "yes", "z": "1_000", "t": "5", "l": "a\nb\n", "d": "2026-11-21", "big": 1.234_567_890_123_456_8e22,
        "inf": ".inf", "neg": -7,
    });
    assert_eq!(get(text, &Pointer::root()), Ok(Some(value.clone())));
    assert_eq!(reparse(text), Ok(value));
}

#[test]
fn aliases_and_merge_keys_are_resolved() {
    let text = "base: &b {cmd: x, env: {A: 1}}\nmore: &m {cmd: y, z: 1}\na: *b\nc:\n  <<: [*b, *m]\n  cmd: own\n\
                d: {<<: *b}\n";
    let value = reparse(text).expect("a document");
    assert_eq!(get(text, &Pointer::root()), Ok(Some(value)));
    assert_eq!(get(text, &at("/c")), Ok(Some(json!({"cmd": "own", "env": {"A": 1}, "z": 1}))));
    assert_eq!(get(text, &at("/c/env/A")), Ok(Some(json!(1))));
    assert_eq!(get(text, &at("/a/cmd")), Ok(Some(json!("x"))));
    assert_eq!(get(text, &at("/d/env")), Ok(Some(json!({"A": 1}))));
    assert_eq!(get(text, &at("/d/nope")), Ok(None));
}

#[test]
fn knows_where_things_stand() {
    let text = "a: 1\nl:\n- name: x\n  é: 1\n- {name: y, k: 2}\n\"q\":\n  r: [s, t]\n";
    for (pointer, word) in [
        ("/a", "a: 1"),
        ("/l", "l:"),
        ("/l/[name=x]", "name: x"),
        ("/l/[name=x]/é", "é:"),
        ("/l/[name=y]", "{name"),
        ("/l/[name=y]/k", "k: 2"),
        ("/q/r/[=t]", "t]"),
        ("", "a: 1"),
    ] {
        let found = place(text, &at(pointer)).map(|found| &text[found..]);
        assert!(found.is_some_and(|found| found.starts_with(word)), "{pointer}: {found:?}");
    }
    assert_eq!(place(text, &at("/l/[name=z]")), None);
    assert_eq!(place("", &Pointer::root()), None);
    assert_eq!(get("", &Pointer::root()), Ok(Some(Value::Null)));
}

#[test]
fn only_unmistakable_strings_stay_plain() {
    for plain in [
        "npx",
        "@scope".trim_start_matches('@'),
        "a b",
        "https://x.y/z?".trim_end_matches('?'),
        "~/src",
        "./run.sh",
        "/usr/bin/x",
        "a-b_c.d",
        "$HOME",
        "naïve",
        "x=1",
        "C:\\x",
    ] {
        assert_eq!(scalar::write_string(plain, false, false), plain);
    }
    for quoted in [
        "",
        " ",
        " a",
        "a ",
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "n",
        "true",
        "NULL",
        "~",
        "null",
        "1",
        "1_000",
        "0o7",
        "0x1f",
        "1e3",
        "-1",
        "+1",
        ".5",
        ".inf",
        "2026-11-21",
        "12:30:45",
        "1.2.3.4",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "- a",
        "-y",
        "? a",
        "! a",
        "&a",
        "*a",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "a, b",
        "'a'",
        "\"a\"",
        "|",
        ">",
        "=",
        "<<",
        "---",
        "...",
        "a\nb",
        "a\tb",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "${env:X}",
        "NaN",
        "a  b",
    ] {
        let written = scalar::write_string(quoted, false, false);
        assert!(written.starts_with('"'), "{quoted:?} became {written}");
    }
}

#[test]
fn every_string_reads_back() {
    let nasty = [
        "",
        "\u{0}\u{1}\u{1b}",
        "\u{85}\u{a0}\u{2028}\u{2029}\u{feff}",
        "\u{ffff}\u{fffe}",
        "😀\u{10ffff}",
        "\\ \" ' / \t\r\n",
        "a\r\nb",
        "# x",
        "x: y",
        "日本語",
        "\u{7f}\u{9f}",
    ];
    let value = json!({"list": nasty, "map": nasty.iter().map(|text| ((*text).to_owned(), json!(text))).collect::<serde_json::Map<_, _>>(), "n": [1e21, -1e-7, 0.1, u64::MAX, i64::MIN, 1.0]});
    for text in ["", "{\"a\": 1}", "a: {b: 1}\n"] {
        let ops = [put("/x", value.clone()), put("/a", json!({"v": value.clone()}))];
        try_trace(text, &ops[..1]).unwrap_or_else(|why| panic!("{why}"));
        try_edit(text, &ops).unwrap_or_else(|why| panic!("{why}"));
    }
}
