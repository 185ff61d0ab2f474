//! The ticket of a call: what is learnt on its way, and phase 9, which happens once on every exit.
//!
//! Whoever holds the ticket closes it. If nobody does, because the client went away or a task was dropped,
//! dropping it does.

mod begin;
mod dropped;
mod film;
mod limits;
mod room;
mod settle;
mod tools;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::access::{Caller, Role};
use tollgate_core::call::CallId;
use tollgate_core::config::snapshot::ModelRules;
use tollgate_core::fault::{Fault, FaultClass, SideEffect};
use tollgate_core::ledger::{About, Hold, Meter};
use tollgate_core::price::Cost;
use tollgate_core::principal::Principal;
use tollgate_core::record::{AttemptEntry, Cause, Direction, Outcome, Reservation, RouteEntry, end_user};
use tollgate_core::trace::TraceId;
use tollgate_core::usage::{Usage, estimate_tokens};
use tollgate_llm::bound::Bound;
use tollgate_llm::formats::Shown;

pub use self::begin::Why;
pub use self::film::Film;
use self::witness::Witness;
use crate::charges::Charges;
use crate::gate::{Gate, Runtime};
use crate::identify::Identified;
use crate::inbound::Inbound;
use crate::leg::Notes;
use crate::metrics::AttemptLabels;
use crate::route::{Busy, Target};

/// An attempt that was begun.
struct Attempting {
    entry: AttemptEntry,
    target: Target,
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
    /// Since when its time-outs run: later, where it has waited for somebody.
    pub since: Instant,
    principal: Principal,
    /// Whose budgets and limits hold; `None` for whoever runs the gate.
    caller: Option<Caller>,
    /// What is held under them until the call is settled.
    hold: Hold,
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
    /// How it ended, once its `closed` entry is offered.
    closed: Option<Outcome>,
    counted: bool,
    witness: Witness,
    reservation: Reservation,
    /// The most that the call can use, where a strict budget counts it.
    bound: Option<Bound>,
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
        identified: Identified,
        inbound: &Inbound,
    ) -> Self {
        gate.call_began();
        let call_id = CallId::new();
        let operator = identified.caller.as_ref().is_none_or(|caller| caller.role() == Role::Admin);
        Self {
            witness: Witness::new(call_id, inbound, &runtime.snapshot, operator),
            gate: Arc::clone(gate),
            runtime,
            call_id,
            arrived: inbound.arrived,
            since: inbound.arrived,
            principal: identified.principal,
            caller: identified.caller,
            hold: Hold::default(),
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
            closed: None,
            counted: false,
            reservation: Reservation { usage: Usage::default(), cost: Cost::Unknown },
            bound: None,
            first_byte: None,
            response_bytes: 0,
            status: 0,
        }
    }

    /// Notes what was read of the request, and what it was read from. `prompt_bytes` is what counts when nobody reports
    /// the usage.
    pub fn parsed(&mut self, model: &str, stream: bool, body: &Bytes, prompt_bytes: u64) {
        self.model = Some(Arc::from(model));
        self.stream = stream;
        self.request_bytes = body.len() as u64;
        self.prompt_bytes = prompt_bytes;
        self.witness.request_digest = Some(self.gate.parts.journal.digest_key().digest(body));
        self.witness.film(&self.runtime.snapshot, model, self.arrived);
        if let Some(film) = &self.witness.film {
            film.shoot(Direction::FromClient, None, body);
        }
    }

    /// What the client speaks.
    pub fn surface(&self) -> &'static str {
        self.surface
    }

    /// Why the call is made, where that is known.
    pub fn cause(&self) -> Option<&Cause> {
        self.witness.trace.cause.as_ref()
    }

    /// The trace that the call belongs to.
    pub fn trace_id(&self) -> TraceId {
        self.witness.trace.trace_id
    }

    /// Notes for which of their own users the client says that it calls.
    pub fn end_user(&mut self, said: &str) {
        self.witness.end_user = end_user(said);
    }

    /// What is kept of the content; `None` where nothing is.
    pub fn film(&self) -> Option<&Arc<Film>> {
        self.witness.film.as_ref()
    }

    /// Notes what the call may use, and what that costs at the dearest of `targets`.
    pub fn holds(&mut self, usage: Usage, targets: impl Iterator<Item = Target>) {
        let dearest = targets.map(|target| target.cost(&usage)).reduce(|a, b| match (a, b) {
            (Cost::Known(a), Cost::Known(b)) => Cost::Known(a.max(b)),
            _ => Cost::Unknown,
        });
        let free = Reservation { usage: Usage::default(), cost: Cost::Known(0) };
        let held = Reservation { usage, cost: dearest.unwrap_or(Cost::Unknown) };
        self.reservation = if self.billed { held } else { free };
    }

    /// The strict budget that counts the call, if any does and it is billed.
    pub fn strict(&self) -> Option<&Arc<Meter>> {
        let about = self.about();
        let mut meters = self.caller.iter().flat_map(|caller| caller.meters(about));
        meters.find(|meter| meter.is_strict() && self.billed)
    }

    /// What the call is about, for rules that count some calls and not others.
    fn about(&self) -> About<'_> {
        let called = self.tool().filter(|tool| tool.method == "tools/call");
        About { model: self.model.as_deref().unwrap_or_default(), effect: called.map(|tool| tool.effect) }
    }

    /// Notes the most that the call can use.
    pub fn bounded(&mut self, bound: Bound) {
        self.bound = Some(bound);
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

    /// When to ask another deployment beside the one that is under way; `None` when never. A strict budget pays for one
    /// at a time.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.rules().hedge.filter(|_| self.bound.is_none())
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
        if let Some(target) = self.target() {
            self.count_attempt(target, Some(fault.class));
            self.rest_if_failing(target, fault);
        }
    }

    /// Counts a failure against the deployment, and says so when it rests from now on.
    fn rest_if_failing(&self, target: &Target, fault: &Fault) {
        let now = Instant::now();
        if target.health().failed(fault, self.rules(), now) {
            self.rests(target, fault.class.name(), now);
        }
    }

    /// The rules of the model that was asked for.
    fn rules(&self) -> &ModelRules {
        self.runtime.snapshot.routing.rules_of(self.metric_model.as_deref().unwrap_or_default())
    }

    fn rests(&self, target: &Target, fault: &str, now: Instant) {
        let rest = target.health().resting(now).map_or(Duration::ZERO, |until| until.duration_since(now));
        let (deployment, rest_ms) = (&**target.id(), micros(rest) / 1_000);
        tracing::warn!(deployment, fault, rest_ms, "the deployment rests");
        let model = self.metric_model.as_deref();
        let detail = serde_json::json!({ "deployment": deployment, "model": model, "fault": fault, "rest_ms": rest_ms });
        self.gate.event("cooldown", Some(self.call_id), detail);
    }

    /// Notes that the last attempt was answered whole.
    pub fn attempt_succeeded(&self) {
        let Some(attempt) = self.attempts.get(self.current) else { return };
        let (target, waited) = (&attempt.target, Duration::from_micros(attempt.entry.waited_us));
        self.count_attempt(target, None);
        let now = Instant::now();
        if target.health().answered(waited, self.rules(), now) {
            self.rests(target, "slow", now);
        }
    }

    fn count_attempt(&self, target: &Target, fault: Option<FaultClass>) {
        let fault = fault.map_or("", FaultClass::name);
        self.gate
            .metrics
            .attempts
            .get_or_create(&AttemptLabels { deployment: Arc::clone(target.id()), fault })
            .inc();
    }

    /// Takes what the current deployment bills for `usage`.
    pub fn charge(&mut self, usage: Usage) {
        let Some(attempt) = self.attempts.get_mut(self.current).filter(|_| self.billed) else { return };
        attempt.charged = true;
        attempt.target.health().used(usage.input_tokens.saturating_add(usage.output_tokens));
        let cost = self.charges.add(&attempt.target, usage);
        (attempt.entry.usage, attempt.entry.cost) = (Some(usage), Some(cost));
    }

    /// Notes that the answer's first byte is ready.
    pub fn first_byte(&mut self) {
        self.first_byte.get_or_insert_with(|| self.arrived.elapsed());
    }

    /// Notes bytes that go to the client.
    pub fn sending(&mut self, bytes: &[u8]) {
        self.response_bytes += bytes.len() as u64;
        self.witness.answering(bytes, self.gate.parts.journal.digest_key());
        if let Some(film) = &self.witness.film
            && (!self.stream || film.keeps_pieces())
        {
            film.shoot(Direction::ToClient, None, bytes);
        }
    }

    /// The status that the client gets.
    pub fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// On whose behalf the call is made.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whose budgets and limits hold; `None` for whoever runs the gate.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// What the attempt that counts was made at.
    pub fn target(&self) -> Option<&Target> {
        self.attempts.get(self.current).map(|attempt| &attempt.target)
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

    /// Gives other calls the time to offer their entries too, so that one write does for all; none where this is the only
    /// call.
    async fn others_turn(&self) {
        if self.gate.open_calls() > u64::from(self.closed.is_none()) {
            tokio::task::yield_now().await;
        }
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
        let side_effect = self.side_effect(fault);
        show(&Shown { fault, call_id: Some(self.call_id), tried: &tried, side_effect })
    }

    /// Whether the call had an effect though it failed so.
    fn side_effect(&self, fault: &Fault) -> SideEffect {
        let of_attempts = self.attempts.iter().map(|attempt| {
            let notes = attempt.notes.lock();
            match (notes.sent, notes.status) {
                (false, _) => SideEffect::None,
                (true, Some(200..300)) => SideEffect::Certain,
                (true, _) => attempt.entry.fault.unwrap_or(fault.class).side_effect(),
            }
        });
        // Lost without an attempt: it went on to another instance, which may have made one.
        let elsewhere = if fault.class == FaultClass::Lost { SideEffect::Possible } else { SideEffect::None };
        of_attempts.max().unwrap_or(elsewhere)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
