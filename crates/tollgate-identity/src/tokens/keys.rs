//! The keys of an issuer (RFC 7517): what of a set can check signatures, and nothing else.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::tokens::jws::Jws;

/// Keys of a set; an issuer has two or three.
const MOST: usize = 100;

/// Bytes of an RSA modulus: 2048 to 8192 bits. A larger one takes whoever checks with it long, a smaller one is none.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Bytes of an RSA exponent.
const EXPONENT: usize = 8;

/// What an RSA key can check.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The keys of an issuer that can check signatures.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    named: HashMap<String, Vec<Key>>,
    unnamed: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    /// The only signatures that it is for, where it says so.
    alg: Option<String>,
    /// Those that it can check.
    can: &'static [Algorithm],
    key: DecodingKey,
}

/// Why a token's signature is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// No key that may have signed it is known.
    NoKey,
    /// It was made with another key, or for another text.
    Wrong,
}

impl KeySet {
    /// The set that `text` is; otherwise why it is none. Keys that nothing is known of, or that are for something else, are
    /// left out.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Written {
            keys: Vec<serde_json::Value>,
        }
        let written: Written = serde_json::from_slice(text).map_err(|_| "it is no key set".to_owned())?;
        if written.keys.len() > MOST {
            return Err(format!("it has more than {MOST} keys"));
        }
        let mut set = Self::default();
        for value in written.keys {
            let alg = value.get("alg").and_then(serde_json::Value::as_str).map(str::to_owned);
            let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
            let Some((can, key)) = usable(&jwk) else { continue };
            let key = Key { alg, can, key };
            match jwk.common.key_id {
                Some(kid) => set.named.entry(kid).or_default().push(key),
                None => set.unnamed.push(key),
            }
        }
        if set.named.is_empty() && set.unnamed.is_empty() {
            return Err("none of its keys can check signatures".to_owned());
        }
        Ok(set)
    }

    /// Checks the signature of `token`: with the key that it names, or where it names none with any of its kind.
    pub(crate) fn check(&self, token: &Jws<'_>) -> Result<(), Unsigned> {
        let alg = token.header.alg;
        let candidates: Vec<&Key> = match &token.header.kid {
            Some(kid) => self.named.get(kid).into_iter().flatten().collect(),
            None => self.named.values().flatten().chain(&self.unnamed).collect(),
        };
        let mut fit = candidates.into_iter().filter(|key| key.is_for(alg)).peekable();
        if fit.peek().is_none() {
            return Err(Unsigned::NoKey);
        }
        let signed = token.signed.as_bytes();
        let good = |key: &Key| jsonwebtoken::crypto::verify(token.signature, signed, &key.key, alg);
        if fit.any(|key| good(key).unwrap_or(false)) { Ok(()) } else { Err(Unsigned::Wrong) }
    }
}

impl Key {
    fn is_for(&self, alg: Algorithm) -> bool {
        self.can.contains(&alg) && self.alg.as_ref().is_none_or(|only| *only == format!("{alg:?}"))
    }
}

/// What `jwk` can check, where it is a public key that is for signatures and of a size that is safe.
fn usable(jwk: &Jwk) -> Option<(&'static [Algorithm], DecodingKey)> {
    use Algorithm::{ES256, ES384, EdDSA};
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
        && jwk.common.key_operations.as_ref().is_none_or(|can| can.contains(&KeyOperations::Verify));
    if !for_signatures {
        return None;
    }
    let can: &'static [Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
            let (modulus, exponent) = (bytes(&rsa.n)?, bytes(&rsa.e)?);
            let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
            let safe = MODULUS.contains(&(modulus.len() - zeros)) && exponent.len() <= EXPONENT;
            safe.then_some(RSA.as_slice())?
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => &[ES256],
            EllipticCurve::P384 => &[ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[EdDSA],
        // A secret that whoever checks must have too: nothing that is published.
        _ => return None,
    };
    Some((can, DecodingKey::from_jwk(jwk).ok()?))
}
