//! Phase 9: what a call used and cost, its `closed` entry, and the counters. Once, on every exit.

use std::time::Duration;

use tollgate_core::config::recording::WhenFull;
use tollgate_core::fault::Fault;
use tollgate_core::ports::Safe;
use tollgate_core::record::{AttemptEntry, Closed, EditEntry, Entry, FaultEntry, Outcome};

use super::begin::unrecordable;
use super::{Ticket, micros};
use crate::metrics::{CallLabels, DeploymentLabels};

impl Ticket {
    /// Phase 9, and the wait until its entry is as safe as the configuration wants it. An error says that the call
    /// cannot be recorded: its answer must not be handed over as if it were.
    pub async fn settle(&mut self, outcome: Outcome, fault: Option<&Fault>) -> Result<(), Fault> {
        match self.close(outcome, fault)? {
            Some(safe) => safe.await.map_err(|error| unrecordable(&error)),
            None => Ok(()),
        }
    }

    /// Phase 9. Does nothing the second time.
    pub fn close(&mut self, outcome: Outcome, fault: Option<&Fault>) -> Result<Option<Safe>, Fault> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(None);
        }
        self.gate.call_ended();
        for chosen in &self.witness.chosen {
            let trace = self.witness.trace.trace_id;
            self.gate.causes.remember(&self.principal, &chosen.id, self.call_id, trace);
        }
        let total = self.total();
        let duration = self.arrived.elapsed();
        let (attempts, edits) = self.gathered();
        let deployment = self.candidate().map(|c| &*c.deployment.id).filter(|_| outcome != Outcome::Refused);
        let journal = &*self.gate.parts.journal;
        let film = self.witness.film.as_ref().map(|film| film.take(journal)).transpose();
        let (capture, kept) = match film {
            Ok(capture) => (capture.flatten(), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let mut closed = Closed {
            at: self.gate.parts.clock.now(),
            call_id: self.call_id,
            trace: &self.witness.trace,
            principal: &self.principal,
            peer: self.witness.peer,
            surface: self.surface,
            model: self.model.as_deref(),
            deployment,
            outcome,
            status: self.status,
            fault: fault.map(|fault| FaultEntry {
                class: fault.class,
                blame: fault.class.blame(),
                retryable: fault.retryable(),
                side_effect: self.side_effect(fault),
                message: &fault.message,
            }),
            attempts: &attempts,
            route: self.route.as_ref(),
            usage: total.map(|(usage, _)| usage),
            cost: total.map(|(_, cost)| cost),
            chosen: &self.witness.chosen,
            edits: &edits,
            duration_us: micros(duration),
            first_byte_us: self.first_byte.map(micros),
            response_bytes: self.response_bytes,
            response_digest: self.witness.answer_digest(),
            capture: capture.as_ref(),
        };
        let written = self.gate.record(&Entry::Closed(&closed));
        log(&closed);
        // Where calls go on unrecorded by name, a lost side file stops none.
        let written = match kept {
            Err(error) if self.runtime.snapshot.journal.when_full == WhenFull::Refuse => Err(error),
            _ => written,
        };
        let recorded = written.map(|position| journal.safe(position)).map_err(|error| unrecordable(&error));
        match &recorded {
            // What the client is told instead of its answer, and what the record will say when there is room again.
            Err(unrecordable) => {
                let class = unrecordable.class;
                let (blame, retryable) = (class.blame(), unrecordable.retryable());
                let (side_effect, message) = (self.side_effect(unrecordable), unrecordable.message.as_str());
                closed.fault = Some(FaultEntry { class, blame, retryable, side_effect, message });
                (closed.outcome, closed.status, closed.capture) = (Outcome::Failed, class.status(), None);
                journal.later(&Entry::Closed(&closed));
                self.count(Outcome::Failed, Some(unrecordable), duration);
            }
            Ok(_) => self.count(outcome, fault, duration),
        }
        recorded
    }

    /// Every attempt as it is recorded, and what was changed in the requests.
    fn gathered(&self) -> (Vec<AttemptEntry>, Vec<EditEntry>) {
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
            blame: fault.map_or("", |f| f.class.blame().name()),
        };
        metrics.calls.get_or_create(&labels).inc();
        let Some(candidate) = self.candidate() else { return };
        let labels = DeploymentLabels { deployment: std::sync::Arc::clone(&candidate.deployment.id) };
        metrics.duration.get_or_create(&labels).observe(duration.as_secs_f64());
        if let Some(first) = self.first_byte {
            metrics.first_byte.get_or_create(&labels).observe(first.as_secs_f64());
        }
        self.charges.count(metrics);
    }
}

/// One line a call, without a word of its content.
fn log(closed: &Closed<'_>) {
    tracing::info!(
        call_id = %closed.call_id,
        model = closed.model.unwrap_or(""),
        deployment = closed.deployment.unwrap_or(""),
        status = closed.status,
        trace_id = %closed.trace.trace_id,
        fault = closed.fault.as_ref().map_or("", |f| f.class.name()),
        blame = closed.fault.as_ref().map_or("", |f| f.blame.name()),
        attempts = closed.attempts.len(),
        input_tokens = closed.usage.map_or(0, |u| u.input_tokens),
        output_tokens = closed.usage.map_or(0, |u| u.output_tokens),
        cost_usd = %closed.cost.map(|c| c.to_string()).unwrap_or_default(),
        ms = closed.duration_us / 1000,
        "{}",
        closed.outcome.name(),
    );
}
