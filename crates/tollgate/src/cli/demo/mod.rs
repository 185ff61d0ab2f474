//! `tollgate demo`: a gate in front of the built-in simulator, and real calls through it.

pub(super) mod server;
mod spending;
mod tools;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tollgate_core::config::resolve::Overrides;
use tollgate_journal::Follower;

use super::say;
use crate::configuration::Source;
use crate::{log, wire};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Port to listen on; default 4000, or any free one where that is taken
    #[arg(long)]
    port: Option<u16>,
    /// Where records are kept
    #[arg(long, value_name = "FOLDER", env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Exit after the calls (what happens anyway without a terminal)
    #[arg(long)]
    once: bool,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        log::start("error")?;
        let folder = self
            .data_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join(format!("tollgate-demo-{}", std::process::id())));
        std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        // The end of a call's id is a random number, and so is this: the tools begin with nothing.
        let own = folder.join(format!("tools-{}", std::process::id()));
        std::fs::create_dir_all(&own)?;
        let ready = self.prepare(folder, &own).await?;
        let demo = Demo { url: ready.url(), client: Client::builder(TokioExecutor::new()).build_http() };
        let records = ready.journal.folder().to_owned();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(ready.serve(async { drop(stopped.await) }, std::future::pending()));
        say(&format!("Tollgate is up at {}, in front of a built-in simulator.\n", demo.url))?;
        let mut calls = demo.calls().await?;
        // The end of a call's id is a random number.
        let unique = calls.first().map_or("", |id| &id[id.len().saturating_sub(6)..]).to_owned();
        calls.extend(spending::calls(&demo, &unique).await?);
        calls.extend(tools::calls(&demo, &own).await?);
        summary(&records, &calls)?;
        if !self.once && std::io::stdout().is_terminal() {
            invitation(&demo.url)?;
            wire::StopSignals::new().wait(1).await;
        }
        drop(stop);
        serving.await.context("serving")?;
        Ok(())
    }

    async fn prepare(&self, folder: PathBuf, own: &Path) -> Result<wire::Ready> {
        let tools = tools::configuration(&std::env::current_exe()?, own);
        let source = Source::BuiltIn(format!("{}{tools}", include_str!("demo.yaml")));
        let on = |port| source.read(&Overrides { host: None, port: Some(port) });
        let wanted = self.port.unwrap_or(4000);
        match (wire::prepare(on(wanted)?, Some(folder.clone())).await, self.port) {
            (Err(_), None) => wire::prepare(on(0)?, Some(folder)).await,
            (prepared, _) => prepared,
        }
    }
}

/// A client that knows nothing of Tollgate but its address.
struct Demo {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer to a call.
struct Answer {
    id: String,
    response: Response<Incoming>,
}

/// What stands before an answer's body.
struct Head {
    /// The call.
    id: String,
    status: StatusCode,
}

impl Answer {
    async fn whole(self) -> Result<(Head, Value)> {
        let head = Head { id: self.id, status: self.response.status() };
        let body = self.response.into_body().collect().await?.to_bytes();
        Ok((head, serde_json::from_slice(&body)?))
    }
}

impl Demo {
    /// Four calls; returns their ids.
    async fn calls(&self) -> Result<Vec<String>> {
        let hello = json!([{ "role": "user", "content": "Hello, Tollgate!" }]);
        say("1. A chat completion, as an OpenAI client sends it:")?;
        let (plain, body) =
            self.post("/v1/chat/completions", &json!({ "model": "demo", "messages": hello })).await?;
        say(&format!("   {}\n", text(&body["choices"][0]["message"]["content"])))?;

        say("2. A streamed message, as an Anthropic client sends it:")?;
        let streamed = self
            .stream(
                "/v1/messages",
                &json!({
                    "model": "demo-claude", "max_tokens": 200, "stream": true,
                    "messages": [{ "role": "user", "content": "Count on me.\nsimulate: drip 25ms" }],
                }),
            )
            .await?;

        say("3. An OpenAI client offers a tool to a model that speaks Anthropic's dialect:")?;
        let (tools, body) = self.post("/v1/chat/completions", &json!({
            "model": "demo-claude",
            "messages": [{ "role": "user", "content": "Please call get_weather for Paris" }],
            "tools": [{ "type": "function", "function": { "name": "get_weather", "parameters": {
                "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } } }],
        })).await?;
        let call = &body["choices"][0]["message"]["tool_calls"][0]["function"];
        say(&format!("   it wants {}({})\n", text(&call["name"]), text(&call["arguments"])))?;

        say("4. An upstream that fails, as the client is told:")?;
        let (failed, body) = self.post("/v1/chat/completions", &json!({
            "model": "demo", "messages": [{ "role": "user", "content": "simulate: context overflow" }],
        })).await?;
        say(&format!("   {}\n", text(&body["error"]["message"])))?;
        ensure!(
            body["error"]["code"] == "context_length_exceeded",
            "the failure was not told as one: {body}"
        );
        Ok(vec![plain, streamed, tools, failed])
    }

    /// Sends a request with `key`, or as whoever sits at the machine.
    async fn request(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        Ok(self.client.request(request.body(Full::new(Bytes::from(body.to_string())))?).await?)
    }

    /// What the management API answers.
    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let response = self.request(method, path, None, body).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    async fn send(&self, path: &str, key: Option<&str>, body: &Value) -> Result<Answer> {
        let response = self.request("POST", path, key, body).await?;
        let id = response.headers().get("x-tollgate-call-id").context("no call id")?.to_str()?.to_owned();
        Ok(Answer { id, response })
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(String, Value)> {
        let (head, body) = self.send(path, None, body).await?.whole().await?;
        Ok((head.id, body))
    }

    /// Prints the text of a streamed message as it comes.
    async fn stream(&self, path: &str, body: &Value) -> Result<String> {
        use std::io::Write;
        let Answer { id, mut response } = self.send(path, None, body).await?;
        let mut reader = tollgate_llm::sse::SseReader::new(1 << 20);
        let mut out = std::io::stdout();
        write!(out, "   ")?;
        while let Some(frame) = response.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                reader.push(&data);
            }
            while let Ok(Some(event)) = reader.next_event() {
                let event: Value = serde_json::from_slice(&event.data)?;
                write!(out, "{}", text(&event["delta"]["text"]))?;
                out.flush()?;
            }
        }
        writeln!(out, "\n")?;
        Ok(id)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What the records say of each call. Every call must be there, closed.
fn summary(records: &Path, calls: &[String]) -> Result<()> {
    let written = Follower::new(records, 0).read(usize::MAX)?;
    let closed: Vec<Value> = written
        .entries
        .iter()
        .filter_map(|(_, line)| serde_json::from_slice(line).ok())
        .filter(|e: &Value| e["entry"] == "closed")
        .collect();
    say("What the records say:")?;
    say("   call                                  model        outcome   tokens in/out      USD")?;
    for id in calls {
        let entry = closed
            .iter()
            .find(|entry| entry["call_id"] == **id)
            .with_context(|| format!("call {id} has no record"))?;
        let tokens = format!(
            "{}/{}",
            entry["usage"]["input_tokens"].as_u64().unwrap_or(0),
            entry["usage"]["output_tokens"].as_u64().unwrap_or(0)
        );
        let cost = entry["cost_nano_usd"]
            .as_u64()
            .map_or("-".to_owned(), |nano| tollgate_core::price::Cost::Known(nano).to_string());
        say(&format!(
            "   {id}  {:<11}  {:<8}  {tokens:>13}  {cost:>11}",
            text(&entry["model"]),
            text(&entry["outcome"])
        ))?;
    }
    say(&format!("\nEach call's entries stand in {}", records.display()))?;
    Ok(())
}

fn invitation(url: &str) -> Result<()> {
    say(&format!(
        "\nTry it yourself; Ctrl-C ends it:\n\n  curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\\n    -d '{{\"model\": \"demo\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n"
    ))?;
    Ok(())
}
