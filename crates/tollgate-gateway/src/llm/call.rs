//! Phase 2: from a request's bytes to what the gate must know of it.

use bytes::Bytes;
use bytestring::ByteString;
use http::header;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::Peek;
use tollgate_llm::json::without_base64;
use tollgate_llm::providers::Operation;
use tollgate_llm::tool_facts::{self, may_mention_tools};

use super::form::{self, Form};
use super::{Llm, body_fault};
use crate::inbound::Inbound;
use crate::ticket::Ticket;

/// A parsed request.
#[derive(Debug)]
pub struct Call {
    /// Method, address and headers.
    pub head: http::request::Parts,
    /// The body as it came.
    pub body: Bytes,
    /// The same as text; empty where it is a form.
    text: ByteString,
    /// Set where the body is a form and not JSON.
    pub form: Option<Form>,
    /// What was read of it.
    pub peek: Peek,
    /// The body with its images fetched, once an attempt has needed that.
    pub inlined: tokio::sync::OnceCell<Option<String>>,
}

impl Call {
    /// The body as text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Reads the request.
pub(super) async fn parse(llm: &Llm, inbound: Inbound, ticket: &mut Ticket) -> Result<Call, Fault> {
    let boundary = check_encoding(llm, &inbound)?;
    let content_type = inbound.header(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let Inbound { head, body, .. } = inbound;
    let body = body.read(&ticket.runtime.snapshot).await?;
    let (form, text) = match boundary {
        Some(boundary) => {
            let (form, fields) = form::read(&content_type, &boundary, &body)?;
            (Some(form), ByteString::from(fields))
        }
        None => (None, json_text(&body)?),
    };
    let peek = llm.surface.peek(&text, &llm.address.facts()).map_err(|error| body_fault(&error))?;
    // A name goes into headers and records: bounded, whatever the configuration.
    const LONGEST_NAME: usize = 512;
    if peek.model.len() > LONGEST_NAME {
        return Err(Fault::new(
            FaultClass::Invalid,
            format!("the model's name is longer than {LONGEST_NAME} bytes"),
        )
        .param("model"));
    }
    // Some providers have it in their address, where these would lead elsewhere.
    if peek.model.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Fault::new(FaultClass::Invalid, "the model's name is no name").param("model"));
    }
    ticket.parsed(&peek.model, peek.stream, &body, prompt_bytes(&text));
    if let Some(said) = &peek.end_user {
        ticket.end_user(said);
    }
    if let Some(client) = llm.surface.chat_client()
        && may_mention_tools(&text)
        // What the gate cannot read an upstream may: the bodies of such calls are in the capture, where there is one.
        && let Ok(facts) = tool_facts::in_request(client, &text)
    {
        ticket.tools(facts);
    }
    if llm.operation == Operation::CountTokens {
        ticket.free();
    }
    let text = if form.is_some() { ByteString::new() } else { text };
    Ok(Call { head, body, text, form, peek, inlined: tokio::sync::OnceCell::new() })
}

/// The bytes of a request that an estimate of its tokens counts: pictures and documents are not billed by the
/// length of their base64.
fn prompt_bytes(text: &str) -> u64 {
    // What the large providers bill for a picture of ordinary size, about 1,500 tokens, as bytes of text.
    const EACH: u64 = 6_000;
    let (rest, attachments) = without_base64(text);
    rest as u64 + attachments as u64 * EACH
}

/// A JSON body as text.
fn json_text(body: &Bytes) -> Result<ByteString, Fault> {
    let text = ByteString::try_from(body.clone()).map_err(|e| {
        Fault::new(FaultClass::Invalid, format!("the body is not UTF-8 from byte {} on", e.valid_up_to()))
    })?;
    if text.trim_start().is_empty() {
        return Err(Fault::new(FaultClass::Invalid, "the body is empty; a JSON object is expected"));
    }
    Ok(text)
}

/// Bodies are JSON, not compressed; a form, whose boundary this returns, only where pictures are sent. A web page
/// can send other types without asking (CORS "simple requests"), forms among them, so this is also a part of promise 5;
/// against forms it is `Origin` and `Sec-Fetch-Site` that help.
fn check_encoding(llm: &Llm, inbound: &Inbound) -> Result<Option<String>, Fault> {
    if !matches!(inbound.header(header::CONTENT_ENCODING.as_str()), None | Some("identity")) {
        return Err(Fault::new(FaultClass::MediaType, "a compressed request body is not read"));
    }
    let content_type = inbound.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if llm.operation == Operation::EditImages
        && let Some(boundary) = form::boundary(content_type)
    {
        return Ok(Some(boundary.to_owned()));
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(None);
    }
    let message = format!("the content type must be application/json, not {essence:?}");
    Err(Fault::new(FaultClass::MediaType, message))
}
