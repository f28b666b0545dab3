//! How a server of the manifest is reached, with every reference in its place.

use super::{Remote, Upstream};
use crate::base::{Diagnostic, Secret};
use crate::clients::{Launch, Text};
use crate::desired::{self, Chosen, Machine, Unit};
use crate::secrets::Vault;
use crate::system::Program;

/// What starts a server or opens it. Secrets and variables are looked up now.
///
/// # Errors
/// A directory that cannot be worked out; a secret or a variable that cannot be had, with the place that needs it.
pub fn upstream(
    chosen: &Chosen,
    units: &[Unit],
    machine: &Machine<'_>,
    vault: &Vault<'_>,
) -> Result<Upstream, Box<Diagnostic>> {
    let launch = desired::reach(&chosen.server, units, chosen.unit, machine)?;
    let of = |what: &str, text: &Text| {
        vault.fill(text).map_err(|problem| {
            let message = format!("{what} of `{}`: {}", chosen.name, problem.message);
            Box::new(Diagnostic { message, ..*problem })
        })
    };
    let pairs = |what: &str, pairs: Vec<(String, Text)>| {
        let filled = pairs.into_iter().map(|(name, text)| {
            let value = of(&format!("{what} `{name}`"), &text)?;
            Ok((name, value))
        });
        filled.collect::<Result<Vec<(String, Secret<String>)>, Box<Diagnostic>>>()
    };
    Ok(match launch {
        Launch::Stdio { command, args, env, cwd } => Upstream::Stdio(Program {
            command: of("the command", &command)?,
            args: args
                .iter()
                .enumerate()
                .map(|(at, arg)| of(&format!("argument {}", at + 1), arg))
                .collect::<Result<_, _>>()?,
            env: pairs("the variable", env)?,
            cwd: match cwd {
                Some(cwd) => Some(of("`cwd`", &cwd)?.expose().into()),
                None => None,
            },
        }),
        Launch::Http { url, headers } => {
            Upstream::Http(Remote { url: of("the address", &url)?, headers: pairs("the header", headers)? })
        }
        Launch::Sse { url, headers } => {
            Upstream::Sse(Remote { url: of("the address", &url)?, headers: pairs("the header", headers)? })
        }
    })
}
