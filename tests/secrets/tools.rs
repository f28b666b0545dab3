use std::io::Write as _;
use std::path::Path;

/// Whether all these programs are there; else says which is missing, or fails where none may be.
pub fn are_there(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&&str| std::env::split_paths(&path).any(|dir| is_program(&dir.join(program)));
    let Some(missing) = programs.iter().find(|program| !is_there(program)) else { return true };
    let must = cfg!(target_os = "linux")
        && ["CI", "MCPKEEL_NO_SKIP"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!must, "{missing} is not installed; .ci/run installs it");
    // Straight to standard error, since the test runner hides what `eprintln!` prints.
    writeln!(std::io::stderr(), "skipped: {missing} is not installed").ok();
    false
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}
