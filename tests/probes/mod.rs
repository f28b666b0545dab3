//! What other programs of this kind were seen to get wrong, as tests of our own.
//!
//! Each probe by at least one client for each way of writing a file: JSON, JSONC, TOML and YAML, as maps and as a list.
//! Start at [`probes`], which names them; [`subjects`] holds the clients with their hand-made files.
//!
//! Invariant: what a file holds is read by a parser that is not the one under test, or compared as bytes.

#![cfg(unix)]
#![allow(clippy::print_stderr, reason = "a skipped probe says so")]

mod subjects;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox};
use subjects::{SUBJECTS, Subject};

macro_rules! probes {
    ($($client:ident = $index:literal,)*) => {
        $(mod $client {
            use crate::probes::{self, subjects::SUBJECTS};

            #[test] fn keeps_comments_foreign_keys_and_hand_made_servers() { probes::keeps_what_is_not_ours(&SUBJECTS[$index]); }
            #[test] fn prunes_only_what_is_ours() { probes::prunes_only_what_is_ours(&SUBJECTS[$index]); }
            #[test] fn leaves_no_trace() { probes::leaves_no_trace(&SUBJECTS[$index]); }
            #[test] fn writes_through_a_symlink() { probes::writes_through_a_symlink(&SUBJECTS[$index]); }
            #[test] fn keeps_the_mode() { probes::keeps_the_mode(&SUBJECTS[$index]); }
            #[test] fn makes_a_backup_that_undo_takes() { probes::makes_a_backup_that_undo_takes(&SUBJECTS[$index]); }
            #[test] fn shows_a_reader_no_torn_file() { probes::shows_a_reader_no_torn_file(&SUBJECTS[$index]); }
            #[test] fn refuses_a_malformed_file_and_goes_on_with_the_others() { probes::refuses_a_malformed_file(&SUBJECTS[$index]); }
            #[test] fn leaves_the_file_whole_on_a_full_disk() { probes::leaves_the_file_whole_on_a_full_disk(&SUBJECTS[$index]); }
            #[test] fn loses_no_concurrent_edit() { probes::loses_no_concurrent_edit(&SUBJECTS[$index]); }
            #[test] fn refuses_a_server_of_the_same_name_until_adopted() { probes::refuses_the_same_name_until_adopted(&SUBJECTS[$index]); }
            #[test] fn notices_and_repairs_tampering() { probes::notices_and_repairs_tampering(&SUBJECTS[$index]); }
            #[test] fn notices_and_restores_a_removed_entry() { probes::notices_and_restores_a_removed_entry(&SUBJECTS[$index]); }
            #[test] fn refuses_a_misspelt_manifest() { probes::refuses_a_misspelt_manifest(&SUBJECTS[$index]); }
            #[test] fn writes_nothing_when_in_sync() { probes::writes_nothing_when_in_sync(&SUBJECTS[$index]); }
            #[test] fn writes_no_value_of_a_variable() { probes::writes_no_value_of_a_variable(&SUBJECTS[$index]); }
        })*

        const PROBED: usize = [$(stringify!($client)),*].len();
    };
}

probes! {
    claude_code_json = 0,
    cursor_json = 1,
    vscode_jsonc = 2,
    gemini_jsonc = 3,
    codex_toml = 4,
    goose_yaml = 5,
    continue_yaml_list = 6,
}

#[test]
fn every_subject_is_probed() {
    assert_eq!(PROBED, SUBJECTS.len());
}

/// The hand-made files are what they claim to be, or the other tests prove nothing.
#[test]
fn the_hand_made_files_can_be_parsed_and_the_malformed_ones_cannot() {
    for subject in SUBJECTS {
        assert_eq!(names(subject, subject.hand_made), ["hand-made"], "{}", subject.client);
        assert!(subject.parse(subject.malformed).is_none(), "{}", subject.client);
    }
}

const TIME: &str = "  keel-time: { command: uvx, args: [mcp-server-time==2026.10.19] }\n";
const FILES: &str = "  keel-files: { command: npx, args: [-y, files-mcp@1.2.3, /srv] }\n";
const WEB: &str = "  keel-web: { url: 'http://127.0.0.1:9/mcp' }\n";
const ALL: &[&str] = &[TIME, FILES, WEB];

/// Applies with another program writing, by each way of writing.
const ROUNDS: u32 = 16;

fn keeps_what_is_not_ours(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    let after = home.read(subject.file);
    assert_eq!(names(subject, &after), ["hand-made", "keel-files", "keel-time", "keel-web"], "{after}");
    assert_holds_every_line_of(subject.hand_made, &after);
    assert_same_besides_ours(subject, subject.hand_made, &after);
}

fn prunes_only_what_is_ours(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    wish(&home, subject, &[TIME, WEB]);
    home.run(&["apply", "--yes"]).exits(0);
    let after = home.read(subject.file);
    assert_eq!(names(subject, &after), ["hand-made", "keel-time", "keel-web"], "{after}");
    assert_holds_every_line_of(subject.hand_made, &after);
    assert_same_besides_ours(subject, subject.hand_made, &after);
}

fn leaves_no_trace(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    // A manifest that names the client and gives it nothing: the guard wants to be told.
    home.write(
        "mcp.yaml",
        format!("version: 1\nservers:\n{TIME}clients:\n  {}: {{ servers: [] }}\n", subject.client),
    );
    let guarded = home.read(subject.file);
    home.run(&["apply", "--yes"]).exits(6);
    assert_eq!(home.read(subject.file), guarded, "the guard held and yet the file changed");
    home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    assert_eq!(home.read(subject.file), subject.hand_made);
}

fn writes_through_a_symlink(subject: &Subject) {
    let home = Sandbox::new();
    let real = home.write("dotfiles/clients/settings", subject.hand_made);
    let link = home.path(subject.file);
    fs::create_dir_all(link.parent().expect("in the home")).expect("parents");
    symlink(&real, &link).expect("a link");
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(fs::read_link(&link).expect("still a link"), real);
    assert!(fs::symlink_metadata(&real).expect("there").file_type().is_file());
    assert_eq!(names(subject, &home.read("dotfiles/clients/settings")).len(), 4);
    home.run(&["undo", "--yes"]).exits(0);
    assert_eq!(fs::read_link(&link).expect("still a link"), real);
    assert_eq!(home.read("dotfiles/clients/settings"), subject.hand_made);
}

fn keeps_the_mode(subject: &Subject) {
    for mode in [0o600, 0o640] {
        let home = home_of(subject);
        let path = home.path(subject.file);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode is set");
        wish(&home, subject, ALL);
        home.run(&["apply", "--yes"]).exits(0);
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, mode);
        assert_ne!(home.read(subject.file), subject.hand_made);
    }
}

fn makes_a_backup_that_undo_takes(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    let written = home.read(subject.file);
    let backups = backups(&home);
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert!(backups[0].to_string().contains(subject.file), "{backups:?}");
    home.run(&["undo", "--yes"]).exits(0);
    assert_eq!(home.read(subject.file), subject.hand_made);
    home.run(&["undo", "--yes"]).exits(0);
    assert_eq!(home.read(subject.file), written, "undoing twice brings the run back");
}

fn shows_a_reader_no_torn_file(subject: &Subject) {
    let home = home_of(subject);
    let path = home.path(subject.file);
    wish(&home, subject, &[TIME, WEB]);
    home.run(&["apply", "--yes"]).exits(0);
    let around = beside(&path);
    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&path).expect("there is a file at every moment");
                assert_same_besides_ours(subject, subject.hand_made, &text);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let before = inode(&path);
        for round in 0..12 {
            wish(&home, subject, if round % 2 == 0 { ALL } else { &[TIME, WEB] });
            home.run(&["apply", "--yes"]).exits(0);
        }
        assert_ne!(inode(&path), before, "the file was written in place, not exchanged");
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("the reader saw whole files only");
    });
    assert!(reads.load(Ordering::Relaxed) > 12, "the reader hardly read");
    assert_eq!(beside(&path), around, "temporary files were left behind");
}

fn refuses_a_malformed_file(subject: &Subject) {
    let home = Sandbox::new();
    home.write(subject.file, subject.malformed);
    let other = if subject.client == "cursor" { &SUBJECTS[2] } else { &SUBJECTS[1] };
    home.write(other.file, other.hand_made);
    let clients =
        [subject, other].map(|subject| format!("  {}: {{ servers: ['*'] }}\n", subject.client)).concat();
    home.write("mcp.yaml", format!("version: 1\nservers:\n{TIME}clients:\n{clients}"));
    let ran = home.run(&["apply", "--yes"]).exits(1);
    assert_eq!(home.read(subject.file), subject.malformed);
    assert_eq!(names(other, &home.read(other.file)), ["hand-made", "keel-time"]);
    let said = format!("{}{}", ran.out, ran.err);
    let starts_with_a_line_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let place = format!("{}:", subject.file);
    assert!(said.split(&place).skip(1).any(starts_with_a_line_number), "no line of {place} in\n{said}");
}

fn leaves_the_file_whole_on_a_full_disk(subject: &Subject) {
    if !subject.has_a_directory_of_its_own() {
        eprintln!("skipped: {} lies in the home directory itself, not on a disk of its own", subject.file);
        return leaves_the_file_whole_when_it_may_not_grow(subject);
    }
    let home = Sandbox::new();
    let dir = home.path(subject.file).parent().expect("in the home").to_owned();
    fs::create_dir_all(&dir).expect("the client's directory");
    wish(&home, subject, ALL);
    home.write("hand-made", subject.hand_made);
    // A file system of 64 KiB in a mount namespace of its own: it is gone with the shell, whatever happens.
    let script = r#"
        mount -t tmpfs -o size=64k tmpfs "$DIR" || exit 99
        cp "$HOME/hand-made" "$FILE" || exit 98
        head -c 200000 /dev/zero > "$DIR/filler" 2>/dev/null
        printf x 2>/dev/null >> "$DIR/filler" && exit 97
        "$KEEL" apply --yes >"$HOME/out" 2>"$HOME/err"
        echo $? >"$HOME/code.full"
        cp "$FILE" "$HOME/after.full"
        ls -A "$DIR" | grep -v filler >"$HOME/listing.full"
        rm "$DIR/filler"
        "$KEEL" apply --yes >>"$HOME/out" 2>>"$HOME/err"
        echo $? >"$HOME/code.free"
        cp "$FILE" "$HOME/after.free"
    "#;
    // As root, or as nobody in particular where the kernel lets everybody have namespaces.
    let done =
        [&["unshare", "-m", "sh", "-c"][..], &["unshare", "-r", "-m", "sh", "-c"]].iter().any(|shell| {
            let mut command = in_the_environment_of(&home, shell[0]);
            command.args(&shell[1..]).arg(script).env("DIR", &dir).env("FILE", home.path(subject.file));
            command.output().is_ok_and(|output| output.status.success()) && home.exists("after.free")
        });
    if !done {
        return leaves_the_file_whole_when_it_may_not_grow(subject);
    }
    let said = format!("{}\n{}", home.read("out"), home.read("err"));
    assert_eq!(home.read("code.full").trim(), "1", "{said}");
    assert_eq!(home.read("after.full"), subject.hand_made, "{said}");
    let name = Path::new(subject.file).file_name().expect("a name").to_string_lossy();
    assert_eq!(home.read("listing.full").trim(), name, "something was left on the full disk");
    assert_eq!(home.read("code.free").trim(), "0", "{said}");
    assert_eq!(names(subject, &home.read("after.free")).len(), 4);
}

/// The next best thing where nothing may be mounted: no file may grow beyond a limit.
fn leaves_the_file_whole_when_it_may_not_grow(subject: &Subject) {
    eprintln!("no small disk can be mounted there; trying with a limit on the size of files instead");
    let home = Sandbox::new();
    let padded = subject.padded(64 * 1024);
    home.write(subject.file, &padded);
    wish(&home, subject, ALL);
    let mut command = in_the_environment_of(&home, "bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 32 || exit 99; exec \"$KEEL\" apply --yes"]);
    let ran = match command.output() {
        Ok(output) => Ran::from(output),
        Err(error) => return eprintln!("skipped: no bash to set a limit with: {error}"),
    };
    if ran.code == 99 {
        return eprintln!("skipped: the limit on the size of files cannot be set here");
    }
    ran.exits(1);
    assert_eq!(home.read(subject.file), padded);
    home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(names(subject, &home.read(subject.file)).len(), 4);
}

/// Another program with the environment that ours would have, and ours as `$KEEL`.
fn in_the_environment_of(home: &Sandbox, program: &str) -> Command {
    let keel = home.command(&[]);
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(keel.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("KEEL", keel.get_program())
        .current_dir(home.home())
        .stdin(Stdio::null());
    command
}

fn loses_no_concurrent_edit(subject: &Subject) {
    for by_rename in [true, false] {
        let home = home_of(subject);
        let path = home.path(subject.file);
        wish(&home, subject, ALL);
        let started = Instant::now();
        home.run(&["apply", "--yes"]).exits(0);
        let usual = started.elapsed();
        let (mut number, mut landed) = (1, 0);
        // The last edit falls into another moment of the run each time: that is the one that could be lost.
        for round in 0..ROUNDS {
            wish(&home, subject, if round % 2 == 0 { &[TIME, WEB] } else { ALL });
            let started = Instant::now();
            let run = home.command(&["apply", "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            // The other program knows its own settings only, and writes them with a new number each time.
            while started.elapsed() < usual * round / ROUNDS * 2 {
                number += 1;
                if by_rename {
                    let temporary = home.write("other-program.tmp", subject.numbered(number));
                    fs::rename(&temporary, &path).expect("renamed");
                } else {
                    fs::write(&path, subject.numbered(number)).expect("written");
                }
                std::thread::yield_now();
            }
            let ran = Ran::from(run.and_then(Child::wait_with_output).expect("it runs"));
            // It may have given up before a program as restless as this one, if it says so.
            assert!([0, 1, 5].contains(&ran.code), "{ran:?}");
            landed += usize::from(ran.code == 0);
            let (now, last) = (home.read(subject.file), subject.numbered(number));
            assert_holds_every_line_of(&last, &now);
            assert_same_besides_ours(subject, &last, &now);
        }
        let way = if by_rename { "rename" } else { "write" };
        eprintln!(
            "{} by {way}: {number} edits during {ROUNDS} applies, {landed} went through",
            subject.client
        );
        // With the other program quiet the next run gets through.
        wish(&home, subject, ALL);
        home.run(&["apply", "--yes"]).exits(0);
        assert_eq!(
            names(subject, &home.read(subject.file)),
            ["hand-made", "keel-files", "keel-time", "keel-web"]
        );
    }
}

fn refuses_the_same_name_until_adopted(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, &["  hand-made: { command: uvx, args: [ours-mcp==1.0.0] }\n"]);
    let before = state_of(&home.path(subject.file));
    let ran = home.run(&["apply", "--yes"]).exits(6);
    assert_eq!(home.read(subject.file), subject.hand_made);
    assert_eq!(state_of(&home.path(subject.file)), before, "a refused file was written");
    assert!(format!("{}{}", ran.out, ran.err).contains("--adopt"), "no way out is named: {ran:?}");
    home.run(&["apply", "--yes", "--adopt"]).exits(0);
    let after = home.read(subject.file);
    assert_eq!(names(subject, &after), ["hand-made"]);
    assert!(after.contains("ours-mcp==1.0.0"), "{after}");
    home.run(&["verify"]).exits(0);
}

fn notices_and_repairs_tampering(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    home.run(&["verify"]).exits(0);
    let ours = home.read(subject.file);
    home.write(subject.file, ours.replace("mcp-server-time==2026.10.19", "evil-server"));
    let tampered = home.read(subject.file);
    assert_ne!(tampered, ours);
    let ran = home.run(&["verify"]).exits(2);
    assert!(ran.out.contains("keel-time"), "{ran:?}");
    assert_eq!(home.read(subject.file), tampered, "verify writes nothing");
    home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(home.read(subject.file), ours);
    home.run(&["verify"]).exits(0);
}

fn notices_and_restores_a_removed_entry(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    let ours = home.read(subject.file);
    home.write(subject.file, subject.hand_made);
    home.run(&["verify"]).exits(2);
    home.run(&["apply", "--yes"]).exits(0);
    assert_eq!(home.read(subject.file), ours);
}

fn refuses_a_misspelt_manifest(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, &["  keel-time: { comand: uvx, args: [mcp-server-time] }\n"]);
    let before = state_of(&home.path(subject.file));
    for command in [&["validate"][..], &["plan"], &["apply", "--yes"]] {
        let ran = home.run(command).exits(3);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("mcp.yaml:3:"), "no place in\n{said}");
        assert!(said.contains("did you mean `command`"), "no guess in\n{said}");
    }
    assert_eq!(home.read(subject.file), subject.hand_made);
    assert_eq!(state_of(&home.path(subject.file)), before);
}

fn writes_nothing_when_in_sync(subject: &Subject) {
    let home = home_of(subject);
    wish(&home, subject, ALL);
    home.run(&["apply", "--yes"]).exits(0);
    let (path, kept) = (home.path(subject.file), backups(&home).len());
    let (before, around) = (state_of(&path), beside(&path));
    for command in
        [&["apply", "--yes"][..], &["plan"], &["verify"], &["status"], &["diff"], &["apply", "--yes"]]
    {
        home.run(command).exits(0);
        assert_eq!(state_of(&path), before, "{command:?} touched the file");
    }
    assert_eq!(beside(&path), around);
    assert_eq!(backups(&home).len(), kept, "a run that changed nothing made a backup");
}

/// What a variable stands for at the time of the run is nobody's business: the reference is written.
fn writes_no_value_of_a_variable(subject: &Subject) {
    let home = home_of(subject);
    wish(
        &home,
        subject,
        &["  keel-key: { command: uvx, args: [key-mcp==1.0.0], env: { KEEL_KEY: '${env:KEEL_KEY}' } }\n"],
    );
    let output =
        home.command(&["apply", "--yes"]).env("KEEL_KEY", "value-of-the-key").output().expect("it starts");
    let ran = Ran::from(output).exits(0);
    let after = home.read(subject.file);
    assert!(after.contains("KEEL_KEY"), "{after}");
    assert!(!after.contains("${env:KEEL_KEY}") || ["cursor", "vscode"].contains(&subject.client), "{after}");
    assert!(!format!("{}{}", ran.out, ran.err).contains("value-of-the-key"), "{ran:?}");
    for file in files_below(&home.home()) {
        let bytes = fs::read(&file).expect("readable");
        assert!(!String::from_utf8_lossy(&bytes).contains("value-of-the-key"), "{}", file.display());
    }
}

/// A home with the client's hand-made file.
fn home_of(subject: &Subject) -> Sandbox {
    let home = Sandbox::new();
    home.write(subject.file, subject.hand_made);
    home
}

/// Writes the manifest: these servers, all for the one client.
fn wish(home: &Sandbox, subject: &Subject, servers: &[&str]) {
    let servers = servers.concat();
    home.write(
        "mcp.yaml",
        format!("version: 1\nservers:\n{servers}clients:\n  {}: {{ servers: ['*'] }}\n", subject.client),
    );
}

/// The names of all servers in a client's file, sorted.
#[track_caller]
fn names(subject: &Subject, text: &str) -> Vec<String> {
    let parsed = subject.parse(text).unwrap_or_else(|| panic!("{} cannot be parsed:\n{text}", subject.file));
    servers_in(subject, &parsed).into_keys().collect()
}

fn servers_in(subject: &Subject, parsed: &Value) -> BTreeMap<String, Value> {
    match parsed.get(subject.root) {
        Some(Value::Object(map)) => map
            .iter()
            .filter(|(name, _)| *name != subject.never_a_server)
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|entry| (entry["name"].as_str().expect("a name").to_owned(), entry.clone()))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// Foreign lines stay in their order to the last byte; a comma after the last of their entries may be new.
#[track_caller]
fn assert_holds_every_line_of(before: &str, after: &str) {
    let bare = |line: &str| {
        line.strip_suffix(',').unwrap_or(line).replacen(", /*", " /*", 1).replacen(", //", " //", 1)
    };
    let mut rest = after.lines().map(bare);
    for line in before.lines() {
        let line = bare(line);
        assert!(rest.any(|other| other == line), "this line is lost or moved: {line:?}\nin\n{after}");
    }
}

/// Everything but the entries of ours has the value it had.
#[track_caller]
fn assert_same_besides_ours(subject: &Subject, before: &str, after: &str) {
    let without_ours = |text: &str| {
        let mut parsed = subject.parse(text).unwrap_or_else(|| panic!("cannot be parsed:\n{text}"));
        match parsed.get_mut(subject.root) {
            Some(Value::Object(map)) => map.retain(|name, _| !name.starts_with("keel-")),
            Some(Value::Array(list)) => {
                list.retain(|entry| !entry["name"].as_str().unwrap_or("").starts_with("keel-"))
            }
            _ => {}
        }
        parsed
    };
    assert_eq!(without_ours(before), without_ours(after), "{after}");
}

fn backups(home: &Sandbox) -> Vec<Value> {
    let ran = home.run(&["backup", "--list", "--format", "json"]).exits(0);
    let mut listed: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(listed["format_version"], json!(1));
    match listed["backups"].take() {
        Value::Array(backups) => backups,
        other => panic!("no list of backups: {other}"),
    }
}

/// What tells whether a file was written, even with the same bytes.
fn state_of(path: &Path) -> (u64, i64, i64, Vec<u8>) {
    let meta = fs::metadata(path).expect("there");
    (meta.ino(), meta.mtime(), meta.mtime_nsec(), fs::read(path).expect("readable"))
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("there").ino()
}

/// Names in the file's directory.
fn beside(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().expect("in the home")).expect("readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}
