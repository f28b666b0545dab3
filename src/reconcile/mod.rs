//! The synchronous shell: carries plans out on a [`System`](crate::system::System).
//!
//! Invariant: decisions were made before; what is left here is to do them so that no cut-off and no
//! other writer can make a file torn or lose anybody's content. Start at [`transaction`].

pub mod recover;
pub mod transaction;
