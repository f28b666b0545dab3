//! The `age` program on the other side, in both directions.

use std::process::Command;

use super::{VALUE, finish, home, manifest, run, run_with, says, tools};
use crate::support::{Ran, Sandbox};

/// One of age's or OpenSSH's programs, in the home directory.
fn tool(home: &Sandbox, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(home.home()).env("HOME", home.home());
    command
}

#[track_caller]
fn works(command: Command, input: &str) -> Ran {
    finish(command, input).exits(0)
}

/// What `age` decrypts from a file; its output is the value, so it does not go through [`finish`].
#[track_caller]
fn decrypted(home: &Sandbox, key: &str, file: &str) -> String {
    let output = tool(home, "age", &["-d", "-i", key, file]).output().expect("age starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A key pair of `ssh-keygen`, and its public half.
fn ssh_key(home: &Sandbox, kind: &[&str], path: &str, passphrase: &str) -> String {
    let args = [&["-q", "-C", "me@here", "-N", passphrase, "-f", path, "-t"], kind].concat();
    works(tool(home, "ssh-keygen", &args), "");
    home.read(&format!("{path}.pub")).trim().to_owned()
}

fn keygen(home: &Sandbox, file: &str) -> String {
    works(tool(home, "age-keygen", &["-o", file]), "");
    works(tool(home, "age-keygen", &["-y", file]), "").out.trim().to_owned()
}

/// Both directions with one pair of keys; `key` is relative to the home directory.
#[track_caller]
fn check(home: &Sandbox, key: &str, public: &str, env: &[(&str, &str)]) {
    let text = manifest(
        " ours: { age: ours.age }, theirs: { age: theirs.age }, bare: { age: bare.age } ",
        &[public],
    );
    home.write("mcp.yaml", text.replace("identity: key.txt", &format!("identity: {key}")));
    run_with(home, &["secret", "set", "ours"], VALUE).exits(0);
    works(tool(home, "age", &["-a", "-r", public, "-o", "theirs.age"]), &format!("{VALUE}\n"));
    works(tool(home, "age", &["-r", public, "-o", "bare.age"]), VALUE);
    let mut verify = home.command(&["secret", "verify"]);
    verify.envs(env.iter().copied());
    finish(verify, "").exits(0);
    // That it is the right value shows where it is used: encrypted anew, and read by the other side.
    let mut rekey = home.command(&["secret", "rekey"]);
    rekey.envs(env.iter().copied());
    finish(rekey, "").exits(0);
    if env.is_empty() {
        assert_eq!(decrypted(home, key, "ours.age"), VALUE);
        assert_eq!(decrypted(home, key, "theirs.age"), format!("{VALUE}\n"));
        assert_eq!(decrypted(home, key, "bare.age"), VALUE);
    }
}

#[test]
fn x25519_in_both_directions() {
    if !tools::are_there(&["age", "age-keygen"]) {
        return;
    }
    let home = Sandbox::new();
    let public = keygen(&home, "keys.txt");
    check(&home, "keys.txt", &public, &[]);
}

#[test]
fn ssh_keys_in_both_directions() {
    if !tools::are_there(&["age", "ssh-keygen"]) {
        return;
    }
    for kind in [&["ed25519"][..], &["rsa", "-b", "2048"]] {
        let home = Sandbox::new();
        let public = ssh_key(&home, kind, "key", "");
        check(&home, "key", &public, &[]);
    }
}

#[test]
fn ssh_keys_with_a_passphrase_open_with_the_variable() {
    if !tools::are_there(&["age", "ssh-keygen"]) {
        return;
    }
    let home = Sandbox::new();
    let public = ssh_key(&home, &["ed25519"], "key", "open sesame");
    check(&home, "key", &public, &[("MCPKEEL_AGE_PASSPHRASE", "open sesame")]);
    says(&run(&home, &["secret", "verify", "ours"]).exits(1), "wants a passphrase");
    let mut verify = home.command(&["secret", "verify", "ours"]);
    verify.env("MCPKEEL_AGE_PASSPHRASE", "wrong");
    says(&finish(verify, "").exits(1), "does not open with that passphrase");
}

#[test]
fn the_users_own_ssh_key_is_tried_where_a_recipient_is_one() {
    if !tools::are_there(&["age", "ssh-keygen"]) {
        return;
    }
    let home = Sandbox::new();
    home.write(".ssh/known_hosts", "");
    let public = ssh_key(&home, &["ed25519"], ".ssh/id_ed25519", "");
    let text = manifest(" x: { age: x.age } ", &[&public]).replace("    identity: key.txt\n", "");
    home.write("mcp.yaml", &text);
    run_with(&home, &["secret", "set", "x"], VALUE).exits(0);
    run(&home, &["secret", "verify"]).exits(0);
}

#[test]
fn several_recipients_of_several_kinds() {
    if !tools::are_there(&["age", "age-keygen", "ssh-keygen"]) {
        return;
    }
    let home = Sandbox::new();
    let (one, two) = (keygen(&home, "one.txt"), keygen(&home, "two.txt"));
    let (three, four) =
        (ssh_key(&home, &["ed25519"], "three", ""), ssh_key(&home, &["rsa", "-b", "2048"], "four", ""));
    home.write("mcp.yaml", manifest(" x: { age: x.age } ", &[&one, &two, &three, &four]));
    run_with(&home, &["secret", "set", "x"], VALUE).exits(0);
    for key in ["one.txt", "two.txt", "three", "four"] {
        assert_eq!(decrypted(&home, key, "x.age"), VALUE);
        let mut verify = home.command(&["secret", "verify"]);
        verify.env("MCPKEEL_AGE_IDENTITY", key);
        finish(verify, "").exits(0);
    }
    let mut rekey = home.command(&["secret", "rekey", "--dry-run"]);
    rekey.env("MCPKEEL_AGE_IDENTITY", "one.txt");
    says(&finish(rekey, "").exits(0), "for 2 X25519, 1 ssh-ed25519, 1 ssh-rsa");
}

#[cfg(target_os = "linux")]
#[test]
fn a_protected_identity_of_age_opens_at_the_terminal_and_with_the_variable() {
    use super::terminal::{converse, mcpkeel};
    if !tools::are_there(&["age", "age-keygen"]) {
        return;
    }
    let home = home("");
    let public = keygen(&home, "plain.txt");
    let talk = [("Enter passphrase", "open sesame"), ("Confirm passphrase", "open sesame")];
    let Some(ran) = converse(&home, "age -p -o key.age plain.txt", &[], &talk) else { return };
    ran.exits(0);
    std::fs::remove_file(home.path("plain.txt")).expect("removed");
    check(&home, "key.age", &public, &[("MCPKEEL_AGE_PASSPHRASE", "open sesame")]);

    let asked = format!("Passphrase of the identity {}: ", home.path("key.age").display());
    let ran = converse(&home, &mcpkeel("secret verify"), &[], &[(&asked, "open sesame")]).expect("as before");
    let ran = ran.exits(0);
    assert!(!ran.out.contains("sesame") && !ran.out.contains(VALUE), "{}", ran.out);
    let ran = converse(&home, &mcpkeel("secret verify ours"), &[], &[(&asked, "open barley")]);
    says(&ran.expect("as before").exits(1), "does not open with that passphrase (what you typed)");
}

#[cfg(target_os = "linux")]
#[test]
fn a_secret_that_age_encrypted_with_a_passphrase_opens() {
    use super::terminal::converse;
    if !tools::are_there(&["age"]) {
        return;
    }
    let home = home(" x: { age: x.age } ");
    home.write("plain", VALUE);
    let talk = [("Enter passphrase", "open sesame"), ("Confirm passphrase", "open sesame")];
    let Some(ran) = converse(&home, "age -p -a -o x.age plain", &[], &talk) else { return };
    ran.exits(0);
    says(&run(&home, &["secret", "verify"]).exits(1), "wants a passphrase");
    let mut verify = home.command(&["secret", "verify"]);
    verify.env("MCPKEEL_AGE_PASSPHRASE", "open sesame");
    finish(verify, "").exits(0);
}
