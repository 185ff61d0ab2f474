//! The conversation of a request, into neutral turns.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use super::base64::standard;
use super::ids::Pairing;
use super::lenient::Many;
use crate::chat::{Losses, Message, NO_ARGUMENTS, Part, Role, Sealed, Source, Text, joined};
use crate::formats::{body, note_unknown};
use crate::json::BodyError;

body! {
    /// A turn.
    Content<'a> {
        "role" => role: String,
        "parts" => parts: Many<WrittenPart<'a>>,
    }
}

body! {
    /// A piece of a turn.
    WrittenPart<'a> {
        "text" => text: Text<'a>,
        "thought" => thought: bool,
        "thoughtSignature" | "thought_signature" => signature: String,
        "inlineData" | "inline_data" => inline: Blob<'a>,
        "fileData" | "file_data" => file: FileData<'a>,
        "functionCall" | "function_call" => call: FunctionCall<'a>,
        "functionResponse" | "function_response" => result: FunctionResponse<'a>,
    }
}

#[derive(Deserialize)]
pub(super) struct Blob<'a> {
    #[serde(borrow, rename = "mimeType", alias = "mime_type")]
    media_type: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow, rename = "displayName", alias = "display_name")]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct FileData<'a> {
    #[serde(borrow, rename = "mimeType", alias = "mime_type")]
    media_type: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "fileUri", alias = "file_uri")]
    uri: Cow<'a, str>,
    #[serde(borrow, rename = "displayName", alias = "display_name")]
    name: Option<Cow<'a, str>>,
}

body! {
    /// The model's call of a function.
    FunctionCall<'a> {
        "id" => id: String,
        "name" => name: String,
        "args" => args: &'a RawValue,
    }
}

body! {
    /// What a function answered.
    FunctionResponse<'a> {
        "id" => id: String,
        "name" => name: String,
        "response" => response: &'a RawValue,
        "parts" => parts: Many<ResultPart<'a>>,
    }
}

body! {
    /// A picture or document that a function answered with.
    ResultPart<'a> {
        "inlineData" | "inline_data" => inline: Blob<'a>,
        "fileData" | "file_data" => file: FileData<'a>,
    }
}

body! {
    /// What a function's answer says of itself.
    Answered<'a> {
        "output" | "result" => output: &'a RawValue,
        "error" => error: &'a RawValue,
    }
}

/// Members of a part that change nothing in how other models see it.
const HARMLESS: &[&str] = &["partMetadata", "part_metadata", "mediaResolution", "media_resolution"];

/// Members of calls and results that matter only to functions that answer in pieces.
const HARMLESS_IN_CALLS: &[&str] = &["willContinue", "will_continue", "scheduling"];

/// Reads turns in order.
pub(super) struct Reader<'l, 'a> {
    pub(super) losses: &'l mut Losses,
    pub(super) pairing: Pairing<'a>,
}

impl<'a> Reader<'_, 'a> {
    /// Adds a turn. Neighbours of one role are one turn: a client that gathers a stream writes a turn for each piece.
    pub(super) fn push(
        &mut self,
        messages: &mut Vec<Message<'a>>,
        written: Content<'a>,
        at: &str,
    ) -> Result<(), BodyError> {
        let role = match written.role.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some(other) => {
                return Err(BodyError::shape(format!("{at}.role"), format!("`{other}` is no role")));
            }
        };
        note_unknown(&written.unknown, &format!("{at}."), &[], self.losses);
        if messages.last().is_none_or(|last| last.role != role) {
            messages.push(Message { role, parts: Vec::new() });
        }
        let Some(turn) = messages.last_mut() else { return Ok(()) };
        for (number, part) in written.parts.map(|parts| parts.0).unwrap_or_default().into_iter().enumerate() {
            self.part(part, &format!("{at}.parts[{number}]"), &mut turn.parts)?;
        }
        Ok(())
    }

    /// The texts of instructions.
    pub(super) fn instructions(
        &mut self,
        written: Content<'a>,
        at: &str,
    ) -> Result<Vec<Part<'a>>, BodyError> {
        note_unknown(&written.unknown, &format!("{at}."), &[], self.losses);
        let mut parts = Vec::new();
        for (number, part) in written.parts.map(|parts| parts.0).unwrap_or_default().into_iter().enumerate() {
            self.part(part, &format!("{at}.parts[{number}]"), &mut parts)?;
        }
        Ok(parts)
    }

    fn part(&mut self, part: WrittenPart<'a>, at: &str, out: &mut Vec<Part<'a>>) -> Result<(), BodyError> {
        note_unknown(&part.unknown, &format!("{at}."), HARMLESS, self.losses);
        let seal = part.signature.filter(|s| !s.is_empty()).map(|s| Sealed::read(&standard(s.into()), NAME));
        if let Some(call) = part.call {
            out.push(self.call(call, seal, &format!("{at}.functionCall"))?);
            return Ok(());
        }
        if let Some(text) = part.text {
            if part.thought == Some(true) {
                think(out, text, seal);
                return Ok(());
            }
            if !text.is_empty() {
                out.push(Part::Text(text));
            }
        } else if let Some(inline) = part.inline {
            out.extend(self.inline(inline, at));
        } else if let Some(file) = part.file {
            out.extend(self.file(file, at));
        } else if let Some(result) = part.result {
            out.push(self.result(result, &format!("{at}.functionResponse"))?);
        }
        // A signature stands on any part here, elsewhere only on thoughts and calls.
        out.extend(seal.map(Part::Redacted));
        Ok(())
    }

    fn call(
        &mut self,
        call: FunctionCall<'a>,
        seal: Option<Sealed>,
        at: &str,
    ) -> Result<Part<'a>, BodyError> {
        note_unknown(&call.unknown, &format!("{at}."), HARMLESS_IN_CALLS, self.losses);
        let name: Cow<'a, str> =
            call.name.ok_or_else(|| BodyError::shape(format!("{at}.name"), "is required"))?.into();
        let id = self.pairing.call(call.id.map(Cow::Owned), &name);
        let arguments = call.args.map_or(NO_ARGUMENTS, RawValue::get);
        Ok(Part::ToolCall { id, name, arguments: arguments.into(), seal })
    }

    fn result(&mut self, result: FunctionResponse<'a>, at: &str) -> Result<Part<'a>, BodyError> {
        note_unknown(&result.unknown, &format!("{at}."), HARMLESS_IN_CALLS, self.losses);
        let name = result.name.ok_or_else(|| BodyError::shape(format!("{at}.name"), "is required"))?;
        let id = self.pairing.result(result.id.map(Cow::Owned), &name);
        let id = id.ok_or_else(|| BodyError::shape(at, format!("answers no call of `{name}`")))?;
        let (text, is_error) = answered(result.response);
        let mut parts: Vec<Part<'a>> = text.map(Part::Text).into_iter().collect();
        for part in result.parts.map(|parts| parts.0).unwrap_or_default() {
            note_unknown(&part.unknown, &format!("{at}.parts."), HARMLESS, self.losses);
            parts.extend(part.inline.and_then(|inline| self.inline(inline, at)));
            parts.extend(part.file.and_then(|file| self.file(file, at)));
        }
        Ok(Part::ToolResult { id, parts, is_error })
    }

    fn inline(&mut self, blob: Blob<'a>, at: &str) -> Option<Part<'a>> {
        let source = Source::Base64 { media_type: blob.media_type.clone(), data: standard(blob.data) };
        let part = media(&blob.media_type, source, blob.name);
        if part.is_none() {
            self.losses.lose(format!("{at}.inlineData"), "content of this type is not translated");
        }
        part
    }

    fn file(&mut self, file: FileData<'a>, at: &str) -> Option<Part<'a>> {
        let member = format!("{at}.fileData");
        if !is_public(&file.uri) {
            self.losses.lose(member, "a file of the provider's has no counterpart");
            return None;
        }
        let media_type = file.media_type.unwrap_or_else(|| media_type_of(&file.uri).into());
        let part = media(&media_type, Source::Url(file.uri), file.name);
        if part.is_none() {
            self.losses.lose(member, "content of this type is not translated");
        }
        part
    }
}

/// A thought. One that came in pieces is put together again: its seal is for the whole.
fn think<'a>(out: &mut Vec<Part<'a>>, more: Text<'a>, sealed: Option<Sealed>) {
    if let Some(Part::Thinking { text, seal: seal @ None }) = out.last_mut() {
        *text = joined(&[text, &more], "");
        *seal = sealed;
    } else {
        out.push(Part::Thinking { text: more, seal: sealed });
    }
}

/// The text of a function's answer, and whether it failed. What says neither `output` nor `error` is all output.
fn answered(response: Option<&RawValue>) -> (Option<Text<'_>>, bool) {
    let Some(response) = response else { return (None, false) };
    let (value, is_error) = match serde_json::from_str(response.get()) {
        Ok(Answered { output: Some(output), error: None, unknown, .. }) if unknown.is_empty() => {
            (output, false)
        }
        Ok(Answered { output: None, error: Some(error), unknown, .. }) if unknown.is_empty() => (error, true),
        _ => (response, false),
    };
    (Some(Text::from_raw(value).unwrap_or_else(|| Text::new(value.get()))), is_error)
}

fn media<'a>(media_type: &str, source: Source<'a>, name: Option<Cow<'a, str>>) -> Option<Part<'a>> {
    match media_type.split('/').next() {
        Some("image") => Some(Part::Image { source, detail: None }),
        Some("audio") => Some(Part::Audio(source)),
        Some("application" | "text") => Some(Part::Document { source, name }),
        _ => None,
    }
}

/// Whether others than Google can fetch `uri`.
pub(super) fn is_public(uri: &str) -> bool {
    let web = uri.starts_with("https://") || uri.starts_with("http://");
    web && !uri.contains("generativelanguage.googleapis.com/")
        && !uri.contains("://www.youtube.com/")
        && !uri.contains("://youtu.be/")
}

/// The media type of what is at `uri`, by its last letters.
pub(super) fn media_type_of(uri: &str) -> &'static str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "txt" => "text/plain",
        "mp4" => "video/mp4",
        _ => "application/pdf",
    }
}
