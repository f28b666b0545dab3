use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A document as it may have been written by hand.
#[derive(Clone, Debug)]
enum Part {
    Scalar(&'static str),
    Block(Vec<(Trim, usize, Part)>, usize),
    List(Vec<(Trim, Part)>, usize),
    Flow(Vec<(usize, Part)>, usize),
    FlowList(Vec<Part>, usize),
}

/// What stands around a member.
#[derive(Clone, Debug)]
struct Trim {
    above: &'static str,
    after: &'static str,
    anchor: bool,
}

const KEYS: [&str; 12] =
    ["a", "\"b\"", "'c'", "servers", "env", "123", "é", "\"x y\"", "name", "true", "k-1", "\"#k: {\""];

const SCALARS: [&str; 22] = [
    "1",
    "text",
    "two words",
    "\"quoted # not: a comment\"",
    "'it''s'",
    "~",
    "",
    "null",
    "true",
    "1.5",
    "yes",
    "[]",
    "{}",
    "{ }",
    "[a, \"b\"]",
    "http://x.y/z#w",
    "*anchor",
    "|\n§lit\n§  more\n",
    "|+\n§keep\n\n\n",
    ">-\n§fold\n§ed\n",
    "\"two\n§lines\"",
    "plain\n§lines",
];

/// Scalars that may stand inside brackets.
const FLOW: [&str; 12] =
    ["1", "text", "two words", "\"q, # }\"", "'it''s'", "~", "null", "true", "{}", "[ ]", "\"k\"", "1.5"];

fn trim() -> impl Strategy<Value = Trim> {
    let above =
        select(vec!["", "", "", "", "# note\n", "\n", "\n# note: {x}\n\n", "      # deep\n", "# left\n"]);
    let after = select(vec!["", "", "", " # tail", "  ", "\t# tab", "\t"]);
    (above, after, prop::bool::weighted(0.1)).prop_map(|(above, after, anchor)| Trim { above, after, anchor })
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        4 => select(SCALARS.to_vec()).prop_map(Part::Scalar),
        1 => flow(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => (prop::collection::vec((trim(), 0..KEYS.len(), inner.clone()), 1..4), 1..5_usize)
                .prop_map(|(members, step)| Part::Block(members, step)),
            2 => (prop::collection::vec((trim(), inner), 1..4), 0..4_usize)
                .prop_map(|(items, step)| Part::List(items, step)),
        ]
    })
}

fn flow() -> impl Strategy<Value = Part> {
    let leaf = select(FLOW.to_vec()).prop_map(Part::Scalar);
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            (prop::collection::vec((0..KEYS.len(), inner.clone()), 0..4), 0..5_usize)
                .prop_map(|(members, style)| Part::Flow(members, style)),
            (prop::collection::vec(inner, 0..4), 0..5_usize)
                .prop_map(|(items, style)| Part::FlowList(items, style)),
        ]
    })
}

struct Writer {
    out: String,
    /// Whether `&anchor` was written: only then an alias may follow.
    anchored: bool,
    named: bool,
}

impl Writer {
    /// A value behind `key:` or a dash, up to the end of its last line.
    fn value(&mut self, part: &Part, column: usize, trim: &Trim, behind_dash: bool) {
        // Once only: the second parser mixes up anchors of the same name.
        let anchor = trim.anchor && !self.named && !matches!(part, Part::Scalar("" | "*anchor"));
        self.named |= anchor;
        if anchor {
            self.out.push_str(" &anchor");
        }
        match part {
            Part::Scalar("*anchor") if !self.anchored => self.line(" later", trim),
            Part::Scalar(text) => self.scalar(text, column, trim),
            Part::Flow(..) | Part::FlowList(..) => {
                let text = flow_text(part, column + 2);
                self.line(&format!(" {text}"), trim);
            }
            Part::Block(members, step) => {
                // The first member may share its line with a dash.
                if behind_dash
                    && !anchor
                    && members.len() > 1
                    && members.first().is_some_and(|(t, ..)| t.above.is_empty())
                {
                    self.out.push(' ');
                    self.members(members, column + 2, true);
                } else {
                    self.line("", trim);
                    self.members(members, column + step, false);
                }
            }
            Part::List(items, step) => {
                self.line("", trim);
                let column = if behind_dash { column + step.max(&1) } else { column + step };
                self.items(items, column);
            }
        }
        self.anchored |= anchor;
    }

    fn scalar(&mut self, text: &str, column: usize, trim: &Trim) {
        let Some((first, rest)) = text.split_once('\n') else {
            let gap = if text.is_empty() { "" } else { " " };
            return self.line(&format!("{gap}{text}"), trim);
        };
        let indent = " ".repeat(column + 2);
        let rest = rest.replace('§', &indent);
        if first.starts_with(['|', '>']) {
            let after = trim.after.trim_end();
            _ = write!(self.out, " {first}{after}\n{rest}");
        } else {
            self.line(&format!(" {first}\n{rest}"), trim);
        }
    }

    fn line(&mut self, text: &str, trim: &Trim) {
        _ = writeln!(self.out, "{text}{}", trim.after);
    }

    fn above(&mut self, trim: &Trim, column: usize) {
        // Comments at the left margin would end a block scalar's reign, deeper ones would extend it.
        for line in trim.above.lines() {
            let indent = if line.starts_with("# note") { column } else { 0 };
            _ = writeln!(
                self.out,
                "{}{line}",
                if line.is_empty() { String::new() } else { " ".repeat(indent) }
            );
        }
    }

    fn members(&mut self, members: &[(Trim, usize, Part)], column: usize, mut shares: bool) {
        let mut seen = Vec::new();
        for (trim, key, part) in members {
            if seen.contains(key) {
                continue;
            }
            seen.push(*key);
            if !shares {
                self.above(trim, column);
                self.out.push_str(&" ".repeat(column));
            }
            shares = false;
            _ = write!(self.out, "{}:", KEYS[*key]);
            self.value(part, column, trim, false);
        }
    }

    fn items(&mut self, items: &[(Trim, Part)], column: usize) {
        for (trim, part) in items {
            self.above(trim, column);
            _ = write!(self.out, "{}-", " ".repeat(column));
            // The second parser takes no tab behind a dash.
            let after = if trim.after.starts_with('\t') { " # no tab" } else { trim.after };
            self.value(part, column, &Trim { after, ..trim.clone() }, true);
        }
    }
}

fn flow_text(part: &Part, column: usize) -> String {
    let indent = " ".repeat(column);
    let join = |items: Vec<String>, style: usize, open: char, close: char| {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        match style {
            0 => format!("{open}{}{close}", items.join(", ")),
            1 => format!("{open} {} {close}", items.join(", ")),
            2 => format!("{open}{}, {close}", items.join(" , ")),
            3 => {
                format!("{open}\n{indent}{} # last\n{indent}{close}", items.join(&format!(", # c\n{indent}")))
            }
            _ => format!(
                "{open}\n{indent}{},\n{indent}{close}",
                items.join(&format!(",\n{indent}# above\n{indent}"))
            ),
        }
    };
    match part {
        Part::Flow(members, style) => {
            let mut seen = Vec::new();
            let mut texts = Vec::new();
            for (key, part) in members {
                if !seen.contains(key) {
                    seen.push(*key);
                    texts.push(format!("{}: {}", KEYS[*key], flow_text(part, column + 2)));
                }
            }
            join(texts, *style, '{', '}')
        }
        Part::FlowList(items, style) => {
            join(items.iter().map(|item| flow_text(item, column + 2)).collect(), *style, '[', ']')
        }
        Part::Scalar(text) => (*text).to_owned(),
        _ => String::new(),
    }
}

fn document() -> impl Strategy<Value = String> {
    let members = prop::collection::vec((trim(), 0..KEYS.len(), part()), 1..5);
    let head = select(vec!["", "", "", "# head\n", "---\n", "%YAML 1.2\n---\n# c\n", "\n\n"]);
    let tail = select(vec!["", "", "", "# tail\n", "\n\n", "...\n"]);
    (members, head, tail, any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |(members, head, tail, crlf, cut)| {
            let mut writer = Writer { out: head.to_owned(), anchored: false, named: false };
            writer.members(&members, 0, false);
            writer.out.push_str(tail);
            let mut text = writer.out;
            if cut && text.ends_with('\n') {
                text.pop();
            }
            if crlf { text.replace('\n', "\r\n") } else { text }
        },
    )
}

/// A document that both parsers read, and read alike.
fn is_sound(text: &str) -> bool {
    let ours = get(text, &Pointer::root());
    reparse(text).is_ok_and(|theirs| ours == Ok(Some(theirs)))
}

/// Every place in a value that keys, names and strings lead to.
fn places(value: &Value, at: &Pointer, all: &mut Vec<(Pointer, Value)>) {
    if let Value::Object(map) = value {
        for (key, value) in map {
            let at = at.key(key);
            all.push((at.clone(), value.clone()));
            places(value, &at, all);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        let step = match (item.as_str(), item.get("name").and_then(Value::as_str)) {
            (Some(text), _) => Step::Element(text.to_owned()),
            (_, Some(name)) => Step::Item { key: "name".to_owned(), is: name.to_owned() },
            _ => continue,
        };
        let at = at.then(step);
        all.push((at.clone(), item.clone()));
        places(item, &at, all);
    }
}

fn new_value() -> impl Strategy<Value = Value> {
    select(vec![
        json!("new"),
        json!("yes"),
        json!(7),
        json!(null),
        json!({}),
        json!([]),
        json!(["-y", "pkg"]),
        json!([{"name": "x", "env": {"A": "b"}}, "y"]),
        json!({"command": "npx", "args": ["-y", "p"], "env": {"A": "1", "B": ""}}),
        json!({"a": {"b": {"c": "multi\nline"}}, "env": 1}),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1 << 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_put_is_there_and_leaves_no_trace(text in document(), which in any::<prop::sample::Index>(), value in new_value(), more in new_value()) {
        prop_assume!(is_sound(&text));
        prop_assert_eq!(edit(&text, &[]).map(|(text, _)| text), Ok(text.clone()));
        let mut all = vec![(Pointer::root(), reparse(&text).unwrap_or_default())];
        let root = all[0].1.clone();
        places(&root, &Pointer::root(), &mut all);
        let maps: Vec<_> = all.iter().filter(|(_, value)| value.is_object() || value.is_null()).collect();
        let (map, _) = which.get(&maps);
        let lists: Vec<_> = all.iter().filter(|(_, value)| value.is_array()).collect();
        if !lists.is_empty() {
            let item = Step::Item { key: "name".to_owned(), is: "new".to_owned() };
            let puts = [
                Op::Put { at: which.get(&lists).0.then(item), value: json!({"name": "new", "v": value}) },
                Op::Put { at: which.get(&lists).0.then(Step::Element("new-1".to_owned())), value: json!("new-1") },
            ];
            if edit(&text, &puts).is_ok() && let Err(why) = try_trace(&text, &puts) {
                prop_assert!(false, "{}\n{:?}\n{}", text, puts, why);
            }
        }
        let puts = [
            Op::Put { at: map.key("new-1"), value: value.clone() },
            Op::Put { at: map.key("new-2").key("below"), value: more },
            Op::Put { at: Pointer::of(["new-3"]), value },
        ];
        // What may not be touched is refused; what is done is right.
        if edit(&text, &puts).is_ok() && let Err(why) = try_trace(&text, &puts) {
            prop_assert!(false, "{}\n{:?}\n{}", text, puts, why);
        }
    }

    #[test]
    fn what_was_replaced_or_dropped_changes_nothing_else(text in document(), picks in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(new_value())), 1..4)) {
        prop_assume!(is_sound(&text));
        let mut all = Vec::new();
        places(&reparse(&text).unwrap_or_default(), &Pointer::root(), &mut all);
        prop_assume!(!all.is_empty());
        for (which, value) in picks {
            let at = which.get(&all).0.clone();
            let op = match value {
                Some(value) => Op::Put { at, value },
                None => Op::Drop { at },
            };
            if edit(&text, std::slice::from_ref(&op)).is_ok()
                && let Err(why) = try_edit(&text, std::slice::from_ref(&op)) {
                prop_assert!(false, "{}\n{:?}\n{}", text, op, why);
            }
        }
    }

    #[test]
    fn several_at_once_are_the_same_as_one_by_one(text in document(), picks in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(new_value()), any::<bool>()), 2..7)) {
        prop_assume!(is_sound(&text));
        let mut all = vec![(Pointer::root().key("other"), Value::Null)];
        places(&reparse(&text).unwrap_or_default(), &Pointer::root(), &mut all);
        let ops: Vec<_> = picks.iter().enumerate().map(|(n, (which, value, new))| {
            let at = which.get(&all).0.clone();
            let at = if *new { at.parent().unwrap_or_default().key(&format!("new-{n}")) } else { at };
            match value {
                Some(value) => Op::Put { at, value: value.clone() },
                None => Op::Drop { at },
            }
        }).collect();
        let at_once = edit(&text, &ops).map(|(text, _)| text);
        let one_by_one = ops.iter().try_fold(text.clone(), |text, op| edit(&text, std::slice::from_ref(op)).map(|(text, _)| text));
        prop_assert_eq!(at_once.ok().map(|text| reparse(&text)), one_by_one.ok().map(|text| reparse(&text)), "{}\n{:?}", text, ops);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:#&*!|>'\"{}\\[\\],?~% \t\r\n0-9é-]{0,60}") {
        let checked = check(&text);
        let value = get(&text, &Pointer::root());
        prop_assert_eq!(checked.is_ok(), value.is_ok());
        let op = Op::Put { at: Pointer::of(["new", "x"]), value: json!({"y": ["z"]}) };
        if let Ok((after, seams)) = edit(&text, std::slice::from_ref(&op)) {
            prop_assert!(checked.is_ok());
            if is_sound(&text) && is_sound(&after) {
                let (back, _) = edit(&after, &undo(&[op], &seams)).map_err(|fault| TestCaseError::fail(format!("{fault:?}")))?;
                prop_assert_eq!(back, text);
            }
        }
    }
}
