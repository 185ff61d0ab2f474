//! A signed token in its compact form (RFC 7515 §7.1): three parts, of which nothing is believed before the signature is
//! checked, but for what must be read to find the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// No token is longer, in bytes: it comes in a header with every request.
const LONGEST: usize = 16 << 10;

/// The longest name of a key.
const LONGEST_KID: usize = 256;

/// A token that was taken apart.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) header: Header,
    /// What is signed: header and payload as they are written.
    pub(crate) signed: &'a str,
    /// The signature, in Base64.
    pub(crate) signature: &'a str,
    payload: Vec<u8>,
}

/// What a token says of itself (RFC 7515 §4.1).
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    /// With what it is signed. What is no public-key signature (`none`, the HMACs) has no name here.
    pub(crate) alg: Algorithm,
    /// The key.
    #[serde(default)]
    pub(crate) kid: Option<String>,
    /// What kind of token it is.
    #[serde(default)]
    typ: Option<String>,
    /// Extensions that must be understood.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Signatures that are taken: those that whoever checks them cannot make.
pub(crate) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Whether `text` looks like one: a JSON object in Base64 begins so, and no key that the gate gives out does.
pub(crate) fn may_be(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|b| *b == b'.').count() == 2
}

/// Whether a token of the type `typ` gives access: others are signed with the same keys (RFC 8725 §3.11), such as those
/// that tell of a logout or prove that somebody has a key.
fn is_of_access(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

impl<'a> Jws<'a> {
    /// Takes `text` apart; otherwise why it is no token, in words that follow "the token".
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        let malformed = || "is no signed JWT".to_owned();
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&decoded(header)?)
            .map_err(|_| "has a header that cannot be read, or a signature of a kind that is not taken")?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err("is signed in a way that is not taken: only with a private key".to_owned());
        }
        if !header.typ.as_deref().is_none_or(is_of_access) {
            return Err("is no access token but something else (`typ`)".to_owned());
        }
        if header.crit.is_some() {
            return Err("wants extensions to be understood (`crit`) that are not".to_owned());
        }
        if header.kid.as_ref().is_some_and(|kid| kid.len() > LONGEST_KID) {
            return Err("names its key in too many words".to_owned());
        }
        Ok(Self { header, signed, signature, payload: decoded(payload)? })
    }

    /// Whether it says that it is an access token (RFC 9068 §2.1).
    pub(crate) fn is_access_token(&self) -> bool {
        let typ = self.header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == "at+jwt"
    }

    /// What it says. It is nobody's word before the signature is checked.
    pub(crate) fn unchecked<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.payload).map_err(|_| "says nothing that can be read".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part("{}"), part("signature"))
    }

    #[test]
    fn only_signatures_that_need_a_private_key_are_taken() {
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS512","kid":"a"}"#,
            r#"{"alg":""}"#,
            r#"{"typ":"JWT"}"#,
            r#"{"alg":"RS256","crit":["b64"]}"#,
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            r#"{"alg":"RS256","typ":"dpop+jwt"}"#,
        ] {
            let token = token(header);
            assert!(may_be(&token) && Jws::read(&token).is_err(), "{header}");
        }
        assert!(Jws::read(&token(r#"{"alg":"ES256","kid":"../../etc/passwd","extra":1}"#)).is_ok());
        assert!(Jws::read(&token(r#"{"alg":"ES256","typ":"application/AT+jwt"}"#)).is_ok());
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
        assert!(Jws::read(&token(&long)).is_err());
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in ["", "sk-tg-abc", "eyJ.a", "eyJ.a.b.c", "a.b.c", "eyJ..", "eyJ\u{e9}.a.b"] {
            assert!(!may_be(text) || Jws::read(text).is_err(), "{text}");
        }
        assert!(Jws::read(&format!("{}{}", token(r#"{"alg":"ES256"}"#), "a".repeat(LONGEST))).is_err());
    }
}
