//! Who asks: a token, a client of this machine, or the user.

use crate::guard::Scope;

/// Who asks, and what they may.
#[derive(Debug)]
pub struct Caller {
    /// Each has its own, never 0.
    pub number: u64,
    /// For records: `token NAME`, `client KEY`, or `user`.
    pub name: String,
    /// The client block they come from.
    pub client: Option<String>,
    /// The token's name.
    pub token: Option<String>,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// The servers they may reach; none: all.
    pub servers: Option<Vec<String>>,
}

impl Caller {
    /// Whether they may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}
