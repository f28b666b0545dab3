//! A tool's definition as a person reads it.

use std::fmt::Write as _;

use serde_json::Value;

use super::visible;

/// What a model is told of the tool, part by part; members sorted, every character to be seen. The definition itself
/// when it cannot be understood.
pub fn describe(definition: &str) -> String {
    let Ok(Value::Object(mut members)) = serde_json::from_str(definition) else {
        return visible(definition) + "\n";
    };
    let mut out = String::new();
    for part in super::pins::PINNED {
        let Some(mut value) = members.remove(part) else { continue };
        value.sort_all_objects();
        let text = match &value {
            Value::String(text) => text.clone(),
            other => format!("{other:#}"),
        };
        let lines: Vec<String> = text.split('\n').map(|line| visible(line.trim_end_matches('\r'))).collect();
        // Writing to a String cannot fail.
        let _ = match lines.as_slice() {
            [line] => writeln!(out, "{part}: {line}"),
            lines => writeln!(out, "{part}:\n  {}", lines.join("\n  ")),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_a_model_is_told_and_nothing_hidden() {
        let definition = "{\"inputSchema\":{\"type\":\"object\",\"a\":1.0},\"_meta\":{},\
                          \"name\":\"add\",\"description\":\"Adds.\\nAnd\\u200b\\u001b[8m more\"}";
        assert_eq!(
            describe(definition),
            "name: add\ndescription:\n  Adds.\n  And<U+200B><U+001B>[8m more\n\
             inputSchema:\n  {\n    \"a\": 1.0,\n    \"type\": \"object\"\n  }\n"
        );
        assert_eq!(describe("\u{202e}"), "<U+202E>\n");
    }
}
