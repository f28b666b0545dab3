use std::path::{Path, PathBuf};

use super::args::Global;
use super::failure::Failure;
use super::out::Out;
use crate::base::{Diagnostic, Severity};
use crate::plan::{Ledger, Options, Plan};
use crate::reconcile::{self, Care, Loaded, ManifestEdit, Scene, Which};
use crate::source;
use crate::store::{StateLock, Store, load_json};
use crate::system::System;

/// One run of the program: arguments become settings once, here.
pub struct Session<'a> {
    pub system: &'a dyn System,
    pub out: Out,
    manifest: Option<PathBuf>,
    state_dir: Option<PathBuf>,
}

impl<'a> Session<'a> {
    pub fn new(system: &'a dyn System, global: &Global) -> Self {
        let absolute = |path: &PathBuf| match system.cwd() {
            Ok(cwd) => cwd.join(path),
            Err(_) => path.clone(),
        };
        let no_color = system.env("NO_COLOR").is_some();
        Self {
            system,
            out: Out::new(global.quiet, global.verbose, no_color),
            manifest: global.manifest.as_ref().map(absolute),
            state_dir: global.state_dir.as_ref().map(absolute),
        }
    }

    /// Flushes and turns a lost standard output into a failure.
    pub fn finish(mut self, code: u8) -> u8 {
        match self.out.failed() {
            Some(error) => {
                self.out.complain(format!("error: standard output cannot be written: {error}"));
                code.max(1)
            }
            None => code,
        }
    }

    /// Takes this manifest unless the user named one.
    pub fn use_manifest(&mut self, path: &Path) {
        self.manifest.get_or_insert_with(|| path.to_owned());
    }

    /// The manifest's path: the flag, the environment, the working directory, the config directory.
    pub fn manifest_path(&self) -> PathBuf {
        let cwd = self.system.cwd().unwrap_or_default();
        if let Some(path) = &self.manifest {
            return path.clone();
        }
        if let Some(path) = self.system.env("MCPKEEL_MANIFEST") {
            return cwd.join(path);
        }
        let here = cwd.join("mcp.yaml");
        if self.system.meta(&here).is_ok() {
            return here;
        }
        let shared = self.config_dir().join("mcpkeel").join("mcp.yaml");
        if self.system.meta(&shared).is_ok() { shared } else { here }
    }

    /// The manifest that the user named with the flag.
    pub fn named_manifest(&self) -> Option<PathBuf> {
        self.manifest.clone()
    }

    /// Where programs keep their configuration.
    pub fn config_dir(&self) -> PathBuf {
        let home = self.system.home().unwrap_or_default();
        match self.system.env("XDG_CONFIG_HOME") {
            Some(dir) => PathBuf::from(dir),
            None if self.system.os() == "windows" => {
                self.system.env("APPDATA").map_or_else(|| home.join("AppData/Roaming"), PathBuf::from)
            }
            None => home.join(".config"),
        }
    }

    /// The state directory; nothing is created here.
    pub fn store(&self) -> Store {
        let asked = self.state_dir.clone().or_else(|| {
            let dir = PathBuf::from(self.system.env("MCPKEEL_STATE_DIR")?);
            Some(self.system.cwd().unwrap_or_default().join(dir))
        });
        let dir = asked.or_else(|| Store::usual_dir(self.system));
        Store::at(dir.unwrap_or_else(|| PathBuf::from("/nonexistent/no-home-directory")))
    }

    /// The manifest as it stands, errors and all.
    pub fn read(&self, which: Which<'_>, care: Care) -> Loaded {
        reconcile::load(self.system, &self.manifest_path(), self.store().dir(), which, care)
    }

    /// The manifest with its includes and its source, which is fetched when there is nothing of it yet.
    ///
    /// # Errors
    /// [`Failure::Invalid`] with everything that is wrong with it. Warnings are printed.
    pub fn load(&mut self) -> Result<Loaded, Failure> {
        self.load_fresh(false)
    }

    /// The same, with the source fetched first if that is asked for.
    pub fn load_fresh(&mut self, fetch: bool) -> Result<Loaded, Failure> {
        let mut loaded = self.read(Which::Newest, Care::Quick);
        match &loaded.source {
            Some(source) if fetch || !source.is_current => loaded = self.fetch(loaded)?,
            None if fetch && loaded.is_valid() => self.out.say("note: the manifest has no source to fetch"),
            _ => {}
        }
        if !loaded.is_valid() {
            return Err(Failure::Invalid(loaded.diagnostics));
        }
        let warnings: Vec<Diagnostic> = loaded
            .diagnostics
            .iter()
            .filter(|problem| problem.severity == Severity::Warning || self.out.verbose)
            .cloned()
            .collect();
        self.notes(&warnings);
        Ok(loaded)
    }

    /// Fetches the manifest's source. When that fails the last good revision is used, with a warning.
    fn fetch(&mut self, loaded: Loaded) -> Result<Loaded, Failure> {
        let store = self.store();
        let is_own = |problem: &&Diagnostic| problem.is_error() && problem.code != "not-fetched";
        if loaded.sourced().is_none() && loaded.diagnostics.iter().any(|problem| is_own(&problem)) {
            return Ok(loaded);
        }
        let from = loaded.units.first().and_then(|main| source::of(self.system, store.dir(), main));
        if let Some(from) = from {
            self.out.say(format!("fetching {}", from.address()));
        }
        match reconcile::fetch(self.system, &loaded, store.dir()) {
            Ok(fetched) => fetched.notes.iter().for_each(|note| self.out.say(format!("note: {note}"))),
            Err(problem) => {
                let Some(last) = loaded.sourced() else { return Err(problem.into()) };
                let message = format!("{}; {} is used", problem.message, last.short());
                self.notes(&[Diagnostic::warning("not-fetched", message).hint(problem.hint)]);
            }
        }
        Ok(self.read(Which::Newest, Care::Quick))
    }

    /// Prints remarks about the work at hand: notes in a line each, the rest with its place.
    pub fn notes(&mut self, notes: &[Diagnostic]) {
        let (notes, problems): (Vec<Diagnostic>, Vec<Diagnostic>) =
            notes.iter().cloned().partition(|note| note.severity == Severity::Note);
        if !problems.is_empty() {
            let text = super::diagnostics::text(&problems, self.out.colors_errors());
            match problems.iter().any(Diagnostic::is_error) {
                true => self.out.complain(text.trim_end()),
                false => self.out.say(text.trim_end()),
            }
        }
        for note in notes {
            self.out.say(format!("note: {}", note.message));
        }
    }

    /// What is ours, as far as the state says.
    pub fn ledger(&self) -> Result<Ledger, Failure> {
        Ok(load_json(self.system, &self.store().path("ledger.json"), 1)?.unwrap_or_default())
    }

    /// The plan for what is loaded; writes nothing.
    pub fn plan(&self, loaded: &Loaded, options: Options, only: Option<&str>) -> Result<Plan, Failure> {
        let ledger = self.ledger()?;
        // Without a key there is no ledger either, so any key will do.
        let key = self.store().known_machine_key(self.system)?.unwrap_or_default();
        if let Some(only) = only {
            self.check_client(loaded, &ledger, only)?;
        }
        Ok(reconcile::make_plan(&Scene { system: self.system, loaded, ledger: &ledger, key, options, only }))
    }

    /// Takes the state for a run that writes, and brings a run that was cut off in order.
    ///
    /// # Errors
    /// [`Failure::Locked`] when another run holds it.
    pub fn lock(&mut self, command: &str) -> Result<(Store, StateLock), Failure> {
        let store = self.store();
        let lock = store.lock(self.system, command).map_err(Failure::from)?;
        let recovered = reconcile::recover::recover(self.system, &store, &lock)?;
        for line in recovered.sentences() {
            self.out.say(line);
        }
        Ok((store, lock))
    }

    /// The machine's key, made if there is none yet.
    pub fn machine_key(&self, command: &str) -> Result<[u8; 32], Failure> {
        let store = self.store();
        if let Some(key) = store.known_machine_key(self.system)? {
            return Ok(key);
        }
        let lock = store.lock(self.system, command)?;
        Ok(store.machine_key(self.system, &lock)?)
    }

    fn check_client(&self, loaded: &Loaded, ledger: &Ledger, only: &str) -> Result<(), Failure> {
        let mut known: Vec<&str> = loaded
            .units
            .iter()
            .flat_map(|unit| &unit.manifest.clients)
            .flat_map(|(key, block)| match &block.client {
                Some(crate::manifest::model::ClientRef::Id(id)) => vec![key.as_str(), id.as_str()],
                _ => vec![key.as_str()],
            })
            .collect();
        let records = ledger.files.values().flat_map(|record| &record.targets);
        known.extend(records.flat_map(|(key, target)| [key.as_str(), target.client.as_str()]));
        if known.contains(&only) {
            return Ok(());
        }
        let hint = match crate::base::closest(only, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the manifest names {}", known.join(", ")),
        };
        Err(Failure::Usage { message: format!("the manifest has no client `{only}`"), hint })
    }

    /// Writes new texts of manifests.
    pub fn write_manifests(&mut self, command: &str, edits: Vec<ManifestEdit>) -> Result<(), Failure> {
        let (store, lock) = self.lock(command)?;
        let site = reconcile::Site { system: self.system, store: &store, lock: &lock };
        Ok(reconcile::write_manifests(&site, command, edits)?)
    }

    /// Goes on only when the user agrees; `unless` says how to go on without a terminal.
    ///
    /// # Errors
    /// [`Failure::Refused`] with `refused` when the user does not.
    pub fn agree(&self, question: &str, refused: &str, unless: &str) -> Result<(), Failure> {
        let (message, hint) = match self.ask(question) {
            Some(true) => return Ok(()),
            Some(false) => (refused, "nothing was changed".to_owned()),
            None => ("there is no terminal to ask on", format!("{unless}; nothing was changed")),
        };
        Err(Failure::Refused { message: message.to_owned(), hint })
    }

    /// Asks a yes-or-no question on the terminal; none when there is no terminal.
    pub fn ask(&self, question: &str) -> Option<bool> {
        use std::io::{BufRead as _, IsTerminal as _, Write as _};
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        let mut err = std::io::stderr().lock();
        write!(err, "{question} [y/N] ").and_then(|()| err.flush()).ok()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}
