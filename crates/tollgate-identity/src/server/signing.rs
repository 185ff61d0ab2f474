//! What tokens are signed with. The next key is published before it signs, and one that has signed stays published until
//! nothing is good any more that it has signed: whoever checks tokens has time to learn of both.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use parking_lot::RwLock;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tollgate_core::changes::{Changes, NotMade};
use tollgate_core::config::SecretsKeys;
use tollgate_core::config::identity::{Server, SigningAlgorithm};
use tollgate_core::identity::SigningKey;
use tollgate_core::ports::{Change, Registry};
use tollgate_core::principal::Principal;
use tollgate_core::query::QueryError;
use tollgate_core::seal::{Sealing, bound_to};

use super::reply::Error;
use crate::tokens::jws::Jws;
use crate::tokens::keys::KeySet;

/// What private keys are sealed for.
const PURPOSE: &str = "signing keys";

/// A key is published so long before it signs, and so long after it has: whoever checks tokens may keep keys for a day.
const AROUND: SignedDuration = SignedDuration::from_hours(24);

/// The private part of a key.
enum Private {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

/// A key as it is known here.
#[derive(Clone)]
struct Known {
    key: SigningKey,
    change: Change,
    /// What signs; `None` where it was encrypted with a secret that is not known here.
    private: Option<Arc<Private>>,
}

/// The keys.
pub(crate) struct SigningKeys {
    changes: Changes<SigningKey>,
    registry: Arc<dyn Registry<SigningKey>>,
    known: RwLock<BTreeMap<Arc<str>, Known>>,
    read: RwLock<Option<Change>>,
    /// What the gate itself checks tokens with.
    own: Arc<ArcSwap<KeySet>>,
}

impl SigningKeys {
    pub(crate) fn new(
        registry: Arc<dyn Registry<SigningKey>>,
        changes: Changes<SigningKey>,
        own: Arc<ArcSwap<KeySet>>,
    ) -> Self {
        Self { changes, registry, known: RwLock::default(), read: RwLock::default(), own }
    }

    /// Reads what other instances have made since the last time.
    pub(crate) async fn follow(&self, secrets: &SecretsKeys) -> Result<(), QueryError> {
        let mut last = self.read.read().unwrap_or(0);
        let mut news = false;
        loop {
            let part = self.registry.changed_after(last).await?;
            let Some(end) = part.last() else { break };
            last = end.change;
            news = true;
            for stored in part {
                match stored.document {
                    Some(key) => self.take(key, stored.change, secrets),
                    None => drop(self.known.write().remove(&stored.name.id)),
                }
            }
        }
        *self.read.write() = Some(last);
        if news {
            self.publish();
        }
        Ok(())
    }

    fn take(&self, key: SigningKey, change: Change, secrets: &SecretsKeys) {
        let sealed = URL_SAFE_NO_PAD.decode(&key.sealed).ok();
        let opened = sealed.and_then(|sealed| Sealing::new(secrets, PURPOSE).open(&bound(&key), &sealed));
        let private = opened.and_then(|der| Private::read(key.algorithm, &der)).map(Arc::new);
        if private.is_none() {
            tracing::warn!(
                key = &*key.id,
                "a signing key was encrypted with a `secrets_key` that is not known here, or was altered: it is not used"
            );
        }
        self.known.write().insert(Arc::clone(&key.id), Known { key, change, private });
    }

    fn publish(&self) {
        let text = self.published().to_string();
        let set = KeySet::read(text.as_bytes()).unwrap_or_default();
        self.own.store(Arc::new(set));
    }

    /// The key set (RFC 7517 §5): the keys that sign, those that will and those that have.
    pub(crate) fn published(&self) -> Value {
        let known = self.known.read();
        let ours = known.values().filter(|known| known.private.is_some());
        json!({ "keys": ours.map(|known| &known.key.public).collect::<Vec<_>>() })
    }

    /// Makes the keys that are missing, and removes those that are out of use.
    pub(crate) async fn rotate(
        &self,
        server: &Server,
        secrets: &SecretsKeys,
        now: Timestamp,
    ) -> Result<(), NotMade> {
        if self.read.read().is_none() {
            return Ok(());
        }
        for algorithm in &server.algorithms {
            let lasts = SignedDuration::try_from(server.rotate).unwrap_or(SignedDuration::MAX);
            let newest = self.newest(*algorithm);
            let from = match newest {
                // None that can sign: whatever is signed now must be signed with this one.
                None => Some(now),
                Some(from) if from > now => None,
                Some(from) => (from + lasts <= now + AROUND).then_some(now + AROUND.min(lasts)),
            };
            if let Some(from) = from {
                self.make(*algorithm, secrets, now, from).await?;
            }
        }
        self.remove_past(server, now).await
    }

    /// From when the newest key for `algorithm` signs that can.
    fn newest(&self, algorithm: SigningAlgorithm) -> Option<Timestamp> {
        let known = self.known.read();
        let able = known.values().filter(|known| known.key.algorithm == algorithm && known.private.is_some());
        able.map(|known| known.key.current_from).max()
    }

    async fn make(
        &self,
        algorithm: SigningAlgorithm,
        secrets: &SecretsKeys,
        now: Timestamp,
        from: Timestamp,
    ) -> Result<(), NotMade> {
        let prefix = format!("{}-", algorithm.name().to_lowercase());
        let number = |id: &Arc<str>| id.strip_prefix(&prefix)?.parse::<u32>().ok();
        let last = self.known.read().keys().filter_map(number).max().unwrap_or(0);
        let id: Arc<str> = format!("{prefix}{:06}", last + 1).into();
        let away = |why: &str| NotMade::Away(why.to_owned());
        let made = tokio::task::spawn_blocking(move || generate(algorithm)).await;
        let (der, mut public) = made.ok().flatten().ok_or_else(|| away("no key could be made"))?;
        let kid = thumbprint(&public);
        public["kid"] = kid.clone().into();
        public["use"] = "sig".into();
        public["alg"] = algorithm.name().into();
        let sealed = String::new();
        let mut key = SigningKey { id, algorithm, kid, public, sealed, created_at: now, current_from: from };
        let sealed = Sealing::new(secrets, PURPOSE).seal(&bound(&key), &der);
        key.sealed = URL_SAFE_NO_PAD.encode(sealed.ok_or_else(|| away("there is no `secrets_key`"))?);
        match self.changes.keep(&Principal::gate(), "create", None, &key).await {
            Ok(change) => {
                self.take(key, change, secrets);
                self.publish();
                Ok(())
            }
            // Another instance has made it just now.
            Err(NotMade::Exists) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Removes keys that others took the place of long enough ago, and those for algorithms that are configured no more.
    async fn remove_past(&self, server: &Server, now: Timestamp) -> Result<(), NotMade> {
        let past: Vec<Known> = {
            let known = self.known.read();
            let replaced = |one: &&Known| {
                let dropped = !server.algorithms.contains(&one.key.algorithm);
                dropped
                    || known.values().any(|other| {
                        other.key.algorithm == one.key.algorithm
                            && other.private.is_some()
                            && other.key.current_from > one.key.current_from
                            && other.key.current_from + AROUND <= now
                    })
            };
            known.values().filter(replaced).cloned().collect()
        };
        for Known { key, change, .. } in past {
            match self.changes.remove(&Principal::gate(), (&key, change)).await {
                Ok(_) | Err(NotMade::Stale) => drop(self.known.write().remove(&key.id)),
                Err(other) => return Err(other),
            }
            self.publish();
        }
        Ok(())
    }

    /// Whether one of the keys has signed `token`.
    pub(crate) fn check(&self, token: &Jws<'_>) -> Result<(), ()> {
        self.own.load().check(token).map_err(drop)
    }

    /// `claims` as a token of the type `typ`, signed with the key that is current.
    pub(crate) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        typ: &str,
        claims: &Value,
        now: Timestamp,
    ) -> Result<String, Error> {
        let known = self.known.read();
        let able = known.values().filter(|known| {
            known.key.algorithm == algorithm && known.private.is_some() && known.key.current_from <= now
        });
        let current = able.max_by_key(|known| known.key.current_from);
        let (private, kid) = current
            .and_then(|known| Some((Arc::clone(known.private.as_ref()?), known.key.kid.clone())))
            .ok_or_else(|| Error::away("there is no key to sign with yet"))?;
        drop(known);
        let header = json!({ "alg": algorithm.name(), "kid": kid, "typ": typ });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = private.sign(signed.as_bytes()).ok_or_else(|| Error::away("signing failed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// All that others see of a key: whoever writes into the database does not publish one of their own by that.
fn bound(key: &SigningKey) -> Vec<u8> {
    let (public, from) = (key.public.to_string(), key.current_from.to_string());
    bound_to([PURPOSE, &key.id, key.algorithm.name(), &key.kid, &public, &from])
}

impl Private {
    fn read(algorithm: SigningAlgorithm, der: &[u8]) -> Option<Self> {
        Some(match algorithm {
            SigningAlgorithm::RS256 => Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(der).ok()?)),
            SigningAlgorithm::ES256 => {
                Self::Ec(Box::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?))
            }
            SigningAlgorithm::EdDSA => Self::Ed(Box::new(Ed25519KeyPair::from_pkcs8(der).ok()?)),
        })
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        Some(match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).ok()?;
                signature
            }
            Self::Ec(pair) => pair.sign(&random, text).ok()?.as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(text).as_ref().to_vec(),
        })
    }
}

/// A private key (PKCS #8), and what is published of it (RFC 7518 §6, RFC 8037 §2).
fn generate(algorithm: SigningAlgorithm) -> Option<(Vec<u8>, Value)> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Some(match algorithm {
        SigningAlgorithm::RS256 => {
            let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).ok()?;
            let public = pair.public_key();
            let (n, e) = (public.modulus(), public.exponent());
            let jwk = json!({
                "kty": "RSA",
                "n": text(n.big_endian_without_leading_zero()),
                "e": text(e.big_endian_without_leading_zero()),
            });
            (pair.as_der().ok()?.as_ref().to_vec(), jwk)
        }
        SigningAlgorithm::ES256 => {
            let random = SystemRandom::new();
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?;
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).ok()?;
            // Uncompressed: a 4, then both coordinates.
            let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
            (document.as_ref().to_vec(), json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) }))
        }
        SigningAlgorithm::EdDSA => {
            let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
            let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).ok()?;
            let x = text(pair.public_key().as_ref());
            (document.as_ref().to_vec(), json!({ "kty": "OKP", "crv": "Ed25519", "x": x }))
        }
    })
}

/// The thumbprint of a public key (RFC 7638 §3): its members in the order of their names.
fn thumbprint(public: &Value) -> String {
    let members = ["crv", "e", "kty", "n", "x", "y"];
    let parts = members.iter().filter_map(|name| Some(format!("\"{name}\":{}", public.get(name)?)));
    let text = format!("{{{}}}", parts.collect::<Vec<_>>().join(","));
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638 §3.1.
    #[test]
    fn a_key_is_called_by_its_thumbprint() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        assert_eq!(thumbprint(&jwk), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_key_that_was_made_signs_and_is_checked_with_what_is_published() {
        for algorithm in [SigningAlgorithm::RS256, SigningAlgorithm::ES256, SigningAlgorithm::EdDSA] {
            let (der, public) = generate(algorithm).unwrap();
            let private = Private::read(algorithm, &der).unwrap();
            let part = |text: String| URL_SAFE_NO_PAD.encode(text);
            let signed =
                format!("{}.{}", part(json!({ "alg": algorithm.name() }).to_string()), part("{}".to_owned()));
            let token =
                format!("{signed}.{}", URL_SAFE_NO_PAD.encode(private.sign(signed.as_bytes()).unwrap()));
            let set = KeySet::read(json!({ "keys": [public] }).to_string().as_bytes()).unwrap();
            let jws = crate::tokens::jws::Jws::read(&token).unwrap();
            assert!(set.check(&jws).is_ok(), "{algorithm:?}");
        }
    }
}
