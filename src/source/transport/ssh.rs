use std::io::{self, Read, Write};
use std::sync::Arc;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};

use super::{MOST, Ways, trouble};
use crate::system::Pipe;

/// How much of what ssh says is shown.
const LINES: usize = 3;

/// A repository behind `ssh`: the user's configuration, agent and known hosts hold.
pub(super) struct Ssh(pub Arc<Ways>);

impl SmartSubtransport for Ssh {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        if !matches!(action, Service::UploadPackLs | Service::UploadPack) {
            return Err(trouble("nothing is ever pushed"));
        }
        let place = Place::of(url).ok_or_else(|| trouble("this is no address that ssh takes"))?;
        let Ways { ssh, dir, patience } = &*self.0;
        let pipe =
            Pipe::start(&place.argv(ssh), &[], dir, *patience).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => trouble(format!("the program {ssh} is not installed")),
                _ => trouble(format!("{ssh} cannot be started: {error}")),
            })?;
        Ok(Box::new(Stream { pipe, left: MOST }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// Where a repository lies.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// With the user in front, if there is one.
    host: String,
    port: Option<u16>,
    path: String,
}

impl Place {
    /// `ssh://[user@]host[:port]/path` or `[user@]host:path`; none where an option of ssh would come of it.
    fn of(url: &str) -> Option<Self> {
        let (host, port, path) = match url.split_once("://") {
            Some((_, rest)) => {
                let (place, path) = rest.split_once('/')?;
                let (host, port) = split_port(place)?;
                // `/~me/x` is below somebody's home.
                let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
                (host, port, path)
            }
            None => {
                let at = url.find("]:").map(|at| at + 1).or_else(|| url.find(':'))?;
                (url[..at].to_owned(), None, url[at + 1..].to_owned())
            }
        };
        let (user, name) =
            host.rsplit_once('@').map_or((None, host.as_str()), |(user, name)| (Some(user), name));
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let is_option = |text: &str| text.is_empty() || text.starts_with('-');
        if is_option(name) || user.is_some_and(is_option) || is_option(&path) {
            return None;
        }
        let host = user.map_or_else(|| name.to_owned(), |user| format!("{user}@{name}"));
        Some(Self { host, port, path })
    }

    fn argv(&self, ssh: &str) -> Vec<String> {
        let mut argv = vec![ssh.to_owned(), "-o".to_owned(), "BatchMode=yes".to_owned()];
        if let Some(port) = self.port {
            argv.extend(["-p".to_owned(), port.to_string()]);
        }
        // The other side's shell reads this.
        let path = self.path.replace('\'', r"'\''").replace('!', r"'\!'");
        argv.extend([self.host.clone(), format!("git-upload-pack '{path}'")]);
        argv
    }
}

fn split_port(place: &str) -> Option<(String, Option<u16>)> {
    match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((host.to_owned(), Some(port.parse().ok()?))),
        _ => Some((place.to_owned(), None)),
    }
}

struct Stream {
    pipe: Pipe,
    left: u64,
}

impl Stream {
    /// The end of the connection with what ssh said about it: the library never asks for more than there is.
    fn ended(&mut self) -> io::Error {
        let said = self.pipe.complaints();
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        let last: String = last.join(" / ").chars().filter(|c| !c.is_control()).collect();
        io::Error::other(match last.is_empty() {
            true => "ssh ended without a word".to_owned(),
            false => format!("ssh says: {last}"),
        })
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.pipe.read(into) {
            Ok(0) if !into.is_empty() => Err(self.ended()),
            Ok(read) => {
                let left = self.left.checked_sub(read as u64);
                self.left = left.ok_or_else(|| io::Error::other("it sends too much"))?;
                Ok(read)
            }
            Err(error) => Err(error),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes).map_err(|_| self.ended())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn argv(url: &str) -> String {
        Place::of(url).unwrap_or_else(|| panic!("{url}")).argv("ssh")[3..].join(" ")
    }

    #[test]
    fn says_to_ssh_what_git_says() {
        assert_eq!(argv("git@host:me/dots"), "git@host git-upload-pack 'me/dots'");
        assert_eq!(argv("ssh://host/srv/dots"), "host git-upload-pack '/srv/dots'");
        assert_eq!(argv("ssh://me@host:2222/~/dots"), "-p 2222 me@host git-upload-pack '~/dots'");
        assert_eq!(argv("ssh://[::1]:22/x"), "-p 22 ::1 git-upload-pack '/x'");
        assert_eq!(argv("me@[::1]:x"), "me@::1 git-upload-pack 'x'");
        assert_eq!(argv("host:it's!"), r"host git-upload-pack 'it'\''s'\!''");
    }

    #[test]
    fn no_address_becomes_an_option() {
        for url in [
            "-oProxyCommand=x:y",
            "a@-oProxyCommand=x:y",
            "ssh://-x/y",
            "ssh://a@-x/y",
            "host:",
            "host:-x",
            "ssh://h:x/y",
        ] {
            assert_eq!(Place::of(url), None, "{url}");
        }
    }
}
