//! Secrets at rest: AES-256-GCM, with the credential's name and hosts as associated data, so that what was encrypted for
//! one credential cannot be read as another's, nor sent to other hosts by whoever edits the database.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tollgate_core::addition::Credential;
use tollgate_core::config::SecretsKeys;
use tollgate_core::egress::Host;
use tollgate_core::seal::{self, Sealing, bound_to};
use tollgate_core::secret::Secret;

/// What an encrypted secret begins with: how it was encrypted.
const FORM: &str = "TGC1.";

/// What the key is for.
const PURPOSE: &str = "credentials";

/// `secret`, encrypted for the credential `id` and `hosts`. `None` where the library refuses.
pub(crate) fn seal(key: &Secret, id: &str, hosts: &[Host], secret: &Secret) -> Option<String> {
    let sealed = seal::seal(&seal::derived(key, PURPOSE), &bound(id, hosts), secret.expose().as_bytes())?;
    Some(format!("{FORM}{}", STANDARD_NO_PAD.encode(sealed)))
}

/// The secret of `credential`, or why it cannot be read.
pub(crate) fn open(keys: &SecretsKeys, credential: &Credential) -> Result<Secret, String> {
    if keys.key.is_none() && keys.before.is_empty() {
        return Err(format!(
            "the credential `{}` cannot be read: this gate has no `secrets_key`",
            credential.id
        ));
    }
    let sealed = credential.sealed.strip_prefix(FORM).and_then(|text| STANDARD_NO_PAD.decode(text).ok());
    let bound = bound(&credential.id, &credential.spec.hosts);
    let opened = sealed.and_then(|sealed| Sealing::new(keys, PURPOSE).open(&bound, &sealed));
    let opened = opened.and_then(|plain| String::from_utf8(plain).ok());
    opened.map(Secret::new).ok_or_else(|| {
        format!(
            "the credential `{}` cannot be read: it was encrypted with another `secrets_key`, or was altered where it \
             is kept",
            credential.id
        )
    })
}

/// What a secret is bound to.
fn bound(id: &str, hosts: &[Host]) -> Vec<u8> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    bound_to([FORM, id].into_iter().chain(hosts.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(key: &str, before: &[&str]) -> SecretsKeys {
        let before = before.iter().map(|key| Secret::new(*key)).collect();
        SecretsKeys { key: Some(Secret::new(key)), before }
    }

    fn credential(id: &str, hosts: &[&str], sealed: String) -> Credential {
        serde_json::from_value(serde_json::json!({
            "id": id, "hosts": hosts, "sealed": sealed, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "secret_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    fn sealed(key: &str, id: &str, hosts: &[&str]) -> String {
        let hosts: Vec<Host> = hosts.iter().map(|host| Host::try_from((*host).to_owned()).unwrap()).collect();
        seal(&Secret::new(key), id, &hosts, &Secret::new("sk-very-secret")).unwrap()
    }

    #[test]
    fn it_is_read_with_its_key_or_one_of_those_before() {
        let kept = credential("main", &["api.openai.com"], sealed("one", "main", &["api.openai.com"]));
        for keys in [keys("one", &[]), keys("two", &["zero", "one"])] {
            assert_eq!(open(&keys, &kept).unwrap().expose(), "sk-very-secret");
        }
        let why = open(&keys("two", &["three"]), &kept).unwrap_err();
        assert!(why.contains("another `secrets_key`") && !why.contains("very"), "{why}");
        assert!(open(&SecretsKeys::default(), &kept).unwrap_err().contains("no `secrets_key`"));
    }

    #[test]
    fn it_belongs_to_its_name_and_hosts() {
        let of = sealed("one", "main", &["a.example", "b.example"]);
        for (id, hosts) in [
            ("other", &["a.example", "b.example"][..]),
            ("main", &["a.example", "evil.example"]),
            ("main", &["a.example"]),
            ("main", &["a.example", "b.example", "evil.example"]),
            ("main", &["b.example", "a.example"]),
            ("maina.example", &["b.example"]),
        ] {
            assert!(open(&keys("one", &[]), &credential(id, hosts, of.clone())).is_err(), "{id} {hosts:?}");
        }
        assert!(open(&keys("one", &[]), &credential("main", &["a.example", "b.example"], of)).is_ok());
    }

    #[test]
    fn what_was_altered_is_not_read() {
        let of = sealed("one", "main", &["a.example"]);
        let mut bytes = STANDARD_NO_PAD.decode(&of[FORM.len()..]).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        for altered in [
            format!("{FORM}{}", STANDARD_NO_PAD.encode(&bytes)),
            of[FORM.len()..].to_owned(),
            FORM.to_owned(),
            String::new(),
        ] {
            assert!(open(&keys("one", &[]), &credential("main", &["a.example"], altered)).is_err());
        }
    }

    /// Nobody sees from the outside that two credentials have the same secret.
    #[test]
    fn the_same_secret_is_encrypted_differently_each_time() {
        let one = sealed("one", "main", &["a.example"]);
        assert_ne!(one, sealed("one", "main", &["a.example"]));
        assert!(!one.contains("secret"));
    }
}
