use std::path::Path;

use super::*;

const HOMES: [(&str, &str); 3] =
    [("linux", "/home/me"), ("macos", "/Users/me"), ("windows", "C:\\Users\\me")];

fn locate(os: &str, id: &str, vars: &[(&str, &str)], there: &[&str]) -> Result<String, Unplaced> {
    in_scope(os, client(id), Scope::User, None, vars, there)
        .map(|place| place.file.to_str().unwrap().to_owned())
}

fn in_scope(
    os: &str,
    client: &Client,
    scope: Scope,
    root: Option<&str>,
    vars: &[(&str, &str)],
    there: &[&str],
) -> Result<Place, Unplaced> {
    let (_, home) = HOMES.into_iter().find(|(name, _)| *name == os).unwrap();
    let standard =
        [("APPDATA", "C:\\Users\\me\\AppData\\Roaming"), ("LOCALAPPDATA", "C:\\Users\\me\\AppData\\Local")];
    let standard = if os == "windows" { &standard[..] } else { &[] };
    let var = |name: &str| {
        let mut all = vars.iter().chain(standard);
        all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let exists = |path: &str| there.contains(&path);
    client.locate(&Env { os, home, var: &var, exists: &exists }, scope, root.map(Path::new))
}

#[test]
fn finds_the_file_as_the_client_does() {
    for (os, id, vars, there, file) in [
        ("linux", "claude-code", &[][..], &[][..], "/home/me/.claude.json"),
        ("linux", "claude-code", &[], &["/home/me/.claude/.config.json"], "/home/me/.claude/.config.json"),
        ("linux", "claude-code", &[("CLAUDE_CONFIG_DIR", "/c")], &[], "/c/.claude.json"),
        ("linux", "claude-code", &[("CLAUDE_CONFIG_DIR", "")], &[], "/home/me/.claude.json"),
        ("windows", "claude-code", &[], &[], "C:\\Users\\me\\.claude.json"),
        (
            "linux",
            "claude-desktop",
            &[("XDG_CONFIG_HOME", "/x")],
            &[],
            "/x/Claude/claude_desktop_config.json",
        ),
        (
            "macos",
            "claude-desktop",
            &[],
            &[],
            "/Users/me/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        (
            "windows",
            "claude-desktop",
            &[],
            &[],
            "C:\\Users\\me\\AppData\\Roaming\\Claude\\claude_desktop_config.json",
        ),
        ("linux", "opencode", &[], &[], "/home/me/.config/opencode/opencode.json"),
        (
            "linux",
            "opencode",
            &[],
            &["/home/me/.config/opencode/opencode.json", "/home/me/.config/opencode/opencode.jsonc"],
            "/home/me/.config/opencode/opencode.jsonc",
        ),
        ("linux", "kilo-code", &[], &["/home/me/.config/kilo/kilo.json"], "/home/me/.config/kilo/kilo.json"),
        ("windows", "kilo-code", &[], &[], "C:\\Users\\me\\.config\\kilo\\kilo.jsonc"),
        ("linux", "goose", &[("GOOSE_PATH_ROOT", "/g")], &[], "/g/config/config.yaml"),
        ("linux", "goose", &[("GOOSE_PATH_ROOT", "relative")], &[], "/home/me/.config/goose/config.yaml"),
        ("windows", "goose", &[], &[], "C:\\Users\\me\\AppData\\Roaming\\Block\\goose\\config\\config.yaml"),
        ("linux", "cline", &[("CLINE_MCP_SETTINGS_PATH", "/m.json"), ("CLINE_DIR", "/c")], &[], "/m.json"),
        ("linux", "cline", &[("CLINE_DIR", "/c")], &[], "/c/data/settings/cline_mcp_settings.json"),
        ("linux", "gemini-cli", &[("GEMINI_CLI_HOME", "/g")], &[], "/g/.gemini/settings.json"),
        (
            "linux",
            "amp",
            &[],
            &["/home/me/.config/amp/settings.jsonc"],
            "/home/me/.config/amp/settings.jsonc",
        ),
        (
            "windows",
            "copilot-jetbrains",
            &[],
            &[],
            "C:\\Users\\me\\AppData\\Local\\github-copilot\\intellij\\mcp.json",
        ),
        ("windows", "visual-studio", &[], &[], "C:\\Users\\me\\.mcp.json"),
        ("linux", "vscode", &[], &[], "/home/me/.config/Code/User/mcp.json"),
    ] {
        assert_eq!(
            locate(os, id, vars, there).as_deref(),
            Ok(file),
            "{id} on {os} with {vars:?} and {there:?}"
        );
    }
}

#[test]
fn every_row_has_a_place_wherever_it_says_so() {
    for client in catalog::all() {
        for (os, _) in HOMES {
            let user = in_scope(os, client, Scope::User, None, &[], &[]);
            let says = !client.row().path.on(os).is_empty();
            assert_eq!(user.is_ok(), says, "{} on {os}: {user:?}", client.id());
            if let Ok(place) = user {
                let file = place.file.to_str().unwrap().to_owned();
                assert!(!file.contains(['$', '{', '~', '?']), "{} on {os}: {file}", client.id());
                assert_eq!(file.contains('/'), os != "windows", "{} on {os}: {file}", client.id());
            }
            let root = if os == "windows" { "C:\\p" } else { "/p" };
            let project = in_scope(os, client, Scope::Project, Some(root), &[], &[]);
            assert_eq!(project.is_ok(), client.row().project.is_some(), "{}", client.id());
        }
    }
}

#[test]
fn finds_projects_and_private_settings() {
    let at = |id, scope, there: &[&str]| {
        let place = in_scope("linux", client(id), scope, Some("/p/a~b/"), &[], there)?;
        Ok::<_, Unplaced>((place.file.to_str().unwrap().to_owned(), place.root.to_string(), place.list))
    };
    let found = |file: &str, root: &str| Ok((file.to_owned(), root.to_owned(), None));
    assert_eq!(at("claude-code", Scope::Project, &[]), found("/p/a~b/.mcp.json", "/mcpServers"));
    let local = found("/home/me/.claude.json", "/projects/~1p~1a~0b~1/mcpServers");
    assert_eq!(at("claude-code", Scope::Local, &[]), local);
    assert_eq!(at("copilot-cli", Scope::Project, &[]), found("/p/a~b/.mcp.json", "/mcpServers"));
    let there = ["/p/a~b/.github/mcp.json"];
    assert_eq!(at("copilot-cli", Scope::Project, &there), found(there[0], "/mcpServers"));
    assert_eq!(at("amp", Scope::Project, &[]), found("/p/a~b/.amp/settings.json", "/amp.mcpServers"));
    let windows = in_scope("windows", client("cursor"), Scope::Project, Some("C:\\p"), &[], &[]).unwrap();
    assert_eq!(windows.file.to_str(), Some("C:\\p\\.cursor\\mcp.json"));
}

#[test]
fn says_why_there_is_no_place() {
    let why = |os, id, scope, root, vars: &[(&str, &str)]| {
        let why = in_scope(os, client(id), scope, root, vars, &[]).unwrap_err();
        (why.code, why.message)
    };
    let told = |code, message: &str| (code, message.to_owned());
    assert_eq!(
        why("linux", "boltai", Scope::User, None, &[]),
        told("no-place", "BoltAI keeps no file for a user on Linux"),
    );
    assert_eq!(
        why("linux", "claude-desktop", Scope::Project, Some("/p"), &[]),
        told("no-scope", "Claude Desktop has no file for a project"),
    );
    assert_eq!(
        why("linux", "cursor", Scope::Project, None, &[]),
        told("needs-root", "Cursor in scope `project` needs the project's directory"),
    );
    assert_eq!(
        why("linux", "cursor", Scope::Local, Some("/p"), &[]),
        told("no-scope", "Cursor keeps no settings of its user for one project"),
    );
    let (code, message) = why("linux", "claude-desktop", Scope::User, None, &[("XDG_CONFIG_HOME", "x")]);
    assert_eq!(code, "no-place");
    assert!(message.contains("`x/Claude/claude_desktop_config.json` is not an absolute path"), "{message}");
}

#[test]
fn tells_whether_a_client_is_installed() {
    for (id, there, installed) in [
        ("cursor", "/home/me/.cursor", true),
        ("claude-code", "/home/me", false),
        ("claude-code", "/home/me/.claude", true),
        ("vscode", "/home/me/.config/Code/User", true),
        ("visual-studio", "/home/me", false),
        ("boltai", "/home/me", false),
    ] {
        let env = Env { os: "linux", home: "/home/me", var: &|_| None, exists: &|path| path == there };
        assert_eq!(client(id).is_installed(&env), installed, "{id} where {there}");
    }
}
