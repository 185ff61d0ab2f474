//! Phase 9: what a call used and cost, its `closed` entry, and the counters. Once, on every exit.

use std::time::Duration;

use jiff::Timestamp;
use tollgate_core::config::recording::WhenFull;
use tollgate_core::fault::{Fault, SideEffect};
use tollgate_core::ports::{JournalError, Offered, Safe};
use tollgate_core::record::{AttemptEntry, Capture, Closed, Counts, EditEntry, Entry, FaultEntry, Outcome};

use super::begin::unrecordable;
use super::{Ticket, micros};
use crate::metrics::{CallLabels, DeploymentLabels};

/// What a call's end is made of, apart from what its ticket has.
struct Ending<'a> {
    at: Timestamp,
    outcome: Outcome,
    fault: Option<&'a Fault>,
    duration: Duration,
    /// Under which budgets and limits how much was counted.
    counted: Counts,
    attempts: Vec<AttemptEntry>,
    edits: Vec<EditEntry>,
    capture: Option<Capture>,
    /// Why nothing is kept of the content that should be.
    lost_capture: Option<JournalError>,
}

impl Ticket {
    /// Phase 9, and the wait until its entry is as safe as the configuration wants it. An error says that the call
    /// cannot be recorded: its answer must not be handed over as if it were.
    pub async fn settle(&mut self, outcome: Outcome, fault: Option<&Fault>) -> Result<(), Fault> {
        let Some(ending) = self.ending(outcome, fault) else { return Ok(()) };
        let offered = self.offer_end(&ending);
        self.others_turn().await;
        match self.end(&ending, &offered)? {
            Some(safe) => safe.await.map_err(|error| unrecordable(&error)),
            None => Ok(()),
        }
    }

    /// Phase 9, at once. Does nothing the second time.
    pub fn close(&mut self, outcome: Outcome, fault: Option<&Fault>) -> Result<Option<Safe>, Fault> {
        let Some(ending) = self.ending(outcome, fault) else { return Ok(None) };
        let offered = self.offer_end(&ending);
        self.end(&ending, &offered)
    }

    /// Gathers what the record says; `None` where that has been done.
    fn ending<'a>(&mut self, outcome: Outcome, fault: Option<&'a Fault>) -> Option<Ending<'a>> {
        if self.closed.is_some() {
            return None;
        }
        self.closed = Some(outcome);
        self.became(Some((outcome, fault.map_or(SideEffect::None, |fault| self.side_effect(fault)))));
        self.gate.call_ended();
        for chosen in &self.witness.chosen {
            let trace = self.witness.trace.trace_id;
            self.gate.causes.remember(&self.principal, chosen, self.call_id, trace);
        }
        self.give_back();
        let counted = Counts::of(&self.hold);
        let (at, duration) = (self.gate.parts.clock.now(), self.arrived.elapsed());
        let (attempts, edits) = self.gathered();
        let journal = &*self.gate.parts.journal;
        let (capture, lost_capture) =
            match self.witness.film.as_ref().and_then(|film| film.take(journal).transpose()) {
                None => (None, None),
                Some(Ok(capture)) => (Some(capture), None),
                Some(Err(error)) => (None, Some(error)),
            };
        Some(Ending { at, outcome, fault, duration, counted, attempts, edits, capture, lost_capture })
    }

    fn offer_end(&self, ending: &Ending<'_>) -> Offered {
        let closed = self.closed_entry(ending);
        log(&closed);
        self.gate.parts.journal.offer(&Entry::Closed(&closed))
    }

    /// The wait until the entry is safe, where there is one; an error where it could not be written.
    fn end(&mut self, ending: &Ending<'_>, offered: &Offered) -> Result<Option<Safe>, Fault> {
        let journal = &*self.gate.parts.journal;
        let written = journal.collect(offered);
        // Where calls go on unrecorded by name, a lost side file stops none.
        let written = match &ending.lost_capture {
            Some(error) if self.runtime.snapshot.journal.when_full == WhenFull::Refuse => Err(error.clone()),
            _ => written,
        };
        match written {
            Ok(position) => {
                let safe = journal.safe(position);
                self.count(ending.outcome, ending.fault, ending.duration);
                Ok(safe)
            }
            Err(error) => {
                let fault = unrecordable(&error);
                self.end_later(ending, &fault);
                self.count(Outcome::Failed, Some(&fault), ending.duration);
                Err(fault)
            }
        }
    }

    /// What the client is told instead of its answer, and what the record will say when there is room again.
    fn end_later(&self, ending: &Ending<'_>, fault: &Fault) {
        let mut closed = self.closed_entry(ending);
        closed.fault = Some(self.fault_entry(fault));
        (closed.outcome, closed.status, closed.capture) = (Outcome::Failed, fault.class.status(), None);
        self.gate.parts.journal.later(&Entry::Closed(&closed));
    }

    fn closed_entry<'a>(&'a self, ending: &'a Ending<'_>) -> Closed<'a> {
        let outcome = ending.outcome;
        let total = self.total();
        let deployment = self.target().map(|target| &**target.id()).filter(|_| outcome != Outcome::Refused);
        Closed {
            at: ending.at,
            call_id: self.call_id,
            trace: &self.witness.trace,
            principal: &self.principal,
            peer: self.witness.peer,
            surface: self.surface,
            model: self.model.as_deref(),
            deployment,
            tool: self.witness.tool.as_ref(),
            outcome,
            status: self.status,
            fault: ending.fault.map(|fault| self.fault_entry(fault)),
            attempts: &ending.attempts,
            route: self.route.as_ref(),
            usage: total.map(|(usage, _)| usage),
            cost: total.map(|(_, cost)| cost),
            counted: &ending.counted,
            chosen: &self.witness.chosen,
            edits: &ending.edits,
            end_user: self.witness.end_user.as_deref(),
            tags: &self.witness.tags,
            duration_us: micros(ending.duration),
            first_byte_us: self.first_byte.map(micros),
            response_bytes: self.response_bytes,
            response_digest: self.witness.answer_digest(),
            capture: ending.capture.as_ref(),
        }
    }

    fn fault_entry<'a>(&self, fault: &'a Fault) -> FaultEntry<'a> {
        FaultEntry {
            class: fault.class,
            blame: fault.class.blame(),
            retryable: fault.retryable(),
            side_effect: self.side_effect(fault),
            message: &fault.message,
        }
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

    pub(super) fn count(&mut self, outcome: Outcome, fault: Option<&Fault>, duration: Duration) {
        self.counted = true;
        let metrics = &self.gate.metrics;
        let labels = CallLabels {
            surface: self.surface,
            model: self.metric_model.clone().unwrap_or_default(),
            outcome: outcome.name(),
            fault: fault.map_or("", |f| f.class.name()),
            blame: fault.map_or("", |f| f.class.blame().name()),
        };
        metrics.calls.get_or_create(&labels).inc();
        let Some(target) = self.target() else { return };
        let labels = DeploymentLabels { deployment: std::sync::Arc::clone(target.id()) };
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
