//! Who speaks to the gateway: tokens, known from memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::ledger::Ledger;
use crate::guard::{Scopes, TokenHash, token_hash};
use crate::store::Store;
use crate::store::db::{Database, Token};
use crate::system::{FileError, System};

/// How often it is looked whether another process has changed something, in milliseconds.
const LOOK: u64 = 1_000;

/// How often it is written down which tokens were used, in milliseconds.
const TELL: u64 = 10_000;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token's name.
    pub name: Arc<str>,
    /// What it is good for.
    pub scopes: Scopes,
    /// The servers it is good for; none for all of them.
    pub servers: Option<BTreeSet<String>>,
}

impl Principal {
    /// Whether it may know of a server.
    pub fn may_see(&self, server: &str) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.contains(server))
    }
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such token.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// All tokens, as they are in the database.
pub struct Tokens {
    key: [u8; 32],
    table: RwLock<Table>,
    database: Mutex<Database>,
    version: AtomicI64,
    /// When it was looked last, and when it was told last which ones were used; in milliseconds since 1970.
    looked: AtomicU64,
    told: AtomicU64,
    ledger: Arc<Ledger>,
}

/// By the beginning of their hashes. Whoever has no key cannot choose one, so that how long the search takes says
/// nothing; the rest is compared in constant time.
type Table = HashMap<u64, Vec<Entry>>;

struct Entry {
    id: i64,
    hash: TokenHash,
    principal: Arc<Principal>,
    expires: Option<SystemTime>,
    is_revoked: bool,
    /// When it was used last, in milliseconds since 1970; 0 once that is written down.
    used: AtomicU64,
}

impl Tokens {
    /// Reads all tokens. `key` is the machine's.
    ///
    /// # Errors
    /// When the database cannot be opened or read.
    pub fn open(
        system: &dyn System,
        store: &Store,
        key: [u8; 32],
        ledger: Arc<Ledger>,
    ) -> Result<Self, FileError> {
        let tokens = Self {
            key,
            table: RwLock::default(),
            database: Mutex::new(Database::open(system, store)?),
            version: AtomicI64::new(0),
            looked: AtomicU64::new(millis(system.now())),
            told: AtomicU64::new(millis(system.now())),
            ledger,
        };
        tokens.reload()?;
        Ok(tokens)
    }

    /// Who presents this. Known from memory; at most once a second it is looked whether the database has changed,
    /// which takes some microseconds more.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn check(&self, presented: &str, now: SystemTime) -> Result<Arc<Principal>, Refused> {
        self.look(millis(now));
        let hash = token_hash(&self.key, presented);
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut candidates = table.get(&hash.short()).into_iter().flatten();
        let entry = candidates.find(|entry| entry.hash == hash).ok_or(Refused::Unknown)?;
        if entry.is_revoked {
            return Err(Refused::Revoked);
        }
        if entry.expires.is_some_and(|end| end <= now) {
            return Err(Refused::Expired);
        }
        entry.used.store(millis(now), Ordering::Relaxed);
        Ok(entry.principal.clone())
    }

    /// Whether there is a token for which somebody is who they were when they came.
    pub fn is_good(&self, principal: &Principal, now: SystemTime) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut entries = table.values().flatten();
        entries.any(|entry| {
            *entry.principal == *principal && !entry.is_revoked && entry.expires.is_none_or(|end| end > now)
        })
    }

    /// Reads all tokens anew.
    ///
    /// # Errors
    /// When they cannot be read; those that were known stay.
    pub fn reload(&self) -> Result<(), FileError> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(&database)
    }

    fn take(&self, database: &Database) -> Result<(), FileError> {
        // The version first: what changes in between is read again at the next look.
        let version = database.data_version()?;
        let mut table = Table::new();
        for token in database.tokens()? {
            table.entry(token.hash.short()).or_default().push(Entry::of(token));
        }
        self.tell();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        self.version.store(version, Ordering::Relaxed);
        Ok(())
    }

    fn look(&self, now: u64) {
        let looked = self.looked.load(Ordering::Relaxed);
        // Also when the clock was set back.
        if now.abs_diff(looked) < LOOK
            || self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        // Whoever has it reads the same at this moment.
        let Ok(database) = self.database.try_lock() else { return };
        let seen = self.version.load(Ordering::Relaxed);
        let result = database.data_version().and_then(|version| match version == seen {
            true => Ok(()),
            false => self.take(&database),
        });
        if let Err(error) = result {
            self.ledger.note(format!("changes of tokens are not seen: {error}"));
        }
        if now.abs_diff(self.told.load(Ordering::Relaxed)) >= TELL {
            self.told.store(now, Ordering::Relaxed);
            self.tell();
        }
    }

    /// Has it written down which ones were used.
    fn tell(&self) {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let used = table.values().flatten().filter_map(|entry| {
            let at = entry.used.swap(0, Ordering::Relaxed);
            (at > 0).then(|| (entry.id, SystemTime::UNIX_EPOCH + Duration::from_millis(at)))
        });
        let used: Vec<_> = used.collect();
        if !used.is_empty() {
            self.ledger.tokens_used(used);
        }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Entry {
    fn of(token: Token) -> Self {
        let principal = Principal {
            name: token.name.into(),
            scopes: token.scopes,
            servers: token.servers.map(|servers| servers.into_iter().collect()),
        };
        Self {
            id: token.id,
            hash: token.hash,
            principal: Arc::new(principal),
            expires: token.expires,
            is_revoked: token.revoked.is_some(),
            used: AtomicU64::new(0),
        }
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::ledger::Remember;
    use crate::guard::make_token;
    use crate::manifest::model::AuditArguments;
    use crate::system::Real;

    const KEY: [u8; 32] = [1; 32];

    fn add(database: &mut Database, name: &str, random: u8, expires: Option<SystemTime>) -> String {
        let plain = make_token(&[random; 32]).expose().clone();
        let token = Token {
            id: 0,
            name: name.to_owned(),
            hash: token_hash(&KEY, &plain),
            scopes: Scopes::USE,
            servers: Some(vec!["github".to_owned()]),
            created: Real.now(),
            expires,
            last_used: None,
            revoked: None,
        };
        assert!(database.add_token(&token).expect("added"));
        plain
    }

    #[test]
    fn what_another_process_changes_counts_within_a_second() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::at(dir.path());
        let mut other = Database::open(&Real, &store).expect("opened");
        let start = Real.now();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let laptop = add(&mut other, "laptop", 1, Some(after(60)));
        let remember = Remember { arguments: AuditArguments::Hash, keep: Duration::from_secs(9_999) };
        let ledger = Arc::new(Ledger::open(Arc::new(Real), &store, KEY, remember).expect("opened"));
        let tokens = Tokens::open(&Real, &store, KEY, ledger.clone()).expect("opened");

        let principal = tokens.check(&laptop, start).expect("good");
        assert_eq!(&*principal.name, "laptop");
        assert!(principal.may_see("github") && !principal.may_see("time"));
        assert_eq!(tokens.check("mck_nothing", start), Err(Refused::Unknown));
        assert_eq!(tokens.check(&laptop, after(60)), Err(Refused::Expired));

        let desk = add(&mut other, "desk", 2, None);
        tokens.reload().expect("read");
        assert!(tokens.check(&desk, after(61)).is_ok());
        other.revoke_token("desk", after(62)).expect("revoked");
        assert_eq!(tokens.check(&desk, after(64)), Err(Refused::Revoked));

        drop(tokens);
        ledger.flush();
        let used = other.tokens().expect("read").into_iter().map(|token| token.last_used.is_some());
        assert_eq!(used.collect::<Vec<_>>(), [true, true]);
    }
}
