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

/// Values that a text which is about to be shown may hold; only for hiding them there.
#[derive(Default)]
pub struct Hidden(Vec<Secret<String>>);

impl Hidden {
    /// Adds one.
    pub fn add(&mut self, value: Secret<String>) {
        self.0.push(value);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Secret<String>> {
        self.0.iter()
    }
}

impl Clone for Hidden {
    fn clone(&self) -> Self {
        Self(self.0.iter().map(Secret::copy).collect())
    }
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, other)| one.expose() == other.expose())
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hidden({})", self.0.len())
    }
}
