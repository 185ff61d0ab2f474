//! Where other instances reach this one: the setting `advertise_url`.

use std::sync::Arc;

use http::Uri;
use serde_saphyr::Spanned;

use super::resolve::Resolver;
use super::{ConfigError, SecretRef, SecretsKeys};

/// Read where the file says nothing.
const VARIABLE: &str = "TOLLGATE_ADVERTISE_URL";

impl Resolver<'_> {
    /// Where other instances hand requests on to this one. They sign what they hand on with the key of secrets.
    pub(super) fn advertise_url(
        &self,
        written: Option<&Spanned<SecretRef>>,
        secrets: &SecretsKeys,
    ) -> Result<Option<Arc<str>>, ConfigError> {
        let wrong = |why: String| match written {
            Some(written) => ConfigError::at(written.referenced, format!("`advertise_url`: {why}")),
            None => ConfigError::new(format!("{VARIABLE}: {why}")),
        };
        let url = match written {
            Some(written) => {
                Some(written.value.read(self.world.environment).map_err(wrong)?.expose().to_owned())
            }
            None => self.world.environment.variable(VARIABLE),
        };
        let Some(url) = url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if !url.parse().is_ok_and(|uri| is_origin(&uri)) {
            return Err(wrong(format!("`{url}` is no address like `http://10.0.0.7:4000`")));
        }
        if secrets.key.is_none() {
            let why = "set `secrets_key` too, the same everywhere: instances sign with it what they hand on";
            return Err(wrong(why.to_owned()));
        }
        Ok(Some(Arc::from(url)))
    }
}

/// Whether `uri` is a scheme and a host, without a path.
fn is_origin(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/" && uri.query().is_none()
}
