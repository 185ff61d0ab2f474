//! One-time codes (RFC 6238): six digits, a new one every thirty seconds.

use jiff::Timestamp;
use qrcodegen::{QrCode, QrCodeEcc};
use tollgate_core::config::SecretsKeys;
use tollgate_core::seal::{Sealing, bound_to};
use totp_rs::{Builder, Secret, Totp};

use super::random;
use super::reply::Error;

/// What secrets are sealed for.
const PURPOSE: &str = "one-time codes";

/// How long a code is good, in seconds.
const STEP_S: u64 = 30;

/// A secret of 160 bits (RFC 4226 §4), as it is shown to people: in Base32.
pub(crate) fn new_secret() -> Result<String, Error> {
    Ok(Secret::from(random::bytes::<20>()?.to_vec()).to_base32())
}

/// `secret`, to be kept for `subject`.
pub(crate) fn seal(secrets: &SecretsKeys, subject: &str, secret: &str) -> Result<String, Error> {
    use base64::Engine as _;
    let sealed = Sealing::new(secrets, PURPOSE).seal(&bound_to([PURPOSE, subject]), secret.as_bytes());
    let sealed = sealed.ok_or_else(|| Error::away("there is no `secrets_key`"))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sealed))
}

/// The secret that was kept for `subject`.
pub(crate) fn open(secrets: &SecretsKeys, subject: &str, sealed: &str) -> Result<String, Error> {
    use base64::Engine as _;
    let sealed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(sealed).ok();
    let opened =
        sealed.and_then(|sealed| Sealing::new(secrets, PURPOSE).open(&bound_to([PURPOSE, subject]), &sealed));
    let text = opened.and_then(|plain| String::from_utf8(plain).ok());
    text.ok_or_else(|| {
        tracing::warn!(
            subject,
            "a secret of one-time codes was encrypted with a `secrets_key` that is not known here: `tollgate user sign-out --totp` \
             takes it away"
        );
        Error::new("access_denied", "your one-time codes cannot be checked here any more; an administrator can take them away")
    })
}

fn codes(secret: &str) -> Option<Totp> {
    let secret = Secret::try_from_base32(secret).ok()?;
    Builder::new().with_secret(secret).with_skew(0).with_step_duration(STEP_S).build().ok()
}

/// The step whose code `code` is, where it is that of now or of one beside it (RFC 6238 §5.2). A step is good once: whoever
/// looks over a shoulder comes too late.
pub(crate) fn step(secret: &str, code: &str, now: Timestamp) -> Option<u64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let codes = codes(secret)?;
    let now = u64::try_from(now.as_second()).ok()? / STEP_S;
    let fits = |step: &u64| random::same(&codes.generate(step * STEP_S).to_string(), &code);
    [now, now.checked_sub(1)?, now + 1].into_iter().find(fits)
}

/// What an authenticator application reads: `otpauth://…`, as a picture.
pub(crate) fn picture(issuer: &str, user: &str, secret: &str) -> Option<Picture> {
    let encoded =
        |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let (issuer, user) = (encoded(issuer), encoded(user));
    let address = format!(
        "otpauth://totp/{issuer}:{user}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    );
    let code = QrCode::encode_text(&address, QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = String::new();
    for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
        if code.get_module(x, y) {
            path.push_str(&format!("M{} {}h1v1h-1z", x + 4, y + 4));
        }
    }
    Some(Picture { size: size + 8, path })
}

/// A picture of squares, for `<svg>`.
pub(crate) struct Picture {
    /// Its width and its height.
    pub(crate) size: i32,
    /// The dark squares.
    pub(crate) path: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B: the secret of its examples, at 59 and 1111111109 seconds, the last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = Secret::from(b"12345678901234567890".to_vec()).to_base32();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(step(&secret, "287082", at(59)), Some(1));
        assert_eq!(step(&secret, "081 804", at(1_111_111_109)), Some(37_037_036));
        assert_eq!(step(&secret, "287082", at(89)), Some(1), "one step late");
        assert_eq!(step(&secret, "287082", at(121)), None);
        for wrong in ["", "28708", "2870822", "287083", "abcdef"] {
            assert_eq!(step(&secret, wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_read_for_its_owner_only() {
        let secrets = SecretsKeys { key: Some(tollgate_core::secret::Secret::new("k")), before: Vec::new() };
        let sealed = seal(&secrets, "ann", "SECRET").unwrap();
        assert_eq!(open(&secrets, "ann", &sealed).unwrap(), "SECRET");
        assert!(open(&secrets, "bob", &sealed).is_err());
        assert!(picture("https://gate.example.com", "ann", "SECRET").unwrap().size > 20);
    }
}
