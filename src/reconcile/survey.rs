use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::load::Loaded;
use super::observe::observe;
use crate::base::Diagnostic;
use crate::clients::{self, Client, catalog};
use crate::desired::{self, Chosen, Desired, Machine, Target};
use crate::manifest::model::Scope;
use crate::plan::{Ledger, Options, Plan, Wishes, clashes, plan_file};
use crate::secrets::with_machine;
use crate::system::System;

/// Everything a plan is made from, besides the live files.
pub struct Scene<'a> {
    /// The machine.
    pub system: &'a dyn System,
    /// The manifest.
    pub loaded: &'a Loaded,
    /// What is ours.
    pub ledger: &'a Ledger,
    /// The machine's key, for the ledger's fingerprints.
    pub key: [u8; 32],
    /// Choices of this run.
    pub options: Options,
    /// Only files that concern this client or client block.
    pub only: Option<&'a str>,
}

/// Reads the live files and compares. Writes nothing.
pub fn make_plan(scene: &Scene<'_>) -> Plan {
    let mut plan = Plan::default();
    let (groups, desired) = wishes(scene, &mut plan.notes);
    let options = Options { never_prune: desired.is_empty, ..scene.options };
    if desired.is_empty && !scene.ledger.files.is_empty() {
        plan.notes.push(
            Diagnostic::warning(
                "empty-manifest",
                "the manifest names no client at all, so nothing is pruned",
            )
            .hint("to take everything out, keep a client's block with `servers: []`"),
        );
    }
    for wishes in groups.into_values() {
        let concerned = |only: &str| {
            let record = scene.ledger.files.get(&wishes.path.display().to_string());
            wishes.wishes.iter().any(|wish| wish.target == only || wish.client == only)
                || record.is_some_and(|record| {
                    record.targets.iter().any(|(key, target)| key == only || target.client == only)
                })
        };
        if scene.only.is_some_and(|only| !concerned(only)) {
            continue;
        }
        let record = scene.ledger.files.get(&wishes.path.display().to_string());
        let observed = observe(scene.system, &wishes.path, wishes.format);
        plan.files.push(plan_file(wishes, observed, record, &scene.key, options));
    }
    plan
}

/// What is wanted of each file, by the file's real path; files that only the ledger knows come last.
fn wishes(scene: &Scene<'_>, notes: &mut Vec<Diagnostic>) -> (IndexMap<PathBuf, Wishes>, Desired) {
    with_machine(scene.system, &scene.loaded.units, |machine| wishes_on(scene, machine, notes))
}

fn wishes_on(
    scene: &Scene<'_>,
    machine: &Machine<'_>,
    notes: &mut Vec<Diagnostic>,
) -> (IndexMap<PathBuf, Wishes>, Desired) {
    let mut desired = desired::resolve(&scene.loaded.units, machine);
    notes.append(&mut desired.diagnostics);

    let mut groups: IndexMap<PathBuf, Wishes> = IndexMap::new();
    let mut used: BTreeMap<&String, &Chosen> = BTreeMap::new();
    let mut failed = desired.failed.clone();
    for target in &desired.targets {
        let place = match place_of(scene.system, target) {
            Ok(place) => place,
            Err(problem) => {
                failed.push(target.key.clone());
                notes.push(problem.at(target.place.clone()));
                continue;
            }
        };
        let mut said = Vec::new();
        let wish = desired::wish(target, &place, &scene.loaded.units, machine, &mut said);
        if scene.only.is_none_or(|only| target.key == only || target.client.id() == only) {
            used.extend(
                target.servers.iter().filter(|chosen| chosen.enabled).map(|chosen| (&chosen.name, chosen)),
            );
        }
        notes_on(scene.system, target, &place, &desired, &mut said);
        if scene.only.is_none_or(|only| target.key == only || target.client.id() == only) {
            notes.append(&mut said);
        }
        let real = super::observe::follow(scene.system, &place.file).unwrap_or_else(|_| place.file.clone());
        let group = groups.entry(real).or_insert_with(|| Wishes {
            path: place.file.clone(),
            format: place.format,
            wishes: Vec::new(),
            frozen: Vec::new(),
        });
        group.wishes.push(wish);
    }
    let mut unset: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for chosen in used.into_values() {
        for variable in desired::unset(chosen, &scene.loaded.units, machine) {
            let servers = unset.entry(variable).or_default();
            let server = format!("`{}`", chosen.name);
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }
    for (variable, servers) in unset {
        let message = format!(
            "the variable {variable} is not set here; {} will need it where the clients are started",
            servers.join(", ")
        );
        notes.push(Diagnostic::note("variable-unset", message));
    }
    for group in groups.values_mut() {
        for (server, first, second) in clashes(group) {
            let problem =
                Diagnostic::error(
                    "targets-clash",
                    format!("`{first}` and `{second}` share the file {} and want different things of `{server}` in it", super::tilde(scene.system, &group.path)),
                )
                .hint("give one of them another `scope`, or leave the server out of one of them");
            let both = group.wishes.iter_mut().filter(|wish| wish.target == first || wish.target == second);
            for entry in both.flat_map(|wish| &mut wish.entries).filter(|entry| entry.server == server) {
                entry.blocked = Some(problem.clone());
            }
        }
    }
    let known: BTreeSet<String> = groups.values().map(|group| group.path.display().to_string()).collect();
    for (path, record) in &scene.ledger.files {
        if known.contains(path) {
            continue;
        }
        let path = PathBuf::from(path);
        let real = super::observe::follow(scene.system, &path).unwrap_or_else(|_| path.clone());
        groups.entry(real).or_insert_with(|| Wishes {
            path,
            format: record.format,
            wishes: Vec::new(),
            frozen: Vec::new(),
        });
    }
    for group in groups.values_mut() {
        group.frozen.clone_from(&failed);
    }
    (groups, desired)
}

/// Where a client block's file is on this machine.
pub fn place_of(system: &dyn System, target: &Target) -> Result<clients::Place, Diagnostic> {
    let var = |name: &str| system.env(name);
    let exists = |path: &str| system.meta(Path::new(path)).is_ok();
    let home = system.home().unwrap_or_default().display().to_string();
    let env = clients::Env { os: system.os(), home: &home, var: &var, exists: &exists };
    let scope = match target.scope {
        Scope::User => clients::Scope::User,
        Scope::Project => clients::Scope::Project,
        Scope::Local => clients::Scope::Local,
    };
    match (&target.path, target.client.locate(&env, scope, target.root.as_deref())) {
        (Some(path), Ok(place)) => Ok(clients::Place { file: path.clone(), ..place }),
        // A path of the user's own makes up for a client that has no place on this system.
        (Some(path), Err(_)) => Ok(target.client.at(path.clone())),
        (None, place) => place.map_err(Diagnostic::from),
    }
}

/// What a user should know about a target's file besides its entries.
fn notes_on(
    system: &dyn System,
    target: &Target,
    place: &clients::Place,
    desired: &Desired,
    notes: &mut Vec<Diagnostic>,
) {
    let (row, name) = (target.client.row(), target.client.name());
    let file = super::tilde(system, &place.file);
    let mut note = |diagnostic: Diagnostic| notes.push(diagnostic.at(target.place.clone()));
    let is_user = target.scope == Scope::User;
    let readers = match (target.scope, &row.project) {
        (Scope::User, _) => row.read_by.as_slice(),
        (Scope::Project, Some(project)) => project.read_by.as_slice(),
        _ => &[],
    };
    let in_manifest = |id: &str| desired.targets.iter().any(|other| other.client.id() == id);
    let present: Vec<&str> = readers
        .iter()
        .map(String::as_str)
        .filter(|id| in_manifest(id) || catalog::find(id).is_some_and(|client| is_installed(system, client)))
        .collect();
    if !present.is_empty() && !target.servers.is_empty() {
        note(Diagnostic::note(
            "shared-file",
            format!("{file} of `{}` is also read by {}", target.key, present.join(", ")),
        ));
    }
    let is_link = system.meta(&place.file).is_ok_and(|meta| meta.kind == crate::system::Kind::Link);
    match row.symlink {
        clients::spec::Symlink::Unread if is_link => note(
            Diagnostic::warning(
                "link-unread",
                format!("{file} is a symbolic link, and {name} treats a linked file as missing"),
            )
            .hint("link its directory instead, or put a real file there"),
        ),
        clients::spec::Symlink::Breaks if is_link => note(Diagnostic::note(
            "link-broken",
            format!("{file} is a symbolic link, and {name} replaces it by a file when it writes itself"),
        )),
        _ => {}
    }
    if let (Scope::Project, Some(trust)) =
        (target.scope, row.project.as_ref().and_then(|project| project.trust.as_ref()))
    {
        note(Diagnostic::note("needs-trust", format!("`{}`: {trust}", target.key)));
    }
    if is_user
        && target.path.is_none()
        && catalog::find(target.client.id()).is_some()
        && !is_installed(system, &target.client)
    {
        note(Diagnostic::note(
            "not-detected",
            format!("{name} does not seem to be installed here; its file is written all the same"),
        ));
    }
}

/// Whether a client shows signs of being installed on this machine.
pub fn is_installed(system: &dyn System, client: &Client) -> bool {
    let var = |name: &str| system.env(name);
    let exists = |path: &str| system.meta(Path::new(path)).is_ok();
    let home = system.home().unwrap_or_default().display().to_string();
    let env = clients::Env { os: system.os(), home: &home, var: &var, exists: &exists };
    client.is_installed(&env)
}

/// Each known client with its user file on this machine, where it has one.
pub fn places(system: &dyn System) -> Vec<(&'static Client, Option<clients::Place>)> {
    let var = |name: &str| system.env(name);
    let exists = |path: &str| system.meta(Path::new(path)).is_ok();
    let home = system.home().unwrap_or_default().display().to_string();
    let env = clients::Env { os: system.os(), home: &home, var: &var, exists: &exists };
    catalog::all()
        .map(|client| {
            let place = client.locate(&env, clients::Scope::User, None).ok();
            (client, place)
        })
        .collect()
}
