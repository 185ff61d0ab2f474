//! A client of the gate's MCP door: without sessions, in the newest revision, one answer to one request.

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tollgate_mcp::headers::{Mirrors, mirrored};
use tollgate_mcp::message::{Body, Limits, meta, read, request};
use tollgate_mcp::revision::Revision;

use crate::cli::ask::Remote;
use crate::cli::ask::remote::segment;

/// Pages of a list.
const MOST_PAGES: usize = 1_000;

/// How the client's own messages are read back, to see which headers go with them.
pub(super) const OWN: Limits =
    Limits { bytes: 64 << 20, depth: 128, id_bytes: 256, method_bytes: 128, number_bytes: 64, batch: 1 };

/// The gate's MCP door, at one address.
pub(in crate::cli) struct Peer<'a> {
    remote: &'a Remote,
    path: String,
}

/// What was answered.
pub(in crate::cli) struct Said {
    /// The call, as the gate records it.
    pub(in crate::cli) call_id: Option<String>,
    /// The result, or the error (JSON-RPC 2.0 §5.1).
    pub(in crate::cli) answer: std::result::Result<Value, Value>,
}

/// Where the door is for `name`, or for everything.
pub(super) fn path(name: Option<&str>) -> String {
    name.map_or_else(|| "/mcp".to_owned(), |name| format!("/mcp/{}", segment(name)))
}

impl<'a> Peer<'a> {
    /// The door of the server or bundle `name`, or the one to everything.
    pub(in crate::cli) fn at(remote: &'a Remote, name: Option<&str>) -> Self {
        Self { remote, path: path(name) }
    }

    /// Asks `method`. `headers` go with it.
    pub(in crate::cli) async fn ask(
        &self,
        method: &str,
        mut params: Value,
        headers: &[(String, String)],
    ) -> Result<Said> {
        let said = &mut params["_meta"];
        said[meta::PROTOCOL_VERSION] = json!(Revision::NEWEST.name());
        said[meta::CLIENT_INFO] = json!({ "name": "tollgate", "version": env!("CARGO_PKG_VERSION") });
        said[meta::CLIENT_CAPABILITIES] = json!({});
        let text = request("1", method, Some(&params.to_string()));
        let Ok(Body::One(message)) = read(text.as_bytes(), Revision::NEWEST, &OWN) else {
            bail!("what is to be asked is no message: it is too large, or nests too deep");
        };
        let mut all = vec![("content-type", "application/json"), ("accept", "application/json")];
        let repeated = mirrored(&message, Revision::NEWEST);
        all.extend(repeated.iter().map(|(name, value)| (*name, value.as_str())));
        all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let response = self.remote.send("POST", &self.path, &all, text).await?;
        let status = response.status();
        let call_id = response.headers().get("x-tollgate-call-id").and_then(|id| id.to_str().ok());
        let call_id = call_id.map(str::to_owned);
        let body = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
        let mut said: Value = serde_json::from_slice(&body).with_context(|| {
            format!("what answers at {} is no MCP (status {})", self.path, status.as_u16())
        })?;
        if status.as_u16() == 401 {
            let why = said["error"]["message"].as_str().unwrap_or("it says no more");
            bail!("the gate refuses ({why}); its key goes into TOLLGATE_KEY");
        }
        let answer = match said["result"].take() {
            Value::Null => Err(said["error"].take()),
            result => Ok(result),
        };
        Ok(Said { call_id, answer })
    }

    /// Everything in a list.
    pub(in crate::cli) async fn all(&self, method: &str, member: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut params = json!({});
        for _ in 0..MOST_PAGES {
            let mut page = self.ask(method, params, &[]).await?.answer.map_err(|error| why(&error))?;
            if let Value::Array(items) = page[member].take() {
                all.extend(items);
            }
            match page["nextCursor"].take() {
                Value::String(cursor) => params = json!({ "cursor": cursor }),
                _ => break,
            }
        }
        Ok(all)
    }

    /// The tool that is called `name` here.
    pub(in crate::cli) async fn tool(&self, name: &str) -> Result<Value> {
        let tools = self.all("tools/list", "tools").await?;
        let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        match names.iter().position(|known| *known == name) {
            Some(at) => Ok(tools[at].clone()),
            // At a server's own address its own names are understood, also of tools that are shown under another one.
            None if self.path != "/mcp" => Ok(json!({ "name": name })),
            None => {
                let near = tollgate_core::config::nearest(name, names.iter().copied());
                let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                bail!("there is no tool `{name}` at {}{near} (`tollgate mcp list`)", self.path)
            }
        }
    }

    /// Calls `tool` with `arguments`; `headers` go with it. With `dry_run` it is only rehearsed.
    pub(in crate::cli) async fn call(
        &self,
        tool: &Value,
        arguments: &Value,
        headers: &[(String, String)],
        dry_run: bool,
    ) -> Result<Said> {
        let mirrors = Mirrors::of(&tool["inputSchema"]);
        let repeated = mirrors.headers(arguments).into_iter().map(|(name, value)| (name.to_owned(), value));
        let headers: Vec<_> = headers.iter().cloned().chain(repeated).collect();
        let meta = if dry_run { json!({ "tollgate/dry_run": true }) } else { json!({}) };
        let params = json!({ "name": tool["name"], "arguments": arguments, "_meta": meta });
        self.ask("tools/call", params, &headers).await
    }
}

/// What an error says.
pub(in crate::cli) fn why(error: &Value) -> anyhow::Error {
    let fault = &error["data"]["tollgate/fault"];
    let class = fault["class"].as_str().map_or(String::new(), |class| format!(" ({class})"));
    anyhow!("{}{class}", error["message"].as_str().unwrap_or("the answer is an error that says no more"))
}

/// The texts of a result, and what else there is of it in a word each.
pub(in crate::cli) fn texts(result: &Value) -> Vec<String> {
    let blocks = result["content"].as_array().into_iter().flatten();
    let texts = blocks.map(|block| match (block["type"].as_str(), block["text"].as_str()) {
        (Some("text"), Some(text)) => text.to_owned(),
        (Some("resource"), _) if block["resource"]["text"].is_string() => {
            block["resource"]["text"].as_str().unwrap_or_default().to_owned()
        }
        (kind, _) => {
            let of = block["mimeType"].as_str().or_else(|| block["uri"].as_str()).unwrap_or("?");
            format!("({}: {of})", kind.unwrap_or("something"))
        }
    });
    texts.collect()
}
