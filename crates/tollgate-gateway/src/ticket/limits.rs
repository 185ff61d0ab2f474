//! How a call's caller stands with its limits, as response headers: in the names that OpenAI uses and SDKs read.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tollgate_core::ledger::{Measure, Rule, Standing};

use super::Ticket;

/// The headers of a kind of limit: what it allows, what is left, and when it begins anew.
type Names = [&'static str; 3];

const REQUESTS: Names =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const TOKENS: Names =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

impl Ticket {
    /// Says how it stands with the tightest limit of requests and that of tokens, where there are any. An upstream's
    /// own, which are about the gate's account and not the caller's, give way.
    pub(crate) fn tell_limits(&self, headers: &mut HeaderMap) {
        let limited = self.hold.each().iter().any(|held| matches!(held.meter.rule, Rule::Limit(_)));
        if !limited {
            return;
        }
        let now = self.gate.parts.clock.now();
        let standings = self.gate.parts.access.standings(&self.hold, now);
        for (names, measured) in [
            (REQUESTS, &[Measure::Requests][..]),
            (TOKENS, &[Measure::Tokens, Measure::InputTokens, Measure::OutputTokens][..]),
        ] {
            let of_kind = standings.iter().filter_map(|(meter, standing)| match &meter.rule {
                Rule::Limit(limit) if measured.contains(&limit.measure) => Some(standing),
                _ => None,
            });
            if let Some(tightest) = of_kind.min_by_key(|standing| standing.left()) {
                tell(headers, names, tightest, now);
            }
        }
    }
}

fn tell(headers: &mut HeaderMap, [limit, left, reset]: Names, standing: &Standing, now: Timestamp) {
    headers.insert(HeaderName::from_static(limit), HeaderValue::from(standing.ceiling));
    headers.insert(HeaderName::from_static(left), HeaderValue::from(standing.left()));
    // Rounded up: earlier would be too early.
    let wait = |end: Timestamp| (end.duration_since(now).as_millis().max(0) + 999) / 1_000;
    let seconds = standing.window.end.map_or(0, wait);
    if let Ok(value) = HeaderValue::from_str(&format!("{seconds}s")) {
        headers.insert(HeaderName::from_static(reset), value);
    }
}
