//! The grammar: a full check with places, and quick ways over text that has passed it.
//!
//! Invariant: no recursion except in [`value`], whose depth the check has bounded; no panic on any text.
//! A lone surrogate escape (`"\ud800"`, which JavaScript writes) is accepted.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::Slip;

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 512;

/// Checks a whole file; one without any value is fine.
pub(super) fn check(text: &str, strict: bool) -> Result<(), Slip> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0, strict };
    scan.trivia()?;
    if scan.peek().is_none() {
        return Ok(());
    }
    // The closing brackets that are due.
    let mut open: Vec<u8> = Vec::new();
    loop {
        // Here a value begins.
        match scan.peek() {
            Some(bracket @ (b'{' | b'[')) => {
                if open.len() == MAX_DEPTH {
                    return Err(scan.slip("the nesting is deeper than 512 levels"));
                }
                scan.at += 1;
                scan.trivia()?;
                let close = bracket + 2;
                if !scan.eat(close) {
                    open.push(close);
                    if close == b'}' {
                        scan.member()?;
                    }
                    continue;
                }
            }
            _ => scan.scalar()?,
        }
        // Here one has ended, and perhaps the containers around it.
        loop {
            scan.trivia()?;
            let Some(&close) = open.last() else { return scan.end() };
            let comma = scan.at;
            if scan.eat(b',') {
                scan.trivia()?;
                if scan.peek() != Some(close) {
                    if close == b'}' {
                        scan.member()?;
                    }
                    break;
                }
                if strict {
                    return Err(Slip::new(comma, "JSON allows no comma before a closing bracket"));
                }
            }
            if !scan.eat(close) {
                let close = char::from(close);
                return Err(scan.slip(&format!("expected `,` or `{close}`")));
            }
            open.pop();
        }
    }
}

struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
    strict: bool,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn slip(&self, message: &str) -> Slip {
        match self.peek() {
            None => Slip::new(self.at, format!("{message}, but the file ends here")),
            Some(_) => Slip::new(self.at, message),
        }
    }

    fn end(&self) -> Result<(), Slip> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.slip("there is something after the end of the document")),
        }
    }

    fn trivia(&mut self) -> Result<(), Slip> {
        loop {
            while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
                self.at += 1;
            }
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            let end = comment_end(self.bytes, self.at);
            match end {
                Some(_) if self.strict => return Err(self.slip("JSON allows no comments")),
                Some(end) => self.at = end,
                None => return Err(self.slip("this comment is not complete")),
            }
        }
    }

    /// A key and its colon.
    fn member(&mut self) -> Result<(), Slip> {
        if self.peek() != Some(b'"') {
            return Err(self.slip("expected a key in double quotes"));
        }
        self.string()?;
        self.trivia()?;
        if !self.eat(b':') {
            return Err(self.slip("expected `:` after the key"));
        }
        self.trivia()
    }

    fn scalar(&mut self) -> Result<(), Slip> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let rest = &self.bytes[self.at..];
                let word =
                    ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes()));
                let Some(word) = word else { return Err(self.slip("expected a value")) };
                self.at += word.len();
                self.boundary()
            }
        }
    }

    /// A number or word must not run into another.
    fn boundary(&self) -> Result<(), Slip> {
        match self.peek() {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_') => {
                Err(self.slip("this is not a JSON value"))
            }
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Result<(), Slip> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.slip("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Slip> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        self.boundary()
    }

    fn string(&mut self) -> Result<(), Slip> {
        let start = self.at;
        self.at += 1;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                None => return Err(Slip::new(start, "this string is not closed")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(b'\n' | b'\r') => return Err(Slip::new(start, "this string is not closed on its line")),
                Some(_) => return Err(self.slip("a control character must be written as an escape")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Slip> {
        let rest = &self.bytes[self.at + 1..];
        let length = match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.slip("this escape is not known to JSON")),
        };
        self.at += length;
        Ok(())
    }
}

/// The first quote, backslash or control character from `at` on; eight bytes at a time.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = has_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hit = quote | backslash | control;
        if hit != 0 {
            return at + (hit.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let hit = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    at + hit.unwrap_or(rest.len())
}

/// The end of the comment at `at`; none when it is no whole comment.
fn comment_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    if rest.starts_with(b"//") {
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        return Some(at + rest.iter().position(ends).unwrap_or(rest.len()));
    }
    let inner = rest.strip_prefix(b"/*")?;
    Some(at + 4 + inner.windows(2).position(|pair| pair == b"*/")?)
}

/// The end of white space and comments.
pub(super) fn skip_trivia(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            Some(b'/') => match comment_end(bytes, at) {
                Some(end) => at = end,
                None => return at,
            },
            _ => return at,
        }
    }
}

/// The end of a string, from its opening quote.
fn skip_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// The end of the value at `at`.
pub(super) fn skip_value(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = skip_string(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            b'/' if depth > 0 => at = comment_end(bytes, at).unwrap_or(at + 1),
            _ if depth > 0 => at += 1,
            _ => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
                return at + bytes[at..].iter().position(|byte| !is_part(byte)).unwrap_or(bytes.len() - at);
            }
        }
        if depth == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

/// What a string says; a lone surrogate becomes U+FFFD.
pub(super) fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut units = Vec::new();
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        if at > 0 || escape != b'u' {
            flush(&mut units, &mut out);
        }
        out.push_str(&rest[..at]);
        let mut taken = 2;
        match escape {
            b'u' => {
                let hex = rest.get(at + 2..at + 6).unwrap_or_default();
                units.push(u16::from_str_radix(hex, 16).unwrap_or(0xfffd));
                taken = 6;
            }
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            other => out.push(char::from(other)),
        }
        rest = rest.get(at + taken..).unwrap_or_default();
    }
    flush(&mut units, &mut out);
    out.push_str(rest);
    Cow::Owned(out)
}

fn flush(units: &mut Vec<u16>, out: &mut String) {
    out.push_str(&String::from_utf16_lossy(units));
    units.clear();
}

/// The value of a checked piece of text. Duplicate keys are refused.
pub(super) fn value(text: &str) -> Result<Value, Slip> {
    let mut at = skip_trivia(text.as_bytes(), 0);
    read(text, &mut at, 0)
}

fn read(text: &str, at: &mut usize, depth: usize) -> Result<Value, Slip> {
    let bytes = text.as_bytes();
    let start = *at;
    let broken = || Slip::new(start, "this is not a JSON value");
    match bytes.get(start) {
        Some(open @ (b'{' | b'[')) if depth < MAX_DEPTH => {
            let close = *open + 2;
            let mut map = Map::new();
            let mut list = Vec::new();
            *at = skip_trivia(bytes, start + 1);
            while bytes.get(*at) != Some(&close) {
                if close == b']' {
                    list.push(read(text, at, depth + 1)?);
                } else {
                    let key_at = *at;
                    let key_end = skip_value(bytes, key_at);
                    let key = unquote(text.get(key_at..key_end).ok_or_else(broken)?).into_owned();
                    let colon = skip_trivia(bytes, key_end);
                    if bytes.get(colon) != Some(&b':') {
                        return Err(broken());
                    }
                    *at = skip_trivia(bytes, colon + 1);
                    let message = format!("the key `{key}` is given twice");
                    if map.insert(key, read(text, at, depth + 1)?).is_some() {
                        return Err(Slip::new(key_at, message));
                    }
                }
                *at = skip_trivia(bytes, *at);
                match bytes.get(*at) {
                    Some(b',') => *at = skip_trivia(bytes, *at + 1),
                    Some(byte) if *byte == close => {}
                    _ => return Err(broken()),
                }
            }
            *at += 1;
            Ok(if close == b'}' { Value::Object(map) } else { Value::Array(list) })
        }
        _ => {
            *at = skip_value(bytes, start);
            let raw = text.get(start..*at).ok_or_else(broken)?;
            Ok(match raw {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ if raw.starts_with('"') => Value::String(unquote(raw).into_owned()),
                // A number beyond every range is kept as its text.
                _ if raw.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                    raw.parse::<Number>().map_or_else(|_| Value::String(raw.to_owned()), Value::Number)
                }
                _ => return Err(broken()),
            })
        }
    }
}
