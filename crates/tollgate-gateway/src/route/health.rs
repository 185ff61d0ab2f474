//! How a deployment has been doing: failures, rest, and how much of its limits this minute has used.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::config::snapshot::{Deployment, Routing};
use tollgate_core::fault::{Fault, FaultClass};

const MINUTE: Duration = Duration::from_mins(1);

/// How one deployment has been doing on this instance. It outlives reloads.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the failures that count began, and how many there were.
    failures: Option<(Instant, u32)>,
    resting_until: Option<Instant>,
    minute: Option<Instant>,
    requests: u64,
    tokens: u64,
}

impl Health {
    /// Until when the deployment rests, when it does.
    pub fn resting(&self, now: Instant) -> Option<Instant> {
        self.0.lock().resting_until.filter(|until| *until > now)
    }

    /// Takes a failure into account. Returns whether the deployment rests from now on.
    pub fn failed(&self, fault: &Fault, routing: &Routing, now: Instant) -> bool {
        if routing.cooldown.is_zero() || !counts(fault.class) {
            return false;
        }
        let mut state = self.0.lock();
        let (since, count) = match state.failures {
            Some((since, count)) if now.duration_since(since) < MINUTE => (since, count + 1),
            _ => (now, 1),
        };
        state.failures = Some((since, count));
        // An upstream that says when to come back is believed, within reason.
        let asked = fault
            .retry_after
            .filter(|_| fault.class == FaultClass::RateLimited)
            .map(|d| d.min(10 * routing.cooldown));
        let rest = if count > routing.allowed_fails {
            Some(routing.cooldown.max(asked.unwrap_or_default()))
        } else {
            asked
        };
        if let Some(rest) = rest {
            state.resting_until = Some(now + rest);
            state.failures = None;
        }
        rest.is_some()
    }

    /// Counts a request against the deployment's limits; `Err` is how long until there is room.
    pub fn take(&self, deployment: &Deployment, now: Instant) -> Result<(), Duration> {
        if deployment.rpm.is_none() && deployment.tpm.is_none() {
            return Ok(());
        }
        let mut state = self.0.lock();
        let begun = *state.minute.get_or_insert(now);
        if now.duration_since(begun) >= MINUTE {
            (state.minute, state.requests, state.tokens) = (Some(now), 0, 0);
        }
        let begun = state.minute.unwrap_or(now);
        let full = deployment.rpm.is_some_and(|rpm| state.requests >= rpm)
            || deployment.tpm.is_some_and(|tpm| state.tokens >= tpm);
        if full {
            return Err((begun + MINUTE).saturating_duration_since(now));
        }
        state.requests += 1;
        Ok(())
    }

    /// Counts tokens against the deployment's limits, once they are known.
    pub fn used(&self, tokens: u64) {
        let mut state = self.0.lock();
        state.tokens = state.tokens.saturating_add(tokens);
    }
}

/// Whether a fault says something about the deployment rather than about the request.
fn counts(class: FaultClass) -> bool {
    use FaultClass as C;
    matches!(
        class,
        C::RateLimited
            | C::UpstreamRefused
            | C::UpstreamFailed
            | C::Overloaded
            | C::Connect
            | C::Timeout
            | C::BadUpstream
            | C::Cut
    )
}
