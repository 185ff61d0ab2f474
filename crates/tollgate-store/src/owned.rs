//! Files of databases are for whoever runs the gate, and for nobody else: there are hashes of passwords in them, and what people
//! have asked.

use std::path::Path;

use crate::StoreError;

/// Makes the file at `path`, where there is none, and takes it and what SQLite keeps beside it away from others.
pub(crate) fn for_owner_only(path: &Path) -> Result<(), StoreError> {
    let io = |error| StoreError::Database(sqlx::Error::Io(error));
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        // Made so from the beginning; SQLite gives what it makes beside it the same.
        std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(io)?;
        for suffix in ["", "-wal", "-shm"] {
            let mut beside = path.as_os_str().to_owned();
            beside.push(suffix);
            match std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
                _ => {}
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (path, io);
    Ok(())
}
