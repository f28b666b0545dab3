use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::{problem, text_of};
use crate::base::{Diagnostic, Secret};
use crate::system::System;

/// How long a program may take: enough for one that asks for a fingerprint.
const LIMIT: Duration = Duration::from_secs(30);

/// What the program prints. No shell is involved.
pub(super) fn read(
    system: &dyn System,
    argv: &[String],
    dir: &Path,
) -> Result<Secret<String>, Box<Diagnostic>> {
    let (command, args) = argv.split_first().ok_or_else(|| {
        problem("no-program", "its command is empty", "write the program and its arguments as a list")
    })?;
    // `./get-token` is the manifest's neighbour, wherever we run.
    let is_path = Path::new(command).components().count() > 1 || command.starts_with("./");
    let program = if is_path { dir.join(command).display().to_string() } else { command.clone() };
    let whole: Vec<String> = std::iter::once(program).chain(args.iter().cloned()).collect();
    let what = format!("the command `{command}`");
    let ran = system.run(&whole, dir, LIMIT).map_err(|error| {
        let (why, hint) = match error.kind() {
            ErrorKind::NotFound => ("was not found".to_owned(), "install it, or write its whole path"),
            ErrorKind::PermissionDenied => ("may not be run".to_owned(), "make it executable: `chmod +x`"),
            ErrorKind::TimedOut => (
                format!("took more than {} seconds and was ended", LIMIT.as_secs()),
                "it runs without a terminal; does it wait for an answer? Sign in to it first",
            ),
            ErrorKind::FileTooLarge => ("printed more than 1 MiB".to_owned(), "is this the right command?"),
            _ => (format!("could not be run: {error}"), "run it by hand and see"),
        };
        problem("command", format!("{what} {why}"), hint)
    })?;
    let by_hand = "run it by hand and see; it gets no terminal and no input here";
    match ran.code {
        Some(0) => {}
        Some(code) => {
            let message = format!("{what} ended with exit code {code}");
            return Err(problem("command", message, by_hand));
        }
        None => {
            let message = format!("{what} was ended by a signal");
            return Err(problem("command", message, by_hand));
        }
    }
    let value = text_of(&ran.out, &what)?;
    if value.expose().is_empty() {
        let message = format!("{what} printed nothing");
        return Err(problem("command", message, by_hand));
    }
    Ok(value)
}
