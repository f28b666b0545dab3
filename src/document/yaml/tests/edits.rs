use super::*;

/// One edit, with the text it leads to.
struct Case {
    before: &'static str,
    ops: Vec<Op>,
    after: &'static str,
}

fn case(before: &'static str, ops: impl IntoIterator<Item = Op>, after: &'static str) -> Case {
    Case { before, ops: ops.into_iter().collect(), after }
}

#[track_caller]
fn all(cases: impl IntoIterator<Item = Case>) {
    let mut wrong = Vec::new();
    for Case { before, ops, after } in cases {
        match try_edit(before, &ops) {
            Ok((found, _)) if found == after => {}
            Ok((found, _)) => wrong.push(format!("=== {before}{ops:?}\nwanted:\n{after}\nfound:\n{found}")),
            Err(why) => wrong.push(format!("=== {before}{ops:?}\n{why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn new_entries_look_like_their_neighbours() {
    let server = || json!({"command": "npx", "args": ["-y", "pkg"], "env": {"A": "1"}});
    let named = || json!({"name": "n1", "command": "uvx", "args": ["x"], "env": {"A": "b"}});
    all([
        case(
            "",
            [put("/mcpServers/a", server())],
            "mcpServers:\n  a:\n    command: npx\n    args: [\"-y\", \"pkg\"]\n    env:\n      A: \"1\"\n",
        ),
        case(
            "",
            [put("/mcpServers/[name=n1]", named())],
            "mcpServers:\n  - name: n1\n    command: uvx\n    args: [x]\n    env:\n      A: b\n",
        ),
        case(
            "x:\n    y:\n        z: 1\n",
            [put("/s/a", server())],
            "x:\n    y:\n        z: 1\ns:\n    a:\n        command: npx\n        args: [\"-y\", \"pkg\"]\n        env:\n            A: \"1\"\n",
        ),
        case(
            "x:\n- 1\nmcpServers:\n",
            [put("/mcpServers/[name=n1]", named())],
            "x:\n- 1\nmcpServers:\n- name: n1\n  command: uvx\n  args: [x]\n  env:\n    A: b\n",
        ),
        case(
            "l:\n  -   name: a\n",
            [put("/l/[name=n1]", named())],
            "l:\n  -   name: a\n  -   name: n1\n      command: uvx\n      args: [x]\n      env:\n        A: b\n",
        ),
        case(
            "s:\r\n  a: {command: x} # c\r\n\r\n  # last\r\n\r\nz: 1\r\n",
            [put("/s/b", json!({"x": {"w": "1"}}))],
            "s:\r\n  a: {command: x} # c\r\n  b:\r\n    x:\r\n      w: \"1\"\r\n\r\n  # last\r\n\r\nz: 1\r\n",
        ),
        case(
            "s:\n  a: 1\n  # b: 2\n# about z\nz: 1\n",
            [put("/s/c", json!(3))],
            "s:\n  a: 1\n  # b: 2\n  c: 3\n# about z\nz: 1\n",
        ),
        case(
            "{\"s\": {\"a\": 1}}",
            [put("/s/b", json!({"c": ["d"]}))],
            "{\"s\": {\"a\": 1, \"b\": {\"c\": [\"d\"]}}}",
        ),
        case("s: { a: 1 }\n", [put("/s/b", json!({"c": "d"}))], "s: { a: 1, b: { c: d } }\n"),
        case(
            "s: {\n  a: 1, # c\n  b: 2 # d\n}\n",
            [put("/s/x", json!("v"))],
            "s: {\n  a: 1, # c\n  b: 2, # d\n  x: v\n}\n",
        ),
        case("s: {a: 1,}\n", [put("/s/b", json!(2))], "s: {a: 1, b: 2,}\n"),
        case("s: [a,\n  b]\n", [put("/s/[=c]", json!("c"))], "s: [a,\n  b, c]\n"),
        case("a: 1", [put("/b", json!(2))], "a: 1\nb: 2"),
        case("t: |\n  text", [put("/b", json!(2))], "b: 2\nt: |\n  text"),
        case("- a\n- b\n", [put("/[=c]", json!("c"))], "- a\n- b\n- c\n"),
    ]);
}

#[test]
fn a_replaced_value_leaves_its_surroundings() {
    all([
        case("a: 1 # c\nb: 2\n", [put("/a", json!("x"))], "a: x # c\nb: 2\n"),
        case("a: \"1\" # c\n", [put("/a", json!(2))], "a: 2 # c\n"),
        case("a: 'x'\t# c", [put("/a", json!("yes"))], "a: \"yes\"\t# c"),
        case("a:\n  x # c\n", [put("/a", json!("v"))], "a:\n  v # c\n"),
        case("a: plain\n  more # c\nb: 1\n", [put("/a", json!("v"))], "a: v # c\nb: 1\n"),
        case("a: &x 1 # c\n", [put("/a", json!(2))], "a: &x 2 # c\n"),
        case("a: !!int 1 # c\n", [put("/a", json!("1"))], "a: \"1\" # c\n"),
        case("a:   # c\nb: 1\n", [put("/a", json!(2))], "a: 2   # c\nb: 1\n"),
        case("a:", [put("/a", json!([1]))], "a: [1]"),
        case("a: ~ # c\n", [put("/a", json!({"b": 1}))], "a: # c\n  b: 1\n"),
        case("a: x # c\nb: 1\n", [put("/a", json!({"b": {"c": 1}}))], "a: # c\n  b:\n    c: 1\nb: 1\n"),
        case("a: # c\n  x # d\nb: 1\n", [put("/a", json!({"b": 1}))], "a: # c\n  {b: 1} # d\nb: 1\n"),
        case("a: | # c\n  t\n\n  u\nb: 1\n", [put("/a", json!("x"))], "a: x # c\nb: 1\n"),
        case("a: |+\n  t\n\n\nb: 1\n", [put("/a", json!({"x": 1}))], "a:\n  x: 1\nb: 1\n"),
        case("a: |\n  t", [put("/a", json!("x"))], "a: x"),
        case("a: |\n  t", [put("/a", json!("t\n"))], "a: \"t\\n\""),
        case("a: # c\n  # d\n  x: 1 # e\nb: 1\n", [put("/a", json!("v"))], "a: v # c\n  # d\nb: 1\n"),
        case("a:\n  x: 1\nb: 1\n", [put("/a", json!(["v"]))], "a: [v]\nb: 1\n"),
        case("a:\n  x: 1", [put("/a", json!({}))], "a: {}"),
        case(
            "a:\n  x: 1\nb: 1\n",
            [put("/a", json!({"v": 1, "z": {"w": 1}}))],
            "a:\n  v: 1\n  z:\n    w: 1\nb: 1\n",
        ),
        case("a:\n- x\n# c\nb: 1\n", [put("/a", json!({"v": 1}))], "a:\n  v: 1\n# c\nb: 1\n"),
        case("a:\n- x # c\n- y\nb: 1\n", [put("/a", json!(["v", "-z"]))], "a:\n- v\n- \"-z\"\nb: 1\n"),
        case("a:\n    - x\n", [put("/a", json!([{"v": 1, "z": 2}]))], "a:\n    - v: 1\n      z: 2\n"),
        case("a: [x, y] # c\n", [put("/a", json!(["x", "-z"]))], "a: [\"x\", \"-z\"] # c\n"),
        case("a: {x: 1} # c\n", [put("/a", json!({"v": 1}))], "a: {v: 1} # c\n"),
        case(
            "s: {a: {command: x, env: {K: v}}, b: 1}\n",
            [put("/s/a/command", json!("y z"))],
            "s: {a: {command: y z, env: {K: v}}, b: 1}\n",
        ),
        case("s: {a: , b: 1}\n", [put("/s/a", json!("x"))], "s: {a: x , b: 1}\n"),
        case("s: {a: x, b: 1}\n", [put("/s/a", json!({"c": "d, e"}))], "s: {a: {c: \"d, e\"}, b: 1}\n"),
        case(
            "- {name: x, command: y} # c\n- name: z\n",
            [put("/[name=x]/command", json!(["q"]))],
            "- {name: x, command: [q]} # c\n- name: z\n",
        ),
        case(
            "- name: x # c\n  command: y\n- z\n",
            [put("/[name=x]", json!({"name": "x", "url": "u"}))],
            "- name: x # c\n  url: u\n- z\n",
        ),
        case("- x # c\n- y\n", [put("/[=x]", json!("x"))], "- x # c\n- y\n"),
        case("b: &x 1\na: *x # c\n", [put("/a", json!(2))], "b: &x 1\na: 2 # c\n"),
        case("~\n", [put("", json!({"a": 1}))], "{a: 1}\n"),
        case("# c\n", [put("", json!({"a": {"b": 1}}))], "# c\na:\n  b: 1\n"),
        case("a: 1\n", [put("", json!({"b": 1}))], "b: 1\n"),
    ]);
}

#[test]
fn a_map_that_keeps_members_keeps_their_comments() {
    all([
        case(
            "e:\n  # about A\n  A: 1 # a\n  B: 2 # b\n  # about C\n  C: 3\n",
            [put("/e", json!({"A": 1, "C": "x", "D": {"w": 1}}))],
            "e:\n  # about A\n  A: 1 # a\n  # about C\n  C: x\n  D:\n    w: 1\n",
        ),
        case("e: {A: 1, B: 2 , C: 3} # c\n", [put("/e", json!({"C": 3, "A": 2}))], "e: {A: 2, C: 3} # c\n"),
        case("e: {A: 1, B: 2}\n", [put("/e", json!({"B": 2, "A": 1}))], "e: {A: 1, B: 2}\n"),
    ]);
}

#[test]
fn a_dropped_entry_takes_its_own_lines_only() {
    all([
        case("# h\na: 1 # c\n# about b\nb: 2\n", [cut("/a")], "# h\n# about b\nb: 2\n"),
        case("a: 1\n# about b\nb: 2", [cut("/b")], "a: 1\n# about b"),
        case("a: 1\r\nb:\r\n  c: 1\r\n\r\nd: 2\r\n", [cut("/b")], "a: 1\r\n\r\nd: 2\r\n"),
        case("a: |+\n  x\n\n\nb: 1\n", [cut("/a")], "b: 1\n"),
        case("a: |\n  x\n\n\nb: 1\n", [cut("/a")], "\n\nb: 1\n"),
        case("a: \"x\n  y\" # c\nb: 1\n", [cut("/a")], "b: 1\n"),
        case("a:\n  b: 1 # c\n", [cut("/a/b")], "a: {}\n"),
        case("a: # c\n  # d\n  b: 1\n  # e\n", [cut("/a/b")], "a: {} # c\n  # d\n  # e\n"),
        case("a: 1\n", [cut("/a")], "{}\n"),
        case("- name: x\n", [cut("/[name=x]")], "[]\n"),
        case("- name: x\n  y: 1\n- name: z\n", [cut("/[name=x]/y"), cut("/[name=z]")], "- name: x\n"),
        case("- y: 1\n  # c\n  name: x\n", [cut("/[name=x]/y")], "- \n  # c\n  name: x\n"),
        case("- y: 1 # c\n  name: x\n", [cut("/[name=x]/y")], "- name: x\n"),
        case("l:\n  - a # c\n  - b\n", [cut("/l/[=a]")], "l:\n  - b\n"),
        case("l:\n- a\nm: 1\n", [cut("/l/[=a]")], "l: []\nm: 1\n"),
        case("l: [a, b, c]\n", [cut("/l/[=b]"), cut("/l/[=c]")], "l: [a]\n"),
        case("l: [ a, b, ]\n", [cut("/l/[=a]")], "l: [ b, ]\n"),
        case("l: [a, b,]\n", [cut("/l/[=b]")], "l: [a,]\n"),
        case("s: {a: {b: 1}, c: 2} # c\n", [cut("/s/a")], "s: {c: 2} # c\n"),
        case("s: {a: {b: 1}, c: 2}\n", [cut("/s/a/b")], "s: {a: {}, c: 2}\n"),
        case(
            "s: {\n  a: 1, # a\n  # about b\n  b: 2 # b\n}\n",
            [cut("/s/b")],
            "s: {\n  a: 1 # a\n  # about b\n}\n",
        ),
        case(
            "s: {\n  a: 1, # a\n  # about b\n  b: 2 # b\n}\n",
            [cut("/s/a")],
            "s: {\n  # about b\n  b: 2 # b\n}\n",
        ),
        case("s: {a: 1, # a\n  b: 2}\n", [cut("/s/a")], "s: { # a\n  b: 2}\n"),
        case("s: { # c\n  a: 1 }\n", [cut("/s/a")], "s: { # c\n   }\n"),
        case("b: &x 1\na: *x\nc: 1\n", [cut("/a")], "b: &x 1\nc: 1\n"),
        case("a: 1\nb: 2\n", [cut("/c"), cut("/a/b/c"), cut("/c/d")].into_iter().take(1), "a: 1\nb: 2\n"),
        case("t: |\n  x\nb: 1", [cut("/b")], "t: |\n  x\n"),
        case("t: |-\n  x\nb: 1", [cut("/b")], "t: |-\n  x"),
        case("t: |\n  x\nb: 1\n\n # c\n", [cut("/b")], "t: |\n  x\n\n # c\n"),
        case("a: 1\nb: 2\nc: 3\n", [cut("/a"), cut("/b"), cut("/c")], "{}\n"),
    ]);
}

#[test]
fn keys_compare_as_text() {
    all([
        case("s:\n  123: {x: 1}\n", [put("/s/123/x", json!(2))], "s:\n  123: {x: 2}\n"),
        case("s:\n  0x10: 1\n  \"y\": 2\n", [put("/s/0x10", json!(2)), cut("/s/y")], "s:\n  0x10: 2\n"),
        case(
            "s: {}\n",
            [put("/s/123", json!(1)), put("/s/on", json!("on"))],
            "s:\n  \"123\": 1\n  \"on\": \"on\"\n",
        ),
        case("s: {'a b': 1}\n", [put("/s/a b", json!(2))], "s: {'a b': 2}\n"),
    ]);
}

#[test]
fn a_close_needs_an_empty_container() {
    let (grown, seams) = edited_ok("e: {}\n", &[put("/e/a", json!(1))]);
    let close: Vec<_> = seams.iter().map(|seam| Op::Close { seam: seam.clone() }).collect();
    assert_eq!(edit(&grown, &close).map(|(text, _)| text), Ok(grown.clone()));
    // What the user wrote meanwhile stays.
    let (grown, seams) = edited_ok("", &[put("/e/a", json!(1))]);
    let mine = format!("# mine\n{grown}# also mine\n");
    assert_eq!(
        edit(&mine, &undo(&[put("/e/a", json!(1))], &seams)).map(|(text, _)| text),
        Ok("# mine\n# also mine\n".to_owned())
    );
}

#[track_caller]
fn edited_ok(text: &str, ops: &[Op]) -> (String, Vec<Seam>) {
    try_edit(text, ops).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn twenty_servers_come_at_once() {
    let mut text = String::from("servers:\n");
    for n in 0..1200 {
        text.push_str(&format!(
            "  s{n}:\n    command: npx # number {n}\n    args: [\"-y\", \"package-{n}\"]\n"
        ));
    }
    let server = json!({"command": "npx", "args": ["-y", "p"], "env": {"A": "b"}});
    let puts: Vec<_> = (0..20).map(|n| put(&format!("/servers/new-{n}"), server.clone())).collect();
    let (after, seams) = edit(&text, &puts).expect("an edit");
    let cuts: Vec<_> = (0..20).map(|n| cut(&format!("/servers/new-{n}"))).collect();
    assert_eq!(edit(&after, &cuts).map(|(text, _)| text), Ok(text.clone()));
    assert!(seams.is_empty());
}
