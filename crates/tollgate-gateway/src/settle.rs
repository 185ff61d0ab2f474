//! The ticket of a call: what is learnt on its way, and phase 9, which happens once on every exit.
//!
//! Whoever holds the ticket closes it. If nobody does, because the client went away or a task was dropped,
//! dropping it does.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::config::snapshot::{Deployment, ModelRules};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::ports::JournalError;
use tollgate_core::price::Cost;
use tollgate_core::principal::Principal;
use tollgate_core::record::{Attempt, AttemptEntry, Closed, Entry, FaultEntry, Opened, Outcome, RouteEntry};
use tollgate_core::usage::{Usage, estimate_tokens};
use tollgate_llm::formats::Shown;

use crate::charges::Charges;
use crate::gate::{Gate, Runtime};
use crate::leg::{Leg, Notes};
use crate::metrics::{AttemptLabels, CallLabels, DeploymentLabels};
use crate::route::{Busy, Candidate};

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the first.
    First,
    /// The one before failed so.
    After(FaultClass),
    /// The one before has not begun to answer, and goes on.
    Beside,
}

/// An attempt that was begun.
struct Attempting {
    entry: AttemptEntry,
    candidate: Candidate,
    /// Held while it is in flight.
    busy: Option<Busy>,
    notes: Arc<Mutex<Notes>>,
    charged: bool,
}

/// What is learnt about a call on its way.
pub struct Ticket {
    gate: Arc<Gate>,
    /// The configuration that the call began with.
    pub runtime: Arc<Runtime>,
    /// The call.
    pub call_id: CallId,
    /// When it came.
    pub arrived: Instant,
    principal: Principal,
    surface: &'static str,
    model: Option<Arc<str>>,
    /// The model's name for counters: only configured ones.
    metric_model: Option<Arc<str>>,
    stream: bool,
    request_bytes: u64,
    prompt_bytes: u64,
    attempts: Vec<Attempting>,
    /// The attempt that counts: the last one, or of two that were under way the one that answered.
    current: usize,
    route: Option<RouteEntry>,
    /// Time spent waiting for upstreams.
    waited: Duration,
    charges: Charges,
    /// Whether the operation is one that providers bill.
    billed: bool,
    opened: bool,
    closed: bool,
    first_byte: Option<Duration>,
    response_bytes: u64,
    status: u16,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("call_id", &self.call_id).finish_non_exhaustive()
    }
}

impl Ticket {
    /// A ticket for a call that has just been identified.
    pub fn new(
        gate: &Arc<Gate>,
        runtime: Arc<Runtime>,
        surface: &'static str,
        principal: Principal,
        arrived: Instant,
    ) -> Self {
        gate.call_began();
        Self {
            gate: Arc::clone(gate),
            runtime,
            call_id: CallId::new(),
            arrived,
            principal,
            surface,
            model: None,
            metric_model: None,
            stream: false,
            request_bytes: 0,
            prompt_bytes: 0,
            attempts: Vec::new(),
            current: 0,
            route: None,
            waited: Duration::ZERO,
            charges: Charges::default(),
            billed: true,
            opened: false,
            closed: false,
            first_byte: None,
            response_bytes: 0,
            status: 0,
        }
    }

    /// Notes what was read of the request. `prompt_bytes` is what counts when nobody reports the usage.
    pub fn parsed(&mut self, model: &str, stream: bool, request_bytes: usize, prompt_bytes: u64) {
        self.model = Some(Arc::from(model));
        self.stream = stream;
        self.request_bytes = request_bytes as u64;
        self.prompt_bytes = prompt_bytes;
    }

    /// Notes that providers do not bill the operation.
    pub fn free(&mut self) {
        self.billed = false;
    }

    /// Notes that the model is one that is configured.
    pub fn known_model(&mut self, configured: &Arc<str>) {
        self.metric_model = Some(Arc::clone(configured));
    }

    /// Notes why deployments are tried in the order in which they are.
    pub fn decided(&mut self, route: Option<RouteEntry>) {
        self.route = route;
    }

    /// Phase 6, its end: the entry without which nothing may be sent. From the second attempt on, the entry for that.
    pub fn begin(&mut self, candidate: &Candidate, why: Why) -> Result<Leg, Fault> {
        self.record_attempt(candidate, why).map_err(|error| {
            Fault::new(FaultClass::Unrecordable, format!("the call cannot be recorded: {error}"))
        })?;
        self.opened = true;
        let notes = Arc::<Mutex<Notes>>::default();
        self.attempts.push(Attempting {
            entry: AttemptEntry {
                deployment: Arc::clone(&candidate.deployment.id),
                status: None,
                fault: None,
                upstream_request_id: None,
                started_us: micros(self.arrived.elapsed()),
                waited_us: 0,
            },
            candidate: candidate.clone(),
            busy: Some(Busy::new(&candidate.health)),
            notes: Arc::clone(&notes),
            charged: false,
        });
        let number = self.attempts.len() - 1;
        if why != Why::Beside {
            self.current = number;
        }
        let call = (self.call_id, self.arrived, self.prompt_only());
        Ok(Leg::new(&self.gate, &self.runtime, call, number, candidate.clone(), notes))
    }

    fn record_attempt(&self, candidate: &Candidate, why: Why) -> Result<(), JournalError> {
        let (at, call_id) = (self.gate.parts.clock.now(), self.call_id);
        let deployment = &candidate.deployment.id;
        if !self.opened {
            return self.gate.record(&Entry::Opened(&Opened {
                at,
                call_id,
                principal: &self.principal,
                surface: self.surface,
                model: self.model.as_deref().unwrap_or_default(),
                deployment,
                stream: self.stream,
                request_bytes: self.request_bytes,
            }));
        }
        let number = u32::try_from(self.attempts.len() + 1).unwrap_or(u32::MAX);
        let after = if let Why::After(class) = why { Some(class) } else { None };
        let hedge = why == Why::Beside;
        self.gate.record(&Entry::Attempt(&Attempt { at, call_id, number, deployment, after, hedge }))
    }

    /// When to ask another deployment beside the one that is under way; `None` when never.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.rules().hedge
    }

    /// The deployment of attempt `number`.
    pub fn deployment_of(&self, number: usize) -> Arc<str> {
        self.attempts
            .get(number)
            .map_or_else(|| Arc::from(""), |attempt| Arc::clone(&attempt.entry.deployment))
    }

    /// Notes time spent waiting for upstreams.
    pub fn waited(&mut self, waited: Duration) {
        self.waited += waited;
    }

    /// Attempt `number` has come to an end after `waited`, and is the one that counts.
    pub fn chose(&mut self, number: usize, waited: Duration) {
        self.current = number;
        if let Some(attempt) = self.attempts.get_mut(number) {
            attempt.entry.waited_us = micros(waited);
        }
    }

    /// Attempt `number` has answered: whoever is still under way was asked for nothing, and may be billed.
    pub fn supersede_all_but(&mut self, number: usize) {
        for other in 0..self.attempts.len() {
            let under_way = other != number && self.attempts[other].entry.fault.is_none();
            if under_way {
                self.current = other;
                let billed = self.attempts[other].notes.lock().sent.then(|| self.prompt_only());
                let waited = self.arrived.elapsed();
                self.attempts[other].entry.waited_us =
                    micros(waited).saturating_sub(self.attempts[other].entry.started_us);
                self.attempt_failed(
                    &Fault::new(FaultClass::Superseded, "another attempt answered first"),
                    billed,
                );
            }
        }
        self.current = number;
    }

    /// Notes that the current attempt failed, and takes what the provider may bill for it.
    pub fn attempt_failed(&mut self, fault: &Fault, billed: Option<Usage>) {
        if let Some(attempt) = self.attempts.get_mut(self.current) {
            attempt.entry.fault = Some(fault.class);
            attempt.busy = None;
        }
        if let Some(usage) = billed {
            self.charge(usage);
        }
        if let Some(candidate) = self.candidate() {
            self.count_attempt(&candidate.deployment, Some(fault.class));
            self.rest_if_failing(candidate, fault);
        }
    }

    /// Counts a failure against the deployment, and says so when it rests from now on.
    fn rest_if_failing(&self, candidate: &Candidate, fault: &Fault) {
        let now = Instant::now();
        if candidate.health.failed(fault, self.rules(), now) {
            self.rests(candidate, fault.class.name(), now);
        }
    }

    /// The rules of the model that was asked for.
    fn rules(&self) -> &ModelRules {
        self.runtime.snapshot.routing.rules_of(self.metric_model.as_deref().unwrap_or_default())
    }

    fn rests(&self, candidate: &Candidate, fault: &str, now: Instant) {
        let rest = candidate.health.resting(now).map_or(Duration::ZERO, |until| until.duration_since(now));
        let (deployment, rest_ms) = (&*candidate.deployment.id, micros(rest) / 1_000);
        tracing::warn!(deployment, fault, rest_ms, "the deployment rests");
        let detail = serde_json::json!({ "deployment": deployment, "fault": fault, "rest_ms": rest_ms });
        self.gate.event("cooldown", Some(self.call_id), detail);
    }

    /// Notes that the last attempt was answered whole.
    pub fn attempt_succeeded(&self) {
        let Some(attempt) = self.attempts.get(self.current) else { return };
        let (candidate, waited) = (&attempt.candidate, Duration::from_micros(attempt.entry.waited_us));
        self.count_attempt(&candidate.deployment, None);
        let now = Instant::now();
        if candidate.health.answered(waited, self.rules(), now) {
            self.rests(candidate, "slow", now);
        }
    }

    fn count_attempt(&self, deployment: &Deployment, fault: Option<FaultClass>) {
        let fault = fault.map_or("", FaultClass::name);
        self.gate
            .metrics
            .attempts
            .get_or_create(&AttemptLabels { deployment: Arc::clone(&deployment.id), fault })
            .inc();
    }

    /// Takes what the current deployment bills for `usage`.
    pub fn charge(&mut self, usage: Usage) {
        let Some(attempt) = self.attempts.get_mut(self.current).filter(|_| self.billed) else { return };
        attempt.charged = true;
        attempt.candidate.health.used(usage.input_tokens.saturating_add(usage.output_tokens));
        self.charges.add(&attempt.candidate.deployment, usage);
    }

    /// Notes that the answer's first byte is ready.
    pub fn first_byte(&mut self) {
        self.first_byte.get_or_insert_with(|| self.arrived.elapsed());
    }

    /// Notes bytes that go to the client.
    pub fn sending(&mut self, bytes: usize) {
        self.response_bytes += bytes as u64;
    }

    /// The status that the client gets.
    pub fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// The deployment of the attempt that counts.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.attempts.get(self.current).map(|attempt| &attempt.candidate)
    }

    /// The public model name, as the client gave it.
    pub fn model(&self) -> Option<&Arc<str>> {
        self.model.as_ref()
    }

    /// How many attempts there were.
    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// An estimate of what a provider bills when nothing came back.
    pub fn prompt_only(&self) -> Usage {
        Usage { input_tokens: estimate_tokens(self.prompt_bytes), ..Usage::default() }
    }

    /// The gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// What the call took of the gate's own time so far.
    pub fn overhead(&self) -> Duration {
        self.arrived.elapsed().saturating_sub(self.waited)
    }

    /// Usage of all attempts and what they cost together; `None` when nothing was charged.
    pub fn total(&self) -> Option<(Usage, Cost)> {
        self.charges.total()
    }

    /// How a fault is shown to the client of this call.
    pub fn show<T>(&self, fault: &Fault, show: impl FnOnce(&Shown<'_>) -> T) -> T {
        let entries = self.attempts.iter().map(|attempt| &attempt.entry);
        let failed = entries.filter_map(|a| Some((a.deployment.to_string(), a.fault?)));
        let tried: Vec<_> = failed.collect();
        show(&Shown { fault, call_id: Some(self.call_id), tried: &tried })
    }

    /// Why a call is dropped that nobody has closed.
    pub fn gone(&self) -> Fault {
        if std::thread::panicking() {
            Fault::new(FaultClass::Internal, "the gate failed while it handled the call")
        } else if self.gate.is_cut() {
            Fault::new(FaultClass::Draining, "the gate stopped before the call had ended (timeouts.drain_ms)")
        } else {
            Fault::new(FaultClass::ClientGone, "the client went away before the end of its answer")
        }
    }

    /// Closes a call that was dropped, for the reason that [`Ticket::gone`] gave.
    pub fn close_gone(&mut self, fault: &Fault) {
        let outcome =
            if fault.class == FaultClass::ClientGone { Outcome::ClientGone } else { Outcome::Failed };
        self.close(outcome, Some(fault));
    }

    /// Phase 9. Does nothing the second time.
    pub fn close(&mut self, outcome: Outcome, fault: Option<&Fault>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.gate.call_ended();
        let total = self.total();
        let duration = self.arrived.elapsed();
        let (attempts, edits) = self.gathered();
        let deployment = self.candidate().map(|c| &*c.deployment.id).filter(|_| outcome != Outcome::Refused);
        let closed = Closed {
            at: self.gate.parts.clock.now(),
            call_id: self.call_id,
            principal: &self.principal,
            surface: self.surface,
            model: self.model.as_deref(),
            deployment,
            outcome,
            status: self.status,
            fault: fault.map(FaultEntry::from),
            attempts: &attempts,
            route: self.route.as_ref(),
            usage: total.map(|(usage, _)| usage),
            cost: total.map(|(_, cost)| cost),
            edits: &edits,
            duration_us: micros(duration),
            first_byte_us: self.first_byte.map(micros),
            response_bytes: self.response_bytes,
        };
        // The failure is logged by the gate; the call itself is over and cannot be refused any more.
        let _ = self.gate.record(&Entry::Closed(&closed));
        log(&closed);
        self.count(outcome, fault, duration);
    }

    /// Every attempt as it is recorded, and what was changed in the requests.
    fn gathered(&self) -> (Vec<AttemptEntry>, Vec<String>) {
        let mut edits = Vec::new();
        let entries = self.attempts.iter().map(|attempt| {
            let mut notes = attempt.notes.lock();
            edits.append(&mut notes.edits);
            let upstream_request_id = notes.upstream_request_id.take();
            AttemptEntry { status: notes.status, upstream_request_id, ..attempt.entry.clone() }
        });
        (entries.collect(), edits)
    }

    fn count(&self, outcome: Outcome, fault: Option<&Fault>, duration: Duration) {
        let metrics = &self.gate.metrics;
        let labels = CallLabels {
            surface: self.surface,
            model: self.metric_model.clone().unwrap_or_default(),
            outcome: outcome.name(),
            fault: fault.map_or("", |f| f.class.name()),
        };
        metrics.calls.get_or_create(&labels).inc();
        let Some(candidate) = self.candidate() else { return };
        let labels = DeploymentLabels { deployment: Arc::clone(&candidate.deployment.id) };
        metrics.duration.get_or_create(&labels).observe(duration.as_secs_f64());
        if let Some(first) = self.first_byte {
            metrics.first_byte.get_or_create(&labels).observe(first.as_secs_f64());
        }
        self.charges.count(metrics);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let fault = self.gone();
        // What went out and will never be read is billed all the same.
        for number in 0..self.attempts.len() {
            let attempt = &self.attempts[number];
            if attempt.notes.lock().sent && !attempt.charged && attempt.entry.fault.is_none() {
                self.current = number;
                self.charge(self.prompt_only());
            }
        }
        if self.status == 0 {
            self.status = fault.class.status();
        }
        self.close_gone(&fault);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// One line a call, without a word of its content.
fn log(closed: &Closed<'_>) {
    tracing::info!(
        call_id = %closed.call_id,
        model = closed.model.unwrap_or(""),
        deployment = closed.deployment.unwrap_or(""),
        status = closed.status,
        fault = closed.fault.as_ref().map_or("", |f| f.class.name()),
        attempts = closed.attempts.len(),
        input_tokens = closed.usage.map_or(0, |u| u.input_tokens),
        output_tokens = closed.usage.map_or(0, |u| u.output_tokens),
        cost_usd = %closed.cost.map(|c| c.to_string()).unwrap_or_default(),
        ms = closed.duration_us / 1000,
        "{}",
        closed.outcome.name(),
    );
}
