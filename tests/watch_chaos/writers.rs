//! The five programs. Start at [`the_writer`]; the ways of writing are in [`Client::write`].

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value, json};

use crate::support::Sandbox;

/// What the writer is to do: [`Role::to_text`].
pub const ROLE: &str = "MCPKEEL_TEST_CHAOS_WRITER";
/// How many of its last turns each left a key of its own in the file.
const TRAIL: u64 = 20;
/// After how long the lock of Claude Code is stale.
const STALE: Duration = Duration::from_secs(10);
/// The key of a file's user.
const BY_HAND: &str = "byHand";

/// Whose manners a writer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Several times in a row, under a lock, by rename.
    Claude,
    /// In place, in two parts; now and then with our references filled in.
    Gemini,
    /// By rename over a link, which a dotfile manager then makes again.
    Copilot,
    /// By rename, with only those fields of our entry that it knows.
    Codex,
    /// In place, twice in a row; until there is peace it writes its own idea of our entry over ours.
    Auggie,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Claude, Self::Gemini, Self::Copilot, Self::Codex, Self::Auggie];

    pub fn client(self) -> &'static str {
        match self {
            Self::Claude => "claude-code",
            Self::Gemini => "gemini-cli",
            Self::Copilot => "copilot-cli",
            Self::Codex => "codex",
            Self::Auggie => "augment",
        }
    }

    pub fn file(self, home: &Path) -> PathBuf {
        home.join(match self {
            Self::Claude => ".claude.json",
            Self::Gemini => ".gemini/settings.json",
            Self::Copilot => ".copilot/mcp-config.json",
            Self::Codex => ".codex/config.toml",
            Self::Auggie => ".augment/settings.json",
        })
    }

    /// The member that holds the servers.
    pub fn root(self) -> &'static str {
        if self == Self::Codex { "mcp_servers" } else { "mcpServers" }
    }

    /// Whether a reader always sees a whole file.
    pub fn renames(self) -> bool {
        matches!(self, Self::Claude | Self::Copilot | Self::Codex)
    }

    pub fn keeps_comments(self) -> bool {
        matches!(self, Self::Gemini | Self::Auggie)
    }

    /// The file as it was before anybody came.
    pub fn prepare(self, sandbox: &Sandbox) {
        let file = self.file(&sandbox.home());
        fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        let own = json!({ BY_HAND: true, self.root(): { "mine": { "command": "mine", "args": [] } } });
        let text = self.print(&own);
        if self == Self::Copilot {
            link_to(&file, &text);
        } else {
            fs::write(file, text).expect("written");
        }
    }

    pub fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Codex => toml_edit::de::from_str(text).map_err(|error| error.to_string()),
            _ => {
                let value: Option<Value> = jsonc_parser::parse_to_serde_value(text, &Default::default())
                    .map_err(|error| error.to_string())?;
                value.ok_or_else(|| "nothing is in it".to_owned())
            }
        }
    }

    pub fn print(self, root: &Value) -> String {
        match self {
            Self::Codex => toml_edit::ser::to_string_pretty(root).expect("text"),
            _ => {
                let text = serde_json::to_string_pretty(root).expect("text");
                if self.keeps_comments() { format!("// by hand\n{text}\n") } else { text }
            }
        }
    }
}

/// What a file lacks of what its writer put into it in all its turns so far, or its user before that.
pub fn missing(kind: Kind, root: &Value, turns: u64) -> Option<String> {
    if root[BY_HAND] != true || root[kind.root()]["mine"]["command"] != "mine" {
        return Some("what was there by hand".to_owned());
    }
    if turns == 0 {
        return None;
    }
    let older = (turns.saturating_sub(TRAIL)..turns).find(|turn| root[format!("k{turn}")] != *turn);
    if let Some(turn) = older {
        return Some(format!("the key of turn {turn}"));
    }
    let last = turns - 1;
    let is_there = root["turn"] == last && root[kind.root()]["theirs"]["args"][0] == format!("t{last}");
    (!is_there).then(|| format!("the server of turn {last}"))
}

/// Everything that a writer must know.
pub struct Role {
    pub kind: Kind,
    pub home: PathBuf,
    /// `peace` and `stop` come there; `started` and `work` go there.
    pub desk: PathBuf,
    pub seed: u64,
    /// How long something may be out of sight.
    pub moment: Duration,
}

impl Role {
    pub fn to_text(&self) -> String {
        let Self { kind, home, desk, seed, moment } = self;
        json!([kind.client(), home, desk, seed, moment.as_millis() as u64]).to_string()
    }

    fn parse(text: &str) -> Self {
        let (client, home, desk, seed, moment): (String, PathBuf, PathBuf, u64, u64) =
            serde_json::from_str(text).expect("a role");
        let kind = Kind::ALL.into_iter().find(|kind| kind.client() == client).expect("a kind");
        Self { kind, home, desk, seed, moment: Duration::from_millis(moment) }
    }
}

#[test]
fn the_writer() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let role = Role::parse(&role);
    let file = role.kind.file(&role.home);
    let lock = role.home.join(".claude.json.lock");
    let random = Random(role.seed | 1);
    let mut client = Client {
        role,
        file,
        lock,
        random,
        turns: 0,
        sprint: 0,
        memory: None,
        missing_since: None,
        moments: 0,
    };
    // What it has written last must come back before it may leave.
    while client.missing_since.is_some() || !client.is_told("stop") {
        client.work();
        let breath = match client.role.kind {
            Kind::Auggie if !client.is_told("peace") => 1..4,
            // Now and then so fast that it is in the way of every write.
            _ if client.sprint > 0 => 0..3,
            Kind::Claude => 50..400,
            _ => 20..200,
        };
        // Whoever writes in place for seconds on end is never seen whole.
        client.sprint = match client.sprint {
            0 if client.role.kind.renames() && client.random.within(0..8) == 0 => 40,
            rest => rest.saturating_sub(1),
        };
        std::thread::sleep(Duration::from_millis(client.random.within(breath)));
    }
    fs::write(client.role.desk.join("work"), format!("{} {}", client.turns, client.moments))
        .expect("written");
}

struct Client {
    role: Role,
    file: PathBuf,
    lock: PathBuf,
    random: Random,
    /// How often it wrote.
    turns: u64,
    /// For how many commands it is in a hurry.
    sprint: u64,
    /// What a fighter knows, and never reads again.
    memory: Option<Map<String, Value>>,
    missing_since: Option<Instant>,
    moments: u64,
}

impl Client {
    fn is_told(&self, word: &str) -> bool {
        self.role.desk.join(word).exists()
    }

    /// One of its commands.
    fn work(&mut self) {
        match self.role.kind {
            Kind::Claude => {
                for _ in 0..self.random.within(3..7) {
                    self.take_lock();
                    // As long as there are no kills, what it wrote is in sight whenever it has the lock.
                    self.turn();
                    fs::remove_dir(&self.lock).expect("its own lock");
                }
            }
            Kind::Auggie if !self.is_told("peace") => self.fight(),
            Kind::Auggie => {
                self.memory = None;
                self.turn();
                self.turn();
            }
            _ => self.turn(),
        }
    }

    /// Reads the file and writes it with one more key.
    fn turn(&mut self) {
        let Some(mut root) = self.read() else { return };
        self.spoil(&mut root);
        self.write(root);
    }

    /// Writes what it has in mind whenever our entry is another one.
    fn fight(&mut self) {
        let Some(root) = self.read() else { return };
        let ours = |root: &Map<String, Value>| root["mcpServers"]["steady"].clone();
        let mut memory = match self.memory.take() {
            Some(memory) if ours(&memory) == ours(&root) => {
                self.memory = Some(memory);
                return;
            }
            Some(memory) => memory,
            None => {
                let mut memory = root;
                memory["mcpServers"]["steady"] = json!({ "command": "steady", "args": ["wrong"] });
                memory
            }
        };
        for _ in 0..2 {
            memory = self.write(memory);
        }
        self.memory = Some(memory);
    }

    /// What the file says, once it says all that this program has written.
    fn read(&mut self) -> Option<Map<String, Value>> {
        let (kind, turn) = (self.role.kind, self.turns);
        let text =
            fs::read_to_string(&self.file).unwrap_or_else(|error| panic!("{kind:?} turn {turn}: {error}"));
        let root = kind.parse(&text);
        let root = root.unwrap_or_else(|error| panic!("{kind:?} turn {turn}: torn: {error}\n{text}"));
        let Some(what) = missing(kind, &root, turn) else {
            self.missing_since = None;
            let Value::Object(root) = root else { unreachable!("it has keys") };
            return Some(root);
        };
        // A program knows its own keys: it does not write a copy without them, it looks again.
        let since = *self.missing_since.get_or_insert_with(|| {
            self.moments += 1;
            Instant::now()
        });
        assert!(since.elapsed() <= self.role.moment, "{kind:?} turn {turn}: {what} is lost\n{text}");
        None
    }

    /// What this program does to our entry, if only by not knowing better.
    fn spoil(&mut self, root: &mut Map<String, Value>) {
        let is_at_peace = self.is_told("peace");
        let is_time = self.random.within(0..5) == 0;
        let Some(Value::Object(ours)) = root[self.role.kind.root()].get_mut("ours") else { return };
        match self.role.kind {
            Kind::Gemini if is_time && !is_at_peace => {
                ours.insert("args".to_owned(), json!(["filled in"]));
            }
            Kind::Codex if !is_at_peace => {
                ours.retain(|field, _| field == "command" || field == "args");
            }
            _ => {}
        }
    }

    fn write(&mut self, mut root: Map<String, Value>) -> Map<String, Value> {
        let turn = self.turns;
        root.insert("turn".to_owned(), turn.into());
        root.insert(format!("k{turn}"), turn.into());
        turn.checked_sub(TRAIL).and_then(|old| root.shift_remove(&format!("k{old}")));
        root[self.role.kind.root()]["theirs"] = json!({ "command": "theirs", "args": [format!("t{turn}")] });
        let whole = Value::Object(root);
        let text = self.role.kind.print(&whole);
        match self.role.kind {
            Kind::Claude => {
                let temp = self.file.with_extension("json.tmp");
                let mut file = fs::File::create(&temp).expect("made");
                file.write_all(text.as_bytes()).expect("written");
                file.sync_all().expect("on the disk");
                fs::rename(&temp, &self.file).expect("renamed");
            }
            Kind::Copilot if self.random.within(0..6) == 0 => link_to(&self.file, &text),
            Kind::Copilot | Kind::Codex => {
                let temp = self.file.with_extension("tmp");
                fs::write(&temp, text).expect("written");
                fs::rename(&temp, &self.file).expect("renamed");
            }
            Kind::Gemini | Kind::Auggie => {
                let mut file = fs::File::create(&self.file).expect("opened");
                let (one, other) = text.split_at(text.len() / 2);
                file.write_all(one.as_bytes()).expect("written");
                // On a slow disk: long enough for others to see who it is.
                std::thread::sleep(Duration::from_millis(self.random.within(10..60)));
                file.write_all(other.as_bytes()).expect("written");
            }
        }
        self.turns += 1;
        if turn == 0 {
            fs::write(self.role.desk.join("started"), "").expect("written");
        }
        let Value::Object(root) = whole else { unreachable!("it was one") };
        root
    }

    /// As `proper-lockfile` does it: a directory, stale when nobody touched it for so long.
    fn take_lock(&mut self) {
        while let Err(error) = fs::create_dir(&self.lock) {
            assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
            let touched = fs::metadata(&self.lock).and_then(|meta| meta.modified());
            let age = touched.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
            if age.is_ok_and(|age| age > STALE) {
                // Whoever else took it over was faster.
                let _ = fs::remove_dir(&self.lock);
                continue;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Writes a file among the dotfiles and puts a link to it in place, each in one step.
fn link_to(file: &Path, text: &str) {
    let home = file.ancestors().nth(2).expect("a home");
    let real = home.join("dotfiles").join(file.file_name().expect("a name"));
    fs::create_dir_all(real.parent().expect("a directory")).expect("made");
    let temp = real.with_extension("tmp");
    fs::write(&temp, text).expect("written");
    fs::rename(&temp, &real).expect("renamed");
    let temp = file.with_extension("link");
    std::os::unix::fs::symlink(Path::new("../dotfiles").join(real.file_name().expect("a name")), &temp)
        .expect("linked");
    fs::rename(&temp, file).expect("renamed");
}

/// The same numbers for the same seed (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }
}
