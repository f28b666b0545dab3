//! The manifest's source, and what `watch` is told: choices that go together, texts that parse.

use std::time::Duration;

use super::{Section, pointer};
use crate::base::{Diagnostic, mask};
use crate::manifest::model::{ManifestSource, Notify};
use crate::manifest::{LOCAL, On, Parsed, values};

/// How often a repository may be fetched at most.
const SHORTEST: Duration = Duration::from_secs(10);

/// What a duration looks like.
const DURATION: &str = "write it like `30s`; the units are ms, s, m, h and d";

/// Complains about a source in a file that is only included, and notes what does not count in a file of a
/// repository. The first file is the manifest itself.
pub fn misplaced(files: &[Parsed], found: &mut Vec<Diagnostic>) {
    let main = files.first().and_then(|parsed| parsed.file.as_deref()).map_or("", |file| &file.name);
    for parsed in files.iter().skip(1) {
        let Some(file) = &parsed.file else { continue };
        let at = |section: &str| file.place(&pointer(&[section]), On::Key);
        if parsed.is_sourced {
            let unused = LOCAL.iter().filter(|section| file.has(&pointer(&[section])));
            found.extend(unused.map(|section| {
                let message = format!("the {section} of the source are not used; write them in {main}");
                let message = match *section {
                    "settings" => message,
                    _ => message.replacen(" are ", " is ", 1).replacen(" them ", " it ", 1),
                };
                Diagnostic::note("not-used", message).at(at(section))
            }));
        } else if file.has("/source") {
            let message = "`source` stands in a file that is only included.";
            let hint = format!("move it to {main}");
            found.push(Diagnostic::error("misplaced-source", message).at(at("source")).hint(hint));
        }
    }
}

impl Section<'_> {
    pub fn watching(&mut self) {
        if let Some(source) = &self.manifest.source {
            self.manifest_source(source);
        }
        if let Some(watch) = &self.manifest.settings.watch {
            for (field, text) in
                [("debounce", &watch.debounce), ("max_wait", &watch.max_wait), ("interval", &watch.interval)]
            {
                let at = format!("/settings/watch/{field}");
                let fits = |text: &str| values::duration(text).is_some();
                self.text(&at, text, fits, "bad-duration", "This is no duration.", DURATION);
            }
        }
        for (index, notify) in self.manifest.settings.notify.iter().enumerate() {
            self.notify(&pointer(&["settings", "notify", &index.to_string()]), notify);
        }
    }

    fn manifest_source(&mut self, source: &ManifestSource) {
        if let Err((message, hint)) = values::repository(&source.git) {
            self.say(Diagnostic::error("bad-repository", message).hint(hint), "/source/git", On::Value);
        }
        let interval = source.interval.as_deref();
        if interval.is_some_and(|text| values::duration(text).is_none_or(|interval| interval < SHORTEST)) {
            let problem = Diagnostic::error("bad-duration", "This is no duration of at least 10 seconds.");
            self.say(
                problem.hint("write it like `5m`; the units are s, m, h and d"),
                "/source/interval",
                On::Value,
            );
        }
        let is_inside = |path: &str| {
            !path.is_empty()
                && !path.contains('\\')
                && path.split('/').all(|step| !matches!(step, "" | "." | ".." | ".git"))
        };
        if source.path.as_deref().is_some_and(|path| !is_inside(path)) {
            let problem = Diagnostic::error("bad-path", "This is no path inside a repository.");
            self.say(problem.hint("write it like `mcp.yaml` or `ai/mcp.yaml`"), "/source/path", On::Value);
        }
        if source.branch.as_deref().is_some_and(|branch| !values::is_branch(branch)) {
            let problem = Diagnostic::error("bad-branch", "This is no name of a branch.");
            self.say(
                problem.hint("write it like `main`, without `refs/heads/`"),
                "/source/branch",
                On::Value,
            );
        }
    }

    fn notify(&mut self, at: &str, notify: &Notify) {
        let given = [notify.webhook.is_some(), notify.command.is_some(), notify.desktop];
        if given.into_iter().filter(|given| *given).count() != 1 {
            let message = "Exactly one of `webhook`, `command` and `desktop: true` is needed here.";
            let problem = Diagnostic::error("one-of", message).hint("make an item of the list for each");
            self.say(problem, at, On::Value);
        }
        if let Some(webhook) = &notify.webhook {
            let field = format!("{at}/webhook");
            match values::url(webhook) {
                Err(why) => {
                    let message = format!("This is no address of a webhook: {why}.");
                    self.say(Diagnostic::error("bad-url", message), &field, On::Value);
                }
                Ok(url) if !url.is_tls && !values::is_loopback(url.host) && !url.host.is_empty() => {
                    let message =
                        "Plain `http`: nothing is posted to where everybody on the way can read it.";
                    let problem = Diagnostic::error("plain-http", message);
                    self.say(problem.hint("use an address that starts with `https://`"), &field, On::Value);
                }
                Ok(_) => {}
            }
        }
        match &notify.key {
            Some(_) if notify.webhook.is_none() => {
                let problem = Diagnostic::error("lonely-key", "Only a webhook is signed.");
                self.say(problem.hint("remove `key`"), &format!("{at}/key"), On::Key);
            }
            Some(key) if !key.contains("${") || mask::looks_secret("", key) => {
                let problem = Diagnostic::error("literal-secret", "The key stands in the manifest itself.");
                let hint = "store it with `mcpkeel secret set NAME` and write `${secret:NAME}`";
                self.say(problem.hint(hint), &format!("{at}/key"), On::Value);
            }
            _ => {}
        }
        if notify.command.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
            self.empty(&format!("{at}/command"));
        }
    }
}
