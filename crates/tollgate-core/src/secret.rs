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

    /// `text` with every occurrence of this secret blanked out, also where it is cut off: upstreams echo what they were
    /// sent, and what they echo is cut to what a person reads.
    pub fn scrub(&self, text: String) -> String {
        // Shorter values would blank out ordinary words.
        const SHORTEST: usize = 6;
        const SHORTEST_PIECE: usize = 10;
        if self.0.len() < SHORTEST {
            return text;
        }
        let piece = self.0.floor_char_boundary(SHORTEST_PIECE);
        let beginning = &self.0[..piece];
        if !text.contains(beginning) {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(beginning) {
            out.push_str(&rest[..at]);
            out.push_str("[secret]");
            let same = rest[at..].bytes().zip(self.0.bytes()).take_while(|(a, b)| a == b).count();
            // Both are text up to there, so a character that differs begins there in both or nowhere.
            rest = &rest[rest.floor_char_boundary(at + same).max(at + piece)..];
        }
        out + rest
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
        assert_eq!(secret.scrub("cut: sk-very-sec\"".into()), "cut: [secret]\"", "also where it is cut off");
        assert_eq!(secret.scrub("sk-very is no secret".into()), "sk-very is no secret");
    }
}
