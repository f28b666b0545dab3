//! What a server offers, as it was listed last: kept, so that lists are answered at once and while it is down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bridge::json::{self, Members};
use crate::upstream::{Era, Peer};

/// How long a server may take for one page of a list.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many pages of a list are read.
const PAGES: usize = 1000;

/// What a server offers; every text is JSON as the server wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Definitions of tools.
    pub tools: Vec<String>,
    /// Resources.
    pub resources: Vec<String>,
    /// Templates of resources.
    pub templates: Vec<String>,
    /// Prompts.
    pub prompts: Vec<String>,
    /// What it can do.
    pub capabilities: String,
    /// Its name and version.
    pub info: String,
    /// How it wants to be used.
    pub instructions: Option<String>,
    /// Whether it is of 2026.
    pub is_modern: bool,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// `tools/list`
    Tools,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
    /// `prompts/list`
    Prompts,
}

impl List {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Resources, Self::Templates, Self::Prompts];

    /// The method that asks for it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Prompts => "prompts/list",
        }
    }

    /// The member of the result that holds it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// The capability that a server with such a list has.
    fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources | Self::Templates => "resources",
            Self::Prompts => "prompts",
        }
    }

    /// Which list a request asks for.
    pub fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.method() == method)
    }
}

impl Stock {
    /// Asks a server for everything.
    ///
    /// # Errors
    /// Why it could not be listed, in a sentence.
    pub async fn take(peer: &Peer) -> Result<Self, String> {
        let opening = peer.opening();
        let mut stock = Self {
            capabilities: opening.capabilities.clone(),
            info: opening.info.clone(),
            instructions: opening.instructions.clone(),
            is_modern: opening.era == Era::Modern,
            ..Self::default()
        };
        for list in List::ALL {
            *stock.list_mut(list) = match stock.can(list.capability()) {
                true => elements(peer, list).await?,
                false => Vec::new(),
            };
        }
        Ok(stock)
    }

    /// A list.
    pub fn list(&self, list: List) -> &[String] {
        match list {
            List::Tools => &self.tools,
            List::Resources => &self.resources,
            List::Templates => &self.templates,
            List::Prompts => &self.prompts,
        }
    }

    fn list_mut(&mut self, list: List) -> &mut Vec<String> {
        match list {
            List::Tools => &mut self.tools,
            List::Resources => &mut self.resources,
            List::Templates => &mut self.templates,
            List::Prompts => &mut self.prompts,
        }
    }

    /// Whether the server has this capability.
    pub fn can(&self, capability: &str) -> bool {
        Members::of(&self.capabilities).is_some_and(|all| all.get(capability).is_some())
    }

    /// Whether it has this part of a capability, such as `resources` and `subscribe`.
    pub fn can_also(&self, capability: &str, part: &str) -> bool {
        let capability = Members::of(&self.capabilities).and_then(|all| all.object(capability));
        capability.and_then(|capability| capability.get(part)) == Some("true")
    }
}

async fn elements(peer: &Peer, list: List) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let params = cursor.as_ref().map(|cursor| json::object([("cursor", cursor)]));
        let result = match peer.request(list.method(), params.as_deref(), PATIENCE).await {
            Ok(result) => result,
            // Templates are part of the same capability, and many servers know only one of the two.
            Err(_) if matches!(list, List::Templates | List::Resources) && !peer.is_gone() => {
                return Ok(found);
            }
            Err(why) => return Err(why),
        };
        let Some(members) = Members::of(&result) else { return Ok(found) };
        let page = members.get(list.member()).and_then(json::elements).unwrap_or_default();
        found.extend(page.into_iter().map(|element| json::one_line(element).into_owned()));
        let next = members.get("nextCursor").filter(|next| *next != "null").map(str::to_owned);
        if next.is_none() || next == cursor {
            return Ok(found);
        }
        cursor = next;
    }
    Ok(found)
}
