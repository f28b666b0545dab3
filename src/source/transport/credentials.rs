use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::HeaderValue;

use super::Ways;
use crate::base::Secret;
use crate::system::Pipe;

/// The most that git may say, in bytes.
const MOST: usize = 64 << 10;

/// The header that says who we are, as git's credential helpers know it. Nobody is asked.
///
/// # Errors
/// The end of a sentence about the repository.
pub(super) fn ask(ways: &Ways, url: &Url) -> Result<HeaderValue, String> {
    let argv = ["git", "-c", "core.askPass=", "credential", "fill"].map(str::to_owned);
    let silent = [("GIT_TERMINAL_PROMPT", "0"), ("GIT_ASKPASS", ""), ("SSH_ASKPASS", "")];
    let none =
        "it wants a login, and git's credential helper has none: run `git ls-remote` with this address once";
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "it wants a login, and git, whose credential helper would be asked, is not installed".to_owned()
        }
        _ => format!("it wants a login, and git's credential helper failed: {error}"),
    };
    let mut git = Pipe::start(&argv, &silent, &ways.dir, ways.patience).map_err(failed)?;
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, path) = (url.scheme(), url.path().trim_start_matches('/'));
    write!(git, "protocol={scheme}\nhost={host}{port}\npath={path}\n\n").map_err(failed)?;
    git.close_input();
    let said = Secret::new(git.read_all(MOST).map_err(failed)?);
    let status = git.wait().map_err(failed)?;
    let text = std::str::from_utf8(said.expose()).map_err(|_| none.to_owned())?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let (Some(user), Some(password), true) = (value("username"), value("password"), status.success()) else {
        return Err(none.to_owned());
    };
    let login = Secret::new(format!("{user}:{password}"));
    let header = Secret::new(format!("Basic {}", STANDARD.encode(login.expose())));
    let mut header = HeaderValue::try_from(header.expose().as_str()).map_err(|_| none.to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
