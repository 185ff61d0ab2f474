//! The ticket of a call: what is learnt on its way, and phase 9, which happens once on every exit.
//!
//! Whoever holds the ticket closes it. If nobody does, because the client went away or a task was dropped,
//! dropping it does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::call::CallId;
use tollgate_core::config::snapshot::{Deployment, ModelRules};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::price::Cost;
use tollgate_core::principal::Principal;
use tollgate_core::record::{Attempt, AttemptEntry, Closed, Entry, FaultEntry, Opened, Outcome, RouteEntry};
use tollgate_core::usage::{Usage, estimate_tokens};
use tollgate_llm::formats::Shown;

use crate::charges::Charges;
use crate::gate::{Gate, Runtime};
use crate::metrics::{AttemptLabels, CallLabels, DeploymentLabels};
use crate::route::{Busy, Candidate};

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
    attempts: Vec<AttemptEntry>,
    route: Option<RouteEntry>,
    candidate: Option<Candidate>,
    /// Held while the current attempt is in flight.
    busy: Option<Busy>,
    /// Time spent waiting for upstreams.
    waited: Duration,
    edits: Vec<String>,
    charges: Charges,
    /// Whether the last attempt has gone out, and whether it has been charged.
    sent: bool,
    charged: bool,
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
            route: None,
            candidate: None,
            busy: None,
            waited: Duration::ZERO,
            edits: Vec::new(),
            charges: Charges::default(),
            sent: false,
            charged: false,
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

    /// Notes that the request goes out now.
    pub fn sent(&mut self) {
        self.sent = true;
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
    pub fn attempt(&mut self, candidate: &Candidate, after: Option<FaultClass>) -> Result<(), Fault> {
        let at = self.gate.parts.clock.now();
        let written = match after {
            Some(after) if self.opened => {
                let number = u32::try_from(self.attempts.len() + 1).unwrap_or(u32::MAX);
                let deployment = &candidate.deployment.id;
                self.gate.record(&Entry::Attempt(&Attempt {
                    at,
                    call_id: self.call_id,
                    number,
                    deployment,
                    after,
                }))
            }
            _ => self.gate.record(&Entry::Opened(&Opened {
                at,
                call_id: self.call_id,
                principal: &self.principal,
                surface: self.surface,
                model: self.model.as_deref().unwrap_or_default(),
                deployment: &candidate.deployment.id,
                stream: self.stream,
                request_bytes: self.request_bytes,
            })),
        };
        written.map_err(|error| {
            Fault::new(FaultClass::Unrecordable, format!("the call cannot be recorded: {error}"))
        })?;
        self.opened = true;
        self.sent = false;
        self.charged = false;
        self.candidate = Some(candidate.clone());
        self.busy = Some(Busy::new(&candidate.health));
        let started_us = micros(self.arrived.elapsed());
        self.attempts.push(AttemptEntry {
            deployment: Arc::clone(&candidate.deployment.id),
            status: None,
            fault: None,
            upstream_request_id: None,
            started_us,
            waited_us: 0,
        });
        Ok(())
    }

    /// Notes how long the upstream of the last attempt took to answer or to fail.
    pub fn waited(&mut self, waited: Duration) {
        self.waited += waited;
        if let Some(last) = self.attempts.last_mut() {
            last.waited_us = micros(waited);
        }
    }

    /// Notes a pause between attempts.
    pub fn paused(&mut self, pause: Duration) {
        self.waited += pause;
    }

    /// Notes the upstream's status and its own id for the request.
    pub fn answered(&mut self, status: u16, upstream_request_id: Option<&str>) {
        if let Some(last) = self.attempts.last_mut() {
            last.status = Some(status);
            // An id is short; what is not is no id and has no place in a record.
            last.upstream_request_id = upstream_request_id.filter(|id| id.len() <= 128).map(str::to_owned);
        }
    }

    /// Notes that the last attempt failed, and takes what the provider may bill for it.
    pub fn attempt_failed(&mut self, fault: &Fault, billed: Option<Usage>) {
        if let Some(last) = self.attempts.last_mut() {
            last.fault = Some(fault.class);
        }
        if let Some(usage) = billed {
            self.charge(usage);
        }
        if let Some(candidate) = &self.candidate {
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
        let Some(candidate) = &self.candidate else { return };
        self.count_attempt(&candidate.deployment, None);
        let waited =
            self.attempts.last().map_or(Duration::ZERO, |last| Duration::from_micros(last.waited_us));
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
        let Some(candidate) = self.candidate.as_ref().filter(|_| self.billed) else { return };
        self.charged = true;
        candidate.health.used(usage.input_tokens.saturating_add(usage.output_tokens));
        self.charges.add(&candidate.deployment, usage);
    }

    /// Notes a change that the gate made to the request.
    pub fn edited(&mut self, edit: impl Into<String>) {
        self.edits.push(edit.into());
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

    /// The deployment of the last attempt.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
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
        let failed = self.attempts.iter().filter_map(|a| Some((a.deployment.to_string(), a.fault?)));
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
        let deployment =
            self.candidate.as_ref().map(|c| &*c.deployment.id).filter(|_| outcome != Outcome::Refused);
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
            attempts: &self.attempts,
            route: self.route.as_ref(),
            usage: total.map(|(usage, _)| usage),
            cost: total.map(|(_, cost)| cost),
            edits: &self.edits,
            duration_us: micros(duration),
            first_byte_us: self.first_byte.map(micros),
            response_bytes: self.response_bytes,
        };
        // The failure is logged by the gate; the call itself is over and cannot be refused any more.
        let _ = self.gate.record(&Entry::Closed(&closed));
        log(&closed);
        self.count(outcome, fault, duration);
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
        let Some(candidate) = &self.candidate else { return };
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
        // It went out and its answer will never be read: the provider bills the prompt all the same.
        if self.sent && !self.charged && self.attempts.last().is_some_and(|last| last.fault.is_none()) {
            self.charge(self.prompt_only());
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
