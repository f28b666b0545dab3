//! What may be used by whom: policies, scopes, pins of tools, and what looks wrong about a tool.
//!
//! ```text
//! token --- scope --- server ---+
//! policies ------ judge --------+--> may it be seen, may it be used, must a person agree first
//! mcp.lock ------ examine ------+
//! ```
//!
//! Invariant: pure; every question has an answer, and the same one for the same inputs. What cannot be understood
//! is answered with no.
//!
//! Start reading at [`judge`], then [`examine`].

mod arguments;
mod canonical;
mod describe;
mod estimate;
mod pins;
mod poison;
mod policy;
mod scope;
mod tokens;

pub use arguments::{digest_of, preview};
pub use canonical::{Oddity, canonical};
pub use describe::describe;
pub use estimate::{METHOD, tokens};
pub use pins::{Digest, Examined, FILE as LOCK_FILE, Lock, State, examine, name_of};
pub use poison::{Neighbour, Neighbours, reasons, visible};
pub use policy::{Ask, Considered, Explained, Judgement, Verdict, explain, judge};
pub use scope::{Scope, Scopes, needed};
pub use tokens::{TokenHash, make_token, token_hash};
