use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::{Refusal, expect};
use crate::source::repo::Signed;
use crate::store::write_file;
use crate::system::{FileError, System, found};

/// How long gpgv may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What gpgv says when a signature is not as good as it looks.
const BAD: [&str; 6] = ["BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NODATA"];

/// The user id of the key in the keyring that made the signature. What gpgv reads lies in `dir` for that moment.
pub(super) fn signer(
    system: &dyn System,
    dir: &Path,
    keyring: &Path,
    signed: &Signed,
) -> Result<String, Refusal> {
    expect(&signed.signature, "OpenPGP")?;
    let name = keyring.display();
    if let Err(error) = system.meta(keyring) {
        let why = format!("cannot be verified: {name} cannot be read: {error}");
        return Err(Refusal::new(why, "make it with `gpg --export KEY > FILE`"));
    }
    let (signature, data) = (dir.join("verify.sig"), dir.join("verify.data"));
    let unwritable = |error: FileError| {
        Refusal::new(format!("cannot be verified: {error}"), "`mcpkeel doctor` looks at the state directory")
    };
    write_file(system, &signature, &signed.signature).map_err(unwritable)?;
    write_file(system, &data, &signed.data).map_err(unwritable)?;
    let text = |path: &Path| path.display().to_string();
    let argv = ["gpgv", "--status-fd", "1", "--keyring", &text(keyring), &text(&signature), &text(&data)];
    let ran = system.run(&argv.map(str::to_owned), dir, LIMIT);
    for path in [&signature, &data] {
        // The next run writes over what could not be removed.
        let _ = found(system.remove_file(path));
    }
    let ran = ran.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Refusal::new(
            "cannot be verified: the program gpgv is not installed",
            "install it (the package is called `gpgv` or `gnupg`), or sign with ssh",
        ),
        _ => Refusal::new(format!("cannot be verified: gpgv: {error}"), "run gpgv by hand to see more"),
    })?;
    verdict(ran.code, &String::from_utf8_lossy(ran.out.expose())).ok_or_else(|| {
        let why = format!("is not signed by a key of {name} that is valid now");
        Refusal::new(why, "if you trust the key, export it into that file")
    })
}

/// Who made a good signature, as the lines of `--status-fd` say it.
fn verdict(code: Option<i32>, status: &str) -> Option<String> {
    let lines: Vec<&str> = status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] ")).collect();
    let has = |word: &str| lines.iter().any(|line| line.split(' ').next() == Some(word));
    if code != Some(0) || !has("VALIDSIG") || BAD.iter().any(|word| has(word)) {
        return None;
    }
    let good = lines.iter().find_map(|line| line.strip_prefix("GOODSIG "))?;
    good.split_once(' ').map(|(_, user)| user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_only_a_good_and_valid_signature() {
        let good =
            "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG ABCD Me <me@x.org>\n[GNUPG:] VALIDSIG 0123 2026-01-01\n";
        assert_eq!(verdict(Some(0), good).as_deref(), Some("Me <me@x.org>"));
        assert_eq!(verdict(Some(1), good), None);
        assert_eq!(verdict(None, good), None);
        assert_eq!(verdict(Some(0), &good.replace("VALIDSIG", "OTHER")), None);
        assert_eq!(verdict(Some(0), &good.replace("GOODSIG", "EXPKEYSIG")), None);
        assert_eq!(verdict(Some(0), &format!("{good}[GNUPG:] BADSIG ABCD Other\n")), None);
        assert_eq!(verdict(Some(0), "GOODSIG ABCD Me\nVALIDSIG 1\n"), None);
        assert_eq!(verdict(Some(0), ""), None);
    }
}
