//! What can be broken on request.

use std::time::Duration;

use super::prompt;
use crate::chat::Request;

/// A failure, as the line `simulate: …` of the last user message names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// `429`, `500`, any error status; `retry-after=SECONDS` may follow.
    Status {
        /// The status.
        status: u16,
        /// `retry-after`, in seconds.
        retry_after_s: Option<u64>,
    },
    /// `context overflow`: the prompt is said to be too long.
    ContextOverflow,
    /// `content policy`: the prompt is said to be against it.
    ContentPolicy,
    /// `hang`: no answer; of a stream, half of it and then nothing.
    Hang,
    /// `drip [MILLISECONDS]`: a pause before each token, a second if not said.
    Drip(Duration),
    /// `cut`: the connection breaks in the middle.
    Cut,
    /// `malformed`: something that is not JSON.
    Malformed,
}

impl Failure {
    pub(super) fn asked_for(request: &Request<'_>) -> Option<Self> {
        let prompt = prompt(request);
        let command = prompt.lines().find_map(|line| line.trim().strip_prefix("simulate:"))?;
        let mut words = command.split_whitespace();
        let first = words.next()?;
        let rest: Vec<&str> = words.collect();
        Some(match first {
            "hang" => Self::Hang,
            "cut" => Self::Cut,
            "malformed" => Self::Malformed,
            "drip" => {
                // Long pauses are `hang`'s business.
                let millis = rest.first().and_then(|n| n.trim_end_matches("ms").parse().ok()).unwrap_or(1000);
                Self::Drip(Duration::from_millis(millis).min(Duration::from_mins(1)))
            }
            "context" => Self::ContextOverflow,
            "content" => Self::ContentPolicy,
            status => Self::Status {
                status: status.parse().ok().filter(|s| (400..600).contains(s))?,
                retry_after_s: rest.iter().find_map(|w| w.strip_prefix("retry-after=")?.parse().ok()),
            },
        })
    }
}
