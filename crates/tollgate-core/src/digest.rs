//! Keyed digests of content: whoever reads a record cannot find out by trying what was said, and whoever has the
//! content and the key can show that it is the same.
//!
//! The function is BLAKE3 in its keyed mode, a message authentication code as HMAC is (BLAKE3 paper §2.3, §7.2), and
//! several times as fast over a long prompt.

use std::fmt;

use serde::{Serialize, Serializer};

/// The key of an installation's digests.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// The key that `secret` stands for, whatever its length.
    pub fn derive(secret: &[u8]) -> Self {
        Self(blake3::derive_key("tollgate 2026 journal content digests", secret))
    }

    /// The digest of `content`.
    pub fn digest(&self, content: &[u8]) -> Digest {
        Digest(*blake3::keyed_hash(&self.0, content).as_bytes())
    }

    /// A digest of content that comes in pieces.
    pub fn digesting(&self) -> Digesting {
        Digesting(Box::new(blake3::Hasher::new_keyed(&self.0)))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey")
    }
}

/// A keyed digest. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Its bytes.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }
}

/// The hexadecimal digits of `bytes`, in lower case.
pub fn hex(bytes: [u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 64];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&hex(self.0)).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&hex(self.0)).unwrap_or_default())
    }
}

impl std::str::FromStr for Digest {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, blake3::HexError> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

/// A digest of content that comes in pieces.
#[derive(Clone)]
pub struct Digesting(Box<blake3::Hasher>);

impl Digesting {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digesting")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_digest_of_the_whole_and_another_key_another() {
        let (one, other) = (DigestKey::derive(b"one"), DigestKey::derive(b"other"));
        let mut pieces = one.digesting();
        pieces.push(b"he");
        pieces.push(b"llo");
        assert_eq!(pieces.finish(), one.digest(b"hello"));
        assert_ne!(one.digest(b"hello"), other.digest(b"hello"));
        assert_ne!(one.digest(b"hello"), one.digest(b"hello "));
        assert_eq!(one.digest(b"").to_string().len(), 64);
    }
}
