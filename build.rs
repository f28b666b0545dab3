//! Embeds the client rows: `manifests/clients/*.yaml` as they are written, and as JSON, which a run
//! reads many times faster.

#![allow(clippy::disallowed_methods, reason = "a build script is its own door")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=manifests/clients");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let dir = Path::new(&root).join("manifests/clients");
    let mut rows: Vec<_> =
        fs::read_dir(&dir).expect("the client rows").map(|entry| entry.expect("a row").path()).collect();
    rows.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    // By id, which is not the order of the names: `x.yaml` comes after `x-y.yaml`.
    rows.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    let mut code = String::from("static ROWS: &[Embedded] = &[\n");
    for path in rows {
        let id = path.file_stem().and_then(|stem| stem.to_str()).expect("an id");
        let yaml = fs::read_to_string(&path).expect("a row is text");
        let value: serde_json::Value =
            serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        writeln!(code, "    Embedded {{ id: {id:?}, yaml: {yaml:?}, json: {:?} }},", value.to_string())
            .expect("text");
    }
    code.push_str("];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo says where to write")).join("rows.rs");
    fs::write(out, code).expect("written");
}
