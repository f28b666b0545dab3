//! Which tools pass: a hidden tool is neither listed nor callable.
//!
//! Invariant: a call passes only when the one name that any server could read in it is visible.

use super::json::{self, Members};
use super::message::{INVALID_PARAMS, INVALID_REQUEST, Kind, Message, error};
use crate::base::Glob;
use crate::clients::Filter;

/// A filter made ready.
pub struct Sieve {
    allow: Vec<Glob>,
    deny: Vec<Glob>,
}

/// What becomes of a client's message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server may see it.
    Pass,
    /// It may not, and this is the answer.
    Answer(String),
    /// It may not, and no answer is due.
    Drop,
}

impl Sieve {
    /// The filter's patterns, compiled.
    pub fn new(filter: &Filter) -> Self {
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        Self { allow: globs(&filter.allow), deny: globs(&filter.deny) }
    }

    /// Whether it hides nothing.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether a tool passes.
    pub fn shows(&self, tool: &str) -> bool {
        let is_in = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(tool));
        (self.allow.is_empty() || is_in(&self.allow)) && !is_in(&self.deny)
    }

    /// What becomes of a message from the client.
    pub fn judge(&self, message: &Message) -> Verdict {
        if self.is_open() {
            return Verdict::Pass;
        }
        // What looks like an answer to us may be a call to a server that reads `Method`.
        let Some((code, why)) = self.objection(message) else { return Verdict::Pass };
        match &message.kind {
            Kind::Request(id, _) => Verdict::Answer(error(Some(id), code, &why, None)),
            Kind::Notification(_) | Kind::Result(_) | Kind::Error(_) => Verdict::Drop,
        }
    }

    fn objection(&self, message: &Message) -> Option<(i64, String)> {
        let members = Members::of(&message.text)?;
        // Some servers read names without regard to case, and would see another method or tool than we do.
        let odd = |members: &Members<'_>, known: &[&str]| {
            let (name, meant) = members.misspelt(known)?;
            Some((INVALID_REQUEST, format!("Invalid request: the member `{name}` is not spelt `{meant}`")))
        };
        if let Some(objection) = odd(&members, &["jsonrpc", "id", "method", "params"]) {
            return Some(objection);
        }
        if message.method() != Some("tools/call") {
            return None;
        }
        let Some(params) = members.object("params") else {
            return Some((INVALID_PARAMS, "Unknown tool: the parameters are not an object".to_owned()));
        };
        if let Some(objection) = odd(&params, &["name"]) {
            return Some(objection);
        }
        match params.text("name") {
            Some(name) if self.shows(&name) => None,
            Some(name) => Some((INVALID_PARAMS, format!("Unknown tool: {name}"))),
            None => Some((INVALID_PARAMS, "Unknown tool: there is no name".to_owned())),
        }
    }

    /// A message from the server without the tools that are hidden. Every result that lists tools is one to
    /// look at, whatever was asked, so that no mix-up of ids shows one.
    pub fn strain(&self, message: Message) -> Message {
        if self.is_open() || !matches!(message.kind, Kind::Result(_)) {
            return message;
        }
        let Some(text) = self.strained(&message.text) else { return message };
        Message { text, kind: message.kind }
    }

    fn strained(&self, text: &str) -> Option<String> {
        let result = Members::of(text)?.get("result")?;
        let members = Members::of(result)?;
        let lists = members.iter().filter(|(name, _)| *name == "tools").map(|(_, list)| list);
        // The last one first, so that the places of the others stay what they are.
        let lists: Vec<&str> = lists.collect();
        let mut strained = text.to_owned();
        for list in lists.into_iter().rev() {
            let Some(tools) = json::elements(list) else { continue };
            let kept: Vec<&str> = tools.iter().copied().filter(|tool| self.shows_definition(tool)).collect();
            if kept.len() < tools.len() {
                let start = list.as_ptr() as usize - text.as_ptr() as usize;
                strained.replace_range(start..start + list.len(), &format!("[{}]", kept.join(",")));
            }
        }
        Some(strained)
    }

    fn shows_definition(&self, tool: &str) -> bool {
        let Some(members) = Members::of(tool) else { return false };
        let mut names = members.iter().filter(|(name, _)| *name == "name").map(|(_, name)| json::text(name));
        names.all(|name| name.is_some_and(|name| self.shows(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without regard to case, as the laxest JSON readers compare.
    fn fold(name: &str) -> String {
        name.chars().flat_map(char::to_lowercase).map(|c| if c == 'ſ' { 's' } else { c }).collect()
    }

    fn sieve(allow: &str, deny: &str) -> Sieve {
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Sieve::new(&Filter { allow: names(allow), deny: names(deny) })
    }

    fn read(text: &str) -> Message {
        Message::read(text).remove(0).expect("a message")
    }

    #[test]
    fn a_call_passes_only_with_a_visible_name() {
        let sieve = sieve("", "delete_*");
        for (text, code) in [
            (r#"{"id":1,"method":"tools/call","params":{"name":"read"}}"#, None),
            (r#"{"id":1,"method":"tools/list"}"#, None),
            (r#"{"id":1,"method":"tools/call","params":{"name":"delete_x"}}"#, Some("-32602")),
            (r#"{"id":1,"method":"tools/call","params":{"n\u0061me":"delete_x"}}"#, Some("-32602")),
            (r#"{"id":1,"method":"tools\/call","params":{"name":"\u0064elete_x"}}"#, Some("-32602")),
            (r#"{"id":1,"method":"tools/call","params":{"name":"read","Name":"delete_x"}}"#, Some("-32600")),
            (r#"{"id":1,"method":"ping","Method":"tools/call"}"#, Some("-32600")),
            (r#"{"id":1,"method":"ping","paramſ":{}}"#, Some("-32600")),
            (r#"{"id":1,"method":"tools/call","params":["delete_x",{}]}"#, Some("-32602")),
            (r#"{"id":1,"method":"tools/call","params":{"name":["delete_x"]}}"#, Some("-32602")),
            (r#"{"id":1,"method":"tools/call"}"#, Some("-32602")),
        ] {
            match (sieve.judge(&read(text)), code) {
                (Verdict::Pass, None) => {}
                (Verdict::Answer(answer), Some(code)) => assert!(answer.contains(code), "{text}: {answer}"),
                (verdict, _) => panic!("{text}: {verdict:?}"),
            }
        }
        for text in [
            r#"{"method":"tools/call","params":{"name":"delete_x"}}"#,
            r#"{"id":1,"result":{},"Method":"tools/call","params":{"name":"delete_x"}}"#,
        ] {
            assert_eq!(sieve.judge(&read(text)), Verdict::Drop, "{text}");
        }
        assert_eq!(sieve.judge(&read(r#"{"id":1,"result":{"name":"delete_x"}}"#)), Verdict::Pass);
    }

    #[test]
    fn the_answer_is_what_a_server_would_say() {
        let call = read(r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x"}}"#);
        let expected =
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Unknown tool: x"}}"#.to_owned();
        assert_eq!(sieve("a*", "").judge(&call), Verdict::Answer(expected));
    }

    #[test]
    fn a_list_loses_what_is_hidden_and_nothing_else() {
        let text = r#"{ "id" :1, "result": { "tools" : [ {"name":"a", "x": 1e400}, {"name":"b"} ,{"name":"ab"}], "nextCursor": "n" } }"#;
        let strained = sieve("a*", "ab").strain(read(text)).text;
        assert_eq!(
            strained,
            r#"{ "id" :1, "result": { "tools" : [{"name":"a", "x": 1e400}], "nextCursor": "n" } }"#
        );
        let all = sieve("*", "").strain(read(text)).text;
        assert_eq!(all, text);
    }

    #[test]
    fn two_lists_in_one_answer_are_both_strained() {
        let text = r#"{"id":1,"result":{"tools":[{"name":"b"}],"tools":[{"name":"b"},{"name":"a"}]}}"#;
        let strained = sieve("a", "").strain(read(text)).text;
        assert_eq!(strained, r#"{"id":1,"result":{"tools":[],"tools":[{"name":"a"}]}}"#);
    }

    /// A name as somebody who wants to slip through would write it.
    fn spelt(name: &'static str) -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let letter = |c: char| {
            prop_oneof![
                6 => Just(c.to_string()),
                1 => Just(format!("\\u{:04x}", c as u32)),
                1 => Just(c.to_uppercase().to_string()),
                1 => Just(if c == '/' { "\\/".to_owned() } else { c.to_string() }),
            ]
        };
        name.chars().map(letter).collect::<Vec<_>>().prop_map(|letters| letters.concat())
    }

    /// Members in any order, some of them twice.
    fn members(of: Vec<(&'static str, Vec<String>)>) -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let member = proptest::sample::select(of).prop_flat_map(|(name, values)| {
            (spelt(name), proptest::sample::select(values))
                .prop_map(|(name, value)| format!("\"{name}\": {value}"))
        });
        proptest::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(4000)
        })]

        /// Servers read JSON in their own ways: the last member counts, or the first, or case does not.
        #[test]
        fn nothing_passes_that_any_server_could_take_for_a_call_of_a_hidden_tool(
            params in members(vec![
                ("name", vec!["\"read\"".into(), "\"delete_x\"".into(), "\"\\u0064elete_x\"".into(), "[\"delete_x\"]".into()]),
                ("arguments", vec!["{}".into(), "{\"name\": \"delete_x\"}".into()]),
            ]),
            order in proptest::prop_oneof![
                4 => proptest::strategy::Just(vec![0, 1, 3]),
                1 => proptest::sample::subsequence(vec![0, 1, 2, 3, 4, 5], 0..=6),
            ],
            method in spelt("method"),
            named in spelt("params"),
        ) {
            let parts = [
                "\"id\": 1".to_owned(),
                format!("\"{method}\": \"tools/call\""),
                "\"method\": \"ping\"".to_owned(),
                format!("\"{named}\": {params}"),
                "\"params\": {\"name\": \"read\"}".to_owned(),
                "\"result\": {}".to_owned(),
            ];
            let text = format!("{{{}}}", order.iter().map(|at| parts[*at].as_str()).collect::<Vec<_>>().join(", "));
            let sieve = sieve("", "delete_*");
            for message in Message::read(&text).into_iter().flatten() {
                if sieve.judge(&message) != Verdict::Pass {
                    continue;
                }
                let read = Members::of(&message.text).expect("an object");
                let all = |wanted: &str, members: &Members<'_>| -> Vec<String> {
                    let same = members.iter().filter(|(name, _)| fold(name) == wanted);
                    same.map(|(_, value)| value.to_owned()).collect()
                };
                let calls = all("method", &read).iter().any(|method| json::text(method).as_deref() == Some("tools/call"));
                let hidden = all("params", &read).iter().filter_map(|params| {
                    let params = Members::of(params)?;
                    all("name", &params).into_iter().find(|name| json::text(name).is_none_or(|name| !sieve.shows(&name)))
                }).next();
                proptest::prop_assert!(!(calls && hidden.is_some()), "{} passes", message.text);
            }
        }
    }
}
