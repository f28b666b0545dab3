use std::time::SystemTime;

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Database, millis, time};
use crate::guard::{Scopes, TokenHash};
use crate::system::FileError;

/// What is known of a token: everything but itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its number here; 0 for one that is not stored yet.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// What it is known by.
    pub hash: TokenHash,
    /// What it is good for.
    pub scopes: Scopes,
    /// The servers it is good for; none for all of them.
    pub servers: Option<Vec<String>>,
    /// When it was made.
    pub created: SystemTime,
    /// When it stops being good.
    pub expires: Option<SystemTime>,
    /// When it was used last, to within some seconds.
    pub last_used: Option<SystemTime>,
    /// When it was revoked.
    pub revoked: Option<SystemTime>,
}

impl Token {
    /// `active`, `expired` or `revoked`.
    pub fn standing(&self, now: SystemTime) -> &'static str {
        match self {
            Self { revoked: Some(_), .. } => "revoked",
            Self { expires: Some(end), .. } if *end <= now => "expired",
            _ => "active",
        }
    }
}

impl Database {
    /// Every token, by name.
    pub fn tokens(&self) -> Result<Vec<Token>, FileError> {
        self.read(|connection| {
            let mut all = connection.prepare("SELECT * FROM tokens ORDER BY name")?;
            all.query_map([], token)?.collect()
        })
    }

    /// Stores a token. One of the same name gives way if it was revoked; else nothing is stored, and the answer is no.
    pub fn add_token(&mut self, token: &Token) -> Result<bool, FileError> {
        let servers = token.servers.as_ref().map(|servers| serde_json::json!(servers).to_string());
        self.write(|transaction| {
            transaction
                .execute("DELETE FROM tokens WHERE name = ? AND revoked IS NOT NULL", [&token.name])?;
            let added = transaction.execute(
                "INSERT INTO tokens (name, hash, scopes, servers, created, expires) VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO NOTHING",
                params![
                    token.name,
                    token.hash.bytes(),
                    token.scopes.to_string(),
                    servers,
                    millis(token.created),
                    token.expires.map(millis)
                ],
            )?;
            Ok(added == 1)
        })
    }

    /// Revokes a token; as it was before, or none when there is no such one.
    pub fn revoke_token(&mut self, name: &str, now: SystemTime) -> Result<Option<Token>, FileError> {
        self.write(|transaction| {
            let before =
                transaction.query_row("SELECT * FROM tokens WHERE name = ?", [name], token).optional()?;
            transaction.execute(
                "UPDATE tokens SET revoked = ? WHERE name = ? AND revoked IS NULL",
                params![millis(now), name],
            )?;
            Ok(before)
        })
    }

    /// Says when tokens were used last, by their numbers.
    pub fn tokens_used(&mut self, used: &[(i64, SystemTime)]) -> Result<(), FileError> {
        self.write(|transaction| {
            let sql = "UPDATE tokens SET last_used = max(ifnull(last_used, 0), ?) WHERE id = ?";
            let mut update = transaction.prepare(sql)?;
            for (id, at) in used {
                update.execute(params![millis(*at), id])?;
            }
            Ok(())
        })
    }
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let servers: Option<String> = row.get("servers")?;
    let scopes: String = row.get("scopes")?;
    let at = |name: &str| row.get::<_, Option<i64>>(name).map(|at| at.map(time));
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        hash: TokenHash::from_bytes(row.get("hash")?),
        // What cannot be read is good for nothing.
        scopes: scopes.parse().unwrap_or_default(),
        servers: servers.map(|list| serde_json::from_str(&list).unwrap_or_default()),
        created: time(row.get("created")?),
        expires: at("expires")?,
        last_used: at("last_used")?,
        revoked: at("revoked")?,
    })
}
