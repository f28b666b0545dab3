use serde::{Deserialize, Serialize};

use crate::manifest::model::{Drift, Unmanaged};

/// What the manifest says about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// It should stand there.
    Yes,
    /// It should not.
    No,
    /// It should, but cannot be written; nothing may happen to what is there.
    Blocked,
}

/// What is known about one entry before it is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// D: what the manifest says.
    pub want: Want,
    /// L: whether the live file has it.
    pub live: bool,
    /// B: whether the ledger says that we wrote it.
    pub recorded: bool,
    /// Whether L = D in every field that is ours.
    pub live_is_desired: bool,
    /// Whether L says nothing else than D, but lacks what the client's row adds to it.
    pub live_is_incomplete: bool,
    /// Whether L = B in every field that is ours.
    pub live_is_recorded: bool,
    /// Whether B = D.
    pub recorded_is_desired: bool,
    /// Whether the ledger protects it from pruning.
    pub protect: bool,
}

/// What happens to one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is as it should be.
    Keep,
    /// It is as it should be, and from now on it is ours.
    Record,
    /// New.
    Create,
    /// Put back: somebody removed it.
    Restore,
    /// The manifest changed.
    Update,
    /// Put right: somebody changed it.
    Repair,
    /// The manifest and somebody else changed it.
    UpdateDrift,
    /// Somebody changed or removed it; it is left that way.
    Report,
    /// Somebody changed or removed it; the manifest follows.
    Adopt,
    /// Somebody else's entry has this name and says something else: refused.
    Conflict,
    /// No longer wanted.
    Remove,
    /// Not ours, and the client is declared exclusive.
    RemoveForeign,
    /// No longer wanted and already gone.
    Forget,
    /// No longer wanted, but protected.
    Protected,
    /// Not ours: it stays.
    Foreign,
    /// It cannot be written; nothing happens to it.
    Blocked,
    /// It would change what is run, and waits for a person.
    Held,
    /// Nothing wanted, nothing there.
    Nothing,
}

impl Action {
    /// Whether it changes the client's file or the manifest.
    pub fn is_change(self) -> bool {
        use Action::*;
        matches!(self, Create | Restore | Update | Repair | UpdateDrift | Adopt | Remove | RemoveForeign)
    }

    /// Whether the entry says what the manifest does afterwards, and did not before.
    pub fn writes(self) -> bool {
        use Action::*;
        matches!(self, Create | Restore | Update | Repair | UpdateDrift)
    }

    /// Whether somebody else's hand shows.
    pub fn is_drift(self) -> bool {
        use Action::*;
        matches!(self, Restore | Repair | UpdateDrift | Report | Adopt)
    }

    /// Whether the user asked for something that will not happen.
    pub fn is_refused(self) -> bool {
        matches!(self, Action::Conflict | Action::Blocked)
    }

    /// One word for a table.
    pub fn word(self) -> &'static str {
        use Action::*;
        match self {
            Keep => "in sync",
            Record => "adopt as ours",
            Create => "create",
            Restore => "restore",
            Update => "update",
            Repair => "repair",
            UpdateDrift => "update + drift",
            Report => "drift (reported)",
            Adopt => "adopt into manifest",
            Conflict => "conflict",
            Remove => "remove",
            RemoveForeign => "remove (not ours)",
            Forget => "already gone",
            Protected => "protected",
            Foreign => "not ours",
            Blocked => "blocked",
            Held => "held",
            Nothing => "",
        }
    }
}

/// The three-way merge of DESIGN section 4, row for row.
///
/// `adopt_conflicts` is the flag `--adopt`.
pub fn decide(facts: Facts, drift: Drift, unmanaged: Unmanaged, adopt_conflicts: bool) -> Action {
    let on_drift = |repair| match drift {
        Drift::Repair => repair,
        Drift::Report => Action::Report,
        Drift::Adopt => Action::Adopt,
    };
    match (facts.want, facts.live, facts.recorded) {
        (Want::Blocked, ..) => Action::Blocked,
        (Want::Yes, false, false) => Action::Create,
        (Want::Yes, false, true) => on_drift(Action::Restore),
        (Want::Yes, true, recorded) if facts.live_is_desired => {
            if recorded && facts.recorded_is_desired {
                Action::Keep
            } else {
                Action::Record
            }
        }
        (Want::Yes, true, false) if facts.live_is_incomplete => Action::Update,
        (Want::Yes, true, false) if adopt_conflicts || unmanaged == Unmanaged::Adopt => Action::Update,
        (Want::Yes, true, false) => Action::Conflict,
        (Want::Yes, true, true) if facts.live_is_recorded => Action::Update,
        (Want::Yes, true, true) if facts.recorded_is_desired => on_drift(Action::Repair),
        (Want::Yes, true, true) => Action::UpdateDrift,
        (Want::No, _, true) if facts.protect => Action::Protected,
        (Want::No, true, true) => Action::Remove,
        (Want::No, false, true) => Action::Forget,
        (Want::No, true, false) if unmanaged == Unmanaged::Remove => Action::RemoveForeign,
        (Want::No, true, false) => Action::Foreign,
        (Want::No, false, false) => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::*;

    /// want, live, recorded, L=D, L=B, B=D
    fn facts(want: Want, bits: [u8; 5]) -> Facts {
        let [live, recorded, live_is_desired, live_is_recorded, recorded_is_desired] =
            bits.map(|bit| bit == 1);
        let (live_is_incomplete, protect) = (false, false);
        Facts {
            want,
            live,
            recorded,
            live_is_desired,
            live_is_incomplete,
            live_is_recorded,
            recorded_is_desired,
            protect,
        }
    }

    #[track_caller]
    fn check(want: Want, bits: [u8; 5], expected: [Action; 3]) {
        let decided = [Drift::Repair, Drift::Report, Drift::Adopt]
            .map(|drift| decide(facts(want, bits), drift, Unmanaged::Keep, false));
        assert_eq!(decided, expected);
    }

    #[test]
    fn wanted_and_nowhere_is_created() {
        check(Want::Yes, [0, 0, 0, 0, 0], [Create, Create, Create]);
    }

    #[test]
    fn wanted_and_removed_by_hand_is_drift() {
        check(Want::Yes, [0, 1, 0, 0, 1], [Restore, Report, Adopt]);
        check(Want::Yes, [0, 1, 0, 0, 0], [Restore, Report, Adopt]);
    }

    #[test]
    fn wanted_and_right_is_kept_and_recorded_when_it_was_not_ours() {
        check(Want::Yes, [1, 1, 1, 1, 1], [Keep, Keep, Keep]);
        check(Want::Yes, [1, 0, 1, 0, 0], [Record, Record, Record]);
        check(Want::Yes, [1, 1, 1, 0, 0], [Record, Record, Record]);
    }

    #[test]
    fn a_strangers_entry_of_the_same_name_is_a_conflict_until_adopted() {
        check(Want::Yes, [1, 0, 0, 0, 0], [Conflict, Conflict, Conflict]);
        let stranger = facts(Want::Yes, [1, 0, 0, 0, 0]);
        assert_eq!(decide(stranger, Drift::Repair, Unmanaged::Keep, true), Update);
        assert_eq!(decide(stranger, Drift::Repair, Unmanaged::Adopt, false), Update);
    }

    #[test]
    fn a_strangers_entry_that_only_lacks_what_the_row_adds_is_completed() {
        let stranger = Facts { live_is_incomplete: true, ..facts(Want::Yes, [1, 0, 0, 0, 0]) };
        assert_eq!(decide(stranger, Drift::Report, Unmanaged::Keep, false), Update);
    }

    #[test]
    fn a_change_of_the_manifest_is_an_update_under_every_policy() {
        check(Want::Yes, [1, 1, 0, 1, 0], [Update, Update, Update]);
    }

    #[test]
    fn a_change_by_hand_follows_the_drift_policy() {
        check(Want::Yes, [1, 1, 0, 0, 1], [Repair, Report, Adopt]);
    }

    #[test]
    fn a_change_on_both_sides_shows_both() {
        check(Want::Yes, [1, 1, 0, 0, 0], [UpdateDrift, UpdateDrift, UpdateDrift]);
    }

    #[test]
    fn unwanted_and_ours_is_removed_or_forgotten() {
        check(Want::No, [1, 1, 0, 1, 0], [Remove, Remove, Remove]);
        check(Want::No, [1, 1, 0, 0, 0], [Remove, Remove, Remove]);
        check(Want::No, [0, 1, 0, 0, 0], [Forget, Forget, Forget]);
    }

    #[test]
    fn protection_lives_in_the_ledger() {
        let protected = Facts { protect: true, ..facts(Want::No, [1, 1, 0, 1, 0]) };
        assert_eq!(decide(protected, Drift::Repair, Unmanaged::Remove, false), Protected);
    }

    #[test]
    fn unwanted_and_not_ours_stays_unless_the_client_is_exclusive() {
        check(Want::No, [1, 0, 0, 0, 0], [Foreign, Foreign, Foreign]);
        let foreign = facts(Want::No, [1, 0, 0, 0, 0]);
        assert_eq!(decide(foreign, Drift::Repair, Unmanaged::Remove, false), RemoveForeign);
        check(Want::No, [0, 0, 0, 0, 0], [Nothing, Nothing, Nothing]);
    }

    #[test]
    fn what_cannot_be_written_is_left_alone() {
        for bits in [[0, 0, 0, 0, 0], [1, 1, 0, 1, 0], [1, 0, 0, 0, 0]] {
            check(Want::Blocked, bits, [Blocked, Blocked, Blocked]);
        }
    }
}
