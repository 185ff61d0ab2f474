//! What was kept of a call's content, for a person.

use anyhow::Result;
use serde_json::Value;
use tollgate_core::record::{Direction, Frame};

use super::ask::Source;
use super::story::Story;

/// The frames of one `capture`: in the entry, or in a side file.
pub(super) async fn of(source: &Source, instance: &str, capture: &Value) -> Result<Vec<Frame>> {
    match capture["file"].as_str() {
        Some(name) => source.aside(instance, name).await,
        None => Ok(serde_json::from_value(capture["frames"].clone())?),
    }
}

/// From whom to whom.
pub(super) fn way(frame: &Frame, call: &Story) -> String {
    let upstream = || {
        let attempt = frame.attempt.unwrap_or(1);
        let deployment = call.deployment_of(attempt);
        if attempt > 1 { format!("{deployment} (attempt {attempt})") } else { deployment }
    };
    match frame.direction {
        Direction::FromClient => "client -> gate".to_owned(),
        Direction::ToUpstream => format!("gate -> {}", upstream()),
        Direction::FromUpstream => format!("{} -> gate", upstream()),
        Direction::ToClient => "gate -> client".to_owned(),
    }
}

/// What passed, with every line set in.
pub(super) fn text(frame: &Frame) -> String {
    let text = match (&frame.text, &frame.base64) {
        (Some(text), _) => text.clone(),
        (None, Some(base64)) => format!("(base64) {base64}"),
        (None, None) => "(not kept: it is no text)".to_owned(),
    };
    let lines = text.lines().map(|line| format!("      {line}"));
    lines.collect::<Vec<_>>().join("\n")
}
