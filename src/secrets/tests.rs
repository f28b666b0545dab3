use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::*;
use crate::system::Memory;

/// What is kept everywhere in these tests.
const VALUE: &str = "hush-hush-7";

/// A manifest in /home/me/dots with these secrets.
pub(super) fn units(secrets: &str, rest: &str) -> Vec<Unit> {
    let text = format!("version: 1\nsecrets:\n{secrets}\nservers: {{}}\nclients: {{}}\n{rest}");
    let parsed = crate::manifest::parse("mcp.yaml", text.into_bytes());
    let dir = PathBuf::from("/home/me/dots");
    vec![Unit {
        file: parsed.file.expect("a file"),
        manifest: parsed.manifest.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics)),
        path: dir.join("mcp.yaml"),
        dir,
        sourced: None,
        state_dir: None,
    }]
}

#[track_caller]
fn value(memory: &Memory, secrets: &str) -> String {
    let units = units(secrets, "");
    let vault = Vault::new(memory, &units);
    match vault.get("x") {
        Ok(value) => value.expose().clone(),
        Err(problem) => panic!("{problem:?}"),
    }
}

/// The message behind "the secret `x` cannot be had: ", and the hint.
#[track_caller]
fn refusal(memory: &Memory, secrets: &str) -> (String, String) {
    let units = units(secrets, "");
    let vault = Vault::new(memory, &units);
    let Err(problem) = vault.get("x") else { panic!("there is a value") };
    assert!(!format!("{problem:?}").contains("hush"), "{problem:?}");
    assert_eq!(problem.place.as_ref().map(|place| place.line), Some(3), "{problem:?}");
    let message = problem.message.strip_prefix("the secret `x` cannot be had: ").expect("who it is about");
    (message.to_owned(), problem.hint.expect("a next step"))
}

fn private(memory: &Memory, path: &str, text: &str) {
    memory.write(Path::new(path), text.as_bytes());
    memory.set_mode(Path::new(path), 0o600).expect("there");
}

#[test]
fn the_keyring_gives_what_it_holds() {
    let memory = Memory::default();
    memory.put_into_keyring("entry", VALUE);
    assert_eq!(value(&memory, "  x: { keyring: entry }"), VALUE);
    let (message, hint) = refusal(&memory, "  x: { keyring: other }");
    assert_eq!(message, "the keyring has no entry `other` of the service mcpkeel");
    assert_eq!(hint, "`mcpkeel secret set x` stores one");
    memory.put_into_keyring("empty", "");
    assert_eq!(
        refusal(&memory, "  x: { keyring: empty }").0,
        "what the keyring's entry `empty` holds is empty"
    );
}

#[test]
fn a_machine_without_a_keyring_is_told_what_else_there_is() {
    let (message, hint) = refusal(&Memory::default(), "  x: { keyring: entry }");
    assert_eq!(message, "there is no keyring in this session (the simulated machine has none)");
    for store in ["age:", "env:", "command:", "file:"] {
        assert!(hint.contains(store), "{hint}");
    }
}

#[test]
fn a_variable_gives_what_it_holds_unless_that_is_nothing() {
    let memory = Memory::default();
    memory.set_env("DB", VALUE);
    assert_eq!(value(&memory, "  x: { env: DB }"), VALUE);
    memory.set_env("DB", "");
    assert_eq!(refusal(&memory, "  x: { env: DB }").0, "the variable DB is not set here, or empty");
}

#[test]
fn one_line_end_is_dropped_and_no_more() {
    for (printed, meant) in
        [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("a\nb\n", "a\nb"), ("a\r", "a\r")]
    {
        let memory = Memory::default();
        memory.install(&["tool", "get"], printed);
        private(&memory, "/home/me/dots/x", printed);
        assert_eq!(value(&memory, "  x: { command: [tool, get] }"), meant);
        assert_eq!(value(&memory, "  x: { file: x }"), meant);
    }
}

#[test]
fn what_is_written_is_what_is_read_again() {
    for text in ["a", "a\n", "a\n\n", "a\r", "a\r\n", "\n"] {
        let bytes = bytes_of(&Secret::new(text.to_owned()));
        assert_eq!(text_of(&bytes, "it").expect("text").expose(), text);
    }
}

#[test]
fn a_program_next_to_the_manifest_is_found_from_anywhere() {
    let memory = Memory::default();
    memory.install(&["/home/me/dots/./bin/get", "x"], VALUE);
    assert_eq!(value(&memory, "  x: { command: [./bin/get, x] }"), VALUE);
}

#[test]
fn a_program_that_fails_is_named_and_never_quoted() {
    let memory = Memory::default();
    let printed = format!("{VALUE}\n");
    memory.install_broken(&["tool"], 3, &printed);
    let (message, _) = refusal(&memory, "  x: { command: [tool] }");
    assert_eq!(message, "the command `tool` ended with exit code 3");
}

#[test]
fn a_program_that_cannot_be_used_is_told_apart() {
    for (kind, says) in [
        (ErrorKind::NotFound, "was not found"),
        (ErrorKind::PermissionDenied, "may not be run"),
        (ErrorKind::TimedOut, "took more than 30 seconds and was ended"),
        (ErrorKind::FileTooLarge, "printed more than 1 MiB"),
    ] {
        let memory = Memory::default();
        memory.refuse_to_run(&["tool"], kind);
        assert_eq!(refusal(&memory, "  x: { command: [tool] }").0, format!("the command `tool` {says}"));
    }
    let memory = Memory::default();
    memory.install_broken(&["tool"], 0, "\n");
    assert_eq!(refusal(&memory, "  x: { command: [tool] }").0, "the command `tool` printed nothing");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    for mode in [0o640, 0o604, 0o644, 0o660, 0o601] {
        let memory = Memory::default();
        private(&memory, "/home/me/dots/x", VALUE);
        assert_eq!(value(&memory, "  x: { file: x }"), VALUE);
        memory.set_mode(Path::new("/home/me/dots/x"), mode).expect("there");
        let (message, hint) = refusal(&memory, "  x: { file: x }");
        assert_eq!(
            message,
            format!("the file /home/me/dots/x can be read by others (its mode is {mode:04o})")
        );
        assert!(hint.starts_with("`chmod 600 /home/me/dots/x`"), "{hint}");
    }
}

#[test]
fn a_file_is_found_through_links_and_from_the_home_directory() {
    let memory = Memory::default();
    private(&memory, "/home/me/real", VALUE);
    memory.make_dirs(Path::new("/home/me/dots"));
    memory.link(Path::new("/home/me/dots/x"), Path::new("../real"));
    for path in ["x", "~/real", "${home}/real", "/home/me/real", "./../real"] {
        assert_eq!(value(&memory, &format!("  x: {{ file: \"{path}\" }}")), VALUE);
    }
    memory.set_mode(Path::new("/home/me/real"), 0o644).expect("there");
    assert!(refusal(&memory, "  x: { file: x }").1.contains("chmod 600 /home/me/dots/../real"));
}

#[test]
fn a_file_that_holds_no_secret_is_refused() {
    let memory = Memory::default();
    assert_eq!(refusal(&memory, "  x: { file: x }").0, "the file /home/me/dots/x is not there");
    memory.make_dirs(Path::new("/home/me/dots/x"));
    assert_eq!(refusal(&memory, "  x: { file: x }").0, "the file /home/me/dots/x is no regular file");
    private(&memory, "/home/me/dots/y", "\n");
    assert_eq!(refusal(&memory, "  x: { file: y }").0, "what the file /home/me/dots/y holds is empty");
    memory.write(Path::new("/home/me/dots/z"), b"hush\xff");
    memory.set_mode(Path::new("/home/me/dots/z"), 0o600).expect("there");
    assert_eq!(
        refusal(&memory, "  x: { file: z }").0,
        "what the file /home/me/dots/z holds is not UTF-8 text"
    );
}

#[test]
fn a_secret_that_nobody_names_is_guessed() {
    let units = units("  github-token: { env: X }", "");
    let memory = Memory::default();
    let Err(problem) = Vault::new(&memory, &units).get("githb-token") else { panic!("there is none") };
    assert_eq!(problem.hint.as_deref(), Some("did you mean `github-token`?"));
}

#[test]
fn a_value_is_looked_up_once() {
    let memory = Memory::default();
    memory.install(&["tool"], VALUE);
    let units = units("  x: { command: [tool] }", "");
    let vault = Vault::new(&memory, &units);
    vault.get("x").expect("printed");
    memory.refuse_to_run(&["tool"], ErrorKind::NotFound);
    assert_eq!(vault.get("x").expect("known by now").expose(), VALUE);
}

#[test]
fn a_text_is_filled_with_what_it_refers_to() {
    let memory = Memory::default();
    memory.put_into_keyring("x", VALUE);
    memory.set_env("HOST_NAME", "db.example");
    let units = units("  x: { keyring: x }", "");
    let vault = Vault::new(&memory, &units);
    let part = |text: &str| Part::Literal(text.to_owned());
    let text: Text = [part("pg://me:"), Part::Secret("x".into()), part("@"), Part::Env("HOST_NAME".into())]
        .into_iter()
        .collect();
    assert_eq!(vault.fill(&text).expect("filled").expose(), "pg://me:hush-hush-7@db.example");
}

#[test]
fn uses_are_found_through_variables() {
    let text = "version: 1\nvars: { dsn: \"pg://${secret:x}\", deep: \"${var:dsn}\" }\n\
                secrets: { x: { env: X }, y: { env: Y } }\nservers:\n  a: { command: a, args: [\"${var:deep}\"] }\n\
                \x20 b: { url: \"https://b/\", headers: { K: \"Bearer ${secret:x}\" } }\n  c: { command: c }\n";
    let parsed = crate::manifest::parse("mcp.yaml", text.as_bytes().to_vec());
    let units = [Unit {
        file: parsed.file.expect("a file"),
        manifest: parsed.manifest.expect("valid"),
        path: PathBuf::from("/mcp.yaml"),
        dir: PathBuf::from("/"),
        sourced: None,
        state_dir: None,
    }];
    let found: Vec<(String, String, u32)> =
        uses(&units).into_iter().map(|found| (found.secret, found.server, found.place.line)).collect();
    assert_eq!(found, [("x".into(), "a".into(), 5), ("x".into(), "b".into(), 6)]);
}

#[test]
fn who_is_told_uses_secrets_too() {
    let text = "version: 1\nsecrets: { x: { env: X }, y: { env: Y } }\nsettings:\n  notify:\n\
                \x20   - { webhook: \"https://h/${secret:x}\", key: \"${secret:y}\" }\n    - { command: [tell, \"${secret:x}\"] }\n";
    let parsed = crate::manifest::parse("mcp.yaml", text.as_bytes().to_vec());
    let units = [Unit {
        file: parsed.file.expect("a file"),
        manifest: parsed.manifest.expect("valid"),
        path: PathBuf::from("/mcp.yaml"),
        dir: PathBuf::from("/"),
        sourced: None,
        state_dir: None,
    }];
    let found: Vec<(String, String, u32)> =
        uses(&units).into_iter().map(|found| (found.secret, found.server, found.place.line)).collect();
    let expected = [("x", 0, 5), ("y", 0, 5), ("x", 1, 6)];
    assert_eq!(
        found,
        expected.map(|(name, at, line)| (name.to_owned(), format!("settings.notify[{at}]"), line))
    );
}
