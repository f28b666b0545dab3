use proptest::prelude::*;
use serde_json::json;

use super::*;

const ADD: &str = r#"{"name":"add","description":"Adds.","inputSchema":{"type":"object","maximum":1.0}}"#;

fn digest(definition: &str) -> Digest {
    Digest::of(definition).expect("a definition")
}

fn states(lock: &Lock, definitions: &[&str], trust: Trust) -> Vec<State> {
    examine(lock, "math", definitions, trust, &[]).into_iter().map(|one| one.state).collect()
}

#[test]
fn a_digest_does_not_depend_on_the_way_it_is_written() {
    let same = "{ \"inputSchema\": {\"maximum\": 1.0, \"type\": \"obj\\u0065ct\"},\n\"name\":\"add\",\
                \"description\":\"Adds.\", \"_meta\": {\"x\": 1}, \"icons\": []}";
    assert_eq!(digest(ADD), digest(same));
    assert_eq!(digest(ADD).to_string().parse(), Ok(digest(ADD)));
    assert_eq!(
        digest("{}").to_string(),
        format!("sha256:{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
    );
}

#[test]
fn a_digest_changes_with_everything_that_a_model_is_told() {
    let base = json!({
        "name": "a", "title": "A", "description": "x", "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true},
    });
    let mut seen = BTreeSet::from([digest(&base.to_string())]);
    for member in PINNED {
        for change in [Some(json!("other")), Some(Value::Null), None] {
            let mut changed = base.clone();
            match change {
                Some(value) => changed[member] = value,
                None => drop(changed.as_object_mut().expect("an object").remove(member)),
            }
            assert!(seen.insert(digest(&changed.to_string())), "{member}: {changed}");
        }
    }
    assert_ne!(digest(ADD), digest(&ADD.replace("1.0", "1")));
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z\"é]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same with the members of every object the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect())
        }
        Value::Array(items) => items.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn order_and_white_space_are_no_change_and_values_are(schema in json_values(), other in json_values()) {
        let tool = |schema: &Value| json!({"name": "a", "inputSchema": schema});
        let written = digest(&tool(&schema).to_string());
        prop_assert_eq!(written, digest(&format!("{:#}", reversed(&tool(&schema)))));
        prop_assert_eq!(schema == other, written == digest(&tool(&other).to_string()));
    }

    #[test]
    fn no_text_breaks_anything(text in "\\PC{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let examined = examine(&Lock::default(), "math", &[&text], Trust::FirstUse, &[]);
        prop_assert_eq!(examined.len(), 1);
        let _ = Lock::parse("mcp.lock", &bytes);
    }
}

#[test]
fn what_is_first_seen_is_accepted_but_for_what_looks_wrong() {
    let odd = r#"{"name":"odd","description":"a\u200bb"}"#;
    let mut lock = Lock::default();
    let suspicious = State::Suspicious { pinned: None };
    assert_eq!(states(&lock, &[ADD, odd], Trust::FirstUse), [State::First, suspicious.clone()]);
    assert_eq!(states(&lock, &[ADD, odd], Trust::Manual), [State::New, suspicious.clone()]);
    lock.accept("math", "add", digest(ADD));
    assert_eq!(states(&lock, &[ADD, odd], Trust::FirstUse), [State::Accepted, suspicious]);
    let fresh = r#"{"name":"fresh"}"#;
    assert_eq!(states(&lock, &[fresh], Trust::FirstUse), [State::New]);
    let changed = ADD.replace("Adds.", "Adds!");
    assert_eq!(states(&lock, &[&changed], Trust::FirstUse), [State::Changed { pinned: digest(ADD) }]);
    let worse = ADD.replace("Adds.", "<IMPORTANT>");
    assert_eq!(states(&lock, &[&worse], Trust::FirstUse), [State::Suspicious { pinned: Some(digest(ADD)) }]);
    // A person who looked at it may say yes all the same.
    lock.accept("math", "odd", digest(odd));
    let examined = examine(&lock, "math", &[odd], Trust::Manual, &[]);
    assert!(!examined[0].is_held() && !examined[0].reasons.is_empty());
}

#[test]
fn a_name_is_good_for_one_tool() {
    let mut lock = Lock::default();
    lock.accept("math", "add", digest(ADD));
    let states = states(&lock, &[ADD, ADD, "[]", "{"], Trust::FirstUse);
    assert_eq!(states[0], State::Accepted);
    assert!(states[1..].iter().all(|state| matches!(state, State::Suspicious { .. })), "{states:?}");
}

#[test]
fn a_lock_is_sorted_and_keeps_what_it_does_not_know() {
    let text = r#"{"version": 1, "note": ["mine"], "servers": {"b": {"package": "x@1", "tools": {}}, "a": {"sha": 1}}}"#;
    let mut lock = Lock::parse("mcp.lock", text.as_bytes()).expect("a lock");
    assert!(lock.knows("b") && !lock.knows("a"));
    lock.accept("c", "z", digest(ADD));
    lock.accept("c", "add", digest(ADD));
    lock.accept("b", "gone", digest(ADD));
    lock.forget("b", "gone");
    let written = lock.text();
    let pin = digest(ADD);
    let wanted = json!({
        "version": 1, "note": ["mine"],
        "servers": {
            "a": {"sha": 1}, "b": {"package": "x@1", "tools": {}},
            "c": {"tools": {"add": pin.to_string(), "z": pin.to_string()}},
        },
    });
    assert_eq!(written, format!("{wanted:#}\n"));
    let again = Lock::parse("mcp.lock", written.as_bytes()).expect("a lock");
    assert_eq!(again.text(), written);
    assert_eq!(Lock::parse("mcp.lock", b" \n").expect("empty"), Lock::default());
}

#[test]
fn a_lock_that_is_wrong_is_said_to_be_with_its_place() {
    for (text, line, message) in [
        ("{\"version\": 1,\n <<<<<<< HEAD", 2, "key must be a string"),
        ("{\"version\": 1,\n\"servers\": []}", 2, "invalid type: sequence, expected an object"),
        (
            "{\"version\": 1,\n\"servers\": {\"a\": {\"tools\": {\n\"x\": \"sha256:12\"}}}}",
            3,
            "`sha256:12` is no digest",
        ),
        ("{\"version\": 1,\n\"servers\": {\"a\": {},\n\"a\": {}}}", 3, "`a` stands in it twice"),
        ("{\"servers\": {}}", 0, "The lock has no version, and this program knows version 1"),
        ("{\"version\": 2, \"servers\": {}}", 0, "version 2"),
    ] {
        let problem = Lock::parse("mcp.lock", text.as_bytes()).expect_err(text);
        assert!(problem.message.contains(message), "{text}: {}", problem.message);
        let place = problem.place.expect("a place");
        assert_eq!((place.file.as_str(), place.line), ("mcp.lock", line), "{text}");
    }
}
