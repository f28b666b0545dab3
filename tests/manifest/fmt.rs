//! The formatter: what it changes, what it never changes.

use mcpkeel::manifest::fmt::format;
use proptest::prelude::*;

/// Cases as in the golden files of this directory: before, after.
const CASES: &[(&str, &str, &str)] = &[
    (
        "nothing to do",
        "version: 1\nservers:\n  a:\n    command: uvx\n",
        "version: 1\nservers:\n  a:\n    command: uvx\n",
    ),
    (
        "four spaces become two",
        "servers:\n    a:\n        command: uvx\n    b: {}\n",
        "servers:\n  a:\n    command: uvx\n  b: {}\n",
    ),
    (
        "dashes under the key move in",
        "include:\n- a\n- b\nversion: 1\n",
        "include:\n  - a\n  - b\nversion: 1\n",
    ),
    (
        "wide dashes get one space",
        "policies:\n-   name: x\n    action: deny\n-   name: y\n",
        "policies:\n  - name: x\n    action: deny\n  - name: y\n",
    ),
    (
        "lists in lists",
        "build:\n-   - npm\n    - ci\n-   - make\n",
        "build:\n  - - npm\n    - ci\n  - - make\n",
    ),
    ("trailing space and blank lines", "\n\na: 1   \n\n\n\nb: 2\n\n\n", "a: 1\n\nb: 2\n"),
    ("a missing final newline", "a: 1", "a: 1\n"),
    (
        "comments go with their neighbours",
        "# top\nservers:\n    # first\n    a:\n        # inner\n        command: uvx # why\n    # second\n    b: {}\n# end\n",
        "# top\nservers:\n  # first\n  a:\n    # inner\n    command: uvx # why\n  # second\n  b: {}\n# end\n",
    ),
    (
        "a comment at the end of a block",
        "servers:\n    a: {}\n    # last\nversion: 1\n",
        "servers:\n  a: {}\n  # last\nversion: 1\n",
    ),
    (
        "block texts keep their shape",
        "a:\n    b: |\n            one\n              two\n\n            three  \n    c: x\n",
        "a:\n  b: |\n    one\n      two\n\n    three  \n  c: x\n",
    ),
    (
        "brackets move as they are",
        "a:\n    b: [\n        x,   # why\n        y\n    ]\n    c: 1\n",
        "a:\n  b: [\n      x,   # why\n      y\n  ]\n  c: 1\n",
    ),
    (
        "texts over several lines",
        "a:\n    b: one\n        two\n    c: \"x\n        y\"\n",
        "a:\n  b: one\n      two\n  c: \"x\n      y\"\n",
    ),
    (
        "anchors and quotes stay",
        "x-a: &a\n    k: 'v'\nb:\n    <<: *a\n    \"q\": !!str 1\n",
        "x-a: &a\n  k: 'v'\nb:\n  <<: *a\n  \"q\": !!str 1\n",
    ),
    ("windows line ends stay", "a:\r\n    b: 1  \r\n", "a:\r\n  b: 1\r\n"),
    ("the byte-order mark stays", "\u{feff}a:   \n    b: 1\n", "\u{feff}a:\n  b: 1\n"),
    ("JSON stays", "{\n    \"version\": 1\n}\n", "{\n    \"version\": 1\n}\n"),
    ("an empty file stays", "", ""),
];

#[test]
fn formats_as_written_here() {
    for (name, before, after) in CASES {
        let formatted = format(before).unwrap_or_else(|problem| panic!("{name}: {}", problem.message));
        assert_eq!(&formatted, after, "{name}");
        assert_eq!(format(&formatted).as_deref(), Ok(*after), "{name}, twice");
    }
}

#[test]
fn leaves_broken_files_alone() {
    assert_eq!(format("a: [").expect_err("broken").code, "syntax");
    assert_eq!(format("a: 1\na: 2\n").expect_err("duplicate").code, "duplicate-key");
}

/// Blocks of YAML in all sorts of layouts.
fn layouts() -> impl Strategy<Value = String> {
    let line = (
        0_usize..9,
        prop::sample::select(vec![
            "a:",
            "b: 1",
            "- x",
            "-   y: 1",
            "- - z",
            "# note",
            "",
            "c: |",
            "d: >-",
            "e: [1,",
            "2]",
            "f: \"q",
            "r\"",
            "text  ",
            "&k g:",
            "? h",
            ": i",
            "j: {k: l}",
        ]),
    );
    prop::collection::vec(line, 0..14).prop_map(|lines| {
        lines.into_iter().map(|(indent, text)| format!("{}{text}\n", " ".repeat(indent))).collect()
    })
}

#[test]
fn a_lone_carriage_return_is_left_alone() {
    for text in ["\r!\r>\r", "version: 1\rservers: {}\n"] {
        assert!(format(text).is_err(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn formatting_twice_is_formatting_once(text in layouts()) {
        if let Ok(once) = format(&text) {
            let twice = format(&once);
            prop_assert_eq!(twice.as_deref(), Ok(once.as_str()));
            let value = |text: &str| serde_yaml::from_str::<serde_yaml::Value>(text).ok();
            prop_assert_eq!(value(&text), value(&once));
        }
    }

    #[test]
    fn never_panics(text in "[ \\na:b#|>\\-\\[\\]{},\"'&*?!\t\r]{0,60}") {
        let _ = format(&text);
    }
}
