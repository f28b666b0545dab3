use std::io::IsTerminal as _;

use serde_json::Value;

/// A result as a person reads it.
pub fn result(result: &Value) -> String {
    let content = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut parts: Vec<String> = Vec::new();
    let structured = result.get("structuredContent");
    for item in content {
        // Servers that have something structured to say often say it as a text, too.
        let text = item["text"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if text.is_none() || text.as_ref() != structured {
            parts.push(one(item));
        }
    }
    parts.extend(structured.map(|value| serde_json::to_string_pretty(value).unwrap_or_default()));
    let text = parts.join("\n");
    // A tool's text may hold what moves the cursor of a terminal.
    if std::io::stdout().is_terminal() { text.replace(is_control, "\u{fffd}") } else { text }
}

fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

fn one(item: &Value) -> String {
    let word = |name: &str| item[name].as_str().unwrap_or_default();
    let kind = word("type");
    match kind {
        "text" => word("text").to_owned(),
        "image" | "audio" => format!("[{kind}: {}, {}]", word("mimeType"), size(decoded(word("data")))),
        "resource" => {
            let resource = &item["resource"];
            let bytes = match resource["text"].as_str() {
                Some(text) => text.len(),
                None => decoded(resource["blob"].as_str().unwrap_or_default()),
            };
            let uri = resource["uri"].as_str().unwrap_or_default();
            let mime = resource["mimeType"].as_str().map(|mime| format!(", {mime}")).unwrap_or_default();
            format!("[resource: {uri}{mime}, {}]", size(bytes))
        }
        "resource_link" => {
            let bytes = item["size"].as_u64().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
            let bytes = bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
            format!("[link: {} ({}{bytes})]", word("uri"), word("name"))
        }
        _ => item.to_string(),
    }
}

/// How many bytes a text in base64 stands for.
fn decoded(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_text_as_it_is_and_the_rest_in_a_line() {
        let said = result(&json!({ "content": [
            { "type": "text", "text": "two\nlines" },
            { "type": "image", "mimeType": "image/png", "data": "AAAAAA==" },
            { "type": "resource", "resource": { "uri": "a://b", "mimeType": "text/plain", "text": "abc" } },
            { "type": "resource_link", "uri": "a://c", "name": "c" },
        ] }));
        assert_eq!(
            said,
            "two\nlines\n[image: image/png, 4 bytes]\n[resource: a://b, text/plain, 3 bytes]\n[link: a://c (c)]"
        );
    }

    #[test]
    fn what_is_said_twice_is_shown_once() {
        let said = result(&json!({
            "content": [{ "type": "text", "text": "{\"a\": [1]}" }], "structuredContent": { "a": [1] },
        }));
        assert_eq!(said, "{\n  \"a\": [\n    1\n  ]\n}");
    }
}
