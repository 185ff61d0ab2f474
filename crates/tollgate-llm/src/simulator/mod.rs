//! A built-in deterministic model for demos, labs and tests. It speaks every format of [`crate::formats`] as an
//! upstream does: the same request always gets the same bytes.
//!
//! What it answers: see [`answer`]. What it breaks on request: a line `simulate: …` in the last user message,
//! see [`Failure`]. Pure: it returns a [`Script`], and the gate plays it.

mod answer;
mod failure;
mod schema;

pub use failure::Failure;

use tollgate_core::fault::{Fault, FaultClass};

use crate::chat::{Event, Losses, Request, collect};
use crate::formats::{AnswerFor, ChatClient, Shown};
use crate::json::BodyError;

/// What to send, and when.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The HTTP status.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'static str,
    /// `retry-after`, in seconds.
    pub retry_after_s: Option<u64>,
    /// The body, in pieces.
    pub pieces: Vec<Piece>,
}

/// The next thing that happens.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Send(Vec<u8>),
    /// Nothing, for this long.
    Wait(std::time::Duration),
    /// Nothing, for ever.
    Hang,
    /// The connection breaks.
    Cut,
}

/// Plays a model in `format` for the request `body`. `stream` says whether the answer is streamed, which not every
/// format says in the body.
pub fn play(format: &dyn ChatClient, body: &str, stream: bool, created: i64) -> Script {
    let mut losses = Losses::default();
    let request = match format.read_request(body, &mut losses) {
        Ok(request) => request,
        Err(error) => return refuse(format, 400, &fault_of(&error), None),
    };
    let answer_for = AnswerFor { created, stream_usage: request.stream_usage, ..AnswerFor::default() };
    let failure = Failure::asked_for(&request);
    if let Some(Failure::Status { status, retry_after_s }) = failure {
        let class = if status == 429 { FaultClass::RateLimited } else { FaultClass::UpstreamFailed };
        return refuse(
            format,
            status,
            &Fault::new(class, format!("simulated status {status}")),
            retry_after_s,
        );
    }
    if let Some(Failure::ContextOverflow) = failure {
        let fault = Fault::new(
            FaultClass::ContextWindow,
            "This model's maximum context length is 8192 tokens. (simulated)",
        );
        return refuse(format, 400, &fault, None);
    }
    if let Some(Failure::ContentPolicy) = failure {
        let fault =
            Fault::new(FaultClass::ContentPolicy, "The prompt violates the content policy. (simulated)");
        return refuse(format, 400, &fault, None);
    }
    let events = answer::events(&request, body.len());
    if stream {
        streamed(format, &answer_for, events, failure)
    } else {
        whole(format, &answer_for, events, failure)
    }
}

fn fault_of(error: &BodyError) -> Fault {
    Fault::new(FaultClass::Invalid, error.to_string())
}

fn refuse(format: &dyn ChatClient, status: u16, fault: &Fault, retry_after_s: Option<u64>) -> Script {
    let body = format.write_error(&Shown::stranger(fault));
    Script { status, content_type: "application/json", retry_after_s, pieces: vec![Piece::Send(body)] }
}

fn whole(
    format: &dyn ChatClient,
    answer: &AnswerFor,
    events: Vec<Event>,
    failure: Option<Failure>,
) -> Script {
    let body = format.write_response(&collect(events), answer);
    let pieces = match failure {
        Some(Failure::Hang) => vec![Piece::Hang],
        Some(Failure::Drip(pause)) => vec![Piece::Wait(pause), Piece::Send(body)],
        Some(Failure::Cut) => vec![Piece::Send(body[..body.len() / 2].to_vec()), Piece::Cut],
        Some(Failure::Malformed) => vec![Piece::Send(b"{\"this is\": not JSON".to_vec())],
        _ => vec![Piece::Send(body)],
    };
    Script { status: 200, content_type: "application/json", retry_after_s: None, pieces }
}

fn streamed(
    format: &dyn ChatClient,
    answer: &AnswerFor,
    events: Vec<Event>,
    failure: Option<Failure>,
) -> Script {
    let mut writer = format.stream_writer(answer);
    let mut pieces: Vec<Piece> = Vec::new();
    let middle = events.len() / 2;
    for (number, event) in events.into_iter().enumerate() {
        if number == middle {
            match failure {
                Some(Failure::Hang) => pieces.push(Piece::Hang),
                Some(Failure::Cut) => pieces.push(Piece::Cut),
                Some(Failure::Malformed) => {
                    pieces.push(Piece::Send(b"data: {\"this is\": not JSON\n\n".to_vec()))
                }
                _ => {}
            }
        }
        if let Some(Failure::Drip(pause)) = failure {
            pieces.push(Piece::Wait(pause));
        }
        let mut bytes = Vec::new();
        writer.write(event, &mut bytes);
        if !bytes.is_empty() {
            pieces.push(Piece::Send(bytes));
        }
    }
    Script { status: 200, content_type: "text/event-stream", retry_after_s: None, pieces }
}

/// The text of the last user message: what commands and tool names are looked for in.
fn prompt(request: &Request<'_>) -> String {
    use crate::chat::{Part, Role};
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    let texts = last
        .into_iter()
        .flat_map(|m| &m.parts)
        .filter_map(|p| if let Part::Text(t) = p { Some(t.decoded()) } else { None });
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{ALL, Target, openai_chat::OpenAiChat};

    #[test]
    fn the_same_request_gets_the_same_bytes_in_every_format() {
        let body =
            r#"{"model":"m","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Hello!"}]}"#;
        let mut losses = Losses::default();
        let request = OpenAiChat.read_request(body, &mut losses).unwrap();
        for format in ALL.iter().filter_map(|f| f.surface()).filter_map(|s| s.chat_client()) {
            let upstream = format.chat_upstream().unwrap();
            let target = Target { model: "m".into(), ..Target::default() };
            let (body, _) = upstream.write_request(&request, &target, &mut losses).unwrap();
            let body = String::from_utf8(body).unwrap();
            let script = play(format, &body, true, 7);
            assert_eq!(script, play(format, &body, true, 7));
            assert!(script.pieces.len() > 4, "{}: token by token", format.name());
        }
    }

    #[test]
    fn each_failure_is_had_for_the_asking() {
        let ask = |what: &str, stream: bool| {
            let body = serde_json::json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": format!("x\nsimulate: {what}") }] });
            play(&OpenAiChat, &body.to_string(), stream, 0)
        };
        assert_eq!(
            (ask("429 retry-after=3", true).status, ask("429 retry-after=3", true).retry_after_s),
            (429, Some(3))
        );
        assert_eq!(ask("500", false).status, 500);
        assert_eq!(ask("context overflow", false).status, 400);
        assert!(ask("hang", true).pieces.contains(&Piece::Hang));
        assert!(ask("cut", true).pieces.contains(&Piece::Cut));
        assert!(ask("drip 5", true).pieces.contains(&Piece::Wait(std::time::Duration::from_millis(5))));
        assert!(ask("malformed", false).pieces == [Piece::Send(b"{\"this is\": not JSON".to_vec())]);
        assert_eq!(ask("nothing that is known", false).status, 200);
    }
}
