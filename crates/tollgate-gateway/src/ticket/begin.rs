//! Phase 6, its end: the entries without which nothing may be sent.

use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_core::config::recording::WhenFull;
use tollgate_core::effect::Effect;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::ports::{JournalError, Offered};
use tollgate_core::record::{Attempt, AttemptEntry, Counts, Entry, Opened};
use tollgate_core::trace::TraceParent;

use super::{Attempting, Ticket, micros};
use crate::leg::{Leg, Notes, OfCall};
use crate::route::{Busy, Target};

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

impl Ticket {
    /// Begins an attempt: writes the entry without which nothing may be sent, and waits until it is as safe as the
    /// configuration wants it.
    pub async fn begin(&mut self, target: &Target, why: Why) -> Result<Leg, Fault> {
        let output_ceiling = self.make_room(target).await?;
        self.record_attempt(target, why).await.map_err(|error| unrecordable(&error))?;
        self.opened = true;
        let notes = Arc::<Mutex<Notes>>::default();
        self.attempts.push(Attempting {
            entry: AttemptEntry {
                deployment: Arc::clone(target.id()),
                status: None,
                fault: None,
                upstream_request_id: None,
                started_us: micros(self.arrived.elapsed()),
                waited_us: 0,
                usage: None,
                cost: None,
            },
            target: target.clone(),
            busy: Some(Busy::new(target.health())),
            notes: Arc::clone(&notes),
            charged: false,
        });
        let number = self.attempts.len() - 1;
        if why != Why::Beside {
            self.current = number;
        }
        let attempt = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let call = OfCall {
            call_id: self.call_id,
            arrived: self.since,
            prompt: self.prompt_only(),
            trace: TraceParent {
                trace: self.witness.trace.trace_id,
                span: self.call_id.span(attempt),
                sampled: self.witness.sampled,
            },
            offers_tools: self.witness.tools.is_some(),
            film: self.witness.film.clone(),
            output_ceiling,
        };
        Ok(Leg::new(&self.gate, &self.runtime, call, number, notes))
    }

    async fn record_attempt(&mut self, target: &Target, why: Why) -> Result<(), JournalError> {
        let offered = self.offer_attempt(target, why)?;
        self.others_turn().await;
        let journal = &self.gate.parts.journal;
        let written = journal.collect(&offered)?;
        match journal.safe(written) {
            Some(safe) => safe.await,
            None => Ok(()),
        }
    }

    fn offer_attempt(&self, target: &Target, why: Why) -> Result<Offered, JournalError> {
        let (at, call_id) = (self.gate.parts.clock.now(), self.call_id);
        let deployment = target.id();
        let journal = &*self.gate.parts.journal;
        if self.opened {
            let number = u32::try_from(self.attempts.len() + 1).unwrap_or(u32::MAX);
            let after = if let Why::After(class) = why { Some(class) } else { None };
            let hedge = why == Why::Beside;
            let held = &Counts::of(&self.hold);
            let attempt = Attempt { at, call_id, number, deployment, after, hedge, held };
            return Ok(journal.offer(&Entry::Attempt(&attempt)));
        }
        let capture = self.witness.film.as_ref().map(|film| film.take(journal)).transpose();
        let capture = match capture {
            // Where calls go on unrecorded by name, a lost side file stops none.
            Err(_) if self.runtime.snapshot.journal.when_full == WhenFull::Continue => None,
            capture => capture?.flatten(),
        };
        Ok(journal.offer(&Entry::Opened(&Opened {
            at,
            call_id,
            trace: &self.witness.trace,
            principal: &self.principal,
            peer: self.witness.peer,
            surface: self.surface,
            model: self.model.as_deref(),
            deployment,
            stream: self.stream,
            effect: self.witness.tool.as_ref().map_or(Effect::Read, |tool| tool.effect),
            reservation: self.reservation,
            held: &Counts::of(&self.hold),
            request_bytes: self.request_bytes,
            request_digest: self.witness.request_digest.unwrap_or_else(|| journal.digest_key().digest(b"")),
            tool: self.witness.tool.as_ref(),
            tools: self.witness.tools.as_ref(),
            results: &self.witness.results,
            headers: &self.witness.headers,
            end_user: self.witness.end_user.as_deref(),
            tags: &self.witness.tags,
            capture: capture.as_ref(),
        })))
    }
}

/// What a client is told when its call cannot be recorded.
pub(super) fn unrecordable(error: &JournalError) -> Fault {
    // The place is for the operator, who has it in the log.
    Fault::new(FaultClass::Unrecordable, format!("the call cannot be recorded: {}", error.reason))
}
