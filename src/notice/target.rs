//! Who is told, with every reference in its place.

use std::fmt;

use super::webhook::Webhook;
use crate::base::{Diagnostic, Secret};
use crate::desired::{self, Machine, Unit};
use crate::manifest::On;
use crate::manifest::model::{Notify, NotifyOn};
use crate::secrets::{Vault, with_machine};
use crate::store::{Event, Stand};
use crate::system::{Program, System};

/// One item of `settings.notify`, ready to be told.
pub struct Target {
    /// Which item of the list.
    index: usize,
    /// Nothing: every condition that is news.
    on: Vec<NotifyOn>,
    /// This machine's name.
    pub(super) host: String,
    pub(super) way: Way,
}

/// How it is told.
pub enum Way {
    Webhook(Webhook),
    Command(Program),
    Desktop,
}

/// Everyone whom the main manifest wants told, and what is wrong with the others. Looks secrets up, so ask only
/// when there is news.
pub fn targets(system: &dyn System, units: &[Unit]) -> (Vec<Target>, Vec<Diagnostic>) {
    let Some(main) = units.first() else { return (Vec::new(), Vec::new()) };
    let vault = Vault::new(system, units);
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    with_machine(system, units, |machine| {
        let filling = Filling { units, machine, vault: &vault };
        for (index, notify) in main.manifest.settings.notify.iter().enumerate() {
            match filling.way(notify) {
                Ok(way) => {
                    let host = machine.host.to_owned();
                    targets.push(Target { index, on: notify.on.clone(), host, way });
                }
                Err(problem) => {
                    let message = format!("settings.notify[{index}] cannot be told: {}", problem.message);
                    let at = main.file.place(&format!("/settings/notify/{index}"), On::Value);
                    problems.push(Diagnostic { message, ..*problem }.at(at));
                }
            }
        }
    });
    (targets, problems)
}

struct Filling<'a> {
    units: &'a [Unit],
    machine: &'a Machine<'a>,
    vault: &'a Vault<'a>,
}

impl Filling<'_> {
    fn way(&self, notify: &Notify) -> Result<Way, Box<Diagnostic>> {
        if let Some(webhook) = &notify.webhook {
            let key = notify.key.as_deref().map(|key| self.fill(key)).transpose()?;
            return Ok(Way::Webhook(Webhook::new(&self.fill(webhook)?, key.as_ref())?));
        }
        let Some(argv) = &notify.command else { return Ok(Way::Desktop) };
        let mut argv = argv.iter().map(|text| self.fill(text)).collect::<Result<Vec<_>, _>>()?.into_iter();
        // `manifest::check` has refused a list without a program; should one come here, it cannot be started.
        let command = argv.next().unwrap_or_else(|| Secret::new(String::new()));
        let dir = &self.units[0].dir;
        let has_dir = std::path::Path::new(command.expose()).components().count() > 1;
        let command = match has_dir {
            true => Secret::new(dir.join(command.expose()).to_string_lossy().into_owned()),
            false => command,
        };
        Ok(Way::Command(Program { command, args: argv.collect(), env: Vec::new(), cwd: Some(dir.clone()) }))
    }

    fn fill(&self, text: &str) -> Result<Secret<String>, Box<Diagnostic>> {
        self.vault.fill(&desired::text(text, self.units, 0, self.machine))
    }
}

impl Target {
    /// Whether it wants to hear of this event.
    pub fn wants(&self, event: &Event) -> bool {
        let on = match event.condition {
            Some(Stand::Ready) => NotifyOn::Ready,
            Some(Stand::Stalled) => NotifyOn::Stalled,
            Some(Stand::Contended) => NotifyOn::Contended,
            Some(Stand::Reconciling) | None => return false,
        };
        self.on.is_empty() || self.on.contains(&on)
    }

    pub(super) fn is_desktop(&self) -> bool {
        matches!(self.way, Way::Desktop)
    }
}

impl fmt::Display for Target {
    /// "the webhook of settings.notify[0] (hooks.example.com)"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index;
        match &self.way {
            Way::Webhook(webhook) => {
                write!(f, "the webhook of settings.notify[{index}] ({})", webhook.host())
            }
            Way::Command(_) => write!(f, "the command of settings.notify[{index}]"),
            Way::Desktop => write!(f, "the desktop of settings.notify[{index}]"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
