use super::*;

#[track_caller]
fn refused(text: &str, op: Op, line: u32, says: &str) {
    match edit(text, std::slice::from_ref(&op)) {
        Ok((after, _)) => panic!("{op:?} was done:\n{text}\nbecame\n{after}"),
        Err(fault) => {
            assert!(fault.message.contains(says), "{fault:?}");
            assert_eq!(fault.line, line, "{fault:?}");
        }
    }
}

#[test]
fn refuses_what_would_reach_further() {
    let one = || json!(1);
    refused("a: &x {k: v}\nb: *x\n", put("/b/k", one()), 2, "is the alias `*x`");
    refused("a: &x {k: v}\nb: *x\n", put("/a/k", one()), 1, "aliases elsewhere");
    refused("a: &x {k: v}\nb: *x\n", put("/a/n", one()), 1, "aliases elsewhere");
    refused("a: &x {k: v}\nb: *x\n", put("/a", one()), 1, "aliases elsewhere");
    refused("a: &x {}\nb: *x\n", put("/a/k", one()), 1, "aliases elsewhere");
    refused("a: {y: &x 1}\nb: *x\n", put("/a", one()), 2, "refers to something inside");
    refused("a: &x 1\nb: *x\n", cut("/a"), 2, "refers to something inside");
    refused("a:\n  y: &x 1\nb:\n  c: *x\n", cut("/a/y"), 4, "refers to something inside");
    refused("a: {y: &x 1, z: 2}\nb: *x\n", cut("/a"), 2, "refers to something inside");
    refused("a: {y: &x 1, z: 2}\nb: *x\n", cut("/a/y"), 2, "refers to something inside");
    refused("&k a: 1\nb: *k\n", put("/a", json!(2)), 1, "anchor");
    refused("a: &x {k: {l: 1}}\nb:\n  <<: *x\n", put("/b/k/l", json!(2)), 3, "merged in");
    refused("a: &x {k: {l: 1}}\nb:\n  <<: *x\n", put("/b/k", json!(2)), 3, "merged in");
    refused("a: &x {k: {l: 1}}\nb:\n  <<: [*x]\n", cut("/b/k"), 3, "merged in");
}

#[test]
fn refuses_what_it_does_not_understand() {
    let one = || json!(1);
    refused("a: 1\nb:\n  x: 1\n  x: 2\n", put("/c", one()), 4, "`x` stands there twice");
    refused("1: a\n\"1\": b\n", put("/c", one()), 2, "`1` stands there twice");
    refused("{a: 1, a: 2}\n", cut("/a"), 1, "`a` stands there twice");
    refused("a: 1\n---\nb: 1\n", put("/a", json!(2)), 2, "second document");
    refused("? a\n: {b: 1}\n", put("/a/b", json!(2)), 1, "by hand");
    refused("a: !custom {b: 1}\n", put("/a/b", json!(2)), 1, "tag");
    refused("a: !custom x\n", put("/a", one()), 1, "tag");
    refused("a: !!set {b}\n", put("/a", json!({"b": 2})), 1, "tag");
    refused("a: text\n", put("/a/b", one()), 1, "is a single value, not a map");
    refused("a: [x]\n", put("/a/b", one()), 1, "is a list, not a map");
    refused("a: []\n", put("/a/b", one()), 1, "is a list, not a map");
    refused("a: {}\n", put("/a/[=b]", json!("b")), 1, "is a map, not a list");
    refused("a:\n  b: 1\n", put("/a/[name=b]", json!({"name": "b"})), 2, "is a map, not a list");
    refused("l:\n- name: a\n- name: a\n  x: 1\n", put("/l/[name=a]/x", one()), 3, "twice");
    refused("l: [a, a]\n", cut("/l/[=a]"), 1, "twice");
    refused("l: [a]\n", put("/l/[name=b]", json!({"x": 1})), 1, "names it");
    refused("l: [a: 1]\n", put("/l/[a=x]", json!({"a": "y"})), 1, "names it");
    refused("l: [name: a]\n", put("/l/[name=a]/x", one()), 1, "no braces");
    refused("{a, b}\n", put("/a/x", one()), 1, "no colon");
    refused("l:\n- |\n  text", put("/l/[=b]", json!("b")), 2, "line break");
    refused("a: 1\n", put(&format!("/{}", "k".repeat(2000)), one()), 1, "too long");
    refused("t: |\n  x\nb: 1\n\n   # c\n", cut("/b"), 5, "part of the text block above");
    refused("t: |+\n  x\nb: 1\n\nc: 1\n", cut("/b"), 4, "part of the text block above");
    refused("a: 1\n", cut(""), 1, "whole document");
}

#[test]
fn says_where_the_syntax_breaks() {
    for (text, line, column) in [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, 2),
        ("a: \"x\" y\n", 1, 8),
        ("é: 1\nb: *nope\n", 2, 4),
        ("a:\n\tb: 1\n", 2, 2),
        ("a: 1\n  b: 2\n", 2, 4),
        ("a: @x\n", 1, 4),
        ("a: \u{0}\n", 1, 4),
    ] {
        let fault = check(text).expect_err(text);
        assert_eq!((fault.line, fault.column), (line, column), "{fault:?} in {text}");
        assert!(edit(text, &[put("/z", json!(1))]).is_err());
        assert!(get(text, &Pointer::root()).is_err());
        assert_eq!(place(text, &Pointer::root()), None);
    }
}

#[test]
fn large_and_deep_documents_cost_little() {
    let mut laughs = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ('a'..='x').zip('b'..='y') {
        let list = vec![format!("*{from}"); 9].join(", ");
        laughs.push_str(&format!("{to}: &{to} [{list}]\n"));
    }
    assert!(check(&laughs).expect_err("a bomb").message.contains("far larger"));
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), ["*a"; 20_000].join(", "));
    assert!(check(&text).expect_err("a bomb of text").message.contains("far larger"));
    assert!(reparse(&text).expect_err("a bomb of text").message.contains("far larger"));
    assert!(check("a: &a [*a]\n").expect_err("a loop").message.contains("inside the value"));

    for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000), "? ".repeat(50_000)] {
        assert!(check(&deep).is_err());
        assert!(reparse(&deep).is_err());
    } // Depth adds up through aliases.
    let mut chain = String::from("k0: &k0 [x]\n");
    for n in 1..3000 {
        chain.push_str(&format!("k{n}: &k{n} [*k{}]\n", n - 1));
    }
    assert!(check(&chain).expect_err("a chain").message.contains("deeper"));
    let nested: String = (0..240).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
    assert_eq!(check(&nested), Ok(()));
    assert!(get(&nested, &Pointer::root()).is_ok());
    let comments = "# c\n".repeat(5000) + "a:\n" + &"  # d\n".repeat(5000) + "  b: 1\n";
    assert_eq!(get(&comments, &at("/a/b")), Ok(Some(json!(1))));
}

#[test]
fn a_member_without_a_key_is_refused() {
    for text in ["a: 1\n: x\n", ": \n", "{: a}\n", "a:\n  : b\n"] {
        assert!(check(text).expect_err(text).message.contains("a key is missing"), "{text}");
    }
    assert_eq!(check("\"\": 1\n"), Ok(()));
}

#[test]
fn a_key_that_is_a_list_is_not_removed_in_silence() {
    let text = " [:1]: \n";
    assert_eq!(get(text, &at("/[:1]")), Ok(Some(Value::Null)));
    assert!(edit(text, &[Op::Drop { at: Pointer::of(["[:1]"]) }]).is_err());
}

#[test]
fn nothing_is_added_behind_a_key_that_is_a_text_block() {
    for text in [" ? > ", "? |\n  a\n", "x: 1\n? >\n"] {
        assert!(edit(text, &[put("/mcpServers/new", json!(1))]).is_err(), "{text}");
    }
}

#[test]
fn a_document_that_is_a_null_with_blanks_behind_it_is_left_alone() {
    for text in ["~ ", "null\t\n", "--- ~  \n"] {
        assert!(edit(text, &[put("/mcpServers/new", json!(1))]).is_err(), "{text}");
    }
}
