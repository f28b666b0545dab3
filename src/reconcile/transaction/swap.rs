use std::io::{self, ErrorKind};
use std::path::Path;

use super::look::Seen;
use crate::system::{At, FileError, Meta, Swap, System, found};

/// What came of a try at replacing a file.
pub(in crate::reconcile) enum Swapped {
    /// The file is replaced; what was there lies at the temporary name.
    Done,
    /// The file is replaced; what was there is gone, the file system having no exchange.
    Plain,
    /// The file system has no exchange, and nothing was touched.
    Unsupported,
    /// Another writer was there first, and nothing was touched.
    Missed,
    /// Another writer was there first. For a moment its content was replaced; it is back now.
    Lost {
        /// The content that was replaced for a moment; none if a writer was only about to write.
        theirs: Option<Vec<u8>>,
        /// What lies at the temporary name now, if it is not what we put in place.
        stranded: Option<Vec<u8>>,
    },
}

/// Puts the file at `temp` in the place of what was seen, or nowhere. Where there is no exchange,
/// it is only done if what is there `may_vanish`, being in the object store.
pub(in crate::reconcile) fn put(
    system: &dyn System,
    seen: &Seen,
    temp: &Path,
    may_vanish: bool,
) -> Result<Swapped, FileError> {
    let real = &seen.real;
    let Some(meta) = &seen.meta else {
        return match system.rename_new(temp, real) {
            Ok(()) => Ok(Swapped::Done),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Swapped::Missed),
            Err(error) => Err(error).at(real, "create"),
        };
    };
    let new = system.meta(temp).at(temp, "look at")?;
    if !is_same(found(system.meta(real)).at(real, "look at")?.as_ref(), meta) {
        return Ok(Swapped::Missed);
    }
    match found(system.exchange(temp, real)).at(real, "replace")? {
        None => return Ok(Swapped::Missed),
        Some(Swap::Unsupported) if !may_vanish => return Ok(Swapped::Unsupported),
        Some(Swap::Unsupported) => {
            system.rename(temp, real).at(real, "replace")?;
            return Ok(Swapped::Plain);
        }
        Some(Swap::Exchanged) => {}
    }
    if is_what_we_saw(system, seen, temp)? {
        return Ok(Swapped::Done);
    }
    let theirs = displaced(system, seen, temp)?;
    match found(system.exchange(temp, real)).at(real, "put back")? {
        Some(_) => {}
        // Removed meanwhile, by someone who saw our content: theirs goes back nevertheless.
        None => return give_back(system, temp, real, theirs),
    }
    let out = system.meta(temp).at(temp, "look at")?;
    if is_same(Some(&out), &new) {
        return Ok(Swapped::Lost { theirs, stranded: None });
    }
    let stranded = Some(system.read(temp).at(temp, "read")?);
    Ok(Swapped::Lost { theirs, stranded })
}

/// Moves what was seen to `temp`, leaving nothing in its place.
pub(in crate::reconcile) fn take(
    system: &dyn System,
    seen: &Seen,
    temp: &Path,
) -> Result<Swapped, FileError> {
    let real = &seen.real;
    let current = found(system.meta(real)).at(real, "look at")?;
    if !seen.meta.as_ref().is_some_and(|meta| is_same(current.as_ref(), meta)) {
        return Ok(Swapped::Missed);
    }
    if found(system.rename_new(real, temp)).at(real, "remove")?.is_none() {
        return Ok(Swapped::Missed);
    }
    if is_what_we_saw(system, seen, temp)? {
        return Ok(Swapped::Done);
    }
    let theirs = displaced(system, seen, temp)?;
    give_back(system, temp, real, theirs)
}

/// Moves a displaced file back into an empty place.
fn give_back(
    system: &dyn System,
    temp: &Path,
    real: &Path,
    theirs: Option<Vec<u8>>,
) -> Result<Swapped, FileError> {
    match system.rename_new(temp, real) {
        Ok(()) => Ok(Swapped::Lost { theirs, stranded: None }),
        // Someone created the file anew: theirs stays at the temporary name.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let stranded = Some(system.read(temp).at(temp, "read")?);
            Ok(Swapped::Lost { theirs, stranded })
        }
        Err(error) => Err(error).at(real, "put back"),
    }
}

/// Whether it is the same file, and nobody wrote to it between two looks.
fn is_same(now: Option<&Meta>, before: &Meta) -> bool {
    now.is_some_and(|now| {
        now.id == before.id
            && now.kind == before.kind
            && now.len == before.len
            && now.modified == before.modified
    })
}

/// Whether the file that came out is the one we saw, and nobody is about to write into it.
///
/// Which file it is, is asked first, since that takes a moment only; its content decides, since on
/// a layered file system the same file can come out under another number.
fn is_what_we_saw(system: &dyn System, seen: &Seen, temp: &Path) -> Result<bool, FileError> {
    if seen.lease.as_ref().is_some_and(|lease| lease.is_wanted()) {
        return Ok(false);
    }
    let out = system.meta(temp).at(temp, "look at")?;
    if seen.lease.is_some() && out.id.is_some() && seen.meta.as_ref().is_some_and(|meta| meta.id == out.id) {
        return Ok(true);
    }
    Ok(Some(&system.read(temp).at(temp, "read")?) == seen.bytes.as_ref())
}

/// The content that came out, if it is another one than we saw.
fn displaced(system: &dyn System, seen: &Seen, temp: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let bytes = system.read(temp).at(temp, "read")?;
    Ok((Some(&bytes) != seen.bytes.as_ref()).then_some(bytes))
}
