//! What nobody guesses, and how it is compared.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tollgate_core::digest::hex;

use super::reply::Error;

/// 256 bits that nobody guesses.
pub(crate) fn secret() -> Result<String, Error> {
    bytes::<32>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// 128 bits that nobody else draws.
pub(crate) fn name() -> Result<String, Error> {
    bytes::<16>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::away("the system has no random numbers"))?;
    Ok(bytes)
}

/// What is kept instead of a secret that was drawn.
pub(crate) fn hashed(secret: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    std::str::from_utf8(&hex(hash)).unwrap_or_default().to_owned()
}

/// What is sent ahead of `verifier`, which only whoever has drawn it sends later (RFC 7636 §4.2, `S256`).
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}
