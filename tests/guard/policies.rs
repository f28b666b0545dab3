use super::*;

#[test]
fn says_who_may_use_what_and_why() {
    let home = home();
    for (args, code, verdict, policy) in [
        (
            &["--client", "cursor", "--server", "github", "--tool", "delete_repo"][..],
            6,
            "deny",
            Some("no deletes"),
        ),
        (
            &["--client", "cursor", "--server", "github", "--tool", "github__create_issue"],
            6,
            "require_approval",
            Some("ask first"),
        ),
        (
            &["--client", "cursor-work", "--server", "github", "--tool", "create_issue"],
            6,
            "require_approval",
            Some("ask first"),
        ),
        (&["--client", "zed", "--server", "github", "--tool", "create_issue"], 0, "allow", None),
        (&["--server", "time", "--prompt", "delete_all"], 0, "allow", None),
        (&["--server", "github"], 0, "allow", None),
    ] {
        let args = [&["policy", "test"], args].concat();
        home.run(&args).exits(code);
        let said = json_of(&home, &args);
        assert_eq!((said["verdict"].as_str(), said["policy"].as_str()), (Some(verdict), policy), "{args:?}");
        assert_eq!(said["considered"].as_array().map(Vec::len), Some(2));
    }
    let ran =
        home.run(&["policy", "test", "--client", "cursor", "--server", "github", "--tool", "delete_repo"]);
    assert!(
        ran.out.starts_with(
            "deny: `cursor` may not use the tool `delete_repo` of `github`: policy `no deletes`."
        ),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("it has the pattern `*delete*`, which `delete_repo` matches, and it decides"),
        "{}",
        ran.out
    );
    for wrong in [
        &["--server", "githib"][..],
        &["--server", "github", "--client", "cursr"],
        &["--server", "github", "--tool", "a", "--prompt", "b"],
    ] {
        home.run(&[&["policy", "test"], wrong].concat()).exits(64);
    }
}

#[test]
fn lists_policies_with_their_file() {
    let home = home();
    let listed = json_of(&home, &["policy", "list"]);
    assert_eq!(listed["policies"][1]["scope"], "client:cursor");
    assert_eq!(listed["policies"][0]["file"], "mcp.yaml");
    assert!(home.run(&["policy", "list", "--format", "markdown"]).exits(0).out.starts_with("| NAME |"));
}
