//! Addresses and paths of the setting `identity`.

use std::sync::Arc;

use http::Uri;
use serde_saphyr::Spanned;

use super::{IdentityWritten, is_within};
use crate::config::ConfigError;

pub(super) fn own_address(written: &Spanned<String>) -> Result<Arc<str>, ConfigError> {
    let url = written.value.trim_end_matches('/');
    let origin = url.parse().is_ok_and(|uri: Uri| uri.path() == "/");
    match address(url, true) {
        Ok(_) if origin => Ok(Arc::from(url)),
        _ => {
            let why = format!("`{}` is no address like `https://gate.example.com`", written.value);
            Err(ConfigError::at(written.referenced, why))
        }
    }
}

/// The address that `text` is: of HTTPS, unless it is one inside (RFC 8414 §2).
pub(super) fn address(text: &str, private: bool) -> Result<Uri, String> {
    let wrong = || format!("`{text}` is no address like `https://login.example.com`");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    if uri.host().is_none_or(str::is_empty) || uri.query().is_some() || text.contains('#') {
        return Err(wrong());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if private => Ok(uri),
        Some("http") => Err(format!(
            "`{text}` is not encrypted: whoever is on the way could give out keys of their own; inside, set `private: true`"
        )),
        _ => Err(wrong()),
    }
}

/// The paths below which a key and a token are wanted, where there are keys and tokens.
pub(super) fn both(written: &IdentityWritten, can_be: bool) -> Result<Vec<String>, ConfigError> {
    let one = |written: &Spanned<String>| {
        let path = written.value.trim_end_matches('/');
        if !can_be {
            let why = "a key and a token can be wanted where there are both: `master_key`, and an issuer or `identity.server`";
            return Err(ConfigError::at(written.referenced, why));
        }
        // The management API has its own roles, and whoever signs in to it has no key.
        if !["/v1", "/v1beta", "/v2", "/mcp"].iter().any(|known| is_within(path, known)) {
            let why = format!(
                "`{}` is no path of calls: `/v1`, `/v1beta`, `/v2` or `/mcp`, or below",
                written.value
            );
            return Err(ConfigError::at(written.referenced, why));
        }
        Ok(path.to_owned())
    };
    written.key_and_token.iter().map(one).collect()
}
