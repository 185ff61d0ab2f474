//! A value that must never be printed, logged or recorded.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A credential. `Debug` shows nothing of it; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this secret, in a time that depends on neither's content.
    ///
    /// Both sides are hashed first, so that the time does not tell the length either.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        let ours = Sha256::digest(self.0.as_bytes());
        let theirs = Sha256::digest(candidate);
        ours.ct_eq(&theirs).into()
    }

    /// `text` with every occurrence of this secret blanked out: upstreams echo what they were sent.
    pub fn scrub(&self, text: String) -> String {
        // Shorter values would blank out ordinary words.
        const SHORTEST: usize = 6;
        if self.0.len() >= SHORTEST && text.contains(&*self.0) {
            text.replace(&*self.0, "[secret]")
        } else {
            text
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown_and_still_compares() {
        let secret = Secret::new("sk-very-secret");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(secret.matches(b"sk-very-secret"));
        assert!(!secret.matches(b"sk-very-secre"));
        assert!(!secret.matches(b""));
        assert_eq!(secret.scrub("you sent sk-very-secret!".into()), "you sent [secret]!");
    }
}
