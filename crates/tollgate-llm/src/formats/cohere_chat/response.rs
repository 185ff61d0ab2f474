//! A whole answer. It does not say which model gave it.

use serde::Deserialize;

use super::citations;
use super::error;
use super::logprobs::Piece;
use super::usage::WireUsage;
use crate::chat::{Choice, Citation, NO_ARGUMENTS, Response, Said, StopReason, ToolCall};

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    id: String,
    finish_reason: String,
    message: Message,
    usage: Option<WireUsage>,
    #[serde(default)]
    logprobs: Option<Vec<Piece>>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Vec<Part>>,
    tool_plan: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
    #[serde(default)]
    citations: Option<Vec<citations::Written>>,
}

/// A part of the content, of any type; those of an unknown type say nothing that can be kept.
#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    thinking: Option<String>,
}

/// A tool that the model wants called.
#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) function: Function,
}

#[derive(Default, Deserialize)]
pub(super) struct Function {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let stop = stop_reason(&written.finish_reason)
        .ok_or_else(|| error::stumbled(&written.finish_reason, None).message)?;
    let logprobs = written.logprobs.unwrap_or_default().into_iter().filter_map(Piece::into_neutral).collect();
    let choice = Choice { said: said(written.message), stop, logprobs };
    Ok(Response {
        id: written.id,
        choices: vec![choice],
        usage: written.usage.and_then(|usage| usage.counted()),
        ..Response::default()
    })
}

/// The plan comes first: the model makes it before it calls.
fn said(message: Message) -> Vec<Said> {
    let full = |text: &String| !text.is_empty();
    let thought = |text| Said::Thinking { text, seal: None };
    let mut said: Vec<Said> = message.tool_plan.filter(full).map(thought).into_iter().collect();
    let cited = message.citations.unwrap_or_default();
    let mut told = false;
    for (index, part) in message.content.unwrap_or_default().into_iter().enumerate() {
        said.extend(part.thinking.filter(full).map(thought));
        if let Some(text) = part.text.filter(full) {
            // A citation that names no part is about the first text.
            let about = cited.iter().filter(|c| c.is_about(index) && (!told || !c.is_about(usize::MAX)));
            let citations: Vec<Citation> = about.flat_map(citations::Written::addressed).collect();
            said.push(Said::Text { text, citations });
            told = true;
        }
    }
    said.extend(message.tool_calls.unwrap_or_default().into_iter().map(|call| {
        let arguments = call.function.arguments.filter(full).unwrap_or_else(|| NO_ARGUMENTS.to_owned());
        let name = call.function.name.unwrap_or_default();
        Said::ToolCall(ToolCall { id: call.id, name, arguments, seal: None })
    }));
    said
}

/// Why an answer ended; `None` where it is none.
pub(super) fn stop_reason(finish: &str) -> Option<StopReason> {
    Some(match finish {
        "ERROR" | "TIMEOUT" => return None,
        "STOP_SEQUENCE" => StopReason::StopText(None),
        "MAX_TOKENS" => StopReason::MaxTokens,
        "TOOL_CALL" => StopReason::ToolCalls,
        _ => StopReason::End,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_failed_is_none() {
        for reason in ["ERROR", "TIMEOUT"] {
            let body = format!(r#"{{"id":"x","finish_reason":"{reason}","message":{{"role":"assistant"}}}}"#);
            assert!(read(body.as_bytes()).unwrap_err().contains(reason));
        }
        assert!(read(br#"{"message":"no such model"}"#).is_err());
    }

    #[test]
    fn a_piece_of_several_tokens_has_the_probability_of_all() {
        let body = r#"{"finish_reason":"COMPLETE","message":{"content":[{"type":"text","text":"Hi there"}]},
            "logprobs":[{"text":"Hi","token_ids":[1],"logprobs":[-0.5]},{"text":" there","token_ids":[2,3],"logprobs":[-0.25,-0.5]},{"token_ids":[4]}]}"#;
        let read = read(body.as_bytes()).unwrap();
        let told: Vec<_> =
            read.choices[0].logprobs.iter().map(|t| (t.token.token.as_str(), t.token.logprob)).collect();
        assert_eq!(told, [("Hi", -0.5), (" there", -0.75)]);
    }

    #[test]
    fn citations_stand_at_the_text_that_they_are_about() {
        let body = r#"{"finish_reason":"COMPLETE","message":{"content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"one"},{"type":"text","text":"two"}],
            "citations":[
            {"start":0,"end":3,"content_index":2,"type":"TEXT_CONTENT","sources":[{"type":"document","document":{"url":"http://b","title":"B"}}]},
            {"start":0,"end":3,"sources":[{"type":"tool","tool_output":{"url":"http://a"}},{"type":"document","document":{"text":"no address"}}]},
            {"start":0,"end":1,"type":"PLAN","sources":[{"type":"tool","tool_output":{"url":"http://plan"}}]}]}}"#;
        let read = read(body.as_bytes()).unwrap();
        let urls: Vec<Vec<&str>> = read.choices[0]
            .said
            .iter()
            .filter_map(|said| match said {
                Said::Text { citations, .. } => Some(citations.iter().map(|c| c.url.as_str()).collect()),
                _ => None,
            })
            .collect();
        assert_eq!(urls, [["http://a"], ["http://b"]]);
    }
}
