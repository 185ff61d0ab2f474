//! Files that only the gate's own user can read.

use std::fs::OpenOptions;

/// How a file is made that only the gate's own user can read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
