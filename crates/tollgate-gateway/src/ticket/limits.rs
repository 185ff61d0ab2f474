//! How a call's caller stands with its limits, as response headers: in the names that OpenAI uses and SDKs read.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tollgate_core::ledger::{Measure, Rule, Standing};

use super::Ticket;

/// The headers of a kind of limit: what it allows, what is left, and when it begins anew.
type Names = [&'static str; 3];

/// Each kind, and what limits of it measure.
const KINDS: [(Names, &[Measure]); 2] = [
    (
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        &[Measure::Requests],
    ),
    (
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        &[Measure::Tokens, Measure::InputTokens, Measure::OutputTokens],
    ),
];

impl Ticket {
    /// Says how it stands with the tightest limit of requests and that of tokens, where there are any. An upstream's
    /// own, which are about the gate's account and not the caller's, give way.
    pub(crate) fn tell_limits(&self, headers: &mut HeaderMap) {
        let limited = self.hold.each().iter().any(|held| matches!(held.meter.rule, Rule::Limit(_)));
        if !limited {
            return;
        }
        let now = self.gate.parts.clock.now();
        let mut tightest = [None::<Standing>; KINDS.len()];
        self.gate.parts.access.tell_standings(&self.hold, now, &mut |meter, standing| {
            let Rule::Limit(limit) = &meter.rule else { return };
            let kind = KINDS.iter().position(|(_, measures)| measures.contains(&limit.measure));
            let Some(known) = kind.and_then(|kind| tightest.get_mut(kind)) else { return };
            if known.is_none_or(|known| standing.left() < known.left()) {
                *known = Some(standing);
            }
        });
        for ((names, _), tightest) in KINDS.iter().zip(&tightest) {
            if let Some(tightest) = tightest {
                tell(headers, *names, tightest, now);
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
