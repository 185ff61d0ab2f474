//! Encryption at rest and in the hands of others: AES-256-GCM, bound to what the content is for.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::config::SecretsKeys;
use crate::digest::DigestKey;
use crate::secret::Secret;

/// `content` under `key`, with the nonce in front; opened with the same `bound` only. `None` where the library refuses.
pub fn seal(key: &[u8; 32], bound: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let mut content = content.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(bound), &mut content).ok()?;
    Some([&nonce.as_ref()[..], &content].concat())
}

/// What [`seal`] has sealed, where it was with this key, bound to this, and was not altered.
pub fn open(key: &[u8; 32], bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, content) = sealed.split_at_checked(NONCE_LEN)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut content = content.to_vec();
    let length = key.open_in_place(nonce, Aad::from(bound), &mut content).ok()?.len();
    content.truncate(length);
    Some(content)
}

/// The parts of `bound` as bytes. Each has its length in front: no two lists of parts are the same bytes.
pub fn bound_to<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let parts = parts.into_iter();
    parts.flat_map(|part| [&part.len().to_be_bytes()[..], part.as_bytes()].concat()).collect()
}

/// The key that `secret` stands for where something is sealed for `purpose`.
pub fn derived(secret: &Secret, purpose: &str) -> [u8; 32] {
    DigestKey::derive(secret.expose().as_bytes()).digest(purpose.as_bytes()).bytes()
}

/// The secrets of an installation, for one purpose: the newest seals, all of them open.
#[derive(Clone, Copy, Debug)]
pub struct Sealing<'a> {
    secrets: &'a SecretsKeys,
    purpose: &'static str,
}

impl<'a> Sealing<'a> {
    /// With `secrets`, for `purpose`: nothing that was sealed for another one is opened.
    pub const fn new(secrets: &'a SecretsKeys, purpose: &'static str) -> Self {
        Self { secrets, purpose }
    }

    /// Seals `content`; `None` without a key.
    pub fn seal(&self, bound: &[u8], content: &[u8]) -> Option<Vec<u8>> {
        seal(&derived(self.secrets.key.as_ref()?, self.purpose), bound, content)
    }

    /// Opens what was sealed with a key that is known still.
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut keys = self.secrets.key.iter().chain(&self.secrets.before);
        keys.find_map(|secret| open(&derived(secret, self.purpose), bound, sealed))
    }

    /// The keyed digests of `content`, that of the newest secret first: what is made again instead of kept.
    pub fn digests(&self, content: &[u8]) -> impl Iterator<Item = [u8; 32]> + use<'a> {
        let (content, purpose) = (content.to_vec(), self.purpose);
        let keys = self.secrets.key.iter().chain(&self.secrets.before);
        keys.map(move |secret| {
            let key = DigestKey::derive(&derived(secret, purpose));
            key.digest(&content).bytes()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_with_its_key_for_its_purpose_only() {
        let secrets = |key: &str, before: &[&str]| SecretsKeys {
            key: Some(Secret::new(key)),
            before: before.iter().map(|key| Secret::new(*key)).collect(),
        };
        let (one, two) = (secrets("one", &[]), secrets("two", &["one"]));
        let sealed = Sealing::new(&one, "a").seal(b"x", b"content").unwrap();
        assert_eq!(Sealing::new(&two, "a").open(b"x", &sealed).unwrap(), b"content");
        assert!(Sealing::new(&two, "b").open(b"x", &sealed).is_none());
        assert!(Sealing::new(&two, "a").open(b"y", &sealed).is_none());
        assert!(Sealing::new(&secrets("two", &[]), "a").open(b"x", &sealed).is_none());
        assert!(Sealing::new(&SecretsKeys::default(), "a").seal(b"x", b"content").is_none());
        let mut altered = sealed.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert!(Sealing::new(&one, "a").open(b"x", &altered).is_none());
        assert_ne!(sealed, Sealing::new(&one, "a").seal(b"x", b"content").unwrap());
        assert_eq!(bound_to(["ab", "c"]).len(), 19);
        assert_ne!(bound_to(["ab", "c"]), bound_to(["a", "bc"]));
    }
}
