//! Headers that repeat what a stateless request says, so that whoever stands between need not read bodies (2026-07-28,
//! streamable HTTP, request metadata). Where header and body disagree, two readers would see two requests: the answer
//! is 400 with the code `HeaderMismatch`.

mod params;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use self::params::Mirrors;
use crate::json::Object;
use crate::message::{Message, meta};
use crate::revision::Revision;

/// What the headers of a request say; `None` where there is no such header. A caller that finds one twice refuses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    /// `MCP-Protocol-Version`.
    pub version: Option<&'a str>,
    /// `Mcp-Method`.
    pub method: Option<&'a str>,
    /// `Mcp-Name`, encoded as it came.
    pub name: Option<&'a str>,
}

/// A header that is missing, cannot be read, or is not what the body says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It must be there.
    #[error("the header `{0}` is missing")]
    Missing(Cow<'static, str>),
    /// Its Base64 is none, or not of UTF-8.
    #[error("the header `{0}` cannot be decoded")]
    Unreadable(Cow<'static, str>),
    /// It differs from the body.
    #[error("the header `{0}` is not what the body says")]
    Differs(Cow<'static, str>),
}

const VERSION: &str = "MCP-Protocol-Version";
const METHOD: &str = "Mcp-Method";
const NAME: &str = "Mcp-Name";

/// Checks what the headers of a stateless request say against its body. Whether the body says all that it must is for
/// [`ClientHello::of_request`](crate::bridge::ClientHello::of_request) to find out, before this.
///
/// Of notifications the specification requires no headers; those that are there must be right.
pub fn check(message: &Message<'_>, said: Said<'_>) -> Result<(), Mismatch> {
    let Some(method) = message.method() else { return Ok(()) };
    let required = message.id().is_some();
    let params = message.params().and_then(Object::read);
    let meta = params.as_ref().and_then(|params| params.object("_meta"));
    let version = meta.and_then(|meta| meta.string(meta::PROTOCOL_VERSION));
    // What a notification is does not stand in its body.
    if required || version.is_some() {
        agree(VERSION, said.version, version.as_deref(), required)?;
    }
    agree(METHOD, said.method, Some(method), required)?;
    let named = names(method);
    let name = named.and_then(|name| params.as_ref()?.string(name));
    let decoded = match said.name {
        Some(encoded) => Some(decode(encoded).ok_or(Mismatch::Unreadable(NAME.into()))?),
        None => None,
    };
    if named.is_some() { agree(NAME, decoded.as_deref(), name.as_deref(), required) } else { Ok(()) }
}

fn agree(
    header: &'static str,
    said: Option<&str>,
    body: Option<&str>,
    required: bool,
) -> Result<(), Mismatch> {
    match said {
        None if required => Err(Mismatch::Missing(header.into())),
        None => Ok(()),
        Some(said) if Some(said) == body => Ok(()),
        Some(_) => Err(Mismatch::Differs(header.into())),
    }
}

/// The member of params that `Mcp-Name` repeats.
fn names(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        // The extension `io.modelcontextprotocol/tasks`.
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The headers that a request to somebody who speaks `revision` carries: names, and values that are safe to send.
pub fn mirrored(message: &Message<'_>, revision: Revision) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    headers.extend(revision.transport().version.map(|name| (name, revision.name().to_owned())));
    let Some(method) = message.method().filter(|_| revision.is_stateless()) else { return headers };
    headers.push((METHOD, encode(method).into_owned()));
    let params = message.params().and_then(Object::read);
    if let Some(name) = names(method).and_then(|name| params?.string(name)) {
        headers.push((NAME, encode(&name).into_owned()));
    }
    headers
}

const OPENS: &str = "=?base64?";
const CLOSES: &str = "?=";

/// `value` as a header carries it: in Base64 where plain text would not arrive as it is.
pub fn encode(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|b| matches!(b, 0x20..=0x7e))
        && value.trim_matches([' ', '\t']) == value
        && !value.is_empty()
        && !(value.starts_with(OPENS) && value.ends_with(CLOSES));
    if plain { Cow::Borrowed(value) } else { format!("{OPENS}{}{CLOSES}", STANDARD.encode(value)).into() }
}

/// What [`encode`] made `header` of; `None` where nothing can have.
pub fn decode(header: &str) -> Option<Cow<'_, str>> {
    match header.strip_prefix(OPENS).and_then(|rest| rest.strip_suffix(CLOSES)) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned),
        None => header.bytes().all(|b| matches!(b, b'\t' | 0x20..=0x7e)).then_some(Cow::Borrowed(header)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Body, Limits, read};

    const LIMITS: Limits =
        Limits { bytes: 4096, depth: 16, id_bytes: 64, method_bytes: 64, number_bytes: 64, batch: 4 };

    fn checked(text: &str, said: Said<'_>) -> Result<(), Mismatch> {
        let Ok(Body::One(message)) = read(text.as_bytes(), Revision::NEWEST, &LIMITS) else {
            panic!("{text}")
        };
        check(&message, said)
    }

    fn call(name: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name:?},"_meta":{{"{}":"2026-07-28"}}}}}}"#,
            meta::PROTOCOL_VERSION
        )
    }

    /// The values are those of the specification's table of examples.
    #[test]
    fn values_that_would_not_arrive_are_encoded_and_decoded() {
        let all = [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ];
        for (value, header) in all {
            assert_eq!(encode(value), header);
            assert_eq!(decode(header).as_deref(), Some(value));
        }
        for wrong in ["=?base64?!?=", "=?base64?/w==?=", "é", "a\nb"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_header_that_says_something_else_is_found() {
        let right =
            Said { version: Some("2026-07-28"), method: Some("tools/call"), name: Some("get_weather") };
        assert_eq!(checked(&call("get_weather"), right), Ok(()));
        assert_eq!(checked(&call("delete_all"), right), Err(Mismatch::Differs(NAME.into())));
        assert_eq!(
            checked(&call("get_weather"), Said { name: None, ..right }),
            Err(Mismatch::Missing(NAME.into()))
        );
        let other = Said { method: Some("tools/list"), ..right };
        assert_eq!(checked(&call("get_weather"), other), Err(Mismatch::Differs(METHOD.into())));
        let older = Said { version: Some("2025-11-25"), ..right };
        assert_eq!(checked(&call("get_weather"), older), Err(Mismatch::Differs(VERSION.into())));
        // Header values have case, unlike their names.
        let case = Said { method: Some("Tools/Call"), ..right };
        assert_eq!(checked(&call("get_weather"), case), Err(Mismatch::Differs(METHOD.into())));
        let encoded = Said { name: Some("=?base64?5LiW?="), ..right };
        assert_eq!(checked(&call("世"), encoded), Ok(()));
        let garbled = Said { name: Some("=?base64?5Li?="), ..right };
        assert_eq!(checked(&call("世"), garbled), Err(Mismatch::Unreadable(NAME.into())));
    }

    #[test]
    fn what_is_sent_passes_the_check() {
        for name in ["get_weather", "wetter-für-世界", " "] {
            let text = call(name);
            let Ok(Body::One(message)) = read(text.as_bytes(), Revision::NEWEST, &LIMITS) else { panic!() };
            let headers = mirrored(&message, Revision::NEWEST);
            let said =
                Said { version: Some(&headers[0].1), method: Some(&headers[1].1), name: Some(&headers[2].1) };
            assert_eq!(check(&message, said), Ok(()));
            assert_eq!(mirrored(&message, Revision::V2025_06_18), [(VERSION, "2025-06-18".to_owned())]);
            assert_eq!(mirrored(&message, Revision::V2024_11_05), []);
        }
    }
}
