//! Encrypted reasoning. OpenAI can open it only together with the id of its item, so the seal holds both.

use super::NAME;
use crate::chat::Sealed;

/// The seal of the reasoning item `id`.
pub(super) fn seal(id: &str, encrypted: &str) -> Sealed {
    Sealed::by(NAME, format!("{id}:{encrypted}"))
}

/// The seal of a reasoning item that a client gives back.
pub(super) fn given_back(id: Option<&str>, encrypted: &str) -> Sealed {
    let read = Sealed::read(encrypted, NAME);
    if read.origin == NAME && !read.data.contains(':') {
        seal(id.unwrap_or_default(), encrypted)
    } else {
        read
    }
}

/// The id, where it is known, and the encrypted content for an upstream, if it is OpenAI that sealed it.
pub(super) fn opened(seal: &Sealed) -> Option<(Option<&str>, &str)> {
    let data = seal.for_upstream(NAME)?;
    let (id, encrypted) = data.split_once(':').unwrap_or(("", data));
    Some((Some(id).filter(|id| !id.is_empty()), encrypted))
}

/// The encrypted content for a client.
pub(super) fn for_client(seal: &Sealed) -> String {
    match opened(seal) {
        Some((_, encrypted)) => encrypted.to_owned(),
        None => seal.for_client(NAME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_with_what_it_opens() {
        let own = seal("rs_1", "gAAA=");
        assert_eq!(opened(&own), Some((Some("rs_1"), "gAAA=")));
        assert_eq!(for_client(&own), "gAAA=");
        assert_eq!(given_back(Some("rs_1"), "gAAA="), own);
        assert_eq!(opened(&given_back(None, "gAAA=")), Some((None, "gAAA=")));
        let foreign = Sealed::by("anthropic_messages", "Er=");
        assert_eq!(given_back(Some("rs_2"), &for_client(&foreign)), foreign);
        assert_eq!(opened(&foreign), None);
    }
}
