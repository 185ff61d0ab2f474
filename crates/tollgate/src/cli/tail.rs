//! `tollgate tail`: calls as they happen.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use http_body_util::BodyExt;
use serde_json::Value;
use tollgate_core::price::Cost;
use tollgate_journal::Follower;
use tollgate_llm::sse::SseReader;

use super::ask::Where;
use super::say;

/// The longest entry that is read.
const LONGEST: usize = 16 << 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only entries that hold this, such as model=gpt-4o, principal=master, fault=timeout, entry=event; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    filter: Vec<String>,
    /// Print entries as they are, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let mut wanted = Vec::new();
        for filter in &self.filter {
            let pair =
                filter.split_once('=').with_context(|| format!("--filter {filter}: write NAME=VALUE"))?;
            ensure!(
                FIELDS.iter().any(|(name, _)| *name == pair.0),
                "--filter {filter}: known are {}",
                names()
            );
            wanted.push(pair);
        }
        let shown = |line: &[u8]| -> Result<()> {
            let Ok(entry) = serde_json::from_slice::<Value>(line) else { return Ok(()) };
            if wanted.iter().all(|(name, value)| field(&entry, name) == Some(*value)) {
                if self.json {
                    say(&String::from_utf8_lossy(line))?;
                } else if let Some(words) = words(&entry) {
                    say(&words)?;
                }
            }
            Ok(())
        };
        match self.place.folder() {
            Some(folder) => follow(folder, shown).await,
            None => {
                let response = self.place.remote()?.answer("GET", "/api/v1/tail", &[], "").await?;
                let (mut body, mut reader) = (response.into_body(), SseReader::new(LONGEST));
                while let Some(frame) = body.frame().await {
                    if let Ok(data) = frame?.into_data() {
                        reader.push(&data);
                    }
                    while let Ok(Some(event)) = reader.next_event() {
                        shown(&event.data)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Follows the journals in a folder.
async fn follow(data_dir: &std::path::Path, shown: impl Fn(&[u8]) -> Result<()>) -> Result<()> {
    let chains = tollgate_journal::chains(data_dir)?;
    let mut followers: Vec<Follower> = chains.iter().map(|(_, folder)| Follower::new(folder, 0)).collect();
    // From now on: what is there already is read once.
    let mut now = false;
    loop {
        let mut found = false;
        for follower in &mut followers {
            for (_, line) in follower.read(LONGEST)?.entries {
                found = true;
                if now {
                    shown(&line)?;
                }
            }
        }
        now |= !found;
        if !found {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What can be filtered by, and where it stands.
const FIELDS: &[(&str, &[&str])] = &[
    ("entry", &["/entry"]),
    ("model", &["/model"]),
    ("deployment", &["/deployment"]),
    ("surface", &["/surface"]),
    ("principal", &["/principal/sub/id"]),
    ("outcome", &["/outcome"]),
    ("fault", &["/fault/class"]),
    ("call", &["/call_id"]),
    ("trace", &["/trace/trace_id"]),
    ("event", &["/event"]),
];

fn names() -> String {
    FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    let (_, places) = FIELDS.iter().find(|(known, _)| *known == name)?;
    places.iter().find_map(|place| entry.pointer(place)?.as_str())
}

/// An entry in one line.
fn words(entry: &Value) -> Option<String> {
    let text = |name: &str| field(entry, name).unwrap_or("-");
    let at: String = entry["at"].as_str()?.split_once('T')?.1.chars().take(12).collect();
    let at = at.trim_end_matches('Z');
    let call = entry["call_id"].as_str().unwrap_or_default();
    Some(match text("entry") {
        "opened" => {
            format!(
                "{at:<12}  opened         {call}  {} -> {}, {}",
                text("model"),
                text("deployment"),
                text("principal")
            )
        }
        "attempt" => format!("{at:<12}  another try    {call}  -> {}", text("deployment")),
        "closed" => {
            let ended = field(entry, "fault").unwrap_or(text("outcome"));
            let tokens = |name: &str| entry["usage"][name].as_u64().unwrap_or(0);
            let cost = match entry["cost_nano_usd"].as_u64() {
                Some(nano) => format!("{} USD", Cost::Known(nano)),
                None => entry["cost_nano_usd"]
                    .as_str()
                    .map_or("-".to_owned(), |unknown| format!("{unknown} cost")),
            };
            let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
            let ms = entry["duration_us"].as_u64().unwrap_or(0) / 1_000;
            format!(
                "{at:<12}  {ended:<13}  {call}  {}  {input}/{output} tokens  {cost}  {ms} ms",
                text("model")
            )
        }
        "event" => format!("{at:<12}  event          {} {}", text("event"), entry["detail"]),
        _ => return None,
    })
}
