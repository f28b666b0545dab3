//! What tools and prompts are called where several servers stand behind one address.
//!
//! Invariant: a name depends on the server and the tool alone, so adding a server renames nothing; two tools
//! never share a name; with the name that clients put in front it fits into 64 characters.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What models take at most.
const MOST: usize = 64;

/// What clients put in front of a tool's name, of those that were seen the longest: `mcp__mcpkeel__`.
const BEFORE: usize = "mcp__mcpkeel__".len();

/// How many characters of a digest tell names apart.
const DIGITS: usize = 10;

/// `server__tool`, or a shortened form with a digest where that is too long or could be read in two ways.
pub fn exposed(server: &str, tool: &str) -> String {
    let plain = format!("{server}__{tool}");
    let splits_in_one_way = !server.contains("__") && !server.ends_with('_') && !server.is_empty();
    if splits_in_one_way && !tool.is_empty() && is_fit(&plain) { plain } else { short(server, tool) }
}

fn is_fit(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.len() <= MOST - BEFORE && name.chars().all(is_plain)
}

/// Never holds two underscores in a row, so it is never a plain one.
fn short(server: &str, tool: &str) -> String {
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(format!("{server}\0{tool}")) {
        // Writing to a text cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    let room = MOST - BEFORE - DIGITS - 1;
    let mut name = String::new();
    for c in server.chars().chain(['_']).chain(tool.chars()) {
        let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        if name.len() < room && !(c == '_' && (name.is_empty() || name.ends_with('_'))) {
            name.push(c);
        }
    }
    let name = name.trim_end_matches('_');
    format!("{name}_{}", &digest[..DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_server_and_the_tool() {
        assert_eq!(exposed("github", "create_issue"), "github__create_issue");
        assert_eq!(exposed("a-b", "c.d"), "a-b__c.d");
    }

    #[test]
    fn long_or_strange_names_get_a_digest() {
        let long = exposed("a-server-with-a-long-name", "and_a_tool_with_a_very_long_name_indeed");
        assert_eq!(long.len(), 50, "{long}");
        assert_eq!(long, exposed("a-server-with-a-long-name", "and_a_tool_with_a_very_long_name_indeed"));
        assert!(exposed("a", "ein/werkzeug").starts_with("a_ein_werkzeug_"));
        assert!(!exposed("a__b", "c").contains("__"));
    }

    proptest::proptest! {
        #[test]
        fn no_two_tools_share_a_name(
            server in "[a-b_]{1,4}", tool in "[a-b_./é]{1,5}", other in "[a-b_]{1,4}", another in "[a-b_./é]{1,5}",
        ) {
            let same = (&server, &tool) == (&other, &another);
            proptest::prop_assert_eq!(exposed(&server, &tool) == exposed(&other, &another), same);
            proptest::prop_assert!(exposed(&server, &tool).len() <= MOST - BEFORE);
        }
    }
}
