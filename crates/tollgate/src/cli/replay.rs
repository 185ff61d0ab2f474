//! `tollgate replay CALL`: the same request again, as a new call of whoever runs the command.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tollgate_core::record::{Direction, Frame};
use tollgate_llm::chat::{Response, collect};
use tollgate_llm::formats::{self, ChatUpstream};
use tollgate_llm::framing::{EventReader, Framing};
use tollgate_llm::tool_facts;

use super::ask::{Remote, Source, Where};
use super::frames;
use super::say;
use super::story::Story;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The call to send again; its content must have been kept (capture.bodies: full)
    call: String,
    /// Ask this model instead
    #[arg(long)]
    model: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

/// One side of the comparison.
struct Side {
    status: u64,
    said: String,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let source = self.place.source().await?;
        let original = source.call(&self.call).await?;
        let story = Story::of(&original);
        let frames = captured(&source, &story).await?;
        let request = one(&frames, Direction::FromClient).context("the request of this call was not kept")?;
        let request = match &self.model {
            Some(model) => with_model(&request, model)?,
            None => request,
        };
        let surface = story.text("surface").to_owned();
        let streams = story.opened_flag("stream");
        let model = self.model.as_deref().unwrap_or(story.text("model"));
        let path = path_of(&surface, model, streams)?;
        let before = Side {
            status: story.status(),
            said: said(&surface, streams, &all(&frames, Direction::ToClient)),
        };
        let (id, after) = send(&self.place.remote()?, &path, &surface, streams, &self.call, request).await?;
        report(&self, &id, &before, &after)
    }
}

async fn captured(source: &Source, story: &Story) -> Result<Vec<Frame>> {
    let captures = story.captures();
    ensure!(
        !captures.is_empty(),
        "no content of this call was kept (capture.bodies); there is nothing to send again"
    );
    ensure!(
        captures.iter().all(|capture| capture["mode"] == "full"),
        "what was kept of this call has parts blanked out (capture.bodies: redacted); it would be another request"
    );
    let mut all = Vec::new();
    for capture in captures {
        all.extend(frames::of(source, &story.instance, capture).await?);
    }
    Ok(all)
}

fn all(frames: &[Frame], direction: Direction) -> String {
    frames.iter().filter(|f| f.direction == direction).filter_map(|f| f.text.as_deref()).collect()
}

fn one(frames: &[Frame], direction: Direction) -> Option<String> {
    Some(all(frames, direction)).filter(|text| !text.is_empty())
}

fn with_model(request: &str, model: &str) -> Result<String> {
    let mut value: Value = serde_json::from_str(request).context("the request is no JSON")?;
    value["model"] = json!(model);
    Ok(value.to_string())
}

/// Where a client of `surface` sends its calls.
fn path_of(surface: &str, model: &str, streams: bool) -> Result<String> {
    Ok(match surface {
        "openai_chat" => "/v1/chat/completions".to_owned(),
        "openai_responses" => "/v1/responses".to_owned(),
        "anthropic_messages" => "/v1/messages".to_owned(),
        "openai_embeddings" => "/v1/embeddings".to_owned(),
        "cohere_rerank" => "/v1/rerank".to_owned(),
        "cohere_rerank_v2" => "/v2/rerank".to_owned(),
        "openai_images" => "/v1/images/generations".to_owned(),
        "gemini" if streams => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        "gemini" => format!("/v1beta/models/{model}:generateContent"),
        other => bail!("calls of {other} cannot be sent again"),
    })
}

async fn send(
    remote: &Remote,
    path: &str,
    surface: &str,
    streams: bool,
    cause: &str,
    request: String,
) -> Result<(String, Side)> {
    let headers = [("content-type", "application/json"), ("x-tollgate-cause", cause)];
    let response = remote.send("POST", path, &headers, Bytes::from(request)).await?;
    let id = response.headers().get("x-tollgate-call-id").and_then(|id| id.to_str().ok());
    let id = id.unwrap_or("-").to_owned();
    let status = u64::from(response.status().as_u16());
    let body = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
    Ok((id, Side { status, said: said(surface, streams, &String::from_utf8_lossy(&body)) }))
}

/// What an answer says, without ids, times and counts, which differ each time.
fn said(surface: &str, streams: bool, body: &str) -> String {
    let upstream = formats::find(surface).and_then(|format| format.chat_upstream());
    let read =
        upstream.and_then(|upstream| if streams { streamed(upstream, body) } else { whole(upstream, body) });
    read.map_or_else(|| body.to_owned(), |response| words(&response))
}

fn whole(upstream: &dyn ChatUpstream, body: &str) -> Option<Response> {
    upstream.read_response(body.as_bytes()).ok().filter(|response| !response.choices.is_empty())
}

fn streamed(upstream: &dyn ChatUpstream, body: &str) -> Option<Response> {
    let mut cut = EventReader::new(Framing::Sse, body.len() + 1);
    cut.push(body.as_bytes());
    let mut reader = upstream.stream_reader();
    let mut events = Vec::new();
    while let Ok(Some(event)) = cut.next_event() {
        events.extend(reader.read(&event).ok()?);
    }
    Some(collect(events))
}

fn words(response: &Response) -> String {
    let texts = response.choices.iter().filter_map(|choice| choice.text().or(choice.refusal()));
    let calls = tool_facts::chosen(response)
        .map(|call| format!("[tool] {} {}", call.name, tool_facts::canonical_arguments(&call.arguments)));
    texts.chain(calls).collect::<Vec<_>>().join("\n")
}

fn report(arguments: &Arguments, id: &str, before: &Side, after: &Side) -> Result<()> {
    let same = before.status == after.status && before.said == after.said;
    if arguments.json {
        let side = |side: &Side| json!({ "status": side.status, "said": side.said });
        say(&serde_json::to_string_pretty(
            &json!({ "original": arguments.call, "replay": id, "same": same, "before": side(before), "after": side(after) }),
        )?)?;
        return Ok(());
    }
    say(&format!("{id} is a replay of {}", arguments.call))?;
    if same {
        say(&format!("the same: status {}, and it says", after.status))?;
        lines("  ", &after.said)?;
        return Ok(());
    }
    if before.status != after.status {
        say(&format!("status {} before, {} now", before.status, after.status))?;
    }
    lines("- ", &before.said)?;
    lines("+ ", &after.said)
}

fn lines(mark: &str, text: &str) -> Result<()> {
    for line in text.lines() {
        say(&format!("{mark}{}", line))?;
    }
    Ok(())
}
