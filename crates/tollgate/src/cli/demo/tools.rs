//! The part of the demo that is about tools: an agent with the tools of two servers, a call that waits for somebody and is
//! taken back, and a tool that says something else than before.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Demo, server, text};
use crate::cli::ask::{Gate, Source};
use crate::cli::mcp::client::{Peer, Said, texts};
use crate::cli::{say, trace, undo};

/// How long something may take that happens in the background.
const PATIENCE: Duration = Duration::from_secs(20);

/// Shows it. Returns the ids of calls to the model.
pub(super) async fn calls(demo: &Demo, folder: &Path) -> Result<Vec<String>> {
    let remote = Gate::at(&demo.url).remote()?;
    let source = Source::Remote(Box::new(Gate::at(&demo.url).remote()?));
    let peer = Peer::at(&remote, None);
    let (calls, tools) = agent(demo, &peer).await?;
    let deleted = destroy(demo, &peer).await?;
    let traced = [tools, vec![deleted.clone()]].concat();
    recorded(demo, &traced).await?;
    say("8. And is taken back, by the call that the configuration names for it:")?;
    undo::show_and_run(&source, &remote, &deleted, "  ").await?;
    say("")?;
    drift(demo, &peer, folder).await?;
    say("What happened to the agent's prompt, call by call (`tollgate trace`):")?;
    trace::print(&source, &calls[0]).await?;
    say("")?;
    Ok(calls)
}

/// The model is offered everything behind one address, chooses, and gets the results.
async fn agent(demo: &Demo, peer: &Peer<'_>) -> Result<(Vec<String>, Vec<String>)> {
    say("6. An agent that finds the tools of two servers at one address:")?;
    let tools = peer.all("tools/list", "tools").await?;
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    say(&format!("   it is offered {}", names.join(", ")))?;
    let offered: Vec<Value> = tools
        .iter()
        .map(|tool| {
            let function = json!({
                "name": tool["name"], "description": tool["description"], "parameters": tool["inputSchema"],
            });
            json!({ "type": "function", "function": function })
        })
        .collect();
    let prompt = json!({ "role": "user", "content": "Please call who_is and write_note." });
    let ask = |messages: &Value| json!({ "model": "demo", "messages": messages, "tools": offered });
    let mut messages = json!([prompt]);
    let (first, body) = demo.post("/v1/chat/completions", &ask(&messages)).await?;
    let message = body["choices"][0]["message"].clone();
    let chosen = message["tool_calls"].as_array().cloned().unwrap_or_default();
    ensure!(chosen.len() == 2, "the model did not choose both tools: {body}");
    let mut said = vec![prompt, message];
    let mut executed = Vec::new();
    for choice in &chosen {
        let name = text(&choice["function"]["name"]);
        let arguments: Value = serde_json::from_str(text(&choice["function"]["arguments"]))?;
        let (id, answer) = done(call(peer, name, &arguments).await?)?;
        say(&format!("   it calls {name}({arguments}): {answer}"))?;
        executed.push(id);
        said.push(json!({ "role": "tool", "tool_call_id": choice["id"], "content": answer }));
    }
    messages = Value::Array(said);
    let (second, body) = demo.post("/v1/chat/completions", &ask(&messages)).await?;
    say(&format!("   {}\n", text(&body["choices"][0]["message"]["content"])))?;
    Ok((vec![first, second], executed))
}

/// A call that destroys something is made when somebody has said so. Returns the call.
async fn destroy(demo: &Demo, peer: &Peer<'_>) -> Result<String> {
    say("7. A call that destroys something waits until somebody lets it pass:")?;
    let arguments = json!({ "title": "plan" });
    let held = call(peer, "delete_note", &arguments).await?;
    let result = held.answer.map_err(|error| anyhow::anyhow!("{error}"))?;
    let fault = &result["_meta"]["tollgate/fault"];
    ensure!(fault["class"] == "approval_pending", "the call was not held: {result}");
    say(&format!("   {}", texts(&result).join(" ")))?;
    let waiting = demo.ask("GET", "/api/v1/approvals?pending=true", &Value::Null).await?;
    let id = waiting["items"][0]["id"].as_str().context("no call waits")?;
    demo.ask("POST", &format!("/api/v1/approvals/{id}/approve"), &json!({})).await?;
    let (call, answer) = done(call(peer, "delete_note", &arguments).await?)?;
    say(&format!("   approved, and called again: {answer}\n"))?;
    Ok(call)
}

/// A tool that says something else than what was pinned is not offered until somebody has looked at it.
async fn drift(demo: &Demo, peer: &Peer<'_>, folder: &Path) -> Result<()> {
    say("9. A tool that says something else than before is held until somebody approves it:")?;
    std::fs::write(folder.join(server::MOVED), "")?;
    let path = "/api/v1/tools/contracts/people/who_is";
    let pending = wait(async || {
        let contract = demo.ask("GET", path, &Value::Null).await?;
        Ok(Some(contract["pending"].clone()).filter(|pending| !pending.is_null()))
    });
    let pending = pending.await.context("the tool was not held")?;
    for line in pending["diff"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(&format!("   {line}"))?;
    }
    let offered = async || {
        let tools = peer.all("tools/list", "tools").await?;
        Ok::<bool, anyhow::Error>(tools.iter().any(|tool| tool["name"] == "who_is"))
    };
    wait(async || Ok((!offered().await?).then_some(()))).await.context("the tool is still offered")?;
    say("   it is not offered any more")?;
    demo.ask("POST", &format!("{path}/approve"), &json!({ "digest": pending["digest"] })).await?;
    wait(async || Ok(offered().await?.then_some(()))).await.context("the tool is not offered again")?;
    say("   approved, and it is offered again\n")?;
    Ok(())
}

async fn call(peer: &Peer<'_>, name: &str, arguments: &Value) -> Result<Said> {
    let tool = peer.tool(name).await?;
    peer.call(&tool, arguments, &[], false).await
}

/// A call that ended well, and what it said.
fn done(said: Said) -> Result<(String, String)> {
    let result = said.answer.map_err(|error| anyhow::anyhow!("{error}"))?;
    if result["isError"] == true {
        bail!("{}", texts(&result).join("\n"));
    }
    Ok((said.call_id.context("no call id")?, texts(&result).join("\n")))
}

/// Waits until the records of `calls` can be asked for.
async fn recorded(demo: &Demo, calls: &[String]) -> Result<()> {
    for id in calls {
        let closed = wait(async || {
            let story = demo.ask("GET", &format!("/api/v1/calls/{id}"), &Value::Null).await?;
            let entries = story["entries"].as_array();
            let closed =
                entries.and_then(|entries| entries.last()).is_some_and(|last| last["entry"] == "closed");
            Ok(closed.then_some(()))
        });
        closed.await.with_context(|| format!("call {id} has no record"))?;
    }
    Ok(())
}

/// Asks until there is an answer, or it takes too long.
async fn wait<T>(ask: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        ensure!(tokio::time::Instant::now() < deadline, "it took longer than {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a gate with these tools is configured with, besides the rest of the demo.
pub(super) fn configuration(binary: &Path, folder: &Path) -> String {
    let command = |which: &str| {
        json!([binary.to_string_lossy(), "demo-server", which, folder.to_string_lossy()]).to_string()
    };
    format!(
        "tool_servers:\n  notes:\n    command: {}\n    effects:\n      write_note: {{ effect: write, undo: {{ tool: \
         delete_note, arguments: {{ title: \"{{{{arguments.title}}}}\" }} }} }}\n      delete_note: {{ effect: destructive, \
         undo: {{ tool: write_note, arguments: {{ title: \"{{{{result.structuredContent.title}}}}\", text: \
         \"{{{{result.structuredContent.text}}}}\" }} }} }}\n  people:\n    command: {}\n    effects: {{ who_is: read }}\n\
         tools: {{ approvals: {{ hold: [destructive], approver: caller, wait_ms: 1 }} }}\n",
        command("notes"),
        command("people"),
    )
}
