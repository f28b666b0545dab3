//! The plan as a comment: found again, never too long, never left open.

use crate::support::Sandbox;

/// What GitHub takes.
const LIMIT: usize = 65_536;

fn plan(home: &Sandbox) -> String {
    home.run(&["plan", "--format", "markdown"]).exits(0).out
}

/// Every fence is closed before its fold is, and nothing stands open at the end.
#[track_caller]
fn is_closed(text: &str) {
    let (mut fence, mut folds) = (None, 0_i32);
    for line in text.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(open) if ticks >= open && line.trim_matches('`').is_empty() => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => {
                folds += i32::from(line.contains("<details>"));
                folds -= i32::from(line.contains("</details>"));
            }
        }
    }
    assert!(fence.is_none() && folds == 0, "{fence:?} {folds}");
}

#[test]
fn its_first_line_says_whose_it_is() {
    let home = Sandbox::new();
    let manifest = "version: 1\nservers: { a: { command: a } }\nclients: { cursor: { servers: [a] } }\n";
    home.write("mcp.yaml", manifest);
    home.write("team/mcp.yaml", manifest);
    assert!(plan(&home).starts_with("<!-- mcpkeel plan: mcp.yaml -->\n### mcpkeel plan\n"));
    let other = home.run(&["plan", "--format", "markdown", "-f", "team/mcp.yaml"]).exits(0).out;
    assert!(other.starts_with("<!-- mcpkeel plan: team"), "{other}");
    // A check leaves no comment, so it has no mark.
    assert!(home.run(&["verify", "--format", "markdown"]).exits(2).out.starts_with("### "));
}

#[test]
fn a_long_plan_is_cut_to_what_a_comment_may_hold() {
    for (servers, clients) in [(30, 4), (400, 1), (400, 6), (900, 3)] {
        let home = Sandbox::new();
        let mut manifest = "version: 1\nservers:\n".to_owned();
        for n in 0..servers {
            manifest += &format!(
                "  server-{n}:\n    command: run\n    args: [\"``` 𝄞 | <b>\", \"{}\"]\n",
                "x".repeat(60)
            );
        }
        manifest += "clients:\n";
        let ids = ["cursor", "claude-code", "codex", "gemini-cli", "vscode", "zed"];
        ids.iter().take(clients).for_each(|id| manifest += &format!("  {id}: {{ servers: [\"*\"] }}\n"));
        home.write("mcp.yaml", manifest);
        let text = plan(&home);
        assert!(text.encode_utf16().count() < LIMIT, "{}", text.encode_utf16().count());
        is_closed(&text);
        let last = text.lines().last().expect("a line");
        assert_eq!(last, format!("Plan: {} to create. Next: mcpkeel apply", servers * clients));
        assert!(text.contains("| cursor | server-0 | create |"), "{text}");
        let is_cut = text.contains("are left out here");
        assert_eq!(is_cut, servers * clients > 200, "{servers} servers for {clients} clients");
    }
}

#[test]
fn nobody_is_called_by_a_package_name() {
    let home = Sandbox::new();
    home.write(
        "mcp.yaml",
        "version: 1\nsecrets: { t: { env: T } }\nservers:\n  a: { command: npx, args: [\"@scope/a\"], env: { T: \"${secret:t}\" } }\n\
         clients:\n  cursor: { servers: [a], delivery: exec }\n",
    );
    let text = plan(&home);
    assert!(text.contains("for cursor starts: `npx @scope/a (with T)"), "{text}");
}
