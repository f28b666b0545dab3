//! How one server reaches one client: directly, or through `mcpkeel exec`.
//!
//! Invariant: an entry holds the value of a secret only where the client's block says
//! `secrets: write`.

use super::ours::Us;
use super::pin::{Named, pin, texts};
use super::text::{Kept, fill};
use super::{Chosen, Machine, Target, Unit, source_of};
use crate::base::mask::{Masker, hide_tokens, is_secret_name, looks_secret};
use crate::base::{Diagnostic, Fingerprint, Hidden, Pointer, Secret};
use crate::clients::{Filter, Launch, Part, Place, Rendered, Text, Wanted};
use crate::manifest::model::{Delivery, SecretSource, Server, Transport};

/// An entry as it will stand in the client's file, with the reason for its form.
pub(super) struct Delivered {
    pub(super) rendered: Rendered,
    /// One sentence.
    pub(super) why: String,
    /// What `mcpkeel exec` starts or opens.
    pub(super) starts: Option<String>,
    /// Whether the values of secrets stand in it.
    pub(super) writes: bool,
    /// What it would hold if somebody put the values in place of the references.
    pub(super) leaks: Vec<Leak>,
    /// Values that a text about it might show.
    pub(super) hidden: Hidden,
}

/// A place where a reference to a secret stands, or where its value would.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// In the entry.
    pub at: Pointer,
    /// What would stand there; none where the value is not known now.
    pub value: Option<Fingerprint>,
}

/// Decides how a server reaches a client, and says its entry.
///
/// # Errors
/// Why this version cannot deliver it at all.
pub(super) fn deliver(
    target: &Target,
    chosen: &Chosen,
    place: &Place,
    units: &[Unit],
    machine: &Machine<'_>,
) -> Result<Delivered, Box<Diagnostic>> {
    refuse_unbuilt(target, chosen)?;
    let delivery = Delivering { target, chosen, place, units, machine };
    match target.delivery {
        Delivery::Direct => delivery.direct(),
        Delivery::Exec => delivery.exec("exec, as asked"),
        // One entry for all of them is the business of `gateway`.
        Delivery::Auto | Delivery::Gateway => delivery.whatever_works(),
    }
}

/// What is started or opened for a server that mcpkeel runs itself, for a person.
///
/// # Errors
/// Why this version cannot run it at all.
pub(super) fn starts(
    target: &Target,
    chosen: &Chosen,
    place: &Place,
    units: &[Unit],
    machine: &Machine<'_>,
) -> Result<String, Box<Diagnostic>> {
    refuse_unbuilt(target, chosen)?;
    let delivery = Delivering { target, chosen, place, units, machine };
    Ok(delivery.starts(&delivery.reach(Kept::AsVariable)?))
}

fn refuse_unbuilt(target: &Target, chosen: &Chosen) -> Result<(), Box<Diagnostic>> {
    let not_yet = |what: &str, hint: &str| {
        let message =
            format!("`{}` for `{}` {what}, which this version cannot deliver yet", chosen.name, target.key);
        Err(Box::new(Diagnostic::error("not-yet", message).hint(hint)))
    };
    if chosen.server.package.is_some() {
        let hint = "name the command that runs it, such as `command: npx` and `args: [-y, NAME@VERSION]`";
        return not_yet("comes from a `package`", hint);
    }
    if chosen.server.source.is_some() {
        return not_yet("comes from a `source`", "build it by hand and name the command that runs it");
    }
    Ok(())
}

struct Delivering<'a> {
    target: &'a Target,
    chosen: &'a Chosen,
    place: &'a Place,
    units: &'a [Unit],
    machine: &'a Machine<'a>,
}

impl Delivering<'_> {
    /// Directly where that does what was asked, else through exec.
    fn whatever_works(&self) -> Result<Delivered, Box<Diagnostic>> {
        let direct = self.direct()?;
        // A text that the client might replace is as good as one that it does.
        let is_wrong = |problem: &&Diagnostic| problem.is_error() || problem.code == "literal-expands";
        let Some(problem) = direct.rendered.problems.iter().find(is_wrong) else { return Ok(direct) };
        let exec = self.exec(&format!("exec: {}", self.reason(problem)))?;
        Ok(if exec.rendered.is_refused() { direct } else { exec })
    }

    fn reason(&self, problem: &Diagnostic) -> String {
        let mut secrets = Vec::new();
        if let (true, Ok(reached)) = (problem.code == "needs-secret", self.reach(Kept::AsVariable)) {
            each_text(&reached, |text| {
                let is_new = |name: &&str| {
                    !secrets.iter().any(|known| known == name)
                        && (!self.target.writes_secrets || self.is_printed(name))
                };
                let new: Vec<&str> = text.secrets().filter(is_new).collect();
                secrets.extend(new.into_iter().map(str::to_owned));
            });
        }
        match secrets.as_slice() {
            [] => problem.message.clone(),
            names if self.target.writes_secrets => format!(
                "`{}` is printed by a program, which is not run to look at a manifest",
                names.join("`, `")
            ),
            names => format!("needs `{}` at launch", names.join("`, `")),
        }
    }

    fn direct(&self) -> Result<Delivered, Box<Diagnostic>> {
        let writes = self.target.writes_secrets;
        let kept = if writes { Kept::AsSecret } else { Kept::AsVariable };
        let reached = self.reach(kept)?;
        let mut hidden = Hidden::default();
        let (launch, written) = match writes {
            true => self.written(&reached, &mut hidden)?,
            false => (reached, Vec::new()),
        };
        let mut rendered = self.render(launch.clone(), true);
        rendered.problems.extend(self.mangled(&launch));
        let leaks = self.leaks(&launch, &rendered, &mut hidden);
        let why = match written.as_slice() {
            [] => "direct".to_owned(),
            names => format!("direct; WRITES the value of `{}` into the file", names.join("`, `")),
        };
        Ok(Delivered { rendered, why, starts: None, writes: !written.is_empty(), leaks, hidden })
    }

    fn exec(&self, why: &str) -> Result<Delivered, Box<Diagnostic>> {
        let reached = self.reach(Kept::AsVariable)?;
        let mut launch = self.through_us(&self.variables(&reached));
        if self.render(launch.clone(), false).is_refused() {
            // A client without a syntax for variables passes its own on, or nothing can.
            launch = self.through_us(&[]);
        }
        let says_filter = self.says_filter(&launch);
        let mut rendered = self.render(launch.clone(), says_filter);
        rendered.problems.extend(self.mangled(&launch));
        let mut hidden = Hidden::default();
        let leaks = self.leaks(&launch, &rendered, &mut hidden);
        let starts = Some(self.starts(&reached));
        Ok(Delivered { rendered, why: why.to_owned(), starts, writes: false, leaks, hidden })
    }

    /// Variables whose values the client would change on the way.
    fn mangled(&self, launch: &Launch) -> Option<Diagnostic> {
        let Launch::Stdio { args, env, .. } = launch else { return None };
        let again = &self.target.client.row().variables.as_ref()?.again;
        let does = |field: &str| again.iter().any(|word| word == field);
        let args = args.iter().filter(|_| does("args"));
        let texts = args.chain(env.iter().map(|(_, text)| text).filter(|_| does("env")));
        let mut names = texts.flat_map(Text::variables);
        let name = names.find(|name| (self.machine.var)(name).is_some_and(|value| value.contains('$')))?;
        let client = self.target.client.name();
        let message = format!(
            "the value of {name} holds a `$`, and {client} expands what it put in once more: `{}` gets something else",
            self.chosen.name
        );
        let hint = "keep the value as a secret in the keyring, in an age file or in a file instead";
        Some(Diagnostic::warning("expanded-again", message).hint(hint))
    }

    fn starts(&self, reached: &Launch) -> String {
        format!("{}{}", started(reached), self.sources())
    }

    /// Where the secrets come from that it is given, for a person.
    fn sources(&self) -> String {
        let mut named = Named::default();
        texts(&self.chosen.server).iter().for_each(|text| named.follow(text, self.units));
        let source = |name: &String| {
            let (_, source) = source_of(self.units, name)?;
            let from = match source {
                SecretSource { keyring: Some(entry), .. } => format!("the keyring's `{entry}`"),
                SecretSource { age: Some(path), .. } => format!("the age file {path}"),
                SecretSource { env: Some(variable), .. } => format!("the variable {variable}"),
                SecretSource { command: Some(argv), .. } => format!("the command `{}`", argv.join(" ")),
                SecretSource { file: Some(path), .. } => format!("the file {path}"),
                SecretSource { .. } => return None,
            };
            Some(format!("{name} from {}", hide_tokens(&from)))
        };
        let sources: Vec<String> = named.secrets.keys().filter_map(source).collect();
        if sources.is_empty() { String::new() } else { format!("; secrets: {}", sources.join(", ")) }
    }

    fn reach(&self, kept: Kept) -> Result<Launch, Box<Diagnostic>> {
        reach_with(&self.chosen.server, self.units, self.chosen.unit, self.machine, kept)
    }

    fn says_filter(&self, launch: &Launch) -> bool {
        self.target.client.says(launch, &self.filter()).is_some()
    }

    fn filter(&self) -> Filter {
        Filter { allow: self.chosen.tools.allow.clone(), deny: self.chosen.tools.deny.clone() }
    }

    fn render(&self, launch: Launch, filters: bool) -> Rendered {
        let (chosen, client) = (self.chosen, &self.target.client);
        let wanted = Wanted {
            name: chosen.name.clone(),
            description: chosen.server.description.clone(),
            launch,
            enabled: chosen.enabled,
            tools: if filters { self.filter() } else { Filter::default() },
            extra: chosen.server.extra.get(client.id()).cloned().unwrap_or_default(),
        };
        client.render(&wanted, self.place)
    }

    /// The launch by way of `mcpkeel exec`.
    fn through_us(&self, variables: &[String]) -> Launch {
        let us = Us { target: self.target, units: self.units, machine: self.machine };
        let mut args = vec!["exec".to_owned(), self.chosen.name.clone()];
        let filters = !self.filter().is_empty() && !self.says_filter(&us.launch(args.clone(), variables));
        if filters {
            args.extend(["--client".to_owned(), self.target.key.clone()]);
        }
        args.extend(us.manifest());
        // Only the files of a source lie in the state directory.
        if self.units.iter().any(|unit| unit.sourced.is_some()) {
            args.extend(us.state_dir());
        }
        args.extend(["--pin".to_owned(), pin(self.chosen, filters, self.units)]);
        us.launch(args, variables)
    }

    /// The variables that a launch through exec needs from the client.
    fn variables(&self, reached: &Launch) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        each_text(reached, |text| text.variables().for_each(&mut add));
        let mut named = Named::default();
        texts(&self.chosen.server).iter().for_each(|text| named.follow(text, self.units));
        let is_age =
            |name: &String| source_of(self.units, name).is_some_and(|(_, source)| source.age.is_some());
        const IDENTITY: &str = "MCPKEEL_AGE_IDENTITY";
        if named.secrets.keys().any(is_age) && (self.machine.var)(IDENTITY).is_some() {
            add(IDENTITY);
        }
        names
    }

    /// Whether a program prints it: who looks at a manifest has not agreed yet to run what is in it.
    fn is_printed(&self, secret: &str) -> bool {
        source_of(self.units, secret).is_some_and(|(_, source)| source.command.is_some())
    }

    /// The launch with the values of secrets in it, and which secrets these are.
    fn written(
        &self,
        reached: &Launch,
        hidden: &mut Hidden,
    ) -> Result<(Launch, Vec<String>), Box<Diagnostic>> {
        let mut written: Vec<String> = Vec::new();
        let launch = map_texts(reached, &mut |text| {
            let mut filled = Text::default();
            for part in text.parts() {
                match part {
                    Part::Secret(name) if !self.is_printed(name) => {
                        let value = (self.machine.secret)(name)?;
                        filled.push(Part::Literal(value.expose().clone()));
                        hidden.add(value);
                        if !written.contains(name) {
                            written.push(name.clone());
                        }
                    }
                    part => filled.push(part.clone()),
                }
            }
            Ok::<_, Box<Diagnostic>>(filled)
        })?;
        Ok((launch, written))
    }

    /// Where the values of secrets would stand if somebody filled in the references.
    fn leaks(&self, launch: &Launch, rendered: &Rendered, hidden: &mut Hidden) -> Vec<Leak> {
        let mut refers = false;
        each_text(launch, |text| refers |= text.variables().any(|name| self.is_secret(name)));
        if !refers || rendered.is_refused() {
            return Vec::new();
        }
        let mut unknown = false;
        let exposed = map_texts(launch, &mut |text| {
            let fill = |part: &Part| match part {
                Part::Env(name) if self.is_secret(name) => {
                    let value = (self.machine.var)(name);
                    unknown |= value.is_none();
                    // What stands for an unknown value is never compared.
                    Part::Literal(value.unwrap_or_else(|| "unknown".to_owned()))
                }
                part => part.clone(),
            };
            Ok::<_, Box<Diagnostic>>(text.parts().iter().map(fill).collect())
        });
        let Ok(exposed) = exposed else { return Vec::new() };
        each_text(launch, |text| {
            let secret = text.variables().filter(|name| self.is_secret(name));
            secret.filter_map(self.machine.var).for_each(|value| hidden.add(Secret::new(value)));
        });
        let filled = self.render(exposed, true);
        // A value that cannot be written here cannot be recognised here.
        unknown |= filled.is_refused();
        let mut leaks = Vec::new();
        for (at, value) in &filled.fields {
            for (at, text) in leaves(at, value) {
                let is_usual = rendered.fields.iter().any(|(field, value)| {
                    let steps = at.0.strip_prefix(field.0.as_slice());
                    let found = steps.and_then(|steps| Pointer::follow(steps, value));
                    found.is_some_and(|found| leaves(&at, found).iter().any(|(_, usual)| *usual == text))
                });
                if !is_usual {
                    let value = (!unknown).then(|| Fingerprint::of(text.as_bytes()));
                    leaks.push(Leak { at, value });
                }
            }
        }
        leaks
    }

    /// Whether a variable holds a secret: the manifest says so, or its name or value does.
    fn is_secret(&self, variable: &str) -> bool {
        let mut sources = self.units.iter().flat_map(|unit| unit.manifest.secrets.values());
        sources.any(|source| source.env.as_deref() == Some(variable))
            || is_secret_name(variable)
            || (self.machine.var)(variable).is_some_and(|value| looks_secret(variable, &value))
    }
}

/// What is started or opened, for a person: references as the manifest writes them, what looks like
/// a secret hidden.
fn started(launch: &Launch) -> String {
    let text = |name: &str, text: &Text| {
        let parts = text.parts().iter().map(|part| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Env(name) => format!("${{env:{name}}}"),
            Part::Secret(name) => format!("${{secret:{name}}}"),
        });
        let text: String = parts.collect();
        let mut masker = Masker::default();
        masker.learn(&serde_json::json!({ name: text }));
        masker.hide(&text)
    };
    let pairs = |what: &str, pairs: &[(String, Text)]| match pairs {
        [] => String::new(),
        pairs => {
            let named: Vec<String> = pairs.iter().map(|(name, _)| name.clone()).collect();
            format!(" ({what} {})", named.join(", "))
        }
    };
    match launch {
        Launch::Stdio { command, args, env, cwd } => {
            let mut before = String::new();
            let mut words = vec![text("", command)];
            for arg in args {
                let word = text(&before, arg);
                before =
                    if word.starts_with('-') && !word.contains('=') { word.clone() } else { String::new() };
                words.push(if word.is_empty() || word.contains(char::is_whitespace) {
                    format!("{word:?}")
                } else {
                    word
                });
            }
            let dir = cwd.as_ref().map(|cwd| format!(" in {}", text("", cwd))).unwrap_or_default();
            format!("{}{dir}{}", words.join(" "), pairs("with", env))
        }
        Launch::Http { url, headers } | Launch::Sse { url, headers } => {
            format!("{}{}", text("url", url), pairs("with", headers))
        }
    }
}

/// Every text inside a value, by its place.
fn leaves<'v>(at: &Pointer, value: &'v serde_json::Value) -> Vec<(Pointer, &'v str)> {
    match value {
        serde_json::Value::String(text) => vec![(at.clone(), text)],
        serde_json::Value::Object(members) => {
            members.iter().flat_map(|(key, value)| leaves(&at.key(key), value)).collect()
        }
        // Which one it is matters less than that it stands in the list.
        serde_json::Value::Array(items) => items.iter().flat_map(|value| leaves(at, value)).collect(),
        _ => Vec::new(),
    }
}

/// How a server with a `command` or a `url` is started or reached; secrets that live in the
/// environment are references to it, the others references of their own.
///
/// # Errors
/// A directory that cannot be worked out.
pub fn reach(
    server: &Server,
    units: &[Unit],
    unit: usize,
    machine: &Machine<'_>,
) -> Result<Launch, Box<Diagnostic>> {
    reach_with(server, units, unit, machine, Kept::AsVariable)
}

/// Variables that a server refers to and that are not set on this machine.
pub fn unset(chosen: &Chosen, units: &[Unit], machine: &Machine<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(launch) = reach(&chosen.server, units, chosen.unit, machine) {
        each_text(&launch, |text| {
            let unset = text.variables().filter(|name| (machine.var)(name).is_none());
            found.extend(unset.map(str::to_owned));
        });
    }
    found
}

fn reach_with(
    server: &Server,
    units: &[Unit],
    unit: usize,
    machine: &Machine<'_>,
    kept: Kept,
) -> Result<Launch, Box<Diagnostic>> {
    let fill = |text: &str| fill(text, units, unit, machine, kept);
    let pairs = |map: &indexmap::IndexMap<String, crate::manifest::model::Scalar>| {
        map.iter().map(|(key, text)| (key.clone(), fill(&text.0))).collect::<Vec<_>>()
    };
    if let Some(url) = &server.url {
        let (url, headers) = (fill(url), pairs(&server.headers));
        return Ok(match server.transport.unwrap_or_default() {
            Transport::Http => Launch::Http { url, headers },
            Transport::Sse => Launch::Sse { url, headers },
        });
    }
    Ok(Launch::Stdio {
        command: fill(server.command.as_deref().unwrap_or_default()),
        args: server.args.iter().map(|arg| fill(arg)).collect(),
        env: pairs(&server.env),
        cwd: match &server.cwd {
            Some(cwd) => {
                Some(Text::from(super::text::path(cwd, units, unit, machine)?.display().to_string()))
            }
            None => None,
        },
    })
}

fn each_text(launch: &Launch, mut then: impl FnMut(&Text)) {
    match launch {
        Launch::Stdio { command, args, env, cwd } => {
            then(command);
            args.iter().chain(env.iter().map(|(_, text)| text)).chain(cwd).for_each(then);
        }
        Launch::Http { url, headers } | Launch::Sse { url, headers } => {
            then(url);
            headers.iter().for_each(|(_, text)| then(text));
        }
    }
}

fn map_texts<E>(launch: &Launch, map: &mut impl FnMut(&Text) -> Result<Text, E>) -> Result<Launch, E> {
    let pairs = |pairs: &[(String, Text)], map: &mut dyn FnMut(&Text) -> Result<Text, E>| {
        pairs.iter().map(|(name, text)| Ok((name.clone(), map(text)?))).collect::<Result<Vec<_>, E>>()
    };
    Ok(match launch {
        Launch::Stdio { command, args, env, cwd } => Launch::Stdio {
            command: map(command)?,
            args: args.iter().map(&mut *map).collect::<Result<_, E>>()?,
            env: pairs(env, map)?,
            cwd: cwd.as_ref().map(&mut *map).transpose()?,
        },
        Launch::Http { url, headers } => Launch::Http { url: map(url)?, headers: pairs(headers, map)? },
        Launch::Sse { url, headers } => Launch::Sse { url: map(url)?, headers: pairs(headers, map)? },
    })
}
