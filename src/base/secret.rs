use zeroize::{Zeroize, Zeroizing};

/// A value that is used and never shown: no `Debug`, no `Display`, no `Serialize`, no `Clone`; the
/// memory is overwritten when it goes.
///
/// Whoever takes the value out answers for where it ends up: search for `expose`.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a value in.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// A copy, as guarded as this one.
    pub fn copy(&self) -> Self
    where
        T: Clone,
    {
        Self(self.0.clone())
    }
}
