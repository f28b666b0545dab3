//! Desired, observed and ledger compared: what would be done to which file, and why.
//!
//! Invariant: pure and total. A plan is complete: carrying it out takes no further decision, and the
//! same three inputs always give the same plan.
//!
//! Start at [`plan_file`]; the table of DESIGN section 4 is [`decide`].

mod changes;
mod contents;
mod decide;
mod diff;
mod file;
mod ledger;
mod saved;
mod view;

pub use decide::{Action, Facts, Want, decide};
pub use diff::plan_file;
pub use file::{FilePlan, Guard, Observed, Options, State, Step, Wishes, clashes};
pub use ledger::{EntryRecord, FileRecord, Ledger, TargetRecord, seal};
pub use saved::SavedPlan;
pub use view::{Counts, Plan, diff_text};
