//! DESIGN section 4, row by row, for a JSON, a TOML and a YAML client under each drift policy.

use super::{apply, home, says, steps};
use crate::support::{Ran, Sandbox};

struct Client {
    id: &'static str,
    file: &'static str,
    /// Before us: a server of the user's own and something else.
    before: &'static str,
    /// The same with a server `time` that is not what the manifest says.
    strange: &'static str,
}

const CLIENTS: [Client; 3] = [
    Client {
        id: "cursor",
        file: ".cursor/mcp.json",
        before: "{\"mcpServers\": {\"mine\": {\"command\": \"m\"}}, \"theme\": \"dark\"}\n",
        strange: "{\"mcpServers\": {\"time\": {\"type\": \"stdio\", \"command\": \"uvx\", \"args\": [\"theirs\"]}}}\n",
    },
    Client {
        id: "codex",
        file: ".codex/config.toml",
        before: "model = \"x\" # mine\n\n[mcp_servers.mine]\ncommand = \"m\"\n",
        strange: "[mcp_servers.time]\ncommand = \"uvx\"\nargs = [\"theirs\"]\n",
    },
    Client {
        id: "goose",
        file: ".config/goose/config.yaml",
        before: "model: x # mine\nextensions:\n  mine:\n    enabled: true\n    type: stdio\n    name: mine\n    cmd: m\n    args: []\n",
        strange: "extensions:\n  time:\n    enabled: true\n    type: stdio\n    name: time\n    cmd: uvx\n    args: [theirs]\n",
    },
];
const POLICIES: [&str; 3] = ["repair", "report", "adopt"];

/// A client's file and a manifest that gives it one server.
struct Row<'a> {
    client: &'a Client,
    policy: &'a str,
    home: Sandbox,
}

impl Row<'_> {
    fn wish(&self, argument: &str) {
        self.home.write("mcp.yaml", manifest(self.client.id, self.policy, argument));
    }

    fn live(&self) -> String {
        self.home.read(self.client.file)
    }

    fn by_hand(&self, text: &str) {
        self.home.write(self.client.file, text);
    }

    /// The one step that concerns us.
    #[track_caller]
    fn plans(&self, action: &str) {
        let steps = steps(&self.home, &[]);
        let ours: Vec<&str> = steps
            .iter()
            .filter(|step| step.contains(" time "))
            .map(|step| step.rsplit(' ').next().expect("an action"))
            .collect();
        assert_eq!(ours, [action], "{} under {}", self.client.id, self.policy);
    }

    #[track_caller]
    fn applies(&self, code: i32) -> Ran {
        apply(&self.home).exits(code)
    }

    /// Nothing is left to do.
    #[track_caller]
    fn settles(&self) {
        self.home.run(&["verify"]).exits(0);
        let live = self.live();
        self.applies(0);
        assert_eq!(self.live(), live);
    }
}

fn manifest(client: &str, policy: &str, argument: &str) -> String {
    format!(
        "version: 1\nservers:\n  time: {{ command: uvx, args: [{argument}] }}\n  two: {{ command: two }}\n\
         clients:\n  {client}: {{ servers: [time, two], drift: {policy} }}\n"
    )
}

/// For each client and policy, over a file that was there before; `applied` first brings it in step.
fn each(applied: bool, story: impl Fn(&Row<'_>)) {
    for client in &CLIENTS {
        for policy in POLICIES {
            let row = Row { client, policy, home: home(&manifest(client.id, policy, "first")) };
            row.by_hand(client.before);
            if applied {
                row.applies(0);
            }
            story(&row);
        }
    }
}

#[test]
fn wanted_and_nowhere_is_created() {
    each(false, |row| {
        row.plans("create");
        row.applies(0);
        assert!(row.live().contains("first"));
        row.settles();
    });
}

#[test]
fn removed_by_hand_is_put_back_or_reported_or_adopted() {
    each(true, |row| {
        let ours = row.live();
        row.by_hand(row.client.before);
        match row.policy {
            "repair" => {
                row.plans("restore");
                row.applies(0);
                assert_eq!(row.live(), ours);
                row.settles();
            }
            "report" => {
                row.plans("report");
                says(&row.home.run(&["plan"]), "removed by hand");
                row.home.run(&["verify"]).exits(2);
                row.applies(0);
                assert_eq!(row.live(), row.client.before);
                row.plans("report");
            }
            _ => {
                row.plans("adopt");
                row.applies(0);
                assert_eq!(row.live(), row.client.before);
                assert!(row.home.read("mcp.yaml").contains("except"), "{}", row.home.read("mcp.yaml"));
                row.settles();
            }
        }
    });
}

#[test]
fn there_already_as_wanted_becomes_ours_without_a_change() {
    each(true, |row| {
        let ours = row.live();
        std::fs::remove_dir_all(row.home.path(".local/state/mcpkeel")).expect("the state");
        row.plans("record");
        row.home.run(&["verify"]).exits(0);
        row.applies(0);
        assert_eq!(row.live(), ours);
        row.plans("keep");
        // It is ours now, so it goes when it is no longer wanted.
        row.home.write("mcp.yaml", format!("version: 1\nclients:\n  {}: {{ servers: [] }}\n", row.client.id));
        row.home.run(&["apply", "--yes", "--allow-prune"]).exits(0);
        assert!(!row.live().contains("first"));
    });
}

#[test]
fn a_strangers_entry_is_a_conflict_until_adopted() {
    each(false, |row| {
        row.by_hand(row.client.strange);
        row.home
            .write("mcp.yaml", manifest(row.client.id, row.policy, "first").replace("[time, two]", "[time]"));
        row.plans("conflict");
        row.home.run(&["plan", "--exit-code"]).exits(2);
        let ran = row.applies(6);
        says(&ran, "conflict");
        assert_eq!(row.live(), row.client.strange);
        // Both sides are shown.
        let diff = row.home.run(&["diff"]).exits(0).out;
        assert!(diff.contains("theirs") && diff.contains("first"), "{diff}");
        says(&row.home.run(&["plan", "--adopt"]), "was somebody else's");
        row.home.run(&["apply", "--yes", "--adopt"]).exits(0);
        assert!(row.live().contains("first") && !row.live().contains("theirs"));
        row.settles();
    });
}

#[test]
fn a_change_of_the_manifest_is_an_update_under_every_policy() {
    each(true, |row| {
        row.wish("second");
        row.plans("update");
        row.applies(0);
        assert!(row.live().contains("second") && !row.live().contains("first"));
        row.settles();
    });
}

#[test]
fn a_change_by_hand_is_repaired_or_reported_or_adopted() {
    each(true, |row| {
        let ours = row.live();
        let theirs = ours.replace("first", "theirs");
        row.by_hand(&theirs);
        match row.policy {
            "repair" => {
                row.plans("repair");
                row.home.run(&["verify"]).exits(2);
                row.applies(0);
                assert_eq!(row.live(), ours);
                row.settles();
            }
            "report" => {
                row.plans("report");
                row.home.run(&["verify"]).exits(2);
                row.applies(0);
                assert_eq!(row.live(), theirs);
                row.plans("report");
            }
            _ => {
                row.plans("adopt");
                row.applies(0);
                assert_eq!(row.live(), theirs);
                assert_eq!(row.home.read("mcp.yaml"), manifest(row.client.id, row.policy, "theirs"));
                row.settles();
            }
        }
    });
}

#[test]
fn a_change_on_both_sides_shows_both_and_loses_no_field_that_the_manifest_left_alone() {
    each(true, |row| {
        // By hand the command, in the manifest the argument.
        row.by_hand(&row.live().replace("uvx", "by-hand"));
        row.wish("second");
        row.plans("update-drift");
        let plan = row.home.run(&["plan"]);
        says(&plan, "args");
        says(&plan, "by hand");
        row.applies(0);
        assert!(row.live().contains("second"));
        match row.policy {
            "repair" => {
                assert!(!row.live().contains("by-hand"));
                row.settles();
            }
            "report" => {
                assert!(row.live().contains("by-hand"));
                row.plans("report");
            }
            _ => {
                assert!(row.live().contains("by-hand"));
                row.applies(0);
                assert!(row.home.read("mcp.yaml").contains("by-hand"));
                row.settles();
            }
        }
    });
}

#[test]
fn no_longer_wanted_is_removed_even_when_changed_by_hand() {
    each(true, |row| {
        row.by_hand(&row.live().replace("first", "theirs"));
        let manifest = manifest(row.client.id, row.policy, "first").replace("[time, two]", "[two]");
        row.home.write("mcp.yaml", manifest);
        row.plans("remove");
        says(&row.home.run(&["plan"]), "changed by hand");
        row.applies(0);
        assert!(!row.live().contains("theirs"));
        row.settles();
    });
}

#[test]
fn no_longer_wanted_and_already_gone_is_forgotten() {
    each(true, |row| {
        row.by_hand(row.client.before);
        row.home.write("mcp.yaml", format!("version: 1\nclients:\n  {}: {{ servers: [] }}\n", row.client.id));
        row.plans("forget");
        row.applies(0);
        assert_eq!(row.live(), row.client.before);
        assert!(!steps(&row.home, &[]).iter().any(|step| step.contains(" time ")));
    });
}

#[test]
fn somebody_elses_is_kept_and_counted() {
    each(true, |row| {
        let ours = format!("{} mine foreign", row.client.id);
        assert!(steps(&row.home, &[]).contains(&ours));
        says(&row.home.run(&["plan"]), "1 not ours");
    });
}
