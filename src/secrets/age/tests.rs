use std::io::Write as _;
use std::path::Path;

use ::age::secrecy::{ExposeSecret as _, SecretString};

use super::super::Vault;
use super::super::tests::units;
use super::*;
use crate::desired::Unit;
use crate::system::Memory;

const VALUE: &str = "hush-hush-7";
const FILE: &str = "/home/me/dots/secrets/x.age";

/// A machine with an identity in /home/me/key.txt, and its public key.
fn machine() -> (Memory, String) {
    let identity = ::age::x25519::Identity::generate();
    let memory = Memory::default();
    memory.write(Path::new("/home/me/key.txt"), private_text(&identity).as_bytes());
    (memory, identity.to_public().to_string())
}

fn private_text(identity: &::age::x25519::Identity) -> String {
    format!("# created: today\n{}\n", identity.to_string().expose_secret())
}

fn manifest(settings: &str) -> Vec<Unit> {
    units("  x: { age: secrets/x.age }", &format!("settings: {{ age: {{ {settings} }} }}\n"))
}

fn sealed_for(public: &str, value: &str) -> Vec<u8> {
    let recipients = Recipients::parse(&[public.to_owned()]).expect("a key");
    seal(&recipients, &Secret::new(value.as_bytes().to_vec())).expect("sealed")
}

fn with_passphrase(plain: &[u8], passphrase: &str, work: u8) -> Vec<u8> {
    let mut recipient = ::age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
    recipient.set_work_factor(work);
    let one: &dyn ::age::Recipient = &recipient;
    let encryptor = ::age::Encryptor::with_recipients(std::iter::once(one)).expect("one");
    let mut bytes = Vec::new();
    let mut writer = encryptor.wrap_output(&mut bytes).expect("a header");
    writer.write_all(plain).expect("written");
    writer.finish().expect("finished");
    bytes
}

#[track_caller]
fn value(memory: &Memory, settings: &str) -> String {
    let units = manifest(settings);
    match Vault::new(memory, &units).get("x") {
        Ok(value) => value.expose().clone(),
        Err(problem) => panic!("{problem:?}"),
    }
}

#[track_caller]
fn refusal(memory: &Memory, settings: &str) -> String {
    let units = manifest(settings);
    let Err(problem) = Vault::new(memory, &units).get("x") else { panic!("there is a value") };
    let all = format!("{problem:?}");
    assert!(!all.contains("hush") && !all.contains("SECRET-KEY"), "{all}");
    assert!(problem.hint.is_some(), "{all}");
    problem.message.replace("the secret `x` cannot be had: ", "")
}

#[test]
fn an_identity_of_the_manifest_opens_what_was_sealed_for_it() {
    let (memory, public) = machine();
    memory.write(Path::new(FILE), &sealed_for(&public, "hush-hush-7\n"));
    assert_eq!(value(&memory, "identity: ~/key.txt"), VALUE);
    assert_eq!(value(&memory, "identity: ../key.txt"), VALUE);
}

#[test]
fn the_variable_names_an_identity_or_is_one() {
    let (memory, public) = machine();
    memory.write(Path::new(FILE), &sealed_for(&public, VALUE));
    for path in ["~/key.txt", "/home/me/key.txt", "key.txt"] {
        memory.set_env(IDENTITY, path);
        assert_eq!(value(&memory, "identity: /nowhere"), VALUE);
    }
    let text =
        String::from_utf8(memory.contents(Path::new("/home/me/key.txt")).expect("there")).expect("text");
    for text in [text.as_str(), text.lines().last().expect("the key")] {
        memory.set_env(IDENTITY, text);
        assert_eq!(value(&memory, ""), VALUE);
    }
}

#[test]
fn several_recipients_can_each_open_it() {
    let (first, one) = machine();
    let (second, two) = machine();
    let recipients = Recipients::parse(&[one, two]).expect("keys");
    let bytes = seal(&recipients, &Secret::new(VALUE.into())).expect("sealed");
    assert!(bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
    assert_eq!(Sealed::parse(&bytes, "it").expect("age").readers(), "2 X25519");
    for memory in [first, second] {
        memory.write(Path::new(FILE), &bytes);
        assert_eq!(value(&memory, "identity: ~/key.txt"), VALUE);
    }
}

#[test]
fn who_cannot_open_it_is_told_what_to_do() {
    let (memory, _) = machine();
    let (_, stranger) = machine();
    memory.write(Path::new(FILE), &sealed_for(&stranger, VALUE));
    assert_eq!(
        refusal(&memory, "identity: ~/key.txt"),
        format!("the age file {FILE} is for others (1 X25519): no identity of yours opens it")
    );
    assert_eq!(refusal(&memory, ""), format!("there is no identity to open the age file {FILE} with"));
    assert_eq!(refusal(&memory, "identity: ~/none"), "the identity /home/me/none is not there");
}

#[test]
fn what_is_no_age_file_is_said_to_be_none() {
    let (memory, public) = machine();
    let whole = sealed_for(&public, VALUE);
    let settings = "identity: ~/key.txt";
    assert_eq!(refusal(&memory, settings), format!("the age file {FILE} is not there"));
    for text in ["", "hush-hush-7", "{}", "-----BEGIN PGP MESSAGE-----\n"] {
        memory.write(Path::new(FILE), text.as_bytes());
        assert_eq!(refusal(&memory, settings), format!("the age file {FILE} is no age file"));
    }
    memory.write(Path::new(FILE), b"age-encryption.org/v2\n");
    assert!(refusal(&memory, settings).contains("version of the format"));
    for cut in [40, 80, 200, whole.len() - 60] {
        memory.write(Path::new(FILE), &whole[..cut]);
        assert!(refusal(&memory, settings).contains("is damaged"), "{cut}");
    }
    let mut bent = Sealed::parse(&whole, "it").expect("age").bytes;
    *bent.last_mut().expect("bytes") ^= 1;
    memory.write(Path::new(FILE), &bent);
    assert!(refusal(&memory, settings).contains("is damaged"));
}

#[test]
fn what_is_inside_must_be_text_and_not_empty() {
    let (memory, public) = machine();
    let recipients = Recipients::parse(&[public]).expect("a key");
    for (plain, says) in [(&b"\xff\xfe"[..], "not UTF-8 text"), (b"", "is empty"), (b"\n", "is empty")] {
        let bytes = seal(&recipients, &Secret::new(plain.to_vec())).expect("sealed");
        memory.write(Path::new(FILE), &bytes);
        assert!(refusal(&memory, "identity: ~/key.txt").contains(says), "{plain:?}");
    }
}

#[test]
fn a_passphrase_is_taken_from_the_variable_or_asked_for() {
    let memory = Memory::default();
    memory.write(Path::new(FILE), &with_passphrase(VALUE.as_bytes(), "open sesame", 4));
    assert!(refusal(&memory, "").contains("wants a passphrase, and there is no terminal"));
    memory.answer("open sesame");
    assert_eq!(value(&memory, ""), VALUE);
    memory.answer("open sesam");
    assert!(refusal(&memory, "").contains("does not open with that passphrase (what you typed)"));
    memory.set_env(PASSPHRASE, "open sesame");
    assert_eq!(value(&memory, ""), VALUE);
    memory.set_env(PASSPHRASE, "wrong");
    assert!(refusal(&memory, "").contains("(MCPKEEL_AGE_PASSPHRASE)"));
}

#[test]
fn an_identity_may_be_protected_and_is_asked_about_once() {
    let (memory, public) = machine();
    let plain = memory.contents(Path::new("/home/me/key.txt")).expect("there");
    memory.write(Path::new("/home/me/key.age"), &with_passphrase(&plain, "open sesame", 4));
    memory.write(Path::new(FILE), &sealed_for(&public, VALUE));
    memory.write(Path::new("/home/me/dots/y.age"), &sealed_for(&public, VALUE));
    memory.answer("open sesame");
    let units = units(
        "  x: { age: secrets/x.age }\n  y: { age: y.age }",
        "settings: { age: { identity: ~/key.age } }\n",
    );
    let vault = Vault::new(&memory, &units);
    assert_eq!(vault.get("x").expect("opened").expose(), VALUE);
    assert_eq!(vault.get("y").expect("opened without another question").expose(), VALUE);
}

#[test]
fn a_file_that_asks_for_hours_of_work_is_refused() {
    let memory = Memory::default();
    let mut bytes = with_passphrase(VALUE.as_bytes(), "p", 4);
    let line_end = bytes.iter().skip(30).position(|byte| *byte == b'\n').expect("a stanza") + 30;
    assert_eq!(bytes[line_end - 1], b'4');
    bytes.splice(line_end - 1..line_end, *b"30");
    memory.write(Path::new(FILE), &bytes);
    memory.set_env(PASSPHRASE, "p");
    assert!(refusal(&memory, "").contains("too much work"));
}

#[test]
fn identities_that_cannot_be_used_say_why_and_show_nothing() {
    let (memory, public) = machine();
    memory.write(Path::new(FILE), &sealed_for(&public, VALUE));
    for (text, says) in [
        ("", "holds no identity"),
        ("# only a comment\n", "holds no identity"),
        ("AGE-SECRET-KEY-1QQQQ\n", "line 1 of the identity /home/me/odd is no identity"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQ\n", "needs a plugin of age"),
        ("AGE-SECRET-KEY-PQ-1QQQQ\n", "post-quantum"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhush\n", "is no private SSH key"),
        ("hush-hush-7", "line 1 of the identity /home/me/odd is no identity"),
    ] {
        memory.write(Path::new("/home/me/odd"), text.as_bytes());
        let said = refusal(&memory, "identity: ~/odd");
        assert!(said.contains(says), "{text}: {said}");
    }
    memory.write(Path::new("/home/me/odd"), &sealed_for(&public, VALUE));
    assert!(refusal(&memory, "identity: ~/odd").contains("is encrypted for a key"));
}

#[test]
fn recipients_that_cannot_be_used_say_why() {
    let refused = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        match Recipients::parse(&keys) {
            Ok(_) => panic!("{keys:?} are good"),
            Err(problem) => problem.message,
        }
    };
    assert_eq!(refused(&[]), "there is nobody to encrypt for");
    assert!(refused(&["age1qqqq"]).contains("has a slip in it"));
    assert!(refused(&["age1yubikey1qqqq"]).contains("needs a plugin"));
    assert!(refused(&["ssh-ed25519 AAAA"]).contains("no SSH key that age can use"));
    let said = refused(&["AGE-SECRET-KEY-1HUSHHUSH"]);
    assert!(said.contains("private key") && !said.contains("HUSH"), "{said}");
}
