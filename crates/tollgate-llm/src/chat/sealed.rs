//! What a model sealed for itself: the signature of its thinking, or thinking that it shows to nobody. Only the
//! format that sealed it can open it, so on its way through a client of another format the seal carries its origin.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::json::Edit;

/// Base64 of `tollgate:`. Whatever begins so was wrapped here.
const WRAPPED: &str = "dG9sbGdhdGU6";

/// What stands between a call's id and its seal, for clients that give back nothing but the id.
const IN_ID: &str = "__seal_";

/// Sealed data and who sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The name of the format that it came in.
    pub origin: String,
    /// The data, as that format writes it.
    pub data: String,
}

impl Sealed {
    /// Data that an upstream of `format` has just sealed.
    pub fn by(format: &str, data: impl Into<String>) -> Self {
        Self { origin: format.to_owned(), data: data.into() }
    }

    /// Data that a client gives back. Where it carries no origin, `format` sealed it.
    pub fn read(data: &str, format: &str) -> Self {
        Self::unwrap(data).unwrap_or_else(|| Self::by(format, data))
    }

    /// Whether seals that were wrapped for a client may stand in `body`: those of other formats must not go on to an
    /// upstream as they are.
    pub fn may_be_in(body: &str) -> bool {
        memchr::memmem::find(body.as_bytes(), WRAPPED.as_bytes()).is_some()
    }

    fn unwrap(data: &str) -> Option<Self> {
        data.starts_with(WRAPPED).then_some(())?;
        let plain = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
        let (origin, data) = plain.strip_prefix("tollgate:")?.split_once(':')?;
        Some(Self::by(origin, data))
    }

    /// The data for a client of `format`: as it is where `format` sealed it, else wrapped, which is base64 again.
    pub fn for_client(&self, format: &str) -> String {
        if self.origin == format {
            return self.data.clone();
        }
        STANDARD.encode(format!("tollgate:{}:{}", self.origin, self.data))
    }

    /// The data for an upstream of `format`, if it can open it.
    pub fn for_upstream(&self, format: &str) -> Option<&str> {
        (self.origin == format).then_some(&self.data)
    }
}

/// A call's id that carries `seal`: for clients whose format has no other place for it.
pub fn id_with(id: &str, seal: Option<&Sealed>) -> String {
    match seal {
        None => id.to_owned(),
        Some(seal) => {
            let wrapped = URL_SAFE_NO_PAD.encode(format!("{}:{}", seal.origin, seal.data));
            format!("{id}{IN_ID}{wrapped}")
        }
    }
}

/// The id and the seal that [`id_with`] put together.
pub fn split_id(id: &str) -> (&str, Option<Sealed>) {
    let Some((bare, wrapped)) = id.split_once(IN_ID) else { return (id, None) };
    let plain = URL_SAFE_NO_PAD.decode(wrapped).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let seal = plain.as_deref().and_then(|plain| plain.split_once(':'));
    (bare, seal.map(|(origin, data)| Sealed::by(origin, data)))
}

/// A call's id without the seal that it carries.
pub fn bare_id(id: Cow<'_, str>) -> Cow<'_, str> {
    match id {
        Cow::Borrowed(id) => Cow::Borrowed(split_id(id).0),
        Cow::Owned(id) => Cow::Owned(split_id(&id).0.to_owned()),
    }
}

/// Edits that take the seals out of the ids in `body`, for an upstream of the client's own format: it knows nothing of
/// them, and takes no ids of that length.
pub fn bare_ids(body: &str) -> Vec<Edit> {
    let of_id = |b: &&u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
    let bytes = body.as_bytes();
    let mut edits = Vec::new();
    // Nothing before this is looked at again: a body full of marks costs no more than one without.
    let mut done = 0;
    for at in memchr::memmem::find_iter(bytes, IN_ID) {
        if at < done {
            continue;
        }
        let end = at + bytes[at..].iter().take_while(of_id).count();
        let start = at - bytes[done..at].iter().rev().take_while(of_id).count();
        done = end;
        // A whole JSON string, and one that was made here.
        let whole = start > 0 && bytes[start - 1] == b'"' && bytes.get(end) == Some(&b'"');
        if whole && split_id(&body[start..end]).1.is_some() {
            edits.push(Edit { span: at..end, with: String::new() });
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_survives_a_client_of_another_format() {
        let seal = Sealed::by("gemini", "a+b/c==");
        assert_eq!(seal.for_client("gemini"), "a+b/c==");
        let wrapped = seal.for_client("anthropic_messages");
        assert!(STANDARD.decode(&wrapped).is_ok(), "clients may decode it");
        assert_eq!(Sealed::read(&wrapped, "anthropic_messages"), seal);
        assert_eq!(seal.for_upstream("gemini"), Some("a+b/c=="));
        assert_eq!(seal.for_upstream("anthropic_messages"), None);
        assert_eq!(Sealed::read("own", "gemini"), Sealed::by("gemini", "own"));
        assert_eq!(Sealed::read("dG9sbGdhdGU6!", "gemini").origin, "gemini");
    }

    #[test]
    fn an_id_carries_a_seal_and_gives_it_back() {
        let seal = Sealed::by("gemini", "x:y=");
        let id = id_with("call_1", Some(&seal));
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{id}");
        assert_eq!(split_id(&id), ("call_1", Some(seal)));
        assert_eq!(split_id("call_1"), ("call_1", None));
        assert_eq!(split_id("call_1__seal_?"), ("call_1", None));
        let body = format!(r#"{{"id":"{id}","text":"no__seal_here","x":"__seal_"}}"#);
        let bare = crate::json::splice(&body, bare_ids(&body));
        assert_eq!(bare, br#"{"id":"call_1","text":"no__seal_here","x":"__seal_"}"#);
        // Each character is looked at a few times at most: four million of them would take hours otherwise.
        assert!(bare_ids(&IN_ID.repeat(600_000)).is_empty());
        assert_eq!(id_with("call_1", None), "call_1");
    }
}
