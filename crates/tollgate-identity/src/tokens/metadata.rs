//! What an issuer says of itself: OpenID Connect Discovery 1.0 §4, RFC 8414 §3.

use http::Uri;
use serde::Deserialize;
use tollgate_core::config::identity::Issuer;
use tollgate_core::identity::Fetch;

/// The part of an issuer's metadata that is read.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Where the metadata of `issuer` may be: below its path, as OpenID Connect has it, or before its path, as OAuth has.
fn places(issuer: &str) -> Result<[Uri; 2], String> {
    let wrong = |_| "its address cannot be read".to_owned();
    let bare = issuer.trim_end_matches('/');
    let uri: Uri = bare.parse().map_err(wrong)?;
    let path = uri.path().trim_end_matches('/');
    let origin = bare.strip_suffix(path).unwrap_or(bare);
    let below = format!("{bare}/.well-known/openid-configuration").parse().map_err(wrong)?;
    let before = format!("{origin}/.well-known/oauth-authorization-server{path}").parse().map_err(wrong)?;
    Ok([below, before])
}

/// The metadata of `issuer`, from where it is.
pub(crate) async fn fetched(issuer: &Issuer, fetch: &dyn Fetch) -> Result<Vec<u8>, String> {
    let [below, before] = places(&issuer.issuer)?;
    match fetch.fetch(below, issuer.private).await {
        Ok(text) => Ok(text),
        Err(why) => fetch.fetch(before, issuer.private).await.map_err(|_| format!("its metadata: {why}")),
    }
}

/// Where the keys of `issuer` are, as its metadata `text` says. Metadata of another issuer is none (RFC 8414 §3.3).
pub(crate) fn keys_url(issuer: &str, text: &[u8], private: bool) -> Result<Uri, String> {
    let read: Metadata =
        serde_json::from_slice(text).map_err(|_| "its metadata has no `issuer` and `jwks_uri`".to_owned())?;
    if read.issuer != issuer {
        let shown: String = read.issuer.chars().take(200).collect();
        return Err(format!("its metadata is that of another issuer, {shown:?}"));
    }
    let uri: Uri = read.jwks_uri.parse().map_err(|_| "its `jwks_uri` is no address".to_owned())?;
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if private => Ok(uri),
        _ => Err("its `jwks_uri` is not encrypted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_both_places() {
        let of = |issuer: &str| places(issuer).unwrap().map(|uri| uri.to_string());
        assert_eq!(
            of("https://a.example/realms/one"),
            [
                "https://a.example/realms/one/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server/realms/one"
            ]
        );
        assert_eq!(
            of("https://a.example:8443/"),
            [
                "https://a.example:8443/.well-known/openid-configuration",
                "https://a.example:8443/.well-known/oauth-authorization-server"
            ]
        );
    }

    #[test]
    fn metadata_of_another_issuer_is_none() {
        let text = br#"{"issuer":"https://a.example","jwks_uri":"https://keys.example/k","more":1}"#;
        assert_eq!(keys_url("https://a.example", text, false).unwrap(), "https://keys.example/k");
        assert!(keys_url("https://a.example/", text, false).unwrap_err().contains("another issuer"));
        let plain = br#"{"issuer":"https://a.example","jwks_uri":"http://a.example/k"}"#;
        assert!(keys_url("https://a.example", plain, false).is_err());
        assert!(keys_url("https://a.example", plain, true).is_ok());
        let file = br#"{"issuer":"https://a.example","jwks_uri":"file:///etc/passwd"}"#;
        assert!(keys_url("https://a.example", file, true).is_err());
    }
}
