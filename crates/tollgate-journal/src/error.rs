//! Why a journal cannot be opened.

use std::path::{Path, PathBuf};

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system said no.
    #[error("{}: {reason}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Another process writes it.
    #[error("{}: another gate writes this journal; give each its own --data-dir", path.display())]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// A key cannot be used.
    #[error("{place}: {reason}")]
    Key {
        /// Where the key came from.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl OpenError {
    /// An error of the system at `path`.
    pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path: path.clone(), reason: error.to_string() }
    }
}
