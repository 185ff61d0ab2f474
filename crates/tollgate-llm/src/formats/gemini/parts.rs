//! Parts of a turn as they are written, in requests and in answers.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::chat::{Json, Text, arguments_kept};

/// One part. All members but one of the data are absent; a thought and a signature may stand beside it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutPart<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<OutText<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<OutBlob<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<OutFile<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<OutCall<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<OutResult<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<Cow<'r, str>>,
}

/// A text of a request, which stays as the client wrote it, or of an answer.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum OutText<'r> {
    Raw(Text<'r>),
    Plain(&'r str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutBlob<'r> {
    pub(super) mime_type: &'r str,
    pub(super) data: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutFile<'r> {
    pub(super) mime_type: &'r str,
    pub(super) file_uri: &'r str,
}

#[derive(Serialize)]
pub(super) struct OutCall<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'r str>,
    pub(super) name: &'r str,
    pub(super) args: Json<'r>,
}

#[derive(Serialize)]
pub(super) struct OutResult<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'r str>,
    pub(super) name: &'r str,
    pub(super) response: OutAnswered<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<OutPart<'r>>,
}

/// What a function answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OutAnswered<'r> {
    Output(Text<'r>),
    Error(Text<'r>),
}

impl<'r> OutPart<'r> {
    /// A text of a request.
    pub(super) fn raw(text: &Text<'r>) -> Self {
        Self { text: Some(OutText::Raw(text.clone())), ..Self::default() }
    }

    /// A text of an answer.
    pub(super) fn plain(text: &'r str) -> Self {
        Self { text: Some(OutText::Plain(text)), ..Self::default() }
    }

    /// Bytes.
    pub(super) fn inline(mime_type: &'r str, data: &'r str) -> Self {
        Self { inline_data: Some(OutBlob { mime_type, data }), ..Self::default() }
    }

    /// A call.
    pub(super) fn call(id: Option<&'r str>, name: &'r str, args: Json<'r>) -> Self {
        Self { function_call: Some(OutCall { id, name, args }), ..Self::default() }
    }

    /// This, as a thought.
    pub(super) fn thought(self) -> Self {
        Self { thought: true, ..self }
    }

    /// This, signed.
    pub(super) fn signed(self, signature: Option<Cow<'r, str>>) -> Self {
        Self { thought_signature: signature, ..self }
    }
}

/// The arguments of an answer's call, on one line.
pub(super) fn kept(arguments: &str) -> Json<'_> {
    let args = arguments_kept(arguments);
    // JSON may break lines between tokens; an event of a stream may not.
    if memchr::memchr2(b'\n', b'\r', args.get().as_bytes()).is_none() {
        return args;
    }
    RawValue::from_string(args.get().replace(['\n', '\r'], " ")).map_or(args, Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::arguments_object;

    #[test]
    fn arguments_are_an_object_on_one_line() {
        assert_eq!(kept("{\n \"a\": \"x\\ny\"\r\n}").get(), "{  \"a\": \"x\\ny\"  }");
        assert_eq!(kept(" ").get(), "{}");
        assert_eq!(kept("[1]").get(), r#"{"invalid_json":"[1]"}"#);
        assert_eq!(kept("{\"a\":").get(), r#"{"invalid_json":"{\"a\":"}"#);
        assert!(arguments_object("{\"a\":").is_err() && arguments_object("5").is_err());
    }
}
