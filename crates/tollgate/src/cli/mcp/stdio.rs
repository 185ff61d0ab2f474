//! `tollgate mcp stdio`: a line of standard input is a message to the gate, and a line of standard output one from it. What a
//! client says is passed on as it is; only what HTTP wants besides is added: the session, and headers that repeat the body.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;
use tollgate_llm::sse::SseReader;
use tollgate_mcp::headers::{Mirrors, mirrored};
use tollgate_mcp::json::Object;
use tollgate_mcp::message::{Body, Failure, Kind, Message, codes, error, meta, read};
use tollgate_mcp::revision::Revision;

use super::client::{OWN, path};
use crate::cli::ask::Remote;
use crate::cli::complain;

/// The largest message of the gate.
const LARGEST: usize = 64 << 20;

/// Messages that the client has not read yet.
const MOST_WAITING: usize = 256;

/// How long requests may take that were made before the input ended.
const TO_END: Duration = Duration::from_secs(30);

/// Before the stream of what is said unasked is opened again, at first; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of the conversation.
#[derive(Default)]
struct Known {
    /// The session, where the client speaks a revision that has them.
    session: Option<String>,
    /// What was agreed on in it.
    revision: Option<Revision>,
    /// Of tools that were listed, the arguments that headers repeat.
    mirrors: HashMap<String, Mirrors>,
}

struct Bridge {
    remote: Remote,
    path: String,
    known: Mutex<Known>,
    out: mpsc::Sender<Bytes>,
    /// Hears what the gate says unasked.
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// Bridges until standard input ends.
pub(super) async fn run(remote: Remote, at: Option<&str>) -> Result<()> {
    let (out, outgoing) = mpsc::channel(MOST_WAITING);
    let bridge = Arc::new(Bridge {
        remote,
        path: path(at),
        known: Mutex::default(),
        out,
        listening: Mutex::default(),
    });
    let writing = tokio::spawn(write(outgoing));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut under_way, mut listening) = (JoinSet::new(), JoinSet::new());
    let mut by_id: HashMap<String, AbortHandle> = HashMap::new();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {
                by_id.retain(|_, request| !request.is_finished());
                continue;
            }
        };
        let Some(line) = line else { break };
        let Some(said) = Object::read(&line) else {
            if !line.trim().is_empty() {
                complain("a line of standard input is no message");
            }
            continue;
        };
        let (method, id) = (said.string("method").unwrap_or_default().into_owned(), said.get("id"));
        // Without a session a request is called off by its connection.
        let called_off = || by_id.get(said.object("params")?.get("requestId")?);
        if method == "notifications/cancelled" && bridge.known.lock().session.is_none() {
            if let Some(request) = called_off() {
                request.abort();
            }
            continue;
        }
        let bridge = Arc::clone(&bridge);
        if method == "initialize" {
            // Whatever follows needs the session that begins with it.
            bridge.pass(line).await;
            continue;
        }
        let (id, passing) = (id.map(str::to_owned), bridge.pass(line.clone()));
        // What is listened to has no end.
        let of = if method == "subscriptions/listen" { &mut listening } else { &mut under_way };
        let request = of.spawn(passing);
        id.map(|id| by_id.insert(id, request));
    }
    // What was asked before the input ended is answered, unless that takes too long.
    let answered = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(TO_END, answered).await;
    under_way.shutdown().await;
    listening.shutdown().await;
    bridge.stop_listening().await;
    bridge.end().await;
    drop(bridge);
    writing.await?
}

/// The answer to the request `id`: what the gate could not read as one it answers without an id, and nobody would know it.
fn answering(body: Bytes, id: Option<&str>) -> Bytes {
    let named = || {
        let message = Object::read(std::str::from_utf8(&body).ok()?)?;
        let nameless = message.has("error") && message.get("id").is_none_or(|id| id == "null");
        let mut draft = nameless.then(|| message.draft())?;
        draft.set("id", id?.to_owned());
        Some(Bytes::from(draft.finish().into_owned()))
    };
    named().unwrap_or_else(|| body.clone())
}

fn begins(line: &str) -> bool {
    Object::read(line).and_then(|message| message.string("method")).as_deref() == Some("initialize")
}

async fn write(mut outgoing: mpsc::Receiver<Bytes>) -> Result<()> {
    let mut stdout = tokio::io::stdout();
    while let Some(message) = outgoing.recv().await {
        // A message is one line; in JSON line feeds are nothing but white space.
        let line: Vec<u8> = message.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
        stdout.write_all(&line).await?;
        stdout.write_all(b"\n").await?;
        stdout.flush().await?;
    }
    Ok(())
}

impl Bridge {
    /// Passes one message on, and everything that is answered to it.
    async fn pass(self: Arc<Self>, line: String) {
        let listens = Object::read(&line).and_then(|message| message.string("method")).as_deref()
            == Some("notifications/initialized");
        if let Err(why) = self.post(&line).await {
            let id = Object::read(&line).and_then(|message| message.get("id").map(str::to_owned));
            match id {
                Some(id) => {
                    let failure =
                        Failure { code: codes::INTERNAL_ERROR, message: why.to_string().into(), data: None };
                    let text = error(Some(&id), &failure, Revision::NEWEST_STATEFUL);
                    let _ = self.out.send(text.into()).await;
                }
                None => complain(&why.to_string()),
            }
        }
        if listens {
            let bridge = Arc::clone(&self);
            let listening = tokio::spawn(async move {
                let mut pause = FIRST_PAUSE;
                // A gate that tells nothing unasked, or is started anew, is no reason to end.
                loop {
                    let since = Instant::now();
                    let _ = bridge.listen().await;
                    pause = if since.elapsed() > LONGEST_PAUSE {
                        FIRST_PAUSE
                    } else {
                        (pause * 2).min(LONGEST_PAUSE)
                    };
                    tokio::time::sleep(pause).await;
                }
            });
            if let Some(before) = self.listening.lock().replace(listening) {
                before.abort();
            }
        }
    }

    /// Hears nothing more that is not asked for.
    async fn stop_listening(&self) {
        let listening = self.listening.lock().take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await;
        }
    }

    async fn post(&self, line: &str) -> Result<()> {
        let headers = self.headers(line);
        let mut all =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let response = self.remote.send("POST", &self.path, &all, line.to_owned()).await?;
        if begins(line)
            && let Some(session) = response.headers().get("mcp-session-id").and_then(|id| id.to_str().ok())
        {
            self.known.lock().session = Some(session.to_owned());
        }
        let id = Object::read(line).and_then(|message| message.get("id").map(str::to_owned));
        self.hear(response, id.as_deref()).await
    }

    /// What the gate says outside of answers.
    async fn listen(&self) -> Result<()> {
        let headers = self.of_session();
        let mut all = vec![("accept", "text/event-stream")];
        all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let response = self.remote.send("GET", &self.path, &all, Bytes::new()).await?;
        if response.status().is_success() {
            self.hear(response, None).await
        } else {
            bail!("there is no stream")
        }
    }

    async fn end(&self) {
        if self.known.lock().session.is_none() {
            return;
        }
        let headers = self.of_session();
        let all: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // A gate that is away has forgotten it.
        let _ = self.remote.send("DELETE", &self.path, &all, Bytes::new()).await;
    }

    fn of_session(&self) -> Vec<(String, String)> {
        let known = self.known.lock();
        let session = known.session.iter().map(|id| ("mcp-session-id".to_owned(), id.clone()));
        let version = known.revision.and_then(|revision| {
            Some((revision.transport().version?.to_owned(), revision.name().to_owned()))
        });
        session.chain(version).collect()
    }

    /// The headers that go with a message.
    fn headers(&self, line: &str) -> Vec<(String, String)> {
        let stateless = Object::read(line)
            .and_then(|message| Some(message.object("params")?.object("_meta")?.has(meta::PROTOCOL_VERSION)))
            .unwrap_or(false);
        if !stateless {
            return if begins(line) { Vec::new() } else { self.of_session() };
        }
        let Ok(Body::One(message)) = read(line.as_bytes(), Revision::NEWEST, &OWN) else { return Vec::new() };
        let mut headers: Vec<(String, String)> = mirrored(&message, Revision::NEWEST)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        headers.extend(self.repeated(&message));
        headers
    }

    /// The headers that repeat arguments.
    fn repeated(&self, message: &Message<'_>) -> Vec<(String, String)> {
        let Some(params) = message.params().filter(|_| message.method() == Some("tools/call")) else {
            return Vec::new();
        };
        let params: Value = serde_json::from_str(params).unwrap_or_default();
        let known = self.known.lock();
        let mirrors = params["name"].as_str().and_then(|name| known.mirrors.get(name));
        let headers = mirrors.map(|mirrors| mirrors.headers(&params["arguments"])).unwrap_or_default();
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Passes on everything that an answer brings.
    async fn hear(&self, response: Response<Incoming>, id: Option<&str>) -> Result<()> {
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let events = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (status, mut body) = (response.status(), response.into_body());
        if !events {
            let body = answering(body.collect().await?.to_bytes(), id);
            if body.is_empty() {
                return if status.is_success() { Ok(()) } else { bail!("the gate answers with {status}") };
            }
            return self.say(body).await;
        }
        let mut reader = SseReader::new(LARGEST);
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                reader.push(&data);
            }
            while let Some(event) =
                reader.next_event().map_err(|_| anyhow::anyhow!("a message of the gate is too large"))?
            {
                if !event.data.is_empty() {
                    self.say(event.data).await?;
                }
            }
        }
        Ok(())
    }

    async fn say(&self, message: Bytes) -> Result<()> {
        self.note(&message);
        self.out.send(message).await.map_err(|_| anyhow::anyhow!("standard output is gone"))
    }

    /// Notes what an answer says of the conversation itself.
    fn note(&self, message: &[u8]) {
        let Ok(Body::One(read)) = read(message, Revision::NEWEST_STATEFUL, &OWN) else { return };
        let Kind::Response { result, .. } = read.kind() else { return };
        let Some(result) = Object::read(result) else { return };
        if let Some(version) = result.string("protocolVersion") {
            self.known.lock().revision = Revision::parse(&version);
        }
        let tools = result.get("tools").and_then(|tools| serde_json::from_str::<Vec<Value>>(tools).ok());
        for tool in tools.into_iter().flatten() {
            let mirrors = Mirrors::of(&tool["inputSchema"]);
            if let Some(name) = tool["name"].as_str().filter(|_| !mirrors.is_empty()) {
                self.known.lock().mirrors.insert(name.to_owned(), mirrors);
            }
        }
    }
}
