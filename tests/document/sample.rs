//! Random documents, written with random white space, comments, line ends and notations.

use mcpkeel::document::Format;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A document as text, and how many numbered comments are in it.
#[derive(Clone, Debug)]
pub struct Sample {
    pub format: Format,
    pub text: String,
    pub comments: usize,
}

/// Where a client of this format keeps its servers.
pub fn root_key(format: Format) -> &'static str {
    if format == Format::Toml { "mcp_servers" } else { "mcpServers" }
}

/// The text of the n-th comment.
pub fn comment(number: usize) -> String {
    format!("remark {number}.")
}

pub fn sample(format: Format) -> impl Strategy<Value = Sample> {
    let entries = proptest::collection::btree_map(key(), value(format), 0..4);
    let others = proptest::collection::btree_map(key(), value(format), 0..4);
    let dice = proptest::collection::vec(any::<u8>(), 1..200);
    let lists = proptest::option::of((0..3_usize, 0..3_usize));
    (others, proptest::option::of(entries), lists, dice).prop_map(move |(others, entries, lists, dice)| {
        let mut root: Map<String, Value> = others.into_iter().collect();
        if let Some((items, names)) = lists {
            let item = |n: usize| json!({"name": format!("n{n}"), "v": [n], "env": {"A": "1"}});
            root.insert("list".to_owned(), (0..items).map(item).collect());
            root.insert("off".to_owned(), (0..names).map(|n| format!("n{n}")).collect());
        }
        if let Some(entries) = entries {
            let servers: Map<String, Value> = entries
                .into_iter()
                .map(|(key, value)| (key, json!({ "command": "x", "v": value })))
                .collect();
            root.insert(root_key(format).to_owned(), servers.into());
        }
        let mut writer = Writer { format, dice, next: 0, out: String::new(), comments: 0 };
        writer.file(&root);
        Sample { format, text: writer.out, comments: writer.comments }
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b".to_owned()),
        Just("c d".to_owned()),
        Just("é\"\\".to_owned()),
        Just("#//x".to_owned()),
        "[a-z]{1,5}",
    ]
}

fn value(format: Format) -> impl Strategy<Value = Value> {
    let null = if format == Format::Toml { json!(0) } else { Value::Null };
    let leaf = prop_oneof![
        Just(null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ -~é\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

struct Writer {
    format: Format,
    /// Decides every choice of notation, over and over.
    dice: Vec<u8>,
    next: usize,
    out: String,
    comments: usize,
}

impl Writer {
    fn roll(&mut self, sides: usize) -> usize {
        self.next += 1;
        let die = self.dice[self.next % self.dice.len()];
        (usize::from(die) + self.next / self.dice.len()) % sides
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn comment(&mut self, open: &str, close: &str) {
        let text = format!("{open} {}{close}", comment(self.comments));
        self.comments += 1;
        self.push(&text);
    }

    fn file(&mut self, root: &Map<String, Value>) {
        if self.roll(8) == 0 {
            self.push("\u{feff}");
        }
        match self.format {
            Format::Json | Format::Jsonc => {
                self.space();
                if !(root.is_empty() && self.roll(2) == 0) {
                    self.json(&Value::Object(root.clone()));
                }
                self.space();
            }
            Format::Toml => self.tables(root),
            Format::Yaml => self.yaml(root, 0),
        }
        if self.roll(4) == 0 {
            self.out = self.out.replace('\n', "\r\n");
        }
        if self.roll(4) == 0 {
            let length = self.out.trim_end_matches(['\r', '\n']).len();
            self.out.truncate(length);
        }
    }

    /// White space between JSON tokens, with comments where they are allowed.
    fn space(&mut self) {
        let choices = if self.format == Format::Jsonc { 9 } else { 6 };
        match self.roll(choices) {
            0 => self.push(" "),
            1 => self.push("\n  "),
            2 => self.push("\n\t"),
            6 => self.comment("//", "\n"),
            7 => self.comment(" /*", "*/ "),
            8 => self.comment("\n  // é ", "  \n"),
            _ => {}
        }
    }

    fn json(&mut self, value: &Value) {
        let (open, close, length) = match value {
            Value::Object(map) => ("{", "}", map.len()),
            Value::Array(items) => ("[", "]", items.len()),
            scalar => return self.push(&scalar.to_string()),
        };
        self.push(open);
        for index in 0..length {
            self.space();
            match value {
                Value::Object(map) => {
                    let (key, member) = map.iter().nth(index).expect("within its length");
                    self.push(&json!(key).to_string());
                    self.space();
                    self.push(":");
                    self.space();
                    self.json(member);
                }
                _ => self.json(&value[index]),
            }
            self.space();
            if index + 1 < length || self.format == Format::Jsonc && self.roll(4) == 0 {
                self.push(",");
            }
        }
        self.space();
        self.push(close);
    }

    /// Pairs first, then headers, in any of TOML's notations.
    fn tables(&mut self, root: &Map<String, Value>) {
        let mut late = Vec::new();
        let mut tables = Vec::new();
        for (key, value) in root {
            match value {
                Value::Object(map) if !map.is_empty() => match self.roll(4) {
                    0 => self.pair(&quote(key), value),
                    1 => self.dotted(&quote(key), map),
                    _ => late.push((key, map)),
                },
                Value::Array(items) if key == "list" && !items.is_empty() && self.roll(2) == 0 => {
                    tables = items.iter().filter_map(Value::as_object).collect();
                }
                _ => self.pair(&quote(key), value),
            }
        }
        for table in tables {
            self.lines();
            self.push("[[list]]");
            self.line_end();
            for (key, value) in table {
                self.pair(key, value);
            }
            if self.roll(3) == 0 {
                self.push("[list.sub]\n");
            }
        }
        for (key, map) in late {
            self.table(&quote(key), map);
        }
        if self.roll(4) == 0 {
            self.comment("#", "\n");
        }
    }

    fn table(&mut self, path: &str, map: &Map<String, Value>) {
        let (deep, flat): (Vec<_>, Vec<_>) =
            map.iter().partition(|(_, value)| value.as_object().is_some_and(|map| !map.is_empty()));
        // A table of nothing but tables needs no header.
        if !flat.is_empty() || self.roll(2) == 0 {
            self.lines();
            self.push(&format!("[{path}]"));
            self.line_end();
        }
        for (key, value) in flat {
            self.pair(&quote(key), value);
        }
        for (key, value) in deep {
            if let Some(map) = value.as_object() {
                self.table(&format!("{path}.{}", quote(key)), map);
            }
        }
    }

    fn dotted(&mut self, path: &str, map: &Map<String, Value>) {
        for (key, value) in map {
            let path = format!("{path}.{}", quote(key));
            match value.as_object() {
                Some(map) if !map.is_empty() => self.dotted(&path, map),
                _ => self.pair(&path, value),
            }
        }
    }

    fn pair(&mut self, key: &str, value: &Value) {
        self.lines();
        self.push(key);
        let equals = ["=", " = ", " =\t"][self.roll(3)];
        self.push(equals);
        self.toml(value);
        self.line_end();
    }

    fn lines(&mut self) {
        match self.roll(8) {
            0 => self.push("\n"),
            1 => self.comment("#", "\n"),
            2 => self.push("  "),
            3 => self.push("\n\n"),
            _ => {}
        }
    }

    fn line_end(&mut self) {
        match self.roll(5) {
            0 => self.comment("#", "\n"),
            1 => self.comment("  # \" ", "\n"),
            _ => self.push("\n"),
        }
    }

    fn toml(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                self.push("[");
                for (index, item) in items.iter().enumerate() {
                    if self.roll(4) == 0 {
                        self.comment("#", "\n  ");
                    }
                    self.toml(item);
                    if index + 1 < items.len() || self.roll(3) == 0 {
                        self.push([",", ", ", ",\n  "][self.next % 3]);
                    }
                }
                self.push("]");
            }
            Value::Object(map) => {
                self.push(["{", "{ "][self.next % 2]);
                for (index, (key, member)) in map.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" });
                    self.push(&format!("{} = ", quote(key)));
                    self.toml(member);
                }
                self.push([" }", "}"][self.next % 2]);
            }
            Value::String(text) if !text.contains(['\'', '\n']) && self.roll(3) == 0 => {
                self.push(&format!("'{text}'"));
            }
            Value::String(text) if !text.contains("'") && self.roll(2) == 0 => {
                self.push(&format!("'''\n{text}'''"));
            }
            Value::String(_) => self.push(&value.to_string()),
            scalar => self.push(&scalar.to_string()),
        }
    }

    /// Block maps, everything else in flow style.
    fn yaml(&mut self, map: &Map<String, Value>, depth: usize) {
        let indent = "  ".repeat(depth);
        for (key, value) in map {
            match self.roll(6) {
                0 => self.push("\n"),
                1 => self.comment(&format!("{indent}#"), "\n"),
                _ => {}
            }
            self.push(&format!("{indent}{}:", json!(key)));
            match value.as_object() {
                Some(map) if !map.is_empty() && self.roll(4) > 0 => {
                    // A YAML comment needs a blank before it.
                    self.push(" ");
                    self.line_end();
                    self.yaml(map, depth + 1);
                }
                _ => {
                    self.push(&format!(" {value}"));
                    if self.roll(4) == 0 {
                        self.push(" ");
                        self.comment("#", "");
                    }
                    self.push("\n");
                }
            }
        }
    }
}

fn quote(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_bare { key.to_owned() } else { json!(key).to_string() }
}
