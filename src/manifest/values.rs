//! Small languages inside texts: durations, rates, addresses, policy scopes.
//!
//! Invariant: what parses here is what the rest of the program works with; nobody parses them twice.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// `500ms`, `30s`, `5m`, `2h` or `1d`; never zero, at most 365 days.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: u64 = count.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let total = count.checked_mul(millis)?;
    (1..=365 * 86_400_000).contains(&total).then(|| Duration::from_millis(total))
}

/// `1s..60s`, the shorter first.
pub fn durations(text: &str) -> Option<RangeInclusive<Duration>> {
    let (from, to) = text.split_once("..")?;
    let (from, to) = (duration(from)?, duration(to)?);
    (from <= to).then_some(from..=to)
}

/// `100/min`: how many in which time. Units are `s`, `min`, `h` and `d`.
pub fn rate(text: &str) -> Option<(u32, Duration)> {
    let (count, unit) = text.split_once('/')?;
    let count = Some(count).filter(|count| count.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let seconds = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return None,
    };
    (count > 0).then_some((count, Duration::from_secs(seconds)))
}

/// `127.0.0.1:3847`, `[::1]:3847` or `localhost:3847`.
pub fn listen(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

/// Whom a policy concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyScope<'a> {
    /// Everyone.
    Global,
    /// One client.
    Client(&'a str),
    /// One server.
    Server(&'a str),
}

/// `global`, `client:ID` or `server:NAME`.
pub fn policy_scope(text: &str) -> Option<PolicyScope<'_>> {
    match text.split_once(':') {
        None if text == "global" => Some(PolicyScope::Global),
        Some(("client", id)) if !id.is_empty() => Some(PolicyScope::Client(id)),
        Some(("server", name)) if !name.is_empty() => Some(PolicyScope::Server(name)),
        _ => None,
    }
}

/// An address of a remote server, as far as it must be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// The host, brackets and port removed; empty when it is a reference.
    pub host: &'a str,
    /// Whether a user name or password stands in it.
    pub has_login: bool,
}

/// An `http` or `https` address; says what is wrong with any other text.
pub fn url(text: &str) -> Result<Url<'_>, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it must start with `https://` or `http://`")?;
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err("it must start with `https://` or `http://`"),
    };
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) && !text.contains("${") {
        return Err("it must not contain spaces");
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (login, host) =
        authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
    if host.starts_with("${") {
        return Ok(Url { is_tls, host: "", has_login: login.is_some() });
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(inner) => {
            let (name, after) = inner.split_once(']').ok_or("its host lacks a `]`")?;
            (name, after.strip_prefix(':'))
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() {
        return Err("it lacks a host");
    }
    if let Some(port) = port
        && !port.starts_with("${")
        && !port.is_empty()
        && port.parse::<u16>().is_err()
    {
        return Err("its port is not between 0 and 65535");
    }
    Ok(Url { is_tls, host: name, has_login: login.is_some() })
}

/// Where a repository is: by which way it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repository {
    /// `https://..`, or `http://` to this machine.
    Http(String),
    /// `ssh://[user@]host[:port]/path` or `user@host:path`, as git takes it.
    Ssh(String),
    /// A directory, `~/` in front or absolute or relative to the manifest.
    Path(String),
}

/// A repository as git would understand it; else what is wrong and what to write.
///
/// Transports that run a program of the address's choice (`ext::`) and unencrypted ones are refused.
pub fn repository(text: &str) -> Result<Repository, (&'static str, &'static str)> {
    let hint = "write it like `https://host/me/dotfiles`, `git@host:me/dotfiles` or `~/src/dotfiles`";
    if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        return Err(("This is no repository.", hint));
    }
    if text.contains("::") {
        return Err(("Transports that run another program are not used.", hint));
    }
    match text.split_once("://") {
        Some(("https" | "http", _)) => {
            let url = url(text).map_err(|_| ("This is no address of a repository.", hint))?;
            if url.has_login {
                return Err((
                    "A login stands in the address.",
                    "let git's credential helper keep it, or use ssh",
                ));
            }
            match url.is_tls || is_loopback(url.host) {
                true => Ok(Repository::Http(text.to_owned())),
                false => {
                    Err(("An unencrypted address can be changed by everybody on the way.", "use `https://`"))
                }
            }
        }
        Some(("ssh" | "git+ssh", rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            match host.is_empty() || host.starts_with('-') || rest.starts_with('-') {
                true => Err(("This is no address of a repository.", hint)),
                false => Ok(Repository::Ssh(text.to_owned())),
            }
        }
        Some(("file", path)) if path.starts_with('/') => Ok(Repository::Path(path.to_owned())),
        Some(_) => Err(("This is no way to a repository that is used here.", hint)),
        None => match text.split_once(':') {
            // `C:\dotfiles` is a path; `host:path` is ssh, as git has it.
            Some((host, path)) if host.len() > 1 && !host.contains(['/', '\\']) => {
                match path.is_empty() || path.starts_with('-') {
                    true => Err(("This is no address of a repository.", hint)),
                    false => Ok(Repository::Ssh(text.to_owned())),
                }
            }
            _ => Ok(Repository::Path(text.to_owned())),
        },
    }
}

/// Whether git takes this as a branch's name (the rules of `git check-ref-format` that matter here).
pub fn is_branch(name: &str) -> bool {
    let is_bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !name.is_empty()
        && !name.starts_with(['-', '/'])
        && !name.ends_with(['/', '.'])
        && !name.starts_with("refs/")
        && name != "@"
        && !name.contains(is_bad)
        && !["..", "//", "@{"].iter().any(|part| name.contains(part))
        && name.split('/').all(|step| !step.starts_with('.') && !step.ends_with(".lock"))
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_rates_and_addresses() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "0s", "30 s", "99999999999999999999s", "400d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert!(durations("1s..60s").is_some());
        assert!(durations("60s..1s").is_none() && durations("1s").is_none());
        assert_eq!(rate("100/min"), Some((100, Duration::from_secs(60))));
        assert!(rate("0/min").is_none() && rate("100").is_none() && rate("+1/s").is_none());
        assert!(
            listen("127.0.0.1:3847").is_some()
                && listen("[::1]:1").is_some()
                && listen("localhost:1").is_some()
        );
        assert!(
            listen("3847").is_none() && listen("localhost").is_none() && listen("1.2.3.4:70000").is_none()
        );
    }

    #[test]
    fn knows_the_ways_to_a_repository() {
        let way = |text: &str| repository(text).map_err(|(message, _)| message);
        assert_eq!(way("https://h/me/d"), Ok(Repository::Http("https://h/me/d".into())));
        assert_eq!(way("file:///srv/d.git"), Ok(Repository::Path("/srv/d.git".into())));
        assert_eq!(way("~/src/d"), Ok(Repository::Path("~/src/d".into())));
        assert_eq!(way("git@h:me/d"), Ok(Repository::Ssh("git@h:me/d".into())));
        assert_eq!(way("ssh://git@h:22/me/d"), Ok(Repository::Ssh("ssh://git@h:22/me/d".into())));
        assert!(matches!(way("C:\\dotfiles"), Ok(Repository::Path(_))));
        assert!(matches!(way("http://127.0.0.1:1/d"), Ok(Repository::Http(_))));
        for wrong in [
            "",
            "-x",
            "http://h/d",
            "https://me:pw@h/d",
            "ext::sh -c x",
            "git://h/d",
            "ssh://-oProxyCommand=x/d",
            "host:-x",
            "file://h/d",
            "a\nb",
        ] {
            assert!(way(wrong).is_err(), "{wrong}");
        }
        assert!(is_branch("main") && is_branch("feature/x-1"));
        for wrong in ["", "-x", "a..b", "a b", "refs/heads/x", "x.lock", "/x", "x/", "a//b", ".x", "@", "x~1"]
        {
            assert!(!is_branch(wrong), "{wrong}");
        }
    }

    #[test]
    fn understands_urls_as_far_as_needed() {
        let host = |text| url(text).map(|url| url.host);
        assert_eq!(host("https://mcp.linear.app/mcp"), Ok("mcp.linear.app"));
        assert_eq!(host("http://[::1]:80/x"), Ok("::1"));
        assert_eq!(host("https://${var:host}/mcp"), Ok(""));
        assert!(url("https://me:pw@host/").is_ok_and(|url| url.has_login));
        for wrong in
            ["mcp.linear.app", "ftp://x", "https://", "https://:80", "https://a:99999", "https://a b/"]
        {
            assert!(url(wrong).is_err(), "{wrong}");
        }
        assert!(is_loopback("127.0.0.2") && is_loopback("localhost") && !is_loopback("10.0.0.1"));
    }
}
