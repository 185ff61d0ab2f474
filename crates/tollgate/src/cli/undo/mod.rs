//! `tollgate undo TRACE`: what the tool calls of a trace have changed, and the calls that take it back, the latest first. They
//! are made only with `--run`, each as a new call with a record of its own.

mod plan;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use self::plan::{Plan, Step, Then};
use super::ask::{Remote, Source, Where};
use super::frames;
use super::mcp::client::{Peer, texts, why};
use super::say;
use super::story::Story;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A trace, or a call in it
    id: String,
    /// Make the calls of the plan
    #[arg(long)]
    run: bool,
    /// Also take back what may have happened or not
    #[arg(long)]
    uncertain: bool,
    /// Only this call; may be given several times
    #[arg(long = "call", value_name = "CALL")]
    calls: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let source = self.place.source().await?;
        let trace = source.trace(&self.id).await?;
        let calls: Vec<Story> = trace.calls.iter().map(Story::of).collect();
        let mut contents = Vec::new();
        for call in &calls {
            contents.push(content(&source, call).await?);
        }
        let plan = plan::of(&calls, &contents, &self.calls);
        if trace.truncated && !plan.has_all(&self.calls) {
            bail!(
                "the trace has more calls than can be shown: name those that are meant (--call), and ask for one of them"
            );
        }
        if self.json && !self.run {
            say(&serde_json::to_string_pretty(&plan.json(&trace.trace_id))?)?;
            return Ok(());
        }
        let wanted: Vec<&Step> = plan.to_run(self.uncertain).collect();
        if self.json {
            let (done, stopped) =
                take_back(&self.place.remote()?, &trace.trace_id, &wanted, |_| Ok(())).await?;
            let mut value = plan.json(&trace.trace_id);
            let done = done.iter().map(|(step, by)| json!({ "call_id": step.call, "by": by })).collect();
            value["taken_back"] = Value::Array(done);
            value["stopped"] = json!(stopped.as_ref().map(ToString::to_string));
            say(&serde_json::to_string_pretty(&value)?)?;
            return stopped.map_or(Ok(()), Err);
        }
        say(&format!("trace {}: {}", trace.trace_id, plan.operation()))?;
        plan.lines(self.uncertain).iter().try_for_each(|line| say(line))?;
        if wanted.is_empty() {
            say("there is nothing to call")?;
            return Ok(());
        }
        if !self.run {
            say(&format!("nothing was called: `tollgate undo {} --run` makes these calls", self.id))?;
            return Ok(());
        }
        run_aloud(&self.place.remote()?, &trace.trace_id, &wanted, "").await
    }
}

/// Prints what takes back the call `id`, and takes it back.
pub(super) async fn show_and_run(source: &Source, remote: &Remote, id: &str, indent: &str) -> Result<()> {
    let trace = source.trace(id).await?;
    let calls: Vec<Story> = trace.calls.iter().map(Story::of).collect();
    let mut contents = Vec::new();
    for call in &calls {
        contents.push(content(source, call).await?);
    }
    let plan = plan::of(&calls, &contents, &[id.to_owned()]);
    plan.lines(false).iter().try_for_each(|line| say(&format!("{indent}{line}")))?;
    run_aloud(remote, &trace.trace_id, &plan.to_run(false).collect::<Vec<_>>(), indent).await
}

/// Makes the calls, and says each.
async fn run_aloud(remote: &Remote, trace_id: &str, steps: &[&Step], indent: &str) -> Result<()> {
    let told = |(step, by): &(&Step, String)| {
        Ok(say(&format!("{indent}took back {} with {} ({by})", step.call, step.shown()))?)
    };
    let (_, stopped) = take_back(remote, trace_id, steps, told).await?;
    stopped.map_or(Ok(()), Err)
}

/// What was kept of a tool call: its request, and what was answered.
async fn content(source: &Source, call: &Story) -> Result<plan::Content> {
    let mut content = plan::Content::default();
    if call.tool()["undo"].is_null() {
        return Ok(content);
    }
    for capture in call.captures() {
        content.blanked |= capture["mode"] == "redacted";
        content.cut |= capture["left_out_bytes"].as_u64().unwrap_or(0) > 0;
        for frame in frames::of(source, &call.instance, capture).await? {
            content.take(&frame);
        }
    }
    Ok(content)
}

/// A call that was taken back, and the call that did it.
type TakenBack<'a> = (&'a Step, String);

/// Makes the calls, one after the other, until one fails: what follows may rest on it. Returns what was taken back, and why
/// it stopped, where it did.
async fn take_back<'a>(
    remote: &Remote,
    trace_id: &str,
    steps: &[&'a Step],
    mut told: impl FnMut(&TakenBack<'a>) -> Result<()>,
) -> Result<(Vec<TakenBack<'a>>, Option<anyhow::Error>)> {
    let mut done = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match take_back_one(remote, trace_id, step).await {
            Ok(by) => {
                done.push((*step, by));
                done.last().map_or(Ok(()), &mut told)?;
            }
            Err(why) => {
                let (left, all) = (steps.len() - number, steps.len());
                let stopped =
                    anyhow::anyhow!("{why:#}\nstopped at {}: {left} of {all} calls were not made", step.call);
                return Ok((done, Some(stopped)));
            }
        }
    }
    Ok((done, None))
}

/// Makes the call that takes `step` back, and returns its id.
async fn take_back_one(remote: &Remote, trace_id: &str, step: &Step) -> Result<String> {
    let Then::Call { tool, arguments } = &step.then else { bail!("there is nothing to call") };
    let peer = Peer::at(remote, Some(&step.server));
    let tool = peer.tool(tool).await?;
    let span = &step.call.replace('-', "")[16..];
    let headers = [
        ("x-tollgate-cause".to_owned(), format!("undo {}", step.call)),
        ("traceparent".to_owned(), format!("00-{trace_id}-{span}-01")),
    ];
    let said = peer.call(&tool, arguments, &headers, false).await?;
    let result = said.answer.map_err(|error| why(&error))?;
    if result["isError"] == true {
        bail!("{}", texts(&result).join("\n"));
    }
    Ok(said.call_id.unwrap_or_else(|| "-".to_owned()))
}

impl Plan {
    /// Whether all of `calls` are in it, and they are some.
    fn has_all(&self, calls: &[String]) -> bool {
        !calls.is_empty() && calls.iter().all(|call| self.steps.iter().any(|step| step.call == *call))
    }

    fn json(&self, trace_id: &str) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(Step::json).collect();
        json!({ "trace_id": trace_id, "operation": self.state(), "steps": steps })
    }
}
