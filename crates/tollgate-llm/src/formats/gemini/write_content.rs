//! The conversation of a request, from neutral turns.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::NAME;
use super::models::Generation;
use super::parts::{OutAnswered, OutFile, OutPart, OutResult};
use super::read_content::media_type_of;
use crate::chat::{Feature, Losses, Part, Request, Role, Sealed, Source, Text, arguments_object, joined};
use crate::json::BodyError;

/// What Google says to send in place of a signature that was lost, or that a call never had because another model
/// made it.
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

#[derive(Serialize)]
pub(super) struct OutContent<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    role: &'static str,
    parts: Vec<OutPart<'r>>,
}

/// Instructions, and the turns below them.
pub(super) fn split<'r>(
    request: &'r Request<'_>,
    generation: Generation,
    losses: &mut Losses,
) -> Result<(Option<OutContent<'r>>, Vec<OutContent<'r>>), BodyError> {
    let mut instructions = Vec::new();
    let mut writer = Writer { generation, losses, tools: HashMap::new(), calls: 0, turns: Vec::new() };
    for message in &request.messages {
        if message.role.instructs() {
            writer.instruct(&message.parts, &mut instructions);
        } else {
            writer.turn(message.role, &message.parts)?;
        }
    }
    let turns = writer.turns;
    let system = (!instructions.is_empty()).then_some(OutContent { role: "", parts: instructions });
    Ok((system, turns))
}

struct Writer<'r, 'l> {
    generation: Generation,
    losses: &'l mut Losses,
    /// The tool of each call so far, which a result must say, and the call's number.
    tools: HashMap<&'r str, (&'r str, usize)>,
    calls: usize,
    turns: Vec<OutContent<'r>>,
}

impl<'r> Writer<'r, '_> {
    /// Instructions stand above the conversation here. Those in the middle of it move up.
    fn instruct(&mut self, parts: &'r [Part<'r>], out: &mut Vec<OutPart<'r>>) {
        if !self.turns.is_empty() {
            self.losses.approximate("messages", "a system message in the middle was moved to the top");
        }
        for part in parts {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => out.push(OutPart::raw(text)),
                Part::CacheMark(_) => {}
                _ => self.losses.lose("messages", "a system message holds only text here"),
            }
        }
    }

    /// A turn. Roles alternate here: neighbours of one role become one turn.
    fn turn(&mut self, role: Role, parts: &'r [Part<'r>]) -> Result<(), BodyError> {
        let role = if role == Role::Assistant { "model" } else { "user" };
        let mut written = Vec::with_capacity(parts.len());
        for part in self.in_order_of_calls(parts) {
            self.part(part, &mut written)?;
        }
        if self.generation.wants_signatures() {
            sign_first_call(&mut written);
        }
        match self.turns.last_mut().filter(|last| last.role == role) {
            Some(last) => last.parts.append(&mut written),
            // A turn without parts is an error.
            None if written.is_empty() => {}
            None => self.turns.push(OutContent { role, parts: written }),
        }
        Ok(())
    }

    /// `parts` with the results among them in the order of their calls: without ids the order is what ties them.
    fn in_order_of_calls(&self, parts: &'r [Part<'r>]) -> Vec<&'r Part<'r>> {
        let number = |part: &&Part<'_>| match part {
            Part::ToolResult { id, .. } => self.tools.get(&**id).map(|(_, number)| *number),
            _ => None,
        };
        let mut results: Vec<&Part<'_>> = parts.iter().filter(|part| number(part).is_some()).collect();
        results.sort_by_key(number);
        let mut results = results.into_iter();
        parts
            .iter()
            .map(|part| if number(&part).is_some() { results.next().unwrap_or(part) } else { part })
            .collect()
    }

    fn part(&mut self, part: &'r Part<'r>, out: &mut Vec<OutPart<'r>>) -> Result<(), BodyError> {
        match part {
            Part::Text(text) | Part::Refusal(text) if text.is_empty() => {}
            Part::Text(text) | Part::Refusal(text) => out.push(OutPart::raw(text)),
            Part::Image { source, .. } | Part::Audio(source) | Part::Document { source, .. } => {
                out.extend(self.media(source));
            }
            Part::Thinking { text, seal } => {
                // Thoughts of others say nothing to this model.
                if let Some(signature) = seal.as_ref().and_then(own) {
                    out.push(OutPart::raw(text).thought().signed(Some(signature)));
                }
            }
            Part::Redacted(seal) => redacted(seal, out),
            Part::ToolCall { id, name, arguments, seal } => {
                self.tools.insert(id, (name, self.calls));
                self.calls += 1;
                let args = Cow::Borrowed(arguments_object(arguments)?);
                out.push(OutPart::call(self.known_id(id), name, args).signed(seal.as_ref().and_then(own)));
            }
            Part::ToolResult { id, parts, is_error } => self.result(id, parts, *is_error, out)?,
            Part::CacheMark(_) => {}
        }
        Ok(())
    }

    fn result(
        &mut self,
        id: &'r str,
        parts: &'r [Part<'r>],
        is_error: bool,
        out: &mut Vec<OutPart<'r>>,
    ) -> Result<(), BodyError> {
        let (name, _) = self.tools.get(id).copied().ok_or_else(|| {
            BodyError::shape("messages", format!("the tool result `{id}` belongs to no earlier call"))
        })?;
        let texts: Vec<&Text<'_>> =
            parts.iter().filter_map(|p| if let Part::Text(text) = p { Some(text) } else { None }).collect();
        let text = joined(&texts, "\n");
        let response = if is_error { OutAnswered::Error(text) } else { OutAnswered::Output(text) };
        let mut rest = Vec::new();
        for part in parts.iter().filter(|part| !matches!(part, Part::Text(_))) {
            self.part(part, &mut rest)?;
        }
        let beside = if self.generation.media_in_results() { Vec::new() } else { std::mem::take(&mut rest) };
        if !beside.is_empty() {
            self.losses.approximate(Feature::ToolMedia, "what is not text stands after the result");
        }
        let function_response = Some(OutResult { id: self.known_id(id), name, response, parts: rest });
        out.push(OutPart { function_response, ..OutPart::default() });
        out.extend(beside);
        Ok(())
    }

    fn known_id(&self, id: &'r str) -> Option<&'r str> {
        self.generation.knows_call_ids().then_some(id)
    }

    fn media(&mut self, source: &'r Source<'r>) -> Option<OutPart<'r>> {
        match source {
            Source::Base64 { media_type, data } => Some(OutPart::inline(media_type, data)),
            Source::Url(uri) if self.generation.fetches() => {
                let file_data = Some(OutFile { mime_type: media_type_of(uri), file_uri: uri });
                Some(OutPart { file_data, ..OutPart::default() })
            }
            Source::Url(_) => {
                let why =
                    "the model takes it only as bytes; with `image_urls: false` the gate fetches pictures";
                self.losses.lose(Feature::Images, why);
                None
            }
        }
    }
}

/// The signature of a seal that Gemini made.
fn own(seal: &Sealed) -> Option<Cow<'_, str>> {
    seal.for_upstream(NAME).map(Cow::Borrowed)
}

/// A signature that stood on a text goes back to where it stood.
fn redacted<'r>(seal: &'r Sealed, out: &mut Vec<OutPart<'r>>) {
    let Some(signature) = own(seal) else { return };
    match out.last_mut() {
        Some(last) if last.text.is_some() && !last.thought && last.thought_signature.is_none() => {
            last.thought_signature = Some(signature);
        }
        _ => out.push(OutPart::plain("").signed(Some(signature))),
    }
}

/// Of calls made at once only the first is signed.
fn sign_first_call(parts: &mut [OutPart<'_>]) {
    if let Some(first) = parts.iter_mut().find(|part| part.function_call.is_some())
        && first.thought_signature.is_none()
    {
        first.thought_signature = Some(NO_SIGNATURE.into());
    }
}
