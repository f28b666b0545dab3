//! Problems in every format.

use mcpkeel::base::{Diagnostic, Place};
use mcpkeel::cli::diagnostics::{json, markdown, summary, text};
use mcpkeel::cli::findings::{Paths, sarif};
use serde_json::Value;

fn place(file: &str, line: u32, column: u32) -> Place {
    Place { file: file.into(), line, column, length: 3, excerpt: "  日: { foo: 1 } # `x`".into() }
}

fn some() -> Vec<Diagnostic> {
    vec![
        Diagnostic::note("unused", "Nothing uses `a`."),
        Diagnostic::warning("plain-http", "Plain *http* <b>").at(place("team/b c.yaml", 3, 8)),
        Diagnostic::error("duplicate-key", "`foo` is defined twice.")
            .at(place("mcp.yaml", 12, 8))
            .related("first defined here", place("mcp.yaml", 4, 8))
            .hint("remove one"),
        Diagnostic::error("empty-manifest", "The manifest is empty.").at(Place::file("mcp.yaml")),
    ]
}

#[test]
fn text_looks_like_a_compilers() {
    let expected = "\
note[unused]: Nothing uses `a`.

error[empty-manifest]: The manifest is empty.
--> mcp.yaml

error[duplicate-key]: `foo` is defined twice.
  --> mcp.yaml:12:8
   |
12 |   日: { foo: 1 } # `x`
   |         ^^^
   |
   = help: remove one
note: first defined here
  --> mcp.yaml:4:8
   |
 4 |   日: { foo: 1 } # `x`
   |         ^^^

warning[plain-http]: Plain *http* <b>
 --> team/b c.yaml:3:8
  |
3 |   日: { foo: 1 } # `x`
  |         ^^^

2 errors, 1 warning, 1 note in 2 files
";
    assert_eq!(text(&some(), false), expected);
    assert!(text(&some(), true).contains("\u{1b}["));
    assert_eq!(text(&[], false), "");
}

#[test]
fn counts_in_words() {
    assert_eq!(summary(&[]), "no problems");
    assert_eq!(summary(&some()[3..]), "1 error in mcp.yaml");
    assert_eq!(summary(&some()[..1]), "1 note");
}

#[test]
fn json_carries_a_version_and_places() {
    let document: Value = serde_json::from_str(&json(&some())).expect("JSON");
    assert_eq!(document["format_version"], 1);
    assert_eq!(document["errors"], 2);
    assert_eq!(document["valid"], false);
    assert_eq!(document["diagnostics"][2]["place"]["line"], 12);
    assert_eq!(document["diagnostics"][2]["related"][0]["message"], "first defined here");
}

#[test]
fn sarif_has_the_shape_code_scanning_takes() {
    let document: Value =
        serde_json::from_str(&sarif(&some(), "0.1.0", Paths { manifest: "mcp.yaml", ..Paths::default() }))
            .expect("JSON");
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    for result in run["results"].as_array().expect("results") {
        let rule = &rules[result["ruleIndex"].as_u64().expect("an index") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().expect("a level")));
        assert!(!result["message"]["text"].as_str().expect("a text").is_empty());
        for location in result["locations"].as_array().expect("locations") {
            let physical = &location["physicalLocation"];
            let uri = physical["artifactLocation"]["uri"].as_str().expect("a uri");
            assert!(!uri.contains(' '), "{uri}");
            if let Some(region) = physical.get("region") {
                assert!(region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1));
            }
        }
    }
    assert_eq!(run["results"].as_array().map(Vec::len), Some(4));
}

#[test]
fn markdown_is_a_list_without_markup_from_outside() {
    let expected = "\
**2 errors, 1 warning, 1 note in 2 files**

- **note** Nothing uses `a`. (`unused`)
- **error** `mcp.yaml` The manifest is empty. (`empty-manifest`)
- **error** `mcp.yaml:12:8` `foo` is defined twice. (`duplicate-key`)
  - first defined here `mcp.yaml:4:8`
  - help: remove one
- **warning** `team/b c.yaml:3:8` Plain \\*http\\* &lt;b> (`plain-http`)
";
    assert_eq!(markdown(&some()), expected);
}
