//! `tollgate trace ID`: what happened, call by call, and why.

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use tollgate_core::query::TraceStory;

use super::ask::{Source, Where};
use super::frames;
use super::say;
use super::story::{Story, usd};

/// Characters of the waterfall.
const WIDTH: usize = 40;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A trace, or a call in it
    id: String,
    /// Print what passed, frame by frame, where content was kept
    #[arg(long)]
    raw: bool,
    /// Print every entry as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let source = self.place.source().await?;
        let trace = source.trace(&self.id).await?;
        if self.json {
            say(&serde_json::to_string_pretty(&trace)?)?;
            return Ok(());
        }
        story(&source, &trace, self.raw).await
    }
}

/// Prints the trace `id`.
pub(super) async fn print(source: &Source, id: &str) -> Result<()> {
    story(source, &source.trace(id).await?, false).await
}

async fn story(source: &Source, trace: &TraceStory, with_content: bool) -> Result<()> {
    let calls: Vec<Story> = trace.calls.iter().map(Story::of).collect();
    let begin = calls.iter().filter_map(|call| call.began_us).min().unwrap_or(0);
    let end = calls.iter().map(|call| call.ended_us()).max().unwrap_or(begin);
    summary(&trace.trace_id, &calls, end - begin)?;
    for (number, call) in calls.iter().enumerate() {
        say("")?;
        show(number + 1, call, &calls, (begin, end))?;
        if with_content {
            raw(source, call).await?;
        }
    }
    if trace.truncated {
        say("… and more calls than are shown")?;
    }
    Ok(())
}

fn summary(trace_id: &str, calls: &[Story], span_us: i64) -> Result<()> {
    let sum = |of: fn(&Story) -> u64| calls.iter().map(of).sum::<u64>();
    let unpriced = calls.iter().filter(|call| call.is_unpriced()).count();
    say(&format!("trace {trace_id}"))?;
    let cost = usd(sum(|call| call.cost_nano_usd.unwrap_or(0)));
    let unknown = if unpriced > 0 { format!(" and {unpriced} of unknown cost") } else { String::new() };
    say(&format!(
        "{} calls in {}, {} tokens in, {} out, {cost} USD{unknown}",
        calls.len(),
        seconds(span_us),
        sum(|call| call.input_tokens),
        sum(|call| call.output_tokens),
    ))?;
    Ok(())
}

fn seconds(us: i64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us % 1_000_000 / 1_000)
}

fn show(number: usize, call: &Story, all: &[Story], (begin, end): (i64, i64)) -> Result<()> {
    let began = call.began_us.unwrap_or(begin);
    say(&format!(
        "{number:>2}  +{}  {}  {} -> {}  {}",
        seconds(began - begin),
        call.ending(),
        call.about(),
        if call.text("deployment").is_empty() { "nobody" } else { call.text("deployment") },
        seconds(call.duration_us),
    ))?;
    say(&format!("    {}", bar(began - begin, call.ended_us() - begin, end - begin)))?;
    let line = |what: &str, text: String| say(&format!("    {what:<9} {text}"));
    line("call", call.id.clone())?;
    line("who", call.who())?;
    line("spent", format!("{} tokens in, {} out, {}", call.input_tokens, call.output_tokens, call.cost()))?;
    if let Some(cause) = call.cause(all) {
        line("because", cause)?;
    }
    for (what, text) in [("executes", call.used()), ("beside", call.twins())] {
        if let Some(text) = text {
            line(what, text)?;
        }
    }
    if let Some(approval) = call.approval() {
        line("approved", format!("by {approval}"))?;
    }
    if let Some(offered) = call.offered() {
        line("offered", offered)?;
    }
    for chosen in call.chosen() {
        line("chose", chosen)?;
    }
    for attempt in call.failed_attempts() {
        line("tried", attempt)?;
    }
    if let Some(fault) = call.fault() {
        line("fault", fault)?;
    }
    for edit in call.edits() {
        line("changed", edit)?;
    }
    Ok(())
}

/// Where in the trace the call was.
fn bar(from: i64, to: i64, all: i64) -> String {
    let place = |us: i64| {
        let us = us.clamp(0, all.max(1));
        usize::try_from(us * WIDTH as i64 / all.max(1)).unwrap_or(0)
    };
    let (from, to) = (place(from).min(WIDTH - 1), place(to).min(WIDTH));
    (0..WIDTH).map(|at| if at >= from && at < to.max(from + 1) { '#' } else { '.' }).collect()
}

async fn raw(source: &Source, call: &Story) -> Result<()> {
    let captures: Vec<&Value> = call.captures();
    if captures.is_empty() {
        return Ok(say("    (capture was off: no content of this call was kept; `capture.bodies`)")?);
    }
    for capture in captures {
        for frame in frames::of(source, &call.instance, capture).await? {
            let way = frames::way(&frame, call);
            say(&format!("    +{}.{:06} s  {way}", frame.at_us / 1_000_000, frame.at_us % 1_000_000))?;
            say(&frames::text(&frame))?;
        }
        if let Some(left_out) = capture["left_out_bytes"].as_u64() {
            say(&format!("    ({left_out} bytes more passed and were not kept; `capture.call_bytes`)"))?;
        }
    }
    Ok(())
}
