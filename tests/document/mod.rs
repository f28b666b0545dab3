//! Properties of editing, on random documents in every format. Start at `check`; `sample` makes the
//! documents.

mod sample;

use mcpkeel::base::{Pointer, Step};
use mcpkeel::document::{Document, Edited, Format, Op, Seam};
use proptest::prelude::*;
use serde_json::{Value, json};

use sample::{Sample, root_key, sample};

/// Runs a property on many documents of one format.
fn check(format: Format, property: impl Fn(&Sample) -> Result<(), TestCaseError>) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(sample in sample(format))| property(&sample)?);
}

fn document(sample: &Sample) -> Document {
    let parsed = Document::parse(sample.format, sample.text.clone().into_bytes());
    parsed.unwrap_or_else(|fault| panic!("{:?}: {fault:?}", sample.text))
}

fn entry(name: &str) -> Value {
    json!({"command": "npx", "args": ["-y", name, "a \"b\" \\ é"], "env": {"A_KEY": "1", "b c": ""}, "on": true, "n": 3})
}

/// Puts for two entries that the sample does not have.
fn additions(format: Format) -> Vec<Op> {
    ["new-1", "new 2"]
        .into_iter()
        .map(|name| Op::Put { at: Pointer::of([root_key(format), name]), value: entry(name) })
        .collect()
}

fn drops(ops: &[Op], seams: &[Seam]) -> Vec<Op> {
    let drops = ops.iter().filter_map(|op| match op {
        Op::Put { at, .. } => Some(Op::Drop { at: at.clone() }),
        _ => None,
    });
    drops.chain(seams.iter().rev().map(|seam| Op::Close { seam: seam.clone() })).collect()
}

fn again(format: Format, bytes: &[u8]) -> Document {
    Document::parse(format, bytes.to_vec())
        .unwrap_or_else(|fault| panic!("an edit made {:?}: {fault:?}", String::from_utf8_lossy(bytes)))
}

fn leaves_alone_what_is_not_asked_for(sample: &Sample) -> Result<(), TestCaseError> {
    let edited = document(sample).edit(&[]).unwrap();
    prop_assert_eq!(String::from_utf8_lossy(&edited.bytes), sample.text.as_str());
    Ok(())
}

fn pruning_what_was_added_leaves_no_trace(sample: &Sample) -> Result<(), TestCaseError> {
    let ops = additions(sample.format);
    let Edited { bytes, seams } = document(sample).edit(&ops).map_err(refused)?;
    let between = String::from_utf8_lossy(&bytes).into_owned();
    let pruned = again(sample.format, &bytes).edit(&drops(&ops, &seams)).map_err(refused)?;
    prop_assert_eq!(String::from_utf8_lossy(&pruned.bytes), sample.text.as_str(), "by way of {:?}", between);
    // One by one, in the other order, it comes to the same.
    let mut bytes = bytes;
    for op in drops(&ops, &[]).into_iter().rev().chain(drops(&[], &seams)) {
        bytes = again(sample.format, &bytes).edit(&[op]).map_err(refused)?.bytes;
    }
    prop_assert_eq!(
        String::from_utf8_lossy(&bytes),
        sample.text.as_str(),
        "in single steps from {:?}",
        between
    );
    Ok(())
}

fn foreign_bytes_survive(sample: &Sample) -> Result<(), TestCaseError> {
    let Edited { bytes, seams } = document(sample).edit(&additions(sample.format)).map_err(refused)?;
    // An empty container may be written anew (`{}` as a block in YAML); its seam remembers it.
    if seams.iter().all(|seam| seam.was.is_none()) {
        let mut rest = bytes.iter();
        prop_assert!(
            sample.text.bytes().all(|byte| rest.any(|other| *other == byte)),
            "{:?} is not within {:?}",
            sample.text,
            String::from_utf8_lossy(&bytes)
        );
    }
    keeps_comments(sample, &bytes)
}

fn what_is_put_can_be_read(sample: &Sample) -> Result<(), TestCaseError> {
    let before = document(sample);
    let edited = before.edit(&additions(sample.format)).map_err(refused)?;
    let after = again(sample.format, &edited.bytes);
    for op in additions(sample.format) {
        let Op::Put { at, value } = op else { continue };
        prop_assert_eq!(after.get(&at).map_err(refused)?, Some(value));
        prop_assert!(after.place(&at).is_some());
    }
    for key in before.keys(&Pointer::root()).map_err(refused)? {
        if key != root_key(sample.format) {
            let at = Pointer::of([key.as_str()]);
            prop_assert_eq!(before.get(&at).map_err(refused)?, after.get(&at).map_err(refused)?);
        }
    }
    // A field of it can be replaced and another one added.
    let fields = [("command", json!("uvx")), ("env", json!({})), ("extra", json!(["x"]))];
    let at = |key: &str| Pointer::of([root_key(sample.format), "new 2", key]);
    let ops: Vec<Op> =
        fields.iter().map(|(key, value)| Op::Put { at: at(key), value: value.clone() }).collect();
    let edited = after.edit(&ops).map_err(refused)?;
    let after = again(sample.format, &edited.bytes);
    for (key, value) in fields {
        prop_assert_eq!(after.get(&at(key)).map_err(refused)?, Some(value));
    }
    keeps_comments(sample, &edited.bytes)
}

fn what_is_dropped_is_gone(sample: &Sample) -> Result<(), TestCaseError> {
    let document = document(sample);
    let root = Pointer::of([root_key(sample.format)]);
    let places = document.keys(&root).map_err(refused)?.into_iter().map(|name| root.key(&name));
    for at in places.chain([root.clone(), root.key("none"), Pointer::of(["a", "b"])]) {
        let edited = document.edit(&[Op::Drop { at: at.clone() }]).map_err(refused)?;
        let after = again(sample.format, &edited.bytes);
        prop_assert_eq!(after.get(&at).map_err(refused)?, None);
        // In YAML a comment between the lines of an entry goes with it.
        if sample.format != Format::Yaml {
            keeps_comments(sample, &edited.bytes)?;
        }
    }
    Ok(())
}

fn others_may_write_in_between(sample: &Sample) -> Result<(), TestCaseError> {
    let ops = additions(sample.format);
    let Edited { bytes, seams } = document(sample).edit(&ops).map_err(refused)?;
    let theirs = Op::Put { at: Pointer::of([root_key(sample.format), "theirs"]), value: entry("theirs") };
    let bytes = again(sample.format, &bytes).edit(&[theirs]).map_err(refused)?.bytes;
    let bytes = again(sample.format, &bytes).edit(&drops(&ops, &seams)).map_err(refused)?.bytes;
    let after = again(sample.format, &bytes);
    for op in &ops {
        let Op::Put { at, .. } = op else { continue };
        prop_assert_eq!(after.get(at).map_err(refused)?, None);
    }
    let theirs = Pointer::of([root_key(sample.format), "theirs"]);
    prop_assert_eq!(after.get(&theirs).map_err(refused)?, Some(entry("theirs")));
    keeps_comments(sample, &bytes)
}

fn lists_are_edited_by_name(sample: &Sample) -> Result<(), TestCaseError> {
    let at = Pointer::of(["list"]).then(Step::Item { key: "name".into(), is: "it".into() });
    let off = Pointer::of(["off"]).then(Step::Element("it".into()));
    let ops = [
        Op::Put { at: at.clone(), value: json!({"name": "it", "command": "c"}) },
        Op::Put { at: off.clone(), value: json!("it") },
        Op::Put { at: at.key("env"), value: json!({"A": "1"}) },
    ];
    let Edited { bytes, seams } = document(sample).edit(&ops).map_err(refused)?;
    let between = String::from_utf8_lossy(&bytes).into_owned();
    let after = again(sample.format, &bytes);
    prop_assert_eq!(after.get(&at.key("env").key("A")).map_err(refused)?, Some(json!("1")));
    prop_assert_eq!(after.get(&off).map_err(refused)?, Some(json!("it")));
    let pruned = after.edit(&drops(&ops[..2], &seams)).map_err(refused)?;
    prop_assert_eq!(String::from_utf8_lossy(&pruned.bytes), sample.text.as_str(), "by way of {:?}", between);
    Ok(())
}

fn keeps_comments(sample: &Sample, bytes: &[u8]) -> Result<(), TestCaseError> {
    let text = String::from_utf8_lossy(bytes);
    for number in 0..sample.comments {
        prop_assert!(text.contains(&sample::comment(number)), "comment {number} is gone from {text:?}");
    }
    Ok(())
}

fn refused(fault: mcpkeel::document::Fault) -> TestCaseError {
    TestCaseError::fail(format!("{fault:?}"))
}

macro_rules! properties {
    ($($format:ident: $variant:expr;)*) => {$(
        mod $format {
            use super::*;

            #[test]
            fn leaves_alone_what_is_not_asked_for() {
                check($variant, super::leaves_alone_what_is_not_asked_for);
            }

            #[test]
            fn pruning_what_was_added_leaves_no_trace() {
                check($variant, super::pruning_what_was_added_leaves_no_trace);
            }

            #[test]
            fn foreign_bytes_survive() {
                check($variant, super::foreign_bytes_survive);
            }

            #[test]
            fn what_is_put_can_be_read() {
                check($variant, super::what_is_put_can_be_read);
            }

            #[test]
            fn what_is_dropped_is_gone() {
                check($variant, super::what_is_dropped_is_gone);
            }

            #[test]
            fn others_may_write_in_between() {
                check($variant, super::others_may_write_in_between);
            }

            #[test]
            fn lists_are_edited_by_name() {
                check($variant, super::lists_are_edited_by_name);
            }
        }
    )*};
}

// YAML joins when its codec lands: `yaml: Format::Yaml;`.
properties! {
    json: Format::Json;
    jsonc: Format::Jsonc;
    toml: Format::Toml;
    yaml: Format::Yaml;
}
