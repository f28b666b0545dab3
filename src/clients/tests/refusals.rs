use super::*;
use crate::base::Severity;

#[test]
fn what_a_client_cannot_do_is_a_problem() {
    let local = |args: &[Text], env: &[(&str, Text)], cwd: Option<Text>| {
        let env = env.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        wanted("x", Launch::Stdio { command: "c".into(), args: args.to_vec(), env, cwd })
    };
    let plain = local(&[], &[], None);
    let in_directory = local(&[], &[], Some("/d".into()));
    let home = local(&["$HOME/x".into()], &[], None);
    let braced = local(&["${HOME}/x".into()], &[], None);
    let renamed = local(&[], &[("A", Text::env("B"))], None);
    let argument = local(&[Text::env("B")], &[], None);
    let spaced = local(&["a b".into()], &[], None);
    let shouted = local(&[], &[("A", "PATH".into())], None);
    let debug = local(&[], &[("A", "DEBUG".into())], None);
    let deny = |tool: &str| {
        let tools = Filter { allow: vec![], deny: vec![tool.to_owned()] };
        Wanted { tools, ..plain.clone() }
    };
    let sse = wanted("x", Launch::Sse { url: "u".into(), headers: vec![] });
    let basic = Launch::Http { url: "u".into(), headers: vec![("Authorization".into(), "Basic x".into())] };
    let named = Wanted { name: "x y".to_owned(), ..plain.clone() };
    for (id, wanted, expected) in [
        ("claude-code", &in_directory, &["no-cwd"][..]),
        ("codex", &in_directory, &[]),
        ("claude-desktop", &remote(), &["no-http"]),
        ("codex", &sse, &["no-sse"]),
        ("zed", &sse, &["no-sse"]),
        ("void", &remote(), &["no-headers"]),
        ("openhands-app", &wanted("x", basic), &["no-headers"]),
        ("gemini-cli", &home, &[]),
        ("qwen-code", &home, &["literal-expands"]),
        ("claude-code", &home, &[]),
        ("claude-code", &braced, &[]),
        ("amp", &braced, &["literal-expands"]),
        ("codex", &braced, &[]),
        ("droid", &braced, &[]),
        ("copilot-cli", &shouted, &["literal-expands"]),
        ("copilot-cli", &debug, &["literal-expands"]),
        ("codex", &renamed, &["no-variable"]),
        ("claude-code", &renamed, &[]),
        ("droid", &argument, &["no-variable"]),
        ("cursor", &argument, &[]),
        ("warp", &argument, &["no-variable"]),
        ("augment", &spaced, &["shell-argument"]),
        ("cursor", &deny("a"), &["no-tool-filter"]),
        ("goose", &deny("a"), &["no-tool-filter"]),
        ("kiro", &deny("a*"), &["tool-pattern"]),
        ("opencode", &deny("a*"), &[]),
        ("codex", &named, &["name-refused"]),
    ] {
        let rendered = client(id).render(wanted, &place(client(id)));
        assert_eq!(codes(&rendered), expected, "{id}: {:?}", wanted.launch);
        let is_warning = id == "copilot-cli" && wanted == &debug;
        assert_eq!(rendered.is_refused(), !expected.is_empty() && !is_warning, "{id}");
        for problem in &rendered.problems {
            assert!(problem.hint.is_some() || problem.severity == Severity::Note, "{problem:?}");
        }
    }
}

#[test]
fn problems_name_the_field_and_never_its_value() {
    let env = vec![("TOKEN".to_owned(), "s3cr3t-${X}".into())];
    let secret = wanted("x", Launch::Stdio { command: "c".into(), args: vec![], env, cwd: None });
    let problems = client("amp").render(&secret, &place(client("amp"))).problems;
    assert_eq!(problems[0].message, "the variable `TOKEN` of `x` holds text that Amp would replace");
    assert!(!format!("{problems:?}").contains("s3cr3t"));
}
