//! Who asks: a token, a client of this machine, or the user.

use std::sync::Arc;

use super::tokens::Principal;
use crate::guard::{Scope, Scopes};

/// Who asks, and what they may.
#[derive(Debug)]
pub struct Caller {
    /// Each has its own: even, and never 0.
    pub number: u64,
    /// For records: `token:NAME`, `client:KEY`, or `user`.
    pub name: Arc<str>,
    /// The client block they come from.
    pub client: Option<Arc<str>>,
    /// What they may do.
    pub scopes: Scopes,
    /// The servers they may reach; none: all.
    pub servers: Option<Vec<String>>,
    /// Whether it is a token, so that rates count.
    pub is_token: bool,
    /// What the token was when this was made.
    pub source: Option<Arc<Principal>>,
}

impl Caller {
    /// Whether they may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.has(scope)
    }
}
