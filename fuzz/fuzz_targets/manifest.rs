#![no_main]

//! The manifest: whatever the bytes, it is read and checked without a panic; typed reading and the
//! schema agree; and formatting a manifest that is valid keeps it valid and is done after one pass.

use libfuzzer_sys::fuzz_target;
use mcpkeel::clients::catalog;
use mcpkeel::manifest;

fuzz_target!(|data: &[u8]| {
    let parsed = manifest::parse("mcp.yaml", data.to_vec());
    let fully = manifest::validate_fully("mcp.yaml", data.to_vec());
    assert_eq!(parsed.manifest.is_some(), fully.manifest.is_some(), "types and schema disagree");
    let is_valid = parsed.manifest.is_some();
    let text = parsed.file.as_ref().map(|file| file.text.clone());
    let _ = manifest::check(&[parsed], catalog::ids());
    let (true, Some(text)) = (is_valid, text) else { return };
    let Ok(tidy) = manifest::fmt::format(&text) else { return };
    let again = manifest::parse("mcp.yaml", tidy.clone().into_bytes());
    assert!(again.manifest.is_some(), "formatting broke it:\n{text}\n---\n{tidy}");
    assert_eq!(manifest::fmt::format(&tidy).ok().as_ref(), Some(&tidy), "a second pass changes it");
});
