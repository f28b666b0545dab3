//! The ways to a repository that git's library does not know by itself.

use super::Problem;
use crate::system::System;

/// Makes them known, once in a process.
pub(super) fn register(_system: &dyn System) -> Result<(), Problem> {
    Ok(())
}
