//! What to try next. The decisions of phase 7, without its input and output.
//!
//! Within a model: each deployment in its order, then around again with a pause, as often as `retries` says.
//! Then the models that configuration names for this kind of failure, each in the same way.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::config::snapshot::Found;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::{Considered, RouteEntry};
use tollgate_core::usage::Usage;

use super::{By, Candidate, Next, Route, Tries, explain, in_order, unavailable};
use crate::gate::{Gate, Runtime};

/// The deployments that are still to be tried for a call to a model.
pub struct ModelTries {
    gate: Arc<Gate>,
    runtime: Arc<Runtime>,
    route: Route,
    /// The candidates of the model that is being tried.
    group: Vec<Candidate>,
    /// Which of them is next; past the end, it goes around.
    at: usize,
    /// Attempts at this model so far.
    here: u32,
    /// Pauses at this model so far: each is twice as long as the one before.
    pauses: u32,
    /// Deployments of this model that must not be tried again in this call.
    ruled_out: Vec<Arc<str>>,
    /// Deployments of this model that were tried.
    tried: Vec<Arc<str>>,
    /// The one that was tried last.
    last: Option<Arc<str>>,
    /// When a deployment that asked for patience may be tried again.
    not_before: BTreeMap<Arc<str>, Instant>,
    /// Further models, once a failure has chosen the list.
    fallbacks: Option<VecDeque<Found>>,
    /// Attempts of the call so far.
    total: u32,
    /// What the call is likely to use.
    usage: Usage,
    /// Why the model that was asked for is tried in this order.
    decision: Option<RouteEntry>,
}

impl std::fmt::Debug for ModelTries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelTries").field("total", &self.total).finish_non_exhaustive()
    }
}

impl Tries for ModelTries {
    type Candidate = Candidate;

    fn first(&mut self, now: Instant) -> Result<Candidate, Fault> {
        let asked = self.route.first.clone();
        self.enter(&asked, now);
        if let Some(instead) = self.instead_of_resting(&asked, now) {
            return Ok(instead);
        }
        let fault = if self.group.is_empty() {
            unavailable(&asked.model.name, &asked.model.deployments)
        } else {
            match self.pick(now) {
                Ok((candidate, _)) => return Ok(candidate),
                Err(wait) => full(&asked.model.name, wait),
            }
        };
        self.next_model(&fault, now).ok_or(fault)
    }

    fn next(&mut self, fault: &Fault, now: Instant) -> Next<Candidate> {
        if self.total >= self.runtime.snapshot.limits.attempts || is_final(fault.class) {
            return Next::Stop;
        }
        if let Some(next) = self.same_model(fault, now) {
            return next;
        }
        match self.next_model(fault, now) {
            Some(candidate) => Next::Try(Duration::ZERO, candidate),
            None => Next::Stop,
        }
    }

    fn beside(&mut self, now: Instant) -> Option<Candidate> {
        let fresh = |candidate: &Candidate| {
            let id = &candidate.deployment.id;
            !self.tried.contains(id)
                && !self.ruled_out.contains(id)
                && candidate.health.resting(now).is_none()
        };
        if self.total >= self.runtime.snapshot.limits.attempts || !self.group.iter().any(fresh) {
            return None;
        }
        let under_way = self.last.clone();
        let picked = self.pick(now).ok().filter(|(candidate, pause)| {
            pause.is_zero() && Some(&candidate.deployment.id) != under_way.as_ref()
        });
        picked.map(|(candidate, _)| candidate)
    }

    fn failed_beside(&mut self, deployment: Arc<str>, fault: &Fault) {
        if !fault.retryable() {
            self.ruled_out.push(deployment);
        }
    }

    fn decision(&mut self) -> Option<RouteEntry> {
        self.decision.take()
    }
}

impl ModelTries {
    /// Everything that `route` allows, for a call that is likely to use `usage`.
    pub fn new(gate: &Arc<Gate>, runtime: &Arc<Runtime>, route: Route, usage: Usage) -> Self {
        Self {
            gate: Arc::clone(gate),
            runtime: Arc::clone(runtime),
            route,
            group: Vec::new(),
            at: 0,
            here: 0,
            pauses: 0,
            ruled_out: Vec::new(),
            tried: Vec::new(),
            last: None,
            not_before: BTreeMap::new(),
            fallbacks: None,
            total: 0,
            usage,
            decision: None,
        }
    }

    /// A fallback that does not rest, when all of the model that was asked for does. The model itself is tried
    /// after the others.
    fn instead_of_resting(&mut self, asked: &Found, now: Instant) -> Option<Candidate> {
        let rests = |candidate: &Candidate| candidate.health.resting(now).is_some();
        if self.group.is_empty() || !self.group.iter().all(rests) {
            return None;
        }
        let mut others: VecDeque<Found> = self.route.fallbacks(FaultClass::UpstreamFailed).to_vec().into();
        while let Some(found) = others.pop_front() {
            if self.runtime.candidates(&found, &*self.gate.parts.catalog).iter().all(rests) {
                continue;
            }
            self.enter(&found, now);
            if let Ok((candidate, _)) = self.pick(now) {
                others.push_back(asked.clone());
                self.fallbacks = Some(others);
                return Some(candidate);
            }
        }
        self.enter(asked, now);
        None
    }

    fn enter(&mut self, found: &Found, now: Instant) {
        let candidates = self.runtime.candidates(found, &*self.gate.parts.catalog);
        let rules = self.runtime.snapshot.routing.rules_of(&found.model.name);
        let by = By { strategy: rules.strategy, usage: self.usage };
        self.group = in_order(candidates, &by, &self.gate.parts.dice, now);
        if self.decision.is_none() && found.model.deployments.len() > 1 {
            self.decision = Some(decision(found, &self.group, &by, now));
        }
        self.at = 0;
        self.here = 0;
        self.pauses = 0;
        self.ruled_out.clear();
        self.tried.clear();
    }

    /// Another attempt at the model that just failed.
    fn same_model(&mut self, fault: &Fault, now: Instant) -> Option<Next<Candidate>> {
        if matches!(fault.class, FaultClass::ContextWindow | FaultClass::ContentPolicy) {
            return None;
        }
        let last = Arc::clone(self.last.as_ref()?);
        if !fault.retryable() {
            self.ruled_out.push(Arc::clone(&last));
        }
        if let Some(wait) = fault.retry_after {
            self.not_before.insert(last, now + wait);
        }
        // What this deployment cannot do another may, and finding out costs no retry.
        let spends = fault.class != FaultClass::Unsupported;
        if spends && self.here > self.runtime.snapshot.routing.retries {
            return None;
        }
        let (candidate, pause) = self.pick(now).ok()?;
        Some(Next::Try(pause, candidate))
    }

    /// How long to wait before `id` is tried again; `None` when that is longer than is waited for.
    fn pause_before(&mut self, id: &Arc<str>, now: Instant) -> Option<Duration> {
        let routing = &self.runtime.snapshot.routing;
        let asked = self.not_before.get(id).map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        if !self.tried.contains(id) || !asked.is_zero() {
            return (asked <= routing.backoff_max).then_some(asked);
        }
        let most = routing.backoff.saturating_mul(1 << self.pauses.min(16)).min(routing.backoff_max);
        self.pauses += 1;
        // Between half and all of it, so that clients that failed together do not come back together.
        let jitter = self.gate.parts.dice.below(u64::try_from(most.as_millis() / 2).unwrap_or(0) + 1);
        Some(most / 2 + Duration::from_millis(jitter))
    }

    /// The next candidate of the group that may be tried and has room, and the pause before it; `Err` is how long
    /// until one has room.
    fn pick(&mut self, now: Instant) -> Result<(Candidate, Duration), Duration> {
        let mut soonest = Duration::MAX;
        for _ in 0..self.group.len() {
            let candidate = self.group[self.at % self.group.len()].clone();
            let id = &candidate.deployment.id;
            self.at += 1;
            if self.ruled_out.contains(id) {
                continue;
            }
            let Some(pause) = self.pause_before(id, now) else { continue };
            match candidate.health.take(&candidate.deployment, now) {
                Ok(()) => {
                    self.here += 1;
                    self.total += 1;
                    self.last = Some(Arc::clone(id));
                    self.tried.push(Arc::clone(id));
                    return Ok((candidate, pause));
                }
                Err(wait) => soonest = soonest.min(wait),
            }
        }
        Err(soonest)
    }

    /// The first candidate of the next model to fall back to.
    fn next_model(&mut self, fault: &Fault, now: Instant) -> Option<Candidate> {
        if self.fallbacks.is_none() {
            self.fallbacks = Some(self.route.fallbacks(fault.class).to_vec().into());
        }
        while let Some(found) = self.fallbacks.as_mut().and_then(VecDeque::pop_front) {
            self.enter(&found, now);
            if let Ok((candidate, _)) = self.pick(now) {
                return Some(candidate);
            }
        }
        None
    }
}

fn decision(found: &Found, ordered: &[Candidate], by: &By, now: Instant) -> RouteEntry {
    let out = found.model.deployments.iter().filter_map(|deployment| {
        let because = format!("out of service: {}", deployment.unavailable.as_ref()?);
        Some(Considered { deployment: Arc::clone(&deployment.id), because })
    });
    RouteEntry { strategy: by.strategy, considered: explain(ordered, by, now), left_out: out.collect() }
}

/// Faults that no other upstream can mend.
fn is_final(class: FaultClass) -> bool {
    use FaultClass as C;
    matches!(
        class,
        C::Invalid | C::TooLarge | C::ClientGone | C::Unrecordable | C::Internal | C::Loop | C::Forbidden
    )
}

fn full(model: &str, wait: Duration) -> Fault {
    let message =
        format!("every deployment of `{model}` is at its limit of requests or tokens per minute (rpm, tpm)");
    Fault { retry_after: Some(wait), ..Fault::new(FaultClass::AtLimit, message) }
}
