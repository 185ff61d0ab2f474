//! Keys: what a caller presents, and what is kept of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::KeySpec;
use crate::secret::Secret;

/// The SHA-256 of a key: all that is kept of it besides its beginning.
///
/// Keys are looked up by it. That takes a time which depends on the hash only, and nobody can choose a key by its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key as it is presented.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "the SHA-256 of a key has 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for KeyHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        hash.to_string()
    }
}

/// A key that was just made: shown once, kept nowhere.
#[derive(Debug)]
pub struct KeySecret(Secret);

/// What keys begin with: the SDKs of several providers expect `sk-`.
const BEGINNING: &str = "sk-tg-";

/// The shortest and the longest key that somebody may choose, in bytes.
const SHORTEST: usize = 16;
const LONGEST: usize = 256;

impl KeySecret {
    /// A key of 256 bits, which the caller takes from a source that nobody can guess.
    pub fn of(random: [u8; 32]) -> Self {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::from(BEGINNING);
        for three in random.chunks(3) {
            let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for digit in 0..=three.len() {
                let at = (bits >> (18 - 6 * digit)) & 63;
                text.push(char::from(DIGITS[at as usize]));
            }
        }
        Self(Secret::new(text))
    }

    /// A key that somebody chose, such as one that their programs have already. It is refused where it is short enough
    /// to be guessed, or cannot be sent in a header.
    pub fn chosen(text: &str) -> Result<Self, String> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !text.starts_with("sk-") || !plain || !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(format!(
                "a key that is chosen begins with `sk-` and has {SHORTEST} to {LONGEST} visible ASCII characters"
            ));
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// The key, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is looked up.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.0.expose())
    }

    /// Its beginning, by which people tell keys apart.
    pub fn prefix(&self) -> String {
        prefix_of(self.0.expose())
    }
}

/// The beginning of a key, by which people tell keys apart.
pub(crate) fn prefix_of(key: &str) -> String {
    const SHOWN: usize = BEGINNING.len() + 4;
    key.chars().take(SHOWN.min(key.chars().count() / 3)).collect()
}

/// The key before a rotation, which is taken for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Rotation {
    /// The hash of the key before.
    pub hash: KeyHash,
    /// Until when it is taken.
    pub until: Timestamp,
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Key {
    /// Its name, unique among keys; in records and addresses.
    pub id: Arc<str>,
    /// The hash of what is presented.
    pub hash: KeyHash,
    /// The beginning of what is presented.
    pub prefix: String,
    /// The key before, while it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What was said of it.
    #[serde(flatten)]
    pub spec: KeySpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_all_of_its_bits_and_is_known_by_its_hash() {
        let key = KeySecret::of([0xff; 32]);
        assert_eq!(key.expose().len(), BEGINNING.len() + 43);
        assert!(key.expose().starts_with("sk-tg-______"), "{}", key.expose());
        assert_eq!(KeySecret::of([0; 32]).expose(), format!("sk-tg-{}", "A".repeat(43)));
        let mut random = [7; 32];
        random[31] = 8;
        assert_ne!(KeySecret::of([7; 32]).expose(), KeySecret::of(random).expose());
        assert_eq!(KeyHash::of("sk-1234").to_string().parse(), Ok(KeyHash::of("sk-1234")));
        assert_eq!(
            KeyHash::of("sk-1234").to_string(),
            "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "as LiteLLM keeps it"
        );
        assert!("xy".repeat(32).parse::<KeyHash>().is_err() && "é".repeat(32).parse::<KeyHash>().is_err());
        assert!(!format!("{key:?}").contains(key.expose()));
        assert_eq!(prefix_of("short"), "s");
    }

    #[test]
    fn a_key_that_is_chosen_is_no_word_that_is_guessed_at_once() {
        let known = KeySecret::chosen("sk-0123456789abcdef").unwrap();
        assert_eq!(known.hash(), KeyHash::of("sk-0123456789abcdef"));
        for text in ["", "sk-1234", "0123456789abcdef", "sk-0123456789 abcdef", "sk-0123456789abcd\u{e9}f"] {
            assert!(KeySecret::chosen(text).is_err(), "{text}");
        }
        assert!(KeySecret::chosen(&format!("sk-{}", "a".repeat(254))).is_err());
    }
}
