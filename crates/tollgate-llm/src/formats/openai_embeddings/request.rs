//! A request, into the neutral form and from it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chat::{Losses, Text};
use crate::embeddings::{Input, Request};
use crate::formats::{Target, body, note_unknown};
use crate::json::{BodyError, read_all};

body! {
    /// The members that mean something here.
    Written<'a> {
        "model" => model: String,
        "input" => input: &'a RawValue,
        "encoding_format" => encoding_format: String,
        "dimensions" => dimensions: u64,
        "user" => user: String,
        // What several servers and gateways call what the vectors are for.
        "input_type" => input_type: String,
    }
}

pub(super) fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
    let written: Written<'a> = read_all(body)?;
    note_unknown(&written.unknown, "", &[], losses);
    let base64 = match written.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            return Err(BodyError::shape(
                "encoding_format",
                format!("`{other}` is neither float nor base64"),
            ));
        }
    };
    Ok(Request {
        model: written.model.ok_or_else(|| BodyError::shape("model", "is required"))?,
        inputs: inputs(written.input.ok_or_else(|| BodyError::shape("input", "is required"))?)?,
        dimensions: written.dimensions,
        purpose: written.input_type,
        user: written.user,
        base64,
    })
}

/// A text, texts, tokens, or several lists of tokens.
fn inputs(raw: &RawValue) -> Result<Vec<Input<'_>>, BodyError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tokens {
        One(Vec<u64>),
        Many(Vec<Vec<u64>>),
    }
    if let Some(text) = Text::from_raw(raw) {
        return Ok(vec![Input::Text(text)]);
    }
    let read: Vec<Input<'_>> = match serde_json::from_str::<Vec<Text<'_>>>(raw.get()) {
        Ok(texts) => texts.into_iter().map(Input::Text).collect(),
        Err(_) => match serde_json::from_str(raw.get()) {
            Ok(Tokens::One(tokens)) => vec![Input::Tokens(tokens)],
            Ok(Tokens::Many(lists)) => lists.into_iter().map(Input::Tokens).collect(),
            Err(_) => return Err(BodyError::shape("input", "must be a text, texts, or lists of tokens")),
        },
    };
    if read.is_empty() {
        return Err(BodyError::shape("input", "is empty"));
    }
    Ok(read)
}

#[derive(Serialize)]
struct Out<'r> {
    model: &'r str,
    input: Vec<OutInput<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'r str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutInput<'r> {
    Text(&'r Text<'r>),
    Tokens(&'r [u64]),
}

impl<'r> OutInput<'r> {
    fn of(input: &'r Input<'_>) -> Self {
        match input {
            Input::Text(text) => Self::Text(text),
            Input::Tokens(tokens) => Self::Tokens(tokens),
        }
    }
}

pub(super) fn write(request: &Request<'_>, target: &Target) -> Vec<u8> {
    crate::json::written(&Out {
        model: &target.model,
        input: request.inputs.iter().map(OutInput::of).collect(),
        dimensions: request.dimensions,
        user: request.user.as_deref(),
    })
}
