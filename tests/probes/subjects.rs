use serde_json::Value;

/// One client with a file as its owner left it.
pub struct Subject {
    /// Its id.
    pub client: &'static str,
    /// Its file, in the home directory.
    pub file: &'static str,
    /// The member that holds the servers.
    pub root: &'static str,
    /// A member of the root that is no MCP server of anybody's.
    pub never_a_server: &'static str,
    /// The owner's file, with one server called `hand-made` and the number 1 at `counter`.
    pub hand_made: &'static str,
    /// A file that cannot be parsed.
    pub malformed: &'static str,
    reader: Reader,
}

#[derive(Clone, Copy, PartialEq)]
enum Reader {
    Json,
    Jsonc,
    Toml,
    Yaml,
}

impl Subject {
    /// What a parser that takes no part in the editing makes of a text.
    pub fn parse(&self, text: &str) -> Option<Value> {
        match self.reader {
            Reader::Json => serde_json::from_str(text).ok(),
            Reader::Jsonc => serde_json::from_str(&without_comments(text)).ok(),
            Reader::Toml => toml_edit::de::from_str(text).ok(),
            Reader::Yaml => serde_yaml::from_str(text).ok(),
        }
    }

    /// The owner's file as another program writes it for the n-th time.
    pub fn numbered(&self, number: usize) -> String {
        assert_eq!(self.hand_made.matches("counter-1-").count(), 1);
        self.hand_made.replace("counter-1-", &format!("counter-{number}-"))
    }

    /// The owner's file with a comment or member that makes it this long at least.
    pub fn padded(&self, bytes: usize) -> String {
        self.hand_made.replace("counter-1-", &"x".repeat(bytes))
    }

    /// Whether its directory can be put on a disk of its own.
    pub fn has_a_directory_of_its_own(&self) -> bool {
        self.file.contains('/')
    }
}

/// JSON from JSONC: comments become blanks, commas before a closing bracket go.
fn without_comments(text: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = &rest[rest.find("*/").map_or(rest.len(), |end| end + 2)..];
                continue;
            }
            '}' | ']' => {
                let end = bare.trim_end().len();
                if bare[..end].ends_with(',') {
                    bare.truncate(end - 1);
                }
                1
            }
            other => other.len_utf8(),
        };
        bare.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    bare
}

pub const SUBJECTS: &[Subject] = &[
    Subject {
        client: "claude-code",
        file: ".claude.json",
        root: "mcpServers",
        never_a_server: "",
        reader: Reader::Json,
        malformed: "{\n  \"mcpServers\": {\n    \"hand-made\": { \"command\": \"mine\" }\n  \"projects\": {}\n}\n",
        hand_made: r#"{
    "numStartups": 217,
    "session": "counter-1-",
    "mcpServers": {
        "hand-made": {
            "type": "stdio",
            "command": "mine",
            "args": ["--flag", "\u00e9/\/"],
            "env": {}
        }
    },
    "projects": { "/home/me/src": { "allowedTools": [], "history": [1.0, 1e3, 12345678901234567890] } },
    "oauthAccount": { "emailAddress": "me@example.com" }
}
"#,
    },
    Subject {
        client: "cursor",
        file: ".cursor/mcp.json",
        root: "mcpServers",
        never_a_server: "",
        reader: Reader::Json,
        malformed: "{ \"mcpServers\": { \"hand-made\": { \"command\": \"mine\", } }",
        hand_made: r#"{
  "mcpServers": {
      "hand-made": {"command": "mine", "args": [ "a","b" ],
          "autoApprove": ["counter-1-"]}
  },
  "somethingElse":   {"kept":   true}
}"#,
    },
    Subject {
        client: "vscode",
        file: ".config/Code/User/mcp.json",
        root: "servers",
        never_a_server: "",
        reader: Reader::Jsonc,
        malformed: "{\n\t// a comment\n\t\"servers\": {\n\t\t\"hand-made\": { \"command\": \"mine\n\t}\n}\n",
        hand_made: r#"// My servers. counter-1-
{
	"inputs": [
		{ "id": "token", "type": "promptString", "password": true }, // asked for once
	],
	/* and now
	   the servers */
	"servers": {
		// the first one
		"hand-made": {
			"type": "stdio", // "quoted" // twice
			"command": "mine",
			"env": { "TOKEN": "${input:token}" },
		},
		// more may follow
	},
	"sandbox": {}, // last
}
// the end
"#,
    },
    Subject {
        client: "gemini-cli",
        file: ".gemini/settings.json",
        root: "mcpServers",
        never_a_server: "",
        reader: Reader::Jsonc,
        malformed: "{ \"mcpServers\": [ }\n",
        hand_made: r#"{
  // counter-1-
  "ui": { "theme": "GitHub" },   // the default hurts
  "mcpServers": {
    "hand-made": { "command": "mine", "trust": false, "timeout": 5000 } /* mine */
  },
  "security": { "auth": { "selectedType": "oauth-personal" } }
}
"#,
    },
    Subject {
        client: "codex",
        file: ".codex/config.toml",
        root: "mcp_servers",
        never_a_server: "",
        reader: Reader::Toml,
        malformed: "model = \"gpt-5-codex\"\n[mcp_servers.hand-made\ncommand = \"mine\"\n",
        hand_made: r#"# Codex, counter-1-
model = "gpt-5-codex"   # the larger one is too slow
notify = [ 'python3',
           "/home/me/notify.py" ]  # a list over lines

[projects."/home/me/src"]
trust_level = "trusted"

# Our wiki; ask before changing it.
[mcp_servers.hand-made]
command = 'mine'
args = [ "a", "b" ]
startup_timeout_sec = 20  # it is slow

[mcp_servers.hand-made.tools.search]
approval_mode = "approve"

# Colours
[tui]
theme = "dark"
"#,
    },
    Subject {
        client: "goose",
        file: ".config/goose/config.yaml",
        root: "extensions",
        never_a_server: "developer",
        reader: Reader::Yaml,
        malformed: "extensions:\n  hand-made: { cmd: mine\n  other: [\n",
        hand_made: r#"# goose, counter-1-
GOOSE_PROVIDER: anthropic
GOOSE_MODEL: 'claude-sonnet'   # single quotes

extensions:
    developer:   # without it goose has no shell
        bundled: true
        enabled: true
        name: developer
        timeout: 300
        type: builtin
    # mine
    hand-made:
        enabled: true
        type: stdio
        name: hand-made
        cmd: mine
        args:
        - a
        - "b"
        envs: {}
        timeout: 0x12c

# The rest
GOOSE_MODE: smart_approve
"#,
    },
    Subject {
        client: "continue",
        file: ".continue/config.yaml",
        root: "mcpServers",
        never_a_server: "",
        reader: Reader::Yaml,
        malformed: "name: Local\nmcpServers:\n  - name: hand-made\n   command: mine\n\t- x\n",
        hand_made: r#"name: Local # counter-1-
version: 1.0.0
schema: v1

defaults: &defaults
  roles: [chat, edit]

models:
  - name: Sonnet
    provider: anthropic
    <<: *defaults

mcpServers:
  # mine
  - name: hand-made
    command: mine
    args: ["a", 'b']
    connectionTimeout: 5000

rules:
  - Be brief.
"#,
    },
];
