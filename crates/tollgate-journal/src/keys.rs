//! The keys of an installation: one that signs the journal's heads, and one for digests of content.
//!
//! They come from the environment or a file; otherwise they are made at the first start and kept in the data folder,
//! readable by the gate's own user only.

use std::io::Write;
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use tollgate_core::digest::DigestKey;

use crate::error::OpenError;
use crate::hash::Hash;
use crate::private::private;

/// What comes before the 32 bytes of an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI_FRONT: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Who this data folder belongs to, in names of files and in the chain's beginning: made at the first start.
pub fn instance_of(data_dir: &Path) -> Result<String, OpenError> {
    let path = data_dir.join("instance");
    let made = || uuid::Uuid::now_v7().simple().to_string().into_bytes();
    let text = String::from_utf8_lossy(&read_or_make(&path, made)?).trim().to_owned();
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits {
        Ok(text)
    } else {
        Err(OpenError::Key {
            place: path.display().to_string(),
            reason: "this is no name of an instance: letters, digits and `-`".to_owned(),
        })
    }
}

/// The keys of an installation.
#[derive(Debug)]
pub struct Keys {
    pair: Ed25519KeyPair,
    /// What others check its signatures with.
    pub public: PublicKey,
    /// The key of content digests.
    pub digest: DigestKey,
    /// What side files are encrypted with, where that is asked for.
    pub content: Option<[u8; 32]>,
}

impl Keys {
    /// The keys of `data_dir`: `signing`, a private key as PEM, and `digest`, any text, where they are given; those in the
    /// folder otherwise.
    pub fn load(data_dir: &Path, signing: Option<&str>, digest: Option<&str>) -> Result<Self, OpenError> {
        let path = data_dir.join("journal.key");
        let (place, pem) = match signing {
            Some(pem) => ("the journal's key".to_owned(), pem.as_bytes().to_vec()),
            None => (path.display().to_string(), read_or_make(&path, new_key)?),
        };
        let wrong = |reason: String| OpenError::Key { place: place.clone(), reason };
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|e| {
            wrong(format!("no private key in PEM (make one with `openssl genpkey -algorithm ed25519`): {e}"))
        })?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|e| wrong(format!("no Ed25519 key: {e}")))?;
        let public =
            PublicKey::of(pair.public_key().as_ref()).ok_or_else(|| wrong("no Ed25519 key".to_owned()))?;
        let digest_path = data_dir.join("digest.key");
        let secret = match digest {
            Some(text) => text.as_bytes().to_vec(),
            None => read_or_make(&digest_path, || {
                chance().iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect()
            })?,
        };
        let keys = Self { pair, public, digest: DigestKey::derive(&secret), content: None };
        let public_path = data_dir.join("journal.pub");
        if std::fs::read_to_string(&public_path).ok().as_deref() != Some(&keys.public.pem()) {
            std::fs::write(&public_path, keys.public.pem()).map_err(OpenError::io(&public_path))?;
        }
        Ok(keys)
    }

    /// The same, and side files are encrypted with a key made from `secret`.
    #[must_use]
    pub fn encrypting(mut self, secret: &str) -> Self {
        self.content = Some(content_key(secret));
        self
    }

    /// A signature of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// The key for side files that `secret` stands for.
pub(crate) fn content_key(secret: &str) -> [u8; 32] {
    DigestKey::derive(secret.as_bytes()).digest(b"side files").bytes()
}

/// What signatures are checked with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads a public key in PEM.
    pub fn from_pem(pem: &str) -> Option<Self> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
        Self::of(der.strip_prefix(&SPKI_FRONT)?)
    }

    /// It in PEM, as `openssl pkey -pubin` reads it.
    pub fn pem(&self) -> String {
        let der = [&SPKI_FRONT[..], &self.0].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Its name: the beginning of its hash.
    pub fn id(&self) -> String {
        Hash::of(&self.0).to_string()[..16].to_owned()
    }

    /// Whether `signature` is one of `message`.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

fn new_key() -> Vec<u8> {
    // What comes before the 32 bytes of a private key (RFC 8410 §7).
    const FRONT: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = [&FRONT[..], &chance()].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der)).into_bytes()
}

#[expect(clippy::expect_used, reason = "a system without chance cannot run TLS either")]
fn chance() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// The content of `path`, which is written first where it is absent: whole or not at all.
fn read_or_make(path: &Path, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, OpenError> {
    let failed = OpenError::io(path);
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        other => return other.map_err(failed),
    }
    let new = path.with_extension("new");
    let mut options = private();
    options.create(true).truncate(true).write(true);
    let bytes = make();
    let mut file = options.open(&new).map_err(&failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(&failed)?;
    // Two gates that start in one new folder agree on whoever was first.
    match std::fs::hard_link(&new, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            std::fs::rename(&new, path).map_err(&failed)?;
        }
        _ => {
            let _ = std::fs::remove_file(&new);
        }
    }
    std::fs::read(path).map_err(failed)
}
