//! What credentials that admins add are encrypted with.

use serde_saphyr::Spanned;

use super::file::File;
use super::resolve::Resolver;
use super::{ConfigError, SecretRef};
use crate::secret::Secret;

/// What credentials that admins add are encrypted with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsKeys {
    /// What new ones are encrypted with; without it none can be added.
    pub key: Option<Secret>,
    /// What else old ones may be encrypted with.
    pub before: Vec<Secret>,
}

/// Shorter ones can be guessed by whoever has a copy of the database.
const SHORTEST: usize = 32;

/// Read where the file says nothing.
const VARIABLE: &str = "TOLLGATE_SECRETS_KEY";

impl Resolver<'_> {
    pub(super) fn secrets_keys(&self, file: &File) -> Result<SecretsKeys, ConfigError> {
        let read = |written: &Spanned<SecretRef>| {
            let wrong = |why: &str| ConfigError::at(written.referenced, format!("the key of secrets: {why}"));
            let secret = written.value.read(self.world.environment).map_err(|why| wrong(&why))?;
            long_enough(secret).map_err(wrong)
        };
        let key = match &file.secrets_key {
            Some(written) => Some(read(written)?),
            None => {
                let set = self.world.environment.variable(VARIABLE).filter(|text| !text.trim().is_empty());
                let key = set.map(|text| long_enough(Secret::new(text.trim()))).transpose();
                key.map_err(|why| ConfigError::new(format!("{VARIABLE}: {why}")))?
            }
        };
        let before = file.secrets_keys_before.iter().map(read).collect::<Result<_, _>>()?;
        Ok(SecretsKeys { key, before })
    }
}

fn long_enough(secret: Secret) -> Result<Secret, &'static str> {
    if secret.expose().len() < SHORTEST {
        return Err("it is shorter than 32 characters (make one with `openssl rand -hex 32`)");
    }
    Ok(secret)
}
