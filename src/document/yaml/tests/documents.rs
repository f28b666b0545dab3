use super::*;

fn server() -> Value {
    json!({
        "name": "github", "enabled": true, "type": "stdio", "cmd": "npx", "timeout": 300,
        "args": ["-y", "@modelcontextprotocol/server-github"],
        "envs": {"TOKEN": "${secret:github}", "EMPTY": "", "PORT": "8080"},
        "headers": {}, "available_tools": [],
    })
}

/// Documents in which a map `extensions` can be grown, at the root.
const MAPS: &[&str] = &[
    "",
    "\n",
    "\n\n  \n",
    "  ",
    "# only a comment",
    "# only a comment\n",
    "\r\n",
    "# a\r\n# b\r\n",
    "---\n",
    "---",
    "--- # here\n# and there\n",
    "---\n# c\n...\n",
    "---\n...\n",
    "%YAML 1.2\n---\n",
    "%YAML 1.2\n---\na: 1\n...\n# behind the end\n",
    "{}\n",
    "{}",
    "{ }\n",
    "# c\n{}\n# d\n",
    "{} # c\n",
    "--- {}\n",
    "--- {} # c\n",
    "---\n{}\n...\n",
    "{ # inside\n}\n",
    "{\n}\n",
    "~\n",
    "null",
    "--- ~\n",
    "~ # c\n",
    "--- &root\n",
    "a: 1\n",
    "a: 1",
    "a: 1\r\nb: 2\r\n",
    "a: 1\r\nb: 2",
    "a: 1 # c",
    "a: 1\t# tab\n",
    "a: 1\t\n",
    "a: 1\n# trailing",
    "a: 1\n# trailing\n\n# more\n",
    "a: 1\n\n\n",
    "a: 1\n  \n   \n",
    "extensions: {}\n",
    "extensions: {}",
    "extensions:   {   }   # c\n",
    "extensions: {} # c\nb: 2\n",
    "extensions:\n",
    "extensions:",
    "extensions: ",
    "extensions:\t\n",
    "extensions:   # c\n",
    "extensions: # c\nb: 2\n",
    "extensions: # c",
    "extensions:\n  # mine go here\n  # and here\nb: 2\n",
    "extensions:\n# not mine\nb: 2\n",
    "extensions: ~\n",
    "extensions: null # c\n",
    "extensions: ~\r\nb: 1\r\n",
    "extensions:\n  {}\n",
    "extensions: # c\n  {} # d\n",
    "extensions:\n  # c\n  {}\nb: 1\n",
    "extensions: { # c\n  }\n",
    "extensions: {\n}\n",
    "extensions: &x {}\n",
    "extensions: &x\nb: 2\n",
    "extensions: !!map {}\n",
    "extensions:\n  a:\n    x: 1\n",
    "extensions:\n  a:\n    x: 1",
    "extensions:\n    a:\n        x: 1\n    # b:\n    #     x: 2\n\n# about c\nc: 3\n",
    "extensions:\n  a: {x: 1}\n\n  # last words\n\nb: 2\n",
    "extensions:\n  a: 1 # c\n# below\nb: 2\n",
    "extensions:\n  - 1\n",
    "extensions: {a: 1}\n",
    "extensions: { a: 1 } # c\n",
    "extensions: {a: 1,}\n",
    "extensions: {a: 1 , }\n",
    "extensions: {\n  a: 1\n}\n",
    "extensions: {\n  a: 1, # c\n  b: 2 # d\n  # e\n}\n",
    "extensions: {\n  a: 1,\n  b: 2,\n}\n",
    "extensions: {\n  a: 1\n  , b: 2\n}\n",
    "extensions: {a: 1,\n  b: 2}\n",
    "extensions: {a: 1,\r\n  b: 2\r\n  }\r\n",
    "extensions: {a, b}\n",
    "extensions: {a: , b: 1}\n",
    "{\"extensions\": {\"a\": {\"x\": 1}}}\n",
    "{\"extensions\": {}}\n",
    "{\n  \"extensions\": {\n    \"a\": 1\n  }\n}\n",
    "{extensions: {}}",
    "{extensions: }",
    "{other: 1, extensions: ~}",
    "{other: 1}\n",
    "t: |\n  text\n",
    "t: |\n  text",
    "t: |+\n  text\n\n\n",
    "t: |+\n  text\n\n\n# c\n",
    "t: |+\n  text\n\n",
    "t: |+\n  text",
    "t: |-\n  text",
    "t: |-\n  text\n\n\n",
    "t: >\n  folded\n\n\n# c",
    "t: >2-\n   folded\n  text",
    "t: |",
    "t: |+\n\n",
    "t: | # c\n  a\n\n   b\n     \n",
    "t: |\n  # no comment\n # a comment\n",
    "x: 1\nt: |\n  text",
    "x: 1 # c\n# d\nt: |\n  text",
    "extensions:\n  a:\n    t: |\n      text",
    "extensions:\n  a: 1\n  t: |+\n    text\n\n\nb: 2\n",
    "extensions:\n  t: |+\n    text\n\n\n  # c\nb: 2\n",
    "a: \"x\n  y\"\nb: 'q\n\n  z'\nc: plain\n  more # c\n",
    "a: &x {k: v}\nb: *x\nc:\n  <<: *x\n",
    "a: &x\n  k: v\nb: *x\nextensions:\n  <<: *x\n",
    "ключ: значение # примечание\nextensions:\n  é: \"ü\"\n",
    "? a\n: b\n? c\n",
    "? a\n: b",
    "- a\n",
    "a:\n- 1\n- 2\n# about b\nb:\n- 3\n",
    "a:\n  - 1\n  # inside\n# outside\n",
    "123: x\n0x10: y\ntrue: z\n~: w\n",
    "t: !custom {a: 1}\nu: !custom text\nv: !!str 1\nw: ! 2\n",
    "a: # c: d\n  b: 1\n",
    "# x\na: [1, 2 # y\n  , 3] # z\n",
    "a: 'it''s # no comment'\nb: \"# no\" # yes\n",
    "a: http://x#y\nb: x#y # c\n",
];

#[test]
fn new_members_come_and_go_without_a_trace() {
    let mut cases = Cases::default();
    for text in MAPS {
        // The lists among them, and the aliases without anchors, are for other tests.
        if check(text).is_err() || matches!(get(text, &Pointer::root()), Ok(Some(Value::Array(_)))) {
            continue;
        }
        let root = get(text, &at("/extensions"));
        if matches!(root, Ok(Some(Value::Array(_)))) {
            assert!(edit(text, &[put("/extensions/x", json!(1))]).is_err(), "{text}");
            continue;
        }
        cases.trace(text, &[put("/extensions/github", server())]);
        cases
            .trace(text, &[put("/extensions/p", json!("q")), put("/extensions/r", json!({"s": [{"t": 1}]}))]);
        cases.trace(text, &[put("/one/two/three", json!({"x": 1})), put("/one/four", json!([]))]);
        cases.trace(text, &[put("/extensions/n/m", server()), put("/new", json!(null))]);
        cases.trace(
            text,
            &[put("/list/[name=github]", server()), put("/list/[name=b]", json!({"name": "b"}))],
        );
        cases.trace(text, &[put("/off/[=a b]", json!("a b")), put("/off/[=yes]", json!("yes"))]);
    }
}

/// Documents in which a list `l` can be grown.
const LISTS: &[&str] = &[
    "",
    "l:\n",
    "l: []\n",
    "l: [ ] # c\n",
    "l: [] # c\nb: 1\n",
    "l: ~",
    "l:\n- name: a\n",
    "l:\n- name: a\n  x: 1\n# about b\nb: 2\n",
    "l:\n  - name: a\n    x: 1\n  # - name: c\n# about b\nb: 2\n",
    "l:\n    -   name: a\n        env:\n            x: 1\n",
    "l:\n  -\n    name: a",
    "l:\n  - # c\n    name: a # d\n",
    "l:\n  - {name: a, x: 1}\n",
    "l: [{name: a, x: 1}]\n",
    "l: [ {name: a}, {name: c} ]\n",
    "l: [\n  {name: a},\n  {name: c} # c\n]\n",
    "l: [\r\n  {name: a},\r\n]\r\n",
    "l:\n  - a\n  - b # c\n",
    "l:\n  - a\n  -\n",
    "l:\n  - a\n  - |-\n    text",
    "l:\n  - |+\n    text\n\n",
    "l:\n- name: a\n  t: |+\n    text\n\n",
    "l: [a, 'b', \"c\"]\n",
    "l: [a: 1, b: 2]\n",
    "l:\n  - - x\n    - y\n  - [z]\n",
    "l:\r\n  - name: a\r\n    x: 1",
    "{\"l\": [{\"name\": \"a\"}]}",
    "l: !!seq []\n",
];

#[test]
fn new_items_come_and_go_without_a_trace() {
    let server = json!({"name": "x", "command": "npx", "args": ["-y", "p"], "env": {"A": "b"}});
    let mut cases = Cases::default();
    for text in LISTS {
        cases.trace(text, &[put("/l/[name=x]", server.clone())]);
        cases.trace(text, &[put("/l/[name=x]", server.clone()), put("/l/[name=y]", json!({"name": "y"}))]);
        cases
            .trace(text, &[put("/l/[name=x]/env/B", json!("c")), put("/l/[=~]", json!("~"))].as_slice()[1..]);
    }
}

#[test]
fn a_list_may_be_the_document() {
    let mut cases = Cases::default();
    for text in [
        "",
        "[]\n",
        "- name: a\n",
        "- name: a",
        "[{name: a}]\n",
        "# c\n- name: a # d\n# e\n",
        "---\n- 1\n...\n",
    ] {
        cases.trace(
            text,
            &[put("/[name=x]", json!({"name": "x", "a": {"b": 1}})), put("/[name=y]", json!({"name": "y"}))],
        );
    }
}

#[test]
fn members_of_members_come_and_go() {
    let mut cases = Cases::default();
    for text in [
        "s:\n  a:\n    command: x\n  b: {command: y}\n  c:\n    env:\n      K: v # c\n",
        "s:\n  b: { command: y, env: {} }\n  a:\n    env: {}\n  c: {env: {K: v}}",
        "s: {a: {}, b: {env: {K: v}}, c: {env: }}\n",
        "s:\n  a:\n  b: ~ # c\n  # d\n  c:\n    env:\n      # e\n      K: |\n        text",
    ] {
        cases.trace(
            text,
            &[
                put("/s/a/env/X", json!("1")),
                put("/s/b/env/Y", json!("2")),
                put("/s/c/env/Z", json!("3")),
                put("/s/a/args", json!(["a"])),
                put("/s/b/args", json!([])),
                put("/s/d", json!({"x": 1})),
            ],
        );
    }
    let list = "l:\n- name: a\n  env:\n    K: v\n- {name: b}\n-\n  name: c # c\n- name: d\n  t: |\n    text";
    for name in ["a", "b", "c", "d"] {
        let place = format!("/l/[name={name}]");
        cases.trace(
            list,
            &[put(&format!("{place}/env/X"), json!("1")), put(&format!("{place}/x"), json!({"y": [1]}))],
        );
    }
}
