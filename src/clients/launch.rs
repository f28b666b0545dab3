//! What a client is to get: one server, as the resolved manifest says it.

use indexmap::IndexMap;
use serde_json::Value;

use super::{Filter, Text};

/// How a client reaches a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// It starts a program.
    Stdio {
        /// The program.
        command: Text,
        /// Its arguments.
        args: Vec<Text>,
        /// Its environment variables.
        env: Vec<(String, Text)>,
        /// The directory it runs in.
        cwd: Option<Text>,
    },
    /// It opens an address and speaks streamable HTTP.
    Http {
        /// The address.
        url: Text,
        /// Headers of every request.
        headers: Vec<(String, Text)>,
    },
    /// It opens an address and speaks HTTP with server-sent events.
    Sse {
        /// The address.
        url: Text,
        /// Headers of every request.
        headers: Vec<(String, Text)>,
    },
}

impl Launch {
    /// Whether it starts a server, or reaches the gateway, by way of mcpkeel.
    pub fn is_ours(&self) -> bool {
        let Self::Stdio { command, args, .. } = self else { return false };
        let named = command.literal().and_then(|command| command.rsplit(['/', '\\']).next());
        let word = |word: &str| args.iter().any(|arg| arg.literal() == Some(word));
        let way = args.first().and_then(Text::literal);
        let is_named = named.is_some_and(|name| name.starts_with("mcpkeel"));
        match way {
            Some("exec") => is_named || word("--pin"),
            Some("connect") => is_named || word("--client") && word("--manifest"),
            _ => false,
        }
    }
}

/// One server as one client is to have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How the client reaches it.
    pub launch: Launch,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Which of its tools the model may see.
    pub tools: Filter,
    /// Fields of the entry that are written as they are; they take the place of what the row says.
    pub extra: IndexMap<String, Value>,
}
