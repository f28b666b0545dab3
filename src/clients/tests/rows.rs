use std::collections::BTreeSet;

use super::*;

#[test]
#[allow(clippy::disallowed_methods)]
fn every_file_is_in_the_catalog() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/clients");
    let files: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed = catalog::ids().iter().map(|id| format!("{id}.yaml")).collect();
    assert_eq!(files, listed);
    assert!(catalog::ids().is_sorted(), "the ids are found by bisection");
}

#[test]
fn every_row_is_right() {
    for id in catalog::ids() {
        let row =
            catalog::parse(catalog::source(id).unwrap()).unwrap_or_else(|error| panic!("{id}: {error}"));
        let client = Client::check(id, row).unwrap_or_else(|problems| panic!("{id}: {problems:?}"));
        assert!(!client.row().name.is_empty() && !client.row().vendor.is_empty(), "{id} has no name");
        assert_ne!(client.row().kind, spec::Kind::Other, "{id} has no kind");
        assert_eq!(client.id(), *id);
        for sentence in client.row().notes.iter().chain([&client.row().reload.hint]) {
            assert!(sentence.is_empty() || sentence.ends_with('.'), "{id}: {sentence}");
            assert!(!sentence.contains('\n'), "{id}: {sentence}");
        }
    }
}

#[test]
fn a_row_means_the_same_in_json() {
    for id in catalog::ids() {
        let value: Value = serde_yaml::from_str(catalog::source(id).unwrap()).unwrap();
        let row: spec::Row = serde_json::from_value(value).unwrap_or_else(|error| panic!("{id}: {error}"));
        let inline = Client::check(id, row).unwrap();
        assert_eq!(inline.render(&stdio(), &place(&inline)), client(id).render(&stdio(), &place(&inline)));
    }
}

#[test]
fn who_reads_whom_is_told_on_both_sides() {
    for one in catalog::all() {
        for other in &one.row().read_by {
            assert!(client(other).row().reads.contains(&one.id), "{other} does not say it reads {}", one.id);
        }
        for other in &one.row().reads {
            assert!(client(other).row().read_by.contains(&one.id), "{other} is not read by {}", one.id);
        }
        for other in one.row().project.iter().flat_map(|project| &project.read_by) {
            assert!(catalog::find(other).is_some() && *other != one.id, "{} names {other}", one.id);
        }
    }
}

#[test]
fn clients_that_share_a_file_name_each_other() {
    let path =
        |client: &Client| client.row().project.clone().map(|project| project.path.as_slice()[0].clone());
    for one in catalog::all() {
        for other in catalog::all().filter(|other| other.id != one.id) {
            if path(one).is_some() && path(one) == path(other) {
                let known = one.row().project.as_ref().unwrap().read_by.contains(&other.id);
                assert!(known, "{} and {} share {:?}", one.id, other.id, path(one));
            }
            for os in ["linux", "macos", "windows"] {
                let first = |client: &Client| client.row().path.on(os).last().cloned();
                if first(one).is_some() && first(one) == first(other) {
                    let differs = one.row().root != other.row().root;
                    assert!(differs || one.row().read_by.contains(&other.id), "{} and {}", one.id, other.id);
                }
            }
        }
    }
}

#[test]
fn says_everything_that_is_wrong_with_a_row() {
    let check = |row: Value| {
        let problems = Client::check("mine", serde_json::from_value(row).unwrap()).unwrap_err();
        problems.into_iter().map(|problem| (problem.code, problem.hint)).collect::<Vec<_>>()
    };
    let problems = check(json!({
        "format": "json", "root": "/x", "path": {"all": "~/x"}, "list": "name",
        "stdio": {"command": "{comand}"},
        "http": {"name": "{name}", "headers": "{headers}"},
        "disable": {"field": "/off", "list": "/off", "value": true},
        "tools": {"deny_member": "/tools/{nam}"},
        "variables": {"env": "$X", "fields": ["argz"]},
    }));
    let seen: Vec<&str> = problems.iter().map(|(code, _)| *code).collect();
    for code in ["unknown-token", "bad-client", "bad-switch"] {
        assert!(seen.contains(&code), "{code} is not among {seen:?}");
    }
    assert!(problems.contains(&("unknown-token", Some("did you mean `{command}`?".to_owned()))));
    let codes = |row| check(row).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(codes(json!({"format": "json", "root": "/x"})), ["no-transport", "no-place"]);
    let switch = json!({"format": "json", "root": "/x", "path": {"all": "/x"},
        "stdio": {"command": "{command}"}, "disable": {"field": "/off"}});
    assert_eq!(codes(switch), ["bad-switch"]);
}

#[test]
fn a_name_is_taken_or_refused_with_a_reason() {
    for (id, name, taken) in [
        ("codex", "a:b@c/d.e-f_g", true),
        ("codex", "bad name", false),
        ("claude-code", "workspace", false),
        ("claude-code", "my-workspace", true),
        ("goose", "GitHub", false),
        ("goose", "github", true),
        ("goose", "a.b", false),
        ("droid", "dot.name", false),
        ("grok", "a__b", false),
        ("grok", "1st", false),
        ("grok", "_first", true),
        ("cursor", "", false),
    ] {
        assert_eq!(client(id).accepts(name).is_ok(), taken, "{id}: {name}");
    }
}
