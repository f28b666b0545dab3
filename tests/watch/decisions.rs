//! What it does by itself, and what waits for a person.

use std::fs;

use super::{CODEX, CURSOR, MANIFEST, Watching};

#[test]
fn drift_is_reported_or_adopted_as_the_client_says() {
    let manifest = MANIFEST
        .replace("[time, git] }", "[time, git], drift: report }")
        .replace("[time] }", "[time], drift: adopt }");
    let watching = Watching::manifest(&manifest);
    watching.edit(CURSOR, "mcp-server-git", "mine-now");
    watching.until_stands("cursor", "Ready", "DriftReported");
    watching.edit(CODEX, "mcp-server-time", "theirs-now");
    watching.until_file("mcp.yaml", |text| text.contains("theirs-now"));
    watching.until_stands("codex", "Ready", "InSync");
    assert!(
        watching.home.read(CURSOR).contains("mine-now") && watching.home.read(CODEX).contains("theirs-now")
    );
}

#[test]
fn a_suspended_client_is_left_alone_until_it_is_resumed() {
    let watching = Watching::manifest(MANIFEST);
    watching.run(&["suspend", "cursor", "--why", "trying something"]).exits(0);
    watching.until_stands("cursor", "Ready", "Suspended");
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.edit(CODEX, "mcp-server-time", "evil");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
    watching.settle();
    assert!(watching.home.read(CURSOR).contains("evil"));
    let said = watching.run(&["status"]).out;
    assert!(said.contains("trying something"), "{said}");
    watching.run(&["resume", "cursor"]).exits(0);
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.until_stands("cursor", "Ready", "InSync");
}

#[test]
fn a_suspension_ends_by_itself() {
    let watching = Watching::manifest(MANIFEST);
    watching.run(&["suspend", "--for", "2s"]).exits(0);
    watching.until_stands("codex", "Ready", "Suspended");
    watching.edit(CODEX, "mcp-server-time", "evil");
    watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
    watching.run(&["suspend", "kodex"]).exits(64);
    watching.run(&["suspend", "codex", "--for", "soon"]).exits(64);
    let ran = watching.run(&["resume", "codex"]).exits(0);
    assert!(ran.err.contains("nothing is suspended"), "{}", ran.err);
}

#[test]
fn what_is_undone_stays_undone_until_the_client_is_resumed() {
    let watching = Watching::manifest(MANIFEST);
    watching.edit("mcp.yaml", "  cursor: { servers: [time, git] }", "  cursor: { servers: [time] }");
    watching.until_file(CURSOR, |text| !text.contains("mcp-server-git"));
    watching.settle();
    let ran = watching.run(&["undo", "--yes"]).exits(0);
    assert!(ran.err.contains("`mcpkeel resume`"), "{}", ran.err);
    watching.until_stands("cursor", "Ready", "Suspended");
    watching.settle();
    assert!(watching.home.read(CURSOR).contains("mcp-server-git"));
    watching.run(&["resume"]).exits(0);
    watching.until_file(CURSOR, |text| !text.contains("mcp-server-git"));
}

/// Waits for a person: a command, an address, a name of a variable. Does not: what only removes, and drift.
#[test]
fn with_manual_approval_what_is_run_waits_and_the_rest_goes_through() {
    let watching = Watching::manifest(&format!("{MANIFEST}settings: {{ approve: manual }}\n"));
    watching.until_stands("cursor", "Stalled", "AwaitingApproval");
    assert!(!watching.home.read(CURSOR).contains("mcp-server-git"));
    watching.run(&["apply", "--yes"]).exits(0);
    watching.until_stands("cursor", "Ready", "InSync");

    // Drift is repaired, an entry that goes goes.
    watching.edit(CURSOR, "mcp-server-git", "evil");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.edit("mcp.yaml", "  cursor: { servers: [time, git] }", "  cursor: { servers: [git] }");
    watching.until_file(CURSOR, |text| !text.contains("mcp-server-time"));
    watching.until_stands("cursor", "Ready", "InSync");

    for (from, to) in [
        ("args: [mcp-server-git]", "args: [mcp-server-git, --verbose]"),
        ("command: uvx, args: [mcp-server-git]", "command: npx, args: [mcp-server-git]"),
        ("args: [mcp-server-git]", "args: [mcp-server-git], env: { LD_PRELOAD: x }"),
        ("command: uvx, args: [mcp-server-git]", "url: \"https://example.com/mcp\""),
    ] {
        let before = (watching.home.read("mcp.yaml"), watching.home.read(CURSOR));
        watching.edit("mcp.yaml", from, to);
        watching.until_stands("cursor", "Stalled", "AwaitingApproval");
        assert_eq!(watching.home.read(CURSOR), before.1, "{to}");
        // The other client has the same server as ever, and drift of it is repaired meanwhile.
        watching.edit(CODEX, "mcp-server-time", "evil");
        watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
        watching.home.write("mcp.yaml", before.0);
        watching.until_stands("cursor", "Ready", "InSync");
    }

    watching.edit("mcp.yaml", "args: [mcp-server-git]", "args: [mcp-server-git, --all]");
    watching.until_stands("cursor", "Stalled", "AwaitingApproval");
    watching.run(&["approve", "0000000"]).exits(6);
    let revision = watching.json(&["status"])["revision"]["id"].as_str().expect("a revision").to_owned();
    let ran = watching.run(&["approve", &revision]).exits(0);
    assert!(ran.out.contains("git"), "{}", ran.out);
    watching.until_file(CURSOR, |text| text.contains("--all"));
    watching.until_stands("cursor", "Ready", "InSync");
    assert_eq!(watching.condition("cursor")["revision"], revision.as_str());
    // What was approved once needs no approval when it drifts later, whatever the revision.
    watching.edit("mcp.yaml", "version: 1\n", "version: 1 # a remark\n");
    watching.settle();
    watching.edit(CURSOR, "--all", "--none");
    watching.until_file(CURSOR, |text| text.contains("--all"));
}

#[test]
fn pruning_half_of_a_client_waits_for_a_person() {
    let watching = Watching::manifest(MANIFEST);
    watching.edit("mcp.yaml", "  cursor: { servers: [time, git] }", "  cursor: { servers: [] }");
    watching.until_stands("cursor", "Stalled", "PruneGuard");
    assert!(watching.home.read(CURSOR).contains("mcp-server-git"));
    watching.run(&["apply", "--yes", "--allow-prune"]).exits(0);
    watching.until_stands("cursor", "Ready", "InSync");
    assert!(!watching.home.read(CURSOR).contains("mcp-server-git"));
}

#[test]
fn somebody_elses_entry_of_the_same_name_waits_for_a_person() {
    let watching = Watching::manifest(MANIFEST);
    watching.home.write(CURSOR, "{\"mcpServers\": {}}\n");
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    watching.settle();
    let text = watching.home.read(CURSOR).replace("\"git\"", "\"extra\"");
    watching.home.write(CURSOR, text);
    watching.edit("mcp.yaml", "  git:", "  extra: { command: mine }\n  git:");
    watching.edit("mcp.yaml", "[time, git]", "[time, git, extra]");
    watching.until_stands("cursor", "Stalled", "Conflict");
    assert!(watching.home.read(CURSOR).contains("\"extra\""));
}

/// A program that holds its own idea of the file and writes it whenever somebody else did.
#[test]
fn a_client_that_writes_over_us_is_waited_out_and_named() {
    use std::process::{Command, Stdio};
    let watching = Watching::manifest(MANIFEST);
    let idea = watching.home.read(CURSOR).replace("mcp-server-git", "stubborn");
    let script = watching.home.write("stubborn.sh", format!(
        "while :; do\n  if ! grep -q stubborn .cursor/mcp.json; then\n    exec 3>.cursor/.mcp.new\n    cat >&3 <<'IDEA'\n{idea}IDEA\n    \
         sleep 0.3\n    exec 3>&-\n    mv .cursor/.mcp.new .cursor/mcp.json\n  fi\n  sleep 0.02\ndone\n"
    ));
    let mut stubborn = Command::new("sh")
        .arg(&script)
        .current_dir(watching.home.home())
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell");
    let contended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        watching.until_stands("cursor", "Contended", "Rewritten");
        // It tries again, and waits longer.
        watching.until("it tries again", || watching.applied() >= 7);
        watching.until("it says who writes", || {
            let message = watching.condition("cursor")["message"].as_str().unwrap_or_default().to_owned();
            !cfg!(target_os = "linux") || message.contains("sh stubborn.sh (")
        });
        // Others are served meanwhile.
        watching.edit(CODEX, "mcp-server-time", "evil");
        watching.until_file(CODEX, |text| text.contains("mcp-server-time"));
    }));
    stubborn.kill().expect("ended");
    stubborn.wait().expect("it ended");
    if let Err(panic) = contended {
        std::panic::resume_unwind(panic);
    }
    assert!(watching.applied() < 12, "{}", watching.applied());
    watching.until_file(CURSOR, |text| text.contains("mcp-server-git"));
    assert!(watching.home.read(CURSOR).contains("\"mine\""));
    fs::remove_file(script).expect("removed");
}
