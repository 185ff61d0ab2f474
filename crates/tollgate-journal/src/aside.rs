//! Side files: what was kept of a call's content and is too large for its entry. Named by the keyed digest of what they
//! hold, compressed, and encrypted where a key is given. They go when their segment does.

use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use tollgate_core::digest::Digest;
use tollgate_core::ports::Position;

use crate::keys::{Keys, content_key};
use crate::private::private;

/// What an encrypted file begins with.
const ENCRYPTED: &[u8; 4] = b"TGA1";

/// The largest side file that is read.
const LARGEST: usize = 256 << 20;

/// Why a side file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AsideError {
    /// It is not there.
    #[error("the side file {0} is not there: it may have been removed with its segment")]
    Missing(Digest),
    /// It is encrypted.
    #[error("the side file {0} is encrypted; give the key (journal.content_key)")]
    Encrypted(Digest),
    /// It is not what was written.
    #[error("the side file {0} is damaged, or the key is another one")]
    Damaged(Digest),
}

/// The folder of side files that belong to the segment that begins with `first`.
pub(crate) fn folder(chain: &Path, first: Position) -> PathBuf {
    chain.join("content").join(format!("{first:020}"))
}

/// Keeps `content` in `folder` and returns its name.
pub(crate) fn keep(folder: &Path, content: &[u8], keys: &Keys, sync: bool) -> std::io::Result<Digest> {
    let name = keys.digest.digest(content);
    let path = folder.join(name.to_string());
    if path.exists() {
        return Ok(name);
    }
    std::fs::create_dir_all(folder)?;
    let compressed = zstd::encode_all(content, 3)?;
    let bytes = match &keys.content {
        Some(key) => encrypted(key, compressed)?,
        None => compressed,
    };
    let mut options = private();
    options.create(true).truncate(true).write(true);
    // Two calls may keep the same content at once: each writes a file of its own.
    let new = folder.join(format!("{}.new", uuid::Uuid::now_v7().simple()));
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(&bytes)?;
        if sync { file.sync_data() } else { Ok(()) }
    });
    match written.and_then(|()| std::fs::rename(&new, &path)) {
        Ok(()) => Ok(name),
        Err(error) => {
            let _ = std::fs::remove_file(&new);
            Err(error)
        }
    }
}

fn encrypted(key: &[u8; 32], mut content: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let failed = |_| std::io::Error::other("encryption failed");
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(failed)?;
    let nonce = key.seal_in_place_append_tag(Aad::from(ENCRYPTED), &mut content).map_err(failed)?;
    Ok([&ENCRYPTED[..], nonce.as_ref(), &content].concat())
}

/// Reads the side file `name` of the chain in `chain`; `secret` is what it was encrypted with.
pub fn read_aside(chain: &Path, name: Digest, secret: Option<&str>) -> Result<Vec<u8>, AsideError> {
    let missing = || AsideError::Missing(name);
    let folders = std::fs::read_dir(chain.join("content")).map_err(|_| missing())?;
    let path =
        folders.flatten().map(|folder| folder.path().join(name.to_string())).find(|path| path.exists());
    let bytes = std::fs::read(path.ok_or_else(missing)?).map_err(|_| missing())?;
    let compressed = match (bytes.strip_prefix(ENCRYPTED), secret) {
        (None, _) => bytes,
        (Some(_), None) => return Err(AsideError::Encrypted(name)),
        (Some(sealed), Some(secret)) => {
            decrypted(&content_key(secret), sealed).ok_or(AsideError::Damaged(name))?
        }
    };
    zstd::bulk::decompress(&compressed, LARGEST).map_err(|_| AsideError::Damaged(name))
}

fn decrypted(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, content) = sealed.split_at_checked(NONCE_LEN)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut content = content.to_vec();
    key.open_in_place(nonce, Aad::from(ENCRYPTED), &mut content).ok().map(|plain| plain.to_vec())
}

/// Removes the side files of segments before the one that begins with `first`.
pub(crate) fn remove_before(chain: &Path, first: Position) -> std::io::Result<()> {
    let Ok(folders) = std::fs::read_dir(chain.join("content")) else { return Ok(()) };
    for folder in folders.flatten() {
        let older = folder.file_name().to_string_lossy().parse::<Position>().is_ok_and(|of| of < first);
        if older {
            std::fs::remove_dir_all(folder.path())?;
        }
    }
    Ok(())
}
