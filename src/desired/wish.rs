use indexmap::IndexMap;
use serde_json::Value;
use std::path::PathBuf;

use super::delivery::{Delivered, Leak, deliver};
use super::{Chosen, Machine, Target, Unit};
use crate::base::{Diagnostic, Hidden, Pointer, Step};
use crate::clients::{Place, Rendered};
use crate::document::Format;
use crate::manifest::model::{Delivery, Drift, Unmanaged};

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
    /// Servers that it reaches at the gateway instead of by entries of their own, switched off or not.
    pub behind: Vec<String>,
}

/// A server that a client reaches through an entry of another name.
#[derive(Clone, Debug, PartialEq)]
pub struct Behind {
    /// What is run for it, as a digest ([`crate::desired::pin`]).
    pub pin: String,
    /// The same for a person.
    pub starts: String,
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
    /// What can be reached through it, where it is not the server itself.
    pub behind: IndexMap<String, Behind>,
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
    let (entries, behind) = match target.delivery {
        Delivery::Gateway => {
            let entries = super::gateway::entries(target, place, units, machine, notes);
            let is_refused = |name: &str| entries.iter().any(|entry| entry.server == name);
            let behind = target.servers.iter().map(|chosen| chosen.name.clone());
            let behind = behind.filter(|name| !is_refused(name)).collect();
            (entries, behind)
        }
        Delivery::Auto | Delivery::Direct | Delivery::Exec => {
            let entry = |chosen| entry(target, chosen, place, units, machine, notes);
            (target.servers.iter().map(entry).collect(), Vec::new())
        }
    };
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
        behind,
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
        pin: super::pin(chosen, true, units),
        protect: chosen.server.protect,
        ..Entry::new(&chosen.name, usual_place(&chosen.name, place))
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
    made.rendered(rendered, target, notes)
}

impl Entry {
    /// With nothing in it yet.
    pub(super) fn new(server: &str, at: Pointer) -> Self {
        Self {
            server: server.to_owned(),
            at,
            fields: IndexMap::new(),
            sides: IndexMap::new(),
            made: Vec::new(),
            empty: Vec::new(),
            against: IndexMap::new(),
            implied: Vec::new(),
            pin: String::new(),
            protect: false,
            blocked: None,
            omitted: false,
            why: String::new(),
            starts: None,
            behind: IndexMap::new(),
            writes_secret: false,
            leaks: Vec::new(),
            hidden: Hidden::default(),
        }
    }

    /// As the client's row says it. The first error blocks it, other problems are notes.
    pub(super) fn rendered(
        mut self,
        rendered: Rendered,
        target: &Target,
        notes: &mut Vec<Diagnostic>,
    ) -> Self {
        for problem in rendered.problems {
            let problem = problem.at(target.place.clone());
            if problem.is_error() && self.blocked.is_none() {
                self.blocked = Some(problem);
            } else {
                notes.push(problem);
            }
        }
        self.omitted = rendered.omitted;
        self.at = rendered.entry;
        self.fields = rendered.fields;
        self.sides.extend(rendered.sides.into_iter().map(|side| (side.at, side.value)));
        self.made = rendered.made;
        self.empty = rendered.empty;
        self.implied = rendered.implied;
        self.against.extend(rendered.against.into_iter().map(|side| (side.at, side.value)));
        self
    }
}

/// Where an entry stands when it is not known better: in the main container.
pub(super) fn usual_place(name: &str, place: &Place) -> Pointer {
    match &place.list {
        Some(key) => place.root.then(Step::Item { key: key.clone(), is: name.to_owned() }),
        None => place.root.key(name),
    }
}
