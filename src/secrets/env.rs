use super::problem;
use crate::base::{Diagnostic, Secret};
use crate::system::System;

/// What the variable holds.
pub(super) fn read(system: &dyn System, variable: &str) -> Result<Secret<String>, Box<Diagnostic>> {
    // An empty variable counts as one that is not set.
    system.env(variable).map(Secret::new).ok_or_else(|| {
        problem(
            "no-variable",
            format!("the variable {variable} is not set here, or empty"),
            "set it where the client is started, or keep the value elsewhere (`keyring:`, `age:`)",
        )
    })
}
