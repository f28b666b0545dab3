use indexmap::IndexMap;
use serde_json::Value;
use std::path::PathBuf;

use super::delivery::{Delivered, Leak, deliver};
use super::{Chosen, Machine, Target, Unit};
use crate::base::{Diagnostic, Hidden, Pointer, Step};
use crate::clients::Place;
use crate::document::Format;
use crate::manifest::model::{Drift, Unmanaged};

/// What one client block wants to stand in its file: the desired side of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The client block's key.
    pub target: String,
    /// The client's id.
    pub client: String,
    /// The file, as configured.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// The containers of servers; for a list, with the member that identifies one.
    pub containers: Vec<(Pointer, Option<String>)>,
    /// Members of a file made from nothing, beside the root.
    pub new_file: Option<IndexMap<String, Value>>,
    /// The lock that the client takes around its own writes: the directory (`{file}` stands for the
    /// file), and after how many seconds it may be taken over.
    pub lock: Option<(String, u32)>,
    /// What happens on drift.
    pub drift: Drift,
    /// What happens to servers that are not ours.
    pub unmanaged: Unmanaged,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// One server in one client's own words.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The server's name.
    pub server: String,
    /// Where its entry stands.
    pub at: Pointer,
    /// Every value we answer for in the entry, by its place in it.
    pub fields: IndexMap<Pointer, Value>,
    /// Every value we answer for elsewhere in the file, by its place in the document (a name in a
    /// list of disabled servers).
    pub sides: IndexMap<Pointer, Value>,
    /// Those of the fields of which only the client's row has an opinion (`type: stdio`, `args: []`).
    pub made: Vec<Pointer>,
    /// Fields of the entry that must be empty: how the server is reached is the manifest's to say.
    pub empty: Vec<Pointer>,
    /// Values that would contradict the entry: where the document holds exactly this, it must go.
    pub against: IndexMap<Pointer, Value>,
    /// Fields of the entry that mean the same when the document leaves them out.
    pub implied: Vec<Pointer>,
    /// A digest of everything that decides what is started or opened, what it is given and which of its
    /// tools may be seen: what a person approves.
    pub pin: String,
    /// Whether the entry outlives its block in the manifest.
    pub protect: bool,
    /// Why it cannot be written; the live entry is then left as it is.
    pub blocked: Option<Diagnostic>,
    /// Whether it is switched off and this client has no switch: the entry is left out.
    pub omitted: bool,
    /// Why it is delivered the way it is.
    pub why: String,
    /// What `mcpkeel exec` starts or opens for it, with its references; none when delivered directly.
    pub starts: Option<String>,
    /// Whether the value of a secret stands in it, as `secrets: write` says.
    pub writes_secret: bool,
    /// Where the values of secrets would stand if somebody put them in place of the references.
    pub leaks: Vec<Leak>,
    /// Values that must not be shown with it.
    pub hidden: Hidden,
}

/// Says what a target wants in its client's own words. Problems that concern the user but block
/// nothing are added to `notes`.
pub fn wish(
    target: &Target,
    place: &Place,
    units: &[Unit],
    machine: &Machine<'_>,
    notes: &mut Vec<Diagnostic>,
) -> Wish {
    let entries =
        target.servers.iter().map(|chosen| entry(target, chosen, place, units, machine, notes)).collect();
    Wish {
        target: target.key.clone(),
        client: target.client.id().to_owned(),
        path: place.file.clone(),
        format: place.format,
        containers: target.client.containers(place),
        new_file: target.client.row().new_file.clone(),
        lock: target.client.row().lock.as_ref().map(|lock| (lock.dir.clone(), lock.stale_seconds)),
        drift: target.drift,
        unmanaged: target.unmanaged,
        entries,
    }
}

fn entry(
    target: &Target,
    chosen: &Chosen,
    place: &Place,
    units: &[Unit],
    machine: &Machine<'_>,
    notes: &mut Vec<Diagnostic>,
) -> Entry {
    let mut made = Entry {
        server: chosen.name.clone(),
        at: usual_place(&chosen.name, place),
        fields: IndexMap::new(),
        sides: IndexMap::new(),
        made: Vec::new(),
        empty: Vec::new(),
        against: IndexMap::new(),
        implied: Vec::new(),
        pin: super::pin(chosen, true, units),
        protect: chosen.server.protect,
        blocked: None,
        omitted: false,
        why: String::new(),
        starts: None,
        writes_secret: false,
        leaks: Vec::new(),
        hidden: Hidden::default(),
    };
    let Delivered { rendered, why, starts, writes, leaks, hidden } =
        match deliver(target, chosen, place, units, machine) {
            Ok(delivered) => delivered,
            Err(problem) => {
                made.blocked = Some(problem.at(target.place.clone()));
                return made;
            }
        };
    (made.why, made.starts, made.writes_secret) = (why, starts, writes);
    (made.leaks, made.hidden) = (leaks, hidden);
    for problem in rendered.problems {
        let problem = problem.at(target.place.clone());
        if problem.is_error() && made.blocked.is_none() {
            made.blocked = Some(problem);
        } else {
            notes.push(problem);
        }
    }
    made.omitted = rendered.omitted;
    made.at = rendered.entry;
    made.fields = rendered.fields;
    made.sides.extend(rendered.sides.into_iter().map(|side| (side.at, side.value)));
    made.made = rendered.made;
    made.empty = rendered.empty;
    made.implied = rendered.implied;
    made.against.extend(rendered.against.into_iter().map(|side| (side.at, side.value)));
    made
}

/// Where an entry stands when it is not known better: in the main container.
fn usual_place(name: &str, place: &Place) -> Pointer {
    match &place.list {
        Some(key) => place.root.then(Step::Item { key: key.clone(), is: name.to_owned() }),
        None => place.root.key(name),
    }
}
