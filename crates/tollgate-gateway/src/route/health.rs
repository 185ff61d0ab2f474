//! How a deployment has been doing: failures, rest, how soon it answers, how busy it is, and how much of its limits
//! this minute has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::config::snapshot::{Deployment, ModelRules};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::secret::Secret;

const MINUTE: Duration = Duration::from_mins(1);

/// Shares and averages of fewer calls say nothing.
const ENOUGH_CALLS: u32 = 10;

/// How one deployment has been doing on this instance. It outlives reloads.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
    /// Calls in flight.
    busy: AtomicU64,
    /// Tokens and keys that were fetched for it, the last few: upstreams echo what they were sent.
    fetched: Mutex<Vec<Secret>>,
}

#[derive(Debug, Default)]
struct State {
    /// When the failures that count began, and how many there were.
    failures: Option<(Instant, u32)>,
    resting_until: Option<Instant>,
    minute: Option<Instant>,
    /// Of this minute.
    requests: u64,
    tokens: u64,
    answered: u32,
    failed: u32,
    /// How soon it has begun to answer, recent calls counting most, and when that was last measured.
    first_byte: Option<(Duration, Instant)>,
}

/// A call in flight, for as long as it is held.
#[derive(Debug)]
pub struct Busy(Arc<Health>);

impl Busy {
    /// One more.
    pub fn new(health: &Arc<Health>) -> Self {
        health.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(health))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// Begins a new minute where the last one is over.
    fn turn(&mut self, now: Instant) -> Instant {
        let begun = *self.minute.get_or_insert(now);
        if now.duration_since(begun) < MINUTE {
            return begun;
        }
        (self.minute, self.requests, self.tokens, self.answered, self.failed) = (Some(now), 0, 0, 0, 0);
        now
    }

    fn rest(&mut self, until: Instant) {
        self.resting_until = Some(until);
        self.failures = None;
        (self.answered, self.failed, self.first_byte) = (0, 0, None);
    }
}

impl Health {
    /// Until when the deployment rests, when it does.
    pub fn resting(&self, now: Instant) -> Option<Instant> {
        self.state.lock().resting_until.filter(|until| *until > now)
    }

    /// Remembers credentials that were fetched for the deployment.
    pub fn remember<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) {
        const MOST: usize = 8;
        let mut fetched = self.fetched.lock();
        for secret in secrets {
            if !fetched.contains(secret) {
                if fetched.len() >= MOST {
                    fetched.remove(0);
                }
                fetched.push(secret.clone());
            }
        }
    }

    /// Credentials that were fetched for the deployment of late.
    pub fn fetched(&self) -> Vec<Secret> {
        self.fetched.lock().clone()
    }

    /// Calls in flight.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Tokens of this minute.
    pub fn tokens(&self, now: Instant) -> u64 {
        let mut state = self.state.lock();
        state.turn(now);
        state.tokens
    }

    /// How soon it has begun to answer of late; `None` when nobody has measured that within the last minute, so
    /// that a deployment that was slow once gets another chance.
    pub fn first_byte(&self, now: Instant) -> Option<Duration> {
        let (average, at) = self.state.lock().first_byte?;
        (now.duration_since(at) < MINUTE).then_some(average)
    }

    /// Takes an answer into account that began after `first_byte`. Returns whether the deployment rests from now on.
    pub fn answered(&self, first_byte: Duration, rules: &ModelRules, now: Instant) -> bool {
        let mut state = self.state.lock();
        state.turn(now);
        state.answered += 1;
        // Each new measurement counts for a fifth.
        let average = state.first_byte.map_or(first_byte, |(average, _)| (average * 4 + first_byte) / 5);
        state.first_byte = Some((average, now));
        let slow = rules.slow.is_some_and(|limit| average > limit) && state.answered >= ENOUGH_CALLS;
        if slow && !rules.cooldown.is_zero() {
            state.rest(now + rules.cooldown);
            return true;
        }
        false
    }

    /// Takes a failure into account. Returns whether the deployment rests from now on.
    pub fn failed(&self, fault: &Fault, rules: &ModelRules, now: Instant) -> bool {
        if rules.cooldown.is_zero() || !counts(fault.class) {
            return false;
        }
        let mut state = self.state.lock();
        state.turn(now);
        state.failed += 1;
        let (since, count) = match state.failures {
            Some((since, count)) if now.duration_since(since) < MINUTE => (since, count + 1),
            _ => (now, 1),
        };
        state.failures = Some((since, count));
        let calls = state.answered + state.failed;
        let share = u64::from(state.failed) * 100;
        let mostly_fails = rules
            .error_percent
            .is_some_and(|percent| calls >= ENOUGH_CALLS && share > u64::from(percent) * u64::from(calls));
        // An upstream that says when to come back is believed, within reason.
        let asked = fault
            .retry_after
            .filter(|_| fault.class == FaultClass::RateLimited)
            .map(|d| d.min(10 * rules.cooldown));
        let rest = if count > rules.allowed_fails || mostly_fails {
            Some(rules.cooldown.max(asked.unwrap_or_default()))
        } else {
            asked
        };
        if let Some(rest) = rest {
            state.rest(now + rest);
        }
        rest.is_some()
    }

    /// Counts a request against the deployment's limits; `Err` is how long until there is room.
    pub fn take(&self, deployment: &Deployment, now: Instant) -> Result<(), Duration> {
        if deployment.rpm.is_none() && deployment.tpm.is_none() {
            return Ok(());
        }
        let mut state = self.state.lock();
        let begun = state.turn(now);
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
        let mut state = self.state.lock();
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

#[cfg(test)]
mod tests {
    use tollgate_core::config::file::Strategy;

    use super::*;

    fn rules() -> ModelRules {
        ModelRules {
            strategy: Strategy::Weighted,
            allowed_fails: 100,
            cooldown: Duration::from_secs(30),
            error_percent: Some(50),
            slow: Some(Duration::from_millis(100)),
            hedge: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deployment_that_mostly_fails_rests() {
        let (health, now) = (Health::default(), Instant::now());
        let fault = Fault::new(FaultClass::UpstreamFailed, "x");
        for _ in 0..5 {
            assert!(!health.answered(Duration::ZERO, &rules(), now));
        }
        let rested: Vec<bool> = (0..6).map(|_| health.failed(&fault, &rules(), now)).collect();
        assert_eq!(rested, [false, false, false, false, false, true], "six of eleven");
        assert!(health.resting(now).is_some());
        assert!(!health.failed(&fault, &rules(), now + Duration::from_secs(31)), "and begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deployment_that_is_slow_rests_and_gets_another_chance() {
        let (health, now) = (Health::default(), Instant::now());
        let slow = Duration::from_millis(200);
        let rested: Vec<bool> = (0..10).map(|_| health.answered(slow, &rules(), now)).collect();
        assert!(rested[9] && !rested[..9].contains(&true));
        assert_eq!(health.first_byte(now), None, "measured anew after its rest");
        health.answered(slow, &rules(), now);
        assert_eq!(health.first_byte(now), Some(slow));
        assert_eq!(health.first_byte(now + MINUTE), None);
    }

    #[test]
    fn calls_in_flight_are_counted_while_they_are() {
        let health = Arc::new(Health::default());
        let (one, two) = (Busy::new(&health), Busy::new(&health));
        assert_eq!(health.busy(), 2);
        drop((one, two));
        assert_eq!(health.busy(), 0);
    }
}
