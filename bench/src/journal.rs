//! `bench journal`: what the journal adds to a call, how fast the index takes it in, how fast it answers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tollgate_core::call::CallId;
use tollgate_core::config::recording::Sync;
use tollgate_core::digest::DigestKey;
use tollgate_core::effect::Effect;
use tollgate_core::fault::{FaultClass, SideEffect};
use tollgate_core::ports::Journal;
use tollgate_core::price::Cost;
use tollgate_core::principal::{ActorKind, Principal};
use tollgate_core::query::CallFilter;
use tollgate_core::record::{
    AttemptEntry, Closed, Counts, Entry, FaultEntry, Opened, Outcome, Reservation, Trace,
};
use tollgate_core::usage::Usage;
use tollgate_store::{Index, Loader};

use crate::compare::{self, eprint};
use crate::gate;
use crate::load;
use crate::process::now;

/// Measures, and returns a chapter for the results. `calls` are indexed.
pub(crate) fn run(seconds: u32, calls: usize) -> Result<String> {
    let mut text = String::from("\n## The journal\n\n");
    text.push_str(&added(seconds)?);
    text.push_str(&index(calls)?);
    Ok(text)
}

/// What the journal adds to a call.
fn added(seconds: u32) -> Result<String> {
    let mut text = String::from(
        "The same gate with a journal and without one (`none`), nothing else different; no index. CPU of the process, µs a\ncall, median of five rounds that alternate. Two entries a call.\n\n| body | connections | none | `interval` | adds | `every` | adds | calls/s with `every` |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for point in compare::run(&["none", "interval", "every"], seconds)? {
        let [none, interval, every] = [point.cpu[0], point.cpu[1], point.cpu[2]];
        text.push_str(&format!(
            "| {} | {} | {none:.1} | {interval:.1} | {:.1} | {every:.1} | {:.1} | {:.0} |\n",
            point.body,
            point.connections,
            interval - none,
            every - none,
            point.rates[2],
        ));
    }
    Ok(text)
}

/// How fast the index takes in a journal that was written beforehand, and how fast it answers.
fn index(calls: usize) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let begun = now();
    write(folder.path(), calls)?;
    let written = begun.elapsed();
    eprint(&format!("{calls} calls written in {written:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let index = tollgate_store::open(None, folder.path()).await?;
        let before = own_rss()?;
        let begun = now();
        let mut loader = Loader::new(Arc::clone(&index), "bench", &folder.path().join("journal/bench")).await?;
        let mut most = before;
        while loader.step().await? > 0 {
            most = most.max(own_rss()?);
        }
        let took = begun.elapsed();
        let rate = load::to_f64(calls as u64) / took.as_secs_f64();
        eprint(&format!("loaded in {took:?}: {rate:.0} calls/s"));
        let mut text = format!(
            "\nThe index in SQLite, over {calls} calls whose journal was written beforehand: **{rate:.0} calls/s**, with {:.0} MB of\nmemory more than before.\n\n| question (the latest 50 of {calls}) | median of 20 | slowest |\n|---|---:|---:|\n",
            load::to_f64(most.saturating_sub(before)) / 1e6,
        );
        for (name, filter) in questions() {
            let (median, slowest) = asked(&index, &filter).await?;
            text.push_str(&format!("| {name} | {} | {} |\n", millis(median), millis(slowest)));
        }
        Ok(text)
    })
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

fn questions() -> Vec<(&'static str, CallFilter)> {
    let text = |text: &str| Some(text.to_owned());
    let since = Some(Timestamp::now() - Duration::from_secs(86_400));
    vec![
        ("all, since a day", CallFilter { since, ..CallFilter::default() }),
        ("of a key", CallFilter { key: text("key-7"), ..CallFilter::default() }),
        (
            "of a key, with a fault",
            CallFilter { key: text("key-7"), fault: text("any"), ..CallFilter::default() },
        ),
        ("to a model", CallFilter { model: text("model-3"), ..CallFilter::default() }),
        ("with a fault that is rare", CallFilter { fault: text("timeout"), ..CallFilter::default() }),
        ("that failed", CallFilter { outcome: text("failed"), ..CallFilter::default() }),
        ("of a key that has none", CallFilter { key: text("nobody"), ..CallFilter::default() }),
    ]
}

async fn asked(index: &Arc<dyn Index>, filter: &CallFilter) -> Result<(Duration, Duration)> {
    let mut took = Vec::new();
    for _ in 0..20 {
        let begun = now();
        index.calls(filter.clone()).await?;
        took.push(begun.elapsed());
    }
    took.sort();
    Ok((took[took.len() / 2], took[took.len() - 1]))
}

fn own_rss() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("VmRSS")?.parse::<u64>()? * 1024)
}

/// Writes a journal of `calls` of fifty keys to ten models, of which one in twenty fails.
fn write(folder: &Path, calls: usize) -> Result<()> {
    let journal = gate::journal(folder, Sync::Off)?;
    let key = DigestKey::derive(b"bench");
    let usage = Usage { input_tokens: 900, output_tokens: 120, ..Usage::default() };
    for number in 0..calls {
        let call_id = CallId::new();
        let principal = Principal::direct(ActorKind::Master, format!("key-{}", number % 50));
        let model = format!("model-{}", number % 10);
        let fault = (number % 20 == 0).then_some(if number % 2_000 == 0 {
            FaultClass::Timeout
        } else {
            FaultClass::RateLimited
        });
        let trace =
            Trace { trace_id: call_id.trace(), span_id: call_id.span(0), parent_span_id: None, cause: None };
        let digest = key.digest(&number.to_le_bytes());
        journal.append(&Entry::Opened(&Opened {
            at: Timestamp::now(),
            call_id,
            trace: &trace,
            principal: &principal,
            peer: None,
            surface: "openai_chat",
            model: Some(&model),
            deployment: "openai/gpt-4o",
            stream: false,
            effect: Effect::Read,
            reservation: Reservation { usage, cost: Cost::Known(3_450_000) },
            held: &Counts::default(),
            request_bytes: 3_600,
            request_digest: digest,
            tool: None,
            tools: None,
            results: &[],
            headers: &[],
            end_user: None,
            tags: &[],
            capture: None,
        }))?;
        let attempt = AttemptEntry {
            deployment: Arc::from("openai/gpt-4o"),
            status: Some(200),
            fault,
            upstream_request_id: Some(format!("req_{number:024}")),
            started_us: 60,
            waited_us: 800_000,
            usage: Some(usage),
            cost: Some(Cost::Known(3_450_000)),
        };
        journal.append(&Entry::Closed(&Closed {
            at: Timestamp::now(),
            call_id,
            trace: &trace,
            principal: &principal,
            peer: None,
            surface: "openai_chat",
            model: Some(&model),
            deployment: Some("openai/gpt-4o"),
            tool: None,
            outcome: if fault.is_some() { Outcome::Failed } else { Outcome::Ok },
            status: 200,
            fault: fault.map(|class| FaultEntry {
                class,
                blame: class.blame(),
                retryable: class.retryable(),
                side_effect: SideEffect::None,
                message: "openai/gpt-4o: it failed",
            }),
            attempts: &[attempt],
            route: None,
            usage: Some(usage),
            cost: Some(Cost::Known(3_450_000)),
            counted: &Counts::default(),
            chosen: &[],
            edits: &[],
            end_user: None,
            tags: &[],
            duration_us: 812_345,
            first_byte_us: Some(812_000),
            response_bytes: 900,
            response_digest: Some(digest),
            capture: None,
        }))?;
    }
    Ok(())
}
