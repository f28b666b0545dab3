//! Hostile files: each ends soon, in bounded memory, with a clear problem.
//! `MCPKEEL_MEASURE=1` with `--nocapture` prints what each one takes.
#![allow(clippy::print_stderr)]

use std::time::{Duration, Instant};

use mcpkeel::manifest::{self, On, Parsed};
use proptest::prelude::*;

/// Generous for a debug build on a busy machine; a release build stays under two seconds.
const LIMIT: Duration = Duration::from_secs(60);

fn whole(bytes: Vec<u8>) -> Parsed {
    let parsed = manifest::validate_fully("mcp.yaml", bytes);
    let files = [parsed];
    let found = manifest::check(&files, &["cursor"]);
    assert!(found.len() < 1000);
    let [parsed] = files;
    parsed
}

#[track_caller]
fn bounded(name: &str, bytes: Vec<u8>, code: &str) {
    let before = peak();
    let start = Instant::now();
    let parsed = whole(bytes);
    let took = start.elapsed();
    let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code).collect();
    assert!(codes.contains(&code), "{name}: {:?}", &codes[..codes.len().min(5)]);
    assert!(took < LIMIT, "{name} took {took:?}");
    if std::env::var_os("MCPKEEL_MEASURE").is_some() {
        eprintln!("{name}: {took:?}, peak {} MB before, {} MB after", before, peak());
    }
    assert!(codes.len() <= manifest::MAX_PROBLEMS + 1, "{name}: {} problems", codes.len());
}

/// Most memory this process ever had, in MB; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

fn repeat(head: &str, part: &str, bytes: usize) -> Vec<u8> {
    let mut text = String::from(head);
    while text.len() < bytes {
        text.push_str(part);
    }
    text.into_bytes()
}

const MB: usize = 1024 * 1024;

#[test]
fn refuses_what_is_too_big_or_too_deep() {
    bounded("50 MB", vec![b'a'; 50 * MB], "file-too-big");
    bounded("flow nesting", "[".repeat(10_000).into_bytes(), "nesting");
    bounded("flow maps", "{a: ".repeat(10_000).into_bytes(), "nesting");
    let block: String =
        (0..10_000_usize).map(|depth| format!("{}a:\n", " ".repeat(depth.min(300)))).collect();
    bounded("block nesting", block.into_bytes(), "nesting");
    bounded("dashes", "- ".repeat(10_000).into_bytes(), "nesting");
    bounded("complex keys", "? ".repeat(10_000).into_bytes(), "nesting");
    bounded("not UTF-8", vec![b'a', b':', b' ', 0xff, 0xfe], "not-utf8");
    bounded("UTF-16", vec![0xff, 0xfe, b'a', 0], "not-utf8");
}

#[test]
fn refuses_alias_bombs() {
    let mut bomb = String::from("version: 1\nx-0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    let mut merges = String::from("version: 1\nx-0: &a0 {a: 1, b: 2}\n");
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("x-{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "));
        merges +=
            &format!("x-{level}: &a{level} {{k{level}: {alias}, l: {alias}, <<: [{alias}, {alias}]}}\n");
    }
    bounded("alias bomb", bomb.into_bytes(), "alias-limit");
    bounded("merge bomb", merges.into_bytes(), "alias-limit");
    let long = format!("version: 1\nx-a: &a {}\nx-b: [{}]\n", "y".repeat(MB), "*a, ".repeat(100_000));
    bounded("a long text many times", long.into_bytes(), "alias-limit");
}

#[test]
fn stays_quick_on_four_megabytes_of_anything() {
    let size = 4 * MB - 200;
    bounded("many items", repeat("x:\n", "- a\n", size), "too-many-values");
    bounded(
        "many unknown keys",
        (0..100_000).map(|n| format!("k{n}: 1\n")).collect::<String>().into_bytes(),
        "unknown-key",
    );
    bounded("many duplicates", repeat("", "a: 1\n", MB), "duplicate-key");
    bounded("one long key", format!("{}: 1\n", "k".repeat(size)).into_bytes(), "syntax");
    bounded("one long quoted key", format!("? \"{}\"\n: 1\n", "k".repeat(size)).into_bytes(), "unknown-key");
    bounded("one long line", repeat("version: 1\nvars: {", "a: b, ", MB), "syntax");
    bounded("only comments", repeat("", "# x\n", size), "empty-manifest");
    bounded("only blank lines", repeat("", "\n", size), "empty-manifest");
    bounded("control characters", repeat("a: ", "\u{1}", size), "hidden-character");
    bounded("many tags", repeat("a: ", "!x ", size), "syntax");
    bounded("many anchors", repeat("a: [", "&a x, ", MB), "syntax");
    bounded("many directives", repeat("", "%X y\n", size), "syntax");
    bounded("many quotes", repeat("a: [", "\"\", ", MB), "syntax");
    bounded("unknown aliases", repeat("a: [", "*x, ", MB), "unknown-anchor");
}

#[test]
fn stays_quick_on_many_good_and_dangling_names() {
    let servers: String = (0..20_000).map(|n| format!("  s{n}: {{ command: uvx }}\n")).collect();
    let groups: String = (0..20_000).map(|n| format!("  g{n}: [g{}, zzz{n}]\n", n + 1)).collect();
    let start = Instant::now();
    let files = [manifest::parse(
        "mcp.yaml",
        format!("version: 1\nservers:\n{servers}groups:\n{groups}").into_bytes(),
    )];
    let found = manifest::check(&files, &[]);
    assert!(found.iter().any(|d| d.code == "unknown-name"), "{:?}", files[0].diagnostics);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        whole(bytes);
    }

    #[test]
    fn yaml_like_text_never_panics(text in "(version: 1\n)?([ \\-a&*<:#?\\[\\]{}|>'\"!%@`,\n\t\r0-9${}é\u{feff}]{0,12}){0,12}") {
        let parsed = whole(text.into_bytes());
        if let Some(file) = parsed.file {
            file.place("/a/0", On::Key);
        }
    }
}
